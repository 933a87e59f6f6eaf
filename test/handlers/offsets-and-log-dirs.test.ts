/** ListOffsets, OffsetForLeaderEpoch, DeleteRecords, DescribeLogDirs and DescribeProducers. */
import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import * as header from '../../protocol/records/batch.ts'
import { canCompress, compressions } from '../../protocol/records/compression/compression.ts'
import { atOnce } from '../../src/environment/in-turns.ts'
import { deleteRecords } from '../../src/handlers/delete-records.ts'
import { describeLogDirs } from '../../src/handlers/describe-log-dirs.ts'
import { describeProducers } from '../../src/handlers/describe-producers.ts'
import { listOffsets } from '../../src/handlers/list-offsets.ts'
import { offsetForLeaderEpoch } from '../../src/handlers/offset-for-leader-epoch.ts'
import { batchOf, DataPath } from './data-path.ts'
import { requestContext } from './request-context.ts'

const firstMs = 1_767_225_600_000

interface Listed {
  timestamp: number
  version?: number
  topic?: string
  index?: number
  currentLeaderEpoch?: number
  isolationLevel?: number
  replicaId?: number
  maxNumOffsets?: number
}

async function list(path: DataPath, asked: Listed) {
  const { version = 11, topic = 'orders', index = 0, replicaId = -1, isolationLevel = 0 } = asked
  const { timestamp, currentLeaderEpoch, maxNumOffsets } = asked
  const partition = { partitionIndex: index, currentLeaderEpoch, timestamp, maxNumOffsets }
  const response = await path.call(listOffsets(path.parts), version, {
    replicaId,
    isolationLevel,
    topics: [{ name: topic, partitions: [partition] }],
  })
  return response?.topics[0]?.partitions[0]
}

/** Records at 10, 20 and 30 seconds in epoch 0, the last two again in epoch 2. */
async function filled(): Promise<DataPath> {
  const path = new DataPath()
  const topic = path.createTopic('orders')
  const append = (seconds: number[]) =>
    path.append('orders', [], {
      records: seconds.map((s) => ({
        timestamp: firstMs + s * 1000,
        key: null,
        value: Buffer.from(String(s)),
      })),
    })
  await append([10])
  await append([20, 30])
  const partitions = topic.partitions.map((p) => ({ ...p, leaderEpoch: 2, partitionEpoch: 2 }))
  path.setTopic({ ...topic, partitions })
  await append([20])
  await append([30])
  return path
}

t.test('ListOffsets', async (t) => {
  const path = await filled()
  const at = (seconds: number) => firstMs + seconds * 1000
  const cases: [string, Listed, object][] = [
    ['latest', { timestamp: -1 }, { offset: 5, timestamp: -1, leaderEpoch: 2 }],
    ['latest, committed', { timestamp: -1, isolationLevel: 1 }, { offset: 5 }],
    ['latest, as a replica', { timestamp: -1, replicaId: 2 }, { offset: 5 }],
    ['earliest', { timestamp: -2 }, { offset: 0, timestamp: -1, leaderEpoch: 0 }],
    ['largest timestamp', { timestamp: -3 }, { offset: 2, timestamp: at(30), leaderEpoch: 0 }],
    ['earliest local', { timestamp: -4 }, { offset: 0, timestamp: -1, leaderEpoch: 0 }],
    ['latest tiered', { timestamp: -5 }, { offset: -1, timestamp: -1, leaderEpoch: -1 }],
    ['earliest pending', { timestamp: -6 }, { offset: -1, timestamp: -1, leaderEpoch: -1 }],
    ['a time', { timestamp: at(20) }, { offset: 1, timestamp: at(20), leaderEpoch: 0 }],
    ['a time between', { timestamp: at(20) + 1 }, { offset: 2, timestamp: at(30) }],
    ['the beginning of time', { timestamp: 0 }, { offset: 0, timestamp: at(10) }],
    ['a time to come', { timestamp: at(31) }, { errorCode: 0, offset: -1, timestamp: -1 }],
    ['an unknown stand-in', { timestamp: -7 }, { errorCode: 35, offset: -1 }],
    ['-6 before its version', { timestamp: -6, version: 10 }, { errorCode: 35 }],
    ['-5 before its version', { timestamp: -5, version: 8 }, { errorCode: 35 }],
    ['-4 before its version', { timestamp: -4, version: 7 }, { errorCode: 35 }],
    ['-3 before its version', { timestamp: -3, version: 6 }, { errorCode: 35 }],
    ['version 1', { timestamp: -1, version: 1 }, { errorCode: 0, offset: 5 }],
    ['an epoch gone by', { timestamp: -1, currentLeaderEpoch: 1 }, { errorCode: 74 }],
    ['an epoch to come', { timestamp: -1, currentLeaderEpoch: 3 }, { errorCode: 75 }],
    ['an unknown topic', { timestamp: -1, topic: 'none' }, { errorCode: 3 }],
    ['an isolation level there is not', { timestamp: -1, isolationLevel: 2 }, { errorCode: 42 }],
    ['an unknown partition', { timestamp: -1, index: 1 }, { errorCode: 3 }],
    ['old: latest', { version: 0, timestamp: -1 }, { oldStyleOffsets: [5] }],
    [
      'old: latest, two',
      { version: 0, timestamp: -1, maxNumOffsets: 2 },
      { oldStyleOffsets: [5, 0] },
    ],
    ['old: earliest', { version: 0, timestamp: -2 }, { oldStyleOffsets: [0] }],
    ['old: a time', { version: 0, timestamp: at(20) }, { oldStyleOffsets: [0] }],
    ['old: a time to come', { version: 0, timestamp: at(31) }, { oldStyleOffsets: [5] }],
    ['old: before all', { version: 0, timestamp: at(1) }, { oldStyleOffsets: [] }],
    ['old: no other stand-in', { version: 0, timestamp: -3 }, { errorCode: 35 }],
  ]
  for (const [name, asked, answer] of cases) t.match(await list(path, asked), answer, name)

  path.partition('orders').deleteRecords(3)
  t.match(await list(path, { timestamp: -2 }), { offset: 3, leaderEpoch: 2 })
  t.match(await list(path, { timestamp: 0 }), { offset: 3, timestamp: at(20), leaderEpoch: 2 })
  path.createTopic('empty')
  for (const timestamp of [0, -3]) {
    t.match(await list(path, { timestamp, topic: 'empty' }), { errorCode: 0, offset: -1 })
  }
  t.match(await list(path, { timestamp: -1, topic: 'empty' }), { offset: 0 })

  const codecs = [
    ['gzip', 2, [0x1f, 0x8b]],
    ['zstd', canCompress('zstd') ? 2 : 76, [0x28, 0xb5, 0x2f, 0xfd]],
  ] as const
  for (const [codec, errorCode, magic] of codecs) {
    // It begins as it should, and cannot be opened.
    const batch = batchOf(['no such stream'])
    batch.set(magic, header.headerBytes)
    batch[22] = compressions.indexOf(codec)
    header.setCrc(batch, 0)
    path.createTopic(codec)
    await path.world.run(path.partition(codec).append(batch, { acks: 1 }).written)
    t.match(await list(path, { timestamp: 0, topic: codec }), { errorCode, offset: -1 }, codec)
    t.match(await list(path, { timestamp: -1, topic: codec }), { errorCode: 0, offset: 1 })
  }

  const partition = { partitionIndex: 0, timestamp: -1 }
  const twice = await path.call(listOffsets(path.parts), 5, {
    replicaId: -1,
    topics: [
      { name: 'empty', partitions: [] },
      { name: 'orders', partitions: [partition, partition] },
    ],
  })
  t.equal(twice?.topics.length, 1, 'a topic without partitions is not answered')
  t.same(
    twice?.topics[0]?.partitions.map(({ errorCode }) => errorCode),
    [42, 42],
  )
})

t.test('OffsetForLeaderEpoch', async (t) => {
  const path = await filled()
  const ask = async (
    leaderEpoch: number,
    currentLeaderEpoch = -1,
    topic = 'orders',
    version = 4,
  ) => {
    const response = await path.call(offsetForLeaderEpoch(path.parts), version, {
      topics: [{ topic, partitions: [{ partition: 0, currentLeaderEpoch, leaderEpoch }] }],
    })
    return response?.topics[0]?.partitions[0]
  }
  t.match(await ask(0), { errorCode: 0, leaderEpoch: 0, endOffset: 3 })
  t.match(await ask(1), { errorCode: 0, leaderEpoch: 0, endOffset: 3 })
  t.match(await ask(2), { errorCode: 0, leaderEpoch: 2, endOffset: 5 })
  t.match(await ask(3), { errorCode: 0, leaderEpoch: -1, endOffset: -1 })
  t.match(await ask(0, 1), { errorCode: 74, endOffset: -1 })
  t.match(await ask(0, 3), { errorCode: 75 })
  t.match(await ask(0, -1, 'none'), { errorCode: 3 })
  t.match(await ask(0, -1, 'orders', 0), { errorCode: 0, endOffset: 3 })
})

t.test('DeleteRecords', async (t) => {
  const path = await filled()
  path.createTopic('compacted', { config: { cleanupPolicy: ['compact'] } })
  path.createTopic('__consumer_offsets')
  const ask = async (offset: number, name = 'orders') => {
    const response = await path.call(deleteRecords(path.parts), 2, {
      topics: [{ name, partitions: [{ partitionIndex: 0, offset }] }],
      timeoutMs: 1000,
    })
    return response?.topics[0]?.partitions[0]
  }
  t.match(await ask(2), { errorCode: 0, lowWatermark: 2 })
  t.match(await ask(1), { errorCode: 0, lowWatermark: 2 }, 'never down')
  t.match(await ask(6), { errorCode: 1, lowWatermark: -1 })
  t.match(await ask(-2), { errorCode: 1, lowWatermark: -1 })
  t.match(await ask(-1), { errorCode: 0, lowWatermark: 5 }, 'up to the high watermark')
  t.match(await ask(0, 'none'), { errorCode: 3 })
  t.match(await ask(0, 'compacted'), { errorCode: 44 })
  t.match(await ask(0, '__consumer_offsets'), { errorCode: 17 })
  t.equal(path.partition('orders').log.logStartOffset, 5)
  const topics = [{ name: 'orders', partitions: [] }]
  const nothing = await path.call(deleteRecords(path.parts), 2, { topics, timeoutMs: 1000 })
  t.same(nothing?.topics, [], 'a topic without partitions is not answered')
})

t.test('DeleteRecords, and a disk that fails before all is looked at', async (t) => {
  const path = await filled()
  const { process, world, connection } = path
  process.disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
  const context = requestContext(apis.deleteRecords, 2, connection, {
    inTurns: async (steps) => {
      const done = atOnce(steps)
      await new Promise<void>((resolve) => void process.environment.timers.after(1000, resolve))
      return done
    },
  })
  const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 2 }] }]
  const { handle } = deleteRecords(path.parts)
  const answer = await world.run(Promise.resolve(handle({ topics, timeoutMs: 1000 }, context)))
  t.match(answer?.topics, [{ partitions: [{ errorCode: 56, lowWatermark: -1 }] }])
})

t.test('DescribeLogDirs', async (t) => {
  const path = new DataPath({ disks: ['/one', '/two'] })
  path.createTopic('orders', { partitions: 4 })
  path.createTopic('views')
  await path.append('orders', ['a'])
  const ask = async (topics: { topic: string; partitions: number[] }[] | null, version = 5) => {
    const response = await path.call(describeLogDirs(path.parts), version, { topics })
    return response?.results ?? []
  }
  const all = await ask(null)
  t.same(
    all.map(({ logDir }) => logDir),
    ['/one', '/two'],
  )
  const counts = all.map(({ topics }) => topics.flatMap(({ partitions }) => partitions).length)
  t.same(counts.sort(), [2, 3], 'spread evenly')
  t.ok(all.every(({ totalBytes, usableBytes }) => totalBytes > 0 && usableBytes > 0))
  const sizes = all.flatMap(({ topics }) => topics).flatMap(({ partitions }) => partitions)
  t.equal(Math.max(...sizes.map(({ partitionSize }) => partitionSize)), batchOf(['a']).length)

  const some = await ask([{ topic: 'orders', partitions: [1] }])
  t.same(some.flatMap(({ topics }) => topics.flatMap(({ partitions }) => partitions)).length, 1)
  const twice = await ask([1, 2].map((index) => ({ topic: 'orders', partitions: [index] })))
  const ofBoth = twice.flatMap(({ topics }) => topics.flatMap(({ partitions }) => partitions))
  t.equal(ofBoth.length, 2, 'a topic that is named twice')
  t.match((await ask(null, 1))[0], { errorCode: 0, totalBytes: -1 })

  path.process.disk.fault = (_, name) => (name.startsWith('/one') ? 'EIO' : undefined)
  path.replicas.upkeep.checkpoint()
  t.match(await ask(null), [
    { logDir: '/one', errorCode: 56, topics: [] },
    { logDir: '/two', errorCode: 0 },
  ])
})

t.test('DescribeProducers', async (t) => {
  const path = new DataPath()
  path.createTopic('orders')
  const producer = { producerId: 7, producerEpoch: 1 }
  await path.append('orders', ['a', 'b'], { ...producer, baseSequence: 0 })
  const response = await path.call(describeProducers(path.parts), 0, {
    topics: [
      { name: 'orders', partitionIndexes: [0, 1] },
      { name: 'none', partitionIndexes: [0] },
      { name: '', partitionIndexes: [0] },
    ],
  })
  t.match(response?.topics[2]?.partitions, [{ errorCode: 17 }], 'no name of a topic')
  t.match(response?.topics[0]?.partitions, [
    {
      errorCode: 0,
      activeProducers: [{ ...producer, lastSequence: 1, currentTxnStartOffset: -1 }],
    },
    { errorCode: 3 },
  ])
  t.match(response?.topics[1]?.partitions, [{ errorCode: 3 }])
})

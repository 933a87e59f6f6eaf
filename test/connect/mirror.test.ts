/**
 * One cluster mirrored to another: topics with their settings, records as they are, and groups that go on where they
 * were, and miss nothing; what is written beside them has MirrorMaker 2's form.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { alterConfigs, describeConfigs } from '../../src/client/admin/configs.ts'
import { createPartitions, createTopics } from '../../src/client/admin/topics.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { commitOffsets, fetchCommitted } from '../../src/client/offsets.ts'
import type { OnDelivery, ProducerRecord } from '../../src/client/partition-queue.ts'
import { Producer } from '../../src/client/producer.ts'
import { Transaction } from '../../src/client/transaction.ts'
import { mirrorCheckpoint } from '../../src/connect/mirror/mirror-checkpoint.ts'
import { mirrorHeartbeat } from '../../src/connect/mirror/mirror-heartbeat.ts'
import {
  readCheckpoint,
  readOffsetSync,
  writeCheckpoint,
  writeHeartbeat,
  writeOffsetSync,
} from '../../src/connect/mirror/mirror-records.ts'
import { mirrorSource } from '../../src/connect/mirror/mirror-source.ts'
import { OffsetSyncs, OffsetSyncWriter } from '../../src/connect/mirror/offset-syncs.ts'
import { ReplicationPolicy } from '../../src/connect/mirror/replication-policy.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { startBroker } from '../cli/running-broker.ts'
import { SeededRandom } from '../simulator/random.ts'
import { WorkerTrial } from './worker-trial.ts'

t.setTimeout(120_000)

const nobody = { memberId: '', generationId: -1, groupInstanceId: null }
const policyOf = (name: 'Default' | 'Identity', separator = '.', isInner = true) =>
  new ReplicationPolicy({
    'replication.policy.class': `org.apache.kafka.connect.mirror.${name}ReplicationPolicy`,
    'replication.policy.separator': separator,
    'replication.policy.internal.topic.separator.enabled': isInner,
    'source.cluster.alias': 'a',
  })

t.test('names tell the way that a topic has come', (t) => {
  const usual = policyOf('Default')
  t.equal(usual.remoteTopic('a', 'orders'), 'a.orders')
  t.same(
    ['orders', 'a.orders', 'b.a.orders', 'a.'].map((topic) => usual.topicSource(topic)),
    [null, 'a', 'b', null],
  )
  t.same(
    ['orders', 'b.a.orders'].map((topic) => usual.upstreamTopic(topic)),
    [null, 'a.orders'],
  )
  t.equal(usual.originalTopic('b.a.orders'), 'orders')
  t.same(
    ['orders', 'b.orders', 'c.b.orders', 'c.orders'].map((topic) => usual.isCycle(topic, 'b')),
    [false, true, true, false],
  )
  t.same(
    ['a.heartbeats', 'heartbeats', 'a.orders'].map((topic) => usual.isHeartbeatsTopic(topic)),
    [true, true, false],
  )
  t.same(
    [usual.offsetSyncsTopic('b'), usual.checkpointsTopic('a')],
    ['mm2-offset-syncs.b.internal', 'a.checkpoints.internal'],
  )
  const internal = [
    'mm2-offset-syncs.b.internal',
    'a.checkpoints.internal',
    '__consumer_offsets',
    '.x',
    'x.internal',
  ]
  t.same(
    internal.map((topic) => usual.isInternalTopic(topic)),
    [true, true, true, true, false],
  )
  const same = policyOf('Identity')
  t.same(
    [same.remoteTopic('a', 'orders'), same.topicSource('orders'), same.upstreamTopic('orders')],
    ['orders', 'a', 'orders'],
  )
  t.same(
    [same.remoteTopic('a', 'heartbeats'), same.topicSource('b.heartbeats')],
    ['a.heartbeats', 'b'],
  )
  t.same(
    [same.isCycle('orders', 'b'), same.isCycle('b.heartbeats', 'b'), same.originalTopic('orders')],
    [false, true, 'orders'],
  )
  const other = policyOf('Default', '__')
  t.same(
    [other.remoteTopic('a', 'x.y'), other.topicSource('a.x'), other.checkpointsTopic('a')],
    ['a__x.y', null, 'a__checkpoints__internal'],
  )
  t.equal(policyOf('Default', '_', false).offsetSyncsTopic('b'), 'mm2-offset-syncs.b.internal')
  t.end()
})

t.test('records have MirrorMaker’s bytes, and what is none is passed over', (t) => {
  const sync = { topic: 'ö', partition: 3, upstreamOffset: 2 ** 33, downstreamOffset: 5 }
  const written = writeOffsetSync(sync)
  t.equal(written.key.toString('hex'), '0002c3b600000003')
  t.equal(written.value.toString('hex'), '00000002000000000000000000000005')
  t.same(readOffsetSync(written), sync)
  const checkpoint = {
    group: 'g',
    topic: 'a.t',
    partition: 1,
    upstreamOffset: 7,
    downstreamOffset: 6,
    metadata: 'm',
  }
  const told = writeCheckpoint(checkpoint)
  t.equal(told.key.toString('hex'), '0001670003612e7400000001')
  t.equal(told.value.toString('hex'), '000000000000000000070000000000000006' + '00016d')
  t.same(readCheckpoint(told), checkpoint)
  const beat = writeHeartbeat('a', 'b', 1)
  t.same(
    [beat.key.toString('hex'), beat.value.toString('hex')],
    ['000161000162', '00000000000000000001'],
  )
  const none = Buffer.alloc(3, 0xff)
  for (const value of [none, null, Buffer.alloc(0), told.value.subarray(0, 12)]) {
    t.equal(readCheckpoint({ key: told.key, value }), null)
    t.equal(readOffsetSync({ key: none, value }), null)
  }
  t.equal(
    readCheckpoint({ key: told.key, value: Buffer.concat([Buffer.from([0, 1]), told.value]) }),
    null,
  )
  t.end()
})

t.test('offsets are translated on the safe side, the better the nearer to the end', (t) => {
  const at = { topic: 't', partition: 0 }
  const random = new SeededRandom(3)
  for (let round = 0; round < 20; round++) {
    const syncs = new OffsetSyncs({ isForgetful: false })
    // What was mirrored: of each offset of the source the first one in the target behind all before it.
    const downstream: number[] = []
    let next = 0
    for (let upstream = 0; upstream < 3000; upstream++) {
      downstream.push(next)
      if (random.chance(0.9)) {
        if (upstream % 10 === 0)
          syncs.add({ ...at, upstreamOffset: upstream, downstreamOffset: next })
        next += random.chance(0.1) ? 2 : 1
      }
    }
    t.equal(syncs.translate(at, 10), null, 'nothing, before all is read')
    syncs.complete()
    let last = -1
    let isSafe = true
    let isNear = true
    for (let upstream = 0; upstream < 3000; upstream++) {
      const translated = syncs.translate(at, upstream)
      if (translated === null) continue
      isSafe &&= translated <= downstream[upstream]! && translated >= last
      isNear &&= downstream[upstream]! - translated <= 40 + 1.5 * (3000 - upstream)
      last = translated
    }
    t.ok(isSafe, 'never too far, never back')
    t.ok(isNear)
    t.ok(downstream[2999]! - syncs.translate(at, 2999)! < 40)
  }
  const syncs = new OffsetSyncs({ isForgetful: true })
  syncs.add({ ...at, upstreamOffset: 10, downstreamOffset: 5 })
  syncs.add({ ...at, upstreamOffset: 20, downstreamOffset: 15 })
  syncs.complete()
  t.same(
    [19, 20, 25].map((offset) => syncs.translate(at, offset)),
    [null, 15, 16],
    'only the last of before',
  )
  syncs.add({ ...at, upstreamOffset: 30, downstreamOffset: 25 })
  t.same(
    [20, 30, 31].map((offset) => syncs.translate(at, offset)),
    [15, 25, 26],
  )
  syncs.add({ ...at, upstreamOffset: 31, downstreamOffset: 0 })
  t.same(
    [30, 31].map((offset) => syncs.translate(at, offset)),
    [null, 0],
    'a target that began anew',
  )
  t.equal(syncs.translate({ ...at, partition: 1 }, 5), null)
  t.end()
})

t.test('which syncs are written, and when', async (t) => {
  const { log } = createNodeEnvironment({ log: { level: 'silent' } })
  const written: string[] = []
  const ends: OnDelivery[] = []
  const producer = {
    add: ({ key, value }: ProducerRecord, listener?: OnDelivery) => {
      const { partition, upstreamOffset, downstreamOffset } = readOffsetSync({ key, value })!
      written.push(`${partition}:${upstreamOffset}=${downstreamOffset}`)
      ends.push(listener!)
    },
    close: async () => undefined,
  }
  const writer = new OffsetSyncWriter(producer, 'syncs', { lagMax: 10, log })
  const mirrored = (partition: number, upstreamOffset: number, downstreamOffset: number) =>
    writer.mirrored({ topic: 't', partition, upstreamOffset, downstreamOffset })
  for (let at = 0; at < 25; at++) mirrored(0, at, at)
  t.same(written, ['0:0=0', '0:11=11', '0:22=22'], 'the first, and when ten are behind')
  writer.commit()
  writer.commit()
  t.same(
    written.splice(0),
    ['0:0=0', '0:11=11', '0:22=22', '0:24=24'],
    'the last when offsets are kept',
  )
  mirrored(0, 26, 25)
  mirrored(0, 27, 3)
  t.same(
    written.splice(0),
    ['0:26=25', '0:27=3'],
    'where one was left out, or the target begins anew',
  )
  const failed = { topic: 'syncs', partition: 0, offset: -1, timestamp: -1 }
  ends.at(-1)!(new Error('no'), failed)
  writer.commit()
  t.same(written.splice(0), ['0:27=3'], 'what has failed is written again')
  for (let at = 0; at < 3000; at += 2) mirrored(1, at, at)
  mirrored(2, 5, 5)
  const behind = written.splice(0)
  t.ok(behind.length < 1500, `${behind.length} wait for their acknowledgement`)
  t.equal(behind.at(-1), '2:5=5', 'the first of a partition does not')
  for (const acknowledge of ends.slice(-20)) acknowledge(null, failed)
  t.same(written.splice(0), ['1:2998=2998'], 'of those that wait the last')
  await writer.close()
  mirrored(3, 0, 0)
  t.same(written, [])
})

/** A worker beside the target, which writes exactly once, and a source. */
async function clusters(t: Test) {
  const environment = createNodeEnvironment({ log: { level: 'silent' } })
  const directory = mkdtempSync(join(tmpdir(), 'millrace-mirror-'))
  const { address, stop } = await startBroker(directory)
  const [host = '', port] = address.split(':')
  const source = new Cluster(environment, { bootstrap: [{ host, port: Number(port) }] })
  const worker = await WorkerTrial.start([mirrorSource, mirrorCheckpoint, mirrorHeartbeat], {
    'exactly.once.source.support': 'enabled',
  })
  t.teardown(async () => {
    await worker.stop()
    source.close()
    await stop()
    rmSync(directory, { recursive: true, force: true })
  })
  const target = worker.cluster
  const common = {
    'source.cluster.alias': 'a',
    'target.cluster.alias': 'b',
    'source.cluster.bootstrap.servers': address,
    'target.cluster.bootstrap.servers': `127.0.0.1:${[...(await target.nodes())][0]!.port}`,
    'replication.factor': '1',
    'offset-syncs.topic.replication.factor': '1',
    'checkpoints.topic.replication.factor': '1',
    'heartbeats.topic.replication.factor': '1',
    'source.consumer.isolation.level': 'read_committed',
  }
  const put = async (
    name: 'Source' | 'Checkpoint' | 'Heartbeat',
    more: Readonly<Record<string, string>>,
  ) => {
    const config = {
      'connector.class': `org.apache.kafka.connect.mirror.Mirror${name}Connector`,
      ...common,
      ...more,
    }
    return worker.ask('PUT', `/connectors/mirror-${name}/config`, config)
  }
  return { environment, source, target, worker, put }
}

interface Row {
  readonly partition: number
  readonly offset: number
  readonly text: string
  readonly timestamp: number
}

/** All that is committed of a topic, once there is as much. */
async function read(cluster: Cluster, topic: string, count: number): Promise<Row[]> {
  const consumer = new Consumer(cluster, { isolation: 'read_committed' })
  const { partitions } = await cluster.topic(topic, { fresh: true })
  consumer.assign(partitions.map(({ index }) => ({ topic, partition: index, offset: 'earliest' })))
  const rows: Row[] = []
  for (let round = 0; round < 100 && (rows.length < count || round === 0); round++)
    for (const { partition, records } of await consumer.poll({ timeoutMs: 100 }))
      for (const { key, value, offset, timestamp, headers } of records) {
        const named = headers.map(
          ({ key: name, value: bytes }) => `${name}=${bytes?.toString('hex')}`,
        )
        const text = `${key?.toString('hex')}:${value?.toString('hex')}:${named}`
        rows.push({ partition, offset, text, timestamp })
      }
  await consumer.close()
  return rows
}

t.test('topics, settings, records and groups of one cluster come to another', async (t) => {
  const { source, target, worker, put } = await clusters(t)
  await createTopics(source, [
    {
      name: 'orders',
      partitions: 2,
      replicationFactor: 1,
      configs: new Map([
        ['retention.ms', '1234567'],
        ['min.insync.replicas', '1'],
      ]),
    },
    { name: 'orders.replica', partitions: 1, replicationFactor: 1, configs: new Map() },
    { name: 'b.back', partitions: 1, replicationFactor: 1, configs: new Map() },
  ])
  const transaction = new Transaction(source, { transactionalId: 'writer' })
  await transaction.open()
  const producer = new Producer(source, { transaction })
  const write = async (from: number, count: number, how: 'commit' | 'abort') => {
    transaction.begin()
    for (let at = from; at < from + count; at++)
      producer.add({
        topic: 'orders',
        partition: at % 2,
        timestamp: 1_600_000_000_000 + at,
        key: at % 3 === 0 ? null : Buffer.from([0xff, at % 256]),
        value: at % 5 === 0 ? null : Buffer.from(`{"at":${at}}`),
        headers: [
          { key: 'h', value: Buffer.from([at % 256, 0x80]) },
          { key: 'h', value: null },
        ],
      })
    if (how === 'commit') await producer.commit()
    else await producer.abort()
  }
  await write(0, 300, 'commit')
  await write(300, 50, 'abort')
  await write(350, 251, 'commit')
  t.equal(
    (
      await put('Source', {
        'tasks.max': '2',
        'refresh.topics.interval.seconds': '1',
        'sync.topic.configs.interval.seconds': '1',
      })
    ).status,
    201,
  )
  await worker.untilStates('mirror-Source', 'RUNNING', 'RUNNING', 'RUNNING')
  const wanted = await read(source, 'orders', 551)
  const found = await read(target, 'a.orders', 551)
  const plain = (rows: readonly Row[]) =>
    [0, 1].map((of) =>
      rows
        .filter(({ partition }) => partition === of)
        .map(({ text, timestamp }) => `${timestamp} ${text}`),
    )
  t.same(plain(found), plain(wanted), 'bytes, headers, timestamps, partitions and order')
  t.same(
    (await target.allTopics())
      .map(({ name }) => name)
      .filter((name) => /orders|back|mm2/.test(name)),
    ['a.orders'],
  )
  t.ok((await source.allTopics()).some(({ name }) => name === 'mm2-offset-syncs.b.internal'))
  const setting = async (name: string) => {
    const [row] = await describeConfigs(target, [{ type: 'topic', name: 'a.orders' }])
    return row!.entries.find((entry) => entry.name === name)
  }
  t.match(await setting('retention.ms'), { value: '1234567', source: 'topic' })
  t.not((await setting('min.insync.replicas'))?.source, 'topic', 'is left out')

  // Groups: one at the end, one in the midst, one that nobody asked for.
  const ends = [0, 1].map((partition) => ({
    topic: 'orders',
    partition,
    offset:
      Math.max(...wanted.filter((row) => row.partition === partition).map(({ offset }) => offset)) +
      1,
    metadata: 'done',
  }))
  const early = wanted.filter(({ partition }) => partition === 0)[20]!
  await commitOffsets(source, { ...nobody, groupId: 'ahead' }, ends)
  await commitOffsets(source, { ...nobody, groupId: 'behind' }, [
    { topic: 'orders', partition: 0, offset: early.offset },
  ])
  await commitOffsets(source, { ...nobody, groupId: 'console-consumer-1' }, ends)
  t.equal(
    (
      await put('Checkpoint', {
        'tasks.max': '3',
        'emit.checkpoints.interval.seconds': '1',
        'sync.group.offsets.enabled': 'true',
        'sync.group.offsets.interval.seconds': '1',
        'refresh.groups.interval.seconds': '1',
      })
    ).status,
    201,
  )
  await worker.untilStates('mirror-Checkpoint', 'RUNNING', 'RUNNING', 'RUNNING')
  const committed = async (group: string) =>
    new Map(
      (await fetchCommitted(target, group, null)).map((row) => [
        `${row.topic}-${row.partition}`,
        row,
      ]),
    )
  await worker.until(
    'both groups are moved',
    async () => (await committed('ahead')).size === 2 && (await committed('behind')).size === 1,
  )
  for (const { partition } of ends) {
    const last = Math.max(
      ...found.filter((row) => row.partition === partition).map(({ offset }) => offset),
    )
    await worker.until(
      'the group is at the end',
      async () => (await committed('ahead')).get(`a.orders-${partition}`)?.offset === last + 1,
    )
  }
  t.equal((await committed('ahead')).get('a.orders-1')?.metadata, 'done')
  t.equal((await committed('console-consumer-1')).size, 0)
  const went = (await committed('behind')).get('a.orders-0')!.offset
  const text = found
    .filter(({ partition }) => partition === 0)
    .find(({ offset }) => offset >= went)!.text
  t.ok(wanted.findIndex((row) => row.text === text) <= wanted.indexOf(early), 'it misses nothing')
  const checkpoints = await read(target, 'a.checkpoints.internal', 3)
  t.ok(checkpoints.length >= 3)

  // The source goes on: more partitions, another setting, more records, and the groups with it.
  await createPartitions(source, new Map([['orders', 3]]))
  await alterConfigs(
    source,
    [{ type: 'topic', name: 'orders' }],
    [
      { name: 'retention.ms', operation: 'delete', value: null },
      { name: 'max.message.bytes', operation: 'set', value: '2000000' },
    ],
  )
  await worker.until(
    'the settings follow',
    async () =>
      (await setting('retention.ms'))?.source !== 'topic' &&
      (await setting('max.message.bytes'))?.value === '2000000',
  )
  await worker.until(
    'the partitions follow',
    async () => (await target.topic('a.orders', { fresh: true })).partitions.length === 3,
  )
  await worker.untilStates('mirror-Source', 'RUNNING', 'RUNNING', 'RUNNING')
  await write(601, 100, 'commit')
  await worker.stopWorker()
  await write(701, 100, 'commit')
  await worker.startWorker()
  const all = await read(target, 'a.orders', 751)
  t.same(
    plain(all),
    plain(await read(source, 'orders', 751)),
    'once each, whatever stopped and started',
  )

  t.equal((await put('Heartbeat', { 'emit.heartbeats.interval.seconds': '0' })).status, 201)
  const [beat] = await read(target, 'heartbeats', 1)
  t.match(beat!.text, /^000161000162:0000/)
})

t.test('what is wrong is said', async (t) => {
  const { worker, put, target } = await clusters(t)
  const refused = async (
    name: 'Source' | 'Checkpoint',
    more: Readonly<Record<string, string>>,
    says: RegExp,
  ) => {
    const { status, body } = await put(name, more)
    t.equal(status, 400)
    t.match(body.message, says)
  }
  await refused('Source', { topics: '(' }, /Invalid regular expression/)
  await refused(
    'Source',
    { 'replication.policy.class': 'my.Policy' },
    /my.Policy has no counterpart here/,
  )
  await refused(
    'Source',
    { 'emit.offset-syncs.enabled': 'false' },
    /can't setup offset-syncs feature/,
  )
  await refused(
    'Source',
    { 'exactly.once.support': 'required', 'source.consumer.isolation.level': 'read_uncommitted' },
    /does not support exactly-once/,
  )
  await refused(
    'Checkpoint',
    { 'emit.checkpoints.enabled': 'false' },
    /can't run with emit.checkpoints.enabled/,
  )
  await put('Source', { 'source.cluster.bootstrap.servers': '' })
  await worker.untilStates('mirror-Source', 'FAILED')
  await put('Source', { 'offset-syncs.topic.replication.factor': '3' })
  await worker.until('it says which topic cannot be made', async () => {
    const { body } = await worker.ask('GET', '/connectors/mirror-Source/status')
    return /Cannot create the topic mm2-offset-syncs.b.internal \(offset-syncs.topic.replication.factor=3\)/.test(
      body.connector.trace ?? '',
    )
  })
  // What cannot be reached now may be later.
  await put('Source', {
    'source.cluster.bootstrap.servers': '127.0.0.1:1',
    'admin.timeout.ms': '500',
  })
  await worker.untilStates('mirror-Source', 'RUNNING')
  t.same(
    (await target.allTopics()).filter(({ name }) => name.startsWith('a.')),
    [],
  )
  const stopped = await worker.ask('PUT', '/connectors/mirror-Source/stop')
  t.equal(stopped.status, 204)
  const move = (partition: object, offset: object | null) =>
    worker.ask('PATCH', '/connectors/mirror-Source/offsets', { offsets: [{ partition, offset }] })
  const partition = { cluster: 'a', partition: 0, topic: 'orders' }
  t.equal((await move(partition, { offset: 41 })).status, 200)
  t.equal(
    (await move({ ...partition, partition: -1 }, null)).status,
    200,
    'anything may be forgotten',
  )
  for (const [from, to] of [
    [partition, { offset: -1 }],
    [partition, { offset: '1' }],
    [{ ...partition, partition: -1 }, { offset: 1 }],
    [{ cluster: 'a', partition: 0 }, { offset: 1 }],
  ] as const)
    t.equal((await move(from, to)).status, 400)
})

/** What a producer may send, in which version, and what it is told. */
import t from 'tap'
import { errors } from '../../protocol/errors.ts'
import { compressions } from '../../protocol/records/compression/compression.ts'
import { encodeMessageSet, type OldMagic } from '../../protocol/records/message-set.ts'
import { encodeBatch, readBatch } from '../../protocol/records/record.ts'
import { DiskError } from '../../src/environment/disk.ts'
import type { Threads } from '../../src/environment/threads.ts'
import { produce } from '../../src/handlers/produce.ts'
import { Conversions, convert } from '../../src/log/conversion/conversions.ts'
import { batchOf, DataPath } from './data-path.ts'

interface Sent {
  version?: number
  acks?: number
  topic?: string
  topicId?: string
  index?: number
  records?: Buffer | null
  transactionalId?: string | null
  clientId?: string
}

const inputOf = ({ acks = 1, topic = 'orders', topicId, index = 0, ...sent }: Sent) => ({
  acks,
  timeoutMs: 1000,
  transactionalId: sent.transactionalId ?? null,
  topicData: [
    {
      name: topic,
      ...(topicId !== undefined && { topicId }),
      partitionData: [
        { index, records: sent.records === null ? null : [sent.records ?? batchOf(['a', 'b'])] },
      ],
    },
  ],
})

async function send(path: DataPath, sent: Sent) {
  const { version = 12, clientId = 'test' } = sent
  const response = await path.call(produce(path.parts), version, inputOf(sent), { clientId })
  return response === null || response === undefined
    ? response
    : response.responses[0]?.partitionResponses[0]
}

function messageSet(magic: OldMagic, values: readonly string[]): Buffer {
  const messages = values.map((value, offset) => ({
    offset,
    timestamp: magic === 0 ? -1 : 1_767_225_600_000,
    key: null,
    value: Buffer.from(value),
  }))
  return encodeMessageSet({ magic, messages, compression: 'none', timestampType: 0 })
}

async function valuesIn(path: DataPath, topic = 'orders'): Promise<string[]> {
  const { log } = path.partition(topic)
  const upToOffset = log.logEndOffset
  const read = await path.world.run(
    Promise.resolve(log.reader.read({ offset: 0, maxBytes: 1e6, minOneBatch: true, upToOffset })),
  )
  const values: string[] = []
  const bytes = Buffer.concat(read.chunks)
  for (let at = 0; at < bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
    for (const { value } of readBatch(bytes, at).records) values.push(String(value))
  }
  return values
}

t.test('every version appends and tells where', async (t) => {
  const path = new DataPath()
  const { id } = path.createTopic('orders')
  for (let version = 0; version <= 13; version++) {
    const records =
      version < 2 ? messageSet(0, ['a', 'b']) : version < 3 ? messageSet(1, ['a', 'b']) : undefined
    const sent = { version, ...(records && { records }), ...(version >= 13 && { topicId: id }) }
    const answer = await send(path, sent)
    t.match(answer, { errorCode: 0, baseOffset: version * 2, logAppendTimeMs: -1 }, `${version}`)
  }
  t.equal((await valuesIn(path)).length, 28)
  t.equal(path.partition('orders').highWatermark, 28)
})

t.test('acks', async (t) => {
  const path = new DataPath()
  path.createTopic('orders')
  t.match(await send(path, { acks: -1 }), { errorCode: 0, baseOffset: 0 })
  t.equal(await send(path, { acks: 0 }), null, 'no answer')
  t.equal(await send(path, { acks: 0, topic: 'none' }), undefined, 'the connection is closed')
  t.match(await send(path, { acks: 2 }), { errorCode: 21, baseOffset: -1 })
  t.match(await send(path, { acks: 1 }), { errorCode: 0, baseOffset: 4 })
  t.equal(path.partition('orders').log.logEndOffset, 6)
})

t.test('acks=all needs the in-sync replicas that the topic asks for', async (t) => {
  const path = new DataPath()
  const config = { minInsyncReplicas: 2 }
  path.createTopic('alone', { config })
  path.createTopic('thin', { config, replicas: [1, 2], isr: [1] })
  t.match(await send(path, { topic: 'alone', acks: -1 }), { errorCode: 0 }, 'no more than replicas')
  t.match(await send(path, { topic: 'thin', acks: -1 }), { errorCode: 19 })
  t.match(await send(path, { topic: 'thin', acks: 1 }), { errorCode: 0 })
})

t.test('what a partition refuses', async (t) => {
  const path = new DataPath()
  const { id } = path.createTopic('orders')
  path.createTopic('__consumer_offsets')
  path.createTopic('elsewhere', { replicas: [2], leader: 2, leaderEpoch: 7 })
  path.createTopic('followed', { replicas: [1, 2], leader: 2, leaderEpoch: 7 })
  path.createTopic('keyed', { config: { cleanupPolicy: ['compact'] } })
  const two = Buffer.concat([batchOf(['a']), batchOf(['b'])])
  const bad = batchOf(['a'])
  bad[bad.length - 2] = 9
  const zstd = batchOf(['a'])
  zstd[22] = compressions.indexOf('zstd')
  const [small, large] = ['a', 'a'.repeat(5000)].map((value) => batchOf([value]))
  for (const batch of [small, large]) batch![22] = compressions.length
  const cases: [string, Sent, number][] = [
    ['unknown topic', { topic: 'none' }, 3],
    ['unknown partition', { index: 1 }, 3],
    ['unknown topic id', { version: 13, topicId: 'zzzzzzzzzzzzzzzzzzzzzA' }, 100],
    ['unknown partition of an id', { version: 13, topicId: id, index: 1 }, 3],
    ['internal topic', { topic: '__consumer_offsets' }, 17],
    ['internal topic, admin', { topic: '__consumer_offsets', clientId: '__admin_client' }, 0],
    ['not hosted here', { topic: 'elsewhere' }, 6],
    ['not led here', { topic: 'followed' }, 6],
    ['no records', { records: null }, 87],
    ['empty records', { records: Buffer.alloc(0) }, 87],
    ['a message set in a new version', { version: 3, records: messageSet(1, ['a']) }, 87],
    ['two batches', { records: two }, 87],
    ['wrong checksum', { records: bad }, 2],
    ['cut short', { records: batchOf(['a']).subarray(0, 65) }, 87],
    ['a codec nobody knows', { records: small! }, 2],
    ['much of it', { records: large! }, 2],
    ['one before zstd had its version', { version: 6, records: small! }, 2],
    ['zstd before its version', { version: 6, records: zstd }, 76],
    ['no key on a compacted topic', { topic: 'keyed' }, 87],
    [
      'transactional id nobody knows',
      {
        transactionalId: 'tx',
        records: batchOf(['a'], {
          isTransactional: true,
          producerId: 5,
          producerEpoch: 0,
          baseSequence: 0,
        }),
      },
      49,
    ],
    [
      'a transaction without id',
      {
        records: batchOf(['a'], {
          isTransactional: true,
          producerId: 5,
          producerEpoch: 0,
          baseSequence: 0,
        }),
      },
      53,
    ],
    ['an empty set in an old version', { version: 2, records: Buffer.alloc(0) }, 0],
  ]
  for (const [name, sent, errorCode] of cases) {
    t.match(await send(path, sent), { errorCode }, name)
  }
  const keyed = await send(path, { topic: 'keyed' })
  t.match(keyed?.recordErrors, [{ batchIndex: 0 }, { batchIndex: 1 }], 'names the records')
  t.ok(keyed?.errorMessage)
  t.equal(keyed?.logStartOffset, 0, 'what the log refused tells where it begins')
  t.match(await send(path, { records: bad }), { logStartOffset: -1 })
  t.match(await send(path, { records: two }), { logStartOffset: -1 }, 'what never got there')
  t.match(await send(path, { topic: 'elsewhere' }), {
    currentLeader: { leaderId: 2, leaderEpoch: 7 },
  })
  t.match(await send(path, { topic: 'elsewhere', version: 9 }), { errorCode: 6 })
  t.equal(path.partition('orders').log.logEndOffset, 0)
})

t.test('a batch sent twice gets the offset it has', async (t) => {
  const path = new DataPath()
  path.createTopic('orders')
  const batch = (baseSequence: number) =>
    batchOf(['a', 'b'], { producerId: 7, producerEpoch: 0, baseSequence })
  t.match(await send(path, { records: batch(0) }), { errorCode: 0, baseOffset: 0 })
  t.match(await send(path, { records: batch(2) }), { errorCode: 0, baseOffset: 2 })
  t.match(await send(path, { records: batch(0) }), { errorCode: 0, baseOffset: 0 }, 'again')
  t.match(await send(path, { records: batch(6) }), { errorCode: 45 }, 'a gap')
  t.equal(path.partition('orders').log.logEndOffset, 4)
})

t.test('log append time', async (t) => {
  const path = new DataPath()
  path.createTopic('orders', { config: { messageTimestampType: 'LogAppendTime' } })
  await path.world.runFor(5000)
  const now = path.process.environment.clock.now()
  t.match(await send(path, {}), { errorCode: 0, logAppendTimeMs: now })
})

t.test('what comes in one turn is written at once', async (t) => {
  const path = new DataPath()
  path.createTopic('orders')
  await send(path, {})
  let writes = 0
  path.process.disk.fault = (operation, name) => {
    if (operation === 'write' && name.endsWith('.log')) writes++
    return undefined
  }
  const handler = produce(path.parts)
  const answers = [1, -1, 1].map((acks) => path.start(handler, 12, inputOf({ acks })))
  await path.world.run(Promise.all(answers))
  t.equal(writes, 1)
  t.equal(path.partition('orders').highWatermark, 8)
})

t.test('several partitions in a request, some of them wrong', async (t) => {
  const path = new DataPath()
  path.createTopic('orders', { partitions: 3 })
  const partitionData = [0, 1, 2, 3].map((index) => ({ index, records: [batchOf(['a'])] }))
  const response = await path.call(produce(path.parts), 12, {
    ...inputOf({}),
    topicData: [
      { name: 'orders', partitionData },
      { name: 'orders', partitionData: [] },
      { name: 'unknown', partitionData: [] },
    ],
  })
  t.equal(response?.responses.length, 1, 'a topic without partitions is not answered')
  const codes = response?.responses[0]?.partitionResponses.map(({ errorCode }) => errorCode)
  t.same(codes, [0, 0, 0, 3])
})

t.test(
  'a request unpacks no more than its allowance, however many partitions it has',
  async (t) => {
    const path = new DataPath()
    const config = { compressionType: 'uncompressed', maxMessageBytes: 2 ** 25 } as const
    path.createTopic('orders', { partitions: 4, config })
    const zeros = batchOf(['\0'.repeat(6 * 1024 * 1024)], { compression: 'gzip' })
    const input = inputOf({ records: zeros })
    const partitionData = [0, 1, 2, 3].map((index) => ({ index, records: [Buffer.from(zeros)] }))
    const topicData = [{ ...(input.topicData[0] as (typeof input.topicData)[0]), partitionData }]
    const response = await path.call(produce(path.parts), 12, { ...input, topicData })
    const codes = response?.responses[0]?.partitionResponses.map(({ errorCode }) => errorCode)
    const { code } = errors.MESSAGE_TOO_LARGE
    t.strictSame(codes, [0, 0, code, code], 'two of six MiB are within sixteen')
    const alone = await send(path, { index: 3, records: Buffer.from(zeros) })
    t.equal(alone?.errorCode, 0, 'what was too much for one request is not for the next')
    const bomb = batchOf(['\0'.repeat(17 * 1024 * 1024)], { compression: 'gzip' })
    t.match(await send(path, { records: bomb }), { errorCode: code })
  },
)

t.test('a disk that fails', async (t) => {
  const path = new DataPath({ disks: ['/one', '/two'] })
  path.createTopic('orders', { partitions: 2 })
  path.process.disk.fault = (operation, name) =>
    operation === 'write' && name.startsWith('/one') ? 'EIO' : undefined
  const answers = []
  for (const index of [0, 1]) answers.push((await send(path, { index }))?.errorCode)
  t.same(answers.sort(), [0, 56], 'only one directory is affected')
  path.process.disk.fault = undefined
  const again = []
  for (const index of [0, 1]) again.push((await send(path, { index }))?.errorCode)
  t.same(again.sort(), [0, 56], 'and stays so')
  t.ok(path.replicas.directories.find(({ path }) => path === '/one')?.failure instanceof DiskError)
})

t.test('who wants no answer learns of a lost write by the end of the connection', async (t) => {
  const path = new DataPath()
  path.createTopic('orders')
  path.process.disk.fault = (operation) => (operation === 'write' ? 'EIO' : undefined)
  t.equal(await send(path, { acks: 0 }), undefined, 'it was in line when the disk failed')
  t.equal(await send(path, { acks: 0 }), undefined, 'and this one was never')
})

t.test('what takes long to check is checked elsewhere, while the connection waits', async (t) => {
  const config = { cleanupPolicy: ['compact'], messageTimestampType: 'LogAppendTime' } as const
  const path = new DataPath()
  path.createTopic('orders', { config })
  const { environment } = path.process
  let asked = 0
  const threads: Threads = {
    start: () => ({
      ask: async (question) => {
        asked++
        await new Promise<void>((resolve) => void environment.timers.after(100, resolve))
        return convert(question)
      },
      end: async () => {},
    }),
  }
  const { timers } = environment
  const handler = produce({ ...path.parts, conversions: new Conversions({ timers, threads }) })
  const records = (count: number, isKeyed = true) =>
    encodeBatch({
      records: Array.from({ length: count }, (_, n) => ({
        timestamp: environment.clock.now(),
        key: isKeyed ? Buffer.from(`${n}`) : null,
        value: Buffer.alloc(100, 'x'),
      })),
      compression: 'gzip',
    })
  const answerOf = async (batch: Buffer) => {
    const answer = await path.world.run(path.call(handler, 9, inputOf({ records: batch })))
    return answer?.responses[0]?.partitionResponses[0]
  }
  t.match(await answerOf(records(1_000)), { errorCode: 0, baseOffset: 0 })
  t.equal(asked, 0, 'little is checked at once')
  const late = await answerOf(records(20_000))
  t.match(late, { errorCode: 0, baseOffset: 1_000, logStartOffset: 0 })
  t.equal(asked, 1)
  const { log } = path.partition('orders')
  t.equal(log.logEndOffset, 21_000)
  const found = await path.world.run(log.reader.offsetOfMaxTimestamp())
  t.equal(found?.timestamp, late?.logAppendTimeMs, 'it has the time of the append')
  const refused = await answerOf(records(20_000, false))
  t.match(refused, { errorCode: errors.INVALID_RECORD.code, logStartOffset: 0 })
  t.equal(refused?.recordErrors.length, 20_000)
  t.equal(log.logEndOffset, 21_000)

  // However small they are: a few that unpack to much, and many that each unpack to little.
  const zeros = (count: number) => {
    const record = { timestamp: 0, key: Buffer.from('k'), value: Buffer.alloc(count) }
    return encodeBatch({ records: [record], compression: 'gzip' })
  }
  const small = zeros(3 * 1024 * 1024)
  t.ok(small.length < 4096, `${small.length} bytes`)
  asked = 0
  t.match(await answerOf(small), { errorCode: 0 })
  t.equal(asked, 1)
  asked = 0
  path.createTopic('many', { config, partitions: 8 })
  const input = inputOf({ topic: 'many' })
  const partitionData = Array.from({ length: 8 }, (_, index) => {
    return { index, records: [zeros(300 * 1024)] }
  })
  const topicData = [{ ...(input.topicData[0] as (typeof input.topicData)[0]), partitionData }]
  const answer = await path.world.run(path.call(handler, 9, { ...input, topicData }))
  t.ok(answer?.responses[0]?.partitionResponses.every(({ errorCode }) => errorCode === 0))
  t.ok(asked >= 4, `${asked}`)
})

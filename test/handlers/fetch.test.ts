/** What a consumer is given: which batches, in which form, when, and what it need not be told again. */
import t from 'tap'
import { magic } from '../../protocol/records/batch.ts'
import { readMessageSet } from '../../protocol/records/message-set.ts'
import { readBatch } from '../../protocol/records/record.ts'
import { atOnce, type Steps } from '../../src/environment/in-turns.ts'
import { fetch } from '../../src/handlers/fetch.ts'
import { ParkedFetches } from '../../src/replication/parked-fetches.ts'
import { batchOf, Connection, DataPath } from './data-path.ts'

interface Asked {
  version?: number
  /** Index and offset, of topic `orders` unless it says so. */
  offsets?: Record<number, number>
  topic?: string
  topicId?: string
  maxWaitMs?: number
  minBytes?: number
  maxBytes?: number
  partitionMaxBytes?: number
  currentLeaderEpoch?: number
  lastFetchedEpoch?: number
  isolationLevel?: number
  sessionId?: number
  sessionEpoch?: number
  replicaId?: number
  connection?: Connection
}

function inputOf(asked: Asked) {
  const { topic = 'orders', topicId, offsets = { 0: 0 } } = asked
  const { partitionMaxBytes = 1_000_000, currentLeaderEpoch, lastFetchedEpoch } = asked
  const { maxWaitMs = 0, minBytes = 1, maxBytes = 10_000_000, isolationLevel = 0 } = asked
  const { sessionId = 0, sessionEpoch = -1, replicaId = -1, version = 12 } = asked
  const partitions = Object.entries(offsets).map(([index, fetchOffset]) => ({
    partition: Number(index),
    fetchOffset,
    partitionMaxBytes,
    currentLeaderEpoch,
    lastFetchedEpoch,
  }))
  return {
    maxWaitMs,
    minBytes,
    maxBytes,
    isolationLevel,
    sessionId,
    sessionEpoch,
    ...(version < 15 ? { replicaId } : { replicaState: { replicaId } }),
    topics:
      partitions.length === 0
        ? []
        : [{ topic, ...(topicId !== undefined && { topicId }), partitions }],
  }
}

const versionOf = ({ version = 12 }: Asked): number => version

async function ask(path: DataPath, asked: Asked) {
  return path.call(fetch(path.parts), versionOf(asked), inputOf(asked))
}

async function askOne(path: DataPath, asked: Asked) {
  const response = await ask(path, asked)
  return response?.responses[0]?.partitions[0]
}

function offsetsIn(records: readonly Buffer[] | null | undefined): number[] {
  const bytes = Buffer.concat([...(records ?? [])])
  const offsets: number[] = []
  if (bytes.length > 16 && magic(bytes, 0) < 2) {
    return readMessageSet(bytes).messages.map(({ offset }) => offset)
  }
  for (let at = 0; at < bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
    for (const { offset } of readBatch(bytes, at).records) offsets.push(offset)
  }
  return offsets
}

t.test('every version gets the records in its form', async (t) => {
  const path = new DataPath()
  const { id } = path.createTopic('orders')
  await path.append('orders', ['a', 'b'])
  await path.append('orders', ['c'])
  for (let version = 0; version <= 18; version++) {
    const answer = await askOne(path, { version, ...(version >= 13 && { topicId: id }) })
    t.match(answer, { errorCode: 0, highWatermark: 3, partitionIndex: 0 }, `${version}`)
    if (version >= 4) t.equal(answer?.lastStableOffset, 3)
    if (version >= 5) t.equal(answer?.logStartOffset, 0)
    t.same(offsetsIn(answer?.records), [0, 1, 2], `records in version ${version}`)
    const bytes = Buffer.concat([...(answer?.records ?? [])])
    t.equal(magic(bytes, 0), version <= 1 ? 0 : version <= 3 ? 1 : 2)
  }
})

t.test('where reading begins and ends', async (t) => {
  const path = new DataPath()
  path.createTopic('orders')
  for (const value of ['a', 'b', 'c']) await path.append('orders', [value, value])
  const read = async (asked: Asked) => offsetsIn((await askOne(path, asked))?.records)
  t.same(await read({ offsets: { 0: 3 } }), [2, 3, 4, 5], 'the middle of a batch: the whole batch')
  t.same(
    await read({ version: 3, offsets: { 0: 3 } }),
    [3, 4, 5],
    'old clients: from the record on',
  )
  t.same(await read({ offsets: { 0: 6 } }), [])
  t.match(await askOne(path, { offsets: { 0: 7 } }), { errorCode: 1, highWatermark: -1 })
  path.partition('orders').deleteRecords(2)
  t.match(await askOne(path, { offsets: { 0: 1 } }), { errorCode: 1 })
  t.same(await read({ offsets: { 0: 2 } }), [2, 3, 4, 5])
  t.same(await read({ offsets: { 0: 2 }, isolationLevel: 1 }), [2, 3, 4, 5], 'read committed')
  t.same((await askOne(path, { offsets: { 0: 2 }, isolationLevel: 1 }))?.abortedTransactions, [])
})

t.test('how many bytes', async (t) => {
  const path = new DataPath()
  path.createTopic('orders', { partitions: 3 })
  const size = batchOf(['x'.repeat(1000)]).length
  for (const index of [0, 1, 2]) {
    for (let i = 0; i < 3; i++) {
      const records = batchOf(['x'.repeat(1000)])
      await path.world.run(path.partition('orders', index).append(records, { acks: 1 }).written)
    }
  }
  const read = async (asked: Asked) => {
    const response = await ask(path, { offsets: { 0: 0, 1: 0, 2: 0 }, ...asked })
    return response?.responses[0]?.partitions.map(({ records }) => offsetsIn(records).length)
  }
  t.same(await read({}), [3, 3, 3])
  t.same(await read({ partitionMaxBytes: size }), [1, 1, 1], 'per partition')
  t.same(await read({ maxBytes: 4 * size }), [3, 1, 0], 'in all')
  t.same(await read({ maxBytes: 1 }), [1, 0, 0], 'the first batch always')
  t.same(await read({ partitionMaxBytes: 0 }), [1, 0, 0])
  const old = await ask(path, { version: 2, partitionMaxBytes: 100, offsets: { 0: 0, 1: 0 } })
  const lengths = old?.responses[0]?.partitions.map(({ records }) => records?.[0]?.length)
  t.same(lengths, [100, 100], 'before version 3 the limit is hard, and a message is cut')
})

t.test('where an answer holds less than was asked for, all have their turn', async (t) => {
  const path = new DataPath()
  const names = ['orders', 'payments']
  for (const topic of names) {
    path.createTopic(topic, { partitions: 6 })
    for (let index = 0; index < 6; index++) {
      await path.world.run(path.partition(topic, index).append(batchOf(['x']), { acks: 1 }).written)
    }
  }
  const offsets = Object.fromEntries(Array.from({ length: 6 }, (_, index) => [index, 0]))
  const first = inputOf({ offsets })
  const topics = names.map((topic) => ({ ...first.topics[0]!, topic }))
  const room = 3 * batchOf(['x']).length
  const ask = (more: object, correlationId: number) =>
    path.call(
      fetch(path.parts),
      12,
      { ...first, topics, ...more },
      {
        context: { correlationId, replyBytesLeft: room },
      },
    )
  const served = new Set<string>()
  for (let correlationId = 0; correlationId < 200; correlationId += 12) {
    const answer = await ask({}, correlationId)
    t.same(answer?.responses.map(({ topic }) => topic).sort(), names, 'each topic once')
    const all = answer!.responses.flatMap(({ topic, partitions }) =>
      partitions.map(({ partitionIndex, records }) => ({
        records,
        name: `${topic}-${partitionIndex}`,
      })),
    )
    t.equal(new Set(all.map(({ name }) => name)).size, 12, 'each partition once')
    const full = all.filter(({ records }) => offsetsIn(records).length > 0)
    t.equal(full.length, 3)
    for (const { name } of full) served.add(name)
  }
  t.equal(served.size, 12, 'those named last as well')
  const few = await ask({ maxBytes: room }, 7)
  const lengths = few?.responses[0]?.partitions.map(({ records }) => offsetsIn(records).length)
  t.same(
    lengths,
    [1, 1, 1, 0, 0, 0],
    'in the order of the request where it holds what was asked for',
  )
})

t.test('what a partition refuses', async (t) => {
  const path = new DataPath()
  const { id } = path.createTopic('orders', { leaderEpoch: 4 })
  path.createTopic('elsewhere', { replicas: [2], leader: 2, leaderEpoch: 7 })
  path.createTopic('packed', { config: { compressionType: 'zstd' } })
  await path.append('orders', ['a'])
  const cases: [string, Asked, number][] = [
    ['unknown topic', { topic: 'none' }, 3],
    ['unknown partition', { offsets: { 1: 0 } }, 3],
    ['unknown topic id', { version: 13, topicId: 'zzzzzzzzzzzzzzzzzzzzzA' }, 100],
    ['unknown partition of an id', { version: 13, topicId: id, offsets: { 1: 0 } }, 3],
    ['not hosted here', { topic: 'elsewhere' }, 6],
    ['an epoch gone by', { currentLeaderEpoch: 3 }, 74],
    ['an epoch to come', { currentLeaderEpoch: 5 }, 75],
    ['the epoch', { currentLeaderEpoch: 4 }, 0],
    ['a replica that is none', { replicaId: 2 }, 6],
    ['a replica that is none, of the epoch', { replicaId: 2, currentLeaderEpoch: 4 }, 75],
    ['zstd before its version', { topic: 'packed', version: 9 }, 76],
    ['zstd', { topic: 'packed', version: 10 }, 0],
  ]
  for (const [name, asked, errorCode] of cases) {
    t.match(await askOne(path, asked), { errorCode }, name)
  }
  const committed = { isolationLevel: 1 }
  const { abortedTransactions } = (await askOne(path, { ...committed })) ?? {}
  t.same(abortedTransactions, [], 'none were aborted')
  const unread: Asked[] = [{ replicaId: 2 }, { currentLeaderEpoch: 3 }, { offsets: { 0: 9 } }]
  for (const asked of unread) {
    const answer = await askOne(path, { ...committed, ...asked })
    t.equal(answer?.abortedTransactions, null, 'not known where nothing was read')
  }
  for (const isolationLevel of [2, -1]) {
    const response = await ask(path, { isolationLevel })
    t.match(response, { errorCode: 42, responses: [{ partitions: [{ errorCode: 42 }] }] })
  }
  const elsewhere = { version: 16, topicId: path.image.topics.byName.get('elsewhere')?.id ?? '' }
  t.match(await askOne(path, elsewhere), { currentLeader: { leaderId: 2, leaderEpoch: 7 } })
})

t.test('a history that is not ours ends where ours does', async (t) => {
  const path = new DataPath()
  const topic = path.createTopic('orders')
  await path.append('orders', ['a', 'b'])
  const partitions = topic.partitions.map((p) => ({ ...p, leaderEpoch: 3, partitionEpoch: 3 }))
  path.setTopic({ ...topic, partitions })
  await path.append('orders', ['c'])
  const offsets = { 0: 3 }
  t.match(await askOne(path, { offsets, lastFetchedEpoch: 3 }), {
    divergingEpoch: { epoch: -1, endOffset: -1 },
  })
  t.match(await askOne(path, { offsets, lastFetchedEpoch: 2 }), {
    divergingEpoch: { epoch: 0, endOffset: 2 },
    records: [],
  })
  t.match(await askOne(path, { offsets, lastFetchedEpoch: 0 }), {
    divergingEpoch: { epoch: 0, endOffset: 2 },
  })
})

t.test('a fetch waits for what it asks for', async (t) => {
  const path = new DataPath()
  const topic = path.createTopic('orders', { partitions: 2 })
  const handler = fetch(path.parts)
  const start = (asked: Asked) => {
    const waiting = { maxWaitMs: 500, offsets: { 0: 0, 1: 0 }, ...asked }
    const options = asked.connection === undefined ? {} : { connection: asked.connection }
    return path.start(handler, versionOf(asked), inputOf(waiting), options)
  }
  const startedMs = path.world.nowMs
  const elapsed = () => path.world.nowMs - startedMs

  const woken = start({})
  t.equal(path.parked.size, 1)
  await path.world.runFor(100)
  await path.append('orders', ['a'])
  const response = await path.world.run(woken)
  t.same(offsetsIn(response?.responses[0]?.partitions[0]?.records), [0])
  t.ok(elapsed() < 110, 'by the append, not by the clock')
  t.equal(path.parked.size, 0)

  const bytes = batchOf(['a']).length
  const greedy = start({ minBytes: 3 * bytes })
  await path.append('orders', ['b'])
  t.equal(path.parked.size, 1, 'two batches are not three')
  t.equal(path.releasedUnsent, 2, 'what is read and not enough is not kept')
  await path.append('orders', ['c'])
  t.same(offsetsIn((await path.world.run(greedy))?.responses[0]?.partitions[0]?.records), [0, 1, 2])

  const from = path.world.nowMs
  const late = await path.world.run(start({ offsets: { 1: 0 } }))
  t.equal(Math.round(path.world.nowMs - from), 500, 'until its time is up')
  t.match(late?.responses[0]?.partitions[0], { errorCode: 0, records: [] })
  t.match((await path.world.run(start({ offsets: { 1: 9 } })))?.responses[0]?.partitions[0], {
    errorCode: 1,
  })
  t.equal(Math.round(path.world.nowMs - from), 500, 'an error does not wait')

  const connection = new Connection()
  const gone = start({ offsets: { 1: 0 }, connection })
  connection.close()
  t.equal(await path.world.run(gone), null)
  t.equal(await path.world.run(start({ offsets: { 1: 0 }, connection })), null)

  const fenced = start({ offsets: { 1: 0 }, currentLeaderEpoch: 0 })
  const partitions = topic.partitions.map((p) => ({ ...p, leaderEpoch: 1, partitionEpoch: 1 }))
  path.setTopic({ ...topic, partitions })
  t.match((await path.world.run(fenced))?.responses[0]?.partitions[0], { errorCode: 74 })

  const deleted = start({ offsets: { 1: 0 } })
  path.deleteTopic(topic)
  t.match((await path.world.run(deleted))?.responses[0]?.partitions[0], { errorCode: 3 })
  t.equal(path.parked.size, 0)
})

t.test('how many wait, and how all are woken', async (t) => {
  const path = new DataPath()
  path.createTopic('orders')
  path.parked = new ParkedFetches({ timers: path.process.environment.timers, parkedMax: 2 })
  const handler = fetch(path.parts)
  const waiting = () => path.start(handler, 12, inputOf({ maxWaitMs: 60_000 }))
  const parked = [waiting(), waiting()]
  t.equal(path.parked.size, 2)
  const beyond = await path.world.run(waiting())
  t.match(beyond?.responses[0]?.partitions[0], { errorCode: 0, records: [] }, 'is not kept waiting')
  path.parked.close()
  t.equal(path.parked.size, 0)
  for (const response of await path.world.run(Promise.all(parked))) {
    t.match(response?.responses[0]?.partitions[0], { errorCode: 0, records: [] })
  }
  t.ok(path.world.nowMs < 1000)
})

t.test('a session is told only what changed', async (t) => {
  const path = new DataPath()
  const { id: topicId } = path.createTopic('orders', { partitions: 3 })
  const told = async (asked: Asked) => {
    const response = await ask(path, { version: 13, topicId, offsets: {}, ...asked })
    const partitions = response?.responses.flatMap((topic) => topic.partitions) ?? []
    const indexes = partitions.map(({ partitionIndex }) => partitionIndex)
    return { id: response?.sessionId ?? 0, errorCode: response?.errorCode, indexes }
  }
  const full = await told({ sessionEpoch: 0, offsets: { 0: 0, 1: 0, 2: 0 } })
  t.same(full.indexes, [0, 1, 2])
  t.ok(full.id > 0)
  const sessionId = full.id
  t.same((await told({ sessionId, sessionEpoch: 1 })).indexes, [])
  await path.append('orders', ['a'])
  t.same((await told({ sessionId, sessionEpoch: 2 })).indexes, [0])
  t.same((await told({ sessionId, sessionEpoch: 3 })).indexes, [0], 'it has not moved on')
  t.same((await told({ sessionId, sessionEpoch: 4, offsets: { 0: 1 } })).indexes, [])
  t.match(await told({ sessionId, sessionEpoch: 4 }), { errorCode: 71, id: 0 })
  t.match(await told({ sessionId: sessionId + 1, sessionEpoch: 1 }), { errorCode: 70 })
  t.match(await told({ sessionId, sessionEpoch: 5, version: 12 }), { errorCode: 106 })
  t.same((await told({ sessionId, sessionEpoch: 5, offsets: { 7: 0 } })).indexes, [7], 'an error')
  t.same((await told({ sessionId, sessionEpoch: 6 })).indexes, [7], 'is told each time')
})

t.test('partitions of a session rest until there is something to tell of them', async (t) => {
  const path = new DataPath()
  const topic = path.createTopic('orders', { partitions: 4 })
  let sessionId = 0
  let sessionEpoch = 0
  const next = (asked: Asked) => ({
    offsets: {},
    ...asked,
    sessionId,
    sessionEpoch: sessionEpoch++,
  })
  const told = async (asked: Asked = {}) => {
    const response = await ask(path, next(asked))
    sessionId = response?.sessionId ?? 0
    const partitions = response?.responses.flatMap(({ partitions }) => partitions) ?? []
    return partitions.map(({ partitionIndex: index, errorCode, logStartOffset, records }) => [
      ...[index, errorCode, logStartOffset, offsetsIn(records).length],
    ])
  }
  const { traffic } = path.partition('orders')
  const looks = async (asked?: Asked) => {
    const before = traffic.fetchRequests
    await told(asked)
    return traffic.fetchRequests - before
  }
  for (const index of [0, 1, 2, 3]) {
    await path.world.run(
      path.partition('orders', index).append(batchOf(['a']), { acks: 1 }).written,
    )
  }
  await told({ offsets: { 0: 1, 1: 1, 2: 1, 3: 0 } })
  t.equal(await looks(), 4, 'what the first request found has to be told again')
  t.equal(await looks(), 1, 'only the one with records is looked at')
  t.equal(await looks({ offsets: { 3: 1 } }), 1)
  t.equal(await looks(), 0)

  await path.append('orders', ['b'])
  t.same(await told(), [[0, 0, 0, 1]], 'an append')
  await told({ offsets: { 0: 2 } })
  path.partition('orders', 1).deleteRecords(1)
  t.same(await told(), [[1, 0, 1, 0]], 'a later start')
  t.equal(await looks(), 1)
  t.equal(await looks(), 0)
  t.equal(await looks({ isolationLevel: 1 }), 4, 'other records may be read')
  t.equal(await looks({ isolationLevel: 1 }), 0)
  t.equal(await looks(), 4)

  const size = batchOf(['c']).length
  const waiting = path.start(
    fetch(path.parts),
    12,
    inputOf(next({ maxWaitMs: 500, minBytes: 2 * size })),
  )
  await path.append('orders', ['c'])
  t.equal(path.parked.size, 1, 'half of what it waits for')
  await path.world.run(path.partition('orders', 2).append(batchOf(['c']), { acks: 1 }).written)
  const woken = await path.world.run(waiting)
  const indexes = woken?.responses[0]?.partitions.map(({ partitionIndex }) => partitionIndex)
  t.same(indexes, [0, 2], 'all that rested counts')
  await told({ offsets: { 0: 3, 2: 2 } })
  t.equal(await looks(), 0)

  const [first, ...others] = topic.partitions
  if (first === undefined) throw new Error('no partition')
  path.setTopic({ ...topic, partitions: [{ ...first, leader: 2, partitionEpoch: 7 }, ...others] })
  t.same(await told(), [[0, 6, -1, 0]], 'another leader')
  path.deleteTopic(topic)
  t.equal((await told()).length, 4, 'all are gone')
})

t.test(
  'who waits for what rests is told of its end, and one that is gone costs nothing',
  async (t) => {
    const path = new DataPath()
    const topic = path.createTopic('orders')
    const { id: sessionId } = await ask(path, { sessionEpoch: 0 }).then((r) => ({
      id: r?.sessionId ?? 0,
    }))
    await ask(path, { sessionId, sessionEpoch: 1, offsets: {} })
    const connection = new Connection()
    const input = inputOf({ sessionId, sessionEpoch: 2, offsets: {}, maxWaitMs: 500, connection })
    const waiting = path.start(fetch(path.parts), 12, input)
    t.equal(path.parked.size, 1)
    path.deleteTopic(topic)
    t.match(await path.world.run(waiting), { responses: [{ partitions: [{ errorCode: 3 }] }] })

    path.createTopic('others')
    const open = (sessionEpoch: number, id = 0) =>
      ask(path, {
        topic: 'others',
        sessionId: id,
        sessionEpoch,
        offsets: sessionEpoch > 0 ? {} : { 0: 0 },
      })
    const closed = (await open(0))?.sessionId ?? 0
    await open(1, closed)
    const watchers = () => path.partition('others').watcherCount
    t.equal(watchers(), 1)
    await open(-1, closed)
    t.equal(watchers(), 0, 'a session that was closed')
    const unused = (await open(0))?.sessionId ?? 0
    await open(1, unused)
    t.equal(watchers(), 1)
    await path.append('others', ['a'])
    t.equal(watchers(), 0, 'a session that nobody uses any more')
  },
)

/** Work in turns stops after some steps, until it is let go on. */
class Turns {
  #goOn: () => void = () => {}
  readonly #stopped: Promise<void>

  constructor() {
    this.#stopped = new Promise((resolve) => {
      this.#goOn = resolve
    })
  }

  readonly inTurns = async <Result>(steps: Steps<Result>): Promise<Result> => {
    for (let step = 0; step < 10; step++) {
      const { done, value } = steps.next()
      if (done === true) return value
    }
    await this.#stopped
    return atOnce(steps)
  }

  goOn(): void {
    this.#goOn()
  }
}

t.test('what comes while very many partitions are read, in turns, is not waited for', async (t) => {
  const offsets = (from: number) =>
    Object.fromEntries(Array.from({ length: 600 - from }, (_, index) => [from + index, 0]))
  const open = async () => {
    const path = new DataPath()
    path.createTopic('orders', { partitions: 600 })
    const response = await ask(path, { sessionEpoch: 0, offsets: offsets(0) })
    const sessionId = response?.sessionId ?? 0
    /** A request that has read some of its partitions. */
    const start = (asked: Asked) => {
      const turns = new Turns()
      const input = inputOf({ sessionId, offsets: {}, maxWaitMs: 500, ...asked })
      const answer = path.start(fetch(path.parts), 12, input, { context: turns })
      const finish = async () => {
        turns.goOn()
        const fromMs = path.world.nowMs
        const told = (await path.world.run(answer))?.responses[0]?.partitions ?? []
        const found = told.filter(({ records }) => offsetsIn(records).length > 0)
        const indexes = found.map(({ partitionIndex }) => partitionIndex)
        return { indexes, waitedMs: Math.round(path.world.nowMs - fromMs) }
      }
      return { finish }
    }
    return { path, start, sessionId }
  }
  const append = async (path: DataPath, index: number) =>
    path.world.run(path.partition('orders', index).append(batchOf(['a']), { acks: 1 }).written)
  const atOnceFrom = (index: number) => ({ indexes: [index], waitedMs: 0 })

  for (const index of [0, 599]) {
    const { path, start } = await open()
    const fetching = start({ sessionEpoch: 1 })
    await append(path, index)
    t.match(await fetching.finish(), atOnceFrom(index), `of a session, partition ${index}`)
    t.equal(path.parked.size, 0)
  }
  {
    const { path, start, sessionId } = await open()
    await start({ sessionEpoch: 1, maxWaitMs: 0 }).finish()
    const fetching = start({ sessionEpoch: 2, offsets: offsets(1) })
    await append(path, 0)
    t.match(await fetching.finish(), atOnceFrom(0), 'one that rested before')

    // All that comes counts, be it before the wait or in it.
    await ask(path, { sessionId, sessionEpoch: 3, offsets: { 0: 1 } })
    const minBytes = 2 * batchOf(['a']).length
    const greedy = start({ sessionEpoch: 4, offsets: offsets(1), minBytes })
    await append(path, 0)
    path.process.environment.timers.after(100, () => {
      path.partition('orders', 0).append(batchOf(['b']), { acks: 1 })
    })
    t.match(await greedy.finish(), { indexes: [0], waitedMs: 100 }, 'what is missing is waited for')
  }
  {
    const { path, start } = await open()
    const fetching = start({ sessionId: 0, sessionEpoch: -1, offsets: offsets(0) })
    await append(path, 0)
    t.match(await fetching.finish(), atOnceFrom(0), 'without a session')
    const idle = start({ sessionId: 0, sessionEpoch: -1, offsets: offsets(1) })
    t.match(await idle.finish(), { indexes: [], waitedMs: 500 }, 'nothing comes')
    t.equal(path.partition('orders', 5).watcherCount, 0)
  }
  {
    const { path, start, sessionId } = await open()
    const fetching = start({ sessionEpoch: 1 })
    await ask(path, { sessionId, sessionEpoch: -1 })
    await fetching.finish()
    const watched = [...path.replicas.partitions()].filter(({ watcherCount }) => watcherCount > 0)
    t.same(watched.map(String), [], 'a session that was closed meanwhile is not kept')
  }
})

t.test('what is no longer in memory comes from the disk', async (t) => {
  const path = new DataPath()
  path.createTopic('orders', { partitions: 2 })
  for (const index of [0, 1]) {
    const { written } = path.partition('orders', index).append(batchOf(['a', 'b']), { acks: 1 })
    await path.world.run(written)
  }
  path.restart()
  const response = await ask(path, { offsets: { 0: 0, 1: 1 }, maxWaitMs: 500 })
  t.same(
    response?.responses[0]?.partitions.map(({ records }) => offsetsIn(records)),
    [
      [0, 1],
      [0, 1],
    ],
  )
})

t.test('a disk that fails', async (t) => {
  const path = new DataPath()
  path.createTopic('orders')
  await path.append('orders', ['a'])
  const waiting = path.start(fetch(path.parts), 12, inputOf({ offsets: { 0: 1 }, maxWaitMs: 500 }))
  path.process.disk.fault = () => 'EIO'
  await path.append('orders', ['b']).catch(() => undefined)
  const woken = await path.world.run(waiting)
  t.match(woken?.responses[0]?.partitions[0], { errorCode: 56 })
  t.match(await askOne(path, { version: 6 }), { errorCode: 56 })
  t.match(await askOne(path, { version: 5 }), { errorCode: 6 }, 'old clients know no such error')
})

/** Partitions that move between log directories: what they hold, who uses them meanwhile, what goes wrong. */
import t, { type Test } from 'tap'
import * as header from '../../protocol/records/batch.ts'
import { readBatch } from '../../protocol/records/record.ts'
import { alterReplicaLogDirs } from '../../src/handlers/alter-replica-log-dirs.ts'
import { deleteRecords } from '../../src/handlers/delete-records.ts'
import { describeLogDirs } from '../../src/handlers/describe-log-dirs.ts'
import type { Log } from '../../src/log/log.ts'
import type { ReplicaConfig } from '../../src/replication/partition.ts'
import { batchOf, DataPath, directoryIdOf } from '../handlers/data-path.ts'

t.setTimeout(170_000)

const disks = ['/one', '/two', '/six'] as const

/** A topic with one partition in `/one`, and what was acknowledged there. */
class Story {
  readonly path: DataPath
  /** By offset. */
  readonly acknowledged = new Map<number, string>()
  readonly lines: string[] = []
  #values = 0

  constructor(config: Partial<ReplicaConfig> = {}, seed = 1) {
    const onLog = (line: string) => this.lines.push(line)
    this.path = new DataPath({ disks, seed, hasDirectoryIds: true, onLog })
    this.path.createTopic('orders', { config: { segmentBytes: 700, ...config } })
  }

  get partition() {
    return this.path.partition('orders')
  }

  get log(): Log {
    return this.partition.log
  }

  get place(): string | undefined {
    return this.partition.directory?.path
  }

  get errors(): string[] {
    return this.lines.filter((line) => line.includes('error'))
  }

  names(directory: string): string[] {
    const entries = this.path.process.disk.list(directory)
    return entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => name)
  }

  /** Begins to write records; resolves when they are acknowledged. */
  async send(count = 1, producer: Partial<Parameters<typeof batchOf>[1]> = {}): Promise<void> {
    const values = Array.from({ length: count }, () => `value ${this.#values++}`)
    const { baseOffset, written } = this.partition.append(batchOf(values, producer), { acks: -1 })
    await written
    for (const [index, value] of values.entries()) this.acknowledged.set(baseOffset + index, value)
  }

  async write(batches: number): Promise<void> {
    for (let batch = 0; batch < batches; batch++) await this.path.world.run(this.send(3))
  }

  /** The answer of AlterReplicaLogDirs. */
  async alter(directory: string, topic = 'orders', index = 0): Promise<number | undefined> {
    const answer = await this.path.call(alterReplicaLogDirs(this.path.parts), 2, {
      dirs: [{ path: directory, topics: [{ name: topic, partitions: [index] }] }],
    })
    return answer?.results[0]?.partitions[0]?.errorCode
  }

  async describe(directory: string) {
    const answer = await this.path.call(describeLogDirs(this.path.parts), 4, { topics: null })
    const found = answer?.results.find(({ logDir }) => logDir === directory)
    return found?.topics[0]?.partitions[0]
  }

  /** Runs until no move is under way. */
  async settle(): Promise<void> {
    for (let round = 0; round < 200; round++) {
      await this.path.world.runFor(20)
      if (this.path.replicas.moves.nextOf(this.partition) === null) return
    }
  }

  /** All batches, as they are stored. */
  async bytes(log = this.log): Promise<Buffer> {
    const chunks: Buffer[] = []
    for (let offset = log.logStartOffset; offset < log.logEndOffset; ) {
      const upToOffset = log.logEndOffset
      const asked = { offset, maxBytes: 1 << 20, minOneBatch: true, upToOffset }
      const read = await this.path.world.run(Promise.resolve(log.reader.read(asked)))
      if (read.bytes === 0) break
      chunks.push(...read.chunks.map((chunk) => Buffer.from(chunk)))
      offset = read.nextOffset
    }
    return Buffer.concat(chunks)
  }

  async stored(): Promise<Map<number, string>> {
    const stored = new Map<number, string>()
    const bytes = await this.bytes()
    for (let at = 0; at < bytes.length; at += header.batchBytes(bytes, at)) {
      if (header.isControl(bytes, at)) continue
      for (const { offset, value } of readBatch(bytes, at).records) {
        stored.set(offset, String(value))
      }
    }
    return stored
  }

  /** Everything about the log that must survive the move. */
  state() {
    const { log } = this
    const { logStartOffset: start, logEndOffset: end } = log
    const offsets = Array.from({ length: end - start }, (_, index) => start + index)
    return {
      start,
      end,
      highWatermark: log.highWatermark,
      lastStableOffset: log.lastStableOffset,
      epochs: offsets.map((offset) => log.leaderEpochAt(offset)),
      latestEpoch: log.latestLeaderEpoch,
      producers: log.activeProducers().sort((a, b) => a.producerId - b.producerId),
      aborted: log.reader.abortedTransactions(start, end),
      cleanedOffset: log.cleanedOffset,
    }
  }

  /** The next process leads in the next epoch. */
  restart(how: 'kill' | 'crash' | 'close'): void {
    const topic = this.path.image.topics.byName.get('orders')
    if (topic === undefined) throw new Error('there is no topic')
    const partitions = topic.partitions.map((one) => ({
      ...one,
      leaderEpoch: one.leaderEpoch + 1,
      partitionEpoch: one.partitionEpoch + 1,
    }))
    const changed = { ...topic, partitions }
    const { byName, byId } = this.path.image.topics
    const topics = {
      byName: new Map(byName).set('orders', changed),
      byId: new Map(byId).set(topic.id, changed),
    }
    this.path.image = { ...this.path.image, topics }
    this.lines.length = 0
    this.path.restart(how)
  }

  /** Nothing acknowledged is lost, and nothing is there twice. */
  async check(t: Test, what: string): Promise<void> {
    t.notOk(this.partition.isOffline, `${what}: it is there`)
    const stored = await this.stored()
    const { logStartOffset } = this.log
    const kept = [...this.acknowledged].filter(([offset]) => offset >= logStartOffset)
    const lost = kept.filter(([offset, value]) => stored.get(offset) !== value)
    t.strictSame(lost, [], `${what}: nothing is lost`)
    t.equal(new Set(stored.values()).size, stored.size, `${what}: nothing is there twice`)
  }
}

/** Ends a transaction of producer 7. */
async function end(story: Story, isCommit: boolean): Promise<void> {
  const marker = { producerId: 7, producerEpoch: 0, coordinatorEpoch: 3, isCommit } as const
  const appended = story.partition.appendMarker({ ...marker, transactionVersion: 1 }, 1)
  await story.path.world.run(appended.written)
}

t.test('a partition takes along all that it is', async (t) => {
  const story = new Story()
  const { world } = story.path
  const inTransaction = { producerId: 7, producerEpoch: 0, isTransactional: true }
  await story.write(4)
  await world.run(story.send(2, { producerId: 5, producerEpoch: 1, baseSequence: 0 }))
  await story.write(6)
  await world.run(story.send(2, { ...inTransaction, baseSequence: 0 }))
  await end(story, false)
  await world.run(story.send(2, { ...inTransaction, baseSequence: 2 }))
  await end(story, true)
  const topic = story.path.image.topics.byName.get('orders')
  story.path.setTopic({
    name: 'orders',
    id: topic?.id ?? '',
    partitions:
      topic?.partitions.map((one) => ({ ...one, leaderEpoch: 4, partitionEpoch: 4 })) ?? [],
  })
  await story.write(5)
  await world.run(story.send(2, { ...inTransaction, baseSequence: 4 }))
  const deleted = await story.path.call(deleteRecords(story.path.parts), 2, {
    topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 16 }] }],
    timeoutMs: 1000,
  })
  t.match(deleted?.topics[0]?.partitions[0], { errorCode: 0, lowWatermark: 16 })
  story.partition.tend((log) => log.deleteOldSegments())
  const before = story.state()
  const bytes = await story.bytes()
  t.ok(before.aborted.length === 1 && before.lastStableOffset < before.end, 'with all there is')

  t.equal(await story.alter('/two'), 0)
  const future = await story.describe('/two')
  t.match(future, { isFutureKey: true, partitionIndex: 0 })
  t.equal(
    Number(future?.offsetLag),
    before.end - (story.path.replicas.moves.nextOf(story.partition)?.logEndOffset ?? 0),
  )
  t.match(await story.describe('/one'), { isFutureKey: false, offsetLag: 0 })
  t.match(story.names('/two'), [/^orders-0\.[0-9a-f]{32}-future$/])
  await story.settle()

  t.equal(story.place, '/two')
  t.strictSame(story.state(), before)
  t.strictSame(await story.bytes(), bytes, 'byte for byte')
  t.strictSame(story.names('/two'), ['orders-0'])
  t.match(story.names('/one'), [/^orders-0\.[0-9a-f]{32}-delete$/])
  t.match(await story.describe('/two'), { isFutureKey: false, partitionSize: story.log.size })
  t.equal(await story.describe('/one'), undefined)
  const [partition] = story.path.image.topics.byName.get('orders')?.partitions ?? []
  t.strictSame(partition?.directories, [directoryIdOf('/two')], 'and the metadata says so')
  await world.runFor(61_000)
  t.strictSame(story.names('/one'), [])

  // Producers go on where they were.
  const again = { producerId: 5, producerEpoch: 1, baseSequence: 0 }
  t.ok(story.partition.append(batchOf(['value 12', 'value 13'], again), { acks: 1 }).isDuplicate)
  const outOfOrder = { ...inTransaction, baseSequence: 9 }
  t.throws(() => story.partition.append(batchOf(['x'], outOfOrder), { acks: 1 }), {
    message: /sequence 9 follows 5/,
  })
  await end(story, false)
  await story.write(2)
  await story.check(t, 'after the move')
  for (const how of ['close', 'kill', 'crash'] as const) {
    await world.run(story.log.flush())
    if (how === 'close') await world.run(story.path.replicas.close(1))
    story.restart(how)
    t.equal(story.place, '/two', how)
    t.equal(story.log.logStartOffset, 16, `${how}: what was deleted stays deleted`)
    await story.check(t, how)
    t.strictSame(story.errors, [])
  }
  t.equal(await story.alter('/one'), 0)
  await story.settle()
  t.equal(story.place, '/one', 'and back')
  await story.check(t, 'back')
})

t.test('who wrote what is deleted is known to the copy, however the process ends', async (t) => {
  for (const how of ['kill', 'crash'] as const) {
    for (let seed = 1; seed <= 8; seed++) {
      const story = new Story({}, seed)
      const producer = { producerId: 5, producerEpoch: 1, baseSequence: 0 }
      await story.path.world.run(story.send(2, producer))
      await story.write(9)
      await story.path.call(deleteRecords(story.path.parts), 2, {
        topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 20 }] }],
        timeoutMs: 1000,
      })
      story.partition.tend((log) => log.deleteOldSegments())
      t.equal(await story.alter('/two'), 0)
      await story.settle()
      story.restart(how)
      t.equal(story.place, '/two')
      const again = batchOf(['value 0', 'value 1'], producer)
      t.ok(story.partition.append(again, { acks: 1 }).isDuplicate, `${how}, seed ${seed}`)
    }
  }
})

t.test('who was aborted is known when the power goes as soon as it has moved', async (t) => {
  let [rolled, known] = [0, 0]
  for (let seed = 1; seed <= 16; seed++) {
    const story = new Story({ segmentBytes: 500 }, seed)
    const { world } = story.path
    const inTransaction = { producerId: 7, producerEpoch: 0, isTransactional: true }
    let baseSequence = 0
    const abort = () => {
      story.send(1, { ...inTransaction, baseSequence: baseSequence++ }).catch(() => {})
      const marker = { producerId: 7, producerEpoch: 0, coordinatorEpoch: 3, isCommit: false }
      story.partition.appendMarker({ ...marker, transactionVersion: 1 }, 1).written.catch(() => {})
    }
    while (baseSequence < 20) abort()
    await world.runFor(50)
    t.equal(await story.alter('/two'), 0)
    const next = () => story.path.replicas.moves.nextOf(story.partition)
    let segments = 0
    while (story.place === '/one' && baseSequence < 2_000) {
      segments = next()?.segmentCount ?? segments
      abort()
      await world.runFor(0.05)
    }
    t.equal(story.place, '/two')
    if (story.log.segmentCount > segments) rolled++
    const { aborted } = story.state()
    story.restart('crash')
    const found = story.state()
    const expected = aborted.filter(({ lastOffset }) => lastOffset < found.end)
    // What was written last may be there as well.
    t.strictSame(found.aborted.slice(0, expected.length), expected, `seed ${seed}`)
    known += expected.length
  }
  t.ok(rolled > 2, `a segment ended in the turn of the move: ${rolled} times`)
  t.ok(known > 500)
})

t.test('a transaction whose records are all deleted is open after the move, too', async (t) => {
  const story = new Story()
  const { world } = story.path
  const inTransaction = { producerId: 7, producerEpoch: 2, isTransactional: true }
  await story.write(2)
  await world.run(story.send(2, { ...inTransaction, baseSequence: 0 }))
  await story.write(4)
  const later = { producerId: 8, producerEpoch: 0, isTransactional: true }
  await world.run(story.send(2, { ...later, baseSequence: 0 }))
  story.log.deleteRecords(14)
  const before = story.state()
  t.equal(before.lastStableOffset, 14)
  t.equal(await story.alter('/two'), 0)
  await story.settle()
  t.equal(story.place, '/two')
  t.strictSame(story.state(), before)
  t.ok(story.log.hasOpenTransaction(7, 2))
  const fenced = { ...inTransaction, producerEpoch: 1, baseSequence: 0 }
  t.throws(() => story.partition.append(batchOf(['x'], fenced), { acks: 1 }), {
    message: /epoch 1 is below the last seen epoch 2/,
  })
  const marker = { producerId: 7, producerEpoch: 2, coordinatorEpoch: 3, isCommit: false } as const
  const appended = story.partition.appendMarker({ ...marker, transactionVersion: 1 }, 1)
  await world.run(appended.written)
  t.notOk(story.log.hasOpenTransaction(7, 2))
  t.equal(story.log.lastStableOffset, 20, 'the other one is the oldest now')
})

t.test('whoever writes meanwhile is answered once, and finds everything', async (t) => {
  const { MAX_SAFE_INTEGER: never } = Number
  for (const config of [{}, { flushMessages: 1 }, { flushMs: 5, flushMessages: never }]) {
    const story = new Story(config)
    const { world } = story.path
    await story.write(30)
    t.equal(await story.alter('/two'), 0)
    const sent: Promise<void>[] = []
    let turns = 0
    while (story.place === '/one' && turns++ < 2000) {
      for (let batch = 0; batch < 3; batch++) sent.push(story.send())
      await world.runFor(0.05)
    }
    t.equal(story.place, '/two', `in ${turns} turns`)
    for (let batch = 0; batch < 3; batch++) sent.push(story.send())
    await world.run(Promise.all(sent))
    t.equal(story.acknowledged.size, story.log.logEndOffset)
    await story.check(t, JSON.stringify(config))
    if ('flushMessages' in config && config.flushMessages === 1) {
      story.restart('crash')
      await story.check(t, 'after a loss of power')
    }
    t.strictSame(story.errors, [])
  }
})

t.test('what cannot be written to the copy any more leaves no gap behind', async (t) => {
  let refused = 0
  for (let seed = 1; seed <= 6; seed++) {
    const story = new Story({ flushMessages: 1 }, seed)
    const { world, process } = story.path
    await story.write(30)
    const { log } = story
    // For a moment of the turn in which the logs exchange their places no file can be opened.
    let left = 1 + (seed % 3)
    process.disk.fault = (operation, name) => {
      const isOurs = story.log === log && /^\/two\/orders-0\/\d+\.log$/.test(name)
      return operation === 'open' && isOurs && left-- > 0 ? 'EMFILE' : undefined
    }
    await story.alter('/two')
    const outcomes: Promise<string>[] = []
    const send = (count: number) =>
      story.send(count).then(
        () => 'acknowledged',
        () => 'refused',
      )
    for (let turn = 0; story.place === '/one' && turn < 2000; turn++) {
      for (let batch = 0; batch < 3; batch++) outcomes.push(send(1 + batch))
      await world.runFor(0.05)
    }
    t.equal(story.place, '/two')
    for (let batch = 0; batch < 3; batch++) outcomes.push(send(1))
    await world.run(Promise.all(outcomes))
    for (const outcome of await Promise.all(outcomes)) if (outcome === 'refused') refused++
    const offsets = [...(await story.stored()).keys()]
    t.strictSame(
      offsets,
      Array.from({ length: story.log.logEndOffset }, (_, offset) => offset),
    )
    await story.check(t, `seed ${seed}`)
    t.ok(outcomes.length > 3 && !story.partition.isOffline)
  }
  t.ok(refused > 0, `${refused} were refused`)
})

t.test('readers of the old log come to their end', async (t) => {
  const story = new Story()
  await story.write(40)
  await story.alter('/two')
  const old = story.log
  const bytes = await story.bytes()
  await story.settle()
  t.not(story.log, old)
  t.strictSame(await story.bytes(old), bytes, 'for file.delete.delay.ms')
  await story.path.world.runFor(61_000)
  t.throws(() => old.reader.read({ offset: 0, maxBytes: 1, minOneBatch: true, upToOffset: 1 }), {
    name: 'KafkaError',
  })
})

t.test('what cannot be done is said', async (t) => {
  const story = new Story()
  await story.write(2)
  t.equal(await story.alter('/none'), 57, 'LOG_DIR_NOT_FOUND')
  t.equal(await story.alter('/two', 'none'), 3, 'UNKNOWN_TOPIC_OR_PARTITION')
  t.equal(await story.alter('/two', 'orders', 1), 3)
  t.equal(await story.alter('/two', 'x'.repeat(214)), 17, 'INVALID_TOPIC_EXCEPTION')
  t.equal(await story.alter('/two', 'x'.repeat(213)), 3)
  story.path.createTopic('elsewhere', { replicas: [2], leader: 2 })
  t.equal(await story.alter('/two', 'elsewhere'), 9, 'REPLICA_NOT_AVAILABLE')
  t.equal(await story.alter('/one'), 0, 'it is there')
  t.equal(story.path.replicas.moves.nextOf(story.partition), null)
  await fail(t, story, '/six')
  t.equal(await story.alter('/six'), 56, 'KAFKA_STORAGE_ERROR: out of use')
  t.equal(await story.alter('/two'), 56, 'while one is out of use, no copy is begun')
  await fail(t, story, '/one')
  t.equal(await story.alter('/two'), 56, 'the partition is offline')
})

/** The disk of this directory fails. */
async function fail(t: Test, story: Story, directory: string): Promise<void> {
  const { disk } = story.path.process
  const before = disk.fault
  disk.fault = (operation, name) => {
    if (name.startsWith(directory)) return 'EIO'
    return before?.(operation, name)
  }
  const failing = story.path.replicas.directories.find(({ path }) => path === directory)
  t.throws(() => failing?.disk.list(directory), { code: 'EIO' })
}

t.test(
  'a partition that comes later, or has no files yet, lies where it was asked for',
  async (t) => {
    const story = new Story()
    t.equal(story.place, '/one')
    t.equal(await story.alter('/six'), 0)
    t.equal(story.place, '/six', 'without files there is nothing to copy')
    t.equal(await story.alter('/two', 'later', 1), 3)
    t.equal(await story.alter('/two', 'later', 0), 3)
    story.path.createTopic('later', { partitions: 3 })
    const places = [0, 1, 2].map((index) => story.path.partition('later', index).directory?.path)
    t.strictSame(places, ['/two', '/two', '/one'])
    await story.path.world.runFor(10)
    const [partition] = story.path.image.topics.byName.get('orders')?.partitions ?? []
    t.strictSame(partition?.directories, [directoryIdOf('/six')])
  },
)

t.test('a move that is given up leaves nothing behind', async (t) => {
  const story = new Story()
  const { moves } = story.path.replicas
  const { world } = story.path
  story.path.moveBytesPerSecondMax = 1000
  await story.write(30)
  t.equal(await story.alter('/two'), 0)
  await world.runFor(500)
  const copied = moves.nextOf(story.partition)?.logEndOffset ?? 0
  t.ok(copied > 0 && copied < story.log.logEndOffset, `throttled: ${copied} records`)
  t.equal(await story.alter('/two'), 0, 'it goes on')
  t.equal(moves.nextOf(story.partition)?.logEndOffset, copied)
  t.equal(await story.alter('/six'), 0, 'elsewhere')
  t.equal(moves.nextOf(story.partition)?.directory.path, '/six')
  t.match(story.names('/two'), [/-delete$/])
  await world.runFor(300)
  t.equal(await story.alter('/one'), 0, 'back')
  t.equal(moves.nextOf(story.partition), null)
  await story.write(3)
  await story.check(t, 'given up')
  await world.runFor(61_000)
  t.strictSame(
    [story.names('/one'), story.names('/two'), story.names('/six')],
    [['orders-0'], [], []],
  )
  story.restart('kill')
  await story.check(t, 'and after a crash')

  t.equal(await story.alter('/two'), 0)
  await world.runFor(200)
  const topic = story.path.image.topics.byName.get('orders')
  if (topic !== undefined) story.path.deleteTopic(topic)
  await world.runFor(61_000)
  t.strictSame(
    [story.names('/one'), story.names('/two')],
    [[], []],
    'a topic is deleted with its copy',
  )
  t.strictSame(story.errors, [])
})

t.test('what has just arrived is not given up as a copy', async (t) => {
  const story = new Story()
  const { partition, path } = story
  await story.write(5)
  const replaceLog = partition.replaceLog.bind(partition)
  const answers: string[] = []
  partition.replaceLog = (log) => {
    replaceLog(log)
    if (answers.length > 0) return
    answers.push('arrived')
    // Whoever is next in this very turn asks to have it back.
    queueMicrotask(() => answers.push(path.replicas.moveTo('/one', 'orders', 0).name))
  }
  t.equal(await story.alter('/two'), 0)
  await story.settle()
  t.same(answers, ['arrived', 'NONE'])
  t.equal(story.place, '/one')
  await story.write(2)
  await story.check(t, 'there and back')
  t.strictSame(story.errors, [])
})

t.test('a start in the middle goes on with the copy', async (t) => {
  for (const how of ['close', 'kill', 'crash'] as const) {
    const story = new Story({ flushMessages: 1 })
    story.path.moveBytesPerSecondMax = 2000
    await story.write(30)
    await story.alter('/two')
    await story.path.world.runFor(800)
    const copied = story.path.replicas.moves.nextOf(story.partition)?.logEndOffset ?? 0
    t.ok(copied > 10, `${copied} records`)
    if (how === 'close') await story.path.world.run(story.path.replicas.close(1))
    story.restart(how)
    await story.path.world.runFor(1)
    const next = story.path.replicas.moves.nextOf(story.partition)
    if (how !== 'crash') t.ok((next?.logEndOffset ?? 0) >= copied, 'with what was copied')
    await story.write(3)
    story.path.moveBytesPerSecondMax = Number.MAX_VALUE
    await story.path.world.runFor(2000)
    t.equal(story.place, '/two', how)
    await story.check(t, how)
    t.strictSame(story.errors, [])
    t.strictSame(story.names('/two'), ['orders-0'])
  }
})

t.test('what a power loss took from the log is cut from the copy', async (t) => {
  const story = new Story({ segmentBytes: 1 << 20 })
  const { world, process } = story.path
  await story.write(10)
  await world.run(story.log.flush())
  story.path.moveBytesPerSecondMax = 3000
  await story.write(10)
  await story.alter('/two')
  await world.runFor(500)
  const next = story.path.replicas.moves.nextOf(story.partition) as Log
  while (next.logEndOffset < story.log.logEndOffset - 3) await world.runFor(50)
  await world.run(next.flush())
  const { recoveryPoint } = story.log
  t.ok(next.logEndOffset > recoveryPoint, 'the copy is ahead of what is durable')
  process.disk.fault = (operation, name) => {
    return operation === 'sync' && name.startsWith('/one') ? 'ESTALE' : undefined
  }
  story.restart('crash')
  const { logEndOffset } = story.log
  for (const offset of story.acknowledged.keys()) {
    if (offset >= logEndOffset) story.acknowledged.delete(offset)
  }
  await story.write(4)
  story.path.moveBytesPerSecondMax = Number.MAX_VALUE
  await world.runFor(2000)
  t.equal(story.place, '/two')
  await story.check(t, `cut at ${logEndOffset}`)
})

/** To die before one that reads is to die after the one before. */
const reading = new Set(['read', 'stat', 'list'])

/** Moves the partition to /two while records are sent; at operation `at` of the disk the process ends. */
async function dieMoving(story: Story, at: number, how: 'kill' | 'crash'): Promise<boolean> {
  const { path } = story
  const { disk } = path.process
  let operations = 0
  await story.alter('/two')
  disk.fault = (operation) => {
    if (reading.has(operation) || ++operations !== at) return undefined
    disk.fault = undefined
    path.world[how](path.process)
    return 'ESTALE'
  }
  for (let turn = 0; turn < 40 && path.process.isAlive; turn++) {
    if (turn % 4 === 0) story.send().catch(() => {})
    await path.world.runFor(0.5)
  }
  await path.world.runFor(200)
  disk.fault = undefined
  return operations >= at
}

t.test('whatever operation of the disk is the last one, every record is there once', async (t) => {
  for (const how of ['kill', 'crash'] as const) {
    let moved = 0
    let at = 1
    for (; ; at++) {
      const story = new Story({ flushMessages: how === 'crash' ? 1 : Number.MAX_SAFE_INTEGER }, at)
      await story.write(8)
      if (!(await dieMoving(story, at, how))) break
      story.restart(how)
      const what = `${how} at ${at}`
      await story.check(t, what)
      await story.write(2)
      await story.settle()
      await story.check(t, `${what}, settled`)
      await story.path.world.runFor(61_000)
      const left = disks.flatMap((directory) => story.names(directory))
      t.strictSame(left, ['orders-0'], `${what}: nothing else is left`)
      // What a power loss took of segments is told of, whichever log it was.
      if (how === 'kill') t.strictSame(story.errors, [], what)
      if (story.place === '/two') moved++
    }
    t.ok(at > 40, `${at - 1} operations, after ${moved} of which it moved`)
  }
})

t.test('a disk that fails during a move', async (t) => {
  const story = new Story()
  const { moves } = story.path.replicas
  const { world, process } = story.path
  await story.write(20)

  // The copy's own files.
  story.path.moveBytesPerSecondMax = 2000
  await story.alter('/two')
  await world.runFor(300)
  process.disk.fault = (operation, name) =>
    operation === 'write' && name.includes('-future/') ? 'EFBIG' : undefined
  await story.settle()
  t.equal(moves.counters.failed, 1)
  t.equal(story.place, '/one', 'the partition stays')
  t.match(story.names('/two'), [/-delete$/], 'the copy goes')
  process.disk.fault = undefined
  await story.write(2)
  await story.check(t, 'the copy failed')

  // A rename that some platforms refuse.
  story.path.moveBytesPerSecondMax = Number.MAX_VALUE
  process.disk.fault = (operation, name) =>
    operation === 'rename' && /-future$/.test(name) ? 'EBUSY' : undefined
  await story.alter('/two')
  await story.settle()
  t.equal(moves.counters.failed, 2)
  t.equal(story.place, '/one')
  t.strictSame(story.names('/one'), ['orders-0'], 'under its own name')
  const named = () => story.path.image.topics.byName.get('orders')?.partitions[0]?.directories
  await world.runFor(5)
  t.strictSame(named(), [directoryIdOf('/one')], 'and so says the metadata')
  process.disk.fault = undefined
  await story.write(2)
  await story.check(t, 'not renamed')

  // The directory that it was to lie in.
  story.path.moveBytesPerSecondMax = 2000
  await story.alter('/two')
  await world.runFor(300)
  await fail(t, story, '/two')
  await story.settle()
  t.equal(story.place, '/one')
  await story.write(2)
  await story.check(t, 'the other directory failed')
  process.disk.fault = undefined
  story.restart('kill')
  story.path.moveBytesPerSecondMax = Number.MAX_VALUE
  await world.runFor(1000)
  t.equal(story.place, '/two', 'once it is back, the copy goes on')
  await story.check(t, 'and is whole')
})

t.test('an error that nobody foresaw ends one move, not those to come', async (t) => {
  const story = new Story()
  const { moves } = story.path.replicas
  await story.write(20)
  const { assignDirectory } = story.path
  story.path.assignDirectory = () => {
    throw new TypeError('nobody foresaw this')
  }
  await story.alter('/two')
  await story.settle()
  t.equal(moves.counters.failed, 1)
  const said = story.lines.filter((line) => line.includes('could not be moved'))
  t.match(said, [/nobody foresaw this/])
  story.path.assignDirectory = assignDirectory
  await story.write(2)
  await story.alter('/two')
  await story.settle()
  t.equal(story.place, '/two')
  await story.check(t, 'the next move')
})

t.test('a copy that cannot be begun leaves no directory', async (t) => {
  const story = new Story()
  const { process } = story.path
  await story.write(5)
  process.disk.fault = (operation, name) =>
    operation === 'open' && name.includes('-future/') ? 'EMFILE' : undefined
  t.equal(await story.alter('/two'), 56, 'KAFKA_STORAGE_ERROR')
  await story.path.world.runFor(10)
  t.strictSame(story.names('/two'), [])
  process.disk.fault = undefined
  t.equal(await story.alter('/two'), 0)
  await story.settle()
  await story.check(t, 'once it can be')
})

t.test('a copy that is damaged begins anew', async (t) => {
  const story = new Story()
  const { world } = story.path
  await story.write(30)
  story.path.moveBytesPerSecondMax = 2000
  await story.alter('/two')
  await world.runFor(900)
  await world.run(story.path.replicas.moves.nextOf(story.partition)?.flush() as Promise<void>)
  await world.run(story.path.replicas.upkeep.checkpoint())
  story.path.moveBytesPerSecondMax = Number.MAX_VALUE
  story.path.restart('kill', (disk) => {
    const [name] = disk.list('/two').flatMap((entry) => (entry.isDirectory ? [entry.name] : []))
    disk.remove(`/two/${name}/00000000000000000000.log`)
  })
  await world.runFor(2000)
  t.equal(story.place, '/two')
  await story.check(t, 'its first segment was gone')
  t.equal(story.log.logStartOffset, 0)
})

t.test('a copy takes no place while the log may lie in a directory that is away', async (t) => {
  const story = new Story()
  const { world } = story.path
  await story.write(20)
  story.path.moveBytesPerSecondMax = 3000
  await story.alter('/two')
  await world.runFor(300)
  // The metadata knows of the move already.
  const topic = story.path.image.topics.byName.get('orders')
  story.path.assignDirectory({
    topicId: topic?.id ?? '',
    index: 0,
    directoryId: directoryIdOf('/two'),
  })
  story.path.restart('kill', (disk) => {
    disk.fault = (_, name) => (name.startsWith('/one') ? 'EIO' : undefined)
  })
  await world.runFor(1000)
  t.ok(story.partition.isOffline, 'an empty log or half a log would be a loss')
  t.match(story.names('/two'), [/-future$/])
  story.path.process.disk.fault = undefined
  story.path.moveBytesPerSecondMax = Number.MAX_VALUE
  story.restart('kill')
  await world.runFor(1000)
  t.equal(story.place, '/two')
  await story.check(t, 'all is back')
})

t.test('a compacted log moves as it is, and is not compacted meanwhile', async (t) => {
  const keyed = (round: number) =>
    Array.from({ length: 6 }, (_, key) => ({
      timestamp: 1_767_225_600_000 + round,
      key: Buffer.from(`key ${key % (1 + (round % 5))}`),
      value: Buffer.from(`value ${round} ${key}`),
    }))
  const story = new Story({ cleanupPolicy: ['compact'], minCleanableDirtyRatio: 0 })
  const { path } = story
  const append = async (from: number, to: number) => {
    for (let round = from; round < to; round++) {
      await path.append('orders', [], { records: keyed(round) })
    }
  }
  await append(0, 20)
  await path.world.run(path.replicas.compactor.compactOne())
  t.ok(story.log.cleanedOffset > 0)
  await append(20, 40)
  const before = story.state()
  const bytes = await story.bytes()
  path.moveBytesPerSecondMax = 4000
  await story.alter('/two')
  await path.world.runFor(100)
  t.equal(await path.world.run(path.replicas.compactor.compactOne()), false, 'not meanwhile')
  path.moveBytesPerSecondMax = Number.MAX_VALUE
  await path.world.runFor(20_000)
  t.equal(story.place, '/two')
  // Compaction may have found it since.
  path.configure('orders', { segmentBytes: 700 })
  story.restart('kill')
  t.match(
    story.state(),
    { start: before.start, end: before.end },
    'with its holes, after a crash too',
  )
  t.strictSame(story.errors, [])
  t.ok((await story.bytes()).length <= bytes.length)
})

t.test('a move that no file can be opened for leaves both logs as they are', async (t) => {
  for (let nth = 1; nth <= 6; nth++) {
    const story = new Story({ flushMessages: 1 }, nth)
    const { process, world } = story.path
    await story.write(10)
    const isNamed = () => story.names('/one').includes('orders-0')
    let syncs = 0
    // The names of the directories are exchanged then.
    process.disk.fault = (operation, name) => {
      const isExchange = operation === 'syncDirectory' && /^\/(one|two)$/.test(name)
      const isNow = isExchange && (!isNamed() || story.names('/two').includes('orders-0'))
      return isNow && ++syncs >= nth && syncs < nth + 3 ? 'EMFILE' : undefined
    }
    await story.alter('/two')
    await world.runFor(2_000)
    process.disk.fault = undefined
    await story.write(3)
    await story.settle()
    t.notOk(story.partition.isOffline, `${nth}`)
    await story.check(t, `${nth}`)
    if (story.place === '/one') t.ok(isNamed(), `${nth}`)
    story.path.restart('crash')
    await story.check(t, `after a loss of power, ${nth}`)
  }
})

t.test('a move is finished by the start as soon as files can be opened', async (t) => {
  const story = new Story()
  await story.write(10)
  await story.alter('/two')
  await story.settle()
  t.equal(story.place, '/two')
  let refused = 0
  story.path.restart('kill', (disk) => {
    // As a crash between the two names leaves it.
    disk.rename('/two/orders-0', `/two/orders-0.${'a'.repeat(32)}-future`)
    disk.fault = (operation, name) =>
      operation === 'syncDirectory' && name === '/two' && ++refused < 5 ? 'EMFILE' : undefined
  })
  await story.path.world.runFor(20_000)
  t.ok(refused >= 5, `${refused} times`)
  t.equal(story.place, '/two')
  await story.check(t, 'once it is there')
})

t.test('a copy for which no file can be opened goes on once one can be', async (t) => {
  const story = new Story()
  const { world, process, replicas } = story.path
  await story.write(30)
  for (const [from, to] of [
    ['/one', '/two'],
    ['/two', '/one'],
  ] as const) {
    // What is read, what is rolled, and what is made durable.
    for (const pattern of [`${from}/orders-0/`, `${to}/orders-0.*future/0{18}[1-9]`, `${to}$`]) {
      if (story.place === to) break
      await story.write(3)
      let refused = 0
      process.disk.fault = (operation, name) => {
        const isOpening = operation === 'open' || operation === 'syncDirectory'
        const isRefused = isOpening && new RegExp(pattern).test(name) && refused < 40
        if (isRefused) refused++
        return isRefused ? 'EMFILE' : undefined
      }
      await story.alter(to)
      await world.runFor(2_500)
      process.disk.fault = undefined
      await story.settle()
      t.ok(refused > 0, pattern)
      t.equal(replicas.moves.counters.failed, 0, pattern)
      t.equal(story.place, to)
      await story.check(t, pattern)
      await story.alter(from)
      await story.settle()
    }
    await story.alter(to)
    await story.settle()
  }
})

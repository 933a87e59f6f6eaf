/**
 * The runtime under all coordinators, with the smallest coordinator there can be: a map of words.
 */
import t, { type Test } from 'tap'
import { errors, KafkaError } from '../../protocol/errors.ts'
import { MalformedError } from '../../protocol/reader.ts'
import { encodeControlBatch } from '../../protocol/records/control.ts'
import { coordinatorPartition, javaHashCode } from '../../src/coordinator/coordinator-partition.ts'
import { Deadlines } from '../../src/coordinator/deadlines.ts'
import { CoordinatorRuntime } from '../../src/coordinator/runtime.ts'
import type { Decision, Shard, ShardContext } from '../../src/coordinator/shard.ts'
import { Timeline, TimelineMap } from '../../src/coordinator/timeline.ts'
import { DiskError } from '../../src/environment/disk.ts'
import type { Logger } from '../../src/environment/environment.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'
import { MemoryLog } from './memory-log.ts'

interface Word {
  readonly key: string
  readonly value: string | null
}

class Words implements Shard<Word> {
  readonly words: TimelineMap<string, string>
  readonly context: ShardContext<Word>
  readonly pending: TimelineMap<number, readonly Word[]>
  ending: string | null = null

  constructor(context: ShardContext<Word>) {
    this.context = context
    this.words = new TimelineMap(context.timeline)
    this.pending = new TimelineMap(context.timeline)
  }

  apply({ key, value }: Word): void {
    if (value === null) this.words.delete(key)
    else this.words.set(key, value)
  }

  applyInTransaction(word: Word, producerId: number): void {
    this.pending.set(producerId, [...(this.pending.get(producerId) ?? []), word])
  }

  endTransaction(producerId: number, isCommit: boolean): void {
    const words = this.pending.get(producerId) ?? []
    this.pending.delete(producerId)
    if (isCommit) for (const word of words) this.apply(word)
  }

  onLoaded(): void {}

  onUnloaded({ name }: { name: string }): void {
    this.ending = name
  }
}

const commitTimeoutMs = 5000

/** Keeps the errors, with the fields of their logger. */
function errorLog(lines: object[], own: object = {}): Logger {
  const pass = () => {}
  return {
    debug: pass,
    info: pass,
    warn: pass,
    error: (message, fields) => lines.push({ message, ...own, ...fields }),
    child: (fields) => errorLog(lines, { ...own, ...fields }),
  }
}

function start() {
  const world = new SimulatedWorld(1)
  const errorLines: object[] = []
  const process = world.start('broker')
  const environment = { ...process.environment, log: errorLog(errorLines) }
  const shards: Words[] = []
  const runtime = new CoordinatorRuntime<Words, Word>(environment, {
    name: 'words',
    topic: '__words',
    create: (context) => {
      shards.push(new Words(context))
      return shards.at(-1) as Words
    },
    encode: ({ key, value }) => {
      if (key === 'unwritable') throw new RangeError('unwritable')
      return { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) }
    },
    decode: (key, value) => {
      if (key.toString() === 'damaged') throw new MalformedError('damaged')
      if (key.toString() === 'foreign') return null
      return { key: key.toString(), value: value?.toString() ?? null }
    },
    commitTimeoutMs: () => commitTimeoutMs,
    compression: () => 'none',
  })
  const log = new MemoryLog()
  const say = <T>(reply: T, ...words: [string, string | null][]) =>
    runtime.write(
      0,
      (): Decision<Word, T> => ({
        records: words.map(([key, value]) => ({ key, value })),
        reply,
      }),
    )
  const content = () => new Map(shards.at(-1)?.words ?? [])
  return { world, environment, runtime, log, say, content, shards, errorLines }
}

/** Matched by the code alone: messages differ. */
const coded = ({ code }: { code: number }) => ({ error: { code } }) as unknown as Error

function refusal(t: Test, act: () => unknown, error: { code: number }): void {
  t.throws(act, coded(error))
}

t.test('a timeline takes back what is not final, latest first', async (t) => {
  const timeline = new Timeline()
  const map = new TimelineMap<string, number>(timeline)
  map.set('a', 1)
  map.set('b', 2)
  const first = timeline.position
  map.set('a', 3)
  map.delete('b')
  t.equal(map.delete('b'), false)
  const second = timeline.position
  map.set('c', 4)
  map.set('a', 5)
  timeline.unwind(second)
  t.same([...map], [['a', 3]])
  timeline.unwind(first)
  t.same(
    new Map([...map]),
    new Map([
      ['a', 1],
      ['b', 2],
    ]),
  )
  timeline.forget(first)
  t.equal(timeline.position, first)
  map.set('b', 6)
  timeline.forget(timeline.position + 10)
  t.throws(() => timeline.unwind(first), RangeError)
  t.equal(map.get('b'), 6)
})

t.test('a deadline moves, and passes once', async (t) => {
  const world = new SimulatedWorld(2)
  const { environment } = world.start('a')
  const deadlines = new Deadlines(environment)
  const passed: number[] = []
  const deadline = deadlines.create(() => passed.push(Math.round(environment.clock.monotonic())))
  deadline.set(100)
  await world.runFor(60)
  deadline.set(100)
  await world.runFor(60)
  t.same(passed, [], 'moved back')
  deadline.set(10)
  await world.runFor(500)
  t.same(passed, [130], 'moved forward')
  deadline.set(5)
  deadline.clear()
  await world.runFor(50)
  deadline.set(5)
  deadlines.close()
  await world.runFor(50)
  t.same(passed, [130])
})

t.test('records of a turn are one batch, replies leave when it is committed', async (t) => {
  const { world, runtime, log, say, content } = start()
  refusal(t, () => say(0), errors.NOT_COORDINATOR)
  const loading = runtime.load(0, 1, log)
  t.equal(say('nothing'), 'nothing', 'an empty log is loaded at once; no record, no promise')
  await loading
  log.isHolding = true
  const replies = [say(1, ['a', '1'], ['b', '1']), say(2, ['a', '2'])]
  const read = runtime.read(0, (shard) => shard.words.get('a'))
  t.same(
    content(),
    new Map([
      ['a', '2'],
      ['b', '1'],
    ]),
    'applied before it is written',
  )
  const told: unknown[] = []
  for (const reply of [...replies, read])
    void Promise.resolve(reply).then((value) => told.push(value))
  await world.runFor(10)
  t.equal(log.batches.length, 1)
  t.equal(log.records().length, 3)
  t.same(told, [], 'nothing uncommitted is told')
  log.held[0]?.commit()
  await world.runFor(1)
  t.same(told, [1, 2, '2'], 'in order')
  t.equal(
    runtime.read(0, (shard) => shard.words.get('a')),
    '2',
  )
})

t.test('what the log refuses is taken back', async (t) => {
  const { world, runtime, log, say, content, shards } = start()
  await runtime.load(0, 1, log)
  await world.run(Promise.resolve(say(0, ['a', '0'])))
  const failures: [Error, { code: number }][] = [
    [new KafkaError(errors.NOT_ENOUGH_REPLICAS), errors.COORDINATOR_NOT_AVAILABLE],
    [new KafkaError(errors.NOT_LEADER_OR_FOLLOWER), errors.NOT_COORDINATOR],
    [new KafkaError(errors.MESSAGE_TOO_LARGE), errors.UNKNOWN_SERVER_ERROR],
    [new KafkaError(errors.INVALID_PRODUCER_EPOCH), errors.INVALID_PRODUCER_EPOCH],
    [new DiskError('EIO', '/log'), errors.NOT_COORDINATOR],
  ]
  for (const [failure, error] of failures) {
    log.failure = failure
    const events: string[] = []
    const write = runtime.write(0, () => ({
      records: [{ key: 'a', value: '1' }],
      reply: null,
      onCommitted: () => events.push('committed'),
      onFailed: ({ name }) => events.push(`${name} ${content().get('a')}`),
    }))
    await t.rejects(world.run(Promise.resolve(write)), coded(error))
    t.equal(events.length, 1)
    t.match(events[0], / 0$/, 'taken back before anybody is told')
  }
  log.failure = null
  t.equal(await world.run(Promise.resolve(say('ok', ['b', '1']))), 'ok')
  t.same(
    content(),
    new Map([
      ['a', '0'],
      ['b', '1'],
    ]),
  )
  t.equal(shards.length, 1)
})

t.test('a batch refused under younger ones: the shard is loaded anew', async (t) => {
  const { world, runtime, log, say, content, shards } = start()
  await runtime.load(0, 1, log)
  log.isHolding = true
  const first = Promise.resolve(say(1, ['a', '1']))
  await world.runFor(5)
  const second = Promise.resolve(say(2, ['b', '2']))
  await world.runFor(5)
  const third = Promise.resolve(say(3, ['c', '3']))
  const rejections = [first, second, third].map((write) =>
    t.rejects(write, coded(errors.COORDINATOR_NOT_AVAILABLE)),
  )
  log.held[0]?.refuse(new KafkaError(errors.NOT_ENOUGH_REPLICAS))
  await world.runFor(5)
  refusal(t, () => say(0), errors.COORDINATOR_LOAD_IN_PROGRESS)
  t.equal(shards[0]?.ending, 'COORDINATOR_LOAD_IN_PROGRESS')
  log.held[1]?.commit()
  await world.runFor(5)
  await Promise.all(rejections)
  t.same(content(), new Map([['b', '2']]), 'what the log has after all')
  t.equal(say('again'), 'again')
})

t.test('a reply gives up waiting; the records may be committed yet', async (t) => {
  const { world, runtime, log, content } = start()
  await runtime.load(0, 1, log)
  log.isHolding = true
  let isCommitted = false
  const write = runtime.write(0, () => ({
    records: [{ key: 'a', value: '1' }],
    reply: null,
    onCommitted: () => {
      isCommitted = true
    },
  }))
  const gaveUp = t.rejects(Promise.resolve(write), coded(errors.COORDINATOR_NOT_AVAILABLE))
  await world.runFor(commitTimeoutMs + 100)
  await gaveUp
  t.same(content(), new Map([['a', '1']]))
  t.notOk(isCommitted)
  log.held[0]?.commit()
  await world.runFor(1)
  t.ok(isCommitted)
})

t.test('batches stay below the largest that the log takes', async (t) => {
  const { world, runtime, log, say, content } = start()
  await runtime.load(0, 1, log)
  log.batchBytesMax = 300
  refusal(t, () => say(0, ['a', 'x'.repeat(300)]), errors.UNKNOWN_SERVER_ERROR)
  t.equal(content().size, 0)
  const both = [say(1, ['a', 'x'.repeat(100)]), say(2, ['b', 'x'.repeat(100)])]
  await world.run(Promise.all(both))
  t.equal(log.batches.length, 2, 'a decision is not divided')
  const words = Array.from({ length: 9 }, (_, i) => ({ key: `w${i}`, value: 'y'.repeat(60) }))
  const many = runtime.write(0, () => ({ records: words, reply: null, isAtomic: false }))
  await world.run(Promise.resolve(many))
  t.equal(log.batches.length, 2 + 5, 'unless it may be')
  for (const bytes of log.batches) t.ok(bytes.length <= 300)
})

t.test('loading replays everything, transactions by their markers', async (t) => {
  const { world, runtime, log, content } = start()
  const word = (key: string, value: string) => ({
    timestamp: 1,
    key: Buffer.from(key),
    value: Buffer.from(value),
  })
  const marker = (type: 'commit' | 'abort', producerId: number) => ({
    producer: { id: producerId, epoch: 0 },
    timestamp: 1,
    records: [{ type, value: { coordinatorEpoch: 0 } }],
  })
  log.put({ records: [word('a', '1'), word('b', '1'), word('foreign', '?')] })
  const transactional = { producerEpoch: 0, baseSequence: 0, isTransactional: true }
  log.put({ ...transactional, records: [word('a', '2')], producerId: 1 })
  log.put({ ...transactional, records: [word('b', '2')], producerId: 2 })
  log.put({ ...transactional, records: [word('c', '2')], producerId: 3 })
  void log.append(encodeControlBatch(marker('commit', 1)))
  void log.append(encodeControlBatch(marker('abort', 2)))
  log.put({ records: [], lastOffset: 0 })
  const loading = runtime.load(0, 1, log)
  refusal(t, () => runtime.read(0, () => 0), errors.COORDINATOR_LOAD_IN_PROGRESS)
  await world.run(loading)
  t.same(
    content(),
    new Map([
      ['a', '2'],
      ['b', '1'],
    ]),
  )
})

t.test('logs are loaded one after the other, and what must not be missed waits', async (t) => {
  const { world, environment, runtime, shards } = start()
  const word = { timestamp: 1, key: Buffer.from('a'), value: Buffer.from('1') }
  const reading: number[] = []
  let readAtOnceMax = 0
  const logs = [0, 1, 2].map((partition) => {
    const log = new MemoryLog()
    for (let batch = 0; batch < 20; batch++) log.put({ records: [word] })
    const { read } = log
    const waiting = Object.assign(log, {
      read: async (offset: number) => {
        reading.push(partition)
        readAtOnceMax = Math.max(readAtOnceMax, new Set(reading).size)
        await new Promise<void>((resolve) => environment.timers.after(1, resolve))
        reading.splice(reading.indexOf(partition), 1)
        return read.call(log, offset)
      },
    })
    return runtime.load(partition, 1, waiting)
  })
  const forget = { records: [{ key: 'a', value: null }], reply: 'forgotten' }
  const forgotten = runtime.writeOnceLoaded(2, () => forget)
  t.same(runtime.shardStates, { loading: 3, active: 0, failed: 0 })
  refusal(t, () => runtime.read(2, () => 0), errors.COORDINATOR_LOAD_IN_PROGRESS)
  t.equal(await world.run(forgotten), 'forgotten')
  await world.run(Promise.all(logs))
  t.equal(readAtOnceMax, 1)
  t.same(
    shards.map(({ words }) => words.size),
    [1, 1, 0],
  )
})

t.test('records of a transaction wait for its marker, and are replayed as they came', async (t) => {
  const { world, runtime, log, say, content, shards } = start()
  await runtime.load(0, 1, log)
  const sayIn = (producerId: number, key: string, value: string) =>
    runtime.writeInTransaction(0, { producerId, producerEpoch: 3, verification: null }, () => ({
      records: [{ key, value }],
      reply: key,
    }))
  const end = (producerId: number, isCommit: boolean) =>
    runtime.endTransaction(0, {
      producerId,
      producerEpoch: 3,
      coordinatorEpoch: 7,
      isCommit,
      transactionVersion: 1,
    })
  const first = Promise.resolve(say('plain', ['a', '1']))
  const inOne = Promise.resolve(sayIn(1, 'a', '2'))
  const inTwo = Promise.resolve(sayIn(2, 'b', '2'))
  t.same(await world.run(Promise.all([first, inOne, inTwo])), ['plain', 'a', 'b'])
  t.equal(log.batches.length, 3, 'each transaction has batches of its own')
  t.same(content(), new Map([['a', '1']]))
  await world.run(Promise.all([end(1, true), end(2, false), end(9, true)]))
  t.same(content(), new Map([['a', '2']]))
  await world.run(Promise.resolve(sayIn(3, 'c', '3')))
  const live = [...(shards[0]?.pending ?? [])]
  t.same(live, [[3, [{ key: 'c', value: '3' }]]])
  runtime.unload(0)
  await world.run(runtime.load(0, 2, log))
  t.same(content(), new Map([['a', '2']]), 'the same after a restart')
  t.same([...(shards[1]?.pending ?? [])], live, 'and what is open is open')
})

t.test('a producer that the log refuses is refused at once, and nobody else', async (t) => {
  const { world, runtime, log, say, content, shards } = start()
  await runtime.load(0, 1, log)
  const producer = { producerId: 1, producerEpoch: 0, verification: null }
  const failures: string[] = []
  const decide = () => ({
    records: [{ key: 'a', value: '2' }],
    reply: 'never',
    onFailed: ({ name }: { name: string }) => void failures.push(name),
  })
  log.isHolding = true
  const plain = Promise.resolve(say('plain', ['a', '1']))
  await world.runFor(1)
  log.refusal = new KafkaError(errors.INVALID_PRODUCER_EPOCH)
  refusal(t, () => runtime.writeInTransaction(0, producer, decide), errors.INVALID_PRODUCER_EPOCH)
  const end = { ...producer, coordinatorEpoch: 0, isCommit: true, transactionVersion: 0 }
  refusal(t, () => runtime.endTransaction(0, end), errors.INVALID_PRODUCER_EPOCH)
  t.same(failures, ['INVALID_PRODUCER_EPOCH'])
  t.equal(shards[0]?.pending.size, 0)
  log.refusal = null
  log.held[0]?.commit()
  t.equal(await world.run(plain), 'plain')
  t.same(content(), new Map([['a', '1']]))
  t.equal(shards.length, 1, 'not loaded anew')
  log.batchBytesMax = 100
  refusal(
    t,
    () =>
      runtime.writeInTransaction(0, producer, () => ({
        records: [{ key: 'a', value: 'x'.repeat(200) }],
        reply: 'never',
      })),
    errors.UNKNOWN_SERVER_ERROR,
  )
})

t.test('leadership comes and goes by epoch', async (t) => {
  const { world, runtime, log, say, shards } = start()
  await runtime.load(0, 5, log)
  await runtime.load(0, 5, log)
  await runtime.load(0, 4, log)
  t.equal(shards.length, 1, 'not loaded twice')
  runtime.unload(0, 4)
  t.equal(say('still here'), 'still here')
  log.isHolding = true
  const parked = t.rejects(Promise.resolve(say(0, ['a', '1'])), coded(errors.NOT_COORDINATOR))
  await world.runFor(5)
  runtime.unload(0, 6)
  await parked
  t.equal(shards[0]?.ending, 'NOT_COORDINATOR')
  refusal(t, () => say(0), errors.NOT_COORDINATOR)
  log.held[0]?.commit()
  log.isHolding = false
  await world.run(runtime.load(0, 7, log))
  t.equal(
    runtime.read(0, (shard) => shard.words.get('a')),
    '1',
  )
  t.same(runtime.partitions(), [0])
  let ticks = 0
  shards
    .at(-1)
    ?.context.deadline(() => {
      ticks++
      return { records: [], reply: undefined }
    })
    .set(10)
  runtime.close()
  await world.runFor(50)
  t.equal(ticks, 0, 'no timer outlives its shard')
})

t.test('a log that cannot be read leaves the partition to others', async (t) => {
  const { world, runtime, log, say } = start()
  log.put({ records: [{ timestamp: 1, key: Buffer.from('a'), value: null }] })
  const { batches } = log
  batches[0] = Buffer.from(
    'this is not a batch of records, by no means at all; it is far too literate',
  )
  log.read = () => batches[0] as Buffer
  await world.run(runtime.load(0, 1, log))
  refusal(t, () => say(0), errors.NOT_COORDINATOR)
})

t.test('a load that failed is tried again, less and less often', async (t) => {
  const { world, runtime, log, say, content, errorLines } = start()
  log.put({ records: [{ timestamp: 1, key: Buffer.from('a'), value: Buffer.from('1') }] })
  const { read } = log
  let reads = 0
  log.read = () => {
    reads++
    throw new DiskError('EMFILE', '/log')
  }
  await world.run(runtime.load(0, 1, log))
  t.same(runtime.shardStates, { loading: 0, active: 0, failed: 1 })
  await world.runFor(45_000)
  t.equal(reads, 3, 'at once, after 10 s and after 20 s more')
  refusal(t, () => say(0), errors.NOT_COORDINATOR)
  t.equal(errorLines.length, 3)
  log.read = read
  await world.runFor(30_000)
  t.equal(say('it is here'), 'it is here')
  t.same([...content()], [['a', '1']])

  log.read = () => {
    throw new DiskError('EMFILE', '/log')
  }
  await world.run(runtime.load(0, 2, log))
  runtime.unload(0)
  await world.runFor(1_000_000)
  t.same(runtime.partitions(), [], 'what was unloaded stays so')
})

t.test('what is damaged is passed over, and said', async (t) => {
  const { world, runtime, log, say, content, errorLines } = start()
  const word = (key: string) => ({ timestamp: 1, key: Buffer.from(key), value: Buffer.from('1') })
  log.put({ records: [word('a'), word('damaged'), word('b')] })
  log.put({ records: [word('c'), word('d')] })
  log.put({ records: [word('e')] })
  log.put({ records: [word('f')] })
  log.put({ records: [word('g')] })
  const [, broken, counted, , flipped] = log.batches
  const recordsAt = 61
  broken?.fill(0xff, recordsAt)
  const countAt = 57
  counted?.writeInt32BE(1000, countAt)
  // It can be decoded, and says something else.
  const last = (flipped?.length ?? 0) - 2
  flipped?.writeInt8(flipped.readInt8(last) ^ 2, last)
  await world.run(runtime.load(0, 1, log))
  t.same([...content().keys()], ['a', 'b', 'f'])
  t.match(errorLines, [
    { coordinator: 'words', partition: '__words-0', offset: 1 },
    { coordinator: 'words', partition: '__words-0', offset: 3 },
    { coordinator: 'words', partition: '__words-0', offset: 5 },
    { coordinator: 'words', partition: '__words-0', offset: 7 },
  ])
  t.equal(errorLines.length, 4)
  t.equal(await world.run(Promise.resolve(say('works', ['h', '1']))), 'works')
})

t.test(
  'a stretch in which the log finds no batch is passed over, if it knows where it ends',
  async (t) => {
    const { world, runtime, log, say, content, errorLines } = start()
    for (const key of ['a', 'b', 'c']) {
      log.put({ records: [{ timestamp: 1, key: Buffer.from(key), value: Buffer.from('1') }] })
    }
    log.damage = { from: 1, to: 2 }
    await world.run(runtime.load(0, 1, log))
    t.same([...content().keys()], ['a', 'c'])
    t.match(errorLines, [{ partition: '__words-0', offset: 1, endOffset: 2 }])
    t.equal(await world.run(Promise.resolve(say('works', ['d', '1']))), 'works')
    runtime.unload(0)
    log.endOfDamage = (offset) => offset
    log.read = () => {
      throw new KafkaError(errors.CORRUPT_MESSAGE)
    }
    await world.run(runtime.load(0, 2, log))
    t.match(errorLines.at(-1), { reloadMs: 10_000 }, 'else it is tried again')
  },
)

t.test('a log whose last offsets hold nothing is loaded, and goes on behind them', async (t) => {
  const { world, runtime, log, say, content } = start()
  log.put({ records: [{ timestamp: 1, key: Buffer.from('a'), value: Buffer.from('1') }] })
  log.logEndOffset += 2
  await world.run(runtime.load(0, 1, log))
  t.same([...content().keys()], ['a'])
  t.equal(await world.run(Promise.resolve(say('works', ['b', '1']))), 'works')
  t.equal(log.logEndOffset, 4)
})

t.test('an exception of one write ends nobody else', async (t) => {
  const { world, runtime, log, say, content, shards, errorLines } = start()
  await runtime.load(0, 1, log)
  const events: string[] = []
  const unwritable = () => ({
    records: [{ key: 'unwritable', value: '1' }],
    reply: null,
    onFailed: ({ name }: { name: string }) => events.push(name),
  })
  refusal(t, () => runtime.write(0, unwritable), errors.UNKNOWN_SERVER_ERROR)
  t.same(events, ['UNKNOWN_SERVER_ERROR'])
  const fail = () => {
    throw new TypeError('a bug')
  }
  const buggy = (key: string) =>
    runtime.write(0, () => ({
      records: [{ key, value: '1' }],
      reply: key,
      onCommitted: fail,
      onFailed: fail,
    }))
  const replies = [buggy('a'), say('b', ['b', '1'])]
  t.same(await world.run(Promise.all(replies)), ['a', 'b'])
  log.failure = new KafkaError(errors.NOT_ENOUGH_REPLICAS)
  const refused = [buggy('c'), say('d', ['d', '1'])].map((write) =>
    t.rejects(Promise.resolve(write), coded(errors.COORDINATOR_NOT_AVAILABLE)),
  )
  await world.run(Promise.all(refused))
  log.failure = null
  shards[0]?.context.deadline(fail).set(10)
  await world.runFor(50)
  t.same([...content().keys()], ['a', 'b'])
  t.equal(errorLines.length, 4)
})

t.test('keys go to partitions as in Java', async (t) => {
  t.equal(javaHashCode(''), 0)
  t.equal(javaHashCode('my-group'), -1906497762)
  t.equal(javaHashCode('polygenelubricants'), -0x8000_0000)
  t.equal(coordinatorPartition('polygenelubricants', 50), 0)
  t.equal(coordinatorPartition('my-group', 50), 12)
  t.equal(javaHashCode('gruppe-\u{1F600}'), -593860811, 'over UTF-16 units')
})

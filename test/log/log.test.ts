/** Appending, reading, rolling, truncating, retention, timestamps. */
import t from 'tap'
import * as header from '../../protocol/records/batch.ts'
import { readBatch } from '../../protocol/records/record.ts'
import type { BufferPool } from '../../src/environment/node/buffer-pool.ts'
import { answer, Fixture, logPath } from './log-fixture.ts'

const small = { segmentBytes: 1000, indexIntervalBytes: 100 }

/** A log of many small segments: 60 batches of two records. */
async function manySegments(options: ConstructorParameters<typeof Fixture>[0] = {}) {
  const fixture = new Fixture({ ...options, config: { ...small, ...options.config } })
  const times: number[] = []
  for (let index = 0; index < 60; index++) {
    times.push(fixture.now)
    await fixture.append([`value ${index * 2}`, `value ${index * 2 + 1}`])
    await fixture.world.runFor(1000)
  }
  return Object.assign(fixture, { times })
}

function offsetsIn(bytes: Buffer): number[] {
  return [...header.batches(bytes)].map((at) => header.baseOffset(bytes, at))
}

t.test('what is appended in a turn is written together, then readable', async (t) => {
  for (const tailBytes of [0, 1 << 20]) {
    const { log, world, ...fixture } = new Fixture({ tailBytes })
    const batchOf = (value: string) => new Fixture().batch([value])
    let moved = 0
    log.onWritten = () => moved++
    const first = log.append(batchOf('a'), 3)
    const second = log.append(batchOf('b'), 3)
    t.equal(first.written, second.written, 'one promise for the turn')
    t.match([first, second], [{ baseOffset: 0 }, { baseOffset: 1, lastOffset: 1 }])
    t.equal(log.logEndOffset, 0)
    t.equal(log.nextOffset, 2)
    await world.run(first.written)
    t.equal(moved, 1)
    t.equal(log.logEndOffset, 2)
    const limits = { maxBytes: 1000, minOneBatch: true, upToOffset: 2 }
    const result = log.reader.read({ offset: 0, ...limits })
    t.equal(result instanceof Promise, tailBytes === 0)
    const { chunks, nextOffset } = await world.run(Promise.resolve(result))
    t.equal(nextOffset, 2)
    const bytes = Buffer.concat([...chunks])
    t.strictSame(offsetsIn(bytes), [0, 1])
    t.equal(header.partitionLeaderEpoch(bytes, 0), 3)
    t.ok(header.isCrcValid(bytes, 0), 'offset and epoch lie outside the CRC')
    t.equal(readBatch(bytes).records[0]?.value?.toString(), 'a')
    t.equal(fixture.directory.failure, null)
  }
})

t.test('reads find every offset, keep to limits, and agree with and without cache', async (t) => {
  const fixtures = [await manySegments(), await manySegments({ tailBytes: 1 << 20 })]
  const whole = [await fixtures[0]!.readAll(), await fixtures[1]!.readAll()]
  t.ok(whole[0]?.equals(whole[1]!))
  t.ok(fixtures[0]!.log.segmentCount > 5)
  for (const fixture of fixtures) {
    for (let offset = 0; offset < 120; offset++) {
      const one = await fixture.read(offset, { maxBytes: 1 })
      t.equal(one.firstOffset, offset - (offset % 2), 'the batch that holds the offset, whole')
      t.equal(one.nextOffset, one.firstOffset + 2)
      const bounded = await fixture.read(offset, { upToOffset: Math.min(offset + 3, 120) })
      t.ok(bounded.nextOffset <= offset + 3)
      t.equal(bounded.bytes, Buffer.concat([...bounded.chunks]).length)
    }
    const nothing = await fixture.world.run(
      Promise.resolve(
        fixture.log.reader.read({ offset: 0, maxBytes: 10, minOneBatch: false, upToOffset: 120 }),
      ),
    )
    t.equal(nothing.bytes, 0)
    t.equal((await fixture.read(120)).bytes, 0)
    t.throws(
      () => fixture.log.reader.read({ ...everything, offset: 121 }),
      answer('OFFSET_OUT_OF_RANGE'),
    )
  }
})

const everything = { maxBytes: 1 << 20, minOneBatch: true, upToOffset: Number.MAX_SAFE_INTEGER }

t.test('the tail cache serves the newest batches within its budget', async (t) => {
  const fixture = await manySegments({ tailBytes: 2000 })
  t.notOk(fixture.log.reader.read({ offset: 118, ...everything }) instanceof Promise)
  t.ok(fixture.log.reader.read({ offset: 0, ...everything }) instanceof Promise)
  t.strictSame(
    offsetsIn(await fixture.readAll()),
    Array.from({ length: 60 }, (_, i) => i * 2),
  )
})

t.test('a batch larger than the fetch, and larger than a read window', async (t) => {
  const fixture = new Fixture({ config: { maxMessageBytes: 1 << 24 } })
  await fixture.append(['x'])
  await fixture.append(['y'.repeat(3_000_000)])
  await fixture.append(['z'])
  t.equal((await fixture.read(1, { maxBytes: 100 })).nextOffset, 2)
  t.equal((await fixture.read(0, { maxBytes: 100 })).nextOffset, 1)
  t.equal(offsetsIn(await fixture.readAll()).length, 3)
  t.equal(fixture.kill().log.logEndOffset, 3, 'recovery reads over it, too')
})

t.test('a read that is allowed nothing gives back the memory it read into', async (t) => {
  const fixture = new Fixture()
  await fixture.append(['y'.repeat(300_000)])
  const buffers = fixture.process.environment.buffers as BufferPool
  const before = buffers.idleBytes
  t.equal((await fixture.read(0, { maxBytes: 100_000, minOneBatch: false })).bytes, 0)
  const readBytes = 2 ** Math.ceil(Math.log2(100_000 + fixture.config.indexIntervalBytes))
  t.equal(buffers.idleBytes, before + readBytes)
  t.equal((await fixture.read(0, { maxBytes: 0, minOneBatch: false })).bytes, 0)
  t.equal(buffers.idleBytes, before + readBytes, 'and of nothing nothing is read')
})

t.test('a log has its files from the start on, and a stop makes none', async (t) => {
  const fixture = new Fixture()
  const names = fixture.files()
  const first = '00000000000000000000'
  const ofSegment = [`${first}.index`, `${first}.log`, `${first}.timeindex`]
  t.same(names, [...ofSegment, 'leader-epoch-checkpoint', 'partition.metadata'])
  const at = (name: string) => `${logPath}/${name}`
  const epochs = () => fixture.disk.readFile(at('leader-epoch-checkpoint')).toString()
  t.equal(epochs(), '0\n0\n')
  fixture.log.assignEpochStart(3)
  await fixture.append(['value'], {}, 3)
  const before = fixture.disk.snapshot('written')
  await fixture.restart(() => {
    t.same(fixture.files(), names)
    t.equal(epochs(), '0\n1\n3 0\n')
    t.equal(fixture.disk.stat(at(`${first}.timeindex`)).size, 12)
    t.ok(fixture.disk.snapshot('durable').has(at(`${first}.index`)))
    const isNew = (path: string) => path.startsWith(logPath) && !before.has(path)
    t.same([...fixture.disk.snapshot('written').keys()].filter(isNew), [])
  })
  t.same(fixture.lines, [])
  t.equal(fixture.log.endOffsetFor(3).endOffset, 1)
  await fixture.append(['another'], {}, 4)
  await fixture.restart()
  t.equal(epochs(), '0\n2\n3 0\n4 1\n')
  t.same(fixture.files(), names)
})

t.test('segments roll by size, age and index', async (t) => {
  const aged = new Fixture({ config: { segmentMs: 10_000 } })
  await aged.append(['a'])
  await aged.world.runFor(9_000)
  await aged.append(['b'])
  t.equal(aged.log.segmentCount, 1)
  await aged.world.runFor(2_000)
  await aged.append(['c'])
  t.equal(aged.log.segmentCount, 2)
  t.strictSame(aged.files('.log'), ['00000000000000000000.log', '00000000000000000002.log'])
  t.strictSame(aged.files('.snapshot'), ['00000000000000000002.snapshot'])

  const indexed = new Fixture({ config: { indexIntervalBytes: 0, segmentIndexBytes: 40 } })
  for (let index = 0; index < 12; index++) await indexed.append([`v${index}`])
  t.ok(indexed.log.segmentCount > 1)
  t.strictSame(
    offsetsIn(await indexed.readAll()),
    Array.from({ length: 12 }, (_, i) => i),
  )
})

t.test('truncation drops whole batches and lets the log go on', async (t) => {
  const fixture = await manySegments({ tailBytes: 1 << 20 })
  const { log } = fixture
  log.assignEpochStart(5)
  await fixture.append(['new term'], {}, 5)
  t.equal(log.truncateTo(51), 50, 'the batch [50, 51] goes as a whole')
  t.equal(log.logEndOffset, 50)
  t.equal(log.latestLeaderEpoch, 0)
  t.equal(log.truncateTo(70), 50, 'nothing to do')
  await fixture.append(['other'], {}, 6)
  t.strictSame(offsetsIn(await fixture.readAll()).slice(-2), [48, 50])
  t.strictSame(log.endOffsetFor(0), { leaderEpoch: 0, endOffset: 50 })
  t.equal(fixture.kill().log.logEndOffset, 51)
  fixture.log.truncateFullyAndStartAt(1000)
  t.equal(fixture.log.logStartOffset, 1000)
  t.equal((await fixture.append(['far'])).baseOffset, 1000)
  t.strictSame(fixture.files('.log'), ['00000000000000001000.log'])
})

t.test('a turn that was truncated before it was written counts for nothing', async (t) => {
  const fixture = new Fixture({ tailBytes: 1 << 20 })
  await fixture.append(['a'])
  const lost = fixture.log.append(fixture.batch(['b']), 0)
  fixture.log.truncateTo(1)
  await fixture.world.run(lost.written)
  t.equal(fixture.log.logEndOffset, 1)
  await fixture.append(['c'])
  const bytes = await fixture.readAll()
  t.strictSame(
    [...header.batches(bytes)].map((at) => readBatch(bytes, at).records[0]?.value?.toString()),
    ['a', 'c'],
  )
})

t.test('retention by size, by time, and by log start', async (t) => {
  const bySize = await manySegments({ config: { retentionBytes: 3000, retentionMs: -1 } })
  t.equal(bySize.log.deleteOldSegments(), 0, 'nothing above the high watermark goes')
  bySize.log.updateHighWatermark(120)
  t.ok(bySize.log.deleteOldSegments() > 0)
  t.ok(bySize.log.size >= 3000 && bySize.log.size < 4000)
  t.ok(bySize.files('.deleted').length > 0)
  await bySize.world.runFor(60_000)
  t.strictSame(bySize.files('.deleted'), [])
  t.equal((await bySize.read(bySize.log.logStartOffset)).firstOffset, bySize.log.logStartOffset)

  const byTime = await manySegments({ config: { retentionMs: 30_000 } })
  byTime.log.updateHighWatermark(120)
  t.ok(byTime.log.deleteOldSegments() > 0)
  t.ok(byTime.log.logStartOffset >= 40 && byTime.log.logStartOffset <= 60)
  await byTime.world.runFor(100_000)
  byTime.log.deleteOldSegments()
  t.equal(byTime.log.logStartOffset, 120, 'the active segment, too')
  t.equal(byTime.log.segmentCount, 1)
  t.equal((await byTime.append(['next'])).baseOffset, 120)

  const byStart = await manySegments({ config: { cleanupPolicy: ['compact'] } })
  byStart.log.updateHighWatermark(100)
  t.throws(() => byStart.log.deleteRecords(101), answer('OFFSET_OUT_OF_RANGE'))
  byStart.log.deleteRecords(55)
  t.ok(byStart.log.deleteOldSegments() > 0)
  t.equal(byStart.log.logStartOffset, 55)
  t.equal((await byStart.read(55)).firstOffset, 54, 'a batch that spans the start is given whole')
  byStart.directory.logs.writeCheckpoints()
  t.equal(byStart.kill().log.logStartOffset, 55)
})

t.test('bytes that are not acknowledged yet push no acknowledged record out', async (t) => {
  const config = { retentionBytes: 3000, retentionMs: -1, flushMessages: 1 }
  const fixture = await manySegments({ config })
  fixture.log.updateHighWatermark(120)
  fixture.log.deleteOldSegments()
  const { logStartOffset, size } = fixture.log
  // Some are in their files and wait for the sync, others wait in memory for the first.
  const append = () => fixture.log.append(fixture.batch(['x'.repeat(400)]), 0)
  for (let count = 0; count < 3; count++) append()
  await fixture.world.runFor(0.5)
  for (let count = 0; count < 3; count++) append()
  t.ok(fixture.log.size > size + 4800)
  t.equal(fixture.log.logEndOffset, 120)
  t.equal(fixture.log.deleteOldSegments(), 0)
  t.equal(fixture.kill().log.logStartOffset, logStartOffset)
})

t.test('a read that retention overtakes says so, or has read in time', async (t) => {
  const fixture = await manySegments({ config: { retentionMs: 0 } })
  await fixture.world.runFor(10)
  fixture.log.updateHighWatermark(120)
  const reads = [0, 11, 30, 118].map((offset) => fixture.log.reader.read({ offset, ...everything }))
  fixture.log.deleteOldSegments()
  for (const end of await fixture.world.run(Promise.allSettled(reads))) {
    if (end.status === 'fulfilled') t.ok(end.value.bytes > 0)
    else t.match(end.reason, answer('OFFSET_OUT_OF_RANGE'))
  }
  await fixture.world.runFor(100_000)
  t.equal(fixture.directory.failure, null)
})

t.test('of the segments that are not written to, one at most stays open', async (t) => {
  const fixture = await manySegments()
  const offsets = Array.from({ length: 60 }, (_, index) => index * 2)
  const check = async (what: string, work: () => Promise<unknown>) => {
    await fixture.world.run(work())
    await fixture.world.runFor(60_000)
    const open = fixture.disk.openPaths().filter((path) => path.endsWith('.log'))
    t.ok(open.length <= 2, `${what}: ${open.join(' ')}`)
  }
  t.equal(fixture.log.segmentCount, 8)
  await check('rolled while others are synced', async () => {
    for (let count = 0; count < 8; count++) {
      fixture.log.append(fixture.batch(['x']), 0)
      fixture.log.roll()
    }
  })
  for (const restart of [() => fixture.restart(), async () => fixture.kill()]) {
    await restart()
    const { reader } = fixture.log
    await check('opened', () => fixture.log.flush())
    await check('looked up', () =>
      Promise.all(fixture.times.map((t) => reader.offsetForTimestamp(t))),
    )
    // Each finds its batch longer than what it read at first.
    const readAll = () =>
      Promise.all(offsets.map((offset) => reader.read({ ...everything, offset, maxBytes: 1 })))
    await check('read', readAll)
  }
})

t.test('timestamps lead to records', async (t) => {
  const fixture = await manySegments()
  const { log, world } = fixture
  const timeOf = (batch: number) => fixture.times[batch] as number
  for (let batch = 0; batch < 60; batch++) {
    const offset = batch * 2
    for (const timestamp of [timeOf(batch), timeOf(batch) - 999]) {
      t.match(await world.run(log.reader.offsetForTimestamp(timestamp)), { offset, leaderEpoch: 0 })
    }
  }
  t.match(await world.run(log.reader.offsetForTimestamp(0)), { offset: 0 })
  t.equal(await world.run(log.reader.offsetForTimestamp(timeOf(59) + 1)), null)
  t.match(await world.run(log.reader.offsetOfMaxTimestamp()), {
    offset: 118,
    timestamp: timeOf(59),
  })
  const records = [5, 90_000, 7].map((ahead) => ({
    timestamp: timeOf(0) + ahead,
    key: null,
    value: Buffer.from('v'),
  }))
  await fixture.append([], { records })
  await fixture.append(['after'])
  t.match(await world.run(log.reader.offsetOfMaxTimestamp()), { offset: 121 })
  t.match(await world.run(log.reader.offsetForTimestamp(timeOf(59) + 10_000)), { offset: 121 })
  const again = await fixture.restart()
  t.match(
    await world.run(again.log.reader.offsetOfMaxTimestamp()),
    { offset: 121 },
    'after a restart',
  )
  t.match(await world.run(again.log.reader.offsetForTimestamp(timeOf(20))), { offset: 40 })
  const empty = new Fixture()
  t.equal(await empty.world.run(empty.log.reader.offsetOfMaxTimestamp()), null)
})

t.test('a lookup that has to walk a segment lets others in', async (t) => {
  const fixture = new Fixture({ config: { segmentBytes: 8_000_000, retentionMs: -1 } })
  const { log, world } = fixture
  const recordAt = (timestamp: number, bytes: number) => [
    { timestamp, key: null, value: Buffer.alloc(bytes) },
  ]
  await fixture.append([], { records: recordAt(90_000, 1) })
  for (let ms = 1; ms <= 60; ms++) await fixture.append([], { records: recordAt(ms, 100_000) })
  const { timers } = fixture.process.environment
  const nextTurn = timers.nextTurn.bind(timers)
  let pauses = 0
  let meanwhile = () => {}
  timers.nextTurn = (callback) => {
    pauses++
    meanwhile()
    nextTurn(callback)
  }
  const pausesOf = async (lookup: Promise<unknown>) => {
    pauses = 0
    return { found: await world.run(lookup), pauses }
  }
  t.match(await pausesOf(log.reader.offsetForTimestamp(60_000)), {
    found: { offset: 0 },
    pauses: 0,
  })
  log.updateHighWatermark(61)
  log.deleteRecords(2)
  const missed = await pausesOf(log.reader.offsetForTimestamp(60_000))
  t.match(missed, { found: null, pauses: 5 }, 'only what was deleted was so late')
  const late = await pausesOf(log.reader.offsetForTimestamp(50))
  t.match(late, { found: { offset: 50, timestamp: 50 }, pauses: 4 })

  log.roll()
  await fixture.append([], { records: recordAt(95_000, 1) })
  log.updateHighWatermark(62)
  meanwhile = () => {
    log.deleteRecords(61)
    log.deleteOldSegments()
  }
  const overtaken = await pausesOf(log.reader.offsetForTimestamp(60_000))
  t.match(overtaken, { found: { offset: 61 }, pauses: 1 }, 'segments may go meanwhile')
})

t.test('leader epochs end where the next begin', async (t) => {
  const fixture = new Fixture()
  const { log } = fixture
  t.strictSame(log.endOffsetFor(0), { leaderEpoch: -1, endOffset: -1 })
  log.assignEpochStart(2)
  await fixture.append(['a', 'b'], {}, 2)
  log.assignEpochStart(4)
  await fixture.append(['c'], {}, 4)
  t.strictSame(log.endOffsetFor(4), { leaderEpoch: 4, endOffset: 3 })
  t.strictSame(log.endOffsetFor(5), { leaderEpoch: -1, endOffset: -1 })
  t.strictSame(log.endOffsetFor(3), { leaderEpoch: 2, endOffset: 2 })
  t.strictSame(log.endOffsetFor(1), { leaderEpoch: 1, endOffset: 0 })
  t.equal(log.leaderEpochAt(1), 2)
  t.equal(log.leaderEpochAt(2), 4)
  const again = await fixture.restart()
  t.equal(again.disk.readFile(`${logPath}/leader-epoch-checkpoint`).toString(), '0\n2\n2 0\n4 2\n')
  t.strictSame(again.log.endOffsetFor(3), { leaderEpoch: 2, endOffset: 2 })
})

t.test('a follower takes what the leader has, as it is', async (t) => {
  const leader = await manySegments()
  const bytes = await leader.readAll()
  const follower = new Fixture({ config: small })
  const appended = follower.log.appendAsFollower(Buffer.from(bytes), 0)
  await follower.world.run(appended.written)
  t.equal(follower.log.logEndOffset, 120)
  t.ok((await follower.readAll()).equals(bytes))
  const error = answer('CORRUPT_MESSAGE')
  t.throws(() => follower.log.appendAsFollower(Buffer.from(bytes), 0), error, 'offsets not next')
  const damaged = Buffer.from(bytes.subarray(0, 200))
  damaged[80]! ^= 1
  t.throws(() => new Fixture().log.appendAsFollower(damaged, 0), error)
  const middle = bytes.subarray([...header.batches(bytes)][10])
  const late = new Fixture()
  late.log.truncateFullyAndStartAt(21)
  late.log.appendAsFollower(Buffer.from(middle), 0)
  t.equal(late.log.nextOffset, 120)
  t.equal(late.log.logStartOffset, 21)
  const newer = Buffer.from(bytes)
  header.setLeaderEpoch(newer, [...header.batches(bytes)][2]!, 1)
  const cut = new Fixture()
  t.match(cut.log.appendAsFollower(newer, 0), { lastOffset: 3 }, 'not beyond the epoch fetched for')
})

t.test('flush.messages: synced before it is acknowledged, one sync for many turns', async (t) => {
  const fixture = new Fixture({ config: { flushMessages: 1 } })
  const { log, world } = fixture
  for (let turn = 0; turn < 20; turn++) {
    const { written } = log.append(fixture.batch([`${turn}`]), 0)
    if (turn % 5 === 0) await world.run(written)
  }
  await world.run(log.append(fixture.batch(['last']), 0).written)
  t.equal(log.recoveryPoint, 21)
  t.equal(fixture.crash().log.logEndOffset, 21, 'a power loss takes nothing')
})

t.test('flush.ms: synced by then at the latest', async (t) => {
  const fixture = new Fixture({ config: { flushMs: 500 } })
  await fixture.append(['a'])
  await fixture.world.runFor(2000)
  await fixture.append(['b'])
  await fixture.append(['c'])
  await fixture.world.runFor(2000)
  t.equal(fixture.log.recoveryPoint, 3)
})

t.test('the first disk error fences the directory', async (t) => {
  const fixture = new Fixture()
  await fixture.append(['a'])
  fixture.disk.fault = (operation) => (operation === 'write' ? 'EIO' : undefined)
  const failing = fixture.log.append(fixture.batch(['b']), 0)
  await t.rejects(fixture.world.run(failing.written), { name: 'DiskError', code: 'EIO' })
  fixture.disk.fault = undefined
  const error = answer('KAFKA_STORAGE_ERROR')
  t.equal(fixture.directory.failure?.code, 'EIO')
  t.throws(() => fixture.log.append(fixture.batch(['c']), 0), error)
  t.throws(() => fixture.log.reader.read({ offset: 0, ...everything }), error)
  await fixture.world.run(fixture.directory.close(1))
  t.notOk(fixture.disk.exists('/data/.kafka_cleanshutdown'))
})

t.test('a log tells its directory of every change of what is checkpointed', async (t) => {
  const fixture = new Fixture({ config: { segmentBytes: 2000 } })
  const { log, directory, world } = fixture
  const offsetsOf = () => {
    const { recoveryPoint, logStartOffset, highWatermark, cleanedOffset } = fixture.log
    return { recoveryPoint, logStartOffset, highWatermark, cleanedOffset }
  }
  const steps: (() => unknown)[] = [
    () => {},
    () => fixture.append(['a', 'b', 'c']),
    () => log.updateHighWatermark(2),
    () => log.deleteRecords(1),
    () => log.flush(),
    async () => {
      for (let n = 0; n < 30; n++) await fixture.append([`${n} ${'x'.repeat(200)}`])
    },
    () => log.updateHighWatermark(log.logEndOffset),
    () => log.advance(),
    () => log.cleanable.markCleaned(8),
    () => log.truncateTo(7),
    () => log.skipTo(20),
    () => log.truncateFullyAndStartAt(50),
    () => log.roll(),
  ]
  let before = JSON.stringify(offsetsOf())
  let changes = 0
  for (const [at, step] of steps.entries()) {
    await world.run(Promise.resolve(step()).then(() => {}))
    await world.run(directory.logs.checkpoint())
    const now = offsetsOf()
    t.match(directory.logs.offsetsOf('orders-0'), now, `step ${at}`)
    if (JSON.stringify(now) !== before) changes++
    before = JSON.stringify(now)
  }
  t.ok(changes >= 8, `${changes} of the steps have changed something`)
})

/** Compaction beside everything else that happens to a log. */
import t from 'tap'
import * as header from '../../protocol/records/batch.ts'
import { canCompress } from '../../protocol/records/compression/compression.ts'
import { encodeBatch, readBatch } from '../../protocol/records/record.ts'
import { loadRecords } from '../../src/coordinator/load.ts'
import type { LogConfig } from '../../src/log/log-config.ts'
import { compacted, Story } from './compaction-story.ts'
import { answer, logPath } from './log-fixture.ts'

const hourMs = 3_600_000

/** A few batches that are all superfluous but the last. */
async function same(story: Story, batches: number, key = 'same'): Promise<void> {
  for (let index = 0; index < batches; index++) {
    const sender = story.senders[0]
    if (sender !== undefined) await story.send(sender, [story.record(key), story.record(key)])
  }
  story.log.roll()
  await story.fixture.world.run(story.log.flush())
}

const offsetsOf = async (story: Story) =>
  (await story.stored()).flatMap(({ records }) => records.map(({ offset }) => offset))

t.test('what may be compacted, and when it is worth it', async (t) => {
  const story = new Story(1, { minCleanableDirtyRatio: 0.5, minCompactionLagMs: hourMs })
  const { fixture } = story
  const configure = (config: Partial<LogConfig>) =>
    story.log.updateConfig({ ...fixture.config, ...config })
  await same(story, 3)
  t.notOk(await story.compact(), 'too young')
  await fixture.world.runFor(2 * hourMs)
  await same(story, 2)
  t.ok(await story.compact(), 'what is old enough')
  t.equal(story.log.cleanedOffset, 6)
  t.strictSame(await offsetsOf(story), [5, 6, 7, 8, 9])
  configure({ minCompactionLagMs: 0, minCleanableDirtyRatio: 0.99 })
  t.notOk(await story.compact(), 'not dirty enough')
  configure({ minCompactionLagMs: 0, minCleanableDirtyRatio: 0.99, maxCompactionLagMs: hourMs })
  t.notOk(await story.compact(), 'not old enough')
  await fixture.world.runFor(2 * hourMs)
  t.ok(await story.compact(), 'too old, however little it is')
  t.strictSame(await offsetsOf(story), [9])
  t.match(story.compactor.counters, { cleanings: 2, ended: 0, recordsAfter: 2 })
  await same(story, 2)
  configure({ cleanupPolicy: ['delete'] })
  t.notOk(await story.compact(), 'not compacted any more')
  const transaction = story.senders[3]
  if (transaction === undefined) throw new Error('no transactional sender')
  configure({})
  await story.send(transaction, [story.record('other')])
  await same(story, 2)
  await fixture.world.runFor(2 * hourMs)
  t.ok(await story.compact())
  t.equal(story.log.cleanedOffset, 14, 'nothing beyond the last stable offset')
  fixture.log.updateHighWatermark(0)
  await story.end(transaction, true)
})

t.test('a topic may change its policy, and nothing is taken for damage', async (t) => {
  const story = new Story(2)
  const { fixture } = story
  await story.write(60)
  await story.settle()
  await story.compact()
  fixture.config = { ...fixture.config, cleanupPolicy: ['delete'] }
  story.log.updateConfig(fixture.config)
  t.strictSame(await story.stored(), story.expected)
  for (const how of ['restart', 'kill', 'crash'] as const) {
    await fixture.world.run(story.log.flush())
    await fixture[how]()
    story.begin()
    t.strictSame(await story.stored(), story.expected, `after a ${how}`)
    await story.write(5)
    t.strictSame(await story.stored(), story.expected, `and writing on`)
  }
  t.strictSame(
    fixture.lines.filter((line) => /error| hole|missing/.test(line)),
    [],
  )
  t.match(
    String(fixture.disk.readFile('/data/cleaner-offset-checkpoint')),
    /^0\n1\norders 0 \d+\n$/,
  )
})

t.test('delete,compact: both', async (t) => {
  const story = new Story(3, { cleanupPolicy: ['delete', 'compact'], retentionMs: hourMs })
  await same(story, 4)
  t.ok(await story.compact())
  await story.fixture.world.runFor(hourMs + 10_000)
  await same(story, 4, 'later')
  t.equal(story.log.deleteOldSegments(), 1)
  t.ok(story.log.logStartOffset > 0)
  t.ok(await story.compact())
  t.equal((await offsetsOf(story)).length, 1)
  t.notMatch(story.fixture.lines.join('\n'), /anew/)
})

t.test('whatever happens to the log meanwhile ends a compaction, and leaves nothing', async (t) => {
  const events: Record<string, (story: Story) => void> = {
    'cut above': ({ log }) => void log.truncateTo(log.logEndOffset - 1),
    'cut below': ({ log }) => void log.truncateTo(30),
    'cut to nothing': ({ log }) => log.truncateFullyAndStartAt(500),
    'records deleted': ({ log }) => {
      log.deleteRecords(log.highWatermark)
      log.deleteOldSegments()
    },
    'policy changed': ({ log }) => log.updateConfig({ ...log.config, cleanupPolicy: ['delete'] }),
    'partition removed': ({ log }) => log.delete(),
    'broker stopped': ({ compactor }) => void compactor.stop(),
  }
  for (const [what, happen] of Object.entries(events)) {
    let endings = 0
    for (let afterMs = 0; afterMs < 60; afterMs += 3) {
      const story = new Story(4)
      const { fixture } = story
      await story.write(40)
      await story.settle()
      const compacting = story.compactor.compactOne()
      await fixture.world.runFor(afterMs)
      const isUnderWay = story.compactor.counters.cleanings === 0
      happen(story)
      t.ok(await fixture.world.run(compacting))
      if (isUnderWay && story.compactor.counters.ended === 1) endings++
      t.equal(story.compactor.uncleanable.size, 0, what)
      if (!story.log.isUsable) continue
      t.strictSame(
        fixture.files().filter((name) => /cleaned|swap/.test(name)),
        [],
        what,
      )
      const known = new Map(story.oracle.batches.map((batch) => [batch.baseOffset, batch]))
      for (const { baseOffset, records } of await story.stored()) {
        const written = known.get(baseOffset)?.records ?? []
        const offsets = new Set(written.map(({ offset }) => offset))
        t.ok(
          records.every(({ offset }) => offsets.has(offset)),
          `${what}: nothing is invented`,
        )
      }
    }
    t.ok(endings > 0, `${what} ended ${endings} compactions`)
  }
})

t.test('readers of what is being replaced miss nothing', async (t) => {
  const story = new Story(5, {}, 3000)
  const { fixture, log } = story
  await story.write(120)
  await story.settle()
  const view = story.oracle.view()
  const last = new Map(
    story.oracle.batches.flatMap(({ records }) => records).map((one) => [one.offset, one]),
  )
  let reads = 0
  let isOver = false
  const read = async (maxBytes: number) => {
    while (!isOver) {
      const seen = new Set<number>()
      for (let offset = 0; offset < log.logEndOffset; ) {
        const options = { offset, maxBytes, minOneBatch: true, upToOffset: log.logEndOffset }
        const { chunks, nextOffset } = await log.reader.read(options)
        t.ok(nextOffset > offset)
        for (const chunk of chunks) {
          for (const at of header.batches(chunk)) {
            for (const record of readBatch(chunk, at).records) seen.add(record.offset)
          }
        }
        offset = nextOffset
        reads++
      }
      t.ok([...seen].every((offset) => last.has(offset)))
      // What stays is seen by everybody, whenever they came.
      for (const { records } of story.oracle.batches) {
        for (const { offset, key, value } of records) {
          if (key !== null && value !== null && view.get(key) === value) t.ok(seen.has(offset))
        }
      }
    }
  }
  const readers = [100, 700, 100_000].map(read)
  await story.compact()
  isOver = true
  await fixture.world.run(Promise.all(readers))
  t.ok(reads > 20, `${reads} reads`)
})

t.test('lookups by timestamp find the records that are left', async (t) => {
  const story = new Story(6)
  await story.write(100)
  await story.settle()
  await story.compact()
  const records = (await story.stored()).flatMap((batch) => batch.records)
  for (const { timestamp } of records) {
    const found = await story.fixture.world.run(story.log.reader.offsetForTimestamp(timestamp))
    const first = records.find((record) => record.timestamp >= timestamp)
    t.match(found, { offset: first?.offset, timestamp: first?.timestamp })
  }
})

t.test('producers go on, whatever became of their records', async (t) => {
  for (const how of ['restart', 'kill', 'crash'] as const) {
    const story = new Story(8)
    const [, sender] = story.senders
    if (sender === undefined) throw new Error('no idempotent sender')
    const repeated = [story.record('a'), story.record('a')]
    await story.send(sender, repeated)
    await same(story, 3, 'a')
    t.ok(await story.compact())
    t.strictSame(
      (await story.stored()).map(({ baseOffset, records }) => [baseOffset, records.length]),
      [
        [0, 0],
        [6, 1],
      ],
      'the last batch of the producer is left, without records',
    )
    for (const name of story.fixture.files('.snapshot')) {
      story.fixture.disk.remove(`${logPath}/${name}`)
    }
    await story.fixture[how]()
    story.begin()
    const { producerId, producerEpoch } = sender
    const batch = { producerId, producerEpoch, baseSequence: 0, records: repeated }
    t.match(await story.fixture.append([], batch), { isDuplicate: true, baseOffset: 0 }, how)
    const skipped = story.fixture.append([], { ...batch, baseSequence: 5 })
    await t.rejects(skipped, answer('OUT_OF_ORDER_SEQUENCE_NUMBER'))
    t.match(await story.fixture.append([], { ...batch, baseSequence: 2 }), { baseOffset: 8 })
  }
})

t.test('a coordinator learns the same from what is left', async (t) => {
  type Pair = readonly [string, string | null]
  for (let seed = 20; seed < 26; seed++) {
    const story = new Story(seed)
    const load = async () => {
      const values = new Map<string, { value: string | null; offset: number }>()
      const held = new Map<number, (() => void)[]>()
      // A transaction that ends late does not undo what was written in between.
      const apply = (offset: number, [key, value]: Pair) => {
        if ((values.get(key)?.offset ?? -1) <= offset) values.set(key, { value, offset })
      }
      const { environment } = story.fixture.process
      const { log } = story
      const given = {
        log: {
          logStartOffset: log.logStartOffset,
          logEndOffset: log.logEndOffset,
          read: async (offset: number) => {
            const limits = { maxBytes: 500, minOneBatch: true, upToOffset: log.logEndOffset }
            return Buffer.concat((await log.reader.read({ offset, ...limits })).chunks)
          },
        },
        logger: environment.log,
        kind: {
          decode: (key: Buffer, value: Buffer | null): Pair => [`${key}`, value && `${value}`],
        },
        replay: (records: readonly Pair[], offset: number, producerId: number | null) => {
          const applyAll = () => records.forEach((record) => void apply(offset, record))
          if (producerId === null) applyAll()
          else held.set(producerId, [...(held.get(producerId) ?? []), applyAll])
        },
        replayEnd: (producerId: number, isCommit: boolean) => {
          if (isCommit) for (const applyAll of held.get(producerId) ?? []) applyAll()
          held.delete(producerId)
        },
        isCurrent: () => true,
      }
      await story.fixture.world.run(Promise.resolve(loadRecords(given as never, environment)))
      t.equal(held.size, 0, 'every transaction has its end')
      const live = [...values].filter(([, { value }]) => value !== null)
      return live.map(([key, { value }]) => `${key}: ${value}`).sort()
    }
    await story.write(100)
    await story.settle()
    const before = await load()
    for (let pass = 0; pass < 3; pass++) {
      await story.compact()
      t.strictSame(await load(), before, `seed ${seed}`)
      await story.fixture.world.runFor(2000)
      await story.write(3)
      await story.settle()
      before.splice(0, before.length, ...(await load()))
    }
    await story.fixture.restart()
    story.begin()
    t.strictSame(await load(), before)
  }
})

t.test('offsets far apart do not end up in one segment', async (t) => {
  const story = new Story(9)
  const { fixture, log } = story
  const far = [0, 2 ** 31 - 2, 2 ** 31, 2 ** 32 + 5, 2 ** 32 + 6, 2 ** 40]
  for (const [index, baseOffset] of far.entries()) {
    const key = Buffer.from(`key ${index % 4}`)
    const records = [{ timestamp: fixture.now, key, value: Buffer.from('value') }]
    const result = log.appendAsFollower(encodeBatch({ records, baseOffset, leaderEpoch: 0 }), 0)
    await fixture.world.run(result.written)
  }
  log.roll()
  await fixture.world.run(log.flush())
  log.updateHighWatermark(log.logEndOffset)
  await fixture.world.run(story.compactor.compactOne())
  t.equal(story.compactor.counters.cleanings, 1)
  const { segments } = log.cleanable
  for (const [index, segment] of segments.slice(0, -1).entries()) {
    t.ok(
      segment.contents.readEnd().nextOffset - 1 - segment.baseOffset < 2 ** 31,
      `segment ${index}`,
    )
  }
  t.strictSame(await offsetsOf(story), [2 ** 31, 2 ** 32 + 5, 2 ** 32 + 6, 2 ** 40])
  await fixture.restart()
  story.begin()
  t.strictSame(await offsetsOf(story), [2 ** 31, 2 ** 32 + 5, 2 ** 32 + 6, 2 ** 40])
})

t.test('a damaged log is left as it is, and told of once', async (t) => {
  const story = new Story(10)
  const { fixture } = story
  await story.write(60)
  await story.settle()
  const [first = ''] = fixture.files('.log')
  await fixture.restart(() => {
    const { size } = fixture.disk.stat(`${logPath}/${first}`)
    fixture.disk.flipBit(`${logPath}/${first}`, (size >> 1) * 8)
  })
  story.begin()
  const before = fixture.disk.readFile(`${logPath}/${first}`)
  for (let look = 0; look < 3; look++) await fixture.world.run(story.compactor.compactOne())
  t.match(story.compactor.counters, { cleanings: 0, ended: 0 })
  t.equal(story.compactor.uncleanable.size, 1)
  const told = fixture.lines.filter((line) => line.includes('cannot be compacted'))
  t.equal(told.length, 1)
  t.match(told[0], /orders-0/)
  t.ok(fixture.disk.readFile(`${logPath}/${first}`).equals(before))
  t.strictSame(
    fixture.files().filter((name) => /cleaned|swap/.test(name)),
    [],
  )
})

t.test('what cannot be opened here stays, and all that it may hold', async (t) => {
  if (canCompress('zstd')) return
  const story = new Story(11, { deleteRetentionMs: 1 })
  const { fixture, log } = story
  const put = async (baseOffset: number, key: string, value: string | null, isOpen = true) => {
    const record = { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) }
    const records = [{ timestamp: fixture.now, ...record }]
    const batch = encodeBatch({ records, baseOffset, leaderEpoch: 0 })
    // As if the records were packed with the codec that this process has not.
    if (!isOpen) {
      batch.writeInt16BE(4, 21)
      header.setCrc(batch, 0)
    }
    await fixture.world.run(log.appendAsFollower(batch, 0).written)
  }
  await put(0, 'a', 'first')
  await put(1, 'b', 'packed', false)
  await put(2, 'b', null)
  await put(3, 'a', 'second')
  for (let offset = 4; offset < 8; offset++) {
    log.roll()
    await fixture.world.run(log.flush())
    log.updateHighWatermark(log.logEndOffset)
    await fixture.world.run(story.compactor.compactOne())
    await fixture.world.runFor(1000)
    await put(offset, 'c', `${offset}`)
  }
  const bytes = await fixture.readAll()
  const left = [...header.batches(bytes)].map((at) => header.baseOffset(bytes, at))
  t.strictSame(left, [1, 2, 3, 6, 7], 'the tombstone stays as long as what it deletes')
  t.equal(fixture.lines.filter((line) => line.includes('cannot be opened')).length, 1)
})

t.test('no faster than it may', async (t) => {
  const story = new Story(12, { segmentBytes: 100_000 })
  story.compaction = { ...story.compaction, ioMaxBytesPerSecond: 1000 }
  await story.write(60)
  await story.settle()
  const { nowMs } = story.fixture.world
  t.ok(await story.compact())
  const { last } = story.compactor.counters
  const bytes = 2 * (last?.bytesBefore ?? 0) + (last?.bytesAfter ?? 0)
  const tookMs = story.fixture.world.nowMs - nowMs
  t.ok(tookMs > bytes * 0.9 && tookMs < bytes * 1.2, `${bytes} bytes took ${tookMs} ms`)
})

t.test('records without a key are refused, packed or not', async (t) => {
  const story = new Story(13)
  for (const compression of ['none', 'gzip', 'snappy'] as const) {
    const records = [{ timestamp: story.fixture.now, key: null, value: Buffer.from('x') }]
    const append = story.fixture.append([], { records, compression })
    await t.rejects(append, answer('INVALID_RECORD'))
  }
  t.equal(story.log.logEndOffset, 0)
})

t.test('segments that have become small are put together', async (t) => {
  const story = new Story(14)
  for (let round = 0; round < 8; round++) {
    await same(story, 12, `key ${round}`)
    await story.compact()
  }
  t.strictSame(await story.stored(), story.expected)
  t.equal(story.log.segmentCount, 2, 'the active one and another')
  t.ok(compacted.segmentBytes !== undefined && story.log.size < compacted.segmentBytes)
})

t.test('batches larger than what is read at a time', async (t) => {
  const story = new Story(15, { segmentBytes: 60_000 })
  const [plain] = story.senders
  if (plain === undefined) throw new Error('no sender')
  for (const bytes of [900, 1300, 5000, 20_000, 10, 1019, 7000, 300, 15_000, 1]) {
    const value = story.random.bytes(bytes)
    const record = { ...story.record(), value }
    await story.send(plain, [record, { ...record, key: Buffer.from(`${bytes}`) }])
    await story.write(2)
  }
  await story.settle()
  t.ok(await story.compact())
  t.strictSame(await story.stored(), story.expected)
})

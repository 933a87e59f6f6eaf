/** What a leader accepts: idempotent producers, transactions, and the demands on batches. */
import t from 'tap'
import { type ErrorName, errors, KafkaError } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import { canCompress, compressions } from '../../protocol/records/compression/compression.ts'
import { encodeBatch, type NewBatch, readBatch } from '../../protocol/records/record.ts'
import type { LogConfig } from '../../src/log/log-config.ts'
import { decodeSnapshot, encodeSnapshot } from '../../src/log/producer-snapshot.ts'
import type { RecordsRejected } from '../../src/log/validation.ts'
import { answer, Fixture, logPath, marker } from './log-fixture.ts'

const sequenceMax = 2 ** 31 - 1

/** A batch of `count` records of producer 7. */
function sent(fixture: Fixture, baseSequence: number, more: Partial<NewBatch> = {}, count = 1) {
  const values = Array.from({ length: count }, (_, index) => `${baseSequence}+${index}`)
  return fixture.append(values, { producerId: 7, producerEpoch: 0, baseSequence, ...more })
}

t.test('a batch sent twice is stored once', async (t) => {
  const fixture = new Fixture()
  for (let index = 0; index < 7; index++) await sent(fixture, index * 2, {}, 2)
  for (const index of [6, 5, 4, 3, 2]) {
    const again = await sent(fixture, index * 2, {}, 2)
    t.match(again, { isDuplicate: true, baseOffset: index * 2, lastOffset: index * 2 + 1 })
  }
  const refused = answer('OUT_OF_ORDER_SEQUENCE_NUMBER')
  await t.rejects(sent(fixture, 2, {}, 2), refused, 'more than five ago')
  await t.rejects(sent(fixture, 12, {}, 1), refused, 'the sequence of another batch')
  await t.rejects(sent(fixture, 15), refused, 'a hole')
  t.equal(fixture.log.logEndOffset, 14)
  const log = fixture.log
  const twice = [0, 1].map(() =>
    log.append(fixture.batch(['x'], { producerId: 8, producerEpoch: 0, baseSequence: 0 }), 0),
  )
  t.match(twice[1], { isDuplicate: true, baseOffset: 14 })
  t.equal(twice[0]?.written, twice[1]?.written, 'both wait for the same write')
  await fixture.world.run(twice[1]!.written)
  await fixture.restart()
  t.match(await sent(fixture, 12, {}, 2), { isDuplicate: true, baseOffset: 12 }, 'after a restart')
  t.match(await sent(fixture, 14), { isDuplicate: false, baseOffset: 15 })
  fixture.kill()
  t.match(await sent(fixture, 14), { isDuplicate: true, baseOffset: 15 }, 'after a crash')
})

t.test('sequences wrap, epochs fence, the unknown may start anywhere', async (t) => {
  const fixture = new Fixture()
  await sent(fixture, sequenceMax - 1, {}, 4)
  t.match(await sent(fixture, sequenceMax - 1, {}, 4), { isDuplicate: true })
  await sent(fixture, 2)
  await t.rejects(sent(fixture, 1, { producerEpoch: 1 }), answer('OUT_OF_ORDER_SEQUENCE_NUMBER'))
  await sent(fixture, 0, { producerEpoch: 1 })
  await t.rejects(sent(fixture, 3), answer('INVALID_PRODUCER_EPOCH'))
  await sent(fixture, 500, { producerId: 70 })
  t.equal(fixture.log.logEndOffset, 7)
  t.match(fixture.log.activeProducers(), [
    { producerId: 7, epoch: 1, lastSequence: 0, lastOffset: 5 },
    { producerId: 70, epoch: 0, lastSequence: 500, lastOffset: 6 },
  ])
  fixture.log.expireProducers()
  await fixture.world.runFor(23 * 3600_000)
  await sent(fixture, 501, { producerId: 70 })
  await fixture.world.runFor(3600_001)
  fixture.log.expireProducers()
  t.match(fixture.log.activeProducers(), [{ producerId: 70 }])
})

t.test('who writes records of long ago is not forgotten for it', async (t) => {
  const fixture = new Fixture()
  const old = { records: [{ timestamp: 1, key: null, value: Buffer.from('x') }] }
  await sent(fixture, 0, old)
  fixture.log.expireProducers()
  t.match(await sent(fixture, 0, old), { isDuplicate: true }, 'sent again')
  fixture.kill()
  t.match(await sent(fixture, 0, old), { isDuplicate: true }, 'after a crash, too')
  for (let look = 0; look < 2; look++) {
    await fixture.world.runFor(11 * 3600_000)
    fixture.log.expireProducers()
  }
  t.match(await sent(fixture, 0, old), { isDuplicate: true }, 'nor when it pauses')
  await fixture.world.runFor(24 * 3600_000)
  fixture.log.expireProducers()
  t.strictSame(fixture.log.activeProducers(), [], 'unless it writes no more')
})

t.test('who was aborted is known after a clean close and a loss of power', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const fixture = new Fixture({ seed })
    const { world } = fixture
    const expected = []
    for (const firstOffset of [0, 2]) {
      await sent(fixture, firstOffset / 2, { isTransactional: true })
      await world.run(fixture.log.append(marker(false), 0, 'coordinator').written)
      const lastOffset = firstOffset + 1
      expected.push({ producerId: 7, firstOffset, lastOffset, lastStableOffset: lastOffset + 1 })
      if (firstOffset > 0) break
      // Some system does so by itself.
      const file = fixture.disk.open(`${logPath}/00000000000000000000.txnindex`, 'write')
      await world.run(file.sync())
      file.close()
    }
    await world.run(fixture.directory.close(7))
    fixture.crash()
    t.strictSame(fixture.log.reader.abortedTransactions(0, 4), expected, `seed ${seed}`)
  }
})

t.test('transactions: last stable offset, aborted ones, markers', async (t) => {
  const fixture = new Fixture({ config: { segmentBytes: 300 } })
  const { world } = fixture
  const raise = () => fixture.log.updateHighWatermark(fixture.log.logEndOffset)
  const end = async (isCommit: boolean, more: Partial<NewBatch> = {}, version = -1) =>
    world.run(fixture.log.append(marker(isCommit, more), 0, 'coordinator', version).written)
  await sent(fixture, 0)
  await sent(fixture, 1, { isTransactional: true })
  await sent(fixture, 2, { isTransactional: true })
  raise()
  t.equal(fixture.log.lastStableOffset, 1)
  t.ok(fixture.log.hasOpenTransaction(7, 0))
  await t.rejects(sent(fixture, 3), answer('INVALID_TXN_STATE'))
  await sent(fixture, 0, { producerId: 8, isTransactional: true })
  await end(false)
  t.equal(fixture.log.lastStableOffset, 1, 'until the marker is below the high watermark')
  raise()
  t.equal(fixture.log.lastStableOffset, 3, 'the other transaction is open')
  await end(true, { producerId: 8 })
  raise()
  t.equal(fixture.log.lastStableOffset, 6)
  const aborted = [{ producerId: 7, firstOffset: 1, lastOffset: 4, lastStableOffset: 3 }]
  t.strictSame(fixture.log.reader.abortedTransactions(0, 6), aborted)
  t.strictSame(fixture.log.reader.abortedTransactions(5, 6), [])
  for (const reopened of [await fixture.restart(), fixture.kill()]) {
    t.strictSame(reopened.log.reader.abortedTransactions(0, 6), aborted)
    t.equal(reopened.files('.txnindex').length, 1)
    raise()
    t.equal(reopened.log.lastStableOffset, 6)
  }
  await t.rejects(end(true, { producerEpoch: -1 }), answer('INVALID_PRODUCER_EPOCH'))
  await end(false, {}, 2)
  await sent(fixture, 3, { isTransactional: true })
  await t.rejects(end(false, {}, 2), answer('INVALID_PRODUCER_EPOCH'), 'version 2 raises the epoch')
  await end(true, { producerEpoch: 1 }, 2)
  await sent(fixture, 0, { producerEpoch: 1 })
})

t.test('snapshots have the bytes that Kafka writes', async (t) => {
  const entry = {
    producerId: 0x0102030405,
    epoch: 6,
    lastSequence: 7,
    lastOffset: 8,
    offsetDelta: 2,
    timestamp: 9,
    coordinatorEpoch: -1,
    currentTxnFirstOffset: -1,
  }
  const bytes = encodeSnapshot([entry])
  const body =
    '00000001 0000000102030405 0006 00000007 0000000000000008 00000002 ' +
    '0000000000000009 ffffffff ffffffffffffffff'
  t.equal(bytes.toString('hex', 6), body.replaceAll(' ', ''))
  t.equal(bytes.readInt16BE(0), 1)
  t.strictSame(decodeSnapshot(bytes), [entry])
  t.equal(encodeSnapshot([]).toString('hex'), '000148674bc700000000')
  bytes[20]! ^= 1
  t.equal(decodeSnapshot(bytes), null)
})

t.test('what is refused, and why', async (t) => {
  const now = new Fixture().now
  const dated = (...timestamps: number[]) =>
    timestamps.map((timestamp) => ({ timestamp, key: Buffer.from('k'), value: null }))
  const patched = (change: (batch: Buffer) => void) => {
    const batch = new Fixture().batch(['a', 'b'])
    change(batch)
    header.setCrc(batch, 0)
    return batch
  }
  const good = () => new Fixture().batch(['a', 'b'])
  const claimed = (body: string, codec: number, count: number) => {
    const batch = Buffer.concat([good().subarray(0, header.headerBytes), Buffer.from(body, 'hex')])
    batch.writeInt32BE(batch.length - header.logOverheadBytes, 8)
    batch.writeInt16BE(codec, 21)
    batch.writeInt32BE(count - 1, 23)
    batch.writeInt32BE(count, 57)
    header.setCrc(batch, 0)
    return batch
  }
  const cases: [string, ErrorName, () => Buffer, Partial<LogConfig>?][] = [
    ['damaged', 'CORRUPT_MESSAGE', () => Buffer.from(good().fill(1, 70, 71))],
    ['cut', 'INVALID_RECORD', () => good().subarray(0, -1)],
    ['an impossible length', 'CORRUPT_MESSAGE', () => patched((b) => b.writeInt32BE(20, 8))],
    ['no batch', 'INVALID_RECORD', () => Buffer.alloc(0)],
    ['two batches', 'INVALID_RECORD', () => Buffer.concat([good(), good()])],
    ['too large', 'MESSAGE_TOO_LARGE', good, { maxMessageBytes: 80 }],
    ['larger than a segment', 'RECORD_LIST_TOO_LARGE', good, { segmentBytes: 80 }],
    [
      'a base offset',
      'INVALID_RECORD',
      () => patched((batch) => header.setBaseOffset(batch, 0, 5)),
    ],
    ['fewer offsets than records', 'INVALID_RECORD', () => patched((b) => b.writeInt32BE(0, 23))],
    ['more offsets than records', 'INVALID_RECORD', () => patched((b) => b.writeInt32BE(5, 23))],
    ['no records', 'INVALID_RECORD', () => encodeBatch({ records: [] })],
    ['a control batch', 'INVALID_RECORD', () => marker(true)],
    ['no sequence', 'INVALID_RECORD', () => new Fixture().batch(['a'], { producerId: 3 })],
    ['a record too long', 'INVALID_RECORD', () => patched((batch) => batch.writeInt8(126, 61))],
    ['a wrong offset delta', 'INVALID_RECORD', () => patched((batch) => batch.writeInt8(8, 64))],
    ['a wrong key length', 'INVALID_RECORD', () => patched((batch) => batch.writeInt8(3, 65))],
    ['no gzip', 'CORRUPT_MESSAGE', () => patched((batch) => batch.writeInt16BE(1, 21))],
    [
      'no snappy',
      'CORRUPT_MESSAGE',
      () => patched((batch) => batch.fill(0xff, 61, 66).writeInt8(2, 22)),
    ],
    ['no lz4', 'CORRUPT_MESSAGE', () => patched((batch) => batch.writeInt16BE(3, 21))],
    ['no zstd', 'CORRUPT_MESSAGE', () => patched((batch) => batch.writeInt16BE(4, 21))],
    ['more records than two bytes of gzip hold', 'INVALID_RECORD', () => claimed('1f8b', 1, 295)],
    [
      'all offsets there are for those two',
      'INVALID_RECORD',
      () => claimed('1f8b', 1, 2 ** 31 - 1),
    ],
    ['more than two bytes of snappy hold', 'INVALID_RECORD', () => claimed('0100', 2, 7)],
    ['more than eight of lz4 hold', 'INVALID_RECORD', () => claimed('04224d1800000000', 3, 292)],
    [
      'more than anybody unpacks',
      'INVALID_RECORD',
      () => claimed(`28b52ffd${'00'.repeat(9000)}`, 4, 4e7),
    ],
    ['an old format', 'INVALID_RECORD', () => patched((batch) => batch.writeInt8(1, 16))],
    ['an unknown codec', 'INVALID_RECORD', () => patched((batch) => batch.writeInt16BE(7, 21))],
    [
      'its own append time',
      'INVALID_TIMESTAMP',
      () => patched((batch) => header.setMaxTimestamp(batch, 0, header.logAppendTime, 1)),
      { messageTimestampType: 'LogAppendTime' },
    ],
    [
      'the future',
      'INVALID_TIMESTAMP',
      () => encodeBatch({ records: dated(now, now + 4_000_000) }),
    ],
    [
      'the past',
      'INVALID_TIMESTAMP',
      () => encodeBatch({ records: dated(now, now - 2000, now - 3000) }),
      { messageTimestampBeforeMaxMs: 1000 },
    ],
    [
      'no key',
      'INVALID_RECORD',
      () => encodeBatch({ records: [{ timestamp: now, key: null, value: null }] }),
      { cleanupPolicy: ['compact', 'delete'] },
    ],
  ]
  for (const [name, row, batch, config = {}] of cases) {
    const fixture = new Fixture({ config })
    let error: unknown
    try {
      fixture.log.append(batch(), 0)
    } catch (thrown) {
      error = thrown
    }
    t.equal(error instanceof KafkaError && error.error, errors[row], name)
    t.equal(fixture.log.nextOffset, 0)
    if (name === 'the past') {
      t.match((error as RecordsRejected).recordErrors, [{ batchIndex: 1 }, { batchIndex: 2 }])
    }
  }
})

t.test(
  'the most alike records, packed as tight as that goes, are what they say they are',
  async (t) => {
    const count = 100_000
    const records = Array.from({ length: count }, () => ({ timestamp: 1, key: null, value: null }))
    for (const compression of compressions.filter(canCompress)) {
      const fixture = new Fixture()
      const batch = encodeBatch({ records, compression, compressionLevel: 9 })
      await fixture.world.run(fixture.log.append(batch, 0).written)
      t.equal(fixture.log.logEndOffset, count, `${compression}: ${batch.length} bytes`)
    }
  },
)

t.test('the last offset there is can be read, and nothing is taken behind it', async (t) => {
  const fixture = new Fixture()
  const endOffset = Number.MAX_SAFE_INTEGER
  fixture.log.truncateFullyAndStartAt(endOffset - 3)
  t.equal((await fixture.append(['a', 'b'])).lastOffset, endOffset - 2)
  await t.rejects(fixture.append(['c', 'd']), answer('INVALID_RECORD'), 'one of two')
  t.equal((await fixture.append(['e'])).lastOffset, endOffset - 1)
  const stored = await fixture.readAll()
  const copied = Buffer.from(stored.subarray(header.batchBytes(stored, 0)))
  header.setBaseOffset(copied, 0, endOffset)
  for (const reopened of [fixture, fixture.kill(), await fixture.restart()]) {
    t.equal(reopened.log.logEndOffset, endOffset)
    await t.rejects(reopened.append(['f']), answer('INVALID_RECORD'))
    t.throws(() => reopened.log.appendAsFollower(copied, 0), answer('INVALID_RECORD'))
    t.strictSame(await reopened.readAll(), stored)
  }
})

t.test('timestamps and codecs that the topic decides', async (t) => {
  const stamped = new Fixture({ config: { messageTimestampType: 'LogAppendTime' } })
  const result = stamped.log.append(
    encodeBatch({ records: [{ timestamp: 1, key: null, value: null }] }),
    0,
  )
  t.equal(result.logAppendTimeMs, stamped.now)
  await stamped.world.run(result.written)
  const batch = await stamped.readAll()
  t.ok(header.isCrcValid(batch, 0))
  t.match(readBatch(batch), {
    timestampType: header.logAppendTime,
    maxTimestamp: result.logAppendTimeMs,
  })

  const unstamped = new Fixture()
  await unstamped.append(['a'], { timestampType: header.logAppendTime })
  const kept = await unstamped.readAll()
  t.ok(header.isCrcValid(kept, 0))
  t.match(readBatch(kept), { timestampType: header.createTime }, 'as the topic says')

  const lying = new Fixture()
  const records = [5, 9, 7].map((timestamp) => ({ timestamp, key: null, value: null }))
  await lying.append([], { records, maxTimestamp: 0 })
  t.equal(header.maxTimestamp(await lying.readAll(), 0), 9, 'set to what the records say')

  for (const [from, compressionType, to] of [
    ['none', 'gzip', 'gzip'],
    ['gzip', 'uncompressed', 'none'],
    ['gzip', 'producer', 'gzip'],
    ['snappy', 'gzip', 'gzip'],
  ] as const) {
    const fixture = new Fixture({ config: { compressionType } })
    await fixture.append(['one'])
    await fixture.append(['a'.repeat(100), 'b'], {
      compression: from,
      producerId: 1,
      producerEpoch: 0,
      baseSequence: 0,
    })
    const stored = await fixture.readAll()
    const second = readBatch(stored, header.batchBytes(stored, 0))
    t.match(second, {
      compression: to,
      baseOffset: 1,
      lastOffset: 2,
      producerId: 1,
      baseSequence: 0,
    })
    t.equal(second.records[1]?.value?.toString(), 'b')
    t.equal(fixture.kill().log.logEndOffset, 3)
  }
})

t.test(
  'of a log without producers a stop leaves a snapshot where reading it again would take long',
  async (t) => {
    const fixture = new Fixture()
    const snapshot = (offset: string) =>
      fixture.disk.readFile(`${logPath}/${offset.padStart(20, '0')}.snapshot`)
    await fixture.append(['a'])
    await fixture.restart()
    t.throws(() => snapshot('1'), { code: 'ENOENT' })
    await fixture.append(['a'.repeat(64 * 1024)])
    await fixture.restart()
    t.strictSame(decodeSnapshot(snapshot('2')), [], 'of nobody')
  },
)

t.test('a batch whose answer was lost is known again after a restart', async (t) => {
  for (const end of ['clean stop', 'kill'] as const) {
    const fixture = new Fixture()
    const own = { producerId: 9, producerEpoch: 0 }
    for (let index = 0; index < 8; index++) {
      await fixture.append([`value ${index}`], { ...own, baseSequence: index })
      await fixture.append(['other'], { ...own, producerId: 10, baseSequence: index })
    }
    if (end === 'kill') {
      fixture.log.roll()
      fixture.kill()
    } else {
      await fixture.restart()
    }
    for (const index of [3, 4, 7]) {
      const again = await fixture.append([`value ${index}`], { ...own, baseSequence: index })
      t.match(again, { isDuplicate: true, baseOffset: index * 2 }, `${index} after a ${end}`)
    }
    const older = fixture.append(['value 2'], { ...own, baseSequence: 2 })
    await t.rejects(older, answer('OUT_OF_ORDER_SEQUENCE_NUMBER'), 'the sixth is too old')
    t.equal((await fixture.append(['next'], { ...own, baseSequence: 8 })).baseOffset, 16)
  }
})

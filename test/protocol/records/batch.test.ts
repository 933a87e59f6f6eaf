/** Record batches: written and read back, compared with Kafka's bytes, and damaged in every way. */
import t from 'tap'
import * as header from '../../../protocol/records/batch.ts'
import { canCompress, compressions } from '../../../protocol/records/compression/compression.ts'
import { UnsupportedCompression } from '../../../protocol/records/compression/unsupported-compression.ts'
import {
  controlRecordType,
  decodeControlRecord,
  encodeControlBatch,
  type NewControlRecord,
} from '../../../protocol/records/control.ts'
import { CorruptRecords } from '../../../protocol/records/corrupt-records.ts'
import {
  encodeBatch,
  type NewBatch,
  type NewRecord,
  readBatch,
} from '../../../protocol/records/record.ts'
import { varintBytes, writeVarint } from '../../../protocol/records/varint.ts'
import { SeededRandom } from '../../simulator/random.ts'
import { base64, fromBase64, goldenLines } from './golden-lines.ts'

const codecs = compressions.filter(canCompress)

function someBytes(random: SeededRandom): Buffer | null {
  const lengths = [0, 1, 5, 63, 64, 300, 9000]
  const length = lengths[random.uint32() % lengths.length]!
  return random.uint32() % 6 === 0 ? null : Buffer.alloc(length, `${random.uint32()} `)
}

function someRecord(random: SeededRandom): NewRecord {
  const deltas = [0, 1, -1, 2 ** 31, -(2 ** 27), 2 ** 40]
  return {
    timestamp: 1.7e12 + deltas[random.uint32() % deltas.length]!,
    key: someBytes(random),
    value: someBytes(random),
    headers: Array.from({ length: random.uint32() % 3 }, (_, index) => ({
      key: index === 0 ? '' : 'naïve ✓',
      value: someBytes(random),
    })),
  }
}

t.test('what is written is read back', async (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new SeededRandom(seed)
    const batch: Required<Omit<NewBatch, 'compressionLevel' | 'maxTimestamp' | 'deleteHorizonMs'>> =
      {
        records: Array.from({ length: 1 + (random.uint32() % 20) }, () => someRecord(random)),
        baseOffset: [0, 7, 2 ** 40][seed % 3]!,
        lastOffset: -1,
        compression: codecs[seed % codecs.length]!,
        producerId: [-1, 3, 2 ** 52][seed % 3]!,
        producerEpoch: seed % 2 ? -1 : 32767,
        baseSequence: seed % 2 ? -1 : 2 ** 31 - 1,
        leaderEpoch: seed % 5,
        isTransactional: seed % 2 === 0,
        isControl: false,
        timestampType: header.createTime,
      }
    const bytes = encodeBatch(batch)
    header.checkCrc(bytes, 0)
    t.same([...header.batches(bytes)], [0])
    const read = readBatch(bytes)
    const { records, lastOffset: _, ...fields } = batch
    t.match(read, fields)
    t.equal(read.lastOffset, batch.baseOffset + records.length - 1)
    t.equal(read.maxTimestamp, Math.max(...records.map((record) => record.timestamp)))
    const expected = records.map((record, index) => ({
      offset: batch.baseOffset + index,
      ...record,
    }))
    t.same(read.records, expected, `seed ${seed}`)
  }
})

t.test("Kafka's bytes", async (t) => {
  for (const line of goldenLines('batches')) {
    const bytes = fromBase64(line.bytes)!
    t.test(line.name, async (t) => {
      t.same([...header.batches(bytes)], [0])
      header.checkCrc(bytes, 0)
      if (header.compression(bytes, 0) === 'zstd' && !codecs.includes('zstd')) {
        t.throws(() => readBatch(bytes), UnsupportedCompression)
        return
      }
      const batch = readBatch(bytes)
      const isSample = line.name.startsWith('large')
      const records = batch.records.filter(({ offset }) => !isSample || offset % 50 === 0)
      const found = records.map(({ offset, timestamp, key, value, headers }) => [
        ...[offset, timestamp, base64(key), base64(value)],
        headers.map((one) => [one.key, base64(one.value)]),
      ])
      t.same(found, line.records)
      if (line.name === 'edges none LogAppendTime') {
        t.equal(batch.timestampType, header.logAppendTime)
        return
      }
      if (batch.compression !== 'none' || line.name === 'empty') return
      // A control batch or one with gaps, and the plain one: written again, the same bytes.
      t.equal(encodeBatch(batch).toString('hex'), bytes.toString('hex'))
    })
  }
})

t.test('an empty batch keeps its place and its producer', async (t) => {
  const golden = goldenLines('batches').find((line) => line.name === 'empty')!
  const batch = readBatch(fromBase64(golden.bytes)!)
  t.match(batch, { baseOffset: 100, lastOffset: 110, producerId: 9, baseSequence: 3, records: [] })
  const again = encodeBatch({ ...batch, baseOffset: 100, lastOffset: 110 })
  t.match(readBatch(again), { baseOffset: 100, lastOffset: 110, producerId: 9, records: [] })
})

t.test('patching in place', async (t) => {
  const records = [{ timestamp: 5, key: null, value: Buffer.from('v') }]
  const bytes = Buffer.concat([
    Buffer.alloc(3),
    encodeBatch({ records, baseSequence: 2 ** 31 - 1 }),
  ])
  header.setBaseOffset(bytes, 3, 2 ** 45 + 3)
  header.setLeaderEpoch(bytes, 3, 77)
  header.checkCrc(bytes, 3)
  header.setMaxTimestamp(bytes, 3, header.logAppendTime, 99)
  header.checkCrc(bytes, 3)
  const batch = readBatch(bytes, 3)
  t.match(batch, { baseOffset: 2 ** 45 + 3, leaderEpoch: 77, maxTimestamp: 99 })
  t.equal(batch.records[0]!.timestamp, 99)
  t.equal(header.lastSequence(bytes, 3), 2 ** 31 - 1)
  header.setMaxTimestamp(bytes, 3, header.createTime, 5)
  t.equal(readBatch(bytes, 3).records[0]!.timestamp, 5)
})

t.test('deltas count from the delete horizon where there is one', async (t) => {
  const records = [{ timestamp: 1000, key: Buffer.from('k'), value: null }]
  const batch = readBatch(encodeBatch({ records, deleteHorizonMs: 9000 }))
  t.match(batch, { hasDeleteHorizon: true, baseTimestamp: 9000, maxTimestamp: 1000 })
  t.equal(batch.records[0]!.timestamp, 1000)
})

t.test('partial and impossible batches', async (t) => {
  const one = encodeBatch({ records: [{ timestamp: 1, key: null, value: Buffer.alloc(20) }] })
  const two = Buffer.concat([one, one])
  t.same([...header.batches(two)], [0, one.length])
  for (let cut = 0; cut < one.length; cut++) {
    const torn = two.subarray(0, one.length + cut)
    t.same([...header.batches(torn, 0, torn.length, { partialTail: true })], [0])
    if (cut > 0) t.throws(() => [...header.batches(torn)], CorruptRecords)
  }
  const damages: [string, number, number][] = [
    ['length', 8, -1],
    ['length', 8, 48],
    ['last offset delta', 23, -1],
    ['record count', 57, -1],
    ['record count', 57, 2],
    ['record count', 57, 0x7fffffff],
  ]
  for (const [what, at, value] of damages) {
    const bad = Buffer.from(one)
    bad.writeInt32BE(value, at)
    t.throws(() => [...header.batches(bad)], CorruptRecords, `${what} ${value}`)
    t.throws(() => readBatch(bad), CorruptRecords, `${what} ${value}`)
  }
})

t.test('every flipped byte is noticed', async (t) => {
  const random = new SeededRandom(5)
  const records = Array.from({ length: 4 }, () => ({
    ...someRecord(random),
    value: Buffer.alloc(9),
  }))
  for (const compression of codecs) {
    const bytes = encodeBatch({ records, compression })
    for (let at = 0; at < bytes.length; at++) {
      const bad = Buffer.from(bytes)
      bad[at] = bad[at]! ^ (1 << (at % 8))
      const isCovered = at >= 16
      const noticed = isCovered && (bad[16] !== 2 || !header.isCrcValid(bad, 0))
      if (isCovered && !noticed) t.fail(`${compression}: byte ${at}`)
      try {
        readBatch(bad, 0, { unpackedBytesMax: 1 << 20 })
      } catch (error) {
        if (error instanceof CorruptRecords || error instanceof UnsupportedCompression) continue
        t.fail(`${compression}: byte ${at}: ${error}`)
      }
    }
  }
})

t.test('hostile records', async (t) => {
  const whole = encodeBatch({
    records: [
      { timestamp: 0, key: Buffer.from('k'), value: null, headers: [{ key: 'h', value: null }] },
    ],
  })
  // length, attributes, timestamp delta, offset delta, key, value, header count, header
  t.equal(whole.subarray(61).toString('hex'), '14000000026b0102026801')
  const hostile = [
    '14000000026b01020268', // one byte short
    '14000000026b0102026801ff', // one byte over
    '15000000026b0102026801', // negative record length
    '14000000fe6b0102026801', // key longer than the record
    '14000000036b0102026801', // key length -2
    '14000000026b01fe016801', // 127 headers
    '14000000026b01ffffffff0f', // header count -2147483648
    '14000000026b0102016801', // header with a null key
    'feffffff0f0000026b01', // record length 2147483647
    'ffffffffff7f', // endless varint
    '14808080808080808080808001', // endless varlong
  ]
  for (const hex of hostile) {
    const bytes = Buffer.concat([whole.subarray(0, 61), Buffer.from(hex, 'hex')])
    bytes.writeInt32BE(bytes.length - 12, 8)
    t.throws(() => readBatch(bytes), CorruptRecords, hex)
  }
  const random = new SeededRandom(9)
  for (let round = 0; round < 3000; round++) {
    const bytes = Buffer.from(whole)
    for (let flips = 1 + (round % 4); flips > 0; flips--) {
      bytes[17 + (random.uint32() % (bytes.length - 17))] = random.uint32() & 255
    }
    try {
      readBatch(bytes, 0, { unpackedBytesMax: 1 << 20 })
    } catch (error) {
      if (error instanceof CorruptRecords || error instanceof UnsupportedCompression) continue
      t.fail(`round ${round}: ${error}`)
    }
  }
})

t.test('varints of all sizes', async (t) => {
  const bytes = Buffer.alloc(12)
  for (let bit = 0; bit < 63; bit++) {
    for (const value of [2 ** bit, 2 ** bit - 1, -(2 ** bit), -(2 ** bit) - 1]) {
      t.equal(writeVarint(bytes, 0, value), varintBytes(value), `${value}`)
      let zigzag = 0n
      for (let at = 0, shift = 0n; ; at++, shift += 7n) {
        zigzag |= BigInt(bytes[at]! & 127) << shift
        if (bytes[at]! < 128) break
      }
      const back = zigzag & 1n ? -(zigzag >> 1n) - 1n : zigzag >> 1n
      t.equal(Number(back), value)
    }
  }
})

t.test('control records', async (t) => {
  const time = 1.7e12
  const directory = 'ESIzRFVmd4iZqrvM3e7_AA'
  const none = 'AAAAAAAAAAAAAAAAAAAAAA'
  const voters = (ids: number[]) => ids.map((voterId) => ({ voterId, voterDirectoryId: none }))
  const feature = { minSupportedVersion: 0, maxSupportedVersion: 1 }
  const voter = {
    voterId: 1,
    voterDirectoryId: directory,
    endpoints: [{ name: 'CONTROLLER', host: 'host-1', port: 9093 }],
    kRaftVersionFeature: feature,
  }
  const expected: Record<string, NewControlRecord> = {
    'control commit': { type: 'commit', value: { coordinatorEpoch: 9 } },
    'control abort': { type: 'abort', value: { coordinatorEpoch: 10 } },
    'control leaderChange 0': {
      type: 'leaderChange',
      value: { version: 0, leaderId: 2, voters: voters([1, 2]), grantingVoters: voters([2]) },
    },
    'control snapshotHeader': {
      type: 'snapshotHeader',
      value: { version: 0, lastContainedLogTimestamp: time - 1 },
    },
    'control snapshotFooter': { type: 'snapshotFooter', value: { version: 0 } },
    'control kRaftVersion': { type: 'kRaftVersion', value: { version: 0, kRaftVersion: 1 } },
    'control voters': { type: 'voters', value: { version: 0, voters: [voter] } },
  }
  const lines = goldenLines('batches').filter((line) => line.name.startsWith('control'))
  t.same(lines.map((line) => line.name).sort(), Object.keys(expected).sort())
  for (const { name, bytes } of lines) {
    const batch = readBatch(fromBase64(bytes)!)
    const record = expected[name]!
    const { key, value } = batch.records[0]!
    t.ok(batch.isControl, name)
    t.same(decodeControlRecord(key, value), record, name)
    const again = encodeControlBatch({
      records: [record],
      timestamp: time,
      baseOffset: batch.baseOffset,
      leaderEpoch: batch.leaderEpoch,
      ...(batch.isTransactional
        ? { producer: { id: batch.producerId, epoch: batch.producerEpoch } }
        : {}),
    })
    t.equal(base64(again), bytes, `${name}, written`)
  }
  const later = Buffer.from([0, 0, 0, 99])
  t.equal(controlRecordType(later), 'unknown')
  t.same(decodeControlRecord(later, null), { type: 'unknown', id: 99 })
  const commit = Buffer.from([0, 0, 0, 1])
  for (const key of [null, Buffer.alloc(3), Buffer.from([255, 255, 0, 1])]) {
    t.throws(() => decodeControlRecord(key, Buffer.alloc(6)), CorruptRecords)
  }
  for (const value of [null, Buffer.alloc(1), Buffer.alloc(3)]) {
    t.throws(() => decodeControlRecord(commit, value), CorruptRecords)
  }
  t.match(decodeControlRecord(commit, Buffer.from([0, 1, 0, 0, 0, 5, 9])), {
    value: { coordinatorEpoch: 5 },
  })
})

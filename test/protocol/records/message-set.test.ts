/** Message sets of magic 0 and 1: Kafka's bytes, both conversions, damage. */
import t from 'tap'
import * as header from '../../../protocol/records/batch.ts'
import { canCompress } from '../../../protocol/records/compression/compression.ts'
import { UnsupportedCompression } from '../../../protocol/records/compression/unsupported-compression.ts'
import { encodeControlBatch } from '../../../protocol/records/control.ts'
import { CorruptRecords, OversizedRecords } from '../../../protocol/records/corrupt-records.ts'
import {
  downConvert,
  encodeMessageSet,
  type Message,
  type OldMagic,
  readMessageSet,
  upConvert,
} from '../../../protocol/records/message-set.ts'
import { encodeBatch, readBatch } from '../../../protocol/records/record.ts'
import { base64, fromBase64, goldenLines } from './golden-lines.ts'

const lines = goldenLines('message-sets')
const oldCodecs = (['none', 'gzip', 'snappy', 'lz4'] as const).filter(canCompress)

function rows(messages: readonly Message[]): unknown[] {
  return messages.map(({ offset, timestamp, key, value }) => [
    ...[offset, timestamp, base64(key), base64(value)],
  ])
}

function message(offset: number, value: string | null, timestamp = 1.5e12): Message {
  return { offset, timestamp, key: null, value: value === null ? null : Buffer.from(value) }
}

t.test("Kafka's sets", async (t) => {
  for (const { name, bytes: text, messages } of lines.filter((line) =>
    line.name.startsWith('set'),
  )) {
    const bytes = fromBase64(text)!
    const set = readMessageSet(bytes)
    t.same(rows(set.messages), messages, name)
    const magic = header.magic(bytes, 0) as OldMagic
    const isAppendTime = magic === 1 && name.includes('LogAppendTime')
    t.equal(set.timestampType, isAppendTime ? header.logAppendTime : header.createTime)
    const compression = canCompress(set.compression) ? set.compression : 'none'
    const again = encodeMessageSet({ ...set, magic, compression })
    if (set.compression === 'none') t.equal(base64(again), text, `${name}, written`)
    else t.same(rows(readMessageSet(again).messages), messages)
    if (isAppendTime) {
      t.throws(() => upConvert(bytes), /log append time/, name)
      continue
    }
    const batch = upConvert(bytes)!
    header.checkCrc(batch, 0)
    const { records, ...fields } = readBatch(batch)
    t.match(fields, { baseOffset: 0, compression, producerId: -1 })
    const renumbered = messages!.map(([, ...rest], index) => [index, ...rest])
    t.same(rows(records), renumbered, `${name}, as a batch`)
  }
})

t.test("Kafka's down-conversions", async (t) => {
  for (const line of lines.filter(({ name }) => name.startsWith('down'))) {
    const toMagic = Number(line.name[5]) as OldMagic
    const bytes = downConvert(fromBase64(line.source!)!, toMagic, line.firstOffset!)
    const set = readMessageSet(bytes)
    t.same(rows(set.messages), line.messages, line.name)
    if (line.name.includes('lz4') && !canCompress('lz4')) continue
    if (set.compression === 'none') t.equal(base64(bytes), line.bytes, `${line.name}, bytes`)
    // Codecs differ in the bytes they choose; what is around them does not.
    else t.same(outline(bytes), outline(fromBase64(line.bytes)!), `${line.name}, wrappers`)
  }
})

function outline(set: Buffer): unknown[] {
  return entryPositions(set).map((at) => {
    const timestamp = set[at + 16] === 1 ? set.readBigInt64BE(at + 18) : null
    return [header.baseOffset(set, at), set[at + 16], set[at + 17], timestamp]
  })
}

function entryPositions(set: Buffer): number[] {
  const positions: number[] = []
  for (let at = 0; at < set.length; at += header.batchBytes(set, at)) positions.push(at)
  return positions
}

t.test('wrappers as other clients write them', async (t) => {
  const plain = [message(0, 'a'), message(1, 'b')]
  const wrapper = encodeMessageSet({ magic: 1, messages: plain, compression: 'gzip' })
  const offsets = (set: Buffer) => readMessageSet(set).messages.map((one) => one.offset)
  header.setBaseOffset(wrapper, 0, 0)
  t.same(offsets(wrapper), [0, 1], 'librdkafka: wrapper at 0')
  header.setBaseOffset(wrapper, 0, 901)
  t.same(offsets(wrapper), [900, 901])
  const later = [message(7, 'a'), message(9, 'b')]
  const absolute = encodeMessageSet({ magic: 0, messages: later, compression: 'gzip' })
  t.same(offsets(absolute), [7, 9], 'magic 0: as they are')
})

t.test('what a producer must not send', async (t) => {
  const single = encodeMessageSet({ magic: 1, messages: [message(0, 'a')] })
  const wrapper = encodeMessageSet({ magic: 1, messages: [message(0, 'a')], compression: 'gzip' })
  const batch = encodeBatch({ records: [{ timestamp: 1, key: null, value: null }] })
  t.throws(() => upConvert(Buffer.concat([wrapper, single])), /alone in its set/)
  t.throws(() => upConvert(Buffer.concat([single, batch])), /Batch within a message set/)
  t.throws(() => upConvert(single.subarray(0, -1)), CorruptRecords)
  t.equal(upConvert(Buffer.alloc(0)), null)
  t.equal(readBatch(upConvert(wrapper, { compression: 'none' })!).compression, 'none')
  t.throws(() => upConvert(wrapper, { allowance: { bytesLeft: 10 } }), OversizedRecords)
})

t.test('every flipped byte of a set is noticed', async (t) => {
  for (const magic of [0, 1] as const) {
    for (const compression of oldCodecs) {
      const messages = [message(3, 'abcabcabcabc'), message(4, null), message(5, '')]
      const set = encodeMessageSet({ magic, messages, compression })
      const offsetsAt = compression === 'none' ? entryPositions(set) : [0]
      for (let at = 8; at < set.length; at++) {
        // Offsets are outside the CRC: the broker assigns them.
        if (offsetsAt.some((start) => at >= start && at < start + 8)) continue
        const bad = Buffer.from(set)
        bad[at] = bad[at]! ^ (1 << (at % 8))
        t.throws(() => readMessageSet(bad), CorruptRecords, `${magic} ${compression} byte ${at}`)
      }
    }
  }
})

t.test('conversions of what old clients cannot have', async (t) => {
  const records = [{ timestamp: 9, key: null, value: Buffer.from('v') }]
  const batch = encodeBatch({ records, baseOffset: 5 })
  t.ok(downConvert(batch.subarray(0, 40), 1, 5).equals(batch.subarray(0, 40)), 'only a partial one')
  const torn = Buffer.concat([batch, batch.subarray(0, 40)])
  t.same(readMessageSet(downConvert(torn, 1, 5)).messages.length, 1, 'a partial one at the end')
  const marker = encodeControlBatch({
    records: [{ type: 'commit', value: { coordinatorEpoch: 0 } }],
    timestamp: 0,
    producer: { id: 1, epoch: 0 },
  })
  t.equal(downConvert(marker, 1, 0).length, 0, 'control batches are left out')
  const zstd = Buffer.from(batch)
  zstd[22] = 4
  t.throws(() => downConvert(zstd, 1, 5), UnsupportedCompression)
  t.throws(() => downConvert(Buffer.concat([marker, zstd]), 1, 0), UnsupportedCompression)
  const before = readMessageSet(downConvert(Buffer.concat([batch, zstd, batch]), 1, 5))
  t.equal(before.messages.length, 1, 'what stands before zstd')
  const old = encodeMessageSet({ magic: 0, messages: [message(1, 'a', -1)] })
  t.ok(downConvert(old, 1, 1).equals(old), 'old enough already')
})

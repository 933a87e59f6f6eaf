/** Sets of old clients, converted at once or in a thread: the same bytes, and others are not kept waiting. */
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { errors } from '../../protocol/errors.ts'
import { setCrc } from '../../protocol/records/batch.ts'
import {
  type Compression,
  canCompress,
  unpackedPerRequestBytesMax,
} from '../../protocol/records/compression/compression.ts'
import { UnsupportedCompression } from '../../protocol/records/compression/unsupported-compression.ts'
import { CorruptRecords, OversizedRecords } from '../../protocol/records/corrupt-records.ts'
import { downConvert, encodeMessageSet, upConvert } from '../../protocol/records/message-set.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { NobodyWaits } from '../../src/environment/in-turns.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import type { Thread, Threads } from '../../src/environment/threads.ts'
import {
  type CheckOptions,
  type ConversionAllowance,
  Conversions,
  checkAllowance,
  conversionAllowance,
} from '../../src/log/conversion/conversions.ts'

import { defaultLogConfig } from '../../src/log/log-config.ts'
import { type RecordsRejected, validateRecords } from '../../src/log/validation.ts'

const program = new URL('../../src/conversion-thread.js', import.meta.url)
const { timers, threads } = createNodeEnvironment({
  log: { level: 'silent' },
  threads: { conversion: program },
})

// A thread keeps no process alive.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

/** Counts the threads, and knows the last one. */
class CountedThreads implements Threads {
  started = 0
  last: Thread | null = null

  start(name: 'conversion'): Thread {
    this.started++
    this.last = (threads as Threads).start(name)
    return this.last
  }
}

function opened(t: Test) {
  const counted = new CountedThreads()
  t.teardown(() => counted.last?.end())
  return { counted, conversions: new Conversions({ timers, threads: counted }) }
}

const record = (bytes: number) => ({ timestamp: 1, key: null, value: Buffer.alloc(bytes, 'x') })
const batchOf = (count: number, bytes: number, compression: 'none' | 'gzip' = 'none') =>
  encodeBatch({ records: Array.from({ length: count }, () => record(bytes)), compression })
const setOf = (count: number, bytes: number, compression: 'none' | 'gzip' = 'none') =>
  encodeMessageSet({
    magic: 1,
    messages: Array.from({ length: count }, (_, offset) => ({ offset, ...record(bytes) })),
    compression,
  })

/** A batch that claims gzip and unpacks to zeros. */
function bomb(mebibytes: number): Buffer {
  const packed = gzipSync(Buffer.alloc(mebibytes << 20), { level: 9 })
  const batch = Buffer.concat([batchOf(1, 0).subarray(0, 61), packed])
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt16BE(1, 21)
  setCrc(batch, 0)
  return batch
}

const down = (allowance: ConversionAllowance = conversionAllowance()) => ({
  magic: 1 as const,
  firstOffset: 0,
  allowance,
  isWaiting: () => true,
})

t.test('little is converted at once, by no thread', async (t) => {
  const { counted, conversions } = opened(t)
  const batch = batchOf(10, 100, 'gzip')
  t.same(conversions.down([batch], down()), downConvert(batch, 1, 0))
  const set = setOf(10, 100, 'gzip')
  t.same(conversions.up([set], conversionAllowance()), upConvert(set))
  const corrupt = Buffer.from(batchOf(2, 100))
  corrupt.writeInt32BE(1, 57)
  t.throws(() => conversions.down([corrupt], down()), CorruptRecords)
  t.equal(counted.started, 0)
})

t.test('what is large, or unpacks to much, is converted in a thread, to the same', async (t) => {
  const { counted, conversions } = opened(t)
  const allowance = conversionAllowance()
  for (const batch of [batchOf(2000, 1000), batchOf(1000, 1000, 'gzip')]) {
    const copy = Buffer.from(batch)
    const half = batch.length >> 1
    const chunks = [batch.subarray(0, half), batch.subarray(half)]
    const converting = conversions.down(chunks, down(allowance))
    t.ok(converting instanceof Promise)
    t.same(await converting, downConvert(batch, 1, 0))
    t.same(batch, copy, 'what was given is still there')
  }
  const used = unpackedPerRequestBytesMax - allowance.bytesLeft
  t.ok(used >= 3_000_000 && used < 3_500_000, `${used} bytes`)
  const set = setOf(1000, 1000, 'gzip')
  const converting = conversions.up([set], conversionAllowance())
  t.ok(converting instanceof Promise)
  t.same(await converting, upConvert(set))
  t.equal(counted.started, 1)
})

const compacted: CheckOptions = {
  config: { ...defaultLogConfig, cleanupPolicy: ['compact'] },
  ...{ now: 1_000, name: 'orders-0' },
}

const keyed = (count: number, compression: Compression, isKeyed = (_: number) => true) =>
  encodeBatch({
    records: Array.from({ length: count }, (_, index) => ({
      ...record(100),
      key: isKeyed(index) ? Buffer.from(`key ${index}`) : null,
    })),
    compression,
  })

t.test('a batch is packed as hard as the topic says (KIP-390)', async (t) => {
  const packed = (compressionGzipLevel: number) => {
    const config = { ...defaultLogConfig, compressionType: 'gzip', compressionGzipLevel }
    return validateRecords(keyed(500, 'none'), {
      ...compacted,
      config,
      origin: 'client',
      allowance: undefined,
    })
  }
  t.ok(packed(9).length < packed(1).length)
  t.same(packed(-1), packed(6), 'zlib’s own default')
})

t.test('batches are checked to the same, little at once and much in a thread', async (t) => {
  const { counted, conversions } = opened(t)
  const validated = (batch: Buffer, options: CheckOptions) =>
    validateRecords(Buffer.from(batch), { ...options, origin: 'client', allowance: undefined })
  const repacked = { ...compacted, config: { ...compacted.config, compressionType: 'gzip' } }
  const check = (batch: Buffer, options: CheckOptions) =>
    conversions.check(Buffer.from(batch), options, checkAllowance())
  for (const compression of (['gzip', 'snappy', 'lz4'] as const).filter(canCompress)) {
    for (const options of [compacted, repacked]) {
      const little = keyed(100, compression)
      t.same(check(little, options), validated(little, options))
      const much = keyed(20_000, compression)
      const checking = check(much, options)
      t.ok(checking instanceof Promise)
      t.same(await checking, validated(much, options))
    }
  }
  t.equal(counted.started, 1)
  const holey = await check(
    keyed(20_000, 'gzip', (index) => index % 5_000 !== 7),
    compacted,
  )
  t.match(holey, { error: errors.INVALID_RECORD })
  t.match((holey as RecordsRejected).recordErrors, [
    { batchIndex: 7 },
    { batchIndex: 5_007 },
    {},
    {},
  ])
  t.match(await check(bomb(20), compacted), { error: errors.MESSAGE_TOO_LARGE })
  const damaged = keyed(20_000, 'gzip')
  damaged.writeUInt8(1, 5_000)
  t.match(await check(damaged, compacted), { error: errors.CORRUPT_MESSAGE })
})

t.test('errors are the same, too', async (t) => {
  const { conversions } = opened(t)
  const convert = async (batch: Buffer) => conversions.down([batch], down())
  await t.rejects(convert(bomb(20)), OversizedRecords)
  const corrupt = batchOf(2000, 100)
  corrupt.writeInt32BE(1999, 57)
  await t.rejects(convert(corrupt), CorruptRecords)
  const zstd = batchOf(2000, 100)
  zstd.writeInt16BE(4, 21)
  setCrc(zstd, 0)
  await t.rejects(convert(zstd), UnsupportedCompression)
})

t.test('a request does little at once, however many sets it brings', async (t) => {
  const { conversions } = opened(t)
  const allowance = conversionAllowance()
  const batch = batchOf(1, 60_000)
  let atOnce = 0
  for (let count = 0; count < 20; count++) {
    const converted = conversions.down([batch], down(allowance))
    if (converted instanceof Promise) await converted
    else atOnce++
  }
  t.ok(atOnce >= 4 && atOnce <= 5, `${atOnce} of 20`)
})

t.test('others go on while much is converted, one after the other', async (t) => {
  const { conversions } = opened(t)
  const order: number[] = []
  let isDone = false
  let turns = 0
  const look = () => {
    turns++
    if (!isDone) setImmediate(look)
  }
  look()
  await Promise.all(
    [bomb(17), batchOf(2000, 100), bomb(17)].map(async (batch, index) => {
      await Promise.resolve(conversions.down([batch], down())).catch(() => undefined)
      order.push(index)
    }),
  )
  isDone = true
  t.same(order, [0, 1, 2])
  t.ok(turns > 20, `${turns} turns`)
})

t.test(
  'who has gone is passed over; a thread that ends takes its question along only',
  async (t) => {
    const { counted, conversions } = opened(t)
    const large = batchOf(2000, 100)
    const first = conversions.down([bomb(17)], down())
    let isWaiting = true
    const second = conversions.down([large], { ...down(), isWaiting: () => isWaiting })
    isWaiting = false
    await t.rejects(Promise.resolve(first), OversizedRecords)
    await t.rejects(Promise.resolve(second), NobodyWaits)
    const third = Promise.resolve(conversions.down([large], down()))
    const fourth = Promise.resolve(conversions.down([large], down()))
    await new Promise((resolve) => setImmediate(resolve))
    await Promise.all([counted.last?.end(), t.rejects(third, { message: /ended/ })])
    t.same(await fourth, downConvert(large, 1, 0))
    t.equal(counted.started, 2)
  },
)

t.test('where there are no threads all is done at once', async (t) => {
  const conversions = new Conversions({ timers })
  const batch = batchOf(2000, 1000)
  t.same(conversions.down([batch], down()), downConvert(batch, 1, 0))
})

/** The codecs: what other implementations write is read, and no input can hang or bloat us. */
import { gzipSync } from 'node:zlib'
import snappy from 'snappyjs'
import t from 'tap'
import {
  type Compression,
  canCompress,
  compress,
  compressions,
  decompress,
} from '../../../protocol/records/compression/compression.ts'
import { compressLz4, decompressLz4 } from '../../../protocol/records/compression/lz4.ts'
import { unpackLz4Block } from '../../../protocol/records/compression/lz4-block.ts'
import { compressSnappyBlock } from '../../../protocol/records/compression/snappy.ts'
import { UnsupportedCompression } from '../../../protocol/records/compression/unsupported-compression.ts'
import { xxhash32 } from '../../../protocol/records/compression/xxhash32.ts'
import { CorruptRecords, OversizedRecords } from '../../../protocol/records/corrupt-records.ts'
import { openBatch } from '../../../protocol/records/record.ts'
import { SeededRandom } from '../../simulator/random.ts'
import { fromBase64, goldenLines } from './golden-lines.ts'

const written = compressions.filter((codec) => codec !== 'none' && canCompress(codec))

function inputs(random: SeededRandom): Buffer[] {
  const text = Buffer.from('{"id":1,"name":"millrace"}\n'.repeat(9000))
  return [
    ...[Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(300_000), text],
    ...[random.bytes(100), random.bytes(65_536), random.bytes(200_000)],
    Buffer.concat([random.bytes(1000), text, random.bytes(1000), Buffer.alloc(70_000, 'ab')]),
  ]
}

/** What is said of a stream that unpacks to more than it may. */
const tooMuch = { message: /unpacks to|longer than|damaged/ }

t.test('identity, and the limit', async (t) => {
  const random = new SeededRandom(1)
  for (const codec of written) {
    for (const input of inputs(random)) {
      const packed = compress(codec, input)
      t.ok(decompress(codec, packed, input.length).equals(input), `${codec}, ${input.length} bytes`)
      if (input.length < 2) continue
      t.throws(() => decompress(codec, packed, input.length - 1), tooMuch, codec)
    }
  }
})

t.test('levels', async (t) => {
  const input = Buffer.from('some text, some more text '.repeat(400))
  t.not(compress('gzip', input, 0).length, compress('gzip', input, 9).length)
  if (canCompress('zstd')) t.ok(decompress('zstd', compress('zstd', input, 19), 1e6).equals(input))
})

t.test('bombs are refused', async (t) => {
  const zeros = Buffer.alloc(50_000_000)
  const before = process.memoryUsage().arrayBuffers
  t.throws(() => decompress('gzip', gzipSync(zeros), 1 << 20), OversizedRecords)
  // 4 GiB claimed in six bytes.
  t.throws(
    () => decompress('snappy', Buffer.from('ffffffff0f00', 'hex'), 1 << 20),
    OversizedRecords,
  )
  for (const codec of written) {
    const packed = compress(codec, zeros.subarray(0, 5_000_000))
    t.throws(() => decompress(codec, packed, 1 << 20), tooMuch, codec)
  }
  t.ok(process.memoryUsage().arrayBuffers - before < 40_000_000)
})

t.test('any damage ends in bytes or CorruptRecords', async (t) => {
  const random = new SeededRandom(2)
  const input = Buffer.concat([Buffer.from('abcabcabcabc'.repeat(20)), random.bytes(200)])
  const damaged = (codec: Compression, bytes: Buffer) => {
    try {
      const out = decompress(codec, bytes, 5000)
      if (out.length > 5000) t.fail(`${codec}: ${out.length} bytes`)
    } catch (error) {
      if (!(error instanceof CorruptRecords)) t.fail(`${codec}: ${bytes.toString('hex')}: ${error}`)
    }
  }
  for (const codec of written) {
    const packed = compress(codec, input)
    const raw = codec === 'snappy' ? snappy.compress(input) : packed
    for (const bytes of [packed, raw]) {
      for (let at = 0; at < bytes.length; at++) {
        damaged(codec, bytes.subarray(0, at))
        for (const value of [0, 255, bytes[at]! ^ 1, bytes[at]! ^ 128, random.uint32() & 255]) {
          const bad = Buffer.from(bytes)
          bad[at] = value
          damaged(codec, bad)
        }
      }
    }
    for (let round = 0; round < 500; round++) {
      damaged(codec, random.bytes(random.uint32() % 40))
      damaged(codec, Buffer.concat([raw.subarray(0, 1 + (round % 20)), random.bytes(30)]))
    }
  }
})

t.test(
  'snappy blocks are those of what was packed: copies near and far, short and long',
  async (t) => {
    const random = new SeededRandom(5)
    const below = (bound: number) => random.uint32() % bound
    const packs = (bytes: Buffer) => {
      const packed = compressSnappyBlock(bytes)
      if (!Buffer.from(snappy.uncompress(packed, bytes.length)).equals(bytes))
        t.fail(`${bytes.length} bytes`)
      return packed.length
    }
    for (let length = 0; length < 40; length++) packs(Buffer.alloc(length, length))
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.alloc(below(round % 30 === 0 ? 200_000 : 3000))
      const letters = 1 + below(256)
      for (let at = 0; at < bytes.length; ) {
        if (at === 0 || below(3) > 0) bytes[at++] = below(letters)
        else {
          const distance = 1 + below(at)
          const end = Math.min(at + 1 + below(150), bytes.length)
          for (; at < end; at++) bytes[at] = bytes[at - distance]!
        }
      }
      packs(bytes)
    }
    t.ok(packs(Buffer.alloc(1e6)) < 50_000)
    const noise = random.bytes(100_000)
    t.ok(packs(noise) < noise.length + 100)
  },
)

t.test('snappy: raw, Xerial, several streams, and what hangs snappyjs', async (t) => {
  const input = Buffer.from('mill race '.repeat(9000))
  t.ok(decompress('snappy', snappy.compress(input), input.length).equals(input), 'raw')
  const stream = compress('snappy', input)
  t.ok(stream.length < input.length / 10)
  const twice = Buffer.concat([stream, stream])
  t.ok(decompress('snappy', twice, 1e6).equals(Buffer.concat([input, input])))
  t.equal(decompress('snappy', stream.subarray(0, 16), 10).length, 0, 'no blocks')
  const literalOfNegativeLength = Buffer.from('05fcfaffffff', 'hex')
  t.throws(() => decompress('snappy', literalOfNegativeLength, 100), /Bad snappy stream: truncated/)
  t.throws(() => decompress('snappy', Buffer.from('050061', 'hex'), 100), /shorter than it claims/)
  t.throws(() => decompress('snappy', Buffer.from('0104616200', 'hex'), 100), /longer/)
})

/** A frame of given flags around blocks that are already packed. */
function lz4Frame(flags: number, content: Buffer, blocks: Buffer[]): Buffer {
  const contentBytes = Buffer.alloc(8)
  contentBytes.writeUInt32LE(content.length)
  const descriptor = Buffer.concat([
    Buffer.from([0x40 | flags, 0x40]),
    flags & 0x08 ? contentBytes : Buffer.alloc(0),
  ])
  const parts: Buffer[] = [Buffer.from('04224d18', 'hex'), descriptor]
  parts.push(Buffer.from([(xxhash32(descriptor) >>> 8) & 255]))
  const number = (value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value)
    return bytes
  }
  for (const block of blocks) {
    parts.push(number(block.length), block)
    if (flags & 0x10) parts.push(number(xxhash32(block)))
  }
  parts.push(number(0))
  if (flags & 0x04) parts.push(number(xxhash32(content)))
  return Buffer.concat(parts)
}

t.test('lz4 frames of every kind', async (t) => {
  // "abcd" as literals; then a match of 8 at distance 4, and "tail!" as literals.
  const first = Buffer.from('4061626364', 'hex')
  const second = Buffer.from('040400507461696c21', 'hex')
  const content = Buffer.from('abcdabcdabcdtail!')
  const linked = 0
  const independent = 0x20
  for (const extra of [0, 0x10, 0x08, 0x04, 0x1c]) {
    const frame = lz4Frame(linked | extra, content, [first, second])
    t.equal(decompressLz4(frame, 100).toString(), content.toString(), `linked, flags ${extra}`)
    t.throws(() => decompressLz4(frame, content.length - 1), CorruptRecords)
  }
  const frame = lz4Frame(independent, content, [first, second])
  t.throws(() => decompressLz4(frame, 100), CorruptRecords, 'matches must stay within the block')
  for (const extra of [0x10, 0x08, 0x04]) {
    const bad = lz4Frame(extra, Buffer.from('x'), [first, second])
    if (extra === 0x10) bad[bad.length - 5] = bad[bad.length - 5]! ^ 1
    t.throws(() => decompressLz4(bad, 100), CorruptRecords, `wrong, flags ${extra}`)
  }
  t.throws(() => decompressLz4(lz4Frame(0x01, content, [first]), 100), /dictionary/)
})

t.test('lz4 without its package: read by us, refused in writing', async (t) => {
  const random = new SeededRandom(3)
  for (const { name, bytes, records } of goldenLines('batches')) {
    if (!name.includes('lz4')) continue
    const cursor = openBatch(fromBase64(bytes)!)
    t.ok(cursor.next() && cursor.offset === records![0]![0], name)
  }
  if (!canCompress('lz4')) {
    t.throws(() => compress('lz4', Buffer.alloc(9)), {
      name: 'UnsupportedCompression',
      message: /npm rebuild lz4/,
    })
    return
  }
  for (const input of inputs(random)) {
    for (const checksum of ['right', 'magic 0'] as const) {
      const frame = compressLz4(input, checksum)
      t.ok(decompressLz4(frame, input.length).equals(input))
    }
    const block = input.subarray(0, 65_536)
    const frame = compressLz4(block)
    const packedBytes = frame.length === 11 ? 0 : frame.readUInt32LE(7)
    if (packedBytes === 0 || packedBytes >= 0x80000000) continue
    const output = Buffer.alloc(block.length)
    const packed = frame.subarray(11, 11 + packedBytes)
    t.equal(
      unpackLz4Block(packed, output, { windowStart: 0, at: 0, end: block.length }),
      block.length,
    )
    t.ok(output.equals(block), 'both unpackers agree')
  }
})

t.test('zstd says what it needs', async (t) => {
  if (canCompress('zstd')) return
  t.throws(() => compress('zstd', Buffer.alloc(9)), UnsupportedCompression)
  t.throws(() => decompress('zstd', Buffer.alloc(9), 9), /zstd needs Node 22\.15 or newer/)
})

/**
 * LZ4 frames around the block functions of the `lz4` package. A frame is
 *
 *   04 22 4d 18 | FLG | BD | [content bytes, int64] | HC | blocks | 0 (uint32) | [content checksum]
 *
 * with little-endian numbers. FLG: bits 6-7 version 1, 5 blocks are independent, 4 block checksums,
 * 3 content bytes present, 2 content checksum, 0 dictionary. BD bits 4-6: a block unpacks to at most
 * 4^n * 256 bytes, n = 4 to 7. HC is the second byte of the xxHash of FLG to before HC. A block is its
 * length (the highest bit set: stored as it is), its bytes and perhaps its checksum. Kafka's client
 * wrote HC over the magic as well in magic 0 sets; both are accepted.
 *
 * The package is native and optional, since an installation may have no compiler. Without it frames
 * are still read, by `lz4-block.ts`, which is slower; only writing needs it.
 */
import { createRequire } from 'node:module'
import { CorruptRecords, OversizedRecords } from '../corrupt-records.ts'
import { unpackLz4Block } from './lz4-block.ts'
import { UnsupportedCompression } from './unsupported-compression.ts'
import { xxhash32 } from './xxhash32.ts'

const frameMagic = 0x184d2204
const headerBytes = 7
const independentBit = 0x20
const blockChecksumBit = 0x10
const contentBytesBit = 0x08
const contentChecksumBit = 0x04
const dictionaryBit = 0x01
const storedBit = 0x80000000

/** What Kafka's client writes: version 1, independent blocks of at most 64 KiB, no checksums. */
const writtenFlags = 0x40 | independentBit
const writtenBlockSize = 0x40
const writtenBlockBytesMax = 64 * 1024

/** The package's block functions: both answer the bytes written, 0 or less when they cannot. */
interface Lz4Package {
  encodeBound(bytes: number): number
  encodeBlock(input: Buffer, output: Buffer): number
  decodeBlock(input: Buffer, output: Buffer): number
}

let loaded: { blocks: Lz4Package } | { failure: unknown } | null = null

function load(): { blocks: Lz4Package } | { failure: unknown } {
  if (loaded) return loaded
  try {
    loaded = { blocks: createRequire(import.meta.url)('lz4') as Lz4Package }
  } catch (failure) {
    loaded = { failure }
  }
  return loaded
}

/** Whether the native package is at hand. */
export function canCompressLz4(): boolean {
  return 'blocks' in load()
}

/** The package's functions. Throws UnsupportedCompression where it could not be loaded. */
function blocksToWrite(): Lz4Package {
  const found = load()
  if ('blocks' in found) return found.blocks
  throw new UnsupportedCompression(
    'lz4',
    'Compressing with lz4 needs the optional native package lz4, which could not be loaded ' +
      `(${(found.failure as Error).message.split('\n')[0]}): install a C++ compiler and run ` +
      '`npm ci` or `npm rebuild lz4`, or use gzip, snappy or zstd',
    { cause: found.failure },
  )
}

/** One block without a frame. */
export function compressLz4Block(bytes: Buffer): Buffer {
  const blocks = blocksToWrite()
  const packed = Buffer.allocUnsafe(blocks.encodeBound(bytes.length))
  return packed.subarray(0, blocks.encodeBlock(bytes, packed))
}

/** Unpacks one block without a frame, to at most `bytesMax` bytes. Throws CorruptRecords. */
export function decompressLz4Block(block: Buffer, bytesMax: number): Buffer {
  // No byte of a block stands for more than 255.
  const room = Buffer.allocUnsafe(Math.min(bytesMax, block.length * 255))
  const found = load()
  if ('failure' in found) {
    const end = unpackLz4Block(block, room, { windowStart: 0, at: 0, end: room.length })
    return room.subarray(0, end)
  }
  const unpacked = found.blocks.decodeBlock(block, room)
  if (unpacked < 0) throw corrupt('block damaged')
  return room.subarray(0, unpacked)
}

export function compressLz4(bytes: Buffer, headerChecksum: 'right' | 'magic 0' = 'right'): Buffer {
  const blocks = blocksToWrite()
  const blockCount = Math.ceil(bytes.length / writtenBlockBytesMax)
  const bound = blocks.encodeBound(Math.min(bytes.length, writtenBlockBytesMax))
  const frame = Buffer.allocUnsafe(headerBytes + blockCount * (bound + 4) + 4)
  let at = frame.writeUInt32LE(frameMagic)
  at = frame.writeUInt8(writtenFlags, at)
  at = frame.writeUInt8(writtenBlockSize, at)
  const summedFrom = headerChecksum === 'right' ? 4 : 0
  at = frame.writeUInt8(secondByte(xxhash32(frame, summedFrom, at)), at)
  for (let from = 0; from < bytes.length; from += writtenBlockBytesMax) {
    const block = bytes.subarray(from, from + writtenBlockBytesMax)
    const packed = blocks.encodeBlock(block, frame.subarray(at + 4, at + 4 + bound))
    if (packed > 0 && packed < block.length) {
      frame.writeUInt32LE(packed, at)
      at += 4 + packed
    } else {
      frame.writeUInt32LE((block.length | storedBit) >>> 0, at)
      at += 4 + block.copy(frame, at + 4)
    }
  }
  at = frame.writeUInt32LE(0, at)
  return frame.subarray(0, at)
}

export function decompressLz4(bytes: Buffer, bytesMax: number): Buffer {
  const header = readHeader(bytes)
  const output = new Output(header.contentBytes ?? bytes.length * 4, bytesMax)
  let at = header.end
  while (true) {
    const size = readUInt32(bytes, at)
    at += 4
    if (size === 0) break
    const isStored = (size & storedBit) !== 0
    const length = isStored ? size - storedBit : size
    if (length > header.blockBytesMax || length > bytes.length - at) throw corrupt('block length')
    const block = bytes.subarray(at, at + length)
    at += length
    if (header.hasBlockChecksums) {
      if (readUInt32(bytes, at) !== xxhash32(block)) throw corrupt('block checksum')
      at += 4
    }
    if (isStored) output.append(block)
    else output.unpack(block, header)
  }
  const content = output.finish()
  if (header.hasContentChecksum && readUInt32(bytes, at) !== xxhash32(content)) {
    throw corrupt('content checksum')
  }
  if (header.contentBytes !== null && header.contentBytes !== content.length) {
    throw corrupt('content length')
  }
  return content
}

interface FrameHeader {
  readonly end: number
  readonly blockBytesMax: number
  readonly isIndependent: boolean
  readonly hasBlockChecksums: boolean
  readonly hasContentChecksum: boolean
  readonly contentBytes: number | null
}

function readHeader(bytes: Buffer): FrameHeader {
  if (readUInt32(bytes, 0) !== frameMagic) throw corrupt('not a frame')
  if (bytes.length < headerBytes) throw corrupt('truncated')
  const flags = bytes[4]!
  const sizeCode = (bytes[5]! >>> 4) & 7
  if (flags >>> 6 !== 1) throw corrupt(`frame version ${flags >>> 6}`)
  if (sizeCode < 4) throw corrupt(`block size code ${sizeCode}`)
  if (flags & dictionaryBit) throw corrupt('needs a dictionary')
  const hasContentBytes = (flags & contentBytesBit) !== 0
  const checksumAt = hasContentBytes ? 14 : 6
  if (checksumAt >= bytes.length) throw corrupt('truncated')
  const checksum = bytes[checksumAt]
  const right = secondByte(xxhash32(bytes, 4, checksumAt))
  if (checksum !== right && checksum !== secondByte(xxhash32(bytes, 0, checksumAt))) {
    throw corrupt('header checksum')
  }
  return {
    end: checksumAt + 1,
    blockBytesMax: 256 * 4 ** sizeCode,
    isIndependent: (flags & independentBit) !== 0,
    hasBlockChecksums: (flags & blockChecksumBit) !== 0,
    hasContentChecksum: (flags & contentChecksumBit) !== 0,
    contentBytes: hasContentBytes ? readUInt32(bytes, 6) + readUInt32(bytes, 10) * 2 ** 32 : null,
  }
}

/** The unpacked bytes: a buffer that grows with what arrives, never beyond the limit. */
class Output {
  readonly #bytesMax: number
  #buffer: Buffer
  #length = 0

  constructor(expectedBytes: number, bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#buffer = Buffer.allocUnsafe(Math.min(expectedBytes, bytesMax, writtenBlockBytesMax))
  }

  append(block: Buffer): void {
    this.#reserve(block.length)
    if (block.length > this.#buffer.length - this.#length) throw this.#tooLong()
    this.#length += block.copy(this.#buffer, this.#length)
  }

  unpack(block: Buffer, { isIndependent, blockBytesMax }: FrameHeader): void {
    // No byte of a block stands for more than 255.
    this.#reserve(Math.min(blockBytesMax, block.length * 255))
    const at = this.#length
    const end = Math.min(this.#buffer.length, at + blockBytesMax)
    const found = load()
    if (isIndependent && 'blocks' in found) {
      const unpacked = found.blocks.decodeBlock(block, this.#buffer.subarray(at, end))
      if (unpacked < 0) throw this.#whyNot(block, end - at, blockBytesMax)
      this.#length += unpacked
    } else {
      const windowStart = isIndependent ? at : 0
      this.#length = unpackLz4Block(block, this.#buffer, { windowStart, at, end })
    }
  }

  /** A block did not unpack into so many bytes: it needs more than the limit leaves, or is damaged. */
  #whyNot(block: Buffer, roomBytes: number, blockBytesMax: number): CorruptRecords {
    const found = load()
    if (roomBytes < blockBytesMax && 'blocks' in found) {
      const room = Buffer.allocUnsafe(blockBytesMax)
      if (found.blocks.decodeBlock(block, room) >= 0) return this.#tooLong()
    }
    return corrupt('block damaged')
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #reserve(bytes: number): void {
    const needed = Math.min(this.#length + bytes, this.#bytesMax)
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(
      Math.min(Math.max(needed, 2 * this.#buffer.length), this.#bytesMax),
    )
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }

  #tooLong(): CorruptRecords {
    return new OversizedRecords(`An lz4 frame unpacks to more than ${this.#bytesMax} bytes`)
  }
}

function readUInt32(bytes: Buffer, at: number): number {
  if (bytes.length - at < 4) throw corrupt('truncated')
  return bytes.readUInt32LE(at)
}

function secondByte(hash: number): number {
  return (hash >>> 8) & 255
}

function corrupt(what: string): CorruptRecords {
  return new CorruptRecords(`Bad lz4 frame: ${what}`)
}

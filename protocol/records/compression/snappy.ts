/**
 * snappy, unpacked by the `snappyjs` package, in the two shapes clients send. Kafka's Java client writes the
 * Xerial stream: magic 82 53 4e 41 50 50 59 00, version and lowest compatible version (int32 each),
 * then blocks, each behind its length (int32). Others (franz-go, kafka-python's fallback) write one
 * raw block: its unpacked length as varint, then literals and copies.
 *
 * `snappyjs` checks little: a literal of negative length makes it loop for ever, and bytes may run
 * over the claimed length unseen. So each block is walked first, without unpacking.
 */
import snappy from 'snappyjs'
import { readInt32, writeInt32 } from '../big-endian.ts'
import { CorruptRecords, OversizedRecords } from '../corrupt-records.ts'
import { packSnappyBlock } from './snappy-block.ts'

const magic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const streamHeaderBytes = 16

/** Unpacked bytes per block of the stream, as Kafka's Java client has it. */
const blockBytesMax = 32 * 1024

export function compressSnappy(bytes: Buffer): Buffer {
  const header = Buffer.alloc(streamHeaderBytes)
  magic.copy(header)
  writeInt32(header, 8, 1)
  writeInt32(header, 12, 1)
  const chunks: Buffer[] = [header]
  for (let at = 0; at < bytes.length; at += blockBytesMax) {
    const block = packSnappyBlock(bytes.subarray(at, at + blockBytesMax))
    const length = Buffer.alloc(4)
    writeInt32(length, 0, block.length)
    chunks.push(length, block)
  }
  return Buffer.concat(chunks)
}

/** One raw block without Kafka's framing. */
export function compressSnappyBlock(bytes: Buffer): Buffer {
  return packSnappyBlock(bytes)
}

export function decompressSnappy(bytes: Buffer, bytesMax: number): Buffer {
  if (!isStreamHeader(bytes, 0)) return unpackBlock(bytes, bytesMax)
  const blocks: Buffer[] = []
  let left = bytesMax
  let at = streamHeaderBytes
  while (at < bytes.length) {
    if (isStreamHeader(bytes, at)) {
      at += streamHeaderBytes // Streams may follow one another.
      continue
    }
    const length = bytes.length - at < 4 ? -1 : readInt32(bytes, at)
    at += 4
    if (length < 0 || length > bytes.length - at) throw corrupt('bad block length')
    const block = unpackBlock(bytes.subarray(at, at + length), left)
    blocks.push(block)
    left -= block.length
    at += length
  }
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks)
}

function isStreamHeader(bytes: Buffer, at: number): boolean {
  return (
    bytes.length - at >= streamHeaderBytes &&
    bytes.compare(magic, 0, magic.length, at, at + magic.length) === 0
  )
}

function unpackBlock(block: Buffer, bytesMax: number): Buffer {
  checkBlock(block, bytesMax)
  try {
    return snappy.uncompress(block, bytesMax)
  } catch (cause) {
    throw corrupt((cause as Error).message, { cause })
  }
}

/** Walks the tags: all bytes present, copies within what is unpacked, lengths as claimed. */
function checkBlock(block: Buffer, bytesMax: number): void {
  let at = 0
  let claimed = 0
  for (let shift = 0; ; shift += 7) {
    const byte = block[at++]
    if (byte === undefined || shift > 28) throw corrupt('bad length')
    claimed += (byte & 127) * 2 ** shift
    if (byte < 128) break
  }
  if (claimed > bytesMax) {
    throw new OversizedRecords(`A snappy block unpacks to ${claimed} bytes, over ${bytesMax}`)
  }
  let unpacked = 0
  while (at < block.length) {
    const tag = block[at++]!
    const kind = tag & 3
    const operandBytes = kind === 0 ? Math.max((tag >>> 2) - 59, 0) : kind === 3 ? 4 : kind
    if (operandBytes > block.length - at) throw corrupt('truncated')
    let operand = 0
    for (let i = 0; i < operandBytes; i++) operand += block[at + i]! * 2 ** (8 * i)
    at += operandBytes
    if (kind === 0) {
      const length = (operandBytes === 0 ? tag >>> 2 : operand) + 1
      if (length > block.length - at) throw corrupt('truncated')
      at += length
      unpacked += length
    } else {
      const offset = kind === 1 ? operand + ((tag >>> 5) << 8) : operand
      if (offset === 0 || offset > unpacked) throw corrupt('copy from before the start')
      unpacked += kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
    }
    if (unpacked > claimed) throw corrupt('longer than it claims')
  }
  if (unpacked !== claimed) throw corrupt('shorter than it claims')
}

function corrupt(what: string, options?: ErrorOptions): CorruptRecords {
  return new CorruptRecords(`Bad snappy stream: ${what}`, options)
}

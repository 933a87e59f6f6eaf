/** A page's bytes unpacked, by the codec of its column chunk, to exactly the size its header says. */
import { brotliDecompressSync } from 'node:zlib'
import { gunzip } from '../../../protocol/records/compression/gzip.ts'
import { decompressLz4Block } from '../../../protocol/records/compression/lz4.ts'
import { unpackLz4Block } from '../../../protocol/records/compression/lz4-block.ts'
import { decompressSnappy } from '../../../protocol/records/compression/snappy.ts'
import { UnsupportedCompression } from '../../../protocol/records/compression/unsupported-compression.ts'
import { decompressZstd } from '../../../protocol/records/compression/zstd.ts'
import { CorruptRecords } from '../../../protocol/records/corrupt-records.ts'
import type { Codec } from './metadata.ts'
import { corrupt, unsupported } from './parquet-error.ts'

export function decompressPage(codec: Codec, packed: Uint8Array, size: number): Uint8Array {
  // Whatever a codec makes of nothing is nothing again.
  if (size === 0) return new Uint8Array(0)
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.length)
  let unpacked: Uint8Array
  try {
    unpacked = unpack(codec, bytes, size)
  } catch (cause) {
    if (cause instanceof CorruptRecords) throw corrupt(cause.message, { cause })
    if (cause instanceof UnsupportedCompression) throw unsupported(cause.message, { cause })
    throw cause
  }
  if (unpacked.length !== size) {
    throw corrupt(`a page unpacks to ${unpacked.length} bytes where its header says ${size}`)
  }
  return unpacked
}

function unpack(codec: Codec, bytes: Buffer, size: number): Uint8Array {
  switch (codec) {
    case 'UNCOMPRESSED':
      return bytes
    case 'SNAPPY':
      return decompressSnappy(bytes, size)
    case 'GZIP':
      return gunzip(bytes, size)
    case 'ZSTD':
      return decompressZstd(bytes, size)
    case 'LZ4_RAW':
      return decompressLz4Block(bytes, size)
    case 'LZ4':
      return unpackHadoopLz4(bytes, size) ?? decompressLz4Block(bytes, size)
    case 'BROTLI':
      return unpackBrotli(bytes, size)
    case 'LZO':
      throw unsupported('the codec LZO is not supported')
  }
}

function unpackBrotli(bytes: Buffer, size: number): Buffer {
  try {
    return brotliDecompressSync(bytes, { maxOutputLength: Math.max(size, 1) })
  } catch (cause) {
    throw corrupt(`Bad brotli stream: ${(cause as Error).message}`, { cause })
  }
}

/**
 * Hadoop's framing, in which LZ4 was written before LZ4_RAW: the unpacked and the packed length (big-endian)
 * before each block. `null` where the bytes are not framed so: some writers left it out.
 */
function unpackHadoopLz4(bytes: Buffer, size: number): Uint8Array | null {
  const blocks: { at: number; packed: number; unpacked: number }[] = []
  let total = 0
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < 8) return null
    const unpacked = bytes.readUInt32BE(at)
    const packed = bytes.readUInt32BE(at + 4)
    if (packed > bytes.length - at - 8) return null
    total += unpacked
    if (total > size) return null
    blocks.push({ at: at + 8, packed, unpacked })
    at += 8 + packed
  }
  if (total !== size) return null
  const output = new Uint8Array(size)
  let to = 0
  for (const { at, packed, unpacked } of blocks) {
    const end = unpackLz4Block(bytes.subarray(at, at + packed), output, {
      windowStart: to,
      at: to,
      end: to + unpacked,
    })
    if (end !== to + unpacked) return null
    to = end
  }
  return output
}

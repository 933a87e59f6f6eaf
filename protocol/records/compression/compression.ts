/**
 * The five codecs of record batches by Kafka's ids. Everything is synchronous. Every decompressor
 * takes the most bytes it may produce and throws CorruptRecords, without having allocated more, when
 * the stream holds more; a codec that this process cannot run throws UnsupportedCompression.
 * Framings and checks live in one file per codec; what the bytes mean does not belong here.
 */
import { gunzip, gzip } from './gzip.ts'
import { canCompressLz4, compressLz4, decompressLz4 } from './lz4.ts'
import { compressSnappy, decompressSnappy } from './snappy.ts'
import { compressZstd, decompressZstd, hasZstd } from './zstd.ts'

/** Names by id: the index is what the attributes' lowest bits hold. */
export const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

export type Compression = (typeof compressions)[number]

/** Most bytes one batch may unpack to, where the caller does not say: far above Kafka's defaults. */
export const unpackedBytesMax = 256 * 1024 * 1024

/**
 * Most bytes that one request may have unpacked while others wait for it: some milliseconds. Only what has to
 * be opened is: sets of old clients, and batches that a topic's settings change.
 */
export const unpackedPerRequestBytesMax = 16 * 1024 * 1024

/** Whether this process can write the codec; lz4 can be read all the same. */
export function canCompress(codec: Compression): boolean {
  return codec === 'lz4' ? canCompressLz4() : codec !== 'zstd' || hasZstd
}

/**
 * Compresses as Kafka's Java client frames it. `level` is the codec's own; snappy has none, and lz4's
 * package offers one. Throws UnsupportedCompression.
 */
export function compress(codec: Compression, bytes: Buffer, level?: number): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gzip(bytes, level)
    case 'snappy':
      return compressSnappy(bytes)
    case 'lz4':
      return compressLz4(bytes)
    case 'zstd':
      return compressZstd(bytes, level)
  }
}

/** Throws CorruptRecords for a damaged or oversized stream, else UnsupportedCompression. */
export function decompress(codec: Compression, bytes: Buffer, bytesMax: number): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gunzip(bytes, bytesMax)
    case 'snappy':
      return decompressSnappy(bytes, bytesMax)
    case 'lz4':
      return decompressLz4(bytes, bytesMax)
    case 'zstd':
      return decompressZstd(bytes, bytesMax)
  }
}

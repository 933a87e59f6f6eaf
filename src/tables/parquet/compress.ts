/** Pages packed: the way back of `decompress.ts`, for the codecs that are written. */
import { gzip } from '../../../protocol/records/compression/gzip.ts'
import { compressLz4Block } from '../../../protocol/records/compression/lz4.ts'
import { compressSnappyBlock } from '../../../protocol/records/compression/snappy.ts'
import { compressZstd } from '../../../protocol/records/compression/zstd.ts'

const writtenCodecs = ['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'LZ4_RAW', 'ZSTD'] as const
export type WrittenCodec = (typeof writtenCodecs)[number]

/** Throws UnsupportedCompression where this process lacks the codec. */
export function compressPage(codec: WrittenCodec, page: Uint8Array, level?: number): Uint8Array {
  const bytes = Buffer.from(page.buffer, page.byteOffset, page.length)
  switch (codec) {
    case 'UNCOMPRESSED':
      return bytes
    case 'SNAPPY':
      return compressSnappyBlock(bytes)
    case 'GZIP':
      return gzip(bytes, level)
    case 'LZ4_RAW':
      return compressLz4Block(bytes)
    case 'ZSTD':
      return compressZstd(bytes, level)
  }
}

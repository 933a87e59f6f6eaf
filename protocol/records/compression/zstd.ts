/** zstd, by Node's zlib from 22.15 on. */
import zlib from 'node:zlib'
import { CorruptRecords, OversizedRecords } from '../corrupt-records.ts'
import { UnsupportedCompression } from './unsupported-compression.ts'

/** What zlib has where it has zstd; the types of Node 20 do not know. */
interface ZstdZlib {
  zstdCompressSync?: (bytes: Buffer, options: { params?: Record<number, number> }) => Buffer
  zstdDecompressSync?: (bytes: Buffer, options: { maxOutputLength: number }) => Buffer
  constants: { ZSTD_c_compressionLevel?: number }
}

const { zstdCompressSync, zstdDecompressSync, constants } = zlib as unknown as ZstdZlib

export const hasZstd = zstdDecompressSync !== undefined

function missing(): UnsupportedCompression {
  return new UnsupportedCompression(
    'zstd',
    `zstd needs Node 22.15 or newer, and this is Node ${process.versions.node}: ` +
      'run a newer Node, or use gzip, snappy or lz4',
  )
}

export function compressZstd(bytes: Buffer, level?: number): Buffer {
  if (!zstdCompressSync) throw missing()
  const key = constants.ZSTD_c_compressionLevel
  return zstdCompressSync(
    bytes,
    level === undefined || key === undefined ? {} : { params: { [key]: level } },
  )
}

export function decompressZstd(bytes: Buffer, bytesMax: number): Buffer {
  if (!zstdDecompressSync) throw missing()
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: Math.max(bytesMax, 1) })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new OversizedRecords(`A zstd stream unpacks to more than ${bytesMax} bytes`, { cause })
    }
    throw new CorruptRecords(`Bad zstd stream: ${(cause as Error).message}`, { cause })
  }
}

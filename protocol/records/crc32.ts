/** CRC-32 as in zlib and gzip, which covers a message of magic 0 or 1 from its magic to its end. */
import { createRequire } from 'node:module'
import zlib from 'node:zlib'

type Crc = (bytes: Uint8Array) => number

/** zlib has it from Node 20.15 and 22.2 on; the `crc-32` package computes it elsewhere. */
const native = (zlib as unknown as { crc32?: Crc }).crc32

let sum: Crc | null = native ?? null

/** The CRC-32 of `buffer[start, end)` as an unsigned number. */
export function crc32(buffer: Uint8Array, start = 0, end = buffer.length): number {
  sum ??= loadPortableCrc32()
  return sum(buffer.subarray(start, end))
}

export function loadPortableCrc32(): Crc {
  const { buf } = createRequire(import.meta.url)('crc-32') as { buf: Crc }
  return (bytes) => buf(bytes) >>> 0
}

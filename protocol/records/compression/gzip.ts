/** gzip, by Node's zlib. */
import { gunzipSync, gzipSync } from 'node:zlib'
import { CorruptRecords, OversizedRecords } from '../corrupt-records.ts'

export function gzip(bytes: Buffer, level?: number): Buffer {
  return gzipSync(bytes, level === undefined ? {} : { level })
}

export function gunzip(bytes: Buffer, bytesMax: number): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: Math.max(bytesMax, 1) })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new OversizedRecords(`A gzip stream unpacks to more than ${bytesMax} bytes`, { cause })
    }
    throw new CorruptRecords(`Bad gzip stream: ${(cause as Error).message}`, { cause })
  }
}

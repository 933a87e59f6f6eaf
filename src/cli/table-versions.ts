/** Which version of a table is meant: said by its number, or by a time at which the table was so. */
import type { Storage } from '../environment/storage.ts'
import { timestampOf } from '../tables/columns/text-values.ts'
import { versionAt } from '../tables/delta/history.ts'
import { UsageError } from './failure.ts'

export interface AskedVersion {
  readonly version: number | undefined
  readonly timestamp: string | undefined
}

/** `undefined` where neither is given. Rejects with UsageError, DeltaError, DiskError. */
export async function versionOf(
  storage: Storage,
  { version, timestamp }: AskedVersion,
): Promise<number | undefined> {
  if (timestamp === undefined) return version
  if (version !== undefined) throw new UsageError('--version and --timestamp exclude each other')
  let micros: bigint
  try {
    micros = timestampOf(timestamp)
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message)
    throw error
  }
  return versionAt(storage, Number(micros / 1000n))
}

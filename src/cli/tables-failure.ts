/** How work on a table ends that could not be done: in a sentence, with the name of what it met. */
import { statSync } from 'node:fs'
import { DiskError, unreadable } from '../environment/disk.ts'
import { stayAlive } from '../environment/node/program.ts'
import { DeltaConflict, DeltaError } from '../tables/delta/delta-error.ts'
import type { Committed } from '../tables/delta/transaction.ts'
import { ParquetError } from '../tables/parquet/parquet-error.ts'
import { isObjectLocation } from '../tables/storage/s3-settings.ts'
import { CommandError } from './failure.ts'

/** Says what a table or file is not, or has that is not known here, with its name. */
export async function told(at: string, work: () => Promise<number>): Promise<number> {
  // Who waits to ask an object store again has nothing but a timer.
  const letGo = stayAlive()
  try {
    return await work()
  } catch (error) {
    if (error instanceof DeltaConflict) {
      throw new CommandError(`${at}: ${error.message}`, 'Nothing was committed; run it again.')
    }
    if (error instanceof DeltaError || error instanceof ParquetError) {
      throw new CommandError(`${at}: ${error.message}`)
    }
    if (error instanceof DiskError) {
      if (error.code === 'ENOTDIR' && isFile(at)) throw noTable(at)
      throw new CommandError(unreadable(error.path, error))
    }
    throw error
  } finally {
    letGo()
  }
}

/** In an object store, what is called so: only to look would tell more. */
export function isFile(at: string): boolean {
  if (isObjectLocation(at)) return at.endsWith('.parquet')
  return statSync(at, { throwIfNoEntry: false })?.isFile() === true
}

/** A file stands where a table would have its directory. */
function noTable(at: string): CommandError {
  return new CommandError(
    `${at} is a file, and a Delta table is a directory`,
    '`millrace tables read` reads a .parquet file.',
  )
}

/** As `told`, for work that writes. */
export function toldWriting(at: string, work: () => Promise<number>): Promise<number> {
  return told(at, async () => {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof DiskError) || error.code === 'ENOTDIR') throw error
      throw new CommandError(`${at}: ${error.message}`, 'Nothing was committed.')
    }
  })
}

/** Says of a commit that holds what did not go with it. */
export function warn(committed: Committed | null): void {
  for (const [what, failure] of [
    ['no checkpoint was written', committed?.checkpointFailure],
    ['the log was not cleaned up', committed?.cleanupFailure],
  ] as const) {
    if (failure) process.stderr.write(`millrace: warning: ${what}: ${failure.message}\n`)
  }
}

/** `_last_checkpoint`: from which version on the log need be looked through. A hint, which may be old or damaged. */
import { DiskError } from '../../environment/disk.ts'
import type { Storage } from '../../environment/storage.ts'
import { type Json, parseJson } from '../columns/exact-json.ts'
import { lastCheckpointFile } from './log-files.ts'

export interface LastCheckpoint {
  readonly version: number
}

/** `null` where there is none, or none that can be read. Rejects with DiskError. */
export async function readLastCheckpoint(storage: Storage): Promise<LastCheckpoint | null> {
  const bytes = await storage.read(lastCheckpointFile).catch((error: unknown) => {
    if (error instanceof DiskError && error.code === 'ENOENT') return null
    throw error
  })
  if (bytes === null) return null
  let json: Json
  try {
    json = parseJson(bytes.toString())
  } catch {
    return null
  }
  const version = (json as { version?: Json } | null)?.version
  const isVersion = typeof version === 'number' && Number.isInteger(version) && version >= 0
  return isVersion ? { version } : null
}

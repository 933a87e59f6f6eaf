/** Where a table is: in a directory of this machine, or at `s3://BUCKET/PREFIX` in an object store. */
import { DiskError } from './environment/disk.ts'
import type { Environment } from './environment/environment.ts'
import { LocalStorage } from './environment/node/local-storage.ts'
import type { Storage } from './environment/storage.ts'
import { isObjectLocation, s3Settings, type Variables } from './tables/storage/s3-settings.ts'
import { S3Storage } from './tables/storage/s3-storage.ts'

export type StorageWorld = Pick<Environment, 'clock' | 'random' | 'timers' | 'disk' | 'http'>

/**
 * Of an object store, what is not in `variables` is taken from those of this process. Throws DeltaError where they say too
 * little of it.
 */
export function tableStorage(
  location: string,
  { clock, random, timers, disk, http }: StorageWorld,
  variables: Variables = {},
): Storage {
  if (!isObjectLocation(location)) return new LocalStorage(location)
  const textOf = (path: string): string | null => {
    try {
      return disk.readFile(path).toString()
    } catch (error) {
      if (error instanceof DiskError && ['ENOENT', 'ENOTDIR', 'EACCES'].includes(error.code))
        return null
      throw error
    }
  }
  const settings = s3Settings(location, { ...process.env, ...variables }, textOf)
  return new S3Storage(settings, { clock, random, timers, http: http! })
}

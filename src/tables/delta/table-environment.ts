/** What whoever writes a table has of the world. */
import type { Environment } from '../../environment/environment.ts'
import type { Storage } from '../../environment/storage.ts'

export interface TableEnvironment extends Pick<Environment, 'clock' | 'random'> {
  readonly storage: Storage
}

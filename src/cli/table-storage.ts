/** What commands have of the world where they read and write tables. */
import { nodeHttpClient } from '../environment/node/http-client.ts'
import type { Storage } from '../environment/storage.ts'
import { tableStorage } from '../table-storage.ts'
import type { TableEnvironment } from '../tables/delta/table-environment.ts'
import { createCommandEnvironment } from './environment.ts'

/** What a verb says of the table that it is given. */
export const tablePath = {
  name: 'PATH',
  summary: 'The directory of a Delta table, or s3://BUCKET/PREFIX',
} as const

export function tableEnvironment(location: string): TableEnvironment {
  const environment = { ...createCommandEnvironment(), http: nodeHttpClient }
  const { clock, random } = environment
  return { clock, random, storage: tableStorage(location, environment) }
}

export function storageAt(location: string): Storage {
  return tableEnvironment(location).storage
}

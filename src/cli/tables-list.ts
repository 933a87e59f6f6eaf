/** `millrace tables list`: the Delta tables below a directory, or the topics that a broker keeps as tables. */
import { statSync } from 'node:fs'
import type { Storage } from '../environment/storage.ts'
import { jsonText } from '../tables/columns/exact-json.ts'
import { DeltaError } from '../tables/delta/delta-error.ts'
import { logDirectory } from '../tables/delta/log-files.ts'
import { readSnapshot } from '../tables/delta/snapshot.ts'
import { ParquetError } from '../tables/parquet/parquet-error.ts'
import { isObjectLocation } from '../tables/storage/s3-settings.ts'
import { askWorker, type Connection, connect } from './ask-worker.ts'
import { localVerb } from './command.ts'
import { CommandError, UsageError } from './failure.ts'
import { json as jsonOf } from './json.ts'
import { bytes, count, plural, table } from './table.ts'
import { storageAt } from './table-storage.ts'
import { told } from './tables-failure.ts'

/** Directories below the one that is named: deeper lie no tables that people look for. */
const depthMax = 8

export const list = localVerb({
  summary: 'Show the topics that are tables and how they do, or the Delta tables below a directory',
  positionals: [
    {
      name: 'DIR',
      summary: 'A directory or s3://BUCKET/PREFIX with tables in it; without it a broker is asked',
      optional: true,
    },
  ],
  options: connect,
  examples: [
    { says: 'Topics with table.enable=true', line: 'millrace tables list' },
    { says: 'All tables below a directory', line: 'millrace tables list /data' },
  ],
  run: async ({ values, positionals, json }) => {
    const [directory] = positionals
    if (directory === undefined) return listTopics(values, json)
    if (values.connect !== undefined)
      throw new UsageError('either a directory is looked at, or a broker is asked')
    return told(directory, () => listBelow(directory, json))
  },
})

async function listTopics(connection: Connection, json: boolean): Promise<number> {
  const tables = (await askWorker(connection, 'GET', '/tables')) as readonly TopicTable[]
  if (tables.length === 0 && !json) {
    process.stdout.write('No topic is kept as a table: set table.enable=true on one\n')
    return 0
  }
  if (json) process.stdout.write(jsonOf(tables))
  else {
    const rows = tables.map(({ topic, state, version, lag, location }) => {
      return [topic, state, version, lag === null ? null : count(lag), location]
    })
    process.stdout.write(table(['TOPIC', 'STATE', 'VERSION', 'RECORDS BEHIND', 'TABLE'], rows))
    for (const { topic, error, leftOut, leftOutReason, lost, dueMs } of tables) {
      if (error !== null) process.stdout.write(`\n${topic}: ${error}\n`)
      if (lost > 0)
        process.stdout.write(
          `\n${topic}: ${plural(lost, 'offset')} deleted before they were in the table\n`,
        )
      if (dueMs !== null) process.stdout.write(`\n${topic}: ${dueFrom(dueMs)}\n`)
      if (leftOut > 0)
        process.stdout.write(
          `\n${topic}: ${plural(leftOut, 'record')} without a row, the last: ${leftOutReason}\n`,
        )
    }
  }
  return 0
}

async function listBelow(directory: string, json: boolean): Promise<number> {
  refuseNoDirectory(directory)
  const root = storageAt(directory)
  const found: Listed[] = []
  for await (const path of tablesBelow(root, '.', 0)) found.push(await listed(directory, path))
  if (found.length === 0 && !json) {
    process.stdout.write(`There are no Delta tables below ${directory}\n`)
    return 0
  }
  process.stdout.write(
    json
      ? `${jsonText(found.map((one) => ({ ...one })))}\n`
      : table(
          ['TABLE', 'VERSION', 'FILES', 'SIZE', 'PROBLEM'],
          found.map((one) => [
            one.path,
            one.version,
            one.files === null ? null : count(one.files),
            one.sizeInBytes === null ? null : bytes(one.sizeInBytes),
            one.problem,
          ]),
        ),
  )
  return 0
}

/** What waits until then is lost to the table. */
export function dueFrom(dueMs: number): string {
  const at = new Date(dueMs).toISOString()
  return `from ${at} on retention may delete records that are not in the table`
}

/** As a broker's `/tables` tells it. */
export interface TopicTable {
  readonly topic: string
  readonly location: string
  readonly state: string
  readonly error: string | null
  readonly version: number | null
  readonly lag: number | null
  readonly leftOut: number
  readonly leftOutReason: string | null
  readonly lost: number
  readonly oldestMs: number | null
  readonly dueMs: number | null
}

/** Storage has nothing below what is not there: a name that is mistyped would look like a place without tables. */
function refuseNoDirectory(at: string): void {
  if (isObjectLocation(at)) return
  const stat = statSync(at, { throwIfNoEntry: false })
  if (stat === undefined) throw new CommandError(`${at}: there is no such directory`)
  if (!stat.isDirectory()) throw new CommandError(`${at} is no directory`)
}

interface Listed {
  readonly path: string
  readonly version: number | null
  readonly files: number | null
  readonly sizeInBytes: number | null
  /** Why the table cannot be read. */
  readonly problem: string | null
}

async function* tablesBelow(
  root: Storage,
  directory: string,
  depth: number,
): AsyncGenerator<string> {
  const entries = (await root.list(directory)).filter(({ isDirectory }) => isDirectory)
  if (entries.some(({ name }) => name === logDirectory)) {
    yield directory
    return
  }
  if (depth === depthMax) return
  for (const { name } of entries) {
    if (name.startsWith('.')) continue
    yield* tablesBelow(root, directory === '.' ? name : `${directory}/${name}`, depth + 1)
  }
}

async function listed(root: string, path: string): Promise<Listed> {
  try {
    const { version, files } = await readSnapshot(storageAt(`${root}/${path}`))
    const sizeInBytes = [...files.values()].reduce((sum, { size }) => sum + size, 0)
    return { path, version, files: files.size, sizeInBytes, problem: null }
  } catch (error) {
    if (!(error instanceof DeltaError || error instanceof ParquetError)) throw error
    return { path, version: null, files: null, sizeInBytes: null, problem: error.message }
  }
}

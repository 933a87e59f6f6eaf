/** `millrace tables`: what is in Delta tables and Parquet files, and how it came there. Verbs that write lie beside. */
import { basename, dirname } from 'node:path'
import type { Storage } from '../environment/storage.ts'
import type { ColumnBatch } from '../tables/columns/column.ts'
import { jsonText } from '../tables/columns/exact-json.ts'
import { rowPrinter } from '../tables/columns/json-text.ts'
import { columnsOf } from '../tables/columns/where.ts'
import { readChanges } from '../tables/delta/changes.ts'
import { conditionOn } from '../tables/delta/conditions.ts'
import { readHistory } from '../tables/delta/history.ts'
import { chosenFields, matching, scanTable } from '../tables/delta/scan.ts'
import { typeText } from '../tables/delta/schema.ts'
import { readSnapshot, type Snapshot } from '../tables/delta/snapshot.ts'
import { ParquetFile } from '../tables/parquet/parquet-file.ts'
import { type Command, localVerb } from './command.ts'
import { CommandError, UsageError } from './failure.ts'
import { bytes, count, pairs, table } from './table.ts'
import { storageAt, tablePath } from './table-storage.ts'
import { type AskedVersion, versionOf } from './table-versions.ts'
import { append, overwrite } from './tables-append.ts'
import { merge, remove, update } from './tables-change.ts'
import { isFile, told } from './tables-failure.ts'
import { list } from './tables-list.ts'
import { optimize, restore, vacuum } from './tables-maintenance.ts'

const versionOptions = {
  version: { kind: 'number', summary: 'The table as it was at this version' },
  timestamp: {
    kind: 'text',
    value: 'TIME',
    summary: 'The table as it was at this time, e.g. 2026-01-31T10:00:00Z',
  },
} as const

/** Characters of rows that are handed to stdout at once. */
const chunkCharacters = 64 * 1024

const read = localVerb({
  summary: 'Print rows, a JSON object a line',
  positionals: [{ name: 'PATH', summary: 'A Delta table or a .parquet file, here or at s3://…' }],
  options: {
    ...versionOptions,
    columns: { kind: 'text', short: 'c', value: 'NAME,…', summary: 'Only these columns' },
    where: {
      kind: 'text',
      short: 'w',
      value: 'CONDITION',
      summary: 'Only rows for which it is true, as in SQL; files that have none are not read',
    },
    limit: { kind: 'number', short: 'n', summary: 'At most so many rows' },
  },
  notes: [
    'Integers and decimals are printed with all their digits, floats without a number in JSON as "NaN",\n' +
      '"Infinity" and "-Infinity", binary in base64, timestamps in UTC to the microsecond.',
  ],
  examples: [
    { says: 'All rows', line: 'millrace tables read /data/orders --json' },
    {
      says: 'Two columns of an older version',
      line: 'millrace tables read /data/orders --version 3 --columns id,total --limit 10',
    },
    {
      says: 'Some rows',
      line: `millrace tables read /data/orders --where "day >= '2026-01-01' AND total > 100"`,
    },
  ],
  run: ({ values, positionals }) =>
    told(positionals[0]!, async () => {
      const names = values.columns?.split(',').map((name) => name.trim())
      const limit = values.limit ?? Number.POSITIVE_INFINITY
      if (isFile(positionals[0]!)) {
        if (values.version !== undefined || values.timestamp !== undefined) {
          throw new UsageError('a single file has no versions')
        }
        await printRows(fileBatches(positionals[0]!, names, values.where), limit)
        return 0
      }
      const storage = storageAt(positionals[0]!)
      const snapshot = await snapshotAt(storage, values)
      const fields = chosenFields(snapshot.schema.fields, names)
      const where =
        values.where === undefined ? null : conditionOn(snapshot.schema.fields, values.where)
      await printRows(scanTable(storage, snapshot, fields, where), limit)
      return 0
    }),
})

const changes = localVerb({
  summary: 'Print the rows that versions inserted, updated and deleted, a JSON object a line',
  positionals: [tablePath],
  options: {
    from: { kind: 'number', summary: 'The first version whose changes are printed' },
    to: { kind: 'number', summary: 'The last one, the latest unless given' },
    limit: { kind: 'number', short: 'n', summary: 'At most so many rows' },
  },
  notes: [
    'Behind the columns come _change_type (insert, update_preimage, update_postimage or delete) and\n' +
      '_commit_version.',
  ],
  examples: [
    { says: 'What came last', line: 'millrace tables changes /data/orders --from 7 --json' },
  ],
  run: ({ values: { from, to, limit }, positionals }) =>
    told(positionals[0]!, async () => {
      if (from === undefined) throw new UsageError('--from is missing: the first version')
      const storage = storageAt(positionals[0]!)
      await printRows(readChanges(storage, from, to), limit ?? Number.POSITIVE_INFINITY)
      return 0
    }),
})

const describe = localVerb({
  summary: 'Show columns, size and properties of a table',
  positionals: [tablePath],
  options: versionOptions,
  examples: [{ says: 'A table as it is now', line: 'millrace tables describe /data/orders' }],
  run: ({ values, positionals, json }) =>
    told(positionals[0]!, async () => {
      const snapshot = await snapshotAt(storageAt(positionals[0]!), values)
      process.stdout.write(json ? `${jsonText(described(snapshot))}\n` : describedText(snapshot))
      return 0
    }),
})

const history = localVerb({
  summary: 'Show the commits of a table, newest first',
  positionals: [tablePath],
  options: { limit: { kind: 'number', short: 'n', summary: 'At most so many commits' } },
  examples: [{ says: 'The last ten', line: 'millrace tables history /data/orders --limit 10' }],
  run: ({ values, positionals, json }) =>
    told(positionals[0]!, async () => {
      const entries = await readHistory(storageAt(positionals[0]!), values.limit)
      const rows = entries.map(({ timestampMs, ...entry }) => ({
        ...entry,
        timestamp: new Date(timestampMs).toISOString(),
      }))
      process.stdout.write(
        json
          ? `${jsonText(rows)}\n`
          : table(
              ['VERSION', 'TIME', 'OPERATION', 'ENGINE'],
              rows.map((row) => [row.version, row.timestamp, row.operation, row.engineInfo]),
            ),
      )
      return 0
    }),
})

export const command: Command = {
  summary: 'Read and write Delta tables, read Parquet files',
  verbs: {
    ...{ list, describe, read, changes, history, append, overwrite },
    ...{ merge, update, delete: remove, optimize, vacuum, restore },
  },
}

async function snapshotAt(storage: Storage, asked: AskedVersion): Promise<Snapshot> {
  return readSnapshot(storage, await versionOf(storage, asked))
}

async function* fileBatches(
  file: string,
  names?: readonly string[],
  where?: string,
): AsyncGenerator<ColumnBatch> {
  const source = await storageAt(dirname(file)).open(basename(file))
  try {
    const parquet = await ParquetFile.open(source)
    const unknown = names?.find((name) => !parquet.fields.some((field) => field.name === name))
    if (unknown !== undefined) throw new CommandError(`there is no column ${unknown} in ${file}`)
    if (where !== undefined) {
      yield* matchingBatches(parquet, names ?? parquet.fields.map(({ name }) => name), where)
      return
    }
    const columns = names?.map((name) => [name])
    yield* parquet.batches(columns === undefined ? {} : { columns })
  } finally {
    await source.close()
  }
}

async function* matchingBatches(
  parquet: ParquetFile,
  names: readonly string[],
  where: string,
): AsyncGenerator<ColumnBatch> {
  const condition = conditionOn(parquet.fields, where)
  const read = new Set([...names, ...condition.fields.map(({ name }) => name)])
  const columns = [...read].map((name) => [name])
  const filter = condition.predicate === null ? {} : { filter: condition.predicate }
  const fields = names.map((name) => parquet.fields.find((field) => field.name === name)!)
  for await (const batch of parquet.batches({ columns, ...filter })) {
    const found = matching(batch, condition)
    yield { rowCount: found.rowCount, fields, columns: columnsOf(found, fields) }
  }
}

async function printRows(batches: AsyncIterable<ColumnBatch>, limit: number): Promise<void> {
  let left = limit
  let text = ''
  for await (const batch of batches) {
    const print = rowPrinter(batch.fields)
    for (let row = 0; row < batch.rowCount && left > 0; row++, left--) {
      text += `${print(batch, row)}\n`
      if (text.length < chunkCharacters) continue
      await written(text)
      text = ''
    }
    if (left <= 0) break
  }
  await written(text)
}

/** Resolves when stdout has room again. */
function written(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()))
}

function described({ version, protocol, metadata, schema, files }: Snapshot) {
  return {
    version,
    id: metadata.id,
    name: metadata.name,
    description: metadata.description,
    columns: schema.fields.map(({ name, type, isNullable }) => ({
      name,
      type: typeText(type),
      nullable: isNullable,
    })),
    partitionColumns: schema.partitionFields.map(({ name }) => name),
    files: files.size,
    sizeInBytes: [...files.values()].reduce((sum, { size }) => sum + size, 0),
    properties: Object.fromEntries(metadata.configuration),
    minReaderVersion: protocol.minReaderVersion,
    minWriterVersion: protocol.minWriterVersion,
    readerFeatures: [...(protocol.readerFeatures ?? [])],
    writerFeatures: [...(protocol.writerFeatures ?? [])],
  }
}

function describedText(snapshot: Snapshot): string {
  const about = described(snapshot)
  const features = [...new Set([...about.readerFeatures, ...about.writerFeatures])].join(', ')
  const properties = Object.entries(about.properties).map(([name, value]) => `${name}=${value}`)
  return [
    pairs([
      ['Version', about.version],
      ['Name', about.name],
      ['Files', `${count(about.files)}, ${bytes(about.sizeInBytes)}`],
      ['Partitioned by', about.partitionColumns.join(', ')],
      ['Protocol', `reader ${about.minReaderVersion}, writer ${about.minWriterVersion}`],
      ['Features', features],
      ['Properties', properties.join(' ')],
    ]),
    table(
      ['COLUMN', 'TYPE', 'NULLABLE'],
      about.columns.map((column) => [column.name, column.type, column.nullable]),
    ),
  ].join('\n')
}

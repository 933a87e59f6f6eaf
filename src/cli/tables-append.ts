/** `millrace tables append` and `overwrite`: rows from stdin into a Delta table, all of them in one commit or none. */
import { BatchBuilder } from '../tables/columns/column-builder.ts'
import { jsonText } from '../tables/columns/exact-json.ts'
import { SchemaInference } from '../tables/columns/infer.ts'
import { rowOfJson } from '../tables/columns/json-values.ts'
import { DeltaError, invalid } from '../tables/delta/delta-error.ts'
import { fieldsOfText, newTable, type TableDefinition } from '../tables/delta/new-table.ts'
import { RowRefused } from '../tables/delta/row-rules.ts'
import type { TableSchema } from '../tables/delta/schema.ts'
import { SilentRows } from '../tables/delta/silent-rows.ts'
import { readSnapshot, type Snapshot } from '../tables/delta/snapshot.ts'
import type { TableEnvironment } from '../tables/delta/table-environment.ts'
import { type Committed, Transaction } from '../tables/delta/transaction.ts'
import { type LocalInvocation, localVerb } from './command.ts'
import { CommandError, UsageError } from './failure.ts'
import { plural } from './table.ts'
import { tableEnvironment } from './table-storage.ts'
import { toldWriting, warn } from './tables-failure.ts'
import { fitting, numberedRows, type Row, type Rows } from './tables-rows.ts'

/** Rows and bytes of text that are made columns at once. */
const batchRows = 8192
const batchBytes = 8 * 1024 * 1024
/** Bytes of text that columns are inferred from at most; what follows must fit them. */
const inferredBytesMax = 64 * 1024 * 1024

const positionals = [
  {
    name: 'PATH',
    summary: 'A directory or s3://BUCKET/PREFIX; the table is made if it is missing',
  },
] as const
const options = {
  schema: {
    kind: 'text',
    value: 'JSON',
    summary: 'Columns of a table that is made, as Delta writes them; else they are inferred',
  },
  'partition-by': {
    kind: 'text',
    value: 'NAME,…',
    summary: 'Columns that a table that is made is partitioned by',
  },
  property: {
    kind: 'list',
    value: 'NAME=VALUE',
    summary: 'A property of a table that is made, e.g. delta.enableChangeDataFeed=true',
  },
} as const
const notes = [
  'Values have the forms that `millrace tables read --json` prints. Exit code 0 says that all rows are\n' +
    'in the table and outlast a crash; a row that does not fit is named by its line, and none is added.',
]

export const append = localVerb({
  summary: 'Add rows from stdin, a JSON object a line, in one commit',
  ...{ positionals, options, notes },
  examples: [
    { says: 'Rows of a file', line: 'millrace tables append /data/orders --json < orders.jsonl' },
    {
      says: 'A new table, by day',
      line: 'millrace tables append /data/orders --partition-by day --json < orders.jsonl',
    },
  ],
  run: (invocation) => write('Append', invocation),
})

export const overwrite = localVerb({
  summary: 'Put rows from stdin in the place of all that a table has, in one commit',
  ...{ positionals, notes },
  options: {
    ...options,
    'allow-empty': {
      kind: 'flag',
      summary: 'Leave the table without rows where there are none; else that is refused',
    },
  },
  examples: [
    { says: 'Other rows', line: 'millrace tables overwrite /data/orders --json < orders.jsonl' },
    {
      says: 'No rows',
      line: 'millrace tables overwrite /data/orders --allow-empty < /dev/null',
    },
  ],
  run: (invocation) => write('Overwrite', invocation, invocation.values['allow-empty']),
})

type Mode = 'Append' | 'Overwrite'

function write(
  mode: Mode,
  { values, positionals: [path = ''], json }: LocalInvocation<typeof options>,
  allowsEmpty = false,
): Promise<number> {
  return toldWriting(path, async () => {
    const environment = tableEnvironment(path)
    const rows = numberedRows(process.stdin)
    const making = {
      schema: values.schema,
      partitionBy: values['partition-by']?.split(',').map((name) => name.trim()),
      properties: values.property,
    }
    const transaction = await begin(environment, making, mode, rows, allowsEmpty)
    if (transaction === null && mode === 'Overwrite') {
      throw new CommandError(
        `${path}: there are no rows to put there: nothing was committed`,
        'Add --allow-empty where the table is to have none.',
      )
    }
    const committed = transaction === null ? null : await commitRows(transaction, mode, rows)
    const version = committed?.version ?? null
    warn(committed)
    const told = { version, rows: committed?.rows ?? 0, files: committed?.files ?? 0 }
    process.stdout.write(
      json
        ? `${jsonText(told)}\n`
        : version === null
          ? 'No rows: nothing was committed\n'
          : `Version ${version}: ${plural(told.rows, 'row')} in ${plural(told.files, 'file')}\n`,
    )
    return 0
  })
}

interface Making {
  readonly schema: string | undefined
  readonly partitionBy: readonly string[] | undefined
  readonly properties: readonly string[]
}

/** `null`: there are no rows for the table that is there, and that is not what was asked for. */
async function begin(
  environment: TableEnvironment,
  making: Making,
  mode: Mode,
  rows: Rows,
  allowsEmpty: boolean,
): Promise<Transaction | null> {
  const snapshot = await existing(environment)
  if (snapshot === null) {
    return Transaction.creating(environment, newTable(await defined(making, rows), environment))
  }
  const { schema, partitionBy, properties } = making
  if (schema !== undefined || partitionBy !== undefined || properties.length > 0) {
    throw new UsageError('--schema, --partition-by and --property are for a table that is made')
  }
  if (!allowsEmpty && !(await rows.areThere())) return null
  const transaction = Transaction.on(environment, snapshot)
  if (mode === 'Overwrite') {
    for (const file of snapshot.files.values()) transaction.remove(file, true)
    transaction.readAll()
  }
  return transaction
}

async function existing({ storage }: TableEnvironment): Promise<Snapshot | null> {
  try {
    return await readSnapshot(storage)
  } catch (error) {
    if (error instanceof DeltaError && error.reason === 'missing') return null
    throw error
  }
}

async function defined(making: Making, rows: Rows): Promise<TableDefinition> {
  const properties = new Map(making.properties.map(propertyOf))
  const fields =
    making.schema === undefined ? await inferred(rows) : fieldsOfText(making.schema, properties)
  return { fields, partitionBy: making.partitionBy ?? [], properties }
}

function propertyOf(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new UsageError(`--property ${text}: expected NAME=VALUE`)
  return [text.slice(0, at), text.slice(at + 1)]
}

async function inferred(rows: Rows): Promise<TableDefinition['fields']> {
  const inference = new SchemaInference()
  let bytes = 0
  let last = 0
  for await (const some of rows.ahead()) {
    for (const row of some) {
      fitting(row.line, () => inference.observe(row.json))
      bytes += row.bytes
      last = row.line
    }
    if (bytes > inferredBytesMax) break
  }
  if (bytes === 0)
    throw invalid('there is no table and there are no rows to infer its columns from')
  return fitting(last, () => inference.fields())
}

async function commitRows(transaction: Transaction, mode: Mode, rows: Rows): Promise<Committed> {
  try {
    const batch = new AppendedRows(transaction)
    for await (const some of rows.all()) {
      for (const row of some) {
        batch.add(row)
        if (batch.isFull) await batch.stage()
      }
    }
    await batch.stage()
  } catch (error) {
    await transaction.discard()
    throw error
  }
  return transaction.commit({
    operation: 'WRITE',
    parameters: { mode, partitionBy: partitionText(transaction) },
  })
}

/** Rows with the lines that they came from, until they are staged. */
class AppendedRows {
  readonly #transaction: Transaction
  readonly #fields: TableSchema['fields']
  readonly #filled: readonly string[]
  readonly #builder: BatchBuilder
  readonly #silent = new SilentRows()
  #lines: number[] = []
  #bytes = 0

  constructor(transaction: Transaction) {
    this.#transaction = transaction
    this.#fields = transaction.schema.fields
    this.#filled = transaction.rules.filled
    this.#builder = new BatchBuilder(
      this.#fields.map((field) =>
        this.#filled.includes(field.name) ? { ...field, isNullable: true } : field,
      ),
    )
  }

  get isFull(): boolean {
    return this.#builder.rowCount >= batchRows || this.#bytes >= batchBytes
  }

  add({ line, json, bytes }: Row): void {
    fitting(line, () => {
      const row = rowOfJson(this.#fields, json)
      for (const name of this.#filled) {
        if (!Object.hasOwn(row, name)) this.#silent.note(name, this.#builder.rowCount)
      }
      this.#builder.append(row)
    })
    this.#lines.push(line)
    this.#bytes += bytes
  }

  async stage(): Promise<void> {
    const lines = this.#lines
    if (lines.length === 0) return
    this.#lines = []
    this.#bytes = 0
    try {
      await this.#transaction.append(this.#builder.finish(), this.#silent.take(lines.length))
    } catch (error) {
      if (!(error instanceof RowRefused)) throw error
      throw invalid(`line ${lines[error.row]}: ${error.message}`, { cause: error })
    }
  }
}

function partitionText({ schema }: Transaction): string {
  return JSON.stringify(schema.partitionFields.map(({ name }) => name))
}

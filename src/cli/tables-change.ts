/** `millrace tables merge`, `update` and `delete`: rows of a table changed, all of them in one commit or none. */
import { BatchBuilder } from '../tables/columns/column-builder.ts'
import { type Json, jsonText } from '../tables/columns/exact-json.ts'
import { rowOfJson } from '../tables/columns/json-values.ts'
import type { Value } from '../tables/columns/value.ts'
import { deleteRows } from '../tables/delta/delete.ts'
import { invalid } from '../tables/delta/delta-error.ts'
import { type MergeSource, mergeRows } from '../tables/delta/merge.ts'
import type { TableSchema } from '../tables/delta/schema.ts'
import { flags, SilentRows } from '../tables/delta/silent-rows.ts'
import { readSnapshot } from '../tables/delta/snapshot.ts'
import type { Committed } from '../tables/delta/transaction.ts'
import { updateRows } from '../tables/delta/update.ts'
import { localVerb } from './command.ts'
import { UsageError } from './failure.ts'
import { count, plural } from './table.ts'
import { tableEnvironment, tablePath } from './table-storage.ts'
import { toldWriting, warn } from './tables-failure.ts'
import { fitting, numberedRows, type Rows } from './tables-rows.ts'

/** Bytes of text: rows that are merged are held in memory. */
const mergedBytesMax = 256 * 1024 * 1024

export const merge = localVerb({
  summary: 'Update rows by key from stdin and insert those that are new, in one commit',
  positionals: [tablePath],
  options: {
    on: {
      kind: 'text',
      value: 'NAME,…',
      summary:
        'The key: a row of the table is the same as one that comes if these columns are equal',
    },
    'when-matched': {
      kind: 'text',
      value: 'ACTION',
      summary: 'What a row does to one that is there: update (unless given), delete or nothing',
    },
    'when-not-matched': {
      kind: 'text',
      value: 'ACTION',
      summary: 'What becomes of a row that is new: insert (unless given) or nothing',
    },
    'delete-marker': {
      kind: 'text',
      value: 'NAME',
      summary: 'A name that rows have beside their columns: those that have true there delete',
    },
  },
  notes: [
    'Rows have the forms that `millrace tables append` takes. A row that leaves a column out leaves it as it\n' +
      'is where it matches. As in SQL a key without a value matches nothing; a key that comes twice is refused.',
  ],
  examples: [
    { says: 'Upsert', line: 'millrace tables merge /data/orders --on id --json < orders.jsonl' },
    {
      says: 'Changes, of which those with "gone":true delete',
      line: 'millrace tables merge /data/orders --on id --delete-marker gone < changes.jsonl',
    },
    {
      says: 'Delete by key',
      line: 'millrace tables merge /data/orders --on id --when-matched delete --when-not-matched nothing < ids.jsonl',
    },
  ],
  run: ({ values, positionals, json }) =>
    toldWriting(positionals[0]!, async () => {
      const { on } = values
      if (on === undefined) throw new UsageError('--on is missing: the columns that are the key')
      const rules = {
        on: on.split(',').map((name) => name.trim()),
        whenMatched: oneOf('when-matched', values, ['update', 'delete', 'nothing']),
        whenNotMatched: oneOf('when-not-matched', values, ['insert', 'nothing']),
      }
      const environment = tableEnvironment(positionals[0]!)
      const { schema } = await readSnapshot(environment.storage)
      const source = await sourceOf(numberedRows(process.stdin), schema, values['delete-marker'])
      const done = await mergeRows(environment, { ...rules, ...source })
      const { inserted = 0, updated = 0, deleted = 0 } = done ?? {}
      const counts = { rowsInserted: inserted, rowsUpdated: updated, rowsDeleted: deleted }
      const told = `${plural(inserted, 'row')} inserted, ${count(updated)} updated, ${count(deleted)} deleted`
      return say(json, done, counts, told)
    }),
})

export const update = localVerb({
  summary: 'Give columns other values in the rows for which a condition is true',
  positionals: [tablePath],
  options: {
    set: {
      kind: 'list',
      value: 'NAME=EXPRESSION',
      summary: 'What a column becomes, as in SQL; of the values that the row had before',
    },
    where: { kind: 'text', value: 'CONDITION', summary: 'As in SQL; all rows unless given' },
  },
  notes: [
    'Expressions have columns, constants, + - * / % ||, CASE, CAST and the functions abs, coalesce, concat, date,\n' +
      'day, hour, length, lower, month, substring, trim, upper and year.',
  ],
  examples: [
    {
      says: 'A price raised and a remark made',
      line: `millrace tables update /data/orders --set "total = total * 1.1, note = 'new price'" --where "day >= '2026-01-01'"`,
    },
  ],
  run: ({ values: { set, where }, positionals, json }) =>
    toldWriting(positionals[0]!, async () => {
      if (set.length === 0) throw new UsageError('--set is missing: what columns are to be')
      const done = await updateRows(tableEnvironment(positionals[0]!), {
        set: set.join(', '),
        where,
      })
      const updated = done?.updated ?? 0
      return say(json, done, { rowsUpdated: updated }, `${plural(updated, 'row')} updated`)
    }),
})

export const remove = localVerb({
  summary: 'Delete the rows for which a condition is true',
  positionals: [tablePath],
  options: {
    where: {
      kind: 'text',
      value: 'CONDITION',
      summary: 'As in SQL: comparisons, IN, BETWEEN, LIKE, IS NULL, AND, OR, NOT',
    },
  },
  examples: [
    {
      says: 'A customer',
      line: `millrace tables delete /data/orders --where "customer = 'ann' AND day < '2024-01-01'"`,
    },
  ],
  run: ({ values: { where }, positionals, json }) =>
    toldWriting(positionals[0]!, async () => {
      if (where === undefined) throw new UsageError('--where is missing: which rows to delete')
      const done = await deleteRows(tableEnvironment(positionals[0]!), where)
      const deleted = done?.deleted ?? 0
      return say(json, done, { rowsDeleted: deleted }, `${plural(deleted, 'row')} deleted`)
    }),
})

/** What was changed, by counts or in words; `null`: nothing was. Answers the exit code. */
function say(
  json: boolean,
  done: Committed | null,
  counts: { readonly [name: string]: number },
  words: string,
): number {
  warn(done)
  const told = { version: done?.version ?? null, ...counts }
  const text =
    done === null ? 'No row changes: nothing was committed' : `Version ${done.version}: ${words}`
  process.stdout.write(`${json ? jsonText(told) : text}\n`)
  return 0
}

function oneOf<Option extends string, Name extends string>(
  name: Name,
  values: { readonly [option in Name]: string | undefined },
  options: readonly [Option, ...Option[]],
): Option {
  const given = values[name] ?? options[0]
  const found = options.find((option) => option === given)
  if (found === undefined)
    throw new UsageError(`--${name} ${given}: expected ${options.join(', ')}`)
  return found
}

async function sourceOf(
  rows: Rows,
  { fields }: TableSchema,
  marker: string | undefined,
): Promise<Pick<MergeSource, 'batch' | 'deletes' | 'silent'>> {
  if (fields.some(({ name }) => name === marker)) {
    throw new UsageError(`--delete-marker ${marker}: that is a column of the table`)
  }
  // Who deletes gives a key and no more; what is inserted is looked at again.
  const builder = new BatchBuilder(fields.map((field) => ({ ...field, isNullable: true })))
  const silent = new SilentRows()
  const deletes: number[] = []
  let bytes = 0
  for await (const some of rows.all()) {
    for (const { line, json, bytes: size } of some) {
      fitting(line, () => {
        const { mark, rest } = marked(json, marker)
        const row: { readonly [name: string]: Value } = rowOfJson(fields, rest)
        if (mark) deletes.push(builder.rowCount)
        for (const { name } of fields) {
          if (!Object.hasOwn(row, name)) silent.note(name, builder.rowCount)
        }
        builder.append(row)
      })
      bytes += size
    }
    if (bytes > mergedBytesMax) {
      throw invalid(`more than ${mergedBytesMax / 1024 ** 2} MiB of rows: merge some after others`)
    }
  }
  const batch = builder.finish()
  return {
    batch,
    silent: silent.take(batch.rowCount),
    ...(marker === undefined ? {} : { deletes: flags(deletes, batch.rowCount) }),
  }
}

/** A row without the name that says whether it deletes. */
function marked(json: Json, marker: string | undefined): { mark: boolean; rest: Json } {
  const hasMark =
    marker !== undefined && typeof json === 'object' && json !== null && Object.hasOwn(json, marker)
  if (!hasMark) return { mark: false, rest: json }
  const { [marker]: mark, ...rest } = json as { [name: string]: Json }
  if (typeof mark !== 'boolean' && mark !== null) {
    throw new RangeError(`${marker} is neither true nor false`)
  }
  return { mark: mark === true, rest }
}

/**
 * Rows that stand for their keys (`table.key.mode=upsert`): the last record of a key is its row, and one without a value
 * says that there is none. A key that is an object has a column for each of its fields; which these are the table
 * remembers, since a record whose key has others would be found among the wrong rows.
 */
import { joinBatches } from '../../tables/columns/batches.ts'
import type { ColumnBatch, Field } from '../../tables/columns/column.ts'
import { batchOf } from '../../tables/columns/column-builder.ts'
import type { MergeSource } from '../../tables/delta/merge.ts'
import type { Silent } from '../../tables/delta/silent-rows.ts'
import { Struct } from '../data.ts'
import { ConnectException, DataException } from '../failures.ts'
import type { SinkRecord } from '../records.ts'
import type { Advice } from './advice.ts'
import { conformed, type GatheredRows } from './conforming.ts'
import { entriesOf } from './fit.ts'

/** The column of a key's part, and its value there. */
export type KeyPart = readonly [column: string, value: NonNullable<unknown>]

/**
 * What the row of a record is found by: its key, which is in the column `whole`, or where that is an object each of its
 * fields, in the column of its name. Throws DataException for a key by which no row is found.
 */
export function keyOf(
  { key }: Pick<SinkRecord, 'key'>,
  whole: string,
  advice: Advice,
): readonly KeyPart[] {
  if (key === null || key === undefined)
    throw new DataException('The record has no key, by which its row would be found')
  if (!isObject(key)) return [part(whole, key, 'The key', advice)]
  const parts = [...entriesOf(key, 'the key')].map(([name, value]) =>
    part(name, value, `The field ${name} of the key`, advice),
  )
  if (parts.length === 0)
    throw new DataException('The key is an object without fields, by which no row is found')
  return parts
}

export function isObject(key: unknown): key is Struct | ReadonlyMap<unknown, unknown> {
  return key instanceof Map || key instanceof Struct
}

function part(column: string, value: unknown, what: string, { bytesKeys }: Advice): KeyPart {
  if (value === null || value === undefined)
    throw new DataException(`${what} has no value: rows are found by keys that are whole`)
  if (Array.isArray(value) || isObject(value))
    throw new DataException(`${what} is a list or an object, by which no row is found`)
  // Bytes that are no UTF-8 all became the same character: keys that differ would be one.
  if (typeof value === 'string' && value.includes('\uFFFD'))
    throw new DataException(`${what} has bytes that are no UTF-8 text: ${bytesKeys}`)
  return [column, value]
}

const keyColumnsProperty = 'millrace.keyColumns'

type Configuration = ReadonlyMap<string, string>

/** By which columns the rows of a table are found; null: that is not said yet. `whole` is that of keys that are no objects. */
export function keyColumnsOf(
  configuration: Configuration,
  fields: readonly Field[],
  whole: string,
): readonly string[] | null {
  const said = configuration.get(keyColumnsProperty)
  if (said !== undefined) return namesIn(said)
  return fields.some(({ name }) => name === whole) ? [whole] : null
}

function namesIn(text: string): readonly string[] {
  try {
    const names: unknown = JSON.parse(text)
    if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  const said = text.slice(0, 100)
  throw new ConnectException(`The table's ${keyColumnsProperty} names no columns: ${said}`)
}

/** The properties of a table that remembers them. */
export function withKeyColumns(configuration: Configuration, keys: readonly string[]) {
  return new Map([...configuration, [keyColumnsProperty, JSON.stringify(keys)] as const])
}

/** `deleted`: which of all rows only say that their key has none any more. There is one batch at least. */
export function mergeSource(
  gathered: readonly GatheredRows[],
  deleted: Iterable<number>,
  { fields, on }: { fields: readonly Field[]; on: readonly string[] },
): MergeSource {
  const batch = joinBatches(gathered.map((one) => filled(fields, conformed(fields, one.batch))))
  const deletes = new Uint8Array(batch.rowCount)
  for (const row of deleted) deletes[row] = 1
  const silent = joinSilent(gathered, batch.rowCount)
  return { on, batch, deletes, silent, sameKey: 'last' }
}

function joinSilent(gathered: readonly GatheredRows[], rowCount: number): Silent {
  const joined = new Map<string, Uint8Array>()
  let first = 0
  for (const { batch, silent } of gathered) {
    for (const [name, flags] of silent) {
      const all = joined.get(name) ?? new Uint8Array(rowCount)
      all.set(flags, first)
      joined.set(name, all)
    }
    first += batch.rowCount
  }
  return joined
}

/** A record is all of its row: what it does not have is empty, whatever was there before. */
function filled(fields: readonly Field[], batch: ColumnBatch): ColumnBatch {
  const columns = fields.map((field) => {
    const at = batch.fields.findIndex(({ name }) => name === field.name)
    if (at >= 0) return batch.columns[at]!
    const empty = batchOf([{ ...field, isNullable: true }], new Array(batch.rowCount).fill({}))
    return empty.columns[0]!
  })
  return { rowCount: batch.rowCount, fields, columns }
}

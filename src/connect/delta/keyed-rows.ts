/**
 * Rows that stand for their keys (`table.key.mode=upsert`): the last record of a key is its row, and one without a value
 * says that there is none.
 */
import { joinBatches } from '../../tables/columns/batches.ts'
import type { ColumnBatch, Field } from '../../tables/columns/column.ts'
import { batchOf } from '../../tables/columns/column-builder.ts'
import type { MergeSource } from '../../tables/delta/merge.ts'
import type { Silent } from '../../tables/delta/silent-rows.ts'
import { Struct } from '../data.ts'
import { DataException } from '../failures.ts'
import type { SinkRecord } from '../records.ts'
import { conformed, type GatheredRows } from './conforming.ts'

/** Whether a row can be found by the key of a record. */
export function hasKey({ key }: Pick<SinkRecord, 'key'>): boolean {
  if (key === null || key === undefined || isBroken(key)) return false
  return !(Array.isArray(key) || key instanceof Map || key instanceof Struct)
}

/** Bytes that are no UTF-8 all became the same character: keys that differ would be one. */
function isBroken(key: unknown): boolean {
  return typeof key === 'string' && key.includes('\uFFFD')
}

/** Throws DataException where it cannot. */
export function refuseNoKey(record: Pick<SinkRecord, 'key'>): void {
  if (hasKey(record)) return
  const { key } = record
  if (isBroken(key))
    throw new DataException(
      'The key has bytes that are no UTF-8 text: keys that are bytes need table.key.format=bytes (of a topic) or a ByteArrayConverter',
    )
  throw new DataException(
    key === null || key === undefined
      ? 'The record has no key, by which its row would be found'
      : 'The key is a list or an object, by which no row is found',
  )
}

/** `deleted`: which of all rows only say that their key has none any more. There is one batch at least. */
export function mergeSource(
  gathered: readonly GatheredRows[],
  deleted: Iterable<number>,
  { fields, keyColumn }: { fields: readonly Field[]; keyColumn: string },
): MergeSource {
  const batch = joinBatches(gathered.map((one) => filled(fields, conformed(fields, one.batch))))
  const deletes = new Uint8Array(batch.rowCount)
  for (const row of deleted) deletes[row] = 1
  const silent = joinSilent(gathered, batch.rowCount)
  return { on: [keyColumn], batch, deletes, silent, sameKey: 'last' }
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

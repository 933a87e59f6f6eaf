/** Rows of the columns that there were when they came, as rows of those that there are now. */
import { type ColumnBatch, type Field, fieldsWithin } from '../../tables/columns/column.ts'
import { conform } from '../../tables/delta/conform.ts'
import type { TableField } from '../../tables/delta/schema.ts'
import type { Silent } from '../../tables/delta/silent-rows.ts'

/** Rows that came while there were the same columns. */
export interface GatheredRows {
  readonly batch: ColumnBatch
  /** Of columns that the table itself gives their values. */
  readonly silent: Silent
}

/** Columns that the batch lacks are left out. Throws DeltaError where a value of it is lost. */
export function conformed(fields: readonly Field[], batch: ColumnBatch): ColumnBatch {
  const columns = fields.flatMap((field) => {
    const at = batch.fields.findIndex(({ name }) => name === field.name)
    if (at < 0) return []
    const column = conform(named(field), batch.fields[at]!.type, batch.columns[at]!, 'none')
    return [{ field, column }]
  })
  return {
    rowCount: batch.rowCount,
    fields: columns.map(({ field }) => field),
    columns: columns.map(({ column }) => column),
  }
}

/** Rows know columns by their own names, not by those that files have. */
function named(field: Field): TableField {
  const children = fieldsWithin(field.type).map(named)
  return { ...field, physicalName: field.name, children, metadata: {} }
}

/**
 * What rows are known by for all their life (row tracking): an id, and the version that inserted or changed them last.
 * New rows have both by their file, which the log gives a first id; rows that are written to another file take theirs along
 * in two columns that are none of the table's, and those that change leave out the version, since it is a new one.
 */
import type { Storage } from '../../environment/storage.ts'
import { takeRows } from '../columns/batches.ts'
import { type Column, type ColumnBatch, isValid } from '../columns/column.ts'
import type { AddAction, MetadataAction } from './actions.ts'
import { emptyColumn } from './conform.ts'
import { corrupt } from './delta-error.ts'
import { liveRows, type MadeColumn, scanFile } from './scan.ts'
import type { TableField, TableSchema } from './schema.ts'

/** Of a commit behind which every row that was there before is still known. */
export const preservedTag = 'delta.rowTracking.preserved'

const property = (name: string): string => `delta.rowTracking.materialized${name}ColumnName`

export class RowTracking {
  /** Of files, behind those of the table: the id, and the version. */
  readonly fields: readonly [TableField, TableField]

  /** `null` where the table does not ask for it. Throws DeltaError. */
  static of({ configuration }: MetadataAction): RowTracking | null {
    if (configuration.get('delta.enableRowTracking') !== 'true') return null
    const [id, version] = ['RowId', 'RowCommitVersion'].map((name) => {
      const column = configuration.get(property(name))
      if (column === undefined) throw corrupt(`rowTracking without ${property(name)}`)
      return hiddenField(column)
    })
    return new RowTracking([id!, version!])
  }

  private constructor(fields: readonly [TableField, TableField]) {
    this.fields = fields
  }

  /** The live rows of files, with what they are known by behind the table's columns. */
  async *scan(
    storage: Storage,
    schema: TableSchema,
    files: Iterable<AddAction>,
  ): AsyncGenerator<ColumnBatch> {
    const fields = [...schema.fields, ...this.fields]
    for (const file of files) {
      const isWanted = await liveRows(storage, file)
      yield* scanFile(storage, schema, file, { fields, isWanted, made: this.#numbersOf(file) })
    }
  }

  /** Rows at `positions` of a scanned batch, as `changed` has them, with the ids that they keep. */
  following(batch: ColumnBatch, positions: Int32Array, changed: ColumnBatch): ColumnBatch {
    const [id, version] = this.fields
    const ids = takeRows(batch.columns[batch.fields.indexOf(id)]!, positions)
    const versions = emptyColumn(version.type, positions.length)
    return {
      rowCount: changed.rowCount,
      fields: [...changed.fields, id, version],
      columns: [...changed.columns, ids, versions],
    }
  }

  #numbersOf(file: AddAction): ReadonlyMap<TableField, MadeColumn> {
    const { path, baseRowId, defaultRowCommitVersion } = file
    if (baseRowId === null || defaultRowCommitVersion === null) {
      throw corrupt(`rowTracking: ${path} has no baseRowId or defaultRowCommitVersion`)
    }
    const [id, version] = this.fields
    return new Map([
      [id, (given, rows) => numbers(given, rows, (row) => baseRowId + BigInt(row))],
      [version, (given, rows) => numbers(given, rows, () => defaultRowCommitVersion)],
    ])
  }
}

/** The rows without what they are known by. */
export function withoutTracking(
  { rowCount, fields, columns }: ColumnBatch,
  { fields: own }: TableSchema,
): ColumnBatch {
  if (fields.length === own.length) return { rowCount, fields, columns }
  return { rowCount, fields: own, columns: columns.slice(0, own.length) }
}

function hiddenField(name: string): TableField {
  return {
    ...{ name, physicalName: name, type: { kind: 'int64' }, children: [], metadata: {} },
    isNullable: true,
  }
}

/** What the file has of it, and for the others a number by the row's place in the file. */
function numbers(
  given: Column | null,
  { firstRow, rowCount }: Parameters<MadeColumn>[1],
  numberOf: (row: number) => bigint,
): Column {
  const values = new BigInt64Array(rowCount)
  for (let row = 0; row < rowCount; row++) {
    const own = given?.layout === 'int64' && isValid(given, row) ? given.values[row] : undefined
    values[row] = own ?? numberOf(firstRow + row)
  }
  return { layout: 'int64', length: rowCount, validity: null, values }
}

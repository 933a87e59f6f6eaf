/**
 * Records made rows of one table, in columns, until they are committed. A record either has its row or is refused and
 * has left no trace: its values are fitted first, and columns grow only for a record that fits then.
 */
import type { Field } from '../../tables/columns/column.ts'
import { BatchBuilder } from '../../tables/columns/column-builder.ts'
import type { Value } from '../../tables/columns/value.ts'
import { DeltaError } from '../../tables/delta/delta-error.ts'
import { mergedFields } from '../../tables/delta/evolve.ts'
import type { RowRules } from '../../tables/delta/row-rules.ts'
import { SilentRows } from '../../tables/delta/silent-rows.ts'
import type { Schema } from '../data.ts'
import { DataException } from '../failures.ts'
import type { SinkRecord } from '../records.ts'
import { conformed, type GatheredRows } from './conforming.ts'
import { fit, Misfit, namesOf, placeOf } from './fit.ts'
import { JsonColumns } from './json-columns.ts'
import { isObject, keyOf } from './keyed-rows.ts'
import { derivedValue } from './partitioning.ts'
import { type FittedRow, type RecordColumns, RowFitting } from './row-fitting.ts'
import { type ColumnLimits, refuseColumns, wantedColumns } from './wanted-columns.ts'

export interface RowSettings extends RecordColumns {
  readonly evolution: 'none' | 'add' | 'widen'
  /** Rows that are gathered before they may be written. */
  readonly batchRows: number
}

/** What the table is like, or will be. */
export interface TableShape extends ColumnLimits {
  readonly fields: readonly Field[]
  /** Files have values of these. */
  readonly kept: readonly Field[]
  readonly mayWiden: boolean
  readonly partitionBy: readonly string[]
  /** By which columns the row of a key is found; null: the first record's key says it. */
  readonly keys: readonly string[] | null
  /** What it asks of rows of these columns. Throws DeltaError where that is not known here. */
  readonly rulesOf: (fields: readonly Field[]) => RowRules
}

/** What a column of a batch takes besides its values, about: each new column begins a batch of all. */
const columnBytes = 512

export class RowBuffer {
  readonly #settings: RowSettings
  readonly #fitting: RowFitting
  #shape: TableShape
  #builder: BatchBuilder
  #batches: GatheredRows[] = []
  #rules: RowRules
  readonly #silent = new SilentRows()
  #deleted: number[] = []
  #rowCount = 0
  #bytes = 0
  /** Schemas whose fields all have columns. */
  #schemas = new WeakSet<Schema>()
  /** Of the builder: null where rows need more than the values of JSON. */
  #json: JsonColumns | null = null
  #keys: readonly string[] | null

  constructor(settings: RowSettings, shape: TableShape) {
    this.#settings = settings
    this.#fitting = new RowFitting(settings)
    this.#shape = shape
    this.#rules = shape.rulesOf(shape.fields)
    this.#keys = shape.keys
    this.#builder = this.#begun(shape.fields)
  }

  get fields(): readonly Field[] {
    return this.#shape.fields
  }

  get rowCount(): number {
    return this.#rowCount
  }

  /** By which the rows are found, where each stands for a key; null: there is none yet. */
  get keys(): readonly string[] | null {
    return this.#keys
  }

  /** In memory, about. */
  get bytes(): number {
    return this.#bytes
  }

  /** Throws DataException for a record that has no row in the table. */
  add(record: SinkRecord): void {
    const keys = this.#keysOf(record)
    const { values, taken } = this.#rowOf(record)
    this.#keys ??= keys?.map((name) => this.#columnNamed(name)) ?? null
    for (const name of this.#rules.filled) {
      const place = this.fields.findIndex((field) => field.name === name)
      if (taken[place] === 0) this.#silent.note(name, this.#builder.rowCount)
    }
    this.#builder.appendValues(values)
    if (this.#fitting.isTombstone(record)) this.#deleted.push(this.#rowCount)
    this.#rowCount++
    for (const value of values) this.#bytes += bytesOf(value)
    if (this.#builder.rowCount >= this.#settings.batchRows) this.#seal()
  }

  /**
   * As `add`, of a record whose value is yet JSON without a schema, given as its `text`. False: nothing was added, and
   * `add` has to see it.
   */
  addJson(record: SinkRecord, text: Buffer): boolean {
    const json = this.#json
    if (json === null || !this.#isPlainKey(record)) return false
    const isWhole = json.append(text) && this.#appendOthers(record)
    if (!isWhole) {
      this.#builder.dropRow()
      return false
    }
    this.#builder.endRow()
    this.#rowCount++
    this.#bytes += text.length
    if (this.#builder.rowCount >= this.#settings.batchRows) this.#seal()
    return true
  }

  /** By which columns the row is found. Throws DataException for a key of other columns than the table's. */
  #keysOf(record: SinkRecord): readonly string[] | null {
    const { isUpsert, kafka, advice } = this.#settings
    if (!isUpsert || kafka.key === null) return null
    const parts = keyOf(record, kafka.key, advice)
    const empty = parts.find(([name, value]) => value === '' && this.#isOfPartition(name))
    if (empty !== undefined)
      throw new DataException(
        `The key has an empty text for ${empty[0]}, which is no value where a table is partitioned by it: its row would not be found`,
      )
    const names = parts.map(([name]) => name)
    const known = this.#keys
    if (known === null) return names
    if (isSameNames(names, known)) return known
    throw new DataException(
      `The key is of the columns ${names.join(', ')}, but the rows of the table are found by ${known.join(', ')}`,
    )
  }

  #isOfPartition(name: string): boolean {
    return this.#shape.partitionBy.some((one) => one.toLowerCase() === name.toLowerCase())
  }

  /** As the column itself is spelled. */
  #columnNamed(name: string): string {
    const { fields } = this.#shape
    return fields[namesOf(fields).find(name)!]!.name
  }

  /** A key that is no object is in a column of its own, whatever the value is. */
  #isPlainKey(record: SinkRecord): boolean {
    if (!this.#settings.isUpsert) return true
    if (this.#keys === null || isObject(record.key)) return false
    try {
      return this.#keysOf(record) !== null
    } catch (error) {
      if (error instanceof DataException) return false
      throw error
    }
  }

  /** The columns that are not of the value. */
  #appendOthers(record: SinkRecord): boolean {
    const { fields } = this.#shape
    const names = namesOf(fields)
    const { columns } = this.#builder
    const append = (name: string, value: unknown) => {
      const place = placeOf(names, name, value, '')
      if (place !== null) columns[place]!.append(fit(fields[place]!, value, name))
    }
    try {
      this.#fitting.putKafka(record, append)
      for (const derived of this.#settings.partitioning.derived) {
        append(derived.field.name, derivedValue(derived, null, record.timestamp, null))
      }
    } catch (error) {
      if (error instanceof DataException) return false
      throw error
    }
    return true
  }

  /** For rows of these columns. */
  #begun(fields: readonly Field[]): BatchBuilder {
    const { kafka, valueColumn, partitioning, isUpsert } = this.#settings
    // What deletes a row has no values for columns that must have one.
    const mayLack = ({ name, isNullable }: Field): boolean =>
      isUpsert || isNullable || this.#rules.filled.includes(name)
    const builder = new BatchBuilder(
      fields.map((field) => ({ ...field, isNullable: mayLack(field) })),
    )
    const others = [
      ...Object.values(kafka).filter((name: string | null) => name !== null),
      ...partitioning.derived.map(({ field }) => field.name),
    ].map((name) => name.toLowerCase())
    const isPlain =
      this.#rules.areNone &&
      valueColumn === null &&
      new Set(others).size === others.length &&
      partitioning.derived.every(({ source }) => source === null)
    this.#json = isPlain ? new JsonColumns(builder, fields, new Set(others)) : null
    return builder
  }

  /** Of all rows that were added, which only say that their key has none any more. */
  get deleted(): readonly number[] {
    return this.#deleted
  }

  /** Batches to which nothing is added any more. */
  get sealed(): readonly GatheredRows[] {
    return this.#batches
  }

  /** What was added, oldest first; the columns of a batch are those that there were by then. */
  batches(): readonly GatheredRows[] {
    this.#seal()
    return this.#batches
  }

  /** All that was added is in the table, or given up; it is like this now. */
  restart(shape: TableShape): void {
    const isSame = shape.fields === this.#shape.fields
    this.#shape = shape
    this.#rules = shape.rulesOf(shape.fields)
    this.#builder = this.#begun(shape.fields)
    this.#silent.take(0)
    this.#batches = []
    this.#deleted = []
    this.#rowCount = 0
    this.#bytes = 0
    this.#keys = shape.keys
    if (!isSame) this.#schemas = new WeakSet()
  }

  #seal(): void {
    const { rowCount } = this.#builder
    if (rowCount === 0) return
    this.#batches.push({ batch: this.#builder.finish(), silent: this.#silent.take(rowCount) })
  }

  #rowOf(record: SinkRecord): FittedRow {
    const { valueSchema } = record
    // Its columns appear with the first record that has it, though they be empty there.
    if (valueSchema !== null && !this.#schemas.has(valueSchema)) {
      const row = this.#grownFor(record, null)
      this.#schemas.add(valueSchema)
      return row
    }
    try {
      return this.#fitting.fitted(record, this.#shape.fields, this.#rules)
    } catch (error) {
      if (!(error instanceof Misfit)) throw error
      return this.#grownFor(record, error)
    }
  }

  #grownFor(record: SinkRecord, misfit: Misfit | null): FittedRow {
    const { evolution } = this.#settings
    const { fields, kept, mayWiden, isNew } = this.#shape
    const merged =
      evolution === 'none' && !isNew
        ? fields
        : mergedFields(fields, this.#wanted(record), { kept, mayWiden })
    if (merged === fields) {
      if (misfit !== null) throw misfit
      return this.#fitting.fitted(record, fields, this.#rules)
    }
    refuseColumns(merged, this.#shape, this.#settings.advice)
    const rules = this.#rulesOf(merged)
    const row = this.#fitting.fitted(record, merged, rules)
    this.#seal()
    this.#refuseLoss(fields, merged)
    this.#shape = { ...this.#shape, fields: merged }
    this.#rules = rules
    this.#builder = this.#begun(merged)
    this.#bytes += merged.length * columnBytes
    return row
  }

  #wanted(record: SinkRecord): Field[] {
    // Where nothing is added, columns that were given are all that values have.
    const isOfValue = this.#settings.evolution !== 'none' || this.#shape.kept.length === 0
    return wantedColumns(record, this.#settings, isOfValue)
  }

  /** Of columns that the table has not yet. Throws DataException for those that it cannot have. */
  #rulesOf(merged: readonly Field[]): RowRules {
    try {
      return this.#shape.rulesOf(merged)
    } catch (cause) {
      if (!(cause instanceof DeltaError)) throw cause
      throw new DataException(cause.message, { cause })
    }
  }

  /** Rows that wait become those of the wider types: a double does not hold every long. */
  #refuseLoss(before: readonly Field[], after: readonly Field[]): void {
    const changed = after.filter((field, i) => i < before.length && field !== before[i])
    if (changed.length === 0) return
    try {
      for (const { batch } of this.#batches) conformed(changed, batch)
    } catch (cause) {
      if (!(cause instanceof DeltaError)) throw cause
      throw new DataException(`a row before does not fit with it: ${cause.message}`, { cause })
    }
  }
}

/** Whatever their order and case. */
function isSameNames(left: readonly string[], right: readonly string[]): boolean {
  const names = new Set(right.map((name) => name.toLowerCase()))
  return left.length === names.size && left.every((name) => names.has(name.toLowerCase()))
}

function bytesOf(value: Value): number {
  if (typeof value === 'string') return value.length + 5
  if (typeof value !== 'object' || value === null) return 9
  if (value instanceof Uint8Array) return value.length + 5
  let bytes = 5
  if (Array.isArray(value)) for (const one of value) bytes += bytesOf(one)
  else if (value instanceof Map) {
    for (const [key, one] of value) bytes += bytesOf(key) + bytesOf(one)
  } else for (const one of Object.values(value)) bytes += bytesOf(one)
  return bytes
}

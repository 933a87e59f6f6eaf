/**
 * Records made rows of one table, in columns, until they are committed. A record either has its row or is refused and
 * has left no trace: its values are fitted first, and columns grow only for a record that fits then.
 */
import {
  type ColumnBatch,
  type DataType,
  type Field,
  fieldsWithin,
} from '../../tables/columns/column.ts'
import { BatchBuilder, batchOf } from '../../tables/columns/column-builder.ts'
import { type Value, valueAt } from '../../tables/columns/value.ts'
import { DeltaError, invalid } from '../../tables/delta/delta-error.ts'
import { mergedFields } from '../../tables/delta/evolve.ts'
import { hasNtz, refuseName } from '../../tables/delta/new-table.ts'
import type { RowRules } from '../../tables/delta/row-rules.ts'
import { noneSilent, SilentRows } from '../../tables/delta/silent-rows.ts'
import { type Schema, Struct } from '../data.ts'
import { DataException } from '../failures.ts'
import { Instant } from '../logical.ts'
import type { SinkRecord } from '../records.ts'
import { textOf } from '../value-text.ts'
import {
  fieldsOfMap,
  fieldsOfSchema,
  nullable,
  timestampType,
  typeOfSchema,
  typeOfValue,
} from './column-types.ts'
import { conformed, type GatheredRows } from './conforming.ts'
import { entriesOf, fit, Misfit, namesOf, placeOf, twice } from './fit.ts'
import { JsonColumns } from './json-columns.ts'
import { hasKey, refuseNoKey } from './keyed-rows.ts'
import { derivedValue, type Partitioning } from './partitioning.ts'

/** Of where a record was in Kafka, by what is kept of it; null: it is not. */
export interface KafkaColumns {
  readonly topic: string | null
  readonly partition: string | null
  readonly offset: string | null
  readonly timestamp: string | null
  readonly key: string | null
  readonly headers: string | null
}

export interface RowSettings {
  readonly kafka: KafkaColumns
  /** Holds the whole value; null: each field of it has a column. */
  readonly valueColumn: string | null
  readonly partitioning: Partitioning
  readonly evolution: 'none' | 'add' | 'widen'
  /** Each key has one row, found by `kafka.key`; else each record has its own. */
  readonly isUpsert: boolean
}

/** What the table is like, or will be. */
export interface TableShape {
  readonly fields: readonly Field[]
  /** Files have values of these. */
  readonly kept: readonly Field[]
  readonly mayWiden: boolean
  /** There is no table yet: it is made of the fields, and of what its first rows need. */
  readonly isNew: boolean
  /** Names may have any characters (column mapping). */
  readonly isMapped: boolean
  /** It may have columns of the type timestamp_ntz, which is a feature of the table. */
  readonly mayHaveNtz: boolean
  /** What it asks of rows of these columns. Throws DeltaError where that is not known here. */
  readonly rulesOf: (fields: readonly Field[]) => RowRules
}

/** A row whose values fit, in the order of the columns. */
interface FittedRow {
  readonly values: Value[]
  /** 1 for columns of which the record, or the table, says something. */
  readonly taken: Uint8Array
}

/** Columns and fields within them at most: each costs every commit, and records may be hostile. */
const columnsMax = 2000
/** What a column of a batch takes besides its values, about: each new column begins a batch of all. */
const columnBytes = 512
/** Rows in a batch. */
const batchRows = 16_384

export class RowBuffer {
  readonly #settings: RowSettings
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

  constructor(settings: RowSettings, shape: TableShape) {
    this.#settings = settings
    this.#shape = shape
    this.#rules = shape.rulesOf(shape.fields)
    this.#builder = this.#begun(shape.fields)
  }

  get fields(): readonly Field[] {
    return this.#shape.fields
  }

  get rowCount(): number {
    return this.#rowCount
  }

  /** In memory, about. */
  get bytes(): number {
    return this.#bytes
  }

  /** Throws DataException for a record that has no row in the table. */
  add(record: SinkRecord): void {
    if (this.#settings.isUpsert) refuseNoKey(record)
    const { values, taken } = this.#rowOf(record)
    for (const name of this.#rules.filled) {
      const place = this.fields.findIndex((field) => field.name === name)
      if (taken[place] === 0) this.#silent.note(name, this.#builder.rowCount)
    }
    this.#builder.appendValues(values)
    if (this.#isTombstone(record)) this.#deleted.push(this.#rowCount)
    this.#rowCount++
    for (const value of values) this.#bytes += bytesOf(value)
    if (this.#builder.rowCount >= batchRows) this.#seal()
  }

  /**
   * As `add`, of a record whose value is yet JSON without a schema, given as its `text`. False: nothing was added, and
   * `add` has to see it.
   */
  addJson(record: SinkRecord, text: Buffer): boolean {
    const json = this.#json
    if (json === null || (this.#settings.isUpsert && !hasKey(record))) return false
    const isWhole = json.append(text) && this.#appendOthers(record)
    if (!isWhole) {
      this.#builder.dropRow()
      return false
    }
    this.#builder.endRow()
    this.#rowCount++
    this.#bytes += text.length
    if (this.#builder.rowCount >= batchRows) this.#seal()
    return true
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
      this.#putKafka(record, append)
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

  #isTombstone({ value }: SinkRecord): boolean {
    return this.#settings.isUpsert && (value === null || value === undefined)
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
      return this.#fitted(record, this.#shape.fields, this.#rules)
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
      return this.#fitted(record, fields, this.#rules)
    }
    refuseColumns(merged, this.#shape)
    const rules = this.#shape.rulesOf(merged)
    const row = this.#fitted(record, merged, rules)
    this.#seal()
    this.#refuseLoss(fields, merged)
    this.#shape = { ...this.#shape, fields: merged }
    this.#rules = rules
    this.#builder = this.#begun(merged)
    this.#bytes += merged.length * columnBytes
    return row
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

  /** The columns that a record would need if there were none. */
  #wanted(record: SinkRecord): Field[] {
    const { kafka, partitioning, evolution } = this.#settings
    const wanted: Field[] = []
    const column = (name: string | null, type: DataType | null) => {
      if (name !== null && type !== null) wanted.push(nullable(name, type))
    }
    column(kafka.topic, { kind: 'string' })
    column(kafka.partition, { kind: 'int32' })
    column(kafka.offset, { kind: 'int64' })
    column(kafka.timestamp, timestampType)
    if (kafka.key !== null) column(kafka.key, shownType(record.keySchema, record.key, 'the key'))
    column(kafka.headers, headersType)
    // Where nothing is added, columns that were given are all that values have.
    if (evolution !== 'none' || this.#shape.kept.length === 0)
      wanted.push(...this.#wantedOfValue(record))
    for (const { field } of partitioning.derived) wanted.push(field)
    return wanted
  }

  #wantedOfValue({ valueSchema, value }: SinkRecord): readonly Field[] {
    const { valueColumn } = this.#settings
    if (valueColumn !== null) {
      const type = shownType(valueSchema, value, 'the value')
      return type === null ? [] : [nullable(valueColumn, type)]
    }
    if (value instanceof Struct) return fieldsOfSchema(value.schema)
    if (!(value instanceof Map)) return []
    const shown = fieldsOfMap(value)
    if (valueSchema === null) return shown
    // What the schema of plain JSON leaves open, the value shows.
    const said = fieldsOfSchema(valueSchema)
    return mergedFields(said, shown, { kept: said, mayWiden: false })
  }

  #fitted(record: SinkRecord, fields: readonly Field[], rules: RowRules): FittedRow {
    const row: Value[] = new Array(fields.length).fill(null)
    const taken = new Uint8Array(fields.length)
    const names = namesOf(fields)
    const put = (name: string, value: unknown) => {
      const place = placeOf(names, name, value, '')
      if (place === null) return
      if (taken[place] === 1) throw twice(name)
      taken[place] = 1
      row[place] = fit(fields[place]!, value, fields[place]!.name)
    }
    this.#putKafka(record, put)
    this.#putValue(record, put)
    this.#putDerived(record, fields, { row, taken })
    const fitted = { values: row, taken }
    if (this.#isTombstone(record)) return fitted
    ruled(fitted, fields, rules)
    for (const [i, field] of fields.entries()) {
      const isGiven = taken[i] === 0 && rules.isIdentity(field.name)
      if (!field.isNullable && row[i] === null && !isGiven) fit(field, null, field.name)
    }
    return fitted
  }

  #putKafka(record: SinkRecord, put: (name: string, value: unknown) => void): void {
    const { kafka } = this.#settings
    if (kafka.topic !== null) put(kafka.topic, record.originalTopic)
    if (kafka.partition !== null) put(kafka.partition, record.originalKafkaPartition)
    if (kafka.offset !== null) put(kafka.offset, record.originalKafkaOffset)
    if (kafka.timestamp !== null) put(kafka.timestamp, timestampOf(record))
    if (kafka.key !== null) put(kafka.key, record.key)
    if (kafka.headers !== null) put(kafka.headers, headersOf(record))
  }

  #putValue({ value }: SinkRecord, put: (name: string, value: unknown) => void): void {
    const { valueColumn } = this.#settings
    if (valueColumn !== null) put(valueColumn, value)
    else if (value instanceof Struct || value instanceof Map) {
      for (const [name, one] of entriesOf(value, '')) put(name, one)
    } else if (value !== null && value !== undefined) {
      throw new DataException(
        'The value is no object, so that no fields of it have columns: see value.converter, or name a column for all of it (table.value.column)',
      )
    }
  }

  #putDerived(
    { timestamp }: SinkRecord,
    fields: readonly Field[],
    { row, taken }: { row: Value[]; taken: Uint8Array },
  ): void {
    const names = namesOf(fields)
    for (const derived of this.#settings.partitioning.derived) {
      const { field, source } = derived
      const place = names.find(field.name)
      if (place === undefined) throw new Misfit(`there is no column ${field.name}`)
      if (taken[place] === 1) throw twice(field.name)
      taken[place] = 1
      const from = source === null ? undefined : names.find(source)
      const value = from === undefined ? null : row[from]!
      const type = from === undefined ? null : fields[from]!.type
      row[place] = fit(fields[place]!, derivedValue(derived, value, timestamp, type), field.name)
    }
  }
}

/**
 * Puts what the table says itself into a row, but for the numbers of identity columns, which only a commit gives. Throws
 * DataException for a row that the table refuses.
 */
function ruled({ values, taken }: FittedRow, fields: readonly Field[], rules: RowRules): void {
  if (rules.areNone) return
  const given = fields.filter((_, i) => taken[i] === 1)
  const row = Object.fromEntries(fields.map(({ name }, i) => [name, values[i]!]))
  const optional = given.map((field) => ({ ...field, isNullable: true }))
  let whole: ColumnBatch
  try {
    whole = rules.inserted(batchOf(optional, [row]), noneSilent)
  } catch (cause) {
    if (!(cause instanceof DeltaError)) throw cause
    throw new DataException(cause.message, { cause })
  }
  for (const name of rules.filled) {
    const i = fields.findIndex((field) => field.name === name)
    if (taken[i] === 1 || rules.isIdentity(name)) continue
    taken[i] = 1
    values[i] = valueAt(fields[i]!.type, whole.columns[i]!, 0)
  }
}

function timestampOf({ timestamp }: SinkRecord): Instant | null {
  return timestamp === null ? null : new Instant(timestamp)
}

const headersType: DataType = {
  kind: 'list',
  element: nullable('element', {
    kind: 'struct',
    fields: [nullable('key', { kind: 'string' }), nullable('value', { kind: 'string' })],
  }),
}

/** Values of headers as text, in their order: a key may come twice. */
function headersOf({ headers }: SinkRecord): Map<string, string | null>[] {
  return headers.map(
    ({ key, value }) =>
      new Map([
        ['key', key],
        ['value', value === null || value === undefined ? null : textOf(value)],
      ]),
  )
}

function shownType(schema: Schema | null, value: unknown, at: string): DataType | null {
  return schema === null ? typeOfValue(value, at) : typeOfSchema(schema, at)
}

function refuseColumns(
  fields: readonly Field[],
  { isMapped, mayHaveNtz }: Pick<TableShape, 'isMapped' | 'mayHaveNtz'>,
): void {
  try {
    const local = fields.find(({ type }) => hasNtz(type))
    if (local !== undefined && !mayHaveNtz)
      throw invalid(`column ${local.name} needs the feature timestampNtz, which the table has not`)
    for (const field of fields) refuseName(field, isMapped)
    if (countOf(fields) > columnsMax)
      throw invalid(`there would be more than ${columnsMax} columns`)
  } catch (cause) {
    throw new DataException((cause as Error).message, { cause })
  }
}

function countOf(fields: readonly Field[]): number {
  return fields.reduce((sum, { type }) => sum + 1 + countOf(fieldsWithin(type)), 0)
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

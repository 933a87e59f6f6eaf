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
import type { Advice } from './advice.ts'
import {
  fieldsOfMap,
  fieldsOfSchema,
  nullable,
  timestampType,
  typeOfSchema,
  typeOfValue,
} from './column-types.ts'
import { conformed, type GatheredRows } from './conforming.ts'
import {
  type ColumnNames,
  entriesOf,
  fit,
  Misfit,
  type Numbers,
  namesOf,
  placeOf,
  twice,
} from './fit.ts'
import { JsonColumns } from './json-columns.ts'
import { isObject, type KeyPart, keyOf } from './keyed-rows.ts'
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
  /** Rows that are gathered before they may be written. */
  readonly batchRows: number
  readonly advice: Advice
  /** Each key has one row, found by `kafka.key` or by the fields of the key; else each record has its own. */
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
  /** By which columns the row of a key is found; null: the first record's key says it. */
  readonly keys: readonly string[] | null
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
  #keys: readonly string[] | null

  constructor(settings: RowSettings, shape: TableShape) {
    this.#settings = settings
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
    if (this.#isTombstone(record)) this.#deleted.push(this.#rowCount)
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
    const names = keyOf(record, kafka.key, advice).map(([name]) => name)
    const known = this.#keys
    if (known === null) return names
    if (isSameNames(names, known)) return known
    throw new DataException(
      `The key is of the columns ${names.join(', ')}, but the rows of the table are found by ${known.join(', ')}`,
    )
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

  /** What of the key has columns. */
  #keyParts(record: SinkRecord): readonly (KeyPart | readonly [string, unknown])[] {
    const { isUpsert, kafka, advice } = this.#settings
    if (kafka.key === null) return []
    return isUpsert ? keyOf(record, kafka.key, advice) : [[kafka.key, record.key]]
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
    refuseColumns(merged, this.#shape, this.#settings.advice)
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
    wanted.push(...this.#wantedOfKey(record))
    column(kafka.headers, headersType)
    // Where nothing is added, columns that were given are all that values have.
    if (evolution !== 'none' || this.#shape.kept.length === 0)
      wanted.push(...this.#wantedOfValue(record))
    for (const { field } of partitioning.derived) wanted.push(field)
    return wanted
  }

  #wantedOfKey({ keySchema, key }: SinkRecord): readonly Field[] {
    const { kafka, isUpsert } = this.#settings
    if (kafka.key === null) return []
    if (isUpsert && isObject(key)) return fieldsOfObject(keySchema, key)
    const type = shownType(keySchema, key, 'the key')
    return type === null ? [] : [nullable(kafka.key, type)]
  }

  #wantedOfValue({ valueSchema, value }: SinkRecord): readonly Field[] {
    const { valueColumn } = this.#settings
    if (valueColumn !== null) {
      const type = shownType(valueSchema, value, 'the value')
      return type === null ? [] : [nullable(valueColumn, type)]
    }
    return isObject(value) ? fieldsOfObject(valueSchema, value) : []
  }

  #fitted(record: SinkRecord, fields: readonly Field[], rules: RowRules): FittedRow {
    const row: Value[] = new Array(fields.length).fill(null)
    const taken = new Uint8Array(fields.length)
    const names = namesOf(fields)
    const put = (name: string, value: unknown, numbers?: Numbers) => {
      const place = placeOf(names, name, value, '')
      if (place === null) return
      if (taken[place] === 1) throw twice(name)
      taken[place] = 1
      row[place] = fit(fields[place]!, value, fields[place]!.name, numbers)
    }
    this.#putKafka(record, put)
    const ofKey = isObject(record.key) ? this.#keyPlaces(record, names) : noPlaces
    const numbers = record.value instanceof Struct ? 'exact' : 'json'
    this.#putValue(record, (name, value) => {
      const place = names.find(name)
      if (place === undefined || !ofKey.has(place)) return put(name, value, numbers)
      // The key says it, and the value may say it again.
      if (value === null || value === undefined) return
      if (String(fit(fields[place]!, value, name)) !== String(row[place]))
        throw new DataException(`${name} is another in the value than in the key`)
    })
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

  /** Where the fields of its key are, by which its row is found. */
  #keyPlaces(record: SinkRecord, names: ColumnNames): ReadonlySet<number> {
    if (!this.#settings.isUpsert) return noPlaces
    return new Set(this.#keyParts(record).map(([name]) => names.find(name) ?? -1))
  }

  #putKafka(record: SinkRecord, put: (name: string, value: unknown) => void): void {
    const { kafka } = this.#settings
    if (kafka.topic !== null) put(kafka.topic, record.originalTopic)
    if (kafka.partition !== null) put(kafka.partition, record.originalKafkaPartition)
    if (kafka.offset !== null) put(kafka.offset, record.originalKafkaOffset)
    if (kafka.timestamp !== null) put(kafka.timestamp, timestampOf(record))
    for (const [name, value] of this.#keyParts(record)) put(name, value)
    if (kafka.headers !== null) put(kafka.headers, headersOf(record))
  }

  #putValue({ value }: SinkRecord, put: (name: string, value: unknown) => void): void {
    const { valueColumn } = this.#settings
    if (valueColumn !== null) put(valueColumn, value)
    else if (value instanceof Struct || value instanceof Map) {
      for (const [name, one] of entriesOf(value, '')) put(name, one)
    } else if (value !== null && value !== undefined) {
      throw new DataException(
        `The value is no object, so that no fields of it have columns: ${this.#settings.advice.noObject}`,
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

const noPlaces: ReadonlySet<number> = new Set()

/** Whatever their order and case. */
function isSameNames(left: readonly string[], right: readonly string[]): boolean {
  const names = new Set(right.map((name) => name.toLowerCase()))
  return left.length === names.size && left.every((name) => names.has(name.toLowerCase()))
}

/** What its schema leaves open, as that of plain JSON does, the object itself shows. */
function fieldsOfObject(
  schema: Schema | null,
  object: Struct | ReadonlyMap<unknown, unknown>,
): readonly Field[] {
  if (object instanceof Struct) return fieldsOfSchema(object.schema)
  const shown = fieldsOfMap(object)
  if (schema === null) return shown
  const said = fieldsOfSchema(schema)
  return mergedFields(said, shown, { kept: said, mayWiden: false })
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
    ({ key, schema, value }) =>
      new Map([
        ['key', key],
        ['value', value === null || value === undefined ? null : textOf(schema, value)],
      ]),
  )
}

function shownType(schema: Schema | null, value: unknown, at: string): DataType | null {
  return schema === null ? typeOfValue(value, at) : typeOfSchema(schema, at)
}

function refuseColumns(
  fields: readonly Field[],
  { isMapped, mayHaveNtz, isNew }: Pick<TableShape, 'isMapped' | 'mayHaveNtz' | 'isNew'>,
  advice: Advice,
): void {
  refuseNames(fields, isMapped, isNew ? advice.mapping : advice.unmapped)
  try {
    const local = fields.find(({ type }) => hasNtz(type))
    if (local !== undefined && !mayHaveNtz)
      throw invalid(`column ${local.name} needs the feature timestampNtz, which the table has not`)
    if (countOf(fields) > columnsMax)
      throw invalid(`there would be more than ${columnsMax} columns`)
  } catch (cause) {
    throw new DataException((cause as Error).message, { cause })
  }
}

function refuseNames(fields: readonly Field[], isMapped: boolean, advice: string): void {
  try {
    for (const field of fields) refuseName(field, isMapped)
  } catch (cause) {
    const { message } = cause as Error
    throw new DataException(isMapped ? message : `${message}: ${advice}`, { cause })
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

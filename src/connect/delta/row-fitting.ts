/**
 * A record made a row: where each part of it goes, and what a table says of rows itself. Nothing of a record is in a row
 * unless all of it is.
 */
import type { ColumnBatch, Field } from '../../tables/columns/column.ts'
import { batchOf } from '../../tables/columns/column-builder.ts'
import { type Value, valueAt } from '../../tables/columns/value.ts'
import { DeltaError } from '../../tables/delta/delta-error.ts'
import type { RowRules } from '../../tables/delta/row-rules.ts'
import { noneSilent } from '../../tables/delta/silent-rows.ts'
import { Struct } from '../data.ts'
import { DataException } from '../failures.ts'
import { Instant } from '../logical.ts'
import type { SinkRecord } from '../records.ts'
import { textOf } from '../value-text.ts'
import type { Advice } from './advice.ts'
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

/** Which columns the parts of a record have. */
export interface RecordColumns {
  readonly kafka: KafkaColumns
  /** Holds the whole value; null: each field of it has a column. */
  readonly valueColumn: string | null
  readonly partitioning: Partitioning
  readonly advice: Advice
  /** Each key has one row, found by `kafka.key` or by the fields of the key; else each record has its own. */
  readonly isUpsert: boolean
}

/** A row whose values fit, in the order of the columns. */
export interface FittedRow {
  readonly values: Value[]
  /** 1 for columns of which the record, or the table, says something. */
  readonly taken: Uint8Array
}

export class RowFitting {
  readonly #columns: RecordColumns

  constructor(columns: RecordColumns) {
    this.#columns = columns
  }

  /** Throws Misfit where other columns might hold the record, DataException where none do. */
  fitted(record: SinkRecord, fields: readonly Field[], rules: RowRules): FittedRow {
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
    this.putKafka(record, put)
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
    if (this.isTombstone(record)) return fitted
    ruled(fitted, fields, rules)
    for (const [i, field] of fields.entries()) {
      const isGiven = taken[i] === 0 && rules.isIdentity(field.name)
      if (!field.isNullable && row[i] === null && !isGiven) fit(field, null, field.name)
    }
    return fitted
  }

  /** Where the fields of its key are, by which its row is found. */
  #keyPlaces(record: SinkRecord, names: ColumnNames): ReadonlySet<number> {
    if (!this.#columns.isUpsert) return noPlaces
    return new Set(this.#keyParts(record).map(([name]) => names.find(name) ?? -1))
  }

  /** What is not of the value. */
  putKafka(record: SinkRecord, put: (name: string, value: unknown) => void): void {
    const { kafka } = this.#columns
    if (kafka.topic !== null) put(kafka.topic, record.originalTopic)
    if (kafka.partition !== null) put(kafka.partition, record.originalKafkaPartition)
    if (kafka.offset !== null) put(kafka.offset, record.originalKafkaOffset)
    if (kafka.timestamp !== null) put(kafka.timestamp, timestampOf(record))
    for (const [name, value] of this.#keyParts(record)) put(name, value)
    if (kafka.headers !== null) put(kafka.headers, headersOf(record))
  }

  #putValue({ value }: SinkRecord, put: (name: string, value: unknown) => void): void {
    const { valueColumn } = this.#columns
    if (valueColumn !== null) put(valueColumn, value)
    else if (value instanceof Struct || value instanceof Map) {
      for (const [name, one] of entriesOf(value, '')) put(name, one)
    } else if (value !== null && value !== undefined) {
      throw new DataException(
        `The value is no object, so that no fields of it have columns: ${this.#columns.advice.noObject}`,
      )
    }
  }

  #putDerived(
    { timestamp }: SinkRecord,
    fields: readonly Field[],
    { row, taken }: { row: Value[]; taken: Uint8Array },
  ): void {
    const names = namesOf(fields)
    for (const derived of this.#columns.partitioning.derived) {
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

  /** It only says that its key has no row any more. */
  isTombstone({ value }: SinkRecord): boolean {
    return this.#columns.isUpsert && (value === null || value === undefined)
  }

  /** What of the key has columns. */
  #keyParts(record: SinkRecord): readonly (KeyPart | readonly [string, unknown])[] {
    const { isUpsert, kafka, advice } = this.#columns
    if (kafka.key === null) return []
    return isUpsert ? keyOf(record, kafka.key, advice) : [[kafka.key, record.key]]
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

function timestampOf({ timestamp }: SinkRecord): Instant | null {
  return timestamp === null ? null : new Instant(timestamp)
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

/**
 * A table as a topic: its rows, version by version as they were committed, and then what is committed next, by whichever
 * engine. In the mode `append` each row that came is a record, and a version that changes or deletes rows fails the task;
 * in `changes` what happened to a row is in it: `_change_type` and `_commit_version`.
 *
 * The offset is a version and how many of its rows were taken: rows of a version come in one order, since neither its
 * files nor their rows ever change.
 */
import { atLeast, list, long, matching, oneOf, string } from '../../config/definition.ts'
import type { Storage } from '../../environment/storage.ts'
import type { ColumnBatch } from '../../tables/columns/column.ts'
import { timestampOf } from '../../tables/columns/text-values.ts'
import { valueAt } from '../../tables/columns/value.ts'
import { readChanges } from '../../tables/delta/changes.ts'
import { DeltaError } from '../../tables/delta/delta-error.ts'
import { versionAt } from '../../tables/delta/history.ts'
import { latestVersion, listLog } from '../../tables/delta/log-files.ts'
import { ConfigDef, key, required } from '../config-def.ts'
import { type Schema, Struct, structOf } from '../data.ts'
import { ConnectException } from '../failures.ts'
import type { Idle } from '../idle.ts'
import type { SourcePlugin, SourceTaskContext } from '../plugin.ts'
import { PolledConnector, type Poller, polledTask } from '../polled-source.ts'
import { type SourcePosition, type SourceRecord, sourceRecord } from '../records.ts'
import { connectVersion } from '../version.ts'
import type { StorageAt, TablesEnvironment } from './move-offsets.ts'
import { storageKeys, storageVariables } from './table-storage.ts'
import { RowStructs, type TimestampUnit } from './table-values.ts'

const config = new ConfigDef({
  'table.path': required(
    string(null),
    'HIGH',
    'The directory of the table, or its place in an object store: s3://bucket/prefix.',
  ),
  'kafka.topic': required(
    string(null, matching(/./, 'a non-empty string')),
    'HIGH',
    'The topic to write to.',
  ),
  'table.mode': key(
    string('append', oneOf('append', 'changes')),
    'HIGH',
    'append: rows that are added, and no others may change; changes: each change of a row, with _change_type and _commit_version.',
  ),
  'table.key.columns': key(
    list([]),
    'MEDIUM',
    'Columns that are the key: of one the value, of several a struct. Without them records have no key.',
  ),
  'table.starting.version': key(
    string('earliest', matching(/^(earliest|latest|\d{1,15})$/, 'earliest, latest or a version')),
    'MEDIUM',
    'The first version that is read; earliest: all there are; latest: those that come from now on.',
  ),
  'table.starting.timestamp': key(
    string('', matching(/^$|^\d{4}-\d\d-\d\d/, 'a date or a timestamp as ISO 8601 has them')),
    'MEDIUM',
    'In place of a version: the first that was committed at that time or behind it.',
  ),
  'table.timestamps': key(
    string('micros', oneOf('micros', 'millis')),
    'LOW',
    "micros: timestamps are numbers of microseconds (io.debezium.time.MicroTimestamp); millis: Connect's own, what is finer cut off.",
  ),
  'table.poll.interval.ms': key(
    long(1000, atLeast(1)),
    'MEDIUM',
    'How often a new version is looked for.',
  ),
  ...storageKeys,
})

const recordsMax = 1000
/** Behind the columns of the table. */
const told = ['_change_type', '_commit_version']

interface Place {
  readonly version: number
  /** Rows of it that were taken. */
  readonly rows: number
}

/** Throws ConnectException. */
function placeOf(offset: SourcePosition): Place {
  const number = (name: string): number => {
    const value = offset.get(name)
    if (typeof value === 'bigint' && value >= 0n) return Number(value)
    throw new ConnectException(`The '${name}' key of an offset is expected to be a Long from 0 on`)
  }
  return { version: number('version'), rows: number('rows') }
}

/** Rows of a version, of which some were read. */
interface Reading {
  readonly version: number
  readonly batches: AsyncGenerator<ColumnBatch>
  batch: ColumnBatch | null
  row: number
  structs: RowStructs | null
}

class TableRows implements Poller {
  readonly #idle: Idle
  readonly #context: SourceTaskContext
  readonly #config: ReturnType<typeof config.parse>
  readonly #storage: Storage
  readonly #partition: SourcePosition
  /** Null: not known yet. */
  #place: Place | null
  #reading: Reading | null = null
  #isFirst = true
  #keySchema: Schema | null = null

  constructor(storageAt: StorageAt, context: SourceTaskContext, idle: Idle) {
    this.#context = context
    this.#idle = idle
    this.#config = config.parse(context.settings)
    const path = this.#config['table.path']
    this.#storage = storageAt(path, storageVariables(this.#config))
    this.#partition = new Map([['table', path]])
    const kept = context.offset(this.#partition)
    this.#place = kept === null ? null : placeOf(kept)
  }

  async poll(): Promise<SourceRecord[] | null> {
    const records: SourceRecord[] = []
    while (records.length < recordsMax && !this.#idle.isStopped) {
      if (this.#reading === null && !(await this.#begin())) break
      const reading = this.#reading as Reading | null
      if (reading !== null) await this.#read(reading, records)
    }
    if (records.length > 0) return records
    const { environment } = this.#context
    await this.#idle.wait(environment.timers, Number(this.#config['table.poll.interval.ms']))
    return null
  }

  async close(): Promise<void> {
    await this.#reading?.batches.return(undefined)
  }

  /** Of the next version; false where there is none yet. */
  async #begin(): Promise<boolean> {
    const latest = await this.#latest()
    if (latest === null) {
      this.#expectFirst()
      return false
    }
    this.#place ??= { version: await this.#startingVersion(latest), rows: 0 }
    const { version } = this.#place
    if (version > latest) return false
    const batches = readChanges(this.#storage, version, version)
    this.#reading = { version, batches, batch: null, row: 0, structs: null }
    let left = this.#isFirst ? this.#place.rows : 0
    this.#isFirst = false
    while (left > 0) {
      const batch = await this.#nextBatch(this.#reading)
      if (batch === null) break
      this.#reading.row = Math.min(left, batch.rowCount)
      left -= this.#reading.row
    }
    return true
  }

  /** Of a table that is not there yet, all that comes is new. */
  #expectFirst(): void {
    const { 'table.starting.version': starting, 'table.starting.timestamp': time } = this.#config
    if (starting === 'latest' && time === '') this.#place ??= { version: 0, rows: 0 }
  }

  /** Null: there is no table, or nothing of the next version. */
  async #latest(): Promise<number | null> {
    try {
      return latestVersion(await listLog(this.#storage, this.#place?.version ?? 0))
    } catch (error) {
      if (error instanceof DeltaError && error.reason === 'missing') return null
      throw error
    }
  }

  async #startingVersion(latest: number): Promise<number> {
    const { 'table.starting.version': starting, 'table.starting.timestamp': time } = this.#config
    if (time !== '') {
      try {
        const millis = Number(timestampOf(time.length === 10 ? `${time}T00:00:00` : time) / 1000n)
        return (await versionAt(this.#storage, millis - 1)) + 1
      } catch (error) {
        if (error instanceof DeltaError && error.reason === 'missing') return 0
        throw error
      }
    }
    if (starting === 'latest') return latest + 1
    return starting === 'earliest' ? 0 : Number(starting)
  }

  async #nextBatch(reading: Reading): Promise<ColumnBatch | null> {
    const { value, done } = await reading.batches.next()
    reading.batch = done === true ? null : value
    reading.row = 0
    reading.structs = null
    return reading.batch
  }

  /** Some of its rows, or its end. */
  async #read(reading: Reading, records: SourceRecord[]): Promise<void> {
    const { batch } = reading
    if (batch === null || reading.row >= batch.rowCount) {
      if ((await this.#nextBatch(reading)) !== null) return
      this.#reading = null
      this.#place = { version: reading.version + 1, rows: 0 }
      return
    }
    const isAppend = this.#config['table.mode'] === 'append'
    const fields = isAppend ? batch.fields.filter(({ name }) => !told.includes(name)) : batch.fields
    reading.structs ??= new RowStructs(fields, this.#config['table.timestamps'] as TimestampUnit)
    while (reading.row < batch.rowCount && records.length < recordsMax) {
      if (isAppend) this.#refuseChange(reading, batch)
      records.push(this.#recordOf(reading.structs.at(batch, reading.row)))
      reading.row++
    }
  }

  #refuseChange({ version, row }: Reading, batch: ColumnBatch): void {
    const at = batch.fields.findIndex(({ name }) => name === told[0])
    const change = valueAt({ kind: 'string' }, batch.columns[at]!, row)
    if (change === 'insert') return
    throw new ConnectException(
      `Version ${version} of ${this.#config['table.path']} changes rows (${change}): see table.mode`,
    )
  }

  #recordOf(value: Struct): SourceRecord {
    const { version, rows } = this.#place!
    this.#place = { version, rows: rows + 1 }
    return sourceRecord({
      topic: this.#config['kafka.topic'],
      ...this.#keyOf(value),
      valueSchema: value.schema,
      value,
      timestamp: this.#context.environment.clock.now(),
      sourcePartition: this.#partition,
      sourceOffset: new Map([
        ['version', BigInt(version)],
        ['rows', BigInt(rows + 1)],
      ]),
    })
  }

  #keyOf(value: Struct): Pick<SourceRecord, 'keySchema' | 'key'> {
    const columns = this.#config['table.key.columns']
    if (columns.length === 0) return { keySchema: null, key: null }
    const schemas = columns.map((name): [string, Schema] => {
      const field = value.schema.field(name)
      if (field === undefined) throw new ConnectException(`There is no column ${name} for the key`)
      return [name, field.schema]
    })
    if (schemas.length === 1) return { keySchema: schemas[0]![1], key: value.get(columns[0]!) }
    const known = this.#keySchema?.fields.every(({ schema }, i) => schema === schemas[i]![1])
    if (known !== true) this.#keySchema = structOf(schemas)
    const struct = new Struct(this.#keySchema!)
    for (const name of columns) struct.put(name, value.get(name))
    return { keySchema: this.#keySchema, key: struct }
  }
}

export function deltaSource({ storageAt }: Pick<TablesEnvironment, 'storageAt'>): SourcePlugin {
  return {
    type: 'source',
    className: 'millrace.connect.delta.DeltaSourceConnector',
    version: connectVersion,
    config,
    connector: () =>
      new PolledConnector({
        check: (settings) => config.parse(settings),
        checkOffset: placeOf,
        hasOffsets: () => true,
      }),
    task: () => polledTask((context, idle) => new TableRows(storageAt, context, idle)),
  }
}

/**
 * A table that records land in: rows gather here, and a commit puts them and how far their partitions have come into
 * the table at once, so that after any crash the table itself says where to go on. Whoever finds at a commit that
 * another has moved a partition on, as a task that was taken for dead does, gives up its rows (`Abandoned`); they are
 * in the table already, or come again. Files of a commit that was never finished are nobody's, and left to vacuum.
 */
import type { Milliseconds } from '../../environment/environment.ts'
import { refuseReserved } from '../../tables/delta/changes.ts'
import { DeltaConflict, DeltaError } from '../../tables/delta/delta-error.ts'
import { evolvedMetadata } from '../../tables/delta/evolve.ts'
import { writerFeaturesOf } from '../../tables/delta/features.ts'
import { mergeDescription, stageMerge } from '../../tables/delta/merge.ts'
import { newTable, type TableDefinition } from '../../tables/delta/new-table.ts'
import { RowRules, rowFeatures } from '../../tables/delta/row-rules.ts'
import { readSnapshot, refreshSnapshot, type Snapshot } from '../../tables/delta/snapshot.ts'
import type { TableEnvironment } from '../../tables/delta/table-environment.ts'
import { type CommitDescription, Transaction } from '../../tables/delta/transaction.ts'
import { ConnectException } from '../failures.ts'
import type { PartitionOffset, TopicPartition } from '../plugin.ts'
import type { JsonRecord, SinkRecord } from '../records.ts'
import { nullable } from './column-types.ts'
import { conformed } from './conforming.ts'
import { keyColumnsOf, mergeSource, withKeyColumns } from './keyed-rows.ts'
import { Progress, type Reached } from './progress.ts'
import { RowBuffer, type RowSettings, type TableShape } from './rows.ts'

/** A table to which nothing is added is looked at no more often. */
const lookMsMin = 5_000

export interface LandingSettings {
  readonly connector: string
  readonly rows: RowSettings
  /** Columns of a table that is made; null: those that its first records need. */
  readonly fields: TableDefinition['fields'] | null
  readonly properties: ReadonlyMap<string, string>
  readonly mayCreate: boolean
}

/** Another's commit stands against ours: nothing was committed, and reading goes on from what the table says. */
export class Abandoned extends Error {
  override readonly name = 'Abandoned'
  /** What has to be read again. */
  readonly again: readonly PartitionOffset[]

  constructor(message: string, again: readonly PartitionOffset[], options?: ErrorOptions) {
    super(message, options)
    this.again = again
  }
}

/** Whole batches in files that nobody reads yet. They stay in memory too: a table that changes meanwhile has them anew. */
interface WrittenAhead {
  readonly transaction: Transaction
  readonly fields: TableShape['fields']
  batches: number
}

export class LandingTable {
  /** As people know it. */
  readonly location: string
  readonly #environment: TableEnvironment
  readonly #settings: LandingSettings
  readonly #rows: RowBuffer
  readonly #progress: Progress
  #snapshot: Snapshot | null
  #lookedMs: Milliseconds = Number.NEGATIVE_INFINITY
  /** Of rows that wait the first are in files already, so that a commit has the less to do. */
  #ahead: WrittenAhead | null = null

  /** Throws ConnectException where it cannot be written; DeltaError, DiskError. */
  static async open(
    location: string,
    environment: TableEnvironment,
    settings: LandingSettings,
  ): Promise<LandingTable> {
    return new LandingTable(location, environment, settings, await snapshotOf(environment))
  }

  private constructor(
    location: string,
    environment: TableEnvironment,
    settings: LandingSettings,
    snapshot: Snapshot | null,
  ) {
    this.location = location
    this.#environment = environment
    this.#settings = settings
    this.#snapshot = snapshot
    this.#progress = new Progress(settings.connector)
    this.#refuseOther(snapshot)
    this.#rows = new RowBuffer(settings.rows, this.#shapeOf(snapshot))
  }

  get rowCount(): number {
    return this.#rows.rowCount
  }

  get bytes(): number {
    return this.#rows.bytes
  }

  /** Something has come that the table does not know of. */
  get isBehind(): boolean {
    for (const { first } of this.#progress.all()) if (first !== null) return true
    return false
  }

  /** What the table has of each partition that is read. */
  get reached(): readonly Reached[] {
    return [...this.#progress.all()]
  }

  /** As it was last looked at; null: there is none. */
  get version(): number | null {
    return this.#snapshot?.version ?? null
  }

  /** Whose progress the table knows, of whatever application, as it was last looked at. */
  get appIds(): Iterable<string> {
    return this.#snapshot?.transactions.keys() ?? []
  }

  /**
   * Where to begin to read partitions that are new here: what the table says, or else `unknown`; where that is null
   * they are left out.
   */
  async begin(
    partitions: readonly TopicPartition[],
    unknown: number | null,
  ): Promise<readonly PartitionOffset[]> {
    const snapshot = await this.#latest()
    return partitions.flatMap(({ topic, partition }) => {
      const { committed } = this.#progress.begin({ topic, partition }, snapshot)
      const offset = committed ?? unknown
      return offset === null ? [] : [{ topic, partition, offset }]
    })
  }

  /** Whether the record was neither in the table nor added before. Throws DataException where it has no row. */
  add(record: SinkRecord): boolean {
    const reached = this.#reachedBy(record)
    if (record.originalKafkaOffset < reached.next) return false
    this.#rows.add(record)
    pass(reached, record.originalKafkaOffset)
    return true
  }

  /**
   * As `add`, of records of one partition whose values are yet JSON; takes the first of them, as far as they are plain,
   * and answers how many those are.
   */
  addJson({ topic, partition }: TopicPartition, records: readonly JsonRecord[]): number {
    const reached = this.#progress.of({ topic, partition }, this.#snapshot)
    for (const [taken, { record, json }] of records.entries()) {
      const offset = record.originalKafkaOffset
      if (offset < reached.next) continue
      if (!this.#rows.addJson(record, json)) return taken
      pass(reached, offset)
    }
    return records.length
  }

  /** The record was dealt with elsewhere: reading does not come back to it. */
  skip(record: SinkRecord): void {
    const reached = this.#reachedBy(record)
    if (record.originalKafkaOffset >= reached.next) pass(reached, record.originalKafkaOffset)
  }

  /**
   * All records before that were dealt with, here or before they came here, or were none: reading does not come back to
   * them. Of a partition that the table knows nothing of only where `mayBegin`.
   */
  passTo({ topic, partition, offset }: PartitionOffset, mayBegin: boolean): void {
    const reached = this.#progress.find({ topic, partition })
    if (reached === undefined || offset <= reached.next) return
    if (reached.committed === null && reached.first === null && !mayBegin) return
    pass(reached, offset - 1)
  }

  #reachedBy({ originalTopic, originalKafkaPartition }: SinkRecord): Reached {
    const partition = { topic: originalTopic, partition: originalKafkaPartition }
    return this.#progress.of(partition, this.#snapshot)
  }

  /**
   * Writes whole batches of what waits, for the commit to come. Rejects with DeltaError, DiskError where the table cannot
   * be written.
   */
  async writeAhead(): Promise<void> {
    const { sealed, fields } = this.#rows
    if (sealed.length <= (this.#ahead?.batches ?? 0)) return
    const snapshot = this.#snapshot
    // Rows of a table that is yet to be made or to be changed are written as it will be, and merged rows all at once.
    if (snapshot === null || this.#settings.rows.isUpsert) return
    if (fields !== snapshot.schema.fields) return
    this.#ahead ??= { transaction: this.#transactionOn(snapshot), fields, batches: 0 }
    const ahead = this.#ahead
    for (const { batch, silent } of sealed.slice(ahead.batches)) {
      await ahead.transaction.append(conformed(ahead.transaction.schema.fields, batch), silent)
      ahead.batches++
    }
  }

  /** What was written ahead is not to be committed; what waits is not touched. Files that cannot be removed are left to vacuum. */
  async discard(): Promise<void> {
    const ahead = this.#ahead
    this.#ahead = null
    await ahead?.transaction.discard().catch(() => null)
  }

  /** What was written ahead, where it is as it would be written now. */
  async #takeAhead(snapshot: Snapshot | null): Promise<WrittenAhead | null> {
    const ahead = this.#ahead
    if (ahead === null) return null
    const isSame = ahead.fields === this.#rows.fields
    if (!isSame || snapshot === null || !ahead.transaction.follow(snapshot)) {
      await this.discard()
      return null
    }
    this.#ahead = null
    return ahead
  }

  /**
   * Resolves when all that was added is in the table, and durable. Rejects with Abandoned; with ConnectException, DeltaError,
   * DiskError where the table cannot be written, and then how far it got the table alone knows.
   */
  async commit(): Promise<void> {
    if (!this.isBehind) return await this.#lookAgain()
    const snapshot = await this.#latest()
    this.#refuseOther(snapshot)
    await this.#refuseMoved(snapshot)
    // There is no table, and nothing to make one of: to be read again is all that is left to do.
    if (snapshot === null && this.#rows.rowCount === 0) return
    const ahead = await this.#takeAhead(snapshot)
    const transaction = ahead?.transaction ?? this.#transactionOn(snapshot)
    let description: CommitDescription
    try {
      this.#tellProgress(transaction)
      description = await this.#stageRows(transaction, ahead?.batches ?? 0)
    } catch (error) {
      await transaction.discard()
      throw error
    }
    try {
      await transaction.commit(description)
    } catch (error) {
      if (!(error instanceof DeltaConflict)) throw error
      const now = await this.#latest()
      throw await this.#abandon(now, error.message, error)
    }
    await this.#goOn()
  }

  /** Nothing is to be added, but what was may be gone: a table that was restored gets it again. */
  async #lookAgain(): Promise<void> {
    if (this.#environment.clock.monotonic() - this.#lookedMs < lookMsMin) return
    await this.#goOn()
  }

  /** From what the table says now, which may be less than was committed. */
  async #goOn(): Promise<void> {
    const again = await this.#restart(await this.#latest())
    if (again.length > 0)
      throw new Abandoned(`${this.location}: the table was set back to an older version`, again)
  }

  /** The partitions are another's now, and rows that wait are given up. Answers what has to be read again. */
  async end(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffset[]> {
    const isBehind = this.isBehind
    for (const partition of partitions) this.#progress.forget(partition)
    return isBehind ? this.#restart(await this.#latest()) : []
  }

  #transactionOn(snapshot: Snapshot | null): Transaction {
    const environment = this.#environment
    const { fields } = this.#rows
    if (snapshot === null) {
      const { properties, rows } = this.#settings
      const partitionBy = rows.partitioning.columns
      const columns = [
        ...withMetadata(fields, this.#settings.fields ?? []),
        ...absent(partitionBy, fields),
      ]
      const definition = { fields: columns, partitionBy, properties: this.#keyed(properties) }
      return Transaction.creating(environment, newTable(definition, environment))
    }
    const transaction = Transaction.on(environment, snapshot)
    let { metadata } = snapshot
    if (fields !== this.#snapshot?.schema.fields)
      metadata = evolvedMetadata(metadata, fields, environment)
    const configuration = this.#keyed(metadata.configuration)
    if (configuration !== metadata.configuration) metadata = { ...metadata, configuration }
    if (metadata !== snapshot.metadata) transaction.change({ metadata })
    return transaction
  }

  /** With the columns by which rows are found, where that is news and does not go without saying. */
  #keyed(configuration: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const { keys, fields } = this.#rows
    const whole = this.#settings.rows.kafka.key
    if (!this.#settings.rows.isUpsert || keys === null || whole === null) return configuration
    const isSaid = keyColumnsOf(configuration, fields, whole) !== null
    return isSaid ? configuration : withKeyColumns(configuration, keys)
  }

  /** All of them, though they have not moved: engines forget what was not said for long. */
  #tellProgress(transaction: Transaction): void {
    for (const reached of this.#progress.all()) {
      if (reached.first === null && reached.committed === null) continue
      transaction.progress(this.#progress.appId(reached), BigInt(reached.next))
    }
  }

  /** Those behind so many batches. Answers what the table's history is to say of them. */
  async #stageRows(transaction: Transaction, behind: number): Promise<CommitDescription> {
    const { connector, rows } = this.#settings
    const { fields } = transaction.schema
    const batches = this.#rows.batches()
    const on = this.#rows.keys
    if (rows.isUpsert && on !== null && batches.length > 0) {
      const source = mergeSource(batches, this.#rows.deleted, { fields, on })
      return mergeDescription(source, await stageMerge(this.#environment, transaction, source))
    }
    for (const { batch, silent } of batches.slice(behind)) {
      await transaction.append(conformed(fields, batch), silent)
    }
    const outputMode = rows.isUpsert ? 'Update' : 'Append'
    return { operation: 'STREAMING UPDATE', parameters: { outputMode, queryId: connector } }
  }

  async #latest(): Promise<Snapshot | null> {
    const { storage, clock } = this.#environment
    this.#lookedMs = clock.monotonic()
    if (this.#snapshot === null) return snapshotOf(this.#environment)
    return refreshSnapshot(storage, this.#snapshot).catch(noTable)
  }

  async #restart(snapshot: Snapshot | null): Promise<readonly PartitionOffset[]> {
    await this.discard()
    this.#refuseOther(snapshot)
    this.#snapshot = snapshot
    const again = this.#progress.restart(snapshot)
    this.#rows.restart(this.#shapeOf(snapshot))
    return again
  }

  /** Columns that others have changed may not be those that rows were made for. */
  async #refuseMoved(snapshot: Snapshot | null): Promise<void> {
    const other = this.#progress.overtaken(snapshot)
    if (other !== undefined) {
      const { topic, partition } = other
      const message = `another task has moved partition ${partition} of ${topic} on in the table`
      throw await this.#abandon(snapshot, message)
    }
    const before = this.#snapshot?.metadata
    const now = snapshot?.metadata
    if (
      before?.schemaString !== now?.schemaString ||
      before?.partitionColumns.join() !== now?.partitionColumns.join()
    ) {
      throw await this.#abandon(snapshot, 'the columns of the table have been changed')
    }
  }

  async #abandon(snapshot: Snapshot | null, message: string, cause?: unknown): Promise<Abandoned> {
    const again = await this.#restart(snapshot)
    return new Abandoned(`${this.location}: ${message}`, again, { cause })
  }

  /** Throws ConnectException for a table in the place of the one that was written. */
  #refuseOther(snapshot: Snapshot | null): void {
    const was = this.#snapshot?.metadata.id
    if (was !== undefined && was !== snapshot?.metadata.id) {
      throw new ConnectException(
        `${this.location}: the table is gone, or another is in its place: ${this.#settings.rows.advice.gone}`,
      )
    }
    const { mayCreate, rows } = this.#settings
    if (snapshot === null) {
      if (mayCreate) return
      throw new ConnectException(`${this.location}: there is no table, and table.create is false`)
    }
    const { columns } = rows.partitioning
    const inTable = snapshot.metadata.partitionColumns
    if (columns.length > 0 && columns.join() !== inTable.join()) {
      throw new ConnectException(
        `${this.location} is partitioned by (${inTable.join(', ')}), not as table.partition.by says`,
      )
    }
  }

  #shapeOf(snapshot: Snapshot | null): TableShape {
    const { properties, fields, rows } = this.#settings
    const configuration = snapshot?.metadata.configuration ?? properties
    const isMapped = (configuration.get('delta.columnMapping.mode') ?? 'none') !== 'none'
    const features = snapshot === null ? rowFeatures : writerFeaturesOf(snapshot.protocol)
    const now = this.#environment.clock.now()
    const rulesOf = (those: TableShape['fields']): RowRules => {
      refuseReserved(those, configuration)
      return new RowRules({ fields: those, configuration, features, now })
    }
    const partitionBy = snapshot?.metadata.partitionColumns ?? rows.partitioning.columns
    const known = { isMapped, rulesOf, partitionBy }
    if (snapshot === null) {
      const given = fields ?? []
      const still = { mayWiden: false, isNew: true, mayHaveNtz: true, keys: null }
      return { fields: given, kept: given, ...still, ...known }
    }
    const mayWiden =
      rows.evolution === 'widen' &&
      configuration.get('delta.enableTypeWidening') === 'true' &&
      features.includes('typeWidening')
    const mayHaveNtz = features.includes('timestampNtz')
    const { fields: inTable } = snapshot.schema
    const { isUpsert, kafka } = rows
    const keys =
      isUpsert && kafka.key !== null ? keyColumnsOf(configuration, inTable, kafka.key) : null
    const shown = { isNew: false, mayHaveNtz, keys }
    return { fields: inTable, kept: inTable, mayWiden, ...shown, ...known }
  }
}

function pass(reached: Reached, offset: number): void {
  reached.first ??= offset
  reached.next = offset + 1
}

/** Columns as they were given, with what was said of them besides. */
function withMetadata(
  fields: TableShape['fields'],
  given: TableDefinition['fields'],
): TableDefinition['fields'] {
  return fields.map((field) => {
    const metadata = given.find(({ name }) => name === field.name)?.metadata
    return metadata === undefined ? field : { ...field, metadata }
  })
}

/** Columns to partition by that no record has shown: they are text. */
function absent(names: readonly string[], fields: TableShape['fields']): TableShape['fields'] {
  const isThere = (name: string) => fields.some((field) => field.name === name)
  return names.flatMap((name) => (isThere(name) ? [] : [nullable(name, { kind: 'string' })]))
}

/** Null: there is no table. */
export async function snapshotOf({ storage }: TableEnvironment): Promise<Snapshot | null> {
  return readSnapshot(storage).catch(noTable)
}

function noTable(error: unknown): null {
  if (error instanceof DeltaError && error.reason === 'missing') return null
  throw error
}

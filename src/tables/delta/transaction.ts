/**
 * A change of a table, in one commit or not at all:
 *
 *     const transaction = Transaction.on(environment, await readSnapshot(storage))
 *     await transaction.append(batch)
 *     transaction.progress('sink/orders/0', 4711n)
 *     const { version } = await transaction.commit({ operation: 'WRITE', parameters: { mode: 'Append' } })
 *
 * Rows go to data files that nobody reads before the commit names them. What has been read of the table is told
 * to `reads`, so that another writer's commit that would have changed it is a conflict; who tells nothing appends
 * blindly. A transaction that is not committed is discarded.
 */
import type { ColumnBatch } from '../columns/column.ts'
import { type Json, jsonText, parseJson } from '../columns/exact-json.ts'
import type { Action, AddAction, FileAction, MetadataAction, ProtocolAction } from './actions.ts'
import { changesDirectory, changeType, refuseReserved } from './changes.ts'
import { writeCheckpoint } from './checkpoint-writer.ts'
import { commitActions } from './commit.ts'
import { CommitNumbers } from './commit-numbers.ts'
import { type Isolation, nothingRead, type ReadSet } from './conflicts.ts'
import { DataWriter, randomUuid } from './data-writer.ts'
import { VectorWriter } from './deletion-vector.ts'
import { DeltaError, invalid, unsupported } from './delta-error.ts'
import { refuseWriting, writerFeaturesOf } from './features.ts'
import { identityTag, withHighWaterMarks } from './identity.ts'
import { cleanUpLog } from './log-cleanup.ts'
import type { NewTable } from './new-table.ts'
import { checkpointInterval } from './properties.ts'
import type { RowBitmapBuilder } from './row-bitmap.ts'
import { RowRules } from './row-rules.ts'
import { preservedTag, RowTracking } from './row-tracking.ts'
import { scanFiles } from './scan.ts'
import { readTableSchema, type TableField, type TableSchema } from './schema.ts'
import { noneSilent, type Silent } from './silent-rows.ts'
import { readSnapshot, refreshSnapshot, type Snapshot } from './snapshot.ts'
import { looseStats, noStats, statsChoice } from './stats.ts'
import type { TableEnvironment } from './table-environment.ts'

const engineInfo = 'Millrace/0.1.0'
const noFailure = { checkpointFailure: null, cleanupFailure: null }

export interface CommitDescription {
  /** As Delta names it: `WRITE`, `DELETE`, `OPTIMIZE`, … */
  readonly operation: string
  readonly parameters?: { readonly [name: string]: string }
  readonly metrics?: { readonly [name: string]: number }
  /** `Serializable` unless given; a commit that changes no rows has `Snapshot`. */
  readonly isolation?: Isolation
}

export interface Committed {
  readonly version: number
  /** Files added, and rows in those that were written here. */
  readonly files: number
  readonly rows: number
  /** Why no checkpoint was written where one was due. The commit holds without it. */
  readonly checkpointFailure: Error | null
  /** Why the log was not cleaned up of what is too old, where that was due. */
  readonly cleanupFailure: Error | null
}

export interface StagingOptions {
  /** False where rows are only put into other files. */
  readonly dataChange?: boolean
  /** A file ends when it has about so many. */
  readonly fileBytes?: number
}

export class Transaction {
  /** What has been read of it. */
  reads: ReadSet = nothingRead
  readonly #environment: TableEnvironment
  readonly #staging: StagingOptions
  #snapshot: Snapshot | null
  #protocol: ProtocolAction
  #metadata: MetadataAction
  #schema: TableSchema
  #changesMetadata: boolean
  #changesProtocol: boolean
  #tracking: RowTracking | null
  #rules: RowRules | null = null
  /** Of new rows, and of those that are known by what they take along. */
  #writer: DataWriter | null = null
  #tracked: DataWriter | null = null
  #changes: DataWriter | null = null
  #vectors: VectorWriter | null = null
  readonly #others: Action[] = []
  readonly #progress = new Map<string, bigint>()

  private constructor(
    environment: TableEnvironment,
    snapshot: Snapshot | null,
    { protocol, metadata }: NewTable,
    staging: StagingOptions,
  ) {
    this.#environment = environment
    this.#snapshot = snapshot
    this.#staging = staging
    this.#protocol = protocol
    this.#metadata = metadata
    this.#schema = readTableSchema(metadata)
    this.#tracking = RowTracking.of(metadata)
    this.#changesProtocol = this.#changesMetadata = snapshot === null
    this.#refuse()
  }

  /** Changes a table. Throws DeltaError where it asks more of writers than is done here. */
  static on(
    environment: TableEnvironment,
    snapshot: Snapshot,
    staging: StagingOptions = {},
  ): Transaction {
    return new Transaction(environment, snapshot, snapshot, staging)
  }

  /** Makes a table where there is none. */
  static creating(
    environment: TableEnvironment,
    table: NewTable,
    staging: StagingOptions = {},
  ): Transaction {
    return new Transaction(environment, null, table, staging)
  }

  /** What the table was like; `null`: there was none. */
  get snapshot(): Snapshot | null {
    return this.#snapshot
  }

  /**
   * Goes on from a newer version, whose commits are so no conflict: whoever says this has seen what they did. Answers
   * whether it may: rows that were appended are as the table wants them now too, and nothing of it was read or removed.
   */
  follow(snapshot: Snapshot): boolean {
    const before = this.#snapshot
    const isSame = before?.metadata === snapshot.metadata && before.protocol === snapshot.protocol
    if (!isSame || this.reads !== nothingRead || this.#others.length > 0) return false
    this.#snapshot = snapshot
    return true
  }

  /** The table's columns, as they are behind this transaction. */
  get schema(): TableSchema {
    return this.#schema
  }

  /** The table's properties, as they are behind this transaction. */
  get metadata(): MetadataAction {
    return this.#metadata
  }

  /** What new and changed rows have to be like. Throws DeltaError where that is not known here. */
  get rules(): RowRules {
    this.#rules ??= new RowRules({
      fields: this.#schema.fields,
      configuration: this.#metadata.configuration,
      features: writerFeaturesOf(this.#protocol),
      now: this.#environment.clock.now(),
    })
    return this.#rules
  }

  /** What rows take along that are written to another file; `null` where that is nothing. */
  get tracking(): RowTracking | null {
    return this.#tracking
  }

  /** Whether rows are deleted by vectors, and files stay. */
  get writesVectors(): boolean {
    return (
      this.#metadata.configuration.get('delta.enableDeletionVectors') === 'true' &&
      writerFeaturesOf(this.#protocol).includes('deletionVectors')
    )
  }

  /** All of the table was read: whatever rows another adds or removes are a conflict. */
  readAll(): void {
    const files = this.snapshot?.files.values() ?? []
    this.reads = { mayMatch: () => true, paths: new Set([...files].map(({ path }) => path)) }
  }

  /** Where an application had come to; `null`: it is not known here. */
  progressOf(appId: string): bigint | null {
    return this.snapshot?.transactions.get(appId)?.version ?? null
  }

  /** Remembers in the same commit where an application has come to. Another's commit of it meanwhile is a conflict. */
  progress(appId: string, version: bigint): void {
    this.#progress.set(appId, version)
  }

  /**
   * Other columns, properties or features for the table. Rows that follow are of its columns; none may have been
   * appended before.
   */
  change({ protocol, metadata }: Partial<NewTable>): void {
    if (this.#writer !== null || this.#tracked !== null) {
      throw new RangeError('Rows were appended to the columns before')
    }
    this.#changesProtocol ||= protocol !== undefined
    this.#changesMetadata ||= metadata !== undefined
    this.#protocol = protocol ?? this.#protocol
    this.#metadata = metadata ?? this.#metadata
    this.#schema = readTableSchema(this.#metadata)
    this.#tracking = RowTracking.of(this.#metadata)
    this.#rules = null
    this.#refuse()
  }

  #refuse(): void {
    refuseWriting(this.#protocol, this.#metadata)
    refuseReserved(this.#schema.fields, this.#metadata.configuration)
  }

  /**
   * New rows, as they are written: with a value in columns that have one of their own where rows say nothing of
   * them. Columns are found by name; one that the batch lacks is silent in all rows. Rejects with DeltaError for a row
   * that is none of the table's.
   */
  async append(batch: ColumnBatch, silent: Silent = noneSilent): Promise<ColumnBatch> {
    const rows = this.rules.inserted(batch, silent)
    this.#writer ??= this.#dataWriter()
    await this.#writer.append(rows)
    return rows
  }

  /** The live rows of some of the table's files, with what they take along. */
  scan(files: Iterable<AddAction>): AsyncGenerator<ColumnBatch> {
    const { storage } = this.#environment
    const schema = this.#schema
    return this.#tracking?.scan(storage, schema, files) ?? scanFiles(storage, { schema }, files)
  }

  /** Rows of `scan`, for other files: as they were, or as they are known to fit. Each group has its own files. */
  async write(batch: ColumnBatch, group = 0): Promise<void> {
    if (this.#tracking === null) {
      this.#writer ??= this.#dataWriter()
      return this.#writer.append(batch, group)
    }
    this.#tracked ??= this.#dataWriter(this.#tracking.fields)
    return this.#tracked.append(batch, group)
  }

  /** What is written afterwards goes to other files. */
  async endFiles(): Promise<void> {
    await this.#writer?.endFiles()
    await this.#tracked?.endFiles()
  }

  #dataWriter(hidden: readonly TableField[] = []): DataWriter {
    const clustering = clusteringColumns(this.snapshot)
    const saysTight = writerFeaturesOf(this.#protocol).includes('deletionVectors')
    return new DataWriter(this.#environment, this.#schema, {
      ...this.#staging,
      hidden,
      stats: statsChoice(this.#metadata.configuration, { clustering, saysTight }),
    })
  }

  /**
   * Rows for the change feed, each with what happened to it (`changesBatch`). If a commit tells some changes so, it has
   * to tell all.
   */
  async tell(batch: ColumnBatch): Promise<void> {
    const schema = { ...this.#schema, fields: [...this.#schema.fields, changeType] }
    this.#changes ??= new DataWriter(this.#environment, schema, {
      stats: noStats,
      directory: `${changesDirectory}/`,
    })
    await this.#changes.append(batch)
  }

  /** Of a file in the snapshot, which stays with all rows deleted that the vector names; those that were before too. */
  async removeRows(file: AddAction, rows: RowBitmapBuilder, rowCount: number): Promise<void> {
    this.#vectors ??= await VectorWriter.create(this.#environment)
    const deletionVector = await this.#vectors.add(rows)
    this.remove(file, true)
    this.add({ ...file, deletionVector, dataChange: true, stats: looseStats(file, rowCount) })
  }

  /** A file that lies there already: one restored, or changed but for its rows. */
  add(file: AddAction): void {
    this.#others.push({ kind: 'add', add: file })
  }

  /** Of a file in the snapshot. */
  remove(file: FileAction, dataChange: boolean): void {
    if (dataChange && this.#metadata.configuration.get('delta.appendOnly') === 'true') {
      throw unsupported('the table is append-only (delta.appendOnly): no rows are removed from it')
    }
    const { path, partitionValues, size, tags, deletionVector } = file
    const { baseRowId, defaultRowCommitVersion } = file
    this.#others.push({
      kind: 'remove',
      remove: {
        ...{ path, partitionValues, size, tags, deletionVector, baseRowId },
        ...{ defaultRowCommitVersion, dataChange, extendedFileMetadata: true },
        deletionTimestamp: this.#environment.clock.now(),
      },
    })
  }

  /**
   * Resolves when the commit is durable. Rejects with DeltaConflict, DeltaError, DiskError; then nothing is committed and
   * what was staged is discarded, but where the error's reason is `uncertain`.
   */
  async commit(description: CommitDescription): Promise<Committed> {
    try {
      return await this.#commit(description)
    } catch (error) {
      const isUncertain = error instanceof DeltaError && error.reason === 'uncertain'
      // Files that cannot be removed are left to vacuum: what counts is why nothing was committed.
      if (!isUncertain) await Promise.allSettled([this.discard()])
      throw error
    }
  }

  /** Removes the files that were staged. */
  async discard(): Promise<void> {
    const [writer, tracked] = [this.#writer, this.#tracked]
    const [changes, vectors] = [this.#changes, this.#vectors]
    this.#forgetStaged()
    await writer?.discard()
    await tracked?.discard()
    await changes?.discard()
    await vectors?.discard()
  }

  async #commit(description: CommitDescription): Promise<Committed> {
    const staged = [
      ...((await this.#tracked?.finish()) ?? []),
      ...((await this.#writer?.finish()) ?? []),
    ]
    const changes = (await this.#changes?.finish()) ?? []
    await this.#vectors?.finish()
    const now = this.#environment.clock.now()
    const actions: Action[] = []
    if (this.#changesProtocol) actions.push({ kind: 'protocol', protocol: this.#protocol })
    const tags = {
      ...this.#keepHighWaterMarks(),
      ...(this.#tracking === null ? {} : { [preservedTag]: 'true' }),
    }
    if (this.#changesMetadata) actions.push({ kind: 'metaData', metaData: this.#metadata })
    for (const [appId, version] of this.#progress) {
      actions.push({ kind: 'txn', txn: { appId, version, lastUpdated: now } })
    }
    for (const other of this.#others) actions.push(other)
    for (const add of staged) actions.push({ kind: 'add', add })
    for (const cdc of changes) actions.push({ kind: 'cdc', cdc })
    if (actions.length === 0) throw invalid('a transaction without anything in it')
    const isolation = this.#isolation(actions, description)
    const features = writerFeaturesOf(this.#protocol)
    const rows = (this.#writer?.rowCount ?? 0) + (this.#tracked?.rowCount ?? 0)
    const version = await commitActions(this.#environment, {
      actions,
      reads: this.reads,
      isolation,
      readVersion: this.snapshot?.version ?? -1,
      numbers: new CommitNumbers(this.snapshot, this.#metadata.configuration, features),
      commitInfo: {
        operation: description.operation,
        operationParameters: { ...description.parameters },
        ...(this.snapshot === null ? {} : { readVersion: this.snapshot.version }),
        isolationLevel: isolation === 'Snapshot' ? 'SnapshotIsolation' : isolation,
        isBlindAppend: this.#isBlindAppend(actions),
        operationMetrics: metricsOf(description, staged, rows),
        engineInfo,
        ...(Object.keys(tags).length === 0 ? {} : { tags }),
        txnId: randomUuid(this.#environment.random),
      },
    })
    this.#forgetStaged()
    const failures = await this.#checkpointIfDue(version)
    return { version, files: staged.length, rows, ...failures }
  }

  /** Puts how far rows were numbered into the metadata. Answers what is said of a commit that changes nothing else in it. */
  #keepHighWaterMarks(): { [tag: string]: Json } {
    const marks = this.#rules?.highWaterMarks ?? new Map<string, bigint>()
    if (marks.size === 0) return {}
    const isOnly = !this.#changesMetadata
    this.#metadata = withHighWaterMarks(this.#metadata, marks)
    this.#changesMetadata = true
    return isOnly ? { [identityTag]: 'true' } : {}
  }

  #forgetStaged(): void {
    this.#writer = this.#tracked = this.#changes = this.#vectors = null
  }

  /** Behind a checkpoint the log need not have all that came before it. */
  async #checkpointIfDue(
    version: number,
  ): Promise<Pick<Committed, 'checkpointFailure' | 'cleanupFailure'>> {
    let written: Snapshot | null = null
    try {
      const interval = checkpointInterval(this.#metadata.configuration)
      if (version === 0 || version % interval !== 0) return noFailure
      const { storage } = this.#environment
      const now = this.snapshot === null ? null : await refreshSnapshot(storage, this.snapshot)
      written = now?.version === version ? now : await readSnapshot(storage, version)
      await writeCheckpoint(this.#environment, written)
    } catch (error) {
      return { checkpointFailure: error as Error, cleanupFailure: null }
    }
    try {
      await cleanUpLog(this.#environment, written)
      return noFailure
    } catch (error) {
      return { checkpointFailure: null, cleanupFailure: error as Error }
    }
  }

  #isolation(actions: readonly Action[], { isolation }: CommitDescription): Isolation {
    const changesRows = actions.some(
      (action) =>
        (action.kind === 'add' && action.add.dataChange) ||
        (action.kind === 'remove' && action.remove.dataChange),
    )
    if (!changesRows && !this.#changesMetadata) return 'Snapshot'
    return isolation ?? 'Serializable'
  }

  #isBlindAppend(actions: readonly Action[]): boolean {
    return (
      this.reads.mayMatch === null &&
      this.reads.paths.size === 0 &&
      actions.every(({ kind }) => kind !== 'remove') &&
      actions.some(({ kind }) => kind === 'add')
    )
  }
}

function metricsOf(
  { metrics = {} }: CommitDescription,
  staged: readonly AddAction[],
  rows: number,
): Json {
  const bytes = staged.reduce((sum, { size }) => sum + size, 0)
  const all = { numFiles: staged.length, numOutputRows: rows, numOutputBytes: bytes, ...metrics }
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, String(value)]))
}

/** Paths of physical names; those of a table that others cluster. */
function clusteringColumns(snapshot: Snapshot | null): string[][] {
  const domain = snapshot?.domains.get('delta.clustering')
  if (domain === undefined) return []
  let json: Json
  try {
    json = parseJson(domain.configuration)
  } catch (error) {
    throw invalid(`domain delta.clustering: ${(error as Error).message}`, { cause: error })
  }
  const columns = (json as { clusteringColumns?: Json } | null)?.clusteringColumns
  const isPaths =
    Array.isArray(columns) &&
    columns.every((path) => Array.isArray(path) && path.every((name) => typeof name === 'string'))
  if (!isPaths) throw invalid(`domain delta.clustering: ${jsonText(json).slice(0, 100)}`)
  return columns as string[][]
}

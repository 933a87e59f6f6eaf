/**
 * What a connector is: the contract between the runtime and whoever moves data. The life cycle and its
 * promises are Kafka Connect's.
 *
 * A connector is told its settings, divides the work into the settings of tasks, and watches; tasks move
 * records, each by itself. A sink task is given its partitions (`open`), records (`put`), and asked before
 * its offsets are committed (`preCommit`, whose default is `flush`): what it has not made safe by then it
 * leaves out of the answer, and is given again after a restart. A source task is polled; `commitRecord`
 * tells it what has arrived in Kafka, `commit` that its offsets are kept.
 *
 * All of it may be asynchronous. Whatever is thrown fails the task, or the connector, and is told in its
 * status; RetriableException alone says: the same again, later.
 */
import type { Environment, Logger, Milliseconds } from '../environment/environment.ts'
import type { ConfigDef, ConfigValue, Settings } from './config-def.ts'
import type {
  ConnectRecord,
  JsonRecord,
  SinkRecord,
  SourcePosition,
  SourceRecord,
} from './records.ts'

export type Awaitable<T> = T | Promise<T>

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** The offset of the next record to read. */
export interface PartitionOffset extends TopicPartition {
  readonly offset: number
}

export interface ConnectorContext {
  readonly environment: Environment
  readonly log: Logger
  /** The division of the work has changed: `taskConfigs` is asked anew. */
  requestTaskReconfiguration(): void
  /** The connector cannot go on; its status becomes FAILED. */
  raiseError(error: Error): void
}

export interface Connector {
  start(settings: Settings, context: ConnectorContext): Awaitable<void>
  /** One set of settings for each task, at most `tasksMax`. */
  taskConfigs(tasksMax: number): Awaitable<readonly Settings[]>
  stop?(): Awaitable<void>
  /** What is wrong beyond the types of single settings; starts from what the table says. */
  validate?(settings: Settings, values: readonly ConfigValue[]): Awaitable<readonly ConfigValue[]>
}

export interface SinkConnector extends Connector {
  /** Throws to refuse what `alterOffsets` could not do, before anything is changed. */
  checkOffsets?(
    settings: Settings,
    offsets: readonly (TopicPartition & { readonly offset: number | null })[],
  ): Awaitable<void>
  /**
   * May move offsets kept elsewhere, when those of the group have been moved; false: there are none. A null offset is
   * a reset, which names all partitions there are: it may be one that was cut short, of which the group knows nothing.
   */
  alterOffsets?(
    settings: Settings,
    offsets: readonly (TopicPartition & { readonly offset: number | null })[],
  ): Awaitable<boolean>
}

/** Null: the connector does not say. */
export type Support = 'SUPPORTED' | 'UNSUPPORTED' | null

export interface SourceConnector extends Connector {
  /**
   * Whether with these settings each record of the source is there once for readers of committed records: its tasks go on
   * exactly behind the offset that they are given, and never share a part of the source (KIP-618).
   */
  exactlyOnceSupport?(settings: Settings): Support
  /** Whether its tasks end their transactions themselves; not, unless it says so. */
  canDefineTransactionBoundaries?(settings: Settings): Support
  alterOffsets?(
    settings: Settings,
    offsets: readonly (readonly [SourcePosition, SourcePosition | null])[],
  ): Awaitable<boolean>
}

/** Takes records that were refused, instead of failing the task (KIP-610). */
export interface ErrantRecordReporter {
  /** Resolves when the record is in the dead letter queue. Throws where errors are not tolerated. */
  report(record: SinkRecord, error: Error): Promise<void>
}

export interface SinkTaskContext {
  readonly environment: Environment
  readonly log: Logger
  readonly settings: Settings
  assignment(): readonly TopicPartition[]
  /** Go on from these offsets: for sinks that keep offsets with their data. */
  offset(offsets: readonly PartitionOffset[]): void
  pause(...partitions: TopicPartition[]): void
  resume(...partitions: TopicPartition[]): void
  /** After a RetriableException: try again after so long. */
  timeout(timeoutMs: Milliseconds): void
  /** Commit soon, without waiting for the interval. */
  requestCommit(): void
  /** Null where neither a dead letter queue nor a log of errors is asked for. */
  readonly errantRecordReporter: ErrantRecordReporter | null
}

export interface SinkTask {
  start(settings: Settings, context: SinkTaskContext): Awaitable<void>
  open?(partitions: readonly TopicPartition[]): Awaitable<void>
  /**
   * Before `put`, and where nothing waits for that: records of one partition whose values are JSON without schemas, and
   * which no transformation changes. Takes as many of the first as it can do without Connect's data, and answers how
   * many; the others are converted and put.
   */
  takeJson?(partition: TopicPartition, records: readonly JsonRecord[]): number
  put(records: readonly SinkRecord[]): Awaitable<void>
  /** Makes all that was put safe. */
  flush?(offsets: readonly PartitionOffset[]): Awaitable<void>
  /** The offsets that may be committed; none: nothing yet. */
  preCommit?(offsets: readonly PartitionOffset[]): Awaitable<readonly PartitionOffset[]>
  close?(partitions: readonly TopicPartition[]): Awaitable<void>
  stop?(): Awaitable<void>
}

export interface SourceTaskContext {
  readonly environment: Environment
  readonly log: Logger
  readonly settings: Settings
  /** What was kept for a part of the source; null: nothing. */
  offset(partition: SourcePosition): SourcePosition | null
  /** Null unless transaction.boundary is connector. */
  readonly transactionContext: TransactionContext | null
}

/**
 * How a task ends its transactions: behind a record that it is about to return, or behind all that it returns next. What
 * is aborted is left out, and does not come again.
 */
export interface TransactionContext {
  commitTransaction(record?: SourceRecord): void
  abortTransaction(record?: SourceRecord): void
}

export interface SourceTask {
  start(settings: Settings, context: SourceTaskContext): Awaitable<void>
  /** New records, or null where there are none; then it should have waited a little. */
  poll(): Awaitable<readonly SourceRecord[] | null>
  /** All offsets up to here are kept. */
  commit?(): Awaitable<void>
  /** `offset` is null where the record was dropped. */
  commitRecord?(record: SourceRecord, written: PartitionOffset | null): Awaitable<void>
  /** Ends a `start` or a `poll` that waits. A task that was not started is not stopped either. */
  stop?(): Awaitable<void>
}

interface PluginBase {
  /** The name by which Kafka knows it; `FileStreamSink` stands for `….FileStreamSinkConnector`. */
  readonly className: string
  readonly version: string
  readonly config: ConfigDef
}

export interface SinkPlugin extends PluginBase {
  readonly type: 'sink'
  readonly connector: () => SinkConnector
  readonly task: () => SinkTask
}

export interface SourcePlugin extends PluginBase {
  readonly type: 'source'
  /** Settings that count for its tasks where the connector says nothing, whatever the worker has. */
  readonly presets?: Settings
  readonly connector: () => SourceConnector
  readonly task: () => SourceTask
}

export type ConnectorPlugin = SinkPlugin | SourcePlugin

/** Null drops the record. Throws DataException. */
export type Transform = <R extends ConnectRecord>(record: R) => R | null

export interface TransformationPlugin extends PluginBase {
  readonly type: 'transformation'
  /** Throws ConfigError. */
  readonly create: (settings: Settings) => Transform
}

export interface PredicatePlugin extends PluginBase {
  readonly type: 'predicate'
  /** Throws ConfigError. */
  readonly create: (settings: Settings) => (record: ConnectRecord) => boolean
}

/**
 * What a coordinator brings to the runtime, what it gets from it, and the log under both.
 */
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { Compression } from '../../protocol/records/compression/compression.ts'
import { DiskError } from '../environment/disk.ts'
import type { Environment, Logger, Milliseconds } from '../environment/environment.ts'
import type { Deadline } from './deadlines.ts'
import type { Timeline } from './timeline.ts'

/** One partition of an internal topic, led by this broker. */
export interface CoordinatorLog {
  /** Nothing is there to be read; false also where that is to be found out on the disk first. */
  readonly isEmpty: boolean
  /** Offset of the first record kept. */
  readonly logStartOffset: number
  /** Where the next record goes; everything before it is there to be read. */
  readonly logEndOffset: number
  /** The largest batch that the partition takes, in bytes (its max.message.bytes). */
  readonly batchBytesMax: number
  /**
   * Whole batches from the one that holds `offset` on, as many as the log likes to give at once;
   * empty at the end of the log. Rejects with KafkaError CORRUPT_MESSAGE where damage comes first.
   */
  read(offset: number): Buffer | Promise<Buffer>
  /** The offset behind the damage that a read of `offset` met; `offset` where that is not known. */
  endOfDamage(offset: number): number
  /**
   * Appends one batch (base offset and leader epoch are still to be set) and resolves when it is
   * committed. Throws, or rejects with `KafkaError` or `DiskError`, if the batch is not in the log.
   */
  append(batch: Buffer, verification?: Verification): Promise<unknown>
  /**
   * As `append`, for the marker that ends a transaction; throws also INVALID_PRODUCER_EPOCH and
   * TRANSACTION_COORDINATOR_FENCED.
   */
  appendMarker(end: EndOfTransaction, timestamp: Milliseconds): Promise<unknown>
}

/**
 * What a partition gave out when it was asked whether a transaction is known there: it stands until the
 * transaction ends. Null where it was open already; undefined where transactions are not verified.
 */
export type Verification = object | null | undefined

/** Whose transaction records are a part of. */
export interface RecordProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly verification: Verification
}

/** The end of a producer's transaction in one partition. */
export interface EndOfTransaction {
  readonly producerId: number
  readonly producerEpoch: number
  /** Leader epoch of the partition of __transaction_state that decided. */
  readonly coordinatorEpoch: number
  readonly isCommit: boolean
  readonly transactionVersion: number
}

/** What a request decided. */
export interface Decision<R, T> {
  /** Applied in order, and written atomically unless `isAtomic` is false. */
  readonly records: readonly R[]
  readonly reply: T
  /** False where the records do not depend on each other and may be spread over several batches. */
  readonly isAtomic?: boolean
  /** Runs when the records are committed, just before the reply leaves. */
  readonly onCommitted?: () => void
  /** Runs instead when the log refused the records, after they were taken back. */
  readonly onFailed?: (error: ErrorRow) => void
}

/** The state of one shard. */
export interface Shard<R> {
  /**
   * The only place where recorded state changes; every change is noted in the shard's timeline. The
   * record lies in the log at `atLeastOffset` or behind.
   */
  apply(record: R, atLeastOffset: number): void
  /**
   * As `apply`, for a record of a transaction that is open: it counts once the transaction commits. Absent
   * in shards whose records are never part of one.
   */
  applyInTransaction?(record: R, producerId: number): void
  /** As `apply`, for a marker. */
  endTransaction?(producerId: number, isCommit: boolean): void
  /** The whole partition was applied: what is not recorded (sessions, timers) starts now. */
  onLoaded(): void
  /** The shard ends here: whoever waits in it is answered with `error`. */
  onUnloaded(error: ErrorRow): void
}

/** What a shard may use. */
export interface ShardContext<R> {
  readonly partition: number
  /** Since when this broker leads the partition. */
  readonly leaderEpoch: number
  readonly timeline: Timeline
  readonly environment: Environment
  readonly log: Logger
  /** A deadline, not set yet; when it passes, `decide` runs as a write of its own. */
  deadline(decide: (nowMs: Milliseconds) => Decision<R, void>): Deadline
  /** Runs `decide` as a write; failures are logged. */
  write(decide: (nowMs: Milliseconds) => Decision<R, void>): void
}

/** A record in the bytes of its batch. A length of -1 is null. */
export interface StoredRecord {
  readonly bytes: Buffer
  readonly keyAt: number
  readonly keyLength: number
  readonly valueAt: number
  readonly valueLength: number
}

/** What tells one coordinator from another: its state, and its records' bytes. */
export interface ShardKind<S extends Shard<R>, R> {
  /** For log lines. */
  readonly name: string
  /** The internal topic in whose partitions the records are. */
  readonly topic: string
  create(context: ShardContext<R>): S
  encode(record: R): { key: Buffer; value: Buffer | null }
  /**
   * Null where the key is of a kind that this coordinator does not know: the record is skipped. What it
   * becomes must not refer to the bytes once it is applied: their memory is used again.
   */
  decode(key: Buffer, value: Buffer | null): R | null
  /**
   * As `decode`, for records of which there may be millions, where they lie; undefined for all others. May be
   * absent.
   */
  decodeInPlace?(record: StoredRecord): R | undefined
  /**
   * Milliseconds after which a reply gives up waiting for its records (offsets.commit.timeout.ms).
   */
  commitTimeoutMs(): Milliseconds
  /** Of the batches written. */
  compression(): Compression
}

/** What a client is told when the log failed for the reason `failure`. */
export function coordinatorError(failure: unknown): ErrorRow {
  if (failure instanceof DiskError) return errors.NOT_COORDINATOR
  if (!(failure instanceof KafkaError)) return errors.UNKNOWN_SERVER_ERROR
  switch (failure.error) {
    case errors.UNKNOWN_TOPIC_OR_PARTITION:
    case errors.NOT_ENOUGH_REPLICAS:
    case errors.NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case errors.REQUEST_TIMED_OUT:
      return errors.COORDINATOR_NOT_AVAILABLE
    case errors.NOT_LEADER_OR_FOLLOWER:
    case errors.KAFKA_STORAGE_ERROR:
      return errors.NOT_COORDINATOR
    case errors.MESSAGE_TOO_LARGE:
    case errors.RECORD_LIST_TOO_LARGE:
    case errors.INVALID_FETCH_SIZE:
      return errors.UNKNOWN_SERVER_ERROR
    default:
      return failure.error
  }
}

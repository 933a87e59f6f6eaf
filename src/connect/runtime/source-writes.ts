/**
 * How the records of a source task reach Kafka, and how far the source is with them: offsets are kept behind the records
 * that they are of (`at-least-once.ts`), or in one transaction with them (`exactly-once.ts`).
 */
import type { Cluster } from '../../client/cluster.ts'
import type { ProducerRecord } from '../../client/partition-queue.ts'
import type { Processing, Tolerance } from '../errors/tolerance.ts'
import type { PartitionOffset, SourceTask, TransactionContext } from '../plugin.ts'
import type { SourcePosition, SourceRecord } from '../records.ts'
import type { Entry } from '../storage/storage.ts'
import type { TaskOptions } from './task.ts'
import type { TaskMeasures } from './task-measures.ts'

export interface SourceOffset {
  readonly partition: SourcePosition
  readonly offset: SourcePosition
}

/** Where the offsets of a connector are kept. */
export interface SourceOffsets {
  /** Resolves when all is known that whoever had the task before, or a user, has kept. */
  catchUp(): Promise<void>
  offset(partition: SourcePosition): SourcePosition | null
  /** Resolves when they are kept. */
  put(offsets: readonly SourceOffset[]): Promise<void>
  /** Where they are kept first. */
  readonly topic: string
  /** As it is written there. */
  entry(offset: SourceOffset): Entry
  /** They have been written there. Never rejects. */
  also(offsets: readonly SourceOffset[]): Promise<void>
}

export interface SourceWrites {
  /** What a task may ask for that sets the ends of its transactions itself; else null. */
  readonly transactionContext: TransactionContext | null
  /** Before the task starts. Rejects where another has its place. */
  open(): Promise<void>
  /** The task runs. */
  begin(): void
  /** Takes a record; where `bytes` is null it was dropped, and only its offset counts. */
  write(processing: Processing<SourceRecord>, bytes: ProducerRecord | null): Promise<void>
  /** All is taken that a poll has brought, which may be nothing. */
  polled(): Promise<void>
  /** Nothing will come for a while. */
  paused(): Promise<void>
  /** Makes what was taken safe, or leaves it out where the task has failed. */
  finish(hasFailed: boolean): Promise<void>
}

/** What both have to do with the task. */
export interface WriteParts {
  readonly cluster: Cluster
  readonly options: TaskOptions
  readonly task: SourceTask
  readonly tolerance: Tolerance<SourceRecord>
  readonly offsets: SourceOffsets
  readonly measures: TaskMeasures
  readonly loop: { readonly isStopping: boolean; readonly isCancelled: boolean }
  readonly onTopic: (topic: string) => void
  /** The task cannot go on. */
  readonly onFailure: (error: Error) => void
}

/** One record is dealt with: written, or left out. */
export function countFinished({ measures }: WriteParts, isWritten: boolean): void {
  measures.finished++
  if (isWritten) measures.given++
}

/** What a task makes of it is its own affair, as in Kafka. */
export async function tellWritten(
  { task, options }: WriteParts,
  record: SourceRecord,
  written: PartitionOffset | null,
): Promise<void> {
  try {
    await task.commitRecord?.(record, written)
  } catch (error) {
    const { log } = options.worker.environment
    log.error('A source task failed to take note of a record', { err: error })
  }
}

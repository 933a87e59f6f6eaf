/** What it takes to open a log, and what an append to it answers. */
import type { Environment, Milliseconds } from '../environment/environment.ts'
import type { LogConfig } from './log-config.ts'
import type { LogDirectory } from './log-directory.ts'
import type { TailCache } from './tail-cache.ts'

/**
 * `cut`: the log ends before the damage, other replicas have the rest. `refuse`, for a log without
 * a copy: it is not opened, and the damaged file stays as it is.
 */
export type OnDamage = 'cut' | 'refuse'

export interface LogOptions {
  readonly environment: Environment
  /** The log.dirs entry that holds the partition: its disk, its checkpoints, its fence. */
  readonly directory: LogDirectory
  readonly topic: string
  readonly partition: number
  /** Kafka's base64url form. */
  readonly topicId: string
  readonly config: LogConfig
  /** Shared by all logs of the broker; null: every read goes to the disk. */
  readonly tailCache: TailCache | null
  /** producer.id.expiration.ms, read at each use; a day where absent. */
  readonly producerIdExpirationMs?: () => Milliseconds
  /** What to do about damage that is more than a torn end; `cut` where absent. */
  readonly onDamage?: OnDamage
  /** Below this offset a snapshot stands for the records: a log that is refused may lack them. */
  readonly replacedUpTo?: number
  /** Of the partition's directory, while that is not `topic-partition`. */
  readonly directoryName?: string
  /** Offsets may be missing, whatever the configuration and the checkpoints say. */
  readonly mayHaveGaps?: boolean
}

export interface AppendResult {
  readonly baseOffset: number
  readonly lastOffset: number
  /**
   * -1 where the topic keeps the producer's timestamps; of a duplicate, the largest timestamp of
   * the batch that was stored.
   */
  readonly logAppendTimeMs: number
  readonly logStartOffset: number
  /** The batch had been appended before; the offsets are those it got then. */
  readonly isDuplicate: boolean
  /**
   * Resolves when the bytes are readable (and synced, where the topic asks for it). Rejects with
   * DiskError. One promise per log and turn.
   */
  readonly written: Promise<void>
}

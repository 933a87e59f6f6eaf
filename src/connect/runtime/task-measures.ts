/**
 * What a task counts of its work, as Kafka Connect's metrics name it. All counts begin with the task, so that one that is
 * started again begins at zero; times and sizes are those of the whole time since then, where Kafka's are of the last
 * minute. Plain data, which can be handed from a thread.
 */
import type { Milliseconds } from '../../environment/environment.ts'

/** How often something came, and how much it was: milliseconds, or records. */
export interface Spread {
  count: number
  sum: number
  max: number
}

const none = (): Spread => ({ count: 0, sum: 0, max: 0 })

export function note(spread: Spread, value: number): void {
  spread.count++
  spread.sum += value
  spread.max = Math.max(spread.max, value)
}

/** Of `tolerance.ts`: a record may be tried several times, each of which may fail. */
export interface ErrorCounts {
  attempts: number
  records: number
  skipped: number
  retries: number
  logged: number
  deadLetters: number
  deadLettersFailed: number
  /** Since the epoch; null: there was none. */
  lastMs: Milliseconds | null
}

export const noErrors = (): ErrorCounts => ({
  ...{ attempts: 0, records: 0, skipped: 0, retries: 0, logged: 0 },
  ...{ deadLetters: 0, deadLettersFailed: 0, lastMs: null },
})

export class TaskMeasures {
  /** Read from topics by a sink; polled from what a source reads. */
  taken = 0
  /** Handed to the sink's task; written to topics for a source. */
  given = 0
  /** Of those that a source has polled: written, or left out. */
  finished = 0
  /** Of what was taken at once. */
  readonly batches: Spread = none()
  /** How long the task itself took for a batch. */
  readonly works: Spread = none()
  /** How long those took that succeeded. */
  readonly commits: Spread = none()
  commitsFailed = 0
  readonly errors: ErrorCounts = noErrors()
}

/** As of now. */
export interface TaskMeasured extends Readonly<TaskMeasures> {
  readonly type: 'sink' | 'source'
  /** Taken and not committed yet; of a source: not written yet. */
  readonly active: number
  /** Of a sink; 0 of a source. */
  readonly partitions: number
  /** Of the partition with the most: read and not committed yet. Of a sink; 0 of a source. */
  readonly lagMax: number
}

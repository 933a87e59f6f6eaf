/**
 * Tells the metadata in which log directory partitions lie (KIP-858): of those that were given a place, or
 * were found in one, that the metadata does not name. Many at a time, and nothing where nothing has
 * changed, so that a start with its ten thousand partitions writes no record for any of them.
 *
 * Without it a directory that is taken out of log.dirs would not be missed: its partitions would begin anew
 * elsewhere.
 */
import type { ErrorRow } from '../../protocol/errors.ts'
import type { Environment } from '../environment/environment.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import type { Partition } from './partition.ts'

export interface ReplicaPlace {
  readonly topicId: string
  readonly index: number
  readonly directoryId: string
}

/**
 * Resolves when the metadata says so of all of them, with an outcome for each; with none where it cannot say
 * where partitions lie. Rejects with KafkaError.
 */
export type AssignDirectories = (places: readonly ReplicaPlace[]) => Promise<readonly ErrorRow[]>

export interface PlaceNoticesOptions {
  readonly environment: Pick<Environment, 'timers' | 'log'>
  readonly assign: AssignDirectories
  /** The `directory.id`; undefined where it has none. */
  readonly idOf: (directory: LogDirectory) => string | undefined
}

/** Partitions in one decision of the controller. */
const togetherMax = 2_000

export class PlaceNotices {
  readonly #options: PlaceNoticesOptions
  /** With the `directory.id` where a partition lies in none of those that are there. */
  readonly #due = new Map<Partition, string | null>()
  #hasBegun = false
  #isLinedUp = false
  #telling: Promise<void> = Promise.resolve()

  constructor(options: PlaceNoticesOptions) {
    this.#options = options
  }

  /** The metadata does not name the directory in which the partition lies. */
  add(partition: Partition): void {
    this.#due.set(partition, null)
    this.#lineUp()
  }

  /** The partition lies in a directory that is not there: the next start, too, is to know that. */
  addMissed(partition: Partition, directoryId: string): void {
    this.#due.set(partition, directoryId)
    this.#lineUp()
  }

  /** The partition is gone, or somebody tells of a newer place. */
  forget(partition: Partition): void {
    this.#due.delete(partition)
  }

  /** Until here nothing is told: what comes of it must reach the replicas. */
  begin(): void {
    this.#hasBegun = true
    this.#lineUp()
  }

  /** Tells what is left to tell, if it had begun; resolves when the metadata has it. */
  async stop(): Promise<void> {
    if (!this.#hasBegun) return
    this.#tellAll()
    this.#hasBegun = false
    await this.#telling
  }

  #lineUp(): void {
    if (!this.#hasBegun || this.#isLinedUp || this.#due.size === 0) return
    this.#isLinedUp = true
    this.#options.environment.timers.endOfTurn(() => {
      this.#isLinedUp = false
      if (this.#hasBegun) this.#tellAll()
    })
  }

  #tellAll(): void {
    const { idOf, assign, environment } = this.#options
    const places: ReplicaPlace[] = []
    for (const [{ topicId, index, directory }, missed] of this.#due) {
      const directoryId = missed ?? (directory === null ? undefined : idOf(directory))
      if (directoryId !== undefined) places.push({ topicId, index, directoryId })
    }
    this.#due.clear()
    // All are asked for in this turn: whoever tells of a newer place comes after them.
    for (let at = 0; at < places.length; at += togetherMax) {
      const together = places.slice(at, at + togetherMax)
      // The only outcomes are that it is done, and that the partition is no longer here.
      const told = assign(together).then(
        () => {},
        (err: unknown) => {
          const message = 'the metadata does not say yet in which log directories partitions lie'
          environment.log.warn(message, { partitions: together.length, err })
        },
      )
      this.#telling = this.#telling.then(() => told)
    }
  }
}

/**
 * A partition that is being read: how far the consumer was given its records, how far they were fetched,
 * and what has arrived and waits between the two.
 */
import { noLeaderEpoch } from '../../protocol/records/batch.ts'
import type { BatchRecord } from '../../protocol/records/record.ts'
import type { Milliseconds } from '../environment/environment.ts'
import type { FetchedRecords } from './fetched-records.ts'
import type { Position } from './position-validation.ts'
import { nameOf, type TopicPartition } from './topic-partition.ts'

export class Reading implements TopicPartition {
  readonly topic: string
  readonly partition: number
  /** The offset of the next record that the consumer gets. */
  position: number
  /** In which the record before that was written. */
  positionEpoch: number
  /** Of the leader in whose log the position was found last; what it leads is fetched from it. */
  leaderEpoch = noLeaderEpoch
  /** Where the next fetch begins. */
  fetchOffset: number
  highWatermark = -1
  logStartOffset = -1
  fetched: FetchedRecords[] = []
  /** Opened, but more than the consumer wanted. */
  rest: BatchRecord[] = []
  failures = 0
  retryAtMs: Milliseconds = 0
  /** The consumer has to be told. */
  error: Error | null = null
  /** Counts seeks: answers to fetches from before a seek are dropped. */
  version = 0

  constructor({ topic, partition }: TopicPartition, { offset, leaderEpoch }: Position) {
    this.topic = topic
    this.partition = partition
    this.position = offset
    this.positionEpoch = leaderEpoch
    this.fetchOffset = offset
  }

  get bufferedBytes(): number {
    let bytes = 0
    for (const fetched of this.fetched) bytes += fetched.remainingBytes
    return bytes
  }

  seek({ offset, leaderEpoch }: Position): void {
    this.position = offset
    this.positionEpoch = leaderEpoch
    this.leaderEpoch = noLeaderEpoch
    this.dropFetched()
    this.error = null
    this.retryAtMs = 0
  }

  /** Fetches anew what the consumer was not given yet. */
  dropFetched(): void {
    this.version++
    this.fetchOffset = this.position
    this.fetched = []
    this.rest = []
  }

  /** Goes on with a leader of this epoch. False: what was read has to be looked for in its log before. */
  follow(leaderEpoch: number): boolean {
    const isKnown = leaderEpoch !== noLeaderEpoch && this.positionEpoch !== noLeaderEpoch
    if (isKnown && leaderEpoch !== this.leaderEpoch) return false
    this.leaderEpoch = leaderEpoch
    return true
  }

  /** The next records, at most so many; what damage keeps from being read is in `error` then. */
  take(recordsMax: number): readonly BatchRecord[] {
    let taken: BatchRecord[] = []
    try {
      while (taken.length < recordsMax) {
        const records = this.rest.length > 0 ? this.rest : this.#nextRecords()
        this.rest = []
        if (records === null) break
        const room = recordsMax - taken.length
        this.rest = records.slice(room)
        taken = taken.length === 0 ? records.slice(0, room) : taken.concat(records.slice(0, room))
      }
    } catch (error) {
      // Reading goes on behind the damage only if the consumer seeks there: what is on its way is not taken.
      this.version++
      this.fetched = []
      this.fetchOffset = (taken.at(-1)?.offset ?? this.position - 1) + 1
      this.error = new Error(`${nameOf(this)}: ${(error as Error).message}`, { cause: error })
    }
    this.position = this.rest[0]?.offset ?? this.fetched[0]?.position ?? this.fetchOffset
    return taken
  }

  /** The records of the next batch that arrived; null where there is none. */
  #nextRecords(): BatchRecord[] | null {
    for (;;) {
      const first = this.fetched[0]
      if (first === undefined) return null
      const records = first.next()
      this.positionEpoch = first.leaderEpoch ?? this.positionEpoch
      if (records !== null) return records
      this.fetched.shift()
    }
  }
}

/**
 * The offsets that a group committed in one topic, by partition; undoable like all recorded state. There
 * may be millions of them, so they lie in rows of numbers and become objects when somebody asks: an object
 * for each took 400 bytes, a row takes 60.
 */
import { type Uuid, zeroUuid } from '../../../protocol/types.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { Timeline } from '../timeline.ts'

export interface CommittedOffset {
  readonly offset: number
  /** -1 where the client did not tell. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestampMs: Milliseconds
  /**
   * When it expires, if its client asked for a retention of its own (OffsetCommit 2 to 4); else -1.
   */
  readonly expireTimestampMs: Milliseconds
  /** The zero id where the client named the topic only. */
  readonly topicId: Uuid
}

/** As it was recorded: of two commits for a partition the one with the higher order counts. */
export interface RecordedOffset extends CommittedOffset {
  readonly order: number
}

/** What most offsets of a topic have in common. */
type Terms = Pick<CommittedOffset, 'metadata' | 'expireTimestampMs' | 'topicId'>

/** Numbers of a row: offset, leader epoch, commit timestamp and order. */
const rowLength = 4

export class PartitionOffsets {
  readonly #timeline: Timeline
  /** Rising; each has a row, in the same order. */
  #partitions: number[] = []
  #numbers: number[] = []
  /** Of each row; those in a row that say the same share theirs. */
  #terms: Terms[] = []

  constructor(timeline: Timeline) {
    this.#timeline = timeline
  }

  get size(): number {
    return this.#partitions.length
  }

  has(partition: number): boolean {
    return this.#partitions[this.#rowOf(partition)] === partition
  }

  get(partition: number): CommittedOffset | undefined {
    return this.#recorded(partition)
  }

  /** -1 where nothing was committed. */
  orderOf(partition: number): number {
    const row = this.#rowOf(partition)
    return this.#partitions[row] === partition ? (this.#numbers[row * rowLength + 3] as number) : -1
  }

  set(partition: number, offset: CommittedOffset, order: number): void {
    if (!this.#timeline.isSettled) this.#noteBefore(partition)
    this.#put(partition, offset, order)
  }

  delete(partition: number): void {
    if (!this.has(partition)) return
    if (!this.#timeline.isSettled) this.#noteBefore(partition)
    this.#remove(partition)
  }

  keys(): IterableIterator<number> {
    return this.#partitions.values()
  }

  *[Symbol.iterator](): Generator<[number, CommittedOffset], void, void> {
    for (const [row, partition] of this.#partitions.entries()) yield [partition, this.#at(row)]
  }

  /** That of the partition, or of the next higher one that has any. */
  #rowOf(partition: number): number {
    const partitions = this.#partitions
    // Most groups read all partitions of a topic.
    if (partitions[partition] === partition) return partition
    let low = 0
    let high = partitions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((partitions[middle] as number) < partition) low = middle + 1
      else high = middle
    }
    return low
  }

  #recorded(partition: number): RecordedOffset | undefined {
    const row = this.#rowOf(partition)
    return this.#partitions[row] === partition ? this.#at(row) : undefined
  }

  #at(row: number): RecordedOffset {
    const numbers = this.#numbers
    const start = row * rowLength
    const { metadata, expireTimestampMs, topicId } = this.#terms[row] as Terms
    return {
      offset: numbers[start] as number,
      leaderEpoch: numbers[start + 1] as number,
      metadata,
      commitTimestampMs: numbers[start + 2] as number,
      expireTimestampMs,
      topicId,
      order: numbers[start + 3] as number,
    }
  }

  #put(partition: number, offset: CommittedOffset, order: number): void {
    const row = this.#rowOf(partition)
    if (this.#partitions[row] !== partition) this.#makeRow(row, partition)
    const start = row * rowLength
    this.#numbers[start] = offset.offset
    this.#numbers[start + 1] = offset.leaderEpoch
    this.#numbers[start + 2] = offset.commitTimestampMs
    this.#numbers[start + 3] = order
    this.#terms[row] = termsOf(offset, this.#terms[row === 0 ? 0 : row - 1] ?? noTerms)
  }

  #makeRow(row: number, partition: number): void {
    if (this.size === 0) {
      // Many groups have one partition: no more room than that.
      this.#partitions = [partition]
      this.#numbers = [0, 0, 0, 0]
      this.#terms = [noTerms]
    } else if (row === this.size) {
      this.#partitions.push(partition)
      this.#numbers.push(0, 0, 0, 0)
      this.#terms.push(noTerms)
    } else {
      this.#partitions.splice(row, 0, partition)
      this.#numbers.splice(row * rowLength, 0, 0, 0, 0, 0)
      this.#terms.splice(row, 0, noTerms)
    }
  }

  #remove(partition: number): void {
    const row = this.#rowOf(partition)
    this.#partitions.splice(row, 1)
    this.#numbers.splice(row * rowLength, rowLength)
    this.#terms.splice(row, 1)
  }

  #noteBefore(partition: number): void {
    const before = this.#recorded(partition)
    this.#timeline.note(() => {
      if (before !== undefined) this.#put(partition, before, before.order)
      else if (this.has(partition)) this.#remove(partition)
    })
  }
}

const noTerms: Terms = { metadata: '', expireTimestampMs: -1, topicId: zeroUuid }

/** `before`, where that says the same. */
function termsOf(offset: CommittedOffset, before: Terms): Terms {
  const { metadata, expireTimestampMs, topicId } = offset
  const isSame =
    before.metadata === metadata &&
    before.expireTimestampMs === expireTimestampMs &&
    before.topicId === topicId
  return isSame ? before : { metadata, expireTimestampMs, topicId }
}

/**
 * The offsets that a group committed in one topic, by partition; undoable like all recorded state. There
 * may be millions of them, so they lie in rows of numbers and become objects when somebody asks: an object
 * for each took 400 bytes, a row takes 80.
 */
import type { Uuid } from '../../../protocol/types.ts'
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
  readonly #rows = new Map<number, number>()
  readonly #numbers: number[] = []
  /** Of each row; those in a row that say the same share theirs. */
  readonly #terms: Terms[] = []
  /** Rows that no partition has. */
  #free: number[] | null = null

  constructor(timeline: Timeline) {
    this.#timeline = timeline
  }

  get size(): number {
    return this.#rows.size
  }

  has(partition: number): boolean {
    return this.#rows.has(partition)
  }

  get(partition: number): CommittedOffset | undefined {
    return this.#recorded(partition)
  }

  /** -1 where nothing was committed. */
  orderOf(partition: number): number {
    const row = this.#rows.get(partition)
    return row === undefined ? -1 : (this.#numbers[row * rowLength + 3] as number)
  }

  set(partition: number, offset: CommittedOffset, order: number): void {
    if (!this.#timeline.isSettled) this.#noteBefore(partition)
    this.#put(partition, offset, order)
  }

  delete(partition: number): void {
    if (!this.#rows.has(partition)) return
    if (!this.#timeline.isSettled) this.#noteBefore(partition)
    this.#remove(partition)
  }

  keys(): IterableIterator<number> {
    return this.#rows.keys()
  }

  *[Symbol.iterator](): Generator<[number, CommittedOffset], void, void> {
    for (const [partition, row] of this.#rows) yield [partition, this.#at(row)]
  }

  #recorded(partition: number): RecordedOffset | undefined {
    const row = this.#rows.get(partition)
    return row === undefined ? undefined : this.#at(row)
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
    let row = this.#rows.get(partition)
    if (row === undefined) {
      row = this.#free?.pop() ?? this.#terms.length
      this.#rows.set(partition, row)
    }
    const start = row * rowLength
    this.#numbers[start] = offset.offset
    this.#numbers[start + 1] = offset.leaderEpoch
    this.#numbers[start + 2] = offset.commitTimestampMs
    this.#numbers[start + 3] = order
    this.#terms[row] = this.#termsOf(offset, this.#terms[row === 0 ? 0 : row - 1])
  }

  /** `before`, where that says the same. */
  #termsOf(offset: CommittedOffset, before: Terms | undefined): Terms {
    const { metadata, expireTimestampMs, topicId } = offset
    const isSame =
      before !== undefined &&
      before.metadata === metadata &&
      before.expireTimestampMs === expireTimestampMs &&
      before.topicId === topicId
    return isSame ? before : { metadata, expireTimestampMs, topicId }
  }

  #remove(partition: number): void {
    const row = this.#rows.get(partition) as number
    this.#rows.delete(partition)
    // What a row held may be long.
    this.#terms[row] = noTerms
    this.#free ??= []
    this.#free.push(row)
  }

  #noteBefore(partition: number): void {
    const before = this.#recorded(partition)
    this.#timeline.note(() => {
      if (before !== undefined) this.#put(partition, before, before.order)
      else if (this.#rows.has(partition)) this.#remove(partition)
    })
  }
}

const noTerms: Terms = { metadata: '', expireTimestampMs: -1, topicId: '' }

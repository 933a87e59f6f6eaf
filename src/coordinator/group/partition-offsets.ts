/**
 * The offsets that a group committed in one topic, by partition; undoable like all recorded state. There
 * may be millions of them, so they lie in rows of numbers and become objects when somebody asks: an object
 * for each took 400 bytes, a row takes 60. The rows lie in blocks of bounded length, so that one more costs
 * the same in whatever order partitions come: that of a client's hash table, for most.
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

/** Of what comes behind the last of so many rows another block is made; of what comes between them, two. */
const blockRowsMax = 1024

export class PartitionOffsets {
  readonly #timeline: Timeline
  /** With rising partitions; none of them is empty. */
  readonly #blocks: Block[] = []
  #size = 0

  constructor(timeline: Timeline) {
    this.#timeline = timeline
  }

  get size(): number {
    return this.#size
  }

  has(partition: number): boolean {
    return this.#blockOf(partition)?.has(partition) ?? false
  }

  get(partition: number): CommittedOffset | undefined {
    return this.#blockOf(partition)?.get(partition)
  }

  /** -1 where nothing was committed. */
  orderOf(partition: number): number {
    return this.#blockOf(partition)?.orderOf(partition) ?? -1
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

  *keys(): Generator<number, void, void> {
    for (const { partitions } of this.#blocks) yield* partitions
  }

  *[Symbol.iterator](): Generator<[number, CommittedOffset], void, void> {
    for (const block of this.#blocks) {
      for (const [row, partition] of block.partitions.entries()) yield [partition, block.at(row)]
    }
  }

  /** The one block in which the partition has its row, if it has one. */
  #blockOf(partition: number): Block | undefined {
    return this.#blocks[this.#blockIndexOf(partition)]
  }

  /** That of the last block which does not begin behind the partition, else of the first. */
  #blockIndexOf(partition: number): number {
    const blocks = this.#blocks
    // Most groups read all partitions of a topic.
    const guess = Math.floor(partition / blockRowsMax)
    const isRight = blocks[guess]?.first === guess * blockRowsMax
    if (isRight && (blocks[guess + 1]?.first ?? Infinity) > partition) return guess
    let low = 0
    let high = blocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((blocks[middle] as Block).first <= partition) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }

  #put(partition: number, offset: CommittedOffset, order: number): void {
    const index = this.#blockIndexOf(partition)
    const block = this.#blocks[index]
    if (block?.has(partition)) block.put(partition, offset, order)
    else {
      this.#blockForNew(partition, index).put(partition, offset, order)
      this.#size++
    }
  }

  /** A block with room for one more partition, which belongs to the one at `index`. */
  #blockForNew(partition: number, index: number): Block {
    const blocks = this.#blocks
    const block = blocks[index]
    if (block === undefined || (block.isFull && partition > block.last)) {
      const next = new Block()
      blocks.splice(index + 1, 0, next)
      return next
    }
    if (!block.isFull) return block
    const upper = block.halve()
    blocks.splice(index + 1, 0, upper)
    return partition < upper.first ? block : upper
  }

  #remove(partition: number): void {
    const index = this.#blockIndexOf(partition)
    const block = this.#blocks[index] as Block
    block.remove(partition)
    this.#size--
    if (block.partitions.length === 0) this.#blocks.splice(index, 1)
  }

  #noteBefore(partition: number): void {
    const before = this.#blockOf(partition)?.get(partition)
    this.#timeline.note(() => {
      if (before !== undefined) this.#put(partition, before, before.order)
      else if (this.has(partition)) this.#remove(partition)
    })
  }
}

/** Rows of neighbours. */
class Block {
  /** Rising; each has a row, in the same order. */
  partitions: number[] = []
  #numbers: number[] = []
  /** Of each row; those in a row that say the same share theirs. */
  #terms: Terms[] = []

  get first(): number {
    return this.partitions[0] as number
  }

  get last(): number {
    return this.partitions[this.partitions.length - 1] as number
  }

  get isFull(): boolean {
    return this.partitions.length >= blockRowsMax
  }

  has(partition: number): boolean {
    return this.partitions[this.#rowOf(partition)] === partition
  }

  get(partition: number): RecordedOffset | undefined {
    const row = this.#rowOf(partition)
    return this.partitions[row] === partition ? this.at(row) : undefined
  }

  orderOf(partition: number): number {
    const row = this.#rowOf(partition)
    return this.partitions[row] === partition ? (this.#numbers[row * rowLength + 3] as number) : -1
  }

  at(row: number): RecordedOffset {
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

  put(partition: number, offset: CommittedOffset, order: number): void {
    const row = this.#rowOf(partition)
    if (this.partitions[row] !== partition) this.#makeRow(row, partition)
    const start = row * rowLength
    this.#numbers[start] = offset.offset
    this.#numbers[start + 1] = offset.leaderEpoch
    this.#numbers[start + 2] = offset.commitTimestampMs
    this.#numbers[start + 3] = order
    this.#terms[row] = termsOf(offset, this.#terms[row === 0 ? 0 : row - 1] as Terms)
  }

  remove(partition: number): void {
    const row = this.#rowOf(partition)
    this.partitions.splice(row, 1)
    this.#numbers.splice(row * rowLength, rowLength)
    this.#terms.splice(row, 1)
  }

  /** Takes the upper half out, into a block of its own. */
  halve(): Block {
    const row = this.partitions.length >>> 1
    const upper = new Block()
    upper.partitions = this.partitions.splice(row)
    upper.#numbers = this.#numbers.splice(row * rowLength)
    upper.#terms = this.#terms.splice(row)
    return upper
  }

  /** That of the partition, or of the next higher one that has any. */
  #rowOf(partition: number): number {
    const { partitions } = this
    const first = partitions[0] ?? 0
    // Most groups read all partitions of a topic.
    if (partitions[partition - first] === partition) return partition - first
    let low = 0
    let high = partitions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((partitions[middle] as number) < partition) low = middle + 1
      else high = middle
    }
    return low
  }

  #makeRow(row: number, partition: number): void {
    const { length } = this.partitions
    if (length === 0) {
      // Many groups have one partition: no more room than that.
      this.partitions = [partition]
      this.#numbers = [0, 0, 0, 0]
      this.#terms = [noTerms]
    } else if (row === length) {
      this.partitions.push(partition)
      this.#numbers.push(0, 0, 0, 0)
      this.#terms.push(noTerms)
    } else {
      this.partitions.splice(row, 0, partition)
      this.#numbers.splice(row * rowLength, 0, 0, 0, 0, 0)
      this.#terms.splice(row, 0, this.#terms[row] as Terms)
    }
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

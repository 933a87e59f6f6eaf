/**
 * Producers and aborted transactions as the batches tell them: the newest snapshot below, then what
 * follows it.
 */
import * as header from '../../protocol/records/batch.ts'
import type { Logger, Milliseconds } from '../environment/environment.ts'
import { lastOffsetOf } from './links.ts'
import { applyBatch, hasProducer, producerBatchOf } from './producer-replay.ts'
import type { ProducerSnapshots } from './producer-snapshot.ts'
import { type CompletedTransaction, type ProducerBatch, ProducerStates } from './producer-states.ts'
import type { Segment } from './segment.ts'
import type { Segments } from './segments.ts'
import type { AbortedTransaction } from './transaction-index.ts'

export interface ProducerRebuild {
  readonly segments: readonly Segment[]
  readonly snapshots: ProducerSnapshots
  readonly producers: ProducerStates
  readonly logStartOffset: number
  /** No later snapshot is gone by: the batches from here on are to tell of their transactions. */
  readonly snapshotMax: number
  /** Segments from this offset on get their transaction indexes anew. */
  readonly rebuiltFrom: number
  readonly now: Milliseconds
}

/**
 * Producers as they are at the end of `segments`: the newest snapshot up to `snapshotMax`, then the batches after it.
 * Returns the offset from which on batches count.
 */
export function rebuildProducers(options: ProducerRebuild): number {
  const { segments, snapshots, producers, logStartOffset, rebuiltFrom, now } = options
  const snapshot = snapshots.load(options.snapshotMax)
  producers.load(snapshot?.entries ?? [], now)
  const from = snapshot?.offset ?? logStartOffset
  replay(segments, from, producers, (completed, segment) => {
    if (segment.baseOffset >= rebuiltFrom) segment.transactionIndex.append(completed)
  })
  return from
}

/**
 * The snapshot from which `producers` were loaded has the last batch of each only: those before are
 * read when they are asked for.
 */
export function rememberEarlier(
  producers: ProducerStates,
  segments: readonly Segment[],
  snapshotOffset: number,
): void {
  producers.earlier = () => {
    const batches: ProducerBatch[] = []
    const before = segments.filter(({ baseOffset }) => baseOffset < snapshotOffset)
    let bytes = 0
    let first = before.length
    // Segments that are rolled after a short time hold a batch or two each.
    while (first > 0 && bytes < earlierBytes && before.length - first < earlierSegmentsMax) {
      bytes += (before[--first] as Segment).size
    }
    for (const segment of before.slice(Math.max(0, Math.min(first, before.length - 2)))) {
      segment.scan(positionBefore(segment, snapshotOffset), (buffer, at) => {
        if (header.baseOffset(buffer, at) >= snapshotOffset) return false
        if (hasProducer(buffer, at) && !header.isControl(buffer, at)) {
          batches.push(producerBatchOf(buffer, at))
        }
        return true
      })
    }
    return batches
  }
}

/** Some way before the batch that holds `offset`. */
function positionBefore(segment: Segment, offset: number): number {
  const end = Math.min(segment.positionOf(offset), segment.size)
  let position = end
  for (let back = 16; position > 0 && end - position < earlierBytes; back *= 4) {
    position = offset - back <= segment.baseOffset ? 0 : segment.positionOf(offset - back)
  }
  return position
}

/** Five batches of several producers fit in. */
const earlierBytes = 4 * 1024 * 1024
const earlierSegmentsMax = 32

/** Entries of one index, the newest, that are held against the batches. */
const checkedMax = 256

export interface KnownTransactions {
  readonly segments: Segments
  readonly snapshots: ProducerSnapshots
  readonly producers: ProducerStates
  /** Segments from this offset on got their transaction indexes anew. */
  readonly rebuiltFrom: number
  /** Base offsets of the segments that had a transaction index when the log was opened. */
  readonly transactionIndexes: ReadonlySet<number>
  readonly log: Logger
}

/**
 * What a transaction index that was there before says is a claim: how to find out what is true. Those
 * that make no sense are told of at once; few segments have one.
 */
export function restoreTransactions(known: KnownTransactions): void {
  for (const segment of known.segments.list) {
    if (segment.baseOffset >= known.rebuiltFrom || segment.size === 0) continue
    segment.transactionIndex.restore = (stored) => {
      const isTrusted =
        stored !== null &&
        (stored.length > 0
          ? stored.slice(-checkedMax).every((entry) => isThere(entry, known.segments))
          : !mayHoldTransactions(segment, known))
      if (isTrusted) return null
      const found = abortedIn(segment, known)
      if (stored?.length !== found.length) {
        const fields = { partition: segment.partition, segment: segment.baseOffset }
        const message = 'a transaction index is missing or damaged and is built again'
        known.log.warn(message, fields)
      }
      return found
    }
    if (known.transactionIndexes.has(segment.baseOffset)) segment.transactionIndex.check()
  }
}

/** Whether the transaction's first batch and its marker are where the entry says. */
function isThere(entry: AbortedTransaction, segments: Segments): boolean {
  const { producerId, firstOffset, lastOffset } = entry
  const isOf = (offset: number, isControl: boolean): boolean => {
    const segment = segments.list[segments.indexOf(offset)] as Segment
    // What retention took cannot be asked any more.
    if (offset < segment.baseOffset) return true
    // Compaction takes what was aborted, and its marker in the end.
    let isFound = !segments.isGapless
    segment.scan(segment.positionOf(offset), (buffer, at) => {
      if (lastOffsetOf(buffer, at) < offset) return true
      if (!segments.isGapless && header.baseOffset(buffer, at) > offset) return false
      isFound =
        header.baseOffset(buffer, at) === offset &&
        header.producerId(buffer, at) === producerId &&
        header.isControl(buffer, at) === isControl
      return false
    })
    return isFound
  }
  return isOf(firstOffset, false) && isOf(lastOffset, true)
}

/** Whether a transaction may have ended in the segment: its producers tell, as of its end. */
function mayHoldTransactions(segment: Segment, known: KnownTransactions): boolean {
  const { segments, snapshots, producers } = known
  const isActive = segment === segments.active
  const snapshot = isActive ? null : snapshots.load(segment.endOffset)
  if (!isActive && snapshot?.offset !== segment.endOffset) return true
  const entries = snapshot?.entries ?? producers.entries()
  return entries.some(({ coordinatorEpoch }) => coordinatorEpoch >= 0)
}

function abortedIn(segment: Segment, { segments, snapshots }: KnownTransactions) {
  const snapshot = snapshots.load(segment.baseOffset)
  const producers = new ProducerStates('', () => Number.POSITIVE_INFINITY)
  producers.load(snapshot?.entries ?? [], 0)
  const found: AbortedTransaction[] = []
  const upTo = segments.list.slice(0, segments.list.indexOf(segment) + 1)
  replay(upTo, snapshot?.offset ?? 0, producers, (completed, where) => {
    const { producerId, firstOffset, lastOffset, lastStableOffset } = completed
    const aborted = { producerId, firstOffset, lastOffset, lastStableOffset }
    if (where === segment) found.push(aborted)
  })
  return found
}

/** Applies the batches from offset `from` on; tells of the transactions that they abort. */
function replay(
  segments: readonly Segment[],
  from: number,
  producers: ProducerStates,
  onAborted: (completed: CompletedTransaction, segment: Segment) => void,
): void {
  for (const [index, segment] of segments.entries()) {
    const endOffset = segments[index + 1]?.baseOffset ?? segment.endOffset
    if (endOffset <= from) continue
    segment.scan(segment.baseOffset >= from ? 0 : segment.positionOf(from), (buffer, at) => {
      if (lastOffsetOf(buffer, at) < from) return true
      const completed = applyBatch(producers, buffer, at)
      if (completed?.isAborted === true) onAborted(completed, segment)
      return true
    })
  }
}

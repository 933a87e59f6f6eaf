/**
 * Reads back what an unclean end may have left unsynced: from the recovery point on every batch is held
 * against the one before and its checksum, and indexes, leader epochs and producers are taken from what is
 * kept. `recovery.ts` says what becomes of which damage.
 */
import * as header from '../../protocol/records/batch.ts'
import {
  dropStrayEnd,
  refusal,
  refuseIfMoreThanTorn,
  remove,
  tellCut,
  tellHole,
} from './damage-verdicts.ts'
import { isSound, lastOffsetOf, leaderEpochOf } from './links.ts'
import { type ProducerRebuild, rebuildProducers } from './producer-rebuild.ts'
import { applyBatch } from './producer-replay.ts'
import {
  isWithoutTransaction,
  type LoadedSnapshot,
  type ProducerSnapshots,
  type SnapshotEntry,
} from './producer-snapshot.ts'
import type { Recovered, RecoveryOptions } from './recovery.ts'
import type { Segment } from './segment.ts'
import { nameOf } from './segment-options.ts'

interface Rebuilt {
  /** Where the first segment that was read begins. */
  readonly fromOffset: number
  readonly logEndOffset: number
  /** Producers and transaction indexes are those of the batches kept. */
  readonly areProducersKnown: boolean
  /** Where the batches begin that are not in the snapshot. */
  readonly producersFrom: number
}

/** With what `tidy` found. */
type FoundFiles = RecoveryOptions & Pick<Recovered, 'transactionIndexes'>

export function rebuildFromRecoveryPoint(
  segments: Segment[],
  snapshots: ProducerSnapshots,
  options: FoundFiles,
): Rebuilt {
  const { recoveryPoint, epochs, isGapless } = options
  dropStrayEnd(segments, options)
  const endOf = (index: number) => segments[index + 1]?.baseOffset ?? Number.POSITIVE_INFINITY
  // The one that ends there may have been cut, and the cut have been lost.
  let index = segments.findIndex((_, at) => endOf(at) >= recoveryPoint)
  const first = segments[index] as Segment
  const newest = snapshots.load()
  const resumed = resumption(first, snapshots, options)
  const fromOffset = resumed?.offset ?? first.baseOffset
  const snapshotMax = resumed?.snapshotOffset ?? fromOffset
  epochs.truncateFromEnd(fromOffset)
  const logStartOffset = Math.max(options.logStartOffset, (segments[0] as Segment).baseOffset)
  const before = { ...options, segments: segments.slice(0, index), snapshots, logStartOffset }
  const rebuiltFrom = Number.POSITIVE_INFINITY
  const producersFrom = rebuildProducers({ ...before, snapshotMax, rebuiltFrom })
  if (newest !== null && newest.offset > snapshotMax) keepUntold(newest, { ...before, snapshotMax })
  snapshots.keepOnly((offset) => offset <= snapshotMax)
  let areProducersKnown = true
  let logEndOffset = fromOffset
  for (; index < segments.length; index++) {
    const segment = segments[index] as Segment
    const { baseOffset } = segment
    const isHole = isGapless && baseOffset > logEndOffset
    let isBroken = isHole && baseOffset > recoveryPoint
    if (isHole) tellHole(logEndOffset, baseOffset, options)
    // Where that is not refused a power loss may have taken the end of the segment before only.
    if (isHole && options.onDamage === 'refuse') {
      throw refusal(baseOffset, `does not follow offset ${logEndOffset}`, options)
    }
    if (!isBroken) {
      // Retention may take the segments before, and leave nothing else of their producers.
      if (baseOffset > producersFrom) snapshots.take(baseOffset, options.producers.entries())
      const rebuilt = rebuildSegment(
        segment,
        Math.max(baseOffset, logEndOffset),
        endOf(index),
        { producersFrom, ...(segment === first && resumed !== null ? { resumed } : {}) },
        options,
      )
      logEndOffset = rebuilt.endOffset
      areProducersKnown &&= !rebuilt.isMoved
      isBroken = rebuilt.isBroken
      if (isBroken) index++
    }
    if (isBroken) dropFrom(index, segments, options)
  }
  for (const segment of segments.slice(0, -1)) {
    if (segment.baseOffset >= first.baseOffset) segment.persistIndexes()
  }
  return { fromOffset, logEndOffset, areProducersKnown, producersFrom }
}

/**
 * A snapshot that is too new to be gone by is all that tells of producers whose batches retention has taken,
 * where a power loss has damaged those before, or has brought a segment back. What it says of them goes into
 * one that is old enough, which is durable before the newer one goes.
 */
function keepUntold(newest: LoadedSnapshot, before: Omit<ProducerRebuild, 'rebuiltFrom'>): void {
  const { snapshots, producers, logStartOffset, snapshotMax, now } = before
  const isGone = ({ lastOffset }: SnapshotEntry) => lastOffset < logStartOffset
  if (!producers.addUnknown(newest.entries.filter(isGone))) return
  producers.expire(now)
  snapshots.take(snapshotMax, producers.entries())
  snapshots.replaceBatchesBelow(snapshotMax)
}

/** A batch at which reading a segment begins, and the snapshot that knows the producers before. */
interface Resumption {
  readonly position: number
  readonly offset: number
  readonly snapshotOffset: number
}

/** Null where the segment is to be read from its beginning. */
function resumption(
  { baseOffset, contents }: Segment,
  snapshots: ProducerSnapshots,
  { recoveryPoint, onDamage, transactionIndexes }: FoundFiles,
): Resumption | null {
  // Its aborted transactions are found in the batches.
  if (onDamage === 'refuse' || transactionIndexes.has(baseOffset)) return null
  const snapshot = recoveryPoint > baseOffset ? snapshots.load(recoveryPoint) : null
  if (snapshot === null || snapshot.offset <= baseOffset) return null
  const isWithoutTransactions = snapshot.entries.every((entry) =>
    isWithoutTransaction(entry.coordinatorEpoch, entry.currentTxnFirstOffset),
  )
  const from = isWithoutTransactions ? contents.resumeBelow(snapshot.offset) : null
  return from === null ? null : { ...from, snapshotOffset: snapshot.offset }
}

/** What lies above the recovery point, behind damage. */
function dropFrom(index: number, segments: Segment[], options: RecoveryOptions): void {
  for (const segment of segments.splice(index).reverse()) {
    const fields = { partition: nameOf(options.directory), segment: segment.baseOffset }
    if (segment.size > 0) {
      const message = 'a segment behind damage above the recovery point is removed'
      options.log.error(message, { ...fields, bytes: segment.size })
    }
    remove(segment, options)
  }
}

/**
 * Reads one segment back, from `expected` on, and cuts what does not hold. It is broken if
 * something is missing behind it; what reaches into the next segment only is a remnant of an
 * earlier truncation.
 */
function rebuildSegment(
  segment: Segment,
  expected: number,
  nextBase: number,
  { producersFrom, resumed }: { producersFrom: number; resumed?: Resumption },
  options: RecoveryOptions,
): { endOffset: number; isBroken: boolean; isMoved: boolean } {
  const { recoveryPoint, epochs, producers, isGapless } = options
  let endOffset = expected
  let isRemnant = false
  /** The last batch, if it lies behind a gap: where it is, and which offset should follow. */
  let behindGap: { position: number; offset: number } | null = null
  const visit = (buffer: Buffer, at: number, position: number) => {
    const offset = header.baseOffset(buffer, at)
    const lastOffset = lastOffsetOf(buffer, at)
    const epoch = leaderEpochOf(buffer, at)
    isRemnant = lastOffset >= nextBase && offset === endOffset
    if (lastOffset >= nextBase || offset < endOffset) return false
    if (lastOffset >= recoveryPoint) {
      // An older epoch is what a truncation had taken away that was then lost.
      if ((epoch >= 0 && epoch < epochs.latest) || !isSound(buffer, at)) return false
    }
    epochs.assign(epoch, offset)
    const isBehindGap = offset > endOffset
    behindGap = isBehindGap ? { position, offset: endOffset } : null
    endOffset = lastOffset + 1
    if (lastOffset >= producersFrom) {
      const completed = applyBatch(producers, buffer, at)
      if (completed?.isAborted === true) segment.transactionIndex.append(completed)
    }
    return true
  }
  if (resumed === undefined) segment.transactionIndex.clear()
  const { size } = segment.contents.rebuild(visit, {
    ...(resumed === undefined ? {} : { from: resumed }),
    mayResume: (offset) => offset < recoveryPoint && !isRemnant,
    unsettledFrom: recoveryPoint,
  })
  const gap = behindGap as { position: number; offset: number } | null
  const isLast = nextBase === Number.POSITIVE_INFINITY
  // Nothing behind the last batch says that its offset is right; the one before says that it is not.
  const isBehindDamage = gap?.position === segment.contents.damage.at(-1)?.endPosition
  const isMoved = gap !== null && isGapless && isLast && size === segment.size && !isBehindDamage
  if (isMoved) {
    endOffset = segment.contents.moveLastBatch(gap.position, gap.offset)
    epochs.truncateFromEnd(endOffset)
    const fields = { partition: nameOf(options.directory), offset: gap.offset }
    options.log.error('the last batch did not follow the one before and is put right', fields)
  }
  const end = { nextOffset: endOffset, size, leaderEpoch: epochs.latest }
  if (isLast && endOffset < recoveryPoint && size < segment.size) {
    refuseIfMoreThanTorn(segment, end, options)
    segment.contents.keepDamagedEnd(end, recoveryPoint)
    return { endOffset: recoveryPoint, isBroken: false, isMoved }
  }
  const isBroken = size < segment.size && !isRemnant && endOffset < nextBase
  if (isBroken || segment.contents.damage.length > 0) {
    refuseIfMoreThanTorn(segment, end, options, isLast)
  }
  if (size < segment.size) tellCut(segment, end, options)
  segment.cut(size)
  const { damage } = segment.contents
  // Damage to the end of a segment: the next one goes on behind it.
  const isOpen = damage.at(-1)?.endPosition === segment.size && nextBase < Number.POSITIVE_INFINITY
  endOffset = isOpen ? Math.max(endOffset, nextBase) : endOffset
  return { endOffset, isBroken, isMoved }
}

/**
 * What happens when a log is opened: its directory is tidied, its segments are listed, and what an
 * unclean end may have left is put right.
 *
 * After a clean shutdown everything is trusted. Otherwise the segments that reach beyond the
 * recovery point are read from front to back: offsets and epochs must not fall and, from the
 * recovery point on, checksums must match. The first batch that fails ends the log: the file is cut
 * before it and later segments go, as do those after a hole. Indexes of the segments read are built
 * anew, leader epochs are taken from the batches, and producers from the newest snapshot below plus
 * the batches after it.
 */
import * as header from '../../protocol/records/batch.ts'
import type { Disk } from '../environment/disk.ts'
import type { Logger, Milliseconds, Timers } from '../environment/environment.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { OnDamage } from './log-options.ts'
import { applyBatch } from './producer-replay.ts'
import { ProducerSnapshots, snapshotSuffix } from './producer-snapshot.ts'
import type { ProducerStates } from './producer-states.ts'
import { isSound, lastOffsetOf, leaderEpochOf, plausibleBytes } from './scan.ts'
import {
  deletedSuffix,
  fileNameOf,
  type Segment,
  type SegmentEnd,
  segmentSuffixes,
} from './segment.ts'
import { Segments } from './segments.ts'

export interface RecoveryOptions {
  readonly disk: Disk
  readonly directory: string
  readonly isClean: boolean
  /** From the checkpoints of the log directory. */
  readonly recoveryPoint: number
  readonly logStartOffset: number
  readonly epochs: LeaderEpochs
  readonly producers: ProducerStates
  /** No offset may be missing: false where compaction takes records out. */
  readonly isGapless: boolean
  readonly onDamage: OnDamage
  readonly now: Milliseconds
  readonly log: Logger
  readonly timers: Timers
  readonly openSegment: (baseOffset: number) => Segment
  readonly createSegment: (baseOffset: number) => Segment
}

export interface Recovered {
  readonly segments: Segments
  readonly snapshots: ProducerSnapshots
  readonly logStartOffset: number
  readonly logEndOffset: number
}

/**
 * Opens the files of a partition. Throws DiskError, and Error for damage that is to be refused.
 */
export function recover(given: RecoveryOptions): Recovered {
  let options = given
  const files = tidy(options)
  const segments = files.bases.map(options.openSegment)
  let rebuiltFrom = Number.POSITIVE_INFINITY
  let logEndOffset = 0
  if (segments.length === 0) {
    logEndOffset = options.logStartOffset
    segments.push(options.createSegment(logEndOffset))
  } else if (options.isClean) {
    logEndOffset = trustEnd(segments.at(-1) as Segment, options)
  } else {
    const rebuilt = rebuildFromRecoveryPoint(segments, options)
    rebuiltFrom = rebuilt.fromOffset
    logEndOffset = rebuilt.logEndOffset
  }
  reportMissing(segments, files.bases, logEndOffset, options)
  if (logEndOffset < options.logStartOffset && segments.some((segment) => segment.size > 0)) {
    const { logStartOffset, directory } = options
    const fields = { partition: nameOf(directory), logStartOffset, logEndOffset }
    options.log.warn('the log start checkpoint lies above the log end and is ignored', fields)
    options = { ...options, logStartOffset: 0 }
  }
  if (logEndOffset < options.logStartOffset) {
    // All that is left was deleted before: the log goes on where it is known to begin.
    for (const segment of segments.splice(0)) remove(segment, options.disk)
    logEndOffset = options.logStartOffset
    segments.push(options.createSegment(logEndOffset))
  }
  const first = segments[0] as Segment
  const logStartOffset = Math.max(options.logStartOffset, first.baseOffset)
  recoverEpochs(segments, logStartOffset, logEndOffset, options)
  const snapshots = new ProducerSnapshots(options.disk, options.directory, files.snapshots)
  dropStraySnapshots(snapshots, segments, Math.min(rebuiltFrom, logEndOffset))
  rebuildProducers({ ...options, segments, snapshots, rebuiltFrom, logStartOffset })
  const recovered = new Segments({
    ...options,
    list: segments,
    recoveryPoint: Math.min(options.recoveryPoint, logEndOffset),
    hasNewNames: !options.isClean || logEndOffset === logStartOffset,
  })
  // What was read back may be in the page cache only.
  for (const segment of segments) {
    if (segment.baseOffset >= rebuiltFrom) recovered.markDirty(segment)
  }
  return { segments: recovered, snapshots, logStartOffset, logEndOffset }
}

/** Removes what no segment owns; finishes replacements that were complete. Lists what stays. */
function tidy({ disk, directory }: RecoveryOptions): { bases: number[]; snapshots: number[] } {
  const names = disk.list(directory).map((entry) => entry.name)
  const remove = (name: string) => disk.remove(`${directory}/${name}`)
  const cleaned = names.filter((name) => name.endsWith('.cleaned'))
  const firstCleaned = Math.min(...cleaned.map(offsetOf))
  const doomed = names.filter((name) => name.endsWith('.cleaned') || name.endsWith(deletedSuffix))
  // A split of a segment that did not finish left both kinds; its originals are still there.
  const unfinished = names.filter(
    (name) => name.endsWith('.swap') && offsetOf(name) >= firstCleaned,
  )
  for (const name of [...doomed, ...unfinished]) remove(name)
  const swaps = names.filter((name) => name.endsWith('.swap') && !unfinished.includes(name))
  if (swaps.length > 0) finishSwaps(disk, directory, swaps, names)

  const left = disk.list(directory).map((entry) => entry.name)
  const bases = left.filter((name) => isFileOf(name, '.log')).map(offsetOf)
  const owners = new Set(bases)
  for (const name of left) {
    const isPart = segmentSuffixes.some((suffix) => isFileOf(name, suffix))
    if (isPart && !owners.has(offsetOf(name))) remove(name)
  }
  bases.sort((a, b) => a - b)
  return { bases, snapshots: left.filter((name) => isFileOf(name, snapshotSuffix)).map(offsetOf) }
}

/**
 * A `.swap` file holds all that the segments it replaces did: those within its offsets go, and then
 * it takes its final name.
 */
function finishSwaps(disk: Disk, directory: string, swaps: string[], names: string[]): void {
  const finalName = (name: string) => name.slice(0, -'.swap'.length)
  for (const swap of swaps.filter((name) => name.endsWith('.log.swap'))) {
    const end = endOfFile(disk, `${directory}/${swap}`)
    for (const name of names.filter((other) => isFileOf(other, '.log'))) {
      const base = offsetOf(name)
      if (base < offsetOf(swap) || base >= end) continue
      for (const suffix of segmentSuffixes) disk.remove(`${directory}/${fileNameOf(base)}${suffix}`)
    }
  }
  for (const name of swaps) disk.rename(`${directory}/${name}`, `${directory}/${finalName(name)}`)
}

function endOfFile(disk: Disk, path: string): number {
  const bytes = disk.readFile(path)
  let end = -1
  let at = 0
  while (at + header.headerBytes <= bytes.length) {
    const size = plausibleBytes(bytes, at)
    if (size === 0) break
    end = lastOffsetOf(bytes, at) + 1
    at += size
  }
  return end
}

const isFileOf = (name: string, suffix: string): boolean =>
  name.length === 20 + suffix.length && name.endsWith(suffix) && /^\d{20}\./.test(name)

const offsetOf = (name: string): number => Number(name.slice(0, 20))

/** Where a log that was closed in good order ends. */
function trustEnd(active: Segment, options: RecoveryOptions): number {
  const { nextOffset, size } = active.readEnd()
  if (size < active.size) {
    refuseIfMoreThanTorn(active, { nextOffset, size }, options)
    logCut(active, size, options)
    active.cut(size)
  }
  return nextOffset
}

const nameOf = (directory: string): string => directory.slice(directory.lastIndexOf('/') + 1)

function logCut(segment: Segment, keptBytes: number, { log, directory }: RecoveryOptions): void {
  const fields = { directory, segment: segment.baseOffset, keptBytes }
  log.warn('log cut at the last whole batch', { ...fields, cutBytes: segment.size - keptBytes })
}

/** Damage with sound batches behind it, or below what was durable, is no torn end. */
function refuseIfMoreThanTorn(
  segment: Segment,
  { nextOffset, size }: SegmentEnd,
  options: RecoveryOptions,
): void {
  if (options.onDamage === 'cut') return
  const isBelow = nextOffset < options.recoveryPoint
  if (isBelow || segment.hasSoundBatchBehind(size, nextOffset, options.epochs.latest)) {
    throw refusal(segment.baseOffset, `is damaged at byte ${size}, offset ${nextOffset}`, options)
  }
}

function refusal(base: number, what: string, { directory }: RecoveryOptions): Error {
  const file = `${directory}/${fileNameOf(base)}.log`
  return new Error(
    `${file} ${what}, with records behind that exist nowhere else: refuses to start. ` +
      `Restore the file from a copy, or move ${directory} aside.`,
  )
}

/** Says what was durable and is not there. Throws where that is to be refused. */
function reportMissing(
  segments: readonly Segment[],
  bases: readonly number[],
  logEndOffset: number,
  options: RecoveryOptions,
): void {
  const { recoveryPoint, logStartOffset, isClean, directory, log } = options
  const partition = nameOf(directory)
  if (logEndOffset < recoveryPoint) {
    const { baseOffset } = segments.at(-1) as Segment
    if (options.onDamage === 'refuse') {
      const what = `is missing or ends at offset ${logEndOffset}, before ${recoveryPoint}`
      throw refusal(baseOffset, what, options)
    }
    const missing = { fromOffset: logEndOffset, toOffset: recoveryPoint }
    const fields = { partition, ...missing, segments: bases.length }
    log.error('records that were durable are missing at the end of the log', fields)
  }
  const first = bases[0] ?? logStartOffset
  // After an unclean end the checkpoint may be older than the last deletion.
  if (isClean && first > logStartOffset) {
    const fields = { partition, fromOffset: logStartOffset, toOffset: first }
    // Kafka writes no checkpoint for a log that starts with its first segment.
    if (logStartOffset === 0) log.warn('the log does not begin at offset 0', fields)
    else log.error('records are missing at the start of the log', fields)
  }
}

function rebuildFromRecoveryPoint(
  segments: Segment[],
  options: RecoveryOptions,
): { fromOffset: number; logEndOffset: number } {
  const { recoveryPoint, epochs, isGapless } = options
  const endOf = (index: number) => segments[index + 1]?.baseOffset ?? Number.POSITIVE_INFINITY
  // The one that ends there may have been cut, and the cut have been lost.
  let index = segments.findIndex((_, at) => endOf(at) >= recoveryPoint)
  const fromOffset = (segments[index] as Segment).baseOffset
  epochs.truncateFromEnd(fromOffset)
  let logEndOffset = fromOffset
  for (; index < segments.length; index++) {
    const segment = segments[index] as Segment
    const { baseOffset } = segment
    const isHole = isGapless && baseOffset > logEndOffset
    let isBroken = isHole && baseOffset > recoveryPoint
    if (isHole) {
      const partition = nameOf(options.directory)
      const fields = { partition, fromOffset: logEndOffset, toOffset: baseOffset }
      options.log.error('records are missing between two segments', fields)
    }
    // Above the recovery point a power loss may have taken the end of the segment before only.
    if (isHole && options.onDamage === 'refuse' && logEndOffset < recoveryPoint) {
      throw refusal(baseOffset, `does not follow offset ${logEndOffset}`, options)
    }
    if (!isBroken) {
      const rebuilt = rebuildSegment(
        segment,
        Math.max(baseOffset, logEndOffset),
        endOf(index),
        options,
      )
      logEndOffset = rebuilt.endOffset
      isBroken = rebuilt.isBroken
      if (isBroken) index++
    }
    if (isBroken) for (const later of segments.splice(index).reverse()) remove(later, options.disk)
  }
  for (const segment of segments.slice(0, -1)) {
    if (segment.baseOffset >= fromOffset) segment.persistIndexes()
  }
  return { fromOffset, logEndOffset }
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
  options: RecoveryOptions,
): { endOffset: number; isBroken: boolean } {
  const { recoveryPoint, epochs } = options
  let endOffset = expected
  let isRemnant = false
  const { size } = segment.rebuild((buffer, at) => {
    const offset = header.baseOffset(buffer, at)
    const lastOffset = lastOffsetOf(buffer, at)
    const epoch = leaderEpochOf(buffer, at)
    isRemnant = lastOffset >= nextBase
    if (isRemnant || offset < endOffset) return false
    if (lastOffset >= recoveryPoint) {
      // An older epoch is what a truncation had taken away that was then lost.
      if ((epoch >= 0 && epoch < epochs.latest) || !isSound(buffer, at)) return false
    }
    epochs.assign(epoch, offset)
    endOffset = lastOffset + 1
    return true
  })
  const isBroken = size < segment.size && !isRemnant
  if (isBroken) refuseIfMoreThanTorn(segment, { nextOffset: endOffset, size }, options)
  segment.transactionIndex.truncateTo(segment.baseOffset)
  if (size < segment.size) logCut(segment, size, options)
  segment.cut(size)
  return { endOffset, isBroken }
}

function remove(segment: Segment, disk: Disk): void {
  for (const path of segment.markDeleted()) disk.remove(path)
}

function recoverEpochs(
  segments: readonly Segment[],
  logStartOffset: number,
  logEndOffset: number,
  { epochs }: RecoveryOptions,
): void {
  if (!epochs.isLoaded && logEndOffset > logStartOffset) {
    epochs.clear()
    for (const segment of segments) {
      segment.scan(0, (buffer, at) => {
        epochs.assign(leaderEpochOf(buffer, at), header.baseOffset(buffer, at))
        return true
      })
    }
  }
  epochs.truncateFromEnd(logEndOffset)
  epochs.truncateFromStart(logStartOffset)
}

/**
 * A snapshot belongs to the segment that begins with it; the newest may stand alone (a clean close
 * took it). Those above `offsetMax` speak of batches that are to be read again.
 */
function dropStraySnapshots(
  snapshots: ProducerSnapshots,
  segments: readonly Segment[],
  offsetMax: number,
): void {
  snapshots.keepOnly((offset) => offset <= offsetMax)
  const { newest } = snapshots
  const bases = new Set(segments.map((segment) => segment.baseOffset))
  snapshots.keepOnly((offset) => offset === newest || bases.has(offset))
}

export interface ProducerRebuild {
  readonly segments: readonly Segment[]
  readonly snapshots: ProducerSnapshots
  readonly producers: ProducerStates
  readonly logStartOffset: number
  /** Segments from this offset on get their transaction indexes anew. */
  readonly rebuiltFrom: number
  readonly now: Milliseconds
}

/**
 * Producers as they are at the end of `segments`: the newest snapshot, then the batches after it.
 */
export function rebuildProducers(options: ProducerRebuild): void {
  const { segments, snapshots, producers, logStartOffset, rebuiltFrom, now } = options
  const snapshot = snapshots.loadNewest()
  producers.load(snapshot?.entries ?? [], now)
  const from = snapshot?.offset ?? logStartOffset
  for (const [index, segment] of segments.entries()) {
    const endOffset = segments[index + 1]?.baseOffset ?? Number.POSITIVE_INFINITY
    if (endOffset <= from) continue
    segment.scan(segment.baseOffset >= from ? 0 : segment.positionOf(from), (buffer, at) => {
      if (lastOffsetOf(buffer, at) < from) return true
      const completed = applyBatch(producers, buffer, at)
      if (completed?.isAborted === true && segment.baseOffset >= rebuiltFrom) {
        segment.transactionIndex.append(completed)
      }
      return true
    })
  }
}

/**
 * What happens when a log is opened: its directory is tidied (`segment-files`), its segments are
 * listed, and what an unclean end may have left is put right.
 *
 * After a clean shutdown only the ends are read. Otherwise what lies beyond the recovery point is read:
 * each batch must fit to the one before and, from the recovery point on, its checksum must match. Indexes
 * are built anew from there on, leader epochs are taken from the batches, and producers from the newest
 * snapshot below plus the batches after it; each of these segments begins with a new snapshot.
 *
 * What lies below the recovery point was synced, whichever way the process or the machine ended. So the
 * segment that holds it is read from the last batch on of which all agree: a snapshot of the producers is
 * at or above it, none of whom has ended a transaction, and the index has the place where it lies, sound.
 * What the index says of places before is held against the log by whoever looks there, as after a clean
 * shutdown. Where anything is missing or disagrees, the segment is read from front to back. The recovery
 * point moves up while the broker runs (`recovery-point`): a restart reads what was written since.
 *
 * Damage never reaches beyond its partition. What is below the recovery point was durable, so nothing
 * there is given up because of what lies beside it:
 *
 *     what is found                          what becomes of it
 *     torn end after a crash; zeros or       cut at the last whole batch (warning)
 *     garbage behind the end
 *     damage above the recovery point        the log ends before it, as in Kafka: nothing there
 *     after a crash                          was promised to outlast one (error, if sound
 *                                            batches go with it)
 *     damage below the recovery point        stays; reads of what was in it fail, all before and
 *                                            behind are served (error)
 *     a header wrong, its batch sound        put right from its neighbours (error)
 *     a segment missing in the middle        the log goes on behind the hole (error)
 *     the newest missing, or cut off         the log ends where the rest ends (error)
 *     the oldest missing                     the log begins with what is left (error)
 *     all missing                            the log is empty and goes on where it ended: no offset
 *                                            is given to a second record (error)
 *     an empty segment that does not follow  removed (warning)
 *     a log file under a wrong name          renamed, or moved aside if it is a copy (error)
 *     `.deleted`, `.cleaned`, `.swap`        removed, or finished as Kafka does
 *     a checkpoint far above the log         ignored, as if the file were missing (warning)
 *     an index, snapshot or epoch file       built again, whatever is in it (warning)
 *     a log file that cannot be opened       the partition is offline (error)
 *
 * Where a log has no copy and must be whole (`refuse`), it is not opened instead.
 */
import * as header from '../../protocol/records/batch.ts'
import type { Disk } from '../environment/disk.ts'
import type { Logger, Milliseconds, Timers } from '../environment/environment.ts'
import { withoutDoubtful } from './checkpoint-doubts.ts'
import {
  dropStrayEnd,
  refusal,
  refuseIfMoreThanTorn,
  remove,
  tellCut,
  tellHole,
} from './damage-verdicts.ts'
import type { EpochStart, LeaderEpochs } from './leader-epochs.ts'
import { leaderEpochOf } from './links.ts'
import type { OnDamage } from './log-options.ts'
import { rebuildProducers, rememberEarlier } from './producer-rebuild.ts'
import { ProducerSnapshots } from './producer-snapshot.ts'
import type { ProducerStates } from './producer-states.ts'
import { rebuildFromRecoveryPoint } from './read-back.ts'
import type { Segment } from './segment.ts'
import { tidy } from './segment-files.ts'
import { nameOf } from './segment-options.ts'
import { Segments } from './segments.ts'

/** Closed segments, from the newest on, whose ends are read when a log is opened. */
const endsReadMax = 8

export interface RecoveryOptions {
  readonly disk: Disk
  readonly directory: string
  readonly isClean: boolean
  /** From the checkpoints of the log directory. */
  readonly recoveryPoint: number
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly epochs: LeaderEpochs
  readonly producers: ProducerStates
  /** No offset may be missing: false where compaction takes records out. */
  readonly isGapless: boolean
  /** Whether so many records that were read back have to be durable before the log is used. */
  readonly mustSync: (records: number) => boolean
  readonly onDamage: OnDamage
  /** Something else stands for what is below. */
  readonly replacedUpTo: number
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
  /** All from this offset on was read: segments that begin there or behind, whole. */
  readonly rebuiltFrom: number
  /** Base offsets of the segments that had a transaction index. */
  readonly transactionIndexes: ReadonlySet<number>
}

/**
 * Opens the files of a partition. Throws DiskError, and Error for damage that is to be refused.
 */
export function recover(given: RecoveryOptions): Recovered {
  const storedEpochs = [...given.epochs.entries]
  const files = tidy(given)
  let options = withoutDoubtful(given, files.bases)
  const segments = files.bases.map(options.openSegment)
  boundSegments(segments)
  const { disk, directory, log } = options
  const snapshots = new ProducerSnapshots(disk, directory, files.snapshots, log)
  // One that came back without the batches behind it knows producers as they are no more.
  snapshots.keepOnly((offset) => offset >= (segments[0]?.baseOffset ?? 0))
  let rebuiltFrom = Number.POSITIVE_INFINITY
  let areProducersKnown = false
  let producersFrom = 0
  let logEndOffset = 0
  if (segments.length === 0) {
    logEndOffset = options.logStartOffset
  } else if (options.isClean) {
    logEndOffset = trustEnd(segments, options)
  } else {
    const { transactionIndexes } = files
    const found = { ...options, transactionIndexes }
    const rebuilt = rebuildFromRecoveryPoint(segments, snapshots, found)
    rebuiltFrom = rebuilt.fromOffset
    logEndOffset = rebuilt.logEndOffset
    areProducersKnown = rebuilt.areProducersKnown
    producersFrom = rebuilt.producersFrom
  }
  reportMissing(files.bases, logEndOffset, options)
  if (segments.length === 0) {
    // What the quorum's log does without its files is for the quorum to say.
    if (options.onDamage === 'cut') logEndOffset = Math.max(logEndOffset, promisedEnd(options))
    segments.push(options.createSegment(logEndOffset))
    // As the segment's files: made now, not with those of all other logs when the broker stops.
    options.epochs.write(logEndOffset)
  }
  if (logEndOffset < options.logStartOffset && segments.some((segment) => segment.size > 0)) {
    const { logStartOffset } = options
    const fields = { partition: nameOf(directory), logStartOffset, logEndOffset }
    log.warn('the log start checkpoint lies above the log end and is ignored', fields)
    options = { ...options, logStartOffset: 0 }
    areProducersKnown = false
  }
  if (logEndOffset < options.logStartOffset) {
    // All that is left was deleted before: the log goes on where it is known to begin.
    for (const segment of segments.splice(0)) remove(segment, options)
    logEndOffset = options.logStartOffset
    segments.push(options.createSegment(logEndOffset))
  }
  boundSegments(segments)
  ;(segments.at(-1) as Segment).endOffset = logEndOffset
  const first = segments[0] as Segment
  const logStartOffset = Math.max(options.logStartOffset, first.baseOffset)
  recoverEpochs(segments, { logStartOffset, logEndOffset, rebuiltFrom, storedEpochs }, options)
  dropStraySnapshots(snapshots, segments, logEndOffset)
  if (!areProducersKnown) {
    for (const { baseOffset, transactionIndex } of segments) {
      if (baseOffset >= rebuiltFrom) transactionIndex.clear()
    }
    const given = { ...options, segments, snapshots, rebuiltFrom, logStartOffset }
    producersFrom = rebuildProducers({ ...given, snapshotMax: rebuiltFrom })
  }
  rememberEarlier(options.producers, segments, producersFrom)
  const recovered = new Segments({
    ...options,
    list: segments,
    recoveryPoint: Math.min(options.recoveryPoint, logEndOffset),
    hasNewNames: !options.isClean || logEndOffset === logStartOffset,
  })
  // From now on only the name of its one segment says where the log goes on.
  if (files.bases.length === 0 && logEndOffset > 0) recovered.syncNow(logEndOffset)
  for (const segment of segments) {
    const { baseOffset, endOffset } = segment
    if (baseOffset >= rebuiltFrom || endOffset > rebuiltFrom) recovered.markReadBack(segment)
  }
  if (!options.isClean && options.mustSync(logEndOffset - recovered.recoveryPoint)) {
    if (options.epochs.persist(logEndOffset, { sync: true })) recovered.markNames()
    recovered.syncNow(logEndOffset)
  }
  const { transactionIndexes } = files
  const offsets = { logStartOffset, logEndOffset, rebuiltFrom }
  return { segments: recovered, snapshots, ...offsets, transactionIndexes }
}

/** Each segment ends where the next one begins. */
function boundSegments(segments: readonly Segment[]): void {
  for (const [index, { baseOffset }] of segments.slice(1).entries()) {
    ;(segments[index] as Segment).endOffset = baseOffset
  }
}

/** Where a log that was closed in good order ends. */
function trustEnd(segments: Segment[], options: RecoveryOptions): number {
  dropStrayEnd(segments, options)
  const active = segments.at(-1) as Segment
  const { contents } = active
  const { recoveryPoint } = options
  const found = contents.readEnd()
  const isBeyond = options.isGapless && found.nextOffset > recoveryPoint
  // Everything was durable, so the log ended at the recovery point, if that is not damaged itself.
  if (recoveryPoint > active.baseOffset && (isBeyond || found.size < active.size)) {
    active.endOffset = recoveryPoint
    contents.examine()
    active.endOffset = Number.POSITIVE_INFINITY
  }
  // Is there more behind?
  const isOther = contents.readEnd().nextOffset !== recoveryPoint
  if (isOther && (isBeyond || contents.readEnd().size < active.size)) contents.examine()
  const end = contents.readEnd()
  if (end.size < active.size || contents.damage.length > 0) {
    refuseIfMoreThanTorn(active, end, options)
  }
  if (end.size < active.size) {
    tellCut(active, end, options)
    active.cut(end.size)
  }
  if (options.isGapless) reportHoles(segments, options)
  return end.nextOffset
}

/** Looks at the newest segments only; at the others when a read comes to their end. */
function reportHoles(segments: readonly Segment[], options: RecoveryOptions): void {
  const first = Math.max(0, segments.length - 1 - endsReadMax)
  for (let index = first; index < segments.length - 1; index++) {
    const segment = segments[index] as Segment
    const { nextOffset, size } = segment.contents.readEnd()
    if (size === segment.size) tellHole(nextOffset, segment.endOffset, options)
  }
}

/** Where the log ended, as far as that is known for sure: no offset below is given away again. */
const promisedEnd = ({ isClean, recoveryPoint, highWatermark }: RecoveryOptions): number =>
  isClean ? Math.max(recoveryPoint, highWatermark) : recoveryPoint

/** Says what was durable and is not there. Throws where that is to be refused. */
function reportMissing(
  bases: readonly number[],
  logEndOffset: number,
  options: RecoveryOptions,
): void {
  const { recoveryPoint, logStartOffset, isClean, directory, log } = options
  const partition = nameOf(directory)
  const promised = Math.max(recoveryPoint, options.highWatermark)
  if (logEndOffset < promised) {
    // Of a log that is refused nothing is readable before it is durable.
    if (options.onDamage === 'refuse' && promised > options.replacedUpTo) {
      const what = `is missing or ends at offset ${logEndOffset}, before ${promised}`
      throw refusal(bases.at(-1) ?? 0, what, options)
    }
    const missing = { fromOffset: logEndOffset, toOffset: promised }
    const fields = { partition, ...missing, segments: bases.length }
    const what = logEndOffset < recoveryPoint ? 'durable' : 'readable'
    const message =
      bases.length === 0
        ? 'all records of a partition are missing: its directory is gone, or empty'
        : `records that were ${what} are missing at the end of the log`
    log.error(message, fields)
  }
  const first = bases[0] ?? logStartOffset
  // After an unclean end the checkpoint may be older than the last deletion.
  if (isClean && first > logStartOffset && options.onDamage === 'cut') {
    const fields = { partition, fromOffset: logStartOffset, toOffset: first }
    // Kafka writes no checkpoint for a log that starts with its first segment.
    if (logStartOffset === 0) log.warn('the log does not begin at offset 0', fields)
    else log.error('records are missing at the start of the log', fields)
  }
}

function recoverEpochs(
  segments: readonly Segment[],
  known: {
    logStartOffset: number
    logEndOffset: number
    rebuiltFrom: number
    storedEpochs: readonly EpochStart[]
  },
  { epochs, directory, log }: RecoveryOptions,
): void {
  const { logStartOffset, logEndOffset, rebuiltFrom, storedEpochs } = known
  const { lastLeaderEpoch } = (segments.at(-1) as Segment).contents
  const isAllRead = rebuiltFrom <= (segments[0] as Segment).baseOffset
  epochs.truncateFromEnd(logEndOffset)
  const isRight = lastLeaderEpoch < 0 || epochs.epochAt(logEndOffset - 1) === lastLeaderEpoch
  const partition = nameOf(directory)
  const rebuilt = 'the leader epochs are missing or damaged and are taken from the batches'
  if ((!epochs.isLoaded || !isRight) && !isAllRead && logEndOffset > logStartOffset) {
    log.warn(rebuilt, { partition })
    rebuildEpochs(segments, epochs)
  } else if (epochs.isDamaged) {
    // The batches were read in any case.
    log.warn(rebuilt, { partition })
  } else if (lastLeaderEpoch >= 0) {
    const isUnknown = ({ epoch, startOffset }: EpochStart) =>
      startOffset > logEndOffset || (startOffset < logEndOffset && epoch > lastLeaderEpoch)
    const fields = { partition, epochs: storedEpochs.filter(isUnknown) }
    const message = 'the leader epochs had some of which there are no batches; they are dropped'
    if (fields.epochs.length > 0) log.warn(message, fields)
  }
  epochs.truncateFromStart(logStartOffset)
}

/** Epochs do not fall: only segments in which they change are read whole. */
function rebuildEpochs(segments: readonly Segment[], epochs: LeaderEpochs): void {
  epochs.clear()
  for (const [index, segment] of segments.entries()) {
    const epochAfter = segments[index + 1]?.firstLeaderEpoch ?? segment.contents.lastLeaderEpoch
    segment.scan(0, (buffer, at) => {
      const epoch = leaderEpochOf(buffer, at)
      epochs.assign(epoch, header.baseOffset(buffer, at))
      return epoch < 0 || epoch !== epochAfter
    })
  }
}

/**
 * A snapshot belongs to the segment that begins with it; the newest may stand alone (a clean close
 * took it). Those above `offsetMax`, where the log ends, speak of batches that are not there.
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

/**
 * What does not fit in the files of a log that is being opened: it is told, taken away, or refused where
 * the log has no copy and must be whole.
 */
import { DiskError } from '../environment/disk.ts'
import type { RecoveryOptions } from './recovery.ts'
import type { Segment } from './segment.ts'
import { fileNameOf, nameOf, type SegmentEnd } from './segment-options.ts'

export function tellHole(fromOffset: number, toOffset: number, options: RecoveryOptions): void {
  if (fromOffset >= toOffset) return
  const fields = { partition: nameOf(options.directory), fromOffset, toOffset }
  options.log.error('records are missing between two segments', fields)
}

/** What is cut may hold more than the torn end of what was written last. */
export function tellCut(segment: Segment, end: SegmentEnd, options: RecoveryOptions): void {
  const { directory, log } = options
  const fields = {
    partition: nameOf(directory),
    segment: segment.baseOffset,
    logEndOffset: end.nextOffset,
    keptBytes: end.size,
    cutBytes: segment.size - end.size,
  }
  if (segment.contents.soundBatchBehind(end) >= 0) {
    log.error('log cut before a damaged batch, with the batches behind it', fields)
  } else {
    log.warn('log cut at the last whole batch', fields)
  }
}

/**
 * Damage with sound batches behind it, or below what was durable, is no torn end; nor is one of a segment
 * that another follows, since a log that is refused is synced before it is rolled. Of writes that no sync
 * covered a power loss may take any sector and leave what is behind: that is a torn end.
 */
export function refuseIfMoreThanTorn(
  segment: Segment,
  end: SegmentEnd,
  options: RecoveryOptions,
  isLast = true,
): void {
  if (options.onDamage === 'cut') return
  const [damage] = segment.contents.damage
  const { size, nextOffset } =
    damage === undefined ? end : { size: damage.position, nextOffset: damage.fromOffset }
  const isMore =
    !isLast ||
    damage !== undefined ||
    nextOffset < options.recoveryPoint ||
    isUnlikeLoss(segment, end)
  if (!isMore) return
  throw refusal(segment.baseOffset, `is damaged at byte ${size}, offset ${nextOffset}`, options)
}

/** Whether a sound batch lies behind the end that did not get there before what is missing. */
function isUnlikeLoss({ contents }: Segment, end: SegmentEnd): boolean {
  const behind = contents.soundBatchBehind(end, { ofAnyEpoch: true })
  return behind >= 0 && !contents.hasLostSector(end.size, behind)
}

export function refusal(base: number, what: string, { directory }: RecoveryOptions): Error {
  const file = `${directory}/${fileNameOf(base)}.log`
  const message =
    `${file} ${what}, with records behind that exist nowhere else: refuses to start. ` +
    'Restore the file from a copy. To begin anew with empty metadata, which forgets every topic, ' +
    'move all log directories aside.'
  return new DiskError('EDAMAGED', file, { message })
}

/** An empty segment at the end that neither follows the one before nor is where the log ended. */
export function dropStrayEnd(segments: Segment[], options: RecoveryOptions): void {
  while (segments.length > 1) {
    const last = segments.at(-1) as Segment
    const before = segments.at(-2) as Segment
    if (last.size > 0 || last.baseOffset === options.recoveryPoint) return
    const end = before.contents.readEnd()
    if (end.size < before.size || end.nextOffset === last.baseOffset) return
    const fields = { partition: nameOf(options.directory), segment: last.baseOffset }
    options.log.warn('an empty segment that does not follow is removed', fields)
    remove(last, options)
    segments.pop()
    before.endOffset = Number.POSITIVE_INFINITY
  }
}

export function remove(segment: Segment, { disk }: RecoveryOptions): void {
  for (const path of segment.markDeleted()) disk.remove(path)
}

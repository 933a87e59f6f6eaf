/**
 * Damage in the middle of a segment: what a walk over all of it finds, and what can be done.
 *
 * A header that does not fit between its neighbours while the rest of its batch is sound is put
 * right in the file: base offset, length, leader epoch and magic follow from the batches before and
 * behind, and the checksum proves the rest. Everything else from the first byte that fits nowhere to
 * the next sound batch is a damaged stretch. It stays as it is; the offsets that were in it cannot
 * be read, all others can.
 */
import * as header from '../../protocol/records/batch.ts'
import type { DiskFile } from '../environment/disk.ts'
import {
  isSound,
  type Link,
  lastOffsetOf,
  leaderEpochOf,
  linkedBytes,
  noLink,
  peekBytes,
  plausibleBytes,
} from './links.ts'
import { type BatchVisitor, findSound, scanBatches } from './scan.ts'

export interface Damage {
  readonly position: number
  readonly endPosition: number
  /** The first offset that may be missing. */
  readonly fromOffset: number
  /** Exclusive: where the next sound batch begins; infinite where nothing is known of it. */
  readonly toOffset: number
}

export interface Examination {
  readonly file: DiskFile
  /** Bytes. */
  readonly size: number
  /** Batches begin at or above `baseOffset` and end below `endOffset`, which may be infinite. */
  readonly baseOffset: number
  readonly endOffset: number
  /** Where the walk begins, and with which offset; unless it is told, at the front. */
  readonly from?: { readonly position: number; readonly offset: number }
  /** False: the walk ends before this batch, as it does at what cannot be one. */
  readonly visit: BatchVisitor
  /** See `Link`. */
  readonly unsettledFrom: number
  /** Whether damage in the place of the batch of `offset` is to be walked over. */
  readonly mayResume: (offset: number) => boolean
  /** A header at `position` was put right. */
  readonly onMended: (position: number, offset: number) => void
}

/** Offsets within a segment fit into the 31 bits that the offset index has for them. */
const relativeOffsetsMax = 2 ** 31
/** A batch of more bytes is not looked at for a header to put right. */
const mendedBytesMax = 64 * 1024 * 1024

export interface Examined {
  /** The last of them may reach to the segment's end. */
  readonly damage: readonly Damage[]
  /** Where the walk ended: the size, or the position of what it was not to walk over. */
  readonly end: number
}

/** Walks a segment to its end, over damage. Throws DiskError. */
export function examine(options: Examination): Examined {
  const { file, size, baseOffset, endOffset, visit } = options
  const from = options.from ?? { position: 0, offset: baseOffset }
  const link = noLink(from.offset - 1, options.unsettledFrom)
  const damage: Damage[] = []
  let { position } = from
  let mended = -1
  for (;;) {
    position = scanBatches(file, position, size, visit, link)
    const fromOffset = link.lastOffset + 1
    if (position >= size) break
    const repeated = repeatedBytes(file, position, size, link)
    if (repeated > 0) {
      const endPosition = position + repeated
      damage.push({ position, endPosition, fromOffset, toOffset: fromOffset })
      position = endPosition
      continue
    }
    if (!options.mayResume(fromOffset)) break
    const next = nextSound(options, position, link)
    if (position !== mended && mendHeader(options, position, next, link)) {
      mended = position
      options.onMended(position, fromOffset)
      continue
    }
    if (next < 0) {
      damage.push({ position, endPosition: size, fromOffset, toOffset: endOffset })
      position = size
      break
    }
    const toOffset = header.baseOffset(readHeader(file, next), 0)
    damage.push({ position, endPosition: next, fromOffset, toOffset })
    link.lastOffset = toOffset - 1
    position = next
  }
  // What holds no offset belongs to the segment only where batches follow.
  while (damage.at(-1)?.endPosition === position) {
    const last = damage.at(-1) as Damage
    if (last.fromOffset < last.toOffset) break
    position = last.position
    damage.pop()
  }
  return { damage, end: position }
}

/** Bytes of a sound batch at `position` whose offsets were there before; 0 where it is none. */
function repeatedBytes(file: DiskFile, position: number, size: number, link: Link): number {
  const first = readHeader(file, position)
  const bytes = plausibleBytes(first, 0)
  if (bytes === 0 || position + bytes > size || header.magic(first, 0) !== 2) return 0
  if (lastOffsetOf(first, 0) > link.lastOffset) return 0
  if (leaderEpochOf(first, 0) !== link.leaderEpoch || bytes > mendedBytesMax) return 0
  const batch = Buffer.allocUnsafe(bytes)
  return file.read(batch, position) === bytes && isSound(batch, 0) ? bytes : 0
}

/** Where a walk can go on behind the damage at `position`; -1: nowhere. */
function nextSound(options: Examination, position: number, link: Link): number {
  const { file, size } = options
  // No index could tell of an offset further on; no checksum covers the one that a batch claims to have.
  const endOffset = Math.min(options.endOffset, options.baseOffset + relativeOffsetsMax)
  const next = position + plausibleBytes(readHeader(file, position), 0)
  const isThere = next > position && next + header.headerBytes <= size
  // What lies in the records of a damaged batch may look like a batch, too.
  if (isThere && linkedBytes(readHeader(file, next), 0, peekBytes, link) > 0) {
    const nextLink = { ...link }
    if (findSound(file, { from: next, to: size, link: nextLink, endOffset }) === next) return next
  }
  return findSound(file, { from: position + 1, to: size, link, endOffset })
}

function readHeader(file: DiskFile, position: number): Buffer {
  const bytes = Buffer.alloc(header.headerBytes)
  file.read(bytes, position)
  return bytes
}

/** Whether the batch in [position, next) is sound but for its header, which is put right then. */
function mendHeader(
  { file, size, endOffset }: Examination,
  position: number,
  next: number,
  link: Link,
): boolean {
  const end = next < 0 ? size : next
  if (end - position < header.headerBytes || end - position > mendedBytesMax) return false
  const batch = Buffer.allocUnsafe(end - position)
  if (file.read(batch, position) < batch.length) return false
  const given = { base: header.baseOffset(batch, 0), epoch: leaderEpochOf(batch, 0) }
  const behind = next < 0 ? null : readHeader(file, next)
  const nextBase = behind === null ? endOffset : header.baseOffset(behind, 0)
  const nextEpoch = behind === null ? Number.POSITIVE_INFINITY : leaderEpochOf(behind, 0)
  batch.writeInt32BE(batch.length - header.logOverheadBytes, 8)
  batch[16] = 2
  const delta = header.lastOffsetDelta(batch, 0)
  if (delta < 0 || !header.isCrcValid(batch, 0)) return false
  const pinned = link.lastOffset + 1
  const isGivenPossible = given.base >= pinned && given.base + delta < nextBase
  if (pinned + delta + 1 === nextBase) header.setBaseOffset(batch, 0, pinned)
  else if (!isGivenPossible) return false
  // The last batch of all: nothing says that its offset is right but that it follows.
  else if (nextBase === Number.POSITIVE_INFINITY && given.base !== pinned) return false
  if (given.epoch < link.leaderEpoch || given.epoch > nextEpoch) {
    const epoch = link.leaderEpoch >= 0 ? link.leaderEpoch : nextEpoch
    if (!Number.isFinite(epoch)) return false
    header.setLeaderEpoch(batch, 0, epoch)
  }
  file.write([batch.subarray(0, 17)], position)
  return true
}

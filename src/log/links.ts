/**
 * What must hold between a stored batch and its neighbours. The CRC covers a batch from its
 * attributes on; base offset, length, leader epoch and magic lie before it. So every walk over
 * stored batches holds them against the batch before and, where it is in view, the batch behind:
 * offsets rise, epochs do not fall, and the length leads to where the next batch begins.
 *
 * Offsets may be missing between two batches, since compaction takes records out.
 */
import * as header from '../../protocol/records/batch.ts'
import { crc32 } from '../../protocol/records/crc32.ts'

/** Up to and including the last field that `lastOffsetOf` needs. */
export const peekBytes = 27

/** The smallest entry: a message of magic 0 without key and value. */
export const entryBytesMin = 26

/** What a walk knows of the batch it has just passed. */
export interface Link {
  /** -1: unknown. */
  lastOffset: number
  /** -1: unknown, or an entry of an old set. */
  leaderEpoch: number
  /**
   * From this offset on a truncation may have been lost: an older epoch behind a newer one is no
   * reason to doubt the newer.
   */
  readonly unsettledFrom: number
}

export const noLink = (lastOffset = -1, unsettledFrom = Number.POSITIVE_INFINITY): Link => ({
  lastOffset,
  leaderEpoch: -1,
  unsettledFrom,
})

/**
 * Bytes of the batch at `at` in `buffer`, 0 where it cannot follow `link`. Whether so many bytes are
 * there is for the caller to see; the batch behind counts where its header lies before `end`.
 */
export function linkedBytes(buffer: Buffer, at: number, end: number, link: Link): number {
  const size = plausibleBytes(buffer, at)
  if (size === 0) return 0
  const base = header.baseOffset(buffer, at)
  const last = lastOffsetOf(buffer, at)
  const epoch = leaderEpochOf(buffer, at)
  if (base <= link.lastOffset || last < base) return 0
  if (epoch < link.leaderEpoch && epoch !== -1) return 0
  const next = at + size
  // Zeros behind a torn header look like an old magic; an old set behind a batch must prove itself.
  const isOlder = link.leaderEpoch >= 0 && header.magic(buffer, at) < 2
  if (isOlder && next <= end && !isSound(buffer, at)) return 0
  if (next + peekBytes > end) return size
  // It may be this one's length that does not lead to the next.
  const isNext =
    plausibleBytes(buffer, next) > 0 && header.magic(buffer, next) >= header.magic(buffer, at)
  if (!isNext) return isSound(buffer, at) ? size : 0
  const nextEpoch = leaderEpochOf(buffer, next)
  const isNextBelow = header.baseOffset(buffer, next) <= last
  const isSettled = header.baseOffset(buffer, next) < link.unsettledFrom
  const isNextOlder = nextEpoch < epoch && nextEpoch !== -1 && isSettled
  if (!isNextBelow && !isNextOlder) return size
  // One of the two is wrong. A sound batch that begins where it should is not.
  const isPinned = base === link.lastOffset + 1 && (epoch === link.leaderEpoch || !isNextOlder)
  return isPinned && isSound(buffer, at) ? size : 0
}

/** The walk goes on behind the batch at `at`. */
export function pass(link: Link, buffer: Buffer, at: number): void {
  link.lastOffset = lastOffsetOf(buffer, at)
  const epoch = leaderEpochOf(buffer, at)
  if (epoch >= 0) link.leaderEpoch = epoch
}

/** Whether offsets are missing before the batch at `at`. */
export const isBehindGap = (link: Link, buffer: Buffer, at: number): boolean =>
  header.baseOffset(buffer, at) !== link.lastOffset + 1

/**
 * Bytes of the batch at `at`, by which every walk over stored batches steps; 0 where its magic or its
 * length cannot be right. Whether so many bytes are there is for the caller to see.
 */
export const plausibleBytes = (buffer: Buffer, at: number): number => {
  const magic = header.magic(buffer, at)
  if (magic < 0 || magic > 2) return 0
  const bytes = header.batchBytes(buffer, at)
  return bytes >= (magic === 2 ? header.headerBytes : entryBytesMin) ? bytes : 0
}

/** An entry of an old set counts as a batch of its last offset. */
export const lastOffsetOf = (buffer: Buffer, at: number): number =>
  header.magic(buffer, at) === 2 ? header.lastOffset(buffer, at) : header.baseOffset(buffer, at)

/** -1 for an entry without a timestamp. */
export const maxTimestampOf = (buffer: Buffer, at: number): number => {
  const magic = header.magic(buffer, at)
  if (magic === 2) return header.maxTimestamp(buffer, at)
  return magic === 1 ? Number(buffer.readBigInt64BE(at + 18)) : -1
}

/** -1 for an entry of an old set. */
export const leaderEpochOf = (buffer: Buffer, at: number): number =>
  header.magic(buffer, at) === 2 ? header.partitionLeaderEpoch(buffer, at) : -1

/** Whether the checksum of a batch, or of an entry of an old set, is that of its bytes. */
export const isSound = (buffer: Buffer, at: number): boolean => {
  if (header.magic(buffer, at) === 2) {
    return header.lastOffsetDelta(buffer, at) >= 0 && header.isCrcValid(buffer, at)
  }
  return crc32(buffer, at + 16, at + header.batchBytes(buffer, at)) === buffer.readUInt32BE(at + 12)
}

/** The largest timestamp of all batches in `bytes`, up to one that cannot be; -1 for none. */
export const largestTimestampOf = (bytes: Buffer): number => {
  let largest = -1
  let at = 0
  while (at + entryBytesMin <= bytes.length) {
    const size = plausibleBytes(bytes, at)
    if (size === 0) break
    largest = Math.max(largest, maxTimestampOf(bytes, at))
    at += size
  }
  return largest
}

/**
 * Walks the batches of a segment file from front to back, in large reads. It stops at the first
 * byte that does not begin a whole batch: what lies before is a sound prefix of the log.
 *
 * Directories of older Kafka releases may hold message sets of magic 0 and 1. They are kept and
 * served as they are, so the few facts the log needs of a stored entry are read here, whatever its
 * magic.
 */
import * as header from '../../protocol/records/batch.ts'
import type { DiskFile } from '../environment/disk.ts'

const windowBytes = 1024 * 1024

/** Up to and including the last field that `lastOffsetOf` needs. */
export const peekBytes = 27

/** The smallest entry: a message of magic 0 without key and value. */
const entryBytesMin = 26

/** One batch at `at` in `buffer`, and at `position` in the file. False ends the walk before it. */
export type BatchVisitor = (buffer: Buffer, at: number, position: number) => boolean

/**
 * Visits the batches in [from, to). Returns the position where the walk ended: `to`, or that of the
 * first batch that is not whole or that `visit` refused. The buffer is reused.
 */
export function scanBatches(file: DiskFile, from: number, to: number, visit: BatchVisitor): number {
  let window: Buffer = Buffer.allocUnsafe(Math.max(1, Math.min(windowBytes, to - from)))
  let position = from
  while (position < to) {
    const bytes = file.read(window.subarray(0, Math.min(window.length, to - position)), position)
    let at = 0
    let size = 0
    while (bytes - at >= entryBytesMin) {
      size = plausibleBytes(window, at)
      if (size === 0 || position + at + size > to) return position + at
      if (at + size > bytes) break
      if (!visit(window, at, position + at)) return position + at
      at += size
    }
    if (at === 0) {
      // The file is shorter than it was, ends in a few odd bytes, or a batch is larger than the
      // window.
      if (bytes < entryBytesMin || size <= window.length) return position
      window = Buffer.allocUnsafe(size)
    }
    position += at
  }
  return position
}

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

/**
 * Whether `bytes` hold, anywhere, a whole batch that can follow: its checksum right, its offset and
 * leader epoch not below those given.
 */
export const holdsSoundBatch = (bytes: Buffer, offset: number, leaderEpoch: number): boolean => {
  for (let at = 0; at + header.headerBytes <= bytes.length; at++) {
    if (header.magic(bytes, at) !== 2) continue
    const size = plausibleBytes(bytes, at)
    if (size === 0 || at + size > bytes.length) continue
    if (header.baseOffset(bytes, at) < offset || leaderEpochOf(bytes, at) < leaderEpoch) continue
    if (isSound(bytes, at)) return true
  }
  return false
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

/** The checksum of a batch; entries of old sets are taken as they are. */
export const isSound = (buffer: Buffer, at: number): boolean =>
  header.magic(buffer, at) !== 2 ||
  (header.lastOffsetDelta(buffer, at) >= 0 && header.isCrcValid(buffer, at))

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

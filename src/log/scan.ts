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
      size = header.batchBytes(window, at)
      if (!isPlausible(window, at, size) || position + at + size > to) return position + at
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

const isPlausible = (buffer: Buffer, at: number, size: number): boolean => {
  const magic = header.magic(buffer, at)
  if (magic < 0 || magic > 2) return false
  return size >= (magic === 2 ? header.headerBytes : entryBytesMin)
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

/** The largest timestamp of all batches in `bytes`; -1 for none. */
export const largestTimestampOf = (bytes: Buffer): number => {
  let largest = -1
  for (let at = 0; at < bytes.length; at += header.batchBytes(bytes, at)) {
    largest = Math.max(largest, maxTimestampOf(bytes, at))
  }
  return largest
}

/**
 * Walks the batches of a segment file from front to back, in large reads. It stops at the first
 * byte that does not begin a whole batch that can follow the one before (`links`): what lies before
 * is a sound prefix of the log. `findSound` looks for where a walk could go on behind.
 *
 * Directories of older Kafka releases may hold message sets of magic 0 and 1. They are kept and
 * served as they are, so the few facts the log needs of a stored entry are read whatever its magic.
 */
import * as header from '../../protocol/records/batch.ts'
import type { DiskFile } from '../environment/disk.ts'
import {
  entryBytesMin,
  isSound,
  type Link,
  lastOffsetOf,
  leaderEpochOf,
  linkedBytes,
  noLink,
  pass,
  peekBytes,
  plausibleBytes,
} from './links.ts'

const windowBytes = 1024 * 1024

/** One batch at `at` in `buffer`, and at `position` in the file. False ends the walk before it. */
export type BatchVisitor = (buffer: Buffer, at: number, position: number) => boolean

/** Kept from walk to walk: making one anew costs the system's work for each of its pages. */
let spareWindow: Buffer | null = null

/**
 * Visits the batches in [from, to). Returns the position where the walk ended: `to`, or that of the
 * first batch that is not whole, cannot follow, or was refused by `visit`. The buffer is reused.
 */
export function scanBatches(
  file: DiskFile,
  from: number,
  to: number,
  visit: BatchVisitor,
  link: Link = noLink(),
): number {
  let window = takeWindow(to - from)
  let position = from
  try {
    while (position < to) {
      const bytes = file.read(window.subarray(0, Math.min(window.length, to - position)), position)
      const isLast = position + bytes >= to || bytes < window.length
      let at = 0
      let needed = entryBytesMin
      while (bytes - at >= entryBytesMin) {
        const size = linkedBytes(window, at, bytes, link)
        if (size === 0 || position + at + size > to) return position + at
        needed = size + peekBytes
        // The header behind it is to be in view, where there is one.
        if (at + (isLast ? size : needed) > bytes) break
        if (!visit(window, at, position + at)) return position + at
        pass(link, window, at)
        at += size
      }
      if (at === 0) {
        // The file is shorter than it was, ends in a few odd bytes, or a batch is larger than the
        // window.
        if (isLast || needed <= window.length) return position
        window = Buffer.allocUnsafe(needed)
      }
      position += at
    }
    return position
  } finally {
    if (window.length === windowBytes) spareWindow = window
  }
}

function takeWindow(bytes: number): Buffer {
  if (bytes < windowBytes) return Buffer.allocUnsafe(Math.max(1, bytes))
  const window = spareWindow ?? Buffer.allocUnsafe(windowBytes)
  spareWindow = null
  return window
}

export interface SoundSearch {
  readonly from: number
  readonly to: number
  /** The batch that stood before. */
  readonly link: Link
  /** Batches reach no further than this offset, exclusive. */
  readonly endOffset: number
}

/**
 * The position of the first whole batch that begins in [from, to), has a checksum that is right and
 * can follow `link`, if not directly; -1 where there is none.
 */
export function findSound(file: DiskFile, search: SoundSearch): number {
  const { from, to, link, endOffset } = search
  const window = Buffer.allocUnsafe(Math.max(1, Math.min(windowBytes, to - from)))
  const magicAt = 16
  for (let position = from; position + header.headerBytes <= to; ) {
    const bytes = file.read(window.subarray(0, Math.min(window.length, to - position)), position)
    const part = window.subarray(0, bytes)
    let at = part.indexOf(2, magicAt) - magicAt
    for (; at >= 0; at = part.indexOf(2, at + magicAt + 1) - magicAt) {
      if (at + header.headerBytes > bytes) break
      const size = plausibleBytes(part, at)
      if (size === 0 || position + at + size > to) continue
      if (header.baseOffset(part, at) <= link.lastOffset || lastOffsetOf(part, at) >= endOffset) {
        continue
      }
      if (leaderEpochOf(part, at) < link.leaderEpoch) continue
      if (at + size <= bytes) {
        if (isSound(part, at)) return position + at
      } else {
        const whole = Buffer.allocUnsafe(size)
        if (file.read(whole, position + at) === size && isSound(whole, 0)) return position + at
      }
    }
    if (bytes <= header.headerBytes) return -1
    // A header may begin in what is left.
    position += bytes - header.headerBytes + 1
  }
  return -1
}

/** The least that a device writes at once, or not at all. */
const sectorBytes = 512
/** Of a batch, so many bytes from its beginning on hold its length, and are not all zero. */
const lengthEnd = 12

/**
 * Whether a part of what lies in [from, to) was never written: from `from` or from the beginning of a
 * sector on it is zeros up to the sector's end. A power loss leaves that of a write that was not synced
 * when the size of the file and what lies behind have reached the device and the sector has not.
 */
export function hasLostSector(file: DiskFile, from: number, to: number): boolean {
  const sector = Buffer.allocUnsafe(sectorBytes)
  for (let start = from; ; ) {
    const end = start - (start % sectorBytes) + sectorBytes
    // Of a sector that is lost nothing is there at its end either.
    if (end > to) return false
    const part = sector.subarray(0, end - start)
    if (part.length >= lengthEnd && file.read(part, start) === part.length) {
      if (part.every((byte) => byte === 0)) return true
    }
    start = end
  }
}

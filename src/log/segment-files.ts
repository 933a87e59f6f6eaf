/**
 * The files of a partition's directory by their names, before any is opened: what an unfinished
 * replacement left is finished or undone, what belongs to no segment goes, and what stands where a
 * file belongs is moved aside.
 */
import * as header from '../../protocol/records/batch.ts'
import { type Disk, DiskError } from '../environment/disk.ts'
import type { Logger } from '../environment/environment.ts'
import { moveAside } from './checkpoints.ts'
import { isSound, lastOffsetOf, leaderEpochOf, plausibleBytes } from './links.ts'
import { snapshotSuffix } from './producer-snapshot.ts'
import { scanBatches } from './scan.ts'
import {
  cleanedSuffix,
  deletedSuffix,
  fileNameOf,
  nameOf,
  segmentSuffixes,
  swapSuffix,
} from './segment-options.ts'

export interface SegmentFiles {
  /** Base offsets, rising. */
  readonly bases: number[]
  readonly snapshots: number[]
  /** Base offsets of the segments that have one. */
  readonly transactionIndexes: ReadonlySet<number>
}

export interface TidyOptions {
  readonly disk: Disk
  /** The partition's directory. */
  readonly directory: string
  /** No offset may be missing: the first batch has the offset of the file's name. */
  readonly isGapless: boolean
  readonly log: Logger
}

const partSuffixes = [...segmentSuffixes, snapshotSuffix]

/** Lists what stays. Throws DiskError, EDAMAGED where a log file is none. */
export function tidy(options: TidyOptions): SegmentFiles {
  const { disk, directory } = options
  const names = namesOf(options)
  const remove = (name: string) => disk.remove(`${directory}/${name}`)
  const cleaned = names.filter((name) => name.endsWith(cleanedSuffix))
  const firstCleaned = Math.min(...cleaned.map(offsetOf))
  // A split of a segment that did not finish left both kinds; its originals are still there.
  const isUnfinished = (name: string) => name.endsWith(swapSuffix) && offsetOf(name) >= firstCleaned
  const isDoomed = (name: string) =>
    name.endsWith(cleanedSuffix) || name.endsWith(deletedSuffix) || isUnfinished(name)
  names.filter(isDoomed).forEach(remove)
  const swaps = names.filter((name) => name.endsWith(swapSuffix) && !isDoomed(name))
  if (swaps.length > 0) finishSwaps(options, swaps, names)

  const isChanged = swaps.length > 0 || names.some(isDoomed)
  let left = isChanged ? namesOf(options) : names
  if (options.isGapless && correctNames(options, left)) left = namesOf(options)
  const bases = left.filter((name) => isFileOf(name, '.log')).map(offsetOf)
  const owners = new Set(bases)
  for (const name of left) {
    const isPart = segmentSuffixes.some((suffix) => isFileOf(name, suffix))
    if (!isPart || owners.has(offsetOf(name))) continue
    const fields = { partition: nameOf(directory), file: `${directory}/${name}` }
    options.log.warn('an index without its log file is removed', fields)
    remove(name)
  }
  bases.sort((a, b) => a - b)
  const basesOf = (suffix: string) => left.filter((name) => isFileOf(name, suffix)).map(offsetOf)
  return {
    bases,
    snapshots: basesOf(snapshotSuffix),
    transactionIndexes: new Set(basesOf('.txnindex')),
  }
}

/** Names of files. A directory in the place of one that can be built again is moved aside. */
function namesOf({ disk, directory, log }: TidyOptions): string[] {
  const names: string[] = []
  const partition = nameOf(directory)
  for (const { name, isDirectory } of disk.list(directory)) {
    const path = `${directory}/${name}`
    const isPart = partSuffixes.some((suffix) => isFileOf(name, suffix))
    if (!isDirectory) {
      names.push(name)
      if (name.endsWith('.log') && !isPart) {
        log.warn('a log file whose name is no offset is left alone', { partition, file: path })
      }
    } else if (isFileOf(name, '.log')) {
      throw new DiskError('EDAMAGED', path, { message: `${path} is a directory, not a log file` })
    } else if (isPart) {
      const fields = { partition, file: path, movedTo: moveAside(disk, path) }
      log.warn('a directory in the place of a file is moved aside', fields)
    }
  }
  return names
}

/**
 * Where the log in this directory ends, as far as its last file is sound; 0 where it has none. Throws
 * DiskError.
 */
export function endOffsetIn(disk: Disk, directory: string): number {
  const names = disk.list(directory).map(({ name }) => name)
  const last = names
    .filter((name) => isFileOf(name, '.log'))
    .sort()
    .at(-1)
  if (last === undefined) return 0
  return Math.max(offsetOf(last), soundEnd(disk, `${directory}/${last}`).end)
}

/**
 * A `.swap` file holds all that the segments it replaces did: those within its offsets go, and then
 * it takes its final name. One that is not sound to its end is dropped where its original is there.
 */
function finishSwaps(options: TidyOptions, swaps: string[], names: string[]): void {
  const { disk, directory, log } = options
  const path = (name: string) => `${directory}/${name}`
  const finalName = (name: string) => name.slice(0, -swapSuffix.length)
  const dropped = new Set<number>()
  for (const swap of swaps.filter((name) => name.endsWith('.log.swap'))) {
    const { end, isWhole } = soundEnd(disk, path(swap))
    const original = path(finalName(swap))
    if (!isWhole && disk.exists(original) && disk.stat(original).size > 0) {
      log.warn('a replacement that is damaged is dropped', {
        partition: nameOf(directory),
        file: path(swap),
      })
      dropped.add(offsetOf(swap))
      continue
    }
    for (const name of names.filter((other) => isFileOf(other, '.log'))) {
      const base = offsetOf(name)
      if (base < offsetOf(swap) || base >= end) continue
      for (const suffix of segmentSuffixes) disk.remove(path(`${fileNameOf(base)}${suffix}`))
    }
  }
  for (const name of swaps) {
    if (dropped.has(offsetOf(name))) disk.remove(path(name))
    else disk.rename(path(name), path(finalName(name)))
  }
}

/** The offset after the last batch, and whether sound batches are all that is in the file. */
function soundEnd(disk: Disk, path: string): { end: number; isWhole: boolean } {
  const file = disk.open(path, 'read')
  try {
    const size = file.size()
    let end = -1
    const position = scanBatches(file, 0, size, (buffer, at) => {
      if (!isSound(buffer, at)) return false
      end = lastOffsetOf(buffer, at) + 1
      return true
    })
    return { end, isWhole: size > 0 && position === size }
  } finally {
    file.close()
  }
}

/**
 * A log file is named by its first offset. One whose sound batches say otherwise was renamed, and
 * gets its name back; a copy of one that is there is moved aside. Tells whether anything changed.
 */
function correctNames({ disk, directory, log }: TidyOptions, names: readonly string[]): boolean {
  let isChanged = false
  for (const name of names.filter((one) => isFileOf(one, '.log'))) {
    const path = `${directory}/${name}`
    const base = firstOffset(disk, path, offsetOf(name))
    if (base === offsetOf(name)) continue
    isChanged = true
    const partition = nameOf(directory)
    const isCopy = disk.exists(`${directory}/${fileNameOf(base)}.log`)
    if (isCopy) {
      const fields = { partition, file: path, movedTo: moveAside(disk, path) }
      log.error('a log file under a wrong name, whose segment is there, is moved aside', fields)
      continue
    }
    log.error('a log file under a wrong name is renamed', { partition, file: path, base })
    for (const suffix of segmentSuffixes) {
      const part = `${directory}/${fileNameOf(offsetOf(name))}${suffix}`
      if (disk.exists(part)) disk.rename(part, `${directory}/${fileNameOf(base)}${suffix}`)
    }
  }
  return isChanged
}

/** The offset with which a log file begins: the one expected, unless its first batches prove another. */
function firstOffset(disk: Disk, path: string, expected: number): number {
  const file = disk.open(path, 'read')
  try {
    const first = Buffer.alloc(header.headerBytes)
    file.read(first, 0)
    const base = header.baseOffset(first, 0)
    const size = plausibleBytes(first, 0)
    if (base === expected || size === 0 || !Number.isSafeInteger(base) || base < 0) return expected
    const bytes = size + header.headerBytes
    if (bytes > file.size() || header.magic(first, 0) !== 2) return expected
    const batches = Buffer.allocUnsafe(bytes)
    file.read(batches, 0)
    const isNext =
      header.baseOffset(batches, size) === lastOffsetOf(batches, 0) + 1 &&
      leaderEpochOf(batches, size) >= leaderEpochOf(batches, 0)
    return isNext && isSound(batches, 0) ? base : expected
  } finally {
    file.close()
  }
}

const isFileOf = (name: string, suffix: string): boolean =>
  name.length === 20 + suffix.length &&
  name.endsWith(suffix) &&
  /^\d{20}\./.test(name) &&
  Number.isSafeInteger(offsetOf(name))

const offsetOf = (name: string): number => Number(name.slice(0, 20))

/** One kind of damage: what it does to which file, and what a broker may lose of it. */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { StoredBatch, StoredSegment } from './segment-files.ts'

/** Records that the damage itself destroys. */
export interface Harm {
  /** `topic-partition` */
  readonly partition: string
  readonly from: number
  readonly to: number
}

/** The copied directory, and what is known of it. */
export interface Site {
  readonly directory: string
  /** The directory of the partition that is damaged. */
  readonly target: string
  /** Its name. */
  readonly targetName: string
  /** As they were before the damage. */
  readonly segments: readonly StoredSegment[]
  /** The offset after the last record of the target. */
  readonly endOffset: number
}

export interface DamageKind {
  readonly name: string
  /** The file, as a reader of the table knows it. */
  readonly file: string
  /** The damaged partition; `plain-0` where absent. */
  readonly target?: string
  /** Only after a clean stop, or only after `kill -9`. */
  readonly only?: 'clean' | 'killed'
  /**
   * Damages, and says what is destroyed by it: nothing of what can be rebuilt. Null where there is
   * nothing to damage.
   */
  readonly apply: (site: Site) => readonly Harm[] | null
  /** The broker may refuse to start, if it says why. */
  readonly mayRefuse?: boolean
  /** Only the CRC of the batch tells. */
  readonly isUnderCrc?: boolean
  /** After a crash nothing on disk says that there was more. */
  readonly isSilentAfterCrash?: boolean
  /** Groups' offsets may be older or gone. */
  readonly harmsGroups?: boolean
  /** What a log line at warning or above has to name; null: nothing need be said. */
  readonly mentions: RegExp | null
  /** Mounts and the like, undone after the run. */
  readonly undo?: (site: Site) => void
}

export const middleOf = <T>(list: readonly T[]): T => list[list.length >> 1]!

export const firstSegment = ({ segments }: Site): StoredSegment => segments[0]!
/** The second segment: whole segments lie on either side. */
export const middleSegment = ({ segments }: Site): StoredSegment => segments[1]!
export const lastSegment = ({ segments }: Site): StoredSegment => segments.at(-1)!

export const logOf = (site: Site, segment: StoredSegment, suffix = '.log'): string =>
  join(site.target, `${segment.name}${suffix}`)

/** Exactly this batch. */
export const harmOf = (site: Site, batch: StoredBatch): Harm[] => [
  { partition: site.targetName, from: batch.baseOffset, to: batch.lastOffset + 1 },
]

/** Everything from this batch to the end of its segment. */
export const harmFrom = (site: Site, segment: StoredSegment, batch?: StoredBatch): Harm[] => [
  {
    partition: site.targetName,
    from: batch?.baseOffset ?? segment.baseOffset,
    to: segment.batches.at(-1)!.lastOffset + 1,
  },
]

/** Changes bytes of a file in place. */
export function edit(path: string, change: (bytes: Buffer) => Buffer | undefined): void {
  const bytes = readFileSync(path)
  writeFileSync(path, change(bytes) ?? bytes)
}

export function flipBit(path: string, position: number): void {
  edit(path, (bytes) => {
    bytes[position]! ^= 0x10
    return undefined
  })
}

export const garbage = (bytes: number): Buffer =>
  Buffer.from(Array.from({ length: bytes }, (_, at) => (at * 167 + 13) & 0xff))

export function append(path: string, bytes: Buffer): void {
  writeFileSync(path, Buffer.concat([readFileSync(path), bytes]))
}

export function cut(path: string, bytes: number): void {
  truncateSync(path, bytes)
}

export function remove(path: string): void {
  rmSync(path, { recursive: true, force: true })
}

export function replaceByDirectory(path: string): void {
  remove(path)
  mkdirSync(path)
}

export function rename(from: string, to: string): void {
  renameSync(from, to)
}

/** Writes a file, or puts one in the place of another. */
export function write(path: string, content: string | Buffer): void {
  remove(path)
  writeFileSync(path, content)
}

export const exists = existsSync

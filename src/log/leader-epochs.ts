/**
 * The `leader-epoch-checkpoint` file: with which offset each leader epoch began on this replica. It
 * decides where a follower that diverged must truncate (KIP-101, KIP-279). Both columns rise
 * strictly. Kept in memory; written when the log is synced, truncated or closed, which is before
 * anything that relies on it: recovery takes the epochs of everything above the recovery point from
 * the batches.
 */
import type { Disk } from '../environment/disk.ts'
import { formatCheckpoint, readCheckpoint, replaceFile } from './checkpoints.ts'

export interface EpochStart {
  readonly epoch: number
  readonly startOffset: number
}

export interface EpochEnd {
  /** -1: undefined. */
  readonly leaderEpoch: number
  /** -1: undefined. */
  readonly endOffset: number
}

export const leaderEpochFile = 'leader-epoch-checkpoint'

export class LeaderEpochs {
  /** Whether the file was there and sound. */
  readonly isLoaded: boolean
  readonly #disk: Disk
  #directory: string
  #entries: EpochStart[] = []
  #isDirty = false

  /** Reads the checkpoint of the partition in `directory`. */
  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
    const entries = parse(readCheckpoint(disk, this.#path))
    this.isLoaded = entries !== null
    if (entries !== null) this.#entries = entries
  }

  get entries(): readonly EpochStart[] {
    return this.#entries
  }

  /** -1: none. */
  get latest(): number {
    return this.#entries.at(-1)?.epoch ?? -1
  }

  /**
   * `epoch` begins at `startOffset`. Entries with this epoch or a higher one, or at or above the
   * offset, do not hold any more. An epoch that has begun already keeps its start.
   */
  assign(epoch: number, startOffset: number): void {
    if (epoch < 0) return
    while (this.#entries.length > 0) {
      const last = this.#entries.at(-1) as EpochStart
      if (last.epoch === epoch && last.startOffset <= startOffset) return
      if (last.epoch < epoch && last.startOffset < startOffset) break
      this.#entries.pop()
      this.#isDirty = true
    }
    this.#entries.push({ epoch, startOffset })
    this.#isDirty = true
  }

  /** Where `epoch` ends on this replica; rules of KIP-279. */
  endOffsetFor(epoch: number, logEndOffset: number): EpochEnd {
    if (epoch >= 0 && epoch === this.latest) return { leaderEpoch: epoch, endOffset: logEndOffset }
    const higher = this.#entries.findIndex((entry) => entry.epoch > epoch)
    if (epoch < 0 || higher < 0) return { leaderEpoch: -1, endOffset: -1 }
    const next = this.#entries[higher] as EpochStart
    const floor = this.#entries[higher - 1]
    return { leaderEpoch: floor?.epoch ?? epoch, endOffset: next.startOffset }
  }

  /** The epoch in force at `offset`; -1 if unknown. */
  epochAt(offset: number): number {
    for (let index = this.#entries.length - 1; index >= 0; index--) {
      const entry = this.#entries[index] as EpochStart
      if (entry.startOffset <= offset) return entry.epoch
    }
    return -1
  }

  /** The log ends at `endOffset` now. */
  truncateFromEnd(endOffset: number): void {
    while ((this.#entries.at(-1)?.startOffset ?? -1) >= endOffset) {
      this.#entries.pop()
      this.#isDirty = true
    }
  }

  /** The log begins at `startOffset` now. */
  truncateFromStart(startOffset: number): void {
    let last: EpochStart | undefined
    while ((this.#entries[0]?.startOffset ?? Number.POSITIVE_INFINITY) <= startOffset) {
      last = this.#entries.shift()
    }
    if (last === undefined) return
    if (last.startOffset < startOffset) this.#isDirty = true
    this.#entries.unshift({ epoch: last.epoch, startOffset })
  }

  clear(): void {
    this.#isDirty ||= this.#entries.length > 0
    this.#entries = []
  }

  /** Writes the file if anything changed since. */
  persist(options: { sync: boolean }): void {
    if (!this.#isDirty) return
    const lines = this.#entries.map((entry) => `${entry.epoch} ${entry.startOffset}`)
    replaceFile(this.#disk, this.#path, formatCheckpoint(lines), options)
    this.#isDirty = false
  }

  get #path(): string {
    return `${this.#directory}/${leaderEpochFile}`
  }
}

const parse = (lines: string[][] | null): EpochStart[] | null => {
  if (lines === null) return null
  const entries = lines.map(([epoch, offset]) => ({
    epoch: Number(epoch),
    startOffset: Number(offset),
  }))
  const isSound = entries.every((entry, index) => {
    const before = entries[index - 1] ?? { epoch: -1, startOffset: -1 }
    return entry.epoch > before.epoch && entry.startOffset > before.startOffset
  })
  return isSound ? entries : null
}

/**
 * The `leader-epoch-checkpoint` file: with which offset each leader epoch began on this replica. It
 * decides where a follower that diverged must truncate (KIP-101, KIP-279). Both columns rise
 * strictly. Kept in memory; written when the log is synced, truncated or closed, which is before
 * anything that relies on it: recovery takes the epochs of everything above the recovery point from
 * the batches.
 */
import type { Disk } from '../environment/disk.ts'
import {
  formatCheckpoint,
  readCheckpoint,
  replaceFile,
  replaceFileInBackground,
  syncFile,
} from './checkpoints.ts'

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

const int32Max = 0x7fff_ffff

const leaderEpochFile = 'leader-epoch-checkpoint'
const withoutEpochs = formatCheckpoint([])

export class LeaderEpochs {
  /** Whether the file was there and sound. */
  readonly isLoaded: boolean
  /** Whether it was there, and not sound. */
  readonly isDamaged: boolean
  readonly #disk: Disk
  #directory: string
  #entries: EpochStart[] = []
  /** What the file holds; null: unknown. */
  #stored: string | null = null
  /** That it does so outlives a loss of power. */
  #isDurable = true
  /** Rises with each file that is written: one in the background that began before is outdated. */
  #generation = 0

  /** Reads the checkpoint of the partition in `directory`. */
  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
    const entries = parse(readCheckpoint(disk, this.#path))
    this.isLoaded = entries !== null
    this.isDamaged = entries === null && disk.exists(this.#path)
    if (entries === null) return
    this.#entries = entries
    this.#stored = this.#format(Number.POSITIVE_INFINITY)
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
    }
    this.#entries.push({ epoch, startOffset })
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
    }
  }

  /** The log begins at `startOffset` now. */
  truncateFromStart(startOffset: number): void {
    let last: EpochStart | undefined
    while ((this.#entries[0]?.startOffset ?? Number.POSITIVE_INFINITY) <= startOffset) {
      last = this.#entries.shift()
    }
    if (last === undefined) return
    this.#entries.unshift({ epoch: last.epoch, startOffset })
  }

  clear(): void {
    this.#entries = []
  }

  /** This replica holds what `other` holds, and has known more of it. */
  copy(other: LeaderEpochs): void {
    this.#entries = [...other.#entries]
  }

  /**
   * Writes the file if it says anything else; whether it did. An epoch that begins at `logEndOffset` has no
   * records, so nobody needs to know of it after a restart. With `sync` it is durable once the directory is
   * synced.
   */
  persist(logEndOffset: number, { sync }: { sync: boolean }): boolean {
    const content = this.#format(logEndOffset)
    if (content === this.#stored && (this.#isDurable || !sync)) return false
    this.#begin()
    replaceFile(this.#disk, this.#path, content, { sync, isNameLater: true })
    this.#stored = content
    this.#isDurable = sync
    return true
  }

  /**
   * Writes a file where there is none yet, or one that knows of no epoch, for `sync` to make it durable: what
   * may become of it meanwhile is worth no more than what was there.
   */
  write(logEndOffset: number): void {
    const content = this.#format(logEndOffset)
    if (content === this.#stored) return
    if (this.#stored !== withoutEpochs && this.#disk.exists(this.#path)) return
    this.#begin()
    const file = this.#disk.open(this.#path, 'create')
    try {
      file.write([Buffer.from(content)], 0)
    } finally {
      file.close()
    }
    this.#stored = content
  }

  /**
   * As `persist` with `sync`, off the event loop; one at a time. Rejects with DiskError.
   */
  async sync(logEndOffset: number): Promise<boolean> {
    const content = this.#format(logEndOffset)
    if (content === this.#stored && this.#isDurable) return false
    const isWritten = content === this.#stored
    const generation = this.#begin()
    const isCurrent = () => generation === this.#generation
    if (isWritten) await syncFile(this.#disk, this.#path)
    else await replaceFileInBackground(this.#disk, this.#path, content, isCurrent)
    // Somebody came between, and has written what holds now.
    if (!isCurrent()) {
      await this.sync(logEndOffset)
      return true
    }
    this.#stored = content
    this.#isDurable = true
    return true
  }

  /** The file is about to be another one. */
  #begin(): number {
    this.#stored = null
    this.#isDurable = false
    return ++this.#generation
  }

  #format(logEndOffset: number): string {
    const held = this.#entries.filter(({ startOffset }) => startOffset < logEndOffset)
    return formatCheckpoint(held.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`))
  }

  get #path(): string {
    return `${this.#directory}/${leaderEpochFile}`
  }
}

const parse = (lines: string[][] | null): EpochStart[] | null => {
  if (lines === null) return null
  const entries: EpochStart[] = []
  for (const fields of lines) {
    if (fields.length !== 2 || !fields.every((field) => /^\d{1,16}$/.test(field))) return null
    const [epoch, startOffset] = fields.map(Number) as [number, number]
    const before = entries.at(-1) ?? { epoch: -1, startOffset: -1 }
    if (epoch <= before.epoch || startOffset <= before.startOffset) return null
    if (epoch > int32Max || !Number.isSafeInteger(startOffset)) return null
    entries.push({ epoch, startOffset })
  }
  return entries
}

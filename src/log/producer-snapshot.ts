/**
 * The `.snapshot` files: the producers of a log as they were at the offset in the file's name. Only
 * the last batch of each producer is in them. Taken when a segment is rolled and when the log is
 * closed, so that not the whole log must be read to know its producers.
 *
 *     int16 version = 1 | uint32 CRC-32C of everything that follows it | int32 count, entries
 */
import { decode, encode } from '../../protocol/codec.ts'
import { MalformedError } from '../../protocol/reader.ts'
import { crc32c } from '../../protocol/records/crc32c.ts'
import { type ProducerSnapshot, producerSnapshot } from '../../protocol/state/producer-snapshot.ts'
import type { Disk } from '../environment/disk.ts'
import type { Logger } from '../environment/environment.ts'
import { readFileIfReadable, syncFile } from './checkpoints.ts'
import { fileNameOf, nameOf } from './segment-options.ts'

export type SnapshotEntry = ProducerSnapshot['producerEntries'][number]

/**
 * Whether nothing is known of a transaction of a producer, open or ended. A segment is read back from within
 * (`recovery`) only if that holds for all its producers: the batches before tell what was aborted.
 */
export const isWithoutTransaction = (coordinatorEpoch: number, firstOffset: number): boolean =>
  coordinatorEpoch < 0 && firstOffset < 0

export const snapshotSuffix = '.snapshot'

const version = 1
const crcPosition = 2
const checkedPosition = 6

export function encodeSnapshot(entries: readonly SnapshotEntry[]): Buffer {
  const body = encode(producerSnapshot, version, { crc: 0, producerEntries: entries })
  const bytes = Buffer.concat([Buffer.from([0, version]), body])
  bytes.writeUInt32BE(crc32c(bytes, checkedPosition, bytes.length), crcPosition)
  return bytes
}

/** The entries, or null if the bytes are damaged or of another version. */
export function decodeSnapshot(bytes: Buffer): readonly SnapshotEntry[] | null {
  if (bytes.length < checkedPosition || bytes.readInt16BE(0) !== version) return null
  if (bytes.readUInt32BE(crcPosition) !== crc32c(bytes, checkedPosition, bytes.length)) return null
  try {
    return decode(producerSnapshot, version, bytes.subarray(crcPosition)).producerEntries
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

export interface LoadedSnapshot {
  readonly offset: number
  readonly entries: readonly SnapshotEntry[]
}

/** The snapshot files of one log. */
export class ProducerSnapshots {
  readonly #disk: Disk
  readonly #directory: string
  readonly #log: Logger
  /** Rising. */
  #offsets: number[]
  /** Taken here, and not synced yet. */
  #unsynced: number[] = []
  /** Those that outlive a loss of power, their names too; of others nobody knows. */
  readonly #durable = new Set<number>()

  /** `offsets`: those in the names of the files there are. */
  constructor(disk: Disk, directory: string, offsets: readonly number[], log: Logger) {
    this.#disk = disk
    this.#log = log
    this.#directory = directory
    this.#offsets = [...offsets].sort((a, b) => a - b)
  }

  /**
   * Takes a snapshot unless there is one of that offset. It is durable after the next `sync`; one that a
   * loss of power has damaged before is left out.
   */
  take(offset: number, entries: readonly SnapshotEntry[]): void {
    if (this.#offsets.includes(offset)) return
    const file = this.#disk.open(this.#path(offset), 'create')
    try {
      file.truncate(0)
      file.write([encodeSnapshot(entries)], 0)
    } finally {
      file.close()
    }
    this.#offsets.push(offset)
    this.#offsets.sort((a, b) => a - b)
    this.#unsynced.push(offset)
  }

  get hasUnsynced(): boolean {
    return this.#unsynced.length > 0
  }

  /** Makes durable what was taken before this call; the names are the directory's. Rejects with DiskError. */
  async sync(): Promise<void> {
    const offsets = this.#unsynced.filter((offset) => this.#offsets.includes(offset))
    this.#unsynced = []
    for (const offset of offsets) {
      if (!this.#offsets.includes(offset)) continue
      await syncFile(this.#disk, this.#path(offset))
    }
  }

  /**
   * The batches below `offset` go, and the snapshot of that offset is all that will be known of their
   * producers: it must outlive a loss of power. Blocks where it may not yet. False where there is none.
   * Throws DiskError.
   */
  replaceBatchesBelow(offset: number): boolean {
    if (this.#durable.has(offset)) return true
    if (!this.#offsets.includes(offset)) return false
    const file = this.#disk.open(this.#path(offset), 'write')
    try {
      file.syncNow()
    } finally {
      file.close()
    }
    this.#disk.syncDirectory(this.#directory)
    this.#durable.add(offset)
    return true
  }

  /** The newest sound one at or below `offsetMax`; damaged ones above it are removed. */
  load(offsetMax = Number.POSITIVE_INFINITY): LoadedSnapshot | null {
    for (;;) {
      const offset = this.#offsets.findLast((one) => one <= offsetMax)
      if (offset === undefined) return null
      const bytes = readFileIfReadable(this.#disk, this.#path(offset))
      const entries = bytes === null ? null : decodeSnapshot(bytes)
      if (entries?.every((entry) => entry.lastOffset < offset)) return { offset, entries }
      const partition = nameOf(this.#directory)
      const fields = { partition, file: this.#path(offset) }
      this.#log.warn('a producer snapshot is damaged; the batches are read instead', fields)
      this.keepOnly((other) => other !== offset)
    }
  }

  /** Removes the files of the offsets that `isKept` refuses. */
  keepOnly(isKept: (offset: number) => boolean): void {
    for (const offset of this.#offsets) {
      if (isKept(offset)) continue
      this.#disk.remove(this.#path(offset))
      this.#durable.delete(offset)
    }
    this.#offsets = this.#offsets.filter(isKept)
  }

  get newest(): number | null {
    return this.#offsets.at(-1) ?? null
  }

  #path(offset: number): string {
    return `${this.#directory}/${fileNameOf(offset)}${snapshotSuffix}`
  }
}

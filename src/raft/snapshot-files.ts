/**
 * Snapshots of the state machine as files (KIP-630): `<end offset>-<epoch>.checkpoint`, offset in 20
 * and epoch in 10 digits, beside the log that they stand for. A file is batches: a control batch with
 * the SnapshotHeader, data, a control batch with the SnapshotFooter. Offsets in it count its own
 * records, from 0.
 *
 * A snapshot is written as `.part`, synced, renamed, and its name synced: what has the final name is
 * whole unless the disk damaged it later, which header, checksums and footer show.
 */
import {
  baseOffset,
  batches,
  checkCrc,
  isControl,
  lastOffset,
} from '../../protocol/records/batch.ts'
import { type ControlRecord, decodeControlRecord } from '../../protocol/records/control.ts'
import { CorruptRecords } from '../../protocol/records/corrupt-records.ts'
import { readBatch } from '../../protocol/records/record.ts'
import { type Disk, DiskError, type DiskFile } from '../environment/disk.ts'
import {
  type BatchPlace,
  encodeDataBatch,
  encodeSnapshotFooter,
  encodeSnapshotHeader,
} from './batches.ts'
import type { VoterSet } from './voters.ts'

export interface SnapshotId {
  /** The snapshot stands for every record below; exclusive. */
  readonly endOffset: number
  /** Of the last of these records. */
  readonly epoch: number
}

export interface SnapshotFile extends SnapshotId {
  readonly path: string
}

const nameOf = ({ endOffset, epoch }: SnapshotId): string =>
  `${String(endOffset).padStart(20, '0')}-${String(epoch).padStart(10, '0')}.checkpoint`

/** The snapshots in the directory of the metadata partition, oldest first. Throws DiskError. */
export function listSnapshots(disk: Disk, directory: string): SnapshotFile[] {
  const found: SnapshotFile[] = []
  for (const { name } of disk.list(directory)) {
    const parts = /^(\d{20})-(\d{10})\.checkpoint$/.exec(name)
    if (parts === null) continue
    found.push({
      path: `${directory}/${name}`,
      endOffset: Number(parts[1]),
      epoch: Number(parts[2]),
    })
  }
  return found.sort((a, b) => a.endOffset - b.endOffset || a.epoch - b.epoch)
}

/** Up to which offset the newest of them reaches; 0 where there is none. Throws DiskError. */
export const newestSnapshotEnd = (disk: Disk, directory: string): number =>
  disk.exists(directory) ? (listSnapshots(disk, directory).at(-1)?.endOffset ?? 0) : 0

/** Removes what an earlier process did not finish, be it writing or removing. Throws DiskError. */
export function removeUnfinished(disk: Disk, directory: string): void {
  for (const { name } of disk.list(directory)) {
    if (/\.checkpoint\.(part|deleted)$/.test(name)) disk.remove(`${directory}/${name}`)
  }
}

/** A file that is not a whole snapshot. */
export class DamagedSnapshot extends Error {
  constructor(path: string, cause: Error) {
    super(`${path} is damaged: ${cause.message}`, { cause })
    this.name = 'DamagedSnapshot'
  }
}

export interface Snapshot {
  /** Whole batches, every one with a right checksum. */
  readonly content: Buffer
  /** Timestamp of the last record that it stands for, ms since the epoch. */
  readonly lastContainedMs: number
}

/** Throws DamagedSnapshot for a file that does not go from header to footer, and DiskError. */
export function readSnapshot(disk: Disk, path: string): Snapshot {
  const content = disk.readFile(path)
  try {
    checkSnapshot(content)
    return { content, lastContainedMs: headerOf(content) }
  } catch (error) {
    if (error instanceof CorruptRecords) throw new DamagedSnapshot(path, error)
    throw error
  }
}

/** As in the header; -1 where that cannot be read. Throws DiskError. */
export function lastContainedMs(disk: Disk, path: string): number {
  const content = disk.readFile(path)
  try {
    return headerOf(content)
  } catch (error) {
    if (error instanceof CorruptRecords) return -1
    throw error
  }
}

function headerOf(content: Buffer): number {
  const header = expectControl(content, 0, 'snapshotHeader', 0)
  return header.type === 'snapshotHeader' ? header.value.lastContainedLogTimestamp : -1
}

function checkSnapshot(content: Buffer): void {
  let nextOffset = 0
  let last = -1
  for (const at of batches(content)) {
    checkCrc(content, at)
    if (baseOffset(content, at) !== nextOffset) {
      throw new CorruptRecords(`offset ${baseOffset(content, at)} follows ${nextOffset - 1}`)
    }
    if (last < 0) expectControl(content, at, 'snapshotHeader', 0)
    nextOffset = lastOffset(content, at) + 1
    last = at
  }
  if (last < 0) throw new CorruptRecords('it is empty')
  expectControl(content, last, 'snapshotFooter', -1)
}

function expectControl(
  content: Buffer,
  at: number,
  type: ControlRecord['type'],
  index: number,
): ControlRecord {
  const found = isControl(content, at) ? readBatch(content, at).records.at(index) : undefined
  const record = found === undefined ? undefined : decodeControlRecord(found.key, found.value)
  if (record?.type !== type) throw new CorruptRecords(`it has no ${type} where one must be`)
  return record
}

export interface NewSnapshot {
  readonly disk: Disk
  readonly directory: string
  /** The final name in `directory`, or what it stands for. */
  readonly target: string | SnapshotId
  readonly lastContainedMs: number
  readonly voters: Pick<VoterSet, 'kraftVersion' | 'voters'>
  readonly nowMs: number
}

/** One snapshot on its way: append, then finish or abandon. Every method throws DiskError. */
export class SnapshotWriter {
  readonly path: string
  readonly #disk: Disk
  readonly #directory: string
  readonly #part: string
  readonly #epoch: number
  readonly #nowMs: number
  readonly #file: DiskFile
  #nextOffset = 0
  #size = 0

  constructor(snapshot: NewSnapshot) {
    const { disk, directory, target, lastContainedMs, voters, nowMs } = snapshot
    this.#disk = disk
    this.#directory = directory
    this.path = `${directory}/${typeof target === 'string' ? target : nameOf(target)}`
    this.#part = `${this.path}.part`
    this.#epoch = typeof target === 'string' ? 0 : target.epoch
    this.#nowMs = nowMs
    disk.remove(this.#part)
    this.#file = disk.open(this.#part, 'create')
    try {
      this.#write(encodeSnapshotHeader(lastContainedMs, voters, this.#place()))
    } catch (error) {
      this.abandon()
      throw error
    }
  }

  get sizeBytes(): number {
    return this.#size
  }

  /** One batch of records. */
  append(values: readonly Buffer[]): void {
    if (values.length > 0) this.#write(encodeDataBatch(values, this.#place()))
  }

  /** Durable, under its final name, when it resolves. */
  async finish(): Promise<void> {
    this.#write(encodeSnapshotFooter(this.#place()))
    await this.#file.sync()
    this.#publish()
  }

  /** As `finish`, blocking. */
  finishNow(): void {
    this.#write(encodeSnapshotFooter(this.#place()))
    this.#file.syncNow()
    this.#publish()
  }

  /** Leaves nothing behind, as far as the disk lets it. */
  abandon(): void {
    try {
      this.#file.close()
      this.#disk.remove(this.#part)
    } catch (error) {
      // The next start removes it.
      if (!(error instanceof DiskError)) throw error
    }
  }

  #publish(): void {
    this.#file.close()
    this.#disk.rename(this.#part, this.path)
    this.#disk.syncDirectory(this.#directory)
  }

  #place(): BatchPlace {
    return { baseOffset: this.#nextOffset, leaderEpoch: this.#epoch, nowMs: this.#nowMs }
  }

  #write(batch: Buffer): void {
    this.#file.write([batch], this.#size)
    this.#size += batch.length
    this.#nextOffset = lastOffset(batch, 0) + 1
  }
}

/**
 * A RaftLog on a disk in memory: one file of batches. `kill` and `crash` of the disk leave what the
 * next process finds, a torn last batch included, which is cut off on opening.
 */
import {
  baseOffset,
  batchBytes,
  isCrcValid,
  lastOffset,
  partitionLeaderEpoch,
} from '../../protocol/records/batch.ts'
import type { Disk, DiskFile } from '../../src/environment/disk.ts'
import type { RaftLog } from '../../src/raft/raft-log.ts'

export class MemoryRaftLog implements RaftLog {
  startOffset = 0
  readonly #file: DiskFile
  /** Text of the start offset. */
  readonly #startFile: DiskFile
  #batches: { readonly at: number; readonly base: number; readonly last: number }[] = []
  #size = 0
  /** The end of a log without batches. */
  #emptyAt = 0
  #lastEpoch = 0
  syncs = 0

  constructor(disk: Disk, path: string) {
    this.#file = disk.open(path, 'create')
    this.#startFile = disk.open(`${path}-start`, 'create')
    this.#recover()
  }

  get endOffset(): number {
    return (this.#batches.at(-1)?.last ?? this.#emptyAt - 1) + 1
  }

  get sizeBytes(): number {
    return this.#size
  }

  get lastEpoch(): number {
    return this.#lastEpoch
  }

  append(batch: Buffer, leaderEpoch: number): void {
    if (baseOffset(batch, 0) !== this.endOffset) throw new Error('not the next offset')
    this.#file.write([batch], this.#size)
    this.#batches.push({ at: this.#size, base: this.endOffset, last: lastOffset(batch, 0) })
    this.#size += batch.length
    this.#lastEpoch = leaderEpoch
  }

  sync(): Promise<void> {
    this.syncs++
    return this.#file.sync()
  }

  read(offset: number, maxBytes: number): readonly Buffer[] {
    const first = this.#batches.find(({ last }) => last >= offset)
    if (first === undefined) return []
    const fitting = this.#batches.filter(({ at }) => at > first.at && at <= first.at + maxBytes)
    const end = this.#batches.find(({ at }) => at > (fitting.at(-1) ?? first).at)?.at ?? this.#size
    const bytes = Buffer.alloc(end - first.at)
    this.#file.read(bytes, first.at)
    return [bytes]
  }

  truncate(offset: number): void {
    const kept = this.#batches.filter(({ last }) => last < offset)
    this.#size = this.#batches[kept.length]?.at ?? this.#size
    this.#batches = kept
    this.#file.truncate(this.#size)
  }

  /** Only the start moves: the file keeps what it has. */
  deleteBefore(offset: number): void {
    this.startOffset = Math.max(this.startOffset, offset)
    this.#startFile.write([Buffer.from(String(this.startOffset).padStart(20))], 0)
    this.#startFile.syncNow()
  }

  restartAt(offset: number): void {
    this.#file.truncate(0)
    this.#size = 0
    this.#batches = []
    this.#lastEpoch = 0
    this.#emptyAt = offset
    this.deleteBefore(offset)
  }

  #recover(): void {
    const content = Buffer.alloc(this.#file.size())
    this.#file.read(content, 0)
    let at = 0
    while (at + 61 <= content.length) {
      const bytes = batchBytes(content, at)
      if (bytes < 61 || at + bytes > content.length || !isCrcValid(content, at)) break
      this.#batches.push({ at, base: baseOffset(content, at), last: lastOffset(content, at) })
      this.#lastEpoch = partitionLeaderEpoch(content, at)
      at += bytes
    }
    this.#size = at
    const start = Buffer.alloc(this.#startFile.size())
    this.#startFile.read(start, 0)
    this.startOffset = Number(start.toString())
    this.#emptyAt = this.startOffset
    this.#file.truncate(at)
  }
}

/**
 * Who waits for records of a partition, and is told right after they became readable, with how many bytes
 * they are: counted as they are appended, and told as the high watermark and the last stable offset pass them.
 */
import type { Log } from '../log/log.ts'
import { SmallSet } from './small-set.ts'

/** Waits for records of partitions, or for anything that makes waiting pointless. */
export interface PartitionWatcher {
  /** `bytes` more can be read by consumers, `committedBytes` more by those of committed records only. */
  readable(bytes: number, committedBytes: number): void
  /** The leader, its epoch, or the state of the disk changed, or the partition is gone. */
  changed(): void
  /** The log begins later than it did. */
  startMoved?(): void
}

export class PartitionWatchers {
  readonly #watchers = new SmallSet<PartitionWatcher>()
  /** Appended, and not yet below the high watermark. */
  #unreadableBytes = 0
  /** Below the high watermark, and not yet below the last stable offset. */
  #unstableBytes = 0
  #stableOffset = 0
  #startOffset = 0

  get size(): number {
    return this.#watchers.size
  }

  add(watcher: PartitionWatcher): void {
    this.#watchers.add(watcher)
  }

  delete(watcher: PartitionWatcher): void {
    this.#watchers.delete(watcher)
  }

  appended(bytes: number): void {
    this.#unreadableBytes += bytes
  }

  /** The high watermark of the log is at the end of what was appended. */
  readable(log: Log): void {
    const bytes = this.#unreadableBytes
    this.#unreadableBytes = 0
    const committedBytes = this.#noteStable(log, bytes)
    this.#watchers.each((watcher) => watcher.readable(bytes, committedBytes))
  }

  /** The log may begin later than it did. */
  startAt(offset: number): void {
    if (offset === this.#startOffset) return
    this.#startOffset = offset
    this.#watchers.each((watcher) => watcher.startMoved?.())
  }

  changed(): void {
    this.#watchers.each((watcher) => watcher.changed())
  }

  /**
   * How many bytes came below the last stable offset. Where it moved only a part of the way to the high
   * watermark, its part of the bytes between is told from its part of the offsets.
   */
  #noteStable(log: Log, readableBytes: number): number {
    this.#unstableBytes += readableBytes
    const { lastStableOffset, highWatermark } = log
    const before = Math.min(this.#stableOffset, lastStableOffset)
    this.#stableOffset = lastStableOffset
    if (lastStableOffset === before) return 0
    const share = (lastStableOffset - before) / (highWatermark - before)
    const bytes = Math.ceil(this.#unstableBytes * share)
    this.#unstableBytes -= bytes
    return bytes
  }
}

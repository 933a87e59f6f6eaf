/**
 * Keeps the metadata log short (KIP-630): after so many bytes or so much time the newest image is written
 * as a snapshot, a few hundred records per turn, and what an older snapshot stands for is deleted by
 * Kafka's rule: while snapshots and log take too much room, or the oldest snapshot is too old, it goes
 * with the log before the next one. So the newest snapshot always stays, and mostly the one before it.
 *
 * A snapshot that cannot be written costs nothing but room: it is tried again when the next is due.
 */
import { KafkaError } from '../../protocol/errors.ts'
import { encodeMetadataRecord } from '../../protocol/state/metadata-frame.ts'
import { DiskError } from '../environment/disk.ts'
import type { Environment, Milliseconds, Timer } from '../environment/environment.ts'
import type { Quorum } from '../raft/quorum.ts'
import { lastContainedMs, listSnapshots, SnapshotWriter } from '../raft/snapshot-files.ts'
import type { MetadataImage } from './image.ts'
import { imageRecords } from './image-records.ts'
import type { MetadataCache } from './metadata-cache.ts'
import type { MetadataRecord } from './record.ts'

export interface SnapshotConfig {
  /** metadata.log.max.record.bytes.between.snapshots */
  readonly bytesBetween: number
  /** metadata.log.max.snapshot.interval.ms; 0: never by time alone. */
  readonly intervalMs: Milliseconds
  /** metadata.max.retention.bytes; negative: no limit. */
  readonly retentionBytes: number
  /** metadata.max.retention.ms; negative: no limit. */
  readonly retentionMs: Milliseconds
}

export interface SnapshotsOptions {
  /** The directory of `__cluster_metadata-0`. */
  readonly directory: string
  readonly config: SnapshotConfig
  readonly quorum: Quorum
  readonly cache: MetadataCache
  /** Bytes of log that were replayed after the newest snapshot. */
  readonly replayedBytes: number
  readonly environment: Pick<Environment, 'clock' | 'timers' | 'disk' | 'log'>
}

/** Records encoded in one turn, one batch: about a millisecond of work. */
const recordsPerTurn = 256
const bytesPerTurn = 256 * 1024

export class Snapshots {
  readonly #options: SnapshotsOptions
  /** Bytes that had been appended when the newest snapshot was begun, less those replayed at start. */
  #bytesAtLast: number
  #timer: Timer | undefined
  #writing: Promise<void> | undefined
  #isClosed = false

  constructor(options: SnapshotsOptions) {
    this.#options = options
    this.#bytesAtLast = options.quorum.appendedBytes - options.replayedBytes
    options.cache.subscribe((image) => this.#published(image))
  }

  /** Resolves when nothing is being written any more; what was not finished is removed. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#writing
  }

  #published(image: MetadataImage): void {
    const { quorum, config } = this.#options
    if (quorum.appendedBytes - this.#bytesAtLast >= config.bytesBetween) this.#begin(image)
    else this.#arm()
  }

  /** Something is in the log that no snapshot has: there will be one by time. */
  #arm(): void {
    const { config, environment, cache } = this.#options
    if (this.#timer !== undefined || config.intervalMs === 0 || this.#isClosed) return
    this.#timer = environment.timers.after(config.intervalMs, () => {
      this.#timer = undefined
      this.#begin(cache.image)
    })
  }

  #begin(image: MetadataImage): void {
    if (this.#writing !== undefined || this.#isClosed) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#bytesAtLast = this.#options.quorum.appendedBytes
    this.#writing = this.#write(image).finally(() => {
      this.#writing = undefined
    })
  }

  async #write(image: MetadataImage): Promise<void> {
    const { environment, directory } = this.#options
    const { log } = environment
    const endOffset = image.offset + 1
    try {
      if (listSnapshots(environment.disk, directory).some((one) => one.endOffset >= endOffset))
        return
      const writer = this.#open(image)
      if (!(await this.#fill(writer, image))) return
      log.info('wrote a metadata snapshot', { path: writer.path, bytes: writer.sizeBytes })
      this.#clean()
    } catch (error) {
      if (!(error instanceof DiskError) && !(error instanceof KafkaError)) throw error
      log.error('a metadata snapshot could not be written', { directory, endOffset, err: error })
    }
  }

  #open(image: MetadataImage): SnapshotWriter {
    const { environment, directory, quorum } = this.#options
    return new SnapshotWriter({
      disk: environment.disk,
      directory,
      target: { endOffset: image.offset + 1, epoch: image.epoch },
      lastContainedMs: image.timestampMs,
      voters: quorum.voterSet,
      nowMs: environment.clock.now(),
    })
  }

  /** Whether it was finished. */
  async #fill(writer: SnapshotWriter, image: MetadataImage): Promise<boolean> {
    const records = imageRecords(image)
    let isFinished = false
    try {
      for (;;) {
        const values = nextValues(records)
        if (values.length === 0) break
        writer.append(values)
        await this.#nextTurn()
        if (this.#isClosed) return false
      }
      await writer.finish()
      isFinished = true
    } finally {
      if (!isFinished) writer.abandon()
    }
    return true
  }

  #nextTurn(): Promise<void> {
    const { timers } = this.#options.environment
    return new Promise((resolve) => timers.nextTurn(resolve))
  }

  /** Throws DiskError, and KafkaError where the log's directory is out of service. */
  #clean(): void {
    const { environment, directory, quorum, config } = this.#options
    const { disk, clock, log } = environment
    const snapshots = listSnapshots(disk, directory).filter(({ endOffset }) => endOffset > 0)
    let bytes = quorum.log.sizeBytes
    for (const { path } of snapshots) bytes += disk.stat(path).size
    let next = snapshots[1]
    for (let index = 0; next !== undefined; next = snapshots[++index + 1]) {
      const oldest = snapshots[index] ?? next
      const isTooMuch = config.retentionBytes >= 0 && bytes > config.retentionBytes
      const ageMs = clock.now() - lastContainedMs(disk, oldest.path)
      const isTooOld = config.retentionMs >= 0 && ageMs > config.retentionMs
      // What an earlier process began to delete stands for nothing that the log still has.
      const isBelowStart = oldest.endOffset < quorum.log.startOffset
      if (!isTooMuch && !isTooOld && !isBelowStart) break
      const before = quorum.log.sizeBytes
      quorum.log.deleteBefore(next.endOffset)
      bytes -= before - quorum.log.sizeBytes + disk.stat(oldest.path).size
      disk.remove(oldest.path)
      log.info('deleted an old metadata snapshot and the log before the next one', {
        path: oldest.path,
        logStartOffset: quorum.log.startOffset,
      })
    }
  }
}

/** What one turn writes; empty at the end. */
function nextValues(records: Iterator<MetadataRecord, void>): Buffer[] {
  const values: Buffer[] = []
  let bytes = 0
  while (values.length < recordsPerTurn && bytes < bytesPerTurn) {
    const next = records.next()
    if (next.done === true) break
    const value = encodeMetadataRecord(next.value)
    values.push(value)
    bytes += value.length
  }
  return values
}

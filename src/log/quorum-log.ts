/**
 * A partition log as the metadata quorum wants it: batches come with their offsets and epochs,
 * count from the moment they were appended, and are durable once synced.
 */
import type { Log } from './log.ts'

export class QuorumLog {
  readonly #log: Log
  /** The first append that could not be written: nothing after it may be taken for durable. */
  #failure: unknown = null

  constructor(log: Log) {
    this.#log = log
  }

  get startOffset(): number {
    return this.#log.logStartOffset
  }

  get endOffset(): number {
    return this.#log.nextOffset
  }

  get lastEpoch(): number {
    return Math.max(0, this.#log.latestLeaderEpoch)
  }

  get sizeBytes(): number {
    return this.#log.size
  }

  /** Throws DiskError, or KafkaError for a batch that no log takes. */
  append(batch: Buffer, leaderEpoch: number): void {
    const { written } = this.#log.append(batch, leaderEpoch, 'raft')
    // Whoever appended waits for `sync`, which tells.
    written.catch((error: unknown) => {
      this.#failure ??= error
    })
  }

  /** Rejects with what went wrong since the log was opened; the quorum cannot go on then. */
  async sync(): Promise<void> {
    await this.#log.flush()
    if (this.#failure !== null) throw this.#failure
    // What was appended meanwhile is not durable yet.
    this.#log.updateHighWatermark(this.#log.recoveryPoint)
  }

  async read(offset: number, maxBytes: number): Promise<readonly Buffer[]> {
    if (offset >= this.#log.logEndOffset) return []
    const upToOffset = this.#log.logEndOffset
    const { chunks } = await this.#log.reader.read({
      offset,
      maxBytes,
      minOneBatch: true,
      upToOffset,
    })
    return chunks
  }

  truncate(offset: number): void {
    this.#log.truncateTo(offset)
  }

  /** Throws DiskError, and KafkaError above what is synced. */
  deleteBefore(offset: number): void {
    this.#log.deleteRecords(offset)
    this.#log.deleteOldSegments()
  }

  restartAt(offset: number): void {
    this.#log.truncateFullyAndStartAt(offset)
  }
}

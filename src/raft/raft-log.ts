/**
 * What the quorum needs of a log. The broker gives it the log of `__cluster_metadata-0`; offsets and
 * epochs are already in the bytes, so nothing is assigned here.
 */
export interface RaftLog {
  /** Offset of the first record still there. */
  readonly startOffset: number
  /** Offset that the next record gets; everything before it can be read. */
  readonly endOffset: number
  /** Leader epoch of the last batch; 0 in an empty log. */
  readonly lastEpoch: number
  /** Of all files. */
  readonly sizeBytes: number
  /**
   * Appends one whole batch, whose base offset is `endOffset` and which carries `leaderEpoch`. It is
   * part of `endOffset` when this returns, durable only after `sync`. Throws DiskError.
   */
  append(batch: Buffer, leaderEpoch: number): void
  /** Makes durable everything appended before the call. Rejects with DiskError; then never call it again. */
  sync(): Promise<void>
  /** Whole batches from the one that holds `offset` on, at least one if there is any, about `maxBytes`. */
  read(offset: number, maxBytes: number): readonly Buffer[] | Promise<readonly Buffer[]>
  /** Drops everything from `offset` on. */
  truncate(offset: number): void
  /**
   * The log begins at `offset`, which is committed: a durable snapshot stands for what was before, and
   * files wholly before it go. Throws DiskError.
   */
  deleteBefore(offset: number): void
  /** Drops everything; the next record gets `offset`, up to which a durable snapshot reaches. */
  restartAt(offset: number): void
}

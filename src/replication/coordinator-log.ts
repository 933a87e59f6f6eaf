/** A partition of an internal topic as its coordinator wants it: whole batches in, whole batches out. */
import type { EndOfTransaction, Partition } from './partition.ts'
import type { Verification } from './verifications.ts'

/** What one read brings at most while a coordinator loads (offsets.load.buffer.size). */
const loadBytesMax = 5 * 1024 * 1024

const asCoordinator = { acks: -1, origin: 'coordinator' } as const

export class PartitionCoordinatorLog {
  readonly #partition: Partition

  constructor(partition: Partition) {
    this.#partition = partition
  }

  get isEmpty(): boolean {
    const partition = this.#partition
    return !partition.isUnopened && partition.logStartOffset >= partition.logEndOffset
  }

  get logStartOffset(): number {
    return this.#partition.logStartOffset
  }

  get logEndOffset(): number {
    return this.#partition.logEndOffset
  }

  get batchBytesMax(): number {
    return this.#partition.config.maxMessageBytes
  }

  /** Rejects with DiskError, or KafkaError where damage comes first, or there is no disk any more. */
  async read(offset: number): Promise<Buffer> {
    const { log } = this.#partition
    const { chunks } = await log.reader.read({
      offset,
      maxBytes: loadBytesMax,
      minOneBatch: true,
      upToOffset: log.logEndOffset,
    })
    return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
  }

  endOfDamage(offset: number): number {
    return this.#partition.log.reader.endOfDamage(offset)
  }

  /** Resolves when the whole in-sync set has the batch. Throws KafkaError or rejects with DiskError. */
  append(batch: Buffer, verification?: Verification | null): Promise<void> {
    const options = verification === undefined ? asCoordinator : { ...asCoordinator, verification }
    return this.#partition.append(batch, options).written
  }

  /** As `append`, for the marker that ends a transaction. */
  appendMarker(end: EndOfTransaction, timestamp: number): Promise<void> {
    return this.#partition.appendMarker(end, timestamp).written
  }

  /**
   * Deletes the records before the offset, once those that make them superfluous are durable. Rejects
   * with KafkaError or DiskError.
   */
  async deleteRecords(offset: number): Promise<void> {
    await this.#partition.log.flush()
    this.#partition.deleteRecords(Math.min(offset, this.#partition.highWatermark))
  }
}

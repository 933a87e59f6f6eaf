/** A coordinator's log in memory: commits at once, when told to, or refuses. */
import { errors, KafkaError } from '../../protocol/errors.ts'
import * as batch from '../../protocol/records/batch.ts'
import { encodeControlBatch } from '../../protocol/records/control.ts'
import {
  type BatchRecord,
  encodeBatch,
  type NewBatch,
  readBatch,
} from '../../protocol/records/record.ts'
import type { CoordinatorLog, EndOfTransaction } from '../../src/coordinator/shard.ts'

interface Held {
  readonly commit: () => void
  readonly refuse: (failure: Error) => void
}

export class MemoryLog implements CoordinatorLog {
  readonly logStartOffset = 0
  logEndOffset = 0
  batchBytesMax = 1_048_588
  readonly batches: Buffer[] = []
  /** Offsets that cannot be read. */
  damage = { from: 0, to: 0 }
  /** While set, what is appended is refused with it. */
  failure: Error | null = null
  /** While set, it is thrown at once. */
  refusal: Error | null = null
  /** While true, what is appended waits for `held`. */
  isHolding = false
  /** What waits, oldest first. A refused batch is taken out of the log, even from the middle. */
  readonly held: Held[] = []

  get isEmpty(): boolean {
    return this.logEndOffset === this.logStartOffset
  }

  read(offset: number): Buffer {
    if (this.endOfDamage(offset) > offset) throw new KafkaError(errors.CORRUPT_MESSAGE)
    const found = this.batches.find((bytes) => batch.lastOffset(bytes, 0) >= offset)
    return found ?? Buffer.alloc(0)
  }

  endOfDamage(offset: number): number {
    const { from, to } = this.damage
    return offset >= from && offset < to ? to : offset
  }

  append(bytes: Buffer): Promise<void> {
    if (this.refusal !== null) throw this.refusal
    if (this.failure !== null) return Promise.reject(this.failure)
    batch.setBaseOffset(bytes, 0, this.logEndOffset)
    this.logEndOffset = batch.lastOffset(bytes, 0) + 1
    this.batches.push(bytes)
    if (!this.isHolding) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const refuse = (failure: Error) => {
        const at = this.batches.indexOf(bytes)
        if (at === this.batches.length - 1) this.logEndOffset = batch.baseOffset(bytes, 0)
        this.batches.splice(at, 1)
        reject(failure)
      }
      this.held.push({ commit: resolve, refuse })
    })
  }

  appendMarker(end: EndOfTransaction, timestamp: number): Promise<void> {
    const { producerId: id, producerEpoch: epoch, coordinatorEpoch } = end
    const type = end.isCommit ? 'commit' : 'abort'
    const records = [{ type, value: { coordinatorEpoch } } as const]
    return this.append(encodeControlBatch({ records, timestamp, producer: { id, epoch } }))
  }

  /** Puts a batch in as if another coordinator had written it. */
  put(newBatch: NewBatch): void {
    this.append(encodeBatch(newBatch))
  }

  /** Another log with what this one holds. */
  copy(): MemoryLog {
    const copy = new MemoryLog()
    copy.logEndOffset = this.logEndOffset
    copy.damage = this.damage
    copy.batches.push(...this.batches)
    return copy
  }

  records(): BatchRecord[] {
    return this.batches.flatMap((bytes) => readBatch(bytes).records)
  }
}

/** One of which what is no longer needed can be deleted. */
export class PrunableMemoryLog extends MemoryLog {
  prunedOffset = 0

  deleteRecords(offset: number): Promise<void> {
    this.prunedOffset = offset
    return Promise.resolve()
  }
}

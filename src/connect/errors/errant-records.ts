/**
 * Records that a sink task itself refuses (KIP-610): each is told as one that a converter refused, and
 * offsets wait until that is safe.
 */
import { ConnectException } from '../failures.ts'
import type { ErrantRecordReporter } from '../plugin.ts'
import type { SinkRecord } from '../records.ts'
import type { ConsumedRecord } from './consumed-record.ts'
import { Processing, type Tolerance } from './tolerance.ts'

const taskClass = 'org.apache.kafka.connect.sink.SinkTask'

export class ErrantRecords implements ErrantRecordReporter {
  readonly #tolerance: Tolerance<ConsumedRecord>
  readonly #toBytes: (record: SinkRecord) => Promise<ConsumedRecord>
  readonly #origins = new WeakMap<SinkRecord, ConsumedRecord>()
  #waiting: Promise<void>[] = []
  #failure: Error | null = null

  constructor(
    tolerance: Tolerance<ConsumedRecord>,
    toBytes: (record: SinkRecord) => Promise<ConsumedRecord>,
  ) {
    this.#tolerance = tolerance
    this.#toBytes = toBytes
  }

  /** What a record was before it was converted. */
  remember(record: SinkRecord, consumed: ConsumedRecord): void {
    this.#origins.set(record, consumed)
  }

  async report(record: SinkRecord, error: Error): Promise<void> {
    this.#failure ??= error
    const reported = this.#tell(record, error)
    this.#waiting.push(reported)
    await reported
  }

  async #tell(record: SinkRecord, error: Error): Promise<void> {
    const original = this.#origins.get(record) ?? (await this.#toBytes(record))
    await this.#tolerance.executeFailed(new Processing(original), 'TASK_PUT', taskClass, error)
  }

  /** Throws ConnectException where errors are not tolerated, though the task swallowed that. */
  throwIfExceeded(): void {
    if (this.#failure !== null && !this.#tolerance.isWithinLimits)
      throw new ConnectException('Tolerance exceeded in error handler', { cause: this.#failure })
  }

  /** Resolves when all that was reported is safe. */
  async settled(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    await Promise.all(waiting)
  }

  /** The partitions are lost: nobody waits any more. */
  forget(): void {
    this.#waiting = []
  }
}

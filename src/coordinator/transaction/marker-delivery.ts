/**
 * Carries out decisions that are in the log: has markers written into every partition of a transaction,
 * again and again until each has its own, and then tells that the transaction is complete.
 *
 * Nothing but a deleted topic, or a partition that says it will never take the marker, lets one go
 * without. A partition without a leader is waited for, however long that takes: that its leader is not
 * known yet says nothing about its records. A coordinator that goes leaves all of it to the next one,
 * which finds the decisions in the log.
 */
import { type ErrorRow, errors } from '../../../protocol/errors.ts'
import type { Logger, Milliseconds } from '../../environment/environment.ts'
import type { Deadline } from '../deadlines.ts'
import type { MarkerWriter, TransactionMarkers } from './participants.ts'
import type { Transaction } from './transaction.ts'

const firstRetryMs = 20
const retryMsMax = 5000

/** Answers after which it makes no sense to ask the partition again. */
const conclusive: ReadonlySet<ErrorRow> = new Set([
  errors.NONE,
  // A later epoch of the producer has been there: what this one had open is ended.
  errors.INVALID_PRODUCER_EPOCH,
  // It could not have taken records of the transaction either.
  errors.UNSUPPORTED_FOR_MESSAGE_FORMAT,
  errors.UNSUPPORTED_VERSION,
])

export interface MarkerDeliveryOptions {
  readonly markers: MarkerWriter
  /** Whether there is no such partition any more, for certain. */
  readonly isDeleted: (topic: string, partition: number) => boolean
  readonly coordinatorEpoch: number
  readonly log: Logger
  readonly deadline: (onReached: () => void) => Deadline
  /** Every partition has its marker; may ask for `complete` to be tried again. */
  readonly complete: (transactionalId: string, onFailed: () => void) => void
}

interface Delivery {
  readonly transactionalId: string
  readonly transaction: Transaction
  /** Partitions without marker, by topic. */
  readonly missing: Map<string, Set<number>>
  readonly retry: Deadline
  retryMs: Milliseconds
}

export class MarkerDelivery {
  readonly #options: MarkerDeliveryOptions
  readonly #deliveries = new Map<string, Delivery>()

  constructor(options: MarkerDeliveryOptions) {
    this.#options = options
  }

  /** The decision is committed; for one that is under way already this does nothing. */
  deliver(transactionalId: string, transaction: Transaction): void {
    if (this.#deliveries.has(transactionalId)) return
    const missing = new Map(
      [...transaction.partitions].map(([topic, ids]) => [topic, new Set(ids)]),
    )
    const retry = this.#options.deadline(() => void this.#attempt(delivery))
    const delivery = { transactionalId, transaction, missing, retry, retryMs: firstRetryMs }
    this.#deliveries.set(transactionalId, delivery)
    void this.#attempt(delivery)
  }

  /** The transaction is recorded as complete. */
  completed(transactionalId: string): void {
    this.#deliveries.delete(transactionalId)
  }

  close(): void {
    for (const { retry } of this.#deliveries.values()) retry.clear()
    this.#deliveries.clear()
  }

  async #attempt(delivery: Delivery): Promise<void> {
    const { missing, transactionalId } = delivery
    this.#dropDeleted(delivery)
    if (missing.size > 0) {
      const rows = await this.#write(delivery)
      // Of a shard that was closed meanwhile.
      if (this.#deliveries.get(transactionalId) !== delivery) return
      this.#settle(delivery, rows)
    }
    if (missing.size > 0) this.#tryLater(delivery)
    else this.#options.complete(transactionalId, () => this.#tryLater(delivery))
  }

  #dropDeleted({ missing, transactionalId }: Delivery): void {
    for (const [topic, indexes] of missing) {
      for (const partition of indexes) {
        if (!this.#options.isDeleted(topic, partition)) continue
        drop(missing, topic, partition)
        const fields = { transactionalId, topic, partition }
        this.#options.log.info('a deleted partition needs no transaction marker', fields)
      }
    }
  }

  async #write({ transaction, missing, transactionalId }: Delivery) {
    const markers: TransactionMarkers = {
      producerId: transaction.producerId,
      producerEpoch: transaction.producerEpoch,
      coordinatorEpoch: this.#options.coordinatorEpoch,
      isCommit: transaction.state === 'PrepareCommit',
      transactionVersion: transaction.clientVersion,
      partitions: [...missing].map(([topic, indexes]) => ({ topic, partitions: [...indexes] })),
    }
    try {
      return await this.#options.markers.writeMarkers(markers)
    } catch (err) {
      this.#options.log.error('transaction markers failed', { transactionalId, err })
      return new Map<string, ErrorRow>()
    }
  }

  #settle({ missing, transactionalId }: Delivery, rows: ReadonlyMap<string, ErrorRow>): void {
    for (const [topic, indexes] of missing) {
      for (const partition of indexes) {
        const row = rows.get(`${topic}-${partition}`)
        if (row === undefined || !conclusive.has(row)) continue
        drop(missing, topic, partition)
        if (row === errors.NONE) continue
        const fields = { transactionalId, topic, partition, error: row.name }
        this.#options.log.warn('a partition will never take its transaction marker', fields)
      }
    }
  }

  #tryLater(delivery: Delivery): void {
    const { transactionalId, missing, retry, retryMs } = delivery
    if (this.#deliveries.get(transactionalId) !== delivery) return
    const partitions = [...missing].reduce((sum, [, indexes]) => sum + indexes.size, 0)
    const fields = { transactionalId, partitions, retryMs }
    this.#options.log.info('transaction markers are still to be written', fields)
    retry.set(retryMs)
    delivery.retryMs = Math.min(2 * retryMs, retryMsMax)
  }
}

function drop(missing: Map<string, Set<number>>, topic: string, partition: number): void {
  const indexes = missing.get(topic)
  indexes?.delete(partition)
  if (indexes?.size === 0) missing.delete(topic)
}

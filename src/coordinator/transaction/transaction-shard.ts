/**
 * The transactional ids of one partition of `__transaction_state`.
 *
 * What is recorded changes in `apply` alone, so a request may see what is not committed yet: its answer
 * waits for that. A decision is carried out once it is committed, and after loading if it is found there.
 */
import { type ErrorRow, errors } from '../../../protocol/errors.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { Deadline } from '../deadlines.ts'
import type { HeldMemory } from '../held-memory.ts'
import type { Decision, Shard, ShardContext } from '../shard.ts'
import { TimelineMap } from '../timeline.ts'
import { type AddedPartitions, addPartitions } from './add-partitions.ts'
import type { TransactionCoordinatorConfig } from './config.ts'
import {
  completeTransaction,
  endTransaction,
  fenceTransaction,
  type TransactionEnd,
} from './end-transaction.ts'
import { initProducer, type ProducerStart } from './init-producer.ts'
import { MarkerDelivery } from './marker-delivery.ts'
import type { MarkerWriter } from './participants.ts'
import {
  type NeedsProducerId,
  needsProducerId,
  type ProducerAnswer,
  unchanged,
} from './producer-answer.ts'
import type { TransactionRecord } from './records.ts'
import { TimeLimits } from './time-limits.ts'
import { isDecided, isIdle, type Transaction } from './transaction.ts'

export interface TransactionShardOptions {
  readonly config: () => TransactionCoordinatorConfig
  readonly markers: MarkerWriter
  /** Whether there is no such partition any more, for certain. */
  readonly isDeleted: (topic: string, partition: number) => boolean
  /** Whether the last that was recorded in this partition may be lost. */
  readonly mayLackRecords: (partition: number) => boolean
  /** One that nobody has had; may reject. */
  readonly newProducerId: () => number | Promise<number>
  /** Of the transactional ids of all shards. */
  readonly idMemory: HeldMemory
}

/** What became of added partitions. */
export interface Added {
  readonly error: ErrorRow
  /** Resolves when it makes sense to try again, where it does. */
  readonly ended: Promise<void> | null
}

const nothing: Decision<TransactionRecord, void> = { records: [], reply: undefined }

/** What a transactional id takes beside its characters. */
const idOverheadBytes = 512
const bytesOf = (transactionalId: string): number => idOverheadBytes + 2 * transactionalId.length

export class TransactionShard implements Shard<TransactionRecord> {
  readonly #context: ShardContext<TransactionRecord>
  readonly #options: TransactionShardOptions
  readonly #transactions: TimelineMap<string, Transaction>
  readonly #limits: TimeLimits
  readonly #delivery: MarkerDelivery
  /** Who waits for the end of a decided transaction. */
  readonly #waiting = new Map<string, Set<() => void>>()
  /**
   * Ids whose last epoch may be lost with its record. Given out once more, it would have the batches of its new
   * producer taken for those that the one before has written: acknowledged, and not stored.
   */
  readonly #uncertain = new Set<string>()
  readonly #timeouts: Deadline
  readonly #expiry: Deadline
  #isUnloaded = false
  /** There was no room for another id, and it was logged. */
  #isFullTold = false

  constructor(context: ShardContext<TransactionRecord>, options: TransactionShardOptions) {
    this.#context = context
    this.#options = options
    this.#transactions = new TimelineMap(context.timeline)
    this.#limits = new TimeLimits(context.environment.clock)
    this.#timeouts = context.deadline(() => this.#abortTimedOut())
    this.#expiry = context.deadline((nowMs) => this.#expire(nowMs))
    this.#delivery = new MarkerDelivery({
      markers: options.markers,
      isDeleted: options.isDeleted,
      coordinatorEpoch: context.leaderEpoch,
      log: context.log,
      deadline: (onReached) =>
        context.deadline(() => {
          onReached()
          return nothing
        }),
      complete: (transactionalId, onFailed) => {
        context.write((nowMs) => this.#complete(transactionalId, nowMs, onFailed))
      },
    })
  }

  apply({ transactionalId, value }: TransactionRecord): void {
    if (value === null) {
      if (this.#transactions.delete(transactionalId)) this.#hold(-bytesOf(transactionalId))
      this.#uncertain.delete(transactionalId)
    } else {
      if (!this.#transactions.has(transactionalId)) this.#hold(bytesOf(transactionalId))
      this.#transactions.set(transactionalId, value)
    }
    this.#limits.note(transactionalId, value)
  }

  onLoaded(): void {
    const { abortTimedOutIntervalMs, removeExpiredIntervalMs } = this.#options.config()
    this.#timeouts.set(abortTimedOutIntervalMs)
    this.#expiry.set(removeExpiredIntervalMs)
    const isUncertain = this.mayLackRecords
    for (const [transactionalId, transaction] of this.#transactions) {
      if (isUncertain) this.#uncertain.add(transactionalId)
      if (isDecided(transaction)) this.#delivery.deliver(transactionalId, transaction)
    }
  }

  onUnloaded(): void {
    this.#delivery.close()
    for (const id of this.#transactions.keys()) this.#options.idMemory.hold(-bytesOf(id))
    this.#isUnloaded = true
    for (const transactionalId of [...this.#waiting.keys()]) this.#wake(transactionalId)
  }

  /** Whether the last that was recorded may be lost. */
  get mayLackRecords(): boolean {
    return this.#options.mayLackRecords(this.#context.partition)
  }

  transaction(transactionalId: string): Transaction | undefined {
    return this.#transactions.get(transactionalId)
  }

  transactions(): IterableIterator<[string, Transaction]> {
    return this.#transactions[Symbol.iterator]()
  }

  initProducer(
    asked: Omit<ProducerStart, 'mayHaveLaterEpoch'>,
    nowMs: Milliseconds,
  ): Decision<TransactionRecord, ProducerAnswer | NeedsProducerId> {
    const { transactionalId } = asked
    const before = this.transaction(transactionalId)
    if (before === undefined && this.#isFull(transactionalId)) {
      return unchanged(errors.COORDINATOR_NOT_AVAILABLE)
    }
    const start = { ...asked, mayHaveLaterEpoch: this.#uncertain.has(transactionalId) }
    const decision = this.#carriedOut(initProducer(before, start, nowMs))
    const value = decision.records[0]?.value
    if (!start.mayHaveLaterEpoch || value?.producerId !== asked.newProducerId) return decision
    return { ...decision, onCommitted: () => void this.#uncertain.delete(transactionalId) }
  }

  #hold(bytes: number): void {
    if (this.#isUnloaded) return
    const { idMemory } = this.#options
    idMemory.hold(bytes)
    this.#context.timeline.note(() => idMemory.hold(-bytes))
  }

  /** Whether there is no room for another id. */
  #isFull(transactionalId: string): boolean {
    const isFull = !this.#options.idMemory.hasRoomFor(bytesOf(transactionalId))
    if (isFull && !this.#isFullTold) {
      const fields = { transactionalId, ids: this.#transactions.size }
      this.#context.log.warn('no room for more transactional ids: new ones are refused', fields)
    }
    this.#isFullTold = isFull
    return isFull
  }

  addPartitions(
    added: AddedPartitions,
    clientVersion: number,
    nowMs: Milliseconds,
  ): Decision<TransactionRecord, Added> {
    const { transactionalId } = added
    const before = this.transaction(transactionalId)
    const decision = addPartitions(before, added, clientVersion, nowMs)
    const error = decision.reply
    const isEarly = error === errors.CONCURRENT_TRANSACTIONS
    return { ...decision, reply: { error, ended: isEarly ? this.#endOf(transactionalId) : null } }
  }

  end(
    end: TransactionEnd,
    nowMs: Milliseconds,
  ): Decision<TransactionRecord, ProducerAnswer | NeedsProducerId> {
    return this.#carriedOut(endTransaction(this.transaction(end.transactionalId), end, nowMs))
  }

  /** The markers of a decision are sent when it is committed. */
  #carriedOut<T>(decision: Decision<TransactionRecord, T>): Decision<TransactionRecord, T> {
    const [record] = decision.records
    if (record?.value == null || !isDecided(record.value)) return decision
    const { transactionalId, value } = record
    return {
      ...decision,
      onCommitted: () => this.#delivery.deliver(transactionalId, value),
    }
  }

  #complete(
    transactionalId: string,
    nowMs: Milliseconds,
    onFailed: () => void,
  ): Decision<TransactionRecord, void> {
    const decided = this.transaction(transactionalId)
    if (decided === undefined || !isDecided(decided)) return nothing
    const value = completeTransaction(decided, nowMs)
    // They decide anew after this turn: their records follow on this one, in the same batch.
    this.#wake(transactionalId)
    return {
      records: [{ transactionalId, value }],
      reply: undefined,
      onCommitted: () => this.#delivery.completed(transactionalId),
      onFailed,
    }
  }

  /**
   * Resolves when the decision about the transaction is carried out, the shard goes, or there was enough
   * of waiting.
   */
  #endOf(transactionalId: string): Promise<void> {
    const waiting = this.#waiting.get(transactionalId) ?? new Set()
    this.#waiting.set(transactionalId, waiting)
    return new Promise((resolve) => {
      const end = () => {
        waiting.delete(end)
        patience.clear()
        resolve()
      }
      const patience = this.#context.deadline(() => {
        end()
        return nothing
      })
      patience.set(this.#options.config().addPartitionsRetryMaxMs)
      waiting.add(end)
    })
  }

  #wake(transactionalId: string): void {
    const waiting = this.#waiting.get(transactionalId) ?? []
    this.#waiting.delete(transactionalId)
    for (const end of waiting) end()
  }

  #abortTimedOut(): Decision<TransactionRecord, void> {
    this.#timeouts.set(this.#options.config().abortTimedOutIntervalMs)
    for (const [transactionalId, transaction] of this.#transactions) {
      if (this.#limits.isOver(transactionalId, transaction)) this.#abort(transactionalId, null)
    }
    return nothing
  }

  /** Each by a write of its own: what becomes of one says nothing about the others. */
  #abort(transactionalId: string, newProducerId: number | null): void {
    const { transactionVersion } = this.#options.config()
    this.#context.write((nowMs) => {
      const before = this.transaction(transactionalId)
      if (before === undefined || !this.#limits.isOver(transactionalId, before)) return nothing
      const value = fenceTransaction(before, { newProducerId, transactionVersion }, nowMs)
      if (value === needsProducerId) {
        void this.#abortWithNewId(transactionalId)
        return nothing
      }
      const { producerId, producerEpoch, timeoutMs } = before
      const fields = { transactionalId, producerId, producerEpoch, timeoutMs }
      this.#context.log.info('a transaction took too long and is aborted', fields)
      return this.#carriedOut({ records: [{ transactionalId, value }], reply: undefined })
    })
  }

  async #abortWithNewId(transactionalId: string): Promise<void> {
    try {
      this.#abort(transactionalId, await this.#options.newProducerId())
    } catch (err) {
      this.#context.log.warn('a transaction that took too long is still open', {
        transactionalId,
        err,
      })
    }
  }

  #expire(nowMs: Milliseconds): Decision<TransactionRecord, void> {
    const { removeExpiredIntervalMs, transactionalIdExpirationMs } = this.#options.config()
    this.#expiry.set(removeExpiredIntervalMs)
    const records: TransactionRecord[] = []
    for (const [transactionalId, transaction] of this.#transactions) {
      const isExpired = transaction.updateMs <= nowMs - transactionalIdExpirationMs
      if (isExpired && isIdle(transaction)) records.push({ transactionalId, value: null })
    }
    if (records.length > 0)
      this.#context.log.info('transactional ids expired', { ids: records.length })
    return { records, reply: undefined, isAtomic: false }
  }
}

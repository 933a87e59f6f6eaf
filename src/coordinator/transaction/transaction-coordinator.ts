/**
 * The transaction coordinator: one method per API, each of which finds the shard of the transactional id,
 * lets it decide and turns failures into the API's own answers. What lives in this folder: transactional
 * ids and their transactions, from request to record (`transaction.ts` has the states,
 * `transaction-shard.ts` the ids, the other files one idea each), and `participants.ts`, the seam to the
 * partitions. What must not: the wire, metadata, and what goes on in partitions.
 *
 * Methods answer at once where they can, else with a promise that never rejects but for a bug.
 */

import { type ErrorRow, errors, KafkaError } from '../../../protocol/errors.ts'
import type { Environment, Milliseconds } from '../../environment/environment.ts'
import { allInTurns } from '../../environment/in-turns.ts'
import { answered, type Pending } from '../answered.ts'
import { coordinatorPartition } from '../coordinator-partition.ts'
import { HeldMemory } from '../held-memory.ts'
import { CoordinatorRuntime, type ShardCounts } from '../runtime.ts'
import type { CoordinatorLog, Decision } from '../shard.ts'
import { type AddedPartitions, eachPartition, verifyPartitions } from './add-partitions.ts'
import type { TransactionCoordinatorConfig } from './config.ts'
import { type DescribedTransaction, describedTransaction, undescribed } from './describe.ts'
import type { TransactionEnd } from './end-transaction.ts'
import type { ProducerStart } from './init-producer.ts'
import { fateOf, type LastTransaction } from './orphans.ts'
import type {
  MarkerWriter,
  OpenTransaction,
  PartitionName,
  PartitionsInTransaction,
  TransactionVerifier,
} from './participants.ts'
import {
  type NeedsProducerId,
  needsProducerId,
  type ProducerAnswer,
  producerFailed,
} from './producer-answer.ts'
import {
  decodeTransactionRecord,
  encodeTransactionRecord,
  type TransactionRecord,
} from './records.ts'
import {
  firstVersionWithEpochBumps,
  type Transaction,
  type TransactionState,
  unlimitedTimeoutMs,
} from './transaction.ts'
import { type Added, TransactionShard } from './transaction-shard.ts'

export interface TransactionCoordinatorOptions {
  readonly environment: Environment
  /** Read at each use: changes take effect at once. */
  readonly config: () => TransactionCoordinatorConfig
  /** Partitions of __transaction_state; while it does not exist, those that it is to have. */
  readonly partitionCount: () => number
  /** Gives ids that no producer has had; may reject with KafkaError. */
  readonly producerIds: { next(): number | Promise<number> }
  readonly markers: MarkerWriter
  /** Whether there is no such partition any more, for certain. */
  readonly isDeleted: (topic: string, partition: number) => boolean
  /** Whether a partition of __transaction_state may have lost, with the power, the last that was recorded there. */
  readonly mayLackRecords: (partition: number) => boolean
}

export interface ProducerRequest
  extends Pick<ProducerStart, 'transactionalId' | 'timeoutMs' | 'expected'> {
  /** Of a distributed commit (KIP-939), which does not time out. */
  readonly isTwoPhaseCommit: boolean
  /** Whether a prepared transaction is to stay open (KIP-939). */
  readonly keepsPrepared: boolean
}

/**
 * Some 900,000 ids of the usual length. With Kafka, which has no bound, they end the broker instead. Who
 * comes with another one is told to try again; those there are expire when nobody uses them.
 */
export const idBytesMax = 512 * 1024 * 1024

type Match = (transactionalId: string, transaction: Transaction, nowMs: Milliseconds) => boolean
type Decide<T> = (shard: TransactionShard, nowMs: Milliseconds) => Decision<TransactionRecord, T>

export class TransactionCoordinator implements TransactionVerifier {
  readonly topic = '__transaction_state'
  /** What transactional ids take. */
  readonly idMemory = new HeldMemory(idBytesMax)
  readonly #environment: Environment
  readonly #config: () => TransactionCoordinatorConfig
  readonly #partitionCount: () => number
  readonly #newProducerId: () => number | Promise<number>
  readonly #runtime: CoordinatorRuntime<TransactionShard, TransactionRecord>

  constructor(options: TransactionCoordinatorOptions) {
    const { environment, config, markers, isDeleted, mayLackRecords, producerIds } = options
    this.#environment = environment
    this.#config = config
    this.#partitionCount = options.partitionCount
    this.#newProducerId = () => producerIds.next()
    const { idMemory } = this
    const shardOptions = {
      config,
      markers,
      isDeleted,
      mayLackRecords,
      newProducerId: this.#newProducerId,
      idMemory,
    }
    this.#runtime = new CoordinatorRuntime(environment, {
      name: 'transaction',
      topic: this.topic,
      create: (context) => new TransactionShard(context, shardOptions),
      encode: (record) => encodeTransactionRecord(record, config().transactionVersion),
      decode: decodeTransactionRecord,
      commitTimeoutMs: () => config().requestTimeoutMs,
      compression: () => 'none',
    })
  }

  /** The partition of __transaction_state that holds the transactional id. */
  partitionFor(transactionalId: string): number {
    return coordinatorPartition(transactionalId, this.#partitionCount())
  }

  /**
   * This broker leads the partition of __transaction_state; resolves when its transactional ids are
   * loaded. Decisions found there are carried out from then on.
   */
  onElection(partition: number, leaderEpoch: number, log: CoordinatorLog): Promise<void> {
    return this.#runtime.load(partition, leaderEpoch, log)
  }

  onResignation(partition: number, leaderEpoch?: number): void {
    this.#runtime.unload(partition, leaderEpoch)
  }

  close(): void {
    this.#runtime.close()
  }

  async initProducerId(request: ProducerRequest): Promise<ProducerAnswer> {
    const { transactionalId, timeoutMs, expected, isTwoPhaseCommit } = request
    const error = this.#producerError(request)
    if (error !== errors.NONE) return producerFailed(error)
    const { transactionVersion } = this.#config()
    return await this.#withProducerId((newProducerId) => {
      const start = {
        transactionalId,
        timeoutMs: isTwoPhaseCommit ? unlimitedTimeoutMs : timeoutMs,
        expected,
        newProducerId,
        transactionVersion,
      }
      return this.#write<ProducerAnswer | NeedsProducerId>(
        transactionalId,
        producerFailed,
        (shard, nowMs) => shard.initProducer(start, nowMs),
      )
    })
  }

  #producerError(request: ProducerRequest): ErrorRow {
    const { isTwoPhaseCommitEnabled, transactionMaxTimeoutMs } = this.#config()
    const { transactionalId, timeoutMs, isTwoPhaseCommit, keepsPrepared } = request
    if (transactionalId === '') return errors.INVALID_REQUEST
    if (isTwoPhaseCommit && !isTwoPhaseCommitEnabled) {
      return errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    }
    if (keepsPrepared) return errors.UNSUPPORTED_VERSION
    const isInBounds = timeoutMs > 0 && timeoutMs <= transactionMaxTimeoutMs
    return isTwoPhaseCommit || isInBounds ? errors.NONE : errors.INVALID_TRANSACTION_TIMEOUT
  }

  /**
   * Enters partitions into a transaction, all or none. `clientVersion`: 2 where leaders ask for their
   * clients (KIP-890), else 0. While the transaction before is still being ended it waits a little.
   */
  async addPartitions(added: AddedPartitions, clientVersion: number): Promise<ErrorRow> {
    const { transactionalId } = added
    if (transactionalId === '') return errors.INVALID_REQUEST
    const add = () =>
      this.#write<Added>(
        transactionalId,
        (error) => ({ error, ended: null }),
        (shard, nowMs) => shard.addPartitions(added, clientVersion, nowMs),
      )
    const { error, ended } = await add()
    if (ended === null) return error
    await ended
    return (await add()).error
  }

  /** A row for each partition: NONE where it is in the producer's ongoing transaction. */
  verifyPartitions(asked: AddedPartitions): Pending<ReadonlyMap<PartitionName, ErrorRow>> {
    const { transactionalId } = asked
    if (transactionalId === '') return eachPartition(asked, errors.INVALID_REQUEST)
    return this.#write<ReadonlyMap<PartitionName, ErrorRow>>(
      transactionalId,
      (error) => eachPartition(asked, error),
      (shard) => ({
        records: [],
        reply: verifyPartitions(shard.transaction(transactionalId), asked),
      }),
    )
  }

  async verify(request: PartitionsInTransaction): Promise<ReadonlyMap<PartitionName, ErrorRow>> {
    if (!request.isAdding) return await this.verifyPartitions(request)
    const error = await this.addPartitions(request, firstVersionWithEpochBumps)
    return eachPartition(request, error)
  }

  async endTransaction(end: Omit<TransactionEnd, 'newProducerId'>): Promise<ProducerAnswer> {
    const { transactionalId } = end
    if (transactionalId === '') return producerFailed(errors.INVALID_REQUEST)
    return await this.#withProducerId((newProducerId) =>
      this.#write<ProducerAnswer | NeedsProducerId>(
        transactionalId,
        producerFailed,
        (shard, nowMs) => shard.end({ ...end, newProducerId }, nowMs),
      ),
    )
  }

  async describe(transactionalIds: readonly string[]): Promise<DescribedTransaction[]> {
    const describe = (transactionalId: string): Pending<DescribedTransaction> => {
      if (transactionalId === '') return undescribed(transactionalId, errors.INVALID_REQUEST)
      return this.#write<DescribedTransaction>(
        transactionalId,
        (error) => undescribed(transactionalId, error),
        (shard) => ({
          records: [],
          reply: describedTransaction(transactionalId, shard.transaction(transactionalId)),
        }),
      )
    }
    // Each once, however often it is named: its answer may be long.
    return await allInTurns(this.#environment, new Set(transactionalIds), describe)
  }

  /**
   * The transactional ids of all shards here that match. Rejects with KafkaError while one of them is
   * loading.
   */
  async select(matches: Match): Promise<readonly (readonly [string, Transaction])[]> {
    const found: (readonly [string, Transaction])[] = []
    const select = (shard: TransactionShard, nowMs: Milliseconds) =>
      [...shard.transactions()].filter(([id, transaction]) => matches(id, transaction, nowMs))
    for await (const ofShard of this.#runtime.readEach(select)) {
      for (const each of ofShard) found.push(each)
      // To match a pattern may take a while: others have their turn in between.
      await new Promise<void>((resolve) => this.#environment.timers.nextTurn(resolve))
    }
    return found
  }

  /**
   * Those that nobody would end, and how they are to end. None where that is not certain, as a shard is not
   * here or not wholly known.
   */
  orphansAmong<T extends OpenTransaction>(open: readonly T[]): (T & { isCommit: boolean })[] {
    if (open.length === 0 || !this.#runtime.isWhole(this.#partitionCount())) return []
    const ids = new Set(open.map(({ producerId }) => producerId))
    const lastOf = new Map<number, LastTransaction>()
    this.#runtime.forEachActive((shard) => {
      const { mayLackRecords } = shard
      for (const [, transaction] of shard.transactions()) {
        const { producerId, previousProducerId } = transaction
        for (const id of [previousProducerId, producerId]) {
          if (ids.has(id)) lastOf.set(id, { transaction, mayLackRecords })
        }
      }
    })
    return open.flatMap((one) => {
      const fate = fateOf(one, lastOf.get(one.producerId))
      return fate === null ? [] : { ...one, isCommit: fate === 'commit' }
    })
  }

  /** Calls `count` for each transactional id of the shards that are loaded here. */
  census(count: (state: TransactionState) => void): void {
    this.#runtime.forEachActive((shard) => {
      for (const [, { state }] of shard.transactions()) count(state)
    })
  }

  /** How many shards are here, by their state. */
  get shardStates(): ShardCounts {
    return this.#runtime.shardStates
  }

  /** Asks again with a new producer id if one is needed. */
  async #withProducerId(
    ask: (newProducerId: number | null) => Pending<ProducerAnswer | NeedsProducerId>,
  ): Promise<ProducerAnswer> {
    let answer = await ask(null)
    while (answer === needsProducerId) {
      let newProducerId: number
      try {
        newProducerId = await this.#newProducerId()
      } catch (failure) {
        if (!(failure instanceof KafkaError)) throw failure
        // The controller has gone for the moment: the producer asks again.
        const isGone = failure.error === errors.NOT_CONTROLLER
        return producerFailed(isGone ? errors.COORDINATOR_NOT_AVAILABLE : failure.error)
      }
      answer = await ask(newProducerId)
    }
    return answer
  }

  /** Runs `decide` on the shard of the transactional id; `fail` is the answer to whatever goes wrong. */
  #write<T>(transactionalId: string, fail: (error: ErrorRow) => T, decide: Decide<T>): Pending<T> {
    const write = () => this.#runtime.write(this.partitionFor(transactionalId), decide)
    return answered<T>(({ error }) => fail(error), write)
  }
}

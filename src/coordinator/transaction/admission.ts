/**
 * Who may write to a partition as a part of a transaction (KIP-890). Where the producer's transaction is
 * open in all partitions that a request names, it is let in at once. Otherwise the transaction's coordinator
 * is asked first, and what the same connection sends meanwhile waits in line behind, so that a producer's
 * batches are appended in the order in which they came, and nobody else has to wait for them.
 *
 *   request -> all open, nobody in line ----------------------------------> let in, no promise made
 *           \-> turn in line -> all open ---------------------------------> let in
 *                           \-> coordinator asked -> rows of errors.ts ---> let in, or told why not
 */
import { type ErrorRow, errors, KafkaError } from '../../../protocol/errors.ts'
import type { Environment, Milliseconds } from '../../environment/environment.ts'
import type { TopicPartitions, TransactionVerifier } from './participants.ts'

/** A partition that is led here. */
export interface WritablePartition<V> {
  readonly topic: string
  readonly index: number
  /**
   * Null where the producer's transaction is open. Throws KafkaError where the producer is fenced,
   * or the partition not led here.
   */
  startVerification(batch: {
    readonly producerId: number
    readonly producerEpoch: number
    readonly baseSequence: number
    readonly isAdding: boolean
  }): V | null
}

/** Who asks, and what its version of the protocol knows. */
export interface AdmittedProducer {
  /** The connection. */
  readonly origin: object
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  /** Asking adds the partitions to the transaction: clients of transaction version 2. */
  readonly isAdding: boolean
  /** It knows TRANSACTION_ABORTABLE. */
  readonly knowsAbortable: boolean
  /** It is better to wait than to let it send all over again: CONCURRENT_TRANSACTIONS is asked again. */
  readonly isCostly: boolean
}

export interface AdmissionOptions {
  readonly environment: Environment
  readonly verifier: TransactionVerifier
  /** transaction.partition.verification.enable; clients of transaction version 2 are always verified. */
  readonly isVerifying: () => boolean
  /** add.partitions.to.txn.retry.backoff.ms, and how long it is tried: ….backoff.max.ms. */
  readonly retryBackoffMs: () => Milliseconds
  readonly retryMsMax: () => Milliseconds
}

/** Of each partition: why it is refused, or its verification; null where its transaction was open. */
export type Admissions<P, V> = ReadonlyMap<P, ErrorRow | Verified<V>>

/** Given to the partition with the batch. */
export interface Verified<V> {
  readonly verification: V | null
}

const wasOpen: Verified<never> = { verification: null }

export const isRefused = <V>(answer: ErrorRow | Verified<V>): answer is ErrorRow => 'code' in answer

export class Admission {
  readonly #options: AdmissionOptions
  /** The last in line, by connection. */
  readonly #turns = new Map<object, Promise<unknown>>()

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /**
   * `partitions`: those with a transactional batch, and the first sequence of each. Null where nothing
   * is verified. A promise never rejects but for a bug, and whoever gets one appends as soon as it
   * resolves: the next in line is looked at right after.
   */
  admit<V, P extends WritablePartition<V>>(
    producer: AdmittedProducer,
    partitions: ReadonlyMap<P, number>,
  ): Admissions<P, V> | null | Promise<Admissions<P, V>> {
    if (!producer.isAdding && !this.#options.isVerifying()) return null
    const { origin } = producer
    const before = this.#turns.get(origin)
    let turn: Promise<Admissions<P, V>>
    if (before === undefined) {
      const begun = begin<V, P>(producer, partitions)
      if (begun.asked.length === 0) return begun.answers
      turn = this.#ask(producer, partitions, begun)
    } else {
      const next = () => this.#ask(producer, partitions, begin<V, P>(producer, partitions))
      turn = before.then(next, next)
    }
    this.#turns.set(origin, turn)
    const leave = () => {
      if (this.#turns.get(origin) === turn) this.#turns.delete(origin)
    }
    turn.then(leave, leave)
    return turn
  }

  async #ask<V, P extends WritablePartition<V>>(
    producer: AdmittedProducer,
    partitions: ReadonlyMap<P, number>,
    begun: Begun<V, P>,
  ): Promise<Admissions<P, V>> {
    const { environment, verifier, retryBackoffMs, retryMsMax } = this.#options
    const { clock, timers } = environment
    const startMs = clock.monotonic()
    let { answers, asked } = begun
    while (asked.length > 0) {
      const { transactionalId, producerId, producerEpoch, isAdding } = producer
      const names = { transactionalId, producerId, producerEpoch, isAdding }
      const rows = await verifier.verify({ ...names, partitions: byTopic(asked) })
      let isConcurrent = false
      for (const partition of asked) {
        // The coordinator has answered for all; whom it left out is not let in.
        const row = rows.get(`${partition.topic}-${partition.index}`) ?? errors.INVALID_TXN_STATE
        isConcurrent ||= row === errors.CONCURRENT_TRANSACTIONS
        if (row !== errors.NONE) answers.set(partition, told(row, producer))
      }
      const isLate = clock.monotonic() - startMs >= retryMsMax()
      if (!isConcurrent || !producer.isAdding || !producer.isCostly || isLate) break
      await new Promise<void>((resolve) => timers.after(retryBackoffMs(), resolve))
      ;({ answers, asked } = begin<V, P>(producer, partitions))
    }
    return answers
  }
}

interface Begun<V, P> {
  readonly answers: Map<P, ErrorRow | Verified<V>>
  /** Those for which the coordinator is to be asked. */
  readonly asked: P[]
}

function begin<V, P extends WritablePartition<V>>(
  { producerId, producerEpoch, isAdding }: AdmittedProducer,
  partitions: ReadonlyMap<P, number>,
): Begun<V, P> {
  const answers = new Map<P, ErrorRow | Verified<V>>()
  const asked: P[] = []
  for (const [partition, baseSequence] of partitions) {
    try {
      const batch = { producerId, producerEpoch, baseSequence, isAdding }
      const verification = partition.startVerification(batch)
      answers.set(partition, verification === null ? wasOpen : { verification })
      if (verification !== null) asked.push(partition)
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      answers.set(partition, error.error)
    }
  }
  return { answers, asked }
}

/** What producers expect to hear. */
function told(row: ErrorRow, { knowsAbortable }: AdmittedProducer): ErrorRow {
  if (row === errors.PRODUCER_FENCED) return errors.INVALID_PRODUCER_EPOCH
  if (row === errors.TRANSACTION_ABORTABLE && !knowsAbortable) return errors.INVALID_TXN_STATE
  return row
}

function byTopic(partitions: readonly { topic: string; index: number }[]): TopicPartitions[] {
  const indexes = new Map<string, number[]>()
  for (const { topic, index } of partitions) {
    const known = indexes.get(topic)
    if (known === undefined) indexes.set(topic, [index])
    else known.push(index)
  }
  return [...indexes].map(([topic, numbers]) => ({ topic, partitions: numbers }))
}

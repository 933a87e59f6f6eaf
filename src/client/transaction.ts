/**
 * The transactions of a producer (KIP-98): what it writes between `begin` and `end` is read by readers of committed
 * records all or not at all. One producer of a transactional id writes at a time; whoever opens it next ends what the
 * one before had open, and shuts that one out.
 *
 *     new --open--> ready --begin--> running --end--> ready
 *                                       | a write has failed
 *                                       v
 *                                    doomed --abort--> ready        any --shut out, or confused--> lost
 *
 * Brokers of transaction version 2 (KIP-890) enter partitions and groups as they are written to, and hand out a new
 * epoch with each end. Before that partitions and groups are entered by requests of their own, and an epoch is asked for
 * behind an abort (KIP-360), since numbers of what was not written are missing from it.
 */
import { apis } from '../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import type { Milliseconds } from '../environment/environment.ts'
import type { Cluster } from './cluster.ts'
import { isAnswer, UnsupportedVersionError } from './failures.ts'
import { type CommittedOffset, type Committer, offsetCommit } from './offsets.ts'
import type { ProducerIdentity } from './partition-queue.ts'
import { byTopic, nameOf, type TopicPartition } from './topic-partition.ts'

export interface TransactionOptions {
  readonly transactionalId: string
  /** Milliseconds without an end after which the broker aborts it. */
  readonly timeoutMs?: Milliseconds
}

const feature = 'transaction.version'
/** The first of their versions that enter partitions and groups by themselves. */
const implicit = { produce: 12, txnOffsetCommit: 5, endTxn: 5 }
const noIdentity: ProducerIdentity = { producerId: -1, producerEpoch: -1 }

type State = 'new' | 'ready' | 'running' | 'doomed' | 'lost'

export class Transaction {
  readonly transactionalId: string
  readonly #cluster: Cluster
  readonly #timeoutMs: Milliseconds
  #state: State = 'new'
  #identity: ProducerIdentity | null = null
  #isImplicit = false
  /** Why it is doomed or lost. */
  #failure: Error | null = null
  /** The broker may know of it. */
  #isKnown = false
  /** How it was asked to end, where nobody knows whether it has. */
  #asked: 'commit' | 'abort' | null = null
  readonly #entered = new Set<string>()
  readonly #wanted = new Map<string, TopicPartition>()
  #entering: Promise<void> | null = null

  constructor(cluster: Cluster, { transactionalId, timeoutMs = 60_000 }: TransactionOptions) {
    this.#cluster = cluster
    this.transactionalId = transactionalId
    this.#timeoutMs = timeoutMs
  }

  /** With which batches are stamped. Null: nothing may be written now. */
  get identity(): ProducerIdentity | null {
    return this.#state === 'running' ? this.#identity : null
  }

  /** Why nothing of it can be written any more; null: it can. */
  get failure(): Error | null {
    return this.#failure
  }

  /** False: it has not begun, may be committed already, or is another's. */
  get mayAbort(): boolean {
    return (this.#state === 'running' || this.#state === 'doomed') && this.#asked === null
  }

  /** What Produce has to be: it says by its version who enters partitions. */
  get produceVersions(): { versionMin?: number; versionMax?: number } {
    const { produce } = implicit
    return this.#isImplicit ? { versionMin: produce } : { versionMax: produce - 1 }
  }

  /**
   * Takes the transactional id over: what others have open under it is aborted, and they are shut out. Rejects with
   * KafkaError, UnsupportedVersionError, TimeoutError; may be tried again.
   */
  async open(): Promise<void> {
    this.#require('new')
    const { finalizedFeatures } = (await this.#cluster.anyConnection()).apiVersions
    const level = finalizedFeatures.find(({ name }) => name === feature)?.maxVersionLevel ?? 0
    this.#isImplicit = level >= 2
    this.#identity = await this.#told(() =>
      takeOver(this.#cluster, this.transactionalId, { timeoutMs: this.#timeoutMs }),
    )
    this.#state = 'ready'
  }

  /** Throws where it is not ready. */
  begin(): void {
    this.#require('ready')
    this.#state = 'running'
  }

  /** Throws where nothing may be written to it. What has failed is told to those who wrote. */
  requireRunning(): void {
    if (this.#failure === null) this.#require('running')
  }

  /** Whether the partition may be written to. Where it has to be entered before, `then` is called when it has been. */
  mayWrite(partition: TopicPartition, then: () => void): boolean {
    if (this.#state !== 'running') return false
    this.#isKnown = true
    if (this.#isImplicit) return true
    const name = nameOf(partition)
    if (this.#entered.has(name)) return true
    this.#wanted.set(name, partition)
    this.#entering ??= this.#enter().finally(() => {
      this.#entering = null
      then()
    })
    return false
  }

  /** Something of it was not written, or may not have been: it can only be aborted. */
  doom(error: Error): void {
    // One that may be committed already is not doomed any more.
    if (this.#state === 'lost' || this.#asked !== null) return
    if (isFinal(error)) this.#lose(error)
    else if (this.#state === 'running') this.#state = 'doomed'
    this.#failure ??= error
  }

  /** Commits offsets in the name of a group, as a part of it. Rejects with what dooms it. */
  async commitOffsets(committer: Committer, offsets: readonly CommittedOffset[]): Promise<void> {
    this.#require('running')
    if (offsets.length === 0) return
    this.#isKnown = true
    try {
      if (!this.#isImplicit) await this.#enterGroup(committer.groupId)
      await this.#commitOffsets(committer, offsets)
    } catch (error) {
      this.doom(error as Error)
      throw error
    }
  }

  /**
   * Ends it, once all that was written is acknowledged. Rejects where it could not be committed: with what doomed it,
   * with KafkaError where the broker refuses, and with TimeoutError where nobody knows: then it can be ended again, in
   * the same way only.
   */
  async end(how: 'commit' | 'abort'): Promise<void> {
    if (this.#state === 'lost' || (how === 'commit' && this.#failure !== null)) throw this.#failure
    if (this.#state !== 'doomed') this.#require('running')
    if ((this.#asked ?? how) !== how)
      throw new Error(`transaction ${this.transactionalId} may have ended: it was a ${this.#asked}`)
    if (this.#isKnown) {
      this.#asked = how
      await this.#told(() => this.#end(how))
      if (how === 'abort' && !this.#isImplicit) await this.#renew()
    }
    this.#state = 'ready'
    this.#failure = null
    this.#isKnown = false
    this.#asked = null
    this.#entered.clear()
    this.#wanted.clear()
  }

  #require(state: State): void {
    if (this.#failure !== null) throw this.#failure
    if (this.#state !== state)
      throw new Error(`transaction ${this.transactionalId} is ${this.#state}, not ${state}`)
  }

  #lose(error: Error): void {
    this.#state = 'lost'
    this.#failure = error
  }

  /** What the coordinator answers may be the end of this producer. */
  async #told<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      // From a leader it may only say that the transaction took too long; the coordinator knows.
      const isShutOut = isAnswer(error, 'INVALID_PRODUCER_EPOCH')
      if (error instanceof KafkaError) this.#asked = null
      if (isShutOut || isFinal(error)) this.#lose(error as Error)
      else if (error instanceof KafkaError) this.doom(error)
      throw error
    }
  }

  async #renew(): Promise<void> {
    const { transactionalId } = this
    this.#identity = await this.#told(() =>
      takeOver(this.#cluster, transactionalId, {
        timeoutMs: this.#timeoutMs,
        identity: this.#identity!,
      }),
    )
  }

  async #end(how: 'commit' | 'abort'): Promise<void> {
    const { endTxn } = implicit
    const answer = await this.#ask(`${how} transaction ${this.transactionalId}`, async () => {
      const answered = await this.#cluster.callCoordinator(
        this.#key,
        apis.endTxn,
        { ...this.#who, committed: how === 'commit' },
        this.#isImplicit ? { versionMin: endTxn } : { versionMax: endTxn - 1 },
      )
      // Before version 2 it has nothing to abort where no partition had been entered.
      const isUnknown = errorByCode(answered.errorCode) === errors.INVALID_TXN_STATE
      if (!(isUnknown && how === 'abort' && !this.#isImplicit)) this.#check(answered.errorCode)
      return answered
    })
    const { producerId, producerEpoch } = answer
    if (this.#isImplicit && producerId >= 0) this.#identity = { producerId, producerEpoch }
  }

  /** Partitions that batches wait for. Never rejects: what fails dooms the transaction. */
  async #enter(): Promise<void> {
    // Those of this turn go together.
    await Promise.resolve()
    while (this.#wanted.size > 0 && this.#state === 'running') {
      const partitions = [...this.#wanted.values()]
      try {
        await this.#told(() => this.#ask('enter partitions', () => this.#enterAll(partitions)))
      } catch (error) {
        this.doom(error as Error)
        return
      }
      for (const partition of partitions) {
        this.#entered.add(nameOf(partition))
        this.#wanted.delete(nameOf(partition))
      }
    }
  }

  async #enterAll(partitions: readonly TopicPartition[]): Promise<void> {
    const { transactionalId, producerId, producerEpoch } = this.#who
    const answer = await this.#cluster.callCoordinator(
      this.#key,
      apis.addPartitionsToTxn,
      {
        v3AndBelowTransactionalId: transactionalId,
        v3AndBelowProducerId: producerId,
        v3AndBelowProducerEpoch: producerEpoch,
        v3AndBelowTopics: Array.from(byTopic(partitions), ([name, rows]) => ({
          name,
          partitions: rows.map(({ partition }) => partition),
        })),
      },
      { versionMax: 3 },
    )
    const codes = answer.resultsByTopicV3AndBelow.flatMap(({ resultsByPartition }) =>
      resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode),
    )
    // Of several that is told which says what is wrong: the others were not attempted for it.
    const [first = 0] = codes.filter((code) => code !== 0 && code !== notAttempted)
    this.#check(first || (codes.find((code) => code !== 0) ?? 0))
  }

  async #enterGroup(groupId: string): Promise<void> {
    await this.#told(() =>
      this.#ask(`enter group ${groupId}`, async () => {
        const answer = await this.#cluster.callCoordinator(this.#key, apis.addOffsetsToTxn, {
          ...this.#who,
          groupId,
        })
        this.#check(answer.errorCode)
      }),
    )
  }

  async #commitOffsets(committer: Committer, offsets: readonly CommittedOffset[]): Promise<void> {
    const { txnOffsetCommit: first } = implicit
    const { groupId } = committer
    await this.#ask(`commit offsets of group ${groupId}`, async () => {
      const answer = await this.#cluster.callCoordinator(
        { type: 'group', id: groupId },
        apis.txnOffsetCommit,
        { ...this.#who, ...offsetCommit(committer, offsets) },
        // Later versions name topics by id only.
        this.#isImplicit ? { versionMin: first, versionMax: first } : { versionMax: first - 1 },
      )
      for (const { partitions } of answer.topics)
        for (const { errorCode } of partitions)
          this.#cluster.checkCoordinator('group', groupId, errorCode)
    })
  }

  get #key() {
    return { type: 'transaction', id: this.transactionalId } as const
  }

  get #who() {
    const { producerId, producerEpoch } = this.#identity ?? noIdentity
    return { transactionalId: this.transactionalId, producerId, producerEpoch }
  }

  #check(errorCode: number): void {
    this.#cluster.checkCoordinator('transaction', this.transactionalId, errorCode)
  }

  #ask<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    return this.#cluster.retrying(what, attempt)
  }
}

const notAttempted = errors.OPERATION_NOT_ATTEMPTED.code

/** Nothing more is taken from this producer, or nobody knows any longer what its transaction is. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof UnsupportedVersionError ||
    isAnswer(
      error,
      'PRODUCER_FENCED',
      'INVALID_PRODUCER_ID_MAPPING',
      'INVALID_TXN_STATE',
      'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
      'CLUSTER_AUTHORIZATION_FAILED',
    )
  )
}

/**
 * A new identity for a transactional id: whoever had one is shut out, and what it has open aborted. With `identity` only
 * that one may have it. Rejects with KafkaError, TimeoutError.
 */
export function takeOver(
  cluster: Cluster,
  transactionalId: string,
  { timeoutMs, identity = noIdentity }: { timeoutMs: Milliseconds; identity?: ProducerIdentity },
): Promise<ProducerIdentity> {
  return cluster.retrying(`open transactional id ${transactionalId}`, async () => {
    const answer = await cluster.callCoordinator(
      { type: 'transaction', id: transactionalId },
      apis.initProducerId,
      { transactionalId, transactionTimeoutMs: timeoutMs, ...identity },
    )
    cluster.checkCoordinator('transaction', transactionalId, answer.errorCode)
    const { producerId, producerEpoch } = answer
    return { producerId, producerEpoch }
  })
}

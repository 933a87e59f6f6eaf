/**
 * A producer with a transactional id, request by request: asks for its id and epoch, adds partitions and
 * offsets to its transaction, writes, ends it. A client of transaction version 2 (KIP-890) leaves the
 * adding to the broker and takes a new epoch with every end. What is asked in vain is asked again, until
 * there is an answer that says something.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errorByCode, errors } from '../../protocol/errors.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { zeroUuid } from '../../protocol/types.ts'
import { isRetriable, TimeoutError } from '../../src/client/failures.ts'
import type { Ledger, LedgerRecord } from './ledger.ts'
import { idHeader } from './ledger-pieces.ts'
import { type Client, type Stage, sleep } from './stage.ts'
import { Violation } from './violation.ts'

/** Whoever has no answer for so long, blows and all, never gets one. */
const insistMsMax = 900_000

/** The ledger has become void: there is nothing to go on with. */
export class VoidLedger extends Error {
  override readonly name = 'VoidLedger'
}

export interface Identity {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  /** Next sequences, by partition. */
  readonly sequences: Map<number, number>
  /** It was asked for more than once: the request that had no answer may still come, and fence it. */
  readonly mayBeFenced: boolean
  /** A request had no answer, and may still come. */
  isDoubtful: boolean
}

export interface Answer {
  readonly error: ErrorRow
  readonly baseOffset?: number
  readonly producerId?: number
  readonly producerEpoch?: number
}

export class TransactionalProducer {
  readonly #stage: Stage
  readonly #client: Client
  readonly #ledger: Ledger
  readonly #takesEpochs: boolean
  /** After so long the broker aborts a transaction. */
  readonly timeoutMs: number

  constructor(
    stage: Stage,
    client: Client,
    options: { ledger: Ledger; takesEpochs: boolean; timeoutMs: number },
  ) {
    this.#stage = stage
    this.#client = client
    this.#ledger = options.ledger
    this.#takesEpochs = options.takesEpochs
    this.timeoutMs = options.timeoutMs
  }

  async initialize(transactionalId: string): Promise<Identity> {
    const doubts = { isDoubtful: false }
    const ask = () => this.#init(transactionalId)
    const { error, producerId = -1, producerEpoch = -1 } = await this.#insist('init', ask, doubts)
    if (error !== errors.NONE) {
      throw new Violation(`${transactionalId} is given no producer id: ${error.name}`)
    }
    const mayBeFenced = doubts.isDoubtful
    const sequences = new Map<number, number>()
    const isDoubtful = false
    return { transactionalId, producerId, producerEpoch, sequences, mayBeFenced, isDoubtful }
  }

  /** Before the first write to a partition. */
  async add(identity: Identity, partition: number): Promise<Answer> {
    if (this.#takesEpochs) return { error: errors.NONE }
    return await this.#insist('add', () => this.addOnce(identity, partition), identity)
  }

  /** Where it is not the partition's leader who adds. */
  async addOnce(identity: Identity, partition: number): Promise<Answer> {
    const { transactionalId, producerId, producerEpoch } = identity
    const { cluster } = this.#client
    const request = {
      transactions: [],
      v3AndBelowTransactionalId: transactionalId,
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: [{ name: this.#ledger.topic, partitions: [partition] }],
    }
    const key = { type: 'transaction', id: transactionalId } as const
    const answer = await cluster.callCoordinator(key, apis.addPartitionsToTxn, request, {
      versionMax: 3,
    })
    const row = answer.resultsByTopicV3AndBelow[0]?.resultsByPartition[0]
    return this.#told(identity, row?.partitionErrorCode)
  }

  /** `batch`: of one partition. */
  async write(identity: Identity, batch: readonly LedgerRecord[]): Promise<Answer> {
    const { sequences } = identity
    const { partition } = batch[0] as LedgerRecord
    const answer = await this.#insist('write', () => this.writeOnce(identity, batch), identity)
    if (answer.error === errors.NONE) {
      sequences.set(partition, (sequences.get(partition) ?? 0) + batch.length)
      const { baseOffset = -1 } = answer
      for (const [at, record] of batch.entries()) {
        this.#ledger.acknowledge(record, baseOffset < 0 ? -1 : baseOffset + at)
      }
    }
    return answer
  }

  async writeOnce(identity: Identity, batch: readonly LedgerRecord[]): Promise<Answer> {
    const { transactionalId, producerId, producerEpoch, sequences } = identity
    const { partition } = batch[0] as LedgerRecord
    const bytes = encodeBatch({
      records: batch.map((record) => encodable(record, this.#client)),
      producerId,
      producerEpoch,
      baseSequence: sequences.get(partition) ?? 0,
      isTransactional: true,
    })
    const versions = this.#takesEpochs ? { versionMin: 12 } : { versionMin: 3, versionMax: 11 }
    return await writeBatch(this.#client, this.#ledger, {
      transactionalId,
      partition,
      bytes,
      ...versions,
    })
  }

  /** How far a group got: its offset in the ledger's first partition. */
  async commitOffset(identity: Identity, group: string, offset: number): Promise<Answer> {
    if (!this.#takesEpochs) {
      const answer = await this.#insist('add', () => this.#addGroup(identity, group), identity)
      if (answer.error !== errors.NONE) return answer
    }
    return await this.#insist('offset', () => this.#commitOnce(identity, group, offset), identity)
  }

  async end(identity: Identity, isCommit: boolean): Promise<Answer> {
    return await this.#insist('end', () => this.endOnce(identity, isCommit), identity)
  }

  async endOnce(identity: Identity, isCommit: boolean): Promise<Answer> {
    const { transactionalId, producerId, producerEpoch } = identity
    const key = { type: 'transaction', id: transactionalId } as const
    const request = { transactionalId, producerId, producerEpoch, committed: isCommit }
    const versions = this.#takesEpochs ? { versionMin: 5 } : { versionMax: 4 }
    const { cluster } = this.#client
    const answer = await cluster.callCoordinator(key, apis.endTxn, request, versions)
    const { errorCode, producerId: nextId, producerEpoch: nextEpoch } = answer
    const { error } = this.#told(identity, errorCode)
    return { error, producerId: nextId, producerEpoch: nextEpoch }
  }

  async #init(transactionalId: string): Promise<Answer> {
    const { cluster } = this.#client
    const key = { type: 'transaction', id: transactionalId } as const
    const request = { transactionalId, transactionTimeoutMs: this.timeoutMs }
    const answer = await cluster.callCoordinator(key, apis.initProducerId, request)
    const { errorCode, producerId, producerEpoch } = answer
    if (isMoved(errorCode)) cluster.forgetCoordinator('transaction', transactionalId)
    return { error: errorByCode(errorCode), producerId, producerEpoch }
  }

  async #addGroup(identity: Identity, groupId: string): Promise<Answer> {
    const { transactionalId, producerId, producerEpoch } = identity
    const key = { type: 'transaction', id: transactionalId } as const
    const request = { transactionalId, producerId, producerEpoch, groupId }
    const { cluster } = this.#client
    const answer = await cluster.callCoordinator(key, apis.addOffsetsToTxn, request)
    return this.#told(identity, answer.errorCode)
  }

  async #commitOnce(identity: Identity, groupId: string, offset: number): Promise<Answer> {
    const { transactionalId, producerId, producerEpoch } = identity
    const row = { partitionIndex: 0, committedOffset: offset, committedMetadata: '' }
    const request = {
      transactionalId,
      groupId,
      producerId,
      producerEpoch,
      memberId: '',
      groupInstanceId: null,
      topics: [{ name: this.#ledger.topic, topicId: zeroUuid, partitions: [row] }],
    }
    const { cluster } = this.#client
    const key = { type: 'group', id: groupId } as const
    // Later versions name topics by id.
    const versions = this.#takesEpochs ? { versionMin: 5, versionMax: 5 } : { versionMax: 4 }
    const answer = await cluster.callCoordinator(key, apis.txnOffsetCommit, request, versions)
    const errorCode = answer.topics[0]?.partitions[0]?.errorCode ?? -1
    if (isMoved(errorCode)) cluster.forgetCoordinator('group', groupId)
    return { error: errorByCode(errorCode) }
  }

  #told({ transactionalId }: Identity, errorCode = -1): Answer {
    if (isMoved(errorCode)) {
      this.#client.cluster.forgetCoordinator('transaction', transactionalId)
    }
    return { error: errorByCode(errorCode) }
  }

  /** Throws VoidLedger, and Violation where it never comes to an answer. */
  async #insist(
    what: string,
    attempt: () => Promise<Answer>,
    doubts: { isDoubtful: boolean },
  ): Promise<Answer> {
    const { random, environment, name } = this.#client
    const { world } = this.#stage
    const endMs = world.nowMs + insistMsMax
    for (let attempts = 0; world.nowMs < endMs; attempts++) {
      if (this.#ledger.isVoid) throw new VoidLedger(`${this.#ledger.topic} is void`)
      try {
        const answer = await attempt()
        this.#stage.trace.say(name, `${what}: ${answer.error.name}`)
        if (this.#ledger.isVoid) throw new VoidLedger(`${this.#ledger.topic} is void`)
        if (!answer.error.retriable) return answer
      } catch (error) {
        if (!isRetriable(error) && !(error instanceof TimeoutError)) throw error
        this.#stage.trace.say(name, `${what}: ${(error as Error).message}`)
        doubts.isDoubtful = true
      }
      await sleep(environment, random.between(20, 500) * Math.min(10, 1 + attempts / 20))
    }
    throw new Violation(`${name} has asked for ${insistMsMax} ms, in vain: ${what}`)
  }
}

const isMoved = (errorCode: number): boolean =>
  errorCode === errors.NOT_COORDINATOR.code || errorCode === errors.COORDINATOR_NOT_AVAILABLE.code

export function encodable({ id, key, isTombstone }: LedgerRecord, { environment }: Client) {
  return {
    timestamp: environment.clock.now(),
    key: Buffer.from(key),
    value: isTombstone ? null : Buffer.from(`value of ${id}`),
    headers: [{ key: idHeader, value: Buffer.from(id) }],
  }
}

export async function writeBatch(
  { cluster }: Client,
  { topic: name }: Ledger,
  {
    transactionalId,
    partition,
    bytes,
    versionMin,
    versionMax = 13,
  }: {
    transactionalId: string | null
    partition: number
    bytes: Buffer
    versionMin: number
    versionMax?: number
  },
): Promise<Answer> {
  const leader = await cluster.leader(name, partition)
  const topicId = cluster.metadata.topics.get(name)?.topicId ?? zeroUuid
  const connection = await cluster.connectionTo(leader, 'produce')
  const partitionData = [{ index: partition, records: [bytes] }]
  const topicData = [{ name, topicId, partitionData }]
  const request = { transactionalId, acks: -1, timeoutMs: 10_000, topicData }
  const answer = await connection.call(apis.produce, request, {
    versionMin,
    versionMax: topicId === zeroUuid ? Math.min(versionMax, 12) : versionMax,
  })
  const row = answer.responses[0]?.partitionResponses[0]
  const error = errorByCode(row?.errorCode ?? -1)
  if (error.retriable) cluster.metadata.forget(name)
  // It was written before, where nobody remembers.
  if (error === errors.DUPLICATE_SEQUENCE_NUMBER) return { error: errors.NONE, baseOffset: -1 }
  return { error, baseOffset: row?.baseOffset ?? -1 }
}

/**
 * Produce: appends batches to the partitions led here and answers once they are written. Everything up
 * to the append happens before anything is awaited, so that requests of a connection, and a producer's
 * sequences with them, are appended in the order in which they came. Only the first batch of a transaction
 * waits for its coordinator, and what its producer sends after it waits behind it.
 */

import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts'
import { isInternalTopic } from '../config/internal-topics.ts'
import { type Admission, isRefused, type Verified } from '../coordinator/transaction/admission.ts'
import { DiskError } from '../environment/disk.ts'
import type { Milliseconds } from '../environment/environment.ts'
import { mapInSteps, mapSteps, type Steps } from '../environment/in-turns.ts'
import {
  type ConversionAllowance,
  type Conversions,
  checkAllowance,
  conversionAllowance,
} from '../log/conversion/conversions.ts'
import { type Checked, isUnpackedToCheck } from '../log/validation.ts'
import type { MetadataImage } from '../metadata/image.ts'
import { Partition } from '../replication/partition.ts'
import type { Replicas } from '../replication/replicas.ts'
import { expectedRefusals } from '../replication/topic-traffic.ts'
import type { Verification } from '../replication/verifications.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import type { RequestContext } from '../server/request-context.ts'
import { CurrentLeaders } from './current-leader.ts'
import {
  type AnsweredPartition,
  type AnsweredTopic,
  accepted,
  firstVersionWithAbortable,
  firstVersionWithAdding,
  hasPartitions,
  lose,
  type Mutable,
  notAdmitted,
  nothingWritten,
  refuseAll,
  refused,
} from './produce-answers.ts'
import {
  convertedRecords,
  isConverted,
  isTransactionalBatch,
  producedRecords,
  transactionalProducer,
  unpackedMaxOf,
} from './produced-records.ts'

const at = 'responses.partitionResponses.errorCode'
const writeTopic = rule('WRITE', 'TOPIC', at)
const writeTransactionalId = rule('WRITE', 'TRANSACTIONAL_ID', at)

type RequestedTopic = ProduceRequest['topicData'][number]
type RequestedPartition = RequestedTopic['partitionData'][number]

/** Kafka's admin client may write to the topics that the broker keeps its own state in; nobody else. */
const adminClientId = '__admin_client'
const firstVersionWithTopicIds = 13
const firstVersionWithLeaders = 10

export interface ProduceParts {
  readonly replicas: Replicas
  readonly image: () => MetadataImage
  readonly admission: Admission
  readonly conversions: Conversions
  readonly now: () => Milliseconds
}

type Admitted = ReadonlyMap<Partition, ErrorRow | Verified<Verification>>

/** What there is to append of each partition that is here, or why there is nothing. */
type Converted = Map<RequestedPartition, Buffer | KafkaError>

/** Of batches that had to be unpacked for it. */
type AllChecked = Map<RequestedPartition, Checked>

export const produce = (parts: ProduceParts) =>
  handler(apis.produce, (request, context) => new Production(parts, request, context).run(), {
    access: [writeTopic, writeTransactionalId],
    quota: 'bytes',
    outlivesPeer: true,
    onError: (request, error, _version, message) =>
      request.acks === 0 ? null : refuseAll(request, error, message),
  })

/** One Produce request. */
class Production {
  readonly #parts: ProduceParts
  readonly #request: ProduceRequest
  readonly #context: RequestContext
  #leaders: CurrentLeaders | null = null
  /** Of partitions with transactional batches; null where nothing had to be verified. */
  #admitted: Admitted | null = null
  /** Of older versions. */
  #converted: Converted | null = null
  #checked: AllChecked | null = null
  /** Of each append, in order: when it is written, and what is answered. */
  readonly #writing: Promise<void>[] = []
  readonly #written: AnsweredPartition[] = []
  readonly #allowance: ConversionAllowance
  /** Bytes of the request may still be in line to be written. */
  #isWriteLost = false
  /** The first error, for a producer that is not told by an answer. */
  #failure: KafkaError | null = null

  constructor(parts: ProduceParts, request: ProduceRequest, context: RequestContext) {
    this.#parts = parts
    this.#request = request
    this.#context = context
    const isOld = isConverted(context.apiVersion)
    this.#allowance = isOld ? conversionAllowance() : checkAllowance()
  }

  run(): ProduceResponse | null | Promise<ProduceResponse | null> {
    const request = this.#request
    if (request.acks < -1 || request.acks > 1) {
      throw new KafkaError(errors.INVALID_REQUIRED_ACKS, `acks is ${request.acks}, not -1, 0 or 1`)
    }
    const { transactionalId } = request
    if (transactionalId === null || this.#context.authorizer !== null) {
      this.#authorizeTransaction(transactionalId)
    }
    if (isConverted(this.#context.apiVersion)) return this.#convertAll()
    const checked = this.#checkPacked()
    if (checked === null) return this.#admitAll(transactionalId)
    // As in `#convertAll`.
    this.#context.holdNext()
    return checked.then(() => this.#admitAll(transactionalId))
  }

  #admitAll(
    transactionalId: string | null,
  ): ProduceResponse | null | Promise<ProduceResponse | null> {
    if (transactionalId === null) return this.#appendAll()
    const admitted = this.#admit(transactionalId)
    if (admitted instanceof Promise) {
      return admitted.then((answers) => {
        this.#admitted = answers
        return this.#appendAll()
      })
    }
    this.#admitted = admitted
    return this.#appendAll()
  }

  /**
   * Of versions that know no transactions. Nothing else of the connection is done meanwhile, and it is done
   * whether or not the peer still is there: it may have asked for no answer.
   */
  async #convertAll(): Promise<ProduceResponse | null> {
    this.#context.holdNext()
    const { conversions } = this.#parts
    const converted: Converted = new Map()
    for (const one of this.#partitionsHere()) {
      converted.set(one, await convertedRecords(one.records, conversions, this.#allowance))
    }
    this.#converted = converted
    return this.#appendAll()
  }

  *#partitionsHere(): Generator<RequestedPartition> {
    for (const topic of this.#request.topicData) {
      if (this.#isDenied(topic)) continue
      for (const one of topic.partitionData) {
        if (this.#find(topic, one.index) instanceof Partition) yield one
      }
    }
  }

  /**
   * Checks what has to be unpacked for it; null where that is done, or there is nothing. Where all of the
   * request's batches together unpack to little at the very worst, that is left to the appends.
   */
  #checkPacked(): Promise<unknown> | null {
    let unpackedMax = 0
    for (const { partitionData } of this.#request.topicData) {
      for (const { records } of partitionData) unpackedMax += unpackedMaxOf(records)
    }
    return unpackedMax > this.#allowance.atOnceBytesLeft ? this.#checkAllPacked() : null
  }

  #checkAllPacked(): Promise<unknown> | null {
    let waiting: Promise<void>[] | null = null
    for (const topic of this.#request.topicData) {
      for (const one of topic.partitionData) {
        if (unpackedMaxOf(one.records) === 0 || this.#isDenied(topic)) continue
        const checked = this.#check(topic, one)
        if (checked instanceof Promise) {
          waiting ??= []
          waiting.push(checked)
        }
      }
    }
    return waiting === null ? null : Promise.all(waiting)
  }

  #check(topic: RequestedTopic, one: RequestedPartition): Promise<void> | null {
    const partition = this.#find(topic, one.index)
    const [batch] = one.records ?? []
    if (!(partition instanceof Partition) || partition.leaderError() !== null) return null
    const { config } = partition
    const now = this.#parts.now()
    if (batch === undefined || !isUnpackedToCheck(batch, config, now)) return null
    const options = { config, now, name: `${partition}` }
    const checked = this.#parts.conversions.check(batch, options, this.#allowance)
    const all: AllChecked = this.#checked ?? new Map()
    this.#checked = all
    if (checked instanceof Promise) return checked.then((done) => void all.set(one, done))
    all.set(one, checked)
    return null
  }

  #appendAll(): ProduceResponse | null | Promise<ProduceResponse | null> {
    if (isLarge(this.#request)) return this.#appendAllInTurns()
    const responses: AnsweredTopic[] = []
    for (const topic of this.#request.topicData) {
      if (hasPartitions(topic)) responses.push(this.#appendTopic(topic))
    }
    return this.#finish(responses)
  }

  /** Until it is done, nothing else of the connection is: batches stay in order. */
  async #appendAllInTurns(): Promise<ProduceResponse | null> {
    const { topicData } = this.#request
    this.#context.holdNext()
    const answers = mapSteps(topicData.filter(hasPartitions), (topic) =>
      this.#appendTopicInSteps(topic),
    )
    return this.#finish(await this.#context.inTurns(answers, true))
  }

  #finish(
    responses: readonly AnsweredTopic[],
  ): ProduceResponse | null | Promise<ProduceResponse | null> {
    const request = this.#request
    const response: Mutable<ProduceResponse> = { responses, throttleTimeMs: 0 }
    if (this.#leaders !== null) response.nodeEndpoints = this.#leaders.nodes
    const answer = request.acks === 0 ? null : response
    const [first] = this.#writing
    if (first === undefined) return this.#afterWrites(answer)
    if (this.#writing.length === 1) {
      const done = () => this.#afterWrites(answer)
      return first.then(done, (error) => {
        this.#loseWrite(0, error)
        return this.#afterWrites(answer)
      })
    }
    const all = this.#writing.map((written, index) =>
      written.then(undefined, (error) => this.#loseWrite(index, error)),
    )
    return Promise.all(all).then(() => this.#afterWrites(answer))
  }

  /** All that was appended has been written, or has failed to be. */
  #afterWrites(answer: ProduceResponse | null): ProduceResponse | null {
    // The file has the bytes, and whatever else keeps some has copied them. Of a request that appended
    // nothing nobody has them, and with acks=0 its bytes count until they have been written.
    if (this.#writing.length > 0 && !this.#isWriteLost) this.#context.releaseRequest()
    // A producer that wants no answer learns of an error by the end of its connection, as with Kafka.
    if (answer === null && this.#failure !== null) throw this.#failure
    return answer
  }

  /** Transactional records are authorised against the id; without one there is nothing to authorise against. */
  #authorizeTransaction(id: string | null): void {
    const isTransactional = this.#request.topicData.some(({ partitionData }) =>
      partitionData.some(({ records }) => isTransactionalBatch(records)),
    )
    if (!isTransactional) return
    if (id === null) throw writeTransactionalId.refusal(this.#context)
    writeTransactionalId.require(this.#context, id)
  }

  /** All transactional batches of a request are of one producer, and of one transaction. */
  #admit(transactionalId: string): Admitted | null | Promise<Admitted> {
    const partitions = new Map<Partition, number>()
    let producer: { producerId: number; producerEpoch: number } | null = null
    for (const topic of this.#request.topicData) {
      if (this.#isDenied(topic)) continue
      for (const { index, records } of topic.partitionData) {
        const batch = transactionalProducer(records)
        if (batch === null) continue
        const { producerId, producerEpoch, baseSequence } = batch
        producer ??= { producerId, producerEpoch }
        if (producer.producerId !== producerId || producer.producerEpoch !== producerEpoch) {
          throw new KafkaError(errors.INVALID_PRODUCER_ID_MAPPING, 'more than one producer id')
        }
        const found = this.#find(topic, index)
        if (found instanceof Partition && this.#isOpenToClient(found.topic)) {
          const sequence = partitions.get(found) ?? baseSequence
          partitions.set(found, Math.min(sequence, baseSequence))
        }
      }
    }
    if (producer === null || partitions.size === 0) return null
    const { apiVersion, connection: origin } = this.#context
    const isAdding = apiVersion >= firstVersionWithAdding
    const knowsAbortable = apiVersion >= firstVersionWithAbortable
    const who = { origin, transactionalId, ...producer }
    const asking = { ...who, isAdding, knowsAbortable, isCostly: true }
    return this.#parts.admission.admit<Verification, Partition>(asking, partitions)
  }

  #find({ name, topicId }: RequestedTopic, index: number): Partition | ErrorRow {
    const { replicas } = this.#parts
    const usesTopicIds = this.#context.apiVersion >= firstVersionWithTopicIds
    return usesTopicIds ? replicas.findById(topicId, index) : replicas.find(name, index)
  }

  #appendTopic(topic: RequestedTopic): AnsweredTopic {
    const { name, topicId } = topic
    const isDenied = this.#isDenied(topic)
    const partitionResponses = topic.partitionData.map((one) =>
      this.#appendPartition(topic, one, isDenied),
    )
    return { name, topicId, partitionResponses }
  }

  *#appendTopicInSteps(topic: RequestedTopic): Steps<AnsweredTopic> {
    const { name, topicId } = topic
    const isDenied = this.#isDenied(topic)
    const append = (one: RequestedPartition) => this.#appendPartition(topic, one, isDenied)
    return { name, topicId, partitionResponses: yield* mapInSteps(topic.partitionData, append) }
  }

  #appendPartition(
    topic: RequestedTopic,
    one: RequestedPartition,
    isDenied: boolean,
  ): AnsweredPartition {
    const { index } = one
    const name = topic.name || topic.topicId
    if (isDenied) return this.#refuse(name, index, writeTopic.error, null)
    const found = this.#find(topic, index)
    return found instanceof Partition
      ? this.#append(found, one)
      : this.#refuse(name, index, found, null)
  }

  /** A topic that has no name is not denied: it is unknown. */
  #isDenied({ name, topicId }: RequestedTopic): boolean {
    if (this.#context.authorizer === null) return false
    const usesTopicIds = this.#context.apiVersion >= firstVersionWithTopicIds
    const written = usesTopicIds ? this.#parts.image().topics.byId.get(topicId)?.name : name
    return written !== undefined && !writeTopic.allows(this.#context, written)
  }

  #append(partition: Partition, one: RequestedPartition): AnsweredPartition {
    const { topic, index } = partition
    let admitted: Verified<Verification> | undefined
    let isUpToLog = false
    try {
      this.#checkTopic(topic)
      const batches =
        this.#converted === null
          ? producedRecords(one.records, this.#context.apiVersion)
          : batchOf(this.#converted, one)
      if (batches.length === 0) return accepted(index, nothingWritten)
      if (this.#admitted !== null) admitted = this.#admissionOf(partition, this.#admitted)
      isUpToLog = true
      const checked = this.#checked?.get(one)
      const options = { acks: this.#request.acks, allowance: this.#allowance, checked }
      const appended = partition.append(batches, admitted ? { ...options, ...admitted } : options)
      const answer = accepted(index, {
        baseOffset: appended.baseOffset,
        logAppendTimeMs: appended.logAppendTimeMs,
        logStartOffset: appended.logStartOffset,
      })
      this.#writing.push(appended.written)
      this.#written.push(answer)
      return answer
    } catch (error) {
      if (error instanceof KafkaError) {
        const answer = this.#refuse(topic, index, error.error, error)
        const isStartTold = isUpToLog && !expectedRefusals.has(error.error)
        if (isStartTold) answer.logStartOffset = partition.logStartOffset
        return answer
      }
      if (error instanceof DiskError) {
        return this.#refuse(topic, index, errors.KAFKA_STORAGE_ERROR, error)
      }
      throw error
    }
  }

  /** Undefined where there was nothing to verify. */
  #admissionOf(partition: Partition, admitted: Admitted): Verified<Verification> | undefined {
    const answer = admitted.get(partition)
    if (answer === undefined || !isRefused(answer)) return answer
    throw notAdmitted(answer, this.#context.apiVersion)
  }

  #isOpenToClient(topic: string): boolean {
    return !isInternalTopic(topic) || this.#context.clientId === adminClientId
  }

  #checkTopic(topic: string): void {
    if (this.#isOpenToClient(topic)) return
    throw new KafkaError(errors.INVALID_TOPIC_EXCEPTION, `${topic} is internal to the broker`)
  }

  /** The bytes of an append that was already in line did not get to the disk. */
  #loseWrite(index: number, error: unknown): void {
    this.#isWriteLost = true
    if (!(error instanceof DiskError)) throw error
    this.#failure ??= new KafkaError(errors.KAFKA_STORAGE_ERROR, error.message)
    lose(this.#written[index] as AnsweredPartition)
  }

  #refuse(topic: string, index: number, error: ErrorRow, cause: Error | null): AnsweredPartition {
    this.#failure ??= new KafkaError(error, `${topic}-${index}: ${cause?.message ?? error.message}`)
    const answer = refused(index, error, cause)
    const moved = error === errors.NOT_LEADER_OR_FOLLOWER
    if (moved && this.#context.apiVersion >= firstVersionWithLeaders) {
      this.#leaders ??= new CurrentLeaders(this.#parts.image(), this.#context.listener)
      answer.currentLeader = this.#leaders.of(topic, index)
    }
    return answer
  }
}

/** A partition that came here meanwhile was not, when the request came. */
function batchOf(converted: Converted, one: RequestedPartition): Buffer {
  const batch = converted.get(one) ?? new KafkaError(errors.UNKNOWN_TOPIC_OR_PARTITION)
  if (batch instanceof KafkaError) throw batch
  return batch
}

/** Partitions that are appended to in one go. */
const partitionsAtOnceMax = 500

function isLarge({ topicData }: ProduceRequest): boolean {
  let count = topicData.length
  for (let i = 0; i < topicData.length && count <= partitionsAtOnceMax; i++) {
    count += (topicData[i] as RequestedTopic).partitionData.length
  }
  return count > partitionsAtOnceMax
}

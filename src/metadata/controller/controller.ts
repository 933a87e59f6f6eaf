/**
 * The controller: decides what a request changes, writes it down, answers when it is committed.
 *
 *   decide on the newest image -> records -> append -> replay -> (committed) -> publish -> reply
 *
 * The newest image contains what is appended but not yet committed, so requests of one turn see each
 * other and share one flush. Only committed images are published. Requests are decided in the order of
 * the calls, each before its method returns; one that is about thousands of things takes turns with the
 * rest of the broker, and those after it wait. One file per decision is beside this one; they are pure
 * functions of an image and a request.
 */
import { type ErrorRow, errors, KafkaError } from '../../../protocol/errors.ts'
import type {
  AlterClientQuotasRequest,
  AlterClientQuotasResponse,
} from '../../../protocol/messages/alter-client-quotas.ts'
import type { AlterConfigsRequest } from '../../../protocol/messages/alter-configs.ts'
import type {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
} from '../../../protocol/messages/alter-partition-reassignments.ts'
import type {
  AlterUserScramCredentialsRequest,
  AlterUserScramCredentialsResponse,
} from '../../../protocol/messages/alter-user-scram-credentials.ts'
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from '../../../protocol/messages/create-partitions.ts'
import type {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../../protocol/messages/create-topics.ts'
import type {
  DeleteTopicsRequest,
  DeleteTopicsResponse,
} from '../../../protocol/messages/delete-topics.ts'
import type {
  ElectLeadersRequest,
  ElectLeadersResponse,
} from '../../../protocol/messages/elect-leaders.ts'
import type {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '../../../protocol/messages/incremental-alter-configs.ts'
import type { UpdateFeaturesRequest } from '../../../protocol/messages/update-features.ts'
import { encodeMetadataRecord } from '../../../protocol/state/metadata-frame.ts'
import type { BrokerConfig } from '../../config/broker-config.ts'
import type { Environment } from '../../environment/environment.ts'
import { inTurns, mapInSteps, type Steps } from '../../environment/in-turns.ts'
import type { Quorum } from '../../raft/quorum.ts'
import { MetadataDelta } from '../delta.ts'
import { hasTransactions } from '../features.ts'
import type { AclImage, MetadataImage } from '../image.ts'
import type { MetadataCache } from '../metadata-cache.ts'
import { randomUuid } from '../random-uuid.ts'
import { type MetadataRecord, record } from '../record.ts'
import { type AclCreation, type AclFilter, createAcls, deleteAcls } from './acls.ts'
import { allocateProducerIds, type ProducerIdBlock } from './allocate-producer-ids.ts'
import { alterConfigs, incrementalAlterConfigs } from './alter-configs.ts'
import { type AssignedReplica, assignReplicasToDirs } from './assign-replicas-to-dirs.ts'
import { alterClientQuotas } from './client-quotas.ts'
import { createPartitions } from './create-partitions.ts'
import { createTopics } from './create-topics.ts'
import {
  type Decision,
  inBatches,
  type Outcome,
  recordBytesMax,
  tooLarge,
  unlimitedMutations,
} from './decision.ts'
import { deleteTopics } from './delete-topics.ts'
import { electLeaders } from './elect-leaders.ts'
import { alterPartitionReassignments } from './reassign-partitions.ts'
import { type BrokerRegistration, registerBroker } from './register-broker.ts'
import { alterUserScramCredentials } from './scram-credentials.ts'
import { shutDownBroker } from './shut-down-broker.ts'
import { unregisterBroker } from './unregister-broker.ts'
import { updateFeatures } from './update-features.ts'

export interface ControllerOptions {
  readonly nodeId: number
  readonly quorum: Quorum
  readonly cache: MetadataCache
  readonly config: BrokerConfig
  readonly environment: Pick<Environment, 'clock' | 'timers' | 'random' | 'log'>
}

type AlterConfigsResult = IncrementalAlterConfigsResponse['responses'][number]

/** Records as they are to be appended, and what they amount to. */
interface Prepared {
  readonly batches: readonly (readonly Buffer[])[]
  readonly delta: MetadataDelta
}

/** Whoever waits for a decision. */
interface Asked<Reply> {
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: Error) => void
}

/** A decision that is appended and waits for its commit. */
interface Appended {
  readonly lastOffset: number
  readonly image: MetadataImage
  readonly delta: MetadataDelta
  readonly waiting: { readonly reply: () => void; readonly fail: (error: Error) => void }[]
}

export class Controller {
  readonly nodeId: number
  readonly #quorum: Quorum
  readonly #cache: MetadataCache
  readonly #config: BrokerConfig
  readonly #environment: ControllerOptions['environment']
  /** What all appended records amount to, committed or not. */
  #latest: MetadataImage
  readonly #appended: Appended[] = []
  /** In the order in which they were asked for. */
  readonly #undecided: { readonly steps: Steps<void>; readonly reject: (error: Error) => void }[] =
    []
  #isDeciding = false
  #failure: Error | undefined

  /** The quorum must lead, and the cache hold everything in its log. */
  constructor(options: ControllerOptions) {
    this.nodeId = options.nodeId
    this.#quorum = options.quorum
    this.#cache = options.cache
    this.#config = options.config
    this.#environment = options.environment
    this.#latest = options.cache.image
    this.#quorum.onCommit((highWatermark) => this.#committed(highWatermark))
  }

  /** Results in the order of the request. Rejects with KafkaError POLICY_VIOLATION for too large a request. */
  createTopics(
    request: Pick<CreateTopicsRequest, 'topics' | 'validateOnly'>,
    countMutations = unlimitedMutations,
  ): Promise<CreateTopicsResponse['topics']> {
    const { random } = this.#environment
    const creation = {
      config: this.#config,
      random: () => random.float(),
      newUuid: () => randomUuid(random),
      countMutations,
    }
    return this.#submit((image) => createTopics(image, request, creation))
  }

  deleteTopics(
    request: Pick<DeleteTopicsRequest, 'topics' | 'topicNames'>,
    countMutations = unlimitedMutations,
  ): Promise<DeleteTopicsResponse['responses']> {
    return this.#submit((image) => deleteTopics(image, request, countMutations))
  }

  /** Rejects with KafkaError POLICY_VIOLATION for too large a request. */
  createPartitions(
    request: Pick<CreatePartitionsRequest, 'topics' | 'validateOnly'>,
    countMutations = unlimitedMutations,
  ): Promise<CreatePartitionsResponse['results']> {
    const random = () => this.#environment.random.float()
    return this.#submit((image) => createPartitions(image, request, random, countMutations))
  }

  incrementalAlterConfigs(request: IncrementalAlterConfigsRequest): Promise<AlterConfigsResult[]> {
    const altering = { config: this.#config, nodeId: this.nodeId }
    return this.#submit((image) => incrementalAlterConfigs(image, request, altering))
  }

  alterConfigs(request: AlterConfigsRequest): Promise<AlterConfigsResult[]> {
    const altering = { config: this.#config, nodeId: this.nodeId }
    return this.#submit((image) => alterConfigs(image, request, altering))
  }

  /** Outcomes in the order of the request. Rejects with KafkaError POLICY_VIOLATION for too large a request. */
  createAcls(creations: readonly AclCreation[]): Promise<Outcome[]> {
    const newUuid = () => randomUuid(this.#environment.random)
    return this.submit((image) => createAcls(image, creations, newUuid))
  }

  /** The entries that were deleted, by filter. Rejects with KafkaError INVALID_REQUEST for too many of them. */
  deleteAcls(filters: readonly AclFilter[]): Promise<(readonly AclImage[])[]> {
    return this.submit((image) => deleteAcls(image, filters))
  }

  /** One result for each entity. Rejects with KafkaError POLICY_VIOLATION for too large a request. */
  alterClientQuotas(
    request: AlterClientQuotasRequest,
  ): Promise<AlterClientQuotasResponse['entries']> {
    return this.#submit((image) => alterClientQuotas(image, request))
  }

  /** One result for each user. Rejects with KafkaError POLICY_VIOLATION for too large a request. */
  alterUserScramCredentials(
    request: AlterUserScramCredentialsRequest,
  ): Promise<AlterUserScramCredentialsResponse['results']> {
    return this.#submit((image) => alterUserScramCredentials(image, request))
  }

  /** Rejects with KafkaError INVALID_REQUEST, and POLICY_VIOLATION for too large a request. */
  electLeaders(
    request: Omit<ElectLeadersRequest, 'timeoutMs'>,
  ): Promise<ElectLeadersResponse['replicaElectionResults']> {
    return this.#submit((image) => electLeaders(image, request))
  }

  /** Results in the order of the request. Rejects with KafkaError POLICY_VIOLATION for too large a request. */
  alterPartitionReassignments(
    request: Pick<AlterPartitionReassignmentsRequest, 'topics' | 'allowReplicationFactorChange'>,
  ): Promise<AlterPartitionReassignmentsResponse['responses']> {
    return this.#submit((image) => alterPartitionReassignments(image, request))
  }

  /** One result for each replica. Rejects with KafkaError UNSUPPORTED_VERSION, BROKER_ID_NOT_REGISTERED. */
  assignReplicasToDirs(
    brokerId: number,
    replicas: readonly AssignedReplica[],
  ): Promise<readonly ErrorRow[]> {
    return this.submit((image) => assignReplicasToDirs(image, brokerId, replicas))
  }

  /** Rejects with KafkaError BROKER_ID_NOT_REGISTERED. */
  unregisterBroker(brokerId: number): Promise<void> {
    return this.submit((image) => unregisterBroker(image, brokerId))
  }

  /** All or nothing. Rejects with KafkaError INVALID_UPDATE_VERSION. */
  updateFeatures(
    request: Pick<UpdateFeaturesRequest, 'featureUpdates' | 'validateOnly'>,
    apiVersion: number,
  ): Promise<void> {
    const minInSyncReplicas = this.#config.get('min.insync.replicas')
    const node = { nodeId: this.nodeId, minInSyncReplicas }
    return this.submit((image) => updateFeatures(image, request, node, apiVersion))
  }

  /** A block of producer ids that nobody else ever gets. Rejects with KafkaError STALE_BROKER_EPOCH. */
  allocateProducerIds(brokerId: number, brokerEpoch: number): Promise<ProducerIdBlock> {
    return this.submit((image) => allocateProducerIds(image, brokerId, brokerEpoch))
  }

  /** Registers this node's broker as ready; returns its epoch. */
  registerBroker(registration: BrokerRegistration): Promise<number> {
    return this.submit((image) => registerBroker(image, registration, this.#quorum.log.endOffset))
  }

  /** This node's broker stops. Rejects with KafkaError. */
  shutDownBroker(brokerEpoch: number): Promise<void> {
    return this.submit((image) => shutDownBroker(image, this.nodeId, brokerEpoch))
  }

  /**
   * Begins to lead: gives up the transaction that an earlier leader left open, in which everything that
   * follows would otherwise be held back, and appends what a new cluster begins with.
   */
  activate(isInTransaction: boolean, first: readonly MetadataRecord[]): Promise<void> {
    if (isInTransaction) {
      const abort = record('AbortTransactionRecord', { reason: 'Controller failover' })
      this.#appended.push(
        this.#write([[encodeMetadataRecord(abort)]], new MetadataDelta(this.#latest)),
      )
    }
    return this.submit(() => ({ records: first, reply: undefined }))
  }

  /**
   * Decides now, or once those who asked before and decide in turns are done; resolves when everything that
   * the decision rests on or leads to is committed, applied and published. Rejects with what `decide`
   * throws, and with KafkaError NOT_CONTROLLER once the metadata log has failed.
   */
  submit<Reply>(decide: (image: MetadataImage) => Decision<Reply>): Promise<Reply> {
    return this.#submit(decide)
  }

  /** As `submit`, for a decision that takes the longer the more is asked for: no other is made meanwhile. */
  #submit<Reply>(
    decide: (image: MetadataImage) => Decision<Reply> | Steps<Decision<Reply>>,
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#undecided.push({ steps: this.#decide(decide, { resolve, reject }), reject })
      if (!this.#isDeciding) this.#decideNext()
    })
  }

  #decideNext(): void {
    for (let next = this.#undecided.shift(); next !== undefined; next = this.#undecided.shift()) {
      const { steps, reject } = next
      try {
        const deciding = inTurns(this.#environment, steps)
        if (deciding === undefined) continue
        this.#isDeciding = true
        void deciding.catch(reject).then(() => {
          this.#isDeciding = false
          this.#decideNext()
        })
        return
      } catch (error) {
        reject(error as Error)
      }
    }
  }

  /** Between what is read of the image and what is appended there is no other decision. */
  *#decide<Reply>(
    decide: (image: MetadataImage) => Decision<Reply> | Steps<Decision<Reply>>,
    { resolve, reject }: Asked<Reply>,
  ): Steps<void> {
    if (this.#failure !== undefined) throw unavailable(this.#failure)
    const decision = decide(this.#latest)
    const { records, reply } = 'records' in decision ? decision : yield* decision
    const prepared = yield* this.#prepare(records)
    if (this.#failure !== undefined) throw unavailable(this.#failure)
    if (prepared !== undefined) this.#appended.push(this.#write(prepared.batches, prepared.delta))
    // A decision without records may still rest on some that are not committed yet.
    const last = this.#appended.at(-1)
    if (last === undefined) resolve(reply)
    else last.waiting.push({ reply: () => resolve(reply), fail: reject })
  }

  /** The metadata log has failed: whoever waits is told, and nothing is decided any more. */
  fail(error: Error): void {
    this.#failure = error
    for (const { waiting } of this.#appended.splice(0)) {
      for (const one of waiting) one.fail(unavailable(error))
    }
  }

  /**
   * One batch, which a crash leaves whole or not at all; records that are too much for one become a
   * metadata transaction (KIP-868), and are published at its end. Throws KafkaError POLICY_VIOLATION,
   * before anything is written, for a record that no batch takes.
   */
  *#prepare(records: readonly MetadataRecord[]): Steps<Prepared | undefined> {
    if (records.length === 0) return undefined
    const values = yield* mapInSteps(records, (one) => encodeMetadataRecord(one))
    if (values.some(({ length }) => length > recordBytesMax)) throw tooLarge()
    const delta = new MetadataDelta(this.#latest)
    for (const one of records) {
      delta.replay(one)
      yield
    }
    const batches = inBatches(values)
    if (batches.length === 1 || !hasTransactions(this.#latest)) return { batches, delta }
    const begin = record('BeginTransactionRecord', { name: 'Many records' })
    const end = record('EndTransactionRecord', {})
    const all = [encodeMetadataRecord(begin), ...values, encodeMetadataRecord(end)]
    return { batches: inBatches(all), delta }
  }

  /** `delta` is what the records amount to. */
  #write(batches: readonly (readonly Buffer[])[], delta: MetadataDelta): Appended {
    let place = { lastOffset: this.#latest.offset, timestampMs: this.#latest.timestampMs }
    for (const values of batches) place = this.#quorum.append(values)
    const { lastOffset, timestampMs } = place
    this.#latest = delta.apply(lastOffset, this.#quorum.epoch, timestampMs)
    return { lastOffset, image: this.#latest, delta, waiting: [] }
  }

  #committed(highWatermark: number): void {
    let next = this.#appended[0]
    while (next !== undefined && next.lastOffset < highWatermark) {
      this.#appended.shift()
      this.#cache.publish(next.image, next.delta)
      for (const { reply } of next.waiting) reply()
      next = this.#appended[0]
    }
  }
}

function unavailable(cause: Error): KafkaError {
  return new KafkaError(errors.NOT_CONTROLLER, 'The metadata log of the controller has failed.', {
    cause,
  })
}

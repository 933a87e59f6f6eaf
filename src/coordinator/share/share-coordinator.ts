/**
 * The share coordinator (KIP-932): keeps what share groups have read of partitions, for the leaders of
 * the partitions and the coordinators of the groups, who ask by the five APIs of group state. What lives
 * in this folder: delivery state, from request to record. What must not: what records are handed to
 * whom (`replication/share`), and who is a member of a group (`coordinator/group`).
 *
 * Each partition of a request is answered for itself, by the shard that its key belongs to; a method
 * never rejects but for a bug.
 */

import { type ErrorRow, errors, type KafkaError } from '../../../protocol/errors.ts'
import type {
  DeleteShareGroupStateRequest,
  DeleteShareGroupStateResponse,
} from '../../../protocol/messages/delete-share-group-state.ts'
import type {
  InitializeShareGroupStateRequest,
  InitializeShareGroupStateResponse,
} from '../../../protocol/messages/initialize-share-group-state.ts'
import type {
  ReadShareGroupStateRequest,
  ReadShareGroupStateResponse,
} from '../../../protocol/messages/read-share-group-state.ts'
import type {
  ReadShareGroupStateSummaryRequest,
  ReadShareGroupStateSummaryResponse,
} from '../../../protocol/messages/read-share-group-state-summary.ts'
import type {
  WriteShareGroupStateRequest,
  WriteShareGroupStateResponse,
} from '../../../protocol/messages/write-share-group-state.ts'
import { compressions } from '../../../protocol/records/compression/compression.ts'
import type { Uuid } from '../../../protocol/types.ts'
import type { Environment, Milliseconds } from '../../environment/environment.ts'
import { allInTurns } from '../../environment/in-turns.ts'
import { answered, type Pending } from '../answered.ts'
import { coordinatorPartition } from '../coordinator-partition.ts'
import { CoordinatorRuntime, type ShardCounts } from '../runtime.ts'
import type { CoordinatorLog, Decision } from '../shard.ts'
import type { TopicChanges } from '../topic-changes.ts'
import type { ShareCoordinatorConfig } from './config.ts'
import {
  coordinatorKey,
  decodeShareRecord,
  encodeShareRecord,
  type SharePartitionKey,
  type ShareRecord,
} from './records.ts'
import { type Outcome, ShareShard } from './share-shard.ts'

/** A log of which what is no longer needed can be deleted. */
export interface PrunableLog extends CoordinatorLog {
  /** Deletes the records before the offset. Throws KafkaError and DiskError. */
  deleteRecords(offset: number): Promise<void>
}

export interface ShareCoordinatorOptions {
  readonly environment: Environment
  /** Read at each use: changes take effect at once. */
  readonly config: () => ShareCoordinatorConfig
  /** Partitions of __share_group_state; while it does not exist, those that it is to have. */
  readonly statePartitionCount: () => number
  /** Partitions of a topic, undefined if there is no such topic. */
  readonly partitionCountOf: (topicId: Uuid) => number | undefined
}

/** What all requests of group state look like. */
interface StateRequest<P> {
  readonly groupId: string
  readonly topics: readonly { readonly topicId: Uuid; readonly partitions: readonly P[] }[]
}

interface PartitionOutcome {
  readonly partition: number
  readonly errorCode: number
  readonly errorMessage: string | null
}

export class ShareCoordinator {
  readonly topic = '__share_group_state'
  readonly #statePartitionCount: () => number
  readonly #environment: Environment
  readonly #runtime: CoordinatorRuntime<ShareShard, ShareRecord>
  readonly #logs = new Map<number, PrunableLog>()

  constructor(options: ShareCoordinatorOptions) {
    const { environment, config, partitionCountOf } = options
    this.#statePartitionCount = options.statePartitionCount
    this.#environment = environment
    const prune = (partition: number, offset: number) => this.#prune(partition, offset)
    this.#runtime = new CoordinatorRuntime(environment, {
      name: 'share',
      topic: this.topic,
      create: (context) => new ShareShard(context, { config, partitionCountOf, prune }),
      encode: encodeShareRecord,
      decode: decodeShareRecord,
      commitTimeoutMs: () => config().writeTimeoutMs,
      compression: () => compressions[config().stateTopicCompressionCodec] ?? 'none',
    })
  }

  /** How many shards are here, by their state. */
  get shardStates(): ShardCounts {
    return this.#runtime.shardStates
  }

  /** The partition of __share_group_state that holds the delivery state. */
  partitionFor(key: SharePartitionKey): number {
    return coordinatorPartition(coordinatorKey(key), this.#statePartitionCount())
  }

  /** This broker leads the partition of __share_group_state; resolves when its state is loaded. */
  onElection(partition: number, leaderEpoch: number, log: PrunableLog): Promise<void> {
    this.#logs.set(partition, log)
    return this.#runtime.load(partition, leaderEpoch, log)
  }

  /** This broker does not lead the partition any more, as of `leaderEpoch`. */
  onResignation(partition: number, leaderEpoch?: number): void {
    this.#logs.delete(partition)
    this.#runtime.unload(partition, leaderEpoch)
  }

  /**
   * Forgets all delivery state of topics that were deleted; resolves when that is recorded, or failed.
   * Never rejects: what goes wrong is logged.
   */
  async onTopicsChanged({ deleted }: TopicChanges): Promise<void> {
    if (deleted.size === 0) return
    const gone = new Set(deleted.keys())
    await this.#runtime.writeEach(
      (shard) => shard.deleteTopics(gone),
      'state of deleted topics was not removed',
    )
  }

  /** Everybody who waits is answered NOT_COORDINATOR. */
  close(): void {
    this.#runtime.close()
  }

  async initialize(
    request: InitializeShareGroupStateRequest,
  ): Promise<InitializeShareGroupStateResponse> {
    return this.#each(request, 'initialize', outcomeOf, (shard, key, partition, nowMs) => {
      const { records, reply } = shard.initialize(key, partition, nowMs)
      return { records, reply: outcomeOf(key, reply) }
    })
  }

  async write(request: WriteShareGroupStateRequest): Promise<WriteShareGroupStateResponse> {
    if (isPartlyEmpty(request)) return { results: [] }
    return this.#each(request, 'write', outcomeOf, (shard, key, partition, nowMs) => {
      const { records, reply } = shard.write(key, partition, nowMs)
      return { records, reply: outcomeOf(key, reply) }
    })
  }

  async read(request: ReadShareGroupStateRequest): Promise<ReadShareGroupStateResponse> {
    const refused = (key: SharePartitionKey, outcome: Outcome) => ({
      ...outcomeOf(key, outcome),
      stateEpoch: 0,
      startOffset: 0,
      stateBatches: [],
    })
    if (isPartlyEmpty(request)) return { results: [] }
    return this.#each(request, 'read', refused, (shard, key, { leaderEpoch }, nowMs) => {
      const { records, reply } = shard.read(key, leaderEpoch, nowMs)
      if (reply.state === null) return { records, reply: refused(key, reply) }
      const { stateEpoch, startOffset, stateBatches } = reply.state
      const state = { stateEpoch, startOffset, stateBatches }
      return { records, reply: { ...outcomeOf(key, reply), ...state } }
    })
  }

  async readSummary(
    request: ReadShareGroupStateSummaryRequest,
  ): Promise<ReadShareGroupStateSummaryResponse> {
    const refused = (key: SharePartitionKey, outcome: Outcome) => ({
      ...outcomeOf(key, outcome),
      stateEpoch: 0,
      leaderEpoch: 0,
      // A partition that nobody has begun with is no error.
      startOffset: outcome.error === errors.NONE ? -1 : 0,
      deliveryCompleteCount: -1,
    })
    if (isPartlyEmpty(request)) return { results: [] }
    return this.#each(request, 'read the summary of', refused, (shard, key) => {
      const { records, reply } = shard.summary(key)
      if (reply.state === null) return { records, reply: refused(key, reply) }
      const { stateEpoch, leaderEpoch, startOffset, deliveryCompleteCount } = reply.state
      const state = { stateEpoch, leaderEpoch, startOffset, deliveryCompleteCount }
      return { records, reply: { ...outcomeOf(key, reply), ...state } }
    })
  }

  async delete(request: DeleteShareGroupStateRequest): Promise<DeleteShareGroupStateResponse> {
    if (isPartlyEmpty(request)) return { results: [] }
    return this.#each(request, 'delete', outcomeOf, (shard, key) => {
      const { records, reply } = shard.delete(key)
      return { records, reply: outcomeOf(key, reply) }
    })
  }

  /** Decides about each partition on its shard. A request for nobody has no results. */
  async #each<P extends { readonly partition: number }, A>(
    { groupId, topics }: StateRequest<P>,
    operation: string,
    refused: (key: SharePartitionKey, outcome: Outcome) => A,
    decide: (
      shard: ShareShard,
      key: SharePartitionKey,
      partition: P,
      nowMs: Milliseconds,
    ) => Decision<ShareRecord, A>,
  ): Promise<{ results: { topicId: Uuid; partitions: A[] }[] }> {
    if (groupId === '') return { results: [] }
    const answer = (topicId: Uuid, partition: P): Pending<A> => {
      const key = { groupId, topicId, partition: partition.partition }
      const fail = ({ error, message }: KafkaError): A =>
        refused(key, { error, message: `Unable to ${operation} share group state: ${message}` })
      return answered<A>(fail, () =>
        this.#runtime.write(this.partitionFor(key), (shard, nowMs) =>
          decide(shard, key, partition, nowMs),
        ),
      )
    }
    const turns = this.#environment
    const results = await allInTurns(turns, topics, async ({ topicId, partitions }) => ({
      topicId,
      partitions: await allInTurns(turns, partitions, (one) => answer(topicId, one)),
    }))
    return { results }
  }

  async #prune(partition: number, offset: number): Promise<void> {
    const log = this.#logs.get(partition)
    if (log === undefined || offset <= log.logStartOffset) return
    try {
      await log.deleteRecords(offset)
      this.#environment.log.info('redundant share group state deleted', {
        partition,
        beforeOffset: offset,
      })
    } catch (err) {
      this.#environment.log.warn('redundant share group state was not deleted', { partition, err })
    }
  }
}

/** As in Kafka, nothing is done where one of the topics has no partitions, but to initialise the others. */
function isPartlyEmpty({ topics }: StateRequest<unknown>): boolean {
  return topics.some(({ partitions }) => partitions.length === 0)
}

function outcomeOf(
  { partition }: SharePartitionKey,
  { error, message }: { error: ErrorRow; message: string | null },
): PartitionOutcome {
  const isError = error !== errors.NONE
  return { partition, errorCode: error.code, errorMessage: isError ? message : null }
}

/**
 * What share groups are asked, where it takes more than one decision: with the share coordinator in
 * between, delivery state is set up for what members subscribe to and taken away with offsets and groups.
 * Every step is recorded before the next, so that what is cut off in the middle is taken up again: by the
 * next heartbeat, or when the administrator asks again.
 */

import { type ErrorRow, errorByCode, errors, KafkaError } from '../../../../protocol/errors.ts'
import type {
  AlterShareGroupOffsetsRequest,
  AlterShareGroupOffsetsResponse,
} from '../../../../protocol/messages/alter-share-group-offsets.ts'
import type {
  DeleteShareGroupOffsetsRequest,
  DeleteShareGroupOffsetsResponse,
} from '../../../../protocol/messages/delete-share-group-offsets.ts'
import type {
  DeleteShareGroupStateRequest,
  DeleteShareGroupStateResponse,
} from '../../../../protocol/messages/delete-share-group-state.ts'
import type {
  InitializeShareGroupStateRequest,
  InitializeShareGroupStateResponse,
} from '../../../../protocol/messages/initialize-share-group-state.ts'
import type {
  ShareGroupHeartbeatRequest,
  ShareGroupHeartbeatResponse,
} from '../../../../protocol/messages/share-group-heartbeat.ts'
import type { Uuid } from '../../../../protocol/types.ts'
import type { Environment } from '../../../environment/environment.ts'
import { allInTurns } from '../../../environment/in-turns.ts'
import type { Caller, GroupContext, GroupWrite } from '../group.ts'
import { describeEach, undescribed } from '../modern/describe.ts'
import { refusedHeartbeat } from '../modern/refused-heartbeat.ts'
import type { GroupRecord } from '../records.ts'
import { type DescribedShareGroup, describeShareGroup } from './describe.ts'
import { checkHeartbeat, shareGroupOf, shareHeartbeat } from './heartbeat.ts'
import {
  alterOffsets,
  beginOffsetDeletion,
  beginStateDeletion,
  type Deletion,
  endOffsetDeletion,
} from './offsets.ts'
import { stateTopicsRecord } from './records.ts'
import {
  initialized,
  type StateTopic,
  type StateTopics,
  type StateTopicsById,
  uninitialized,
  withoutTopics,
} from './state-topics.ts'

/** The share coordinator, as far as groups set up and take away delivery state. Never rejects. */
export interface GroupState {
  initialize(request: InitializeShareGroupStateRequest): Promise<InitializeShareGroupStateResponse>
  delete(request: DeleteShareGroupStateRequest): Promise<DeleteShareGroupStateResponse>
}

export interface ShareGroupsOptions {
  readonly environment: Pick<Environment, 'clock' | 'timers' | 'log'>
  readonly state: GroupState
  readonly write: GroupWrite
}

export class ShareGroups {
  readonly #environment: ShareGroupsOptions['environment']
  readonly #state: GroupState
  readonly #write: GroupWrite

  constructor({ environment, state, write }: ShareGroupsOptions) {
    this.#environment = environment
    this.#state = state
    this.#write = write
  }

  async heartbeat(
    request: ShareGroupHeartbeatRequest,
    caller: Caller,
  ): Promise<ShareGroupHeartbeatResponse> {
    try {
      checkHeartbeat(request)
      const { response, initialization } = await this.#write(request.groupId, (context, nowMs) =>
        shareHeartbeat(context, request, caller, nowMs),
      )
      if (initialization !== null) {
        const { groupId, stateEpoch, topics } = initialization
        // The member need not wait: its next heartbeat finds what was set up.
        void this.#initialize(groupId, stateEpoch, topics, () => -1)
      }
      return response
    } catch (failure) {
      if (!(failure instanceof KafkaError)) throw failure
      return refusedHeartbeat(failure.error, failure.message)
    }
  }

  describe(groupIds: readonly string[]): Promise<DescribedShareGroup[]> {
    const describe = (groupId: string) =>
      this.#read(groupId, (context) => describeShareGroup(context, groupId))
    return describeEach(this.#environment, groupIds, describe, undescribed)
  }

  /** What is set up for the group; nothing where there is no such group. Rejects with KafkaError. */
  async initializedTopics(groupId: string): Promise<StateTopicsById> {
    return this.#read(groupId, (context) => {
      const group = context.group(groupId)
      return group?.type === 'share' ? group.stateTopics.initialized : new Map()
    })
  }

  async #read<T>(groupId: string, look: (context: GroupContext) => T): Promise<T> {
    return this.#write(groupId, (context) => ({ records: [], reply: look(context) }))
  }

  /** Rejects with KafkaError. */
  async alterOffsets(
    request: AlterShareGroupOffsetsRequest,
  ): Promise<AlterShareGroupOffsetsResponse> {
    const { groupId } = request
    if (groupId === '') throw new KafkaError(errors.INVALID_GROUP_ID)
    const altered = await this.#write(groupId, (context, nowMs) =>
      alterOffsets(context, request, nowMs),
    )
    const { stateEpoch, begun, offsets } = altered
    const offsetOf = (topicId: Uuid, partition: number) => offsets.get(topicId)?.get(partition) ?? 0
    const failures = await this.#initialize(groupId, stateEpoch, begun, offsetOf)
    const responses = altered.responses.map((topic) => ({
      ...topic,
      partitions: topic.partitions.map((partition) => {
        const failed = failures.get(`${topic.topicId}/${partition.partitionIndex}`)
        if (failed === undefined || partition.errorCode !== 0) return partition
        return { ...partition, errorCode: failed.code, errorMessage: failed.message }
      }),
    }))
    return { errorCode: errors.NONE.code, errorMessage: null, responses }
  }

  /** Rejects with KafkaError. */
  async deleteOffsets(
    request: DeleteShareGroupOffsetsRequest,
  ): Promise<DeleteShareGroupOffsetsResponse> {
    const { groupId } = request
    if (groupId === '') throw new KafkaError(errors.INVALID_GROUP_ID)
    const deletion = await this.#write(groupId, (context) => beginOffsetDeletion(context, request))
    const failures = await this.#delete(groupId, deletion)
    const done = [...deletion.topics.keys()].filter((topicId) => !failures.has(topicId))
    if (done.length > 0) {
      await this.#write(groupId, (context) => endOffsetDeletion(context, groupId, done))
    }
    const answered = [...deletion.topics].map(([topicId, { name }]) => {
      const error = failures.get(topicId) ?? errors.NONE
      const errorMessage = error === errors.NONE ? null : error.message
      return { topicName: name, topicId, errorCode: error.code, errorMessage }
    })
    return {
      errorCode: errors.NONE.code,
      errorMessage: null,
      responses: [...deletion.refused, ...answered],
    }
  }

  /**
   * Takes the delivery state away of those among the groups that are share groups; why that failed, by
   * group. Groups that cannot be deleted anyway are left alone.
   */
  async deleteStates(groupIds: readonly string[]): Promise<ReadonlyMap<string, ErrorRow>> {
    const failed = new Map<string, ErrorRow>()
    await allInTurns(this.#environment, groupIds, async (groupId) => {
      try {
        const begin = (context: GroupContext) => beginStateDeletion(context, groupId)
        const deletion = await this.#write(groupId, begin)
        if (deletion === null) return
        const [failure] = (await this.#delete(groupId, deletion)).values()
        if (failure !== undefined) failed.set(groupId, failure)
      } catch (failure) {
        if (!(failure instanceof KafkaError)) throw failure
        failed.set(groupId, failure.error)
      }
    })
    return failed
  }

  /** Asks the share coordinator; what failed, by topic. */
  async #delete(groupId: string, { topics }: Deletion): Promise<ReadonlyMap<Uuid, ErrorRow>> {
    const failures = new Map<Uuid, ErrorRow>()
    if (topics.size === 0) return failures
    const { results } = await this.#state.delete({
      groupId,
      topics: [...topics].map(([topicId, { partitions }]) => ({
        topicId,
        partitions: [...partitions].map((partition) => ({ partition })),
      })),
    })
    for (const { topicId, partitions } of results) {
      const failed = partitions.find(({ errorCode }) => errorCode !== 0)
      if (failed !== undefined) failures.set(topicId, errorByCode(failed.errorCode))
    }
    return failures
  }

  /**
   * Has the share coordinator set up the partitions, and records what came of it; what failed, by
   * `topicId/partition`. Never rejects.
   */
  async #initialize(
    groupId: string,
    stateEpoch: number,
    begun: StateTopicsById,
    offsetOf: (topicId: Uuid, partition: number) => number,
  ): Promise<ReadonlyMap<string, ErrorRow>> {
    const failures = new Map<string, ErrorRow>()
    if (begun.size === 0) return failures
    const { results } = await this.#state.initialize({
      groupId,
      topics: [...begun].map(([topicId, { partitions }]) => ({
        topicId,
        partitions: [...partitions].map((partition) => {
          return { partition, stateEpoch, startOffset: offsetOf(topicId, partition) }
        }),
      })),
    })
    for (const { topicId, partitions } of results) {
      for (const { partition, errorCode } of partitions) {
        if (errorCode !== 0) failures.set(`${topicId}/${partition}`, errorByCode(errorCode))
      }
    }
    const hasFailed = (topicId: Uuid, partition: number) => failures.has(`${topicId}/${partition}`)
    const done = filtered(begun, (topicId, partition) => !hasFailed(topicId, partition))
    const undone = filtered(begun, hasFailed)
    const change = (topics: StateTopics) => uninitialized(initialized(topics, done), undone)
    await this.#changeStateTopics(groupId, change)
    if (failures.size > 0) {
      const [error] = failures.values()
      this.#environment.log.warn('delivery state of a share group could not be set up', {
        groupId,
        error,
      })
    }
    return failures
  }

  /** Never rejects: what is not recorded is begun again. */
  async #changeStateTopics(
    groupId: string,
    change: (topics: StateTopics) => StateTopics,
  ): Promise<void> {
    try {
      await this.#write(groupId, (context) => {
        const group = shareGroupOf(context, groupId)
        const records = [stateTopicsRecord(groupId, change(group.stateTopics))]
        return { records, reply: undefined }
      })
    } catch (err) {
      const level = err instanceof KafkaError ? 'warn' : 'error'
      this.#environment.log[level]('what is set up for a share group was not recorded', {
        groupId,
        err,
      })
    }
  }
}

/** Records that forget the topics, of those groups that know them. */
export function topicsForgotten(
  groups: Iterable<{ readonly groupId: string; readonly type: string }>,
  context: GroupContext,
  ids: ReadonlySet<Uuid>,
): GroupRecord[] {
  return [...groups].flatMap(({ groupId, type }) => {
    if (type !== 'share') return []
    const left = withoutTopics(shareGroupOf(context, groupId).stateTopics, ids)
    return left === null ? [] : [stateTopicsRecord(groupId, left)]
  })
}

function filtered(
  topics: StateTopicsById,
  isKept: (topicId: Uuid, partition: number) => boolean,
): StateTopicsById {
  const kept = new Map<Uuid, StateTopic>()
  for (const [topicId, topic] of topics) {
    const partitions = [...topic.partitions].filter((partition) => isKept(topicId, partition))
    if (partitions.length > 0) kept.set(topicId, { ...topic, partitions: new Set(partitions) })
  }
  return kept
}

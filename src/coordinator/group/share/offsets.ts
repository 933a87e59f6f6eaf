/**
 * What administrators do to where a share group stands: set it anew, or forget it, while nobody is in the
 * group. Both are recorded as begun; the share coordinator is asked then, and what came of it recorded.
 */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import type {
  AlterShareGroupOffsetsRequest,
  AlterShareGroupOffsetsResponse,
} from '../../../../protocol/messages/alter-share-group-offsets.ts'
import type {
  DeleteShareGroupOffsetsRequest,
  DeleteShareGroupOffsetsResponse,
} from '../../../../protocol/messages/delete-share-group-offsets.ts'
import { type Uuid, zeroUuid } from '../../../../protocol/types.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import type { Decision } from '../../shard.ts'
import type { GroupContext } from '../group.ts'
import type { GroupRecord } from '../records.ts'
import { groupFor, shareGroupOf } from './heartbeat.ts'
import { stateTopicsRecord } from './records.ts'
import type { ShareGroup } from './share-group.ts'
import { initializing, type StateTopic, type StateTopicsById } from './state-topics.ts'

type AlteredTopic = AlterShareGroupOffsetsResponse['responses'][number]
type DeletedTopic = DeleteShareGroupOffsetsResponse['responses'][number]

/** Begun: offsets of partitions that are to be set up anew, and the answer if that succeeds. */
export interface Alteration {
  readonly stateEpoch: number
  readonly begun: StateTopicsById
  readonly offsets: ReadonlyMap<Uuid, ReadonlyMap<number, number>>
  readonly responses: readonly AlteredTopic[]
}

/** Throws KafkaError: GROUP_ID_NOT_FOUND (of another type), NON_EMPTY_GROUP. */
export function alterOffsets(
  context: GroupContext,
  request: AlterShareGroupOffsetsRequest,
  nowMs: Milliseconds,
): Decision<GroupRecord, Alteration> {
  const group = groupFor(context, request.groupId, true)
  checkEmpty(group)
  const begun = new Map<Uuid, StateTopic>()
  const offsets = new Map<Uuid, Map<number, number>>()
  // A topic may be named more than once.
  const responses = request.topics.map(({ topicName, partitions }): AlteredTopic => {
    const topicId = context.topics.topicIdOf(topicName)
    const count = context.topics.partitionCountOf(topicName) ?? 0
    const isKnown = (index: number) => index >= 0 && index < count
    const known = partitions.filter(({ partitionIndex }) => isKnown(partitionIndex))
    if (topicId !== undefined && known.length > 0) {
      const all = offsets.get(topicId) ?? new Map<number, number>()
      for (const { partitionIndex, startOffset } of known) all.set(partitionIndex, startOffset)
      offsets.set(topicId, all)
      begun.set(topicId, { name: topicName, partitions: new Set(all.keys()), sinceMs: nowMs })
    }
    return {
      topicName,
      topicId: topicId ?? zeroUuid,
      partitions: partitions.map(({ partitionIndex }) => {
        const error = isKnown(partitionIndex) ? errors.NONE : errors.UNKNOWN_TOPIC_OR_PARTITION
        const errorMessage = error === errors.NONE ? null : error.message
        return { partitionIndex, errorCode: error.code, errorMessage }
      }),
    }
  })
  const records: GroupRecord[] =
    begun.size === 0
      ? []
      : [stateTopicsRecord(group.groupId, initializing(group.stateTopics, begun))]
  return { records, reply: { stateEpoch: group.groupEpoch, begun, offsets, responses } }
}

/** Begun: partitions whose state is to be taken away, and what cannot be. */
export interface Deletion {
  readonly topics: ReadonlyMap<Uuid, { readonly name: string; readonly partitions: Set<number> }>
  readonly refused: readonly DeletedTopic[]
}

/** Throws KafkaError: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP. */
export function beginOffsetDeletion(
  context: GroupContext,
  { groupId, topics: asked }: DeleteShareGroupOffsetsRequest,
): Decision<GroupRecord, Deletion> {
  const group = shareGroupOf(context, groupId)
  checkEmpty(group)
  const { stateTopics } = group
  const initialized = new Map(stateTopics.initialized)
  const deleting = new Map(stateTopics.deleting)
  const topics = new Map<Uuid, { name: string; partitions: Set<number> }>()
  const refused: DeletedTopic[] = []
  for (const { topicName: name } of asked) {
    const topicId = context.topics.topicIdOf(name)
    const known = topicId === undefined ? undefined : initialized.get(topicId)
    if (topicId !== undefined && known !== undefined) {
      topics.set(topicId, { name, partitions: new Set(known.partitions) })
      initialized.delete(topicId)
      deleting.set(topicId, name)
    } else if (topicId !== undefined && deleting.has(topicId)) {
      topics.set(topicId, { name, partitions: allPartitions(context, name) })
    } else {
      const { code, message } = errors.UNKNOWN_TOPIC_OR_PARTITION
      const errorMessage =
        topicId === undefined ? message : 'There is no offset information to delete.'
      refused.push({ topicName: name, topicId: zeroUuid, errorCode: code, errorMessage })
    }
  }
  const records =
    topics.size === 0 ? [] : [stateTopicsRecord(groupId, { ...stateTopics, initialized, deleting })]
  return { records, reply: { topics, refused } }
}

/** The state of these topics is gone. */
export function endOffsetDeletion(
  context: GroupContext,
  groupId: string,
  topicIds: readonly Uuid[],
): Decision<GroupRecord, void> {
  const group = shareGroupOf(context, groupId)
  const deleting = new Map(group.stateTopics.deleting)
  for (const topicId of topicIds) deleting.delete(topicId)
  const records = [stateTopicsRecord(groupId, { ...group.stateTopics, deleting })]
  return { records, reply: undefined }
}

/** The group is to be deleted: so is all its delivery state. Null if there is no such share group. */
export function beginStateDeletion(
  context: GroupContext,
  groupId: string,
): Decision<GroupRecord, Deletion | null> {
  const group = context.group(groupId)
  if (group?.type !== 'share') return { records: [], reply: null }
  checkEmpty(group)
  const { initialized, initializing: begun, deleting } = group.stateTopics
  const topics = new Map<Uuid, { name: string; partitions: Set<number> }>()
  const add = (topicId: Uuid, name: string, partitions: Iterable<number>) => {
    const known = topics.get(topicId)?.partitions ?? []
    topics.set(topicId, { name, partitions: new Set([...known, ...partitions]) })
  }
  for (const [topicId, { name, partitions }] of [...initialized, ...begun]) {
    add(topicId, name, partitions)
  }
  for (const [topicId, name] of deleting) {
    if (context.topics.topicNameOf(topicId) !== undefined) {
      add(topicId, name, allPartitions(context, name))
    }
  }
  const names = new Map([...topics].map(([topicId, { name }]) => [topicId, name]))
  const left = { initialized: new Map(), initializing: new Map(), deleting: names }
  const records = topics.size === 0 ? [] : [stateTopicsRecord(groupId, left)]
  return { records, reply: { topics, refused: [] } }
}

function allPartitions({ topics }: GroupContext, name: string): Set<number> {
  return new Set(Array.from({ length: topics.partitionCountOf(name) ?? 0 }, (_, index) => index))
}

function checkEmpty(group: ShareGroup): void {
  if (!group.isEmpty) throw new KafkaError(errors.NON_EMPTY_GROUP)
}

/** OffsetCommit: who may commit for a group, and what is recorded of it. */
import { type ErrorRow, errors, KafkaError } from '../../../protocol/errors.ts'
import type {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../../protocol/messages/offset-commit.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { Decision } from '../shard.ts'
import type { ClassicGroup } from './classic/classic-group.ts'
import { generationError } from './classic/validation.ts'
import type { GroupCoordinatorConfig } from './config.ts'
import type { CommittedOffset } from './offsets.ts'
import type { GroupRecord } from './records.ts'

type RequestTopic = OffsetCommitRequest['topics'][number]
type RequestPartition = RequestTopic['partitions'][number]

/** From here on a group that is not there is told as such. */
const firstVersionWithGroupIdNotFound = 9

/** Every topic has its name, also where the request gave its id; partitions exist. */
export function commitOffsets(
  group: ClassicGroup | null,
  request: OffsetCommitRequest,
  config: GroupCoordinatorConfig,
  apiVersion: number,
  nowMs: Milliseconds,
): Decision<GroupRecord, OffsetCommitResponse> {
  const error = commitError(group, request, apiVersion)
  if (error !== null) throw new KafkaError(error)
  // Committing is a sign of life.
  if (group?.state === 'Stable' || group?.state === 'PreparingRebalance') {
    group.members.get(request.memberId)?.touch()
  }
  const expireTimestampMs = request.retentionTimeMs < 0 ? -1 : nowMs + request.retentionTimeMs
  const records: GroupRecord[] = []
  const topics = request.topics.map((topic) => ({
    name: topic.name,
    topicId: topic.topicId,
    partitions: topic.partitions.map((partition) => {
      const { partitionIndex, committedMetadata } = partition
      if ((committedMetadata?.length ?? 0) > config.offsetMetadataMaxBytes) {
        return { partitionIndex, errorCode: errors.OFFSET_METADATA_TOO_LARGE.code }
      }
      records.push({
        kind: 'offset',
        groupId: request.groupId,
        topic: topic.name,
        partition: partitionIndex,
        value: committed(topic, partition, expireTimestampMs, nowMs),
      })
      return { partitionIndex, errorCode: errors.NONE.code }
    }),
  }))
  return { records, reply: { topics } }
}

/**
 * Members commit in their generation. A consumer that assigns its partitions itself has none, and
 * may commit as long as the group has no members.
 */
function commitError(
  group: ClassicGroup | null,
  request: OffsetCommitRequest,
  apiVersion: number,
): ErrorRow | null {
  const { memberId, groupInstanceId, generationIdOrMemberEpoch: generationId } = request
  if (group === null) {
    if (generationId < 0) return null
    return apiVersion >= firstVersionWithGroupIdNotFound
      ? errors.GROUP_ID_NOT_FOUND
      : errors.ILLEGAL_GENERATION
  }
  if (generationId < 0 && group.state === 'Empty') return null
  const isMember = generationId >= 0 || memberId !== '' || groupInstanceId !== null
  if (!isMember) return errors.UNKNOWN_MEMBER_ID
  const error = generationError(group, memberId, groupInstanceId, generationId)
  if (error !== null) return error
  // The partitions of the coming generation are not given out yet: a commit would be a guess.
  return group.state === 'CompletingRebalance' ? errors.REBALANCE_IN_PROGRESS : null
}

function committed(
  topic: RequestTopic,
  partition: RequestPartition,
  expireTimestampMs: Milliseconds,
  nowMs: Milliseconds,
): CommittedOffset {
  const { commitTimestamp } = partition
  return {
    offset: partition.committedOffset,
    leaderEpoch: partition.committedLeaderEpoch,
    metadata: partition.committedMetadata ?? '',
    commitTimestampMs: commitTimestamp === -1 ? nowMs : commitTimestamp,
    expireTimestampMs,
    topicId: topic.topicId,
  }
}

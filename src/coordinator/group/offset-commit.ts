/** OffsetCommit: who may commit for a group, and what is recorded of it. */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../../protocol/messages/offset-commit.ts'
import { type Uuid, zeroUuid } from '../../../protocol/types.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { Decision } from '../shard.ts'
import type { GroupCoordinatorConfig } from './config.ts'
import type { CommitCheck, Group } from './group.ts'
import type { CommittedOffset } from './partition-offsets.ts'
import type { GroupRecord } from './records.ts'
import type { TopicLookup } from './topics.ts'

type RequestTopic = OffsetCommitRequest['topics'][number]
type RequestPartition = RequestTopic['partitions'][number]

/** From here on a group that is not there is told as such. */
const firstVersionWithGroupIdNotFound = 9

/** What a commit is checked against, beside its group. */
export interface CommitSurroundings {
  readonly config: GroupCoordinatorConfig
  readonly topics: TopicLookup
  readonly apiVersion: number
  readonly nowMs: Milliseconds
}

/** Every topic has its name, also where the request gave its id; partitions exist. */
export function commitOffsets(
  group: Group | null,
  request: OffsetCommitRequest,
  { config, topics: lookup, apiVersion, nowMs }: CommitSurroundings,
): Decision<GroupRecord, OffsetCommitResponse> {
  const check = commitCheck(group, request, apiVersion)
  const expireTimestampMs = request.retentionTimeMs < 0 ? -1 : nowMs + request.retentionTimeMs
  const records: GroupRecord[] = []
  const idOf = ({ topicId, name }: RequestTopic) =>
    topicId === zeroUuid ? (lookup.topicIdOf(name) ?? zeroUuid) : topicId
  const topics = request.topics.map((topic) => ({
    name: topic.name,
    topicId: topic.topicId,
    partitions: topic.partitions.map((partition) => {
      const { partitionIndex, committedMetadata } = partition
      if ((committedMetadata?.length ?? 0) > config.offsetMetadataMaxBytes) {
        return { partitionIndex, errorCode: errors.OFFSET_METADATA_TOO_LARGE.code }
      }
      refuseUnowned(check, idOf(topic), partitionIndex)
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

/** Throws KafkaError. Where there is no group, a consumer that manages its partitions itself makes it. */
function commitCheck(
  group: Group | null,
  request: OffsetCommitRequest,
  apiVersion: number,
): CommitCheck | null {
  const { memberId, groupInstanceId, generationIdOrMemberEpoch: memberEpoch } = request
  if (group !== null) {
    const isTransactional = false
    return group.checkCommit({
      memberId,
      groupInstanceId,
      memberEpoch,
      isTransactional,
      apiVersion,
    })
  }
  if (memberEpoch < 0) return null
  throw new KafkaError(
    apiVersion >= firstVersionWithGroupIdNotFound
      ? errors.GROUP_ID_NOT_FOUND
      : errors.ILLEGAL_GENERATION,
  )
}

/** One partition that the member may not commit refuses the whole request, as in Kafka. */
function refuseUnowned(check: CommitCheck | null, topicId: Uuid, partition: number): void {
  const error = check?.(topicId, partition) ?? null
  if (error !== null) throw new KafkaError(error)
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

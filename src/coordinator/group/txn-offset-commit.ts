/** TxnOffsetCommit: offsets that a producer commits for a group as a part of its transaction. */
import { type ErrorRow, errors, KafkaError } from '../../../protocol/errors.ts'
import type {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../../protocol/messages/txn-offset-commit.ts'
import { zeroUuid } from '../../../protocol/types.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { Decision } from '../shard.ts'
import type { ClassicGroup } from './classic/classic-group.ts'
import { generationError } from './classic/validation.ts'
import type { GroupCoordinatorConfig } from './config.ts'
import type { GroupRecord } from './records.ts'

/** Topics are named, and their partitions exist. */
export function commitInTransaction(
  group: ClassicGroup | null,
  request: TxnOffsetCommitRequest,
  config: GroupCoordinatorConfig,
  nowMs: Milliseconds,
): Decision<GroupRecord, TxnOffsetCommitResponse> {
  const error = commitError(group, request)
  if (error !== null) throw new KafkaError(error)
  const { groupId } = request
  const records: GroupRecord[] = []
  const topics = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map((partition) => {
      const { partitionIndex } = partition
      const metadata = partition.committedMetadata ?? ''
      if (metadata.length > config.offsetMetadataMaxBytes) {
        return { partitionIndex, errorCode: errors.OFFSET_METADATA_TOO_LARGE.code }
      }
      const value = {
        offset: partition.committedOffset,
        leaderEpoch: partition.committedLeaderEpoch,
        metadata,
        commitTimestampMs: nowMs,
        expireTimestampMs: -1,
        topicId: zeroUuid,
      }
      records.push({ kind: 'offset', groupId, topic: name, partition: partitionIndex, value })
      return { partitionIndex, errorCode: errors.NONE.code }
    }),
  }))
  return { records, reply: { topics } }
}

/**
 * A member says in which generation it read what its transaction used (KIP-447); older producers
 * say nothing of themselves, and are let in.
 */
function commitError(group: ClassicGroup | null, request: TxnOffsetCommitRequest): ErrorRow | null {
  const { memberId, groupInstanceId, generationIdOrMemberEpoch: generationId } = request
  if (group === null) return generationId < 0 ? null : errors.ILLEGAL_GENERATION
  if (generationId < 0 && group.state === 'Empty') return null
  const isMember = generationId >= 0 || memberId !== '' || groupInstanceId !== null
  return isMember ? generationError(group, memberId, groupInstanceId, generationId) : null
}

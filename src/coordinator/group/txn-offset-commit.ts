/** TxnOffsetCommit: offsets that a producer commits for a group as a part of its transaction. */
import { type ErrorRow, errors, KafkaError } from '../../../protocol/errors.ts'
import type {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../../protocol/messages/txn-offset-commit.ts'
import { zeroUuid } from '../../../protocol/types.ts'
import type { Decision } from '../shard.ts'
import type { CommitCheck, Group } from './group.ts'
import type { CommitSurroundings } from './offset-commit.ts'
import type { GroupRecord } from './records.ts'

/** Topics are named, and their partitions exist. */
export function commitInTransaction(
  group: Group | null,
  request: TxnOffsetCommitRequest,
  { config, topics: lookup, nowMs }: Omit<CommitSurroundings, 'apiVersion'>,
): Decision<GroupRecord, TxnOffsetCommitResponse> {
  const check = commitCheck(group, request)
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
      const error = check?.(lookup.topicIdOf(name) ?? zeroUuid, partitionIndex) ?? null
      if (error !== null) throw new KafkaError(known(error))
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
 * say nothing of themselves, and are let in. Throws KafkaError.
 */
function commitCheck(group: Group | null, request: TxnOffsetCommitRequest): CommitCheck | null {
  const { memberId, groupInstanceId, generationIdOrMemberEpoch: memberEpoch } = request
  if (group === null) {
    if (memberEpoch < 0) return null
    throw new KafkaError(errors.ILLEGAL_GENERATION)
  }
  const isTransactional = true
  const committer = { memberId, groupInstanceId, memberEpoch, isTransactional, apiVersion: 0 }
  try {
    return group.checkCommit(committer)
  } catch (failure) {
    throw failure instanceof KafkaError ? new KafkaError(known(failure.error)) : failure
  }
}

/** Producers know of generations only. */
function known(error: ErrorRow): ErrorRow {
  return error === errors.STALE_MEMBER_EPOCH ? errors.ILLEGAL_GENERATION : error
}

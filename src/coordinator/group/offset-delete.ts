/** OffsetDelete (KIP-496): offsets that no member of the group may still need. */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type {
  OffsetDeleteRequest,
  OffsetDeleteResponse,
} from '../../../protocol/messages/offset-delete.ts'
import type { Decision } from '../shard.ts'
import type { Group } from './group.ts'
import type { Offsets } from './offsets.ts'
import type { GroupRecord } from './records.ts'

/** Partitions exist. */
export function deleteOffsets(
  group: Group | null,
  offsets: Offsets,
  request: OffsetDeleteRequest,
): Decision<GroupRecord, OffsetDeleteResponse> {
  if (group === null) throw new KafkaError(errors.GROUP_ID_NOT_FOUND)
  group.checkOffsetDelete()
  const { groupId } = request
  const records: GroupRecord[] = []
  const topics = request.topics.map(({ name, partitions }) => {
    const error = group.isSubscribedTo(name) ? errors.GROUP_SUBSCRIBED_TO_TOPIC : errors.NONE
    return {
      name,
      partitions: partitions.map(({ partitionIndex }) => {
        const isKnown =
          offsets.get(groupId, name, partitionIndex) !== undefined ||
          offsets.isPending(groupId, name, partitionIndex)
        if (error === errors.NONE && isKnown) {
          records.push(offsetTombstone(groupId, name, partitionIndex))
        }
        return { partitionIndex, errorCode: error.code }
      }),
    }
  })
  return { records, reply: { errorCode: errors.NONE.code, topics } }
}

export function offsetTombstone(groupId: string, topic: string, partition: number): GroupRecord {
  return { kind: 'offset', groupId, topic, partition, value: null }
}

/** Tombstones of all that the group committed, in transactions that are open too, or of its offsets of the topics that `isMeant`. */
export function offsetTombstones(
  offsets: Offsets,
  groupId: string,
  isMeant: (topic: string) => boolean = () => true,
): GroupRecord[] {
  const records: GroupRecord[] = []
  for (const { topic, partition } of offsets.partitions(groupId, isMeant)) {
    records.push(offsetTombstone(groupId, topic, partition))
  }
  return records
}

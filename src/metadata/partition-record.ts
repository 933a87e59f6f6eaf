/** A partition's whole state as a record, for a new partition as for a snapshot. */
import type { Uuid } from '../../protocol/types.ts'
import type { PartitionImage } from './image.ts'
import { type MetadataRecord, record } from './record.ts'

/** `version` is that of the record: what it cannot say is left out. */
export function partitionRecordOf(
  topicId: Uuid,
  partition: PartitionImage,
  version: number,
): MetadataRecord {
  const { elr, lastKnownElr } = partition
  return record(
    'PartitionRecord',
    {
      partitionId: partition.index,
      topicId,
      replicas: partition.replicas,
      isr: partition.isr,
      removingReplicas: partition.removingReplicas,
      addingReplicas: partition.addingReplicas,
      leader: partition.leader,
      leaderRecoveryState: partition.leaderRecoveryState,
      leaderEpoch: partition.leaderEpoch,
      partitionEpoch: partition.partitionEpoch,
      directories: version >= 1 ? partition.directories : [],
      eligibleLeaderReplicas: version < 2 || elr.length === 0 ? null : elr,
      lastKnownElr: version < 2 || lastKnownElr.length === 0 ? null : lastKnownElr,
    },
    version,
  )
}

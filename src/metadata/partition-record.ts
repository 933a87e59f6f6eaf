/** A partition as a record: its whole state, for a new partition as for a snapshot, and what changes of it. */
import type { PartitionChangeRecord } from '../../protocol/state/metadata-records.ts'
import type { Uuid } from '../../protocol/types.ts'
import { metadataVersion, partitionVersion } from './features.ts'
import type { MetadataImage, PartitionImage } from './image.ts'
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

export type PartitionChange = Partial<Omit<PartitionChangeRecord, 'topicId' | 'partitionId'>>

/** What `change` does not name stays as it is. Naming a leader, even the same, raises the leader epoch. */
export function partitionChangeRecordOf(
  image: MetadataImage,
  topicId: Uuid,
  partitionId: number,
  change: PartitionChange,
): MetadataRecord {
  const unchanged = {
    isr: null,
    leader: -2,
    replicas: null,
    removingReplicas: null,
    addingReplicas: null,
    leaderRecoveryState: -1,
    directories: null,
    eligibleLeaderReplicas: null,
    lastKnownElr: null,
  }
  return record(
    'PartitionChangeRecord',
    { partitionId, topicId, ...unchanged, ...change },
    partitionVersion(metadataVersion(image)),
  )
}

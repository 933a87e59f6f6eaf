/**
 * AssignReplicasToDirs: a broker tells in which of its log directories its replicas lie (KIP-858), so that
 * what lay in one that is not there is missed and not made anew.
 */
import { type ErrorRow, errors, KafkaError } from '../../../protocol/errors.ts'
import type { Uuid } from '../../../protocol/types.ts'
import { metadataVersion } from '../features.ts'
import type { MetadataImage } from '../image.ts'
import { partitionChangeRecordOf } from '../partition-record.ts'
import type { MetadataRecord } from '../record.ts'
import type { Decision } from './decision.ts'

export interface AssignedReplica {
  readonly topicId: Uuid
  readonly index: number
  /** `directory.id` of one of the broker's log directories. */
  readonly directoryId: Uuid
}

/** 3.7-IV2, the first in which records say where replicas lie. */
const directoryAssignmentLevel = 17

/** Whether the metadata can say in which log directories replicas lie. */
export const knowsDirectories = (image: MetadataImage): boolean =>
  metadataVersion(image) >= directoryAssignmentLevel

/**
 * One outcome for each replica: NONE, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION or NOT_LEADER_OR_FOLLOWER.
 * Throws KafkaError UNSUPPORTED_VERSION, BROKER_ID_NOT_REGISTERED.
 */
export function assignReplicasToDirs(
  image: MetadataImage,
  brokerId: number,
  replicas: readonly AssignedReplica[],
): Decision<readonly ErrorRow[]> {
  if (!knowsDirectories(image)) {
    const message = 'Directory assignment is not supported yet.'
    throw new KafkaError(errors.UNSUPPORTED_VERSION, message)
  }
  if (!image.brokers.has(brokerId)) {
    const message = `Broker ID ${brokerId} is not currently registered`
    throw new KafkaError(errors.BROKER_ID_NOT_REGISTERED, message)
  }
  const records: MetadataRecord[] = []
  const reply = replicas.map((replica) => assign(image, brokerId, replica, records))
  return { records, reply }
}

function assign(
  image: MetadataImage,
  brokerId: number,
  { topicId, index, directoryId }: AssignedReplica,
  records: MetadataRecord[],
): ErrorRow {
  const topic = image.topics.byId.get(topicId)
  if (topic === undefined) return errors.UNKNOWN_TOPIC_ID
  const partition = topic.partitions[index]
  if (partition === undefined) return errors.UNKNOWN_TOPIC_OR_PARTITION
  const at = partition.replicas.indexOf(brokerId)
  if (at < 0) return errors.NOT_LEADER_OR_FOLLOWER
  if (partition.directories[at] === directoryId) return errors.NONE
  const directories = partition.directories.with(at, directoryId)
  records.push(partitionChangeRecordOf(image, topicId, index, { directories }))
  return errors.NONE
}

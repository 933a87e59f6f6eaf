/**
 * The start of a broker on the node that also is the controller: it is registered and ready in one step.
 * Every partition that it can lead gets a new leader epoch: what an earlier process wrote and lost in a
 * crash can then never be taken for what this one writes at the same offset.
 */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type { Uuid } from '../../../protocol/types.ts'
import { metadataVersion, registerBrokerVersion, supportedFeatures } from '../features.ts'
import { type EndpointImage, isActive, type MetadataImage, type PartitionImage } from '../image.ts'
import { partitionChangeRecordOf } from '../partition-record.ts'
import { type MetadataRecord, record } from '../record.ts'
import type { Decision } from './decision.ts'

export interface BrokerRegistration {
  readonly brokerId: number
  /** One process: a random id. */
  readonly incarnationId: Uuid
  readonly endpoints: readonly EndpointImage[]
  readonly rack: string | null
  /** `directory.id` of each log directory. */
  readonly logDirs: readonly Uuid[]
}

/** `nextOffset` is that of the first record: the registration, whose offset is the broker's epoch. */
export function registerBroker(
  image: MetadataImage,
  registration: BrokerRegistration,
  nextOffset: number,
): Decision<number> {
  const { brokerId, incarnationId, endpoints, rack } = registration
  const logDirs = [...registration.logDirs].sort()
  if (logDirs.length === 0 || new Set(logDirs).size !== logDirs.length) {
    throw new KafkaError(errors.INVALID_REGISTRATION, 'Directory ids must be given, each once.')
  }
  const level = metadataVersion(image)
  const registered = record(
    'RegisterBrokerRecord',
    {
      brokerId,
      isMigratingZkBroker: false,
      incarnationId,
      brokerEpoch: nextOffset,
      endPoints: endpoints,
      features: supportedFeatures,
      rack,
      fenced: false,
      inControlledShutdown: false,
      logDirs: level >= 17 ? logDirs : [],
      cordonedLogDirs: level >= 30 ? [] : null,
    },
    registerBrokerVersion(level),
  )
  return { records: [registered, ...leadAgain(image, brokerId)], reply: nextOffset }
}

function leadAgain(image: MetadataImage, brokerId: number): MetadataRecord[] {
  const records: MetadataRecord[] = []
  for (const topic of image.topics.byId.values()) {
    for (const partition of topic.partitions) {
      if (!mayLead(image, partition, brokerId)) continue
      const isInSync = partition.isr.includes(brokerId)
      const isEligible = !isInSync && partition.elr.length > 0
      records.push(
        partitionChangeRecordOf(image, topic.id, partition.index, {
          isr: isInSync ? null : [brokerId],
          leader: brokerId,
          eligibleLeaderReplicas: isEligible ? partition.elr.filter((id) => id !== brokerId) : null,
          lastKnownElr: partition.lastKnownElr.length === 0 ? null : [],
        }),
      )
    }
  }
  return records
}

/** Nobody else leads, and nobody has more of the committed records. */
function mayLead(image: MetadataImage, partition: PartitionImage, brokerId: number): boolean {
  const { leader, isr, elr, lastKnownElr, replicas } = partition
  if (!replicas.includes(brokerId)) return false
  if (leader !== -1 && leader !== brokerId && isActive(image, leader)) return false
  if (isr.length > 0) return isr.includes(brokerId)
  // Nobody else can lead: with nobody in sync and nobody eligible, the last leader returns (KIP-966).
  return elr.length > 0 ? elr.includes(brokerId) : lastKnownElr.includes(brokerId)
}

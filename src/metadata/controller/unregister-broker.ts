/**
 * UnregisterBroker: the cluster forgets a broker. Others take over what it leads; where nobody else is in
 * sync the partition stays without a leader until the broker registers again.
 */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import { isActive, type MetadataImage, noLeader, type PartitionImage } from '../image.ts'
import { type PartitionChange, partitionChangeRecordOf } from '../partition-record.ts'
import { type MetadataRecord, record } from '../record.ts'
import type { Decision } from './decision.ts'

/** Throws KafkaError BROKER_ID_NOT_REGISTERED. */
export function unregisterBroker(image: MetadataImage, brokerId: number): Decision<void> {
  const broker = image.brokers.get(brokerId)
  if (broker === undefined) {
    throw new KafkaError(
      errors.BROKER_ID_NOT_REGISTERED,
      `Broker ID ${brokerId} is not currently registered`,
    )
  }
  const records: MetadataRecord[] = []
  for (const { id, partitions } of image.topics.byId.values()) {
    for (const partition of partitions) {
      const change = without(image, partition, brokerId)
      if (change === undefined) continue
      records.push(partitionChangeRecordOf(image, id, partition.index, change))
    }
  }
  records.push(record('UnregisterBrokerRecord', { brokerId, brokerEpoch: broker.epoch }))
  return { records, reply: undefined }
}

/** The last one in sync stays so: it alone has everything. */
function without(
  image: MetadataImage,
  { replicas, isr, leader }: PartitionImage,
  brokerId: number,
): PartitionChange | undefined {
  if (!isr.includes(brokerId)) return undefined
  const left = isr.filter((id) => id !== brokerId)
  const next = replicas.find((id) => left.includes(id) && isActive(image, id))
  if (leader !== brokerId) return left.length === 0 ? undefined : { isr: left }
  const isrAfter = left.length === 0 ? null : left
  return { leader: next ?? noLeader, isr: isrAfter }
}

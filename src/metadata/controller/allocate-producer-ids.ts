/** Producer ids are given to brokers in blocks, so that handing one out takes no record. */

import { errors, KafkaError } from '../../../protocol/errors.ts'
import type { MetadataImage } from '../image.ts'
import { record } from '../record.ts'
import type { Decision } from './decision.ts'

const producerIdBlockSize = 1000

export interface ProducerIdBlock {
  readonly first: number
  readonly size: number
}

/** Throws KafkaError STALE_BROKER_EPOCH for a broker that is not registered under this epoch. */
export function allocateProducerIds(
  image: MetadataImage,
  brokerId: number,
  brokerEpoch: number,
): Decision<ProducerIdBlock> {
  const broker = image.brokers.get(brokerId)
  if (broker === undefined || broker.epoch !== brokerEpoch) {
    throw new KafkaError(errors.STALE_BROKER_EPOCH)
  }
  const first = image.nextProducerId
  const nextProducerId = first + producerIdBlockSize
  return {
    records: [record('ProducerIdsRecord', { brokerId, brokerEpoch, nextProducerId })],
    reply: { first, size: producerIdBlockSize },
  }
}

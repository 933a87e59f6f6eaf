/**
 * The end of a broker on the node that also is the controller. Its registration says so, as Kafka's does:
 * whoever leads the quorum next, also Apache Kafka on the same directory, need not wait for the session
 * of a broker that is gone. Leaders stay as they are; the next registration elects them anew.
 */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type { MetadataImage } from '../image.ts'
import { record } from '../record.ts'
import type { Decision } from './decision.ts'

/** In records: yes, where 0 is no change. */
const yes = 1

/** Throws KafkaError STALE_BROKER_EPOCH for a broker that is not registered under this epoch. */
export function shutDownBroker(
  image: MetadataImage,
  brokerId: number,
  brokerEpoch: number,
): Decision<void> {
  if (image.brokers.get(brokerId)?.epoch !== brokerEpoch) {
    throw new KafkaError(errors.STALE_BROKER_EPOCH)
  }
  const change = {
    brokerId,
    brokerEpoch,
    fenced: yes,
    inControlledShutdown: yes,
    logDirs: [],
    cordonedLogDirs: null,
  }
  return { records: [record('BrokerRegistrationChangeRecord', change, 1)], reply: undefined }
}

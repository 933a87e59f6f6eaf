/**
 * An image as records: replayed on an empty image they give the same image again. A snapshot is these
 * records, in Kafka's order (features first, so that metadata.version is known before all else) and in
 * the versions that the finalized metadata.version asks for.
 *
 * Everything that is in an image is here, also what this version does not use itself: access control
 * entries, quotas, credentials, tokens. The log before a snapshot is deleted; what were left out is lost.
 */
import {
  metadataVersion,
  metadataVersionFeature,
  partitionVersion,
  registerBrokerVersion,
} from './features.ts'
import type { BrokerImage, MetadataImage } from './image.ts'
import { partitionRecordOf } from './partition-record.ts'
import { type MetadataRecord, record } from './record.ts'

export function* imageRecords(image: MetadataImage): Generator<MetadataRecord, void, void> {
  yield* featureRecords(image)
  yield* nodeRecords(image)
  yield* topicRecords(image)
  yield* configRecords(image)
  for (const { entity, quotas } of image.clientQuotas.values()) {
    for (const [key, value] of quotas) {
      yield record('ClientQuotaRecord', { entity, key, value, remove: false })
    }
  }
  const { nextProducerId } = image
  if (nextProducerId > 0) {
    yield record('ProducerIdsRecord', { brokerId: -1, brokerEpoch: -1, nextProducerId })
  }
  for (const acl of image.acls.values()) yield record('AccessControlEntryRecord', acl)
  for (const one of image.scramCredentials.values()) yield record('UserScramCredentialRecord', one)
  for (const token of image.delegationTokens.values()) yield record('DelegationTokenRecord', token)
}

function* featureRecords({ features }: MetadataImage): Generator<MetadataRecord, void, void> {
  const level = features.get(metadataVersionFeature)
  if (level !== undefined) {
    yield record('FeatureLevelRecord', { name: metadataVersionFeature, featureLevel: level })
  }
  for (const [name, featureLevel] of features) {
    if (name !== metadataVersionFeature) yield record('FeatureLevelRecord', { name, featureLevel })
  }
}

function* nodeRecords(image: MetadataImage): Generator<MetadataRecord, void, void> {
  const version = registerBrokerVersion(metadataVersion(image))
  for (const broker of image.brokers.values()) yield brokerRecord(broker, version)
  for (const controller of image.controllers.values()) {
    const { id: controllerId, incarnationId, endpoints: endPoints, features } = controller
    yield record('RegisterControllerRecord', {
      controllerId,
      incarnationId,
      zkMigrationReady: controller.zkMigrationReady,
      endPoints,
      features,
    })
  }
}

function brokerRecord(broker: BrokerImage, version: number): MetadataRecord {
  return record(
    'RegisterBrokerRecord',
    {
      brokerId: broker.id,
      isMigratingZkBroker: broker.isMigratingZkBroker,
      incarnationId: broker.incarnationId,
      brokerEpoch: broker.epoch,
      endPoints: broker.endpoints,
      features: broker.features,
      rack: broker.rack,
      fenced: broker.fenced,
      inControlledShutdown: broker.inControlledShutdown,
      logDirs: broker.logDirs,
      cordonedLogDirs: version >= 4 ? broker.cordonedLogDirs : null,
    },
    version,
  )
}

function* topicRecords(image: MetadataImage): Generator<MetadataRecord, void, void> {
  const version = partitionVersion(metadataVersion(image))
  for (const { id: topicId, name, partitions } of image.topics.byId.values()) {
    yield record('TopicRecord', { name, topicId })
    for (const partition of partitions) yield partitionRecordOf(topicId, partition, version)
  }
}

function* configRecords({ configs }: MetadataImage): Generator<MetadataRecord, void, void> {
  for (const [resourceType, resources] of configs) {
    for (const [resourceName, texts] of resources) {
      for (const [name, value] of texts) {
        yield record('ConfigRecord', { resourceType, resourceName, name, value })
      }
    }
  }
}

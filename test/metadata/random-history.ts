/** Records of every kind, at random, each of which can follow the ones before it. */
import type { Uuid } from '../../protocol/types.ts'
import { MetadataDelta } from '../../src/metadata/delta.ts'
import type { MetadataImage } from '../../src/metadata/image.ts'
import { randomUuid } from '../../src/metadata/random-uuid.ts'
import { type MetadataRecord, record } from '../../src/metadata/record.ts'
import type { SeededRandom } from '../simulator/random.ts'

type Make = (image: MetadataImage, random: SeededRandom) => MetadataRecord | undefined

const names = ['a', 'b', 'c', 'd', '', 'ü 😀']

function pick<T>(random: SeededRandom, from: Iterable<T>): T | undefined {
  const all = [...from]
  return all[random.between(0, all.length - 1)]
}

const name = (random: SeededRandom) => pick(random, names) ?? ''

function ids(random: SeededRandom): number[] {
  return [1, 2, 3].filter(() => random.chance(0.5))
}

function uuids(random: SeededRandom, count: number): Uuid[] {
  return Array.from({ length: count }, () => randomUuid(random))
}

const endpoints = [
  { name: 'PLAINTEXT', host: '127.0.0.1', port: 65_535, securityProtocol: 0 },
  { name: 'SSL', host: '', port: 0, securityProtocol: 1 },
]
const features = [{ name: 'group.version', minSupportedVersion: 0, maxSupportedVersion: 1 }]

function partitionState(random: SeededRandom) {
  const replicas = [1, 2, 3].slice(0, random.between(1, 3))
  return {
    replicas,
    isr: ids(random),
    removingReplicas: ids(random),
    addingReplicas: ids(random),
    leader: random.between(-1, 3),
    leaderRecoveryState: random.between(0, 1),
    directories: uuids(random, replicas.length),
    eligibleLeaderReplicas: random.chance(0.5) ? ids(random) : null,
    lastKnownElr: random.chance(0.5) ? ids(random) : null,
  }
}

const topics: Make[] = [
  (image, random) => {
    const free = names.find((one) => !image.topics.byName.has(one))
    if (free === undefined) return undefined
    return record('TopicRecord', { name: free, topicId: randomUuid(random) })
  },
  (image, random) => {
    const topic = pick(random, image.topics.byId.values())
    if (topic === undefined) return undefined
    const state = { ...partitionState(random), leaderEpoch: random.between(0, 9) }
    const place = { partitionId: topic.partitions.length, topicId: topic.id, partitionEpoch: 4 }
    return record('PartitionRecord', { ...state, ...place }, 2)
  },
  (image, random) => {
    const topic = pick(random, image.topics.byId.values())
    const partition = topic && pick(random, topic.partitions)
    if (topic === undefined || partition === undefined) return undefined
    const change = partitionState(random)
    const place = { partitionId: partition.index, topicId: topic.id }
    const isMoved = random.chance(0.5)
    return record(
      'PartitionChangeRecord',
      {
        ...change,
        ...place,
        leader: random.between(-2, 3),
        leaderRecoveryState: random.between(-1, 1),
        replicas: isMoved ? change.replicas : null,
        directories: isMoved ? change.directories : null,
      },
      2,
    )
  },
  (image, random) => {
    const topic = pick(random, image.topics.byId.values())
    if (topic === undefined || random.chance(0.6)) return undefined
    return record('RemoveTopicRecord', { topicId: topic.id })
  },
  (_image, random) =>
    random.chance(0.9) ? undefined : record('ClearElrRecord', { topicName: name(random) }),
]

const nodes: Make[] = [
  (_image, random) =>
    record(
      'RegisterBrokerRecord',
      {
        brokerId: random.between(1, 3),
        isMigratingZkBroker: random.chance(0.1),
        incarnationId: randomUuid(random),
        brokerEpoch: random.between(0, 1e12),
        endPoints: endpoints,
        features,
        rack: random.chance(0.5) ? null : name(random),
        fenced: random.chance(0.5),
        inControlledShutdown: random.chance(0.5),
        logDirs: uuids(random, 2),
        cordonedLogDirs: uuids(random, random.between(0, 1)),
      },
      4,
    ),
  (image, random) => {
    const broker = pick(random, image.brokers.values())
    if (broker === undefined) return undefined
    const { id, epoch } = broker
    const kind = random.between(0, 9)
    if (kind === 0) return record('UnregisterBrokerRecord', { brokerId: id, brokerEpoch: epoch })
    if (kind === 1) return record('FenceBrokerRecord', { id, epoch })
    if (kind === 2) return record('UnfenceBrokerRecord', { id, epoch })
    return record(
      'BrokerRegistrationChangeRecord',
      {
        brokerId: id,
        brokerEpoch: epoch,
        fenced: random.between(-1, 1),
        inControlledShutdown: random.between(0, 1),
        logDirs: uuids(random, random.between(0, 2)),
        cordonedLogDirs: random.chance(0.5) ? null : uuids(random, random.between(0, 2)),
      },
      3,
    )
  },
  (_image, random) =>
    record('RegisterControllerRecord', {
      controllerId: random.between(1, 3),
      incarnationId: randomUuid(random),
      zkMigrationReady: random.chance(0.5),
      endPoints: endpoints,
      features,
    }),
  (_image, random) =>
    record('FeatureLevelRecord', {
      name: pick(random, ['group.version', 'share.version']) ?? '',
      featureLevel: random.between(0, 2),
    }),
  (image, random) =>
    record('ProducerIdsRecord', {
      brokerId: 1,
      brokerEpoch: 4,
      nextProducerId: image.nextProducerId + random.between(1, 2 ** 40),
    }),
  () => record('NoOpRecord', {}),
  () => record('ZkMigrationStateRecord', { zkMigrationState: 0 }),
]

const clients: Make[] = [
  (_image, random) =>
    record('ConfigRecord', {
      resourceType: pick(random, [2, 4, 16, 32]) ?? 2,
      resourceName: name(random),
      name: pick(random, ['x', 'y']) ?? '',
      value: random.chance(0.4) ? null : name(random),
    }),
  (_image, random) =>
    record('ClientQuotaRecord', {
      entity: [
        { entityType: 'user', entityName: random.chance(0.3) ? null : name(random) },
        ...(random.chance(0.5) ? [{ entityType: 'client-id', entityName: name(random) }] : []),
      ],
      key: pick(random, ['producer_byte_rate', 'request_percentage']) ?? '',
      value: random.float() * 1e6,
      remove: random.chance(0.3),
    }),
  (_image, random) =>
    record('AccessControlEntryRecord', {
      id: randomUuid(random),
      resourceType: 2,
      resourceName: name(random),
      patternType: 3,
      principal: `User:${name(random)}`,
      host: '*',
      operation: random.between(2, 12),
      permissionType: random.between(2, 3),
    }),
  (image, random) => {
    const id = pick(random, image.acls.keys())
    return id === undefined ? undefined : record('RemoveAccessControlEntryRecord', { id })
  },
  (_image, random) =>
    record('UserScramCredentialRecord', {
      name: name(random),
      mechanism: random.between(1, 2),
      salt: random.bytes(16),
      storedKey: random.bytes(32),
      serverKey: random.bytes(0),
      iterations: 8192,
    }),
  (_image, random) =>
    record('RemoveUserScramCredentialRecord', {
      name: name(random),
      mechanism: random.between(1, 2),
    }),
  (_image, random) =>
    record('DelegationTokenRecord', {
      owner: `User:${name(random)}`,
      requester: 'User:r',
      renewers: names,
      issueTimestamp: 1,
      maxTimestamp: 2 ** 50,
      expirationTimestamp: -1,
      tokenId: name(random),
    }),
  (_image, random) => record('RemoveDelegationTokenRecord', { tokenId: name(random) }),
]

const kinds = [...topics, ...topics, ...nodes, ...clients]

/** `length` records that can be replayed one after another on an image that has metadata.version. */
export function randomHistory(
  base: MetadataImage,
  random: SeededRandom,
  length: number,
): MetadataRecord[] {
  const records: MetadataRecord[] = []
  let image = base
  while (records.length < length) {
    const next = pick(random, kinds)?.(image, random)
    if (next === undefined) continue
    const delta = new MetadataDelta(image)
    delta.replay(next)
    image = delta.apply(image.offset + 1, 1, 0)
    records.push(next)
  }
  return records
}

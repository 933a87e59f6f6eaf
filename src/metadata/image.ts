/**
 * What the cluster is, as of one offset of `__cluster_metadata`: an immutable value. A reader that holds
 * an image keeps a consistent view; a newer state is another image, made by `delta.ts`, sharing all that
 * did not change.
 *
 * What lives in this folder: the image, the delta, snapshots, loading, `controller/`, which decides what
 * records answer a request, and `authorizer/`, which decides by the image who may do what. What must not:
 * clients' wire messages, sockets, logs of topics. Both the broker's view and the controller's are images
 * made by the same replay of the same records.
 * Imports `protocol`, `environment`, `config` and, to append, `raft`.
 */
import { type Uuid, zeroUuid } from '../../protocol/types.ts'
import type { DynamicTexts } from '../config/broker-config.ts'

/** Config resources and their numbers on the wire and in records. */
export const configResource = {
  UNKNOWN: 0,
  TOPIC: 2,
  BROKER: 4,
  BROKER_LOGGER: 8,
  CLIENT_METRICS: 16,
  GROUP: 32,
} as const

/** Directory ids with a meaning of their own (KIP-858). */
export const unassignedDirectory: Uuid = 'AAAAAAAAAAAAAAAAAAAAAQ'
export const migratingDirectory: Uuid = zeroUuid
export const lostDirectory: Uuid = 'AAAAAAAAAAAAAAAAAAAAAg'

/** The leader of a partition that has none. */
export const noLeader = -1

export interface PartitionImage {
  readonly index: number
  /** The first one is the preferred leader. */
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  readonly removingReplicas: readonly number[]
  readonly addingReplicas: readonly number[]
  /** -1: the partition is offline. */
  readonly leader: number
  /** 0 recovered, 1 recovering from an unclean election. */
  readonly leaderRecoveryState: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  /** The log directory of each replica, in the order of `replicas`. */
  readonly directories: readonly Uuid[]
  readonly elr: readonly number[]
  readonly lastKnownElr: readonly number[]
}

export interface TopicImage {
  readonly name: string
  readonly id: Uuid
  /** By index, without gaps. */
  readonly partitions: readonly PartitionImage[]
}

export interface TopicsImage {
  readonly byName: ReadonlyMap<string, TopicImage>
  readonly byId: ReadonlyMap<Uuid, TopicImage>
}

export interface EndpointImage {
  /** The listener's name. */
  readonly name: string
  readonly host: string
  readonly port: number
  readonly securityProtocol: number
}

export interface VersionRange {
  readonly name: string
  readonly minSupportedVersion: number
  readonly maxSupportedVersion: number
}

export interface BrokerImage {
  readonly id: number
  /** The offset of its registration record. */
  readonly epoch: number
  readonly incarnationId: Uuid
  readonly endpoints: readonly EndpointImage[]
  readonly features: readonly VersionRange[]
  readonly rack: string | null
  /** Of a cluster that once left ZooKeeper; means nothing any more. */
  readonly isMigratingZkBroker: boolean
  readonly fenced: boolean
  readonly inControlledShutdown: boolean
  readonly logDirs: readonly Uuid[]
  /** null: the broker has not said yet. */
  readonly cordonedLogDirs: readonly Uuid[] | null
}

export interface ControllerImage {
  readonly id: number
  readonly incarnationId: Uuid
  readonly zkMigrationReady: boolean
  readonly endpoints: readonly EndpointImage[]
  readonly features: readonly VersionRange[]
}

export interface QuotaEntity {
  readonly entityType: string
  /** null: the default entity. */
  readonly entityName: string | null
}

export interface ClientQuotaImage {
  readonly entity: readonly QuotaEntity[]
  readonly quotas: ReadonlyMap<string, number>
}

export interface AclImage {
  readonly id: Uuid
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType: number
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}

export interface ScramCredentialImage {
  readonly name: string
  readonly mechanism: number
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
  readonly iterations: number
}

export interface DelegationTokenImage {
  readonly owner: string
  readonly requester: string
  readonly renewers: readonly string[]
  readonly issueTimestamp: number
  readonly maxTimestamp: number
  readonly expirationTimestamp: number
  readonly tokenId: string
}

/** The settings of one resource, as they were given. */
export type ConfigTexts = ReadonlyMap<string, string>

export interface MetadataImage {
  /** Offset of the last record contained; -1: none yet. */
  readonly offset: number
  /** Raft epoch of that record. */
  readonly epoch: number
  /** When it was appended, milliseconds since the epoch; 0 before the first. */
  readonly timestampMs: number
  /** The id in `meta.properties`; no record holds it. */
  readonly clusterId: string
  readonly topics: TopicsImage
  /** By resource type, then by resource name; a resource without settings is absent. */
  readonly configs: ReadonlyMap<number, ReadonlyMap<string, ConfigTexts>>
  readonly brokers: ReadonlyMap<number, BrokerImage>
  readonly controllers: ReadonlyMap<number, ControllerImage>
  /** Finalized feature levels; an absent feature is at level 0. */
  readonly features: ReadonlyMap<string, number>
  /** The first producer id that no broker was given. */
  readonly nextProducerId: number
  /** By `quotaKey(entity)`. */
  readonly clientQuotas: ReadonlyMap<string, ClientQuotaImage>
  readonly acls: ReadonlyMap<Uuid, AclImage>
  /** By `scramKey(mechanism, user)`. */
  readonly scramCredentials: ReadonlyMap<string, ScramCredentialImage>
  readonly delegationTokens: ReadonlyMap<string, DelegationTokenImage>
}

/** The image before the first record. */
export function emptyImage(clusterId: string): MetadataImage {
  return {
    offset: -1,
    epoch: 0,
    timestampMs: 0,
    clusterId,
    topics: { byName: new Map(), byId: new Map() },
    configs: new Map(),
    brokers: new Map(),
    controllers: new Map(),
    features: new Map(),
    nextProducerId: 0,
    clientQuotas: new Map(),
    acls: new Map(),
    scramCredentials: new Map(),
    delegationTokens: new Map(),
  }
}

const noTexts: ConfigTexts = new Map()

/** The settings of a resource (`configResource.TOPIC`, name), empty where it has none. */
export function configTexts(image: MetadataImage, type: number, name: string): ConfigTexts {
  return image.configs.get(type)?.get(name) ?? noTexts
}

/** The overrides of a topic: what `resolveTopicConfig` takes. */
export function topicOverrides(image: MetadataImage, topic: string): ConfigTexts {
  return configTexts(image, configResource.TOPIC, topic)
}

/** What was set at run time for one broker, and for all brokers: what `applyRecorded` takes. */
export function dynamicBrokerTexts(image: MetadataImage, brokerId: number): DynamicTexts {
  return {
    perBroker: configTexts(image, configResource.BROKER, String(brokerId)),
    clusterDefault: configTexts(image, configResource.BROKER, ''),
  }
}

/** A broker that may lead and be in the in-sync set. */
export function isActive(image: MetadataImage, brokerId: number): boolean {
  const broker = image.brokers.get(brokerId)
  return broker !== undefined && !broker.fenced && !broker.inControlledShutdown
}

export function quotaKey(entity: readonly QuotaEntity[]): string {
  const parts = entity.map(({ entityType, entityName }) => [entityType, entityName])
  parts.sort((a, b) => ((a[0] ?? '') < (b[0] ?? '') ? -1 : 1))
  return JSON.stringify(parts)
}

export function scramKey(mechanism: number, user: string): string {
  return `${mechanism} ${user}`
}

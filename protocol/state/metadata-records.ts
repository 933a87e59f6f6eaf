/**
 * What the controller stores in __cluster_metadata (KIP-631). Each record changes the image of the
 * cluster; together, from the first on, they are the image.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  bytes,
  float64,
  int8,
  int16,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  tagged,
  uint16,
  uuid,
  withDefault,
} from '../schema.ts'

/** A broker registered, with its endpoints, features and log directories. */
export const registerBrokerRecord = message(
  0,
  'RegisterBrokerRecord',
  { valid: '0-4', flexible: '0+' },
  {
    brokerId: int32,
    isMigratingZkBroker: since(2, bool),
    incarnationId: uuid,
    brokerEpoch: int64,
    endPoints: array({
      name: string,
      host: string,
      port: uint16,
      securityProtocol: int16,
    }),
    features: array({ name: string, minSupportedVersion: int16, maxSupportedVersion: int16 }),
    rack: nullable(string),
    fenced: withDefault(true, bool),
    inControlledShutdown: since(1, bool),
    logDirs: since(3, tagged(0, array(uuid))), // KIP-858.
    cordonedLogDirs: since(4, tagged(1, nullable(array(uuid)))),
  },
)
export type RegisterBrokerRecord = MessageOf<typeof registerBrokerRecord>

/** A broker's registration was removed. */
export const unregisterBrokerRecord = message(
  1,
  'UnregisterBrokerRecord',
  { valid: '0', flexible: '0+' },
  {
    brokerId: int32,
    brokerEpoch: int64,
  },
)
export type UnregisterBrokerRecord = MessageOf<typeof unregisterBrokerRecord>

/** A topic was created. */
export const topicRecord = message(
  2,
  'TopicRecord',
  { valid: '0', flexible: '0+' },
  {
    name: string,
    topicId: uuid,
  },
)
export type TopicRecord = MessageOf<typeof topicRecord>

/** A partition's whole state. */
export const partitionRecord = message(
  3,
  'PartitionRecord',
  { valid: '0-2', flexible: '0+' },
  {
    partitionId: withDefault(-1, int32),
    topicId: uuid,
    replicas: array(int32),
    isr: array(int32),
    removingReplicas: array(int32),
    addingReplicas: array(int32),
    leader: withDefault(-1, int32),
    leaderRecoveryState: tagged(0, int8), // 0 recovered, 1 recovering.
    leaderEpoch: withDefault(-1, int32),
    partitionEpoch: withDefault(-1, int32),
    directories: since(1, array(uuid)), // KIP-858: the log directory of each replica.
    eligibleLeaderReplicas: since(2, tagged(1, nullable(array(int32)))), // KIP-966.
    lastKnownElr: since(2, tagged(2, nullable(array(int32)))),
  },
)
export type PartitionRecord = MessageOf<typeof partitionRecord>

/** A setting of a resource was changed, or removed when the value is null. */
export const configRecord = message(
  4,
  'ConfigRecord',
  { valid: '0', flexible: '0+' },
  {
    resourceType: int8,
    resourceName: string,
    name: string,
    value: nullable(string),
  },
)
export type ConfigRecord = MessageOf<typeof configRecord>

/** What changed in a partition's state; a field that is left out did not change. */
export const partitionChangeRecord = message(
  5,
  'PartitionChangeRecord',
  { valid: '0-2', flexible: '0+' },
  {
    partitionId: withDefault(-1, int32),
    topicId: uuid,
    isr: tagged(0, nullable(array(int32))),
    leader: tagged(1, withDefault(-2, int32)), // -2 is no change, -1 no leader.
    replicas: tagged(2, nullable(array(int32))),
    removingReplicas: tagged(3, nullable(array(int32))),
    addingReplicas: tagged(4, nullable(array(int32))),
    leaderRecoveryState: tagged(5, withDefault(-1, int8)),
    directories: since(1, tagged(8, nullable(array(uuid)))),
    eligibleLeaderReplicas: since(2, tagged(6, nullable(array(int32)))),
    lastKnownElr: since(2, tagged(7, nullable(array(int32)))),
  },
)
export type PartitionChangeRecord = MessageOf<typeof partitionChangeRecord>

/** A broker was fenced: it may lead nothing. Newer Kafka writes BrokerRegistrationChangeRecord. */
export const fenceBrokerRecord = message(
  7,
  'FenceBrokerRecord',
  { valid: '0', flexible: '0+' },
  {
    id: int32,
    epoch: int64,
  },
)
export type FenceBrokerRecord = MessageOf<typeof fenceBrokerRecord>

/** A broker was let in. Newer Kafka writes BrokerRegistrationChangeRecord. */
export const unfenceBrokerRecord = message(
  8,
  'UnfenceBrokerRecord',
  { valid: '0', flexible: '0+' },
  {
    id: int32,
    epoch: int64,
  },
)
export type UnfenceBrokerRecord = MessageOf<typeof unfenceBrokerRecord>

/** A topic was deleted, with its partitions and configuration. */
export const removeTopicRecord = message(
  9,
  'RemoveTopicRecord',
  { valid: '0', flexible: '0+' },
  {
    topicId: uuid,
  },
)
export type RemoveTopicRecord = MessageOf<typeof removeTopicRecord>

/** A delegation token was issued or changed. */
export const delegationTokenRecord = message(
  10,
  'DelegationTokenRecord',
  { valid: '0', flexible: '0+' },
  {
    owner: string,
    requester: string,
    renewers: array(string),
    issueTimestamp: int64,
    maxTimestamp: int64,
    expirationTimestamp: int64,
    tokenId: string,
  },
)
export type DelegationTokenRecord = MessageOf<typeof delegationTokenRecord>

/** A user's SCRAM credential was set. */
export const userScramCredentialRecord = message(
  11,
  'UserScramCredentialRecord',
  { valid: '0', flexible: '0+' },
  {
    name: string,
    mechanism: int8,
    salt: bytes,
    storedKey: bytes,
    serverKey: bytes,
    iterations: int32,
  },
)
export type UserScramCredentialRecord = MessageOf<typeof userScramCredentialRecord>

/** The finalized level of a feature; metadata.version is one of them. */
export const featureLevelRecord = message(
  12,
  'FeatureLevelRecord',
  { valid: '0', flexible: '0+' },
  {
    name: string,
    featureLevel: int16,
  },
)
export type FeatureLevelRecord = MessageOf<typeof featureLevelRecord>

/** A quota was set or removed. */
export const clientQuotaRecord = message(
  14,
  'ClientQuotaRecord',
  { valid: '0', flexible: '0+' },
  {
    entity: array({ entityType: string, entityName: nullable(string) }),
    key: string,
    value: float64,
    remove: bool,
  },
)
export type ClientQuotaRecord = MessageOf<typeof clientQuotaRecord>

/** A block of producer ids, up to the next free one, was given to a broker. */
export const producerIdsRecord = message(
  15,
  'ProducerIdsRecord',
  { valid: '0', flexible: '0+' },
  {
    brokerId: int32,
    brokerEpoch: withDefault(-1, int64),
    nextProducerId: int64,
  },
)
export type ProducerIdsRecord = MessageOf<typeof producerIdsRecord>

/**
 * What changed in a broker's registration. In `fenced` and `inControlledShutdown` 1 is yes, -1 no,
 * 0 no change.
 */
export const brokerRegistrationChangeRecord = message(
  17,
  'BrokerRegistrationChangeRecord',
  { valid: '0-3', flexible: '0+' },
  {
    brokerId: int32,
    brokerEpoch: int64,
    fenced: tagged(0, int8),
    inControlledShutdown: since(1, tagged(1, int8)),
    logDirs: since(2, tagged(2, array(uuid))),
    cordonedLogDirs: since(3, tagged(3, nullable(array(uuid)))),
  },
)
export type BrokerRegistrationChangeRecord = MessageOf<typeof brokerRegistrationChangeRecord>

/** An access control entry was added. */
export const accessControlEntryRecord = message(
  18,
  'AccessControlEntryRecord',
  { valid: '0', flexible: '0+' },
  {
    id: uuid,
    resourceType: int8,
    resourceName: string,
    patternType: int8,
    principal: string,
    host: string,
    operation: int8,
    permissionType: int8,
  },
)
export type AccessControlEntryRecord = MessageOf<typeof accessControlEntryRecord>

/** An access control entry was removed. */
export const removeAccessControlEntryRecord = message(
  19,
  'RemoveAccessControlEntryRecord',
  { valid: '0', flexible: '0+' },
  {
    id: uuid,
  },
)
export type RemoveAccessControlEntryRecord = MessageOf<typeof removeAccessControlEntryRecord>

/**
 * Nothing; moves the end of the log so that idle followers see that their leader lives (KIP-835).
 */
export const noOpRecord = message(20, 'NoOpRecord', { valid: '0', flexible: '0+' }, {})
export type NoOpRecord = MessageOf<typeof noOpRecord>

/** How far the migration from ZooKeeper is; 0 where there never was one. */
export const zkMigrationStateRecord = message(
  21,
  'ZkMigrationStateRecord',
  { valid: '0', flexible: '0+' },
  {
    zkMigrationState: int8,
  },
)
export type ZkMigrationStateRecord = MessageOf<typeof zkMigrationStateRecord>

/** A user's SCRAM credential was removed. */
export const removeUserScramCredentialRecord = message(
  22,
  'RemoveUserScramCredentialRecord',
  { valid: '0', flexible: '0+' },
  {
    name: string,
    mechanism: int8,
  },
)
export type RemoveUserScramCredentialRecord = MessageOf<typeof removeUserScramCredentialRecord>

/** What follows counts only once the transaction ends (KIP-868). */
export const beginTransactionRecord = message(
  23,
  'BeginTransactionRecord',
  { valid: '0', flexible: '0+' },
  {
    name: tagged(0, nullable(string)),
  },
)
export type BeginTransactionRecord = MessageOf<typeof beginTransactionRecord>

/** The records since the transaction began count now. */
export const endTransactionRecord = message(
  24,
  'EndTransactionRecord',
  { valid: '0', flexible: '0+' },
  {},
)
export type EndTransactionRecord = MessageOf<typeof endTransactionRecord>

/** The records since the transaction began never count. */
export const abortTransactionRecord = message(
  25,
  'AbortTransactionRecord',
  { valid: '0', flexible: '0+' },
  {
    reason: tagged(0, nullable(string)),
  },
)
export type AbortTransactionRecord = MessageOf<typeof abortTransactionRecord>

/** A delegation token was removed. */
export const removeDelegationTokenRecord = message(
  26,
  'RemoveDelegationTokenRecord',
  { valid: '0', flexible: '0+' },
  {
    tokenId: string,
  },
)
export type RemoveDelegationTokenRecord = MessageOf<typeof removeDelegationTokenRecord>

/** A controller registered, with its endpoints and features. */
export const registerControllerRecord = message(
  27,
  'RegisterControllerRecord',
  { valid: '0', flexible: '0+' },
  {
    controllerId: int32,
    incarnationId: uuid,
    zkMigrationReady: bool,
    endPoints: array({
      name: string,
      host: string,
      port: uint16,
      securityProtocol: int16,
    }),
    features: array({ name: string, minSupportedVersion: int16, maxSupportedVersion: int16 }),
  },
)
export type RegisterControllerRecord = MessageOf<typeof registerControllerRecord>

/** The eligible leader replicas of a topic, or of all topics for an empty name, were cleared. */
export const clearElrRecord = message(
  28,
  'ClearElrRecord',
  { valid: '0', flexible: '0+' },
  {
    topicName: string,
  },
)
export type ClearElrRecord = MessageOf<typeof clearElrRecord>

/** The tables by name, in the order of their types. */
export const metadataRecords = {
  RegisterBrokerRecord: registerBrokerRecord,
  UnregisterBrokerRecord: unregisterBrokerRecord,
  TopicRecord: topicRecord,
  PartitionRecord: partitionRecord,
  ConfigRecord: configRecord,
  PartitionChangeRecord: partitionChangeRecord,
  FenceBrokerRecord: fenceBrokerRecord,
  UnfenceBrokerRecord: unfenceBrokerRecord,
  RemoveTopicRecord: removeTopicRecord,
  DelegationTokenRecord: delegationTokenRecord,
  UserScramCredentialRecord: userScramCredentialRecord,
  FeatureLevelRecord: featureLevelRecord,
  ClientQuotaRecord: clientQuotaRecord,
  ProducerIdsRecord: producerIdsRecord,
  BrokerRegistrationChangeRecord: brokerRegistrationChangeRecord,
  AccessControlEntryRecord: accessControlEntryRecord,
  RemoveAccessControlEntryRecord: removeAccessControlEntryRecord,
  NoOpRecord: noOpRecord,
  ZkMigrationStateRecord: zkMigrationStateRecord,
  RemoveUserScramCredentialRecord: removeUserScramCredentialRecord,
  BeginTransactionRecord: beginTransactionRecord,
  EndTransactionRecord: endTransactionRecord,
  AbortTransactionRecord: abortTransactionRecord,
  RemoveDelegationTokenRecord: removeDelegationTokenRecord,
  RegisterControllerRecord: registerControllerRecord,
  ClearElrRecord: clearElrRecord,
}

/** A decoded record of the metadata log; `type` is the table's name and tells the value's type. */
export type MetadataRecord = {
  [Type in keyof typeof metadataRecords]: {
    readonly type: Type
    readonly version: number
    readonly value: MessageOf<(typeof metadataRecords)[Type]>
  }
}[keyof typeof metadataRecords]

/** A record to be written: what a table gives a default may be left out. */
export type MetadataRecordInput = {
  [Type in keyof typeof metadataRecords]: {
    readonly type: Type
    readonly version: number
    readonly value: InputOf<(typeof metadataRecords)[Type]>
  }
}[keyof typeof metadataRecords]

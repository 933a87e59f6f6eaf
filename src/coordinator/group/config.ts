/**
 * The settings that group coordination follows, named as Kafka's, in camelCase; times in
 * milliseconds.
 */
import type { GroupConfigName, GroupConfigValue } from '../../config/group-configs.ts'

/** The value in force of a setting that a group may have for itself. */
export type GroupSetting = <Name extends GroupConfigName>(
  groupId: string,
  name: Name,
) => GroupConfigValue<Name>

/** Which way a group may go online, between the classic protocol and that of KIP-848. */
export type MigrationPolicy = 'disabled' | 'downgrade' | 'upgrade' | 'bidirectional'

export interface GroupCoordinatorConfig {
  /** group.initial.rebalance.delay.ms: how long an empty group waits for more members. */
  readonly groupInitialRebalanceDelayMs: number
  readonly groupMinSessionTimeoutMs: number
  readonly groupMaxSessionTimeoutMs: number
  readonly groupMaxSize: number
  /** offset.metadata.max.bytes, counted, as in Kafka, in UTF-16 units. */
  readonly offsetMetadataMaxBytes: number
  readonly offsetsCommitTimeoutMs: number
  readonly offsetsRetentionMinutes: number
  readonly offsetsRetentionCheckIntervalMs: number
  readonly groupConsumerMaxSize: number
  /** group.consumer.assignors: names of those that members may ask for; the first is the default. */
  readonly groupConsumerAssignors: readonly string[]
  readonly groupConsumerMigrationPolicy: MigrationPolicy
  readonly groupConsumerRegexRefreshIntervalMs: number
  readonly groupShareMaxSize: number
  readonly groupStreamsMaxSize: number
  /**
   * offsets.topic.compression.codec: the code of a compression type, as in a batch's attributes.
   */
  readonly offsetsTopicCompressionCodec: number
}

/**
 * How long the JoinGroup of a new member may be parked before the member is dropped. It does not
 * know its id yet and so cannot send heartbeats; a client that gave up and joins again would
 * otherwise leave one dead member behind each time.
 */
export const newMemberJoinTimeoutMs = 300_000

/**
 * How many protocols a member may name. Clients name one to five; all of them are counted for all
 * members whenever somebody joins.
 */
export const protocolsMax = 256

/**
 * Bytes of metadata that a member may say, in all of its protocols together: some ten thousand topics
 * each. A group of members with more could not be recorded: `max.message.bytes` of the offsets topic is
 * 1 MiB.
 */
export const memberMetadataBytesMax = 4 * 1024 * 1024

/** The longest member id, in bytes: records and answers hold no longer string. */
export const memberIdBytesMax = 0x7fff

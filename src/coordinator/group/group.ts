/**
 * What the coordinator asks of a group, whatever its type; what a group may use of its shard; and
 * who asks.
 *
 * Offsets are the same for groups of all types. What differs is who may commit and fetch them, and
 * when they expire: that each group says of itself.
 */
import type { ErrorRow } from '../../../protocol/errors.ts'
import type { Uuid } from '../../../protocol/types.ts'
import type { Environment, Logger, Milliseconds } from '../../environment/environment.ts'
import type { Deadline } from '../deadlines.ts'
import type { Decision } from '../shard.ts'
import { Timeline } from '../timeline.ts'
import type { GroupCoordinatorConfig, GroupSetting } from './config.ts'
import type { AnyGroup } from './group-types.ts'
import type { MetadataHashes } from './modern/metadata-hash.ts'
import type { CommittedOffset } from './partition-offsets.ts'
import type { GroupRecord } from './records.ts'
import { SharedLimits } from './shared-limits.ts'
import type { TopicView } from './topics.ts'

/** As ListGroups names them. */
export type GroupType = 'classic' | 'consumer' | 'share' | 'streams'

export interface Group {
  readonly groupId: string
  readonly type: GroupType
  /** As ListGroups tells it; null in a classic group to which no member ever came. */
  readonly protocolType: string | null
  /** As ListGroups tells it. */
  readonly state: string
  /** Nobody is in it: it may be deleted, and anybody may commit for it. */
  readonly isEmpty: boolean
  /** Nobody is in it or about to be: it ends with its last offset. */
  readonly isOver: boolean
  /** Whether its offsets expire, and it with them. */
  readonly expires: boolean
  /** Whether the offsets of the topic are in use: they do not expire and may not be deleted. */
  isSubscribedTo(topic: string): boolean
  /** When the retention of the offset began; null while it does not run. */
  retentionStartMs(offset: CommittedOffset): Milliseconds | null
  /**
   * Throws KafkaError if the caller may not commit at all; returns what else is to be checked of
   * each partition, null for nothing. A commit is a sign of life where the protocol has it so.
   */
  checkCommit(committer: Committer): CommitCheck | null
  /** Throws KafkaError if the caller, who says that it is a member, may not fetch offsets. */
  checkFetch(memberId: string | null, memberEpoch: number): void
  /** Throws KafkaError if no offsets of the group may be deleted now. */
  checkOffsetDelete(): void
  /** Tombstones of all that is recorded of the group but its offsets. */
  tombstones(): GroupRecord[]
  /** The shard was loaded: sessions start, each as a whole. */
  onLoaded(): void
  /** The group is forgotten: whoever waits in it is answered `error`, its timers run no more. */
  end(error: ErrorRow): void
}

/** Who commits, as OffsetCommit and TxnOffsetCommit say it. */
export interface Committer {
  /** Empty where it is not told. */
  readonly memberId: string
  readonly groupInstanceId: string | null
  /** The generation of a classic group; -1 where it is not told. */
  readonly memberEpoch: number
  /** Older transactional requests say nothing of who commits. */
  readonly isTransactional: boolean
  /** Of OffsetCommit; means nothing in a transaction. */
  readonly apiVersion: number
}

/** Null if the partition may be committed; else the error of the whole request. */
export type CommitCheck = (topicId: Uuid, partition: number) => ErrorRow | null

/** What groups may use of their shard. */
export interface GroupContext {
  readonly log: Logger
  /** For work that takes long, see `environment/in-turns.ts`. */
  readonly turns: Pick<Environment, 'clock' | 'timers'>
  readonly timeline: Timeline
  readonly shared: SharedLimits
  readonly topics: TopicView
  readonly hashes: MetadataHashes
  readonly newTopics: NewTopics
  config(): GroupCoordinatorConfig
  /** The group of that id, whatever its type, as it is now; null if there is none. */
  group(groupId: string): AnyGroup | null
  /** The value in force of what a group may set for itself: its own, else the broker's. */
  readonly setting: GroupSetting
  now(): Milliseconds
  /** A random id, in the usual form of a UUID. */
  uuid(): string
  /** The same in Kafka's text form: 22 characters of URL-safe base64. */
  shortUuid(): Uuid
  /**
   * A deadline of `group`, not set yet; when it passes, `decide` runs as a write of its own. If
   * that throws, a classic group starts over from its record. The deadlines of a group that is not
   * the shard's any more do nothing.
   */
  deadline(group: Group, decide: () => Decision<GroupRecord, void>): Deadline
  /** Sessions of the group's members start again, each as a whole. */
  revive(groupId: string): void
  /** Runs `decide` as a write of its own; failures are logged. */
  write(decide: () => Decision<GroupRecord, void>): void
}

/** Decides on the shard of the group. Throws, or rejects with, KafkaError. */
export type GroupWrite = <T>(
  groupId: string,
  decide: (context: GroupContext, nowMs: Milliseconds) => Decision<GroupRecord, T>,
) => T | Promise<T>

/** The version of the topics in which there last were new ones. */
export interface NewTopics {
  readonly version: number
}

/** Who asks, as far as the protocol of groups cares. */
export interface Caller {
  readonly clientId: string
  /** As Java prints an address: `/192.0.2.1`. */
  readonly clientHost: string
  readonly apiVersion: number
}

/** One who subscribes to topics by a regular expression, and may know of some of them only. */
export interface SubscribingCaller extends Caller {
  mayDescribe(topic: string): boolean
}

/** For a group that is only tried out: what it notes and holds goes with it. */
export function apart(context: GroupContext): GroupContext {
  return { ...context, timeline: new Timeline(), shared: new SharedLimits() }
}

/** Nothing to record. */
export const nothing: Decision<GroupRecord, void> = { records: [], reply: undefined }

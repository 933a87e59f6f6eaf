/**
 * A consumer as a member of its group: it subscribes to topics, the leader shares their partitions out by
 * one of the assignors, and watches whether there are more of them. Partitions are given up before each
 * join (eager rebalancing).
 */
import { codec, encode } from '../../protocol/codec.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import { Reader } from '../../protocol/reader.ts'
import {
  consumerProtocolAssignment,
  consumerProtocolSubscription,
} from '../../protocol/state/consumer-protocol.ts'
import type { Milliseconds } from '../environment/environment.ts'
import type { Assignor, Subscriber, TopicPartitions } from './assignors.ts'
import { ClassicMember, type ClassicMemberOptions, type JoinedGroup } from './classic-member.ts'
import type { Cluster } from './cluster.ts'
import type { Committer } from './offsets.ts'
import type { TopicPartition } from './topic-partition.ts'

export interface MemberOptions extends ClassicMemberOptions {
  /** In order of preference; the group takes one that all members have. */
  readonly assignors: readonly Assignor[]
}

const missingTopicCheckMs = 5_000
const partitionCountCheckMs = 300_000

export class GroupMember extends ClassicMember implements Committer {
  readonly #assignors: readonly Assignor[]
  #topics: readonly string[] = []
  /** As the leader knew them when it assigned; null for followers. */
  #assignedCounts: ReadonlyMap<string, number> | null = null
  #countsCheckedMs: Milliseconds = 0

  constructor(cluster: Cluster, options: MemberOptions, onChange: () => void) {
    super(cluster, options, { protocolType: 'consumer', onChange })
    this.#assignors = options.assignors
  }

  /** Joins with these topics and gives the partitions assigned. Rejects with what repeating cannot cure. */
  async join(topics: readonly string[]): Promise<TopicPartition[]> {
    this.#topics = topics
    const { assignment } = await this.joinGroup()
    return readAssignment(assignment)
  }

  protected override offered() {
    this.#assignedCounts = null
    const metadata = encodeVersioned(
      encode(consumerProtocolSubscription, 1, { topics: [...this.#topics].sort() }),
    )
    return this.#assignors.map(({ name }) => ({ name, metadata }))
  }

  protected override async assign(joined: JoinedGroup) {
    const assignor = this.#assignors.find(({ name }) => name === joined.protocolName)
    if (assignor === undefined)
      throw new KafkaError(
        errors.INCONSISTENT_GROUP_PROTOCOL,
        `unknown assignor ${joined.protocolName}`,
      )
    const members: Subscriber[] = joined.members.map(({ memberId, groupInstanceId, metadata }) => ({
      memberId,
      groupInstanceId,
      topics: readSubscription(metadata),
    }))
    const topics = [...new Set(members.flatMap((member) => member.topics))]
    const counts = await this.#partitionCounts(topics)
    this.#assignedCounts = counts
    this.#countsCheckedMs = this.cluster.environment.clock.monotonic()
    return Array.from(assignor.assign(members, counts), ([memberId, assigned]) => ({
      memberId,
      assignment: encodeAssignment(assigned),
    }))
  }

  /** The leader watches the topics: partitions that came are nobody's until the group joins anew. */
  protected override async hasNews(): Promise<boolean> {
    const counts = this.#assignedCounts
    if (counts === null) return false
    const now = this.cluster.environment.clock.monotonic()
    const isMissing = [...counts.values()].includes(0)
    const everyMs = isMissing ? missingTopicCheckMs : partitionCountCheckMs
    if (now - this.#countsCheckedMs < everyMs) return false
    this.#countsCheckedMs = now
    const current = await this.#partitionCounts([...counts.keys()])
    return [...counts].some(([topic, count]) => current.get(topic) !== count)
  }

  async #partitionCounts(topics: readonly string[]): Promise<Map<string, number>> {
    if (topics.length > 0) await this.cluster.refresh(topics)
    const { metadata } = this.cluster
    return new Map(topics.map((name) => [name, metadata.topics.get(name)?.partitions.length ?? 0]))
  }
}

const embeddedVersion = 1

/** The consumer protocol writes its version in front of what it embeds. */
function encodeVersioned(body: Buffer): Buffer {
  const version = Buffer.alloc(2)
  version.writeInt16BE(embeddedVersion)
  return Buffer.concat([version, body])
}

function encodeAssignment(assignedPartitions: readonly TopicPartitions[]): Buffer {
  return encodeVersioned(
    encode(consumerProtocolAssignment, embeddedVersion, { assignedPartitions }),
  )
}

/** Versions only add at the end: a newer one is read as the newest known. */
function readEmbedded(bytes: Buffer): { reader: Reader; version: number } {
  const reader = new Reader(bytes)
  return { version: Math.max(0, Math.min(reader.int16(), 3)), reader }
}

function readSubscription(bytes: Buffer): readonly string[] {
  const { reader, version } = readEmbedded(bytes)
  return codec(consumerProtocolSubscription, version).read(reader).topics
}

/** The partitions of an assignment as members receive it; none for the empty one. */
export function readAssignment(bytes: Buffer): TopicPartition[] {
  if (bytes.length === 0) return []
  const { reader, version } = readEmbedded(bytes)
  const { assignedPartitions } = codec(consumerProtocolAssignment, version).read(reader)
  return assignedPartitions.flatMap(({ topic, partitions }) =>
    partitions.map((partition) => ({ topic, partition })),
  )
}

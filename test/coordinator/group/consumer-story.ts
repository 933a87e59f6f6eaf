/**
 * Members of consumer groups in a story: each sends heartbeats as clients do, does what it is told,
 * and says so with the next one.
 */
import { errors } from '../../../protocol/errors.ts'
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
} from '../../../protocol/messages/consumer-group-heartbeat.ts'
import type { GroupCoordinator } from '../../../src/coordinator/group/group-coordinator.ts'
import type { GroupStory } from './group-story.ts'

interface ConsumerOptions {
  readonly groupId?: string
  readonly memberId?: string
  readonly instanceId?: string
  readonly topics?: readonly string[] | null
  readonly regex?: string | null
  readonly assignor?: string
  readonly rebalanceTimeoutMs?: number
}

export class StoryConsumer {
  readonly story: GroupStory
  readonly groupId: string
  memberId: string
  epoch = 0
  /** Topic name -> partitions, as it was last told. */
  told: Record<string, number[]> = {}
  /** What it says that it owns. */
  owned: Record<string, number[]> = {}
  readonly #options: ConsumerOptions
  #groups: GroupCoordinator

  constructor(story: GroupStory, memberId: string, options: ConsumerOptions = {}) {
    this.story = story
    this.memberId = memberId
    this.groupId = options.groupId ?? 'g'
    this.#options = options
    this.#groups = story.groups
  }

  /** From now on it talks to another coordinator. */
  moveTo(groups: GroupCoordinator): void {
    this.#groups = groups
  }

  join(overrides: Partial<ConsumerGroupHeartbeatRequest> = {}) {
    const {
      topics = ['t'],
      regex = null,
      assignor = null,
      rebalanceTimeoutMs = 60_000,
    } = this.#options
    this.owned = {}
    return this.beat({
      memberEpoch: 0,
      rebalanceTimeoutMs,
      subscribedTopicNames: topics,
      subscribedTopicRegex: regex,
      serverAssignor: assignor,
      topicPartitions: [],
      ...overrides,
    })
  }

  /** One heartbeat; it owns what it is told from then on, unless `isSlow`. */
  async beat(
    overrides: Partial<ConsumerGroupHeartbeatRequest> = {},
    isSlow = false,
  ): Promise<ConsumerGroupHeartbeatResponse> {
    const { story } = this
    const request: ConsumerGroupHeartbeatRequest = {
      groupId: this.groupId,
      memberId: this.memberId,
      memberEpoch: this.epoch,
      instanceId: this.#options.instanceId ?? null,
      rackId: null,
      rebalanceTimeoutMs: -1,
      subscribedTopicNames: null,
      subscribedTopicRegex: null,
      serverAssignor: null,
      topicPartitions: this.#ownedPartitions(),
      ...overrides,
    }
    const caller = {
      clientId: 'c',
      clientHost: '/192.0.2.1',
      apiVersion: 1,
      mayDescribe: (topic: string) => !topic.startsWith('secret'),
    }
    const response = await story.now(this.#groups.consumer.heartbeat(request, caller))
    if (response.errorCode !== 0) return response
    this.memberId = response.memberId ?? this.memberId
    this.epoch = response.memberEpoch
    if (response.assignment) {
      this.told = {}
      for (const { topicId, partitions } of response.assignment.topicPartitions) {
        this.told[story.topics.topicNameOf(topicId) ?? topicId] = [...partitions]
      }
      if (!isSlow) this.owned = this.told
    }
    return response
  }

  /** The name of the error of a heartbeat. */
  async beatError(overrides: Partial<ConsumerGroupHeartbeatRequest> = {}): Promise<string> {
    return nameOf((await this.beat(overrides)).errorCode)
  }

  leave() {
    return this.beatError({ memberEpoch: -1 })
  }

  get size(): number {
    return Object.values(this.owned).reduce((count, partitions) => count + partitions.length, 0)
  }

  #ownedPartitions() {
    return Object.entries(this.owned).map(([name, partitions]) => ({
      topicId: this.story.topics.idOf(name),
      partitions,
    }))
  }
}

export function nameOf(errorCode: number | undefined): string {
  return Object.entries(errors).find(([, { code }]) => code === errorCode)?.[0] ?? 'NONE'
}

/** Lets all of them send heartbeats until nobody hears anything new; at most `rounds` times. */
export async function settle(members: readonly StoryConsumer[], rounds = 10): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const before = JSON.stringify(members.map(({ epoch, owned }) => [epoch, owned]))
    for (const member of members) await member.beat()
    if (JSON.stringify(members.map(({ epoch, owned }) => [epoch, owned])) === before) return
  }
  throw new Error('the group does not come to rest')
}

/** The live group and one that was loaded from its log say the same of themselves. */
export async function describe(story: GroupStory, groups = story.groups, groupId = 'g') {
  const [group] = await story.now(groups.consumer.describe([groupId]))
  if (group === undefined) throw new Error('nothing described')
  const byId = (a: { memberId: string }, b: { memberId: string }) =>
    a.memberId < b.memberId ? -1 : 1
  return { ...group, members: [...group.members].sort(byId) }
}

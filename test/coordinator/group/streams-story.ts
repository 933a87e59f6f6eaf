/**
 * Members of streams groups in a story: each sends heartbeats as clients do, makes the topics that it is
 * told are missing, does what it is told, and says so with the next heartbeat.
 */
import type {
  StreamsGroupHeartbeatRequest,
  StreamsGroupHeartbeatResponse,
} from '../../../protocol/messages/streams-group-heartbeat.ts'
import { byKind, type TaskKind } from '../../../src/coordinator/group/streams/tasks.ts'
import type { TopicInfo } from '../../../src/coordinator/group/streams/topology.ts'
import { nameOf } from './consumer-story.ts'
import { GroupStory } from './group-story.ts'

export type TopologyValue = NonNullable<StreamsGroupHeartbeatRequest['topology']>
export type SubtopologyValue = TopologyValue['subtopologies'][number]
type TasksById = Record<string, number[]>
type Overrides = Partial<StreamsGroupHeartbeatRequest>

export function info(
  name: string,
  partitions = 0,
  configs: Record<string, string> = {},
): TopicInfo {
  const topicConfigs = Object.entries(configs).map(([key, value]) => ({ key, value }))
  return { name, partitions, replicationFactor: 0, topicConfigs }
}

export function subtopology(
  subtopologyId: string,
  parts: Partial<SubtopologyValue> = {},
): SubtopologyValue {
  return {
    subtopologyId,
    sourceTopics: [],
    sourceTopicRegex: [],
    stateChangelogTopics: [],
    repartitionSinkTopics: [],
    repartitionSourceTopics: [],
    copartitionGroups: [],
    ...parts,
  }
}

/** A word count: lines are cut into words, which are counted by another subtopology. */
export const wordCount: TopologyValue = {
  epoch: 0,
  subtopologies: [
    subtopology('0', { sourceTopics: ['lines'], repartitionSinkTopics: ['words'] }),
    subtopology('1', {
      repartitionSourceTopics: [info('words', 0, { 'cleanup.policy': 'delete' })],
      stateChangelogTopics: [info('counts', 0, { 'cleanup.policy': 'compact' })],
    }),
  ],
}

interface StreamsOptions {
  readonly groupId?: string
  readonly processId?: string
  readonly topology?: TopologyValue
  readonly endpoint?: { readonly host: string; readonly port: number }
}

export class StreamsStory extends GroupStory {
  /** Topics that heartbeats found missing, made as a broker makes them. */
  async make(topics: readonly TopicInfo[]): Promise<void> {
    for (const { name, partitions } of topics) {
      if (this.topics.topicIdOf(name) === undefined) await this.createTopic(name, partitions)
    }
  }
}

export class StoryStreams {
  readonly story: StreamsStory
  readonly groupId: string
  readonly memberId: string
  epoch = 0
  endpointEpoch = 0
  /** What it has, and says that it has. */
  owned: Record<TaskKind, TasksById> = { active: {}, standby: {}, warmup: {} }
  #told: Record<TaskKind, TasksById> = this.owned
  endpoints: StreamsGroupHeartbeatResponse['partitionsByUserEndpoint'] = null
  missing: readonly TopicInfo[] = []
  /** Takes its time to do what it is told. */
  isSlow = false
  readonly #options: StreamsOptions

  constructor(story: StreamsStory, memberId: string, options: StreamsOptions = {}) {
    this.story = story
    this.memberId = memberId
    this.groupId = options.groupId ?? 'g'
    this.#options = options
  }

  join(overrides: Overrides = {}) {
    this.owned = { active: {}, standby: {}, warmup: {} }
    this.#told = this.owned
    const { topology = wordCount, processId = `p-${this.memberId}`, endpoint } = this.#options
    return this.beat({
      memberEpoch: 0,
      rebalanceTimeoutMs: 60_000,
      topology,
      processId,
      userEndpoint: endpoint ?? null,
      clientTags: [],
      ...overrides,
    })
  }

  /** One heartbeat. */
  async beat(overrides: Overrides = {}): Promise<StreamsGroupHeartbeatResponse> {
    const request: StreamsGroupHeartbeatRequest = {
      groupId: this.groupId,
      memberId: this.memberId,
      memberEpoch: this.epoch,
      endpointInformationEpoch: this.endpointEpoch,
      instanceId: null,
      rackId: null,
      rebalanceTimeoutMs: -1,
      topology: null,
      activeTasks: idsOf(this.owned.active),
      standbyTasks: idsOf(this.owned.standby),
      warmupTasks: idsOf(this.owned.warmup),
      processId: null,
      userEndpoint: null,
      clientTags: null,
      taskOffsets: null,
      taskEndOffsets: null,
      shutdownApplication: false,
      ...overrides,
    }
    const caller = { clientId: 'c', clientHost: '/192.0.2.1', apiVersion: 0 }
    const { story } = this
    const beat = await story.now(story.groups.streams.heartbeat(request, caller))
    const { response, missingTopics } = beat
    if (response.errorCode !== 0) return response
    this.missing = missingTopics
    this.epoch = response.memberEpoch
    this.endpointEpoch = response.endpointInformationEpoch
    this.endpoints = response.partitionsByUserEndpoint ?? this.endpoints
    this.#told = byKind((kind) => {
      const told = response[`${kind}Tasks`]
      return told ? byId(told) : this.#told[kind]
    })
    if (!this.isSlow) this.owned = this.#told
    return response
  }

  /** The name of the error of a heartbeat. */
  async beatError(overrides: Overrides = {}): Promise<string> {
    return nameOf((await this.beat(overrides)).errorCode)
  }

  async joinError(overrides: Overrides = {}): Promise<string> {
    return nameOf((await this.join(overrides)).errorCode)
  }

  leave(overrides: Overrides = {}) {
    return this.beatError({ memberEpoch: -1, ...overrides })
  }

  /** Tasks as `0_1`. */
  tasks(kind: TaskKind = 'active'): string[] {
    return Object.entries(this.owned[kind]).flatMap(([id, partitions]) =>
      partitions.map((partition) => `${id}_${partition}`),
    )
  }
}

type Ids = readonly { readonly subtopologyId: string; readonly partitions: readonly number[] }[]

function byId(ids: Ids): TasksById {
  return Object.fromEntries(
    ids.map(({ subtopologyId, partitions }) => [subtopologyId, [...partitions]]),
  )
}

function idsOf(tasks: TasksById) {
  return Object.entries(tasks).map(([subtopologyId, partitions]) => ({ subtopologyId, partitions }))
}

/** Lets all send heartbeats, and has missing topics made, until nobody hears anything new. */
export async function settleStreams(members: readonly StoryStreams[], rounds = 12): Promise<void> {
  const look = () => JSON.stringify(members.map(({ epoch, owned }) => [epoch, owned]))
  for (let round = 0; round < rounds; round++) {
    const before = look()
    let hasMade = false
    for (const member of members) {
      await member.beat()
      if (member.missing.length === 0) continue
      await member.story.make(member.missing)
      hasMade = true
    }
    if (!hasMade && look() === before) return
  }
  throw new Error('the group does not come to rest')
}

export async function describeStreams(story: StreamsStory, groups = story.groups, groupId = 'g') {
  const [group] = await story.now(groups.streams.describe([groupId]))
  if (group === undefined) throw new Error('nothing described')
  const byMember = (a: { memberId: string }, b: { memberId: string }) =>
    a.memberId < b.memberId ? -1 : 1
  return { ...group, members: [...group.members].sort(byMember) }
}

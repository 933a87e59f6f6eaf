/**
 * Members of groups of the newer protocols, two to a group: consumers (KIP-848), who also commit offsets,
 * and streams (KIP-1071). They come, say with every heartbeat what they own, and do what they are told. No
 * partition and no task is ever with both of them, what was committed stays, and once all is healed
 * everything is with one of them.
 *
 * A member holds what it has only as long as its session surely lasts. One whose heartbeat had no answer
 * gives everything up and comes again under another id: what it sent may still arrive, and speak for it.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errorByCode, errors } from '../../protocol/errors.ts'
import type { Connection } from '../../src/client/connection.ts'
import type { BrokerHost } from './broker-host.ts'
import { CommittedPlace, commit, look } from './committing-client.ts'
import { type Client, restDuringFaults, type Stage, sleep, startClient } from './stage.ts'
import type { SimulatedTopic } from './swarm.ts'
import { Violation } from './violation.ts'

/** As the broker is set. */
const sessionMs = 10_000
const heartbeatMs = 2_000
/** Longer than a session: who does not give back what it must is no member before that ends. */
const rebalanceTimeoutMs = 30_000

/** What who is no member is answered. */
const out: ReadonlySet<ErrorRow> = new Set([
  errors.UNKNOWN_MEMBER_ID,
  errors.FENCED_MEMBER_EPOCH,
  errors.GROUP_ID_NOT_FOUND,
])

export interface Beat {
  readonly groupId: string
  readonly topic: SimulatedTopic
  readonly topicId: string
  readonly memberId: string
  /** 0: it comes. */
  readonly memberEpoch: number
  readonly owned: ReadonlySet<number>
}

export interface Beaten {
  readonly errorCode: number
  readonly memberEpoch: number
  /** What it shall own; null: as before. */
  readonly partitions: readonly number[] | null
}

/** How members of one protocol speak. */
export type Heartbeat = (connection: Connection, beat: Beat) => Promise<Beaten>

const heartbeats = { consumer: consumerHeartbeat, streams: streamsHeartbeat }

export async function belong(
  stage: Stage,
  host: BrokerHost,
  name: string,
  kind: 'consumer' | 'streams',
): Promise<void> {
  const clients = ['a', 'b'].map((which) => startClient(stage, `${name}.${which}`))
  const [first] = clients as [Client, Client]
  const topic = first.random.pick(stage.temper.topics)
  const places = Array.from({ length: topic.partitions }, (_, index) => new CommittedPlace(index))
  const group: GroupMember[] = []
  for (const client of clients) {
    const options = { groupId: name, topic, heartbeat: heartbeats[kind], others: group }
    group.push(new GroupMember(stage, host, client, options))
  }
  const isWhole = (): boolean =>
    places.every(({ partition }) => group.some((member) => member.holds(partition)))
  const live = async (member: GroupMember, client: Client): Promise<void> => {
    while (!stage.isHealed || !isWhole()) {
      await member.beat()
      const held = places.filter(({ partition }) => member.holds(partition))
      if (kind === 'consumer' && held.length > 0) {
        await commit(stage, client, topic.name, client.random.pick(held), member.committer)
      }
      const pauseMs = heartbeatMs * (0.5 + client.random.float())
      if (stage.isHealed) await sleep(client.environment, pauseMs)
      else await restDuringFaults(stage, client, pauseMs)
    }
  }
  await Promise.all(group.map((member, at) => live(member, clients[at] as Client)))
  await host.ready()
  while (kind === 'consumer' && !(await look(stage, host, first, topic.name, places, name))) {
    await sleep(first.environment, 1_000)
  }
  for (const { cluster } of clients) cluster.close()
}

export interface MemberOptions {
  readonly groupId: string
  readonly topic: SimulatedTopic
  readonly heartbeat: Heartbeat
  /** The members who may not have what this one has. */
  readonly others: readonly GroupMember[]
}

export class GroupMember {
  readonly #stage: Stage
  readonly #host: BrokerHost
  readonly #client: Client
  readonly #options: MemberOptions
  #memberId = ''
  #epoch = 0
  #owned = new Set<number>()
  #heldUntilMs = 0
  /** Losses of what groups record, as of the last answer. */
  #losses = -1

  constructor(stage: Stage, host: BrokerHost, client: Client, options: MemberOptions) {
    this.#stage = stage
    this.#host = host
    this.#client = client
    this.#options = options
    this.#leave()
  }

  get memberId(): string {
    return this.#memberId
  }

  get committer() {
    const { groupId } = this.#options
    return { groupId, memberId: this.#memberId, memberEpoch: this.#epoch }
  }

  get owned(): ReadonlySet<number> {
    return this.#owned
  }

  holds(partition: number): boolean {
    return this.#owned.has(partition) && this.isSure
  }

  /** Its session has not ended, and no loss can have taken what was recorded of it. */
  get isSure(): boolean {
    const isRecorded = this.#losses === this.#host.offsetsLost
    return isRecorded && this.#stage.world.nowMs < this.#heldUntilMs
  }

  /** One heartbeat. */
  async beat(): Promise<void> {
    const { groupId, topic, heartbeat } = this.#options
    const { cluster, name } = this.#client
    const { trace, world } = this.#stage
    try {
      const nodeId = await cluster.coordinator('group', groupId)
      const connection = await cluster.connectionTo(nodeId, 'group')
      const { topicId } = await cluster.topic(topic.name)
      const sentMs = world.nowMs
      const losses = this.#host.offsetsLost
      const said = { memberId: this.#memberId, memberEpoch: this.#epoch, owned: this.#owned }
      const beaten = await this.#orLeave(
        heartbeat(connection, { groupId, topic, topicId, ...said }),
      )
      const error = errorByCode(beaten.errorCode)
      if (error !== errors.NONE) {
        trace.say(name, `heartbeat: ${error.name}`)
        this.#refused(error)
        return
      }
      this.#epoch = beaten.memberEpoch
      this.#heldUntilMs = sentMs + sessionMs
      this.#losses = losses
      if (beaten.partitions !== null) this.#take(beaten.partitions)
    } catch (error) {
      if (error instanceof Violation) throw error
      trace.say(name, `heartbeat: ${(error as Error).message}`)
      cluster.forgetCoordinator('group', groupId)
    }
  }

  async #orLeave<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked
    } catch (error) {
      this.#leave()
      throw error
    }
  }

  #refused(error: ErrorRow): void {
    const { cluster, name } = this.#client
    cluster.forgetCoordinator('group', this.#options.groupId)
    // It has not looked at the request yet.
    if (error === errors.COORDINATOR_LOAD_IN_PROGRESS) return
    // Who is a member for certain must be known as one.
    const mayBeOut = out.has(error) && !this.isSure
    if (!mayBeOut && !error.retriable) throw new Violation(`${name} was answered ${error.name}`)
    this.#leave()
  }

  #leave(): void {
    this.#memberId = this.#client.random.bytes(16).toString('base64url')
    this.#epoch = 0
    this.#owned = new Set()
    this.#heldUntilMs = 0
  }

  #take(partitions: readonly number[]): void {
    const { groupId, others } = this.#options
    this.#stage.trace.say(this.#client.name, `has ${partitions.join(', ')} in ${this.#epoch}`)
    for (const partition of partitions) {
      if (this.#owned.has(partition)) continue
      const other = others.find((member) => member !== this && member.holds(partition))
      if (other === undefined) continue
      throw new Violation(
        `${groupId} gives ${partition} to ${this.#memberId} while ${other.memberId} has it`,
      )
    }
    this.#owned = new Set(partitions)
  }
}

async function consumerHeartbeat(connection: Connection, beat: Beat): Promise<Beaten> {
  const { groupId, memberId, memberEpoch, topic, topicId, owned } = beat
  const isNew = memberEpoch === 0
  const partitions = [...owned]
  const answer = await connection.call(apis.consumerGroupHeartbeat, {
    groupId,
    memberId,
    memberEpoch,
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: isNew ? rebalanceTimeoutMs : -1,
    subscribedTopicNames: isNew ? [topic.name] : null,
    subscribedTopicRegex: null,
    serverAssignor: null,
    topicPartitions: partitions.length === 0 ? [] : [{ topicId, partitions }],
  })
  const { errorCode, memberEpoch: epoch, assignment } = answer
  return { errorCode, memberEpoch: epoch, partitions: told(assignment) }
}

export const told = (
  assignment: { topicPartitions: readonly { partitions: readonly number[] }[] } | null | undefined,
): readonly number[] | null =>
  assignment?.topicPartitions.flatMap(({ partitions }) => partitions) ?? null

const subtopologyId = '0'

async function streamsHeartbeat(connection: Connection, beat: Beat): Promise<Beaten> {
  const { groupId, memberId, memberEpoch, topic, owned } = beat
  const isNew = memberEpoch === 0
  const subtopology = {
    subtopologyId,
    sourceTopics: [topic.name],
    sourceTopicRegex: [],
    stateChangelogTopics: [],
    repartitionSinkTopics: [],
    repartitionSourceTopics: [],
    copartitionGroups: [],
  }
  const active = owned.size === 0 ? [] : [{ subtopologyId, partitions: [...owned] }]
  const answer = await connection.call(apis.streamsGroupHeartbeat, {
    groupId,
    memberId,
    memberEpoch,
    endpointInformationEpoch: -1,
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: isNew ? rebalanceTimeoutMs : -1,
    topology: isNew ? { epoch: 0, subtopologies: [subtopology] } : null,
    activeTasks: active,
    standbyTasks: [],
    warmupTasks: [],
    processId: isNew ? memberId : null,
    userEndpoint: null,
    clientTags: isNew ? [] : null,
    taskOffsets: null,
    taskEndOffsets: null,
  })
  const { errorCode, memberEpoch: epoch, activeTasks } = answer
  const partitions = activeTasks?.flatMap((task) => task.partitions) ?? null
  return { errorCode, memberEpoch: epoch, partitions }
}

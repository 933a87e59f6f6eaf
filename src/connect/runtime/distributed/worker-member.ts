/**
 * A worker as a member of its group: it says where it is reached, how much it has read of the settings and
 * what it runs, and gets what it is to run. The one that leads shares the work out.
 */
import { ClassicMember, type JoinedGroup } from '../../../client/classic-member.ts'
import type { Cluster } from '../../../client/cluster.ts'
import type { WorkerConfig } from '../../../config/worker-configs.ts'
import { assignEagerly, IncrementalAssignor } from './assignor.ts'
import {
  type Assignment,
  decodeAssignment,
  decodeState,
  encodeAssignment,
  encodeState,
  offeredBy,
  type ProtocolName,
  type WorkerState,
} from './group-protocol.ts'
import { noWork, union, type Work, without } from './work.ts'

/** What the member needs to know of the worker. */
export interface Member {
  readonly url: string
  /** Behind the last record of the config topic that was read. */
  configOffset(): number
  /** All connectors and tasks that there are to be. */
  configured(): Work
  /** Reads the config topic to its end. Rejects where that is not possible in time. */
  catchUp(): Promise<void>
  /** A rebalance has begun, or membership is over. */
  onChange(): void
  /** Everything ends, before an eager join. */
  revokeAll(): Promise<void>
}

/** What the leader knows: who has what, and where everybody is reached. */
interface Led {
  readonly urls: ReadonlyMap<string, string>
  readonly all: ReadonlyMap<string, Work>
}

export class WorkerMember extends ClassicMember {
  readonly #member: Member
  readonly #offered: readonly ProtocolName[]
  readonly #assignor: IncrementalAssignor
  #protocol: ProtocolName
  #assignment: Assignment | null = null
  #lastGeneration = -1
  #led: Led | null = null

  constructor(cluster: Cluster, config: WorkerConfig, member: Member) {
    super(
      cluster,
      {
        groupId: config['group.id'] ?? '',
        sessionTimeoutMs: config['session.timeout.ms'],
        heartbeatIntervalMs: config['heartbeat.interval.ms'],
        rebalanceTimeoutMs: config['rebalance.timeout.ms'],
      },
      { protocolType: 'connect', onChange: () => member.onChange() },
    )
    this.#member = member
    this.#offered = offeredBy(config['connect.protocol'])
    this.#protocol = this.#offered[0]!
    this.#assignor = new IncrementalAssignor(
      cluster.environment.clock,
      config['scheduled.rebalance.max.delay.ms'],
    )
  }

  /** All that is this worker's now. Null: it has never been told. */
  get assignment(): Assignment | null {
    return this.#assignment
  }

  get isLeader(): boolean {
    return this.memberId !== '' && this.#assignment?.leader === this.memberId
  }

  /** Requests between workers are signed. */
  get isSessioned(): boolean {
    return this.#protocol === 'sessioned'
  }

  /** Where the worker is reached that has it; null: nobody, or this one does not lead and cannot know. */
  ownerUrl(kind: 'connectors' | 'tasks', name: string): string | null {
    if (!this.isLeader) return null
    for (const [member, work] of this.#led?.all ?? [])
      if (work[kind].has(name)) return this.#led?.urls.get(member) ?? null
    return null
  }

  /** What is to be stopped, of what it had, is told; what it has from now on is `assignment`. */
  async join(): Promise<Work> {
    if (this.#protocol === 'default' && this.#assignment !== null) await this.#dropAll()
    const { protocolName, assignment: bytes } = await this.joinGroup()
    this.#protocol = protocolName as ProtocolName
    this.#lastGeneration = this.generationId
    const told = decodeAssignment(bytes)
    if (this.#protocol === 'default') {
      this.#assignment = told
      return noWork
    }
    const had = this.#assignment?.assigned ?? noWork
    const assigned = union(without(had, told.revoked), told.assigned)
    this.#assignment = { ...told, assigned, revoked: noWork }
    return told.revoked
  }

  /** Nothing is this worker's any more, and others may have it already. */
  async #dropAll(): Promise<void> {
    await this.#member.revokeAll()
    if (this.#assignment !== null) this.#assignment = { ...this.#assignment, assigned: noWork }
  }

  /** It has not been heard of for so long that others may have its work. */
  async lose(): Promise<void> {
    await this.#dropAll()
    this.mustJoin = true
  }

  protected override offered() {
    this.#led = null
    const state: WorkerState = {
      url: this.#member.url,
      configOffset: this.#member.configOffset(),
      assignment: this.#assignment,
    }
    return this.#offered.map((name) => ({ name, metadata: encodeState(name, state) }))
  }

  protected override async assign(joined: JoinedGroup) {
    const protocol = joined.protocolName as ProtocolName
    const states = new Map(
      joined.members.map(({ memberId, metadata }) => [memberId, decodeState(metadata)]),
    )
    const configOffset = Math.max(...Array.from(states.values(), (state) => state.configOffset))
    if (this.#member.configOffset() < configOffset)
      await this.#member.catchUp().catch(() => undefined)
    const urls = new Map(Array.from(states, ([member, { url }]) => [member, url]))
    const common = {
      leader: joined.memberId,
      leaderUrl: urls.get(joined.memberId) ?? '',
      configOffset: Math.max(configOffset, this.#member.configOffset()),
      assigned: noWork,
      revoked: noWork,
      delayMs: 0,
    }
    const answer = (rows: Iterable<readonly [string, Assignment]>) =>
      Array.from(rows, ([memberId, assignment]) => ({
        memberId,
        assignment: encodeAssignment(protocol, assignment),
      }))
    if (this.#member.configOffset() < configOffset)
      return answer([...states.keys()].map((member) => [member, { ...common, isFailed: true }]))
    const configured = this.#member.configured()
    if (protocol === 'default') {
      const all = assignEagerly(configured, [...states.keys()])
      this.#led = { urls, all }
      return answer(
        Array.from(all, ([member, assigned]) => [member, { ...common, isFailed: false, assigned }]),
      )
    }
    const current = Array.from(states, ([member, { assignment }]): [string, Work] => [
      member,
      assignment?.assigned ?? noWork,
    ])
    const { shares, all, delayMs } = this.#assignor.assign({
      configured,
      lastGeneration: this.#lastGeneration,
      generation: joined.generationId,
      current: new Map(current),
    })
    this.#led = { urls, all }
    return answer(
      Array.from(shares, ([member, share]) => [
        member,
        { ...common, ...share, isFailed: false, delayMs },
      ]),
    )
  }
}

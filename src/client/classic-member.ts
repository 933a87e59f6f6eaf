/**
 * Membership in a group by the classic protocol, whatever the group is for: join, have the leader's
 * assignment handed out, then heartbeats until the coordinator asks everybody to join anew. What runs by
 * itself are the heartbeats; joining is the owner's move.
 *
 *     outside --join--> joining --sync--> member --heartbeat says so--> must join --> joining
 *                                            `--leave, or thrown out--> outside
 */
import { apis } from '../../protocol/apis.ts'
import { errorByCode, errors } from '../../protocol/errors.ts'
import type { Milliseconds, Timer } from '../environment/environment.ts'
import type { Cluster } from './cluster.ts'
import type { Answered, Asked } from './connection.ts'
import { ClosedError, isAnswer, isRetriable } from './failures.ts'
import { pause } from './retry.ts'

export interface ClassicMemberOptions {
  readonly groupId: string
  /** The same name after a restart keeps what was assigned (KIP-345). */
  readonly groupInstanceId?: string | undefined
  readonly sessionTimeoutMs: Milliseconds
  readonly heartbeatIntervalMs: Milliseconds
  /** Milliseconds that members get to join anew, and an owner between two signs of life. */
  readonly rebalanceTimeoutMs: Milliseconds
}

/** What a member tells the leader, by one of the protocols that it knows. */
export interface OfferedProtocol {
  readonly name: string
  readonly metadata: Buffer
}

/** As the leader sees its group. */
export type JoinedGroup = Answered<typeof apis.joinGroup>

export interface Joined {
  readonly protocolName: string
  /** The leader's member id. */
  readonly leader: string
  readonly assignment: Buffer
}

/** Answers after which a member starts from nothing. */
const thrownOut = ['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION']

/** As whom a request was sent. */
export type Membership = Pick<ClassicMember, 'memberId' | 'generationId'>

export abstract class ClassicMember {
  protected readonly cluster: Cluster
  readonly #options: ClassicMemberOptions
  readonly #protocolType: string
  /** The owner has to look: a rebalance has begun, or membership is over. */
  readonly #onChange: () => void
  memberId = ''
  generationId = -1
  /** True when the next move is `join`. */
  mustJoin = true
  /** True when the coordinator forgot this member: what it had may already be another's. */
  hasLost = false
  /** Why this member can never join again. */
  fatal: Error | null = null
  /** Monotonic time of the owner's last sign of life. */
  lastPollMs: Milliseconds
  /** Monotonic time of the coordinator's. */
  lastHeardMs: Milliseconds
  #heartbeat: Timer | null = null
  #isEnded = false

  constructor(
    cluster: Cluster,
    options: ClassicMemberOptions,
    { protocolType, onChange }: { protocolType: string; onChange: () => void },
  ) {
    this.cluster = cluster
    this.#options = options
    this.#protocolType = protocolType
    this.#onChange = onChange
    this.lastPollMs = cluster.environment.clock.monotonic()
    this.lastHeardMs = this.lastPollMs
  }

  /** In order of preference; the group takes one that all members have. */
  protected abstract offered(): readonly OfferedProtocol[]

  /** Who gets what; asked of the leader. */
  protected abstract assign(
    joined: JoinedGroup,
  ): Promise<readonly { readonly memberId: string; readonly assignment: Buffer }[]>

  /** After each heartbeat: true where the leader sees that all must join anew. */
  protected async hasNews(): Promise<boolean> {
    return false
  }

  get groupId(): string {
    return this.#options.groupId
  }

  get groupInstanceId(): string | null {
    return this.#options.groupInstanceId ?? null
  }

  /** Becomes a member and says what it got. Rejects with what repeating cannot cure. */
  protected async joinGroup(): Promise<Joined> {
    this.#stopHeartbeats()
    const { environment } = this.cluster
    for (;;) {
      if (this.#isEnded) throw new ClosedError('member')
      try {
        const joined = await this.#joinOnce()
        this.mustJoin = false
        this.hasLost = false
        this.lastHeardMs = environment.clock.monotonic()
        this.#scheduleHeartbeat()
        return joined
      } catch (error) {
        if (isAnswer(error, 'MEMBER_ID_REQUIRED', 'REBALANCE_IN_PROGRESS')) continue
        if (isAnswer(error, ...thrownOut)) this.#forget()
        else if (!isRetriable(error)) throw error
        environment.log.debug('joining again', { reason: String(error) })
        await pause(environment, 100)
      }
    }
  }

  /** Leaves, so that others get what it had at once. A static member stays, as its name promises. */
  async leave(reason: string): Promise<void> {
    this.#stopHeartbeats()
    const { memberId, groupInstanceId } = this
    const isMember = memberId !== '' && groupInstanceId === null
    this.#forget()
    if (!isMember) return
    const answer = await this.#call(apis.leaveGroup, {
      groupId: this.groupId,
      memberId,
      members: [{ memberId, groupInstanceId, reason }],
    })
    this.#check(answer.errorCode)
  }

  /** Leaves for good. */
  async end(reason: string): Promise<void> {
    this.#isEnded = true
    await this.leave(reason)
  }

  /** The owner is over without leaving: heartbeats end. */
  stop(): void {
    this.#stopHeartbeats()
  }

  /**
   * What the answer to a request says about this member, which was `asked` as it sent it. Of a membership
   * that is over in the meantime nothing is said about the new one.
   */
  judge(error: unknown, asked: Membership): void {
    if (asked.memberId !== this.memberId || asked.generationId !== this.generationId) return
    if (isAnswer(error, 'REBALANCE_IN_PROGRESS')) this.#change()
    if (isAnswer(error, ...thrownOut)) this.#lose()
    if (isAnswer(error, 'FENCED_INSTANCE_ID')) this.#end(error as Error)
  }

  async #joinOnce(): Promise<Joined> {
    const { groupId, memberId, groupInstanceId } = this
    const { sessionTimeoutMs, rebalanceTimeoutMs } = this.#options
    const joined = await this.#call(
      apis.joinGroup,
      {
        groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId,
        groupInstanceId,
        protocolType: this.#protocolType,
        protocols: this.offered(),
      },
      rebalanceTimeoutMs + 5_000,
    )
    if (errorByCode(joined.errorCode) === errors.MEMBER_ID_REQUIRED) this.memberId = joined.memberId
    this.#check(joined.errorCode)
    this.memberId = joined.memberId
    this.generationId = joined.generationId
    const isLeader = joined.leader === joined.memberId
    const assignments = isLeader && !joined.skipAssignment ? await this.assign(joined) : []
    const synced = await this.#call(
      apis.syncGroup,
      {
        groupId,
        generationId: joined.generationId,
        memberId: joined.memberId,
        groupInstanceId,
        protocolType: this.#protocolType,
        protocolName: joined.protocolName,
        assignments,
      },
      rebalanceTimeoutMs + 5_000,
    )
    this.#check(synced.errorCode)
    return {
      protocolName: joined.protocolName ?? '',
      leader: joined.leader,
      assignment: synced.assignment,
    }
  }

  #scheduleHeartbeat(): void {
    const { timers } = this.cluster.environment
    this.#heartbeat = timers.after(this.#options.heartbeatIntervalMs, () => void this.#beat())
  }

  #stopHeartbeats(): void {
    this.#heartbeat?.cancel()
    this.#heartbeat = null
  }

  async #beat(): Promise<void> {
    const timer = this.#heartbeat
    const { clock, log } = this.cluster.environment
    const { groupId, generationId, memberId, groupInstanceId } = this
    try {
      if (clock.monotonic() - this.lastPollMs > this.#options.rebalanceTimeoutMs) {
        log.warn('leaving the group: its member has not polled for too long', { groupId })
        await this.leave('not polled for longer than max.poll.interval.ms')
        return this.#lose()
      }
      const answer = await this.#call(apis.heartbeat, {
        groupId,
        generationId,
        memberId,
        groupInstanceId,
      })
      this.#check(answer.errorCode)
      this.lastHeardMs = clock.monotonic()
      if (await this.hasNews()) this.#change()
    } catch (error) {
      // An answer to a membership that is over in the meantime says nothing of the new one.
      if (this.#heartbeat !== timer) return
      this.judge(error, { memberId, generationId })
      if (!isRetriable(error)) log.debug('heartbeat refused', { reason: String(error) })
    }
    if (this.#heartbeat === timer && timer !== null) this.#scheduleHeartbeat()
  }

  #change(): void {
    this.mustJoin = true
    this.#onChange()
  }

  #lose(): void {
    this.#forget()
    this.hasLost = true
    this.#stopHeartbeats()
    this.#change()
  }

  #end(error: Error): void {
    this.fatal = error
    this.#lose()
  }

  #forget(): void {
    this.memberId = ''
    this.generationId = -1
  }

  #call<Api extends Parameters<Cluster['callCoordinator']>[1]>(
    api: Api,
    request: Asked<Api>,
    timeoutMs?: Milliseconds,
  ): Promise<Answered<Api>> {
    const key = { type: 'group', id: this.groupId } as const
    return this.cluster.callCoordinator(key, api, request, { timeoutMs })
  }

  #check(errorCode: number): void {
    this.cluster.checkCoordinator('group', this.groupId, errorCode)
  }
}

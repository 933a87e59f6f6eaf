/**
 * One member of a classic group: what it told when it joined, the partitions it was given, its
 * session timer, and the answers it waits for. It waits for at most one JoinGroup and one SyncGroup
 * response.
 */
import type { JoinGroupResponse } from '../../../../protocol/messages/join-group.ts'
import type { SyncGroupResponse } from '../../../../protocol/messages/sync-group.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import type { Deadline } from '../../deadlines.ts'
import { memberMetadataBytesMax, protocolsMax } from '../config.ts'
import { memberOverheadBytes } from '../shared-limits.ts'

export type Answer<T> = (response: T) => void

/**
 * A way of assigning partitions that the member knows, with what it says about itself in that way.
 */
export interface Protocol {
  readonly name: string
  readonly metadata: Buffer
}

export interface Membership {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: Milliseconds
  readonly sessionTimeoutMs: Milliseconds
  /** Each name once, the one it likes best first. */
  readonly protocols: readonly Protocol[]
}

/**
 * What is kept of the protocols that a member names: each name once, as it came first (a member has one
 * vote and one voice per protocol), and copies, not the whole request. Null if it says too much.
 */
export function keptProtocols(protocols: readonly Protocol[]): Protocol[] | null {
  const byName = new Map<string, Protocol>()
  for (const protocol of protocols) {
    if (!byName.has(protocol.name)) byName.set(protocol.name, protocol)
  }
  const distinct = [...byName.values()]
  const metadataBytes = distinct.reduce((bytes, { metadata }) => bytes + metadata.length, 0)
  if (distinct.length > protocolsMax || metadataBytes > memberMetadataBytesMax) return null
  return distinct.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }))
}

export const protocolBytes = (protocols: readonly Protocol[]): number =>
  protocols.reduce((bytes, { name, metadata }) => bytes + name.length + metadata.length, 0)

export const noBytes: Buffer = Buffer.alloc(0)

export class Member {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  rebalanceTimeoutMs: Milliseconds
  sessionTimeoutMs: Milliseconds
  protocols: readonly Protocol[]
  assignment: Buffer = noBytes
  /** Passes when the member is taken for dead. */
  readonly session: Deadline
  /** True until its first rebalance ends: until then waiting does not keep the session alive. */
  isNew = false
  joinAnswer: Answer<JoinGroupResponse> | null = null
  syncAnswer: Answer<SyncGroupResponse> | null = null

  constructor(membership: Membership, session: Deadline) {
    this.memberId = membership.memberId
    this.groupInstanceId = membership.groupInstanceId
    this.clientId = membership.clientId
    this.clientHost = membership.clientHost
    this.rebalanceTimeoutMs = membership.rebalanceTimeoutMs
    this.sessionTimeoutMs = membership.sessionTimeoutMs
    this.protocols = membership.protocols
    this.session = session
  }

  /** What it holds of the memory that all groups share; its assignment is bounded by its record. */
  get bytes(): number {
    const { memberId, clientId, groupInstanceId } = this
    const names = memberId.length + clientId.length + (groupInstanceId?.length ?? 0)
    return memberOverheadBytes + names + protocolBytes(this.protocols)
  }

  get isAwaitingJoin(): boolean {
    return this.joinAnswer !== null
  }

  /** Takes over what the member says when it joins again. */
  update(said: Pick<Membership, 'protocols' | 'rebalanceTimeoutMs' | 'sessionTimeoutMs'>): void {
    this.protocols = said.protocols
    this.rebalanceTimeoutMs = said.rebalanceTimeoutMs
    this.sessionTimeoutMs = said.sessionTimeoutMs
  }

  /** A sign of life: the session starts again. */
  touch(): void {
    this.session.set(this.sessionTimeoutMs)
  }

  /** A session that ran out while the broker itself made the member wait does not count. */
  get hasSatisfiedHeartbeat(): boolean {
    return !this.isNew && (this.joinAnswer !== null || this.syncAnswer !== null)
  }

  /** What the member said under protocol `name`; nothing if it does not know it. */
  metadataOf(name: string | null): Buffer {
    return this.protocols.find((protocol) => protocol.name === name)?.metadata ?? noBytes
  }

  /** The same protocols, in the same order, saying the same. */
  hasProtocols(protocols: readonly Protocol[]): boolean {
    return (
      this.protocols.length === protocols.length &&
      this.protocols.every((mine, index) => {
        const other = protocols[index]
        return other?.name === mine.name && mine.metadata.equals(other.metadata)
      })
    )
  }

  /** The protocol it likes best among `candidates`. */
  vote(candidates: ReadonlySet<string>): string | undefined {
    return this.protocols.find((protocol) => candidates.has(protocol.name))?.name
  }

  /** Where it waits for an answer it is taken out, and has to be given; null if it does not wait. */
  takeSync(): Answer<SyncGroupResponse> | null {
    const answer = this.syncAnswer
    this.syncAnswer = null
    return answer
  }

  answerSync(response: SyncGroupResponse): void {
    this.takeSync()?.(response)
  }
}

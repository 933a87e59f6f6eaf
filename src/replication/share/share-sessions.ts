/**
 * Share sessions (KIP-932): a member of a share group names the partitions it reads once; from then on a
 * request carries only what it changes. A session has one place, under its group and member, and lasts
 * as long as the connection that opened it.
 *
 *     epoch 0             open a session with the partitions of the request, in place of an older one
 *     epoch n (1, 2, …)   the n-th request in the session; wraps from the largest int32 to 1
 *     epoch -1            the last request: acknowledges, then ends the session
 */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type { Uuid } from '../../../protocol/types.ts'
import type { FetcherConnection } from '../parked-fetches.ts'

export const initialEpoch = 0
export const finalEpoch = -1
const epochMax = 0x7fffffff
/** More than any cluster has; a client that names more makes them up. */
const partitionsMax = 200_000
/** Of all sessions, some 100 bytes each. A client whose session finds no place comes again later. */
const partitionsInAllMax = 500_000

export interface SharedPartition {
  readonly topicId: Uuid
  readonly index: number
}

interface Session {
  readonly groupId: string
  readonly memberId: string
  readonly connection: FetcherConnection
  readonly partitions: Map<string, SharedPartition>
  /** Of the next request. */
  epoch: number
}

export interface ShareSessionsOptions {
  /** group.share.max.share.sessions. */
  readonly sessionsMax: () => number
  /**
   * A session has ended, the last of its group here perhaps: the member gives back what it has of these
   * partitions.
   */
  readonly onEnded: (
    groupId: string,
    memberId: string,
    partitions: readonly SharedPartition[],
    isLast: boolean,
  ) => void
}

export class ShareSessions {
  readonly #options: ShareSessionsOptions
  readonly #sessions = new Map<string, Session>()
  readonly #membersByGroup = new Map<string, number>()
  /** Partitions of all sessions. */
  #partitions = 0
  readonly #ofConnection = Symbol('share sessions')

  constructor(options: ShareSessionsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#sessions.size
  }

  /**
   * Opens the session of a member, in place of one it had, which stays if this fails. Throws KafkaError
   * SHARE_SESSION_LIMIT_REACHED, INVALID_REQUEST.
   */
  open(
    groupId: string,
    memberId: string,
    partitions: readonly SharedPartition[],
    connection: FetcherConnection,
  ): Iterable<SharedPartition> {
    const replaced = this.#sessions.get(sessionKey(groupId, memberId))
    const others = this.#sessions.size - (replaced === undefined ? 0 : 1)
    if (others >= this.#options.sessionsMax()) {
      throw new KafkaError(errors.SHARE_SESSION_LIMIT_REACHED)
    }
    const session = { groupId, memberId, connection, partitions: new Map(), epoch: 1 }
    this.#add(session, partitions, replaced?.partitions.size)
    this.#remove(groupId, memberId)
    this.#sessions.set(sessionKey(groupId, memberId), session)
    this.#membersByGroup.set(groupId, (this.#membersByGroup.get(groupId) ?? 0) + 1)
    this.#on(connection).add(session)
    return session.partitions.values()
  }

  /**
   * The next request of a session: all partitions that are to be read. Throws KafkaError
   * SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH, SHARE_SESSION_LIMIT_REACHED, INVALID_REQUEST;
   * then the session stays as it was.
   */
  next(
    groupId: string,
    memberId: string,
    epoch: number,
    changes: { added: readonly SharedPartition[]; forgotten: readonly SharedPartition[] },
  ): Iterable<SharedPartition> {
    const session = this.#find(groupId, memberId)
    if (epoch === finalEpoch) return []
    if (session.epoch !== epoch) throw new KafkaError(errors.INVALID_SHARE_SESSION_EPOCH)
    this.#add(session, changes.added)
    for (const forgotten of changes.forgotten) {
      if (session.partitions.delete(partitionKey(forgotten))) this.#partitions--
    }
    session.epoch = session.epoch === epochMax ? 1 : session.epoch + 1
    return session.partitions.values()
  }

  /** Ends the session of a member, if it has one. */
  end(groupId: string, memberId: string): void {
    const session = this.#sessions.get(sessionKey(groupId, memberId))
    if (session !== undefined) this.#end(session)
  }

  /** All of them or, where they are too many, none. `freed` partitions of others will go for them. */
  #add(session: Session, partitions: readonly SharedPartition[], freed = 0): void {
    const added = new Map<string, SharedPartition>()
    for (const partition of partitions) {
      const key = partitionKey(partition)
      if (!session.partitions.has(key)) added.set(key, partition)
    }
    if (session.partitions.size + added.size > partitionsMax) {
      const message = `A session has at most ${partitionsMax} partitions.`
      throw new KafkaError(errors.INVALID_REQUEST, message)
    }
    if (this.#partitions - freed + added.size > partitionsInAllMax) {
      throw new KafkaError(errors.SHARE_SESSION_LIMIT_REACHED)
    }
    for (const [key, partition] of added) session.partitions.set(key, partition)
    this.#partitions += added.size
  }

  #find(groupId: string, memberId: string): Session {
    const session = this.#sessions.get(sessionKey(groupId, memberId))
    if (session === undefined) throw new KafkaError(errors.SHARE_SESSION_NOT_FOUND)
    return session
  }

  #end(session: Session): void {
    const { groupId, memberId } = session
    if (this.#sessions.get(sessionKey(groupId, memberId)) !== session) return
    this.#remove(groupId, memberId)
    const isLast = !this.#membersByGroup.has(groupId)
    this.#options.onEnded(groupId, memberId, [...session.partitions.values()], isLast)
  }

  #remove(groupId: string, memberId: string): void {
    const key = sessionKey(groupId, memberId)
    const session = this.#sessions.get(key)
    if (session === undefined) return
    this.#sessions.delete(key)
    this.#partitions -= session.partitions.size
    this.#on(session.connection).delete(session)
    const left = (this.#membersByGroup.get(groupId) ?? 1) - 1
    if (left === 0) this.#membersByGroup.delete(groupId)
    else this.#membersByGroup.set(groupId, left)
  }

  #on(connection: FetcherConnection): Set<Session> {
    const known = connection.attachments.get(this.#ofConnection) as Set<Session> | undefined
    if (known !== undefined) return known
    const sessions = new Set<Session>()
    connection.attachments.set(this.#ofConnection, sessions)
    connection.onClose(() => {
      for (const session of [...sessions]) this.#end(session)
    })
    return sessions
  }
}

const partitionKey = ({ topicId, index }: SharedPartition): string => `${topicId}/${index}`

/** The length tells where the group's id ends. */
const sessionKey = (groupId: string, memberId: string): string =>
  `${groupId.length}:${groupId}${memberId}`

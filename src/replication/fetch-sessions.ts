/**
 * Incremental fetch sessions (KIP-227). A fetcher names its partitions once; from then on a request
 * carries only what it changes and an answer only what changed for it.
 *
 *     epoch 0            open a session with the partitions of the request ("full"), closing the named one
 *     epoch -1           close the named session, read without one
 *     epoch n (1, 2, …)  the n-th request in the session; wraps from the largest int32 to 1
 *
 * The number of sessions is bounded: a new one may only take the slot of one that is stale, or is
 * worth less (a consumer's against a follower's, fewer partitions against more) and no longer young.
 */

import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type { FetchRequest } from '../../protocol/messages/fetch.ts'
import type { Clock, Milliseconds, Random } from '../environment/environment.ts'
import { addRequested, type FetchedPartition, FetchSession } from './fetch-session.ts'
import type { Watched } from './parked-fetches.ts'

/** From this version on Fetch names topics by id (KIP-516). */
const firstVersionWithTopicIds = 13
const noSession = 0
const initialEpoch = 0
const finalEpoch = -1
const epochMax = 0x7fffffff
const evictionMsDefault: Milliseconds = 120_000

/** What an answer says about a partition, as far as the session cares. */
export interface FetchedState {
  readonly errorCode: number
  readonly highWatermark: number
  readonly logStartOffset?: number | undefined
}

type Partitions = Map<string, FetchedPartition>

/** One fetch request inside its session, or without one. */
export class FetchContext {
  /** The answer to the whole request, where the session refuses it. */
  readonly error: ErrorRow | null
  readonly #partitions: Partitions
  readonly #session: FetchSession | null
  readonly #expectedEpoch: number
  readonly #open: ((partitions: Partitions) => number) | null

  constructor(options: {
    error?: ErrorRow
    partitions?: Partitions
    session?: FetchSession
    open?: (partitions: Partitions) => number
  }) {
    this.error = options.error ?? null
    this.#session = options.session ?? null
    this.#partitions = options.partitions ?? options.session?.partitions ?? new Map()
    this.#expectedEpoch = options.session?.epoch ?? finalEpoch
    this.#open = options.open ?? null
  }

  /** Every partition, in the order in which they share the bytes of the answer. */
  get partitions(): Iterable<FetchedPartition> {
    return this.#partitions.values()
  }

  /** The partitions to read: those of which there may be something to tell. */
  toRead(isReadCommitted: boolean): readonly FetchedPartition[] {
    return this.#session?.stirring(isReadCommitted) ?? [...this.#partitions.values()]
  }

  /** Whether those that were served stand behind the others the next time. */
  get keepsOrder(): boolean {
    return this.#session !== null || this.#open !== null
  }

  /** What may be told about a partition depends on more than the partition: every one is read. */
  readAll(): void {
    this.#session?.stirAll()
  }

  /**
   * There is nothing to tell about a partition, and nothing to be read where the fetcher stands: in a session
   * it is not read again before that changes. False: nothing tells of that.
   */
  rest(fetched: FetchedPartition, partition: Watched): boolean {
    return this.#session?.rest(fetched, partition) ?? false
  }

  /** Whether there are partitions that are not read. */
  get hasResting(): boolean {
    return this.#session !== null && this.#session.restingCount > 0
  }

  /** What tells of partitions that rest; null where none can. */
  get resting(): Watched | null {
    return this.#session
  }

  /** Whether an answer without records, errors or news for the partition leaves it out. */
  omits(partition: FetchedPartition, highWatermark: number, logStartOffset: number): boolean {
    return (
      this.#session !== null &&
      partition.sentHighWatermark === highWatermark &&
      partition.sentLogStartOffset === logStartOffset
    )
  }

  /**
   * The row to answer with where the session has moved on while the request waited, because the
   * request was sent twice; else null.
   */
  stale(): ErrorRow | null {
    const session = this.#session
    if (session === null || session.epoch === this.#expectedEpoch) return null
    return errors.INVALID_FETCH_SESSION_EPOCH
  }

  /** Remembers what the answer tells about the partition, beside `bytes` of records. */
  told(partition: FetchedPartition, state: FetchedState, bytes: number): void {
    partition.sentHighWatermark = state.errorCode === 0 ? state.highWatermark : -1
    partition.sentLogStartOffset = state.logStartOffset ?? -1
    if (bytes > 0) this.#session?.served(partition)
  }

  /** The id of the session, where there is one already. */
  get openId(): number {
    return this.#session?.id ?? noSession
  }

  /** The session id of the answer; opens the session where the request asked for one. */
  sessionId(): number {
    if (this.#session !== null) return this.#session.id
    return this.#open === null ? noSession : this.#open(this.#partitions)
  }
}

export class FetchSessions {
  readonly #clock: Clock
  readonly #random: Random
  readonly #slotsMax: number
  readonly #evictionMs: Milliseconds
  /** Least recently used first. */
  readonly #sessions = new Map<number, FetchSession>()

  /**
   * `slotsMax`: `max.incremental.fetch.session.cache.slots`. `evictionMs`: how long a session is safe
   * after it was opened (from others than followers) or last used.
   */
  constructor(options: {
    clock: Clock
    random: Random
    slotsMax: number
    evictionMs?: Milliseconds
  }) {
    this.#clock = options.clock
    this.#random = options.random
    this.#slotsMax = options.slotsMax
    this.#evictionMs = options.evictionMs ?? evictionMsDefault
  }

  get size(): number {
    return this.#sessions.size
  }

  /** The partitions cached in all sessions. */
  get partitionCount(): number {
    let count = 0
    for (const session of this.#sessions.values()) count += session.partitions.size
    return count
  }

  /**
   * Takes a request into its session. The context's `error` is FETCH_SESSION_ID_NOT_FOUND,
   * INVALID_FETCH_SESSION_EPOCH or FETCH_SESSION_TOPIC_ID_ERROR where the fetcher must start anew.
   */
  context(request: FetchRequest, version: number, isFollower = false): FetchContext {
    const usesTopicIds = version >= firstVersionWithTopicIds
    if (request.sessionEpoch === initialEpoch || request.sessionEpoch === finalEpoch) {
      this.#close(request.sessionId)
      const partitions: Partitions = new Map()
      addRequested(request, partitions)
      if (request.sessionEpoch === finalEpoch) return new FetchContext({ partitions })
      const open = (read: Partitions) => this.#open(read, usesTopicIds, isFollower)
      return new FetchContext({ partitions, open })
    }
    const session = this.#sessions.get(request.sessionId)
    if (session === undefined) return new FetchContext({ error: errors.FETCH_SESSION_ID_NOT_FOUND })
    if (session.epoch !== request.sessionEpoch) {
      return new FetchContext({ error: errors.INVALID_FETCH_SESSION_EPOCH })
    }
    if (session.usesTopicIds !== usesTopicIds) {
      return new FetchContext({ error: errors.FETCH_SESSION_TOPIC_ID_ERROR })
    }
    return this.#continue(session, request)
  }

  #close(id: number): boolean {
    this.#sessions.get(id)?.close()
    return this.#sessions.delete(id)
  }

  #continue(session: FetchSession, request: FetchRequest): FetchContext {
    session.update(request)
    this.#sessions.delete(session.id)
    if (session.partitions.size === 0) return new FetchContext({})
    this.#sessions.set(session.id, session)
    session.lastUsedMs = this.#clock.monotonic()
    session.epoch = session.epoch === epochMax ? 1 : session.epoch + 1
    return new FetchContext({ session })
  }

  #open(partitions: Partitions, usesTopicIds: boolean, isPrivileged: boolean): number {
    const now = this.#clock.monotonic()
    if (this.#sessions.size >= this.#slotsMax) {
      if (!this.#evictFor(partitions.size, isPrivileged, now)) return noSession
    }
    let id: number
    do id = 1 + Math.floor(this.#random.float() * (epochMax - 1))
    while (this.#sessions.has(id))
    const options = { id, isPrivileged, usesTopicIds, createdMs: now }
    this.#sessions.set(id, new FetchSession(options, partitions))
    return id
  }

  /** Gives up the session that is worth least, if it is worth less than a new one of this size. */
  #evictFor(size: number, isPrivileged: boolean, now: Milliseconds): boolean {
    let least: FetchSession | undefined
    for (const session of this.#sessions.values()) {
      if (now - session.lastUsedMs > this.#evictionMs) {
        least = session
        break
      }
      const isYoung = now - session.createdMs <= this.#evictionMs
      if (isYoung && (session.isPrivileged || !isPrivileged)) continue
      if (!isWorthLess(session, isPrivileged, size)) continue
      if (least === undefined || isWorthLess(session, least.isPrivileged, least.partitions.size)) {
        least = session
      }
    }
    return least !== undefined && this.#close(least.id)
  }
}

function isWorthLess(session: FetchSession, isPrivileged: boolean, size: number): boolean {
  if (session.isPrivileged !== isPrivileged) return isPrivileged
  return session.partitions.size < size
}

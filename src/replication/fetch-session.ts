/**
 * One incremental fetch session, and what it knows of each of its partitions. A partition about which there
 * is nothing to tell rests: it is not looked at again until an append, a change, or the fetcher itself stirs
 * it. So a request in the session costs what has happened, however many partitions there are.
 *
 *     stirring ──read, and nothing to tell, up to its end──▶ resting, watching the partition
 *         ▲                                                     │
 *         └──── appended to, changed, or named by a request ────┘
 *
 * A resting partition that is stirred ends its watch at once, so that a session that nobody uses any more
 * costs the appends of its partitions nothing. While a fetch of the session waits it watches on, until it is
 * read: all that is appended counts.
 */
import type { FetchRequest } from '../../protocol/messages/fetch.ts'
import type { Milliseconds } from '../environment/environment.ts'
import type { Watched } from './parked-fetches.ts'
import { SmallSet } from './small-set.ts'
import type { PartitionWatcher } from './watchers.ts'

type RequestedPartition = FetchRequest['topics'][number]['partitions'][number]

/** One partition that a fetcher asks for, with what it was last told about it. */
export class FetchedPartition implements PartitionWatcher {
  /** Empty where topics are named by id. */
  readonly topic: string
  readonly topicId: string
  readonly index: number
  fetchOffset = 0
  maxBytes = 0
  /** -1: the fetcher does not know. */
  currentLeaderEpoch = -1
  /** -1: the fetcher does not know, or wants no check for divergence. */
  lastFetchedEpoch = -1
  /** What the session's last answer about this partition said; -1 when it must be told again. */
  sentHighWatermark = -1
  sentLogStartOffset = -1
  #session: FetchSession | null = null
  /** While it rests, and a little longer. */
  #watched: Watched | null = null

  constructor(topic: string, topicId: string, requested: RequestedPartition) {
    this.topic = topic
    this.topicId = topicId
    this.index = requested.partition
    this.update(requested)
  }

  update(requested: RequestedPartition): void {
    this.fetchOffset = requested.fetchOffset
    this.maxBytes = requested.partitionMaxBytes
    this.currentLeaderEpoch = requested.currentLeaderEpoch
    this.lastFetchedEpoch = requested.lastFetchedEpoch
  }

  watch(partition: Watched, session: FetchSession): void {
    this.unwatch()
    this.#session = session
    this.#watched = partition
    partition.watch(this)
  }

  unwatch(): void {
    this.#watched?.unwatch(this)
    this.#watched = null
  }

  readable(bytes: number, committedBytes: number): void {
    this.#stir()?.each((fetch) => fetch.readable(bytes, committedBytes))
  }

  changed(): void {
    this.#stir()?.each((fetch) => fetch.changed())
  }

  startMoved(): void {
    this.#stir()
  }

  /** Gives the fetches of the session that wait. */
  #stir(): SmallSet<PartitionWatcher> | undefined {
    const waiting = this.#session?.stir(this)
    if (waiting === undefined || waiting.size === 0) this.unwatch()
    return waiting
  }
}

export class FetchSession implements Watched {
  readonly id: number
  readonly isPrivileged: boolean
  readonly usesTopicIds: boolean
  /** Monotonic, as all times here. */
  readonly createdMs: Milliseconds
  lastUsedMs: Milliseconds
  /** Of the next request. */
  epoch = 1
  /** In the order in which they are read: those that were served last stand at the end. */
  readonly partitions: Map<string, FetchedPartition>
  readonly #stirring: Set<FetchedPartition>
  readonly #waiting = new SmallSet<PartitionWatcher>()
  /** What resting partitions have nothing of. */
  #isReadCommitted = false
  #isClosed = false

  constructor(
    options: Pick<FetchSession, 'id' | 'isPrivileged' | 'usesTopicIds' | 'createdMs'>,
    partitions: Map<string, FetchedPartition>,
  ) {
    this.id = options.id
    this.isPrivileged = options.isPrivileged
    this.usesTopicIds = options.usesTopicIds
    this.createdMs = options.createdMs
    this.lastUsedMs = options.createdMs
    this.partitions = partitions
    this.#stirring = new Set(partitions.values())
  }

  /** Takes what a request names, and forgets what it says it does not want any more. */
  update(request: FetchRequest): void {
    for (const partition of addRequested(request, this.partitions)) this.#wake(partition)
    for (const { topic, topicId, partitions } of request.forgottenTopicsData) {
      for (const index of partitions) {
        const key = partitionKey(topic, topicId, index)
        const partition = this.partitions.get(key)
        if (partition === undefined) continue
        this.partitions.delete(key)
        this.#stirring.delete(partition)
        partition.unwatch()
      }
    }
  }

  /** The partitions to read now, in the order in which they share the bytes of the answer. */
  stirring(isReadCommitted: boolean): readonly FetchedPartition[] {
    if (isReadCommitted !== this.#isReadCommitted) this.stirAll()
    this.#isReadCommitted = isReadCommitted
    const stirring = [...this.#stirring]
    for (const partition of stirring) partition.unwatch()
    return stirring
  }

  /** The next request looks at every partition. */
  stirAll(): void {
    for (const partition of this.partitions.values()) this.#wake(partition)
  }

  /** How many partitions rest. */
  get restingCount(): number {
    return this.partitions.size - this.#stirring.size
  }

  /**
   * There is nothing to tell about a partition, which stands at the end of what may be read. Whether it rests:
   * it may have been forgotten, or the session closed, while a request waited or read others.
   */
  rest(fetched: FetchedPartition, partition: Watched): boolean {
    if (this.#isClosed || !this.#stirring.delete(fetched)) return false
    fetched.watch(partition, this)
    return true
  }

  /** Those with records go last, so that all get their share of the bytes in turn. */
  served(partition: FetchedPartition): void {
    const key = partitionKey(partition.topic, partition.topicId, partition.index)
    // One that was forgotten while the request waited stays forgotten.
    if (this.partitions.delete(key)) this.partitions.set(key, partition)
    if (this.#stirring.delete(partition)) this.#stirring.add(partition)
  }

  /** What a resting partition has to tell; gives the fetches that wait. */
  stir(partition: FetchedPartition): SmallSet<PartitionWatcher> {
    this.#stirring.add(partition)
    return this.#waiting
  }

  /** A fetch waits for whatever rests here. */
  watch(fetch: PartitionWatcher): void {
    this.#waiting.add(fetch)
  }

  unwatch(fetch: PartitionWatcher): void {
    this.#waiting.delete(fetch)
  }

  /** No partition rests here any more, and whoever waits for those that did is told. */
  close(): void {
    this.#isClosed = true
    for (const partition of this.partitions.values()) partition.unwatch()
    this.#waiting.each((fetch) => fetch.changed())
  }

  #wake(partition: FetchedPartition): void {
    partition.unwatch()
    this.#stirring.add(partition)
  }
}

/** Adds what a request names to `partitions`, or changes it there; gives what it names. */
export function addRequested(
  request: FetchRequest,
  partitions: Map<string, FetchedPartition>,
): FetchedPartition[] {
  const named: FetchedPartition[] = []
  for (const { topic, topicId, partitions: requestedPartitions } of request.topics) {
    for (const requested of requestedPartitions) {
      const key = partitionKey(topic, topicId, requested.partition)
      let partition = partitions.get(key)
      if (partition === undefined) {
        partition = new FetchedPartition(topic, topicId, requested)
        partitions.set(key, partition)
      } else {
        partition.update(requested)
      }
      named.push(partition)
    }
  }
  return named
}

/** The absent one of name and id is the same for all partitions of a request. */
function partitionKey(topic: string, topicId: string, index: number): string {
  return topic === '' ? `${topicId}/${index}` : `${topic}/${index}`
}

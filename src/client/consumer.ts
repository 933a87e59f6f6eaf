/**
 * Reads records: from partitions that it was told (`assign`), or from its share of topics as a member of
 * a group (`subscribe`). Everything moves in `poll`: joining, handing out partitions, finding where to
 * begin; fetches and heartbeats run on between polls. Close it, so that its partitions go to others at
 * once.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import { noLeaderEpoch } from '../../protocol/records/batch.ts'
import type { Milliseconds } from '../environment/environment.ts'
import { type Assignor, rangeAssignor, roundRobinAssignor } from './assignors.ts'
import type { Cluster } from './cluster.ts'
import { isRetriable, TimeoutError } from './failures.ts'
import { Fetcher, type PartitionRecords } from './fetcher.ts'
import { GroupMember } from './group-member.ts'
import {
  type CommittedOffset,
  type Committer,
  commitOffsets,
  earliest,
  fetchCommitted,
  type IsolationLevel,
  latest,
  listOffsets,
} from './offsets.ts'
import type { Position } from './position-validation.ts'
import { nameOf, type TopicPartition } from './topic-partition.ts'

export interface ConsumerOptions {
  readonly groupId?: string
  readonly groupInstanceId?: string
  readonly assignors?: readonly Assignor[]
  readonly sessionTimeoutMs?: Milliseconds
  readonly heartbeatIntervalMs?: Milliseconds
  /** Milliseconds between two polls after which the group goes on without this member. */
  readonly maxPollIntervalMs?: Milliseconds
  /** Where to begin without a valid committed offset; `none`: `poll` throws. */
  readonly autoOffsetReset?: 'earliest' | 'latest' | 'none'
  /** Commits what `poll` handed out before, every so often, before a rebalance and on close. */
  readonly autoCommitIntervalMs?: Milliseconds | null
  readonly isolation?: IsolationLevel
  readonly fetchMinBytes?: number
  readonly fetchMaxWaitMs?: Milliseconds
  readonly fetchMaxBytes?: number
  readonly partitionMaxBytes?: number
}

export interface RebalanceListener {
  onAssigned?(partitions: readonly TopicPartition[]): void | Promise<void>
  /** `isLost`: they may be another's already, and nothing can be committed for them. */
  onRevoked?(partitions: readonly TopicPartition[], isLost: boolean): void | Promise<void>
}

export interface Start extends TopicPartition {
  /** Where to begin; else at the group's committed offset, else by `autoOffsetReset`. */
  readonly offset?: number | 'earliest' | 'latest' | undefined
}

export class Consumer {
  readonly #cluster: Cluster
  readonly #options: ConsumerOptions
  readonly #fetcher: Fetcher
  readonly #member: GroupMember | null
  readonly #assigned = new Map<string, TopicPartition>()
  /** Assigned partitions without a position yet, and where they shall begin. */
  readonly #unplaced = new Map<string, Start>()
  #topics: readonly string[] = []
  #listener: RebalanceListener = {}
  #joining: Promise<void> | null = null
  #joined: TopicPartition[] | null = null
  #failure: Error | null = null
  #wake: () => void = () => undefined
  /** What polls before the last one handed out is done with: up to these offsets. */
  readonly #toCommit = new Map<string, CommittedOffset>()
  #handedOut: CommittedOffset[] = []
  #committedMs: Milliseconds
  #isClosed = false

  constructor(cluster: Cluster, options: ConsumerOptions = {}) {
    this.#cluster = cluster
    this.#options = options
    this.#committedMs = cluster.environment.clock.monotonic()
    this.#fetcher = new Fetcher(
      cluster,
      {
        minBytes: options.fetchMinBytes ?? 1,
        maxWaitMs: options.fetchMaxWaitMs ?? 500,
        maxBytes: options.fetchMaxBytes ?? 16 * 1024 * 1024,
        partitionMaxBytes: options.partitionMaxBytes ?? 1024 * 1024,
        isolation: options.isolation ?? 'read_uncommitted',
      },
      {
        onArrival: () => this.#wake(),
        onOutOfRange: (partition, offset) => this.#outOfRange(partition, offset),
        onTruncated: (partition, offset, end) => this.#truncated(partition, offset, end),
      },
    )
    this.#member =
      options.groupId === undefined
        ? null
        : new GroupMember(
            cluster,
            {
              groupId: options.groupId,
              groupInstanceId: options.groupInstanceId,
              assignors: options.assignors ?? [rangeAssignor, roundRobinAssignor],
              sessionTimeoutMs: options.sessionTimeoutMs ?? 45_000,
              heartbeatIntervalMs: options.heartbeatIntervalMs ?? 3_000,
              rebalanceTimeoutMs: options.maxPollIntervalMs ?? 300_000,
            },
            () => this.#wake(),
          )
  }

  /** The partitions that this consumer reads now. */
  get assignment(): TopicPartition[] {
    return [...this.#assigned.values()]
  }

  /** Reads exactly these partitions. With a group id offsets are kept under it, without membership. */
  assign(partitions: readonly Start[]): void {
    this.#topics = []
    this.#release()
    for (const start of partitions) this.#place(start)
  }

  /** Becomes a member of the group with the next poll. */
  subscribe(topics: readonly string[], listener: RebalanceListener = {}): void {
    if (this.#member === null) throw new TypeError('subscribe needs a group id')
    this.#topics = topics
    this.#listener = listener
    this.#member.mustJoin = true
  }

  /**
   * Records that have arrived, of as many partitions as have some; nothing once `timeoutMs` are over.
   * Throws KafkaError, ConnectionError, CorruptRecords, or what a rebalance listener threw.
   */
  async poll({ timeoutMs = 1000, recordsMax = 500 } = {}): Promise<PartitionRecords[]> {
    const { clock } = this.#cluster.environment
    const deadline = clock.monotonic() + timeoutMs
    for (const offset of this.#handedOut) this.#toCommit.set(nameOf(offset), offset)
    this.#handedOut = []
    for (;;) {
      this.#throwFailure()
      if (this.#member !== null) this.#member.lastPollMs = clock.monotonic()
      await this.#moveMembership()
      await this.#tryFindPositions()
      await this.#autoCommit()
      const taken = this.#fetcher.take(recordsMax)
      // As Kafka's consumer: there is nothing in it that anybody could still be doing.
      for (const offset of this.#fetcher.passed()) this.#toCommit.set(nameOf(offset), offset)
      if (taken.length > 0) {
        this.#handedOut = taken.map(({ topic, partition, nextOffset: offset, leaderEpoch }) => ({
          topic,
          partition,
          offset,
          leaderEpoch,
        }))
        return taken
      }
      const leftMs = deadline - clock.monotonic()
      if (leftMs <= 0 || this.#isClosed) return []
      await this.#sleep(Math.min(leftMs, this.#options.autoCommitIntervalMs ?? leftMs))
    }
  }

  /** Ends the wait of a `poll` under way; it may return nothing. */
  wakeUp(): void {
    this.#wake()
  }

  /** The offset of the next record of the partition; undefined while that is not known. */
  position(partition: TopicPartition): number | undefined {
    return this.#fetcher.positionOf(partition)
  }

  /** The end of the partition as the last fetch told it; -1 before that. */
  highWatermark(partition: TopicPartition): number {
    return this.#fetcher.highWatermarkOf(partition)
  }

  seek(partition: TopicPartition, offset: number | 'earliest' | 'latest'): void {
    if (!this.#assigned.has(nameOf(partition)))
      throw new RangeError(`${nameOf(partition)} is not assigned to this consumer`)
    this.#forgetHandedOut(partition)
    this.#place({ ...partition, offset })
  }

  pause(partition: TopicPartition): void {
    this.#fetcher.setPaused(partition, true)
  }

  resume(partition: TopicPartition): void {
    this.#fetcher.setPaused(partition, false)
    this.#fetcher.fetch()
  }

  /** Commits these offsets, else all that was handed out. Rejects with KafkaError. */
  async commit(offsets?: readonly CommittedOffset[]): Promise<void> {
    if (this.#member === null) throw new TypeError('commit needs a group id')
    for (const offset of this.#handedOut) this.#toCommit.set(nameOf(offset), offset)
    await this.#commit(offsets ?? [...this.#toCommit.values()])
    if (offsets === undefined) this.#toCommit.clear()
  }

  /** Commits where that is automatic, and leaves the group. The cluster stays open. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#wake()
    try {
      if (this.#member !== null && this.#topics.length > 0) {
        await this.#revoke()
        await this.#member.leave('the consumer is closing')
      } else if (this.#autoCommits) {
        for (const offset of this.#handedOut) this.#toCommit.set(nameOf(offset), offset)
        await this.#commit([...this.#toCommit.values()])
      }
    } finally {
      this.#member?.stop()
      this.#fetcher.close()
    }
  }

  get #autoCommits(): boolean {
    return this.#member !== null && (this.#options.autoCommitIntervalMs ?? null) !== null
  }

  #sleep(ms: Milliseconds): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#cluster.environment.timers.after(Math.ceil(ms), resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  #throwFailure(): void {
    const failure = this.#failure ?? this.#member?.fatal ?? null
    this.#failure = null
    if (failure !== null) throw failure
  }

  async #moveMembership(): Promise<void> {
    const member = this.#member
    if (member === null || this.#topics.length === 0) return
    if (this.#joined !== null) {
      const partitions = this.#joined
      this.#joined = null
      for (const partition of partitions) this.#place(partition)
      await this.#listener.onAssigned?.(partitions)
    }
    if (!member.mustJoin || this.#joining !== null || this.#isClosed) return
    await this.#revoke()
    this.#joining = member
      .join(this.#topics)
      .then((partitions) => {
        this.#joined = partitions
      })
      .catch((error: unknown) => {
        this.#failure = error as Error
      })
      .finally(() => {
        this.#joining = null
        this.#wake()
      })
  }

  async #revoke(): Promise<void> {
    const partitions = this.assignment
    const isLost = this.#member?.hasLost ?? false
    if (partitions.length > 0 && !isLost && this.#autoCommits) {
      for (const offset of this.#handedOut) this.#toCommit.set(nameOf(offset), offset)
      await this.#tryCommit()
    }
    this.#handedOut = []
    if (partitions.length > 0) await this.#listener.onRevoked?.(partitions, isLost)
    this.#toCommit.clear()
    this.#release()
  }

  #forgetHandedOut(partition: TopicPartition): void {
    this.#handedOut = this.#handedOut.filter((row) => nameOf(row) !== nameOf(partition))
  }

  #release(): void {
    this.#fetcher.clear()
    this.#assigned.clear()
    this.#unplaced.clear()
  }

  /** `leaderEpoch`: of the record before `offset`, where it is known. */
  #place(start: Start, leaderEpoch = noLeaderEpoch): void {
    const { topic, partition, offset } = start
    this.#assigned.set(nameOf(start), { topic, partition })
    if (typeof offset === 'number') {
      const position = { offset, leaderEpoch }
      this.#unplaced.delete(nameOf(start))
      if (this.#fetcher.positionOf(start) === undefined) this.#fetcher.start(start, position)
      else this.#fetcher.seek(start, position)
    } else {
      this.#fetcher.stop(start)
      this.#unplaced.set(nameOf(start), start)
    }
  }

  /** What may pass is waited out: partitions stay without a position until the next look. */
  async #tryFindPositions(): Promise<void> {
    try {
      await this.#findPositions()
    } catch (error) {
      if (!isRetriable(error) && !(error instanceof TimeoutError)) throw error
      const { log } = this.#cluster.environment
      log.warn('cannot find where to begin, trying on', { reason: String(error) })
    }
  }

  async #findPositions(): Promise<void> {
    const starts = [...this.#unplaced.values()]
    if (starts.length === 0) return
    const toldNone = starts.filter(({ offset }) => offset === undefined)
    const committed =
      this.#member === null || toldNone.length === 0
        ? []
        : await fetchCommitted(this.#cluster, this.#member.groupId, toldNone)
    const positions = new Map<string, Position>()
    for (const { leaderEpoch = noLeaderEpoch, offset, ...row } of committed)
      positions.set(nameOf(row), { offset, leaderEpoch })
    const others = starts.filter((start) => !positions.has(nameOf(start)))
    const queries = others.map((start) => ({
      topic: start.topic,
      partition: start.partition,
      timestamp: this.#resetTimestamp(start),
    }))
    const { isolation } = this.#options
    for (const row of await listOffsets(this.#cluster, queries, isolation)) {
      const { topic, partition, offset } = row
      positions.set(nameOf(row), { offset, leaderEpoch: noLeaderEpoch })
      // Committed too: who begins at the end shall find what came while it was away.
      if (this.#autoCommits) this.#toCommit.set(nameOf(row), { topic, partition, offset })
    }
    // What was sought or revoked in the meantime is no longer waiting for this answer.
    for (const start of starts) {
      if (this.#unplaced.get(nameOf(start)) !== start) continue
      const { offset, leaderEpoch } = positions.get(nameOf(start))!
      this.#place({ ...start, offset }, leaderEpoch)
    }
    this.#fetcher.fetch()
  }

  #resetTimestamp(start: Start): number {
    const reset = start.offset ?? this.#options.autoOffsetReset ?? 'latest'
    if (reset === 'earliest') return earliest
    if (reset === 'latest') return latest
    throw new KafkaError(
      errors.OFFSET_OUT_OF_RANGE,
      `${nameOf(start)} has no committed offset, and nothing says where to begin`,
    )
  }

  #outOfRange(partition: TopicPartition, offset: number): void {
    const { log } = this.#cluster.environment
    const { autoOffsetReset = 'latest' } = this.#options
    const name = nameOf(partition)
    if (autoOffsetReset === 'none') {
      const message = `${name} has no offset ${offset} (any longer, or yet)`
      this.#failure = new KafkaError(errors.OFFSET_OUT_OF_RANGE, message)
      return
    }
    log.warn(`offset ${offset} is out of range in ${name}: going on at the ${autoOffsetReset}`)
    this.#place({ ...partition, offset: autoOffsetReset })
    this.#wake()
  }

  /** The partition's leader lacks what was read: reading goes on where its log parts from that. */
  #truncated(partition: TopicPartition, offset: number, end: Position | null): void {
    const { log } = this.#cluster.environment
    const { autoOffsetReset = 'latest' } = this.#options
    const cut = end === null ? '' : ` and is another from ${end.offset} on`
    const what = `${nameOf(partition)} has lost records below ${offset}, which were read${cut}`
    // To commit them would be to pass over what stands in their place.
    this.#forgetHandedOut(partition)
    this.#toCommit.delete(nameOf(partition))
    if (autoOffsetReset === 'none') {
      this.#failure = new KafkaError(errors.OFFSET_OUT_OF_RANGE, what)
      return
    }
    log.warn(`${what}: going on at ${end === null ? `the ${autoOffsetReset}` : end.offset}`)
    this.#place({ ...partition, offset: end?.offset ?? autoOffsetReset }, end?.leaderEpoch)
    this.#wake()
  }

  async #autoCommit(): Promise<void> {
    if (!this.#autoCommits || this.#toCommit.size === 0) return
    const now = this.#cluster.environment.clock.monotonic()
    if (now - this.#committedMs < this.#options.autoCommitIntervalMs!) return
    this.#committedMs = now
    await this.#tryCommit()
  }

  /** A commit whose failure the next one makes up for. */
  async #tryCommit(): Promise<void> {
    try {
      await this.#commit([...this.#toCommit.values()])
      this.#toCommit.clear()
    } catch (error) {
      this.#cluster.environment.log.warn('cannot commit offsets', { reason: String(error) })
    }
  }

  async #commit(offsets: readonly CommittedOffset[]): Promise<void> {
    const member = this.#member!
    const isMember = this.#topics.length > 0
    const { memberId, generationId } = member
    const committer: Committer = isMember
      ? member
      : { groupId: member.groupId, memberId: '', generationId: -1, groupInstanceId: null }
    try {
      await commitOffsets(this.#cluster, committer, offsets)
    } catch (error) {
      if (isMember) member.judge(error, { memberId, generationId })
      throw error
    }
  }
}

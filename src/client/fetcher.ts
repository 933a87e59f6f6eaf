/**
 * Reads ahead of the consumer: while less than a bound of bytes waits for it, one Fetch is under way to
 * every broker that leads one of its partitions. All partitions of a leader go into one request, whose
 * order rotates, so that each gets its turn when an answer is full. Before it reads on from a leader that
 * is new to a partition, it asks whether what was read is still there (KIP-320).
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import { noLeaderEpoch } from '../../protocol/records/batch.ts'
import type { BatchRecord } from '../../protocol/records/record.ts'
import { zeroUuid } from '../../protocol/types.ts'
import type { Milliseconds } from '../environment/environment.ts'
import type { Cluster } from './cluster.ts'
import type { Answered } from './connection.ts'
import { ClosedError } from './failures.ts'
import { FetchedRecords } from './fetched-records.ts'
import { type CommittedOffset, type IsolationLevel, isolationCode } from './offsets.ts'
import { askEpochEnds, type EpochEnd, type Position } from './position-validation.ts'
import { Reading } from './reading.ts'
import { backoffMs } from './retry.ts'
import { byTopic, nameOf, type TopicPartition } from './topic-partition.ts'

export interface FetchOptions {
  readonly minBytes: number
  readonly maxWaitMs: Milliseconds
  /** Bytes of one answer. */
  readonly maxBytes: number
  readonly partitionMaxBytes: number
  readonly isolation: IsolationLevel
}

/** Records of one partition, in order. */
export interface PartitionRecords extends TopicPartition {
  readonly records: readonly BatchRecord[]
  /** The offset to go on from. */
  readonly nextOffset: number
  /** In which the record before it was written; -1 where that is not known. */
  readonly leaderEpoch: number
  /** As the last answer told it. */
  readonly highWatermark: number
}

interface FetcherEvents {
  /** Records may have arrived. */
  readonly onArrival: () => void
  readonly onOutOfRange: (partition: TopicPartition, offset: number) => void
  /** What was read up to `offset` is not there any more from `end` on; null: nobody knows from where. */
  readonly onTruncated: (partition: TopicPartition, offset: number, end: Position | null) => void
}

export class Fetcher {
  readonly #cluster: Cluster
  readonly #options: FetchOptions
  readonly #events: FetcherEvents
  readonly #readings = new Map<string, Reading>()
  /** By name, as a partition stays paused when it is sought in. */
  readonly #paused = new Set<string>()
  readonly #busy = new Set<number>()
  #passed: Reading[] = []
  #turn = 0
  #isClosed = false

  constructor(cluster: Cluster, options: FetchOptions, events: FetcherEvents) {
    this.#cluster = cluster
    this.#options = options
    this.#events = events
  }

  /** Reads the partition from here on. */
  start(partition: TopicPartition, position: Position): void {
    this.#readings.set(nameOf(partition), new Reading(partition, position))
  }

  stop(partition: TopicPartition): void {
    this.#readings.delete(nameOf(partition))
  }

  seek(partition: TopicPartition, position: Position): void {
    this.#readings.get(nameOf(partition))?.seek(position)
  }

  setPaused(partition: TopicPartition, isPaused: boolean): void {
    if (isPaused) this.#paused.add(nameOf(partition))
    else this.#paused.delete(nameOf(partition))
  }

  #isPaused(reading: Reading): boolean {
    return this.#paused.has(nameOf(reading))
  }

  /** Stops reading all partitions; none stays paused. */
  clear(): void {
    this.#readings.clear()
    this.#paused.clear()
  }

  /** Undefined for a partition that is not being read. */
  positionOf(partition: TopicPartition): number | undefined {
    return this.#readings.get(nameOf(partition))?.position
  }

  /** As the last answer told it; -1 before one came. */
  highWatermarkOf(partition: TopicPartition): number {
    return this.#readings.get(nameOf(partition))?.highWatermark ?? -1
  }

  close(): void {
    this.#isClosed = true
    this.clear()
  }

  /** What has arrived, at most `recordsMax` records; each partition's turn comes first once. */
  take(recordsMax: number): PartitionRecords[] {
    const taken: PartitionRecords[] = []
    this.#passed = []
    let left = recordsMax
    const readings = [...this.#readings.values()]
    this.#turn++
    for (let index = 0; index < readings.length && left > 0; index++) {
      const reading = readings[(index + this.#turn) % readings.length]!
      if (this.#isPaused(reading)) continue
      if (reading.error !== null && reading.fetched.length === 0 && reading.rest.length === 0) {
        const { error } = reading
        reading.error = null
        if (taken.length > 0) break
        throw error
      }
      const { position } = reading
      const records = reading.take(left)
      if (records.length === 0) {
        if (reading.position > position) this.#passed.push(reading)
        continue
      }
      left -= records.length
      taken.push({
        topic: reading.topic,
        partition: reading.partition,
        records,
        nextOffset: reading.position,
        leaderEpoch: reading.positionEpoch,
        highWatermark: reading.highWatermark,
      })
    }
    this.fetch()
    return taken
  }

  /**
   * Where those partitions are now of which the last `take` had no records, but passed what is none: control records,
   * what was aborted, gaps.
   */
  passed(): readonly CommittedOffset[] {
    return this.#passed.map(
      ({ topic, partition, position: offset, positionEpoch: leaderEpoch }) => ({
        ...{ topic, partition, offset, leaderEpoch },
      }),
    )
  }

  /** Sends a fetch to every leader that has partitions to read, room for their records, and none under way. */
  fetch(): void {
    if (this.#isClosed || this.#cluster.isClosed) return
    const now = this.#cluster.environment.clock.monotonic()
    const byLeader = new Map<number, Reading[]>()
    for (const reading of this.#readings.values()) {
      if (this.#isPaused(reading) || reading.error !== null || reading.retryAtMs > now) continue
      const leader = this.#partition(reading)?.leader ?? -1
      if (leader < 0) this.#later(reading, new KafkaError(errors.LEADER_NOT_AVAILABLE))
      else byLeader.set(leader, [...(byLeader.get(leader) ?? []), reading])
    }
    for (const [leader, readings] of byLeader) {
      if (this.#busy.has(leader)) continue
      const buffered = readings.reduce((sum, reading) => sum + reading.bufferedBytes, 0)
      const doubtful = readings.filter((reading) => !reading.follow(this.#leaderEpoch(reading)))
      if (doubtful.length > 0)
        void this.#with(leader, doubtful, () => this.#validate(leader, doubtful))
      else if (buffered < this.#options.maxBytes)
        void this.#with(leader, readings, () => this.#fetchFrom(leader, readings))
    }
  }

  #partition({ topic, partition }: TopicPartition) {
    return this.#cluster.metadata.partition(topic, partition)
  }

  #leaderEpoch(partition: TopicPartition): number {
    return this.#partition(partition)?.leaderEpoch ?? noLeaderEpoch
  }

  /** Asks a leader about partitions, and nothing else meanwhile. */
  async #with(
    leader: number,
    readings: readonly Reading[],
    ask: () => Promise<void>,
  ): Promise<void> {
    this.#busy.add(leader)
    try {
      await ask()
    } catch (error) {
      if (!this.#isClosed && !(error instanceof ClosedError))
        for (const reading of readings) this.#later(reading, error as Error)
    }
    this.#busy.delete(leader)
    this.#events.onArrival()
    this.fetch()
  }

  async #fetchFrom(leader: number, readings: readonly Reading[]): Promise<void> {
    const asked = readings.map((reading) => ({ reading, version: reading.version }))
    const answer = await this.#ask(leader, readings)
    if (answer.errorCode !== 0) throw new KafkaError(errorByCode(answer.errorCode))
    for (const { reading, version } of asked)
      if (reading.version === version) this.#accept(reading, answer)
  }

  /** What was fetched from another leader, and not handed out, is fetched anew. */
  async #validate(leader: number, readings: readonly Reading[]): Promise<void> {
    const asked = readings.map((reading) => {
      reading.dropFetched()
      const { topic, partition, version, positionEpoch: leaderEpoch } = reading
      const query = {
        topic,
        partition,
        leaderEpoch,
        currentLeaderEpoch: this.#leaderEpoch(reading),
      }
      return { reading, version, query }
    })
    const queries = asked.map(({ query }) => query)
    const ends = await askEpochEnds(this.#cluster, leader, queries)
    for (const { reading, version, query } of asked) {
      if (reading.version !== version) continue
      const end = ends?.get(nameOf(reading))
      if (ends === null) reading.leaderEpoch = query.currentLeaderEpoch
      else if (end === undefined) this.#later(reading, new KafkaError(errors.UNKNOWN_SERVER_ERROR))
      else this.#judge(reading, end, query.currentLeaderEpoch)
    }
  }

  #judge(reading: Reading, { error, leaderEpoch, endOffset }: EpochEnd, of: number): void {
    if (error !== errors.NONE) {
      this.#refused(reading, error)
      return
    }
    reading.failures = 0
    const { position } = reading
    const isKnown = leaderEpoch !== noLeaderEpoch && endOffset >= 0
    if (isKnown && endOffset >= position) {
      reading.leaderEpoch = of
      return
    }
    reading.retryAtMs = Number.POSITIVE_INFINITY
    this.#events.onTruncated(reading, position, isKnown ? { offset: endOffset, leaderEpoch } : null)
  }

  async #ask(leader: number, readings: readonly Reading[]): Promise<Answered<typeof apis.fetch>> {
    const { maxWaitMs, minBytes, maxBytes, partitionMaxBytes, isolation } = this.#options
    const connection = await this.#cluster.connectionTo(leader, 'fetch')
    const start = this.#turn++ % readings.length
    const rotated = [...readings.slice(start), ...readings.slice(0, start)]
    const topics = Array.from(byTopic(rotated), ([topic, rows]) => ({
      topic,
      topicId: this.#cluster.metadata.topics.get(topic)?.topicId ?? zeroUuid,
      partitions: rows.map(({ partition, fetchOffset, leaderEpoch: currentLeaderEpoch }) => ({
        partition,
        currentLeaderEpoch,
        fetchOffset,
        partitionMaxBytes,
      })),
    }))
    return connection.call(
      apis.fetch,
      { maxWaitMs, minBytes, maxBytes, isolationLevel: isolationCode(isolation), topics },
      {
        timeoutMs: this.#cluster.requestTimeoutMs + maxWaitMs,
        versionMin: 4,
        versionMax: topics.some(({ topicId }) => topicId === zeroUuid) ? 12 : undefined,
      },
    )
  }

  #accept(reading: Reading, answer: Answered<typeof apis.fetch>): void {
    const { topic, partition } = reading
    const topicId = this.#cluster.metadata.topics.get(topic)?.topicId
    const row = answer.responses
      .find((one) => one.topic === topic || (one.topic === '' && one.topicId === topicId))
      ?.partitions.find(({ partitionIndex }) => partitionIndex === partition)
    if (row === undefined) return
    const error = errorByCode(row.errorCode)
    if (error !== errors.NONE) {
      this.#refused(reading, error)
      return
    }
    reading.failures = 0
    reading.highWatermark = row.highWatermark
    reading.logStartOffset = row.logStartOffset
    const chunks = row.records ?? []
    const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    if (bytes.length === 0) return
    const aborted = this.#options.isolation === 'read_committed' ? row.abortedTransactions : null
    const fetched = new FetchedRecords(bytes, reading.fetchOffset, aborted)
    reading.fetchOffset = fetched.endOffset()
    reading.fetched.push(fetched)
  }

  #refused(reading: Reading, error: ErrorRow): void {
    const failure = new KafkaError(error, `${nameOf(reading)}: ${error.message}`)
    if (error === errors.OFFSET_OUT_OF_RANGE) {
      reading.retryAtMs = Number.POSITIVE_INFINITY
      this.#events.onOutOfRange(reading, reading.fetchOffset)
    } else if (error === errors.CORRUPT_MESSAGE) {
      const where = `${nameOf(reading)} is damaged at offset ${reading.fetchOffset}`
      reading.error = new KafkaError(
        error,
        `${where}: to read on, seek to an offset behind the damage`,
      )
    } else if (error.retriable || error === errors.FENCED_LEADER_EPOCH)
      this.#later(reading, failure)
    else reading.error = failure
  }

  #later(reading: Reading, error: Error): void {
    const { clock, timers, log } = this.#cluster.environment
    reading.failures++
    const waitMs = backoffMs(reading.failures)
    reading.retryAtMs = clock.monotonic() + waitMs
    const report = reading.failures === 10 ? log.warn : log.debug
    report.call(log, `cannot fetch from ${nameOf(reading)}, trying on`, { reason: String(error) })
    this.#cluster
      .refresh([reading.topic])
      .catch((failure: unknown) =>
        log.debug('cannot refresh metadata', { reason: String(failure) }),
      )
      .then(() => timers.after(waitMs, () => this.fetch()))
  }
}

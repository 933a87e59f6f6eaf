/**
 * Reads ahead of the consumer: while less than a bound of bytes waits for it, one Fetch is under way to
 * every broker that leads one of its partitions. All partitions of a leader go into one request, whose
 * order rotates, so that each gets its turn when an answer is full.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import type { BatchRecord } from '../../protocol/records/record.ts'
import { zeroUuid } from '../../protocol/types.ts'
import type { Milliseconds } from '../environment/environment.ts'
import type { Cluster } from './cluster.ts'
import type { Answered } from './connection.ts'
import { ClosedError } from './failures.ts'
import { FetchedRecords } from './fetched-records.ts'
import { type IsolationLevel, isolationCode } from './offsets.ts'
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
  /** As the last answer told it. */
  readonly highWatermark: number
}

/** A partition being read. */
class Reading implements TopicPartition {
  readonly topic: string
  readonly partition: number
  /** The offset of the next record that the consumer gets. */
  position: number
  /** Where the next fetch begins. */
  fetchOffset: number
  highWatermark = -1
  logStartOffset = -1
  fetched: FetchedRecords[] = []
  /** Opened, but more than the consumer wanted. */
  rest: BatchRecord[] = []
  failures = 0
  retryAtMs: Milliseconds = 0
  /** The consumer has to be told. */
  error: Error | null = null
  /** Counts seeks: answers to fetches from before a seek are dropped. */
  version = 0

  constructor({ topic, partition }: TopicPartition, position: number) {
    this.topic = topic
    this.partition = partition
    this.position = position
    this.fetchOffset = position
  }

  get bufferedBytes(): number {
    let bytes = 0
    for (const fetched of this.fetched) bytes += fetched.remainingBytes
    return bytes
  }

  seek(offset: number): void {
    this.version++
    this.position = offset
    this.fetchOffset = offset
    this.fetched = []
    this.rest = []
    this.error = null
    this.retryAtMs = 0
  }
}

export class Fetcher {
  readonly #cluster: Cluster
  readonly #options: FetchOptions
  /** Records may have arrived. */
  readonly #onArrival: () => void
  readonly #onOutOfRange: (partition: TopicPartition, offset: number) => void
  readonly #readings = new Map<string, Reading>()
  /** By name, as a partition stays paused when it is sought in. */
  readonly #paused = new Set<string>()
  readonly #busy = new Set<number>()
  #turn = 0
  #isClosed = false

  constructor(
    cluster: Cluster,
    options: FetchOptions,
    events: {
      readonly onArrival: () => void
      readonly onOutOfRange: (partition: TopicPartition, offset: number) => void
    },
  ) {
    this.#cluster = cluster
    this.#options = options
    this.#onArrival = events.onArrival
    this.#onOutOfRange = events.onOutOfRange
  }

  /** Reads the partition from here on. */
  start(partition: TopicPartition, offset: number): void {
    this.#readings.set(nameOf(partition), new Reading(partition, offset))
  }

  stop(partition: TopicPartition): void {
    this.#readings.delete(nameOf(partition))
  }

  seek(partition: TopicPartition, offset: number): void {
    this.#readings.get(nameOf(partition))?.seek(offset)
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
      const records = takeFrom(reading, left)
      if (records.length === 0) continue
      left -= records.length
      taken.push({
        topic: reading.topic,
        partition: reading.partition,
        records,
        nextOffset: reading.position,
        highWatermark: reading.highWatermark,
      })
    }
    this.fetch()
    return taken
  }

  /** Sends a fetch to every leader that has partitions to read, room for their records, and none under way. */
  fetch(): void {
    if (this.#isClosed || this.#cluster.isClosed) return
    const now = this.#cluster.environment.clock.monotonic()
    const byLeader = new Map<number, Reading[]>()
    for (const reading of this.#readings.values()) {
      if (this.#isPaused(reading) || reading.error !== null || reading.retryAtMs > now) continue
      const { topic, partition } = reading
      const leader = this.#cluster.metadata.partition(topic, partition)?.leader ?? -1
      if (leader < 0) this.#later(reading, new KafkaError(errors.LEADER_NOT_AVAILABLE))
      else byLeader.set(leader, [...(byLeader.get(leader) ?? []), reading])
    }
    for (const [leader, readings] of byLeader) {
      if (this.#busy.has(leader)) continue
      const buffered = readings.reduce((sum, reading) => sum + reading.bufferedBytes, 0)
      if (buffered >= this.#options.maxBytes) continue
      void this.#fetchFrom(leader, readings)
    }
  }

  async #fetchFrom(leader: number, readings: readonly Reading[]): Promise<void> {
    this.#busy.add(leader)
    const asked = readings.map((reading) => ({ reading, version: reading.version }))
    try {
      const answer = await this.#ask(leader, readings)
      if (answer.errorCode !== 0) throw new KafkaError(errorByCode(answer.errorCode))
      for (const { reading, version } of asked)
        if (reading.version === version) this.#accept(reading, answer)
    } catch (error) {
      if (!this.#isClosed && !(error instanceof ClosedError))
        for (const reading of readings) this.#later(reading, error as Error)
    }
    this.#busy.delete(leader)
    this.#onArrival()
    this.fetch()
  }

  async #ask(leader: number, readings: readonly Reading[]): Promise<Answered<typeof apis.fetch>> {
    const { maxWaitMs, minBytes, maxBytes, partitionMaxBytes, isolation } = this.#options
    const connection = await this.#cluster.connectionTo(leader, 'fetch')
    const start = this.#turn++ % readings.length
    const rotated = [...readings.slice(start), ...readings.slice(0, start)]
    const topics = Array.from(byTopic(rotated), ([topic, rows]) => ({
      topic,
      topicId: this.#cluster.metadata.topics.get(topic)?.topicId ?? zeroUuid,
      partitions: rows.map(({ partition, fetchOffset }) => ({
        partition,
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
      this.#onOutOfRange(reading, reading.fetchOffset)
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

function takeFrom(reading: Reading, recordsMax: number): readonly BatchRecord[] {
  let taken: BatchRecord[] = []
  try {
    while (taken.length < recordsMax) {
      const records = reading.rest.length > 0 ? reading.rest : nextRecords(reading)
      reading.rest = []
      if (records === null) break
      const room = recordsMax - taken.length
      reading.rest = records.slice(room)
      taken = taken.length === 0 ? records.slice(0, room) : taken.concat(records.slice(0, room))
    }
  } catch (error) {
    // Reading goes on behind the damage only if the consumer seeks there: what is on its way is not taken.
    reading.version++
    reading.fetched = []
    reading.fetchOffset = (taken.at(-1)?.offset ?? reading.position - 1) + 1
    reading.error = new Error(`${nameOf(reading)}: ${(error as Error).message}`, { cause: error })
  }
  reading.position = reading.rest[0]?.offset ?? reading.fetched[0]?.position ?? reading.fetchOffset
  return taken
}

/** The records of the next batch that arrived; null where there is none. */
function nextRecords(reading: Reading): BatchRecord[] | null {
  for (;;) {
    const first = reading.fetched[0]
    if (first === undefined) return null
    const records = first.next()
    if (records !== null) return records
    reading.fetched.shift()
  }
}

/**
 * What went in and out of a topic's partitions here, as plain numbers that only rise: Kafka's
 * BrokerTopicMetrics. All partitions of a topic share one of these, and all topics a total, which
 * outlives them. Counting is adding, so that it may be done on the way of every request.
 */
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import { DiskError } from '../environment/disk.ts'

/**
 * As in Kafka: what clients or failing disks bring about is no failure of a request to append. What else a log
 * refuses is told with where it begins.
 */
export const expectedRefusals: ReadonlySet<ErrorRow | null> = new Set([
  errors.UNKNOWN_TOPIC_OR_PARTITION,
  errors.UNKNOWN_TOPIC_ID,
  errors.NOT_LEADER_OR_FOLLOWER,
  errors.MESSAGE_TOO_LARGE,
  errors.RECORD_LIST_TOO_LARGE,
  errors.CORRUPT_MESSAGE,
  errors.KAFKA_STORAGE_ERROR,
])

export class TopicTraffic {
  messagesIn = 0
  /** Of batches, as they were appended. */
  bytesIn = 0
  bytesOut = 0
  /** Of batches that were too large. */
  bytesRejected = 0
  /** Appends that were asked for; a request counts once for each of its partitions, and so below. */
  produceRequests = 0
  failedProduceRequests = 0
  /** Of the partitions of a fetch session only those of which there may be something to tell. */
  fetchRequests = 0
  failedFetchRequests = 0
  readonly #total: TopicTraffic | null

  /** `total`: that of the broker; null for the total itself. */
  constructor(total: TopicTraffic | null) {
    this.#total = total
  }

  countProduce(): void {
    this.produceRequests++
    this.#total?.countProduce()
  }

  countAppended(messages: number, bytes: number): void {
    this.messagesIn += messages
    this.bytesIn += bytes
    this.#total?.countAppended(messages, bytes)
  }

  countRefused(error: unknown, bytes: number): void {
    const row = error instanceof KafkaError ? error.error : null
    if (row === errors.MESSAGE_TOO_LARGE) this.bytesRejected += bytes
    if (!expectedRefusals.has(row) && !(error instanceof DiskError)) this.failedProduceRequests++
    this.#total?.countRefused(error, bytes)
  }

  countFetch(): void {
    this.fetchRequests++
    this.#total?.countFetch()
  }

  countFailedFetch(): void {
    this.failedFetchRequests++
    this.#total?.countFailedFetch()
  }

  countSent(bytes: number): void {
    this.bytesOut += bytes
    this.#total?.countSent(bytes)
  }
}

/**
 * The dead letter queue of a sink: records that failed go, as they came, to a topic of their own, with
 * headers that say where they were and what went wrong (`errors.deadletterqueue.*`).
 */

import type { RecordHeader } from '../../../protocol/records/record.ts'
import { createTopics } from '../../client/admin/topics.ts'
import type { Cluster } from '../../client/cluster.ts'
import { isAnswer } from '../../client/failures.ts'
import { Producer, type ProducerOptions } from '../../client/producer.ts'
import { ConnectException, classNameOf, traceOf } from '../failures.ts'
import type { ErrorCounts } from '../runtime/task-measures.ts'
import type { ConsumedRecord } from './consumed-record.ts'
import type { ErrorReporter, Processing } from './tolerance.ts'

export interface DeadLetterOptions {
  readonly topic: string
  readonly replicationFactor: number
  readonly hasContextHeaders: boolean
  readonly connector: string
  readonly task: number
  readonly producer: ProducerOptions
  readonly counts: ErrorCounts
}

const headerPrefix = '__connect.errors.'

export class DeadLetterQueue {
  readonly #cluster: Cluster
  readonly #producer: Producer
  readonly #options: DeadLetterOptions

  /** Makes the topic where it is missing. Throws ConnectException. */
  static async open(cluster: Cluster, options: DeadLetterOptions): Promise<DeadLetterQueue> {
    const { topic: name, replicationFactor } = options
    const [created] = await createTopics(cluster, [
      { name, partitions: 1, replicationFactor, configs: new Map() },
    ])
    const error = created?.error ?? null
    if (error !== null && !isAnswer(error, 'TOPIC_ALREADY_EXISTS'))
      throw new ConnectException(
        `Could not initialize dead letter queue with topic=${name}: ${error.message}`,
        { cause: error },
      )
    return new DeadLetterQueue(cluster, options)
  }

  private constructor(cluster: Cluster, options: DeadLetterOptions) {
    this.#cluster = cluster
    this.#options = options
    this.#producer = new Producer(cluster, options.producer)
  }

  /** What cannot be written is logged, and no reason to fail, as in Kafka. */
  readonly report: ErrorReporter<ConsumedRecord> = async (processing) => {
    const { key, value, headers, timestamp } = processing.original
    const { topic, hasContextHeaders, counts } = this.#options
    const { log } = this.#cluster.environment
    counts.deadLetters++
    try {
      await this.#producer.send({
        topic,
        key,
        value,
        headers: hasContextHeaders ? [...headers, ...this.#context(processing)] : headers,
        ...(timestamp >= 0 ? { timestamp } : {}),
      })
    } catch (error) {
      counts.deadLettersFailed++
      log.error(`Could not produce message to dead letter queue. topic=${topic}`, {
        reason: String(error),
      })
    }
  }

  async close(): Promise<void> {
    await this.#producer.close()
  }

  #context(processing: Processing<ConsumedRecord>): RecordHeader[] {
    const { original, stage, className, error } = processing
    const { connector, task } = this.#options
    const texts: [string, string][] = [
      ['topic', original.topic],
      ['partition', String(original.partition)],
      ['offset', String(original.offset)],
      ['connector.name', connector],
      ['task.id', String(task)],
      ['stage', stage],
      ['class.name', className],
      ['exception.class.name', classNameOf(error)],
      ['exception.message', error instanceof Error ? error.message : String(error)],
      ['exception.stacktrace', traceOf(error)],
    ]
    return texts.map(([name, text]) => ({
      key: `${headerPrefix}${name}`,
      value: Buffer.from(text),
    }))
  }
}

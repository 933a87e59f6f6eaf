/**
 * The topic `_schemas`: one partition, compacted, read from its beginning and followed to its end; what is
 * written is answered for once it was read back.
 *
 * Several registries may share the topic. Each decides by what it has read, so two that write at once
 * could give one id twice. So only one of them holds the pen. It is taken by asking the transaction
 * coordinator for the producer's next epoch, writing a NOOP with it, and reading up to that: from then on
 * the partition's leader refuses whatever the last holder writes, and nothing can come in between what was
 * read and what is written next. Who is refused takes the pen again, reads what it missed, and decides
 * anew. Any Kafka from 0.11 on does that much; none needs to know the others.
 */
import { apis } from '../../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../../protocol/errors.ts'
import { encodeBatch } from '../../../protocol/records/record.ts'
import { zeroUuid } from '../../../protocol/types.ts'
import { createTopics } from '../../client/admin/topics.ts'
import type { Cluster } from '../../client/cluster.ts'
import { Consumer } from '../../client/consumer.ts'
import { isAnswer, isRetriable, TimeoutError } from '../../client/failures.ts'
import { latest, listOffsets } from '../../client/offsets.ts'
import { pause } from '../../client/retry.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import { RegistryError, refusals } from '../registry-error.ts'
import { decodeRecord, encodeRecord, type RegistryRecord } from './records.ts'

export interface SchemaLogOptions {
  readonly topic: string
  /** Copies of the topic where it has to be created; as many as there are brokers if that is less. */
  readonly replicationFactor: number
  /** Milliseconds for a write with all its repetitions, and for reading to the end. */
  readonly timeoutMs: Milliseconds
}

interface Pen {
  readonly producerId: number
  readonly producerEpoch: number
  nextSequence: number
  usedMs: number
}

interface Waiter {
  readonly offset: number
  readonly resolve: () => void
}

/** A leader may forget a producer that is silent for long, and with it whom it has to refuse. */
const penIdleMsMax = 600_000
/** Records of one write; a subject may have many versions to delete. */
const recordsMax = 10_000

export class SchemaLog {
  readonly #cluster: Cluster
  readonly #options: SchemaLogOptions
  readonly #apply: (record: RegistryRecord) => void
  readonly #consumer: Consumer
  /** The offset of the next record to be applied. */
  #position = 0
  #waiters: Waiter[] = []
  #pen: Pen | null = null
  #writing: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(
    cluster: Cluster,
    options: SchemaLogOptions,
    apply: (record: RegistryRecord) => void,
  ) {
    this.#cluster = cluster
    this.#options = options
    this.#apply = apply
    this.#consumer = new Consumer(cluster, { fetchMaxWaitMs: 5000 })
  }

  /** Creates the topic where it is missing, and reads it to its end. Rejects with RegistryError. */
  async open(): Promise<void> {
    await this.#told(async () => {
      await this.#createTopic()
      const { partitions } = await this.#cluster.topic(this.#options.topic)
      if (partitions.length !== 1)
        throw new Error(
          `topic ${this.#options.topic} has ${partitions.length} partitions: it needs one, so that there is one order`,
        )
      this.#consumer.assign([{ topic: this.#options.topic, partition: 0, offset: 'earliest' }])
      void this.#follow()
      await this.#readToEnd()
    })
  }

  /** Resolves when everything that is in the topic now is applied. Rejects with RegistryError. */
  catchUp(): Promise<void> {
    return this.#told(() => this.#readToEnd())
  }

  /**
   * Writes what `decide` returns, one caller after the other, and resolves with its answer once that is
   * written and applied. `decide` sees all that was written before; it runs again where that turns out to
   * be wrong. Rejects with what it rejects with, or with RegistryError.
   */
  write<Answer>(
    decide: () => Promise<{ readonly records: readonly RegistryRecord[]; readonly answer: Answer }>,
  ): Promise<Answer> {
    const written = this.#writing.then(() => this.#told(() => this.#write(decide)))
    this.#writing = written.catch(() => undefined)
    return written
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#consumer.close()
  }

  async #write<Answer>(
    decide: () => Promise<{ readonly records: readonly RegistryRecord[]; readonly answer: Answer }>,
  ): Promise<Answer> {
    const { clock } = this.#cluster.environment
    const deadline = clock.monotonic() + this.#options.timeoutMs
    for (;;) {
      try {
        const held = this.#heldPen()
        if (held !== null) await this.#readToEnd()
        const pen = held ?? (await this.#takePen())
        const { records, answer } = await decide()
        if (records.length > recordsMax) throw refusals.tooLarge()
        if (records.length > 0) await this.#append(pen, records)
        return answer
      } catch (error) {
        if (!isFenced(error)) {
          // Whether it was written is not known: whoever writes next reads first.
          if (!(error instanceof RegistryError)) this.#pen = null
          throw error
        }
        this.#pen = null
        if (clock.monotonic() > deadline) throw error
        await pause(this.#cluster.environment, 20)
      }
    }
  }

  #heldPen(): Pen | null {
    const now = this.#cluster.environment.clock.monotonic()
    return this.#pen !== null && now - this.#pen.usedMs < penIdleMsMax ? this.#pen : null
  }

  async #takePen(): Promise<Pen> {
    const transactionalId = `schema-registry-${this.#options.topic}`
    const key = { type: 'transaction', id: transactionalId } as const
    const { producerId, producerEpoch } = await this.#cluster.retrying(
      'take the pen',
      async () => {
        const answer = await this.#cluster.callCoordinator(key, apis.initProducerId, {
          transactionalId,
          transactionTimeoutMs: 60_000,
        })
        this.#cluster.checkCoordinator(key.type, key.id, answer.errorCode)
        return answer
      },
      this.#options.timeoutMs,
    )
    const pen: Pen = { producerId, producerEpoch, nextSequence: 0, usedMs: 0 }
    await this.#append(pen, [{ type: 'NOOP' }])
    this.#pen = pen
    return pen
  }

  /** Resolves when the records are applied. The same bytes may be sent again: they are kept once. */
  async #append(pen: Pen, records: readonly RegistryRecord[]): Promise<void> {
    const { environment, requestTimeoutMs } = this.#cluster
    const { topic: name, timeoutMs } = this.#options
    pen.usedMs = environment.clock.monotonic()
    const timestamp = environment.clock.now()
    const batch = encodeBatch({
      records: records.map((record, index) => ({
        offset: index,
        timestamp,
        headers: [],
        ...encodeRecord(record),
      })),
      producerId: pen.producerId,
      producerEpoch: pen.producerEpoch,
      baseSequence: pen.nextSequence,
    })
    pen.nextSequence = (pen.nextSequence + records.length) & 0x7fffffff
    const baseOffset = await this.#cluster.retrying(
      `write to ${name}`,
      async () => {
        const { topicId = zeroUuid } = await this.#cluster.topic(name)
        const leader = await this.#cluster.leader(name, 0)
        const partitionData = [{ index: 0, records: [batch] }]
        const answer = await this.#cluster.callNode(
          leader,
          apis.produce,
          { acks: -1, timeoutMs: requestTimeoutMs, topicData: [{ name, topicId, partitionData }] },
          { lane: 'produce', versionMin: 3, versionMax: topicId === zeroUuid ? 12 : undefined },
        )
        const result = answer.responses[0]?.partitionResponses[0]
        const error = errorByCode(result?.errorCode ?? errors.UNKNOWN_SERVER_ERROR.code)
        if (error.retriable) this.#cluster.metadata.forget(name)
        if (error !== errors.NONE && error !== errors.DUPLICATE_SEQUENCE_NUMBER)
          throw new KafkaError(error, result?.errorMessage ?? undefined)
        return result?.baseOffset ?? -1
      },
      timeoutMs,
    )
    // A leader that knows the batch already may not know any more where it is.
    if (baseOffset < 0) await this.#readToEnd()
    else await this.#reaches(baseOffset + records.length)
  }

  async #readToEnd(): Promise<void> {
    const query = { topic: this.#options.topic, partition: 0, timestamp: latest }
    const [end] = await listOffsets(this.#cluster, [query])
    await this.#reaches(end?.offset ?? 0)
  }

  #reaches(offset: number): Promise<void> {
    if (this.#position >= offset) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const { timers } = this.#cluster.environment
      const timer = timers.after(this.#options.timeoutMs, () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        reject(new KafkaError(errors.REQUEST_TIMED_OUT, `not read up to offset ${offset}`))
      })
      const waiter: Waiter = {
        offset,
        resolve: () => {
          timer.cancel()
          resolve()
        },
      }
      this.#waiters.push(waiter)
      this.#consumer.wakeUp()
    })
  }

  /** Until it is closed. What fails is tried again: the topic may be away for a while. */
  async #follow(): Promise<void> {
    const { environment } = this.#cluster
    const partition = { topic: this.#options.topic, partition: 0 }
    while (!this.#isClosed) {
      try {
        for (const { records, nextOffset } of await this.#consumer.poll({ timeoutMs: 1000 })) {
          for (const { key, value } of records) {
            const record = decodeRecord(key, value)
            if (record !== null) this.#apply(record)
          }
          this.#position = nextOffset
        }
        // Where the last records were compacted away there is none to tell of it.
        this.#position = Math.max(this.#position, this.#consumer.position(partition) ?? 0)
        this.#wake()
      } catch (error) {
        if (this.#isClosed) return
        environment.log.warn(`schema registry: cannot read ${partition.topic}`, {
          reason: String(error),
        })
        await pause(environment, 1000)
      }
    }
  }

  #wake(): void {
    const reached = this.#waiters.filter(({ offset }) => offset <= this.#position)
    this.#waiters = this.#waiters.filter(({ offset }) => offset > this.#position)
    for (const { resolve } of reached) resolve()
  }

  async #createTopic(): Promise<void> {
    const { topic: name, replicationFactor, timeoutMs } = this.#options
    const nodes = await this.#cluster.nodes()
    const [outcome] = await createTopics(this.#cluster, [
      {
        name,
        partitions: 1,
        replicationFactor: Math.min(replicationFactor, Math.max(1, nodes.length)),
        configs: new Map([['cleanup.policy', 'compact']]),
      },
    ])
    const error = outcome?.error ?? null
    if (error !== null && !isAnswer(error, 'TOPIC_ALREADY_EXISTS')) {
      if (!isAnswer(error, 'TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED'))
        throw error
      // It may be there all the same, created by somebody who may.
      await this.#cluster.retrying(
        `find ${name}`,
        () => this.#cluster.topic(name).then(() => undefined),
        timeoutMs,
      )
    }
  }

  /** In the registry's words, unless they are already. */
  async #told<Result>(attempt: () => Promise<Result>): Promise<Result> {
    try {
      return await attempt()
    } catch (error) {
      if (isAnswer(error, 'MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE')) throw refusals.tooLarge()
      if (error instanceof TimeoutError || isRetriable(error)) throw refusals.timedOut(error)
      if (error instanceof KafkaError) throw refusals.store(error.message, error)
      throw error
    }
  }
}

/** Another registry holds the pen now, or the leader does not know this one. */
function isFenced(error: unknown): boolean {
  return isAnswer(
    error,
    'INVALID_PRODUCER_EPOCH',
    'PRODUCER_FENCED',
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
    'UNKNOWN_PRODUCER_ID',
  )
}

/**
 * Transactions as clients of transaction version 2 (KIP-890) write them: the first Produce or
 * TxnOffsetCommit adds itself, EndTxn brings the next epoch. Whatever may be tried again is, after
 * the time that Kafka's own producer waits for it.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { apis } from '../../protocol/apis.ts'
import { errorByCode } from '../../protocol/errors.ts'
import { encodeBatch, type NewRecord, openBatch } from '../../protocol/records/record.ts'
import { cpuSeconds } from './broker-cpu.ts'
import { type Options, type Result, summary } from './options.ts'
import { Peer } from './peer.ts'
import {
  createTopic,
  fetchFrame,
  fetchOnce,
  produceFrame,
  untilCoordinated,
  untilTaken,
  wholeBatches,
} from './requests.ts'

/** The newest versions with names of topics instead of ids. */
const versions = { initProducerId: 5, produce: 12, txnOffsetCommit: 5, endTxn: 5 }

/** What Kafka's producer waits where the transaction before is still being ended. */
const retryMs = 20

/** Asks until the answer is no error; throws where trying again would not help. */
async function untilAnswered<Answer>(
  ask: () => Promise<Answer>,
  codeOf: (answer: Answer) => number | undefined,
): Promise<Answer> {
  for (;;) {
    const answer = await ask()
    const code = codeOf(answer)
    if (code === 0) return answer
    if (code === undefined || !errorByCode(code).retriable) {
      throw new Error(`a transaction was answered with error ${code}`)
    }
    await setTimeout(retryMs)
  }
}

class TransactionalProducer {
  readonly #peer: Peer
  readonly #transactionalId: string
  #producerId = -1
  #producerEpoch = -1
  #sequence = 0

  private constructor(peer: Peer, transactionalId: string) {
    this.#peer = peer
    this.#transactionalId = transactionalId
  }

  static async begin(peer: Peer, transactionalId: string): Promise<TransactionalProducer> {
    const producer = new TransactionalProducer(peer, transactionalId)
    await untilCoordinated(peer, 'transaction', transactionalId)
    const request = { transactionalId, transactionTimeoutMs: 60_000 }
    const answer = await untilAnswered(
      () => peer.call(apis.initProducerId, versions.initProducerId, request),
      ({ errorCode }) => errorCode,
    )
    producer.#adopt(answer)
    return producer
  }

  /** One batch; a transaction writes to one partition only, which is why one sequence is enough. */
  async produce(name: string, index: number, records: readonly NewRecord[]): Promise<void> {
    const batch = encodeBatch({
      records,
      isTransactional: true,
      producerId: this.#producerId,
      producerEpoch: this.#producerEpoch,
      baseSequence: this.#sequence,
    })
    this.#sequence += records.length
    const request = {
      transactionalId: this.#transactionalId,
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ name, partitionData: [{ index, records: [batch] }] }],
    }
    await untilAnswered(
      () => this.#peer.call(apis.produce, versions.produce, request),
      ({ responses }) => responses[0]?.partitionResponses[0]?.errorCode,
    )
  }

  /** The group's next offset in the partition, as a part of the transaction. */
  async commitOffset(groupId: string, name: string, partitionIndex: number, offset: number) {
    const partition = { partitionIndex, committedOffset: offset, committedMetadata: '' }
    const request = {
      ...{ transactionalId: this.#transactionalId, groupId, memberId: '', groupInstanceId: null },
      ...{ producerId: this.#producerId, producerEpoch: this.#producerEpoch },
      topics: [{ name, partitions: [partition] }],
    }
    await untilAnswered(
      () => this.#peer.call(apis.txnOffsetCommit, versions.txnOffsetCommit, request),
      ({ topics }) => topics[0]?.partitions[0]?.errorCode,
    )
  }

  async commit(): Promise<void> {
    const request = {
      transactionalId: this.#transactionalId,
      producerId: this.#producerId,
      producerEpoch: this.#producerEpoch,
      committed: true,
    }
    const answer = await untilAnswered(
      () => this.#peer.call(apis.endTxn, versions.endTxn, request),
      ({ errorCode }) => errorCode,
    )
    this.#adopt(answer)
  }

  #adopt({ producerId, producerEpoch }: { producerId: number; producerEpoch: number }): void {
    this.#producerId = producerId
    this.#producerEpoch = producerEpoch
    this.#sequence = 0
  }
}

/** Each connection commits one transaction after the other, each of one batch. */
export async function transactions(options: Options): Promise<Result> {
  const { topic, partitions, connections, recordBytes, batchRecords } = options
  const open = () => Peer.open(options.port)
  const peers = await Promise.all(Array.from({ length: connections }, open))
  await createTopic(peers[0] as Peer, options)
  const begin = (peer: Peer, number: number) =>
    TransactionalProducer.begin(peer, `${topic}-${number}`)
  const producers = await Promise.all(peers.map(begin))
  const timestamp = Date.now()
  const records = Array.from({ length: batchRecords }, () => ({
    ...{ timestamp, key: null, value: randomBytes(recordBytes) },
  }))
  const once = async (producer: TransactionalProducer, number: number) => {
    await producer.produce(topic, number % partitions, records)
    await producer.commit()
  }
  // Not counted: the first of each waits for leaders that have only just been elected.
  await Promise.all(producers.map(once))
  const latenciesMs: number[] = []
  const cpuBefore = cpuSeconds(options.pid)
  const startedMs = performance.now()
  const endMs = startedMs + options.seconds * 1000
  const commitMany = async (producer: TransactionalProducer, number: number) => {
    for (let sentMs = startedMs; sentMs < endMs; ) {
      await once(producer, number)
      const nowMs = performance.now()
      latenciesMs.push(nowMs - sentMs)
      sentMs = nowMs
    }
  }
  await Promise.all(producers.map(commitMany))
  const seconds = (performance.now() - startedMs) / 1000
  for (const peer of peers) peer.close()
  const whole = summary(latenciesMs, seconds, batchRecords * recordBytes, batchRecords)
  return { ...whole, cpuSeconds: cpuSeconds(options.pid) - cpuBefore }
}

/** Batches of a hundred records that the loop below reads, ten to a transaction. */
const inputBatchRecords = 100
const inputBatchesPerTransaction = 10

/**
 * A loop for each partition reads what is committed, writes every record changed to another topic
 * and commits both in one transaction; at the end of its input it begins again.
 */
export async function consumeTransformProduce(options: Options): Promise<Result> {
  const { topic, partitions, recordBytes } = options
  const first = await Peer.open(options.port)
  const results = { ...options, topic: `${topic}-results` }
  await createTopic(first, options)
  await createTopic(first, results)
  await untilCoordinated(first, 'group', `${topic}-group`)
  let frameBytes = 0
  for (let index = 0; index < partitions; index++) {
    const frame = produceFrame(topic, index, inputBatchRecords, recordBytes)
    frameBytes = frame.length
    await untilTaken(
      first,
      Array.from({ length: 10 * inputBatchesPerTransaction }, () => frame),
    )
  }
  const latenciesMs: number[] = []
  let records = 0
  const cpuBefore = cpuSeconds(options.pid)
  const startedMs = performance.now()
  const endMs = startedMs + options.seconds * 1000
  const transform = async (partition: number) => {
    const peer = await Peer.open(options.port)
    const producer = await TransactionalProducer.begin(peer, `${topic}-${partition}`)
    const bytesMax = frameBytes * inputBatchesPerTransaction
    for (let offset = 0, sentMs = performance.now(); sentMs < endMs; ) {
      const frame = fetchFrame(topic, partition, offset, 0, bytesMax)
      const got = await fetchOnce(peer, frame)
      if (got.records === undefined || got.nextOffset < 0) {
        offset = 0
        continue
      }
      const changed = transformed(got.records)
      await producer.produce(results.topic, partition, changed)
      await producer.commitOffset(`${topic}-group`, topic, partition, got.nextOffset)
      await producer.commit()
      offset = got.nextOffset
      records += changed.length
      const nowMs = performance.now()
      latenciesMs.push(nowMs - sentMs)
      sentMs = nowMs
    }
    peer.close()
  }
  await Promise.all(Array.from({ length: partitions }, (_, partition) => transform(partition)))
  const seconds = (performance.now() - startedMs) / 1000
  first.close()
  const whole = summary(latenciesMs, seconds, 0, 0)
  const used = { cpuSeconds: cpuSeconds(options.pid) - cpuBefore }
  return { ...whole, ...used, records, recordsPerSecond: records / seconds }
}

/** Every record with its value's first byte turned over. */
function transformed(bytes: Buffer): NewRecord[] {
  const records: NewRecord[] = []
  for (const at of wholeBatches(bytes)) {
    const cursor = openBatch(bytes, at)
    while (cursor.next()) {
      const { timestamp, key, value } = cursor
      if (value !== null) value[0] = ~(value[0] ?? 0)
      records.push({ timestamp, key, value })
    }
  }
  return records
}

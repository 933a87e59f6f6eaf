/** Records from before their Produce to their arrival by Fetch, one consumer a partition or one for all of them. */
import { setTimeout } from 'node:timers/promises'
import { apis } from '../../protocol/apis.ts'
import { encodeRequest } from '../../protocol/frame.ts'
import { lastOffset } from '../../protocol/records/batch.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { cpuSeconds } from './broker-cpu.ts'
import { type Options, type Result, summary } from './options.ts'
import { atRate } from './paced.ts'
import { decode, Peer } from './peer.ts'
import {
  createTopic,
  fetchFrame,
  fetchOnce,
  isProduced,
  produceFrame,
  produceRequestFrame,
  untilTaken,
  versions,
  wholeBatches,
} from './requests.ts'

/** Single records at a steady rate, each timed from before its Produce to its arrival by Fetch. */
export async function endToEnd(options: Options): Promise<Result> {
  const { topic, partitions, ratePerSecond } = options
  const producer = await Peer.open(options.port)
  if (!options.isBare) {
    await createTopic(producer, options)
    const first = Array.from({ length: partitions }, (_, index) => produceFrame(topic, index, 1, 1))
    await untilTaken(producer, first)
  }
  const latenciesMs: number[] = []
  const total = Math.floor(ratePerSecond * options.seconds)
  let isDone = false
  const consume = async (partition: number) => {
    const peer = await Peer.open(options.port)
    for (let offset = 1; !isDone; ) {
      const got = await fetchOnce(peer, fetchFrame(topic, partition, offset, 500))
      const nowMs = performance.now()
      if (got.records === undefined || got.bytes === 0) continue
      for (const sentMs of timesOfSending(got.records)) latenciesMs.push(nowMs - sentMs)
      offset = got.nextOffset
      isDone = latenciesMs.length >= total
    }
    peer.close()
  }
  const consumers = Array.from({ length: partitions }, (_, partition) => consume(partition))
  const startedMs = performance.now()
  await atRate(ratePerSecond, (sent) => {
    if (sent < total) sendStamped(producer, topic, sent % partitions, options.recordBytes)
    return sent < total
  })
  await Promise.race([Promise.all(consumers), setTimeout(10_000)])
  if (latenciesMs.length < total)
    throw new Error(`${latenciesMs.length} of ${total} records arrived`)
  producer.close()
  return summary(latenciesMs, (performance.now() - startedMs) / 1000, options.recordBytes, 1)
}

const marker = Buffer.from('sent-at:')

function sendStamped(peer: Peer, topic: string, index: number, recordBytes: number): void {
  const value = Buffer.alloc(recordBytes)
  marker.copy(value)
  value.writeDoubleBE(performance.now(), marker.length)
  const batch = encodeBatch({ records: [{ timestamp: Date.now(), key: null, value, headers: [] }] })
  peer.exchange([produceRequestFrame(topic, index, batch)], isProduced)
}

/** When each record was sent: the first bytes of its value after the marker say so. */
function* timesOfSending(records: Buffer): Iterable<number> {
  for (const batch of wholeBatches(records)) {
    const at = records.indexOf(marker, batch)
    yield records.readDoubleBE(at + marker.length)
  }
}

/** One consumer reads all partitions in an incremental fetch session (KIP-227), and names only what moved on. */
class SessionConsumer {
  readonly latenciesMs: number[] = []
  readonly #peer: Peer
  readonly #topic: string
  #moved: ReadonlyMap<number, number>
  #sessionId = 0
  #sessionEpoch = 0

  constructor(peer: Peer, topic: string, offsets: ReadonlyMap<number, number>) {
    this.#peer = peer
    this.#topic = topic
    this.#moved = offsets
  }

  async fetch(maxWaitMs: number): Promise<void> {
    const partitions = [...this.#moved].map(([partition, fetchOffset]) => ({
      ...{ partition, fetchOffset, partitionMaxBytes: 1024 * 1024 },
    }))
    const frame = encodeRequest(
      apis.fetch.request,
      versions.fetch,
      { correlationId: 1, clientId: 'bench' },
      {
        ...{ maxWaitMs, minBytes: 1, maxBytes: 50 * 1024 * 1024, forgottenTopicsData: [] },
        ...{ sessionId: this.#sessionId, sessionEpoch: this.#sessionEpoch },
        topics: partitions.length === 0 ? [] : [{ topic: this.#topic, partitions }],
      },
    )
    const answer = await new Promise<Buffer>((resolve) => this.#peer.exchange(frame, resolve))
    const nowMs = performance.now()
    const { errorCode, sessionId, responses } = decode(apis.fetch, versions.fetch, answer)
    if (errorCode !== 0 || sessionId === 0) throw new Error(`Fetch was answered with ${errorCode}`)
    this.#sessionId = sessionId
    this.#sessionEpoch++
    const moved = new Map<number, number>()
    for (const { partitionIndex, records } of responses.flatMap((topic) => topic.partitions)) {
      const bytes = records?.[0]
      if (bytes === undefined || bytes.length === 0) continue
      for (const sentMs of timesOfSending(bytes)) this.latenciesMs.push(nowMs - sentMs)
      for (const at of wholeBatches(bytes)) moved.set(partitionIndex, lastOffset(bytes, at) + 1)
    }
    this.#moved = moved
  }
}

/** Single records at a steady rate to all partitions in turn, read by one consumer in one session. */
export async function sessionFetch(options: Options): Promise<Result> {
  const { topic, partitions, ratePerSecond, recordBytes } = options
  const producer = await Peer.open(options.port)
  await createTopic(producer, options)
  const indexes = Array.from({ length: partitions }, (_, index) => index)
  const first = indexes.map((index) => produceFrame(topic, index, 1, 1))
  await untilTaken(producer, first)
  const peer = await Peer.open(options.port)
  const consumer = new SessionConsumer(peer, topic, new Map(indexes.map((index) => [index, 1])))
  for (let count = 0; count < 3; count++) await consumer.fetch(1)
  const total = Math.floor(ratePerSecond * options.seconds)
  const cpuBefore = cpuSeconds(options.pid)
  const startedMs = performance.now()
  const sending = atRate(ratePerSecond, (sent) => {
    if (sent < total) sendStamped(producer, topic, sent % partitions, recordBytes)
    return sent < total
  })
  while (consumer.latenciesMs.length < total) {
    if (performance.now() - startedMs > options.seconds * 1000 + 10_000)
      throw new Error('records are missing')
    await consumer.fetch(500)
  }
  await sending
  const seconds = (performance.now() - startedMs) / 1000
  const used = { cpuSeconds: cpuSeconds(options.pid) - cpuBefore }
  producer.close()
  peer.close()
  return { ...summary(consumer.latenciesMs, seconds, recordBytes, 1), ...used }
}

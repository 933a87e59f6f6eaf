/**
 * The load driver of `npm run bench`: one workload against one broker, over plain sockets with prebuilt
 * frames, so that what the driver costs stays small beside what the broker costs. Works against any
 * Kafka. `node driver.js WORKLOAD '{"port":9092,…}'` prints one line of JSON.
 */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { errorByCode } from '../../protocol/errors.ts'
import { decodeResponse, decodeResponseHeader, encodeRequest } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import { batches, lastOffset } from '../../protocol/records/batch.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import type { InputOf, MessageOf } from '../../protocol/schema.ts'

interface Options {
  readonly port: number
  readonly topic: string
  readonly partitions: number
  readonly connections: number
  /** Bytes of records in a request. */
  readonly batchBytes: number
  /** Bytes of a record's value. */
  readonly recordBytes: number
  readonly seconds: number
  /** Stop after so many bytes, so that a fast broker does not fill the disk. */
  readonly bytesMax: number
  readonly ratePerSecond: number
  /** Settings of the topic. */
  readonly configs: Readonly<Record<string, string>>
}

const presets: Options = {
  port: 9092,
  topic: 'bench',
  partitions: 6,
  connections: 2,
  batchBytes: 1_000_000,
  recordBytes: 1024,
  seconds: 3,
  bytesMax: 1.5e9,
  ratePerSecond: 1000,
  configs: {},
}

/** Versions that Kafka 4.3 and we both serve, with topic names instead of ids. */
const versions = { produce: 9, fetch: 12, metadata: 12, createTopics: 7, listOffsets: 7 }

/** A connection that sends frames and hands each response frame to whoever is next in line. */
class Peer {
  readonly #socket: Socket
  readonly #waiting: ((frame: Buffer) => void)[] = []
  #chunks: Buffer[] = []
  #bytes = 0
  #needed = 4

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
  }

  static open(port: number): Promise<Peer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1' }, () => resolve(new Peer(socket)))
      socket.once('error', reject)
    })
  }

  exchange(frame: readonly Buffer[], received: (frame: Buffer) => void): void {
    this.#waiting.push(received)
    this.#socket.cork()
    for (const chunk of frame) this.#socket.write(chunk)
    this.#socket.uncork()
  }

  async call<Api extends ApiRow>(
    api: Api,
    version: number,
    request: InputOf<Api['request']>,
  ): Promise<MessageOf<Api['response']>> {
    const head = { correlationId: 1, clientId: 'bench' }
    const frame = await new Promise<Buffer>((resolve) => {
      this.exchange(encodeRequest<Api['request']>(api.request, version, head, request), resolve)
    })
    return decode(api, version, frame)
  }

  close(): void {
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    while (this.#bytes >= this.#needed) {
      const all =
        this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks)
      this.#chunks = [all]
      const length = all.readInt32BE(0)
      this.#needed = 4 + length
      if (all.length < this.#needed) return
      const rest = all.subarray(this.#needed)
      this.#chunks = rest.length > 0 ? [rest] : []
      this.#bytes = rest.length
      this.#needed = 4
      this.#waiting.shift()?.(all.subarray(4, 4 + length))
    }
  }
}

function decode<Api extends ApiRow>(
  api: Api,
  version: number,
  frame: Buffer,
): MessageOf<Api['response']> {
  const reader = new Reader(frame)
  decodeResponseHeader(reader, api.response, version)
  return decodeResponse<Api['response']>(api.response, version, reader)
}

/** A whole Produce frame with one batch for one partition; records do not compress. */
function produceFrame(topic: string, index: number, count: number, recordBytes: number): Buffer {
  const timestamp = Date.now()
  const records = Array.from({ length: count }, () => ({
    timestamp,
    key: null,
    value: randomBytes(recordBytes),
    headers: [],
  }))
  const frame = encodeRequest(
    apis.produce.request,
    versions.produce,
    { correlationId: 1, clientId: 'bench' },
    {
      transactionalId: null,
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ name: topic, partitionData: [{ index, records: [encodeBatch({ records })] }] }],
    },
  )
  return Buffer.concat(frame)
}

/** Whether the records were taken; throws where trying again would not help. */
function isProduced(frame: Buffer): boolean {
  const { responses } = decode(apis.produce, versions.produce, frame)
  const code = responses[0]?.partitionResponses[0]?.errorCode
  if (code === undefined || (code !== 0 && !errorByCode(code).retriable)) {
    throw new Error(`Produce was answered with error ${code}`)
  }
  return code === 0
}

/** Kafka tells clients of a new leader a little before the leader itself knows. */
async function untilTaken(peer: Peer, frames: readonly Buffer[]): Promise<void> {
  for (const frame of frames) {
    while (!isProduced(await new Promise((resolve) => peer.exchange([frame], resolve)))) {
      await setTimeout(20)
    }
  }
}

async function createTopic(peer: Peer, options: Options): Promise<void> {
  const { topic: name, partitions: numPartitions } = options
  const configs = Object.entries(options.configs).map(([name, value]) => ({ name, value }))
  const { topics } = await peer.call(apis.createTopics, versions.createTopics, {
    topics: [{ name, numPartitions, replicationFactor: 1, assignments: [], configs }],
    timeoutMs: 30_000,
  })
  const code = topics[0]?.errorCode
  if (code !== 0 && code !== 36) throw new Error(`CreateTopics was answered with error ${code}`)
  await untilLed(peer, [name])
}

async function untilLed(peer: Peer, names: readonly string[]): Promise<void> {
  for (;;) {
    const { topics } = await peer.call(apis.metadata, versions.metadata, {
      topics: names.map((name) => ({ name })),
      allowAutoTopicCreation: false,
    })
    const isLed = (topic: (typeof topics)[number]) =>
      topic.errorCode === 0 && topic.partitions.every(({ leaderId }) => leaderId >= 0)
    if (topics.length === names.length && topics.every(isLed)) return
    await setTimeout(2)
  }
}

/** Until the leader of every partition answers for it. */
async function untilUsable(
  peer: Peer,
  names: readonly string[],
  partitions: number,
): Promise<void> {
  await untilLed(peer, names)
  for (;;) {
    const answer = await peer.call(apis.listOffsets, versions.listOffsets, {
      replicaId: -1,
      isolationLevel: 0,
      topics: names.map((name) => ({
        name,
        partitions: Array.from({ length: partitions }, (_, partitionIndex) => ({
          partitionIndex,
          timestamp: -1,
        })),
      })),
    })
    const rows = answer.topics.flatMap((topic) => topic.partitions)
    if (rows.length === names.length * partitions && rows.every(({ errorCode }) => errorCode === 0))
      return
    await setTimeout(2)
  }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

interface Result {
  readonly [name: string]: number
}

function summary(
  latenciesMs: number[],
  seconds: number,
  requestBytes: number,
  records: number,
): Result {
  const sorted = latenciesMs.sort((a, b) => a - b)
  const count = sorted.length
  return {
    requests: count,
    seconds,
    bytes: count * requestBytes,
    requestsPerSecond: count / seconds,
    mbPerSecond: (count * requestBytes) / 1e6 / seconds,
    recordsPerSecond: (count * records) / seconds,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    p999Ms: quantile(sorted, 0.999),
  }
}

/** Keeps `depth` requests in flight on each connection. */
async function produce(options: Options, depth: number): Promise<Result> {
  const { topic, partitions, connections, recordBytes, batchBytes } = options
  const records = Math.max(1, Math.floor(batchBytes / (recordBytes + 8)))
  const peers = await Promise.all(
    Array.from({ length: connections }, () => Peer.open(options.port)),
  )
  await createTopic(peers[0] as Peer, options)
  const frames = Array.from({ length: partitions }, (_, index) =>
    produceFrame(topic, index, records, recordBytes),
  )
  await untilTaken(peers[0] as Peer, frames)
  const frameBytes = frames[0]?.length ?? 0
  const latenciesMs: number[] = []
  const startedMs = performance.now()
  const endMs = startedMs + options.seconds * 1000
  let sent = 0
  await Promise.all(
    peers.map(
      (peer, number) =>
        new Promise<void>((resolve, reject) => {
          let inFlight = 0
          let next = number
          const send = () => {
            const sentMs = performance.now()
            if (sentMs > endMs || sent >= options.bytesMax) {
              if (inFlight === 0) resolve()
              return
            }
            inFlight++
            sent += frameBytes
            peer.exchange([frames[next++ % partitions] as Buffer], (frame) => {
              inFlight--
              try {
                if (!isProduced(frame)) throw new Error('a leader was lost')
              } catch (error) {
                reject(error)
                return
              }
              latenciesMs.push(performance.now() - sentMs)
              send()
            })
          }
          for (let at = 0; at < depth; at++) send()
        }),
    ),
  )
  const seconds = (performance.now() - startedMs) / 1000
  for (const peer of peers) peer.close()
  return summary(latenciesMs, seconds, frameBytes, records)
}

function fetchFrame(topic: string, partition: number, offset: number, waitMs: number): Buffer[] {
  return encodeRequest(
    apis.fetch.request,
    versions.fetch,
    { correlationId: 1, clientId: 'bench' },
    {
      maxWaitMs: waitMs,
      minBytes: 1,
      maxBytes: 50 * 1024 * 1024,
      topics: [
        { topic, partitions: [{ partition, fetchOffset: offset, partitionMaxBytes: 1024 * 1024 }] },
      ],
      forgottenTopicsData: [],
    },
  )
}

/** Kafka fills an answer up with the beginning of the next batch. */
function wholeBatches(records: Buffer): Iterable<number> {
  return batches(records, 0, records.length, { partialTail: true })
}

/** One Fetch: bytes of records, and the offset after them. */
function fetchOnce(
  peer: Peer,
  frame: readonly Buffer[],
): Promise<{ bytes: number; nextOffset: number; records: Buffer | undefined }> {
  return new Promise((resolve, reject) => {
    peer.exchange(frame, (answer) => {
      const partition = decode(apis.fetch, versions.fetch, answer).responses[0]?.partitions[0]
      if (partition?.errorCode !== 0) {
        reject(new Error(`Fetch was answered with error ${partition?.errorCode}`))
        return
      }
      const records = partition.records?.[0]
      let nextOffset = -1
      if (records !== undefined)
        for (const at of wholeBatches(records)) nextOffset = lastOffset(records, at) + 1
      resolve({ bytes: records?.length ?? 0, nextOffset, records })
    })
  })
}

/** Reads every partition from its start to its end, again and again until the time is up. */
async function fetch(options: Options): Promise<Result> {
  const latenciesMs: number[] = []
  const startedMs = performance.now()
  const endMs = startedMs + options.seconds * 1000
  let bytes = 0
  const read = async (partition: number) => {
    const peer = await Peer.open(options.port)
    while (performance.now() < endMs) {
      for (let offset = 0; offset >= 0 && performance.now() < endMs; ) {
        const sentMs = performance.now()
        const got = await fetchOnce(peer, fetchFrame(options.topic, partition, offset, 0))
        latenciesMs.push(performance.now() - sentMs)
        bytes += got.bytes
        offset = got.nextOffset
      }
    }
    peer.close()
  }
  await Promise.all(Array.from({ length: options.partitions }, (_, partition) => read(partition)))
  const seconds = (performance.now() - startedMs) / 1000
  return { ...summary(latenciesMs, seconds, 0, 0), bytes, mbPerSecond: bytes / 1e6 / seconds }
}

/** Single records at a steady rate, each timed from before its Produce to its arrival by Fetch. */
async function endToEnd(options: Options): Promise<Result> {
  const { topic, partitions, ratePerSecond } = options
  const producer = await Peer.open(options.port)
  await createTopic(producer, options)
  const first = Array.from({ length: partitions }, (_, index) => produceFrame(topic, index, 1, 1))
  await untilTaken(producer, first)
  const latenciesMs: number[] = []
  const total = Math.floor(ratePerSecond * options.seconds)
  let isDone = false
  const consume = async (partition: number) => {
    const peer = await Peer.open(options.port)
    for (let offset = 1; !isDone; ) {
      const got = await fetchOnce(peer, fetchFrame(topic, partition, offset, 500))
      const nowMs = performance.now()
      if (got.records === undefined || got.bytes === 0) continue
      for (const batch of wholeBatches(got.records)) {
        // The time of sending is the first eight bytes of the value, after six of the record's frame.
        const at = got.records.indexOf(marker, batch)
        latenciesMs.push(nowMs - got.records.readDoubleBE(at + marker.length))
      }
      offset = got.nextOffset
      isDone = latenciesMs.length >= total
    }
    peer.close()
  }
  const consumers = Array.from({ length: partitions }, (_, partition) => consume(partition))
  const startedMs = performance.now()
  for (let sent = 0; sent < total; ) {
    const due = Math.min(
      total,
      Math.floor(((performance.now() - startedMs) / 1000) * ratePerSecond),
    )
    for (; sent < due; sent++) sendStamped(producer, topic, sent % partitions, options.recordBytes)
    await setTimeout(1)
  }
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
  const request = {
    transactionalId: null,
    acks: -1,
    timeoutMs: 30_000,
    topicData: [{ name: topic, partitionData: [{ index, records: [batch] }] }],
  }
  const head = { correlationId: 1, clientId: 'bench' }
  peer.exchange(encodeRequest(apis.produce.request, versions.produce, head, request), isProduced)
}

/** A hundred topics of ten partitions, until every partition can be used. */
async function topics(options: Options): Promise<Result> {
  const peer = await Peer.open(options.port)
  const names = Array.from({ length: 100 }, (_, number) => `${options.topic}-${number}`)
  const startedMs = performance.now()
  const answer = await peer.call(apis.createTopics, versions.createTopics, {
    topics: names.map((name) => ({
      name,
      numPartitions: 10,
      replicationFactor: 1,
      assignments: [],
      configs: [],
    })),
    timeoutMs: 30_000,
  })
  const failed = answer.topics.find(({ errorCode }) => errorCode !== 0)
  if (failed !== undefined)
    throw new Error(`CreateTopics was answered with error ${failed.errorCode}`)
  await untilUsable(peer, names, 10)
  const seconds = (performance.now() - startedMs) / 1000
  peer.close()
  return { seconds }
}

/** Tries until the broker does it; the moment is told as wall clock time. */
async function untilDone(
  options: Options,
  work: (peer: Peer) => Promise<boolean>,
): Promise<Result> {
  for (let tries = 0; tries < 20_000; tries++) {
    try {
      const peer = await Peer.open(options.port)
      const isDone = await Promise.race([work(peer), setTimeout(2000, false)])
      peer.close()
      if (isDone) return { atMs: Date.now() }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error
    }
    await setTimeout(5)
  }
  throw new Error('the broker did not become ready')
}

/** Until the broker answers Metadata. */
function ready(options: Options): Promise<Result> {
  return untilDone(options, async (peer) => {
    const { brokers } = await peer.call(apis.metadata, versions.metadata, { topics: [] })
    return brokers.length > 0
  })
}

/** Until a record was acknowledged in every partition of a topic that is there already. */
function writable({ topic, partitions, recordBytes, ...options }: Options): Promise<Result> {
  const frames = Array.from({ length: partitions }, (_, index) =>
    produceFrame(topic, index, 1, recordBytes),
  )
  const taken = new Set<Buffer>()
  return untilDone({ topic, partitions, recordBytes, ...options }, async (peer) => {
    for (const frame of frames) {
      if (taken.has(frame)) continue
      if (!isProduced(await new Promise((resolve) => peer.exchange([frame], resolve)))) return false
      taken.add(frame)
    }
    return true
  })
}

const workloads: Readonly<Record<string, (options: Options) => Promise<Result>>> = {
  ready,
  writable,
  topics,
  fetch,
  endToEnd,
  produce: (options) => produce(options, 4),
  smallRequests: (options) => produce({ ...options, batchBytes: 1 }, 1),
}

const [workload = '', given = '{}'] = process.argv.slice(2)
const run = workloads[workload]
if (run === undefined) throw new Error(`unknown workload ${workload}`)
console.log(JSON.stringify(await run({ ...presets, ...(JSON.parse(given) as Partial<Options>) })))
process.exit(0)

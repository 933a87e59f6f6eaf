/**
 * The load driver of `npm run bench`: one workload against one broker, over plain sockets with prebuilt
 * frames, so that what the driver costs stays small beside what the broker costs. Works against any
 * Kafka. `node driver.js WORKLOAD '{"port":9092,…}'` prints one line of JSON.
 */
import { apis } from '../../protocol/apis.ts'
import { commitOffsets } from './committed-offsets.ts'
import { compaction } from './compaction.ts'
import { endToEnd, sessionFetch } from './end-to-end.ts'
import { joinClassic, joinConsumer } from './group-join.ts'
import { machine } from './machine.ts'
import { manyTopicsMetadata } from './many-topics.ts'
import { type Options, presets, type Result, summary } from './options.ts'
import { besideIdle, createTopics, pacedProduce } from './paced.ts'
import { Peer } from './peer.ts'
import {
  createTopic,
  fetchFrame,
  fetchOnce,
  isProduced,
  produceFrame,
  untilTaken,
  untilUsable,
  versions,
} from './requests.ts'
import { ready, restarted, writable } from './startup.ts'
import { steadyGroups } from './steady-groups.ts'
import { consumeTransformProduce, transactions } from './transactions.ts'

function open({ connections, port }: Options): Promise<Peer[]> {
  return Promise.all(Array.from({ length: connections }, () => Peer.open(port)))
}

async function produce(options: Options, depth: number): Promise<Result> {
  const { topic, partitions, recordBytes } = options
  const records = recordsOf(options)
  const peers = await open(options)
  await createTopic(peers[0] as Peer, options)
  const frames = Array.from({ length: partitions }, (_, index) =>
    produceFrame(topic, index, records, recordBytes),
  )
  await untilTaken(peers[0] as Peer, frames)
  return pump(peers, frames, depth, options, (answer) => {
    if (!isProduced(answer)) throw new Error('a leader was lost')
  })
}

/** The same frames for a process that is no broker. */
async function bare(options: Options, depth: number): Promise<Result> {
  const frame = produceFrame('bare', 0, recordsOf(options), options.recordBytes)
  return pump(await open(options), [frame], depth, options, () => undefined)
}

function recordsOf({ batchBytes, recordBytes }: Options): number {
  return Math.max(1, Math.floor(batchBytes / (recordBytes + 8)))
}

/** Keeps `depth` requests in flight on each connection. Rejects where `check` of an answer throws. */
async function pump(
  peers: readonly Peer[],
  frames: readonly Buffer[],
  depth: number,
  options: Options,
  check: (answer: Buffer) => void,
): Promise<Result> {
  const frameBytes = frames[0]?.length ?? 0
  const latenciesMs: number[] = []
  const startedMs = performance.now()
  const endMs = startedMs + options.seconds * 1000
  let sent = 0
  let received = 0
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
            peer.exchange([frames[next++ % frames.length] as Buffer], (answer) => {
              inFlight--
              try {
                check(answer)
              } catch (error) {
                reject(error)
                return
              }
              received += answer.length
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
  const result = summary(latenciesMs, seconds, frameBytes, recordsOf(options))
  return { ...result, receivedMbPerSecond: received / 1e6 / seconds, receivedBytes: received }
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

const workloads: Readonly<Record<string, (options: Options) => Promise<Result>>> = {
  ready,
  writable,
  restarted,
  topics,
  createTopics,
  fetch,
  endToEnd,
  sessionFetch,
  steadyGroups,
  manyTopicsMetadata,
  produce: (options) => produce(options, 4),
  pacedProduce,
  besideIdle,
  transactions,
  consumeTransformProduce,
  joinClassic,
  joinConsumer,
  commitOffsets,
  compaction,
  smallRequests: (options) => produce({ ...options, batchBytes: 1 }, 1),
  machine,
  bare: (options) => bare(options, 4),
  barePingPong: (options) => bare({ ...options, batchBytes: 1 }, 1),
}

const [workload = '', given = '{}'] = process.argv.slice(2)
const run = workloads[workload]
if (run === undefined) throw new Error(`unknown workload ${workload}`)
console.log(JSON.stringify(await run({ ...presets, ...(JSON.parse(given) as Partial<Options>) })))
process.exit(0)

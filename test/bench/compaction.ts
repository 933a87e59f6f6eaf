/**
 * Compaction seen from outside: a topic of keys that repeat becomes compacted, and shrinks. Works on
 * any Kafka, because what it looks at is how large DescribeLogDirs says that the log is. The broker should
 * look for what to compact often (log.cleaner.backoff.ms), or it is this that is measured.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { apis } from '../../protocol/apis.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { cpuSeconds } from './broker-cpu.ts'
import { type Options, type Result, summary } from './options.ts'
import { preparePaced } from './paced.ts'
import { Peer } from './peer.ts'
import { createTopic, produceRequestFrame, untilTaken } from './requests.ts'

const versions = { describeLogDirs: 4, incrementalAlterConfigs: 1 }
const topicResource = 2

/** So many batches of keys of their own, again and again: this is what compaction leaves over. */
const distinctBatches = 32
const pollMs = 20

/** The log has been compacted when it stayed as small as it is now for so long. */
const settledMs = 2000
const timeoutMs = 120_000

async function makeCompacted(peer: Peer, resourceName: string): Promise<void> {
  const configs = [{ name: 'cleanup.policy', configOperation: 0, value: 'compact' }]
  const { responses } = await peer.call(
    apis.incrementalAlterConfigs,
    versions.incrementalAlterConfigs,
    { resources: [{ resourceType: topicResource, resourceName, configs }], validateOnly: false },
  )
  const code = responses[0]?.errorCode
  if (code !== 0) throw new Error(`IncrementalAlterConfigs was answered with error ${code}`)
}

async function logBytes(peer: Peer, topic: string): Promise<number> {
  const { results } = await peer.call(apis.describeLogDirs, versions.describeLogDirs, {
    topics: [{ topic, partitions: [0] }],
  })
  const partitions = results.flatMap(({ topics }) => topics.flatMap(({ partitions }) => partitions))
  return partitions[0]?.partitionSize ?? Number.NaN
}

/** Megabyte batches in one partition, whose keys come round again every `distinctBatches` of them. */
async function fill(peer: Peer, options: Options): Promise<void> {
  const { topic, recordBytes, batchBytes, bytesMax } = options
  const count = Math.floor(batchBytes / recordBytes)
  const frames = Array.from({ length: distinctBatches }, (_, batch) => {
    const records = Array.from({ length: count }, (_, number) => ({
      ...{ timestamp: Date.now(), key: Buffer.from(`key-${batch}-${number}`) },
      value: randomBytes(recordBytes),
    }))
    return produceRequestFrame(topic, 0, encodeBatch({ records }))
  })
  const rounds = Math.ceil(bytesMax / batchBytes / distinctBatches)
  for (let round = 0; round < rounds; round++) await untilTaken(peer, frames)
}

/** Resolves when the log has shrunk and shrinks no more: the moment at which it last did. */
async function untilSettled(peer: Peer, topic: string, bytesBefore: number): Promise<number> {
  const startedMs = performance.now()
  let bytes = bytesBefore
  for (let lastMs = startedMs; ; await setTimeout(pollMs)) {
    const now = await logBytes(peer, topic)
    const nowMs = performance.now()
    if (now !== bytes) lastMs = nowMs
    bytes = now
    if (bytes < bytesBefore / 2 && nowMs - lastMs > settledMs) return lastMs
    if (nowMs - startedMs > timeoutMs) throw new Error(`still ${bytes} of ${bytesBefore} bytes`)
  }
}

/**
 * From the topic's becoming compacted until it has been; beside it, where a rate is given, produces
 * to another topic, whose latencies are the result's.
 */
export async function compaction(options: Options): Promise<Result> {
  const { topic, ratePerSecond } = options
  const peer = await Peer.open(options.port)
  const configs = { 'segment.bytes': '33554432', 'min.cleanable.dirty.ratio': '0.01' }
  await createTopic(peer, { ...options, partitions: 1, configs })
  await fill(peer, options)
  const bytesBefore = await logBytes(peer, topic)
  const others = { ...options, topic: `${topic}-beside`, recordBytes: 1024 }
  const produceBeside = ratePerSecond > 0 ? await preparePaced(others) : undefined
  let isOver = false
  const cpuBefore = cpuSeconds(options.pid)
  const startedMs = performance.now()
  const beside = produceBeside?.(() => isOver)
  await makeCompacted(peer, topic)
  const endMs = await untilSettled(peer, topic, bytesBefore)
  isOver = true
  const timed = ((await beside) ?? []).filter(({ sentMs }) => sentMs <= endMs)
  const seconds = (endMs - startedMs) / 1000
  peer.close()
  const latenciesMs = timed.map(({ tookMs }) => tookMs)
  return {
    ...summary(latenciesMs, seconds, 0, 0),
    cpuSeconds: cpuSeconds(options.pid) - cpuBefore,
    ...{ seconds, bytes: bytesBefore, mbPerSecond: bytesBefore / 1e6 / seconds },
  }
}

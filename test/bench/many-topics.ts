/** Metadata of many topics, asked for by many clients: every one of them asks for the same. */
import { apis } from '../../protocol/apis.ts'
import { encodeRequest } from '../../protocol/frame.ts'
import { cpuSeconds } from './broker-cpu.ts'
import { type Options, type Result, summary } from './options.ts'
import { decode, Peer } from './peer.ts'
import { untilLed, versions } from './requests.ts'

const partitionsOfTopic = 3

/** Each connection asks for all of `topics` topics by name, again and again. */
export async function manyTopicsMetadata(options: Options): Promise<Result> {
  const { topic, topics: count, connections } = options
  const names = Array.from({ length: count }, (_, number) => `${topic}-${number}`)
  const open = () => Peer.open(options.port)
  const peers = await Promise.all(Array.from({ length: connections }, open))
  await peers[0]?.call(apis.createTopics, versions.createTopics, {
    topics: names.map((name) => ({
      ...{ name, numPartitions: partitionsOfTopic, replicationFactor: 1 },
      ...{ assignments: [], configs: [] },
    })),
    timeoutMs: 60_000,
  })
  await untilLed(peers[0] as Peer, names)
  const head = { correlationId: 1, clientId: 'bench' }
  const frame = encodeRequest(apis.metadata.request, versions.metadata, head, {
    topics: names.map((name) => ({ name })),
    allowAutoTopicCreation: true,
  })
  const latenciesMs: number[] = []
  const cpuBefore = cpuSeconds(options.pid)
  const startedMs = performance.now()
  const endMs = startedMs + options.seconds * 1000
  const ask = async (peer: Peer) => {
    for (let sentMs = startedMs; sentMs < endMs; ) {
      const answer = await new Promise<Buffer>((resolve) => peer.exchange(frame, resolve))
      const nowMs = performance.now()
      // Each is looked at in full now and then: that takes as long as the broker does.
      if (latenciesMs.length % 100 === 0) check(answer, count)
      latenciesMs.push(nowMs - sentMs)
      sentMs = nowMs
    }
  }
  await Promise.all(peers.map(ask))
  const seconds = (performance.now() - startedMs) / 1000
  const used = { cpuSeconds: cpuSeconds(options.pid) - cpuBefore }
  for (const peer of peers) peer.close()
  return { ...summary(latenciesMs, seconds, 0, 0), ...used }
}

function check(answer: Buffer, count: number): void {
  const { topics } = decode(apis.metadata, versions.metadata, answer)
  const isWhole = ({ errorCode, partitions }: (typeof topics)[number]) =>
    errorCode === 0 && partitions.length === partitionsOfTopic
  if (topics.length !== count || !topics.every(isWhole)) throw new Error('topics are missing')
}

/**
 * Requests of one record at a steady rate, whatever the answers are like: what a broker's latency is
 * while it has other things to do, or many partitions.
 */
import { setTimeout } from 'node:timers/promises'
import { apis } from '../../protocol/apis.ts'
import { cpuSeconds, memoryMb } from './broker-cpu.ts'
import { type Options, type Result, summary } from './options.ts'
import { Peer } from './peer.ts'
import { createTopic, isProduced, produceFrame, untilTaken, versions } from './requests.ts'

const restMs = 2000

/** One request: when it was sent, and after how long it was answered. */
export interface Timed {
  readonly sentMs: number
  readonly tookMs: number
}

/** Calls `send` with 0, 1, 2 … at a rate, until it returns false. */
export async function atRate(
  ratePerSecond: number,
  send: (number: number) => boolean,
): Promise<void> {
  const startedMs = performance.now()
  for (let sent = 0; ; await setTimeout(1)) {
    const due = ((performance.now() - startedMs) / 1000) * ratePerSecond
    for (; sent < due; sent++) if (!send(sent)) return
  }
}

/** Makes the topics and writes to every partition once; the function that it returns is the load. */
export async function preparePaced(options: Options) {
  const { partitions, connections, recordBytes, ratePerSecond, port } = options
  const peers = await Promise.all(Array.from({ length: connections }, () => Peer.open(port)))
  const frames: Buffer[] = []
  for (const topic of topicsOf(options)) {
    await createTopic(peers[0] as Peer, { ...options, topic })
    for (let index = 0; index < partitions; index++)
      frames.push(produceFrame(topic, index, 1, recordBytes))
  }
  await untilTaken(peers[0] as Peer, frames)
  return async (isOver: () => boolean): Promise<Timed[]> => {
    const answered: Timed[] = []
    let sentCount = 0
    await new Promise<void>((resolve, reject) => {
      const send = (number: number): boolean => {
        if (isOver()) return false
        sentCount++
        const sentMs = performance.now()
        const frame = frames[number % frames.length] as Buffer
        const peer = peers[number % connections] as Peer
        peer.exchange([frame], (answer) => {
          answered.push({ sentMs, tookMs: performance.now() - sentMs })
          try {
            if (!isProduced(answer)) throw new Error('a leader was lost')
          } catch (error) {
            reject(error)
          }
          if (isOver() && answered.length === sentCount) resolve()
        })
        return true
      }
      atRate(ratePerSecond, send).then(() => {
        if (answered.length === sentCount) resolve()
      }, reject)
    })
    for (const peer of peers) peer.close()
    return answered
  }
}

function topicsOf({ topic, topics }: Options): readonly string[] {
  return topics === 0
    ? [topic]
    : Array.from({ length: topics }, (_, number) => `${topic}-${number}`)
}

/** Makes the topics, and tells how long that took. */
export async function createTopics(options: Options): Promise<Result> {
  const peer = await Peer.open(options.port)
  const startedMs = performance.now()
  for (const topic of topicsOf(options)) await createTopic(peer, { ...options, topic })
  peer.close()
  return { seconds: (performance.now() - startedMs) / 1000 }
}

/** As `pacedProduce`, beside connections that have been answered once and ask no more. */
export async function besideIdle(options: Options): Promise<Result> {
  const { pid, port, idleConnections } = options
  const beforeMb = memoryMb(pid, 'VmRSS')
  const idle: Peer[] = []
  while (idle.length < idleConnections) {
    const peer = await Peer.open(port)
    await peer.call(apis.metadata, versions.metadata, { topics: [] })
    idle.push(peer)
  }
  const connectionKb = ((memoryMb(pid, 'VmRSS') - beforeMb) * 1024) / idleConnections
  const result = await pacedProduce(options)
  for (const peer of idle) peer.close()
  return { ...result, connectionKb }
}

export async function pacedProduce(options: Options): Promise<Result> {
  const run = await preparePaced(options)
  // What was begun by making so many partitions is done by then.
  await setTimeout(restMs)
  const cpuBefore = cpuSeconds(options.pid)
  const startedMs = performance.now()
  const endMs = startedMs + options.seconds * 1000
  const timed = await run(() => performance.now() > endMs)
  const seconds = (performance.now() - startedMs) / 1000
  const latenciesMs = timed.map(({ tookMs }) => tookMs)
  const whole = summary(latenciesMs, seconds, options.recordBytes, 1)
  return { ...whole, cpuSeconds: cpuSeconds(options.pid) - cpuBefore }
}

/** How soon a broker that starts is of use: workloads that try until it does what is asked. */
import { setTimeout } from 'node:timers/promises'
import { apis } from '../../protocol/apis.ts'
import { allGroups, readOffsets } from './committed-offsets.ts'
import type { Options, Result } from './options.ts'
import { Peer } from './peer.ts'
import { isProduced, produceFrame, versions } from './requests.ts'

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
export function ready(options: Options): Promise<Result> {
  return untilDone(options, async (peer) => {
    const { brokers } = await peer.call(apis.metadata, versions.metadata, { topics: [] })
    return brokers.length > 0
  })
}

/** Until a record was acknowledged in every partition of a topic that is there already. */
export function writable({ topic, partitions, recordBytes, ...options }: Options): Promise<Result> {
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

/** As `writable`; and when every group's committed offsets could be read. */
export async function restarted(options: Options): Promise<Result> {
  const missing = allGroups()
  const [written, read] = await Promise.all([
    writable(options),
    untilDone(options, (peer) => readOffsets(peer, missing)),
  ])
  return { ...written, offsetsAtMs: read.atMs ?? Number.NaN }
}

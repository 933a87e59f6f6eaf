/**
 * What the tables of `npm run bench -- tables` are made of: a topic filled with records, or written to at a steady rate,
 * and an eye on the table that tells when a reader sees what was written.
 */
import { setTimeout } from 'node:timers/promises'
import { encodeBatch } from '../../protocol/records/record.ts'
import { LocalStorage } from '../../src/environment/node/local-storage.ts'
import { DeltaError } from '../../src/tables/delta/delta-error.ts'
import { readSnapshot, refreshSnapshot, type Snapshot } from '../../src/tables/delta/snapshot.ts'
import { presets } from './options.ts'
import { atRate } from './paced.ts'
import { Peer } from './peer.ts'
import { createTopic, isProduced, producedAt, produceRequestFrame, untilTaken } from './requests.ts'
import { recordText, type Shape } from './table-records.ts'

export const partitions = 4
const batchRecords = 500
const inFlightMax = 4
/** Requests of a steady load, in all partitions together. */
const requestsPerSecond = 100
/** Batches of a steady load that are made before; then they come again. */
const preparedBatches = 200
/** How often the table is looked at. */
const lookMs = 20

export interface Load {
  readonly port: number
  readonly topic: string
  readonly shape: Shape
}

function frameOf({ topic, shape }: Load, partition: number, first: number, count: number): Buffer {
  const timestamp = Date.now()
  const records = Array.from({ length: count }, (_, at) => ({
    ...{ timestamp, key: null, headers: [] },
    value: Buffer.from(recordText(shape, first + at)),
  }))
  return produceRequestFrame(topic, partition, encodeBatch({ records }))
}

/** Makes the topic with so many records, no two alike. Answers the bytes of their values' frames. */
export async function fill(load: Load, records: number): Promise<number> {
  const peer = await Peer.open(load.port)
  await createTopic(peer, { ...presets, topic: load.topic, partitions })
  let bytes = 0
  const waiting: Promise<void>[] = []
  for (let first = 0; first < records; first += batchRecords) {
    const partition = (first / batchRecords) % partitions
    const frame = frameOf(load, partition, first, Math.min(batchRecords, records - first))
    bytes += frame.length
    // What comes first may be refused by a leader that does not know of it yet.
    if (first < partitions * batchRecords) await untilTaken(peer, [frame])
    else waiting.push(produced(peer, frame))
    if (waiting.length >= inFlightMax) await waiting.shift()
  }
  await Promise.all(waiting)
  peer.close()
  return bytes
}

function produced(peer: Peer, frame: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    peer.exchange([frame], (answer) => {
      if (isProduced(answer)) resolve()
      else reject(new Error('a leader was lost'))
    })
  })
}

/** A request that was answered: where its last record is, when it was sent, and how long the answer took. */
export interface Written {
  readonly partition: number
  readonly lastOffset: number
  readonly sentMs: number
  readonly tookMs: number
}

/** Writes at a rate for so long. */
export async function writeSteadily(
  load: Load,
  { ratePerSecond, seconds }: { ratePerSecond: number; seconds: number },
): Promise<Written[]> {
  const peers = await Promise.all([Peer.open(load.port), Peer.open(load.port)])
  await createTopic(peers[0], { ...presets, topic: load.topic, partitions })
  const count = Math.ceil(ratePerSecond / requestsPerSecond)
  const frames = Array.from({ length: preparedBatches }, (_, at) =>
    frameOf(load, at % partitions, at * count, count),
  )
  await untilTaken(peers[0], frames.slice(0, partitions))
  const written: Written[] = []
  const total = Math.floor(requestsPerSecond * seconds)
  await new Promise<void>((resolve, reject) => {
    const send = (number: number): boolean => {
      if (number >= total) return false
      const sentMs = performance.now()
      const peer = peers[number % peers.length] as Peer
      peer.exchange([frames[number % frames.length] as Buffer], (answer) => {
        const first = producedAt(answer)
        if (first === null) return reject(new Error('a leader was lost'))
        const tookMs = performance.now() - sentMs
        const partition = (number % frames.length) % partitions
        written.push({ partition, lastOffset: first + count - 1, sentMs, tookMs })
        if (written.length === total) resolve()
      })
      return true
    }
    atRate(requestsPerSecond, send).catch(reject)
  })
  for (const peer of peers) peer.close()
  return written
}

/** What a reader of a table sees, and since when. */
export class TableWatch {
  readonly #storage: LocalStorage
  readonly #appId: (partition: number) => string
  #snapshot: Snapshot | null = null
  /** Versions as they were seen: for each partition the offset of the next record. */
  readonly seen: { readonly atMs: number; readonly next: readonly number[] }[] = []
  #isEnded = false

  constructor(location: string, connector: string, topic: string) {
    this.#storage = new LocalStorage(location)
    this.#appId = (partition) => `${connector}/${topic}/${partition}`
  }

  /** Looks until `end`, or until so many records are in the table. */
  async look(records = Number.POSITIVE_INFINITY): Promise<void> {
    while (!this.#isEnded && this.records < records) {
      if (await this.#refresh()) this.#note()
      await setTimeout(lookMs)
    }
  }

  end(): void {
    this.#isEnded = true
  }

  get records(): number {
    return this.seen.at(-1)?.next.reduce((sum, next) => sum + next, 0) ?? 0
  }

  get snapshot(): Snapshot | null {
    return this.#snapshot
  }

  /** Whether there is a new version. */
  async #refresh(): Promise<boolean> {
    const before = this.#snapshot
    try {
      this.#snapshot =
        before === null
          ? await readSnapshot(this.#storage)
          : await refreshSnapshot(this.#storage, before)
    } catch (error) {
      if (!(error instanceof DeltaError) || error.reason !== 'missing') throw error
    }
    return this.#snapshot !== null && this.#snapshot.version !== before?.version
  }

  #note(): void {
    const { transactions } = this.#snapshot as Snapshot
    const next = Array.from({ length: partitions }, (_, partition) =>
      Number(transactions.get(this.#appId(partition))?.version ?? 0n),
    )
    this.seen.push({ atMs: performance.now(), next })
  }

  /** How long after it was sent each was to be seen, in milliseconds; those that never were are infinitely late. */
  delaysOf(written: readonly Written[]): number[] {
    return written.map(({ partition, lastOffset, sentMs }) => {
      const first = this.seen.find(({ next }) => next[partition]! > lastOffset)
      return first === undefined ? Number.POSITIVE_INFINITY : first.atMs - sentMs
    })
  }
}

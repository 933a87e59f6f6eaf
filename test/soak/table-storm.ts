/**
 * A topic that lands in a Delta table while the broker, and the sink within it, is killed again and again: what is
 * written, somebody who rewrites the table's small files meanwhile, and what the table has to be at the end. Every record
 * that was acknowledged is there, once; offsets have no gaps; and values are those that were written.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createTopics } from '../../src/client/admin/topics.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { Producer } from '../../src/client/producer.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { LocalStorage } from '../../src/environment/node/local-storage.ts'
import { rowPrinter } from '../../src/tables/columns/json-text.ts'
import { DeltaError } from '../../src/tables/delta/delta-error.ts'
import { optimizeTable } from '../../src/tables/delta/optimize.ts'
import { scanTable } from '../../src/tables/delta/scan.ts'
import { readSnapshot } from '../../src/tables/delta/snapshot.ts'

export const partitions = 4
export const connector = 'lander'
export const topic = 'flights'
const carriers = ['UA', 'AA', 'DL']
const deliveryTimeoutMs = 600_000
const optimizeEveryMs = 4000
const environment = createNodeEnvironment({ log: { level: 'silent' } })

/** Columns come in the course of time, so that the table's schema changes under way. */
export function recordText(id: number, total: number): string {
  const late = `late_${Math.floor((id * 5) / total)}`
  return JSON.stringify({
    ...{ id, carrier: carriers[id % 3], delay: id / 7 },
    origin: { code: `X${id % 50}`, gates: [id % 9, id % 4] },
    [late]: id,
  })
}

interface Landed {
  readonly id: number
  readonly carrier: string
  readonly delay: number
  readonly origin: { readonly code: string; readonly gates: readonly number[] }
  readonly p: number
  readonly o: number
  readonly k: string
}

function isWritten({ id, carrier, delay, origin, k }: Landed): boolean {
  const [first, second] = origin.gates
  return (
    k === String(id) &&
    carrier === carriers[id % 3] &&
    delay === id / 7 &&
    origin.code === `X${id % 50}` &&
    first === id % 9 &&
    second === id % 4
  )
}

/** Writes records at a rate, whatever becomes of the broker. */
export class StormProducer {
  readonly #cluster: Cluster
  readonly #total: number
  /** By id: 1 where it was acknowledged. */
  readonly acknowledged: Uint8Array
  acknowledgedCount = 0
  failed = 0

  constructor(port: number, total: number) {
    this.#cluster = new Cluster(environment, { bootstrap: [{ host: '127.0.0.1', port }] })
    this.#total = total
    this.acknowledged = new Uint8Array(total)
  }

  async createTopic(): Promise<void> {
    await createTopics(this.#cluster, [
      { name: topic, partitions, replicationFactor: 1, configs: new Map() },
    ])
  }

  async run(ratePerSecond: () => number): Promise<void> {
    const producer = new Producer(this.#cluster, { deliveryTimeoutMs })
    let allowance = 0
    let lastMs = performance.now()
    for (let id = 0; id < this.#total; ) {
      const nowMs = performance.now()
      allowance = Math.min(20_000, allowance + ((nowMs - lastMs) / 1000) * ratePerSecond())
      lastMs = nowMs
      for (; allowance >= 1 && id < this.#total && !producer.isFull; allowance--) {
        this.#write(producer, id++)
      }
      await setTimeout(10)
    }
    await producer.close()
    this.#cluster.close()
  }

  #write(producer: Producer, id: number): void {
    const value = Buffer.from(recordText(id, this.#total))
    producer.add({ topic, key: Buffer.from(String(id)), value }, (error) => {
      if (error !== null) this.failed++
      else {
        this.acknowledged[id] = 1
        this.acknowledgedCount++
      }
    })
  }
}

/** Rewrites the table's small files: by delta-rs where there is a Python that has it, else by us. */
export class Optimizer {
  readonly #location: string
  /** Null: by us. */
  readonly python: string | null
  /** How often that was done, and how many files are no more for it. */
  readonly counts = { rewrites: 0, filesRemoved: 0 }
  /** What it came to nothing for, and how often. */
  readonly reasons = new Map<string, number>()
  #isEnded = false
  #running: Promise<void> = Promise.resolve()

  constructor(location: string, python: string | null) {
    this.#location = location
    this.python = python
  }

  begin(): void {
    this.#running = this.#loop()
  }

  async end(): Promise<void> {
    this.#isEnded = true
    await this.#running
  }

  async #loop(): Promise<void> {
    while (!this.#isEnded) {
      await setTimeout(optimizeEveryMs)
      const removed = await this.#once()
      if (typeof removed === 'string') {
        this.reasons.set(removed, (this.reasons.get(removed) ?? 0) + 1)
      } else if (removed > 0) {
        this.counts.rewrites++
        this.counts.filesRemoved += removed
      }
    }
  }

  /** How many files it has put together; or why none, as where there is no table yet or somebody else was first. */
  async #once(): Promise<number | string> {
    if (this.python !== null) return byDeltaRs(this.python, this.#location)
    const { clock, random } = environment
    const storage = new LocalStorage(this.#location)
    try {
      return (await optimizeTable({ clock, random, storage }))?.removed ?? 0
    } catch (error) {
      if (error instanceof DeltaError) return `${error.name} ${error.reason}`
      throw error
    }
  }
}

async function byDeltaRs(python: string, location: string): Promise<number | string> {
  const { code, output, complaint } = await runPython(python, 'optimize.py', location)
  return code === 0 ? Number(output) : (/^\w+/.exec(complaint)?.[0] ?? `exit code ${code}`)
}

async function runPython(python: string, program: string, location: string) {
  const file = fileURLToPath(new URL(`../../../test/soak/${program}`, import.meta.url))
  const child = spawn(python, [file, location], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { output: '', complaint: '' }
  for (const [stream, name] of [
    [child.stdout, 'output'],
    [child.stderr, 'complaint'],
  ] as const)
    stream.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text
    })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...said }
}

/** How many records the table says that it has, by what it knows of the partitions. */
export async function landedCount(location: string): Promise<number> {
  try {
    const { transactions } = await readSnapshot(new LocalStorage(location))
    let sum = 0
    for (const [app, { version }] of transactions) {
      if (app.startsWith(`${connector}/${topic}/`)) sum += Number(version)
    }
    return sum
  } catch (error) {
    if (error instanceof DeltaError && error.reason === 'missing') return 0
    throw error
  }
}

export interface TableVerdict {
  readonly rows: number
  readonly version: number
  /** Acknowledged, and not in the table. */
  readonly missing: number
  /** Offsets, or ids, that are in it more than once. */
  readonly twice: number
  /** Offsets that are not in it, of those before the last. */
  readonly gaps: number
  readonly wrong: number
}

export const isViolatedTable = ({ missing, twice, gaps, wrong }: TableVerdict): boolean =>
  missing + twice + gaps + wrong > 0

/** Reads all of the table. */
export async function verifyTable(
  location: string,
  acknowledged: Uint8Array,
): Promise<TableVerdict> {
  const storage = new LocalStorage(location)
  const snapshot = await readSnapshot(storage)
  const ids = new Uint8Array(acknowledged.length)
  const offsets = Array.from({ length: partitions }, () => new Uint8Array(acknowledged.length + 1))
  const ends = new Array<number>(partitions).fill(0)
  let [rows, twice, wrong] = [0, 0, 0]
  for await (const batch of scanTable(storage, snapshot)) {
    const print = rowPrinter(batch.fields)
    for (let row = 0; row < batch.rowCount; row++) {
      const landed = JSON.parse(print(batch, row)) as Landed
      const { id, p, o } = landed
      rows++
      if (ids[id] === 1 || offsets[p]![o] === 1) twice++
      if (!isWritten(landed)) wrong++
      ids[id] = 1
      offsets[p]![o] = 1
      ends[p] = Math.max(ends[p]!, o + 1)
    }
  }
  const missing = acknowledged.reduce(
    (sum, was, id) => sum + (was === 1 && ids[id] === 0 ? 1 : 0),
    0,
  )
  const there = offsets.reduce((sum, of) => sum + of.reduce((count, one) => count + one, 0), 0)
  const gaps = ends.reduce((sum, end) => sum + end, 0) - there
  return { rows, version: snapshot.version, missing, twice, gaps, wrong }
}

/** What delta-rs says against a table of so many rows; null: nothing. */
export async function refutedByDeltaRs(
  python: string,
  location: string,
  rows: number,
): Promise<string | null> {
  const { code, output, complaint } = await runPython(python, 'offsets.py', location)
  if (code !== 0) return complaint
  return isEachOffsetOnce(output, rows) ? null : output
}

/** Whether what `offsets.py` prints says that each offset is there once, from 0 on, and all rows with them. */
export function isEachOffsetOnce(printed: string, rows: number): boolean {
  const found = printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as [number, number, number, number])
  const isWhole = found.every(([, count, offsets, last]) => count === offsets && count === last + 1)
  return isWhole && found.reduce((sum, [, count]) => sum + count, 0) === rows
}

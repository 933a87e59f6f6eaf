/**
 * Rounds of the bench that ask Millrace alone: what it is like at the edges, with many partitions, much log
 * or many connections, and how long the collector of garbage stops it.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { cpuSeconds, memoryMb } from '../test/bench/broker-cpu.ts'
import { enlarge, logBytes } from './bench-log.ts'
import type { Kind, OurRound } from './bench-rows.ts'

export interface Broker {
  readonly kind: Kind
  readonly port: number
  readonly child: ChildProcess
}

type Figures = Readonly<Record<string, number>>

/** What the rounds need of the bench. */
export interface Bench {
  start(
    kind: Kind,
    workload: string,
    options: object,
  ): Promise<{ broker: Broker; tookMs: (name: string) => number }>
  /** A program of the build is loaded into the process first. */
  startEmpty(kind: Kind, program?: string): Promise<Broker>
  stop(broker: Broker): Promise<void>
  drive(workload: string, options: object): Promise<Figures>
  measured(
    broker: Broker,
    workload: string,
    options: object,
  ): Promise<{ figure: (name: string) => number; cpuSeconds: number }>
  warmUp(broker: Broker): Promise<void>
  wanted(beginning: string): boolean
  record(row: string, value: number): void
  /** Where Millrace has its data. */
  readonly directory: string
}

const pausesProgram = 'test/bench/pauses.js'
const idleSeconds = 10
/** What was begun by making so many partitions is done by then. */
const restMs = 5000
const manyTopics = { topic: 'many', topics: 5, partitions: 2000 }
const largeLogBytes = 100e9
const kept = { topic: 'kept', partitions: 6 }

const pausingLoads = [
  ['1 MB requests of 1 KB', 'produce', { batchBytes: 1_000_000, recordBytes: 1024 }],
  ['16 KB requests of 100 B', 'produce', { batchBytes: 16_000, recordBytes: 100 }],
  ['small requests', 'smallRequests', { connections: 64, recordBytes: 100 }],
] as const

export function ourRounds(bench: Bench): Readonly<Record<OurRound, () => Promise<void>>> {
  return {
    pauses: () => pausesRound(bench),
    'many partitions': () => manyPartitionsRound(bench),
    'large log': () => largeLogRound(bench),
    'many connections': () => manyConnectionsRound(bench),
  }
}

async function pausesMs({ child }: Broker): Promise<readonly number[]> {
  const answer = once(child, 'message')
  child.send('tell')
  const [pauses] = (await answer) as [number[]]
  return pauses.sort((a, b) => a - b)
}

async function pausesRound(bench: Bench): Promise<void> {
  const broker = await bench.startEmpty('millrace', pausesProgram)
  try {
    await bench.warmUp(broker)
    for (const [load, workload, options] of pausingLoads) {
      const row = `pauses, ${load}`
      if (!bench.wanted(row)) continue
      const topic = load.replaceAll(' ', '-')
      await pausesMs(broker)
      const { figure, cpuSeconds } = await bench.measured(broker, workload, { topic, ...options })
      const pauses = await pausesMs(broker)
      const sum = pauses.reduce((total, pause) => total + pause, 0)
      bench.record(`${row}: max`, pauses.at(-1) ?? 0)
      bench.record(`${row}: p99`, pauses[Math.floor(pauses.length * 0.99)] ?? 0)
      bench.record(`${row}: in all`, sum / figure('seconds'))
      bench.record(`${row}: broker CPU`, (cpuSeconds / figure('requests')) * 1e6)
    }
  } finally {
    await bench.stop(broker)
  }
}

async function manyPartitionsRound(bench: Bench): Promise<void> {
  const row = '10000 partitions'
  const first = await bench.startEmpty('millrace')
  try {
    await bench.warmUp(first)
    await pacedRows(bench, first, `${row}: before, produce at 1000/s to 10`, {
      ...{ topic: 'few', partitions: 10 },
    })
    const { seconds } = await bench.drive('createTopics', { port: first.port, ...manyTopics })
    bench.record(`${row}: created`, seconds ?? Number.NaN)
    await pacedRows(bench, first, `${row}: produce at 1000/s`, manyTopics)
    await setTimeout(restMs)
    const cpuBefore = cpuSeconds(first.child.pid ?? 0)
    await setTimeout(idleSeconds * 1000)
    const used = cpuSeconds(first.child.pid ?? 0) - cpuBefore
    bench.record(`${row}: idle`, (used / idleSeconds) * 100)
  } finally {
    const startedMs = performance.now()
    await bench.stop(first)
    bench.record(`${row}: stop`, performance.now() - startedMs)
  }
  const written = { topic: `${manyTopics.topic}-4`, partitions: 1 }
  const { broker, tookMs } = await bench.start('millrace', 'writable', written)
  try {
    bench.record(`${row}: restart, clean, to first acknowledged write`, tookMs('atMs'))
    bench.record(`${row}: restart, clean: broker CPU`, cpuSeconds(broker.child.pid ?? 0))
    bench.record(`${row}: memory after restart`, memoryMb(broker.child.pid ?? 0, 'VmRSS'))
  } finally {
    await bench.stop(broker)
  }
}

/** Its segments were never written whole: only what a clean start reads of them is there. */
async function largeLogRound(bench: Bench): Promise<void> {
  const row = 'restart with 100 GB, clean'
  const first = await bench.startEmpty('millrace')
  try {
    await bench.drive('createTopics', { port: first.port, ...kept })
    await bench.drive('writable', { port: first.port, ...kept })
  } finally {
    await bench.stop(first)
  }
  enlarge(bench.directory, kept.topic, largeLogBytes)
  const bytesBefore = logBytes(bench.directory, kept.topic)
  const { broker, tookMs } = await bench.start('millrace', 'writable', kept)
  try {
    bench.record(`${row}, to first acknowledged write`, tookMs('atMs'))
    bench.record(`${row}: broker CPU`, cpuSeconds(broker.child.pid ?? 0))
  } finally {
    await bench.stop(broker)
  }
  const bytes = logBytes(bench.directory, kept.topic)
  if (bytes <= bytesBefore) throw new Error(`${bytesBefore} bytes of log have become ${bytes}`)
}

async function manyConnectionsRound(bench: Bench): Promise<void> {
  const row = '5000 idle connections'
  const broker = await bench.startEmpty('millrace')
  try {
    await bench.warmUp(broker)
    const busy = { topic: 'busy', connections: 1 }
    await pacedRows(bench, broker, `${row}: before, produce at 1000/s`, busy)
    const beside = { ...busy, idleConnections: 5000 }
    const { figure } = await bench.measured(broker, 'besideIdle', beside)
    bench.record(`${row}: memory of each`, figure('connectionKb'))
    bench.record(`${row}: produce at 1000/s: p50`, figure('p50Ms'))
    bench.record(`${row}: produce at 1000/s: p99`, figure('p99Ms'))
  } finally {
    await bench.stop(broker)
  }
}

async function pacedRows(bench: Bench, broker: Broker, row: string, options: object) {
  const { figure } = await bench.measured(broker, 'pacedProduce', { connections: 4, ...options })
  bench.record(`${row}: p50`, figure('p50Ms'))
  bench.record(`${row}: p99`, figure('p99Ms'))
}

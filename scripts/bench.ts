/**
 * `npm run bench`: this broker and, where Java with Maven is at hand, Apache Kafka 4.3.1 with its official
 * JVM settings, driven by the same programs in alternating rounds; one table with ratios.
 *
 * The figure to trust first is the broker's CPU per unit: driver and broker share the machine, and
 * CPU seconds do not wait for each other. Memory and CPU are read from /proc, so they need Linux. What the
 * machine can do at most is measured in the same run: see `test/bench/machine.ts` and `bare-loop.ts`.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { cpuSeconds, memoryMb, readMb } from '../test/bench/broker-cpu.ts'
import {
  fetchKafka,
  formatKafka,
  type KafkaNode,
  kafkaTool,
  kafkaVersion,
  startKafka,
} from './apache-kafka.ts'
import { joinings, measureBareJoins, secondsToJoin } from './bench-groups.ts'
import { type Bench, type Broker, ourRounds } from './bench-ours.ts'
import { profiledProgram, profileWorkloads } from './bench-profile.ts'
import {
  type BareLoop,
  bareLoops,
  type Kind,
  machineFigures,
  type Round,
  type Row,
  restartedName,
  rounds,
  rowsOf,
} from './bench-rows.ts'
import { lossesAgainst, machineTable, readSamples, Samples, table } from './bench-table.ts'
import { buildFranzGo, franzGo } from './franz-go.ts'
import { choose, readOptions, refuse } from './options.ts'

const usage = `Usage: npm run bench -- [--only TEXT,...] [--rounds N] [--seconds N] [--log-gb N] [--brokers A,B]
                       [--load FOLDER] [--json FILE] [--against FILE] [--node-options TEXT]
       npm run bench -- --profile [--only TEXT,...]
       npm run bench -- tables ...     topics landed in Delta tables, which has options of its own

  --only TEXT,...  rows whose names hold one of the texts
  --rounds N       how often each broker is measured, 3 unless given
  --seconds N      how long each row is, 3 unless given
  --log-gb N       how much log a broker is restarted with, 1 unless given; 10 takes minutes, and that room
  --brokers A,B    of millrace and kafka; both unless given
  --load FOLDER    the neutral driver, a Go program around franz-go; ../shared/measure/load unless given
  --json FILE      all samples, for programs, and to be compared with later
  --against FILE   what --json of an earlier run has kept: tells which rows use more than a tenth more of the
                   processor for each unit now; the exit code is 3 where one does
  --node-options TEXT  what Millrace's Node is started with, as --node-options=--max-semi-space-size=64
  --profile        where Millrace's time goes by function, and what it allocates for each request; no comparison
`
if (process.argv[2] === 'tables') {
  await import('./bench-tables.ts')
  process.exit()
}
const lossExitCode = 3
const flags = readOptions(usage, {
  rounds: { type: 'string', default: '3' },
  seconds: { type: 'string', default: '3' },
  'log-gb': { type: 'string', default: '1' },
  only: { type: 'string' },
  json: { type: 'string' },
  load: { type: 'string', default: '../shared/measure/load' },
  against: { type: 'string' },
  profile: { type: 'boolean', default: false },
  'node-options': { type: 'string', default: '' },
  brokers: { type: 'string', default: 'millrace,kafka' },
})

const root = fileURLToPath(new URL('../..', import.meta.url))
const seconds = Number(flags.seconds)
const logBytes = Number(flags['log-gb']) * 1e9
const nodeOptions = flags['node-options'].split(' ').filter((option) => option !== '')
const ports: Readonly<Record<Kind, number>> = { millrace: 29192, kafka: 29292 }

const allRows = rowsOf(Number(flags['log-gb']))
const restarted = restartedName(Number(flags['log-gb']))

const coldStart = 'cold start to first Metadata answer'
const chosenRows = choose(allRows, flags.only, ({ name }) => name)
// Before an hour of measuring: it may not be there.
const earlier = flags.against === undefined ? undefined : readEarlier(flags.against)
const work = mkdtempSync(join(tmpdir(), 'millrace-bench-'))

function readEarlier(file: string): Samples {
  try {
    return readSamples(file)
  } catch (error) {
    return refuse(`--against: ${(error as Error).message}`)
  }
}

/** The neutral driver; null where it is not wanted or cannot be built. */
const franzGoProgram = wanted('franz-go') ? buildDriver() : null

function buildDriver(): string | null {
  const file = join(work, 'franz-go')
  const failure = buildFranzGo(resolve(root, flags.load), file)
  if (failure !== null) console.error(`franz-go is left out: ${failure}`)
  return failure === null ? file : null
}

const samples = new Samples()

function record(kind: Kind | 'machine', row: string, value: number): void {
  samples.add(kind, row, value)
  process.stderr.write(`  ${kind}: ${row} ${value.toPrecision(4)}\n`)
}

/** Whether a row of this beginning is wanted: a workload gives several. */
function wanted(beginning: string): boolean {
  return chosenRows.some(({ name }) => name.startsWith(beginning))
}

/** What both brokers start with, beside what tells them apart: compaction that does not wait. */
const properties = { 'log.cleaner.backoff.ms': '100' }

function kafkaNode(): KafkaNode {
  const propertiesFile = join(work, 'kafka.properties')
  return { port: ports.kafka, directory: join(work, 'kafka'), propertiesFile, properties }
}

/** An empty data directory; Kafka's is formatted, which no clock counts. */
function makeEmpty(kind: Kind): void {
  const directory = join(work, kind)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory)
  if (kind === 'kafka') formatKafka(kafkaNode())
}

/**
 * Starts a broker on its directory, while `workload` waits for it: how long, in milliseconds. Into Millrace's
 * process a program of the build may be loaded first, which then has an IPC channel to us.
 */
async function start(kind: Kind, workload: string, options: object, program?: string) {
  const port = ports[kind]
  const settings = [
    `listeners=PLAINTEXT://127.0.0.1:${port}`,
    `log.dirs=${join(work, kind)}`,
    'http.listeners=',
    ...Object.entries(properties).map(([name, value]) => `${name}=${value}`),
  ]
  const overrides = settings.flatMap((text) => ['--override', text])
  const output = openSync(join(work, `${kind}.log`), 'a')
  const waited = drive(workload, { port, ...options })
  await setTimeout(300)
  const startedMs = Date.now()
  const loaded =
    program === undefined ? [] : ['--import', pathToFileURL(join(root, 'build', program)).href]
  const child =
    kind === 'kafka'
      ? startKafka(kafkaNode(), output)
      : spawn(
          process.execPath,
          [...nodeOptions, ...loaded, join(root, 'build/bundle/millrace.js'), ...overrides],
          {
            stdio: ['ignore', output, output, ...(program === undefined ? [] : ['ipc' as const])],
          },
        )
  const figures = await waited
  const tookMs = (name: string) => (figures[name] ?? Number.NaN) - startedMs
  return { broker: { kind, port, child }, tookMs }
}

/** A broker on an empty directory; timed, unless a program is loaded that would be timed as well. */
async function startEmpty(kind: Kind, program?: string): Promise<Broker> {
  makeEmpty(kind)
  const { broker, tookMs } = await start(kind, 'ready', {}, program)
  if (program === undefined) record(kind, coldStart, tookMs('atMs'))
  return broker
}

async function stop(broker: Broker, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
  const ended = new Promise((resolve) => broker.child.once('exit', resolve))
  broker.child.kill(signal)
  const timedOut = await Promise.race([ended.then(() => false), setTimeout(15_000, true)])
  if (!timedOut) return
  broker.child.kill('SIGKILL')
  await ended
}

/** Runs one workload of the driver and returns its figures. */
function drive(workload: string, options: object): Promise<Readonly<Record<string, number>>> {
  return new Promise((resolve, reject) => {
    const driver = join(root, 'build/test/bench/driver.js')
    const child = spawn(process.execPath, [driver, workload, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(text) as Record<string, number>)
      else reject(new Error(`${workload} failed with exit code ${code}`))
    })
  })
}

/** A workload with the CPU that the broker used meanwhile, or while it was measured where that is told. */
async function measured(broker: Broker, workload: string, options: object) {
  const pid = broker.child.pid ?? 0
  const before = cpuSeconds(pid)
  const result = await drive(workload, { port: broker.port, pid, seconds, ...options })
  const figure = (name: string) => result[name] ?? Number.NaN
  return { figure, cpuSeconds: result.cpuSeconds ?? cpuSeconds(pid) - before }
}

/** Not counted: the just-in-time compilers get to know the hot paths. */
async function warmUp({ port }: Broker): Promise<void> {
  const topic = 'warm'
  await drive('produce', { port, topic, seconds: 5 })
  await drive('smallRequests', { port, topic, seconds: 3, connections: 16, recordBytes: 100 })
  await drive('fetch', { port, topic, seconds: 2 })
}

async function produceRows(broker: Broker): Promise<void> {
  const sizes = [
    ['produce 1 MB requests of 1 KB', 'large', 1_000_000, 1024],
    ['produce 64 KB requests of 1 KB', 'middle', 64_000, 1024],
    ['produce 16 KB requests of 100 B', 'small', 16_000, 100],
  ] as const
  for (const [row, topic, batchBytes, recordBytes] of sizes) {
    if (!wanted(row)) continue
    const options = { topic, batchBytes, recordBytes }
    const { figure, cpuSeconds } = await measured(broker, 'produce', options)
    record(broker.kind, row, figure('mbPerSecond'))
    record(broker.kind, `${row}: broker CPU`, cpuSeconds / (figure('bytes') / 1e9))
  }
}

async function fetchRows(broker: Broker): Promise<void> {
  const row = 'fetch, cached'
  if (!wanted(row)) return
  await drive('produce', { port: broker.port, topic: 'fetched', seconds: 20, bytesMax: 6e8 })
  const { figure, cpuSeconds } = await measured(broker, 'fetch', { topic: 'fetched' })
  record(broker.kind, row, figure('mbPerSecond'))
  record(broker.kind, `${row}: broker CPU`, cpuSeconds / (figure('bytes') / 1e9))
}

async function smallRequestRows(broker: Broker): Promise<void> {
  for (const connections of [16, 64]) {
    const row = `small requests, ${connections} connections`
    if (!wanted(row)) continue
    const options = { topic: 'tiny', connections, recordBytes: 100 }
    const { figure, cpuSeconds } = await measured(broker, 'smallRequests', options)
    record(broker.kind, row, figure('requestsPerSecond'))
    if (connections === 16) record(broker.kind, `${row}: p99`, figure('p99Ms'))
    record(broker.kind, `${row}: broker CPU`, (cpuSeconds / figure('requests')) * 1e6)
  }
}

/** Each producer has one request of one record in flight, acknowledged when it is on the device. */
async function flushRows(broker: Broker): Promise<void> {
  for (const connections of [1, 16, 64]) {
    const row = `flush.messages=1, ${connections} producer${connections > 1 ? 's' : ''}`
    if (!wanted(row)) continue
    const configs = { 'flush.messages': '1' }
    const options = { topic: 'flushed', connections, recordBytes: 100, configs }
    const { figure } = await measured(broker, 'smallRequests', options)
    record(broker.kind, row, figure('requestsPerSecond'))
  }
}

async function endToEndRows(broker: Broker, ratePerSecond: number): Promise<void> {
  const row = `end to end at ${ratePerSecond}/s`
  if (!wanted(row)) return
  const options = { topic: `paced-${ratePerSecond}`, ratePerSecond }
  const { figure, cpuSeconds } = await measured(broker, 'endToEnd', options)
  record(broker.kind, `${row}: p50`, figure('p50Ms'))
  record(broker.kind, `${row}: p99`, figure('p99Ms'))
  record(broker.kind, `${row}: broker CPU`, (cpuSeconds / figure('requests')) * 1e6)
}

async function topicsRow({ kind, port }: Broker): Promise<void> {
  const row = '100 topics of 10 partitions'
  if (!wanted(row)) return
  const { seconds } = await drive('topics', { port, topic: 'many' })
  record(kind, row, seconds ?? Number.NaN)
}

/** Kafka's own performance tools, as its users run them. */
function perfToolRows({ kind, port }: Broker): void {
  const isWanted = wanted('kafka-producer-perf-test') || wanted('kafka-consumer-perf-test')
  if (!isWanted || fetchKafka() !== null) return
  const at = `bootstrap.servers=127.0.0.1:${port}`
  const what = ['--topic', 'perf', '--num-records', '500000']
  const produced = kafkaTool('org.apache.kafka.tools.ProducerPerformance', [
    ...[...what, '--record-size', '1024', '--throughput', '-1'],
    ...['--producer-props', 'acks=all', at],
  ])
  const rate = [...produced.matchAll(/([\d.]+) MB\/sec/g)].at(-1)
  record(kind, 'kafka-producer-perf-test, 1 KB', Number(rate?.[1]))
  const consumed = kafkaTool('org.apache.kafka.tools.ConsumerPerformance', [
    ...[...what, '--bootstrap-server', `127.0.0.1:${port}`, '--hide-header'],
  ])
  const columns = consumed.trim().split('\n').at(-1)?.split(/, */) ?? []
  record(kind, 'kafka-consumer-perf-test, 1 KB', Number(columns[3]))
}

/** With the client as its users would: acks=all, idempotent, 1 MB batches, two producers. */
async function franzGoRows({ kind, port, child }: Broker): Promise<void> {
  if (franzGoProgram === null) return
  const program = franzGoProgram
  const run = async (row: string, ...args: string[]) => {
    const before = cpuSeconds(child.pid ?? 0)
    const figures = await franzGo(program, port, args)
    const cpu = cpuSeconds(child.pid ?? 0) - before
    record(kind, `${row}: broker CPU`, cpu / ((figures.bytes ?? Number.NaN) / 1e9))
    return figures
  }
  const six = ['-partitions', '6']
  const two = [...six, '-producers', '2', '-seconds', String(seconds), '-max-mb', '1500']
  const sizes = [
    ['franz-go: produce 1 KB', 1024, 'mb_s'],
    ['franz-go: produce 100 B', 100, 'records_s'],
  ] as const
  for (const [row, bytes, figure] of sizes) {
    if (!wanted(row)) continue
    const topic = ['-topic', `franz-${bytes}`, '-size', String(bytes)]
    const figures = await run(row, 'produce', ...topic, ...two)
    record(kind, row, figures[figure] ?? Number.NaN)
  }
  const row = 'franz-go: consume 1 KB, cached'
  if (!wanted(row)) return
  const topic = ['-topic', 'franz-kept', ...six]
  const kept = [...topic, '-producers', '2', '-seconds', '20', '-max-mb', '700']
  await franzGo(program, port, ['produce', ...kept])
  record(kind, row, (await run(row, 'consume', ...topic)).mb_s ?? Number.NaN)
}

async function groupRows({ kind, port }: Broker): Promise<void> {
  for (const joining of joinings) {
    if (franzGoProgram === null || !wanted(joining.row)) continue
    record(kind, joining.row, await secondsToJoin(franzGoProgram, port, joining))
  }
}

/** Four producers, each of which ends a transaction before it begins the next. */
async function transactionRows(broker: Broker): Promise<void> {
  const sizes = [
    ['transactions of 1 record', 'short', 1],
    ['transactions of 100 records', 'long', 100],
  ] as const
  for (const [row, topic, batchRecords] of sizes) {
    if (!wanted(row)) continue
    const options = { topic, batchRecords, recordBytes: 100, connections: 4 }
    const { figure, cpuSeconds } = await measured(broker, 'transactions', options)
    record(broker.kind, row, figure('requestsPerSecond'))
    record(broker.kind, `${row}: broker CPU`, (cpuSeconds / figure('requests')) * 1e6)
  }
}

/** Six loops, each of a thousand records to a transaction. */
async function exactlyOnceRows(broker: Broker): Promise<void> {
  const row = 'consume, transform, produce'
  if (!wanted(row)) return
  const options = { topic: 'input', recordBytes: 100 }
  const { figure, cpuSeconds } = await measured(broker, 'consumeTransformProduce', options)
  record(broker.kind, row, figure('recordsPerSecond'))
  record(broker.kind, `${row}: broker CPU`, (cpuSeconds / figure('records')) * 1e6)
}

async function joinRows(broker: Broker): Promise<void> {
  const protocols = [
    ['100 members join, classic', 'joinClassic'],
    ['100 members join, KIP-848', 'joinConsumer'],
  ] as const
  for (const [row, workload] of protocols) {
    if (!wanted(row)) continue
    const options = { topic: workload, partitions: 100 }
    const { figure, cpuSeconds } = await measured(broker, workload, options)
    record(broker.kind, row, figure('seconds') * 1000)
    record(broker.kind, `${row}: broker CPU`, cpuSeconds * 1000)
  }
}

/** What should not cost more where there are many: partitions of a session, groups, topics. */
async function manyRows(broker: Broker): Promise<void> {
  const many = [
    ['consumed at 1000/s in a session of 10 partitions', 'sessionFetch', { partitions: 10 }],
    ['consumed at 1000/s in a session of 1000 partitions', 'sessionFetch', { partitions: 1000 }],
    ['heartbeats and commits at 2000/s of 10 groups', 'steadyGroups', { groups: 10 }],
    ['heartbeats and commits at 2000/s of 500 groups', 'steadyGroups', { groups: 500 }],
  ] as const
  for (const [row, workload, size] of many) {
    if (!wanted(row)) continue
    const ratePerSecond = workload === 'sessionFetch' ? 1000 : 2000
    const options = { topic: row.replaceAll(/[ /]/g, '-'), ratePerSecond, ...size }
    const { figure, cpuSeconds } = await measured(broker, workload, options)
    record(broker.kind, `${row}: p50`, figure('p50Ms'))
    record(broker.kind, `${row}: p99`, figure('p99Ms'))
    record(broker.kind, `${row}: broker CPU`, (cpuSeconds / figure('requests')) * 1e6)
  }
  const row = 'metadata of 1000 topics'
  if (!wanted(row)) return
  const options = { topic: 'told', topics: 1000, connections: 16 }
  const { figure, cpuSeconds } = await measured(broker, 'manyTopicsMetadata', options)
  record(broker.kind, row, figure('requestsPerSecond'))
  record(broker.kind, `${row}: broker CPU`, (cpuSeconds / figure('requests')) * 1e6)
}

/** Another topic is compacted meanwhile, or the topic has many partitions, or neither. */
async function pacedRows(broker: Broker, partitions: number): Promise<void> {
  const row = `produce at 1000/s, ${partitions.toLocaleString('en-US')} partitions`
  if (!wanted(row)) return
  const options = { topic: `steady-${partitions}`, partitions, connections: 4 }
  const { figure, cpuSeconds } = await measured(broker, 'pacedProduce', options)
  record(broker.kind, `${row}: p50`, figure('p50Ms'))
  record(broker.kind, `${row}: p99`, figure('p99Ms'))
  record(broker.kind, `${row}: broker CPU`, (cpuSeconds / figure('requests')) * 1e6)
}

async function compactionRows(broker: Broker): Promise<void> {
  const size = { bytesMax: 6e8, partitions: 10, connections: 4 }
  if (wanted('compaction')) {
    const options = { ...size, topic: 'compacted', ratePerSecond: 0 }
    const { figure, cpuSeconds } = await measured(broker, 'compaction', options)
    record(broker.kind, 'compaction', figure('mbPerSecond'))
    record(broker.kind, 'compaction: broker CPU', cpuSeconds / (figure('bytes') / 1e9))
  }
  const row = 'produce at 1000/s, beside compaction'
  if (!wanted(row)) return
  const { figure } = await measured(broker, 'compaction', { ...size, topic: 'beside' })
  record(broker.kind, `${row}: p50`, figure('p50Ms'))
  record(broker.kind, `${row}: p99`, figure('p99Ms'))
}

async function loadRound(kind: Kind): Promise<void> {
  const broker = await startEmpty(kind)
  const pid = broker.child.pid ?? 0
  try {
    await setTimeout(3000)
    record(kind, 'memory, idle', memoryMb(pid, 'VmRSS'))
    await warmUp(broker)
    await produceRows(broker)
    await fetchRows(broker)
    await smallRequestRows(broker)
    await flushRows(broker)
    await endToEndRows(broker, 1000)
    await endToEndRows(broker, 10_000)
    perfToolRows(broker)
    await franzGoRows(broker)
    record(kind, 'memory, peak under load', memoryMb(pid, 'VmHWM'))
    await topicsRow(broker)
  } finally {
    await stop(broker)
  }
}

async function groupsAndTransactionsRound(kind: Kind): Promise<void> {
  const broker = await startEmpty(kind)
  try {
    await warmUp(broker)
    const { port } = broker
    await drive('transactions', { port, topic: 'warm-transactions', seconds: 5, connections: 4 })
    await transactionRows(broker)
    await exactlyOnceRows(broker)
    await joinRows(broker)
    await groupRows(broker)
  } finally {
    await stop(broker)
  }
}

async function steadyRound(kind: Kind): Promise<void> {
  const broker = await startEmpty(kind)
  try {
    await warmUp(broker)
    await pacedRows(broker, 10)
    await compactionRows(broker)
    await pacedRows(broker, 2000)
    await manyRows(broker)
  } finally {
    await stop(broker)
  }
}

/** A directory with much log in six partitions, opened after a clean stop and after `kill -9`. */
async function restartRound(kind: Kind): Promise<void> {
  const topic = 'kept'
  const first = await startEmpty(kind)
  await drive('produce', { port: first.port, topic, seconds: 600, bytesMax: logBytes })
  await drive('commitOffsets', { port: first.port, topic: 'committed' })
  await stop(first)
  for (const how of ['clean', 'after kill -9']) {
    const { broker, tookMs } = await start(kind, 'restarted', { topic })
    const cpu = cpuSeconds(broker.child.pid ?? 0)
    record(kind, `${restarted}, ${how}: read`, readMb(broker.child.pid ?? 0))
    record(kind, `${restarted}, ${how}, to first acknowledged write`, tookMs('atMs'))
    record(kind, `${restarted}, ${how}, to 100,000 committed offsets`, tookMs('offsetsAtMs'))
    record(kind, `${restarted}, ${how}: broker CPU`, cpu)
    if (how === 'clean')
      record(kind, 'memory, after restart', memoryMb(broker.child.pid ?? 0, 'VmRSS'))
    await stop(broker, 'SIGKILL')
  }
}

/**
 * Memory that a virtual machine frees goes back to its host two seconds later, and writing a file into new
 * memory costs three times as much: a broker always does, so what it is held against does as well.
 */
const freedMs = 3000

/** The limits that the wanted rows are held against, and those that tell what the machine is. */
async function measureMachine(): Promise<void> {
  const directory = join(work, 'machine')
  mkdirSync(directory, { recursive: true })
  await setTimeout(freedMs)
  const figures = await drive('machine', { directory })
  for (const [name, figure] of machineFigures)
    record('machine', name, figures[figure] ?? Number.NaN)
  for (const loop of bareLoops) {
    const isOf = ({ limit = '' }: Row) => limit === loop.name || limit.startsWith(`${loop.name}: `)
    if (loop.isShown || chosenRows.some(isOf)) await measureBareLoop(loop, directory)
  }
  if (franzGoProgram !== null && joinings.some(({ row }) => wanted(row))) {
    const bareGroups = join(root, 'build/test/bench/bare-groups.js')
    await measureBareJoins(bareGroups, franzGoProgram, (...limit) => record('machine', ...limit))
  }
  rmSync(directory, { recursive: true, force: true })
}

async function measureBareLoop(loop: BareLoop, directory: string): Promise<void> {
  const { name, mode, workload, options, cpuPer } = loop
  if (mode !== 'receive') await setTimeout(freedMs)
  const program = join(root, 'build/test/bench/bare-loop.js')
  const child = spawn(process.execPath, [program, mode, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const port = Number(await new Promise((resolve) => child.stdout.once('data', resolve)))
    const pid = child.pid ?? 0
    await drive(workload, { port, ...options, seconds: mode === 'relay' ? 3 : 0.5 })
    const before = cpuSeconds(pid)
    const result = await drive(workload, { port, ...options, seconds: Math.min(2, seconds) })
    const cpu = cpuSeconds(pid) - before
    const figure = (key: string) => result[key] ?? Number.NaN
    for (const [end, key] of Object.entries(loop.figures))
      record('machine', name + end, figure(key))
    const scale = cpuPer === 'requests' ? 1e6 : 1e9
    record('machine', `${name}: CPU`, (cpu / figure(cpuPer)) * scale)
  } finally {
    child.kill('SIGKILL')
    rmSync(join(directory, 'bare-loop'), { force: true })
  }
}

const bench: Bench = {
  ...{ start, startEmpty, stop, drive, measured, warmUp, wanted },
  directory: join(work, 'millrace'),
  record: (row, value) => record('millrace', row, value),
}

const measure: Readonly<Record<Round, (kind: Kind) => Promise<void>>> = {
  load: loadRound,
  'groups and transactions': groupsAndTransactionsRound,
  steady: steadyRound,
  restart: restartRound,
  ...ourRounds(bench),
}

/** Every round of which a row is wanted. */
async function measureAll(kind: Kind): Promise<void> {
  for (const round of rounds) {
    if (!chosenRows.some((row) => row.round === round && !(row.isOurs && kind === 'kafka')))
      continue
    try {
      await measure[round](kind)
    } finally {
      rmSync(join(work, kind), { recursive: true, force: true })
    }
  }
}

async function profile(): Promise<void> {
  const broker = await startEmpty('millrace', profiledProgram)
  try {
    await warmUp(broker)
    await profileWorkloads(broker, drive, wanted)
  } finally {
    await stop(broker)
    rmSync(work, { recursive: true, force: true })
  }
}

if (flags.profile) {
  await profile()
  process.exit()
}
const kinds = (flags.brokers.split(',') as Kind[]).filter((kind) => {
  const failure = kind === 'kafka' ? fetchKafka() : null
  if (failure !== null) console.error(`Apache Kafka is left out: ${failure}`)
  return failure === null
})
try {
  for (let number = 0; number < Number(flags.rounds); number++) {
    process.stderr.write(`round ${number + 1} of ${flags.rounds}\n`)
    await measureMachine()
    // Another one first in every round.
    for (const kind of number % 2 === 0 ? kinds : [...kinds].reverse()) await measureAll(kind)
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, kernel ${release()}, Node ${process.version}`
console.log(
  `${machine}; ${flags.rounds} rounds, median (± half the range); ratio above 1: better than Kafka ${kafkaVersion}\n`,
)
console.log(table(allRows, samples, kinds))
console.log(`\n${machineTable(samples)}`)
if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(samples.all, null, 2))
if (earlier !== undefined) {
  const losses = lossesAgainst(earlier, samples, allRows)
  console.log(`\n${losses.text}`)
  if (losses.count > 0) process.exitCode = lossExitCode
}

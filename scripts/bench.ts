/**
 * `npm run bench`: this broker and, where Java with Maven is at hand, Apache Kafka 4.3.1 with its official
 * JVM settings, driven by the same programs in alternating rounds; one table with ratios.
 *
 * The figure to trust first is the broker's CPU per unit: driver and broker share the machine, and
 * CPU seconds do not wait for each other. Memory and CPU are read from /proc, so they need Linux.
 * `--rounds N` (3), `--only ROW,…`, `--seconds N` for each row (3), `--json FILE`, `--brokers millrace,kafka`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { cpus, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    only: { type: 'string' },
    json: { type: 'string' },
    brokers: { type: 'string', default: 'millrace,kafka' },
  },
})

const root = fileURLToPath(new URL('../..', import.meta.url))
const kafkaVersion = '4.3.1'
const jars = join(tmpdir(), 'millrace-interop', `java-${kafkaVersion}`)
const work = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const seconds = Number(flags.seconds)
const ports = { millrace: 29192, kafka: 29292 } as const
type Kind = keyof typeof ports

/** The settings that kafka-server-start.sh gives the JVM. */
const kafkaJvm = [
  '-Xmx1G',
  '-Xms1G',
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-Djava.awt.headless=true',
]

interface Broker {
  readonly kind: Kind
  readonly child: ChildProcess
  readonly port: number
}

interface Row {
  readonly name: string
  readonly unit: string
  readonly betterIs: 'less' | 'more'
}

/** Every row of the table, in its order. */
const rows: readonly Row[] = [
  { name: 'cold start to first Metadata answer', unit: 'ms', betterIs: 'less' },
  { name: 'memory, idle', unit: 'MB', betterIs: 'less' },
  { name: 'memory, peak under load', unit: 'MB', betterIs: 'less' },
  { name: 'produce 1 MB requests of 1 KB', unit: 'MB/s', betterIs: 'more' },
  { name: 'produce 1 MB requests of 1 KB: broker CPU', unit: 's/GB', betterIs: 'less' },
  { name: 'produce 64 KB requests of 1 KB', unit: 'MB/s', betterIs: 'more' },
  { name: 'produce 64 KB requests of 1 KB: broker CPU', unit: 's/GB', betterIs: 'less' },
  { name: 'produce 16 KB requests of 100 B', unit: 'MB/s', betterIs: 'more' },
  { name: 'produce 16 KB requests of 100 B: broker CPU', unit: 's/GB', betterIs: 'less' },
  { name: 'fetch, cached', unit: 'MB/s', betterIs: 'more' },
  { name: 'fetch, cached: broker CPU', unit: 's/GB', betterIs: 'less' },
  { name: 'small requests, 16 connections', unit: '/s', betterIs: 'more' },
  { name: 'small requests, 16 connections: p99', unit: 'ms', betterIs: 'less' },
  { name: 'small requests, 16 connections: broker CPU', unit: 'us each', betterIs: 'less' },
  { name: 'small requests, 64 connections', unit: '/s', betterIs: 'more' },
  { name: 'small requests, 64 connections: broker CPU', unit: 'us each', betterIs: 'less' },
  { name: 'end to end at 1000/s: p50', unit: 'ms', betterIs: 'less' },
  { name: 'end to end at 1000/s: p99', unit: 'ms', betterIs: 'less' },
  { name: 'end to end at 1000/s: broker CPU', unit: 'us each', betterIs: 'less' },
  { name: '100 topics of 10 partitions', unit: 's', betterIs: 'less' },
  { name: 'kafka-producer-perf-test, 1 KB', unit: 'MB/s', betterIs: 'more' },
  { name: 'kafka-consumer-perf-test, 1 KB', unit: 'MB/s', betterIs: 'more' },
]

const samples = new Map<string, number[]>()

function record(kind: Kind, row: string, value: number): void {
  const key = `${kind}/${row}`
  const values = samples.get(key) ?? []
  values.push(value)
  samples.set(key, values)
  process.stderr.write(`  ${kind}: ${row} ${value.toPrecision(4)}\n`)
}

function wanted(row: string): boolean {
  return flags.only === undefined || flags.only.split(',').some((part) => row.includes(part))
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function memoryMb(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(new RegExp(`${field}:\\s+(\\d+)`))
  return Number(line?.[1]) / 1024
}

function kafkaProperties(port: number, directory: string): string {
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${port + 1}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${port + 1}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names=CONTROLLER',
    'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    `log.dirs=${directory}`,
    'offsets.topic.replication.factor=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'group.initial.rebalance.delay.ms=0',
    '',
  ].join('\n')
}

function kafkaTool(main: string, args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync(
    'java',
    ['-Xmx512M', '-cp', join(jars, '*'), main, ...args],
    {
      encoding: 'utf8',
      timeout: 120_000,
    },
  )
  if (status !== 0) throw new Error(`${main}: ${stderr.slice(-400)}`)
  return stdout
}

/** Starts a broker on an empty directory; Kafka's is formatted before the clock starts. */
async function start(kind: Kind): Promise<Broker> {
  const port = ports[kind]
  const directory = join(work, kind)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory)
  const properties = join(work, 'kafka.properties')
  if (kind === 'kafka') {
    writeFileSync(properties, kafkaProperties(port, directory))
    kafkaTool('kafka.tools.StorageTool', [
      'format',
      '-t',
      '5L6g3nShT-eMCtK--X86sw',
      '-c',
      properties,
    ])
  }
  const settings = [
    `listeners=PLAINTEXT://127.0.0.1:${port}`,
    `log.dirs=${directory}`,
    'http.listeners=',
  ]
  const [command, args] =
    kind === 'kafka'
      ? ['java', [...kafkaJvm, '-cp', join(jars, '*'), 'kafka.Kafka', properties]]
      : [
          process.execPath,
          [
            join(root, 'build/bundle/millrace.js'),
            ...settings.flatMap((text) => ['--override', text]),
          ],
        ]
  const output = openSync(join(work, `${kind}.log`), 'a')
  const ready = drive('ready', { port })
  await setTimeout(300)
  const startedMs = Date.now()
  const child = spawn(command, args, { stdio: ['ignore', output, output] })
  const { atMs } = await ready
  record(kind, 'cold start to first Metadata answer', (atMs ?? Number.NaN) - startedMs)
  return { kind, child, port }
}

async function stop(broker: Broker): Promise<void> {
  const ended = new Promise((resolve) => broker.child.once('exit', resolve))
  broker.child.kill('SIGTERM')
  const timedOut = await Promise.race([ended.then(() => false), setTimeout(15_000, true)])
  if (timedOut) broker.child.kill('SIGKILL')
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

/** A workload with the CPU that the broker used meanwhile. */
async function measured(broker: Broker, workload: string, options: object) {
  const pid = broker.child.pid ?? 0
  const before = cpuSeconds(pid)
  const result = await drive(workload, { port: broker.port, seconds, ...options })
  return { ...result, cpuSeconds: cpuSeconds(pid) - before } as Readonly<Record<string, number>>
}

async function round(kind: Kind): Promise<void> {
  const broker = await start(kind)
  const pid = broker.child.pid ?? 0
  const number = (value: number | undefined) => value ?? Number.NaN
  try {
    await setTimeout(3000)
    record(kind, 'memory, idle', memoryMb(pid, 'VmRSS'))
    // Not counted: the just-in-time compilers get to know the hot paths.
    await drive('produce', { port: broker.port, topic: 'warm', seconds: 5 })
    await drive('smallRequests', {
      port: broker.port,
      topic: 'warm',
      seconds: 3,
      connections: 16,
      recordBytes: 100,
    })
    await drive('fetch', { port: broker.port, topic: 'warm', seconds: 2 })
    const produces = [
      [
        'produce 1 MB requests of 1 KB',
        { topic: 'large', batchBytes: 1_000_000, recordBytes: 1024 },
      ],
      [
        'produce 64 KB requests of 1 KB',
        { topic: 'middle', batchBytes: 64_000, recordBytes: 1024 },
      ],
      ['produce 16 KB requests of 100 B', { topic: 'small', batchBytes: 16_000, recordBytes: 100 }],
    ] as const
    for (const [row, options] of produces) {
      if (!wanted(row)) continue
      const result = await measured(broker, 'produce', options)
      record(kind, row, number(result['mbPerSecond']))
      record(
        kind,
        `${row}: broker CPU`,
        number(result['cpuSeconds']) / (number(result['bytes']) / 1e9),
      )
    }
    if (wanted('fetch, cached')) {
      await drive('produce', { port: broker.port, topic: 'fetched', seconds: 20, bytesMax: 6e8 })
      const result = await measured(broker, 'fetch', { topic: 'fetched' })
      record(kind, 'fetch, cached', number(result['mbPerSecond']))
      record(
        kind,
        'fetch, cached: broker CPU',
        number(result['cpuSeconds']) / (number(result['bytes']) / 1e9),
      )
    }
    for (const connections of [16, 64]) {
      const row = `small requests, ${connections} connections`
      if (!wanted(row)) continue
      const result = await measured(broker, 'smallRequests', {
        topic: 'tiny',
        connections,
        recordBytes: 100,
      })
      record(kind, row, number(result['requestsPerSecond']))
      if (connections === 16) record(kind, `${row}: p99`, number(result['p99Ms']))
      record(
        kind,
        `${row}: broker CPU`,
        (number(result['cpuSeconds']) / number(result['requests'])) * 1e6,
      )
    }
    if (wanted('end to end at 1000/s')) {
      const result = await measured(broker, 'endToEnd', { topic: 'paced', ratePerSecond: 1000 })
      record(kind, 'end to end at 1000/s: p50', number(result['p50Ms']))
      record(kind, 'end to end at 1000/s: p99', number(result['p99Ms']))
      record(
        kind,
        'end to end at 1000/s: broker CPU',
        (number(result['cpuSeconds']) / number(result['requests'])) * 1e6,
      )
    }
    if (existsSync(jars) && wanted('kafka-producer-perf-test')) perfTools(broker)
    record(kind, 'memory, peak under load', memoryMb(pid, 'VmHWM'))
    if (wanted('100 topics of 10 partitions')) {
      const result = await drive('topics', { port: broker.port, topic: 'many' })
      record(kind, '100 topics of 10 partitions', number(result['seconds']))
    }
  } finally {
    await stop(broker)
    rmSync(join(work, kind), { recursive: true, force: true })
  }
}

/** Kafka's own performance tools, as its users run them. */
function perfTools({ kind, port }: Broker): void {
  const bootstrap = `127.0.0.1:${port}`
  const produced = kafkaTool('org.apache.kafka.tools.ProducerPerformance', [
    ...[
      '--topic',
      'perf',
      '--num-records',
      '500000',
      '--record-size',
      '1024',
      '--throughput',
      '-1',
    ],
    ...['--producer-props', 'acks=all', `bootstrap.servers=${bootstrap}`],
  ])
  const rate = [...produced.matchAll(/([\d.]+) MB\/sec/g)].at(-1)
  record(kind, 'kafka-producer-perf-test, 1 KB', Number(rate?.[1]))
  const consumed = kafkaTool('org.apache.kafka.tools.ConsumerPerformance', [
    ...[
      '--topic',
      'perf',
      '--num-records',
      '500000',
      '--bootstrap-server',
      bootstrap,
      '--hide-header',
    ],
  ])
  const columns = consumed.trim().split('\n').at(-1)?.split(/, */) ?? []
  record(kind, 'kafka-consumer-perf-test, 1 KB', Number(columns[3]))
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN
  const high = sorted[Math.floor(middle)] ?? low
  return (low + high) / 2
}

function shown(values: readonly number[], unit: string): string {
  if (values.length === 0) return ''
  const middle = median(values)
  const spread = ((Math.max(...values) - Math.min(...values)) / 2 / middle) * 100
  const digits = Number(middle.toPrecision(3)).toLocaleString('en-US', { maximumFractionDigits: 3 })
  return `${digits} ${unit} (±${spread.toFixed(0)} %)`
}

function table(kinds: readonly Kind[]): string {
  const lines = [
    `| | ${kinds.join(' | ')} | ratio |`,
    `| --- | ${kinds.map(() => '---').join(' | ')} | --- |`,
  ]
  for (const { name, unit, betterIs } of rows) {
    const columns = kinds.map((kind) => samples.get(`${kind}/${name}`) ?? [])
    if (columns.every((values) => values.length === 0)) continue
    const [ours, theirs] = [samples.get(`millrace/${name}`), samples.get(`kafka/${name}`)]
    const ratio =
      ours && theirs
        ? betterIs === 'more'
          ? median(ours) / median(theirs)
          : median(theirs) / median(ours)
        : Number.NaN
    const cells = columns.map((values) => shown(values, unit))
    lines.push(
      `| ${name} | ${cells.join(' | ')} | ${Number.isNaN(ratio) ? '' : `**${ratio.toPrecision(2)}x**`} |`,
    )
  }
  return lines.join('\n')
}

function fetchKafka(): boolean {
  if (existsSync(join(jars, `kafka_2.13-${kafkaVersion}.jar`))) return true
  if (spawnSync('mvn', ['--version']).status !== 0 || spawnSync('java', ['-version']).status !== 0)
    return false
  const { status } = spawnSync(
    'mvn',
    [
      '-q',
      '-B',
      'dependency:copy-dependencies',
      `-Dkafka.version=${kafkaVersion}`,
      `-DoutputDirectory=${jars}`,
    ],
    { cwd: join(root, 'test/interop/clients/kafka'), stdio: 'inherit' },
  )
  return status === 0
}

const kinds = (flags.brokers.split(',') as Kind[]).filter((kind) => {
  if (kind !== 'kafka' || fetchKafka()) return true
  console.error('Apache Kafka is left out: Java with Maven is needed to get it')
  return false
})
try {
  for (let number = 0; number < Number(flags.rounds); number++) {
    process.stderr.write(`round ${number + 1} of ${flags.rounds}\n`)
    // Another one first in every round.
    for (const kind of number % 2 === 0 ? kinds : [...kinds].reverse()) await round(kind)
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, kernel ${release()}, Node ${process.version}`
console.log(
  `${machine}; ${flags.rounds} rounds, median (± half the range); ratio above 1: better than Kafka ${kafkaVersion}\n`,
)
console.log(table(kinds))
if (flags.json !== undefined)
  writeFileSync(flags.json, JSON.stringify(Object.fromEntries(samples), null, 2))

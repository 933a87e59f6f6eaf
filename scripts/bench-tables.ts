/**
 * `npm run bench -- tables`: a topic of JSON landed in a Delta table by our sink, and by what somebody has for it today,
 * Spark Structured Streaming and a consumer in Python around confluent-kafka, pyarrow and delta-rs; how soon readers of
 * the table see what was written, and what that costs those who write; and the table read by us, pyarrow and DuckDB.
 *
 * All share the machine, so the figure to trust first is CPU seconds. Ours are those of one process, broker and sink;
 * those of Spark and Python are their own and the broker's.
 */
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { LocalStorage } from '../src/environment/node/local-storage.ts'
import { rowCountOf } from '../src/tables/delta/file-bounds.ts'
import { fileNameOf } from '../src/tables/delta/paths.ts'
import { readSnapshot } from '../src/tables/delta/snapshot.ts'
import { cpuSeconds, memoryMb } from '../test/bench/broker-cpu.ts'
import { sinkAlone } from '../test/bench/sink-alone.ts'
import { fill, TableWatch, type Written, writeSteadily } from '../test/bench/table-load.ts'
import { recordText, type Shape, shapes } from '../test/bench/table-records.ts'
import { freePort } from '../test/free-port.ts'
import { JavaProgram } from '../test/interop/java-program.ts'
import { fetchSpark, sparkFlags, sparkJars } from '../test/interop/spark-jars.ts'
import { BrokerProcess } from '../test/soak/broker-process.ts'
import { cache } from './apache-kafka.ts'
import { markdown } from './bench-table.ts'
import { choose, readOptions } from './options.ts'

const usage = `Usage: npm run bench -- tables [--only TEXT,...] [--records N] [--seconds N] [--python PROGRAM] [--json FILE]

  --only TEXT,...  pieces whose names hold one of the texts
  --records N      how many are landed, 1000000 unless given
  --seconds N      how long a steady rate is measured, after as long to warm up; 10 unless given
  --python PROGRAM with confluent_kafka, pyarrow, deltalake and duckdb; python3 unless given. What it lacks is left out
  --json FILE      all figures, for programs
`
const flags = readOptions(
  usage,
  {
    only: { type: 'string' },
    records: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '10' },
    python: { type: 'string', default: 'python3' },
    json: { type: 'string' },
  },
  process.argv.slice(3),
)
const root = fileURLToPath(new URL('../..', import.meta.url))
const records = Number(flags.records)
const seconds = Number(flags.seconds)
const rates = [1000, 50_000]
const commitMs = 1000
/** Spark has landed so many before it is measured: its JVM is warm by then. */
const sparkWarmRecords = 100_000
/** A consumer in Python commits when so many wait, as our sink does. */
const commitRecords = 1_000_000
const work = mkdtempSync(join(tmpdir(), 'millrace-bench-tables-'))
const connector = 'lander'

interface Figures {
  readonly [name: string]: number
}
/** Of each piece what it was measured to be. */
const results: Record<string, Figures> = {}

function record(piece: string, figures: Figures): void {
  results[piece] = figures
  const texts = Object.entries(figures).map(([name, value]) => `${name} ${digits(value)}`)
  process.stderr.write(`  ${piece}: ${texts.join(', ')}\n`)
}

function digits(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3)
}

/** A broker on an empty directory. */
class Ours {
  readonly #broker: BrokerProcess
  readonly port: number
  readonly #httpPort: number

  static async start(): Promise<Ours> {
    const [port, httpPort] = [await freePort(), await freePort()]
    const directory = mkdtempSync(join(work, 'broker-'))
    const broker = new BrokerProcess({
      ...{ program: join(root, 'build/bundle/millrace.js'), port, directory },
      logFile: join(work, 'broker.log'),
      overrides: [
        `http.listeners=http://127.0.0.1:${httpPort}`,
        'connect.offset.flush.interval.ms=5000',
      ],
      variables: {},
    })
    closeSync(openSync(join(work, 'broker.log'), 'a'))
    broker.launch()
    await broker.ready()
    return new Ours(broker, port, httpPort)
  }

  private constructor(broker: BrokerProcess, port: number, httpPort: number) {
    this.#broker = broker
    this.port = port
    this.#httpPort = httpPort
  }

  get cpuSeconds(): number {
    return cpuSeconds(this.#broker.pid)
  }

  get memoryMb(): number {
    return memoryMb(this.#broker.pid, 'VmRSS')
  }

  get peakMb(): number {
    return memoryMb(this.#broker.pid, 'VmHWM')
  }

  async land(topic: string, location: string, intervalMs: number): Promise<void> {
    const config = {
      'connector.class': 'DeltaSink',
      topics: topic,
      'table.path': location,
      'table.commit.interval.ms': String(intervalMs),
      'kafka.offset.column': 'kafka_offset',
      'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
      'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
      'value.converter.schemas.enable': 'false',
    }
    const answer = await fetch(`http://127.0.0.1:${this.#httpPort}/connectors`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: connector, config }),
    })
    if (answer.status !== 201) throw new Error(`the connector: ${await answer.text()}`)
  }

  async status(): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${this.#httpPort}/connectors/${connector}/status`)
    return answer.text()
  }

  async stop(): Promise<void> {
    await this.#broker.end('SIGKILL')
  }
}

async function withBroker(work: (ours: Ours) => Promise<void>): Promise<void> {
  const ours = await Ours.start()
  try {
    await work(ours)
  } finally {
    await ours.stop()
  }
}

/** The program of Python for a task, where it has what that needs; else it says what is left out. */
function python(modules: readonly string[]): string | null {
  const test = spawnSync(flags.python, ['-c', `import ${modules.join(', ')}`], { encoding: 'utf8' })
  if (test.status === 0) return flags.python
  const last = (test.stderr ?? String(test.error)).trim().split('\n').at(-1)
  process.stderr.write(
    `  left out: ${flags.python} has not all of ${modules.join(', ')}: ${last}\n`,
  )
  return null
}

/** Runs a program that prints its figures as one line of JSON. */
function figuresOf(program: string, args: readonly string[]): Promise<Figures> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(text) as Figures)
      else reject(new Error(`${program} ${args.join(' ')} failed with exit code ${code}`))
    })
  })
}

const consumerModules = ['confluent_kafka', 'pyarrow', 'deltalake']
const pythonFile = (name: string) => join(root, 'test/bench', name)
const tableOf = (name: string) => join(work, 'tables', name)

async function alone(piece: string, shape: Shape): Promise<void> {
  const cost = await sinkAlone(shape, Math.min(records, 200_000))
  const each = (value: number) => (value / cost.records) * 1e6
  record(piece, {
    'bytes each': cost.bytes / cost.records,
    'us CPU each': each(cost.cpuSeconds),
    'us to make rows': each(cost.takeSeconds),
    'us to convert others': each(cost.convertSeconds),
    'us to write files': each(cost.commitSeconds),
    'peak MB': cost.peakMb,
  })
}

/** What the files of the newest version take for each row. */
function bytesEach(watch: TableWatch): number {
  const sizes = [...(watch.snapshot?.files.values() ?? [])].map(({ size }) => size)
  return sizes.reduce((sum, size) => sum + size, 0) / records
}

async function land(piece: string, shape: Shape): Promise<void> {
  await withBroker(async (ours) => {
    const load = { port: ours.port, topic: shape, shape }
    await fill(load, records)
    const watch = new TableWatch(tableOf(shape), connector, shape)
    const [cpuBefore, memoryBefore] = [ours.cpuSeconds, ours.memoryMb]
    const startedMs = performance.now()
    await ours.land(shape, tableOf(shape), 10_000)
    const limit = setTimeout(600_000, 'late', { ref: false })
    if ((await Promise.race([watch.look(records), limit])) === 'late')
      throw new Error(`${watch.records} records have landed: ${await ours.status()}`)
    const took = (performance.now() - startedMs) / 1000
    record(piece, {
      'rows/s': records / took,
      'CPU s per M': ((ours.cpuSeconds - cpuBefore) / records) * 1e6,
      'MB before': memoryBefore,
      'peak MB': ours.peakMb,
      'bytes a row': bytesEach(watch),
      files: watch.snapshot?.files.size ?? 0,
    })
  })
}

async function landInPython(piece: string, shape: Shape): Promise<void> {
  const program = python(consumerModules)
  if (program === null) return
  await withBroker(async (ours) => {
    await fill({ port: ours.port, topic: shape, shape }, records)
    const cpuBefore = ours.cpuSeconds
    const table = tableOf(`python-${shape}`)
    // Ours commits at 64 MiB in memory: as many rows as that are.
    const rowsMax = shape === 'events' ? 70_000 : 300_000
    const figures = await figuresOf(program, [
      ...[pythonFile('delta_consumer.py'), `127.0.0.1:${ours.port}`, shape, table],
      ...[String(records), '10', String(rowsMax)],
    ])
    const watch = new TableWatch(table, 'python', shape)
    await watch.look(records)
    record(piece, {
      'rows/s': records / figures['seconds']!,
      'CPU s per M': ((figures['cpuSeconds']! + ours.cpuSeconds - cpuBefore) / records) * 1e6,
      'of it Python': (figures['cpuSeconds']! / records) * 1e6,
      'peak MB': figures['peakMb']!,
      'bytes a row': bytesEach(watch),
      files: watch.snapshot?.files.size ?? 0,
    })
  })
}

/** With two threads, and all that is there in one go, which costs it least; warmed up with records of the same kind. */
async function landInSpark(piece: string, shape: Shape): Promise<void> {
  const jars = sparkJars(cache)
  const reason = fetchSpark(jars)
  if (reason !== null) return void process.stderr.write(`  left out: ${reason}\n`)
  const sample = join(work, `${shape}.sample.json`)
  const lines = Array.from({ length: 1000 }, (_, number) => recordText(shape, number))
  writeFileSync(sample, lines.join('\n'))
  const program = new JavaProgram({
    source: join(root, 'test/bench/SparkLander.java'),
    jars,
    classes: join(work, 'spark-classes'),
    flags: sparkFlags,
    logFile: join(work, 'spark.log'),
  })
  await withBroker(async (ours) => {
    const table = tableOf(`spark-${shape}`)
    const warm = Math.min(records, sparkWarmRecords)
    await fill({ port: ours.port, topic: 'warm', shape }, warm)
    await fill({ port: ours.port, topic: shape, shape }, records)
    const cpuBefore = ours.cpuSeconds
    const ran = await program.run(`127.0.0.1:${ours.port}`, shape, table, sample, 'warm')
    if (ran.code !== 0) throw new Error(`Spark: ${readFileSync(join(work, 'spark.log'), 'utf8')}`)
    const figures = JSON.parse(ran.output) as Figures
    const { files } = await readSnapshot(new LocalStorage(table))
    const added = [...files.values()]
    const landed = added.reduce((sum, file) => sum + (rowCountOf(file) ?? 0), 0)
    if (landed !== records) throw new Error(`Spark landed ${landed} records`)
    // The broker's is of both topics, alike record by record.
    const brokers = ((ours.cpuSeconds - cpuBefore) * records) / (records + warm)
    record(piece, {
      'rows/s': records / figures['seconds']!,
      'CPU s per M': ((figures['cpuSeconds']! + brokers) / records) * 1e6,
      'of it Spark': (figures['cpuSeconds']! / records) * 1e6,
      'peak MB': figures['peakMb']!,
      'bytes a row': added.reduce((sum, { size }) => sum + size, 0) / records,
      files: files.size,
    })
  })
}

const quantile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN

/** Those behind the time to warm up. */
function measured(written: readonly Written[]): Written[] {
  const first = Math.min(...written.map(({ sentMs }) => sentMs))
  return written.filter(({ sentMs }) => sentMs >= first + seconds * 1000)
}

const p99 = (written: readonly Written[]) =>
  quantile(
    written.map(({ tookMs }) => tookMs),
    0.99,
  )

/** `begin` sets somebody to work who lands the topic; the name by which its progress is known comes back. */
async function fresh(
  piece: string,
  { shape, ratePerSecond }: { shape: Shape; ratePerSecond: number },
  begin: (ours: Ours, topic: string, table: string) => Promise<{ app: string; end: () => void }>,
): Promise<void> {
  await withBroker(async (ours) => {
    const pace = { ratePerSecond, seconds: 2 * seconds }
    const bare = { port: ours.port, topic: 'bare', shape }
    const before = measured(await writeSteadily(bare, pace))
    const memoryBefore = ours.memoryMb
    const load = { port: ours.port, topic: 'fresh', shape }
    await fill(load, 1000)
    const table = tableOf(piece.replaceAll(/\W+/g, '-'))
    const { app, end } = await begin(ours, load.topic, table)
    const watch = new TableWatch(table, app, load.topic)
    const looking = watch.look()
    while (watch.records === 0) await setTimeout(50)
    const cpuBefore = ours.cpuSeconds
    const written = measured(await writeSteadily(load, pace))
    const cpu = ours.cpuSeconds - cpuBefore
    // What was written last may be under way still.
    const waitedMs = performance.now() + 10_000
    while (performance.now() < waitedMs && !watch.delaysOf(written).every(Number.isFinite)) {
      await setTimeout(200)
    }
    const delays = watch.delaysOf(written)
    watch.end()
    await looking
    end()
    record(piece, {
      'freshness p50 ms': quantile(delays, 0.5),
      'p99 ms': quantile(delays, 0.99),
      'max ms': Math.max(...delays),
      'produce p99 ms before': p99(before),
      'beside it': p99(written),
      'cores used': cpu / (2 * seconds),
      'MB before': memoryBefore,
      'peak MB': ours.peakMb,
    })
  })
}

async function freshness(piece: string, shape: Shape, ratePerSecond: number): Promise<void> {
  await fresh(piece, { shape, ratePerSecond }, async (ours, topic, table) => {
    await ours.land(topic, table, commitMs)
    return { app: connector, end: () => undefined }
  })
}

async function freshnessInPython(piece: string, shape: Shape, ratePerSecond: number) {
  const program = python(consumerModules)
  if (program === null) return
  await fresh(piece, { shape, ratePerSecond }, async (ours, topic, table) => {
    const child = spawn(
      program,
      [
        ...[pythonFile('delta_consumer.py'), `127.0.0.1:${ours.port}`, topic, table],
        ...[String(2 ** 40), String(commitMs / 1000), String(commitRecords)],
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    )
    return { app: 'python', end: () => void child.kill('SIGKILL') }
  })
}

async function read(piece: string, shape: Shape): Promise<void> {
  const watch = new TableWatch(tableOf(shape), connector, shape)
  if (results[`land ${shape}`] === undefined) await land(`land ${shape}`, shape)
  await watch.look(records)
  const listed = join(work, `${shape}.files`)
  const files = [...(watch.snapshot?.files.values() ?? [])].map(({ path }) =>
    join(tableOf(shape), fileNameOf(path)),
  )
  writeFileSync(listed, files.join('\n'))
  const column = shape === 'events' ? 'number' : 'row'
  const from = Math.floor(records / 2)
  const range = [column, String(from), String(from + Math.floor(records / 100))]
  const told = (reader: string, { rows, seconds: took, cpuSeconds: cpu, peakMb }: Figures) =>
    record(`${piece}, ${reader}`, {
      ...{ rows: rows!, seconds: took!, 'CPU s': cpu!, 'peak MB': peakMb! },
    })
  for (const kind of ['full', 'filtered']) {
    const ours = [join(root, 'build/test/bench/table-scan.js'), tableOf(shape), kind, ...range]
    told(`${kind}, Millrace`, await figuresOf(process.execPath, ours))
    for (const reader of ['pyarrow', 'duckdb']) {
      const program = python([reader, 'pyarrow'])
      if (program === null) continue
      const args = [pythonFile('table_scan.py'), reader, listed, kind, ...range]
      told(`${kind}, ${reader}`, await figuresOf(program, args))
    }
  }
  const program = python(['pyarrow'])
  if (program === null) return
  const args = [pythonFile('table_scan.py'), 'write', listed, 'full']
  told('written by pyarrow', await figuresOf(program, args))
}

interface Piece {
  readonly name: string
  readonly run: (name: string) => Promise<void>
}

const pieces: readonly Piece[] = shapes.flatMap((shape) => [
  { name: `sink alone, ${shape}`, run: (name) => alone(name, shape) },
  { name: `land ${shape}`, run: (name) => land(name, shape) },
  { name: `land ${shape} in Python`, run: (name) => landInPython(name, shape) },
  { name: `land ${shape} in Spark`, run: (name) => landInSpark(name, shape) },
  { name: `read ${shape}`, run: (name) => read(name, shape) },
  ...rates.flatMap((rate): Piece[] => [
    { name: `${shape} at ${rate}/s`, run: (name) => freshness(name, shape, rate) },
    {
      name: `${shape} at ${rate}/s in Python`,
      run: (name) => freshnessInPython(name, shape, rate),
    },
  ]),
])

/** One table of all pieces that have the same figures. */
function tables(): string {
  const byFigures = new Map<string, string[]>()
  for (const [piece, figures] of Object.entries(results)) {
    const head = Object.keys(figures).join('|')
    byFigures.set(head, [...(byFigures.get(head) ?? []), piece])
  }
  return [...byFigures]
    .map(([head, names]) =>
      markdown(
        ['', ...head.split('|')],
        names.map((name) => [name, ...Object.values(results[name]!).map(digits)]),
      ),
    )
    .join('\n\n')
}

try {
  for (const { name, run } of choose(pieces, flags.only, (piece) => piece.name)) {
    process.stderr.write(`${name}\n`)
    await run(name)
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
console.log(
  `${cpus().length} x ${cpus()[0]?.model.trim()}, Node ${process.version}; ${records} records, commits every ${commitMs} ms where rates are steady\n`,
)
console.log(tables())
if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(results, null, 2))

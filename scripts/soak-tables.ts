/**
 * `npm run soak -- tables`: the real broker lands a topic in a Delta table, and is killed at moments of chance, while
 * somebody rewrites the table's small files. At the end the table is read and compared with what was acknowledged.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../test/free-port.ts'
import { BrokerProcess } from '../test/soak/broker-process.ts'
import { Chance } from '../test/soak/chance.ts'
import {
  connector,
  isViolatedTable,
  landedCount,
  Optimizer,
  StormProducer,
  topic,
  verifyTable,
} from '../test/soak/table-storm.ts'
import { readOptions } from './options.ts'

const usage = `Usage: npm run soak -- tables [--kills N] [--records N] [--every A-B] [--python PROGRAM] ...

  --kills N         how often the broker is killed, 50 unless given
  --records N       how many are written meanwhile, 2000000 unless given
  --every A-B       seconds between kills, 0.3-4 unless given
  --python PROGRAM  with deltalake, which then rewrites the table's small files; Millrace does so unless given
  --wait S          seconds for the table to catch up at the end, 300 unless given
  --seed S          of the plan; --keep leaves data and logs even if all is well
`
const flags = readOptions(
  usage,
  {
    kills: { type: 'string', default: '50' },
    records: { type: 'string', default: '2000000' },
    every: { type: 'string', default: '0.3-4' },
    python: { type: 'string' },
    wait: { type: 'string', default: '300' },
    seed: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
  process.argv.slice(3),
)
const seed = Number(flags.seed ?? Date.now() % 1_000_000)
const chance = new Chance(seed)
const kills = Number(flags.kills)
const records = Number(flags.records)
const [killFrom = 0.3, killTo = killFrom] = flags.every.split('-').map(Number)
const folder = mkdtempSync(join(tmpdir(), 'millrace-soak-tables-'))
const location = join(folder, 'table')
/** How much of the records is written before the last kill, about. */
const shareBeforeEnd = 0.95

function say(text: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)}  ${text}`)
}

const config = {
  ...{ 'connector.class': 'DeltaSink', 'tasks.max': '2', topics: topic, 'table.path': location },
  ...{ 'table.commit.interval.ms': '400', 'table.partition.by': 'carrier' },
  ...{ 'kafka.partition.column': 'p', 'kafka.offset.column': 'o', 'kafka.key.column': 'k' },
  'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
  'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
  'value.converter.schemas.enable': 'false',
}

async function ask(port: number, path: string, init: RequestInit = {}): Promise<string> {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`http://127.0.0.1:${port}/connectors${path}`, { headers, ...init })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${path} is answered ${answer.status}: ${text}`)
  return text
}

/** Until all that was acknowledged has landed, or too much time has passed. */
async function caughtUp(count: number): Promise<void> {
  const endMs = performance.now() + Number(flags.wait) * 1000
  while (performance.now() < endMs && (await landedCount(location)) < count) await setTimeout(500)
}

/** A Python that cannot rewrite tables is said to be left out. */
function pythonWithDelta(): string | null {
  if (flags.python === undefined) return null
  if (spawnSync(flags.python, ['-c', 'import deltalake']).status === 0) return flags.python
  say(`${flags.python} has no deltalake: Millrace rewrites the small files`)
  return null
}

async function strike(broker: BrokerProcess): Promise<void> {
  await setTimeout(chance.between(killFrom, killTo) * 1000)
  if (!broker.isRunning) throw new Error('the broker ended by itself')
  await broker.end('SIGKILL')
  broker.launch()
}

async function main(): Promise<boolean> {
  const [port, httpPort] = [await freePort(), await freePort()]
  const [data, logFile] = [join(folder, 'data'), join(folder, 'broker.log')]
  mkdirSync(data)
  closeSync(openSync(logFile, 'a'))
  const broker = new BrokerProcess({
    program: fileURLToPath(new URL('../bundle/millrace.js', import.meta.url)),
    ...{ port, directory: data, logFile, variables: {} },
    overrides: [
      `http.listeners=http://127.0.0.1:${httpPort}`,
      'connect.offset.flush.interval.ms=5000',
    ],
  })
  const optimizer = new Optimizer(location, pythonWithDelta())
  try {
    broker.launch()
    await broker.ready()
    const producer = new StormProducer(port, records)
    await producer.createTopic()
    await ask(httpPort, '', { method: 'POST', body: JSON.stringify({ name: connector, config }) })
    optimizer.begin()
    let isOver = false
    const stormSeconds = (kills * (killFrom + killTo)) / 2
    const rate = (records * shareBeforeEnd) / stormSeconds
    const written = producer.run(() => (isOver ? 100 * rate : rate))
    for (let kill = 0; kill < kills; kill++) await strike(broker)
    isOver = true
    await broker.ready()
    await written
    say(`${kills} kills; ${producer.acknowledgedCount} of ${records} acknowledged`)
    await caughtUp(producer.acknowledgedCount)
    await optimizer.end()
    const verdict = await verifyTable(location, producer.acknowledged)
    const { commits, conflicts } = optimizer.counts
    say(JSON.stringify({ ...verdict, failed: producer.failed, rewritten: commits, conflicts }))
    const status = await ask(httpPort, `/${connector}/status`)
    if (status.includes('FAILED')) say(status)
    return !isViolatedTable(verdict) && producer.failed === 0 && !status.includes('FAILED')
  } finally {
    await optimizer.end()
    await broker.end('SIGKILL')
  }
}

say(`seed ${seed}, files in ${folder}`)
const isWell = await main()
if (isWell && !flags.keep) rmSync(folder, { recursive: true })
else say(`files are kept in ${folder}`)
console.log(isWell ? 'well' : 'NOT WELL')
process.exit(isWell ? 0 : 1)

/**
 * `npm run soak -- tables`: a topic lands in a Delta table, by workers of a distributed group or within the broker, and
 * broker, worker or both are killed at moments of chance, while somebody rewrites the table's small files. At the end the
 * table is read, by delta-rs too where there is one, and compared with what was acknowledged.
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
import { ConnectGroup } from '../test/soak/connect-group.ts'
import {
  connector,
  isViolatedTable,
  landedCount,
  Optimizer,
  refutedByDeltaRs,
  StormProducer,
  topic,
  verifyTable,
} from '../test/soak/table-storm.ts'
import { readOptions } from './options.ts'

const usage = `Usage: npm run soak -- tables [--kills N] [--records N] [--workers N] [--every A-B] [--python PROGRAM] ...

  --kills N         how often broker, worker or both are killed, 50 unless given
  --records N       how many are written meanwhile, 2000000 unless given
  --workers N       of Connect, as processes of their own, 2 unless given; 0: the broker lands the topic itself
  --every A-B       seconds between kills, 0.3-8 unless given
  --python PROGRAM  with deltalake, which then rewrites the table's small files and counts its rows; Millrace does the
                    first unless given
  --wait S          seconds for the table to catch up at the end, 300 unless given
  --seed S          of the plan; --keep leaves data and logs even if all is well
`
const flags = readOptions(
  usage,
  {
    kills: { type: 'string', default: '50' },
    records: { type: 'string', default: '2000000' },
    workers: { type: 'string', default: '2' },
    every: { type: 'string', default: '0.3-8' },
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
const workers = Number(flags.workers)
const [killFrom = 0.3, killTo = killFrom] = flags.every.split('-').map(Number)
const folder = mkdtempSync(join(tmpdir(), 'millrace-soak-tables-'))
const location = join(folder, 'table')
/** How much of the records is written before the last kill, about. */
const shareBeforeEnd = 0.95
const bundle = (name: string) => fileURLToPath(new URL(`../bundle/${name}`, import.meta.url))

type Victim = 'broker' | 'worker' | 'both'
const victims: readonly Victim[] = workers === 0 ? ['broker'] : ['broker', 'worker', 'both']
const struck: Record<Victim, number> = { broker: 0, worker: 0, both: 0 }

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

/** The first that answers: workers come and go, and know each other. */
async function ask(
  ports: readonly number[],
  path: string,
  init: RequestInit = {},
): Promise<string> {
  const headers = { 'content-type': 'application/json' }
  const answer = await Promise.any(
    ports.map((port) => fetch(`http://127.0.0.1:${port}/connectors${path}`, { headers, ...init })),
  )
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${path} is answered ${answer.status}: ${text}`)
  return text
}

/** What is told of the connector once all of it runs, or too much time has passed. */
async function settled(ports: readonly number[]): Promise<string> {
  const endMs = performance.now() + 60_000
  for (;;) {
    const status = await ask(ports, `/${connector}/status`)
    if (isRunningWhole(status) || performance.now() > endMs) return status
    await setTimeout(500)
  }
}

const isRunningWhole = (status: string) => !/"state":"(?!RUNNING)/.test(status)

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

async function strike(broker: BrokerProcess, group: ConnectGroup | null): Promise<void> {
  await setTimeout(chance.between(killFrom, killTo) * 1000)
  if (!broker.isRunning) throw new Error('the broker ended by itself')
  const victim = chance.pick(victims)
  struck[victim]++
  const revive = victim === 'broker' ? null : await group?.kill(chance)
  if (victim !== 'worker') {
    await broker.end('SIGKILL')
    broker.launch()
  }
  revive?.()
}

async function main(): Promise<boolean> {
  const [port, httpPort] = [await freePort(), await freePort()]
  const [data, logFile] = [join(folder, 'data'), join(folder, 'broker.log')]
  mkdirSync(data)
  closeSync(openSync(logFile, 'a'))
  const broker = new BrokerProcess({
    program: bundle('millrace.js'),
    ...{ port, directory: data, logFile, variables: {} },
    overrides: [
      `http.listeners=${workers === 0 ? `http://127.0.0.1:${httpPort}` : ''}`,
      'connect.offset.flush.interval.ms=5000',
      // The sink of a broker that was killed is missed soon, so that it is not idle through most of the storm.
      'connect.consumer.session.timeout.ms=1500',
      'connect.consumer.heartbeat.interval.ms=300',
    ],
  })
  const group =
    workers === 0
      ? null
      : await ConnectGroup.make({
          millrace: bundle('cli.js'),
          bootstrap: `127.0.0.1:${port}`,
          ...{ directory: folder, count: workers },
        })
  const ports = group?.ports ?? [httpPort]
  const optimizer = new Optimizer(location, pythonWithDelta())
  try {
    broker.launch()
    await broker.ready()
    const producer = new StormProducer(port, records)
    await producer.createTopic()
    group?.launch()
    await group?.ready()
    const body = JSON.stringify({ name: connector, config })
    await ask(ports.slice(0, 1), '', { method: 'POST', body })
    optimizer.begin()
    await storm(producer, broker, group)
    await caughtUp(producer.acknowledgedCount)
    await optimizer.end()
    return await judge(producer, optimizer, ports)
  } finally {
    await optimizer.end()
    await group?.end()
    await broker.end('SIGKILL')
  }
}

async function storm(
  producer: StormProducer,
  broker: BrokerProcess,
  group: ConnectGroup | null,
): Promise<void> {
  let isOver = false
  const stormSeconds = (kills * (killFrom + killTo)) / 2
  const rate = (records * shareBeforeEnd) / stormSeconds
  const written = producer.run(() => (isOver ? 100 * rate : rate))
  for (let kill = 0; kill < kills; kill++) await strike(broker, group)
  isOver = true
  await broker.ready()
  await written
  const starts = `broker started ${broker.starts} times, workers ${group?.starts ?? 0} times`
  say(`killed ${JSON.stringify(struck)}: ${starts}`)
  say(`${producer.acknowledgedCount} of ${records} acknowledged`)
}

/** Whether all is as it should be, told as it is looked at. */
async function judge(
  { acknowledged, failed }: StormProducer,
  { python, counts, reasons }: Optimizer,
  ports: readonly number[],
): Promise<boolean> {
  const verdict = await verifyTable(location, acknowledged)
  say(JSON.stringify({ ...verdict, failed }))
  say(`small files meanwhile: ${JSON.stringify({ ...counts, ...Object.fromEntries(reasons) })}`)
  const refuted = python === null ? null : await refutedByDeltaRs(python, location, verdict.rows)
  if (refuted !== null) say(`delta-rs counts otherwise: ${refuted}`)
  const status = await settled(ports)
  const isRunning = isRunningWhole(status)
  if (!isRunning) say(status)
  if (counts.rewrites === 0) say('no small files were put together: a longer storm has some')
  const isWhole = !isViolatedTable(verdict) && failed === 0 && refuted === null
  return isWhole && isRunning && counts.rewrites > 0
}

say(`seed ${seed}, files in ${folder}`)
const isWell = await main()
if (isWell && !flags.keep) rmSync(folder, { recursive: true })
else say(`files are kept in ${folder}`)
console.log(isWell ? 'well' : 'NOT WELL')
process.exit(isWell ? 0 : 1)

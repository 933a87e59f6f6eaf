/**
 * `npm run soak`: the real broker under clients of several languages that come and go, while topics are
 * made and deleted and the process is killed. What was acknowledged is compared with what an independent
 * reader finds; memory, open files and latency have to stay level.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createNodeEnvironment } from '../src/environment/node/environment.ts'
import { freePort } from '../test/free-port.ts'
import { BrokerProcess } from '../test/soak/broker-process.ts'
import { Chance } from '../test/soak/chance.ts'
import { emptyVerdict, isViolated, type Verdict } from '../test/soak/ledger.ts'
import { Levels } from '../test/soak/levels.ts'
import { languages, readyClients } from '../test/soak/load-clients.ts'
import { PowerLoss } from '../test/soak/power-loss.ts'
import { Round } from '../test/soak/round.ts'
import { TopicChurn } from '../test/soak/topic-churn.ts'
import { readOptions } from './options.ts'

const usage = `Usage: npm run soak -- [--minutes N] [--kills N] [--power-loss] ...
       npm run soak -- tables ...   a topic that lands in a Delta table, which has options of its own

  --minutes N        how long, 5 unless given; --kills N goes on until the broker was killed so often
  --every A-B        seconds between kills, 10-20 unless given; 0 kills nothing
  --round S          seconds of a round, after which all is read and compared, 150 unless given
  --clients a,b      of java, python, go, kafkajs, all unless given; what is missing is skipped by name
  --rate N           records per second of each producer, 100 unless given
  --power-loss       each kill is a loss of power: what was not synced is gone, in part or whole;
                     topics are written with flush.messages=1 (Linux, needs a C compiler)
  --page-cache       with --power-loss: Kafka's default instead, which loses; told, not judged
  --seed S           of the plan; --port P; --broker FILE (the compiled main.js)
  --keep             leaves data and logs even if all is well
  --set NAME=VALUE   a further broker setting, may be given several times
`
if (process.argv[2] === 'tables') await import('./soak-tables.ts')
const flags = readOptions(usage, {
  minutes: { type: 'string' },
  kills: { type: 'string' },
  every: { type: 'string', default: '10-20' },
  round: { type: 'string', default: '150' },
  clients: { type: 'string', default: languages.join(',') },
  rate: { type: 'string', default: '100' },
  'power-loss': { type: 'boolean', default: false },
  'page-cache': { type: 'boolean', default: false },
  seed: { type: 'string' },
  port: { type: 'string' },
  broker: { type: 'string' },
  keep: { type: 'boolean', default: false },
  set: { type: 'string', multiple: true, default: [] },
})

const seed = Number(flags.seed ?? Date.now() % 1_000_000)
const chance = new Chance(seed)
const folder = mkdtempSync(join(tmpdir(), 'millrace-soak-'))
const killsWanted = flags.kills === undefined ? Number.POSITIVE_INFINITY : Number(flags.kills)
const minutes = Number(flags.minutes ?? (flags.kills === undefined ? 5 : Number.POSITIVE_INFINITY))
const endsAtMs = performance.now() + minutes * 60_000
const [killFrom = 0, killTo = killFrom] = flags.every.split('-').map(Number)
/** A share of the ends is an orderly stop. */
const stopShare = 0.08
/** A share of the starts is killed before it is ready. */
const earlyKillShare = 0.15

/** Without syncs a loss of power takes what was acknowledged, as it does in Kafka. */
const isJudged = !flags['page-cache']
const counts = { kills: 0, earlyKills: 0, stops: 0, clientKills: 0, clients: 0, rounds: 0 }
const total = emptyVerdict()
const problems: string[] = []

function say(text: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)}  ${text}`)
}

/** Ends the broker as chance has it, and brings it back. */
async function strike(broker: BrokerProcess, powerLoss: PowerLoss | null): Promise<void> {
  if (chance.happens(stopShare)) {
    counts.stops++
    const ended = await broker.end('SIGTERM')
    if (ended !== 0) problems.push(`a stop ended with ${ended}`)
  } else {
    counts.kills++
    await broker.end('SIGKILL')
  }
  restart(broker, powerLoss)
  while (chance.happens(earlyKillShare)) {
    await setTimeout(chance.between(50, 600))
    counts.kills++
    counts.earlyKills++
    await broker.end('SIGKILL')
    restart(broker, powerLoss)
  }
  await broker.ready()
}

function restart(broker: BrokerProcess, powerLoss: PowerLoss | null): void {
  powerLoss?.lose()
  powerLoss?.begin()
  broker.launch()
}

/** Kills the broker and clients and alters topics until the time has come. */
async function storm(
  round: Round,
  broker: BrokerProcess,
  powerLoss: PowerLoss | null,
  untilMs: number,
): Promise<void> {
  while (performance.now() < untilMs) {
    const isKilling = killTo > 0 && counts.kills < killsWanted
    const waitMs = isKilling ? chance.between(killFrom, killTo) * 1000 : 5000
    const firstMs = chance.between(0, waitMs)
    await setTimeout(firstMs)
    if (chance.happens(0.3)) await round.alterTopic()
    if (chance.happens(0.15)) {
      round.disturbClients()
      counts.clientKills++
    }
    await setTimeout(waitMs - firstMs)
    if (!broker.isRunning) throw new Error('the broker ended by itself')
    if (isKilling && performance.now() < untilMs) await strike(broker, powerLoss)
  }
}

function told(verdict: Verdict): string {
  return Object.entries(verdict)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}

function tellLevels(levels: Levels): boolean {
  console.log('\nminute  memory MB  open files  acknowledged/s  p50 ms  p99 ms')
  for (const row of levels.minutes()) {
    const cells = [
      String(row.minute).padStart(6),
      row.memoryMb.toFixed(0).padStart(9),
      String(row.files).padStart(10),
      row.acknowledgedPerSecond.toFixed(0).padStart(14),
      row.p50.toFixed(1).padStart(6),
      row.p99.toFixed(1).padStart(6),
    ]
    console.log(cells.join('  '))
  }
  const verdicts = levels.verdicts()
  for (const { text } of verdicts) console.log(text)
  if (verdicts.length === 0) console.log('too short to say whether levels stay')
  return verdicts.every(({ isLevel }) => isLevel)
}

function prepare(data: string) {
  const clients = readyClients(flags.clients.split(','), (name, reason) =>
    say(`skip ${name}: ${reason}`),
  )
  const reader =
    clients.find(({ language }) => language === 'go') ??
    clients.find(({ language }) => language === 'java') ??
    readyClients(['go', 'java'], () => undefined)[0]
  if (clients.length === 0 || reader === undefined) {
    say('skip all: no load client, or no independent reader (Go or Java) can be had here')
    return null
  }
  const powerLoss = flags['power-loss'] ? new PowerLoss(data, folder, chance) : null
  const failure = powerLoss?.prepare() ?? null
  if (failure !== null) {
    say(`skip power-loss: ${failure}`)
    return null
  }
  return { clients, reader, powerLoss }
}

const isSynced = flags['power-loss'] && !flags['page-cache']
/** The settings of the broker and of its topics: small segments, so that many are rolled. */
const overrides = [
  'log.segment.bytes=2097152',
  'offsets.topic.num.partitions=8',
  'log.segment.delete.delay.ms=1000',
  // What the coordinator acknowledges has to be synced as well.
  ...(isSynced ? ['log.flush.interval.messages=1'] : []),
  ...flags.set,
]
const topicConfigs = new Map(isSynced ? [['flush.messages', '1']] : [])

async function main(): Promise<void> {
  const data = join(folder, 'data')
  const ready = prepare(data)
  if (ready === null) return
  const { clients, reader, powerLoss } = ready
  mkdirSync(data)
  const port = flags.port === undefined ? await freePort() : Number(flags.port)
  const names = clients.map(({ language }) => language).join(', ')
  say(`seed ${seed}, clients ${names}, broker on port ${port}, files in ${folder}`)
  const broker = new BrokerProcess({
    program: flags.broker ?? fileURLToPath(new URL('../src/main.js', import.meta.url)),
    port,
    directory: data,
    logFile: join(folder, 'broker.log'),
    overrides,
    variables: powerLoss?.variables ?? {},
  })
  const levels = new Levels()
  const churn = new TopicChurn(createNodeEnvironment({ log: { level: 'silent' } }), port, chance)
  let round: Round | null = null
  const stopAll = () => {
    levels.end()
    churn.close()
    round?.abandon()
    return broker.end('SIGKILL')
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stopAll().finally(() => process.exit(130)))
  }
  try {
    powerLoss?.begin()
    broker.launch()
    await broker.ready()
    levels.begin(broker)
    while (performance.now() < endsAtMs && counts.kills < killsWanted && problems.length === 0) {
      const roundMs = Math.min(Number(flags.round) * 1000, endsAtMs - performance.now())
      const untilMs = performance.now() + roundMs
      round = new Round({
        number: counts.rounds++,
        folder: join(folder, `round-${counts.rounds}`),
        port,
        clients,
        reader,
        chance,
        churn,
        configs: topicConfigs,
        rate: Number(flags.rate),
        endsAtMs: untilMs,
      })
      await round.begin()
      await storm(round, broker, powerLoss, untilMs)
      await compare(round, churn, levels)
    }
    say(`topics meanwhile: ${JSON.stringify(churn.counts)}`)
  } catch (error) {
    problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
  } finally {
    await stopAll()
  }
  conclude(broker, powerLoss, tellLevels(levels))
}

async function compare(round: Round, churn: TopicChurn, levels: Levels): Promise<void> {
  await round.end()
  const verdict = await round.verify()
  for (const name of Object.keys(total) as (keyof Verdict)[]) total[name] += verdict[name]
  counts.clients += round.clientsStarted
  levels.addLatencies(round.ledger.latencies)
  say(`round ${counts.rounds}: ${counts.kills} kills so far; ${told(verdict)}`)
  for (const complaint of round.complaints) say(complaint)
  for (const example of round.ledger.examples) say(example)
  for (const reason of round.ledger.reasons) say(`given up: ${reason}`)
  const differences = await churn.differences()
  for (const difference of differences) say(difference)
  if (isJudged && isViolated(verdict)) problems.push(`round ${counts.rounds} was violated`)
  problems.push(...differences)
  if (problems.length === 0) await round.removeTopics()
}

function conclude(broker: BrokerProcess, powerLoss: PowerLoss | null, isLevel: boolean): void {
  const starts = broker.startsMs.toSorted((a, b) => a - b)
  const middle = starts[Math.floor(starts.length / 2)] ?? 0
  console.log(`\n${JSON.stringify(counts)}`)
  console.log(`starts: ${broker.starts}, ready after ${middle.toFixed(0)} ms in the middle`)
  if (powerLoss !== null) console.log(`power: ${JSON.stringify(powerLoss.counts)}`)
  console.log(told(total))
  for (const problem of problems) console.log(`PROBLEM ${problem}`)
  const isWell = problems.length === 0 && !(isJudged && isViolated(total)) && isLevel
  if (isWell && !flags.keep) rmSync(folder, { recursive: true, force: true })
  else console.log(`files are kept in ${folder}; seed ${seed}`)
  console.log(isWell ? 'well' : 'NOT WELL')
  // Not `exitCode`: a client library that waits for something would keep the process.
  process.exit(isWell ? 0 : 1)
}

await main()

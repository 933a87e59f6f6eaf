/**
 * `npm run hostile`: a broker process of its own in a temporary directory, a well-behaved client that
 * produces and fetches at a fixed rate, and beside it one attack after the other. One table: what was sent,
 * what the attacker got, the broker's memory and open files, what the client felt, for how long in one piece
 * the event loop was held (of processor time where others have the machine), and the longest collection of
 * garbage. The exit code is 1 where the broker died or logged an error, the client got one, or memory rose
 * or stayed above its bound. Linux only.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { apis } from '../protocol/apis.ts'
import { encodeBatch } from '../protocol/records/record.ts'
import type { Attack, Target } from '../test/hostile/attack.ts'
import { BrokerProcess } from '../test/hostile/broker-process.ts'
import { connectionAttacks } from '../test/hostile/connection-attacks.ts'
import type { Measured } from '../test/hostile/good-client.ts'
import { type Hold, heldLoop } from '../test/hostile/held-loop.ts'
import { Outcome, Peer } from '../test/hostile/peer.ts'
import { requestAttacks } from '../test/hostile/request-attacks.ts'
import { choose, readOptions } from './options.ts'

const usage = `Usage: npm run hostile -- [--only TEXT,...] [--seconds N] [--rate N] [--restart] [--json FILE]

  --only TEXT,...  attacks whose names hold one of the texts
  --seconds N      how long each attack lasts, 4 unless given
  --rate N         records a second of the well-behaved client, 200 unless given
  --restart        a fresh broker for each attack
  --json FILE      the table, for programs
  --requests       instead of attacks: for how long the largest request of each API holds the event loop
  --profile DIR    where a profile of the broker's CPU is written when it stops
`
const flags = readOptions(usage, {
  seconds: { type: 'string', default: '4' },
  rate: { type: 'string', default: '200' },
  only: { type: 'string' },
  json: { type: 'string' },
  restart: { type: 'boolean', default: false },
  requests: { type: 'boolean', default: false },
  profile: { type: 'string' },
})
const nodeArguments =
  flags.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${flags.profile}`]
const attacks = flags.requests
  ? []
  : choose([...connectionAttacks, ...requestAttacks], flags.only, ({ name }) => name)

const bareEcho = fileURLToPath(new URL('../test/hostile/bare-echo.js', import.meta.url))
const goodClient = new URL('../test/hostile/good-client.js', import.meta.url)
const work = mkdtempSync(join(tmpdir(), 'millrace-hostile-'))
const seconds = Number(flags.seconds)
/**
 * More than this over what it was before, some seconds after an attack, is memory that stayed: what the
 * budgets allow is collected when it is needed, and not always given back to the system.
 */
const stayedMbMax = 500
/** What all limits together allow at any time. */
const peakMbMax = 1500
const restMs = 5000

interface Row {
  readonly attack: string
  readonly got: string
  readonly beforeMb: number
  readonly peakMb: number
  readonly afterMb: number
  readonly files: number
  readonly good: Measured
  /** The longest piece of time for which the broker's event loop was held. */
  readonly heldMs: number
  /** The longest collection of garbage, which holds it as well. */
  readonly gcMs: number
  readonly faults: readonly string[]
}

/** The thread of the good client. */
class Good {
  readonly #worker: Worker

  readonly #echo: ChildProcess

  static async start(port: number): Promise<Good> {
    const echo = fork(bareEcho)
    const echoPort = await new Promise<number>((resolve) => echo.once('message', resolve))
    const workerData = { port, echoPort, topic: 'good', ratePerSecond: Number(flags.rate) }
    const good = new Good(new Worker(goodClient, { workerData }), echo)
    await good.#message()
    return good
  }

  private constructor(worker: Worker, echo: ChildProcess) {
    this.#worker = worker
    this.#echo = echo
  }

  #message(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#worker.removeAllListeners('error')
      this.#worker.once('message', resolve)
      this.#worker.once('error', reject)
    })
  }

  measure(): void {
    this.#worker.postMessage('measure')
  }

  async report(): Promise<Measured> {
    const message = this.#message()
    this.#worker.postMessage('report')
    return (await message) as Measured
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
    this.#echo.disconnect()
  }
}

const topics = { good: 'good', filled: 'filled', empty: 'empty' }

/** Makes the topics; gives the id of the filled one. */
async function prepare(port: number): Promise<string> {
  const peer = (await Peer.open(port, new Outcome())) as Peer
  const created = await peer.call(apis.createTopics, 7, {
    topics: Object.values(topics).map((name) => ({
      name,
      numPartitions: 1,
      replicationFactor: 1,
      assignments: [],
      configs: [],
    })),
  })
  // Makes the topic in which groups are kept.
  await peer.call(apis.findCoordinator, 1, { key: 'any', keyType: 0 })
  const value = Buffer.alloc(900_000, 'x')
  for (let count = 0; count < 60; count++) {
    const batch = encodeBatch({ records: [{ timestamp: Date.now(), key: null, value }] })
    const topicData = [{ name: topics.filled, partitionData: [{ index: 0, records: [batch] }] }]
    await peer.call(apis.produce, 9, { transactionalId: null, acks: 1, timeoutMs: 9000, topicData })
  }
  peer.close()
  return created?.topics.find(({ name }) => name === topics.filled)?.topicId ?? ''
}

interface Scene {
  readonly broker: BrokerProcess
  readonly good: Good
  readonly filledId: string
}

async function setScene(): Promise<Scene> {
  const broker = await BrokerProcess.start(work, nodeArguments)
  const filledId = await prepare(broker.port)
  const good = await Good.start(broker.port)
  // Until the just-in-time compilers know the way.
  await setTimeout(3000)
  return { broker, good, filledId }
}

async function clear({ broker, good }: Scene): Promise<void> {
  await good.stop()
  await broker.stop()
}

async function measure({ broker, good, filledId }: Scene, attack: Attack): Promise<Row> {
  const { port } = broker
  const outcome = new Outcome()
  const peers: Peer[] = []
  const beforeMb = broker.memoryMb
  const logged = broker.logged.length
  let peakMb = beforeMb
  let files = broker.openFiles
  const sampler = setInterval(() => {
    peakMb = Math.max(peakMb, broker.memoryMb)
    files = Math.max(files, broker.openFiles)
  }, 50)
  await broker.longestHold()
  good.measure()
  const endMs = performance.now() + seconds * 1000
  const open = async () => {
    const peer = await Peer.open(port, outcome)
    if (peer !== undefined) peers.push(peer)
    return peer
  }
  const target: Target = { port, ...topics, filledId, endMs, outcome, open }
  await Promise.race([attack.run(target), setTimeout(seconds * 3000)])
  const felt = await good.report()
  const held = broker.isAlive ? await broker.longestHold() : undefined
  const got = outcome.toString()
  for (const peer of peers) peer.close()
  await setTimeout(restMs)
  clearInterval(sampler)
  const isAlive = broker.isAlive
  const afterMb = broker.memoryMb
  const faults = [
    ...errorLines(broker, logged),
    ...felt.failures,
    ...(isAlive ? (await good.report()).failures : []),
  ]
  if (!isAlive) faults.push('the broker died')
  if (peakMb > peakMbMax) faults.push(`memory rose above ${peakMbMax} MB`)
  if (afterMb > beforeMb + stayedMbMax) faults.push('memory stayed')
  return {
    attack: attack.name,
    got,
    beforeMb,
    peakMb,
    afterMb,
    files,
    good: felt,
    heldMs: held?.longestMs ?? Number.NaN,
    gcMs: held?.longestGcMs ?? Number.NaN,
    faults: [...new Set(faults)],
  }
}

/** What the broker logged as an error since its log had so many characters: nothing that a peer sends is one. */
function errorLines(broker: BrokerProcess, from: number): string[] {
  const lines = broker.logged.slice(from).split('\n')
  return lines.filter((line) => line.includes('"level":"error"')).map((line) => line.slice(0, 300))
}

const nothing: Attack = { name: '(alone)', run: () => setTimeout(seconds * 1000) }

function shown(row: Row): string {
  const mb = (value: number) => value.toFixed(0).padStart(5)
  const ms = (value: number) => value.toFixed(1).padStart(8)
  return [
    row.attack.padEnd(66),
    `${mb(row.beforeMb)}${mb(row.peakMb)}${mb(row.afterMb)}`,
    String(row.files).padStart(6),
    `${ms(row.good.p50Ms)}${ms(row.good.p99Ms)}${ms(row.good.maxMs)}${ms(row.good.echoP99Ms)}`,
    `${ms(row.heldMs)}${ms(row.gcMs)}`,
    ` ${row.got}${row.faults.length > 0 ? `  !! ${row.faults.join('; ')}` : ''}`,
  ].join('')
}

const head = [
  'attack'.padEnd(66),
  '  MB before, peak, after',
  '  files',
  '  p50, p99, max, echo p99, loop held, gc ms',
  '  the attacker got',
].join('')

async function run(): Promise<Row[]> {
  const rows: Row[] = []
  let scene = await setScene()
  process.stdout.write(`${head}\n`)
  try {
    for (const attack of [nothing, ...attacks, nothing]) {
      const row = await measure(scene, attack)
      rows.push(row)
      process.stdout.write(`${shown(row)}\n`)
      if (!flags.restart && row.faults.length === 0) continue
      const tail = scene.broker.logged.slice(-2000)
      if (!scene.broker.isAlive) process.stdout.write(`${tail}\n`)
      await clear(scene)
      scene = await setScene()
    }
    process.stdout.write(`${scene.broker.logged.split('\n').length} lines in the broker's log\n`)
  } finally {
    await clear(scene)
  }
  return rows
}

/** Ends with an error where a request holds the loop for longer than this. */
const heldMsMax = 20

async function runRequests(): Promise<Hold[]> {
  const holds: Hold[] = []
  const broker = await BrokerProcess.start(work, nodeArguments)
  const parts = flags.only?.split(',')
  const isChosen = (name: string) => parts?.some((part) => name.includes(part)) ?? true
  process.stdout.write(`${'request'.padEnd(66)}  elements  KB, reply  ms, held ms  answer\n`)
  try {
    for await (const hold of heldLoop(broker, isChosen)) {
      holds.push(hold)
      process.stdout.write(`${shownHold(hold)}\n`)
      if (!broker.isAlive) throw new Error(broker.logged.slice(-2000))
    }
  } finally {
    await broker.stop()
  }
  if (holds.some(({ heldMs }) => heldMs > heldMsMax)) process.exitCode = 1
  return holds
}

function shownHold({ request, elements, requestBytes, replyBytes, ...rest }: Hold): string {
  const whole = (value: number, width: number) => value.toFixed(0).padStart(width)
  return [
    request.padEnd(66),
    whole(elements, 10),
    `${whole(requestBytes / 1024, 7)}${whole(replyBytes / 1024, 7)}`,
    `${whole(rest.tookMs, 7)}${rest.heldMs.toFixed(1).padStart(8)}`,
    `  ${rest.got}`,
  ].join('')
}

try {
  const rows = flags.requests ? await runRequests() : await run()
  if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(rows, null, 2))
  if (rows.some((row) => 'faults' in row && row.faults.length > 0)) process.exitCode = 1
} finally {
  rmSync(work, { recursive: true, force: true })
}
process.exit()

/**
 * A broker and its clients in one thread from a seed: producers of all kinds, a group, readers without a
 * group, one that keeps offsets, one that administers, those who write and read a ledger in transactions
 * and with keys; while they work, everything befalls the broker
 * that the seed has drawn. Then all is healed, the work is finished, the broker is restarted once more, and
 * every partition is read as a whole.
 *
 * In this folder: the world (`simulated-world`, its network, disk and `weather`), what a seed draws
 * (`swarm`), what befalls the broker (`broker-host`, `blows`, `disk-faults`, `bit-rot`), the clients
 * (`*-client`, `ledger-writers`, `ledger-readers`), and what must hold (`history`, `ledger`, `auditor`,
 * `recovered-logs`).
 */
import { administer, makeTopics } from './admin-client.ts'
import { audit } from './auditor.ts'
import { strike } from './blows.ts'
import { BrokerHost } from './broker-host.ts'
import { keepOffsets } from './committing-client.ts'
import { Company } from './company.ts'
import { coarsely, finely } from './durable-tree.ts'
import { History, nameOf, type TopicPromise } from './history.ts'
import { Ledgers } from './ledger.ts'
import { LedgerMemory, readLedger } from './ledger-readers.ts'
import { keepLedger } from './ledger-writers.ts'
import { belong } from './modern-members.ts'
import { commitTooLate } from './outdated-member.ts'
import { probe } from './probing-client.ts'
import { produce } from './producing-client.ts'
import { SeededRandom } from './random.ts'
import { readAlone, readInGroup } from './reading-clients.ts'
import { compareRecovered } from './recovered-logs.ts'
import { share } from './share-members.ts'
import { fallSilent } from './silent-member.ts'
import { SimulatedWorld } from './simulated-world.ts'
import { type Stage, sleep, startClient } from './stage.ts'
import { drawTemper, type SimulatedTopic, type Temper } from './swarm.ts'
import { Trace } from './trace.ts'
import { Violation } from './violation.ts'
import { calmDisk, calmNetwork } from './weather.ts'

export interface ScenarioOptions {
  /** Told what happens, line by line: what clients do and see, faults, the broker's log. */
  readonly onLine?: (line: string) => void
  /** Changes what the seed has drawn. */
  readonly temper?: Partial<Temper>
}

export interface ScenarioResult {
  readonly hash: string
  readonly events: number
  /** Virtual time that has passed. */
  readonly durationMs: number
  readonly sent: number
  readonly acknowledged: number
  /** Records read, those read again included. */
  readonly read: number
  /** How often the broker was started. */
  readonly starts: number
  readonly faults: ReadonlyMap<string, number>
}

/** After the healing everything must be finished within so much virtual time. */
const finishMsMax = 900_000

/**
 * Rejects with what was violated: the seed is in the message, the `Violation` (or what a broken program
 * threw) in `cause`, the virtual time in `atMs`.
 */
export async function runScenario(
  seed: number,
  options: ScenarioOptions = {},
): Promise<ScenarioResult> {
  const scenario = new Scenario(seed, options)
  try {
    return await scenario.run()
  } catch (error) {
    const failure = new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    throw Object.assign(failure, { atMs: scenario.nowMs })
  }
}

class Scenario {
  readonly #world: SimulatedWorld
  readonly #stage: Stage
  readonly #host: BrokerHost
  readonly #failed: Promise<never>
  #fail: (error: unknown) => void = () => undefined
  #members = 0
  #onHealed: () => void = () => undefined

  constructor(seed: number, { onLine, temper }: ScenarioOptions) {
    const onLog = (line: string): void => {
      if (/^\S+ broker /.test(line)) onLine?.(line)
    }
    const world = new SimulatedWorld(seed, onLine === undefined ? {} : { onLog })
    const drawn = { ...drawTemper(world.random.fork('temper'), seed), ...temper }
    world.tearing = drawn.isAboutRecovery ? finely : coarsely
    const trace = new Trace(() => world.nowMs, onLine)
    const promises = new Map(drawn.topics.map((topic) => [topic.name, promiseOf(topic)]))
    this.#world = world
    world.onNonsense = (what) => this.#fail(new Violation(what))
    world.onFault = (kind, where) => trace.fault(kind, where)
    const history = new History(promises)
    const healed = new Promise<void>((resolve) => {
      this.#onHealed = resolve
    })
    this.#stage = {
      world,
      temper: drawn,
      history,
      ledgers: new Ledgers(drawn.ledger),
      trace,
      isHealed: false,
      healed,
      fail: (error) => this.#fail(error),
      memories: new Set(),
      starts: 0,
      isWritten: false,
    }
    this.#host = new BrokerHost(this.#stage)
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject
    })
    trace.say('temper', JSON.stringify(drawn, plain))
  }

  get nowMs(): number {
    return this.#world.nowMs
  }

  async run(): Promise<ScenarioResult> {
    const onRejection = (error: unknown): void => {
      // A process that was ended in the middle of its work leaves such behind.
      if ((error as { code?: string } | undefined)?.code === 'ESTALE') return
      this.#fail(error)
    }
    process.on('unhandledRejection', onRejection)
    try {
      const limitMs = this.#stage.temper.durationMs + 4 * finishMsMax
      await this.#world.run(Promise.race([this.#play(), this.#failed]), limitMs)
    } finally {
      process.off('unhandledRejection', onRejection)
    }
    const { history, trace } = this.#stage
    return {
      hash: this.#world.hash(),
      events: this.#world.events,
      durationMs: this.#world.nowMs,
      sent: history.sent.length,
      acknowledged: history.acknowledged,
      read: history.read,
      starts: this.#stage.starts,
      faults: trace.faults,
    }
  }

  async #play(): Promise<void> {
    const stage = this.#stage
    const { temper, trace } = stage
    const { environment } = this.#world.director
    this.#watch(this.#host.run())
    await this.#host.ready()
    await makeTopics(startClient(stage, 'maker'), temper)
    const { producing, reading, others } = this.#startClients()
    this.#world.networkWeather = temper.network
    this.#world.diskWeather = temper.disk
    await strike(stage, this.#host)
    trace.say('director', 'everything is healed')
    stage.isHealed = true
    this.#onHealed()
    this.#world.networkWeather = calmNetwork
    this.#world.diskWeather = calmDisk
    this.#host.faults.heal(this.#world.disk('broker'))
    await this.#within('be up again', this.#heal())
    await this.#within('finish writing', producing.ended(), producing)
    await this.#within('finish administering', others.ended(), others)
    await this.#within('be restarted', this.#restart())
    await this.#within('be audited', this.#auditAll())
    await this.#within('decide all transactions', this.#auditLedger())
    await this.#within('be read by the group', this.#groupHasRead())
    stage.isWritten = true
    await this.#within('finish reading', reading.ended(), reading)
    await this.#within('stop', this.#host.stop())
    stage.history.check()
    trace.say('director', `is content, ${environment.clock.monotonic()} ms`)
  }

  #startClients() {
    const stage = this.#stage
    const { temper } = stage
    const random = this.#world.random.fork('clients')
    const count = random.between(1, 4)
    const [producing, reading, others] = [new Company(), new Company(), new Company()]
    const share = Math.ceil(temper.records / count)
    for (let i = 0; i < count; i++) {
      this.#send(producing, `producer${i}`, (name) => produce(stage, name, share))
    }
    const members = random.between(0, 3)
    this.#members = members
    for (let i = 0; i < members; i++) {
      this.#send(reading, `member${i}`, (name) => readInGroup(stage, name, 'readers'))
    }
    this.#send(reading, 'reader', (name) => readAlone(stage, name))
    const host = this.#host
    this.#send(others, 'keeper', (name) => keepOffsets(stage, host, name))
    if (random.chance(0.7)) this.#send(others, 'admin', (name) => administer(stage, host, name))
    // Where segments go, somebody has to ask what is still known of their producers.
    const isAsked = temper.untimelyEndChance > 0 && temper.topics.some(({ isShort }) => isShort)
    if (random.chance(0.5) || isAsked) {
      this.#send(others, 'prober', (name) => probe(stage, host, name))
    }
    if (random.chance(0.5)) this.#send(others, 'latecomer', (name) => commitTooLate(stage, name))
    if (random.chance(0.4)) this.#send(others, 'sleeper', (name) => fallSilent(stage, host, name))
    this.#startLedger(reading, others)
    this.#startMembers(random, others)
    return { producing, reading, others }
  }

  /** Members of the newer groups; over hours they would be all that there is to see. */
  #startMembers(random: SeededRandom, others: Company): void {
    const stage = this.#stage
    const host = this.#host
    const { durationMs, flipChance } = stage.temper
    const chance = durationMs > 600_000 || flipChance > 0 ? 0 : 0.25
    for (const kind of ['consumer', 'streams'] as const) {
      if (random.chance(chance)) {
        this.#send(others, kind, (name) => belong(stage, host, name, kind))
      }
    }
    if (random.chance(chance)) this.#send(others, 'sharers', (name) => share(stage, host, name))
  }

  /** Transactions, and records with keys. */
  #startLedger(reading: Company, others: Company): void {
    const stage = this.#stage
    const { tellers, clerks } = stage.temper.ledger
    if (tellers + clerks === 0) return
    stage.memories.add(new LedgerMemory(stage))
    // Its own: seeds without one keep their course.
    const hasSession = new SeededRandom(this.#world.seed).fork('fetch sessions')
    for (let i = 0; i < tellers; i++) {
      this.#send(others, `teller${i}`, (name) => keepLedger(stage, name, 'teller'))
    }
    for (let i = 0; i < clerks; i++) {
      this.#send(others, `clerk${i}`, (name) => keepLedger(stage, name, 'clerk'))
    }
    for (const isolation of ['read_committed', 'read_uncommitted'] as const) {
      const name = isolation.replace('_', ' ')
      this.#send(reading, name, () => readLedger(stage, name, { isolation }))
      const inSession = `${name} in session`
      if (!hasSession.chance(0.6)) continue
      this.#send(reading, inSession, () =>
        readLedger(stage, inSession, { isolation, inSession: true }),
      )
    }
  }

  #send(company: Company, name: string, act: (name: string) => Promise<void>): void {
    company.join(name, this.#watch(act(name)))
  }

  /** What fails here ends the run. */
  #watch<T>(work: Promise<T>): Promise<T> {
    work.catch((error: unknown) => this.#fail(error))
    return work
  }

  async #heal(): Promise<void> {
    // What was taken out of service while it started, too, comes back with a restart.
    await this.#host.ready()
    if (this.#host.isLame || this.#host.faults.struck) await this.#host.stop()
    await this.#host.ready()
  }

  async #restart(): Promise<void> {
    const { random } = this.#world
    const how = random.pick(['kill', 'exit', 'power loss'] as const)
    if (how === 'exit') await this.#host.stop()
    else this.#host.end(how, 'for the last time')
    await this.#host.ready()
  }

  async #auditAll(): Promise<void> {
    const { history } = this.#stage
    const client = startClient(this.#stage, 'last auditor')
    await audit(this.#stage, client, [...history.partitions.values()])
    await compareRecovered(this.#stage, client)
    client.cluster.close()
    for (const memory of this.#stage.memories) memory.compareDisk()
  }

  async #auditLedger(): Promise<void> {
    const { tellers, clerks } = this.#stage.temper.ledger
    if (tellers + clerks === 0) return
    const client = startClient(this.#stage, 'last reader', { isPatient: true })
    await new LedgerMemory(this.#stage).compareAtEnd(client)
  }

  async #groupHasRead(): Promise<void> {
    if (this.#members === 0 || this.#host.areOffsetsDamaged) return
    const { environment } = this.#world.director
    while (this.#stage.history.unseenByGroup().length > 0) await sleep(environment, 1_000)
  }

  async #within<T>(what: string, work: Promise<T>, who?: Company): Promise<T> {
    const { environment } = this.#world.director
    let isDone = false
    const late = sleep(environment, finishMsMax).then(() => {
      if (isDone) return undefined as never
      const unseen = this.#stage.history.unseenByGroup().map(nameOf).slice(0, 5)
      const left = who === undefined ? '' : ` for ${who.names.join(', ')}`
      throw new Violation(
        `${finishMsMax} ms were not enough${left} to ${what} (unread: ${unseen.join(', ')})`,
      )
    })
    late.catch((error: unknown) => this.#fail(error))
    const value = await work
    isDone = true
    return value
  }
}

function promiseOf({ isDurable, configs }: SimulatedTopic): TopicPromise {
  const limit = (name: string): number => Number(configs.get(name) ?? Number.POSITIVE_INFINITY)
  const retentionMs = limit('retention.ms')
  return { isDurable, retentionMs, retentionBytes: limit('retention.bytes') }
}

function plain(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value
}

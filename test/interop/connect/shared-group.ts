/**
 * One distributed group of Connect whose workers are Apache Kafka's and ours in turn, and together, with sources that
 * write exactly once (KIP-618). Each finds what the other has left in the group's topics: settings, states, offsets, and
 * the transactional ids of tasks that were killed in the middle of a transaction. Every line of a file is there once,
 * and in order, for readers of what is committed.
 */
import { appendFileSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fetchKafkaLogger, kafkaVersion } from '../../../scripts/apache-kafka.ts'
import { createTopics } from '../../../src/client/admin/topics.ts'
import { Cluster } from '../../../src/client/cluster.ts'
import { Consumer } from '../../../src/client/consumer.ts'
import { createNodeEnvironment } from '../../../src/environment/node/environment.ts'
import { type BrokerKind, BrokerProcess } from '../../damage/broker-process.ts'
import type { Report } from '../directories/exchange.ts'
import { askVectors } from './rest-vectors.ts'
import { fetchConnect, GroupWorker, type Maker } from './workers.ts'

export interface SharedGroupOptions {
  /** An empty directory for all that is written. */
  readonly directory: string
  /** Written in each turn. */
  readonly lines: number
  /** Of `millrace` and `kafka`, which are the brokers, and `vectors`. */
  readonly parts: readonly string[]
}

const environment = createNodeEnvironment({ log: { level: 'silent' } })
const parts: Readonly<Record<string, { broker: BrokerKind; name: string }>> = {
  millrace: { broker: 'millrace', name: 'connect at Millrace' },
  kafka: { broker: 'kafka', name: `connect at Kafka ${kafkaVersion}` },
  // What workers answer is no matter of the broker.
  vectors: { broker: 'millrace', name: 'connect' },
}
const waitMs = 90_000
/** Of a connector that is paused, and its task. */
const restingStates = 'PAUSED,PAUSED'
const source = 'org.apache.kafka.connect.file.FileStreamSourceConnector'
const sink = 'org.apache.kafka.connect.file.FileStreamSinkConnector'

export async function shareConnectGroup(
  { directory, lines, parts: chosen }: SharedGroupOptions,
  report: Report,
): Promise<void> {
  const reason = fetchConnect() ?? fetchKafkaLogger()
  if (reason !== null) return report('connect', null, reason)
  for (const [part, { broker: kind, name }] of Object.entries(parts)) {
    if (!chosen.includes(part)) continue
    const at = join(directory, part)
    mkdirSync(at, { recursive: true })
    const broker = await BrokerProcess.start(kind, join(at, 'data'), {
      settings: { 'group.initial.rebalance.delay.ms': '0' },
    })
    const group = new SharedGroup(broker.port, at, lines)
    const told = (check: string, ok: boolean, detail: string) =>
      report(`${name}: ${check}`, ok, detail)
    try {
      await (part === 'vectors' ? group.askVectors(told) : group.run(told))
    } catch (error) {
      told('the whole of it', false, (error as Error).message)
    } finally {
      await group.end()
      await broker.stop('SIGKILL')
    }
  }
}

interface State {
  readonly state: string
  readonly worker_id: string
}

type Told = (check: string, ok: boolean, detail: string) => void

class SharedGroup {
  readonly #bootstrap: string
  readonly #directory: string
  readonly #cluster: Cluster
  readonly #perTurn: number
  readonly #written: string[] = []
  readonly #workers: GroupWorker[] = []

  constructor(port: number, directory: string, perTurn: number) {
    this.#bootstrap = `127.0.0.1:${port}`
    this.#directory = directory
    this.#perTurn = perTurn
    this.#cluster = new Cluster(environment, { bootstrap: [{ host: '127.0.0.1', port }] })
  }

  async run(told: Told): Promise<void> {
    await this.#createTopic()
    this.#append(this.#perTurn)
    let before: readonly unknown[] | null = null
    for (const [turn, maker] of (['Apache', 'Millrace', 'Apache', 'Millrace'] as const).entries()) {
      const worker = await this.#start(maker)
      if (turn === 0) await this.#makeConnectors(worker)
      const left = await this.#turn(worker)
      const isSame = before === null || JSON.stringify(left.before) === JSON.stringify(before)
      told(
        `${maker}'s worker goes on, turn ${turn + 1}`,
        isSame && left.isRight,
        isSame ? left.detail : `${JSON.stringify(left.before)} after ${JSON.stringify(before)}`,
      )
      before = left.after
    }
    told('workers of both in one group', ...(await this.#together()))
    told('every line once, in order', ...(await this.#compareLines()))
  }

  /** What both makers answer. */
  async askVectors(told: Told): Promise<void> {
    await this.#createTopic()
    const outcomes = await askVectors({
      start: (maker) => this.#start(maker),
      end: (worker) => this.#endOne(worker, 'SIGTERM'),
      directory: this.#directory,
    })
    for (const [check, ok, detail] of outcomes) told(check, ok, detail)
  }

  async end(): Promise<void> {
    for (const worker of this.#workers) await worker.end('SIGKILL')
    this.#cluster.close()
  }

  get #input(): string {
    return join(this.#directory, 'in.txt')
  }

  get #output(): string {
    return join(this.#directory, 'out.txt')
  }

  async #createTopic(): Promise<void> {
    const topic = { partitions: 1, replicationFactor: 1, configs: new Map() }
    await createTopics(this.#cluster, [{ name: 'lines', ...topic }])
  }

  #append(count: number): void {
    const more = Array.from({ length: count }, (_, at) => `line ${this.#written.length + at}`)
    this.#written.push(...more)
    appendFileSync(this.#input, more.map((line) => `${line}\n`).join(''))
  }

  async #start(maker: Maker): Promise<GroupWorker> {
    const worker = await GroupWorker.start(maker, this.#bootstrap, this.#directory)
    this.#workers.push(worker)
    return worker
  }

  async #endOne(worker: GroupWorker, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#workers.splice(this.#workers.indexOf(worker), 1)
    await worker.end(signal)
  }

  async #makeConnectors(worker: GroupWorker): Promise<void> {
    const connectors = {
      in: {
        ...{ 'connector.class': source, file: this.#input, topic: 'lines', 'batch.size': '100' },
        'exactly.once.support': 'required',
        // The next worker reads offsets no further than to what a killed one has left open.
        'producer.override.transaction.timeout.ms': '5000',
      },
      out: { 'connector.class': sink, file: this.#output, topics: 'lines', 'tasks.max': '2' },
      resting: { 'connector.class': sink, file: `${this.#output}.resting`, topics: 'lines' },
    }
    for (const [name, config] of Object.entries(connectors)) {
      const { status, body } = await worker.askSettled('PUT', `/connectors/${name}/config`, config)
      if (status !== 201) throw new Error(`${name}: ${status} ${JSON.stringify(body)}`)
    }
    await this.#until('resting runs', () => this.#runs(worker, 'resting', 1))
    await worker.askSettled('PUT', '/connectors/resting/pause')
    await this.#until('it is paused', async () => {
      return (await this.#states(worker, 'resting')).join() === restingStates
    })
  }

  /** What a worker found, what it did, and what it leaves to the next as it is killed in the middle of its work. */
  async #turn(worker: GroupWorker) {
    await this.#until('the source runs', () => this.#runs(worker, 'in', 1))
    await this.#until('the sink runs', () => this.#runs(worker, 'out', 2))
    const before = await this.#settings(worker)
    const resting = await this.#states(worker, 'resting')
    this.#append(this.#perTurn)
    await this.#until('all lines are in the topic', async () => {
      const { body } = await worker.ask('GET', '/connectors/in/offsets')
      return body.offsets?.[0]?.offset?.position === statSync(this.#input).size
    })
    await this.#until('all lines are out', () => this.#lacking() === 0)
    const topics = await worker.ask('GET', '/connectors/in/topics')
    const after = await this.#settings(worker)
    this.#append(this.#perTurn)
    await setTimeout(300)
    await this.#endOne(worker, 'SIGKILL')
    const isPaused = resting.join() === restingStates
    const hasTopic = JSON.stringify(topics.body) === '{"in":{"topics":["lines"]}}'
    const count = this.#written.length
    const detail = `settings, states and offsets as left; ${count} lines, killed while it wrote`
    const wrong = `resting is ${resting}, topics ${JSON.stringify(topics.body)}`
    const isRight = isPaused && hasTopic
    return { before, after, isRight, detail: isRight ? detail : wrong }
  }

  /** Each comes first once, and so leads; and each is asked for what only the leader may do. */
  async #together(): Promise<[boolean, string]> {
    const orders: readonly (readonly [Maker, Maker])[] = [
      ['Apache', 'Millrace'],
      ['Millrace', 'Apache'],
    ]
    let changes = 0
    for (const order of orders) {
      const workers = [await this.#start(order[0]), await this.#start(order[1])]
      const [first, second] = workers as [GroupWorker, GroupWorker]
      const isShared = async () => (await this.#owners(first, 'out')).size === 2
      await this.#until('both have a task of the sink', isShared)
      for (const worker of workers) {
        const config = (await worker.ask('GET', '/connectors/in/config')).body
        const size = String(100 + ++changes)
        const asked = { ...config, 'batch.size': size }
        const answer = await worker.askSettled('PUT', '/connectors/in/config', asked)
        if (answer.status !== 200)
          throw new Error(`${worker.maker} answers ${answer.status}: ${answer.body.message}`)
        await this.#until('its task has them', async () => {
          const { body } = await worker.ask('GET', '/connectors/in/tasks')
          return body[0]?.config['batch.size'] === size
        })
        await this.#until('it runs', () => this.#runsSomewhere(worker, 'in', 1))
        this.#append(this.#perTurn)
        const restarted = await worker.askSettled('POST', '/connectors/in/tasks/0/restart')
        if (restarted.status !== 204)
          throw new Error(`a restart at ${worker.maker}: ${JSON.stringify(restarted.body)}`)
      }
      const owners = await this.#owners(first, 'in')
      const victim = owners.has(first.id) ? first : second
      const other = victim === first ? second : first
      await this.#endOne(victim, 'SIGKILL')
      await this.#until('the other has all', async () => {
        return (await this.#runs(other, 'in', 1)) && (await this.#runs(other, 'out', 2))
      })
      await this.#until('all lines are out', () => this.#lacking() === 0)
      await this.#endOne(other, 'SIGTERM')
    }
    return [
      true,
      `${changes} changes of settings, each worker asked, whichever came first; the source's was killed`,
    ]
  }

  async #compareLines(): Promise<[boolean, string]> {
    const consumer = new Consumer(this.#cluster, { isolation: 'read_committed' })
    consumer.assign([{ topic: 'lines', partition: 0, offset: 'earliest' }])
    const found: string[] = []
    for (let idle = 0; idle < 20; idle++)
      for (const { records } of await consumer.poll({ timeoutMs: 100 })) {
        idle = 0
        found.push(...records.map(({ value }) => `${value}`))
      }
    await consumer.close()
    const wrongAt = this.#written.findIndex((line, at) => found[at] !== line)
    const isSame = wrongAt < 0 && found.length === this.#written.length
    const doubled = readFileSync(this.#output, 'utf8').split('\n').length - 1 - found.length
    const sunk = `the sink, which may, wrote ${doubled} twice`
    const differs = `first other at ${wrongAt}: ${found[wrongAt]}`
    const count = `${found.length} of ${this.#written.length} lines`
    return [isSame, `${count}; ${isSame ? sunk : differs}`]
  }

  /** How many lines have not come out of the sink. */
  #lacking(): number {
    const out = new Set(readFileSync(this.#output, 'utf8').split('\n'))
    return this.#written.filter((line) => !out.has(line)).length
  }

  async #settings(worker: GroupWorker): Promise<readonly unknown[]> {
    const { body } = await worker.ask('GET', '/connectors?expand=info')
    const names = Object.keys(body).sort()
    return names.map((name) => {
      const { config, tasks, type } = body[name].info
      return [name, Object.entries(config).sort(), tasks, type]
    })
  }

  async #states(worker: GroupWorker, name: string): Promise<string[]> {
    const { status, body } = await worker.ask('GET', `/connectors/${name}/status`)
    if (status !== 200) return []
    return [body.connector, ...body.tasks].map(({ state }: State) => state)
  }

  async #runs(worker: GroupWorker, name: string, tasks: number): Promise<boolean> {
    const owners = await this.#owners(worker, name)
    const isHere = owners.size === 1 && owners.has(worker.id)
    return isHere && (await this.#runsSomewhere(worker, name, tasks))
  }

  async #runsSomewhere(worker: GroupWorker, name: string, tasks: number): Promise<boolean> {
    const states = await this.#states(worker, name)
    return states.length === tasks + 1 && states.every((state) => state === 'RUNNING')
  }

  /** Who has tasks of it. */
  async #owners(worker: GroupWorker, name: string): Promise<ReadonlySet<string>> {
    const { body } = await worker.ask('GET', `/connectors/${name}/status`)
    return new Set((body.tasks ?? []).map(({ worker_id: id }: State) => id))
  }

  /** Rejects with what the workers have logged last where it takes too long. */
  async #until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = performance.now() + waitMs
    while (performance.now() < endMs) {
      if (await isSo()) return
      await setTimeout(200)
    }
    const said = this.#workers.map(({ maker, log }) => `${maker}: ${log.slice(-1500)}`)
    throw new Error(`not so within ${waitMs / 1000} s: ${what}\n${said.join('\n')}`)
  }
}

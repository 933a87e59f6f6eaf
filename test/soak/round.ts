/**
 * One round of a soak: fresh topics, clients of several languages that come and go, kills of the broker
 * meanwhile; then everybody ends, an independent reader reads each topic from its beginning, and the
 * ledger compares. The topics are deleted at the end, so that a long soak needs no more than a short one.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Chance } from './chance.ts'
import { Ledger, type Verdict } from './ledger.ts'
import { complaintsOf, type LoadClient, startClient } from './load-clients.ts'
import type { TopicChurn } from './topic-churn.ts'

export interface RoundOptions {
  readonly number: number
  readonly folder: string
  readonly port: number
  readonly clients: readonly LoadClient[]
  readonly reader: LoadClient
  readonly chance: Chance
  readonly churn: TopicChurn
  /** Of every topic of the round. */
  readonly configs: ReadonlyMap<string, string>
  /** Records per second of each producer. */
  readonly rate: number
  /** When clients that come now have to end (`performance.now()`). */
  readonly endsAtMs: number
}

interface Running {
  readonly child: ChildProcess
  readonly file: string
  readonly what: string
  readonly isConsumer: boolean
}

const endWaitMs = 200_000
const lifeMinSeconds = 4

export class Round {
  readonly #options: RoundOptions
  readonly #ledger = new Ledger()
  readonly #running = new Set<Running>()
  readonly #files: string[] = []
  readonly #topics: { name: string; partitions: number; codecs: readonly string[] }[]
  readonly #groups = new Set<string>()
  #started = 0
  #isEnding = false
  #bootstrap: string
  /** Client processes that ended otherwise than they should. */
  readonly complaints: string[] = []
  clientsStarted = 0

  constructor(options: RoundOptions) {
    this.#options = options
    this.#bootstrap = `127.0.0.1:${options.port}`
    const name = (kind: string) => `soak-${options.number}-${kind}`
    const all = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
    this.#topics = [
      { name: name('one'), partitions: 1, codecs: all },
      { name: name('three'), partitions: 3, codecs: all },
      { name: name('six'), partitions: 6, codecs: all },
    ]
    if (options.clients.some(({ language }) => language === 'kafkajs')) {
      const codecs = all.filter((codec) =>
        options.clients.every((client) => client.codecs.includes(codec)),
      )
      this.#topics.push({ name: name('four'), partitions: 4, codecs })
    }
  }

  get ledger(): Ledger {
    return this.#ledger
  }

  async begin(): Promise<void> {
    const { churn, configs, folder, clients } = this.#options
    mkdirSync(folder, { recursive: true })
    for (const { name, partitions } of this.#topics) await churn.create(name, partitions, configs)
    churn.begin()
    for (const client of clients) {
      this.#produce(client)
      this.#consume(client)
      // A group of two, whose partitions move when one of them comes or goes.
      if (client.language === 'go') this.#consume(client)
    }
  }

  /** Kills one client now and then; a producer loses what it had not sent, and nothing else. */
  disturbClients(): void {
    const { chance } = this.#options
    const running = [...this.#running]
    if (running.length > 0) chance.pick(running).child.kill('SIGKILL')
  }

  /** Changes a setting of a topic that is written to. */
  async alterTopic(): Promise<void> {
    const { chance, churn } = this.#options
    const [config, values] = chance.pick<[string, string[]]>([
      ['segment.bytes', ['1048576', '2097152', '4194304']],
      ['index.interval.bytes', ['1024', '4096', '65536']],
      ['max.message.bytes', ['1048588', '2097152']],
    ])
    await churn.alter(chance.pick(this.#topics).name, config, chance.pick(values))
  }

  #start(client: LoadClient, isConsumer: boolean, args: readonly string[]): void {
    const { folder } = this.#options
    const seconds = this.#life(client)
    if (seconds === 0) return
    const what = `${client.language}-${isConsumer ? 'consumer' : 'producer'}-${this.#started++}`
    const file = join(folder, what)
    this.#files.push(file)
    this.clientsStarted++
    const given = [`bootstrap=${this.#bootstrap}`, `seconds=${seconds}`, ...args]
    const command = isConsumer ? 'consume' : 'produce'
    const child = startClient(client, [command, ...given], file)
    const running = { child, file, what, isConsumer }
    this.#running.add(running)
    child.once('exit', (code, signal) => {
      this.#running.delete(running)
      if (code !== 0 && signal === null) {
        this.complaints.push(`${what} ended with ${code}: ${complaintsOf(file)}`)
      }
      if (this.#isEnding) return
      if (isConsumer) this.#consume(client)
      else this.#produce(client)
    })
  }

  /** Seconds; 0 when it is too late to begin. */
  #life({ lifeSeconds: [from, to] }: LoadClient): number {
    const left = Math.floor((this.#options.endsAtMs - performance.now()) / 1000)
    const life = Math.min(this.#options.chance.whole(from, to), left)
    return life < lifeMinSeconds ? 0 : life
  }

  /** One process with several producers, each with choices of its own. */
  #produce(client: LoadClient): void {
    const { chance, rate, number } = this.#options
    const specifications: string[] = []
    for (let count = 0; count < 3; count++) {
      const topic = chance.pick(
        this.#topics.filter(({ codecs }) => codecs.length < 4 || client.language !== 'kafkajs'),
      )
      const codec = chance.pick(client.codecs.filter((name) => topic.codecs.includes(name)))
      const isIdempotent = count === 0 || chance.happens(0.4)
      const acks = isIdempotent || chance.happens(0.5) ? 'all' : '1'
      const id = `${client.language}-${number}-${this.#started}-${count}`
      const mode = isIdempotent ? 'idempotent' : 'plain'
      const keyed = chance.happens(0.4) ? 'keyed' : 'unkeyed'
      this.#ledger.announce(id, isIdempotent, topic.name)
      specifications.push(`producer=${[id, topic.name, mode, codec, acks, keyed].join(',')}`)
    }
    // Topics that come and go get records too; nobody counts those.
    const passing = this.#options.churn.present
    if (passing.length > 0 && client.language === 'go') {
      const id = `passing-${this.#started}`
      specifications.push(`producer=${id},${chance.pick(passing)},passing,none,all,unkeyed`)
    }
    const bytes = chance.pick([20, 100, 400])
    const args = [`rate=${rate}`, `bytes=${bytes}`, ...specifications]
    this.#start(client, false, args)
  }

  #consume(client: LoadClient): void {
    const group = `soak-${client.language}`
    this.#groups.add(group)
    const readable = this.#topics.filter(
      ({ codecs }) => codecs.length < 4 || client.language !== 'kafkajs',
    )
    const topics = readable.map(({ name }) => name).join(',')
    this.#start(client, true, [`group=${group}`, `topics=${topics}`])
  }

  /** Waits for the clients to end, and kills those that do not; the broker has to be up. */
  async end(): Promise<void> {
    this.#isEnding = true
    await this.#options.churn.pause()
    const deadlineMs = performance.now() + endWaitMs
    while (this.#running.size > 0 && performance.now() < deadlineMs) await setTimeout(100)
    for (const { child, what } of this.#running) {
      this.complaints.push(`${what} did not end`)
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
  }

  /** Kills every client at once: nothing will be compared. */
  abandon(): void {
    this.#isEnding = true
    for (const { child } of this.#running) child.kill('SIGKILL')
  }

  /** Reads everything from its beginning and compares. */
  async verify(): Promise<Verdict> {
    const { folder, reader } = this.#options
    for (const file of this.#files) await this.#ledger.take(file)
    const file = join(folder, 'read')
    const topics = this.#topics.map(({ name }) => name).join(',')
    const args = [`bootstrap=${this.#bootstrap}`, `topics=${topics}`]
    const groups = [...this.#groups].join(',')
    const child = startClient(reader, ['read', ...args, `groups=${groups}`], file)
    const [code] = (await once(child, 'exit')) as [number | null]
    if (code !== 0) throw new Error(`the reader ended with ${code}: ${complaintsOf(file)}`)
    await this.#ledger.take(file)
    return this.#ledger.compare()
  }

  async removeTopics(): Promise<void> {
    await this.#options.churn.remove(this.#topics.map(({ name }) => name))
  }
}

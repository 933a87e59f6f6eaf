/** Workers of one distributed group: Apache Kafka's and ours, started with the same settings. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cache, fetchProject, kafkaVersion } from '../../../scripts/apache-kafka.ts'
import { propertiesOf } from '../../connect/worker-process.ts'
import { freePort } from '../../free-port.ts'

export type Maker = 'Apache' | 'Millrace'

export const connectJars = join(cache, `connect-${kafkaVersion}`)
const millrace = fileURLToPath(new URL('../../../bundle/cli.js', import.meta.url))
const startMsMax = 90_000
const settleMsMax = 40_000

/** Of both makers. */
const common = {
  'group.id': 'shared',
  'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
  'value.converter': 'org.apache.kafka.connect.storage.StringConverter',
  ...{ 'config.storage.topic': 'configs', 'config.storage.replication.factor': '1' },
  ...{ 'offset.storage.topic': 'offsets', 'offset.storage.replication.factor': '1' },
  ...{ 'status.storage.topic': 'statuses', 'status.storage.replication.factor': '1' },
  ...{ 'offset.storage.partitions': '2', 'status.storage.partitions': '2' },
  'offset.flush.interval.ms': '500',
  'exactly.once.source.support': 'enabled',
  'scheduled.rebalance.max.delay.ms': '500',
  ...{ 'session.timeout.ms': '6000', 'heartbeat.interval.ms': '500' },
}

export const fetchConnect = (): string | null =>
  fetchProject('connect', join(connectJars, `connect-runtime-${kafkaVersion}.jar`))

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: the checks look into whatever was answered.
  readonly body: any
}

export class GroupWorker {
  readonly maker: Maker
  /** As statuses tell it. */
  readonly id: string
  readonly #child: ChildProcess
  readonly #logFile: string

  /** Resolves when it answers. */
  static async start(maker: Maker, bootstrap: string, directory: string): Promise<GroupWorker> {
    const port = await freePort()
    const file = join(directory, `${maker}-${port}.properties`)
    const logFile = join(directory, `${maker}-${port}.log`)
    const listeners = `http://127.0.0.1:${port}`
    // Looking through the class path takes Kafka's workers seconds.
    const own = maker === 'Apache' ? { 'plugin.discovery': 'service_load' } : {}
    const settings = { 'bootstrap.servers': bootstrap, listeners, ...common, ...own }
    writeFileSync(file, propertiesOf(settings))
    const output = openSync(logFile, 'a')
    const stdio = ['ignore', output, output] as const
    const child =
      maker === 'Millrace'
        ? spawn(process.execPath, [millrace, 'connect-distributed', file], { stdio: [...stdio] })
        : spawn(
            'java',
            [
              ...['-Xmx512M', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
              ...[
                '-cp',
                join(connectJars, '*'),
                'org.apache.kafka.connect.cli.ConnectDistributed',
                file,
              ],
            ],
            { stdio: [...stdio] },
          )
    closeSync(output)
    const worker = new GroupWorker(maker, port, { child, logFile })
    await worker.#answers()
    return worker
  }

  private constructor(
    maker: Maker,
    port: number,
    { child, logFile }: { child: ChildProcess; logFile: string },
  ) {
    this.maker = maker
    this.id = `127.0.0.1:${port}`
    this.#child = child
    this.#logFile = logFile
  }

  get log(): string {
    return readFileSync(this.#logFile, 'utf8')
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** `body` is sent as it is where it is text. */
  async ask(method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await fetch(`http://${this.id}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await answer.text()
    const isJson = (answer.headers.get('content-type') ?? '').includes('json')
    return { status: answer.status, body: isJson && text !== '' ? JSON.parse(text) : text }
  }

  /** Asks again while the answer is 409, which a rebalance under way has, unless it is what is expected. */
  async askSettled(method: string, path: string, body?: unknown, expected = 0): Promise<Answer> {
    const endMs = performance.now() + settleMsMax
    for (;;) {
      const answer = await this.ask(method, path, body)
      const isUnsettled = answer.status === 409 && expected !== 409
      if (!isUnsettled || performance.now() > endMs) return answer
      await setTimeout(300)
    }
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (!this.isRunning) return
    const ended = once(this.#child, 'exit')
    this.#child.kill(signal)
    const isLate = await Promise.race([ended, setTimeout(30_000, 'late', { ref: false })])
    if (isLate !== 'late') return
    this.#child.kill('SIGKILL')
    await ended
  }

  async #answers(): Promise<void> {
    const endMs = performance.now() + startMsMax
    while (performance.now() < endMs && this.isRunning) {
      const answer = await this.ask('GET', '/connectors').catch(() => null)
      if (answer?.status === 200) return
      await setTimeout(250)
    }
    await this.end('SIGKILL')
    throw new Error(`a worker of ${this.maker} did not start: ${this.log.slice(-1500)}`)
  }
}

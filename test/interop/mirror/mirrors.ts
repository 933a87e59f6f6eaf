/**
 * Mirrors between Apache Kafka and this broker. Kafka is spoken to by TLS and SCRAM alone, and told of the user
 * by our command line. From Kafka to us the worker is within the broker; from us to Kafka it is one that is alone,
 * beside Kafka. What came out is looked at with the client library of MirrorMaker.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import {
  cache,
  fetchKafka,
  fetchProject,
  formatKafka,
  kafkaVersion,
  startKafka,
} from '../../../scripts/apache-kafka.ts'
import * as certificates from '../../client/certificates.ts'
import { freePort } from '../../free-port.ts'
import { BrokerProcess } from '../../soak/broker-process.ts'
import type { Report } from '../directories/exchange.ts'
import { JavaProgram } from '../java-program.ts'

export interface MirrorOptions {
  /** The bundle: the broker, and the command line. */
  readonly broker: string
  readonly millrace: string
  /** The folder of the Java program. */
  readonly sources: string
  /** An empty directory for all that is written. */
  readonly directory: string
  readonly count: number
}

const mirrorJars = join(cache, `mirror-${kafkaVersion}`)
const password = 'a "quoted" secret'
const waitMs = 60_000

export async function mirrorBothWays(options: MirrorOptions, report: Report): Promise<void> {
  const reason =
    fetchKafka() ??
    fetchProject('mirror', join(mirrorJars, `connect-mirror-client-${kafkaVersion}.jar`))
  if (reason !== null) {
    report('mirror', null, reason)
    return
  }
  mkdirSync(options.directory, { recursive: true })
  const mirrors = await Mirrors.start(options)
  try {
    report('mirror: a user of SCRAM, by our command line', ...(await mirrors.addUser()))
    report(`mirror: Apache Kafka ${kafkaVersion} to Millrace`, ...(await mirrors.fromKafka()))
    report(`mirror: Millrace to Apache Kafka ${kafkaVersion}`, ...(await mirrors.toKafka()))
  } finally {
    await mirrors.end()
  }
}

class Mirrors {
  readonly #options: MirrorOptions
  readonly #ports: { readonly kafka: number; readonly secured: number; readonly http: number }
  readonly #kafka: ChildProcess
  readonly #broker: BrokerProcess
  readonly #ours: string
  readonly #java: JavaProgram
  #worker: ChildProcess | null = null

  static async start(options: MirrorOptions): Promise<Mirrors> {
    const { directory } = options
    const ports = { kafka: await freePort(), secured: await freePort(), http: await freePort() }
    const identity = join(directory, 'identity.pem')
    writeFileSync(identity, `${certificates.brokerKey}\n${certificates.brokerCertificate}\n`)
    const addresses = {
      PLAINTEXT: ports.kafka,
      SASL_SSL: ports.secured,
      CONTROLLER: ports.kafka + 1,
    }
    const listeners = Object.entries(addresses).map(([name, port]) => `${name}://127.0.0.1:${port}`)
    const node = {
      port: ports.kafka,
      directory: join(directory, 'kafka'),
      propertiesFile: join(directory, 'server.properties'),
      properties: {
        listeners: listeners.join(','),
        'advertised.listeners': listeners.slice(0, 2).join(','),
        'listener.security.protocol.map':
          'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL',
        'inter.broker.listener.name': 'PLAINTEXT',
        'sasl.enabled.mechanisms': 'SCRAM-SHA-512',
        'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config': `${scramModule} required;`,
        'ssl.keystore.type': 'PEM',
        'ssl.keystore.location': identity,
      },
    }
    formatKafka(node)
    const kafka = startKafka(node, openSync(join(directory, 'kafka.log'), 'a'))
    const port = await freePort()
    const broker = new BrokerProcess({
      program: options.broker,
      port,
      directory: join(directory, 'ours'),
      logFile: join(directory, 'broker.log'),
      overrides: [`http.listeners=http://127.0.0.1:${ports.http}`],
      variables: {},
    })
    broker.launch()
    await broker.ready()
    return new Mirrors({ options, ports, kafka, broker, ours: `127.0.0.1:${port}` })
  }

  private constructor(given: {
    readonly options: MirrorOptions
    readonly ports: { readonly kafka: number; readonly secured: number; readonly http: number }
    readonly kafka: ChildProcess
    readonly broker: BrokerProcess
    readonly ours: string
  }) {
    const { options } = given
    this.#options = options
    this.#ports = given.ports
    this.#kafka = given.kafka
    this.#broker = given.broker
    this.#ours = given.ours
    this.#java = new JavaProgram({
      source: join(options.sources, 'Mirrors.java'),
      jars: mirrorJars,
      classes: join(options.directory, 'classes'),
    })
  }

  async addUser(): Promise<[boolean, string]> {
    const words = ['users', 'set', 'mirror', '--mechanism', 'SCRAM-SHA-512', '--password', password]
    const at = ['--bootstrap-server', this.#theirs]
    const deadline = Date.now() + waitMs
    for (;;) {
      const { code, output } = await this.#run([...words, ...at])
      if (code === 0 || Date.now() > deadline) return [code === 0, output]
      await setTimeout(500)
    }
  }

  async fromKafka(): Promise<[boolean, string]> {
    const filled = await this.#java.run('fill', this.#theirs, 'flights', this.#count, 'readers')
    if (filled.code !== 0) return [false, filled.output]
    for (const [name, config] of this.#connectors('kafka', 'ours'))
      await putConnector(this.#ports.http, name, config)
    // Nobody writes heartbeats to Kafka yet.
    return this.#check(this.#theirs, this.#ours, { alias: 'kafka', hops: -1 })
  }

  async toKafka(): Promise<[boolean, string]> {
    const { directory, millrace } = this.#options
    const filled = await this.#java.run('fill', this.#ours, 'flights', this.#count, 'readers')
    if (filled.code !== 0) return [false, filled.output]
    const files = Array.from(this.#connectors('ours', 'kafka'), ([name, config]) => {
      const file = join(directory, `${name}.json`)
      writeFileSync(file, JSON.stringify({ name, ...config }))
      return file
    })
    const worker = join(directory, 'worker.properties')
    const settings = {
      ...this.#secured,
      listeners: 'http://127.0.0.1:0',
      'offset.storage.file.filename': join(directory, 'offsets'),
      'offset.flush.interval.ms': '500',
    }
    writeFileSync(worker, Object.entries(settings).map(line).join(''))
    const output = openSync(join(directory, 'worker.log'), 'a')
    const args = [millrace, 'connect-standalone', worker, ...files]
    this.#worker = spawn(process.execPath, args, { stdio: ['ignore', output, output] })
    return this.#check(this.#ours, this.#theirs, { alias: 'ours', hops: 1 })
  }

  async end(): Promise<void> {
    for (const child of [this.#worker, this.#kafka]) {
      if (child === null || child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await this.#broker.end('SIGTERM')
  }

  get #theirs(): string {
    return `127.0.0.1:${this.#ports.kafka}`
  }

  get #count(): string {
    return String(this.#options.count)
  }

  /** How Kafka is reached by whoever mirrors. */
  get #secured(): Record<string, string> {
    const quoted = password.replaceAll('"', '\\"')
    return {
      'bootstrap.servers': `127.0.0.1:${this.#ports.secured}`,
      'security.protocol': 'SASL_SSL',
      'sasl.mechanism': 'SCRAM-SHA-512',
      'sasl.jaas.config': `${scramModule} required username="mirror" password="${quoted}";`,
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.certificates': certificates.authority,
    }
  }

  #connectors(source: string, target: string): Map<string, Record<string, string>> {
    const reach = (name: string) =>
      name === 'kafka' ? this.#secured : { 'bootstrap.servers': this.#ours }
    const common: Record<string, string> = {
      'source.cluster.alias': source,
      'target.cluster.alias': target,
      topics: 'flights',
      'replication.factor': '1',
    }
    for (const [side, name] of [
      ['source', source],
      ['target', target],
    ] as const)
      for (const [setting, text] of Object.entries(reach(name)))
        common[`${side}.cluster.${setting}`] = text
    for (const topic of ['offset-syncs', 'checkpoints', 'heartbeats'])
      common[`${topic}.topic.replication.factor`] = '1'
    const kinds: Readonly<Record<string, Record<string, string>>> = {
      Source: { 'tasks.max': '2', 'source.consumer.isolation.level': 'read_committed' },
      Checkpoint: {
        'emit.checkpoints.interval.seconds': '1',
        'sync.group.offsets.enabled': 'true',
        'sync.group.offsets.interval.seconds': '1',
        'refresh.groups.interval.seconds': '1',
      },
      Heartbeat: {},
    }
    return new Map(
      Object.entries(kinds).map(([kind, own]) => [
        `${source}-${kind.toLowerCase()}`,
        {
          'connector.class': `org.apache.kafka.connect.mirror.Mirror${kind}Connector`,
          ...common,
          ...own,
        },
      ]),
    )
  }

  /** Groups are moved when their offsets are known: a little after the records. */
  async #check(
    source: string,
    target: string,
    { alias, hops }: { readonly alias: string; readonly hops: number },
  ): Promise<[boolean, string]> {
    const deadline = Date.now() + waitMs
    for (;;) {
      await setTimeout(5_000)
      const args = [source, target, alias, 'flights', this.#count, 'readers', `${hops}`]
      const { code, output } = await this.#java.run('check', ...args)
      if (code === 0 || Date.now() > deadline) return [code === 0, output.trim().slice(-200)]
    }
  }

  async #run(words: readonly string[]): Promise<{ code: number | null; output: string }> {
    const child = spawn(process.execPath, [this.#options.millrace, ...words])
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, output: output.trim() }
  }
}

const scramModule = 'org.apache.kafka.common.security.scram.ScramLoginModule'

/** Of a file of properties. */
function line([name, text]: readonly [string, string]): string {
  return `${name}=${text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`
}

async function putConnector(
  port: number,
  name: string,
  config: Readonly<Record<string, string>>,
): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/connectors/${name}/config`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(config),
  })
  if (!answer.ok) throw new Error(`${name}: ${await answer.text()}`)
}

/**
 * A Kafka Streams application with exactly-once processing under fire: two instances count words and join
 * a stream with a table while they and the broker are killed at random moments. In the end every count and
 * every join must be there once, in order. Then Kafka's StreamsResetter takes the application back to the
 * beginning, and it must give all its answers a second time.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import {
  fetchKafka,
  fetchKafkaStreams,
  kafkaStreamsJars,
  kafkaVersion,
  tryKafkaTool,
} from '../../../scripts/apache-kafka.ts'
import { freePort } from '../../free-port.ts'
import { BrokerProcess } from '../../soak/broker-process.ts'
import type { Report } from '../directories/exchange.ts'
import { JavaProgram } from '../java-program.ts'

export interface StreamsUnderFireOptions {
  /** The bundle, or the compiled `main.js`. */
  readonly program: string
  /** The folder of the application's source. */
  readonly sources: string
  readonly directory: string
  readonly texts: number
  /** Of the broker, and as many of the application. */
  readonly kills: number
}

/** How the application's instances share their work. */
export type StreamsProtocol = 'classic' | 'streams'

const instances = 2
/** The application takes its time for each record, so that kills find it at work. */
const paceMicros = 15_000
const resetWaitMs = 60_000
/** Of streams groups it is the broker that says when a member is given up. */
const quickSessions = [
  'group.streams.min.session.timeout.ms=3000',
  'group.streams.session.timeout.ms=3000',
  'group.streams.min.heartbeat.interval.ms=500',
  'group.streams.heartbeat.interval.ms=500',
  'group.streams.initial.rebalance.delay.ms=100',
]

export async function streamUnderFire(
  protocol: StreamsProtocol,
  options: StreamsUnderFireOptions,
  report: Report,
): Promise<void> {
  const subject = `kafka-streams ${kafkaVersion}, ${protocol} groups`
  const reason = fetchKafka() ?? fetchKafkaStreams()
  if (reason !== null) {
    report(subject, null, reason)
    return
  }
  const fire = await StreamsUnderFire.start(protocol, options)
  try {
    const { code, output } = await fire.process()
    const said = output.trim().replaceAll('\n', '; ')
    report(`${subject}: exactly once`, code === 0, `${said}; ${fire.starts}`)
    const reset = await fire.reset()
    report(`${subject}: reset`, reset === null, reset ?? 'offsets and internal topics are gone')
    const again = await fire.processAgain()
    report(`${subject}: once more`, again.code === 0, again.output.trim().replaceAll('\n', '; '))
  } finally {
    await fire.end()
  }
}

class StreamsUnderFire {
  readonly #protocol: StreamsProtocol
  readonly #options: StreamsUnderFireOptions
  readonly #broker: BrokerProcess
  readonly #program: JavaProgram
  readonly #bootstrap: string
  #instances: Instance[] = []

  private constructor(protocol: StreamsProtocol, options: StreamsUnderFireOptions, port: number) {
    const { directory, sources } = options
    this.#protocol = protocol
    this.#options = options
    this.#bootstrap = `127.0.0.1:${port}`
    this.#broker = new BrokerProcess({
      program: options.program,
      port,
      directory: join(directory, 'data'),
      logFile: join(directory, 'broker.log'),
      overrides: [
        'transaction.abort.timed.out.transaction.cleanup.interval.ms=1000',
        // The records' timestamps are of years ago.
        'log.retention.ms=-1',
        ...(protocol === 'streams' ? quickSessions : []),
      ],
      variables: {},
    })
    const temporary = join(directory, 'tmp')
    mkdirSync(temporary, { recursive: true })
    this.#program = new JavaProgram({
      source: join(sources, 'Streams.java'),
      jars: kafkaStreamsJars,
      classes: join(directory, 'classes'),
      // A killed JVM leaves there the library of RocksDB that it unpacked.
      flags: [`-Djava.io.tmpdir=${temporary}`, '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
      logFile: join(directory, 'application.log'),
    })
  }

  static async start(
    protocol: StreamsProtocol,
    options: StreamsUnderFireOptions,
  ): Promise<StreamsUnderFire> {
    const fire = new StreamsUnderFire(protocol, options, await freePort())
    fire.#broker.launch()
    await fire.#broker.ready()
    return fire
  }

  get starts(): string {
    const ofInstances = this.#instances.reduce((sum, { starts }) => sum + starts, 0)
    return `broker started ${this.#broker.starts} times, instances ${ofInstances} times`
  }

  /** Fills the topics, kills at random, and tells what a reader of committed records finds in the end. */
  async process() {
    const texts = `${this.#options.texts}`
    const filled = await this.#program.run('fill', this.#bootstrap, texts)
    if (filled.code !== 0) throw new Error('the topics could not be filled')
    this.#launch(paceMicros)
    await this.#killAtRandom()
    return this.#program.run('check', this.#bootstrap, texts, '1')
  }

  /** Runs Kafka's StreamsResetter once the group is empty. Tells what is wrong, or null. */
  async reset(): Promise<string | null> {
    await this.#stopInstances()
    const at = ['--bootstrap-server', this.#bootstrap]
    const application = `streams-${this.#protocol}`
    const inputs = ['--application-id', application, '--input-topics', 'texts,orders,customers']
    const deadline = Date.now() + resetWaitMs
    for (;;) {
      const reset = tryKafkaTool('org.apache.kafka.tools.StreamsResetter', [...at, ...inputs])
      if (reset.status === 0) break
      if (Date.now() > deadline) return `exit ${reset.status}: ${reset.text.slice(-400)}`
      // An instance that was closed stays a member until its session ends.
      await setTimeout(1_000)
    }
    const topics = tryKafkaTool('org.apache.kafka.tools.TopicCommand', [...at, '--list'])
    const left = topics.text.split('\n').filter((topic) => topic.startsWith(application))
    return topics.status === 0 && left.length === 0 ? null : `topics left: ${left.join(' ')}`
  }

  /** The whole answer a second time, without hurry nor kills. */
  async processAgain() {
    this.#launch(0)
    return this.#program.run('check', this.#bootstrap, `${this.#options.texts}`, '2')
  }

  async end(): Promise<void> {
    for (const instance of this.#instances) await instance.end('SIGKILL')
    await this.#broker.end('SIGKILL')
  }

  #launch(micros: number): void {
    this.#instances = Array.from({ length: instances }, (_, index) => {
      const state = join(this.#options.directory, `state-${index}`)
      return new Instance(() =>
        this.#program.start('run', this.#bootstrap, state, this.#protocol, `${micros}`),
      )
    })
  }

  async #stopInstances(): Promise<void> {
    for (const [index, instance] of this.#instances.entries()) {
      await instance.end('SIGTERM')
      rmSync(join(this.#options.directory, `state-${index}`), { recursive: true, force: true })
    }
    this.#instances = []
  }

  /** Broker and application in turn, now and then so soon again that neither had recovered. */
  async #killAtRandom(): Promise<void> {
    await setTimeout(8_000)
    for (let kill = 0; kill < 2 * this.#options.kills; kill++) {
      await setTimeout(300 + Math.random() * 6_000)
      if (kill % 2 === 1) {
        this.#instances[Math.floor(Math.random() * instances)]?.kill()
        continue
      }
      await this.#broker.end('SIGKILL')
      this.#broker.launch()
      await this.#broker.ready()
    }
  }
}

/** One process of the application, which comes back whenever it ends. */
class Instance {
  readonly #start: () => ChildProcess
  #child: ChildProcess
  #isWanted = true
  starts = 0

  constructor(start: () => ChildProcess) {
    this.#start = start
    this.#child = this.#launched()
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#isWanted = false
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill(signal)
    await ended
  }

  #launched(): ChildProcess {
    const child = this.#start()
    this.starts++
    child.stdout?.resume()
    child.on('exit', () => {
      if (this.#isWanted) this.#child = this.#launched()
    })
    return child
  }
}

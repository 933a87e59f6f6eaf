/**
 * A partition that Kafka's own tools move between two log directories of ours while the official producer
 * writes to it and the broker is killed: every acknowledged record is there once. Then Apache Kafka opens the
 * two directories, moves the partition back, and we take them over again.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import {
  fetchKafka,
  fetchKafkaLogger,
  kafkaClassPath,
  kafkaTool,
  tryKafkaTool,
} from '../../../scripts/apache-kafka.ts'
import { type BrokerKind, BrokerProcess } from '../../damage/broker-process.ts'
import type { Report } from './exchange.ts'

const topic = 'exchange-moved'
const tools = 'org.apache.kafka.tools.'
const messages = 60_000
const perSecond = 6_000
/** So slow that the kill falls into the copying. */
const bytesPerSecondMax = 20_000
const patienceMs = 60_000

export async function moveBetweenDirectories(work: string, report: Report): Promise<void> {
  const failure = fetchKafka() ?? fetchKafkaLogger()
  if (failure !== null) {
    report('moved partition', null, failure)
    return
  }
  const story = new Story(join(work, 'moved'), report)
  try {
    await story.run()
  } catch (error) {
    report('moved partition', false, String(error).slice(0, 400))
  } finally {
    await story.broker?.stop('SIGKILL')
  }
}

class Story {
  broker: BrokerProcess | null = null
  readonly #directory: string
  readonly #report: Report
  readonly #acknowledged = new Set<string>()
  #address = ''

  constructor(directory: string, report: Report) {
    this.#directory = directory
    this.#report = report
    mkdirSync(directory, { recursive: true })
  }

  async run(): Promise<void> {
    await this.#start('millrace')
    this.#tool('TopicCommand', ['--create', '--topic', topic, '--config', 'segment.bytes=1048576'])
    this.#transact()
    const producer = this.#produce()
    await this.#acknowledgedAtLeast(messages / 6)
    const target = this.#other(this.#place())
    const moving = this.#move(target, ['--replica-alter-log-dirs-throttle', `${bytesPerSecondMax}`])
    const isStarted = /Successfully started moving log directory/.test(moving)
    this.#tell('moved partition: kafka-reassign-partitions --execute', isStarted, moving)
    const isFuture = /"isFuture":true/.test(this.#logDirs())
    this.#tell('moved partition: kafka-log-dirs shows the copy', isFuture, '')
    await this.broker?.stop('SIGKILL')
    const copy = readdirSync(target).find((name) => name.endsWith('-future'))
    this.#tell('moved partition: killed while copying', copy !== undefined, copy ?? 'no copy')
    await this.#start('millrace')
    await once(producer, 'exit')
    this.#unthrottle()
    this.#check('killed and moved on')
    await this.#verified(target, 'by us')
    this.#check('moved by us')
    await this.broker?.stop()

    await this.#start('kafka')
    this.#check('opened by Kafka')
    const back = this.#other(target)
    this.#move(back, [])
    await this.#verified(back, 'by Kafka')
    await this.broker?.stop()
    this.#dump(back)

    await this.#start('millrace')
    this.#check('taken back')
    this.#move(target, [])
    await this.#verified(target, 'by us again')
    this.#check('moved by us again')
    await this.broker?.stop()
    this.#dump(target)
  }

  get #directories(): readonly [string, string] {
    return [join(this.#directory, 'one'), join(this.#directory, 'two')]
  }

  #other(directory: string): string {
    const [one, two] = this.#directories
    return directory === one ? two : one
  }

  /** Where it was before: the producer finds it again. */
  async #start(kind: BrokerKind): Promise<void> {
    const settings = {
      'log.dirs': this.#directories.join(','),
      ...(kind === 'millrace' &&
        this.#address !== '' && { listeners: `PLAINTEXT://${this.#address}` }),
    }
    const broker = await BrokerProcess.start(kind, this.#directory, { settings })
    if (!broker.isServing) throw new Error(`${kind} does not start: ${broker.log.slice(-300)}`)
    this.broker = broker
    if (kind === 'kafka' || this.#address === '') this.#address = `127.0.0.1:${broker.port}`
  }

  #tool(name: string, args: readonly string[]): string {
    return kafkaTool(tools + name, ['--bootstrap-server', this.#address, ...args])
  }

  #tell(check: string, ok: boolean, detail: string): void {
    this.#report(check, ok, detail.replaceAll('\n', ' ').slice(-200))
  }

  /** Transactions, of which the last stable offset and the producers' states come along. */
  #transact(): void {
    kafkaTool(`${tools}ProducerPerformance`, [
      ...['--topic', topic, '--num-records', '2000', '--record-size', '200', '--throughput', '-1'],
      ...['--transactional-id', 'mover', '--transaction-duration-ms', '100'],
      ...['--bootstrap-server', this.#address],
    ])
  }

  /** Writes numbers, and goes on after the broker was away. */
  #produce(): ChildProcess {
    const java = ['-Xmx256M', '-cp', kafkaClassPath, `${tools}VerifiableProducer`]
    const child = spawn(
      'java',
      [
        ...[...java, '--bootstrap-server', this.#address, '--topic', topic],
        ...['--max-messages', String(messages), '--throughput', String(perSecond)],
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    )
    let rest = ''
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (!line.includes('producer_send_success')) continue
        this.#acknowledged.add(String(/"value":"(\d+)"/.exec(line)?.[1]))
      }
    })
    return child
  }

  async #acknowledgedAtLeast(count: number): Promise<void> {
    for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += 50) {
      if (this.#acknowledged.size >= count) return
      await setTimeout(50)
    }
    throw new Error(`${this.#acknowledged.size} of ${count} records acknowledged`)
  }

  #logDirs(): string {
    return this.#tool('LogDirsCommand', ['--describe', '--topic-list', topic])
  }

  #place(): string {
    const line = this.#logDirs()
      .split('\n')
      .find((one) => one.startsWith('{'))
    const described = JSON.parse(line ?? '{}') as {
      brokers: { logDirs: { logDir: string; partitions: unknown[] }[] }[]
    }
    const dirs = described.brokers[0]?.logDirs ?? []
    return dirs.find(({ partitions }) => partitions.length > 0)?.logDir ?? ''
  }

  #plan(directory: string): string {
    const file = join(this.#directory, 'move.json')
    const partitions = [{ topic, partition: 0, replicas: [1], log_dirs: [directory] }]
    writeFileSync(file, JSON.stringify({ version: 1, partitions }))
    return file
  }

  #reassign(what: string, directory: string, options: readonly string[]): string {
    const file = this.#plan(directory)
    const args = [what, '--reassignment-json-file', file, ...options]
    return this.#tool('reassign.ReassignPartitionsCommand', args)
  }

  #move(directory: string, options: readonly string[]): string {
    return this.#reassign('--execute', directory, options)
  }

  #unthrottle(): void {
    kafkaTool('kafka.admin.ConfigCommand', [
      ...['--bootstrap-server', this.#address, '--alter', '--entity-type', 'brokers'],
      ...['--entity-name', '1'],
      ...['--delete-config', 'replica.alter.log.dirs.io.max.bytes.per.second'],
    ])
  }

  /** Asks until the move is done; that also takes the throttle away. */
  async #verified(directory: string, how: string): Promise<void> {
    let said = ''
    for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += 1000) {
      said = this.#reassign('--verify', directory, [])
      if (/replica \S+ completed successfully/.test(said)) break
      await setTimeout(1000)
    }
    const isDone = /replica \S+ completed successfully/.test(said)
    const isThere = existsSync(join(directory, `${topic}-0`))
    const isGone = !existsSync(join(this.#other(directory), `${topic}-0`))
    this.#tell(`moved partition: --verify, ${how}`, isDone && isThere && isGone, said)
  }

  #check(what: string): void {
    const { text } = tryKafkaTool(`${tools}consumer.ConsoleConsumer`, [
      ...['--bootstrap-server', this.#address, '--topic', topic, '--from-beginning'],
      ...['--isolation-level', 'read_committed', '--timeout-ms', '6000'],
    ])
    const found = text.split('\n').filter((line) => /^\d+$/.test(line))
    const seen = new Set(found)
    const lost = [...this.#acknowledged].filter((value) => !seen.has(value))
    const ok = lost.length === 0 && seen.size === found.length && seen.size > 0
    const twice = found.length - seen.size
    const counts = `${this.#acknowledged.size} acknowledged, ${lost.length} lost, ${twice} twice`
    this.#report(`moved partition: ${what}`, ok, counts)
  }

  #dump(directory: string): void {
    const partition = join(directory, `${topic}-0`)
    const files = readdirSync(partition)
      .filter((file) => /\.(log|index|timeindex|snapshot|txnindex)$/.test(file))
      .map((file) => join(partition, file))
    const args = ['--deep-iteration', '--files', files.join(',')]
    const { status, text } = tryKafkaTool(`${tools}DumpLogSegments`, args)
    const complaint = text
      .split('\n')
      .find((line) => /mismatch|corrupt|exception|isvalid: false|out of order/i.test(line))
    const ok = status === 0 && complaint === undefined
    this.#report('dump of moved partition', ok, complaint ?? `${files.length} files`)
  }
}

/**
 * Kafka's own tools against this broker and against Apache Kafka: the same story, told to both, and each
 * command's exit code and output compared, with ids, times and addresses made alike.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { fetchKafka, fetchKafkaLogger, kafkaClassPath } from '../../../scripts/apache-kafka.ts'
import { BrokerProcess } from '../../damage/broker-process.ts'
import type { Report } from '../directories/exchange.ts'
import { accessSettings, accessStory } from './access-commands.ts'
import { jsonFiles, story, type ToolCommand } from './commands.ts'

const source = fileURLToPath(
  new URL('../../../../test/interop/tools/ToolRunner.java', import.meta.url),
)
/** No command takes so long that goes well. */
const commandLimitMs = 60_000
/** What changes metadata takes a moment to be known to all parts of Apache Kafka. */
const settleMs = 300

interface Told {
  /** Null: it did not end in time. */
  readonly exit: number | null
  readonly text: string
}

/** A JVM that runs one tool after the other. */
class ToolRunner {
  #child: ChildProcess
  #lines: Interface

  constructor() {
    ;[this.#child, this.#lines] = start()
  }

  async run({ main, args, input = '' }: ToolCommand): Promise<Told> {
    const words = [input, main, ...args].map((word) => Buffer.from(word).toString('base64'))
    this.#child.stdin?.write(`${words.join(' ')}\n`)
    const limit = new AbortController()
    const { signal } = limit
    const answered = once(this.#lines, 'line', { signal }).then(([line]) => line as string)
    const ended = once(this.#lines, 'close', { signal }).then(() => null)
    const late = setTimeout(commandLimitMs, null, { signal })
    const first = [answered, ended, late].map((one) => one.catch(() => null))
    const line = await Promise.race(first)
    limit.abort()
    if (line === null) {
      this.close()
      ;[this.#child, this.#lines] = start()
      return { exit: null, text: '' }
    }
    const [exit, ...texts] = line.split(' ')
    const text = texts.map((word) => Buffer.from(word.slice(1), 'base64').toString()).join('')
    return { exit: Number(exit), text }
  }

  close(): void {
    this.#lines.removeAllListeners()
    this.#child.kill('SIGKILL')
  }
}

function start(): [ChildProcess, Interface] {
  const child = spawn('java', ['-Xmx512M', '-cp', kafkaClassPath, source], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  return [child, createInterface({ input: child.stdout })]
}

export async function compareTools(work: string, report: Report): Promise<void> {
  const failure = fetchKafka() ?? fetchKafkaLogger()
  if (failure !== null) {
    report('tools compared', null, failure)
    return
  }
  const files = join(work, 'files')
  mkdirSync(files, { recursive: true })
  for (const [name, content] of Object.entries(jsonFiles))
    writeFileSync(join(files, name), JSON.stringify(content))
  writeFileSync(join(files, 'empty.properties'), '')
  await compareStory(join(work, 'tools'), {}, (at) => story(at, files), report)
}

/** The same for brokers with an authorizer. */
export async function compareAccess(work: string, report: Report): Promise<void> {
  const failure = fetchKafka() ?? fetchKafkaLogger()
  if (failure !== null) report('tools compared, with an authorizer', null, failure)
  else await compareStory(join(work, 'tools-access'), accessSettings, accessStory, report)
}

async function compareStory(
  directory: string,
  settings: Readonly<Record<string, string>>,
  tellTo: (at: string) => readonly ToolCommand[],
  report: Report,
): Promise<void> {
  mkdirSync(directory, { recursive: true })
  const ours = await BrokerProcess.start('millrace', join(directory, 'tools-ours'), { settings })
  const theirs = await BrokerProcess.start('kafka', join(directory, 'tools-kafka'), { settings })
  const runners = [new ToolRunner(), new ToolRunner()] as const
  try {
    const commands = tellTo(`127.0.0.1:${ours.port}`)
    const others = tellTo(`127.0.0.1:${theirs.port}`)
    for (const [at, command] of commands.entries()) {
      const [mine, other] = await Promise.all([
        runners[0].run(command),
        runners[1].run(others[at] as ToolCommand),
      ])
      tell(command, mine, other, report)
      await setTimeout(settleMs)
    }
  } finally {
    for (const runner of runners) runner.close()
    await Promise.all([ours.stop(), theirs.stop()])
  }
}

function tell(command: ToolCommand, mine: Told, other: Told, report: Report): void {
  const name = `compared: ${command.name}`.trim()
  if (mine.exit !== other.exit) {
    const last = mine.text.trim().split('\n').slice(-3).join(' / ')
    report(name, false, `exit ${mine.exit}, Kafka's ${other.exit}: ${last.slice(0, 300)}`)
    return
  }
  const difference = command.exitOnly ? null : differenceOf(command, mine.text, other.text)
  if (command.differs === undefined) {
    report(name, difference === null, difference ?? `exit ${mine.exit}`)
  } else if (difference === null) {
    report(name, false, `alike, and was to differ: ${command.differs}`)
  } else report(name, true, `exit ${mine.exit}, known to differ: ${command.differs}`)
}

function differenceOf(command: ToolCommand, mine: string, other: string): string | null {
  const [left, right] = [alike(mine), alike(other)]
  if (command.anyOrder) for (const lines of [left, right]) lines.sort()
  if (left.join('\n') === right.join('\n')) return null
  const ours = left.filter((line) => !right.includes(line))
  const theirs = right.filter((line) => !left.includes(line))
  if (ours.length === 0 && theirs.length === 0) return 'the same lines in another order'
  const show = (lines: readonly string[]) => lines.slice(0, 3).join(' / ').slice(0, 250) || '-'
  return `${show(ours)} | Kafka: ${show(theirs)}`
}

/** Lines without what belongs to one broker or one moment only. */
function alike(text: string): string[] {
  const lines = text
    .replace(/127\.0\.0\.1:\d+|localhost:\d+/g, 'ADDRESS')
    .replace(/\b[A-Za-z0-9_-]{22}\b/g, 'ID')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replace(/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[,.]\d+/g, 'TIME')
    .replace(/\(\d+ ms\)|in \d+ ms/g, 'MS')
    .replace(/127\.0\.0\.1\s+\d+/g, 'ADDRESS')
    .replace(/Epoch: \d+/g, 'EPOCH')
    .replace(/[^" ]*\/tools-(ours|kafka)/g, 'DIRECTORY')
    .replace(/[ \t]+/g, ' ')
    .split('\n')
    .map((line) => line.trim())
  return lines.filter((line) => line !== '' && !/^\s*at |^SLF4J|^WARNING|^\[?TIME/.test(line))
}

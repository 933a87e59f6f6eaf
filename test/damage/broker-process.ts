/**
 * A broker as a process on a data directory: ours or Apache Kafka's, started, watched until it says that
 * it serves or ends, and stopped by a signal. What it logs is kept whole.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { formatKafka, type KafkaNode, startLoggingKafka } from '../../scripts/apache-kafka.ts'

export type BrokerKind = 'millrace' | 'kafka'

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const readyPattern: Readonly<Record<BrokerKind, RegExp>> = {
  millrace: / is ready on \S+:\d+ /,
  kafka: /Kafka Server started/,
}
/** Kafka alone needs seconds; beside other work, many. */
const startLimitMs: Readonly<Record<BrokerKind, number>> = { millrace: 30_000, kafka: 90_000 }
const stopLimitMs = 30_000

/** Settings that both kinds are run with, so that their directories are alike. */
export const commonSettings: Readonly<Record<string, string>> = {
  'offsets.topic.num.partitions': '4',
}

export interface StartOptions {
  /** Further settings. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A process that serves, or one that ended before it did. */
export class BrokerProcess {
  readonly kind: BrokerKind
  readonly port: number
  readonly startMs: number
  /** Null while it runs; else its exit code or the signal that ended it. */
  ended: number | string | null = null
  readonly #child: ChildProcess
  readonly #logFile: string

  private constructor(
    kind: BrokerKind,
    port: number,
    running: { child: ChildProcess; logFile: string; startMs: number },
  ) {
    this.kind = kind
    this.port = port
    this.startMs = running.startMs
    this.#child = running.child
    this.#logFile = running.logFile
  }

  get isServing(): boolean {
    return this.ended === null
  }

  /** Everything that the process printed. */
  get log(): string {
    return readFileSync(this.#logFile, 'utf8')
  }

  /** Resolves when the broker serves, or has ended. Its log lies beside the directory. */
  static async start(
    kind: BrokerKind,
    directory: string,
    options: StartOptions = {},
  ): Promise<BrokerProcess> {
    const port = await freePort()
    const settings = { ...commonSettings, ...options.settings }
    const logFile = `${directory}.log`
    rmSync(logFile, { force: true })
    const output = openSync(logFile, 'a')
    const startedMs = performance.now()
    const launch = kind === 'millrace' ? startOurs : startTheirs
    const child = launch(port, directory, { settings, output })
    closeSync(output)
    while (child.exitCode === null && child.signalCode === null) {
      if (readyPattern[kind].test(readFileSync(logFile, 'utf8'))) break
      if (performance.now() - startedMs > startLimitMs[kind]) child.kill('SIGKILL')
      await setTimeout(kind === 'millrace' ? 20 : 100)
    }
    const startMs = Math.round(performance.now() - startedMs)
    const broker = new BrokerProcess(kind, port, { child, logFile, startMs })
    broker.ended = child.exitCode ?? child.signalCode
    child.once('exit', (code, signal) => {
      broker.ended = code ?? signal
    })
    return broker
  }

  /** Ends the process with this signal, and with SIGKILL where that takes too long. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | string> {
    if (this.ended !== null) return this.ended
    const exit = once(this.#child, 'exit')
    this.#child.kill(signal)
    const limit = new AbortController()
    const late = setTimeout(stopLimitMs, null, { signal: limit.signal }).then(
      () => this.#child.kill('SIGKILL'),
      () => undefined,
    )
    await exit
    limit.abort()
    await late
    return this.ended ?? -1
  }
}

interface Launch {
  readonly settings: Readonly<Record<string, string>>
  /** A file descriptor. */
  readonly output: number
}

function startOurs(port: number, directory: string, { settings, output }: Launch): ChildProcess {
  const all = {
    listeners: `PLAINTEXT://127.0.0.1:${port}`,
    'log.dirs': directory,
    'http.listeners': '',
    'node.id': '1',
    ...settings,
  }
  const overrides = Object.entries(all).flatMap(([name, value]) => [
    '--override',
    `${name}=${value}`,
  ])
  return spawn(process.execPath, [main, ...overrides], { stdio: ['ignore', output, output] })
}

/** Formats a directory that is not there yet. */
function startTheirs(port: number, directory: string, { settings, output }: Launch): ChildProcess {
  const node: KafkaNode = {
    port,
    directory,
    propertiesFile: `${directory}.properties`,
    properties: {
      'share.coordinator.state.topic.replication.factor': '1',
      'share.coordinator.state.topic.min.isr': '1',
      'transaction.state.log.num.partitions': '2',
      ...settings,
    },
  }
  if (!existsSync(directory)) formatKafka(node)
  return startLoggingKafka(node, output)
}

/** A port that nobody has now, nor the one after it: Kafka's controller takes that. */
async function freePort(): Promise<number> {
  for (;;) {
    // Below the ports that the system gives to whoever asks for any.
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    if ((await isFree(port)) && (await isFree(port + 1))) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const isListening = once(server, 'listening').then(
    () => true,
    () => false,
  )
  server.listen(port, '127.0.0.1')
  if (!(await isListening)) return false
  server.close()
  await once(server, 'close')
  return true
}

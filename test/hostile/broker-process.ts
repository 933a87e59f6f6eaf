/**
 * A broker's process of its own in a temporary directory, as the hostile runs bother it. Memory and open
 * files are read from /proc: Linux only.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Held } from './loop-probe.ts'

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const probe = new URL('./loop-probe.js', import.meta.url).href

export class BrokerProcess {
  readonly port: number
  readonly logFile: string
  readonly #child: ChildProcess

  /** Its directory is made inside `parent`; `nodeArguments` are for Node.js. */
  static async start(
    parent: string,
    nodeArguments: readonly string[] = [],
  ): Promise<BrokerProcess> {
    const directory = mkdtempSync(join(parent, 'node-'))
    const settings = [
      'listeners=PLAINTEXT://127.0.0.1:0',
      `log.dirs=${join(directory, 'data')}`,
      'http.listeners=',
    ]
    const log = join(directory, 'broker.log')
    const output = openSync(log, 'a')
    const overrides = settings.flatMap((text) => ['--override', text])
    const args = [...nodeArguments, '--import', probe, main, ...overrides]
    const stdio = ['ignore', output, output, 'ipc'] as const
    const child = spawn(process.execPath, args, { stdio: [...stdio] })
    for (;;) {
      await setTimeout(20)
      const ready = / is ready on \S*?:(\d+)/.exec(readFileSync(log, 'utf8'))
      if (ready !== null) return new BrokerProcess(child, Number(ready[1]), log)
      if (child.exitCode !== null) throw new Error(readFileSync(log, 'utf8'))
    }
  }

  private constructor(child: ChildProcess, port: number, logFile: string) {
    this.#child = child
    this.port = port
    this.logFile = logFile
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** 0 once it has ended. */
  get memoryMb(): number {
    if (!this.isAlive) return 0
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')
    return Number(status.match(/VmRSS:\s+(\d+)/)?.[1] ?? 0) / 1024
  }

  get openFiles(): number {
    return this.isAlive ? readdirSync(`/proc/${this.#child.pid}/fd`).length : 0
  }

  /** What it has logged. */
  get logged(): string {
    return readFileSync(this.logFile, 'utf8')
  }

  /** For how long its event loop was held at most, in one piece, since this was asked before. */
  longestHold(): Promise<Held> {
    return new Promise((resolve) => {
      this.#child.once('message', (held) => resolve(held as Held))
      this.#child.send('held?')
    })
  }

  async stop(): Promise<void> {
    if (!this.isAlive) return
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGTERM')
    const timedOut = await Promise.race([ended.then(() => false), setTimeout(15_000, true)])
    if (timedOut) this.#child.kill('SIGKILL')
  }
}

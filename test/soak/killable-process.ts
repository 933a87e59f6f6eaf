/** A program of ours as a process that dies and comes back, and says in its log when it is ready. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

export interface ProgramOptions {
  /** What it is called where it fails. */
  readonly name: string
  /** What Node is started with: a compiled program and its arguments. */
  readonly command: readonly string[]
  /** What it prints is appended there. */
  readonly logFile: string
  readonly readySign: RegExp
  readonly variables: Readonly<Record<string, string>>
}

const readyWaitMs = 30_000

export class KillableProcess {
  readonly #options: ProgramOptions
  #child: ChildProcess | null = null
  /** Bytes of the log file that belong to earlier lives. */
  #logStart = 0
  starts = 0
  /** Milliseconds of each start until the program said that it is ready. */
  readonly startsMs: number[] = []

  constructor(options: ProgramOptions) {
    this.#options = options
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Starts the process without waiting for it to be ready. */
  launch(): void {
    const { command, logFile, variables } = this.#options
    const output = openSync(logFile, 'a')
    this.#logStart = readFileSync(logFile).length
    this.#child = spawn(process.execPath, command, {
      stdio: ['ignore', output, output],
      env: { ...process.env, ...variables },
    })
    closeSync(output)
    this.starts++
  }

  /** Rejects if the process ends or is not ready within half a minute. */
  async ready(): Promise<void> {
    const { name, readySign } = this.#options
    const startedMs = performance.now()
    while (performance.now() - startedMs < readyWaitMs) {
      const text = this.#log()
      if (readySign.test(text)) {
        this.startsMs.push(performance.now() - startedMs)
        return
      }
      if (!this.isRunning)
        throw new Error(
          `${name} ended while it started (exit code ${this.#child?.exitCode}):\n${text}`,
        )
      await setTimeout(20)
    }
    throw new Error(`${name} was not ready in ${readyWaitMs} ms:\n${this.#log()}`)
  }

  /** Sends the signal and waits for the end; gives how it ended. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | NodeJS.Signals> {
    const child = this.#child
    if (child === null) throw new Error(`${this.#options.name} was not started`)
    if (this.isRunning) {
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
    }
    return child.exitCode ?? child.signalCode ?? 'SIGKILL'
  }

  /** Resident memory in MiB and open files; undefined where there is no /proc or no process. */
  sample(): { memoryMb: number; files: number } | undefined {
    try {
      const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
      const resident = /VmRSS:\s+(\d+)/.exec(status)?.[1]
      if (resident === undefined) return undefined
      const files = readdirSync(`/proc/${this.pid}/fd`).length
      return { memoryMb: Number(resident) / 1024, files }
    } catch (error) {
      // The process ended between two looks.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error
      return undefined
    }
  }

  #log(): string {
    return readFileSync(this.#options.logFile).subarray(this.#logStart).toString()
  }
}

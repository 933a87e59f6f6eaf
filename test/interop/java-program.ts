/** A Java program of one source file, compiled once: one that was killed is back at once. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync } from 'node:fs'
import { basename, join } from 'node:path'

export interface JavaProgramOptions {
  readonly source: string
  /** The folder of the jars that it needs. */
  readonly jars: string
  /** Where its classes are written. */
  readonly classes: string
  readonly flags?: readonly string[]
  /** What it says on stderr is appended to this file, and shown here unless given. */
  readonly logFile?: string
}

export class JavaProgram {
  readonly #command: readonly string[]
  readonly #log: number | 'inherit'

  /** Throws with the compiler's words. */
  constructor({ source, jars, classes, flags, logFile }: JavaProgramOptions) {
    mkdirSync(classes, { recursive: true })
    const compiled = spawnSync('javac', ['-cp', join(jars, '*'), '-d', classes, source])
    if (compiled.status !== 0) throw new Error(`javac: ${compiled.error ?? compiled.stderr}`)
    const classPath = [classes, join(jars, '*')].join(':')
    this.#command = ['-Xmx256M', ...(flags ?? []), '-cp', classPath, basename(source, '.java')]
    this.#log = logFile === undefined ? 'inherit' : openSync(logFile, 'a')
  }

  start(...args: string[]): ChildProcess {
    return spawn('java', [...this.#command, ...args], { stdio: ['ignore', 'pipe', this.#log] })
  }

  /** Waits for its end; `output` is what it printed. */
  async run(...args: string[]): Promise<{ code: number | null; output: string }> {
    const child = this.start(...args)
    let output = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, output }
  }
}

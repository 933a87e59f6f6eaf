/**
 * Exactly once under fire: an application of the official client copies numbers from one topic to another
 * in transactions, while broker and application are killed at random moments. In the end a reader of
 * committed records must find every number once.
 */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { freePort } from '../../free-port.ts'
import { BrokerProcess } from '../../soak/broker-process.ts'
import { JavaProgram } from '../java-program.ts'

export interface ExactlyOnceOptions {
  /** The bundle, or the compiled `main.js`. */
  readonly program: string
  /** The folder of the client's jars, and that of its source. */
  readonly jars: string
  readonly sources: string
  /** An empty directory for all that is written. */
  readonly directory: string
  readonly count: number
  readonly kills: number
}

export interface ExactlyOnceResult {
  readonly isExact: boolean
  /** What the reader found. */
  readonly found: string
  readonly brokerStarts: number
  readonly copierStarts: number
  /** What copiers said of transactions that they had to abort, by how often. */
  readonly aborts: ReadonlyMap<string, number>
}

const applications = 2
const doneWaitMs = 240_000

class Copier {
  readonly #start: () => ChildProcess
  readonly #aborts: Map<string, number>
  #child: ChildProcess
  starts = 1
  isDone = false

  constructor(start: () => ChildProcess, aborts: Map<string, number>) {
    this.#start = start
    this.#aborts = aborts
    this.#child = this.#watched()
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #watched(): ChildProcess {
    const child = this.#start()
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      for (const [, what] of text.matchAll(/^aborting: (\S+)/gm)) {
        this.#aborts.set(what as string, (this.#aborts.get(what as string) ?? 0) + 1)
      }
    })
    child.on('exit', (code) => {
      if (code === 0) {
        this.isDone = true
        return
      }
      this.starts++
      this.#child = this.#watched()
    })
    return child
  }
}

export async function copyExactlyOnce(options: ExactlyOnceOptions): Promise<ExactlyOnceResult> {
  const { directory, count } = options
  const port = await freePort()
  const broker = new BrokerProcess({
    program: options.program,
    port,
    directory: join(directory, 'data'),
    logFile: join(directory, 'broker.log'),
    overrides: ['transaction.abort.timed.out.transaction.cleanup.interval.ms=1000'],
    variables: {},
  })
  const java = new JavaProgram({
    source: join(options.sources, 'Transactions.java'),
    jars: options.jars,
    classes: join(directory, 'classes'),
  })
  const bootstrap = `127.0.0.1:${port}`
  broker.launch()
  const copiers: Copier[] = []
  const aborts = new Map<string, number>()
  try {
    await broker.ready()
    await java.run('fill', bootstrap, 'numbers', `${count}`)
    for (let index = 0; index < applications; index++) {
      const args = ['copy', bootstrap, 'numbers', 'numbers-copy', `copier-${index}`]
      copiers.push(new Copier(() => java.start(...args), aborts))
    }
    await killAtRandom(broker, copiers, options.kills)
    const deadline = Date.now() + doneWaitMs
    while (copiers.some(({ isDone }) => !isDone) && Date.now() < deadline) await setTimeout(200)
    const { code, output } = await java.run('check', bootstrap, 'numbers-copy', `${count}`)
    return {
      isExact: code === 0,
      found: output.trim(),
      brokerStarts: broker.starts,
      copierStarts: copiers.reduce((sum, { starts }) => sum + starts, 0),
      aborts,
    }
  } finally {
    for (const copier of copiers) copier.kill()
    await broker.end('SIGKILL')
  }
}

async function killAtRandom(
  broker: BrokerProcess,
  copiers: readonly Copier[],
  kills: number,
): Promise<void> {
  // The copiers join their group first.
  await setTimeout(4_000)
  for (let kill = 0; kill < kills; kill++) {
    await setTimeout(500 + Math.random() * 3_000)
    if (kill % 3 === 2) {
      copiers[Math.floor(Math.random() * copiers.length)]?.kill()
      continue
    }
    await broker.end('SIGKILL')
    broker.launch()
    await broker.ready()
  }
}

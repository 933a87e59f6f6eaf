/**
 * The real world for commands: as the broker's, but what is logged goes to stderr as short lines, and
 * only from warnings on, so that stdout stays what was asked for.
 */
import type { Clock, Environment, Logger } from '../environment/environment.ts'
import { BufferPool } from '../environment/node/buffer-pool.ts'
import { NodeDisk } from '../environment/node/disk.ts'
import { NodeNetwork } from '../environment/node/network.ts'
import { NodeRandom } from '../environment/node/random.ts'
import { NodeTimers } from '../environment/node/timers.ts'

export function createCommandEnvironment({ verbose = false } = {}): Environment {
  const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }
  return {
    clock,
    timers: new NodeTimers(clock),
    random: new NodeRandom(),
    disk: new NodeDisk(),
    network: new NodeNetwork(),
    buffers: new BufferPool(),
    log: new StderrLogger(verbose),
  }
}

class StderrLogger implements Logger {
  readonly #isVerbose: boolean

  constructor(isVerbose: boolean) {
    this.#isVerbose = isVerbose
  }

  debug(message: string, fields?: object): void {
    if (this.#isVerbose) this.#write('', message, fields)
  }

  info(message: string, fields?: object): void {
    if (this.#isVerbose) this.#write('', message, fields)
  }

  warn(message: string, fields?: object): void {
    this.#write('warning: ', message, fields)
  }

  error(message: string, fields?: object): void {
    this.#write('error: ', message, fields)
  }

  child(): Logger {
    return this
  }

  #write(level: string, message: string, fields: object = {}): void {
    const details = Object.entries(fields).map(([name, value]) => `${name}: ${String(value)}`)
    process.stderr.write(`millrace: ${level}${[message, ...details].join('; ')}\n`)
  }
}

/** An environment whose turns of the event loop end when the test says so. */
import type { Environment, Logger } from '../../src/environment/environment.ts'
import type { MemoryDisk } from '../simulator/memory-disk.ts'
import { SeededRandom } from '../simulator/random.ts'

const silent: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silent,
}

export class TestTurns {
  readonly environment: Pick<Environment, 'clock' | 'timers' | 'disk' | 'log' | 'random'>
  /** Turns that have ended. */
  count = 0
  #callbacks: (() => void)[] = []
  #timers: { readonly atMs: number; readonly callback: () => void }[] = []
  #nowMs = 1_700_000_000_000

  constructor(disk: MemoryDisk, seed = 1) {
    this.environment = {
      clock: { now: () => this.#nowMs, monotonic: () => this.#nowMs },
      timers: {
        after: (delayMs, callback) => {
          const timer = { atMs: this.#nowMs + delayMs, callback }
          this.#timers.push(timer)
          const others = () => this.#timers.filter((one) => one !== timer)
          return {
            cancel: () => {
              this.#timers = others()
            },
          }
        },
        endOfTurn: (callback) => void this.#callbacks.push(callback),
        nextTurn: (callback) => void this.#callbacks.push(callback),
        lineUp: (callback) => void this.#callbacks.push(callback),
      },
      disk,
      log: silent,
      random: new SeededRandom(seed),
    }
  }

  /** Moves the clock; timers that are due then run, the earliest first. */
  advance(ms: number): void {
    this.#nowMs += ms
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs)
    this.#timers = this.#timers.filter((timer) => !due.includes(timer))
    for (const { callback } of due.sort((a, b) => a.atMs - b.atMs)) callback()
  }

  endTurn(): void {
    this.count++
    for (const callback of this.#callbacks.splice(0)) callback()
  }

  /** Ends turns until nothing is left to do. */
  async settle(): Promise<void> {
    do {
      this.endTurn()
      await new Promise((resolve) => setImmediate(resolve))
    } while (this.#callbacks.length > 0)
  }

  /** The result of `promise`, with turns ended until it is there. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    let isDone = false
    const done = () => {
      isDone = true
    }
    promise.then(done, done)
    while (!isDone) await this.settle()
    return promise
  }
}

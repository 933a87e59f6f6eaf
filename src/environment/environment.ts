/**
 * The world, as the core sees it: clock, timers, randomness, disk, network and a place to log to.
 *
 * Everything under `src` except `environment/node` and `cli` reaches the outside only through an
 * `Environment`, which the entry points (`main.ts`, `connect-worker.ts`, the programs of threads) build and
 * which nobody else does. `scripts/directions.ts` and
 * `scripts/rules.json` enforce it. `environment/node` holds the real one; `test/simulator` holds a seeded
 * one in which whole clusters run in a single thread and every run can be repeated. What lives here:
 * interfaces, and what needs nothing but them. What must not: whatever touches the world itself.
 *
 * Imports nobody.
 */
import type { Buffers } from './buffers.ts'
import type { Disk } from './disk.ts'
import type { HttpClient } from './http-client.ts'
import type { HttpListener } from './http-listener.ts'
import type { Network } from './network.ts'
import type { Threads } from './threads.ts'

/** Milliseconds since the Unix epoch, or a duration; always an integer unless said otherwise. */
export type Milliseconds = number

export interface Environment {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly disk: Disk
  readonly network: Network
  /** Absent where nobody asks others over HTTP. */
  readonly http?: HttpClient
  /** Absent where nobody is asked over HTTP. */
  readonly listenHttp?: HttpListener
  readonly buffers: Buffers
  readonly log: Logger
  /** Absent where it stays as it is. */
  readonly logThreshold?: LogThreshold
  /** Absent where all is done in one thread. */
  readonly threads?: Threads
}

export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. May jump, forwards and backwards. */
  now(): Milliseconds
  /** Monotonic milliseconds, fractional, from an arbitrary origin. Never goes back. */
  monotonic(): number
}

export interface Timer {
  /** Idempotent; after it the callback does not run. */
  cancel(): void
}

export interface Timers {
  /** Runs `callback` once, no earlier than `delayMs` from now (monotonic time). Does not keep the process alive. */
  after(delayMs: Milliseconds, callback: () => void): Timer
  /**
   * Runs `callback` once at the end of this turn of the event loop, after everything that has already
   * arrived was handled. Callbacks run in the order in which they were given. Work is batched on this
   * edge: one `writev` per partition and turn, one socket write per connection and turn.
   */
  endOfTurn(callback: () => void): void
  /**
   * Runs `callback` once when what has arrived by now was looked at, before anything is waited for: to go
   * on with work that is to leave room for others.
   */
  nextTurn(callback: () => void): void
  /**
   * As `nextTurn`, but of all callbacks that are lined up one runs in a turn: together they take no more of
   * it than one. See `in-turns.ts`.
   */
  lineUp(callback: () => void): void
}

export interface Random {
  /** Uniform in [0, 1). */
  float(): number
  /** `length` random bytes. */
  bytes(length: number): Buffer
}

/** Structured logging. `fields` are merged into the line; an `err` field is printed with its stack. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** Below it nothing is logged, by the logger or by any child of it. */
export interface LogThreshold {
  level: LogLevel
}

export interface Logger {
  debug(message: string, fields?: object): void
  info(message: string, fields?: object): void
  warn(message: string, fields?: object): void
  error(message: string, fields?: object): void
  /** A logger whose lines all carry `fields`. */
  child(fields: object): Logger
}

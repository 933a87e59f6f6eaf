/**
 * What happens when a record cannot be dealt with (KIP-298): operations that fail with RetriableException
 * are tried again until `errors.retry.timeout`, with pauses that double from 300 ms; then the record is
 * reported (log, dead letter queue), and skipped where `errors.tolerance` is all, else the task fails.
 */
import type { Environment, Milliseconds } from '../../environment/environment.ts'
import { ConnectException, RetriableException } from '../failures.ts'
import type { Awaitable } from '../plugin.ts'
import { type ErrorCounts, noErrors } from '../runtime/task-measures.ts'

export type Stage =
  | 'TASK_POLL'
  | 'TASK_PUT'
  | 'TRANSFORMATION'
  | 'KEY_CONVERTER'
  | 'VALUE_CONVERTER'
  | 'HEADER_CONVERTER'
  | 'KAFKA_PRODUCE'
  | 'KAFKA_CONSUME'

/** Where anything may be wrong with a single record; elsewhere only what may pass is tolerated. */
const recordStages: ReadonlySet<Stage> = new Set([
  'TRANSFORMATION',
  'KEY_CONVERTER',
  'VALUE_CONVERTER',
  'HEADER_CONVERTER',
])

/** One record on its way, and what was last done to it. */
export class Processing<Original> {
  readonly original: Original
  stage: Stage = 'KAFKA_CONSUME'
  /** The class that did it. */
  className = ''
  attempts = 0
  error: unknown = null

  constructor(original: Original) {
    this.original = original
  }

  get hasFailed(): boolean {
    return this.error !== null
  }
}

/** Tells of a record that failed; resolves when that is safe. Never rejects. */
export type ErrorReporter<Original> = (processing: Processing<Original>) => Promise<void>

export interface ToleranceOptions {
  readonly toleratesAll: boolean
  /** -1: without end. */
  readonly retryTimeoutMs: Milliseconds
  readonly retryDelayMaxMs: Milliseconds
  /** Where errors are counted. */
  readonly counts?: ErrorCounts
}

const retryDelayMinMs = 300

export class Tolerance<Original> {
  readonly #environment: Environment
  readonly #options: ToleranceOptions
  readonly #reporters: readonly ErrorReporter<Original>[]
  readonly #counts: ErrorCounts
  #failures = 0
  #isStopping = false
  #endPause: () => void = () => undefined

  constructor(
    environment: Environment,
    options: ToleranceOptions,
    reporters: readonly ErrorReporter<Original>[],
  ) {
    this.#environment = environment
    this.#options = options
    this.#counts = options.counts ?? noErrors()
    this.#reporters = reporters
  }

  get toleratesAll(): boolean {
    return this.#options.toleratesAll
  }

  /** False once the task has to fail. */
  get isWithinLimits(): boolean {
    return this.#options.toleratesAll || this.#failures === 0
  }

  /** Retries end; the record under way fails. */
  stop(): void {
    this.#isStopping = true
    this.#endPause()
  }

  /**
   * Does it, without a promise where the operation needs none. Null where the record has failed, now or
   * before. Throws (or rejects with) ConnectException where that is not tolerated.
   */
  execute<V>(
    processing: Processing<Original>,
    stage: Stage,
    className: string,
    operation: () => Awaitable<V>,
  ): Awaitable<V | null> {
    if (processing.hasFailed) return null
    processing.stage = stage
    processing.className = className
    processing.attempts = 1
    try {
      const result = operation()
      return result instanceof Promise
        ? result.catch((error: unknown) => this.#retry(processing, operation, error))
        : result
    } catch (error) {
      return this.#retry(processing, operation, error)
    }
  }

  /** The record failed elsewhere, and whoever met it says so. Resolves when that is safely told. */
  executeFailed(
    processing: Processing<Original>,
    stage: Stage,
    className: string,
    error: unknown,
  ): Promise<void> {
    this.#countFailure()
    this.#counts.attempts++
    processing.stage = stage
    processing.className = className
    processing.error = error
    const reported = this.#report(processing)
    if (!this.isWithinLimits) throw exceeded(processing, error)
    this.#counts.skipped++
    return reported
  }

  #countFailure(): void {
    this.#failures++
    this.#counts.records++
    this.#counts.lastMs = this.#environment.clock.now()
  }

  async #retry<V>(
    processing: Processing<Original>,
    operation: () => Awaitable<V>,
    first: unknown,
  ): Promise<V | null> {
    const { clock } = this.#environment
    const { retryTimeoutMs } = this.#options
    const startedMs = clock.monotonic()
    const deadline = retryTimeoutMs < 0 ? Number.POSITIVE_INFINITY : startedMs + retryTimeoutMs
    let error = first
    this.#counts.attempts++
    while (error instanceof RetriableException && clock.monotonic() < deadline) {
      await this.#pause(processing.attempts, deadline)
      if (this.#isStopping) break
      processing.attempts++
      this.#counts.retries++
      try {
        return await operation()
      } catch (again) {
        error = again
        this.#counts.attempts++
      }
    }
    return this.#fail(processing, error)
  }

  async #fail(processing: Processing<Original>, error: unknown): Promise<null> {
    // A task that stops has not dealt with the record: nobody may take it for skipped.
    if (this.#isStopping && error instanceof RetriableException)
      throw new ConnectException('The task was stopped while a record was tried again', {
        cause: error,
      })
    this.#countFailure()
    processing.error = error
    await this.#report(processing)
    if (!recordStages.has(processing.stage) && !(error instanceof RetriableException))
      throw new ConnectException('Unhandled exception in error handler', { cause: error })
    if (!this.isWithinLimits) throw exceeded(processing, error)
    this.#counts.skipped++
    return null
  }

  async #report(processing: Processing<Original>): Promise<void> {
    await Promise.all(this.#reporters.map((report) => report(processing)))
  }

  #pause(attempt: number, deadline: number): Promise<void> {
    const { clock, random, timers } = this.#environment
    const { retryDelayMaxMs } = this.#options
    const doubled = retryDelayMinMs * 2 ** (attempt - 1)
    const delayMs = doubled > retryDelayMaxMs ? random.float() * retryDelayMaxMs : doubled
    const clippedMs = Math.max(0, Math.min(delayMs, deadline - clock.monotonic()))
    return new Promise((resolve) => {
      const timer = timers.after(Math.ceil(clippedMs), resolve)
      this.#endPause = () => {
        timer.cancel()
        resolve()
      }
    })
  }
}

/** Whether it was the key or the value that failed is the first thing to know. */
function exceeded({ stage, className }: Processing<unknown>, cause: unknown): ConnectException {
  const where = className === '' ? stage : `${stage}, ${className}`
  return new ConnectException(`Tolerance exceeded in error handler (${where})`, { cause })
}

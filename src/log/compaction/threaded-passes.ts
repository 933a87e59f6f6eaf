/**
 * Passes in a thread of their own: the side that asks, which looks meanwhile whether the log still is
 * what it was, and the side that answers. Failures are answers, too: what they mean for the log and its
 * directory is decided here, where the log is.
 */
import { DiskError } from '../../environment/disk.ts'
import type { Environment, Milliseconds, Timer } from '../../environment/environment.ts'
import type { Thread } from '../../environment/threads.ts'
import type { LogDirectory } from '../log-directory.ts'
import { Pace } from '../pace.ts'
import { DamagedLog } from './damaged-log.ts'
import {
  type Copied,
  type Learned,
  LocalPasses,
  type PassedSegment,
  type Passes,
  type PassesOptions,
  type SegmentGroup,
} from './passes.ts'

/** How long passes may go on over a log that is not what it was. */
const lookMs: Milliseconds = 50

type Step =
  | { readonly kind: 'learn'; readonly segment: PassedSegment }
  | { readonly kind: 'copy'; readonly group: SegmentGroup }

interface Question {
  readonly step: Step
  /** With the first step of a compaction. */
  readonly beginning: PassesOptions | null
  readonly ioMaxBytesPerSecond: number
}

interface Failure {
  readonly message: string
  /** Null: the log is damaged. */
  readonly disk: { readonly code: string; readonly path: string } | null
}

type Answer = { readonly given: Learned | Copied } | { readonly failure: Failure }

export interface ThreadedPassesOptions {
  readonly thread: Thread
  readonly environment: Environment
  readonly directory: LogDirectory
  readonly beginning: PassesOptions
  /** Throws where the passes are to end. */
  readonly check: () => void
  readonly ioMaxBytesPerSecond: () => number
}

export class ThreadedPasses implements Passes {
  readonly #options: ThreadedPassesOptions
  #beginning: PassesOptions | null
  #timer: Timer | null = null

  constructor(options: ThreadedPassesOptions) {
    this.#options = options
    this.#beginning = options.beginning
  }

  async learn(segment: PassedSegment): Promise<Learned> {
    return (await this.#ask({ kind: 'learn', segment })) as Learned
  }

  async copy(group: SegmentGroup): Promise<Copied> {
    return (await this.#ask({ kind: 'copy', group })) as Copied
  }

  async #ask(step: Step): Promise<Learned | Copied> {
    const { thread, check, directory, ioMaxBytesPerSecond } = this.#options
    const beginning = this.#beginning
    this.#beginning = null
    const question: Question = { step, beginning, ioMaxBytesPerSecond: ioMaxBytesPerSecond() }
    this.#watch()
    try {
      const answer = (await thread.ask(question)) as Answer
      if ('given' in answer) return answer.given
      const { message, disk } = answer.failure
      if (disk === null) throw new DamagedLog(message)
      throw directory.noteError(new DiskError(disk.code, disk.path, { message }))
    } catch (error) {
      // What was ended, cut off or taken away meanwhile is no failure.
      check()
      throw error
    } finally {
      this.#timer?.cancel()
    }
  }

  /** Ends the thread, and with it the question, when the log is not what it was. */
  #watch(): void {
    const { environment, thread, check } = this.#options
    this.#timer = environment.timers.after(lookMs, () => {
      try {
        check()
        this.#watch()
      } catch {
        void thread.end()
      }
    })
  }
}

/** The program of the thread: what answers the questions. */
export function compactionAnswers(
  environment: Environment,
): (question: unknown) => Promise<unknown> {
  const { disk, buffers, random, log } = environment
  let ioMaxBytesPerSecond = 0
  let passes: Passes | null = null
  const pace = new Pace(environment, () => ioMaxBytesPerSecond)
  const world = { disk, buffers, random, log, pace, check: () => {} }
  return async (question): Promise<Answer> => {
    const { step, beginning, ...rest } = question as Question
    ioMaxBytesPerSecond = rest.ioMaxBytesPerSecond
    if (beginning !== null) passes = new LocalPasses(beginning, world)
    if (passes === null) throw new Error('a step before the first one')
    try {
      if (step.kind === 'learn') return { given: await passes.learn(step.segment) }
      return { given: await passes.copy(step.group) }
    } catch (error) {
      return { failure: failureOf(error) }
    }
  }
}

/** Throws what is a bug. */
function failureOf(error: unknown): Failure {
  if (error instanceof DamagedLog) return { message: error.message, disk: null }
  if (!(error instanceof DiskError)) throw error
  const { message, code, path } = error
  return { message, disk: { code, path } }
}

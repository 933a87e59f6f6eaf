/** A task that runs: what the worker sees of it, and what it tells the worker. */
import type { Logger } from '../../environment/environment.ts'
import type { Settings } from '../config-def.ts'
import { sinkConfig } from '../connector-configs.ts'
import type { ConsumedRecord } from '../errors/consumed-record.ts'
import type { ErrorReporter, Processing, ToleranceOptions } from '../errors/tolerance.ts'
import type { ErrorCounts, TaskMeasured } from './task-measures.ts'
import type { Worker } from './worker.ts'

export interface TaskId {
  readonly connector: string
  readonly task: number
}

export type TaskState = 'RUNNING' | 'PAUSED' | 'FAILED' | 'UNASSIGNED'

export interface TaskOptions {
  readonly id: TaskId
  readonly worker: Worker
  /** The task's own, made by its connector: the connector's settings are among them. */
  readonly settings: Settings
  readonly isPaused: boolean
  /** `error` where it is FAILED, after which nothing more is told. */
  readonly onState: (state: TaskState, error?: unknown) => void
  /** A topic was used; told once for each. */
  readonly onTopic: (topic: string) => void
  /** A record of a sink failed. Where errors are tolerated it is left out, else the task ends. */
  readonly onRefused?: (record: ConsumedRecord, error: unknown) => void
}

export interface RunningTask {
  /** Resolves when it has ended, however. Never rejects. */
  readonly ended: Promise<void>
  setPaused(isPaused: boolean): void
  /** Ends in good order; `ended` says when. */
  stop(): void
  /** It did not end in time: nothing more is written for it. */
  cancel(): void
  measured(): TaskMeasured
}

export function toleranceOf(settings: Settings, counts: ErrorCounts): ToleranceOptions {
  const config = sinkConfig.parse(named(settings))
  return {
    counts,
    toleratesAll: config['errors.tolerance'] === 'all',
    retryTimeoutMs: config['errors.retry.timeout'],
    retryDelayMaxMs: config['errors.retry.delay.max.ms'],
  }
}

/** What every connector must have, a task need not. */
export function named(settings: Settings): Settings {
  return new Map([['name', 'task'], ['connector.class', 'task'], ...settings])
}

export const taskConfig = (settings: Settings) => sinkConfig.parse(named(settings))

/** Errors in the log, where `errors.log.enable` asks for them. */
export function logReporter<Original>(
  { log, counts }: { readonly log: Logger; readonly counts: ErrorCounts },
  id: TaskId,
  place: (original: Original) => object | null,
): ErrorReporter<Original> {
  return async (processing: Processing<Original>) => {
    const { stage, className, attempts, error, original } = processing
    const message = `Error encountered in task ${id.connector}-${id.task}. Executing stage '${stage}' with class '${className}'`
    counts.logged++
    log.error(message, { attempts, ...place(original), err: error })
  }
}

/** What a task itself logs says whose it is. */
export function logOf({ id, worker }: TaskOptions): Logger {
  return worker.environment.log.child({ connector: id.connector, task: id.task })
}

/** Tells each topic once. */
export function onceEach(onTopic: (topic: string) => void): (topic: string) => void {
  const told = new Set<string>()
  return (topic) => {
    if (told.has(topic)) return
    told.add(topic)
    onTopic(topic)
  }
}

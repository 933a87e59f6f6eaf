/**
 * What the worker and a thread of connectors ask each other. All of it is plain data, and every question has an answer:
 * what failed is told in it.
 *
 *     worker  -- open, start, startTask, stopTasks, pulse, ... -->  thread
 *     worker  <-- state, topic, guard, offsets, ...            --   thread
 */
import type { Endpoint } from '../../environment/network.ts'
import type { TopicPartition } from '../plugin.ts'
import type { SourcePosition } from '../records.ts'
import type { TaskState } from '../runtime/task.ts'
import type { TaskMeasured } from '../runtime/task-measures.ts'
import type { Entry } from '../storage/storage.ts'
import { type ToldError, told, untold } from './told-error.ts'

/** What a thread makes a worker of that is as the one that started it. */
export interface WorkerSeed {
  readonly bootstrap: readonly Endpoint[]
  readonly settings: ReadonlyMap<string, string>
  readonly workerId: string
  readonly exactlyOnceGroup: string | null
}

/** A connector, as the thread that runs it has to know it. */
export interface HostedConnector {
  /** Names are used again, this is not. */
  readonly id: number
  readonly name: string
  readonly className: string
  readonly settings: ReadonlyMap<string, string>
}

export type HostQuestion =
  | { readonly kind: 'open'; readonly seed: WorkerSeed; readonly logLevel: string }
  /** Never answered: it tells of the end. */
  | { readonly kind: 'watch' }
  /** How the thread does, by which it is known that it does. */
  | { readonly kind: 'pulse'; readonly logLevel: string; readonly bytesMax: number }
  | { readonly kind: 'start'; readonly connector: HostedConnector }
  | {
      readonly kind: 'taskConfigs'
      readonly connector: HostedConnector
      readonly tasksMax: number
      readonly isEnforced: boolean
    }
  | { readonly kind: 'stop'; readonly connector: HostedConnector }
  | {
      readonly kind: 'startTask'
      readonly connector: HostedConnector
      readonly task: number
      /** Whatever the task asks and tells carries it. */
      readonly run: number
      readonly settings: ReadonlyMap<string, string>
      readonly isPaused: boolean
    }
  | { readonly kind: 'setPaused'; readonly connector: HostedConnector; readonly isPaused: boolean }
  | {
      readonly kind: 'stopTasks'
      readonly connector: HostedConnector
      readonly tasks: readonly number[]
    }
  /** Nothing of it runs any more. */
  | { readonly kind: 'leave'; readonly id: number }
  | PluginQuestion

/** To a plug-in of which nothing runs there. */
export type PluginQuestion = {
  readonly className: string
  readonly settings: ReadonlyMap<string, string>
} & (
  | { readonly kind: 'validate' }
  | {
      readonly kind: 'checkOffsets' | 'alterSinkOffsets'
      readonly offsets: readonly (TopicPartition & { readonly offset: number | null })[]
    }
  | {
      readonly kind: 'alterSourceOffsets'
      readonly offsets: readonly (readonly [SourcePosition, SourcePosition | null])[]
    }
)

export interface Pulse {
  readonly bytes: number
  readonly tasks: readonly {
    readonly id: number
    readonly task: number
    readonly measured: TaskMeasured
  }[]
}

/** Of the connector with this id. */
export type ConnectorQuestion = { readonly id: number } & (
  | { readonly kind: 'failure'; readonly error: ToldError }
  | { readonly kind: 'reconfigure' }
  | {
      readonly kind: 'state'
      readonly run: number
      readonly state: TaskState
      readonly error: ToldError | null
    }
  | { readonly kind: 'topic'; readonly run: number; readonly topic: string }
  | { readonly kind: 'guard'; readonly run: number; readonly at: 'before' | 'after' }
  /** Answered with all offsets that are kept, as entries of the topic; `topic`: one of its own. */
  | { readonly kind: 'offsets'; readonly topic: string | null }
  /** `isWritten`: they are in the topic already, which whoever keeps them has to know. */
  | {
      readonly kind: 'putOffsets'
      readonly topic: string | null
      readonly entries: readonly Entry[]
      readonly isWritten: boolean
    }
)

export type Outcome =
  | { readonly failure: ToldError }
  | { readonly failure: null; readonly content: unknown }

/** Never rejects. */
export async function outcomeOf(work: () => unknown): Promise<Outcome> {
  try {
    return { failure: null, content: await work() }
  } catch (error) {
    return { failure: told(error) }
  }
}

/** Throws what the other side has met. */
export function contentOf(outcome: unknown): unknown {
  const known = outcome as Outcome
  if (known.failure !== null) throw untold(known.failure)
  return known.content
}

/**
 * What connectors there are, from the config topic: their settings, the state that users want for them,
 * and the settings of their tasks. The keys are Kafka Connect's:
 *
 *     connector-NAME     {"properties": {…}}          target-state-NAME  {"state": …, "state.v2": …}
 *     task-NAME-N        {"properties": {…}}          commit-NAME        {"tasks": count}
 *     session-key        {"key": base64, "algorithm", "creation-timestamp"}
 *     restart-connector-NAME  {"include-tasks", "only-failed"}
 *     tasks-fencing-NAME      {"task-count": count}
 *     logger-cluster-NAME     {"level": …}
 *
 * Settings of tasks count once the commit with their number follows; one without all of them, as after a
 * crash between two records or compaction, leaves the connector without tasks until they are made anew.
 */
import type { Settings } from '../config-def.ts'
import { keptIn } from './kept-in.ts'
import type { Entry } from './storage.ts'
import { objectOf, settingsOf } from './stored-json.ts'

export type TargetState = 'STARTED' | 'PAUSED' | 'STOPPED'
const targetStates: readonly string[] = ['STARTED', 'PAUSED', 'STOPPED']

/** With which workers of a group sign what they ask each other. */
export interface SessionKey {
  readonly key: Buffer
  readonly algorithm: string
  readonly createdMs: number
}

export interface RestartRequest {
  readonly includeTasks: boolean
  readonly onlyFailed: boolean
}

const noTasks: readonly Settings[] = []

export class ConfigState {
  readonly #connectors = new Map<string, Settings>()
  readonly #targets = new Map<string, TargetState>()
  readonly #tasks = new Map<string, readonly Settings[]>()
  /** Those a commit has not followed yet. */
  readonly #deferred = new Map<string, Map<number, Settings>>()
  /** The settings of a connector when its tasks were committed. */
  readonly #applied = new Map<string, Settings>()

  /** How many tasks of a source may have written in transactions last. */
  readonly #taskCounts = new Map<string, number>()
  /** Connectors whose tasks were committed behind that. */
  readonly #unfenced = new Set<string>()

  readonly #logLevels = new Map<string, string>()
  readonly #restarts = new Map<string, RestartRequest>()
  #sessionKey: SessionKey | null = null
  #nextOffset = 0

  /** Behind the last record that was applied. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  get sessionKey(): SessionKey | null {
    return this.#sessionKey
  }

  /** What was asked for last, of all workers. */
  restart(name: string): RestartRequest | undefined {
    return this.#restarts.get(name)
  }

  /** What was asked for last, of all workers. */
  logLevel(logger: string): string | undefined {
    return this.#logLevels.get(logger)
  }

  get names(): string[] {
    return [...this.#connectors.keys()]
  }

  connector(name: string): Settings | undefined {
    return this.#connectors.get(name)
  }

  target(name: string): TargetState {
    return this.#targets.get(name) ?? 'STARTED'
  }

  /** Another list each time that they were committed. */
  tasks(name: string): readonly Settings[] {
    return this.#tasks.get(name) ?? noTasks
  }

  /** Undefined: its tasks were never committed, or not whole. */
  applied(name: string): Settings | undefined {
    return this.#applied.get(name)
  }

  /** Tasks of former settings to shut out before those of now may write (KIP-618); null: that has been done. */
  tasksToFence(name: string): number | null {
    return this.#unfenced.has(name) ? (this.#taskCounts.get(name) ?? 0) : null
  }

  apply(key: string, value: Buffer | null, nextOffset: number): void {
    this.#nextOffset = nextOffset
    const object = value === null ? null : objectOf(value)
    // What is no object is not ours, and no tombstone either.
    if (object === undefined) return
    const name = (prefix: string) => key.slice(prefix.length)
    if (key.startsWith('target-state-')) this.#applyTarget(name('target-state-'), object)
    else if (key.startsWith('connector-')) this.#applyConnector(name('connector-'), object)
    else if (key.startsWith('task-')) this.#applyTask(name('task-'), object)
    else if (key.startsWith('commit-')) this.#applyCommit(name('commit-'), object)
    else if (key.startsWith('tasks-fencing-')) this.#applyCount(name('tasks-fencing-'), object)
    else if (key.startsWith('logger-cluster-') && typeof object?.['level'] === 'string')
      this.#logLevels.set(name('logger-cluster-'), object['level'])
    else if (key === sessionKeyName) this.#sessionKey = sessionKeyOf(object) ?? this.#sessionKey
    else if (key.startsWith('restart-connector-') && object !== null)
      this.#restarts.set(name('restart-connector-'), {
        includeTasks: object['include-tasks'] === true,
        onlyFailed: object['only-failed'] === true,
      })
  }

  #applyTarget(name: string, object: Record<string, unknown> | null): void {
    const state = object?.['state.v2'] ?? object?.['state']
    if (typeof state === 'string' && targetStates.includes(state))
      this.#targets.set(name, state as TargetState)
    else this.#targets.delete(name)
  }

  #applyConnector(name: string, object: Record<string, unknown> | null): void {
    const settings = object === null ? null : settingsOf(object['properties'])
    if (settings !== null) {
      this.#connectors.set(name, settings)
      return
    }
    this.#connectors.delete(name)
    this.#tasks.delete(name)
    this.#deferred.delete(name)
    this.#applied.delete(name)
  }

  #applyTask(rest: string, object: Record<string, unknown> | null): void {
    const match = /^(.*)-(\d{1,9})$/s.exec(rest)
    const settings = object === null ? null : settingsOf(object['properties'])
    if (match === null || settings === null) return
    const name = match[1]!
    keptIn(this.#deferred, name, () => new Map<number, Settings>()).set(Number(match[2]), settings)
  }

  #applyCount(name: string, object: Record<string, unknown> | null): void {
    const count = object?.['task-count']
    if (!Number.isInteger(count) || (count as number) < 0) return
    this.#taskCounts.set(name, count as number)
    this.#unfenced.delete(name)
  }

  #applyCommit(name: string, object: Record<string, unknown> | null): void {
    const count = object?.['tasks']
    if (!Number.isInteger(count) || (count as number) < 0) return
    this.#unfenced.add(name)
    const deferred = this.#deferred.get(name) ?? new Map<number, Settings>()
    const before = this.#tasks.get(name) ?? []
    this.#deferred.delete(name)
    const tasks: Settings[] = []
    for (let task = 0; task < (count as number); task++) {
      const settings = deferred.get(task) ?? before[task]
      if (settings === undefined) {
        this.#tasks.delete(name)
        this.#applied.delete(name)
        return
      }
      tasks.push(settings)
    }
    this.#tasks.set(name, tasks)
    const settings = this.#connectors.get(name)
    if (settings !== undefined) this.#applied.set(name, settings)
  }
}

export function connectorEntry(name: string, settings: Settings | null): Entry {
  return { key: `connector-${name}`, value: settings === null ? null : propertiesText(settings) }
}

export function targetEntry(name: string, state: TargetState | null): Entry {
  // Workers before Kafka 3.5 know no STOPPED, and take it for PAUSED.
  const value = state && { state: state === 'STOPPED' ? 'PAUSED' : state, 'state.v2': state }
  return { key: `target-state-${name}`, value: value && JSON.stringify(value) }
}

export function taskEntries(name: string, tasks: readonly Settings[]): Entry[] {
  return tasks.map((settings, task) => ({
    key: `task-${name}-${task}`,
    value: propertiesText(settings),
  }))
}

export function commitEntry(name: string, tasks: number): Entry {
  return { key: `commit-${name}`, value: JSON.stringify({ tasks }) }
}

export function taskCountEntry(name: string, tasks: number): Entry {
  return { key: `tasks-fencing-${name}`, value: JSON.stringify({ 'task-count': tasks }) }
}

export function logLevelEntry(logger: string, level: string): Entry {
  return { key: `logger-cluster-${logger}`, value: JSON.stringify({ level }) }
}

const sessionKeyName = 'session-key'

function sessionKeyOf(object: Record<string, unknown> | null): SessionKey | null {
  const { key, algorithm, 'creation-timestamp': createdMs } = object ?? {}
  if (typeof key !== 'string' || typeof algorithm !== 'string') return null
  return { key: Buffer.from(key, 'base64'), algorithm, createdMs: Number(createdMs) }
}

export function sessionKeyEntry({ key, algorithm, createdMs }: SessionKey): Entry {
  const value = { key: key.toString('base64'), algorithm, 'creation-timestamp': createdMs }
  return { key: sessionKeyName, value: JSON.stringify(value) }
}

export function restartEntry(name: string, { includeTasks, onlyFailed }: RestartRequest): Entry {
  const value = { 'include-tasks': includeTasks, 'only-failed': onlyFailed }
  return { key: `restart-connector-${name}`, value: JSON.stringify(value) }
}

function propertiesText(settings: Settings): string {
  return JSON.stringify({ properties: Object.fromEntries(settings) })
}

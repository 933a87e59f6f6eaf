/**
 * How connectors and tasks do, and which topics they have used, from the status topic:
 *
 *     status-connector-NAME                  {"state", "trace", "worker_id", "generation", "version"}
 *     status-task-NAME-N                     the same
 *     status-topic-TOPIC:connector-NAME      {"topic": {"name", "connector", "task", "discoverTimestamp"}}
 *
 * Who was started later has the greater generation: what an earlier one still says of its end does not
 * count.
 */
import { keptIn } from './kept-in.ts'
import type { Entry } from './storage.ts'
import { isObject, objectOf } from './stored-json.ts'

export type State = 'UNASSIGNED' | 'RUNNING' | 'PAUSED' | 'STOPPED' | 'FAILED' | 'RESTARTING'
const states: readonly string[] = [
  'UNASSIGNED',
  'RUNNING',
  'PAUSED',
  'STOPPED',
  'FAILED',
  'RESTARTING',
]

export interface Status {
  readonly state: State
  /** Why it failed; null otherwise. */
  readonly trace: string | null
  readonly workerId: string
  readonly version: string | null
  readonly generation: number
}

export class StatusState {
  readonly #connectors = new Map<string, Status>()
  readonly #tasks = new Map<string, Map<number, Status>>()
  readonly #topics = new Map<string, Set<string>>()

  #generation = 0

  /** The greatest that was ever told. */
  get generation(): number {
    return this.#generation
  }

  /** Of whom something is told. */
  get names(): string[] {
    return [...new Set([...this.#connectors.keys(), ...this.#tasks.keys()])]
  }

  connector(name: string): Status | undefined {
    return this.#connectors.get(name)
  }

  task(name: string, task: number): Status | undefined {
    return this.#tasks.get(name)?.get(task)
  }

  /** By number, in order. */
  tasks(name: string): (readonly [number, Status])[] {
    return [...(this.#tasks.get(name) ?? [])].sort(([left], [right]) => left - right)
  }

  topics(name: string): string[] {
    return [...(this.#topics.get(name) ?? [])].sort()
  }

  apply(key: string, value: Buffer | null): void {
    const object = value === null ? null : objectOf(value)
    if (object === undefined) return
    const connector = /^status-connector-(.+)$/s.exec(key)
    const task = /^status-task-(.+)-(\d{1,9})$/s.exec(key)
    const topic = /^status-topic-([^:]+):connector-(.+)$/s.exec(key)
    const status = statusOf(object)
    this.#generation = Math.max(this.#generation, status?.generation ?? 0)
    if (connector !== null) set(this.#connectors, connector[1]!, status)
    else if (task !== null)
      set(
        keptIn(this.#tasks, task[1]!, () => new Map()),
        Number(task[2]),
        status,
      )
    else if (topic !== null && isObject(object?.['topic']))
      keptIn(this.#topics, topic[2]!, () => new Set()).add(topic[1]!)
    else if (topic !== null) this.#topics.get(topic[2]!)?.delete(topic[1]!)
  }
}

function set<K>(statuses: Map<K, Status>, key: K, status: Status | null): void {
  if (status === null) statuses.delete(key)
  else if (!isPast(status, statuses.get(key))) statuses.set(key, status)
}

/** The end of one that has an heir. Beginnings count always: another group counts generations anew. */
function isPast({ state, generation }: Status, known: Status | undefined): boolean {
  const isEnd = state === 'UNASSIGNED' || state === 'FAILED'
  return isEnd && known !== undefined && generation < known.generation
}

function statusOf(object: Record<string, unknown> | null): Status | null {
  const state = object?.['state']
  if (typeof state !== 'string' || !states.includes(state)) return null
  const text = (name: string) => (typeof object?.[name] === 'string' ? String(object[name]) : null)
  const generation = object?.['generation']
  return {
    state: state as State,
    trace: text('trace'),
    workerId: text('worker_id') ?? '',
    version: text('version'),
    generation: Number.isSafeInteger(generation) ? Number(generation) : 0,
  }
}

/** Null: the connector is gone. */
export function connectorStatusEntry(name: string, status: Status | null): Entry {
  return { key: `status-connector-${name}`, value: statusText(status) }
}

export function taskStatusEntry(name: string, task: number, status: Status | null): Entry {
  return { key: `status-task-${name}-${task}`, value: statusText(status) }
}

/** Null: it is no longer counted. */
export function topicEntry(
  topic: string,
  name: string,
  used: { readonly task: number; readonly timestamp: number } | null,
): Entry {
  const value = used && {
    topic: { name: topic, connector: name, task: used.task, discoverTimestamp: used.timestamp },
  }
  return { key: `status-topic-${topic}:connector-${name}`, value: value && JSON.stringify(value) }
}

function statusText(status: Status | null): string | null {
  if (status === null) return null
  const { state, trace, workerId, generation, version } = status
  return JSON.stringify({ state, trace, worker_id: workerId, generation, version })
}

/**
 * Which processes have a task, or have not let go of it yet. An active task is in one process at most; a
 * process has a task once at most, active or as a copy, since its members share one state directory.
 */
import { type OwnedTasks, taskKinds } from './tasks.ts'

type ByTask<V> = Map<string, Map<number, V>>

export class TaskHolders {
  readonly #active: ByTask<string> = new Map()
  /** Standbys and warm-ups, by process with how many members of it have one. */
  readonly #copies: ByTask<Map<string, number>> = new Map()

  /** A member of the process has the tasks (`change` 1), or has them no more (-1). */
  count(processId: string, tasks: OwnedTasks, change: 1 | -1): void {
    for (const kind of taskKinds) {
      for (const [subtopologyId, partitions] of tasks[kind]) {
        for (const partition of partitions.keys()) {
          if (kind === 'active') this.#countActive(subtopologyId, partition, processId, change)
          else this.#countCopy(subtopologyId, partition, processId, change)
        }
      }
    }
  }

  /** The process in which the task is active. */
  activeIn(subtopologyId: string, partition: number): string | undefined {
    return this.#active.get(subtopologyId)?.get(partition)
  }

  hasCopy(processId: string, subtopologyId: string, partition: number): boolean {
    return this.#copies.get(subtopologyId)?.get(partition)?.has(processId) ?? false
  }

  /** Of a task that two say they have, the later one is the holder. */
  #countActive(subtopologyId: string, partition: number, processId: string, change: 1 | -1): void {
    const before = this.activeIn(subtopologyId, partition)
    if (change === 1) put(this.#active, subtopologyId, partition, processId)
    else if (before === processId) remove(this.#active, subtopologyId, partition)
  }

  #countCopy(subtopologyId: string, partition: number, processId: string, change: 1 | -1): void {
    const processes = this.#copies.get(subtopologyId)?.get(partition) ?? new Map<string, number>()
    const count = (processes.get(processId) ?? 0) + change
    if (count > 0) processes.set(processId, count)
    else processes.delete(processId)
    if (processes.size > 0) put(this.#copies, subtopologyId, partition, processes)
    else remove(this.#copies, subtopologyId, partition)
  }
}

function put<V>(tasks: ByTask<V>, subtopologyId: string, partition: number, value: V): void {
  const ofSubtopology = tasks.get(subtopologyId)
  if (ofSubtopology === undefined) tasks.set(subtopologyId, new Map([[partition, value]]))
  else ofSubtopology.set(partition, value)
}

function remove<V>(tasks: ByTask<V>, subtopologyId: string, partition: number): void {
  const ofSubtopology = tasks.get(subtopologyId)
  ofSubtopology?.delete(partition)
  if (ofSubtopology?.size === 0) tasks.delete(subtopologyId)
}

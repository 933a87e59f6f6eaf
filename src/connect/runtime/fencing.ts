/**
 * Shuts tasks of a source out that had other settings, before those of now write (KIP-618). Who takes a transactional id
 * over ends what its owner has open; but where a part of the source has moved to a task of another number, nobody would
 * take over that of its former task. So all that there may be are taken over, once for each time that the tasks were
 * configured, and how many tasks may write from then on is kept in the config topic, as Kafka Connect keeps it:
 *
 *     commit-X {"tasks": 3} --> taken over: as many as tasks-fencing-X says --> tasks-fencing-X {"task-count": 3} --> tasks write
 */
import type { Cluster } from '../../client/cluster.ts'
import { takeOver } from '../../client/transaction.ts'
import { HttpError } from '../../http/routes.ts'
import { taskCountEntry } from '../storage/config-state.ts'
import type { Entry } from '../storage/storage.ts'
import type { Kept } from './kept.ts'

const timeoutMs = 60_000
const atOnce = 50

/** As Kafka Connect names it. */
export function transactionalIdOf(group: string, connector: string, task: number): string {
  return `${group}-${connector}-${task}`
}

export interface FencingParts {
  readonly cluster: Cluster
  readonly kept: Kept
  readonly group: string
  /** To the config topic. */
  readonly write: (entries: readonly Entry[]) => Promise<void>
}

/** One at a time for each connector. Rejects with KafkaError, TimeoutError, and HttpError 409 where tasks have changed. */
export async function fenceTasks(
  { cluster, kept, group, write }: FencingParts,
  connector: string,
): Promise<void> {
  const { configs } = kept
  const count = configs.tasksToFence(connector)
  if (count === null) return
  const tasks = configs.tasks(connector)
  // One that follows one takes its transactional id over by itself.
  const isTaken = count === 1 && tasks.length === 1
  for (let first = 0; first < count && !isTaken; first += atOnce) {
    const ids = Array.from({ length: Math.min(atOnce, count - first) }, (_, at) =>
      transactionalIdOf(group, connector, first + at),
    )
    await Promise.all(ids.map((id) => takeOver(cluster, id, { timeoutMs })))
  }
  await kept.catchUp('configs')
  if (configs.tasks(connector) !== tasks)
    throw new HttpError(
      409,
      'Fencing failed because new task configurations were generated for the connector',
    )
  await write([taskCountEntry(connector, tasks.length)])
}

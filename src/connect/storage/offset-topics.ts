/**
 * Topics of offsets that connectors have to themselves (`offsets.storage.topic`), beside the worker's own: each is made
 * where it is missing, and read, when it is asked for first, and stays open as long as the worker runs.
 */
import { Cluster } from '../../client/cluster.ts'
import { workerReach } from '../runtime/client-settings.ts'
import type { Worker } from '../runtime/worker.ts'
import { OffsetState } from './offset-state.ts'
import type { Entry } from './storage.ts'
import { StorageLog } from './storage-log.ts'

export interface OffsetTopic {
  readonly name: string
  readonly state: OffsetState
  /** As of `Storage`. */
  put(entries: readonly Entry[]): Promise<void>
  catchUp(): Promise<void>
}

export class OffsetTopics {
  readonly #worker: Worker
  readonly #topics = new Map<string, Promise<OffsetTopic>>()
  readonly #closes: (() => Promise<void>)[] = []

  constructor(worker: Worker) {
    this.#worker = worker
  }

  /** Rejects with ConnectException, KafkaError; then it is tried anew by whoever asks next. */
  open(name: string): Promise<OffsetTopic> {
    const known = this.#topics.get(name)
    if (known !== undefined) return known
    const opened = this.#open(name)
    this.#topics.set(name, opened)
    opened.catch(() => this.#topics.delete(name))
    return opened
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#topics.values())
    await Promise.all(this.#closes.splice(0).map((close) => close()))
  }

  async #open(name: string): Promise<OffsetTopic> {
    const { environment, config } = this.#worker
    const state = new OffsetState()
    // Its fetches would wait behind those of another log on the same connection.
    const cluster = new Cluster(environment, {
      ...workerReach(this.#worker),
      clientId: 'connect-worker',
    })
    const log = await StorageLog.open(cluster, [
      {
        name,
        partitions: config['offset.storage.partitions'],
        replicationFactor: config['offset.storage.replication.factor'],
        apply: (key, value) => state.apply(key, value),
      },
    ]).catch((error: unknown) => {
      cluster.close()
      throw error
    })
    this.#closes.push(() => log.close().finally(() => cluster.close()))
    return {
      ...{ name, state },
      put: (entries) => log.put(name, entries),
      catchUp: () => log.catchUp(name),
    }
  }
}

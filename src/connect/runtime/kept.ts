/** What a worker knows, as its storage keeps it, and how more is written to it. */
import { HttpError } from '../../http/routes.ts'
import { ConfigState } from '../storage/config-state.ts'
import { OffsetState } from '../storage/offset-state.ts'
import { OffsetTopics } from '../storage/offset-topics.ts'
import { StatusState } from '../storage/status-state.ts'
import type { Apply, Entry, Kind, States, Storage } from '../storage/storage.ts'
import type { Worker } from './worker.ts'

export class Kept {
  readonly configs = new ConfigState()
  readonly statuses = new StatusState()
  /** Of the worker's own topic. */
  readonly offsets = new OffsetState()
  readonly offsetTopics: OffsetTopics
  readonly #worker: Worker
  #storage: Storage | null = null
  #isClosed = false

  constructor(worker: Worker) {
    this.#worker = worker
    this.offsetTopics = new OffsetTopics(worker)
  }

  get offsetsTopic(): string {
    return this.#worker.config['offset.storage.topic']
  }

  /** Reads what there is. `onConfig` is told of settings that come, once they are applied. */
  async open(
    storage: (states: States) => Promise<Storage>,
    onConfig: (key: string) => void = () => undefined,
  ): Promise<void> {
    const configs: Apply = (key, value, nextOffset) => {
      this.configs.apply(key, value, nextOffset)
      onConfig(key)
    }
    this.#storage = await storage({
      configs,
      offsets: (key, value) => this.offsets.apply(key, value),
      statuses: (key, value) => this.statuses.apply(key, value),
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.offsetTopics.close()
    await this.#storage?.close()
  }

  /** Settings. Rejects with HttpError 503 before it is open. */
  async write(entries: readonly Entry[]): Promise<void> {
    await this.#open.put('configs', entries)
  }

  /** Resolves when all of it is applied that anybody has written by now. */
  async catchUp(kind: Kind): Promise<void> {
    await this.#open.catchUp(kind)
  }

  async putOffsets(entries: readonly Entry[]): Promise<void> {
    await this.#open.put('offsets', entries)
  }

  /** Offsets that are kept elsewhere, too. */
  tellUnkept(error: unknown): void {
    const { log } = this.#worker.environment
    if (!this.#isClosed) log.warn('Offsets could not be kept', { reason: String(error) })
  }

  /** Statuses. They are told as soon as they can be; nobody waits for them. */
  tell(entries: readonly Entry[]): void {
    if (entries.length === 0) return
    this.#storage?.put('statuses', entries).catch((error: unknown) => {
      const { log } = this.#worker.environment
      if (!this.#isClosed) log.warn('A status could not be written', { reason: String(error) })
    })
  }

  get #open(): Storage {
    if (this.#storage === null) throw new HttpError(503, 'The worker is starting')
    return this.#storage
  }
}

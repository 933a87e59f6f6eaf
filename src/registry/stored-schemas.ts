/**
 * Schemas as the cluster's registry has them, for those who only read: out of its topic, so that nobody is asked over
 * HTTP, and whichever registry keeps its schemas there is understood. The topic is read when the first is asked for, and
 * to its end again for each that is not known.
 */
import { RetriableException } from '../connect/failures.ts'
import { type OpenRegistry, openRegistry, type RegistryPlace } from './open-registry.ts'
import type { Source } from './schema-types.ts'
import type { StoredSchema } from './state/records.ts'

export interface FoundSchema extends Source {
  readonly id: number
  /** That it is a version of, deleted ones too. */
  readonly subjects: readonly string[]
}

export class StoredSchemas {
  readonly #place: RegistryPlace
  #opening: Promise<OpenRegistry> | null = null
  #isClosed = false

  constructor(place: RegistryPlace) {
    this.#place = place
  }

  /** Null: there is none. Rejects with RetriableException where that cannot be told now; with SchemaError. */
  async withId(id: number): Promise<FoundSchema | null> {
    const opened = await this.#open()
    const known = opened.registry.image.withId(id)[0]
    if (known !== undefined) return this.#read(opened.registry, known)
    const { registry } = await this.#caughtUp()
    const found = registry.image.withId(id)[0]
    return found === undefined ? null : this.#read(registry, found)
  }

  /** The last version of a subject that is not deleted; null: it has none. Rejects as `withId`. */
  async latest(subject: string): Promise<FoundSchema | null> {
    const { registry } = await this.#caughtUp()
    const last = registry.image.versions(subject).at(-1)
    return last === undefined ? null : this.#read(registry, last)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const opened = await this.#opening?.catch(() => null)
    await opened?.close()
  }

  #read(registry: OpenRegistry['registry'], stored: StoredSchema): FoundSchema {
    const same = registry.image.withId(stored.id)
    const subjects = [...new Set(same.map(({ subject }) => subject))]
    return { ...registry.source(stored), id: stored.id, subjects }
  }

  async #caughtUp(): Promise<OpenRegistry> {
    const opened = await this.#open()
    await this.#asking(opened.registry.catchUp())
    return opened
  }

  #open(): Promise<OpenRegistry> {
    if (this.#isClosed) return Promise.reject(new RetriableException('Schemas are no longer read'))
    this.#opening ??= this.#asking(openRegistry(this.#place)).catch((error: unknown) => {
      this.#opening = null
      throw error
    })
    return this.#opening
  }

  /** What fails here is no fault of a schema, and may pass. */
  async #asking<Result>(asked: Promise<Result>): Promise<Result> {
    try {
      return await asked
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new RetriableException(`Schemas cannot be read now: ${reason}`, { cause })
    }
  }
}

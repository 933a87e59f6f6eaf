/**
 * How far a source is, as it is kept for one connector: in the topic of the worker, or in one of its own, beside which
 * the worker's is kept up as well as can be: there a connector finds itself that gives its topic up, or has just been
 * given one.
 */
import type { SourcePosition } from '../records.ts'
import type { OffsetTopic } from '../storage/offset-topics.ts'
import type { Entry } from '../storage/storage.ts'
import type { Kept } from './kept.ts'
import type { SourceOffset, SourceOffsets } from './source-writes.ts'

/** A null offset is forgotten. */
export interface MovedOffset {
  readonly partition: SourcePosition
  readonly offset: SourcePosition | null
}

export class ConnectorOffsets implements SourceOffsets {
  readonly #kept: Kept
  readonly #connector: string
  /** Null: it has none of its own. */
  readonly #ownName: string | null
  #own: OffsetTopic | null = null

  constructor(kept: Kept, connector: string, ownName: string | null) {
    this.#kept = kept
    this.#connector = connector
    this.#ownName = ownName
  }

  get topic(): string {
    return this.#ownName ?? this.#kept.offsetsTopic
  }

  async catchUp(): Promise<void> {
    if (this.#ownName !== null) this.#own = await this.#kept.offsetTopics.open(this.#ownName)
    await Promise.all([this.#own?.catchUp(), this.#kept.catchUp('offsets')])
  }

  offset(partition: SourcePosition): SourcePosition | null {
    const own = this.#own?.state.offset(this.#connector, partition) ?? null
    return own ?? this.#kept.offsets.offset(this.#connector, partition)
  }

  /** Behind `catchUp`. */
  all(): SourceOffset[] {
    const own = this.#own?.state
    const ofWorker = this.#kept.offsets.all(this.#connector)
    if (own === undefined) return ofWorker
    const others = ofWorker.filter(
      ({ partition }) => own.offset(this.#connector, partition) === null,
    )
    return [...own.all(this.#connector), ...others]
  }

  entry({ partition, offset }: MovedOffset): Entry {
    const state = this.#own?.state ?? this.#kept.offsets
    return state.entry(this.#connector, partition, offset)
  }

  async put(offsets: readonly MovedOffset[]): Promise<void> {
    if (this.#own === null) return this.#kept.putOffsets(offsets.map((each) => this.entry(each)))
    // What is forgotten must not be found beside it.
    await this.#putBeside(offsets.filter(({ offset }) => offset === null))
    await this.#own.put(offsets.map((each) => this.entry(each)))
    await this.also(offsets.filter(({ offset }) => offset !== null))
  }

  /** Never rejects. */
  async also(offsets: readonly MovedOffset[]): Promise<void> {
    if (this.#own === null) return
    await this.#putBeside(offsets).catch((error: unknown) => this.#kept.tellUnkept(error))
  }

  async #putBeside(offsets: readonly MovedOffset[]): Promise<void> {
    if (offsets.length === 0) return
    const state = this.#kept.offsets
    await this.#kept.putOffsets(
      offsets.map(({ partition, offset }) => state.entry(this.#connector, partition, offset)),
    )
  }
}

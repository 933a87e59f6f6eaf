/**
 * Offsets of a source that runs in a thread of its own: the worker that started the thread keeps them, and is asked. In
 * between they are the entries of the topic that they are kept in.
 */

import type { SourcePosition } from '../records.ts'
import type { SourceOffset, SourceOffsets } from '../runtime/source-writes.ts'
import { OffsetState } from '../storage/offset-state.ts'
import type { Entry } from '../storage/storage.ts'

export interface OffsetsAsk {
  readonly topic: string
  readonly connector: string
  all(): Promise<readonly Entry[]>
  put(entries: readonly Entry[], isWritten: boolean): Promise<void>
}

export class AskedOffsets implements SourceOffsets {
  readonly #ask: OffsetsAsk
  readonly #state = new OffsetState()

  constructor(ask: OffsetsAsk) {
    this.#ask = ask
  }

  get topic(): string {
    return this.#ask.topic
  }

  async catchUp(): Promise<void> {
    const kept = await this.#ask.all()
    const keys = new Set(kept.map(({ key }) => key))
    for (const offset of this.#state.all(this.#ask.connector)) {
      const { key } = this.entry(offset)
      if (!keys.has(key)) this.#state.apply(key, null)
    }
    applyTo(this.#state, kept)
  }

  offset(partition: SourcePosition): SourcePosition | null {
    return this.#state.offset(this.#ask.connector, partition)
  }

  entry({ partition, offset }: SourceOffset): Entry {
    return this.#state.entry(this.#ask.connector, partition, offset)
  }

  async put(offsets: readonly SourceOffset[]): Promise<void> {
    const entries = offsets.map((each) => this.entry(each))
    await this.#ask.put(entries, false)
    applyTo(this.#state, entries)
  }

  async also(offsets: readonly SourceOffset[]): Promise<void> {
    const entries = offsets.map((each) => this.entry(each))
    applyTo(this.#state, entries)
    await this.#ask.put(entries, true)
  }
}

/** What entries say, of one connector. */
export function offsetsIn(connector: string, entries: readonly Entry[]): SourceOffset[] {
  const state = new OffsetState()
  applyTo(state, entries)
  return state.all(connector)
}

function applyTo(state: OffsetState, entries: readonly Entry[]): void {
  for (const { key, value } of entries) state.apply(key, value === null ? null : Buffer.from(value))
}

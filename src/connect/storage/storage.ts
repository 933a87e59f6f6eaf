/**
 * Where a worker keeps what it knows: what connectors there are, how far sources are, and how everybody
 * does. Whoever opens a storage gives a function for each, which is told all that is kept already before
 * the storage is open, and everything that is put from then on: nothing else changes the worker's state.
 */
export type Kind = 'configs' | 'offsets' | 'statuses'

export interface Entry {
  readonly key: string
  /** Null: a tombstone. */
  readonly value: string | null
}

/** Must not throw, whatever is read. `nextOffset`: behind it in its partition, where there is one. */
export type Apply = (key: string, value: Buffer | null, nextOffset: number) => void
export type States = Readonly<Record<Kind, Apply>>

export interface Storage {
  /** Resolves when all of it is kept and applied. */
  put(kind: Kind, entries: readonly Entry[]): Promise<void>
  /** Resolves when all is applied that anybody has put by now. */
  catchUp(kind: Kind): Promise<void>
  close(): Promise<void>
}

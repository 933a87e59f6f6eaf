/** Rows that say nothing of a column, which is something else than to say that it has no value. */

/** By column, 1 where a row says nothing of it. Of a column that a batch lacks none of its rows says anything. */
export type Silent = ReadonlyMap<string, Uint8Array>

export const noneSilent: Silent = new Map()

/** Remembers, while rows of a batch come, which of them say nothing of one of some columns. */
export class SilentRows {
  readonly #rows = new Map<string, number[]>()

  note(column: string, row: number): void {
    const known = this.#rows.get(column)
    if (known === undefined) this.#rows.set(column, [row])
    else known.push(row)
  }

  /** Of a batch that has so many rows; then those of another come. */
  take(rowCount: number): Silent {
    const taken = new Map([...this.#rows].map(([column, rows]) => [column, flags(rows, rowCount)]))
    this.#rows.clear()
    return taken
  }
}

/** 1 for each of some rows. */
export function flags(rows: Iterable<number>, rowCount: number): Uint8Array {
  const all = new Uint8Array(rowCount)
  for (const row of rows) all[row] = 1
  return all
}

/** Of the rows at `positions`, in that order. */
export function takeSilent(silent: Silent, positions: Int32Array): Silent {
  return new Map([...silent].map(([column, all]) => [column, takeFlags(all, positions)]))
}

export function takeFlags(all: Uint8Array, positions: Int32Array): Uint8Array {
  const taken = new Uint8Array(positions.length)
  for (const [i, row] of positions.entries()) taken[i] = all[row]!
  return taken
}

/** Rows from stdin for verbs that write tables: a JSON object a line, each known by the number of its line. */
import { isUtf8 } from 'node:buffer'
import { type Json, parseDistinctJson } from '../tables/columns/exact-json.ts'
import { invalid } from '../tables/delta/delta-error.ts'
import { readLines } from './line-reader.ts'

export interface Row {
  readonly line: number
  readonly bytes: number
  readonly json: Json
}

/** Rows that come, of which some may have been looked at before they are taken. */
export class Rows {
  readonly #source: AsyncGenerator<Row[]>
  readonly #seen: Row[][] = []

  constructor(source: AsyncGenerator<Row[]>) {
    this.#source = source
  }

  /** Keeps what it yields for `all`. */
  async *ahead(): AsyncGenerator<Row[]> {
    for (;;) {
      const next = await this.#source.next()
      if (next.done === true) return
      this.#seen.push(next.value)
      yield next.value
    }
  }

  async areThere(): Promise<boolean> {
    for await (const some of this.ahead()) if (some.length > 0) return true
    return false
  }

  async *all(): AsyncGenerator<Row[]> {
    while (this.#seen.length > 0) yield this.#seen.shift()!
    yield* this.#source
  }
}

/** The rows of a stream with their lines, empty ones passed over. */
export function numberedRows(stream: AsyncIterable<Buffer>): Rows {
  return new Rows(
    (async function* () {
      let line = 0
      for await (const lines of readLines(stream)) {
        const rows: Row[] = []
        for (const text of lines) {
          line++
          if (!isUtf8(text)) throw invalid(`line ${line}: not UTF-8`)
          if (text.length === 0) continue
          rows.push({
            line,
            bytes: text.length,
            json: fitting(line, () => parseDistinctJson(`${text}`)),
          })
        }
        yield rows
      }
    })(),
  )
}

/** Names the line of a row that is none, or does not fit. */
export function fitting<Result>(line: number, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error
    throw invalid(`line ${line}: ${error.message}`, { cause: error })
  }
}

/**
 * The rows of a partition put into files so that each file has few of the values of several columns, and a reader who asks
 * for some of any of them passes most files over. Each column's values are cut into ranges of about as many rows; the
 * numbers of a row's ranges, bit by bit in turn, are its place on a curve (Z-order) along which rows that are near each
 * other in all columns lie together; and files are pieces of the curve.
 *
 * Where to cut is told by a sample, so that no more than that is in memory, whatever the size of the table.
 */
import { takeBatch } from '../columns/batches.ts'
import type { Column, ColumnBatch } from '../columns/column.ts'
import type { Evaluate } from '../columns/expression.ts'
import { compareScalars, isScalar, type Scalar } from '../columns/predicate.ts'
import { parseExpression } from '../columns/sql.ts'
import { columnsOf } from '../columns/where.ts'
import { invalid } from './delta-error.ts'
import { spoken } from './expressions.ts'
import type { TableField, TableSchema } from './schema.ts'

/** Rows of a sample at most; at least half as many of those that there are. */
const sampleRowsMax = 32_768
/** A place on the curve is an integer that a double holds. */
const placeBits = 52
const columnBitsMax = 10
const columnsMax = 8

/** Columns, or fields of structs, by which rows are put in order. */
export class ZColumns {
  /** Columns of the table that it takes. */
  readonly fields: readonly TableField[]
  readonly #values: readonly Evaluate[]

  /** Throws DeltaError. */
  constructor(schema: TableSchema, names: readonly string[]) {
    if (names.length > columnsMax)
      throw invalid(`rows are put in order by ${columnsMax} columns at most`)
    const fields = new Set<TableField>()
    const all: Evaluate[] = []
    for (const name of names) {
      const isWhole = schema.fields.some((field) => field.name === name)
      const text = isWhole ? `\`${name.replaceAll('`', '``')}\`` : name
      const parsed = spoken(`column ${name}`, () => parseExpression(text, schema.fields))
      const field = schema.fields.find((one) => one.name === parsed.fields[0]?.name)
      const { path, type } = parsed.expression
      if (
        field === undefined ||
        path === undefined ||
        ['list', 'map', 'struct'].includes(type.kind)
      ) {
        throw invalid(`rows are not put in order by ${name}: it is no column of plain values`)
      }
      if (schema.partitionFields.includes(field)) {
        throw invalid(`rows are not put in order by ${name}: the table is partitioned by it`)
      }
      fields.add(field)
      all.push((columns, row) => parsed.expression.at([columns[[...fields].indexOf(field)]!], row))
    }
    this.fields = [...fields]
    this.#values = all
  }

  get count(): number {
    return this.#values.length
  }

  columnsOf(batch: ColumnBatch): readonly Column[] {
    return columnsOf(batch, this.fields)
  }

  /** What a row has, `null` where it has nothing. */
  rowOf(columns: readonly Column[], row: number): (Scalar | null)[] {
    return this.#values.map((at) => {
      const value = at(columns, row)
      return isScalar(value) ? value : null
    })
  }
}

/** Some rows of those that come, as far from one another as makes them few. */
export class RowSample {
  readonly #columns: ZColumns
  #rows: (readonly (Scalar | null)[])[] = []
  #stride = 1
  #next = 0

  constructor(columns: ZColumns) {
    this.#columns = columns
  }

  observe(batch: ColumnBatch): void {
    const columns = this.#columns.columnsOf(batch)
    for (; this.#next < batch.rowCount; this.#next += this.#stride) {
      this.#rows.push(this.#columns.rowOf(columns, this.#next))
      if (this.#rows.length < sampleRowsMax) continue
      this.#rows = this.#rows.filter((_, i) => i % 2 === 0)
      this.#stride *= 2
    }
    this.#next -= batch.rowCount
  }

  curve(pieceCount: number): ZCurve {
    return new ZCurve(this.#columns, this.#rows, pieceCount)
  }
}

/** Which piece of the curve a row lies on. */
class ZCurve {
  readonly #columns: ZColumns
  readonly #bits: number
  /** Of each column, values in order, each of which begins a range. */
  readonly #ranges: readonly (readonly Scalar[])[]
  /** Places in order, each of which begins a piece behind the first. */
  readonly #cuts: readonly number[]

  constructor(
    columns: ZColumns,
    sample: readonly (readonly (Scalar | null)[])[],
    pieceCount: number,
  ) {
    this.#columns = columns
    this.#bits = Math.min(columnBitsMax, Math.floor(placeBits / columns.count))
    const rangeCount = 2 ** this.#bits
    this.#ranges = Array.from({ length: columns.count }, (_, i) => {
      const values = sample
        .map((row) => row[i]!)
        .filter((one) => one !== null && !Number.isNaN(one))
      return cutsOf(values as Scalar[], rangeCount, compareScalars)
    })
    const places = sample.map((row) => this.#placeOf(row))
    this.#cuts = cutsOf(places, pieceCount, (a, b) => a - b)
  }

  /** The rows of a batch by pieces, of those from `first` to before `end`. */
  *pieces(
    batch: ColumnBatch,
    first: number,
    end: number,
  ): Generator<{ readonly piece: number; readonly rows: ColumnBatch }> {
    const columns = this.#columns.columnsOf(batch)
    const positions = new Map<number, number[]>()
    for (let row = 0; row < batch.rowCount; row++) {
      const piece = behind(
        this.#cuts,
        this.#placeOf(this.#columns.rowOf(columns, row)),
        (a, b) => a - b,
      )
      if (piece < first || piece >= end) continue
      const known = positions.get(piece)
      if (known === undefined) positions.set(piece, [row])
      else known.push(row)
    }
    for (const [piece, rows] of positions) {
      yield { piece, rows: takeBatch(batch, Int32Array.from(rows)) }
    }
  }

  #placeOf(row: readonly (Scalar | null)[]): number {
    const ranges = row.map((value, i) => {
      // Who has no value is put to the least, and NaN to the greatest.
      if (value === null) return 0
      const starts = this.#ranges[i]!
      return Number.isNaN(value) ? starts.length : behind(starts, value, compareScalars)
    })
    let place = 0
    for (let bit = this.#bits - 1; bit >= 0; bit--) {
      for (const range of ranges) place = 2 * place + ((range >> bit) & 1)
    }
    return place
  }
}

/** Values that cut others into parts of about as many each; fewer where many are equal. */
function cutsOf<Value>(
  values: readonly Value[],
  partCount: number,
  compare: (a: Value, b: Value) => number,
): Value[] {
  const sorted = [...values].sort(compare)
  const cuts: Value[] = []
  for (let part = 1; part < partCount && sorted.length > 0; part++) {
    const cut = sorted[Math.floor((part * sorted.length) / partCount)]!
    const before = cuts.at(-1) ?? sorted[0]!
    if (compare(before, cut) < 0) cuts.push(cut)
  }
  return cuts
}

/** How many of the sorted cuts are no greater. */
function behind<Value>(
  cuts: readonly Value[],
  value: Value,
  compare: (a: Value, b: Value) => number,
): number {
  let [low, high] = [0, cuts.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (compare(cuts[middle]!, value) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

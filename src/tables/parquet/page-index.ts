/**
 * Column and offset indexes: the bounds of each page of a chunk, and where it lies with which rows. From them
 * the ranges of rows in which a predicate may match.
 */
import {
  type ColumnBounds,
  mayMatch,
  type Predicate,
  type ScalarPath,
} from '../columns/predicate.ts'
import type { RandomAccess } from '../random-access.ts'
import { scalarOf } from './bounds.ts'
import { footerBytesMax } from './limits.ts'
import {
  type ColumnChunk,
  type ColumnIndex,
  columnIndex,
  type OffsetIndex,
  offsetIndex,
} from './metadata.ts'
import { beyondLimit, corrupt, nothingKnown } from './parquet-error.ts'
import type { LeafNode } from './schema.ts'
import { readThrift, ThriftTruncated, type ThriftType } from './thrift.ts'
import { orderOf } from './value-order.ts'

/** Rows from `start` to before `end` of a row group. */
export interface RowRange {
  readonly start: number
  readonly end: number
}

export interface PageIndex {
  readonly columns: ColumnIndex
  readonly offsets: OffsetIndex
}

async function readIndex<Value>(
  source: RandomAccess,
  type: ThriftType<Value>,
  offset: number,
  length: number,
): Promise<Value> {
  if (length > footerBytesMax) throw beyondLimit(`an index of ${length} bytes`)
  if (offset < 0 || length < 0 || offset + length > source.size)
    throw corrupt('an index outside the file')
  try {
    return readThrift(type, await source.read(offset, length)).value
  } catch (error) {
    if (error instanceof ThriftTruncated) throw corrupt('an index is cut short', { cause: error })
    throw error
  }
}

/** Where the pages of a chunk of so many rows are; `null`: the file does not say. Throws ParquetError. */
export async function readOffsetIndex(
  source: RandomAccess,
  chunk: ColumnChunk,
  rowCount: number,
): Promise<OffsetIndex | null> {
  const { offsetIndexOffset: offset, offsetIndexLength: length } = chunk
  if (offset === undefined || length === undefined) return null
  const index = await readIndex(source, offsetIndex, offset, length)
  const { pageLocations } = index
  for (const [i, page] of pageLocations.entries()) {
    const before = pageLocations[i - 1] ?? { offset: 0, firstRowIndex: 0 }
    const isFirst = i > 0 || page.firstRowIndex === 0
    const isInOrder = page.offset > before.offset && page.firstRowIndex >= before.firstRowIndex
    if (!isFirst || !isInOrder || page.firstRowIndex > rowCount) {
      throw corrupt('an index whose pages are not in order')
    }
  }
  return index
}

/** Both indexes of a chunk; `null`: the file has not both. Throws ParquetError. */
async function readPageIndex(
  source: RandomAccess,
  chunk: ColumnChunk,
  rowCount: number,
): Promise<PageIndex | null> {
  const { columnIndexOffset: offset, columnIndexLength: length } = chunk
  if (offset === undefined || length === undefined) return null
  const offsets = await readOffsetIndex(source, chunk, rowCount)
  if (offsets === null) return null
  const columns = await readIndex(source, columnIndex, offset, length)
  const pages = offsets.pageLocations.length
  const { nullPages, minValues, maxValues } = columns
  if (nullPages.length !== pages || minValues.length !== pages || maxValues.length !== pages) {
    throw corrupt('indexes of different numbers of pages')
  }
  return { columns, offsets }
}

/**
 * The rows of a row group in which the predicate may match, in ascending ranges. Columns within lists and
 * columns without indexes rule nothing out; neither do indexes that cannot be read.
 */
export async function matchingRows(
  source: RandomAccess,
  predicate: Predicate,
  {
    rowCount,
    leafOf,
    chunkOf,
  }: {
    rowCount: number
    leafOf: (column: ScalarPath) => LeafNode | undefined
    chunkOf: (leaf: LeafNode) => ColumnChunk
  },
): Promise<RowRange[]> {
  const all = [{ start: 0, end: rowCount }]
  switch (predicate.op) {
    case 'and': {
      let ranges: RowRange[] = all
      for (const one of predicate.of) {
        ranges = intersection(
          ranges,
          await matchingRows(source, one, { rowCount, leafOf, chunkOf }),
        )
      }
      return ranges
    }
    case 'or': {
      const ranges: RowRange[] = []
      for (const one of predicate.of) {
        const more = await matchingRows(source, one, { rowCount, leafOf, chunkOf })
        for (const range of more) ranges.push(range)
      }
      return union(ranges)
    }
    default: {
      const leaf = leafOf(predicate.column)
      if (leaf === undefined || leaf.repetitionLevel > 0) return all
      const index = await readPageIndex(source, chunkOf(leaf), rowCount).catch(nothingKnown)
      return index === null ? all : pagesThatMatch(predicate, leaf, index, rowCount)
    }
  }
}

function pagesThatMatch(
  predicate: Predicate,
  leaf: LeafNode,
  { columns, offsets }: PageIndex,
  rowCount: number,
): RowRange[] {
  const ranges: RowRange[] = []
  const { pageLocations } = offsets
  for (const [i, { firstRowIndex }] of pageLocations.entries()) {
    const end = pageLocations[i + 1]?.firstRowIndex ?? rowCount
    const rows = end - firstRowIndex
    const isNull = columns.nullPages[i]!
    const bounds: ColumnBounds = {
      rowCount: rows,
      nullCount: isNull ? rows : columns.nullCounts?.[i],
      least: isNull ? undefined : scalarOf(leaf, columns.minValues[i]),
      greatest: isNull ? undefined : scalarOf(leaf, columns.maxValues[i]),
      mayHaveNan: orderOf(leaf) === 'float',
    }
    if (mayMatch(predicate, () => bounds)) ranges.push({ start: firstRowIndex, end })
  }
  return union(ranges.filter(({ start, end }) => start < end))
}

function intersection(a: readonly RowRange[], b: readonly RowRange[]): RowRange[] {
  const ranges: RowRange[] = []
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const start = Math.max(a[i]!.start, b[j]!.start)
    const end = Math.min(a[i]!.end, b[j]!.end)
    if (start < end) ranges.push({ start, end })
    if (a[i]!.end < b[j]!.end) i++
    else j++
  }
  return ranges
}

/** In ascending order, those that touch made one. */
function union(ranges: readonly RowRange[]): RowRange[] {
  const merged: { start: number; end: number }[] = []
  for (const { start, end } of ranges.toSorted((a, b) => a.start - b.start)) {
    const last = merged.at(-1)
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end)
    else merged.push({ start, end })
  }
  return merged
}

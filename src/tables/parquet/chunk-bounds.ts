/**
 * The column chunk as it is written, and what statistics and indexes tell of its values: least and greatest,
 * of the whole and page by page.
 */
import { isText } from '../columns/value.ts'
import type { Statistics } from './metadata.ts'
import type { WrittenPage } from './page-writer.ts'
import type { PhysicalValues } from './physical-values.ts'
import type { LeafNode } from './schema.ts'
import {
  bytesOf,
  comparer,
  extremesOf,
  shortened,
  type ValueOrder,
  zeroBound,
} from './value-order.ts'

/** Bounds in statistics and indexes are cut to so many bytes. */
const boundBytesMax = 64

export interface WrittenChunk {
  readonly leaf: LeafNode
  readonly dictionary: WrittenPage | null
  readonly pages: readonly WrittenPage[]
  /** Least and greatest values of the pages, one each for a page that has them (`boundOf`). */
  readonly least: PhysicalValues
  readonly greatest: PhysicalValues
  /** The place of a page's bounds in both; -1: it has none. */
  readonly boundOf: readonly number[]
  readonly levelCount: number
  readonly nullCount: number
  readonly order: ValueOrder
}

/** The bound of a page or chunk as it is written. */
export function writtenBound(
  { leaf, order }: Pick<WrittenChunk, 'leaf' | 'order'>,
  bytes: Uint8Array,
  as: 'least' | 'greatest',
): { bytes: Uint8Array; isExact: boolean } {
  if (order === 'float') return { bytes: zeroBound(bytes, as), isExact: true }
  if (order !== 'bytes') return { bytes, isExact: true }
  return shortened(bytes, as, { most: boundBytesMax, isText: isText(leaf.field.type) })
}

/** Least and greatest value of a whole chunk; `null` where it has none. */
export function chunkBounds(
  chunk: WrittenChunk,
): { least: Uint8Array; greatest: Uint8Array } | null {
  const least = extremesOf(chunk.least, chunk.order)
  const greatest = extremesOf(chunk.greatest, chunk.order)
  if (least === null || greatest === null) return null
  return {
    least: bytesOf(chunk.least, least.least),
    greatest: bytesOf(chunk.greatest, greatest.greatest),
  }
}

export function chunkStatistics(chunk: WrittenChunk): Statistics {
  const bounds = chunkBounds(chunk)
  if (bounds === null) return { nullCount: chunk.nullCount }
  const min = writtenBound(chunk, bounds.least, 'least')
  const max = writtenBound(chunk, bounds.greatest, 'greatest')
  return {
    nullCount: chunk.nullCount,
    minValue: min.bytes,
    maxValue: max.bytes,
    isMinValueExact: min.isExact,
    isMaxValueExact: max.isExact,
  }
}

/** How the pages' bounds follow one another: both up (1), both down (2), or neither (0). */
export function boundaryOrder({ least, greatest, order }: WrittenChunk): 0 | 1 | 2 {
  const compareLeast = comparer(least, order)
  const compareGreatest = comparer(greatest, order)
  let isUp = true
  let isDown = true
  for (let i = 1; i < least.length; i++) {
    const byLeast = compareLeast(i - 1, i)
    const byGreatest = compareGreatest(i - 1, i)
    if (byLeast > 0 || byGreatest > 0) isUp = false
    if (byLeast < 0 || byGreatest < 0) isDown = false
  }
  return isUp ? 1 : isDown ? 2 : 0
}

/** What statistics of a file tell of the values of a column, if they can be believed. */
import { type ColumnBounds, isScalar, type Scalar } from '../columns/predicate.ts'
import { valueAt } from '../columns/value.ts'
import { leafColumn } from './convert.ts'
import type { FileMetaData, RowGroupMetaData } from './metadata.ts'
import { ByteArrays, FixedWidthValues } from './physical-values.ts'
import type { LeafNode } from './schema.ts'
import { orderOf } from './value-order.ts'

/** What is known of the column in a row group; `undefined`: nothing. */
export function boundsOfChunk(
  leaf: LeafNode,
  metadata: FileMetaData,
  group: RowGroupMetaData,
): ColumnBounds | undefined {
  const statistics = group.columns[leaf.index]?.metaData?.statistics
  // In a list there are not as many values as rows.
  if (statistics === undefined || leaf.repetitionLevel > 0) return undefined
  const isOrdered = metadata.columnOrders?.[leaf.index]?.typeOrder !== undefined
  // Before the orders were told bounds were compared as signed numbers, whatever they were.
  const isSigned = orderOf(leaf) === 'signed' || orderOf(leaf) === 'float'
  const least = isOrdered || isSigned ? statistics.minValue : undefined
  const greatest = isOrdered || isSigned ? statistics.maxValue : undefined
  const nullCount = statistics.nullCount
  return {
    rowCount: group.numRows,
    nullCount: nullCount !== undefined && nullCount >= 0 ? nullCount : undefined,
    least: scalarOf(leaf, least ?? (isSigned ? statistics.min : undefined)),
    greatest: scalarOf(leaf, greatest ?? (isSigned ? statistics.max : undefined)),
    mayHaveNan: orderOf(leaf) === 'float' && statistics.nanCount !== 0,
  }
}

/** A bound as a value; `undefined` where it cannot be one. */
export function scalarOf(leaf: LeafNode, bytes: Uint8Array | undefined): Scalar | undefined {
  if (bytes === undefined || orderOf(leaf) === 'none') return undefined
  const isByteArray = leaf.physical === 'BYTE_ARRAY'
  if (!isByteArray && bytes.length !== leaf.width) return undefined
  const values = isByteArray ? new ByteArrays(1, bytes.length) : new FixedWidthValues(leaf.width, 1)
  if (values instanceof ByteArrays) values.append(bytes, 0, bytes.length)
  else {
    values.bytes.set(bytes)
    values.length = 1
  }
  const column = leafColumn(
    { leaf, levelCount: 1, definition: null, repetition: null, values },
    { length: 1, validity: null },
  )
  const value = valueAt(leaf.field.type, column, 0)
  return isScalar(value) && !Number.isNaN(value) ? value : undefined
}

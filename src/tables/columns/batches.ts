/** Pieces of batches: some rows of one, several behind one another, some columns of a few. */
import type { Column, ColumnBatch, Validity } from './column.ts'

/** The rows from `start` to before `end`; shares memory with `column`. */
export function sliceColumn(column: Column, start: number, end: number): Column {
  const length = end - start
  const validity = column.validity?.subarray(start, end) ?? null
  switch (column.layout) {
    case 'null':
      return { layout: 'null', length, validity }
    case 'boolean':
      return { ...column, length, validity, values: column.values.subarray(start, end) }
    case 'int32':
      return { ...column, length, validity, values: column.values.subarray(start, end) }
    case 'int64':
      return { ...column, length, validity, values: column.values.subarray(start, end) }
    case 'int128':
      return { ...column, length, validity, values: column.values.subarray(2 * start, 2 * end) }
    case 'float':
      return { ...column, length, validity, values: column.values.subarray(start, end) }
    case 'double':
      return { ...column, length, validity, values: column.values.subarray(start, end) }
    case 'bytes':
      return { ...column, length, validity, offsets: column.offsets.subarray(start, end + 1) }
    case 'list':
      return { ...column, length, validity, offsets: column.offsets.subarray(start, end + 1) }
    case 'struct':
      return {
        ...column,
        length,
        validity,
        children: column.children.map((child) => sliceColumn(child, start, end)),
      }
  }
}

/** The rows at `positions`, in that order; shares nothing with `column`. */
export function takeRows(column: Column, positions: Int32Array): Column {
  const length = positions.length
  const validity = takeBytes(column.validity, positions)
  switch (column.layout) {
    case 'null':
      return { layout: 'null', length, validity }
    case 'boolean':
      return { layout: 'boolean', length, validity, values: takeBytes(column.values, positions) }
    case 'int32': {
      const values = new Int32Array(length)
      for (let i = 0; i < length; i++) values[i] = column.values[positions[i]!]!
      return { layout: 'int32', length, validity, values }
    }
    case 'int64': {
      const values = new BigInt64Array(length)
      for (let i = 0; i < length; i++) values[i] = column.values[positions[i]!]!
      return { layout: 'int64', length, validity, values }
    }
    case 'int128': {
      const values = new BigInt64Array(2 * length)
      for (let i = 0; i < length; i++) {
        values[2 * i] = column.values[2 * positions[i]!]!
        values[2 * i + 1] = column.values[2 * positions[i]! + 1]!
      }
      return { layout: 'int128', length, validity, values }
    }
    case 'float': {
      const values = new Float32Array(length)
      for (let i = 0; i < length; i++) values[i] = column.values[positions[i]!]!
      return { layout: 'float', length, validity, values }
    }
    case 'double': {
      const values = new Float64Array(length)
      for (let i = 0; i < length; i++) values[i] = column.values[positions[i]!]!
      return { layout: 'double', length, validity, values }
    }
    case 'bytes': {
      const offsets = takenOffsets(column.offsets, positions)
      const bytes = new Uint8Array(offsets[length]!)
      for (let i = 0; i < length; i++) {
        const from = column.offsets[positions[i]!]!
        const to = column.offsets[positions[i]! + 1]!
        if (to > from) bytes.set(column.bytes.subarray(from, to), offsets[i]!)
      }
      return { layout: 'bytes', length, validity, offsets, bytes }
    }
    case 'list': {
      const offsets = takenOffsets(column.offsets, positions)
      const within = new Int32Array(offsets[length]!)
      let at = 0
      for (let i = 0; i < length; i++) {
        const to = column.offsets[positions[i]! + 1]!
        for (let from = column.offsets[positions[i]!]!; from < to; from++) within[at++] = from
      }
      return {
        layout: 'list',
        length,
        validity,
        offsets,
        element: takeRows(column.element, within),
      }
    }
    case 'struct':
      return {
        layout: 'struct',
        length,
        validity,
        children: column.children.map((child) => takeRows(child, positions)),
      }
  }
}

export function takeBatch(batch: ColumnBatch, positions: Int32Array): ColumnBatch {
  return {
    rowCount: positions.length,
    fields: batch.fields,
    columns: batch.columns.map((column) => takeRows(column, positions)),
  }
}

/** Batches of the same fields behind one another; there is one at least. */
export function joinBatches(batches: readonly ColumnBatch[]): ColumnBatch {
  const [first] = batches as readonly [ColumnBatch]
  if (batches.length === 1) return first
  return {
    rowCount: batches.reduce((sum, { rowCount }) => sum + rowCount, 0),
    fields: first.fields,
    columns: first.fields.map((_, i) => joinColumns(batches.map(({ columns }) => columns[i]!))),
  }
}

/** Columns of one type behind one another; there is one at least. */
export function joinColumns(columns: readonly Column[]): Column {
  const [first] = columns as readonly [Column]
  if (columns.length === 1) return first
  const length = columns.reduce((sum, one) => sum + one.length, 0)
  const validity = joinValidity(columns, length)
  switch (first.layout) {
    case 'null':
      return { layout: 'null', length, validity }
    case 'boolean':
      return {
        layout: 'boolean',
        length,
        validity,
        values: joinInto(new Uint8Array(length), columns),
      }
    case 'int32':
      return {
        layout: 'int32',
        length,
        validity,
        values: joinInto(new Int32Array(length), columns),
      }
    case 'int64':
    case 'int128': {
      const words = new BigInt64Array(first.layout === 'int128' ? 2 * length : length)
      return { layout: first.layout, length, validity, values: joinInto(words, columns) }
    }
    case 'float':
      return {
        layout: 'float',
        length,
        validity,
        values: joinInto(new Float32Array(length), columns),
      }
    case 'double':
      return {
        layout: 'double',
        length,
        validity,
        values: joinInto(new Float64Array(length), columns),
      }
    case 'bytes': {
      const parts = columns as readonly (Column & { layout: 'bytes' })[]
      const offsets = joinOffsets(parts)
      const bytes = new Uint8Array(offsets[length]!)
      let at = 0
      for (const part of parts) {
        const within = part.bytes.subarray(part.offsets[0]!, part.offsets[part.length]!)
        bytes.set(within, at)
        at += within.length
      }
      return { layout: 'bytes', length, validity, offsets, bytes }
    }
    case 'list': {
      const parts = columns as readonly (Column & { layout: 'list' })[]
      const elements = parts.map(({ element, offsets, length: rows }) =>
        sliceColumn(element, offsets[0]!, offsets[rows]!),
      )
      return {
        layout: 'list',
        length,
        validity,
        offsets: joinOffsets(parts),
        element: joinColumns(elements),
      }
    }
    case 'struct': {
      const parts = columns as readonly (Column & { layout: 'struct' })[]
      const children = first.children.map((_, i) =>
        joinColumns(parts.map((part) => part.children[i]!)),
      )
      return { layout: 'struct', length, validity, children }
    }
  }
}

type Words = Uint8Array | Int32Array | BigInt64Array | Float32Array | Float64Array

function joinInto<Values extends Words>(into: Values, columns: readonly Column[]): Values {
  let at = 0
  for (const column of columns) {
    const { values } = column as Column & { values: Values }
    const words = column.layout === 'int128' ? 2 * column.length : column.length
    ;(into as Uint8Array).set(values.subarray(0, words) as Uint8Array, at)
    at += words
  }
  return into
}

function joinValidity(columns: readonly Column[], length: number): Validity {
  if (columns.every(({ validity }) => validity === null)) return null
  const joined = new Uint8Array(length).fill(1)
  let at = 0
  for (const column of columns) {
    if (column.validity !== null) joined.set(column.validity.subarray(0, column.length), at)
    at += column.length
  }
  return joined
}

function joinOffsets(
  columns: readonly { readonly length: number; readonly offsets: Int32Array }[],
): Int32Array {
  const joined = new Int32Array(columns.reduce((sum, { length }) => sum + length, 1))
  let row = 0
  let base = 0
  for (const { length, offsets } of columns) {
    const from = offsets[0]!
    for (let i = 1; i <= length; i++) joined[++row] = base + offsets[i]! - from
    base += offsets[length]! - from
    if (base > 0x7fffffff) throw new RangeError('A batch would hold more than 2 GiB')
  }
  return joined
}

function takeBytes<Bytes extends Validity>(bytes: Bytes, positions: Int32Array): Bytes {
  if (bytes === null) return bytes
  const taken = new Uint8Array(positions.length)
  for (let i = 0; i < positions.length; i++) taken[i] = bytes[positions[i]!]!
  return taken as Bytes
}

function takenOffsets(offsets: Int32Array, positions: Int32Array): Int32Array {
  const taken = new Int32Array(positions.length + 1)
  let total = 0
  for (let i = 0; i < positions.length; i++) {
    total += offsets[positions[i]! + 1]! - offsets[positions[i]!]!
    if (total > 0x7fffffff) throw new RangeError('A batch would hold more than 2 GiB')
    taken[i + 1] = total
  }
  return taken
}

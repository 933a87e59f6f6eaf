/**
 * Columns taken apart into levels and values of their leaves: the way back of `assemble.ts`, and like it a
 * level of nesting at a time. On its way down each entry is a place in the column it has come to, or has
 * ended (-1) at the definition level where something was missing.
 */
import type { Column, StructColumn } from '../columns/column.ts'
import type { LeafNode, ListNode, SchemaNode } from './schema.ts'

export interface ShreddedLeaf {
  readonly leaf: LeafNode
  readonly column: Column
  /** Where in `column` the values are; `null`: in each place of it. */
  readonly positions: Int32Array | null
  readonly levelCount: number
  /** `null`: all are the leaf's highest. */
  readonly definition: Uint8Array | null
  /** `null`: the leaf has none. */
  readonly repetition: Uint8Array | null
}

interface Entries {
  readonly count: number
  /** `null`: the place of each is its number, and none has ended. */
  readonly places: Int32Array | null
  /** `null`: all are at `level`. */
  readonly definition: Uint8Array | null
  readonly repetition: Uint8Array | null
  readonly level: number
}

/** One for each leaf below `node`. Throws RangeError for a null where the schema has none. */
export function shred(node: SchemaNode, column: Column): ShreddedLeaf[] {
  const entries = {
    count: column.length,
    places: null,
    definition: null,
    repetition: null,
    level: 0,
  }
  return descend(node, column, entries)
}

function descend(node: SchemaNode, column: Column, above: Entries): ShreddedLeaf[] {
  const here = present(node, column, above)
  switch (node.kind) {
    case 'leaf':
      return [leafOf(node, column, here)]
    case 'struct':
      return node.children.flatMap((child, i) =>
        descend(child, (column as StructColumn).children[i]!, here),
      )
    case 'list':
      return descend(
        node.element,
        (column as Column & { layout: 'list' }).element,
        expand(node, column, here),
      )
  }
}

/** Ends the entries that have no value here. */
function present(node: SchemaNode, column: Column, above: Entries): Entries {
  const validity = column.layout === 'null' ? new Uint8Array(column.length) : column.validity
  const level = node.definitionLevel
  if (validity === null) return reach(above, level)
  const { count } = above
  const places = new Int32Array(count)
  const definition = new Uint8Array(count)
  let missing = 0
  for (let i = 0; i < count; i++) {
    const place = above.places === null ? i : above.places[i]!
    const isThere = place >= 0 && validity[place] === 1
    places[i] = isThere ? place : -1
    definition[i] = isThere ? level : (above.definition?.[i] ?? above.level)
    if (place >= 0 && !isThere) missing++
  }
  if (missing === 0) return reach(above, level)
  if (!node.field.isNullable) throw new RangeError(`No value in the column ${node.field.name}`)
  return { ...above, places, definition, level }
}

/** All that have not ended come to `level`. */
function reach(above: Entries, level: number): Entries {
  if (above.level === level || above.definition === null) return { ...above, level }
  const definition = above.definition.slice()
  for (let i = 0; i < above.count; i++) if (above.places![i]! >= 0) definition[i] = level
  return { ...above, definition, level }
}

/** An entry for each element, and one for a list that has none or is none. */
function expand(node: ListNode, column: Column, above: Entries): Entries {
  const { offsets } = column as Column & { layout: 'list' }
  let count = 0
  for (let i = 0; i < above.count; i++) {
    const place = above.places === null ? i : above.places[i]!
    count += place < 0 ? 1 : Math.max(offsets[place + 1]! - offsets[place]!, 1)
  }
  const places = new Int32Array(count)
  const definition = new Uint8Array(count)
  const repetition = new Uint8Array(count)
  let to = 0
  for (let i = 0; i < above.count; i++) {
    const place = above.places === null ? i : above.places[i]!
    const first = above.repetition?.[i] ?? 0
    const start = place < 0 ? 0 : offsets[place]!
    const end = place < 0 ? 0 : offsets[place + 1]!
    if (start === end) {
      places[to] = -1
      definition[to] = above.definition?.[i] ?? above.level
      repetition[to++] = first
    }
    for (let element = start; element < end; element++) {
      places[to] = element
      definition[to] = node.elementLevel
      repetition[to++] = element === start ? first : node.repetitionLevel
    }
  }
  return { count, places, definition, repetition, level: node.elementLevel }
}

function leafOf(leaf: LeafNode, column: Column, entries: Entries): ShreddedLeaf {
  const { count, places, definition, repetition } = entries
  let positions: Int32Array | null = null
  if (places !== null) {
    positions = new Int32Array(count)
    let values = 0
    for (let i = 0; i < count; i++) if (places[i]! >= 0) positions[values++] = places[i]!
    positions = positions.subarray(0, values)
  }
  return {
    leaf,
    column,
    positions,
    levelCount: count,
    definition: leaf.definitionLevel === 0 ? null : definition,
    repetition,
  }
}

/**
 * Columns put together from the levels and values of their leaves (Dremel's assembly, a level of nesting
 * at a time instead of a record at a time). A node stands within the innermost list around it, or at the
 * root: its rows are the entries of any leaf below it whose repetition level is not above that of the list's
 * elements and whose definition level says that there is an element.
 */
import type { Column, ListColumn, Validity } from '../columns/column.ts'
import type { LeafRows } from './chunk-reader.ts'
import { leafColumn } from './convert.ts'
import { corrupt } from './parquet-error.ts'
import type { LeafNode, ListNode, SchemaNode } from './schema.ts'

interface Within {
  readonly repetitionLevel: number
  readonly elementLevel: number
}

export type RowsOf = (leaf: LeafNode) => LeafRows

/** The column of a top-level node of `rowCount` rows. Throws ParquetError. */
export function assemble(node: SchemaNode, rowsOf: RowsOf, rowCount: number): Column {
  const column = columnOf(node, rowsOf, { repetitionLevel: 0, elementLevel: 0 })
  if (column.length !== rowCount) throw contradiction()
  return column
}

function contradiction(): Error {
  return corrupt('levels that contradict each other')
}

function columnOf(node: SchemaNode, rowsOf: RowsOf, within: Within): Column {
  switch (node.kind) {
    case 'leaf': {
      const rows = rowsOf(node)
      return leafColumn(rows, presence(rows, within, node.definitionLevel))
    }
    case 'list':
      return listColumn(node, rowsOf, within)
    case 'struct': {
      const rows = rowsOf(firstLeaf(node))
      const { length, validity } = presence(rows, within, node.definitionLevel)
      const children = node.children.map((child) => columnOf(child, rowsOf, within))
      if (children.some((child) => child.length !== length)) throw contradiction()
      return { layout: 'struct', length, validity, children }
    }
  }
}

function firstLeaf(node: SchemaNode): LeafNode {
  if (node.kind === 'leaf') return node
  return firstLeaf(node.kind === 'list' ? node.element : node.children[0]!)
}

export interface Presence {
  readonly length: number
  readonly validity: Validity
}

/** Rows within a list or at the root, and in which of them the definition level reaches `level`. */
function presence(rows: LeafRows, within: Within, level: number): Presence {
  const { definition, repetition, levelCount } = rows
  if (definition === null) return { length: levelCount, validity: null }
  const { repetitionLevel, elementLevel } = within
  const validity = new Uint8Array(levelCount)
  let length = 0
  let present = 0
  for (let i = 0; i < levelCount; i++) {
    if (repetition !== null && repetition[i]! > repetitionLevel) continue
    const reached = definition[i]!
    if (reached < elementLevel) continue
    if (reached >= level) {
      validity[length] = 1
      present++
    }
    length++
  }
  return { length, validity: present === length ? null : validity.subarray(0, length) }
}

function listColumn(node: ListNode, rowsOf: RowsOf, within: Within): ListColumn {
  const rows = rowsOf(firstLeaf(node))
  const { length, validity } = presence(rows, within, node.definitionLevel)
  const { definition, repetition, levelCount } = rows
  const offsets = new Int32Array(length + 1)
  let row = 0
  let elements = 0
  let isOpen = false
  for (let i = 0; i < levelCount; i++) {
    const repeats = repetition![i]!
    const reached = definition![i]!
    if (repeats <= within.repetitionLevel) {
      isOpen = reached >= within.elementLevel
      if (isOpen) offsets[row++] = elements
    }
    if (repeats > node.repetitionLevel) continue
    if (reached >= node.elementLevel) {
      if (!isOpen) throw contradiction()
      elements++
    } else if (repeats === node.repetitionLevel) throw contradiction()
  }
  offsets[length] = elements
  const element = columnOf(node.element, rowsOf, node)
  if (element.length !== elements) throw contradiction()
  return { layout: 'list', length, validity, offsets, element }
}

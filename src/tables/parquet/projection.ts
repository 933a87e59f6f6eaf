/** Some columns of a schema: those named, with all that is below them and no more than is needed above. */
import type { ListNode, SchemaNode, StructNode } from './schema.ts'

/**
 * A column by the names on its way: fields of structs by their names, a list's element as `element`, a
 * map's as `key` and `value`.
 */
export type ColumnPath = readonly string[]

/** The nodes that hold the columns named, in the order of the schema. A name that is not there is left out. */
export function project(nodes: readonly SchemaNode[], paths: readonly ColumnPath[]): SchemaNode[] {
  return nodes.flatMap((node) => {
    const kept = keep(node, node.field.name, paths)
    return kept === null ? [] : [kept]
  })
}

/** What is left of `node`, which its parent calls `name`; `null`: nothing. */
function keep(node: SchemaNode, name: string, paths: readonly ColumnPath[]): SchemaNode | null {
  const within = paths.filter((path) => path[0] === name).map((path) => path.slice(1))
  if (within.length === 0) return null
  if (node.kind === 'leaf' || within.some((path) => path.length === 0)) return node
  if (node.kind === 'struct') return keepFields(node, within)
  return node.field.type.kind === 'map' ? keepEntries(node, within) : keepElement(node, within)
}

function keepFields(node: StructNode, paths: readonly ColumnPath[]): StructNode | null {
  const children = project(node.children, paths)
  if (children.length === 0) return null
  const type = { kind: 'struct', fields: children.map((child) => child.field) } as const
  return { ...node, field: { ...node.field, type }, children }
}

function keepElement(node: ListNode, paths: readonly ColumnPath[]): ListNode | null {
  const element = keep(node.element, 'element', paths)
  if (element === null) return null
  return {
    ...node,
    field: { ...node.field, type: { kind: 'list', element: element.field } },
    element,
  }
}

/** A map keeps its keys whatever is asked of it, and where it would be left without values, all of it. */
function keepEntries(node: ListNode, paths: readonly ColumnPath[]): ListNode {
  const entry = node.element as StructNode
  const [key, value] = entry.children as [SchemaNode, SchemaNode]
  const kept = keep(value, 'value', paths) ?? value
  const element = { ...entry, children: [key, kept] }
  const type = { kind: 'map', key: key.field, value: kept.field } as const
  return { ...node, field: { ...node.field, type }, element }
}

/** The leaves below, each with its node. */
export function leavesBelow(node: SchemaNode): readonly (SchemaNode & { kind: 'leaf' })[] {
  if (node.kind === 'leaf') return [node]
  return node.kind === 'list' ? leavesBelow(node.element) : node.children.flatMap(leavesBelow)
}

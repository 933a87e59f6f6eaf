/**
 * The schema of a file: in the footer a list of elements in depth-first order, here a tree of the fields
 * that they mean, where lists and maps are one node each, whatever groups spell them.
 *
 * Each node knows its levels (Dremel): the definition level at which it is present, and for a list those
 * at which an element is. An optional or repeated element on the path adds one definition level, a repeated one
 * one repetition level.
 */
import type { DataType, Field } from '../columns/column.ts'
import { leavesMax, schemaDepthMax } from './limits.ts'
import { dataTypeOf } from './logical-type.ts'
import {
  convertedTypes,
  type PhysicalType,
  physicalTypes,
  repetitions,
  type SchemaElement,
} from './metadata.ts'
import { beyondLimit, corrupt, ParquetError, unsupported } from './parquet-error.ts'

interface NodeLevels {
  readonly field: Field
  /** Definition level from which on the node is there. */
  readonly definitionLevel: number
}
export interface LeafNode extends NodeLevels {
  readonly kind: 'leaf'
  /** Its place among the column chunks of a row group. */
  readonly index: number
  readonly physical: PhysicalType
  /** Bytes of one value where that is fixed (12 for INT96), else 0. */
  readonly width: number
  readonly repetitionLevel: number
  /** The names from the root, as the file has them. */
  readonly path: readonly string[]
}
export interface ListNode extends NodeLevels {
  readonly kind: 'list'
  /** Definition level from which on there is an element. */
  readonly elementLevel: number
  /** Repetition level of an element that is not the first. */
  readonly repetitionLevel: number
  readonly element: SchemaNode
}
export interface StructNode extends NodeLevels {
  readonly kind: 'struct'
  readonly children: readonly SchemaNode[]
}
export type SchemaNode = LeafNode | ListNode | StructNode

export interface Schema {
  readonly nodes: readonly SchemaNode[]
  readonly leaves: readonly LeafNode[]
}

interface Levels {
  readonly definition: number
  readonly repetition: number
}

/** Throws ParquetError. */
export function readSchema(elements: readonly SchemaElement[]): Schema {
  return new SchemaTree(elements).read()
}

/** An element with the ones below it, as the list spells them. */
interface Spelled {
  readonly element: SchemaElement
  readonly children: readonly Spelled[]
}

class SchemaTree {
  readonly #elements: readonly SchemaElement[]
  readonly #leaves: LeafNode[] = []
  #next = 0

  constructor(elements: readonly SchemaElement[]) {
    this.#elements = elements
  }

  read(): Schema {
    const root = this.#spell(0)
    if (this.#next !== this.#elements.length) throw corrupt('schema elements outside the root')
    const nodes = root.children.map((child) =>
      this.#node(child, { definition: 0, repetition: 0 }, []),
    )
    return { nodes, leaves: this.#leaves }
  }

  #spell(depth: number): Spelled {
    if (depth > schemaDepthMax) throw beyondLimit(`groups nested more than ${schemaDepthMax} deep`)
    const element = this.#elements[this.#next++]
    if (element === undefined) throw corrupt('the schema names more elements than it has')
    const children: Spelled[] = []
    for (let i = element.numChildren ?? 0; i > 0; i--) children.push(this.#spell(depth + 1))
    return { element, children }
  }

  /** A field as it stands; a repeated one that no annotation explains is a list that is never null. */
  #node(spelled: Spelled, levels: Levels, path: readonly string[]): SchemaNode {
    const { element } = spelled
    const here = [...path, element.name]
    switch (repetitionOf(element)) {
      case 'REQUIRED':
        return this.#present(spelled, levels, here, false)
      case 'OPTIONAL':
        return this.#present(spelled, { ...levels, definition: levels.definition + 1 }, here, true)
      case 'REPEATED': {
        const inside = repeated(levels)
        const node = this.#present(spelled, inside, here, false)
        return listOf(fieldOf(element, false), levels.definition, inside, node)
      }
    }
  }

  #present(
    spelled: Spelled,
    levels: Levels,
    path: readonly string[],
    isNullable: boolean,
  ): SchemaNode {
    const { element, children } = spelled
    if (children.length === 0) return this.#leaf(element, levels, path, isNullable)
    const repeatedChild = children[0]!
    if (children.length === 1 && repetitionOf(repeatedChild.element) === 'REPEATED') {
      if (isAnnotated(element, 'list')) return this.#list(spelled, levels, path, isNullable)
      if (isAnnotated(element, 'map') && isMapEntry(repeatedChild)) {
        return this.#map(spelled, levels, path, isNullable)
      }
    }
    const nodes = children.map((child) => this.#node(child, levels, path))
    return structOf(fieldOf(element, isNullable), levels.definition, nodes)
  }

  #leaf(
    element: SchemaElement,
    levels: Levels,
    path: readonly string[],
    isNullable: boolean,
  ): LeafNode {
    const name = path.join('.')
    if (element.type === undefined) throw unsupported(`${name}: a group without columns`)
    const physical = physicalTypes[element.type]
    if (physical === undefined) throw unsupported(`${name}: physical type ${element.type}`)
    const width = widthOf(physical, element.typeLength)
    if (width < 0 || width > 1024 * 1024) throw corrupt(`${name}: values of ${width} bytes`)
    if (this.#leaves.length >= leavesMax) throw beyondLimit(`more than ${leavesMax} columns`)
    const leaf: LeafNode = {
      kind: 'leaf',
      field: { ...fieldOf(element, isNullable), type: typeOf(name, element, physical) },
      definitionLevel: levels.definition,
      repetitionLevel: levels.repetition,
      index: this.#leaves.length,
      physical,
      width,
      path,
    }
    this.#leaves.push(leaf)
    return leaf
  }

  /**
   * Three levels as the format has it now: the list, a repeated group, the element within. Older writers have
   * the element itself repeated: it is where the repeated one is no group, has several fields or a repeated
   * one, or is named as they named it.
   */
  #list(spelled: Spelled, levels: Levels, path: readonly string[], isNullable: boolean): ListNode {
    const { element, children } = spelled
    const group = children[0]!
    const inside = repeated(levels)
    const here = [...path, group.element.name]
    const only = group.children[0]
    const isElementItself =
      only === undefined ||
      group.children.length > 1 ||
      repetitionOf(only.element) === 'REPEATED' ||
      group.element.name === 'array' ||
      group.element.name === `${element.name}_tuple`
    const node = isElementItself
      ? this.#present(group, inside, here, false)
      : this.#node(only, inside, here)
    return listOf(fieldOf(element, isNullable), levels.definition, inside, node)
  }

  #map(spelled: Spelled, levels: Levels, path: readonly string[], isNullable: boolean): ListNode {
    const { element, children } = spelled
    const entries = children[0]!
    const inside = repeated(levels)
    const here = [...path, entries.element.name]
    const nodes = entries.children.map((child) => this.#node(child, inside, here))
    const [key, value] = nodes
    // Without a value column a map is a set: a list of its keys.
    if (value === undefined) {
      return listOf(fieldOf(element, isNullable), levels.definition, inside, key!)
    }
    const entry = structOf(fieldOf(entries.element, false), inside.definition, nodes)
    return {
      ...listOf(fieldOf(element, isNullable), levels.definition, inside, entry),
      field: {
        ...fieldOf(element, isNullable),
        type: { kind: 'map', key: key!.field, value: value.field },
      },
    }
  }
}

function repeated({ definition, repetition }: Levels): Levels {
  return { definition: definition + 1, repetition: repetition + 1 }
}

function listOf(field: Field, definitionLevel: number, inside: Levels, node: SchemaNode): ListNode {
  return {
    kind: 'list',
    field: { ...field, type: { kind: 'list', element: node.field } },
    definitionLevel,
    elementLevel: inside.definition,
    repetitionLevel: inside.repetition,
    element: node,
  }
}

function structOf(
  field: Field,
  definitionLevel: number,
  children: readonly SchemaNode[],
): StructNode {
  return {
    kind: 'struct',
    field: { ...field, type: { kind: 'struct', fields: children.map((child) => child.field) } },
    definitionLevel,
    children,
  }
}

/** Name, id and nullability; the type is put in where it is known. */
function fieldOf(element: SchemaElement, isNullable: boolean): Field {
  const field = { name: element.name, type: { kind: 'null' } as DataType, isNullable }
  return element.fieldId === undefined ? field : { ...field, fieldId: element.fieldId }
}

function typeOf(name: string, element: SchemaElement, physical: PhysicalType): DataType {
  try {
    return dataTypeOf(element, physical)
  } catch (error) {
    throw error instanceof ParquetError ? error.within(name) : error
  }
}

function repetitionOf(element: SchemaElement): (typeof repetitions)[number] {
  const repetition = repetitions[element.repetitionType ?? 0]
  if (repetition === undefined)
    throw corrupt(`${element.name}: repetition ${element.repetitionType}`)
  return repetition
}

function isAnnotated(element: SchemaElement, as: 'list' | 'map'): boolean {
  if (element.logicalType?.[as]) return true
  const converted = convertedTypes[element.convertedType ?? -1]
  return as === 'list' ? converted === 'LIST' : converted === 'MAP' || converted === 'MAP_KEY_VALUE'
}

function isMapEntry({ children }: Spelled): boolean {
  if (children.length === 0 || children.length > 2) return false
  return children.every(({ element }) => repetitionOf(element) !== 'REPEATED')
}

function widthOf(physical: PhysicalType, typeLength: number | undefined): number {
  switch (physical) {
    case 'BOOLEAN':
      return 1
    case 'INT32':
    case 'FLOAT':
      return 4
    case 'INT64':
    case 'DOUBLE':
      return 8
    case 'INT96':
      return 12
    case 'FIXED_LEN_BYTE_ARRAY':
      return typeLength ?? -1
    case 'BYTE_ARRAY':
      return 0
  }
}

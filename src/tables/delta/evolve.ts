/**
 * A table's columns made to hold rows that they do not hold yet: columns and fields of structs are added behind the
 * others, and types widened, as far as files that have been written stay what they are. Nothing is ever taken away.
 */
import type { DataType, Field } from '../columns/column.ts'
import { type Json, jsonText, parseJson } from '../columns/exact-json.ts'
import type { MetadataAction } from './actions.ts'
import { corrupt } from './delta-error.ts'
import { ColumnIds, fieldJson, typeJson } from './new-table.ts'
import type { TableEnvironment } from './table-environment.ts'

export interface Widening {
  /** The table's own columns: files have their values already. */
  readonly kept: readonly Field[]
  /** Whether columns of the table may be widened: it has the feature typeWidening in use. */
  readonly mayWiden: boolean
}

/**
 * `known` and what `wanted` has besides; `known` itself where that is nothing. Where two types have nothing in
 * common the known one stays: it is for whoever has a value of the other to see whether it fits.
 */
export function mergedFields(
  known: readonly Field[],
  wanted: readonly Field[],
  { kept, mayWiden }: Widening,
): readonly Field[] {
  let merged: Field[] | null = null
  const places = placesOf(known)
  const keptPlaces = placesOf(kept)
  for (const field of wanted) {
    const at = places.get(field.name) ?? places.get(field.name.toLowerCase())
    if (at === undefined) {
      merged ??= [...known]
      places.set(field.name, merged.length)
      places.set(field.name.toLowerCase(), merged.length)
      merged.push({ ...field, isNullable: true })
      continue
    }
    const before = (merged ?? known)[at]!
    const own = keptPlaces.get(before.name)
    const inTable = own === undefined ? undefined : kept[own]!.type
    const type = mergedType(before.type, field.type, inTable, mayWiden)
    if (type === before.type) continue
    merged ??= [...known]
    merged[at] = { ...before, type }
  }
  return merged ?? known
}

/** By the names as they are and, behind those, in lower case: names differ in more than their case. */
function placesOf(fields: readonly Field[]): Map<string, number> {
  const places = new Map<string, number>()
  for (const [i, { name }] of fields.entries()) places.set(name.toLowerCase(), i)
  for (const [i, { name }] of fields.entries()) places.set(name, i)
  return places
}

function mergedType(
  known: DataType,
  wanted: DataType,
  kept: DataType | undefined,
  mayWiden: boolean,
): DataType {
  if (known.kind === 'null') return wanted
  if (known.kind === 'struct' && wanted.kind === 'struct') {
    const own = kept?.kind === 'struct' ? kept.fields : []
    const fields = mergedFields(known.fields, wanted.fields, { kept: own, mayWiden })
    return fields === known.fields ? known : { kind: 'struct', fields }
  }
  if (known.kind === 'list' && wanted.kind === 'list') {
    const own = kept?.kind === 'list' ? kept.element.type : undefined
    const type = mergedType(known.element.type, wanted.element.type, own, mayWiden)
    if (type === known.element.type) return known
    return { kind: 'list', element: { ...known.element, type } }
  }
  if (known.kind === 'map' && wanted.kind === 'map') {
    const own = kept?.kind === 'map' ? kept.value.type : undefined
    const type = mergedType(known.value.type, wanted.value.type, own, mayWiden)
    if (type === known.value.type) return known
    return { ...known, value: { ...known.value, type } }
  }
  if (kept !== undefined && kept.kind !== 'null' && !mayWiden) return known
  return kept === undefined || kept.kind === 'null' ? wider(known, wanted) : widened(known, wanted)
}

const integers: readonly DataType['kind'][] = ['int8', 'int16', 'int32', 'int64']

/** What Delta lets a column of a table become without being asked. */
function widened(known: DataType, wanted: DataType): DataType {
  const from = integers.indexOf(known.kind)
  if (from >= 0 && integers.indexOf(wanted.kind) > from) return wanted
  if (known.kind === 'float' && wanted.kind === 'double') return wanted
  if (known.kind === 'decimal' && wanted.kind === 'decimal') return decimalOfBoth(known, wanted)
  return known
}

/** While no file has values, a number may become whatever holds them all. */
function wider(known: DataType, wanted: DataType): DataType {
  const isInteger = integers.includes(known.kind)
  if (isInteger && (wanted.kind === 'double' || wanted.kind === 'float')) return { kind: 'double' }
  if (isInteger && wanted.kind === 'decimal') return decimalOfBoth(decimalLike(known), wanted)
  if (known.kind === 'decimal' && integers.includes(wanted.kind)) {
    return decimalOfBoth(known, decimalLike(wanted))
  }
  return widened(known, wanted)
}

type Decimal = DataType & { kind: 'decimal' }

function decimalLike({ kind }: DataType): Decimal {
  const digits = kind === 'int64' ? 19 : kind === 'int32' ? 10 : kind === 'int16' ? 5 : 3
  return { kind: 'decimal', precision: digits, scale: 0 }
}

/** `known` where no decimal holds both. */
function decimalOfBoth(known: Decimal, wanted: Decimal): Decimal {
  const scale = Math.max(known.scale, wanted.scale)
  const whole = Math.max(known.precision - known.scale, wanted.precision - wanted.scale)
  if (scale === known.scale && whole === known.precision - known.scale) return known
  return whole + scale > 38 ? known : { kind: 'decimal', precision: whole + scale, scale }
}

type JsonObject = { readonly [name: string]: Json }
interface TypeChange {
  readonly fromType: string
  readonly toType: string
  readonly fieldPath?: string
}

/** The table's metadata with columns that `mergedFields` made of its own; what else a field's JSON says is kept. */
export function evolvedMetadata(
  metadata: MetadataAction,
  fields: readonly Field[],
  environment: Pick<TableEnvironment, 'random'>,
): MetadataAction {
  const configuration = new Map(metadata.configuration)
  const isMapped = (configuration.get('delta.columnMapping.mode') ?? 'none') !== 'none'
  const ids = isMapped
    ? new ColumnIds(environment, Number(configuration.get('delta.columnMapping.maxColumnId') ?? 0))
    : null
  const root = parseJson(metadata.schemaString) as JsonObject
  const schemaString = jsonText({ ...root, fields: evolvedFields(root['fields']!, fields, ids) })
  if (ids !== null) configuration.set('delta.columnMapping.maxColumnId', String(ids.last))
  return { ...metadata, schemaString, configuration }
}

function evolvedFields(json: Json, fields: readonly Field[], ids: ColumnIds | null): Json {
  const known = json as readonly JsonObject[]
  return fields.map((field) => {
    const before = known.find(({ name }) => name === field.name)
    if (before === undefined) return fieldJson(field, ids)
    const changes: TypeChange[] = []
    const type = evolvedType(before['type']!, field.type, { ids, changes, path: [] })
    if (changes.length === 0) return { ...before, type }
    const metadata = (before['metadata'] ?? {}) as JsonObject
    const earlier = (metadata['delta.typeChanges'] ?? []) as Json[]
    const typeChanges = [...earlier, ...changes.map((change) => ({ ...change }))]
    return { ...before, type, metadata: { ...metadata, 'delta.typeChanges': typeChanges } }
  })
}

interface Changing {
  readonly ids: ColumnIds | null
  readonly changes: TypeChange[]
  /** From the field that remembers the change: elements, keys and values have no metadata. */
  readonly path: readonly string[]
}

function evolvedType(json: Json, type: DataType, changing: Changing): Json {
  const { ids, changes, path } = changing
  if (typeof json === 'string') {
    const made = typeJson(type, ids)
    if (json === 'void' || typeof made !== 'string') return made
    const before = json === 'decimal' ? 'decimal(10,0)' : json.replace(/\s/g, '')
    if (before === made) return json
    const at = path.length === 0 ? {} : { fieldPath: path.join('.') }
    changes.push({ fromType: before, toType: made, ...at })
    return made
  }
  const nested = json as JsonObject
  const within = (name: string): Changing => ({ ...changing, path: [...path, name] })
  switch (type.kind) {
    case 'struct':
      return { ...nested, fields: evolvedFields(nested['fields']!, type.fields, ids) }
    case 'list': {
      const element = evolvedType(nested['elementType']!, type.element.type, within('element'))
      return { ...nested, elementType: element }
    }
    case 'map': {
      const value = evolvedType(nested['valueType']!, type.value.type, within('value'))
      return { ...nested, valueType: value }
    }
    default:
      throw corrupt(`schemaString: a ${type.kind} where a nested type was`)
  }
}

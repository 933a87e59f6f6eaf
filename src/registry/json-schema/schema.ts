/**
 * JSON Schema as what decides compatibility: a tree of alternatives, each of one kind. Drafts 4 to 2020-12
 * are read alike; what one of them calls differently has one name here. Patterns are kept and never run:
 * they come from whoever may write to the registry.
 *
 * What lives in this folder: JSON Schema as far as the registry needs it. What must not: validation of
 * documents.
 */

import { Fraction, type Json, type JsonObject, writeJson } from '../../connect/json-text.ts'
import { SchemaError } from '../avro/schema.ts'
import { jsonOf } from '../avro/schema-json.ts'

/** Schemas within schemas. */
const depthMax = 100
/** Schemas and members of lists of one text, with those that it refers to. */
const nodesMax = 20_000

export type Criterion = 'allOf' | 'anyOf' | 'oneOf'

/** Lower and upper bounds by keyword: `maxLength`, `minimum`, … */
export type Bounds = ReadonlyMap<string, number>

interface Known {
  readonly hasDefault: boolean
}

export interface ObjectShape extends Known {
  readonly kind: 'object'
  readonly bounds: Bounds
  readonly properties: ReadonlyMap<string, JsonSchema>
  readonly patterns: ReadonlyMap<string, JsonSchema>
  readonly required: ReadonlySet<string>
  /** Null: nothing is said. */
  readonly additional: JsonSchema | null
  readonly unevaluated: JsonSchema | null
  readonly requiredWith: ReadonlyMap<string, ReadonlySet<string>>
  readonly schemasWith: ReadonlyMap<string, JsonSchema>
}

export interface ArrayShape extends Known {
  readonly kind: 'array'
  readonly bounds: Bounds
  readonly isUnique: boolean
  /** Of every item; null: nothing is said, or items have schemas by their place. */
  readonly all: JsonSchema | null
  readonly places: readonly JsonSchema[] | null
  readonly additional: JsonSchema | null
  readonly unevaluated: JsonSchema | null
  readonly contains: JsonSchema | null
}

export type JsonSchema =
  | (Known & { readonly kind: 'true' | 'false' | 'boolean' | 'null' })
  | (Known & {
      readonly kind: 'string'
      readonly bounds: Bounds
      readonly pattern: string | null
      /** What the text is, as `date-time`; no change of it is incompatible. Null: nothing is said. */
      readonly format: string | null
    })
  | (Known & { readonly kind: 'number'; readonly bounds: Bounds; readonly isInteger: boolean })
  | (Known & { readonly kind: 'enum'; readonly values: ReadonlySet<string> })
  | (Known & { readonly kind: 'not'; readonly schema: JsonSchema })
  /** A condition: equal to another of the same text. */
  | (Known & { readonly kind: 'conditional'; readonly text: string })
  | (Known & {
      readonly kind: 'combined'
      readonly criterion: Criterion
      readonly schemas: readonly JsonSchema[]
    })
  | (Known & { readonly kind: 'reference'; readonly target: () => JsonSchema })
  | ObjectShape
  | ArrayShape

export interface ParsedJsonSchema {
  readonly schema: JsonSchema
  readonly json: Json
}

/** `references`: texts by the names under which `$ref` has them. Throws SchemaError. */
export function parseJsonSchema(
  text: string,
  references: ReadonlyMap<string, string>,
): ParsedJsonSchema {
  const json = jsonOf(text)
  const documents = new Map(Array.from(references, ([name, each]) => [name, jsonOf(each)] as const))
  const reader = new SchemaReader(documents)
  const schema = reader.schema(json, json, 0)
  reader.resolveAll()
  return { schema, json }
}

/** The same for schemas that differ in the order of their attributes alone. */
export function normalizedJson(json: Json): Json {
  if (Array.isArray(json)) return json.map(normalizedJson)
  if (!(json instanceof Map)) return json
  const names = [...json.keys()].sort()
  return new Map(names.map((name) => [name, normalizedJson(json.get(name)!)]))
}

const typeNames = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null']
const stringBounds = ['maxLength', 'minLength']
const numberBounds = ['maximum', 'minimum', 'exclusiveMaximum', 'exclusiveMinimum', 'multipleOf']
const arrayBounds = ['maxItems', 'minItems', 'maxContains', 'minContains']
const objectBounds = ['maxProperties', 'minProperties']
/** What tells the type of a schema that does not name it. */
const keywordsOf: readonly (readonly [string, readonly string[]])[] = [
  ['string', [...stringBounds, 'pattern', 'format']],
  ['number', numberBounds],
  ['array', [...arrayBounds, 'items', 'prefixItems', 'uniqueItems', 'contains', 'additionalItems']],
  [
    'object',
    [
      ...objectBounds,
      ...['properties', 'patternProperties', 'required', 'additionalProperties', 'dependencies'],
      ...['dependentRequired', 'dependentSchemas', 'propertyNames', 'unevaluatedProperties'],
    ],
  ],
]

class SchemaReader {
  readonly #documents: ReadonlyMap<string, Json>
  /** By document and pointer; a reference may come back to where it stands. */
  readonly #targets = new Map<Json, Map<string, JsonSchema | null>>()
  /** By document, of those in which one was asked for: what each name stands for. */
  readonly #anchors = new Map<Json, ReadonlyMap<string, Json>>()
  /** However many references lead into a schema, and by however many names. */
  readonly #read = new Map<JsonObject, JsonSchema>()
  readonly #open: (() => void)[] = []
  #nodes = 0

  constructor(documents: ReadonlyMap<string, Json>) {
    this.#documents = documents
  }

  /** References that lead nowhere are found now, and not when somebody compares. */
  resolveAll(): void {
    for (let resolve = this.#open.pop(); resolve !== undefined; resolve = this.#open.pop())
      resolve()
  }

  schema(json: Json, document: Json, depth: number): JsonSchema {
    if (depth > depthMax)
      throw new SchemaError(`The schema is nested deeper than ${depthMax} levels`)
    this.#count(1)
    if (typeof json === 'boolean') return { kind: json ? 'true' : 'false', hasDefault: false }
    if (!(json instanceof Map))
      throw new SchemaError(`A JSON schema is an object or a boolean, and not ${quoted(json)}`)
    const known = this.#read.get(json)
    if (known !== undefined) return known
    const schema = this.#schema(json, document, depth)
    this.#read.set(json, schema)
    return schema
  }

  #count(parts: number): void {
    this.#nodes += parts
    if (this.#nodes > nodesMax) throw new SchemaError(`The schema has more than ${nodesMax} parts`)
  }

  #schema(json: JsonObject, document: Json, depth: number): JsonSchema {
    const hasDefault = json.has('default')
    const ref = json.get('$ref')
    if (ref !== undefined) return this.#reference(ref, document, hasDefault)
    const parts = this.#parts(json, document, depth)
    const [first] = parts
    if (first === undefined) return { kind: 'true', hasDefault }
    if (parts.length === 1) return { ...first, hasDefault }
    return { kind: 'combined', criterion: 'allOf', schemas: parts, hasDefault }
  }

  #parts(json: JsonObject, document: Json, depth: number): JsonSchema[] {
    const parts: JsonSchema[] = []
    for (const criterion of ['allOf', 'anyOf', 'oneOf'] as const) {
      const list = json.get(criterion)
      if (list === undefined) continue
      const schemas = listOf(list, criterion).map((each) => this.schema(each, document, depth + 1))
      parts.push({ kind: 'combined', criterion, schemas, hasDefault: false })
    }
    const not = json.get('not')
    if (not !== undefined)
      parts.push({ kind: 'not', schema: this.schema(not, document, depth + 1), hasDefault: false })
    const values = json.has('const') ? [json.get('const')!] : json.get('enum')
    if (values !== undefined) {
      const list = listOf(values, 'enum')
      this.#count(list.length)
      const texts = list.map((value) => writeJson(normalizedJson(value)))
      parts.push({ kind: 'enum', values: new Set(texts), hasDefault: false })
    }
    const condition = ['if', 'then', 'else'].filter((name) => json.has(name))
    if (json.has('if')) {
      const text = condition.map((name) => writeJson(normalizedJson(json.get(name)!))).join()
      parts.push({ kind: 'conditional', text, hasDefault: false })
    }
    const typed = this.#typed(json, document, depth)
    if (typed !== null) parts.unshift(typed)
    return parts
  }

  #typed(json: JsonObject, document: Json, depth: number): JsonSchema | null {
    const type = json.get('type')
    if (type === undefined) {
      const implied = keywordsOf.filter(([, names]) => names.some((name) => json.has(name)))
      const shapes = implied.map(([name]) => this.#ofType(name, json, document, depth))
      if (shapes.length < 2) return shapes[0] ?? null
      return { kind: 'combined', criterion: 'anyOf', schemas: shapes, hasDefault: false }
    }
    const types = Array.isArray(type) ? type : [type]
    this.#count(types.length)
    if (new Set(types).size < types.length) throw new SchemaError('type lists a type twice')
    const schemas = types.map((name) => {
      if (typeof name !== 'string' || !typeNames.includes(name))
        throw new SchemaError(`Unknown type: ${quoted(name)}; known are ${typeNames.join(', ')}`)
      return this.#ofType(name, json, document, depth)
    })
    if (schemas.length === 1) return schemas[0]!
    return { kind: 'combined', criterion: 'anyOf', schemas, hasDefault: false }
  }

  #ofType(type: string, json: JsonObject, document: Json, depth: number): JsonSchema {
    const known = { hasDefault: json.has('default') }
    switch (type) {
      case 'object':
        return this.#object(json, document, depth)
      case 'array':
        return this.#array(json, document, depth)
      case 'string': {
        const pattern = json.get('pattern')
        const bounds = boundsOf(json, stringBounds)
        const format = json.get('format')
        return {
          ...{ kind: 'string', bounds, pattern: textOf(pattern, 'pattern') },
          ...{ format: typeof format === 'string' ? format : null, ...known },
        }
      }
      case 'number':
      case 'integer': {
        const isInteger = type === 'integer'
        return { kind: 'number', bounds: boundsOf(json, numberBounds), isInteger, ...known }
      }
      default:
        return { kind: type as 'boolean' | 'null', ...known }
    }
  }

  #object(json: JsonObject, document: Json, depth: number): ObjectShape {
    const requiredWith = new Map<string, ReadonlySet<string>>()
    const schemasWith = new Map<string, JsonSchema>()
    for (const keyword of ['dependencies', 'dependentRequired', 'dependentSchemas'])
      for (const [name, value] of membersOf(json.get(keyword), keyword)) {
        if (Array.isArray(value)) requiredWith.set(name, this.#names(value, keyword))
        else schemasWith.set(name, this.schema(value, document, depth + 1))
      }
    return {
      kind: 'object',
      hasDefault: json.has('default'),
      bounds: boundsOf(json, objectBounds),
      properties: this.#members(json, 'properties', document, depth),
      patterns: this.#members(json, 'patternProperties', document, depth),
      // In draft 3 it was a boolean beside the property, which later drafts pass over.
      required: this.#names(json.get('required') ?? [], 'required'),
      additional: this.#optional(json.get('additionalProperties'), document, depth),
      unevaluated: this.#optional(json.get('unevaluatedProperties'), document, depth),
      requiredWith,
      schemasWith,
    }
  }

  #array(json: JsonObject, document: Json, depth: number): ArrayShape {
    const prefix = json.get('prefixItems')
    const items = json.get('items')
    const places = prefix ?? (Array.isArray(items) ? items : undefined)
    const rest = prefix === undefined ? json.get('additionalItems') : items
    return {
      kind: 'array',
      hasDefault: json.has('default'),
      bounds: boundsOf(json, arrayBounds),
      isUnique: json.get('uniqueItems') === true,
      all: places === undefined ? this.#optional(items, document, depth) : null,
      places:
        places === undefined
          ? null
          : listOf(places, 'items').map((each) => this.schema(each, document, depth + 1)),
      additional: this.#optional(rest, document, depth),
      unevaluated: this.#optional(json.get('unevaluatedItems'), document, depth),
      contains: this.#optional(json.get('contains'), document, depth),
    }
  }

  #names(value: Json, keyword: string): ReadonlySet<string> {
    if (typeof value === 'boolean') return new Set()
    const list = listOf(value, keyword)
    this.#count(list.length)
    if (list.some((each) => typeof each !== 'string'))
      throw new SchemaError(`${keyword} is a list of names, and not ${quoted(value)}`)
    return new Set(list as string[])
  }

  #optional(json: Json | undefined, document: Json, depth: number): JsonSchema | null {
    return json === undefined ? null : this.schema(json, document, depth + 1)
  }

  #members(
    json: JsonObject,
    keyword: string,
    document: Json,
    depth: number,
  ): ReadonlyMap<string, JsonSchema> {
    const members = membersOf(json.get(keyword), keyword)
    return new Map(
      members.map(([name, value]) => [name, this.schema(value, document, depth + 1)] as const),
    )
  }

  #reference(ref: Json, document: Json, hasDefault: boolean): JsonSchema {
    const text = textOf(ref, '$ref')!
    let found: JsonSchema | undefined
    const target = () => (found ??= this.#target(text, document))
    const reference: JsonSchema = { kind: 'reference', target, hasDefault }
    this.#open.push(() => resolved(reference))
    return reference
  }

  #target(ref: string, document: Json): JsonSchema {
    const [name = '', pointer = ''] = ref.split('#', 2)
    const inside = name === '' || idOf(document) === name ? document : this.#documents.get(name)
    if (inside === undefined) throw unresolved(ref)
    const targets = this.#targets.get(inside) ?? new Map<string, JsonSchema | null>()
    this.#targets.set(inside, targets)
    const known = targets.get(pointer)
    if (known !== undefined) {
      // It refers to itself and to nothing else.
      if (known === null) throw unresolved(ref)
      return known
    }
    targets.set(pointer, null)
    const isPointer = pointer === '' || pointer.startsWith('/')
    const found = isPointer ? at(inside, pointer) : this.#anchored(inside, pointer)
    if (found === undefined) throw unresolved(ref)
    const schema = this.schema(found, inside, 0)
    targets.set(pointer, schema)
    return schema
  }

  #anchored(document: Json, name: string): Json | undefined {
    const anchors = this.#anchors.get(document) ?? anchorsOf(document)
    this.#anchors.set(document, anchors)
    return anchors.get(name)
  }
}

/** What a schema refers to, or itself. Throws SchemaError for references that lead nowhere. */
export function resolved(schema: JsonSchema): JsonSchema {
  let at = schema
  for (let steps = 0; at.kind === 'reference'; steps++) {
    if (steps > depthMax)
      throw new SchemaError('Unresolved $ref: it leads to itself, and nowhere else')
    at = at.target()
  }
  return at
}

function unresolved(ref: string): SchemaError {
  return new SchemaError(`Unresolved $ref '${ref}': it is nowhere in the schema and its references`)
}

function idOf(document: Json): string | null {
  const id = document instanceof Map ? (document.get('$id') ?? document.get('id')) : null
  return typeof id === 'string' ? id : null
}

/** What a JSON pointer leads to. */
function at(document: Json, pointer: string): Json | undefined {
  if (pointer === '') return document
  let found: Json | undefined = document
  for (const step of pointer.slice(1).split('/')) {
    const name = decoded(step)?.replaceAll('~1', '/').replaceAll('~0', '~')
    if (name === undefined) return undefined
    if (found instanceof Map) found = found.get(name)
    else if (Array.isArray(found)) found = found[Number(name)]
    else return undefined
  }
  return found
}

/** Undefined: its escapes are no text. */
function decoded(step: string): string | undefined {
  try {
    return decodeURIComponent(step.replace(/%(?![0-9a-fA-F]{2})/g, '%25'))
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    return undefined
  }
}

/** The anchors among the definitions; of two by one name the first counts. */
function anchorsOf(document: Json): ReadonlyMap<string, Json> {
  const anchors = new Map<string, Json>()
  if (!(document instanceof Map)) return anchors
  for (const keyword of ['definitions', '$defs']) {
    const definitions = document.get(keyword)
    if (!(definitions instanceof Map)) continue
    for (const each of definitions.values()) {
      if (!(each instanceof Map)) continue
      const [anchor, id] = [each.get('$anchor'), each.get('$id')]
      const names = [anchor, typeof id === 'string' && id.startsWith('#') ? id.slice(1) : undefined]
      for (const name of names)
        if (typeof name === 'string' && !anchors.has(name)) anchors.set(name, each)
    }
  }
  return anchors
}

function boundsOf(json: JsonObject, keywords: readonly string[]): Bounds {
  const bounds = new Map<string, number>()
  for (const name of keywords) {
    const value = json.get(name)
    // In draft 4 an exclusive bound is a boolean that changes the meaning of another.
    if (value === undefined || typeof value === 'boolean') continue
    const number =
      typeof value === 'bigint'
        ? Number(value)
        : value instanceof Fraction
          ? Number(value.text)
          : NaN
    if (Number.isNaN(number)) throw new SchemaError(`${name} is a number, and not ${quoted(value)}`)
    bounds.set(name, number)
  }
  for (const limit of ['maximum', 'minimum']) {
    const exclusive = `exclusive${limit[0]!.toUpperCase()}${limit.slice(1)}`
    const value = bounds.get(limit)
    if (json.get(exclusive) !== true || value === undefined) continue
    bounds.delete(limit)
    bounds.set(exclusive, value)
  }
  return bounds
}

function textOf(value: Json | undefined, name: string): string | null {
  if (value === undefined) return null
  if (typeof value !== 'string')
    throw new SchemaError(`${name} is a text, and not ${quoted(value)}`)
  return value
}

function listOf(value: Json, name: string): readonly Json[] {
  if (!Array.isArray(value)) throw new SchemaError(`${name} is a list, and not ${quoted(value)}`)
  return value
}

function membersOf(value: Json | undefined, name: string): readonly (readonly [string, Json])[] {
  if (value === undefined) return []
  if (!(value instanceof Map))
    throw new SchemaError(`${name} is an object, and not ${quoted(value)}`)
  return [...value]
}

function quoted(json: Json): string {
  const text = writeJson(json)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

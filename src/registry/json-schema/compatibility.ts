/**
 * Whether all documents that are valid by an older JSON schema are valid by a newer one: the rules of the
 * usual registry, at its strict policy. Whether an object takes properties that its schema does not name
 * (its content model: open, closed, or open for what a schema allows) decides what may be added and
 * removed.
 *
 * In one thing it is stricter: patterns are not run. A property that patterns may or may not match has to
 * fit all of them to be added, and is not taken for covered by them when it is removed.
 *
 * A pair is judged once. While it is being judged it counts as compatible, which ends recursion; where that
 * turns out wrong, all is judged again with what is known by then.
 */
import { ComparisonBudget, pairsMax, tooLarge } from '../avro/comparison-budget.ts'
import type { Difference, DifferenceType } from './differences.ts'
import {
  type ArrayShape,
  type Bounds,
  type JsonSchema,
  type ObjectShape,
  resolved,
} from './schema.ts'

/** Pairs within pairs, and how many differences one answer lists. */
const depthMax = 300
const differencesMax = 100

/** Empty: who has the newer schema can read what was written with the older one. Throws SchemaError. */
export function differences(older: JsonSchema, newer: JsonSchema): readonly Difference[] {
  const budget = new ComparisonBudget()
  let seed: Judged = new Map()
  for (;;) {
    const comparison = new Comparison(seed, budget)
    const found = comparison.compare(older, newer)
    if (!comparison.wasTooTrusting()) return found
    seed = comparison.incompatible()
  }
}

type Judged = Map<JsonSchema, Map<JsonSchema, readonly Difference[]>>

const none: readonly Difference[] = []

class Comparison {
  readonly #seed: Judged
  readonly #budget: ComparisonBudget
  readonly #judged: Judged = new Map()
  readonly #trusted: (readonly [JsonSchema, JsonSchema])[] = []
  #depth = 0

  constructor(seed: Judged, budget: ComparisonBudget) {
    this.#seed = seed
    this.#budget = budget
  }

  compare(left: JsonSchema, right: JsonSchema): readonly Difference[] {
    this.#budget.lookUp(1)
    const older = resolved(left)
    const newer = resolved(right)
    const byNewer = this.#judged.get(older) ?? new Map<JsonSchema, readonly Difference[]>()
    this.#judged.set(older, byNewer)
    const known = byNewer.get(newer)
    if (known === inProgress) {
      this.#trusted.push([older, newer])
      return this.#seed.get(older)?.get(newer) ?? none
    }
    if (known !== undefined) return known
    this.#budget.judge()
    if (this.#depth >= depthMax) throw tooLarge()
    byNewer.set(newer, inProgress)
    this.#depth++
    const found = this.#judge(older, newer).slice(0, differencesMax)
    this.#depth--
    byNewer.set(newer, found)
    return found
  }

  /** Whether a pair counted as compatible that is not, and was not known to be. */
  wasTooTrusting(): boolean {
    return this.#trusted.some(
      ([older, newer]) =>
        this.#judged.get(older)!.get(newer)!.length > 0 && !this.#seed.get(older)?.has(newer),
    )
  }

  incompatible(): Judged {
    const found: Judged = new Map()
    for (const [older, byNewer] of this.#judged)
      found.set(older, new Map([...byNewer].filter(([, list]) => list.length > 0)))
    return found
  }

  #fits(older: JsonSchema, newer: JsonSchema): boolean {
    return this.compare(older, newer).length === 0
  }

  #judge(older: JsonSchema, newer: JsonSchema): readonly Difference[] {
    if (newer.kind === 'combined' && older.kind !== 'combined') {
      const isSum = newer.criterion !== 'allOf' || newer.schemas.length === 1
      if (isSum && newer.schemas.some((each) => this.#fits(older, each))) return none
    }
    if (older.kind === 'combined' && newer.kind !== 'combined') {
      const isProduct = older.criterion === 'allOf' || older.schemas.length === 1
      if (isProduct && older.schemas.some((each) => this.#fits(each, newer))) return none
    }
    if (newer.kind === 'true' || older.kind === 'false') return none
    if (older.kind !== newer.kind) return [difference('TYPE_CHANGED')]
    switch (older.kind) {
      case 'string':
        return newer.kind === 'string' ? strings(older, newer) : none
      case 'number':
        return newer.kind === 'number' ? numbers(older, newer) : none
      case 'enum':
        if (newer.kind !== 'enum') return none
        this.#budget.lookUp(older.values.size + newer.values.size)
        return enums(older.values, newer.values)
      case 'conditional':
        return newer.kind === 'conditional' && older.text !== newer.text
          ? [difference('TYPE_CHANGED')]
          : none
      case 'not':
        return newer.kind === 'not' && !this.#fits(newer.schema, older.schema)
          ? [difference('NOT_TYPE_EXTENDED', 'not')]
          : none
      case 'combined':
        return newer.kind === 'combined' ? this.#combined(older, newer) : none
      case 'object':
        return newer.kind === 'object' ? this.#objects(older, newer) : none
      case 'array':
        return newer.kind === 'array' ? this.#arrays(older, newer) : none
      default:
        return none
    }
  }

  #combined(
    older: JsonSchema & { kind: 'combined' },
    newer: JsonSchema & { kind: 'combined' },
  ): readonly Difference[] {
    const isOne = older.schemas.length === 1
    const becomesOne = newer.schemas.length === 1
    const mayFollow =
      older.criterion === newer.criterion ||
      newer.criterion === 'anyOf' ||
      (isOne && (becomesOne || newer.criterion === 'oneOf')) ||
      (becomesOne && older.criterion === 'allOf')
    if (!mayFollow) return [difference('COMBINED_TYPE_CHANGED')]
    const [before, after] = [older.schemas.length, newer.schemas.length]
    const found: Difference[] = []
    if (before < after && newer.criterion === 'allOf')
      found.push(difference('PRODUCT_TYPE_EXTENDED'))
    if (before > after && older.criterion !== 'allOf') found.push(difference('SUM_TYPE_NARROWED'))
    if (before * after > pairsMax) throw tooLarge()
    const fits = older.schemas.map((each) => newer.schemas.map((other) => this.#fits(each, other)))
    if (pairsOf(fits, this.#budget) < Math.min(before, after))
      found.push(difference('COMBINED_TYPE_SUBSCHEMAS_CHANGED'))
    return found
  }

  #objects(older: ObjectShape, newer: ObjectShape): readonly Difference[] {
    this.#budget.lookUp(sizeOf(older) + sizeOf(newer))
    return [
      ...required(older, newer),
      ...this.#properties(older, newer),
      ...this.#dependencies(older, newer),
      ...this.#rest(older.additional, newer.additional, 'additionalProperties', {
        removed: 'ADDITIONAL_PROPERTIES_REMOVED',
        narrowed: 'ADDITIONAL_PROPERTIES_NARROWED',
      }),
      ...this.#rest(older.unevaluated, newer.unevaluated, 'unevaluatedProperties', {
        removed: 'UNEVALUATED_PROPERTIES_REMOVED',
        narrowed: 'UNEVALUATED_PROPERTIES_NARROWED',
      }),
      ...bounds(older.bounds, newer.bounds),
    ]
  }

  #properties(older: ObjectShape, newer: ObjectShape): readonly Difference[] {
    const names = new Set([...older.properties.keys(), ...newer.properties.keys()])
    return [...names].flatMap((name) => {
      const before = older.properties.get(name)
      const after = newer.properties.get(name)
      const found =
        before === undefined
          ? this.#added(name, after!, older, newer)
          : after === undefined
            ? this.#removed(before, newer)
            : this.compare(before, after)
      return below(`properties/${name}`, found)
    })
  }

  #added(
    name: string,
    schema: JsonSchema,
    older: ObjectShape,
    newer: ObjectShape,
  ): readonly Difference[] {
    const isRequired = newer.required.has(name)
    if (isOpen(older)) {
      if (resolved(schema).kind === 'true') return none
      if (!isRequired) return [difference('OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL')]
      return [
        schema.hasDefault
          ? difference('REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL')
          : difference('REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL'),
      ]
    }
    const models = [...older.patterns.values(), ...modelOf(older.additional, older.unevaluated)]
    const misfits = models.flatMap((model) => this.compare(model, schema))
    const found = [...misfits]
    if (misfits.length > 0)
      found.push(difference('PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL'))
    if (isRequired && !schema.hasDefault)
      found.push(difference('REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL'))
    return found
  }

  #removed(schema: JsonSchema, newer: ObjectShape): readonly Difference[] {
    if (isOpen(newer)) return none
    const [model] = modelOf(newer.additional, newer.unevaluated)
    if (model !== undefined) {
      const misfits = this.compare(schema, model)
      if (misfits.length === 0) return none
      const type = 'PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL'
      return [...misfits, difference(type)]
    }
    if (resolved(schema).kind === 'false') return none
    return [difference('PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL')]
  }

  #dependencies(older: ObjectShape, newer: ObjectShape): readonly Difference[] {
    const found: Difference[] = []
    for (const [name, after] of newer.requiredWith) {
      const at = `dependencies/${name}`
      const before = older.requiredWith.get(name)
      if (before === undefined) found.push(difference('DEPENDENCY_ARRAY_ADDED', at))
      else if (!containsAll(before, after))
        found.push(
          difference(
            containsAll(after, before) ? 'DEPENDENCY_ARRAY_EXTENDED' : 'DEPENDENCY_ARRAY_CHANGED',
            at,
          ),
        )
    }
    for (const [name, after] of newer.schemasWith) {
      const at = `dependencies/${name}`
      const before = older.schemasWith.get(name)
      if (before === undefined) found.push(difference('DEPENDENCY_SCHEMA_ADDED', at))
      else found.push(...below(at, this.compare(before, after)))
    }
    return found
  }

  /** What else may be there: null allows all, `false` nothing. */
  #rest(
    older: JsonSchema | null,
    newer: JsonSchema | null,
    at: string,
    types: { readonly removed: DifferenceType; readonly narrowed: DifferenceType },
  ): readonly Difference[] {
    const [before, after] = [allowed(older), allowed(newer)]
    if (after === 'all' || before === 'nothing') return none
    if (after === 'nothing') return [difference(types.removed, at)]
    if (before === 'all') return [difference(types.narrowed, at)]
    return below(at, this.compare(older!, newer!))
  }

  #arrays(older: ArrayShape, newer: ArrayShape): readonly Difference[] {
    const found = [...bounds(older.bounds, newer.bounds)]
    if (newer.isUnique && !older.isUnique)
      found.push(difference('UNIQUE_ITEMS_ADDED', 'uniqueItems'))
    found.push(...below('contains', this.#optional(older.contains, newer.contains)))
    found.push(...below('items', this.#optional(older.all, newer.all)))
    found.push(...this.#places(older, newer))
    const additional = {
      removed: 'ADDITIONAL_ITEMS_REMOVED',
      narrowed: 'ADDITIONAL_ITEMS_NARROWED',
    } as const
    if (older.places !== null || newer.places !== null)
      found.push(...this.#rest(older.additional, newer.additional, 'additionalItems', additional))
    const unevaluated = {
      removed: 'UNEVALUATED_ITEMS_REMOVED',
      narrowed: 'UNEVALUATED_ITEMS_NARROWED',
    } as const
    found.push(...this.#rest(older.unevaluated, newer.unevaluated, 'unevaluatedItems', unevaluated))
    return found
  }

  #optional(older: JsonSchema | null, newer: JsonSchema | null): readonly Difference[] {
    if (newer === null) return none
    if (older !== null) return this.compare(older, newer)
    return resolved(newer).kind === 'true' ? none : [difference('SCHEMA_ADDED')]
  }

  #places(older: ArrayShape, newer: ArrayShape): readonly Difference[] {
    const before = older.places ?? []
    const after = newer.places ?? []
    this.#budget.lookUp(before.length + after.length)
    const longer = before.length > after.length ? before : after
    return longer.flatMap((_, index) => {
      const found =
        before[index] === undefined
          ? this.#itemAdded(after[index]!, older)
          : after[index] === undefined
            ? this.#itemRemoved(before[index]!, newer)
            : this.compare(before[index], after[index])
      return below(`items/${index}`, found)
    })
  }

  #itemAdded(schema: JsonSchema, older: ArrayShape): readonly Difference[] {
    const [model] = modelOf(older.additional ?? older.all, older.unevaluated)
    if (model !== undefined) {
      const misfits = this.compare(model, schema)
      if (misfits.length === 0) return none
      const type = 'ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL'
      return [...misfits, difference(type)]
    }
    const isClosed = allowed(older.additional) === 'nothing'
    if (isClosed || resolved(schema).kind === 'true') return none
    return [difference('ITEM_ADDED_TO_OPEN_CONTENT_MODEL')]
  }

  #itemRemoved(schema: JsonSchema, newer: ArrayShape): readonly Difference[] {
    const [model] = modelOf(newer.additional ?? newer.all, newer.unevaluated)
    if (model !== undefined) {
      const misfits = this.compare(schema, model)
      if (misfits.length === 0) return none
      const type = 'ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL'
      return [...misfits, difference(type)]
    }
    const isClosed = allowed(newer.additional) === 'nothing'
    if (!isClosed || resolved(schema).kind === 'false') return none
    return [difference('ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL')]
  }
}

/** Told from an empty list by being another. */
const inProgress: readonly Difference[] = []

function difference(type: DifferenceType, path = ''): Difference {
  return { type, path }
}

function below(step: string, found: readonly Difference[]): readonly Difference[] {
  return found.map(({ type, path }) => difference(type, path === '' ? step : `${step}/${path}`))
}

function allowed(schema: JsonSchema | null): 'all' | 'nothing' | 'some' {
  const kind = schema === null ? 'true' : resolved(schema).kind
  return kind === 'true' ? 'all' : kind === 'false' ? 'nothing' : 'some'
}

function sizeOf({ properties, required, requiredWith }: ObjectShape): number {
  let size = properties.size + required.size
  for (const names of requiredWith.values()) size += 1 + names.size
  return size
}

function isOpen({ patterns, additional, unevaluated }: ObjectShape): boolean {
  return patterns.size === 0 && allowed(additional) === 'all' && allowed(unevaluated) === 'all'
}

/** The schema of what is not named, where there is one. */
function modelOf(additional: JsonSchema | null, unevaluated: JsonSchema | null): JsonSchema[] {
  if (allowed(additional) === 'some') return [additional!]
  return allowed(additional) === 'all' && allowed(unevaluated) === 'some' ? [unevaluated!] : []
}

function required(older: ObjectShape, newer: ObjectShape): readonly Difference[] {
  return [...newer.required]
    .filter((name) => older.properties.has(name) && newer.properties.has(name))
    .filter((name) => !older.required.has(name) && !newer.properties.get(name)!.hasDefault)
    .map((name) => difference('REQUIRED_ATTRIBUTE_ADDED', `required/${name}`))
}

function containsAll(set: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  return [...others].every((each) => set.has(each))
}

function strings(
  older: JsonSchema & { kind: 'string' },
  newer: JsonSchema & { kind: 'string' },
): readonly Difference[] {
  const found = [...bounds(older.bounds, newer.bounds)]
  if (newer.pattern !== null && newer.pattern !== older.pattern)
    found.push(difference(older.pattern === null ? 'PATTERN_ADDED' : 'PATTERN_CHANGED', 'pattern'))
  return found
}

function numbers(
  older: JsonSchema & { kind: 'number' },
  newer: JsonSchema & { kind: 'number' },
): readonly Difference[] {
  const found = [...bounds(older.bounds, newer.bounds)]
  const [before, after] = [older, newer].map((each) => each.bounds.get('multipleOf'))
  if (after !== undefined && before === undefined)
    found.push(difference('MULTIPLE_OF_ADDED', 'multipleOf'))
  if (after !== undefined && before !== undefined && !isMultiple(before, after))
    found.push(
      difference(
        isMultiple(after, before) ? 'MULTIPLE_OF_EXPANDED' : 'MULTIPLE_OF_CHANGED',
        'multipleOf',
      ),
    )
  if (newer.isInteger && !older.isInteger) found.push(difference('TYPE_NARROWED'))
  return found
}

function isMultiple(value: number, of: number): boolean {
  if (of === 0) return false
  const times = value / of
  return Math.abs(times - Math.round(times)) < 1e-9 * Math.max(1, Math.abs(times))
}

function enums(before: ReadonlySet<string>, after: ReadonlySet<string>): readonly Difference[] {
  if (containsAll(after, before)) return none
  return [
    difference(containsAll(before, after) ? 'ENUM_ARRAY_NARROWED' : 'ENUM_ARRAY_CHANGED', 'enum'),
  ]
}

/** Bounds by the name that differences have for them; `multipleOf` is none of them. */
const boundNames: Readonly<Record<string, string>> = {
  maxLength: 'MAX_LENGTH',
  minLength: 'MIN_LENGTH',
  maximum: 'MAXIMUM',
  minimum: 'MINIMUM',
  exclusiveMaximum: 'EXCLUSIVE_MAXIMUM',
  exclusiveMinimum: 'EXCLUSIVE_MINIMUM',
  maxProperties: 'MAX_PROPERTIES',
  minProperties: 'MIN_PROPERTIES',
  maxItems: 'MAX_ITEMS',
  minItems: 'MIN_ITEMS',
  maxContains: 'MAX_CONTAINS',
  minContains: 'MIN_CONTAINS',
}

function bounds(older: Bounds, newer: Bounds): readonly Difference[] {
  const found: Difference[] = []
  for (const [keyword, after] of newer) {
    const name = boundNames[keyword]
    if (name === undefined) continue
    const before = older.get(keyword)
    const isUpper = /max/i.test(keyword)
    if (before === undefined) found.push(difference(`${name}_ADDED` as DifferenceType, keyword))
    else if (isUpper && after < before)
      found.push(difference(`${name}_DECREASED` as DifferenceType, keyword))
    else if (!isUpper && after > before)
      found.push(difference(`${name}_INCREASED` as DifferenceType, keyword))
  }
  return found
}

/** How many of the rows can have a column of their own that fits (Kuhn's augmenting paths). */
function pairsOf(fits: readonly (readonly boolean[])[], budget: ComparisonBudget): number {
  const rowOf = new Map<number, number>()
  const place = (row: number, tried: Set<number>): boolean => {
    budget.lookUp(fits[row]!.length)
    const free = fits[row]!.findIndex((does, column) => does && !rowOf.has(column))
    if (free >= 0) {
      rowOf.set(free, row)
      return true
    }
    return fits[row]!.some((does, column) => {
      if (!does || tried.has(column)) return false
      tried.add(column)
      const holder = rowOf.get(column)
      if (holder !== undefined && !place(holder, tried)) return false
      rowOf.set(column, row)
      return true
    })
  }
  return fits.filter((_, row) => place(row, new Set())).length
}

/**
 * Whether all documents that are valid by an older JSON schema are valid by a newer one: the rules of the
 * usual registry, at its strict policy. Whether an object takes properties that its schema does not name
 * (its content model: open, closed, or open for what a schema allows) decides what may be added and
 * removed.
 *
 * In one thing it is stricter: patterns are not run. A property that patterns may or may not match has to
 * fit all of them to be added, and is not taken for covered by them when it is removed.
 *
 * How recursion ends: `comparison.ts`.
 */
import { type JudgedPairs, judged, pairsMax, tooLarge } from '../avro/comparison.ts'
import { type Difference, type DifferenceType, difference } from './differences.ts'
import { bounds, containsAll, enums, numbers, strings } from './keyword-differences.ts'
import { pairsOf } from './pairing.ts'
import { type ArrayShape, type JsonSchema, type ObjectShape, resolved } from './schema.ts'

/** Pairs within pairs, and how many differences one answer lists. */
const depthMax = 300
const differencesMax = 100

/** Empty: who has the newer schema can read what was written with the older one. Throws SchemaError. */
export function differences(older: JsonSchema, newer: JsonSchema): readonly Difference[] {
  return judged<JsonSchema, Difference>({ depthMax, metAgain: (found) => found }, (pairs) =>
    new Comparison(pairs).compare(older, newer),
  )
}

const none: readonly Difference[] = []

class Comparison {
  readonly #pairs: JudgedPairs<JsonSchema, Difference>

  constructor(pairs: JudgedPairs<JsonSchema, Difference>) {
    this.#pairs = pairs
  }

  compare(left: JsonSchema, right: JsonSchema): readonly Difference[] {
    const older = resolved(left)
    const newer = resolved(right)
    const judge = () => this.#judge(older, newer).slice(0, differencesMax)
    return this.#pairs.verdict(older, newer, judge)
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
        this.#pairs.budget.lookUp(older.values.size + newer.values.size)
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
    if (pairsOf(fits, this.#pairs.budget) < Math.min(before, after))
      found.push(difference('COMBINED_TYPE_SUBSCHEMAS_CHANGED'))
    return found
  }

  #objects(older: ObjectShape, newer: ObjectShape): readonly Difference[] {
    this.#pairs.budget.lookUp(sizeOf(older) + sizeOf(newer))
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
    this.#pairs.budget.lookUp(before.length + after.length)
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

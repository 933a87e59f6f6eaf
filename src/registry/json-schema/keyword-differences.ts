/**
 * Differences in the keywords of a JSON schema that hold no schemas: bounds, patterns, numbers, values of an
 * enum and lists of names.
 */
import { type Difference, type DifferenceType, difference } from './differences.ts'
import type { Bounds, JsonSchema } from './schema.ts'

export function containsAll(set: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  return [...others].every((each) => set.has(each))
}

export function strings(
  older: JsonSchema & { kind: 'string' },
  newer: JsonSchema & { kind: 'string' },
): readonly Difference[] {
  const found = [...bounds(older.bounds, newer.bounds)]
  if (newer.pattern !== null && newer.pattern !== older.pattern)
    found.push(difference(older.pattern === null ? 'PATTERN_ADDED' : 'PATTERN_CHANGED', 'pattern'))
  return found
}

export function numbers(
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

export function enums(
  before: ReadonlySet<string>,
  after: ReadonlySet<string>,
): readonly Difference[] {
  if (containsAll(after, before)) return []
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

export function bounds(older: Bounds, newer: Bounds): readonly Difference[] {
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

/** What keeps a JSON schema from following another, in the usual registry's names and words. */
import type { Sides } from '../avro/comparison.ts'

export interface Difference {
  readonly type: DifferenceType
  /** Below the root, without a slash before it. */
  readonly path: string
}

export function difference(type: DifferenceType, path = ''): Difference {
  return { type, path }
}

type Said = (at: string, sides: Sides) => string

const added: Said = (at, { reader, writer }) =>
  `The keyword at path '${at}' in the ${reader} schema is not present in the ${writer} schema`
const increased: Said = (at, { reader, writer }) =>
  `The value at path '${at}' in the ${reader} schema is more than its value in the ${writer} schema`
const decreased: Said = (at, { reader, writer }) =>
  `The value at path '${at}' in the ${reader} schema is less than its value in the ${writer} schema`
const changed: Said = (at, { reader, writer }) =>
  `The value at path '${at}' is different between the ${reader} and ${writer} schema`
const narrowed: Said = (at, { reader, writer }) =>
  `An array or combined type at path '${at}' has fewer elements in the ${reader} schema than the ${writer} schema`
const extended: Said = (at, { reader, writer }) =>
  `An array or combined type at path '${at}' has more elements in the ${reader} schema than the ${writer} schema`
const another: Said = (at, { reader, writer }) =>
  `A type at path '${at}' is different between the ${reader} schema and the ${writer} schema`
const addedToOpen: Said = (at, { reader, writer }) =>
  `The ${reader} schema has an open content model and has a property or item at path '${at}' which is missing in the ${writer} schema`
const addedToUnopen: Said = (at, { reader, writer }) =>
  `The ${reader} schema has an unopen content model and has a required property at path '${at}' which is missing in the ${writer} schema`
const removed: Said = (at, { reader, writer }) =>
  `The ${reader} has a closed content model and is missing a property or item present at path '${at}' in the ${writer} schema`
const notCovered: Said = (at, { reader, writer }) =>
  `A property or item is missing in the ${reader} schema but present at path '${at}' in the ${writer} schema and is not covered by its partially open content model`
const addedNotCovered: Said = (at, { reader, writer }) =>
  `The ${reader} schema has a property or item at path '${at}' which is missing in the ${writer} schema and is not covered by its partially open content model`

const words = {
  SCHEMA_ADDED: added,
  TYPE_CHANGED: another,
  TYPE_NARROWED: another,
  MAX_LENGTH_ADDED: added,
  MAX_LENGTH_DECREASED: decreased,
  MIN_LENGTH_ADDED: added,
  MIN_LENGTH_INCREASED: increased,
  PATTERN_ADDED: added,
  PATTERN_CHANGED: changed,
  MAXIMUM_ADDED: added,
  MAXIMUM_DECREASED: decreased,
  MINIMUM_ADDED: added,
  MINIMUM_INCREASED: increased,
  EXCLUSIVE_MAXIMUM_ADDED: added,
  EXCLUSIVE_MAXIMUM_DECREASED: decreased,
  EXCLUSIVE_MINIMUM_ADDED: added,
  EXCLUSIVE_MINIMUM_INCREASED: increased,
  MULTIPLE_OF_ADDED: added,
  MULTIPLE_OF_EXPANDED: increased,
  MULTIPLE_OF_CHANGED: changed,
  REQUIRED_ATTRIBUTE_ADDED: added,
  MAX_PROPERTIES_ADDED: added,
  MAX_PROPERTIES_DECREASED: decreased,
  MIN_PROPERTIES_ADDED: added,
  MIN_PROPERTIES_INCREASED: increased,
  ADDITIONAL_PROPERTIES_REMOVED: added,
  ADDITIONAL_PROPERTIES_NARROWED: narrowed,
  UNEVALUATED_PROPERTIES_REMOVED: added,
  UNEVALUATED_PROPERTIES_NARROWED: narrowed,
  DEPENDENCY_ARRAY_ADDED: added,
  DEPENDENCY_ARRAY_EXTENDED: extended,
  DEPENDENCY_ARRAY_CHANGED: changed,
  DEPENDENCY_SCHEMA_ADDED: added,
  REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL: addedToOpen,
  REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL: addedToOpen,
  OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL: addedToOpen,
  REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL: addedToUnopen,
  PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL: removed,
  PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL: notCovered,
  PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL: addedNotCovered,
  MAX_ITEMS_ADDED: added,
  MAX_ITEMS_DECREASED: decreased,
  MIN_ITEMS_ADDED: added,
  MIN_ITEMS_INCREASED: increased,
  MAX_CONTAINS_ADDED: added,
  MAX_CONTAINS_DECREASED: decreased,
  MIN_CONTAINS_ADDED: added,
  MIN_CONTAINS_INCREASED: increased,
  UNIQUE_ITEMS_ADDED: added,
  ADDITIONAL_ITEMS_REMOVED: added,
  ADDITIONAL_ITEMS_NARROWED: narrowed,
  UNEVALUATED_ITEMS_REMOVED: added,
  UNEVALUATED_ITEMS_NARROWED: narrowed,
  ITEM_ADDED_TO_OPEN_CONTENT_MODEL: addedToOpen,
  ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL: removed,
  ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL: notCovered,
  ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL: addedNotCovered,
  ENUM_ARRAY_NARROWED: narrowed,
  ENUM_ARRAY_CHANGED: another,
  COMBINED_TYPE_CHANGED: another,
  PRODUCT_TYPE_EXTENDED: extended,
  SUM_TYPE_NARROWED: narrowed,
  COMBINED_TYPE_SUBSCHEMAS_CHANGED: another,
  NOT_TYPE_EXTENDED: extended,
} as const

export type DifferenceType = keyof typeof words

export function describeDifference({ type, path }: Difference, sides: Sides): string {
  return `{errorType:"${type}", description:"${words[type](`#/${path}`, sides)}'}`
}

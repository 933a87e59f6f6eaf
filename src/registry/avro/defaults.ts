/**
 * Whether a JSON value may be the default of a field. It looks no further than the value itself: fields
 * that it leaves out have defaults of their own, which are checked on their own.
 */
import { Fraction, type Json } from '../../connect/json-text.ts'
import type { AvroSchema } from './schema.ts'

export function defaultFits(schema: AvroSchema, value: Json): boolean {
  switch (schema.kind) {
    case 'null':
      return value === null
    case 'boolean':
      return typeof value === 'boolean'
    case 'int':
      return typeof value === 'bigint' && BigInt.asIntN(32, value) === value
    case 'long':
      return typeof value === 'bigint' && BigInt.asIntN(64, value) === value
    case 'float':
    case 'double':
      return isNumber(value)
    case 'bytes':
    case 'string':
    case 'fixed':
      return typeof value === 'string'
    case 'enum':
      return typeof value === 'string'
    case 'array':
      return Array.isArray(value) && value.every((element) => defaultFits(schema.items, element))
    case 'map':
      return (
        value instanceof Map &&
        [...value.values()].every((element) => defaultFits(schema.values, element))
      )
    case 'union':
      return schema.branches.some((branch) => defaultFits(branch, value))
    case 'record':
      return (
        value instanceof Map &&
        schema.fields.every((field) => {
          const given = value.get(field.name)
          if (given === undefined) return field.fallback !== undefined
          return defaultFits(field.schema, given)
        })
      )
  }
}

/** Numbers that JSON cannot say are texts. */
function isNumber(value: Json): boolean {
  if (typeof value === 'bigint' || value instanceof Fraction) return true
  if (typeof value !== 'string' || value.trim() === '') return false
  return value === 'NaN' || !Number.isNaN(Number(value))
}

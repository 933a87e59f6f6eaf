/**
 * Whether JSON values may be the defaults of a schema's fields. It looks no further than a value itself: fields
 * that it leaves out have defaults of their own, which are checked on their own.
 *
 * Unions within unions try one branch after the other, and may so look at one value very often: all defaults of
 * a schema together have a budget.
 */
import { Fraction, type Json, type JsonObject } from '../../connect/json-text.ts'
import { type AvroSchema, type RecordSchema, SchemaError } from './schema.ts'

/** Values and fields looked at, each once for every type that it might be of. */
const looksMax = 500_000

export class DefaultChecks {
  #looks = 0

  /** Throws SchemaError beyond the budget. */
  fits(schema: AvroSchema, value: Json): boolean {
    this.#look(1)
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
      case 'enum':
        return typeof value === 'string'
      case 'array':
        return Array.isArray(value) && value.every((element) => this.fits(schema.items, element))
      case 'map':
        return (
          value instanceof Map &&
          [...value.values()].every((element) => this.fits(schema.values, element))
        )
      case 'union':
        return schema.branches.some((branch) => this.fits(branch, value))
      case 'record':
        return value instanceof Map && this.#haveFields(schema, value)
    }
  }

  #haveFields({ fields }: RecordSchema, value: JsonObject): boolean {
    this.#look(fields.length)
    return fields.every((field) => {
      const given = value.get(field.name)
      if (given === undefined) return field.fallback !== undefined
      return this.fits(field.schema, given)
    })
  }

  #look(count: number): void {
    this.#looks += count
    if (this.#looks > looksMax)
      throw new SchemaError('The defaults of the schema are too large to be checked')
  }
}

/** Numbers that JSON cannot say are texts. */
function isNumber(value: Json): boolean {
  if (typeof value === 'bigint' || value instanceof Fraction) return true
  if (typeof value !== 'string' || value.trim() === '') return false
  return value === 'NaN' || !Number.isNaN(Number(value))
}

/** The text of a schema, of whatever type is written in JSON, with all digits of its numbers. */
import { DataException } from '../../connect/failures.ts'
import { type Json, parseJson } from '../../connect/json-text.ts'
import { SchemaError } from './schema.ts'

/** Throws SchemaError. */
export function jsonOf(text: string): Json {
  try {
    return parseJson(text)
  } catch (error) {
    if (!(error instanceof DataException)) throw error
    throw new SchemaError(error.message, { cause: error })
  }
}

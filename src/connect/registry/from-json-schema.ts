/**
 * What a JSON Schema says of data, as a schema of Connect: enough to give columns their types. Values stay plain JSON,
 * since such a schema may leave open what it does not name; where it says nothing, or too much at once, there is no
 * schema, and the values themselves show what they are.
 *
 * | JSON Schema | Connect |
 * | --- | --- |
 * | boolean, integer, number, string | BOOLEAN, INT64, FLOAT64, STRING |
 * | string of the format date, date-time | Date, MicroTimestamp |
 * | enum and const | what all their values are |
 * | array of items | ARRAY |
 * | object with properties | STRUCT |
 * | object with additionalProperties alone | MAP |
 * | one of something and null | that |
 * | all of several, and one of several objects | all their fields |
 *
 * All is optional: what has to be there the producer's serializer has checked.
 */
import type { JsonSchema, ObjectShape } from '../../registry/json-schema/schema.ts'
import { resolved } from '../../registry/json-schema/schema.ts'
import { arrayOf, date, mapOf, microTimestamp, primitive, type Schema, structOf } from '../data.ts'

const optional = { optional: true }

/** Null: it says nothing that has columns. Throws SchemaError for references that lead nowhere. */
export function fromJsonSchema(schema: JsonSchema): Schema | null {
  return new Translation().of(schema)
}

class Translation {
  /** A schema within itself says no more than it has said. */
  readonly #open = new Set<JsonSchema>()

  of(given: JsonSchema): Schema | null {
    const schema = resolved(given)
    if (this.#open.has(schema)) return null
    this.#open.add(schema)
    const found = this.#found(schema)
    this.#open.delete(schema)
    return found
  }

  #found(schema: JsonSchema): Schema | null {
    switch (schema.kind) {
      case 'boolean':
        return primitive('BOOLEAN', optional)
      case 'number':
        return primitive(schema.isInteger ? 'INT64' : 'FLOAT64', optional)
      case 'string':
        if (schema.format === 'date') return date(optional)
        return schema.format === 'date-time'
          ? microTimestamp(optional)
          : primitive('STRING', optional)
      case 'enum':
        return ofEnum(schema.values)
      case 'array': {
        const items = schema.all === null ? null : this.of(schema.all)
        return items === null ? null : arrayOf(items, optional)
      }
      case 'object':
        return this.#ofObject(schema)
      case 'combined': {
        const parts = schema.schemas.filter((part) => resolved(part).kind !== 'null')
        const found = parts.map((part) => this.of(part))
        return schema.criterion === 'allOf' ? ofAll(found) : ofOne(found)
      }
      default:
        return null
    }
  }

  #ofObject({ properties, patterns, additional }: ObjectShape): Schema | null {
    const fields = [...properties].flatMap(([name, each]) => {
      const schema = this.of(each)
      return schema === null ? [] : [[name, schema] as const]
    })
    if (fields.length > 0) return structOf(fields, optional)
    if (properties.size + patterns.size > 0 || additional === null) return null
    const values = this.of(additional)
    return values === null ? null : mapOf(primitive('STRING'), values, optional)
  }
}

/** By the texts of the values. */
function ofEnum(values: ReadonlySet<string>): Schema | null {
  const types = [...values].flatMap((text) => {
    if (text === 'null') return []
    if (text === 'true' || text === 'false') return primitive('BOOLEAN', optional)
    if (text.startsWith('"')) return primitive('STRING', optional)
    if (!/^-?\d/.test(text)) return null
    return primitive(/^-?\d{1,18}$/.test(text) ? 'INT64' : 'FLOAT64', optional)
  })
  return ofOne(types)
}

function ofAll(found: readonly (Schema | null)[]): Schema | null {
  const said = found.filter((schema) => schema !== null)
  return said.every(({ type }) => type === 'STRUCT') ? joined(said) : (said[0] ?? null)
}

/** What is one or the other is of a type that holds both. */
function ofOne(found: readonly (Schema | null)[]): Schema | null {
  const [first] = found
  if (first === undefined || first === null) return null
  if (found.every((schema) => first.equals(schema))) return first
  const types = new Set(found.map((schema) => schema?.type))
  if ([...types].every((type) => type === 'STRUCT')) return joined(found as readonly Schema[])
  const areNumbers = [...types].every((type) => type === 'INT64' || type === 'FLOAT64')
  return areNumbers && first.name === null ? primitive('FLOAT64', optional) : null
}

/** Of fields that several have, those of one type: what the others are shows in the values. */
function joined(structs: readonly Schema[]): Schema | null {
  const fields = new Map<string, Schema | null>()
  for (const struct of structs) {
    for (const { name, schema } of struct.fields) {
      const known = fields.get(name)
      fields.set(name, known === undefined || known?.equals(schema) ? schema : null)
    }
  }
  const said = [...fields].flatMap(([name, schema]) =>
    schema === null ? [] : [[name, schema] as const],
  )
  return said.length === 0 ? null : structOf(said, optional)
}

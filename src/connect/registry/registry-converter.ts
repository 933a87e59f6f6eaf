/**
 * Reads whatever serializers write that ask the cluster's schema registry, each value by the schema that it names. Avro
 * comes as Connect's data with all that its logical types say; JSON stays as it is, with what its schema says beside it.
 */

import { parseAvro } from '../../registry/avro/parse.ts'
import type { AvroSchema } from '../../registry/avro/schema.ts'
import { parseJsonSchema } from '../../registry/json-schema/schema.ts'
import type { FoundSchema, StoredSchemas } from '../../registry/stored-schemas.ts'
import { type Reading, readingOf } from '../avro/to-connect.ts'
import type { Converter } from '../converters/converter.ts'
import { JsonValues } from '../converters/json.ts'
import { nullValue, type Schema, type SchemaAndValue } from '../data.ts'
import { DataException } from '../failures.ts'
import { parseJson } from '../json-text.ts'
import { fromJsonSchema } from './from-json-schema.ts'
import { avroValue, headBytes, keepPlan, schemaIdOf, told } from './wire-format.ts'

const avroOptions = { enhanced: false, metaData: false, flattensSingletons: true, isFine: true }
const jsonValues = new JsonValues(false, true)

/** What a schema says of its values, and how they are read. */
interface Plan {
  readonly schema: Schema | null
  readonly read: (bytes: Buffer) => SchemaAndValue
}

export type SchemaSource = Pick<StoredSchemas, 'withId' | 'latest'>

export class RegistryConverter implements Converter {
  readonly #schemas: SchemaSource
  readonly #subject: string | null
  readonly #plans = new Map<number, Plan>()

  /** `subject`: of which all schemas have to be versions; null: of any. */
  constructor(schemas: SchemaSource, subject: string | null) {
    this.#schemas = schemas
    this.#subject = subject
  }

  toConnectData(_topic: string, bytes: Buffer | null): SchemaAndValue | Promise<SchemaAndValue> {
    if (bytes === null) return nullValue
    const id = schemaIdOf(bytes)
    const known = this.#plans.get(id)
    if (known !== undefined) return told(() => known.read(bytes))
    return this.#plan(id).then(({ read }) => told(() => read(bytes)))
  }

  fromConnectData(): never {
    throw new DataException('The schema registry is only read here')
  }

  async #plan(id: number): Promise<Plan> {
    const found = await this.#schemas.withId(id)
    if (found === null) throw new DataException(`The schema registry has no schema ${id}`)
    const subject = this.#subject
    if (subject !== null && !found.subjects.includes(subject))
      throw new DataException(
        `Schema ${id} is of the subject ${found.subjects.join(', ')}, and not of ${subject}`,
      )
    const plan = planOf(found)
    keepPlan(this.#plans, id, plan)
    return plan
  }
}

/** What a schema says of its values; null: nothing that has columns. Throws DataException. */
export function dataSchemaOf(found: FoundSchema): Schema | null {
  return planOf(found).schema
}

function planOf({ id, type, text, references }: FoundSchema): Plan {
  return told(() => {
    switch (type) {
      case 'AVRO': {
        const { schema } = parseAvro(text, {
          references: [...references.values()],
          isStrict: false,
        })
        const reading = avroReading(schema)
        return { schema: reading.schema, read: (bytes) => avroValue(reading, bytes) }
      }
      case 'JSON': {
        const schema = fromJsonSchema(parseJsonSchema(text, references).schema)
        return { schema, read: (bytes) => ({ schema, value: jsonValue(bytes) }) }
      }
      default:
        throw new DataException(
          `Schema ${id} is of the type ${type}, whose values are not read here`,
        )
    }
  })
}

function avroReading(schema: AvroSchema): Reading {
  return readingOf(schema, avroOptions, null)
}

function jsonValue(bytes: Buffer): unknown {
  return jsonValues.fromJson(null, parseJson(bytes.toString('utf8', headBytes)))
}

/**
 * The kinds of schema that the registry takes, behind one face: how a text is read, how it is stored, and
 * whether one schema reads what another wrote. Avro and JSON Schema are understood; Protobuf is kept as it
 * came, and a change of it is accepted only where no compatibility is asked for.
 */
import assert from 'node:assert'
import { writeJson } from '../connect/json-text.ts'
import type { Sides } from './avro/comparison.ts'
import { describeDifference, differences } from './avro/compatibility.ts'
import { type ParsedAvro, parseAvro } from './avro/parse.ts'
import { schemaText } from './avro/print.ts'
import { SchemaError } from './avro/schema.ts'
import * as json from './json-schema/compatibility.ts'
import { describeDifference as describeJsonDifference } from './json-schema/differences.ts'
import { normalizedJson, type ParsedJsonSchema, parseJsonSchema } from './json-schema/schema.ts'

export const schemaTypes = ['AVRO', 'JSON', 'PROTOBUF'] as const
export type SchemaType = (typeof schemaTypes)[number]

export function schemaTypeOf(name: string): SchemaType | undefined {
  return schemaTypes.find((type) => type === name)
}

export interface Source {
  readonly type: SchemaType
  readonly text: string
  /** Texts of the schemas that it refers to, by the names under which it does. */
  readonly references: ReadonlyMap<string, string>
}

export interface ParsedSchema {
  readonly type: SchemaType
  /** As it is stored. */
  readonly text: string
  /** The same for all schemas that mean the same. */
  normalizedText(): string
  /**
   * What keeps this schema from reading what `writer`, of the same type, wrote; empty where nothing does.
   * Throws SchemaError.
   */
  cannotRead(writer: ParsedSchema, sides: Sides): readonly string[]
}

/** Throws SchemaError. `isStrict` is false for what is registered already. */
export function parseSchema(source: Source, { isStrict = true } = {}): ParsedSchema {
  if (source.type === 'PROTOBUF') return new ProtobufText(source.text)
  if (source.type === 'JSON')
    return new JsonSchemaText(parseJsonSchema(source.text, source.references))
  return new AvroSchemaText(
    parseAvro(source.text, { references: [...source.references.values()], isStrict }),
  )
}

class AvroSchemaText implements ParsedSchema {
  readonly type = 'AVRO'
  readonly text: string
  readonly #parsed: ParsedAvro

  constructor(parsed: ParsedAvro) {
    this.#parsed = parsed
    this.text = schemaText(parsed)
  }

  normalizedText(): string {
    return schemaText(this.#parsed, { isNormalized: true })
  }

  cannotRead(writer: ParsedSchema, sides: Sides): readonly string[] {
    assert(writer instanceof AvroSchemaText)
    return differences(this.#parsed.schema, writer.#parsed.schema).map((difference) =>
      describeDifference(difference, sides),
    )
  }
}

class JsonSchemaText implements ParsedSchema {
  readonly type = 'JSON'
  readonly text: string
  readonly #parsed: ParsedJsonSchema

  constructor(parsed: ParsedJsonSchema) {
    this.#parsed = parsed
    this.text = writeJson(parsed.json)
  }

  normalizedText(): string {
    return writeJson(normalizedJson(this.#parsed.json))
  }

  cannotRead(writer: ParsedSchema, sides: Sides): readonly string[] {
    assert(writer instanceof JsonSchemaText)
    return json
      .differences(writer.#parsed.schema, this.#parsed.schema)
      .map((difference) => describeJsonDifference(difference, sides))
  }
}

class ProtobufText implements ParsedSchema {
  readonly type = 'PROTOBUF'
  readonly text: string

  /** Throws SchemaError where there is nothing. */
  constructor(text: string) {
    if (text.trim() === '') throw new SchemaError('A Protobuf schema is not empty')
    this.text = text
  }

  normalizedText(): string {
    return this.text
  }

  cannotRead(writer: ParsedSchema): readonly string[] {
    if (writer.text === this.text) return []
    return [
      "{errorType:'NOT_CHECKED', description:'The compatibility of Protobuf schemas is not checked here: only with compatibility NONE may a subject have another'}",
    ]
  }
}

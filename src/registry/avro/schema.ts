/**
 * An Avro schema as a graph: a name that refers to a record, an enum or a fixed is the same object as its
 * definition, so a record may contain itself. Made by `parse.ts`, written by `print.ts`.
 *
 * What lives in this folder: Avro alone, its schemas and its binary form. What must not: registries,
 * topics, connectors; both the registry and the Avro converter stand on it.
 */
import type { Json } from '../../connect/json-text.ts'

/** What Avro's specification does not allow, or what goes beyond a limit; the message is for the author. */
export class SchemaError extends Error {}

export const primitiveNames = [
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
] as const
export type PrimitiveName = (typeof primitiveNames)[number]

/** Attributes that Avro does not know itself, `logicalType` among them, in the order of the text. */
export type Properties = ReadonlyMap<string, Json>

interface Node {
  readonly props: Properties
  /** Null: none, or one that does not fit the type and is to be ignored. */
  readonly logical: LogicalType | null
}

export type LogicalType =
  | { readonly name: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly name: PlainLogicalName }

export type PlainLogicalName =
  | 'date'
  | 'time-millis'
  | 'time-micros'
  | 'timestamp-millis'
  | 'timestamp-micros'
  | 'timestamp-nanos'
  | 'local-timestamp-millis'
  | 'local-timestamp-micros'
  | 'local-timestamp-nanos'
  | 'uuid'
  | 'duration'
  | 'big-decimal'

export interface PrimitiveSchema extends Node {
  readonly kind: PrimitiveName
}

export interface ArraySchema extends Node {
  readonly kind: 'array'
  readonly items: AvroSchema
}

export interface MapSchema extends Node {
  readonly kind: 'map'
  readonly values: AvroSchema
}

export interface UnionSchema extends Node {
  readonly kind: 'union'
  /** None of them a union, no two of one kind or, where they have names, of one name. */
  readonly branches: readonly AvroSchema[]
}

interface Named extends Node {
  readonly name: Name
  readonly doc: string | null
  readonly aliases: readonly Name[]
}

export interface EnumSchema extends Named {
  readonly kind: 'enum'
  readonly symbols: readonly string[]
  /** The same, to look one up. */
  readonly symbolSet: ReadonlySet<string>
  /** What a reader takes for symbols that it does not know. */
  readonly fallback: string | null
}

export interface FixedSchema extends Named {
  readonly kind: 'fixed'
  readonly size: number
}

export interface RecordSchema extends Named {
  readonly kind: 'record'
  /** Declared as `error`, which is a record in all but its name. */
  readonly isError: boolean
  readonly fields: readonly Field[]
  readonly fieldsByName: ReadonlyMap<string, Field>
}

export interface Field {
  readonly name: string
  readonly position: number
  readonly schema: AvroSchema
  readonly doc: string | null
  /** Undefined: none. */
  readonly fallback: Json | undefined
  readonly order: 'ascending' | 'descending' | 'ignore'
  readonly aliases: readonly string[]
  readonly props: Properties
}

export type NamedSchema = RecordSchema | EnumSchema | FixedSchema
export type AvroSchema = PrimitiveSchema | ArraySchema | MapSchema | UnionSchema | NamedSchema

/** `space` is empty for the null namespace. */
export class Name {
  readonly short: string
  readonly space: string

  constructor(short: string, space: string) {
    this.short = short
    this.space = space
  }

  get full(): string {
    return this.space === '' ? this.short : `${this.space}.${this.short}`
  }

  /** As short as it may be written inside `space` and still be understood. */
  within(space: string): string {
    return this.space === space && !typeNames.has(this.short) ? this.short : this.full
  }
}

const typeNames: ReadonlySet<string> = new Set([
  ...primitiveNames,
  ...['record', 'error', 'enum', 'array', 'map', 'union', 'fixed'],
])

export function isNamed(schema: AvroSchema): schema is NamedSchema {
  return schema.kind === 'record' || schema.kind === 'enum' || schema.kind === 'fixed'
}

/** What tells branches of a union apart. */
export function branchName(schema: AvroSchema): string {
  return isNamed(schema) ? schema.name.full : schema.kind
}

/**
 * `protocol/` is the wire, and nothing but: what travels between clients, brokers and controllers,
 * and what they store. It imports itself, `node:` built-ins and the packages of the codecs, and
 * knows nothing of clocks, sockets, files or state. In reading order:
 *
 * - `types.ts`, `schema.ts`: the language in which messages are written down
 * - `messages/`: one file per API, the request's table and the response's; `apis.ts` lists them
 * - `state/`: the tables of what is stored, and the frames around stored records
 * - `reader.ts`, `writer.ts`: cursors over bytes; `codec.ts` compiles a table's version to code
 * - `frame.ts`: lengths and headers of requests and responses; `errors.ts`: Kafka's errors
 * - `records/`: record batches, of which the rest of the protocol knows only the length
 *
 * This file is the language in which messages are written down. A message is a table of fields in
 * wire order; its encoder, its decoder, its TypeScript type, its row in ApiVersions and its fuzz
 * inputs all come from that one table.
 *
 *     export const heartbeatRequest = message(
 *       12,
 *       'HeartbeatRequest',
 *       { valid: '0-4', flexible: '4+' },
 *       {
 *         groupId: string,
 *         generationId: int32,
 *         memberId: string,
 *         groupInstanceId: since(3, nullable(string)), // KIP-345: static membership.
 *       },
 *     )
 *     export type HeartbeatRequest = MessageOf<typeof heartbeatRequest>
 *
 * One object shape serves all versions: decoding gives every field, those that the version lacks
 * with their default. Encoding drops, silently, what the version lacks.
 */

import type { Primitive, Type, Uuid, Versions } from './types.ts'
import { allVersions, intersect, noVersions, parseVersions, zeroUuid } from './types.ts'

/** A field: its type, the versions that have it, and what stands in where it is absent. */
export class Field<Value = unknown, Input = Value, Optional extends boolean = boolean> {
  readonly type: Type<Fields>
  /** The versions that have the field, within those of the structure around it. */
  readonly versions: Versions
  /** The versions, within `versions`, in which it may be null. */
  readonly nullable: Versions
  /** The tag's number, or null for a field in its place. A tag counts in flexible versions only. */
  readonly tag: number | null
  /** False for a string that keeps its two-byte length even in flexible versions. */
  readonly compact: boolean
  readonly default: unknown
  /**
   * For the compiler only: what decoding gives, what encoding takes, and whether it can be left
   * out.
   */
  declare readonly value: Value
  declare readonly input: Input
  declare readonly optional: Optional

  constructor(type: Type<Fields>, rules: FieldRules) {
    this.type = type
    this.versions = rules.versions
    this.nullable = rules.nullable
    this.tag = rules.tag
    this.compact = rules.compact
    this.default = rules.default
  }
}

type FieldRules = Pick<Field, 'versions' | 'nullable' | 'tag' | 'compact' | 'default'>

/** Fields by name, in wire order. */
export type Fields = { readonly [name: string]: Field }

/** What decoding gives for these fields: all of them. */
export type ValueOf<F extends Fields> = { readonly [K in keyof F]: F[K]['value'] }

type OptionalKeys<F extends Fields> = {
  [K in keyof F]: F[K]['optional'] extends true ? K : never
}[keyof F]

type Flat<T> = { [K in keyof T]: T[K] }

/** What encoding takes: fields with a default may be left out. */
export type FieldsInput<F extends Fields> = Flat<
  { [K in Exclude<keyof F, OptionalKeys<F>>]: F[K]['input'] } & {
    [K in OptionalKeys<F>]?: F[K]['input'] | undefined
  }
>

/** A message: one table for all its versions. */
export interface Message<F extends Fields = Fields, Name extends string = string> {
  /** The API's key, a stored record's type, or null for a message without a number. */
  readonly key: number | null
  readonly name: Name
  readonly valid: Versions
  /** The versions with compact lengths and tagged fields (KIP-482). */
  readonly flexible: Versions
  readonly fields: F
}

/** The decoded form of a message. */
export type MessageOf<M extends Message> = ValueOf<M['fields']>

/** The form in which a message is given to the encoder. */
export type InputOf<M extends Message> = FieldsInput<M['fields']>

export function message<const Name extends string, F extends Fields>(
  key: number | null,
  name: Name,
  versions: { valid: string; flexible: string },
  fields: F,
): Message<F, Name> {
  const valid = parseVersions(versions.valid)
  return { key, name, valid, flexible: parseVersions(versions.flexible), fields }
}

function primitive<T>(name: Primitive, empty: T): Field<T, T, false> {
  return plain({ kind: 'primitive', name }, empty)
}

function plain<V, I>(type: Type<Fields>, empty: unknown): Field<V, I, false> {
  return new Field(type, {
    versions: allVersions,
    nullable: noVersions,
    tag: null,
    compact: true,
    default: empty,
  })
}

export const bool = primitive<boolean>('bool', false)
export const int8 = primitive<number>('int8', 0)
export const int16 = primitive<number>('int16', 0)
export const uint16 = primitive<number>('uint16', 0)
export const int32 = primitive<number>('int32', 0)
export const uint32 = primitive<number>('uint32', 0)
export const int64 = primitive<number>('int64', 0)
/** Of which every bit counts, as in a hash. */
export const int64Exact = primitive<bigint>('int64Exact', 0n)
export const float64 = primitive<number>('float64', 0)
export const uuid = primitive<Uuid>('uuid', zeroUuid)
export const string = primitive<string>('string', '')
/** A slice of the frame that was decoded, not a copy. */
export const bytes = primitive<Buffer>('bytes', Buffer.alloc(0))
/** Record batches as they are: chunks one after another, neither copied nor looked into. */
export const records = primitive<readonly Buffer[]>('records', Object.freeze([]))

/** An array of primitives, or of structures with the given fields. */
export function array<V, I>(element: Field<V, I>): Field<readonly V[], readonly I[], false>
export function array<F extends Fields>(
  fields: F,
): Field<readonly ValueOf<F>[], readonly FieldsInput<F>[], false>
export function array(
  element: Field | Fields,
): Field<readonly unknown[], readonly unknown[], false> {
  const type = element instanceof Field ? element.type : structType(element)
  return plain({ kind: 'array', element: type }, Object.freeze([]))
}

/** A structure inside a message. Its default is all of its fields' defaults. */
export function struct<F extends Fields>(fields: F): Field<ValueOf<F>, FieldsInput<F>, false> {
  return plain(structType(fields), defaultsOf(fields))
}

function structType(fields: Fields): Type<Fields> {
  return { kind: 'struct', fields }
}

function defaultsOf(fields: Fields): unknown {
  const entries = Object.entries(fields).map(([name, field]) => [name, field.default])
  return Object.freeze(Object.fromEntries(entries))
}

function change<V, I, O extends boolean>(
  field: Field,
  changes: Partial<FieldRules>,
): Field<V, I, O> {
  const { versions, nullable, tag, compact } = field
  return new Field(field.type, {
    versions,
    nullable,
    tag,
    compact,
    default: field.default,
    ...changes,
  })
}

/** The field exists from this version on. */
export function since<V, I>(version: number, field: Field<V, I>): Field<V, I, true> {
  return change(field, {
    versions: intersect(field.versions, { min: version, max: allVersions.max }),
  })
}

/** The field exists up to and including this version. */
export function until<V, I>(version: number, field: Field<V, I>): Field<V, I, true> {
  return change(field, { versions: intersect(field.versions, { min: 0, max: version }) })
}

/** The field exists in this range of versions. */
export function versions<V, I>(range: string, field: Field<V, I>): Field<V, I, true> {
  return change(field, { versions: intersect(field.versions, parseVersions(range)) })
}

/** May be null, in all versions, and is null where nothing is said. */
export function nullable<V, I>(field: Field<V, I>): Field<V | null, I | null, true> {
  return change(field, { nullable: allVersions, default: null })
}

/** May be null from this version on; earlier, encoding null throws. The default stays. */
export function nullableSince<V, I, O extends boolean>(
  version: number,
  field: Field<V, I, O>,
): Field<V | null, I | null, O> {
  return change(field, { nullable: { min: version, max: allVersions.max } })
}

/** A tagged field (KIP-482): after the others, by number, and left out while it has its default. */
export function tagged<V, I>(tag: number, field: Field<V, I>): Field<V, I, true> {
  return change(field, { tag })
}

/** What stands in where the field is absent or not given. */
export function withDefault<V, I>(value: NoInfer<I>, field: Field<V, I>): Field<V, I, true> {
  return change(field, { default: value })
}

/** Keeps the two-byte length of a string even in flexible versions, as the request header must. */
export function neverCompact<V, I, O extends boolean>(field: Field<V, I, O>): Field<V, I, O> {
  return change(field, { compact: false })
}

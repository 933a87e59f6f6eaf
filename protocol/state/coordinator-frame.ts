/**
 * How coordinators store what they know in their topics: the record's key starts with the number
 * of its kind, its value with the version of the value's table, both int16; a null value is a
 * tombstone.
 */
import { codec } from '../codec.ts'
import { MalformedError, Reader } from '../reader.ts'
import type { InputOf, Message, MessageOf } from '../schema.ts'
import { includes } from '../types.ts'
import { Writer } from '../writer.ts'

/** One kind of record. The kind's number is the key of both tables. */
export interface CoordinatorRecordKind {
  readonly key: Message
  readonly value: Message
}

/** The kinds of records in one topic, by name. */
export interface CoordinatorRecordKinds {
  readonly [name: string]: CoordinatorRecordKind
}

/** A decoded record; `type` is the kind's name and tells the types of key and value. */
export type CoordinatorRecord<Kinds extends CoordinatorRecordKinds> = {
  [Type in keyof Kinds]: {
    readonly type: Type
    readonly key: MessageOf<Kinds[Type]['key']>
    /** Null in a tombstone. */
    readonly value: MessageOf<Kinds[Type]['value']> | null
  }
}[keyof Kinds]

/** Keys exist in one version only, and their tables count it as 0. */
const keyVersion = 0

export function encodeCoordinatorKey<M extends Message>(table: M, key: InputOf<M>): Buffer {
  return prefixed(table.key as number, table, keyVersion, key)
}

export function encodeCoordinatorValue<M extends Message>(
  table: M,
  version: number,
  value: InputOf<M>,
): Buffer {
  return prefixed(version, table, version, value)
}

function prefixed<M extends Message>(
  prefix: number,
  table: M,
  version: number,
  value: InputOf<M>,
): Buffer {
  const writer = new Writer()
  writer.int16(prefix)
  codec(table, version).write(writer, value)
  return Buffer.concat(writer.finish())
}

/**
 * Decodes a record of one of the kinds; null for a kind that is not among them, which a reader
 * skips as Kafka does. Throws MalformedError, also for a version that the value's table does not
 * have.
 */
export function decodeCoordinatorRecord<Kinds extends CoordinatorRecordKinds>(
  kinds: Kinds,
  key: Buffer,
  value: Buffer | null,
): CoordinatorRecord<Kinds> | null {
  const reader = new Reader(key)
  const numbered = byNumber(kinds).get(reader.int16())
  if (numbered === undefined) return null
  const [type, kind] = numbered
  const decodedKey = readCoordinatorKey(kind.key, reader)
  const decodedValue = value === null ? null : readCoordinatorValue(kind.value, new Reader(value))
  return { type, key: decodedKey, value: decodedValue } as CoordinatorRecord<Kinds>
}

/** What is left of a key behind its number. Throws MalformedError. */
export function readCoordinatorKey<M extends Message>(table: M, reader: Reader): MessageOf<M> {
  const key = codec(table, keyVersion).read(reader)
  reader.expectEnd()
  return key
}

/** A whole value. Throws MalformedError, also for a version that the table does not have. */
export function readCoordinatorValue<M extends Message>(table: M, reader: Reader): MessageOf<M> {
  const version = reader.int16()
  if (!includes(table.valid, version)) {
    throw new MalformedError(`${table.name} of version ${version}`)
  }
  const value = codec(table, version).read(reader)
  reader.expectEnd()
  return value
}

type NumberedKinds = ReadonlyMap<number, readonly [string, CoordinatorRecordKind]>

const numberedKinds = new WeakMap<CoordinatorRecordKinds, NumberedKinds>()

function byNumber(kinds: CoordinatorRecordKinds): NumberedKinds {
  let numbered = numberedKinds.get(kinds)
  if (numbered === undefined) {
    numbered = new Map(Object.entries(kinds).map((entry) => [entry[1].key.key as number, entry]))
    numberedKinds.set(kinds, numbered)
  }
  return numbered
}

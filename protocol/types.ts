/**
 * What a field can be on the wire: Kafka's primitives, arrays and structures, and the ranges of
 * versions in which a field exists. Only shapes live here; `schema.ts` gives them TypeScript types
 * and `codec.ts` turns them into code.
 */

/** A range of versions, both ends included; `max` below `min` is no version at all. */
export interface Versions {
  readonly min: number
  readonly max: number
}

/** No version number is larger: versions are int16 on the wire. */
const versionMax = 0x7fff

export const allVersions: Versions = { min: 0, max: versionMax }
export const noVersions: Versions = { min: 0, max: -1 }

/** Reads `3`, `0-13`, `9+` or `none`. */
export function parseVersions(text: string): Versions {
  if (text === 'none') return noVersions
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text)
  if (match === null) throw new TypeError(`not a range of versions: ${text}`)
  const min = Number(match[1])
  if (match[2] !== undefined) return { min, max: versionMax }
  return { min, max: match[3] === undefined ? min : Number(match[3]) }
}

export function includes(versions: Versions, version: number): boolean {
  return version >= versions.min && version <= versions.max
}

export function intersect(a: Versions, b: Versions): Versions {
  return { min: Math.max(a.min, b.min), max: Math.min(a.max, b.max) }
}

export type Primitive =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'int64Exact'
  | 'float64'
  | 'uuid'
  | 'string'
  | 'bytes'
  | 'records'

/** A type on the wire. Structures hold their fields in wire order. */
export type Type<Fields = unknown> =
  | { readonly kind: 'primitive'; readonly name: Primitive }
  | { readonly kind: 'array'; readonly element: Type<Fields> }
  | { readonly kind: 'struct'; readonly fields: Fields }

/** 16 bytes in Kafka's text form: unpadded URL-safe base64, 22 characters. */
export type Uuid = string

/** The uuid that means "none". */
export const zeroUuid: Uuid = 'AAAAAAAAAAAAAAAAAAAAAA'

/**
 * Java's `Long.MAX_VALUE` as the nearest double. An int64 is a `number` here: beyond 2^53 it rounds
 * to the nearest double, and encoding saturates, so that both ends of the range survive.
 */
export const int64Max = 2 ** 63

/** Java's `Long.MIN_VALUE`, which is exact. */
export const int64Min = -(2 ** 63)

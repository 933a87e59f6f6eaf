/**
 * Configuration, as tables: a setting is a row with its name, type, default and valid values.
 *
 * What lives in this folder: the tables (`broker-configs.ts`, with `accepted-configs.ts` for what has no
 * effect, `topic-configs.ts`, `table-configs.ts`, `group-configs.ts`, `connect-configs.ts`, `worker-configs.ts`),
 * how a text becomes a value (here), where texts come from (`properties.ts`, `sources.ts`), and the
 * effective values of a broker and of a topic (`broker-config.ts`, `topic-configs.ts`). What must not:
 * any that acts on a setting. Names, types, defaults and limits are Apache Kafka's, so are the
 * wordings of what is refused. Imports nobody, so every part of the house may ask it.
 */

export type ConfigType =
  | 'boolean'
  | 'string'
  | 'int'
  | 'short'
  | 'long'
  | 'double'
  | 'list'
  | 'class'
  | 'password'

/** Whether, and for how much of the cluster, a broker setting may change while the broker runs (KIP-226). */
export type Scope = 'read-only' | 'per-broker' | 'cluster-wide'

export interface Definition<T = unknown> {
  readonly type: ConfigType
  /** The default as Kafka prints it; null: there is none. */
  readonly defaultText: string | null
  /** Turns a text into a value, or throws an Error whose message completes "Invalid value … for configuration …:". */
  readonly parse: (text: string) => T
  /** What is allowed, in words, for errors and help. */
  readonly allowed: string
  readonly scope: Scope
  /** One sentence for DescribeConfigs; empty where Kafka's own documentation is the reference. */
  readonly documentation: string
}

export type Definitions = Readonly<Record<string, Definition>>
export type ValueOf<D> = D extends Definition<infer T> ? T : never

/** A setting was refused; the message names it and says what is allowed. */
export class ConfigError extends Error {
  readonly setting: string
  constructor(setting: string, message: string) {
    super(message)
    this.name = 'ConfigError'
    this.setting = setting
  }
}

interface Extras {
  readonly scope?: Scope
  readonly doc?: string
}

export interface Check<T> {
  readonly allowed: string
  /** Throws an Error whose message says what is expected. */
  readonly check: (value: T) => void
}

/** Names of who may ask, as `User:alice`, with semicolons between them. */
export const principals: Check<string> = {
  allowed: 'principalType:principalName;...',
  check: (text) => {
    for (const principal of principalNames(text)) {
      if (!/^[^:]+:./.test(principal)) {
        throw new Error(
          `expected a string in format principalType:principalName but got ${principal}`,
        )
      }
    }
  },
}

export function principalNames(text: string): string[] {
  return text.split(';').flatMap((name) => name.trim() || [])
}

/** A number of at least `min`. */
export function atLeast(min: number): Check<number> {
  return {
    allowed: `[${min},...]`,
    check: (value) => {
      if (value < min) throw new Error(`Value must be at least ${min}`)
    },
  }
}

export function between(min: number, max: number): Check<number> {
  return {
    allowed: `[${min},...,${max}]`,
    check: (value) => {
      if (value < min) throw new Error(`Value must be at least ${min}`)
      if (value > max) throw new Error(`Value must be no more than ${max}`)
    },
  }
}

/** A number between the two, or the one that stands for "not set" (gzip's -1). */
export function betweenOr(min: number, max: number, other: number): Check<number> {
  const range = between(min, max)
  return {
    allowed: `${range.allowed} or ${other}`,
    check: (value) => {
      if (value !== other) range.check(value)
    },
  }
}

export function oneOf(...values: string[]): Check<string> {
  return {
    allowed: `[${values.join(', ')}]`,
    check: (value) => {
      if (!values.includes(value)) throw new Error(`String must be one of: ${values.join(', ')}`)
    },
  }
}

/** As `oneOf`, in whichever case it is written. */
export function oneOfInAnyCase(...values: string[]): Check<string> {
  const { allowed, check } = oneOf(...values)
  return { allowed, check: (value) => check(value.toUpperCase()) }
}

export function eachOneOf(...values: string[]): Check<readonly string[]> {
  return {
    allowed: `[${values.join(', ')}]`,
    check: (items) => {
      for (const item of items) {
        if (!values.includes(item)) throw new Error(`String must be one of: ${values.join(', ')}`)
      }
    },
  }
}

/** A list whose every element says something: no `a,,b`. */
export const eachGiven: Check<readonly string[]> = {
  allowed: 'a list separated by commas, without empty elements',
  check: (items) => {
    if (items.includes('')) throw new Error('Value must not have an empty element')
  },
}

/** A text of a given form; `allowed` says it in words. */
export function matching(pattern: RegExp, allowed: string): Check<string> {
  return {
    allowed,
    check: (value) => {
      if (!pattern.test(value)) throw new Error(`Value must be ${allowed}`)
    },
  }
}

/** Elements of the form `partition:broker`, or a single `*`. */
export const throttledReplicas: Check<readonly string[]> = {
  allowed: '[partitionId]:[brokerId],[partitionId]:[brokerId],...',
  check: (items) => {
    if (items.length === 1 && items[0]?.trim() === '*') return
    for (const item of items) {
      if (!/^\s*\d+:\d+\s*$/.test(item)) {
        throw new Error(
          'Must be the literal * or a list of replicas in the form [partitionId]:[brokerId]',
        )
      }
    }
  },
}

/** No limit beyond the type's own. */
export const any = { allowed: '', check: () => {} }

function define<T>(
  type: ConfigType,
  defaultText: string | null,
  parse: (text: string) => T,
  check: Check<NonNullable<T>>,
  extras: Extras,
): Definition<T> {
  return {
    type,
    defaultText,
    allowed: check.allowed || allowedOf[type],
    parse: (text) => {
      const value = parse(text.trim())
      check.check(value as NonNullable<T>)
      return value
    },
    scope: extras.scope ?? 'read-only',
    documentation: extras.doc ?? '',
  }
}

const allowedOf: Readonly<Record<ConfigType, string>> = {
  boolean: 'true or false',
  string: 'a string',
  int: 'a number from -2147483648 to 2147483647',
  short: 'a number from -32768 to 32767',
  long: 'a number from -9223372036854775808 to 9223372036854775807',
  double: 'a number',
  list: 'a list separated by commas',
  class: 'a class name',
  password: 'a string',
}

function integer(type: 'int' | 'short' | 'long', min: bigint, max: bigint) {
  return (text: string): number => {
    if (!/^[+-]?\d+$/.test(text)) throw new Error(`Not a number of type ${type.toUpperCase()}`)
    const exact = BigInt(text.replace(/^\+/, ''))
    if (exact < min || exact > max) throw new Error(`Not a number of type ${type.toUpperCase()}`)
    return Number(exact)
  }
}

const parseInt32 = integer('int', -(2n ** 31n), 2n ** 31n - 1n)
const parseInt16 = integer('short', -(2n ** 15n), 2n ** 15n - 1n)
const parseInt64 = integer('long', -(2n ** 63n), 2n ** 63n - 1n)

/** A default of `null` makes the value `null` until it is set. */
type Nullable<D, T> = D extends null ? T | null : T

export function int<D extends number | null>(
  preset: D,
  check: Check<number> = any,
  extras: Extras = {},
): Definition<Nullable<D, number>> {
  return define<number>('int', textOf(preset), parseInt32, check, extras) as never
}

export function short<D extends number | null>(
  preset: D,
  check: Check<number> = any,
  extras: Extras = {},
): Definition<Nullable<D, number>> {
  return define<number>('short', textOf(preset), parseInt16, check, extras) as never
}

/** Values beyond 2^53 are rounded to the nearest double; texts are kept as they were written. */
export function long<D extends number | string | null>(
  preset: D,
  check: Check<number> = any,
  extras: Extras = {},
): Definition<Nullable<D, number>> {
  return define<number>('long', textOf(preset), parseInt64, check, extras) as never
}

export function double(
  preset: number | string,
  check: Check<number> = any,
  extras: Extras = {},
): Definition<number> {
  const parse = (text: string): number => {
    const value = Number(text)
    if (text === '' || Number.isNaN(value)) throw new Error('Not a number of type DOUBLE')
    return value
  }
  return define<number>('double', textOf(preset), parse, check, extras)
}

export function boolean(preset: boolean, extras: Extras = {}): Definition<boolean> {
  const parse = (text: string): boolean => {
    const lower = text.toLowerCase()
    if (lower === 'true') return true
    if (lower === 'false') return false
    throw new Error('Expected value to be either true or false')
  }
  return define<boolean>('boolean', String(preset), parse, any, extras)
}

export function string<D extends string | null>(
  preset: D,
  check: Check<string> = any,
  extras: Extras = {},
): Definition<Nullable<D, string>> {
  return define<string>('string', preset, (text) => text, check, extras) as never
}

export function password(
  extras: Extras = {},
  check: Check<string> = any,
): Definition<string | null> {
  return define<string>('password', null, (text) => text, check, extras) as never
}

/** Kafka's classes have no meaning here; the name is kept so that it can be described. */
export function className(preset: string | null, extras: Extras = {}): Definition<string | null> {
  return define<string>('class', preset, (text) => text, any, extras) as never
}

export function list<D extends readonly string[] | null>(
  preset: D,
  check: Check<readonly string[]> = any,
  extras: Extras = {},
): Definition<Nullable<D, readonly string[]>> {
  const text = preset === null ? null : preset.join(',')
  return define<readonly string[]>('list', text, splitList, check, extras) as never
}

/** Splits at commas, white space trimmed; the empty text is the empty list. */
function splitList(text: string): readonly string[] {
  const trimmed = text.trim()
  return trimmed === '' ? [] : trimmed.split(/\s*,\s*/)
}

function textOf(preset: number | string | null): string | null {
  return preset === null ? null : String(preset)
}

/** Parses a text as the setting `name`; throws ConfigError in Kafka's words. */
export function parseSetting<T>(name: string, definition: Definition<T>, text: string): T {
  try {
    return definition.parse(text)
  } catch (error) {
    const shown = definition.type === 'password' ? '[hidden]' : text
    throw new ConfigError(
      name,
      `Invalid value ${shown} for configuration ${name}: ${(error as Error).message}`,
    )
  }
}

/** The known name nearest to one that is not known, if any is near enough to be a slip of the finger. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  let nearest: string | undefined
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name, candidate, least)
    if (distance < least) {
      least = distance
      nearest = candidate
    }
  }
  return nearest
}

/** Levenshtein distance, given up (returning `limit`) once it cannot stay below `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    let best = i
    for (let j = 1; j <= b.length; j++) {
      const substituted = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const cost = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, substituted)
      current.push(cost)
      best = Math.min(best, cost)
    }
    if (best >= limit) return limit
    previous = current
  }
  return previous[b.length] ?? limit
}

/**
 * Requests made from the tables, by what their fields are called: mostly what a client might well send,
 * and in some field now and then something that it should not. Names that each broker gives out itself
 * (topic ids, member ids, producer ids) are stand-ins, which `world.ts` fills in per broker.
 */
import type { Field, Fields, Message } from '../../../protocol/schema.ts'
import { includes, type Type, zeroUuid } from '../../../protocol/types.ts'
import type { Random } from '../../protocol/generated-values.ts'
import { batchPlans, longName, type Pool, pools, small, topics, wholes } from './pools.ts'
import { Placeholder } from './stand-ins.ts'

/** One field in so many is odd. */
const oddOneIn = 8

/** Requests that would end or starve the brokers that are compared, or what the comparison stands on. */
export const leftOut: ReadonlySet<string> = new Set([
  'unregisterBroker',
  'unregisterController',
  'saslHandshake',
  'saslAuthenticate',
])

export function makeRequest(table: Message, version: number, random: Random): object {
  return new Maker(version, random, table.name).struct(table.fields, [])
}

class Maker {
  readonly #version: number
  readonly #random: Random
  readonly #table: string

  constructor(version: number, random: Random, table: string) {
    this.#version = version
    this.#random = random
    this.#table = table
  }

  struct(fields: Fields, around: readonly string[]): object {
    const entries = Object.entries(fields).map(([name, field]) => [
      name,
      this.#field(field, [...around, name]),
    ])
    return Object.fromEntries(entries)
  }

  #field(field: Field, path: readonly string[]): unknown {
    if (!includes(field.versions, this.#version)) return field.default
    const whole = wholes[`${this.#table}.${path.join('.')}`]
    if (whole !== undefined) return this.#draw(whole, 'struct')
    const value = this.#value(field.type, path, field.default)
    const mayBeNull = includes(field.nullable, this.#version)
    if (value === null && !mayBeNull) return emptyOf(field.type)
    return value === null || !mayBeNull || this.#random(12) > 0 ? value : null
  }

  #value(type: Type<Fields>, path: readonly string[], otherwise: unknown): unknown {
    if (type.kind === 'struct') return this.struct(type.fields, path)
    if (type.kind === 'array') {
      const size = [1, 1, 1, 2, 2, 0, 3][this.#random(7)] as number
      const elements = Array.from({ length: size }, () =>
        this.#value(type.element, path, undefined),
      )
      return elements.map((element) => element ?? emptyOf(type.element))
    }
    if (type.name === 'records') return this.#records()
    if (type.name === 'uuid') return this.#uuid()
    const pool = this.#poolOf(path)
    if (pool !== undefined) return this.#draw(pool, type.name)
    if (type.name === 'bytes') return Buffer.alloc(0)
    if (otherwise !== undefined && this.#random(3) > 0) return otherwise
    return this.#draw(type.name === 'string' ? [['a', ''], [longName]] : small, type.name)
  }

  #poolOf(path: readonly string[]): Pool | undefined {
    const name = path.at(-1) as string
    const inside = `${path.at(-2)}.${name}`
    return pools[`${this.#table}.${path.join('.')}`] ?? pools[inside] ?? pools[name]
  }

  #draw([sane, odd]: Pool, type: string): unknown {
    const values = odd.length > 0 && this.#random(oddOneIn) === 0 ? odd : sane
    const value = values[this.#random(values.length)]
    if (type === 'bool') return value === true || value === 1
    if (value === undefined) return type === 'string' ? '' : 0
    return typeof value === 'number' ? clamped(value, type) : value
  }

  #uuid(): unknown {
    const choice = this.#random(10)
    if (choice === 0) return zeroUuid
    if (choice === 1) return 'no-such-topic-id-here-'.padEnd(21, '-').slice(0, 21).concat('A')
    return new Placeholder('topic id', topics[this.#random(topics.length)] as string)
  }

  #records(): unknown {
    const [sane, odd] = batchPlans
    const plans = this.#random(3) === 0 ? odd : sane
    return plans[this.#random(plans.length)]
  }
}

const bits: Readonly<Record<string, number>> = { int8: 8, int16: 16, int32: 32, int64: 53 }

function clamped(value: number, type: string): number {
  const limit = 2 ** ((bits[type] ?? 53) - 1) - 1
  return Math.max(-limit, Math.min(limit, value))
}

function emptyOf(type: Type<Fields>): unknown {
  if (type.kind === 'array') return []
  if (type.kind === 'struct') return {}
  if (type.name === 'string') return ''
  if (type.name === 'bool') return false
  if (type.name === 'uuid') return zeroUuid
  return type.name === 'bytes' || type.name === 'records' ? [] : 0
}

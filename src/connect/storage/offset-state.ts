/**
 * How far sources are, from the offsets topic: the key is `[connector, {source partition}]`, the value
 * `{source offset}`, both JSON. Whoever wrote a key may have ordered its members otherwise: they are
 * compared in order.
 */

import { JsonValues } from '../converters/json.ts'
import { DataException } from '../failures.ts'
import { type Json, type JsonObject, parseJson, writeJson } from '../json-text.ts'
import type { SourcePosition } from '../records.ts'
import { keptIn } from './kept-in.ts'
import type { Entry } from './storage.ts'

interface Kept {
  /** As it is written in the topic. */
  readonly key: string
  readonly partition: SourcePosition
  readonly offset: SourcePosition
}

const values = new JsonValues(false, true)

export class OffsetState {
  readonly #byConnector = new Map<string, Map<string, Kept>>()

  /** Null: nothing is kept. */
  offset(connector: string, partition: SourcePosition): SourcePosition | null {
    return this.#byConnector.get(connector)?.get(canonical(toJson(partition)))?.offset ?? null
  }

  all(connector: string): { partition: SourcePosition; offset: SourcePosition }[] {
    return [...(this.#byConnector.get(connector)?.values() ?? [])]
  }

  /** Under the key that is there already, if one is. */
  entry(connector: string, partition: SourcePosition, offset: SourcePosition | null): Entry {
    const json = toJson(partition)
    const known = this.#byConnector.get(connector)?.get(canonical(json))
    return {
      key: known?.key ?? writeJson([connector, json]),
      value: offset === null ? null : writeJson(toJson(offset)),
    }
  }

  apply(key: string, value: Buffer | null): void {
    const [connector, partition] = keyOf(key) ?? []
    if (connector === undefined || partition === undefined) return
    const kept = keptIn(this.#byConnector, connector, () => new Map<string, Kept>())
    if (value === null) {
      kept.delete(canonical(partition))
      return
    }
    const offset = parsed(value.toString('utf8'))
    if (!(offset instanceof Map)) return
    try {
      kept.set(canonical(partition), {
        key,
        partition: positionOf(partition),
        offset: positionOf(offset),
      })
    } catch (error) {
      // A number beyond 64 bits, as no worker writes it.
      if (!(error instanceof DataException)) throw error
    }
  }
}

/** Undefined: no worker has written that. */
function keyOf(text: string): [string, JsonObject] | undefined {
  const key = parsed(text)
  if (!Array.isArray(key) || key.length !== 2) return undefined
  const [connector, partition] = key
  if (typeof connector !== 'string' || !(partition instanceof Map)) return undefined
  return [connector, partition]
}

function parsed(text: string): Json | undefined {
  try {
    return parseJson(text)
  } catch (error) {
    if (error instanceof DataException) return undefined
    throw error
  }
}

/** Throws DataException where a value is none that an offset may have. */
export function toJson(position: SourcePosition): JsonObject {
  return new Map(
    Array.from(position, ([name, value]) => {
      if (typeof value === 'object' && value !== null && !Buffer.isBuffer(value))
        throw new DataException(
          `Offsets may only contain primitive types as values, but field ${name} contains ${value.constructor.name}`,
        )
      // An integer is one in JSON too, however it came.
      const exact = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value
      return [name, values.toJson(null, exact)]
    }),
  )
}

export function positionOf(json: JsonObject): SourcePosition {
  return values.fromJson(null, json) as Map<string, unknown>
}

function canonical(json: Json): string {
  return writeJson(sorted(json))
}

function sorted(json: Json): Json {
  if (!(json instanceof Map)) return json
  const names = [...json.keys()].sort()
  return new Map(names.map((name) => [name, sorted(json.get(name)!)]))
}

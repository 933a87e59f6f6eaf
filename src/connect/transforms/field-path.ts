/**
 * The way to a field: its name (syntax V1), or names with dots between them through nested data (V2,
 * KIP-821). In V2 a name that has dots stands in backticks; a backtick in it, before a dot, is escaped.
 */
import { ConfigError, oneOfInAnyCase, string } from '../../config/definition.ts'
import { key } from '../config-def.ts'
import type { Field, Schema, Struct } from '../data.ts'
import { requireMap, requireStruct, valueIn } from './part.ts'

const purpose = 'nested field access'

export const fieldSyntax = key(
  string('V1', oneOfInAnyCase('V1', 'V2')),
  'HIGH',
  'V1: a name is the name of a field; V2: it may lead through nested fields, with dots between them.',
)

export class FieldPath {
  readonly #parents: readonly string[]
  readonly #last: string

  /** Throws ConfigError. */
  constructor(text: string, syntax: string) {
    const steps = syntax.toUpperCase() === 'V2' ? stepsOf(text) : [text]
    this.#parents = steps.slice(0, -1)
    this.#last = steps.at(-1) ?? ''
  }

  fieldIn(schema: Schema): Field | undefined {
    let current: Schema | undefined = schema
    for (const step of this.#parents) current = current?.field(step)?.schema
    return current?.field(this.#last)
  }

  /** Null where it leads to nothing. Throws DataException where it leads through something else. */
  valueInStruct(struct: Struct, withDefault: boolean): unknown {
    let current = struct
    for (const step of this.#parents) {
      const next = current.schema.field(step) === undefined ? null : current.get(step)
      if (next === null) return null
      current = requireStruct(next, purpose)
    }
    return current.schema.field(this.#last) === undefined
      ? null
      : valueIn(current, this.#last, withDefault)
  }

  valueInMap(map: ReadonlyMap<string, unknown>): unknown {
    let current = map
    for (const step of this.#parents) {
      const next = current.get(step) ?? null
      if (next === null) return null
      current = requireMap(next, purpose)
    }
    return current.get(this.#last) ?? null
  }
}

function stepsOf(path: string): string[] {
  const steps: string[] = []
  let at = 0
  while (at < path.length) {
    if (path[at] === '`') {
      const { step, next } = quotedStep(path, at)
      steps.push(step)
      at = next
    } else {
      const dot = path.indexOf('.', at)
      steps.push(path.slice(at, dot < 0 ? undefined : dot))
      at = dot < 0 ? path.length : dot + 1
    }
  }
  if (path.endsWith('.')) steps.push('')
  return steps
}

function quotedStep(path: string, start: number): { step: string; next: number } {
  let step = ''
  for (let at = start + 1; at < path.length; at++) {
    const isEnd = path[at] === '`' && (at + 1 === path.length || path[at + 1] === '.')
    const isEscaped = path[at - 1] === '\\'
    if (isEnd && !isEscaped) return { step, next: at + 2 }
    // The backslash before it was no part of the name.
    if (isEnd && at + 1 < path.length) step = step.slice(0, -1)
    step += path[at]
  }
  throw new ConfigError(
    'field',
    `Incomplete backtick pair in path: [${path}], consider adding a backslash before backtick at position ${start} to escape it`,
  )
}

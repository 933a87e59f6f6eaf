/** Values as the text that Java prints of them: `{a=1, b=[x, y]}`, `Struct{a=1}`; bytes in base64, times as ISO 8601 has them. */
import { civilOf } from '../tables/columns/calendar.ts'
import type { Schema } from './data.ts'
import { float32Text, float64Text } from './float-text.ts'
import { Decimal, Instant } from './logical.ts'

/** Without a schema every number is a FLOAT64. */
export function textOf(schema: Schema | null, value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'number') return numberText(schema, value)
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (Array.isArray(value))
    return `[${value.map((member) => textOf(schema?.valueSchema ?? null, member)).join(', ')}]`
  if (value instanceof Map) {
    const [keys, values] = [schema?.keySchema ?? null, schema?.valueSchema ?? null]
    const entries = Array.from(
      value,
      ([key, member]) => `${textOf(keys, key)}=${textOf(values, member)}`,
    )
    return `{${entries.join(', ')}}`
  }
  if (value instanceof Instant) return isoText(value)
  return value instanceof Decimal ? value.canonicalText() : String(value)
}

export function numberText(schema: Schema | null, value: number): string {
  if (schema?.type.startsWith('INT')) return String(value)
  return schema?.type === 'FLOAT32' ? float32Text(value) : float64Text(value)
}

/** `2026-11-30T08:15:00.000Z`, without `Date`: its years end at 275760. */
export function isoText({ epochMs }: Instant): string {
  const days = Math.floor(epochMs / 86_400_000)
  const ms = epochMs - days * 86_400_000
  const { year, month, day } = civilOf(days)
  const two = (part: number) => String(part).padStart(2, '0')
  const years = year < 0 ? `-${String(-year).padStart(4, '0')}` : String(year).padStart(4, '0')
  const clock = [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1000) % 60].map((part) =>
    two(Math.floor(part)),
  )
  return `${years}-${two(month)}-${two(day)}T${clock.join(':')}.${String(ms % 1000).padStart(3, '0')}Z`
}

/** Values as the text that Kafka Connect's own sinks print of them: `{a=1, b=[x, y]}`, `Struct{a=1}`. */
import { civilOf } from '../tables/columns/calendar.ts'
import { Decimal, Instant } from './logical.ts'

export function textOf(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (Array.isArray(value)) return `[${value.map(textOf).join(', ')}]`
  if (value instanceof Map) {
    const entries = Array.from(value, ([key, member]) => `${textOf(key)}=${textOf(member)}`)
    return `{${entries.join(', ')}}`
  }
  if (value instanceof Instant) return isoText(value)
  if (value instanceof Decimal) return value.toString()
  return String(value)
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

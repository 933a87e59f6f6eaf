/** Values as the text that Kafka Connect's own sinks print of them: `{a=1, b=[x, y]}`, `Struct{a=1}`. */
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

/** The date of a number of days since the Unix epoch, by the calendar's 400-year cycle. */
export function civilOf(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  // Years begin in March here, so that a leap day is their last.
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day }
}

/** The days since the Unix epoch of a date. */
export function daysOf(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/** Durations as settings give them (ISO 8601): `P1DT2H3M4.5S`. */
const iso8601 = /^p(?:(\d+)d)?(?:t(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:[.,]\d{0,9})?)s)?)?$/

/** Milliseconds of an ISO 8601 duration in days, hours, minutes and seconds; null where it is none. */
export function parseDuration(text: string): number | null {
  const match = iso8601.exec(text.toLowerCase())
  if (match === null || /[pt]$/.test(text.toLowerCase())) return null
  const [days, hours, minutes, seconds] = match.slice(1).map((part) => {
    return Number((part ?? '0').replace(',', '.'))
  }) as [number, number, number, number]
  return Math.round((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)
}

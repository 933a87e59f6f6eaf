/** Properties of a table that say when something is to be done, with what holds where they are not set. */
import { invalid } from './delta-error.ts'

type Configuration = ReadonlyMap<string, string>

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const unitsMs: Readonly<Record<string, number>> = {
  millisecond: 1,
  second: 1000,
  minute: 60_000,
  hour: hourMs,
  day: dayMs,
  week: 7 * dayMs,
}

/** A checkpoint is written at every version that this divides. */
export function checkpointInterval(configuration: Configuration): number {
  const text = configuration.get('delta.checkpointInterval') ?? '10'
  if (!/^[1-9]\d{0,8}$/.test(text)) throw invalid(`delta.checkpointInterval=${text}`)
  return Number(text)
}

/** How long a file that was removed stays where readers of older versions find it. */
export function tombstoneRetentionMs(configuration: Configuration): number {
  const property = 'delta.deletedFileRetentionDuration'
  return durationMs(property, configuration.get(property) ?? 'interval 1 week')
}

/** As in `interval 2 weeks 3 days`; the first word may be left out. */
function durationMs(property: string, text: string): number {
  const words = text
    .trim()
    .toLowerCase()
    .replace(/^interval\s+/, '')
    .split(/\s+/)
  let sum = 0
  for (let i = 0; i < words.length; i += 2) {
    const unit = unitsMs[words[i + 1]?.replace(/s$/, '') ?? '']
    if (unit === undefined || !/^\d{1,9}$/.test(words[i]!)) throw invalid(`${property}=${text}`)
    sum += Number(words[i]) * unit
  }
  return sum
}

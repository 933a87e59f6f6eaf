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

const boolean = { form: /^(?:true|false)$/, says: 'true or false' } as const
/** What the known ones may be, spelled as every engine takes it. */
const values: Readonly<Record<string, { readonly form: RegExp; readonly says: string }>> = {
  'delta.appendOnly': boolean,
  'delta.checkpoint.writeStatsAsJson': boolean,
  'delta.checkpoint.writeStatsAsStruct': boolean,
  'delta.checkpointInterval': { form: /^[1-9]\d{0,8}$/, says: 'a number, 1 or more' },
  'delta.checkpointPolicy': { form: /^(?:classic|v2)$/, says: 'classic or v2' },
  'delta.columnMapping.mode': { form: /^(?:none|name|id)$/, says: 'none, name or id' },
  'delta.dataSkippingNumIndexedCols': { form: /^(?:-1|\d{1,9})$/, says: 'a number, -1 or more' },
  'delta.enableChangeDataFeed': boolean,
  'delta.enableDeletionVectors': boolean,
  'delta.enableExpiredLogCleanup': boolean,
  'delta.enableInCommitTimestamps': boolean,
  'delta.enableRowTracking': boolean,
  'delta.enableTypeWidening': boolean,
  'delta.rowTrackingSuspended': boolean,
}
/** Further ones that engines know, whatever they may be. */
const others = new Set([
  'delta.autoOptimize',
  'delta.autoOptimize.autoCompact',
  'delta.autoOptimize.optimizeWrite',
  'delta.columnMapping.maxColumnId',
  'delta.compatibility.symlinkFormatManifest.enabled',
  'delta.dataSkippingStatsColumns',
  'delta.enableFullRetentionRollback',
  'delta.inCommitTimestampEnablementTimestamp',
  'delta.inCommitTimestampEnablementVersion',
  'delta.isolationLevel',
  'delta.parquet.compression.codec',
  'delta.parquet.format.version',
  'delta.randomPrefixLength',
  'delta.randomizeFilePrefixes',
  'delta.requireCheckpointProtectionBeforeVersion',
  'delta.sampling.enabled',
  'delta.targetFileSize',
  'delta.tuneFileSizesForRewrites',
  'delta.universalFormat.enabledFormats',
  'delta.enableIcebergCompatV1',
  'delta.enableIcebergCompatV2',
  'delta.rowTracking.materializedRowIdColumnName',
  'delta.rowTracking.materializedRowCommitVersionColumnName',
])
const durations = [
  'delta.deletedFileRetentionDuration',
  'delta.logRetentionDuration',
  'delta.setTransactionRetentionDuration',
]

/**
 * Throws DeltaError for a value that would be kept and then not understood, and for a name that begins with `delta.` and
 * is none that engines know: it was mistyped. Other names are anyone's.
 */
export function refuseValues(properties: Configuration): void {
  for (const [property, text] of properties) {
    const known = Object.hasOwn(values, property) ? values[property] : undefined
    if (known?.form.test(text) === false) {
      throw invalid(`${property}=${text}: expected ${known.says}`)
    }
    if (durations.includes(property)) durationMs(property, text)
    else if (known === undefined && isMistyped(property)) {
      throw invalid(`there is no property ${property}${similarTo(property)}`)
    }
  }
}

function isMistyped(property: string): boolean {
  if (!/^delta\./i.test(property) || others.has(property)) return false
  return !property.startsWith('delta.constraints.') && !property.startsWith('delta.feature.')
}

/** The name that was meant, where it is plain. */
function similarTo(property: string): string {
  const bare = (name: string): string => name.toLowerCase().replace(/[^a-z]/g, '')
  const all = [...Object.keys(values), ...others, ...durations]
  const meant = all.find((name) => bare(name) === bare(property))
  return meant === undefined ? '' : `: ${meant} is meant`
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

/** How long the log keeps what makes older versions. */
export function logRetentionMs(configuration: Configuration): number {
  const property = 'delta.logRetentionDuration'
  return durationMs(property, configuration.get(property) ?? 'interval 30 days')
}

/** Whether what is older than that is deleted. */
export function cleansLog(configuration: Configuration): boolean {
  return configuration.get('delta.enableExpiredLogCleanup') !== 'false'
}

/**
 * Where a table has the feature checkpointProtection, its checkpoints before that version keep older readers from commits
 * that they would misread: they go at once with all that lies before, or stay.
 */
export function protectedBefore(configuration: Configuration): number {
  const property = 'delta.requireCheckpointProtectionBeforeVersion'
  const text = configuration.get(property) ?? '0'
  if (!/^\d{1,15}$/.test(text)) throw invalid(`${property}=${text}`)
  return Number(text)
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
    if (unit === undefined || !/^\d{1,9}$/.test(words[i]!)) {
      throw invalid(`${property}=${text}: expected a duration, as in interval 2 weeks`)
    }
    sum += Number(words[i]) * unit
  }
  return sum
}

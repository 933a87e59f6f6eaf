/**
 * What a table asks of its readers and writers. Up to reader version 2 and writer version 6 a version
 * stands for all that it brought; from (3, 7) on the table lists features by name. What is not known is refused by its
 * name, and never passed over.
 */
import type { MetadataAction, ProtocolAction } from './actions.ts'
import { corrupt, unsupported } from './delta-error.ts'

const readable = new Set([
  'columnMapping',
  'deletionVectors',
  'timestampNtz',
  'typeWidening',
  'typeWidening-preview',
  'v2Checkpoint',
  'vacuumProtocolCheck',
])

/** Those that writers alone must know: they are kept, or `refuseUse` refuses where they are in use. */
const writable = new Set([
  ...readable,
  'allowColumnDefaults',
  'appendOnly',
  'changeDataFeed',
  'checkConstraints',
  'checkpointProtection',
  'clustering',
  'domainMetadata',
  'generatedColumns',
  'icebergCompatV1',
  'icebergCompatV2',
  'identityColumns',
  'inCommitTimestamp',
  'invariants',
  'rowTracking',
])

/** By the writer version that brought them. */
const legacyFeatures: readonly (readonly [number, string])[] = [
  [2, 'appendOnly'],
  [2, 'invariants'],
  [3, 'checkConstraints'],
  [4, 'changeDataFeed'],
  [4, 'generatedColumns'],
  [5, 'columnMapping'],
  [6, 'identityColumns'],
]

export function refuseReading(protocol: ProtocolAction): void {
  const { minReaderVersion, readerFeatures } = protocol
  if (minReaderVersion > 3) {
    throw unsupported(
      `the table asks for minReaderVersion ${minReaderVersion}; known are those to 3`,
    )
  }
  if (minReaderVersion === 3 && readerFeatures === null) {
    throw corrupt('protocol: minReaderVersion 3 without readerFeatures')
  }
  refuseUnknown(readerFeatures ?? [], readable, 'read')
}

/** The names of all features that writers of the table have to mind, those of its version included. */
export function writerFeaturesOf({ minWriterVersion, writerFeatures }: ProtocolAction): string[] {
  if (minWriterVersion >= 7) return [...(writerFeatures ?? [])]
  return legacyFeatures.filter(([since]) => since <= minWriterVersion).map(([, name]) => name)
}

/**
 * Refuses to write a table that asks for more than is done here: in its protocol, or by what it uses of features. What it
 * asks of each row `row-rules.ts` knows.
 */
export function refuseWriting(protocol: ProtocolAction, metadata: MetadataAction): void {
  refuseUnknownWriting(protocol)
  const features = writerFeaturesOf(protocol)
  const { configuration, provider } = metadata
  if (provider !== 'parquet') throw unsupported(`the table has files of the format ${provider}`)
  for (const [feature, isUsed] of Object.entries(inUse)) {
    if (features.includes(feature)) refuseUse(feature, isUsed(configuration))
  }
}

/** Refuses what is not known; what a table makes use of need not be minded by who writes no rows. */
export function refuseUnknownWriting(protocol: ProtocolAction): void {
  refuseReading(protocol)
  const { minWriterVersion, writerFeatures } = protocol
  if (minWriterVersion > 7) {
    throw unsupported(
      `the table asks for minWriterVersion ${minWriterVersion}; known are those to 7`,
    )
  }
  if (minWriterVersion === 7 && writerFeatures === null) {
    throw corrupt('protocol: minWriterVersion 7 without writerFeatures')
  }
  refuseUnknown(writerFeaturesOf(protocol), writable, 'written')
}

/** The property that makes use of a feature, by name; `undefined`: none does. */
type Use = (configuration: ReadonlyMap<string, string>) => string | undefined

const inUse: Readonly<Record<string, Use>> = {
  icebergCompatV1: isOn('delta.enableIcebergCompatV1'),
  icebergCompatV2: isOn('delta.enableIcebergCompatV2'),
}

function isOn(property: string): Use {
  return (configuration) => (configuration.get(property) === 'true' ? property : undefined)
}

function refuseUse(feature: string, use: string | undefined): void {
  if (use === undefined) return
  throw unsupported(`the table cannot be written: ${use} uses the feature ${feature}`)
}

function refuseUnknown(names: readonly string[], known: ReadonlySet<string>, done: string): void {
  const unknown = names.filter((name) => !known.has(name))
  if (unknown.length === 0) return
  const features = unknown.length === 1 ? 'the feature' : 'the features'
  throw unsupported(`the table cannot be ${done}: it has ${features} ${unknown.join(', ')}`)
}

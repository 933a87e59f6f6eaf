/**
 * What a table asks of its readers. Up to reader version 2 and writer version 6 a version
 * stands for all that it brought; from (3, 7) on the table lists features by name. What is not known is refused by its
 * name, and never passed over.
 */
import type { ProtocolAction } from './actions.ts'
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
  refuseUnknown(readerFeatures ?? [])
}

function refuseUnknown(names: readonly string[]): void {
  const unknown = names.filter((name) => !readable.has(name))
  if (unknown.length === 0) return
  const features = unknown.length === 1 ? 'the feature' : 'the features'
  throw unsupported(`the table cannot be read: it has ${features} ${unknown.join(', ')}`)
}

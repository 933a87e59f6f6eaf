/** Metadata records as values: `type` decides the shape of `value` (KIP-631). */
import type { MetadataRecord } from '../../protocol/state/metadata-records.ts'

export type { MetadataRecord }

type Type = MetadataRecord['type']
type ValueOfType<T extends Type> = Extract<MetadataRecord, { type: T }>['value']

/** A record; `version` is the form in which it is stored, 0 being the only one that most types have. */
export function record<T extends Type>(
  type: T,
  value: ValueOfType<T>,
  version = 0,
): MetadataRecord {
  return { type, version, value } as unknown as MetadataRecord
}

/** What is asked of Apache Kafka's converters, transformations and predicates, and of ours. */
import type { Schema } from '../../../src/connect/data.ts'
import type { ConnectRecord } from '../../../src/connect/records.ts'

export type Config = Readonly<Record<string, string>>

interface Asked {
  /** All of it. */
  readonly className: string
  readonly config: Config
}

/** Bytes become data. */
export interface ReadCase extends Asked {
  readonly kind: 'read' | 'readHeader'
  readonly isKey: boolean
  readonly bytes: Buffer | null
}

/** Data becomes bytes. */
export interface WriteCase extends Asked {
  readonly kind: 'write' | 'writeHeader'
  readonly isKey: boolean
  readonly schema: Schema | null
  readonly value: unknown
}

export interface RecordCase extends Asked {
  /** `chain`: the settings are a connector's, with all its transformations. */
  readonly kind: 'transform' | 'predicate' | 'chain'
  readonly record: ConnectRecord
}

export type Case = ReadCase | WriteCase | RecordCase

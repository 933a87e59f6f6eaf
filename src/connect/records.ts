/**
 * Records on their way between a connector and Kafka. They are immutable: a transform that changes one
 * makes another (`{ ...record, topic }`).
 */
import type { Schema } from './data.ts'

export interface ConnectHeader {
  readonly key: string
  readonly schema: Schema | null
  readonly value: unknown
}

export interface ConnectRecord {
  readonly topic: string
  /** Null: wherever its key, or nothing, says. */
  readonly kafkaPartition: number | null
  readonly keySchema: Schema | null
  readonly key: unknown
  readonly valueSchema: Schema | null
  readonly value: unknown
  /** Milliseconds since the Unix epoch; null: none. */
  readonly timestamp: number | null
  readonly headers: readonly ConnectHeader[]
}

/** From Kafka to a sink. */
export interface SinkRecord extends ConnectRecord {
  readonly kafkaPartition: number
  readonly kafkaOffset: number
  /** Where it was before transforms changed its topic (KIP-793). */
  readonly originalTopic: string
  readonly originalKafkaPartition: number
  readonly originalKafkaOffset: number
}

/** A record whose value has not been converted: it is JSON without a schema. */
export interface JsonRecord {
  /** Its value is null. */
  readonly record: SinkRecord
  readonly json: Buffer
}

/** A part of a source that is read in order, as a file or a table, or how far in it one is. */
export type SourcePosition = ReadonlyMap<string, unknown>

/** From a source to Kafka. */
export interface SourceRecord extends ConnectRecord {
  readonly sourcePartition: SourcePosition
  /** Where to go on after this record. */
  readonly sourceOffset: SourcePosition
}

/** What is left out is null. */
export function sourceRecord(
  given: Pick<SourceRecord, 'topic' | 'sourcePartition' | 'sourceOffset'> & Partial<SourceRecord>,
): SourceRecord {
  return {
    kafkaPartition: null,
    keySchema: null,
    key: null,
    valueSchema: null,
    value: null,
    timestamp: null,
    headers: [],
    ...given,
  }
}

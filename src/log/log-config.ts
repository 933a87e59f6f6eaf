/**
 * What a log needs to know of its topic's configuration: the topic settings of the same names, in
 * camelCase, as plain numbers and strings. "No limit" is Kafka's own value for it: -1 for the
 * retention settings, the largest int64 for the flush settings and the timestamp bounds.
 */
import type { Milliseconds } from '../environment/environment.ts'

export interface LogConfig {
  readonly segmentBytes: number
  readonly segmentMs: Milliseconds
  readonly segmentJitterMs: Milliseconds
  readonly segmentIndexBytes: number
  readonly indexIntervalBytes: number
  readonly maxMessageBytes: number
  readonly flushMessages: number
  readonly flushMs: Milliseconds
  readonly retentionBytes: number
  readonly retentionMs: Milliseconds
  readonly fileDeleteDelayMs: Milliseconds
  /** `delete`, `compact`, both or neither. */
  readonly cleanupPolicy: readonly string[]
  /** Compaction begins where more than this part of the bytes is not compacted yet. */
  readonly minCleanableDirtyRatio: number
  /** Younger records are not compacted. */
  readonly minCompactionLagMs: Milliseconds
  /** Older records are, whatever the ratio. */
  readonly maxCompactionLagMs: Milliseconds
  /** Tombstones and transaction markers stay so long after the compaction that made them superfluous. */
  readonly deleteRetentionMs: Milliseconds
  /** `producer`, `uncompressed`, `gzip`, `snappy`, `lz4` or `zstd`. */
  readonly compressionType: string
  /** Of gzip where that is the type; -1: zlib's own default. */
  readonly compressionGzipLevel: number
  /** Of zstd where that is the type. */
  readonly compressionZstdLevel: number
  /** `CreateTime` or `LogAppendTime`. */
  readonly messageTimestampType: string
  readonly messageTimestampBeforeMaxMs: Milliseconds
  readonly messageTimestampAfterMaxMs: Milliseconds
}

/**
 * Larger than every offset and every duration: Kafka's Long.MAX_VALUE, as near as a number gets.
 */
export const unlimited = 2 ** 63

/** Kafka's defaults. */
export const defaultLogConfig: LogConfig = {
  segmentBytes: 1024 * 1024 * 1024,
  segmentMs: 7 * 24 * 3600 * 1000,
  segmentJitterMs: 0,
  segmentIndexBytes: 10 * 1024 * 1024,
  indexIntervalBytes: 4096,
  maxMessageBytes: 1024 * 1024 + 12,
  flushMessages: unlimited,
  flushMs: unlimited,
  retentionBytes: -1,
  retentionMs: 7 * 24 * 3600 * 1000,
  fileDeleteDelayMs: 60_000,
  cleanupPolicy: ['delete'],
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  maxCompactionLagMs: unlimited,
  deleteRetentionMs: 24 * 3600 * 1000,
  compressionType: 'producer',
  compressionGzipLevel: -1,
  compressionZstdLevel: 3,
  messageTimestampType: 'CreateTime',
  messageTimestampBeforeMaxMs: unlimited,
  messageTimestampAfterMaxMs: 3600 * 1000,
}

/** Whether old segments go by time and size. */
export const isDeleted = (config: LogConfig): boolean => config.cleanupPolicy.includes('delete')

/** Whether only the last record of each key is kept, so that every record needs a key. */
export const isCompacted = (config: LogConfig): boolean => config.cleanupPolicy.includes('compact')

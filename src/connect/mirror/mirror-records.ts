/**
 * What the connectors write beside the mirrored records, byte for byte as MirrorMaker 2 does, whose client library
 * (`RemoteClusterUtils`) reads it:
 *
 *     offset sync   key    topic: string, partition: int32
 *                   value  upstreamOffset: int64, offset: int64
 *     checkpoint    key    group: string, topic: string, partition: int32
 *                   value  version: int16 (0), upstreamOffset: int64, offset: int64, metadata: string
 *     heartbeat     key    sourceClusterAlias: string, targetClusterAlias: string
 *                   value  version: int16 (0), timestamp: int64
 *
 * A string is its length in bytes, as int16, and its bytes.
 */
import { MalformedError, Reader } from '../../../protocol/reader.ts'
import { Writer } from '../../../protocol/writer.ts'
import type { TopicPartition } from '../../client/topic-partition.ts'

const version = 0

/** A record of the source, and the one that it became in the target. */
export interface OffsetSync extends TopicPartition {
  readonly upstreamOffset: number
  readonly downstreamOffset: number
}

/** How far a group is, in both clusters; the topic is the target's. */
export interface Checkpoint extends TopicPartition {
  readonly group: string
  readonly upstreamOffset: number
  readonly downstreamOffset: number
  readonly metadata: string
}

interface KeyAndValue {
  readonly key: Buffer
  readonly value: Buffer
}

interface Written {
  readonly key: Buffer | null
  readonly value: Buffer | null
}

export function writeOffsetSync(sync: OffsetSync): KeyAndValue {
  return {
    key: written((key) => {
      key.string(sync.topic)
      key.int32(sync.partition)
    }),
    value: written((value) => {
      value.int64(sync.upstreamOffset)
      value.int64(sync.downstreamOffset)
    }),
  }
}

export function readOffsetSync(record: Written): OffsetSync | null {
  return read(record, (key, value) => ({
    topic: key.string(key.shortLength()),
    partition: key.int32(),
    upstreamOffset: value.int64(),
    downstreamOffset: value.int64(),
  }))
}

export function writeCheckpoint(checkpoint: Checkpoint): KeyAndValue {
  return {
    key: written((key) => {
      key.string(checkpoint.group)
      key.string(checkpoint.topic)
      key.int32(checkpoint.partition)
    }),
    value: written((value) => {
      value.int16(version)
      value.int64(checkpoint.upstreamOffset)
      value.int64(checkpoint.downstreamOffset)
      value.string(checkpoint.metadata)
    }),
  }
}

export function readCheckpoint(record: Written): Checkpoint | null {
  return read(record, (key, value) => {
    if (value.int16() !== version) return null
    return {
      group: key.string(key.shortLength()),
      topic: key.string(key.shortLength()),
      partition: key.int32(),
      upstreamOffset: value.int64(),
      downstreamOffset: value.int64(),
      metadata: value.string(value.shortLength()),
    }
  })
}

export function writeHeartbeat(source: string, target: string, timestamp: number): KeyAndValue {
  return {
    key: written((key) => {
      key.string(source)
      key.string(target)
    }),
    value: written((value) => {
      value.int16(version)
      value.int64(timestamp)
    }),
  }
}

function written(write: (writer: Writer) => void): Buffer {
  const writer = new Writer()
  write(writer)
  return Buffer.concat(writer.finish())
}

/** Null for what is none: others may write to these topics too. */
function read<T>(
  { key, value }: Written,
  parse: (key: Reader, value: Reader) => T | null,
): T | null {
  if (key === null || value === null) return null
  try {
    return parse(new Reader(key), new Reader(value))
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

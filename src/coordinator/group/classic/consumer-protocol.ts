/**
 * What consumers of a classic group say to each other, as far as a broker reads and writes it: it does
 * when it knows which topics are in use, and when such consumers are in a group whose partitions it
 * assigns itself (KIP-848). The bytes begin with a version; of a later one the known part is read.
 */
import { codec } from '../../../../protocol/codec.ts'
import { MalformedError, Reader } from '../../../../protocol/reader.ts'
import type { Message, MessageOf } from '../../../../protocol/schema.ts'
import {
  type ConsumerProtocolAssignment,
  type ConsumerProtocolSubscription,
  consumerProtocolAssignment,
  consumerProtocolSubscription,
} from '../../../../protocol/state/consumer-protocol.ts'
import { Writer } from '../../../../protocol/writer.ts'

const versionBytes = 2
/** Some 80 000 topics. */
const decodedBytesMax = 8 * 1024 * 1024

/** Null if it cannot be read. */
export function readSubscription(metadata: Buffer): ConsumerProtocolSubscription | null {
  return read(consumerProtocolSubscription, metadata)
}

export function readAssignment(bytes: Buffer): ConsumerProtocolAssignment | null {
  return read(consumerProtocolAssignment, bytes)
}

/** Topics come first in every version of a subscription, so version 0 reads them all. */
export function readTopics(metadata: Buffer): readonly string[] | null {
  return read(consumerProtocolSubscription, metadata, 0)?.topics ?? null
}

function read<M extends Message>(
  table: M,
  bytes: Buffer,
  versionMax = table.valid.max,
): MessageOf<M> | null {
  if (bytes.length < versionBytes) return null
  const version = bytes.readInt16BE(0)
  if (version < 0) return null
  try {
    const reader = new Reader(bytes, versionBytes, bytes.length, decodedBytesMax)
    return codec(table, Math.min(version, versionMax)).read(reader)
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

/** In the version in which `metadata` is written, so that its reader understands it. */
export function writeAssignment(
  metadata: Buffer,
  assignedPartitions: ConsumerProtocolAssignment['assignedPartitions'],
): Buffer {
  const said = metadata.length < versionBytes ? 0 : metadata.readInt16BE(0)
  const version = Math.min(Math.max(said, 0), consumerProtocolAssignment.valid.max)
  const writer = new Writer()
  writer.int16(version)
  const assignment = { assignedPartitions, userData: null }
  codec(consumerProtocolAssignment, version).write(writer, assignment)
  return Buffer.concat(writer.finish())
}

/**
 * How a metadata record lies in the value of a log record (KIP-631): the frame's version, the
 * record's type and the record's version as unsigned varints, then the record itself.
 */
import { codec } from '../codec.ts'
import { MalformedError, Reader } from '../reader.ts'
import type { Message } from '../schema.ts'
import { includes } from '../types.ts'
import { Writer } from '../writer.ts'
import type { MetadataRecord, MetadataRecordInput } from './metadata-records.ts'
import { metadataRecords } from './metadata-records.ts'

const frameVersion = 1

const tablesByType = new Map<number, Message>(
  Object.values<Message>(metadataRecords).map((table) => [table.key as number, table]),
)

export function encodeMetadataRecord(record: MetadataRecordInput): Buffer {
  const table: Message = metadataRecords[record.type]
  const writer = new Writer()
  writer.uvarint(frameVersion)
  writer.uvarint(table.key as number)
  writer.uvarint(record.version)
  codec(table, record.version).write(writer, record.value)
  return Buffer.concat(writer.finish())
}

/** Throws MalformedError, also for a type or a version that no table has. */
export function decodeMetadataRecord(bytes: Buffer): MetadataRecord {
  const reader = new Reader(bytes)
  const frame = reader.uvarint()
  if (frame !== frameVersion) throw new MalformedError(`metadata frame of version ${frame}`)
  const type = reader.uvarint()
  const version = reader.uvarint()
  const table = tablesByType.get(type)
  if (table === undefined || !includes(table.valid, version)) {
    throw new MalformedError(`metadata record of type ${type}, version ${version}`)
  }
  const value = codec(table, version).read(reader)
  reader.expectEnd()
  return { type: table.name, version, value } as MetadataRecord
}

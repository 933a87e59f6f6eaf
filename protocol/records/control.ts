/**
 * Control records: what brokers and the Raft quorum write between the records of users. The key is
 * two int16, a version and the type. The value of a transaction marker starts with the version of its
 * table; the values of the quorum's records say theirs in their own first field, at the same place.
 * A control batch holds nothing but control records.
 */
import { codec, encode } from '../codec.ts'
import { MalformedError, Reader } from '../reader.ts'
import type { InputOf, MessageOf } from '../schema.ts'
import {
  endTxnMarker,
  kRaftVersionRecord,
  leaderChangeMessage,
  snapshotFooterRecord,
  snapshotHeaderRecord,
  votersRecord,
} from '../state/control-records.ts'
import { readInt16, writeInt16 } from './big-endian.ts'
import { CorruptRecords } from './corrupt-records.ts'
import { encodeBatch } from './record.ts'

/** By type id. */
const kinds = [
  { type: 'abort', table: endTxnMarker },
  { type: 'commit', table: endTxnMarker },
  { type: 'leaderChange', table: leaderChangeMessage },
  { type: 'snapshotHeader', table: snapshotHeaderRecord },
  { type: 'snapshotFooter', table: snapshotFooterRecord },
  { type: 'kRaftVersion', table: kRaftVersionRecord },
  { type: 'voters', table: votersRecord },
] as const

type Kind = (typeof kinds)[number]

export type ControlRecordType = Kind['type']

/** A decoded control record; types of later versions are 'unknown', and to be skipped. */
export type ControlRecord =
  | { [K in Kind as K['type']]: { type: K['type']; value: MessageOf<K['table']> } }[Kind['type']]
  | { type: 'unknown'; id: number }

/** A control record to be written; the quorum's carry their version in `value.version`. */
export type NewControlRecord = {
  [K in Kind as K['type']]: { type: K['type']; value: InputOf<K['table']> }
}[Kind['type']]

const keyVersion = 0
const markerVersion = 0

/** The type a control record's key names. Throws CorruptRecords for keys that cannot be. */
export function controlRecordType(key: Buffer | null): ControlRecordType | 'unknown' {
  return kinds[controlRecordId(key)]?.type ?? 'unknown'
}

function controlRecordId(key: Buffer | null): number {
  if (!key || key.length < 4) throw new CorruptRecords('Control record key of less than 4 bytes')
  const version = readInt16(key, 0)
  if (version < 0) throw new CorruptRecords(`Control record key of version ${version}`)
  return readInt16(key, 2)
}

/** Throws CorruptRecords for values that their table cannot read. */
export function decodeControlRecord(key: Buffer | null, value: Buffer | null): ControlRecord {
  const id = controlRecordId(key)
  const kind = kinds[id]
  if (!kind) return { type: 'unknown', id }
  if (!value || value.length < 2)
    throw new CorruptRecords(`Control record ${kind.type} without value`)
  const isMarker = kind.table === endTxnMarker
  // Later versions of the marker only append to it.
  const version = isMarker ? markerVersion : readInt16(value, 0)
  try {
    const reader = new Reader(value, isMarker ? 2 : 0)
    return { type: kind.type, value: codec(kind.table, version).read(reader) } as ControlRecord
  } catch (cause) {
    if (!(cause instanceof MalformedError) && !(cause instanceof RangeError)) throw cause
    throw new CorruptRecords(`Control record ${kind.type}: ${cause.message}`, { cause })
  }
}

function encodeControlRecord(record: NewControlRecord): { key: Buffer; value: Buffer } {
  const id = kinds.findIndex((kind) => kind.type === record.type)
  const key = Buffer.alloc(4)
  writeInt16(key, 0, keyVersion)
  writeInt16(key, 2, id)
  if ('coordinatorEpoch' in record.value) {
    const version = Buffer.alloc(2)
    writeInt16(version, 0, markerVersion)
    return {
      key,
      value: Buffer.concat([version, encode(endTxnMarker, markerVersion, record.value)]),
    }
  }
  // The type says which table the value fits, which the compiler cannot follow.
  return { key, value: encode(kinds[id]!.table, record.value.version, record.value as never) }
}

export interface NewControlBatch {
  readonly records: readonly NewControlRecord[]
  /** In ms, of every record. */
  readonly timestamp: number
  readonly baseOffset?: number
  readonly leaderEpoch?: number
  /** Given for transaction markers; the quorum's control batches have none. */
  readonly producer?: { readonly id: number; readonly epoch: number }
}

/** A control batch; with `producer`, a transactional one, as end markers are. */
export function encodeControlBatch(batch: NewControlBatch): Buffer {
  const { records, timestamp, producer, baseOffset = 0 } = batch
  return encodeBatch({
    records: records.map((record) => ({ timestamp, ...encodeControlRecord(record) })),
    baseOffset,
    isControl: true,
    isTransactional: producer !== undefined,
    ...(batch.leaderEpoch === undefined ? {} : { leaderEpoch: batch.leaderEpoch }),
    ...(producer ? { producerId: producer.id, producerEpoch: producer.epoch } : {}),
  })
}

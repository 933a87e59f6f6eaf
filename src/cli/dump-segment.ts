/** The batches of a segment as rows, and their records, decoded where the topic is one of the broker's own. */
import { isUtf8 } from 'node:buffer'
import * as header from '../../protocol/records/batch.ts'
import { decodeControlRecord } from '../../protocol/records/control.ts'
import { readMessageSet } from '../../protocol/records/message-set.ts'
import { type BatchRecord, readBatch } from '../../protocol/records/record.ts'
import {
  type CoordinatorRecordKinds,
  decodeCoordinatorRecord,
} from '../../protocol/state/coordinator-frame.ts'
import { decodeMetadataRecord } from '../../protocol/state/metadata-frame.ts'
import { offsetsTopicRecords } from '../../protocol/state/offset-records.ts'
import { shareGroupStateRecords } from '../../protocol/state/share-group-state.ts'
import { transactionLogRecords } from '../../protocol/state/transaction-log.ts'
import type { Row } from './dump-files.ts'

type Decode = (record: BatchRecord) => Row

export interface SegmentOptions {
  readonly entriesMax: number
  /** Null: batches only. */
  readonly decode: Decode | null
}

const ownTopics: Readonly<Record<string, Decode>> = {
  __cluster_metadata: ({ value }) => (value === null ? {} : { ...decodeMetadataRecord(value) }),
  __consumer_offsets: (record) => coordinated(offsetsTopicRecords, record),
  __transaction_state: (record) => coordinated(transactionLogRecords, record),
  __share_group_state: (record) => coordinated(shareGroupStateRecords, record),
}

/** How records of a topic are shown. */
export function decoderFor(topic: string): Decode {
  return Object.hasOwn(ownTopics, topic) ? ownTopics[topic]! : plain
}

export function dumpSegment(bytes: Buffer, options: SegmentOptions) {
  const entries: Row[] = []
  let at = 0
  while (at < bytes.length && entries.length < options.entriesMax) {
    try {
      const size = header.entryBytes(bytes, at, bytes.length)
      if (size === null) {
        const isReserved = bytes.subarray(at).every((byte) => byte === 0)
        const damage = `at ${at}: the last ${bytes.length - at} bytes are not a whole batch`
        return { entries, damage: isReserved ? null : damage }
      }
      entries.push(
        header.magic(bytes, at) === 2 ? batchRow(bytes, at, options) : oldRow(bytes, at, size),
      )
      at += size
    } catch (error) {
      return { entries, damage: `at ${at}: ${(error as Error).message}` }
    }
  }
  return { entries, damage: null }
}

function batchRow(bytes: Buffer, at: number, { decode }: SegmentOptions): Row {
  header.checkBatch(bytes, at)
  const isControl = header.isControl(bytes, at)
  const row = {
    baseOffset: header.baseOffset(bytes, at),
    lastOffset: header.lastOffset(bytes, at),
    count: header.recordCount(bytes, at),
    position: at,
    size: header.batchBytes(bytes, at),
    maxTimestamp: header.maxTimestamp(bytes, at),
    timestampType:
      header.timestampType(bytes, at) === header.logAppendTime ? 'LogAppendTime' : 'CreateTime',
    leaderEpoch: header.partitionLeaderEpoch(bytes, at),
    producerId: header.producerId(bytes, at),
    producerEpoch: header.producerEpoch(bytes, at),
    baseSequence: header.baseSequence(bytes, at),
    compression: header.compression(bytes, at),
    transactional: header.isTransactional(bytes, at),
    control: isControl,
    crcValid: header.isCrcValid(bytes, at),
  }
  if (!row.crcValid) header.checkCrc(bytes, at)
  if (decode === null) return row
  const { records } = readBatch(bytes, at)
  const show = isControl ? control : decode
  return {
    ...row,
    records: records.map((record) => ({
      offset: record.offset,
      timestamp: record.timestamp,
      ...show(record),
      ...headersOf(record),
    })),
  }
}

/** A message of before Kafka 0.11, or a wrapper of several. */
function oldRow(bytes: Buffer, at: number, size: number): Row {
  const { messages, compression } = readMessageSet(bytes, at, at + size)
  return {
    baseOffset: messages[0]?.offset ?? header.baseOffset(bytes, at),
    lastOffset: messages.at(-1)?.offset ?? header.baseOffset(bytes, at),
    count: messages.length,
    position: at,
    size,
    compression,
    magic: header.magic(bytes, at),
  }
}

function plain({ key, value }: BatchRecord): Row {
  return { key: shown(key), value: shown(value) }
}

function headersOf({ headers }: BatchRecord): Row {
  if (headers.length === 0) return {}
  return { headers: headers.map(({ key, value }) => ({ key, value: shown(value) })) }
}

function control(record: BatchRecord): Row {
  return { ...decodeControlRecord(record.key, record.value) }
}

function coordinated(kinds: CoordinatorRecordKinds, record: BatchRecord): Row {
  if (record.key === null) return plain(record)
  const decoded = decodeCoordinatorRecord(kinds, record.key, record.value)
  return decoded === null ? plain(record) : { ...decoded }
}

/** Text where it is text, else base64. */
function shown(bytes: Buffer | null): unknown {
  if (bytes === null) return null
  return isUtf8(bytes) ? bytes.toString() : { base64: bytes.toString('base64') }
}

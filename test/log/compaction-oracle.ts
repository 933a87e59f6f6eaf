/**
 * Compaction as the rules say it, without a thought for speed or disks: batches as objects, loops over
 * all of them. What the product leaves of a log is held against what this leaves.
 */
import type { Compression } from '../../protocol/records/compression/compression.ts'
import type { RecordBatch } from '../../protocol/records/record.ts'

export interface OracleRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: string
}

export interface OracleBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly leaderEpoch: number
  readonly compression: Compression
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly isTransactional: boolean
  /** A control batch that ends the transaction of its producer. */
  readonly marker: 'commit' | 'abort' | null
  records: OracleRecord[]
  deleteHorizonMs: number | null
}

export interface OraclePass {
  readonly fromOffset: number
  /** Keys are known up to here, exclusive. */
  readonly mappedUpTo: number
  /** The end of the last segment that could be compacted, and of those that were looked at. */
  readonly upToOffset: number
  readonly copiedUpTo: number
  readonly now: number
  readonly deleteRetentionMs: number
  /** Last data offset, or -1, and epoch. */
  readonly producers: ReadonlyMap<number, { lastOffset: number; epoch: number }>
}

export class Oracle {
  batches: OracleBatch[] = []

  add(batch: OracleBatch): void {
    this.batches.push(batch)
  }

  /** What the log says to one who reads it from its start: the last committed value of each key. */
  view(): Map<string, string> {
    const view = new Map<string, string>()
    for (const batch of this.batches) {
      if (batch.marker !== null || this.outcome(batch) === 'abort') continue
      for (const { key, value } of batch.records) {
        if (key === null) continue
        if (value === null) view.delete(key)
        else view.set(key, value)
      }
    }
    return view
  }

  compact(pass: OraclePass): void {
    const last = new Map<string, number>()
    for (const batch of this.batches) {
      if (batch.marker !== null || this.outcome(batch) === 'abort') continue
      for (const { key, offset } of batch.records) {
        if (key !== null && offset >= pass.fromOffset && offset < pass.mappedUpTo) {
          last.set(key, offset)
        }
      }
    }
    const before = this.batches
    this.batches = before.filter((batch) => {
      if (batch.baseOffset >= pass.copiedUpTo) return true
      if (batch.marker === null) this.#compactRecords(batch, before, last, pass)
      else this.#compactMarker(batch, before, pass)
      return batch.records.length > 0 || this.#staysEmpty(batch, pass)
    })
  }

  #compactRecords(
    batch: OracleBatch,
    all: readonly OracleBatch[],
    last: ReadonlyMap<string, number>,
    { now, mappedUpTo, deleteRetentionMs }: OraclePass,
  ): void {
    const isPast = batch.deleteHorizonMs !== null && batch.deleteHorizonMs <= now
    if (outcomeOf(batch, all) === 'abort') batch.records = []
    batch.records = batch.records.filter(({ offset, key, value }) => {
      if (offset >= mappedUpTo) return true
      if (key === null || offset < (last.get(key) ?? -1)) return false
      return value !== null || !isPast
    })
    if (batch.records.some(({ value }) => value === null)) {
      batch.deleteHorizonMs ??= now + deleteRetentionMs
    }
    if (batch.records.length === 0) batch.deleteHorizonMs = null
  }

  #compactMarker(batch: OracleBatch, all: readonly OracleBatch[], pass: OraclePass): void {
    if (batch.records.length === 0) return
    const hasData = all.some(
      (one) => one.producerId === batch.producerId && endOf(one, all) === batch,
    )
    if (hasData) return
    if (batch.deleteHorizonMs === null) batch.deleteHorizonMs = pass.now + pass.deleteRetentionMs
    else if (batch.deleteHorizonMs <= pass.now) {
      batch.records = []
      batch.deleteHorizonMs = null
    }
  }

  #staysEmpty(batch: OracleBatch, { producers, upToOffset }: OraclePass): boolean {
    if (batch.lastOffset + 1 === upToOffset) return true
    const producer = producers.get(batch.producerId)
    if (producer === undefined) return false
    if (producer.lastOffset >= 0) return batch.lastOffset === producer.lastOffset
    return batch.marker !== null && batch.producerEpoch === producer.epoch
  }

  /** How the transaction ended that a data batch is part of; null: it did not, or there is none. */
  outcome(batch: OracleBatch): 'commit' | 'abort' | null {
    return outcomeOf(batch, this.batches)
  }
}

/** The marker that ends the transaction of a data batch. */
function endOf(batch: OracleBatch, all: readonly OracleBatch[]): OracleBatch | undefined {
  if (!batch.isTransactional || batch.marker !== null) return undefined
  return all.find(
    (one) =>
      one.marker !== null &&
      one.producerId === batch.producerId &&
      one.baseOffset > batch.baseOffset,
  )
}

const outcomeOf = (batch: OracleBatch, all: readonly OracleBatch[]) =>
  endOf(batch, all)?.marker ?? null

/** A stored batch in the oracle's words. */
export function seen(batch: RecordBatch): OracleBatch {
  const records = batch.records.map(({ offset, timestamp, key, value, headers }) => ({
    offset,
    timestamp,
    key: key?.toString('latin1') ?? null,
    value: value?.toString('latin1') ?? null,
    headers: headers.map((one) => `${one.key}=${one.value}`).join(),
  }))
  const { baseOffset, lastOffset, leaderEpoch, producerId, producerEpoch, baseSequence } = batch
  const type = batch.isControl ? batch.records[0]?.key?.readInt16BE(2) : undefined
  return {
    baseOffset,
    lastOffset,
    leaderEpoch,
    compression: batch.records.length === 0 ? 'none' : batch.compression,
    producerId,
    producerEpoch,
    baseSequence,
    isTransactional: batch.isTransactional,
    marker: batch.isControl ? (type === 1 ? 'commit' : 'abort') : null,
    records,
    deleteHorizonMs: batch.hasDeleteHorizon ? batch.baseTimestamp : null,
  }
}

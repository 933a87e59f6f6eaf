/**
 * Reads everything back from a broker that was started on a damaged directory and compares it with the
 * ledger: which offsets are missing, which hold something else. Where the broker or the reader's own
 * checks refuse a batch, reading goes on at the next one, as a consumer does that seeks past damage.
 */
import { errorByCode, errors } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import { readBatch } from '../../protocol/records/record.ts'
import type { Connection } from '../../src/client/connection.ts'
import { fetchCommitted } from '../../src/client/offsets.ts'
import { fingerprint, type Ledger, type LedgerPartition } from './ledger.ts'
import { environment, type FetchedBytes, fetch, produce } from './wire.ts'
import { clusterAt } from './written-directory.ts'

/** Offsets from `from` up to, not with, `to`. */
export interface OffsetRange {
  readonly from: number
  readonly to: number
}

export interface PartitionReading {
  readonly name: string
  /** Acknowledged, and not read back with the right content. */
  readonly lost: readonly OffsetRange[]
  /** Served, but not what was acknowledged at this offset. */
  readonly wrong: readonly string[]
  /** Errors met on the way, each once. */
  readonly errors: readonly string[]
  readonly highWatermark: number
}

/** A partition that has no leader yet gets one within this time. */
const leaderWaitMs = 1_500

/** `appended`: what was written after the damage, perhaps at offsets that were cut off. */
export async function readAll(
  connection: Connection,
  ledger: Ledger,
  appended: Writability['appended'] = new Map(),
): Promise<PartitionReading[]> {
  const readings: PartitionReading[] = []
  for (const [name, partition] of ledger.partitions) {
    const reader = new PartitionReader(connection, partition, appended.get(name)?.offset ?? -1)
    readings.push(await reader.read())
  }
  return readings
}

class PartitionReader {
  readonly #connection: Connection
  readonly #ledger: LedgerPartition
  readonly #right: boolean[]
  readonly #wrong: string[] = []
  readonly #errors = new Set<string>()
  /** Where a record stands that was written after the damage; -1: nowhere. */
  readonly #appendedAt: number
  #position: number
  #highWatermark = -1

  constructor(connection: Connection, ledger: LedgerPartition, appendedAt: number) {
    this.#connection = connection
    this.#ledger = ledger
    this.#appendedAt = appendedAt
    this.#position = ledger.logStartOffset
    this.#right = new Array<boolean>(ledger.fingerprints.length).fill(false)
  }

  async read(): Promise<PartitionReading> {
    const { topic, partition, fingerprints, logStartOffset } = this.#ledger
    while (this.#position < fingerprints.length) {
      const fetched = await this.#fetch()
      this.#highWatermark = Math.max(this.#highWatermark, fetched.highWatermark)
      if (!(fetched.errorCode === 0 ? this.#accept(fetched) : this.#refused(fetched))) break
    }
    return {
      name: `${topic}-${partition}`,
      lost: rangesWithout(this.#right, logStartOffset),
      wrong: this.#wrong,
      errors: [...this.#errors],
      highWatermark: this.#highWatermark,
    }
  }

  /** Asks again for a while where the partition may only not be led yet. */
  async #fetch(): Promise<FetchedBytes> {
    const { topic, partition } = this.#ledger
    const giveUpAt = performance.now() + leaderWaitMs
    for (;;) {
      const fetched = await fetch(this.#connection, { topic, partition, offset: this.#position })
      const mayPass = fetched.errorCode !== 0 && errorByCode(fetched.errorCode).retriable
      if (!mayPass || this.#highWatermark >= 0 || performance.now() > giveUpAt) return fetched
      await new Promise<void>((resolve) => environment.timers.after(100, resolve))
    }
  }

  /** False at the end of the partition. */
  #accept({ bytes, highWatermark }: FetchedBytes): boolean {
    const before = this.#position
    this.#open(bytes)
    if (this.#position > before) return true
    if (bytes.length === 0) {
      if (before >= highWatermark) return false
      this.#errors.add('nothing below the high watermark')
    }
    this.#skip()
    return true
  }

  /** False where there is no use in asking on. */
  #refused({ errorCode, logStartOffset }: FetchedBytes): boolean {
    const error = errorByCode(errorCode)
    this.#errors.add(error.name)
    if (error === errors.OFFSET_OUT_OF_RANGE) {
      if (logStartOffset <= this.#position) return false
      this.#position = logStartOffset
      return true
    }
    if (this.#highWatermark < 0 && error.retriable && error !== errors.CORRUPT_MESSAGE) return false
    this.#skip()
    return true
  }

  /** On to the next batch that was acknowledged. */
  #skip(): void {
    const { batchOffsets, fingerprints } = this.#ledger
    const next = batchOffsets.find((offset) => offset > this.#position)
    this.#position = next ?? fingerprints.length
  }

  #open(bytes: Buffer): void {
    let at = 0
    try {
      for (;;) {
        const length = header.entryBytes(bytes, at, bytes.length)
        if (length === null) return
        header.checkCrc(bytes, at)
        const { records, lastOffset } = readBatch(bytes, at)
        for (const { offset, value } of records)
          if (offset >= this.#position) this.#compare(offset, value)
        this.#position = Math.max(this.#position, lastOffset + 1)
        at += length
      }
    } catch (error) {
      this.#errors.add(`client: ${(error as Error).message.replace(/\d+/g, 'N').slice(0, 60)}`)
    }
  }

  #compare(offset: number, value: Buffer | null): void {
    const expected = this.#ledger.fingerprints[offset]
    if (expected === undefined || offset === this.#appendedAt) return
    if (expected === fingerprint(value) && this.#right[offset] === false) this.#right[offset] = true
    else this.#wrong.push(`${offset}: ${value?.subarray(0, 20).toString('latin1') ?? 'null'}`)
  }
}

function rangesWithout(right: readonly boolean[], from: number): OffsetRange[] {
  const ranges: OffsetRange[] = []
  for (let at = from; at < right.length; at++) {
    if (right[at]) continue
    const start = at
    while (at < right.length && !right[at]) at++
    ranges.push({ from: start, to: at })
  }
  return ranges
}

/** The groups whose offsets are not as committed. */
export async function lostGroups(port: number, ledger: Ledger): Promise<string[]> {
  const cluster = clusterAt(port)
  const lost: string[] = []
  for (const [groupId, expected] of ledger.groups) {
    try {
      const committed = await fetchCommitted(cluster, groupId, null)
      const found = new Map(committed.map((row) => [`${row.topic}-${row.partition}`, row.offset]))
      const differs = [...expected].some(([name, offset]) => found.get(name) !== offset)
      if (differs) lost.push(groupId)
    } catch {
      lost.push(groupId)
    }
  }
  cluster.close()
  return lost
}

export interface Writability {
  /** Partitions that took no record, with the reason. */
  readonly refused: ReadonlyMap<string, string>
  /** Where the record went that each of the others took. */
  readonly appended: ReadonlyMap<string, { readonly offset: number; readonly value: string }>
}

/** Appends one record to every partition. */
export async function appendToAll(connection: Connection, ledger: Ledger): Promise<Writability> {
  const refused = new Map<string, string>()
  const appended = new Map<string, { offset: number; value: string }>()
  for (const [name, { topic, partition }] of ledger.partitions) {
    const value = `${name}:after the damage`
    try {
      appended.set(name, {
        offset: await produce(connection, { topic, partition, values: [value] }),
        value,
      })
    } catch (error) {
      refused.set(name, (error as Error).message.slice(0, 60))
    }
  }
  return { refused, appended }
}

/** The partitions in which the record that was appended is not where it was acknowledged. */
export async function missingAppended(
  connection: Connection,
  { appended }: Writability,
): Promise<string[]> {
  const missing: string[] = []
  for (const [name, { offset, value }] of appended) {
    const dash = name.lastIndexOf('-')
    const of = { topic: name.slice(0, dash), partition: Number(name.slice(dash + 1)), offset }
    const { bytes } = await fetch(connection, of)
    try {
      const records = bytes.length === 0 ? [] : readBatch(bytes).records
      const found = records.find((record) => record.offset === offset)
      if (found?.value?.toString() !== value) missing.push(name)
    } catch {
      missing.push(name)
    }
  }
  return missing
}

/**
 * Sends every producer's last batch once more. Names the partitions that stored it a second time, or
 * that do not know the producer any more.
 */
export async function forgottenProducers(
  connection: Connection,
  ledger: Ledger,
): Promise<Map<string, string>> {
  const forgotten = new Map<string, string>()
  for (const [name, { topic, partition, producers }] of ledger.partitions) {
    for (const { producerId, producerEpoch, last } of producers) {
      const { baseSequence, values } = last
      const batch = { topic, partition, values, producerId, producerEpoch, baseSequence }
      try {
        const offset = await produce(connection, batch)
        if (offset !== last.baseOffset) forgotten.set(name, `stored again at ${offset}`)
      } catch (error) {
        const { message } = error as Error
        forgotten.set(name, message.slice(0, 60))
      }
    }
  }
  return forgotten
}

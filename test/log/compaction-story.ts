/** A log that is written, compacted, and held against the oracle, as a seed says. */
import { batches } from '../../protocol/records/batch.ts'
import type { Compression } from '../../protocol/records/compression/compression.ts'
import { encodeControlBatch } from '../../protocol/records/control.ts'
import { type NewRecord, readBatch } from '../../protocol/records/record.ts'
import { type CompactionConfig, Compactor } from '../../src/log/compaction/compactor.ts'
import type { LogConfig } from '../../src/log/log-config.ts'
import { SeededRandom } from '../simulator/random.ts'
import { Oracle, type OracleBatch, seen } from './compaction-oracle.ts'
import { defaultCompactionConfig, Fixture } from './log-fixture.ts'

export const deleteRetentionMs = 1000

export const compacted: Partial<LogConfig> = {
  cleanupPolicy: ['compact'],
  minCleanableDirtyRatio: 0,
  deleteRetentionMs,
  segmentBytes: 2500,
  indexIntervalBytes: 150,
}

interface Sender {
  readonly producerId: number
  producerEpoch: number
  baseSequence: number
  isTransactional: boolean
  isOpen: boolean
}

export class Story {
  readonly random: SeededRandom
  readonly fixture: Fixture
  readonly oracle = new Oracle()
  readonly senders: Sender[]
  compaction: CompactionConfig = { ...defaultCompactionConfig, ioBufferSize: 2048 }
  #compactor: Compactor | null = null
  #values = 0

  constructor(seed: number, config: Partial<LogConfig> = {}, tailBytes = 0) {
    this.random = new SeededRandom(seed)
    this.fixture = new Fixture({ seed, config: { ...compacted, ...config }, tailBytes })
    this.senders = [-1, 11, 12, 13, 14].map((producerId, index) => ({
      producerId,
      producerEpoch: producerId < 0 ? -1 : 0,
      baseSequence: producerId < 0 ? -1 : 0,
      isTransactional: index > 2,
      isOpen: false,
    }))
  }

  get log() {
    return this.fixture.log
  }

  /** That of the process that runs now. */
  get compactor(): Compactor {
    const { environment } = this.fixture.process
    this.#compactor ??= new Compactor({
      environment,
      logs: () => [this.log.cleanable],
      config: () => this.compaction,
    })
    return this.#compactor
  }

  /** After the process has died. */
  begin(): void {
    this.#compactor = null
    this.log.updateHighWatermark(this.log.logEndOffset)
  }

  /** A few batches, now and then the end of a transaction or of a segment. */
  async write(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const sender = this.random.pick(this.senders)
      if (sender.isOpen && this.random.chance(0.4)) await this.end(sender, this.random.chance(0.5))
      else await this.send(sender)
      if (this.random.chance(0.05)) this.log.roll()
      if (this.random.chance(0.2)) await this.fixture.world.runFor(this.random.between(1, 400))
    }
  }

  async send(sender: Sender, records = this.#records()): Promise<void> {
    const { producerId, producerEpoch, baseSequence, isTransactional } = sender
    const compression = this.random.pick<Compression>(['none', 'none', 'gzip', 'snappy'])
    const producer = { producerId, producerEpoch, baseSequence, isTransactional }
    const { baseOffset, lastOffset } = await this.#append({ records, compression, ...producer })
    if (producerId >= 0) sender.baseSequence += records.length
    sender.isOpen = isTransactional
    const found = await this.#stored(baseOffset)
    if (found.lastOffset !== lastOffset) throw new Error(`no batch ends at ${lastOffset}`)
    this.oracle.add(found)
  }

  async end(sender: Sender, isCommit: boolean): Promise<void> {
    const batch = encodeControlBatch({
      records: [{ type: isCommit ? 'commit' : 'abort', value: { coordinatorEpoch: 3 } }],
      timestamp: this.fixture.now,
      producer: { id: sender.producerId, epoch: sender.producerEpoch },
    })
    const { written, baseOffset } = this.log.append(batch, this.#leaderEpoch, 'coordinator')
    await this.fixture.world.run(written)
    this.log.updateHighWatermark(this.log.logEndOffset)
    sender.isOpen = false
    this.oracle.add(await this.#stored(baseOffset))
  }

  /** All of it can be compacted: no transaction is open, nothing but the active segment left. */
  async settle(): Promise<void> {
    for (const sender of this.senders) {
      if (sender.isOpen) await this.end(sender, this.random.chance(0.5))
    }
    this.log.roll()
    await this.fixture.world.run(this.log.flush())
  }

  /** Compacts if that is due, the oracle too. */
  async compact(): Promise<boolean> {
    const { log } = this
    const { cleanings } = this.compactor.counters
    const producers = new Map(
      log
        .activeProducers()
        .map(({ producerId, lastOffset, epoch }) => [producerId, { lastOffset, epoch }]),
    )
    const { cleanedOffset } = log
    const bases = log.cleanable.segments.map(({ baseOffset }) => baseOffset)
    const upToOffset = bases.findLast((base) => base <= log.lastStableOffset) ?? 0
    const { now } = this.fixture
    await this.fixture.world.run(this.compactor.compactOne())
    if (this.compactor.counters.cleanings === cleanings) return false
    const mappedUpTo = log.cleanedOffset
    this.oracle.compact({
      fromOffset: Math.max(cleanedOffset, log.logStartOffset),
      mappedUpTo,
      upToOffset,
      copiedUpTo: bases.find((base) => base >= mappedUpTo) ?? log.logEndOffset,
      now,
      deleteRetentionMs,
      producers,
    })
    return true
  }

  /** Everything that is stored, in the oracle's words. */
  async stored(): Promise<OracleBatch[]> {
    const bytes = await this.fixture.readAll()
    return [...batches(bytes)].map((at) => seen(readBatch(bytes, at)))
  }

  get expected(): OracleBatch[] {
    return this.oracle.batches.map((batch) => {
      if (batch.records.length > 0) return batch
      // What is left of a marker does not say which one it was.
      const marker = batch.marker === null ? null : 'abort'
      return { ...batch, compression: 'none', marker }
    })
  }

  get #leaderEpoch(): number {
    return Math.floor(this.log.nextOffset / 100)
  }

  #records(): NewRecord[] {
    return Array.from({ length: this.random.between(1, 6) }, () => this.record())
  }

  record(key = `key ${this.random.between(0, 12)}`): NewRecord {
    const value = this.random.chance(0.2)
      ? null
      : Buffer.from(`${this.#values++}`.padEnd(this.random.between(0, 60), '.'))
    const headers = this.random.chance(0.2) ? [{ key: 'from', value: Buffer.from(key) }] : []
    const timestamp = this.fixture.now - this.random.between(0, 5000)
    return { timestamp, key: Buffer.from(key), value, headers }
  }

  async #append(batch: Parameters<Fixture['batch']>[1]) {
    const result = await this.fixture.append([], batch, this.#leaderEpoch)
    this.log.updateHighWatermark(this.log.logEndOffset)
    return result
  }

  async #stored(offset: number): Promise<OracleBatch> {
    const { chunks } = await this.fixture.read(offset)
    return seen(readBatch(chunks[0] as Buffer, 0))
  }
}

/**
 * Lands records in Delta tables, each once. The tables alone say how far a partition has come: reading begins there
 * when it is assigned, and what is committed to Kafka only shows it. Rows wait in memory until one of three limits is
 * met: time, rows, bytes; nothing that waits is committed to Kafka. A record that fits no row is reported as errors
 * are (`errors.tolerance`), and skipped; a table that cannot be written fails the task.
 */
import { byTopic, nameOf } from '../../client/topic-partition.ts'
import type { Timer } from '../../environment/environment.ts'
import type { Settings } from '../config-def.ts'
import { ConnectException, DataException } from '../failures.ts'
import type { PartitionOffset, SinkTask, SinkTaskContext, TopicPartition } from '../plugin.ts'
import type { JsonRecord, SinkRecord } from '../records.ts'
import { type Advice, connectorAdvice } from './advice.ts'
import { type DeltaSinkSettings, parseDeltaSink, tablePath } from './delta-sink-config.ts'
import { Abandoned, LandingTable } from './landing-table.ts'
import type { StorageAt } from './move-offsets.ts'

/** Who looks after a task. */
export interface LandingWatch {
  readonly advice: Advice
  /** Rejects where nothing must be written to the table. */
  onOpened(table: LandingTable): Promise<void>
  /** Rejects where rows that have been read must not be committed. */
  beforeCommit(table: LandingTable): Promise<void>
  /** Whether there was anything to commit or not. */
  onCommitted(table: LandingTable): void
}

export class DeltaSinkTask implements SinkTask {
  readonly #storageAt: StorageAt
  readonly #watch: LandingWatch | null
  /** By their location: several topics may go to one. */
  readonly #tables = new Map<string, LandingTable>()
  /** Where reading began in partitions whose table said so. */
  readonly #begun = new Map<string, number>()
  /** Partitions that are to be read again, of which nothing has come since. */
  readonly #again = new Set<string>()
  #context: SinkTaskContext | null = null
  #settings: DeltaSinkSettings | null = null
  #timer: Timer | null = null
  #failure: Error | null = null
  /** Partitions have come, and it is not known yet whether there is anything to land of them. */
  #isNew = false

  constructor(storageAt: StorageAt, watch: LandingWatch | null = null) {
    this.#storageAt = storageAt
    this.#watch = watch
  }

  get #advice(): Advice {
    return this.#watch?.advice ?? connectorAdvice
  }

  start(settings: Settings, context: SinkTaskContext): void {
    this.#context = context
    this.#settings = parseDeltaSink(settings, this.#advice)
  }

  /**
   * Only where all records of a topic go to one table does that alone say where to begin; else what Kafka says is early
   * enough, and each table skips what it has.
   */
  async open(partitions: readonly TopicPartition[]): Promise<void> {
    const { mayRoute, beginsEarliest } = this.#settings!
    if (mayRoute) return
    const positions: PartitionOffset[] = []
    for (const [topic, ofTopic] of byTopic(partitions)) {
      const table = await this.#tableOf(topic)
      // Where the first records are gone already, the consumer finds those that are left.
      positions.push(...(await table.begin(ofTopic, beginsEarliest ? 0 : null)))
    }
    for (const position of positions) this.#begun.set(nameOf(position), position.offset)
    this.#context!.offset(positions)
    this.#isNew = true
  }

  async put(records: readonly SinkRecord[]): Promise<void> {
    if (this.#failure !== null) throw this.#failure
    const again = new Set<string>()
    for (const record of records) {
      // It is read again, behind what was given up. Those of other partitions do not come back.
      if (again.size > 0 && again.has(nameOf(originOf(record)))) continue
      await this.#land(record)
      if (!this.#isFull()) continue
      for (const position of (await this.#commit()) ?? []) again.add(nameOf(position))
    }
    // Where there is nothing to land that is found soon, and told.
    if (this.#isNew && !this.#isBehind) this.#context!.requestCommit()
    this.#isNew = false
    this.#startTimer()
    await this.#writeAhead()
  }

  async #writeAhead(): Promise<void> {
    for (const table of this.#tables.values()) {
      try {
        await table.writeAhead()
      } catch (error) {
        throw this.#failed(table, error)
      }
    }
  }

  get #isBehind(): boolean {
    return [...this.#tables.values()].some(({ isBehind }) => isBehind)
  }

  /** Where anything is to be said of them, `put` says it. */
  takeJson(partition: TopicPartition, records: readonly JsonRecord[]): number {
    const table = this.#tables.get(tablePath(this.#settings!.path, partition.topic))
    const first = records[0]
    if (this.#failure !== null || table === undefined || first === undefined) return 0
    const begun = this.#begun.get(nameOf(partition))
    if (begun !== undefined && first.record.originalKafkaOffset < begun) return 0
    this.#again.delete(nameOf(partition))
    return this.#isFull() ? 0 : table.addJson(partition, records)
  }

  async #land(record: SinkRecord): Promise<void> {
    this.#refuseBegunAnew(record)
    if (this.#again.size > 0) this.#again.delete(nameOf(originOf(record)))
    const table = await this.#tableOf(record.topic)
    try {
      table.add(record)
    } catch (error) {
      if (!(error instanceof DataException)) throw error
      await this.#refuse(record, error)
      table.skip(record)
    }
  }

  /** What is in the tables may be committed. */
  async preCommit(offsets: readonly PartitionOffset[]): Promise<readonly PartitionOffset[]> {
    if (this.#failure !== null) return []
    this.#pass(offsets)
    try {
      return (await this.#commit()) === null ? offsets : []
    } catch (error) {
      // The runtime would only go back to the last commit: the next `put` fails the task.
      this.#context!.log.error('Rows could not be committed to a Delta table', { err: error })
      return []
    }
  }

  /** What no converter could read is in no row, and would else be read, and told, with every start. */
  #pass(offsets: readonly PartitionOffset[]): void {
    const { mayRoute, beginsEarliest, path } = this.#settings!
    if (mayRoute) return
    for (const offset of offsets) {
      // Before it is read again, what was given up lies before this offset.
      if (this.#again.has(nameOf(offset))) continue
      this.#tables.get(tablePath(path, offset.topic))?.passTo(offset, beginsEarliest)
    }
  }

  /**
   * Rows that still wait are read again: by whoever gets the partitions, and by us in those that stay. Where that fails
   * the rows of both still wait together, and none of them may be committed any more.
   */
  async close(partitions: readonly TopicPartition[]): Promise<void> {
    for (const partition of partitions) {
      this.#begun.delete(nameOf(partition))
      this.#again.delete(nameOf(partition))
    }
    for (const table of this.#tables.values()) {
      try {
        this.#readAgain(await table.end(partitions))
      } catch (error) {
        throw this.#failed(table, error)
      }
    }
  }

  async stop(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = null
    for (const table of this.#tables.values()) await table.discard()
    this.#tables.clear()
  }

  async #tableOf(topic: string): Promise<LandingTable> {
    const settings = this.#settings!
    const location = tablePath(settings.path, topic)
    const known = this.#tables.get(location)
    if (known !== undefined) return known
    const { clock, random } = this.#context!.environment
    const environment = { clock, random, storage: this.#storageAt(location, settings.storage) }
    const table = await LandingTable.open(location, environment, settings.landing)
    await this.#watch?.onOpened(table)
    this.#tables.set(location, table)
    return table
  }

  /** Offsets that begin again are another topic of the same name: the table would take its records for old ones. */
  #refuseBegunAnew(record: SinkRecord): void {
    const { topic, partition } = originOf(record)
    const begun = this.#begun.get(nameOf({ topic, partition }))
    if (begun === undefined || record.originalKafkaOffset >= begun) return
    throw new ConnectException(
      `Partition ${partition} of ${topic} has offset ${record.originalKafkaOffset}, but the table has it up to ${begun}: was the topic made anew? ${this.#advice.begunAnew}`,
    )
  }

  /** Throws where errors are not tolerated. */
  async #refuse(record: SinkRecord, error: DataException): Promise<void> {
    const { errantRecordReporter: reporter, settings, log } = this.#context!
    const at = `${nameOf(originOf(record))} at offset ${record.originalKafkaOffset}`
    const told = new DataException(`${at}: ${error.message}`, { cause: error })
    if (reporter !== null) return reporter.report(record, told)
    if (settings.get('errors.tolerance') !== 'all') throw told
    log.warn('A record was skipped: no row of the table holds it', { reason: told.message })
  }

  #isFull(): boolean {
    const { rowsMax, bytesMax } = this.#settings!
    let rows = 0
    let bytes = 0
    for (const table of this.#tables.values()) {
      rows += table.rowCount
      bytes += table.bytes
    }
    return rows >= rowsMax || bytes >= bytesMax
  }

  /** Null: all is in the tables. Where one has moved on without us, what is read again of it, which may be nothing. */
  async #commit(): Promise<readonly PartitionOffset[] | null> {
    this.#timer?.cancel()
    this.#timer = null
    let all: readonly PartitionOffset[] | null = null
    for (const table of this.#tables.values()) {
      try {
        if (table.isBehind) await this.#watch?.beforeCommit(table)
        await table.commit()
        this.#watch?.onCommitted(table)
      } catch (error) {
        if (!(error instanceof Abandoned)) throw this.#failed(table, error)
        const { message: reason, again } = error
        this.#context!.log.warn('Rows were given up, and are read again', { reason, again })
        this.#readAgain(again)
        all = [...(all ?? []), ...again]
      }
    }
    return all
  }

  #failed({ location }: LandingTable, cause: unknown): ConnectException {
    const message = `The Delta table ${location} cannot be written: ${(cause as Error).message}`
    this.#failure =
      cause instanceof ConnectException ? cause : new ConnectException(message, { cause })
    return this.#failure as ConnectException
  }

  #readAgain(positions: readonly PartitionOffset[]): void {
    const assigned = new Set(this.#context!.assignment().map(nameOf))
    const ours = positions.filter((position) => assigned.has(nameOf(position)))
    for (const position of ours) {
      this.#again.add(nameOf(position))
      const begun = this.#begun.get(nameOf(position)) ?? position.offset
      this.#begun.set(nameOf(position), Math.min(begun, position.offset))
    }
    if (ours.length > 0) this.#context!.offset(ours)
  }

  #startTimer(): void {
    if (this.#timer !== null || !this.#isBehind) return
    const { environment } = this.#context!
    this.#timer = environment.timers.after(this.#settings!.intervalMs, () => {
      this.#timer = null
      this.#context!.requestCommit()
    })
  }
}

function originOf({ originalTopic, originalKafkaPartition }: SinkRecord): TopicPartition {
  return { topic: originalTopic, partition: originalKafkaPartition }
}

/**
 * One log directory with one log in a simulated world: killed, crashed, closed and opened again.
 */
import { type ErrorName, errors } from '../../protocol/errors.ts'
import { encodeBatch, type NewBatch } from '../../protocol/records/record.ts'
import type { CompactionConfig } from '../../src/log/compaction/compactor.ts'
import { Log } from '../../src/log/log.ts'
import { defaultLogConfig, type LogConfig } from '../../src/log/log-config.ts'
import { LogDirectory } from '../../src/log/log-directory.ts'
import type { LogOptions, OnDamage } from '../../src/log/log-options.ts'
import type { ReadOptions, ReadResult } from '../../src/log/segment-read.ts'
import { TailCache } from '../../src/log/tail-cache.ts'
import { type SimulatedProcess, SimulatedWorld } from '../simulator/simulated-world.ts'

/** Kafka's defaults. */
export const defaultCompactionConfig: CompactionConfig = {
  isEnabled: true,
  backoffMs: 15_000,
  dedupeBufferSize: 128 * 1024 * 1024,
  ioBufferSize: 512 * 1024,
  ioBufferLoadFactor: 0.9,
  ioMaxBytesPerSecond: Number.MAX_VALUE,
}

export const topicId = 'AAAAAAAAAAAAAAAAAAAAAQ'
export const directoryPath = '/data'
export const logPath = `${directoryPath}/orders-0`

/** What a KafkaError of this row must look like, for `t.throws` and `t.rejects`. */
export const answer = (row: ErrorName): Error =>
  ({ name: 'KafkaError', error: errors[row] }) as unknown as Error

export interface FixtureOptions {
  config?: Partial<LogConfig>
  tailBytes?: number
  seed?: number
  onDamage?: OnDamage
}

export class Fixture {
  readonly world: SimulatedWorld
  readonly tailBytes: number
  readonly onDamage: OnDamage
  config: LogConfig
  process: SimulatedProcess
  directory: LogDirectory
  log: Log
  /** What was logged since the last start: level, message and fields. */
  readonly lines: string[] = []

  constructor({ config = {}, tailBytes = 0, seed = 1, onDamage = 'cut' }: FixtureOptions = {}) {
    this.world = new SimulatedWorld(seed, { onLog: (line) => this.lines.push(line) })
    this.tailBytes = tailBytes
    this.onDamage = onDamage
    this.config = { ...defaultLogConfig, ...config }
    this.process = this.world.start('broker')
    this.directory = this.#openDirectory()
    this.log = this.#openLog()
  }

  get disk() {
    return this.process.disk
  }

  get now(): number {
    return this.process.environment.clock.now()
  }

  /** The process dies; what was written is there. */
  kill(): this {
    this.world.kill(this.process)
    return this.#reopen()
  }

  /** The power goes; of what was not synced some is lost. */
  crash(): this {
    this.world.crash(this.process)
    return this.#reopen()
  }

  /** A clean shutdown, and a start. `change` meddles with the files between the two. */
  async restart(change: () => void = () => {}): Promise<this> {
    await this.world.run(this.directory.close(7))
    change()
    this.world.kill(this.process)
    return this.#reopen()
  }

  /** What its process left, after it died within an operation of the disk. */
  revive(): this {
    return this.#reopen()
  }

  /** Appends values as one batch and waits until they are written. */
  async append(values: readonly string[], batch: Partial<NewBatch> = {}, leaderEpoch = 0) {
    const result = this.log.append(this.batch(values, batch), leaderEpoch)
    await this.world.run(result.written)
    return result
  }

  batch(values: readonly string[], batch: Partial<NewBatch> = {}): Buffer {
    const records = values.map((value) => ({
      timestamp: this.now,
      key: Buffer.from(`key of ${value}`),
      value: Buffer.from(value),
    }))
    return encodeBatch({ records, ...batch })
  }

  async read(offset: number, limits: Partial<Omit<ReadOptions, 'offset'>> = {}) {
    return this.world.run(
      Promise.resolve(
        this.log.reader.read({
          offset,
          maxBytes: 1 << 20,
          minOneBatch: true,
          upToOffset: this.log.logEndOffset,
          ...limits,
        }),
      ),
    )
  }

  /** All bytes from `offset` on, however many reads that takes. */
  async readAll(offset = this.log.logStartOffset): Promise<Buffer> {
    const chunks: Buffer[] = []
    let result: ReadResult
    do {
      result = await this.read(offset)
      chunks.push(...result.chunks)
      offset = result.nextOffset
    } while (result.bytes > 0)
    return Buffer.concat(chunks)
  }

  files(suffix = ''): string[] {
    return this.disk.list(logPath).flatMap(({ name }) => (name.endsWith(suffix) ? [name] : []))
  }

  #reopen(): this {
    this.lines.length = 0
    this.process = this.world.start('broker')
    this.directory = this.#openDirectory()
    this.log = this.#openLog()
    return this
  }

  #openDirectory(): LogDirectory {
    return LogDirectory.open({ environment: this.process.environment, path: directoryPath })
  }

  #openLog(): Log {
    const options: LogOptions = {
      environment: this.process.environment,
      directory: this.directory,
      topic: 'orders',
      partition: 0,
      topicId,
      config: this.config,
      tailCache: this.tailBytes > 0 ? new TailCache(this.tailBytes) : null,
      onDamage: this.onDamage,
    }
    return Log.open(options)
  }
}

/** What ends a transaction, of producer 7 unless another is named. */
export function marker(isCommit: boolean, more: Partial<NewBatch> = {}): Buffer {
  const value = Buffer.from([0, 0, 0, 0, 0, 3])
  return encodeBatch({
    records: [{ timestamp: 5, key: Buffer.from([0, 0, 0, isCommit ? 1 : 0]), value }],
    producerId: 7,
    producerEpoch: 0,
    isTransactional: true,
    isControl: true,
    ...more,
  })
}

/** Of a log with many segments. */
export const small = { segmentBytes: 700, indexIntervalBytes: 100 }

export async function filled(batches = 12, options: ConstructorParameters<typeof Fixture>[0] = {}) {
  const fixture = new Fixture({ ...options, config: { ...small, ...options.config } })
  for (let index = 0; index < batches; index++) {
    await fixture.append([`value ${index}`, 'second'], {
      producerId: 9,
      producerEpoch: 0,
      baseSequence: index * 2,
    })
  }
  return fixture
}

export function overwrite(fixture: Fixture, path: string, bytes: Buffer, at: number): void {
  const file = fixture.disk.open(path, 'write')
  file.write([bytes], at)
  file.close()
}

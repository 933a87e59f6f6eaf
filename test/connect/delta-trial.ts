/** A Delta sink's task run without a broker: partitions in memory, a consumer's positions, and a disk that fails on demand. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DeltaSinkTask } from '../../src/connect/delta/delta-sink-task.ts'
import type { StorageAt } from '../../src/connect/delta/move-offsets.ts'
import type {
  ErrantRecordReporter,
  PartitionOffset,
  SinkTaskContext,
  TopicPartition,
} from '../../src/connect/plugin.ts'
import type { SinkRecord } from '../../src/connect/records.ts'
import { DiskError } from '../../src/environment/disk.ts'
import type { Environment, Logger } from '../../src/environment/environment.ts'
import { LocalStorage } from '../../src/environment/node/local-storage.ts'
import { NodeRandom } from '../../src/environment/node/random.ts'
import type { FileInMaking, Storage } from '../../src/environment/storage.ts'
import { rowPrinter } from '../../src/tables/columns/json-text.ts'
import { scanTable } from '../../src/tables/delta/scan.ts'
import { readSnapshot } from '../../src/tables/delta/snapshot.ts'

/** Goes with the process: some that import this file write nothing, and others have workers that stop last. */
export const scratch = mkdtempSync(join(tmpdir(), 'millrace-delta-sink-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))

export function newPlace(): string {
  return mkdtempSync(join(scratch, 'place-'))
}

const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
}

export function record(offset: number, value: unknown, more: Partial<SinkRecord> = {}): SinkRecord {
  const { topic = 'flights', kafkaPartition = 0 } = more
  return {
    ...{ topic, kafkaPartition, kafkaOffset: offset },
    ...{ originalTopic: topic, originalKafkaPartition: kafkaPartition },
    ...{ originalKafkaOffset: offset, timestamp: 1_700_000_000_000 },
    ...{ keySchema: null, key: null, valueSchema: null, value, headers: [] },
    ...more,
  }
}

/** As schemaless JSON comes from its converter. */
export function json(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(json)
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value
  if (typeof value !== 'object' || value === null) return value
  return new Map(Object.entries(value).map(([name, one]) => [name, json(one)]))
}

const nameOf = ({ topic, partition }: TopicPartition) => `${topic}-${partition}`

/** Those that nobody has stopped have files open: newer versions of Node end a process that forgets one. */
const running = new Set<Trial>()

/** One life of a task. What it reads from are lists of records by partition. */
export class Trial {
  readonly task: DeltaSinkTask
  readonly positions = new Map<string, number>()
  readonly reported: string[] = []
  commitsAsked = 0
  readonly #settings: ReadonlyMap<string, string>
  readonly #assigned: TopicPartition[] = []
  #wishes: PartitionOffset[] = []
  #timers: (() => void)[] = []

  constructor(
    settings: Readonly<Record<string, string>>,
    storageAt: StorageAt = (location) => new LocalStorage(location),
  ) {
    this.#settings = new Map(Object.entries({ name: 'lander', ...settings }))
    this.task = new DeltaSinkTask(storageAt)
  }

  readonly reporter: ErrantRecordReporter = {
    report: async ({ originalKafkaOffset }, error) => {
      this.reported.push(`${originalKafkaOffset}: ${error.message}`)
    },
  }

  async start(partitions: readonly TopicPartition[], hasReporter = false): Promise<void> {
    const environment = {
      clock: { now: () => 1_700_000_000_000, monotonic: () => 0 },
      random: new NodeRandom(),
      log: silent,
      timers: {
        after: (_delayMs: number, callback: () => void) => {
          this.#timers.push(callback)
          return { cancel: () => (this.#timers = this.#timers.filter((one) => one !== callback)) }
        },
      },
    } as unknown as Environment
    const context: SinkTaskContext = {
      environment,
      log: silent,
      settings: this.#settings,
      assignment: () => this.#assigned,
      offset: (offsets) => this.#wishes.push(...offsets),
      pause: () => undefined,
      resume: () => undefined,
      timeout: () => undefined,
      requestCommit: () => this.commitsAsked++,
      errantRecordReporter: hasReporter ? this.reporter : null,
    }
    running.add(this)
    this.task.start(this.#settings, context)
    await this.assign(partitions)
  }

  async stop(): Promise<void> {
    await this.task.stop()
    running.delete(this)
  }

  async assign(partitions: readonly TopicPartition[]): Promise<void> {
    this.#assigned.push(...partitions)
    for (const partition of partitions) this.positions.set(nameOf(partition), 0)
    await this.task.open(partitions)
    this.#rewind()
  }

  async revoke(partitions: readonly TopicPartition[]): Promise<void> {
    await this.commit()
    await this.task.close(partitions)
    for (const partition of partitions) {
      this.positions.delete(nameOf(partition))
      this.#assigned.splice(
        this.#assigned.findIndex((one) => nameOf(one) === nameOf(partition)),
        1,
      )
    }
    this.#rewind()
  }

  /** Records from where reading stands, of each partition at most `count`. Answers whether there were any. */
  async read(log: ReadonlyMap<string, readonly SinkRecord[]>, count: number): Promise<boolean> {
    const records: SinkRecord[] = []
    for (const [name, position] of this.positions) {
      const all = log.get(name) ?? []
      const from = all.findIndex(({ kafkaOffset }) => kafkaOffset >= position)
      const some = from < 0 ? [] : all.slice(from, from + count)
      if (some.length > 0) this.positions.set(name, some.at(-1)!.kafkaOffset + 1)
      records.push(...some)
    }
    await this.task.put(records)
    this.#rewind()
    return records.length > 0
  }

  /** What the runtime would commit to Kafka. */
  async commit(): Promise<readonly PartitionOffset[]> {
    const offsets = this.#assigned.map((partition) => ({
      ...partition,
      offset: this.positions.get(nameOf(partition))!,
    }))
    const allowed = await this.task.preCommit(offsets)
    this.#rewind()
    return allowed
  }

  /** The commit interval passes. */
  fireTimers(): void {
    for (const callback of this.#timers.splice(0)) callback()
  }

  #rewind(): void {
    for (const wish of this.#wishes.splice(0)) this.positions.set(nameOf(wish), wish.offset)
  }
}

/** Rows as JSON, in any order. */
export async function rowsOf(
  location: string,
  storage: Storage = new LocalStorage(location),
): Promise<Record<string, unknown>[]> {
  const snapshot = await readSnapshot(storage)
  const rows: Record<string, unknown>[] = []
  for await (const batch of scanTable(storage, snapshot, snapshot.schema.fields)) {
    const print = rowPrinter(batch.fields)
    for (let row = 0; row < batch.rowCount; row++) {
      rows.push(JSON.parse(print(batch, row)) as Record<string, unknown>)
    }
  }
  return rows
}

/** A table that is landed by a task killed at one operation of the disk, and by the one after it. */
export interface Killing {
  readonly settings: Readonly<Record<string, string>>
  readonly partitions: readonly TopicPartition[]
  readonly log: ReadonlyMap<string, readonly SinkRecord[]>
  /** Records of each partition that are read at once. */
  readonly readAtOnce: number
  /** The first operation that kills, and from one to the next; `isDone`: it is done, and kills then. */
  readonly operations: (isDone: boolean) => { readonly first: number; readonly step: number }
  /** What to look at when the second task has done; `when` says where the first was killed. */
  readonly look: (location: string, when: string) => Promise<void>
}

/** Kills tasks, each on a table of its own, until one outlives all operations; how many did not. */
export async function killEverywhere(killing: Killing): Promise<number> {
  const { partitions, log, readAtOnce, operations, look } = killing
  let kills = 0
  const live = async (trial: Trial) => {
    try {
      await trial.start(partitions)
      while (await trial.read(log, readAtOnce)) if (kills % 3 === 0) await trial.commit()
      await trial.commit()
    } finally {
      await trial.stop()
    }
  }
  for (const isDone of [false, true]) {
    const { first, step } = operations(isDone)
    for (let at = first; ; at += step) {
      const location = newPlace()
      const settings = { 'table.path': location, ...killing.settings }
      const dying = new DyingStorage(new LocalStorage(location), at, isDone)
      await live(new Trial(settings, () => dying)).catch((error: Error) => {
        if (!dying.isDead) throw error
      })
      if (!dying.isDead) break
      kills++
      await live(new Trial(settings))
      await look(location, `operation ${at}, done: ${isDone}`)
    }
  }
  return kills
}

/** A disk whose `at`-th operation fails, before or after it was done; from then on the process is dead. */
class DyingStorage implements Storage {
  readonly #storage: Storage
  readonly #at: number
  readonly #isDone: boolean
  operations = 0

  constructor(storage: Storage, at: number, isDone: boolean) {
    this.#storage = storage
    this.#at = at
    this.#isDone = isDone
  }

  get isDead(): boolean {
    return this.operations >= this.#at
  }

  async #run<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    this.operations++
    if (this.operations < this.#at) return work()
    if (this.operations === this.#at && this.#isDone) await work()
    throw new DiskError('EIO', name)
  }

  /** As `#run`, where what was got is given back if the operation fails behind it. */
  async #kept<Result>(
    name: string,
    work: () => Promise<Result>,
    giveBack: (result: Result) => Promise<void>,
  ): Promise<Result> {
    const got: Result[] = []
    try {
      return await this.#run(name, async () => {
        got.push(await work())
        return got[0] as Result
      })
    } catch (error) {
      for (const result of got) await giveBack(result)
      throw error
    }
  }

  list = (directory: string) => this.#run(directory, () => this.#storage.list(directory))
  read = (name: string) => this.#run(name, () => this.#storage.read(name))
  open = (name: string) =>
    this.#kept(
      name,
      () => this.#storage.open(name),
      (file) => file.close(),
    )
  putIfAbsent = (name: string, bytes: Uint8Array) =>
    this.#run(name, () => this.#storage.putIfAbsent(name, bytes))
  put = (name: string, bytes: Uint8Array) => this.#run(name, () => this.#storage.put(name, bytes))
  remove = (name: string) => this.#run(name, () => this.#storage.remove(name))

  create = async (name: string): Promise<FileInMaking> => {
    const file = await this.#kept(
      name,
      () => this.#storage.create(name),
      (made) => made.discard(),
    )
    return {
      write: (bytes) => this.#run(name, () => file.write(bytes)),
      finish: () => this.#run(name, () => file.finish()),
      discard: () => file.discard(),
    }
  }
}

/**
 * Coordinators decide, record, apply. What lives here: the one runtime under all of them
 * (`runtime.ts`, `shard-runtime.ts`, `load.ts`, their interfaces in `shard.ts`), undoable state
 * (`timeline.ts`), timers (`deadlines.ts`), and a folder per coordinator (`group/`, `share/`,
 * `transaction/`). What must not: the wire, the log's files, metadata, handlers; a coordinator imports
 * protocol, environment and configuration types only and reaches its log through `CoordinatorLog`.
 *
 * A coordinator's state is cut into shards, one per partition of an internal topic, and a shard
 * lives on the broker that leads the partition. A request decides: it looks at the shard and
 * returns records and a reply, changing nothing that is recorded. `apply(record)` alone changes
 * that, the same way live and when the partition is loaded. The runtime applies the records at
 * once, appends all records of a turn as one batch, and parks the reply until they are committed;
 * if the log refuses them it unwinds them and answers an error. A reply that needed no record still
 * waits for the records it may have seen.
 *
 *   load(partition, leaderEpoch, log) -> loading -> active -> unload(partition)
 *                                           \-> failed: answers NOT_COORDINATOR until the next load,
 *                                               which is tried again, less and less often
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { Environment, Milliseconds, Timer } from '../environment/environment.ts'
import { loadRecords } from './load.ts'
import type {
  CoordinatorLog,
  Decision,
  EndOfTransaction,
  RecordProducer,
  Shard,
  ShardKind,
} from './shard.ts'
import { ShardRuntime } from './shard-runtime.ts'

/** A load that failed is tried again after so long; each time twice as long, up to a limit. */
const reloadMsMin = 10_000
const reloadMsMax = 640_000

interface Slot<S extends Shard<R>, R> {
  readonly leaderEpoch: number
  state: 'loading' | 'active' | 'failed'
  readonly shard: ShardRuntime<S, R>
  /** All that was recorded is known. */
  isWhole: boolean
  /** Resolves when it is not loading any more, once that has begun. */
  loading: Promise<void> | null
  /** Until the load is tried again, once it has failed. */
  reload: Timer | null
}

export type ShardCounts = Readonly<Record<'loading' | 'active' | 'failed', number>>

export class CoordinatorRuntime<S extends Shard<R>, R> {
  readonly #environment: Environment
  readonly #kind: ShardKind<S, R>
  readonly #slots = new Map<number, Slot<S, R>>()
  /** Logs are read one after the other: what that holds of memory does not grow with their number. */
  #loads: Promise<unknown> = Promise.resolve()

  constructor(environment: Environment, kind: ShardKind<S, R>) {
    this.#environment = environment
    this.#kind = kind
  }

  /**
   * This broker leads `partition` since `leaderEpoch`: replays its log. Until it resolves, requests
   * are answered COORDINATOR_LOAD_IN_PROGRESS; a log with nothing in it is loaded when this
   * returns. Nothing happens if the partition is here with this or a later epoch.
   */
  load(partition: number, leaderEpoch: number, log: CoordinatorLog): Promise<void> {
    const before = this.#slots.get(partition)
    if (before !== undefined && before.leaderEpoch >= leaderEpoch) return Promise.resolve()
    this.unload(partition)
    return this.#load(this.#open(partition, leaderEpoch, log), log)
  }

  /** This broker no longer leads `partition`, as of `leaderEpoch` if one is given. */
  unload(partition: number, leaderEpoch = Number.POSITIVE_INFINITY): void {
    const slot = this.#slots.get(partition)
    if (slot === undefined || slot.leaderEpoch > leaderEpoch) return
    this.#slots.delete(partition)
    slot.reload?.cancel()
    slot.shard.close(errors.NOT_COORDINATOR)
  }

  /** Unloads all shards. */
  close(): void {
    for (const partition of [...this.#slots.keys()]) this.unload(partition)
  }

  /**
   * Runs `decide` on the shard and returns its reply: at once if there is nothing to wait for.
   * Throws, or rejects with, `KafkaError`: NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, what
   * `decide` threw, or why the records could not be written (see `coordinatorError`).
   */
  write<T>(
    partition: number,
    decide: (shard: S, nowMs: Milliseconds) => Decision<R, T>,
  ): T | Promise<T> {
    return this.#active(partition).write(decide)
  }

  /** As `write`, for what must not be missed: a shard that is loading is waited for. */
  async writeOnceLoaded<T>(
    partition: number,
    decide: (shard: S, nowMs: Milliseconds) => Decision<R, T>,
  ): Promise<T> {
    const slot = this.#slots.get(partition)
    if (slot?.state === 'loading') await slot.loading
    return this.write(partition, decide)
  }

  /**
   * As `write`, for records that are part of a transaction of `producer`, and count once it commits.
   * Throws also what the log has against the producer.
   */
  writeInTransaction<T>(
    partition: number,
    producer: RecordProducer,
    decide: (shard: S, nowMs: Milliseconds) => Decision<R, T>,
  ): T | Promise<T> {
    return this.#active(partition).write(decide, producer)
  }

  /** Ends a transaction in the partition, with a marker; resolves once that is committed. */
  endTransaction(partition: number, end: EndOfTransaction): void | Promise<void> {
    return this.#active(partition).endTransaction(end)
  }

  /** As `write`, for what only looks: the reply holds nothing that is not committed. */
  read<T>(partition: number, look: (shard: S, nowMs: Milliseconds) => T): T | Promise<T> {
    return this.write(partition, (shard, nowMs) => ({ records: [], reply: look(shard, nowMs) }))
  }

  /**
   * What `look` finds in each shard that is here, one after the other. Rejects with KafkaError while one of
   * them is loading.
   */
  async *readEach<T>(look: (shard: S, nowMs: Milliseconds) => T): AsyncIterableIterator<T> {
    for (const partition of this.partitions()) {
      try {
        yield await this.read(partition, look)
      } catch (failure) {
        // Led by another broker since a moment ago: that one knows what is in it.
        const isGone = failure instanceof KafkaError && failure.error === errors.NOT_COORDINATOR
        if (!isGone) throw failure
      }
    }
  }

  /**
   * Runs `decide` on each shard that is here, once it is loaded; resolves when all that is recorded, or
   * failed. Never rejects: what goes wrong is logged, `failed` saying what was not done.
   */
  async writeEach(decide: (shard: S) => Decision<R, unknown>, failed: string): Promise<void> {
    const writes = this.partitions().map(async (partition) => {
      try {
        await this.writeOnceLoaded(partition, decide)
      } catch (err) {
        const level = err instanceof KafkaError ? 'warn' : 'error'
        this.#environment.log[level](failed, { partition, err })
      }
    })
    await Promise.all(writes)
  }

  /** For what changes nothing that is recorded: a shard that is loading will start from what is then. */
  forEachActive(act: (shard: S) => void): void {
    for (const { state, shard } of this.#slots.values()) if (state === 'active') shard.look(act)
  }

  /** The partitions whose shards are here, loading ones included. */
  partitions(): number[] {
    return [...this.#slots.keys()].sort((a, b) => a - b)
  }

  /** Whether these shards are all here and know all that was recorded. */
  isWhole(partitionCount: number): boolean {
    const slots = [...this.#slots.values()]
    return (
      slots.length === partitionCount &&
      slots.every(({ state, isWhole }) => state === 'active' && isWhole)
    )
  }

  /** How many shards are here, by their state. */
  get shardStates(): ShardCounts {
    const counts = { loading: 0, active: 0, failed: 0 }
    for (const { state } of this.#slots.values()) counts[state]++
    return counts
  }

  #inLine<T>(load: () => Promise<T>): Promise<T> {
    const loaded = this.#loads.then(load)
    this.#loads = loaded.catch(() => {})
    return loaded
  }

  #active(partition: number): ShardRuntime<S, R> {
    const slot = this.#slots.get(partition)
    if (slot === undefined || slot.state === 'failed') throw new KafkaError(errors.NOT_COORDINATOR)
    if (slot.state === 'loading') throw new KafkaError(errors.COORDINATOR_LOAD_IN_PROGRESS)
    return slot.shard
  }

  #open(partition: number, leaderEpoch: number, log: CoordinatorLog): Slot<S, R> {
    const loadAnew = async (settled: Promise<unknown>) => {
      if (this.#slots.get(partition) !== slot) return
      slot.shard.close(errors.COORDINATOR_LOAD_IN_PROGRESS)
      const next = this.#open(partition, leaderEpoch, log)
      await settled
      if (this.#slots.get(partition) === next) await this.#load(next, log)
    }
    const shard = new ShardRuntime({
      environment: this.#environment,
      kind: this.#kind,
      partition,
      leaderEpoch,
      log,
      onInDoubt: loadAnew,
    })
    const begun = { state: 'loading', isWhole: true, loading: null, reload: null } as const
    const slot: Slot<S, R> = { leaderEpoch, shard, ...begun }
    this.#slots.set(partition, slot)
    return slot
  }

  #load(slot: Slot<S, R>, log: CoordinatorLog, reloadMs = reloadMsMin): Promise<void> {
    slot.loading = this.#replay(slot, log, reloadMs)
    return slot.loading
  }

  async #replay(slot: Slot<S, R>, log: CoordinatorLog, reloadMs: Milliseconds): Promise<void> {
    const { shard } = slot
    const partition = shard.partition
    const isCurrent = () => this.#slots.get(partition) === slot
    const { name: coordinator, topic } = this.#kind
    const named = { coordinator, partition: `${topic}-${partition}` }
    const fields = { ...named, leaderEpoch: slot.leaderEpoch }
    try {
      const replay = (records: readonly R[], atLeastOffset: number, producerId: number | null) =>
        shard.replay(records, atLeastOffset, producerId)
      const replayEnd = (producerId: number, isCommit: boolean) =>
        shard.replayEnd(producerId, isCommit)
      const logger = this.#environment.log.child(named)
      const onPassedOver = () => {
        slot.isWhole = false
      }
      const load = { log, logger, kind: this.#kind, replay, replayEnd, onPassedOver, isCurrent }
      const loaded = log.isEmpty
        ? null
        : await this.#inLine(() => loadRecords(load, this.#environment))
      if (!isCurrent()) return
      slot.state = 'active'
      shard.activate()
      if (loaded !== null && loaded.records > 0)
        this.#environment.log.debug('coordinator loaded', { ...fields, ...loaded })
    } catch (err) {
      if (!isCurrent()) return
      slot.state = 'failed'
      shard.close(errors.NOT_COORDINATOR)
      // It may have been for want of a file descriptor, or of a disk that answers.
      slot.reload = this.#environment.timers.after(reloadMs, () => {
        const next = this.#open(partition, slot.leaderEpoch, log)
        void this.#load(next, log, Math.min(2 * reloadMs, reloadMsMax))
      })
      this.#environment.log.error('coordinator could not be loaded', { ...fields, reloadMs, err })
    }
  }
}

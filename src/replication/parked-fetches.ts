/**
 * Fetches that wait for bytes. A fetch is parked on the partitions it reads and costs nothing until the
 * append that satisfies it, a change of a partition, its deadline, or the end of its connection.
 */
import type { Milliseconds, Timer, Timers } from '../environment/environment.ts'
import type { PartitionWatcher } from './watchers.ts'

/** Each connection waits in at most a few fetches, so this is felt only when far too many are open. */
const parkedMaxDefault = 100_000

/** The connection a fetch came by, as far as waiting is concerned. */
export interface FetcherConnection {
  readonly isOpen: boolean
  readonly attachments: Map<symbol, unknown>
  onClose(callback: () => void): void
}

/** What a fetch may wait for: a partition, or what else tells its watchers that there is more to read. */
export interface Watched {
  watch(watcher: PartitionWatcher): void
  unwatch(watcher: PartitionWatcher): void
}

/** What ended the wait. `read`: read again and answer; `gone`: nobody is there to be answered. */
export type Woken = 'read' | 'gone'

/** What a fetch waits for. */
interface Wanted {
  readonly partitions: readonly Watched[]
  readonly missingBytes: number
  /** Only bytes below the last stable offset count. */
  readonly isReadCommitted: boolean
}

class ParkedFetch implements PartitionWatcher {
  #missingBytes: number
  readonly #isReadCommitted: boolean
  readonly #partitions: readonly Watched[]
  readonly #leave: (fetch: ParkedFetch) => void
  readonly #resolve: (woken: Woken) => void
  #timer: Timer | null = null

  constructor(
    { partitions, missingBytes, isReadCommitted }: Wanted,
    resolve: (woken: Woken) => void,
    leave: (fetch: ParkedFetch) => void,
  ) {
    this.#partitions = partitions
    this.#missingBytes = missingBytes
    this.#isReadCommitted = isReadCommitted
    this.#resolve = resolve
    this.#leave = leave
  }

  park(timers: Timers, maxWaitMs: Milliseconds): void {
    for (const partition of this.#partitions) partition.watch(this)
    this.#timer = timers.after(maxWaitMs, () => this.wake('read'))
  }

  readable(bytes: number, committedBytes: number): void {
    this.#missingBytes -= this.#isReadCommitted ? committedBytes : bytes
    if (this.#missingBytes <= 0) this.wake('read')
  }

  changed(): void {
    this.wake('read')
  }

  wake(woken: Woken): void {
    if (this.#timer === null) return
    this.#timer.cancel()
    this.#timer = null
    for (const partition of this.#partitions) partition.unwatch(this)
    this.#leave(this)
    this.#resolve(woken)
  }
}

/**
 * What becomes readable where a fetch has looked already, while it reads its other partitions in turns: it
 * counts as if the fetch waited by then.
 */
export class EarlyWatch implements PartitionWatcher {
  readonly #isReadCommitted: boolean
  readonly #partitions = new Set<Watched>()
  #bytes = 0

  constructor(isReadCommitted: boolean) {
    this.#isReadCommitted = isReadCommitted
  }

  /** How many bytes came; infinite where something changed. */
  get bytes(): number {
    return this.#bytes
  }

  add(partition: Watched): void {
    this.#partitions.add(partition)
    partition.watch(this)
  }

  remove(partition: Watched): void {
    this.#partitions.delete(partition)
    partition.unwatch(this)
  }

  readable(bytes: number, committedBytes: number): void {
    this.#bytes += this.#isReadCommitted ? committedBytes : bytes
  }

  changed(): void {
    this.#bytes = Number.POSITIVE_INFINITY
  }

  end(): void {
    for (const partition of this.#partitions) partition.unwatch(this)
    this.#partitions.clear()
  }
}

export class ParkedFetches {
  readonly #timers: Timers
  readonly #parkedMax: number
  readonly #parked = new Set<ParkedFetch>()
  readonly #ofConnection = Symbol('parked fetches')
  #isClosed = false

  constructor(options: { timers: Timers; parkedMax?: number }) {
    this.#timers = options.timers
    this.#parkedMax = options.parkedMax ?? parkedMaxDefault
  }

  get size(): number {
    return this.#parked.size
  }

  /** Whether the broker stops: who is woken should answer, whatever there is. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /**
   * Waits until `missingBytes` more can be read from the partitions, one of them changes, or `maxWaitMs`
   * have passed. Where too many wait already, it does not wait at all.
   */
  park(
    options: Wanted & { maxWaitMs: Milliseconds; connection: FetcherConnection },
  ): Promise<Woken> {
    if (!options.connection.isOpen) return Promise.resolve('gone')
    if (this.#isClosed || this.#parked.size >= this.#parkedMax) return Promise.resolve('read')
    const ofConnection = this.#waitingOn(options.connection)
    return new Promise((resolve) => {
      const fetch = new ParkedFetch(options, resolve, (woken) => {
        ofConnection.delete(woken)
        this.#parked.delete(woken)
      })
      ofConnection.add(fetch)
      this.#parked.add(fetch)
      fetch.park(this.#timers, options.maxWaitMs)
    })
  }

  /** Wakes all, so that they are answered before the broker stops. */
  close(): void {
    this.#isClosed = true
    for (const fetch of this.#parked) fetch.wake('read')
  }

  #waitingOn(connection: FetcherConnection): Set<ParkedFetch> {
    const known = connection.attachments.get(this.#ofConnection) as Set<ParkedFetch> | undefined
    if (known !== undefined) return known
    const waiting = new Set<ParkedFetch>()
    connection.attachments.set(this.#ofConnection, waiting)
    connection.onClose(() => {
      for (const fetch of waiting) fetch.wake('gone')
    })
    return waiting
  }
}

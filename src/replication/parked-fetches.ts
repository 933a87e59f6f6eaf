/**
 * Fetches that wait for bytes. A fetch is parked on the partitions it reads and costs nothing until the
 * append that satisfies it, a change of a partition, its deadline, or the end of its connection.
 */
import type { Milliseconds, Timer, Timers } from '../environment/environment.ts'
import { SmallSet } from './small-set.ts'
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
  /** Among all that are parked. */
  place = 0
  #missingBytes: number
  readonly #isReadCommitted: boolean
  readonly #partitions: readonly Watched[]
  readonly #ofConnection: SmallSet<ParkedFetch>
  readonly #leave: (fetch: ParkedFetch) => void
  readonly #resolve: (woken: Woken) => void
  #timer: Timer | null = null

  constructor(
    { partitions, missingBytes, isReadCommitted }: Wanted,
    ofConnection: SmallSet<ParkedFetch>,
    leave: (fetch: ParkedFetch) => void,
    resolve: (woken: Woken) => void,
  ) {
    this.#partitions = partitions
    this.#missingBytes = missingBytes
    this.#isReadCommitted = isReadCommitted
    this.#ofConnection = ofConnection
    this.#leave = leave
    this.#resolve = resolve
  }

  park(timers: Timers, maxWaitMs: Milliseconds): void {
    this.#ofConnection.add(this)
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
    this.#ofConnection.delete(this)
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
  /** In no order; each knows its place. */
  readonly #parked: ParkedFetch[] = []
  readonly #ofConnection = Symbol('parked fetches')
  #isClosed = false

  constructor(options: { timers: Timers; parkedMax?: number }) {
    this.#timers = options.timers
    this.#parkedMax = options.parkedMax ?? parkedMaxDefault
  }

  get size(): number {
    return this.#parked.length
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
    if (this.#isClosed || this.#parked.length >= this.#parkedMax) return Promise.resolve('read')
    const ofConnection = this.#waitingOn(options.connection)
    return new Promise((resolve) => {
      const fetch = new ParkedFetch(options, ofConnection, this.#leave, resolve)
      fetch.place = this.#parked.push(fetch) - 1
      fetch.park(this.#timers, options.maxWaitMs)
    })
  }

  readonly #leave = ({ place }: ParkedFetch): void => {
    const last = this.#parked.pop() as ParkedFetch
    if (last.place === place) return
    last.place = place
    this.#parked[place] = last
  }

  /** Wakes all, so that they are answered before the broker stops. */
  close(): void {
    this.#isClosed = true
    for (const fetch of [...this.#parked]) fetch.wake('read')
  }

  #waitingOn(connection: FetcherConnection): SmallSet<ParkedFetch> {
    const known = connection.attachments.get(this.#ofConnection) as
      | SmallSet<ParkedFetch>
      | undefined
    if (known !== undefined) return known
    const waiting = new SmallSet<ParkedFetch>()
    connection.attachments.set(this.#ofConnection, waiting)
    connection.onClose(() => waiting.each((fetch) => fetch.wake('gone')))
    return waiting
  }
}

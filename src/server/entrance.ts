/**
 * Between a listener and its connections: where connections come too often (`max.connection.creation.rate`),
 * each waits here for its turn, as in Kafka it waits for the acceptor; those of an address that
 * comes too often are held for a while and closed (`connection_creation_rate`, KIP-612).
 *
 *     arrives → has a place → its turn has come → may come from its address → is a connection
 *             ↘ refused                         ↘ held, then closed
 *
 * Whoever waits or is held has its place among all connections, and nothing of it is read.
 */
import type { Milliseconds, Timer, Timers } from '../environment/environment.ts'
import type { Stream } from '../environment/network.ts'
import type { Limits } from './limits.ts'

/** Held at once; one more is closed at once instead. */
const heldMax = 1000

/** What a listener makes of those who arrive. */
export interface EntranceOwner {
  readonly name: string
  readonly timers: Timers
  readonly limits: Limits
  enter(stream: Stream): void
  /** It is closed without having come in. */
  refused(stream: Stream, reason: string): void
}

export class Entrance {
  readonly #owner: EntranceOwner
  /** Who waits for its turn, the next one first. */
  readonly #line = new Set<Stream>()
  /** Those that are to be closed. */
  readonly #held = new Map<Stream, Timer>()
  /** When the turn of the next one comes. */
  #turn: Timer | undefined
  #isClosed = false

  constructor(owner: EntranceOwner) {
    this.#owner = owner
  }

  arrive(stream: Stream): void {
    const { limits, name } = this.#owner
    const reason = this.#isClosed
      ? 'the broker is stopping'
      : limits.admit(stream.remote.host, name)
    if (reason !== undefined) {
      this.#refuse(stream, reason)
    } else if (this.#line.size > 0) {
      this.#putAside(stream)
      this.#line.add(stream)
    } else {
      const waitMs = limits.waitMs(name)
      if (waitMs === 0) {
        this.#letIn(stream)
        return
      }
      this.#putAside(stream)
      this.#line.add(stream)
      this.#wait(waitMs)
    }
  }

  /** Nobody comes in any more. */
  close(): void {
    this.#isClosed = true
    this.#turn?.cancel()
    for (const stream of [...this.#line, ...this.#held.keys()]) {
      this.#leave(stream)
      this.#refuse(stream, 'the broker is stopping')
    }
  }

  #wait(waitMs: Milliseconds): void {
    this.#turn = this.#owner.timers.after(waitMs, () => this.#nextTurn())
  }

  /** Of the first one, which was counted, and of as many more as need not wait. */
  #nextTurn(): void {
    const { limits, name } = this.#owner
    for (const stream of this.#line) {
      this.#line.delete(stream)
      if (this.#letIn(stream)) stream.resume()
      if (this.#line.size === 0) return
      const waitMs = limits.waitMs(name)
      if (waitMs > 0) {
        this.#wait(waitMs)
        return
      }
    }
  }

  /** False if it may not come in from where it comes. */
  #letIn(stream: Stream): boolean {
    const { limits, name, timers } = this.#owner
    const { host } = stream.remote
    const refusalMs = limits.rates.refusalMs(name, host)
    if (refusalMs === 0) {
      this.#owner.enter(stream)
      return true
    }
    const refuse = (): void => {
      this.#held.delete(stream)
      limits.leave(host, name)
      this.#refuse(stream, 'its address connects more often than its connection_creation_rate')
    }
    if (this.#held.size >= heldMax) {
      refuse()
      return false
    }
    this.#putAside(stream)
    this.#held.set(stream, timers.after(refusalMs, refuse))
    return false
  }

  /** It has not been read from yet: what arrives all the same would be lost, and it with that. */
  #putAside(stream: Stream): void {
    stream.pause()
    stream.onData = () => stream.destroy()
    stream.onDrain = ignore
    stream.onClose = () => this.#leave(stream)
  }

  /** It gives up its place. */
  #leave(stream: Stream): void {
    this.#held.get(stream)?.cancel()
    this.#held.delete(stream)
    this.#line.delete(stream)
    this.#owner.limits.leave(stream.remote.host, this.#owner.name)
  }

  /** What it may have sent nobody looks at. */
  #refuse(stream: Stream, reason: string): void {
    stream.onData = ignore
    stream.onDrain = ignore
    stream.onClose = ignore
    stream.destroy()
    this.#owner.refused(stream, reason)
  }
}

function ignore(): void {}

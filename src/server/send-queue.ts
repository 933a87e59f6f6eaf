/**
 * Replies whose turn has come, on their way to the peer. They gather here and leave in one write at the end
 * of the event loop's turn, large ones in pieces, see `write-turns.ts`: after each of them it shows whether
 * the peer reads.
 */
import type { Buffers } from '../environment/buffers.ts'
import type { Clock, Milliseconds, Timers } from '../environment/environment.ts'
import type { Stream } from '../environment/network.ts'
import type { ServerCounters } from './counters.ts'
import type { Limits } from './limits.ts'
import { ReplyGrowth } from './reply-growth.ts'

/** Neighbouring chunks below this are copied together: cheaper than an entry each in a `writev`. */
const joinedBytesMax = 1024

/** A peer that takes longer for one write reads too slowly where memory is short. */
const slowWriteMs = 3000

/** What the queue needs of the listener. */
export interface SendQueueOwner {
  readonly clock: Clock
  readonly timers: Timers
  readonly buffers: Buffers
  readonly limits: Limits
  readonly counters: ServerCounters
}

export class SendQueue {
  readonly growth = new ReplyGrowth()
  readonly #owner: SendQueueOwner
  readonly #stream: Stream
  readonly #onFlushed: (nowMs: Milliseconds) => void
  #chunks: Buffer[] = []
  #queuedBytes = 0
  /** Goes back to `buffers` when the last chunk has left. */
  #lent: Buffer[] = []
  #isFlushDue = false
  #isBlocked = false
  /** Bytes that the stream has taken and not sent, and since when. */
  #writtenBytes = 0
  #writtenMs = 0

  /** `onFlushed` runs when all that was queued is written, or the stream has taken what it can. */
  constructor(owner: SendQueueOwner, stream: Stream, onFlushed: (nowMs: Milliseconds) => void) {
    this.#owner = owner
    this.#stream = stream
    this.#onFlushed = onFlushed
  }

  /** The stream has said that it takes no more for now. */
  get isBlocked(): boolean {
    return this.#isBlocked
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0
  }

  /** Bytes that wait here. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** Bytes that wait here or in the stream. */
  get unsentBytes(): number {
    return this.#queuedBytes + this.#writtenBytes
  }

  /** The peer has not taken anything for a while. */
  isStuck(nowMs: Milliseconds): boolean {
    return this.#isBlocked && nowMs - this.#writtenMs > slowWriteMs
  }

  /** `bytes`: those of `chunks`. `lent` goes back to `Buffers` when they have left. */
  push(chunks: readonly Buffer[], bytes: number, lent: readonly Buffer[] | null): void {
    for (let i = 0; i < chunks.length; i++) this.#chunks.push(chunks[i] as Buffer)
    this.#queuedBytes += bytes
    if (lent !== null) this.#lent.push(...lent)
    this.#flushLater()
  }

  #flushLater(): void {
    if (this.#isFlushDue || this.#isBlocked) return
    this.#isFlushDue = true
    this.#owner.timers.endOfTurn(this.#flush)
  }

  /** Not at the end of the turn, but now. */
  flushIfDue(): void {
    if (this.#isFlushDue) this.#flush()
  }

  readonly #flush = (): void => {
    this.#isFlushDue = false
    if (this.#isBlocked || this.#chunks.length === 0) return
    const { clock, timers, limits } = this.#owner
    const { writes } = limits
    const nowMs = clock.monotonic()
    while (!this.#isBlocked && this.#chunks.length > 0) {
      const bytes = this.#queuedBytes
      const room = writes.room(bytes)
      if (room === 0) {
        this.#isFlushDue = true
        writes.lineUp(this.#flush, timers)
        return
      }
      const beganMs = writes.isShared(bytes) ? clock.monotonic() : -1
      this.#write(room, nowMs)
      if (beganMs >= 0) writes.spend(room, clock.monotonic() - beganMs, timers)
    }
    this.#onFlushed(nowMs)
  }

  /** Writes so many bytes of what there is. */
  #write(bytes: number, nowMs: Milliseconds): void {
    const { counters } = this.#owner
    let output = this.#chunks
    if (bytes < this.#queuedBytes) output = takeBytes(output, bytes)
    else this.#chunks = []
    this.#queuedBytes -= bytes
    counters.bytesOut += bytes
    const chunks = output.length === 1 ? output : joinSmall(output)
    const onSent = this.#chunks.length === 0 ? this.#takeLent() : undefined
    this.#isBlocked = !this.#stream.write(chunks, onSent)
    if (this.#isBlocked) {
      this.#writtenBytes += bytes
      this.#writtenMs = nowMs
    } else {
      this.#hasLeft(bytes)
    }
  }

  /** So many bytes are neither here nor with the stream any more. */
  #hasLeft(bytes: number): void {
    this.#owner.limits.replyBytes.giveBack(bytes)
    this.growth.hasLeft(bytes)
  }

  /** What to do when all that is queued has left. */
  #takeLent(): (() => void) | undefined {
    const lent = this.#lent
    if (lent.length === 0) return undefined
    this.#lent = []
    const { buffers } = this.#owner
    return () => {
      for (let i = 0; i < lent.length; i++) buffers.release(lent[i] as Buffer)
    }
  }

  /** The stream has sent all it had taken. */
  drained(): void {
    this.#isBlocked = false
    this.#hasLeft(this.#writtenBytes)
    this.#writtenBytes = 0
    if (this.#chunks.length > 0) this.#flushLater()
  }

  /** The stream is gone, and what is queued with it; nothing is pushed any more. */
  close(): void {
    const { limits } = this.#owner
    limits.writes.forget(this.#flush)
    limits.replyBytes.giveBack(this.unsentBytes)
    this.#chunks = []
    this.#queuedBytes = 0
    this.#writtenBytes = 0
  }
}

/** Takes so many bytes off the front of `chunks`, which have more. */
function takeBytes(chunks: Buffer[], bytes: number): Buffer[] {
  let left = bytes
  let count = 0
  while ((chunks[count] as Buffer).length <= left) left -= (chunks[count++] as Buffer).length
  const taken = chunks.splice(0, count)
  if (left === 0) return taken
  const first = chunks[0] as Buffer
  taken.push(first.subarray(0, left))
  chunks[0] = first.subarray(left)
  return taken
}

/** Copies runs of small chunks into one each; the large ones are passed through. */
function joinSmall(chunks: readonly Buffer[]): Buffer[] {
  const joined: Buffer[] = []
  let from = 0
  let bytes = 0
  for (let i = 0; i <= chunks.length; i++) {
    const chunk = chunks[i]
    if (chunk !== undefined && chunk.length <= joinedBytesMax) {
      bytes += chunk.length
      continue
    }
    if (i - from === 1) joined.push(chunks[from] as Buffer)
    else if (i > from) joined.push(Buffer.concat(chunks.slice(from, i), bytes))
    if (chunk !== undefined) joined.push(chunk)
    from = i + 1
    bytes = 0
  }
  return joined
}

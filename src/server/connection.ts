/**
 * One connection: frames come in, requests are taken in sequence, replies leave in the same sequence.
 *
 * A reply that is ready before its turn waits in the queue of exchanges. Replies whose turn has come
 * gather in `#output` and leave in one write at the end of the event loop's turn. No request is taken
 * while too many are unanswered, too many bytes of replies wait (for the peer or for their turn), a reply
 * that may be large is not there yet, the peer does not read, the broker's budget for requests is used
 * up, or the client has to wait, which starts with the reply that says so (KIP-219); data that arrives
 * meanwhile pauses the socket. So does a large frame that is not whole yet while the broker's budget for
 * those is used up. Where memory is short, `memory-pressure.ts` asks how slowly the peer sends and reads.
 * Who asks for much goes on in later turns, see `loop-turns.ts`, and is read in small bites: what was read
 * and may not be looked at yet is memory. Large replies leave in pieces, see `write-turns.ts`: after each of
 * them it shows whether the peer reads.
 *
 * Authentication will be a state of the connection that has to be passed before `#take` hands requests to
 * the router; until there is one, every peer is `User:ANONYMOUS`.
 */
import type { Buffers } from '../environment/buffers.ts'
import type { Clock, Milliseconds, Timer, Timers } from '../environment/environment.ts'
import type { Endpoint, Stream } from '../environment/network.ts'
import type { ServerCounters } from './counters.ts'
import type { Asker, Exchange } from './exchange.ts'
import { FrameCutter } from './frames.ts'
import type { Limits } from './limits.ts'
import { Credit } from './loop-turns.ts'
import type { Holder } from './memory-pressure.ts'
import type { PeerWarnings } from './peer-warnings.ts'
import type { Router } from './router.ts'
import { SendingPace } from './sending-pace.ts'
import type { Gatherer } from './unfinished-frames.ts'

/** The shortest request: API key, version and correlation id. */
const requestBytesMin = 8

/** Neighbouring chunks below this are copied together: cheaper than an entry each in a `writev`. */
const joinedBytesMax = 1024

/** What a frame that has not arrived whole may gather without being counted. */
const uncountedBytesMax = 16 * 1024

/** Requests of most producers are smaller: `max.request.size` is 1 MiB by default. */
const largeFrameBytesMin = 2 * 1024 * 1024

/** Of one read: at first, and of a stream that has been looked at whole again and again. */
const firstBiteBytes = 16 * 1024
const largestBiteBytes = 256 * 1024

/** A peer that takes longer for one write reads too slowly where memory is short. */
const slowWriteMs = 3000

/** How long a peer that is being closed may take to read its last replies. */
const lingerMs = 1000

/** What a connection needs of the listener that accepted it. */
export interface ConnectionOwner {
  readonly name: string
  readonly clock: Clock
  readonly timers: Timers
  readonly buffers: Buffers
  readonly limits: Limits
  readonly counters: ServerCounters
  readonly warnings: PeerWarnings
  readonly router: Router
  closed(connection: Connection): void
}

export class Connection implements Asker, Gatherer, Holder {
  readonly id: string
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly listener: string
  readonly buffers: Buffers
  readonly limits: Limits
  readonly turns: Pick<ConnectionOwner, 'clock' | 'timers'>
  readonly principal = 'User:ANONYMOUS'
  softwareName: string | undefined
  softwareVersion: string | undefined
  readonly attachments = new Map<symbol, unknown>()
  isOpen = true
  readonly #owner: ConnectionOwner
  readonly #stream: Stream
  readonly #frames: FrameCutter
  /** Requests taken and not answered, oldest first. */
  #exchanges: Exchange[] = []
  /** Replies whose turn has come. */
  #output: Buffer[] = []
  #outputBytes = 0
  /** Bytes that the stream has taken and not sent. */
  #writtenBytes = 0
  #writtenMs = 0
  /** Bytes that arrived and are not looked at because the peer does not read; counted as if unsent. */
  #keptBytes = 0
  /** Goes back to `buffers` when `#output` has left. */
  #lent: Buffer[] = []
  #isFlushDue = false
  /** The stream has said that it takes no more for now. */
  #isBlocked = false
  #isPaused = false
  /** Bytes of the unfinished frame as counted in the broker's budget. */
  #countedBytes = 0
  /** That budget is used up: nothing is read until others have finished. */
  #isHeld = false
  /** When requests are taken again; undefined: they are. */
  #throttle: Timer | undefined
  #throttledUntilMs = 0
  readonly #pace = new SendingPace()
  readonly #credit = new Credit()
  /** Requests are put off to a later turn of the event loop. */
  #isPutOff = false
  /** This is that later turn. */
  #isResumed = false
  /** No more requests are taken; the connection closes when what was taken has been answered. */
  #isClosing = false
  #lastActiveMs: number
  #idleTimer: Timer | undefined
  #closeCallbacks: (() => void)[] = []

  constructor(owner: ConnectionOwner, stream: Stream, index: number) {
    const { local, remote } = stream
    this.id = `${local.host}:${local.port}-${remote.host}:${remote.port}-0-${index}`
    this.local = local
    this.remote = remote
    this.listener = owner.name
    this.buffers = owner.buffers
    this.limits = owner.limits
    this.turns = owner
    this.#owner = owner
    this.#stream = stream
    const { requestBytesMax } = owner.limits.options
    this.#frames = new FrameCutter(requestBytesMin, requestBytesMax, owner.buffers)
    this.#lastActiveMs = owner.clock.monotonic()
    stream.readBytesMax = firstBiteBytes
    stream.onData = (chunk) => this.#receive(chunk)
    stream.onDrain = () => this.#drained()
    stream.onClose = () => this.#closed()
    this.#watchIdle()
  }

  onClose(callback: () => void): void {
    if (this.isOpen) this.#closeCallbacks.push(callback)
    else callback()
  }

  /** An exchange of this connection has its answer: sends what may leave now. */
  settled(exchange: Exchange): void {
    const nowMs = this.#owner.clock.monotonic()
    exchange.settledMs = nowMs
    if (!this.isOpen) exchange.abandon()
    const exchanges = this.#exchanges
    let answered = 0
    while (exchanges[answered]?.isSettled) this.#send(exchanges[answered++] as Exchange, nowMs)
    if (answered === 0) return
    if (answered === exchanges.length) exchanges.length = 0
    else exchanges.splice(0, answered)
    if (this.#isClosing) this.#closeWhenDone()
    else this.#proceed()
  }

  /** Closes because of what the peer has sent; earlier requests are answered first. */
  refuse(reason: string): void {
    if (this.#isClosing) return
    this.#tell(reason)
    this.finish()
  }

  #tell(reason: string): void {
    this.#owner.counters.connectionsFailed++
    const peer = `${this.remote.host}:${this.remote.port}`
    this.#owner.warnings.warn(this.remote.host, 'connection closed', { peer, reason })
  }

  /** Takes no more requests, answers those it has taken, then closes. */
  finish(): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#frames.close()
    this.#countGathered()
    this.#closeWhenDone()
  }

  destroy(): void {
    this.#stream.destroy()
  }

  #receive(chunk: Buffer): void {
    this.#owner.counters.bytesIn += chunk.length
    if (this.#isClosing) return
    const nowMs = this.#owner.clock.monotonic()
    this.#lastActiveMs = nowMs
    this.limits.turns.spendRead(this.#credit, chunk.length, nowMs, this.#owner.timers)
    this.#frames.push(chunk)
    this.#proceed(nowMs)
    this.#frames.keep()
    this.#countKept()
    if (this.#isClosing) return
    const isWhole = chunk.length >= this.#stream.readBytesMax
    if (isWhole) this.#mayReadOn(nowMs)
    this.#adaptBites(isWhole)
    this.#pause(this.#frames.hasUnread || this.#isHeld || this.#isPutOff)
  }

  /** There is more to read: in this turn only if that leaves room for others. */
  #mayReadOn(nowMs: number): void {
    if (this.#isPutOff || this.#frames.hasUnread || this.#isHeld) return
    if (!this.limits.turns.mayGoOn(this.#credit, nowMs)) this.#putOff()
  }

  /** Larger where all that is read can be used, smaller where some of it has to be kept. */
  #adaptBites(wasWhole: boolean): void {
    const stream = this.#stream
    if (this.#frames.hasUnread) {
      if (stream.readBytesMax > firstBiteBytes) stream.readBytesMax /= 2
    } else if (wasWhole && stream.readBytesMax < largestBiteBytes) stream.readBytesMax *= 2
  }

  #pause(isPaused: boolean): void {
    if (this.#isPaused === isPaused) return
    this.#isPaused = isPaused
    if (isPaused) {
      this.#stream.pause()
      return
    }
    this.limits.turns.expectRead(this.#stream.readBytesMax)
    this.#stream.resume()
  }

  /** Goes on with what has arrived, if there is anything; `nowMs` where it is known already. */
  #proceed(nowMs?: number): void {
    if (this.#isPutOff) return
    if (!this.#frames.hasUnread) {
      if (!this.#isClosing) this.#pause(this.#isHeld)
      return
    }
    this.#takeAll(nowMs ?? this.#owner.clock.monotonic())
  }

  /** Takes requests for as long as there are some and the limits allow; it is `beganMs` now. */
  #takeAll(beganMs: number): void {
    const { turns } = this.limits
    const credit = this.#credit
    let nowMs = beganMs
    while (this.#frames.hasUnread && !this.#isClosing) {
      if (!this.#mayTake()) return
      if (!turns.mayGoOn(credit, nowMs)) {
        this.#putOff()
        return
      }
      let frame: Buffer | undefined
      try {
        frame = this.#frames.next()
      } catch (error) {
        this.refuse((error as Error).message)
        return
      }
      this.#countGathered()
      const takenMs = nowMs
      // A large frame that grows is copied: that is work as well.
      if (frame === undefined) nowMs = this.#owner.clock.monotonic()
      else nowMs = this.#take(frame, takenMs)
      turns.spend(credit, nowMs - takenMs, nowMs, this.#owner.timers)
    }
    if (!this.#isResumed) credit.earn()
    if (!this.#isClosing) this.#pause(this.#isHeld)
  }

  #putOff(): void {
    this.#isPutOff = true
    this.limits.turns.putOff(this.#goOn, this.#credit, this.#owner.timers)
  }

  /** In a later turn. */
  readonly #goOn = (): void => {
    this.#isPutOff = false
    if (!this.isOpen) return
    this.#isResumed = true
    this.#proceed()
    this.#isResumed = false
    // What it costs to send belongs to its slice.
    if (this.#isFlushDue) this.#flush()
  }

  /** Brings the broker's count of bytes in unfinished frames up to date. */
  #countGathered(): void {
    const { gatheredBytes } = this.#frames
    const bytes = gatheredBytes > uncountedBytesMax ? gatheredBytes : 0
    const counted = this.#countedBytes
    if (bytes === counted) return
    this.#countedBytes = bytes
    const { unfinishedFrames } = this.limits
    if (bytes > counted) {
      const nowMs = this.#owner.clock.monotonic()
      if (counted === 0) this.#pace.begin(bytes, nowMs)
      else this.#pace.reach(bytes, nowMs)
      this.#isHeld = !unfinishedFrames.add(this, bytes - counted)
      if (unfinishedFrames.isExhausted) this.memoryIsShort()
    } else {
      this.#isHeld = false
      unfinishedFrames.remove(this, counted)
    }
  }

  get hasLargeFrame(): boolean {
    return this.#frames.claimedBytes > largeFrameBytesMin
  }

  resumeGathering(): void {
    this.#isHeld = false
    this.#pace.begin(this.#countedBytes, this.#owner.clock.monotonic())
    this.#proceed()
  }

  memoryIsShort(): void {
    this.limits.pressure.watch(this.#owner.timers)
  }

  isSlowSender(): boolean {
    // What has come may have to wait for the memory of whole requests, or for their turn.
    if (this.#countedBytes === 0 || this.#isHeld || this.#frames.hasUnread) return false
    return this.#pace.isSlow(this.#owner.clock.monotonic())
  }

  isSlowReader(): boolean {
    return this.#isBlocked && this.#owner.clock.monotonic() - this.#writtenMs > slowWriteMs
  }

  get waitingBytes(): number {
    let bytes = 0
    for (const exchange of this.#exchanges) if (exchange.isSetAside) bytes += exchange.heldBytes
    return bytes
  }

  get unsentBytes(): number {
    if (!this.#isBlocked) return 0
    let bytes = this.#outputBytes + this.#writtenBytes + this.#keptBytes
    for (const exchange of this.#exchanges) bytes += exchange.replyBytes
    return bytes
  }

  cutOff(reason: string): void {
    if (!this.isOpen) return
    this.#tell(reason)
    this.#stream.destroy()
    this.#closed()
  }

  /** Brings the broker's count of what is kept for a peer that does not read up to date. */
  #countKept(): void {
    const bytes = this.#isBlocked && this.#frames.hasUnread ? this.#frames.unreadBytes : 0
    const more = bytes - this.#keptBytes
    if (more === 0) return
    this.#keptBytes = bytes
    if (more > 0) this.limits.replyBytes.take(more)
    else this.limits.replyBytes.giveBack(-more)
  }

  #mayTake(): boolean {
    const { limits } = this
    const exchanges = this.#exchanges
    if (this.#isBlocked || this.#throttle !== undefined) return false
    if (exchanges.length >= limits.options.requestsPerConnectionMax) return false
    let bytes = this.#outputBytes
    for (let i = 0; i < exchanges.length; i++) {
      const { isSettled, holdsNext, replyBytes, throttleMs } = exchanges[i] as Exchange
      if (throttleMs > 0 || (!isSettled && holdsNext)) return false
      bytes += replyBytes
    }
    if (bytes > limits.options.replyBytesPerConnectionMax) return false
    if (!limits.requestBytes.isExhausted) return true
    limits.requestBytes.wait(this.#resumeTaking)
    return false
  }

  readonly #resumeTaking = (): void => {
    if (this.isOpen) this.#proceed()
  }

  /** Tells what time it is afterwards. */
  #take(frame: Buffer, takenMs: number): number {
    const exchange = this.#owner.router.route(frame, this, this.#lastActiveMs)
    const nowMs = this.#owner.clock.monotonic()
    if (exchange === undefined) return nowMs
    exchange.takenMs = takenMs
    exchange.handledMs = nowMs
    exchange.settledMs = nowMs
    if (exchange.isSettled && this.#exchanges.length === 0) this.#send(exchange, nowMs)
    else this.#exchanges.push(exchange)
    return nowMs
  }

  #send(exchange: Exchange, nowMs: number): void {
    const { chunks, replyBytes, lent, throttleMs } = exchange
    this.#owner.counters.countAnswer(exchange, nowMs)
    if (throttleMs > 0) this.#wait(throttleMs)
    if (chunks === null || !this.isOpen) {
      exchange.abandon()
      return
    }
    for (let i = 0; i < chunks.length; i++) this.#output.push(chunks[i] as Buffer)
    this.#outputBytes += replyBytes
    if (lent !== null) this.#lent.push(...lent)
    exchange.lent = null
    this.#flushLater()
  }

  /** Of several replies that tell the client to wait, the longest counts. */
  #wait(throttleMs: Milliseconds): void {
    const nowMs = this.#owner.clock.monotonic()
    if (!this.isOpen || nowMs + throttleMs <= this.#throttledUntilMs) return
    this.#throttledUntilMs = nowMs + throttleMs
    this.#throttle?.cancel()
    this.#throttle = this.#owner.timers.after(throttleMs, () => {
      this.#throttle = undefined
      this.#proceed()
    })
  }

  #flushLater(): void {
    if (this.#isFlushDue || this.#isBlocked) return
    this.#isFlushDue = true
    this.#owner.timers.endOfTurn(this.#flush)
  }

  readonly #flush = (): void => {
    this.#isFlushDue = false
    if (!this.isOpen || this.#isBlocked || this.#output.length === 0) return
    this.#lastActiveMs = this.#owner.clock.monotonic()
    const { writes } = this.limits
    while (!this.#isBlocked && this.#output.length > 0) {
      const bytes = this.#outputBytes
      const room = writes.room(bytes)
      if (room === 0) {
        this.#isFlushDue = true
        writes.lineUp(this.#flush, this.#owner.timers)
        return
      }
      writes.spend(room, bytes, this.#owner.timers)
      this.#write(room)
    }
    if (this.#isClosing) this.#closeWhenDone()
    else this.#proceed()
  }

  /** Writes so many bytes of what there is. */
  #write(bytes: number): void {
    let output = this.#output
    if (bytes < this.#outputBytes) output = takeBytes(output, bytes)
    else this.#output = []
    this.#outputBytes -= bytes
    this.#owner.counters.bytesOut += bytes
    const chunks = output.length === 1 ? output : joinSmall(output)
    const onSent = this.#output.length === 0 ? this.#takeLent() : undefined
    this.#isBlocked = !this.#stream.write(chunks, onSent)
    if (this.#isBlocked) {
      this.#writtenBytes += bytes
      this.#writtenMs = this.#lastActiveMs
    } else {
      this.limits.replyBytes.giveBack(bytes)
    }
  }

  /** What to do when the output has left. */
  #takeLent(): (() => void) | undefined {
    const lent = this.#lent
    if (lent.length === 0) return undefined
    this.#lent = []
    return () => {
      for (let i = 0; i < lent.length; i++) this.buffers.release(lent[i] as Buffer)
    }
  }

  #drained(): void {
    if (!this.#isBlocked) return
    this.#isBlocked = false
    this.limits.replyBytes.giveBack(this.#writtenBytes)
    this.#writtenBytes = 0
    if (this.#output.length > 0) this.#flushLater()
    if (this.#isClosing) this.#closeWhenDone()
    else this.#proceed()
  }

  #closeWhenDone(): void {
    if (!this.isOpen || this.#exchanges.length > 0 || this.#output.length > 0) return
    // Input is dropped from now on, but read: the peer's own end would not be seen otherwise.
    this.#pause(false)
    this.#stream.end()
    this.#idleTimer?.cancel()
    this.#idleTimer = this.#owner.timers.after(lingerMs, () => this.#stream.destroy())
  }

  #watchIdle(): void {
    const { idleMsMax } = this.limits.options
    if (idleMsMax < 0) return
    const idleMs = this.#owner.clock.monotonic() - this.#lastActiveMs
    // Whole milliseconds: a rest too small to move the clock would be waited for again and again.
    const leftMs = this.#exchanges.length > 0 ? idleMsMax : Math.ceil(idleMsMax - idleMs)
    if (leftMs > 0) {
      this.#idleTimer = this.#owner.timers.after(leftMs, () => this.#watchIdle())
    } else if (this.#isClosing || this.#output.length > 0) {
      // It has not read its replies in all that time.
      this.#stream.destroy()
    } else {
      this.finish()
    }
  }

  #closed(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#isClosing = true
    this.#idleTimer?.cancel()
    this.#throttle?.cancel()
    const { requestBytes, replyBytes, turns, writes } = this.limits
    requestBytes.forget(this.#resumeTaking)
    turns.forget(this.#goOn)
    writes.forget(this.#flush)
    for (const exchange of this.#exchanges) exchange.abandon()
    this.#exchanges = []
    this.#output = []
    replyBytes.giveBack(this.#outputBytes + this.#writtenBytes)
    this.#outputBytes = 0
    this.#writtenBytes = 0
    this.#frames.close()
    this.#countGathered()
    this.#countKept()
    this.#owner.closed(this)
    const callbacks = this.#closeCallbacks
    this.#closeCallbacks = []
    for (const callback of callbacks) callback()
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

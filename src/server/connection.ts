/**
 * One connection: frames come in, requests are taken in sequence, replies leave in the same sequence.
 *
 * A reply that is ready before its turn waits in the queue of exchanges, then in `send-queue.ts` for the end
 * of the event loop's turn. No request is taken while too many are unanswered, too many bytes of replies wait
 * (for the peer or for their turn), a reply that may be large is not there yet, the peer does not read, the
 * broker's budget for requests is used up, or the client has to wait, which starts with the reply that says
 * so (KIP-219); data that arrives meanwhile pauses the socket. So does a large frame that is not whole yet
 * (`gathered-frame.ts`) while the broker's budget for those is used up. Where memory is short,
 * `memory-pressure.ts` asks how slowly the peer sends and reads. Who asks for much goes on in later turns, see
 * `loop-turns.ts`, and is read in small bites: what was read and may not be looked at yet is memory.
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
import { type FrameOwner, GatheredFrame } from './gathered-frame.ts'
import type { Limits } from './limits.ts'
import { Credit } from './loop-turns.ts'
import type { Holder } from './memory-pressure.ts'
import type { PeerWarnings } from './peer-warnings.ts'
import type { Router } from './router.ts'
import { SendQueue } from './send-queue.ts'

/** The shortest request: API key, version and correlation id. */
const requestBytesMin = 8

/**
 * Of one read: of a newcomer, of whom thousands may have sent something in one turn; of those who have been
 * heard; and of a stream that has been looked at whole again and again.
 */
const firstBiteBytes = 1024
const usualBiteBytes = 16 * 1024
const largestBiteBytes = 256 * 1024

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

export class Connection implements Asker, FrameOwner, Holder {
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
  readonly #gathered: GatheredFrame
  /** Requests taken and not answered, oldest first. */
  #exchanges: Exchange[] = []
  readonly #replies: SendQueue
  /** Bytes that arrived and are not looked at because the peer does not read; counted as if unsent. */
  #keptBytes = 0
  #isPaused = false
  /** When requests are taken again; undefined: they are. */
  #throttle: Timer | undefined
  #throttledUntilMs = 0
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
    this.#gathered = new GatheredFrame(this, this.#frames, owner.clock)
    this.#replies = new SendQueue(owner, stream, (nowMs) => this.#flushed(nowMs))
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
    if (answered === exchanges.length) this.#exchanges = []
    else exchanges.splice(0, answered)
    this.#proceedOrClose()
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
    this.#gathered.count()
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
    this.#pause(this.#frames.hasUnread || this.#gathered.isHeld || this.#isPutOff)
  }

  /** There is more to read: in this turn only if that leaves room for others. */
  #mayReadOn(nowMs: number): void {
    if (this.#isPutOff || this.#frames.hasUnread || this.#gathered.isHeld) return
    if (!this.limits.turns.mayGoOn(this.#credit, nowMs)) this.#putOff()
  }

  /** Larger where all that is read can be used, smaller where some of it has to be kept. */
  #adaptBites(wasWhole: boolean): void {
    const stream = this.#stream
    if (this.#frames.hasUnread) {
      if (stream.readBytesMax > usualBiteBytes) stream.readBytesMax /= 2
    } else if (wasWhole && stream.readBytesMax < largestBiteBytes) {
      stream.readBytesMax = Math.max(usualBiteBytes, 2 * stream.readBytesMax)
    }
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
      if (!this.#isClosing) this.#pause(this.#gathered.isHeld)
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
      this.#gathered.count()
      const takenMs = nowMs
      // A large frame that grows is copied: that is work as well.
      if (frame === undefined) nowMs = this.#owner.clock.monotonic()
      else nowMs = this.#take(frame, takenMs)
      turns.spend(credit, nowMs - takenMs, nowMs, this.#owner.timers)
    }
    if (!this.#isResumed) credit.earn()
    if (!this.#isClosing) this.#pause(this.#gathered.isHeld)
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
    // No newcomer any more: by a kilobyte at a time it would ask for a turn, and a read, a thousand times a MB.
    this.#stream.readBytesMax = Math.max(usualBiteBytes, this.#stream.readBytesMax)
    this.#proceed()
    this.#isResumed = false
    // What it costs to send belongs to its slice.
    this.#replies.flushIfDue()
  }

  resumeReading(): void {
    this.#proceed()
  }

  memoryIsShort(): void {
    this.limits.pressure.watch(this.#owner.timers)
  }

  isSlowSender(): boolean {
    return this.#gathered.isSlow()
  }

  isSlowReader(): boolean {
    return this.#replies.isStuck(this.#owner.clock.monotonic())
  }

  get waitingBytes(): number {
    let bytes = 0
    for (const exchange of this.#exchanges) if (exchange.isSetAside) bytes += exchange.heldBytes
    return bytes
  }

  get recordBytesMax(): number {
    return this.#replies.growth.bytesMax
  }

  get unsentBytes(): number {
    if (!this.#replies.isBlocked) return 0
    let bytes = this.#replies.unsentBytes + this.#keptBytes
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
    const bytes = this.#replies.isBlocked && this.#frames.hasUnread ? this.#frames.unreadBytes : 0
    const more = bytes - this.#keptBytes
    if (more === 0) return
    this.#keptBytes = bytes
    if (more > 0) this.limits.replyBytes.take(more)
    else this.limits.replyBytes.giveBack(-more)
  }

  #mayTake(): boolean {
    const { limits } = this
    const exchanges = this.#exchanges
    if (this.#replies.isBlocked || this.#throttle !== undefined) return false
    if (exchanges.length >= limits.options.requestsPerConnectionMax) return false
    let bytes = this.#replies.queuedBytes
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
    this.#replies.push(chunks, replyBytes, lent)
    exchange.lent = null
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

  #flushed(nowMs: Milliseconds): void {
    this.#lastActiveMs = nowMs
    this.#proceedOrClose()
  }

  #drained(): void {
    if (!this.#replies.isBlocked) return
    this.#replies.drained()
    this.#proceedOrClose()
  }

  /** There may be room for another request, or nothing left to answer. */
  #proceedOrClose(): void {
    if (this.#isClosing) this.#closeWhenDone()
    else this.#proceed()
  }

  #closeWhenDone(): void {
    if (!this.isOpen || this.#exchanges.length > 0 || !this.#replies.isEmpty) return
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
    } else if (this.#isClosing || !this.#replies.isEmpty) {
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
    const { requestBytes, turns } = this.limits
    requestBytes.forget(this.#resumeTaking)
    turns.forget(this.#goOn)
    for (const exchange of this.#exchanges) exchange.abandon()
    this.#exchanges = []
    this.#replies.close()
    this.#frames.close()
    this.#gathered.count()
    this.#countKept()
    this.#owner.closed(this)
    const callbacks = this.#closeCallbacks
    this.#closeCallbacks = []
    for (const callback of callbacks) callback()
  }
}

/**
 * A request and the place of its reply: the context that the handler sees, and what the connection
 * sends when its turn has come. One object per request; it is settled once, with chunks or with
 * nothing to send.
 */

import type { Buffers } from '../environment/buffers.ts'
import type { Environment, Milliseconds } from '../environment/environment.ts'
import { allInTurns, inTurns, type Steps } from '../environment/in-turns.ts'
import type { Authorizer } from './access.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { AnyHandler } from './handler.ts'
import type { Limits } from './limits.ts'
import type { RequestMeter } from './quotas/request-meter.ts'
import type { ConnectionContext, RequestContext } from './request-context.ts'

/** The connection, as its exchanges see it. */
export interface Asker extends ConnectionContext {
  readonly listener: string
  readonly buffers: Buffers
  readonly limits: Limits
  readonly turns: Pick<Environment, 'clock' | 'timers'>
  /** What a reply to this peer may hold of records. */
  readonly recordBytesMax: number
  /** A budget of the broker is used up. */
  memoryIsShort(): void
  /** An exchange of this connection has been settled later than it was asked. */
  settled(exchange: Exchange): void
  /** Closes because of what the peer has sent; earlier requests are answered first. */
  refuse(reason: string): void
}

export class Exchange implements RequestContext {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
  readonly requestBytes: number
  readonly receivedMs: number
  readonly connection: Asker
  readonly authorizer: Authorizer | null
  readonly handler: AnyHandler
  /** Null until it is read. */
  request: unknown = null
  /** What it uses of its client's quotas; null where nobody has any. */
  readonly meter: RequestMeter | null
  /** For how long the connection is not listened to after the reply; nor until then, once it is known. */
  throttleMs: Milliseconds = 0
  /** Monotonic: when it was taken, when its handler had nothing more to do at once, when it was settled. */
  takenMs = 0
  handledMs = 0
  settledMs = 0
  isSettled = false
  /** The reply as it goes out, once settled; null: nothing is answered. */
  chunks: readonly Buffer[] | null = null
  /** Bytes of `chunks`. */
  replyBytes = 0
  /** While it is not settled, no further request of the connection is taken. */
  holdsNext = false
  /** What the answer follows from, where it may be kept for others. */
  keptState: object | null = null
  /** Where the request begins in its frame, behind the header; -1: its answer is not kept. */
  keptStart = -1
  /** What goes back to `Buffers` when the reply has left; null: nothing. */
  lent: Buffer[] | null = null
  /** It waits for other clients, and its bytes no longer count against those that are worked on. */
  isSetAside = false
  #frame: Buffer | null
  #heldBytes: number
  #budget: ByteBudget
  /** Waits to be read in turns. */
  #beginsLater: (() => void) | null = null
  /** It is, or was, read in turns, and its bytes count. */
  #isLargeAtWork = false
  /** Bytes of the reply as counted in the broker's budget: expected ones first. */
  #countedReplyBytes = 0

  constructor(
    head: Pick<RequestContext, 'apiKey' | 'apiVersion' | 'correlationId' | 'clientId'>,
    body: Pick<Exchange, 'handler' | 'receivedMs' | 'connection' | 'authorizer' | 'meter'>,
    frame: Buffer,
  ) {
    this.apiKey = head.apiKey
    this.apiVersion = head.apiVersion
    this.correlationId = head.correlationId
    this.clientId = head.clientId
    this.requestBytes = frame.length
    this.#frame = frame
    this.receivedMs = body.receivedMs
    this.connection = body.connection
    this.authorizer = body.authorizer
    this.handler = body.handler
    this.meter = body.meter
    this.#heldBytes = frame.length
    this.#budget = this.connection.limits.requestBytes
    this.#budget.take(this.#heldBytes)
  }

  /** The frame's bytes, and what they decoded to. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * Resolves when the request, which decodes to much, may be read; `hasRead` of `LargeReads` has to follow.
   * Never where it is settled before.
   */
  mayBeRead(): Promise<void> {
    this.holdNext()
    return new Promise((resolve) => {
      this.#beginsLater = () => {
        this.#beginsLater = null
        this.#isLargeAtWork = true
        resolve()
      }
      this.connection.limits.largeReads.await(this.#beginsLater)
    })
  }

  /** The frame decodes to this request, which takes so much memory. */
  read(request: unknown, decodedBytes: number): void {
    this.request = request
    if (this.isSettled) return
    this.#heldBytes += decodedBytes
    this.#budget.take(decodedBytes)
  }

  get listener(): string {
    return this.connection.listener
  }

  settle(chunks: readonly Buffer[] | null): void {
    if (this.isSettled) {
      this.releaseUnsent()
      return
    }
    this.isSettled = true
    this.chunks = chunks
    if (chunks !== null) {
      for (let i = 0; i < chunks.length; i++) this.replyBytes += (chunks[i] as Buffer).length
    }
    this.#countReply(this.replyBytes)
    this.#budget.giveBack(this.heldBytes)
    this.#endLarge()
  }

  #endLarge(): void {
    const { largeReads } = this.connection.limits
    if (this.#beginsLater !== null) largeReads.forget(this.#beginsLater)
    if (this.#isLargeAtWork) largeReads.end()
    this.#beginsLater = null
    this.#isLargeAtWork = false
  }

  get replyBytesLeft(): number {
    const { limits, recordBytesMax } = this.connection
    const { recordBytesPerReplyMax } = limits.options
    // A share of what is left, so that many large replies at once do not use it up.
    const left = Math.floor(limits.replyBytes.left / 8)
    const share = Math.min(recordBytesPerReplyMax, recordBytesMax, left)
    return this.meter === null ? share : Math.min(share, Math.floor(this.meter.recordBytesMax))
  }

  isOverQuota(): boolean {
    return this.meter?.isOver() ?? false
  }

  countRecords(bytes: number): void {
    this.meter?.countRecords(bytes)
  }

  countMutations(partitions: number, isStrict: boolean, waits = true): void {
    this.meter?.countMutations(partitions, isStrict, waits)
  }

  expectReply(bytes: number): void {
    if (!this.isSettled) this.#countReply(bytes)
  }

  replyRoom(): Promise<void> | null {
    const { replyBytes } = this.connection.limits
    if (!replyBytes.isOverdrawn) return null
    this.connection.memoryIsShort()
    return new Promise((resolve) => replyBytes.wait(resolve))
  }

  setAside(): void {
    if (this.isSetAside || this.isSettled) return
    this.isSetAside = true
    const { waitingBytes } = this.connection.limits
    waitingBytes.take(this.heldBytes)
    this.#budget.giveBack(this.heldBytes)
    this.#budget = waitingBytes
    this.#endLarge()
    if (waitingBytes.isExhausted) this.connection.memoryIsShort()
  }

  #countReply(bytes: number): void {
    const { replyBytes } = this.connection.limits
    const more = bytes - this.#countedReplyBytes
    this.#countedReplyBytes = bytes
    if (more < 0) {
      replyBytes.giveBack(-more)
    } else if (more > 0) {
      replyBytes.take(more)
      if (replyBytes.isExhausted) this.connection.memoryIsShort()
    }
  }

  inTurns<Result>(steps: Steps<Result>, isWhole = false): Result | Promise<Result> {
    const done = inTurns(this.connection.turns, steps, () => isWhole || this.connection.isOpen)
    // What follows may be small, and must not overtake it.
    if (done instanceof Promise) this.holdNext()
    return done
  }

  allInTurns<Item, Made>(
    items: Iterable<Item>,
    make: (item: Item) => Made | Promise<Made>,
    atOnce?: number,
  ): Promise<Made[]> {
    const isWaiting = () => this.connection.isOpen
    const options = atOnce === undefined ? { isWaiting } : { isWaiting, atOnce }
    return allInTurns(this.connection.turns, items, make, options)
  }

  releaseRequest(): void {
    const frame = this.#frame
    const { buffers } = this.connection
    if (frame !== null && frame.length >= buffers.reusedBytesMin) buffers.release(frame)
    this.#frame = null
  }

  releaseWhenSent(buffer: Buffer): void {
    this.lent ??= []
    this.lent.push(buffer)
  }

  releaseUnsent(): void {
    if (this.lent === null) return
    for (const buffer of this.lent) this.connection.buffers.release(buffer)
    this.lent = null
  }

  keepAnswer(state: object): void {
    this.keptState = state
  }

  /** Null once it was released. */
  get frame(): Buffer | null {
    return this.#frame
  }

  holdNext(): void {
    this.holdsNext = true
  }

  /**
   * The connection is gone: what was answered, or will be, goes nowhere. What still has to be read, and is
   * done all the same, keeps what it holds; the connection comes back to it when it is settled.
   */
  abandon(): void {
    if (this.request === null && !this.isSettled && this.handler.outlivesPeer) return
    if (this.chunks === null) this.settle(null)
    else this.releaseUnsent()
    this.chunks = null
    this.#countReply(0)
  }
}

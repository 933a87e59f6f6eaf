/**
 * What one request uses of its client's quotas, and how long the client has to wait for it: the reply says
 * so and leaves at once, and then the connection is not listened to for that time (KIP-219).
 *
 *     opened → [ countProduced ] → [ handled: the handler waits ] → [ isOver, count… ] → finish → encoded
 *
 * Time is counted up to where the reply is known; what encoding takes is felt by the next request. What a
 * handler does after it has waited is not seen.
 */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { ClientQuotas } from './client-quotas.ts'

/** A millisecond of each second is a tenth of a percent. */
const percentPerMs = 0.1

/** What a reply can say. */
const throttleMsMax = 0x7fffffff

export class RequestMeter {
  readonly #quotas: ClientQuotas
  readonly #principal: string
  readonly #clientId: string
  #beganMs: number
  /** What was used until the handler began to wait; -1: it has not. */
  #handledMs: Milliseconds = -1
  #isTimeCounted = false
  #throttleMs: Milliseconds = 0
  /** Until when the changes of the cluster that were asked for have to wait. */
  #mutableMs = Number.NEGATIVE_INFINITY

  constructor(quotas: ClientQuotas, principal: string, clientId: string | null) {
    this.#quotas = quotas
    this.#principal = principal
    this.#clientId = clientId ?? ''
    this.#beganMs = quotas.clock.monotonic()
  }

  /** The handler has returned, and its answer is not there yet. */
  handled(): void {
    this.#handledMs = this.#quotas.clock.monotonic() - this.#beganMs
  }

  /**
   * As many bytes of records as a reply should have: what may be fetched in one window. Larger ones would come
   * in fewer and longer turns, and miss the quota by more.
   */
  get recordBytesMax(): number {
    const { windows, clock } = this.#quotas
    const account = this.#fetched(clock.monotonic())
    return account === null
      ? Number.POSITIVE_INFINITY
      : (account.limit * windows.requests.ms) / 1000
  }

  /**
   * Whether the client has had more than it may, so that the reply must have no records. Who has not gets at
   * least a batch, however large: nobody starves.
   */
  isOver(): boolean {
    const nowMs = this.#quotas.clock.monotonic()
    this.#countTime(nowMs)
    const waitMs = this.#fetched(nowMs)?.excessMs(nowMs) ?? 0
    this.#throttleMs = Math.max(this.#throttleMs, waitMs)
    return this.#throttleMs > 0
  }

  /** Counts records that the reply has. */
  countRecords(bytes: number): void {
    if (bytes === 0) return
    const nowMs = this.#quotas.clock.monotonic()
    this.#fetched(nowMs)?.count(bytes, nowMs)
  }

  /** Counts bytes that the client has produced, and returns how long it has to wait at least. */
  countProduced(bytes: number): Milliseconds {
    const nowMs = this.#quotas.clock.monotonic()
    const account = this.#quotas.produced.accountOf(this.#principal, this.#clientId, nowMs)
    if (account !== null) this.#throttleMs = Math.max(this.#throttleMs, account.add(bytes, nowMs))
    return this.#throttleMs
  }

  /**
   * Counts partitions that are made or deleted. Throws KafkaError THROTTLING_QUOTA_EXCEEDED where there
   * have been too many before and the client knows that error (`isStrict`). Unless it `waits`, the
   * reply is not held up.
   */
  countMutations(partitions: number, isStrict: boolean, waits = true): void {
    const { mutations, clock } = this.#quotas
    const nowMs = clock.monotonic()
    const account = mutations.accountOf(this.#principal, this.#clientId, nowMs)
    if (account === null) return
    const overdrawnMs = isStrict ? account.overdrawnMs(nowMs) : 0
    if (overdrawnMs === 0) account.take(partitions, nowMs)
    const waitMs = isStrict ? overdrawnMs : account.overdrawnMs(nowMs)
    if (waits && waitMs > 0) this.#mutableMs = nowMs + waitMs
    if (overdrawnMs > 0) {
      throw new KafkaError(
        errors.THROTTLING_QUOTA_EXCEEDED,
        'The throttling quota has been exceeded.',
      )
    }
  }

  /** The reply is known: how long the client has to wait after it. `isTimed`: the time counts. */
  finish(isTimed: boolean): Milliseconds {
    const nowMs = this.#quotas.clock.monotonic()
    if (isTimed) this.#countTime(nowMs)
    const mutationMs = Math.round(this.#mutableMs - nowMs)
    const throttleMs = Math.min(throttleMsMax, Math.max(this.#throttleMs, mutationMs))
    this.#beganMs = nowMs
    if (throttleMs === 0) return 0
    this.#quotas.throttledRequests++
    this.#quotas.throttledMs += throttleMs
    return throttleMs
  }

  /** After `finish`: the reply is ready to leave. */
  encoded(): void {
    const nowMs = this.#quotas.clock.monotonic()
    this.#time(nowMs)?.count((nowMs - this.#beganMs) * percentPerMs, nowMs)
  }

  /** Nobody waits longer than a window for the time that was used. */
  #countTime(nowMs: number): void {
    if (this.#isTimeCounted) return
    this.#isTimeCounted = true
    const account = this.#time(nowMs)
    if (account === null) return
    const usedMs = this.#handledMs >= 0 ? this.#handledMs : nowMs - this.#beganMs
    const excessMs = account.add(usedMs * percentPerMs, nowMs)
    const waitMs = Math.min(excessMs, this.#quotas.windows.requests.ms)
    this.#throttleMs = Math.max(this.#throttleMs, waitMs)
  }

  #time(nowMs: number) {
    return this.#quotas.time.accountOf(this.#principal, this.#clientId, nowMs)
  }

  #fetched(nowMs: number) {
    return this.#quotas.fetched.accountOf(this.#principal, this.#clientId, nowMs)
  }
}

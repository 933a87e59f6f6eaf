/**
 * How often connections may come (KIP-612): to the broker, by each listener, and from each address. Whoever
 * comes too often to the broker or a listener waits at the door; an address that does is turned away, after
 * a while, so that it does not come again at once.
 */
import type { Clock, Milliseconds } from '../../environment/environment.ts'
import { hostAddress } from '../../environment/host-address.ts'
import { defaultWindows, LimitedRate, type Windows } from './rate.ts'

/** As good as none: what Kafka has where nothing is set. */
export const unlimitedRate = 2_147_483_647

/** Addresses that are counted, where addresses have limits; of those beyond, none gets in. */
const addressesMax = 10_000

export class ConnectionRates {
  readonly #clock: Clock
  readonly #windows: Windows
  readonly #broker: LimitedRate
  readonly #byListener = new Map<string, LimitedRate>()
  readonly #byAddress = new Map<string, LimitedRate>()
  readonly #limits = new Map<string, number>()
  #defaultLimit = unlimitedRate

  constructor(clock: Clock, windows: Windows = defaultWindows) {
    this.#clock = clock
    this.#windows = windows
    this.#broker = new LimitedRate(windows, unlimitedRate)
  }

  /** `host`: an address; null: every one that has no limit of its own. undefined takes the limit away. */
  setAddressLimit(host: string | null, limit: number | undefined): void {
    if (host === null) this.#defaultLimit = limit ?? unlimitedRate
    else if (limit === undefined) this.#limits.delete(address(host))
    else this.#limits.set(address(host), limit)
    for (const [known, rate] of this.#byAddress) rate.limit = this.#limitOf(known)
  }

  /** Counts a connection, and says how long it has to wait at the door. */
  waitMs(listener: string, brokerLimit: number, listenerLimit: number): Milliseconds {
    const nowMs = this.#clock.monotonic()
    let ofListener = this.#byListener.get(listener)
    if (ofListener === undefined) {
      ofListener = new LimitedRate(this.#windows, listenerLimit)
      this.#byListener.set(listener, ofListener)
    }
    this.#broker.limit = brokerLimit
    ofListener.limit = listenerLimit
    const waitMs = Math.max(this.#broker.add(1, nowMs), ofListener.add(1, nowMs))
    return Math.min(waitMs, this.#windows.ms)
  }

  /** Counts a connection of an address; more than 0: it is turned away after so long, and counts nowhere. */
  refusalMs(listener: string, host: string): Milliseconds {
    const from = hostAddress(host)
    const limit = this.#limitOf(from)
    if (limit === unlimitedRate) return 0
    const nowMs = this.#clock.monotonic()
    let rate = this.#byAddress.get(from)
    if (rate === undefined) {
      if (this.#byAddress.size >= addressesMax) this.#sweep(nowMs)
      if (this.#byAddress.size >= addressesMax) return this.#windows.ms
      rate = new LimitedRate(this.#windows, limit)
      this.#byAddress.set(from, rate)
    }
    const excessMs = rate.add(1, nowMs)
    if (excessMs === 0) return 0
    rate.count(-1, nowMs)
    this.#broker.count(-1, nowMs)
    this.#byListener.get(listener)?.count(-1, nowMs)
    return Math.min(excessMs, this.#windows.ms)
  }

  #limitOf(from: string): number {
    return this.#limits.get(from) ?? this.#defaultLimit
  }

  #sweep(nowMs: number): void {
    for (const [from, rate] of this.#byAddress) {
      if (rate.isIdle(nowMs)) this.#byAddress.delete(from)
    }
  }
}

/** The name that every host has for itself is the only one that is known here. */
function address(host: string): string {
  return host.toLowerCase() === 'localhost' ? '127.0.0.1' : hostAddress(host)
}

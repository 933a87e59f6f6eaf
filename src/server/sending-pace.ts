/** How fast the bytes of an unfinished frame come, second by second. */

/** Less than this in a second is slow. */
const bytesPerSecondMin = 64 * 1024

const windowMs = 1000

/** Without a byte for so long it is slow, whatever came before. */
const silenceMsMax = 2000

export class SendingPace {
  #beganMs = 0
  #beganAtBytes = 0
  #wasSlow = false

  /** Starts anew from this many bytes. */
  begin(bytes: number, nowMs: number): void {
    this.#beganMs = nowMs
    this.#beganAtBytes = bytes
    this.#wasSlow = false
  }

  /** So many bytes have come by now. */
  reach(bytes: number, nowMs: number): void {
    const elapsedMs = nowMs - this.#beganMs
    if (elapsedMs < windowMs) return
    const wasSlow = ((bytes - this.#beganAtBytes) * 1000) / elapsedMs < bytesPerSecondMin
    this.begin(bytes, nowMs)
    this.#wasSlow = wasSlow
  }

  isSlow(nowMs: number): boolean {
    return this.#wasSlow || nowMs - this.#beganMs > silenceMsMax
  }
}

/**
 * Gives memory back after a peak. Objects go, and with them the buffers that lie outside the JavaScript heap,
 * when V8 collects, and it does when it is asked for more: after a flood of requests a broker that has little
 * to do would keep hundreds of megabytes of garbage for hours. So it is looked now and then how much there
 * is; where that is far more than it has been and does not rise any more, V8 is asked for memory that nobody
 * will touch, so that it collects, a step at a time beside its other work. Where little comes of it the next
 * time is far away, as each costs a look at every object, then twice as far, and in the end all is taken to be
 * in use, until there is far more than that. While
 * there is much to do V8 is left alone: it will be asked for more soon enough, and clients would wait.
 */
import { performance } from 'node:perf_hooks'

const lookEveryMs = 2000

/** More than this above the least that there was is worth a collection. */
const garbageBytesMin = 64 * 1024 * 1024

/** From one look to the next: more than this, which is more than new objects take, and there is something going on. */
const levelBytesMax = 16 * 1024 * 1024

/** V8 begins to collect when buffers have grown by so much. */
const nudgeBytes = 64 * 1024 * 1024

/** From one nudge that was of little use to the next, at first and at most: about a minute. Then there are no more. */
const looksBetweenMin = 8
const looksBetweenMax = 32
/** A nudge was of use where so much has gone since. */
const collectedBytesMin = garbageBytesMin / 2

/** The share of the time in which the event loop is at work, and V8 is left alone. */
const busyShareMin = 0.2

export interface IdleCollectionOptions {
  /** Whether there was much to do since it was asked last. */
  readonly isBusy: () => boolean
  /** Bytes of all objects and buffers, garbage among them; undefined where nobody can tell now. */
  readonly measure: () => number | undefined
  /** Takes memory for a buffer and forgets it. */
  readonly nudge: (bytes: number) => void
}

export class IdleCollection {
  readonly #options: IdleCollectionOptions
  #lastBytes = 0
  #leastBytes = Number.POSITIVE_INFINITY
  /** Looks until the next nudge, and until the one after it. */
  #looksLeft = 0
  #looksBetween = looksBetweenMin
  #nudgedBytes = 0

  constructor(options: IdleCollectionOptions) {
    this.#options = options
  }

  look(): void {
    const isBusy = this.#options.isBusy()
    const bytes = this.#options.measure()
    if (bytes === undefined) return
    const isLevel = Math.abs(bytes - this.#lastBytes) <= levelBytesMax
    this.#lastBytes = bytes
    this.#leastBytes = Math.min(this.#leastBytes, bytes)
    const isLow = bytes - this.#leastBytes < garbageBytesMin
    if (isLow || this.#nudgedBytes - bytes >= collectedBytesMin) {
      this.#looksLeft = 0
      this.#looksBetween = looksBetweenMin
      this.#nudgedBytes = 0
    }
    if (isLow || isBusy) return
    if (this.#looksLeft > 0) this.#looksLeft--
    else if (isLevel && this.#looksBetween > looksBetweenMax) this.#leastBytes = bytes
    else if (isLevel) this.#nudge(bytes)
  }

  #nudge(bytes: number): void {
    this.#looksLeft = this.#looksBetween
    this.#looksBetween *= 2
    this.#nudgedBytes = bytes
    this.#options.nudge(nudgeBytes)
    this.#options.nudge(nudgeBytes)
  }
}

/** To tell, Node opens a file on Linux: it throws EMFILE while the process may open no more. */
function usedBytes(): number | undefined {
  try {
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  } catch {
    // Looked at again soon.
    return undefined
  }
}

/** For the process, for as long as it lives. */
export function collectWhenIdle(): void {
  let before = performance.eventLoopUtilization()
  const collection = new IdleCollection({
    isBusy: () => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      return utilization >= busyShareMin
    },
    measure: usedBytes,
    nudge: (bytes) => void Buffer.allocUnsafeSlow(bytes),
  })
  setInterval(() => collection.look(), lookEveryMs).unref()
}

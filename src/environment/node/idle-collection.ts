/**
 * Gives memory back after a peak. Objects go, and with them the buffers that lie outside the JavaScript heap,
 * when V8 collects, and it does when it is asked for more: after a flood of requests a broker that has little
 * to do would keep hundreds of megabytes of garbage for hours. So it is looked now and then how much there
 * is; where that is far more than it has been and does not rise any more, V8 is asked for memory that nobody
 * will touch, so that it collects, a step at a time beside its other work.
 *
 * A collection looks at every object: up to a second of the processor for ten thousand partitions, and a pause
 * for whoever asks for something meanwhile. So it comes the sooner the more there is to gain: a gigabyte within
 * seconds, 128 MB after two minutes, 64 MB, which are likely to be in use, after eight. Where little comes of it
 * the next time is twice as far, and in the end all is taken to be in use, until there is far more than that.
 * While there is much to do V8 is left alone: it will be asked for more soon enough, and clients would wait.
 */
import { performance } from 'node:perf_hooks'

const lookEveryMs = 2000

/** More than this above the least that there was is worth a collection. */
const garbageBytesMin = 64 * 1024 * 1024

/** From one look to the next: more than this, which is more than new objects take, and there is something going on. */
const levelBytesMax = 16 * 1024 * 1024

/** V8 begins to collect when buffers have grown by so much. */
const nudgeBytes = 64 * 1024 * 1024

/**
 * The square of the bytes that may be garbage, summed up over the looks, from which on a collection is worth it; and
 * where those before were of little use, up to how much, after which there are no more.
 */
const worthMin = (1024 * 1024 * 1024) ** 2
const worthMax = 4 * worthMin
/** A nudge was of use where so much has gone since. */
const collectedBytesMin = garbageBytesMin / 2

/** The share of the time in which the event loop is at work, and V8 is left alone. */
const busyShareMin = 0.2

export interface IdleCollectionOptions {
  /** Whether there was much to do since it was asked last. */
  readonly isBusy: () => boolean
  /** Bytes of all objects and buffers, garbage among them; undefined where nobody can tell now. */
  readonly measure: () => number | undefined
  /** Has V8 collect soon. */
  readonly nudge: () => void
}

export class IdleCollection {
  readonly #options: IdleCollectionOptions
  #lastBytes = 0
  #leastBytes = Number.POSITIVE_INFINITY
  /** Since there was little, or V8 was nudged. */
  #summedSquares = 0
  /** So much of it is worth the next nudge. */
  #worth = worthMin
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
    const moreBytes = bytes - this.#leastBytes
    const isLow = moreBytes < garbageBytesMin
    if (isLow || this.#nudgedBytes - bytes >= collectedBytesMin) {
      this.#summedSquares = 0
      this.#worth = worthMin
      this.#nudgedBytes = 0
    }
    if (isLow || isBusy) return
    this.#summedSquares += moreBytes ** 2
    if (!isLevel || this.#summedSquares < this.#worth) return
    if (this.#worth > worthMax) this.#leastBytes = bytes
    else this.#nudge(bytes)
  }

  #nudge(bytes: number): void {
    this.#summedSquares = 0
    this.#worth *= 2
    this.#nudgedBytes = bytes
    this.#options.nudge()
  }
}

/** Has V8 collect soon, by asking it for memory that nobody will touch. */
export function nudgeCollection(): void {
  for (let count = 0; count < 2; count++) Buffer.allocUnsafeSlow(nudgeBytes)
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
    nudge: nudgeCollection,
  })
  setInterval(() => collection.look(), lookEveryMs).unref()
}

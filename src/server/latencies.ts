/**
 * How long something took, as quantiles of the last minutes: counts in buckets of fixed bounds, eight to
 * each power of two of a microsecond, so that a quantile is off by a sixteenth at most. Two windows take
 * turns; the older one is cleared when its next turn begins. Recording allocates nothing.
 */
import type { Milliseconds } from '../environment/environment.ts'

const subBucketBits = 3
const subBuckets = 1 << subBucketBits
/** The last one begins at about half an hour, and takes all that is longer. */
const bucketCount = (32 - subBucketBits) * subBuckets
const microsecondsMax = 2 ** 31 - 1
const windowMs: Milliseconds = 60_000

export class Latencies {
  /** Since the start. */
  count = 0
  sumMs = 0
  readonly #windows = [new Uint32Array(bucketCount), new Uint32Array(bucketCount)] as const
  #current: Uint32Array = this.#windows[0]
  #windowEndsMs = 0

  /** `nowMs` is monotonic; so was whatever `tookMs` was measured with. */
  record(tookMs: number, nowMs: number): void {
    if (nowMs >= this.#windowEndsMs) this.#turn(nowMs)
    this.count++
    this.sumMs += tookMs
    const bucket = bucketOf(tookMs)
    this.#current[bucket] = (this.#current[bucket] as number) + 1
  }

  /**
   * Milliseconds below which that part of what was recorded in the last one or two minutes lies, for
   * each of `parts`; NaN where nothing was.
   */
  quantiles(parts: readonly number[], nowMs: number): number[] {
    if (nowMs >= this.#windowEndsMs) this.#turn(nowMs)
    const [a, b] = this.#windows
    const sums = a.map((count, bucket) => count + (b[bucket] as number))
    const total = sums.reduce((sum, count) => sum + count, 0)
    return parts.map((part) => {
      let left = part * total
      const bucket = sums.findIndex((count) => {
        left -= count
        return count > 0 && left <= 0
      })
      return bucket < 0 ? Number.NaN : middleMs(bucket)
    })
  }

  #turn(nowMs: number): void {
    const [a, b] = this.#windows
    // Nothing was recorded for a whole window: what is older counts no more.
    if (nowMs >= this.#windowEndsMs + windowMs) this.#current.fill(0)
    this.#current = this.#current === a ? b : a
    this.#current.fill(0)
    this.#windowEndsMs = nowMs + windowMs
  }
}

function bucketOf(tookMs: number): number {
  const microseconds = Math.min(microsecondsMax, Math.max(0, tookMs * 1000)) | 0
  if (microseconds < subBuckets) return microseconds
  const shift = 31 - Math.clz32(microseconds) - subBucketBits
  return (shift + 1) * subBuckets + ((microseconds >> shift) & (subBuckets - 1))
}

function middleMs(bucket: number): number {
  if (bucket < subBuckets) return (bucket + 0.5) / 1000
  const shift = Math.floor(bucket / subBuckets) - 1
  const lowest = (subBuckets + (bucket % subBuckets)) * 2 ** shift
  return (lowest + 2 ** shift / 2) / 1000
}

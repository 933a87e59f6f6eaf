/**
 * What this process takes, as Node tells it. Pauses and delays are watched from when it is made: whoever
 * never asks pays nothing.
 */
import {
  constants,
  type IntervalHistogram,
  monitorEventLoopDelay,
  PerformanceObserver,
} from 'node:perf_hooks'
import type { LoopDelay, ProcessUse, ProcessWatch } from '../process-use.ts'
import { openFiles } from './open-files.ts'

const delayResolutionMs = 10
/** Percentiles of the loop's delay are of the last so many milliseconds, and up to twice as many. */
const delayWindowMs = 60_000
const nanosecondsPerSecond = 1e9

const collectionKinds: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
}

export class NodeProcessWatch implements ProcessWatch {
  readonly #delays = new Delays()
  readonly #collections = new Collections()
  #loop = { idle: 0, active: 0, utilization: 0 }
  readonly openFiles = openFiles

  look(): ProcessUse {
    const { user, system } = process.cpuUsage()
    const { node, v8 } = process.versions
    const before = this.#loop
    this.#loop = performance.eventLoopUtilization()
    return {
      startSeconds: performance.timeOrigin / 1000,
      cpuSeconds: { user: user / 1e6, system: system / 1e6 },
      versions: { node, v8 },
      memory: process.memoryUsage(),
      loopUtilization: performance.eventLoopUtilization(this.#loop, before).utilization,
      loopDelay: this.#delays.look(),
      collections: this.#collections.byKind,
    }
  }
}

/** Two histograms that are begun anew by turns: the older one has seen a whole window. */
class Delays {
  #older = startedHistogram()
  #newer = startedHistogram()
  #turnedMs = performance.now()

  look(): LoopDelay {
    const older = this.#older
    const seconds = (nanoseconds: number) =>
      // A histogram without a value says NaN, or the largest number there is.
      older.max === 0
        ? 0
        : Math.max(0, nanoseconds / nanosecondsPerSecond - delayResolutionMs / 1000)
    const delay = {
      min: seconds(older.min),
      max: seconds(older.max),
      mean: seconds(older.mean),
      p50: seconds(older.percentile(50)),
      p90: seconds(older.percentile(90)),
      p99: seconds(older.percentile(99)),
    }
    const nowMs = performance.now()
    if (nowMs - this.#turnedMs >= delayWindowMs) {
      this.#turnedMs = nowMs
      older.reset()
      this.#older = this.#newer
      this.#newer = older
    }
    return delay
  }
}

function startedHistogram(): IntervalHistogram {
  const histogram = monitorEventLoopDelay({ resolution: delayResolutionMs })
  histogram.enable()
  return histogram
}

class Collections {
  readonly byKind = new Map<string, { count: number; seconds: number }>()

  constructor() {
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { duration, detail } = entry as typeof entry & { detail: { kind: number } }
        const kind = collectionKinds[detail.kind] ?? 'other'
        const { count, seconds } = this.byKind.get(kind) ?? { count: 0, seconds: 0 }
        this.byKind.set(kind, { count: count + 1, seconds: seconds + duration / 1000 })
      }
    })
    observer.observe({ entryTypes: ['gc'] })
  }
}

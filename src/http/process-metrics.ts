/**
 * The process itself, under the names that Prometheus clients agree on (`process_…`) and those of Node
 * (`nodejs_…`). What has to be watched is watched from the first scrape on: where nobody scrapes, it costs
 * nothing.
 */
import { constants, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import type { Clock } from '../environment/environment.ts'
import { type Exposition, type Gather, labelled } from './exposition.ts'

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

/** What the process asks the world for. */
export interface ProcessSources {
  readonly clock: Pick<Clock, 'monotonic'>
  /** Undefined: the platform does not tell. */
  readonly openFiles: () => Promise<{
    readonly open: number | undefined
    readonly most: number | undefined
  }>
}

export function processMetrics({ clock, openFiles }: ProcessSources): Gather {
  const loop = new LoopDelay(clock)
  const collections = new Collections()
  let idle = idleSince(theStart)
  return function* gather(out) {
    processUse(out)
    memory(out)
    loop.tell(out)
    collections.tell(out)
    idle = idle(out)
    yield systemUse(out, openFiles)
  }
}

function processUse(out: Exposition): void {
  const { user, system } = process.cpuUsage()
  out.counter('process_cpu_seconds_total', 'CPU time, user and system.', (user + system) / 1e6)
  out.counter('process_cpu_user_seconds_total', 'CPU time in user mode.', user / 1e6)
  out.counter('process_cpu_system_seconds_total', 'CPU time in the kernel.', system / 1e6)
  const startSeconds = performance.timeOrigin / 1000
  out.gauge('process_start_time_seconds', 'Start of the process, since the epoch.', startSeconds)
  const { version, versions } = process
  const info = labelled({ version, v8: versions.v8 })
  out.family('nodejs_version_info', 'gauge', 'The version of Node.').add(1, info)
}

function memory(out: Exposition): void {
  const { rss, heapTotal, heapUsed, external, arrayBuffers } = process.memoryUsage()
  out.gauge('process_resident_memory_bytes', 'Resident memory.', rss)
  out.gauge('nodejs_heap_size_total_bytes', 'Size of the JavaScript heap.', heapTotal)
  out.gauge('nodejs_heap_size_used_bytes', 'Used bytes of the JavaScript heap.', heapUsed)
  out.gauge('nodejs_external_memory_bytes', 'Memory outside the heap, buffers included.', external)
  out.gauge('nodejs_array_buffers_bytes', 'Memory of buffers.', arrayBuffers)
}

/** What only Linux tells; elsewhere nothing is said. */
async function systemUse(out: Exposition, openFiles: ProcessSources['openFiles']): Promise<void> {
  const { open, most } = await openFiles()
  if (open !== undefined) out.gauge('process_open_fds', 'Open file descriptors.', open)
  if (most !== undefined) out.gauge('process_max_fds', 'Most file descriptors.', most)
}

type Tell = (out: Exposition) => Tell

const theStart = { idle: 0, active: 0, utilization: 0 }

/**
 * The one thread does what Kafka's request handlers and network processors do: what it does not use is
 * theirs that is idle. Each scrape tells of the time since the one before, the first of all there was.
 */
function idleSince(before: ReturnType<typeof performance.eventLoopUtilization>): Tell {
  return (out) => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    const idle = 1 - utilization
    out.gauge('nodejs_eventloop_utilization', 'Part of the time that the loop works.', utilization)
    const handlers = 'kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent'
    out.gauge(handlers, 'Part of the time that the event loop is idle.', idle)
    const processors = 'kafka_network_socketserver_networkprocessoravgidle_percent'
    out.gauge(processors, 'Part of the time that the event loop is idle.', idle)
    return idleSince(now)
  }
}

/** How much later than planned the event loop turns. */
class LoopDelay {
  readonly #histograms = [0, 0].map(() => monitorEventLoopDelay({ resolution: delayResolutionMs }))
  readonly #clock: Pick<Clock, 'monotonic'>
  #turnedMs: number

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
    this.#turnedMs = clock.monotonic()
    for (const histogram of this.#histograms) histogram.enable()
  }

  tell(out: Exposition): void {
    const [older, newer] = this.#histograms
    if (older === undefined || newer === undefined) return
    const name = 'nodejs_eventloop_lag'
    const tell = (what: string, nanoseconds: number) => {
      // A histogram without a value says NaN, or the largest number there is.
      const seconds = older.max === 0 ? 0 : nanoseconds / nanosecondsPerSecond
      const help = `Delay of the event loop in the last minutes: ${what}.`
      out.gauge(`${name}_${what}_seconds`, help, Math.max(0, seconds - delayResolutionMs / 1000))
    }
    tell('min', older.min)
    tell('max', older.max)
    tell('mean', older.mean)
    for (const percent of [50, 90, 99]) tell(`p${percent}`, older.percentile(percent))
    const nowMs = this.#clock.monotonic()
    if (nowMs - this.#turnedMs < delayWindowMs) return
    this.#turnedMs = nowMs
    older.reset()
    this.#histograms.reverse()
  }
}

/** Pauses for garbage collection. */
class Collections {
  readonly #byKind = new Map<string, { count: number; seconds: number }>()

  constructor() {
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { duration, detail } = entry as typeof entry & { detail: { kind: number } }
        const name = collectionKinds[detail.kind] ?? 'other'
        const before = this.#byKind.get(name) ?? { count: 0, seconds: 0 }
        const { count, seconds } = before
        this.#byKind.set(name, { count: count + 1, seconds: seconds + duration / 1000 })
      }
    })
    observer.observe({ entryTypes: ['gc'] })
  }

  tell(out: Exposition): void {
    const help = 'Pauses for garbage collection, since the first scrape.'
    const family = out.family('nodejs_gc_duration_seconds', 'summary', help)
    for (const [kind, { count, seconds }] of this.#byKind) {
      const labels = labelled({ kind })
      family.add(seconds, labels, '_sum')
      family.add(count, labels, '_count')
    }
  }
}

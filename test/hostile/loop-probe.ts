/**
 * Preloaded into a broker's process, which has a channel to its parent: says when asked for how long the
 * event loop was held at most, in one piece, since it was asked before, and how long the longest collection
 * of garbage took of it. Where other processes keep the processor, what counts of a hold is the time that
 * this one had of it.
 */
import { PerformanceObserver } from 'node:perf_hooks'

/** What the process answers. */
export interface Held {
  readonly longestMs: number
  readonly longestGcMs: number
}

const everyMs = 1
let lastMs = performance.now()
let lastUsage = process.cpuUsage()
let longestMs = 0
let longestGcMs = 0

new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longestGcMs = Math.max(longestGcMs, duration)
}).observe({ entryTypes: ['gc'] })

setInterval(() => {
  const nowMs = performance.now()
  const usage = process.cpuUsage()
  const usedMs = (usage.user + usage.system - lastUsage.user - lastUsage.system) / 1000
  longestMs = Math.max(longestMs, Math.min(nowMs - lastMs - everyMs, usedMs))
  lastMs = nowMs
  lastUsage = usage
}, everyMs).unref()

process.on('message', () => {
  // What held the loop until now is noted by then.
  setTimeout(() => {
    process.send?.({ longestMs, longestGcMs } satisfies Held)
    longestMs = 0
    longestGcMs = 0
  }, 5 * everyMs)
})
process.channel?.unref()

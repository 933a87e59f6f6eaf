/**
 * Loaded into a broker before all else (`node --import`): how long the collector of garbage stopped it. For
 * whatever its parent sends it answers with the pauses since it was last asked, in milliseconds.
 */
import { PerformanceObserver } from 'node:perf_hooks'

let pausesMs: number[] = []

const observer = new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) pausesMs.push(duration)
})
observer.observe({ entryTypes: ['gc'] })

process.on('message', () => {
  // What has happened in this very turn is told to the observer in the next.
  setImmediate(() => {
    process.send?.(pausesMs)
    pausesMs = []
  })
})

/**
 * Keeps collections of new objects short. V8 copies those that live, in one go, and lets the space for them grow
 * to 16 MiB and more. Where a request about tens of thousands of things is at work nearly all of them live,
 * and everybody waits for tens of milliseconds; in a quarter of the space for a quarter of that. How large it
 * may get V8 is told when it starts only, which is not ours to say; but what it grows by, where it has too
 * little, it looks up each time.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/**
 * Of both halves, between which what lives is copied: from here on it does not grow, which it may have done
 * once more before we see it. With less, short requests cost more.
 */
const enoughBytes = 4 * 1024 * 1024

/** For the process, for as long as it lives; unless it was started with a size for that space. */
export function keepCollectionsShort(): void {
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ')
  if (/semi[-_]space/.test(options)) return
  let mayGrow = true
  const look = (): void => {
    // V8 gives memory back where there is little to do: it has to grow again then.
    const isSmall = newSpaceBytes() < enoughBytes
    if (isSmall === mayGrow) return
    mayGrow = isSmall
    setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`)
  }
  look()
  new PerformanceObserver(look).observe({ entryTypes: ['gc'] })
}

/** Of both halves. */
export function newSpaceBytes(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
  return space?.space_size ?? 0
}

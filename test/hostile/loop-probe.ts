/**
 * Preloaded into a broker's process, which has a channel to its parent: says when asked for how long the
 * event loop was held at most, in one piece, since it was asked before. Where other processes keep the
 * processor, what counts is the time that this one had of it.
 */
const everyMs = 1
let lastMs = performance.now()
let lastUsage = process.cpuUsage()
let longestMs = 0

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
    process.send?.(longestMs)
    longestMs = 0
  }, 5 * everyMs)
})
process.channel?.unref()

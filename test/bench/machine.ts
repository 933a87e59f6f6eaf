/** The machine's own limits: what a row is held against that no broker can pass. */
import { spawn } from 'node:child_process'
import { closeSync, fdatasyncSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32c } from '../../protocol/records/crc32c.ts'
import type { Options, Result } from './options.ts'

const measuredMs = 700

/** How often per second `action` can be done. */
function perSecond(action: () => void): number {
  action()
  const startedMs = performance.now()
  let count = 0
  while (performance.now() - startedMs < measuredMs) {
    action()
    count++
  }
  return (count * 1000) / (performance.now() - startedMs)
}

/** A file that grows, as a log does, so that every page of it is new. */
function written(path: string): Result {
  const chunk = Buffer.alloc(1024 * 1024, 1)
  const file = openSync(path, 'w')
  const bytes = 600 * chunk.length
  const startedMs = performance.now()
  const before = process.cpuUsage()
  for (let at = 0; at < bytes; at += chunk.length) writeSync(file, chunk, 0, chunk.length, at)
  const cpu = process.cpuUsage(before)
  const seconds = (performance.now() - startedMs) / 1000
  closeSync(file)
  unlinkSync(path)
  return {
    writtenMbPerSecond: bytes / 1e6 / seconds,
    writtenCpuPerGb: (cpu.user + cpu.system) / 1e6 / (bytes / 1e9),
  }
}

function synced(path: string): number {
  const chunk = Buffer.alloc(200, 1)
  const file = openSync(path, 'w')
  let at = 0
  const count = perSecond(() => {
    at += writeSync(file, chunk, 0, chunk.length, at)
    fdatasyncSync(file)
  })
  closeSync(file)
  unlinkSync(path)
  return count
}

/** From `exec` to the end of a process that does nothing, in milliseconds: the median of five. */
async function bareStartMs(): Promise<number> {
  const tookMs: number[] = []
  for (let i = 0; i < 5; i++) {
    const startedMs = performance.now()
    const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' })
    await new Promise((resolve) => child.once('exit', resolve))
    tookMs.push(performance.now() - startedMs)
  }
  return tookMs.sort((a, b) => a - b)[2] ?? Number.NaN
}

/** Memory larger than the caches is copied and summed; the disk is that of `directory`. */
export async function machine({ directory }: Options): Promise<Result> {
  const bytes = 64 * 1024 * 1024
  const source = Buffer.alloc(bytes, 1)
  const target = Buffer.alloc(bytes, 2)
  return {
    copiedMbPerSecond: (perSecond(() => target.set(source)) * bytes) / 1e6,
    summedMbPerSecond: (perSecond(() => crc32c(source)) * bytes) / 1e6,
    ...written(join(directory, 'written')),
    syncedPerSecond: synced(join(directory, 'synced')),
    bareStartMs: await bareStartMs(),
  }
}

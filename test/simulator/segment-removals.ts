/**
 * Watches every segment that the broker lets go of at the beginning of a log, and works out from the
 * files whether it may: all of it was asked to be deleted, or its newest record is older than
 * retention.ms, or what is left holds retention.bytes without it. Only what went so may be missing at the
 * beginning of a partition.
 */

import type { PartitionHistory, TopicPromise } from './history.ts'
import { newestTimestamp, segmentEnd } from './log-files.ts'
import { lettingGo } from './recovered-logs.ts'
import type { SimulatedProcess } from './simulated-world.ts'
import type { Stage } from './stage.ts'
import { Violation } from './violation.ts'

const segmentFile = /^\d{20}\.log$/
const logFile = /^(.*\/([^/]+-\d+))\/(\d{20})\.log$/

type Files = ReadonlyMap<string, Buffer | null>

/** Whether no segment of the log begins before `base`. */
const isOldest = (files: Files, base: string): boolean =>
  [...files.keys()].every((file) => !segmentFile.test(file) || file >= `${base}.log`)

/** Whether what lies behind the oldest segment holds as much as is to be kept. */
function isTooMuch(files: Files, base: string, { retentionBytes }: TopicPromise): boolean {
  let bytes = 0
  for (const [file, content] of files) {
    if (segmentFile.test(file) && file > `${base}.log`) bytes += content?.length ?? 0
  }
  return bytes >= retentionBytes
}

/** As long as it takes to rename the segments that go together; what waits to be written does not count. */
const settlingMs = 10

interface Host {
  readonly process: SimulatedProcess | null
  readonly isUp: boolean
  readonly faults: { readonly struck: boolean }
}

export class SegmentRemovals {
  readonly #stage: Stage
  readonly #host: Host
  /** Bytes that partitions have let go of, by name. */
  readonly #goneBytes = new Map<string, number>()

  constructor(stage: Stage, host: Host) {
    this.#stage = stage
    this.#host = host
  }

  /** The broker is about to rename a file or a directory. */
  onRename(path: string): void {
    const [, directory = '', name = '', base = ''] = logFile.exec(path) ?? []
    const partition = this.#stage.history.partitions.get(name)
    const { process, isUp } = this.#host
    if (partition === undefined || process === null) return
    const files = process.disk.look(directory)
    const content = files.get(`${base}.log`)
    if (content === undefined || content === null) return
    const end = segmentEnd(files, Number(base))
    const { startMax, promise } = partition
    const expiredMs = process.environment.clock.now() - promise.retentionMs
    const isExpired = newestTimestamp(content) < expiredMs
    // One that starts cuts logs at their end; if its disk is slow, it also lets go of what may go.
    if (!isUp && !(isOldest(files, base) && (isExpired || isTooMuch(files, base, promise)))) return
    const goneBytes = (this.#goneBytes.get(name) ?? 0) + content.length
    this.#goneBytes.set(name, goneBytes)
    this.#stage.trace.say('host', `${name} lets go of ${base} to ${end}`)
    // One that had gone before may have come back after a loss of power.
    if (end > startMax && !isExpired) this.#mustBeTooMuch(partition, { process, directory, end })
    lettingGo(partition, content)
    partition.expiredUpTo = Math.max(partition.expiredUpTo, end)
  }

  /** Nothing but its size may have made it go. */
  #mustBeTooMuch(
    { name, promise }: PartitionHistory,
    { process, directory, end }: { process: SimulatedProcess; directory: string; end: number },
  ): void {
    const { world, fail } = this.#stage
    const { retentionBytes } = promise
    const what = `${name} let go of a segment up to ${end}`
    if (retentionBytes === Number.POSITIVE_INFINITY) {
      fail(new Violation(`${what}, which was neither asked for nor expired`))
      return
    }
    const goneBefore = this.#goneBytes.get(name) ?? 0
    world.schedule(process, 'look', settlingMs, () => {
      if (this.#host.faults.struck) return
      // Those behind it that went in the meantime were there when it had to go.
      let bytes = (this.#goneBytes.get(name) ?? 0) - goneBefore
      for (const [file, content] of process.disk.look(directory)) {
        if (file.endsWith('.log')) bytes += content?.length ?? 0
      }
      if (bytes < retentionBytes) {
        fail(new Violation(`${what} and has ${bytes} bytes left; it has to keep ${retentionBytes}`))
      }
    })
  }
}

/**
 * Opens the logs that a start found on disk, in slices of the event loop's turns. First those that
 * somebody would miss; then the others, behind clients that are served already. While the process may open no more
 * files it is tried again.
 */
import type { Environment, Milliseconds } from '../environment/environment.ts'
import type { Partition } from './partition.ts'

/** Logs are opened for so long, or so many, before others have their turn; clients among them: not so long. */
const openingMsMax = 20
const openingCountMax = 64
const behindMsMax = 1

/** While no file can be opened, it is tried so often; those that a start waits for, so many times. */
const retryMs = 1000
const openingTriesMax = 30
const progressMs = 3_000

export class Opening {
  readonly #environment: Environment
  #opened = 0
  #total = 0
  #isEnded = false

  constructor(environment: Environment) {
    this.#environment = environment
  }

  /** How many of the logs on disk are open. */
  get progress(): { readonly opened: number; readonly total: number } {
    return { opened: this.#opened, total: this.#total }
  }

  /** What is under way resolves after the partition it is at. */
  end(): void {
    this.#isEnded = true
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  /**
   * Opens those logs that were not closed in good order, or are gone: where one that is gone ended would be
   * forgotten by the next start, if this broker were killed now. Gives those that are still to be opened, behind.
   */
  async openDue(stored: readonly Partition[]): Promise<Partition[]> {
    this.#total = stored.length
    const behind = stored.filter((partition) => !isDue(partition))
    let left = await this.#open(stored.filter(isDue), openingMsMax)
    for (let tries = 1; left.length > 0 && tries < openingTriesMax; tries++) {
      await this.untilFilesWereClosed()
      left = await this.#open(left, openingMsMax)
    }
    return [...left, ...behind]
  }

  /** As far as they can be opened, and as soon as there are files for it. */
  async openBehind(partitions: readonly Partition[]): Promise<void> {
    let left = await this.#open(partitions, behindMsMax)
    while (left.length > 0) {
      await this.untilFilesWereClosed()
      left = await this.#open(left, behindMsMax)
    }
  }

  /** No file can be opened now, and it has been said: time for others to close some. */
  async untilFilesWereClosed(): Promise<void> {
    await new Promise<void>((resolve) => void this.#environment.timers.after(retryMs, resolve))
  }

  /** Gives those for which no file could be opened; none where it was ended meanwhile. */
  async #open(partitions: readonly Partition[], sliceMsMax: Milliseconds): Promise<Partition[]> {
    const left: Partition[] = []
    const { clock, timers, log } = this.#environment
    const startMs = clock.monotonic()
    let bytes = 0
    let sliceMs = startMs
    let toldMs = startMs
    for (const partition of partitions) {
      if (this.#isEnded) return []
      // Where it cannot be opened for good, the partition is offline and has said so.
      const isLeft = !partition.open() && partition.isUnopened && !partition.isOffline
      if (isLeft) left.push(partition)
      else this.#opened++
      bytes += partition.openedLog?.size ?? 0
      const nowMs = clock.monotonic()
      if (nowMs - toldMs >= progressMs) {
        toldMs = nowMs
        const { opened, total } = this.progress
        const seconds = Math.round((nowMs - startMs) / 1000)
        const fields = { opened, total, bytes, seconds }
        log.info(`opening logs: ${opened} of ${total} partitions`, fields)
      }
      if (nowMs - sliceMs < sliceMsMax && this.#opened % openingCountMax !== 0) continue
      await new Promise<void>((resolve) => timers.lineUp(resolve))
      sliceMs = clock.monotonic()
    }
    return left
  }
}

/** Whether nobody may be let in before the log is open. */
function isDue(partition: Partition): boolean {
  const { directory } = partition
  return directory?.isClean !== true || directory.logs.isMissing(`${partition}`)
}

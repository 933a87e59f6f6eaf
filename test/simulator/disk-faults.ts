/**
 * Lets operations of the broker's disk fail: now and then one, for some time all of a kind under one
 * directory, those that need room while the disk is full, or the one that records wait for. It also ends the broker at a chosen
 * operation, so that every point between two operations is a point of death.
 */
import type { DiskOperation, MemoryDisk } from './memory-disk.ts'
import type { SeededRandom } from './random.ts'
import type { Stage } from './stage.ts'

/** Where the records of topics are, the broker's own among them; without the metadata all is over. */
export const recordsFile = /\/(?!__cluster_metadata-)[^/]+-\d+\/\d{20}\.log$/

export class DiskFaults {
  readonly #stage: Stage
  readonly #random: SeededRandom
  /** The current process has met a fault, or may: what it then cannot do is no fault of its own. */
  struck = false
  /** Told of every operation before it is done. */
  onOperation: (operation: DiskOperation, path: string) => void = () => undefined
  #lasting: { readonly under: string; readonly operations: readonly string[] } | null = null
  #isFull = false
  /** The next operation of this kind on a file of records under this directory fails. */
  #failing: { readonly operation: 'write' | 'sync'; readonly under: string } | null = null
  #operations = 0
  #diesAt = Number.POSITIVE_INFINITY
  /** How; null: as it comes. */
  #diesBy: 'kill' | 'power loss' | null = null
  #end: (how: 'kill' | 'power loss') => void = () => undefined

  constructor(stage: Stage, random: SeededRandom) {
    this.#stage = stage
    this.#random = random
  }

  watch(disk: MemoryDisk, end: (how: 'kill' | 'power loss') => void): void {
    this.#end = end
    disk.fault = (operation, path) => this.#judge(operation, path)
  }

  /** A process starts on this disk. */
  begin(): void {
    const { temper, isHealed } = this.#stage
    this.struck = this.#lasting !== null || this.#isFull
    this.#operations = 0
    this.#diesBy = null
    const isDoomed = !isHealed && this.#random.chance(temper.dieStartingChance)
    this.#diesAt = isDoomed ? this.#random.between(1, this.#random.pick([20, 100, 400])) : Infinity
  }

  started(): void {
    this.#diesAt = Number.POSITIVE_INFINITY
  }

  /** The broker ends at one of its next disk operations. */
  dieSoon(operationsMax = 60, how: 'kill' | 'power loss' | null = null): void {
    this.#operations = 0
    this.#diesBy = how
    this.#diesAt = this.#random.between(1, operationsMax)
  }

  /** From now on operations of some kinds fail in one of the log directories. */
  beginErrors(): void {
    const { temper, trace } = this.#stage
    const under = this.#random.pick(temper.logDirs)
    this.#lasting = { under, operations: temper.diskErrors.operations }
    trace.fault('lasting disk errors', `${under}: ${temper.diskErrors.operations.join(' ')}`)
  }

  /** The next write or sync of records fails, of those under a directory, and none after it. */
  failSoon(operation: 'write' | 'sync', under = ''): void {
    this.#failing = { operation, under }
  }

  /** There is room for a few more bytes only. */
  fill(disk: MemoryDisk): void {
    this.#isFull = true
    this.struck = true
    disk.totalBytes = disk.usedBytes + this.#random.between(0, 2_000)
    this.#stage.trace.fault('full disk', `${disk.totalBytes} bytes`)
  }

  heal(disk: MemoryDisk): void {
    this.#lasting = null
    this.#isFull = false
    this.#failing = null
    disk.totalBytes = 2 ** 40
    this.#diesAt = Number.POSITIVE_INFINITY
  }

  #judge(operation: DiskOperation, path: string): string | undefined {
    const { temper, isHealed, trace } = this.#stage
    if (++this.#operations === this.#diesAt) {
      const isPowerLoss = this.#random.chance(0.5) && temper.blows.powerLoss > 0
      this.#end(this.#diesBy ?? (isPowerLoss ? 'power loss' : 'kill'))
      return 'ESTALE'
    }
    this.onOperation(operation, path)
    if (isHealed || operation === 'lock') return undefined
    const lasting = this.#lasting
    const failing = this.#failing
    const isDue =
      operation === failing?.operation && path.startsWith(failing.under) && recordsFile.test(path)
    if (isDue) this.#failing = null
    const strikes =
      isDue ||
      (lasting !== null &&
        path.startsWith(lasting.under) &&
        lasting.operations.includes(operation)) ||
      (temper.diskErrors.chance > 0 &&
        temper.diskErrors.operations.includes(operation) &&
        this.#random.chance(temper.diskErrors.chance))
    if (!strikes) return undefined
    this.struck = true
    const { code } = temper.diskErrors
    trace.fault(`${code} on ${operation}`, path)
    return code
  }
}

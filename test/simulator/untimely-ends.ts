/**
 * Ends the broker where it is most delicate: soon after a segment was let go of, so that others have to
 * know what it told of producers and transactions; soon after a segment was rolled, while it is being synced
 * and the one behind it is written already; in the middle of the swap that puts a compacted segment
 * in the place of its originals; and between what a coordinator of transactions has recorded and what
 * follows from it.
 */
import type { DiskOperation } from './memory-disk.ts'
import { SeededRandom } from './random.ts'
import type { SimulatedProcess } from './simulated-world.ts'
import type { Stage } from './stage.ts'

/** A segment that goes, or a compacted one that comes. */
const delicate = /\/\d{20}\.log(\.cleaned)?$/

const segment = /\/(\d{20})\.log$/
const firstBase = '0'.repeat(20)
const compactedSegment = /\/\d{20}\.log\.cleaned$/
const transactionLog = /\/__transaction_state-\d+\/\d{20}\.log$/

/** Every end takes a start; a run has many others. */
const endsMax = 4
const rollEndsMax = 4
const swapEndsMax = 3
const decisionEndsMax = 3

/** The removal of a segment takes no more. */
const operationsMax = 12
/** The swap for up to two originals. */
const swapOperationsMax = 24
/** From the making of the segment that follows on, until the one before is synced. */
const rollOperationsMax = 16
/** The markers of a transaction, and the record that they are written. */
const decisionOperationsMax = 8

interface Host {
  readonly process: SimulatedProcess | null
  readonly isUp: boolean
  readonly faults: { dieSoon(operationsMax: number, how?: 'kill' | 'power loss'): void }
  end(how: 'power loss', why: string): void
}

export class UntimelyEnds {
  readonly #stage: Stage
  readonly #host: Host
  /** Its own: seeds in which nothing of the kind happens keep their course. */
  readonly #random: SeededRandom
  readonly #rollRandom: SeededRandom
  #left = endsMax
  #rollsLeft = rollEndsMax
  #swapsLeft = swapEndsMax
  #decisionsLeft = decisionEndsMax

  constructor(stage: Stage, host: Host) {
    this.#stage = stage
    this.#host = host
    this.#random = new SeededRandom(stage.world.seed).fork('untimely ends')
    this.#rollRandom = new SeededRandom(stage.world.seed).fork('ends after rolls')
  }

  /** The broker is about to do something with its disk. */
  onOperation(operation: DiskOperation, path: string): void {
    if (!this.#host.isUp || this.#stage.isHealed) return
    if (operation === 'rename') this.#onRename(path)
    else if (operation === 'open') this.#onOpen(path)
    else if (operation === 'write' && transactionLog.test(path)) this.#onDecision()
  }

  /** Of the segment before, and of its name, a loss of power may leave less than of the one that follows. */
  #onOpen(path: string): void {
    const { temper } = this.#stage
    const { process } = this.#host
    const [, base = firstBase] = segment.exec(path) ?? []
    if (process === null || base === firstBase || temper.rollEndChance === 0) return
    if (this.#rollsLeft === 0 || !this.#rollRandom.chance(temper.rollEndChance)) return
    const at = path.lastIndexOf('/')
    if (process.disk.look(path.slice(0, at)).has(path.slice(at + 1))) return
    this.#rollsLeft--
    this.#host.faults.dieSoon(rollOperationsMax, 'power loss')
  }

  /** What it does not say itself it has to find out at the next start. */
  #onDecision(): void {
    const { decisionEndChance } = this.#stage.temper
    if (this.#decisionsLeft === 0 || !this.#random.chance(decisionEndChance)) return
    this.#decisionsLeft--
    this.#host.faults.dieSoon(decisionOperationsMax, 'kill')
  }

  #onRename(path: string): void {
    const { temper, world } = this.#stage
    const { process } = this.#host
    if (process === null || !delicate.test(path)) return
    // A loss of power may take more, and excuses more.
    const isSwap = compactedSegment.test(path) && this.#swapsLeft > 0
    if (isSwap && this.#random.chance(temper.swapEndChance)) {
      this.#swapsLeft--
      this.#host.faults.dieSoon(swapOperationsMax, 'kill')
      return
    }
    if (this.#left === 0 || !this.#random.chance(temper.untimelyEndChance)) return
    this.#left--
    if (this.#random.chance(0.5)) {
      this.#host.faults.dieSoon(operationsMax)
      return
    }
    const delayMs = this.#random.float() * this.#random.pick([1, 10, 1_000])
    world.schedule(process, 'power', delayMs, () => {
      if (!this.#stage.isHealed) this.#host.end('power loss', 'after a segment went')
    })
  }
}

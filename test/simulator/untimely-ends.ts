/**
 * Ends the broker where it is most delicate: soon after a segment was let go of, so that others have to
 * know what it told of producers and transactions, and in the middle of the swap that puts a compacted
 * segment in the place of its originals.
 */
import { SeededRandom } from './random.ts'
import type { SimulatedProcess } from './simulated-world.ts'
import type { Stage } from './stage.ts'

/** A segment that goes, or a compacted one that comes. */
const delicate = /\/\d{20}\.log(\.cleaned)?$/

/** Every end takes a start; a run has many others. */
const endsMax = 4

/** A swap, and the removal of what it replaces, take no more. */
const operationsMax = 12

interface Host {
  readonly process: SimulatedProcess | null
  readonly isUp: boolean
  readonly faults: { dieSoon(operationsMax: number): void }
  end(how: 'power loss', why: string): void
}

export class UntimelyEnds {
  readonly #stage: Stage
  readonly #host: Host
  /** Its own: seeds in which nothing of the kind happens keep their course. */
  readonly #random: SeededRandom
  #left = endsMax

  constructor(stage: Stage, host: Host) {
    this.#stage = stage
    this.#host = host
    this.#random = new SeededRandom(stage.world.seed).fork('untimely ends')
  }

  /** The broker is about to rename a file or a directory. */
  onRename(path: string): void {
    const { temper, isHealed, world } = this.#stage
    const { process, isUp } = this.#host
    if (process === null || !isUp || isHealed || !delicate.test(path)) return
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

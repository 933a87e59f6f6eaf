/**
 * What keeps tables fit that get a small file with every commit: small files are put together, and those that no version
 * within a table's retention needs any more are deleted. One table at a time, since all share a disk and a thread. Whoever
 * lands meanwhile is not stopped by it; where both want the same file, one of them begins again.
 */
import type { Environment, Timer } from '../../environment/environment.ts'
import { DeltaConflict } from '../../tables/delta/delta-error.ts'
import { optimizeTable } from '../../tables/delta/optimize.ts'
import { readSnapshot } from '../../tables/delta/snapshot.ts'
import { vacuumTable } from '../../tables/delta/vacuum.ts'
import type { TablesEnvironment } from '../delta/move-offsets.ts'
import { keptIn } from '../storage/kept-in.ts'

const checkMs = 60_000
const vacuumMs = 24 * 3_600_000
/** So many commits and small files are no burden to readers, and not worth to be rewritten. */
const smallFilesMin = 32
const smallBytesMax = 32 * 1024 * 1024

export interface MaintainedTable {
  readonly location: string
  /** As it was last seen; null: it was not. */
  readonly version: number | null
  readonly optimizes: boolean
  readonly vacuums: boolean
}

interface Looked {
  /** When it was looked at last. */
  version: number
  vacuumedMs: number
}

export class Maintenance {
  readonly #environment: Environment
  readonly #tables: TablesEnvironment
  readonly #maintained: () => readonly MaintainedTable[]
  readonly #looked = new Map<string, Looked>()
  #timer: Timer | null = null
  #isStopped = false

  constructor(
    environment: Environment,
    tables: TablesEnvironment,
    maintained: () => readonly MaintainedTable[],
  ) {
    this.#environment = environment
    this.#tables = tables
    this.#maintained = maintained
    this.#wait()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  /** Looks at all tables once. Never rejects: what fails is logged, and tried again the next time. */
  async run(): Promise<void> {
    const maintained = this.#maintained()
    const locations = new Set(maintained.map(({ location }) => location))
    for (const location of this.#looked.keys())
      if (!locations.has(location)) this.#looked.delete(location)
    for (const table of maintained) {
      if (this.#isStopped) return
      try {
        await this.#maintain(table)
      } catch (error) {
        const { log } = this.#environment
        const fields = { location: table.location, reason: String(error) }
        if (error instanceof DeltaConflict) log.debug('A table is put together later', fields)
        else log.warn('A table could not be maintained', fields)
      }
    }
  }

  #wait(): void {
    if (this.#isStopped) return
    this.#timer = this.#environment.timers.after(checkMs, () => {
      void this.run().then(() => this.#wait())
    })
  }

  async #maintain({ location, version, optimizes, vacuums }: MaintainedTable): Promise<void> {
    if (version === null) return
    const { clock } = this.#environment
    const { random, storageAt } = this.#tables
    const looked = keptIn(
      this.#looked,
      location,
      (): Looked => ({
        version: -smallFilesMin,
        // A restart is no reason to vacuum, nor, where there is one each day, to do so never.
        vacuumedMs: clock.now() - random.float() * vacuumMs,
      }),
    )
    const environment = { clock, random, storage: storageAt(location) }
    if (optimizes && version - looked.version >= smallFilesMin) {
      looked.version = version
      const { files } = await readSnapshot(environment.storage)
      const small = [...files.values()].filter(({ size }) => size < smallBytesMax)
      if (small.length >= smallFilesMin) await optimizeTable(environment)
    }
    if (vacuums && clock.now() - looked.vacuumedMs >= vacuumMs) {
      looked.vacuumedMs = clock.now()
      await vacuumTable(environment)
    }
  }
}

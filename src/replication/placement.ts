/**
 * In which log directory a partition lies that has no files yet: the one that the metadata names, else
 * the one with the fewest partitions. A directory that failed, or is no longer there, may hold what is
 * missed: an empty log must not take its place.
 */
import type { Logger } from '../environment/environment.ts'
import type { LogDirectory } from '../log/log-directory.ts'

/** What placement looks at. */
export interface PlacedPartition {
  readonly replicas: readonly number[]
  /** The id of the log directory of each replica, in the order of `replicas`. */
  readonly directories: readonly string[]
}

/** Stand for "migrating", "not known" and "lost" in the metadata. */
const reservedIds: ReadonlySet<string> = new Set([
  'AAAAAAAAAAAAAAAAAAAAAA',
  'AAAAAAAAAAAAAAAAAAAAAQ',
  'AAAAAAAAAAAAAAAAAAAAAg',
])

export class Placement {
  readonly #directories: readonly LogDirectory[]
  readonly #brokerId: number
  readonly #log: Logger
  readonly #ids = new Map<LogDirectory, string | undefined>()
  /** Partitions of topics in each directory. */
  readonly #load = new Map<LogDirectory, number>()

  constructor(directories: readonly LogDirectory[], brokerId: number, log: Logger) {
    this.#directories = directories
    this.#brokerId = brokerId
    this.#log = log
    for (const directory of this.#online) {
      this.#ids.set(directory, directory.readMetaProperties()?.directoryId)
    }
  }

  get #online(): LogDirectory[] {
    return this.#directories.filter(({ failure }) => failure === null)
  }

  /** A partition lies in the directory from now on. */
  add(directory: LogDirectory): void {
    this.#load.set(directory, this.#loadOf(directory) + 1)
  }

  remove(directory: LogDirectory): void {
    this.#load.set(directory, this.#loadOf(directory) - 1)
  }

  /** For a new partition; undefined where no directory is left. */
  choose(assigned: PlacedPartition): LogDirectory | undefined {
    const named = this.#namedId(assigned)
    let chosen: LogDirectory | undefined
    for (const directory of this.#online) {
      if (named !== undefined && this.#ids.get(directory) === named) return directory
      if (chosen === undefined || this.#loadOf(directory) < this.#loadOf(chosen)) chosen = directory
    }
    return chosen
  }

  /**
   * At the start, for a partition `name` that is not on the disks: as `choose` if it was never written
   * to, but undefined where it may lie in a directory that is not there (KIP-858).
   */
  chooseUnlessLost(name: string, assigned: PlacedPartition): LogDirectory | undefined {
    const named = this.#namedId(assigned)
    const isNamed = named !== undefined && !reservedIds.has(named)
    const isThere = this.#online.some((directory) => this.#ids.get(directory) === named)
    const mayBeLost = isNamed ? !isThere : this.#online.length < this.#directories.length
    if (!mayBeLost) return this.choose(assigned)
    const where = isNamed ? `directory ${named}` : 'one of the failed log directories'
    const message = `partition ${name} is offline: it may lie in ${where}, which is not there`
    this.#log.error(message, { partition: name, ...(isNamed ? { directoryId: named } : {}) })
    return undefined
  }

  #namedId({ directories, replicas }: PlacedPartition): string | undefined {
    return directories[replicas.indexOf(this.#brokerId)]
  }

  #loadOf(directory: LogDirectory): number {
    return this.#load.get(directory) ?? 0
  }
}

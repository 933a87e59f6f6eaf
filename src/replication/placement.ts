/**
 * In which log directory a partition lies that has no files yet: the one that was asked for beforehand
 * (KIP-113), else the one that the metadata names, else the one with the fewest partitions. A directory that failed, or is no longer there, may hold what is
 * missed: an empty log must not take its place.
 */
import type { Logger } from '../environment/environment.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import { lostDirectory, migratingDirectory, unassignedDirectory } from '../metadata/image.ts'

/** What placement looks at. */
export interface PlacedPartition {
  readonly replicas: readonly number[]
  /** The id of the log directory of each replica, in the order of `replicas`. */
  readonly directories: readonly string[]
}

/** Wishes for partitions that are not here yet; the oldest makes room. */
const preferencesMax = 10_000

/** Those that stand for no directory. */
const reservedIds: ReadonlySet<string> = new Set([
  migratingDirectory,
  unassignedDirectory,
  lostDirectory,
])

/** Partitions that a line names. */
const namedMax = 5

function adviceFor(directoryId: string): string {
  if (directoryId === '') return 'They may lie in one of the failed log directories.'
  return (
    `They lie in the log directory with directory.id=${directoryId}, which is not there: it belongs in ` +
    'log.dirs, on a disk that works. If it is lost for good, write that line into meta.properties of a ' +
    'new directory in log.dirs: they begin there anew, empty.'
  )
}

export class Placement {
  readonly #directories: readonly LogDirectory[]
  readonly #brokerId: number
  readonly #log: Logger
  readonly #ids = new Map<LogDirectory, string | undefined>()
  /** Partitions of topics in each directory. */
  readonly #load = new Map<LogDirectory, number>()
  /** By `topic-partition`. */
  readonly #preferred = new Map<string, LogDirectory>()
  /** Names of partitions that lie in a directory that is not there, by its id; by '' where it is not known. */
  readonly #lost = new Map<string, string[]>()

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

  /** The partition `name` is to lie in the directory once it is here. */
  prefer(name: string, directory: LogDirectory): void {
    this.#preferred.delete(name)
    this.#preferred.set(name, directory)
    for (const oldest of this.#preferred.keys()) {
      if (this.#preferred.size <= preferencesMax) break
      this.#preferred.delete(oldest)
    }
  }

  /** The `directory.id`; undefined where it has none yet. */
  idOf(directory: LogDirectory): string | undefined {
    return this.#ids.get(directory)
  }

  /** Whether the metadata says that the partition lies in the directory. */
  isNamed(directory: LogDirectory, assigned: PlacedPartition): boolean {
    const named = this.#namedId(assigned)
    return named !== undefined && named === this.idOf(directory)
  }

  /** Whether the metadata says where the partition lies. */
  hasName(assigned: PlacedPartition): boolean {
    const named = this.#namedId(assigned)
    return named !== undefined && !reservedIds.has(named)
  }

  /** For a new partition `name`; undefined where no directory is left. */
  choose(name: string, assigned: PlacedPartition): LogDirectory | undefined {
    const preferred = this.#preferred.get(name)
    this.#preferred.delete(name)
    if (preferred !== undefined && preferred.failure === null) return preferred
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
   * to, but undefined where it may lie in a directory that is not there (KIP-858): see `tellLost`.
   */
  chooseUnlessLost(name: string, assigned: PlacedPartition): LogDirectory | undefined {
    const named = this.#namedId(assigned)
    const isNamed = this.hasName(assigned)
    const isThere = this.#online.some((directory) => this.#ids.get(directory) === named)
    const mayBeLost = isNamed ? !isThere : this.#online.length < this.#directories.length
    if (!mayBeLost) return this.choose(name, assigned)
    const directoryId = isNamed && named !== undefined ? named : ''
    const others = this.#lost.get(directoryId)
    if (others === undefined) this.#lost.set(directoryId, [name])
    else others.push(name)
    return undefined
  }

  /** One line for each directory that is missed by partitions, and what can be done. */
  tellLost(): void {
    for (const [directoryId, names] of this.#lost) {
      const first = names.slice(0, namedMax).join(', ')
      const which = names.length > namedMax ? `${first}, …` : first
      const fields = { partitions: names.length, ...(directoryId === '' ? {} : { directoryId }) }
      this.#log.error(
        `offline partitions: ${names.length} (${which}). ${adviceFor(directoryId)}`,
        fields,
      )
    }
    this.#lost.clear()
  }

  #namedId({ directories, replicas }: PlacedPartition): string | undefined {
    return directories[replicas.indexOf(this.#brokerId)]
  }

  #loadOf(directory: LogDirectory): number {
    return this.#load.get(directory) ?? 0
  }
}

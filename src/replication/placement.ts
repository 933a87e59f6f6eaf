/**
 * In which log directory a partition lies that has no files yet: the one that was asked for beforehand
 * (KIP-113), else the one that the metadata names, else the one with the fewest partitions. A directory that
 * failed, or is no longer there, may hold what is missed: an empty log must not take its place.
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

export interface PlacementOptions {
  readonly directories: readonly LogDirectory[]
  /** Ids of those that worked at the last start, as far as that is known. */
  readonly directoriesBefore: readonly string[]
  readonly brokerId: number
  readonly log: Logger
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

function adviceFor(directoryId: string, areCopied: boolean): string {
  if (directoryId === lostDirectory) {
    return (
      'They may lie in a log directory that failed, or is not in log.dirs any more: it belongs there, on ' +
      'a disk that works. If it is lost for good, delete their topics.'
    )
  }
  const copies = 'what lies of them elsewhere may lack records, and is kept'
  const afterwards = areCopied
    ? 'they go on with what lies elsewhere'
    : 'they begin there anew, empty'
  return (
    `They lie in the log directory with directory.id=${directoryId}, which is not there` +
    `${areCopied ? `; ${copies}` : ''}: it belongs in log.dirs, on a disk that works. If it is lost for ` +
    `good, write that line into meta.properties of a new directory in log.dirs: ${afterwards}.`
  )
}

/** Partitions whose directory is not there. */
interface Lost {
  readonly directoryId: string
  /** Something of their names lies in other directories. */
  readonly areCopied: boolean
  readonly names: Set<string>
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
  readonly #lost: Lost[] = []
  /** Ids of directories that worked at the last start, and are not there now. */
  readonly #gone: readonly string[]

  constructor({ directories, directoriesBefore, brokerId, log }: PlacementOptions) {
    this.#directories = directories
    this.#brokerId = brokerId
    this.#log = log
    for (const directory of this.#online) {
      this.#ids.set(directory, directory.metaProperties?.directoryId)
    }
    this.#gone = directoriesBefore.filter((id) => !this.#isThere(id))
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

  /** Whether it says that of a directory with this id. */
  isCalled(directoryId: string, assigned: PlacedPartition): boolean {
    return this.#namedId(assigned) === directoryId
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
    const directoryId = this.missedBy(assigned)
    if (directoryId === null) return this.choose(name, assigned)
    this.#lose(name, directoryId, false)
    return undefined
  }

  /**
   * The id of the directory that is not there and in which a partition lies that was not found; that of lost ones
   * where several come into question. Null: there is none.
   */
  missedBy(assigned: PlacedPartition): string | null {
    const named = this.#namedId(assigned)
    if (named === lostDirectory) return named
    if (named !== undefined && this.hasName(assigned)) return this.#isThere(named) ? null : named
    // Earlier versions did not say in which one.
    const [gone, ...others] = this.#gone
    if (gone !== undefined && others.length === 0) return gone
    const isOneAway = gone !== undefined || this.#online.length < this.#directories.length
    return isOneAway ? lostDirectory : null
  }

  /**
   * At the start: whether what `directory` holds of the partition `name` is not to be used, since the one
   * that the metadata names is not there and may hold more: see `tellLost`.
   */
  isStale(name: string, assigned: PlacedPartition, directory: LogDirectory): boolean {
    const named = this.#namedId(assigned)
    const isTold = named !== undefined && this.hasName(assigned)
    if (!isTold || this.#isThere(named)) return false
    // It may be that one, under another id.
    if (directory.hasNewIdentity || this.idOf(directory) === undefined) return false
    this.#lose(name, named, true)
    return true
  }

  /** One line for each directory that is missed by partitions, and what can be done. */
  tellLost(): void {
    for (const { directoryId, areCopied, names } of this.#lost.splice(0)) {
      const first = [...names].slice(0, namedMax).join(', ')
      const which = names.size > namedMax ? `${first}, …` : first
      const fields = { partitions: names.size, directoryId }
      const advice = adviceFor(directoryId, areCopied)
      this.#log.error(`offline partitions: ${names.size} (${which}). ${advice}`, fields)
    }
  }

  #lose(name: string, directoryId: string, areCopied: boolean): void {
    let lost = this.#lost.find(
      (one) => one.directoryId === directoryId && one.areCopied === areCopied,
    )
    if (lost === undefined) {
      lost = { directoryId, areCopied, names: new Set() }
      this.#lost.push(lost)
    }
    lost.names.add(name)
  }

  #isThere(directoryId: string): boolean {
    return this.#online.some((directory) => this.#ids.get(directory) === directoryId)
  }

  #namedId({ directories, replicas }: PlacedPartition): string | undefined {
    return directories[replicas.indexOf(this.#brokerId)]
  }

  #loadOf(directory: LogDirectory): number {
    return this.#load.get(directory) ?? 0
  }
}

/**
 * What lies in the log directories at the start: where the log of each partition is, and which copies of
 * logs were on their way to another directory (KIP-113). A copy whose log is gone takes its place, for that
 * is how far a move may have come (`log/takeover`). What belongs to no partition is set aside.
 */
import { DiskError } from '../environment/disk.ts'
import type { Logger } from '../environment/environment.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import { isOutOfFiles, orOutOfFiles } from '../log/out-of-files.ts'
import type { PartitionDirectory } from '../log/partition-directories.ts'
import { isOfTopic } from '../log/partition-metadata.ts'
import { endOffsetIn } from '../log/segment-files.ts'
import type { PlacedPartition, Placement } from './placement.ts'

/** A copy that goes on. */
export interface FoundCopy {
  /** `topic-partition`. */
  readonly name: string
  readonly topic: string
  readonly partition: number
  readonly directory: LogDirectory
  readonly directoryName: string
}

export interface FoundLogs {
  /** Where the log of a partition is, by `topic-partition`. */
  readonly places: ReadonlyMap<string, LogDirectory>
  readonly copies: readonly FoundCopy[]
  /** Of these there is a copy only, which may lack records: they are offline. */
  readonly incomplete: ReadonlySet<string>
}

export interface LogSearchOptions {
  /** Those that work. */
  readonly directories: readonly LogDirectory[]
  readonly areAllOnline: boolean
  readonly placement: Placement
  readonly brokerId: number
  readonly log: Logger
  /** The topic as the metadata has it. */
  readonly topic: (name: string) => AssignedPartitions | undefined
}

interface AssignedPartitions {
  readonly id: string
  readonly partitions: readonly PlacedPartition[]
}

/** Runs what a failing disk may end; where the directory has failed by then, it has said so. */
export function guarded(directory: LogDirectory, log: Logger, run: () => void): void {
  try {
    run()
  } catch (err) {
    if (!(err instanceof DiskError)) throw err
    if (directory.failure !== null) return
    log.error('work on a log directory was given up', { directory: directory.path, err })
  }
}

/** No topic of the cluster knows this directory: keeps it under Kafka's name for strays. */
export function setAside(directory: LogDirectory, log: Logger, name: string): void {
  const fields = { partition: name, directory: directory.path }
  try {
    const renamedTo = directory.partitions.setAside(name)
    const message = 'partition on disk belongs to no topic of the cluster; set aside'
    log.warn(message, { ...fields, renamedTo })
  } catch (err) {
    if (!(err instanceof DiskError) || directory.failure !== null) throw err
    const message = 'partition on disk belongs to no topic of the cluster, and stays'
    log.warn(message, { ...fields, err })
  }
}

/** None where the directory has failed, and has said so. Throws DiskError where no file can be opened now. */
function entriesIn(directory: LogDirectory): PartitionDirectory[] {
  try {
    return directory.partitions.find()
  } catch (error) {
    if (!(error instanceof DiskError) || isOutOfFiles(error)) throw error
    return []
  }
}

export class LogSearch {
  readonly #options: LogSearchOptions
  readonly #places = new Map<string, LogDirectory>()
  readonly #futures: (PartitionDirectory & { readonly directory: LogDirectory })[] = []
  readonly #copies: FoundCopy[] = []
  readonly #incomplete = new Set<string>()

  constructor(options: LogSearchOptions) {
    this.#options = options
  }

  /** Once. Throws DiskError, or OutOfFiles, where no file can be opened now: another search finds what this one did. */
  run(): FoundLogs {
    const { directories, log } = this.#options
    const listed = directories.map((directory) => ({ directory, entries: entriesIn(directory) }))
    for (const { directory, entries } of listed) {
      guarded(directory, log, () => {
        for (const entry of entries) this.#take(directory, entry)
      })
    }
    for (const { directory, ...future } of this.#futures) {
      guarded(directory, log, () => this.#takeFuture(directory, future))
    }
    for (const directory of directories) this.#takeMissing(directory)
    return { places: this.#places, copies: this.#copies, incomplete: this.#incomplete }
  }

  #take(directory: LogDirectory, entry: PartitionDirectory): void {
    if (!this.#isAssigned(entry, directory.isClean)) {
      if (entry.isDirectory) setAside(directory, this.#options.log, entry.name)
      return
    }
    if (entry.isFuture) {
      if (entry.isDirectory) this.#futures.push({ ...entry, directory })
      return
    }
    if (this.#isStale(entry, directory)) {
      this.#incomplete.add(entry.name)
      return
    }
    const other = this.#places.get(entry.name)
    const used = other === undefined ? directory : this.#oneOf(entry, other, directory)
    this.#places.set(entry.name, used)
  }

  #isStale({ name, topic, partition }: PartitionDirectory, directory: LogDirectory): boolean {
    // One line is enough, of however many copies.
    if (this.#incomplete.has(name)) return true
    const assigned = this.#options.topic(topic)?.partitions[partition]
    return assigned !== undefined && this.#options.placement.isStale(name, assigned, directory)
  }

  /**
   * The directory that the metadata names; where it names neither, the one whose log ends last. What lies in
   * the other one is set aside: it must not take the place of the log that is used, should that be away once.
   */
  #oneOf(entry: PartitionDirectory, first: LogDirectory, second: LogDirectory): LogDirectory {
    const { name } = entry
    const [firstEnd, secondEnd] = [this.#endOf(name, first), this.#endOf(name, second)]
    const isSecond =
      this.#names(entry, second) || (!this.#names(entry, first) && secondEnd > firstEnd)
    const [used, unused] = isSecond ? [second, first] : [first, second]
    const [usedEnd, unusedEnd] = isSecond ? [secondEnd, firstEnd] : [firstEnd, secondEnd]
    const ends = { endOffset: unusedEnd, used: used.path, usedEndOffset: usedEnd }
    this.#setAsideUnused(name, unused, ends)
    return used
  }

  #setAsideUnused(
    name: string,
    unused: LogDirectory,
    ends: Readonly<Record<string, unknown>>,
  ): void {
    const { log } = this.#options
    const fields = { partition: name, directory: unused.path, ...ends }
    guarded(unused, log, () => {
      let renamedTo: string | null = null
      try {
        renamedTo = unused.partitions.setAside(name)
      } finally {
        const what = renamedTo === null ? 'left unused' : 'set aside'
        const message = `partition is in two log directories; this one is ${what}, and kept`
        log.error(message, { ...fields, renamedTo })
      }
    })
  }

  /** -1 where it cannot be read. Throws OutOfFiles. */
  #endOf(name: string, directory: LogDirectory): number {
    try {
      return orOutOfFiles(() => endOffsetIn(directory.disk, `${directory.path}/${name}`))
    } catch (error) {
      if (error instanceof DiskError) return -1
      throw error
    }
  }

  #takeFuture(directory: LogDirectory, future: PartitionDirectory): void {
    const { topic, partition, name: directoryName } = future
    const { log } = this.#options
    const name = `${topic}-${partition}`
    const place = this.#places.get(name)
    const fields = { partition: name, directory: directory.path }
    if (place === directory || this.#copies.some((copy) => copy.name === name)) {
      log.warn('a copy of a partition is not needed and is removed', fields)
      directory.partitions.remove(directoryName, 0)
    } else if (place !== undefined) {
      this.#copies.push({ name, topic, partition, directory, directoryName })
    } else if (!this.#options.areAllOnline) {
      this.#incomplete.add(name)
      const message =
        `partition ${name} is offline: here is a copy that may lack its last records, and the log may lie ` +
        'in a failed log directory; take that out of log.dirs to go on with the copy'
      log.error(message, fields)
    } else if (this.#names(future, directory) || this.#namesNone(future)) {
      // Whatever comes of it, the partition does not begin anew.
      this.#incomplete.add(name)
      orOutOfFiles(() => directory.partitions.promote(directoryName))
      this.#incomplete.delete(name)
      this.#places.set(name, directory)
      log.info('a move between log directories is finished', fields)
    } else {
      setAside(directory, log, directoryName)
    }
  }

  /** Whether the metadata says that the partition lies in the directory. */
  #names(entry: PartitionDirectory, directory: LogDirectory): boolean {
    const { placement, topic } = this.#options
    const assigned = topic(entry.topic)?.partitions[entry.partition]
    return assigned !== undefined && placement.isNamed(directory, assigned)
  }

  #namesNone(entry: PartitionDirectory): boolean {
    const { placement, topic } = this.#options
    const assigned = topic(entry.topic)?.partitions[entry.partition]
    return assigned !== undefined && !placement.hasName(assigned)
  }

  /**
   * A partition whose directory was taken away keeps its place, and is opened with the others: that says
   * what is lost. Those found elsewhere were moved.
   */
  #takeMissing(directory: LogDirectory): void {
    for (const missing of directory.logs.missing()) {
      const { name, endOffset } = missing
      const entry = { ...missing, isFuture: false, isDirectory: true, topicId: null }
      const isElsewhere = this.#places.has(name) || this.#incomplete.has(name)
      const isMissed = !isElsewhere && this.#isAssigned(entry, directory.isClean)
      if (isMissed && directory.isClean) this.#places.set(name, directory)
      else directory.logs.forgetMissing(name)
      if (!isMissed || directory.isClean) continue
      const fields = { partition: name, directory: directory.path, endOffset }
      const message =
        'a partition held records, and nothing of it is there after a crash: it is empty'
      this.#options.log.warn(message, fields)
    }
  }

  /**
   * A crash may leave the directory of a topic that was deleted, and made again under its name. After a
   * clean shutdown there is none: another id is damage then, and the partition is offline with it.
   */
  #isAssigned({ topic, partition, topicId }: PartitionDirectory, isClean: boolean): boolean {
    const assigned = this.#options.topic(topic)
    if (assigned === undefined) return false
    if (!isClean && !isOfTopic(topicId, assigned.id)) return false
    return assigned.partitions[partition]?.replicas.includes(this.#options.brokerId) ?? false
  }
}

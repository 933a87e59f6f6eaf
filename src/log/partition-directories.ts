/**
 * The directories of partitions within one log directory: which there are, and how they get their names
 * and lose them. One that goes is renamed first, at once, so that its name is free; its files follow. By
 * its name (`partition-names.ts`) each tells what it is, whenever the process dies.
 */
import { type DiskEntry, DiskError } from '../environment/disk.ts'
import type { Environment, Milliseconds } from '../environment/environment.ts'
import type { FencedDisk } from './fenced-disk.ts'
import type { LogInventory } from './log-inventory.ts'
import { isOutOfFiles } from './out-of-files.ts'
import { readPartitionMetadata } from './partition-metadata.ts'
import {
  futureSuffix,
  idBytes,
  parseFutureName,
  parsePartitionName,
  partitionNameOf,
  uniqueName,
} from './partition-names.ts'

export interface PartitionDirectory {
  readonly name: string
  readonly topic: string
  readonly partition: number
  /** It holds a log that is to take the place of the partition's log in another directory (KIP-113). */
  readonly isFuture: boolean
  /** False where a file has the name of a partition. */
  readonly isDirectory: boolean
  /** From partition.metadata, after an unclean end; null where there is none. */
  readonly topicId: string | null
}

export interface PartitionDirectoriesOptions {
  readonly environment: Environment
  readonly disk: FencedDisk
  /** The log directory. */
  readonly path: string
  readonly logs: LogInventory
  /** The last process closed the log directory in good order. */
  readonly isClean: boolean
}

export class PartitionDirectories {
  readonly #options: PartitionDirectoriesOptions

  constructor(options: PartitionDirectoriesOptions) {
    this.#options = options
  }

  /**
   * Those found here, sorted by name. What a deletion left behind is removed on the way; others (`-stray`,
   * the metadata log) are left alone. Throws DiskError, and the log directory is out of use then,
   * unless it is that no file can be opened now: what it holds would be missed, and begun anew.
   */
  find(): PartitionDirectory[] {
    const found: PartitionDirectory[] = []
    for (const { name, isDirectory } of this.#list()) {
      if (isDirectory && name.endsWith('-delete')) this.#removeTree(name)
      const current = parsePartitionName(name)
      const named = current ?? parseFutureName(name)
      if (named === null) continue
      // After a clean shutdown it is looked at when the log is opened, as all that is in there.
      const topicId = isDirectory && !this.#options.isClean ? this.#topicIdIn(name) : null
      found.push({ name, ...named, isFuture: current === null, isDirectory, topicId })
    }
    return found
  }

  #list(): DiskEntry[] {
    const { disk, path } = this.#options
    try {
      return disk.list(path)
    } catch (error) {
      if (error instanceof DiskError && !isOutOfFiles(error)) disk.fail(error)
      throw error
    }
  }

  /** Null where the name decides; a partition of which nobody can say now whose it is is out of use. */
  #topicIdIn(name: string): string | null {
    const { disk } = this.#options
    try {
      return readPartitionMetadata(disk, this.#pathOf(name))
    } catch (error) {
      const isOfAll = !(error instanceof DiskError) || disk.failure !== null || isOutOfFiles(error)
      if (isOfAll) throw error
      disk.failPartition(name, error)
      return null
    }
  }

  /** Whether anything of this name (`topic-partition`) lies here. Throws DiskError. */
  has(name: string): boolean {
    return this.#options.disk.exists(this.#pathOf(name))
  }

  /**
   * Renames a partition's directory out of the way at once; its files go after `delayMs`. That it is
   * gone is durable at the end of this turn, before a topic can be made again under its name. Throws DiskError.
   */
  remove(name: string, delayMs: Milliseconds): void {
    const doomed = this.#rename(name, '-delete')
    this.#options.logs.checkpointThisTurn()
    this.#options.environment.timers.after(delayMs, () => this.#removeTree(doomed))
  }

  /** Renames a partition's directory to Kafka's name for one that no topic knows; returns that. Throws DiskError. */
  setAside(name: string): string {
    return this.#rename(name, '-stray')
  }

  /** A name for the directory of a log that is to take the place of one elsewhere, and begins without a past. */
  futureName(topic: string, partition: number): string {
    const name = `${topic}-${partition}`
    this.#forget(name)
    return this.#uniqueName(name, futureSuffix)
  }

  /** A name for the directory of this name, which is to be removed. */
  doomedName(name: string): string {
    return this.#uniqueName(name, '-delete')
  }

  /**
   * The log in the directory of this name takes the place of the partition's, which is gone; durably. Throws
   * DiskError; where no file can be opened now all is as before.
   */
  promote(name: string): void {
    this.#options.disk.renameDurably(this.#pathOf(name), this.#pathOf(partitionNameOf(name)))
  }

  /**
   * The log of the partition `name` is another one in another directory now, and this one's directory is
   * called `doomed`: it goes after `delayMs`, when `close` has closed what is still open.
   */
  replaced(
    name: string,
    doomed: string,
    { delayMs, close }: { delayMs: Milliseconds; close: () => void },
  ): void {
    this.#forget(name)
    this.#options.logs.checkpointThisTurn()
    this.#options.environment.timers.after(delayMs, () => {
      close()
      this.#removeTree(doomed)
    })
  }

  /** Gives a partition's directory a unique name that ends with `suffix`, and forgets the old one. */
  #rename(name: string, suffix: string): string {
    const renamed = this.#uniqueName(name, suffix)
    this.#options.disk.rename(this.#pathOf(name), this.#pathOf(renamed))
    this.#forget(name)
    return renamed
  }

  /** The directory of this name is gone. */
  #forget(name: string): void {
    this.#options.disk.forgetPartition(name)
    const partitionName = partitionNameOf(name)
    // A log that was to take the place of one in the same directory has nothing of its own elsewhere.
    if (partitionName !== name && this.has(partitionName)) return
    this.#options.logs.forget(partitionName)
  }

  /** Nobody waits for it; what is left is removed when the log directory is opened next. */
  #removeTree(name: string): void {
    const { disk, path, environment } = this.#options
    if (disk.failure !== null) return
    disk.removeTree(this.#pathOf(name)).catch((err: unknown) => {
      const fields = { directory: path, name, err }
      environment.log.warn('a deleted partition could not be removed', fields)
    })
  }

  #uniqueName(name: string, suffix: string): string {
    return uniqueName(name, this.#options.environment.random.bytes(idBytes), suffix)
  }

  #pathOf(name: string): string {
    return `${this.#options.path}/${name}`
  }
}

/**
 * One entry of log.dirs: opened and locked, fenced when it fails, closed in good order. Which logs it holds
 * is said by `log-inventory.ts`, the directories they lie in are found, renamed and removed by
 * `partition-directories.ts`. Everything under it goes through one fenced disk: after an error of the device
 * nothing more is done here, after one that concerns a partition nothing more is done in that partition.
 *
 * The clean-shutdown file (`clean-shutdown.ts`) is taken when the directory is opened, and written only
 * where all that lies here is in order: every partition was closed well, after a clean shutdown before or
 * a check at this start.
 */
import { type Disk, DiskError, type DiskLock } from '../environment/disk.ts'
import type { Environment } from '../environment/environment.ts'
import { allInTurns } from '../environment/in-turns.ts'
import { parentOf } from './checkpoints.ts'
import { readCleanShutdown, removeCleanShutdown, writeCleanShutdown } from './clean-shutdown.ts'
import { FencedDisk } from './fenced-disk.ts'
import { LogInventory } from './log-inventory.ts'
import {
  hasMetaProperties,
  type MetaProperties,
  readMetaProperties,
  writeMetaProperties,
} from './meta-properties.ts'
import { isOutOfFiles, OutOfFilesLines } from './out-of-files.ts'
import { PartitionDirectories } from './partition-directories.ts'
import { metadataLogName, parseFutureName } from './partition-names.ts'

export interface LogDirectoryOptions {
  readonly environment: Environment
  readonly path: string
  /**
   * Runs once, with the error that fenced the directory after it was opened; every later operation
   * on it is refused with the same error.
   */
  readonly onFailure?: (directory: LogDirectory, error: DiskError) => void
  /** Why it cannot be used, if that was found out before. */
  readonly failure?: DiskError | undefined
}

/** Logs that are closed at a time: the device takes what several ask of it at once. */
const closedAtOnce = 64
/**
 * Where so many logs are to be made durable the file system is asked for all of itself first: one after
 * the other each of them makes it write down what it has allocated for the file, which takes a
 * millisecond.
 */
const writtenBackMin = 64

export class LogDirectory {
  readonly path: string
  /** The last process closed this directory in good order. */
  readonly isClean: boolean
  /** From the clean-shutdown file; -1 where unknown. */
  readonly cleanShutdownBrokerEpoch: number
  readonly logs: LogInventory
  readonly partitions: PartitionDirectories
  /** Runs once for each partition, by the name of its directory, that was fenced alone. */
  onPartitionFailure: ((name: string, error: Error) => void) | null = null
  readonly #environment: Environment
  readonly #disk: FencedDisk
  readonly #lock: DiskLock | null = null
  readonly #onFailure: LogDirectoryOptions['onFailure']
  /** See `metaProperties`. */
  #metaProperties: MetaProperties | null = null
  #isOpen = false
  #hasNewIdentity = false
  #closing: Promise<void> | null = null

  /**
   * Makes the directory if it is missing, and locks it. Throws DiskError ELOCKED if it is in use, and where
   * no file can be opened now; Error for `meta.properties` that make no sense. Where anything else fails, the
   * directory is there with `failure`.
   */
  static open(options: LogDirectoryOptions): LogDirectory {
    return new LogDirectory(options)
  }

  private constructor({ environment, path, onFailure, failure }: LogDirectoryOptions) {
    this.path = path
    this.#environment = environment
    this.#onFailure = onFailure
    const outOfFiles = new OutOfFilesLines(environment.log, environment.clock)
    this.#disk = new FencedDisk({
      disk: environment.disk,
      timers: environment.timers,
      root: path,
      onFailure: (error) => this.#failed(error),
      onPartitionFailure: (name, error) => this.#partitionFailed(name, error),
      onOutOfFiles: (error) => outOfFiles.tell(error, path),
    })
    this.logs = new LogInventory(environment, this.#disk, path)
    let cleanShutdown: number | null = null
    try {
      makeDurably(this.#disk, path)
      this.#lock = this.#disk.lock(path)
      if (failure !== undefined) throw failure
      this.#metaProperties = readMetaProperties(this.#disk, path)
      cleanShutdown = readCleanShutdown(this.#disk, path, environment.log)
      this.logs.load(cleanShutdown !== null)
      // What may not be possible now comes before: the next try finds the file, too.
      removeCleanShutdown(this.#disk, path)
    } catch (error) {
      if (!(error instanceof DiskError) || error.code === 'ELOCKED' || isOutOfFiles(error)) {
        this.#lock?.release()
        throw error
      }
      this.#disk.fail(error)
    }
    this.isClean = cleanShutdown !== null
    this.cleanShutdownBrokerEpoch = cleanShutdown ?? -1
    const { logs, isClean } = this
    this.partitions = new PartitionDirectories({
      environment,
      disk: this.#disk,
      path,
      logs,
      isClean,
    })
    this.#isOpen = true
  }

  /** The disk through which everything in the directory goes. */
  get disk(): Disk {
    return this.#disk
  }

  /** The error that fenced the directory, or null. */
  get failure(): DiskError | null {
    return this.#disk.failure
  }

  /** The broker stops: a sync for which no file can be opened does not wait any more, and fails. */
  stopWaiting(): void {
    this.#disk.stopWaiting()
  }

  /** Takes note of an error that `disk` itself did not meet, and gives it back, to be thrown. */
  noteError(error: DiskError): unknown {
    return this.#disk.noteErrorElsewhere(error)
  }

  /**
   * The partition whose directory has this name is damaged or cannot be used: it is fenced, and the
   * rest goes on.
   */
  failPartition(name: string, error: Error): void {
    this.#disk.failPartition(name, error)
  }

  /** As they were when the directory was opened, or were written since; null where there are none. */
  get metaProperties(): MetaProperties | null {
    return this.#metaProperties
  }

  writeMetaProperties(properties: MetaProperties): void {
    writeMetaProperties(this.#disk, this.path, properties)
    this.#metaProperties = properties
    this.#hasNewIdentity = true
  }

  /** It was given its identity by this process: nobody knows yet what lies in it. */
  get hasNewIdentity(): boolean {
    return this.#hasNewIdentity
  }

  /**
   * Closes all logs, writes checkpoints and the clean-shutdown file, unlocks. There is no such file
   * where anything failed, or was never checked after an unclean end. Idempotent. Never rejects.
   */
  close(brokerEpoch: number): Promise<void> {
    this.#closing ??= this.#close(brokerEpoch)
    return this.#closing
  }

  async #close(brokerEpoch: number): Promise<void> {
    this.stopWaiting()
    const failure = await this.#closeLogs()
    const { log } = this.#environment
    try {
      if (this.failure === null) this.#markClosed(brokerEpoch, failure !== null)
      if (failure !== null) throw failure.error
    } catch (err) {
      // A directory that failed has said so.
      if (this.failure === null) {
        log.error('log directory was not closed in good order', { directory: this.path, err })
      }
    }
    try {
      this.#lock?.release()
    } catch (err) {
      log.warn('log directory could not be unlocked', { directory: this.path, err })
    }
  }

  /** With what closing one failed, or null. */
  async #closeLogs(): Promise<{ readonly error: unknown } | null> {
    const logs = this.logs.open
    let failure: { readonly error: unknown } | null = null
    const fail = (error: unknown) => {
      failure ??= { error }
      return false
    }
    const written = await allInTurns(this.#environment, logs, (log) => log.writeOut().catch(fail))
    const isMuch = written.filter((isDirty) => isDirty).length >= writtenBackMin
    if (isMuch && this.failure === null) await this.#disk.writeBack(this.path)
    await allInTurns(this.#environment, logs, (log) => log.close().catch(fail), {
      atOnce: closedAtOnce,
    })
    return failure
  }

  #failed(error: DiskError): void {
    const { path } = this
    const fields = { directory: path, code: error.code, file: error.path, reason: error.message }
    const isFull = error.code === 'ENOSPC' || error.code === 'EDQUOT'
    const advice = isFull
      ? 'There is no room left: free some, and start the broker again; what was acknowledged is kept.'
      : 'Mend the disk, and start the broker again.'
    const { log } = this.#environment
    if (!this.#isOpen) log.error(`log directory ${path} cannot be used`, fields)
    else log.error(`log directory ${path} failed and is out of use. ${advice}`, fields)
    if (this.#isOpen) this.#onFailure?.(this, error)
  }

  #partitionFailed(name: string, error: Error): void {
    const isFuture = parseFutureName(name) !== null
    const message =
      name === metadataLogName || isFuture
        ? `the ${isFuture ? 'copy of a partition in another directory' : 'metadata log'} failed`
        : `partition ${name} failed and is offline until the next start; all others go on`
    const fields = { partition: name, directory: this.path, err: error }
    this.#environment.log.error(message, fields)
    this.onPartitionFailure?.(name, error)
  }

  #markClosed(brokerEpoch: number, hasFailed: boolean): void {
    this.logs.writeCheckpoints()
    if (hasFailed || !this.logs.isChecked || this.#disk.failedPartitions.size > 0) return
    const epoch = brokerEpoch === -1 ? this.cleanShutdownBrokerEpoch : brokerEpoch
    writeCleanShutdown(this.#disk, this.path, epoch)
  }
}

/**
 * Makes the directory and what it takes of its parents, so that all of them outlive a power loss: one after
 * the other, so that of a try that ended in the middle only the name of the last may not be durable.
 */
function makeDurably(disk: Disk, path: string): void {
  const missing: string[] = []
  let at = path
  for (; at.length > 1 && !disk.exists(at); at = parentOf(at)) missing.push(at)
  // Where there is an identity, an earlier start came further than this.
  if (!hasMetaProperties(disk, path)) syncIfAllowed(disk, parentOf(at))
  for (const directory of missing.reverse()) {
    disk.makeDirectory(directory)
    disk.syncDirectory(parentOf(directory))
  }
  disk.makeDirectory(path)
}

/** What somebody else made may lie where this user reads nothing. */
function syncIfAllowed(disk: Disk, directory: string): void {
  try {
    disk.syncDirectory(directory)
  } catch (error) {
    const isRefused = error instanceof DiskError && ['EACCES', 'EPERM'].includes(error.code)
    if (!isRefused) throw error
  }
}

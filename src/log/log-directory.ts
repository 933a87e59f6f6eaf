/**
 * One entry of log.dirs: the files that stand beside the partitions' directories (`.lock`,
 * `meta.properties`, the offset checkpoints, `.kafka_cleanshutdown`) and the logs open here.
 * Everything under it goes through one fenced disk: after an error of the device nothing more is
 * done here, after one that concerns a partition nothing more is done in that partition.
 *
 * The clean-shutdown file (`clean-shutdown.ts`) is taken when the directory is opened, and written only
 * where all that lies here is in order: every partition was closed well, after a clean shutdown before or
 * a check at this start.
 */
import { type Disk, type DiskEntry, DiskError, type DiskLock } from '../environment/disk.ts'
import type { Environment, Milliseconds } from '../environment/environment.ts'
import { allInTurns } from '../environment/in-turns.ts'
import { parentOf } from './checkpoints.ts'
import { readCleanShutdown, removeCleanShutdown, writeCleanShutdown } from './clean-shutdown.ts'
import { FencedDisk } from './fenced-disk.ts'
import {
  hasMetaProperties,
  type MetaProperties,
  readMetaProperties,
  writeMetaProperties,
} from './meta-properties.ts'
import { type CheckpointedOffsets, noOffsets, OffsetCheckpoints } from './offset-checkpoints.ts'
import { isOutOfFiles, OutOfFilesLines } from './out-of-files.ts'
import { readPartitionMetadata } from './partition-metadata.ts'
import {
  futureSuffix,
  idBytes,
  isPartitionName,
  metadataLogName,
  parseFutureName,
  parsePartitionName,
  partitionNameOf,
  uniqueName,
} from './partition-names.ts'

export type { CheckpointedOffsets, MetaProperties }

export interface LogDirectoryOptions {
  readonly environment: Environment
  readonly path: string
  /**
   * Runs once, with the error that fenced the directory after it was opened; every later operation
   * on it is refused with the same error.
   */
  readonly onFailure?: (directory: LogDirectory, error: DiskError) => void
}

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

/** A partition that the checkpoints know to have held records, without anything of its name here. */
export interface MissingPartition {
  readonly name: string
  readonly topic: string
  readonly partition: number
  /** Where its log ended, as far as the checkpoints know. */
  readonly endOffset: number
}

/** What the directory needs of a log that is open in it. */
export interface OpenLog extends CheckpointedOffsets {
  readonly topic: string
  readonly partition: number
  /** Hands the operating system what `close` makes durable; whether there is anything. */
  writeOut(): Promise<boolean>
  close(): Promise<void>
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
  /** Runs once for each partition, by the name of its directory, that was fenced alone. */
  onPartitionFailure: ((name: string, error: Error) => void) | null = null
  readonly #environment: Environment
  readonly #disk: FencedDisk
  readonly #checkpoints: OffsetCheckpoints | null = null
  readonly #lock: DiskLock | null = null
  readonly #onFailure: LogDirectoryOptions['onFailure']
  #isOpen = false
  #isCheckpointDue = false
  /** With what writing checkpoints failed last, said once. */
  #reportedCode: string | null = null
  #closing: Promise<void> | null = null
  readonly #logs = new Set<OpenLog>()
  /** After an unclean end: partitions that were not opened, and so not checked, since. */
  readonly #unchecked = new Set<string>()
  /** See `missing`. */
  readonly #missing = new Map<string, MissingPartition>()

  /**
   * Makes the directory if it is missing, and locks it. Throws DiskError ELOCKED if it is in use, and where
   * no file can be opened now; where anything else fails, the directory is there with `failure`.
   */
  static open(options: LogDirectoryOptions): LogDirectory {
    return new LogDirectory(options)
  }

  private constructor({ environment, path, onFailure }: LogDirectoryOptions) {
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
    let cleanShutdown: number | null = null
    try {
      makeDurably(this.#disk, path)
      this.#lock = this.#disk.lock(path)
      cleanShutdown = readCleanShutdown(this.#disk, path, environment.log)
      this.#checkpoints = new OffsetCheckpoints(this.#disk, path, environment.log)
      this.#listLogs(this.#checkpoints, cleanShutdown !== null)
      // What may not be possible now comes before: the next try finds the file, too.
      removeCleanShutdown(this.#disk, path)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      if (error.code === 'ELOCKED') throw error
      if (isOutOfFiles(error)) {
        this.#lock?.release()
        throw error
      }
      this.#disk.fail(error)
    }
    this.isClean = cleanShutdown !== null
    this.cleanShutdownBrokerEpoch = cleanShutdown ?? -1
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
    return this.#disk.noteError(error)
  }

  /**
   * The partition whose directory has this name is damaged or cannot be used: it is fenced, and the
   * rest goes on.
   */
  failPartition(name: string, error: Error): void {
    this.#disk.failPartition(name, error)
  }

  /** Null where there is no such file. Throws DiskError, and Error where it makes no sense. */
  readMetaProperties(): MetaProperties | null {
    return readMetaProperties(this.#disk, this.path)
  }

  writeMetaProperties(properties: MetaProperties): void {
    writeMetaProperties(this.#disk, this.path, properties)
  }

  /**
   * The partitions found here, sorted by name. What a deletion left behind is removed on the way;
   * other directories (`-stray`, the metadata log) are left alone. Throws DiskError, and is out of use then,
   * unless it is that no file can be opened now: what it holds would be missed, and begun anew.
   */
  partitions(): PartitionDirectory[] {
    const found: PartitionDirectory[] = []
    for (const { name, isDirectory } of this.#list()) {
      if (isDirectory && name.endsWith('-delete')) this.#removeTree(name)
      const current = parsePartitionName(name)
      const named = current ?? parseFutureName(name)
      if (named === null) continue
      // After a clean shutdown it is looked at when the log is opened, as all that is in there.
      const topicId = isDirectory && !this.isClean ? this.#topicIdIn(name) : null
      found.push({ name, ...named, isFuture: current === null, isDirectory, topicId })
    }
    return found
  }

  #list(): DiskEntry[] {
    try {
      return this.#disk.list(this.path)
    } catch (error) {
      if (error instanceof DiskError && !isOutOfFiles(error)) this.#disk.fail(error)
      throw error
    }
  }

  /** Null where the name decides; a partition of which nobody can say now whose it is is out of use. */
  #topicIdIn(name: string): string | null {
    const path = `${this.path}/${name}`
    try {
      return readPartitionMetadata(this.#disk, path)
    } catch (error) {
      const isOfAll = !(error instanceof DiskError) || this.failure !== null || isOutOfFiles(error)
      if (isOfAll) throw error
      this.failPartition(name, error)
      return null
    }
  }

  /**
   * After a clean shutdown: what was removed, or renamed, while nobody ran; opening such a log says what
   * is lost and goes on at its end. Until then only this process knows that end: after an end that is not
   * clean it may be a deletion that was not checkpointed any more, and its offsets are forgotten.
   */
  missing(): IterableIterator<MissingPartition> {
    return this.#missing.values()
  }

  /** Whether the log of this name is among them still. */
  isMissing(name: string): boolean {
    return this.#missing.has(name)
  }

  /** Nobody wants the log of this name back. */
  forgetMissing(name: string): void {
    if (this.#missing.delete(name)) this.#checkpoints?.forget(name)
  }

  /** Writes the recovery-point, log-start, high-watermark and cleaner checkpoints. Throws DiskError. */
  writeCheckpoints(): void {
    this.#noteLogs()
    this.#checkpoints?.writeNow()
  }

  /**
   * As `writeCheckpoints`, off the event loop; log starts, and what is compacted, are durable when it
   * resolves. Rejects with DiskError.
   */
  async checkpoint(): Promise<void> {
    this.#disk.check(null)
    this.#noteLogs()
    await this.#checkpoints?.write()
    this.#reportedCode = null
  }

  /**
   * As `writeCheckpoints`, once for all who ask in this turn: a log was cut below its recovery
   * point, and what is written there from now on must not pass for durable.
   */
  checkpointThisTurn(): void {
    if (this.#isCheckpointDue) return
    this.#isCheckpointDue = true
    this.#environment.timers.endOfTurn(() => {
      this.#isCheckpointDue = false
      if (this.failure !== null) return
      try {
        this.writeCheckpoints()
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
        this.reportCheckpointError(error)
      }
    })
  }

  /** A checkpoint could not be written. Where the device failed, the directory has said so already. */
  reportCheckpointError(err: unknown): void {
    const code = err instanceof DiskError ? err.code : ''
    if (this.failure !== null || code === this.#reportedCode) return
    this.#reportedCode = code
    this.#environment.log.error('a checkpoint file could not be written', {
      directory: this.path,
      err,
    })
  }

  /** Logs open here. */
  logs(): IterableIterator<OpenLog> {
    return this.#logs.values()
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
    const logs = [...this.#logs]
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

  /** What the checkpoints say of the log of this name (`topic-partition`), which is being opened. */
  offsetsOf(name: string): CheckpointedOffsets {
    this.#disk.check(name)
    this.#checkpoints?.reuse(name)
    return this.#checkpoints?.of(name) ?? noOffsets
  }

  /** A log was opened here, and is in order now. */
  register(log: OpenLog): void {
    this.#logs.add(log)
    this.#unchecked.delete(nameOf(log))
    this.#missing.delete(nameOf(log))
  }

  /** A log was closed; its offsets stay. */
  unregister(log: OpenLog): void {
    if (this.#logs.delete(log)) this.#checkpoints?.note(nameOf(log), log)
  }

  /**
   * Renames a partition's directory out of the way at once; its files go after `delayMs`. That it is
   * gone is durable at the end of this turn, before a topic can be made again under its name.
   */
  removePartition(name: string, delayMs: Milliseconds): void {
    const doomed = this.#rename(name, '-delete')
    this.checkpointThisTurn()
    this.#environment.timers.after(delayMs, () => this.#removeTree(doomed))
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
    this.#disk.renameDurably(`${this.path}/${name}`, `${this.path}/${partitionNameOf(name)}`)
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
    this.checkpointThisTurn()
    this.#environment.timers.after(delayMs, () => {
      close()
      this.#removeTree(doomed)
    })
  }

  /** Renames a partition's directory to Kafka's name for one that no topic knows; returns that. */
  setAside(name: string): string {
    return this.#rename(name, '-stray')
  }

  /** Whether anything of this name (`topic-partition`) lies here. */
  has(name: string): boolean {
    return this.#disk.exists(`${this.path}/${name}`)
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
    this.writeCheckpoints()
    if (hasFailed || this.#unchecked.size > 0 || this.#disk.failedPartitions.size > 0) return
    const epoch = brokerEpoch === -1 ? this.cleanShutdownBrokerEpoch : brokerEpoch
    writeCleanShutdown(this.#disk, this.path, epoch)
  }

  /** Forgets what is checkpointed and not here, and notes what must be checked. */
  #listLogs(checkpoints: OffsetCheckpoints, isClean: boolean): void {
    const names = new Set<string>()
    for (const { name: found, isDirectory } of this.#disk.list(this.path)) {
      const name = isDirectory ? partitionNameOf(found) : found
      names.add(name)
      const isLog = isDirectory && (name === metadataLogName || isPartitionName(name))
      if (isLog && !isClean) this.#unchecked.add(name)
    }
    for (const name of checkpoints.names())
      if (!names.has(name)) this.#miss(name, checkpoints, isClean)
  }

  #miss(name: string, checkpoints: OffsetCheckpoints, isClean: boolean): void {
    const named = parsePartitionName(name)
    const { recoveryPoint, highWatermark } = checkpoints.of(name)
    const endOffset = Math.max(recoveryPoint, highWatermark)
    if (named !== null && endOffset > 0) this.#missing.set(name, { name, ...named, endOffset })
    if (!isClean || !this.#missing.has(name)) checkpoints.forget(name)
  }

  #noteLogs(): void {
    for (const log of this.#logs) this.#checkpoints?.note(nameOf(log), log)
  }

  /** Gives a partition's directory a unique name that ends with `suffix`, and forgets the old one. */
  #rename(name: string, suffix: string): string {
    const renamed = this.#uniqueName(name, suffix)
    this.#disk.rename(`${this.path}/${name}`, `${this.path}/${renamed}`)
    this.#forget(name)
    return renamed
  }

  #uniqueName(name: string, suffix: string): string {
    return uniqueName(name, this.#environment.random.bytes(idBytes), suffix)
  }

  /** The directory of this name is gone. */
  #forget(name: string): void {
    this.#disk.forgetPartition(name)
    const partitionName = partitionNameOf(name)
    // A log that was to take the place of one in the same directory has nothing of its own elsewhere.
    if (partitionName !== name && this.has(partitionName)) return
    this.#unchecked.delete(partitionName)
    this.#checkpoints?.forget(partitionName)
  }

  /** Nobody waits for it; what is left is removed when the directory is opened next. */
  #removeTree(name: string): void {
    if (this.failure !== null) return
    this.#disk.removeTree(`${this.path}/${name}`).catch((error: unknown) => {
      const fields = { directory: this.path, name, err: error }
      this.#environment.log.warn('a deleted partition could not be removed', fields)
    })
  }
}

const nameOf = ({ topic, partition }: OpenLog): string => `${topic}-${partition}`

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

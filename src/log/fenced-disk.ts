/**
 * A disk that stops at its first failure. Whatever went wrong, nothing written afterwards could be
 * trusted to stand on what came before. How far that reaches depends on the error:
 *
 *     the device (EIO, ENOSPC, EROFS, …)            the whole directory is fenced
 *     a write, truncation or sync of one file       everything under that partition's directory is
 *     EIO where one of its files is read            the same: a sector is gone, the others may be there
 *     any other (EISDIR, EACCES, ENOENT, …)         nothing: whoever asked decides what it means
 *
 * From then on every operation there is refused with that same error, and the owner is told once.
 * Files can still be closed, and the directory of a partition can still be renamed.
 *
 * Where no file can be opened (EMFILE, ENFILE) nothing was tried yet: that is no failure, and who may wait,
 * does. What was opened and then failed is never tried again.
 */
import {
  type Disk,
  type DiskEntry,
  DiskError,
  type DiskFile,
  type DiskLock,
} from '../environment/disk.ts'
import type { Milliseconds, Timers } from '../environment/environment.ts'
import { isOutOfFiles } from './out-of-files.ts'
import { metadataLogName } from './partition-names.ts'

/** What is no matter of one file: the device, its file system, or the way to it. */
const deviceErrors = new Set([
  'EIO',
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'ENXIO',
  'ENODEV',
  'ESTALE',
  'EBADMSG',
  'ENOTCONN',
  'ETIMEDOUT',
  'EHOSTDOWN',
  'ESHUTDOWN',
])

/** Whether the error says that nothing on the device can be relied on. */
export const isDeviceError = (error: unknown): error is DiskError =>
  error instanceof DiskError &&
  // Errors for which libuv has no name come from the file system itself (EUCLEAN, EREMOTEIO).
  (deviceErrors.has(error.code) || error.code.startsWith('Unknown system error'))

/** Of these the device says that it cannot give back what it holds in one place. */
const isUnreadable = (error: unknown): error is DiskError =>
  error instanceof DiskError && (error.code === 'EIO' || error.code === 'EBADMSG')

/** Who waits for a file tries after so long, and twice as long each time, up to the second. */
const retryMsMin: Milliseconds = 20
const retryMsMax: Milliseconds = 1_000

export interface FencedDiskOptions {
  readonly disk: Disk
  readonly timers: Timers
  /** The log directory. */
  readonly root: string
  readonly onFailure: (error: DiskError) => void
  /** `name` is that of the partition's directory. */
  readonly onPartitionFailure: (name: string, error: Error) => void
  /** No file could be opened; nothing is fenced for that. */
  readonly onOutOfFiles: (error: DiskError) => void
}

export class FencedDisk implements Disk {
  /** The error that fenced the whole directory, or null. */
  failure: DiskError | null = null
  readonly #options: FencedDiskOptions
  readonly #disk: Disk
  readonly #partitions = new Map<string, Error>()
  /** Names right under the root were made, changed or removed, and may not be durable. */
  #hasNewNames = true
  #rootSync: Promise<void> | null = null
  #isWaitedFor = true

  constructor(options: FencedDiskOptions) {
    this.#options = options
    this.#disk = options.disk
  }

  /** Partitions that were fenced alone, with the reason. */
  get failedPartitions(): ReadonlyMap<string, Error> {
    return this.#partitions
  }

  /** Fences the whole directory. */
  fail(error: DiskError): void {
    if (this.failure !== null) return
    this.failure = error
    this.#options.onFailure(error)
  }

  /** Fences one partition, unless the whole directory is fenced anyway. */
  failPartition(name: string, error: Error): void {
    if (this.failure !== null || this.#partitions.has(name)) return
    this.#partitions.set(name, error)
    this.#options.onPartitionFailure(name, error)
  }

  /** The directory of this name is gone; another of its name begins without a past. */
  forgetPartition(name: string): void {
    this.#partitions.delete(name)
  }

  /** From now on nobody waits until a file can be opened; who does, learns that it cannot. */
  stopWaiting(): void {
    this.#isWaitedFor = false
  }

  /** Throws the error that fenced the directory, or the partition (null: none). */
  check(partition: string | null): void {
    if (this.failure !== null) throw this.failure
    if (partition === null || this.#partitions.size === 0) return
    const failure = this.#partitions.get(partition)
    if (failure !== undefined) throw failure
  }

  /** Takes note of an error of the disk underneath and gives it back, to be thrown. */
  noteError(error: unknown): unknown {
    if (isDeviceError(error)) this.fail(error)
    else if (isOutOfFiles(error)) this.#options.onOutOfFiles(error)
    return error
  }

  /**
   * As `noteError`, of reading what lies in the directory of a partition. Without the metadata log nothing
   * goes on in any case.
   */
  noteReadError(error: unknown, partition: string | null): unknown {
    const isOfPartition = partition !== null && partition !== metadataLogName
    if (!isOfPartition || !isUnreadable(error)) return this.noteError(error)
    this.failPartition(partition, error)
    return error
  }

  /** As `noteReadError`, of an error that this disk did not meet itself, as its path says. */
  noteErrorElsewhere(error: DiskError): unknown {
    return this.noteReadError(error, this.#partitionOf(error.path))
  }

  /** As `noteError`, of an operation after which the file may hold anything. */
  noteWriteError(error: unknown, partition: string | null): unknown {
    this.noteError(error)
    if (partition !== null && error instanceof DiskError) this.failPartition(partition, error)
    return error
  }

  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile {
    const open = () => new FencedFile(this.#disk.open(path, mode), this, this.#partitionOf(path))
    if (mode === 'read') return this.#look(path, open)
    if (mode === 'create') this.#noteName(path)
    return this.#run(path, open)
  }

  openWhenPossible<T>(path: string, open: () => T): Promise<T> {
    return this.#whenPossible(this.#partitionOf(path), open)
  }

  readFile(path: string): Buffer {
    return this.#look(path, () => this.#disk.readFile(path))
  }

  list(path: string): DiskEntry[] {
    return this.#look(`${path}/`, () => this.#disk.list(path))
  }

  exists(path: string): boolean {
    return this.#look(path, () => this.#disk.exists(path))
  }

  stat(path: string): { size: number; modifiedMs: number; isDirectory: boolean } {
    return this.#look(path, () => this.#disk.stat(path))
  }

  makeDirectory(path: string): void {
    this.#noteName(path)
    this.#run(path, () => this.#disk.makeDirectory(path))
  }

  rename(from: string, to: string): void {
    this.#noteName(from)
    this.#noteName(to)
    this.#run(from, () => this.#disk.rename(from, to))
  }

  renameDurably(from: string, to: string): void {
    this.#noteName(from)
    this.#noteName(to)
    this.#run(from, () => this.#disk.renameDurably(from, to))
  }

  remove(path: string): void {
    this.#noteName(path)
    this.#run(path, () => this.#disk.remove(path))
  }

  async removeTree(path: string): Promise<void> {
    this.check(this.#partitionOf(path))
    try {
      await this.#disk.removeTree(path)
    } catch (error) {
      throw this.noteError(error)
    } finally {
      this.#noteName(path)
    }
  }

  /** Very many partitions may want the root synced, one after the other: once is enough for all. */
  syncDirectory(path: string): void {
    const isRoot = path === this.#options.root
    const partition = isRoot ? null : this.#partitionOf(`${path}/`)
    this.check(partition)
    // What a sync under way covers is durable no sooner than that is done.
    if (isRoot && !this.#hasNewNames && this.#rootSync === null) return
    try {
      this.#disk.syncDirectory(path)
      if (isRoot) this.#hasNewNames = false
    } catch (error) {
      throw this.#noteSyncError(error, partition)
    }
  }

  async syncDirectoryAsync(path: string): Promise<void> {
    if (path === this.#options.root) return this.#syncRoot()
    const partition = this.#partitionOf(`${path}/`)
    await this.#whenPossible(partition, async () => {
      try {
        await this.#disk.syncDirectoryAsync(path)
      } catch (error) {
        throw this.#noteSyncError(error, partition)
      }
    })
    this.check(partition)
  }

  /** As for `syncDirectory`, once is enough for all; the names that are made meanwhile are the next one's. */
  async #syncRoot(): Promise<void> {
    while (this.#hasNewNames || this.#rootSync !== null) {
      this.check(null)
      if (this.#rootSync === null) {
        this.#rootSync = this.#whenPossible(null, () => this.#trySyncRoot()).finally(() => {
          this.#rootSync = null
        })
      }
      await this.#rootSync
    }
    this.check(null)
  }

  async #trySyncRoot(): Promise<void> {
    this.#hasNewNames = false
    try {
      await this.#disk.syncDirectoryAsync(this.#options.root)
    } catch (error) {
      this.#hasNewNames = true
      throw this.noteError(error)
    }
  }

  writeBack(path: string): Promise<void> {
    return this.#disk.writeBack(path)
  }

  capacity(path: string): { totalBytes: number; usableBytes: number } {
    return this.#run(path, () => this.#disk.capacity(path))
  }

  lock(path: string): DiskLock {
    return this.#run(path, () => this.#disk.lock(path))
  }

  /** A directory is opened to be synced: what could not be has not failed. */
  #noteSyncError(error: unknown, partition: string | null): unknown {
    return isOutOfFiles(error) ? this.noteError(error) : this.noteWriteError(error, partition)
  }

  async #whenPossible<T>(partition: string | null, open: () => T | Promise<T>): Promise<T> {
    for (let delayMs = retryMsMin; ; delayMs = Math.min(2 * delayMs, retryMsMax)) {
      // Out of the reach of `catch`: what fenced it may have had this code as well.
      this.check(partition)
      try {
        return await open()
      } catch (error) {
        if (!isOutOfFiles(error) || !this.#isWaitedFor) throw error
      }
      await new Promise<void>((resolve) => void this.#options.timers.after(delayMs, resolve))
    }
  }

  #noteName(path: string): void {
    if (path.lastIndexOf('/') === this.#options.root.length) this.#hasNewNames = true
  }

  #run<T>(path: string, operation: () => T): T {
    this.check(this.#partitions.size === 0 ? null : this.#partitionOf(path))
    try {
      return operation()
    } catch (error) {
      throw this.noteError(error)
    }
  }

  /** As `#run`, where nothing is changed. */
  #look<T>(path: string, operation: () => T): T {
    const partition = this.#partitionOf(path)
    this.check(partition)
    try {
      return operation()
    } catch (error) {
      throw this.noteReadError(error, partition)
    }
  }

  /** The directory right under the root in which `path` lies; null for what lies in the root itself. */
  #partitionOf(path: string): string | null {
    const { root } = this.#options
    const end = path.indexOf('/', root.length + 1)
    return path.startsWith(root) && end > 0 ? path.slice(root.length + 1, end) : null
  }
}

class FencedFile implements DiskFile {
  readonly path: string
  readonly #file: DiskFile
  readonly #disk: FencedDisk
  readonly #partition: string | null
  #isClosed = false

  constructor(file: DiskFile, disk: FencedDisk, partition: string | null) {
    this.path = file.path
    this.#file = file
    this.#disk = disk
    this.#partition = partition
  }

  size(): number {
    this.#disk.check(this.#partition)
    try {
      return this.#file.size()
    } catch (error) {
      throw this.#disk.noteReadError(error, this.#partition)
    }
  }

  read(target: Uint8Array, position: number): number {
    this.#disk.check(this.#partition)
    try {
      return this.#file.read(target, position)
    } catch (error) {
      throw this.#disk.noteReadError(error, this.#partition)
    }
  }

  async readAsync(target: Uint8Array, position: number): Promise<number> {
    this.#disk.check(this.#partition)
    try {
      return await this.#file.readAsync(target, position)
    } catch (error) {
      throw this.#disk.noteReadError(error, this.#partition)
    }
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    this.#disk.check(this.#partition)
    try {
      this.#file.write(chunks, position)
    } catch (error) {
      throw this.#noteWriteError(error)
    }
  }

  truncate(size: number): void {
    this.#disk.check(this.#partition)
    try {
      this.#file.truncate(size)
    } catch (error) {
      throw this.#noteWriteError(error)
    }
  }

  async sync(): Promise<void> {
    this.#disk.check(this.#partition)
    try {
      await this.#file.sync()
    } catch (error) {
      throw this.#noteWriteError(error)
    }
    if (!this.#isClosed) this.#disk.check(this.#partition)
  }

  syncNow(): void {
    this.#disk.check(this.#partition)
    try {
      this.#file.syncNow()
    } catch (error) {
      throw this.#noteWriteError(error)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#file.close()
  }

  /** What was closed was given up: only the device's own errors still matter. */
  #noteWriteError(error: unknown): unknown {
    if (this.#isClosed) return this.#disk.noteError(error)
    return this.#disk.noteWriteError(error, this.#partition)
  }
}

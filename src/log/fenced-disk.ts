/**
 * A disk that stops at its first error. Whatever went wrong, nothing written afterwards could be
 * trusted to stand on what came before, so from the first failed operation on every further one is
 * refused with that same error, and the owner is told once. A file that is not there and a lock
 * held by somebody else are answers, not failures. Files can still be closed.
 */
import {
  type Disk,
  type DiskEntry,
  DiskError,
  type DiskFile,
  type DiskLock,
} from '../environment/disk.ts'

const answers = new Set(['ENOENT', 'ELOCKED'])

export class FencedDisk implements Disk {
  /** The error that fenced the disk, or null. */
  failure: DiskError | null = null
  readonly #disk: Disk
  readonly #onFailure: (error: DiskError) => void

  constructor(disk: Disk, onFailure: (error: DiskError) => void) {
    this.#disk = disk
    this.#onFailure = onFailure
  }

  /** Throws the error that fenced the disk, if there was one. */
  check(): void {
    if (this.failure !== null) throw this.failure
  }

  /** Takes note of an error of the disk underneath and gives it back, to be thrown. */
  noteError(error: unknown): unknown {
    if (error instanceof DiskError && !answers.has(error.code) && this.failure === null) {
      this.failure = error
      this.#onFailure(error)
    }
    return error
  }

  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile {
    return this.#run(() => new FencedFile(this.#disk.open(path, mode), this))
  }

  readFile(path: string): Buffer {
    return this.#run(() => this.#disk.readFile(path))
  }

  list(path: string): DiskEntry[] {
    return this.#run(() => this.#disk.list(path))
  }

  exists(path: string): boolean {
    return this.#run(() => this.#disk.exists(path))
  }

  stat(path: string): { size: number; modifiedMs: number; isDirectory: boolean } {
    return this.#run(() => this.#disk.stat(path))
  }

  makeDirectory(path: string): void {
    this.#run(() => this.#disk.makeDirectory(path))
  }

  rename(from: string, to: string): void {
    this.#run(() => this.#disk.rename(from, to))
  }

  remove(path: string): void {
    this.#run(() => this.#disk.remove(path))
  }

  async removeTree(path: string): Promise<void> {
    this.check()
    try {
      await this.#disk.removeTree(path)
    } catch (error) {
      throw this.noteError(error)
    }
  }

  syncDirectory(path: string): void {
    this.#run(() => this.#disk.syncDirectory(path))
  }

  capacity(path: string): { totalBytes: number; usableBytes: number } {
    return this.#run(() => this.#disk.capacity(path))
  }

  lock(path: string): DiskLock {
    return this.#run(() => this.#disk.lock(path))
  }

  #run<T>(operation: () => T): T {
    this.check()
    try {
      return operation()
    } catch (error) {
      throw this.noteError(error)
    }
  }
}

class FencedFile implements DiskFile {
  readonly path: string
  readonly #file: DiskFile
  readonly #disk: FencedDisk

  constructor(file: DiskFile, disk: FencedDisk) {
    this.path = file.path
    this.#file = file
    this.#disk = disk
  }

  size(): number {
    this.#disk.check()
    try {
      return this.#file.size()
    } catch (error) {
      throw this.#disk.noteError(error)
    }
  }

  read(target: Uint8Array, position: number): number {
    this.#disk.check()
    try {
      return this.#file.read(target, position)
    } catch (error) {
      throw this.#disk.noteError(error)
    }
  }

  async readAsync(target: Uint8Array, position: number): Promise<number> {
    this.#disk.check()
    try {
      return await this.#file.readAsync(target, position)
    } catch (error) {
      throw this.#disk.noteError(error)
    }
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    this.#disk.check()
    try {
      this.#file.write(chunks, position)
    } catch (error) {
      throw this.#disk.noteError(error)
    }
  }

  truncate(size: number): void {
    this.#disk.check()
    try {
      this.#file.truncate(size)
    } catch (error) {
      throw this.#disk.noteError(error)
    }
  }

  async sync(): Promise<void> {
    this.#disk.check()
    try {
      await this.#file.sync()
    } catch (error) {
      throw this.#disk.noteError(error)
    }
    this.#disk.check()
  }

  syncNow(): void {
    this.#disk.check()
    try {
      this.#file.syncNow()
    } catch (error) {
      throw this.#disk.noteError(error)
    }
  }

  close(): void {
    this.#file.close()
  }
}

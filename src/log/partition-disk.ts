/**
 * The disk as one log sees it: its directory has the same path all its life, `<log dir>/<topic>-<partition>`,
 * whatever its name is on the device. That differs while the log grows beside the one whose place it is to
 * take (`<topic>-<partition>.<id>-future`), and after another one took its own (`….<id>-delete`), when those
 * who are still reading come to their end.
 */
import type { Disk, DiskEntry, DiskFile, DiskLock } from '../environment/disk.ts'

export class PartitionDisk implements Disk {
  readonly #disk: Disk
  readonly #root: string
  /** What the log takes for the path of its directory. */
  readonly #path: string
  #name: string

  /** `name`: of the partition's directory in the log directory, where it is not `topicPartition`. */
  constructor(
    logDirectory: { readonly disk: Disk; readonly path: string },
    topicPartition: string,
    name: string = topicPartition,
  ) {
    this.#disk = logDirectory.disk
    this.#root = logDirectory.path
    this.#path = `${this.#root}/${topicPartition}`
    this.#name = name
  }

  /** Of the partition's directory on the device. */
  get name(): string {
    return this.#name
  }

  /** Gives the directory another name, durably. Throws DiskError; where no file can be opened it has the old one. */
  renameTo(name: string): void {
    this.#disk.renameDurably(this.#actual(this.#path), `${this.#root}/${name}`)
    this.#name = name
  }

  /** As `renameTo`; it is durable once the log directory is synced. */
  renameUnsynced(name: string): void {
    this.#disk.rename(this.#actual(this.#path), `${this.#root}/${name}`)
    this.#name = name
  }

  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile {
    return this.#disk.open(this.#actual(path), mode)
  }

  openWhenPossible<T>(path: string, open: () => T): Promise<T> {
    return this.#disk.openWhenPossible(this.#actual(path), open)
  }

  readFile(path: string): Buffer {
    return this.#disk.readFile(this.#actual(path))
  }

  list(path: string): DiskEntry[] {
    return this.#disk.list(this.#actual(path))
  }

  exists(path: string): boolean {
    return this.#disk.exists(this.#actual(path))
  }

  stat(path: string): { size: number; modifiedMs: number; isDirectory: boolean } {
    return this.#disk.stat(this.#actual(path))
  }

  makeDirectory(path: string): void {
    this.#disk.makeDirectory(this.#actual(path))
  }

  rename(from: string, to: string): void {
    this.#disk.rename(this.#actual(from), this.#actual(to))
  }

  renameDurably(from: string, to: string): void {
    this.#disk.renameDurably(this.#actual(from), this.#actual(to))
  }

  remove(path: string): void {
    this.#disk.remove(this.#actual(path))
  }

  removeTree(path: string): Promise<void> {
    return this.#disk.removeTree(this.#actual(path))
  }

  syncDirectory(path: string): void {
    this.#disk.syncDirectory(this.#actual(path))
  }

  syncDirectoryAsync(path: string): Promise<void> {
    return this.#disk.syncDirectoryAsync(this.#actual(path))
  }

  writeBack(path: string): Promise<void> {
    return this.#disk.writeBack(this.#actual(path))
  }

  capacity(path: string): { totalBytes: number; usableBytes: number } {
    return this.#disk.capacity(this.#actual(path))
  }

  lock(path: string): DiskLock {
    return this.#disk.lock(this.#actual(path))
  }

  #actual(path: string): string {
    const isWithin = path === this.#path || path.startsWith(`${this.#path}/`)
    return isWithin ? `${this.#root}/${this.#name}${path.slice(this.#path.length)}` : path
  }
}

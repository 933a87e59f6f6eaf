/**
 * The disk, as the core sees it. Names are absolute paths.
 *
 * Appending to a file hands bytes to the operating system and is synchronous: into the page cache it
 * costs a few microseconds, less than a trip through a thread pool, and it keeps "written" a plain
 * statement instead of a state. Whatever really waits for a device (`sync`, cold reads) is a promise.
 * Every method throws (or rejects with) `DiskError`.
 */
export class DiskError extends Error {
  /** The operating system's name of the error: ENOSPC, EIO, ENOENT, … */
  readonly code: string
  readonly path: string
  constructor(code: string, path: string, options?: { message?: string; cause?: unknown }) {
    super(options?.message ?? `${code}: ${path}`, { cause: options?.cause })
    this.name = 'DiskError'
    this.code = code
    this.path = path
  }
}

/** Says of a file that somebody named why it cannot be read, from what reading it threw. */
export function unreadable(path: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  const why = new Map([
    ['ENOENT', 'there is no such file'],
    ['EACCES', 'it may not be read by this user'],
    ['EISDIR', 'it is a directory'],
    ['ENOTDIR', 'a part of the path is no directory'],
  ])
  return `cannot read ${path}: ${why.get(code ?? '') ?? message}`
}

/** The text of a file that somebody named. Throws an Error that tells them why it cannot be read. */
export function namedText(disk: Pick<Disk, 'readFile'>, path: string): string {
  try {
    return disk.readFile(path).toString()
  } catch (error) {
    throw new Error(unreadable(path, error), { cause: error })
  }
}

export interface DiskEntry {
  readonly name: string
  readonly isDirectory: boolean
}

export interface Disk {
  /**
   * Opens a file. `read`: must exist. `write`: read and write, must exist. `create`: read and write,
   * made if missing, never truncated.
   */
  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile
  /**
   * Runs `open`, which opens a file at `path`, for somebody who can wait, and gives what it gives: a disk
   * may run it again and again while the process can open no more files. Rejects with what it throws.
   */
  openWhenPossible<T>(path: string, open: () => T): Promise<T>
  /** The whole file. */
  readFile(path: string): Buffer
  /** The entries of a directory, sorted by name. ENOENT if there is none. */
  list(path: string): DiskEntry[]
  /** Throws where that cannot be found out. */
  exists(path: string): boolean
  /** Bytes in the file, and when it was last modified. */
  stat(path: string): { size: number; modifiedMs: number; isDirectory: boolean }
  /** Makes the directory and its parents; nothing happens if it exists. */
  makeDirectory(path: string): void
  /** Atomic; replaces a file of the new name. */
  rename(from: string, to: string): void
  /**
   * As `rename`, within a directory, and `syncDirectory` of that. Where the process can open no more files
   * (EMFILE, ENFILE) the name is the old one: half of it, a loss of power would find later.
   */
  renameDurably(from: string, to: string): void
  /** Removes a file; nothing happens if there is none. */
  remove(path: string): void
  /** Removes a directory and all in it; nothing happens if there is none. */
  removeTree(path: string): Promise<void>
  /** Makes the names in a directory durable (a no-op where the platform cannot, as on Windows). */
  syncDirectory(path: string): void
  /** As `syncDirectory`, off the event loop, for the names that are there when it is called. */
  syncDirectoryAsync(path: string): Promise<void>
  /**
   * Has the operating system write all that waits to be written to the file system of `path`, in one go,
   * where it can be asked to: the syncs that follow have little left to do. Promises nothing, and never
   * rejects.
   */
  writeBack(path: string): Promise<void>
  /** Bytes of the file system that holds `path`. */
  capacity(path: string): { totalBytes: number; usableBytes: number }
  /**
   * Takes the directory for this process; the lock is gone with the process, however it ends.
   * Throws DiskError with code ELOCKED and a message that names the holder if another living process has it.
   */
  lock(path: string): DiskLock
}

export interface DiskLock {
  release(): void
}

export interface DiskFile {
  readonly path: string
  /** Bytes. */
  size(): number
  /** Fills `target` from `position`; returns the bytes read, fewer only at the end of the file. */
  read(target: Uint8Array, position: number): number
  /** As `read`, off the event loop: for data that is probably not in memory. */
  readAsync(target: Uint8Array, position: number): Promise<number>
  /** Writes all chunks one after another at `position`; all bytes are handed to the OS when it returns. */
  write(chunks: readonly Uint8Array[], position: number): void
  truncate(size: number): void
  /**
   * Makes content durable (fdatasync). If it fails, what was written since the last good sync must be
   * taken for lost: never call it again hoping for better.
   */
  sync(): Promise<void>
  /** As `sync`, blocking: for start, stop and small files. */
  syncNow(): void
  close(): void
}

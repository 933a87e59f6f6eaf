/**
 * The disk of the operating system, by the synchronous calls of `node:fs`; what waits for a device goes
 * through the thread pool. A file closes once the last asynchronous call on it has ended: its number
 * could otherwise be another file's by then.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { type Disk, type DiskEntry, DiskError, type DiskFile, type DiskLock } from '../disk.ts'
import { lockDirectory } from './directory-lock.ts'

/** Chunks that one `writev` may take: IOV_MAX of Linux and macOS. */
const chunksPerWriteMax = 1024

const writeBackMsMaxDefault = 5_000

/** A pipe in the place of a file has no other end for which a broker would wait. Windows has no such flag. */
const withoutWaiting = fs.constants.O_NONBLOCK ?? 0

export interface NodeDiskOptions {
  /** What waits for a device waits in the calling thread, which has nothing else to do. */
  readonly mayBlock?: boolean
  /** So long at most others are waited for that left much to be written to the same file system. */
  readonly writeBackMsMax?: number
}

export class NodeDisk implements Disk {
  readonly #mayBlock: boolean
  readonly #writeBackMsMax: number

  constructor({ mayBlock = false, writeBackMsMax = writeBackMsMaxDefault }: NodeDiskOptions = {}) {
    this.#mayBlock = mayBlock
    this.#writeBackMsMax = writeBackMsMax
  }

  open(filePath: string, mode: 'read' | 'write' | 'create'): DiskFile {
    const flags =
      mode === 'read'
        ? fs.constants.O_RDONLY
        : mode === 'write'
          ? fs.constants.O_RDWR
          : fs.constants.O_RDWR | fs.constants.O_CREAT
    return attempt(filePath, () => {
      const descriptor = fs.openSync(filePath, flags | withoutWaiting, 0o644)
      if (this.#mayBlock) return new BlockingFile(filePath, descriptor)
      return new NodeFile(filePath, descriptor)
    })
  }

  async openWhenPossible<T>(_path: string, open: () => T): Promise<T> {
    return open()
  }

  readFile(filePath: string): Buffer {
    return attempt(filePath, () => {
      const descriptor = fs.openSync(filePath, fs.constants.O_RDONLY | withoutWaiting)
      try {
        return fs.readFileSync(descriptor)
      } finally {
        fs.closeSync(descriptor)
      }
    })
  }

  list(directory: string): DiskEntry[] {
    return attempt(directory, () =>
      fs
        .readdirSync(directory, { withFileTypes: true })
        .map((entry) => ({ name: entry.name, isDirectory: isDirectory(directory, entry) }))
        .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)),
    )
  }

  exists(filePath: string): boolean {
    return attempt(filePath, () => finds(() => fs.statSync(filePath, { throwIfNoEntry: false })))
  }

  stat(filePath: string): { size: number; modifiedMs: number; isDirectory: boolean } {
    return attempt(filePath, () => {
      const stat = fs.statSync(filePath)
      return {
        size: stat.size,
        modifiedMs: Math.floor(stat.mtimeMs),
        isDirectory: stat.isDirectory(),
      }
    })
  }

  makeDirectory(directory: string): void {
    attempt(directory, () => makeWithParents(directory))
  }

  rename(from: string, to: string): void {
    attempt(from, () => fs.renameSync(from, to))
  }

  renameDurably(from: string, to: string): void {
    inDirectory(path.dirname(to), () => this.rename(from, to))
  }

  remove(filePath: string): void {
    attempt(filePath, () => {
      // A link that leads nowhere has a name as well.
      if (finds(() => fs.lstatSync(filePath, { throwIfNoEntry: false }))) fs.unlinkSync(filePath)
    })
  }

  async removeTree(directory: string): Promise<void> {
    try {
      await fs.promises.rm(directory, { recursive: true, force: true })
    } catch (error) {
      throw diskError(directory, error)
    }
  }

  syncDirectory(directory: string): void {
    inDirectory(directory, () => {})
  }

  syncDirectoryAsync(directory: string): Promise<void> {
    if (process.platform === 'win32') return Promise.resolve()
    return new Promise((resolve, reject) => {
      const descriptor = attempt(directory, () => fs.openSync(directory, fs.constants.O_RDONLY))
      fs.fsync(descriptor, (error) => {
        fs.closeSync(descriptor)
        if (error === null) resolve()
        else reject(diskError(directory, error))
      })
    })
  }

  writeBack(directory: string): Promise<void> {
    // Elsewhere nobody can be asked for one file system.
    if (process.platform !== 'linux') return Promise.resolve()
    return new Promise((resolve) => {
      const child = startIfPossible('sync', ['-f', directory])
      if (child === null) return resolve()
      const timer = setTimeout(() => {
        child.kill()
        resolve()
      }, this.#writeBackMsMax)
      const end = () => {
        clearTimeout(timer)
        resolve()
      }
      child.once('error', end)
      child.once('exit', end)
      child.unref()
    })
  }

  capacity(directory: string): { totalBytes: number; usableBytes: number } {
    return attempt(directory, () => {
      const { bsize, blocks, bavail } = fs.statfsSync(directory)
      return { totalBytes: blocks * bsize, usableBytes: bavail * bsize }
    })
  }

  lock(directory: string): DiskLock {
    return attempt(directory, () => lockDirectory(path.resolve(directory)))
  }
}

/** Makes durable what `change` makes of the names in a directory, which is open before anything is changed. */
function inDirectory(directory: string, change: () => void): void {
  // Windows opens no directories as files; its file systems keep names in their own journal.
  if (process.platform === 'win32') {
    change()
    return
  }
  attempt(directory, () => {
    const descriptor = fs.openSync(directory, fs.constants.O_RDONLY)
    try {
      change()
      fs.fsyncSync(descriptor)
    } finally {
      fs.closeSync(descriptor)
    }
  })
}

/** Null where the system refuses; what it refuses later is an event of the process. */
function startIfPossible(command: string, parameters: readonly string[]): ChildProcess | null {
  try {
    return spawn(command, parameters, { stdio: 'ignore' })
  } catch {
    // No memory, or not allowed: what is not asked for is not done.
    return null
  }
}

/** Whether a name is that of a directory, or of a link to one. */
function isDirectory(directory: string, entry: fs.Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  try {
    return fs.statSync(path.join(directory, entry.name)).isDirectory()
  } catch {
    // The link leads nowhere.
    return false
  }
}

/** Node's own recursion never ends where a parent exists and takes no names, as /proc. */
function makeWithParents(directory: string): void {
  const missing: string[] = []
  for (let at = path.resolve(directory); !fs.existsSync(at); at = path.dirname(at)) missing.push(at)
  for (const one of missing.reverse()) {
    try {
      fs.mkdirSync(one)
    } catch (error) {
      // Another process may have made it in between.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
  if (fs.statSync(directory).isDirectory()) return
  const message = `ENOTDIR: not a directory, '${directory}'`
  throw new DiskError('ENOTDIR', directory, { message })
}

class NodeFile implements DiskFile {
  readonly path: string
  readonly #descriptor: number
  #inFlight = 0
  #isClosed = false

  constructor(filePath: string, descriptor: number) {
    this.path = filePath
    this.#descriptor = descriptor
  }

  size(): number {
    return attempt(this.path, () => fs.fstatSync(this.#open()).size)
  }

  read(target: Uint8Array, position: number): number {
    return attempt(this.path, () => {
      let filled = 0
      while (filled < target.length) {
        const wanted = target.length - filled
        const bytes = fs.readSync(this.#open(), target, filled, wanted, position + filled)
        if (bytes === 0) break
        filled += bytes
      }
      return filled
    })
  }

  readAsync(target: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const descriptor = attempt(this.path, () => this.#open())
      this.#inFlight++
      let filled = 0
      const readOn = (): void => {
        const wanted = target.length - filled
        fs.read(descriptor, target, filled, wanted, position + filled, (error, bytes) => {
          filled += bytes ?? 0
          if (error === null && bytes > 0 && filled < target.length) return readOn()
          this.#landed()
          if (error === null) resolve(filled)
          else reject(diskError(this.path, error))
        })
      }
      readOn()
    })
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    try {
      const descriptor = this.#open()
      if (chunks.length === 1) writeWhole(descriptor, chunks[0] as Uint8Array, position)
      else writeAll(descriptor, chunks, position)
    } catch (error) {
      throw diskError(this.path, error)
    }
  }

  truncate(size: number): void {
    attempt(this.path, () => fs.ftruncateSync(this.#open(), size))
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      const descriptor = attempt(this.path, () => this.#open())
      this.#inFlight++
      fs.fdatasync(descriptor, (error) => {
        this.#landed()
        if (error === null) resolve()
        else reject(diskError(this.path, error))
      })
    })
  }

  syncNow(): void {
    attempt(this.path, () => fs.fdatasyncSync(this.#open()))
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#inFlight === 0) attempt(this.path, () => fs.closeSync(this.#descriptor))
  }

  #open(): number {
    if (this.#isClosed) throw new DiskError('EBADF', this.path)
    return this.#descriptor
  }

  #landed(): void {
    this.#inFlight--
    // Nobody is left to hear of an error of a file that was given up.
    if (this.#inFlight === 0 && this.#isClosed) fs.close(this.#descriptor)
  }
}

/** One whose every call waits until it is done. */
class BlockingFile extends NodeFile {
  override async readAsync(target: Uint8Array, position: number): Promise<number> {
    return this.read(target, position)
  }

  override async sync(): Promise<void> {
    this.syncNow()
  }
}

function writeWhole(descriptor: number, chunk: Uint8Array, position: number): void {
  let written = 0
  while (written < chunk.length) {
    const rest = chunk.length - written
    written += fs.writeSync(descriptor, chunk, written, rest, position + written)
  }
}

/** Writes the chunks by `writev`; where one took only a part, the cut chunk's rest goes by itself. */
function writeAll(descriptor: number, chunks: readonly Uint8Array[], position: number): void {
  let at = position
  for (let first = 0; first < chunks.length; ) {
    const some =
      first === 0 && chunks.length <= chunksPerWriteMax
        ? chunks
        : chunks.slice(first, first + chunksPerWriteMax)
    let written = fs.writevSync(descriptor, some as Uint8Array[], at)
    at += written
    for (; written > 0; first++) {
      const chunk = chunks[first] as Uint8Array
      if (written < chunk.length) {
        writeWhole(descriptor, chunk.subarray(written), at)
        at += chunk.length - written
        written = chunk.length
      }
      written -= chunk.length
    }
    while (chunks[first]?.length === 0) first++
  }
}

/**
 * Whether a look at a path finds anything. One that leads nowhere does not; what cannot be looked at is not
 * missing: something else would be put in its place.
 */
function finds(look: () => unknown): boolean {
  try {
    return look() !== undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOTDIR' || code === 'ELOOP') return false
    throw error
  }
}

function attempt<T>(filePath: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw diskError(filePath, error)
  }
}

function diskError(filePath: string, error: unknown): DiskError {
  if (error instanceof DiskError) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code === undefined) throw error
  return new DiskError(code, filePath, { message, cause: error })
}

/**
 * A disk in memory that knows what is durable. Each file keeps, beside its bytes, how to undo every
 * write since its last sync; each directory keeps the names that would be there after a power loss.
 *
 * `kill()` gives the disk as the next process finds it after the last one died: all that was written
 * is there, the locks are gone. `crash(random)` gives it as the next boot finds it: of what was not
 * synced the seeded random keeps nothing, a prefix, or single pages; names not synced with their
 * directory survive in the order in which they were made, up to a random point. Both leave this
 * instance dead: its former process reaches nothing any more.
 *
 * `fault` injects errors: give it the code to fail an operation with, or undefined to let it pass. A
 * write that fails may have written some of its bytes; a sync that fails loses what it should have
 * made durable, and a second one does not bring it back.
 */
import {
  type Disk,
  type DiskEntry,
  DiskError,
  type DiskFile,
  type DiskLock,
} from '../../src/environment/disk.ts'
import {
  bytesUnder,
  coarsely,
  DirectoryNode,
  FileNode,
  finely,
  type NameStep,
  type Node,
  settle,
  type Tearing,
} from './durable-tree.ts'
import type { SeededRandom } from './random.ts'

export type DiskOperation =
  | 'open'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'list'
  | 'stat'
  | 'makeDirectory'
  | 'rename'
  | 'remove'
  | 'syncDirectory'
  | 'lock'

export interface MemoryDiskOptions {
  /** Milliseconds since the epoch, for modification times. */
  now?: () => number
  /** Runs the completion of what would wait for a device (`sync`, `readAsync`); by default in a microtask. */
  defer?: (complete: () => void) => void
  totalBytes?: number
  /** Decides what is left of a write or a sync that fails; nothing is, without it. */
  random?: SeededRandom
}

export class MemoryDisk implements Disk {
  /** The code to fail an operation with, or undefined. */
  fault: ((operation: DiskOperation, path: string) => string | undefined) | undefined
  /** Bytes that the disk takes. */
  totalBytes: number
  readonly #options: MemoryDiskOptions
  #root = new DirectoryNode()
  #steps: NameStep[] = []
  readonly #locked = new Set<string>()
  readonly #open = new Set<MemoryFile>()
  #usedBytes = 0
  #isDead = false

  constructor(options: MemoryDiskOptions = {}) {
    this.#options = options
    this.totalBytes = options.totalBytes ?? 2 ** 40
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** The disk after its process was killed: everything written is there. */
  kill(): MemoryDisk {
    const next = this.#successor()
    next.#root = this.#root
    next.#steps = this.#steps
    for (const { node } of files(this.#root)) node.dropLost()
    next.#usedBytes = bytesUnder(this.#root)
    return next
  }

  /** The disk after a loss of power. */
  crash(random: SeededRandom, tearing = finely): MemoryDisk {
    const surviving = random.between(0, this.#steps.length)
    for (const step of this.#steps.slice(0, surviving)) settle(step)
    const next = this.#successor()
    next.#root = next.#rebuild(this.#root, random, tearing)
    return next
  }

  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile {
    this.#check('open', path)
    const { directory, name } = this.#parentOf(path)
    let node = directory.entries.get(name)
    if (node === undefined) {
      if (mode !== 'create') throw new DiskError('ENOENT', path)
      node = new FileNode()
      node.modifiedMs = this.#now()
      this.#change([{ directory, name, node }])
    }
    if (!(node instanceof FileNode)) throw new DiskError('EISDIR', path)
    const file = new MemoryFile(this, path, node, mode !== 'read')
    this.#open.add(file)
    return file
  }

  async openWhenPossible<T>(_path: string, open: () => T): Promise<T> {
    return open()
  }

  readFile(path: string): Buffer {
    this.#check('read', path)
    const node = this.#find(path)
    if (node === undefined) throw new DiskError('ENOENT', path)
    if (!(node instanceof FileNode)) throw new DiskError('EISDIR', path)
    return Buffer.from(node.content.subarray(0, node.size))
  }

  list(path: string): DiskEntry[] {
    this.#check('list', path)
    const node = this.#find(path)
    if (node === undefined) throw new DiskError('ENOENT', path)
    if (!(node instanceof DirectoryNode)) throw new DiskError('ENOTDIR', path)
    return [...node.entries.keys()]
      .sort()
      .map((name) => ({ name, isDirectory: node.entries.get(name) instanceof DirectoryNode }))
  }

  exists(path: string): boolean {
    this.#check('stat', path)
    return this.#find(path) !== undefined
  }

  stat(path: string): { size: number; modifiedMs: number; isDirectory: boolean } {
    this.#check('stat', path)
    const node = this.#find(path)
    if (node === undefined) throw new DiskError('ENOENT', path)
    if (node instanceof DirectoryNode) return { size: 0, modifiedMs: 0, isDirectory: true }
    return { size: node.size, modifiedMs: node.modifiedMs, isDirectory: false }
  }

  makeDirectory(path: string): void {
    this.#check('makeDirectory', path)
    let directory = this.#root
    for (const name of parts(path)) {
      let node = directory.entries.get(name)
      if (node === undefined) {
        node = new DirectoryNode()
        this.#change([{ directory, name, node }])
      }
      if (!(node instanceof DirectoryNode)) throw new DiskError('ENOTDIR', path)
      directory = node
    }
  }

  rename(from: string, to: string): void {
    this.#check('rename', from)
    const source = this.#parentOf(from)
    const node = source.directory.entries.get(source.name)
    if (node === undefined) throw new DiskError('ENOENT', from)
    const target = this.#parentOf(to)
    const replaced = target.directory.entries.get(target.name)
    if (replaced instanceof DirectoryNode && replaced.entries.size > 0) {
      throw new DiskError('ENOTEMPTY', to)
    }
    if (replaced instanceof FileNode && replaced !== node) this.#usedBytes -= replaced.size
    if (source.directory === target.directory && source.name === target.name) return
    this.#change([
      { ...source, node: undefined },
      { ...target, node },
    ])
  }

  remove(path: string): void {
    this.#check('remove', path)
    const parent = this.#find(path.slice(0, path.lastIndexOf('/')))
    if (!(parent instanceof DirectoryNode)) return
    const name = path.slice(path.lastIndexOf('/') + 1)
    const node = parent.entries.get(name)
    if (node === undefined) return
    if (node instanceof DirectoryNode) throw new DiskError('EISDIR', path)
    this.#usedBytes -= node.size
    this.#change([{ directory: parent, name, node: undefined }])
  }

  removeTree(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.defer(() => {
        try {
          this.#check('remove', path)
          const node = this.#find(path)
          if (node !== undefined) {
            this.#usedBytes -= bytesUnder(node)
            this.#change([{ ...this.#parentOf(path), node: undefined }])
          }
          resolve()
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  syncDirectory(path: string): void {
    this.#check('syncDirectory', path)
    const directory = this.#find(path)
    if (!(directory instanceof DirectoryNode)) throw new DiskError('ENOENT', path)
    this.#settleNames(directory, () => true)
  }

  renameDurably(from: string, to: string): void {
    this.rename(from, to)
    try {
      this.syncDirectory(to.slice(0, to.lastIndexOf('/')))
    } catch (error) {
      // It would have been found out before the name was changed.
      if (error instanceof DiskError && ['EMFILE', 'ENFILE'].includes(error.code))
        this.#undoRename()
      throw error
    }
  }

  #undoRename(): void {
    const [before, after] = this.#steps.pop()?.changes ?? []
    if (before === undefined || after?.node === undefined) return
    before.directory.entries.set(before.name, after.node)
    after.directory.entries.delete(after.name)
  }

  syncDirectoryAsync(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const directory = this.#find(path)
      const steps = new Set(this.#steps)
      this.defer(() => {
        try {
          this.#check('syncDirectory', path)
          if (!(directory instanceof DirectoryNode)) throw new DiskError('ENOENT', path)
          this.#settleNames(directory, (step) => steps.has(step))
          resolve()
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  writeBack(): Promise<void> {
    return Promise.resolve()
  }

  capacity(path: string): { totalBytes: number; usableBytes: number } {
    this.#check('stat', path)
    const { totalBytes } = this
    return { totalBytes, usableBytes: Math.max(0, totalBytes - this.#usedBytes) }
  }

  lock(path: string): DiskLock {
    this.#check('lock', path)
    if (this.#locked.has(path)) {
      throw new DiskError('ELOCKED', path, { message: `${path} is in use by this process` })
    }
    this.#locked.add(path)
    return { release: () => this.#locked.delete(path) }
  }

  /** For the files of this disk: throws if the process is dead or a fault is due. */
  check(operation: DiskOperation, path: string): void {
    this.#check(operation, path)
  }

  /** For the files of this disk: accounts for growth by as many bytes as there is room for. */
  occupy(bytes: number): number {
    const taken =
      bytes <= 0 ? bytes : Math.min(bytes, Math.max(0, this.totalBytes - this.#usedBytes))
    this.#usedBytes += taken
    return taken
  }

  /** For the files of this disk: how much of a write that fails is written all the same. */
  partOf(bytes: number): number {
    const { random } = this.#options
    return random === undefined || random.chance(0.5) ? 0 : random.between(0, bytes)
  }

  /** The files that are open, under the names that they were opened by. */
  openPaths(): string[] {
    return [...this.#open].map(({ path }) => path)
  }

  /** Whether a sync of one of these files has begun and is not done. */
  isSyncing(paths: RegExp): boolean {
    for (const file of this.#open) if (file.syncs > 0 && paths.test(file.path)) return true
    return false
  }

  /** For the files of this disk: one is open no more. */
  forgetOpen(file: MemoryFile): void {
    this.#open.delete(file)
  }

  /** For the files of this disk: a sync failed. */
  failSync(node: FileNode): void {
    const { random } = this.#options
    if (random !== undefined) node.failSync(random)
  }

  /** Everything on the disk, or what a loss of power could not take: each file with its content. */
  snapshot(kind: 'written' | 'durable'): Map<string, Buffer> {
    const found = new Map<string, Buffer>()
    for (const { path, node } of files(this.#root, kind === 'durable')) {
      const content =
        kind === 'durable' ? node.durable() : Buffer.from(node.content.subarray(0, node.size))
      found.set(path, content)
    }
    return found
  }

  /** What lies in a directory as it can be read now, not copied: files by name, directories as null. */
  look(path: string): Map<string, Buffer | null> {
    const directory = this.#find(path)
    const found = new Map<string, Buffer | null>()
    if (!(directory instanceof DirectoryNode)) return found
    for (const [name, node] of directory.entries) {
      found.set(name, node instanceof FileNode ? node.content.subarray(0, node.size) : null)
    }
    return found
  }

  /** The files whose last sync failed: some of what can be read from them will be gone. */
  filesWithLosses(): string[] {
    const found: string[] = []
    for (const { path, node } of files(this.#root)) if (node.hasLost) found.push(path)
    return found
  }

  /** Turns over one bit of a file that nobody has open. */
  flipBit(path: string, bit: number): void {
    const node = this.#find(path)
    if (!(node instanceof FileNode)) throw new DiskError('ENOENT', path)
    const at = bit >> 3
    node.content[at] = (node.content[at] as number) ^ (1 << (bit & 7))
  }

  /**
   * Takes flips back in a file that had this `content` before them, if there still is such a file, in
   * those bytes that are as they were left.
   */
  flipBack(path: string, bits: readonly number[], content: Buffer): void {
    const node = this.#find(path)
    if (!(node instanceof FileNode)) return
    const flipped = Buffer.from(content)
    for (const bit of bits) flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
    for (const at of new Set(bits.map((bit) => bit >> 3))) {
      if (at < node.size && node.content[at] === flipped[at])
        node.content[at] = content[at] as number
    }
  }

  touch(node: FileNode): void {
    node.modifiedMs = this.#now()
  }

  defer(complete: () => void): void {
    const { defer } = this.#options
    if (defer === undefined) queueMicrotask(complete)
    else defer(complete)
  }

  #successor(): MemoryDisk {
    this.#isDead = true
    const next = new MemoryDisk(this.#options)
    next.totalBytes = this.totalBytes
    next.fault = this.fault
    return next
  }

  /** Makes the names of a directory durable that were made by the steps of which `isCovered`. */
  #settleNames(directory: DirectoryNode, isCovered: (step: NameStep) => boolean): void {
    const isSettled = (step: NameStep): boolean =>
      isCovered(step) && step.changes.some((change) => change.directory === directory)
    for (const step of this.#steps) if (isSettled(step)) settle(step)
    this.#steps = this.#steps.filter((step) => !isSettled(step))
  }

  #rebuild(directory: DirectoryNode, random: SeededRandom, tearing: Tearing): DirectoryNode {
    const rebuilt = new DirectoryNode()
    for (const [name, node] of directory.durable) {
      let next: Node
      if (node instanceof DirectoryNode) {
        // It is to be told from damage by the sectors that are missing.
        const isRefused = name.startsWith('__cluster_metadata-')
        const { pieces } = isRefused ? coarsely : tearing
        next = this.#rebuild(node, random, { ...tearing, pieces })
      } else {
        next = new FileNode()
        next.content = node.afterCrash(random, tearing)
        next.size = next.content.length
        next.modifiedMs = node.modifiedMs
        this.#usedBytes += next.size
      }
      rebuilt.entries.set(name, next)
      rebuilt.durable.set(name, next)
    }
    return rebuilt
  }

  #check(operation: DiskOperation, path: string): void {
    if (this.#isDead) throw new DiskError('ESTALE', path)
    const code = this.fault?.(operation, path)
    if (code !== undefined) throw new DiskError(code, path)
  }

  #change(changes: NameStep['changes']): void {
    for (const { directory, name, node } of changes) {
      if (node === undefined) directory.entries.delete(name)
      else directory.entries.set(name, node)
    }
    this.#steps.push({ changes })
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root
    for (const name of parts(path)) {
      if (!(node instanceof DirectoryNode)) return undefined
      node = node.entries.get(name)
    }
    return node
  }

  #parentOf(path: string): { directory: DirectoryNode; name: string } {
    const names = parts(path)
    const name = names.pop()
    if (name === undefined) throw new DiskError('EISDIR', path)
    const directory = this.#find(names.join('/'))
    if (directory === undefined) throw new DiskError('ENOENT', path)
    if (!(directory instanceof DirectoryNode)) throw new DiskError('ENOTDIR', path)
    return { directory, name }
  }

  #now(): number {
    return this.#options.now?.() ?? 0
  }
}

class MemoryFile implements DiskFile {
  readonly path: string
  readonly #disk: MemoryDisk
  readonly #node: FileNode
  readonly #isWritable: boolean
  #isClosed = false
  /** Begun, and not done. */
  syncs = 0

  constructor(disk: MemoryDisk, path: string, node: FileNode, isWritable: boolean) {
    this.path = path
    this.#disk = disk
    this.#node = node
    this.#isWritable = isWritable
  }

  size(): number {
    this.#check('stat')
    return this.#node.size
  }

  read(target: Uint8Array, position: number): number {
    this.#check('read')
    // As the calls of Node do.
    if (position < 0) throw new RangeError(`a read at ${position}`)
    const { content, size } = this.#node
    const bytes = Math.max(0, Math.min(target.length, size - position))
    target.set(content.subarray(position, position + bytes))
    return bytes
  }

  readAsync(target: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#disk.defer(() => {
        try {
          resolve(this.read(target, position))
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    try {
      this.#check('write')
    } catch (error) {
      if (error instanceof DiskError && error.code !== 'ESTALE' && error.code !== 'EBADF') {
        this.#writePart(chunks, position, this.#disk.partOf(bytes))
      }
      throw error
    }
    const growth = Math.max(0, position + bytes - this.#node.size)
    const missing = growth - this.#disk.occupy(growth)
    this.#writePart(chunks, position, bytes - missing)
    if (missing > 0) throw new DiskError('ENOSPC', this.path)
  }

  #writePart(chunks: readonly Uint8Array[], position: number, bytes: number): void {
    let at = position
    const end = position + bytes
    for (const chunk of chunks) {
      if (at >= end) break
      this.#node.write(chunk.subarray(0, end - at), at)
      at += chunk.length
    }
    this.#disk.touch(this.#node)
  }

  truncate(size: number): void {
    this.#check('truncate')
    const growth = size - this.#node.size
    if (this.#disk.occupy(growth) < growth) throw new DiskError('ENOSPC', this.path)
    this.#node.truncate(size)
    this.#disk.touch(this.#node)
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      const covered = this.#node.writes
      this.syncs++
      this.#disk.defer(() => {
        this.syncs--
        try {
          this.#checkSync()
          this.#node.settle(covered)
          resolve()
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  syncNow(): void {
    this.#checkSync()
    this.#node.settle(this.#node.writes)
  }

  close(): void {
    this.#isClosed = true
    this.#disk.forgetOpen(this)
  }

  #checkSync(): void {
    try {
      this.#check('sync')
    } catch (error) {
      if (error instanceof DiskError && error.code !== 'ESTALE' && error.code !== 'EBADF') {
        this.#disk.failSync(this.#node)
      }
      throw error
    }
  }

  #check(operation: DiskOperation): void {
    if (this.#isClosed) throw new DiskError('EBADF', this.path)
    if (!this.#isWritable && (operation === 'write' || operation === 'truncate')) {
      throw new DiskError('EBADF', this.path)
    }
    this.#disk.check(operation, this.path)
  }
}

function* files(
  directory: DirectoryNode,
  isDurable = false,
  under = '',
): Generator<{ path: string; node: FileNode }> {
  const names = isDurable ? directory.durable : directory.entries
  for (const [name, node] of names) {
    const path = `${under}/${name}`
    if (node instanceof DirectoryNode) yield* files(node, isDurable, path)
    else yield { path, node }
  }
}

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '')
}

/**
 * The `.log` file of a segment, its bytes written and queued: opened when it is needed, closed when
 * nobody reads or syncs it any more after `close` was called. Of a log that was given up it is not
 * opened again: by then its name may be that of another topic's file.
 */
import type { Buffers } from '../environment/buffers.ts'
import { type Disk, DiskError, type DiskFile } from '../environment/disk.ts'
import type { Milliseconds } from '../environment/environment.ts'

export class SegmentFile {
  readonly path: string
  readonly #disk: Disk
  readonly #buffers: Buffers
  #bytes = 0
  #queued: Buffer[] = []
  #queuedBytes = 0
  #file: DiskFile | null = null
  #uses = 0
  #isClosing = false
  #isGivenUp = false

  constructor(disk: Disk, buffers: Buffers, path: string) {
    this.#disk = disk
    this.#buffers = buffers
    this.path = path
  }

  /** Makes it, empty; one that is there loses what it holds. Throws DiskError. */
  makeEmpty(): void {
    const file = this.#disk.open(this.path, 'create')
    if (file.size() > 0) file.truncate(0)
    file.close()
  }

  /** Takes over what is there; gives its bytes. Throws DiskError. */
  takeOver(): number {
    this.#bytes = this.#disk.stat(this.path).size
    return this.#bytes
  }

  /** Those written; what is queued is not in them. */
  get bytes(): number {
    return this.#bytes
  }

  get modifiedMs(): Milliseconds {
    return this.#disk.stat(this.path).modifiedMs
  }

  get isOpen(): boolean {
    return this.#file !== null
  }

  /** Throws DiskError, EBADF where it was closed for good. */
  open(): DiskFile {
    if (this.#isGivenUp) throw new DiskError('EBADF', this.path)
    this.#isClosing = false
    this.#file ??= this.#disk.open(this.path, 'write')
    return this.#file
  }

  /** Takes bytes that `write` writes behind those before. */
  queue(bytes: Buffer): void {
    this.#queued.push(bytes)
    this.#queuedBytes += bytes.length
  }

  /** Hands what is queued to the operating system, in one call. Throws DiskError; then it stays queued. */
  write(): void {
    if (this.#queued.length === 0) return
    this.open().write(this.#queued, this.#bytes)
    this.#bytes += this.#queuedBytes
    this.forgetQueued()
  }

  /** What is queued is not to be written any more. */
  forgetQueued(): void {
    this.#queued = []
    this.#queuedBytes = 0
  }

  /** Keeps the first `bytes`, of those written. Throws DiskError. */
  cut(bytes: number): void {
    if (bytes < this.#bytes) this.open().truncate(bytes)
    this.#bytes = bytes
  }

  /** Makes durable what was written; a file that is not open is, as soon as that is possible, for so long. */
  async sync(): Promise<void> {
    const file = await this.#disk.openWhenPossible(this.path, () => this.#borrow())
    await file.sync().finally(() => this.#release())
  }

  /** As `sync`, blocking. Throws DiskError. */
  syncNow(): void {
    const file = this.#borrow()
    try {
      file.syncNow()
    } finally {
      this.#release()
    }
  }

  /** Up to `wanted` bytes, in a buffer of the reader's own. */
  readWindow(position: number, wanted: number): Promise<Buffer> {
    const window = this.#buffers.take(wanted)
    return this.#using(async (file) => window.subarray(0, await file.readAsync(window, position)))
  }

  /** Fills `target` from `position` on; gives the bytes read. */
  readInto(target: Buffer, position: number): Promise<number> {
    return this.#using((file) => file.readAsync(target, position))
  }

  /** Closes it, as soon as no read or sync needs it; unless for good, it is opened again when it is needed. */
  close(isForGood = false): void {
    this.#isGivenUp ||= isForGood
    this.#isClosing = true
    this.#closeIfIdle()
  }

  async #using<T>(action: (file: DiskFile) => Promise<T>): Promise<T> {
    const file = this.#use()
    try {
      return await action(file)
    } finally {
      this.#release()
    }
  }

  /** It stays open until it is released as often. */
  #use(): DiskFile {
    const file = this.open()
    this.#uses++
    return file
  }

  /** As `#use`; where it was closed, or is about to be, that is put off only. */
  #borrow(): DiskFile {
    const isClosing = this.#isClosing || !this.isOpen
    const file = this.#use()
    this.#isClosing = isClosing
    return file
  }

  #release(): void {
    this.#uses--
    this.#closeIfIdle()
  }

  #closeIfIdle(): void {
    if (!this.#isClosing || this.#uses > 0 || this.#file === null) return
    this.#file.close()
    this.#file = null
  }
}

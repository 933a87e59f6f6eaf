/**
 * The files and names of a disk in memory, each with what would be left of it without power: a file
 * knows how to undo the writes since its last sync, a directory has the names that are durable beside
 * those that are there.
 */
import type { SeededRandom } from './random.ts'

/** What a loss of power makes of bytes that were written and not synced. */
export interface Tearing {
  /** Bytes of a piece that is there as a whole or not at all: one of these. */
  readonly pieces: readonly number[]
  /** Of a piece: that it is there. */
  readonly drawKeptChance: (random: SeededRandom) => number
}

/** A device writes sectors, an operating system pages. */
export const coarsely: Tearing = { pieces: [512, 4096], drawKeptChance: () => 0.5 }

/**
 * Where batches are as small as here, so that there are many pieces of what was not synced, and of a batch;
 * and where few are missing, what follows a batch with a hole in it is right.
 */
export const finely: Tearing = {
  pieces: [64, ...coarsely.pieces],
  drawKeptChance: (random) => random.pick([0.5, 0.9]),
}

/** A write or truncation that no sync covers yet, with what it takes to undo it. */
interface Unsynced {
  readonly position: number
  readonly before: Buffer
  readonly sizeBefore: number
}

export class FileNode {
  content: Buffer = Buffer.alloc(0)
  size = 0
  modifiedMs = 0
  unsynced: Unsynced[] = []
  /** How many writes were ever synced; `unsynced` holds those that follow. */
  #syncedWrites = 0
  /**
   * After a sync that failed: what the device holds. The writes it covered are marked clean although
   * they are lost; they can be read until their process ends, and no later sync brings them back.
   */
  #device: FileNode | null = null
  /** Writes that followed the failure, to be done on the device as well once they are synced. */
  #redo: ((device: FileNode) => void)[] = []

  /** The number of writes so far: what a sync that starts now will cover. */
  get writes(): number {
    return this.#syncedWrites + this.unsynced.length
  }

  settle(writes: number): void {
    const covered = writes - this.#syncedWrites
    if (covered <= 0) return
    this.unsynced = this.unsynced.slice(covered)
    this.#syncedWrites = writes
    const device = this.#device
    if (device === null) return
    for (const redo of this.#redo.splice(0, covered)) redo(device)
    device.settle(device.writes)
  }

  /** A sync failed: some pages of what it covered have reached the device, the others never will. */
  failSync(random: SeededRandom): void {
    const device = new FileNode()
    device.content = this.afterCrash(random)
    device.size = device.content.length
    this.#device = device
    this.#redo = []
    this.#syncedWrites += this.unsynced.length
    this.unsynced = []
  }

  /** Whether a sync of it failed: its process sees more than there will be. */
  get hasLost(): boolean {
    return this.#device !== null
  }

  /** The process is gone, and with it the pages that a failed sync had marked clean. */
  dropLost(): void {
    const device = this.#device
    if (device === null) return
    for (const redo of this.#redo) redo(device)
    this.content = device.content
    this.size = device.size
    this.unsynced = device.unsynced
    this.#syncedWrites = 0
    this.#device = null
    this.#redo = []
  }

  write(chunk: Uint8Array, position: number): void {
    const end = position + chunk.length
    if (this.#device !== null) {
      const copy = Buffer.from(chunk)
      this.#redo.push((device) => device.write(copy, position))
    }
    this.#remember(position, Math.min(end, this.size))
    this.#grow(end)
    if (position > this.size) this.content.fill(0, this.size, position)
    this.content.set(chunk, position)
    if (end > this.size) this.size = end
  }

  truncate(size: number): void {
    if (this.#device !== null) this.#redo.push((device) => device.truncate(size))
    this.#remember(size, this.size)
    this.#grow(size)
    if (size > this.size) this.content.fill(0, this.size, size)
    this.size = size
  }

  /** The content that a power loss cannot take away. */
  durable(): Buffer {
    if (this.#device !== null) return this.#device.durable()
    let content: Buffer = Buffer.from(this.content.subarray(0, this.size))
    for (let i = this.unsynced.length - 1; i >= 0; i--) {
      const { position, before, sizeBefore } = this.unsynced[i] as Unsynced
      if (content.length < sizeBefore) {
        content = Buffer.concat([content, Buffer.alloc(sizeBefore - content.length)])
      }
      content.set(before, position)
      content = content.subarray(0, sizeBefore)
    }
    return content
  }

  /** The content after a power loss: something between durable and written. */
  afterCrash(random: SeededRandom, tearing = coarsely): Buffer {
    if (this.#device !== null) return this.#device.afterCrash(random, tearing)
    const durable = this.durable()
    if (this.unsynced.length === 0 || random.chance(0.3)) return durable
    const written = this.content.subarray(0, this.size)
    let common = 0
    const shorter = Math.min(durable.length, written.length)
    while (common < shorter && durable[common] === written[common]) common++
    if (random.chance(0.5)) {
      const cut = random.between(common, written.length)
      return Buffer.concat([written.subarray(0, cut), durable.subarray(cut)])
    }
    // The size may be durable before the pages are: those that are missing are zeros.
    const longer = Math.max(durable.length, written.length)
    const size = random.chance(0.5) ? longer : random.between(shorter, longer)
    const mixed = Buffer.alloc(size)
    durable.copy(mixed)
    const bytes = random.pick(tearing.pieces)
    const keptChance = tearing.drawKeptChance(random)
    for (let at = 0; at < Math.min(size, written.length); at += bytes) {
      if (random.chance(keptChance)) written.copy(mixed, at, at, Math.min(at + bytes, size))
    }
    return mixed
  }

  #remember(from: number, to: number): void {
    const before = to > from ? Buffer.from(this.content.subarray(from, to)) : Buffer.alloc(0)
    this.unsynced.push({ position: from, before, sizeBefore: this.size })
  }

  #grow(size: number): void {
    if (size <= this.content.length) return
    const grown = Buffer.alloc(Math.max(size, this.content.length * 2, 1024))
    this.content.copy(grown, 0, 0, this.size)
    this.content = grown
  }
}

export class DirectoryNode {
  readonly entries = new Map<string, Node>()
  readonly durable = new Map<string, Node>()
}

export type Node = FileNode | DirectoryNode

/** Changes of names that become durable together; a rename is one step with two changes. */
export interface NameStep {
  readonly changes: { directory: DirectoryNode; name: string; node: Node | undefined }[]
}

/** Makes the changes of a step durable. */
export function settle(step: NameStep): void {
  for (const { directory, name, node } of step.changes) {
    if (node === undefined) directory.durable.delete(name)
    else directory.durable.set(name, node)
  }
}

export function bytesUnder(node: Node): number {
  if (node instanceof FileNode) return node.size
  let bytes = 0
  for (const child of node.entries.values()) bytes += bytesUnder(child)
  return bytes
}

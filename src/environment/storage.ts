/** Places for tables, as whoever reads and writes them sees them. */
import { DiskError } from './disk.ts'

/** A write of which nobody can say whether it was done, or will be yet: no answer came, and looking told nothing. */
export class UncertainWrite extends DiskError {}

/**
 * A place for tables: files by name below one root, as an object store or a directory has them. A file appears whole
 * and durable, and is never changed, but for those that `put` replaces. Names are relative to the root, with `/`
 * between their parts; a name that is absolute stands for itself. Every method rejects with `DiskError`.
 */
export interface Storage {
  /**
   * What lies directly below a directory, sorted by name, from a name on if it is given; nothing where there is none.
   * Hidden files too, but no links that lead nowhere.
   */
  list(directory: string, from?: string): Promise<StoredEntry[]>
  /** The whole file. ENOENT if there is none. */
  read(name: string): Promise<Buffer>
  /** A file to read from at any place. ENOENT if there is none. */
  open(name: string): Promise<StoredFile>
  /** A file that nobody sees before it is finished. */
  create(name: string): Promise<FileInMaking>
  /**
   * Answers false where the name is taken, and then has done nothing; true once the file is there and durable. Of
   * several that put the same name at once, one is answered true. Where it rejects, the file may or may not be there; with UncertainWrite, it may even come
   * later.
   */
  putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean>
  /** In the place of what was there, which is seen until then. */
  put(name: string, bytes: Uint8Array): Promise<void>
  /** Nothing happens where there is none. Directories stay, since another writer may be about to use one. */
  remove(name: string): Promise<void>
}

export interface StoredEntry {
  readonly name: string
  /** Of a link: what it leads to is one. */
  readonly isDirectory: boolean
  /** A symbolic link, which may lead out of the storage; size and time are of what it leads to. */
  readonly isLink: boolean
  /** Bytes. */
  readonly size: number
  readonly modifiedMs: number
}

export interface StoredFile {
  /** Bytes in all. */
  readonly size: number
  /** Exactly the bytes from `position` to before `position + length`. */
  read(position: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}

export interface FileInMaking {
  write(bytes: Uint8Array): Promise<void>
  /** There under its name, durable. EEXIST where the name is taken. Nothing is left where it fails. */
  finish(): Promise<void>
  /** Leaves nothing behind; nothing happens after `finish`. */
  discard(): Promise<void>
}

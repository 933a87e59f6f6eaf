/**
 * A place for tables to be read from: files by name below one root, as an object store or a directory has them.
 * Names are relative to the root, with `/` between their parts; a name that is absolute stands for itself. Every
 * method rejects with `DiskError`.
 */
export interface Storage {
  /** What lies directly below a directory, sorted by name; nothing where there is none. Hidden files too. */
  list(directory: string): Promise<StoredEntry[]>
  /** The whole file. ENOENT if there is none. */
  read(name: string): Promise<Buffer>
  /** A file to read from at any place. ENOENT if there is none. */
  open(name: string): Promise<StoredFile>
}

export interface StoredEntry {
  readonly name: string
  readonly isDirectory: boolean
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

/**
 * A place for tables: files by name below one root, as an object store or a directory has them. Files appear whole
 * and are never changed, but for those that `put` replaces. Names are relative to the root, with `/` between their
 * parts; a name that is absolute stands for itself. Every method rejects with `DiskError`.
 */
export interface Storage {
  /** What lies directly below a directory, sorted by name; nothing where there is none. Hidden files too. */
  list(directory: string): Promise<StoredEntry[]>
  /** The whole file. ENOENT if there is none. */
  read(name: string): Promise<Buffer>
  /** A file to read from at any place. ENOENT if there is none. */
  open(name: string): Promise<StoredFile>
  /** A new file, which nobody sees under its name before `finish`. */
  create(name: string): Promise<FileInMaking>
  /** Answers false where the name is taken. Else the file is there, whole and durable. */
  putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean>
  /** Whole and durable, in the place of what was there. */
  put(name: string, bytes: Uint8Array): Promise<void>
  /** Nothing happens where there is none. */
  remove(name: string): Promise<void>
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

export interface FileInMaking {
  write(bytes: Uint8Array): Promise<void>
  /** Whole, durable, and there under its name. */
  finish(): Promise<void>
  /** Leaves nothing behind. */
  discard(): Promise<void>
}

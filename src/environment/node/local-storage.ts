/**
 * Tables in a directory. A file is written under a hidden name of its own, made durable, and then gets its name: by a
 * hard link, which fails where the name is taken and so lets one of several processes win, or by renaming, which
 * replaces. What fails takes its hidden file with it; only a process that dies in between leaves one, which no reader
 * looks at.
 */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs/promises'
import path from 'node:path'
import { DiskError } from '../disk.ts'
import type { FileInMaking, Storage, StoredEntry, StoredFile } from '../storage.ts'

export class LocalStorage implements Storage {
  readonly #root: string
  /** Directories whose names this process has made durable. */
  readonly #durable = new Set<string>()

  constructor(root: string) {
    this.#root = path.resolve(root)
  }

  async list(directory: string, from = ''): Promise<StoredEntry[]> {
    const at = this.#path(directory)
    return told(at, async () => {
      const entries = await fs.readdir(at, { withFileTypes: true }).catch(nothingThere)
      const found: StoredEntry[] = []
      for (const entry of entries) {
        if (entry.name < from) continue
        const stat = await fs.stat(path.join(at, entry.name)).catch(nobodyThere)
        if (stat === null) continue
        const { size, mtimeMs } = stat
        const isDirectory = stat.isDirectory()
        const isLink = entry.isSymbolicLink()
        const modifiedMs = Math.floor(mtimeMs)
        found.push({ name: entry.name, isDirectory, isLink, size, modifiedMs })
      }
      return found.sort((a, b) => (a.name < b.name ? -1 : 1))
    })
  }

  async read(name: string): Promise<Buffer> {
    const at = this.#path(name)
    return told(at, () => fs.readFile(at))
  }

  async open(name: string): Promise<StoredFile> {
    const at = this.#path(name)
    return told(at, async () => {
      const handle = await fs.open(at, 'r')
      try {
        const { size } = await handle.stat()
        return new OpenFile(at, handle, size)
      } catch (error) {
        await handle.close()
        throw error
      }
    })
  }

  async create(name: string): Promise<FileInMaking> {
    const at = this.#path(name)
    return told(at, async () => {
      await this.#makeDirectory(path.dirname(at))
      return HiddenFile.open(at)
    })
  }

  async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    const file = await this.create(name)
    try {
      await file.write(bytes)
      await file.finish()
      return true
    } catch (error) {
      await file.discard()
      if (error instanceof DiskError && error.code === 'EEXIST') return false
      throw error
    }
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const at = this.#path(name)
    await told(at, async () => {
      await this.#makeDirectory(path.dirname(at))
      const file = await HiddenFile.open(at)
      try {
        await file.write(bytes)
        await file.replace()
      } finally {
        await file.discard()
      }
    })
  }

  async remove(name: string): Promise<void> {
    const at = this.#path(name)
    await told(at, () => fs.rm(at, { force: true }))
  }

  /**
   * Makes what is missing on the way and each name durable, up to that of the root: another process that has just
   * made one may not have come to that.
   */
  async #makeDirectory(directory: string): Promise<void> {
    if (this.#durable.has(directory)) return
    const first = await fs.mkdir(directory, { recursive: true })
    const last = Math.min(first?.length ?? this.#root.length, this.#root.length)
    for (let at = directory; at.length >= last && at !== path.dirname(at); at = path.dirname(at)) {
      const isMade = first !== undefined && at.length >= first.length
      await syncDirectory(path.dirname(at)).catch(isMade ? rethrow : notAllowed)
    }
    this.#durable.add(directory)
  }

  #path(name: string): string {
    return path.resolve(this.#root, name)
  }
}

class OpenFile implements StoredFile {
  readonly size: number
  readonly #path: string
  readonly #handle: fs.FileHandle

  constructor(at: string, handle: fs.FileHandle, size: number) {
    this.#path = at
    this.#handle = handle
    this.size = size
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const rest = length - filled
      const { bytesRead } = await told(this.#path, () =>
        this.#handle.read(bytes, filled, rest, position + filled),
      )
      if (bytesRead === 0) {
        const message = `the file ends before byte ${position + length}`
        throw new DiskError('EIO', this.#path, { message })
      }
      filled += bytesRead
    }
    return bytes
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

/** A file under a name that no reader looks at, until it gets its own. */
class HiddenFile implements FileInMaking {
  readonly #path: string
  readonly #hidden: string
  readonly #handle: fs.FileHandle
  #isOpen = true
  #isHidden = true

  private constructor(at: string, hidden: string, handle: fs.FileHandle) {
    this.#path = at
    this.#hidden = hidden
    this.#handle = handle
  }

  static async open(at: string): Promise<HiddenFile> {
    const hidden = path.join(path.dirname(at), `.${randomUUID()}.tmp`)
    return new HiddenFile(at, hidden, await fs.open(hidden, 'wx'))
  }

  async write(bytes: Uint8Array): Promise<void> {
    await told(this.#path, () => this.#handle.writeFile(bytes))
  }

  async finish(): Promise<void> {
    await this.#settle(async () => {
      await fs
        .link(this.#hidden, this.#path)
        .catch((error: NodeJS.ErrnoException) => this.#refuseUnlinked(error))
      await fs.rm(this.#hidden)
    })
  }

  /** A file server whose answer was lost is asked again, and then says of the link that it made that the name is taken. */
  async #refuseUnlinked(error: NodeJS.ErrnoException): Promise<void> {
    if (error.code !== 'EEXIST') return withoutLinks(error)
    const [hidden, taken] = await Promise.all(
      [this.#hidden, this.#path].map((at) => fs.stat(at, { bigint: true }).catch(() => null)),
    )
    const isOne = hidden !== null && hidden?.ino === taken?.ino && hidden?.dev === taken?.dev
    if (!isOne) throw error
  }

  /** As `finish`, in the place of what has the name. */
  async replace(): Promise<void> {
    await this.#settle(() => fs.rename(this.#hidden, this.#path))
  }

  async #settle(takeName: () => Promise<void>): Promise<void> {
    await told(this.#path, async () => {
      try {
        await this.#handle.sync()
        await this.#close()
        await takeName()
        this.#isHidden = false
      } finally {
        await this.discard()
      }
      await syncDirectory(path.dirname(this.#path))
    })
  }

  async discard(): Promise<void> {
    await told(this.#path, async () => {
      await this.#close()
      if (this.#isHidden) await fs.rm(this.#hidden, { force: true })
      this.#isHidden = false
    })
  }

  async #close(): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    await this.#handle.close()
  }
}

/** Only a link is exclusive and whole at once: without it two writers could take one name. */
function withoutLinks(error: NodeJS.ErrnoException): never {
  if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes(error.code ?? ''))
    throw error
  const message = `the file system has no hard links, without which a name cannot be taken safely`
  throw Object.assign(new Error(message, { cause: error }), { code: error.code })
}

async function syncDirectory(directory: string): Promise<void> {
  // Windows opens no directories as files; its file systems keep names in their own journal.
  if (process.platform === 'win32') return
  const handle = await fs.open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function rethrow(error: unknown): never {
  throw error
}

/** Who may not read a directory cannot sync it either; others have made what is in it. */
function notAllowed(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EACCES' && error.code !== 'EPERM') throw error
}

function nothingThere(error: NodeJS.ErrnoException): never[] {
  if (error.code === 'ENOENT') return []
  throw error
}

/** ELOOP: links that lead to each other. */
function nobodyThere(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ELOOP') return null
  throw error
}

async function told<Result>(at: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (error instanceof DiskError || code === undefined) throw error
    throw new DiskError(code, at, { message, cause: error })
  }
}

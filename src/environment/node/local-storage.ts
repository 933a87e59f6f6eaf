/**
 * Tables in a directory. A file is written under a hidden name of its own, made durable, and then gets its
 * name: by a hard link, which fails where the name is taken and so lets one of several processes win, or by renaming,
 * which replaces. A process that dies in between leaves a hidden file, which no reader looks at.
 */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs/promises'
import path from 'node:path'
import { DiskError } from '../disk.ts'
import type { FileInMaking, Storage, StoredEntry, StoredFile } from '../storage.ts'

export class LocalStorage implements Storage {
  readonly #root: string

  constructor(root: string) {
    this.#root = path.resolve(root)
  }

  async list(directory: string): Promise<StoredEntry[]> {
    const at = this.#path(directory)
    return told(at, async () => {
      const entries = await fs.readdir(at, { withFileTypes: true }).catch(nothingThere)
      const found: StoredEntry[] = []
      for (const entry of entries) {
        const stat = await fs.stat(path.join(at, entry.name)).catch(nobodyThere)
        if (stat === null) continue
        const { size, mtimeMs } = stat
        const isDirectory = stat.isDirectory()
        found.push({ name: entry.name, isDirectory, size, modifiedMs: Math.floor(mtimeMs) })
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
      const { size } = await handle.stat()
      return new OpenFile(at, handle, size)
    })
  }

  async create(name: string): Promise<FileInMaking> {
    const at = this.#path(name)
    return told(at, async () => {
      await makeDurableDirectory(path.dirname(at))
      const hidden = hiddenName(at)
      return new NewFile(at, hidden, await fs.open(hidden, 'wx'))
    })
  }

  async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    const at = this.#path(name)
    return told(at, async () => {
      const hidden = await this.#writeHidden(at, bytes)
      try {
        await fs.link(hidden, at)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
        throw error
      } finally {
        await fs.rm(hidden, { force: true })
      }
      await syncDirectory(path.dirname(at))
      return true
    })
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const at = this.#path(name)
    await told(at, async () => {
      const hidden = await this.#writeHidden(at, bytes)
      await fs.rename(hidden, at)
      await syncDirectory(path.dirname(at))
    })
  }

  async remove(name: string): Promise<void> {
    const at = this.#path(name)
    await told(at, () => fs.rm(at, { force: true }))
  }

  async #writeHidden(at: string, bytes: Uint8Array): Promise<string> {
    await makeDurableDirectory(path.dirname(at))
    const hidden = hiddenName(at)
    const handle = await fs.open(hidden, 'wx')
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    return hidden
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

class NewFile implements FileInMaking {
  readonly #path: string
  readonly #hidden: string
  readonly #handle: fs.FileHandle

  constructor(at: string, hidden: string, handle: fs.FileHandle) {
    this.#path = at
    this.#hidden = hidden
    this.#handle = handle
  }

  async write(bytes: Uint8Array): Promise<void> {
    await told(this.#path, () => this.#handle.writeFile(bytes))
  }

  async finish(): Promise<void> {
    await told(this.#path, async () => {
      await this.#handle.sync()
      await this.#handle.close()
      await fs.rename(this.#hidden, this.#path)
      await syncDirectory(path.dirname(this.#path))
    })
  }

  async discard(): Promise<void> {
    await told(this.#path, async () => {
      await this.#handle.close()
      await fs.rm(this.#hidden, { force: true })
    })
  }
}

function hiddenName(at: string): string {
  return path.join(path.dirname(at), `.${path.basename(at)}.${randomUUID()}.tmp`)
}

/** Makes what is missing on the way, and each new name durable. */
async function makeDurableDirectory(directory: string): Promise<void> {
  const first = await fs.mkdir(directory, { recursive: true })
  if (first === undefined) return
  for (let at = directory; at.length >= first.length; at = path.dirname(at)) {
    await syncDirectory(path.dirname(at))
  }
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

function nothingThere(error: NodeJS.ErrnoException): never[] {
  if (error.code === 'ENOENT') return []
  throw error
}

function nobodyThere(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null
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

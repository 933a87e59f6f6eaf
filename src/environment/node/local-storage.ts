/** Tables in a directory, for reading. */
import fs from 'node:fs/promises'
import path from 'node:path'
import { DiskError } from '../disk.ts'
import type { Storage, StoredEntry, StoredFile } from '../storage.ts'

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

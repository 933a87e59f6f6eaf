/**
 * What a standalone worker keeps: offsets of sources in a file, which is Kafka Connect's own, and what
 * connectors there are and how they do in memory: they are given again with the next start.
 */
import { dirname } from 'node:path'
import { DiskError } from '../../environment/disk.ts'
import type { Environment } from '../../environment/environment.ts'
import { ConnectException } from '../failures.ts'
import { readSerializedMap, writeSerializedMap } from './serialized-map.ts'
import type { Entry, Kind, States, Storage } from './storage.ts'

/** A longer file was not written by a worker. */
const fileBytesMax = 256 * 1024 * 1024

export class FileStorage implements Storage {
  readonly #disk: Environment['disk']
  readonly #path: string
  readonly #states: States
  readonly #offsets: Map<string, Buffer>
  /** What waits for the file, and goes into it at once when the one before is written. */
  #writing: Promise<void> = Promise.resolve()
  #next: Promise<void> | null = null

  /** Reads what is kept. Throws ConnectException, DiskError. */
  constructor(environment: Environment, path: string, states: States) {
    this.#disk = environment.disk
    this.#path = path
    this.#states = states
    this.#offsets = this.#read()
    for (const [key, value] of this.#offsets) states.offsets(key, value, 0)
  }

  async put(kind: Kind, entries: readonly Entry[]): Promise<void> {
    if (kind === 'offsets') await this.#keep(entries)
    for (const { key, value } of entries)
      this.#states[kind](key, value === null ? null : Buffer.from(value), 0)
  }

  /** Nobody else puts anything. */
  async catchUp(): Promise<void> {}

  /** Never rejects: whoever put something was told. */
  async close(): Promise<void> {
    await this.#next?.catch(() => undefined)
    await this.#writing.catch(() => undefined)
  }

  #read(): Map<string, Buffer> {
    try {
      if (!this.#disk.exists(this.#path)) return new Map()
      const { size } = this.#disk.stat(this.#path)
      if (size > fileBytesMax) throw new ConnectException(`It has more than ${fileBytesMax} bytes`)
      // Kafka makes it empty before it has something to keep.
      return size === 0 ? new Map() : readSerializedMap(this.#disk.readFile(this.#path))
    } catch (error) {
      if (error instanceof DiskError) throw error
      throw new ConnectException(
        `offset.storage.file.filename: ${this.#path} is not of Kafka Connect: ${(error as Error).message}`,
        { cause: error },
      )
    }
  }

  #keep(entries: readonly Entry[]): Promise<void> {
    for (const { key, value } of entries) {
      if (value === null) this.#offsets.delete(key)
      else this.#offsets.set(key, Buffer.from(value))
    }
    this.#next ??= this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#next = null
        this.#writing = this.#write()
        return this.#writing
      })
    return this.#next
  }

  /** The file is the old one or the new one, whatever happens. */
  async #write(): Promise<void> {
    const bytes = writeSerializedMap(this.#offsets)
    const beside = `${this.#path}.tmp`
    this.#disk.remove(beside)
    const file = this.#disk.open(beside, 'create')
    try {
      file.write([bytes], 0)
      await file.sync()
    } finally {
      file.close()
    }
    this.#disk.rename(beside, this.#path)
    this.#disk.syncDirectory(dirname(this.#path))
  }
}

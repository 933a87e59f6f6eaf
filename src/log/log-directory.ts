/**
 * One entry of log.dirs: the files that stand beside the partitions' directories (`.lock`,
 * `meta.properties`, the offset checkpoints, `.kafka_cleanshutdown`) and the logs open here.
 * Everything under it goes through one fenced disk: after the first error nothing more is done
 * here.
 *
 * The clean-shutdown file is read and removed when the directory is opened, so that a second crash
 * counts as one (KAFKA-10471).
 */
import { type Disk, DiskError, type DiskLock } from '../environment/disk.ts'
import type { Environment, Milliseconds } from '../environment/environment.ts'
import {
  highWatermarkFile,
  logStartFile,
  parentOf,
  readFileIfAny,
  readOffsets,
  recoveryPointFile,
  replaceFile,
  writeOffsets,
} from './checkpoints.ts'
import { FencedDisk } from './fenced-disk.ts'
import {
  formatMetaProperties,
  type MetaProperties,
  parseMetaProperties,
} from './meta-properties.ts'
import { readPartitionMetadata } from './partition-metadata.ts'

export type { MetaProperties }

export interface LogDirectoryOptions {
  readonly environment: Environment
  readonly path: string
  /**
   * Runs once, with the first disk error; every later operation on the directory is refused with
   * the same error.
   */
  readonly onFailure?: (directory: LogDirectory, error: DiskError) => void
}

export interface PartitionDirectory {
  readonly name: string
  readonly topic: string
  readonly partition: number
  /** From partition.metadata; null where there is none. */
  readonly topicId: string | null
}

/** What the directory needs of a log that is open in it. */
export interface OpenLog extends CheckpointedOffsets {
  readonly topic: string
  readonly partition: number
  close(): Promise<void>
}

/** What the checkpoint files say of one log. */
export interface CheckpointedOffsets {
  readonly recoveryPoint: number
  readonly logStartOffset: number
  readonly highWatermark: number
}

const cleanShutdownFile = '.kafka_cleanshutdown'
const metaPropertiesFile = 'meta.properties'
/** The metadata quorum's own log; it is not a topic's. */
const metadataLogName = '__cluster_metadata-0'
const nameBytesMax = 255
/** Timers cannot be set for longer. */
const timerMsMax = 0x7fff_ffff
const noOffsets: CheckpointedOffsets = { recoveryPoint: 0, logStartOffset: 0, highWatermark: 0 }

export class LogDirectory {
  readonly path: string
  /** The last process closed this directory in good order. */
  readonly isClean: boolean
  /** From the clean-shutdown file; -1 where unknown. */
  readonly cleanShutdownBrokerEpoch: number
  readonly #environment: Environment
  readonly #disk: FencedDisk
  readonly #lock: DiskLock
  #isCheckpointDue = false
  readonly #logs = new Set<OpenLog>()
  /** By `topic-partition`: of open logs as of the last checkpoint, of others as they were left. */
  readonly #offsets = new Map<string, CheckpointedOffsets>()

  /**
   * Makes the directory if it is missing, and locks it. Throws DiskError, ELOCKED if it is in use.
   */
  static open(options: LogDirectoryOptions): LogDirectory {
    return new LogDirectory(options)
  }

  private constructor({ environment, path, onFailure }: LogDirectoryOptions) {
    this.path = path
    this.#environment = environment
    this.#disk = new FencedDisk(environment.disk, (error) => {
      environment.log.error('log directory failed and is fenced', { directory: path, err: error })
      onFailure?.(this, error)
    })
    makeDurably(this.#disk, path)
    this.#lock = this.#disk.lock(path)
    const cleanShutdown = readFileIfAny(this.#disk, `${path}/${cleanShutdownFile}`)
    this.isClean = cleanShutdown !== null
    this.cleanShutdownBrokerEpoch = brokerEpochOf(cleanShutdown)
    if (this.isClean) {
      this.#disk.remove(`${path}/${cleanShutdownFile}`)
      this.#disk.syncDirectory(path)
    }
    this.#readCheckpoints()
  }

  /** The disk through which everything in the directory goes: the first error fences it. */
  get disk(): Disk {
    return this.#disk
  }

  /** The error that fenced the directory, or null. */
  get failure(): DiskError | null {
    return this.#disk.failure
  }

  /** Null where there is no such file. Throws Error where it says nothing that makes sense. */
  readMetaProperties(): MetaProperties | null {
    const bytes = readFileIfAny(this.#disk, `${this.path}/${metaPropertiesFile}`)
    return bytes === null ? null : parseMetaProperties(bytes.toString('utf8'))
  }

  writeMetaProperties(properties: MetaProperties): void {
    const path = `${this.path}/${metaPropertiesFile}`
    replaceFile(this.#disk, path, formatMetaProperties(properties), { sync: true })
  }

  /**
   * The partitions found here, sorted by name. What a deletion left behind is removed on the way;
   * other directories (`-stray`, `-future`, the metadata log) are left alone.
   */
  partitions(): PartitionDirectory[] {
    const found: PartitionDirectory[] = []
    for (const { name, isDirectory } of this.#disk.list(this.path)) {
      if (!isDirectory || name === metadataLogName) continue
      if (name.endsWith('-delete')) {
        this.#removeTree(name)
        continue
      }
      const match = /^([A-Za-z0-9._-]+)-(\d+)$/.exec(name)
      if (match === null) continue
      const [, topic = '', partition = ''] = match
      const topicId = readPartitionMetadata(this.#disk, `${this.path}/${name}`)
      found.push({ name, topic, partition: Number(partition), topicId })
    }
    return found
  }

  /** Writes the recovery-point, log-start and high-watermark checkpoints. Throws DiskError. */
  writeCheckpoints(): void {
    for (const log of this.#logs) this.#remember(log)
    const points = new Map<string, number>()
    const starts = new Map<string, number>()
    const watermarks = new Map<string, number>()
    for (const [name, offsets] of this.#offsets) {
      points.set(name, offsets.recoveryPoint)
      watermarks.set(name, offsets.highWatermark)
      if (offsets.logStartOffset > 0) starts.set(name, offsets.logStartOffset)
    }
    writeOffsets(this.#disk, `${this.path}/${recoveryPointFile}`, points)
    writeOffsets(this.#disk, `${this.path}/${logStartFile}`, starts)
    writeOffsets(this.#disk, `${this.path}/${highWatermarkFile}`, watermarks)
  }

  /**
   * As `writeCheckpoints`, once for all who ask in this turn: a log was cut below its recovery
   * point, and what is written there from now on must not pass for durable.
   */
  checkpointThisTurn(): void {
    if (this.#isCheckpointDue) return
    this.#isCheckpointDue = true
    this.#environment.timers.endOfTurn(() => {
      this.#isCheckpointDue = false
      if (this.failure !== null) return
      try {
        this.writeCheckpoints()
      } catch (error) {
        // The directory is fenced now and has said so.
        if (!(error instanceof DiskError)) throw error
      }
    })
  }

  /** Logs open here. */
  logs(): IterableIterator<OpenLog> {
    return this.#logs.values()
  }

  /**
   * Closes all logs, writes checkpoints and the clean-shutdown file, unlocks. Where anything fails,
   * or failed before, there is no clean-shutdown file. Never rejects.
   */
  async close(brokerEpoch: number): Promise<void> {
    const closing = [...this.#logs].map((log) => log.close())
    const failed = (await Promise.allSettled(closing)).find((end) => end.status === 'rejected')
    try {
      if (failed !== undefined) throw failed.reason
      this.writeCheckpoints()
      const content = JSON.stringify({ version: 0, brokerEpoch })
      replaceFile(this.#disk, `${this.path}/${cleanShutdownFile}`, content, { sync: true })
    } catch (error) {
      const fields = { directory: this.path, err: error }
      this.#environment.log.error('log directory was not closed in good order', fields)
    }
    this.#lock.release()
  }

  /** What the checkpoints say of the log of this name (`topic-partition`). */
  offsetsOf(name: string): CheckpointedOffsets {
    return this.#offsets.get(name) ?? noOffsets
  }

  /** A log was opened here. */
  register(log: OpenLog): void {
    this.#logs.add(log)
  }

  /** A log was closed; its offsets stay. */
  unregister(log: OpenLog): void {
    if (this.#logs.delete(log)) this.#remember(log)
  }

  /** Renames a partition's directory out of the way at once; its files go after `delayMs`. */
  removePartition(name: string, delayMs: Milliseconds): void {
    const id = this.#environment.random.bytes(16).toString('hex')
    const suffix = `.${id}-delete`
    const doomed = name.slice(0, nameBytesMax - suffix.length) + suffix
    this.#disk.rename(`${this.path}/${name}`, `${this.path}/${doomed}`)
    this.#offsets.delete(name)
    this.#environment.timers.after(Math.min(delayMs, timerMsMax), () => this.#removeTree(doomed))
  }

  /** Forgets the checkpoints of a directory that somebody else renamed. */
  forget(name: string): void {
    this.#offsets.delete(name)
  }

  #readCheckpoints(): void {
    const points = readOffsets(this.#disk, `${this.path}/${recoveryPointFile}`)
    const starts = readOffsets(this.#disk, `${this.path}/${logStartFile}`)
    const watermarks = readOffsets(this.#disk, `${this.path}/${highWatermarkFile}`)
    for (const name of new Set([...points.keys(), ...starts.keys(), ...watermarks.keys()])) {
      this.#offsets.set(name, {
        recoveryPoint: points.get(name) ?? 0,
        logStartOffset: starts.get(name) ?? 0,
        highWatermark: watermarks.get(name) ?? 0,
      })
    }
  }

  #remember(log: OpenLog): void {
    const { recoveryPoint, logStartOffset, highWatermark } = log
    this.#offsets.set(`${log.topic}-${log.partition}`, {
      recoveryPoint,
      logStartOffset,
      highWatermark,
    })
  }

  /** Nobody waits for it; what is left is removed when the directory is opened next. */
  #removeTree(name: string): void {
    if (this.failure !== null) return
    this.#disk.removeTree(`${this.path}/${name}`).catch((error: unknown) => {
      const fields = { directory: this.path, name, err: error }
      this.#environment.log.warn('a deleted partition could not be removed', fields)
    })
  }
}

/**
 * Makes the directory and what it takes of its parents, so that all of them outlive a power loss.
 */
function makeDurably(disk: Disk, path: string): void {
  const made: string[] = []
  for (let at = path; at.length > 1 && !disk.exists(at); at = parentOf(at)) made.push(at)
  disk.makeDirectory(path)
  for (const directory of made.reverse()) disk.syncDirectory(parentOf(directory))
}

const brokerEpochOf = (content: Buffer | null): number => {
  const match = /"brokerEpoch"\s*:\s*(-?\d+)/.exec(content?.toString('utf8') ?? '')
  return match === null ? -1 : Number(match[1])
}

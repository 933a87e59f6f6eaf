/**
 * The four checkpoint files of a log directory: up to where each log is on the device
 * (`recovery-point-offset-checkpoint`), where it begins (`log-start-offset-checkpoint`, only what is
 * above 0), what was committed (`replication-offset-checkpoint`) and up to where it is compacted
 * (`cleaner-offset-checkpoint`, only logs that ever were). A file is written only if something in it
 * has changed.
 *
 * An entry that is older than the truth costs a longer recovery. One that is newer is never written,
 * and a name that is used again must not find its predecessor's: until the files are without it on
 * the device, no log of that name is opened.
 */
import type { Disk } from '../environment/disk.ts'
import type { Environment, Logger } from '../environment/environment.ts'
import { atOnce, inTurns, type Steps } from '../environment/in-turns.ts'
import {
  besideOf,
  checkpointHead,
  cleanerFile,
  highWatermarkFile,
  logStartFile,
  moveAside,
  offsetLine,
  readOffsets,
  recoveryPointFile,
  replaceFile,
  replaceFileInBackground,
} from './checkpoints.ts'

/** What the checkpoint files say of one log. */
export interface CheckpointedOffsets {
  readonly recoveryPoint: number
  readonly logStartOffset: number
  readonly highWatermark: number
  /** Up to where the log is compacted, -1 where it never was: else offsets may be missing in it. */
  readonly cleanedOffset: number
}

interface CheckpointFile {
  readonly path: string
  readonly key: keyof CheckpointedOffsets
  /** What is not worth an entry. */
  readonly unwritten: number
  /** What it says must outlast a loss of power once it was written. */
  readonly isPromise: boolean
  /** How often its content has changed, and which of these contents it holds. */
  changes: number
  written: number
}

export const noOffsets: CheckpointedOffsets = {
  recoveryPoint: 0,
  logStartOffset: 0,
  highWatermark: 0,
  cleanedOffset: -1,
}

/** Lines that are put together: a file of thousands of them is in no single piece. */
const linesAtOnce = 64

export class OffsetCheckpoints {
  readonly #turns: Pick<Environment, 'clock' | 'timers'>
  readonly #disk: Disk
  readonly #directory: string
  readonly #files: readonly CheckpointFile[]
  /** By `topic-partition`. */
  readonly #offsets = new Map<string, CheckpointedOffsets>()
  /** Names that were given up and may still be in the files. */
  #forgotten = new Set<string>()
  /** Rises with every blocking write: a write in the background that began before is outdated. */
  #generation = 0
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null

  /** Reads the files, and moves aside what stands where they are written. A damaged one counts as empty, with a warning. Throws DiskError. */
  constructor(turns: Pick<Environment, 'clock' | 'timers' | 'log'>, disk: Disk, directory: string) {
    const { log } = turns
    this.#turns = turns
    this.#disk = disk
    this.#directory = directory
    const counts = { changes: 0, written: 0 }
    const file = (name: string, key: keyof CheckpointedOffsets, unwritten: number | null) => {
      const path = `${directory}/${name}`
      const isPromise = unwritten !== null
      return { path, key, unwritten: unwritten ?? Number.NEGATIVE_INFINITY, isPromise, ...counts }
    }
    this.#files = [
      file(recoveryPointFile, 'recoveryPoint', null),
      file(logStartFile, 'logStartOffset', noOffsets.logStartOffset),
      file(highWatermarkFile, 'highWatermark', null),
      file(cleanerFile, 'cleanedOffset', noOffsets.cleanedOffset),
    ]
    for (const one of this.#files) {
      const { path, key } = one
      clearPlace(disk, path, log)
      const offsets = readOffsets(disk, path)
      if (offsets === null && disk.exists(path)) {
        // Kafka makes this one without content when it starts, until it has compacted something.
        const isAsMade = key === 'cleanedOffset' && disk.stat(path).size === 0
        if (!isAsMade) log.warn('a checkpoint file is damaged and counts as empty', { file: path })
        one.changes++
      }
      for (const [name, offset] of offsets ?? []) {
        this.#offsets.set(name, { ...this.of(name), [key]: offset })
      }
    }
  }

  /** Of the log of this name (`topic-partition`); zeros where nothing is known. */
  of(name: string): CheckpointedOffsets {
    return this.#offsets.get(name) ?? noOffsets
  }

  note(name: string, now: CheckpointedOffsets): void {
    const before = this.#offsets.get(name)
    let isChanged = before === undefined
    for (const file of this.#files) {
      const written = before?.[file.key] ?? file.unwritten
      if (written === now[file.key]) continue
      file.changes++
      isChanged = true
    }
    if (!isChanged) return
    const { recoveryPoint, logStartOffset, highWatermark, cleanedOffset } = now
    this.#offsets.set(name, { recoveryPoint, logStartOffset, highWatermark, cleanedOffset })
  }

  /** There is no log of this name any more. */
  forget(name: string): void {
    const before = this.#offsets.get(name)
    if (before === undefined) return
    this.#offsets.delete(name)
    this.#forgotten.add(name)
    for (const file of this.#files) if (before[file.key] > file.unwritten) file.changes++
  }

  /** The names of all logs that the files know. */
  names(): IterableIterator<string> {
    return this.#offsets.keys()
  }

  /** A log of this name is about to be opened: what an earlier one left must not be there. */
  reuse(name: string): void {
    if (this.#forgotten.has(name)) this.writeNow()
  }

  /** Writes what has changed; durable when it returns. Throws DiskError. */
  writeNow(): void {
    this.#generation++
    for (const file of this.#files) {
      if (file.written === file.changes) continue
      replaceFile(this.#disk, file.path, atOnce(this.#format(file)), { sync: true })
      file.written = file.changes
    }
    // One that was written in the background has its content, and perhaps not its name yet.
    this.#disk.syncDirectory(this.#directory)
    this.#forgotten.clear()
  }

  /**
   * Writes what has changed before this call, off the event loop. Log starts, what is compacted, and
   * that a name was forgotten, are durable when it resolves; of the rest a loss of power may bring back the file
   * before, which only makes a recovery longer. Rejects with DiskError.
   */
  write(): Promise<void> {
    if (this.#running === null) {
      this.#running = this.#run().finally(() => {
        this.#running = null
      })
      return this.#running
    }
    const again = () => {
      this.#next = null
      return this.write()
    }
    this.#next ??= this.#running.then(again, again)
    return this.#next
  }

  async #run(isToBeDurable = false): Promise<void> {
    const generation = this.#generation
    const isCurrent = () => this.#generation === generation
    const forgotten = this.#forgotten
    this.#forgotten = new Set(forgotten)
    let mustBeDurable = isToBeDurable || forgotten.size > 0
    for (const file of this.#files) {
      const { changes } = file
      if (file.written === changes) continue
      mustBeDurable ||= file.isPromise
      const content = await inTurns(this.#turns, this.#format(file))
      if (isCurrent()) await replaceFileInBackground(this.#disk, file.path, content, isCurrent)
      // Who came between has written this one, or has failed to.
      if (!isCurrent()) return this.#run(mustBeDurable)
      file.written = changes
    }
    if (mustBeDurable) await this.#disk.syncDirectoryAsync(this.#directory)
    // A name may have been used, and given up, once more.
    if (!isCurrent()) return this.#run(mustBeDurable)
    for (const name of forgotten) this.#forgotten.delete(name)
  }

  /** What is noted, or forgotten, while this stops is in it or in the next one: it counts as a change of its own. */
  *#format({ key, unwritten }: CheckpointFile): Steps<Buffer[]> {
    const pieces: Buffer[] = []
    let lines: string[] = []
    let count = 0
    for (const [name, offsets] of this.#offsets) {
      if (offsets[key] <= unwritten) continue
      lines.push(offsetLine(name, offsets[key]))
      if (++count % linesAtOnce !== 0) continue
      pieces.push(Buffer.from(lines.join('')))
      lines = []
      yield
    }
    return [Buffer.from(checkpointHead(count)), ...pieces, Buffer.from(lines.join(''))]
  }
}

/** A directory may stand where the file is written before it takes its place. */
function clearPlace(disk: Disk, path: string, log: Logger): void {
  const file = besideOf(path)
  if (!disk.exists(file) || !disk.stat(file).isDirectory) return
  const fields = { file, movedTo: moveAside(disk, file) }
  log.warn('a directory in the place of a checkpoint file is moved aside', fields)
}

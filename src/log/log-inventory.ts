/**
 * Which logs a directory holds: those that are open, those that nobody has looked at since an unclean end,
 * and those that the checkpoint files know and nobody finds. How far the open ones are goes from here into
 * the checkpoint files (`offset-checkpoints.ts`).
 *
 * A log is named as its partition is, `topic-partition`.
 */
import { DiskError } from '../environment/disk.ts'
import type { Environment } from '../environment/environment.ts'
import { inTurns, type Steps } from '../environment/in-turns.ts'
import type { FencedDisk } from './fenced-disk.ts'
import { type CheckpointedOffsets, noOffsets, OffsetCheckpoints } from './offset-checkpoints.ts'
import {
  isPartitionName,
  metadataLogName,
  parsePartitionName,
  partitionNameOf,
} from './partition-names.ts'

/** What the directory needs of a log that is open in it. */
export interface OpenLog extends CheckpointedOffsets {
  readonly topic: string
  readonly partition: number
  /** Moves the recovery point up where much was written since the last time. Rejects with DiskError. */
  advance(): Promise<void>
  /** Hands the operating system what `close` makes durable; whether there is anything. */
  writeOut(): Promise<boolean>
  close(): Promise<void>
}

/** A partition that the checkpoints know to have held records, without anything of its name here. */
export interface MissingPartition {
  readonly name: string
  readonly topic: string
  readonly partition: number
  /** Where its log ended, as far as the checkpoints know. */
  readonly endOffset: number
}

export class LogInventory {
  readonly #environment: Environment
  readonly #disk: FencedDisk
  readonly #directory: string
  /** Null until `load`: in a directory that failed before, no log is opened. */
  #checkpoints: OffsetCheckpoints | null = null
  #isCheckpointDue = false
  /** With what writing checkpoints failed last, said once. */
  #reportedCode: string | null = null
  readonly #open = new Set<OpenLog>()
  /** Open logs that have changed since their offsets were noted for the checkpoints. */
  readonly #changed = new Set<OpenLog>()
  /** Open logs that have changed since `takeChanged`. */
  #untaken = new Set<OpenLog>()
  /** After an unclean end: partitions that were not opened, and so not checked, since. */
  readonly #unchecked = new Set<string>()
  /** See `missing`. */
  readonly #missing = new Map<string, MissingPartition>()

  constructor(environment: Environment, disk: FencedDisk, directory: string) {
    this.#environment = environment
    this.#disk = disk
    this.#directory = directory
  }

  /** Forgets what is checkpointed and not here, and notes what must be checked. Throws DiskError. */
  load(isClean: boolean): void {
    const checkpoints = new OffsetCheckpoints(this.#environment, this.#disk, this.#directory)
    this.#checkpoints = checkpoints
    const names = new Set<string>()
    for (const { name: found, isDirectory } of this.#disk.list(this.#directory)) {
      const name = isDirectory ? partitionNameOf(found) : found
      names.add(name)
      const isLog = isDirectory && (name === metadataLogName || isPartitionName(name))
      if (isLog && !isClean) this.#unchecked.add(name)
    }
    for (const name of checkpoints.names()) {
      if (!names.has(name)) this.#miss(name, checkpoints, isClean)
    }
  }

  #miss(name: string, checkpoints: OffsetCheckpoints, isClean: boolean): void {
    const named = parsePartitionName(name)
    const { recoveryPoint, highWatermark } = checkpoints.of(name)
    const endOffset = Math.max(recoveryPoint, highWatermark)
    if (named !== null && endOffset > 0) this.#missing.set(name, { name, ...named, endOffset })
    if (!isClean || !this.#missing.has(name)) checkpoints.forget(name)
  }

  /** Logs that are open, in the order in which they were opened. */
  get open(): readonly OpenLog[] {
    return [...this.#open]
  }

  /** Every log that lay here after an unclean end was opened since, or is gone. */
  get isChecked(): boolean {
    return this.#unchecked.size === 0
  }

  /** What the checkpoints say of the log of this name, which is being opened. Throws DiskError. */
  offsetsOf(name: string): CheckpointedOffsets {
    this.#disk.check(name)
    this.#checkpoints?.reuse(name)
    return this.#checkpoints?.of(name) ?? noOffsets
  }

  /** A log was opened here, and is in order now. */
  register(log: OpenLog): void {
    this.#open.add(log)
    this.noteChange(log)
    this.#unchecked.delete(nameOf(log))
    this.#missing.delete(nameOf(log))
  }

  /** A log was closed; its offsets stay. */
  unregister(log: OpenLog): void {
    if (this.#open.delete(log)) this.#checkpoints?.note(nameOf(log), log)
    this.#changed.delete(log)
    this.#untaken.delete(log)
  }

  /** Something of what is checkpointed of a log has changed. It costs next to nothing: each append tells. */
  noteChange(log: OpenLog): void {
    this.#changed.add(log)
    this.#untaken.add(log)
  }

  /** The logs that have changed since this was asked last. */
  takeChanged(): ReadonlySet<OpenLog> {
    const taken = this.#untaken
    this.#untaken = new Set()
    return taken
  }

  /** The log of this name is gone, and so is what was known of it. */
  forget(name: string): void {
    this.#unchecked.delete(name)
    this.#checkpoints?.forget(name)
  }

  /**
   * After a clean shutdown: what was removed, or renamed, while nobody ran; opening such a log says what
   * is lost and goes on at its end. Until then only this process knows that end: after an end that is not
   * clean it may be a deletion that was not checkpointed any more, and its offsets are forgotten.
   */
  missing(): IterableIterator<MissingPartition> {
    return this.#missing.values()
  }

  /** Whether the log of this name is among them still. */
  isMissing(name: string): boolean {
    return this.#missing.has(name)
  }

  /** Nobody wants the log of this name back. */
  forgetMissing(name: string): void {
    if (this.#missing.delete(name)) this.#checkpoints?.forget(name)
  }

  /** Writes the recovery-point, log-start, high-watermark and cleaner checkpoints. Throws DiskError. */
  writeCheckpoints(): void {
    for (const log of this.#open) this.#checkpoints?.note(nameOf(log), log)
    this.#checkpoints?.writeNow()
  }

  /**
   * As `writeCheckpoints`, off the event loop, of the logs that have changed; log starts, and what is
   * compacted, are durable when it resolves. Rejects with DiskError.
   */
  async checkpoint(): Promise<void> {
    this.#disk.check(null)
    await inTurns(this.#environment, this.#noteChanged())
    await this.#checkpoints?.write()
    this.#reportedCode = null
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
      if (this.#disk.failure !== null) return
      try {
        this.writeCheckpoints()
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
        this.reportCheckpointError(error)
      }
    })
  }

  /** A checkpoint could not be written. Where the device failed, the directory has said so already. */
  reportCheckpointError(err: unknown): void {
    const code = err instanceof DiskError ? err.code : ''
    if (this.#disk.failure !== null || code === this.#reportedCode) return
    this.#reportedCode = code
    const fields = { directory: this.#directory, err }
    this.#environment.log.error('a checkpoint file could not be written', fields)
  }

  /** Whoever finds nothing left to note knows that all of it was noted. */
  *#noteChanged(): Steps<void> {
    for (const log of this.#changed) {
      this.#changed.delete(log)
      // One that was closed meanwhile was noted then, and its name may be another's by now.
      if (this.#open.has(log)) this.#checkpoints?.note(nameOf(log), log)
      yield
    }
  }
}

const nameOf = ({ topic, partition }: OpenLog): string => `${topic}-${partition}`

/**
 * The end of a log, where batches come in. What is appended goes into the active segment's queue and
 * the turn's group; at the end of the turn everything queued is written with one call, synced where the
 * topic asks for it, and only then does `offset` move and the shared `written` promise resolve. A
 * segment that is full ends here, and the next begins.
 *
 *     offset <= writtenOffset <= nextOffset
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import { DiskError } from '../environment/disk.ts'
import type { Environment } from '../environment/environment.ts'
import { Durability } from './durability.ts'
import { type Group, GroupCommit } from './group-commit.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import { lastOffsetOf, leaderEpochOf, maxTimestampOf } from './links.ts'
import type { LogConfig } from './log-config.ts'
import { isOutOfFiles, OutOfFiles, orOutOfFiles } from './out-of-files.ts'
import { applyBatch } from './producer-replay.ts'
import type { ProducerSnapshots } from './producer-snapshot.ts'
import type { ProducerStates } from './producer-states.ts'
import { drawJitter, hasRoom, isSpanTooWide, mustRoll } from './roll.ts'
import type { Segments } from './segments.ts'
import type { Tail } from './tail-cache.ts'

export interface LogEndOptions {
  readonly environment: Environment
  /** `topic-partition`, for messages. */
  readonly name: string
  readonly config: () => LogConfig
  /** Where the log ends. */
  readonly offset: number
  readonly segments: Segments
  readonly snapshots: ProducerSnapshots
  readonly epochs: LeaderEpochs
  readonly producers: ProducerStates
  readonly tail: Tail | null
  /** A segment is durable before another follows it; else that comes with the next sync. */
  readonly isSyncedBeforeRoll: boolean
  /** Runs synchronously each time `offset` has moved forwards, before `written` resolves. */
  readonly onWritten: () => void
  /** Runs after each sync: the recovery point may have moved. */
  readonly onSynced: () => void
}

export class LogEnd {
  readonly #options: LogEndOptions
  readonly #segments: Segments
  readonly #durability: Durability
  readonly #commit: GroupCommit
  #offset: number
  #nextOffset: number
  /** Handed to the operating system, perhaps not acknowledged yet. */
  #writtenOffset: number
  #rollJitterMs: number

  constructor(options: LogEndOptions) {
    const { environment, config, offset, segments } = options
    this.#options = options
    this.#segments = segments
    this.#offset = offset
    this.#nextOffset = offset
    this.#writtenOffset = offset
    this.#rollJitterMs = drawJitter(config(), environment.random)
    this.#durability = new Durability({ ...options, writtenOffset: () => this.#writtenOffset })
    this.#commit = new GroupCommit(environment.timers, {
      write: () => this.write(),
      needsSync: () => this.#durability.isDue(config()),
      sync: () => this.#durability.sync(),
      complete: (group) => this.#complete(group),
    })
  }

  /** Written, synced where that is asked for, and readable up to here, exclusive. */
  get offset(): number {
    return this.#offset
  }

  /** `offset` plus what is queued. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /** Settles when all that was appended so far has been acknowledged. */
  get written(): Promise<void> {
    return this.#commit.settled
  }

  /**
   * Takes batches with their final offsets. Throws KafkaError KAFKA_STORAGE_ERROR, and INVALID_RECORD past the
   * last offset there is; OutOfFiles where nothing is noted of them.
   */
  append(bytes: Buffer, baseOffset: number, lastOffset: number): void {
    // Behind it two records would get the same number.
    if (lastOffset >= Number.MAX_SAFE_INTEGER) {
      const message = `${this.#options.name} ends at ${baseOffset}: no offsets are left for more.`
      throw new KafkaError(errors.INVALID_RECORD, message)
    }
    try {
      this.#rollIfNeeded(bytes, baseOffset, lastOffset)
      this.#holdActive(bytes)
      this.#note(bytes)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      throw new KafkaError(errors.KAFKA_STORAGE_ERROR, error.message, { cause: error })
    }
    this.#nextOffset = lastOffset + 1
    const group = this.#commit.join()
    group.endOffset = this.#nextOffset
    group.appended.push({ baseOffset, lastOffset, bytes })
  }

  /** Hands what is queued to the operating system. Throws DiskError. */
  write(): void {
    const { active } = this.#segments
    active.write()
    if (this.#writtenOffset === this.#nextOffset) return
    this.#writtenOffset = this.#nextOffset
    this.#segments.markDirty(active)
    this.#durability.onWritten(this.#options.config())
  }

  /** Ends the active segment if it holds anything; the next one begins here. Throws DiskError. */
  roll(): void {
    if (this.#segments.active.size > 0) this.#rollAt(this.#nextOffset)
  }

  /** Writes and acknowledges what is queued. Rejects with DiskError. */
  async settle(): Promise<void> {
    this.#commit.commit()
    await this.#commit.settled
  }

  /** Writes what is queued, at once, unless a sync is under way. Throws nothing: `written` rejects. */
  commit(): void {
    this.#commit.commit()
  }

  /** Makes durable what was written, and moves the recovery point. Rejects with DiskError. */
  sync(): Promise<void> {
    return this.#durability.sync()
  }

  /** Nothing is stored up to `offset`, where a segment begins. Throws DiskError. */
  skipTo(offset: number): void {
    const { active, list } = this.#segments
    this.commit()
    if (active.size > 0) this.#rollAt(offset)
    else this.#segments.replaceFrom(list.length - 1, offset)
    this.#nextOffset = offset
    this.#writtenOffset = offset
    this.#offset = offset
  }

  /**
   * What is not acknowledged yet goes to the end of another log of the same records, and shares its fate.
   * Nothing follows what could not be appended there: offsets would be missing between the two.
   */
  handOver(next: LogEnd): void {
    this.#durability.stop()
    let failure: { readonly error: unknown } | null = null
    for (const group of this.#commit.handOver()) {
      failure ??= appendTo(next, group)
      if (failure === null) next.written.then(group.resolve, group.reject)
      else group.reject(failure.error)
    }
  }

  /** The segments were cut, and end at `offset` now. */
  moveBack(offset: number): void {
    this.#options.tail?.clear()
    this.#commit.truncate(offset)
    this.#segments.onTruncated(offset)
    this.#nextOffset = offset
    this.#writtenOffset = offset
    this.#offset = offset
  }

  /** The files are given up: what waits to be written is refused. */
  abandon(why: () => Error): void {
    this.#commit.end(why)
    this.#durability.stop()
    this.#options.tail?.clear()
  }

  /** Opens what may not be found closed in the middle of noting the batches. */
  #holdActive(bytes: Buffer): void {
    const { active } = this.#segments
    try {
      active.hold()
      if (hasControlBatch(bytes)) active.transactionIndex.prepare()
    } catch (error) {
      throw isOutOfFiles(error) ? new OutOfFiles(error) : error
    }
  }

  #note(bytes: Buffer): void {
    const { epochs, producers } = this.#options
    const segment = this.#segments.active
    for (let at = 0; at < bytes.length; at += header.batchBytes(bytes, at)) {
      epochs.assign(leaderEpochOf(bytes, at), header.baseOffset(bytes, at))
      segment.note(header.batchBytes(bytes, at), lastOffsetOf(bytes, at), maxTimestampOf(bytes, at))
      const completed = applyBatch(producers, bytes, at)
      if (completed?.isAborted === true) segment.transactionIndex.append(completed)
    }
    segment.queue(bytes)
  }

  #rollIfNeeded(bytes: Buffer, baseOffset: number, lastOffset: number): void {
    const { active, list } = this.#segments
    if (active.size === 0) {
      if (isSpanTooWide(active, lastOffset)) {
        orOutOfFiles(() => this.#segments.replaceFrom(list.length - 1, baseOffset))
      }
      return
    }
    const { environment, config } = this.#options
    const now = environment.clock.now()
    const options = { config: config(), jitterMs: this.#rollJitterMs, now }
    if (!mustRoll(active, bytes, lastOffset, options)) return
    try {
      this.#rollAt(baseOffset)
    } catch (error) {
      if (!isOutOfFiles(error)) throw error
      // What comes next tries again; meanwhile nobody is refused.
      if (!hasRoom(active, bytes, lastOffset)) throw new OutOfFiles(error)
    }
  }

  /** Throws DiskError: where no file can be opened all is as before. */
  #rollAt(baseOffset: number): void {
    const { snapshots, producers, config, environment, epochs, isSyncedBeforeRoll } = this.#options
    this.write()
    if (isSyncedBeforeRoll) {
      if (epochs.persist(baseOffset, { sync: true })) this.#segments.markNames()
      this.#segments.syncNow(baseOffset)
    }
    snapshots.take(baseOffset, producers.entries())
    try {
      this.#segments.roll(baseOffset)
    } catch (error) {
      // There may be very many tries.
      if (isOutOfFiles(error)) snapshots.keepOnly((offset) => offset !== baseOffset)
      throw error
    }
    this.#rollJitterMs = drawJitter(config(), environment.random)
    this.#durability.syncInBackground()
  }

  #complete(group: Group): void {
    const { tail, onWritten } = this.#options
    for (const { baseOffset, lastOffset, bytes } of group.appended) {
      tail?.add(baseOffset, lastOffset, bytes)
    }
    if (group.endOffset <= this.#offset) return
    this.#offset = group.endOffset
    onWritten()
  }
}

function hasControlBatch(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += header.batchBytes(bytes, at)) {
    if (header.isControl(bytes, at)) return true
  }
  return false
}

/** What went wrong, or null; batches before the one that failed stay, as after any answer that got lost. */
function appendTo(next: LogEnd, { appended }: Group): { readonly error: unknown } | null {
  try {
    for (const { bytes, baseOffset, lastOffset } of appended) {
      next.append(bytes, baseOffset, lastOffset)
    }
    return null
  } catch (error) {
    return { error }
  }
}

/**
 * Moves partitions between the log directories of this broker (KIP-113). A move begins with an empty log in
 * the directory that was asked for, and copies one partition after the other, in the order in which they were
 * asked for. What the copy goes through:
 *
 *     copying ──has all──▶ assigned ──has all──▶ the partition's log
 *        │                    │     the metadata names the new directory before the logs change
 *        └───── given up ─────┘     places (KIP-858): a start in between knows which one counts
 *
 * A restart finds the copy and goes on; to ask for another directory, or for the one where the partition
 * lies, gives it up.
 */
import { KafkaError } from '../../protocol/errors.ts'
import { DiskError } from '../environment/disk.ts'
import type { Environment, Milliseconds } from '../environment/environment.ts'
import type { Log } from '../log/log.ts'
import { unlimited } from '../log/log-config.ts'
import { LogCopy } from '../log/log-copy.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import { isOutOfFiles, OutOfFiles } from '../log/out-of-files.ts'
import { Pace } from '../log/pace.ts'
import { guarded } from './found-logs.ts'
import type { Partition } from './partition.ts'

export interface DirectoryMovesOptions {
  readonly environment: Environment
  /** replica.alter.log.dirs.io.max.bytes.per.second, read anew whenever it matters. */
  readonly bytesPerSecondMax: () => number
  /** Opens, or makes, in the directory of this name the log that is to take the place of the partition's. */
  readonly open: (partition: Partition, directory: LogDirectory, directoryName: string) => Log
  /** Resolves when the metadata says that the partition lies in the directory. Rejects with KafkaError. */
  readonly assign: (partition: Partition, directory: LogDirectory) => Promise<void>
  /** The log is the partition's from now on; called in the same turn. */
  readonly onMoved: (partition: Partition, log: Log) => void
}

/** The move is over before its end, and nothing is wrong. */
class MoveEnded extends Error {
  override readonly name = 'MoveEnded'
}

interface Move {
  readonly partition: Partition
  readonly next: Log
  isGivenUp: boolean
  /** The metadata names the new directory, or may. */
  isAssigned: boolean
  /** The logs exchange their places. */
  isTaking: boolean
}

/** A copy for which no file can be opened goes on after so long. */
const retryMs: Milliseconds = 1_000

const notBegun = { isGivenUp: false, isAssigned: false, isTaking: false }

export class DirectoryMoves {
  readonly #options: DirectoryMovesOptions
  readonly #pace: Pace
  /** Those to come and the one under way, oldest first. */
  readonly #moves = new Map<Partition, Move>()
  #running: Promise<void> = Promise.resolve()
  #isRunning = false
  #isStopping = false
  /** Since the start; counts only rise. */
  readonly counters = { moved: 0, failed: 0, bytes: 0 }

  constructor(options: DirectoryMovesOptions) {
    const { environment, bytesPerSecondMax } = options
    this.#options = options
    this.#pace = new Pace(environment, () =>
      this.#isStopping ? Number.MAX_VALUE : bytesPerSecondMax(),
    )
  }

  /** The log that is to take the place of the partition's, or null. */
  nextOf(partition: Partition): Log | null {
    return this.#moves.get(partition)?.next ?? null
  }

  /** By how many records each copy lags behind. */
  *lags(): IterableIterator<number> {
    for (const { partition, next } of this.#moves.values()) yield lagOf(partition, next)
  }

  /** Throws DiskError, and KafkaError KAFKA_STORAGE_ERROR. */
  begin(partition: Partition, directory: LogDirectory): void {
    const name = directory.partitions.futureName(partition.topic, partition.index)
    try {
      this.#add(partition, directory, name)
    } catch (error) {
      this.#removeBegun(directory, name)
      throw error
    }
    const from = partition.directory?.path
    const fields = { partition: `${partition}`, from, to: directory.path }
    this.#options.environment.log.info('a partition is moved to another log directory', fields)
  }

  /** A copy that could not be opened: the next start would take it for one to go on with. */
  #removeBegun(directory: LogDirectory, name: string): void {
    guarded(directory, this.#options.environment.log, () => {
      if (directory.partitions.has(name)) directory.partitions.remove(name, 0)
    })
  }

  /** Goes on with what an earlier process began; a copy that is damaged begins anew. */
  resume(partition: Partition, directory: LogDirectory, directoryName: string): void {
    const { log } = this.#options.environment
    try {
      this.#add(partition, directory, directoryName)
    } catch (err) {
      if (!(err instanceof DiskError) && !(err instanceof KafkaError)) throw err
      const fields = { partition: `${partition}`, directory: directory.path, err }
      log.warn('the copy of a partition in another directory is damaged, and begins anew', fields)
      guarded(directory, log, () => {
        directory.partitions.remove(directoryName, 0)
        this.begin(partition, directory)
      })
    }
  }

  /**
   * The partition stays where it is, or goes elsewhere. `isGone`: it is deleted, and nobody needs to know
   * any more where it lies.
   */
  giveUp(partition: Partition, { isGone = false } = {}): void {
    const move = this.#moves.get(partition)
    if (move === undefined) return
    this.#end(move)
    this.#discard(move)
    if (move.isAssigned && !isGone) this.tellPlace(partition)
  }

  /** The settings of the topic have changed. */
  updateConfig(partition: Partition): void {
    this.nextOf(partition)?.updateConfig(copyConfig(partition))
  }

  /** The rate may be another one. */
  rateChanged(): void {
    this.#pace.wake()
  }

  /** Ends what is under way, unless it is nearly over; resolves when nothing more is done. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#pace.wake()
    await this.#running
  }

  #add(partition: Partition, directory: LogDirectory, directoryName: string): void {
    const next = this.#options.open(partition, directory, directoryName)
    next.updateConfig(copyConfig(partition))
    this.#moves.set(partition, { partition, next, ...notBegun })
    if (this.#isRunning) return
    this.#isRunning = true
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    await this.#pace.rest()
    for (;;) {
      const [move] = this.#moves.values()
      if (move === undefined || this.#isStopping) break
      try {
        await this.#move(move)
      } catch (error) {
        if (!move.isTaking && isForLater(error)) await this.#untilFilesWereClosed()
        else this.#failed(move, error)
      }
    }
    this.#isRunning = false
  }

  async #untilFilesWereClosed(): Promise<void> {
    const { timers } = this.#options.environment
    await new Promise<void>((resolve) => void timers.after(retryMs, resolve))
  }

  async #move(move: Move): Promise<void> {
    const { partition, next } = move
    const { environment, assign, onMoved } = this.#options
    const current = partition.log
    const from = current.directory
    const check = () => this.#check(move, current)
    check()
    const copy = new LogCopy({ environment, current, next, pace: this.#pace, check })
    await copy.begin()
    await copy.catchUp()
    await next.flush()
    check()
    move.isAssigned = true
    await assign(partition, next.directory)
    await copy.complete(() => {
      move.isTaking = true
      next.takePlaceOf(current)
      onMoved(partition, next)
      // From this turn on it is no copy any more, to be given up or set up as one.
      this.#moves.delete(partition)
    })
    this.counters.moved++
    this.counters.bytes += next.size
    const fields = { partition: `${partition}`, from: from.path, to: next.directory.path }
    environment.log.info('a partition lies in another log directory now', fields)
  }

  /** Throws MoveEnded. Once the metadata names the new directory, the broker waits for the end. */
  #check({ partition, isGivenUp, isAssigned }: Move, current: Log): void {
    const isHere = !partition.isOffline && partition.openedLog === current
    if (isHere && !isGivenUp && (isAssigned || !this.#isStopping)) return
    throw new MoveEnded('the partition stays where it is, or the broker stops')
  }

  #failed(move: Move, err: unknown): void {
    const { partition, next } = move
    const isForeseen =
      err instanceof MoveEnded || err instanceof DiskError || err instanceof KafkaError
    // Nobody knows then which of the two is the partition's log: the next start finds out.
    if (!isForeseen && move.isTaking) partition.fail(err as Error)
    const isEnded = move.isGivenUp || err instanceof MoveEnded
    this.#end(move)
    if (isEnded) return
    this.counters.failed++
    const fields = { partition: `${partition}`, to: next.directory.path, err }
    this.#options.environment.log.error('a partition could not be moved', fields)
    // Where the partition failed, the copy may be what the next start needs.
    if (partition.isOffline) return
    this.#discard(move)
    if (move.isAssigned) this.tellPlace(partition)
  }

  #end(move: Move): void {
    const { partition } = move
    move.isGivenUp = true
    if (this.#moves.get(partition) === move) this.#moves.delete(partition)
    const current = partition.openedLog
    if (current !== null) current.cleanable.isPaused = false
    this.#pace.wake()
  }

  #discard({ next }: Move): void {
    if (!next.isUsable) return
    guarded(next.directory, this.#options.environment.log, () => next.delete())
  }

  /** The metadata is to say where the partition lies. */
  tellPlace(partition: Partition): void {
    const { directory } = partition
    if (directory === null) return
    const { assign, environment } = this.#options
    assign(partition, directory).catch((err: unknown) => {
      const fields = { partition: `${partition}`, directory: directory.path, err }
      environment.log.warn('the metadata names another log directory than that of the log', fields)
    })
  }
}

/** No file can be opened now; both logs are as they were. */
const isForLater = (error: unknown): boolean => isOutOfFiles(error) || error instanceof OutOfFiles

/** The copy is synced before it counts: until then nobody waits for it. */
function copyConfig({ config }: Partition): Partition['config'] {
  return { ...config, flushMessages: unlimited, flushMs: unlimited }
}

/** By how many records the copy lags behind. */
export function lagOf(partition: Partition, next: Log): number {
  return partition.logEndOffset - next.logEndOffset
}

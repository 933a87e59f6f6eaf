/**
 * Ends the broker where it is most delicate: soon after a segment was let go of, so that others have to
 * know what it told of producers and transactions; soon after a segment was rolled, while it is being synced
 * and the one behind it is written already; when a recovery point is written down while records are being
 * synced; in the middle of the swap that puts a compacted segment in the place of its originals; and between
 * what a coordinator of transactions has recorded and what follows from it, where it may also be another log
 * directory that fails. Where a producer waits for a sync, it is the sync that fails.
 */
import { recordsFile } from './disk-faults.ts'
import { segmentEnd } from './log-files.ts'
import type { DiskOperation } from './memory-disk.ts'
import { SeededRandom } from './random.ts'
import type { SimulatedProcess } from './simulated-world.ts'
import type { Stage } from './stage.ts'

/** A segment that goes, or a compacted one that comes. */
const delicate = /\/\d{20}\.log(\.cleaned)?$/

const segment = /\/(\d{20})\.log$/
const partitionSegment = /^(.*\/([^/]+-\d+))\/(\d{20})\.log$/
const recoveryPoints = /\/recovery-point-offset-checkpoint\.tmp$/
const firstBase = '0'.repeat(20)
const compactedSegment = /\/\d{20}\.log\.cleaned$/
const transactionLog = /\/__transaction_state-\d+\/\d{20}\.log$/

/** Every end takes a start; a run has many others. */
const endsMax = 4
const rollEndsMax = 4
const swapEndsMax = 3
const decisionEndsMax = 3
const checkpointEndsMax = 3
const syncFailuresMax = 2

/** Of a segment that goes with what somebody asks about, where ends are untimely at all. */
const probedEndChance = 0.6

/** The removal of a segment takes no more. */
const operationsMax = 12
/** The swap for up to two originals. */
const swapOperationsMax = 24
/** From the making of the segment that follows on, until the one before is synced. */
const rollOperationsMax = 16
/** The markers of a transaction, and the record that they are written. */
const decisionOperationsMax = 8

interface Host {
  readonly process: SimulatedProcess | null
  readonly isUp: boolean
  readonly faults: {
    dieSoon(operationsMax: number, how?: 'kill' | 'power loss'): void
    failSoon(operation: 'write' | 'sync', under: string): void
  }
  end(how: 'power loss', why: string): void
}

export class UntimelyEnds {
  readonly #stage: Stage
  readonly #host: Host
  /** Its own: seeds in which nothing of the kind happens keep their course. */
  readonly #random: SeededRandom
  readonly #rollRandom: SeededRandom
  readonly #checkpointRandom: SeededRandom
  readonly #failRandom: SeededRandom
  readonly #syncRandom: SeededRandom
  #left = endsMax
  #rollsLeft = rollEndsMax
  #swapsLeft = swapEndsMax
  #decisionsLeft = decisionEndsMax
  #failuresLeft = decisionEndsMax
  #checkpointsLeft = checkpointEndsMax
  #syncFailuresLeft = syncFailuresMax

  constructor(stage: Stage, host: Host) {
    this.#stage = stage
    this.#host = host
    this.#random = new SeededRandom(stage.world.seed).fork('untimely ends')
    this.#rollRandom = new SeededRandom(stage.world.seed).fork('ends after rolls')
    this.#checkpointRandom = new SeededRandom(stage.world.seed).fork('ends after checkpoints')
    this.#failRandom = new SeededRandom(stage.world.seed).fork('failures after decisions')
    this.#syncRandom = new SeededRandom(stage.world.seed).fork('failures of syncs')
  }

  /** The broker is about to do something with its disk. */
  onOperation(operation: DiskOperation, path: string): void {
    if (!this.#host.isUp || this.#stage.isHealed) return
    if (operation === 'rename') this.#onRename(path)
    else if (operation === 'open') this.#onOpen(path)
    else if (operation === 'sync') this.#onSync(path)
    else if (operation === 'write' && transactionLog.test(path)) this.#onDecision(path)
  }

  /** Of the segment before, and of its name, a loss of power may leave less than of the one that follows. */
  #onOpen(path: string): void {
    const { temper } = this.#stage
    const { process } = this.#host
    const [, base = firstBase] = segment.exec(path) ?? []
    if (process === null || base === firstBase || temper.rollEndChance === 0) return
    if (this.#rollsLeft === 0 || !this.#rollRandom.chance(temper.rollEndChance)) return
    const at = path.lastIndexOf('/')
    if (process.disk.look(path.slice(0, at)).has(path.slice(at + 1))) return
    this.#rollsLeft--
    this.#host.faults.dieSoon(rollOperationsMax, 'power loss')
  }

  /** What it should have saved must not be acknowledged, and is gone with the process. */
  #onSync(path: string): void {
    const { temper, history } = this.#stage
    const { promisedSyncFailChance } = temper
    if (this.#syncFailuresLeft === 0 || promisedSyncFailChance === 0) return
    const [, , name = ''] = partitionSegment.exec(path) ?? []
    if (history.partitions.get(name)?.promise.isDurable !== true) return
    if (!this.#syncRandom.chance(promisedSyncFailChance)) return
    this.#syncFailuresLeft--
    this.#host.faults.failSoon('sync', path)
  }

  /** What it does not say itself it has to find out at the next start. */
  #onDecision(path: string): void {
    const { decisionEndChance, decisionFailChance, logDirs } = this.#stage.temper
    // Not the first one, which has the metadata: with it the broker ends.
    const other = logDirs.slice(1).find((directory) => !path.startsWith(`${directory}/`))
    if (
      other !== undefined &&
      this.#failuresLeft > 0 &&
      this.#failRandom.chance(decisionFailChance)
    ) {
      this.#failuresLeft--
      this.#host.faults.failSoon('write', other)
    }
    if (this.#decisionsLeft === 0 || !this.#random.chance(decisionEndChance)) return
    this.#decisionsLeft--
    this.#host.faults.dieSoon(decisionOperationsMax, 'kill')
  }

  #onRename(path: string): void {
    const { temper } = this.#stage
    const { process } = this.#host
    if (process === null) return
    if (recoveryPoints.test(path)) this.#onCheckpoint(process)
    if (!delicate.test(path)) return
    // A loss of power may take more, and excuses more.
    const isSwap = compactedSegment.test(path) && this.#swapsLeft > 0
    if (isSwap && this.#random.chance(temper.swapEndChance)) {
      this.#swapsLeft--
      this.#host.faults.dieSoon(swapOperationsMax, 'kill')
      return
    }
    if (this.#left === 0 || temper.untimelyEndChance === 0) return
    const isProbed = this.#isProbed(path, process)
    const chance = isProbed ? probedEndChance : temper.untimelyEndChance
    if (!this.#random.chance(chance)) return
    this.#left--
    if (!isProbed && this.#random.chance(0.5)) this.#host.faults.dieSoon(operationsMax)
    else this.#endSoon(process, this.#random, 'after a segment went')
  }

  /** Somebody will ask whether the last batch of a producer is known, which goes with this segment. */
  #isProbed(path: string, { disk }: SimulatedProcess): boolean {
    const [, directory = '', name = '', base = ''] = partitionSegment.exec(path) ?? []
    const { probedAt = -1 } = this.#stage.history.partitions.get(name) ?? {}
    return probedAt >= Number(base) && probedAt < segmentEnd(disk.look(directory), Number(base))
  }

  /** A recovery point is about to take the place of the one before. */
  #onCheckpoint(process: SimulatedProcess): void {
    const { checkpointEndChance } = this.#stage.temper
    if (this.#checkpointsLeft === 0 || !process.disk.isSyncing(recordsFile)) return
    if (!this.#checkpointRandom.chance(checkpointEndChance)) return
    this.#checkpointsLeft--
    this.#endSoon(process, this.#checkpointRandom, 'behind a recovery point')
  }

  #endSoon(process: SimulatedProcess, random: SeededRandom, why: string): void {
    const delayMs = random.float() * random.pick([1, 10, 1_000])
    this.#stage.world.schedule(process, 'power', delayMs, () => {
      if (!this.#stage.isHealed) this.#host.end('power loss', why)
    })
  }
}

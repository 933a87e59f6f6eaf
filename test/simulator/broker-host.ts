/**
 * The machine that the broker runs on: starts it, ends it in all the ways in which a process or a machine
 * can end, damages its files while it does not run, and starts it again. Before each end it works out from
 * the disk what may be missing afterwards, and tells the history; where something may be, nobody but an
 * auditor is let in before the partitions concerned were read.
 */
import { Broker } from '../../src/broker.ts'
import { BrokerConfig } from '../../src/config/broker-config.ts'
import { audit } from './auditor.ts'
import { type Flip, flipBits } from './bit-rot.ts'
import { DiskFaults } from './disk-faults.ts'
import { endOfRecords, type PartitionFiles, partitionFiles } from './log-files.ts'
import { SeededRandom } from './random.ts'
import { compareRecovered } from './recovered-logs.ts'
import { SegmentRemovals } from './segment-removals.ts'
import type { SimulatedProcess } from './simulated-world.ts'
import { port, type Stage, sleep, startClient } from './stage.ts'
import { UntimelyEnds } from './untimely-ends.ts'
import { Violation } from './violation.ts'

/** Longer than any peer takes to see that the machine is gone: no old answer meets a new offset. */
const downtimeMsMin = 600
/** As in `main.ts`. */
const stopLimitMs = 10_000
/** As `stopLimitMs`, where the disk has failed. */
const fatalStopLimitMs = 3_000

/** What groups have committed and acknowledged. */
const ofGroups = /^__(consumer_offsets|share_group_state)-/
/** Partitions that transactions depend on. */
const ofLedger = /^(ledger\.\d+|__transaction_state)-\d+$/

/** Of a loss of power: that readers come back later than writers, and how much. */
const lateReadersChance = 0.4
const readersLateMsMax = 10_000

/** They have read what a loss may take. */
const ofReaders = /^(reader|member\d+\.\d+)$/

type End = 'kill' | 'power loss' | 'power off' | 'exit'

export class BrokerHost {
  readonly #stage: Stage
  readonly #random: SeededRandom
  readonly #faults: DiskFaults
  #process: SimulatedProcess | null = null
  #broker: Broker | null = null
  #onEnd: () => void = () => undefined
  #onReady: (() => void)[] = []
  #isReady = false
  #isAudited = true
  #isStarting = false
  /** Memories are compared before clients are let in. */
  #mustCompare = false
  /** The last end was a clean stop. */
  #isStopped = false
  #mayRefuse: Flip[] = []
  #auditor: SimulatedProcess | null = null
  /** Its own: seeds without a loss of power keep their course. */
  readonly #lateReaders: SeededRandom
  #readersWaitUntilMs = 0
  /** How often group offsets may have gone back. */
  offsetsLost = 0
  /** Bits of a log of group offsets turned over: its coordinator may be out of service for good. */
  areOffsetsDamaged = false

  constructor(stage: Stage) {
    this.#stage = stage
    this.#random = stage.world.random.fork('host')
    this.#lateReaders = new SeededRandom(stage.world.seed).fork('late readers')
    this.#faults = new DiskFaults(stage, this.#random.fork('disk faults'))
    stage.world.admits = ({ name }) => this.#admits(name)
    const disk = stage.world.disk('broker')
    for (const path of stage.temper.logDirs) disk.makeDirectory(path)
    disk.syncDirectory('/')
    this.#faults.watch(disk, (end) => this.end(end))
    const removals = new SegmentRemovals(stage, this)
    const ends = new UntimelyEnds(stage, this)
    this.#faults.onOperation = (operation, path) => {
      if (operation === 'rename') removals.onRename(path)
      ends.onOperation(operation, path)
    }
  }

  /** Keeps a broker running for ever. */
  async run(): Promise<never> {
    for (;;) {
      const ended = new Promise<void>((resolve) => {
        this.#onEnd = resolve
      })
      await Promise.race([this.#start(), ended])
      await ended
      await sleep(this.#stage.world.director.environment, this.#drawDowntimeMs())
      this.#rot()
    }
  }

  get starts(): number {
    return this.#stage.starts
  }

  /** Resolves when clients are let in. */
  ready(): Promise<void> {
    if (this.#isReady) return Promise.resolve()
    return new Promise((resolve) => this.#onReady.push(resolve))
  }

  get isRunning(): boolean {
    return this.#broker !== null
  }

  /** It has read what it found, and serves. */
  get isUp(): boolean {
    return this.#process !== null && !this.#isStarting
  }

  get process(): SimulatedProcess | null {
    return this.#process
  }

  get faults(): DiskFaults {
    return this.#faults
  }

  /** Part of the log directories is out of service. */
  get isLame(): boolean {
    const health = this.#broker?.health()
    return health !== undefined && health.reason !== undefined
  }

  /** Stops it in good order, as SIGTERM does: it has ten seconds. */
  async stop(): Promise<void> {
    const process = this.#process
    const broker = this.#broker
    if (process === null || broker === null) return
    this.#stage.trace.fault('clean stop', '')
    this.#isReady = false
    const stopped = broker.stop().catch((error: Error) => {
      if (process.isAlive) throw new Violation(`stopping failed: ${error.stack}`)
    })
    let isClean = false
    void stopped.then(() => {
      isClean = true
    })
    await Promise.race([stopped, sleep(this.#stage.world.director.environment, stopLimitMs)])
    if (!process.isAlive) return
    isClean &&= !this.#faults.struck
    if (isClean) {
      for (const one of this.#stage.history.partitions.values())
        one.startMin = one.deletedUpToSurely
    }
    // After a clean stop everything is durable.
    this.#isStopped = isClean
    const isOff = isClean && this.#random.chance(this.#stage.temper.offAfterStopChance)
    this.end(isOff ? 'power off' : 'exit')
  }

  /** Ends it at once. */
  end(how: End, why = ''): void {
    const process = this.#process
    if (process === null || !process.isAlive) return
    const { world, trace } = this.#stage
    trace.fault(this.#isStarting ? `${how} while starting` : how, why)
    const { disk } = process
    this.#noteWhatIsHeld(this.#partitions(disk.snapshot('written')))
    const filesWithLosses = disk.filesWithLosses()
    if (how === 'power loss') {
      const durable = this.#partitions(disk.snapshot('durable'))
      this.#mayLose(durable, (promise) => !promise.isDurable)
      if (!this.#stage.temper.isOffsetsTopicDurable) {
        this.offsetsLost++
        this.#stage.ledgers.lose()
      }
      world.crash(process)
      const { isAboutRecovery } = this.#stage.temper
      if (isAboutRecovery && this.#lateReaders.chance(lateReadersChance)) {
        this.#readersWaitUntilMs = world.nowMs + this.#lateReaders.between(0, readersLateMsMax)
      }
    } else if (how === 'power off') {
      world.crash(process)
    } else {
      world.kill(process)
      if (filesWithLosses.length > 0) this.#loseUnsynced(filesWithLosses)
    }
    if (how !== 'exit') {
      // Log starts are written down now and then only, as Kafka does.
      for (const one of this.#stage.history.partitions.values())
        one.deletedUpToSurely = one.startMin
    }
    this.#process = null
    this.#broker = null
    this.#isReady = false
    this.#isStarting = false
    this.#onEnd()
  }

  /** Where readers come later, the log that was cut may have grown beyond where they were. */
  #admits(name: string): boolean {
    const { world, isHealed } = this.#stage
    const isLate = !isHealed && world.nowMs < this.#readersWaitUntilMs && ofReaders.test(name)
    return name === 'auditor' || (this.#isAudited && !isLate)
  }

  async #start(): Promise<void> {
    const { world, trace } = this.#stage
    const process = world.start('broker')
    this.#process = process
    this.#isStarting = true
    this.#isReady = false
    this.#isStopped = false
    this.#stage.starts++
    this.#mustCompare = this.#stage.isHealed || this.#random.chance(0.5)
    this.#isAudited = !this.#needsAudit()
    this.#faults.begin()
    trace.say('broker', `starts, ${this.#isAudited ? 'for all' : 'to be audited'}`)
    try {
      const broker = await Broker.start({
        environment: process.environment,
        config: new BrokerConfig(new Map(this.#settings())),
        isDevelopment: true,
        tailCacheBytes: this.#stage.temper.tailCacheBytes,
        onFatal: (error) => this.#fatal(process, error),
      })
      // One that was killed in that moment is none any more.
      if (process.isAlive) this.#broker = broker
    } catch (error) {
      if (!process.isAlive) return
      this.#refused(error as Error)
      return
    }
    if (!process.isAlive) return
    this.#isStarting = false
    this.#mayRefuse = []
    this.#faults.started()
    trace.say('broker', 'is up')
    if (!this.#isAudited) await this.#audit()
    this.#isAudited = true
    this.#isReady = true
    for (const resolve of this.#onReady.splice(0)) resolve()
  }

  async #audit(): Promise<void> {
    const { history, world, temper } = this.#stage
    if (this.#auditor?.isAlive) world.kill(this.#auditor)
    const client = startClient(this.#stage, 'auditor')
    this.#auditor = client.process
    if (this.#mustCompare) {
      for (const memory of this.#stage.memories) await memory.compare(client)
    }
    await audit(
      this.#stage,
      client,
      [...history.partitions.values()].filter((one) => one.needsAudit),
    )
    if (temper.isAboutRecovery) await compareRecovered(this.#stage, client)
    world.kill(client.process)
  }

  #needsAudit(): boolean {
    const { history, memories, temper } = this.#stage
    if (this.#mustCompare && (memories.size > 0 || temper.isAboutRecovery)) return true
    return [...history.partitions.values()].some(({ needsAudit }) => needsAudit)
  }

  /** The broker does not start: right where its disk or its files are not in order. */
  #refused(error: Error): void {
    const { trace } = this.#stage
    trace.say('broker', `does not start: ${error.message}`)
    const isExcused = this.#faults.struck || this.#mayRefuse.length > 0
    if (!isExcused) throw new Violation(`the broker does not start: ${error.stack}`)
    this.end('kill', 'it does not start')
    // Somebody puts the file back from a copy.
    for (const flip of this.#mayRefuse.splice(0).reverse())
      flip.undo(this.#stage.world.disk('broker'))
  }

  #fatal(process: SimulatedProcess, error: Error): void {
    if (!process.isAlive) return
    if (!this.#faults.struck) throw new Violation(`the broker gave up: ${error.stack}`)
    this.#stage.trace.say('broker', `gives up: ${error.message}`)
    const end = (): void => {
      if (process.isAlive) this.end('kill', `it gave up: ${error.message}`)
    }
    if (this.#broker === null) end()
    else void this.#answerAndClose(this.#broker).then(end)
  }

  /** As `main.ts` does before it ends: what can be answered is, what still works is closed. */
  async #answerAndClose(broker: Broker): Promise<void> {
    const { environment } = this.#stage.world.director
    this.#isReady = false
    const stopped = sleep(environment, 0)
      .then(() => broker.stop())
      .catch((error: Error) => this.#stage.trace.say('broker', `closes badly: ${error.message}`))
    await Promise.race([stopped, sleep(environment, fatalStopLimitMs)])
  }

  #settings(): Map<string, string> {
    const settings = new Map(this.#stage.temper.settings)
    settings.set('listeners', `PLAINTEXT://:${port}`)
    return settings
  }

  #drawDowntimeMs(): number {
    return this.#random.between(downtimeMsMin, this.#random.chance(0.1) ? 30_000 : 3_000)
  }

  #partitions(files: ReadonlyMap<string, Buffer>): Map<string, Map<string, Buffer>> {
    return partitionFiles(files, this.#stage.temper.logDirs)
  }

  #noteWhatIsHeld(files: ReadonlyMap<string, PartitionFiles>): void {
    const { history } = this.#stage
    for (const partition of history.partitions.values()) {
      const { name, startMax } = partition
      history.held(partition, endOfRecords(files.get(name) ?? new Map(), startMax))
    }
  }

  #mayLose(
    files: ReadonlyMap<string, PartitionFiles>,
    concerns: (promise: { isDurable: boolean }, name: string) => boolean,
  ): void {
    const { history, trace } = this.#stage
    for (const partition of history.partitions.values()) {
      const { name, promise, startMax } = partition
      if (!concerns(promise, name)) continue
      const kept = endOfRecords(files.get(name) ?? new Map(), startMax)
      if (kept < partition.end) trace.say('host', `${name} may end at ${kept} of ${partition.end}`)
      history.mayLose(partition, kept)
    }
  }

  /** A sync had failed: what it should have saved is gone with the process. */
  #loseUnsynced(paths: readonly string[]): void {
    const names = new Set(paths.map((path) => path.split('/').at(-2) ?? ''))
    const left = this.#partitions(this.#stage.world.disk('broker').snapshot('written'))
    this.#mayLose(left, (promise, name) => !promise.isDurable && names.has(name))
    const isOffsets = [...names].some((name) => ofGroups.test(name))
    if (this.#stage.temper.isOffsetsTopicDurable) return
    if (isOffsets) this.offsetsLost++
    if (isOffsets || [...names].some((name) => ofLedger.test(name))) this.#stage.ledgers.lose()
  }

  #rot(): void {
    const { temper, world, isHealed } = this.#stage
    if (isHealed || !this.#random.chance(temper.flipChance)) return
    const flip = flipBits(this.#stage, world.disk('broker'), {
      random: this.#random,
      isAfterCleanStop: this.#isStopped,
    })
    if (flip === null) return
    if (flip.mayRefuse) this.#mayRefuse.push(flip)
    if (flip.touchesTransactions) this.#stage.ledgers.lose()
    if (!flip.touchesOffsets) return
    this.offsetsLost++
    this.areOffsetsDamaged = true
  }
}

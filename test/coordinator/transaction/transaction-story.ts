/**
 * Transactions in a story: producers that begin, add, end, in virtual time, over a log in memory and
 * partitions that take their markers or refuse them. After a scenario `replay` starts a second
 * coordinator from the log and compares what both know.
 */
import type { Test } from 'tap'
import { type ErrorRow, errors } from '../../../protocol/errors.ts'
import type { TransactionCoordinatorConfig } from '../../../src/coordinator/transaction/config.ts'
import type {
  MarkerWriter,
  TransactionMarkers,
} from '../../../src/coordinator/transaction/participants.ts'
import type { Transaction } from '../../../src/coordinator/transaction/transaction.ts'
import { TransactionCoordinator } from '../../../src/coordinator/transaction/transaction-coordinator.ts'
import type { Environment } from '../../../src/environment/environment.ts'
import { type SimulatedProcess, SimulatedWorld } from '../../simulator/simulated-world.ts'
import { MemoryLog } from '../memory-log.ts'

export const defaults: TransactionCoordinatorConfig = {
  addPartitionsRetryMaxMs: 100,
  abortTimedOutIntervalMs: 10_000,
  transactionMaxTimeoutMs: 900_000,
  removeExpiredIntervalMs: 3_600_000,
  isTwoPhaseCommitEnabled: false,
  transactionalIdExpirationMs: 604_800_000,
  requestTimeoutMs: 30_000,
  transactionVersion: 2,
}

/** Partitions that answer with what `rows` says, by name; NONE where it says nothing. */
export class StoryPartitions implements MarkerWriter {
  readonly rows = new Map<string, ErrorRow>()
  readonly written: TransactionMarkers[] = []
  /** `topic-partition isCommit epoch`, of each marker that a partition took. */
  readonly ends: string[] = []
  /** While true, nobody is answered. */
  isSilent = false

  async writeMarkers(markers: TransactionMarkers): Promise<ReadonlyMap<string, ErrorRow>> {
    this.written.push(markers)
    if (this.isSilent) await new Promise(() => undefined)
    const answers = new Map<string, ErrorRow>()
    for (const { topic, partitions } of markers.partitions) {
      for (const index of partitions) {
        const name = `${topic}-${index}`
        const row = this.rows.get(name) ?? errors.NONE
        answers.set(name, row)
        if (row !== errors.NONE) continue
        const { isCommit, producerId, producerEpoch } = markers
        this.ends.push(`${name} ${isCommit ? 'commit' : 'abort'} ${producerId}/${producerEpoch}`)
      }
    }
    return answers
  }
}

export class TransactionStory {
  readonly world: SimulatedWorld
  readonly environment: Environment
  readonly log = new MemoryLog()
  readonly config: {
    -readonly [K in keyof TransactionCoordinatorConfig]: TransactionCoordinatorConfig[K]
  }
  readonly partitions = new StoryPartitions()
  readonly deleted = new Set<string>()
  /** Whether coordinators that start from now on may lack what was recorded last. */
  mayLackRecords = false
  readonly coordinator: TransactionCoordinator
  readonly #process: SimulatedProcess
  nextProducerId = 1000
  /** While set, no producer ids are given. */
  producerIdFailure: Error | null = null

  constructor(overrides: Partial<TransactionCoordinatorConfig> = {}) {
    this.world = new SimulatedWorld(7)
    this.#process = this.world.start('broker')
    this.environment = this.#process.environment
    this.config = { ...defaults, ...overrides }
    this.coordinator = this.#coordinator(this.partitions)
    void this.coordinator.onElection(0, 5, this.log)
  }

  #coordinator(markers: MarkerWriter): TransactionCoordinator {
    return new TransactionCoordinator({
      environment: this.environment,
      config: () => this.config,
      partitionCount: () => 1,
      producerIds: {
        next: () => {
          if (this.producerIdFailure !== null) throw this.producerIdFailure
          return Promise.resolve(this.nextProducerId++)
        },
      },
      markers,
      isDeleted: (topic, partition) => this.deleted.has(`${topic}-${partition}`),
      mayLackRecords: () => this.mayLackRecords,
    })
  }

  /** Somebody sets the clock. */
  setClock(byMs: number): void {
    this.world.jumpClock(this.#process, byMs)
  }

  async pass(ms: number): Promise<void> {
    await this.world.runFor(ms)
  }

  /** The answer, which must come within `ms`. */
  async now<T>(pending: T | Promise<T>, ms = 10): Promise<T> {
    let answer: { value: T } | undefined
    void Promise.resolve(pending).then((value) => {
      answer = { value }
    })
    await this.pass(ms)
    if (answer === undefined) throw new Error('no answer')
    return answer.value
  }

  producer(transactionalId = 'tx', timeoutMs = 60_000): StoryProducer {
    return new StoryProducer(this, transactionalId, timeoutMs)
  }

  async known(
    transactionalId = 'tx',
    coordinator = this.coordinator,
  ): Promise<Transaction | undefined> {
    const found = await this.now(coordinator.select((id) => id === transactionalId))
    return found[0]?.[1]
  }

  async state(transactionalId = 'tx'): Promise<string | undefined> {
    return (await this.known(transactionalId))?.state
  }

  /** Another coordinator, from what is in the log by now; its markers go to `markers`. */
  async restarted(markers: MarkerWriter = new StoryPartitions()): Promise<TransactionCoordinator> {
    const other = this.#coordinator(markers)
    await this.now(other.onElection(0, 6, this.log.copy()))
    return other
  }

  /** Whatever was recorded is what is known. */
  async replay(t: Test): Promise<void> {
    const silent = new StoryPartitions()
    silent.isSilent = true
    const other = await this.restarted(silent)
    const all = (coordinator: TransactionCoordinator) => this.now(coordinator.select(() => true))
    t.strictSame(comparable(await all(other)), comparable(await all(this.coordinator)))
    other.close()
  }
}

/** All but the last epoch, which is not stored. */
function comparable(transactions: readonly (readonly [string, Transaction])[]) {
  return transactions
    .map(([id, { lastProducerEpoch: _, ...stored }]) => ({ id, ...stored }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

export class StoryProducer {
  readonly transactionalId: string
  readonly timeoutMs: number
  readonly #story: TransactionStory
  producerId = -1
  producerEpoch = -1

  constructor(story: TransactionStory, transactionalId: string, timeoutMs: number) {
    this.#story = story
    this.transactionalId = transactionalId
    this.timeoutMs = timeoutMs
  }

  get identity() {
    const { transactionalId, producerId, producerEpoch } = this
    return { transactionalId, producerId, producerEpoch }
  }

  /** Name of the error; on NONE the producer is who it was told. `isAgain`: says who it was (KIP-360). */
  async init(isAgain = false, overrides: object = {}): Promise<string> {
    const { transactionalId, timeoutMs, producerId, producerEpoch } = this
    const request = {
      transactionalId,
      timeoutMs,
      expected: isAgain ? { producerId, producerEpoch } : null,
      isTwoPhaseCommit: false,
      keepsPrepared: false,
      ...overrides,
    }
    return this.#take(await this.#story.now(this.#story.coordinator.initProducerId(request)))
  }

  async add(clientVersion = 2, ...names: string[]): Promise<string> {
    const partitions = (names.length === 0 ? ['t-0'] : names).map(partitionNamed)
    const added = { ...this.identity, partitions }
    const { coordinator } = this.#story
    return (await this.#story.now(coordinator.addPartitions(added, clientVersion), 300)).name
  }

  /** Names of errors, by partition. */
  async verify(isAdding: boolean, ...names: string[]): Promise<Record<string, string>> {
    const request = { ...this.identity, partitions: names.map(partitionNamed), isAdding }
    const rows = await this.#story.now(this.#story.coordinator.verify(request), 300)
    return Object.fromEntries([...rows].map(([name, row]) => [name, row.name]))
  }

  /** The answer is not taken if it is `lost`. */
  async end(isCommit: boolean, clientVersion = 2, isLost = false): Promise<string> {
    const end = { ...this.identity, isCommit, clientVersion }
    const answer = await this.#story.now(this.#story.coordinator.endTransaction(end))
    return isLost || clientVersion < 2 ? answer.error.name : this.#take(answer)
  }

  #take(answer: { error: ErrorRow; producerId: number; producerEpoch: number }): string {
    if (answer.error === errors.NONE) {
      this.producerId = answer.producerId
      this.producerEpoch = answer.producerEpoch
    }
    return answer.error.name
  }
}

function partitionNamed(name: string) {
  const at = name.lastIndexOf('-')
  return { topic: name.slice(0, at), partitions: [Number(name.slice(at + 1))] }
}

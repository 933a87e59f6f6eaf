/**
 * One shard at work: gathers the records of a turn into a batch, hands it to the log, and lets the
 * replies go when the batch is committed.
 *
 *   write -> gathering --end of turn--> in flight --committed--> replies leave, in order
 *                  \                       \-----refused-----> unwound, errors leave
 *                   \--no record: waits with the youngest batch, or not at all
 *
 * Records of a transaction, and its marker, are batches of their own and leave at once. What the log has
 * against their producer it says at once, too: they are taken back before anybody else has seen them.
 *
 * State is always that of all batches applied, committed or not. When the log refuses a batch, this
 * one and all younger ones are taken back; if some of them are already in the log's hands, nobody
 * can say what the log will hold, so the shard is loaded anew once all of them have ended.
 */
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import { headerBytes } from '../../protocol/records/batch.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import type { Environment, Logger, Milliseconds } from '../environment/environment.ts'
import { type Deadline, Deadlines } from './deadlines.ts'
import {
  type CoordinatorLog,
  coordinatorError,
  type Decision,
  type EndOfTransaction,
  type RecordProducer,
  type Shard,
  type ShardContext,
  type ShardKind,
} from './shard.ts'
import { Timeline } from './timeline.ts'

/** What a record may take beside its key and value: lengths, deltas, attributes, header count. */
const recordOverheadBytes = 32

interface StoredRecord {
  readonly timestamp: Milliseconds
  readonly key: Buffer
  readonly value: Buffer | null
}

/** A reply that waits for a batch. */
interface Parked {
  readonly onCommitted: (() => void) | undefined
  readonly onFailed: ((error: ErrorRow) => void) | undefined
  readonly answer: () => void
  readonly fail: (failure: unknown) => void
}

interface Batch {
  /** The timeline's position before the first record and after the last. */
  readonly firstPosition: number
  lastPosition: number
  readonly records: StoredRecord[]
  bytes: number
  readonly parked: Parked[]
  state: 'gathering' | 'in flight' | 'committed' | 'refused'
  timeout: Deadline | null
  appended: Promise<unknown> | null
}

export interface ShardRuntimeOptions<S extends Shard<R>, R> {
  readonly environment: Environment
  readonly kind: ShardKind<S, R>
  readonly partition: number
  readonly leaderEpoch: number
  readonly log: CoordinatorLog
  /**
   * Told when memory and log may differ: the owner closes this shard and loads another after
   * `settled`.
   */
  readonly onInDoubt: (settled: Promise<unknown>) => void
}

export class ShardRuntime<S extends Shard<R>, R> {
  readonly partition: number
  readonly #leaderEpoch: number
  readonly #environment: Environment
  readonly #kind: ShardKind<S, R>
  readonly #log: CoordinatorLog
  readonly #logger: Logger
  readonly #onInDoubt: (settled: Promise<unknown>) => void
  readonly #timeline = new Timeline()
  readonly #deadlines: Deadlines
  readonly #state: S
  /** Oldest first; only the last may still be gathering. */
  #batches: Batch[] = []
  #isClosed = false

  constructor(options: ShardRuntimeOptions<S, R>) {
    const { environment, kind, partition, log, onInDoubt } = options
    this.partition = partition
    this.#leaderEpoch = options.leaderEpoch
    this.#environment = environment
    this.#kind = kind
    this.#log = log
    this.#onInDoubt = onInDoubt
    const { name: coordinator, topic } = kind
    this.#logger = environment.log.child({ coordinator, partition: `${topic}-${partition}` })
    this.#deadlines = new Deadlines(environment)
    this.#state = kind.create(this.#context())
    this.#timeline.isSettled = true
  }

  /** Loading: applies records that the log holds already, at `atLeastOffset` or behind. */
  replay(records: readonly R[], atLeastOffset: number, producerId: number | null): void {
    for (const record of records) {
      if (producerId === null) this.#state.apply(record, atLeastOffset)
      else this.#state.applyInTransaction?.(record, producerId)
    }
  }

  /** Loading: a transaction ends. */
  replayEnd(producerId: number, isCommit: boolean): void {
    this.#state.endTransaction?.(producerId, isCommit)
  }

  /** The whole log was replayed. */
  activate(): void {
    this.#timeline.isSettled = false
    this.#state.onLoaded()
  }

  /** Answers everybody who waits with `error`; nothing runs here any more. */
  close(error: ErrorRow): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#deadlines.close()
    const batches = this.#batches
    this.#batches = []
    for (const batch of batches) this.#failParked(batch, new KafkaError(error), error)
    this.#contained(() => this.#state.onUnloaded(error))
  }

  look(act: (state: S) => void): void {
    act(this.#state)
  }

  /** See `CoordinatorRuntime.write`. */
  write<T>(
    decide: (state: S, nowMs: Milliseconds) => Decision<R, T>,
    producer?: RecordProducer,
  ): T | Promise<T> {
    const nowMs = this.#environment.clock.now()
    const decision = decide(this.#state, nowMs)
    if (decision.records.length > 0) {
      if (producer === undefined) this.#record(decision, nowMs)
      else this.#recordInTransaction(decision, nowMs, producer)
    }
    return this.#parked(decision)
  }

  /** See `CoordinatorRuntime.endTransaction`. */
  endTransaction(end: EndOfTransaction): void | Promise<void> {
    const decision: Decision<R, void> = { records: [], reply: undefined }
    const apply = () => this.#state.endTransaction?.(end.producerId, end.isCommit)
    const nowMs = this.#environment.clock.now()
    this.#appendAlone(decision, apply, () => this.#log.appendMarker(end, nowMs))
    return this.#parked(decision)
  }

  /** The reply, once everything is committed that it may have seen. */
  #parked<T>(decision: Decision<R, T>): T | Promise<T> {
    const batch = this.#batches.at(-1)
    if (batch === undefined) {
      decision.onCommitted?.()
      return decision.reply
    }
    return new Promise<T>((resolve, reject) => {
      batch.parked.push({
        onCommitted: decision.onCommitted,
        onFailed: decision.onFailed,
        answer: () => resolve(decision.reply),
        fail: reject,
      })
    })
  }

  #record<T>(decision: Decision<R, T>, nowMs: Milliseconds): void {
    const bytesMax = this.#log.batchBytesMax - headerBytes
    const isAtomic = decision.isAtomic !== false
    const { encoded, bytes } = this.#encoded(
      decision,
      nowMs,
      isAtomic ? bytesMax : Number.POSITIVE_INFINITY,
    )
    if (isAtomic) this.#makeRoom(bytes, bytesMax)
    decision.records.forEach((record, index) => {
      const stored = encoded[index] as StoredRecord
      this.#makeRoom(sizeOf(stored), bytesMax)
      const batch = this.#gathering()
      this.#state.apply(record, this.#log.logEndOffset)
      batch.records.push(stored)
      batch.bytes += sizeOf(stored)
      batch.lastPosition = this.#timeline.position
    })
  }

  #recordInTransaction<T>(
    decision: Decision<R, T>,
    nowMs: Milliseconds,
    { producerId, producerEpoch, verification }: RecordProducer,
  ): void {
    const bytesMax = this.#log.batchBytesMax - headerBytes
    const { encoded: records } = this.#encoded(decision, nowMs, bytesMax)
    const compression = this.#kind.compression()
    const isTransactional = true
    const batch = encodeBatch({ records, compression, producerId, producerEpoch, isTransactional })
    const apply = () => {
      for (const record of decision.records) this.#state.applyInTransaction?.(record, producerId)
    }
    this.#appendAlone(decision, apply, () => this.#log.append(batch, verification))
  }

  /** A batch of its own, after all that was recorded before. Throws what the log says at once. */
  #appendAlone<T>(
    decision: Decision<R, T>,
    apply: () => void,
    append: () => Promise<unknown>,
  ): void {
    const last = this.#batches.at(-1)
    if (last?.state === 'gathering') this.#send(last)
    const firstPosition = this.#timeline.position
    let appended: Promise<unknown>
    try {
      apply()
      appended = append()
    } catch (failure) {
      this.#timeline.unwind(firstPosition)
      this.#refuse(decision, failure)
    }
    const batch = newBatch(firstPosition)
    batch.lastPosition = this.#timeline.position
    this.#batches.push(batch)
    this.#await(batch, appended)
  }

  /** Refuses what takes more than `bytesMax` as soon as it does: the rest would be for nothing. */
  #encoded<T>(decision: Decision<R, T>, nowMs: Milliseconds, bytesMax: number) {
    const encoded: StoredRecord[] = []
    let bytes = 0
    try {
      for (const record of decision.records) {
        const { key, value } = this.#kind.encode(record)
        const stored = { timestamp: nowMs, key, value }
        encoded.push(stored)
        bytes += sizeOf(stored)
        if (bytes > bytesMax) break
      }
    } catch (err) {
      this.#logger.error('a record could not be encoded', { err })
      this.#refuse(decision, new KafkaError(errors.UNKNOWN_SERVER_ERROR))
    }
    if (bytes > bytesMax) this.#refuse(decision, new KafkaError(errors.RECORD_LIST_TOO_LARGE))
    return { encoded, bytes }
  }

  #refuse<T>(decision: Decision<R, T>, failure: unknown): never {
    const told = translated(failure)
    decision.onFailed?.(told.error)
    throw told
  }

  /** Sends the gathering batch off if it cannot take `bytes` more. */
  #makeRoom(bytes: number, bytesMax: number): void {
    const last = this.#batches.at(-1)
    if (last?.state === 'gathering' && last.bytes + bytes > bytesMax) this.#send(last)
  }

  #gathering(): Batch {
    const last = this.#batches.at(-1)
    if (last?.state === 'gathering') return last
    const batch = newBatch(this.#timeline.position)
    this.#batches.push(batch)
    this.#environment.timers.endOfTurn(() => {
      if (batch.state === 'gathering' && !this.#isClosed) this.#send(batch)
    })
    return batch
  }

  #send(batch: Batch): void {
    let appended: Promise<unknown>
    try {
      const bytes = encodeBatch({ records: batch.records, compression: this.#kind.compression() })
      appended = this.#log.append(bytes)
    } catch (failure) {
      appended = Promise.reject(failure)
    }
    this.#await(batch, appended)
  }

  #await(batch: Batch, appended: Promise<unknown>): void {
    batch.state = 'in flight'
    batch.appended = appended
    const giveUp = () => {
      const timedOut = translated(new KafkaError(errors.REQUEST_TIMED_OUT))
      for (const parked of batch.parked) parked.fail(timedOut)
    }
    batch.timeout = this.#deadlines.create(giveUp)
    batch.timeout.set(this.#kind.commitTimeoutMs())
    appended.then(
      () => this.#onCommitted(batch),
      (failure) => this.#onRefused(batch, failure),
    )
  }

  #onCommitted(batch: Batch): void {
    batch.timeout?.clear()
    if (this.#isClosed || !this.#batches.includes(batch)) return
    batch.state = 'committed'
    for (let first = this.#batches[0]; first?.state === 'committed'; first = this.#batches[0]) {
      this.#batches.shift()
      this.#timeline.forget(first.lastPosition)
      for (const parked of first.parked) {
        this.#contained(() => parked.onCommitted?.())
        parked.answer()
      }
    }
  }

  #onRefused(batch: Batch, failure: unknown): void {
    batch.timeout?.clear()
    const at = this.#batches.indexOf(batch)
    if (this.#isClosed || at < 0) return
    this.#logger.warn('records could not be written', { err: failure })
    const takenBack = this.#batches.splice(at)
    this.#timeline.unwind(batch.firstPosition)
    const error = coordinatorError(failure)
    for (const each of takenBack) {
      each.timeout?.clear()
      this.#failParked(each, failure, error)
    }
    const inDoubt = takenBack.filter((each) => each !== batch && each.state === 'in flight')
    if (inDoubt.length > 0)
      this.#onInDoubt(Promise.allSettled(inDoubt.map((each) => each.appended)))
    for (const each of takenBack) each.state = 'refused'
  }

  #failParked(batch: Batch, failure: unknown, error: ErrorRow): void {
    const told = translated(failure)
    for (const parked of batch.parked) {
      this.#contained(() => parked.onFailed?.(error))
      parked.fail(told)
    }
  }

  /** An exception of one ends neither the replies of the others nor the process. */
  #contained(act: () => void): void {
    try {
      act()
    } catch (err) {
      this.#logger.error('a coordinator failed after its records were settled', { err })
    }
  }

  #context(): ShardContext<R> {
    const timeline = this.#timeline
    const deadlines = this.#deadlines
    const write = (decide: (nowMs: Milliseconds) => Decision<R, void>) => {
      const failed = (err: unknown) => {
        const level = err instanceof KafkaError ? 'warn' : 'error'
        this.#logger[level]('a timer could not write', { err })
      }
      try {
        const written = this.write((_, nowMs) => decide(nowMs))
        if (written instanceof Promise) written.catch(failed)
      } catch (err) {
        failed(err)
      }
    }
    return {
      partition: this.partition,
      leaderEpoch: this.#leaderEpoch,
      timeline,
      environment: this.#environment,
      log: this.#logger,
      write,
      deadline: (decide) => deadlines.create(() => write(decide)),
    }
  }
}

function newBatch(position: number): Batch {
  return {
    firstPosition: position,
    lastPosition: position,
    records: [],
    bytes: 0,
    parked: [],
    state: 'gathering',
    timeout: null,
    appended: null,
  }
}

function sizeOf(record: StoredRecord): number {
  return record.key.length + (record.value?.length ?? 0) + recordOverheadBytes
}

function translated(failure: unknown): KafkaError {
  const message = failure instanceof Error ? failure.message : undefined
  return new KafkaError(coordinatorError(failure), message)
}

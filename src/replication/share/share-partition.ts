/**
 * One partition as one share group reads it (KIP-932): what is in flight (`in-flight.ts`), read from the
 * log, timed, and stored with the share coordinator before anybody is told that it counts.
 *
 *   loading --read from the persister--> active --leader, topic or epoch changed, fenced--> ended
 *        \---------- failed --------------------------------------------------------------/
 *
 * What lives in this folder: who is given which records (here), for how long sessions of members last
 * (`share-sessions.ts`), and which share partitions there are (`share-partitions.ts`). What must not:
 * membership, and where state is kept (`persister.ts` is the seam).
 */
import { type ErrorRow, errorByCode, errors, KafkaError } from '../../../protocol/errors.ts'
import type { Environment, Logger, Timer } from '../../environment/environment.ts'
import type { Partition } from '../partition.ts'
import type { PartitionWatcher } from '../watchers.ts'
import { acknowledgeType, type OffsetRange, type StoredRun, type Verdict } from './delivery-run.ts'
import { type FetchedRecords, fetchedBatches, sliceOf, splitBySize } from './fetched-records.ts'
import { type Acknowledgement, type AcquiredRecords, InFlight } from './in-flight.ts'
import { initialOffset } from './initial-offset.ts'
import type { SharePersister } from './persister.ts'
import type { ShareSettings } from './settings.ts'

/** What a member says of a range: one type for all of it, or one for each offset. */
export interface AcknowledgementBatch extends OffsetRange {
  readonly acknowledgeTypes: readonly number[]
}

/** Told that records may have become available, or that waiting is pointless. */
export interface ShareWatcher {
  changed(): void
}

export interface AcquireRequest {
  readonly memberId: string
  readonly maxRecords: number
  /** Of the batches in which acquired records are told. */
  readonly batchSize: number
  readonly isRecordLimit: boolean
}

export interface Acquired {
  readonly records: readonly AcquiredRecords[]
  /** The whole batches that hold them. */
  readonly chunks: readonly Buffer[]
}

export interface SharePartitionOptions {
  readonly environment: Environment
  readonly groupId: string
  readonly partition: Partition
  readonly persister: SharePersister
  readonly settings: () => ShareSettings
  /** Nothing may be asked of it any more. */
  readonly onEnded: (ended: SharePartition) => void
}

const nothingAcquired: Acquired = { records: [], chunks: [] }
/** Before the state was read. */
const unknownEpoch = -1

export class SharePartition {
  readonly partition: Partition
  readonly groupId: string
  readonly leaderEpoch: number
  readonly #environment: Environment
  readonly #log: Logger
  readonly #persister: SharePersister
  readonly #settings: () => ShareSettings
  readonly #onEnded: (ended: SharePartition) => void
  readonly #inFlight = new InFlight()
  readonly #watchers = new Set<ShareWatcher>()
  readonly #partitionWatcher: PartitionWatcher
  #state: 'loading' | 'active' | 'ended' = 'loading'
  #stateEpoch = unknownEpoch
  #failure: ErrorRow | null = null
  #isBeingRead = false
  /** Somebody wanted to read while another did. */
  #isMissed = false
  #writes = 0
  #timer: Timer | null = null
  #timerAtMs = Number.POSITIVE_INFINITY

  constructor(options: SharePartitionOptions) {
    const { environment, groupId, partition } = options
    this.#environment = environment
    this.groupId = groupId
    this.partition = partition
    this.leaderEpoch = partition.leaderEpoch
    this.#log = environment.log.child({ groupId, partition: `${partition}` })
    this.#persister = options.persister
    this.#settings = options.settings
    this.#onEnded = options.onEnded
    this.#partitionWatcher = { readable: () => {}, changed: () => this.#onPartitionChanged() }
    partition.watch(this.#partitionWatcher)
  }

  get isActive(): boolean {
    return this.#state === 'active'
  }

  /** Nobody has anything of it, and nothing is on its way to be stored. */
  get isIdle(): boolean {
    return this.#writes === 0 && this.#inFlight.firstLapseMs() === Number.POSITIVE_INFINITY
  }

  /** Why it could not be loaded, or null. */
  get failure(): ErrorRow | null {
    return this.#failure
  }

  /** Reads what is stored; resolves when the partition is active, or has ended with a `failure`. */
  async load(): Promise<void> {
    try {
      await this.#load()
    } catch (err) {
      this.#failure = err instanceof KafkaError ? err.error : errors.UNKNOWN_SERVER_ERROR
      // Anybody may ask for any group: what is merely refused is told to them alone.
      const level = err instanceof KafkaError ? 'debug' : 'error'
      this.#log[level]('delivery state could not be loaded', { err })
      this.end()
    }
  }

  async #load(): Promise<void> {
    const { topicId, index } = this.partition
    const { results } = await this.#persister.read({
      groupId: this.groupId,
      topics: [{ topicId, partitions: [{ partition: index, leaderEpoch: this.leaderEpoch }] }],
    })
    const read = results[0]?.partitions[0]
    if (read === undefined) throw new KafkaError(errors.UNKNOWN_SERVER_ERROR)
    if (read.errorCode !== 0) throw persisterError(read.errorCode, read.errorMessage ?? null)
    const startOffset =
      read.startOffset === -1
        ? await initialOffset(this.partition, this.#settings(), this.#environment.clock.now())
        : read.startOffset
    if (this.#state !== 'loading') throw new KafkaError(errors.NOT_LEADER_OR_FOLLOWER)
    this.#stateEpoch = read.stateEpoch
    this.#inFlight.restore(startOffset, read.stateBatches)
    this.#inFlight.forgetBefore(this.partition.logStartOffset)
    this.#state = 'active'
    this.#wake()
  }

  watch(watcher: ShareWatcher): void {
    this.#watchers.add(watcher)
  }

  unwatch(watcher: ShareWatcher): void {
    this.#watchers.delete(watcher)
  }

  /** Whether a read could bring anything for anybody. */
  canAcquire(): boolean {
    if (this.#state !== 'active') return false
    if (this.#isBeingRead) {
      this.#isMissed = true
      return false
    }
    this.#inFlight.forgetBefore(this.partition.logStartOffset)
    return this.#inFlight.canAcquire(this.#settings().partitionMaxRecordLocks)
  }

  /** True where new records cannot be given before old ones are acknowledged. */
  get isFull(): boolean {
    return this.#inFlight.size >= this.#settings().partitionMaxRecordLocks
  }

  /**
   * Reads from where something is to be given, up to what the group may see; nothing is acquired yet.
   * Only after `canAcquire`. May throw, or reject with, KafkaError and DiskError.
   */
  read(maxBytes: number, minOneBatch: boolean): FetchedRecords | Promise<FetchedRecords> {
    const fetchOffset = this.#inFlight.nextFetchOffset()
    const { isReadCommitted } = this.#settings()
    // A log that lost its end has nothing to give here before it has grown again.
    if (fetchOffset > this.partition.logEndOffset) {
      return { fetchOffset, chunks: [], bytes: 0, batches: [] }
    }
    const options = { maxBytes, minOneBatch, isReadCommitted }
    const read = this.partition.read(fetchOffset, options)
    if (!(read instanceof Promise)) {
      return fetchedBatches(this.partition, fetchOffset, read, isReadCommitted)
    }
    this.#isBeingRead = true
    return read
      .then((found) => fetchedBatches(this.partition, fetchOffset, found, isReadCommitted))
      .finally(() => {
        this.#isBeingRead = false
        // Only whoever was turned away meanwhile: others would wake each other in turn.
        if (this.#isMissed) this.#wake()
        this.#isMissed = false
      })
  }

  /** Gives the member what was read, as far as it is still to be had. */
  acquire(fetched: FetchedRecords, request: AcquireRequest): Acquired {
    if (this.#state !== 'active' || request.maxRecords <= 0) return nothingAcquired
    const { deliveryCountLimit, partitionMaxRecordLocks } = this.#settings()
    const acquired = this.#inFlight.acquire(fetched.batches, {
      memberId: request.memberId,
      fetchOffset: fetched.fetchOffset,
      maxRecords: request.maxRecords,
      inFlightMax: partitionMaxRecordLocks,
      isRecordLimit: request.isRecordLimit,
      deliveryCountLimit,
      lockedUntilMs: this.#lockedUntilMs(),
    })
    const first = acquired[0]
    const last = acquired.at(-1)
    if (first === undefined || last === undefined) return nothingAcquired
    this.#expectLapse()
    const records = request.isRecordLimit
      ? acquired
      : splitBySize(acquired, fetched.batches, request.batchSize)
    return { records, chunks: sliceOf(fetched.chunks, first.firstOffset, last.lastOffset) }
  }

  /**
   * What the member says about what it acquired; all of it counts, or nothing. Resolves when it is
   * stored, with NONE, or with why it does not count.
   */
  async acknowledge(
    memberId: string,
    batches: readonly AcknowledgementBatch[],
  ): Promise<{ error: ErrorRow; message: string | null }> {
    if (this.#state !== 'active') return refused(errors.NOT_LEADER_OR_FOLLOWER)
    const { deliveryCountLimit, isRenewEnabled } = this.#settings()
    for (const batch of batches) {
      const refusal = this.#inFlight.refusal(batch, memberId)
      if (refusal !== null) return refused(errors[refusal.error], refusal.message)
      const isRenewing = batch.acknowledgeTypes.includes(acknowledgeType.renew)
      if (isRenewing && !isRenewEnabled) {
        const message = 'Renewing acquisition locks is not enabled for the group.'
        return refused(errors.INVALID_RECORD_STATE, message)
      }
    }
    const lockedUntilMs = this.#lockedUntilMs()
    const said = batches.flatMap(acknowledgements)
    const verdict = this.#inFlight.acknowledge(said, { deliveryCountLimit, lockedUntilMs })
    this.#expectLapse()
    return this.#store(verdict)
  }

  /** The member is gone: what it had is available again. Never rejects. */
  async releaseMember(memberId: string): Promise<void> {
    if (this.#state !== 'active') return
    const { deliveryCountLimit } = this.#settings()
    const { error } = await this.#store(this.#inFlight.releaseMember(memberId, deliveryCountLimit))
    if (error !== errors.NONE) {
      this.#log.warn('records of a member that is gone wait for their locks', { memberId, error })
    }
  }

  /** Nothing is given or taken here any more; whoever waits looks again. */
  end(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#timer?.cancel()
    this.partition.unwatch(this.#partitionWatcher)
    this.#onEnded(this)
    this.#wake()
  }

  async #store(verdict: Verdict): Promise<{ error: ErrorRow; message: string | null }> {
    if (verdict.runs.length === 0) return { error: errors.NONE, message: null }
    const failure = await this.#write(verdict.runs)
    const { deliveryCountLimit } = this.#settings()
    const nowMs = this.#environment.clock.monotonic()
    this.#inFlight.settle(verdict, failure === null, { nowMs, deliveryCountLimit })
    this.#wake()
    if (failure === null) return { error: errors.NONE, message: null }
    this.#expectLapse()
    return refused(failure.error, failure.message)
  }

  /** Null once the runs are stored. Never rejects: what waits for the verdict goes on either way. */
  async #write(stateBatches: readonly StoredRun[]): Promise<KafkaError | null> {
    const { topicId, index } = this.partition
    const written = {
      partition: index,
      stateEpoch: this.#stateEpoch,
      leaderEpoch: this.leaderEpoch,
      startOffset: this.#inFlight.startOffset,
      deliveryCompleteCount: this.#inFlight.deliveryCompleteCount(),
      stateBatches: [...stateBatches],
    }
    this.#writes++
    try {
      const topics = [{ topicId, partitions: [written] }]
      const { results } = await this.#persister.write({ groupId: this.groupId, topics })
      const outcome = results[0]?.partitions[0]
      if (outcome === undefined) return new KafkaError(errors.UNKNOWN_SERVER_ERROR)
      if (outcome.errorCode === 0) return null
      const failure = persisterError(outcome.errorCode, outcome.errorMessage ?? null)
      this.#log.warn('delivery state could not be stored', { err: failure })
      // Another leader has taken over, or the group begins anew: what is known here is void.
      if (isFencing(failure.error)) this.end()
      return failure
    } catch (err) {
      this.#log.error('delivery state could not be stored', { err })
      return new KafkaError(errors.UNKNOWN_SERVER_ERROR)
    } finally {
      this.#writes--
    }
  }

  #lockedUntilMs(): number {
    return this.#environment.clock.monotonic() + this.#settings().recordLockDurationMs
  }

  /** Sees to it that the timer runs no later than the first acquisition lapses. */
  #expectLapse(): void {
    const atMs = this.#inFlight.firstLapseMs()
    if (atMs >= this.#timerAtMs || this.#state !== 'active') return
    this.#timer?.cancel()
    this.#timerAtMs = atMs
    const delayMs = Math.max(0, Math.ceil(atMs - this.#environment.clock.monotonic()))
    this.#timer = this.#environment.timers.after(delayMs, () => this.#onLapse())
  }

  #onLapse(): void {
    this.#timer = null
    this.#timerAtMs = Number.POSITIVE_INFINITY
    if (this.#state !== 'active') return
    const nowMs = this.#environment.clock.monotonic()
    const released = this.#inFlight.expire(nowMs, this.#settings().deliveryCountLimit)
    this.#expectLapse()
    if (released.length === 0) return
    // Who had the records may not have them any longer, whether or not that can be stored.
    void this.#write(released)
    this.#wake()
  }

  #onPartitionChanged(): void {
    const isSame = this.partition.leaderEpoch === this.leaderEpoch
    if (!isSame || this.partition.leaderError() !== null) this.end()
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) watcher.changed()
  }
}

function refused(error: ErrorRow, message: string = error.message) {
  return { error, message }
}

/** One after another, neighbours of which the same is said together. */
function acknowledgements(batch: AcknowledgementBatch): Acknowledgement[] {
  const { firstOffset, lastOffset, acknowledgeTypes: types } = batch
  if (types.length === 1) return [{ firstOffset, lastOffset, type: types[0] as number }]
  const said: Acknowledgement[] = []
  for (let at = 0; at < types.length; ) {
    const type = types[at] as number
    let end = at + 1
    while (end < types.length && types[end] === type) end++
    said.push({ firstOffset: firstOffset + at, lastOffset: firstOffset + end - 1, type })
    at = end
  }
  return said
}

function isFencing(error: ErrorRow): boolean {
  return (
    error === errors.NOT_LEADER_OR_FOLLOWER ||
    error === errors.GROUP_ID_NOT_FOUND ||
    error === errors.UNKNOWN_TOPIC_OR_PARTITION
  )
}

/** What a member is told when the persister answered with this. */
function persisterError(code: number, message: string | null): KafkaError {
  const error = errorByCode(code)
  switch (error) {
    case errors.NOT_COORDINATOR:
    case errors.COORDINATOR_NOT_AVAILABLE:
    case errors.COORDINATOR_LOAD_IN_PROGRESS:
      return new KafkaError(errors.COORDINATOR_NOT_AVAILABLE, message ?? undefined)
    case errors.FENCED_LEADER_EPOCH:
    case errors.FENCED_STATE_EPOCH:
      return new KafkaError(errors.NOT_LEADER_OR_FOLLOWER, message ?? undefined)
    case errors.GROUP_ID_NOT_FOUND:
    case errors.UNKNOWN_TOPIC_OR_PARTITION:
      return new KafkaError(error, message ?? undefined)
    default:
      return new KafkaError(errors.UNKNOWN_SERVER_ERROR, message ?? undefined)
  }
}

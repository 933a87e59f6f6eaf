/**
 * The delivery state of those share partitions that one partition of `__share_group_state` holds.
 *
 * A state begins with Initialize (a snapshot), grows by Write (an update, every so many updates a
 * snapshot), and ends with Delete or with its topic (a tombstone). Two epochs fence: who wants to write
 * must know the newest leader epoch of the partition, which Read makes known, and the state epoch, which
 * every Initialize raises.
 *
 * Records before the last snapshot of every state are redundant, and deleted from time to time. A state
 * to which nothing happens would hold them all, so it is now and then recorded again.
 */
import { type ErrorRow, errors } from '../../../protocol/errors.ts'
import type { ShareSnapshotValue } from '../../../protocol/state/share-group-state.ts'
import type { Uuid } from '../../../protocol/types.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import type { Deadline } from '../deadlines.ts'
import type { Decision, Shard, ShardContext } from '../shard.ts'
import { TimelineMap } from '../timeline.ts'
import type { ShareCoordinatorConfig } from './config.ts'
import { coordinatorKey, type SharePartitionKey, type ShareRecord } from './records.ts'
import { combineBatches, isStateBatch, type StateBatch } from './state-batches.ts'

/** Not known, or not to be changed. */
const unset = -1
/**
 * Batches of one state: more than a partition may have records in flight (10 000), and few enough for
 * one record.
 */
const stateBatchesMax = 20_000

/** What is recorded of a share partition. */
export interface ShareState {
  readonly snapshotEpoch: number
  readonly stateEpoch: number
  readonly leaderEpoch: number
  /** -1: nothing was read yet. */
  readonly startOffset: number
  /** Records from the start on whose delivery has ended; -1: not known. */
  readonly deliveryCompleteCount: number
  readonly stateBatches: readonly StateBatch[]
  /** When the last snapshot was made of a change, and when it was made at all. */
  readonly createTimestamp: Milliseconds
  readonly writeTimestamp: Milliseconds
}

interface Recorded {
  readonly key: SharePartitionKey
  readonly state: ShareState
  /** The newest leader that was heard of; never goes back, also where the state begins anew. */
  readonly leaderEpochMax: number
  readonly stateEpochMax: number
  /** Since the last snapshot. */
  readonly updates: number
  /** The last snapshot lies here or behind. */
  readonly snapshotOffset: number
}

export interface InitialState {
  readonly stateEpoch: number
  readonly startOffset: number
}

export interface WrittenState {
  readonly stateEpoch: number
  readonly leaderEpoch: number
  readonly startOffset: number
  readonly deliveryCompleteCount: number
  readonly stateBatches: readonly StateBatch[]
}

/** The answer to one partition of a request. */
export interface Outcome {
  readonly error: ErrorRow
  /** Null where there is no error. */
  readonly message: string | null
}

type Read = Outcome & { readonly state: ShareState | null }

const done: Outcome = { error: errors.NONE, message: null }

export interface ShareShardOptions {
  readonly config: () => ShareCoordinatorConfig
  /** Partitions of a topic, undefined if there is no such topic. */
  readonly partitionCountOf: (topicId: Uuid) => number | undefined
  /** Deletes the records of the shard's log that lie before the offset. */
  readonly prune: (partition: number, offset: number) => void
}

export class ShareShard implements Shard<ShareRecord> {
  readonly #context: ShardContext<ShareRecord>
  readonly #options: ShareShardOptions
  readonly #states: TimelineMap<string, Recorded>
  readonly #coldSnapshots: Deadline
  readonly #pruning: Deadline
  #prunedOffset = 0

  constructor(context: ShardContext<ShareRecord>, options: ShareShardOptions) {
    this.#context = context
    this.#options = options
    this.#states = new TimelineMap(context.timeline)
    this.#coldSnapshots = context.deadline((nowMs) => this.#snapshotCold(nowMs))
    this.#pruning = context.deadline(() => this.#prune())
  }

  apply(record: ShareRecord, atLeastOffset: number): void {
    const { key, value } = record
    const name = coordinatorKey(key)
    if (value === null) {
      this.#states.delete(name)
      return
    }
    const before = this.#states.get(name)
    const leaderEpochMax = Math.max(before?.leaderEpochMax ?? value.leaderEpoch, value.leaderEpoch)
    if (record.kind === 'snapshot') {
      const stateBatches = combineBatches([], value.stateBatches, unset)
      const state = { ...(value as ShareSnapshotValue), stateBatches }
      this.#states.set(name, {
        key,
        state,
        leaderEpochMax,
        stateEpochMax: Math.max(before?.stateEpochMax ?? 0, state.stateEpoch),
        updates: 0,
        snapshotOffset: atLeastOffset,
      })
      return
    }
    this.#states.set(name, {
      key,
      state: updated(before?.state ?? noState, record.value),
      leaderEpochMax,
      stateEpochMax: before?.stateEpochMax ?? 0,
      updates: (before?.updates ?? 0) + 1,
      snapshotOffset: before?.snapshotOffset ?? atLeastOffset,
    })
  }

  onLoaded(): void {
    const config = this.#options.config()
    this.#coldSnapshots.set(config.coldPartitionSnapshotIntervalMs)
    this.#pruning.set(config.stateTopicPruneIntervalMs)
  }

  onUnloaded(): void {}

  initialize(
    key: SharePartitionKey,
    { stateEpoch, startOffset }: InitialState,
    nowMs: Milliseconds,
  ): Decision<ShareRecord, Outcome> {
    const before = this.#states.get(coordinatorKey(key))
    if (key.partition < 0) return nothing(negativePartition)
    const refused =
      (before === undefined ? null : fencedState(before, stateEpoch)) ?? this.#unknown(key)
    if (refused !== null) return nothing(refused)
    const value = {
      snapshotEpoch: before === undefined ? 0 : before.state.snapshotEpoch + 1,
      stateEpoch,
      leaderEpoch: 0,
      startOffset,
      // Where reading has not begun nobody can say how far it is behind.
      deliveryCompleteCount: startOffset === unset ? unset : 0,
      createTimestamp: nowMs,
      writeTimestamp: nowMs,
      stateBatches: [],
    }
    return { records: [{ kind: 'snapshot', key, value }], reply: done }
  }

  write(
    key: SharePartitionKey,
    written: WrittenState,
    nowMs: Milliseconds,
  ): Decision<ShareRecord, Outcome> {
    const before = this.#states.get(coordinatorKey(key))
    if (key.partition < 0) return nothing(negativePartition)
    if (before === undefined) return nothing(uninitialized('Write'))
    const refused =
      fencedLeader(before, written.leaderEpoch) ??
      fencedState(before, written.stateEpoch) ??
      this.#unknown(key) ??
      unlikely(before, written.stateBatches)
    if (refused !== null) return nothing(refused)
    // The leader's epoch is recorded where the leader reads; whoever writes has read before.
    const record = this.#change(
      before,
      { ...written, leaderEpoch: before.state.leaderEpoch },
      nowMs,
    )
    return { records: [record], reply: done }
  }

  /** What a leader begins with. Older leaders are fenced from here on. */
  read(
    key: SharePartitionKey,
    leaderEpoch: number,
    nowMs: Milliseconds,
  ): Decision<ShareRecord, Read> {
    const before = this.#states.get(coordinatorKey(key))
    if (key.partition < 0) return nothing({ ...negativePartition, state: null })
    if (before === undefined) return nothing({ ...uninitialized('Read'), state: null })
    const refused = fencedLeader(before, leaderEpoch) ?? this.#unknown(key)
    if (refused !== null) return nothing({ ...refused, state: null })
    const reply = { ...done, state: before.state }
    if (leaderEpoch === unset || leaderEpoch === before.leaderEpochMax) return nothing(reply)
    const { startOffset, deliveryCompleteCount } = before.state
    const change = { startOffset, deliveryCompleteCount, leaderEpoch, stateBatches: [] }
    return { records: [this.#change(before, change, nowMs)], reply }
  }

  /** Where the group stands; a state of null is that nothing is recorded. */
  summary(key: SharePartitionKey): Decision<ShareRecord, Read> {
    const refused = key.partition < 0 ? negativePartition : this.#unknown(key)
    if (refused !== null) return nothing({ ...refused, state: null })
    return nothing({ ...done, state: this.#states.get(coordinatorKey(key))?.state ?? null })
  }

  delete(key: SharePartitionKey): Decision<ShareRecord, Outcome> {
    const refused = key.partition < 0 ? negativePartition : this.#unknown(key)
    if (refused !== null) return nothing(refused)
    const isRecorded = this.#states.has(coordinatorKey(key))
    return { records: isRecorded ? [tombstone(key)] : [], reply: done }
  }

  /** The topics are gone: so is all delivery state of theirs. */
  deleteTopics(ids: ReadonlySet<Uuid>): Decision<ShareRecord, void> {
    const keys = [...this.#states.values()].map(({ key }) => key)
    const records = keys.filter(({ topicId }) => ids.has(topicId)).map(tombstone)
    return { records, reply: undefined, isAtomic: false }
  }

  #unknown({ topicId, partition }: SharePartitionKey): Outcome | null {
    const count = this.#options.partitionCountOf(topicId)
    const isKnown = count !== undefined && partition < count
    return isKnown ? null : refusal(errors.UNKNOWN_TOPIC_OR_PARTITION)
  }

  /** A change as an update, or, where there have been enough of them, as a snapshot. */
  #change(
    { key, state, updates }: Recorded,
    change: Omit<WrittenState, 'stateEpoch'>,
    nowMs: Milliseconds,
  ): ShareRecord {
    if (updates < this.#options.config().snapshotUpdateRecordsPerSnapshot) {
      const stateBatches = combineBatches([], change.stateBatches, change.startOffset)
      const { snapshotEpoch } = state
      return { kind: 'update', key, value: { ...change, snapshotEpoch, stateBatches } }
    }
    const next = updated(state, change)
    const times = { createTimestamp: nowMs, writeTimestamp: nowMs }
    const value = { ...next, ...times, snapshotEpoch: state.snapshotEpoch + 1 }
    return { kind: 'snapshot', key, value }
  }

  #snapshotCold(nowMs: Milliseconds): Decision<ShareRecord, void> {
    const intervalMs = this.#options.config().coldPartitionSnapshotIntervalMs
    this.#coldSnapshots.set(intervalMs)
    const all = [...this.#states.values()]
    // Where nothing happens at all, nothing becomes redundant either.
    const isQuiet = all.every(({ state }) => state.createTimestamp !== state.writeTimestamp)
    const cold = isQuiet
      ? []
      : all.filter(({ state }) => nowMs - state.writeTimestamp >= intervalMs)
    const records = cold.map(({ key, state }): ShareRecord => {
      const snapshotEpoch = state.snapshotEpoch + 1
      return { kind: 'snapshot', key, value: { ...state, snapshotEpoch, writeTimestamp: nowMs } }
    })
    return { records, reply: undefined, isAtomic: false }
  }

  /** What is looked at is committed when the records are deleted. */
  #prune(): Decision<ShareRecord, void> {
    this.#pruning.set(this.#options.config().stateTopicPruneIntervalMs)
    let offset = Number.POSITIVE_INFINITY
    for (const { snapshotOffset } of this.#states.values()) {
      offset = Math.min(offset, snapshotOffset)
    }
    if (!Number.isFinite(offset) || offset <= this.#prunedOffset) return nothing(undefined)
    const onCommitted = () => {
      this.#options.prune(this.#context.partition, offset)
      this.#prunedOffset = offset
    }
    return { records: [], reply: undefined, onCommitted }
  }
}

/** What an update without a snapshot before it changes. */
const noState: ShareState = {
  snapshotEpoch: 0,
  stateEpoch: 0,
  leaderEpoch: 0,
  startOffset: unset,
  deliveryCompleteCount: unset,
  stateBatches: [],
  createTimestamp: 0,
  writeTimestamp: 0,
}

function updated(state: ShareState, change: Omit<WrittenState, 'stateEpoch'>): ShareState {
  const startOffset = change.startOffset === unset ? state.startOffset : change.startOffset
  return {
    ...state,
    startOffset,
    leaderEpoch: change.leaderEpoch === unset ? state.leaderEpoch : change.leaderEpoch,
    deliveryCompleteCount: change.deliveryCompleteCount,
    stateBatches: combineBatches(state.stateBatches, change.stateBatches, startOffset),
  }
}

const tombstone = (key: SharePartitionKey): ShareRecord => ({ kind: 'snapshot', key, value: null })

function nothing<T>(reply: T): Decision<ShareRecord, T> {
  return { records: [], reply }
}

function refusal(error: ErrorRow, message: string = error.message): Outcome {
  return { error, message }
}

const negativePartition = refusal(
  errors.INVALID_REQUEST,
  'The partition id cannot be a negative number.',
)

function uninitialized(operation: 'Read' | 'Write'): Outcome {
  const message = `${operation} operation on uninitialized share partition not allowed.`
  return refusal(errors.INVALID_REQUEST, message)
}

function fencedLeader({ leaderEpochMax }: Recorded, leaderEpoch: number): Outcome | null {
  const isFenced = leaderEpoch !== unset && leaderEpochMax > leaderEpoch
  return isFenced ? refusal(errors.FENCED_LEADER_EPOCH) : null
}

function fencedState({ stateEpochMax }: Recorded, stateEpoch: number): Outcome | null {
  const isFenced = stateEpoch !== unset && stateEpochMax > stateEpoch
  return isFenced ? refusal(errors.FENCED_STATE_EPOCH) : null
}

/** What no partition can be in, or what would not fit into a record. */
function unlikely({ state }: Recorded, stateBatches: readonly StateBatch[]): Outcome | null {
  if (state.stateBatches.length + stateBatches.length > stateBatchesMax) {
    return refusal(errors.INVALID_REQUEST, `There are more than ${stateBatchesMax} state batches.`)
  }
  if (stateBatches.every(isStateBatch)) return null
  return refusal(errors.INVALID_REQUEST, 'No partition can be in such a state.')
}

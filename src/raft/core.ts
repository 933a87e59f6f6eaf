/**
 * The consensus of KRaft (KIP-595) as a pure machine: events go in, and `take()` says what has to be
 * done before anything else happens. It knows epochs and offsets, never bytes, clocks or files.
 *
 *   unattached --campaign--> candidate --majority of votes--> leader
 *   resigned   --campaign--> candidate                        (a leader that started again: it never
 *                                                              leads its old epoch a second time)
 *
 * A quorum of one passes through all of it inside one `campaign()`. The high watermark is the largest
 * offset that a majority of voters has flushed, and only once it covers a record of the own epoch.
 *
 * What lives in this folder: this machine, the shell (`quorum.ts`) that stores what it says, and the files
 * of a quorum: its state, its snapshots, its voters. What must not: the meaning of the records. Imports
 * `protocol` and `environment`.
 */
import assert from 'node:assert/strict'

/** What must survive a restart: at most one vote per epoch, and which epochs were led. */
export interface ElectionState {
  /** -1: not known. */
  readonly leaderId: number
  readonly leaderEpoch: number
  /** -1: no vote was given in this epoch. */
  readonly votedId: number
}

export type Role =
  | { readonly name: 'unattached' }
  | { readonly name: 'resigned' }
  | { readonly name: 'candidate'; readonly granted: Set<number> }
  | {
      readonly name: 'leader'
      /** Offset of the LeaderChange record, the first one of the epoch. */
      readonly epochStartOffset: number
      readonly granted: readonly number[]
      readonly voters: Map<number, VoterProgress>
    }

interface VoterProgress {
  /** What the voter has on its disk for certain, exclusive. */
  flushedOffset: number
  lastFetchMs: number
  lastCaughtUpMs: number
}

/** What the shell has to do, in this order. */
export interface Ready {
  /** Make it durable before anything below, and before any other answer. */
  readonly electionState: ElectionState | undefined
  /** Append the LeaderChange record, the first of the new epoch. */
  readonly leaderChange: { readonly epoch: number; readonly granted: readonly number[] } | undefined
  /** The high watermark rose to this offset (exclusive). */
  readonly highWatermark: number | undefined
}

export interface ReplicaProgress {
  readonly replicaId: number
  readonly logEndOffset: number
  /** Milliseconds since the epoch; -1: never. */
  readonly lastFetchMs: number
  readonly lastCaughtUpMs: number
}

export class RaftCore {
  readonly nodeId: number
  readonly voters: readonly number[]
  #state: ElectionState
  #role: Role
  #endOffset: number
  /** -1: not known in this run yet. */
  #highWatermark = -1
  #ready: { -readonly [K in keyof Ready]: Ready[K] } = nothing()

  /** `endOffset` and `lastEpoch` are those of the log as it was found, or of a snapshot beyond it. */
  constructor(options: {
    readonly nodeId: number
    readonly voters: readonly number[]
    readonly electionState: ElectionState
    readonly endOffset: number
    readonly lastEpoch: number
  }) {
    this.nodeId = options.nodeId
    this.voters = options.voters
    this.#endOffset = options.endOffset
    const { electionState, lastEpoch } = options
    this.#state =
      electionState.leaderEpoch < lastEpoch
        ? { leaderEpoch: lastEpoch, leaderId: -1, votedId: -1 }
        : electionState
    this.#role = { name: this.#state.leaderId === this.nodeId ? 'resigned' : 'unattached' }
  }

  get role(): Role {
    return this.#role
  }

  get epoch(): number {
    return this.#state.leaderEpoch
  }

  /** -1: not known. */
  get leaderId(): number {
    return this.#state.leaderId
  }

  /** Exclusive; -1: not known. */
  get highWatermark(): number {
    return this.#highWatermark
  }

  get isLeader(): boolean {
    return this.#role.name === 'leader'
  }

  /** Starts an election for the next epoch, with the own vote. */
  campaign(): void {
    assert(this.voters.includes(this.nodeId), 'only a voter campaigns')
    assert(!this.isLeader, 'a leader does not campaign')
    this.#setState({ leaderEpoch: this.epoch + 1, leaderId: -1, votedId: this.nodeId })
    this.#role = { name: 'candidate', granted: new Set([this.nodeId]) }
    this.#countVotes()
  }

  /** A vote for this node came in; one of another epoch is late and means nothing. */
  voteGranted(voterId: number, epoch: number): void {
    if (this.#role.name !== 'candidate' || epoch !== this.epoch) return
    if (!this.voters.includes(voterId)) return
    this.#role.granted.add(voterId)
    this.#countVotes()
  }

  /** Records up to `endOffset` (exclusive) are in the leader's own log, not yet flushed. */
  appended(endOffset: number): void {
    assert(endOffset >= this.#endOffset, 'a leader only appends')
    this.#endOffset = endOffset
  }

  /** The leader's own log is durable up to `offset`: only now it counts towards the high watermark. */
  flushed(offset: number, nowMs: number): void {
    this.fetched(this.nodeId, offset, nowMs)
  }

  /** A voter asked for records from `offset` on: it has flushed all before it. */
  fetched(replicaId: number, offset: number, nowMs: number): void {
    if (this.#role.name !== 'leader') return
    const progress = this.#role.voters.get(replicaId)
    if (progress === undefined) return
    assert(offset <= this.#endOffset, 'nobody has more than the leader')
    progress.flushedOffset = Math.max(progress.flushedOffset, offset)
    progress.lastFetchMs = nowMs
    if (offset === this.#endOffset) progress.lastCaughtUpMs = nowMs
    this.#advance()
  }

  /** What there is to do since the last call. */
  take(): Ready {
    const ready = this.#ready
    this.#ready = nothing()
    return ready
  }

  /** Every voter's progress, as the leader knows it. */
  progress(nowMs: number): readonly ReplicaProgress[] {
    const role = this.#role
    if (role.name !== 'leader') return []
    return this.voters.map((replicaId) => {
      const known = role.voters.get(replicaId)
      if (replicaId === this.nodeId) {
        const logEndOffset = this.#endOffset
        return { replicaId, logEndOffset, lastFetchMs: nowMs, lastCaughtUpMs: nowMs }
      }
      return {
        replicaId,
        logEndOffset: known?.flushedOffset ?? -1,
        lastFetchMs: known?.lastFetchMs ?? -1,
        lastCaughtUpMs: known?.lastCaughtUpMs ?? -1,
      }
    })
  }

  #countVotes(): void {
    const role = this.#role
    if (role.name !== 'candidate' || role.granted.size * 2 <= this.voters.length) return
    const granted = [...role.granted].sort((a, b) => a - b)
    const voters = new Map<number, VoterProgress>()
    for (const id of this.voters) {
      voters.set(id, { flushedOffset: -1, lastFetchMs: -1, lastCaughtUpMs: -1 })
    }
    this.#role = { name: 'leader', epochStartOffset: this.#endOffset, granted, voters }
    this.#setState({ leaderEpoch: this.epoch, leaderId: this.nodeId, votedId: this.nodeId })
    this.#ready.leaderChange = { epoch: this.epoch, granted }
  }

  #setState(state: ElectionState): void {
    assert(state.leaderEpoch >= this.#state.leaderEpoch, 'the epoch never goes back')
    this.#state = state
    this.#ready.electionState = state
  }

  #advance(): void {
    assert(this.#role.name === 'leader')
    const offsets = [...this.#role.voters.values()].map((voter) => voter.flushedOffset)
    offsets.sort((a, b) => b - a)
    const committed = offsets[Math.floor(this.voters.length / 2)] ?? -1
    if (committed <= this.#role.epochStartOffset || committed <= this.#highWatermark) return
    this.#highWatermark = committed
    this.#ready.highWatermark = committed
  }
}

function nothing(): Ready {
  return { electionState: undefined, leaderChange: undefined, highWatermark: undefined }
}

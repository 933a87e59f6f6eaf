/**
 * The shell around the consensus core: stores the election state, appends batches to the metadata log,
 * flushes them and tells when they are committed. Whatever is appended in one turn is flushed together;
 * what arrives during a flush shares the next one. Nothing is announced as committed before its flush.
 */
import assert from 'node:assert/strict'
import { type Uuid, zeroUuid } from '../../protocol/types.ts'
import type { Clock, Environment, Logger, Timers } from '../environment/environment.ts'
import { encodeDataBatch, encodeLeaderChange } from './batches.ts'
import { type ElectionState, RaftCore, type ReplicaProgress } from './core.ts'
import { DamagedQuorumState, type QuorumState, QuorumStateFile } from './quorum-state-file.ts'
import type { RaftLog } from './raft-log.ts'
import { checkSoleVoter, type VoterSet } from './voters.ts'

export interface QuorumOptions {
  readonly nodeId: number
  /** `directory.id` of the metadata log directory, base64url. */
  readonly directoryId: string
  /** The directory of `__cluster_metadata-0`; must exist. */
  readonly directory: string
  readonly log: RaftLog
  /** The largest epoch in the log and in the snapshots before it. */
  readonly lastEpoch: number
  /** What the log says of the voters. */
  readonly voterSet: VoterSet
  readonly environment: Pick<Environment, 'clock' | 'timers' | 'disk' | 'log'>
  /** The metadata log can no longer be written: the node must stop. */
  readonly onFatal: (error: Error) => void
}

/** DescribeQuorum's content. */
export interface QuorumDescription {
  readonly leaderId: number
  readonly leaderEpoch: number
  /** Exclusive; -1: not known. */
  readonly highWatermark: number
  readonly voters: readonly ReplicaProgress[]
  /** Of the voters; the zero id where voters are known by their node ids alone (kraft.version 0). */
  readonly voterDirectoryId: Uuid
}

/** Where and when a batch was appended. */
export interface Appended {
  readonly lastOffset: number
  /** Of its records, milliseconds since the epoch. */
  readonly timestampMs: number
}

export class Quorum {
  readonly log: RaftLog
  readonly voterSet: VoterSet
  readonly #core: RaftCore
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #logger: Logger
  readonly #stateFile: QuorumStateFile
  readonly #stateVersion: 0 | 1
  readonly #directoryId: string
  readonly #onFatal: (error: Error) => void
  readonly #listeners = new Set<(highWatermark: number) => void>()
  #flush: Promise<void> | undefined
  #isFlushScheduled = false
  #isClosed = false
  #appendedBytes = 0

  /**
   * Reads the stored election state. Throws DiskError, ForeignQuorum where other nodes vote, and Error
   * for a state of a later version.
   */
  constructor(options: QuorumOptions) {
    const { nodeId, environment, log, voterSet } = options
    this.log = log
    this.voterSet = voterSet
    this.#clock = environment.clock
    this.#timers = environment.timers
    this.#logger = environment.log
    this.#directoryId = options.directoryId
    this.#onFatal = options.onFatal
    this.#stateFile = new QuorumStateFile(environment.disk, options.directory)
    const stored = this.#readState(options)
    checkSoleVoter(voterSet, stored?.voters ?? [], options)
    this.#stateVersion = voterSet.kraftVersion > 0 ? 1 : (stored?.version ?? 0)
    this.#core = new RaftCore({
      nodeId,
      voters: [nodeId],
      electionState: stored ?? { leaderId: -1, leaderEpoch: 0, votedId: -1 },
      endOffset: log.endOffset,
      lastEpoch: options.lastEpoch,
    })
  }

  /** Bytes appended in this run. */
  get appendedBytes(): number {
    return this.#appendedBytes
  }

  get epoch(): number {
    return this.#core.epoch
  }

  get isLeader(): boolean {
    return this.#core.isLeader
  }

  /** Exclusive; -1: not known. */
  get highWatermark(): number {
    return this.#core.highWatermark
  }

  /** Called with the new high watermark whenever it rose. */
  onCommit(listener: (highWatermark: number) => void): void {
    this.#listeners.add(listener)
  }

  /** Leads the next epoch from here on: the state is stored and LeaderChange appended when this returns. */
  lead(): void {
    this.#core.campaign()
    this.#handleReady()
  }

  /**
   * Appends the records as one batch, whole or not at all. Only the leader may. Commits are announced
   * through `onCommit`. Throws DiskError.
   */
  append(values: readonly Buffer[]): Appended {
    assert(this.isLeader, 'only the leader appends')
    const place = this.#place()
    try {
      this.#write(encodeDataBatch(values, place), place.leaderEpoch)
    } catch (error) {
      this.#onFatal(error as Error)
      throw error
    }
    return { lastOffset: place.baseOffset + values.length - 1, timestampMs: place.nowMs }
  }

  describe(): QuorumDescription {
    return {
      leaderId: this.#core.leaderId,
      leaderEpoch: this.#core.epoch,
      highWatermark: this.#core.highWatermark,
      voters: this.#core.progress(this.#clock.now()),
      voterDirectoryId: this.#stateVersion === 0 ? zeroUuid : this.#directoryId,
    }
  }

  /** Flushes what was appended; nothing is announced after it. */
  async close(): Promise<void> {
    if (this.#isFlushScheduled) {
      this.#isFlushScheduled = false
      this.#startFlush()
    }
    while (this.#flush !== undefined) await this.#flush
    this.#isClosed = true
  }

  #handleReady(): void {
    const { electionState, leaderChange, highWatermark } = this.#core.take()
    if (electionState !== undefined) this.#store(electionState)
    if (leaderChange !== undefined) {
      this.#logger.info('leading the metadata quorum', { epoch: leaderChange.epoch })
      const change = {
        leaderId: this.#core.nodeId,
        voters: this.#core.voters,
        granted: leaderChange.granted,
        version: this.#stateVersion,
        directoryId: this.#directoryId,
      }
      this.#write(encodeLeaderChange(change, this.#place()), leaderChange.epoch)
    }
    if (highWatermark !== undefined) {
      for (const listener of this.#listeners) listener(highWatermark)
    }
  }

  #store(state: ElectionState): void {
    // The votedId of a leader is not kept in version 0, as in Kafka: the leader says it all.
    const isLeader = state.leaderId === this.#core.nodeId
    const stored: QuorumState = {
      ...state,
      votedId: isLeader && this.#stateVersion === 0 ? -1 : state.votedId,
      version: this.#stateVersion,
      votedDirectoryId: this.#directoryId,
      voters: this.#core.voters,
    }
    this.#stateFile.write(stored)
  }

  /**
   * A state that is lost or damaged is made anew from the log. A vote that is forgotten could be given
   * twice, but a quorum of one asks nobody, and whatever an epoch beyond the log's began is not in it.
   */
  #readState({ log, lastEpoch }: QuorumOptions): QuorumState | undefined {
    const { path } = this.#stateFile
    try {
      const stored = this.#stateFile.read()
      if (stored === undefined && log.endOffset > 0) {
        this.#logger.warn('quorum-state is missing and made anew', { path, epoch: lastEpoch })
      }
      return stored
    } catch (error) {
      if (!(error instanceof DamagedQuorumState)) throw error
      this.#logger.warn('quorum-state is damaged and made anew', {
        path,
        epoch: lastEpoch,
        err: error,
      })
      return undefined
    }
  }

  #place() {
    const { endOffset: baseOffset } = this.log
    return { baseOffset, leaderEpoch: this.epoch, nowMs: this.#clock.now() }
  }

  #write(batch: Buffer, epoch: number): void {
    this.log.append(batch, epoch)
    this.#appendedBytes += batch.length
    this.#core.appended(this.log.endOffset)
    if (this.#isFlushScheduled || this.#flush !== undefined) return
    this.#isFlushScheduled = true
    this.#timers.endOfTurn(() => {
      if (!this.#isFlushScheduled) return
      this.#isFlushScheduled = false
      this.#startFlush()
    })
  }

  #startFlush(): void {
    if (this.#isClosed) return
    const endOffset = this.log.endOffset
    this.#flush = this.log.sync().then(
      () => this.#flushed(endOffset),
      (error: Error) => this.#failed(error),
    )
  }

  /** What a failed flush left is not known: nothing is flushed or announced any more. */
  #failed(error: Error): void {
    this.#flush = undefined
    this.#isClosed = true
    this.#onFatal(error)
  }

  #flushed(endOffset: number): void {
    this.#flush = undefined
    if (this.#isClosed) return
    this.#core.flushed(endOffset, this.#clock.now())
    this.#handleReady()
    if (this.log.endOffset > endOffset && this.#flush === undefined) this.#startFlush()
  }
}

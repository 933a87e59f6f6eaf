/**
 * What a share group has in flight of a partition: from the first offset whose delivery has not ended
 * to the last that anybody was given, without gaps, as runs of neighbours that stand the same.
 *
 *   startOffset                                                nextOffset
 *     |[ acquired by A, 1x ][ available, 2x ][ acknowledged ][ acquired by B, 1x ]| not read yet
 *
 * How a run gets from one state to another: `delivery-run.ts`. An end of an acquisition is a verdict that has to be stored first: meanwhile the run stays acquired
 * and nobody else may touch it. If storing fails it goes on as if nothing had been said.
 *
 * The core of `SharePartition`: it knows no clock, disk or network. Runs, never records: memory and work
 * follow how torn the range is, not how long it is.
 */
import {
  acknowledgeType,
  areAlike,
  fewAtOnce,
  hasEnded,
  indexReaching,
  isAvailable,
  isFinal,
  type OffsetRange,
  type Run,
  type RunState,
  runState,
  type StoredRun,
  stateAfter,
  stored,
  type Verdict,
} from './delivery-run.ts'
import { type Refusal, refusals } from './refusals.ts'

export interface AcquiredRecords extends OffsetRange {
  /** The delivery that this acquisition is, from 1 on. */
  readonly deliveryCount: number
}

/** A batch of the log that was read. */
export interface FetchedBatch extends OffsetRange {
  /** Of a transaction that was aborted: nobody may see it. */
  readonly isAborted: boolean
}

export interface AcquireOptions {
  readonly memberId: string
  /** Where the read began. */
  readonly fetchOffset: number
  readonly maxRecords: number
  /** Records that may be in flight at all. */
  readonly inFlightMax: number
  /** Whether `maxRecords` holds to the record, rather than to the batch that reaches it (KIP-1206). */
  readonly isRecordLimit: boolean
  readonly deliveryCountLimit: number
  readonly lockedUntilMs: number
}

/** One thing said about a range: an acknowledge type. */
export interface Acknowledgement extends OffsetRange {
  readonly type: number
}

export class InFlight {
  #startOffset = 0
  #nextOffset = 0
  #runs: Run[] = []
  /** False where no run is available; the search for one was in vain. */
  #mayHaveAvailable = false

  /** The first offset whose delivery has not ended. */
  get startOffset(): number {
    return this.#startOffset
  }

  /** Everything from here on was given to nobody yet. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  get size(): number {
    return this.#nextOffset - this.#startOffset
  }

  get isEmpty(): boolean {
    return this.#runs.length === 0
  }

  /**
   * Begins with what was stored. Acquisitions are not: what lies between stored runs was given to
   * somebody of whom nothing is known, or read by nobody, and is to be delivered. Throws RangeError
   * for runs that overlap or lie before the start.
   */
  restore(startOffset: number, stored: readonly StoredRun[]): void {
    this.#startOffset = startOffset
    this.#nextOffset = startOffset
    this.#runs = []
    for (const { firstOffset, lastOffset, deliveryState, deliveryCount } of stored) {
      if (firstOffset < this.#nextOffset || lastOffset < firstOffset) {
        throw new RangeError(`Stored runs overlap at offset ${firstOffset}`)
      }
      if (firstOffset > this.#nextOffset) this.#append(firstOffset - 1, runState.available, 0)
      const state = deliveryState as RunState
      this.#append(lastOffset, isFinal(state) ? state : runState.available, deliveryCount)
    }
    this.#mayHaveAvailable = true
    this.#advance()
  }

  /** Where the next read is to begin: at the first record that may be given again, else at new ones. */
  nextFetchOffset(): number {
    if (!this.#mayHaveAvailable) return this.#nextOffset
    const run = this.#runs.find(isAvailable)
    if (run !== undefined) return run.firstOffset
    this.#mayHaveAvailable = false
    return this.#nextOffset
  }

  canAcquire(inFlightMax: number): boolean {
    return this.size < inFlightMax || this.nextFetchOffset() < this.#nextOffset
  }

  /**
   * Gives what was read, as far as it is anybody's to take: first what is available again, then new
   * records as far as there is room.
   */
  acquire(fetched: readonly FetchedBatch[], options: AcquireOptions): AcquiredRecords[] {
    const first = fetched[0]
    const last = fetched.at(-1)
    const acquired: AcquiredRecords[] = []
    if (first === undefined || last === undefined || last.lastOffset < this.#startOffset) {
      return acquired
    }
    // The log holds nothing between the two any more, where it was compacted or its start moved.
    this.#archive(options.fetchOffset, first.firstOffset - 1)
    for (const batch of fetched) {
      if (batch.isAborted) this.#archive(batch.firstOffset, batch.lastOffset)
    }
    const left = this.#acquireAgain(fetched, options, acquired)
    this.#acquireNew(fetched, options, left, acquired)
    this.#advance()
    return acquired
  }

  /** What may still be acquired of `maxRecords`. */
  #acquireAgain(
    fetched: readonly FetchedBatch[],
    options: AcquireOptions,
    acquired: AcquiredRecords[],
  ): number {
    let left = options.maxRecords
    const readFirst = (fetched[0] as FetchedBatch).firstOffset
    const readLast = (fetched.at(-1) as FetchedBatch).lastOffset
    for (let at = this.#indexOf(readFirst); at < this.#runs.length && left > 0; at++) {
      const run = this.#runs[at] as Run
      if (run.firstOffset > readLast) break
      if (!isAvailable(run)) continue
      const few = fewAtOnce(run, options.deliveryCountLimit)
      // What fails again and again is given on its own, that it does not take others along.
      if (few !== null && acquired.length > 0) return 0
      const firstOffset = Math.max(run.firstOffset, readFirst)
      const isExact = options.isRecordLimit || few !== null
      const limit = Math.min(left, few ?? left)
      const wanted = firstOffset + limit - 1
      const end = isExact ? wanted : endOfBatch(fetched, wanted)
      const lastOffset = Math.min(run.lastOffset, readLast, end)
      at = this.#split(firstOffset)
      this.#split(lastOffset + 1)
      this.#take(this.#runs[at] as Run, options, acquired)
      left -= lastOffset - firstOffset + 1
      if (few !== null) return 0
    }
    return left
  }

  #acquireNew(
    fetched: readonly FetchedBatch[],
    options: AcquireOptions,
    maxRecords: number,
    acquired: AcquiredRecords[],
  ): void {
    let left = Math.min(maxRecords, options.inFlightMax - this.size)
    for (const batch of fetched) {
      if (left <= 0) return
      if (batch.lastOffset < this.#nextOffset) continue
      if (batch.firstOffset > this.#nextOffset) {
        this.#append(batch.firstOffset - 1, runState.archived, 0)
      }
      if (batch.isAborted) {
        this.#append(batch.lastOffset, runState.archived, 0)
        continue
      }
      const wanted = this.#nextOffset + left - 1
      const lastOffset = options.isRecordLimit
        ? Math.min(wanted, batch.lastOffset)
        : batch.lastOffset
      left -= lastOffset - this.#nextOffset + 1
      this.#take(this.#append(lastOffset, runState.available, 0), options, acquired)
    }
  }

  #take(run: Run, { memberId, lockedUntilMs }: AcquireOptions, acquired: AcquiredRecords[]): void {
    run.state = runState.acquired
    run.deliveryCount++
    run.memberId = memberId
    run.lockedUntilMs = lockedUntilMs
    const { firstOffset, lastOffset, deliveryCount } = run
    const last = acquired.at(-1)
    if (last?.lastOffset === firstOffset - 1 && last.deliveryCount === deliveryCount) {
      acquired[acquired.length - 1] = { ...last, lastOffset }
    } else {
      acquired.push({ firstOffset, lastOffset, deliveryCount })
    }
  }

  /**
   * Why the member may not say this about the range, or null: what is said of offsets whose delivery
   * has ended is passed over.
   */
  refusal({ firstOffset, lastOffset }: OffsetRange, memberId: string): Refusal | null {
    if (lastOffset < this.#startOffset) return null
    if (this.isEmpty) return refusals.notFound
    if (firstOffset >= this.#nextOffset) return refusals.firstPast
    if (lastOffset >= this.#nextOffset) return refusals.lastPast
    const from = Math.max(firstOffset, this.#startOffset)
    for (let at = this.#indexOf(from); at < this.#runs.length; at++) {
      const run = this.#runs[at] as Run
      if (run.firstOffset > lastOffset) break
      if (run.state !== runState.acquired) return refusals.notAcquired
      if (run.verdict !== null) return refusals.beingStored
      if (run.memberId !== memberId) return refusals.notOwner
    }
    return null
  }

  /** What the owner says about ranges that nothing speaks against (`refusal`). */
  acknowledge(
    acknowledgements: readonly Acknowledgement[],
    { deliveryCountLimit, lockedUntilMs }: { deliveryCountLimit: number; lockedUntilMs: number },
  ): Verdict {
    const verdict: Verdict = { runs: [] }
    for (const { firstOffset, lastOffset, type } of acknowledgements) {
      if (lastOffset < this.#startOffset) continue
      const from = this.#split(Math.max(firstOffset, this.#startOffset))
      const to = this.#split(lastOffset + 1)
      for (const run of this.#runs.slice(from, to)) {
        if (type === acknowledgeType.renew) run.lockedUntilMs = lockedUntilMs
        else if (run.verdict === null) {
          this.#pass(verdict, run, stateAfter(type, run, deliveryCountLimit))
        }
      }
    }
    return verdict
  }

  /** The member is gone: gives back what it had. */
  releaseMember(memberId: string, deliveryCountLimit: number): Verdict {
    const verdict: Verdict = { runs: [] }
    for (const run of this.#runs) {
      if (run.memberId !== memberId || run.verdict !== null) continue
      this.#pass(verdict, run, stateAfter(acknowledgeType.release, run, deliveryCountLimit))
    }
    return verdict
  }

  #pass(verdict: Verdict, run: Run, state: RunState): void {
    run.verdict = verdict
    run.verdictState = state
    verdict.runs.push(stored(run, state))
  }

  /** The verdict was stored, or could not be; what it was about may be due meanwhile. */
  settle(
    verdict: Verdict,
    isStored: boolean,
    { nowMs, deliveryCountLimit }: { nowMs: number; deliveryCountLimit: number },
  ): void {
    for (const run of this.#runs) {
      if (run.verdict !== verdict) continue
      run.verdict = null
      if (isStored) this.#end(run, run.verdictState)
      else if (run.lockedUntilMs <= nowMs) this.#release(run, deliveryCountLimit)
    }
    this.#advance()
  }

  /** Takes back what was acquired for too long; returns what is to be stored of that. */
  expire(nowMs: number, deliveryCountLimit: number): StoredRun[] {
    const released: StoredRun[] = []
    for (const run of this.#runs) {
      if (run.state !== runState.acquired || run.verdict !== null) continue
      if (run.lockedUntilMs > nowMs) continue
      this.#release(run, deliveryCountLimit)
      released.push(stored(run, run.state))
    }
    if (released.length > 0) this.#advance()
    return released
  }

  /** When the first acquisition lapses; infinite if there is none. */
  firstLapseMs(): number {
    let first = Number.POSITIVE_INFINITY
    for (const { state, verdict, lockedUntilMs } of this.#runs) {
      const isHeld = state === runState.acquired && verdict === null
      if (isHeld && lockedUntilMs < first) first = lockedUntilMs
    }
    return first
  }

  /** The log begins at `offset` now: nothing before it can be delivered. */
  forgetBefore(offset: number): void {
    if (offset <= this.#startOffset) return
    this.#runs = this.#runs.slice(this.#split(offset))
    this.#startOffset = offset
    this.#nextOffset = Math.max(this.#nextOffset, offset)
    this.#advance()
  }

  /** Records in flight whose delivery has ended, or will have when it is stored. */
  deliveryCompleteCount(): number {
    let count = 0
    for (const run of this.#runs) {
      const state = run.verdict === null ? run.state : run.verdictState
      if (isFinal(state)) count += run.lastOffset - run.firstOffset + 1
    }
    return count
  }

  /** What is in flight, in order. */
  runs(): readonly Readonly<Run>[] {
    return this.#runs
  }

  #release(run: Run, deliveryCountLimit: number): void {
    this.#end(run, stateAfter(acknowledgeType.release, run, deliveryCountLimit))
  }

  #end(run: Run, state: RunState): void {
    run.state = state
    run.memberId = null
    run.lockedUntilMs = 0
    if (state === runState.available) this.#mayHaveAvailable = true
  }

  /** What is available of the range is never to be given again. */
  #archive(firstOffset: number, lastOffset: number): void {
    if (lastOffset < firstOffset || lastOffset < this.#startOffset) return
    if (!this.#isAnyAvailable(firstOffset, lastOffset)) return
    const from = this.#split(Math.max(firstOffset, this.#startOffset))
    const to = this.#split(Math.min(lastOffset + 1, this.#nextOffset))
    for (const run of this.#runs.slice(from, to)) {
      if (isAvailable(run)) run.state = runState.archived
    }
  }

  #isAnyAvailable(firstOffset: number, lastOffset: number): boolean {
    for (let at = this.#indexOf(firstOffset); at < this.#runs.length; at++) {
      const run = this.#runs[at] as Run
      if (run.firstOffset > lastOffset) return false
      if (isAvailable(run)) return true
    }
    return false
  }

  /** Moves the start over what has ended, and joins neighbours that have come to stand the same. */
  #advance(): void {
    const runs = this.#runs
    let ended = 0
    while (ended < runs.length && hasEnded(runs[ended] as Run)) ended++
    const joined: Run[] = []
    for (let at = ended; at < runs.length; at++) {
      const run = runs[at] as Run
      const last = joined.at(-1)
      if (last !== undefined && areAlike(last, run)) last.lastOffset = run.lastOffset
      else joined.push(run)
    }
    this.#runs = joined
    this.#startOffset = joined[0]?.firstOffset ?? this.#nextOffset
  }

  #append(lastOffset: number, state: RunState, deliveryCount: number): Run {
    const run: Run = {
      firstOffset: this.#nextOffset,
      lastOffset,
      state,
      deliveryCount,
      memberId: null,
      lockedUntilMs: 0,
      verdict: null,
      verdictState: runState.available,
    }
    this.#runs.push(run)
    this.#nextOffset = lastOffset + 1
    return run
  }

  /** Where the run is that holds the offset, or that follows it; the number of runs if none does. */
  #indexOf(offset: number): number {
    return indexReaching(this.#runs, offset)
  }

  /** Lets a run begin at the offset, if any holds it; returns where it is. */
  #split(offset: number): number {
    const at = this.#indexOf(offset)
    const run = this.#runs[at]
    if (run === undefined || run.firstOffset >= offset) return at
    this.#runs.splice(at + 1, 0, { ...run, firstOffset: offset })
    run.lastOffset = offset - 1
    return at + 1
  }
}

/** The last offset of the batch that holds `offset`; `offset` itself if none does. */
function endOfBatch(fetched: readonly FetchedBatch[], offset: number): number {
  const batch = fetched[indexReaching(fetched, offset)]
  return batch !== undefined && batch.firstOffset <= offset ? batch.lastOffset : offset
}

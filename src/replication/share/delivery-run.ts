/**
 * A run: neighbouring records of a partition that stand the same with a share group.
 *
 *                   acquire                      accept
 *     available -----------------> acquired -----------------> acknowledged
 *         ^                           |  \------ reject -----> archived
 *         \--- release, lock ran out -/  (released after the last delivery: archived)
 */

/** Delivery states, as they are stored. */
export const runState = { available: 0, acquired: 1, acknowledged: 2, archived: 4 } as const
export type RunState = (typeof runState)[keyof typeof runState]

/** How an acknowledgement says what became of a record (KIP-932, KIP-1222). */
export const acknowledgeType = { gap: 0, accept: 1, release: 2, reject: 3, renew: 4 } as const

/** Bounds are inclusive. */
export interface OffsetRange {
  readonly firstOffset: number
  readonly lastOffset: number
}

/** As it is stored. */
export interface StoredRun extends OffsetRange {
  readonly deliveryState: number
  readonly deliveryCount: number
}

/** Runs whose end waits to be stored together. */
export interface Verdict {
  /** What is to be stored; empty where nothing is. */
  readonly runs: StoredRun[]
}

export interface Run {
  firstOffset: number
  lastOffset: number
  state: RunState
  deliveryCount: number
  /** Null unless acquired. */
  memberId: string | null
  /** Monotonic; when an acquisition lapses. */
  lockedUntilMs: number
  verdict: Verdict | null
  /** What the run becomes once the verdict is stored. */
  verdictState: RunState
}

/** What has been delivered so often that few of a run should be given at once: how many; else null. */
export function fewAtOnce(
  { firstOffset, lastOffset, deliveryCount }: Run,
  limit: number,
): number | null {
  if (limit > 2 && deliveryCount === limit - 1) return 1
  if (deliveryCount < Math.max(2, Math.ceil(limit / 2))) return null
  return Math.max(1, (lastOffset - firstOffset + 1) >> 1)
}

/** The index of the first of `ranges`, which rise, that reaches `offset`; their number if none does. */
export function indexReaching(ranges: readonly OffsetRange[], offset: number): number {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ranges[middle] as OffsetRange).lastOffset < offset) low = middle + 1
    else high = middle
  }
  return low
}

/** What an acknowledgement of this type makes of the run; `deliveryCountLimit`: share.delivery.count.limit. */
export function stateAfter(
  type: number,
  { deliveryCount }: Run,
  deliveryCountLimit: number,
): RunState {
  if (type === acknowledgeType.accept) return runState.acknowledged
  const isReleased = type === acknowledgeType.release && deliveryCount < deliveryCountLimit
  return isReleased ? runState.available : runState.archived
}

/** As it is to be stored in this state. */
export function stored(
  { firstOffset, lastOffset, deliveryCount }: Run,
  state: RunState,
): StoredRun {
  return { firstOffset, lastOffset, deliveryState: state, deliveryCount }
}

export function isAvailable({ state }: Run): boolean {
  return state === runState.available
}

export function isFinal(state: RunState): boolean {
  return state === runState.acknowledged || state === runState.archived
}

export function hasEnded({ state, verdict }: Run): boolean {
  return verdict === null && isFinal(state)
}

export function areAlike(a: Run, b: Run): boolean {
  return (
    a.state === b.state &&
    a.deliveryCount === b.deliveryCount &&
    a.memberId === b.memberId &&
    a.lockedUntilMs === b.lockedUntilMs &&
    a.verdict === b.verdict &&
    (a.verdict === null || a.verdictState === b.verdictState)
  )
}

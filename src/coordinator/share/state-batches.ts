/**
 * Delivery state as batches: ranges of offsets of which each was delivered equally often and stands at
 * the same. Two reports about an offset need no order to be told apart: records are only delivered more
 * often, and only go from available to acknowledged or archived, so the one with more deliveries, or at
 * the same number the later state, is the newer one.
 *
 *     [0      1x available      99]
 *               [50  2x archived  69]                       gives
 *     [0  1x  49][50  2x archived 69][70  1x  99]
 */

/** Delivery states as they are stored and sent. */
const deliveryState = { AVAILABLE: 0, ACQUIRED: 1, ACKNOWLEDGED: 2, ARCHIVED: 4 } as const

/** Bounds are inclusive. */
export interface StateBatch {
  readonly firstOffset: number
  readonly lastOffset: number
  readonly deliveryState: number
  readonly deliveryCount: number
}

/** Whether a batch can be what a partition was in: hostile bytes say anything. */
export function isStateBatch({ firstOffset, lastOffset, deliveryState: state }: StateBatch) {
  const isKnown = Object.values<number>(deliveryState).includes(state)
  return isKnown && firstOffset >= 0 && firstOffset <= lastOffset
}

/**
 * What `known`, sorted and without overlaps, and `news`, in any order, say together about offsets from
 * `startOffset` on (-1: about all); sorted, without overlaps, neighbours of the same state joined.
 */
export function combineBatches(
  known: readonly StateBatch[],
  news: readonly StateBatch[],
  startOffset: number,
): readonly StateBatch[] {
  return overlay(known, flattened(news.filter(isStateBatch)), Math.max(0, startOffset))
}

function flattened(batches: readonly StateBatch[]): readonly StateBatch[] {
  if (batches.length < 2) return batches
  const middle = batches.length >> 1
  return overlay(flattened(batches.slice(0, middle)), flattened(batches.slice(middle)), 0)
}

/** Of two lists, each sorted and without overlaps, what they say from `startOffset` on. */
function overlay(
  one: readonly StateBatch[],
  other: readonly StateBatch[],
  startOffset: number,
): StateBatch[] {
  const result: StateBatch[] = []
  let at = 0
  let otherAt = 0
  /** Everything before it is in the result. */
  let offset = startOffset
  while (at < one.length || otherAt < other.length) {
    const a = one[at]
    const b = other[otherAt]
    if (a !== undefined && a.lastOffset < offset) at++
    else if (b !== undefined && b.lastOffset < offset) otherAt++
    else {
      const next = firstPiece(from(a, offset), from(b, offset))
      offset = next.lastOffset + 1
      append(result, next)
    }
  }
  return result
}

function from(batch: StateBatch | undefined, offset: number): StateBatch | undefined {
  return batch !== undefined && batch.firstOffset < offset
    ? { ...batch, firstOffset: offset }
    : batch
}

/** The longest piece at the front of two batches of which one or both cover all of it. */
function firstPiece(a: StateBatch | undefined, b: StateBatch | undefined): StateBatch {
  if (a === undefined || b === undefined) return (a ?? b) as StateBatch
  if (a.firstOffset !== b.firstOffset) {
    const [early, late] = a.firstOffset < b.firstOffset ? [a, b] : [b, a]
    return { ...early, lastOffset: Math.min(early.lastOffset, late.firstOffset - 1) }
  }
  return { ...newer(a, b), lastOffset: Math.min(a.lastOffset, b.lastOffset) }
}

function newer(a: StateBatch, b: StateBatch): StateBatch {
  if (a.deliveryCount !== b.deliveryCount) return a.deliveryCount > b.deliveryCount ? a : b
  return a.deliveryState >= b.deliveryState ? a : b
}

function append(batches: StateBatch[], next: StateBatch): void {
  const last = batches.at(-1)
  const isSame =
    last !== undefined &&
    last.lastOffset + 1 === next.firstOffset &&
    last.deliveryState === next.deliveryState &&
    last.deliveryCount === next.deliveryCount
  if (isSame) batches[batches.length - 1] = { ...last, lastOffset: next.lastOffset }
  else batches.push(next)
}

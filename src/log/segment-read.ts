/**
 * What a read takes from a window of a segment: the whole batches that hold the offset asked for and
 * those behind, as far as the limits allow, each of which fits to the one before (`links`).
 */
import { isBehindGap, type Link, lastOffsetOf, linkedBytes, pass, peekBytes } from './links.ts'

export interface ReadResult {
  /**
   * Whole batches, one after another; never to be changed. Each is the reader's own, from `Buffers`, and
   * may be given back there.
   */
  readonly chunks: readonly Buffer[]
  readonly bytes: number
  /**
   * Base offset of the first batch, at or below the offset asked for; that offset if there is none.
   */
  readonly firstOffset: number
  /** The offset after the last batch returned: where the next read goes on. */
  readonly nextOffset: number
}

export interface ReadOptions {
  readonly offset: number
  readonly maxBytes: number
  /** Deliver the first batch even if it alone is larger than maxBytes. */
  readonly minOneBatch: boolean
  /** Exclusive: no batch that reaches it is returned (high watermark, last stable offset). */
  readonly upToOffset: number
}

export const nothingAt = (offset: number): ReadResult => ({
  chunks: [],
  bytes: 0,
  firstOffset: offset,
  nextOffset: offset,
})

/** What a window holds of what is asked for. */
export type Taken =
  /** Batches of [start, end); the next one has `nextOffset`. */
  | {
      readonly kind: 'found'
      readonly start: number
      readonly end: number
      readonly nextOffset: number
    }
  /** Nothing yet: the next window begins at `start` and has at least `bytes`. */
  | { readonly kind: 'further'; readonly start: number; readonly bytes: number }
  /** The caller's limits allow nothing. */
  | { readonly kind: 'limited' }
  /** The segment ends before the offset. */
  | { readonly kind: 'ended' }
  | { readonly kind: 'damaged' }

export interface Window {
  readonly bytes: Buffer
  /** Nothing follows in this segment. */
  readonly isLast: boolean
  /** No batch of the segment reaches this offset. */
  readonly endOffset: number
}

/** `link` is what is known of the batch before the window; it moves on over what is passed or taken. */
export function take(window: Window, link: Link, options: ReadOptions): Taken {
  const { bytes, isLast, endOffset } = window
  let at = 0
  for (;;) {
    if (at + peekBytes > bytes.length) {
      if (!isLast) return { kind: 'further', start: at, bytes: peekBytes }
      return at === bytes.length ? ended : damaged
    }
    const size = linkedBytes(bytes, at, bytes.length, link)
    if (size === 0) return damaged
    const last = lastOffsetOf(bytes, at)
    // What the next segment has, too, is read there.
    if (last >= endOffset) return isBehindGap(link, bytes, at) ? damaged : ended
    if (last >= options.offset) return takeFrom(at, size, window, link, options)
    pass(link, bytes, at)
    at += size
  }
}

/** The batch at `start`, of `firstBytes`, is the first that is wanted. */
function takeFrom(
  start: number,
  firstBytes: number,
  { bytes, isLast, endOffset }: Window,
  link: Link,
  { upToOffset, maxBytes, minOneBatch }: ReadOptions,
): Taken {
  let at = start
  let size = firstBytes
  for (;;) {
    const end = at + size
    const last = lastOffsetOf(bytes, at)
    if (last >= upToOffset || (end - start > maxBytes && !(at === start && minOneBatch))) break
    // A batch behind a gap is trusted once the one behind it was seen.
    const needed = !isLast && isBehindGap(link, bytes, at) ? end + peekBytes : end
    if (last >= endOffset) break
    if (needed > bytes.length) {
      if (at > start) break
      return isLast ? damaged : { kind: 'further', start, bytes: needed - start }
    }
    pass(link, bytes, at)
    at = end
    if (at + peekBytes > bytes.length) break
    size = linkedBytes(bytes, at, bytes.length, link)
    if (size === 0) break
  }
  if (at === start) return limited
  return { kind: 'found', start, end: at, nextOffset: link.lastOffset + 1 }
}

const limited: Taken = { kind: 'limited' }
const ended: Taken = { kind: 'ended' }
const damaged: Taken = { kind: 'damaged' }

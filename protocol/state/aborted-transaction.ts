/**
 * An entry of the .txnindex file, which lists a segment's aborted transactions; an int16 with the
 * version goes in front.
 */

import type { MessageOf } from '../schema.ts'
import { int64, message } from '../schema.ts'

/** A transaction that was aborted, and the last stable offset when that happened. */
export const abortedTxn = message(
  null,
  'AbortedTxn',
  { valid: '0', flexible: 'none' },
  {
    producerId: int64,
    firstOffset: int64,
    lastOffset: int64,
    lastStableOffset: int64,
  },
)
export type AbortedTxn = MessageOf<typeof abortedTxn>

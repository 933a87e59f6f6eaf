/**
 * The .snapshot file beside a segment: the state of the producers at the offset that names the
 * file. An int16 with the version goes in front.
 */

import type { MessageOf } from '../schema.ts'
import { array, int16, int32, int64, message, uint32 } from '../schema.ts'

/** All producers with state in the partition. The checksum covers the bytes after it. */
export const producerSnapshot = message(
  null,
  'ProducerSnapshot',
  { valid: '1', flexible: 'none' },
  {
    crc: uint32,
    producerEntries: array({
      producerId: int64,
      epoch: int16,
      lastSequence: int32,
      lastOffset: int64,
      offsetDelta: int32,
      timestamp: int64,
      coordinatorEpoch: int32,
      currentTxnFirstOffset: int64,
    }),
  },
)
export type ProducerSnapshot = MessageOf<typeof producerSnapshot>

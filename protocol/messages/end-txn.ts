/**
 * Commits or aborts a transaction. From version 5 the producer's next epoch comes back (KIP-890).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { bool, int16, int32, int64, message, since, string, withDefault } from '../schema.ts'

export const endTxnRequest = message(
  26,
  'EndTxnRequest',
  { valid: '0-5', flexible: '3+' },
  {
    transactionalId: string,
    producerId: int64,
    producerEpoch: int16,
    committed: bool,
  },
)
export type EndTxnRequest = MessageOf<typeof endTxnRequest>

export const endTxnResponse = message(
  26,
  'EndTxnResponse',
  { valid: '0-5', flexible: '3+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    producerId: since(5, withDefault(-1, int64)),
    producerEpoch: since(5, withDefault(-1, int16)),
  },
)
export type EndTxnResponse = InputOf<typeof endTxnResponse>

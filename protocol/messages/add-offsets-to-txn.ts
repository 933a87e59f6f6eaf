/**
 * Enters a group's offsets into a transaction, before they are committed with TxnOffsetCommit.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { int16, int32, int64, message, string, withDefault } from '../schema.ts'

export const addOffsetsToTxnRequest = message(
  25,
  'AddOffsetsToTxnRequest',
  { valid: '0-4', flexible: '3+' },
  {
    transactionalId: string,
    producerId: int64,
    producerEpoch: int16,
    groupId: string,
  },
)
export type AddOffsetsToTxnRequest = MessageOf<typeof addOffsetsToTxnRequest>

export const addOffsetsToTxnResponse = message(
  25,
  'AddOffsetsToTxnResponse',
  { valid: '0-4', flexible: '3+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
  },
)
export type AddOffsetsToTxnResponse = InputOf<typeof addOffsetsToTxnResponse>

/**
 * Gives a producer an id and an epoch (KIP-98), or a new epoch after a failure (KIP-360). A
 * transactional id's earlier transaction is ended first.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  bool,
  int16,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  withDefault,
} from '../schema.ts'

export const initProducerIdRequest = message(
  22,
  'InitProducerIdRequest',
  { valid: '0-6', flexible: '2+' },
  {
    transactionalId: nullable(string),
    transactionTimeoutMs: int32,
    producerId: since(3, withDefault(-1, int64)), // KIP-360: to go on after a failure.
    producerEpoch: since(3, withDefault(-1, int16)),
    enable2Pc: since(6, bool), // KIP-939.
    keepPreparedTxn: since(6, bool),
  },
)
export type InitProducerIdRequest = MessageOf<typeof initProducerIdRequest>

export const initProducerIdResponse = message(
  22,
  'InitProducerIdResponse',
  { valid: '0-6', flexible: '2+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    producerId: withDefault(-1, int64),
    producerEpoch: int16,
    ongoingTxnProducerId: since(6, withDefault(-1, int64)),
    ongoingTxnProducerEpoch: since(6, withDefault(-1, int16)),
  },
)
export type InitProducerIdResponse = InputOf<typeof initProducerIdResponse>

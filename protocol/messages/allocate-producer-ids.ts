/**
 * A broker asks the controller for a block of producer ids (KIP-730).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { int16, int32, int64, message, withDefault } from '../schema.ts'

export const allocateProducerIdsRequest = message(
  67,
  'AllocateProducerIdsRequest',
  { valid: '0', flexible: '0+' },
  {
    brokerId: int32,
    brokerEpoch: withDefault(-1, int64),
  },
)
export type AllocateProducerIdsRequest = MessageOf<typeof allocateProducerIdsRequest>

export const allocateProducerIdsResponse = message(
  67,
  'AllocateProducerIdsResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    producerIdStart: int64,
    producerIdLen: int32,
  },
)
export type AllocateProducerIdsResponse = InputOf<typeof allocateProducerIdsResponse>

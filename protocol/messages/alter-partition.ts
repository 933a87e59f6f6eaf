/**
 * A partition's leader has the set of in-sync replicas changed by the controller (KIP-497).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int8,
  int16,
  int32,
  int64,
  message,
  since,
  string,
  until,
  uuid,
  withDefault,
} from '../schema.ts'

const brokerState = { brokerId: int32, brokerEpoch: withDefault(-1, int64) }

export const alterPartitionRequest = message(
  56,
  'AlterPartitionRequest',
  { valid: '0-3', flexible: '0+' },
  {
    brokerId: int32,
    brokerEpoch: withDefault(-1, int64),
    topics: array({
      topicName: until(1, string),
      topicId: since(2, uuid),
      partitions: array({
        partitionIndex: int32,
        leaderEpoch: int32,
        newIsr: until(2, array(int32)),
        newIsrWithEpochs: since(3, array(brokerState)),
        leaderRecoveryState: since(1, int8),
        partitionEpoch: int32,
      }),
    }),
  },
)
export type AlterPartitionRequest = MessageOf<typeof alterPartitionRequest>

export const alterPartitionResponse = message(
  56,
  'AlterPartitionResponse',
  { valid: '0-3', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    topics: array({
      topicName: until(1, string),
      topicId: since(2, uuid),
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        leaderId: int32,
        leaderEpoch: int32,
        isr: array(int32),
        leaderRecoveryState: since(1, int8),
        partitionEpoch: int32,
      }),
    }),
  },
)
export type AlterPartitionResponse = InputOf<typeof alterPartitionResponse>

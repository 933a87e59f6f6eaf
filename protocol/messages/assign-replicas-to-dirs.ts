/**
 * A broker tells the controller in which of its log directories replicas lie (KIP-858).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, int64, message, uuid, withDefault } from '../schema.ts'

export const assignReplicasToDirsRequest = message(
  73,
  'AssignReplicasToDirsRequest',
  { valid: '0', flexible: '0+' },
  {
    brokerId: int32,
    brokerEpoch: withDefault(-1, int64),
    directories: array({
      id: uuid,
      topics: array({ topicId: uuid, partitions: array({ partitionIndex: int32 }) }),
    }),
  },
)
export type AssignReplicasToDirsRequest = MessageOf<typeof assignReplicasToDirsRequest>

export const assignReplicasToDirsResponse = message(
  73,
  'AssignReplicasToDirsResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    directories: array({
      id: uuid,
      topics: array({
        topicId: uuid,
        partitions: array({ partitionIndex: int32, errorCode: int16 }),
      }),
    }),
  },
)
export type AssignReplicasToDirsResponse = InputOf<typeof assignReplicasToDirsResponse>

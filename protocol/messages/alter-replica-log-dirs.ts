/**
 * Moves replicas of a broker from one of its log directories to another (KIP-113).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int16, int32, message, string, withDefault } from '../schema.ts'

export const alterReplicaLogDirsRequest = message(
  34,
  'AlterReplicaLogDirsRequest',
  { valid: '0-2', flexible: '2+' },
  {
    dirs: array({ path: string, topics: array({ name: string, partitions: array(int32) }) }),
  },
)
export type AlterReplicaLogDirsRequest = MessageOf<typeof alterReplicaLogDirsRequest>

export const alterReplicaLogDirsResponse = message(
  34,
  'AlterReplicaLogDirsResponse',
  { valid: '0-2', flexible: '2+' },
  {
    throttleTimeMs: withDefault(0, int32),
    results: array({
      topicName: string,
      partitions: array({ partitionIndex: int32, errorCode: int16 }),
    }),
  },
)
export type AlterReplicaLogDirsResponse = InputOf<typeof alterReplicaLogDirsResponse>

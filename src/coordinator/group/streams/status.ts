/** What a heartbeat's answer says of the state of the group, in Kafka's numbers (KIP-1071). */
import type { StreamsGroupHeartbeatResponse } from '../../../../protocol/messages/streams-group-heartbeat.ts'

export type Status = NonNullable<StreamsGroupHeartbeatResponse['status']>[number]

export const statusCode = {
  staleTopology: 0,
  missingSourceTopics: 1,
  incorrectlyPartitionedTopics: 2,
  missingInternalTopics: 3,
  shutdownApplication: 4,
  assignmentDelayed: 5,
} as const
export type StatusCode = (typeof statusCode)[keyof typeof statusCode]

export function status(code: StatusCode, statusDetail: string): Status {
  return { statusCode: code, statusDetail }
}

/**
 * What consumers say to each other through the metadata and assignments of a classic group. Its
 * bytes start with the version, an int16, which is no part of these tables.
 */

import type { MessageOf } from '../schema.ts'
import { array, bytes, int32, message, nullable, since, string, withDefault } from '../schema.ts'

const topicPartition = { topic: string, partitions: array(int32) }

/** What a member wants to read, what it owns (KIP-429) and where it is (KIP-881). */
export const consumerProtocolSubscription = message(
  null,
  'ConsumerProtocolSubscription',
  { valid: '0-3', flexible: 'none' },
  {
    topics: array(string),
    userData: nullable(bytes),
    ownedPartitions: since(1, array(topicPartition)),
    generationId: since(2, withDefault(-1, int32)),
    rackId: since(3, nullable(string)),
  },
)
export type ConsumerProtocolSubscription = MessageOf<typeof consumerProtocolSubscription>

/** What the leader assigned to a member. */
export const consumerProtocolAssignment = message(
  null,
  'ConsumerProtocolAssignment',
  { valid: '0-3', flexible: 'none' },
  {
    assignedPartitions: array(topicPartition),
    userData: nullable(bytes),
  },
)
export type ConsumerProtocolAssignment = MessageOf<typeof consumerProtocolAssignment>

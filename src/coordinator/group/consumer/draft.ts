/**
 * A decision on a consumer group in the making: the group as it is, and what is to be recorded of it.
 * A group that does not exist yet is in no shard: deadlines are set when the records are committed, on
 * the group that is then there.
 */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import type { GroupContext } from '../group.ts'
import type { GroupRecord } from '../records.ts'
import type { ConsumerGroup } from './consumer-group.ts'

export interface Draft {
  readonly group: ConsumerGroup
  readonly records: GroupRecord[]
  readonly nowMs: Milliseconds
}

/** Throws KafkaError GROUP_ID_NOT_FOUND. */
export function consumerGroupOf(context: GroupContext, groupId: string): ConsumerGroup {
  const group = context.group(groupId)
  if (group === null) throw notFound(`Group ${groupId} not found.`)
  if (group.type !== 'consumer') throw notFound(`Group ${groupId} is not a consumer group.`)
  return group
}

export function notFound(message: string): KafkaError {
  return new KafkaError(errors.GROUP_ID_NOT_FOUND, message)
}

/** Null once the group is gone, or of another type. */
export function consumerGroupOrNull(context: GroupContext, groupId: string): ConsumerGroup | null {
  const group = context.group(groupId)
  return group?.type === 'consumer' ? group : null
}

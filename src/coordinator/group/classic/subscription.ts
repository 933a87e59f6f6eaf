/**
 * What the members of a consumer group subscribed to. The broker reads it from the metadata that
 * members send under the chosen protocol, for two ends only: offsets of subscribed topics neither
 * expire nor may be deleted while the group lives.
 */
import type { ClassicGroup } from './classic-group.ts'
import { readTopics } from './consumer-protocol.ts'

/** Topic names; null where the group is not of consumers or says what the broker cannot read. */
export type ConsumerTopics = ReadonlySet<string> | null

export function subscribedTopics(group: ClassicGroup): ConsumerTopics {
  if (!group.isConsumerGroup) return null
  const topics = new Set<string>()
  if (group.members.size > 0 && group.protocolName === null) return null
  for (const member of group.members.values()) {
    const subscribed = readTopics(member.metadataOf(group.protocolName))
    if (subscribed === null) return null
    for (const topic of subscribed) topics.add(topic)
  }
  return topics
}

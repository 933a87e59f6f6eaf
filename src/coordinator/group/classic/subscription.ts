/**
 * What the members of a consumer group subscribed to. The broker reads it from the metadata that
 * members send under the chosen protocol, for two ends only: offsets of subscribed topics neither
 * expire nor may be deleted while the group lives.
 */
import { codec } from '../../../../protocol/codec.ts'
import { MalformedError, Reader } from '../../../../protocol/reader.ts'
import { consumerProtocolSubscription } from '../../../../protocol/state/consumer-protocol.ts'
import type { ClassicGroup } from './classic-group.ts'

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

/** Some 80 000 topics. */
const decodedBytesMax = 8 * 1024 * 1024

/** Topics come first in every version of a subscription, so version 0 reads them all. */
function readTopics(metadata: Buffer): readonly string[] | null {
  const versionBytes = 2
  if (metadata.length < versionBytes) return null
  try {
    const reader = new Reader(metadata, versionBytes, metadata.length, decodedBytesMax)
    return codec(consumerProtocolSubscription, 0).read(reader).topics
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

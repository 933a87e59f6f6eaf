/**
 * What the members of a consumer group subscribed to. The broker reads it from the metadata that
 * members send under the chosen protocol, for two ends only: offsets of subscribed topics neither
 * expire nor may be deleted while the group lives.
 */
import type { Steps } from '../../../environment/in-turns.ts'
import { readTopics } from './consumer-protocol.ts'

/** Topic names; null where the group is not of consumers or says what the broker cannot read. */
export type ConsumerTopics = ReadonlySet<string> | null

export function* subscribedTopics(subscriptions: readonly Buffer[]): Steps<ConsumerTopics> {
  const topics = new Set<string>()
  for (const subscription of subscriptions) {
    const subscribed = readTopics(subscription)
    if (subscribed === null) return null
    for (const topic of subscribed) topics.add(topic)
    yield
  }
  return topics
}

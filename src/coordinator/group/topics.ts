/** What group coordination must know about topics; the broker answers from its metadata image. */
import type { Uuid } from '../../../protocol/types.ts'

export interface TopicLookup {
  topicIdOf(name: string): Uuid | undefined
  topicNameOf(id: Uuid): string | undefined
  /** Undefined if there is no such topic. */
  partitionCountOf(name: string): number | undefined
}

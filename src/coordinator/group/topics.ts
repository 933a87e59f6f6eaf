/** What group coordination must know about topics; the broker answers from its metadata image. */
import type { Uuid } from '../../../protocol/types.ts'

export interface TopicLookup {
  topicIdOf(name: string): Uuid | undefined
  topicNameOf(id: Uuid): string | undefined
  /** Undefined if there is no such topic. */
  partitionCountOf(name: string): number | undefined
}

/** Always the newest: a decision reads it within one turn. */
export interface TopicView extends TopicLookup {
  /** Grows with every change of the metadata. */
  readonly version: number
  names(): Iterable<string>
  /** Racks of the brokers that have replicas of a partition, in no order; empty if none is known. */
  racksOf(name: string, partition: number): readonly string[]
}

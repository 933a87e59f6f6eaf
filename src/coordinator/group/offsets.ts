/**
 * The offsets that groups committed, by group, topic and partition; undoable like all recorded
 * state.
 */

import type { Uuid } from '../../../protocol/types.ts'
import type { Milliseconds } from '../../environment/environment.ts'
import { type Timeline, TimelineMap } from '../timeline.ts'

export interface CommittedOffset {
  readonly offset: number
  /** -1 where the client did not tell. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestampMs: Milliseconds
  /**
   * When it expires, if its client asked for a retention of its own (OffsetCommit 2 to 4); else -1.
   */
  readonly expireTimestampMs: Milliseconds
  /** The zero id where the client named the topic only. */
  readonly topicId: Uuid
}

export type PartitionOffsets = TimelineMap<number, CommittedOffset>
export type TopicOffsets = TimelineMap<string, PartitionOffsets>

/**
 * Never holds an empty map: the last partition takes its topic with it, the last topic its group.
 */
export class Offsets {
  readonly #timeline: Timeline
  readonly #groups: TimelineMap<string, TopicOffsets>

  constructor(timeline: Timeline) {
    this.#timeline = timeline
    this.#groups = new TimelineMap(timeline)
  }

  get(groupId: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#groups.get(groupId)?.get(topic)?.get(partition)
  }

  of(groupId: string): TopicOffsets | undefined {
    return this.#groups.get(groupId)
  }

  groupIds(): Iterable<string> {
    return this.#groups.keys()
  }

  set(groupId: string, topic: string, partition: number, offset: CommittedOffset): void {
    let topics = this.#groups.get(groupId)
    if (topics === undefined) {
      topics = new TimelineMap(this.#timeline)
      this.#groups.set(groupId, topics)
    }
    let partitions = topics.get(topic)
    if (partitions === undefined) {
      partitions = new TimelineMap(this.#timeline)
      topics.set(topic, partitions)
    }
    partitions.set(partition, offset)
  }

  delete(groupId: string, topic: string, partition: number): void {
    const topics = this.#groups.get(groupId)
    const partitions = topics?.get(topic)
    if (topics === undefined || partitions === undefined) return
    partitions.delete(partition)
    if (partitions.size === 0) topics.delete(topic)
    if (topics.size === 0) this.#groups.delete(groupId)
  }
}

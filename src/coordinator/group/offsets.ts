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

/** As it was recorded: of two commits for a partition the one with the higher order counts. */
export interface RecordedOffset extends CommittedOffset {
  readonly order: number
}

export type TopicOffsets = TimelineMap<string, TimelineMap<number, RecordedOffset>>

/**
 * Values by group, topic and partition. Never holds an empty map: the last partition takes its topic
 * with it, the last topic its group.
 */
export class ByPartition<V> {
  readonly #timeline: Timeline
  readonly #groups: TimelineMap<string, TimelineMap<string, TimelineMap<number, V>>>

  constructor(timeline: Timeline) {
    this.#timeline = timeline
    this.#groups = new TimelineMap(timeline)
  }

  get size(): number {
    return this.#groups.size
  }

  get(groupId: string, topic: string, partition: number): V | undefined {
    return this.#groups.get(groupId)?.get(topic)?.get(partition)
  }

  of(groupId: string): TimelineMap<string, TimelineMap<number, V>> | undefined {
    return this.#groups.get(groupId)
  }

  groupIds(): Iterable<string> {
    return this.#groups.keys()
  }

  set(groupId: string, topic: string, partition: number, value: V): void {
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
    partitions.set(partition, value)
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

/** Committed ones, and beside them those of transactions that are open. */
export class Offsets {
  readonly #timeline: Timeline
  readonly #committed: ByPartition<RecordedOffset>
  /** Of each partition, by producer id. */
  readonly #pending: ByPartition<TimelineMap<number, RecordedOffset>>
  /** The partitions of each open transaction, by producer id. */
  readonly #open: TimelineMap<number, ByPartition<true>>
  /** Rises with every record, also where records are taken back. */
  #order = 0

  constructor(timeline: Timeline) {
    this.#timeline = timeline
    this.#committed = new ByPartition(timeline)
    this.#pending = new ByPartition(timeline)
    this.#open = new TimelineMap(timeline)
  }

  get(groupId: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#committed.get(groupId, topic, partition)
  }

  of(groupId: string): TopicOffsets | undefined {
    return this.#committed.of(groupId)
  }

  /** Whether a transaction that is open has an offset of the group, of this partition if one is named. */
  isPending(groupId: string, topic?: string, partition = 0): boolean {
    if (topic === undefined) return this.#pending.of(groupId) !== undefined
    return this.#pending.get(groupId, topic, partition) !== undefined
  }

  /** Of all groups that have any, in a transaction or not. */
  groupIds(): Iterable<string> {
    return new Set([...this.#committed.groupIds(), ...this.#pending.groupIds()])
  }

  /** Each partition of which the group has an offset, in a transaction or not, once. */
  *partitions(groupId: string): Generator<{ topic: string; partition: number }, void, void> {
    for (const [topic, partitions] of this.#committed.of(groupId) ?? []) {
      for (const partition of partitions.keys()) yield { topic, partition }
    }
    for (const [topic, partitions] of this.#pending.of(groupId) ?? []) {
      for (const partition of partitions.keys()) {
        if (this.get(groupId, topic, partition) === undefined) yield { topic, partition }
      }
    }
  }

  set(groupId: string, topic: string, partition: number, offset: CommittedOffset): void {
    this.#committed.set(groupId, topic, partition, { ...offset, order: this.#order++ })
  }

  /** A part of the transaction that `producerId` has open. */
  setPending(
    producerId: number,
    groupId: string,
    topic: string,
    partition: number,
    offset: CommittedOffset,
  ): void {
    let producers = this.#pending.get(groupId, topic, partition)
    if (producers === undefined) {
      producers = new TimelineMap(this.#timeline)
      this.#pending.set(groupId, topic, partition, producers)
    }
    producers.set(producerId, { ...offset, order: this.#order++ })
    let partitions = this.#open.get(producerId)
    if (partitions === undefined) {
      partitions = new ByPartition(this.#timeline)
      this.#open.set(producerId, partitions)
    }
    partitions.set(groupId, topic, partition, true)
  }

  /** What was committed is as if it had never been, and so is what is pending. */
  delete(groupId: string, topic: string, partition: number): void {
    this.#committed.delete(groupId, topic, partition)
    for (const producerId of this.#pending.get(groupId, topic, partition)?.keys() ?? []) {
      this.#forget(producerId, groupId, topic, partition)
    }
    this.#pending.delete(groupId, topic, partition)
  }

  /**
   * The transaction of `producerId` ends: where it commits, its offsets count, save where a later
   * one was committed meanwhile.
   */
  endTransaction(producerId: number, isCommit: boolean): void {
    const open = this.#open.get(producerId)
    if (open === undefined) return
    this.#open.delete(producerId)
    for (const groupId of open.groupIds()) {
      for (const [topic, partitions] of open.of(groupId) ?? []) {
        for (const partition of partitions.keys()) {
          const offset = this.#takePending(producerId, groupId, topic, partition)
          const committed = this.#committed.get(groupId, topic, partition)
          if (!isCommit || offset === undefined) continue
          if (committed !== undefined && committed.order > offset.order) continue
          this.#committed.set(groupId, topic, partition, offset)
        }
      }
    }
  }

  #takePending(producerId: number, groupId: string, topic: string, partition: number) {
    const producers = this.#pending.get(groupId, topic, partition)
    const offset = producers?.get(producerId)
    producers?.delete(producerId)
    if (producers?.size === 0) this.#pending.delete(groupId, topic, partition)
    return offset
  }

  #forget(producerId: number, groupId: string, topic: string, partition: number): void {
    const open = this.#open.get(producerId)
    open?.delete(groupId, topic, partition)
    if (open?.size === 0) this.#open.delete(producerId)
  }
}

/**
 * The offsets that groups committed, by group, topic and partition; undoable like all recorded
 * state.
 */

import { type Timeline, TimelineMap } from '../timeline.ts'
import { type CommittedOffset, PartitionOffsets, type RecordedOffset } from './partition-offsets.ts'

export type TopicOffsets = TimelineMap<string, PartitionOffsets>

/** What is known of the partitions of one topic. */
interface Partitions {
  readonly size: number
  delete(partition: number): unknown
}

/**
 * By group and topic. Never holds an empty map: the last partition takes its topic with it, the last topic
 * its group.
 */
class ByTopic<P extends Partitions> {
  readonly #timeline: Timeline
  readonly #make: () => P
  readonly #groups: TimelineMap<string, TimelineMap<string, P>>

  constructor(timeline: Timeline, make: () => P) {
    this.#timeline = timeline
    this.#make = make
    this.#groups = new TimelineMap(timeline)
  }

  get size(): number {
    return this.#groups.size
  }

  get(groupId: string, topic: string): P | undefined {
    return this.#groups.get(groupId)?.get(topic)
  }

  of(groupId: string): TimelineMap<string, P> | undefined {
    return this.#groups.get(groupId)
  }

  groupIds(): Iterable<string> {
    return this.#groups.keys()
  }

  /** The partitions of the topic, to which one is to be added. */
  toAdd(groupId: string, topic: string): P {
    let topics = this.#groups.get(groupId)
    if (topics === undefined) {
      topics = new TimelineMap(this.#timeline)
      this.#groups.set(groupId, topics)
    }
    let partitions = topics.get(topic)
    if (partitions === undefined) {
      partitions = this.#make()
      topics.set(topic, partitions)
    }
    return partitions
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

type ByPartition<V> = ByTopic<TimelineMap<number, V>>

/** Committed ones, and beside them those of transactions that are open. */
export class Offsets {
  readonly #timeline: Timeline
  readonly #committed: ByTopic<PartitionOffsets>
  /** Of each partition, by producer id. */
  readonly #pending: ByPartition<TimelineMap<number, RecordedOffset>>
  /** The partitions of each open transaction, by producer id. */
  readonly #open: TimelineMap<number, ByPartition<true>>
  /** Rises with every record, also where records are taken back. */
  #order = 0

  constructor(timeline: Timeline) {
    this.#timeline = timeline
    this.#committed = new ByTopic(timeline, () => new PartitionOffsets(timeline))
    this.#pending = new ByTopic(timeline, () => new TimelineMap(timeline))
    this.#open = new TimelineMap(timeline)
  }

  get(groupId: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#committed.get(groupId, topic)?.get(partition)
  }

  of(groupId: string): TopicOffsets | undefined {
    return this.#committed.of(groupId)
  }

  /** Whether a transaction that is open has an offset of the group, of this partition if one is named. */
  isPending(groupId: string, topic?: string, partition = 0): boolean {
    if (topic === undefined) return this.#pending.of(groupId) !== undefined
    return this.#pending.get(groupId, topic)?.has(partition) === true
  }

  /** Of all groups that have any, in a transaction or not. */
  groupIds(): Iterable<string> {
    return new Set([...this.#committed.groupIds(), ...this.#pending.groupIds()])
  }

  /** Each partition of these topics of which the group has an offset, in a transaction or not, once. */
  *partitions(
    groupId: string,
    isMeant: (topic: string) => boolean,
  ): Generator<{ topic: string; partition: number }, void, void> {
    for (const [topic, partitions] of this.#committed.of(groupId) ?? []) {
      if (!isMeant(topic)) continue
      for (const partition of partitions.keys()) yield { topic, partition }
    }
    for (const [topic, partitions] of this.#pending.of(groupId) ?? []) {
      if (!isMeant(topic)) continue
      for (const partition of partitions.keys()) {
        if (this.#committed.get(groupId, topic)?.has(partition) !== true) yield { topic, partition }
      }
    }
  }

  set(groupId: string, topic: string, partition: number, offset: CommittedOffset): void {
    this.#committed.toAdd(groupId, topic).set(partition, offset, this.#order++)
  }

  /** A part of the transaction that `producerId` has open. */
  setPending(
    producerId: number,
    groupId: string,
    topic: string,
    partition: number,
    offset: CommittedOffset,
  ): void {
    const pending = this.#pending.toAdd(groupId, topic)
    let producers = pending.get(partition)
    if (producers === undefined) {
      producers = new TimelineMap(this.#timeline)
      pending.set(partition, producers)
    }
    producers.set(producerId, { ...offset, order: this.#order++ })
    let partitions = this.#open.get(producerId)
    if (partitions === undefined) {
      partitions = new ByTopic(this.#timeline, () => new TimelineMap(this.#timeline))
      this.#open.set(producerId, partitions)
    }
    partitions.toAdd(groupId, topic).set(partition, true)
  }

  /** What was committed is as if it had never been, and so is what is pending. */
  delete(groupId: string, topic: string, partition: number): void {
    this.#committed.delete(groupId, topic, partition)
    for (const producerId of this.#pending.get(groupId, topic)?.get(partition)?.keys() ?? []) {
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
          if (!isCommit || offset === undefined) continue
          const committed = this.#committed.toAdd(groupId, topic)
          if (committed.orderOf(partition) > offset.order) continue
          committed.set(partition, offset, offset.order)
        }
      }
    }
  }

  #takePending(producerId: number, groupId: string, topic: string, partition: number) {
    const producers = this.#pending.get(groupId, topic)?.get(partition)
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

/**
 * How far a connector has come in a partition of a topic, as the table says it: the version of a `txn` action of
 * the application `CONNECTOR/TOPIC/PARTITION`, which is the offset of the next record to read. It is committed with the
 * rows, so that it is always true of them.
 */
import { nameOf } from '../../client/topic-partition.ts'
import type { Snapshot } from '../../tables/delta/snapshot.ts'
import type { PartitionOffset, TopicPartition } from '../plugin.ts'

/** Names of topics have no slash, so that no two of them are one. */
export function appIdOf(connector: string, { topic, partition }: TopicPartition): string {
  return `${connector}/${topic}/${partition}`
}

export interface Reached extends TopicPartition {
  /** What the table said when it was read last; null: nothing. */
  committed: number | null
  /** Where records begin that are not in the table; null: none have come. */
  first: number | null
  /** Behind the last that came. */
  next: number
}

/** Of all partitions whose records go to one table. */
export class Progress {
  readonly #connector: string
  readonly #reached = new Map<string, Reached>()

  constructor(connector: string) {
    this.#connector = connector
  }

  appId(partition: TopicPartition): string {
    return appIdOf(this.#connector, partition)
  }

  all(): Iterable<Reached> {
    return this.#reached.values()
  }

  find(partition: TopicPartition): Reached | undefined {
    return this.#reached.get(nameOf(partition))
  }

  of(partition: TopicPartition, snapshot: Snapshot | null): Reached {
    return this.find(partition) ?? this.begin(partition, snapshot)
  }

  begin({ topic, partition }: TopicPartition, snapshot: Snapshot | null): Reached {
    const committed = this.#committedIn(snapshot, { topic, partition })
    const reached = { topic, partition, committed, first: null, next: committed ?? 0 }
    this.#reached.set(nameOf(reached), reached)
    return reached
  }

  forget(partition: TopicPartition): void {
    this.#reached.delete(nameOf(partition))
  }

  /** The first partition that somebody else has moved on, or back. */
  overtaken(snapshot: Snapshot | null): Reached | undefined {
    for (const reached of this.#reached.values()) {
      if (this.#committedIn(snapshot, reached) !== reached.committed) return reached
    }
    return undefined
  }

  /** Goes on from what the table says. Answers what has to be read again for it. */
  restart(snapshot: Snapshot | null): readonly PartitionOffset[] {
    const again: PartitionOffset[] = []
    for (const reached of this.#reached.values()) {
      const { topic, partition, first, next } = reached
      reached.committed = this.#committedIn(snapshot, reached)
      reached.next = reached.committed ?? first ?? next
      reached.first = null
      if (reached.next < next) again.push({ topic, partition, offset: reached.next })
    }
    return again
  }

  #committedIn(snapshot: Snapshot | null, partition: TopicPartition): number | null {
    const version = snapshot?.transactions.get(this.appId(partition))?.version
    return version === undefined ? null : Number(version)
  }
}

/** What a run of records changes in topics and partitions. */
import type {
  PartitionChangeRecord,
  PartitionRecord,
} from '../../protocol/state/metadata-records.ts'
import type { Uuid } from '../../protocol/types.ts'
import {
  migratingDirectory,
  noLeader,
  type PartitionImage,
  type TopicImage,
  type TopicsImage,
  unassignedDirectory,
} from './image.ts'
import { LayeredMap } from './layered-map.ts'
import { MetadataError } from './metadata-error.ts'

/** A topic that was created or changed. */
export interface TopicChange {
  /** As it is now. */
  readonly topic: TopicImage
  /** As it was; undefined: it is new. */
  readonly before: TopicImage | undefined
  /** Indexes of partitions that are new or changed, ascending. */
  readonly partitions: readonly number[]
}

interface OpenTopic {
  readonly name: string
  readonly id: Uuid
  readonly partitions: PartitionImage[]
  readonly changed: Set<number>
}

export class TopicsDelta {
  readonly #base: TopicsImage
  readonly #open = new Map<Uuid, OpenTopic>()
  readonly #deleted = new Map<Uuid, TopicImage>()

  constructor(base: TopicsImage) {
    this.#base = base
  }

  /** Topics that were there and are gone. One that came and went within the delta is in neither list. */
  get deleted(): readonly TopicImage[] {
    return [...this.#deleted.values()]
  }

  get changes(): readonly TopicChange[] {
    return [...this.#open.values()].map(({ name, id, partitions, changed }) => ({
      topic: { name, id, partitions },
      before: this.#base.byId.get(id),
      partitions: [...changed].sort((a, b) => a - b),
    }))
  }

  create(name: string, id: Uuid): void {
    if (this.#open.has(id) || this.#base.byId.has(id)) {
      throw new MetadataError(`topic id ${id} is created twice`)
    }
    this.#open.set(id, { name, id, partitions: [], changed: new Set() })
  }

  /** Returns the name of the topic that is gone. */
  remove(id: Uuid): string {
    const before = this.#base.byId.get(id)
    const open = this.#open.get(id)
    const name = open?.name ?? before?.name
    if (name === undefined || this.#deleted.has(id)) {
      throw new MetadataError(`topic id ${id} is removed but unknown`)
    }
    this.#open.delete(id)
    if (before !== undefined) this.#deleted.set(id, before)
    return name
  }

  setPartition(record: PartitionRecord): void {
    const topic = this.#topic(record.topicId)
    const { partitionId } = record
    topic.partitions[partitionId] = {
      index: partitionId,
      replicas: record.replicas,
      isr: record.isr,
      removingReplicas: record.removingReplicas,
      addingReplicas: record.addingReplicas,
      leader: record.leader,
      leaderRecoveryState: record.leaderRecoveryState,
      leaderEpoch: record.leaderEpoch,
      partitionEpoch: record.partitionEpoch,
      directories: directoriesFor(record.replicas, record.directories),
      elr: record.eligibleLeaderReplicas ?? [],
      lastKnownElr: record.lastKnownElr ?? [],
    }
    topic.changed.add(partitionId)
  }

  /** The partition epoch rises with every change, the leader epoch whenever the record names a leader. */
  changePartition(record: PartitionChangeRecord): void {
    const topic = this.#topic(record.topicId)
    const { partitionId } = record
    const before = topic.partitions[partitionId]
    if (before === undefined) {
      throw new MetadataError(`partition ${topic.name}-${partitionId} is changed but unknown`)
    }
    const replicas = record.replicas ?? before.replicas
    const namesLeader = record.leader !== leaderUnchanged
    topic.partitions[partitionId] = {
      index: partitionId,
      replicas,
      isr: record.isr ?? before.isr,
      removingReplicas: record.removingReplicas ?? before.removingReplicas,
      addingReplicas: record.addingReplicas ?? before.addingReplicas,
      leader: namesLeader ? record.leader : before.leader,
      leaderRecoveryState:
        record.leaderRecoveryState === recoveryUnchanged
          ? before.leaderRecoveryState
          : record.leaderRecoveryState,
      leaderEpoch: before.leaderEpoch + (namesLeader ? 1 : 0),
      partitionEpoch: before.partitionEpoch + 1,
      directories: record.directories ?? keepDirectories(before, replicas),
      elr: record.eligibleLeaderReplicas ?? before.elr,
      lastKnownElr: record.lastKnownElr ?? before.lastKnownElr,
    }
    topic.changed.add(partitionId)
  }

  /** Empties the ELR of a topic; of all topics where the name is empty (KIP-966). */
  clearElr(name: string): void {
    const all = [...this.#base.byId.values(), ...this.#open.values()]
    for (const id of new Set(all.filter((t) => name === '' || t.name === name).map((t) => t.id))) {
      if (!this.#deleted.has(id)) this.#clearElrOf(this.#topic(id))
    }
  }

  apply(): TopicsImage {
    if (this.#open.size === 0 && this.#deleted.size === 0) return this.#base
    const byName = new Map<string, TopicImage>()
    const byId = new Map<Uuid, TopicImage>()
    const deletedNames = new Set([...this.#deleted.values()].map(({ name }) => name))
    for (const { name, id, partitions } of this.#open.values()) {
      for (let index = 0; index < partitions.length; index++) {
        if (partitions[index] === undefined) {
          throw new MetadataError(`topic ${name} has no partition ${index}`)
        }
      }
      const other = byName.get(name) ?? this.#base.byName.get(name)
      if (other !== undefined && other.id !== id && !this.#deleted.has(other.id)) {
        throw new MetadataError(`topic ${name} is created twice`)
      }
      const topic: TopicImage = { name, id, partitions: [...partitions] }
      byId.set(id, topic)
      byName.set(name, topic)
    }
    return {
      byName: LayeredMap.derive(this.#base.byName, byName, deletedNames),
      byId: LayeredMap.derive(this.#base.byId, byId, this.#deleted.keys()),
    }
  }

  #topic(id: Uuid): OpenTopic {
    const open = this.#open.get(id)
    if (open !== undefined) return open
    const before = this.#base.byId.get(id)
    if (before === undefined || this.#deleted.has(id)) {
      throw new MetadataError(`a partition of the unknown topic id ${id}`)
    }
    const { name, partitions } = before
    const opened: OpenTopic = { name, id, partitions: [...partitions], changed: new Set() }
    this.#open.set(id, opened)
    return opened
  }

  #clearElrOf(topic: OpenTopic): void {
    for (const partition of [...topic.partitions]) {
      if (partition.elr.length + partition.lastKnownElr.length === 0) continue
      topic.partitions[partition.index] = {
        ...partition,
        elr: [],
        lastKnownElr: [],
        partitionEpoch: partition.partitionEpoch + 1,
      }
      topic.changed.add(partition.index)
    }
  }
}

/** In a change record: nothing is said about the leader. */
const leaderUnchanged = noLeader - 1
const recoveryUnchanged = -1

/** Records from before KIP-858 name no directories: the broker has yet to tell where the replicas are. */
function directoriesFor(
  replicas: readonly number[],
  directories: readonly Uuid[],
): readonly Uuid[] {
  return directories.length === replicas.length
    ? directories
    : replicas.map(() => migratingDirectory)
}

function keepDirectories(before: PartitionImage, replicas: readonly number[]): readonly Uuid[] {
  if (replicas === before.replicas) return before.directories
  return replicas.map((replica) => {
    const at = before.replicas.indexOf(replica)
    return before.directories[at] ?? unassignedDirectory
  })
}

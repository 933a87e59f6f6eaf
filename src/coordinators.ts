/**
 * Who coordinates what on this broker: every coordinator keeps its state in an internal topic, and has
 * the shards of those partitions that are led here. What lives here: telling coordinators what the
 * metadata says of their partitions. What must not: what they coordinate.
 */
import type { TopicChanges } from './coordinator/topic-changes.ts'
import type { Logger } from './environment/environment.ts'
import type { MetadataDelta } from './metadata/delta.ts'
import type { MetadataImage, PartitionImage } from './metadata/image.ts'
import { PartitionCoordinatorLog } from './replication/coordinator-log.ts'
import type { Replicas } from './replication/replicas.ts'

/** What a broker asks of a coordinator, whatever it coordinates. */
export interface Coordinator {
  /** The internal topic that holds its state. */
  readonly topic: string
  /** This broker leads the partition since `leaderEpoch`; resolves when its state is loaded. */
  onElection(partition: number, leaderEpoch: number, log: PartitionCoordinatorLog): Promise<void>
  /** This broker does not lead the partition any more, as of `leaderEpoch` if one is given. */
  onResignation(partition: number, leaderEpoch?: number): void
  /** Resolves when what is known of deleted topics was forgotten, or could not be. Never rejects. */
  onTopicsChanged?(changes: TopicChanges): Promise<void>
  /** Everybody who waits is answered NOT_COORDINATOR. */
  close(): void
}

export interface CoordinatorsOptions {
  readonly log: Logger
  readonly replicas: Pick<Replicas, 'get'>
  readonly coordinators: readonly Coordinator[]
}

export class Coordinators {
  readonly #log: Logger
  readonly #replicas: Pick<Replicas, 'get'>
  readonly #coordinators: readonly Coordinator[]

  constructor({ log, replicas, coordinators }: CoordinatorsOptions) {
    this.#log = log
    this.#replicas = replicas
    this.#coordinators = coordinators
  }

  /**
   * Loads the shards of all partitions that are led here and lets go of all others; resolves when they
   * are loaded. Never rejects: what goes wrong is logged, and clients are told NOT_COORDINATOR.
   */
  async elect(image: MetadataImage): Promise<void> {
    await Promise.all(this.#coordinators.map((each) => this.#elect(each, image)))
  }

  /** The partitions of `topic`, if one coordinates with it, may have lost or got back their disks. */
  async electAgain(topic: string, image: MetadataImage): Promise<void> {
    const coordinator = this.#coordinators.find((each) => each.topic === topic)
    if (coordinator !== undefined) await this.#elect(coordinator, image)
  }

  /** A committed change; the replicas know of it already. */
  follow(image: MetadataImage, { topics }: MetadataDelta): void {
    const { deleted, changes } = topics
    if (deleted.length + changes.length === 0) return
    const changed = new Set(changes.map(({ topic }) => topic.name))
    const told = topicChanges(topics)
    for (const coordinator of this.#coordinators) {
      // Clients that come too early are told COORDINATOR_LOAD_IN_PROGRESS.
      if (changed.has(coordinator.topic)) void this.#elect(coordinator, image)
      const gone = deleted.find(({ name }) => name === coordinator.topic)
      for (const { index } of gone?.partitions ?? []) coordinator.onResignation(index)
      void coordinator.onTopicsChanged?.(told)
    }
  }

  close(): void {
    for (const coordinator of this.#coordinators) coordinator.close()
  }

  async #elect(coordinator: Coordinator, image: MetadataImage): Promise<void> {
    const { topic } = coordinator
    const loading: Promise<void>[] = []
    for (const { index, leaderEpoch } of image.topics.byName.get(topic)?.partitions ?? []) {
      const partition = this.#replicas.get(topic, index)
      if (partition === undefined || partition.isOffline || !partition.isLeader) {
        coordinator.onResignation(index)
        continue
      }
      const log = new PartitionCoordinatorLog(partition)
      const loaded = coordinator.onElection(index, leaderEpoch, log).catch((err) => {
        const fields = { partition: `${topic}-${index}`, leaderEpoch, err }
        this.#log.error('coordinator could not be loaded', fields)
      })
      loading.push(loaded)
    }
    await Promise.all(loading)
  }
}

function topicChanges(topics: MetadataDelta['topics']): TopicChanges {
  const isNew = topics.changes.filter(({ before }) => before === undefined)
  const changed = topics.changes.filter(({ topic, before, partitions }) =>
    partitions.some(
      (index) => !hasSameReplicas(topic.partitions[index], before?.partitions[index]),
    ),
  )
  return {
    created: new Set(isNew.map(({ topic }) => topic.name)),
    changed: new Set([...isNew, ...changed].map(({ topic }) => topic.name)),
    deleted: new Map(topics.deleted.map(({ id, name }) => [id, name])),
  }
}

/** Who leads, and who is in sync, is nothing to coordinators. */
function hasSameReplicas(a: PartitionImage | undefined, b: PartitionImage | undefined): boolean {
  return a?.replicas.join() === b?.replicas.join()
}

/**
 * Which brokers get the replicas of new partitions: brokers in turn, so that leaders and replicas spread
 * evenly, beginning at a random one. Fenced brokers come last, so the first replica can lead. And in which
 * of its log directories each broker is to keep them.
 */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type { Uuid } from '../../../protocol/types.ts'
import { isActive, type MetadataImage, type PartitionImage, unassignedDirectory } from '../image.ts'

export interface Placement {
  readonly replicationFactor: number
  /** In [0, 1): which broker begins. */
  readonly random: number
  readonly directories: DirectoryChoice
}

/**
 * In which log directories the new partitions of one request lie (KIP-858): of several that a broker has, in
 * the one with the fewest. Kafka leaves that to the broker, which tells afterwards; until then a directory
 * that is taken away is not missed.
 */
export class DirectoryChoice {
  readonly #image: MetadataImage
  /** Partitions in each directory, once there is a choice; those of this request are among them. */
  #load: Map<Uuid, number> | null = null

  constructor(image: MetadataImage) {
    this.#image = image
  }

  of(brokerId: number): Uuid {
    const [first, ...others] = this.#image.brokers.get(brokerId)?.logDirs ?? []
    if (first === undefined || others.length === 0) return first ?? unassignedDirectory
    this.#load ??= this.#count()
    let chosen = first
    for (const other of others) if (this.#loadOf(other) < this.#loadOf(chosen)) chosen = other
    this.#load.set(chosen, this.#loadOf(chosen) + 1)
    return chosen
  }

  #loadOf(directory: Uuid): number {
    return this.#load?.get(directory) ?? 0
  }

  #count(): Map<Uuid, number> {
    const load = new Map<Uuid, number>()
    for (const { partitions } of this.#image.topics.byId.values()) {
      for (const { directories } of partitions) {
        for (const one of directories) load.set(one, (load.get(one) ?? 0) + 1)
      }
    }
    return load
  }
}

/**
 * Gives the replicas of each new partition, of which the first has the number 0. Throws KafkaError
 * INVALID_REPLICATION_FACTOR.
 */
export function placeReplicas(
  image: MetadataImage,
  { replicationFactor, random }: Omit<Placement, 'directories'>,
): (partition: number) => number[] {
  const ids = [...image.brokers.keys()].sort((a, b) => a - b)
  const active = ids.filter((id) => isActive(image, id))
  const fenced = ids.filter((id) => !isActive(image, id))
  if (active.length === 0) throw refuse('All brokers are currently fenced.')
  if (replicationFactor > ids.length) {
    throw refuse(
      `The target replication factor of ${replicationFactor} cannot be reached because only ` +
        `${ids.length} broker(s) are registered or some brokers have all their log directories cordoned.`,
    )
  }
  const start = Math.floor(random * active.length)
  return (partition) => {
    // After each round the followers shift by one, so that two leaders do not always share a follower.
    const shift = 1 + (Math.floor(partition / active.length) % Math.max(1, active.length - 1))
    const first = (start + partition) % active.length
    const others = active.filter((_, index) => index !== first)
    const rotated = others.map((_, index) => others[(first + shift + index) % others.length] ?? -1)
    return [active[first] ?? -1, ...rotated, ...fenced].slice(0, replicationFactor)
  }
}

function refuse(message: string): KafkaError {
  return new KafkaError(errors.INVALID_REPLICATION_FACTOR, message)
}

/** Checks an assignment given by hand; throws KafkaError INVALID_REPLICA_ASSIGNMENT. */
export function checkManualAssignment(
  image: MetadataImage,
  replicas: readonly number[],
  replicationFactor: number | undefined,
): void {
  const invalid = (what: string) =>
    new KafkaError(
      errors.INVALID_REPLICA_ASSIGNMENT,
      `The manual partition assignment includes ${what}`,
    )
  if (replicas.length === 0) throw invalid('an empty replica list.')
  const sorted = [...replicas].sort((a, b) => a - b)
  sorted.forEach((id, index) => {
    if (!image.brokers.has(id)) throw invalid(`broker ${id}, but no such broker is registered.`)
    if (id === sorted[index - 1]) throw invalid(`the broker ${id} more than once.`)
  })
  if (replicationFactor !== undefined && replicas.length !== replicationFactor) {
    throw invalid(
      `a partition with ${replicas.length} replica(s), but this is not consistent with previous ` +
        `partitions, which have ${replicationFactor} replica(s).`,
    )
  }
}

/** A partition as it begins: every active replica is in sync, the first of them leads. undefined: none is active. */
export function newPartition(
  image: MetadataImage,
  index: number,
  replicas: readonly number[],
  directories: DirectoryChoice,
): PartitionImage | undefined {
  const isr = replicas.filter((id) => isActive(image, id))
  const leader = isr[0]
  if (leader === undefined) return undefined
  return {
    index,
    replicas,
    isr,
    removingReplicas: [],
    addingReplicas: [],
    leader,
    leaderRecoveryState: 0,
    leaderEpoch: 0,
    partitionEpoch: 0,
    directories: replicas.map((id) => directories.of(id)),
    elr: [],
    lastKnownElr: [],
  }
}

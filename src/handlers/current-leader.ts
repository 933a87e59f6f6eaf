/**
 * Where a partition's leader is now: told along with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH, so
 * that a client needs no Metadata request to find it (KIP-951).
 */
import type { MetadataImage } from '../metadata/image.ts'

export interface CurrentLeader {
  readonly leaderId: number
  readonly leaderEpoch: number
}

export interface LeaderNode {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

/** Gathers leaders and, once each, the nodes they are on while an answer is built. */
export class CurrentLeaders {
  readonly #image: MetadataImage
  readonly #listener: string
  readonly #nodes = new Map<number, LeaderNode>()

  /** `listener`: the one that the client uses; it is told the nodes' addresses there. */
  constructor(image: MetadataImage, listener: string) {
    this.#image = image
    this.#listener = listener
  }

  get nodes(): readonly LeaderNode[] {
    return [...this.#nodes.values()]
  }

  /** The leader of a partition of a topic, by name or id; -1 in both fields where it is not known. */
  of(topic: string, index: number): CurrentLeader {
    const { byName, byId } = this.#image.topics
    const partition = (byName.get(topic) ?? byId.get(topic))?.partitions[index]
    if (partition === undefined) return { leaderId: -1, leaderEpoch: -1 }
    const broker = this.#image.brokers.get(partition.leader)
    const endpoint = broker?.endpoints.find(({ name }) => name === this.#listener)
    if (broker !== undefined && endpoint !== undefined) {
      const { host, port } = endpoint
      this.#nodes.set(broker.id, { nodeId: broker.id, host, port, rack: broker.rack })
    }
    return { leaderId: partition.leader, leaderEpoch: partition.leaderEpoch }
  }
}

/**
 * One number for what the topics of a group look like (KIP-1101): it is recorded with the group's
 * epoch, and when it comes out different the epoch grows. Kafka's formula, so that a group that
 * moves from one broker to the other is not rebalanced for it.
 *
 * Each topic's hash is that of: a zero byte, the topic's id, its name, the count of partitions, and
 * for each partition its index and the racks of its replicas, ascending, each after its length.
 * Numbers are little-endian, text is UTF-16 followed by its length. The group's hash is that of its
 * topics' hashes, in the order of their names; 0 if there is none.
 */
import type { Uuid } from '../../../../protocol/types.ts'
import type { TopicChanges } from '../../topic-changes.ts'
import type { TopicView } from '../topics.ts'
import { xxh3 } from './xxh3.ts'

export class MetadataHashes {
  readonly #topics: TopicView
  /** By topic name: groups of many members ask again and again. */
  readonly #cached = new Map<string, bigint>()

  constructor(topics: TopicView) {
    this.#topics = topics
  }

  /** Topics that do not exist do not count. */
  of(names: Iterable<string>): bigint {
    const existing = [...names].filter((name) => this.#topics.topicIdOf(name) !== undefined)
    if (existing.length === 0) return 0n
    existing.sort(byCodeUnits)
    const bytes = Buffer.alloc(existing.length * 8)
    existing.forEach((name, index) => {
      bytes.writeBigInt64LE(this.#ofTopic(name), index * 8)
    })
    return xxh3(bytes)
  }

  onTopicsChanged({ changed, deleted }: TopicChanges): void {
    for (const name of changed) this.#cached.delete(name)
    for (const name of deleted.values()) this.#cached.delete(name)
  }

  #ofTopic(name: string): bigint {
    const cached = this.#cached.get(name)
    if (cached !== undefined) return cached
    const topics = this.#topics
    const id = topics.topicIdOf(name) as Uuid
    const count = topics.partitionCountOf(name) ?? 0
    const racks = Array.from({ length: count }, (_, index) => topics.racksOf(name, index))
    const hash = topicHash(name, id, racks)
    this.#cached.set(name, hash)
    return hash
  }
}

/** `racks`: of each partition. */
export function topicHash(name: string, id: Uuid, racks: readonly (readonly string[])[]): bigint {
  const idBytes = Buffer.from(id, 'base64url')
  const parts = [Buffer.alloc(1), reversed(idBytes, 0), reversed(idBytes, 8), text(name)]
  parts.push(int32(racks.length))
  racks.forEach((ofPartition, index) => {
    parts.push(int32(index))
    for (const rack of [...ofPartition].sort(byCodeUnits)) {
      parts.push(int32(rack.length), text(rack))
    }
  })
  return xxh3(Buffer.concat(parts))
}

/** Half of an id, as a little-endian number. */
function reversed(id: Buffer, start: number): Buffer {
  return Buffer.from(id.subarray(start, start + 8)).reverse()
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from(value, 'utf16le'), int32(value.length)])
}

/** As Java compares strings. */
function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

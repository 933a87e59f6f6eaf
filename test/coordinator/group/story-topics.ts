/** The topics of a story: made, grown and deleted at will, and what a coordinator is told of it. */
import type { Uuid } from '../../../protocol/types.ts'
import type { TopicView } from '../../../src/coordinator/group/topics.ts'
import type { TopicChanges } from '../../../src/coordinator/topic-changes.ts'

interface Changed {
  readonly created?: readonly string[]
  readonly changed?: readonly string[]
  readonly deleted?: readonly string[]
}

export class StoryTopics implements TopicView {
  version = 0
  readonly #partitionCounts = new Map<string, number>()
  readonly #racks = new Map<string, readonly string[]>()

  /** The id of the topic of that name, whether it exists or not. */
  idOf(name: string): Uuid {
    return Buffer.from(name.padEnd(16, '.')).toString('base64url')
  }

  create(name: string, partitionCount: number, racks: readonly string[] = []): TopicChanges {
    const isNew = !this.#partitionCounts.has(name)
    this.#partitionCounts.set(name, partitionCount)
    this.#racks.set(name, racks)
    return this.#changed({ created: isNew ? [name] : [], changed: [name] })
  }

  /** Names that are not there are told as well: a deletion may be told twice. */
  delete(names: readonly string[]): TopicChanges {
    for (const name of names) this.#partitionCounts.delete(name)
    return this.#changed({ deleted: names })
  }

  #changed({ created = [], changed = [], deleted = [] }: Changed): TopicChanges {
    this.version++
    return {
      created: new Set(created),
      changed: new Set(changed),
      deleted: new Map(deleted.map((name) => [this.idOf(name), name])),
    }
  }

  names(): Iterable<string> {
    return this.#partitionCounts.keys()
  }

  topicIdOf(name: string): Uuid | undefined {
    return this.#partitionCounts.has(name) ? this.idOf(name) : undefined
  }

  topicNameOf(id: Uuid): string | undefined {
    return [...this.names()].find((name) => this.idOf(name) === id)
  }

  partitionCountOf(name: string): number | undefined {
    return this.#partitionCounts.get(name)
  }

  racksOf(name: string): readonly string[] {
    return this.#racks.get(name) ?? []
  }
}

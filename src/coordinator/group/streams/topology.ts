/**
 * What an application looks like, as its first member said it: subtopologies, each with the topics that
 * it reads and those that are to be made for it. It stays what it is as long as the group is there.
 */
import type { StreamsGroupTopologyValue } from '../../../../protocol/state/streams-group-records.ts'

export type Subtopology = StreamsGroupTopologyValue['subtopologies'][number]
export type TopicInfo = Subtopology['stateChangelogTopics'][number]

export class Topology {
  readonly epoch: number
  /** In the order of their ids. */
  readonly subtopologies: readonly Subtopology[]
  /** All that must exist before there is anything to run: topics read, and changelogs. */
  readonly requiredTopics: ReadonlySet<string>
  /** The subtopology that reads a topic. */
  readonly #readers: ReadonlyMap<string, string>
  readonly #text: string

  constructor({ epoch, subtopologies }: StreamsGroupTopologyValue) {
    this.epoch = epoch
    this.subtopologies = [...subtopologies].sort((a, b) =>
      a.subtopologyId < b.subtopologyId ? -1 : 1,
    )
    const required = new Set<string>()
    const readers = new Map<string, string>()
    for (const subtopology of this.subtopologies) {
      for (const name of topicsReadBy(subtopology)) {
        required.add(name)
        readers.set(name, subtopology.subtopologyId)
      }
      for (const { name } of subtopology.stateChangelogTopics) required.add(name)
    }
    this.requiredTopics = required
    this.#readers = readers
    this.#text = JSON.stringify({ epoch, subtopologies: this.subtopologies })
  }

  /** The id of the subtopology that reads the topic. */
  readerOf(topic: string): string | undefined {
    return this.#readers.get(topic)
  }

  equals(other: Topology): boolean {
    return this.#text === other.#text
  }

  /** About what it takes in memory. */
  get bytes(): number {
    return 4 * this.#text.length
  }
}

/** Topics from outside, and repartition topics. */
export function topicsReadBy({ sourceTopics, repartitionSourceTopics }: Subtopology): string[] {
  return [...sourceTopics, ...repartitionSourceTopics.map(({ name }) => name)]
}

/** All topics that the subtopology reads, writes or keeps its state in. */
export function topicsOf(subtopology: {
  readonly sourceTopics: readonly string[]
  readonly repartitionSinkTopics: readonly string[]
  readonly repartitionSourceTopics: readonly { readonly name: string }[]
  readonly stateChangelogTopics: readonly { readonly name: string }[]
}): string[] {
  const { sourceTopics, repartitionSinkTopics } = subtopology
  const made = [...subtopology.repartitionSourceTopics, ...subtopology.stateChangelogTopics]
  return [...sourceTopics, ...repartitionSinkTopics, ...made.map(({ name }) => name)]
}

/**
 * A topology held against the topics that there are: how many tasks each subtopology has, what the topics
 * that are made for the application must look like, which of them are missing, and what else hinders it.
 */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import type { TopicLookup } from '../topics.ts'
import { type CountOf, partitionCounts, TopicsUnfit, taskCountOf } from './partition-counts.ts'
import { type Status, status, statusCode } from './status.ts'
import { type Subtopology, type TopicInfo, type Topology, topicsReadBy } from './topology.ts'

export interface ConfiguredSubtopology {
  readonly subtopologyId: string
  readonly taskCount: number
  /** Whether it keeps state in changelogs, for which standbys are of use. */
  readonly isStateful: boolean
  /** Topics from outside and repartition topics. */
  readonly topicsRead: readonly string[]
  readonly sourceTopics: readonly string[]
  readonly repartitionSinkTopics: readonly string[]
  /** With the number of partitions that they must have. */
  readonly repartitionSourceTopics: readonly TopicInfo[]
  readonly stateChangelogTopics: readonly TopicInfo[]
}

export interface ConfiguredTopology {
  /** By id, in the order of the ids; null where the topics do not fit. */
  readonly subtopologies: ReadonlyMap<string, ConfiguredSubtopology> | null
  /** Why nothing can be assigned yet; null: it can. */
  readonly hindrance: Status | null
  /** What is to be made. */
  readonly missingTopics: readonly TopicInfo[]
}

/**
 * Tasks of a group: those of one member must fit in a record of a mebibyte, and all of them are gone
 * through whenever somebody comes or goes.
 */
const tasksMax = 200_000

/** Throws KafkaError STREAMS_INVALID_TOPOLOGY. */
export function configuredTopology(topology: Topology, topics: TopicLookup): ConfiguredTopology {
  try {
    return configured(topology, topics)
  } catch (failure) {
    if (!(failure instanceof TopicsUnfit)) throw failure
    return { subtopologies: null, hindrance: failure.status, missingTopics: [] }
  }
}

function configured(topology: Topology, topics: TopicLookup): ConfiguredTopology {
  const isMissing = (name: string) => topics.partitionCountOf(name) === undefined
  const missing = new Set(
    topology.subtopologies.flatMap((each) => each.sourceTopics.filter(isMissing)),
  )
  if (missing.size > 0) {
    const detail = `Source topics ${summary([...missing].sort())} are missing.`
    throw new TopicsUnfit(statusCode.missingSourceTopics, detail)
  }
  const decided = partitionCounts(topology, topics)
  const countOf: CountOf = (name) => topics.partitionCountOf(name) ?? decided.get(name)
  const subtopologies = new Map<string, ConfiguredSubtopology>()
  for (const subtopology of topology.subtopologies) {
    subtopologies.set(subtopology.subtopologyId, configure(subtopology, countOf, decided))
  }
  checkTaskCount(subtopologies.values())
  const missingTopics = missingOf(subtopologies.values(), topics)
  const hindrance =
    missingTopics.length === 0
      ? null
      : status(
          statusCode.missingInternalTopics,
          `Internal topics are missing: ${summary(missingTopics.map(({ name }) => name))}`,
        )
  return { subtopologies, hindrance, missingTopics }
}

function configure(
  subtopology: Subtopology,
  countOf: CountOf,
  decided: ReadonlyMap<string, number>,
): ConfiguredSubtopology {
  const { subtopologyId, sourceTopics, repartitionSinkTopics } = subtopology
  const sized = (infos: readonly TopicInfo[]) =>
    infos
      .map((info) => ({
        ...info,
        partitions: info.partitions === 0 ? (decided.get(info.name) ?? 0) : info.partitions,
      }))
      .sort(byName)
  return {
    subtopologyId,
    taskCount: taskCountOf(subtopology, countOf),
    isStateful: subtopology.stateChangelogTopics.length > 0,
    topicsRead: topicsReadBy(subtopology),
    sourceTopics: [...new Set(sourceTopics)].sort(),
    repartitionSinkTopics: [...new Set(repartitionSinkTopics)].sort(),
    repartitionSourceTopics: sized(subtopology.repartitionSourceTopics),
    stateChangelogTopics: sized(subtopology.stateChangelogTopics),
  }
}

export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1
}

function checkTaskCount(subtopologies: Iterable<ConfiguredSubtopology>): void {
  let count = 0
  for (const { taskCount } of subtopologies) count += taskCount
  if (count <= tasksMax) return
  const message = `The topology has ${count} tasks, and at most ${tasksMax} are served.`
  throw new KafkaError(errors.STREAMS_INVALID_TOPOLOGY, message)
}

/** In the order of their names. Throws TopicsUnfit where one exists with another number of partitions. */
function missingOf(
  subtopologies: Iterable<ConfiguredSubtopology>,
  topics: TopicLookup,
): TopicInfo[] {
  const missing = new Map<string, TopicInfo>()
  for (const { repartitionSourceTopics, stateChangelogTopics } of subtopologies) {
    for (const info of [...repartitionSourceTopics, ...stateChangelogTopics]) {
      const { name, partitions: expected } = info
      const found = topics.partitionCountOf(name)
      if (found === undefined) missing.set(name, info)
      else if (found !== expected) {
        throw TopicsUnfit.incorrectlyPartitioned(
          `Existing topic ${name} has different number of partitions: ` +
            `expected ${expected}, found ${found}`,
        )
      }
    }
  }
  return [...missing.values()].sort(byName)
}

const namesTold = 3

function summary(names: readonly string[]): string {
  const rest = names.length - namesTold
  const told = names.slice(0, namesTold).join(', ')
  return rest > 0 ? `${told} and ${rest} additional topics` : told
}

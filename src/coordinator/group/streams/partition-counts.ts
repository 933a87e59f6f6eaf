/**
 * How many partitions the topics of an application must have that are made for it.
 *
 *   repartition topics   as many as were asked for; else as the widest topic that the subtopologies
 *                        which write to it read
 *   copartition groups   topics that are joined: all the same; repartition topics follow those from
 *                        outside, or, where there are none, the ones for which a number was asked
 *   changelogs           one partition per task, and there are as many tasks as the widest topic has
 *                        partitions that the subtopology reads
 */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import type { TopicLookup } from '../topics.ts'
import { type Status, type StatusCode, status, statusCode } from './status.ts'
import { type Subtopology, type Topology, topicsReadBy } from './topology.ts'

/** The topics as they are make it impossible to run the application. */
export class TopicsUnfit extends Error {
  readonly status: Status

  constructor(code: StatusCode, detail: string) {
    super(detail)
    this.status = status(code, detail)
  }

  static incorrectlyPartitioned(detail: string): TopicsUnfit {
    return new TopicsUnfit(statusCode.incorrectlyPartitionedTopics, detail)
  }
}

/** Of a topic: as it is, or, if it does not exist, as was decided; undefined: neither. */
export type CountOf = (topic: string) => number | undefined

/**
 * By the names of the topics that are to be made. Topics from outside exist. Throws TopicsUnfit, and
 * KafkaError STREAMS_INVALID_TOPOLOGY where the topology makes no sense by itself.
 */
export function partitionCounts(
  topology: Topology,
  topics: TopicLookup,
): ReadonlyMap<string, number> {
  const decided = repartitionCounts(topology, topics)
  const countOf: CountOf = (topic) => topics.partitionCountOf(topic) ?? decided.get(topic)
  alignCopartitioned(topology, decided, countOf)
  for (const subtopology of topology.subtopologies) {
    const count = taskCountOf(subtopology, countOf)
    for (const { name } of subtopology.stateChangelogTopics) decided.set(name, count)
  }
  return decided
}

/** The widest topic that it reads. Throws KafkaError STREAMS_INVALID_TOPOLOGY. */
export function taskCountOf(subtopology: Subtopology, countOf: CountOf): number {
  const counts = topicsReadBy(subtopology).map((name) => countOf(name) ?? 0)
  const count = widest(counts)
  if (count > 0) return count
  throw invalid(`No source topics found for subtopology ${subtopology.subtopologyId}`)
}

function widest(counts: readonly number[]): number {
  return counts.reduce((most, count) => Math.max(most, count), 0)
}

function repartitionCounts(topology: Topology, topics: TopicLookup): Map<string, number> {
  const { subtopologies } = topology
  const counts = new Map<string, number>()
  for (const { name, partitions } of subtopologies.flatMap(
    (each) => each.repartitionSourceTopics,
  )) {
    if (partitions !== 0) counts.set(name, partitions)
  }
  let open = subtopologies.filter(({ repartitionSinkTopics: sinks }) => sinks.length > 0)
  while (open.length > 0) {
    const undecided = open.filter((subtopology) => !decideSinks(subtopology, counts, topics))
    if (undecided.length === open.length) {
      throw invalid(
        'Failed to compute number of partitions for all repartition topics. ' +
          'There may be loops in the topology that cannot be resolved.',
      )
    }
    open = undecided
  }
  const sources = subtopologies.flatMap((each) => each.repartitionSourceTopics)
  if (sources.every(({ name }) => counts.has(name))) return counts
  throw invalid(
    'Failed to compute number of partitions for all repartition topics, because ' +
      'a repartition source topic is never used as a sink topic.',
  )
}

/** False where nothing that the subtopology reads has a number yet. */
function decideSinks(
  { repartitionSinkTopics, repartitionSourceTopics, sourceTopics }: Subtopology,
  counts: Map<string, number>,
  topics: TopicLookup,
): boolean {
  const undecided = repartitionSinkTopics.filter((name) => !counts.has(name))
  if (undecided.length === 0) return true
  const count = widest([
    ...repartitionSourceTopics.map(({ name }) => counts.get(name) ?? 0),
    ...sourceTopics.map((name) => topics.partitionCountOf(name) ?? 0),
  ])
  if (count === 0) return false
  for (const name of undecided) counts.set(name, count)
  return true
}

function alignCopartitioned(
  { subtopologies }: Topology,
  decided: Map<string, number>,
  countOf: CountOf,
): void {
  const repartition = new Set<string>()
  const fixed = new Set<string>()
  for (const { name, partitions } of subtopologies.flatMap(
    (each) => each.repartitionSourceTopics,
  )) {
    repartition.add(name)
    if (partitions !== 0) fixed.add(name)
  }
  for (const subtopology of subtopologies) {
    for (const group of subtopology.copartitionGroups) {
      const names = copartitioned(subtopology, group)
      const counted = names.map((name) => [name, countOf(name) ?? 0] as const)
      const outer = counted.filter(([name]) => !repartition.has(name))
      const inner = counted.filter(([name]) => repartition.has(name))
      const count = commonCount(outer, inner, fixed)
      for (const [name, own] of inner) {
        decided.set(name, count)
        if (fixed.has(name) && own !== count) {
          throw TopicsUnfit.incorrectlyPartitioned(
            `Number of partitions [${own}] of repartition topic [${name}] ` +
              `doesn't match number of partitions [${count}] of the source topic.`,
          )
        }
      }
    }
  }
}

type Counted = readonly (readonly [name: string, count: number])[]

function commonCount(outer: Counted, inner: Counted, fixed: ReadonlySet<string>): number {
  if (outer.length > 0) return sameCount(outer, outer)
  const asked = inner.filter(([name]) => fixed.has(name))
  return asked.length > 0 ? sameCount(asked, inner) : widest(inner.map(([, count]) => count))
}

/** Of topics that must agree; `told`: the ones to name where they do not. */
function sameCount(topics: Counted, told: Counted): number {
  const count = topics[0]?.[1] ?? 0
  if (topics.every(([, other]) => other === count)) return count
  const list = [...told].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, own]) => `${name}=${own}`)
  throw TopicsUnfit.incorrectlyPartitioned(
    `Following topics do not have the same number of partitions: [{${list.join(', ')}}]`,
  )
}

/** The names of the topics of a copartition group, which has their places only. */
function copartitioned(
  { subtopologyId, sourceTopics, repartitionSourceTopics }: Subtopology,
  group: Subtopology['copartitionGroups'][number],
): string[] {
  const names = [
    ...group.sourceTopics.map((at) => sourceTopics[at]),
    ...group.repartitionSourceTopics.map((at) => repartitionSourceTopics[at]?.name),
  ]
  return [...new Set(names)].map((name) => {
    if (name !== undefined) return name
    throw invalid(`A copartition group of subtopology ${subtopologyId} names no topic of it.`)
  })
}

function invalid(message: string): KafkaError {
  return new KafkaError(errors.STREAMS_INVALID_TOPOLOGY, message)
}

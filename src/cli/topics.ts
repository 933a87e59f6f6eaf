/** `millrace topics`: list, create, describe, alter, delete, and delete records. */
import { describeConfigs } from '../client/admin/configs.ts'
import {
  createPartitions,
  createTopics,
  deleteRecords,
  deleteTopics,
} from '../client/admin/topics.ts'
import type { Cluster } from '../client/cluster.ts'
import type { TopicMetadata } from '../client/cluster-metadata.ts'
import { UnsupportedVersionError } from '../client/failures.ts'
import { earliest, latest, listOffsets } from '../client/offsets.ts'
import { nameOf } from '../client/topic-partition.ts'
import { splitPair } from './arguments.ts'
import { type Command, verb } from './command.ts'
import { CommandError, UsageError } from './failure.ts'
import { json } from './json.ts'
import { reportOutcomes } from './outcomes.ts'
import { pairs, plural, table } from './table.ts'

const topicNames = { name: 'TOPIC', summary: 'Names of topics', many: true } as const

const list = verb({
  summary: 'List topics',
  positionals: [
    { name: 'PATTERN', summary: 'Only topics whose name contains this', optional: true },
  ],
  options: { internal: { kind: 'flag', short: 'i', summary: 'Internal topics, too' } },
  examples: [
    { says: 'All topics', line: 'millrace topics list' },
    { says: 'Names only, for a script', line: "millrace topics list --json | jq -r '.[].name'" },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const pattern = positionals[0] ?? ''
    const topics = (await session.cluster.allTopics()).filter(
      ({ name, isInternal }) => name.includes(pattern) && (values.internal || !isInternal),
    )
    const rows = topics.map((topic) => ({
      name: topic.name,
      partitions: topic.partitions.length,
      replicationFactor: replicationOf(topic),
      internal: topic.isInternal,
      underReplicated: topic.partitions.filter(isUnderReplicated).length,
    }))
    if (asJson) process.stdout.write(json(rows))
    else if (rows.length === 0) process.stdout.write('No topics.\n')
    else
      process.stdout.write(
        table(
          ['TOPIC', 'PARTITIONS', 'REPLICATION', 'UNDER-REPLICATED'],
          rows.map((row) => [
            row.name,
            row.partitions,
            row.replicationFactor,
            row.underReplicated === 0 ? null : row.underReplicated,
          ]),
        ),
      )
    return 0
  },
})

const create = verb({
  summary: 'Create topics',
  positionals: [topicNames],
  options: {
    partitions: { kind: 'number', short: 'p', summary: 'Partitions (else as the broker says)' },
    'replication-factor': {
      kind: 'number',
      short: 'r',
      summary: 'Replicas of each partition (else as the broker says)',
    },
    config: { kind: 'list', short: 'c', value: 'NAME=VALUE', summary: 'A setting of the topic' },
    'if-not-exists': { kind: 'flag', summary: 'Be content where the topic exists already' },
    'validate-only': { kind: 'flag', summary: 'Check, and create nothing' },
  },
  examples: [
    { says: 'Three partitions', line: 'millrace topics create orders --partitions 3' },
    {
      says: 'Keep the last record of each key',
      line: 'millrace topics create customers --config cleanup.policy=compact',
    },
    { says: 'In a script', line: 'millrace topics create orders --if-not-exists --json' },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const configs = new Map(values.config.map((text) => splitPair(text, '--config')))
    const topics = positionals.map((name) => ({
      name,
      partitions: values.partitions ?? -1,
      replicationFactor: values['replication-factor'] ?? -1,
      configs,
    }))
    const created = await createTopics(session.cluster, topics, {
      validateOnly: values['validate-only'],
    })
    return reportOutcomes(created, {
      asJson,
      done: values['validate-only'] ? 'could be created' : 'created',
      fine: values['if-not-exists'] ? ['TOPIC_ALREADY_EXISTS'] : [],
      extra: ({ partitions, replicationFactor }) =>
        partitions < 0 ? {} : { partitions, replicationFactor },
    })
  },
})

const describe = verb({
  summary: 'Describe topics: partitions, leaders, replicas, offsets, settings',
  positionals: [
    { ...topicNames, summary: 'Names of topics; all, if none is given', optional: true },
  ],
  options: {
    'under-replicated': { kind: 'flag', summary: 'Only partitions whose in-sync set is not whole' },
    unavailable: { kind: 'flag', summary: 'Only partitions without a leader' },
    'no-offsets': { kind: 'flag', summary: 'Do not ask for offsets' },
  },
  examples: [
    { says: 'One topic', line: 'millrace topics describe orders' },
    { says: 'What is in trouble', line: 'millrace topics describe --under-replicated' },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const { cluster } = session
    const isFiltered = values['under-replicated'] || values.unavailable
    const topics =
      positionals.length === 0
        ? (await cluster.allTopics()).filter(({ isInternal }) => isFiltered || !isInternal)
        : await Promise.all(positionals.map((name) => cluster.topic(name, { fresh: true })))
    const described = []
    for (const topic of topics) {
      const partitions = topic.partitions.filter(
        (partition) =>
          (!values['under-replicated'] || isUnderReplicated(partition)) &&
          (!values.unavailable || partition.leader < 0),
      )
      if (isFiltered && partitions.length === 0) continue
      const wantsOffsets = !values['no-offsets'] && !isFiltered
      described.push({
        name: topic.name,
        topicId: topic.topicId,
        internal: topic.isInternal,
        configs: isFiltered ? {} : await ownConfigs(cluster, topic.name),
        partitions: await withOffsets(cluster, topic, partitions, wantsOffsets),
      })
    }
    if (asJson) process.stdout.write(json(described))
    else
      process.stdout.write(
        described.map(asText).join('\n') || (isFiltered ? 'No such partitions.\n' : 'No topics.\n'),
      )
    return 0
  },
})

type Described = {
  name: string
  topicId: string
  configs: Record<string, string | null>
  partitions: Awaited<ReturnType<typeof withOffsets>>
}

function asText({ name, topicId, configs, partitions }: Described): string {
  const settings = Object.entries(configs).map(([key, value]) => `${key}=${value}`)
  return (
    pairs([
      ['Topic', name],
      ['Id', topicId],
      ['Partitions', partitions.length],
      ['Settings', settings.join(', ')],
    ]) +
    table(
      ['PARTITION', 'LEADER', 'REPLICAS', 'IN SYNC', 'START', 'END', 'RECORDS'],
      partitions.map((row) => [
        row.partition,
        row.leader < 0 ? 'none' : row.leader,
        row.replicas.join(','),
        row.isr.join(','),
        row.startOffset,
        row.endOffset,
        row.startOffset === null || row.endOffset === null ? null : row.endOffset - row.startOffset,
      ]),
    )
  )
}

async function ownConfigs(cluster: Cluster, name: string): Promise<Record<string, string | null>> {
  try {
    const [answer] = await describeConfigs(cluster, [{ type: 'topic', name }])
    const own = answer?.entries.filter(({ source }) => source === 'topic') ?? []
    return Object.fromEntries(own.map((entry) => [entry.name, entry.value]))
  } catch (error) {
    if (error instanceof UnsupportedVersionError) return {}
    throw error
  }
}

async function withOffsets(
  cluster: Cluster,
  { name: topic }: TopicMetadata,
  partitions: TopicMetadata['partitions'],
  isWanted: boolean,
) {
  const led = isWanted ? partitions.filter(({ leader }) => leader >= 0) : []
  const ask = async (timestamp: number) => {
    const queries = led.map(({ index }) => ({ topic, partition: index, timestamp }))
    const found = await listOffsets(cluster, queries)
    return new Map(found.map(({ partition, offset }) => [partition, offset]))
  }
  const [starts, ends] = await Promise.all([ask(earliest), ask(latest)])
  return partitions.map(({ index, leader, leaderEpoch, replicas, isr, offline }) => ({
    partition: index,
    leader,
    leaderEpoch,
    replicas,
    isr,
    offline,
    startOffset: starts.get(index) ?? null,
    endOffset: ends.get(index) ?? null,
  }))
}

const alter = verb({
  summary: 'Give topics more partitions',
  positionals: [topicNames],
  options: {
    partitions: { kind: 'number', short: 'p', summary: 'How many partitions there shall be' },
  },
  notes: [
    'Partitions can only become more. Keys move to other partitions when their number changes.\n' +
      '`millrace configs alter topic TOPIC --set NAME=VALUE` changes settings.',
  ],
  examples: [{ says: 'Six partitions', line: 'millrace topics alter orders --partitions 6' }],
  async run({ values, positionals, json: asJson, session }) {
    const { partitions } = values
    if (partitions === undefined)
      throw new UsageError('--partitions is missing', 'Say how many partitions there shall be.')
    const counts = new Map(positionals.map((name) => [name, partitions]))
    const outcomes = await createPartitions(session.cluster, counts)
    return reportOutcomes(outcomes, { asJson, done: `has ${plural(partitions, 'partition')}` })
  },
})

const remove = verb({
  summary: 'Delete topics and all their records',
  positionals: [topicNames],
  options: { 'if-exists': { kind: 'flag', summary: 'Be content where there is no such topic' } },
  examples: [{ says: 'Two topics', line: 'millrace topics delete orders customers' }],
  async run({ values, positionals, json: asJson, session }) {
    const outcomes = await deleteTopics(session.cluster, positionals)
    return reportOutcomes(outcomes, {
      asJson,
      done: 'deleted',
      fine: values['if-exists'] ? ['UNKNOWN_TOPIC_OR_PARTITION'] : [],
    })
  },
})

const cut = verb({
  summary: 'Delete the records before an offset',
  positionals: [{ name: 'TOPIC', summary: 'Name of the topic' }],
  options: {
    partition: {
      kind: 'list',
      short: 'p',
      value: 'N',
      summary: 'Partition; all, if none is given',
    },
    before: {
      kind: 'text',
      value: 'OFFSET',
      summary: 'The first offset to keep, or "end" to delete all there is',
    },
  },
  examples: [
    { says: 'Everything', line: 'millrace topics delete-records orders --before end' },
    {
      says: 'The beginning of a partition',
      line: 'millrace topics delete-records orders --partition 0 --before 1000',
    },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const offset = values.before === 'end' ? -1 : Number(values.before ?? Number.NaN)
    if (!Number.isSafeInteger(offset) || offset < -1)
      throw new UsageError('--before needs an offset or "end"')
    const [name = ''] = positionals
    const topic = await session.cluster.topic(name)
    const wanted = values.partition.map(Number)
    const unknown = wanted.find((index) => topic.partitions[index] === undefined)
    if (unknown !== undefined)
      throw new CommandError(
        `${name} has ${plural(topic.partitions.length, 'partition')}, no ${unknown}`,
      )
    const cuts = topic.partitions
      .filter(({ index }) => wanted.length === 0 || wanted.includes(index))
      .map(({ index: partition }) => ({ topic: name, partition, offset }))
    const results = await deleteRecords(session.cluster, cuts)
    return reportOutcomes(
      results.map((row) => ({ ...row, name: nameOf(row) })),
      {
        asJson,
        done: ({ lowWatermark }) => `now begins at ${lowWatermark}`,
        extra: ({ lowWatermark }) => ({ startOffset: lowWatermark }),
      },
    )
  },
})

function replicationOf({ partitions }: TopicMetadata): number {
  return partitions[0]?.replicas.length ?? 0
}

function isUnderReplicated({ isr, replicas }: TopicMetadata['partitions'][number]): boolean {
  return isr.length < replicas.length
}

export const command: Command = {
  summary: 'List, create, describe, alter and delete topics',
  verbs: { list, create, describe, alter, delete: remove, 'delete-records': cut },
}

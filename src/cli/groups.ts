/** `millrace groups`: list, describe, move, delete. */
import {
  type DescribedGroup,
  deleteGroupOffsets,
  deleteGroups,
  describeGroup,
  listGroups,
} from '../client/admin/groups.ts'
import { alterShareOffsets, fetchShareOffsets } from '../client/admin/share-offsets.ts'
import type { Cluster } from '../client/cluster.ts'
import { isAnswer } from '../client/failures.ts'
import {
  type CommittedOffset,
  commitOffsets,
  earliest,
  fetchCommitted,
  latest,
  listOffsets,
} from '../client/offsets.ts'
import { nameOf, type TopicPartition } from '../client/topic-partition.ts'
import { type Command, type Values, verb } from './command.ts'
import { CommandError, exitCodes, UsageError } from './failure.ts'
import { json } from './json.ts'
import { reportOutcomes } from './outcomes.ts'
import { pairs, plural, table } from './table.ts'

const list = verb({
  summary: 'List groups',
  positionals: [],
  options: {
    state: {
      kind: 'list',
      value: 'STATE',
      summary: 'Only groups in this state (Stable, Empty, …)',
    },
    type: {
      kind: 'list',
      value: 'TYPE',
      choices: ['classic', 'consumer', 'share', 'streams'],
      summary: 'Only groups of this type',
    },
  },
  examples: [
    { says: 'All groups', line: 'millrace groups list' },
    { says: 'Groups without members', line: 'millrace groups list --state Empty' },
  ],
  async run({ values, json: asJson, session }) {
    const groups = await listGroups(session.cluster, { states: values.state, types: values.type })
    if (asJson) process.stdout.write(json(groups))
    else if (groups.length === 0) process.stdout.write('No groups.\n')
    else
      process.stdout.write(
        table(
          ['GROUP', 'TYPE', 'STATE', 'PROTOCOL', 'COORDINATOR'],
          groups.map((row) => [
            row.groupId,
            row.type,
            row.state,
            row.protocolType,
            row.coordinator,
          ]),
        ),
      )
    return 0
  },
})

const describe = verb({
  summary: 'Describe groups: members, offsets, lag',
  positionals: [{ name: 'GROUP', summary: 'Names of groups', many: true }],
  options: { members: { kind: 'flag', summary: 'Members and what they have, without offsets' } },
  examples: [
    { says: 'Where a group is, and how far behind', line: 'millrace groups describe billing' },
    {
      says: 'The lag of all partitions together',
      line: "millrace groups describe billing --json | jq '.[].lag'",
    },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const described = []
    for (const groupId of positionals) described.push(await describeOne(session.cluster, groupId))
    if (asJson) process.stdout.write(json(described))
    else process.stdout.write(described.map((row) => asText(row, values.members)).join('\n'))
    return 0
  },
})

/** A share group commits nothing: its start offsets stand for it, and the broker knows how much is left. */
type GroupOffset = CommittedOffset & { readonly lag?: number | null }

function offsetsOf(
  cluster: Cluster,
  groupId: string,
  type: DescribedGroup['type'] | undefined,
): Promise<GroupOffset[]> {
  if (type === 'share') return fetchShareOffsets(cluster, groupId)
  return fetchCommitted(cluster, groupId, null, { isStable: false })
}

async function describeOne(cluster: Cluster, groupId: string) {
  const group = await describeGroup(cluster, groupId)
  const committed = await offsetsOf(cluster, groupId, group.type)
  const owners = new Map<string, (typeof group.members)[number]>()
  for (const member of group.members)
    for (const partition of member.assignment) owners.set(nameOf(partition), member)
  const owned = group.members.flatMap(({ assignment }) => assignment)
  const known = new Map(committed.map((row) => [nameOf(row), row]))
  const partitions: TopicPartition[] = [
    ...committed,
    ...owned.filter((partition) => !known.has(nameOf(partition))),
  ]
  const ends = await endsOf(cluster, partitions)
  const offsets = partitions
    .map((row) => {
      const { topic, partition } = row
      const found = known.get(nameOf(row))
      const committedOffset = found?.offset ?? null
      const endOffset = ends.get(nameOf(row)) ?? null
      const behind =
        committedOffset === null || endOffset === null
          ? null
          : Math.max(0, endOffset - committedOffset)
      const owner = owners.get(nameOf(row))
      return {
        topic,
        partition,
        committedOffset,
        endOffset,
        lag: found?.lag ?? behind,
        memberId: owner?.memberId ?? null,
        clientId: owner?.clientId ?? null,
        host: owner?.host ?? null,
      }
    })
    .sort(byTopicAndPartition)
  return { ...group, lag: offsets.reduce((sum, { lag }) => sum + (lag ?? 0), 0), offsets }
}

function byTopicAndPartition(left: TopicPartition, right: TopicPartition): number {
  if (left.topic === right.topic) return left.partition - right.partition
  return left.topic < right.topic ? -1 : 1
}

/** The ends of partitions; those of topics that are gone are left out. */
async function endsOf(cluster: Cluster, partitions: readonly TopicPartition[]) {
  const ends = new Map<string, number>()
  for (const topic of new Set(partitions.map((row) => row.topic))) {
    const queries = partitions
      .filter((row) => row.topic === topic)
      .map(({ partition }) => ({ topic, partition, timestamp: latest }))
    try {
      for (const row of await listOffsets(cluster, queries)) ends.set(nameOf(row), row.offset)
    } catch (error) {
      if (!isAnswer(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw error
    }
  }
  return ends
}

function asText(group: Awaited<ReturnType<typeof describeOne>>, membersOnly: boolean): string {
  const head = pairs([
    ['Group', group.groupId],
    ['Type', group.type],
    ['State', group.state],
    ['Assignor', group.assignor],
    ...(group.groupEpoch === null
      ? []
      : [
          ['Epoch', group.groupEpoch] as const,
          ['Assignment', `of epoch ${group.assignmentEpoch}`] as const,
        ]),
    ['Coordinator', group.coordinator],
    ['Members', group.members.length],
    ['Lag', group.lag],
  ])
  if (membersOnly)
    return (
      head +
      table(
        ['MEMBER', 'INSTANCE', 'CLIENT', 'HOST', 'PARTITIONS'],
        group.members.map((member) => [
          member.memberId,
          member.groupInstanceId,
          member.clientId,
          member.host,
          (member.tasks ?? member.assignment.map(nameOf)).join(' '),
        ]),
      )
    )
  return (
    head +
    table(
      ['TOPIC', 'PARTITION', 'COMMITTED', 'END', 'LAG', 'CLIENT', 'HOST'],
      group.offsets.map((row) => [
        row.topic,
        row.partition,
        row.committedOffset,
        row.endOffset,
        row.lag,
        row.clientId,
        row.host,
      ]),
    )
  )
}

const resetOptions = {
  topic: {
    kind: 'list',
    short: 't',
    value: 'TOPIC[:N,…]',
    summary: 'A topic, or some of its partitions',
  },
  'all-topics': { kind: 'flag', summary: 'All topics for which the group has offsets' },
  'to-earliest': { kind: 'flag', summary: 'To the oldest record' },
  'to-latest': { kind: 'flag', summary: 'To the end' },
  'to-offset': { kind: 'number', value: 'OFFSET', summary: 'To this offset' },
  'to-datetime': {
    kind: 'text',
    value: 'TIME',
    summary: 'To the first record from this time on (ISO 8601)',
  },
  'shift-by': { kind: 'number', value: 'N', summary: 'So many records on, or (negative) back' },
  execute: { kind: 'flag', summary: 'Do it; otherwise it is only shown' },
} as const

type ResetValues = Values<typeof resetOptions>

const reset = verb({
  summary: 'Move a group to other offsets',
  positionals: [{ name: 'GROUP', summary: 'Name of the group' }],
  options: resetOptions,
  notes: ['The group must have no members. Without --execute nothing is changed.'],
  examples: [
    {
      says: 'What would happen',
      line: 'millrace groups reset-offsets billing --topic orders --to-earliest',
    },
    {
      says: 'Do it',
      line: 'millrace groups reset-offsets billing --topic orders --to-earliest --execute',
    },
    {
      says: 'Back to this morning',
      line: 'millrace groups reset-offsets billing --all-topics --to-datetime 2026-03-01T06:00:00Z --execute',
    },
    {
      says: 'Skip a bad record',
      line: 'millrace groups reset-offsets billing --topic orders:0 --shift-by 1 --execute',
    },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const [groupId = ''] = positionals
    const { cluster } = session
    const target = targetOf(values)
    const type = await requireEmpty(cluster, groupId)
    const committed = await offsetsOf(cluster, groupId, type)
    const partitions = await selected(cluster, values, committed)
    const moves = await planned(cluster, partitions, committed, target)
    if (values.execute) {
      const offsets = moves.map((row) => ({ ...row, offset: row.newOffset }))
      const committer = { groupId, memberId: '', generationId: -1, groupInstanceId: null }
      if (type === 'share') await alterShareOffsets(cluster, groupId, offsets)
      else await commitOffsets(cluster, committer, offsets)
    }
    if (asJson) process.stdout.write(json({ groupId, executed: values.execute, offsets: moves }))
    else {
      process.stdout.write(
        table(
          ['TOPIC', 'PARTITION', 'FROM', 'TO', 'START', 'END'],
          moves.map((row) => [
            row.topic,
            row.partition,
            row.oldOffset,
            row.newOffset,
            row.startOffset,
            row.endOffset,
          ]),
        ),
      )
      if (!values.execute) process.stderr.write('Nothing was changed: add --execute to do it.\n')
    }
    return exitCodes.ok
  },
})

type Target = (found: {
  start: number
  end: number
  committed: number | null
  timed: number
}) => number

/** What was asked for, as a function of what is known of a partition. */
function targetOf(values: ResetValues): { choose: Target; timestamp: number | null } {
  const timestamp = values['to-datetime'] === undefined ? null : Date.parse(values['to-datetime'])
  if (timestamp !== null && Number.isNaN(timestamp))
    throw new UsageError(
      `--to-datetime cannot be "${values['to-datetime']}"`,
      'Write 2026-03-01T06:00:00Z.',
    )
  const { 'to-offset': offset, 'shift-by': shift } = values
  const targets: Target[] = []
  if (values['to-earliest']) targets.push(({ start }) => start)
  if (values['to-latest']) targets.push(({ end }) => end)
  if (offset !== undefined) targets.push(() => offset)
  if (shift !== undefined) targets.push(({ committed, start }) => (committed ?? start) + shift)
  if (timestamp !== null) targets.push(({ timed, end }) => (timed < 0 ? end : timed))
  const [choose, second] = targets
  if (choose === undefined || second !== undefined)
    throw new UsageError(
      'say where to: exactly one of --to-earliest, --to-latest, --to-offset, --to-datetime, --shift-by',
    )
  return { choose, timestamp }
}

/** The group's type; undefined where there is no such group. */
async function requireEmpty(cluster: Cluster, groupId: string) {
  try {
    const { members, type } = await describeGroup(cluster, groupId)
    if (members.length > 0)
      throw new CommandError(
        `group ${groupId} has ${plural(members.length, 'member')}, which would overwrite its offsets`,
        'Stop them first; `millrace groups describe` shows them.',
      )
    return type
  } catch (error) {
    // A group that does not exist comes to be with its first offset.
    if (!isAnswer(error, 'GROUP_ID_NOT_FOUND')) throw error
    return undefined
  }
}

async function selected(
  cluster: Cluster,
  values: ResetValues,
  committed: readonly TopicPartition[],
): Promise<TopicPartition[]> {
  if (values['all-topics']) return [...committed]
  if (values.topic.length === 0)
    throw new UsageError('say which topics: --topic TOPIC or --all-topics')
  return partitionsNamed(cluster, values.topic)
}

/** `topic`, all its partitions, or `topic:0,2`. */
async function partitionsNamed(
  cluster: Cluster,
  names: readonly string[],
): Promise<TopicPartition[]> {
  const partitions: TopicPartition[] = []
  for (const text of names) {
    const [name = '', indexes] = text.split(':')
    const topic = await cluster.topic(name)
    const wanted = indexes?.split(',').map(Number) ?? topic.partitions.map(({ index }) => index)
    const unknown = wanted.find((index) => topic.partitions[index] === undefined)
    if (unknown !== undefined)
      throw new CommandError(
        `${name} has ${plural(topic.partitions.length, 'partition')}, no ${unknown}`,
      )
    partitions.push(...wanted.map((partition) => ({ topic: name, partition })))
  }
  return partitions
}

async function planned(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
  committed: readonly CommittedOffset[],
  { choose, timestamp }: ReturnType<typeof targetOf>,
) {
  const ask = async (asked: number) => {
    const queries = partitions.map(({ topic, partition }) => ({
      topic,
      partition,
      timestamp: asked,
    }))
    const found = await listOffsets(cluster, queries)
    return new Map(found.map((row) => [nameOf(row), row.offset]))
  }
  const [starts, ends] = await Promise.all([ask(earliest), ask(latest)])
  const sorted = [...partitions].sort(byTopicAndPartition)
  const timed = timestamp === null ? new Map<string, number>() : await ask(timestamp)
  const before = new Map(committed.map((row) => [nameOf(row), row.offset]))
  return sorted.map(({ topic, partition }) => {
    const name = nameOf({ topic, partition })
    const startOffset = starts.get(name)!
    const endOffset = ends.get(name)!
    const oldOffset = before.get(name) ?? null
    const wanted = choose({
      start: startOffset,
      end: endOffset,
      committed: oldOffset,
      timed: timed.get(name) ?? -1,
    })
    const newOffset = Math.min(endOffset, Math.max(startOffset, wanted))
    return { topic, partition, oldOffset, newOffset, startOffset, endOffset }
  })
}

const remove = verb({
  summary: 'Delete groups that have no members',
  positionals: [{ name: 'GROUP', summary: 'Names of groups', many: true }],
  options: { 'if-exists': { kind: 'flag', summary: 'Be content where there is no such group' } },
  examples: [{ says: 'A group and its offsets', line: 'millrace groups delete billing' }],
  async run({ values, positionals, json: asJson, session }) {
    return reportOutcomes(await deleteGroups(session.cluster, positionals), {
      asJson,
      done: 'deleted',
      fine: values['if-exists'] ? ['GROUP_ID_NOT_FOUND'] : [],
    })
  },
})

const removeOffsets = verb({
  summary: 'Delete a group’s offsets for topics',
  positionals: [{ name: 'GROUP', summary: 'Name of the group' }],
  options: {
    topic: {
      kind: 'list',
      short: 't',
      value: 'TOPIC[:N,…]',
      summary: 'A topic, or some of its partitions',
    },
  },
  examples: [{ says: 'One topic', line: 'millrace groups delete-offsets billing --topic orders' }],
  async run({ values, positionals, json: asJson, session }) {
    if (values.topic.length === 0) throw new UsageError('--topic is missing: say which topics')
    const partitions = await partitionsNamed(session.cluster, values.topic)
    const outcomes = await deleteGroupOffsets(session.cluster, positionals[0]!, partitions)
    return reportOutcomes(outcomes, { asJson, done: 'has no offset any longer' })
  },
})

export const command: Command = {
  summary: 'List, describe, reset and delete groups',
  verbs: {
    list,
    describe,
    'reset-offsets': reset,
    delete: remove,
    'delete-offsets': removeOffsets,
  },
}

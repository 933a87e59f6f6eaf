/** `millrace logdirs`: how much lies where. */
import { describeLogDirs } from '../client/admin/brokers.ts'
import { nameOf } from '../client/topic-partition.ts'
import { type Command, verb } from './command.ts'
import { answer, exitCodes } from './failure.ts'
import { json } from './json.ts'
import { bytes, plural, table } from './table.ts'

export const command: Command = verb({
  summary: 'Show what lies in the log directories',
  positionals: [{ name: 'TOPIC', summary: 'Only these topics', optional: true, many: true }],
  options: {
    broker: { kind: 'list', value: 'ID', summary: 'Only this broker' },
    partitions: { kind: 'flag', short: 'p', summary: 'Each partition, not only topics' },
  },
  examples: [
    { says: 'Directories, and the topics in them', line: 'millrace logdirs' },
    { says: 'The partitions of a topic', line: 'millrace logdirs orders --partitions' },
    {
      says: 'Bytes of a topic on all brokers',
      line: "millrace logdirs orders --json | jq '[.[].bytes] | add'",
    },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const { cluster } = session
    const wanted = values.broker.map(Number)
    const nodes = (await cluster.nodes()).map(({ id }) => id)
    const ids = wanted.length === 0 ? nodes : wanted
    const topics = await Promise.all(
      positionals.map(async (name) => ({
        topic: name,
        partitions: (await cluster.topic(name)).partitions.map(({ index }) => index),
      })),
    )
    const dirs = (await describeLogDirs(cluster, ids, topics.length === 0 ? null : topics)).map(
      (dir) => ({
        ...dir,
        bytes: dir.partitions.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      }),
    )
    if (asJson)
      process.stdout.write(
        json(dirs.map(({ error, ...dir }) => ({ ...dir, error: error?.error.name ?? null }))),
      )
    else process.stdout.write(dirs.map((dir) => asText(dir, values.partitions)).join('\n'))
    return dirs.every(({ error }) => error === null) ? exitCodes.ok : exitCodes.failed
  },
})

type Dir = Awaited<ReturnType<typeof describeLogDirs>>[number] & { readonly bytes: number }

function asText(dir: Dir, showsPartitions: boolean): string {
  const volume =
    dir.totalBytes < 0 ? '' : `; ${bytes(dir.usableBytes)} of ${bytes(dir.totalBytes)} free`
  const state = dir.error === null ? '' : `; ${answer(dir.error)}`
  const count = plural(dir.partitions.length, 'partition')
  const head = `broker ${dir.brokerId}: ${dir.path}: ${bytes(dir.bytes)} in ${count}${volume}${state}\n`
  return head + (showsPartitions ? partitionRows(dir) : topicRows(dir))
}

function partitionRows({ partitions }: Dir): string {
  const sorted = [...partitions].sort((left, right) => right.sizeBytes - left.sizeBytes)
  return table(
    ['PARTITION', 'SIZE', 'BYTES', 'LAG', 'MOVING'],
    sorted.map((row) => [
      nameOf(row),
      bytes(row.sizeBytes),
      row.sizeBytes,
      row.offsetLag,
      row.isFuture ? 'in' : null,
    ]),
  )
}

function topicRows({ partitions }: Dir): string {
  const topics = new Map<string, { count: number; size: number }>()
  for (const { topic, sizeBytes } of partitions) {
    const row = topics.get(topic) ?? { count: 0, size: 0 }
    topics.set(topic, { count: row.count + 1, size: row.size + sizeBytes })
  }
  const sorted = [...topics].sort(([, left], [, right]) => right.size - left.size)
  return table(
    ['TOPIC', 'PARTITIONS', 'SIZE', 'BYTES'],
    sorted.map(([topic, { count, size }]) => [topic, count, bytes(size), size]),
  )
}

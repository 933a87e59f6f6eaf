/** `millrace consume`: records of topics to standard output. */
import type { Cluster } from '../client/cluster.ts'
import { Consumer, type ConsumerOptions, type Start } from '../client/consumer.ts'
import type { PartitionRecords } from '../client/fetcher.ts'
import { earliest, latest, listOffsets, offsetIn } from '../client/offsets.ts'
import { nameOf, type TopicPartition } from '../client/topic-partition.ts'
import { type Command, verb } from './command.ts'
import { CommandError, exitCodes, UsageError } from './failure.ts'
import { Interrupt } from './interrupt.ts'
import { Progress } from './progress.ts'
import { RecordPrinter } from './record-printer.ts'
import { encodings, unescaped } from './record-text.ts'
import { count, plural } from './table.ts'

const pollRecordsMax = 10_000
const pollTimeoutMs = 500
const autoCommitIntervalMs = 5_000

const options = {
  'from-beginning': {
    kind: 'flag',
    summary: 'Begin at the oldest record (in a group: where nothing was committed)',
  },
  offset: {
    kind: 'text',
    short: 'o',
    value: 'OFFSET',
    summary: 'Begin at this offset; "earliest", "latest", or -N for N records before the end',
  },
  partition: { kind: 'list', short: 'p', value: 'N', summary: 'Only this partition' },
  group: {
    kind: 'text',
    short: 'g',
    value: 'GROUP',
    summary: 'Share the topics with the members of a group',
  },
  'max-messages': { kind: 'number', short: 'n', summary: 'End after so many records' },
  'until-end': { kind: 'flag', short: 'e', summary: 'End where the partitions ended at the start' },
  'timeout-ms': { kind: 'number', summary: 'End when nothing has come for so long' },
  'print-key': { kind: 'flag', short: 'k', summary: 'Print keys' },
  'print-headers': { kind: 'flag', summary: 'Print headers' },
  'print-timestamp': { kind: 'flag', summary: 'Print timestamps' },
  'print-offset': { kind: 'flag', summary: 'Print offsets' },
  'print-partition': { kind: 'flag', summary: 'Print partitions' },
  'no-value': { kind: 'flag', summary: 'Print no values' },
  'key-separator': {
    kind: 'text',
    short: 'K',
    value: 'TEXT',
    summary: 'What stands between columns (a tab)',
  },
  separator: { kind: 'text', value: 'TEXT', summary: 'What ends a record (a new line)' },
  null: { kind: 'text', value: 'TEXT', summary: 'What stands for a null key or value (null)' },
  'key-encoding': { kind: 'text', choices: encodings, summary: 'How keys are written' },
  'value-encoding': { kind: 'text', choices: encodings, summary: 'How values are written' },
  isolation: {
    kind: 'text',
    choices: ['read_uncommitted', 'read_committed'],
    summary: 'Whether records of open and aborted transactions are shown',
  },
  quiet: { kind: 'flag', short: 'q', summary: 'No summary' },
} as const

type Values = Parameters<Parameters<typeof verb<typeof options>>[0]['run']>[0]['values']

export const command: Command = verb({
  summary: 'Read records from topics',
  positionals: [{ name: 'TOPIC', summary: 'Names of topics', many: true }],
  options,
  notes: [
    'Without a group it begins at the end, and shows what comes. With a group it begins where the group\n' +
      'committed, commits what it printed, and leaves the group when it ends or is interrupted.',
    'Columns come in the order timestamp, partition, offset, headers, key, value. --json prints a JSON\n' +
      'object a line, which `millrace produce --format json` takes back.',
    'It fails (exit code 1) where --timeout-ms ended it before --max-messages had come.',
  ],
  examples: [
    { says: 'What comes from now on', line: 'millrace consume orders' },
    {
      says: 'All there is, then end',
      line: 'millrace consume orders --from-beginning --until-end',
    },
    { says: 'As a member of a group', line: 'millrace consume orders --group billing' },
    {
      says: 'The last ten records of a partition',
      line: 'millrace consume orders -p 0 -o -10 -n 10',
    },
    { says: 'With keys and offsets', line: 'millrace consume orders --print-offset --print-key' },
    {
      says: 'As JSON',
      line: 'millrace consume orders --json --from-beginning --until-end | jq .value',
    },
  ],
  async run({ values, positionals, json, session }) {
    check(values)
    const reader = new RecordReader(session.cluster, positionals, values, json)
    return reader.run()
  },
})

function check(values: Values): void {
  if (values.group !== undefined && (values.partition.length > 0 || values.offset !== undefined))
    throw new UsageError(
      '--group excludes --partition and --offset: the group decides',
      '`millrace groups reset-offsets` moves a group.',
    )
  if (values.offset !== undefined && values['from-beginning'])
    throw new UsageError('--offset and --from-beginning exclude each other')
  if (values.offset !== undefined && !/^(earliest|latest|-?\d+)$/.test(values.offset))
    throw new UsageError(
      `--offset cannot be "${values.offset}"`,
      'Write a number, -N, earliest or latest.',
    )
  const partition = values.partition.find((text) => !/^\d+$/.test(text))
  if (partition !== undefined) throw new UsageError(`--partition cannot be "${partition}"`)
}

class RecordReader {
  readonly #cluster: Cluster
  readonly #topics: readonly string[]
  readonly #values: Values
  readonly #printer: RecordPrinter
  readonly #progress: Progress
  readonly #interrupt = new Interrupt()
  readonly #consumer: Consumer
  /** Where each partition ended when it was begun; only with --until-end. */
  readonly #ends = new Map<string, number>()
  readonly #done = new Map<string, number>()
  #isPlaced = false
  #lastArrivalMs = performance.now()

  constructor(cluster: Cluster, topics: readonly string[], values: Values, asJson: boolean) {
    this.#cluster = cluster
    this.#topics = topics
    this.#values = values
    this.#progress = new Progress(!process.stdout.isTTY)
    this.#printer = new RecordPrinter({
      asJson,
      printTimestamp: values['print-timestamp'],
      printPartition: values['print-partition'],
      printOffset: values['print-offset'],
      printHeaders: values['print-headers'],
      printKey: values['print-key'],
      printValue: !values['no-value'],
      keyEncoding: values['key-encoding'] ?? 'text',
      valueEncoding: values['value-encoding'] ?? 'text',
      separator: Buffer.from(unescaped(values['key-separator'] ?? '\\t')),
      end: Buffer.from(unescaped(values.separator ?? '\\n')),
      none: Buffer.from(values.null ?? 'null'),
    } as ConstructorParameters<typeof RecordPrinter>[0])
    const reset = values['from-beginning'] ? 'earliest' : 'latest'
    this.#consumer = new Consumer(cluster, {
      autoOffsetReset: reset,
      isolation: (values.isolation ?? 'read_uncommitted') as NonNullable<
        ConsumerOptions['isolation']
      >,
      partitionMaxBytes: 4 * 1024 * 1024,
      ...(values.group === undefined ? {} : { groupId: values.group, autoCommitIntervalMs }),
    })
  }

  async run(): Promise<number> {
    this.#interrupt.onRequest = () => this.#consumer.wakeUp()
    let isComplete = true
    try {
      if (this.#values.group === undefined) await this.#assign()
      else await this.#subscribe()
      isComplete = await this.#read()
    } finally {
      await this.#consumer.close()
      this.#interrupt.dispose()
    }
    const amounts = this.#progress.finish()
    if (!this.#values.quiet) process.stderr.write(`Read ${amounts}.\n`)
    if (isComplete) return exitCodes.ok
    const wanted = this.#values['max-messages']!
    throw new CommandError(
      `only ${count(this.#progress.records)} of ${count(wanted)} records came in time`,
    )
  }

  /** False where it ended before the number of records had come. */
  async #read(): Promise<boolean> {
    const recordsMax = this.#values['max-messages'] ?? Number.POSITIVE_INFINITY
    const timeoutMs = this.#values['timeout-ms'] ?? Number.POSITIVE_INFINITY
    this.#lastArrivalMs = performance.now()
    while (!this.#interrupt.isRequested && this.#progress.records < recordsMax) {
      if (this.#values['until-end'] && this.#isAtEnd()) return true
      const left = recordsMax - this.#progress.records
      const quietMs = performance.now() - this.#lastArrivalMs
      if (quietMs >= timeoutMs) return recordsMax === Number.POSITIVE_INFINITY
      const arrived = await this.#consumer.poll({
        timeoutMs: Math.max(1, Math.min(pollTimeoutMs, timeoutMs - quietMs)),
        recordsMax: Math.min(pollRecordsMax, left),
      })
      if (arrived.length > 0) await this.#print(arrived)
    }
    return true
  }

  async #print(arrived: readonly PartitionRecords[]): Promise<void> {
    const parts: Buffer[] = []
    for (const batch of arrived) {
      const end = this.#ends.get(nameOf(batch)) ?? Number.POSITIVE_INFINITY
      for (const record of batch.records) {
        if (record.offset >= end) break
        this.#printer.print(batch.topic, batch.partition, record, parts)
        this.#progress.records++
      }
      this.#done.set(nameOf(batch), batch.nextOffset)
    }
    const bytes = Buffer.concat(parts)
    this.#progress.bytes += bytes.length
    this.#lastArrivalMs = performance.now()
    if (bytes.length > 0 && !process.stdout.write(bytes)) await drained()
    this.#progress.show('Reading')
  }

  /** Begun partitions are all read up to where they ended. */
  #isAtEnd(): boolean {
    if (!this.#isPlaced) return false
    return [...this.#ends].every(([name, end]) => {
      const position = this.#consumer.assignment.find((partition) => nameOf(partition) === name)
      const reached = position === undefined ? undefined : this.#consumer.position(position)
      return Math.max(this.#done.get(name) ?? 0, reached ?? 0) >= end
    })
  }

  async #assign(): Promise<void> {
    const wanted = this.#values.partition.map(Number)
    const partitions: TopicPartition[] = []
    for (const name of this.#topics) {
      const topic = await this.#cluster.topic(name)
      const unknown = wanted.find((index) => index >= topic.partitions.length)
      if (unknown !== undefined)
        throw new CommandError(
          `${name} has ${plural(topic.partitions.length, 'partition')}, no ${unknown}`,
        )
      for (const { index } of topic.partitions)
        if (wanted.length === 0 || wanted.includes(index))
          partitions.push({ topic: name, partition: index })
    }
    await this.#noteEnds(partitions)
    this.#consumer.assign(await this.#starts(partitions))
    this.#isPlaced = true
  }

  async #starts(partitions: readonly TopicPartition[]): Promise<Start[]> {
    const { offset = this.#values['from-beginning'] ? 'earliest' : 'latest' } = this.#values
    if (offset === 'earliest' || offset === 'latest')
      return partitions.map((partition) => ({ ...partition, offset }))
    const number = Number(offset)
    if (!offset.startsWith('-'))
      return partitions.map((partition) => ({ ...partition, offset: number }))
    const ask = (timestamp: number) =>
      listOffsets(
        this.#cluster,
        partitions.map((partition) => ({ ...partition, timestamp })),
      )
    const [starts, ends] = await Promise.all([ask(earliest), ask(latest)])
    return partitions.map((partition) => ({
      ...partition,
      offset: Math.max(offsetIn(starts, partition), offsetIn(ends, partition) + number),
    }))
  }

  async #subscribe(): Promise<void> {
    for (const name of this.#topics) await this.#cluster.topic(name)
    this.#consumer.subscribe(this.#topics, {
      onAssigned: async (partitions) => {
        await this.#noteEnds(partitions)
        this.#isPlaced = true
      },
      onRevoked: () => {
        this.#isPlaced = false
        this.#ends.clear()
      },
    })
  }

  async #noteEnds(partitions: readonly TopicPartition[]): Promise<void> {
    if (!this.#values['until-end']) return
    const queries = partitions.map((partition) => ({ ...partition, timestamp: latest }))
    const isolation =
      this.#values.isolation === 'read_committed' ? 'read_committed' : 'read_uncommitted'
    for (const row of await listOffsets(this.#cluster, queries, isolation))
      this.#ends.set(nameOf(row), row.offset)
  }
}

/** Resolves when standard output takes more, or never will again. */
function drained(): Promise<void> {
  const { stdout } = process
  return new Promise((resolve) => {
    const events = ['drain', 'close', 'error'] as const
    const done = () => {
      for (const event of events) stdout.off(event, done)
      resolve()
    }
    for (const event of events) stdout.on(event, done)
    if (stdout.destroyed) done()
  })
}

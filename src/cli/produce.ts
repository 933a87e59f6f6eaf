/** `millrace produce`: records from files or a pipe to a topic. */
import { createReadStream } from 'node:fs'
import { type Compression, compressions } from '../../protocol/records/compression/compression.ts'
import type { ProducerRecord } from '../client/partition-queue.ts'
import { Producer } from '../client/producer.ts'
import { splitPair } from './arguments.ts'
import { type Command, verb } from './command.ts'
import { CommandError, exitCodes, report, UsageError } from './failure.ts'
import { Interrupt } from './interrupt.ts'
import { json } from './json.ts'
import { readLines } from './line-reader.ts'
import { Progress } from './progress.ts'
import { decodeBytes, type Encoding, encodings, parseRecord, unescaped } from './record-text.ts'
import { plural } from './table.ts'

const readBytes = 256 * 1024
const interruptedCode = 130
/** Without an acknowledgement for this long, the person in front of it is told what is going on. */
const silenceMs = 5_000
const deliveryTimeoutMs = 120_000

const options = {
  format: {
    kind: 'text',
    short: 'f',
    value: 'FORMAT',
    choices: ['lines', 'json', 'whole'],
    summary: 'One record per line, per JSON line, or per file',
  },
  'key-separator': {
    kind: 'text',
    short: 'K',
    value: 'TEXT',
    summary: 'What stands between key and value in a line; \\t is a tab',
  },
  key: { kind: 'text', short: 'k', value: 'TEXT', summary: 'The key of all records' },
  header: { kind: 'list', short: 'H', value: 'NAME=VALUE', summary: 'A header of all records' },
  partition: { kind: 'number', short: 'p', summary: 'The partition of all records' },
  'key-encoding': { kind: 'text', choices: encodings, summary: 'How keys are written' },
  'value-encoding': { kind: 'text', choices: encodings, summary: 'How values are written' },
  null: {
    kind: 'text',
    value: 'TEXT',
    summary: 'A key or value of this text is null (a tombstone)',
  },
  compression: {
    kind: 'text',
    short: 'z',
    choices: compressions,
    summary: 'Compression of batches',
  },
  'compression-level': { kind: 'number', summary: 'How hard to compress' },
  acks: {
    kind: 'text',
    choices: ['all', '1', '0'],
    summary: 'Wait for all in-sync replicas, for the leader, or for nobody',
  },
  'linger-ms': { kind: 'number', summary: 'Milliseconds a batch waits for more' },
  'batch-bytes': { kind: 'number', summary: 'Bytes of a batch before compression' },
  quiet: { kind: 'flag', short: 'q', summary: 'No summary' },
} as const

type Values = Parameters<Parameters<typeof verb<typeof options>>[0]['run']>[0]['values']

export const command: Command = verb({
  summary: 'Write records from files or a pipe to a topic',
  positionals: [
    { name: 'TOPIC', summary: 'Name of the topic' },
    {
      name: 'FILE',
      summary: 'Files to read; standard input, if none is given',
      optional: true,
      many: true,
    },
  ],
  options,
  notes: [
    'A JSON line is an object: {"key":"k","value":"v","headers":{"h":"x"},"partition":0,"timestamp":1}.\n' +
      'Only the value is needed; keyBase64 and valueBase64 take bytes. `millrace consume --json` prints it.',
    'The last line on stderr says what was written. --json prints it as JSON on stdout.',
  ],
  examples: [
    { says: 'A record per line of a file', line: 'millrace produce orders orders.txt' },
    { says: 'Keys before a tab', line: "millrace produce orders -K '\\t' < orders.tsv" },
    { says: 'One record', line: 'echo hello | millrace produce greetings --key world' },
    { says: 'A file as one record', line: 'millrace produce images --format whole cat.png' },
    {
      says: 'Copy a topic to another cluster',
      line: 'millrace consume orders --json --from-beginning --until-end | millrace produce orders -f json -b other:9092',
    },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const [topic = '', ...files] = positionals
    const writer = new RecordWriter(topic, values)
    const compression = values.compression ?? session.setting('compression.type') ?? 'none'
    const { cluster } = session
    writer.producer = new Producer(cluster, {
      acks: acksOf(values.acks ?? session.setting('acks')),
      deliveryTimeoutMs,
      compression: compression as Compression,
      compressionLevel: values['compression-level'],
      ...(values['linger-ms'] === undefined ? {} : { lingerMs: values['linger-ms'] }),
      ...(values['batch-bytes'] === undefined ? {} : { batchBytes: values['batch-bytes'] }),
    })
    if (files.length === 0 && process.stdin.isTTY)
      process.stderr.write('Type records, one per line; Ctrl-D ends.\n')
    const failure = await writer.run(files)
    return writer.summarise(failure, { asJson, isQuiet: values.quiet })
  },
})

function acksOf(text: string | undefined): -1 | 0 | 1 {
  if (text === undefined || text === 'all' || text === '-1') return -1
  return text === '0' ? 0 : 1
}

/** Reads inputs, hands records to the producer, and counts what became of them. */
class RecordWriter {
  readonly #topic: string
  readonly #values: Values
  readonly #separator: Buffer | null
  readonly #key: Buffer | null
  readonly #null: Buffer | null
  readonly #headers: readonly { key: string; value: Buffer }[]
  readonly #progress = new Progress(!process.stdin.isTTY)
  readonly #interrupt = new Interrupt()
  readonly #partitions = new Map<
    number,
    { records: number; firstOffset: number; lastOffset: number }
  >()
  #failed = 0
  #failure: Error | null = null
  #heardMs = performance.now()
  #hasToldSilence = false
  producer!: Producer

  constructor(topic: string, values: Values) {
    this.#topic = topic
    this.#values = values
    const separator = values['key-separator']
    if (separator === '') throw new UsageError('--key-separator cannot be empty')
    if (separator !== undefined && values.key !== undefined)
      throw new UsageError('--key and --key-separator exclude each other')
    this.#separator = separator === undefined ? null : Buffer.from(unescaped(separator))
    this.#null = values.null === undefined ? null : Buffer.from(values.null)
    this.#key = values.key === undefined ? null : this.#bytes(Buffer.from(values.key), 'key')
    this.#headers = values.header.map((text) => {
      const [key, value] = splitPair(text, '--header')
      return { key, value: Buffer.from(value) }
    })
  }

  /** Resolves with why it ended early, or null. */
  async run(files: readonly string[]): Promise<Error | null> {
    let failure: Error | null = null
    this.#interrupt.onRequest = () => process.stdin.destroy()
    const watch = setInterval(() => this.#tellSilence(), 1_000)
    try {
      for (const file of files.length === 0 ? [null] : files) {
        await this.#readOne(file)
        if (this.#isOver) break
      }
    } catch (error) {
      if (!this.#interrupt.isRequested) failure = error as Error
    }
    await this.producer.close()
    clearInterval(watch)
    this.#interrupt.dispose()
    return failure ?? this.#failure
  }

  summarise(
    failure: Error | null,
    { asJson, isQuiet }: { asJson: boolean; isQuiet: boolean },
  ): number {
    const amounts = this.#progress.finish()
    const { records, bytes, elapsedMs } = this.#progress
    const partitions = [...this.#partitions]
      .sort(([left], [right]) => left - right)
      .map(([partition, row]) => ({ partition, ...row }))
    if (asJson) {
      const topic = this.#topic
      process.stdout.write(
        json({ topic, records, failed: this.#failed, bytes, elapsedMs, partitions }),
      )
    } else if (!isQuiet && (records > 0 || failure === null)) {
      const where = partitions.length > 1 ? ` in ${partitions.length} partitions` : ''
      process.stderr.write(`Wrote ${amounts} to ${this.#topic}${where}.\n`)
    }
    if (failure !== null) {
      if (this.#failed > 0)
        process.stderr.write(`millrace: ${plural(this.#failed, 'record')} could not be written\n`)
      return report(failure, (line) => process.stderr.write(line))
    }
    return this.#interrupt.isRequested ? interruptedCode : exitCodes.ok
  }

  get #isOver(): boolean {
    return this.#interrupt.isRequested || this.#failure !== null
  }

  /** Records under way and nobody answers: says so once, until an answer comes. */
  #tellSilence(): void {
    const waitedMs = performance.now() - this.#heardMs
    if (this.producer.pending === 0) this.#heardMs = performance.now()
    else if (waitedMs > silenceMs && !this.#hasToldSilence) {
      this.#hasToldSilence = true
      const waiting = plural(this.producer.pending, 'record')
      process.stderr.write(
        `millrace: no broker has acknowledged anything for ${silenceMs / 1000} s; ${waiting} will be tried ` +
          `for ${deliveryTimeoutMs / 1000} s in all (Ctrl-C twice gives up)\n`,
      )
    }
  }

  async #readOne(file: string | null): Promise<void> {
    const name = file ?? 'standard input'
    const stream: AsyncIterable<Buffer> =
      file === null || file === '-'
        ? process.stdin
        : createReadStream(file, { highWaterMark: readBytes })
    if (this.#values.format === 'whole') {
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk)
      this.#add({ key: this.#key, value: this.#bytes(Buffer.concat(chunks), 'value') })
      return
    }
    let number = 0
    for await (const lines of readLines(stream)) {
      for (const line of lines) {
        number++
        this.#addLine(line, name, number)
        if (this.producer.isFull) await this.producer.room()
        if (this.#isOver) return
      }
      this.#progress.show('Writing')
    }
  }

  #addLine(line: Buffer, file: string, number: number): void {
    try {
      this.#add(this.#values.format === 'json' ? parseRecord(line.toString()) : this.#split(line))
    } catch (error) {
      if (!(error instanceof RangeError) && !(error instanceof SyntaxError)) throw error
      throw new CommandError(
        `${file}, line ${number}: ${error.message}`,
        'The lines before it were written.',
      )
    }
  }

  #split(line: Buffer): Pick<ProducerRecord, 'key' | 'value'> {
    if (this.#separator === null) return { key: this.#key, value: this.#bytes(line, 'value') }
    const at = line.indexOf(this.#separator)
    if (at < 0)
      throw new RangeError(`there is no key separator in "${line.subarray(0, 40).toString()}"`)
    const key = this.#bytes(line.subarray(0, at), 'key')
    return { key, value: this.#bytes(line.subarray(at + this.#separator.length), 'value') }
  }

  #bytes(text: Buffer, of: 'key' | 'value'): Buffer | null {
    if (this.#null?.equals(text)) return null
    return decodeBytes(text, (this.#values[`${of}-encoding`] ?? 'text') as Encoding)
  }

  #add(record: Omit<ProducerRecord, 'topic'>): void {
    this.producer.add(
      {
        topic: this.#topic,
        partition: record.partition ?? this.#values.partition,
        key: record.key ?? this.#key,
        value: record.value,
        headers:
          this.#headers.length === 0
            ? record.headers
            : [...(record.headers ?? []), ...this.#headers],
        timestamp: record.timestamp,
      },
      (error, { partition, offset }) => {
        this.#heardMs = performance.now()
        this.#hasToldSilence = false
        if (error !== null) {
          this.#failed++
          this.#failure ??= error
          return
        }
        this.#progress.records++
        this.#progress.bytes += (record.key?.length ?? 0) + (record.value?.length ?? 0)
        this.#count(partition, offset)
      },
    )
  }

  #count(partition: number, offset: number): void {
    const row = this.#partitions.get(partition)
    if (row === undefined)
      this.#partitions.set(partition, { records: 1, firstOffset: offset, lastOffset: offset })
    else {
      row.records++
      row.lastOffset = Math.max(row.lastOffset, offset)
    }
  }
}

/**
 * One data directory, two makers of brokers: Apache Kafka writes it and we go on with it, and the other way
 * round. After every change of hands the official client must see the same records in both isolation
 * levels, the same groups' offsets, configs and ids; at the end Kafka's DumpLogSegments reads every file.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  fetchKafka,
  fetchKafkaLogger,
  kafkaClassPath,
  tryKafkaTool,
} from '../../../scripts/apache-kafka.ts'
import { type BrokerKind, BrokerProcess } from '../../damage/broker-process.ts'

/** Tells the outcome of one check; null: it was skipped. */
export type Report = (check: string, ok: boolean | null, detail: string) => void

const source = fileURLToPath(
  new URL('../../../../test/interop/directories/Exchange.java', import.meta.url),
)
const names: Readonly<Record<BrokerKind, string>> = { millrace: 'Millrace', kafka: 'Kafka' }

export async function exchangeDirectories(work: string, report: Report): Promise<void> {
  const failure = fetchKafka() ?? fetchKafkaLogger()
  if (failure !== null) {
    report('directories', null, failure)
    return
  }
  for (const first of ['kafka', 'millrace'] as const)
    await new Exchange(join(work, `directory-of-${first}`), report).run(first)
}

class Exchange {
  readonly #directory: string
  readonly #report: Report
  /** Who writes it first, for the names of the checks. */
  #first: BrokerKind = 'kafka'

  constructor(directory: string, report: Report) {
    this.#directory = directory
    this.#report = report
  }

  async run(first: BrokerKind): Promise<void> {
    this.#first = first
    const second = first === 'kafka' ? 'millrace' : 'kafka'
    try {
      const written = await this.#serve(first, (bootstrap) => {
        // What this version of ours does not offer yet is written by Kafka alone.
        this.#client('write', bootstrap, first === 'kafka' ? 'yes' : 'no')
        return this.#state(bootstrap)
      })
      this.#dump(`as ${names[first]} wrote it`, written)
      const taken = await this.#takeOver(second, written)
      this.#dump(`as ${names[second]} went on with it`, taken)
      await this.#takeOver(first, taken)
    } catch (error) {
      this.#report(this.#name('exchanged'), false, String(error).slice(0, 400))
    }
  }

  #name(what: string): string {
    return `directory of ${names[this.#first]}: ${what}`
  }

  /** Sees what was there, and writes on. */
  async #takeOver(broker: BrokerKind, before: readonly string[]): Promise<string[]> {
    return this.#serve(broker, (bootstrap) => {
      this.#same(`opened by ${names[broker]}`, before, this.#state(bootstrap))
      this.#client('append', bootstrap)
      const after = this.#state(bootstrap)
      const kept = new Set(after)
      const gone = before.filter((line) => line.startsWith('record') && !kept.has(line))
      const added = after.length - before.length
      const ok = gone.length === 0 && added > 0
      const detail = ok ? `${added} facts more` : `${gone.length} records gone, ${added} lines more`
      this.#report(this.#name(`appended by ${names[broker]}`), ok, detail)
      return after
    })
  }

  #same(what: string, expected: readonly string[], found: readonly string[]): void {
    for (const subject of ['record read_uncommitted', 'record read_committed', 'rest'] as const) {
      const of = (lines: readonly string[]) => lines.filter((line) => subjectOf(line) === subject)
      const [left, right] = [of(expected), of(found)]
      const differing = left.findIndex((line, at) => line !== right[at])
      const ok = differing < 0 && left.length === right.length
      const label = subject === 'rest' ? 'groups, configs, ids, offsets' : subject.slice(7)
      const detail = ok
        ? `${left.length} ${subject === 'rest' ? 'facts' : 'records'}, all alike`
        : `${left.length} expected, ${right.length} found; first: ${left[differing] ?? '-'} / ${right[differing] ?? right[left.length] ?? '-'}`
      this.#report(this.#name(`${what}, ${label}`), ok, detail)
    }
  }

  async #serve<T>(kind: BrokerKind, work: (bootstrap: string) => T): Promise<T> {
    const broker = await BrokerProcess.start(kind, this.#directory)
    if (!broker.isServing) throw new Error(`${kind} does not start: ${lastWords(broker.log)}`)
    try {
      return work(`127.0.0.1:${broker.port}`)
    } finally {
      const ended = await broker.stop()
      const isClean = ended === 0 || ended === 143
      const complaint = complaintIn(broker.log)
      if (!isClean || complaint !== undefined)
        this.#report(this.#name(`served by ${names[kind]}`), false, complaint ?? `ended: ${ended}`)
    }
  }

  #state(bootstrap: string): string[] {
    return this.#client('state', bootstrap)
      .split('\n')
      .filter((line) => line !== '')
      .sort(inOrder)
  }

  #client(...args: string[]): string {
    const { status, stdout, stderr } = spawnSync(
      'java',
      ['-Xmx256M', '-XX:TieredStopAtLevel=1', '-cp', kafkaClassPath, source, ...args],
      { encoding: 'utf8', timeout: 180_000, maxBuffer: 1 << 28 },
    )
    if (status !== 0) throw new Error(`${args[0]}: ${stderr.slice(0, 600)}`)
    return stdout
  }

  /** Every file, by the tool that knows its kind; and the records by offset against what clients saw. */
  #dump(what: string, state: readonly string[]): void {
    for (const { name, files, flags } of dumps(this.#directory)) {
      if (files.length === 0) continue
      const { status, text } = tryKafkaTool('org.apache.kafka.tools.DumpLogSegments', [
        ...flags,
        '--files',
        files.join(','),
      ])
      const complaint = text
        .split('\n')
        .find((line) =>
          /error|mismatch|corrupt|invalid|exception|out of order|isvalid: false/i.test(
            line.replace(/payload:.*/, ''),
          ),
        )
      const counted = name === '.log' ? differenceOfRecords(text, state) : null
      const ok = status === 0 && complaint === undefined && counted === null
      const detail = ok
        ? `${files.length} files, ${text.split('\n').length} lines`
        : `exit ${status}: ${counted ?? complaint ?? text.slice(-200)}`
      this.#report(`dump ${name} ${what}`, ok, detail.slice(0, 300))
    }
  }
}

const subjectOf = (line: string) =>
  /^record \S+ \S+ read_uncommitted/.test(line)
    ? 'record read_uncommitted'
    : /^record /.test(line)
      ? 'record read_committed'
      : 'rest'

/** Records stay in the order in which they came; all else has none. */
const inOrder = (left: string, right: string): number =>
  left.startsWith('record') || right.startsWith('record') ? 0 : left < right ? -1 : 1

interface Dump {
  readonly name: string
  readonly files: readonly string[]
  readonly flags: readonly string[]
}

function dumps(directory: string): Dump[] {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((file) => join(directory, file))
    .filter((file) => statSync(file).isFile() && !/-(delete|stray|future)\//.test(file))
  const holding = (part: RegExp) => files.filter((file) => part.test(file))
  const users = (suffix: string) =>
    holding(new RegExp(`/exchange-[^/]+/\\d+\\${suffix}$`)).filter(
      (file) => statSync(file).size > 0,
    )
  const deep = ['--deep-iteration', '--print-data-log']
  return [
    { name: '.log', files: users('.log'), flags: deep },
    { name: '.index', files: users('.index'), flags: [] },
    {
      name: '.index --index-sanity-check',
      files: users('.index'),
      flags: ['--index-sanity-check'],
    },
    { name: '.index --verify-index-only', files: users('.index'), flags: ['--verify-index-only'] },
    { name: '.timeindex', files: users('.timeindex'), flags: [] },
    {
      name: '.timeindex --index-sanity-check',
      files: users('.timeindex'),
      flags: ['--index-sanity-check'],
    },
    { name: '.txnindex', files: users('.txnindex'), flags: [] },
    { name: '.snapshot', files: users('.snapshot'), flags: [] },
    {
      name: '__consumer_offsets --offsets-decoder',
      files: holding(/__consumer_offsets-\d+\/\d+\.log$/).filter((file) => statSync(file).size > 0),
      flags: [...deep, '--offsets-decoder'],
    },
    {
      name: '__transaction_state --transaction-log-decoder',
      files: holding(/__transaction_state-\d+\/\d+\.log$/).filter(
        (file) => statSync(file).size > 0,
      ),
      flags: [...deep, '--transaction-log-decoder'],
    },
    {
      name: '__cluster_metadata --cluster-metadata-decoder',
      files: holding(/__cluster_metadata-0\/\d+\.log$/),
      flags: [...deep, '--cluster-metadata-decoder'],
    },
    {
      name: '__cluster_metadata .checkpoint',
      files: holding(/__cluster_metadata-0\/\d+-\d+\.checkpoint$/),
      flags: ['--cluster-metadata-decoder'],
    },
    {
      name: '__cluster_metadata .index',
      files: holding(/__cluster_metadata-0\/\d+\.(index|timeindex)$/),
      flags: [],
    },
    {
      name: '__cluster_metadata .snapshot',
      files: holding(/__cluster_metadata-0\/\d+\.snapshot$/),
      flags: [],
    },
  ]
}

/** What a reader of uncommitted records saw must be in the files, every record of it. */
function differenceOfRecords(text: string, state: readonly string[]): string | null {
  const dumped = new Set<string>()
  let partition = ''
  for (const line of text.split('\n')) {
    const file = /^Dumping .*\/([^/]+)-(\d+)\/\d+\.log/.exec(line)
    if (file !== null) partition = `${file[1]} ${file[2]}`
    const record = /^\| offset: (\d+) .*?\bkey: (\S+)/.exec(line)
    if (record !== null) dumped.add(`${partition} ${record[1]} ${record[2]}`)
  }
  const missing = state.filter((line) => {
    const [kind, topic, index, isolation, offset, , key] = line.split(' ')
    const isSeen = kind === 'record' && isolation === 'read_uncommitted'
    return isSeen && !dumped.has(`${topic} ${index} ${offset} ${key}`)
  })
  return missing.length === 0
    ? null
    : `${missing.length} records are not in the dump: ${missing[0]}`
}

/**
 * Of requests, not of the directory. A coordinator of Kafka's that is slow to load a partition is told at a start that
 * its broker does not lead it any more, until the broker has registered anew; what it has loaded then is compared.
 */
const isOfOtherThings = (line: string) =>
  line.includes('request-handler') ||
  /Failed to load metadata .* not online or is no longer the leader/.test(line)

/** A line in which a broker says that something is wrong with the directory. */
const complaintIn = (log: string): string | undefined =>
  log
    .split('\n')
    .find(
      (line) =>
        /"level":"(warn|error|fatal)"|\bFATAL\b|orrupt| sanity |-stray/.test(line) ||
        (/\bERROR\b/.test(line) && !isOfOtherThings(line)),
    )
    ?.slice(0, 300)

const lastWords = (log: string): string =>
  log
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('\t'))
    .slice(-3)
    .join(' / ')
    .slice(-500)

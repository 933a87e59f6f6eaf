/**
 * `npm run damage`: what a broker makes of damaged files. A directory is written through a real broker and
 * ended by a clean stop or by `kill -9`; then, for each kind of damage, a copy is damaged and started, and
 * everything that was acknowledged is read back. One row says whether it starts, what is lost and where,
 * and which log line names it. With `--kafka` the same is done to Apache Kafka 4.3.1 with its own
 * directory, started once only; its rows are kept in a file (`--cache`), as each takes some ten seconds.
 *
 * A row is bad where the broker does not start although the file can be rebuilt, a record outside the
 * damaged place is lost or changed, no log line names what is damaged, or another partition suffers. It is
 * `cut` where the records behind the damage are gone with it, `offline` where the damaged partition alone
 * is not served and its files are kept.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrokerKind, BrokerProcess } from '../test/damage/broker-process.ts'
import { directoryKindsAll } from '../test/damage/directory-kinds.ts'
import type { DamageKind } from '../test/damage/kind.ts'
import type { Ledger } from '../test/damage/ledger.ts'
import { logKinds } from '../test/damage/log-kinds.ts'
import { partitionKinds } from '../test/damage/partition-kinds.ts'
import {
  type Ending,
  type Judgement,
  judge,
  type Observation,
  runTrial,
} from '../test/damage/trial.ts'
import {
  commitAndTrim,
  createWrittenTopics,
  writeRecords,
} from '../test/damage/written-directory.ts'
import { fetchKafka, fetchKafkaLogger, kafkaVersion } from './apache-kafka.ts'
import { choose, readOptions } from './options.ts'

const usage = `Usage: npm run damage -- [--only TEXT,...] [--ending clean|killed] [--kafka] [--list]

  --only TEXT,...   kinds of damage whose files or names hold one of the texts
  --ending ENDING   only after a clean stop (clean) or after kill -9 (killed)
  --kafka           Apache Kafka ${kafkaVersion} as well; short for --brokers millrace,kafka
  --brokers A,B     which brokers, millrace unless given
  --cache FILE      where Kafka's rows are kept from run to run
  --list            print the kinds
  --details         print what was seen in each trial
  --keep            leave the damaged directories
  --json FILE       the table, for programs
`
const flags = readOptions(usage, {
  only: { type: 'string' },
  ending: { type: 'string' },
  kafka: { type: 'boolean', default: false },
  brokers: { type: 'string' },
  cache: {
    type: 'string',
    default: join(tmpdir(), `millrace-damage-kafka-${kafkaVersion}.json`),
  },
  json: { type: 'string' },
  list: { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
  details: { type: 'boolean', default: false },
})

const endings = (['clean', 'killed'] as const).filter(
  (ending) => (flags.ending ?? ending) === ending,
)
const kinds = choose(
  [...logKinds, ...partitionKinds, ...directoryKindsAll],
  flags.only,
  ({ name, file }) => `${file} ${name}`,
)
const brokers = (flags.brokers ?? (flags.kafka ? 'millrace,kafka' : 'millrace')).split(',')
const work = mkdtempSync(join(tmpdir(), 'millrace-damage-'))

interface Written {
  readonly ledger: Ledger
  readonly directories: Readonly<Record<Ending, string>>
}

/** Writes a directory with this broker and leaves it as after `kill -9` and as after a clean stop. */
async function write(kind: BrokerKind): Promise<Written> {
  const directory = join(work, kind)
  const first = await started(kind, directory)
  const ledger = await createWrittenTopics(first.port)
  await writeRecords(first.port, ledger, 0.5)
  await first.stop()
  const second = await started(kind, directory)
  await writeRecords(second.port, ledger, 0.5)
  await commitAndTrim(second.port, ledger)
  await second.stop('SIGKILL')
  const killed = `${directory}-killed`
  copy(directory, killed)
  const third = await started(kind, directory)
  await third.stop()
  const clean = `${directory}-clean`
  copy(directory, clean)
  return { ledger, directories: { clean, killed } }
}

function copy(from: string, to: string): void {
  spawnSync('cp', ['-a', '--sparse=always', from, to])
}

async function started(kind: BrokerKind, directory: string): Promise<BrokerProcess> {
  const broker = await BrokerProcess.start(kind, directory)
  if (!broker.isServing)
    throw new Error(`${kind} did not start (${broker.ended}):\n${broker.log.slice(-2000)}`)
  return broker
}

type Rows = Record<string, Observation>
const keyOf = (kind: DamageKind, ending: Ending) => `${ending}/${kind.file}/${kind.name}`
const pairs = kinds.flatMap((kind) =>
  endings
    .filter((ending) => (kind.only ?? ending) === ending)
    .map((ending) => ({ kind, ending, key: keyOf(kind, ending) })),
)

/** Runs every kind that is not in `rows` yet. */
async function run(broker: BrokerKind, rows: Rows, onRow: () => void): Promise<void> {
  const missing = pairs.filter(({ key }) => rows[key] === undefined)
  if (missing.length === 0) return
  const { ledger, directories } = await write(broker)
  for (const [index, { kind, ending, key }] of missing.entries()) {
    const row = await runTrial({
      ...{ broker, ending, kind, ledger, isKept: flags.keep },
      base: directories[ending],
      copy: join(work, `${broker}-${index}`),
    })
    if (row === null) continue
    rows[key] = row
    onRow()
    const { verdict, why } = judge(kind, row)
    process.stderr.write(
      `${index + 1}/${missing.length} ${broker} ${verdict.padEnd(7)} ${ending} ${kind.file}: ${kind.name}` +
        `${why.length > 0 ? ` | ${why.join('; ')}` : ''}\n`,
    )
    if (flags.details) process.stderr.write(`    ${JSON.stringify(row)}\n`)
  }
}

function lostOf({ refusal, lost }: Observation): string {
  if (refusal !== null) return 'all'
  const parts = [
    lost.destroyed > 0 ? `${lost.destroyed}` : '',
    lost.after > 0 ? `+${lost.after} behind` : '',
    lost.before > 0 ? `+${lost.before} before` : '',
    lost.elsewhere > 0 ? `+${lost.elsewhere} elsewhere` : '',
  ].filter((part) => part !== '')
  return parts.length === 0 ? '0' : parts.join(' ')
}

function cells(kind: DamageKind, row: Observation | undefined): string {
  if (row === undefined) return ' | | '
  const { verdict, why } = judge(kind, row)
  const reasons = why.join('; ').replaceAll('|', '/').slice(0, 110)
  const starts = row.refusal === null ? `${row.startMs} ms` : 'no'
  return `${starts} | ${lostOf(row)} | ${verdict}${reasons === '' ? '' : `: ${reasons}`}`
}

function table(ours: Rows, theirs: Rows): string {
  const hasKafka = Object.keys(theirs).length > 0
  const lines = [
    `| kind | file | after | starts | lost | verdict |${hasKafka ? ' Kafka: starts | lost | verdict |' : ''}`,
    `| --- | --- | --- | --- | --- | --- |${hasKafka ? ' --- | --- | --- |' : ''}`,
  ]
  for (const { kind, ending, key } of pairs) {
    if (ours[key] === undefined && theirs[key] === undefined) continue
    const kafka = hasKafka ? ` ${cells(kind, theirs[key])} |` : ''
    lines.push(
      `| ${kind.name} | ${kind.file} | ${ending === 'clean' ? 'stop' : 'kill -9'} | ${cells(kind, ours[key])} |${kafka}`,
    )
  }
  return lines.join('\n')
}

function summary(name: string, rows: Rows): string {
  const verdicts = pairs.flatMap(({ kind, key }) => {
    const row = rows[key]
    return row === undefined ? [] : [judge(kind, row).verdict]
  })
  const count = (verdict: Judgement['verdict']) => verdicts.filter((one) => one === verdict).length
  return (
    `${name}: ${verdicts.length} trials of ${kinds.length} kinds: ${count('good')} good, ` +
    `${count('cut')} cut behind the damage, ${count('offline')} with that partition offline, ` +
    `${count('refuses')} refuse to start with the reason, ${count('bad')} bad`
  )
}

async function main(): Promise<void> {
  if (flags.list) {
    for (const { kind, ending } of pairs) console.log(`${ending} ${kind.file}: ${kind.name}`)
    return
  }
  const ours: Rows = {}
  let theirs: Rows = {}
  try {
    if (existsSync(flags.cache)) theirs = JSON.parse(readFileSync(flags.cache, 'utf8')) as Rows
    const keep = () => {
      if (flags.json !== undefined)
        writeFileSync(flags.json, JSON.stringify({ millrace: ours, kafka: theirs }, null, 1))
    }
    if (brokers.includes('millrace')) await run('millrace', ours, keep)
    if (brokers.includes('kafka')) {
      const failure = fetchKafka() ?? fetchKafkaLogger()
      if (failure !== null) console.error(`Apache Kafka is left out: ${failure}`)
      else
        await run('kafka', theirs, () => {
          writeFileSync(flags.cache, JSON.stringify(theirs))
          keep()
        })
    }
  } finally {
    if (!flags.keep) rmSync(work, { recursive: true, force: true })
  }
  console.log(`${table(ours, theirs)}\n\n${summary('Millrace', ours)}`)
  if (Object.keys(theirs).length > 0) console.log(summary(`Apache Kafka ${kafkaVersion}`, theirs))
  const isBad = ({ kind, key }: (typeof pairs)[number]) =>
    ours[key] !== undefined && judge(kind, ours[key]).verdict === 'bad'
  process.exitCode = pairs.some(isBad) ? 1 : 0
}

await main()

/**
 * `npm run interop`: real clients of other makers against this broker.
 *
 * Each client that can be had here produces a public data set of over 200 000 rows, and every client
 * consumes, in a group, what every other one wrote: every row in, every row out, once. Then each does
 * what an administrator does, and Kafka's own command line tools are run. Last, data directories are
 * exchanged with Apache Kafka in both directions, Delta tables with delta-rs, and records of the official
 * serializers through the schema registry. What is not installed is skipped by name.
 *
 * Only where they are named, since they take minutes: `compared` runs Kafka's tools against both brokers
 * and compares what they print, `access` does so where brokers have an authorizer; `differential` sends
 * the same requests to both and tells what differs; `transactions` copies records exactly once while
 * broker and application are killed, and `streams` does so with an application of Kafka Streams; `s3` does
 * with tables in an object store what `tables` does with those in directories; `spark`
 * exchanges Delta tables with Spark; `golden` reads the golden tables of Delta's own readers; `mirror` mirrors topics to
 * Apache Kafka and from it; `connect` has Apache Kafka's workers of Connect and ours in one group, and `records` gives the
 * same records to its converters and transformations and to ours; `kgo` runs the tests that franz-go has of itself.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { shareConnectGroup } from '../test/interop/connect/shared-group.ts'
import { compareBrokers } from '../test/interop/differential/differential.ts'
import { exchangeCompacted } from '../test/interop/directories/compacted.ts'
import { exchangeDirectories } from '../test/interop/directories/exchange.ts'
import { moveBetweenDirectories } from '../test/interop/directories/moved.ts'
import { runKgoSuite } from '../test/interop/franz-go/suite.ts'
import { mirrorBothWays } from '../test/interop/mirror/mirrors.ts'
import { compareRecords } from '../test/interop/records/records.ts'
import { runSerializers } from '../test/interop/registry/serializers.ts'
import { exchangeInObjectStore } from '../test/interop/s3/exchange.ts'
import { streamUnderFire } from '../test/interop/streams/kills.ts'
import { exchangeTables } from '../test/interop/tables/exchange.ts'
import { readGoldenTables } from '../test/interop/tables/golden.ts'
import { exchangeWithSpark } from '../test/interop/tables/spark.ts'
import { compareAccess, compareTools } from '../test/interop/tools/comparison.ts'
import { copyExactlyOnce } from '../test/interop/transactions/exactly-once.ts'
import { choose, readOptions } from './options.ts'

const usage = `Usage: npm run interop -- [--only NAME,...] [--bootstrap HOST:PORT] [--rows N] [--cache DIR]

  --only NAME,...        of the clients java, python, go, kafkajs, and of tools, directories, tables and
                         registry, which all run unless given; and of compared, access, differential, transactions,
                         streams, spark, golden, s3, mirror, connect, records and kgo, which run only where named
  --bootstrap HOST:PORT  a broker that runs already
  --rows N               of the data set, all unless given
  --apis NAME,...        of differential, all unless given
  --cases N              of differential for each API and version, 20 unless given
  --seed S               of differential, 1 unless given
  --at NAME,...          of connect: at the brokers millrace and kafka, and vectors, all unless given
  --delta-python PYTHON  one with the packages deltalake and pyarrow, for tables, golden
                         and registry; python3 unless given
  --golden DIR           the archives in kernel/tests/golden_data of a checkout of delta-kernel-rs
  --cache DIR            where clients and data are kept from run to run
`
const flags = readOptions(usage, {
  only: { type: 'string' },
  bootstrap: { type: 'string' },
  rows: { type: 'string' },
  apis: { type: 'string' },
  cases: { type: 'string', default: '20' },
  seed: { type: 'string', default: '1' },
  at: { type: 'string', default: 'millrace,kafka,vectors' },
  'delta-python': { type: 'string', default: 'python3' },
  golden: { type: 'string', default: 'delta-kernel-rs/kernel/tests/golden_data' },
  cache: { type: 'string', default: join(tmpdir(), 'millrace-interop') },
})

const root = fileURLToPath(new URL('../..', import.meta.url))
const clientsFolder = join(root, 'test/interop/clients')
const cache = flags.cache
/** Of the official client; and of Kafka's command line tools. */
const javaVersions = { client: '4.4.0', tools: '4.3.1' }

interface Client {
  readonly name: string
  /** Makes the client ready; a string says why it is not to be had here. */
  readonly prepare: () => string | null
  readonly command: (args: readonly string[]) => readonly [string, ...string[]]
  readonly variables?: Readonly<Record<string, string>>
  /** It has a consumer for share groups (KIP-932). */
  readonly hasShareGroups?: boolean
}

function has(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

/** Runs a preparation; a string says what failed. */
function succeeds(command: string, args: readonly string[], cwd: string): string | null {
  const { status, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  return status === 0
    ? null
    : `${command} ${args[0]} failed: ${(error?.message ?? stderr).slice(-200)}`
}

const jars = (version: string) => join(cache, `java-${version}`)

/** Copies jars out of Maven: the official client's alone (`java`), or Kafka with its tools (`kafka`). */
function fetchJars(project: 'java' | 'kafka', version: string): string | null {
  if (!has('java', '-version') || !has('mvn', '--version')) return 'no Java with Maven'
  if (existsSync(join(jars(version), `kafka-clients-${version}.jar`))) return null
  return succeeds(
    'mvn',
    [
      ...['-q', '-B', 'dependency:copy-dependencies', `-Dkafka.version=${version}`],
      `-DoutputDirectory=${jars(version)}`,
    ],
    join(clientsFolder, project),
  )
}

const clients: readonly Client[] = [
  {
    name: 'java',
    hasShareGroups: true,
    prepare: () => fetchJars('java', javaVersions.client),
    command: (args) => [
      'java',
      '-Xmx512M',
      '-cp',
      join(jars(javaVersions.client), '*'),
      join(clientsFolder, 'java/Roundtrip.java'),
      ...args,
    ],
  },
  {
    name: 'python',
    prepare: () => {
      const home = join(cache, 'python')
      if (!has('python3', '--version')) return 'no Python'
      if (
        existsSync(join(home, 'bin/python')) &&
        has(join(home, 'bin/python'), '-c', 'import confluent_kafka')
      )
        return null
      return (
        succeeds('python3', ['-m', 'venv', home], cache) ??
        succeeds(join(home, 'bin/pip'), ['install', '-q', 'confluent-kafka'], cache)
      )
    },
    command: (args) => [
      join(cache, 'python/bin/python'),
      join(clientsFolder, 'python/roundtrip.py'),
      ...args,
    ],
  },
  {
    name: 'go',
    prepare: () => {
      if (!has('go', 'version')) return 'no Go'
      return succeeds(
        'go',
        ['build', '-mod=mod', '-modfile', goModule(), '-o', join(cache, 'roundtrip-go'), '.'],
        join(clientsFolder, 'go'),
      )
    },
    command: (args) => [join(cache, 'roundtrip-go'), ...args],
  },
  {
    name: 'kafkajs',
    prepare: () => {
      const home = join(cache, 'kafkajs')
      mkdirSync(home, { recursive: true })
      if (existsSync(join(home, 'node_modules/kafkajs-snappy'))) return null
      return succeeds(
        'npm',
        ['install', '--silent', '--prefix', home, 'kafkajs@2.2.4', 'kafkajs-snappy@1.1.0'],
        home,
      )
    },
    command: (args) => [process.execPath, join(clientsFolder, 'kafkajs/roundtrip.mjs'), ...args],
    variables: { KAFKAJS_HOME: join(cache, 'kafkajs') },
  },
]

const usual = [...clients.map(({ name }) => name), 'tools', 'directories', 'tables', 'registry']
const parts =
  flags.only === undefined
    ? usual
    : [
        ...usual,
        'compared',
        'access',
        'differential',
        'transactions',
        'streams',
        'spark',
        'golden',
        's3',
        'mirror',
        'connect',
        'records',
        'kgo',
      ]
const chosen = new Set(choose(parts, flags.only, (part) => part))
const work = mkdtempSync(join(tmpdir(), 'millrace-interop-run-'))

/** go.sum is written beside a copy of go.mod, so that a run changes nothing in the checkout. */
function goModule(): string {
  const copy = join(cache, 'go.mod')
  if (!existsSync(copy)) writeFileSync(copy, readFileSync(join(clientsFolder, 'go/go.mod')))
  return copy
}

/** The rows of the flights data of `vega-datasets`, one JSON text each. */
function dataset(): string {
  const rows = join(cache, 'flights.jsonl')
  if (existsSync(rows)) return rows
  const home = join(cache, 'datasets')
  mkdirSync(home, { recursive: true })
  const failure = succeeds(
    'npm',
    ['install', '--silent', '--ignore-scripts', '--prefix', home, 'vega-datasets@2.11.0'],
    home,
  )
  if (failure !== null) throw new Error(failure)
  const flights = JSON.parse(
    readFileSync(join(home, 'node_modules/vega-datasets/data/flights-200k.json'), 'utf8'),
  ) as object[]
  // The row's number makes each one different, so that a lost and a doubled row cannot cancel out.
  writeFileSync(
    rows,
    flights.map((flight, row) => `${JSON.stringify({ row, ...flight })}\n`).join(''),
  )
  return rows
}

interface Outcome {
  readonly ok: boolean
  readonly seconds: number
  readonly error: string
}

function runClient(
  client: Client,
  args: readonly string[],
  input?: string,
  output?: string,
): Outcome {
  const [command, ...rest] = client.command(args)
  const stdin = input === undefined ? 'ignore' : openSync(input, 'r')
  const stdout = output === undefined ? 'pipe' : openSync(output, 'w')
  const started = process.hrtime.bigint()
  const result = spawnSync(command, rest, {
    stdio: [stdin, stdout, 'pipe'],
    encoding: 'utf8',
    timeout: 180_000,
    env: { ...process.env, ...client.variables },
  })
  for (const descriptor of [stdin, stdout])
    if (typeof descriptor === 'number') closeSync(descriptor)
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  const error =
    result.status === 0
      ? ''
      : `${result.error?.message ?? ''}${result.stderr ?? ''}`.trim().slice(-300)
  return {
    ok: result.status === 0,
    seconds,
    error: error || (result.status === 0 ? '' : `exit ${result.status}`),
  }
}

/** A fingerprint of lines whatever their order, and their count. */
function fingerprint(file: string): { lines: number; hash: string } {
  const lines = readFileSync(file, 'utf8').split('\n')
  if (lines.at(-1) === '') lines.pop()
  return {
    lines: lines.length,
    hash: createHash('sha256').update(lines.sort().join('\n')).digest('hex'),
  }
}

/** The broker's log goes to a file: this process blocks while a client runs, and must not block the broker. */
async function startBroker(): Promise<{ bootstrap: string; child: ChildProcess }> {
  const logFile = join(work, 'broker.log')
  const settings = [
    'listeners=PLAINTEXT://127.0.0.1:0',
    `log.dirs=${join(work, 'data')}`,
    'http.listeners=',
    'num.partitions=6',
  ]
  const output = openSync(logFile, 'w')
  const child = spawn(
    process.execPath,
    [join(root, 'build/src/main.js'), ...settings.flatMap((setting) => ['--override', setting])],
    { stdio: ['ignore', output, output] },
  )
  for (let tries = 0; tries < 1200 && child.exitCode === null; tries++) {
    const ready = /is ready on (\S+) after/.exec(readFileSync(logFile, 'utf8'))
    if (ready?.[1] !== undefined) return { bootstrap: ready[1], child }
    await setTimeout(50)
  }
  child.kill('SIGKILL')
  throw new Error(`the broker did not start:\n${readFileSync(logFile, 'utf8')}`)
}

async function stopBroker(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}

const results: { check: string; ok: boolean | null; detail: string }[] = []

function report(check: string, ok: boolean | null, detail: string): void {
  results.push({ check, ok, detail })
  console.log(`${ok === null ? 'skip' : ok ? 'ok  ' : 'FAIL'}  ${check.padEnd(44)} ${detail}`)
}

/** Kafka's own tools, as an administrator would run them: [name, main class, arguments, what the output holds]. */
function kafkaTools(bootstrap: string, topic: string): [string, string, string[], RegExp][] {
  const at = ['--bootstrap-server', bootstrap]
  const tools = 'org.apache.kafka.tools.'
  return [
    [
      'kafka-topics --create',
      `${tools}TopicCommand`,
      [...at, '--create', '--topic', `${topic}-tools`, '--partitions', '3'],
      /Created topic/,
    ],
    [
      'kafka-topics --describe',
      `${tools}TopicCommand`,
      [...at, '--describe', '--topic', `${topic}-tools`],
      /PartitionCount: 3/,
    ],
    [
      'kafka-topics --alter',
      `${tools}TopicCommand`,
      [...at, '--alter', '--topic', `${topic}-tools`, '--partitions', '4'],
      /^$/,
    ],
    [
      'kafka-topics --list',
      `${tools}TopicCommand`,
      [...at, '--list'],
      new RegExp(`${topic}-tools`),
    ],
    [
      'kafka-configs --alter',
      'kafka.admin.ConfigCommand',
      [
        ...at,
        '--alter',
        '--entity-type',
        'topics',
        '--entity-name',
        `${topic}-tools`,
        '--add-config',
        'retention.ms=1000',
      ],
      /Completed updating/,
    ],
    [
      'kafka-configs --describe',
      'kafka.admin.ConfigCommand',
      [...at, '--describe', '--entity-type', 'topics', '--entity-name', `${topic}-tools`],
      /retention\.ms=1000/,
    ],
    [
      'kafka-configs --describe broker',
      'kafka.admin.ConfigCommand',
      [...at, '--describe', '--all', '--entity-type', 'brokers', '--entity-name', '1'],
      /log\.dirs=/,
    ],
    [
      'kafka-producer-perf-test',
      `${tools}ProducerPerformance`,
      [
        '--topic',
        `${topic}-tools`,
        '--num-records',
        '10000',
        '--record-size',
        '100',
        '--throughput',
        '-1',
        '--producer-props',
        `bootstrap.servers=${bootstrap}`,
      ],
      /10000 records sent/,
    ],
    [
      'kafka-consumer-perf-test',
      `${tools}ConsumerPerformance`,
      [...at, '--topic', `${topic}-tools`, '--num-records', '10000'],
      /, 10000, /,
    ],
    [
      'kafka-get-offsets',
      `${tools}GetOffsetShell`,
      [...at, '--topic', `${topic}-tools`],
      new RegExp(`${topic}-tools:3:`),
    ],
    [
      'kafka-console-consumer',
      `${tools}consumer.ConsoleConsumer`,
      [
        ...at,
        '--topic',
        `${topic}-tools`,
        '--from-beginning',
        '--max-messages',
        '5',
        '--group',
        `${topic}-console`,
      ],
      /Processed a total of 5/,
    ],
    [
      'kafka-consumer-groups --list',
      `${tools}consumer.group.ConsumerGroupCommand`,
      [...at, '--list'],
      new RegExp(`${topic}-console`),
    ],
    [
      'kafka-consumer-groups --describe',
      `${tools}consumer.group.ConsumerGroupCommand`,
      [...at, '--describe', '--group', `${topic}-console`],
      /CURRENT-OFFSET/,
    ],
    [
      'kafka-consumer-groups --reset-offsets',
      `${tools}consumer.group.ConsumerGroupCommand`,
      [
        ...at,
        '--reset-offsets',
        '--to-earliest',
        '--execute',
        '--group',
        `${topic}-console`,
        '--all-topics',
      ],
      /NEW-OFFSET/,
    ],
    [
      'kafka-groups --list',
      `${tools}GroupsCommand`,
      [...at, '--list'],
      new RegExp(`${topic}-console`),
    ],
    [
      'kafka-consumer-groups --delete',
      `${tools}consumer.group.ConsumerGroupCommand`,
      [...at, '--delete', '--group', `${topic}-console`],
      /successful/,
    ],
    ['kafka-log-dirs --describe', `${tools}LogDirsCommand`, [...at, '--describe'], /"logDirs"/],
    ['kafka-cluster cluster-id', `${tools}ClusterTool`, ['cluster-id', ...at], /Cluster ID: /],
    [
      'kafka-metadata-quorum describe',
      `${tools}MetadataQuorumCommand`,
      [...at, 'describe', '--status'],
      /LeaderId:/,
    ],
    ['kafka-features describe', `${tools}FeatureCommand`, [...at, 'describe'], /metadata\.version/],
    ['kafka-broker-api-versions', `${tools}BrokerApiVersionsCommand`, at, /Produce\(0\): 0 to 13/],
    [
      'kafka-topics --delete',
      `${tools}TopicCommand`,
      [...at, '--delete', '--topic', `${topic}-tools`],
      /^$/,
    ],
  ]
}

function runTools(bootstrap: string, topic: string): void {
  const failure = fetchJars('kafka', javaVersions.tools)
  if (failure !== null) {
    report('Kafka tools', null, failure)
    return
  }
  for (const [name, main, args, expected] of kafkaTools(bootstrap, topic)) {
    const { status, stdout, stderr } = spawnSync(
      'java',
      ['-Xmx256M', '-cp', join(jars(javaVersions.tools), '*'), main, ...args],
      { encoding: 'utf8', timeout: 60_000 },
    )
    const ok =
      status === 0 && expected.test(expected.source === '^$' ? stdout.trim() : stdout + stderr)
    report(
      name,
      ok,
      ok
        ? `Kafka ${javaVersions.tools}`
        : `exit ${status}: ${(stdout + stderr).trim().slice(-300)}`,
    )
  }
}

/** With clients of both transaction protocols: since version 4 they add partitions by producing. */
async function copyUnderFire(): Promise<void> {
  for (const version of ['4.3.1', '3.9.1']) {
    const reason = fetchJars('java', version)
    if (reason !== null) {
      report(`java ${version}: exactly once`, null, reason)
      continue
    }
    const directory = join(work, `transactions-${version}`)
    mkdirSync(directory)
    const copied = await copyExactlyOnce({
      program: join(root, 'build/bundle/millrace.js'),
      jars: jars(version),
      sources: join(clientsFolder, 'java'),
      directory,
      count: Number(flags.rows ?? 60_000),
      kills: 9,
    })
    const { isExact, found, brokerStarts, copierStarts } = copied
    const said = `${found}; broker started ${brokerStarts} times, copiers ${copierStarts} times`
    report(`java ${version}: exactly once`, isExact, said)
  }
}

async function runStreams(): Promise<void> {
  for (const protocol of ['classic', 'streams'] as const) {
    const options = {
      program: join(root, 'build/bundle/millrace.js'),
      sources: join(clientsFolder, 'java'),
      directory: join(work, `streams-${protocol}`),
      texts: Number(flags.rows ?? 4_000),
      kills: 10,
    }
    await streamUnderFire(protocol, options, report)
  }
}

/** The rows that go round: all, or the first few. */
function chosenRows(): string {
  const all = dataset()
  if (flags.rows === undefined) return all
  const few = readFileSync(all, 'utf8').split('\n').slice(0, Number(flags.rows))
  const rows = join(work, 'rows.jsonl')
  writeFileSync(rows, `${few.join('\n')}\n`)
  return rows
}

/** What each client does on its own: it administers, and writes the rows. */
function runAlone(client: Client, { bootstrap, run, rows }: Round): void {
  const { name } = client
  const [command, ...rest] = client.command(['version'])
  const version = spawnSync(command, rest, {
    encoding: 'utf8',
    env: { ...process.env, ...client.variables },
  })
  const admin = runClient(client, ['admin', bootstrap, `${run}-admin-${name}`])
  report(`${name}: administer`, admin.ok, admin.ok ? version.stdout.trim() : admin.error)
  if (client.hasShareGroups === true) {
    const shared = runClient(client, ['share', bootstrap, `${run}-share-${name}`])
    const said = `all given, a third twice, ${shared.seconds.toFixed(1)} s`
    report(`${name}: share group`, shared.ok, shared.ok ? said : shared.error)
    const migrated = runClient(client, ['migrate', bootstrap, `${run}-moves-${name}`])
    const both = `classic, consumer and back, ${migrated.seconds.toFixed(1)} s`
    report(`${name}: group moves`, migrated.ok, migrated.ok ? both : migrated.error)
  }
  const produced = runClient(client, ['produce', bootstrap, `${run}-${name}`], rows.file)
  const said = `${rows.lines} rows in ${produced.seconds.toFixed(1)} s`
  report(`${name}: produce`, produced.ok, produced.ok ? said : produced.error)
}

/** One client reads, in a group, what another wrote. */
function runReader(reader: Client, writer: Client, { bootstrap, run, rows }: Round): void {
  const out = join(work, 'consumed')
  const topic = `${run}-${writer.name}`
  const group = `${topic}-by-${reader.name}`
  const args = ['consume', bootstrap, topic, group, String(rows.lines)]
  const consumed = runClient(reader, args, undefined, out)
  const got = fingerprint(out)
  const isSame = consumed.ok && got.hash === rows.hash && got.lines === rows.lines
  const said = isSame
    ? `every row once, ${consumed.seconds.toFixed(1)} s`
    : `${got.lines} of ${rows.lines} rows. ${consumed.error}`
  report(`${reader.name}: consume what ${writer.name} wrote`, isSame, said)
}

interface Round {
  readonly bootstrap: string
  /** What the names of its topics and groups begin with. */
  readonly run: string
  readonly rows: { readonly file: string; readonly lines: number; readonly hash: string }
}

/** Clients of all makers, and Kafka's tools, at one broker. */
async function runClients(): Promise<void> {
  const ready = clients.filter((client) => {
    if (!chosen.has(client.name)) return false
    const reason = client.prepare()
    if (reason !== null) report(client.name, null, reason)
    return reason === null
  })
  const file = chosenRows()
  const rows = { file, ...fingerprint(file) }
  const broker =
    flags.bootstrap === undefined
      ? await startBroker()
      : { bootstrap: flags.bootstrap, child: null }
  const { bootstrap } = broker
  const run = `interop-${process.pid}`
  try {
    for (const client of ready) runAlone(client, { bootstrap, run, rows })
    for (const writer of ready) {
      for (const reader of ready) runReader(reader, writer, { bootstrap, run, rows })
    }
    if (chosen.has('tools')) runTools(bootstrap, run)
  } finally {
    if (broker.child !== null) await stopBroker(broker.child)
  }
}

async function runOthers(): Promise<void> {
  if (chosen.has('directories')) {
    await exchangeDirectories(work, report)
    await exchangeCompacted(work, report)
    await moveBetweenDirectories(work, report)
  }
  if (chosen.has('tables')) {
    const python = flags['delta-python']
    await exchangeTables({ python, directory: join(work, 'tables') }, report)
  }
  if (chosen.has('golden')) {
    const options = { python: flags['delta-python'], archives: flags.golden }
    await readGoldenTables({ ...options, directory: join(work, 'golden') }, report)
  }
  if (chosen.has('s3')) {
    const python = flags['delta-python']
    await exchangeInObjectStore({ cache, python }, report)
  }
  if (chosen.has('spark'))
    await exchangeWithSpark({ cache, directory: join(work, 'spark') }, report)
  if (chosen.has('registry'))
    await runSerializers(
      { cache, directory: join(work, 'registry'), deltaPython: flags['delta-python'] },
      report,
    )
  if (chosen.has('transactions')) await copyUnderFire()
  if (chosen.has('streams')) await runStreams()
  if (chosen.has('mirror'))
    await mirrorBothWays(
      {
        broker: join(root, 'build/bundle/millrace.js'),
        millrace: join(root, 'build/bundle/cli.js'),
        sources: join(clientsFolder, 'mirror'),
        directory: join(work, 'mirror'),
        count: Number(flags.rows ?? 20_000),
      },
      report,
    )
  if (chosen.has('connect')) {
    const lines = Number(flags.rows ?? 2_000)
    const at = flags.at.split(',')
    await shareConnectGroup({ directory: join(work, 'connect'), lines, parts: at }, report)
  }
  if (chosen.has('records')) await compareRecords({ directory: join(work, 'records') }, report)
  if (chosen.has('kgo')) {
    const program = join(root, 'build/bundle/millrace.js')
    const records = Number(flags.rows ?? 50_000)
    await runKgoSuite({ program, directory: join(work, 'kgo'), records }, report)
  }
  if (chosen.has('compared')) await compareTools(work, report)
  if (chosen.has('access')) await compareAccess(work, report)
  if (chosen.has('differential')) {
    const options = {
      seed: Number(flags.seed),
      cases: Number(flags.cases),
      only: flags.apis?.split(',') ?? [],
    }
    await compareBrokers(work, options, report)
  }
}

async function main(): Promise<void> {
  mkdirSync(cache, { recursive: true })
  try {
    if ([...clients.map(({ name }) => name), 'tools'].some((part) => chosen.has(part))) {
      await runClients()
    }
    await runOthers()
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  const failed = results.filter(({ ok }) => ok === false).length
  const skipped = results.filter(({ ok }) => ok === null).length
  console.log(`${results.length - failed - skipped} passed, ${failed} failed, ${skipped} skipped`)
  process.exitCode = failed === 0 ? 0 : 1
}

await main()

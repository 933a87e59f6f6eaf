/**
 * Apache Kafka itself, for the scripts that compare: its jars from Maven, a single KRaft node formatted
 * and started as `kafka-server-start.sh` would, and its command line tools.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const kafkaVersion = '4.3.1'

/** Where what is fetched is kept from run to run. */
export const cache = join(tmpdir(), 'millrace-interop')
const jars = join(cache, `java-${kafkaVersion}`)
/** What makes Kafka log to stderr: its own packages bring no logger. */
const loggerJars = join(cache, 'java-logger')
/** The class path of the official client and everything else of Kafka. */
export const kafkaClassPath = join(jars, '*')
/** The client library for stream processing alone. */
export const kafkaStreamsJars = join(cache, `streams-${kafkaVersion}`)

/** The settings that kafka-server-start.sh gives the JVM. */
const jvm = [
  '-Xmx1G',
  '-Xms1G',
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-Djava.awt.headless=true',
]

/** Settings of a JVM that starts soon and works little. */
const smallJvm = ['-Xmx512M', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

/** Copies the jars out of Maven unless they are there. Returns why it could not, or null. */
export function fetchKafka(): string | null {
  return fetchProject('kafka', join(jars, `kafka_2.13-${kafkaVersion}.jar`))
}

/** As `fetchKafka`, for Kafka Streams. */
export function fetchKafkaStreams(): string | null {
  return fetchProject('streams', join(kafkaStreamsJars, `kafka-streams-${kafkaVersion}.jar`))
}

/** As `fetchKafka`, for a logger that Kafka then writes to stderr with. */
export function fetchKafkaLogger(): string | null {
  return fetchJars(
    'kafka',
    loggerJars,
    'dependency:copy',
    '-Dartifact=org.slf4j:slf4j-simple:1.7.36',
    `-DoutputDirectory=${loggerJars}`,
  )
}

/** As `fetchKafka`, for all that a project of `test/interop/clients` depends on, which is copied beside `jar`. */
export const fetchProject = (project: string, jar: string): string | null =>
  fetchJars(project, jar, 'dependency:copy-dependencies', `-DoutputDirectory=${dirname(jar)}`)

function fetchJars(project: string, path: string, ...goal: string[]): string | null {
  const isThere = (command: string, flag: string) => spawnSync(command, [flag]).status === 0
  if (!isThere('java', '-version')) return 'no Java'
  if (existsSync(path)) return null
  if (!isThere('mvn', '--version')) return 'no Maven'
  const args = ['-q', '-B', `-Dkafka.version=${kafkaVersion}`, ...goal]
  const { status } = spawnSync('mvn', args, {
    cwd: fileURLToPath(new URL(`../../test/interop/clients/${project}`, import.meta.url)),
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return status === 0 ? null : 'Maven could not fetch the jars'
}

/** Runs a class of Kafka's and returns what it printed; throws with the end of stderr when it fails. */
export function kafkaTool(main: string, args: readonly string[]): string {
  const command = ['-Xmx512M', '-cp', join(jars, '*'), main, ...args]
  const options = { encoding: 'utf8', timeout: 120_000, maxBuffer: 2 ** 30 } as const
  const { stdout, stderr, status } = spawnSync('java', command, options)
  if (status !== 0) throw new Error(`${main}: ${stderr.slice(-400)}`)
  return stdout
}

/** As `kafkaTool`, where the exit code and everything printed are the question. */
export function tryKafkaTool(main: string, args: readonly string[]) {
  const command = [...smallJvm, '-cp', join(jars, '*'), main, ...args]
  const options = { encoding: 'utf8', timeout: 120_000, maxBuffer: 2 ** 30 } as const
  const { stdout, stderr, status } = spawnSync('java', command, options)
  return { status, text: `${stdout}${stderr}` }
}

export interface KafkaNode {
  readonly port: number
  readonly directory: string
  /** Where its server.properties is written. */
  readonly propertiesFile: string
  /** Beside those that make it a node of its own. */
  readonly properties?: Readonly<Record<string, string>>
}

/** Writes the node's settings; the controller listens on the port after the broker's. */
function writeProperties({ port, directory, propertiesFile, properties }: KafkaNode): void {
  const all = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${port + 1}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${port + 1}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'log.dirs': directory,
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    ...properties,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(propertiesFile, lines.join(''))
}

/** Formats an empty data directory. */
export function formatKafka(node: KafkaNode, clusterId = '5L6g3nShT-eMCtK--X86sw'): void {
  writeProperties(node)
  kafkaTool('kafka.tools.StorageTool', ['format', '-t', clusterId, '-c', node.propertiesFile])
}

/** As `startKafka`, with a small JVM, and logging to `output`. */
export function startLoggingKafka(node: KafkaNode, output: number): ChildProcess {
  writeProperties(node)
  const classPath = `${join(loggerJars, '*')}:${join(jars, '*')}`
  const args = [...smallJvm, '-cp', classPath, 'kafka.Kafka', node.propertiesFile]
  return spawn('java', args, { stdio: ['ignore', output, output] })
}

/** Starts a node on a formatted directory; `output` is a file descriptor for its log. */
export function startKafka(node: KafkaNode, output: number): ChildProcess {
  writeProperties(node)
  const args = [...jvm, '-cp', join(jars, '*'), 'kafka.Kafka', node.propertiesFile]
  return spawn('java', args, { stdio: ['ignore', output, output] })
}

/**
 * The load programs of `test/interop/clients`, one per language: how each is made ready and started.
 * They write one line per event (`ack`, `commit`, `from`, `gap`, `latency`, …) and are built once into
 * the cache that `npm run interop` uses too.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../..', import.meta.url))
export const cache = join(tmpdir(), 'millrace-interop')
const sources = join(root, 'test/interop/clients')
const javaVersion = '4.4.0'

export type Language = 'java' | 'python' | 'go' | 'kafkajs'
export const languages: readonly Language[] = ['java', 'python', 'go', 'kafkajs']

export interface LoadClient {
  readonly language: Language
  readonly codecs: readonly string[]
  /** Seconds that one process lives: a virtual machine is dear to start. */
  readonly lifeSeconds: readonly [number, number]
  /** Makes the program ready; a string says why it is not to be had here. */
  readonly prepare: () => string | null
  readonly command: readonly [string, ...string[]]
  readonly variables?: Readonly<Record<string, string>>
}

function has(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

function failureOf(command: string, args: readonly string[], cwd = cache): string | null {
  const { status, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  return status === 0
    ? null
    : `${command} ${args[0]} failed: ${(error?.message ?? stderr).slice(-400)}`
}

function isNewer(built: string, source: string): boolean {
  return existsSync(built) && statSync(built).mtimeMs > statSync(source).mtimeMs
}

const allCodecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const jars = join(cache, `java-${javaVersion}`)
const classes = join(cache, 'load-java')

function prepareJava(): string | null {
  if (!has('javac', '-version') || !has('mvn', '--version')) return 'no Java compiler with Maven'
  const source = join(sources, 'java/Load.java')
  if (!existsSync(join(jars, `kafka-clients-${javaVersion}.jar`))) {
    const copy = ['-q', '-B', 'dependency:copy-dependencies', `-Dkafka.version=${javaVersion}`]
    const failure = failureOf('mvn', [...copy, `-DoutputDirectory=${jars}`], join(sources, 'java'))
    if (failure !== null) return failure
  }
  if (isNewer(join(classes, 'Load.class'), source)) return null
  return failureOf('javac', ['-cp', join(jars, '*'), '-d', classes, source])
}

function preparePython(): string | null {
  const home = join(cache, 'python')
  const python = join(home, 'bin/python')
  if (!has('python3', '--version')) return 'no Python'
  if (existsSync(python) && has(python, '-c', 'import confluent_kafka')) return null
  return (
    failureOf('python3', ['-m', 'venv', home]) ??
    failureOf(join(home, 'bin/pip'), ['install', '-q', 'confluent-kafka'])
  )
}

/** go.sum is written beside a copy of go.mod, so that a run changes nothing in the checkout. */
function prepareGo(): string | null {
  if (!has('go', 'version')) return 'no Go'
  const program = join(cache, 'load-go')
  if (isNewer(program, join(sources, 'go/load/main.go'))) return null
  const module = join(cache, 'load-go.mod')
  copyFileSync(join(sources, 'go/go.mod'), module)
  const build = ['build', '-mod=mod', '-modfile', module, '-o', program, './load']
  return failureOf('go', build, join(sources, 'go'))
}

function prepareKafkaJs(): string | null {
  const home = join(cache, 'kafkajs')
  mkdirSync(home, { recursive: true })
  if (existsSync(join(home, 'node_modules/kafkajs-snappy'))) return null
  const install = ['install', '--silent', '--prefix', home]
  return failureOf('npm', [...install, 'kafkajs@2.2.4', 'kafkajs-snappy@1.1.0'])
}

const programs: Readonly<Record<Language, LoadClient>> = {
  java: {
    language: 'java',
    codecs: allCodecs,
    lifeSeconds: [30, 70],
    prepare: prepareJava,
    command: [
      'java',
      ...['-Xmx256M', '-Xss512k', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'],
      ...['-cp', `${join(jars, '*')}:${classes}`, 'Load'],
    ],
  },
  python: {
    language: 'python',
    codecs: allCodecs,
    lifeSeconds: [10, 40],
    prepare: preparePython,
    command: [join(cache, 'python/bin/python'), join(sources, 'python/load.py')],
  },
  go: {
    language: 'go',
    codecs: allCodecs,
    lifeSeconds: [10, 40],
    prepare: prepareGo,
    command: [join(cache, 'load-go')],
  },
  kafkajs: {
    language: 'kafkajs',
    codecs: ['none', 'gzip', 'snappy'],
    lifeSeconds: [15, 40],
    prepare: prepareKafkaJs,
    command: [process.execPath, join(sources, 'kafkajs/load.mjs')],
    variables: { KAFKAJS_HOME: join(cache, 'kafkajs') },
  },
}

/** Makes the asked languages ready; what is not to be had here is told to `skip` by name. */
export function readyClients(
  asked: readonly string[],
  skip: (name: string, reason: string) => void,
): LoadClient[] {
  mkdirSync(cache, { recursive: true })
  return asked.flatMap((name) => {
    const program = programs[name as Language]
    if (program === undefined) throw new Error(`No load client ${name}: ${languages.join(', ')}`)
    const reason = program.prepare()
    if (reason !== null) skip(name, reason)
    return reason === null ? [program] : []
  })
}

/** Starts a load program whose lines go to `file` and whose complaints go to `file`.err. */
export function startClient(
  { command: [program, ...first], variables }: LoadClient,
  args: readonly string[],
  file: string,
): ChildProcess {
  const output = openSync(file, 'a')
  const complaints = openSync(`${file}.err`, 'a')
  const child = spawn(program, [...first, ...args], {
    stdio: ['ignore', output, complaints],
    env: { ...process.env, ...variables },
  })
  closeSync(output)
  closeSync(complaints)
  return child
}

/** What a load program complained about, for a message. */
export function complaintsOf(file: string): string {
  return existsSync(`${file}.err`) ? readFileSync(`${file}.err`, 'utf8').trim().slice(-600) : ''
}

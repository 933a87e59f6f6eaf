/** The official Python serializers against a broker of ours and its schema registry. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../free-port.ts'
import type { Report } from '../directories/exchange.ts'

// Compiled tests run from build/, one folder deeper than their source.
const root = fileURLToPath(new URL('../../../..', import.meta.url))
const program = join(root, 'test/interop/registry/serializers.py')

export interface SerializersOptions {
  /** Where the Python environment is kept from run to run. */
  readonly cache: string
  readonly directory: string
  /** A Python with the packages deltalake and pyarrow. */
  readonly deltaPython: string
}

export async function runSerializers(
  { cache, directory, deltaPython }: SerializersOptions,
  report: Report,
): Promise<void> {
  const python = join(cache, 'python-registry/bin/python')
  const missing = prepare(cache, python)
  if (missing !== null) return report('registry', null, missing)
  mkdirSync(directory, { recursive: true })
  const { bootstrap, url, stop } = await startBroker(directory)
  try {
    const tables = join(directory, 'data-tables')
    const ran = spawn(python, [program, bootstrap, url, tables, deltaPython], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    let failed = ''
    ran.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    ran.stderr.setEncoding('utf8').on('data', (text: string) => (failed += text))
    const [code] = (await once(ran, 'close')) as [number | null]
    for (const [, name = ''] of said.matchAll(/^ok (.*)$/gm)) report(`registry: ${name}`, true, '')
    for (const [, name = '', why = ''] of said.matchAll(/^skip (\w+): (.*)$/gm))
      report(`registry: ${name}`, null, why)
    if (code !== 0) report('registry', false, failed.trim().slice(-400))
  } finally {
    await stop()
  }
}

/** A string says why it is not to be had. */
function prepare(cache: string, python: string): string | null {
  const has = (...args: string[]) => spawnSync(python, args, { stdio: 'ignore' }).status === 0
  const serializers = 'confluent_kafka.schema_registry'
  if (has('-c', `import ${serializers}.avro, ${serializers}.json_schema`)) return null
  const home = join(cache, 'python-registry')
  mkdirSync(cache, { recursive: true })
  const steps: [string, string[]][] = [
    ['python3', ['-m', 'venv', home]],
    [join(home, 'bin/pip'), ['install', '-q', 'confluent-kafka[avro,json,schemaregistry]']],
  ]
  for (const [command, args] of steps) {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
    if (status !== 0) return `no confluent-kafka with serializers: ${(stderr ?? '').slice(-200)}`
  }
  return null
}

/** The broker's log goes to a file. */
async function startBroker(directory: string) {
  const url = `http://127.0.0.1:${await freePort()}`
  const logFile = join(directory, 'broker.log')
  const settings = [
    'listeners=PLAINTEXT://127.0.0.1:0',
    `log.dirs=${join(directory, 'data')}`,
    `http.listeners=${url}`,
  ]
  const output = openSync(logFile, 'w')
  const child = spawn(
    process.execPath,
    [join(root, 'build/src/main.js'), ...settings.flatMap((setting) => ['--override', setting])],
    { stdio: ['ignore', output, output] },
  )
  const stop = async () => {
    if (child.exitCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  for (let tries = 0; tries < 1200 && child.exitCode === null; tries++) {
    const ready = /is ready on (\S+) after/.exec(readFileSync(logFile, 'utf8'))
    if (ready?.[1] !== undefined) return { bootstrap: ready[1], url, stop }
    await setTimeout(50)
  }
  await stop()
  throw new Error(`the broker did not start:\n${readFileSync(logFile, 'utf8')}`)
}

/**
 * The tests that franz-go runs against brokers: every test of its package kgo, among them chains of groups
 * of all kinds that take records from topic to topic, with transactions and without, while members come
 * and go. Tests that want SASL skip themselves.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../free-port.ts'
import { BrokerProcess } from '../../soak/broker-process.ts'
import type { Report } from '../directories/exchange.ts'

export interface KgoSuiteOptions {
  /** The bundle, or the compiled `main.js`. */
  readonly program: string
  readonly directory: string
  /** That each chain of groups takes along. */
  readonly records: number
}

const module = 'github.com/twmb/franz-go@v1.22.3'
const limit = '20m'
const outcomes = ['PASS', 'FAIL', 'SKIP'] as const

export async function runKgoSuite(options: KgoSuiteOptions, report: Report): Promise<void> {
  const subject = `${module}, tests of kgo`
  const sources = fetchSources()
  if (sources === null) {
    report(subject, null, 'no Go, or no module')
    return
  }
  const port = await freePort()
  mkdirSync(options.directory)
  const broker = new BrokerProcess({
    program: options.program,
    port,
    directory: join(options.directory, 'data'),
    logFile: join(options.directory, 'broker.log'),
    overrides: ['auto.create.topics.enable=true'],
    variables: {},
  })
  broker.launch()
  try {
    await broker.ready()
    const { code, output } = await runTests(sources, port, options.records)
    const failed = [...output.matchAll(/^ *--- FAIL: (\S+)/gm)].map(([, name]) => name)
    const said = `${counts(output, '^')}; within them ${counts(output, '^ +')}`
    report(subject, code === 0, code === 0 ? said : `${said}; exit ${code}: ${failed.join(' ')}`)
  } finally {
    await broker.end('SIGKILL')
  }
}

/** The folder of the package among the modules that Go has fetched; null where it is not to be had. */
function fetchSources(): string | null {
  const download = ['mod', 'download', '-json', module]
  const { status, stdout } = spawnSync('go', download, { encoding: 'utf8' })
  return status === 0 ? join((JSON.parse(stdout) as { Dir: string }).Dir, 'pkg/kgo') : null
}

async function runTests(cwd: string, port: number, records: number) {
  const variables = {
    KGO_SEEDS: `127.0.0.1:${port}`,
    KGO_TEST_RF: '1',
    KGO_TEST_RECORDS: `${records}`,
    // It then also begins transactions before the end of the last one was answered.
    KGO_TEST_UNSAFE: '1',
    KGO_LOG_LEVEL: 'none',
  }
  const args = ['test', '-count=1', '-v', `-timeout=${limit}`, '.']
  const tests = spawn('go', args, {
    cwd,
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let output = ''
  tests.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const [code] = (await once(tests, 'close')) as [number | null]
  return { code, output }
}

const counts = (output: string, indented: string): string =>
  outcomes
    .map((outcome) => {
      const lines = output.match(new RegExp(`${indented}--- ${outcome}:`, 'gm')) ?? []
      return `${lines.length} ${outcome.toLowerCase()}`
    })
    .join(', ')

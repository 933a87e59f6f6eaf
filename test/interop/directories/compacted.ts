/**
 * A compacted topic that changes hands: we compact it, Apache Kafka opens it and compacts on, and we take it
 * back. After each compaction the official consumer must find the last value of every key and nothing else
 * below the cleaner's checkpoint, and Kafka's DumpLogSegments reads every file of the partition.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import {
  fetchKafka,
  fetchKafkaLogger,
  kafkaClassPath,
  kafkaTool,
  tryKafkaTool,
} from '../../../scripts/apache-kafka.ts'
import { type BrokerKind, BrokerProcess } from '../../damage/broker-process.ts'
import type { Report } from './exchange.ts'

const topic = 'exchange-compacted'
const settings = { 'log.cleaner.backoff.ms': '300' }
const keys = 20
const recordsPerRound = 2000
const patienceMs = 30_000

export async function exchangeCompacted(work: string, report: Report): Promise<void> {
  const failure = fetchKafka() ?? fetchKafkaLogger()
  if (failure !== null) {
    report('compacted topic', null, failure)
    return
  }
  const directory = join(work, 'compacted')
  const expected = new Map<string, string>()
  const hands: readonly BrokerKind[] = ['millrace', 'kafka', 'millrace']
  for (const [turn, kind] of hands.entries()) {
    const name = `compacted topic, ${['written by us', 'taken by Kafka', 'taken back'][turn]}`
    const broker = await BrokerProcess.start(kind, directory, { settings })
    try {
      if (!broker.isServing) throw new Error(`does not start: ${broker.log.slice(-300)}`)
      const bootstrap = ['--bootstrap-server', `127.0.0.1:${broker.port}`]
      if (turn === 0) create(bootstrap)
      else check(report, `${name}: as it was left`, bootstrap, expected)
      const endOffset = write(bootstrap, turn, expected)
      await compactedUpTo(directory, endOffset)
      check(report, `${name}: compacted`, bootstrap, expected)
    } catch (error) {
      report(name, false, String(error).slice(0, 300))
    } finally {
      await broker.stop()
    }
    dump(report, name, join(directory, `${topic}-0`))
  }
}

function create(bootstrap: readonly string[]): void {
  const configs = ['cleanup.policy=compact', 'segment.ms=200', 'min.cleanable.dirty.ratio=0.01']
  kafkaTool('org.apache.kafka.tools.TopicCommand', [
    ...bootstrap,
    ...['--create', '--topic', topic, '--partitions', '1'],
    ...configs.flatMap((config) => ['--config', config]),
  ])
}

/** Each codec in turn, a tombstone, and one record more, with which a new segment begins. */
function write(bootstrap: readonly string[], turn: number, expected: Map<string, string>): number {
  const lines = Array.from({ length: recordsPerRound }, (_, index) => {
    const [key, value] = [`key-${index % keys}`, `${turn}/${index}`]
    expected.set(key, value)
    return `${key}:${value}`
  })
  produce(bootstrap, lines, ['gzip', 'snappy', 'lz4'][turn] ?? 'none')
  produce(bootstrap, [`key-${turn}:NULL`], 'none')
  expected.delete(`key-${turn}`)
  produce(bootstrap, [`last-${turn}:one`], 'none')
  expected.set(`last-${turn}`, 'one')
  return (turn + 1) * (recordsPerRound + 2) - 1
}

function produce(bootstrap: readonly string[], lines: readonly string[], codec: string): void {
  const properties = ['parse.key=true', 'key.separator=:', 'null.marker=NULL']
  const { status, stderr } = spawnSync(
    'java',
    [
      ...['-Xmx256M', '-XX:TieredStopAtLevel=1', '-cp', kafkaClassPath],
      ...['org.apache.kafka.tools.ConsoleProducer', ...bootstrap, '--topic', topic],
      ...['--compression-codec', codec],
      ...properties.flatMap((property) => ['--reader-property', property]),
    ],
    { input: `${lines.join('\n')}\n`, encoding: 'utf8', timeout: 60_000 },
  )
  if (status !== 0) throw new Error(`producing: ${stderr.slice(-300)}`)
}

/** Waits for the cleaner's checkpoint, which both kinds write alike. */
async function compactedUpTo(directory: string, offset: number): Promise<void> {
  const file = join(directory, 'cleaner-offset-checkpoint')
  const line = `${topic} 0 ${offset}`
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += 100) {
    if (existsSync(file) && readFileSync(file, 'utf8').split('\n').includes(line)) return
    await setTimeout(100)
  }
  throw new Error(`not compacted up to offset ${offset} within ${patienceMs} ms`)
}

function check(
  report: Report,
  name: string,
  bootstrap: readonly string[],
  expected: ReadonlyMap<string, string>,
): void {
  const { text } = tryKafkaTool('org.apache.kafka.tools.consumer.ConsoleConsumer', [
    ...[...bootstrap, '--topic', topic, '--from-beginning', '--timeout-ms', '4000'],
    ...['--formatter-property', 'print.key=true', '--formatter-property', 'key.separator=:'],
  ])
  const found = new Map<string, string>()
  const records = text.split('\n').filter((line) => /^(key|last)-\d+:/.test(line))
  for (const line of records) {
    const [key = '', value = ''] = line.split(':')
    if (value === 'null') found.delete(key)
    else found.set(key, value)
  }
  const wrong = [...expected].find(([key, value]) => found.get(key) !== value)
  // Tombstones stay for a day.
  const isCompact = records.length <= expected.size + 3
  const ok = wrong === undefined && found.size === expected.size && isCompact
  report(
    name,
    ok,
    `${records.length} records, ${found.size} of ${expected.size} keys; ${wrong ?? ''}`,
  )
}

function dump(report: Report, name: string, partition: string): void {
  const files = readdirSync(partition)
    .filter((file) => /\.(log|index|timeindex|snapshot)$/.test(file))
    .map((file) => join(partition, file))
  const { status, text } = tryKafkaTool('org.apache.kafka.tools.DumpLogSegments', [
    ...['--deep-iteration', '--print-data-log', '--files', files.join(',')],
  ])
  const complaint = text
    .split('\n')
    .find((line) => /mismatch|corrupt|exception|isvalid: false|out of order/i.test(line))
  const ok = status === 0 && complaint === undefined
  report(`dump of ${name}`, ok, complaint ?? `${files.length} files`)
}

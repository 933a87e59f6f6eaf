/**
 * The rows of the bench: what each is called and counted in, what is to be reached, and which of the
 * machine's limits it is held against. The name is how a row is asked for and found again in a kept result.
 */
import { joinings } from './bench-groups.ts'

export type Kind = 'millrace' | 'kafka'

/** Rows of a round are measured on the same broker, which begins with an empty directory. */
export type Round = 'load' | 'groups and transactions' | 'steady' | 'restart' | OurRound

/** Measured of Millrace alone. */
export type OurRound = 'pauses' | 'many partitions' | 'large log' | 'many connections'

export interface Row {
  readonly round: Round
  readonly name: string
  readonly unit: string
  readonly betterIs: 'less' | 'more'
  /** What is to be reached: a ratio to Kafka, a figure, or both. */
  readonly ratio?: number
  readonly bound?: number
  /** The limit of the machine that it is held against. */
  readonly limit?: string
  /** Said where it is not reached. */
  readonly why?: string
  /** Not asked of Kafka. */
  readonly isOurs: boolean
}

type Aim = Pick<Row, 'ratio' | 'bound' | 'limit' | 'why'>
type Line = readonly [name: string, unit: string, betterIs: Row['betterIs'], aim?: Aim]

/** A process that is no broker, under a workload of the driver. */
export interface BareLoop {
  readonly name: string
  readonly mode: 'receive' | 'store' | 'send' | 'relay'
  readonly workload: 'bare' | 'barePingPong' | 'endToEnd'
  readonly options: object
  /** What is shown, by what is put behind the name, and which figure of the driver it is. */
  readonly figures: Readonly<Record<string, string>>
  /** What its CPU is divided by, another figure of the driver: bytes or requests. */
  readonly cpuPer: 'bytes' | 'receivedBytes' | 'requests'
  /** Measured whatever rows are wanted. */
  readonly isShown: boolean
}

const sizes = [
  ['1 MB', { batchBytes: 1_000_000, recordBytes: 1024 }],
  ['64 KB', { batchBytes: 64_000, recordBytes: 1024 }],
  ['16 KB', { batchBytes: 16_000, recordBytes: 100 }],
] as const

const transfer = { workload: 'bare', isShown: false } as const
const sent = { figures: { '': 'mbPerSecond' }, cpuPer: 'bytes' } as const
const pingPong = { mode: 'receive', workload: 'barePingPong', isShown: true } as const
const relay = { mode: 'relay', workload: 'endToEnd', isShown: false } as const

function relayName(ratePerSecond: number): string {
  return `bare relay at ${ratePerSecond}/s`
}

export const bareLoops: readonly BareLoop[] = [
  ...sizes.map(
    ([size, options]): BareLoop => ({
      name: `loopback TCP, ${size} messages`,
      mode: 'receive',
      options,
      ...transfer,
      ...sent,
      isShown: true,
    }),
  ),
  ...sizes.map(
    ([size, options]): BareLoop => ({
      name: `receive, checksum, write ${size}`,
      mode: 'store',
      options,
      ...transfer,
      ...sent,
    }),
  ),
  {
    name: 'read and send 1 MB',
    mode: 'send',
    options: { batchBytes: 1, recordBytes: 60, connections: 6 },
    ...transfer,
    figures: { '': 'receivedMbPerSecond' },
    cpuPer: 'receivedBytes',
  },
  ...[16, 64].map(
    (connections): BareLoop => ({
      name: `ping-pong, ${connections} connections`,
      options: { connections, recordBytes: 100 },
      ...pingPong,
      figures: { '': 'requestsPerSecond' },
      cpuPer: 'requests',
    }),
  ),
  ...[1000, 10_000].map(
    (ratePerSecond): BareLoop => ({
      name: relayName(ratePerSecond),
      options: { isBare: true, ratePerSecond },
      ...relay,
      figures: { ': p50': 'p50Ms' },
      cpuPer: 'requests',
    }),
  ),
]

/** Limits that the driver measures by itself, and under which name it tells them. */
export const machineFigures: readonly (readonly [name: string, figure: string])[] = [
  ['memory copy', 'copiedMbPerSecond'],
  ['CRC32C', 'summedMbPerSecond'],
  ['sequential write', 'writtenMbPerSecond'],
  ['sequential write: CPU', 'writtenCpuPerGb'],
  ['write and fdatasync', 'syncedPerSecond'],
  ['node -e 0', 'bareStartMs'],
]

/** The unit of a limit of the machine. */
export function machineUnit(name: string): string {
  if (name.endsWith(': p50')) return 'ms'
  if (/^(ping-pong|bare relay)/.test(name)) return name.endsWith(': CPU') ? 'us each' : '/s'
  if (name.endsWith(': CPU')) return 's/GB'
  if (name === 'node -e 0') return 'ms'
  if (name.startsWith('bare answers')) return 's'
  return name === 'write and fdatasync' ? '/s' : 'MB/s'
}

const joinWhy = 'much of what it takes runs for the first time then'

const perTurn =
  'most of what is left is a read and a write for each connection, which the kernel takes'

const load: readonly Line[] = [
  [
    ...(['cold start to first Metadata answer', 'ms', 'less'] as const),
    { ratio: 20, bound: 150, limit: 'node -e 0' },
  ],
  [...(['memory, idle', 'MB', 'less'] as const), { bound: 65, why: 'Node alone takes 41 MB' }],
  [
    ...(['memory, peak under load', 'MB', 'less'] as const),
    { bound: 200, why: 'the cache of the newest batches alone takes 64 MB' },
  ],
  ...produced('1 MB', '1 KB', 0.7, 1),
  ...produced('64 KB', '1 KB', 1.6, 2.5),
  ...produced('16 KB', '100 B', 2, 3),
  ['fetch, cached', 'MB/s', 'more', { limit: 'read and send 1 MB' }],
  ['fetch, cached: broker CPU', 's/GB', 'less', { ratio: 0.65, limit: 'read and send 1 MB: CPU' }],
  ...smallRequests(16),
  ...smallRequests(64),
  ['flush.messages=1, 1 producer', '/s', 'more', { limit: 'write and fdatasync' }],
  ['flush.messages=1, 16 producers', '/s', 'more'],
  ['flush.messages=1, 64 producers', '/s', 'more'],
  ...endToEnd(1000, 6, { ratio: 5, why: perTurn }),
  ...endToEnd(10_000, 3, {}),
  ['100 topics of 10 partitions', 's', 'less', { ratio: 35 }],
  ['kafka-producer-perf-test, 1 KB', 'MB/s', 'more', { ratio: 1.1 }],
  ['kafka-consumer-perf-test, 1 KB', 'MB/s', 'more', { ratio: 1 }],
  ['franz-go: produce 1 KB', 'MB/s', 'more', { ratio: 1 }],
  ['franz-go: produce 1 KB: broker CPU', 's/GB', 'less'],
  ['franz-go: produce 100 B', 'records/s', 'more', { ratio: 1 }],
  ['franz-go: produce 100 B: broker CPU', 's/GB', 'less'],
  ['franz-go: consume 1 KB, cached', 'MB/s', 'more', { ratio: 0.8 }],
  ['franz-go: consume 1 KB, cached: broker CPU', 's/GB', 'less'],
]

function produced(size: string, record: string, ratio: number, cpuRatio: number): Line[] {
  const name = `produce ${size} requests of ${record}`
  const limit = `receive, checksum, write ${size}`
  return [
    [name, 'MB/s', 'more', { ratio, limit }],
    [`${name}: broker CPU`, 's/GB', 'less', { ratio: cpuRatio, limit: `${limit}: CPU` }],
  ]
}

function smallRequests(connections: 16 | 64): Line[] {
  const name = `small requests, ${connections} connections`
  const limit = `ping-pong, ${connections} connections`
  const rate: Aim = connections === 64 ? { ratio: 1.5, limit } : { limit }
  const p99: Line[] = connections === 16 ? [[`${name}: p99`, 'ms', 'less']] : []
  return [
    [name, '/s', 'more', rate],
    ...p99,
    [`${name}: broker CPU`, 'us each', 'less', { ratio: 3, limit: `${limit}: CPU`, why: perTurn }],
  ]
}

/** A bare relay that collects at another time may have the worse p99: it bounds the median and the CPU alone. */
function endToEnd(ratePerSecond: number, p99Ratio: number, cpu: Aim): Line[] {
  const name = `end to end at ${ratePerSecond}/s`
  const limit = relayName(ratePerSecond)
  return [
    [`${name}: p50`, 'ms', 'less', { ratio: 2.5, limit: `${limit}: p50` }],
    [`${name}: p99`, 'ms', 'less', { ratio: p99Ratio }],
    [`${name}: broker CPU`, 'us each', 'less', { ...cpu, limit: `${limit}: CPU` }],
  ]
}

const linesOf: Readonly<Record<Exclude<Round, 'restart' | OurRound>, readonly Line[]>> = {
  load,
  'groups and transactions': [
    ['transactions of 1 record', '/s', 'more'],
    ['transactions of 1 record: broker CPU', 'us each', 'less'],
    ['transactions of 100 records', '/s', 'more'],
    ['transactions of 100 records: broker CPU', 'us each', 'less'],
    ['consume, transform, produce', 'records/s', 'more'],
    ['consume, transform, produce: broker CPU', 'us each', 'less'],
    ['100 members join, classic', 'ms', 'less'],
    ['100 members join, classic: broker CPU', 'ms', 'less'],
    ['100 members join, KIP-848', 'ms', 'less'],
    ['100 members join, KIP-848: broker CPU', 'ms', 'less'],
    ...joinings.map(
      ({ row, limit }): Line => [row, 's', 'less', { ratio: 3, limit, why: joinWhy }],
    ),
  ],
  steady: [
    ['compaction', 'MB/s', 'more'],
    ['compaction: broker CPU', 's/GB', 'less'],
    ['produce at 1000/s, 10 partitions: p50', 'ms', 'less'],
    ['produce at 1000/s, 10 partitions: p99', 'ms', 'less'],
    ['produce at 1000/s, 10 partitions: broker CPU', 'us each', 'less'],
    ['produce at 1000/s, beside compaction: p50', 'ms', 'less'],
    ['produce at 1000/s, beside compaction: p99', 'ms', 'less'],
    ['produce at 1000/s, 2,000 partitions: p50', 'ms', 'less'],
    ['produce at 1000/s, 2,000 partitions: p99', 'ms', 'less'],
    ['produce at 1000/s, 2,000 partitions: broker CPU', 'us each', 'less'],
    ...paced('consumed at 1000/s in a session of 10 partitions'),
    ...paced('consumed at 1000/s in a session of 1000 partitions'),
    ...paced('heartbeats and commits at 2000/s of 10 groups'),
    ...paced('heartbeats and commits at 2000/s of 500 groups'),
    ['metadata of 1000 topics', '/s', 'more'],
    ['metadata of 1000 topics: broker CPU', 'us each', 'less'],
  ],
}

function paced(name: string): Line[] {
  return [
    [`${name}: p50`, 'ms', 'less'],
    [`${name}: p99`, 'ms', 'less'],
    [`${name}: broker CPU`, 'us each', 'less'],
  ]
}

export const restartedName = (logGb: number): string => `restart with ${logGb} GB`

function restartLines(logGb: number): Line[] {
  const restarted = restartedName(logGb)
  const ratios = { clean: 17, 'after kill -9': 30 }
  const lines = Object.entries(ratios).flatMap(([how, ratio]): Line[] => [
    [`${restarted}, ${how}, to first acknowledged write`, 'ms', 'less', { ratio }],
    [`${restarted}, ${how}, to 100,000 committed offsets`, 'ms', 'less'],
    [`${restarted}, ${how}: broker CPU`, 's', 'less'],
    [`${restarted}, ${how}: read`, 'MB', 'less'],
  ])
  return [...lines, ['memory, after restart', 'MB', 'less', { bound: 80 }]]
}

const pauseMaxMs = 3

/** While the broker is under a load: pauses of the collector of garbage, and all of them together. */
function pauseLines(load: string): Line[] {
  return [
    [`pauses, ${load}: max`, 'ms', 'less', { bound: pauseMaxMs }],
    [`pauses, ${load}: p99`, 'ms', 'less'],
    [`pauses, ${load}: in all`, 'ms/s', 'less'],
    [`pauses, ${load}: broker CPU`, 'us each', 'less'],
  ]
}

const ourLines: Readonly<Record<OurRound, readonly Line[]>> = {
  pauses: [
    ...pauseLines('1 MB requests of 1 KB'),
    ...pauseLines('16 KB requests of 100 B'),
    ...pauseLines('small requests'),
  ],
  'many partitions': [
    ['10000 partitions: before, produce at 1000/s to 10: p50', 'ms', 'less'],
    ['10000 partitions: before, produce at 1000/s to 10: p99', 'ms', 'less'],
    ['10000 partitions: created', 's', 'less'],
    ['10000 partitions: idle', '% of a core', 'less', { bound: 1 }],
    ['10000 partitions: produce at 1000/s: p50', 'ms', 'less'],
    ['10000 partitions: produce at 1000/s: p99', 'ms', 'less'],
    ['10000 partitions: stop', 'ms', 'less'],
    ['10000 partitions: restart, clean, to first acknowledged write', 'ms', 'less'],
    ['10000 partitions: restart, clean: broker CPU', 's', 'less'],
    ['10000 partitions: memory after restart', 'MB', 'less'],
  ],
  'large log': [
    ['restart with 100 GB, clean, to first acknowledged write', 'ms', 'less', { bound: 500 }],
    ['restart with 100 GB, clean: broker CPU', 's', 'less'],
  ],
  'many connections': [
    ['5000 idle connections: before, produce at 1000/s: p50', 'ms', 'less'],
    ['5000 idle connections: before, produce at 1000/s: p99', 'ms', 'less'],
    ['5000 idle connections: memory of each', 'KB', 'less'],
    ['5000 idle connections: produce at 1000/s: p50', 'ms', 'less'],
    ['5000 idle connections: produce at 1000/s: p99', 'ms', 'less'],
  ],
}

const ours: readonly OurRound[] = ['pauses', 'many partitions', 'large log', 'many connections']

export const rounds: readonly Round[] = [
  'load',
  'groups and transactions',
  'steady',
  'restart',
  ...ours,
]

/** Every row of the table, in its order. */
export function rowsOf(logGb: number): readonly Row[] {
  const all = { ...linesOf, restart: restartLines(logGb), ...ourLines }
  return rounds.flatMap((round) => {
    const isOurs = round in ourLines
    return all[round].map(([name, unit, betterIs, aim]) => ({
      ...{ round, name, unit, betterIs, isOurs },
      ...aim,
    }))
  })
}

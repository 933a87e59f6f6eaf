/** Reads each kind of file that a broker keeps into rows, as far as it is whole. */
import { readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { codec, decode } from '../../protocol/codec.ts'
import { Reader } from '../../protocol/reader.ts'
import { crc32c } from '../../protocol/records/crc32c.ts'
import { abortedTxn } from '../../protocol/state/aborted-transaction.ts'
import { producerSnapshot } from '../../protocol/state/producer-snapshot.ts'
import { parseProperties } from '../config/properties.ts'
import { decoderFor, dumpSegment } from './dump-segment.ts'

export type Row = Readonly<Record<string, unknown>>

export interface Dumped {
  /** What the file is, for the title. */
  readonly kind: string
  readonly entries: readonly Row[]
  /** What is wrong from some place on; null where the file is whole. */
  readonly damage: string | null
}

export interface DumpOptions {
  readonly withRecords: boolean
  readonly entriesMax: number
}

type Read = (bytes: Buffer, path: string, options: DumpOptions) => Omit<Dumped, 'kind'>

const whole = (entries: Row[]) => ({ entries, damage: null })

const readers: readonly { readonly matches: RegExp; readonly kind: string; readonly read: Read }[] =
  [
    { matches: /\.log$/, kind: 'segment', read: readSegment },
    {
      matches: /^(\d{20}-\d{10}|bootstrap)\.checkpoint$/,
      kind: 'metadata snapshot',
      read: readSegment,
    },
    { matches: /\.index$/, kind: 'offset index', read: readOffsetIndex },
    { matches: /\.timeindex$/, kind: 'time index', read: readTimeIndex },
    { matches: /\.txnindex$/, kind: 'aborted transactions', read: readTransactionIndex },
    { matches: /\.snapshot$/, kind: 'producers', read: readProducers },
    {
      matches: /^leader-epoch-checkpoint$/,
      kind: 'leader epochs',
      read: checkpoint('epoch', 'startOffset'),
    },
    {
      matches: /-offset-checkpoint$/,
      kind: 'offset checkpoint',
      read: checkpoint('topic', 'partition', 'offset'),
    },
    { matches: /^partition\.metadata$/, kind: 'partition metadata', read: readProperties },
    { matches: /^meta\.properties$/, kind: 'log directory', read: readProperties },
    {
      matches: /^quorum-state$/,
      kind: 'quorum state',
      read: (bytes) => whole([JSON.parse(bytes.toString())]),
    },
  ]

export function isKnownFile(name: string): boolean {
  return readers.some(({ matches }) => matches.test(name))
}

/** The rows of a file whose name `isKnownFile` knows. Damage is told, not thrown. */
export function dumpFile(path: string, options: DumpOptions): Dumped {
  const { kind, read } = readers.find(({ matches }) => matches.test(basename(path)))!
  const bytes = readFileSync(path)
  try {
    const { entries, damage } = read(bytes, path, options)
    return { kind, entries: entries.slice(0, options.entriesMax), damage }
  } catch (error) {
    return { kind, entries: [], damage: (error as Error).message }
  }
}

function readSegment(bytes: Buffer, path: string, options: DumpOptions): Omit<Dumped, 'kind'> {
  const isSnapshot = path.endsWith('.checkpoint')
  const topic = isSnapshot
    ? '__cluster_metadata'
    : basename(dirname(path)).replace(/-\d+(\.[0-9a-f]+-\w+)?$/, '')
  return dumpSegment(bytes, { ...options, decode: options.withRecords ? decoderFor(topic) : null })
}

/** The offset in a file's name. */
function startOffset(path: string): number {
  return Number.parseInt(basename(path), 10)
}

function readOffsetIndex(bytes: Buffer, path: string): Omit<Dumped, 'kind'> {
  const rows: Row[] = []
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const offset = startOffset(path) + bytes.readInt32BE(at)
    const position = bytes.readInt32BE(at + 4)
    // Space that was reserved ahead is all zeros.
    if (position === 0 && at > 0) break
    if (position === 0 && bytes.readInt32BE(at) === 0) break
    rows.push({ offset, position })
  }
  return { entries: rows, damage: risingDamage(rows, 'offset') ?? sizeDamage(bytes, 8) }
}

function readTimeIndex(bytes: Buffer, path: string): Omit<Dumped, 'kind'> {
  const rows: Row[] = []
  for (let at = 0; at + 12 <= bytes.length; at += 12) {
    const timestamp = Number(bytes.readBigInt64BE(at))
    const relative = bytes.readInt32BE(at + 8)
    if (timestamp === 0 && relative === 0) break
    rows.push({ timestamp, time: timeText(timestamp), offset: startOffset(path) + relative })
  }
  return { entries: rows, damage: risingDamage(rows, 'timestamp') ?? sizeDamage(bytes, 12) }
}

function readTransactionIndex(bytes: Buffer): Omit<Dumped, 'kind'> {
  const reader = new Reader(bytes)
  const rows: Row[] = []
  while (reader.remaining > 0) {
    const version = reader.int16()
    if (version !== 0)
      return { entries: rows, damage: `entry ${rows.length} has version ${version}` }
    rows.push({ ...codec(abortedTxn, 0).read(reader) })
  }
  return whole(rows)
}

function readProducers(bytes: Buffer): Omit<Dumped, 'kind'> {
  const version = bytes.readInt16BE(0)
  if (version !== 1) return { entries: [], damage: `version ${version} is not known` }
  const { crc, producerEntries } = decode(producerSnapshot, version, bytes.subarray(2))
  const computed = crc32c(bytes, 6, bytes.length)
  const damage =
    crc === computed ? null : `its checksum is ${crc}, that of the content is ${computed}`
  return { entries: producerEntries.map((entry) => ({ ...entry })), damage }
}

/** Kafka's checkpoint files: a version, a count, then a row a line. */
function checkpoint(...names: string[]): Read {
  return (bytes) => {
    const [version, count, ...lines] = bytes.toString().trimEnd().split('\n')
    const rows = lines.map((line) => {
      const fields = line.split(' ')
      const pairs = names.map((name, index) => {
        const text = fields[index] ?? ''
        return [name, /^-?\d+$/.test(text) ? Number(text) : text]
      })
      return Object.fromEntries(pairs) as Row
    })
    if (version !== '0') return { entries: rows, damage: `version ${version} is not known` }
    const isWhole = Number(count) === rows.length
    return {
      entries: rows,
      damage: isWhole ? null : `${count} rows are announced, ${rows.length} follow`,
    }
  }
}

function readProperties(bytes: Buffer): Omit<Dumped, 'kind'> {
  return whole([Object.fromEntries(parseProperties(bytes.toString()))])
}

function risingDamage(rows: readonly Row[], name: string): string | null {
  for (let at = 1; at < rows.length; at++)
    if ((rows[at]![name] as number) < (rows[at - 1]![name] as number))
      return `entry ${at} has a smaller ${name} than the one before it`
  return null
}

function sizeDamage(bytes: Buffer, entryBytes: number): string | null {
  return bytes.length % entryBytes === 0 ? null : `its size is no multiple of ${entryBytes}`
}

function timeText(timestampMs: number): string | null {
  const isValid = timestampMs >= 0 && timestampMs <= 8.64e15
  return isValid ? new Date(timestampMs).toISOString() : null
}

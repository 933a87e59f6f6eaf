/** Damage to `.log` files: header fields, payload, tails, whole files. */
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  append,
  cut,
  type DamageKind,
  edit,
  firstSegment,
  flipBit,
  garbage,
  harmFrom,
  harmOf,
  lastSegment,
  logOf,
  middleOf,
  middleSegment,
  remove,
  rename,
  replaceByDirectory,
  type Site,
} from './kind.ts'
import { type StoredBatch, type StoredSegment, segmentName } from './segment-files.ts'

const mentions = /plain-0/

/** Changes the header of the middle batch of the middle segment, and of nothing else. */
function header(name: string, change: (bytes: Buffer, at: number) => void): DamageKind {
  return inBatch(
    `header: ${name}`,
    middleSegment,
    (_, segment) => middleOf(segment.batches),
    change,
  )
}

/** The same with a field that the CRC covers, or the CRC. */
const checkedHeader = (...args: Parameters<typeof header>): DamageKind => ({
  ...header(...args),
  isUnderCrc: true,
})

/** Flips a bit of the payload of one batch. */
const payload = (...args: Parameters<typeof inBatch>): DamageKind => ({
  ...inBatch(...args),
  isUnderCrc: true,
})

function inBatch(
  name: string,
  segmentOf: (site: Site) => StoredSegment,
  batchOf: (site: Site, segment: StoredSegment) => StoredBatch,
  change: (bytes: Buffer, at: number) => void,
): DamageKind {
  return {
    name,
    file: '.log',
    mentions,
    apply: (site) => {
      const segment = segmentOf(site)
      const batch = batchOf(site, segment)
      edit(logOf(site, segment), (bytes) => {
        change(bytes, batch.position)
        return undefined
      })
      return harmOf(site, batch)
    },
  }
}

const addTo64 = (by: bigint) => (bytes: Buffer, at: number) =>
  void bytes.writeBigInt64BE(bytes.readBigInt64BE(at) + by, at)
const addTo32 = (offset: number, by: number) => (bytes: Buffer, at: number) =>
  void bytes.writeInt32BE(bytes.readInt32BE(at + offset) + by, at + offset)
const set32 = (offset: number, value: number) => (bytes: Buffer, at: number) =>
  void bytes.writeInt32BE(value, at + offset)
const flipAt = (offset: number) => (bytes: Buffer, at: number) => {
  bytes[at + offset]! ^= 0x01
}

const headers: readonly DamageKind[] = [
  header('base offset + 1', addTo64(1n)),
  header('base offset - 1', addTo64(-1n)),
  header('base offset + 1 000 000', addTo64(1_000_000n)),
  header('base offset negative', (bytes, at) => void bytes.writeBigInt64BE(-5n, at)),
  header('length + 100', addTo32(8, 100)),
  header('length - 10', addTo32(8, -10)),
  header('length 0', set32(8, 0)),
  header('length negative', set32(8, -1)),
  header('length 2 GiB', set32(8, 0x7fff_ffff)),
  header('leader epoch + 100', addTo32(12, 100)),
  header('leader epoch negative', set32(12, -5)),
  header('magic 1', (bytes, at) => void bytes.writeInt8(1, at + 16)),
  header('magic 127', (bytes, at) => void bytes.writeInt8(127, at + 16)),
  checkedHeader('CRC', flipAt(17)),
  checkedHeader('attributes', flipAt(22)),
  checkedHeader('last offset delta', flipAt(26)),
  checkedHeader('max timestamp', flipAt(40)),
  checkedHeader('producer id', flipAt(50)),
  checkedHeader('record count', flipAt(60)),
  inBatch(
    'header: base offset + 1, last batch',
    lastSegment,
    (_, { batches }) => batches.at(-1)!,
    addTo64(1n),
  ),
  inBatch(
    'header: leader epoch + 100, last batch',
    lastSegment,
    (_, { batches }) => batches.at(-1)!,
    addTo32(12, 100),
  ),
  inBatch(
    'header: base offset + 1, first batch of a segment',
    middleSegment,
    (_, { batches }) => batches[0]!,
    addTo64(1n),
  ),
]

const payloads: readonly DamageKind[] = [
  payload('bit flipped, first segment', firstSegment, (_, s) => middleOf(s.batches), flipAt(3000)),
  payload(
    'bit flipped, middle segment',
    middleSegment,
    (_, s) => middleOf(s.batches),
    flipAt(3000),
  ),
  payload('bit flipped, last segment', lastSegment, (_, s) => middleOf(s.batches), flipAt(3000)),
  payload('bit flipped, last batch', lastSegment, (_, s) => s.batches.at(-1)!, flipAt(3000)),
  {
    ...payload(
      'bit flipped, compressed',
      middleSegment,
      (_, s) => middleOf(s.batches),
      flipAt(3000),
    ),
    target: 'packed-0',
    mentions: /packed-0/,
  },
  inBatch(
    'batch of zeros, middle segment',
    middleSegment,
    (_, s) => middleOf(s.batches),
    (bytes, at) => {
      bytes.fill(0, at, at + bytes.readInt32BE(at + 8) + 12)
    },
  ),
  inBatch(
    'batch of zeros, last segment',
    lastSegment,
    (_, s) => middleOf(s.batches),
    (bytes, at) => {
      bytes.fill(0, at, at + bytes.readInt32BE(at + 8) + 12)
    },
  ),
  {
    name: 'two batches swapped',
    file: '.log',
    mentions,
    apply: (site) => {
      const segment = middleSegment(site)
      const index = segment.batches.length >> 1
      const [left, right] = [segment.batches[index]!, segment.batches[index + 1]!]
      edit(logOf(site, segment), (bytes) =>
        Buffer.concat([
          bytes.subarray(0, left.position),
          bytes.subarray(right.position, right.position + right.bytes),
          bytes.subarray(left.position, right.position),
          bytes.subarray(right.position + right.bytes),
        ]),
      )
      return [...harmOf(site, left), ...harmOf(site, right)]
    },
  },
  {
    name: 'batch twice',
    file: '.log',
    mentions,
    apply: (site) => {
      const segment = middleSegment(site)
      const batch = middleOf(segment.batches)
      const end = batch.position + batch.bytes
      edit(logOf(site, segment), (bytes) =>
        Buffer.concat([
          bytes.subarray(0, end),
          bytes.subarray(batch.position, end),
          bytes.subarray(end),
        ]),
      )
      // Nothing is destroyed, but from here on the log no longer goes up.
      const { lastOffset } = batch
      return [{ partition: site.targetName, from: lastOffset + 1, to: lastOffset + 1 }]
    },
  },
  {
    name: 'batch cut out',
    file: '.log',
    mentions,
    apply: (site) => {
      const segment = middleSegment(site)
      const batch = middleOf(segment.batches)
      edit(logOf(site, segment), (bytes) =>
        Buffer.concat([
          bytes.subarray(0, batch.position),
          bytes.subarray(batch.position + batch.bytes),
        ]),
      )
      return harmOf(site, batch)
    },
  },
]

/** Cuts a segment's file. */
function cutting(
  name: string,
  segmentOf: (site: Site) => StoredSegment,
  at: (batches: readonly StoredBatch[]) => { batch: StoredBatch; bytes: number },
): DamageKind {
  return {
    name,
    file: '.log',
    mentions,
    apply: (site) => {
      const segment = segmentOf(site)
      const { batch, bytes } = at(segment.batches)
      cut(logOf(site, segment), batch.position + bytes)
      return harmFrom(site, segment, batch)
    },
  }
}

function changing(
  name: string,
  segmentOf: (site: Site) => StoredSegment,
  change: (path: string, segment: StoredSegment) => void,
  isHarmless = false,
): DamageKind {
  return {
    name,
    file: '.log',
    mentions,
    apply: (site) => {
      const segment = segmentOf(site)
      change(logOf(site, segment), segment)
      return isHarmless ? [] : harmFrom(site, segment)
    },
  }
}

/** What lies behind the records: indexes are as long as their segments, a live file may be longer. */
const behindRecords = (bytes: Buffer) => (path: string, segment: StoredSegment) => {
  cut(path, segment.bytes)
  append(path, bytes)
}

const files: readonly DamageKind[] = [
  cutting('cut within the last batch', lastSegment, (batches) => ({
    batch: batches.at(-1)!,
    bytes: 5000,
  })),
  cutting('cut within the last header', lastSegment, (batches) => ({
    batch: batches.at(-1)!,
    bytes: 20,
  })),
  {
    ...cutting('cut between batches, last segment', lastSegment, (batches) => ({
      batch: batches.at(-3)!,
      bytes: 0,
    })),
    isSilentAfterCrash: true,
  },
  cutting('cut in the middle, middle segment', middleSegment, (batches) => ({
    batch: middleOf(batches),
    bytes: 5000,
  })),
  cutting('cut between batches, middle segment', middleSegment, (batches) => ({
    batch: batches.at(-3)!,
    bytes: 0,
  })),
  changing('zeros behind, last segment', lastSegment, behindRecords(Buffer.alloc(70_000)), true),
  changing('garbage behind, last segment', lastSegment, behindRecords(garbage(70_000)), true),
  changing(
    'zeros behind, middle segment',
    middleSegment,
    behindRecords(Buffer.alloc(70_000)),
    true,
  ),
  changing('garbage behind, middle segment', middleSegment, behindRecords(garbage(70_000)), true),
  {
    ...changing('empty, last segment', lastSegment, (path) => cut(path, 0)),
    isSilentAfterCrash: true,
  },
  changing('empty, middle segment', middleSegment, (path) => cut(path, 0)),
  changing('all garbage, middle segment', middleSegment, (path) =>
    edit(path, (bytes) => garbage(bytes.length)),
  ),
  changing('missing, first segment', firstSegment, remove),
  changing('missing, middle segment', middleSegment, remove),
  changing('missing, last segment', lastSegment, remove),
  changing('a directory, middle segment', middleSegment, replaceByDirectory),
  changing('a directory, last segment', lastSegment, replaceByDirectory),
  {
    name: 'segment renamed to base offset + 1',
    file: '.log',
    mentions,
    apply: (site) => {
      const segment = middleSegment(site)
      const to = segmentName(segment.baseOffset + 1)
      for (const file of readdirSync(site.target).filter((name) => name.startsWith(segment.name)))
        rename(join(site.target, file), join(site.target, file.replace(segment.name, to)))
      return harmFrom(site, segment)
    },
  },
  duplicate('segment copied to a base within', (site) => middleSegment(site).baseOffset + 160),
  duplicate('segment copied to a base beyond the end', ({ endOffset }) => endOffset + 1000),
  {
    name: 'bit flipped: __consumer_offsets',
    file: '.log',
    mentions: /__consumer_offsets-\d/,
    harmsGroups: true,
    apply: (site) => {
      eachOffsetsLog(site, (path) => flipBit(path, readFileSync(path).length >> 1))
      return []
    },
  },
  {
    name: 'cut within the last batch: __consumer_offsets',
    file: '.log',
    mentions: /__consumer_offsets-\d/,
    harmsGroups: true,
    apply: (site) => {
      eachOffsetsLog(site, (path) => cut(path, readFileSync(path).length - 10))
      return []
    },
  },
  {
    name: 'garbage behind: __consumer_offsets',
    file: '.log',
    mentions: /__consumer_offsets-\d/,
    apply: (site) => {
      eachOffsetsLog(site, (path) => append(path, garbage(1000)))
      return []
    },
  },
]

/** A copy of the middle segment under another base offset. */
function duplicate(name: string, baseOf: (site: Site) => number): DamageKind {
  return {
    name,
    file: '.log',
    mentions,
    apply: (site) => {
      const from = logOf(site, middleSegment(site))
      cpSync(from, join(site.target, `${segmentName(baseOf(site))}.log`))
      return []
    },
  }
}

function eachOffsetsLog({ directory }: Site, change: (path: string) => void): void {
  for (const name of readdirSync(directory)) {
    if (!/^__consumer_offsets-\d+$/.test(name)) continue
    const path = join(directory, name, `${segmentName(0)}.log`)
    if (readFileSync(path).length > 0) change(path)
  }
}

export const logKinds: readonly DamageKind[] = [...headers, ...payloads, ...files]

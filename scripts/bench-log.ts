/**
 * Makes a log of a hundred gigabytes out of one with a record in each partition, without the disk having to
 * hold it: of a segment the first and the last batch are there, and its indexes, which is what a start after
 * a clean stop reads; what lies between is a hole in the file.
 */
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { maxTimestamp } from '../protocol/records/batch.ts'
import { highWatermarkFile, recoveryPointFile } from '../src/log/checkpoints.ts'
import { encodeSnapshot, snapshotSuffix } from '../src/log/producer-snapshot.ts'
import { fileNameOf } from '../src/log/segment-options.ts'

const segmentBytes = 1e9
const segmentRecords = 1_000_000
const indexEntryBytes = 8
/** There is an entry for every 4 096 bytes: index.interval.bytes. */
const batchesPerEntry = Math.ceil(4096 / (segmentBytes / segmentRecords))

/** A log directory that was closed in good order, with one batch of one record in each partition of `topic`. */
export function enlarge(directory: string, topic: string, bytes: number): void {
  const partitions = readdirSync(directory).filter((name) => name.startsWith(`${topic}-`))
  const segments = Math.ceil(bytes / segmentBytes / partitions.length)
  for (const partition of partitions) enlargeLog(join(directory, partition), segments)
  const end = segments * segmentRecords + 1
  for (const file of [recoveryPointFile, highWatermarkFile]) {
    const path = join(directory, file)
    const lines = readFileSync(path, 'utf8').split('\n')
    const isOurs = (line: string) => line.startsWith(`${topic} `)
    const moved = lines.map((line) => (isOurs(line) ? line.replace(/\d+$/, String(end)) : line))
    writeFileSync(path, moved.join('\n'))
  }
}

/** Bytes of the segments of a topic, holes among them. */
export function logBytes(directory: string, topic: string): number {
  const partitions = readdirSync(directory).filter((name) => name.startsWith(`${topic}-`))
  const files = partitions.flatMap((partition) =>
    readdirSync(join(directory, partition)).map((file) => join(directory, partition, file)),
  )
  return files
    .filter((file) => file.endsWith('.log'))
    .reduce((sum, file) => sum + statSync(file).size, 0)
}

/** Full segments, and behind them the one with its batch that was there. */
function enlargeLog(directory: string, segments: number): void {
  const first = join(directory, fileNameOf(0))
  const batch = readFileSync(`${first}.log`)
  const end = segments * segmentRecords
  rmSync(`${first}.log`)
  for (const kind of ['.index', '.timeindex']) {
    renameSync(`${first}${kind}`, join(directory, `${fileNameOf(end)}${kind}`))
  }
  // So small a log was closed without one.
  const snapshot = join(directory, `${fileNameOf(end + 1)}${snapshotSuffix}`)
  writeFileSync(snapshot, encodeSnapshot([]))
  writeFileSync(join(directory, `${fileNameOf(end)}.log`), batchAt(batch, end))
  for (let base = 0; base < end; base += segmentRecords) writeSegment(directory, base, batch)
}

function writeSegment(directory: string, base: number, batch: Buffer): void {
  const path = join(directory, fileNameOf(base))
  const position = segmentBytes - batch.length
  const log = openSync(`${path}.log`, 'w')
  writeSync(log, batchAt(batch, base), 0, batch.length, 0)
  writeSync(log, batchAt(batch, base + segmentRecords - 1), 0, batch.length, position)
  closeSync(log)
  writeFileSync(`${path}.index`, offsetIndex(position))
  // All batches are of one moment: the first that has it has an entry, and no other.
  const timeIndex = Buffer.alloc(12)
  timeIndex.writeBigInt64BE(BigInt(maxTimestamp(batch, 0)), 0)
  writeFileSync(`${path}.timeindex`, timeIndex)
}

/**
 * As a broker would have written it, had it written the batches, one after so many bytes, in the hole; the last
 * entry is that of the last batch, which is there.
 */
function offsetIndex(lastPosition: number): Buffer {
  const count = Math.ceil(segmentRecords / batchesPerEntry)
  const index = Buffer.alloc(count * indexEntryBytes)
  for (let entry = 0; entry < count; entry++) {
    const isLast = entry === count - 1
    const batch = isLast ? segmentRecords - 1 : (entry + 1) * batchesPerEntry
    const position = isLast ? lastPosition : batch * (segmentBytes / segmentRecords)
    index.writeInt32BE(batch, entry * indexEntryBytes)
    index.writeInt32BE(position, entry * indexEntryBytes + 4)
  }
  return index
}

/** No checksum covers the offset. */
function batchAt(batch: Buffer, offset: number): Buffer {
  const moved = Buffer.from(batch)
  moved.writeBigInt64BE(BigInt(offset), 0)
  return moved
}

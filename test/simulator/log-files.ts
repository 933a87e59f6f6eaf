/**
 * Looks at a partition's files as they lie on a simulated disk, without the broker's own code for it:
 * which records are there without a gap, and what a flipped bit has hit.
 */
import * as header from '../../protocol/records/batch.ts'

/** The files of one partition by name, from `MemoryDisk.snapshot`. */
export type PartitionFiles = ReadonlyMap<string, Buffer>

/** All partition directories under these log directories: `topic-N` to its files. */
export function partitionFiles(
  files: ReadonlyMap<string, Buffer>,
  logDirs: readonly string[],
): Map<string, Map<string, Buffer>> {
  const found = new Map<string, Map<string, Buffer>>()
  for (const [path, content] of files) {
    const logDir = logDirs.find((dir) => path.startsWith(`${dir}/`))
    if (logDir === undefined) continue
    const [partition = '', name, ...rest] = path.slice(logDir.length + 1).split('/')
    if (name === undefined || rest.length > 0 || !/^.+-\d+$/.test(partition)) continue
    const known = found.get(partition) ?? new Map<string, Buffer>()
    known.set(name, content)
    found.set(partition, known)
  }
  return found
}

/** The offset up to which every record from `from` on is there, whole and in place. */
export function endOfRecords(files: PartitionFiles, from: number): number {
  const bases = [...files.keys()]
    .filter((name) => /^\d{20}\.log$/.test(name))
    .map((name) => Number(name.slice(0, 20)))
    .sort((a, b) => a - b)
  let end: number | null = null
  for (const base of bases) {
    if (end === null ? base > from : base > end) break
    end = Math.max(end ?? base, base)
    const bytes = files.get(`${base}`.padStart(20, '0').concat('.log')) as Buffer
    const next = endOfSegment(bytes, end)
    const isWhole = next.isWhole
    end = next.end
    if (!isWhole) break
  }
  return end ?? 0
}

/** The offset after the segment that begins at `base`. */
export function segmentEnd(files: ReadonlyMap<string, Buffer | null>, base: number): number {
  let end = Number.POSITIVE_INFINITY
  for (const name of files.keys()) {
    const [, other] = /^(\d{20})\.log$/.exec(name) ?? []
    if (other !== undefined && Number(other) > base) end = Math.min(end, Number(other))
  }
  if (end < Number.POSITIVE_INFINITY) return end
  return endOfSegment(
    files.get(`${base}`.padStart(20, '0').concat('.log')) ?? Buffer.alloc(0),
    base,
  ).end
}

function endOfSegment(bytes: Buffer, from: number): { end: number; isWhole: boolean } {
  let end = from
  for (let at = 0; at < bytes.length; ) {
    const size = soundBytes(bytes, at)
    if (size === 0) return { end, isWhole: false }
    const base = header.baseOffset(bytes, at)
    const last = header.lastOffset(bytes, at)
    if (base > end) return { end, isWhole: false }
    end = Math.max(end, last + 1)
    at += size
  }
  return { end, isWhole: true }
}

function soundBytes(bytes: Buffer, at: number): number {
  if (at + header.headerBytes > bytes.length || header.magic(bytes, at) !== 2) return 0
  const size = header.batchBytes(bytes, at)
  if (size < header.headerBytes || at + size > bytes.length) return 0
  return header.isCrcValid(bytes, at) ? size : 0
}

/** Where the whole batches of a segment begin, up to the first that is none. */
function wholeBatches(bytes: Buffer): number[] {
  const found: number[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = soundBytes(bytes, at)
    if (size === 0) break
    found.push(at)
    at += size
  }
  return found
}

/** The newest timestamp of the whole batches of a segment; -1 where there are none. */
export function newestTimestamp(bytes: Buffer): number {
  return Math.max(-1, ...wholeBatches(bytes).map((at) => header.maxTimestamp(bytes, at)))
}

/** The position at which the last whole batch begins. */
export function startOfLastBatch(bytes: Buffer): number {
  return wholeBatches(bytes).at(-1) ?? 0
}

/** The last batch of a producer. */
export interface ProducerMark {
  readonly epoch: number
  readonly lastSequence: number
  /** Its last one. */
  readonly offset: number
  readonly timestamp: number
}

/** By producer id, of the whole batches of a segment that have one. */
export function lastBatches(bytes: Buffer): Map<number, ProducerMark> {
  const found = new Map<number, ProducerMark>()
  for (const at of wholeBatches(bytes)) {
    const producerId = header.producerId(bytes, at)
    if (producerId < 0 || header.isControl(bytes, at)) continue
    const offset = header.lastOffset(bytes, at)
    const lastSequence = header.lastSequence(bytes, at)
    const [epoch, timestamp] = [header.producerEpoch(bytes, at), header.maxTimestamp(bytes, at)]
    found.set(producerId, { epoch, lastSequence, offset, timestamp })
  }
  return found
}

/** The offsets of the batch in which a byte of a segment lies; null behind the last whole batch. */
export function batchAt(bytes: Buffer, position: number): { base: number; last: number } | null {
  for (let at = 0; at < bytes.length; ) {
    const size = soundBytes(bytes, at)
    if (size === 0) return null
    if (position < at + size) {
      return { base: header.baseOffset(bytes, at), last: header.lastOffset(bytes, at) }
    }
    at += size
  }
  return null
}

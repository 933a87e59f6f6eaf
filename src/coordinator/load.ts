/**
 * Loading a shard: every record of its partition, from the log's start to its end, through `apply`.
 *
 * Records of a transaction count only once its marker says so; the shard keeps them until then, as it
 * does live. Between two reads the event loop gets its turn.
 *
 * A record that cannot be decoded, or a batch that cannot be opened or is not what its checksum is of, is
 * logged and passed over: one damaged place must neither keep all the others from being known nor be
 * believed. Loading fails only where the log
 * cannot be read, where it does not show where the next batch begins, or where a codec is missing.
 */
import { checkCrc, entryBytes, lastOffset } from '../../protocol/records/batch.ts'
import { UnsupportedCompression } from '../../protocol/records/compression/unsupported-compression.ts'
import { controlRecordType } from '../../protocol/records/control.ts'
import { CorruptRecords } from '../../protocol/records/corrupt-records.ts'
import { type BatchRecord, type RecordBatch, readBatch } from '../../protocol/records/record.ts'
import type { Environment, Logger } from '../environment/environment.ts'
import type { CoordinatorLog, Shard, ShardKind } from './shard.ts'

export interface Load<S extends Shard<R>, R> {
  readonly log: CoordinatorLog
  /** Its lines name the coordinator and the partition. */
  readonly logger: Logger
  readonly kind: ShardKind<S, R>
  /**
   * Given records that lie at `atLeastOffset` or behind, with the producer whose open transaction they are
   * a part of, or null.
   */
  readonly replay: (records: readonly R[], atLeastOffset: number, producerId: number | null) => void
  readonly replayEnd: (producerId: number, isCommit: boolean) => void
  /** False once the partition went elsewhere: loading stops. */
  readonly isCurrent: () => boolean
}

export interface Loaded {
  readonly batches: number
  readonly records: number
  readonly durationMs: number
}

/** Replays the log; a promise only if there is something to read. */
export function loadRecords<S extends Shard<R>, R>(
  load: Load<S, R>,
  environment: Environment,
): Loaded | Promise<Loaded> {
  const { log } = load
  if (log.logStartOffset >= log.logEndOffset) return { batches: 0, records: 0, durationMs: 0 }
  return replayLog(load, environment)
}

async function replayLog<S extends Shard<R>, R>(
  load: Load<S, R>,
  environment: Environment,
): Promise<Loaded> {
  const { log, isCurrent } = load
  const startMs = environment.clock.monotonic()
  const endOffset = log.logEndOffset
  let offset = log.logStartOffset
  let batchCount = 0
  let recordCount = 0
  while (offset < endOffset && isCurrent()) {
    const bytes = await log.read(offset)
    // Compaction has taken what was last before the end, or a loss of power what was never promised.
    if (bytes.length === 0) break
    const before = offset
    for (const position of positions(bytes)) {
      const batch = openedBatch(load, bytes, position, offset)
      if (batch !== null) {
        replayBatch(load, batch)
        batchCount++
        recordCount += batch.recordCount
      }
      const nextOffset = lastOffset(bytes, position) + 1
      // The header of a damaged batch may say anything; then the next batch tells where it is.
      const isPlausible = nextOffset > offset && nextOffset <= endOffset
      if (batch !== null || isPlausible) offset = nextOffset
    }
    if (offset === before) throw new Error(`nothing to read at offset ${offset} of ${endOffset}`)
    await new Promise<void>((resolve) => environment.timers.endOfTurn(resolve))
  }
  const durationMs = Math.round(environment.clock.monotonic() - startMs)
  return { batches: batchCount, records: recordCount, durationMs }
}

/** Where batches begin; what is wrong within one is found when it is opened. */
function* positions(bytes: Buffer): Generator<number, void, void> {
  let at = 0
  while (at < bytes.length) {
    const size = entryBytes(bytes, at, bytes.length)
    if (size === null) throw new CorruptRecords('Not a whole record batch')
    yield at
    at += size
  }
}

/** Null if the batch is damaged. */
function openedBatch<S extends Shard<R>, R>(
  { logger }: Load<S, R>,
  bytes: Buffer,
  position: number,
  offset: number,
): RecordBatch | null {
  try {
    checkCrc(bytes, position)
    return readBatch(bytes, position)
  } catch (err) {
    if (err instanceof UnsupportedCompression) throw err
    logger.error('a damaged batch is passed over', { offset, err })
    return null
  }
}

function decoded<S extends Shard<R>, R>(
  { kind, logger }: Load<S, R>,
  { key, value, offset }: BatchRecord,
): R | null {
  if (key === null) return null
  try {
    return kind.decode(key, value)
  } catch (err) {
    logger.error('a record that cannot be decoded is passed over', { offset, err })
    return null
  }
}

function replayBatch<S extends Shard<R>, R>(load: Load<S, R>, batch: RecordBatch): void {
  const { replay, replayEnd, logger } = load
  const { producerId } = batch
  if (batch.isControl) {
    const marker = batch.records[0]
    if (marker !== undefined) replayEnd(producerId, isCommit(marker, logger))
    return
  }
  const records = batch.records.flatMap((stored) => {
    const record = decoded(load, stored)
    return record === null ? [] : [record]
  })
  replay(records, batch.baseOffset, batch.isTransactional ? producerId : null)
}

/** A marker that cannot be read commits nothing. */
function isCommit({ key, offset }: BatchRecord, logger: Logger): boolean {
  try {
    return controlRecordType(key) === 'commit'
  } catch (err) {
    logger.error('a damaged transaction marker is passed over', { offset, err })
    return false
  }
}

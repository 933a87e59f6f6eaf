/**
 * Loading a shard: every record of its partition, from the log's start to its end, through `apply`.
 *
 * Records of a transaction count only once its marker says so; the shard keeps them until then, as it
 * does live. It goes on in turns (`environment/in-turns.ts`): whoever asks for something else meanwhile waits
 * for a millisecond of it.
 *
 * A record that cannot be decoded, a batch that cannot be opened or is not what its checksum is of, or a
 * stretch in which the log finds no batch, is logged and passed over: one damaged place must neither keep
 * all the others from being known nor be believed. Loading fails only where the log cannot be read, where
 * it does not show where the next batch begins, or where a codec is missing.
 */

import { errors, KafkaError } from '../../protocol/errors.ts'
import {
  baseOffset,
  checkCrc,
  entryBytes,
  isControl,
  isTransactional,
  lastOffset,
  producerId,
} from '../../protocol/records/batch.ts'
import { UnsupportedCompression } from '../../protocol/records/compression/unsupported-compression.ts'
import { controlRecordType } from '../../protocol/records/control.ts'
import { CorruptRecords } from '../../protocol/records/corrupt-records.ts'
import { type BatchRecord, openBatch, readBatch } from '../../protocol/records/record.ts'
import type { RecordCursor } from '../../protocol/records/record-cursor.ts'
import type { Environment, Logger } from '../environment/environment.ts'
import { inTurns, type Steps } from '../environment/in-turns.ts'
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
  /** Something that was recorded is not known now. */
  readonly onPassedOver: () => void
  /** False once the partition went elsewhere: loading stops. */
  readonly isCurrent: () => boolean
}

export interface Loaded {
  readonly batches: number
  readonly records: number
  readonly durationMs: number
}

/** How far a load has come. */
interface Progress {
  /** Of the next record. */
  offset: number
  batches: number
  records: number
}

/** What a batch says, as far as it is read. */
interface OpenedBatch<R> {
  /** Null where it is a marker. */
  readonly records: readonly R[] | null
  readonly recordCount: number
}

/** Records between two places where others may have their turn. */
const recordsPerStep = 64

/** Replays the log. Rejects as said above. */
export async function loadRecords<S extends Shard<R>, R>(
  load: Load<S, R>,
  environment: Environment,
): Promise<Loaded> {
  const { log, isCurrent } = load
  const { clock, timers, buffers } = environment
  const turn = () => new Promise<void>((resolve) => timers.lineUp(resolve))
  await turn()
  const startMs = clock.monotonic()
  const endOffset = log.logEndOffset
  const progress: Progress = { offset: log.logStartOffset, batches: 0, records: 0 }
  while (progress.offset < endOffset && isCurrent()) {
    const bytes = await readSound(load, progress)
    if (bytes === null) continue
    // Compaction has taken what was last before the end, or a loss of power what was never promised.
    if (bytes.length === 0) break
    const before = progress.offset
    await inTurns(environment, replayChunk(load, bytes, progress, endOffset))
    buffers.release(bytes)
    if (!isCurrent()) break
    if (progress.offset === before) {
      throw new Error(`nothing to read at offset ${before} of ${endOffset}`)
    }
    await turn()
  }
  const durationMs = Math.round(clock.monotonic() - startMs)
  const { batches, records } = progress
  return { batches, records, durationMs }
}

/** Null: there is damage, and what is behind it is next. */
async function readSound<S extends Shard<R>, R>(
  load: Load<S, R>,
  progress: Progress,
): Promise<Buffer | null> {
  const { log } = load
  const { offset } = progress
  try {
    return await log.read(offset)
  } catch (err) {
    if (!(err instanceof KafkaError) || err.error !== errors.CORRUPT_MESSAGE) throw err
    const endOffset = log.endOfDamage(offset)
    if (endOffset <= offset) throw err
    passOver(load, 'a damaged stretch of the log is passed over', { offset, endOffset, err })
    progress.offset = endOffset
    return null
  }
}

function* replayChunk<S extends Shard<R>, R>(
  load: Load<S, R>,
  bytes: Buffer,
  progress: Progress,
  endOffset: number,
): Steps<void> {
  for (const position of positions(bytes)) {
    // Elsewhere by now, where the same is loaded.
    if (!load.isCurrent()) return
    const batch = yield* openedBatch(load, bytes, position, progress.offset)
    if (batch !== null) {
      yield* replayBatch(load, batch, bytes, position)
      progress.batches++
      progress.records += batch.recordCount
    }
    const nextOffset = lastOffset(bytes, position) + 1
    // The header of a damaged batch may say anything; then the next batch tells where it is.
    const isPlausible = nextOffset > progress.offset && nextOffset <= endOffset
    if (batch !== null || isPlausible) progress.offset = nextOffset
    yield
  }
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

/** Null if the batch is damaged; nothing of it counts then. */
function* openedBatch<S extends Shard<R>, R>(
  load: Load<S, R>,
  bytes: Buffer,
  position: number,
  offset: number,
): Steps<OpenedBatch<R> | null> {
  try {
    checkCrc(bytes, position)
    const cursor = openBatch(bytes, position)
    const isMarker = isControl(bytes, position)
    const records: R[] = []
    let recordCount = 0
    while (cursor.next()) {
      if (!isMarker) addDecoded(load, cursor, records)
      if (++recordCount % recordsPerStep === 0) yield
    }
    return { records: isMarker ? null : records, recordCount }
  } catch (err) {
    if (err instanceof UnsupportedCompression) throw err
    passOver(load, 'a damaged batch is passed over', { offset, err })
    return null
  }
}

function addDecoded<S extends Shard<R>, R>(
  load: Load<S, R>,
  cursor: RecordCursor,
  records: R[],
): void {
  const { kind } = load
  if (cursor.keyLength < 0) return
  try {
    const record = kind.decodeInPlace?.(cursor) ?? kind.decode(cursor.key as Buffer, cursor.value)
    if (record !== null) records.push(record)
  } catch (err) {
    const { offset } = cursor
    passOver(load, 'a record that cannot be decoded is passed over', { offset, err })
  }
}

function* replayBatch<S extends Shard<R>, R>(
  load: Load<S, R>,
  { records }: OpenedBatch<R>,
  bytes: Buffer,
  position: number,
): Steps<void> {
  if (records === null) {
    const [marker] = readBatch(bytes, position).records
    if (marker === undefined) return
    load.replayEnd(producerId(bytes, position), isCommit(marker, load))
    return
  }
  const producer = isTransactional(bytes, position) ? producerId(bytes, position) : null
  for (let at = 0; at < records.length; at += recordsPerStep) {
    load.replay(records.slice(at, at + recordsPerStep), baseOffset(bytes, position), producer)
    yield
  }
}

/** A marker that cannot be read commits nothing. */
function isCommit<S extends Shard<R>, R>({ key, offset }: BatchRecord, load: Load<S, R>): boolean {
  try {
    return controlRecordType(key) === 'commit'
  } catch (err) {
    passOver(load, 'a damaged transaction marker is passed over', { offset, err })
    return false
  }
}

function passOver<S extends Shard<R>, R>(load: Load<S, R>, message: string, fields: object): void {
  load.logger.error(message, { ...fields })
  load.onPassedOver()
}

/**
 * Loading a shard: every record of its partition, from the log's start to its end, through `apply`.
 *
 * Records of a transaction count only once its marker says so: they are held back until then,
 * applied at the commit marker, dropped at the abort marker. Between two reads the event loop gets
 * its turn.
 */
import { batches } from '../../protocol/records/batch.ts'
import { controlRecordType } from '../../protocol/records/control.ts'
import { type RecordBatch, readBatch } from '../../protocol/records/record.ts'
import type { Environment } from '../environment/environment.ts'
import type { CoordinatorLog, Shard, ShardKind } from './shard.ts'

export interface Load<S extends Shard<R>, R> {
  readonly log: CoordinatorLog
  readonly kind: ShardKind<S, R>
  readonly replay: (records: readonly R[]) => void
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
  /** Records of open transactions, by producer id. */
  const held = new Map<number, R[]>()
  let offset = log.logStartOffset
  let batchCount = 0
  let recordCount = 0
  while (offset < endOffset && isCurrent()) {
    const bytes = await log.read(offset)
    const before = offset
    for (const position of batches(bytes)) {
      const batch = readBatch(bytes, position)
      replayBatch(load, batch, held)
      batchCount++
      recordCount += batch.recordCount
      offset = batch.lastOffset + 1
    }
    if (offset === before) throw new Error(`nothing to read at offset ${offset} of ${endOffset}`)
    await new Promise<void>((resolve) => environment.timers.endOfTurn(resolve))
  }
  const durationMs = Math.round(environment.clock.monotonic() - startMs)
  return { batches: batchCount, records: recordCount, durationMs }
}

function replayBatch<S extends Shard<R>, R>(
  { kind, replay }: Load<S, R>,
  batch: RecordBatch,
  held: Map<number, R[]>,
): void {
  const { producerId } = batch
  if (batch.isControl) {
    const marker = batch.records[0]
    if (marker === undefined) return
    if (controlRecordType(marker.key) === 'commit') replay(held.get(producerId) ?? [])
    held.delete(producerId)
    return
  }
  const records = batch.records.flatMap(({ key, value }) => {
    const record = key === null ? null : kind.decode(key, value)
    return record === null ? [] : [record]
  })
  if (!batch.isTransactional) replay(records)
  else held.set(producerId, [...(held.get(producerId) ?? []), ...records])
}

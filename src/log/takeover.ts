/**
 * How a log takes the place of its partition's log in another directory (KIP-113), whatever line is the
 * last one of the process:
 *
 *     current's directory      next's directory
 *     orders-0                 orders-0.<id>-future     next has all that is readable, on the device, and
 *                                                       the checkpoints beside it say what they must
 *     orders-0.<id>-delete     orders-0.<id>-future     durable before the next step
 *     orders-0.<id>-delete     orders-0
 *
 * At the next start the first picture is a copy that goes on, the second one is finished: nothing else is
 * left, and the metadata said before that the partition lies there (KIP-858). Kafka renames in the other
 * order: what a crash between its two steps leaves, two logs of one partition, its next start refuses.
 *
 * What waits to be written to `current` at that moment, or for a sync there, is written to `next`.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { DiskError } from '../environment/disk.ts'
import type { CleanableLog, CleanedLog } from './compaction/cleanable-log.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { LogConfig } from './log-config.ts'
import type { LogEnd } from './log-end.ts'
import type { OpenLog } from './log-inventory.ts'
import type { PartitionDisk } from './partition-disk.ts'
import type { ProducerSnapshots } from './producer-snapshot.ts'
import type { ProducerStates } from './producer-states.ts'
import type { Segments } from './segments.ts'

/** What a log tells of itself. */
interface TakenLog extends CleanedLog, OpenLog {
  readonly cleanable: CleanableLog
  readonly nextOffset: number
  readonly highWatermark: number
  onWritten: (() => void) | null
  updateHighWatermark(offset: number): number
  updateConfig(config: LogConfig): void
}

/** One of the two logs, with its inside turned out. */
export interface TakeoverSide {
  readonly log: TakenLog
  /** `topic-partition`. */
  readonly name: string
  readonly disk: PartitionDisk
  readonly segments: Segments
  readonly epochs: LeaderEpochs
  readonly producers: ProducerStates
  readonly snapshots: ProducerSnapshots
  readonly end: LogEnd
  readonly startAt: (offset: number) => void
  /** Nobody reads it any more. */
  readonly close: () => void
}

/** Throws DiskError, and KafkaError KAFKA_STORAGE_ERROR: each has its own place then, where the disk allows. */
export function takePlace(next: TakeoverSide, current: TakeoverSide): void {
  const { log } = next
  next.end.commit()
  if (log.logEndOffset !== current.log.logEndOffset) {
    const message = `the copy of ${next.name} is not whole: it could not be written`
    throw new KafkaError(errors.KAFKA_STORAGE_ERROR, message)
  }
  next.epochs.copy(current.epochs)
  takeOverProducers(next, current)
  next.startAt(current.log.logStartOffset)
  log.updateHighWatermark(current.log.highWatermark)
  log.cleanable.copy(current.log.cleanable)
  const doomed = exchangePlaces(next, current)
  log.updateConfig(current.log.config)
  current.end.handOver(next.end)
  giveWay(current, doomed)
}

/** Of those of whose batches none is left nothing else tells: they are in a snapshot, durably, before `current` goes. */
function takeOverProducers(
  { log, producers, snapshots }: TakeoverSide,
  current: TakeoverSide,
): void {
  const { logEndOffset } = log
  const known = current.producers.entries().filter(({ lastOffset }) => lastOffset < logEndOffset)
  if (!producers.addUnknown(known)) return
  snapshots.keepOnly((offset) => offset !== logEndOffset)
  snapshots.take(logEndOffset, producers.entries())
  snapshots.replaceBatchesBelow(logEndOffset)
}

/** Makes `next` durable and exchanges the directories' names; gives that of `current`'s directory now. */
function exchangePlaces(next: TakeoverSide, current: TakeoverSide): string {
  if (next.epochs.persist(next.log.nextOffset, { sync: true })) next.segments.markNames()
  next.segments.syncNow(next.log.nextOffset)
  next.log.directory.logs.writeCheckpoints()
  // Some platforms rename no directory in which a file is open.
  for (const { segments } of [next, current]) segments.closeIdle()
  const doomed = current.log.directory.partitions.doomedName(current.name)
  try {
    current.disk.renameTo(doomed)
    next.disk.renameTo(next.name)
  } catch (error) {
    comeBack(current)
    throw error
  }
  return doomed
}

/**
 * That it is back is durable before what it appends next. A log that cannot get its place back is offline: the
 * copy, which is whole, is promoted at the next start.
 */
function comeBack({ log, name, disk, segments }: TakeoverSide): void {
  if (disk.name === name) return
  try {
    disk.renameUnsynced(name)
    segments.markDirectory()
  } catch (error) {
    log.directory.failPartition(name, error as DiskError)
  }
}

/** The files go when those who are reading them have had time enough. */
function giveWay({ log, name, close }: TakeoverSide, doomed: string): void {
  log.onWritten = null
  log.directory.logs.unregister(log)
  log.directory.partitions.replaced(name, doomed, { delayMs: log.config.fileDeleteDelayMs, close })
}

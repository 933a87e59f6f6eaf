/**
 * What a log consists of, as it is opened: its directory is claimed for the topic, what an unclean end left
 * is recovered, and of its producers and leader epochs all is known again.
 */

import { mustSyncAtStart } from './durability.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import { isCompacted, type LogConfig } from './log-config.ts'
import type { LogOptions } from './log-options.ts'
import type { CheckpointedOffsets } from './offset-checkpoints.ts'
import { PartitionDisk } from './partition-disk.ts'
import { claimDirectory } from './partition-metadata.ts'
import { restoreTransactions } from './producer-rebuild.ts'
import type { ProducerSnapshots } from './producer-snapshot.ts'
import { ProducerStates } from './producer-states.ts'
import { type Recovered, type RecoveryOptions, recover } from './recovery.ts'
import { Segment } from './segment.ts'
import type { SegmentOptions } from './segment-options.ts'
import type { Segments } from './segments.ts'
import { Tail } from './tail-cache.ts'

export interface LogParts {
  /** `topic-partition`. */
  readonly name: string
  readonly disk: PartitionDisk
  /** Of its directory, as the disk takes it. */
  readonly path: string
  readonly segments: Segments
  readonly snapshots: ProducerSnapshots
  readonly epochs: LeaderEpochs
  readonly producers: ProducerStates
  /** Null: every read goes to the disk. */
  readonly tail: Tail | null
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly checkpoints: CheckpointedOffsets
  /** Of a segment that is made, or taken over, now. */
  readonly segmentOptions: (baseOffset: number) => SegmentOptions
}

const oneDay = () => 24 * 3600 * 1000

/**
 * Synchronous; where it throws, no file stays open: the log may be opened once more. Throws DiskError, and
 * KafkaError INCONSISTENT_TOPIC_ID for another topic's files.
 */
export function openParts(options: LogOptions, config: () => LogConfig): LogParts {
  const { environment, directory, topicId, directoryName } = options
  const name = `${options.topic}-${options.partition}`
  const disk = new PartitionDisk(directory, name, directoryName)
  const path = `${directory.path}/${name}`
  // First of all: what is kept of an earlier log of this name must not be found for this one.
  const checkpoints = directory.logs.offsetsOf(name)
  disk.makeDirectory(path)
  claimDirectory(disk, path, topicId, environment.log)
  const segmentOptions = (baseOffset: number): SegmentOptions => ({
    disk,
    buffers: environment.buffers,
    directory: path,
    baseOffset,
    indexBytesMax: config().segmentIndexBytes,
    indexIntervalBytes: config().indexIntervalBytes,
    createdMs: environment.clock.now(),
    log: environment.log,
  })
  const epochs = new LeaderEpochs(disk, path)
  const producers = new ProducerStates(name, options.producerIdExpirationMs ?? oneDay)
  const recovered = recoverWhole({
    disk,
    directory: path,
    isClean: directory.isClean,
    ...checkpoints,
    epochs,
    producers,
    isGapless: !isCompacted(config()) && checkpoints.cleanedOffset < 0 && !options.mayHaveGaps,
    mustSync: (records) => mustSyncAtStart(config(), records),
    onDamage: options.onDamage ?? 'cut',
    replacedUpTo: options.replacedUpTo ?? 0,
    now: environment.clock.now(),
    log: environment.log,
    timers: environment.timers,
    openSegment: (baseOffset) => Segment.open(segmentOptions(baseOffset)),
    createSegment: (baseOffset) => Segment.create(segmentOptions(baseOffset)),
  })
  const tail = options.tailCache === null ? null : new Tail(options.tailCache)
  // What is copied from another log is in the cache as that log's.
  if (tail !== null) tail.isFilled = directoryName === undefined
  const { segments, snapshots, logStartOffset, logEndOffset } = recovered
  const known = { segments, snapshots, epochs, producers, tail, checkpoints }
  return { name, disk, path, ...known, logStartOffset, logEndOffset, segmentOptions }
}

function recoverWhole(options: RecoveryOptions): Recovered {
  let opened: Segment[] | null = []
  const noted = (segment: Segment) => {
    opened?.push(segment)
    return segment
  }
  try {
    const recovered = recover({
      ...options,
      openSegment: (baseOffset) => noted(options.openSegment(baseOffset)),
      createSegment: (baseOffset) => noted(options.createSegment(baseOffset)),
    })
    restoreTransactions({ ...recovered, producers: options.producers, log: options.log })
    opened = null
    return recovered
  } catch (error) {
    for (const segment of opened ?? []) segment.close(true)
    throw error
  }
}

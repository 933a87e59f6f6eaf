/** ListOffsets within a partition: the offset that a timestamp, or a number in its place, stands for. */
import type { OffsetAndTimestamp } from '../log/timestamp-lookup.ts'
import type { Partition } from './partition.ts'

/** The timestamps with a meaning of their own in ListOffsets. */
export const offsetSpec = {
  latest: -1,
  earliest: -2,
  /** KIP-734. */
  maxTimestamp: -3,
  /** KIP-405: the earliest that is not only in remote storage. */
  earliestLocal: -4,
  /** KIP-1005: the last in remote storage. */
  latestTiered: -5,
  /** KIP-1023: the earliest that remote storage does not have yet. */
  earliestPendingUpload: -6,
} as const

const nothingTiered: OffsetAndTimestamp = { offset: -1, timestamp: -1, leaderEpoch: -1 }

/** Null where there is none below `upToOffset`. */
export function lookUpOffset(
  partition: Partition,
  timestamp: number,
  upToOffset: number,
): OffsetAndTimestamp | null | Promise<OffsetAndTimestamp | null> {
  const log = partition.storedLog
  switch (timestamp) {
    case offsetSpec.latest:
      return { offset: upToOffset, timestamp: -1, leaderEpoch: partition.leaderEpoch }
    case offsetSpec.earliest:
    case offsetSpec.earliestLocal: {
      const offset = partition.logStartOffset
      const leaderEpoch = log === null ? partition.leaderEpoch : log.leaderEpochAt(offset)
      return { offset, timestamp: -1, leaderEpoch }
    }
    case offsetSpec.latestTiered:
    case offsetSpec.earliestPendingUpload:
      return nothingTiered
    case offsetSpec.maxTimestamp:
      if (log === null) return null
      return log.reader.offsetOfMaxTimestamp().then((found) => below(found, upToOffset))
    default:
      if (log === null) return null
      return log.reader.offsetForTimestamp(timestamp).then((found) => below(found, upToOffset))
  }
}

function below(found: OffsetAndTimestamp | null, offset: number): OffsetAndTimestamp | null {
  return found !== null && found.offset < offset ? found : null
}

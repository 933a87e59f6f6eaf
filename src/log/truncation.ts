/**
 * When records are cut off the end of a log, what was known of them goes as well: leader epochs that began
 * there, snapshots of producers, and what the producers wrote there last, which the batches left tell again.
 */
import type { Milliseconds } from '../environment/environment.ts'
import type { LogParts } from './log-parts.ts'
import { rebuildProducers, rememberEarlier } from './producer-rebuild.ts'

type Knowing = Pick<LogParts, 'segments' | 'snapshots' | 'epochs' | 'producers'>

/** The segments end at `offset` now. Throws DiskError. */
export function forgetFrom(
  offset: number,
  { segments, snapshots, epochs, producers }: Knowing,
  { logStartOffset, now }: { readonly logStartOffset: number; readonly now: Milliseconds },
): void {
  epochs.truncateFromEnd(offset)
  epochs.persist(offset, { sync: false })
  snapshots.keepOnly((snapshot) => snapshot <= offset)
  // One that came back would tell of producers as they never were.
  segments.markNames()
  const producersFrom = rebuildProducers({
    ...{ segments: segments.list, snapshots, producers, logStartOffset, now },
    snapshotMax: offset,
    rebuiltFrom: Number.POSITIVE_INFINITY,
  })
  rememberEarlier(producers, segments.list, producersFrom)
}

/** Nothing is left; the log goes on with `offset`. Throws DiskError. */
export function forgetAll(offset: number, { snapshots, epochs, producers }: Knowing): void {
  epochs.clear()
  epochs.persist(offset, { sync: false })
  producers.clear()
  snapshots.keepOnly(() => false)
}

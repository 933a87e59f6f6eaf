/**
 * Which offsets of the two clusters belong together. Records that were left out, transactions and retries make the two
 * drift apart, so that what was written (an offset sync) is the truth, and all between is made up of it, on the safe
 * side: a group may read records again, and misses none.
 *
 *     source  |--s----?-?--g---->   the group is behind the sync s, and how many of the records between
 *     target  |--s+1----------->    the two were mirrored is not known: it goes on right behind s
 *
 * Of each partition a few syncs are kept, ever fewer the older they are: of two neighbours one goes where those around it
 * are not twice as far from the end as the newer of them. So there are about two for each power of two, and
 * how far a group is put back is in proportion to how far it is behind.
 */
import type { Producer } from '../../client/producer.ts'
import { nameOf, type TopicPartition } from '../../client/topic-partition.ts'
import type { Logger } from '../../environment/environment.ts'
import { type OffsetSync, writeOffsetSync } from './mirror-records.ts'

export class OffsetSyncs {
  /** Newest first. */
  readonly #byPartition = new Map<string, OffsetSync[]>()
  /** Only the last ones count: what groups were told before may have been made up of any that came before. */
  #isForgetful: boolean
  #isComplete = false

  constructor({ isForgetful }: { isForgetful: boolean }) {
    this.#isForgetful = isForgetful
  }

  /** All is known that was written before: from now on there are answers. */
  complete(): void {
    this.#isComplete = true
    this.#isForgetful = false
  }

  add(sync: OffsetSync): void {
    const name = nameOf(sync)
    const kept = this.#byPartition.get(name)
    const newest = kept?.[0]
    // The source, or the target, begins anew: what was known before belongs to another topic.
    const isAnew =
      newest !== undefined &&
      (sync.upstreamOffset < newest.upstreamOffset ||
        sync.downstreamOffset < newest.downstreamOffset)
    if (kept === undefined || newest === undefined || isAnew || this.#isForgetful) {
      this.#byPartition.set(name, [sync])
      return
    }
    if (newest.upstreamOffset === sync.upstreamOffset) kept[0] = sync
    else kept.unshift(sync)
    thinOut(kept)
  }

  /** Where a group goes on in the target that would go on at `upstreamOffset` in the source; null: nobody knows. */
  translate(partition: TopicPartition, upstreamOffset: number): number | null {
    if (!this.#isComplete) return null
    const syncs = this.#byPartition.get(nameOf(partition)) ?? []
    const before = syncs.find((sync) => sync.upstreamOffset <= upstreamOffset)
    if (before === undefined) return null
    return before.downstreamOffset + (before.upstreamOffset === upstreamOffset ? 0 : 1)
  }
}

function thinOut(syncs: OffsetSync[]): void {
  const end = syncs[0]!.upstreamOffset
  const behind = (at: number): number => end - syncs[at]!.upstreamOffset
  for (let at = 1; at + 1 < syncs.length; ) {
    if (behind(at + 1) <= 2 * behind(at - 1) + 1) syncs.splice(at, 1)
    else at++
  }
}

/** How far the two ends of a partition were when it was looked at last. */
interface Progress {
  upstreamOffset: number
  downstreamOffset: number
  /** In the target, of the last sync. */
  syncedOffset: number | null
}

/**
 * Syncs that are being written at once. Of those that wait only the last of a partition is kept, and a group that is
 * between two that were written far apart is put back far.
 */
const outstandingMax = 1000

/** Writes offset syncs: at once where the last one has become too old, else when offsets are kept the next time. */
export class OffsetSyncWriter {
  readonly #producer: Pick<Producer, 'add' | 'close'>
  readonly #topic: string
  readonly #lagMax: number
  readonly #log: Logger
  readonly #progress = new Map<string, Progress>()
  readonly #delayed = new Map<string, OffsetSync>()
  readonly #pending = new Map<string, OffsetSync>()
  #outstanding = 0
  #isClosed = false

  /** `lagMax`: records that a group may have to read again. */
  constructor(
    producer: Pick<Producer, 'add' | 'close'>,
    topic: string,
    { lagMax, log }: { lagMax: number; log: Logger },
  ) {
    this.#producer = producer
    this.#topic = topic
    this.#lagMax = lagMax
    this.#log = log
  }

  /** The record is there in both. */
  mirrored(sync: OffsetSync): void {
    const name = nameOf(sync)
    // No group that is before the first of a partition can be translated: it is never left out.
    const isFirst = !this.#progress.has(name)
    const isDue = this.#isDue(name, sync)
    if (isDue) this.#delayed.delete(name)
    if (isFirst) this.#send(name, sync)
    else (isDue ? this.#pending : this.#delayed).set(name, sync)
    if (isDue) this.#write()
  }

  /** Those that were not due yet are written too: a topic to which little comes must not stay behind. */
  commit(): void {
    for (const [name, sync] of this.#delayed) this.#pending.set(name, sync)
    this.#delayed.clear()
    this.#write()
  }

  /** Resolves when what is under way has been written, or has failed. */
  close(): Promise<void> {
    this.#isClosed = true
    return this.#producer.close()
  }

  #isDue(name: string, { upstreamOffset, downstreamOffset }: OffsetSync): boolean {
    let progress = this.#progress.get(name)
    if (progress === undefined) {
      progress = { upstreamOffset: -1, downstreamOffset: -1, syncedOffset: null }
      this.#progress.set(name, progress)
    }
    const { syncedOffset } = progress
    const isDue =
      syncedOffset === null ||
      downstreamOffset - (syncedOffset + 1) >= this.#lagMax ||
      upstreamOffset !== progress.upstreamOffset + 1 ||
      downstreamOffset < progress.downstreamOffset
    Object.assign(progress, { upstreamOffset, downstreamOffset })
    if (isDue) progress.syncedOffset = downstreamOffset
    return isDue
  }

  #write(): void {
    for (const [name, sync] of this.#pending) {
      if (this.#isClosed || this.#outstanding >= outstandingMax) return
      this.#pending.delete(name)
      this.#send(name, sync)
    }
  }

  #send(name: string, sync: OffsetSync): void {
    if (this.#isClosed) return
    this.#outstanding++
    const { key, value } = writeOffsetSync(sync)
    this.#producer.add({ topic: this.#topic, partition: 0, key, value }, (error) => {
      this.#outstanding--
      if (error === null) this.#write()
      else this.#notWritten(name, sync, error)
    })
  }

  /** The next commit tries again, unless there is a later one. */
  #notWritten(name: string, sync: OffsetSync, error: Error): void {
    this.#log.error('An offset sync could not be written', { reason: String(error) })
    if (!this.#pending.has(name) && !this.#delayed.has(name)) this.#delayed.set(name, sync)
  }
}

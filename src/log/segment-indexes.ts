/**
 * The offset index and the time index of a segment, which are made, opened and written together.
 * What is in the files of an index that was there before is a claim: see `SegmentContents`, which checks it.
 */
import { type Disk, DiskError } from '../environment/disk.ts'
import { syncFile } from './checkpoints.ts'
import { isDeviceError } from './fenced-disk.ts'
import { OffsetIndex } from './offset-index.ts'
import { isOutOfFiles } from './out-of-files.ts'
import { TimeIndex } from './time-index.ts'

export interface SegmentIndexesOptions {
  readonly disk: Disk
  /** The path of the segment, without a suffix. */
  readonly path: string
  /** Behind the names of the files. */
  readonly suffix: string
  readonly baseOffset: number
  readonly bytesMax: number
}

export class SegmentIndexes {
  readonly offsets: OffsetIndex
  readonly times: TimeIndex

  private constructor(options: SegmentIndexesOptions, offsetBytes: number, timeBytes: number) {
    const { disk, baseOffset, bytesMax } = options
    const { offsets, times } = pathsOf(options)
    this.offsets = new OffsetIndex(disk, offsets, baseOffset, bytesMax, offsetBytes)
    this.times = new TimeIndex(disk, times, baseOffset, bytesMax, timeBytes)
  }

  /** Empty ones, in the place of those that may be there. */
  static make(options: SegmentIndexesOptions): SegmentIndexes {
    return new SegmentIndexes(options, -1, -1)
  }

  /** Those in the files; null where one is missing, cannot be read or has no index's size. */
  static open(options: SegmentIndexesOptions): SegmentIndexes | null {
    const { disk } = options
    const { offsets, times } = pathsOf(options)
    const offsetBytes = sizeOf(disk, offsets)
    const timeBytes = sizeOf(disk, times)
    if (!OffsetIndex.isSize(offsetBytes) || !TimeIndex.isSize(timeBytes)) return null
    try {
      return new SegmentIndexes(options, offsetBytes, timeBytes)
    } catch (error) {
      const isDamage = error instanceof DiskError && !isDeviceError(error) && !isOutOfFiles(error)
      if (!isDamage) throw error
      for (const file of [offsets, times]) disk.remove(file)
      return null
    }
  }

  get isFull(): boolean {
    return this.offsets.isFull || this.times.isFull
  }

  /** Writes the files, unsynced. */
  persist(): void {
    this.offsets.persist()
    this.times.persist()
  }

  /** As `persist`, unless no file can be opened now: that is left to the next time. */
  persistIfPossible(): void {
    try {
      this.persist()
    } catch (error) {
      if (!isOutOfFiles(error)) throw error
    }
  }
}

const pathsOf = ({ path, suffix }: SegmentIndexesOptions) => ({
  offsets: `${path}.index${suffix}`,
  times: `${path}.timeindex${suffix}`,
})

/** -1 where there is no file. */
const sizeOf = (disk: Disk, path: string): number => (disk.exists(path) ? disk.stat(path).size : -1)

/** Makes durable what there is of the index files of a segment. */
export async function syncIndexFiles(
  disk: Disk,
  { path: segmentPath, suffix }: Pick<SegmentIndexesOptions, 'path' | 'suffix'>,
): Promise<void> {
  for (const index of ['.index', '.timeindex', '.txnindex']) {
    await syncFile(disk, `${segmentPath}${index}${suffix}`)
  }
}

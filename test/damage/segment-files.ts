/** The files of a partition's directory as a damager sees them: segments, and the batches in them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as header from '../../protocol/records/batch.ts'

export interface StoredBatch {
  readonly position: number
  readonly bytes: number
  readonly baseOffset: number
  readonly lastOffset: number
}

export interface StoredSegment {
  readonly baseOffset: number
  /** The name of its files, without what follows the dot. */
  readonly name: string
  readonly batches: readonly StoredBatch[]
  /** Of the records; the file may be longer. */
  readonly bytes: number
}

export const segmentName = (baseOffset: number): string => String(baseOffset).padStart(20, '0')

/** The segments of an undamaged partition, in order. */
export function segmentsIn(partitionDirectory: string): StoredSegment[] {
  return readdirSync(partitionDirectory)
    .filter((file) => file.endsWith('.log'))
    .sort()
    .map((file) => {
      const content = readFileSync(join(partitionDirectory, file))
      const batches: StoredBatch[] = []
      let position = 0
      for (;;) {
        const bytes = header.entryBytes(content, position, content.length)
        if (bytes === null || header.magic(content, position) !== 2) break
        const baseOffset = header.baseOffset(content, position)
        const lastOffset = header.lastOffset(content, position)
        batches.push({ position, bytes, baseOffset, lastOffset })
        position += bytes
      }
      const name = file.slice(0, -'.log'.length)
      return { baseOffset: Number(name), name, batches, bytes: position }
    })
}

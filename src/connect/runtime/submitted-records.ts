/**
 * Records of a source that are on their way to Kafka, by the part of the source they come from: an offset
 * may be kept once all records up to it, of its part, are acknowledged.
 */
import { writeJson } from '../json-text.ts'
import type { SourcePosition, SourceRecord } from '../records.ts'
import { toJson } from '../storage/offset-state.ts'

export interface Submitted {
  readonly partition: SourcePosition
  readonly offset: SourcePosition
  isAcknowledged: boolean
}

interface Lane {
  readonly partition: SourcePosition
  queue: Submitted[]
}

export class SubmittedRecords {
  readonly #lanes = new Map<string, Lane>()

  add({ sourcePartition: partition, sourceOffset: offset }: SourceRecord): Submitted {
    const submitted: Submitted = { partition, offset, isAcknowledged: false }
    const name = writeJson(toJson(partition))
    const lane = this.#lanes.get(name)
    if (lane === undefined) this.#lanes.set(name, { partition, queue: [submitted] })
    else lane.queue.push(submitted)
    return submitted
  }

  /** The last offset of each part that may be kept; what they cover is forgotten. */
  takeCommittable(): { partition: SourcePosition; offset: SourcePosition }[] {
    const offsets: { partition: SourcePosition; offset: SourcePosition }[] = []
    for (const [name, lane] of this.#lanes) {
      const first = lane.queue.findIndex(({ isAcknowledged }) => !isAcknowledged)
      const count = first < 0 ? lane.queue.length : first
      const last = lane.queue[count - 1]
      if (last === undefined) continue
      offsets.push({ partition: lane.partition, offset: last.offset })
      lane.queue = lane.queue.slice(count)
      if (lane.queue.length === 0) this.#lanes.delete(name)
    }
    return offsets
  }
}

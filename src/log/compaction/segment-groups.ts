/**
 * Which neighbouring segments become one: as many as fit in segment.bytes as they are, and in their
 * indexes; so segments that compaction has made small do not add up.
 */
import type { LogConfig } from '../log-config.ts'
import type { Segment } from '../segment.ts'

/** Indexes hold distances of 31 bits from where a segment begins. */
const spanMax = 0x7fff_ffff

/**
 * `segments` in a row, each with its end. Their indexes have to be opened: `breathe` runs before each,
 * for others to have their turn.
 */
export async function groupSegments(
  segments: readonly Segment[],
  config: LogConfig,
  breathe: () => Promise<void> | undefined,
): Promise<Segment[][]> {
  const groups: Segment[][] = []
  let group: Segment[] = []
  let bytes = 0
  let offsetBytes = 0
  let timeBytes = 0
  for (const segment of segments) {
    await breathe()
    const { offsets, times } = segment.indexBytes
    const first = group[0]
    const fits =
      first !== undefined &&
      bytes + segment.size <= config.segmentBytes &&
      offsetBytes + offsets <= config.segmentIndexBytes &&
      timeBytes + times <= config.segmentIndexBytes &&
      (segment.size === 0 || segment.endOffset - 1 - first.baseOffset <= spanMax)
    if (!fits) {
      group = []
      groups.push(group)
      bytes = 0
      offsetBytes = 0
      timeBytes = 0
    }
    group.push(segment)
    bytes += segment.size
    offsetBytes += offsets
    timeBytes += times
  }
  return groups
}

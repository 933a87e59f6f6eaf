/**
 * Offsets in the checkpoint files that cannot be: a log that believed them would go on there, behind a gap that
 * it calls damaged, and at last have no offsets left. What is not believed counts as where the file is missing.
 *
 * A segment spans 2^31 offsets at most, so a log ends that far behind the base of its newest one at the latest;
 * another segment may have been lost. Where none is left the files are held against each other: what was
 * durable and what was committed never are a segment apart. Nothing but a file that is damaged names offsets
 * from `offsetsMax` on: a million records a second reach it in a century. Who must not lose anything refuses
 * instead, as for all that is missing.
 */
import { highWatermarkFile, logStartFile, parentOf, recoveryPointFile } from './checkpoints.ts'
import { noOffsets } from './offset-checkpoints.ts'
import type { RecoveryOptions } from './recovery.ts'
import { nameOf } from './segment-options.ts'

const segmentOffsetsMax = 2 ** 31
/** As many are left for the records to come. */
const offsetsMax = 2 ** 52

const files = {
  recoveryPoint: recoveryPointFile,
  highWatermark: highWatermarkFile,
  logStartOffset: logStartFile,
} as const

type Doubted = keyof typeof files

/** `bases`: those of the segments, rising. */
export function withoutDoubtful(
  options: RecoveryOptions,
  bases: readonly number[],
): RecoveryOptions {
  if (options.onDamage === 'refuse') return options
  const { recoveryPoint, highWatermark } = options
  const newest = bases.at(-1)
  const known = [recoveryPoint, highWatermark].filter((offset) => offset > 0)
  const offsetMax =
    newest === undefined
      ? Math.min(...known, offsetsMax - segmentOffsetsMax) + segmentOffsetsMax
      : newest + 2 * segmentOffsetsMax
  let believed = options
  for (const key of Object.keys(files) as Doubted[]) {
    const offset = options[key]
    if (offset <= offsetMax) continue
    const { directory, log } = options
    const file = `${parentOf(directory)}/${files[key]}`
    const fields = { partition: nameOf(directory), file, offset, segments: bases.length }
    log.warn('a checkpointed offset lies further above the log than can be, and is ignored', fields)
    believed = { ...believed, [key]: noOffsets[key] }
  }
  return believed
}

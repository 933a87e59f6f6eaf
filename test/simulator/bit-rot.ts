/**
 * Turns over bits of a file while the broker does not run, and says what cannot be promised any more: the
 * damaged batch and what is behind it in that partition, and nothing else. Damage to what can be rebuilt
 * excuses nothing; damage to the metadata log may keep the broker from starting until it is undone.
 */
import { batchAt, startOfLastBatch } from './log-files.ts'
import type { MemoryDisk } from './memory-disk.ts'
import type { SeededRandom } from './random.ts'
import type { Stage } from './stage.ts'

export interface Flip {
  readonly mayRefuse: boolean
  readonly touchesOffsets: boolean
  /** What was known of transactions may be gone. */
  readonly touchesTransactions: boolean
  /** Puts right what was flipped, where it is still there. */
  undo(disk: MemoryDisk): void
}

const rebuildable = /\.(index|timeindex|txnindex|snapshot)$|\/leader-epoch-checkpoint$/
const snapshotFile = /\/([^/]+-\d+)\/\d{20}\.snapshot$/
const metadataLog = /\/__cluster_metadata-0\/\d{20}\.log$/
const offsetsLog = /\/__consumer_offsets-\d+\/\d{20}\.log$/
const transactionsLog = /\/__transaction_state-\d+\/\d{20}\.log$/
/** What depends on these goes on without saying that it does. */
const sparedLog = /\/ledger\.\d+-\d+\/\d{20}\.log$/
const logFile = /\/([^/]+)-(\d+)\/(\d{20})\.log$/

export function flipBits(
  stage: Stage,
  disk: MemoryDisk,
  options: { random: SeededRandom; isAfterCleanStop: boolean },
): Flip | null {
  const { random, isAfterCleanStop } = options
  const files = disk.snapshot('written')
  const paths = [...files].filter(([path, content]) => content.length > 0 && isTarget(path, stage))
  if (paths.length === 0) return null
  const [path, content] = random.pick(paths)
  // After an unclean end nothing tells damage to the last batch from one that was torn.
  const isSpared = metadataLog.test(path) && !isAfterCleanStop
  const bytes = isSpared ? startOfLastBatch(content) : content.length
  if (bytes === 0) return null
  const bits = Array.from({ length: random.between(1, 3) }, () => random.between(0, bytes * 8 - 1))
  for (const bit of bits) note(stage, path, content, bit)
  for (const bit of bits) disk.flipBit(path, bit)
  stage.trace.fault(
    'flipped bits',
    `${path} ${bits.map((bit) => `${bit >> 3}.${bit & 7}`).join(' ')}`,
  )
  return {
    mayRefuse: path.includes('/__cluster_metadata-0/'),
    touchesOffsets: offsetsLog.test(path),
    touchesTransactions: transactionsLog.test(path),
    undo: (next) => next.flipBack(path, bits, content),
  }
}

function isTarget(path: string, { temper, history }: Stage): boolean {
  // A coordinator that is out of service for good has its clients ask for hours.
  if (temper.durationMs > 600_000 && offsetsLog.test(path)) return false
  const [, name = ''] = snapshotFile.exec(path) ?? []
  // It is all that is known of the producers of what is gone: nothing is left to rebuild it from.
  if ((history.partitions.get(name)?.startMax ?? 0) > 0) return false
  return rebuildable.test(path) || (logFile.test(path) && !sparedLog.test(path))
}

function note({ history, trace }: Stage, path: string, content: Buffer, bit: number): void {
  const match = logFile.exec(path)
  if (match === null) return
  const partition = history.partitions.get(`${match[1]}-${match[2]}`)
  if (partition === undefined) return
  const hit = batchAt(content, bit >> 3)
  if (hit === null) return
  trace.say('host', `${partition.name} is damaged at ${hit.base} to ${hit.last}`)
  history.damaged(partition, hit)
}

/**
 * Turns over bits of a file while the broker does not run, and says what cannot be promised any more: the
 * damaged batch and what is behind it in that partition, and nothing else. Damage to what can be rebuilt
 * excuses nothing; damage to the metadata log may keep the broker from starting until it is undone.
 */
import { batchAt } from './log-files.ts'
import type { MemoryDisk } from './memory-disk.ts'
import type { SeededRandom } from './random.ts'
import type { Stage } from './stage.ts'

export interface Flip {
  readonly mayRefuse: boolean
  readonly touchesOffsets: boolean
  undo(disk: MemoryDisk): void
}

const rebuildable = /\.(index|timeindex|txnindex|snapshot)$|\/leader-epoch-checkpoint$/
const logFile = /\/([^/]+)-(\d+)\/(\d{20})\.log$/

export function flipBits(stage: Stage, disk: MemoryDisk, random: SeededRandom): Flip | null {
  const files = disk.snapshot('written')
  const paths = [...files].filter(([path, content]) => content.length > 0 && isTarget(path))
  if (paths.length === 0) return null
  const [path, content] = random.pick(paths)
  const bits = Array.from({ length: random.between(1, 3) }, () =>
    random.between(0, content.length * 8 - 1),
  )
  for (const bit of bits) note(stage, path, content, bit)
  for (const bit of bits) disk.flipBit(path, bit)
  stage.trace.fault(
    'flipped bits',
    `${path} ${bits.map((bit) => `${bit >> 3}.${bit & 7}`).join(' ')}`,
  )
  return {
    mayRefuse: path.includes('/__cluster_metadata-0/'),
    touchesOffsets: path.includes('/__consumer_offsets-'),
    undo: (next) => {
      for (const bit of bits) next.flipBit(path, bit)
    },
  }
}

function isTarget(path: string): boolean {
  return rebuildable.test(path) || logFile.test(path)
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

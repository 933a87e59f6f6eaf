/**
 * Kafka's checkpoint files: a version line, a line with the number of entries, one entry a line.
 * Those of a log directory hold `topic partition offset`; the one of a partition holds `epoch
 * startOffset`. A file is replaced as a whole: written beside, synced, renamed, and the directory
 * synced.
 */
import { type Disk, DiskError } from '../environment/disk.ts'

export const recoveryPointFile = 'recovery-point-offset-checkpoint'
export const highWatermarkFile = 'replication-offset-checkpoint'
export const logStartFile = 'log-start-offset-checkpoint'

/** The directory that holds `path`. */
export const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/'

/**
 * Replaces a file whole. With `sync` the old or the new content survives a crash, never a mixture.
 */
export function replaceFile(
  disk: Disk,
  path: string,
  content: string | Buffer,
  options: { sync: boolean },
): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  const beside = `${path}.tmp`
  const file = disk.open(beside, 'create')
  try {
    file.truncate(0)
    file.write([bytes], 0)
    if (options.sync) file.syncNow()
  } finally {
    file.close()
  }
  disk.rename(beside, path)
  if (options.sync) disk.syncDirectory(parentOf(path))
}

/** The content of a file, or null where there is none. */
export function readFileIfAny(disk: Disk, path: string): Buffer | null {
  // An error costs far more than the look, and new partitions have none of these files.
  if (!disk.exists(path)) return null
  try {
    return disk.readFile(path)
  } catch (error) {
    if (error instanceof DiskError && error.code === 'ENOENT') return null
    throw error
  }
}

/** Lines of a checkpoint file, split into fields; null where there is no file or it is damaged. */
export function readCheckpoint(disk: Disk, path: string): string[][] | null {
  const bytes = readFileIfAny(disk, path)
  if (bytes === null) return null
  const lines = bytes.toString('utf8').split('\n')
  // Without the last line's end the file was cut short, perhaps within a number.
  if (lines.at(-1) !== '') return null
  const count = Number(lines[1])
  if (lines[0] !== '0' || !Number.isInteger(count) || count < 0) return null
  const entries = lines.slice(2).filter((line) => line !== '')
  return entries.length === count ? entries.map((line) => line.split(' ')) : null
}

export const formatCheckpoint = (lines: readonly string[]): string =>
  `0\n${lines.length}\n${lines.map((line) => `${line}\n`).join('')}`

/**
 * Offsets by `topic-partition`. A damaged file counts as empty: the logs say the rest themselves.
 */
export function readOffsets(disk: Disk, path: string): Map<string, number> {
  const offsets = new Map<string, number>()
  for (const [topic, partition, offset] of readCheckpoint(disk, path) ?? []) {
    const value = Number(offset)
    if (Number.isSafeInteger(value) && value >= 0) offsets.set(`${topic}-${partition}`, value)
  }
  return offsets
}

/** `entries`: offsets by `topic-partition`. */
export function writeOffsets(disk: Disk, path: string, entries: ReadonlyMap<string, number>): void {
  const lines: string[] = []
  for (const [name, offset] of entries) {
    const dash = name.lastIndexOf('-')
    lines.push(`${name.slice(0, dash)} ${name.slice(dash + 1)} ${offset}`)
  }
  replaceFile(disk, path, formatCheckpoint(lines), { sync: true })
}

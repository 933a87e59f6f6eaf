/**
 * Kafka's checkpoint files: a version line, a line with the number of entries, one entry a line.
 * Those of a log directory hold `topic partition offset`; the one of a partition holds `epoch
 * startOffset`. A file is replaced as a whole: written beside, synced, renamed, and the directory
 * synced. Everything in them can be found again in the logs, so whatever is read here in their
 * place counts as nothing, and whatever stands in the way is moved aside.
 */
import { type Disk, DiskError, type DiskFile } from '../environment/disk.ts'
import { isDeviceError } from './fenced-disk.ts'
import { isOutOfFiles } from './out-of-files.ts'

export const recoveryPointFile = 'recovery-point-offset-checkpoint'
export const highWatermarkFile = 'replication-offset-checkpoint'
export const logStartFile = 'log-start-offset-checkpoint'
export const cleanerFile = 'cleaner-offset-checkpoint'

const damagedSuffix = '.damaged'

/** Of a file; where it is large, in pieces. */
type Content = string | Buffer | Buffer[]

/** The directory that holds `path`. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '.' : path.slice(0, slash) || '/'
}

/**
 * Replaces a file whole. With `sync` the old or the new content survives a crash, never a mixture; that it
 * is the new one comes with the next sync of the directory where `isNameLater`.
 */
export function replaceFile(
  disk: Disk,
  path: string,
  content: Content,
  options: { sync: boolean; isNameLater?: boolean },
): void {
  const file = openBeside(disk, path)
  try {
    fill(file, content)
    if (options.sync) file.syncNow()
  } finally {
    file.close()
  }
  takePlace(disk, path)
  if (options.sync && options.isNameLater !== true) disk.syncDirectory(parentOf(path))
}

/**
 * As `replaceFile`, with the sync off the event loop and without that of the directory: after a loss
 * of power it may be the old file. Leaves it as it is where `isCurrent` says so by then.
 */
export async function replaceFileInBackground(
  disk: Disk,
  path: string,
  content: Content,
  isCurrent: () => boolean,
): Promise<void> {
  // Filled as soon as it is open: later it may be what somebody else has put in the place.
  const file = await disk.openWhenPossible(path, () => openFilled(disk, path, content))
  await syncAndClose(file)
  if (isCurrent()) takePlace(disk, path)
}

function openFilled(disk: Disk, path: string, content: Content): DiskFile {
  const file = openBeside(disk, path)
  try {
    fill(file, content)
    return file
  } catch (error) {
    file.close()
    throw error
  }
}

/** Makes durable what was written to a file. Rejects with DiskError; it is closed in either case. */
export async function syncAndClose(file: DiskFile): Promise<void> {
  try {
    await file.sync()
  } finally {
    file.close()
  }
}

/** As `syncAndClose`, of one that is not open; opened as soon as that is possible. */
export async function syncFile(disk: Disk, path: string): Promise<void> {
  const open = () => (disk.exists(path) ? disk.open(path, 'write') : null)
  const file = await disk.openWhenPossible(path, open)
  if (file !== null) await syncAndClose(file)
}

function fill(file: DiskFile, content: Content): void {
  file.truncate(0)
  if (typeof content === 'string') file.write([Buffer.from(content)], 0)
  else file.write(Buffer.isBuffer(content) ? [content] : content, 0)
}

/** Where the new content of a file is written before it takes its place. */
export const besideOf = (path: string): string => `${path}.tmp`

function openBeside(disk: Disk, path: string): DiskFile {
  const beside = besideOf(path)
  return despiteObstacle(disk, beside, () => disk.open(beside, 'create'))
}

function takePlace(disk: Disk, path: string): void {
  despiteObstacle(disk, path, () => disk.rename(besideOf(path), path))
}

/** A directory may stand where a file belongs: it is moved aside then. */
function despiteObstacle<T>(disk: Disk, path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (isDeviceError(error) || !disk.exists(path) || !disk.stat(path).isDirectory) throw error
    moveAside(disk, path)
    return action()
  }
}

/** Renames what has this name to `<name>.damaged`, or `.damaged-2` and so on; returns the new path. */
export function moveAside(disk: Disk, path: string): string {
  let aside = `${path}${damagedSuffix}`
  for (let count = 2; disk.exists(aside); count++) aside = `${path}${damagedSuffix}-${count}`
  disk.rename(path, aside)
  return aside
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

/**
 * As `readFileIfAny`, for files that can be made anew: null also for what cannot be read (EISDIR, EACCES),
 * unless it can be a moment later.
 */
export function readFileIfReadable(disk: Disk, path: string): Buffer | null {
  try {
    return readFileIfAny(disk, path)
  } catch (error) {
    const isForGood = !isDeviceError(error) && !isOutOfFiles(error)
    if (error instanceof DiskError && isForGood) return null
    throw error
  }
}

/** Lines of a checkpoint file, split into fields; null where there is no file or it is damaged. */
export function readCheckpoint(disk: Disk, path: string): string[][] | null {
  const bytes = readFileIfReadable(disk, path)
  if (bytes === null) return null
  const lines = bytes.toString('utf8').split('\n')
  // Without the last line's end the file was cut short, perhaps within a number.
  if (lines.at(-1) !== '') return null
  const count = Number(lines[1])
  if (lines[0] !== '0' || !Number.isInteger(count) || count < 0) return null
  const entries = lines.slice(2).filter((line) => line !== '')
  return entries.length === count ? entries.map((line) => line.split(' ')) : null
}

/** What stands before the entries. */
export const checkpointHead = (count: number): string => `0\n${count}\n`

export const formatCheckpoint = (lines: readonly string[]): string =>
  checkpointHead(lines.length) + lines.map((line) => `${line}\n`).join('')

/** Offsets by `topic-partition`; null where there is no file or it is damaged. */
export function readOffsets(disk: Disk, path: string): Map<string, number> | null {
  const lines = readCheckpoint(disk, path)
  if (lines === null) return null
  const offsets = new Map<string, number>()
  for (const fields of lines) {
    const [topic, partition, offset] = fields
    const isSound = fields.length === 3 && /^\d+$/.test(`${partition}${offset}`)
    if (!isSound || !Number.isSafeInteger(Number(offset))) return null
    offsets.set(`${topic}-${partition}`, Number(offset))
  }
  return offsets
}

/** The entry of the log `topic-partition`, with the end of its line. */
export function offsetLine(name: string, offset: number): string {
  const dash = name.lastIndexOf('-')
  return `${name.slice(0, dash)} ${name.slice(dash + 1)} ${offset}\n`
}

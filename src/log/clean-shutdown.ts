/**
 * `.kafka_cleanshutdown` says that whoever had a log directory last closed it in good order, and with which broker epoch
 * (KIP-966). It is removed once it was read: a second crash counts as one (KAFKA-10471).
 */
import type { Disk } from '../environment/disk.ts'
import type { Logger } from '../environment/environment.ts'
import { moveAside, readFileIfReadable, replaceFile } from './checkpoints.ts'

const fileName = '.kafka_cleanshutdown'

/** The broker epoch (-1: not told), or null after any other end. Throws DiskError. */
export function readCleanShutdown(
  disk: Disk,
  directory: string,
  log: Pick<Logger, 'warn'>,
): number | null {
  const path = `${directory}/${fileName}`
  if (!disk.exists(path)) return null
  const brokerEpoch = brokerEpochOf(readFileIfReadable(disk, path))
  if (brokerEpoch === null)
    log.warn('the clean-shutdown file is damaged: the logs are checked', { file: path })
  return brokerEpoch
}

/** Durably. Throws DiskError. */
export function removeCleanShutdown(disk: Disk, directory: string): void {
  const path = `${directory}/${fileName}`
  if (!disk.exists(path)) return
  if (disk.stat(path).isDirectory) moveAside(disk, path)
  else disk.remove(path)
  disk.syncDirectory(directory)
}

/** Durably. Throws DiskError. */
export function writeCleanShutdown(disk: Disk, directory: string, brokerEpoch: number): void {
  const content = JSON.stringify({ version: 0, brokerEpoch })
  replaceFile(disk, `${directory}/${fileName}`, content, { sync: true })
}

/** Null for what no clean shutdown writes. */
function brokerEpochOf(content: Buffer | null): number | null {
  const text = content?.toString('utf8') ?? ''
  if (!/^\s*\{[^{}]*"version"\s*:\s*0\b[^{}]*\}\s*$/.test(text)) return null
  const match = /"brokerEpoch"\s*:\s*(-?\d+)/.exec(text)
  return match === null ? -1 : Number(match[1])
}

/**
 * The state at the end of what is stored: the newest snapshot that is whole, then the log after it. Every
 * byte that is replayed is checked, after a clean stop as well: nothing else would notice the damage.
 *
 * A snapshot that is damaged is put aside if an older one, or the log alone, still covers everything.
 * Otherwise, and for damage in the log, the start is refused: what comes after it exists nowhere else.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { Environment } from '../environment/environment.ts'
import type { RaftLog } from '../raft/raft-log.ts'
import {
  DamagedSnapshot,
  listSnapshots,
  readSnapshot,
  removeUnfinished,
  type SnapshotFile,
} from '../raft/snapshot-files.ts'
import { emptyImage } from './image.ts'
import { MetadataLoader } from './loader.ts'
import { MetadataError } from './metadata-error.ts'

export interface LoadOptions {
  readonly clusterId: string
  /** The directory of `__cluster_metadata-0`. */
  readonly partitionDirectory: string
  readonly log: RaftLog
  readonly environment: Pick<Environment, 'disk' | 'log'>
}

/** Bytes of log replayed at a time. */
const chunkBytes = 1024 * 1024

/** Rejects with DiskError, and with MetadataError for what is damaged, missing or not understood. */
export async function loadMetadata(options: LoadOptions): Promise<MetadataLoader> {
  const { disk } = options.environment
  removeUnfinished(disk, options.partitionDirectory)
  const loader = loadSnapshot(options)
  await replayLog(loader, options)
  return loader
}

/** A loader that holds the newest whole snapshot, if there is one; the log begins no later than it ends. */
function loadSnapshot(options: LoadOptions): MetadataLoader {
  const { log, partitionDirectory, environment } = options
  const damaged: { file: SnapshotFile; error: DamagedSnapshot }[] = []
  for (const file of listSnapshots(environment.disk, partitionDirectory).reverse()) {
    const loader = new MetadataLoader(emptyImage(options.clusterId))
    try {
      const { content, lastContainedMs } = readSnapshot(environment.disk, file.path)
      loader.loadSnapshot(content, file.endOffset - 1, file.epoch, lastContainedMs)
    } catch (error) {
      if (error instanceof DamagedSnapshot) damaged.push({ file, error })
      else throw refused(file.path, error)
      continue
    }
    if (isCovered(file.endOffset, log, damaged)) return settle(loader, file, damaged, options)
  }
  const loader = new MetadataLoader(emptyImage(options.clusterId))
  if (isCovered(0, log, damaged)) return settle(loader, undefined, damaged, options)
  const [newest] = damaged
  if (newest !== undefined) throw refused(newest.file.path, newest.error)
  throw new MetadataError(
    `the metadata log in ${partitionDirectory} begins at offset ${log.startOffset}, and no snapshot ` +
      `stands for what was before: refuses to start. ${advice}`,
  )
}

/** Whether the log has everything after `endOffset`, as far as the damaged snapshots reached at least. */
function isCovered(
  endOffset: number,
  log: RaftLog,
  damaged: readonly { readonly file: SnapshotFile }[],
): boolean {
  const reached = Math.max(0, ...damaged.map(({ file }) => file.endOffset))
  return log.startOffset <= endOffset && (reached <= endOffset || reached <= log.endOffset)
}

function settle(
  loader: MetadataLoader,
  file: SnapshotFile | undefined,
  damaged: readonly { readonly file: SnapshotFile; readonly error: DamagedSnapshot }[],
  { environment, log, partitionDirectory }: LoadOptions,
): MetadataLoader {
  const { disk } = environment
  for (const one of damaged) {
    // Under its name it would count as a copy of what was before it, here and for Apache Kafka.
    const aside = `${one.file.path}.damaged`
    disk.rename(one.file.path, aside)
    environment.log.error('a metadata snapshot is damaged and put aside; the log covers it', {
      err: one.error,
      path: aside,
      usedInstead: file?.path ?? 'the whole log',
    })
  }
  if (damaged.length > 0) disk.syncDirectory(partitionDirectory)
  if (file !== undefined && log.endOffset < file.endOffset) {
    environment.log.warn('the metadata log ends before its newest snapshot, and goes on after it', {
      path: file.path,
      logEndOffset: log.endOffset,
    })
    log.restartAt(file.endOffset)
  }
  return loader
}

async function replayLog(loader: MetadataLoader, options: LoadOptions): Promise<void> {
  const { log, environment, partitionDirectory } = options
  while (loader.image.offset + 1 < log.endOffset) {
    const from = loader.image.offset + 1
    try {
      for (const chunk of await log.read(from, chunkBytes)) loader.load(chunk)
      if (loader.image.offset + 1 === from) throw new MetadataError('there is no whole batch')
    } catch (error) {
      const offset = (error instanceof MetadataError ? error.offset : undefined) ?? from
      const segment = segmentOf(offset, environment.disk.list(partitionDirectory))
      throw refused(`${partitionDirectory}/${segment}`, error, offset)
    }
  }
}

/** The segment file in which `offset` lies. */
function segmentOf(offset: number, entries: readonly { readonly name: string }[]): string {
  const logs = entries.map(({ name }) => name).filter((name) => /^\d{20}\.log$/.test(name))
  return logs.filter((name) => Number(name.slice(0, 20)) <= offset).at(-1) ?? 'log'
}

const advice =
  'Restore the file from a copy. To begin anew with empty metadata, which forgets every topic, move ' +
  'all log directories aside.'

/** Why the node does not start; what is no damage stays as it is. */
function refused(path: string, error: unknown, offset?: number): unknown {
  const isDamage =
    error instanceof MetadataError ||
    error instanceof DamagedSnapshot ||
    (error instanceof KafkaError && error.error === errors.CORRUPT_MESSAGE)
  if (!isDamage) return error
  const message =
    `${path} cannot be replayed (${error.message}): refuses to start, since what it holds exists ` +
    `nowhere else. ${advice}`
  return new MetadataError(message, { cause: error, ...(offset === undefined ? {} : { offset }) })
}

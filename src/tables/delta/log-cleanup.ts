/**
 * The log without what is older than the table asks to keep (`delta.logRetentionDuration`). A checkpoint bounds it: the
 * newest that is no newer than the newest commit of before the retention. It, the commit of its version, and all behind it
 * stay, so that each version within the retention can be read; what comes before goes, whole days of it, oldest first.
 * It takes a look at all of the log, and so is done behind the first checkpoint of a day alone.
 */
import type { Storage } from '../../environment/storage.ts'
import { sidecarsOf } from './checkpoint-reader.ts'
import { writerFeaturesOf } from './features.ts'
import { lastCommitBy } from './history.ts'
import { listLog, logDirectory, sidecarDirectory } from './log-files.ts'
import { fileNameOf } from './paths.ts'
import { checkpointInterval, cleansLog, logRetentionMs, protectedBefore } from './properties.ts'
import type { Snapshot } from './snapshot.ts'
import type { TableEnvironment } from './table-environment.ts'

const dayMs = 86_400_000
/** Files deleted in a day at most: a commit waits for it. */
const filesMax = 20_000
/** Files deleted at once. */
const removedAtOnce = 32
/** Of the log; with a point before and `.crc` behind where Hadoop keeps a checksum of it. */
const logName =
  /^\.?(?<version>\d{20})\.(?:(?<last>\d{20})\.compacted\.json|json|crc|checkpoint\..+)(?:\.crc)?$/

/** Answers how many files were deleted. Rejects with DeltaError, ParquetError, DiskError. */
export async function cleanUpLog(
  { storage, clock }: TableEnvironment,
  snapshot: Snapshot,
): Promise<number> {
  const { configuration } = snapshot.metadata
  const features = writerFeaturesOf(snapshot.protocol)
  const now = clock.now()
  if (!cleansLog(configuration) || (await isDone(storage, snapshot, now))) return 0
  const cutoff = midnightBefore(now - logRetentionMs(configuration))
  const listing = await listLog(storage)
  const hasTimes = features.includes('inCommitTimestamp')
  const last = await lastCommitBy(storage, listing, cutoff, hasTimes)
  const bound = listing.checkpoints.findLast(({ version }) => version <= (last ?? -1))
  if (bound === undefined) return 0
  const all = await filesBefore(storage, bound.version)
  const isWhole = all.length <= filesMax && bound.version >= protectedBefore(configuration)
  if (features.includes('checkpointProtection') && !isWhole) return 0
  const old = all.slice(0, filesMax)
  await removeAll(storage, logDirectory, old)
  const isOne = (name: string): boolean => name.includes('.checkpoint.')
  if (!features.includes('v2Checkpoint') || !old.some(isOne)) return old.length
  return (
    old.length + (await cleanUpSidecars(storage, Math.min(cutoff, midnightBefore(now - dayMs))))
  )
}

/** Whether there was a checkpoint before on the same day. */
async function isDone(storage: Storage, { version, metadata }: Snapshot, now: number) {
  const before = version - checkpointInterval(metadata.configuration)
  const commit = (await listLog(storage, Math.max(before, 0))).commits.get(before)
  return commit !== undefined && midnightBefore(commit.modifiedMs) === midnightBefore(now)
}

async function removeAll(storage: Storage, directory: string, names: readonly string[]) {
  for (let at = 0; at < names.length; at += removedAtOnce) {
    const some = names.slice(at, at + removedAtOnce)
    await Promise.all(some.map((name) => storage.remove(`${directory}/${name}`)))
  }
}

/** In the order in which they go. A compaction is of no use without the commits that it begins with. */
async function filesBefore(storage: Storage, bound: number): Promise<string[]> {
  const old: { name: string; version: number; isCompaction: boolean }[] = []
  for (const { name, isDirectory } of await storage.list(logDirectory)) {
    const found = logName.exec(name)?.groups
    if (isDirectory || found === undefined) continue
    const version = Number(found['version'])
    const isCompaction = found['last'] !== undefined
    if (version < bound || (isCompaction && version === bound)) {
      old.push({ name, version, isCompaction })
    }
  }
  return old
    .sort((a, b) => Number(b.isCompaction) - Number(a.isCompaction) || a.version - b.version)
    .map(({ name }) => name)
}

/** Those of no checkpoint that is left, but for young ones, whose checkpoint may be about to come. */
async function cleanUpSidecars(storage: Storage, cutoff: number): Promise<number> {
  const entries = await storage.list(sidecarDirectory)
  const old = entries.filter(({ isDirectory, modifiedMs }) => !isDirectory && modifiedMs < cutoff)
  if (old.length === 0) return 0
  const needed = new Set<string>()
  for (const checkpoint of (await listLog(storage)).checkpoints) {
    for await (const { path } of sidecarsOf(storage, checkpoint)) needed.add(fileNameOf(path))
  }
  const unneeded = old.filter(({ name }) => !needed.has(name)).slice(0, filesMax)
  const names = unneeded.map(({ name }) => name)
  await removeAll(storage, sidecarDirectory, names)
  return names.length
}

function midnightBefore(timeMs: number): number {
  return Math.floor(timeMs / dayMs) * dayMs
}

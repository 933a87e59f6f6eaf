/**
 * The files of `_delta_log`, and which of them make a version: the newest complete checkpoint that is not newer, and every
 * commit after it, where a log compaction may stand for several. Names that are none of these are passed over.
 */
import type { Storage } from '../../environment/storage.ts'
import { corrupt, missing } from './delta-error.ts'

export const logDirectory = '_delta_log'

export interface LogFile {
  readonly name: string
  readonly version: number
  readonly modifiedMs: number
}

export interface Checkpoint {
  readonly version: number
  /** In order of their parts; one, unless it is of many parts. */
  readonly names: readonly string[]
}

/** What the commits of some versions come to. */
export interface Compaction extends LogFile {
  /** Of the first commit; `version` is that of the last. */
  readonly first: number
}

export interface LogListing {
  /** By version. */
  readonly commits: ReadonlyMap<number, LogFile>
  /** Complete ones, oldest first. */
  readonly checkpoints: readonly Checkpoint[]
  readonly compactions: readonly Compaction[]
}

export interface LogSegment {
  readonly version: number
  readonly checkpoint: Checkpoint | null
  /** Or compactions of them, without gaps. */
  readonly commits: readonly LogFile[]
}

const commitName = /^(\d{20})\.json$/
const compactionName = /^(\d{20})\.(\d{20})\.compacted\.json$/
const checkpointName =
  /^(\d{20})\.checkpoint(?:\.(?:(\d{10})\.(\d{10})\.parquet|([^.]+)\.(?:json|parquet))|\.parquet)$/

export const sidecarDirectory = `${logDirectory}/_sidecars`
export const lastCheckpointFile = `${logDirectory}/_last_checkpoint`

export function commitFile(version: number): string {
  return `${logDirectory}/${numbered(version)}.json`
}

export function checkpointFile(version: number): string {
  return `${logDirectory}/${numbered(version)}.checkpoint.parquet`
}

/** Of a checkpoint that may have sidecars: its name says nothing of what is in it. */
export function namedCheckpointFile(version: number, uuid: string): string {
  return `${logDirectory}/${numbered(version)}.checkpoint.${uuid}.parquet`
}

function numbered(version: number): string {
  return String(version).padStart(20, '0')
}

/** All of the log, or what is of a version and those behind it. Rejects with DeltaError where there is no table. */
export async function listLog(storage: Storage, from = 0): Promise<LogListing> {
  const commits = new Map<number, LogFile>()
  const compactions: Compaction[] = []
  const whole: Checkpoint[] = []
  const parts = new Map<string, string[]>()
  for (const entry of await storage.list(logDirectory, numbered(from))) {
    const { name, modifiedMs, isDirectory } = entry
    if (isDirectory) continue
    const commit = commitName.exec(name)
    if (commit !== null) {
      const version = Number(commit[1])
      commits.set(version, { name: `${logDirectory}/${name}`, version, modifiedMs })
      continue
    }
    const compaction = compactionName.exec(name)
    if (compaction !== null) {
      const [first, version] = [Number(compaction[1]), Number(compaction[2])]
      const file = { name: `${logDirectory}/${name}`, version, modifiedMs, first }
      if (first < version) compactions.push(file)
      continue
    }
    const checkpoint = checkpointName.exec(name)
    if (checkpoint === null) continue
    const [, version, part, of] = checkpoint
    if (part === undefined) {
      whole.push({ version: Number(version), names: [`${logDirectory}/${name}`] })
      continue
    }
    const key = `${version} ${of}`
    const names = parts.get(key) ?? []
    names.push(`${logDirectory}/${name}`)
    parts.set(key, names)
  }
  for (const [key, names] of parts) {
    const [version, of] = key.split(' ').map(Number)
    if (names.length === of) whole.push({ version: version!, names: names.sort() })
  }
  if (commits.size === 0 && whole.length === 0) {
    throw missing(`no Delta table: there is no version in ${logDirectory}`)
  }
  return { commits, checkpoints: whole.sort((a, b) => a.version - b.version), compactions }
}

export function latestVersion({ commits, checkpoints }: LogListing): number {
  let latest = checkpoints.at(-1)?.version ?? -1
  for (const version of commits.keys()) latest = Math.max(latest, version)
  return latest
}

/** Throws DeltaError where the version is not there, or not to be made again any more. */
export function segmentOf(listing: LogListing, version: number): LogSegment {
  const latest = latestVersion(listing)
  if (!Number.isSafeInteger(version) || version < 0 || version > latest) {
    throw missing(`there is no version ${version}: the latest is ${latest}`)
  }
  const checkpoint = listing.checkpoints.findLast((one) => one.version <= version) ?? null
  const commits: LogFile[] = []
  for (let at = (checkpoint?.version ?? -1) + 1; at <= version; at++) {
    const commit = longestFrom(listing, at, version) ?? listing.commits.get(at)
    if (commit === undefined) {
      if (checkpoint === null && commits.length === 0) {
        throw missing(`version ${version} is no longer there: its log was cleaned up`)
      }
      throw corrupt(`the log has no version ${at}, but later ones`)
    }
    commits.push(commit)
    at = commit.version
  }
  return { version, checkpoint, commits }
}

function longestFrom(
  { compactions }: LogListing,
  first: number,
  last: number,
): Compaction | undefined {
  return compactions
    .filter((one) => one.first === first && one.version <= last)
    .reduce<Compaction | undefined>(
      (best, one) => (best === undefined || one.version > best.version ? one : best),
      undefined,
    )
}

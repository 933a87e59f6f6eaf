/**
 * The versions of a table in time. A commit's time is what it says itself, where the table keeps in-commit timestamps, else
 * when its file was modified, moved on where needed so that times rise with versions.
 */
import type { Storage } from '../../environment/storage.ts'
import type { Json } from '../columns/exact-json.ts'
import { timestampText } from '../columns/json-text.ts'
import { type Action, parseActions } from './actions.ts'
import { missing } from './delta-error.ts'
import { type LogListing, listLog } from './log-files.ts'

export interface HistoryEntry {
  readonly version: number
  readonly timestampMs: number
  readonly operation: string | null
  readonly operationParameters: Json
  readonly engineInfo: string | null
}

/** The commits that are still there, newest first. Rejects with DeltaError, DiskError. */
export async function readHistory(storage: Storage, countMax?: number): Promise<HistoryEntry[]> {
  const listing = await listLog(storage)
  const newest = [...commitTimes(listing)].reverse().slice(0, countMax)
  const entries: HistoryEntry[] = []
  for (const { version, name, timeMs } of newest) {
    const info = commitInfoOf(parseActions(await storage.read(name), name))
    const inCommit = info?.['inCommitTimestamp']
    entries.push({
      version,
      timestampMs: typeof inCommit === 'number' ? inCommit : timeMs,
      operation: textOrNull(info?.['operation']),
      operationParameters: info?.['operationParameters'] ?? null,
      engineInfo: textOrNull(info?.['engineInfo']),
    })
  }
  return entries
}

/** The latest version that was committed at that time or before it. */
export async function versionAt(storage: Storage, timestampMs: number): Promise<number> {
  const found = await lastCommitBy(storage, await listLog(storage), timestampMs)
  if (found === null) {
    throw missing(`no version is as old as ${timestampText(BigInt(timestampMs), 'millis')}Z`)
  }
  return found
}

/**
 * As `versionAt`, of the commits that are listed; `null`: all came later. Of many, few are looked at, and none where commits
 * are known to have no time of their own.
 */
export async function lastCommitBy(
  storage: Storage,
  listing: LogListing,
  timestampMs: number,
  mayHaveTimes = true,
): Promise<number | null> {
  const commits = [...commitTimes(listing)]
  const ownTime = async (name: string): Promise<Json | undefined> =>
    mayHaveTimes
      ? commitInfoOf(parseActions(await storage.read(name), name))?.['inCommitTimestamp']
      : undefined
  let [low, high] = [0, commits.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const { name, timeMs } = commits[middle]!
    const inCommit = await ownTime(name)
    if ((typeof inCommit === 'number' ? inCommit : timeMs) <= timestampMs) low = middle + 1
    else high = middle
  }
  return commits[low - 1]?.version ?? null
}

interface CommitTime {
  readonly version: number
  readonly name: string
  readonly timeMs: number
}

function* commitTimes({ commits }: LogListing): Generator<CommitTime> {
  let before = Number.NEGATIVE_INFINITY
  for (const version of [...commits.keys()].sort((a, b) => a - b)) {
    const { name, modifiedMs } = commits.get(version)!
    before = Math.max(modifiedMs, before + 1)
    yield { version, name, timeMs: before }
  }
}

function commitInfoOf(actions: readonly Action[]): { readonly [name: string]: Json } | null {
  const found = actions.find((action) => action.kind === 'commitInfo')
  return found?.commitInfo ?? null
}

function textOrNull(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null
}

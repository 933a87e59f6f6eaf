/**
 * A commit put into the log: under the next version, where no other has it. Where another writer came first, what it
 * did is read, and if what was decided still holds (`conflicts.ts`), the version after it is tried.
 */
import { DiskError } from '../../environment/disk.ts'
import { type Storage, UncertainWrite } from '../../environment/storage.ts'
import { linesOf } from './action-lines.ts'
import { type Action, type CommitInfo, parseActions } from './actions.ts'
import type { CommitNumbers } from './commit-numbers.ts'
import { type Intention, refuseConflict } from './conflicts.ts'
import { DeltaConflict, DeltaError } from './delta-error.ts'
import { commitFile, latestVersion, listLog } from './log-files.ts'
import type { TableEnvironment } from './table-environment.ts'

/** Lost races for a version, after which a writer gives up. */
const attemptsMax = 200

export interface CommitAttempt extends Intention {
  /** What the intention was made from; -1: there was no table. */
  readonly readVersion: number
  readonly numbers: CommitNumbers
  /** Without what depends on the version. Tells this commit from all others by its `txnId`. */
  readonly commitInfo: CommitInfo
}

/** The version that it got. Rejects with DeltaConflict, DeltaError, DiskError; then nothing is committed, but where it is `uncertain`. */
export async function commitActions(
  { storage, clock }: TableEnvironment,
  attempt: CommitAttempt,
): Promise<number> {
  const { numbers } = attempt
  let last = attempt.readVersion
  if (last >= 0 && numbers.lacksTime) {
    const bytes = await storage.read(commitFile(last)).catch(nothingThere)
    if (bytes !== null) numbers.follow(parseActions(bytes, commitFile(last)))
  }
  for (let attempts = 0; attempts < attemptsMax; attempts++) {
    last = await catchUp(storage, last, attempt)
    const version = last + 1
    const now = clock.now()
    const { actions, inCommitTimestamp } = numbers.number(attempt.actions, version, now)
    const times =
      inCommitTimestamp === null
        ? { timestamp: now }
        : { inCommitTimestamp, timestamp: inCommitTimestamp }
    const commitInfo: CommitInfo = { ...times, ...attempt.commitInfo }
    const lines = linesOf([{ kind: 'commitInfo', commitInfo }, ...actions])
    if (await putCommit(storage, version, lines, attempt)) return version
  }
  throw new DeltaConflict(
    'TooManyAttempts',
    last,
    `others came first ${attemptsMax} times in a row; try again`,
  )
}

/** Reads what came since, and refuses what contradicts. Answers the last version that there is. */
async function catchUp(storage: Storage, from: number, attempt: CommitAttempt): Promise<number> {
  let last = from
  for (;;) {
    const name = commitFile(last + 1)
    const bytes = await storage.read(name).catch(nothingThere)
    if (bytes === null) break
    const winner = parseActions(bytes, name)
    refuseConflict(last + 1, winner, attempt)
    attempt.numbers.follow(winner)
    last++
  }
  await refuseGap(storage, last)
  return last
}

/** No commit behind the last one may also mean that it was cleaned away, with that one and newer ones there. */
async function refuseGap(storage: Storage, last: number): Promise<void> {
  if (last >= 0 && (await isThere(storage, commitFile(last)))) return
  const latest = await listLog(storage).then(latestVersion, noTable)
  if (latest === last) return
  const message = `the log no longer has version ${last + 1}; read the table again`
  throw new DeltaConflict('MetadataChanged', latest, message)
}

function noTable(error: unknown): number {
  if (error instanceof DeltaError && error.reason === 'missing') return -1
  throw error
}

async function putCommit(
  storage: Storage,
  version: number,
  lines: Buffer,
  attempt: CommitAttempt,
): Promise<boolean> {
  const name = commitFile(version)
  try {
    return await storage.putIfAbsent(name, lines)
  } catch (error) {
    const there = await storage.read(name).catch(nothingThere).catch(nobodyKnows)
    const isUnknown = there === undefined || (there === null && error instanceof UncertainWrite)
    if (!isUnknown && (there === null || !isOurs(parseActions(there, name), attempt))) throw error
    const fate = isUnknown
      ? 'may be in the log, or come there'
      : 'is in the log, but may not outlast a crash'
    const { message } = error as Error
    throw new DeltaError('uncertain', `version ${version} ${fate}: ${message}`, { cause: error })
  }
}

function isOurs(actions: readonly Action[], { commitInfo }: CommitAttempt): boolean {
  const found = actions.find((action) => action.kind === 'commitInfo')
  return found?.commitInfo['txnId'] === commitInfo['txnId']
}

async function isThere(storage: Storage, name: string): Promise<boolean> {
  const file = await storage.open(name).catch(nothingThere)
  await file?.close()
  return file !== null
}

function nothingThere(error: unknown): null {
  if (error instanceof DiskError && error.code === 'ENOENT') return null
  throw error
}

/** Whether there is something could not be found out. */
function nobodyKnows(): undefined {
  return undefined
}

/**
 * Whether what a transaction decided still holds behind a commit that came first: Delta's own rules, in their order.
 * A blind append, which has read nothing, is hurt by no other's rows; who has read is hurt by added files that it would
 * have read, by the removal of those that it did read, and by that of those that it removes itself.
 */
import type { Json } from '../columns/exact-json.ts'
import type { Action, AddAction, RemoveAction } from './actions.ts'
import { DeltaConflict } from './delta-error.ts'
import { identityTag } from './identity.ts'

/**
 * `Serializable`: as if one commit had followed the other. `WriteSerializable`: blind appends of others may be taken
 * to have come later. `Snapshot`: only what is removed twice is a conflict, for a commit that changes no rows.
 */
export type Isolation = 'Serializable' | 'WriteSerializable' | 'Snapshot'

/** What a transaction has read of the table. */
export interface ReadSet {
  /** Whether an added file may have rows that would have been read; `null`: no files were read. */
  readonly mayMatch: ((file: AddAction) => boolean) | null
  /** Paths of the files that were read. */
  readonly paths: ReadonlySet<string>
}

export const nothingRead: ReadSet = { mayMatch: null, paths: new Set() }

export interface Intention {
  readonly actions: readonly Action[]
  readonly reads: ReadSet
  readonly isolation: Isolation
}

/** Row ids are numbered anew for each attempt, so that their domain is no conflict. */
export const rowTrackingDomain = 'delta.rowTracking'

/** Throws DeltaConflict where our intention does not hold behind the commit of `version`. */
export function refuseConflict(
  version: number,
  winner: readonly Action[],
  intention: Intention,
): void {
  const refuse = (kind: DeltaConflict['kind'], message: string): never => {
    throw new DeltaConflict(kind, version, message)
  }
  for (const action of winner) {
    if (action.kind === 'protocol') {
      refuse('ProtocolChanged', 'it changed what the table asks of writers')
    }
    if (action.kind === 'metaData' && !isHarmless(winner, intention)) {
      refuse('MetadataChanged', 'it changed columns or properties of the table')
    }
  }
  const theirs = summaryOf(winner)
  const ours = summaryOf(intention.actions)
  for (const domain of theirs.domains) {
    if (domain !== rowTrackingDomain && ours.domains.has(domain)) {
      refuse('DomainMetadata', `it changed the domain ${domain} too`)
    }
  }
  for (const appId of theirs.appIds) {
    if (ours.appIds.has(appId)) refuse('ConcurrentTransaction', `it has a transaction of ${appId}`)
  }
  const { mayMatch, paths } = intention.reads
  if (mayMatch !== null && checksAppends(theirs, intention)) {
    const added = theirs.adds.find((file) => file.dataChange && mayMatch(file))
    if (added !== undefined) refuse('ConcurrentAppend', `it added ${added.path}`)
  }
  const readAndGone = theirs.removes.find((file) => file.dataChange && paths.has(file.path))
  if (readAndGone !== undefined && intention.isolation !== 'Snapshot') {
    refuse('ConcurrentDeleteRead', `it removed ${readAndGone.path}, which was read`)
  }
  const removed = new Set(ours.removes.map(({ path }) => path))
  const twice = theirs.removes.find(({ path }) => removed.has(path))
  if (twice !== undefined) refuse('ConcurrentDeleteDelete', `it removed ${twice.path} too`)
}

/** Whether only rows were numbered, in an identity column of which we say nothing. */
function isHarmless(winner: readonly Action[], { actions }: Intention): boolean {
  if (actions.some(({ kind }) => kind === 'metaData')) return false
  const tags = winner.find((action) => action.kind === 'commitInfo')?.commitInfo['tags']
  return typeof tags === 'object' && (tags as { [name: string]: Json })?.[identityTag] === 'true'
}

interface Summary {
  readonly adds: readonly AddAction[]
  readonly removes: readonly RemoveAction[]
  readonly appIds: ReadonlySet<string>
  readonly domains: ReadonlySet<string>
  readonly isBlindAppend: boolean
}

function summaryOf(actions: readonly Action[]): Summary {
  const adds: AddAction[] = []
  const removes: RemoveAction[] = []
  const appIds = new Set<string>()
  const domains = new Set<string>()
  let isBlindAppend = false
  for (const action of actions) {
    if (action.kind === 'add') adds.push(action.add)
    else if (action.kind === 'remove') removes.push(action.remove)
    else if (action.kind === 'txn') appIds.add(action.txn.appId)
    else if (action.kind === 'domainMetadata') domains.add(action.domainMetadata.domain)
    else if (action.kind === 'commitInfo') {
      isBlindAppend = action.commitInfo['isBlindAppend'] === true
    }
  }
  return { adds, removes, appIds, domains, isBlindAppend }
}

function checksAppends(theirs: Summary, { isolation, actions }: Intention): boolean {
  if (isolation === 'Snapshot') return false
  if (isolation === 'Serializable' || !theirs.isBlindAppend) return true
  return actions.some(({ kind }) => kind === 'metaData')
}

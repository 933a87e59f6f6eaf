/**
 * A table at one version: what is left when the actions of its checkpoint and of the commits after it are applied in
 * order. Of a file, known by its path and its deletion vector, the newest action counts: added, it is live; removed,
 * it is remembered until `vacuum` may delete it. Of protocol, metadata, transactions and domains the newest stands.
 */
import type { Storage } from '../../environment/storage.ts'
import {
  type Action,
  type AddAction,
  type DeletionVectorDescriptor,
  type DomainAction,
  type FileAction,
  type MetadataAction,
  type ProtocolAction,
  parseActions,
  type RemoveAction,
  type TxnAction,
} from './actions.ts'
import { readCheckpoint } from './checkpoint-reader.ts'
import { corrupt, DeltaError } from './delta-error.ts'
import { refuseReading } from './features.ts'
import { readLastCheckpoint } from './last-checkpoint.ts'
import { type LogListing, type LogSegment, latestVersion, listLog, segmentOf } from './log-files.ts'
import { canonicalPath } from './paths.ts'
import { readTableSchema, type TableSchema } from './schema.ts'

export interface Snapshot {
  readonly version: number
  readonly protocol: ProtocolAction
  readonly metadata: MetadataAction
  readonly schema: TableSchema
  /** Live files by `fileKey`. */
  readonly files: ReadonlyMap<string, AddAction>
  readonly tombstones: ReadonlyMap<string, RemoveAction>
  readonly transactions: ReadonlyMap<string, TxnAction>
  readonly domains: ReadonlyMap<string, DomainAction>
  /** Of the last commit read, where it says so. */
  readonly inCommitTimestamp: number | null
}

/** What a file is known by: its path, and which rows of it are deleted. */
function fileKey({ path, deletionVector }: Pick<FileAction, 'path' | 'deletionVector'>): string {
  const canonical = canonicalPath(path)
  return deletionVector === null ? canonical : `${canonical}\0${vectorId(deletionVector)}`
}

function vectorId({ storageType, pathOrInlineDv, offset }: DeletionVectorDescriptor): string {
  return `${storageType}${pathOrInlineDv}${offset === null ? '' : `@${offset}`}`
}

/** The table at a version, or as it is now. Rejects with DeltaError, ParquetError, DiskError. */
export async function readSnapshot(storage: Storage, version?: number): Promise<Snapshot> {
  const listing = version === undefined ? await listNewest(storage) : await listLog(storage)
  return replay(storage, segmentOf(listing, version ?? latestVersion(listing)))
}

/** From the last checkpoint on, if it is where the hint says; else all of the log. */
async function listNewest(storage: Storage): Promise<LogListing> {
  const hint = await readLastCheckpoint(storage)
  if (hint === null) return listLog(storage)
  const listing = await listLog(storage, hint.version).catch(noTable)
  const isThere = listing?.checkpoints.some(({ version }) => version >= hint.version)
  return isThere ? listing! : listLog(storage)
}

function noTable(error: unknown): null {
  if (error instanceof DeltaError && error.reason === 'missing') return null
  throw error
}

/** The table as it is now, from what it was: only commits that came since are read. */
export async function refreshSnapshot(storage: Storage, snapshot: Snapshot): Promise<Snapshot> {
  const listing = await listLog(storage, snapshot.version).catch(noTable)
  // Another table in its place, or one whose log was cleaned up meanwhile.
  if (listing === null) return readSnapshot(storage)
  const latest = latestVersion(listing)
  const state = new Replay(snapshot)
  for (let version = snapshot.version + 1; version <= latest; version++) {
    const commit = listing.commits.get(version)
    if (commit === undefined) return readSnapshot(storage)
    state.begin()
    for (const action of parseActions(await storage.read(commit.name), commit.name)) {
      state.apply(action)
    }
  }
  return latest === snapshot.version ? snapshot : state.finish(latest)
}

async function replay(storage: Storage, segment: LogSegment): Promise<Snapshot> {
  const state = new Replay()
  if (segment.checkpoint !== null) {
    for await (const action of readCheckpoint(storage, segment.checkpoint)) state.apply(action)
  }
  for (const { name } of segment.commits) {
    state.begin()
    for (const action of parseActions(await storage.read(name), name)) state.apply(action)
  }
  return state.finish(segment.version)
}

class Replay {
  #protocol: ProtocolAction | null
  #metadata: MetadataAction | null
  #inCommitTimestamp: number | null = null
  readonly #files: Map<string, AddAction>
  readonly #tombstones: Map<string, RemoveAction>
  readonly #transactions: Map<string, TxnAction>
  readonly #domains: Map<string, DomainAction>
  /** Files that the commit at hand adds: within one commit an add counts, wherever it stands. */
  #added = new Set<string>()

  /** Goes on from a snapshot, which stays what it is. */
  constructor(from?: Snapshot) {
    this.#protocol = from?.protocol ?? null
    this.#metadata = from?.metadata ?? null
    this.#files = new Map(from?.files)
    this.#tombstones = new Map(from?.tombstones)
    this.#transactions = new Map(from?.transactions)
    this.#domains = new Map(from?.domains)
  }

  /** A commit follows. */
  begin(): void {
    this.#added = new Set()
    this.#inCommitTimestamp = null
  }

  apply(action: Action): void {
    switch (action.kind) {
      case 'add': {
        const key = fileKey(action.add)
        this.#added.add(key)
        this.#tombstones.delete(key)
        this.#files.set(key, action.add)
        return
      }
      case 'remove': {
        const key = fileKey(action.remove)
        if (this.#added.has(key)) return
        this.#files.delete(key)
        this.#tombstones.set(key, action.remove)
        return
      }
      case 'protocol':
        this.#protocol = action.protocol
        return
      case 'metaData':
        this.#metadata = action.metaData
        return
      case 'txn':
        this.#transactions.set(action.txn.appId, action.txn)
        return
      case 'domainMetadata':
        if (action.domainMetadata.removed) this.#domains.delete(action.domainMetadata.domain)
        else this.#domains.set(action.domainMetadata.domain, action.domainMetadata)
        return
      case 'commitInfo': {
        const time = action.commitInfo['inCommitTimestamp']
        this.#inCommitTimestamp = typeof time === 'number' ? time : null
        return
      }
      case 'cdc':
      case 'sidecar':
        return
    }
  }

  finish(version: number): Snapshot {
    if (this.#protocol === null) throw corrupt(`version ${version} has no protocol`)
    if (this.#metadata === null) throw corrupt(`version ${version} has no metaData`)
    refuseReading(this.#protocol)
    return {
      version,
      protocol: this.#protocol,
      metadata: this.#metadata,
      schema: readTableSchema(this.#metadata),
      files: this.#files,
      tombstones: this.#tombstones,
      transactions: this.#transactions,
      domains: this.#domains,
      inCommitTimestamp: this.#inCommitTimestamp,
    }
  }
}

/**
 * Whose directories these are. Before anything in them is touched, the `meta.properties` of all
 * entries of log.dirs are read together: they must be of one cluster, of this node, and each of its
 * own. A new node gets an identity; a directory that once had one is never given another, because
 * an empty directory in the place of a disk that is missing would begin its partitions anew.
 */
import { type Disk, DiskError } from '../environment/disk.ts'
import { type MetaProperties, readMetaProperties } from './meta-properties.ts'
import { isOutOfFiles } from './out-of-files.ts'
import { isPartitionName, metadataLogName } from './partition-names.ts'

export interface IdentityOptions {
  readonly disk: Disk
  /** All log directories, the metadata log's included. */
  readonly paths: readonly string[]
  /** The one that holds, or will hold, the metadata log. */
  readonly metadataPath: string
  readonly nodeId: number
  /** What the user says the cluster's id is. */
  readonly clusterId: string | undefined
  readonly newId: () => string
}

export interface Identity {
  readonly clusterId: string
  /** What the directories' files are to say where they do not yet, by path. */
  readonly missing: ReadonlyMap<string, MetaProperties>
  /** Those of which nobody can say whose they are, by path: they must not be used. */
  readonly unreadable: ReadonlyMap<string, DiskError>
  /**
   * Nothing was begun yet. A node begins with all its directories: one that got no identity then would be
   * taken for a disk that is missing ever after.
   */
  readonly isNew: boolean
}

/** Changes nothing. Throws Error that says what does not fit, and what to do. */
export function identify(options: IdentityOptions): Identity {
  const { known, unreadable } = readAll(options)
  for (const [path, { nodeId }] of known) {
    if (nodeId === options.nodeId) continue
    throw new Error(`${path} belongs to node ${nodeId}; node.id is ${options.nodeId} here`)
  }
  const existing = onlyCluster(known)
  if (existing !== null && options.clusterId !== undefined && existing !== options.clusterId) {
    throw new Error(
      `The log directories belong to cluster ${existing}, not ${options.clusterId} as CLUSTER_ID says`,
    )
  }
  refuseTwins(known)
  refuseLostMetadata(options)
  const clusterId = existing ?? options.clusterId ?? options.newId()
  const missing = new Map<string, MetaProperties>()
  for (const path of options.paths) {
    const meta = known.get(path)
    if (meta !== undefined && meta.directoryId !== '' && meta.clusterId !== '') continue
    if (unreadable.has(path)) continue
    if (meta === undefined) refuseLostIdentity(path, known, options)
    const directoryId = meta?.directoryId || options.newId()
    missing.set(path, { version: 1, clusterId, nodeId: options.nodeId, directoryId })
  }
  return { clusterId, missing, unreadable, isNew: !mayHoldMetadata(options) }
}

function readAll({ disk, paths }: IdentityOptions) {
  const known = new Map<string, MetaProperties>()
  const unreadable = new Map<string, DiskError>()
  for (const path of paths) {
    try {
      const meta = readMetaProperties(disk, path)
      if (meta !== null) known.set(path, meta)
    } catch (error) {
      if (!(error instanceof DiskError) || isOutOfFiles(error)) throw error
      unreadable.set(path, error)
    }
  }
  return { known, unreadable }
}

function onlyCluster(known: ReadonlyMap<string, MetaProperties>): string | null {
  let first: string | null = null
  for (const { clusterId } of known.values()) {
    if (clusterId === '') continue
    first ??= clusterId
    if (clusterId === first) continue
    const each = [...known].map(([path, meta]) => `${path} to ${meta.clusterId}`)
    throw new Error(`The log directories belong to different clusters: ${each.join(', ')}`)
  }
  return first
}

function refuseTwins(known: ReadonlyMap<string, MetaProperties>): void {
  const byId = new Map<string, string>()
  for (const [path, { directoryId }] of known) {
    const twin = byId.get(directoryId)
    if (twin !== undefined && directoryId !== '') {
      throw new Error(
        `${twin} and ${path} have the same directory.id ${directoryId}: one is a copy of the other. ` +
          'Take the copy out of log.dirs.',
      )
    }
    byId.set(directoryId, path)
  }
}

/** Without the metadata log no topic is known, and every partition would be a stray. */
function refuseLostMetadata({ disk, paths, metadataPath }: IdentityOptions): void {
  for (const path of paths) {
    if (path === metadataPath || !namesIn(disk, path).includes(metadataLogName)) continue
    throw new Error(
      `${path} holds the metadata log, ${metadataLogName}, but ${metadataPath} is where it is looked ` +
        'for. Set metadata.log.dir to the directory that has it, or put that first in log.dirs.',
    )
  }
  if (mayHoldMetadata({ disk, metadataPath })) return
  const holder = paths.find((path) => namesIn(disk, path).some(isPartitionName))
  if (holder === undefined) return
  throw new Error(
    `${holder} holds partitions, but ${metadataPath}/${metadataLogName}, which knows their topics, is ` +
      'missing. Restore it from a copy, or move the partitions away to begin anew.',
  )
}

function mayHoldMetadata({ disk, metadataPath }: Pick<IdentityOptions, 'disk' | 'metadataPath'>) {
  const names = namesOrNull(disk, metadataPath)
  // What cannot be read fails when it is opened.
  return names === null ? exists(disk, metadataPath) : names.includes(metadataLogName)
}

function refuseLostIdentity(
  path: string,
  known: ReadonlyMap<string, MetaProperties>,
  { disk, clusterId, nodeId, metadataPath }: IdentityOptions,
): void {
  const [other] = known
  // What cannot be read fails when it is opened, and is not written to.
  if (exists(disk, path) && namesOrNull(disk, path) === null) return
  // Before the metadata log is there, a first start may have ended between two directories.
  if (other !== undefined && namesIn(disk, metadataPath).includes(metadataLogName)) {
    const [otherPath, meta] = other
    throw new Error(
      `${path} has no meta.properties, but ${otherPath} has one. If a disk is missing there, mount it; ` +
        `if the directory is new, write the lines version=1, cluster.id=${meta.clusterId} and ` +
        `node.id=${nodeId} into ${path}/meta.properties.`,
    )
  }
  // Whoever names the cluster knows what is lost.
  if (clusterId !== undefined) return
  if (!namesIn(disk, path).some((name) => name === metadataLogName || isPartitionName(name))) return
  throw new Error(
    `${path} holds partitions, but meta.properties, which says to which cluster and node they belong, ` +
      'is missing. Restore it from a copy, or set the environment variable CLUSTER_ID to have it ' +
      'written anew.',
  )
}

function exists(disk: Disk, path: string): boolean {
  try {
    return disk.exists(path)
  } catch (error) {
    if (error instanceof DiskError) return true
    throw error
  }
}

const namesIn = (disk: Disk, path: string): string[] => namesOrNull(disk, path) ?? []

/** Of the directories there; null where nothing can be read. */
function namesOrNull(disk: Disk, path: string): string[] | null {
  try {
    return disk.list(path).flatMap(({ name, isDirectory }) => (isDirectory ? [name] : []))
  } catch (error) {
    if (error instanceof DiskError) return null
    throw error
  }
}

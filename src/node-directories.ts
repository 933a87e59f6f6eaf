/**
 * The log directories of a node: those of log.dirs, in which partitions of topics lie, and the metadata
 * log's, which is one of them or one of its own. All of them belong to this node, or none is touched.
 */
import type { BrokerConfig } from './config/broker-config.ts'
import { ConfigError } from './config/definition.ts'
import type { Environment } from './environment/environment.ts'
import { identify } from './log/directory-identity.ts'
import { LogDirectory } from './log/log-directory.ts'
import { randomUuid } from './metadata/random-uuid.ts'

export interface NodeDirectoriesOptions {
  readonly environment: Environment
  readonly config: BrokerConfig
  readonly nodeId: number
  /** For a new node; a random one where absent. */
  readonly clusterId: string | undefined
  /** A directory failed after it was locked; it has said so itself. */
  readonly onFailure: (directory: LogDirectory) => void
}

export class NodeDirectories {
  /** All that are locked. */
  readonly all: LogDirectory[] = []
  readonly metadataPath: string
  readonly #options: NodeDirectoriesOptions
  readonly #logDirs: readonly string[]
  #clusterId = ''

  /** Throws ConfigError. Nothing is touched yet. */
  constructor(options: NodeDirectoriesOptions) {
    this.#options = options
    const { config } = options
    this.#logDirs = (config.get('log.dirs') ?? config.get('log.dir')).map(withoutSlash)
    const path = config.get('metadata.log.dir') ?? this.#logDirs[0]
    if (path === undefined) throw new ConfigError('log.dirs', 'log.dirs names no directory')
    this.metadataPath = withoutSlash(path)
  }

  /** Empty before `lock`. */
  get clusterId(): string {
    return this.#clusterId
  }

  get isLocked(): boolean {
    return this.all.length > 0
  }

  /**
   * Checks that they belong to this node, locks every one of them and gives new ones their identity. Throws
   * DiskError, and Error that says what is wrong with a directory; some may be locked then.
   */
  lock(): void {
    const { environment, nodeId, onFailure } = this.#options
    const paths = [...new Set([...this.#logDirs, this.metadataPath])]
    const { clusterId, missing, unreadable, isNew } = identify({
      disk: environment.disk,
      paths,
      metadataPath: this.metadataPath,
      nodeId,
      clusterId: this.#options.clusterId,
      newId: () => randomUuid(environment.random),
    })
    this.#clusterId = clusterId
    for (const path of paths) {
      const failure = unreadable.get(path)
      const directory = LogDirectory.open({ environment, path, onFailure, failure })
      this.all.push(directory)
      const meta = missing.get(path)
      if (meta !== undefined && directory.failure === null) directory.writeMetaProperties(meta)
    }
    for (const directory of this.all) {
      const { path, failure } = directory
      const isBegun = !missing.has(path) && !unreadable.has(path)
      const isNeeded = directory === this.metadata || (isNew && !isBegun)
      if (failure === null || !isNeeded) continue
      const advice = isNew ? ' A new node begins with all of its directories, or not at all.' : ''
      const message = `The log directory ${path} cannot be used: ${failure.message}.${advice}`
      throw new Error(message, { cause: failure })
    }
  }

  /** Of the metadata log. */
  get metadata(): LogDirectory {
    return this.all.find(({ path }) => path === this.metadataPath) as LogDirectory
  }

  /** Those that take topics' partitions. */
  get ofPartitions(): readonly LogDirectory[] {
    return this.all.filter(({ path }) => this.#logDirs.includes(path))
  }

  /** The ids of those that take topics' partitions, and work. */
  get onlineIds(): string[] {
    const online = this.ofPartitions.filter(({ failure }) => failure === null)
    return online.flatMap((directory) => directory.metaProperties?.directoryId ?? [])
  }
}

const withoutSlash = (path: string): string => path.replace(/(?<=.)\/+$/, '')

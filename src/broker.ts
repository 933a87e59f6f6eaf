/**
 * One node, wired: log directories, metadata quorum, controller, replicas, coordinators, handlers,
 * listeners. The same class runs as a server, inside a test and, several at a time, in the simulator.
 *
 * Start: lock the directories, replay the metadata log, lead the quorum, register, open and recover the
 * partitions, load the coordinators, and only then listen: whoever can connect is answered rightly.
 * Stop is the way back. What lives here: the order of things. What must not: what the things do.
 */

import {
  groupCoordinatorConfig,
  limitOptions,
  metadataLogConfig,
  refuseUnkept,
} from './broker-settings.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import { type ListenerAddress, type Listeners, readListeners } from './config/listeners.ts'
import { resolveTopicConfig } from './config/topic-configs.ts'
import { GroupCoordinator } from './coordinator/group/group-coordinator.ts'
import type { DiskError } from './environment/disk.ts'
import type { Environment } from './environment/environment.ts'
import type { Endpoint } from './environment/network.ts'
import { consumerOffsetsTopic, handlerTable } from './handlers/handler-table.ts'
import { Log } from './log/log.ts'
import { LogDirectory } from './log/log-directory.ts'
import { QuorumLog } from './log/quorum-log.ts'
import { TailCache } from './log/tail-cache.ts'
import { formatMetadata } from './metadata/bootstrap.ts'
import type { MetadataDelta } from './metadata/delta.ts'
import {
  configResource,
  dynamicBrokerTexts,
  type MetadataImage,
  topicOverrides,
} from './metadata/image.ts'
import { Metadata } from './metadata/metadata.ts'
import type { MetadataCache } from './metadata/metadata-cache.ts'
import { randomUuid } from './metadata/random-uuid.ts'
import { PartitionCoordinatorLog } from './replication/coordinator-log.ts'
import { FetchSessions } from './replication/fetch-sessions.ts'
import { ParkedFetches } from './replication/parked-fetches.ts'
import type { ReplicaConfig } from './replication/partition.ts'
import { Replicas } from './replication/replicas.ts'
import { ServerCounters } from './server/counters.ts'
import { Limits } from './server/limits.ts'
import { Listener } from './server/listener.ts'
import type { RequestContext } from './server/request-context.ts'
import { Router } from './server/router.ts'

export interface BrokerOptions {
  readonly environment: Environment
  readonly config: BrokerConfig
  /** Started without a settings file, to try things out: groups do not wait for more members. */
  readonly isDevelopment?: boolean
  /** For a new data directory; a random one where absent. */
  readonly clusterId?: string
  /** The node can no longer do its work: no log directory is left, or the metadata log failed. */
  readonly onFatal: (error: Error) => void
}

/** Bytes of the newest batches of all partitions that stay in memory. */
const tailCacheBytes = 64 * 1024 * 1024
const metadataTopic = '__cluster_metadata'
/** Kafka's fixed topic id of the metadata log. */
const metadataTopicId = 'AAAAAAAAAAAAAAAAAAAAAQ'

export class Broker {
  readonly nodeId: number
  readonly #environment: Environment
  readonly #config: BrokerConfig
  readonly #options: BrokerOptions
  readonly #addresses: Listeners
  readonly #listeners: Listener[] = []
  readonly #directories: LogDirectory[] = []
  #clusterId = ''
  #isReady = false
  #metadata: Metadata | null = null
  #replicas: Replicas | null = null
  #groups: GroupCoordinator | null = null
  #parkedFetches: ParkedFetches | null = null
  #stopping: Promise<void> | null = null

  /** Resolves when clients can connect. Rejects with ConfigError, DiskError or what listening failed with. */
  static async start(options: BrokerOptions): Promise<Broker> {
    const broker = new Broker(options)
    try {
      await broker.#start()
    } catch (error) {
      await broker.stop()
      throw error
    }
    return broker
  }

  private constructor(options: BrokerOptions) {
    this.#options = options
    this.#environment = options.environment
    this.#config = options.config
    this.nodeId = options.config.get('node.id')
    refuseUnkept(options.config)
    this.#addresses = readListeners(options.config)
  }

  get clusterId(): string {
    return this.#clusterId
  }

  /** Where each listener listens, with the real ports. */
  get addresses(): ReadonlyMap<string, Endpoint> {
    return new Map(this.#listeners.map(({ name, address }) => [name, address]))
  }

  get logDirectories(): readonly string[] {
    return this.#directories.map(({ path }) => path)
  }

  /** Whether clients are answered rightly, and if not, why. */
  health(): { ready: boolean; reason?: string } {
    if (!this.#isReady) return { ready: false, reason: 'starting' }
    if (this.#stopping !== null) return { ready: false, reason: 'stopping' }
    const failed = this.#directories.filter(({ failure }) => failure !== null)
    if (failed.length === 0) return { ready: true }
    const reason = `offline log directories: ${failed.map(({ path }) => path).join(', ')}`
    return { ready: failed.length < this.#directories.length, reason }
  }

  /** Answers what was taken, flushes, marks the shutdown as clean. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #start(): Promise<void> {
    this.#openDirectories()
    const metadata = await this.#openMetadata()
    const replicas = this.#hostPartitions(metadata.cache)
    const groups = await this.#loadGroups(metadata.cache, replicas)
    this.#follow(metadata.cache, replicas, groups)
    await this.#listen(metadata, replicas, groups)
    this.#isReady = true
  }

  /** Locks every log directory and gives new ones their identity. */
  #openDirectories(): void {
    const paths = this.#config.get('log.dirs') ?? this.#config.get('log.dir')
    for (const path of new Set([...paths, ...this.#metadataDirectoryPath(paths)])) {
      const directory = LogDirectory.open({
        environment: this.#environment,
        path,
        onFailure: (failed, error) => this.#directoryFailed(failed, error),
      })
      this.#directories.push(directory)
    }
    const known = this.#directories.map((directory) => directory.readMetaProperties())
    const clusterIds = new Set(known.flatMap((meta) => (meta === null ? [] : [meta.clusterId])))
    if (clusterIds.size > 1) {
      throw new Error(
        `The log directories belong to different clusters: ${[...clusterIds].join(', ')}`,
      )
    }
    const [existing] = clusterIds
    const { clusterId } = this.#options
    if (existing !== undefined && clusterId !== undefined && existing !== clusterId) {
      throw new Error(`The log directories belong to cluster ${existing}, not ${clusterId}`)
    }
    this.#clusterId = existing ?? clusterId ?? randomUuid(this.#environment.random)
    for (const [index, directory] of this.#directories.entries()) {
      const meta = known[index] ?? null
      if (meta !== null && meta.nodeId !== this.nodeId) {
        throw new Error(
          `${directory.path} belongs to node ${meta.nodeId}; node.id is ${this.nodeId} here`,
        )
      }
      if (meta !== null) continue
      directory.writeMetaProperties({
        version: 1,
        clusterId: this.#clusterId,
        nodeId: this.nodeId,
        directoryId: randomUuid(this.#environment.random),
      })
    }
  }

  #metadataDirectoryPath(logDirs: readonly string[]): string[] {
    const path = this.#config.get('metadata.log.dir') ?? logDirs[0]
    return path === null || path === undefined ? [] : [path]
  }

  get #metadataDirectory(): LogDirectory {
    const wanted = this.#config.get('metadata.log.dir')
    const found = this.#directories.find(({ path }) => path === wanted) ?? this.#directories[0]
    if (found === undefined) throw new Error('log.dirs names no directory')
    return found
  }

  /** Replays the metadata log, leads its quorum and registers this broker. */
  async #openMetadata(): Promise<Metadata> {
    const { disk, clock } = this.#environment
    const directory = this.#metadataDirectory
    formatMetadata(disk, directory.path, clock.now())
    const log = Log.open({
      environment: this.#environment,
      directory,
      topic: metadataTopic,
      partition: 0,
      topicId: metadataTopicId,
      config: metadataLogConfig(this.#config),
      tailCache: null,
      onDamage: 'refuse',
    })
    const metadata = await Metadata.open({
      nodeId: this.nodeId,
      clusterId: this.#clusterId,
      metadataDirectory: directory.path,
      partitionDirectory: `${directory.path}/${metadataTopic}-0`,
      directoryId: directory.readMetaProperties()?.directoryId ?? '',
      logDirs: this.#directories.flatMap((one) => one.readMetaProperties()?.directoryId ?? []),
      log: new QuorumLog(log),
      endpoints: this.#addresses.client.map((listener) => this.#registeredEndpoint(listener)),
      rack: this.#config.get('broker.rack'),
      config: this.#config,
      environment: this.#environment,
      onFatal: (error) => this.#options.onFatal(error),
    })
    this.#metadata = metadata
    this.#applyDynamicConfig(metadata.image)
    return metadata
  }

  #registeredEndpoint({ name, host, port }: ListenerAddress) {
    const advertised = this.#addresses.advertised.get(name)
    const address = advertised ?? { host: host === '' ? 'localhost' : host, port }
    return { name, host: address.host, port: address.port, securityProtocol: 0 }
  }

  #hostPartitions(cache: MetadataCache): Replicas {
    const config = this.#config
    const replicas = new Replicas({
      environment: this.#environment,
      brokerId: this.nodeId,
      directories: this.#directories,
      tailCache: new TailCache(tailCacheBytes),
      configFor: (topic) => this.#replicaConfig(cache.image, topic),
      producerIdExpirationMs: config.get('producer.id.expiration.ms'),
      intervals: {
        checkpointMs: config.get('replica.high.watermark.checkpoint.interval.ms'),
        firstRetentionMs: 30_000,
        retentionMs: config.get('log.retention.check.interval.ms'),
        producerExpiryMs: 600_000,
      },
    })
    this.#replicas = replicas
    replicas.start(cache.image.topics)
    return replicas
  }

  #replicaConfig(image: MetadataImage, topic: string): ReplicaConfig {
    return resolveTopicConfig(topicOverrides(image, topic), this.#config)
  }

  async #loadGroups(cache: MetadataCache, replicas: Replicas): Promise<GroupCoordinator> {
    const config = groupCoordinatorConfig(this.#config, this.#options.isDevelopment === true)
    const groups = new GroupCoordinator({
      environment: this.#environment,
      config,
      partitionCount: () =>
        cache.image.topics.byName.get(consumerOffsetsTopic)?.partitions.length ??
        this.#config.get('offsets.topic.num.partitions'),
    })
    this.#groups = groups
    await this.#electCoordinators(cache.image, replicas, groups)
    return groups
  }

  /** Loads the groups of every partition of __consumer_offsets that is led here, lets go of all others. */
  async #electCoordinators(
    image: MetadataImage,
    replicas: Replicas,
    groups: GroupCoordinator,
  ): Promise<void> {
    const loading: Promise<void>[] = []
    const partitions = image.topics.byName.get(consumerOffsetsTopic)?.partitions ?? []
    for (const { index, leaderEpoch } of partitions) {
      const partition = replicas.get(consumerOffsetsTopic, index)
      if (partition === undefined || partition.isOffline || !partition.isLeader) {
        groups.onResignation(index)
        continue
      }
      const log = new PartitionCoordinatorLog(partition)
      loading.push(groups.onElection(index, leaderEpoch, log))
    }
    await Promise.all(loading)
  }

  /** From here on every committed change of the metadata takes effect, before its request is answered. */
  #follow(cache: MetadataCache, replicas: Replicas, groups: GroupCoordinator): void {
    cache.subscribe((image, delta) => {
      const { deleted, changes } = delta.topics
      const isBrokerConfigChanged = delta.configChanges.some(
        ({ type }) => type === configResource.BROKER,
      )
      if (isBrokerConfigChanged) this.#applyDynamicConfig(image)
      replicas.apply(
        { deleted, changed: changes, reconfigured: reconfiguredTopics(delta) },
        image.topics,
      )
      if (isBrokerConfigChanged) replicas.reconfigureAll()
      if (changes.some(({ topic }) => topic.name === consumerOffsetsTopic)) {
        // Clients that come too early are told COORDINATOR_LOAD_IN_PROGRESS.
        void this.#electCoordinators(image, replicas, groups)
      }
      const gone = deleted.find(({ name }) => name === consumerOffsetsTopic)
      for (const { index } of gone?.partitions ?? []) groups.onResignation(index)
      if (deleted.length > 0) void groups.onTopicsDeleted(deleted.map(({ name }) => name))
    })
  }

  #applyDynamicConfig(image: MetadataImage): void {
    const { perBroker, clusterDefault } = dynamicBrokerTexts(image, this.nodeId)
    this.#config.setDynamic(perBroker, clusterDefault)
    for (const { limits } of this.#listeners) limits.options = limitOptions(this.#config)
  }

  async #listen(metadata: Metadata, replicas: Replicas, groups: GroupCoordinator): Promise<void> {
    const environment = this.#environment
    const { clock, random, timers, log } = environment
    const limits = new Limits(clock, limitOptions(this.#config))
    const counters = new ServerCounters()
    this.#parkedFetches = new ParkedFetches({ timers })
    const handlers = handlerTable({
      environment,
      config: this.#config,
      metadata,
      replicas,
      groups,
      nodeId: this.nodeId,
      fetchSessions: new FetchSessions({
        clock,
        random,
        slotsMax: this.#config.get('max.incremental.fetch.session.cache.slots'),
      }),
      parkedFetches: this.#parkedFetches,
      advertised: (context) => this.#advertised(context),
    })
    const router = new Router(handlers, { log, counters, requestBytes: limits.requestBytes })
    for (const { name, host, port } of this.#addresses.client) {
      const address = { host, port }
      this.#listeners.push(
        await Listener.open(environment, { name, address, router, limits, counters }),
      )
    }
  }

  /** What a client is told: the advertised address of its listener, else the address by which it came. */
  #advertised({ listener, connection }: RequestContext): Endpoint {
    return this.#addresses.advertised.get(listener) ?? connection.local
  }

  #directoryFailed(directory: LogDirectory, error: DiskError): void {
    const isMetadata = this.#directories.length > 0 && directory === this.#metadataDirectory
    this.#environment.log.error(
      `Log directory ${directory.path} failed and is taken out of service`,
      {
        err: error,
      },
    )
    this.#replicas?.directoryFailed(directory)
    if (this.#metadata !== null && this.#replicas !== null && this.#groups !== null) {
      void this.#electCoordinators(this.#metadata.image, this.#replicas, this.#groups)
    }
    const isLast = this.#directories.every(({ failure }) => failure !== null)
    if (isLast || isMetadata) this.#options.onFatal(error)
  }

  async #stop(): Promise<void> {
    // Whoever waits is answered now, so that connections can end.
    this.#parkedFetches?.close()
    this.#groups?.close()
    await Promise.all(this.#listeners.map((listener) => listener.close()))
    await this.#metadata?.close()
    const brokerEpoch = this.#metadata?.brokerEpoch ?? -1
    if (this.#replicas !== null) await this.#replicas.close(brokerEpoch)
    else for (const directory of this.#directories) await directory.close(brokerEpoch)
  }
}

function reconfiguredTopics(delta: MetadataDelta): string[] {
  return delta.configChanges
    .filter(({ type }) => type === configResource.TOPIC)
    .map(({ name }) => name)
}

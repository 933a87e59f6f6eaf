/**
 * One node, wired: log directories, metadata quorum, controller, replicas, coordinators, handlers,
 * listeners. The same class runs as a server, inside a test and, several at a time, in the simulator.
 *
 * Start: lock the directories, replay the metadata log, lead the quorum, register, recover the partitions
 * that were not closed in good order, and only then listen: whoever can connect is answered rightly. All
 * other logs are opened behind the first requests, or by them, and the coordinators load; who needs one
 * meanwhile is told COORDINATOR_LOAD_IN_PROGRESS, as by Kafka.
 * Stop is the way back. What lives here: the order of things. What must not: what the things do.
 */

import type { ErrorRow } from '../protocol/errors.ts'
import type { Measured, MeasuredParts } from './broker-metrics.ts'
import {
  compactionConfig,
  limitOptions,
  metadataLogConfig,
  quotaWindows,
  refuseUnkept,
} from './broker-settings.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import { applyRecorded, checkBrokerSettings } from './config/broker-rules.ts'
import { type ListenerAddress, type Listeners, readListeners } from './config/listeners.ts'
import type { TopicTable } from './config/table-configs.ts'
import { resolveTopicConfig } from './config/topic-configs.ts'
import type { Coordinators } from './coordinators.ts'
import type { Environment } from './environment/environment.ts'
import type { Endpoint } from './environment/network.ts'
import {
  type ConfiguredAuthorizer,
  configuredAuthorizer,
} from './handlers/configured-authorizer.ts'
import { enforceQuotas } from './handlers/configured-quotas.ts'
import { type HandlerParts, handlerTable } from './handlers/handler-table.ts'
import { Log } from './log/log.ts'
import type { LogDirectory } from './log/log-directory.ts'
import { QuorumLog } from './log/quorum-log.ts'
import { TailCache } from './log/tail-cache.ts'
import { formatMetadata } from './metadata/bootstrap.ts'
import {
  type AssignedReplica,
  knowsDirectories,
} from './metadata/controller/assign-replicas-to-dirs.ts'
import type { MetadataDelta } from './metadata/delta.ts'
import {
  configResource,
  dynamicBrokerTexts,
  type MetadataImage,
  topicOverrides,
} from './metadata/image.ts'
import { Metadata } from './metadata/metadata.ts'
import type { MetadataCache } from './metadata/metadata-cache.ts'
import { type CoordinatorParts, nodeCoordinators } from './node-coordinators.ts'
import { NodeDirectories } from './node-directories.ts'
import { endOrphans } from './orphaned-transactions.ts'
import { newestSnapshotEnd } from './raft/snapshot-files.ts'
import { FetchSessions } from './replication/fetch-sessions.ts'
import { ParkedFetches } from './replication/parked-fetches.ts'
import type { ReplicaConfig } from './replication/partition.ts'
import { Replicas } from './replication/replicas.ts'
import { type ShareDelivery, shareDelivery } from './replication/share/share-delivery.ts'
import { ServerCounters } from './server/counters.ts'
import { Limits } from './server/limits.ts'
import { Listener } from './server/listener.ts'
import type { RequestContext } from './server/request-context.ts'
import { Router } from './server/router.ts'
import { ClientTelemetry } from './telemetry/client-telemetry.ts'
import { followTopicTables } from './topic-tables.ts'

export interface BrokerOptions {
  readonly environment: Environment
  readonly config: BrokerConfig
  /** Started without a settings file, to try things out: groups do not wait for more members. */
  readonly isDevelopment?: boolean
  /** For a new data directory; a random one where absent. */
  readonly clusterId?: string
  /** Bytes of the newest batches of all partitions that stay in memory. */
  readonly tailCacheBytes?: number
  /** Once: the node can no longer do its work: no log directory is left, or the metadata log failed. */
  readonly onFatal: (error: Error) => void
}

const tailCacheBytesDefault = 64 * 1024 * 1024
const metadataTopic = '__cluster_metadata'
/** Kafka's fixed topic id of the metadata log. */
const metadataTopicId = 'AAAAAAAAAAAAAAAAAAAAAQ'

/** `stop` was called before the start was done. */
export class StartEnded extends Error {
  constructor() {
    super('The broker was stopped before it had started')
    this.name = 'StartEnded'
  }
}

export class Broker {
  readonly nodeId: number
  readonly #environment: Environment
  readonly #config: BrokerConfig
  readonly #options: BrokerOptions
  readonly #addresses: Listeners
  readonly #listeners: Listener[] = []
  readonly #directories: NodeDirectories
  #starting: Promise<void> | null = null
  #isReady = false
  #hasFailed = false
  #metadata: Metadata | null = null
  #replicas: Replicas | null = null
  #coordinators: Coordinators | null = null
  #parkedFetches: ParkedFetches | null = null
  #shares: ShareDelivery | null = null
  #access: ConfiguredAuthorizer | null = null
  #measured: MeasuredParts | null = null
  #stopping: Promise<void> | null = null

  /** As the constructor, `lockDirectories` and `start` in one. */
  static async start(options: BrokerOptions): Promise<Broker> {
    const broker = new Broker(options)
    await broker.start()
    return broker
  }

  /** Throws ConfigError. Nothing is touched yet. */
  constructor(options: BrokerOptions) {
    this.#options = options
    this.#environment = options.environment
    this.#config = options.config
    this.nodeId = options.config.get('node.id')
    refuseUnkept(options.config)
    checkBrokerSettings(options.config)
    this.#addresses = readListeners(options.config)
    this.#directories = new NodeDirectories({
      environment: options.environment,
      config: options.config,
      nodeId: this.nodeId,
      clusterId: options.clusterId,
      onFailure: (directory) => this.#directoryFailed(directory),
    })
  }

  get clusterId(): string {
    return this.#directories.clusterId
  }

  /** Where each listener listens, with the real ports. */
  get addresses(): ReadonlyMap<string, Endpoint> {
    return new Map(this.#listeners.map(({ name, address }) => [name, address]))
  }

  hasTopic(name: string): boolean {
    return this.#metadata?.image.topics.byName.has(name) === true
  }

  /** Tells which topics are tables, at once and whenever that has changed. Only behind `start`. */
  followTopicTables(tell: (tables: readonly TopicTable[]) => void): void {
    if (this.#metadata !== null) followTopicTables(this.#metadata.cache, this.#config, tell)
  }

  get logDirectories(): readonly string[] {
    return this.#directories.all.map(({ path }) => path)
  }

  /** Whether clients are answered rightly, and if not, why. */
  health(): { ready: boolean; reason?: string } {
    if (this.#stopping !== null) return { ready: false, reason: 'stopping' }
    if (!this.#isReady) return { ready: false, reason: this.#startingReason() }
    const failed = this.#directories.all.filter(({ failure }) => failure !== null)
    const paths = failed.map(({ path }) => path)
    const partitions = this.#replicas?.failedPartitions ?? []
    const named = partitions.slice(0, 5).join(', ')
    const reasons = [
      ...(paths.length === 0 ? [] : [`offline log directories: ${paths.join(', ')}`]),
      ...(partitions.length === 0 ? [] : [`${partitions.length} offline partitions: ${named}`]),
    ]
    if (reasons.length === 0) return { ready: true }
    return { ready: failed.length < this.#directories.all.length, reason: reasons.join('; ') }
  }

  /** What is to be told on `/metrics`, by `brokerMetrics`. */
  get measured(): Measured {
    const isOpening = (this.#replicas?.opening.total ?? 0) > 0
    const state = this.#stopping !== null ? 6 : this.#isReady ? 3 : isOpening ? 2 : 1
    return { state, parts: this.#measured }
  }

  #startingReason(): string {
    const { opened, total } = this.#replicas?.opening ?? { opened: 0, total: 0 }
    return total === 0 ? 'starting' : `starting: ${opened} of ${total} partitions are open`
  }

  /**
   * Resolves when clients can connect, all logs are open and the coordinators are loaded. Rejects with ConfigError, DiskError, what listening failed
   * with, or StartEnded where `stop` was called meanwhile; everything is closed again then.
   */
  async start(): Promise<void> {
    try {
      this.#starting = this.#start()
      await this.#starting
    } catch (error) {
      const isEnded = this.#stopping !== null
      await this.stop()
      throw isEnded ? new StartEnded() : error
    }
  }

  /**
   * Answers what was taken, flushes, marks the shutdown as clean. Ends a start that is under way.
   * Idempotent.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #start(): Promise<void> {
    if (!this.#directories.isLocked) this.lockDirectories()
    const metadata = await this.#openMetadata()
    this.#checkNotStopping()
    const replicas = await this.#hostPartitions(metadata)
    this.#checkNotStopping()
    const { coordinators, parts } = nodeCoordinators({
      environment: this.#environment,
      config: this.#config,
      isDevelopment: this.#options.isDevelopment === true,
      metadata,
      replicas,
    })
    this.#coordinators = coordinators
    const loaded = coordinators.elect(metadata.image)
    const isClean = replicas.directories.every((directory) => directory.isClean)
    if (!isClean) void parts.groups.forgetGoneTopics()
    this.#follow(metadata.cache, replicas)
    await this.#listen(metadata, replicas, parts)
    await Promise.all([loaded, replicas.opened])
    this.#checkNotStopping()
    if (!isClean) await endOrphans({ log: this.#environment.log, replicas, ...parts })
    this.#checkNotStopping()
    this.#isReady = true
  }

  #checkNotStopping(): void {
    if (this.#stopping !== null) throw new StartEnded()
  }

  /**
   * Checks that the log directories belong to this node, locks every one of them and gives new ones
   * their identity. Throws DiskError, and Error that says what is wrong with a directory. Called by
   * `start` unless it was called before; then `stop` is due whatever comes of it.
   */
  lockDirectories(): void {
    this.#directories.lock()
  }

  /** Replays the metadata log, leads its quorum and registers this broker. */
  async #openMetadata(): Promise<Metadata> {
    const { disk, clock } = this.#environment
    const directory = this.#directories.metadata
    formatMetadata(disk, directory.path, clock.now())
    const partitionDirectory = `${directory.path}/${metadataTopic}-0`
    const log = Log.open({
      environment: this.#environment,
      directory,
      topic: metadataTopic,
      partition: 0,
      topicId: metadataTopicId,
      config: metadataLogConfig(this.#config),
      tailCache: null,
      onDamage: 'refuse',
      replacedUpTo: newestSnapshotEnd(disk, partitionDirectory),
    })
    const metadata = await Metadata.open({
      nodeId: this.nodeId,
      clusterId: this.clusterId,
      metadataDirectory: directory.path,
      partitionDirectory,
      directoryId: directory.metaProperties?.directoryId ?? '',
      logDirs: this.#directories.onlineIds,
      log: new QuorumLog(log),
      endpoints: this.#addresses.client.map((listener) => this.#registeredEndpoint(listener)),
      rack: this.#config.get('broker.rack'),
      config: this.#config,
      environment: this.#environment,
      onFatal: (error) => this.#fail(error),
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

  async #hostPartitions({ cache, logDirsBefore }: Metadata): Promise<Replicas> {
    const config = this.#config
    const replicas = new Replicas({
      environment: this.#environment,
      brokerId: this.nodeId,
      directories: this.#directories.ofPartitions,
      directoriesBefore: logDirsBefore,
      tailCache: new TailCache(this.#options.tailCacheBytes ?? tailCacheBytesDefault),
      configFor: (topic) => this.#replicaConfig(cache.image, topic),
      producerIdExpirationMs: () => config.get('producer.id.expiration.ms'),
      compaction: () => compactionConfig(config),
      moveBytesPerSecondMax: () => config.moveBytesPerSecondMax,
      assignDirectories: (places) => this.#assignDirectories(places),
      intervals: {
        checkpointMs: config.get('replica.high.watermark.checkpoint.interval.ms'),
        settledMs: config.get('log.flush.offset.checkpoint.interval.ms'),
        firstRetentionMs: config.get('log.initial.task.delay.ms'),
        retentionMs: config.get('log.retention.check.interval.ms'),
        producerExpiryMs: 600_000,
      },
    })
    this.#replicas = replicas
    replicas.onPartitionFailure = ({ topic }) => {
      void this.#coordinators?.electAgain(topic, cache.image)
    }
    await replicas.start(cache.image.topics)
    return replicas
  }

  /** Rejects with KafkaError. */
  async #assignDirectories(places: readonly AssignedReplica[]): Promise<readonly ErrorRow[]> {
    const { controller, image } = this.#metadata as Metadata
    return knowsDirectories(image) ? controller.assignReplicasToDirs(this.nodeId, places) : []
  }

  #replicaConfig(image: MetadataImage, topic: string): ReplicaConfig {
    return resolveTopicConfig(topicOverrides(image, topic), this.#config)
  }

  /** From here on every committed change of the metadata takes effect, before its request is answered. */
  #follow(cache: MetadataCache, replicas: Replicas): void {
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
      this.#coordinators?.follow(image, delta)
    })
    replicas.places.begin()
  }

  #applyDynamicConfig(image: MetadataImage): void {
    const recorded = dynamicBrokerTexts(image, this.nodeId)
    for (const { setting, message } of applyRecorded(this.#config, recorded)) {
      this.#environment.log.error(`A recorded setting is passed over: ${message}`, { setting })
    }
    for (const { limits } of this.#listeners) limits.options = limitOptions(this.#config)
  }

  async #listen(
    metadata: Metadata,
    replicas: Replicas,
    coordinators: CoordinatorParts,
  ): Promise<void> {
    const environment = this.#environment
    const { clock, random, timers, log } = environment
    const limits = new Limits(clock, limitOptions(this.#config), quotaWindows(this.#config))
    enforceQuotas(metadata.cache, limits)
    const counters = new ServerCounters()
    this.#parkedFetches = new ParkedFetches({ timers })
    this.#shares = shareDelivery({
      environment,
      config: this.#config,
      cache: metadata.cache,
      replicas,
      persister: coordinators.shareState,
    })
    const parts: HandlerParts = {
      environment,
      config: this.#config,
      metadata,
      replicas,
      ...coordinators,
      nodeId: this.nodeId,
      fetchSessions: new FetchSessions({
        clock,
        random,
        slotsMax: this.#config.get('max.incremental.fetch.session.cache.slots'),
      }),
      parkedFetches: this.#parkedFetches,
      delivery: this.#shares,
      advertised: (context) => this.#advertised(context),
      telemetry: new ClientTelemetry({
        environment,
        bytesMax: () => this.#config.get('telemetry.max.bytes'),
        image: () => metadata.image,
        isShown: this.#config.get('http.listeners').length > 0,
      }),
    }
    this.#measured = { ...parts, counters, listeners: this.#listeners }
    this.#access = configuredAuthorizer(environment, this.#config, metadata.cache)
    const { authorizer } = this.#access
    const router = new Router(handlerTable(parts), { log, counters, authorizer })
    for (const { name, host, port } of this.#addresses.client) {
      const address = { host, port }
      const options = { name, address, router, limits, counters }
      try {
        this.#listeners.push(await Listener.open(environment, options))
      } catch (cause) {
        throw new Error(
          `listeners: cannot listen on ${name}://${host}:${port}: ${(cause as Error).message}; ` +
            `choose another address, as with --override listeners=${name}://:19092`,
          { cause },
        )
      }
    }
  }

  /** What a client is told: the advertised address of its listener, else the address by which it came. */
  #advertised({ listener, connection }: Pick<RequestContext, 'listener' | 'connection'>): Endpoint {
    return this.#addresses.advertised.get(listener) ?? connection.local
  }

  /** The directory has said so itself. */
  #directoryFailed(directory: LogDirectory): void {
    this.#replicas?.directoryFailed(directory)
    if (this.#metadata !== null) void this.#coordinators?.elect(this.#metadata.image)
    const { path, failure } = directory
    if (path === this.#directories.metadataPath) {
      const message = `The metadata log is in ${path}, which failed: ${failure?.message}`
      this.#fail(new Error(message, { cause: failure }))
    } else if (this.#directories.ofPartitions.every((one) => one.failure !== null)) {
      const message = `No log directory is left; the last one failed with ${failure?.message}`
      this.#fail(new Error(message, { cause: failure }))
    }
  }

  /** The first reason is told; others follow from it. */
  #fail(error: Error): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#options.onFatal(error)
  }

  async #stop(): Promise<void> {
    for (const directory of this.#directories.all) directory.stopWaiting()
    // Ends a start between two partitions, or while coordinators load; it tells its own caller.
    this.#replicas?.endStart()
    this.#coordinators?.close()
    await this.#starting?.catch(() => {})
    // Whoever waits is answered now, so that connections can end.
    this.#parkedFetches?.close()
    this.#shares?.shares.close()
    this.#coordinators?.close()
    await Promise.all(this.#listeners.map((listener) => listener.close()))
    this.#access?.close()
    // A move that is nearly over still tells the controller, as does what was placed just now.
    await this.#replicas?.moves.stop()
    await this.#replicas?.places.stop()
    await this.#metadata?.close()
    const brokerEpoch = this.#metadata?.brokerEpoch ?? -1
    await this.#replicas?.close(brokerEpoch)
    // Those that no partitions of topics lie in, and all where no partition was hosted yet.
    await Promise.all(this.#directories.all.map((directory) => directory.close(brokerEpoch)))
  }
}

function reconfiguredTopics(delta: MetadataDelta): string[] {
  return delta.configChanges
    .filter(({ type }) => type === configResource.TOPIC)
    .map(({ name }) => name)
}

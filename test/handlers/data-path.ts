/**
 * The data path without sockets: replicas on a disk in memory under a virtual clock, and the handlers'
 * functions called with requests that went through the codec of a version, both ways.
 */
import type { ApiRow } from '../../protocol/apis.ts'
import { decode, encode } from '../../protocol/codec.ts'
import { errors } from '../../protocol/errors.ts'
import { encodeBatch, type NewBatch } from '../../protocol/records/record.ts'
import type { InputOf, MessageOf } from '../../protocol/schema.ts'
import { eachPartition } from '../../src/coordinator/transaction/add-partitions.ts'
import { Admission } from '../../src/coordinator/transaction/admission.ts'
import type {
  PartitionsInTransaction,
  TransactionVerifier,
} from '../../src/coordinator/transaction/participants.ts'
import { Conversions } from '../../src/log/conversion/conversions.ts'
import { defaultLogConfig } from '../../src/log/log-config.ts'
import { LogDirectory } from '../../src/log/log-directory.ts'
import { TailCache } from '../../src/log/tail-cache.ts'
import { emptyImage, type MetadataImage, type TopicImage } from '../../src/metadata/image.ts'
import { FetchSessions } from '../../src/replication/fetch-sessions.ts'
import { ParkedFetches } from '../../src/replication/parked-fetches.ts'
import type { Partition, ReplicaConfig } from '../../src/replication/partition.ts'
import { Replicas } from '../../src/replication/replicas.ts'
import type { Handler } from '../../src/server/handler.ts'
import type { ConnectionContext, RequestContext } from '../../src/server/request-context.ts'
import { defaultCompactionConfig } from '../log/log-fixture.ts'
import type { MemoryDisk } from '../simulator/memory-disk.ts'
import { type SimulatedProcess, SimulatedWorld } from '../simulator/simulated-world.ts'
import { requestContext } from './request-context.ts'

const brokerId = 1

export class Connection implements ConnectionContext {
  readonly id = '127.0.0.1:9092-127.0.0.1:50000-0'
  readonly local = { host: '127.0.0.1', port: 9092 }
  readonly remote = { host: '127.0.0.1', port: 50_000 }
  readonly principal = 'User:ANONYMOUS'
  softwareName = undefined
  softwareVersion = undefined
  readonly attachments = new Map<symbol, unknown>()
  isOpen = true
  readonly #closing: (() => void)[] = []

  onClose(callback: () => void): void {
    if (this.isOpen) this.#closing.push(callback)
    else callback()
  }

  close(): void {
    this.isOpen = false
    for (const callback of this.#closing) callback()
  }
}

export interface DataPathOptions {
  readonly disks?: readonly string[]
  readonly seed?: number
  readonly onLog?: (line: string) => void
  /** Log directories have ids, and the metadata is told which partition lies where. */
  readonly hasDirectoryIds?: boolean
}

export interface CallOptions {
  readonly clientId?: string
  readonly connection?: Connection
  readonly context?: Partial<RequestContext>
}

export interface TopicOptions {
  id?: string
  partitions?: number
  config?: Partial<ReplicaConfig>
  replicas?: number[]
  isr?: number[]
  leader?: number
  leaderEpoch?: number
}

let topicIds = 0

/** A topic id that no other topic of this test has. */
function newTopicId(): string {
  const id = Buffer.alloc(16)
  id.writeUInt32BE(++topicIds, 0)
  id[15] = 1
  return id.toString('base64url')
}

export class DataPath {
  readonly world: SimulatedWorld
  readonly disks: readonly string[]
  /** Ids of the directories with which the broker was registered last. */
  directoriesBefore: readonly string[] = []
  readonly hasDirectoryIds: boolean
  process: SimulatedProcess
  replicas: Replicas
  sessions: FetchSessions
  parked: ParkedFetches
  image: MetadataImage = emptyImage('cluster')
  /** Answers for the coordinator of transactions; what it was asked is kept. */
  verify: TransactionVerifier['verify'] = async (request) =>
    eachPartition(request, errors.INVALID_PRODUCER_ID_MAPPING)
  readonly verified: PartitionsInTransaction[] = []
  isVerifying = true
  producerIdExpirationMs = 86_400_000
  moveBytesPerSecondMax = Number.MAX_VALUE
  compaction = defaultCompactionConfig
  admission: Admission
  /** How often a handler gave back what it had read and not sent. */
  releasedUnsent = 0
  /** What the client's quota says, and bytes that were counted against it. */
  isOverQuota = false
  countedBytes = 0
  readonly connection = new Connection()
  readonly configs = new Map<string, Partial<ReplicaConfig>>()

  constructor(options: DataPathOptions = {}) {
    const { disks = ['/data'], seed = 1, onLog, hasDirectoryIds = false } = options
    this.hasDirectoryIds = hasDirectoryIds
    this.world = new SimulatedWorld(seed, onLog === undefined ? {} : { onLog })
    this.disks = disks
    this.process = this.world.start('broker')
    const parts = this.#build()
    this.replicas = parts.replicas
    this.sessions = parts.sessions
    this.parked = parts.parked
    this.admission = parts.admission
    void this.replicas.start(this.image.topics)
    this.replicas.places.begin()
  }

  /** What handlers are made of. */
  get parts() {
    const { replicas, sessions, parked } = this
    return {
      replicas,
      sessions,
      parked,
      admission: this.admission,
      conversions: new Conversions(this.process.environment),
      now: () => this.process.environment.clock.now(),
      image: () => this.image,
      bytesMax: () => 50_000_000,
    }
  }

  /** The process is gone, and the next one finds what it left, or what `meddle` made of it. */
  restart(how: 'kill' | 'crash' | 'close' = 'kill', meddle?: (disk: MemoryDisk) => void): void {
    if (how === 'crash' && this.process.isAlive) this.world.crash(this.process)
    else if (this.process.isAlive) this.world.kill(this.process)
    this.process = this.world.start('broker')
    meddle?.(this.process.disk)
    Object.assign(this, this.#build())
    void this.replicas.start(this.image.topics)
    this.replicas.places.begin()
  }

  createTopic(name: string, options: TopicOptions = {}): TopicImage {
    const { partitions = 1, replicas = [brokerId], leader = brokerId, leaderEpoch = 0 } = options
    const topic: TopicImage = {
      name,
      id: options.id ?? newTopicId(),
      partitions: Array.from({ length: partitions }, (_, index) => ({
        index,
        replicas,
        isr: options.isr ?? replicas,
        removingReplicas: [],
        addingReplicas: [],
        leader,
        leaderRecoveryState: 0,
        leaderEpoch,
        partitionEpoch: leaderEpoch,
        directories: replicas.map(() => 'AAAAAAAAAAAAAAAAAAAAAQ'),
        elr: [],
        lastKnownElr: [],
      })),
    }
    if (options.config !== undefined) this.configs.set(name, options.config)
    this.setTopic(topic)
    return topic
  }

  /** Makes the topic be as given, whether it is new or not. */
  setTopic(topic: TopicImage): void {
    const { byName, byId } = this.image.topics
    const topics = {
      byName: new Map(byName).set(topic.name, topic),
      byId: new Map(byId).set(topic.id, topic),
    }
    this.image = { ...this.image, topics }
    const partitions = topic.partitions.map(({ index }) => index)
    this.replicas.apply({ deleted: [], changed: [{ topic, partitions }], reconfigured: [] }, topics)
  }

  /** What the controller does for AssignReplicasToDirs. */
  assignDirectory(replica: { topicId: string; index: number; directoryId: string }): void {
    const topic = this.image.topics.byId.get(replica.topicId)
    if (topic === undefined) return
    const partitions = topic.partitions.map((one) =>
      one.index === replica.index
        ? { ...one, directories: [replica.directoryId], partitionEpoch: one.partitionEpoch + 1 }
        : one,
    )
    this.setTopic({ ...topic, partitions })
  }

  deleteTopic({ name, id }: { name: string; id: string }): void {
    const topics = {
      byName: new Map(this.image.topics.byName),
      byId: new Map(this.image.topics.byId),
    }
    topics.byName.delete(name)
    topics.byId.delete(id)
    this.image = { ...this.image, topics }
    this.replicas.apply({ deleted: [{ id }], changed: [], reconfigured: [] }, topics)
  }

  configure(topic: string, config: Partial<ReplicaConfig>): void {
    this.configs.set(topic, config)
    const changes = { deleted: [], changed: [], reconfigured: [topic] }
    this.replicas.apply(changes, this.image.topics)
  }

  partition(topic: string, index = 0): Partition {
    const partition = this.replicas.get(topic, index)
    if (partition === undefined) throw new Error(`${topic}-${index} is not hosted`)
    return partition
  }

  /** Appends records with these values as one batch, and waits until they are written. */
  async append(topic: string, values: readonly string[], batch: Partial<NewBatch> = {}) {
    const appended = this.partition(topic).append(batchOf(values, batch), { acks: 1 })
    await this.world.run(appended.written)
    return appended
  }

  /** Calls the handler as the connection would; undefined: the connection is closed. */
  async call<Api extends ApiRow>(
    handler: Handler<Api>,
    version: number,
    input: InputOf<Api['request']>,
    options: CallOptions = {},
  ): Promise<MessageOf<Api['response']> | null | undefined> {
    return this.world.run(this.start(handler, version, input, options))
  }

  /** As `call`, for the caller to let time pass. */
  async start<Api extends ApiRow>(
    handler: Handler<Api>,
    version: number,
    input: InputOf<Api['request']>,
    { clientId = 'test', connection = this.connection, context: overrides = {} }: CallOptions = {},
  ): Promise<MessageOf<Api['response']> | null | undefined> {
    const { api } = handler
    const request = decode(api.request, version, encode(api.request, version, input))
    const context = requestContext(api, version, connection, {
      clientId,
      releaseUnsent: () => void this.releasedUnsent++,
      isOverQuota: () => this.isOverQuota,
      countRecords: (bytes) => {
        this.countedBytes += bytes
      },
      ...overrides,
    })
    const response = await this.#answer(handler, request, context)
    if (response === null || response === undefined) return response
    return decode(api.response, version, encode(api.response, version, response))
  }

  async #answer<Api extends ApiRow>(
    handler: Handler<Api>,
    request: MessageOf<Api['request']>,
    context: RequestContext,
  ): Promise<InputOf<Api['response']> | null | undefined> {
    try {
      return await handler.handle(request, context)
    } catch (error) {
      if (!(error instanceof Error) || !('error' in error)) throw error
      const row = error.error as Parameters<NonNullable<typeof handler.onError>>[1]
      const response = handler.onError?.(request, row, context.apiVersion, error.message)
      return response ?? undefined
    }
  }

  #build() {
    const { environment } = this.process
    const directories = this.disks.map((path) =>
      LogDirectory.open({
        environment,
        path,
        onFailure: (directory) => this.replicas.directoryFailed(directory),
      }),
    )
    if (this.hasDirectoryIds) directories.forEach(identifyDirectory)
    const replicas = new Replicas({
      environment,
      brokerId,
      directories,
      tailCache: new TailCache(1_000_000),
      configFor: (topic) => ({
        ...defaultLogConfig,
        minInsyncReplicas: 1,
        ...this.configs.get(topic),
      }),
      producerIdExpirationMs: () => this.producerIdExpirationMs,
      compaction: () => this.compaction,
      moveBytesPerSecondMax: () => this.moveBytesPerSecondMax,
      directoriesBefore: this.directoriesBefore,
      assignDirectories: async (places) => {
        await new Promise<void>((resolve) => environment.timers.after(1, resolve))
        for (const place of places) this.assignDirectory(place)
        return places.map(() => errors.NONE)
      },
      intervals: {
        checkpointMs: 5_000,
        settledMs: 60_000,
        firstRetentionMs: 30_000,
        retentionMs: 300_000,
        producerExpiryMs: 600_000,
      },
    })
    const { clock, random, timers } = environment
    const sessions = new FetchSessions({ clock, random, slotsMax: 100 })
    const verifier: TransactionVerifier = {
      verify: (request) => {
        this.verified.push(request)
        return this.verify(request)
      },
    }
    const admission = new Admission({
      environment,
      verifier,
      isVerifying: () => this.isVerifying,
      retryBackoffMs: () => 20,
      retryMsMax: () => 100,
    })
    return { replicas, sessions, parked: new ParkedFetches({ timers }), admission }
  }
}

/** Its id follows from its path. */
export function directoryIdOf(path: string): string {
  return Buffer.from(path.padEnd(16, '_')).toString('base64url')
}

function identifyDirectory(directory: LogDirectory): void {
  if (directory.failure !== null || directory.metaProperties !== null) return
  const directoryId = directoryIdOf(directory.path)
  directory.writeMetaProperties({ version: 1, clusterId: 'cluster', nodeId: brokerId, directoryId })
}

export function batchOf(values: readonly string[], batch: Partial<NewBatch> = {}): Buffer {
  const records = values.map((value, index) => ({
    timestamp: 1_767_225_600_000 + index,
    key: null,
    value: Buffer.from(value),
  }))
  return encodeBatch({ records, ...batch })
}

/**
 * The metadata of one node, wired: the quorum and its log, the image that everybody reads, and the
 * controller that changes it. Opening replays what is stored, takes the lead of the quorum, registers
 * the broker, and is done when all of that is committed.
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { Uuid } from '../../protocol/types.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import { DiskError } from '../environment/disk.ts'
import type { Environment } from '../environment/environment.ts'
import { Quorum } from '../raft/quorum.ts'
import type { RaftLog } from '../raft/raft-log.ts'
import { bootstrapRecords } from './bootstrap.ts'
import { Controller } from './controller/controller.ts'
import {
  isMetadataVersion,
  metadataVersionFeature,
  metadataVersionLatest,
  metadataVersionName,
} from './features.ts'
import type { EndpointImage, MetadataImage } from './image.ts'
import { loadMetadata } from './load.ts'
import type { MetadataLoader } from './loader.ts'
import { MetadataCache } from './metadata-cache.ts'
import { MetadataError } from './metadata-error.ts'
import { ProducerIds } from './producer-ids.ts'
import { randomUuid } from './random-uuid.ts'
import type { MetadataRecord } from './record.ts'
import { Snapshots } from './snapshots.ts'

export interface MetadataOptions {
  readonly nodeId: number
  readonly clusterId: string
  /** `metadata.log.dir`: holds `bootstrap.checkpoint`. */
  readonly metadataDirectory: string
  /** The directory of `__cluster_metadata-0`, which must exist: holds `quorum-state` and snapshots. */
  readonly partitionDirectory: string
  /** `directory.id` of the metadata directory. */
  readonly directoryId: Uuid
  /** `directory.id` of every log directory. */
  readonly logDirs: readonly Uuid[]
  /** The log of `__cluster_metadata-0`. */
  readonly log: RaftLog
  /** What brokers and tools are told of this node's listeners. */
  readonly endpoints: readonly EndpointImage[]
  readonly rack: string | null
  readonly config: BrokerConfig
  readonly environment: Pick<Environment, 'clock' | 'timers' | 'disk' | 'log' | 'random'>
  /** The metadata log can no longer be written: the node must stop. */
  readonly onFatal: (error: Error) => void
}

interface MetadataParts
  extends Pick<Metadata, 'cache' | 'controller' | 'quorum' | 'brokerEpoch' | 'logDirsBefore'> {
  readonly snapshots: Snapshots
}

export class Metadata {
  readonly cache: MetadataCache
  readonly controller: Controller
  readonly quorum: Quorum
  readonly producerIds: ProducerIds
  /** Of this process: the offset of its registration. */
  readonly brokerEpoch: number
  /** `directory.id` of each log directory of the broker that worked at its last start. */
  readonly logDirsBefore: readonly Uuid[]
  readonly #snapshots: Snapshots

  private constructor(parts: MetadataParts) {
    const { cache, controller, quorum, snapshots, brokerEpoch, logDirsBefore } = parts
    this.cache = cache
    this.controller = controller
    this.quorum = quorum
    this.#snapshots = snapshots
    this.brokerEpoch = brokerEpoch
    this.logDirsBefore = logDirsBefore
    this.producerIds = new ProducerIds(() =>
      controller.allocateProducerIds(controller.nodeId, brokerEpoch),
    )
  }

  /**
   * Rejects with DiskError; with MetadataError for a log that is damaged or not understood; with
   * ForeignQuorum where it belongs to several voters.
   */
  static async open(options: MetadataOptions): Promise<Metadata> {
    const { nodeId, environment, config, partitionDirectory, log } = options
    const loader = await loadMetadata(options)
    checkMetadataVersion(loader.image)
    let controller: Controller | undefined
    const quorum = new Quorum({
      nodeId,
      directoryId: options.directoryId,
      directory: partitionDirectory,
      log,
      lastEpoch: Math.max(log.lastEpoch, loader.image.epoch),
      voterSet: loader.voterSet,
      environment,
      onFatal: (error) => {
        controller?.fail(error)
        options.onFatal(error)
      },
    })
    const cache = new MetadataCache(loader.image)
    quorum.lead()
    controller = new Controller({ nodeId, quorum, cache, config, environment })
    const snapshots = new Snapshots({
      directory: partitionDirectory,
      config: {
        bytesBetween: config.get('metadata.log.max.record.bytes.between.snapshots'),
        intervalMs: config.get('metadata.log.max.snapshot.interval.ms'),
        retentionBytes: config.get('metadata.max.retention.bytes'),
        retentionMs: config.get('metadata.max.retention.ms'),
      },
      quorum,
      cache,
      replayedBytes: loader.replayedBytes,
      environment,
    })
    const logDirsBefore = loader.image.brokers.get(nodeId)?.logDirs ?? []
    // All of it is decided in this turn, so all of it is in one flush.
    const activated = controller.activate(loader.isInTransaction, firstRecords(loader, options))
    const registered = controller.registerBroker({
      brokerId: nodeId,
      incarnationId: randomUuid(environment.random),
      endpoints: options.endpoints,
      rack: options.rack,
      logDirs: options.logDirs,
    })
    const [, brokerEpoch] = await Promise.all([activated, registered])
    return new Metadata({ cache, controller, quorum, snapshots, brokerEpoch, logDirsBefore })
  }

  get image(): MetadataImage {
    return this.cache.image
  }

  /**
   * Writes down that the broker has stopped and flushes what is appended; its replies come first. The log
   * is the caller's to close.
   */
  async close(): Promise<void> {
    await this.#snapshots.close()
    try {
      await this.controller.shutDownBroker(this.brokerEpoch)
    } catch (error) {
      // Where the log has failed the registration stays, as after a crash.
      if (!(error instanceof KafkaError) && !(error instanceof DiskError)) throw error
    }
    await this.quorum.close()
  }
}

/** What the log of a new cluster begins with; nothing for one that has begun. */
function firstRecords(
  { image }: MetadataLoader,
  { config, environment, metadataDirectory }: MetadataOptions,
): readonly MetadataRecord[] {
  if (image.features.has(metadataVersionFeature) || image.brokers.size > 0) return []
  const minInSyncReplicas = config.get('min.insync.replicas')
  return bootstrapRecords(environment.disk, metadataDirectory, minInSyncReplicas)
}

/** Of a later version, the next record might mean what nobody here understands. */
function checkMetadataVersion({ features }: MetadataImage): void {
  const level = features.get(metadataVersionFeature)
  if (level === undefined || isMetadataVersion(level)) return
  throw new MetadataError(
    `metadata.version is ${level}; this version knows those up to ${metadataVersionLatest} ` +
      `(${metadataVersionName(metadataVersionLatest)}): refuses to start`,
  )
}

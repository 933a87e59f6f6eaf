/**
 * The metadata of one node, wired: the quorum and its log, the image that everybody reads, and the
 * controller that changes it. Opening replays what is stored, takes the lead of the quorum, registers
 * the broker, and is done when all of that is committed.
 */
import type { Uuid } from '../../protocol/types.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { Environment } from '../environment/environment.ts'
import { Quorum } from '../raft/quorum.ts'
import type { RaftLog } from '../raft/raft-log.ts'
import { bootstrapRecords, newestSnapshot } from './bootstrap.ts'
import { Controller } from './controller/controller.ts'
import { metadataVersionFeature } from './features.ts'
import { type EndpointImage, emptyImage, type MetadataImage } from './image.ts'
import { MetadataLoader } from './loader.ts'
import { MetadataCache } from './metadata-cache.ts'
import { MetadataError } from './metadata-error.ts'
import { ProducerIds } from './producer-ids.ts'
import { randomUuid } from './random-uuid.ts'

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

/** Bytes of log replayed at a time at start. */
const loadBytes = 1024 * 1024

export class Metadata {
  readonly cache: MetadataCache
  readonly controller: Controller
  readonly quorum: Quorum
  readonly producerIds: ProducerIds
  /** Of this process: the offset of its registration. */
  readonly brokerEpoch: number

  private constructor(
    cache: MetadataCache,
    controller: Controller,
    quorum: Quorum,
    brokerEpoch: number,
  ) {
    this.cache = cache
    this.controller = controller
    this.quorum = quorum
    this.brokerEpoch = brokerEpoch
    this.producerIds = new ProducerIds(() =>
      controller.allocateProducerIds(controller.nodeId, brokerEpoch),
    )
  }

  /** Rejects with DiskError, and with MetadataError (or what decoding throws) for a log that is not understood. */
  static async open(options: MetadataOptions): Promise<Metadata> {
    const { nodeId, environment, config, metadataDirectory } = options
    let controller: Controller | undefined
    const quorum = new Quorum({
      nodeId,
      directoryId: options.directoryId,
      directory: options.partitionDirectory,
      log: options.log,
      environment,
      onFatal: (error) => {
        controller?.fail(error)
        options.onFatal(error)
      },
    })
    const cache = new MetadataCache(await load(options))
    quorum.lead()
    controller = new Controller({ nodeId, quorum, cache, config, environment })
    const isNew = !cache.image.features.has(metadataVersionFeature)
    // Both are decided in this turn, so both are in one flush.
    const [, brokerEpoch] = await Promise.all([
      isNew
        ? controller.appendRecords(bootstrapRecords(environment.disk, metadataDirectory))
        : null,
      controller.registerBroker({
        brokerId: nodeId,
        incarnationId: randomUuid(environment.random),
        endpoints: options.endpoints,
        rack: options.rack,
        logDirs: options.logDirs,
      }),
    ])
    return new Metadata(cache, controller, quorum, brokerEpoch)
  }

  get image(): MetadataImage {
    return this.cache.image
  }

  /** Flushes what is appended; its replies come first. The log is the caller's to close. */
  async close(): Promise<void> {
    await this.quorum.close()
  }
}

/** The image at the end of the log: the newest snapshot, then everything after it. */
async function load(options: MetadataOptions): Promise<MetadataImage> {
  const { environment, log, clusterId, partitionDirectory } = options
  const loader = new MetadataLoader(emptyImage(clusterId))
  const snapshot = newestSnapshot(environment.disk, partitionDirectory)
  if (snapshot !== undefined) {
    const content = environment.disk.readFile(snapshot.path)
    loader.loadSnapshot(content, snapshot.endOffset - 1, snapshot.epoch)
  }
  if (log.startOffset > loader.image.offset + 1) {
    throw new MetadataError(
      `the metadata log begins at offset ${log.startOffset}, and no snapshot stands for what was before`,
    )
  }
  while (loader.image.offset + 1 < log.endOffset) {
    const from = loader.image.offset + 1
    const chunks = await log.read(from, loadBytes)
    for (const chunk of chunks) loader.load(chunk)
    if (loader.image.offset + 1 === from) {
      throw new MetadataError(`the metadata log cannot be read from offset ${from} on`)
    }
  }
  return loader.image
}

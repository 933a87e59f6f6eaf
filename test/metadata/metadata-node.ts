/** One node's metadata on a disk in memory, for tests: opened, killed, crashed and opened again. */
import { BrokerConfig } from '../../src/config/broker-config.ts'
import { supportedFeatures } from '../../src/metadata/features.ts'
import type { MetadataImage } from '../../src/metadata/image.ts'
import { Metadata } from '../../src/metadata/metadata.ts'
import { MemoryRaftLog } from '../raft/memory-raft-log.ts'
import { TestTurns } from '../raft/test-turns.ts'
import { MemoryDisk } from '../simulator/memory-disk.ts'

export const clusterId = '4L6g3nShT-eMCtK--X86sw'
export const directoryId = 'PtNc1U20TFKl4f7aQdapUQ'
export const partitionDirectory = '/data/__cluster_metadata-0'

export interface MetadataNode {
  readonly disk: MemoryDisk
  readonly turns: TestTurns
  readonly log: MemoryRaftLog
  readonly metadata: Metadata
  readonly config: BrokerConfig
  readonly failures: Error[]
  /** Ends turns until the promise settles. */
  finish<T>(promise: Promise<T>): Promise<T>
}

/** The features that a new cluster begins with, and their levels. */
export const newClusterFeatures: ReadonlyMap<string, number> = new Map(
  supportedFeatures.map(({ name, maxSupportedVersion }) => [name, maxSupportedVersion]),
)

/** Nodes so far: each draws its own random ids. */
let opened = 0

export async function openNode(
  disk = new MemoryDisk(),
  settings: Readonly<Record<string, string>> = {},
  logDirs: readonly string[] = [directoryId],
): Promise<MetadataNode> {
  disk.makeDirectory(partitionDirectory)
  disk.syncDirectory('/')
  disk.syncDirectory('/data')
  const turns = new TestTurns(disk, ++opened)
  const log = new MemoryRaftLog(disk, `${partitionDirectory}/log`)
  const config = new BrokerConfig(new Map(Object.entries(settings)))
  const failures: Error[] = []
  const opening = Metadata.open({
    nodeId: 1,
    clusterId,
    metadataDirectory: '/data',
    partitionDirectory,
    directoryId,
    logDirs,
    log,
    endpoints: [{ name: 'PLAINTEXT', host: 'localhost', port: 9092, securityProtocol: 0 }],
    rack: null,
    config,
    environment: turns.environment,
    onFatal: (error) => failures.push(error),
  })
  const metadata = await turns.finish(opening)
  return { disk, turns, log, metadata, config, failures, finish: (p) => turns.finish(p) }
}

/** Everything in the image, but not where in the log it stands, in a form that can be compared. */
export function contentOf(image: MetadataImage): unknown {
  const entries = <V>(map: ReadonlyMap<unknown, V>) =>
    [...map].sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))
  return {
    topics: entries(image.topics.byName),
    ids: entries(image.topics.byId).map(([id, { name }]) => [id, name]),
    configs: entries(image.configs).map(([type, resources]) => [
      type,
      entries(resources).map(([name, texts]) => [name, entries(texts)]),
    ]),
    features: entries(image.features),
    nextProducerId: image.nextProducerId,
    brokers: entries(image.brokers),
    controllers: entries(image.controllers),
    clientQuotas: entries(image.clientQuotas).map(([key, { entity, quotas }]) => [
      key,
      entity,
      entries(quotas),
    ]),
    acls: entries(image.acls),
    scramCredentials: entries(image.scramCredentials),
    delegationTokens: entries(image.delegationTokens),
  }
}

export function newTopic(
  name: string,
  options: {
    partitions?: number
    replicas?: number
    configs?: Readonly<Record<string, string | null>>
    assignments?: Readonly<Record<number, readonly number[]>>
  } = {},
) {
  const { assignments, configs } = options
  return {
    name,
    numPartitions: options.partitions ?? -1,
    replicationFactor: options.replicas ?? -1,
    assignments: Object.entries(assignments ?? {}).map(([index, brokerIds]) => ({
      partitionIndex: Number(index),
      brokerIds,
    })),
    configs: Object.entries(configs ?? {}).map(([key, value]) => ({ name: key, value })),
  }
}

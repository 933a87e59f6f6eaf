/** The three topics in which a worker keeps its state, as its settings name them. */
import type { Cluster } from '../../client/cluster.ts'
import type { ConnectConfig } from '../../config/connect-configs.ts'
import type { Kind, States, Storage } from './storage.ts'
import { StorageLog } from './storage-log.ts'

/** Makes topics that are missing. Rejects with ConnectException, KafkaError. */
export async function openTopicStorage(
  cluster: Cluster,
  config: ConnectConfig,
  states: States,
): Promise<Storage> {
  const topicOf: Readonly<Record<Kind, string>> = {
    configs: config['config.storage.topic'],
    offsets: config['offset.storage.topic'],
    statuses: config['status.storage.topic'],
  }
  const log = await StorageLog.open(cluster, [
    {
      name: topicOf.configs,
      partitions: 1,
      replicationFactor: config['config.storage.replication.factor'],
      apply: states.configs,
    },
    {
      name: topicOf.offsets,
      partitions: config['offset.storage.partitions'],
      replicationFactor: config['offset.storage.replication.factor'],
      apply: states.offsets,
    },
    {
      name: topicOf.statuses,
      partitions: config['status.storage.partitions'],
      replicationFactor: config['status.storage.replication.factor'],
      apply: states.statuses,
    },
  ])
  return {
    put: (kind, entries) => log.put(topicOf[kind], entries),
    catchUp: (kind) => log.catchUp(topicOf[kind]),
    close: () => log.close(),
  }
}

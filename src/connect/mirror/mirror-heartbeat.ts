/**
 * Writes to the target again and again that the way from the source is there (MirrorMaker 2's MirrorHeartbeatConnector).
 * Mirrored on from cluster to cluster, heartbeats tell which clusters there are upstream, and how far.
 */
import type { Cluster } from '../../client/cluster.ts'
import { ConfigDef, type Settings } from '../config-def.ts'
import { primitive } from '../data.ts'
import type { Idle } from '../idle.ts'
import type {
  ConnectorContext,
  SourceConnector,
  SourcePlugin,
  SourceTaskContext,
} from '../plugin.ts'
import { type Poller, polledTask } from '../polled-source.ts'
import { type SourceRecord, sourceRecord } from '../records.ts'
import { connectVersion } from '../version.ts'
import { createCompacted, mayPass, openCluster } from './mirror-clusters.ts'
import { heartbeatKeys, presets } from './mirror-keys.ts'
import { writeHeartbeat } from './mirror-records.ts'
import { checkPositions, noOffset } from './positions.ts'
import { ReplicationPolicy } from './replication-policy.ts'

const configDef = new ConfigDef(heartbeatKeys)
const bytes = primitive('BYTES')

class MirrorHeartbeatConnector implements SourceConnector {
  #settings: Settings = new Map()
  #isOn = false
  #target: Cluster | null = null

  /** Rejects with ConfigError, KafkaError, ConnectException. */
  async start(settings: Settings, { environment, log }: ConnectorContext): Promise<void> {
    const config = configDef.parse(settings)
    this.#settings = settings
    this.#isOn = config.enabled && config['emit.heartbeats.enabled']
    if (!this.#isOn) return
    const timeoutMs = config['admin.timeout.ms']
    const role = 'heartbeats-target-admin'
    this.#target = openCluster({ environment, settings, timeoutMs, role }, 'target', 'admin')
    try {
      await createCompacted(this.#target, new ReplicationPolicy(config).heartbeatsTopic, {
        setting: 'heartbeats.topic.replication.factor',
        factor: config['heartbeats.topic.replication.factor'],
      })
    } catch (error) {
      if (!mayPass(error)) throw error
      log.warn('A mirror could not look for the topic of heartbeats', { reason: String(error) })
    } finally {
      this.stop()
    }
  }

  taskConfigs(): readonly Settings[] {
    return this.#isOn ? [this.#settings] : []
  }

  stop(): void {
    this.#target?.close()
  }

  alterOffsets = checkPositions(['sourceClusterAlias', 'targetClusterAlias'], {
    hasPartition: false,
    isZero: true,
  })
}

function heartbeats({ environment, settings }: SourceTaskContext, idle: Idle): Poller {
  const config = configDef.parse(settings)
  const { 'source.cluster.alias': source, 'target.cluster.alias': target } = config
  const topic = new ReplicationPolicy(config).heartbeatsTopic
  const sourcePartition = new Map([
    ['sourceClusterAlias', source],
    ['targetClusterAlias', target],
  ])
  const poll = async (): Promise<SourceRecord[] | null> => {
    await idle.wait(environment.timers, config['emit.heartbeats.interval.seconds'] * 1000)
    if (idle.isStopped) return null
    const timestamp = environment.clock.now()
    const record = sourceRecord({
      ...{ topic, kafkaPartition: 0, timestamp, keySchema: bytes, valueSchema: bytes },
      ...writeHeartbeat(source, target, timestamp),
      ...{ sourcePartition, sourceOffset: noOffset },
    })
    return [record]
  }
  return { poll }
}

export const mirrorHeartbeat: SourcePlugin = {
  type: 'source',
  className: 'org.apache.kafka.connect.mirror.MirrorHeartbeatConnector',
  version: connectVersion,
  config: configDef,
  presets,
  connector: () => new MirrorHeartbeatConnector(),
  task: () => polledTask(heartbeats),
}

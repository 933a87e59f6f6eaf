/** A broker's settings in the shape that each of its parts asks for. */
import type { BrokerConfig } from './config/broker-config.ts'
import { ConfigError } from './config/definition.ts'
import { groupSetting } from './config/group-configs.ts'
import { readListeners } from './config/listeners.ts'
import { readPerIpOverrides } from './config/per-ip-overrides.ts'
import type {
  GroupCoordinatorConfig,
  GroupSetting,
  MigrationPolicy,
} from './coordinator/group/config.ts'
import type { ShareCoordinatorConfig } from './coordinator/share/config.ts'
import type { TransactionCoordinatorConfig } from './coordinator/transaction/config.ts'
import type { CompactionConfig } from './log/compaction/compactor.ts'
import { defaultLogConfig, type LogConfig } from './log/log-config.ts'
import { standardAuthorizerClass } from './metadata/authorizer/standard-authorizer.ts'
import {
  defaultLimits,
  type LimitOptions,
  type ListenerLimits,
  unlimitedListener,
} from './server/limits.ts'
import type { QuotaWindows } from './server/quotas/client-quotas.ts'

/**
 * Throws ConfigError for settings that ask for a promise which nobody here would keep: to ignore them would
 * be worse than not to start.
 */
export function refuseUnkept(config: BrokerConfig): void {
  const authorizer = config.get('authorizer.class.name')
  if (authorizer !== '' && authorizer !== standardAuthorizerClass) {
    throw new ConfigError(
      'authorizer.class.name',
      `authorizer.class.name is ${authorizer}; this version has ${standardAuthorizerClass} only`,
    )
  }
  if (config.get('remote.log.storage.system.enable')) {
    throw new ConfigError(
      'remote.log.storage.system.enable',
      'remote.log.storage.system.enable is true, but this version has no remote storage: remove the setting',
    )
  }
  const voters = config.text('controller.quorum.voters') ?? ''
  if (voters.includes(',')) {
    throw new ConfigError(
      'controller.quorum.voters',
      `controller.quorum.voters names several nodes (${voters}); this version is a cluster of one node`,
    )
  }
  const roles = config.get('process.roles')
  if (!roles.includes('broker') || !roles.includes('controller')) {
    throw new ConfigError(
      'process.roles',
      `process.roles is ${roles.join(',')}; this version is always broker,controller: a cluster of one node`,
    )
  }
}

/** Read again after every change at run time. */
export function limitOptions(config: BrokerConfig): LimitOptions {
  const queuedBytes = config.get('queued.max.request.bytes')
  return {
    ...defaultLimits,
    requestBytesMax: config.get('socket.request.max.bytes'),
    ...(config.isSet('max.connections') && { connectionsMax: config.get('max.connections') }),
    ...(config.isSet('max.connections.per.ip') && {
      connectionsPerIpMax: config.get('max.connections.per.ip'),
    }),
    connectionsPerIpOverrides: readPerIpOverrides(config.get('max.connections.per.ip.overrides')),
    connectionRateMax: config.get('max.connection.creation.rate'),
    byListener: listenerLimits(config),
    idleMsMax: config.get('connections.max.idle.ms'),
    queuedRequestBytesMax: queuedBytes > 0 ? queuedBytes : defaultLimits.queuedRequestBytesMax,
  }
}

/** What listeners have of their own; of the broker's settings they have none. */
function listenerLimits(config: BrokerConfig): ReadonlyMap<string, ListenerLimits> {
  const limits = new Map<string, ListenerLimits>()
  for (const { name } of readListeners(config).client) {
    const connectionsMax = config.ofListener(name, 'max.connections')
    const connectionRateMax = config.ofListener(name, 'max.connection.creation.rate')
    if (connectionsMax === undefined && connectionRateMax === undefined) continue
    limits.set(name, {
      connectionsMax: connectionsMax ?? unlimitedListener.connectionsMax,
      connectionRateMax: connectionRateMax ?? unlimitedListener.connectionRateMax,
    })
  }
  return limits
}

/** Fixed at start. */
export function quotaWindows(config: BrokerConfig): QuotaWindows {
  return {
    requests: {
      count: config.get('quota.window.num'),
      ms: config.get('quota.window.size.seconds') * 1000,
    },
    mutations: {
      count: config.get('controller.quota.window.num'),
      ms: config.get('controller.quota.window.size.seconds') * 1000,
    },
  }
}

/** Each call of the returned function reads the settings anew. */
export function groupCoordinatorConfig(
  config: BrokerConfig,
  isDevelopment: boolean,
): () => GroupCoordinatorConfig {
  const delay = 'group.initial.rebalance.delay.ms'
  return () => ({
    groupInitialRebalanceDelayMs: isDevelopment && !config.isSet(delay) ? 0 : config.get(delay),
    groupMinSessionTimeoutMs: config.get('group.min.session.timeout.ms'),
    groupMaxSessionTimeoutMs: config.get('group.max.session.timeout.ms'),
    groupMaxSize: config.get('group.max.size'),
    offsetMetadataMaxBytes: config.get('offset.metadata.max.bytes'),
    offsetsCommitTimeoutMs: config.get('offsets.commit.timeout.ms'),
    offsetsRetentionMinutes: config.get('offsets.retention.minutes'),
    offsetsRetentionCheckIntervalMs: config.get('offsets.retention.check.interval.ms'),
    groupConsumerMaxSize: config.get('group.consumer.max.size'),
    groupConsumerAssignors: config.get('group.consumer.assignors'),
    groupConsumerMigrationPolicy: migrationPolicy(config.get('group.consumer.migration.policy')),
    groupConsumerRegexRefreshIntervalMs: config.get('group.consumer.regex.refresh.interval.ms'),
    groupShareMaxSize: config.get('group.share.max.size'),
    groupStreamsMaxSize: config.get('group.streams.max.size'),
    offsetsTopicCompressionCodec: config.get('offsets.topic.compression.codec'),
  })
}

/** Each call of the returned function reads the settings anew. */
export function shareCoordinatorConfig(config: BrokerConfig): () => ShareCoordinatorConfig {
  const prefix = 'share.coordinator'
  return () => ({
    snapshotUpdateRecordsPerSnapshot: config.get(`${prefix}.snapshot.update.records.per.snapshot`),
    writeTimeoutMs: config.get(`${prefix}.write.timeout.ms`),
    stateTopicCompressionCodec: config.get(`${prefix}.state.topic.compression.codec`),
    stateTopicPruneIntervalMs: config.get(`${prefix}.state.topic.prune.interval.ms`),
    coldPartitionSnapshotIntervalMs: config.get(`${prefix}.cold.partition.snapshot.interval.ms`),
  })
}

/** Valid in whichever case it is written. */
function migrationPolicy(text: string): MigrationPolicy {
  return text.toLowerCase() as MigrationPolicy
}

/** `overridesOf`: what a group has set for itself. */
export function groupSettingOf(
  config: BrokerConfig,
  overridesOf: (groupId: string) => ReadonlyMap<string, string>,
): GroupSetting {
  return (groupId, name) => groupSetting(name, overridesOf(groupId), config)
}

/** Read anew whenever it matters: all but `log.cleaner.enable` can be changed at run time. */
export function compactionConfig(config: BrokerConfig): CompactionConfig {
  return {
    // One log at a time, however many threads are asked for.
    isEnabled: config.get('log.cleaner.enable') && config.get('log.cleaner.threads') > 0,
    backoffMs: config.get('log.cleaner.backoff.ms'),
    dedupeBufferSize: config.get('log.cleaner.dedupe.buffer.size'),
    ioBufferSize: config.get('log.cleaner.io.buffer.size'),
    ioBufferLoadFactor: config.get('log.cleaner.io.buffer.load.factor'),
    ioMaxBytesPerSecond: config.get('log.cleaner.io.max.bytes.per.second'),
  }
}

/** Each call of the returned function reads the settings, and the features, anew. */
export function transactionCoordinatorConfig(
  config: BrokerConfig,
  transactionVersion: () => number,
): () => TransactionCoordinatorConfig {
  const interval = 'transaction.cleanup.interval.ms'
  return () => ({
    addPartitionsRetryMaxMs: config.get('add.partitions.to.txn.retry.backoff.max.ms'),
    abortTimedOutIntervalMs: config.get(`transaction.abort.timed.out.${interval}`),
    transactionMaxTimeoutMs: config.get('transaction.max.timeout.ms'),
    removeExpiredIntervalMs: config.get(`transaction.remove.expired.${interval}`),
    isTwoPhaseCommitEnabled: config.get('transaction.two.phase.commit.enable'),
    transactionalIdExpirationMs: config.get('transactional.id.expiration.ms'),
    requestTimeoutMs: config.get('request.timeout.ms'),
    transactionVersion: transactionVersion(),
  })
}

/** Kafka's limit for one batch of the metadata log; the controller stays below it. */
const metadataBatchBytesMax = 8 * 1024 * 1024

/** The metadata log is cut by snapshots, never by the retention of logs. */
export function metadataLogConfig(config: BrokerConfig): LogConfig {
  return {
    ...defaultLogConfig,
    cleanupPolicy: [],
    retentionMs: -1,
    retentionBytes: -1,
    segmentBytes: config.get('metadata.log.segment.bytes'),
    segmentMs: config.get('metadata.log.segment.ms'),
    maxMessageBytes: metadataBatchBytesMax,
  }
}

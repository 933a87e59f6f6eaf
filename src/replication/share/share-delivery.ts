/** Delivery to share groups on this broker: share partitions, sessions, and the settings both follow. */
import type { BrokerConfig } from '../../config/broker-config.ts'
import { type GroupConfigName, groupSetting } from '../../config/group-configs.ts'
import type { Environment } from '../../environment/environment.ts'
import { configResource, configTexts } from '../../metadata/image.ts'
import type { MetadataCache } from '../../metadata/metadata-cache.ts'
import type { Replicas } from '../replicas.ts'
import type { SharePersister } from './persister.ts'
import type { ShareSettings } from './settings.ts'
import { SharePartitions } from './share-partitions.ts'
import { ShareSessions } from './share-sessions.ts'

export interface ShareDelivery {
  readonly shares: SharePartitions
  readonly sessions: ShareSessions
}

export function shareDelivery(parts: {
  readonly environment: Environment
  readonly config: BrokerConfig
  readonly cache: MetadataCache
  readonly replicas: Replicas
  readonly persister: SharePersister
}): ShareDelivery {
  const { environment, config, cache, replicas, persister } = parts
  const settingsFor = (groupId: string) => shareSettings(config, cache, groupId)
  const shares = new SharePartitions({ environment, replicas, persister, settingsFor })
  const sessions = new ShareSessions({
    sessionsMax: () => config.get('group.share.max.share.sessions'),
    onEnded: (...ended) => void shares.release(...ended),
  })
  return { shares, sessions }
}

/** Each value is looked up when it is asked for: changes take effect at once. */
function shareSettings(config: BrokerConfig, cache: MetadataCache, groupId: string): ShareSettings {
  const setting = <Name extends GroupConfigName>(name: Name) =>
    groupSetting(name, configTexts(cache.image, configResource.GROUP, groupId), config)
  return {
    get recordLockDurationMs() {
      return setting('share.record.lock.duration.ms')
    },
    get deliveryCountLimit() {
      return setting('share.delivery.count.limit')
    },
    get partitionMaxRecordLocks() {
      return setting('share.partition.max.record.locks')
    },
    get isRenewEnabled() {
      return setting('share.renew.acknowledge.enable')
    },
    get isReadCommitted() {
      return setting('share.isolation.level') === 'read_committed'
    },
    get autoOffsetReset() {
      return setting('share.auto.offset.reset')
    },
  }
}

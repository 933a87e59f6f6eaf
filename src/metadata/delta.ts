/**
 * What a run of metadata records changes in an image. `replay` is the only place in which metadata
 * changes, for the controller, for the broker and at start alike; `apply` gives the next image.
 * Publishers get the delta beside the image and look only at what moved.
 */
import type {
  BrokerRegistrationChangeRecord,
  ClientQuotaRecord,
  ConfigRecord,
  RegisterBrokerRecord,
} from '../../protocol/state/metadata-records.ts'
import type { Uuid } from '../../protocol/types.ts'
import { Draft } from './draft.ts'
import {
  type AclImage,
  type BrokerImage,
  type ClientQuotaImage,
  type ConfigTexts,
  type ControllerImage,
  configResource,
  configTexts,
  type DelegationTokenImage,
  type MetadataImage,
  quotaKey,
  type ScramCredentialImage,
  scramKey,
} from './image.ts'
import { MetadataError } from './metadata-error.ts'
import type { MetadataRecord } from './record.ts'
import { TopicsDelta } from './topics-delta.ts'

/** A resource whose settings changed. */
export interface ConfigChange {
  /** `configResource.TOPIC`, … */
  readonly type: number
  readonly name: string
}

interface OpenConfig extends ConfigChange {
  readonly texts: Map<string, string>
}

export class MetadataDelta {
  /** The image before. */
  readonly base: MetadataImage
  readonly topics: TopicsDelta
  readonly brokers: Draft<number, BrokerImage>
  readonly controllers: Draft<number, ControllerImage>
  readonly features: Draft<string, number>
  readonly clientQuotas: Draft<string, ClientQuotaImage>
  readonly acls: Draft<Uuid, AclImage>
  readonly scramCredentials: Draft<string, ScramCredentialImage>
  readonly delegationTokens: Draft<string, DelegationTokenImage>
  readonly #configs = new Map<string, OpenConfig>()
  #nextProducerId: number

  constructor(base: MetadataImage) {
    this.base = base
    this.topics = new TopicsDelta(base.topics)
    this.brokers = new Draft(base.brokers)
    this.controllers = new Draft(base.controllers)
    this.features = new Draft(base.features)
    this.clientQuotas = new Draft(base.clientQuotas)
    this.acls = new Draft(base.acls)
    this.scramCredentials = new Draft(base.scramCredentials)
    this.delegationTokens = new Draft(base.delegationTokens)
    this.#nextProducerId = base.nextProducerId
  }

  /** Resources of which a setting was set or deleted; topics that were deleted are among them. */
  get configChanges(): readonly ConfigChange[] {
    return [...this.#configs.values()].map(({ type, name }) => ({ type, name }))
  }

  /** Throws MetadataError for a record that cannot follow. */
  replay(record: MetadataRecord): void {
    switch (record.type) {
      case 'TopicRecord':
        this.topics.create(record.value.name, record.value.topicId)
        break
      case 'PartitionRecord':
        this.topics.setPartition(record.value)
        break
      case 'PartitionChangeRecord':
        this.topics.changePartition(record.value)
        break
      case 'RemoveTopicRecord': {
        const name = this.topics.remove(record.value.topicId)
        this.#openConfig(configResource.TOPIC, name).texts.clear()
        break
      }
      case 'ClearElrRecord':
        this.topics.clearElr(record.value.topicName)
        break
      case 'ConfigRecord':
        this.#config(record.value)
        break
      case 'FeatureLevelRecord':
        this.#featureLevel(record.value.name, record.value.featureLevel)
        break
      case 'ProducerIdsRecord':
        this.#nextProducerId = record.value.nextProducerId
        break
      case 'NoOpRecord':
      case 'ZkMigrationStateRecord':
        break
      case 'BeginTransactionRecord':
      case 'EndTransactionRecord':
      case 'AbortTransactionRecord':
        throw new MetadataError('transaction records are for the loader, not for a delta')
      default:
        this.#replayNodes(record)
        break
    }
  }

  /** The next image; offset, epoch and timestamp are those of the last record replayed. */
  apply(offset: number, epoch: number, timestampMs: number): MetadataImage {
    return {
      offset,
      epoch,
      timestampMs,
      clusterId: this.base.clusterId,
      topics: this.topics.apply(),
      configs: this.#appliedConfigs(),
      brokers: this.brokers.result(),
      controllers: this.controllers.result(),
      features: this.features.result(),
      nextProducerId: this.#nextProducerId,
      clientQuotas: this.clientQuotas.result(),
      acls: this.acls.result(),
      scramCredentials: this.scramCredentials.result(),
      delegationTokens: this.delegationTokens.result(),
    }
  }

  #replayNodes(record: MetadataRecord): void {
    switch (record.type) {
      case 'RegisterBrokerRecord':
        this.#registerBroker(record.value)
        break
      case 'UnregisterBrokerRecord':
        this.#broker(record.value.brokerId, record.value.brokerEpoch)
        this.brokers.delete(record.value.brokerId)
        break
      case 'FenceBrokerRecord':
        this.#changeBroker(record.value.id, record.value.epoch, { fenced: true })
        break
      case 'UnfenceBrokerRecord':
        this.#changeBroker(record.value.id, record.value.epoch, { fenced: false })
        break
      case 'BrokerRegistrationChangeRecord':
        this.#brokerRegistrationChange(record.value)
        break
      case 'RegisterControllerRecord': {
        const { controllerId: id, endPoints: endpoints, ...rest } = record.value
        this.controllers.set(id, { id, endpoints, ...rest })
        break
      }
      default:
        this.#replayClients(record)
        break
    }
  }

  #replayClients(record: MetadataRecord): void {
    switch (record.type) {
      case 'ClientQuotaRecord':
        this.#clientQuota(record.value)
        break
      case 'AccessControlEntryRecord':
        this.acls.set(record.value.id, record.value)
        break
      case 'RemoveAccessControlEntryRecord':
        if (this.acls.get(record.value.id) === undefined) {
          throw new MetadataError(`access control entry ${record.value.id} is removed but unknown`)
        }
        this.acls.delete(record.value.id)
        break
      case 'UserScramCredentialRecord': {
        const { mechanism, name } = record.value
        this.scramCredentials.set(scramKey(mechanism, name), record.value)
        break
      }
      case 'RemoveUserScramCredentialRecord':
        this.scramCredentials.delete(scramKey(record.value.mechanism, record.value.name))
        break
      case 'DelegationTokenRecord':
        this.delegationTokens.set(record.value.tokenId, record.value)
        break
      case 'RemoveDelegationTokenRecord':
        this.delegationTokens.delete(record.value.tokenId)
        break
      default:
        throw new MetadataError(`metadata record of a type that is not replayed: ${record.type}`)
    }
  }

  #featureLevel(name: string, level: number): void {
    if (level === 0) this.features.delete(name)
    else this.features.set(name, level)
  }

  #registerBroker(record: RegisterBrokerRecord): void {
    this.brokers.set(record.brokerId, {
      id: record.brokerId,
      epoch: record.brokerEpoch,
      incarnationId: record.incarnationId,
      endpoints: record.endPoints,
      features: record.features,
      rack: record.rack,
      isMigratingZkBroker: record.isMigratingZkBroker,
      fenced: record.fenced,
      inControlledShutdown: record.inControlledShutdown,
      logDirs: record.logDirs,
      cordonedLogDirs: record.cordonedLogDirs,
    })
  }

  #brokerRegistrationChange(record: BrokerRegistrationChangeRecord): void {
    const { brokerId, brokerEpoch, fenced, inControlledShutdown, logDirs } = record
    const before = this.#broker(brokerId, brokerEpoch)
    this.#changeBroker(brokerId, brokerEpoch, {
      fenced: fenced === 0 ? before.fenced : fenced === 1,
      inControlledShutdown: before.inControlledShutdown || inControlledShutdown === 1,
      logDirs: logDirs.length > 0 ? logDirs : before.logDirs,
      cordonedLogDirs: record.cordonedLogDirs ?? before.cordonedLogDirs,
    })
  }

  #changeBroker(id: number, epoch: number, change: Partial<BrokerImage>): void {
    this.brokers.set(id, { ...this.#broker(id, epoch), ...change })
  }

  #broker(id: number, epoch: number): BrokerImage {
    const broker = this.brokers.get(id)
    if (broker === undefined) throw new MetadataError(`broker ${id} is not registered`)
    if (broker.epoch !== epoch) {
      throw new MetadataError(`broker ${id} has epoch ${broker.epoch}, the record says ${epoch}`)
    }
    return broker
  }

  #clientQuota(record: ClientQuotaRecord): void {
    const key = quotaKey(record.entity)
    const quotas = new Map(this.clientQuotas.get(key)?.quotas)
    if (record.remove) quotas.delete(record.key)
    else quotas.set(record.key, record.value)
    if (quotas.size === 0) this.clientQuotas.delete(key)
    else this.clientQuotas.set(key, { entity: record.entity, quotas })
  }

  #config(record: ConfigRecord): void {
    const { texts } = this.#openConfig(record.resourceType, record.resourceName)
    if (record.value === null) texts.delete(record.name)
    else texts.set(record.name, record.value)
  }

  #openConfig(type: number, name: string): OpenConfig {
    const key = `${type} ${name}`
    const open = this.#configs.get(key)
    if (open !== undefined) return open
    const opened = { type, name, texts: new Map(configTexts(this.base, type, name)) }
    this.#configs.set(key, opened)
    return opened
  }

  #appliedConfigs(): MetadataImage['configs'] {
    if (this.#configs.size === 0) return this.base.configs
    const types = new Map(this.base.configs)
    const copied = new Map<number, Map<string, ConfigTexts>>()
    for (const { type, name, texts } of this.#configs.values()) {
      let resources = copied.get(type)
      if (resources === undefined) {
        resources = new Map(types.get(type))
        copied.set(type, resources)
        types.set(type, resources)
      }
      if (texts.size === 0) resources.delete(name)
      else resources.set(name, texts)
    }
    for (const [type, resources] of copied) if (resources.size === 0) types.delete(type)
    return types
  }
}

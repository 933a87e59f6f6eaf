/**
 * Keeps the topics of the target as those of the source that they mirror: there are as many partitions, and their
 * settings and access control entries are alike. Nothing is ever taken away: neither topics, partitions nor entries.
 */
import { type Acl, createAcls, describeAcls } from '../../client/admin/acls.ts'
import {
  alterConfigs,
  type ConfigChange,
  type ConfigEntry,
  describeConfigs,
} from '../../client/admin/configs.ts'
import type { Outcome } from '../../client/admin/outcome.ts'
import { createPartitions, createTopics } from '../../client/admin/topics.ts'
import type { Cluster } from '../../client/cluster.ts'
import { isAnswer } from '../../client/failures.ts'
import type { TopicPartition } from '../../client/topic-partition.ts'
import type { Logger } from '../../environment/environment.ts'
import type { ParsedConfig } from '../config-def.ts'
import { selector } from './filters.ts'
import type { sourceKeys } from './mirror-keys.ts'
import { ReplicationPolicy } from './replication-policy.ts'

export interface TopicSyncOptions {
  readonly source: Cluster
  readonly target: Cluster
  readonly config: ParsedConfig<typeof sourceKeys>
  readonly log: Logger
}

type Counts = ReadonlyMap<string, number>

export class TopicSync {
  readonly #options: TopicSyncOptions
  readonly #policy: ReplicationPolicy
  readonly #isSelected: (topic: string) => boolean
  readonly #isCarriedOver: (setting: string) => boolean
  /** Of the source, those that are there in the target too. */
  #mirrored: readonly string[] = []
  #hasToldOfAcls = false

  constructor(options: TopicSyncOptions) {
    const { config } = options
    this.#options = options
    this.#policy = new ReplicationPolicy(config)
    this.#isSelected = selector(config.topics, config['topics.exclude'])
    this.#isCarriedOver = selector(['.*'], config['config.properties.exclude'])
  }

  /**
   * Makes topics and partitions that are missing. Resolves with the partitions to mirror, which are there in both, in
   * order, and with the failures there were. Rejects as the calls do.
   */
  async topics(): Promise<{ partitions: TopicPartition[]; failures: readonly Outcome[] }> {
    const { source, target } = this.#options
    const wanted = (await counts(source)).filter(([name]) => this.isMirrored(name))
    const before = new Map(await counts(target))
    const failures = await this.#create(new Map(wanted), before)
    const after = new Map(await counts(target))
    const there = ([name]: [string, number]): number => after.get(this.remote(name)) ?? 0
    this.#mirrored = wanted.filter((row) => there(row) > 0).map(([name]) => name)
    const partitions = wanted.flatMap(([topic, count]) =>
      Array.from({ length: Math.min(count, there([topic, count])) }, (_, partition) => ({
        topic,
        partition,
      })),
    )
    return { partitions, failures }
  }

  /** Sets and unsets what differs from the source. */
  async configs(): Promise<void> {
    const { source, target } = this.#options
    const topics = this.#mirrored
    if (topics.length === 0) return
    const resources = (name: (topic: string) => string) =>
      topics.map((topic) => ({ type: 'topic' as const, name: name(topic) }))
    const wanted = await describeConfigs(source, resources(String))
    const found = await describeConfigs(
      target,
      resources((topic) => this.remote(topic)),
    )
    for (const { name, entries } of wanted) {
      const remote = this.remote(name)
      const own = found.find((row) => row.name === remote)
      if (own === undefined || own.error !== null) continue
      const changes = this.#changes(entries, own.entries)
      if (changes.length === 0) continue
      this.#complain(await alterConfigs(target, [{ type: 'topic', name: remote }], changes))
    }
  }

  /** Who may read a topic of the source may read it in the target; to write to it is the mirror's alone. */
  async acls(): Promise<void> {
    const { source, target, log } = this.#options
    const filter = { resourceType: 'TOPIC', patternType: 'LITERAL' }
    const found = await describeAcls(source, filter).catch((error: unknown) => {
      if (!isAnswer(error, 'SECURITY_DISABLED')) throw error
      if (!this.#hasToldOfAcls)
        log.info('The source cluster has no authorizer: sync.topic.acls.enabled=false is enough')
      this.#hasToldOfAcls = true
      return []
    })
    const acls = found.flatMap((acl): Acl[] => {
      const { resourceName, permission, operation } = acl
      const isAllowed = permission === 'ALLOW'
      if (!this.isMirrored(resourceName) || (isAllowed && operation === 'WRITE')) return []
      const granted = isAllowed && operation === 'ALL' ? 'READ' : operation
      return [{ ...acl, resourceName: this.remote(resourceName), operation: granted }]
    })
    if (acls.length > 0) this.#complain(await createAcls(target, acls))
  }

  isMirrored(topic: string): boolean {
    const { config } = this.#options
    const isHeartbeats =
      config['heartbeats.replication.enabled'] && this.#policy.isHeartbeatsTopic(topic)
    const policy = this.#policy
    const isOurs = policy.isInternalTopic(topic)
    return (
      (this.#isSelected(topic) || isHeartbeats) &&
      !isOurs &&
      !policy.isCycle(topic, config['target.cluster.alias'])
    )
  }

  remote(topic: string): string {
    return this.#policy.remoteTopic(this.#options.config['source.cluster.alias'], topic)
  }

  async #create(wanted: Counts, there: Counts): Promise<Outcome[]> {
    const { source, target, config, log } = this.#options
    const missing = [...wanted.keys()].filter((topic) => !there.has(this.remote(topic)))
    const larger = new Map<string, number>()
    for (const [topic, count] of wanted)
      if (count > (there.get(this.remote(topic)) ?? count)) larger.set(this.remote(topic), count)
    const outcomes: Outcome[] = []
    if (missing.length > 0) {
      const resources = missing.map((name) => ({ type: 'topic' as const, name }))
      const described = await describeConfigs(source, resources)
      const settings = new Map(described.map(({ name, entries }) => [name, this.#initial(entries)]))
      const made = await createTopics(
        target,
        missing.map((topic) => ({
          name: this.remote(topic),
          partitions: wanted.get(topic) ?? 1,
          replicationFactor: config['replication.factor'],
          configs: settings.get(topic) ?? new Map(),
        })),
      )
      for (const { name, error } of made)
        if (error === null) log.info(`Created the topic ${name} of a mirror`)
      outcomes.push(...made)
    }
    if (larger.size > 0) outcomes.push(...(await createPartitions(target, larger)))
    const failures = outcomes.filter(
      ({ error }) => error !== null && !isAnswer(error, 'TOPIC_ALREADY_EXISTS'),
    )
    this.#complain(failures)
    return failures
  }

  /** What a new topic is given. */
  #initial(entries: readonly ConfigEntry[]): Map<string, string> {
    const own = entries.filter((entry) => this.#isWanted(entry) && !this.#isLeft(entry))
    return new Map(own.flatMap(({ name, value }) => (value === null ? [] : [[name, value]])))
  }

  #changes(entries: readonly ConfigEntry[], found: readonly ConfigEntry[]): ConfigChange[] {
    const known = new Map(found.map((entry) => [entry.name, entry]))
    return entries.flatMap((entry): ConfigChange[] => {
      const { name, value } = entry
      const own = known.get(name)
      if (!this.#isWanted(entry) || own === undefined) return []
      const isOwn = own.source === 'topic'
      if (this.#isLeft(entry)) return isOwn ? [{ name, operation: 'delete', value: null }] : []
      return isOwn && own.value === value ? [] : [{ name, operation: 'set', value }]
    })
  }

  /** What its file says of a broker is the broker's own affair. */
  #isWanted({ name, source, isReadOnly, isSensitive }: ConfigEntry): boolean {
    return !isReadOnly && !isSensitive && source !== 'file' && this.#isCarriedOver(name)
  }

  /** Nobody has set it in the source: what is so in the target is right. */
  #isLeft({ source }: ConfigEntry): boolean {
    return source === 'default' && this.#options.config['use.defaults.from'] === 'target'
  }

  #complain(outcomes: readonly Outcome[]): void {
    for (const { name, error } of outcomes)
      if (error !== null)
        this.#options.log.warn(`A mirror could not change ${name}`, { reason: String(error) })
  }
}

async function counts(cluster: Cluster): Promise<[string, number][]> {
  const topics = await cluster.allTopics()
  return topics.map(({ name, partitions }) => [name, partitions.length])
}

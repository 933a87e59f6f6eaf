/**
 * How topics of one cluster are called in another. By default the alias of the source stands in front, so that a name
 * tells the way that a topic has come (`b.a.orders` came from a to b to here), and what has come from here is not sent
 * back. With the identity policy names stay, and it is up to whoever sets up mirrors that there are no circles.
 */
import { nameOfClass } from '../converters/known-converters.ts'
import { policyClasses } from './mirror-keys.ts'

const heartbeats = 'heartbeats'

export interface PolicySettings {
  readonly 'replication.policy.class': string
  readonly 'replication.policy.separator': string
  readonly 'replication.policy.internal.topic.separator.enabled': boolean
  readonly 'source.cluster.alias': string
}

export class ReplicationPolicy {
  readonly heartbeatsTopic = heartbeats
  readonly #isIdentity: boolean
  readonly #source: string
  readonly #separator: string
  /** In the names of internal topics. */
  readonly #inner: string

  constructor(settings: PolicySettings) {
    const { 'replication.policy.class': policy, 'replication.policy.separator': separator } =
      settings
    this.#isIdentity = nameOfClass(policyClasses, policy, '') === policyClasses[1]
    this.#source = settings['source.cluster.alias']
    this.#separator = separator
    const isInner = settings['replication.policy.internal.topic.separator.enabled']
    this.#inner = isInner ? separator : '.'
  }

  remoteTopic(source: string, topic: string): string {
    return this.#keeps(topic) ? topic : `${source}${this.#separator}${topic}`
  }

  /** The alias of the cluster that the topic was mirrored from; null: it was not. */
  topicSource(topic: string): string | null {
    if (this.#keeps(topic)) return this.#source
    const parts = topic.split(this.#separator)
    while (parts.at(-1) === '') parts.pop()
    return parts.length < 2 ? null : (parts[0] ?? null)
  }

  /** Its name in the cluster that it was mirrored from; null: it was not. */
  upstreamTopic(topic: string): string | null {
    if (this.#keeps(topic)) return topic
    const source = this.topicSource(topic)
    return source === null ? null : topic.slice(source.length + this.#separator.length)
  }

  /** Its name where it was first. */
  originalTopic(topic: string): string {
    const upstream = this.upstreamTopic(topic)
    return upstream === null || upstream === topic ? topic : this.originalTopic(upstream)
  }

  /** Whether a topic of the source has come from the target. */
  isCycle(topic: string, target: string): boolean {
    const source = this.topicSource(topic)
    if (source === null) return false
    if (source === target) return true
    const upstream = this.upstreamTopic(topic)
    return upstream !== null && upstream !== topic && this.isCycle(upstream, target)
  }

  offsetSyncsTopic(alias: string): string {
    return `mm2-offset-syncs${this.#inner}${alias}${this.#inner}internal`
  }

  checkpointsTopic(alias: string): string {
    return `${alias}${this.#checkpointsEnding}`
  }

  isHeartbeatsTopic(topic: string): boolean {
    return this.originalTopic(topic) === heartbeats
  }

  isInternalTopic(topic: string): boolean {
    const isMirrors = topic.startsWith('mm2') && topic.endsWith(`${this.#inner}internal`)
    const isKafkas = topic.startsWith('__') || topic.startsWith('.')
    return isMirrors || isKafkas || topic.endsWith(this.#checkpointsEnding)
  }

  get #checkpointsEnding(): string {
    return `${this.#inner}checkpoints${this.#inner}internal`
  }

  /** Heartbeats have their way in their names whatever the policy, since it is what they are for. */
  #keeps(topic: string): boolean {
    return this.#isIdentity && !topic.endsWith(heartbeats)
  }
}

/** In the cluster that `offset-syncs.topic.location` says, named after the other one. */
export function offsetSyncsTopic(
  settings: PolicySettings & {
    readonly 'target.cluster.alias': string
    readonly 'offset-syncs.topic.location': string
  },
): string {
  const { 'source.cluster.alias': source, 'target.cluster.alias': target } = settings
  const other = settings['offset-syncs.topic.location'] === 'source' ? target : source
  return new ReplicationPolicy(settings).offsetSyncsTopic(other)
}

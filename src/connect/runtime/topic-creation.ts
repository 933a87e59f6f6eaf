/**
 * Topics that a source's records go to and that nobody has made (KIP-158): with
 * `topic.creation.default.partitions` and `.replication.factor` the task makes them, else the broker does,
 * if it makes topics by itself. Groups (`topic.creation.groups`) have settings of their own for topics
 * that match their `include` and not their `exclude`.
 */
import { createTopics } from '../../client/admin/topics.ts'
import type { Cluster } from '../../client/cluster.ts'
import { isAnswer } from '../../client/failures.ts'
import { atLeast, ConfigError, int, parseSetting, short } from '../../config/definition.ts'
import type { Settings } from '../config-def.ts'
import { optionsOf } from '../converters/known-converters.ts'
import { ConnectException } from '../failures.ts'
import { javaPattern } from '../java-pattern.ts'

interface Group {
  readonly matches: (topic: string) => boolean
  readonly partitions: number
  readonly replicationFactor: number
  readonly configs: ReadonlyMap<string, string>
}

const prefix = 'topic.creation.'

export class TopicCreation {
  readonly #cluster: Cluster
  readonly #groups: readonly Group[]
  readonly #known = new Set<string>()

  /** Throws ConfigError. */
  constructor(cluster: Cluster, settings: Settings) {
    this.#cluster = cluster
    this.#groups = groupsOf(settings)
  }

  /** Resolves when the topic is there, or left to the broker. Throws ConnectException. */
  async create(topic: string): Promise<void> {
    if (this.#groups.length === 0 || this.#known.has(topic)) return
    const group = this.#groups.find(({ matches }) => matches(topic))
    const existing = await this.#cluster.allTopics()
    if (group !== undefined && !existing.some(({ name }) => name === topic)) {
      const { partitions, replicationFactor, configs } = group
      const [made] = await createTopics(this.#cluster, [
        { name: topic, partitions, replicationFactor, configs },
      ])
      const error = made?.error ?? null
      if (error !== null && !isAnswer(error, 'TOPIC_ALREADY_EXISTS'))
        throw new ConnectException(`Task failed to create new topic ${topic}: ${error.message}`, {
          cause: error,
        })
    }
    this.#known.add(topic)
  }
}

function groupsOf(settings: Settings): Group[] {
  const defaults = optionsOf(settings, `${prefix}default.`)
  if (!defaults.has('partitions') || !defaults.has('replication.factor')) return []
  const names = (settings.get(`${prefix}groups`) ?? '').split(',').map((name) => name.trim())
  const groups = names
    .filter((name) => name !== '' && name !== 'default')
    .map((name) => {
      const own = optionsOf(settings, `${prefix}${name}.`)
      const included = patternsOf(own.get('include'))
      const excluded = patternsOf(own.get('exclude'))
      return groupOf(new Map([...defaults, ...own]), name, (topic) => {
        const isIn = (patterns: readonly RegExp[]) => patterns.some((each) => each.test(topic))
        return isIn(included) && !isIn(excluded)
      })
    })
  return [...groups, groupOf(defaults, 'default', () => true)]
}

function groupOf(own: Settings, name: string, matches: Group['matches']): Group {
  const number = (of: string, definition: ReturnType<typeof int<number>>) =>
    parseSetting(`${prefix}${name}.${of}`, definition, own.get(of) ?? '')
  const configs = new Map(own)
  for (const known of ['partitions', 'replication.factor', 'include', 'exclude'])
    configs.delete(known)
  return {
    matches,
    partitions: number('partitions', int(1, atLeast(-1))),
    replicationFactor: number('replication.factor', short(-1, atLeast(-1))),
    configs,
  }
}

function patternsOf(text = ''): RegExp[] {
  return text
    .split(',')
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== '')
    .map((pattern) => {
      try {
        return javaPattern(pattern)
      } catch (error) {
        throw new ConfigError(`${prefix}groups`, (error as Error).message)
      }
    })
}

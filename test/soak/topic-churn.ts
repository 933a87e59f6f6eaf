/**
 * Topics that are made, altered and deleted meanwhile, by this project's own client. What was answered
 * with success must be so at the end: topics that were made exist with the configuration last set, topics
 * that were deleted do not. An answer that was lost to a kill leaves the topic out of the comparison.
 */
import { setTimeout } from 'node:timers/promises'
import { alterConfigs, describeConfigs } from '../../src/client/admin/configs.ts'
import { createPartitions, createTopics, deleteTopics } from '../../src/client/admin/topics.ts'
import { Cluster } from '../../src/client/cluster.ts'
import type { Environment } from '../../src/environment/environment.ts'
import type { Chance } from './chance.ts'

interface Topic {
  /** Unknown: an answer did not come. */
  state: 'there' | 'gone' | 'unknown'
  partitions: number
  retentionMs: string | null
}

const topicsMax = 12

export class TopicChurn {
  readonly #cluster: Cluster
  readonly #chance: Chance
  readonly #topics = new Map<string, Topic>()
  #made = 0
  #isEnding = false
  #running: Promise<void> = Promise.resolve()
  readonly counts = { created: 0, deleted: 0, altered: 0, grown: 0, unanswered: 0 }

  constructor(environment: Environment, port: number, chance: Chance) {
    this.#cluster = new Cluster(environment, {
      bootstrap: [{ host: '127.0.0.1', port }],
      operationTimeoutMs: 20_000,
      bootstrapTimeoutMs: 20_000,
      requestTimeoutMs: 10_000,
    })
    this.#chance = chance
  }

  /** Topics that can be produced to now. */
  get present(): string[] {
    return [...this.#topics].flatMap(([name, { state }]) => (state === 'there' ? [name] : []))
  }

  /** Makes the topics of a round; repeats until it has an answer. */
  async create(name: string, partitions: number, configs: ReadonlyMap<string, string>) {
    for (let tries = 0; ; tries++) {
      try {
        const [made] = await createTopics(this.#cluster, [
          { name, partitions, replicationFactor: 1, configs },
        ])
        if (made?.error === null || made?.error.error.name === 'TOPIC_ALREADY_EXISTS') return
        throw made?.error ?? new Error('no outcome')
      } catch (error) {
        if (tries > 20) throw error
        await setTimeout(200)
      }
    }
  }

  async alter(name: string, config: string, value: string): Promise<boolean> {
    try {
      const change = { name: config, operation: 'set', value } as const
      const [altered] = await alterConfigs(this.#cluster, [{ type: 'topic', name }], [change])
      return altered?.error === null
    } catch {
      this.counts.unanswered++
      return false
    }
  }

  begin(): void {
    this.#isEnding = false
    this.#running = this.#run()
  }

  async pause(): Promise<void> {
    this.#isEnding = true
    await this.#running
  }

  async remove(names: readonly string[]): Promise<void> {
    await deleteTopics(this.#cluster, names)
  }

  /** Ends the coming and going, and the connections. */
  close(): void {
    this.#isEnding = true
    this.#cluster.close()
  }

  async #run(): Promise<void> {
    while (!this.#isEnding) {
      await setTimeout(this.#chance.between(100, 900))
      const there = this.present
      const known = [...this.#topics.keys()].filter(
        (name) => this.#topics.get(name)?.state !== 'gone',
      )
      const roll = this.#chance.next()
      if (there.length === 0 || (roll < 0.4 && there.length < topicsMax)) await this.#make()
      else if (roll < 0.65 || there.length >= topicsMax)
        await this.#delete(this.#chance.pick(known))
      else if (roll < 0.85) await this.#alter(this.#chance.pick(there))
      else await this.#grow(this.#chance.pick(there))
    }
  }

  /** Does it and notes the outcome; a failure or a lost answer leaves the topic's state unknown. */
  async #attempt(
    name: string,
    count: 'created' | 'deleted' | 'altered' | 'grown',
    action: () => Promise<readonly { error: unknown }[]>,
    changed: (topic: Topic) => void,
  ): Promise<void> {
    const topic = this.#topics.get(name) ?? { state: 'unknown', partitions: 0, retentionMs: null }
    this.#topics.set(name, topic)
    try {
      const [answer] = await action()
      if (answer?.error !== null) throw answer?.error
      changed(topic)
      this.counts[count]++
    } catch {
      topic.state = 'unknown'
      this.counts.unanswered++
    }
  }

  #make(): Promise<void> {
    const gone = [...this.#topics].flatMap(([name, { state }]) => (state === 'gone' ? [name] : []))
    const again = gone.length > 0 && this.#chance.happens(0.3)
    const name = again ? this.#chance.pick(gone) : `soak-passing-${this.#made++}`
    const partitions = this.#chance.whole(1, 4)
    const request = { name, partitions, replicationFactor: 1, configs: new Map() }
    return this.#attempt(
      name,
      'created',
      () => createTopics(this.#cluster, [request]),
      (topic) => Object.assign(topic, { state: 'there', partitions, retentionMs: null }),
    )
  }

  #delete(name: string): Promise<void> {
    return this.#attempt(
      name,
      'deleted',
      () => deleteTopics(this.#cluster, [name]),
      (topic) => {
        topic.state = 'gone'
      },
    )
  }

  #alter(name: string): Promise<void> {
    const value = String(this.#chance.whole(3_600_000, 7_200_000))
    const change = { name: 'retention.ms', operation: 'set', value } as const
    return this.#attempt(
      name,
      'altered',
      () => alterConfigs(this.#cluster, [{ type: 'topic', name }], [change]),
      (topic) => {
        topic.retentionMs = value
      },
    )
  }

  #grow(name: string): Promise<void> {
    const partitions = (this.#topics.get(name)?.partitions ?? 0) + 1
    return this.#attempt(
      name,
      'grown',
      () => createPartitions(this.#cluster, new Map([[name, partitions]])),
      (topic) => {
        topic.partitions = partitions
      },
    )
  }

  /** What is not as it was answered, in words. */
  async differences(): Promise<string[]> {
    const found: string[] = []
    const topics = new Map((await this.#cluster.allTopics()).map((topic) => [topic.name, topic]))
    for (const [name, { state, partitions, retentionMs }] of this.#topics) {
      const there = topics.get(name)
      if (state === 'gone' && there !== undefined) found.push(`${name} was deleted and is there`)
      if (state !== 'there') continue
      if (there === undefined) {
        found.push(`${name} was made and is not there`)
        continue
      }
      const count = there.partitions.length
      if (count !== partitions) found.push(`${name} has ${count} partitions, not ${partitions}`)
      if (retentionMs === null) continue
      const [described] = await describeConfigs(this.#cluster, [{ type: 'topic', name }])
      const value = described?.entries.find((entry) => entry.name === 'retention.ms')?.value
      if (value !== retentionMs) found.push(`${name} has retention.ms ${value}, not ${retentionMs}`)
    }
    return found
  }
}

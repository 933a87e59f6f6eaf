/**
 * A client that administers: makes topics and deletes them, gives them partitions and settings, cuts off
 * the beginnings of others. What was acknowledged must be so after every restart. Every request is sent
 * once; a name whose request got no answer is not used again, as the request may still take effect.
 */
import { apis } from '../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import { zeroUuid } from '../../protocol/types.ts'
import { alterConfigs, describeConfigs } from '../../src/client/admin/configs.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { isAnswer } from '../../src/client/failures.ts'
import { earliest, latest, listOffsets, offsetIn } from '../../src/client/offsets.ts'
import { Producer } from '../../src/client/producer.ts'
import type { BrokerHost } from './broker-host.ts'
import {
  type Client,
  type Memory,
  restDuringFaults,
  type Stage,
  sleep,
  startClient,
} from './stage.ts'
import type { Temper } from './swarm.ts'
import { Violation } from './violation.ts'

interface OwnTopic {
  readonly name: string
  exists: boolean
  partitions: number
  generation: number
  /** Settings that were acknowledged; null: the default. */
  readonly configs: Map<string, string>
  /** Records in its first partition; null: not known. */
  written: number | null
}

/** Makes the topics of a scenario; there are no faults yet. */
export async function makeTopics(client: Client, temper: Temper): Promise<void> {
  const { cluster } = client
  for (const { name, partitions, configs } of temper.topics) {
    await cluster.retrying('make a topic', () => create(client, name, partitions, configs))
  }
  const { stateSegmentBytes } = temper
  if (stateSegmentBytes === null) return
  const value = `${stateSegmentBytes}`
  for (const [type, name] of [
    ['group', '__consumer_offsets'],
    ['transaction', '__transaction_state'],
  ] as const) {
    await cluster.retrying('find a coordinator', () => cluster.coordinator(type, 'any'))
    const changes = [{ name: 'internal.segment.bytes', operation: 'set', value }] as const
    await alterConfigs(cluster, [{ type: 'topic', name }], changes)
  }
}

/** Administers until the run is healed; then looks a last time. */
export async function administer(stage: Stage, host: BrokerHost, name: string): Promise<void> {
  const client = startClient(stage, name)
  const admin = new Admin(stage, client)
  stage.memories.add(admin)
  const { blows, durationMs } = stage.temper
  const roundMs = durationMs / 30
  while (!stage.isHealed) {
    const isAcknowledged = await admin.act()
    if (isAcknowledged && blows.kill > 0 && client.random.chance(0.05)) {
      const hows = blows.powerLoss > 0 ? (['kill', 'power loss'] as const) : (['kill'] as const)
      host.end(client.random.pick(hows), 'right after an answer')
    }
    if (client.random.chance(0.3)) await admin.compare()
    await restDuringFaults(stage, client, client.random.float() * roundMs)
  }
  await host.ready()
  while (!(await admin.compare())) await sleep(client.environment, 1_000)
  client.cluster.close()
}

class Admin implements Memory {
  readonly #stage: Stage
  readonly #client: Client
  /** The topic that a request under way is about. */
  #acting: OwnTopic | undefined
  #own: OwnTopic[] = []
  #made = 0

  constructor(stage: Stage, client: Client) {
    this.#stage = stage
    this.#client = client
  }

  /** True: all was acknowledged. */
  async act(): Promise<boolean> {
    const { random } = this.#client
    const topic = random.chance(0.3) ? undefined : random.pick([...this.#own, undefined])
    this.#acting = topic
    try {
      if (topic === undefined) await this.#create(this.#newTopic())
      else if (!topic.exists) await this.#create(topic)
      else
        await random
          .pick([this.#delete, this.#grow, this.#configure, this.#write, this.#replace])
          .call(this, topic)
      this.#acting = undefined
      if (random.chance(0.3)) await this.#cutOff()
      return true
    } catch (error) {
      if (error instanceof Violation) throw error
      this.#stage.trace.say(this.#client.name, `${topic?.name}: ${(error as Error).message}`)
      this.#own = this.#own.filter((one) => one !== topic)
      return false
    } finally {
      this.#acting = undefined
    }
  }

  /** Compares the cluster with what it has acknowledged. False: there was no answer. */
  async compare(by: Client = this.#client): Promise<boolean> {
    const { cluster, name } = by
    try {
      const known = this.#settled()
      const there = new Map((await cluster.allTopics()).map((topic) => [topic.name, topic]))
      for (const topic of known) {
        const found = there.get(topic.name)
        const partitions = found === undefined ? 0 : found.partitions.length
        const expected = topic.exists ? topic.partitions : 0
        if (partitions !== expected) {
          throw new Violation(
            `${topic.name} has ${partitions} partitions; ${expected} were acknowledged`,
          )
        }
      }
      await this.#compareConfigs(by, known)
      return true
    } catch (error) {
      if (error instanceof Violation) throw error
      this.#stage.trace.say(name, `cannot look: ${(error as Error).message}`)
      return false
    }
  }

  compareDisk(): void {
    const { temper, world } = this.#stage
    for (const path of temper.logDirs) {
      const names = [...world.disk('broker').look(path).keys()]
      const doomed = names.find((name) => name.endsWith('-delete'))
      if (doomed !== undefined) throw new Violation(`${path}/${doomed} is still there`)
      for (const { name } of this.#settled().filter(({ exists }) => !exists)) {
        const left = names.find((one) => one.slice(0, one.lastIndexOf('-')) === name)
        if (left === undefined) continue
        throw new Violation(`${path}/${left} is there; that ${name} was deleted was acknowledged`)
      }
    }
  }

  /** What no request may be changing, as it is now. */
  #settled(): OwnTopic[] {
    const settled = this.#own.filter((topic) => topic !== this.#acting)
    return settled.map((topic) => ({ ...topic, configs: new Map(topic.configs) }))
  }

  #newTopic(): OwnTopic {
    const name = `${this.#client.name}-${this.#made++}`
    const topic = {
      name,
      exists: false,
      partitions: 0,
      generation: 0,
      configs: new Map<string, string>(),
      written: 0,
    }
    return topic
  }

  async #create(topic: OwnTopic): Promise<void> {
    const { random } = this.#client
    this.#own = this.#own.filter((one) => one !== topic)
    const configs = new Map<string, string>()
    if (random.chance(0.5)) configs.set('flush.messages', '1')
    if (random.chance(0.5)) configs.set('retention.ms', `${random.between(1, 9)}00000`)
    const partitions = random.between(1, 3)
    await create(this.#client, topic.name, partitions, configs)
    this.#say(`made ${topic.name} with ${partitions} partitions`)
    topic.exists = true
    topic.partitions = partitions
    topic.generation++
    topic.written = 0
    topic.configs.clear()
    for (const [key, value] of configs) topic.configs.set(key, value)
    this.#own.push(topic)
    await this.#mustBeEmpty(topic)
  }

  async #delete(topic: OwnTopic): Promise<void> {
    const { cluster } = this.#client
    const answer = await cluster.callController(
      apis.deleteTopics,
      {
        topics: [{ name: topic.name, topicId: zeroUuid }],
        topicNames: [topic.name],
        timeoutMs: 10_000,
      },
      { versionMin: 1 },
    )
    cluster.metadata.forget(topic.name)
    check(answer.responses[0]?.errorCode)
    this.#say(`deleted ${topic.name}`)
    topic.exists = false
  }

  async #grow(topic: OwnTopic): Promise<void> {
    const count = topic.partitions + this.#client.random.between(1, 2)
    const answer = await this.#client.cluster.callController(apis.createPartitions, {
      topics: [{ name: topic.name, count, assignments: null }],
      timeoutMs: 10_000,
      validateOnly: false,
    })
    this.#client.cluster.metadata.forget(topic.name)
    check(answer.results[0]?.errorCode)
    this.#say(`${topic.name} has ${count} partitions`)
    topic.partitions = count
  }

  async #configure(topic: OwnTopic): Promise<void> {
    const { random, cluster } = this.#client
    const name = random.pick([
      'segment.ms',
      'retention.bytes',
      'max.message.bytes',
      'flush.messages',
    ])
    const value = `${random.between(1, 9)}0000000`
    const answer = await cluster.callAny(apis.incrementalAlterConfigs, {
      resources: [
        {
          resourceType: 2,
          resourceName: topic.name,
          configs: [{ name, configOperation: 0, value }],
        },
      ],
      validateOnly: false,
    })
    check(answer.responses[0]?.errorCode)
    this.#say(`${name} of ${topic.name} is ${value}`)
    topic.configs.set(name, value)
  }

  /** Makes a topic anew that held records of which the first were deleted. */
  async #replace(topic: OwnTopic): Promise<void> {
    const { cluster } = this.#client
    await this.#write(topic)
    const leader = await cluster.leader(topic.name, 0)
    const partitions = [{ partitionIndex: 0, offset: -1 }]
    const request = { topics: [{ name: topic.name, partitions }], timeoutMs: 10_000 }
    const answer = await cluster.callNode(leader, apis.deleteRecords, request)
    check(answer.topics[0]?.partitions[0]?.errorCode)
    await this.#delete(topic)
    await this.#create(topic)
    await this.#write(topic)
  }

  /** Something for a later topic of the same name not to find. */
  async #write(topic: OwnTopic): Promise<void> {
    const producer = new Producer(this.#client.cluster, { deliveryTimeoutMs: 10_000, lingerMs: 0 })
    const value = Buffer.from(`${topic.name} generation ${topic.generation}`)
    const sent = producer.send({ topic: topic.name, partition: 0, key: null, value })
    const known = topic.written
    topic.written = null
    // Its failure says nothing of the topic itself.
    const delivery = await sent.catch((error: Error) => {
      this.#say(`${topic.name}: ${error.message}`)
      if (isAnswer(error, 'INCONSISTENT_TOPIC_ID')) {
        throw new Violation(`${topic.name} takes no records: ${error.message}`)
      }
      return null
    })
    if (delivery !== null) this.#mustFollow(topic, known, delivery.offset)
    await producer.close()
  }

  /** Its records follow each other; damage may leave one behind that counts for nothing. */
  #mustFollow(topic: OwnTopic, known: number | null, offset: number): void {
    if (known !== null && offset > known && this.#stage.temper.flipChance === 0) {
      throw new Violation(`record ${known} of ${topic.name} is at ${offset}`)
    }
    topic.written = offset + 1
  }

  async #mustBeEmpty(topic: OwnTopic): Promise<void> {
    const { cluster, name } = this.#client
    const place = { topic: topic.name, partition: 0 }
    const found = await listOffsets(cluster, [{ ...place, timestamp: latest }])
    const end = offsetIn(found, place)
    const starts = await listOffsets(cluster, [{ ...place, timestamp: earliest }])
    const start = offsetIn(starts, place)
    if (start !== 0)
      throw new Violation(`${name} made ${topic.name} anew, and it begins at ${start}`)
    if (end === 0) return
    const consumer = new Consumer(cluster, {})
    consumer.assign([{ ...place, offset: 0 }])
    const polled = await consumer.poll({ timeoutMs: 2_000 })
    await consumer.close()
    const first = `${polled[0]?.records[0]?.value}`
    throw new Violation(`${name} made ${topic.name} anew, and it ends at ${end}: ${first}`)
  }

  async #compareConfigs({ cluster }: Client, known: readonly OwnTopic[]): Promise<void> {
    const topics = known.filter(({ exists }) => exists)
    if (topics.length === 0) return
    const resources = topics.map(({ name }) => ({ type: 'topic', name }) as const)
    const found = await describeConfigs(cluster, resources)
    for (const topic of topics) {
      const entries = found.find(({ name }) => name === topic.name)?.entries
      for (const [name, value] of topic.configs) {
        const is = entries?.find((entry) => entry.name === name)?.value
        if (is === value) continue
        throw new Violation(`${name} of ${topic.name} is ${is}; ${value} was acknowledged`)
      }
    }
  }

  async #cutOff(): Promise<void> {
    const { history } = this.#stage
    const { random, cluster } = this.#client
    const partition = random.pick([...history.partitions.values(), undefined])
    if (partition === undefined || partition.end === 0) return
    const offset = random.between(0, Math.min(partition.end, partition.mayEndAt) >> 1)
    const leader = await cluster.leader(partition.topic, partition.index)
    partition.deletedUpTo = Math.max(partition.deletedUpTo, offset)
    const answer = await cluster.callNode(leader, apis.deleteRecords, {
      topics: [
        { name: partition.topic, partitions: [{ partitionIndex: partition.index, offset }] },
      ],
      timeoutMs: 10_000,
    })
    check(answer.topics[0]?.partitions[0]?.errorCode)
    const { lowWatermark = 0 } = answer.topics[0]?.partitions[0] ?? {}
    if (lowWatermark < offset) {
      throw new Violation(
        `${partition.name} was cut off at ${offset} and begins at ${lowWatermark}`,
      )
    }
    partition.deletedUpToSurely = Math.max(partition.deletedUpToSurely, offset)
    this.#say(`deleted ${partition.name} up to ${offset}`)
  }

  #say(what: string): void {
    this.#stage.trace.say(this.#client.name, what)
  }
}

export async function create(
  { cluster }: Client,
  name: string,
  partitions: number,
  configs: ReadonlyMap<string, string>,
): Promise<void> {
  const answer = await cluster.callController(apis.createTopics, {
    topics: [
      {
        name,
        numPartitions: partitions,
        replicationFactor: 1,
        assignments: [],
        configs: Array.from(configs, ([key, value]) => ({ name: key, value })),
      },
    ],
    timeoutMs: 10_000,
    validateOnly: false,
  })
  cluster.metadata.forget(name)
  check(answer.topics[0]?.errorCode)
}

function check(errorCode: number | undefined): void {
  const error = errorByCode(errorCode ?? errors.UNKNOWN_SERVER_ERROR.code)
  if (error !== errors.NONE) throw new KafkaError(error)
}

/**
 * The cluster as a client sees it: from a few bootstrap addresses to every broker, and to the one that
 * leads a partition, coordinates a group or controls the cluster. Knowledge is kept until an answer
 * shows it wrong or it is five minutes old. `lane`s are separate connections to the same broker, so
 * that a parked fetch does not hold up a heartbeat.
 */
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import type { Environment, Milliseconds } from '../environment/environment.ts'
import type { Endpoint } from '../environment/network.ts'
import { ClusterMetadata, type Node, type TopicMetadata } from './cluster-metadata.ts'
import {
  type Answered,
  type Asked,
  addressOf,
  type CallOptions,
  type Connection,
} from './connection.ts'
import {
  ClosedError,
  ConnectionError,
  isAnswer,
  isRetriable,
  UnreachableError,
} from './failures.ts'
import { Link } from './link.ts'
import { pause, retrying } from './retry.ts'
import { plaintext, type Security } from './security.ts'

const metadataAgeMaxMs = 300_000
/** A broker that creates topics on demand has done it by then. */
const autoCreateWaitMs = 5_000

export interface ClusterOptions {
  readonly bootstrap: readonly Endpoint[]
  readonly clientId?: string
  /** Neither encrypted nor authenticated, unless it says so. */
  readonly security?: Security | undefined
  /** Milliseconds for one connection to be made. */
  readonly connectTimeoutMs?: number
  /** Milliseconds for one answer. */
  readonly requestTimeoutMs?: number
  /** Milliseconds for an operation with all its repetitions. */
  readonly operationTimeoutMs?: number
  /** Milliseconds during which bootstrap servers are tried anew when none can be reached. */
  readonly bootstrapTimeoutMs?: number
}

/** Connections to one broker that do not wait for each other. */
export type Lane = 'general' | 'produce' | 'fetch' | 'group'

export type CoordinatorType = 'group' | 'transaction' | 'share'
const coordinatorKeyTypes: Readonly<Record<CoordinatorType, number>> = {
  group: 0,
  transaction: 1,
  share: 2,
}

export class Cluster {
  readonly environment: Environment
  readonly metadata = new ClusterMetadata()
  readonly operationTimeoutMs: Milliseconds
  readonly requestTimeoutMs: Milliseconds
  readonly clientId: string
  readonly #bootstrap: readonly Endpoint[]
  readonly #bootstrapTimeoutMs: Milliseconds
  readonly #connectTimeoutMs: Milliseconds
  readonly #security: Security
  readonly #links = new Map<string, Link>()
  readonly #coordinators = new Map<string, number>()
  readonly #fetching = new Map<string, Promise<void>>()
  #isClosed = false

  constructor(environment: Environment, options: ClusterOptions) {
    this.environment = environment
    this.clientId = options.clientId ?? 'millrace'
    this.requestTimeoutMs = options.requestTimeoutMs ?? 30_000
    this.operationTimeoutMs = options.operationTimeoutMs ?? 60_000
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 10_000
    this.#bootstrapTimeoutMs = options.bootstrapTimeoutMs ?? 30_000
    this.#bootstrap = options.bootstrap
    this.#security = options.security ?? plaintext
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Closes every connection; calls under way are rejected. */
  close(): void {
    this.#isClosed = true
    for (const link of this.#links.values()) link.close()
  }

  /** Repeats what may be repeated, for at most `timeoutMs` (else the client's operation timeout). */
  retrying<T>(what: string, attempt: () => Promise<T>, timeoutMs?: Milliseconds): Promise<T> {
    return retrying(
      this.environment,
      { what, timeoutMs: timeoutMs ?? this.operationTimeoutMs },
      attempt,
    )
  }

  /** A connection to a broker of the cluster. Rejects with ConnectionError where it cannot be had. */
  async connectionTo(nodeId: number, lane: Lane = 'general'): Promise<Connection> {
    this.#requireOpen()
    let node = this.metadata.nodes.get(nodeId)
    if (node === undefined) {
      await this.#askMetadata([], false)
      node = this.metadata.nodes.get(nodeId)
    }
    if (node === undefined)
      throw new ConnectionError(`broker ${nodeId}`, `broker ${nodeId} is not in the cluster now`)
    return this.#link(node, `${nodeId}/${lane}`).connection()
  }

  /**
   * A connection to any broker: one that is open, else a known broker, else a bootstrap server. On first
   * contact rejects with UnreachableError when none of them could be reached for the bootstrap timeout;
   * later with ConnectionError at once, as a cluster that was there may well come back.
   */
  async anyConnection(): Promise<Connection> {
    const giveUpAt = this.environment.clock.monotonic() + this.#bootstrapTimeoutMs
    const addresses = this.#bootstrap.map(addressOf)
    for (;;) {
      this.#requireOpen()
      let last: unknown
      for (const link of this.#candidates()) {
        try {
          return await link.connection()
        } catch (error) {
          if (!isRetriable(error)) throw error
          last = error
        }
      }
      if (this.metadata.nodes.size > 0)
        throw new ConnectionError(addresses.join(', '), 'no broker can be reached now', last)
      if (this.environment.clock.monotonic() >= giveUpAt)
        throw new UnreachableError(addresses, last)
      await pause(this.environment, 100)
    }
  }

  async callAny<Api extends ApiRow>(
    api: Api,
    request: Asked<Api>,
    options?: CallOptions,
  ): Promise<Answered<Api>> {
    return (await this.anyConnection()).call(api, request, options)
  }

  async callNode<Api extends ApiRow>(
    nodeId: number,
    api: Api,
    request: Asked<Api>,
    options: CallOptions & { readonly lane?: Lane } = {},
  ): Promise<Answered<Api>> {
    const connection = await this.connectionTo(nodeId, options.lane)
    return connection.call(api, request, options)
  }

  /** Calls the controller, and looks for it anew when it has moved. */
  async callController<Api extends ApiRow>(
    api: Api,
    request: Asked<Api>,
    options?: CallOptions,
  ): Promise<Answered<Api>> {
    if (this.metadata.controllerId < 0) await this.#askMetadata([], false)
    const { controllerId } = this.metadata
    if (controllerId < 0)
      throw new KafkaError(errors.NOT_CONTROLLER, 'the cluster has no controller now')
    try {
      return await this.callNode(controllerId, api, request, options)
    } catch (error) {
      if (isRetriable(error)) this.forgetController()
      throw error
    }
  }

  forgetController(): void {
    this.metadata.controllerId = -1
  }

  /** Calls the coordinator of a group or transactional id, and forgets it where it is not the one. */
  async callCoordinator<Api extends ApiRow>(
    key: { readonly type: CoordinatorType; readonly id: string },
    api: Api,
    request: Asked<Api>,
    options?: CallOptions,
  ): Promise<Answered<Api>> {
    const nodeId = await this.coordinator(key.type, key.id)
    try {
      return await this.callNode(nodeId, api, request, { ...options, lane: 'group' })
    } catch (error) {
      if (isRetriable(error)) this.forgetCoordinator(key.type, key.id)
      throw error
    }
  }

  /** The broker that coordinates; asks once and remembers. Rejects with KafkaError. */
  async coordinator(type: CoordinatorType, id: string): Promise<number> {
    const known = this.#coordinators.get(`${type}:${id}`)
    if (known !== undefined && this.metadata.nodes.has(known)) return known
    const keyType = coordinatorKeyTypes[type]
    const answer = await this.callAny(apis.findCoordinator, {
      key: id,
      keyType,
      coordinatorKeys: [id],
    })
    const found = answer.coordinators[0] ?? answer
    if (found.errorCode !== 0)
      throw new KafkaError(errorByCode(found.errorCode), found.errorMessage ?? undefined)
    if (!this.metadata.nodes.has(found.nodeId)) await this.#askMetadata([], false)
    this.#coordinators.set(`${type}:${id}`, found.nodeId)
    return found.nodeId
  }

  forgetCoordinator(type: CoordinatorType, id: string): void {
    this.#coordinators.delete(`${type}:${id}`)
  }

  /** Throws the answered error if it is one, and forgets the coordinator where it is the wrong one. */
  checkCoordinator(type: CoordinatorType, id: string, errorCode: number, message?: string | null) {
    if (errorCode === 0) return
    const error = new KafkaError(errorByCode(errorCode), message ?? undefined)
    if (isAnswer(error, 'NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE'))
      this.forgetCoordinator(type, id)
    throw error
  }

  /**
   * The topic with its partitions, from memory where it is fresh. Repeats until the topic is there and
   * has leaders, or the operation's time is over. `create` lets the broker create it, if it does that.
   */
  topic(name: string, { create = false, fresh = false } = {}): Promise<TopicMetadata> {
    const { clock } = this.environment
    const unknownUntilMs = clock.monotonic() + autoCreateWaitMs
    let mustAsk = fresh
    return this.retrying(`find topic ${name}`, async () => {
      const known = this.metadata.topics.get(name)
      const isUsable = known?.error === errors.NONE
      if (!mustAsk && isUsable && clock.monotonic() - known.learntAtMs < metadataAgeMaxMs)
        return known
      mustAsk = false
      await this.#askMetadata([name], create)
      const topic = this.metadata.topics.get(name)
      if (topic === undefined)
        throw new KafkaError(errors.UNKNOWN_TOPIC_OR_PARTITION, `no topic ${name}`)
      if (topic.error === errors.NONE) return topic
      const failure = new KafkaError(topic.error, `topic ${name}: ${topic.error.message}`)
      // A topic that nobody is about to create will not appear by waiting.
      const isAwaited = create && clock.monotonic() < unknownUntilMs
      if (topic.error === errors.UNKNOWN_TOPIC_OR_PARTITION && !isAwaited)
        throw unretriable(failure)
      throw failure
    })
  }

  /** All topics, asked for anew. */
  async allTopics(): Promise<TopicMetadata[]> {
    const answer = await this.#askMetadata(null, false)
    return answer.topics
      .flatMap(({ name }) => (name === null ? [] : [this.metadata.topics.get(name)!]))
      .sort((left, right) => (left.name < right.name ? -1 : 1))
  }

  /** The brokers, asked for anew. */
  async nodes(): Promise<Node[]> {
    await this.#askMetadata([], false)
    return [...this.metadata.nodes.values()].sort((left, right) => left.id - right.id)
  }

  /** The leader of a partition. Rejects with a retriable KafkaError while there is none. */
  async leader(topicName: string, partition: number): Promise<number> {
    const topic = await this.topic(topicName)
    const found = topic.partitions.find(({ index }) => index === partition)
    if (found !== undefined && found.leader >= 0) return found.leader
    const name = `${topicName}-${partition}`
    this.metadata.forget(topicName)
    if (found !== undefined)
      throw new KafkaError(errors.LEADER_NOT_AVAILABLE, `${name} has no leader now`)
    throw unretriable(
      new KafkaError(
        errors.UNKNOWN_TOPIC_OR_PARTITION,
        `${topicName} has ${topic.partitions.length} partitions and no partition ${partition}`,
      ),
    )
  }

  /** Asks for topics (null: all) and takes the answer over. Equal questions under way are asked once. */
  async refresh(topics: readonly string[] | null, { create = false } = {}): Promise<void> {
    const key = `${create} ${topics?.join(' ') ?? '*'}`
    const running = this.#fetching.get(key)
    if (running !== undefined) return running
    const asked = this.#askMetadata(topics, create).then(() => undefined)
    this.#fetching.set(key, asked)
    return asked.finally(() => this.#fetching.delete(key))
  }

  async #askMetadata(topics: readonly string[] | null, create: boolean) {
    const connection = await this.anyConnection()
    const version = connection.versionOf(apis.metadata) ?? 0
    // Version 0 has no "all", and takes "none" for it.
    const names = topics === null && version === 0 ? [] : topics
    const answer = await connection.call(apis.metadata, {
      topics: names?.map((name) => ({ name })) ?? null,
      allowAutoTopicCreation: create,
    })
    this.metadata.learn(answer, this.environment.clock.monotonic())
    if (answer.errorCode !== 0) throw new KafkaError(errorByCode(answer.errorCode))
    return answer
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new ClosedError('client')
  }

  *#candidates(): Generator<Link> {
    const open = [...this.#links].filter(([name, link]) => link.isOpen && isGeneral(name))
    for (const [, link] of open) yield link
    for (const node of this.metadata.nodes.values()) yield this.#link(node, `${node.id}/general`)
    for (const endpoint of this.#bootstrap)
      yield this.#link(endpoint, `${addressOf(endpoint)}/general`)
  }

  #link(endpoint: Endpoint, name: string): Link {
    let link = this.#links.get(name)
    const hasMoved =
      link !== undefined &&
      (link.endpoint.host !== endpoint.host || link.endpoint.port !== endpoint.port)
    if (hasMoved) link!.close()
    if (link === undefined || hasMoved) {
      link = new Link(
        this.environment,
        { host: endpoint.host, port: endpoint.port },
        {
          clientId: this.clientId,
          connectTimeoutMs: this.#connectTimeoutMs,
          requestTimeoutMs: this.requestTimeoutMs,
          security: this.#security,
        },
      )
      this.#links.set(name, link)
    }
    return link
  }
}

const isGeneral = (name: string) => name.endsWith('/general')

/** The same answer, said to be final. */
function unretriable(error: KafkaError): KafkaError {
  return new KafkaError({ ...error.error, retriable: false }, error.message)
}

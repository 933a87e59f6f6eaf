/**
 * A peer that answers as a test says: a listener in the simulated world, with one function per API. What
 * a test does not say is answered as one broker with id 1 that leads every partition would.
 */
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { decodeRequest, decodeRequestHeader, encodeResponse } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import type { InputOf, MessageOf } from '../../protocol/schema.ts'
import { Cluster, type ClusterOptions } from '../../src/client/cluster.ts'
import type { Environment } from '../../src/environment/environment.ts'
import type { Listening, Stream } from '../../src/environment/network.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'

type ApiName = keyof typeof apis
type Request<N extends ApiName> = MessageOf<(typeof apis)[N]['request']>
type Response<N extends ApiName> = InputOf<(typeof apis)[N]['response']>

/** 'close' ends the connection, 'silence' answers nothing. */
export type Reply<N extends ApiName> = Response<N> | 'close' | 'silence'
export type Answers = {
  [N in ApiName]?: (request: Request<N>, version: number) => Reply<N> | Promise<Reply<N>>
}

export interface Received {
  readonly name: string
  readonly version: number
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what it asked.
  readonly request: any
}

/** Topic ids that tests can tell apart: `t` padded. */
export const idOf = (topic: string) => `${topic}${'A'.repeat(22 - topic.length)}`

/**
 * A broker with a topic `t` of three partitions, alone with a client in a world of their own; after `run` the
 * client is closed.
 */
export async function besideScriptedBroker(
  seed: number,
  options: Partial<ClusterOptions>,
  run: (parts: {
    readonly world: SimulatedWorld
    readonly broker: ScriptedBroker
    readonly cluster: Cluster
  }) => Promise<void>,
): Promise<void> {
  const world = new SimulatedWorld(seed)
  const { environment } = world.start('broker')
  const client = world.start('client').environment
  const beside = async () => {
    const broker = await ScriptedBroker.start(environment, 'broker')
    broker.topics.set('t', [1, 1, 1])
    const bootstrap = [{ host: 'broker', port: 9092 }]
    const cluster = new Cluster(client, { bootstrap, ...options })
    await run({ world, broker, cluster })
    cluster.close()
  }
  await world.run(beside())
}

export class ScriptedBroker {
  readonly host: string
  readonly port: number
  readonly received: Received[] = []
  /** Partition leaders by topic. */
  readonly topics = new Map<string, number[]>()
  /** Of all partitions; -1: as brokers that do not tell. */
  leaderEpoch = -1
  nodes: { nodeId: number; host: string; port: number }[]
  answers: Answers = {}
  /** The highest version of an API that it speaks, where not the table's. */
  readonly versionMax = new Map<string, number>()
  connections = 0
  /** The finalized level of transaction.version. */
  transactionVersion = 0
  readonly #environment: Environment
  #listening: Listening | null = null

  static async start(environment: Environment, host: string, port = 9092): Promise<ScriptedBroker> {
    const broker = new ScriptedBroker(environment, host, port)
    await broker.listen()
    return broker
  }

  private constructor(environment: Environment, host: string, port: number) {
    this.#environment = environment
    this.host = host
    this.port = port
    this.nodes = [{ nodeId: 1, host, port }]
  }

  async listen(): Promise<void> {
    const at = { host: this.host, port: this.port }
    this.#listening = await this.#environment.network.listen(at, (stream) => this.#serve(stream))
  }

  async close(): Promise<void> {
    await this.#listening?.close()
  }

  /** The real one where it was to be any free one. */
  get listeningPort(): number {
    return this.#listening?.address.port ?? this.port
  }

  /** Calls back after so much virtual time. */
  after(delayMs: number, callback: () => void): void {
    this.#environment.timers.after(delayMs, callback)
  }

  /** The requests of one API, as they came. */
  requests<N extends ApiName>(name: N): Request<N>[] {
    return this.received.filter((row) => row.name === apis[name].name).map((row) => row.request)
  }

  #serve(stream: Stream): void {
    this.connections++
    let bytes = Buffer.alloc(0)
    let last: Promise<void> = Promise.resolve()
    stream.onClose = () => undefined
    stream.onDrain = () => undefined
    stream.onData = (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
      while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
        const end = 4 + bytes.readInt32BE(0)
        const frame = Buffer.from(bytes.subarray(4, end))
        bytes = bytes.subarray(end)
        const answered = this.#answer(frame)
        last = Promise.all([last, answered]).then(([, reply]) => {
          if (reply === 'close') stream.destroy()
          else if (reply !== 'silence') stream.write(reply)
        })
      }
    }
  }

  async #answer(frame: Buffer): Promise<Buffer[] | 'close' | 'silence'> {
    const reader = new Reader(frame)
    const { api, apiVersion: version, correlationId } = decodeRequestHeader(reader)
    if (api === undefined) return 'close'
    const highest = this.versionMax.get(api.name)
    if (api.key === apis.apiVersions.key && highest !== undefined && version > highest) {
      this.received.push({ name: api.name, version, request: null })
      const refused = { errorCode: 35, apiKeys: this.#apiKeys() }
      return encodeResponse(apis.apiVersions.response, 0, correlationId, refused)
    }
    const request = decodeRequest(api.request, version, reader)
    this.received.push({ name: api.name, version, request })
    const reply = await this.#reply(api, request, version)
    if (reply === 'close' || reply === 'silence') return reply
    return encodeResponse(api.response, version, correlationId, reply as never)
  }

  #reply(api: ApiRow, request: unknown, version: number): unknown {
    const name = Object.keys(apis).find((key) => apis[key as ApiName].key === api.key) as ApiName
    const scripted = this.answers[name] as
      | ((request: unknown, version: number) => unknown)
      | undefined
    if (scripted !== undefined) return scripted(request, version)
    switch (name) {
      case 'apiVersions':
        return { errorCode: 0, apiKeys: this.#apiKeys(), finalizedFeatures: this.#features() }
      case 'metadata':
        return this.metadata(request as Request<'metadata'>)
      case 'findCoordinator':
        return this.#coordinator(request as Request<'findCoordinator'>)
      case 'initProducerId':
        return { errorCode: 0, producerId: 7, producerEpoch: 0 }
      case 'leaveGroup':
        return { errorCode: 0, members: [] }
      default:
        return 'close'
    }
  }

  metadata({ topics }: Request<'metadata'>): Response<'metadata'> {
    const names = topics === null ? [...this.topics.keys()] : topics.map(({ name }) => name ?? '')
    return {
      brokers: this.nodes,
      clusterId: 'cluster',
      controllerId: 1,
      topics: names.map((name) => ({
        name,
        topicId: idOf(name),
        errorCode: this.topics.has(name) ? 0 : 3,
        partitions: (this.topics.get(name) ?? []).map((leaderId, partitionIndex) => ({
          errorCode: leaderId < 0 ? 5 : 0,
          partitionIndex,
          leaderId,
          leaderEpoch: this.leaderEpoch,
          replicaNodes: [1],
          isrNodes: [1],
        })),
      })),
    }
  }

  #coordinator({ key, coordinatorKeys }: Request<'findCoordinator'>): Response<'findCoordinator'> {
    const { host, port } = this
    const found = { nodeId: 1, host, port, errorCode: 0 }
    return {
      ...found,
      coordinators: coordinatorKeys.map((each) => ({
        key: each || key,
        ...found,
        errorMessage: null,
      })),
    }
  }

  #features() {
    const level = this.transactionVersion
    return [{ name: 'transaction.version', maxVersionLevel: level, minVersionLevel: level }]
  }

  #apiKeys() {
    return Object.values<ApiRow>(apis)
      .filter((api) => !this.versionMax.has(api.name) || this.versionMax.get(api.name)! >= 0)
      .map((api) => ({
        apiKey: api.key,
        minVersion: api.request.valid.min,
        maxVersion: this.versionMax.get(api.name) ?? api.request.valid.max,
      }))
  }
}

/** A whole broker in a simulated world, and clients of it, each on a host of its own name. */
import { type ApiRow, apis } from '../../protocol/apis.ts'
import type { InputOf, MessageOf } from '../../protocol/schema.ts'
import { Broker } from '../../src/broker.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { BrokerConfig } from '../../src/config/broker-config.ts'
import { type SimulatedProcess, SimulatedWorld } from '../simulator/simulated-world.ts'

const basics = { 'log.dirs': '/data', 'node.id': '1', listeners: 'PLAINTEXT://:9092' }

export class OneBroker {
  readonly lines: string[] = []
  readonly world = new SimulatedWorld(1, { onLog: (line) => void this.lines.push(line) })
  readonly #clusters = new Map<string, Cluster>()
  readonly #settings: Readonly<Record<string, string>>
  #process: SimulatedProcess | null = null
  #broker: Broker | null = null

  constructor(settings: Readonly<Record<string, string>> = {}) {
    this.#settings = settings
  }

  async start(): Promise<void> {
    this.#process = this.world.start('broker')
    const { environment } = this.#process
    const config = new BrokerConfig(new Map(Object.entries({ ...basics, ...this.#settings })))
    const onFatal = (error: Error) => {
      throw error
    }
    const options = { environment, config, isDevelopment: true, onFatal }
    this.#broker = await this.world.run(Broker.start(options))
  }

  get broker(): Broker {
    return this.#broker as Broker
  }

  /** Ends the process at once, or the power of its machine, and starts the next on what it left. */
  async restart(how: 'kill' | 'crash' = 'kill'): Promise<void> {
    if (this.#process !== null) this.world[how](this.#process)
    await this.start()
  }

  /** Asks as a client on the host of that name, in the latest version or the one that is given. */
  ask<Api extends ApiRow>(
    host: string,
    api: Api,
    input: InputOf<Api['request']>,
    version?: number,
  ): Promise<MessageOf<Api['response']>> {
    const options = { versionMin: version, versionMax: version }
    const asked = this.#cluster(host).callNode(1, api, input, options)
    return this.world.run(asked) as Promise<MessageOf<Api['response']>>
  }

  async createTopic(host: string, name: string): Promise<void> {
    const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
    const request = { topics: [topic], timeoutMs: 1000, validateOnly: false }
    await this.ask(host, apis.createTopics, request)
  }

  #cluster(name: string): Cluster {
    let cluster = this.#clusters.get(name)
    if (cluster === undefined) {
      const { environment } = this.world.start(name)
      cluster = new Cluster(environment, { bootstrap: [{ host: 'broker', port: 9092 }] })
      this.#clusters.set(name, cluster)
    }
    return cluster
  }
}

/**
 * A worker for trials: a broker of its own, in a directory of its own that goes once both have stopped, plug-ins that do as
 * the test says, and REST without a network.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { BatchRecord } from '../../protocol/records/record.ts'
import { createTopics } from '../../src/client/admin/topics.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { Producer } from '../../src/client/producer.ts'
import { ConfigDef } from '../../src/connect/config-def.ts'
import { ConfigProviders } from '../../src/connect/config-providers.ts'
import { fileSink } from '../../src/connect/file/file-sink.ts'
import { fileSource } from '../../src/connect/file/file-source.ts'
import type { SinkPlugin, SinkTask } from '../../src/connect/plugin.ts'
import { type AnyPlugin, Plugins } from '../../src/connect/plugins.ts'
import { connectApi } from '../../src/connect/rest/connect-api.ts'
import { SoloHerder } from '../../src/connect/runtime/solo-herder.ts'
import type { TaskMeasured } from '../../src/connect/runtime/task-measures.ts'
import { exactlyOnceGroup, parseConnectConfig } from '../../src/connect/runtime/worker.ts'
import type { ConnectorMeasured } from '../../src/connect/runtime/worker-measured.ts'
import { transformations } from '../../src/connect/transforms/known-transforms.ts'
import { predicates } from '../../src/connect/transforms/predicates.ts'
import { connectMetrics } from '../../src/connect-metrics.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { MetricsPage } from '../../src/http/metrics-page.ts'
import type { HttpAnswer } from '../../src/http/routes.ts'
import { startBroker } from '../cli/running-broker.ts'

const environment = createNodeEnvironment({ log: { level: 'silent' } })

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was answered.
  readonly body: any
  readonly headers: Readonly<Record<string, string>>
}

export class WorkerTrial {
  readonly cluster: Cluster
  readonly #bootstrap: { host: string; port: number }
  readonly #stopBroker: () => Promise<void>
  readonly #plugins: readonly AnyPlugin[]
  /** Of the worker, besides those of all trials. */
  readonly #settings: readonly (readonly [string, string])[]
  #herder: SoloHerder | null = null
  #answer: ReturnType<typeof connectApi> | null = null

  /** Tap's own directories go before what is in them has stopped. */
  static async start(
    plugins: readonly AnyPlugin[] = [],
    settings: Readonly<Record<string, string>> = {},
  ): Promise<WorkerTrial> {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-worker-'))
    const { address, stop: stopBroker } = await startBroker(directory)
    const stop = async () => {
      await stopBroker()
      rmSync(directory, { recursive: true, force: true })
    }
    const port = Number(address.split(':')[1])
    const trial = new WorkerTrial({ host: '127.0.0.1', port }, stop, { plugins, settings })
    await trial.startWorker()
    return trial
  }

  private constructor(
    bootstrap: { host: string; port: number },
    stopBroker: () => Promise<void>,
    given: {
      readonly plugins: readonly AnyPlugin[]
      readonly settings: Readonly<Record<string, string>>
    },
  ) {
    this.#bootstrap = bootstrap
    this.#stopBroker = stopBroker
    this.#plugins = given.plugins
    this.#settings = Object.entries(given.settings)
    this.cluster = new Cluster(environment, { bootstrap: [bootstrap] })
  }

  async startWorker(): Promise<void> {
    const settings = new Map([
      ['offset.flush.interval.ms', '200'],
      ['key.converter', 'org.apache.kafka.connect.storage.StringConverter'],
      ['value.converter', 'org.apache.kafka.connect.storage.StringConverter'],
      ['task.shutdown.graceful.timeout.ms', '2000'],
      ['config.providers', 'file'],
      ['config.providers.file.class', 'FileConfigProvider'],
      ...this.#settings,
    ])
    const config = parseConnectConfig(settings)
    this.#herder = new SoloHerder({
      environment,
      plugins: new Plugins([
        fileSink,
        fileSource,
        ...transformations,
        ...predicates,
        ...this.#plugins,
      ]),
      bootstrap: [this.#bootstrap],
      settings,
      providers: new ConfigProviders(settings, {
        disk: environment.disk,
        variables: {},
      }),
      config,
      exactlyOnceGroup: exactlyOnceGroup(config, 'trial'),
      workerId: 'worker:8083',
    })
    this.#answer = connectApi(this.#herder)
    await this.#herder.start()
  }

  /** Of the first task. */
  measured(name: string): TaskMeasured | null | undefined {
    return this.#connectors.find((one) => one.name === name)?.tasks[0]?.measured
  }

  get #connectors(): readonly ConnectorMeasured[] {
    return this.#herder?.measured() ?? []
  }

  async metrics(): Promise<string> {
    const page = new MetricsPage(
      [(out) => connectMetrics(out, async () => this.#connectors)],
      environment,
    )
    return Buffer.concat((await page.render('')).pieces).toString()
  }

  async stopWorker(): Promise<void> {
    await this.#herder?.stop()
  }

  async stop(): Promise<void> {
    await this.stopWorker()
    this.cluster.close()
    await this.#stopBroker()
  }

  async ask(method: string, at: string, body?: unknown): Promise<Answer> {
    const [path = '', query = ''] = at.split('?')
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const answer: HttpAnswer = await this.#answer!({
      method,
      path,
      query,
      accept: '*/*',
      contentType: 'application/json',
      body: body === undefined ? null : Buffer.from(text),
    })
    const given = answer.body as string
    return {
      status: answer.status,
      body: given === '' ? null : JSON.parse(given),
      headers: answer.headers ?? {},
    }
  }

  /** The status once it is as wished; throws where that takes too long. */
  async until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (let round = 0; round < 400; round++) {
      if (await isSo()) return
      await delay(25)
    }
    throw new Error(`not so within 10 s: ${what}`)
  }

  /** The states of the connector and of its tasks. */
  async states(name: string): Promise<string[]> {
    const { status, body } = await this.ask('GET', `/connectors/${name}/status`)
    if (status !== 200) return []
    return [body.connector.state, ...body.tasks.map((task: { state: string }) => task.state)]
  }

  async untilStates(name: string, ...states: string[]): Promise<void> {
    await this.until(
      `${name} is ${states}`,
      async () => (await this.states(name)).join() === states.join(),
    )
  }

  async topic(name: string, partitions = 1): Promise<void> {
    await createTopics(this.cluster, [
      { name, partitions, replicationFactor: 1, configs: new Map() },
    ])
  }

  async produce(topic: string, values: readonly (string | null)[]): Promise<void> {
    const producer = new Producer(this.cluster)
    for (const [at, value] of values.entries())
      producer.add({
        topic,
        key: Buffer.from(`k${at}`),
        value: value === null ? null : Buffer.from(value),
        headers: [{ key: 'at', value: Buffer.from(String(at)) }],
        timestamp: 1_700_000_000_000 + at,
      })
    await producer.close()
  }

  /** All records of a topic that has one partition, once there are `count`. */
  async consume(topic: string, count: number): Promise<BatchRecord[]> {
    await this.until(`there is a topic ${topic}`, async () =>
      (await this.cluster.allTopics()).some(({ name }) => name === topic),
    )
    const consumer = new Consumer(this.cluster)
    consumer.assign([{ topic, partition: 0, offset: 'earliest' }])
    const records: BatchRecord[] = []
    for (let round = 0; records.length < count && round < 100; round++)
      for (const batch of await consumer.poll({ timeoutMs: 100 })) records.push(...batch.records)
    await consumer.close()
    return records
  }
}

/** A sink whose tasks do as they are told; `name` is its class. */
export function sinkDoing(name: string, task: () => SinkTask, tasks?: number): SinkPlugin {
  return {
    type: 'sink',
    className: `test.${name}`,
    version: '7',
    config: new ConfigDef({}),
    connector: () => {
      let settings: ReadonlyMap<string, string> = new Map()
      return {
        start: (given) => {
          settings = given
        },
        taskConfigs: (tasksMax) => new Array(tasks ?? tasksMax).fill(settings),
      }
    },
    task,
  }
}

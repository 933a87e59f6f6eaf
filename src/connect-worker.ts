/**
 * A Kafka Connect worker as a process of its own, beside any Kafka: what `connect-standalone.sh` and
 * `connect-distributed.sh` start, with their arguments, settings and exit codes. 0: it was stopped, 1:
 * the arguments are wrong, 2: a file or setting is, 3: it could not start.
 */
import { parseAddress } from './client/addresses.ts'
import { ConfigError } from './config/definition.ts'
import { parseProperties } from './config/properties.ts'
import {
  parseWorkerConfig,
  type WorkerConfig,
  type WorkerMode,
  withoutEffect,
} from './config/worker-configs.ts'
import { ConfigProviders } from './connect/config-providers.ts'
import { connectApi } from './connect/rest/connect-api.ts'
import {
  type ConnectorRequest,
  connectorRequest,
  settingsOf,
} from './connect/rest/connector-request.ts'
import { DistributedHerder } from './connect/runtime/distributed/distributed-herder.ts'
import { algorithmHeader, signatureHeader } from './connect/runtime/distributed/signatures.ts'
import type { Herder } from './connect/runtime/herder.ts'
import { SoloHerder } from './connect/runtime/solo-herder.ts'
import { exactlyOnceGroup, type Worker } from './connect/runtime/worker.ts'
import type { ConnectorMeasured } from './connect/runtime/worker-measured.ts'
import { FileStorage } from './connect/storage/file-storage.ts'
import type { WorkerSeed } from './connect/threads/questions.ts'
import { connectMetrics } from './connect-metrics.ts'
import { loadPlugins } from './connect-plugins.ts'
import { namedText } from './environment/disk.ts'
import type { Logger } from './environment/environment.ts'
import type { Endpoint } from './environment/network.ts'
import { NodeDisk } from './environment/node/disk.ts'
import { createNodeEnvironment, type NodeEnvironment } from './environment/node/environment.ts'
import { machineAddress } from './environment/node/machine-address.ts'
import { NodeProcessWatch } from './environment/node/process-watch.ts'
import { beside, stayAlive } from './environment/node/program.ts'
import { type HttpServer, parseListener, startHttpServer } from './http/http-server.ts'
import { MetricsPage } from './http/metrics-page.ts'
import { processMetrics } from './http/process-metrics.ts'
import { type HttpAnswer, HttpError, type HttpRequest, json } from './http/routes.ts'
import { connectorThreads } from './seeded-worker.ts'

const usages: Readonly<Record<WorkerMode, string>> = {
  standalone:
    'Usage: millrace connect-standalone worker.properties [connector1.properties connector2.json ...]\n',
  distributed: 'Usage: millrace connect-distributed worker.properties\n',
}

const exitCodes = { ok: 0, usage: 1, failed: 2, notStarted: 3 } as const
/** How long a stop may take in all: tasks flush, and commit what they have done. */
const stopMsMax = 30_000

/** Runs until a signal ends the process, or its exit code is known. */
export async function runWorker(mode: WorkerMode, args: readonly string[]): Promise<number> {
  const [file, ...connectorFiles] = args
  const isWrong =
    file === undefined ||
    args.some((arg) => arg.startsWith('-')) ||
    (mode === 'distributed' && connectorFiles.length > 0)
  if (isWrong) {
    process.stderr.write(usages[mode])
    return exitCodes.usage
  }
  try {
    const disk = new NodeDisk()
    const settings = parseProperties(namedText(disk, file))
    const connectors = connectorFiles.map((path) => connectorFile(path, namedText(disk, path)))
    await new WorkerProcess(mode, settings).run(connectors)
    return await new Promise(() => undefined)
  } catch (error) {
    process.stderr.write(`millrace: ${error instanceof Error ? error.message : String(error)}\n`)
    return error instanceof NotStarted ? exitCodes.notStarted : exitCodes.failed
  }
}

/** All it was told is right, and yet it cannot run. */
class NotStarted extends Error {}

/** JSON of settings, JSON of a request, or properties: whatever it is, it says the connector's name. */
function connectorFile(path: string, text: string): ConnectorRequest {
  try {
    let body: unknown
    try {
      body = JSON.parse(text)
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      body = Object.fromEntries(parseProperties(text))
    }
    if (typeof body === 'object' && body !== null && 'config' in body) return connectorRequest(body)
    const name = settingsOf(body).get('name')
    if (name === undefined || name === null)
      throw new HttpError(400, "it is missing the mandatory 'name' configuration")
    return connectorRequest({ name, config: body })
  } catch (error) {
    throw new Error(`Connector configuration at '${path}': ${(error as Error).message}`, {
      cause: error,
    })
  }
}

class WorkerProcess {
  readonly #mode: WorkerMode
  readonly #settings: ReadonlyMap<string, string>
  readonly #providers: ConfigProviders
  readonly #config: WorkerConfig
  readonly #environment: NodeEnvironment
  readonly #log: Logger
  readonly #bootstrap: readonly Endpoint[]
  #herder: Herder | null = null
  #http: HttpServer | null = null
  #isReady = false
  #isStopping = false

  /** Throws ConfigError. */
  constructor(mode: WorkerMode, settings: ReadonlyMap<string, string>) {
    this.#mode = mode
    const surroundings = { disk: new NodeDisk(), variables: process.env }
    this.#providers = new ConfigProviders(settings, surroundings)
    // The worker's own settings may have references too.
    this.#settings = this.#providers.resolve(settings)
    this.#config = parseWorkerConfig(mode, this.#settings)
    this.#bootstrap = (this.#config['bootstrap.servers'] ?? []).map((text) => {
      const endpoint = parseAddress(text)
      if (endpoint === null)
        throw new ConfigError('bootstrap.servers', `Invalid url in bootstrap.servers: ${text}`)
      return endpoint
    })
    this.#environment = createNodeEnvironment({
      log: { level: this.#config['log.level'] as 'info' },
      threads: { connector: beside(import.meta.url, 'connector-thread') },
    })
    this.#log = this.#environment.log
  }

  /** Resolves when connectors run and REST answers. Rejects with ConfigError, NotStarted. */
  async run(connectors: readonly ConnectorRequest[]): Promise<void> {
    stayAlive()
    process.on('uncaughtException', (err) => {
      this.#log.error('A connector left an error that nobody looks at', { err })
    })
    for (const { name, meant } of withoutEffect(this.#settings))
      this.#log.warn(`The setting ${name} has no effect here`, meant ? { didYouMean: meant } : {})
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => void this.#stopOn(signal))
    try {
      await this.#start()
      for (const { name, settings, target } of connectors) {
        await this.#herder?.put(name, settings, { mayReplace: false, target })
        this.#log.info(`Created connector ${name}`)
      }
    } catch (error) {
      if (error instanceof ConfigError) throw error
      throw new NotStarted(error instanceof Error ? error.message : String(error), { cause: error })
    }
    const readyMs = Math.round(this.#environment.clock.monotonic())
    this.#log.info(`Kafka Connect worker started after ${readyMs} ms`, {
      mode: this.#mode,
      http: this.#herder?.worker.workerId,
    })
  }

  async #start(): Promise<void> {
    const at = listener(this.#config.listeners)
    // Who asks before the worker has read what it keeps waits, as for whatever else takes long.
    let begin: (answering: ReturnType<typeof connectApi>) => void = () => undefined
    const answering = new Promise<ReturnType<typeof connectApi>>((resolve) => {
      begin = resolve
    })
    this.#http = await startHttpServer(this.#environment.listenHttp, at, [
      {
        segments: ['', 'connectors', 'connector-plugins', 'admin'],
        headers: [signatureHeader, algorithmHeader],
        load: () => answering,
      },
      { segments: ['health'], load: async () => async () => this.#health() },
      { segments: ['metrics'], load: async () => this.#metrics() },
    ])
    const herder = await this.#make(await this.#workerId(at.host, this.#http.address.port))
    this.#herder = herder
    await herder.start()
    begin(connectApi(herder))
    this.#isReady = true
  }

  /** As Kafka Connect answers it (KIP-1017): by itself, whatever else waits for the worker. */
  #health(): HttpAnswer {
    if (!this.#isReady)
      return json(503, { status: 'starting', message: 'Worker is still starting up.' })
    const message = 'Worker has completed startup and is ready to handle requests.'
    return json(200, { status: 'healthy', message })
  }

  #metrics(): (request: HttpRequest) => Promise<HttpAnswer> {
    const page = new MetricsPage(
      [
        processMetrics(new NodeProcessWatch()),
        (out) => connectMetrics(out, () => this.#measured()),
      ],
      this.#environment,
    )
    return async ({ accept }) => {
      const { contentType, pieces } = await page.render(accept)
      return { status: 200, contentType, body: pieces }
    }
  }

  async #measured(): Promise<readonly ConnectorMeasured[] | null> {
    await this.#herder?.worker.threads?.look()
    return this.#herder?.measured() ?? null
  }

  async #make(workerId: string): Promise<Herder> {
    const environment = this.#environment
    const seed: WorkerSeed = {
      bootstrap: this.#bootstrap,
      settings: this.#settings,
      // A worker alone ignores it, as Kafka's does: it keeps offsets in a file.
      exactlyOnceGroup:
        this.#mode === 'distributed'
          ? exactlyOnceGroup(this.#config, this.#config['group.id'] ?? '')
          : null,
      workerId,
    }
    const worker: Worker = {
      ...seed,
      environment,
      plugins: await loadPlugins(environment, this.#settings),
      providers: this.#providers,
      config: this.#config,
      ...connectorThreads(environment, seed),
    }
    if (this.#mode === 'distributed') return new DistributedHerder(worker, this.#config)
    const path = this.#config['offset.storage.file.filename'] ?? ''
    return new SoloHerder(worker, async (states) => new FileStorage(environment, path, states))
  }

  /** What it is called by, and reached at by other workers: where it listens everywhere, this machine's address. */
  async #workerId(host: string, port: number): Promise<string> {
    const isAnywhere = host === '0.0.0.0' || host === '::'
    const address = isAnywhere ? await machineAddress() : host
    const advertised = this.#config['rest.advertised.host.name'] ?? address
    const shown = advertised.includes(':') ? `[${advertised}]` : advertised
    return `${shown}:${this.#config['rest.advertised.port'] ?? port}`
  }

  async #stopOn(signal: string): Promise<void> {
    if (this.#isStopping) return
    this.#isStopping = true
    this.#log.info(`Stopping on ${signal}`)
    this.#environment.timers.after(stopMsMax, () => {
      this.#log.error(`The stop took longer than ${stopMsMax} ms`)
      process.exit(exitCodes.failed)
    })
    try {
      await this.#herder?.stop()
      await this.#http?.close()
      this.#log.info('Kafka Connect worker stopped')
      process.exit(exitCodes.ok)
    } catch (err) {
      this.#log.error('The stop failed', { err })
      process.exit(exitCodes.failed)
    }
  }
}

/** Where REST listens: the first of the listeners. Throws ConfigError. */
function listener(listeners: readonly string[]): Endpoint {
  const [text = ''] = listeners
  const at = parseListener(text)
  if (at === null || listeners.length > 1)
    throw new ConfigError(
      'listeners',
      `Invalid value ${listeners.join(',')} for configuration listeners: expected one http://host:port`,
    )
  return at
}

#!/usr/bin/env node
/**
 * The process: reads settings as `kafka-server-start.sh` does, builds the real Environment, starts the
 * broker, and stops it when told to. Nothing else.
 */
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Broker, StartEnded } from './broker.ts'
import { BrokerConfig } from './config/broker-config.ts'
import { connectConfigs, connectPrefix } from './config/connect-configs.ts'
import { ConfigError } from './config/definition.ts'
import { gatherSettings } from './config/sources.ts'
import { ConnectService } from './connect-service.ts'
import type { ConnectStart } from './connect-thread.ts'
import { DiskError, namedText } from './environment/disk.ts'
import type { Environment } from './environment/environment.ts'
import type { Endpoint } from './environment/network.ts'
import { NodeDisk } from './environment/node/disk.ts'
import { createNodeEnvironment, type NodeEnvironment } from './environment/node/environment.ts'
import { collectWhenIdle } from './environment/node/idle-collection.ts'
import { beside, isProgram, stayAlive } from './environment/node/program.ts'
import type { Threads } from './environment/threads.ts'
import type { Gather } from './http/exposition.ts'
import { healthService, type Page } from './http/health.ts'
import { type HttpServer, parseListener, startHttpServer } from './http/http-server.ts'
import { HttpError } from './http/routes.ts'
import { registryService } from './registry/service.ts'
import { tablesService } from './tables-service.ts'

const usage = `Usage: millrace start [server.properties] [--override property=value]...

Starts a broker. Settings have Apache Kafka's names and defaults. They come from the file, from
variables (KAFKA_LOG_DIRS or MILLRACE_LOG_DIRS is log.dirs) and from --override, each winning over
those before it. Without any, a single node listens on port 9092 and keeps its data in
/tmp/kafka-logs.

  --override property=value   set one property; may be given many times
  --version                   print the version and end
  --help                      print this and end

Examples:
  millrace start
  millrace start config/server.properties
  millrace start --override listeners=PLAINTEXT://:19092 --override log.dirs=/var/lib/millrace
`

/** How often a stop that takes long says so: many logs may have much to bring to the disk. */
const stopProgressMs = 10_000
/** After this a stop no longer waits for whatever keeps it. */
const stopLimitMs = 300_000
/** As `stopLimitMs`, where the disk has failed and most of what a stop does cannot be done. */
const fatalStopLimitMs = 3_000
/** Settings that are paths, or lists of paths. */
const pathSettings = ['log.dirs', 'log.dir', 'metadata.log.dir']

interface Flags {
  readonly file: string | undefined
  readonly overrides: readonly string[]
}

interface Start {
  readonly config: BrokerConfig
  /** Of the connector runtime, without `connect.` before their names. */
  readonly connectSettings: ReadonlyMap<string, string>
  readonly withoutEffect: readonly string[]
  /** Nothing but defaults, variables and flags: somebody tries things out. */
  readonly isDevelopment: boolean
}

/** Starts a broker as the arguments say; the process then lives until a signal. Sets the exit code if it cannot. */
export async function start(args: readonly string[]): Promise<void> {
  const answer = args.includes('--help') ? usage : args.includes('--version') ? version() : null
  if (answer !== null) {
    process.stdout.write(answer)
    return
  }
  try {
    await run(readSettings(readFlags(args)))
  } catch (error) {
    process.stderr.write(`millrace: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(error instanceof UsageError ? 2 : 1)
  }
}

/** The command line is wrong, and nothing was done: exit code 2, as of every other command. */
class UsageError extends Error {}

function readFlags(args: readonly string[]): Flags {
  let file: string | undefined
  const overrides: string[] = []
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? ''
    if (arg === '--override') {
      const override = args[++at]
      if (override === undefined) throw new UsageError('--override needs property=value after it')
      overrides.push(override)
    } else if (arg.startsWith('--override=')) {
      overrides.push(arg.slice('--override='.length))
    } else if (arg.startsWith('-')) {
      throw new UsageError(`Unknown option ${arg}.\n${usage}`)
    } else if (file === undefined) {
      file = arg
    } else {
      throw new UsageError(`Found a second properties file, ${arg}, after ${file}.\n${usage}`)
    }
  }
  return { file, overrides }
}

function readSettings({ file, overrides }: Flags): Start {
  const { texts, withoutEffect } = gatherSettings({
    ...(file === undefined ? {} : { file: { path: file, text: namedText(new NodeDisk(), file) } }),
    environment: process.env,
    overrides,
  })
  const absolute = new Map(texts)
  for (const name of pathSettings) {
    const paths = texts
      .get(name)
      ?.split(',')
      .filter((path) => path.trim() !== '')
    if (paths === undefined || paths.length === 0) continue
    absolute.set(name, paths.map((path) => resolve(path.trim())).join(','))
  }
  const connectSettings = new Map<string, string>()
  for (const [name, text] of texts)
    if (name.startsWith(connectPrefix)) connectSettings.set(name.slice(connectPrefix.length), text)
  const config = new BrokerConfig(absolute)
  return { config, connectSettings, withoutEffect, isDevelopment: file === undefined }
}

async function run(start: Start): Promise<void> {
  const { config, withoutEffect, isDevelopment } = start
  const environment = createNodeEnvironment({
    log: { level: config.get('log.level') as 'info' },
    threads: {
      compaction: beside(import.meta.url, 'compaction-thread'),
      connect: beside(import.meta.url, 'connect-thread'),
      conversion: beside(import.meta.url, 'conversion-thread'),
    },
  })
  const { log } = environment
  collectWhenIdle()
  process.on('uncaughtException', (err) => {
    log.error('A bug: the process ends, what was acknowledged is on disk', { err })
    process.exit(70)
  })
  if (withoutEffect.length > 0) {
    log.warn('Settings that have no effect here', { settings: withoutEffect.join(', ') })
  }
  // As in the usual container images; one that is set to nothing is not set.
  const clusterId = process.env['CLUSTER_ID'] || process.env['KAFKA_KRAFT_CLUSTER_ID'] || undefined
  const broker = new Broker({
    environment,
    config,
    isDevelopment,
    onFatal: (err) => endAfter(err, broker, environment),
    ...(clusterId === undefined ? {} : { clusterId }),
  })
  const httpServers: HttpServer[] = []
  const connect = new ConnectService({
    threads: environment.threads as Threads,
    timers: environment.timers,
    log,
    start: () => connectStart(broker, start, httpServers),
  })
  let isNew = false
  // Until something listens nothing else keeps the process.
  const letGo = stayAlive()
  try {
    broker.lockDirectories()
    isNew = !broker.logDirectories.some((path) =>
      environment.disk.exists(join(path, 'meta.properties')),
    )
    stopOnSignal(broker, connect, httpServers, environment)
    // Before the logs are opened, which may take long: whoever asks is told how far it is.
    httpServers.push(...(await startHttp(broker, connect, config, environment)))
    await broker.start()
  } catch (error) {
    // Whoever stopped the broker ends the process as well.
    if (error instanceof StartEnded) return
    await broker.stop()
    throw error
  } finally {
    letGo()
  }
  const configTopic = start.connectSettings.get('config.storage.topic')
  const hasConnectors = broker.hasTopic(
    configTopic ?? connectConfigs['config.storage.topic'].defaultText ?? '',
  )
  if (hasConnectors && config.get('connect.enable') !== 'false') connect.resume()
  broker.followTopicTables((tables) => connect.setTables(tables))
  // The origin of this clock is the start of the process.
  const readyMs = Math.round(environment.clock.monotonic())
  const addresses = [...broker.addresses.values()].map(({ host, port }) => `${shown(host)}:${port}`)
  log.info(`Millrace ${version().trim()} is ready on ${addresses.join(', ')} after ${readyMs} ms`, {
    nodeId: broker.nodeId,
    clusterId: broker.clusterId,
    logDirs: broker.logDirectories.join(', '),
    http: httpServers
      .map(({ address }) => `http://${shown(address.host)}:${address.port}`)
      .join(', '),
  })
  if (isDevelopment && isNew) {
    const bootstrap = addresses[0] ?? ''
    log.info(
      `First steps: npx millrace topics create hello --bootstrap-server ${bootstrap}; ` +
        `echo hi | npx millrace produce hello --bootstrap-server ${bootstrap}; ` +
        `npx millrace consume hello --from-beginning --bootstrap-server ${bootstrap}`,
    )
  }
}

/** A default port that is taken is no reason not to start; one that was asked for is. */
async function startHttp(
  broker: Broker,
  connect: ConnectService,
  config: BrokerConfig,
  environment: NodeEnvironment,
): Promise<HttpServer[]> {
  const servers: HttpServer[] = []
  const services = [
    healthService({
      health: () => broker.health(),
      metrics: metricsOf(broker, connect, environment),
    }),
    tablesService(() => connect.tableStatuses()),
    registryService({ environment, bootstrap: () => ownAddress(broker) }),
  ]
  for (const text of config.get('http.listeners')) {
    const at = parseListener(text)
    if (at === null) {
      throw new ConfigError(
        'http.listeners',
        `Invalid value ${text} for configuration http.listeners: expected http://host:port`,
      )
    }
    try {
      const all = runsConnectors(config, at.host) ? [...services, connect] : services
      servers.push(await startHttpServer(environment.listenHttp, at, all))
    } catch (err) {
      if (config.isSet('http.listeners')) {
        throw new Error(`http.listeners: cannot listen on ${text}: ${(err as Error).message}`, {
          cause: err,
        })
      }
      environment.log.warn(
        `No health endpoint: ${text} is taken; set http.listeners to another address`,
        {
          reason: (err as Error).message,
        },
      )
    }
  }
  return servers
}

/** Where a client in this process finds the broker. */
function ownAddress(broker: Broker): Endpoint[] {
  const [address] = broker.addresses.values()
  if (address === undefined) throw new HttpError(503, 'The broker has no listener yet')
  return [{ host: dialled(address.host), port: address.port }]
}

/** Connectors can be told to write files: unless it was asked for, not by whoever reaches this machine. */
function runsConnectors(config: BrokerConfig, host: string): boolean {
  const isEnabled = config.get('connect.enable')
  return isEnabled === 'auto' ? /^(127\.|::1$|localhost$)/.test(host) : isEnabled === 'true'
}

function connectStart(
  broker: Broker,
  { config, connectSettings: settings }: Start,
  httpServers: readonly HttpServer[],
): ConnectStart | null {
  if (!broker.health().ready) return null
  const [http] = httpServers
  const host = settings.get('rest.advertised.host.name') ?? shown(http?.address.host ?? '')
  return {
    bootstrap: ownAddress(broker),
    settings,
    workerId: `${host}:${settings.get('rest.advertised.port') ?? http?.address.port ?? 0}`,
    logLevel: config.get('log.level'),
  }
}

/** Whatever it takes is loaded when somebody asks: until then it costs nothing, the start above all. */
function metricsOf(
  broker: Broker,
  connect: ConnectService,
  environment: Environment,
): (accept: string) => Promise<Page> {
  const load = async () => {
    const [
      { brokerMetrics },
      { connectMetrics },
      { tableMetrics },
      { MetricsPage },
      { processMetrics },
      { NodeProcessWatch },
    ] = await Promise.all([
      import('./broker-metrics.ts'),
      import('./connect-metrics.ts'),
      import('./table-metrics.ts'),
      import('./http/metrics-page.ts'),
      import('./http/process-metrics.ts'),
      import('./environment/node/process-watch.ts'),
    ])
    const ofProcess = processMetrics(new NodeProcessWatch())
    const ofBroker: Gather = (out) => brokerMetrics(out, broker.measured)
    const ofTables: Gather = (out) => tableMetrics(out, () => connect.tableStatuses())
    const ofConnect: Gather = (out) => connectMetrics(out, () => connect.measured())
    return new MetricsPage([ofBroker, ofProcess, ofTables, ofConnect], environment)
  }
  let page: ReturnType<typeof load> | undefined
  return async (accept) => {
    page ??= load()
    return (await page).render(accept)
  }
}

/** Answers what can be answered, closes what still works, and ends with exit code 1. */
function endAfter(err: Error, broker: Broker, { log, timers }: Environment): void {
  const fields = err.cause instanceof DiskError ? {} : { err }
  log.error(`The broker cannot go on and ends: ${err.message}`, fields)
  const end = () => process.exit(1)
  stayAlive()
  timers.after(fatalStopLimitMs, end)
  // Not in the middle of what has failed: its callers have errors to answer with.
  timers.nextTurn(() => void broker.stop().finally(end))
}

/** A signal that comes sooner after the first one is the same one. */
const secondSignalMsMin = 1000

function stopOnSignal(
  broker: Broker,
  connect: ConnectService,
  httpServers: readonly HttpServer[],
  { clock, timers, log }: Environment,
): void {
  let startedMs = Number.POSITIVE_INFINITY
  const stoppingMs = () => Math.round(clock.monotonic() - startedMs)
  const tellProgress = (): void => {
    const seconds = Math.round(stoppingMs() / 1000)
    log.info(`Still bringing logs to the disk after ${seconds} s; a second signal ends at once`)
    timers.after(stopProgressMs, tellProgress)
  }
  const stop = (signal: NodeJS.Signals) => {
    // Under npm one Ctrl-C comes twice: from the terminal and from npm.
    if (stoppingMs() > secondSignalMsMin) process.exit(130)
    if (startedMs !== Number.POSITIVE_INFINITY) return
    startedMs = clock.monotonic()
    log.info(`Stopping on ${signal}`)
    timers.after(stopProgressMs, tellProgress)
    timers.after(stopLimitMs, () => {
      log.error(`The stop took longer than ${stopLimitMs} ms; the next start will check the logs`)
      process.exit(1)
    })
    const stopped = connect.stop().then(() => broker.stop())
    Promise.all([stopped, ...httpServers.map((server) => server.close())]).then(
      () => {
        log.info(`Stopped after ${stoppingMs()} ms`)
        process.exit(0)
      },
      (err) => {
        log.error('The stop failed; the next start will check the logs', { err })
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

function shown(host: string): string {
  const dialledHost = dialled(host)
  return dialledHost.includes(':') ? `[${dialledHost}]` : dialledHost
}

/** Where one that listens everywhere is reached from here. */
function dialled(host: string): string {
  return host === '' || host === '::' || host === '0.0.0.0' ? 'localhost' : host
}

function version(): string {
  const manifest = new URL('../../package.json', import.meta.url)
  const text = namedText(new NodeDisk(), fileURLToPath(manifest))
  return `${(JSON.parse(text) as { version: string }).version}\n`
}

// Not awaited: the bundle of this file is CommonJS. It sets the exit code itself.
if (isProgram(import.meta.url)) void start(process.argv.slice(2))

/** A worker of Connect on this machine, of what the thread that it runs in is told, and the threads of its connectors. */
import { ConfigProviders } from './connect/config-providers.ts'
import { parseConnectConfig, type Worker } from './connect/runtime/worker.ts'
import { ConnectorThreads } from './connect/threads/connector-threads.ts'
import type { WorkerSeed } from './connect/threads/questions.ts'
import { loadPlugins } from './connect-plugins.ts'
import { createNodeEnvironment, type NodeEnvironment } from './environment/node/environment.ts'
import type { LogLevel } from './environment/node/logger.ts'
import type { ThreadPrograms } from './environment/node/threads.ts'

export interface SeededOptions {
  readonly logLevel: string
  /** Where programs of threads lie; without that it is one of them, in which connectors run. */
  readonly threads?: ThreadPrograms
}

/** Rejects with ConfigError. */
export async function seededWorker(seed: WorkerSeed, options: SeededOptions): Promise<Worker> {
  const { logLevel, threads } = options
  const environment = createNodeEnvironment({
    // What cannot be loaded has been told by the worker that asks for this one.
    log: { level: threads === undefined ? 'silent' : (logLevel as LogLevel) },
    ...(threads === undefined ? {} : { threads }),
  })
  process.on('unhandledRejection', (err) => {
    environment.log.error('A connector left an error that nobody looks at', { err })
  })
  const { settings } = seed
  const plugins = await loadPlugins(environment, settings)
  environment.logThreshold.level = logLevel as LogLevel
  const surroundings = { disk: environment.disk, variables: process.env }
  return {
    ...seed,
    environment,
    plugins,
    providers: new ConfigProviders(settings, surroundings),
    config: parseConnectConfig(settings),
    ...connectorThreads(environment, seed),
  }
}

/** `{}` where the worker's connectors run in its own thread. */
export function connectorThreads(
  environment: NodeEnvironment,
  seed: WorkerSeed,
): Pick<Worker, 'threads'> {
  const { threads } = environment
  const config = parseConnectConfig(seed.settings)
  const threadsMax = config['connector.threads.max']
  if (threads === undefined || threadsMax === 0) return {}
  return {
    threads: new ConnectorThreads({
      ...{ environment, threads, seed, threadsMax },
      timeoutMs: config['connector.thread.timeout.ms'],
      bytesMax: config['connector.thread.memory.max.bytes'],
    }),
  }
}

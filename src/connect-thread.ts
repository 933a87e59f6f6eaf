/**
 * The program of the thread in which connectors run, beside a broker and over an ordinary connection to
 * it: one that loops or leaks cannot stall whoever produces and consumes.
 */
import { ConfigError } from './config/definition.ts'
import type { TopicTable } from './config/table-configs.ts'
import { ConfigProviders } from './connect/config-providers.ts'
import { connectApi } from './connect/rest/connect-api.ts'
import { SoloHerder } from './connect/runtime/solo-herder.ts'
import { exactlyOnceGroup, parseConnectConfig, type Worker } from './connect/runtime/worker.ts'
import { TopicTables } from './connect/topic-tables/topic-tables.ts'
import { loadPlugins, storageIn } from './connect-plugins.ts'
import type { Endpoint } from './environment/network.ts'
import { createNodeEnvironment } from './environment/node/environment.ts'
import type { LogLevel } from './environment/node/logger.ts'
import { stayAlive } from './environment/node/program.ts'
import { answerQuestions } from './environment/node/threads.ts'
import type { HttpAnswer, HttpRequest } from './http/routes.ts'

export interface ConnectStart {
  readonly bootstrap: readonly Endpoint[]
  /** Without `connect.` before their names. */
  readonly settings: ReadonlyMap<string, string>
  readonly workerId: string
  readonly logLevel: string
}

/**
 * `start`, `tables` and `stop` are answered with a failure's message, or null; `watch` never: it tells of the end. `tables`
 * says which topics are tables from now on; `statuses` asks how these are, `measured` how connectors are.
 */
export type ConnectQuestion =
  | {
      readonly kind: 'tables'
      readonly start: ConnectStart
      readonly tables: readonly TopicTable[]
    }
  | { readonly kind: 'statuses' }
  | { readonly kind: 'measured' }
  | { readonly kind: 'start'; readonly start: ConnectStart }
  | { readonly kind: 'request'; readonly request: HttpRequest }
  | { readonly kind: 'watch' }
  | { readonly kind: 'stop' }

let worker: Promise<Worker> | null = null
let herder: SoloHerder | null = null
let topicTables: TopicTables | null = null
let answer: ((request: HttpRequest) => Promise<HttpAnswer>) | null = null

stayAlive()

/** What connectors and the tables of topics share. */
function workerOf(asked: ConnectStart): Promise<Worker> {
  worker ??= makeWorker(asked).catch((error: unknown) => {
    worker = null
    throw error
  })
  return worker
}

async function makeWorker(asked: ConnectStart): Promise<Worker> {
  const { bootstrap, settings, workerId, logLevel } = asked
  const environment = createNodeEnvironment({ log: { level: logLevel as LogLevel } })
  process.on('unhandledRejection', (err) => {
    environment.log.error('A connector left an error that nobody looks at', { err })
  })
  const plugins = await loadPlugins(environment, settings)
  const config = parseConnectConfig(settings)
  return {
    environment,
    plugins,
    bootstrap,
    settings,
    providers: new ConfigProviders(settings, {
      disk: environment.disk,
      variables: process.env,
    }),
    config,
    // As of Kafka Connect's own worker.properties.
    exactlyOnceGroup: exactlyOnceGroup(config, 'connect-cluster'),
    workerId,
  }
}

async function start(asked: ConnectStart): Promise<void> {
  const started = new SoloHerder(await workerOf(asked))
  herder = started
  answer = connectApi(started)
  try {
    await started.start()
  } catch (error) {
    // Tables may go on beside it, and it is started again.
    started.cluster.close()
    throw error
  }
}

async function setTables(asked: ConnectStart, tables: readonly TopicTable[]): Promise<void> {
  const all = await workerOf(asked)
  const { clock, random } = all.environment
  topicTables ??= new TopicTables(all, { clock, random, storageAt: storageIn(all.environment) })
  topicTables.set(tables)
}

answerQuestions(async (asked) => {
  const question = asked as ConnectQuestion
  if (question.kind === 'watch') return new Promise(() => undefined)
  if (question.kind === 'request') {
    const { body } = question.request
    // A buffer comes as bare bytes.
    const whole = body === null ? null : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    return answer?.({ ...question.request, body: whole })
  }
  if (question.kind === 'measured') return herder?.measured() ?? null
  if (question.kind === 'statuses') return (await topicTables?.statuses()) ?? []
  try {
    if (question.kind === 'start') await start(question.start)
    else if (question.kind === 'tables') await setTables(question.start, question.tables)
    else await Promise.all([topicTables?.stop(), herder?.stop()])
    return null
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    return error instanceof Error ? error.message : String(error)
  }
})

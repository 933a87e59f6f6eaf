/**
 * The program of the thread that runs a worker of Connect, beside a broker and over an ordinary connection to it, and the
 * tables of topics. Connectors run in threads of their own, so that one which loops or leaks stalls neither other
 * connectors, nor tables, nor whoever asks for them.
 */
import { ConfigError } from './config/definition.ts'
import type { TopicTable } from './config/table-configs.ts'
import { connectApi } from './connect/rest/connect-api.ts'
import { SoloHerder } from './connect/runtime/solo-herder.ts'
import { exactlyOnceGroup, parseConnectConfig, type Worker } from './connect/runtime/worker.ts'
import type { ConnectorMeasured } from './connect/runtime/worker-measured.ts'
import { TopicTables } from './connect/topic-tables/topic-tables.ts'
import { storageIn } from './connect-plugins.ts'
import type { Endpoint } from './environment/network.ts'
import { beside, stayAlive } from './environment/node/program.ts'
import { answerQuestions } from './environment/node/threads.ts'
import type { HttpAnswer, HttpRequest } from './http/routes.ts'
import { seededWorker } from './seeded-worker.ts'

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

function makeWorker({ bootstrap, settings, workerId, logLevel }: ConnectStart): Promise<Worker> {
  // As of Kafka Connect's own worker.properties.
  const group = exactlyOnceGroup(parseConnectConfig(settings), 'connect-cluster')
  const seed = { bootstrap, settings, workerId, exactlyOnceGroup: group }
  const connector = beside(import.meta.url, 'connector-thread')
  return seededWorker(seed, { logLevel, threads: { connector } })
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

async function measured(): Promise<readonly ConnectorMeasured[] | null> {
  await herder?.worker.threads?.look()
  return herder?.measured() ?? null
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
  if (question.kind === 'measured') return measured()
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

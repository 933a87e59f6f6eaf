/**
 * The program of the thread in which connectors run, beside a broker and over an ordinary connection to
 * it: one that loops or leaks cannot stall whoever produces and consumes.
 */
import { ConfigError } from './config/definition.ts'
import { knownPlugins } from './connect/known-plugins.ts'
import { Plugins } from './connect/plugins.ts'
import { connectApi } from './connect/rest/connect-api.ts'
import { SoloHerder } from './connect/runtime/solo-herder.ts'
import { parseConnectConfig } from './connect/runtime/worker.ts'
import type { Endpoint } from './environment/network.ts'
import { createNodeEnvironment } from './environment/node/environment.ts'
import { LocalStorage } from './environment/node/local-storage.ts'
import type { LogLevel } from './environment/node/logger.ts'
import { answerQuestions } from './environment/node/threads.ts'
import type { HttpAnswer, HttpRequest } from './http/routes.ts'

export interface ConnectStart {
  readonly bootstrap: readonly Endpoint[]
  /** Without `connect.` before their names. */
  readonly settings: ReadonlyMap<string, string>
  readonly workerId: string
  readonly logLevel: string
}

/** `start` and `stop` are answered with a failure's message, or null; `watch` never: it tells of the end. */
export type ConnectQuestion =
  | { readonly kind: 'start'; readonly start: ConnectStart }
  | { readonly kind: 'request'; readonly request: HttpRequest }
  | { readonly kind: 'watch' }
  | { readonly kind: 'stop' }

let herder: SoloHerder | null = null
let answer: ((request: HttpRequest) => Promise<HttpAnswer>) | null = null

// Timers of the environment keep nothing alive, and neither do connections that wait.
setInterval(() => undefined, 2 ** 30)

async function start({ bootstrap, settings, workerId, logLevel }: ConnectStart): Promise<void> {
  const environment = createNodeEnvironment({ log: { level: logLevel as LogLevel } })
  const { clock, random } = environment
  process.on('unhandledRejection', (err) => {
    environment.log.error('A connector left an error that nobody looks at', { err })
  })
  const storageAt = (location: string) => new LocalStorage(location)
  herder = new SoloHerder({
    environment,
    plugins: new Plugins(knownPlugins({ clock, random, storageAt })),
    bootstrap,
    settings,
    config: parseConnectConfig(settings),
    workerId,
  })
  answer = connectApi(herder)
  await herder.start()
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
  try {
    if (question.kind === 'start') await start(question.start)
    else await herder?.stop()
    return null
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    return error instanceof Error ? error.message : String(error)
  }
})

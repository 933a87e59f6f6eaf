/** Plug-ins that are asked something in a thread, and have no answer. */
import t from 'tap'
import { ConnectorThreads } from '../../src/connect/threads/connector-threads.ts'
import type { HostQuestion, WorkerSeed } from '../../src/connect/threads/questions.ts'
import type { Environment } from '../../src/environment/environment.ts'
import type { Thread, Threads } from '../../src/environment/threads.ts'

t.test('one that promises an answer and gives none is not waited for without end', async (t) => {
  const timers: { delayMs: number; callback: () => void }[] = []
  const environment = {
    clock: { now: () => 1_700_000_000_075, monotonic: () => 0 },
    log: { error: () => undefined, debug: () => undefined },
    timers: {
      after: (delayMs: number, callback: () => void) => {
        const timer = { delayMs, callback }
        timers.push(timer)
        return { cancel: () => void timers.splice(timers.indexOf(timer), 1) }
      },
    },
  } as unknown as Environment
  let ends = 0
  const asked: string[] = []
  const thread: Thread = {
    ask: (given) => {
      const { kind } = given as HostQuestion
      asked.push(kind)
      if (kind === 'open') return Promise.resolve({ failure: null, content: null })
      return new Promise(() => undefined)
    },
    end: async () => void ends++,
  }
  const connectorThreads = new ConnectorThreads({
    ...{ environment, timeoutMs: 1000, bytesMax: 1 << 30, threadsMax: 1 },
    threads: { start: () => thread } satisfies Threads,
    seed: {} as WorkerSeed,
  })
  const question = { className: 'test.Silent', settings: new Map<string, string>() }
  const ended = (error: Error) => new Error(`500: ${error.message}`)
  const questions = [
    { ...question, kind: 'validate' },
    { ...question, kind: 'checkOffsets', offsets: [] },
    { ...question, kind: 'alterSinkOffsets', offsets: [] },
    { ...question, kind: 'alterSourceOffsets', offsets: [] },
  ] as const
  for (const [at, one] of questions.entries()) {
    const answer = connectorThreads.askApart(one, ended)
    while (!asked.includes(one.kind)) await new Promise(setImmediate)
    timers.find(({ delayMs }) => delayMs === 90_000)!.callback()
    const what = at === 0 ? 'performing multi-property validation' : '[a-z]+ offsets'
    await t.rejects(answer, {
      message: new RegExp(
        `^500: Request timed out\\. The worker is currently ${what} for the connector, which began at 2023-11-14T22:13:20\\.075Z$`,
      ),
    })
    t.equal(ends, at + 1, 'its thread is ended')
    t.notOk(timers.some(({ delayMs }) => delayMs === 90_000))
  }
})

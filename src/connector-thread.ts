/** The program of a thread in which connectors run, each alone as far as there are threads. */
import { ConnectorHost } from './connect/threads/connector-host.ts'
import type { HostQuestion } from './connect/threads/questions.ts'
import { nudgeCollection } from './environment/node/idle-collection.ts'
import { stayAlive } from './environment/node/program.ts'
import { answerQuestions, threadBytes } from './environment/node/threads.ts'
import { seededWorker } from './seeded-worker.ts'

stayAlive()

const ask = answerQuestions((question) => host.answer(question as HostQuestion))

const host = new ConnectorHost({
  worker: (seed, logLevel) => seededWorker(seed, { logLevel }),
  ask,
  bytes: threadBytes,
  collect: nudgeCollection,
})

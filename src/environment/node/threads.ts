/** Threads of `node:worker_threads`, and the side of the thread itself. */
import { parentPort, Worker } from 'node:worker_threads'
import type { Thread, ThreadName, Threads } from '../threads.ts'

export class NodeThreads implements Threads {
  /** Where the programs lie. */
  readonly #programs: Readonly<Record<ThreadName, URL>>

  constructor(programs: Readonly<Record<ThreadName, URL>>) {
    this.#programs = programs
  }

  start(name: ThreadName): Thread {
    return new NodeThread(new Worker(this.#programs[name], { name }))
  }
}

class NodeThread implements Thread {
  readonly #worker: Worker
  #asked: { resolve: (answer: unknown) => void; reject: (error: Error) => void } | null = null
  /** Why there is nobody to ask any more. */
  #ending: Error | null = null

  constructor(worker: Worker) {
    this.#worker = worker
    worker.on('message', (answer: unknown) => {
      const asked = this.#asked
      this.#asked = null
      asked?.resolve(answer)
    })
    worker.on('error', (error: Error) => this.#ended(error))
    worker.on('exit', () => this.#ended(new Error('the thread has ended')))
    // As timers do, it keeps no process alive.
    worker.unref()
  }

  ask(question: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ending !== null) return reject(this.#ending)
      this.#asked = { resolve, reject }
      this.#worker.postMessage(question)
    })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #ended(error: Error): void {
    this.#ending ??= error
    this.#asked?.reject(this.#ending)
    this.#asked = null
  }
}

/** The program of a thread: answers question after question. */
export function answerQuestions(answer: (question: unknown) => Promise<unknown>): void {
  const port = parentPort
  if (port === null) throw new Error('this is the program of a thread')
  port.on('message', (question: unknown) => {
    // What is thrown here is a bug, and ends the thread.
    void answer(question).then((given) => port.postMessage(given))
  })
}

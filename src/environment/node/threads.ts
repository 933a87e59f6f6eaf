/** Threads of `node:worker_threads`, and the side of the thread itself. */
import { parentPort, Worker } from 'node:worker_threads'
import type { Thread, ThreadName, Threads } from '../threads.ts'

export class NodeThreads implements Threads {
  /** Where the programs lie. */
  readonly #programs: ThreadPrograms

  constructor(programs: ThreadPrograms) {
    this.#programs = programs
  }

  start(name: ThreadName): Thread {
    const program = this.#programs[name]
    if (program === undefined) throw new Error(`there is no program for a thread ${name}`)
    return new NodeThread(new Worker(program, { name }))
  }
}

export type ThreadPrograms = Readonly<Partial<Record<ThreadName, URL>>>

/** With the number that ties an answer to its question. */
interface Numbered {
  readonly number: number
  readonly content: unknown
}

interface Asked {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

class NodeThread implements Thread {
  readonly #worker: Worker
  readonly #asked = new Map<number, Asked>()
  #questions = 0
  /** Why there is nobody to ask any more. */
  #ending: Error | null = null

  constructor(worker: Worker) {
    this.#worker = worker
    worker.on('message', ({ number, content }: Numbered) => {
      const asked = this.#asked.get(number)
      this.#asked.delete(number)
      asked?.resolve(content)
    })
    worker.on('error', (error: Error) => this.#ended(error))
    worker.on('exit', () => this.#ended(new Error('the thread has ended')))
    // As timers do, it keeps no process alive.
    worker.unref()
  }

  ask(content: unknown, handedOver: readonly ArrayBuffer[] = []): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ending !== null) return reject(this.#ending)
      const number = this.#questions++
      this.#asked.set(number, { resolve, reject })
      const question = { number, content } satisfies Numbered
      this.#worker.postMessage(question, handedOver)
    })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #ended(error: Error): void {
    this.#ending ??= error
    for (const { reject } of this.#asked.values()) reject(this.#ending)
    this.#asked.clear()
  }
}

/** The program of a thread: answers question after question, or several at once. */
export function answerQuestions(answer: (question: unknown) => Promise<unknown>): void {
  const port = parentPort
  if (port === null) throw new Error('this is the program of a thread')
  port.on('message', ({ number, content }: Numbered) => {
    // What is thrown here is a bug, and ends the thread.
    void answer(content).then((given) =>
      port.postMessage({ number, content: given } satisfies Numbered),
    )
  })
}

/** Threads of `node:worker_threads`, and the side of the thread itself. */
import { getHeapStatistics } from 'node:v8'
import { type MessagePort, parentPort, Worker } from 'node:worker_threads'
import {
  OutOfMemory,
  type Thread,
  type ThreadName,
  type ThreadOptions,
  type Threads,
} from '../threads.ts'

const mebibyte = 1024 * 1024

export class NodeThreads implements Threads {
  /** Where the programs lie. */
  readonly #programs: ThreadPrograms

  constructor(programs: ThreadPrograms) {
    this.#programs = programs
  }

  start(name: ThreadName, { answer, heapBytesMax }: ThreadOptions = {}): Thread {
    const program = this.#programs[name]
    if (program === undefined) throw new Error(`there is no program for a thread ${name}`)
    const resourceLimits =
      heapBytesMax === undefined
        ? {}
        : { maxOldGenerationSizeMb: Math.ceil(heapBytesMax / mebibyte) }
    return new NodeThread(new Worker(program, { name, resourceLimits }), answer ?? null)
  }
}

export type ThreadPrograms = Readonly<Partial<Record<ThreadName, URL>>>

/** With the number that ties an answer to its question. */
interface Numbered {
  readonly number: number
  readonly isAnswer: boolean
  readonly content: unknown
}

interface Asked {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

/** One side of a conversation in which both ask. */
class Conversation {
  readonly #port: Pick<MessagePort, 'postMessage'>
  readonly #asked = new Map<number, Asked>()
  #questions = 0
  /** Why there is nobody to ask any more. */
  #ending: Error | null = null

  constructor(
    port: Pick<MessagePort, 'postMessage'> & {
      on(event: 'message', listener: (message: Numbered) => void): unknown
    },
    answer: ((question: unknown) => Promise<unknown>) | null,
  ) {
    this.#port = port
    port.on('message', ({ number, isAnswer, content }: Numbered) => {
      if (!isAnswer) {
        // What is thrown here is a bug, and ends the thread.
        void answer?.(content).then((given) =>
          this.#post({ number, isAnswer: true, content: given }),
        )
        return
      }
      const asked = this.#asked.get(number)
      this.#asked.delete(number)
      asked?.resolve(content)
    })
  }

  ask(content: unknown, handedOver: readonly ArrayBuffer[] = []): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ending !== null) return reject(this.#ending)
      const number = this.#questions++
      this.#asked.set(number, { resolve, reject })
      this.#post({ number, isAnswer: false, content }, handedOver)
    })
  }

  end(error: Error): void {
    this.#ending ??= error
    for (const { reject } of this.#asked.values()) reject(this.#ending)
    this.#asked.clear()
  }

  #post(message: Numbered, handedOver: readonly ArrayBuffer[] = []): void {
    this.#port.postMessage(message, handedOver)
  }
}

class NodeThread implements Thread {
  readonly #worker: Worker
  readonly #conversation: Conversation

  constructor(worker: Worker, answer: ThreadOptions['answer'] | null) {
    this.#worker = worker
    this.#conversation = new Conversation(worker, answer ?? null)
    worker.on('error', (error: NodeJS.ErrnoException) => {
      const isFull = error.code === 'ERR_WORKER_OUT_OF_MEMORY'
      this.#conversation.end(isFull ? new OutOfMemory(error.message, { cause: error }) : error)
    })
    worker.on('exit', () => this.#conversation.end(new Error('the thread has ended')))
    // As timers do, it keeps no process alive.
    worker.unref()
  }

  ask(content: unknown, handedOver: readonly ArrayBuffer[] = []): Promise<unknown> {
    return this.#conversation.ask(content, handedOver)
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}

/**
 * The program of a thread: answers question after question, or several at once. What it gives asks whoever has started
 * the thread.
 */
export function answerQuestions(
  answer: (question: unknown) => Promise<unknown>,
): (question: unknown) => Promise<unknown> {
  const port = parentPort
  if (port === null) throw new Error('this is the program of a thread')
  const conversation = new Conversation(port, answer)
  return (question) => conversation.ask(question)
}

/** Bytes of the thread's objects and buffers, garbage among them. */
export function threadBytes(): number {
  const { used_heap_size: objects, external_memory: buffers } = getHeapStatistics()
  return objects + buffers
}

/** What changes one thing happens in order, one at a time; other things do not wait for it. */
import { HttpError } from '../../http/routes.ts'

export class InOrder {
  /** What is under way for a name, and waits for it. */
  readonly #queues = new Map<string, Promise<unknown>>()
  #isEnded = false

  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Rejects with HttpError 503 behind `end`. */
  run<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (this.#isEnded) return Promise.reject(new HttpError(503, 'The worker is stopping'))
    const before = this.#queues.get(name) ?? Promise.resolve()
    const done = before.then(work, work)
    this.#queues.set(name, done)
    const forget = () => {
      if (this.#queues.get(name) === done) this.#queues.delete(name)
    }
    done.then(forget, forget)
    return done
  }

  /** Nothing more is taken; resolves when all is done that was. Never rejects. */
  async end(): Promise<void> {
    this.#isEnded = true
    await Promise.allSettled([...this.#queues.values()])
  }
}

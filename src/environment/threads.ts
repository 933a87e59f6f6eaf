/**
 * Threads beside the event loop, for work that would take long between two requests. Each runs one of a
 * few programs that are known by name; what is asked of it and what it answers is copied (structured
 * clone) or handed over, nothing is shared. An environment may have none, as that of a simulated world:
 * then the same work is done in slices of the event loop's turns.
 */
export type ThreadName = 'compaction' | 'connect' | 'connector' | 'conversion'

export interface ThreadOptions {
  /** Answers what the program asks in turn; not where it rejects, which is a bug. */
  readonly answer?: (question: unknown) => Promise<unknown>
  /** Objects that live longer take no more than that: else the thread ends, with OutOfMemory, and nothing but it. */
  readonly heapBytesMax?: number
}

export interface Threads {
  start(name: ThreadName, options?: ThreadOptions): Thread
}

/** Why a thread has ended. */
export class OutOfMemory extends Error {}

export interface Thread {
  /**
   * Resolves with what the program answers. Several questions may be under way, and are answered in
   * whichever order. Rejects with Error where the thread ended before it did. `handedOver`: what the
   * question has of these is not here any more.
   */
  ask(question: unknown, handedOver?: readonly ArrayBuffer[]): Promise<unknown>
  /** Ends it wherever it is, and closes its files. Resolves when nothing more is done there. */
  end(): Promise<void>
}

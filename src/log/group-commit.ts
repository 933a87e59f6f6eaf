/**
 * Appends of one turn of the event loop are written together and acknowledged together: a group.
 * Where the topic asks for it, the group is synced before it is acknowledged; while that sync is
 * under way the next group gathers, however many turns it takes, so there is one write and one sync
 * for all who arrived meanwhile.
 *
 *     gathering ──end of turn──▶ written ──(sync)──▶ complete: readable, promise resolved
 *         ▲                                              │
 *         └── the next group gathers ◀── sync under way ─┘
 */
import type { Timers } from '../environment/environment.ts'

/** Whole batches of a group, for the tail cache. */
export interface Appended {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly bytes: Buffer
}

export interface Group {
  readonly written: Promise<void>
  readonly appended: Appended[]
  /** The offset after the last of them. Truncation lowers it. */
  endOffset: number
}

/** A group whose fate is open: somebody waits for its promise. */
export interface OpenGroup extends Group {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export interface CommitTarget {
  /** Hands everything queued to the operating system. Throws DiskError. */
  write(): void
  /** Whether what was written must be synced before it is acknowledged. */
  needsSync(): boolean
  sync(): Promise<void>
  /** The group is written, and synced if it had to be. */
  complete(group: Group): void
}

export class GroupCommit {
  readonly #timers: Timers
  readonly #target: CommitTarget
  #gathering: OpenGroup | null = null
  #syncing: OpenGroup | null = null

  constructor(timers: Timers, target: CommitTarget) {
    this.#timers = timers
    this.#target = target
  }

  /** The group of this turn. */
  join(): Group {
    if (this.#gathering !== null) return this.#gathering
    const group = openGroup()
    this.#gathering = group
    if (this.#syncing === null) this.#timers.endOfTurn(() => this.commit())
    return group
  }

  /** Settles when all that was appended so far has been acknowledged. */
  get settled(): Promise<void> {
    return (this.#gathering ?? this.#syncing)?.written ?? Promise.resolve()
  }

  /** Writes the group that gathers now, unless a sync is under way: then it follows that. */
  commit(): void {
    const group = this.#gathering
    if (group === null || this.#syncing !== null) return
    this.#gathering = null
    try {
      this.#target.write()
      if (!this.#target.needsSync()) {
        this.#complete(group)
        return
      }
    } catch (error) {
      group.reject(error)
      return
    }
    this.#syncing = group
    this.#target.sync().then(
      () => {
        if (this.#syncing !== group) return
        this.#syncing = null
        this.#complete(group)
        this.commit()
      },
      (error: unknown) => {
        if (this.#syncing !== group) return
        this.#syncing = null
        group.reject(error)
        this.#gathering?.reject(error)
        this.#gathering = null
      },
    )
  }

  /** The log was cut at `offset`: nothing from there on may count as written later. */
  truncate(offset: number): void {
    for (const group of [this.#syncing, this.#gathering]) {
      if (group === null || group.endOffset <= offset) continue
      group.endOffset = offset
      group.appended.length = 0
    }
  }

  /** The groups that are not acknowledged yet, oldest first: whoever takes them sees to that. */
  handOver(): OpenGroup[] {
    const groups = [this.#syncing, this.#gathering].filter((group) => group !== null)
    this.#syncing = null
    this.#gathering = null
    return groups
  }

  /** The files are given up: what waits to be written is refused. */
  end(why: () => Error): void {
    this.#gathering?.reject(why())
    this.#gathering = null
  }

  #complete(group: OpenGroup): void {
    this.#target.complete(group)
    group.resolve()
  }
}

const openGroup = (): OpenGroup => {
  let resolve: () => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const written = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = (error) => {
      // With acks=0 nobody listens; whoever does gets the rejection all the same.
      written.catch(() => {})
      onReject(error)
    }
  })
  return { written, resolve, reject, appended: [], endOffset: 0 }
}

/**
 * Who reads the ledger: one reader of everything and one of committed records, who go on from where they
 * were, two who do so in fetch sessions, and an auditor who reads all of it, before clients are let in after
 * a start and at the end. They fetch for themselves, to see the ends of partitions and not only records: the
 * last stable offset never goes back, it never passes the high watermark, and it comes to it in the end.
 * What can be read without a session is given in a session as well, in the same round.
 */
import { isAnswer, isRetriable, TimeoutError } from '../../src/client/failures.ts'
import type { IsolationLevel } from '../../src/client/offsets.ts'
import { create } from './admin-client.ts'
import type { Ledger, LedgerRecord } from './ledger.ts'
import { fetchLedger, type Piece } from './ledger-pieces.ts'
import { LedgerSession } from './ledger-session.ts'
import { type Client, type Memory, type Stage, sleep, startClient } from './stage.ts'
import { Violation } from './violation.ts'

/** Makes the topic unless somebody has. Rejects while it cannot. */
export async function makeLedger(client: Client, { topic, form }: Ledger): Promise<void> {
  try {
    await create(client, topic, form.partitions, form.configs)
  } catch (error) {
    if (!isAnswer(error, 'TOPIC_ALREADY_EXISTS')) throw error
  }
}

/** True where the attempt failed for want of a broker, or of a place in it. */
export function isPassingFailure(error: unknown): boolean {
  return isRetriable(error) || error instanceof TimeoutError
}

interface Place {
  next: number
  stableEnd: number
  highWatermark: number
}

/** Reads on and on until the run is over; then everything that it is owed was given to it. */
export async function readLedger(
  stage: Stage,
  name: string,
  { isolation, inSession = false }: { isolation: IsolationLevel; inSession?: boolean },
): Promise<void> {
  const client = startClient(stage, name)
  const reader = new LedgerReader(stage, client, isolation, inSession)
  const roundMs = Math.max(500, stage.temper.durationMs / 60)
  while (!stage.isWritten) {
    await reader.round()
    await sleep(client.environment, client.random.float() * roundMs)
  }
  while (!(await reader.round())) await sleep(client.environment, 500)
  reader.mustHaveAll()
  client.cluster.close()
}

class LedgerReader {
  readonly #stage: Stage
  readonly #client: Client
  readonly #isolation: IsolationLevel
  #ledger: Ledger
  readonly #inSession: boolean
  #session: LedgerSession | null = null
  #places: Place[] = []
  #given = new Set<LedgerRecord>()

  constructor(stage: Stage, client: Client, isolation: IsolationLevel, inSession: boolean) {
    this.#stage = stage
    this.#client = client
    this.#isolation = isolation
    this.#inSession = inSession
    this.#ledger = stage.ledgers.current
    this.#begin(this.#ledger)
  }

  #begin(ledger: Ledger): void {
    this.#ledger = ledger
    this.#given = new Set()
    this.#places = Array.from({ length: ledger.form.partitions }, () => {
      return { next: 0, stableEnd: 0, highWatermark: 0 }
    })
    const isolation = this.#isolation
    this.#session = this.#inSession
      ? new LedgerSession(this.#stage, this.#client, { ledger, isolation })
      : null
  }

  /** Reads what there is. True: it came to the end of every partition. */
  async round(): Promise<boolean> {
    const { ledgers } = this.#stage
    if (this.#ledger !== ledgers.current) this.#begin(ledgers.current)
    try {
      await makeLedger(this.#client, this.#ledger)
      if (this.#session !== null) await this.#readIn(this.#session)
      else for (const partition of this.#places.keys()) await this.#read(partition)
      return this.#ledger === ledgers.current
    } catch (error) {
      if (error instanceof Violation) throw error
      if (!this.#ledger.isVoid && !isPassingFailure(error)) throw error
      this.#stage.trace.say(this.#client.name, `${this.#ledger.topic}: ${(error as Error).message}`)
      return false
    }
  }

  mustHaveAll(): void {
    const owed = this.#ledger.owedToReaders().find((record) => !this.#given.has(record))
    if (owed === undefined) return
    const { id, offset, partition, transaction } = owed
    throw new Violation(
      `${this.#client.name} was never given ${id} at ${offset} of ${this.#ledger.topic}-` +
        `${partition}; ${transaction.name} is ${transaction.fate}`,
    )
  }

  async #read(partition: number): Promise<void> {
    const { random } = this.#client
    for (;;) {
      const piece = await fetchLedger(this.#client, this.#ledger, {
        partition,
        offset: (this.#places[partition] as Place).next,
        isolation: this.#isolation,
        maxWaitMs: random.pick([0, 50]),
        maxBytes: random.pick([100, 1_000, 100_000]),
      })
      if (!this.#take(partition, piece)) return
    }
  }

  async #readIn(session: LedgerSession): Promise<void> {
    const there = this.#client.random.chance(0.5) ? await this.#lookBesides() : []
    for (;;) {
      const pieces = await session.fetch(this.#places.map(({ next }) => next))
      let isMore = false
      for (const [partition, piece] of pieces) isMore = this.#take(partition, piece) || isMore
      if (!isMore) break
    }
    if (this.#ledger.isVoid) return
    for (const [partition, next] of there.entries()) {
      const { next: given } = this.#places[partition] as Place
      if (given >= next) continue
      throw new Violation(
        `${this.#client.name} was given ${this.#ledger.topic}-${partition} up to ${given}, ` +
          `which could be read up to ${next} before`,
      )
    }
  }

  /** How far a fetch without a session comes from where this reader is, by partition. */
  async #lookBesides(): Promise<number[]> {
    const there: number[] = []
    for (const [partition, { next: offset }] of this.#places.entries()) {
      const asked = { partition, offset, isolation: this.#isolation, maxWaitMs: 0, maxBytes: 1_000 }
      there.push((await fetchLedger(this.#client, this.#ledger, asked)).next)
    }
    return there
  }

  /** Whether it came further. */
  #take(partition: number, piece: Piece): boolean {
    const ledger = this.#ledger
    const place = this.#places[partition] as Place
    if (ledger.isVoid) return false
    this.#follow(partition, place, piece)
    const isCommitted = this.#isolation === 'read_committed'
    for (const { id, key, offset } of piece.records) {
      const record = ledger.see(this.#client.name, { id, key, offset, partition, isCommitted })
      if (record !== null) this.#given.add(record)
    }
    const isFurther = piece.next !== place.next
    place.next = piece.next
    return isFurther
  }

  #follow(partition: number, place: Place, { stableEnd, highWatermark, next }: Piece): void {
    const where = `${this.#ledger.topic}-${partition}`
    const { name } = this.#client
    this.#stage.trace.say(name, `${where}: ${next}, stable ${stableEnd}, ends ${highWatermark}`)
    if (stableEnd < place.stableEnd) {
      throw new Violation(`${where} was stable up to ${place.stableEnd} and is to ${stableEnd}`)
    }
    if (highWatermark < place.highWatermark) {
      throw new Violation(`${where} ended at ${place.highWatermark} and ends at ${highWatermark}`)
    }
    place.stableEnd = stableEnd
    place.highWatermark = highWatermark
  }
}

/** The ledger as it was promised to be, asked about after starts of the broker, while nobody writes. */
export class LedgerMemory implements Memory {
  readonly #stage: Stage

  constructor(stage: Stage) {
    this.#stage = stage
  }

  async compare(auditor: Client): Promise<boolean> {
    return await this.#audit(auditor, false)
  }

  /** Nothing is written any more: waits until all transactions are decided everywhere. */
  async compareAtEnd(auditor: Client): Promise<void> {
    // All of it is read each time: if it is not soon, it is seldom, or never.
    for (let waitMs = 1_000; !(await this.#audit(auditor, true)); waitMs *= 1.5) {
      await sleep(auditor.environment, Math.min(waitMs, 30_000))
    }
    auditor.cluster.close()
  }

  compareDisk(): void {
    // What lies there says no more than what was read.
  }

  async #audit(client: Client, mustBeStable: boolean): Promise<boolean> {
    const { trace, ledgers } = this.#stage
    const ledger = ledgers.current
    try {
      await makeLedger(client, ledger)
      const read = new Set<LedgerRecord>()
      for (let partition = 0; partition < ledger.form.partitions; partition++) {
        const all = await readAll(client, ledger, partition, 'read_uncommitted')
        const committed = await readAll(client, ledger, partition, 'read_committed')
        const { end, stableEnd } = committed
        trace.say('auditor', `${ledger.topic}-${partition} ends at ${end}, stable ${stableEnd}`)
        if (mustBeStable && stableEnd < end) return false
        ledger.judge(partition, {
          stableEnd,
          all: all.records,
          committed: committed.records,
        })
        for (const record of committed.records) read.add(record)
      }
      if (mustBeStable) ledger.judgeTransactions(read)
      return ledger === ledgers.current
    } catch (error) {
      if (error instanceof Violation) throw error
      if (!ledger.isVoid && !isPassingFailure(error)) throw error
      trace.say('auditor', `${ledger.topic}: ${(error as Error).message}`)
      return false
    }
  }
}

async function readAll(
  client: Client,
  ledger: Ledger,
  partition: number,
  isolation: IsolationLevel,
): Promise<{ records: Set<LedgerRecord>; end: number; stableEnd: number }> {
  const records = new Set<LedgerRecord>()
  const isCommitted = isolation === 'read_committed'
  for (let offset = 0; ; ) {
    const asked = { partition, offset, isolation, maxWaitMs: 0, maxBytes: 1_000_000 }
    const piece = await fetchLedger(client, ledger, asked)
    for (const { id, key, offset: at } of piece.records) {
      const seen = { id, key, partition, offset: at, isCommitted }
      const record = ledger.see('the auditor', seen)
      if (record !== null) records.add(record)
    }
    if (piece.next === offset) {
      return { records, end: piece.highWatermark, stableEnd: piece.stableEnd }
    }
    offset = piece.next
  }
}

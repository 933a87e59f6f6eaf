/**
 * Who reads the ledger: one reader of everything and one of committed records, who go on from where they
 * were, and an auditor who reads all of it, before clients are let in after a start and at the end. They
 * fetch for themselves, to see the ends of partitions and not only records: the last stable offset never
 * goes back, it never passes the high watermark, and it comes to it in the end.
 */
import { apis } from '../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import { zeroUuid } from '../../protocol/types.ts'
import { isAnswer, isRetriable, TimeoutError } from '../../src/client/failures.ts'
import { FetchedRecords } from '../../src/client/fetched-records.ts'
import { type IsolationLevel, isolationCode } from '../../src/client/offsets.ts'
import { create } from './admin-client.ts'
import type { Ledger, LedgerRecord } from './ledger.ts'
import { type Client, type Memory, type Stage, sleep, startClient } from './stage.ts'
import { Violation } from './violation.ts'

/** The header that tells which record it is; a tombstone has no value to tell it. */
export const idHeader = 'id'

interface Piece {
  readonly records: readonly {
    readonly id: string
    readonly key: string
    readonly offset: number
  }[]
  readonly next: number
  readonly highWatermark: number
  readonly stableEnd: number
}

interface Asked {
  readonly partition: number
  readonly offset: number
  readonly isolation: IsolationLevel
  readonly maxWaitMs: number
  readonly maxBytes: number
}

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

async function fetchLedger({ cluster }: Client, ledger: Ledger, asked: Asked): Promise<Piece> {
  const { topic } = ledger
  const { partition, offset: fetchOffset, isolation, maxWaitMs, maxBytes } = asked
  const leader = await cluster.leader(topic, partition)
  const topicId = cluster.metadata.topics.get(topic)?.topicId ?? zeroUuid
  const partitions = [{ partition, fetchOffset, partitionMaxBytes: maxBytes }]
  const request = {
    maxWaitMs,
    minBytes: 1,
    maxBytes,
    isolationLevel: isolationCode(isolation),
    topics: [{ topic, topicId, partitions }],
  }
  const versionMax = topicId === zeroUuid ? 12 : undefined
  const connection = await cluster.connectionTo(leader, 'fetch')
  const options = { timeoutMs: cluster.requestTimeoutMs + maxWaitMs, versionMin: 4, versionMax }
  const answer = await connection.call(apis.fetch, request, options)
  const row = answer.responses[0]?.partitions[0]
  const error = errorByCode(row?.errorCode ?? answer.errorCode)
  // Nobody asks for more than there is, or was, and nothing of it is ever deleted.
  if (error === errors.OFFSET_OUT_OF_RANGE && !ledger.isVoid) {
    throw new Violation(`${topic}-${partition} has no offset ${fetchOffset} any more`)
  }
  if (row === undefined || error !== errors.NONE) {
    cluster.metadata.forget(topic)
    throw new KafkaError(error === errors.NONE ? errors.UNKNOWN_SERVER_ERROR : error)
  }
  const aborted = isolation === 'read_committed' ? row.abortedTransactions : null
  const fetched = new FetchedRecords(Buffer.concat(row.records ?? []), fetchOffset, aborted)
  const { highWatermark, lastStableOffset: stableEnd } = row
  const where = `${topic}-${partition}`
  if (stableEnd > highWatermark) {
    throw new Violation(`${where} is stable up to ${stableEnd} and ends at ${highWatermark}`)
  }
  const records = []
  for (let batch = fetched.next(); batch !== null; batch = fetched.next()) {
    for (const { offset, key, headers } of batch) {
      const id = `${headers.find((header) => `${header.key}` === idHeader)?.value}`
      records.push({ offset, id, key: `${key}` })
    }
  }
  return { records, next: fetched.position, highWatermark, stableEnd }
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
  isolation: IsolationLevel,
): Promise<void> {
  const client = startClient(stage, name)
  const reader = new LedgerReader(stage, client, isolation)
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
  #places: Place[] = []
  #given = new Set<LedgerRecord>()

  constructor(stage: Stage, client: Client, isolation: IsolationLevel) {
    this.#stage = stage
    this.#client = client
    this.#isolation = isolation
    this.#ledger = stage.ledgers.current
    this.#begin(this.#ledger)
  }

  #begin(ledger: Ledger): void {
    this.#ledger = ledger
    this.#given = new Set()
    this.#places = Array.from({ length: ledger.form.partitions }, () => {
      return { next: 0, stableEnd: 0, highWatermark: 0 }
    })
  }

  /** Reads what there is. True: it came to the end of every partition. */
  async round(): Promise<boolean> {
    const { ledgers } = this.#stage
    if (this.#ledger !== ledgers.current) this.#begin(ledgers.current)
    try {
      await makeLedger(this.#client, this.#ledger)
      for (const [partition, place] of this.#places.entries()) await this.#read(partition, place)
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

  async #read(partition: number, place: Place): Promise<void> {
    const ledger = this.#ledger
    const { random } = this.#client
    for (;;) {
      const piece = await fetchLedger(this.#client, ledger, {
        partition,
        offset: place.next,
        isolation: this.#isolation,
        maxWaitMs: random.pick([0, 50]),
        maxBytes: random.pick([100, 1_000, 100_000]),
      })
      if (ledger.isVoid) return
      this.#follow(partition, place, piece)
      const isCommitted = this.#isolation === 'read_committed'
      for (const { id, key, offset } of piece.records) {
        const record = ledger.see(this.#client.name, { id, key, offset, partition, isCommitted })
        if (record !== null) this.#given.add(record)
      }
      if (piece.next === place.next) return
      place.next = piece.next
    }
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

/**
 * What is written into the ledger, a topic of its own: records in transactions and records without one,
 * some of them with keys, and what readers must and must not see of them (the anomalies that Jepsen looks
 * for in Kafka among it):
 *
 *   aborted read          a reader of committed records is given what is not, or will not be, committed
 *   lost write            an acknowledged record is missing, though nothing of its key came later
 *   torn transaction      some records of a transaction can be read, others cannot
 *   duplicate             a record is at two offsets
 *   inconsistent offset   an offset has two records
 *   non-monotonic send    a writer's records stand in another order than it has sent them
 *   zombie write          a record of a fenced producer is there at all
 *
 * A fault that may take what was acknowledged makes a ledger void: nothing is promised of it any more,
 * and everybody goes on with the next one, under new names.
 */
import type { SimulatedLedger } from './swarm.ts'
import { Violation } from './violation.ts'

/**
 * `open`: nobody asked to commit. `undecided`: somebody did, and has no answer. `plain`: records without
 * a transaction. `forbidden`: of a producer that is fenced.
 */
export type Fate = 'open' | 'undecided' | 'committed' | 'aborted' | 'plain' | 'forbidden'

export interface LedgerTransaction {
  readonly name: string
  readonly ledger: Ledger
  fate: Fate
  readonly records: LedgerRecord[]
  /** A reader of committed records was given one of its records. */
  isRead: boolean
}

export interface LedgerRecord {
  readonly id: string
  readonly writer: string
  /** Of its writer, ascending. */
  readonly number: number
  readonly transaction: LedgerTransaction
  readonly partition: number
  readonly key: string
  readonly isTombstone: boolean
  isAcknowledged: boolean
  /** -1: not known. */
  offset: number
}

/** What a pass through a whole partition has seen. */
export interface LedgerView {
  readonly stableEnd: number
  readonly all: ReadonlySet<LedgerRecord>
  readonly committed: ReadonlySet<LedgerRecord>
}

/** The ledger that is written to now; the others are void. */
export class Ledgers {
  readonly #form: SimulatedLedger
  current: Ledger

  constructor(form: SimulatedLedger) {
    this.#form = form
    this.current = new Ledger(0, form)
  }

  /** A fault may have taken what was acknowledged. */
  lose(): void {
    this.current.isVoid = true
    this.current = new Ledger(this.current.generation + 1, this.#form)
  }
}

export class Ledger {
  readonly topic: string
  readonly generation: number
  readonly form: SimulatedLedger
  isVoid = false
  readonly transactions: LedgerTransaction[] = []
  readonly #records = new Map<string, LedgerRecord>()
  readonly #byOffset: Map<number, LedgerRecord>[]

  constructor(generation: number, form: SimulatedLedger) {
    this.generation = generation
    this.topic = `ledger.${generation}`
    this.form = form
    this.#byOffset = Array.from({ length: form.partitions }, () => new Map())
  }

  begin(name: string, fate: Fate): LedgerTransaction {
    const transaction = { name, ledger: this, fate, records: [], isRead: false }
    this.transactions.push(transaction)
    return transaction
  }

  write(
    transaction: LedgerTransaction,
    fields: Pick<LedgerRecord, 'writer' | 'number' | 'partition' | 'key' | 'isTombstone'>,
  ): LedgerRecord {
    const id = `${fields.writer}/${fields.number}`
    const record = { ...fields, id, transaction, isAcknowledged: false, offset: -1 }
    transaction.records.push(record)
    this.#records.set(id, record)
    return record
  }

  /** `offset`: -1 where the answer did not tell. */
  acknowledge(record: LedgerRecord, offset: number): void {
    record.isAcknowledged = true
    if (offset >= 0) this.#bind(record, record.partition, offset, 'acknowledged')
  }

  abort(transaction: LedgerTransaction): void {
    transaction.fate = 'aborted'
    if (!transaction.isRead || this.isVoid) return
    throw new Violation(`${transaction.name} is aborted, and was read as committed`)
  }

  /** A reader was given a record. Null: the ledger is void. */
  see(
    reader: string,
    seen: { id: string; key: string; partition: number; offset: number; isCommitted: boolean },
  ): LedgerRecord | null {
    if (this.isVoid) return null
    const { id, key, partition, offset, isCommitted } = seen
    const record = this.#records.get(id)
    const where = `${offset} of ${this.topic}-${partition}`
    if (record === undefined || record.key !== key || record.partition !== partition) {
      throw new Violation(`${reader} read at ${where} what nobody sent there: ${id} of key ${key}`)
    }
    const { transaction } = record
    const { fate } = transaction
    if (fate === 'forbidden') {
      throw new Violation(`${reader} read at ${where} ${id}, which a fenced producer sent`)
    }
    if (isCommitted && (fate === 'open' || fate === 'aborted')) {
      throw new Violation(
        `${reader}, who wants committed records only, read ${id} at ${where}; ` +
          `${transaction.name} is ${fate}`,
      )
    }
    transaction.isRead ||= isCommitted
    this.#bind(record, partition, offset, `read by ${reader}`)
    return record
  }

  /** Holds a partition that was read as a whole against what must be there. */
  judge(partition: number, view: LedgerView): void {
    if (this.isVoid) return
    const known = [...this.#records.values()].filter((record) => record.partition === partition)
    const latest = this.#latestOfKeys(known)
    for (const record of known) {
      if (!record.isAcknowledged) continue
      if (this.#mayBeGone(record, latest, view.stableEnd)) continue
      if (!view.all.has(record)) this.#missing(record, 'read by nobody')
      const { fate } = record.transaction
      const mustBeRead = fate === 'committed' || fate === 'plain'
      const isStable = record.offset >= 0 && record.offset < view.stableEnd
      if (mustBeRead && isStable && !view.committed.has(record)) {
        this.#missing(record, 'not read by who wants committed records')
      }
    }
    this.#checkOrder(partition)
  }

  /** Every partition was read to its end; `committed`: all that is to be read as committed. */
  judgeTransactions(committed: ReadonlySet<LedgerRecord>): void {
    if (this.isVoid || this.form.isCompacted) return
    for (const { name, fate, records } of this.transactions) {
      if (fate === 'plain') continue
      const read = records.filter((record) => committed.has(record))
      const isTorn = read.length > 0 && read.length < records.length
      if (isTorn) {
        const missing = records.find((record) => !committed.has(record))
        throw new Violation(`of ${name}, ${fate}, ${read[0]?.id} is read and ${missing?.id} is not`)
      }
    }
  }

  /** All that a reader of committed records has to be given some time, where nothing is compacted. */
  owedToReaders(): LedgerRecord[] {
    if (this.isVoid || this.form.isCompacted) return []
    return [...this.#records.values()].filter(({ transaction: { fate }, isAcknowledged }) => {
      return isAcknowledged && (fate === 'committed' || fate === 'plain')
    })
  }

  #missing({ id, offset, partition, transaction, key }: LedgerRecord, how: string): never {
    throw new Violation(
      `${id} of key ${key}, acknowledged at ${offset} of ${this.topic}-${partition}, ` +
        `is ${how}; ${transaction.name} is ${transaction.fate}`,
    )
  }

  /** For each key where its last record is, of those that may have replaced others. */
  #latestOfKeys(known: readonly LedgerRecord[]): Map<string, number> {
    const latest = new Map<string, number>()
    for (const { key, offset, transaction, isTombstone, isAcknowledged } of known) {
      if (transaction.fate === 'aborted' || transaction.fate === 'open') continue
      // It may have been, at an offset that nobody was told, and be gone again.
      const at = isTombstone && !isAcknowledged && offset < 0 ? Number.POSITIVE_INFINITY : offset
      latest.set(key, Math.max(latest.get(key) ?? -1, at))
    }
    return latest
  }

  #mayBeGone(
    record: LedgerRecord,
    latest: ReadonlyMap<string, number>,
    stableEnd: number,
  ): boolean {
    const { transaction, isTombstone, key, offset } = record
    if (!this.form.isCompacted || offset >= stableEnd) return false
    const { fate } = transaction
    // The broker may have aborted what took too long.
    if (isTombstone || fate === 'aborted' || fate === 'undecided' || fate === 'open') return true
    return (latest.get(key) ?? -1) > offset
  }

  #checkOrder(partition: number): void {
    const byOffset = this.#byOffset[partition] as Map<number, LedgerRecord>
    const last = new Map<string, LedgerRecord>()
    for (const [, record] of [...byOffset].sort(([a], [b]) => a - b)) {
      const before = last.get(record.writer)
      if (before !== undefined && before.number > record.number) {
        throw new Violation(`${record.id} stands behind ${before.id} in ${this.topic}-${partition}`)
      }
      last.set(record.writer, record)
    }
  }

  #bind(record: LedgerRecord, partition: number, offset: number, how: string): void {
    if (this.isVoid) return
    const byOffset = this.#byOffset[partition] as Map<number, LedgerRecord>
    const other = byOffset.get(offset)
    const where = `${this.topic}-${partition}`
    if (record.offset >= 0 && record.offset !== offset) {
      throw new Violation(
        `${record.id} is at ${record.offset} and at ${offset} of ${where}, ${how}`,
      )
    }
    if (other !== undefined && other !== record) {
      throw new Violation(`${offset} of ${where} was ${other.id} and is ${record.id}, ${how}`)
    }
    record.offset = offset
    byOffset.set(offset, record)
  }
}

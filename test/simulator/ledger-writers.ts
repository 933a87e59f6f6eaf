/**
 * Who writes into the ledger. A teller has a transactional id: its transactions are committed, aborted,
 * left alone until the broker aborts them, or left in the moment of the commit; now and then the identity
 * that it had before tries to write on, or to end the transaction of the one it has, and must be refused.
 * A clerk writes record by record, without transactions, between the tellers' records.
 */
import { apis } from '../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { fetchCommitted } from '../../src/client/offsets.ts'
import type { Ledger, LedgerRecord, LedgerTransaction } from './ledger.ts'
import { isPassingFailure, makeLedger } from './ledger-readers.ts'
import { mustHaveNothingElseOpen } from './open-transactions.ts'
import { type Client, restDuringFaults, type Stage, sleep, startClient } from './stage.ts'
import {
  type Answer,
  encodable,
  type Identity,
  TransactionalProducer,
  VoidLedger,
  writeBatch,
} from './transactional-producer.ts'
import { Violation } from './violation.ts'

/** A producer that is idle for longer may be forgotten. */
const idleMsMax = 300_000
const rounds = 12
const roundsOnceHealed = 2

/** Until the run is healed, and a little longer. */
export async function keepLedger(
  stage: Stage,
  name: string,
  kind: 'teller' | 'clerk',
): Promise<void> {
  const client = startClient(stage, name)
  const begin = (ledger: Ledger): Writer =>
    kind === 'teller' ? new Teller(stage, client, ledger) : new Clerk(stage, client, ledger)
  let writer = begin(stage.ledgers.current)
  let left = roundsOnceHealed
  while (!stage.isHealed || left-- > 0) {
    if (writer.ledger.isVoid) writer = begin(stage.ledgers.current)
    try {
      await makeLedger(client, writer.ledger)
      await writer.round()
    } catch (error) {
      stage.trace.say(name, (error as Error).message)
      if (error instanceof Violation) throw error
      if (!(error instanceof VoidLedger) && !isPassingFailure(error)) throw error
      left++
      await sleep(client.environment, 500)
    }
    const pauseMs = (2 * stage.temper.durationMs * client.random.float()) / rounds
    await restDuringFaults(stage, client, pauseMs)
  }
  while (!writer.ledger.isVoid && !(await writer.isSettled())) {
    await sleep(client.environment, 1_000)
  }
  client.cluster.close()
}

interface Writer {
  readonly ledger: Ledger
  round(): Promise<void>
  /** Nothing that it began is left open. */
  isSettled(): Promise<boolean>
}

class Teller implements Writer {
  readonly ledger: Ledger
  readonly #stage: Stage
  readonly #client: Client
  readonly #name: string
  readonly #producer: TransactionalProducer
  #identity: Identity | null = null
  #before: Identity | null = null
  /** Left open: a new identity aborts them. */
  readonly #left: LedgerTransaction[] = []
  #usedMs = 0
  #transactions = 0
  #records = 0
  /** Of the group: committed, and those of transactions that are undecided. */
  #committedOffset = -1
  readonly #undecidedOffsets = new Set<number>()

  constructor(stage: Stage, client: Client, ledger: Ledger) {
    const { random, name } = client
    this.ledger = ledger
    this.#stage = stage
    this.#client = client
    this.#name = `${name}.${ledger.generation}`
    this.#producer = new TransactionalProducer(stage, client, {
      ledger,
      takesEpochs: random.chance(0.5),
      timeoutMs: random.pick([2_000, 10_000, 60_000]),
    })
  }

  async round(): Promise<void> {
    const { random } = this.#client
    const identity = await this.#identify()
    const transaction = this.ledger.begin(`${this.#name}#${this.#transactions++}`, 'open')
    const startMs = this.#stage.world.nowMs
    const steps = random.between(1, 4)
    for (let step = 0; step < steps; step++) {
      if (!(await this.#write(identity, transaction, startMs))) return
      if (random.chance(0.7)) await mustHaveNothingElseOpen(this.#client, identity, transaction)
      if (random.chance(0.2)) await this.#haunt()
      if (random.chance(0.15)) {
        await restDuringFaults(this.#stage, this.#client, random.float() * 3_000)
      }
    }
    const offset = this.#keepsOffsets && random.chance(0.4) ? this.#transactions : -1
    if (offset >= 0 && !(await this.#commitOffset(identity, transaction, startMs, offset))) return
    if (random.chance(0.2)) await this.#haunt()
    await this.#end(identity, transaction, startMs, offset)
    this.#usedMs = this.#stage.world.nowMs
    if (this.#keepsOffsets) await this.#look()
  }

  /** Offsets of a transaction that nobody ended are there to be read once it is aborted. */
  async isSettled(): Promise<boolean> {
    return !this.#keepsOffsets || (await this.#look())
  }

  get #keepsOffsets(): boolean {
    const { temper } = this.#stage
    return temper.flipChance === 0 && !temper.expiresOffsets
  }

  async #identify(): Promise<Identity> {
    const known = this.#identity
    const isFresh = this.#stage.world.nowMs - this.#usedMs < idleMsMax
    if (known !== null && isFresh && !this.#client.random.chance(0.15)) return known
    this.#forget()
    const identity = await this.#producer.initialize(this.#name)
    // What had no answer until now is decided, one way or the other; what was open is aborted.
    for (const transaction of this.#left.splice(0)) this.ledger.abort(transaction)
    this.#identity = identity
    return identity
  }

  #forget(): void {
    this.#before = this.#identity ?? this.#before
    this.#identity = null
  }

  /** False: the transaction is over. */
  async #write(
    identity: Identity,
    transaction: LedgerTransaction,
    startMs: number,
  ): Promise<boolean> {
    const { random } = this.#client
    const partition = random.between(0, this.ledger.form.partitions - 1)
    const added = await this.#producer.add(identity, partition)
    if (added.error !== errors.NONE) return this.#refused(identity, transaction, startMs, added)
    const batch = Array.from({ length: random.between(1, 3) }, () =>
      this.#newRecord(transaction, partition),
    )
    const written = await this.#producer.write(identity, batch)
    if (written.error !== errors.NONE) return this.#refused(identity, transaction, startMs, written)
    return true
  }

  #newRecord(transaction: LedgerTransaction, partition: number): LedgerRecord {
    const { random } = this.#client
    return this.ledger.write(transaction, {
      writer: this.#name,
      number: this.#records++,
      partition,
      key: `key${random.between(0, 7)}`,
      isTombstone: random.chance(0.15),
    })
  }

  async #commitOffset(
    identity: Identity,
    transaction: LedgerTransaction,
    startMs: number,
    offset: number,
  ): Promise<boolean> {
    const answer = await this.#producer.commitOffset(identity, this.#name, offset)
    if (answer.error !== errors.NONE) return this.#refused(identity, transaction, startMs, answer)
    // Nobody asked to commit it yet.
    await this.#look({ isStable: false })
    return true
  }

  async #end(
    identity: Identity,
    transaction: LedgerTransaction,
    startMs: number,
    offset: number,
  ): Promise<void> {
    const { random } = this.#client
    const how = random.pick(['commit', 'commit', 'commit', 'commit', 'abort', 'leave', 'crash'])
    if (how === 'leave') {
      this.#left.push(transaction)
      this.#forget()
      return
    }
    if (how === 'abort') {
      this.ledger.abort(transaction)
      const answer = await this.#producer.end(identity, false)
      if (answer.error === errors.NONE) this.#goOn(identity, answer)
      else this.#refused(identity, transaction, startMs, answer)
      return
    }
    transaction.fate = 'undecided'
    if (offset >= 0) this.#undecidedOffsets.add(offset)
    if (how === 'crash') {
      // Whoever comes next does not know what became of it.
      this.#forget()
      await Promise.race([
        this.#producer.endOnce(identity, true).catch(() => undefined),
        sleep(this.#client.environment, random.between(0, 20)),
      ])
      return
    }
    const answer = await this.#producer.end(identity, true)
    this.#undecidedOffsets.delete(offset)
    if (answer.error !== errors.NONE) {
      this.#refused(identity, transaction, startMs, answer)
      return
    }
    transaction.fate = 'committed'
    if (offset >= 0) this.#committedOffset = offset
    this.#goOn(identity, answer)
  }

  /** As whom it goes on after the end of a transaction. */
  #goOn(identity: Identity, { producerId = -1, producerEpoch = -1 }: Answer): void {
    if (identity.isDoubtful) this.#forget()
    else if (producerId >= 0) {
      this.#identity = { ...identity, producerId, producerEpoch, sequences: new Map() }
    }
  }

  /** Only a transaction that took too long, or whose producer may be fenced, may be refused. */
  #refused(
    identity: Identity,
    transaction: LedgerTransaction,
    startMs: number,
    { error }: Answer,
  ): false {
    const { world, temper } = this.#stage
    const isLate = world.nowMs - startMs >= this.#producer.timeoutMs
    this.#forget()
    this.ledger.abort(transaction)
    if (isLate || identity.mayBeFenced || temper.blows.clockJump > 0) return false
    throw new Violation(
      `${transaction.name} was answered ${error.name}, ${world.nowMs - startMs} ms after it began`,
    )
  }

  /** The identity that it had before tries on. */
  async #haunt(): Promise<void> {
    const before = this.#before
    const now = this.#identity
    const { random } = this.#client
    if (before === null || now === null) return
    const partition = random.between(0, this.ledger.form.partitions - 1)
    const deed = random.pick(['add', 'write', 'write', 'commit', 'abort'] as const)
    try {
      const { error } = await this.#tryAs(before, deed, partition)
      this.#stage.trace.say(this.#client.name, `${deed} as before: ${error.name}`)
      if (error !== errors.NONE || this.ledger.isVoid) return
    } catch (error) {
      if (!isPassingFailure(error)) throw error
      this.#stage.trace.say(this.#client.name, `${deed} as before: ${(error as Error).message}`)
      return
    }
    const { producerId, producerEpoch } = before
    throw new Violation(
      `${this.#name} could ${deed} with epoch ${producerEpoch} of producer ${producerId}, ` +
        `and has epoch ${now.producerEpoch} of ${now.producerId}`,
    )
  }

  #tryAs(before: Identity, deed: 'add' | 'write' | 'commit' | 'abort', partition: number) {
    if (deed === 'add') return this.#producer.addOnce(before, partition)
    if (deed !== 'write') return this.#producer.endOnce(before, deed === 'commit')
    const ghost = this.ledger.begin(`a ghost of ${this.#name}`, 'forbidden')
    return this.#producer.writeOnce(before, [this.#newRecord(ghost, partition)])
  }

  /** What the group has committed. False: nobody can say now. */
  async #look({ isStable = true } = {}): Promise<boolean> {
    const place = { topic: this.ledger.topic, partition: 0 }
    const { cluster, name } = this.#client
    const options = { isStable }
    let offset: number
    try {
      const rows = await cluster.retrying(
        'look at the offsets',
        () => fetchCommitted(cluster, this.#name, [place], options),
        10_000,
      )
      offset = rows[0]?.offset ?? -1
    } catch (error) {
      if (!isPassingFailure(error)) throw error
      this.#stage.trace.say(name, `cannot look: ${(error as Error).message}`)
      return false
    }
    if (this.ledger.isVoid) return false
    this.#stage.trace.say(name, `finds offset ${offset}`)
    const isUndecided = offset > this.#committedOffset && this.#undecidedOffsets.has(offset)
    // Before its markers are written an offset is not there yet, for who does not wait for it.
    const isEarlier = !isStable && offset < this.#committedOffset
    if (offset === this.#committedOffset || isUndecided || isEarlier) return true
    throw new Violation(
      `${this.#name} finds offset ${offset}, and has committed ${this.#committedOffset} ` +
        `(undecided: ${[...this.#undecidedOffsets].join(', ')})`,
    )
  }
}

class Clerk implements Writer {
  readonly ledger: Ledger
  readonly #stage: Stage
  readonly #client: Client
  readonly #name: string
  readonly #own: LedgerTransaction
  #producer: { readonly id: number; readonly epoch: number } | null = null
  #sequences = new Map<number, number>()
  #usedMs = 0
  #records = 0

  constructor(stage: Stage, client: Client, ledger: Ledger) {
    this.ledger = ledger
    this.#stage = stage
    this.#client = client
    this.#name = `${client.name}.${ledger.generation}`
    this.#own = ledger.begin(this.#name, 'plain')
  }

  isSettled(): Promise<boolean> {
    return Promise.resolve(true)
  }

  async round(): Promise<void> {
    const { random } = this.#client
    for (let left = random.between(1, 6); left > 0; left--) await this.#write()
  }

  async #write(): Promise<void> {
    const { random, environment, name } = this.#client
    const { world, trace } = this.#stage
    if (world.nowMs - this.#usedMs > idleMsMax) this.#producer = null
    const producer = this.#producer ?? (await this.#begin())
    const partition = random.between(0, this.ledger.form.partitions - 1)
    const record = this.ledger.write(this.#own, {
      writer: this.#name,
      number: this.#records++,
      partition,
      key: `key${random.between(0, 7)}`,
      isTombstone: random.chance(0.2),
    })
    const sequence = this.#sequences.get(partition) ?? 0
    const bytes = encodeBatch({
      records: [encodable(record, this.#client)],
      producerId: producer.id,
      producerEpoch: producer.epoch,
      baseSequence: sequence,
    })
    for (;;) {
      if (this.ledger.isVoid) throw new VoidLedger(`${this.ledger.topic} is void`)
      try {
        const asked = { transactionalId: null, partition, bytes, versionMin: 3 }
        const { error, baseOffset = -1 } = await writeBatch(this.#client, this.ledger, asked)
        trace.say(name, `${record.id} of ${record.key}: ${error.name} ${baseOffset}`)
        if (error === errors.NONE) {
          this.ledger.acknowledge(record, baseOffset)
          break
        }
        if (!error.retriable && !this.ledger.isVoid) this.#mustBeExcused(record, error.name)
        if (!error.retriable) throw new KafkaError(errors.REQUEST_TIMED_OUT)
      } catch (error) {
        if (!isPassingFailure(error)) throw error
        trace.say(name, `${record.id}: ${(error as Error).message}`)
        if (this.#producer === null) throw error
      }
      await sleep(environment, random.between(20, 500))
    }
    this.#sequences.set(partition, sequence + 1)
    this.#usedMs = world.nowMs
  }

  /** Where the clock jumps, a producer may be forgotten. */
  #mustBeExcused({ id }: LedgerRecord, answer: string): void {
    this.#producer = null
    if (this.#stage.temper.blows.clockJump > 0) return
    throw new Violation(`${id} was answered ${answer}`)
  }

  async #begin() {
    const { cluster } = this.#client
    const request = { transactionalId: null, transactionTimeoutMs: 60_000 }
    const answer = await cluster.callAny(apis.initProducerId, request)
    if (answer.errorCode !== 0) throw new KafkaError(errorByCode(answer.errorCode))
    this.#producer = { id: answer.producerId, epoch: answer.producerEpoch }
    this.#sequences = new Map()
    this.#usedMs = this.#stage.world.nowMs
    return this.#producer
  }
}

/**
 * A client that knows the rules and tries them: it writes with its own producer id and sequences to one
 * partition, several requests at a time among others that are answered sooner; sends again, byte for byte,
 * what was acknowledged, or is still to be, past the connection that it waits for; leaves out a sequence; goes back to an epoch that is over; turns over a bit. What
 * is right must be taken once, at the offset it is said to be at; what is wrong must be refused and never
 * be seen by any reader.
 *
 * What a fault may have taken from the partition, it may also have taken from what the broker knows of the
 * producer: the client then goes on under another id.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { zeroUuid } from '../../protocol/types.ts'
import type { Connection } from '../../src/client/connection.ts'
import { isRetriable } from '../../src/client/failures.ts'
import { listOffsets } from '../../src/client/offsets.ts'
import type { BrokerHost } from './broker-host.ts'
import { nameOf, type PartitionHistory, type ProducerPromise, type SentRecord } from './history.ts'
import type { SeededRandom } from './random.ts'
import { type Client, restDuringFaults, type Stage, sleep, startClient } from './stage.ts'
import type { SimulatedTopic } from './swarm.ts'
import { Violation } from './violation.ts'

/** What a broker remembers of a producer in a partition. */
const batchesRemembered = 5
/** Producers that are idle for longer may be forgotten. */
const idleMsMax = 300_000
/** Bytes up to the attributes, where what the checksum covers begins. */
const checkedFrom = 21

interface Batch {
  readonly bytes: Buffer
  readonly records: readonly SentRecord[]
  readonly baseSequence: number
  readonly madeMs: number
  /** -1: not known. */
  offset: number
  /** Number of the broker's start at which it was first sent, and later acknowledged; -1: not yet. */
  start: number
}

interface Produced {
  readonly error: ErrorRow
  readonly baseOffset: number
}

interface Identity {
  readonly producerId: number
  producerEpoch: number
  readonly promise: ProducerPromise
  readonly truncations: number
  /** Of its epoch. */
  nextSequence: number
  /** Records of the epochs before. */
  recordsBefore: number
  /** Oldest first; sent, and not acknowledged yet. */
  readonly pending: Batch[]
  /** Oldest first, the last few. */
  readonly acknowledged: Batch[]
  lastWrittenMs: number
}

/** Probes until the run is healed, and once more then. */
export async function probe(stage: Stage, host: BrokerHost, name: string): Promise<void> {
  const client = startClient(stage, name)
  // Where records go, what is known of their producers has to stay.
  const short = stage.temper.topics.filter(({ isShort }) => isShort)
  const choices = short.length > 0 && client.random.chance(0.9) ? short : stage.temper.topics
  const topic = client.random.pick(choices)
  const index = client.random.between(0, topic.partitions - 1)
  const partition = stage.history.partition(topic.name, index)
  const prober = new Prober(stage, host, client, partition, topic)
  const roundMs = stage.temper.durationMs / 20
  while (!stage.isHealed) {
    await prober.act()
    // Not so late that the producer is forgotten meanwhile.
    while (!stage.isHealed && !(await prober.finish())) await restDuringFaults(stage, client, 1_000)
    await restDuringFaults(stage, client, client.random.float() * roundMs)
  }
  for (let i = 0; i < 6; i++) {
    await host.ready()
    await prober.act()
  }
  while (!(await prober.finish())) await sleep(client.environment, 200)
  client.cluster.close()
}

class Prober {
  readonly #stage: Stage
  readonly #host: BrokerHost
  readonly #client: Client
  readonly #random: SeededRandom
  readonly #partition: PartitionHistory
  readonly #isStamped: boolean
  readonly #mayBeLarge: boolean
  #identity: Identity | null = null
  #identities = 0
  #startSeen = 0
  readonly #producerIds = new Set<number>()

  constructor(
    stage: Stage,
    host: BrokerHost,
    client: Client,
    partition: PartitionHistory,
    { configs }: SimulatedTopic,
  ) {
    this.#stage = stage
    this.#host = host
    this.#client = client
    this.#random = client.random
    this.#partition = partition
    this.#isStamped = configs.get('message.timestamp.type') === 'LogAppendTime'
    this.#mayBeLarge = !configs.has('internal.segment.bytes')
  }

  async act(): Promise<void> {
    const deeds = [
      this.#write,
      this.#write,
      this.#repeat,
      this.#overtake,
      this.#leaveOut,
      this.#goBack,
      this.#damage,
      this.#lookUp,
    ]
    try {
      if (!(await this.#askAfterStart())) await this.#random.pick(deeds).call(this)
    } catch (error) {
      this.#pass(error)
    }
  }

  /** Sends what is not acknowledged yet. True: nothing is left. */
  async finish(): Promise<boolean> {
    try {
      const identity = this.#identity
      if (identity !== null && identity.pending.length > 0) {
        await this.#askAfterStart()
        await this.#send()
      }
      return identity === null || identity.pending.length === 0
    } catch (error) {
      this.#pass(error)
      return false
    }
  }

  /** First of all after a start: is its last batch still known? False: it was asked before. */
  async #askAfterStart(): Promise<boolean> {
    const { starts } = this.#host
    if (this.#startSeen === starts) return false
    await this.#repeat()
    this.#startSeen = starts
    return true
  }

  #pass(error: unknown): void {
    if (error instanceof Violation) throw error
    const { message } = error as Error
    // The network cuts and delays; it never changes a byte.
    if (/does not speak Kafka|was not asked/.test(message)) throw new Violation(message)
    this.#say(message)
    if (!isRetriable(error)) this.#client.cluster.metadata.forget(this.#partition.topic)
  }

  async #write(): Promise<void> {
    const identity = await this.#identify()
    const count = this.#random.between(1, batchesRemembered)
    while (identity.pending.length < count) identity.pending.push(this.#newBatch(identity))
    await this.#send()
  }

  /** Again, byte for byte: it is known, and stays where it is. */
  async #repeat(): Promise<void> {
    const identity = await this.#identify()
    const connection = await this.#connect()
    // Of those that were sent any may be the last by now.
    if (!this.#isKnown(identity) || identity.pending.some(({ start }) => start >= 0)) return
    const newest = identity.acknowledged.at(-1)
    const batch = this.#random.pick([newest, newest, this.#random.pick(identity.acknowledged)])
    if (batch === undefined || this.#partition.deletedUpTo > batch.offset) return
    // The snapshot that a restart may go by has the last batch only.
    const isOld = batch.start !== this.#host.starts || this.#now - batch.madeMs > idleMsMax
    const mayBeForgotten = batch !== newest && isOld
    const { error, baseOffset } = await this.#produce(connection, batch.bytes)
    const what = `batch ${batch.baseSequence} of ${identity.promise.name}, sent again,`
    this.#say(`${what} ${error.name} ${baseOffset}`)
    if (error.retriable || error === errors.DUPLICATE_SEQUENCE_NUMBER) return
    if (error === errors.OUT_OF_ORDER_SEQUENCE_NUMBER && mayBeForgotten) return
    if (error !== errors.NONE) throw new Violation(`${what} was answered ${error.name}`)
    if (batch.offset >= 0 && baseOffset !== batch.offset) {
      throw new Violation(`${what} is at ${batch.offset} and was acknowledged at ${baseOffset}`)
    }
  }

  /**
   * A batch, and again past its connection: the answer that comes first says already what no fault may
   * take back.
   */
  async #overtake(): Promise<void> {
    const identity = await this.#identify()
    if (identity.pending.length > 0) return
    const connections = [await this.#connect(), await this.#connect('general')]
    const batch = this.#newBatch(identity)
    identity.pending.push(batch)
    batch.start = this.#host.starts
    const settled = connections.map(async (connection, at) => {
      if (at > 0) await sleep(this.#client.environment, this.#random.float())
      const answer = await this.#produce(connection, batch.bytes)
      this.#settle(identity, batch, answer)
      if (at > 0 && answer.error === errors.NONE) this.#endWhileSafe()
    })
    for (const result of await Promise.allSettled(settled)) {
      if (result.status === 'rejected') this.#pass(result.reason)
    }
  }

  #endWhileSafe(): void {
    const { temper, isHealed } = this.#stage
    const isRisky = this.#partition.promise.isDurable && temper.blows.powerLoss > 0 && !isHealed
    if (!isRisky || !this.#random.chance(0.6)) return
    this.#host.end('power loss', 'behind the answer to a batch sent twice')
  }

  /** A batch whose sequence does not follow. */
  async #leaveOut(): Promise<void> {
    const identity = await this.#identify()
    const connection = await this.#connect()
    if (!this.#isKnown(identity) || identity.acknowledged.length === 0) return
    // So far ahead that the batch is still wrong when it comes late.
    const sequence = identity.nextSequence + this.#random.between(100_000, 900_000)
    const bytes = this.#encode(identity, sequence, [`${this.#client.name} leaves out`])
    await this.#mustBeRefused(
      connection,
      bytes,
      `sequence ${sequence} before ${identity.nextSequence}`,
    )
  }

  /** Begins an epoch, as a client may that cannot go on (KIP-360), and writes on in the one before. */
  async #goBack(): Promise<void> {
    const identity = await this.#identify()
    if (identity.acknowledged.length === 0 || identity.pending.length > 0) return
    const { producerId, producerEpoch, nextSequence } = identity
    identity.producerEpoch++
    identity.recordsBefore += nextSequence
    identity.nextSequence = 0
    identity.acknowledged.length = 0
    identity.pending.push(this.#newBatch(identity))
    await this.#send()
    const connection = await this.#connect()
    const isOver = identity === this.#identity && identity.pending.length === 0
    if (!isOver || !this.#isKnown(identity)) return
    const before = { producerId, producerEpoch }
    const sequence = this.#random.pick([0, nextSequence])
    const bytes = this.#encode(before, sequence, [`${this.#client.name} goes back`])
    await this.#mustBeRefused(connection, bytes, `epoch ${producerEpoch}, which is over,`)
  }

  /** The next batch, with a bit turned over. */
  async #damage(): Promise<void> {
    const identity = await this.#identify()
    const connection = await this.#connect()
    const bytes = this.#encode(identity, identity.nextSequence, [`${this.#client.name} is damaged`])
    const bit = this.#random.between(checkedFrom * 8, bytes.length * 8 - 1)
    bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
    await this.#mustBeRefused(connection, bytes, `a batch whose bit ${bit} is wrong`)
  }

  async #mustBeRefused(connection: Connection, bytes: Buffer, what: string): Promise<void> {
    const { error, baseOffset } = await this.#produce(connection, bytes)
    this.#say(`${what}: ${error.name}`)
    if (error !== errors.NONE) return
    throw new Violation(`${this.#partition.name} took ${what}, at ${baseOffset}`)
  }

  /** The offset for a timestamp, against all that is known of the partition. */
  async #lookUp(): Promise<void> {
    const partition = this.#partition
    const { topic, index, truncations, records } = partition
    if (this.#isStamped || records.size === 0 || partition.needsAudit) return
    const { timestamp } = this.#random.pick([...records.values()])
    const known = new Map(records)
    const [found] = await listOffsets(this.#client.cluster, [
      { topic, partition: index, timestamp },
    ])
    if (found === undefined || partition.needsAudit || partition.truncations !== truncations) return
    const { offset } = found
    this.#say(`${timestamp} is at ${offset}`)
    const at = partition.records.get(offset)
    if (at !== undefined && at.timestamp < timestamp) {
      throw new Violation(
        `${partition.name}: ${offset} for ${timestamp}, where ${nameOf(at)} is of ${at.timestamp}`,
      )
    }
    for (const [other, record] of known) {
      if (other < partition.startMax || record.timestamp < timestamp) continue
      if (offset >= 0 && offset <= other) continue
      throw new Violation(
        `${partition.name}: ${offset} for ${timestamp}, which ${nameOf(record)} at ${other} has`,
      )
    }
  }

  /** All that is pending, in order, without waiting for the answers in between. */
  async #send(): Promise<void> {
    const connection = await this.#connect()
    const identity = await this.#identify()
    const batches: Batch[] = []
    const aside: Promise<unknown>[] = []
    const produced: Promise<Produced>[] = []
    for (const batch of [...identity.pending]) {
      if (this.#random.chance(0.3)) aside.push(this.#askAside(connection))
      if (batch.start < 0) batch.start = this.#host.starts
      // Twice in a row: what is known already may not be written yet.
      for (let times = this.#random.chance(0.2) ? 2 : 1; times > 0; times--) {
        batches.push(batch)
        produced.push(this.#produce(connection, batch.bytes))
      }
    }
    const asideAnswers = Promise.allSettled(aside)
    const answers = await Promise.allSettled(produced)
    for (const [at, answer] of answers.entries()) {
      if (answer.status === 'fulfilled') this.#settle(identity, batches[at] as Batch, answer.value)
      else {
        // With the clock, the time after which producers are forgotten may have jumped.
        identity.promise.hasGap ||= this.#stage.temper.blows.clockJump > 0
        this.#pass(answer.reason)
      }
    }
    for (const answer of await asideAnswers) {
      if (answer.status === 'rejected') this.#pass(answer.reason)
    }
  }

  #settle(identity: Identity, batch: Batch, { error, baseOffset }: Produced): void {
    if (identity !== this.#identity) return
    const { history, temper } = this.#stage
    const { pending, promise } = identity
    const what = `batch ${batch.baseSequence} of ${promise.name}`
    this.#say(`${what}: ${error.name} ${baseOffset}`)
    if (!pending.includes(batch)) {
      if (error !== errors.NONE || batch.offset < 0 || baseOffset === batch.offset) return
      throw new Violation(`${what} was acknowledged at ${batch.offset} and at ${baseOffset}`)
    }
    if (error === errors.NONE || error === errors.DUPLICATE_SEQUENCE_NUMBER) {
      for (const [at, record] of batch.records.entries()) {
        history.acknowledge(record, this.#partition.index, baseOffset < 0 ? -1 : baseOffset + at)
      }
      pending.splice(pending.indexOf(batch), 1)
      batch.offset = baseOffset
      batch.start = this.#host.starts
      this.#partition.probedAt = baseOffset
      identity.acknowledged.push(batch)
      if (identity.acknowledged.length > batchesRemembered) identity.acknowledged.shift()
      identity.lastWrittenMs = this.#now
      return
    }
    // It has left here whole.
    if (error === errors.CORRUPT_MESSAGE) throw new Violation(`${what} was answered ${error.name}`)
    if (error.retriable) return
    const isOutOfOrder = error === errors.OUT_OF_ORDER_SEQUENCE_NUMBER
    // The one before it has to be taken first.
    if (isOutOfOrder && pending[0] !== batch) return
    // It may have been taken before a restart, and others after it, of which the last is known.
    const mayBeForgotten = isOutOfOrder && batch.start !== this.#host.starts
    const isExcused = !this.#isIntact(identity) || mayBeForgotten || temper.blows.clockJump > 0
    if (!isExcused) throw new Violation(`${what} was answered ${error.name}`)
    this.#abandon(identity)
  }

  /** Others, which are answered at once or late: answers still come in the order of the requests. */
  #askAside(connection: Connection): Promise<unknown> {
    const { topic, index, end } = this.#partition
    if (this.#random.chance(0.5)) {
      const software = { clientSoftwareName: 'probe', clientSoftwareVersion: '1' }
      return connection.call(apis.apiVersions, software)
    }
    const topicId = this.#topicId
    const versionMax = topicId === zeroUuid ? 12 : undefined
    const partitions = [{ partition: index, fetchOffset: end, partitionMaxBytes: 1000 }]
    const request = {
      maxWaitMs: this.#random.between(1, 300),
      minBytes: 1_000_000,
      maxBytes: 1000,
      isolationLevel: 0,
      topics: [{ topic, topicId, partitions }],
    }
    return connection.call(apis.fetch, request, { versionMin: 4, versionMax })
  }

  async #produce(connection: Connection, bytes: Buffer): Promise<Produced> {
    const { topic: name, index } = this.#partition
    const topicId = this.#topicId
    const versionMax = topicId === zeroUuid ? 12 : undefined
    const topicData = [{ name, topicId, partitionData: [{ index, records: [bytes] }] }]
    const request = { acks: -1, timeoutMs: 10_000, topicData }
    const answer = await connection.call(apis.produce, request, { versionMin: 3, versionMax })
    const row = answer.responses[0]?.partitionResponses[0]
    if (row?.index !== index)
      throw new Violation(`the answer of ${name}-${index} is of another partition`)
    return { error: errorByCode(row.errorCode), baseOffset: row.baseOffset }
  }

  async #connect(lane: 'produce' | 'general' = 'produce'): Promise<Connection> {
    const { cluster } = this.#client
    const leader = await cluster.leader(this.#partition.topic, this.#partition.index)
    return cluster.connectionTo(leader, lane)
  }

  get #topicId(): string {
    return this.#client.cluster.metadata.topics.get(this.#partition.topic)?.topicId ?? zeroUuid
  }

  /** The one it has, unless the broker may have forgotten it. */
  async #identify(): Promise<Identity> {
    const known = this.#identity
    if (known !== null) {
      const isLate = this.#now - (known.pending[0]?.madeMs ?? this.#now) > idleMsMax
      if (known.truncations === this.#partition.truncations && !isLate) return known
      this.#abandon(known)
    }
    const answer = await this.#client.cluster.callAny(apis.initProducerId, {
      transactionalId: null,
      transactionTimeoutMs: 60_000,
    })
    if (answer.errorCode !== 0) throw new KafkaError(errorByCode(answer.errorCode))
    const { producerId, producerEpoch } = answer
    if (this.#producerIds.has(producerId)) {
      throw new Violation(`producer id ${producerId} was given twice`)
    }
    this.#producerIds.add(producerId)
    this.#identity = {
      producerId,
      producerEpoch,
      promise: {
        name: `${this.#client.name}.${this.#identities++}`,
        isIdempotent: true,
        hasGap: false,
      },
      truncations: this.#partition.truncations,
      nextSequence: 0,
      recordsBefore: 0,
      pending: [],
      acknowledged: [],
      lastWrittenMs: this.#now,
    }
    return this.#identity
  }

  #abandon(identity: Identity): void {
    this.#say(`${identity.promise.name} is given up`)
    identity.promise.hasGap = true
    for (const { records } of identity.pending)
      for (const record of records) record.state = 'failed'
    if (this.#identity === identity) this.#identity = null
  }

  /** No fault may have taken anything of the partition since the identity is used. */
  #isIntact({ truncations }: Identity): boolean {
    return truncations === this.#partition.truncations && !this.#partition.needsAudit
  }

  /** The broker must know its last batch. */
  #isKnown(identity: Identity): boolean {
    const newest = identity.acknowledged.at(-1)
    if (newest === undefined || newest.offset < this.#partition.deletedUpTo) return false
    const idleMs = this.#now - identity.lastWrittenMs
    const { clockJump } = this.#stage.temper.blows
    return this.#isIntact(identity) && idleMs < idleMsMax && clockJump === 0
  }

  #newBatch(identity: Identity): Batch {
    const { history } = this.#stage
    const { promise } = identity
    const { topic } = this.#partition
    const baseSequence = identity.nextSequence
    const timestamp = this.#client.environment.clock.now()
    const records = Array.from({ length: this.#random.between(1, 3) }, (_, at) => {
      const sequence = identity.recordsBefore + baseSequence + at
      const isLarge = this.#random.chance(0.03) && this.#mayBeLarge
      const filler = 'y'.repeat(isLarge ? this.#random.between(100_000, 250_000) : 20)
      const value = `${promise.name}/${sequence} ${filler}`
      return history.send({ producer: promise, sequence, topic, value, key: null, timestamp })
    })
    identity.nextSequence += records.length
    const bytes = this.#encode(
      identity,
      baseSequence,
      records.map(({ value }) => value),
      timestamp,
    )
    return { bytes, records, baseSequence, madeMs: this.#now, offset: -1, start: -1 }
  }

  #encode(
    { producerId, producerEpoch }: Pick<Identity, 'producerId' | 'producerEpoch'>,
    baseSequence: number,
    values: readonly string[],
    timestamp = this.#client.environment.clock.now(),
  ): Buffer {
    const records = values.map((value) => ({ timestamp, key: null, value: Buffer.from(value) }))
    return encodeBatch({ records, producerId, producerEpoch, baseSequence })
  }

  get #now(): number {
    return this.#stage.world.nowMs
  }

  #say(what: string): void {
    this.#stage.trace.say(this.#client.name, what)
  }
}

/**
 * What clients were promised, and whether what they see agrees with it. Every record that is sent is known
 * here; an acknowledgement and every sight of a record bind the offset to it for good. What a fault may
 * take away is said beforehand (`mayLose`): the history then waits for an audit, which reads the partition
 * while nobody writes and says where it really ends.
 *
 * Always: an offset has one record, the same for everybody; offsets have no gaps; bytes are those that
 * were sent. For what was acknowledged: it is there. For idempotent producers: once, and in order.
 */
import type { ProducerMark } from './log-files.ts'
import { Violation } from './violation.ts'

export interface SentRecord {
  readonly producer: ProducerPromise
  readonly sequence: number
  readonly topic: string
  readonly value: string
  readonly key: string | null
  readonly timestamp: number
  state: 'sent' | 'acknowledged' | 'failed' | 'lost'
  /** A member of the group was given it. */
  isSeenByGroup: boolean
  partition: number
  /** -1 where it is not known. */
  offset: number
}

export interface ProducerPromise {
  readonly name: string
  readonly isIdempotent: boolean
  /** It gave up a record, or a fault took away what the broker knew of it: a retry may write twice. */
  hasGap: boolean
}

export interface TopicPromise {
  readonly isDurable: boolean
  /** Milliseconds after which retention may take records; Infinity: never. */
  readonly retentionMs: number
  /** Bytes of a partition that retention has to leave; Infinity: all. */
  readonly retentionBytes: number
}

/** Offsets whose bytes were damaged on the disk: they may be unreadable, and so may all behind them. */
export interface Damage {
  readonly base: number
  readonly last: number
}

export class PartitionHistory {
  readonly name: string
  readonly topic: string
  readonly index: number
  readonly promise: TopicPromise
  readonly records = new Map<number, SentRecord>()
  /** The offset after everything that was acknowledged, or seen, or said to be there to be read. */
  end = 0
  /** Records below were asked to be deleted. */
  deletedUpTo = 0
  /** Records below were acknowledged to be deleted; a clean stop makes that last. */
  deletedUpToSurely = 0
  /** Retention has taken records below, as it was allowed to; see `segment-removals`. */
  expiredUpTo = 0
  /** The last batches of producers in the segments that went, and what `truncations` was then. */
  readonly goneProducers = new Map<number, ProducerMark & { readonly truncations: number }>()
  /** It cannot begin before. */
  startMin = 0
  /** From here on a fault may have taken records away, or damaged them; Infinity: it may not. */
  mayEndAt = Number.POSITIVE_INFINITY
  /** As `mayEndAt`, without damage: others may be at these offsets by now. */
  mayBeReplacedFrom = Number.POSITIVE_INFINITY
  damage: Damage | null = null
  /** How often it has lost records that it was allowed to lose. */
  truncations = 0
  /** Brokers that have ended since the last audit had records up to here: clients may have fetched them. */
  heldUpTo = 0
  /** How often it had lost some of that: what was fetched before says nothing of it as it is. */
  losses = 0
  /** The last batch of a producer that will send it again, to see whether it is known; -1: there is none. */
  probedAt = -1
  /** Its leader epoch when it was audited last, and how often the broker had been started by then. */
  leaderEpoch = -1
  leaderEpochStarts = 0

  constructor(topic: string, index: number, promise: TopicPromise) {
    this.name = `${topic}-${index}`
    this.topic = topic
    this.index = index
    this.promise = promise
  }

  /** The furthest that it may begin. */
  get startMax(): number {
    return Math.max(this.deletedUpTo, this.expiredUpTo)
  }

  get needsAudit(): boolean {
    return this.mayEndAt !== Number.POSITIVE_INFINITY || this.damage !== null
  }
}

/** What an audit found in one partition. */
export interface Audit {
  readonly start: number
  readonly end: number
  readonly offsets: ReadonlySet<number>
}

export class History {
  readonly partitions = new Map<string, PartitionHistory>()
  readonly sent: SentRecord[] = []
  readonly #byValue = new Map<string, SentRecord>()
  readonly #topics: ReadonlyMap<string, TopicPromise>
  acknowledged = 0
  read = 0

  constructor(topics: ReadonlyMap<string, TopicPromise>) {
    this.#topics = topics
  }

  partition(topic: string, index: number): PartitionHistory {
    const name = `${topic}-${index}`
    let known = this.partitions.get(name)
    if (known === undefined) {
      const promise = this.#topics.get(topic)
      if (promise === undefined)
        throw new Violation(`a record came from ${name}, which nobody made`)
      known = new PartitionHistory(topic, index, promise)
      this.partitions.set(name, known)
    }
    return known
  }

  send(record: Omit<SentRecord, 'state' | 'partition' | 'offset' | 'isSeenByGroup'>): SentRecord {
    const sent: SentRecord = {
      ...record,
      state: 'sent',
      partition: -1,
      offset: -1,
      isSeenByGroup: false,
    }
    this.sent.push(sent)
    this.#byValue.set(sent.value, sent)
    return sent
  }

  acknowledge(record: SentRecord, index: number, offset: number): void {
    const { topic, producer } = record
    this.acknowledged++
    record.state = 'acknowledged'
    if (record.partition >= 0 && record.partition !== index) {
      throw new Violation(
        `${nameOf(record)} was seen in partition ${record.partition} and ` +
          `acknowledged in ${index} of ${topic}`,
      )
    }
    record.partition = index
    if (offset < 0) {
      // An idempotent producer is told so of what it sent once more, after too many others.
      if (producer.isIdempotent) return
      throw new Violation(`${nameOf(record)} was acknowledged in ${index} of ${topic} at no offset`)
    }
    const partition = this.partition(topic, index)
    if (
      producer.isIdempotent &&
      !producer.hasGap &&
      record.offset >= 0 &&
      record.offset !== offset
    ) {
      throw new Violation(
        `${nameOf(record)}, which is at ${record.offset} of ${partition.name}, ` +
          `was acknowledged at ${offset}`,
      )
    }
    record.offset = offset
    this.#bind(partition, offset, record, 'acknowledged')
  }

  /** A reader was given a record. */
  see(reader: string, topic: string, index: number, offset: number, value: string): void {
    this.read++
    const partition = this.partition(topic, index)
    const record = this.#byValue.get(value)
    if (record === undefined || record.topic !== topic) {
      throw new Violation(
        `${reader} read at ${offset} of ${partition.name} what nobody sent: ` +
          JSON.stringify(value.slice(0, 80)),
      )
    }
    const { producer } = record
    if (
      record.offset >= 0 &&
      record.offset !== offset &&
      producer.isIdempotent &&
      !producer.hasGap
    ) {
      throw new Violation(
        `${nameOf(record)} is twice in ${partition.name}, at ${record.offset} ` +
          `and at ${offset}, says ${reader}`,
      )
    }
    record.partition = index
    record.isSeenByGroup ||= reader.startsWith('member')
    if (record.offset < 0) record.offset = offset
    this.#bind(partition, offset, record, `seen by ${reader}`)
  }

  /**
   * A fault may have taken away what this partition had from `offset` on. That holds where nothing is
   * known there, too: acknowledgements may still be under way.
   */
  mayLose(partition: PartitionHistory, offset: number): void {
    partition.mayEndAt = Math.min(partition.mayEndAt, offset)
    partition.mayBeReplacedFrom = Math.min(partition.mayBeReplacedFrom, offset)
  }

  /** A broker ends that has written records up to `offset`, whether anybody has been given them or not. */
  held(partition: PartitionHistory, offset: number): void {
    partition.heldUpTo = Math.max(partition.heldUpTo, offset)
  }

  damaged(partition: PartitionHistory, damage: Damage): void {
    const { damage: before } = partition
    const base = Math.min(damage.base, before?.base ?? damage.base)
    partition.damage = { base, last: Math.max(damage.last, before?.last ?? damage.last) }
    partition.mayEndAt = Math.min(partition.mayEndAt, damage.base)
  }

  /** While nobody wrote, the partition was read as a whole. */
  audit(partition: PartitionHistory, { start, end, offsets }: Audit): void {
    const { name, mayEndAt, damage } = partition
    if (end < Math.min(partition.end, mayEndAt)) {
      throw new Violation(
        `${name} ends at ${end}; all before ${Math.min(partition.end, mayEndAt)} ` +
          `should be there (of ${partition.end} known)`,
      )
    }
    for (let offset = start; offset < end; offset++) {
      if (offsets.has(offset) || (damage !== null && offset >= damage.base)) continue
      throw new Violation(
        `${name} has nothing at ${offset}, between its start ${start} and end ${end}`,
      )
    }
    this.#checkStart(partition, start)
    // A reader may keep for long what it has fetched: nobody may know yet of what is lost.
    if (end < Math.max(partition.end, partition.heldUpTo)) partition.losses++
    partition.heldUpTo = 0
    if (end < partition.end) this.#truncate(partition, end)
    partition.mayBeReplacedFrom = Number.POSITIVE_INFINITY
    if (damage !== null && end > damage.base) partition.mayEndAt = damage.base
    else {
      partition.damage = null
      partition.mayEndAt = Number.POSITIVE_INFINITY
    }
  }

  /**
   * With every start of the broker a leader epoch begins, so that what the process before has lost can be
   * told from what this one has in its place. It was asked for after the start `since`, by `until`.
   */
  checkLeaderEpoch(
    partition: PartitionHistory,
    leaderEpoch: number,
    starts: { readonly since: number; readonly until: number },
  ): void {
    const { name, leaderEpoch: before, leaderEpochStarts } = partition
    if (leaderEpoch < before || (leaderEpoch === before && starts.since > leaderEpochStarts)) {
      throw new Violation(
        `${name} has leader epoch ${leaderEpoch} after start ${starts.since} of the broker, ` +
          `and had ${before} after start ${leaderEpochStarts}`,
      )
    }
    partition.leaderEpoch = leaderEpoch
    partition.leaderEpochStarts = starts.until
  }

  /** Acknowledged records that nobody of the group has been given, and that are there to be read. */
  unseenByGroup(): SentRecord[] {
    return this.sent.filter(({ state, isSeenByGroup, partition: index, offset, topic }) => {
      if (state !== 'acknowledged' || isSeenByGroup || offset < 0) return false
      const { startMax, damage } = this.partition(topic, index)
      return damage === null && offset >= startMax
    })
  }

  /** Everything was read to the end: what is missing now is lost. */
  check(): void {
    for (const record of this.sent) {
      if (record.state !== 'acknowledged') continue
      const { topic, partition, offset } = record
      const history = this.partition(topic, partition)
      const isBound = offset >= 0 && history.records.get(offset) === record
      if (isBound || history.damage !== null || history.truncations > 0) continue
      if (offset < 0 && history.startMax > 0) continue
      throw new Violation(`${nameOf(record)}, acknowledged in ${history.name}, was never found`)
    }
    for (const partition of this.partitions.values()) checkOrder(partition)
  }

  #bind(partition: PartitionHistory, offset: number, record: SentRecord, how: string): void {
    const { damage, needsAudit } = partition
    // Damage to the end may have been cut off, and nobody have come to see it yet.
    const isUnseen = needsAudit && damage !== null && offset >= damage.base
    const mayHaveLost = offset >= partition.mayBeReplacedFrom || isUnseen
    // What was lost here may have been taken the place of by what a lost truncation had removed.
    if (mayHaveLost && this.#isOther(partition, offset, record)) {
      partition.losses++
      this.#truncate(partition, offset)
    }
    const before = partition.records.get(offset)
    if (before !== undefined && before !== record) {
      throw new Violation(
        `${offset} of ${partition.name} was ${nameOf(before)} and is ` +
          `${nameOf(record)}, ${how}`,
      )
    }
    partition.records.set(offset, record)
    partition.end = Math.max(partition.end, offset + 1)
  }

  #isOther(partition: PartitionHistory, offset: number, record: SentRecord): boolean {
    const before = partition.records.get(offset)
    return before !== undefined && before !== record
  }

  #checkStart(partition: PartitionHistory, start: number): void {
    const { startMax, name } = partition
    if (start < Math.min(partition.startMin, partition.end)) {
      throw new Violation(
        `${name} begins at ${start}; all before ${partition.startMin} was deleted ` +
          'before a clean stop',
      )
    }
    for (let offset = startMax; offset < start; offset++) {
      const record = partition.records.get(offset)
      if (record === undefined) continue
      throw new Violation(
        `${name} begins at ${start}; ${nameOf(record)} at ${offset} is gone, ` +
          `though nothing asked for it (deleted or expired up to ${startMax})`,
      )
    }
  }

  #truncate(partition: PartitionHistory, end: number): void {
    partition.truncations++
    for (const [offset, record] of partition.records) {
      record.producer.hasGap ||= offset >= end
      if (offset < end) continue
      partition.records.delete(offset)
      if (record.state === 'acknowledged') record.state = 'lost'
      record.offset = -1
    }
    partition.end = end
    // A log that ends before its start begins where its records do.
    if (partition.startMin > end) partition.startMin = 0
    if (partition.deletedUpToSurely > end) partition.deletedUpToSurely = 0
    partition.deletedUpTo = Math.min(partition.deletedUpTo, end)
    partition.expiredUpTo = Math.min(partition.expiredUpTo, end)
  }
}

export function nameOf({ producer, sequence }: SentRecord): string {
  return `record ${sequence} of ${producer.name}`
}

function checkOrder(partition: PartitionHistory): void {
  const last = new Map<ProducerPromise, number>()
  for (const offset of [...partition.records.keys()].sort((a, b) => a - b)) {
    const record = partition.records.get(offset) as SentRecord
    const { producer, sequence } = record
    if (!producer.isIdempotent || producer.hasGap) continue
    const before = last.get(producer) ?? -1
    if (sequence <= before) {
      throw new Violation(`${nameOf(record)} follows record ${before} in ${partition.name}`)
    }
    last.set(producer, sequence)
  }
}

/**
 * What the load clients were told, against what an independent reader finds. A producer numbers its
 * records from 0 and writes to one topic; its number and the partition say everything about order.
 */
import { closeSync, createReadStream, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** Counts of one comparison. Only the first five must be zero. */
export interface Verdict {
  lost: number
  /** Records of an idempotent producer that are there more than once. */
  doubled: number
  outOfOrder: number
  /** Offsets that are missing in a partition, or that a consumer skipped or saw again. */
  gaps: number
  /** Committed group offsets that went back. */
  wentBack: number
  /** Acknowledged at one offset, found at another (and not only there). */
  misplaced: number
  acknowledged: number
  found: number
  /** Found without an acknowledgement: the client or the broker was killed before it came. */
  unacknowledged: number
  /** Records that a plain producer's own retries wrote again: Kafka promises nothing else. */
  repeatedByPlain: number
  /** Records that a client gave up on. */
  failed: number
  commits: number
}

export function emptyVerdict(): Verdict {
  return {
    lost: 0,
    doubled: 0,
    outOfOrder: 0,
    gaps: 0,
    wentBack: 0,
    misplaced: 0,
    acknowledged: 0,
    found: 0,
    unacknowledged: 0,
    repeatedByPlain: 0,
    failed: 0,
    commits: 0,
  }
}

export function isViolated(verdict: Verdict): boolean {
  const { lost, doubled, outOfOrder, gaps, wentBack, misplaced } = verdict
  return lost + doubled + outOfOrder + gaps + wentBack + misplaced > 0
}

export interface Latency {
  readonly second: number
  readonly count: number
  readonly p50: number
  readonly p99: number
}

/** A place in the log as one number: partitions are few, offsets far below 2^40. */
const partitionSpan = 2 ** 40
const placeOf = (partition: number, offset: number) => partition * partitionSpan + offset

class ProducerRecords {
  readonly isIdempotent: boolean
  readonly topic: string
  /** By number: where it was acknowledged, and where it was first found. */
  readonly acknowledged: (number | undefined)[] = []
  readonly found: (number | undefined)[] = []
  readonly lastInPartition = new Map<number, number>()

  constructor(isIdempotent: boolean, topic: string) {
    this.isIdempotent = isIdempotent
    this.topic = topic
  }
}

/** One round: its producers are announced, lines are taken in, and `compare` gives the verdict. */
export class Ledger {
  readonly #producers = new Map<string, ProducerRecords>()
  readonly #nextOffset = new Map<string, number>()
  readonly #ends = new Map<string, number>()
  /** By group, topic and partition: acknowledged commits in the order of their time. */
  readonly #commits = new Map<string, { offset: number; ms: number }[]>()
  readonly #begins: { key: string; offset: number; ms: number }[] = []
  readonly #verdict = emptyVerdict()
  /** A few violations in words. */
  readonly examples: string[] = []
  /** Why clients gave up on records. */
  readonly reasons = new Set<string>()
  readonly latencies: Latency[] = []

  announce(id: string, isIdempotent: boolean, topic: string): void {
    this.#producers.set(id, new ProducerRecords(isIdempotent, topic))
  }

  /** Takes the lines of a load client or of the reader; a last line cut short by a kill is not counted. */
  async take(file: string): Promise<void> {
    if (!existsSync(file)) return
    let whole: string | null = null
    for await (const line of createInterface({ input: createReadStream(file) })) {
      if (whole !== null) this.#line(whole)
      whole = line
    }
    if (whole !== null && endsWithNewline(file)) this.#line(whole)
  }

  #line(line: string): void {
    const [word = '', ...parts] = line.split(' ')
    if (word === 'ack' && parts.length === 5) this.#acknowledged(parts)
    else if (word === 'row' && parts.length === 5) this.#row(parts)
    else if (word === 'fail' && this.#producers.has(parts[1] ?? '')) this.#failed(parts)
    else if (word === 'end') this.#ends.set(`${parts[0]}-${parts[1]}`, Number(parts[2]))
    else if (word === 'commit' && parts.length === 5) this.#commit(parts)
    else if (word === 'from' && parts.length === 5) {
      this.#begins.push({
        key: parts.slice(0, 3).join(' '),
        offset: Number(parts[3]),
        ms: Number(parts[4]),
      })
    } else if (word === 'committed') {
      const key = parts.slice(0, 3).join(' ')
      this.#begins.push({ key, offset: Number(parts[3]), ms: Number.POSITIVE_INFINITY })
    } else if (word === 'gap') this.#violated('gaps', `a consumer: ${line}`)
    else if (word === 'latency' && parts.length === 5) {
      const [second, count, p50, p99] = parts.map(Number) as [number, number, number, number]
      this.latencies.push({ second, count, p50, p99 })
    }
  }

  #failed([, id = '', , ...reason]: string[]): void {
    this.#verdict.failed++
    const language = id.slice(0, id.indexOf('-'))
    if (this.reasons.size < 20) this.reasons.add(`${language}: ${reason.join(' ')}`)
  }

  #violated(kind: keyof Verdict, what: string): void {
    this.#verdict[kind]++
    if (this.examples.length < 40) this.examples.push(`${kind}: ${what}`)
  }

  #acknowledged([topic = '', partition, offset, id = '', n]: string[]): void {
    const producer = this.#producers.get(id)
    // Topics that come and go have producers nobody announced.
    if (producer === undefined || producer.topic !== topic) return
    this.#verdict.acknowledged++
    producer.acknowledged[Number(n)] =
      Number(offset) < 0 ? -1 : placeOf(Number(partition), Number(offset))
  }

  #row([topic = '', partitionText = '', offsetText, id = '', nText]: string[]): void {
    const key = `${topic}-${partitionText}`
    const [partition, offset, n] = [Number(partitionText), Number(offsetText), Number(nText)]
    const expected = this.#nextOffset.get(key) ?? 0
    if (offset !== expected)
      this.#violated('gaps', `${key}: offset ${offset} after ${expected - 1}`)
    this.#nextOffset.set(key, offset + 1)
    this.#verdict.found++
    const producer = this.#producers.get(id)
    if (producer === undefined || producer.topic !== topic || !Number.isInteger(n)) {
      this.#violated('misplaced', `${key}@${offset}: ${id} ${n} belongs to another topic`)
      return
    }
    const last = producer.lastInPartition.get(partition) ?? -1
    if (producer.found[n] === undefined) {
      producer.found[n] = placeOf(partition, offset)
      if (n < last) this.#violated('outOfOrder', `${key}@${offset}: ${id} ${n} after ${last}`)
      producer.lastInPartition.set(partition, Math.max(n, last))
    } else if (producer.isIdempotent) {
      this.#violated('doubled', `${key}@${offset}: ${id} ${n}, also at ${producer.found[n]}`)
    } else {
      // The acknowledgement may speak of the repetition.
      this.#verdict.repeatedByPlain++
      if (producer.acknowledged[n] === placeOf(partition, offset)) {
        producer.found[n] = placeOf(partition, offset)
      }
    }
  }

  #commit([group, topic, partition, offset, ms]: string[]): void {
    const key = `${group} ${topic} ${partition}`
    const commits = this.#commits.get(key) ?? []
    this.#commits.set(key, commits)
    commits.push({ offset: Number(offset), ms: Number(ms) })
    this.#verdict.commits++
  }

  /** After every line was taken in; acknowledgements before the reader's rows. */
  compare(): Verdict {
    for (const [id, producer] of this.#producers) {
      const count = Math.max(producer.acknowledged.length, producer.found.length)
      for (let n = 0; n < count; n++) {
        const [told, found] = [producer.acknowledged[n], producer.found[n]]
        if (told === undefined) {
          if (found !== undefined) this.#verdict.unacknowledged++
        } else if (found === undefined) {
          const place = told < 0 ? '' : ` at ${told % partitionSpan}`
          const partition = Math.floor(told / partitionSpan)
          this.#violated('lost', `${id} ${n} of ${producer.topic}-${partition}${place}`)
        } else if (told >= 0 && told !== found) {
          this.#violated('misplaced', `${id} ${n} of ${producer.topic}: told ${told}, is ${found}`)
        }
      }
    }
    for (const [key, end] of this.#ends) {
      const read = this.#nextOffset.get(key) ?? 0
      if (read !== end) this.#violated('gaps', `${key}: read up to ${read}, the end is ${end}`)
    }
    this.#compareCommits()
    return this.#verdict
  }

  /** Whoever begins after an acknowledged commit begins at it or behind it. */
  #compareCommits(): void {
    for (const commits of this.#commits.values()) commits.sort((a, b) => a.ms - b.ms)
    for (const { key, offset, ms } of this.#begins) {
      const before = (this.#commits.get(key) ?? []).filter((commit) => commit.ms < ms)
      const highest = Math.max(-1, ...before.map((commit) => commit.offset))
      if (offset < highest) {
        this.#violated('wentBack', `${key}: begun at ${offset} after ${highest} was committed`)
      }
    }
  }
}

function endsWithNewline(file: string): boolean {
  const descriptor = openSync(file, 'r')
  try {
    const last = Buffer.alloc(1)
    readSync(descriptor, last, 0, 1, Math.max(0, fstatSync(descriptor).size - 1))
    return last.toString() === '\n'
  } finally {
    closeSync(descriptor)
  }
}

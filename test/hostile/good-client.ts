/**
 * The client beside which all attacks take place, in a thread of its own: at a fixed rate it produces a
 * record and fetches it back, each step on its own connection, and notes how long that took since the
 * moment at which the record was due. A record that is late does not delay those after it.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { apis } from '../../protocol/apis.ts'
import { batches, lastOffset, recordCount } from '../../protocol/records/batch.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { decodeAnswer, frameOf, Outcome, Peer } from './peer.ts'

export interface GoodClientOptions {
  readonly port: number
  readonly topic: string
  readonly ratePerSecond: number
}

/** What is asked of the thread, and what it answers. */
export type Asked = 'measure' | 'report'

export interface Measured {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly records: number
  readonly failures: readonly string[]
}

const versions = { produce: 9, fetch: 12 }
/** After this a record counts as lost. */
const latestMs = 30_000

class GoodClient {
  readonly #options: GoodClientOptions
  readonly #outcome = new Outcome()
  #producer!: Peer
  #consumer!: Peer
  /** When each record that is under way was due, oldest first; they come back in this order. */
  readonly #due: number[] = []
  #latenciesMs: number[] = []
  #failures: string[] = []
  #sent = 0
  #acknowledged = 0
  #fetchOffset = 0

  constructor(options: GoodClientOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { port, ratePerSecond } = this.#options
    this.#producer = (await Peer.open(port, this.#outcome)) as Peer
    this.#consumer = (await Peer.open(port, this.#outcome)) as Peer
    this.#producer.onAnswer = (frame) => this.#produced(frame)
    this.#consumer.onAnswer = (frame) => this.#fetched(frame)
    for (const peer of [this.#producer, this.#consumer]) {
      peer.socket.once('close', () => this.#fail('connection closed'))
    }
    this.#fetch()
    const startedMs = performance.now()
    const everyMs = 1000 / ratePerSecond
    setInterval(() => {
      const dueNow = Math.floor((performance.now() - startedMs) / everyMs)
      while (this.#sent < dueNow) this.#produce(startedMs + ++this.#sent * everyMs)
    }, 1)
  }

  /** Forgets what was measured so far. */
  reset(): void {
    this.#latenciesMs = []
    this.#failures = []
  }

  report(): Measured {
    const nowMs = performance.now()
    const waiting = this.#due.map((dueMs) => nowMs - dueMs).filter((ms) => ms > 0)
    if ((waiting[0] ?? 0) > latestMs) this.#fail(`a record is under way for ${latestMs} ms`)
    const sorted = [...this.#latenciesMs, ...waiting].sort((a, b) => a - b)
    const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN
    return {
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
      records: sorted.length,
      failures: this.#failures,
    }
  }

  #fail(what: string): void {
    if (!this.#failures.includes(what)) this.#failures.push(what)
  }

  #produce(dueMs: number): void {
    this.#due.push(dueMs)
    const value = Buffer.alloc(1024, this.#sent)
    const batch = encodeBatch({ records: [{ timestamp: Date.now(), key: null, value }] })
    const { topic } = this.#options
    const request = {
      transactionalId: null,
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ name: topic, partitionData: [{ index: 0, records: [batch] }] }],
    }
    void this.#producer.send(frameOf(apis.produce, versions.produce, request, 'good'))
  }

  #produced(frame: Buffer): void {
    const answer = decodeAnswer(apis.produce, versions.produce, frame)
    const partition = answer?.responses[0]?.partitionResponses[0]
    if (partition?.errorCode !== 0) this.#fail(`Produce: error ${partition?.errorCode}`)
    else if (partition.baseOffset !== this.#acknowledged) {
      this.#fail(`offset ${partition.baseOffset} where ${this.#acknowledged} was next`)
    }
    this.#acknowledged++
  }

  #fetch(): void {
    const request = {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 50_000_000,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        {
          topic: this.#options.topic,
          partitions: [
            { partition: 0, fetchOffset: this.#fetchOffset, partitionMaxBytes: 1_000_000 },
          ],
        },
      ],
    }
    void this.#consumer.send(frameOf(apis.fetch, versions.fetch, request as never, 'good'))
  }

  #fetched(frame: Buffer): void {
    const answer = decodeAnswer(apis.fetch, versions.fetch, frame)
    const partition = answer?.responses[0]?.partitions[0]
    const isMissing = answer === undefined || answer.errorCode !== 0 || partition === undefined
    if (isMissing || partition.errorCode !== 0) {
      this.#fail(`Fetch: error ${partition?.errorCode ?? answer?.errorCode}`)
    } else {
      const nowMs = performance.now()
      const bytes = Buffer.concat([...(partition.records ?? [])])
      for (const at of batches(bytes)) {
        this.#fetchOffset = lastOffset(bytes, at) + 1
        for (let n = recordCount(bytes, at); n > 0; n--) {
          this.#latenciesMs.push(nowMs - (this.#due.shift() as number))
        }
      }
    }
    if (!this.#consumer.isClosed) this.#fetch()
  }
}

const client = new GoodClient(workerData as GoodClientOptions)
await client.start()
parentPort?.on('message', (asked: Asked) => {
  if (asked === 'measure') client.reset()
  else parentPort?.postMessage(client.report())
})
parentPort?.postMessage('started')

/**
 * The client beside which all attacks take place, in a thread of its own: at a fixed rate it produces a
 * record and fetches it back, each step on its own connection, and notes how long that took since the
 * moment at which the record was due. A record that is late does not delay those after it. With each record
 * goes an echo by a process that does nothing else (`bare-echo.ts`), timed in the same way.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { apis } from '../../protocol/apis.ts'
import { batches, lastOffset, recordCount } from '../../protocol/records/batch.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { decodeAnswer, frameOf, Outcome, Peer } from './peer.ts'

export interface GoodClientOptions {
  readonly port: number
  /** Of a process that does nothing else. */
  readonly echoPort: number
  readonly topic: string
  readonly ratePerSecond: number
}

/** What is asked of the thread, and what it answers. */
export type Asked = 'measure' | 'report'

export interface Measured {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Of as many echoes of a process that does nothing else. */
  readonly echoP99Ms: number
  readonly records: number
  readonly failures: readonly string[]
}

const versions = { produce: 9, fetch: 12 }
/** As many bytes as a record has. */
const echoed = Buffer.alloc(1024)
/** After this a record counts as lost. */
const latestMs = 30_000

/** What was under way for how long, in the order of starting; what still is counts as well. */
class Latencies {
  /** When each that is under way was due, oldest first; they come back in this order. */
  readonly #due: number[] = []
  #latenciesMs: number[] = []

  begin(dueMs: number): void {
    this.#due.push(dueMs)
  }

  end(nowMs: number): void {
    this.#latenciesMs.push(nowMs - (this.#due.shift() as number))
  }

  /** Forgets what was measured so far. */
  reset(): void {
    this.#latenciesMs = []
  }

  sorted(): number[] {
    const nowMs = performance.now()
    const waiting = this.#due.map((dueMs) => nowMs - dueMs).filter((ms) => ms > 0)
    return [...this.#latenciesMs, ...waiting].sort((a, b) => a - b)
  }

  /** How long the oldest is under way; 0 where none is. */
  get longestWaitMs(): number {
    return performance.now() - (this.#due[0] ?? performance.now())
  }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN
}

class GoodClient {
  readonly #options: GoodClientOptions
  readonly #outcome = new Outcome()
  #producer!: Peer
  #consumer!: Peer
  readonly #records = new Latencies()
  readonly #echoes = new Latencies()
  #echo!: Socket
  #failures: string[] = []
  #sent = 0
  #acknowledged = 0
  #fetchOffset = 0

  constructor(options: GoodClientOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { port, echoPort, ratePerSecond } = this.#options
    this.#producer = (await Peer.open(port, this.#outcome)) as Peer
    this.#consumer = (await Peer.open(port, this.#outcome)) as Peer
    this.#producer.onAnswer = (frame) => this.#produced(frame)
    this.#consumer.onAnswer = (frame) => this.#fetched(frame)
    for (const peer of [this.#producer, this.#consumer]) {
      peer.socket.once('close', () => this.#fail('connection closed'))
    }
    this.#echo = connect({ port: echoPort, host: '127.0.0.1', noDelay: true })
    await once(this.#echo, 'connect')
    this.#listenForEchoes()
    this.#fetch()
    const startedMs = performance.now()
    const everyMs = 1000 / ratePerSecond
    setInterval(() => {
      const dueNow = Math.floor((performance.now() - startedMs) / everyMs)
      while (this.#sent < dueNow) {
        const dueMs = startedMs + ++this.#sent * everyMs
        this.#produce(dueMs)
        this.#echoes.begin(dueMs)
        this.#echo.write(echoed)
      }
    }, 1)
  }

  #listenForEchoes(): void {
    let bytes = 0
    this.#echo.on('data', (chunk) => {
      const nowMs = performance.now()
      for (bytes += chunk.length; bytes >= echoed.length; bytes -= echoed.length) {
        this.#echoes.end(nowMs)
      }
    })
  }

  /** Forgets what was measured so far. */
  reset(): void {
    this.#records.reset()
    this.#echoes.reset()
    this.#failures = []
  }

  report(): Measured {
    if (this.#records.longestWaitMs > latestMs) {
      this.#fail(`a record is under way for ${latestMs} ms`)
    }
    const sorted = this.#records.sorted()
    return {
      p50Ms: quantile(sorted, 0.5),
      p99Ms: quantile(sorted, 0.99),
      maxMs: quantile(sorted, 1),
      echoP99Ms: quantile(this.#echoes.sorted(), 0.99),
      records: sorted.length,
      failures: this.#failures,
    }
  }

  #fail(what: string): void {
    if (!this.#failures.includes(what)) this.#failures.push(what)
  }

  #produce(dueMs: number): void {
    this.#records.begin(dueMs)
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
        for (let n = recordCount(bytes, at); n > 0; n--) this.#records.end(nowMs)
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

/** What the server has seen since it started, as plain numbers that whoever exports metrics may read. */
import type { ErrorFields } from '../../protocol/error-fields.ts'
import { Latencies } from './latencies.ts'

/**
 * Where the time of an API's requests went, under Kafka's names for it: one after the other from the last
 * byte of a request to its reply's place in the output. What follows is not told apart by request: the
 * replies of a turn leave in one write.
 */
export class RequestTimes {
  readonly total = new Latencies()
  /** Until it was taken. */
  readonly requestQueue = new Latencies()
  /** Until its handler had done what it does before it waits for anything. */
  readonly local = new Latencies()
  /** Until there was an answer. */
  readonly remote = new Latencies()
  /** Until all requests before it had been answered. */
  readonly responseQueue = new Latencies()
}

/** Monotonic milliseconds: when a request had arrived, was taken, was put aside, had its answer. */
export interface Milestones {
  readonly apiKey: number
  readonly receivedMs: number
  readonly takenMs: number
  readonly handledMs: number
  readonly settledMs: number
}

export class ServerCounters {
  connectionsOpen = 0
  connectionsAccepted = 0
  connectionsRefused = 0
  /** Connections that the broker closed for what their peer had sent. */
  connectionsFailed = 0
  bytesIn = 0
  bytesOut = 0
  /** Requests taken, by API key, then by version. */
  readonly requestsByApi: (number[] | undefined)[] = []
  /** By API key. */
  readonly timesByApi: (RequestTimes | undefined)[] = []
  /** By API key, then by error code plus one: how often it was answered, in whatever field. */
  readonly errorsByApi: (number[] | undefined)[] = []

  countRequest(apiKey: number, apiVersion: number): void {
    this.requestsByApi[apiKey] ??= []
    const versions = this.requestsByApi[apiKey]
    versions[apiVersion] = (versions[apiVersion] ?? 0) + 1
  }

  /** The request is answered at `nowMs`. */
  countAnswer(request: Milestones, nowMs: number): void {
    const { apiKey, receivedMs, takenMs, handledMs, settledMs } = request
    this.timesByApi[apiKey] ??= new RequestTimes()
    const times = this.timesByApi[apiKey]
    times.total.record(nowMs - receivedMs, nowMs)
    times.requestQueue.record(takenMs - receivedMs, nowMs)
    times.local.record(handledMs - takenMs, nowMs)
    times.remote.record(settledMs - handledMs, nowMs)
    times.responseQueue.record(nowMs - settledMs, nowMs)
  }

  countErrors(apiKey: number, fields: ErrorFields, answer: object): void {
    this.errorsByApi[apiKey] ??= []
    fields.count(answer, this.errorsByApi[apiKey])
  }

  /** As `countErrors`, of an answer whose codes were counted before. */
  addErrors(apiKey: number, counts: readonly number[]): void {
    this.errorsByApi[apiKey] ??= []
    const sums = this.errorsByApi[apiKey]
    // Most places are empty, and `forEach` passes over them.
    counts.forEach((count, at) => {
      sums[at] = (sums[at] ?? 0) + count
    })
  }

  /** Requests taken of an API, whatever their version. */
  requestsOf(apiKey: number): number {
    return this.requestsByApi[apiKey]?.reduce((sum, count) => sum + (count ?? 0), 0) ?? 0
  }
}

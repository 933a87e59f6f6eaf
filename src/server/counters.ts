/** What the server has seen since it started, as plain numbers that whoever exports metrics may read. */
import { Latencies } from './latencies.ts'

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
  /** By API key: from the last byte of a request to its reply's place in the output. */
  readonly latenciesByApi: (Latencies | undefined)[] = []

  countRequest(apiKey: number, apiVersion: number): void {
    this.requestsByApi[apiKey] ??= []
    const versions = this.requestsByApi[apiKey]
    versions[apiVersion] = (versions[apiVersion] ?? 0) + 1
  }

  /** Both monotonic milliseconds. */
  countAnswer(apiKey: number, receivedMs: number, nowMs: number): void {
    this.latenciesByApi[apiKey] ??= new Latencies()
    this.latenciesByApi[apiKey].record(nowMs - receivedMs, nowMs)
  }

  /** Requests taken of an API, whatever their version. */
  requestsOf(apiKey: number): number {
    return this.requestsByApi[apiKey]?.reduce((sum, count) => sum + (count ?? 0), 0) ?? 0
  }
}

/** What the server has seen since it started, as plain numbers that whoever exports metrics may read. */
export class ServerCounters {
  connectionsOpen = 0
  connectionsAccepted = 0
  connectionsRefused = 0
  /** Connections that the broker closed for what their peer had sent. */
  connectionsFailed = 0
  bytesIn = 0
  bytesOut = 0
  /** Requests taken, by API key. */
  readonly requestsByApi: number[] = []

  countRequest(apiKey: number): void {
    this.requestsByApi[apiKey] = (this.requestsByApi[apiKey] ?? 0) + 1
  }
}

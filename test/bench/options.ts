/** What a workload of the driver is told, and what it tells of its latencies. */

export interface Options {
  readonly port: number
  /** The broker's process, whose CPU is measured. */
  readonly pid: number
  readonly topic: string
  readonly partitions: number
  readonly connections: number
  /** Bytes of records in a request. */
  readonly batchBytes: number
  /** Bytes of a record's value. */
  readonly recordBytes: number
  /** Records of a transaction. */
  readonly batchRecords: number
  readonly seconds: number
  /** Stop after so many bytes, so that a fast broker does not fill the disk. */
  readonly bytesMax: number
  readonly ratePerSecond: number
  /** Where files may be written. */
  readonly directory: string
  /** More topics of as many partitions, named `topic` with a number behind it; 0: only `topic`. */
  readonly topics: number
  /** Consumer groups. */
  readonly groups: number
  /** Connections that do nothing meanwhile. */
  readonly idleConnections: number
  /** What is measured is no broker, and has no topics. */
  readonly isBare: boolean
  /** Settings of the topic. */
  readonly configs: Readonly<Record<string, string>>
}

export const presets: Options = {
  port: 9092,
  pid: process.pid,
  topic: 'bench',
  partitions: 6,
  connections: 2,
  batchBytes: 1_000_000,
  recordBytes: 1024,
  batchRecords: 1,
  seconds: 3,
  bytesMax: 1.5e9,
  ratePerSecond: 1000,
  directory: '.',
  topics: 0,
  groups: 10,
  idleConnections: 0,
  isBare: false,
  configs: {},
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export interface Result {
  readonly [name: string]: number
}

export function summary(
  latenciesMs: number[],
  seconds: number,
  requestBytes: number,
  records: number,
): Result {
  const sorted = latenciesMs.sort((a, b) => a - b)
  const count = sorted.length
  return {
    requests: count,
    seconds,
    bytes: count * requestBytes,
    requestsPerSecond: count / seconds,
    mbPerSecond: (count * requestBytes) / 1e6 / seconds,
    recordsPerSecond: (count * records) / seconds,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    p999Ms: quantile(sorted, 0.999),
  }
}

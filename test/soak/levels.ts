/**
 * What must stay level while a broker works: its memory, its open files, and how long an acknowledgement
 * takes. Sampled once a second, told per minute, judged by the first third against the last.
 */
import type { BrokerProcess } from './broker-process.ts'
import type { Latency } from './ledger.ts'

interface Sample {
  readonly ms: number
  readonly memoryMb: number
  readonly files: number
}

interface Minute {
  readonly minute: number
  readonly memoryMb: number
  readonly files: number
  readonly acknowledgedPerSecond: number
  readonly p50: number
  readonly p99: number
}

/**
 * A level may drift by this factor and this much before it counts as rising: the machine does other
 * things as well, and topics and connections that come and go hold some dozen files.
 */
const driftMax = {
  memoryMb: { factor: 1.25, slack: 20 },
  files: { factor: 1.25, slack: 60 },
  p50: { factor: 1.5, slack: 10 },
} as const

function median(values: readonly number[]): number {
  const ordered = values.toSorted((a, b) => a - b)
  return ordered[Math.floor(ordered.length / 2)] ?? Number.NaN
}

export class Levels {
  readonly #samples: Sample[] = []
  readonly #latencies: Latency[] = []
  readonly #startMs = Date.now()
  #timer: NodeJS.Timeout | undefined

  begin(broker: BrokerProcess): void {
    this.#timer = setInterval(() => {
      const sample = broker.sample()
      if (sample !== undefined) this.#samples.push({ ms: Date.now(), ...sample })
    }, 1000)
  }

  end(): void {
    clearInterval(this.#timer)
  }

  addLatencies(latencies: readonly Latency[]): void {
    for (const latency of latencies) this.#latencies.push(latency)
  }

  /** Highest memory and most files of each minute; latencies are medians of the clients' seconds. */
  minutes(): Minute[] {
    const minuteOf = (ms: number) => Math.floor((ms - this.#startMs) / 60_000)
    const rows: Minute[] = []
    for (let minute = 0; minute <= minuteOf(Date.now()); minute++) {
      const samples = this.#samples.filter(({ ms }) => minuteOf(ms) === minute)
      const told = this.#latencies.filter(({ second }) => minuteOf(second * 1000) === minute)
      if (samples.length === 0) continue
      rows.push({
        minute,
        memoryMb: Math.max(...samples.map(({ memoryMb }) => memoryMb)),
        files: Math.max(...samples.map(({ files }) => files)),
        acknowledgedPerSecond: told.reduce((sum, { count }) => sum + count, 0) / 60,
        p50: median(told.map(({ p50 }) => p50)),
        p99: median(told.map(({ p99 }) => p99)),
      })
    }
    return rows
  }

  /** A line per level: medians of the first and the last third of the minutes, and whether it stayed. */
  verdicts(): { text: string; isLevel: boolean }[] {
    const rows = this.minutes().filter(({ p50 }) => !Number.isNaN(p50))
    const third = Math.floor(rows.length / 3)
    if (third === 0) return []
    return (['memoryMb', 'files', 'p50'] as const).map((name) => {
      const first = median(rows.slice(0, third).map((row) => row[name]))
      const last = median(rows.slice(-third).map((row) => row[name]))
      const { factor, slack } = driftMax[name]
      const isLevel = last <= first * factor + slack
      const figures = `${first.toFixed(1)} -> ${last.toFixed(1)}`
      return { text: `${name}: ${figures} ${isLevel ? 'level' : 'RISES'}`, isLevel }
    })
  }
}

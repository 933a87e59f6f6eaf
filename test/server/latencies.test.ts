/** Latencies by quantile, against the sorted values themselves. */
import t from 'tap'
import { Latencies } from '../../src/server/latencies.ts'

/** A sequence that is the same in every run. */
function* drawn(): Generator<number, never> {
  let state = 12_345
  for (;;) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    yield state / 2 ** 32
  }
}

t.test('quantiles are within a sixteenth of the true ones', async (t) => {
  const random = drawn()
  const latencies = new Latencies()
  const values = Array.from({ length: 20_000 }, () => Math.exp(random.next().value * 16 - 5))
  for (const value of values) latencies.record(value, 1000)
  const sorted = [...values].sort((a, b) => a - b)
  const parts = [0.01, 0.5, 0.75, 0.95, 0.99, 0.999, 1]
  for (const [at, found] of latencies.quantiles(parts, 1001).entries()) {
    const part = parts[at] as number
    const real = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] as number
    t.ok(Math.abs(found - real) <= real / 16 + 0.001, `${part}: ${found} for ${real}`)
  }
  t.equal(latencies.count, values.length)
  t.ok(Math.abs(latencies.sumMs - values.reduce((sum, value) => sum + value, 0)) < 1)
})

t.test('what is older than two minutes counts no more, except in the sums', async (t) => {
  const latencies = new Latencies()
  latencies.record(100, 0)
  const median = (nowMs: number) => latencies.quantiles([0.5], nowMs)[0] as number
  t.ok(Math.abs(median(1) - 100) < 7)
  latencies.record(1, 61_000)
  latencies.record(1, 61_001)
  t.ok(Math.abs((latencies.quantiles([1], 61_002)[0] as number) - 100) < 7, 'of the minute before')
  t.ok(Math.abs((latencies.quantiles([1], 121_500)[0] as number) - 1) < 0.1, 'it is gone')
  t.ok(Number.isNaN(median(500_000)), 'nothing for minutes')
  t.equal(latencies.count, 3)
  t.equal(latencies.sumMs, 102)
})

t.test('what no clock should say is counted all the same', async (t) => {
  const latencies = new Latencies()
  for (const value of [-5, 0, 1e15, Number.MAX_VALUE]) latencies.record(value, 10)
  t.equal(latencies.count, 4)
  const [least, most] = latencies.quantiles([0.25, 1], 11)
  t.ok((least as number) < 0.001)
  t.ok((most as number) > 2_000_000)
})

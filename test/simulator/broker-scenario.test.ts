/** A broker with two clients in one thread: the same seed twice, and a few seeds through every fault. */
import t from 'tap'
import { type Fault, runScenario } from './broker-scenario.ts'

t.test('the same seed gives the same events, another seed others', async (t) => {
  for (const fault of ['none', 'kill', 'power loss'] as const) {
    const first = await runScenario(1, { fault })
    const second = await runScenario(1, { fault })
    t.same(second, first, fault)
    t.not((await runScenario(2, { fault })).hash, first.hash)
  }
})

t.test('nothing acknowledged is lost, whatever happens in the middle', async (t) => {
  const seen = new Set<Fault>()
  for (let seed = 100; seed < 112; seed++) {
    const { fault, acknowledged, read } = await runScenario(seed)
    seen.add(fault)
    t.equal(acknowledged, 200)
    t.ok(read >= acknowledged)
  }
  t.equal(seen.size, 3)
})

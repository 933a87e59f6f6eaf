/** The whole scenario: seeds that found something before, some others, and that runs repeat. */
import t from 'tap'
import { runScenario } from './broker-scenario.ts'
import { keptSeeds } from './kept-seeds.ts'

t.setTimeout(180_000)

t.test('the same seed gives the same events, another seed others', async (t) => {
  const hashes = new Set<string>()
  for (const seed of [1, 2]) {
    const first = await runScenario(seed)
    t.same(await runScenario(seed), first)
    hashes.add(first.hash)
  }
  t.equal(hashes.size, 2)
})

t.test('what was found before', async (t) => {
  for (const [seed, found] of keptSeeds) await t.resolves(runScenario(seed), `${seed}: ${found}`)
})

t.test('nothing acknowledged is lost, whatever happens', async (t) => {
  for (let seed = 500; seed < 512; seed++) await t.resolves(runScenario(seed), `seed ${seed}`)
})

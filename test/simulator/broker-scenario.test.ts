/** The whole scenario: seeds that found something before, some others, and that runs repeat. */
import t from 'tap'
import { runScenario } from './broker-scenario.ts'
import { keptSeeds } from './kept-seeds.ts'

t.setTimeout(180_000)

const seedsRepeated = 2

t.test('what was found before, and the same seed gives the same events again', async (t) => {
  const hashes = new Set<string>()
  for (const [seed, found] of keptSeeds) {
    const first = await runScenario(seed).catch((error: Error) => error)
    t.notOk(first instanceof Error && first.message, `${seed}: ${found}`)
    if (hashes.size === seedsRepeated || first instanceof Error) continue
    t.same(await runScenario(seed), first)
    hashes.add(first.hash)
  }
  t.equal(hashes.size, seedsRepeated)
})

t.test('nothing acknowledged is lost, whatever happens', async (t) => {
  for (let seed = 500; seed < 512; seed++) await t.resolves(runScenario(seed), `seed ${seed}`)
})

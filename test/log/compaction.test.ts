/** What compaction leaves of a log. */
import t from 'tap'
import { Story } from './compaction-story.ts'

t.test('what is left is what the rules say, for many histories', async (t) => {
  for (let seed = 1; seed <= 36; seed++) {
    const story = new Story(seed, {}, seed % 2 === 0 ? 4000 : 0)
    // In some histories the keys fit into the map a few at a time.
    if (seed % 3 === 0) story.compaction = { ...story.compaction, dedupeBufferSize: 24 * 9 }
    let cleanings = 0
    for (let round = 0; round < 6; round++) {
      await story.write(story.random.between(5, 40))
      if (story.random.chance(0.5)) await story.settle()
      const view = story.oracle.view()
      for (let pass = 0; pass < 20 && (await story.compact()); pass++) cleanings++
      t.strictSame(await story.stored(), story.expected, `seed ${seed}, round ${round}`)
      t.strictSame(story.oracle.view(), view, 'and means the same to a reader')
      t.strictSame([...story.compactor.uncleanable.values()], [], 'and nothing is in the way')
      t.strictSame(story.fixture.files().filter(isTemporary), [])
      t.strictSame(misjudged(story), [], 'readers of committed records are told what to leave out')
      await story.fixture.world.runFor(story.random.between(0, 1500))
      await goOn(story)
    }
    t.ok(cleanings > 0)
    const lines = story.fixture.lines.filter((line) => /warn|error/.test(line))
    t.strictSame(lines, [], `seed ${seed} meets nothing strange`)
  }
})

/** Batches of which the transaction indexes say something else than their markers. */
function misjudged({ log, oracle }: Story): number[] {
  const aborted = log.reader.abortedTransactions(0, log.lastStableOffset)
  const wrong = oracle.batches.filter((batch) => {
    if (!batch.isTransactional || batch.records.length === 0 || batch.marker !== null) return false
    if (batch.lastOffset >= log.lastStableOffset) return false
    const outcome = oracle.outcome(batch)
    const isListed = aborted.some(
      ({ producerId, firstOffset, lastOffset }) =>
        producerId === batch.producerId &&
        firstOffset <= batch.baseOffset &&
        lastOffset > batch.lastOffset,
    )
    return outcome !== null && isListed !== (outcome === 'abort')
  })
  return wrong.map(({ baseOffset }) => baseOffset)
}

const isTemporary = (name: string) => /\.(cleaned|swap)$/.test(name)

/** In the same process, after a clean shutdown, or after a crash. */
async function goOn(story: Story): Promise<void> {
  const how = story.random.between(0, 3)
  if (how === 0) await story.fixture.restart()
  else if (how === 1) story.fixture.kill()
  else return
  story.begin()
}

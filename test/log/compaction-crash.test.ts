/** Compaction that dies: at every operation of the disk, with and without the power. */
import t, { type Test } from 'tap'
import { Story } from './compaction-story.ts'

/** A history with all there is in it, of which a part was compacted before. */
async function written(seed: number): Promise<Story> {
  const story = new Story(seed, { segmentBytes: 1200 })
  for (let round = 0; round < 2; round++) {
    await story.write(18)
    await story.settle()
    if (round === 0) await story.compact()
  }
  await story.fixture.world.runFor(1500)
  await story.write(3)
  await story.fixture.world.run(story.log.flush())
  await story.fixture.world.run(story.fixture.directory.logs.checkpoint())
  return story
}

/** To die before one that reads is to die after the one before. */
const reading = new Set(['read', 'stat', 'list'])

/** Starts to compact; at operation `at` of the disk the process ends. False: there are not so many. */
async function dieCompacting(story: Story, at: number, how: 'kill' | 'crash'): Promise<boolean> {
  const { fixture } = story
  let operations = 0
  const { disk } = fixture
  disk.fault = (operation) => {
    if (reading.has(operation) || ++operations !== at) return undefined
    disk.fault = undefined
    fixture.world[how](fixture.process)
    return 'ESTALE'
  }
  void story.compactor.compactOne()
  await fixture.world.runFor(2_000)
  disk.fault = undefined
  return operations >= at
}

/** What must hold of the log whichever operation was the last: nothing is lost, nothing comes back. */
async function check(t: Test, story: Story, what: string): Promise<void> {
  const { fixture, oracle, log } = story
  const known = new Map(
    oracle.batches.flatMap(({ records }) => records.map((one) => [one.offset, one])),
  )
  const stored = await story.stored()
  const records = stored.flatMap((batch) => batch.records)
  t.strictSame(
    records,
    records.map(({ offset }) => known.get(offset)),
    `${what}: as written`,
  )
  const view = oracle.view()
  const before = oracle.batches
  // Transactions whose marker is gone have no data left, so the rest tells all outcomes.
  oracle.batches = stored
  t.strictSame(oracle.view(), view, `${what}: a reader learns the same`)
  oracle.batches = before
  const strange = [
    ...fixture.files().filter((name) => /cleaned|swap/.test(name)),
    ...fixture.lines.filter((line) => line.includes('error')),
  ]
  t.strictSame(strange, [], what)
  t.equal(log.logEndOffset, (before.at(-1)?.lastOffset ?? -1) + 1, what)
}

t.setTimeout(170_000)

t.test('whatever operation is the last one, the log says what it said', async (t) => {
  for (const how of ['kill', 'crash'] as const) {
    let at = 1
    for (; ; at++) {
      const story = await written(7)
      if (!(await dieCompacting(story, at, how))) break
      story.fixture.revive()
      story.begin()
      await check(t, story, `${how} at ${at}`)
      for (const sender of story.senders) await story.send(sender)
      await story.settle()
      for (let pass = 0; pass < 3; pass++)
        await story.fixture.world.run(story.compactor.compactOne())
      await check(t, story, `${how} at ${at}, compacted again`)
    }
    t.ok(at > 40, `${at - 1} operations`)
  }
})

t.test('and what died while it was put in order is put in order the next time', async (t) => {
  for (let seed = 1; seed <= 24; seed++) {
    const story = await written(seed)
    const how = seed % 2 === 0 ? 'kill' : 'crash'
    await dieCompacting(story, story.random.between(5, 60), how)
    const { fixture } = story
    for (let death = 0; death < 3; death++) {
      if (fixture.process.isAlive) fixture.world[how](fixture.process)
      const disk = fixture.world.disk('broker')
      let left = story.random.between(1, 25)
      disk.fault = (operation) => {
        if (reading.has(operation) || --left > 0) return undefined
        disk.fault = undefined
        fixture.world[how](fixture.process)
        return 'ESTALE'
      }
      try {
        fixture.revive()
      } catch {
        t.notOk(fixture.process.isAlive, 'it died')
      }
      disk.fault = undefined
    }
    if (!fixture.process.isAlive) fixture.revive()
    story.begin()
    await check(t, story, `seed ${seed}`)
  }
})

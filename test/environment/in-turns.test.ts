/** Long work beside other work, on the real event loop and in a simulated world where no time passes. */
import t from 'tap'
import {
  allInTurns,
  atOnce,
  distinctInSteps,
  inTurns,
  mapInSteps,
  mapSteps,
  NobodyWaits,
  type Steps,
  sortInSteps,
} from '../../src/environment/in-turns.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { SeededRandom } from '../simulator/random.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'

const environment = createNodeEnvironment({ log: { level: 'silent' } })

/** Steps of about a fifth of a millisecond each. */
function* slow(steps: number, onStep: () => void = () => undefined): Steps<number> {
  for (let step = 0; step < steps; step++) {
    const endMs = performance.now() + 0.2
    while (performance.now() < endMs);
    onStep()
    yield
  }
  return steps
}

t.test('what takes little is done at once', async (t) => {
  const doubled = inTurns(
    environment,
    mapInSteps([1, 2, 3], (value) => value * 2),
  )
  t.same(doubled, [2, 4, 6])
})

t.test('what takes long leaves room, and lines up with its like', async (t) => {
  const seen: string[] = []
  let turns = 0
  const count = () => {
    turns++
    if (seen.length < 200) setImmediate(count)
  }
  setImmediate(count)
  const works = ['a', 'b'].map((name) =>
    inTurns(
      environment,
      slow(100, () => seen.push(name)),
    ),
  )
  t.same(await Promise.all(works), [100, 100])
  t.ok(turns >= 20, `${turns} turns`)
  const changes = seen.filter((name, at) => name !== seen[at - 1]).length
  t.ok(changes >= 10, 'neither waits for the other to end')
})

t.test('names are told apart and sorted a few at a time', async (t) => {
  const random = new SeededRandom(5)
  for (const count of [0, 1, 255, 257, 5000]) {
    const names = Array.from({ length: count }, () => `n${random.between(0, 3000)}`)
    const distinct = [...atOnce(distinctInSteps(names))]
    t.same(distinct, [...new Set(names)])
    let steps = 0
    const sorting = sortInSteps(distinct)
    let step = sorting.next()
    for (; step.done !== true; step = sorting.next()) steps++
    t.same(step.value, [...distinct].sort())
    t.ok(steps >= distinct.length / 256)
  }
})

t.test('nothing is done for who has gone, and errors come out', async (t) => {
  let steps = 0
  const given = inTurns(
    environment,
    slow(1000, () => steps++),
    () => steps < 20,
  )
  await t.rejects(Promise.resolve(given), NobodyWaits)
  t.ok(steps < 100)
  const failing = function* (): Steps<void> {
    yield* slow(20)
    throw new RangeError('here')
  }
  await t.rejects(Promise.resolve(inTurns(environment, failing())), RangeError)
})

t.test('items that have to be waited for keep their order', async (t) => {
  const items = Array.from({ length: 1000 }, (_, index) => index)
  let [under, most] = [0, 0]
  const make = async (item: number) => {
    most = Math.max(most, ++under)
    await Promise.resolve()
    under--
    return item + 1
  }
  const wanted = items.map((item) => item + 1)
  t.same(await allInTurns(environment, items, make, { atOnce: 7 }), wanted)
  t.equal(most, 7)
  t.same(await allInTurns(environment, items, (item) => item + 1), wanted)
  await t.rejects(
    allInTurns(environment, items, make, { isWaiting: () => false, atOnce: 1 }),
    NobodyWaits,
  )
})

t.test('it takes turns in a world without time, the same each time', async (t) => {
  const run = async () => {
    const world = new SimulatedWorld(1)
    const { environment } = world.start('node')
    const nested = mapSteps(Array(30).fill(0), () => mapInSteps(Array(1000).fill(1), (one) => one))
    let isDone = false
    const work = Promise.resolve(inTurns(environment, nested)).then((made) => {
      isDone = true
      return made.flat().length
    })
    t.notOk(isDone)
    await world.run(
      work.then(() => undefined),
      1000,
    )
    t.equal(await work, 30_000)
    return world.hash()
  }
  t.equal(await run(), await run())
})

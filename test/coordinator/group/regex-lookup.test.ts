/**
 * Regular expressions of consumer groups are looked up in turns with everything else. In these stories no
 * turn that was asked for comes before it is let: what happens in between can be told.
 */
import t from 'tap'
import { errors, KafkaError } from '../../../protocol/errors.ts'
import { readBatch } from '../../../protocol/records/record.ts'
import { decodeGroupRecord } from '../../../src/coordinator/group/records.ts'
import { describe, StoryConsumer, settle } from './consumer-story.ts'
import { GroupStory } from './group-story.ts'

/** More than are gone through in one turn. */
const manyTopics = 2500

class LookupStory extends GroupStory {
  /** Turns that were asked for. */
  readonly turns: (() => void)[] = []
  /** Topics that were looked at. */
  lookedAt = 0

  constructor(topics: Iterable<string>) {
    super()
    for (const name of topics) this.topics.create(name, 1)
    this.environment.timers.lineUp = (callback) => void this.turns.push(callback)
    const names = this.topics.names.bind(this.topics)
    this.topics.names = () => this.#counted(names())
  }

  *#counted(names: Iterable<string>) {
    for (const name of names) {
      this.lookedAt++
      yield name
    }
  }

  consumer(memberId: string, regex: string): StoryConsumer {
    return new StoryConsumer(this, memberId, { topics: null, regex })
  }

  /** One turn; how many topics were looked at in it. */
  async turn(): Promise<number> {
    const before = this.lookedAt
    this.turns.shift()?.()
    await this.pass(1)
    return this.lookedAt - before
  }

  /** All turns, as long as more are asked for; the topics of each. */
  async allTurns(): Promise<number[]> {
    const looks: number[] = []
    while (this.turns.length > 0) looks.push(await this.turn())
    return looks
  }

  /** What expressions were said to stand for, in the order in which that was recorded. */
  recorded(): [regex: string, topics: readonly string[] | null][] {
    return this.log.batches
      .flatMap((bytes) => [...readBatch(bytes).records])
      .flatMap(({ key, value }) => {
        const record = decodeGroupRecord(key as Buffer, value)
        if (record?.kind !== 'ConsumerGroupRegularExpression') return []
        return [[record.key.regularExpression, record.value?.topics ?? null]]
      })
  }
}

function* names(prefix: string, count: number) {
  for (let index = 0; index < count; index++) yield `${prefix}${index}`
}

t.test('no turn has more than its slice, and others have theirs in between', async (t) => {
  const story = new LookupStory([...names('other-', manyTopics), 't'])
  const a = story.consumer('a', 't')
  t.match(await a.join(), { errorCode: 0, memberEpoch: 1 })
  const first = story.lookedAt
  await a.beat()
  const b = story.consumer('b', 't|other-1')
  t.match(await b.join(), { errorCode: 0 }, 'others are answered meanwhile')
  t.same([story.turns.length, story.lookedAt, a.owned], [1, first, {}], 'there is one lookup')
  const looks = [first, ...(await story.allTurns())]
  t.ok(Math.max(...looks) <= 1000, `${looks} topics a turn`)
  t.equal(
    looks.reduce((sum, count) => sum + count),
    manyTopics + 1,
  )
  t.same(story.recorded(), [['t', ['t']]], 'of that member with whose heartbeat it began')
  t.match(await describe(story), { groupEpoch: 2 })
  await settle([a, b])
  t.same([a.owned, b.owned], [{ t: [0] }, {}])
  await story.pass(10_001)
  await a.beat()
  await story.allTurns()
  await settle([a, b])
  t.same([a.size, b.owned['other-1']], [1, [0]], 'the other one ten seconds later')
})

t.test('fewer topics are a slice where an expression is of many steps', async (t) => {
  const story = new LookupStory(names('a'.repeat(240), 10))
  const a = story.consumer('a', '(.*a?){200}')
  await a.join()
  const looks = [story.lookedAt, ...(await story.allTurns())]
  t.ok(Math.max(...looks) <= 5, `${looks} topics a turn`)
  t.equal(story.lookedAt, 10)
  t.same(story.recorded(), [['(.*a?){200}', [...story.topics.names()]]])
})

t.test('a group that changed meanwhile gets only what it still wants', async (t) => {
  const story = new LookupStory([...names('other-', manyTopics), 't', 'u'])
  const a = story.consumer('a', 't')
  const b = new StoryConsumer(story, 'b', { topics: ['u'] })
  await a.join()
  await b.join()
  await a.beat({ subscribedTopicRegex: 'u' })
  await story.allTurns()
  t.same(story.recorded(), [['t', null]], 'nobody wants it any more')
  await a.beat()
  await story.allTurns()
  await settle([a, b])
  t.same([story.recorded().at(-1), a.size + b.size], [['u', ['u']], 1])
  await story.pass(10_001)
  await a.beat({ subscribedTopicRegex: 'o.*-3' })
  t.equal(story.turns.length, 1)
  t.equal(await a.leave(), 'NONE')
  const looked = story.lookedAt
  await story.allTurns()
  t.equal(story.lookedAt, looked, 'nobody has an expression: it goes no further')
  t.same(story.recorded().at(-1), ['o.*-3', null], 'only that it is gone')
  await a.join()
  await story.allTurns()
  await settle([a, b])
  t.same(a.owned, { t: [0] }, 'and begins anew for who comes next')
})

t.test('a shard that is given up looks nothing up, and records nothing', async (t) => {
  const story = new LookupStory([...names('other-', manyTopics), 't'])
  const a = story.consumer('a', 't')
  await a.join()
  t.equal(story.turns.length, 1)
  story.groups.onResignation(0)
  const [looked, batches] = [story.lookedAt, story.log.batches.length]
  await story.allTurns()
  t.same([story.lookedAt, story.log.batches.length], [looked, batches])
  let isElected = false
  const elected = story.groups.onElection(0, 2, story.log).then(() => {
    isElected = true
  })
  while (!isElected) await story.turn()
  await elected
  await a.beat()
  await story.allTurns()
  await settle([a])
  t.same(a.owned, { t: [0] }, 'the next one looks it up')
})

t.test('what the log refuses is looked up anew', async (t) => {
  const story = new LookupStory([...names('other-', manyTopics), 't'])
  const a = story.consumer('a', 't')
  await a.join()
  story.log.failure = new KafkaError(errors.NOT_ENOUGH_REPLICAS)
  await story.allTurns()
  story.log.failure = null
  t.same(story.recorded(), [])
  t.match(await describe(story), { groupEpoch: 1 })
  await a.beat()
  await story.allTurns()
  await settle([a])
  t.same(a.owned, { t: [0] })
})

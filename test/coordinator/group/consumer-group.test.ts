/** Stories of consumer groups (KIP-848); after each, the log tells a new coordinator the same. */
import t, { type Test } from 'tap'
import { errors, KafkaError } from '../../../protocol/errors.ts'
import { randomFrom } from '../../protocol/generated-values.ts'
import { describe, nameOf, StoryConsumer, settle } from './consumer-story.ts'
import { GroupStory } from './group-story.ts'

async function replay(t: Test, story: GroupStory, groupId = 'g'): Promise<void> {
  const other = await story.restarted()
  const live = await describe(story, story.groups, groupId)
  t.same(await describe(story, other, groupId), live, 'the log tells the same')
  other.close()
}

function storyWith(topics: Record<string, number>): GroupStory {
  const story = new GroupStory()
  for (const [name, count] of Object.entries(topics)) story.topics.create(name, count)
  return story
}

t.test('members come, share, and go', async (t) => {
  const story = storyWith({ t: 6 })
  const a = new StoryConsumer(story, 'a')
  const b = new StoryConsumer(story, 'b')
  const c = new StoryConsumer(story, 'c')
  const joined = await a.join()
  t.match(joined, { errorCode: 0, memberEpoch: 2, heartbeatIntervalMs: 5000 })
  t.same(a.owned, { t: [0, 1, 2, 3, 4, 5] }, 'the first has it all, at once')
  t.match(await describe(story), { groupState: 'Stable', groupEpoch: 2, assignmentEpoch: 2 })
  await b.join()
  t.same(b.owned, {}, 'a holds everything still')
  t.match(await describe(story), { groupState: 'Reconciling', groupEpoch: 3 })
  await a.beat()
  t.same(a.epoch, 2, 'it stays in its epoch until it gave up what it lost')
  t.equal(a.size, 3)
  await b.beat()
  t.same(b.owned, {}, 'a has not said yet that it let go')
  await a.beat()
  t.equal(a.epoch, 3)
  await b.beat()
  t.equal(b.size, 3)
  await replay(t, story)
  await c.join()
  await settle([a, b, c])
  t.same([a.size, b.size, c.size], [2, 2, 2])
  t.equal((await describe(story)).groupState, 'Stable')
  t.equal(await b.leave(), 'NONE')
  await settle([a, c])
  t.same([a.size, c.size], [3, 3])
  await replay(t, story)
  await a.leave()
  await c.leave()
  t.equal((await describe(story)).groupState, 'Empty')
  await replay(t, story)
})

t.test('regular expressions stand for topics, now and later', async (t) => {
  const story = storyWith({ 'a-1': 2, 'a-2': 1, b: 1, 'secret-a-1': 1 })
  const regex = new StoryConsumer(story, 'r', { topics: null, regex: '.*a-\\d' })
  const named = new StoryConsumer(story, 'n', { topics: ['b', 'a-1'] })
  t.match(await regex.join(), { errorCode: 0, memberEpoch: 1, assignment: { topicPartitions: [] } })
  await regex.beat()
  t.same(regex.owned, { 'a-1': [0, 1], 'a-2': [0] }, 'what it may not know of is not in it')
  await named.join()
  await settle([regex, named])
  t.same(named.owned.b, [0])
  t.equal(regex.size + named.size, 4)
  await replay(t, story)
  const { members } = await describe(story)
  t.same(
    members.map((member) => [member.memberId, member.subscribedTopicRegex]),
    [
      ['n', ''],
      ['r', '.*a-\\d'],
    ],
  )
  await story.createTopic('a-3', 1)
  await regex.beat()
  t.notOk(regex.owned['a-3'], 'not within ten seconds')
  await story.pass(10_001)
  await settle([regex, named])
  t.same(regex.owned['a-3'], [0])
  await story.deleteTopics('a-3')
  await settle([regex, named])
  t.notOk(regex.owned['a-3'])
  t.equal(await regex.beatError({ subscribedTopicRegex: '(' }), 'INVALID_REGULAR_EXPRESSION')
  await regex.beat({ subscribedTopicRegex: 'b' })
  t.same(regex.owned, {}, 'what it does not want any more goes at once')
  await settle([regex, named])
  t.same([regex.size, named.size], [1, 2], 'the new one is looked up by the next heartbeat')
  t.equal(nameOf((await regex.beat({ subscribedTopicRegex: '' })).errorCode), 'NONE')
  await settle([regex, named])
  t.same([regex.owned, named.size], [{}, 3])
  await replay(t, story)
  await regex.leave()
  await named.leave()
  const { groups } = await story.now(story.groups.listGroups({ statesFilter: [], typesFilter: [] }))
  t.match(groups, [{ groupState: 'Empty', groupType: 'consumer', protocolType: 'consumer' }])
})

t.test('epochs: who is behind, ahead, or repeats itself', async (t) => {
  const story = storyWith({ t: 4 })
  const a = new StoryConsumer(story, 'a')
  const b = new StoryConsumer(story, 'b')
  t.equal(await a.beatError({ memberEpoch: 3 }), 'GROUP_ID_NOT_FOUND')
  await a.join()
  t.equal(await b.beatError({ memberEpoch: 3 }), 'UNKNOWN_MEMBER_ID')
  t.equal(await a.beatError({ memberEpoch: 3 }), 'FENCED_MEMBER_EPOCH')
  t.equal(await a.beatError({ memberEpoch: 1 }), 'FENCED_MEMBER_EPOCH')
  await b.join()
  await settle([a, b])
  const before = { memberEpoch: a.epoch - 1, topicPartitions: [] }
  t.match(await a.beat(before), { errorCode: 0, memberEpoch: 3 }, 'the answer may have been lost')
  const owned = [{ topicId: story.topics.idOf('t'), partitions: [0, 1, 2, 3] }]
  t.equal(await a.beatError({ ...before, topicPartitions: owned }), 'FENCED_MEMBER_EPOCH')
  t.equal(await a.beatError({ ...before, topicPartitions: null }), 'FENCED_MEMBER_EPOCH')
  t.match(await a.join(), { errorCode: 0, memberEpoch: 3 }, 'to start over is always allowed')
  await replay(t, story)
})

t.test('requests that make no sense', async (t) => {
  const story = storyWith({ t: 1 })
  const a = new StoryConsumer(story, 'a')
  const cases: [overrides: Parameters<StoryConsumer['join']>[0], error: string][] = [
    [{ groupId: '' }, 'INVALID_REQUEST'],
    [{ memberId: '' }, 'INVALID_REQUEST'],
    [{ instanceId: ' ' }, 'INVALID_REQUEST'],
    [{ rackId: '' }, 'INVALID_REQUEST'],
    [{ rebalanceTimeoutMs: -1 }, 'INVALID_REQUEST'],
    [{ topicPartitions: null }, 'INVALID_REQUEST'],
    [
      { topicPartitions: [{ topicId: story.topics.idOf('t'), partitions: [0] }] },
      'INVALID_REQUEST',
    ],
    [{ subscribedTopicNames: null }, 'INVALID_REQUEST'],
    [{ memberEpoch: -2 }, 'INVALID_REQUEST'],
    [{ memberEpoch: -3 }, 'INVALID_REQUEST'],
    [{ serverAssignor: 'sticky' }, 'UNSUPPORTED_ASSIGNOR'],
    [{ memberEpoch: -1 }, 'GROUP_ID_NOT_FOUND'],
    [{ serverAssignor: 'range' }, 'NONE'],
  ]
  for (const [overrides, error] of cases) {
    t.equal(nameOf((await a.join(overrides)).errorCode), error, JSON.stringify(overrides))
  }
  t.equal((await describe(story)).assignorName, 'range')
  story.config.groupConsumerMaxSize = 1
  const b = new StoryConsumer(story, 'b')
  t.equal(nameOf((await b.join()).errorCode), 'GROUP_MAX_SIZE_REACHED')
  t.equal(await a.beatError(), 'NONE', 'who is in it stays')
})

t.test('sessions and rebalances have their time', async (t) => {
  const story = storyWith({ t: 4 })
  const a = new StoryConsumer(story, 'a', { rebalanceTimeoutMs: 20_000 })
  const b = new StoryConsumer(story, 'b')
  await a.join()
  await b.join()
  await settle([a, b])
  for (let beat = 0; beat < 5; beat++) {
    await story.pass(10_000)
    await a.beat()
  }
  t.same(
    (await describe(story)).members.map(({ memberId }) => memberId),
    ['a'],
    'b is out',
  )
  await settle([a])
  t.equal(a.size, 4)
  await b.join()
  await a.beat({}, true)
  t.equal((await describe(story)).members[0]?.targetAssignment.topicPartitions.length, 1)
  for (let beat = 0; beat < 3; beat++) {
    await story.pass(6000)
    t.equal(await a.beatError(), 'NONE')
    await b.beat()
  }
  a.owned = { t: [0, 1, 2, 3] }
  await a.beat({}, true)
  await story.pass(6000)
  t.equal(await a.beatError(), 'UNKNOWN_MEMBER_ID', 'it kept what it was to give up')
  await settle([b])
  t.equal(b.size, 4)
  await replay(t, story)
})

t.test('a clock that is set back holds up nobody', async (t) => {
  const story = new GroupStory()
  story.settings['consumer.assignment.interval.ms'] = 1000
  const a = new StoryConsumer(story, 'a')
  const b = new StoryConsumer(story, 'b')
  await story.createTopic('t', 4)
  await a.join()
  await b.join()
  t.equal(a.size, 4, 'the second target is not due yet')
  await story.pass(1000)
  await a.beat()
  await a.beat()
  await b.beat()
  t.strictSame([a.size, b.size], [2, 2])
  story.setClock(-36_000_000)
  await b.leave()
  await a.beat()
  t.equal(a.size, 4)
})

t.test('static members leave for a while, and come back to what they had', async (t) => {
  const story = storyWith({ t: 4 })
  const a = new StoryConsumer(story, 'a', { instanceId: 'i' })
  const b = new StoryConsumer(story, 'b')
  await a.join()
  await b.join()
  await settle([a, b])
  const had = a.owned
  const { groupEpoch } = await describe(story)
  const thief = new StoryConsumer(story, 'thief', { instanceId: 'i' })
  t.equal(nameOf((await thief.join()).errorCode), 'UNRELEASED_INSTANCE_ID')
  t.equal(await thief.beatError({ memberEpoch: 3 }), 'FENCED_INSTANCE_ID')
  t.match(await a.beat({ memberEpoch: -2 }), { errorCode: 0, memberEpoch: -2 })
  await replay(t, story)
  const back = new StoryConsumer(story, 'a2', { instanceId: 'i' })
  t.match(await back.join(), { errorCode: 0, memberEpoch: groupEpoch })
  t.same(back.owned, had)
  t.match(await describe(story), { groupState: 'Stable', groupEpoch }, 'nobody else noticed')
  t.equal(await a.beatError({ memberEpoch: groupEpoch }), 'FENCED_INSTANCE_ID')
  await replay(t, story)
  await back.beat({ memberEpoch: -2 })
  for (let beat = 0; beat < 5; beat++) {
    await story.pass(10_000)
    await b.beat()
  }
  t.equal((await describe(story)).members.length, 1, 'a session does not last for ever')
  t.equal(await back.beatError({ memberEpoch: 3 }), 'UNKNOWN_MEMBER_ID')
})

t.test('a member changes its mind', async (t) => {
  const story = storyWith({ t: 2, u: 2 })
  const a = new StoryConsumer(story, 'a')
  const b = new StoryConsumer(story, 'b')
  await a.join()
  await b.join()
  await settle([a, b])
  await a.beat({ subscribedTopicNames: ['u', 'missing', 'u'] })
  t.same(a.owned, {}, 't goes at once, u comes when it said so')
  await settle([a, b])
  t.same([a.owned, b.owned], [{ u: [0, 1] }, { t: [0, 1] }])
  await story.createTopic('missing', 3)
  await settle([a, b])
  t.equal(a.size, 5, 'a topic that it wanted all along')
  await story.createTopic('u', 4)
  await settle([a, b])
  t.equal(a.size, 7, 'more partitions')
  await story.deleteTopics('missing')
  await settle([a, b])
  t.same(a.owned, { u: [0, 1, 2, 3] })
  await replay(t, story)
})

t.test('offsets are committed and fetched by member epoch', async (t) => {
  const story = storyWith({ t: 4 })
  const a = new StoryConsumer(story, 'a')
  const b = new StoryConsumer(story, 'b')
  const commit = async (said: object, version = 9) => nameOf(await story.commitError(said, version))
  const as = (memberId: string, generationIdOrMemberEpoch: number, partition = 0) => ({
    memberId,
    generationIdOrMemberEpoch,
    partition,
  })
  t.equal(await commit(as('a', 2)), 'GROUP_ID_NOT_FOUND')
  t.equal(await commit({}), 'NONE', 'a consumer that assigns its partitions itself')
  await a.join()
  t.equal(await commit({}), 'UNKNOWN_MEMBER_ID')
  t.equal(await commit(as('a', 2)), 'NONE')
  t.equal(await commit(as('a', 2), 8), 'UNSUPPORTED_VERSION')
  t.equal(await commit(as('x', 2)), 'UNKNOWN_MEMBER_ID')
  t.equal(await commit(as('a', 9)), 'STALE_MEMBER_EPOCH')
  await b.join()
  await settle([a, b])
  const kept = a.owned.t?.[0] ?? -1
  const lost = b.owned.t?.[0] ?? -1
  t.equal(await commit(as('a', 2, kept)), 'NONE', 'given out in that epoch, and kept')
  t.equal(await commit(as('a', 2, lost)), 'STALE_MEMBER_EPOCH')
  t.equal(await commit(as('b', 2, lost)), 'STALE_MEMBER_EPOCH', 'before it was given out')
  const fetch = async (memberId: string | null, memberEpoch: number) => {
    const topics = null
    const group = await story.now(
      story.groups.fetchOffsets({ groupId: 'g', memberId, memberEpoch, topics }),
    )
    return nameOf(group.errorCode ?? 0)
  }
  t.same(
    [await fetch('a', 3), await fetch('a', 2), await fetch('x', 3), await fetch(null, -1)],
    ['NONE', 'STALE_MEMBER_EPOCH', 'UNKNOWN_MEMBER_ID', 'NONE'],
  )
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0 }] }]
  const deleted = await story.now(story.groups.deleteOffsets({ groupId: 'g', topics }))
  t.equal(nameOf(deleted.topics[0]?.partitions[0]?.errorCode), 'GROUP_SUBSCRIBED_TO_TOPIC')
  const refused = await story.now(story.groups.deleteGroups(['g']))
  t.equal(nameOf(refused.results[0]?.errorCode), 'NON_EMPTY_GROUP')
  const classic = await story.now(story.groups.describeGroups(['g'], 6))
  t.match(classic.groups[0], {
    errorCode: errors.GROUP_ID_NOT_FOUND.code,
    errorMessage: /is not a consumer group|is not a classic group/,
  })
  await a.leave()
  await b.leave()
  await replay(t, story)
  t.same(
    (await story.now(story.groups.deleteGroups(['g']))).results.map(({ errorCode }) => errorCode),
    [0],
  )
  t.same(await story.offsets(), {})
  t.equal(nameOf((await describe(story)).errorCode), 'GROUP_ID_NOT_FOUND')
})

t.test('a coordinator that starts again goes on where the other ended', async (t) => {
  const story = storyWith({ t: 6 })
  const members = ['a', 'b', 'c'].map((id) => new StoryConsumer(story, id))
  for (const member of members) await member.join()
  await settle(members)
  const before = members.map(({ epoch, owned }) => ({ epoch, owned }))
  const { groupEpoch } = await describe(story)
  const other = await story.restarted()
  for (const member of members) {
    member.moveTo(other)
    t.match(await member.beat(), { errorCode: 0, assignment: null })
  }
  t.same(
    members.map(({ epoch, owned }) => ({ epoch, owned })),
    before,
    'nothing moved',
  )
  t.match(await describe(story, other), { groupState: 'Stable', groupEpoch })
  await story.pass(44_000)
  t.equal((await describe(story, other)).members.length, 3, 'a whole session each')
  await story.pass(2000)
  t.match(await describe(story, other), { groupState: 'Empty' })
  other.close()
})

t.test('what the log refuses has not happened', async (t) => {
  const story = storyWith({ t: 4 })
  const a = new StoryConsumer(story, 'a')
  const b = new StoryConsumer(story, 'b', { topics: null, regex: 't|u' })
  await a.join()
  const before = await describe(story)
  story.log.failure = new KafkaError(errors.NOT_ENOUGH_REPLICAS)
  t.equal(nameOf((await b.join()).errorCode), 'COORDINATOR_NOT_AVAILABLE')
  t.equal(await a.leave(), 'COORDINATOR_NOT_AVAILABLE')
  t.same(await describe(story), before)
  await story.pass(50_000)
  t.same(await describe(story), before, 'its session ran out, and that could not be written')
  story.log.failure = null
  await replay(t, story)
  await story.pass(46_000)
  t.match(await describe(story), { groupState: 'Empty' }, 'it had another one')
  await b.join()
  await b.beat()
  t.equal(b.size, 4)
  await replay(t, story)
})

t.test('random histories: no partition is ever with two, and the log tells the same', async (t) => {
  for (let seed = 1; seed <= 15; seed++) {
    const random = randomFrom(seed)
    const story = storyWith({ t: 5, u: 3 })
    const living = new Map<string, StoryConsumer>()
    for (let step = 0; step < 60; step++) {
      const id = `m${random(5)}`
      const member = living.get(id)
      if (member === undefined) {
        const topics = random(2) === 0 ? ['t', 'u'] : ['t']
        const isRegex = random(4) === 0
        const options = isRegex ? { topics: null, regex: '[tu]' } : { topics }
        const joining = new StoryConsumer(story, id, options)
        if ((await joining.join()).errorCode === 0) living.set(id, joining)
      } else if (random(8) === 0) {
        await member.leave()
        living.delete(id)
      } else if ((await member.beat({}, random(3) === 0)).errorCode !== 0) living.delete(id)
      else if (random(2) === 0) member.owned = member.told
      const owned = [...living.values()].flatMap((each) =>
        Object.entries(each.owned).flatMap(([name, ps]) => ps.map((p) => `${name}${p}`)),
      )
      if (new Set(owned).size !== owned.length) {
        t.fail(`seed ${seed}, step ${step}: ${owned.sort().join()}`)
        return
      }
    }
    for (const member of living.values()) member.owned = member.told
    await settle([...living.values()], 30)
    const total = [...living.values()].reduce((sum, { size }) => sum + size, 0)
    const hasU = [...living.values()].some((each) => 'u' in each.told)
    t.equal(total, living.size === 0 ? 0 : hasU ? 8 : 5, `seed ${seed}: all is given out`)
    await replay(t, story)
  }
})

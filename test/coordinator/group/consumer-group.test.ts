/** Stories of consumer groups (KIP-848); after each, the log tells a new coordinator the same. */
import t, { type Test } from 'tap'
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
  t.match(await regex.join(), { errorCode: 0 })
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

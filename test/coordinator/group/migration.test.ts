/** Groups that move between the classic protocol and that of KIP-848 while they are in use. */
import t from 'tap'
import { errors } from '../../../protocol/errors.ts'
import {
  readAssignment,
  writeAssignment,
} from '../../../src/coordinator/group/classic/consumer-protocol.ts'
import { describe, nameOf, StoryConsumer, settle } from './consumer-story.ts'
import { Asked, GroupStory, type StoryMember, subscription } from './group-story.ts'

type Owned = Record<string, readonly number[]>

/** The parts of a classic group, as its leader gives them out. */
function partsFor(members: readonly StoryMember[], parts: readonly Owned[]) {
  return members.map(({ memberId }, index) => ({
    memberId,
    assignment: writeAssignment(
      subscription(['t']),
      Object.entries(parts[index] ?? {}).map(([topic, partitions]) => ({
        topic,
        partitions: [...partitions],
      })),
    ),
  }))
}

function told(assignment: Buffer): Owned {
  const read = readAssignment(assignment)
  return Object.fromEntries(
    (read?.assignedPartitions ?? []).map(({ topic, partitions }) => [topic, partitions]),
  )
}

/** A stable classic group of two, with three partitions each. */
async function classicPair(story: GroupStory, options: object = {}) {
  const members = [story.member(options), story.member({ ...options, clientId: 'd' })]
  for (const member of members) await member.identify()
  const joins = members.map((member) => member.join())
  await story.pass(50)
  for (const join of joins) t.equal(join.value?.errorCode, 0)
  const parts = partsFor(members, [{ t: [0, 1, 2] }, { t: [3, 4, 5] }])
  const syncs = members.map((member) =>
    member.sync([], member.isLeader ? { assignments: parts } : {}),
  )
  await story.pass(50)
  for (const sync of syncs) t.equal(sync.value?.errorCode, 0)
  const [a, b] = members as [StoryMember, StoryMember]
  return { a, b }
}

/** A classic member does what its heartbeat says: joins again and syncs. Returns what it has now. */
async function follow(story: GroupStory, member: StoryMember, owned: Owned): Promise<Owned> {
  const error = nameOf(await member.beat())
  if (error === 'NONE') return owned
  if (error !== 'REBALANCE_IN_PROGRESS') throw new Error(error)
  return rejoin(story, member, owned)
}

async function rejoin(story: GroupStory, member: StoryMember, owned: Owned): Promise<Owned> {
  const join = member.join({
    protocols: [{ name: 'range', metadata: subscription(member.topics, owned) }],
  })
  await story.pass(20)
  if (join.value?.errorCode !== 0) throw new Error(`join: ${nameOf(join.value?.errorCode)}`)
  const sync = member.sync([])
  await story.pass(20)
  if (sync.value?.errorCode !== 0) throw new Error(`sync: ${nameOf(sync.value?.errorCode)}`)
  return told(sync.value.assignment)
}

function classicStory(overrides: object = {}): GroupStory {
  const story = new GroupStory({ groupInitialRebalanceDelayMs: 0, ...overrides })
  story.topics.create('t', 6)
  return story
}

const sizeOf = (owned: Owned) => Object.values(owned).reduce((sum, each) => sum + each.length, 0)

t.test('up: a member of the new protocol joins a classic group, and all share', async (t) => {
  const story = classicStory()
  const { a, b } = await classicPair(story)
  await a.commitError()
  const c = new StoryConsumer(story, 'c')
  const joined = await c.join()
  t.match(joined, { errorCode: 0 })
  t.same(c.owned, {}, 'the others hold it all still')
  t.match(await describe(story), { groupState: 'Reconciling' })
  const { members } = await describe(story)
  t.same(members.map(({ memberType }) => memberType).sort(), [0, 0, 1])
  let [ownedA, ownedB]: Owned[] = [{ t: [0, 1, 2] }, { t: [3, 4, 5] }]
  for (let round = 0; round < 6; round++) {
    ownedA = await follow(story, a, ownedA as Owned)
    ownedB = await follow(story, b, ownedB as Owned)
    await c.beat()
  }
  t.same([sizeOf(ownedA as Owned), sizeOf(ownedB as Owned), c.size], [2, 2, 2])
  t.equal((await describe(story)).groupState, 'Stable')
  t.equal(await b.commitError(), 0, 'commits with its generation')
  t.equal(nameOf(await b.commitError({ generationIdOrMemberEpoch: 99 })), 'ILLEGAL_GENERATION')
  const other = await story.restarted()
  t.same(await describe(story, other), await describe(story), 'the log tells the same')
  t.same(await story.offsets(), { 't-0': 42 })
})

t.test('down: the last member of the new protocol leaves', async (t) => {
  const story = classicStory()
  const { a, b } = await classicPair(story)
  const c = new StoryConsumer(story, 'c')
  await c.join()
  let [ownedA, ownedB]: Owned[] = [{ t: [0, 1, 2] }, { t: [3, 4, 5] }]
  for (let round = 0; round < 6; round++) {
    ownedA = await follow(story, a, ownedA as Owned)
    ownedB = await follow(story, b, ownedB as Owned)
    await c.beat()
  }
  t.equal(await c.leave(), 'NONE')
  await story.pass(20)
  t.equal(await story.state(), 'PreparingRebalance', 'a classic group, that rebalances at once')
  t.equal(nameOf((await describe(story)).errorCode), 'GROUP_ID_NOT_FOUND')
  t.equal(nameOf(await a.beat()), 'REBALANCE_IN_PROGRESS')
  const joins = [a.join(), b.join()]
  await story.pass(50)
  t.same(
    joins.map((join) => join.value?.errorCode),
    [0, 0],
  )
  await story.syncAll([a, b])
  t.equal(await story.state(), 'Stable')
  await story.replay(t)
})

t.test('a classic member joins a consumer group, comes and goes', async (t) => {
  const story = classicStory()
  const c = new StoryConsumer(story, 'c')
  await c.join()
  const member = story.member()
  await member.identify()
  let owned = await rejoin(story, member, {})
  t.same(owned, {}, 'c holds it all still')
  for (let round = 0; round < 4; round++) {
    await c.beat()
    owned = await follow(story, member, owned)
  }
  t.same([sizeOf(owned), c.size], [3, 3])
  t.equal(nameOf(await member.leave()), 'NONE')
  await settle([c])
  t.equal(c.size, 6)
  const wrong = story.member({ protocolType: 'connect' })
  const refused = wrong.join({ memberId: 'x' })
  await story.pass(20)
  t.equal(nameOf(refused.value?.errorCode), 'INCONSISTENT_GROUP_PROTOCOL')
  await c.leave()
  const again = story.member()
  await story.stable(again)
  t.equal(await story.state(), 'Stable', 'an empty consumer group gives way to a classic one')
  await again.leave()
  await c.join()
  t.match(await describe(story), { groupState: 'Stable' }, 'and the other way round')
})

t.test('a classic member must join and sync in time, and beat', async (t) => {
  const story = classicStory()
  const c = new StoryConsumer(story, 'c')
  await c.join()
  const late = story.member({ rebalanceTimeoutMs: 20_000, sessionTimeoutMs: 30_000 })
  await late.identify()
  const join = late.join()
  await story.pass(20)
  t.equal(join.value?.errorCode, 0)
  await story.pass(19_000)
  await c.beat()
  t.equal((await describe(story)).members.length, 2)
  await story.pass(2000)
  t.equal((await describe(story)).members.length, 1, 'it did not sync')
  const slow = story.member({ rebalanceTimeoutMs: 20_000, sessionTimeoutMs: 30_000 })
  await slow.identify()
  await rejoin(story, slow, {})
  await c.beat()
  await c.beat()
  t.equal(nameOf(await slow.beat()), 'REBALANCE_IN_PROGRESS')
  await story.pass(15_000)
  t.equal(nameOf(await slow.beat()), 'REBALANCE_IN_PROGRESS')
  await c.beat()
  await story.pass(6000)
  t.equal(nameOf(await slow.beat()), 'UNKNOWN_MEMBER_ID', 'it did not join again')
})

t.test('the policy decides', async (t) => {
  const disabled = classicStory({ groupConsumerMigrationPolicy: 'disabled' })
  await classicPair(disabled)
  const c = new StoryConsumer(disabled, 'c')
  t.match(await c.join(), {
    errorCode: errors.GROUP_ID_NOT_FOUND.code,
    errorMessage: /online upgrade is disabled/,
  })
  const only = new StoryConsumer(disabled, 'only', { groupId: 'h' })
  await only.join()
  const classic = new Asked(
    Promise.resolve(disabled.member({ groupId: 'h' }).join({ memberId: 'x' })),
  )
  await disabled.pass(50)
  t.equal(nameOf(classic.value?.value?.errorCode), 'INCONSISTENT_GROUP_PROTOCOL')

  const upwards = classicStory({ groupConsumerMigrationPolicy: 'upgrade' })
  await classicPair(upwards)
  const up = new StoryConsumer(upwards, 'c')
  await up.join()
  await up.leave()
  t.match(await describe(upwards), { groupState: /Assigning|Reconciling/ }, 'no way back')
  const connect = classicStory()
  await connect.stable(connect.member({ protocolType: 'connect' }))
  const stranger = new StoryConsumer(connect, 'c')
  t.match(await stranger.join(), { errorCode: errors.GROUP_ID_NOT_FOUND.code })
})

t.test('an upgrade that the log refuses leaves the classic group as it was', async (t) => {
  const story = classicStory()
  const { a, b } = await classicPair(story, { sessionTimeoutMs: 10_000 })
  const c = new StoryConsumer(story, 'c')
  story.log.failure = new Error('no space left')
  t.not((await c.join()).errorCode, 0)
  story.log.failure = null
  t.equal(await story.state(), 'Stable')
  t.same([await a.beat(), await b.beat()], [0, 0])
  await story.pass(11_000)
  t.equal(await story.state(), 'Empty', 'its sessions run')
})

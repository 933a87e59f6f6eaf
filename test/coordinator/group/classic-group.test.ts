/**
 * Scenarios of the classic group protocol; after each, the log tells a new coordinator the same.
 */
import t from 'tap'
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type { Deadline } from '../../../src/coordinator/deadlines.ts'
import { ClassicGroup } from '../../../src/coordinator/group/classic/classic-group.ts'
import { HandOut } from '../../../src/coordinator/group/classic/hand-out.ts'
import { Member } from '../../../src/coordinator/group/classic/member.ts'
import { memberMetadataBytesMax } from '../../../src/coordinator/group/config.ts'
import type { GroupContext } from '../../../src/coordinator/group/group.ts'
import { memberBytesMax, SharedLimits } from '../../../src/coordinator/group/shared-limits.ts'
import { Asked, GroupStory, partOf, type StoryMember } from './group-story.ts'

const NONE = errors.NONE.code
const REBALANCING = errors.REBALANCE_IN_PROGRESS.code

t.test('a group forms: ids, delay, leader, parts', async (t) => {
  const story = new GroupStory()
  const [a, b] = [story.member({ clientId: 'alpha' }), story.member()]
  await a.identify()
  t.match(a.memberId, /^alpha-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.equal(await story.state(), 'Empty')
  const joins = [a.join()]
  await story.pass(2000)
  t.equal(await story.state(), 'PreparingRebalance')
  await b.identify()
  joins.push(b.join())
  await story.pass(1500)
  t.notOk(joins[0]?.isAnswered, 'the delay began again when b came')
  await story.pass(3000)
  t.same(
    joins.map(({ value }) => value?.generationId),
    [1, 1],
  )
  t.equal(await story.state(), 'CompletingRebalance')
  t.equal(a.joined?.leader, a.memberId)
  t.equal(a.joined?.protocolName, 'range')
  t.equal(a.joined?.protocolType, 'consumer')
  t.equal(a.joined?.members.length, 2)
  t.same(b.joined?.members, [], 'only the leader hears of the others')
  const syncB = b.sync()
  await story.pass(100)
  t.notOk(syncB.isAnswered, 'waits for the leader')
  const syncA = a.sync([a, b])
  await story.pass(10)
  t.same(syncA.value, {
    errorCode: NONE,
    protocolType: 'consumer',
    protocolName: 'range',
    assignment: partOf(a.memberId),
  })
  t.same(syncB.value?.assignment, partOf(b.memberId))
  t.equal(await story.state(), 'Stable')
  t.equal(await a.beat(), NONE)
  const again = b.sync()
  await story.pass(1)
  t.same(again.value?.assignment, partOf(b.memberId), 'a stable group tells parts at once')
  const other = await story.replay(t)
  const { memberId, generationId, groupInstanceId } = b
  const beat = other.heartbeat({ groupId: 'g', memberId, generationId, groupInstanceId })
  t.same(await story.now(beat), { errorCode: NONE }, 'members live on after a restart')
})

t.test('the first rebalance is put off as long as members come, but not for ever', async (t) => {
  const story = new GroupStory()
  const first = story.member({ rebalanceTimeoutMs: 7000 })
  await first.identify()
  const join = first.join()
  for (let elapsedMs = 0; elapsedMs < 6900; elapsedMs += 1000) {
    t.notOk(join.isAnswered, `after ${elapsedMs} ms`)
    const next = story.member({ rebalanceTimeoutMs: 7000, apiVersion: 3 })
    next.join()
    await story.pass(1000)
  }
  await story.pass(100)
  t.equal(join.value?.errorCode, NONE)
})

t.test('delay 0: a lone consumer has its generation at once', async (t) => {
  const story = new GroupStory({ groupInitialRebalanceDelayMs: 0 })
  const [a] = await story.stable(story.member())
  t.equal(a.generationId, 1)
  t.equal(story.world.nowMs < 100, true)
  await story.replay(t)
})

t.test('old versions: no id needed, one timeout, one member leaves', async (t) => {
  const story = new GroupStory()
  const a = story.member({ apiVersion: 0, sessionTimeoutMs: 20_000 })
  const rejected = a.join({ protocols: [] })
  await story.pass(10)
  t.equal(rejected.value?.protocolName, '', 'null was not known then')
  const join = a.join({ rebalanceTimeoutMs: -1 })
  await story.pass(3100)
  t.equal(join.value?.errorCode, NONE)
  await story.syncAll([a])
  const { memberId } = a
  const leave = (id: string) =>
    story.groups.leaveGroup({ groupId: 'g', memberId: id, members: [] }, 2)
  t.same(await story.now(leave('stranger')), { errorCode: errors.UNKNOWN_MEMBER_ID.code })
  t.same(await story.now(leave(memberId)), { errorCode: NONE })
  t.equal(await story.state(), 'Empty')
  await story.replay(t)
})

t.test('somebody comes, goes, dies: the others rebalance', async (t) => {
  const story = new GroupStory()
  const [a, b] = await story.stable(story.member(), story.member())
  const c = story.member()
  await c.identify()
  const joinC = c.join()
  t.equal(await a.beat(), REBALANCING)
  t.equal(await b.beat(), REBALANCING)
  const rejoins = [a.join(), b.join()]
  await story.pass(20)
  t.same(
    [...rejoins, joinC].map(({ value }) => value?.generationId),
    [2, 2, 2],
    'no delay now',
  )
  await story.syncAll([a, b, c])
  await story.replay(t)

  t.equal(await c.leave(), NONE)
  t.equal(await a.beat(), REBALANCING)
  const third = [a.join(), b.join()]
  await story.pass(20)
  t.same(
    third.map(({ value }) => value?.generationId),
    [3, 3],
  )
  await story.syncAll([a, b])
  await story.replay(t)

  for (let i = 0; i < 3; i++) {
    await story.pass(4000)
    if (i < 2) t.equal(await a.beat(), NONE, 'b lives on its session')
    else t.equal(await a.beat(), REBALANCING, 'b is dead')
  }
  const fourth = a.join()
  await story.pass(20)
  t.equal(fourth.value?.members.length, 1)
  t.equal(await b.beat(), errors.UNKNOWN_MEMBER_ID.code)
  await story.syncAll([a])
  await story.replay(t)

  await story.pass(11_000)
  t.equal(await story.state(), 'Empty')
  t.equal(await a.beat(), errors.UNKNOWN_MEMBER_ID.code)
  await story.replay(t)
})

t.test('who does not join again in time is out; a new leader is found', async (t) => {
  const story = new GroupStory()
  const members = [
    story.member({ sessionTimeoutMs: 600_000 }),
    story.member({ sessionTimeoutMs: 600_000 }),
  ]
  const [leader, follower] = await story.stable(...members)
  follower.topics = ['t', 'u']
  const join = follower.join()
  await story.pass(59_000)
  t.notOk(join.isAnswered)
  await story.pass(2000)
  t.equal(join.value?.leader, follower.memberId)
  t.equal(join.value?.members.length, 1)
  t.equal(await leader.beat(), errors.UNKNOWN_MEMBER_ID.code)
  await story.syncAll([follower])
  await story.replay(t)
})

t.test('joining again with nothing new does not disturb, except from the leader', async (t) => {
  const story = new GroupStory()
  const [leader, follower] = await story.stable(story.member(), story.member())
  const idle = follower.join()
  await story.pass(10)
  t.match(idle.value, { errorCode: NONE, generationId: 1, members: [] })
  t.equal(await story.state(), 'Stable')
  const joinLeader = leader.join()
  await story.pass(10)
  t.equal(await story.state(), 'PreparingRebalance')
  follower.join()
  await story.pass(10)
  t.equal(joinLeader.value?.generationId, 2)
  const lost = leader.join()
  await story.pass(10)
  t.match(lost.value, { generationId: 2, members: { length: 2 } }, 'the answer was lost')
  follower.topics = ['u']
  const changed = follower.join()
  await story.pass(10)
  t.equal(await story.state(), 'PreparingRebalance')
  t.notOk(changed.isAnswered)
})

t.test(
  'a member that joins but never syncs is out when the rebalance timeout is over',
  async (t) => {
    const story = new GroupStory()
    const [leader, follower] = await story.stable(story.member(), story.member())
    const joins = [leader.join(), follower.join()]
    await story.pass(20)
    t.ok(joins.every(({ isAnswered }) => isAnswered))
    const sync = leader.sync([leader, follower])
    await story.pass(20)
    t.equal(sync.value?.errorCode, NONE)
    for (let i = 0; i < 15; i++) {
      await story.pass(3900)
      await follower.beat()
      t.equal(await leader.beat(), NONE)
    }
    await story.pass(2000)
    t.equal(await leader.beat(), REBALANCING)
    t.equal(await follower.beat(), errors.UNKNOWN_MEMBER_ID.code)
  },
)

t.test('a rebalance cancels the syncs of the one before', async (t) => {
  const story = new GroupStory()
  const [leader, follower] = await story.stable(story.member(), story.member())
  leader.join()
  follower.join()
  await story.pass(20)
  const sync = follower.sync()
  await story.pass(20)
  const late = story.member({ apiVersion: 3 })
  late.join()
  await story.pass(20)
  t.equal(sync.value?.errorCode, REBALANCING)
  const tooLate = leader.sync([leader, follower])
  await story.pass(20)
  t.equal(tooLate.value?.errorCode, REBALANCING)
})

t.test(
  'ids that nobody comes back with are forgotten, new members that nobody waits for too',
  async (t) => {
    const story = new GroupStory()
    const [a] = await story.stable(story.member({ sessionTimeoutMs: 600_000 }))
    const ghost = story.member()
    await ghost.identify()
    await story.pass(10_100)
    const join = ghost.join()
    await story.pass(10)
    t.equal(join.value?.errorCode, errors.UNKNOWN_MEMBER_ID.code)
    t.equal(await story.state(), 'Stable', 'it never was a member')
    a.join()
    await story.pass(10)
    await a.sync()
    const parked = story.member({
      apiVersion: 3,
      rebalanceTimeoutMs: 1_000_000,
      sessionTimeoutMs: 6000,
    })
    const slow = story.member({ apiVersion: 3, rebalanceTimeoutMs: 1_000_000 })
    const joins = [parked.join(), slow.join()]
    for (let i = 0; i < 5; i++) {
      await story.pass(59_000)
      await a.beat()
    }
    t.notOk(
      joins.some(({ isAnswered }) => isAnswered),
      'sessions of parked members do not count',
    )
    await story.pass(6000)
    t.same(
      joins.map(({ value }) => value?.errorCode),
      [25, 25],
    )
  },
)

t.test('protocols are chosen by votes among what all know', async (t) => {
  const story = new GroupStory()
  const members = [
    story.member({ protocols: ['sticky', 'range', 'rr'] }),
    story.member({ protocols: ['rr', 'range'] }),
    story.member({ protocols: ['range', 'rr'] }),
  ]
  const [leader] = await story.stable(...members)
  t.equal(leader.joined?.protocolName, 'range')
  const stranger = story.member({ protocols: ['sticky'] })
  const other = story.member({ protocolType: 'connect' })
  const joins = [stranger.join(), other.join()]
  await story.pass(10)
  t.same(
    joins.map(({ value }) => value?.errorCode),
    [23, 23],
  )
  t.equal(await story.state(), 'Stable')
  await story.replay(t)
})

t.test('a protocol named twice counts once', async (t) => {
  const story = new GroupStory({ groupInitialRebalanceDelayMs: 0 })
  const member = story.member({ sessionTimeoutMs: 60_000 })
  await story.stable(member)
  const twice = ['range', 'rr', 'range']
  const rude = story.member({ apiVersion: 1, sessionTimeoutMs: 6000, protocols: twice })
  rude.join()
  await story.pass(10)
  t.equal(await member.beat(), REBALANCING)
  const join = member.join()
  await story.pass(10)
  t.match(join.value, { errorCode: NONE, generationId: 2, protocolName: 'range' })
  await story.syncAll([member])
  await story.pass(7000)
  t.equal(await member.beat(), REBALANCING, 'the other died')
  const alone = member.join()
  await story.pass(10)
  t.match(alone.value, { errorCode: NONE, generationId: 3 })
  await story.syncAll([member])
  t.equal(alone.value?.members.length, 1)
  const lone = story.member({ groupId: 'lone', apiVersion: 1, protocols: ['rr', 'rr'] })
  await story.stable(lone)
  t.equal(lone.joined?.protocolName, 'rr')
  const many = story.member({ protocols: Array.from({ length: 257 }, (_, i) => `p${i}`) }).join()
  const long = story.member({ clientId: 'x'.repeat(32_767) }).join()
  await story.pass(10)
  t.equal(many.value?.errorCode, errors.INVALID_REQUEST.code)
  t.equal(long.value?.errorCode, errors.INVALID_REQUEST.code, 'no id fits')
  await story.replay(t)
})

t.test('an exception in a group answers whoever waits, and the group starts over', async (t) => {
  const story = new GroupStory()
  const { selectProtocol } = ClassicGroup.prototype
  const repair = () => {
    ClassicGroup.prototype.selectProtocol = selectProtocol
  }
  const breakDown = () => {
    ClassicGroup.prototype.selectProtocol = () => {
      throw new TypeError('a bug')
    }
  }
  t.teardown(repair)
  const failed = errors.UNKNOWN_SERVER_ERROR.code
  breakDown()
  const first = story.member({ groupId: 'new', apiVersion: 3 }).join()
  await story.pass(7000)
  t.equal(first.value?.errorCode, failed, 'a timer of a new group')
  repair()
  await story.stable(story.member({ groupId: 'new' }))
  const [a, b] = await story.stable(story.member(), story.member())
  breakDown()
  const beats = async (member: StoryMember, ms: number) => {
    for (let passed = 0; passed < ms; passed += 5000) {
      await member.beat()
      await story.pass(5000)
    }
  }
  const parked = a.join()
  await beats(b, 65_000)
  t.equal(parked.value?.errorCode, failed, 'a timer of a group that was stable')
  t.equal(await story.state(), 'Stable', 'as recorded')
  const joins = [a.join()]
  await story.pass(10)
  joins.push(b.join())
  await story.pass(10)
  t.same(
    joins.map(({ value }) => value?.errorCode),
    [failed, failed],
    'a request',
  )
  repair()
  await story.pass(5000)
  t.equal(await b.beat(), NONE)
  await story.pass(6000)
  t.equal(await b.beat(), REBALANCING, 'sessions run: a died')
  const alone = b.join()
  await story.pass(10)
  t.match(alone.value, { errorCode: NONE, generationId: 2 })
  await story.syncAll([b])
  await story.replay(t)
})

t.test('a large group is told in turns, everybody once', async (t) => {
  const story = new GroupStory()
  const count = 2500
  const members = Array.from({ length: count }, () => story.member({ apiVersion: 3 }))
  const joins = members.map((member) => member.join())
  await story.pass(2 * story.config.groupInitialRebalanceDelayMs + 100)
  t.same([...new Set(joins.map(({ value }) => value?.generationId))], [1])
  t.equal(new Set(joins.map(({ value }) => value?.memberId)).size, count)
  const heard = joins.map(({ value }) => value?.members.length ?? 0).filter((length) => length > 0)
  t.same(heard, [count], 'the leader hears of all')
  const syncs = members.map((member) => member.sync(members))
  await story.pass(100)
  for (const [index, { value }] of syncs.entries()) {
    t.same(value?.assignment, partOf(members[index]?.memberId ?? ''))
  }
  const gone = await story.now(
    story.groups.deleteOffsets({
      groupId: 'g',
      topics: ['t', 'other'].map((name) => ({ name, partitions: [{ partitionIndex: 0 }] })),
    }),
  )
  t.same(
    gone.topics.map(({ partitions }) => partitions[0]?.errorCode),
    [errors.GROUP_SUBSCRIBED_TO_TOPIC.code, NONE],
    'what they subscribed to is known',
  )
})

t.test('answers for many: some at once, the rest in turns, in order', async (t) => {
  let nowMs = 0
  const lined: (() => void)[] = []
  const turns = {
    clock: { now: () => nowMs, monotonic: () => nowMs },
    timers: { lineUp: (callback: () => void) => void lined.push(callback) },
  }
  const handOut = new HandOut()
  const told: number[] = []
  for (let index = 0; index < 100; index++) {
    handOut.add((response: number) => {
      nowMs += 0.1
      told.push(response)
    }, index)
  }
  handOut.begin({ turns } as unknown as GroupContext)
  t.equal(told.length, 32, 'at once')
  let most = told.length
  for (;;) {
    await new Promise((resolve) => setImmediate(resolve))
    const next = lined.shift()
    if (next === undefined) break
    t.same(lined, [], 'one turn at a time')
    const before = told.length
    next()
    await new Promise((resolve) => setImmediate(resolve))
    most = Math.max(most, told.length - before)
  }
  t.ok(most <= 32, `${most} in a turn`)
  t.same(
    told,
    Array.from({ length: 100 }, (_, index) => index),
  )
})

t.test('a full group', async (t) => {
  const story = new GroupStory({ groupMaxSize: 2 })
  const [a, b] = await story.stable(story.member(), story.member())
  const late = story.member().join()
  await story.pass(10)
  t.match(late.value, { errorCode: errors.GROUP_MAX_SIZE_REACHED.code, memberId: '' })
  t.equal(await a.beat(), NONE)
  story.config.groupMaxSize = 1
  const other = await story.restarted()
  const { groups } = await story.now(other.describeGroups(['g'], 5))
  t.equal(groups[0]?.groupState, 'PreparingRebalance', 'too large after a restart')
  a.join({ protocols: [{ name: 'range', metadata: Buffer.from('new') }] })
  await story.pass(10)
  const second = b.join()
  await story.pass(10)
  t.equal(second?.value?.errorCode, errors.GROUP_MAX_SIZE_REACHED.code, 'who joins first stays')
})

t.test('restarting while the log refuses: nothing half done', async (t) => {
  const story = new GroupStory()
  story.log.failure = new KafkaError(errors.NOT_ENOUGH_REPLICAS)
  const parked = story.member({ apiVersion: 3 }).join()
  await story.pass(50)
  t.equal(parked.value?.errorCode, errors.COORDINATOR_NOT_AVAILABLE.code, 'the group was not made')
  t.equal(await story.state(), 'Dead')
  story.log.failure = null
  const [leader, follower] = await story.stable(story.member(), story.member())
  leader.join()
  follower.join()
  await story.pass(20)
  story.log.failure = new KafkaError(errors.NOT_LEADER_OR_FOLLOWER)
  const syncs = [follower.sync(), leader.sync([leader, follower])]
  await story.pass(20)
  t.same(
    syncs.map(({ value }) => value?.errorCode),
    [16, 16],
  )
  t.equal(await story.state(), 'PreparingRebalance')
  story.log.failure = null
  leader.join()
  follower.join()
  await story.pass(20)
  await story.syncAll([leader, follower])
  t.equal(leader.generationId, 3)
  await story.replay(t)
})

t.test(
  'whoever waits when the partition moves away is sent to look for the coordinator',
  async (t) => {
    const story = new GroupStory()
    const [a, b] = await story.stable(story.member(), story.member())
    const join = story.member({ apiVersion: 3 }).join()
    const [c, d] = [story.member({ groupId: 'h' }), story.member({ groupId: 'h' })]
    const [, follower] = await story.stable(c, d)
    c.join()
    d.join()
    await story.pass(20)
    const sync = follower.sync()
    await story.pass(5)
    story.groups.onResignation(0)
    await story.pass(5)
    t.equal(join.value?.errorCode, errors.NOT_COORDINATOR.code)
    t.equal(sync?.value?.errorCode, errors.NOT_COORDINATOR.code)
    t.equal(await a.beat(), errors.NOT_COORDINATOR.code)
    const loading = story.groups.onElection(0, 2, story.log)
    const early = new Asked(
      story.groups.heartbeat({
        groupId: 'g',
        memberId: '?',
        generationId: 1,
        groupInstanceId: null,
      }),
    )
    await story.pass(0)
    t.same(early.value, { errorCode: NONE }, 'loading: nobody knows better')
    await story.world.run(loading)
    t.equal(await b.beat(), NONE)
    await story.pass(9000)
    t.equal(await b.beat(), NONE, 'a whole session after loading')
    await story.pass(2000)
    t.equal(await b.beat(), REBALANCING, 'a did not show up')
  },
)

t.test('members of all groups share memory, and a flood of rebalances a few lines', async (t) => {
  const lines: [string, object | undefined][] = []
  const log = {
    debug: () => undefined,
    info: (message: string, fields?: object) => void lines.push([message, fields]),
    warn: () => undefined,
    error: () => undefined,
    child: () => log,
  }
  const story = new GroupStory({ groupInitialRebalanceDelayMs: 0 }, log)
  let member = story.member()
  for (let count = 0; count < 60; count++) {
    member = story.member()
    await member.identify()
    member.join()
    await story.pass(10)
    await story.now(member.leave())
  }
  t.equal(lines.filter(([message]) => message.startsWith('group ')).length, 6)
  await story.pass(60_000)
  member = story.member()
  await member.identify()
  member.join()
  await story.pass(10)
  t.match(
    lines.map(([message]) => message),
    [...Array(6).keys()].map(() => /^group /).concat(/lines were left out/, /^group /),
  )

  const shared = new SharedLimits()
  shared.members.hold(memberBytesMax - 10)
  t.ok(shared.members.hasRoomFor(10))
  t.notOk(shared.members.hasRoomFor(11))
  shared.members.hold(-1)
  t.ok(shared.members.hasRoomFor(11))
  t.ok(shared.members.hasRoomFor(-5), 'who says less is always welcome')
})

t.test('what a member says is bounded, and freed when it goes', async (t) => {
  const story = new GroupStory({ groupInitialRebalanceDelayMs: 0 })
  const say = async (bytes: number, protocols = 1) => {
    const member = story.member({ groupId: `g${bytes}` })
    await member.identify()
    const metadata = Buffer.alloc(Math.ceil(bytes / protocols))
    const joined = member.join({
      protocols: [...Array(protocols).keys()].map((index) => ({ name: `p${index}`, metadata })),
    })
    await story.pass(10)
    return { member, errorCode: joined.value?.errorCode }
  }
  t.equal((await say(memberMetadataBytesMax - 8, 4)).errorCode, NONE)
  t.equal((await say(memberMetadataBytesMax + 1)).errorCode, errors.INVALID_REQUEST.code)

  const shared = new SharedLimits()
  const deadline = { set: () => undefined, clear: () => undefined } as unknown as Deadline
  const context = { shared, now: () => 0 } as unknown as GroupContext
  const group = new ClassicGroup('g', context)
  const membership = {
    ...{ memberId: 'm', groupInstanceId: null, clientId: 'c', clientHost: '/192.0.2.1' },
    ...{ rebalanceTimeoutMs: 1, sessionTimeoutMs: 1 },
    protocols: [{ name: 'range', metadata: Buffer.alloc(1000) }],
  }
  group.expect('m', deadline)
  t.ok(shared.members.bytes > 0)
  const member = new Member(membership, deadline)
  group.add(member)
  const held = shared.members.bytes
  t.equal(held, member.bytes, 'what was expected came')
  group.update(member, { ...membership, protocols: [] })
  t.equal(shared.members.bytes, held - 1005)
  group.remove('m')
  t.equal(shared.members.bytes, 0)
  group.add(new Member(membership, deadline))
  group.end(errors.UNKNOWN_MEMBER_ID)
  group.remove('m')
  t.equal(shared.members.bytes, 0, 'and a group that was forgotten holds nothing')
})

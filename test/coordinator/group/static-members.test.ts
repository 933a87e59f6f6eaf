/** Static members (KIP-345, KIP-814): who holds a group.instance.id, and what the others notice. */
import t from 'tap'
import { errors, KafkaError } from '../../../protocol/errors.ts'
import { GroupStory, partOf } from './group-story.ts'

const FENCED = errors.FENCED_INSTANCE_ID.code
const REBALANCING = errors.REBALANCE_IN_PROGRESS.code

async function pair(story: GroupStory, apiVersion = 9) {
  const members = ['i-1', 'i-2'].map((groupInstanceId) =>
    story.member({ groupInstanceId, apiVersion }),
  )
  const [leader, follower] = await story.stable(...members)
  return { leader, follower }
}

t.test('a static member that starts again has its old part, and nobody notices', async (t) => {
  const story = new GroupStory()
  const { leader, follower } = await pair(story)
  t.match(follower.memberId, /^i-\d-[0-9a-f-]{36}$/, 'the id tells the instance')
  const reborn = story.member({ groupInstanceId: follower.groupInstanceId ?? '' })
  const join = reborn.join()
  await story.pass(10)
  t.match(join.value, { errorCode: 0, generationId: 1, skipAssignment: false, members: [] })
  t.not(reborn.memberId, follower.memberId)
  const sync = reborn.sync()
  await story.pass(10)
  t.same(sync.value?.assignment, partOf(follower.memberId), 'as given to the member before')
  t.equal(await leader.beat(), 0)
  t.equal(await follower.beat(), FENCED)
  t.equal(await follower.commitError(), FENCED)
  t.equal(await follower.leave(), FENCED)
  const fenced = [follower.join(), follower.sync()]
  await story.pass(10)
  t.same(
    fenced.map(({ value }) => value?.errorCode),
    [FENCED, FENCED],
  )
  await story.replay(t)
})

t.test(
  'a leader that starts again is told to keep the assignment, if it can understand that',
  async (t) => {
    for (const apiVersion of [9, 8]) {
      const story = new GroupStory()
      const { leader } = await pair(story, apiVersion)
      const reborn = story.member({ groupInstanceId: leader.groupInstanceId ?? '', apiVersion })
      const join = reborn.join()
      await story.pass(10)
      if (apiVersion === 9) {
        t.match(join.value, {
          leader: reborn.memberId,
          skipAssignment: true,
          members: { length: 2 },
        })
      } else {
        t.match(join.value, { leader: leader.memberId, members: [] }, 'must not know that it leads')
      }
      t.equal(await story.state(), 'Stable')
      await story.replay(t)
    }
  },
)

t.test('with another protocol, or while parts are given out, the group rebalances', async (t) => {
  const story = new GroupStory()
  const { leader, follower } = await pair(story)
  follower.protocols = leader.protocols = ['range', 'rr']
  leader.join()
  follower.join()
  await story.pass(10)
  const sync = leader.sync([leader, follower])
  const protocols = ['range', 'rr']
  const again = story.member({ groupInstanceId: follower.groupInstanceId ?? '', protocols })
  const join = again.join()
  await story.pass(10)
  t.equal(sync.value?.errorCode, REBALANCING, 'the leader gives a part to an id that is gone')
  t.notOk(join.isAnswered)
  leader.join()
  await story.pass(10)
  t.equal(join.value?.generationId, 3)
  await story.syncAll([leader, again])
  await story.replay(t)
  const changed = story.member({
    groupInstanceId: follower.groupInstanceId ?? '',
    protocols: ['rr'],
  })
  const rebalance = changed.join()
  await story.pass(10)
  t.equal(await leader.beat(), REBALANCING)
  leader.join()
  await story.pass(10)
  t.match(rebalance.value, { generationId: 4, protocolName: 'rr' })
})

t.test('two processes with one instance id: the later one wins', async (t) => {
  const story = new GroupStory()
  const first = story.member({ groupInstanceId: 'i' })
  const second = story.member({ groupInstanceId: 'i' })
  const joins = [first.join(), second.join()]
  await story.pass(6100)
  t.match(joins[0]?.value, { errorCode: FENCED, memberId: /^i-/ })
  t.match(joins[1]?.value, { errorCode: 0, members: { length: 1 } })
})

t.test('a static member that is away keeps its place for a session', async (t) => {
  const story = new GroupStory()
  const lasting = { sessionTimeoutMs: 300_000, rebalanceTimeoutMs: 10_000 }
  const away = story.member({ groupInstanceId: 'i', ...lasting })
  const dynamic = story.member(lasting)
  await story.stable(away, dynamic)
  dynamic.topics = ['u']
  const join = dynamic.join()
  await story.pass(9000)
  t.notOk(join.isAnswered)
  await story.pass(2000)
  t.equal(join.value?.generationId, 2)
  t.equal(join.value?.leader, dynamic.memberId, 'the one that is there leads')
  t.equal(join.value?.members.length, 2, 'and gives the one that is away its part')
  await story.syncAll([dynamic, away].slice(0, 1))
  await story.pass(12_000)
  t.equal(await dynamic.beat(), REBALANCING, 'which did not fetch it')
})

t.test('an operator takes out static members by their instance ids', async (t) => {
  const story = new GroupStory()
  const { leader, follower } = await pair(story)
  const one = (memberId: string, groupInstanceId: string | null) => ({
    memberId,
    groupInstanceId,
    reason: 'gone for good',
  })
  const members = [
    one('', follower.groupInstanceId),
    one('', 'stranger'),
    one('stranger', null),
    one('', null),
    one('stranger', leader.groupInstanceId),
  ]
  const left = await story.now(story.groups.leaveGroup({ groupId: 'g', memberId: '', members }, 5))
  t.same(
    left.members?.map(({ errorCode }) => errorCode),
    [0, 25, 25, 25, FENCED],
  )
  t.equal(await leader.beat(), REBALANCING)
  t.equal(await follower.beat(), errors.UNKNOWN_MEMBER_ID.code)
})

t.test('a takeover that cannot be written is undone', async (t) => {
  const story = new GroupStory()
  const { follower } = await pair(story)
  story.log.failure = new KafkaError(errors.NOT_ENOUGH_REPLICAS)
  const join = story.member({ groupInstanceId: follower.groupInstanceId ?? '' }).join()
  await story.pass(10)
  t.match(join.value, { errorCode: errors.COORDINATOR_NOT_AVAILABLE.code, memberId: '' })
  t.equal(await follower.beat(), 0)
  story.log.failure = null
  await story.replay(t)
})

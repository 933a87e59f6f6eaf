/** Offsets that groups commit in transactions: pending, unstable, committed, dropped, and there again. */
import t from 'tap'
import { errors, KafkaError } from '../../../protocol/errors.ts'
import { zeroUuid } from '../../../protocol/types.ts'
import { allOffsets, GroupStory, offsetsOf } from './group-story.ts'

const hourMs = 3_600_000

t.test('a transaction commits offsets, or drops them', async (t) => {
  const story = new GroupStory()
  t.equal(await story.commitError({ offset: 1 }), 0)
  t.equal(await story.commitInTransaction(7, { offset: 2 }), 0)
  t.equal(await story.commitInTransaction(7, { offset: 20, partition: 1 }), 0)
  t.equal(await story.commitInTransaction(8, { offset: 3, topic: 'u' }), 0)
  t.same(await story.offsets(), { 't-0': 1 })
  t.same(await story.stableOffsets(), { 't-0': 'unstable' })
  const named = {
    ...allOffsets('g'),
    topics: [
      { name: 't', topicId: zeroUuid, partitionIndexes: [0, 1, 2] },
      { name: 'u', topicId: zeroUuid, partitionIndexes: [0] },
    ],
  }
  const codes = async (requireStable: boolean) =>
    (await story.now(story.groups.fetchOffsets({ ...named, requireStable }))).topics.flatMap(
      ({ partitions }) => partitions.map(({ errorCode }) => errorCode),
    )
  const { code } = errors.UNSTABLE_OFFSET_COMMIT
  t.same(await codes(true), [code, code, 0, code])
  t.same(await codes(false), [0, 0, 0, 0])
  await story.replay(t)
  t.equal(await story.endTransaction(7, true), 'NONE')
  t.same(await story.stableOffsets(), { 't-0': 2, 't-1': 20 })
  t.equal(await story.endTransaction(8, false), 'NONE')
  t.same(await codes(true), [0, 0, 0, 0])
  t.same(await story.offsets(), { 't-0': 2, 't-1': 20 })
  t.equal(await story.endTransaction(8, true), 'NONE', 'a marker that is repeated changes nothing')
  t.same(await story.offsets(), { 't-0': 2, 't-1': 20 })
  await story.replay(t)
})

t.test('the later commit counts, in whichever order transactions end', async (t) => {
  const story = new GroupStory()
  await story.commitInTransaction(1, { offset: 10 })
  await story.commitInTransaction(2, { offset: 20 })
  await story.endTransaction(2, true)
  t.same(await story.offsets(), { 't-0': 20 })
  t.same(await story.stableOffsets(), { 't-0': 'unstable' })
  await story.endTransaction(1, true)
  t.same(await story.stableOffsets(), { 't-0': 20 })
  await story.commitInTransaction(1, { offset: 30 })
  t.equal(await story.commitError({ offset: 31 }), 0)
  await story.endTransaction(1, true)
  t.same(await story.offsets(), { 't-0': 31 })
  await story.replay(t)
})

t.test('a restart amid transactions', async (t) => {
  const story = new GroupStory()
  await story.commitInTransaction(1, { offset: 10, groupId: 'h' })
  await story.commitInTransaction(2, { offset: 20 })
  const other = await story.restarted()
  const end = { producerEpoch: 0, coordinatorEpoch: 0, transactionVersion: 1 }
  await story.now(other.endTransaction(0, { ...end, producerId: 1, isCommit: true }))
  await story.now(other.endTransaction(0, { ...end, producerId: 2, isCommit: false }))
  const offsets = async (groupId: string) =>
    offsetsOf(await story.now(other.fetchOffsets({ ...allOffsets(groupId), requireStable: true })))
  t.same(await offsets('h'), { 't-0': 10 })
  t.same(await offsets('g'), {})
})

t.test('what deletes offsets deletes pending ones', async (t) => {
  const story = new GroupStory()
  const request = { groupId: 'g', topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] }
  await story.commitInTransaction(1, { offset: 10 })
  await story.commitInTransaction(1, { offset: 11, topic: 'u' })
  await story.now(story.groups.deleteOffsets(request))
  await story.deleteTopics('u')
  await story.endTransaction(1, true)
  t.same(await story.stableOffsets(), {})
  await story.commitInTransaction(1, { offset: 12 })
  const { results } = await story.now(story.groups.deleteGroups(['g']))
  t.equal(results[0]?.errorCode, 0)
  t.equal(await story.endTransaction(1, true), 'NONE')
  t.equal(await story.state(), 'Dead', 'a group that was deleted does not come back')
  await story.replay(t)
})

t.test('nothing expires that a transaction holds', async (t) => {
  const story = new GroupStory({ offsetsRetentionMinutes: 60 })
  t.equal(await story.commitError({ offset: 1 }), 0)
  t.equal(await story.commitError({ offset: 1, partition: 1 }), 0)
  await story.commitInTransaction(1, { offset: 2 })
  await story.commitInTransaction(2, { offset: 2, groupId: 'h' })
  await story.pass(2 * hourMs)
  t.same(await story.offsets(), { 't-0': 1 }, 'the other one is gone')
  t.equal(await story.state('h'), 'Empty')
  await story.endTransaction(1, false)
  await story.endTransaction(2, false)
  await story.pass(hourMs)
  t.equal(await story.state(), 'Dead')
  t.equal(await story.state('h'), 'Dead')
  await story.replay(t)
})

t.test('who may commit for a group in a transaction', async (t) => {
  const story = new GroupStory()
  const { code: illegal } = errors.ILLEGAL_GENERATION
  t.equal(await story.commitInTransaction(1, { generationIdOrMemberEpoch: 1 }), illegal)
  const member = story.member()
  await story.stable(member)
  const { generationId, memberId } = member
  const commit = (said: object) => story.commitInTransaction(1, said)
  t.equal(await commit({}), 0, 'older producers say nothing of themselves')
  t.equal(await commit({ memberId, generationIdOrMemberEpoch: generationId }), 0)
  t.equal(await commit({ memberId, generationIdOrMemberEpoch: generationId + 1 }), illegal)
  const unknown = { memberId: 'x', generationIdOrMemberEpoch: generationId }
  t.equal(await commit(unknown), errors.UNKNOWN_MEMBER_ID.code)
  const fenced = { ...unknown, groupInstanceId: 'i' }
  t.equal(await commit(fenced), errors.UNKNOWN_MEMBER_ID.code)
  t.equal(await commit({ groupId: '' }), errors.INVALID_GROUP_ID.code)
  const large = { metadata: 'x'.repeat(4097) }
  t.equal(await commit(large), errors.OFFSET_METADATA_TOO_LARGE.code)
  story.log.refusal = new KafkaError(errors.INVALID_PRODUCER_EPOCH)
  t.equal(await commit({}), errors.INVALID_PRODUCER_EPOCH.code)
  t.equal(await story.endTransaction(1, true), 'INVALID_PRODUCER_EPOCH')
  story.log.refusal = new KafkaError(errors.NOT_LEADER_OR_FOLLOWER)
  t.equal(await commit({}), errors.NOT_COORDINATOR.code)
  t.equal(await story.endTransaction(1, true), 'NOT_LEADER_OR_FOLLOWER', 'to be tried again')
  story.groups.onResignation(0)
  t.equal(await story.endTransaction(1, true), 'NOT_LEADER_OR_FOLLOWER')
})

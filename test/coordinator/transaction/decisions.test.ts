/** A decision that is in the log is carried out, whatever comes in between; one that is not never is. */
import t from 'tap'
import { errors, KafkaError } from '../../../protocol/errors.ts'
import { StoryPartitions, TransactionStory } from './transaction-story.ts'

/** One that has added `t-0`, `t-1` and `u-0`. */
async function begun(story: TransactionStory) {
  const producer = story.producer()
  await producer.init()
  await producer.add(2, 't-0', 't-1', 'u-0')
  return producer
}

t.test('markers are asked for until every partition has its own', async (t) => {
  const story = new TransactionStory()
  const producer = await begun(story)
  const { rows, ends } = story.partitions
  const retriable = [
    errors.UNKNOWN_TOPIC_OR_PARTITION,
    errors.NOT_LEADER_OR_FOLLOWER,
    errors.NOT_ENOUGH_REPLICAS,
    errors.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    errors.REQUEST_TIMED_OUT,
    errors.KAFKA_STORAGE_ERROR,
    errors.COORDINATOR_LOAD_IN_PROGRESS,
    errors.NOT_COORDINATOR,
    errors.UNKNOWN_SERVER_ERROR,
  ]
  rows.set('t-1', errors.NOT_LEADER_OR_FOLLOWER)
  t.equal(await producer.end(true), 'NONE', 'its producer does not wait for them')
  for (const row of retriable) {
    rows.set('t-1', row)
    await story.pass(6000)
    t.equal(await story.state(), 'PrepareCommit', row.name)
  }
  t.strictSame(
    ends,
    ['t-0 commit 1000/1', 'u-0 commit 1000/1'],
    'those that have theirs get no other',
  )
  const attempts = story.partitions.written.length
  t.ok(attempts < 30, `${attempts} attempts in a minute`)
  rows.clear()
  await story.pass(6000)
  t.equal(ends.at(-1), 't-1 commit 1000/1')
  t.equal(await story.state(), 'CompleteCommit')
  await story.replay(t)
})

t.test('deleted partitions and such as will never take a marker need none', async (t) => {
  const story = new TransactionStory()
  const producer = await begun(story)
  story.partitions.rows.set('t-0', errors.UNKNOWN_TOPIC_OR_PARTITION)
  story.partitions.rows.set('t-1', errors.INVALID_PRODUCER_EPOCH)
  await producer.end(false)
  await story.pass(60_000)
  t.equal(await story.state(), 'PrepareAbort', 'nobody says that it is deleted')
  story.deleted.add('t-0')
  await story.pass(6000)
  t.equal(await story.state(), 'CompleteAbort')
})

t.test('an answer without a partition, or no answer at all, is asked for again', async (t) => {
  const story = new TransactionStory()
  const producer = await begun(story)
  const { writeMarkers } = story.partitions
  let calls = 0
  story.partitions.writeMarkers = async (markers) => {
    calls++
    if (calls === 1) throw new Error('a bug')
    return calls === 2 ? new Map() : writeMarkers.call(story.partitions, markers)
  }
  await producer.end(true)
  await story.pass(1000)
  t.equal(calls, 3)
  t.equal(await story.state(), 'CompleteCommit')
})

t.test('a coordinator that comes up carries out what it finds', async (t) => {
  for (const isCommit of [true, false]) {
    const story = new TransactionStory()
    const producer = await begun(story)
    const other = story.producer('other')
    await other.init()
    await other.add(2, 'v-0')
    story.partitions.isSilent = true
    await producer.end(isCommit)
    const partitions = new StoryPartitions()
    // The coordinator is up before any of the leaders.
    for (const name of ['t-0', 't-1', 'u-0']) {
      partitions.rows.set(name, errors.UNKNOWN_TOPIC_OR_PARTITION)
    }
    const next = await story.restarted(partitions)
    await story.pass(30_000)
    t.strictSame(partitions.ends, [])
    partitions.rows.clear()
    await story.pass(6000)
    const what = isCommit ? 'commit' : 'abort'
    t.strictSame(
      partitions.ends.sort(),
      ['t-0', 't-1', 'u-0'].map((name) => `${name} ${what} 1000/1`),
    )
    t.equal(partitions.written[0]?.coordinatorEpoch, 6)
    t.equal((await story.known('tx', next))?.state, isCommit ? 'CompleteCommit' : 'CompleteAbort')
    t.equal((await story.known('other', next))?.state, 'Ongoing')
  }
})

t.test('markers wait until the decision is committed', async (t) => {
  const story = new TransactionStory()
  const producer = await begun(story)
  story.log.isHolding = true
  const ended = story.coordinator.endTransaction({
    ...producer.identity,
    isCommit: true,
    clientVersion: 2,
  })
  await story.pass(1000)
  t.strictSame(story.partitions.written, [])
  story.log.isHolding = false
  story.log.held.shift()?.commit()
  t.equal((await story.now(ended)).error, errors.NONE)
  t.equal(story.partitions.ends.length, 3)
})

t.test('a decision that the log refuses is none', async (t) => {
  const story = new TransactionStory()
  const producer = await begun(story)
  story.log.failure = new KafkaError(errors.NOT_ENOUGH_REPLICAS)
  t.equal(await producer.end(true), 'COORDINATOR_NOT_AVAILABLE')
  t.equal(await story.state(), 'Ongoing')
  t.equal((await story.known())?.producerEpoch, 0)
  await story.pass(30_000)
  t.strictSame(story.partitions.written, [])
  story.log.failure = null
  t.equal(await producer.end(false), 'NONE')
  t.equal(story.partitions.ends.at(-1), 'u-0 abort 1000/1')
  await story.replay(t)
})

t.test('a completion that the log refuses is tried again', async (t) => {
  const story = new TransactionStory()
  const producer = await begun(story)
  story.partitions.rows.set('u-0', errors.NOT_LEADER_OR_FOLLOWER)
  await producer.end(true)
  story.log.failure = new KafkaError(errors.NOT_ENOUGH_REPLICAS)
  story.partitions.rows.clear()
  await story.pass(20_000)
  t.equal(await story.state(), 'PrepareCommit')
  t.equal(story.partitions.ends.length, 3, 'no partition gets a second marker')
  story.log.failure = null
  await story.pass(6000)
  t.equal(await story.state(), 'CompleteCommit')
  t.equal(story.partitions.ends.length, 3)
  await story.replay(t)
})

t.test('what follows on a completion stands or falls with it', async (t) => {
  const story = new TransactionStory()
  const producer = await begun(story)
  story.partitions.rows.set('u-0', errors.NOT_LEADER_OR_FOLLOWER)
  await producer.end(true)
  const added = story.coordinator.addPartitions(
    { ...producer.identity, partitions: [{ topic: 't', partitions: [5] }] },
    2,
  )
  story.log.isHolding = true
  story.partitions.rows.clear()
  await story.pass(90)
  const refused = new KafkaError(errors.NOT_LEADER_OR_FOLLOWER)
  while (story.log.held.length > 0) story.log.held.pop()?.refuse(refused)
  story.log.isHolding = false
  t.equal((await story.now(added)).name, 'NOT_COORDINATOR')
  await story.pass(6000)
  t.equal(await story.state(), 'CompleteCommit')
  await story.replay(t)
})

t.test('a coordinator that went leaves everything to the next', async (t) => {
  const story = new TransactionStory()
  const producer = await begun(story)
  story.partitions.rows.set('t-0', errors.NOT_LEADER_OR_FOLLOWER)
  await producer.end(true)
  const attempts = story.partitions.written.length
  const waiting = story.coordinator.addPartitions(
    { ...producer.identity, partitions: [{ topic: 't', partitions: [0] }] },
    2,
  )
  await story.pass(1)
  story.coordinator.onResignation(0)
  t.equal((await story.now(waiting)).name, 'NOT_COORDINATOR')
  await story.pass(60_000)
  t.ok(story.partitions.written.length <= attempts + 1)
  t.equal(await producer.add(), 'NOT_COORDINATOR')
  t.strictSame(await producer.verify(false, 't-0'), { 't-0': 'NOT_COORDINATOR' })
})

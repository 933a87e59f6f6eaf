/** The share coordinator: what it records, what it refuses, and what a restart makes of it. */
import t from 'tap'
import { errors } from '../../../protocol/errors.ts'
import { decodeCoordinatorRecord } from '../../../protocol/state/coordinator-frame.ts'
import { shareGroupStateRecords } from '../../../protocol/state/share-group-state.ts'
import { isCoordinatorKey } from '../../../src/coordinator/share/records.ts'
import { ShareCoordinator } from '../../../src/coordinator/share/share-coordinator.ts'
import { combineBatches, type StateBatch } from '../../../src/coordinator/share/state-batches.ts'
import { SeededRandom } from '../../simulator/random.ts'
import { SimulatedWorld } from '../../simulator/simulated-world.ts'
import { PrunableMemoryLog } from '../memory-log.ts'

const topicId = 'AAAAAAAAAAAAAAAAAAAAAQ'
const goneId = 'AAAAAAAAAAAAAAAAAAAAAg'
const updatesPerSnapshot = 3
const intervalMs = 60_000

function start(log = new PrunableMemoryLog()) {
  const world = new SimulatedWorld(1)
  const { environment } = world.start('broker')
  const topics = new Map([
    [topicId, 3],
    [goneId, 3],
  ])
  const coordinator = new ShareCoordinator({
    environment,
    config: () => ({
      snapshotUpdateRecordsPerSnapshot: updatesPerSnapshot,
      writeTimeoutMs: 5000,
      stateTopicCompressionCodec: 0,
      stateTopicPruneIntervalMs: intervalMs,
      coldPartitionSnapshotIntervalMs: 2.5 * intervalMs,
    }),
    statePartitionCount: () => 1,
    partitionCountOf: (id) => topics.get(id),
  })
  return { world, coordinator, log, topics, loaded: coordinator.onElection(0, 0, log) }
}

type Started = ReturnType<typeof start>

const one = <P extends object>(partition: P, id = topicId) => ({
  groupId: 'g',
  topics: [{ topicId: id, partitions: [{ partition: 0, ...partition }] }],
})

async function soleOf<A>(
  { world }: Started,
  pending: Promise<{ results: readonly { partitions: readonly A[] }[] }>,
): Promise<A> {
  const { results } = await world.run(pending)
  return results[0]?.partitions[0] as A
}

const initialize = (story: Started, stateEpoch: number, startOffset = -1) =>
  soleOf(story, story.coordinator.initialize(one({ stateEpoch, startOffset })))

const read = (story: Started, leaderEpoch: number) =>
  soleOf(story, story.coordinator.read(one({ leaderEpoch })))

const write = (
  story: Started,
  stateBatches: StateBatch[],
  { startOffset = 0, leaderEpoch = 0, stateEpoch = 1, deliveryCompleteCount = 0 } = {},
) => {
  const written = { startOffset, leaderEpoch, stateEpoch, deliveryCompleteCount, stateBatches }
  return soleOf(story, story.coordinator.write(one(written)))
}

const batch = (firstOffset: number, lastOffset: number, deliveryState = 2, deliveryCount = 1) => ({
  firstOffset,
  lastOffset,
  deliveryState,
  deliveryCount,
})

/** Kinds and snapshot epochs of what is recorded. */
function recorded({ log }: Started): string[] {
  return log.records().map(({ key, value }) => {
    const record = decodeCoordinatorRecord(shareGroupStateRecords, key as Buffer, value)
    return `${record?.type.slice(5)} ${record?.value?.snapshotEpoch ?? 'gone'}`
  })
}

t.test('what is newer wins, offset by offset', async (t) => {
  const random = new SeededRandom(7)
  const below = (limit: number) => Math.floor(random.float() * limit)
  for (let round = 0; round < 2000; round++) {
    const some = (): StateBatch => {
      const firstOffset = below(30)
      const state = [0, 2, 4][below(3)] as number
      return batch(firstOffset, firstOffset + below(8), state, 1 + below(3))
    }
    const known = combineBatches([], Array.from({ length: below(5) }, some), -1)
    const news = Array.from({ length: below(6) }, some)
    const startOffset = below(3) === 0 ? below(30) : -1
    const expected: (readonly [number, number, number])[] = []
    for (let offset = Math.max(0, startOffset); offset < 40; offset++) {
      const about = [...known, ...news].filter(
        ({ firstOffset, lastOffset }) => firstOffset <= offset && offset <= lastOffset,
      )
      about.sort((a, b) => b.deliveryCount - a.deliveryCount || b.deliveryState - a.deliveryState)
      const [newest] = about
      if (newest !== undefined) {
        expected.push([offset, newest.deliveryState, newest.deliveryCount])
      }
    }
    const combined = combineBatches(known, news, startOffset)
    const actual = combined.flatMap((each) =>
      Array.from(
        { length: each.lastOffset - each.firstOffset + 1 },
        (_, index) => [each.firstOffset + index, each.deliveryState, each.deliveryCount] as const,
      ),
    )
    t.strictSame(actual, expected, `round ${round}`)
    for (const [index, each] of combined.entries()) {
      const next = combined[index + 1]
      const isJoined =
        next?.firstOffset === each.lastOffset + 1 &&
        next.deliveryState === each.deliveryState &&
        next.deliveryCount === each.deliveryCount
      if (isJoined) t.fail(`neighbours of the same state in round ${round}`)
    }
  }
})

t.test('state begins, grows, becomes snapshots, and is the same after a restart', async (t) => {
  const story = start()
  await story.world.run(story.loaded)
  t.match(await read(story, 0), {
    errorCode: errors.INVALID_REQUEST.code,
    errorMessage: 'Read operation on uninitialized share partition not allowed.',
  })
  t.match(await write(story, []), { errorCode: errors.INVALID_REQUEST.code })
  t.match(await initialize(story, 1), { errorCode: 0, errorMessage: null })
  t.strictSame(await read(story, 0), {
    partition: 0,
    errorCode: 0,
    errorMessage: null,
    stateEpoch: 1,
    startOffset: -1,
    stateBatches: [],
  })
  await write(story, [batch(5, 9)], { deliveryCompleteCount: 5 })
  await write(story, [batch(0, 3, 0)], { deliveryCompleteCount: 5 })
  await write(story, [batch(0, 3)], { startOffset: 4, deliveryCompleteCount: 5 })
  t.strictSame(recorded(story), ['Snapshot 0', 'Update 0', 'Update 0', 'Update 0'])
  await write(story, [batch(12, 12, 4, 5)], { startOffset: -1, deliveryCompleteCount: 6 })
  t.strictSame(recorded(story).at(-1), 'Snapshot 1')
  await write(story, [batch(4, 4, 0, 2)], { startOffset: 4, deliveryCompleteCount: 6 })
  const expected = {
    stateEpoch: 1,
    startOffset: 4,
    stateBatches: [batch(4, 4, 0, 2), batch(5, 9), batch(12, 12, 4, 5)],
  }
  t.match(await read(story, 0), expected)
  const restarted = start(story.log)
  await restarted.world.run(restarted.loaded)
  t.match(await read(restarted, 0), expected)
  const summary = (from: Started) =>
    soleOf(from, from.coordinator.readSummary(one({ leaderEpoch: 0 })))
  t.match(await summary(restarted), { startOffset: 4, stateEpoch: 1, deliveryCompleteCount: 6 })
  t.strictSame(await summary(story), await summary(restarted))
})

t.test('old leaders and old states are fenced', async (t) => {
  const story = start()
  await story.world.run(story.loaded)
  await initialize(story, 5)
  t.match(await initialize(story, 4), { errorCode: errors.FENCED_STATE_EPOCH.code })
  t.match(await write(story, [], { stateEpoch: 4 }), {
    errorCode: errors.FENCED_STATE_EPOCH.code,
  })
  await read(story, 3)
  t.match(recorded(story).at(-1), 'Update 0', 'the newer leader is recorded')
  t.match(await read(story, 2), { errorCode: errors.FENCED_LEADER_EPOCH.code })
  const restarted = start(story.log)
  await restarted.world.run(restarted.loaded)
  t.match(await write(restarted, [], { stateEpoch: 5, leaderEpoch: 2 }), {
    errorCode: errors.FENCED_LEADER_EPOCH.code,
  })
  t.match(await write(restarted, [], { stateEpoch: 5, leaderEpoch: 3 }), { errorCode: 0 })
  t.match(await initialize(restarted, 6, 40), { errorCode: 0 })
  t.match(await read(restarted, 2), { errorCode: errors.FENCED_LEADER_EPOCH.code })
  t.match(await read(restarted, 3), { stateEpoch: 6, startOffset: 40, stateBatches: [] })
})

t.test('what cannot be is refused', async (t) => {
  const story = start()
  await story.world.run(story.loaded)
  await initialize(story, 1)
  t.match(await write(story, [batch(9, 3)]), { errorCode: errors.INVALID_REQUEST.code })
  t.match(await write(story, [batch(1, 3, 7)]), { errorCode: errors.INVALID_REQUEST.code })
  const many = Array.from({ length: 20_001 }, (_, index) => batch(index, index))
  t.match(await write(story, many), { errorCode: errors.INVALID_REQUEST.code })
  const { coordinator } = story
  const negative = one({ partition: -1, leaderEpoch: 0, stateEpoch: 0, startOffset: 0 })
  const invalid = { errorCode: errors.INVALID_REQUEST.code }
  t.match(await soleOf(story, coordinator.initialize(negative)), invalid)
  t.match(await soleOf(story, coordinator.read(negative)), invalid)
  t.match(await soleOf(story, coordinator.readSummary(negative)), invalid)
  t.match(await soleOf(story, coordinator.delete(negative)), invalid)
  const unknown = one({ partition: 3, leaderEpoch: 0, stateEpoch: 0, startOffset: 0 })
  const unknownCode = { errorCode: errors.UNKNOWN_TOPIC_OR_PARTITION.code }
  t.match(await soleOf(story, coordinator.initialize(unknown)), unknownCode)
  t.match(await soleOf(story, coordinator.delete(unknown)), unknownCode)
  t.strictSame(await coordinator.delete({ ...unknown, groupId: '' }), { results: [] })
  const nothing = { topicId, partitions: [] }
  const partly = { groupId: 'g', topics: [...one({ leaderEpoch: 0 }).topics, nothing] }
  for (const ask of ['read', 'readSummary', 'delete'] as const) {
    const answer = await story.world.run(coordinator[ask](partly))
    t.strictSame(answer, { results: [] }, `${ask}, with a topic for nothing`)
  }
  const initial = one({ stateEpoch: 1, startOffset: 0 })
  const begun = coordinator.initialize({ ...initial, topics: [...initial.topics, nothing] })
  t.equal((await story.world.run(begun)).results.length, 2)
  const unbegun = one({ partition: 2, leaderEpoch: 0 })
  t.match(await soleOf(story, coordinator.readSummary(unbegun)), { errorCode: 0, startOffset: -1 })
  const refused = { ...unknownCode, startOffset: 0 }
  t.match(await soleOf(story, coordinator.readSummary(unknown)), refused, 'nothing is known')
  story.log.failure = new Error('no disk')
  t.match(await write(story, [batch(0, 3)]), {
    errorCode: errors.UNKNOWN_SERVER_ERROR.code,
    errorMessage: 'Unable to write share group state: no disk',
  })
  story.log.failure = null
  t.match(await read(story, 0), { stateBatches: [] }, 'what was refused was taken back')
  coordinator.onResignation(0)
  t.match(await read(story, 0), { errorCode: errors.NOT_COORDINATOR.code, stateBatches: [] })
})

t.test('deleted state is gone, and that of deleted topics', async (t) => {
  const story = start()
  await story.world.run(story.loaded)
  const { coordinator, world } = story
  await initialize(story, 1)
  await world.run(coordinator.initialize(one({ stateEpoch: 1, startOffset: 0 }, goneId)))
  await soleOf(story, coordinator.delete(one({})))
  await soleOf(story, coordinator.delete(one({})))
  t.strictSame(recorded(story), ['Snapshot 0', 'Snapshot 0', 'Snapshot gone'])
  const gone = { created: new Set(''), changed: new Set(''), deleted: new Map([[goneId, 'gone']]) }
  await world.run(coordinator.onTopicsChanged(gone))
  t.strictSame(recorded(story).at(-1), 'Snapshot gone')
  t.equal(recorded(story).length, 4)
  t.match(await read(story, 0), { errorCode: errors.INVALID_REQUEST.code })
})

t.test('redundant records are deleted, never one that is needed', async (t) => {
  const story = start()
  const { coordinator, world, log } = story
  await world.run(story.loaded)
  await initialize(story, 1)
  await world.run(coordinator.initialize(one({ partition: 1, stateEpoch: 1, startOffset: 0 })))
  for (let offset = 0; offset < 8; offset++) await write(story, [batch(offset, offset)])
  await world.runFor(intervalMs + 1000)
  t.equal(log.prunedOffset, 1, 'the second partition needs its snapshot')
  await world.runFor(2 * intervalMs)
  const cold = recorded(story).filter((each) => each.startsWith('Snapshot')).length
  t.equal(cold, 6, 'both were recorded again: two of the first beside two changes')
  t.ok(log.prunedOffset > 8)
  const needed = new PrunableMemoryLog()
  needed.logEndOffset = log.logEndOffset
  const keeps = Object.assign(needed, { logStartOffset: log.prunedOffset })
  keeps.batches.push(...log.batches.filter((bytes) => bytes.readBigInt64BE(0) >= log.prunedOffset))
  const restarted = start(keeps)
  await restarted.world.run(restarted.loaded)
  t.strictSame(await read(restarted, 0), await read(story, 0))
})

t.test('keys are told from other texts', async (t) => {
  for (const key of [`g:${topicId}:0`, `g:h:${topicId}:17`, `a b:${topicId}:1`]) {
    t.ok(isCoordinatorKey(key), key)
  }
  for (const key of ['', 'g', `:${topicId}:0`, ` :${topicId}:0`, `g:${topicId}:x`, 'g:short:0']) {
    t.notOk(isCoordinatorKey(key), key)
  }
})

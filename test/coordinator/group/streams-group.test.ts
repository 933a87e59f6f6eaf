/** Stories of streams groups (KIP-1071); after each, the log tells a new coordinator the same. */
import t, { type Test } from 'tap'
import type { GroupCoordinatorConfig } from '../../../src/coordinator/group/config.ts'
import { randomFrom } from '../../protocol/generated-values.ts'
import { nameOf } from './consumer-story.ts'
import {
  describeStreams,
  info,
  type StoryStreams as Member,
  StoryStreams,
  StreamsStory,
  settleStreams,
  subtopology,
  type TopologyValue,
  wordCount,
} from './streams-story.ts'

async function replay(t: Test, story: StreamsStory, groupId = 'g'): Promise<void> {
  const other = await story.restarted()
  const live = await describeStreams(story, story.groups, groupId)
  t.same(await describeStreams(story, other, groupId), live, 'the log tells the same')
  other.close()
}

function storyWith(
  topics: Record<string, number>,
  overrides: Partial<GroupCoordinatorConfig> = {},
): StreamsStory {
  const story = new StreamsStory(overrides)
  for (const [name, count] of Object.entries(topics)) story.topics.create(name, count)
  return story
}

/** Each task with one of the members. */
function checkWhole(t: Test, members: readonly Member[], expected: readonly string[]): void {
  const all = members.flatMap((member) => member.tasks())
  t.same(all.sort(), [...expected].sort(), 'each task is with one member')
}

const four = ['0_0', '0_1', '1_0', '1_1']
const codesOf = (response: { status?: readonly { statusCode: number }[] | null | undefined }) =>
  response.status?.map(({ statusCode }) => statusCode)

t.test('topics are made, tasks are shared, members go', async (t) => {
  const story = storyWith({ lines: 2 })
  const a = new StoryStreams(story, 'a')
  const b = new StoryStreams(story, 'b')
  const joined = await a.join()
  t.match(joined, { errorCode: 0, memberEpoch: 2, heartbeatIntervalMs: 5000, activeTasks: [] })
  t.match(joined.status, [
    { statusCode: 3, statusDetail: 'Internal topics are missing: counts, words' },
  ])
  t.same(a.missing, [
    info('counts', 2, { 'cleanup.policy': 'compact' }),
    info('words', 2, { 'cleanup.policy': 'delete' }),
  ])
  t.match(await describeStreams(story), { groupState: 'NotReady', groupEpoch: 2 })
  await replay(t, story)
  await story.make(a.missing)
  t.same((await a.beat()).status, [])
  t.same(a.tasks(), four)
  const described = await describeStreams(story)
  t.match(described, { groupState: 'Stable', groupEpoch: 3, assignmentEpoch: 3 })
  t.match(described.topology?.subtopologies?.[1], {
    subtopologyId: '1',
    stateChangelogTopics: [{ name: 'counts', partitions: 2 }],
    repartitionSourceTopics: [{ name: 'words', partitions: 2 }],
  })
  await b.join()
  t.same(b.tasks(), [], 'a holds everything still')
  t.match(await describeStreams(story), { groupState: 'Reconciling' })
  await a.beat()
  t.equal(a.epoch, 3, 'it stays in its epoch until it gave up what it lost')
  t.equal(a.tasks().length, 2)
  await replay(t, story)
  await settleStreams([a, b])
  t.same([a.epoch, b.epoch], [4, 4])
  checkWhole(t, [a, b], four)
  await replay(t, story)
  t.equal(await a.leave(), 'NONE')
  await settleStreams([b])
  t.same(b.tasks(), four)
  await b.leave()
  t.match(await describeStreams(story), { groupState: 'Empty', members: [] })
  await replay(t, story)
  const listed = await story.now(story.groups.listGroups({ statesFilter: [], typesFilter: [] }))
  t.match(listed.groups, [{ groupType: 'streams', protocolType: 'streams', groupState: 'Empty' }])
  const { results } = await story.now(story.groups.deleteGroups(['g']))
  t.same(results[0]?.errorCode, 0)
  t.match(await describeStreams(story), { errorCode: 69, errorMessage: 'Group g not found.' })
  await replay(t, story)
})

t.test('the first target waits for more members', async (t) => {
  const story = storyWith({ lines: 2, words: 2, counts: 2 })
  story.settings['streams.initial.rebalance.delay.ms'] = 3000
  const [a, b] = [new StoryStreams(story, 'a'), new StoryStreams(story, 'b')]
  const response = await a.join()
  t.same(codesOf(response), [5])
  t.match(response, { memberEpoch: 1, activeTasks: [] })
  t.same(codesOf(await b.join()), [5])
  t.match(await describeStreams(story), { groupState: 'Assigning', assignmentEpoch: 1 })
  await story.pass(2900)
  t.same(codesOf(await a.beat()), [5])
  await story.pass(200)
  t.match(await describeStreams(story), { groupEpoch: 3, assignmentEpoch: 3 })
  await settleStreams([a, b])
  t.same([a.tasks().length, b.tasks().length], [2, 2], 'nothing had to move')
  checkWhole(t, [a, b], four)
  await replay(t, story)
  await a.leave()
  await b.leave()
  t.same(codesOf(await a.join()), [5], 'again, when the group was empty')
  await a.leave()
  await story.pass(3100)
  t.equal((await describeStreams(story)).groupState, 'Empty', 'nobody is there when it ends')
})

t.test('what hinders an application', async (t) => {
  const story = storyWith({ words: 3 })
  const a = new StoryStreams(story, 'a')
  t.match((await a.join()).status, [
    { statusCode: 1, statusDetail: 'Source topics lines are missing.' },
  ])
  t.same(a.missing, [])
  await story.createTopic('lines', 2)
  t.match((await a.beat()).status, [
    {
      statusCode: 2,
      statusDetail: 'Existing topic words has different number of partitions: expected 2, found 3',
    },
  ])
  t.equal((await describeStreams(story)).groupState, 'NotReady')
  t.match((await describeStreams(story)).topology, { epoch: 0, subtopologies: [{}, {}] })
  await story.deleteTopics('words')
  t.same(codesOf(await a.beat()), [3])
  await settleStreams([a])
  t.same(a.tasks(), four)
  await story.deleteTopics('lines')
  t.same(codesOf(await a.beat()), [1])
  t.same(a.tasks(), [], 'what cannot run is taken away')
  await story.createTopic('lines', 2)
  await settleStreams([a])
  t.same(a.tasks(), four)
  await replay(t, story)
  const other = { ...wordCount, subtopologies: wordCount.subtopologies.slice(0, 1) }
  const b = new StoryStreams(story, 'b', { topology: other })
  t.equal(await b.joinError(), 'INVALID_REQUEST', 'a topology stays what it is')
  t.equal(await b.joinError({ topology: { ...wordCount, epoch: 1 } }), 'INVALID_REQUEST')
  t.equal((await describeStreams(story)).members.length, 1)
})

t.test('who comes with an older topology is told so, and runs what there is', async (t) => {
  const story = storyWith({ lines: 2, words: 2, counts: 2 })
  const a = new StoryStreams(story, 'a', { topology: { ...wordCount, epoch: 3 } })
  await a.join()
  const b = new StoryStreams(story, 'b')
  t.match((await b.join()).status, [{ statusCode: 0 }])
  await settleStreams([a, b])
  checkWhole(t, [a, b], four)
  t.same(codesOf(await b.beat()), [0])
  t.same(
    (await describeStreams(story)).members.map(({ topologyEpoch }) => topologyEpoch),
    [3, 0],
  )
  await replay(t, story)
})

t.test('standbys keep away from the process that runs the task', async (t) => {
  const story = storyWith({ lines: 2, words: 2, counts: 2 })
  story.settings['streams.num.standby.replicas'] = 1
  const a1 = new StoryStreams(story, 'a1', { processId: 'a' })
  const a2 = new StoryStreams(story, 'a2', { processId: 'a' })
  const b = new StoryStreams(story, 'b', { processId: 'b' })
  for (const member of [a1, a2, b]) await member.join()
  await settleStreams([a1, a2, b])
  checkWhole(t, [a1, a2, b], four)
  const standbysOf = (members: Member[]) => members.flatMap((member) => member.tasks('standby'))
  const stateful = (members: Member[]) =>
    members.flatMap((member) => member.tasks()).filter((task) => task.startsWith('1_'))
  t.same(standbysOf([b]).sort(), stateful([a1, a2]).sort(), 'the other process has the copies')
  t.same(standbysOf([a1, a2]).sort(), stateful([b]).sort())
  await replay(t, story)
  await b.leave()
  await settleStreams([a1, a2])
  checkWhole(t, [a1, a2], four)
  t.same(standbysOf([a1, a2]), [], 'nobody is left who could have one')
  story.settings['streams.num.standby.replicas'] = 0
  const { groupEpoch } = await describeStreams(story)
  await settleStreams([a1, a2])
  t.equal((await describeStreams(story)).groupEpoch, groupEpoch + 1, 'a setting is a reason too')
  await replay(t, story)
})

t.test('a task is given to a process only after its copy there is closed', async (t) => {
  const story = storyWith({ lines: 1, words: 1, counts: 1 })
  story.settings['streams.num.standby.replicas'] = 1
  const [a, b] = [new StoryStreams(story, 'a'), new StoryStreams(story, 'b')]
  await a.join()
  await b.join()
  await settleStreams([a, b])
  const keeper = a.tasks('standby').length > 0 ? a : b
  const runner = keeper === a ? b : a
  t.same(keeper.tasks('standby'), ['1_0'])
  keeper.isSlow = true
  await runner.leave()
  const told = await keeper.beat()
  t.same(told.standbyTasks, [], 'it is to close its standby')
  t.match(told, { activeTasks: [{ subtopologyId: '0' }] })
  keeper.isSlow = false
  await settleStreams([keeper])
  t.same([keeper.tasks().sort(), keeper.tasks('standby')], [['0_0', '1_0'], []])
  await replay(t, story)
})

t.test('who is silent, or keeps what it lost, is out', async (t) => {
  const story = storyWith({ lines: 2, words: 2, counts: 2 })
  const [a, b] = [new StoryStreams(story, 'a'), new StoryStreams(story, 'b')]
  await a.join()
  await b.join()
  a.isSlow = true
  await a.beat()
  for (let second = 0; second < 70; second += 10) {
    await story.pass(10_000)
    if (second < 50) await a.beat()
    await b.beat()
  }
  t.equal(await a.beatError(), 'UNKNOWN_MEMBER_ID', 'a minute was its rebalance timeout')
  await settleStreams([b])
  t.same(b.tasks(), four)
  await story.pass(46_000)
  t.equal(await b.beatError(), 'UNKNOWN_MEMBER_ID')
  t.equal((await describeStreams(story)).groupState, 'Empty')
  await replay(t, story)
})

t.test('epochs: who is behind, ahead, or repeats itself', async (t) => {
  const story = storyWith({ lines: 2, words: 2, counts: 2 })
  const [a, b] = [new StoryStreams(story, 'a'), new StoryStreams(story, 'b')]
  t.equal(await a.beatError({ memberEpoch: 3 }), 'GROUP_ID_NOT_FOUND')
  await a.join()
  t.equal(await b.beatError({ memberEpoch: 3 }), 'UNKNOWN_MEMBER_ID')
  t.equal(await a.beatError({ memberEpoch: 9 }), 'FENCED_MEMBER_EPOCH')
  await b.join()
  await settleStreams([a, b])
  const none = { activeTasks: [], standbyTasks: [], warmupTasks: [] }
  const before = { memberEpoch: a.epoch - 1, ...none }
  t.match(await a.beat(before), { errorCode: 0, memberEpoch: 3 }, 'the answer may have been lost')
  const all = [{ subtopologyId: '0', partitions: [0, 1] }]
  t.equal(await a.beatError({ ...before, activeTasks: all }), 'FENCED_MEMBER_EPOCH')
  t.equal(
    await a.beatError({ activeTasks: [{ subtopologyId: '7', partitions: [] }] }),
    'INVALID_REQUEST',
  )
  t.equal(
    await a.beatError({ activeTasks: [{ subtopologyId: '0', partitions: [2] }] }),
    'INVALID_REQUEST',
  )
  t.match(await a.join(), { errorCode: 0, memberEpoch: 3 }, 'to start over is always allowed')
  await replay(t, story)
})

t.test('requests that make no sense', async (t) => {
  const story = storyWith({ lines: 2 }, { groupStreamsMaxSize: 1 })
  const a = new StoryStreams(story, 'a')
  const withSubtopologies = (...subtopologies: TopologyValue['subtopologies']) => ({
    topology: { epoch: 0, subtopologies },
  })
  const cases: readonly (readonly [string, Parameters<Member['join']>[0], RegExp?])[] = [
    ['INVALID_REQUEST', { memberId: ' ' }, /MemberId/],
    ['INVALID_REQUEST', { groupId: '' }, /GroupId/],
    ['INVALID_REQUEST', { rackId: '' }, /RackId/],
    ['INVALID_REQUEST', { instanceId: 'i' }, /Static membership is not yet supported/],
    ['INVALID_REQUEST', { memberEpoch: -2 }, /InstanceId can't be null/],
    ['INVALID_REQUEST', { memberEpoch: -3, topology: null }, /greater than or equal to -2/],
    ['INVALID_REQUEST', { memberEpoch: 1 }, /Topology can only be provided/],
    ['INVALID_REQUEST', { rebalanceTimeoutMs: -1 }, /RebalanceTimeoutMs/],
    ['INVALID_REQUEST', { topology: null }, /Topology must be non-null/],
    ['INVALID_REQUEST', { activeTasks: null }, /ActiveTasks must be empty/],
    ['INVALID_REQUEST', { memberEpoch: 1, topology: null, standbyTasks: null }, /one task-type/],
    ['INVALID_REQUEST', { taskOffsets: [] }, /TaskOffsets/],
    ['INVALID_REQUEST', { taskEndOffsets: [] }, /TaskEndOffsets/],
    ['INVALID_REQUEST', { warmupTasks: [{ subtopologyId: '0', partitions: [0] }] }, /WarmupTasks/],
    [
      'INVALID_REQUEST',
      withSubtopologies(subtopology('0', { sourceTopicRegex: ['.*'] })),
      /Regular/,
    ],
    [
      'STREAMS_INVALID_TOPOLOGY',
      withSubtopologies(subtopology('0', { stateChangelogTopics: [info('c', 4)] })),
      /Changelog topic c must have an undefined partition count, but it is set to 4/,
    ],
    ['STREAMS_INVALID_TOPOLOGY', withSubtopologies(subtopology('0'), subtopology('0')), /same id/],
    ['STREAMS_INVALID_TOPOLOGY', withSubtopologies(subtopology('0')), /No source topics/],
    ['STREAMS_INVALID_TOPOLOGY', { topology: { epoch: -1, subtopologies: [] } }, /non-negative/],
    [
      'STREAMS_INVALID_TOPOLOGY',
      withSubtopologies(
        ...Array.from({ length: 1001 }, (_, at) =>
          subtopology(`${at}`, { sourceTopics: ['lines'] }),
        ),
      ),
      /At most 1000/,
    ],
    [
      'STREAMS_INVALID_TOPOLOGY',
      withSubtopologies(subtopology('0', { repartitionSourceTopics: [info('r', 300_000)] })),
      /300000 tasks/,
    ],
    [
      'STREAMS_INVALID_TOPOLOGY',
      withSubtopologies(
        subtopology('0', {
          sourceTopics: ['lines'],
          copartitionGroups: [
            { sourceTopics: [7], sourceTopicRegex: [], repartitionSourceTopics: [] },
          ],
        }),
      ),
      /names no topic of it/,
    ],
  ]
  for (const [error, overrides, message] of cases) {
    const response = await a.join(overrides)
    t.equal(nameOf(response.errorCode), error, `${message}`)
    t.match(response.errorMessage, message ?? /./)
  }
  t.match(await describeStreams(story), { errorCode: 69 }, 'nothing came of it')
  t.match(await describeStreams(story, story.groups, ''), { errorCode: 24 })
  await a.join()
  t.equal(await new StoryStreams(story, 'b').joinError(), 'GROUP_MAX_SIZE_REACHED')
})

t.test('endpoints: who can be asked about what', async (t) => {
  const story = storyWith({ lines: 2, words: 2, counts: 2 })
  const a = new StoryStreams(story, 'a', { endpoint: { host: 'a.example', port: 80 } })
  const b = new StoryStreams(story, 'b', { endpoint: { host: 'b.example', port: 81 } })
  await a.join()
  t.match(a.endpoints, [
    {
      userEndpoint: { host: 'a.example', port: 80 },
      activePartitions: [
        { topic: 'lines', partitions: [0, 1] },
        { topic: 'words', partitions: [0, 1] },
      ],
      standbyPartitions: [],
    },
  ])
  await b.join()
  await settleStreams([a, b])
  await a.beat()
  t.equal(a.endpointEpoch, b.endpointEpoch)
  const told = a.endpoints ?? []
  const partitions = told.flatMap(({ activePartitions }) =>
    activePartitions.flatMap((each) => each.partitions.map((index) => `${each.topic}-${index}`)),
  )
  t.same(partitions.sort(), ['lines-0', 'lines-1', 'words-0', 'words-1'])
  t.equal((await a.beat()).partitionsByUserEndpoint, null, 'what it knows it is not told again')
  const { endpointEpoch } = a
  story.log.failure = new Error('the disk is gone')
  t.not(await b.joinError({ processId: 'p-other' }), 'NONE')
  story.log.failure = null
  await a.beat()
  t.equal(a.endpointEpoch, endpointEpoch, 'what was not recorded moves nothing')
  await replay(t, story)
})

t.test('one asks all to shut down', async (t) => {
  const story = storyWith({ lines: 2, words: 2, counts: 2 })
  const [a, b] = [new StoryStreams(story, 'a'), new StoryStreams(story, 'b')]
  await a.join()
  await b.join()
  t.equal(await a.leave({ shutdownApplication: true }), 'NONE')
  t.match((await b.beat()).status, [{ statusCode: 4, statusDetail: /member a encountered/ }])
  await b.leave({ shutdownApplication: true })
  t.same((await b.join()).status, [], 'and when all did, it is over')

  story.log.failure = new Error('the disk is gone')
  t.not(await a.joinError({ shutdownApplication: true }), 'NONE')
  story.log.failure = null
  t.same((await b.beat()).status, [], 'who could not be recorded has asked for nothing')
  const { status } = await b.beat({ shutdownApplication: true })
  t.match(status, [{ statusCode: 4, statusDetail: /member b encountered/ }], 'told at once')
  await a.join()
  t.match((await a.beat({ shutdownApplication: true })).status, [{ statusDetail: /member b / }])
})

t.test('offsets: who may commit, and for what', async (t) => {
  const story = storyWith({ lines: 2, words: 2, counts: 2, other: 1 })
  const [a, b] = [new StoryStreams(story, 'a'), new StoryStreams(story, 'b')]
  await a.join()
  const commit = (member: Member, epoch: number, topic: string, partition: number, version = 9) =>
    story
      .commitError(
        { memberId: member.memberId, generationIdOrMemberEpoch: epoch, topic, partition },
        version,
      )
      .then((code) => nameOf(code))
  t.equal(await commit(a, 2, 'lines', 0), 'NONE')
  t.equal(await commit(a, 3, 'lines', 0), 'STALE_MEMBER_EPOCH')
  t.equal(await commit(b, 2, 'lines', 0), 'UNKNOWN_MEMBER_ID')
  t.equal(await commit(a, 2, 'lines', 0, 8), 'UNSUPPORTED_VERSION')
  await b.join()
  await settleStreams([a, b])
  const kept = Number(a.owned.active['0']?.[0] ?? -1)
  t.equal(await commit(a, 2, 'lines', kept), 'NONE', 'of what it kept, in the older epoch too')
  t.equal(await commit(a, 2, 'lines', 1 - kept), 'STALE_MEMBER_EPOCH')
  t.equal(await commit(a, 2, 'other', 0), 'STALE_MEMBER_EPOCH')
  const deletion = (name: string) =>
    story.groups.deleteOffsets({
      groupId: 'g',
      topics: [{ name, partitions: [{ partitionIndex: 0 }] }],
    })
  const code = async (name: string) =>
    nameOf((await story.now(deletion(name))).topics[0]?.partitions[0]?.errorCode)
  t.equal(await code('lines'), 'GROUP_SUBSCRIBED_TO_TOPIC')
  t.equal(await code('counts'), 'NONE', 'nobody reads a changelog by its offsets')
  await a.leave()
  await b.leave()
  t.equal(await code('lines'), 'NONE')
  await replay(t, story)
})

t.test('groups of other types', async (t) => {
  const story = storyWith({ lines: 2, words: 2, counts: 2 })
  const classic = story.member({ groupId: 'g' })
  await story.stable(classic)
  const a = new StoryStreams(story, 'a')
  t.equal(await a.joinError(), 'GROUP_ID_NOT_FOUND')
  await classic.leave()
  t.equal(await a.joinError(), 'NONE', 'an empty one is replaced')
  t.match(await describeStreams(story), { groupState: 'Stable' })
  await replay(t, story)
  const refused = story.member({ groupId: 'g' }).join()
  await story.pass(10)
  t.equal(nameOf(refused.value?.errorCode), 'INCONSISTENT_GROUP_PROTOCOL')
  await a.leave()
  const next = story.member({ groupId: 'g' })
  await story.stable(next)
  t.equal(await story.state(), 'Stable', 'and so is an empty group of ours')
  t.equal(await a.joinError(), 'GROUP_ID_NOT_FOUND')
})

t.test('what the log refuses never was', async (t) => {
  const story = storyWith({ lines: 2, words: 2, counts: 2 })
  const [a, b] = [new StoryStreams(story, 'a'), new StoryStreams(story, 'b')]
  await a.join()
  const before = await describeStreams(story)
  story.log.failure = new Error('the disk is gone')
  t.not(await b.joinError(), 'NONE')
  story.log.failure = null
  t.same(await describeStreams(story), before)
  await b.join()
  await settleStreams([a, b])
  checkWhole(t, [a, b], four)
  await replay(t, story)
})

t.test('random histories: no task is ever with two, and the log tells the same', async (t) => {
  for (let seed = 1; seed <= 6; seed++) {
    const random = randomFrom(seed)
    const story = storyWith({ lines: 5 })
    story.settings['streams.num.standby.replicas'] = seed % 3
    const members = Array.from(
      { length: 5 },
      (_, at) => new StoryStreams(story, `m${at}`, { processId: `p${at % 3}` }),
    )
    const inGroup = new Set<Member>()
    for (let step = 0; step < 60; step++) {
      const member = members[random(members.length)] as Member
      const dice = random(10)
      if (!inGroup.has(member)) {
        await member.join()
        inGroup.add(member)
      } else if (dice === 0) {
        await member.leave()
        member.owned = { active: {}, standby: {}, warmup: {} }
        inGroup.delete(member)
      } else {
        member.isSlow = dice >= 8
        await member.beat()
      }
      await story.make(member.missing)
      const tasks = [...inGroup].flatMap((each) => each.tasks())
      t.equal(new Set(tasks).size, tasks.length, 'no task is with two')
    }
    await replay(t, story)
    for (const member of inGroup) member.isSlow = false
    await settleStreams([...inGroup], 40)
    if (inGroup.size > 0) t.equal([...inGroup].flatMap((each) => each.tasks()).length, 10)
    await replay(t, story)
  }
})

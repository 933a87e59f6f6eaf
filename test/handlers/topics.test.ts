import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { zeroUuid } from '../../protocol/types.ts'
import { newTopic } from '../metadata/metadata-node.ts'
import { openAdmin } from './admin-node.ts'

const none = { topics: [], timeoutMs: 1000, validateOnly: false }

t.test('CreateTopics refuses as Kafka does, word for word', async (t) => {
  const { ask } = await openAdmin()
  const long = 'x'.repeat(250)
  const charset = 'contains one or more characters other than ASCII alphanumerics, '
  const manual = 'A manual partition assignment was specified, but '
  const included = 'The manual partition assignment includes '
  const cases: [ReturnType<typeof newTopic>, number, string][] = [
    [newTopic(''), 17, 'Topic name is invalid: the empty string is not allowed'],
    [newTopic('.'), 17, "Topic name is invalid: '.' is not allowed"],
    [newTopic('..'), 17, "Topic name is invalid: '..' is not allowed"],
    [newTopic('a b'), 17, `Topic name is invalid: 'a b' ${charset}'.', '_' and '-'`],
    [newTopic('ä'), 17, `Topic name is invalid: 'ä' ${charset}'.', '_' and '-'`],
    [
      newTopic(long),
      17,
      `Topic name is invalid: the length of '${long}' is longer than the max allowed length 249`,
    ],
    [
      newTopic('__cluster_metadata'),
      42,
      'Creation of internal topic __cluster_metadata is prohibited.',
    ],
    [newTopic('k_l'), 17, "Topic 'k_l' collides with existing topic: k.l"],
    [newTopic('k.l'), 36, "Topic 'k.l' already exists."],
    [
      newTopic('b', { partitions: 1, replicas: 2 }),
      38,
      'Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be ' +
        'reached because only 1 broker(s) are registered or some brokers have all their log ' +
        'directories cordoned.',
    ],
    [
      newTopic('b', { partitions: 1, replicas: 0 }),
      38,
      'Replication factor must be larger than 0, or -1 to use the default value.',
    ],
    [
      newTopic('b', { partitions: 0 }),
      37,
      'Number of partitions was set to an invalid non-positive value.',
    ],
    [
      newTopic('f', { assignments: { 0: [1], 2: [1] } }),
      39,
      'partitions should be a consecutive 0-based integer sequence',
    ],
    [
      newTopic('f', { assignments: { 0: [2] } }),
      39,
      `${included}broker 2, but no such broker is registered.`,
    ],
    [newTopic('f', { assignments: { 0: [] } }), 39, `${included}an empty replica list.`],
    [newTopic('f', { assignments: { 0: [1, 1] } }), 39, `${included}the broker 1 more than once.`],
    [
      newTopic('f', { replicas: 1, assignments: { 0: [1] } }),
      42,
      `${manual}replication factor was not set to -1.`,
    ],
    [
      newTopic('f', { partitions: 1, assignments: { 0: [1] } }),
      42,
      `${manual}numPartitions was not set to -1.`,
    ],
    [newTopic('g', { configs: { nope: '1' } }), 40, 'Unknown topic config name: nope'],
    [
      newTopic('g', { configs: { 'retention.ms': null } }),
      40,
      'Null value not supported for topic configs: retention.ms',
    ],
    [
      newTopic('g', { configs: { 'retention.ms': 'x' } }),
      40,
      'Invalid value x for configuration retention.ms: Not a number of type LONG',
    ],
    [
      newTopic('g', { configs: { 'min.compaction.lag.ms': '10', 'max.compaction.lag.ms': '5' } }),
      40,
      'conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)',
    ],
    [
      newTopic('g', { configs: { 'remote.storage.enable': 'true' } }),
      40,
      'Tiered Storage functionality is disabled in the broker. Topic cannot be configured with ' +
        'remote log storage.',
    ],
  ]
  await ask(apis.createTopics, 7, { ...none, topics: [newTopic('k.l')] })
  for (const [topic, code, message] of cases) {
    const { topics } = await ask(apis.createTopics, 7, { ...none, topics: [topic] })
    t.strictSame(
      topics.map((one) => [one.errorCode, one.errorMessage]),
      [[code, message]],
    )
  }
})

t.test('what has no time is not begun, be it right or wrong', async (t) => {
  const { ask, metadata } = await openAdmin()
  await ask(apis.createTopics, 7, { ...none, topics: [newTopic('kept')] })
  const errorCode = errors.REQUEST_TIMED_OUT.code
  for (const timeoutMs of [0, -1]) {
    const topics = [newTopic('late'), newTopic('bad name!')]
    t.match(await ask(apis.createTopics, 7, { ...none, timeoutMs, topics }), {
      topics: [{ errorCode }, { errorCode }],
    })
    const more = [{ name: 'kept', count: 9, assignments: null }]
    const grown = { timeoutMs, topics: more, validateOnly: false }
    t.match(await ask(apis.createPartitions, 3, grown), { results: [{ errorCode }] })
    t.match(await ask(apis.deleteTopics, 5, { timeoutMs, topicNames: ['kept', 'missing'] }), {
      responses: [{ errorCode }, { errorCode }],
    })
    const both = { name: 'kept', topicId: 'AAAAAAAAAAAAAAAAAAAABQ' }
    const unclear = { timeoutMs, topics: [both, { name: null, topicId: zeroUuid }] }
    t.match(await ask(apis.deleteTopics, 6, unclear), {
      responses: [
        { errorCode: errors.INVALID_REQUEST.code },
        { errorCode: errors.INVALID_REQUEST.code },
      ],
    })
    t.same(await ask(apis.createTopics, 7, { ...none, timeoutMs, topics: [] }), {
      throttleTimeMs: 0,
      topics: [],
    })
  }
  t.equal(metadata.image.topics.byName.get('kept')?.partitions.length, 1)
  t.notOk(metadata.image.topics.byName.has('late'))
})

t.test('CreateTopics: defaults, settings in the answer, duplicates, validation only', async (t) => {
  const { ask, metadata } = await openAdmin({ 'num.partitions': '4' })
  const created = await ask(apis.createTopics, 7, {
    ...none,
    topics: [
      newTopic('a', { configs: { 'retention.ms': '1000' } }),
      newTopic('twice'),
      newTopic('twice'),
      newTopic('by.hand', { assignments: { 1: [1], 0: [1] } }),
    ],
  })
  const [a, byHand, twice] = created.topics
  t.match(a, { errorCode: 0, errorMessage: null, numPartitions: 4, replicationFactor: 1 })
  t.equal(a?.topicId, metadata.image.topics.byName.get('a')?.id)
  const retention = a?.configs?.find(({ name }) => name === 'retention.ms')
  t.match(retention, { value: '1000', configSource: 1, readOnly: false, isSensitive: false })
  const policy = a?.configs?.find(({ name }) => name === 'cleanup.policy')
  t.match(policy, { value: 'delete', configSource: 5 })
  t.match(byHand, { name: 'by.hand', errorCode: 0, numPartitions: 2 })
  t.match(twice, { name: 'twice', errorCode: 42, errorMessage: 'Duplicate topic name.' })
  t.equal(created.topics.length, 3)

  const validateOnly = { ...none, topics: [newTopic('v')], validateOnly: true }
  t.match(await ask(apis.createTopics, 1, validateOnly), { topics: [{ errorCode: 0 }] })
  t.notOk(metadata.image.topics.byName.has('v'))
  t.match(await ask(apis.createTopics, 0, { ...none, topics: [newTopic('old')] }), {
    topics: [{ name: 'old', errorCode: 0 }],
  })
  const huge = newTopic('huge', { partitions: 10_001 })
  t.match(await ask(apis.createTopics, 7, { ...none, topics: [huge] }), {
    topics: [
      { errorCode: 44, errorMessage: 'Unable to perform excessively large batch operation.' },
    ],
  })
})

t.test('DeleteTopics by name and by id', async (t) => {
  const { ask, metadata } = await openAdmin()
  const topics = ['a', 'b', 'c', 'd'].map((name) => newTopic(name))
  await ask(apis.createTopics, 7, { ...none, topics })
  const idOf = (name: string) => metadata.image.topics.byName.get(name)?.id ?? ''
  const unknown = 'MMMMMMMMTMmMMMMMMMMMMA'
  const deleted = await ask(apis.deleteTopics, 6, {
    timeoutMs: 1000,
    topics: [
      { name: 'a' },
      { name: null, topicId: idOf('b') },
      { name: 'zz' },
      { name: null, topicId: unknown },
      { name: null },
      { name: 'c', topicId: idOf('c') },
      { name: 'c' },
      { name: null, topicId: idOf('c') },
      { name: 'd' },
      { name: 'd' },
    ] as never,
  })
  const outcomes = deleted.responses.map((one) => [one.name, one.errorCode, one.errorMessage])
  for (const expected of [
    ['a', 0, null],
    ['b', 0, null],
    ['zz', 3],
    [null, 100],
    [null, 42, 'Neither topic name nor id were specified.'],
    ['c', 42, 'You may not specify both topic name and topic id.'],
    ['c', 42, 'The provided topic name maps to an ID that was already supplied.'],
    ['d', 42, 'Duplicate topic name.'],
  ]) {
    const found = outcomes.some((one) => expected.every((part, index) => one[index] === part))
    t.ok(found, JSON.stringify(expected))
  }
  t.equal(outcomes.length, 8)
  t.strictSame([...metadata.image.topics.byName.keys()].sort(), ['c', 'd'])
  const old = await ask(apis.deleteTopics, 1, { timeoutMs: 1000, topicNames: ['c'] })
  t.match(old.responses, [{ name: 'c', errorCode: 0 }])

  const disabled = await openAdmin({ 'delete.topic.enable': 'false' })
  const request = { timeoutMs: 1000, topicNames: ['c'] }
  t.match(await disabled.ask(apis.deleteTopics, 5, request), { responses: [{ errorCode: 73 }] })
  t.match(await disabled.ask(apis.deleteTopics, 2, request), { responses: [{ errorCode: 42 }] })
})

t.test('CreatePartitions only grows', async (t) => {
  const { ask, metadata } = await openAdmin()
  await ask(apis.createTopics, 7, { ...none, topics: [newTopic('a', { partitions: 3 })] })
  const grow = async (name: string, count: number, assignments: number[][] | null = null) => {
    const topic = { name, count, assignments: assignments?.map((brokerIds) => ({ brokerIds })) }
    const { results } = await ask(apis.createPartitions, 3, {
      ...none,
      topics: [{ ...topic, assignments: topic.assignments ?? null }],
    })
    return [results[0]?.errorCode, results[0]?.errorMessage]
  }
  t.strictSame(await grow('a', 3), [37, 'Topic already has 3 partition(s).'])
  t.strictSame(await grow('a', 2), [
    37,
    'The topic a currently has 3 partition(s); 2 would not be an increase.',
  ])
  t.equal((await grow('zz', 2))[0], 3)
  t.strictSame(await grow('a', 6, [[1]]), [
    39,
    'Attempted to add 3 additional partition(s), but only 1 assignment(s) were specified.',
  ])
  t.strictSame(await grow('a', 5, [[1], [1]]), [0, null])
  t.strictSame(await grow('a', 6), [0, null])
  t.strictSame(
    metadata.image.topics.byName.get('a')?.partitions.map(({ index }) => index),
    [0, 1, 2, 3, 4, 5],
  )
})

t.test('Metadata, in all the ways it can be asked', async (t) => {
  const { ask, metadata } = await openAdmin({ 'broker.rack': 'r1' })
  await ask(apis.createTopics, 7, { ...none, topics: [newTopic('a', { partitions: 2 })] })
  const id = metadata.image.topics.byName.get('a')?.id ?? ''
  const all = await ask(apis.metadata, 12, { topics: null })
  t.match(all, {
    brokers: [{ nodeId: 1, host: 'here.example', port: 29092 }],
    clusterId: '4L6g3nShT-eMCtK--X86sw',
    controllerId: 1,
    topics: [{ errorCode: 0, name: 'a', topicId: id, isInternal: false }],
  })
  t.strictSame(all.topics[0]?.partitions[1], {
    errorCode: 0,
    partitionIndex: 1,
    leaderId: 1,
    leaderEpoch: 0,
    replicaNodes: [1],
    isrNodes: [1],
    offlineReplicas: [],
  })
  t.equal(all.topics[0]?.topicAuthorizedOperations, -2147483648)
  t.equal((await ask(apis.metadata, 0, { topics: [] })).topics.length, 1, 'v0: empty is all')
  t.equal((await ask(apis.metadata, 1, { topics: [] })).topics.length, 0, 'later: empty is none')
  t.match(await ask(apis.metadata, 12, { topics: [{ topicId: id, name: null }] as never }), {
    topics: [{ name: 'a', errorCode: 0 }],
  })
  const unknown = { topicId: 'MMMMMMMMTMmMMMMMMMMMMA', name: null }
  t.match(await ask(apis.metadata, 12, { topics: [unknown] as never }), {
    topics: [{ name: null, errorCode: 100, topicId: unknown.topicId }],
  })
  t.match(await ask(apis.metadata, 10, { topics: [{ ...unknown, name: 'a' }] }), {
    topics: [{ errorCode: 42 }],
  })
  t.match(
    await ask(apis.metadata, 9, {
      topics: [{ name: 'a' }],
      includeTopicAuthorizedOperations: true,
      includeClusterAuthorizedOperations: true,
    } as never),
    { topics: [{ topicAuthorizedOperations: 3576 }], clusterAuthorizedOperations: 8096 },
  )
})

t.test('asking for a topic creates it where both sides allow it', async (t) => {
  const { ask, metadata } = await openAdmin({ 'num.partitions': '2' })
  const topics = [{ name: 'new' }, { name: 'b@d' }, { name: '__consumer_offsets' }] as never
  const asked = await ask(apis.metadata, 12, { topics, allowAutoTopicCreation: false })
  t.strictSame(
    asked.topics.map(({ errorCode }) => errorCode),
    [3, 17, 3],
  )
  t.equal(metadata.image.topics.byName.size, 0)

  const created = await ask(apis.metadata, 12, { topics, allowAutoTopicCreation: true })
  t.strictSame(
    created.topics.map(({ errorCode, partitions }) => [errorCode, partitions.length]),
    [
      [0, 2],
      [17, 0],
      [0, 50],
    ],
  )
  t.equal(created.topics[2]?.isInternal, true)
  t.strictSame(
    [...(metadata.image.configs.get(2)?.get('__consumer_offsets') ?? [])],
    [
      ['cleanup.policy', 'compact'],
      ['compression.type', 'producer'],
      ['segment.bytes', '104857600'],
    ],
  )
  t.equal(
    (await ask(apis.metadata, 3, { topics: [{ name: 'older' }] as never })).topics[0]?.errorCode,
    0,
  )

  const many = Array.from({ length: 10_001 }, (_, index) => ({ name: `one-of-many-${index}` }))
  const refused = await ask(apis.metadata, 3, { topics: many } as never)
  t.ok(refused.topics.every(({ errorCode }) => errorCode === 44))
  t.equal(refused.topics.length, many.length)
  t.notOk(metadata.image.topics.byName.has('one-of-many-0'), 'none of too many is made')

  const off = await openAdmin({ 'auto.create.topics.enable': 'false' })
  t.match(await off.ask(apis.metadata, 3, { topics: [{ name: 'x' }] as never }), {
    topics: [{ errorCode: 3 }],
  })
})

t.test('DescribeTopicPartitions goes page by page', async (t) => {
  const { ask } = await openAdmin()
  const topics = [newTopic('a', { partitions: 3 }), newTopic('b', { partitions: 2 })]
  await ask(apis.createTopics, 7, { ...none, topics })
  const seen: string[] = []
  let cursor: { topicName: string; partitionIndex: number } | null = null
  let pages = 0
  do {
    const page: Awaited<ReturnType<typeof ask<typeof apis.describeTopicPartitions>>> = await ask(
      apis.describeTopicPartitions,
      0,
      { topics: [], responsePartitionLimit: 2, cursor },
    )
    for (const { name, partitions } of page.topics) {
      for (const { partitionIndex } of partitions) seen.push(`${name}-${partitionIndex}`)
    }
    cursor = page.nextCursor
    pages++
  } while (cursor !== null)
  t.strictSame(seen, ['a-0', 'a-1', 'a-2', 'b-0', 'b-1'])
  t.equal(pages, 3)
  const named = { topics: [{ name: 'zz' }, { name: 'a' }], cursor: null }
  t.match(await ask(apis.describeTopicPartitions, 0, named), {
    topics: [
      { name: 'a', errorCode: 0, topicAuthorizedOperations: 3576 },
      { name: 'zz', errorCode: 3 },
    ],
  })
  const astray = { topics: [{ name: 'a' }], cursor: { topicName: 'b', partitionIndex: 0 } }
  t.match(await ask(apis.describeTopicPartitions, 0, astray), { topics: [{ errorCode: 42 }] })
})

/**
 * What administrators ask for beside topics and settings: users' passwords, quotas, delegation tokens,
 * leaders, reassignments, and brokers that go. All of it over the wire of a whole broker, which is killed
 * and must know it afterwards.
 */
import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { saltPassword, scramKeys, scramMechanisms } from '../../protocol/scram.ts'
import { OneBroker } from './one-broker.ts'

const NONE = errors.NONE.code
const host = 'admin'

t.test('keys of SCRAM are those of RFC 7677', async (t) => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  const salted = saltPassword('SCRAM-SHA-256', 'pencil', salt, 4096)
  const { storedKey, serverKey } = scramKeys('SCRAM-SHA-256', salted)
  t.equal(storedKey.toString('base64'), 'WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=')
  t.equal(serverKey.toString('base64'), 'wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=')
})

t.test("users' passwords", async (t) => {
  const broker = new OneBroker()
  await broker.start()
  const salt = Buffer.from('salt of one')
  const upsertion = (name: string, more = {}) => ({
    name,
    mechanism: scramMechanisms['SCRAM-SHA-512'],
    iterations: 8192,
    salt,
    saltedPassword: saltPassword('SCRAM-SHA-512', 'secret', salt, 8192),
    ...more,
  })
  const alter = async (input: { deletions?: object[]; upsertions?: object[] }) => {
    const request = { deletions: [], upsertions: [], ...input } as never
    const { results } = await broker.ask(host, apis.alterUserScramCredentials, request)
    return results.map(({ user, errorCode }) => [user, errorCode])
  }
  const describe = async (users: string[] | null) => {
    const request = { users: users?.map((name) => ({ name })) ?? null }
    const { results } = await broker.ask(host, apis.describeUserScramCredentials, request)
    return results.map(({ user, errorCode, credentialInfos }) => [user, errorCode, credentialInfos])
  }
  t.same(await describe(null), [])
  t.same(
    await alter({
      upsertions: [
        upsertion('alice'),
        upsertion('few', { iterations: 4095 }),
        upsertion('many', { iterations: 16_385 }),
        upsertion('strange', { mechanism: 9 }),
        upsertion('empty', { saltedPassword: Buffer.alloc(0) }),
        upsertion(''),
        upsertion('twice'),
        upsertion('twice'),
      ],
      deletions: [{ name: 'nobody', mechanism: 1 }],
    }),
    [
      ['nobody', errors.RESOURCE_NOT_FOUND.code],
      ['alice', NONE],
      ['few', errors.UNACCEPTABLE_CREDENTIAL.code],
      ['many', errors.UNACCEPTABLE_CREDENTIAL.code],
      ['strange', errors.UNSUPPORTED_SASL_MECHANISM.code],
      ['empty', errors.UNACCEPTABLE_CREDENTIAL.code],
      ['', errors.UNACCEPTABLE_CREDENTIAL.code],
      ['twice', errors.DUPLICATE_RESOURCE.code],
    ],
  )
  await broker.restart()
  const ofAlice = ['alice', NONE, [{ mechanism: 2, iterations: 8192 }]]
  t.same(await describe(null), [ofAlice], 'of alice alone, after a kill')
  t.same(await describe(['alice', 'bob', 'carol', 'carol']), [
    ofAlice,
    ['bob', errors.RESOURCE_NOT_FOUND.code, []],
    ['carol', errors.DUPLICATE_RESOURCE.code, []],
  ])
  t.same(await alter({ deletions: [{ name: 'alice', mechanism: 2 }] }), [['alice', NONE]])
  await broker.restart()
  t.same(await describe(null), [])
})

t.test('quotas', async (t) => {
  const broker = new OneBroker()
  await broker.start()
  const entityOf = (entity: Record<string, string | null>) =>
    Object.entries(entity).map(([entityType, entityName]) => ({ entityType, entityName }))
  const alter = async (
    entity: Record<string, string | null>,
    quotas: Record<string, number | null>,
    validateOnly = false,
  ) => {
    const ops = Object.entries(quotas).map(([key, value]) => ({
      key,
      value: value ?? 0,
      remove: value === null,
    }))
    const entries = [{ entity: entityOf(entity), ops }]
    const answer = await broker.ask(host, apis.alterClientQuotas, { entries, validateOnly })
    return answer.entries[0]?.errorMessage ?? answer.entries[0]?.errorCode
  }
  const describe = async (
    components: [string, number, string | null][],
    strict = false,
  ): Promise<unknown> => {
    const answer = await broker.ask(host, apis.describeClientQuotas, {
      components: components.map(([entityType, matchType, match]) => ({
        entityType,
        matchType,
        match,
      })),
      strict,
    })
    if (answer.errorCode !== NONE) return answer.errorMessage
    return (answer.entries ?? []).map(({ entity, values }) => [
      Object.fromEntries(entity.map(({ entityType, entityName }) => [entityType, entityName])),
      Object.fromEntries(values.map(({ key, value }) => [key, value])),
    ])
  }
  t.equal(await alter({ user: 'alice' }, { producer_byte_rate: 1024 }), NONE)
  t.equal(await alter({ user: 'alice', 'client-id': null }, { request_percentage: 12.5 }), NONE)
  t.equal(await alter({ user: null }, { consumer_byte_rate: 2048 }), NONE)
  t.equal(await alter({ ip: '10.0.0.7' }, { connection_creation_rate: 5 }), NONE)
  t.equal(await alter({ user: 'bob' }, { producer_byte_rate: 1 }, true), NONE, 'only validated')
  t.equal(await alter({ user: 'x' }, { a_rate: 1 }), 'Invalid configuration key a_rate')
  t.equal(
    await alter({ user: 'x' }, { producer_byte_rate: 0 }),
    'Quota producer_byte_rate must be greater than 0',
  )
  t.equal(
    await alter({ user: 'x' }, { producer_byte_rate: 1.5 }),
    'producer_byte_rate cannot be a fractional value.',
  )
  t.equal(
    await alter({ ip: 'x' }, { connection_creation_rate: 2 ** 31 }),
    'Proposed value for connection_creation_rate is too large for a INT.',
  )
  t.equal(await alter({ ip: '1.2.3' }, {}), '1.2.3 is not a valid IP or resolvable host.')
  t.match(await alter({ ip: 'x', user: 'y' }, {}), /Invalid quota entity combination/)
  t.equal(await alter({}, {}), 'Invalid empty client quota entity')
  t.equal(await alter({ user: '' }, {}), 'Empty user not supported')
  t.equal(await alter({ group: 'g' }, {}), 'Unhandled client quota entity type: group')
  await broker.restart()
  const alice = [{ user: 'alice' }, { producer_byte_rate: 1024 }]
  const clients = [{ user: 'alice', 'client-id': null }, { request_percentage: 12.5 }]
  t.same(await describe([['user', 0, 'alice']]), [alice, clients], 'after a kill')
  t.same(await describe([['user', 0, 'alice']], true), [alice])
  t.same(await describe([['user', 1, null]]), [[{ user: null }, { consumer_byte_rate: 2048 }]])
  t.same(await describe([['ip', 2, null]]), [[{ ip: '10.0.0.7' }, { connection_creation_rate: 5 }]])
  t.equal(((await describe([])) as unknown[]).length, 4, 'without components: all')
  t.match(await describe([['user', 0, null]]), /MATCH_TYPE_EXACT/)
  t.match(await describe([['group', 2, null]]), /Unsupported entity type group/)
  t.equal(await alter({ user: 'alice' }, { producer_byte_rate: null }), NONE)
  t.same(await describe([['user', 0, 'alice']], true), [])
})

t.test('delegation tokens are not given to whom nobody knows', async (t) => {
  const broker = new OneBroker()
  await broker.start()
  const { code } = errors.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
  const created = await broker.ask(host, apis.createDelegationToken, {
    renewers: [],
    maxLifetimeMs: -1,
  })
  t.match(created, { errorCode: code, principalType: 'User', principalName: 'ANONYMOUS' })
  const hmac = Buffer.from('x')
  t.match(await broker.ask(host, apis.renewDelegationToken, { hmac, renewPeriodMs: 1 }), {
    errorCode: code,
    expiryTimestampMs: -1,
  })
  const expire = { hmac, expiryTimePeriodMs: 1 }
  t.match(await broker.ask(host, apis.expireDelegationToken, expire), { errorCode: code })
  t.match(await broker.ask(host, apis.describeDelegationToken, { owners: null }), {
    errorCode: code,
    tokens: [],
  })
})

t.test('leaders and reassignments of the only broker, and its registration', async (t) => {
  const broker = new OneBroker()
  await broker.start()
  await broker.createTopic(host, 'orders')
  const elect = async (electionType: number, topic: string, partitions: number[]) => {
    const topicPartitions = [{ topic, partitions }]
    const answer = await broker.ask(host, apis.electLeaders, { electionType, topicPartitions })
    return answer.replicaElectionResults[0]?.partitionResult.map(({ errorCode }) => errorCode)
  }
  const notNeeded = errors.ELECTION_NOT_NEEDED.code
  const unknown = errors.UNKNOWN_TOPIC_OR_PARTITION.code
  t.same(await elect(0, 'orders', [0, 1]), [notNeeded, unknown])
  t.same(await elect(1, 'orders', [0]), [notNeeded])
  t.same(await elect(0, 'payments', [0]), [unknown])
  const all = await broker.ask(host, apis.electLeaders, { electionType: 0, topicPartitions: null })
  t.same(all.replicaElectionResults, [{ topic: 'orders', partitionResult: [] }])
  t.equal(
    (await broker.ask(host, apis.electLeaders, { electionType: 7, topicPartitions: null }))
      .errorCode,
    errors.INVALID_REQUEST.code,
  )

  const atOnce = { electionType: 0, topicPartitions: null, timeoutMs: 0 }
  const timedOut = errors.REQUEST_TIMED_OUT.code
  t.equal((await broker.ask(host, apis.electLeaders, atOnce)).errorCode, timedOut)

  const reassign = async (name: string, partitionIndex: number, replicas: number[] | null) => {
    const topics = [{ name, partitions: [{ partitionIndex, replicas }] }]
    const answer = await broker.ask(host, apis.alterPartitionReassignments, { topics })
    const [partition] = answer.responses[0]?.partitions ?? []
    return partition?.errorMessage ?? partition?.errorCode
  }
  t.equal(await reassign('orders', 0, [1]), NONE, 'where it is already')
  t.equal(await reassign('orders', 0, null), errors.NO_REASSIGNMENT_IN_PROGRESS.message)
  t.equal(await reassign('orders', 7, [1]), 'Unable to find partition orders:7.')
  t.equal(await reassign('payments', 0, [1]), 'Unable to find a topic named payments.')
  t.match(await reassign('orders', 0, [1, 2]), /broker 2, but no such broker is registered/)
  t.match(await reassign('orders', 0, [1, 1]), /the broker 1 more than once/)
  t.match(await reassign('orders', 0, []), /empty replica list/)
  const listed = await broker.ask(host, apis.listPartitionReassignments, { topics: null })
  t.same(listed.topics, [])

  const unregister = async (brokerId: number) =>
    (await broker.ask(host, apis.unregisterBroker, { brokerId })).errorCode
  t.equal(await unregister(9), errors.BROKER_ID_NOT_REGISTERED.code)
  t.equal(await unregister(1), NONE)
  t.equal(await unregister(1), errors.BROKER_ID_NOT_REGISTERED.code)
  await broker.restart()
  const { topics } = await broker.ask(host, apis.metadata, { topics: [{ name: 'orders' }] })
  t.match(topics[0]?.partitions[0], { errorCode: NONE, leaderId: 1, isrNodes: [1] })
})

t.test('a partition moves between log directories, as fast as it may', async (t) => {
  const broker = new OneBroker({ 'log.dirs': '/one,/two' })
  await broker.start()
  await broker.createTopic(host, 'orders')
  const throttle = async (value: string) => {
    const name = 'replica.alter.log.dirs.io.max.bytes.per.second'
    const config = { name, configOperation: 0, value }
    const resource = { resourceType: 4, resourceName: '1', configs: [config] }
    const request = { resources: [resource], validateOnly: false }
    const { responses } = await broker.ask(host, apis.incrementalAlterConfigs, request)
    return responses[0]?.errorCode
  }
  t.equal(await throttle('-1'), errors.INVALID_REQUEST.code)
  t.equal(await throttle('10000'), NONE)
  const records = encodeBatch({
    records: [{ timestamp: 0, key: null, value: Buffer.alloc(100_000) }],
  })
  for (let batch = 0; batch < 5; batch++) {
    const { responses } = await broker.ask(
      host,
      apis.produce,
      {
        acks: -1,
        timeoutMs: 1000,
        topicData: [{ name: 'orders', partitionData: [{ index: 0, records: [records] }] }],
      },
      11,
    )
    t.equal(responses[0]?.partitionResponses[0]?.errorCode, NONE)
  }
  const describe = async () => {
    const { results } = await broker.ask(host, apis.describeLogDirs, { topics: null })
    return results.map(({ topics }) => topics[0]?.partitions[0]?.isFutureKey)
  }
  const move = async (path: string) => {
    const topics = [{ name: 'orders', partitions: [0] }]
    const answer = await broker.ask(host, apis.alterReplicaLogDirs, { dirs: [{ path, topics }] })
    return answer.results
  }
  t.same(await describe(), [false, undefined])
  t.same(await move('/two'), [
    { topicName: 'orders', partitions: [{ partitionIndex: 0, errorCode: NONE }] },
  ])
  await broker.world.runFor(20_000)
  t.same(await describe(), [false, true], 'half a megabyte takes 50 s')
  t.equal(await throttle('9223372036854775807'), NONE)
  await broker.world.runFor(1000)
  t.same(await describe(), [undefined, false], 'at once when it may')
  t.equal(await throttle('10000'), NONE)
  await move('/one')
  await broker.world.runFor(1000)
  await broker.restart()
  await broker.world.runFor(60_000)
  t.same(await describe(), [false, undefined], 'a kill does not end it')
  await broker.restart('crash')
  await broker.world.runFor(1000)
  t.same(await describe(), [false, undefined])
  t.notMatch(broker.lines.join('\n'), /broker error/)
})

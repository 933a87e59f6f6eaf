import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { zeroUuid } from '../../protocol/types.ts'
import { resolveTopicConfig } from '../../src/config/topic-configs.ts'
import { newTopic } from '../metadata/metadata-node.ts'
import { openAdmin } from './admin-node.ts'

const [TOPIC, BROKER, LOGGER, METRICS, GROUP] = [2, 4, 8, 16, 32] as const
const [SET, DELETE, APPEND, SUBTRACT] = [0, 1, 2, 3] as const

type Change = readonly [name: string, operation: number, value: string | null]

async function openWithTopic(settings: Readonly<Record<string, string>> = {}) {
  const admin = await openAdmin(settings)
  await admin.ask(apis.createTopics, 7, {
    topics: [newTopic('a')],
    timeoutMs: 1000,
    validateOnly: false,
  })
  const alter = async (resourceType: number, resourceName: string, ...changes: Change[]) => {
    const configs = changes.map(([name, configOperation, value]) => ({
      name,
      configOperation,
      value,
    }))
    const { responses } = await admin.ask(apis.incrementalAlterConfigs, 1, {
      resources: [{ resourceType, resourceName, configs }],
      validateOnly: false,
    })
    return [responses[0]?.errorCode, responses[0]?.errorMessage]
  }
  const describe = async (resourceType: number, resourceName: string, ...keys: string[]) => {
    const { results } = await admin.ask(apis.describeConfigs, 4, {
      resources: [{ resourceType, resourceName, configurationKeys: keys }],
      includeSynonyms: true,
      includeDocumentation: true,
    })
    return results[0]
  }
  return { ...admin, alter, describe }
}

t.test('settings are set, deleted, appended to and subtracted from', async (t) => {
  const { alter, metadata } = await openWithTopic()
  const texts = () => Object.fromEntries(metadata.image.configs.get(TOPIC)?.get('a') ?? [])
  t.strictSame(await alter(TOPIC, 'a', ['retention.ms', SET, '1']), [0, null])
  t.strictSame(await alter(TOPIC, 'a', ['cleanup.policy', APPEND, 'compact']), [0, null])
  t.strictSame(texts(), { 'retention.ms': '1', 'cleanup.policy': 'delete,compact' })
  await alter(TOPIC, 'a', ['cleanup.policy', SUBTRACT, 'delete'], ['retention.ms', DELETE, null])
  t.strictSame(texts(), { 'cleanup.policy': 'compact' })
  const { offset } = metadata.image
  await alter(TOPIC, 'a', ['cleanup.policy', SET, 'compact'])
  t.equal(metadata.image.offset, offset, 'what stays the same is not written')
})

t.test('alterations are refused as Kafka refuses them', async (t) => {
  const { alter, ask } = await openWithTopic()
  const cases: [number, string, Change[], number, string][] = [
    [TOPIC, 'zz', [['retention.ms', SET, '1']], 3, "The topic 'zz' does not exist."],
    [TOPIC, '', [['retention.ms', SET, '1']], 42, 'Default topic resources are not allowed.'],
    [TOPIC, 'a', [['foo', SET, '1']], 40, 'Unknown topic config name: foo'],
    [TOPIC, 'a', [['retention.ms', SET, null]], 42, 'Null value not supported for : retention.ms'],
    [
      TOPIC,
      'a',
      [
        ['retention.ms', SET, '1'],
        ['retention.ms', SET, '2'],
      ],
      42,
      'Error due to duplicate config keys',
    ],
    [
      TOPIC,
      'a',
      [['retention.ms', APPEND, '1']],
      40,
      "Can't APPEND to key retention.ms because its type is not LIST.",
    ],
    [TOPIC, 'a', [['retention.ms', 9, '1']], 42, 'Unknown operations type 9'],
    [
      BROKER,
      '1',
      [['node.id', SET, '2']],
      42,
      'Cannot update these configs dynamically: [node.id]',
    ],
    [
      BROKER,
      '7',
      [['log.retention.ms', SET, '2']],
      42,
      'Unexpected broker id, expected 1, but received 7',
    ],
    [BROKER, 'x', [['log.retention.ms', SET, '2']], 42, 'Node id must be an integer, but it is: x'],
    [
      BROKER,
      '1',
      [['log.retention.ms', SET, 'x']],
      42,
      'Invalid value x for configuration log.retention.ms: Not a number of type LONG',
    ],
    [LOGGER, '1', [['kafka', SET, 'INFO']], 40, 'Logger kafka does not exist!'],
    [
      LOGGER,
      '1',
      [['root', SET, 'LOUD']],
      40,
      'Cannot set the log level of root to LOUD as it is not a supported log level. ' +
        'Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN',
    ],
    [
      LOGGER,
      '1',
      [['root', DELETE, null]],
      42,
      'Removing the log level of the root logger is not allowed',
    ],
    [
      LOGGER,
      '1',
      [['root', APPEND, 'INFO']],
      42,
      'APPEND operation is not allowed for the BROKER_LOGGER resource',
    ],
    [
      LOGGER,
      '1',
      [
        ['root', SET, 'INFO'],
        ['root', SET, 'WARN'],
      ],
      42,
      'Error due to duplicate config keys',
    ],
    [LOGGER, '9', [['root', SET, 'INFO']], 42, 'Unexpected broker id, expected 1, but received 9'],
    [99, '1', [['a', SET, 'x']], 42, 'Unknown resource type 99'],
    [
      GROUP,
      'g',
      [['share.auto.offset.reset', SET, 'by_duration:PT-5H']],
      40,
      'Invalid value by_duration:PT-5H for configuration share.auto.offset.reset: ' +
        'expected by_duration: with a duration that is not negative, as by_duration:PT5H',
    ],
    [GROUP, 'g', [['foo', SET, '1']], 40, 'Unknown group config name: foo'],
    [
      GROUP,
      'g',
      [['consumer.session.timeout.ms', SET, '1000']],
      40,
      'consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms',
    ],
    [
      GROUP,
      'g',
      [['streams.num.standby.replicas', SET, '9']],
      40,
      'streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas',
    ],
    [
      GROUP,
      '',
      [['consumer.session.timeout.ms', SET, '50000']],
      42,
      'Default group resources are not allowed.',
    ],
    [
      METRICS,
      's',
      [['interval.ms', SET, '1']],
      42,
      'Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)',
    ],
    [METRICS, 's', [['foo', SET, '1']], 42, 'Unknown client metrics configuration: foo'],
    [METRICS, 's', [['match', SET, 'x=1']], 40, 'Illegal client matching pattern: x=1'],
  ]
  for (const [type, name, changes, code, message] of cases) {
    t.strictSame(await alter(type, name, ...changes), [code, message])
  }
  const twice = { resourceType: TOPIC, resourceName: 'a', configs: [] }
  t.match(
    await ask(apis.incrementalAlterConfigs, 1, { resources: [twice, twice], validateOnly: false }),
    {
      responses: [
        { errorCode: 42, errorMessage: 'Each resource must appear at most once.' },
        { errorCode: 42 },
      ],
    },
  )
})

t.test('a change with which the broker could not go on is refused and not recorded', async (t) => {
  const { alter, ask, metadata, config } = await openWithTopic()
  const { offset } = metadata.image
  const invalid: [name: string, value: string, message: RegExp][] = [
    ['log.roll.ms', '0', /Invalid value 0 for configuration log\.roll\.ms: .*at least 1/],
    ['log.flush.interval.ms', '-5', /log\.flush\.interval\.ms: Value must be at least 0/],
    ['log.roll.jitter.ms', '-1', /log\.roll\.jitter\.ms: Value must be at least 0/],
    ['log.retention.ms', '0', /log\.retention\.ms must be unlimited \(-1\)/],
    ['listeners', 'x', /Cannot update these configs dynamically: \[listeners\]/],
    ['listeners', 'PLAINTEXT://:9093', /Cannot update these configs dynamically/],
    ['listener.security.protocol.map', 'x', /Cannot update these configs dynamically/],
  ]
  for (const resourceName of ['', '1']) {
    for (const [name, value, message] of invalid) {
      const refused = await alter(BROKER, resourceName, [name, SET, value])
      t.match(refused, [42, message], `${name} of ${resourceName}`)
      const configs = [{ name, value, configOperation: SET }]
      const resources = [{ resourceType: BROKER, resourceName, configs }]
      for (const validateOnly of [false, true]) {
        const request = { resources, validateOnly }
        t.match(await ask(apis.alterConfigs, 2, request), { responses: [{ errorCode: 42 }] })
        t.match(await ask(apis.incrementalAlterConfigs, 1, request), {
          responses: [{ errorCode: 42 }],
        })
      }
    }
  }
  t.equal(metadata.image.offset, offset)
  t.strictSame(await alter(BROKER, '', ['log.retention.ms', SET, '-2']), [0, null])
  t.equal(resolveTopicConfig(new Map(), config).retentionMs, -1)
})

t.test('AlterConfigs replaces, unless it only validates', async (t) => {
  const { alter, ask, metadata } = await openWithTopic()
  await alter(TOPIC, 'a', ['retention.ms', SET, '1'], ['flush.ms', SET, '5'])
  const replace = (value: string, validateOnly: boolean) =>
    ask(apis.alterConfigs, 2, {
      resources: [
        {
          resourceType: TOPIC,
          resourceName: 'a',
          configs: [{ name: 'retention.bytes', value }],
        },
      ],
      validateOnly,
    })
  const texts = () => Object.fromEntries(metadata.image.configs.get(TOPIC)?.get('a') ?? [])
  t.match(await replace('7', true), { responses: [{ errorCode: 0, resourceName: 'a' }] })
  t.strictSame(texts(), { 'retention.ms': '1', 'flush.ms': '5' })
  t.match(await replace('x', false), { responses: [{ errorCode: 40 }] })
  await replace('7', false)
  t.strictSame(texts(), { 'retention.bytes': '7' })
})

t.test('DescribeConfigs tells the value in force and what stands behind it', async (t) => {
  const { alter, describe } = await openWithTopic({ 'log.retention.hours': '24' })
  await alter(BROKER, '', ['log.retention.ms', SET, '777000'])
  const inherited = (await describe(TOPIC, 'a', 'retention.ms'))?.configs[0]
  t.match(inherited, { value: '777000', configSource: 3, configType: 5, readOnly: false })
  t.ok(inherited?.documentation)
  await alter(TOPIC, 'a', ['retention.ms', SET, '1000'])
  t.strictSame(
    (await describe(TOPIC, 'a', 'retention.ms'))?.configs[0]?.synonyms.map((one) => [
      one.name,
      one.value,
      one.source,
    ]),
    [
      ['retention.ms', '1000', 1],
      ['log.retention.ms', '777000', 3],
      ['log.retention.hours', '24', 4],
      ['log.retention.hours', '168', 5],
    ],
  )
  const described = (await describe(TOPIC, 'a'))?.configs ?? []
  t.equal(described.filter(({ name }) => !name.startsWith('table.')).length, 33)
  t.match(await describe(TOPIC, 'zz'), { errorCode: 3, configs: [] })
  t.match(await describe(TOPIC, 'z z'), { errorCode: 17 })

  await alter(BROKER, '1', ['my.plugin', SET, 'secret'])
  const broker = await describe(BROKER, '1', 'node.id', 'ssl.keystore.password', 'my.plugin')
  t.strictSame(
    broker?.configs.map((one) => [one.name, one.value, one.readOnly, one.isSensitive]).sort(),
    [
      ['my.plugin', null, false, true],
      ['node.id', '1', true, false],
      ['ssl.keystore.password', null, false, true],
    ],
  )
  t.match(await describe(BROKER, ''), {
    configs: [
      { name: 'min.insync.replicas', value: '1', configSource: 3 },
      { name: 'log.retention.ms', value: '777000', configSource: 3 },
    ],
  })
  t.match(await describe(BROKER, '9'), {
    errorCode: 42,
    errorMessage: 'Unexpected broker id, expected 1 or empty string, but received 9',
  })
  t.match(await describe(LOGGER, ''), {
    errorCode: 42,
    errorMessage: 'Broker id must not be empty',
  })

  await alter(GROUP, 'g', ['consumer.session.timeout.ms', SET, '50000'])
  t.match((await describe(GROUP, 'g', 'consumer.session.timeout.ms'))?.configs, [
    { value: '50000', configSource: 8 },
  ])
  await alter(METRICS, 's', ['interval.ms', SET, '1000'])
  t.match((await describe(METRICS, 's', 'interval.ms', 'metrics'))?.configs, [
    { name: 'interval.ms', value: '1000', configSource: 7 },
    { name: 'metrics', value: '', configSource: 5 },
  ])
})

t.test('the level of the log is told and changed while the broker runs (KIP-412)', async (t) => {
  const { alter, describe, ask, logThreshold } = await openWithTopic()
  const told = async () => (await describe(LOGGER, '1'))?.configs
  t.match(await told(), [{ name: 'root', value: 'INFO', configSource: 6, readOnly: false }])
  t.strictSame(await alter(LOGGER, '1', ['root', SET, 'TRACE']), [0, null])
  t.equal(logThreshold.level, 'debug')
  t.match(await told(), [{ value: 'DEBUG' }])
  const configs = [{ name: 'root', configOperation: SET, value: 'ERROR' }]
  const resources = [{ resourceType: LOGGER, resourceName: '1', configs }]
  const { responses } = await ask(apis.incrementalAlterConfigs, 1, {
    resources,
    validateOnly: true,
  })
  t.match(responses, [{ errorCode: 0 }])
  t.equal(logThreshold.level, 'debug', 'it was only checked')
})

t.test('ListConfigResources', async (t) => {
  const { alter, ask } = await openWithTopic()
  await alter(METRICS, 's', ['interval.ms', SET, '1000'])
  await alter(GROUP, 'g', ['consumer.session.timeout.ms', SET, '50000'])
  const all = await ask(apis.listConfigResources, 1, { resourceTypes: [] })
  t.strictSame(
    all.configResources.map((one) => [one.resourceType, one.resourceName]),
    [
      [TOPIC, 'a'],
      [BROKER, '1'],
      [LOGGER, '1'],
      [METRICS, 's'],
      [GROUP, 'g'],
    ],
  )
  const oldest = await ask(apis.listConfigResources, 0, {})
  t.strictSame(oldest.configResources, [{ resourceName: 's', resourceType: METRICS }])
  t.match(await ask(apis.listConfigResources, 1, { resourceTypes: [99] }), { errorCode: 35 })
})

t.test('DescribeCluster, DescribeQuorum', async (t) => {
  const { ask, metadata } = await openAdmin()
  const asked = { includeClusterAuthorizedOperations: true, endpointType: 1 }
  t.match(await ask(apis.describeCluster, 1, asked), {
    errorCode: 0,
    clusterId: '4L6g3nShT-eMCtK--X86sw',
    controllerId: 1,
    brokers: [{ brokerId: 1, host: 'here.example', port: 29092 }],
    clusterAuthorizedOperations: 8096,
  })
  t.match(await ask(apis.describeCluster, 1, { ...asked, endpointType: 2 }), { errorCode: 114 })
  t.match(await ask(apis.describeCluster, 1, { ...asked, endpointType: 9 }), { errorCode: 115 })
  const quorum = (topicName: string) =>
    ask(apis.describeQuorum, 2, { topics: [{ topicName, partitions: [{ partitionIndex: 0 }] }] })
  t.match((await quorum('__cluster_metadata')).topics[0]?.partitions[0], {
    errorCode: 0,
    leaderId: 1,
    leaderEpoch: 1,
    highWatermark: metadata.image.offset + 1,
    currentVoters: [{ replicaId: 1, logEndOffset: metadata.image.offset + 1 }],
    observers: [],
  })
  t.match((await quorum('a')).topics[0]?.partitions[0], { errorCode: 3 })
})

t.test('voters do not change, and it is said what is wrong with asking for it', async (t) => {
  const { ask } = await openAdmin()
  const voter = { clusterId: null, voterId: 7, voterDirectoryId: 'AAAAAAAAAAAAAAAAAAAABQ' }
  const listeners = [{ name: 'CONTROLLER', host: 'there.example', port: 9093 }]
  const add = async (changes: object) => {
    const request = { ...voter, timeoutMs: 1000, listeners, ...changes }
    return (await ask(apis.addRaftVoter, 1, request)).errorCode
  }
  const remove = async (changes: object) =>
    (await ask(apis.removeRaftVoter, 0, { ...voter, ...changes })).errorCode
  for (const change of [add, remove]) {
    t.equal(await change({}), errors.UNSUPPORTED_VERSION.code)
    t.equal(await change({ clusterId: 'other' }), errors.INCONSISTENT_CLUSTER_ID.code)
    t.equal(await change({ voterId: -1 }), errors.INVALID_REQUEST.code)
    t.equal(await change({ voterDirectoryId: zeroUuid }), errors.INVALID_REQUEST.code)
  }
  t.equal(await add({ listeners: [] }), errors.INVALID_REQUEST.code)
})

t.test('UpdateFeatures', async (t) => {
  const { ask, metadata } = await openAdmin()
  const update = async (feature: string, maxVersionLevel: number, upgradeType: number) => {
    const featureUpdates = [{ feature, maxVersionLevel, upgradeType }]
    const { errorCode, errorMessage } = await ask(apis.updateFeatures, 1, { featureUpdates })
    return [errorCode, errorMessage?.replace(/^.* had an error: /, '')]
  }
  const version = 'metadata.version'
  t.strictSame(await update(version, 29, 2), [
    95,
    'Unsupported metadata.version downgrade from 30 to 29. Refusing to perform the requested ' +
      'downgrade because it might delete metadata information.',
  ])
  t.strictSame(await update(version, 99, 1), [
    95,
    'Invalid update version 99 for feature metadata.version. Local controller 1 only supports ' +
      'versions 7-30',
  ])
  t.strictSame(await update('foo', 1, 1), [
    95,
    'Invalid update version 1 for feature foo. Local controller 1 does not support this feature.',
  ])
  t.equal((await update(version, 20, 1))[0], 95)
  t.equal((await update(version, 30, 1))[0], 0)
  t.equal(metadata.image.features.get(version), 30)
})

t.test('InitProducerId gives ids to idempotent producers, and refuses transactions', async (t) => {
  const { ask } = await openAdmin()
  const init = (request: object) =>
    ask(apis.initProducerId, 5, {
      transactionalId: null,
      transactionTimeoutMs: 1000,
      ...request,
    })
  const [first, second] = [await init({}), await init({})]
  t.match(first, { errorCode: 0, producerEpoch: 0 })
  t.not(first.producerId, second.producerId)
  t.match(await init({ producerId: 5 }), { errorCode: 42, producerId: -1 })
  t.match(await init({ transactionalId: '' }), { errorCode: 42 })
  t.match(await init({ transactionalId: 'tx' }), { errorCode: 16 }, 'nobody coordinates here')
})

t.test('ApiVersions tells what is in the table, and nothing else', async (t) => {
  const { ask, connection, metadata } = await openAdmin()
  const client = { clientSoftwareName: 'a-client', clientSoftwareVersion: '1.0' }
  const answer = await ask(apis.apiVersions, 4, client)
  const keys = answer.apiKeys.map(({ apiKey }) => apiKey)
  t.strictSame(keys, [3, 18, 19, 20, 22, 32, 33, 37, 44, 55, 57, 60, 74, 75, 80, 81])
  t.strictSame(answer.apiKeys[4], { apiKey: 22, minVersion: 0, maxVersion: 5 })
  const elr = { name: 'eligible.leader.replicas.version', minVersion: 0, maxVersion: 1 }
  const told = { name: 'metadata.version', minVersion: 7, maxVersion: 30 }
  const named = (name: string) => answer.supportedFeatures.find((one) => one.name === name)
  t.strictSame(named(elr.name), elr)
  t.strictSame(named(told.name), told)
  const transactions = { name: 'transaction.version', minVersion: 0, maxVersion: 2 }
  t.strictSame(named(transactions.name), transactions)
  const older = await ask(apis.apiVersions, 3, client)
  t.strictSame(older.supportedFeatures, [told], 'no lowest level 0 in older versions')
  t.equal(answer.finalizedFeaturesEpoch, metadata.image.offset)
  const finalized = Object.fromEntries(
    answer.finalizedFeatures.map(({ name, maxVersionLevel }) => [name, maxVersionLevel]),
  )
  t.match(finalized, { 'metadata.version': 30, 'transaction.version': 2 })
  t.equal(connection.softwareName, 'a-client')
  const bad = { ...client, clientSoftwareName: 'a client' }
  t.match(await ask(apis.apiVersions, 3, bad), { errorCode: 42, apiKeys: [] })
  t.match(await ask(apis.apiVersions, 0, {}), { errorCode: 0 })
  const lost = { ...client, clusterId: 'other', nodeId: 1 }
  t.match(await ask(apis.apiVersions, 5, lost), { errorCode: 129 })
})

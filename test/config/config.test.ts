/** Settings: texts to values, sources and their order, what is refused and in which words. */
import t from 'tap'
import { limitOptions } from '../../src/broker-settings.ts'
import { BrokerConfig, configSource, toldBrokerConfigs } from '../../src/config/broker-config.ts'
import { applyRecorded, checkBrokerSettings } from '../../src/config/broker-rules.ts'
import { ConfigError, nearestName } from '../../src/config/definition.ts'
import { parseListener, readListeners } from '../../src/config/listeners.ts'
import { parseProperties } from '../../src/config/properties.ts'
import { gatherSettings, settingOf } from '../../src/config/sources.ts'
import {
  resolveTopicConfig,
  toldTopicConfigs,
  topicConfigs,
  topicSynonyms,
} from '../../src/config/topic-configs.ts'

const broker = (texts: Record<string, string> = {}) =>
  new BrokerConfig(new Map(Object.entries(texts)))

t.test('properties are read as Java reads them', async (t) => {
  const text = [
    '# a comment',
    '! another',
    'a=1',
    'b : two words ',
    'c three',
    '  d = \\u00e9\\t\\=',
    'e=one,\\',
    '   two',
    'f\\ g=h',
    'windows=c:\\\\logs',
    'empty=',
    'a=later wins',
  ].join('\n')
  t.strictSame(Object.fromEntries(parseProperties(text)), {
    a: 'later wins',
    b: 'two words ',
    c: 'three',
    d: 'é\t=',
    e: 'one,two',
    'f g': 'h',
    windows: 'c:\\logs',
    empty: '',
  })
})

t.test('variables name settings as in the usual images', async (t) => {
  t.equal(settingOf('KAFKA_LOG_DIRS', 'KAFKA_'), 'log.dirs')
  t.equal(settingOf('KAFKA_CFG_LOG_DIRS', 'KAFKA_'), 'log.dirs')
  t.equal(settingOf('MILLRACE_NODE_ID', 'MILLRACE_'), 'node.id')
  for (const other of [
    'KAFKA_HEAP_OPTS',
    'KAFKA_OPTS',
    'KAFKA_JMX_PORT',
    'KAFKA_SERVICE_HOST',
    'KAFKA_PORT',
    'KAFKA_PORT_9092_TCP_ADDR',
    'KAFKA_BROKER_SERVICE_PORT_CLIENT',
    'KAFKA_CLUSTER_ID',
    'PATH',
  ]) {
    t.equal(settingOf(other, 'KAFKA_'), null, other)
  }
})

t.test('variables of the command line are none of the broker’s', async (t) => {
  const environment = {
    MILLRACE_BOOTSTRAP: 'localhost:9092',
    MILLRACE_CONNECT: 'http://localhost:8083',
    MILLRACE_REGISTRY: 'http://localhost:8081',
    MILLRACE_DEBUG: '1',
    MILLRACE_CONNECT_ENABLE: 'true',
  }
  const { texts } = gatherSettings({ environment, overrides: [] })
  t.strictSame([...texts], [['connect.enable', 'true']])
})

t.test('later sources win', async (t) => {
  const file = { path: 'server.properties', text: 'num.partitions=2\nlog.dirs=/file\nnode.id=3\n' }
  const { texts, withoutEffect } = gatherSettings({
    file,
    environment: {
      KAFKA_LOG_DIRS: '/kafka',
      MILLRACE_LOG_DIRS: '/millrace',
      KAFKA_NUM_IO_THREADS: '4',
    },
    overrides: ['node.id=4', 'log.flush.start.offset.checkpoint.interval.ms=1000'],
  })
  t.equal(texts.get('num.partitions'), '2')
  t.equal(texts.get('log.dirs'), '/millrace')
  t.equal(texts.get('node.id'), '4')
  t.strictSame([...withoutEffect].sort(), [
    'log.flush.start.offset.checkpoint.interval.ms',
    'num.io.threads',
  ])
})

t.test('what is unknown or invalid is refused by name', async (t) => {
  const gather = (override: string) => () =>
    gatherSettings({ environment: {}, overrides: [override] })
  // Clients of connectors have theirs, as a worker of Kafka Connect gives them.
  const ofClient = gather('connect.consumer.session.timeout.ms=1500')()
  t.strictSame([...ofClient.texts], [['connect.consumer.session.timeout.ms', '1500']])
  t.throws(gather('connect.consumers.group.id=x'), /Unknown setting connect\.consumers\.group\.id/)
  t.throws(gather('log.retension.ms=1'), {
    name: 'ConfigError',
    setting: 'log.retension.ms',
    message: /Unknown setting log\.retension\.ms .*Did you mean log\.retention\.ms\?/,
  })
  for (const inherited of ['constructor', '__proto__', 'toString']) {
    t.throws(gather(`${inherited}=1`), {
      message: `Unknown setting ${inherited} (from --override).`,
    })
    t.equal(broker({ [`${inherited} `]: '1' }).text(inherited), null)
  }
  t.throws(gather('zzzzzz=1'), { message: 'Unknown setting zzzzzz (from --override).' })
  t.throws(gather('num.partitions=0'), {
    message:
      'Invalid value 0 for configuration num.partitions: Value must be at least 1 (from --override; allowed: [1,...])',
  })
  t.throws(gather('num.partitions=many'), { message: /Not a number of type INT/ })
  t.throws(gather('log.retention.ms=9223372036854775808'), { message: /Not a number of type LONG/ })
  t.throws(gather('auto.create.topics.enable=yes'), { message: /either true or false/ })
  t.throws(gather('compression.type=zip'), { message: /String must be one of: uncompressed, zstd/ })
  t.throws(gather('no-equals'), { message: /property=value/ })
  t.throws(() => broker({ 'node.id': '-1' }), ConfigError)
  t.equal(nearestName('xyz', ['log.dirs']), undefined)
})

t.test('a broker setting has the value of its nearest source', async (t) => {
  const config = broker({ 'num.partitions': '3', 'log.retention.ms': '9223372036854775807' })
  t.equal(config.get('num.partitions'), 3)
  t.equal(config.get('log.retention.ms'), 2 ** 63)
  t.equal(config.text('log.retention.ms'), '9223372036854775807')
  t.equal(config.get('auto.create.topics.enable'), true)
  config.setDynamic(new Map([['num.partitions', '5']]), new Map([['num.partitions', '4']]))
  t.equal(config.get('num.partitions'), 5)
  t.strictSame(
    config.synonyms('num.partitions').map(({ text, source }) => [text, source]),
    [
      ['5', configSource.DYNAMIC_BROKER_CONFIG],
      ['4', configSource.DYNAMIC_DEFAULT_BROKER_CONFIG],
      ['3', configSource.STATIC_BROKER_CONFIG],
      ['1', configSource.DEFAULT_CONFIG],
    ],
  )
})

t.test(
  'a listener has limits of its own, and what the broker has is not one of them',
  async (t) => {
    const ofInternal = 'listener.name.internal.max.connections'
    const gather = (...overrides: string[]) => gatherSettings({ environment: {}, overrides })
    const { texts, withoutEffect } = gather(
      'max.connections=5',
      'listeners=PLAINTEXT://:9092,INTERNAL://:9093',
      'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT',
      `${ofInternal}=7`,
      'listener.name.plaintext.max.connection.creation.rate=3',
      'listener.name.internal.ssl.keystore.type=JKS',
    )
    t.strictSame(withoutEffect, ['listener.name.internal.ssl.keystore.type'])
    const config = new BrokerConfig(texts)
    const limits = () => Object.fromEntries(limitOptions(config).byListener)
    t.match(limits(), { INTERNAL: { connectionsMax: 7 }, PLAINTEXT: { connectionRateMax: 3 } })
    t.equal(limits().PLAINTEXT?.connectionsMax, Number.POSITIVE_INFINITY)
    config.setDynamic(new Map([[ofInternal, '9']]), new Map())
    t.equal(limits().INTERNAL?.connectionsMax, 9)
    config.setDynamic(new Map([[ofInternal, 'many']]), new Map())
    t.equal(limits().INTERNAL, undefined, 'what an older version let through is no limit')
    t.throws(() => gather(`${ofInternal}=0`), { message: /Value must be at least 1/ })
  },
)

t.test('a topic takes its defaults from the broker', async (t) => {
  const config = broker({ 'log.retention.hours': '2', 'message.max.bytes': '5000' })
  const none = new Map<string, string>()
  t.equal(resolveTopicConfig(none, config).retentionMs, 7_200_000)
  t.equal(resolveTopicConfig(none, config).maxMessageBytes, 5000)
  t.equal(resolveTopicConfig(none, broker()).retentionMs, 604_800_000)
  t.equal(resolveTopicConfig(none, broker()).flushMessages, 2 ** 63)
  t.equal(resolveTopicConfig(new Map([['retention.ms', '1']]), config).retentionMs, 1)
  t.equal(resolveTopicConfig(none, broker({ 'log.retention.hours': '-1' })).retentionMs, -1)
  for (const unlimited of ['ms', 'minutes', 'hours']) {
    const config = broker({ [`log.retention.${unlimited}`]: '-2' })
    t.equal(resolveTopicConfig(none, config).retentionMs, -1, unlimited)
  }
  const forever = broker({ 'log.retention.ms': '9223372036854775807' })
  t.equal(resolveTopicConfig(none, forever).retentionMs, 2 ** 63)
  const precise = broker({ 'log.retention.hours': '2', 'log.retention.ms': '7' })
  t.equal(resolveTopicConfig(none, precise).retentionMs, 7)
  t.equal(
    topicSynonyms('retention.ms', new Map([['retention.ms', '1']]), precise).length >= 3,
    true,
  )
})

t.test('every setting of a topic says what it is for', async (t) => {
  for (const [name, { documentation }] of Object.entries(topicConfigs)) t.ok(documentation, name)
})

t.test('settings of topics are refused by the name that was written', async (t) => {
  const refuse = (texts: Record<string, string>, message: string) =>
    t.throws(() => checkBrokerSettings(broker(texts)), { name: 'ConfigError', message })
  const invalid = (name: string, text: string, min: number) =>
    refuse(
      { [name]: text },
      `Invalid value ${text} for configuration ${name}: Value must be at least ${min}`,
    )
  invalid('log.roll.ms', '0', 1)
  invalid('log.roll.jitter.ms', '-1', 0)
  invalid('log.flush.interval.ms', '-5', 0)
  invalid('log.flush.scheduler.interval.ms', '-1', 0)
  for (const name of ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours']) {
    refuse(
      { [name]: '0' },
      'log.retention.ms must be unlimited (-1) or, greater than or equal to 1',
    )
  }
  checkBrokerSettings(broker())
  checkBrokerSettings(broker({ 'log.retention.hours': '0', 'log.retention.ms': '1' }))
})

t.test('settings that do not go together are refused, as by Kafka', async (t) => {
  const refuse = (texts: Record<string, string>, message: RegExp) =>
    t.throws(
      () => {
        const config = broker(texts)
        readListeners(config)
        checkBrokerSettings(config)
      },
      { name: 'ConfigError', message },
      JSON.stringify(texts),
    )
  const overrides = 'max.connections.per.ip.overrides'
  for (const bad of ['foo', '1.2.3.4:x', '1.2.3.4', ':5', '1.2.3.4:5,,', '1.2.3.4:9999999999']) {
    refuse({ [overrides]: bad }, /overrides: expected host:count pairs but got/)
  }
  const perIp = (text: string) =>
    Object.fromEntries(limitOptions(broker({ [overrides]: text })).connectionsPerIpOverrides)
  t.strictSame(perIp('127.0.0.1:200, [::1]:10,::2:-5'), { '127.0.0.1': 200, '::1': 10, '::2': -5 })
  refuse({ 'max.connections.per.ip': '0' }, /can be set to zero only if/)
  checkBrokerSettings(broker({ 'max.connections.per.ip': '0', [overrides]: '::1:1' }))
  refuse({ 'queued.max.request.bytes': '1' }, /must be larger or equal to socket\.request\.max/)
  checkBrokerSettings(broker({ 'queued.max.request.bytes': '0' }))
  refuse({ 'log.cleaner.dedupe.buffer.size': '1' }, /at least 1MB per cleaner thread/)
  refuse({ 'log.cleaner.threads': '128' }, /at least 1MB per cleaner thread/)
  const name = 'group.consumer.heartbeat.interval.ms'
  refuse({ [name]: '15001' }, /heartbeat\.interval\.ms must be less than or equal to .*max/)
  refuse({ [name]: '4999' }, /heartbeat\.interval\.ms must be greater than or equal to .*min/)
  refuse(
    { [name]: '45000', 'group.consumer.max.heartbeat.interval.ms': '50000' },
    /heartbeat\.interval\.ms must be less than group\.consumer\.session/,
  )
  refuse({ 'group.share.max.session.timeout.ms': '1' }, /must be greater than or equal to .*min/)
  refuse({ 'group.streams.num.standby.replicas': '3' }, /less than or equal to .*max\.standby/)
  refuse({ 'inter.broker.listener.name': 'NOPE' }, /NOPE defined in .* not found in listener/)
  refuse({ 'inter.broker.listener.name': 'SSL' }, /valid options .* are PLAINTEXT/)
  t.equal(readListeners(broker({ 'inter.broker.listener.name': 'plaintext' })).client.length, 1)
  refuse({ 'offsets.topic.compression.codec': '9' }, /must be no more than 4/)
  refuse({ 'share.coordinator.state.topic.compression.codec': '-1' }, /must be at least 0/)
  refuse({ 'log.dirs': ',' }, /log\.dirs: Value must not have an empty element/)
})

t.test('of what was recorded, what is invalid is passed over by name', async (t) => {
  const config = broker({ 'log.retention.ms': '5000' })
  const valid = {
    perBroker: new Map([['log.roll.ms', '1']]),
    clusterDefault: new Map([['my.plugin', 'x']]),
  }
  t.strictSame(applyRecorded(config, valid), [])
  t.equal(config.get('log.roll.ms'), 1)
  const refusals = applyRecorded(config, {
    perBroker: new Map([
      ['log.roll.ms', '0'],
      ['listeners', 'x'],
      ['message.max.bytes', '7'],
      ['log.retention.ms', '0'],
    ]),
    clusterDefault: new Map([
      ['log.flush.interval.ms', '-5'],
      ['log.roll.ms', '9'],
      ['my.plugin', 'y'],
    ]),
  })
  t.strictSame(
    refusals.map(({ setting, message }) => [setting, message]),
    [
      [
        'log.flush.interval.ms',
        'Invalid value -5 for configuration log.flush.interval.ms: Value must be at least 0',
      ],
      ['log.roll.ms', 'Invalid value 0 for configuration log.roll.ms: Value must be at least 1'],
      ['listeners', 'Cannot update these configs dynamically: [listeners]'],
      [
        'log.retention.ms',
        'log.retention.ms must be unlimited (-1) or, greater than or equal to 1',
      ],
    ],
  )
  t.equal(config.get('log.roll.ms'), 9, 'what stands behind it')
  t.equal(config.get('message.max.bytes'), 7, 'what is beside it')
  t.equal(config.get('log.retention.ms'), 5000)
  t.equal(config.text('my.plugin'), 'y')
  t.strictSame(config.get('listeners'), ['PLAINTEXT://:9092'])
})

t.test(
  'internal.segment.bytes stands in for segment.bytes, and is told of where it is set',
  async (t) => {
    const none = new Map<string, string>()
    const small = new Map([['internal.segment.bytes', '100']])
    t.equal(resolveTopicConfig(small, broker()).segmentBytes, 100)
    t.equal(resolveTopicConfig(none, broker()).segmentBytes, 1_073_741_824)
    t.notOk(toldTopicConfigs(none).includes('internal.segment.bytes'))
    t.ok(toldTopicConfigs(small).includes('internal.segment.bytes'))
    const text = new Map([['internal.segment.bytes', 'few']])
    t.throws(() => resolveTopicConfig(text, broker()), ConfigError)
  },
)

t.test('broker.id is the old name of node.id', async (t) => {
  t.equal(broker({ 'broker.id': '7' }).get('node.id'), 7)
  const { text, source } = broker({ 'node.id': '7' }).synonyms('broker.id')[0]!
  t.strictSame([text, source], ['7', configSource.STATIC_BROKER_CONFIG])
  t.throws(() => checkBrokerSettings(broker({ 'node.id': '7', 'broker.id': '8' })), {
    message: 'You must set `node.id` to the same value as `broker.id`.',
  })
  checkBrokerSettings(broker({ 'node.id': '7', 'broker.id': '7' }))
})

t.test('log.initial.task.delay.ms is told of where it is set', async (t) => {
  const name = 'log.initial.task.delay.ms'
  const isTold = (config: BrokerConfig) => toldBrokerConfigs(config).some(([told]) => told === name)
  t.equal(broker().get(name), 30_000)
  t.notOk(isTold(broker()))
  t.ok(isTold(broker({ [name]: '5' })))
})

t.test('listeners', async (t) => {
  t.strictSame(parseListener('listeners', 'PLAINTEXT://:9092'), {
    name: 'PLAINTEXT',
    host: '',
    port: 9092,
  })
  t.strictSame(parseListener('listeners', 'A://[::1]:0'), { name: 'A', host: '::1', port: 0 })
  for (const bad of ['PLAINTEXT:9092', 'PLAINTEXT://x', 'PLAINTEXT://x:99999', '://x:1', '']) {
    t.throws(() => parseListener('listeners', bad), ConfigError, bad)
  }
  const kafkas = broker({
    'process.roles': 'broker,controller',
    listeners: 'PLAINTEXT://:9092,CONTROLLER://:9093',
    'controller.listener.names': 'CONTROLLER',
    'advertised.listeners': 'PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
  })
  const { client, advertised } = readListeners(kafkas)
  t.strictSame(client, [{ name: 'PLAINTEXT', host: '', port: 9092 }])
  t.equal(advertised.get('PLAINTEXT')?.host, 'localhost')
  t.equal(readListeners(broker()).advertised.size, 0)
  const refuse = (texts: Record<string, string>, message: RegExp) =>
    t.throws(() => readListeners(broker(texts)), { name: 'ConfigError', message })
  refuse({ listeners: 'SSL://:9092' }, /SSL, which this version does not offer/)
  refuse({ listeners: 'INTERNAL://:9092' }, /No security protocol is given for listener INTERNAL/)
  refuse({ listeners: 'PLAINTEXT://:1,PLAINTEXT://:2' }, /different name/)
  refuse({ 'advertised.listeners': 'OTHER://h:1' }, /not among listeners/)
  refuse({ 'advertised.listeners': 'PLAINTEXT://0.0.0.0:1' }, /cannot be 0\.0\.0\.0/)
})

/** KIP-714 against a whole broker: what clients are told, when they may push, and what becomes of it. */
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { hasZstd } from '../../protocol/records/compression/zstd.ts'
import { zeroUuid } from '../../protocol/types.ts'
import { brokerMetrics } from '../../src/broker-metrics.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { MetricsPage } from '../../src/http/metrics-page.ts'
import { type Metric, metricsData } from '../telemetry/protobuf.ts'
import { OneBroker } from './one-broker.ts'

const presetIntervalMs = 300_000

class Story {
  readonly node = new OneBroker({ 'telemetry.max.bytes': '10000' })

  async subscribe(
    name: string,
    settings: Readonly<Record<string, string | null>>,
  ): Promise<number> {
    const configs = Object.entries(settings).map(([key, value]) => {
      return { name: key, value, configOperation: value === null ? 1 : 0 }
    })
    const { responses } = await this.node.ask('admin', apis.incrementalAlterConfigs, {
      resources: [{ resourceType: 16, resourceName: name, configs }],
      validateOnly: false,
    })
    return responses[0]?.errorCode ?? -1
  }

  get(clientInstanceId: string = zeroUuid, host = 'client') {
    return this.node.ask(host, apis.getTelemetrySubscriptions, { clientInstanceId })
  }

  async push(
    told: { readonly clientInstanceId: string; readonly subscriptionId: number },
    overrides: object = {},
  ): Promise<number> {
    const { clientInstanceId, subscriptionId } = told
    const { errorCode } = await this.node.ask('client', apis.pushTelemetry, {
      clientInstanceId,
      subscriptionId,
      terminating: false,
      compressionType: 0,
      metrics: Buffer.alloc(0),
      ...overrides,
    })
    return errorCode
  }

  async page(): Promise<string> {
    const { broker } = this.node
    const page = new MetricsPage(
      [(out) => brokerMetrics(out, broker.measured)],
      createNodeEnvironment(),
    )
    return Buffer.concat((await page.render('')).pieces).toString()
  }
}

async function begin(): Promise<Story> {
  const story = new Story()
  await story.node.start()
  return story
}

t.test('clients are asked to push only where a page shows what they push', async (t) => {
  for (const [page, isShown] of Object.entries({ 'http://127.0.0.1:8083': true, '': false })) {
    const node = new OneBroker({ 'http.listeners': page })
    await node.start()
    const { apiKeys } = await node.ask('client', apis.apiVersions, {
      clientSoftwareName: 'a-client',
      clientSoftwareVersion: '1',
    })
    for (const key of [apis.getTelemetrySubscriptions.key, apis.pushTelemetry.key]) {
      t.equal(
        apiKeys.some(({ apiKey }) => apiKey === key),
        isShown,
        `${key} with '${page}'`,
      )
    }
  }
})

t.test('where nothing is wanted, clients are told so, and there are limits', async (t) => {
  const story = await begin()
  const { world } = story.node
  const told = await story.get()
  const { clientInstanceId, subscriptionId } = told
  t.match(told, {
    errorCode: 0,
    clientInstanceId: /^[\w-]{22}$/,
    acceptedCompressionTypes: hasZstd ? [4, 3, 1, 2] : [3, 1, 2],
    pushIntervalMs: presetIntervalMs,
    telemetryMaxBytes: 10_000,
    deltaTemporality: true,
    requestedMetrics: [],
  })
  t.equal((await story.get(clientInstanceId)).errorCode, errors.THROTTLING_QUOTA_EXCEEDED.code)
  t.equal(await story.push(told), 0, 'once after asking, whenever')
  t.equal(await story.push(told), errors.THROTTLING_QUOTA_EXCEEDED.code)
  const refusals: [object, { code: number }][] = [
    [{ subscriptionId: subscriptionId + 1 }, errors.UNKNOWN_SUBSCRIPTION_ID],
    [{ compressionType: 9 }, errors.UNSUPPORTED_COMPRESSION_TYPE],
    [{ metrics: Buffer.alloc(10_001) }, errors.TELEMETRY_TOO_LARGE],
    [{ metrics: Buffer.alloc(100, 0xff) }, errors.INVALID_RECORD],
    [{ metrics: Buffer.alloc(100, 0xff), compressionType: 1 }, errors.INVALID_RECORD],
    [{ metrics: gzipSync(Buffer.alloc(10_001)), compressionType: 1 }, errors.INVALID_RECORD],
    [{ clientInstanceId: zeroUuid }, errors.INVALID_REQUEST],
    [{ clientInstanceId: 'AAAAAAAAAAAAAAAAAAAAAQ' }, errors.INVALID_REQUEST],
  ]
  for (const [overrides, { code }] of refusals) {
    await world.runFor(presetIntervalMs)
    t.equal(await story.push(told, overrides), code)
  }
  await world.runFor(presetIntervalMs)
  await story.push(told, { subscriptionId: subscriptionId + 1 })
  const again = await story.get(clientInstanceId)
  t.match(again, { errorCode: 0, subscriptionId }, 'it may ask at once what it had wrong')
  t.equal(await story.push(told, { terminating: true }), 0)
  const after = await story.push(told, { terminating: true })
  t.equal(after, errors.INVALID_REQUEST.code, 'after its last words')
})

t.test('subscription ids are those that Apache Kafka computes', async (t) => {
  const story = await begin()
  const expected: [string, number, number][] = [
    ['AAECAwQFBgcICQoLDA0ODw', -725_132_322, 1_012_207_395],
    ['__79_Pv6-fj39vX08_LxAA', -725_132_498, 1_012_207_571],
  ]
  for (const [id, ofNothing] of expected) {
    t.equal((await story.get(id)).subscriptionId, ofNothing)
  }
  await story.subscribe('all', { metrics: '*' })
  for (const [id, , ofAll] of expected) t.equal((await story.get(id)).subscriptionId, ofAll)
})

t.test('subscriptions are for whom they match, and changes are told at once', async (t) => {
  const story = await begin()
  const one = await story.get()
  t.strictSame(one.requestedMetrics, [])
  t.equal(await story.subscribe('all-clients', { metrics: 'b.,a.', 'interval.ms': '1000' }), 0)
  const match = 'client_software_name=.*, client_source_address=client'
  t.equal(await story.subscribe('matching', { metrics: 'c.', match, 'interval.ms': '500' }), 0)
  t.equal(await story.subscribe('others', { metrics: '*', match: 'client_id=nobody.*' }), 0)
  const told = await story.get(one.clientInstanceId)
  t.match(told, { errorCode: 0, requestedMetrics: ['a.', 'b.', 'c.'], pushIntervalMs: 500 })
  t.not(told.subscriptionId, one.subscriptionId)
  const other = await story.get(zeroUuid, 'elsewhere')
  t.match(other, { requestedMetrics: ['a.', 'b.'], pushIntervalMs: 1000 })
  t.equal(await story.push(one), errors.UNKNOWN_SUBSCRIPTION_ID.code, 'as it was')
  t.equal(await story.subscribe('others', { match: null }), 0)
  t.strictSame((await story.get(one.clientInstanceId)).requestedMetrics, ['*'])
  const nothing = { metrics: null, match: null, 'interval.ms': null }
  for (const name of ['all-clients', 'matching', 'others']) await story.subscribe(name, nothing)
  const end = await story.get(one.clientInstanceId)
  t.match(end, { requestedMetrics: [], subscriptionId: one.subscriptionId })
})

t.test('what nobody could match is refused', async (t) => {
  const story = await begin()
  const invalid = errors.INVALID_CONFIG.code
  for (const match of ['client_id', 'client_id=', 'colour=red', 'client_id=a=b', 'client_id=(']) {
    t.equal(await story.subscribe('wrong', { match }), invalid, match)
  }
  t.equal(await story.subscribe('wrong', { 'interval.ms': '99' }), errors.INVALID_REQUEST.code)
  t.equal(await story.subscribe('right', { match: 'client_source_port=\\d+' }), 0)
})

t.test('what clients push is on the page of metrics', async (t) => {
  const story = await begin()
  await story.subscribe('all', { metrics: '*', 'interval.ms': '1000' })
  const told = await story.get()
  const sent: Metric = {
    name: 'org.apache.kafka.producer.record.send.total',
    points: [{ value: 5, attributes: { topic: 'say "hi"' } }],
    sum: { isDelta: true, isMonotonic: true },
  }
  const metrics = metricsData([sent], { transactional_id: 'tx' })
  t.equal(await story.push(told, { metrics }), 0)
  await story.node.world.runFor(1000)
  t.equal(await story.push(told, { metrics: gzipSync(metrics), compressionType: 1 }), 0)
  const page = await story.page()
  const labels = `client_instance_id="${told.clientInstanceId}"`
  t.match(page, '# TYPE kafka_client_producer_record_send_total counter\n')
  const line = page.split('\n').find((each) => each.startsWith('kafka_client_producer_record_send'))
  t.match(line, /topic="say \\"hi\\"",client_id="[^"]+",client_instance_id="[^"]+"\} 10$/)
  t.match(line, labels)
  t.match(
    page,
    /kafka_client_info\{client_software_name=[^}]*transactional_id="tx",client_id=[^}]*\} 1\n/,
  )
  t.match(page, 'kafka_server_client_metrics_plugin_export_total 2\n')
})

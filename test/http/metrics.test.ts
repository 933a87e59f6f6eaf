/** `/metrics`: the two formats, how pages are shared, and that a broker's numbers are what was done. */
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { Broker } from '../../src/broker.ts'
import { brokerMetrics } from '../../src/broker-metrics.ts'
import { createTopics, deleteTopics } from '../../src/client/admin/topics.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { Producer } from '../../src/client/producer.ts'
import { BrokerConfig } from '../../src/config/broker-config.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { NodeProcessWatch } from '../../src/environment/node/process-watch.ts'
import { type Exposition, type Gather, labelled } from '../../src/http/exposition.ts'
import { healthService } from '../../src/http/health.ts'
import { startHttpServer } from '../../src/http/http-server.ts'
import { MetricsPage } from '../../src/http/metrics-page.ts'
import { processMetrics } from '../../src/http/process-metrics.ts'

const openMetrics = 'application/openmetrics-text; version=1.0.0,text/plain;q=0.5'

const environment = createNodeEnvironment()

const textOf = (pieces: readonly Buffer[]) => Buffer.concat(pieces).toString()

/** By name and labels as they stand there; every line must be understood, every family come once. */
function samples(text: string): Map<string, number> {
  const found = new Map<string, number>()
  const families = new Set<string>()
  let family = ''
  for (const line of text.trimEnd().split('\n')) {
    const type = /^# TYPE (\w+) (counter|gauge|summary)$/.exec(line)
    if (type?.[1] !== undefined) {
      family = type[1]
      if (families.has(family)) throw new Error(`${family} comes twice`)
      families.add(family)
      continue
    }
    if (/^# (HELP \w+ .+|EOF)$/.test(line)) continue
    const match = /^((\w+)(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)$/.exec(line)
    if (match?.[1] === undefined) throw new Error(`not understood: ${line}`)
    if (!match[2]?.startsWith(family)) throw new Error(`${line} stands under ${family}`)
    if (found.has(match[1])) throw new Error(`${match[1]} comes twice`)
    found.set(match[1], Number(match[3]?.replace('Inf', 'Infinity')))
  }
  return found
}

function* gatherFew(out: Exposition): Iterable<undefined> {
  out.counter('seen_total', 'Seen.', 3)
  out.family('empty', 'gauge', 'Never added to.')
  const family = out.family('named', 'gauge', 'Has labels.')
  family.add(1.5, labelled({ path: 'C:\\a "b"\nc', at: 0 }))
  yield
  const summary = out.family('took', 'summary', 'In parts.')
  summary.add(Number.NaN, labelled({ quantile: '0.50' }))
  summary.add(Number.POSITIVE_INFINITY, '', '_sum')
  summary.add(2, '', '_count')
  out.family('named', 'gauge', 'Has labels.').add(-1, labelled({ path: '', at: 1 }))
}

t.test('the formats, to the letter', async (t) => {
  const page = new MetricsPage([gatherFew], environment)
  const named = [
    '# HELP named Has labels.',
    '# TYPE named gauge',
    'named{path="C:\\\\a \\"b\\"\\nc",at="0"} 1.5',
    'named{path="",at="1"} -1',
    '# HELP took In parts.',
    '# TYPE took summary',
    'took{quantile="0.50"} NaN',
    'took_sum +Inf',
    'took_count 2',
    '',
  ].join('\n')
  const text = await page.render('*/*')
  t.equal(text.contentType, 'text/plain; version=0.0.4; charset=utf-8')
  const counter = '# HELP seen_total Seen.\n# TYPE seen_total counter\nseen_total 3\n'
  t.equal(textOf(text.pieces), counter + named)
  const open = await page.render(openMetrics)
  t.equal(open.contentType, 'application/openmetrics-text; version=1.0.0; charset=utf-8')
  const short = '# HELP seen Seen.\n# TYPE seen counter\nseen_total 3\n'
  t.equal(textOf(open.pieces), `${short}${named}# EOF\n`)
})

t.test('scrapes at the same time share one rendering, which leaves room for others', async (t) => {
  let gathered = 0
  let turns = 0
  const slow: Gather = function* (out) {
    gathered++
    const family = out.family('rows', 'gauge', 'Many.')
    for (let row = 0; row < 60_000; row++) {
      family.add(row, labelled({ topic: 'a-topic-of-the-usual-length', row }))
      if (row % 64 === 0) yield
    }
  }
  const page = new MetricsPage([slow], environment)
  const pages = Promise.all(Array.from({ length: 20 }, () => page.render('')))
  let isDone = false
  void pages.then(() => {
    isDone = true
  })
  while (!isDone) {
    await turn()
    turns++
  }
  const [first, ...others] = await pages
  t.equal(gathered, 1)
  t.ok(others.every((each) => each === first))
  t.ok(turns > 3, `others had ${turns} turns`)
  t.ok(
    first?.pieces.every(({ length }) => length < 64 * 1024),
    'in small pieces',
  )
  t.equal(samples(textOf(first?.pieces ?? [])).size, 60_000)
  t.equal(await page.render(''), first, 'it was dear, and is told again')
  t.equal(gathered, 1)
})

t.test('what goes wrong is told, and the next scrape begins anew', async (t) => {
  let isBroken = true
  const broken: Gather = function* (out) {
    yield Promise.resolve()
    if (isBroken) throw new Error('no numbers')
    out.gauge('whole', 'Again.', 1)
  }
  const page = new MetricsPage([broken], environment)
  const service = healthService({
    health: () => ({ ready: true }),
    metrics: (to) => page.render(to),
  })
  const server = await startHttpServer(environment.listenHttp, { host: '127.0.0.1', port: 0 }, [
    service,
  ])
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${server.address.port}/metrics`
  const failed = await fetch(url)
  t.equal(failed.status, 500)
  t.match(await failed.text(), /no numbers/)
  isBroken = false
  const whole = await fetch(`${url}?name=x`, { headers: { accept: openMetrics } })
  t.equal(
    whole.headers.get('content-type'),
    'application/openmetrics-text; version=1.0.0; charset=utf-8',
  )
  t.equal(await whole.text(), '# HELP whole Again.\n# TYPE whole gauge\nwhole 1\n# EOF\n')
  const head = await fetch(url, { method: 'HEAD' })
  t.equal(head.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  t.equal(await head.text(), '')
  t.equal((await fetch(url, { method: 'POST' })).status, 405)
})

t.test('the process tells of itself', async (t) => {
  await delay(20)
  const page = new MetricsPage([processMetrics(new NodeProcessWatch())], environment)
  const found = samples(textOf((await page.render('')).pieces))
  t.ok((found.get('process_cpu_seconds_total') ?? 0) > 0)
  t.ok((found.get('process_resident_memory_bytes') ?? 0) > 10_000_000)
  t.ok(Math.abs((found.get('process_start_time_seconds') ?? 0) - Date.now() / 1000) < 600)
  if (process.platform === 'linux') t.ok((found.get('process_open_fds') ?? 0) > 2)
  for (const what of ['min', 'mean', 'max', 'p50', 'p99']) {
    const lag = found.get(`nodejs_eventloop_lag_${what}_seconds`)
    t.ok(lag !== undefined && lag >= 0 && lag < 60, `${what} ${lag}`)
  }
  const idle = found.get('kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent')
  t.ok(idle !== undefined && idle > 0 && idle <= 1, `the first scrape tells of what was: ${idle}`)
})

t.test('the numbers of a broker are what was done', async (t) => {
  const environment = createNodeEnvironment({ log: { level: 'silent' } })
  const settings = { 'log.dirs': t.testdir(), listeners: 'PLAINTEXT://127.0.0.1:0' }
  const config = new BrokerConfig(new Map(Object.entries(settings)))
  const onFatal = (error: Error) => t.fail(String(error))
  const broker = new Broker({ environment, config, isDevelopment: true, onFatal })
  const page = () =>
    new MetricsPage([(out) => brokerMetrics(out, broker.measured)], environment).render('')
  const scrape = async () => samples(textOf((await page()).pieces))
  t.strictSame([...(await scrape())], [['kafka_server_kafkaserver_brokerstate', 1]])
  await broker.start()
  const port = broker.addresses.get('PLAINTEXT')?.port ?? 0
  const cluster = new Cluster(environment, { bootstrap: [{ host: '127.0.0.1', port }] })
  const configs = new Map<string, string>()
  const topic = { partitions: 3, replicationFactor: 1, configs }
  await createTopics(cluster, [
    { ...topic, name: 'orders' },
    { ...topic, name: 'unused' },
  ])
  const producer = new Producer(cluster)
  const value = Buffer.alloc(100)
  const send = (key: number) =>
    producer.send({ topic: 'orders', key: Buffer.from(`${key}`), value, headers: [] })
  await Promise.all(Array.from({ length: 500 }, (_, key) => send(key)))
  await producer.close()
  const consumer = new Consumer(cluster, { groupId: 'readers', autoOffsetReset: 'earliest' })
  consumer.subscribe(['orders'])
  let read = 0
  while (read < 500) {
    for (const { records } of await consumer.poll({ timeoutMs: 500 })) read += records.length
  }
  await consumer.commit()

  const after = await scrape()
  const of = (name: string) => after.get(name) ?? Number.NaN
  const perTopic = (name: string, labels = '{topic="orders"}') =>
    of(`kafka_server_brokertopicmetrics_${name}_total${labels}`)
  t.equal(of('kafka_server_kafkaserver_brokerstate'), 3)
  t.equal(perTopic('messagesin'), 500)
  t.ok(perTopic('bytesin') > 50_000)
  t.equal(perTopic('bytesout'), perTopic('bytesin'), 'read once')
  t.equal(perTopic('messagesin', '{topic="unused"}'), 0)
  t.equal(perTopic('failedproducerequests'), 0)
  t.ok(perTopic('totalfetchrequests') >= 3)
  t.ok(perTopic('messagesin', '') > 500, 'with the records of the group')
  const ends = [0, 1, 2].map((index) =>
    of(`kafka_log_log_logendoffset{topic="orders",partition="${index}"}`),
  )
  t.equal((ends[0] as number) + (ends[1] as number) + (ends[2] as number), 500)
  const sizes = [0, 1, 2].map((index) =>
    of(`kafka_log_log_size{topic="orders",partition="${index}"}`),
  )
  t.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    perTopic('bytesin'),
  )
  t.equal(of('kafka_server_replicamanager_partitioncount'), 6 + 50, 'with __consumer_offsets')
  t.equal(of('kafka_controller_kafkacontroller_globalpartitioncount'), 56)
  t.equal(of('kafka_controller_kafkacontroller_offlinepartitionscount'), 0)
  t.equal(of('kafka_coordinator_group_groupmetadatamanager_numgroups'), 1)
  t.equal(of('kafka_server_group_coordinator_metrics_num_partitions{state="active"}'), 50)
  const produced = [...after].filter(([name]) => /requests_total\{request="Produce",/.test(name))
  const answered = of('kafka_network_requestmetrics_totaltimems_count{request="Produce"}')
  t.equal(
    produced.reduce((sum, [, count]) => sum + count, 0),
    answered,
  )
  const failed = [...after].filter(([name]) => /errors_total\{request="Produce",/.test(name))
  t.strictSame(
    failed.map(([name]) => name),
    ['kafka_network_requestmetrics_errors_total{request="Produce",error="NONE"}'],
  )
  const part = (stage: string) =>
    of(`kafka_network_requestmetrics_${stage}timems_sum{request="Produce"}`)
  const stages = ['requestqueue', 'local', 'remote', 'responsequeue'].map(part)
  t.ok(stages.every((ms) => ms >= 0))
  const whole = stages.reduce((sum, ms) => sum + ms, 0)
  t.ok(Math.abs(whole - part('total')) < 0.01, `${whole} ms in stages, ${part('total')} in all`)
  const p99 = of('kafka_network_requestmetrics_totaltimems{request="Produce",quantile="0.99"}')
  t.ok(p99 > 0 && p99 < 60_000, `${p99} ms`)

  await consumer.close()
  await deleteTopics(cluster, ['orders'])
  const then = await scrape()
  const total = 'kafka_server_brokertopicmetrics_messagesin_total'
  t.equal(then.get(`${total}{topic="orders"}`), undefined)
  t.ok((then.get(total) ?? 0) >= 500, 'the total outlives the topic')
  cluster.close()
  await broker.stop()
  t.equal((await scrape()).get('kafka_server_kafkaserver_brokerstate'), 6)
})

/** The connectors that come with the runtime, against a broker and an HTTP server of the test's own. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { datagenSource } from '../../src/connect/datagen/datagen-source.ts'
import { shapes } from '../../src/connect/datagen/shapes.ts'
import { httpSink } from '../../src/connect/http/http-sink.ts'
import { httpSource } from '../../src/connect/http/http-source.ts'
import { WorkerTrial } from './worker-trial.ts'

t.setTimeout(120_000)

const jsonConverter = {
  'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
  'value.converter.schemas.enable': 'false',
}

interface Asked {
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** A server that answers as it is told; what it was asked is kept. */
async function server(
  t: Test,
  answer: (asked: Asked, count: number) => { status: number; body?: unknown },
): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = []
  const listening = createServer(async (request, response) => {
    const one = { url: request.url ?? '', headers: request.headers, body: await text(request) }
    asked.push(one)
    const { status, body } = answer(one, asked.length)
    response.writeHead(status).end(body === undefined ? '' : JSON.stringify(body))
  }).listen(0, '127.0.0.1')
  await once(listening, 'listening')
  t.teardown(() => {
    listening.closeAllConnections()
    listening.close()
  })
  return { url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`, asked }
}

async function worker(t: Test): Promise<WorkerTrial> {
  const trial = await WorkerTrial.start([datagenSource, httpSink, httpSource])
  t.teardown(() => trial.stop())
  return trial
}

t.test(
  'made-up records: the same with the same seed, and on behind the last after a restart',
  async (t) => {
    const trial = await worker(t)
    const config = {
      ...{ 'connector.class': 'DatagenSource', quickstart: 'stock_trades', rate: 1000 },
      ...{ iterations: 300, keys: 3, 'random.seed': 5, ...jsonConverter },
    }
    const values = async (topic: string, count: number) =>
      (await trial.consume(topic, count)).map(({ key, value }) => {
        const { tradetime, ...rest } = JSON.parse(String(value)) as Record<string, unknown>
        t.type(tradetime, 'number')
        t.equal(String(key), rest['symbol'])
        return rest
      })
    await trial.ask('PUT', '/connectors/one/config', { ...config, 'kafka.topic': 'one' })
    const first = await values('one', 300)
    t.equal(first.length, 300)
    t.equal(new Set(first.map(({ symbol }) => symbol)).size, 3)
    await trial.ask('PUT', '/connectors/two/config', {
      ...config,
      'kafka.topic': 'two',
      iterations: 100,
    })
    t.strictSame(await values('two', 100), first.slice(0, 100))
    await trial.until('offsets are kept', async () => {
      const { body } = await trial.ask('GET', '/connectors/two/offsets')
      return body.offsets[0]?.offset.sequence === 100
    })
    await trial.stopWorker()
    await trial.startWorker()
    await trial.ask('PUT', '/connectors/two/config', {
      ...config,
      'kafka.topic': 'two',
      iterations: 150,
    })
    t.strictSame(await values('two', 150), first.slice(0, 150))
  },
)

t.test('every shape has its own schema, and a key that is a field', async (t) => {
  const trial = await worker(t)
  for (const name of Object.keys(shapes)) {
    await trial.ask('PUT', `/connectors/${name}/config`, {
      ...{ 'connector.class': 'DatagenSource', 'kafka.topic': name, quickstart: name, rate: 500 },
      ...{ iterations: 20, 'value.converter': 'org.apache.kafka.connect.json.JsonConverter' },
    })
    const records = await trial.consume(name, 20)
    t.equal(records.length, 20, name)
    for (const { key, value } of records) {
      const { schema, payload } = JSON.parse(String(value))
      t.equal(schema.name, name)
      t.equal(String(key), String(payload[shapes[name]!.keyField]))
    }
  }
})

t.test(
  'records are posted; an outage is waited out, and what is refused goes where errors go',
  async (t) => {
    const trial = await worker(t)
    const { url, asked } = await server(t, ({ body }, count) => {
      if (count === 1) return { status: 503 }
      return { status: body.includes('bad') ? 422 : 200 }
    })
    await trial.topic('posted')
    await trial.produce('posted', ['{"a":1}', '{"bad":2}', '{"a":3}', null])
    await trial.ask('PUT', '/connectors/poster/config', {
      ...{ 'connector.class': 'HttpSink', topics: 'posted', 'http.url': `${url}/in` },
      ...{
        'http.headers.authorization': 'Bearer secret',
        'http.headers.additional': 'X-From: mill',
      },
      ...{ 'retry.backoff.ms': 50, 'errors.tolerance': 'all', ...jsonConverter },
      'errors.deadletterqueue.topic.name': 'dead',
      'errors.deadletterqueue.topic.replication.factor': 1,
    })
    const dead = await trial.consume('dead', 2)
    t.strictSame(
      dead.map(({ value }) => value && String(value)),
      ['{"bad":2}', null],
    )
    await trial.until('all were sent', () => asked.length === 4)
    t.strictSame(
      asked.map(({ body }) => body),
      ['{"a":1}', '{"a":1}', '{"bad":2}', '{"a":3}'],
    )
    t.match(asked[0]!.headers, {
      ...{ authorization: 'Bearer secret', 'x-from': 'mill', 'content-type': 'application/json' },
    })
    const { body } = await trial.ask('GET', '/connectors/poster/config')
    t.equal(body['http.url'], `${url}/in`)
  },
)

t.test('several in a request; of one that is refused each is tried by itself', async (t) => {
  const trial = await worker(t)
  const { url, asked } = await server(t, ({ body }) => ({
    status: body.includes('bad') ? 400 : 201,
  }))
  await trial.topic('posted')
  await trial.produce('posted', ['1', '2', '"bad"', '4'])
  await trial.ask('PUT', '/connectors/poster/config', {
    ...{ 'connector.class': 'HttpSink', topics: 'posted', 'http.url': url },
    ...{ 'batching.enabled': true, 'batch.max.size': 10, 'errors.tolerance': 'all' },
    ...{ 'batch.prefix': '[', 'batch.separator': ',', 'batch.suffix': ']', ...jsonConverter },
  })
  await trial.until('all were tried', () => asked.length === 5)
  t.strictSame(
    asked.map(({ body }) => body),
    ['[1,2,bad,4]', '[1]', '[2]', '[bad]', '[4]'],
  )
  await trial.untilStates('poster', 'RUNNING', 'RUNNING')
})

t.test('an outage that does not end fails the task', async (t) => {
  const trial = await worker(t)
  const { url, asked } = await server(t, () => ({ status: 500 }))
  await trial.topic('posted')
  await trial.produce('posted', ['1'])
  await trial.ask('PUT', '/connectors/poster/config', {
    ...{ 'connector.class': 'HttpSink', topics: 'posted', 'http.url': url },
    ...{ 'max.retries': 2, 'retry.backoff.ms': 10 },
  })
  await trial.untilStates('poster', 'RUNNING', 'FAILED')
  t.equal(asked.length, 3)
  const { body } = await trial.ask('GET', '/connectors/poster/status')
  t.match(body.tasks[0].trace, /answers 500.*it was tried 3 times/)
})

t.test(
  'what lets us in is not told: not in states, and not where settings are shown',
  async (t) => {
    const trial = await worker(t)
    const { url, asked } = await server(t, () => ({ status: 403 }))
    const address = `${url.replace('://', '://user:secret@')}/in?key=secret`
    await trial.topic('posted')
    await trial.produce('posted', ['1'])
    const sink = {
      ...{ 'connector.class': 'HttpSink', topics: 'posted', 'http.url': address },
      'http.headers.additional': 'Authorization:secret',
    }
    const source = {
      ...{ 'connector.class': 'HttpSource', 'kafka.topic': 'x', 'http.request.url': address },
      'http.request.headers': 'X-Key: secret, X-From:mill',
    }
    for (const [name, config] of Object.entries({ sink, source })) {
      await trial.ask('PUT', `/connectors/${name}/config`, config)
      await trial.untilStates(name, 'RUNNING', 'FAILED')
      const { body } = await trial.ask('GET', `/connectors/${name}/status`)
      t.match(body.tasks[0].trace, /\[hidden\]@127\.0\.0\.1:\d+\/in\?\[hidden\] answers 403/)
      t.notMatch(body.tasks[0].trace, /secret/)
      const className = config['connector.class']
      const validated = await trial.ask('PUT', `/connector-plugins/${className}/config/validate`, {
        ...{ name, ...config },
      })
      t.equal(validated.body.error_count, 0)
      const headers = validated.body.configs.find(({ value }: { value: { name: string } }) =>
        /additional|request.headers/.test(value.name),
      )
      t.match(headers, { definition: { type: 'PASSWORD' }, value: { value: '[hidden]' } })
    }
    t.ok(asked.some(({ headers }) => headers['x-key'] === 'secret' && headers['x-from'] === 'mill'))
    t.ok(asked.some(({ headers }) => headers.authorization === 'secret'))

    const wrong = await trial.ask('PUT', '/connector-plugins/HttpSource/config/validate', {
      ...{ name: 'x', ...source, 'http.request.headers': 'a:1,X-Key secret' },
    })
    const errors = wrong.body.configs.flatMap(
      ({ value }: { value: { errors: string[] } }) => value.errors,
    )
    t.strictSame(errors, [
      'Invalid value [hidden] for configuration http.request.headers: Header 2 is not NAME:VALUE',
    ])
  },
)

t.test('answers become records, each once, and over a restart', async (t) => {
  const trial = await worker(t)
  const orders = Array.from({ length: 7 }, (_, at) => ({ id: at + 1, name: `order ${at + 1}` }))
  const { url, asked } = await server(t, ({ url: given }, count) => {
    if (count === 2) return { status: 500 }
    const after = Number(new URL(given, 'http://x').searchParams.get('after'))
    // The last one is answered again, as such services do.
    const from = Math.max(0, after - 1)
    return { status: 200, body: { data: { orders: orders.slice(from, from + 3) } } }
  })
  const config = {
    ...{ 'connector.class': 'HttpSource', 'kafka.topic': 'orders', ...jsonConverter },
    'http.request.url': `${url}/orders?after=\${offset}`,
    'http.response.list.pointer': '/data/orders',
    'http.response.record.offset.pointer': '/id',
    'http.response.record.key.pointer': '/name',
    'http.offset.initial': '0',
    'http.timer.interval.millis': '20',
  }
  await trial.ask('PUT', '/connectors/asker/config', config)
  const values = async (count: number) =>
    (await trial.consume('orders', count)).map(({ key, value }) => {
      const order = JSON.parse(String(value)) as { id: number; name: string }
      t.equal(String(key), order.name)
      return order
    })
  t.strictSame(await values(7), orders)
  await trial.until('the offset is kept', async () => {
    const { body } = await trial.ask('GET', '/connectors/asker/offsets')
    return body.offsets[0]?.offset.offset === '7'
  })
  await trial.stopWorker()
  const count = asked.length
  orders.push({ id: 8, name: 'order 8' })
  await trial.startWorker()
  t.strictSame(await values(8), orders)
  t.match(asked[count]!.url, /after=7/)
})

t.test('settings that are wrong are named before anything runs', async (t) => {
  const trial = await worker(t)
  const wrong = [
    ['DatagenSource', { 'kafka.topic': 'x', quickstart: 'nothing' }, 'quickstart'],
    ['DatagenSource', {}, 'kafka.topic'],
    ['HttpSink', { topics: 'x', 'http.url': 'ftp://x' }, 'http.url'],
    [
      'HttpSink',
      { topics: 'x', 'http.url': 'http://x', 'http.headers.additional': 'secret' },
      'http.headers.additional',
    ],
    [
      'HttpSource',
      { 'kafka.topic': 'x', 'http.request.url': 'http://x', 'http.response.list.pointer': 'a' },
      'http.response.list.pointer',
    ],
  ] as const
  for (const [className, settings, name] of wrong) {
    const { body } = await trial.ask('PUT', `/connector-plugins/${className}/config/validate`, {
      ...{ 'connector.class': className, name: 'x', ...settings },
    })
    const faults = body.configs.filter(
      (one: { value: { errors: string[] } }) => one.value.errors.length > 0,
    )
    t.strictSame(
      faults.map((one: { value: { name: string } }) => one.value.name),
      [name],
      className,
    )
  }
})

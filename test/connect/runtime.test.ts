/** The connector runtime against a broker: files in and out, life cycle, REST, errors, dead letters, offsets. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { Cluster } from '../../src/client/cluster.ts'
import { fetchCommitted } from '../../src/client/offsets.ts'
import { Producer } from '../../src/client/producer.ts'
import { ConfigDef } from '../../src/connect/config-def.ts'
import { Processing } from '../../src/connect/errors/tolerance.ts'
import { RetriableException } from '../../src/connect/failures.ts'
import type { SinkTaskContext, SourcePlugin } from '../../src/connect/plugin.ts'
import type { SinkRecord, SourceRecord } from '../../src/connect/records.ts'
import { AtLeastOnce } from '../../src/connect/runtime/at-least-once.ts'
import type { SourceOffset, WriteParts } from '../../src/connect/runtime/source-writes.ts'
import { TaskMeasures } from '../../src/connect/runtime/task-measures.ts'
import { parseConnectConfig } from '../../src/connect/runtime/worker.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { sinkDoing, WorkerTrial } from './worker-trial.ts'

t.setTimeout(120_000)

const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1)
const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => `line ${from + at}`)

t.test('files: a topic to a file, a file to a topic, over a restart of the worker', async (t) => {
  const directory = t.testdir({})
  const trial = await WorkerTrial.start()
  t.teardown(() => trial.stop())
  const target = join(directory, 'out.txt')
  const source = join(directory, 'in.txt')
  await trial.topic('lines', 3)
  const made = await trial.ask('POST', '/connectors', {
    name: 'out',
    config: {
      'connector.class': 'FileStreamSink',
      topics: 'lines',
      file: target,
      'tasks.max': 2,
    },
  })
  t.equal(made.status, 201)
  t.equal(made.headers['Location'], '/connectors/out')
  t.match(made.body, {
    name: 'out',
    type: 'sink',
    config: { name: 'out', 'tasks.max': '2' },
    tasks: [
      { connector: 'out', task: 0 },
      { connector: 'out', task: 1 },
    ],
  })
  await trial.produce('lines', numbered(0, 500))
  await trial.until('500 lines', () => linesOf(target).length === 500)
  t.strictSame(linesOf(target).sort(), numbered(0, 500).sort())

  writeFileSync(source, 'one\ntwo\r\nthree\rdrei und ü\nunfinished')
  await trial.ask('PUT', '/connectors/in/config', {
    'connector.class': 'org.apache.kafka.connect.file.FileStreamSourceConnector',
    topic: 'read',
    file: source,
  })
  const values = async (count: number) =>
    (await trial.consume('read', count)).map(({ value }) => String(value))
  t.strictSame(await values(4), ['one', 'two', 'three', 'drei und ü'])
  await trial.until('offsets are kept', async () => {
    const { body } = await trial.ask('GET', '/connectors/in/offsets')
    return body.offsets[0]?.offset.position === 27
  })

  await trial.stopWorker()
  appendFileSync(source, ' no more\n')
  await trial.produce('lines', numbered(500, 600))
  await trial.startWorker()
  await trial.until('600 lines', () => linesOf(target).length >= 600)
  t.strictSame(linesOf(target).sort(), numbered(0, 600).sort(), 'each once')
  t.strictSame((await values(5)).slice(4), ['unfinished no more'])
  t.strictSame((await trial.ask('GET', '/connectors/in/topics')).body, { in: { topics: ['read'] } })

  for (const name of ['in', 'out'])
    t.equal((await trial.ask('DELETE', `/connectors/${name}`)).status, 204)
  t.strictSame((await trial.ask('GET', '/connectors')).body, [])
  await trial.stopWorker()
  await trial.startWorker()
  t.strictSame((await trial.ask('GET', '/connectors')).body, [], 'they stay away')
})

t.test('life cycle, as REST shows it', async (t) => {
  const seen: string[] = []
  const task = () => ({
    start: () => void seen.push('start'),
    open: () => void seen.push('open'),
    put: (records: readonly SinkRecord[]) => {
      for (const { value } of records) seen.push(String(value))
    },
    close: () => void seen.push('close'),
    stop: () => void seen.push('stop'),
  })
  const trial = await WorkerTrial.start([
    sinkDoing('Recorder', task),
    sinkDoing('TooMany', task, 3),
  ])
  t.teardown(() => trial.stop())
  await trial.topic('events')
  const config = { 'connector.class': 'test.Recorder', topics: 'events' }
  await trial.ask('POST', '/connectors', { name: 'life', config, initial_state: 'stopped' })
  await trial.untilStates('life', 'STOPPED')
  t.strictSame(seen, [], 'it never ran')
  t.equal((await trial.ask('PUT', '/connectors/life/resume')).status, 202)
  await trial.untilStates('life', 'RUNNING', 'RUNNING')
  await trial.produce('events', ['a'])
  await trial.until('a', () => seen.includes('a'))
  t.equal((await trial.ask('PUT', '/connectors/life/pause')).status, 202)
  t.equal((await trial.ask('PUT', '/connectors/life/pause')).status, 202)
  await trial.untilStates('life', 'PAUSED', 'PAUSED')
  await trial.produce('events', ['b'])
  await trial.ask('PUT', '/connectors/life/resume')
  await trial.until('b', () => seen.includes('b'))
  t.equal((await trial.ask('POST', '/connectors/life/restart')).status, 204)
  const both = await trial.ask('POST', '/connectors/life/restart?includeTasks=true')
  t.equal(both.status, 202)
  t.match(both.body, {
    connector: { state: 'RESTARTING' },
    tasks: [{ id: 0, state: 'RESTARTING', worker_id: 'worker:8083', version: '7' }],
  })
  await trial.untilStates('life', 'RUNNING', 'RUNNING')
  t.equal((await trial.ask('PUT', '/connectors/life/stop')).status, 204)
  await trial.untilStates('life', 'STOPPED')
  t.strictSame(seen.slice(-2), ['close', 'stop'])
  t.strictSame(
    seen.filter((what) => what === 'a' || what === 'b'),
    ['a', 'b'],
    'nothing came twice',
  )
  await trial.ask('POST', '/connectors', {
    name: 'many',
    config: { ...config, 'connector.class': 'TooMany', 'tasks.max': '2' },
  })
  await trial.untilStates('many', 'FAILED')
  const { body } = await trial.ask('GET', '/connectors/many/status')
  t.match(body, { connector: { state: 'FAILED', trace: /generated 3 tasks/ }, tasks: [] })
})

t.test('a source task is stopped if it was started, and then once, however soon', async (t) => {
  const seen: string[] = []
  const connector = { start: () => undefined, taskConfigs: () => [new Map()] }
  const early: SourcePlugin = {
    ...{ type: 'source', className: 'test.Early', version: '7', config: new ConfigDef({}) },
    connector: () => connector,
    task: () => ({
      start: () => void seen.push('start'),
      poll: () => delay(10, null),
      stop: () => void seen.push('stop'),
    }),
  }
  const trial = await WorkerTrial.start([early])
  t.teardown(() => trial.stop())
  const config = { 'connector.class': 'test.Early' }
  await trial.ask('POST', '/connectors', { name: 'e', config, initial_state: 'stopped' })
  for (let round = 0; round < 8; round++) {
    await trial.ask('PUT', '/connectors/e/resume')
    // In some rounds there is no task yet, in some it reads offsets, in some it runs.
    await delay(round * 8)
    await trial.ask('PUT', '/connectors/e/stop')
    await trial.untilStates('e', 'STOPPED')
  }
  await trial.ask('PUT', '/connectors/e/resume')
  await trial.untilStates('e', 'RUNNING', 'RUNNING')
  await trial.ask('PUT', '/connectors/e/stop')
  await trial.until('the last one has ended', () => seen.length > 0 && seen.length % 2 === 0)
  t.match(`${seen.join()},`, /^(start,stop,)+$/)
})

t.test('what a task still says that was given up changes nothing', async (t) => {
  let hangs = false
  let release = () => {}
  let gate = Promise.resolve()
  let stopped = 0
  const hang = () => {
    hangs = true
    gate = new Promise((resolve) => {
      release = resolve
    })
  }
  const trial = await WorkerTrial.start([
    sinkDoing('Hangs', () => ({
      start: () => undefined,
      put: async () => {
        if (hangs) await gate
      },
      stop: () => void stopped++,
    })),
  ])
  t.teardown(() => trial.stop())
  await trial.topic('t')
  const config = { 'connector.class': 'test.Hangs', topics: 't', 'tasks.max': '2' }
  await trial.ask('POST', '/connectors', { name: 'h', config })
  await trial.untilStates('h', 'RUNNING', 'RUNNING', 'RUNNING')
  /** Gives up tasks that hang, and lets them end when others are in their place. */
  const giveUp = async (method: string, at: string, body?: unknown, ...states: string[]) => {
    hang()
    await delay(1_000)
    const before = stopped
    const answered = trial.ask(method, at, body)
    await delay(2_200)
    hangs = false
    await answered
    await trial.untilStates('h', ...states)
    release()
    await trial.until('the old ones have ended', () => stopped > before)
    await delay(500)
    t.strictSame(await trial.states('h'), states, `${method} ${at}`)
  }
  const restart = '/connectors/h/restart?includeTasks=true'
  await giveUp('POST', restart, undefined, 'RUNNING', 'RUNNING', 'RUNNING')
  await giveUp('PATCH', '/connectors/h/config', { 'tasks.max': '1' }, 'RUNNING', 'RUNNING')
  await giveUp('PUT', '/connectors/h/stop', undefined, 'STOPPED')
  t.strictSame((await trial.ask('GET', '/connectors/h/tasks')).body, [])

  const tell = async (task: number, state: string, generation: number) => {
    const producer = new Producer(trial.cluster)
    const value = JSON.stringify({ state, trace: null, worker_id: 'worker:8083', generation })
    const key = Buffer.from(`status-task-h-${task}`)
    await producer.send({ topic: 'connect-status', key, value: Buffer.from(value) })
    await producer.close()
  }
  await tell(0, 'UNASSIGNED', 50)
  await trial.untilStates('h', 'STOPPED', 'UNASSIGNED')
  await trial.stopWorker()
  await trial.startWorker()
  await trial.untilStates('h', 'STOPPED')
  await trial.ask('PUT', '/connectors/h/resume')
  await trial.untilStates('h', 'RUNNING', 'RUNNING')
  await tell(0, 'UNASSIGNED', 50)
  await tell(7, 'UNASSIGNED', 50)
  await trial.untilStates('h', 'RUNNING', 'RUNNING', 'UNASSIGNED')
  t.pass('of another worker, before')
})

t.test('how much a worker logs is told and set', async (t) => {
  const trial = await WorkerTrial.start()
  t.teardown(() => trial.stop())
  const root = '/admin/loggers/root'
  const untouched = { level: 'OFF', last_modified: null }
  t.strictSame((await trial.ask('GET', '/admin/loggers')).body, { root: untouched })
  t.strictSame((await trial.ask('GET', root)).body, untouched)
  const set = await trial.ask('PUT', root, { level: 'fatal' })
  t.match(set, { status: 200, body: ['root'] })
  t.match((await trial.ask('GET', root)).body, { level: 'FATAL', last_modified: Number })
  const ofAll = await trial.ask('PUT', `${root}?scope=cluster`, { level: 'OFF' })
  t.match(ofAll, { status: 204, body: null })
  t.match((await trial.ask('GET', root)).body, { level: 'OFF' })
  t.match(await trial.ask('PUT', root, { level: 'LOUD' }), {
    status: 404,
    body: { message: "invalid log level 'LOUD'." },
  })
  t.equal((await trial.ask('PUT', root, {})).status, 400)
  t.match(await trial.ask('GET', '/admin/loggers/org.apache'), {
    status: 404,
    body: { message: 'Logger org.apache not found.' },
  })
})

t.test('what a client gets that asks for nonsense', async (t) => {
  const trial = await WorkerTrial.start()
  t.teardown(() => trial.stop())
  const config = { 'connector.class': 'FileStreamSink', topics: 'a', file: '/dev/null' }
  t.equal((await trial.ask('POST', '/connectors', { name: 'ok', config })).status, 201)
  const cases: [string, string, unknown, number, RegExp][] = [
    ['GET', '/connectors/none', undefined, 404, /Connector none not found/],
    ['GET', '/connectors/none/status', undefined, 404, /No status found for connector none/],
    ['GET', '/connectors/ok/tasks/7/status', undefined, 404, /No status found for task ok-7/],
    ['POST', '/connectors/ok/tasks/7/restart', undefined, 404, /Task ok-7 not found/],
    ['DELETE', '/connectors/none', undefined, 404, /not found/],
    ['PUT', '/connectors/none/pause', undefined, 404, /not found/],
    ['POST', '/connectors', { name: 'ok', config }, 409, /Connector ok already exists/],
    ['POST', '/connectors', '{"name":', 400, /Malformed JSON/],
    ['POST', '/connectors', '[]', 400, /must be an object/],
    ['POST', '/connectors', { name: 'x', config: 1 }, 400, /must be an object of strings/],
    ['POST', '/connectors', { name: 'x', config: { a: {} } }, 400, /value of a must be a string/],
    ['POST', '/connectors', { name: 'x', config, more: 1 }, 400, /Unrecognized field "more"/],
    ['POST', '/connectors', { name: 'x', config, initial_state: 'odd' }, 400, /initial_state/],
    ['POST', '/connectors', { config }, 400, /Invalid value {2}for configuration name/],
    ['POST', '/connectors', { name: 'x\u0007', config }, 400, /Invalid value/],
    ['POST', '/connectors', { name: 'x', config: {} }, 400, /no connector type/],
    ['PUT', '/connectors/x/config', { ...config, name: 'y' }, 400, /doesn't match/],
    ['PUT', '/connectors/x/config', { ...config, topics: null }, 400, /Null value/],
    [
      'PUT',
      '/connectors/x/config',
      { 'connector.class': 'Nope', topics: 'a' },
      400,
      /any class that implements Connector and which name matches Nope/,
    ],
    [
      'PUT',
      '/connectors/x/config',
      { ...config, 'tasks.max': '0', 'topics.regex': '(', 'value.converter': 'Nope' },
      400,
      /contains the following 5 error\(s\):[\s\S]*at least 1[\s\S]*Nope could not be found[\s\S]*mutually exclusive/,
    ],
    [
      'PUT',
      '/connectors/x/config',
      {
        'connector.class': 'FileStreamSource',
        file: 'x',
        topic: 'a',
        'exactly.once.support': 'required',
      },
      400,
      /does not have exactly-once source support enabled/,
    ],
    ['PUT', '/connector-plugins/Nope/config/validate', config, 400, /does not match request type/],
    ['GET', '/connector-plugins/Nope/config', undefined, 404, /Unknown plugin Nope/],
    ['GET', '/connectors/ok/nothing', undefined, 404, /404/],
    ['PUT', '/connectors', {}, 405, /405/],
  ]
  for (const [method, path, body, status, message] of cases) {
    const answer = await trial.ask(method, path, body)
    t.equal(answer.status, status, `${method} ${path} ${JSON.stringify(body)}`)
    t.match(answer.body, { error_code: status, message }, `${method} ${path}`)
  }
  t.match((await trial.ask('GET', '/')).body, { version: /^\d+\.\d+/, kafka_cluster_id: /./ })
  const patched = await trial.ask('PATCH', '/connectors/ok/config', { file: null, 'tasks.max': 3 })
  t.strictSame(patched.body.config, {
    'connector.class': 'FileStreamSink',
    topics: 'a',
    'tasks.max': '3',
    name: 'ok',
  })
  t.equal(patched.body.tasks.length, 3)
  const expanded = await trial.ask('GET', '/connectors?expand=info&expand=status')
  t.match(expanded.body, { ok: { info: { type: 'sink' }, status: { name: 'ok' } } })
})

t.test('validation answers what a form needs', async (t) => {
  const trial = await WorkerTrial.start()
  t.teardown(() => trial.stop())
  const { status, body } = await trial.ask(
    'PUT',
    '/connector-plugins/FileStreamSource/config/validate',
    {
      'connector.class': 'FileStreamSource',
      'batch.size': 'many',
      file: 'x',
      'producer.override.linger.ms': 'soon',
    },
  )
  t.equal(status, 200)
  t.equal(body.name, 'FileStreamSource')
  t.equal(body.error_count, 4)
  const found = new Map(
    body.configs.map((row: { value: { name: string } }) => [row.value.name, row]),
  )
  t.match(found.get('topic'), {
    definition: {
      name: 'topic',
      type: 'STRING',
      required: true,
      default_value: null,
      importance: 'HIGH',
      group: null,
      order_in_group: -1,
      width: 'NONE',
      display_name: 'topic',
      dependents: [],
    },
    value: {
      value: null,
      errors: ['Missing required configuration "topic" which has no default value.'],
      recommended_values: [],
      visible: true,
    },
  })
  t.match(found.get('batch.size'), {
    definition: { type: 'INT', default_value: '2000' },
    value: { errors: [/Not a number of type INT/] },
  })
  t.match(found.get('producer.override.linger.ms'), {
    definition: { type: 'LONG', default_value: '5' },
    value: { value: null, errors: [/Not a number of type LONG/] },
  })
  t.match(found.get('errors.tolerance'), {
    definition: { group: 'Error Handling', default_value: 'none' },
    value: { value: 'none' },
  })
  const { body: keys } = await trial.ask('GET', '/connector-plugins/FileStreamSink/config')
  t.match(keys[0], { name: 'file', type: 'STRING', required: false })
  const converterKeys = async (name: string) => {
    const { body: told } = await trial.ask('GET', `/connector-plugins/${name}/config`)
    return told.map(({ name }: { name: string }) => name)
  }
  t.strictSame(await converterKeys('JsonConverter'), [
    'converter.type',
    'schemas.enable',
    'schemas.cache.size',
    'schema.content',
    'decimal.format',
    'replace.null.with.default',
  ])
  t.strictSame(await converterKeys('LongConverter'), ['converter.type'])
  t.strictSame(await converterKeys('SimpleHeaderConverter'), [])
})

t.test('a task that throws fails alone, and is told with its trace', async (t) => {
  let isBroken = true
  const seen: string[] = []
  const trial = await WorkerTrial.start([
    sinkDoing('Breaks', () => ({
      start: () => undefined,
      put: (records) => {
        for (const { value } of records) {
          if (isBroken && value === 'bad') throw new TypeError('out of cheese')
          seen.push(String(value))
        }
      },
    })),
  ])
  t.teardown(() => trial.stop())
  await trial.topic('food')
  const config = { 'connector.class': 'Breaks', topics: 'food' }
  await trial.ask('POST', '/connectors', { name: 'eats', config })
  await trial.produce('food', ['good', 'bad', 'late'])
  await trial.untilStates('eats', 'RUNNING', 'FAILED')
  const { body } = await trial.ask('GET', '/connectors/eats/status')
  t.match(
    body.tasks[0].trace,
    /ConnectException: Exiting WorkerSinkTask[\s\S]*\n\tat [\s\S]*Caused by: TypeError: out of cheese\n\tat /,
  )
  isBroken = false
  seen.length = 0
  t.equal((await trial.ask('POST', '/connectors/eats/tasks/0/restart')).status, 204)
  await trial.until('the rest', () => seen.includes('late'))
  t.strictSame(seen, ['good', 'bad', 'late'], 'from the last commit on')
})

t.test('redelivery, refused flushes and offsets of the task’s own', async (t) => {
  const seen: string[] = []
  let refusals = 2
  let flushFailures = 1
  let context: SinkTaskContext | null = null
  const trial = await WorkerTrial.start([
    sinkDoing('Stubborn', () => ({
      start: (_settings, given) => {
        context = given
      },
      put: (records) => {
        if (records.length > 0 && refusals-- > 0) {
          context?.timeout(20)
          throw new RetriableException('not now')
        }
        for (const { value } of records) seen.push(String(value))
      },
      flush: () => {
        if (seen.length > 0 && flushFailures-- > 0) throw new Error('the disk is full')
      },
    })),
  ])
  t.teardown(() => trial.stop())
  await trial.topic('t')
  await trial.produce('t', ['1', '2', '3'])
  const config = { 'connector.class': 'Stubborn', topics: 't' }
  await trial.ask('POST', '/connectors', { name: 's', config })
  await trial.until('again after the flush', () => seen.length === 6)
  t.strictSame(seen, ['1', '2', '3', '1', '2', '3'])
  await trial.until('committed', async () => {
    const { body } = await trial.ask('GET', '/connectors/s/offsets')
    return body.offsets[0]?.offset.kafka_offset === 3
  })
  context!.offset([{ topic: 't', partition: 0, offset: 2 }])
  context!.requestCommit()
  await trial.until('from its own offset', () => seen.length === 7)
  t.equal(seen[6], '3')
})

t.test('what a task wants to read again is not committed before', async (t) => {
  const seen: string[] = []
  const committed: number[] = []
  let context: SinkTaskContext | null = null
  let isGivenUp = false
  const trial = await WorkerTrial.start([
    sinkDoing('Backwards', () => ({
      start: (_settings, given) => {
        context = given
      },
      put: (records) => {
        for (const { value } of records) seen.push(String(value))
        if (isGivenUp || seen.length < 3) return
        isGivenUp = true
        context!.offset([{ topic: 't', partition: 0, offset: 1 }])
        context!.requestCommit()
      },
      preCommit: (offsets) => {
        committed.push(...offsets.map(({ offset }) => offset))
        return offsets
      },
    })),
  ])
  t.teardown(() => trial.stop())
  await trial.topic('t')
  await trial.produce('t', ['1', '2', '3'])
  const config = { 'connector.class': 'Backwards', topics: 't' }
  await trial.ask('POST', '/connectors', { name: 'b', config })
  await trial.until('read again', () => seen.length === 5)
  t.strictSame(seen, ['1', '2', '3', '2', '3'])
  t.equal(committed[0], 1)
})

t.test('nor where the task is stopped meanwhile', async (t) => {
  let context: SinkTaskContext | null = null
  let taken = 0
  let goOn: () => void = () => undefined
  const trial = await WorkerTrial.start([
    sinkDoing('Slow', () => ({
      start: (_settings, given) => {
        context = given
      },
      put: async (records) => {
        taken += records.length
        if (taken < 3) return
        await new Promise<void>((resolve) => {
          goOn = resolve
        })
        context!.offset([{ topic: 't', partition: 0, offset: 1 }])
      },
    })),
  ])
  t.teardown(() => trial.stop())
  await trial.topic('t')
  await trial.produce('t', ['1', '2', '3'])
  const config = { 'connector.class': 'Slow', topics: 't' }
  await trial.ask('POST', '/connectors', { name: 'b', config })
  await trial.until('all was taken', () => taken === 3)
  const stopped = trial.stopWorker()
  // Tasks are told to stop before anything is waited for.
  for (let turns = 0; turns < 10; turns++) await new Promise(setImmediate)
  goOn()
  await stopped
  const committed = await fetchCommitted(trial.cluster, 'connect-b', null)
  t.notOk(
    committed.some(({ offset }) => offset > 1),
    JSON.stringify(committed),
  )
})

t.test(
  'offsets that take too long to be kept wait for the next commit, and for no stop',
  async (t) => {
    const environment = createNodeEnvironment({ log: { level: 'silent' } })
    const cluster = new Cluster(environment, { bootstrap: [{ host: '127.0.0.1', port: 1 }] })
    // The environment's timers keep nobody alive.
    const alive = setInterval(() => undefined, 1000)
    t.teardown(() => {
      clearInterval(alive)
      cluster.close()
    })
    const kept: unknown[] = []
    const config = parseConnectConfig(new Map([['offset.flush.timeout.ms', '20']]))
    const measures = new TaskMeasures()
    const writes = new AtLeastOnce({
      ...{ cluster, measures, task: {}, loop: { isStopping: false, isCancelled: false } },
      options: { settings: new Map(), worker: { environment, config, settings: new Map() } },
      offsets: {
        put: (offsets: readonly SourceOffset[]) => {
          kept.push(offsets.map(({ offset }) => offset.get('at')))
          return new Promise(() => undefined)
        },
      },
    } as unknown as WriteParts)
    const dropped = async (at: number) => {
      const position = { sourcePartition: new Map(), sourceOffset: new Map([['at', at]]) }
      await writes.write(new Processing(position as unknown as SourceRecord), null)
      await writes.finish()
    }
    await dropped(1)
    t.equal(measures.commitsFailed, 1)
    await dropped(2)
    t.strictSame(kept, [[1], [1, 2]], 'the first comes again')
  },
)

t.test('tolerance, retries and dead letters', async (t) => {
  const seen: string[] = []
  const trial = await WorkerTrial.start([
    sinkDoing('Picky', () => {
      let context: SinkTaskContext
      return {
        start: (_settings, given) => {
          context = given
        },
        put: async (records) => {
          for (const record of records) {
            const { value } = record as { value: { get(name: string): unknown } }
            if (Number(value.get('id')) % 100 !== 99) seen.push(String(value.get('id')))
            else await context.errantRecordReporter?.report(record, new RangeError('a nine'))
          }
        },
      }
    }),
  ])
  t.teardown(() => trial.stop())
  await trial.topic('json')
  const values = Array.from({ length: 1000 }, (_, id) => (id === 500 ? 'no json' : `{"id":${id}}`))
  await trial.produce('json', values)
  await trial.ask('POST', '/connectors', {
    name: 'picky',
    config: {
      'connector.class': 'Picky',
      topics: 'json',
      'value.converter': 'JsonConverter',
      'value.converter.schemas.enable': false,
      'errors.tolerance': 'all',
      'errors.deadletterqueue.topic.name': 'dead',
      'errors.deadletterqueue.topic.replication.factor': 1,
      'errors.deadletterqueue.context.headers.enable': true,
    },
  })
  await trial.until('all but eleven', () => seen.length === 989)
  const dead = await trial.consume('dead', 11)
  t.equal(dead.length, 11)
  const malformed = dead.find(({ value }) => String(value) === 'no json')
  t.equal(String(malformed?.key), 'k500')
  t.equal(malformed?.timestamp, 1_700_000_000_500)
  const headers = new Map(malformed?.headers.map(({ key, value }) => [key, String(value)]))
  t.equal(headers.get('at'), '500')
  const context = (name: string) => headers.get(`__connect.errors.${name}`)
  t.strictSame(
    ['topic', 'partition', 'offset', 'connector.name', 'task.id', 'stage', 'class.name'].map(
      context,
    ),
    [
      'json',
      '0',
      '500',
      'picky',
      '0',
      'VALUE_CONVERTER',
      'org.apache.kafka.connect.json.JsonConverter',
    ],
  )
  t.equal(context('exception.class.name'), 'org.apache.kafka.connect.errors.DataException')
  t.match(context('exception.message'), /JSON has 'n' at position 0/)
  t.match(context('exception.stacktrace'), /DataException: JSON has[\s\S]*\n\tat /)
  const reported = dead.find(({ value }) => String(value) === '{"id":99}')
  const stage = reported?.headers.find(({ key }) => key === '__connect.errors.stage')
  t.equal(String(stage?.value), 'TASK_PUT')
  t.strictSame(await trial.states('picky'), ['RUNNING', 'RUNNING'])
  await trial.until('it is committed', () => trial.measured('picky')?.active === 0)
  t.match(trial.measured('picky'), {
    ...{ type: 'sink', taken: 1000, given: 999, partitions: 1, active: 0, lagMax: 0 },
    ...{ batches: { sum: 1000 }, commitsFailed: 0 },
    errors: {
      ...{ attempts: 11, records: 11, skipped: 11, retries: 0, logged: 0 },
      ...{ deadLetters: 11, deadLettersFailed: 0, lastMs: Number },
    },
  })
  const shown = await trial.metrics()
  for (const line of [
    'sink_task_sink_record_read_total{connector="picky",task="0"} 1000',
    'sink_task_sink_record_lag_max{connector="picky",task="0"} 0',
    'connector_task_offset_commit_success_percentage{connector="picky",task="0"} 1',
    'connector_task_offset_commit_failure_percentage{connector="picky",task="0"} 0',
    'task_error_deadletterqueue_produce_requests{connector="picky",task="0"} 11',
    'task_error_total_records_skipped{connector="picky",task="0"} 11',
    'connector_connector_class{connector="picky",connector_class="test.Picky"} 1',
  ])
    t.match(shown, `\nkafka_connect_${line}\n`)

  await trial.ask('PATCH', '/connectors/picky/config', { 'errors.tolerance': 'none' })
  await trial.produce('json', ['still no json'])
  await trial.untilStates('picky', 'RUNNING', 'FAILED')
  const { body } = await trial.ask('GET', '/connectors/picky/status')
  t.match(
    body.tasks[0].trace,
    /Tolerance exceeded in error handler \(VALUE_CONVERTER, \S+\)[\s\S]*Caused by: [\s\S]*JSON has/,
  )
  t.match(trial.measured('picky')?.errors, { records: 1, skipped: 0 })
  t.match(await trial.metrics(), /worker_connector_failed_task_count\{connector="picky"\} 1\n/)
})

t.test('offsets over REST', async (t) => {
  const seen: string[] = []
  const trial = await WorkerTrial.start([
    sinkDoing('Sink', () => ({
      start: () => undefined,
      put: (records) => {
        for (const { value } of records) seen.push(String(value))
      },
    })),
  ])
  t.teardown(() => trial.stop())
  await trial.topic('t')
  await trial.produce('t', ['1', '2', '3'])
  const config = { 'connector.class': 'test.Sink', topics: 't' }
  await trial.ask('POST', '/connectors', { name: 's', config })
  await trial.until('3', () => seen.length === 3)
  const at = '/connectors/s/offsets'
  const partition = { kafka_topic: 't', kafka_partition: '0' }
  const patch = (offsets: unknown) => trial.ask('PATCH', at, { offsets })
  t.match(await patch([{ partition, offset: null }]), {
    status: 400,
    body: { message: /must be in the STOPPED state/ },
  })
  await trial.ask('PUT', '/connectors/s/stop')
  t.equal((await trial.ask('GET', '/connectors/none/offsets')).status, 404)
  t.equal((await trial.ask('DELETE', '/connectors/none/offsets')).status, 404)
  const refused: [unknown, RegExp][] = [
    [undefined, /need to be provided/],
    [[], /need to be provided/],
    [[{ offset: null }], /partition for a sink connector offset cannot be null/],
    [[{ partition: {}, offset: null }], /must contain the keys 'kafka_topic'/],
    [[{ partition: { kafka_topic: null, kafka_partition: 0 } }], /topic names must be valid/],
    [[{ partition: { kafka_topic: 't', kafka_partition: null } }], /partitions must be valid/],
    [[{ partition: { kafka_topic: 't', kafka_partition: 'x' } }], /partition value.*'x'/],
    [[{ partition, offset: {} }], /contain the key 'kafka_offset'/],
    [[{ partition, offset: { kafka_offset: 'far' } }], /offset value.*'far'/],
    ['nothing', /need to be provided/],
  ]
  for (const [offsets, message] of refused)
    t.match(await patch(offsets), { status: 400, body: { message } }, JSON.stringify(offsets))
  const altered = await patch([{ partition, offset: { kafka_offset: '2' } }])
  t.match(altered.body, { message: /framework-managed offsets .* altered successfully/ })
  t.match((await trial.ask('GET', at)).body, {
    offsets: [{ partition: { kafka_topic: 't', kafka_partition: 0 }, offset: { kafka_offset: 2 } }],
  })
  await trial.ask('PUT', '/connectors/s/resume')
  await trial.until('the last again', () => seen.length === 4)
  t.equal(seen[3], '3')
  await trial.ask('PUT', '/connectors/s/stop')
  t.equal((await trial.ask('DELETE', at)).status, 200)
  t.strictSame((await trial.ask('GET', at)).body, { offsets: [] })
  t.equal((await trial.ask('DELETE', at)).status, 200, 'again')
  await trial.ask('PUT', '/connectors/s/resume')
  await trial.until('all again', () => seen.length === 7)
})

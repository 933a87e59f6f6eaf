/** Connectors that loop, leak or crash, each in a thread of its own: they fail, and others do not notice. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { createTopics } from '../../src/client/admin/topics.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { latest, listOffsets } from '../../src/client/offsets.ts'
import { Producer } from '../../src/client/producer.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { ended, killAll, type Started, start } from '../broker-process.ts'
import { start as command } from '../cli/running-broker.ts'
import { ask, until } from './worker-process.ts'

t.setTimeout(170_000)
t.teardown(killAll)

const environment = createNodeEnvironment({ log: { level: 'silent' } })
/** A thread that the machine has no time for meanwhile is not to be taken for one that hangs. */
const timeoutMs = 6_000

/** A sink and a source that do as `mode` says, where `at` says. */
const unruly = `
import { appendFileSync } from 'node:fs'

const kept = []
const modes = {
  fine: () => undefined,
  loop: () => { for (;;); },
  leak: async () => {
    for (;;) {
      for (let count = 0; count < 1000; count++) kept.push({ numbers: new Array(100).fill(count) })
      await new Promise(setImmediate)
    }
  },
  buffers: async () => {
    for (let count = 0; count < 40; count++) kept.push(Buffer.alloc(4 << 20, 1))
    await new Promise((resolve) => setTimeout(resolve, 60_000))
  },
  crash: () => void setImmediate(() => { throw new Error('nobody catches that') }),
}

export default ({ ConfigDef, key, string, primitive, sourceRecord }) => {
  let settings = new Map()
  let context
  const misbehaveAt = (place) =>
    (settings.get('at') ?? 'work') === place ? modes[settings.get('mode') ?? 'fine']() : undefined
  const connector = () => ({
    start: (given) => {
      settings = given
      return misbehaveAt('start')
    },
    taskConfigs: (count) => new Array(count).fill(settings),
    stop: () => misbehaveAt('stop'),
    validate: async (given, values) => {
      settings = given
      await misbehaveAt('validate')
      return values
    },
    checkOffsets: async (given) => {
      settings = given
      await misbehaveAt('checkOffsets')
    },
    alterOffsets: async (given) => {
      settings = given
      await misbehaveAt('alterOffsets')
      return true
    },
  })
  const config = new ConfigDef({
    mode: key(string('fine'), 'HIGH', 'What it does.'),
    at: key(string('work'), 'HIGH', 'Where.'),
    file: key(string(''), 'HIGH', 'Where a sink writes.'),
  })
  return [
    {
      type: 'sink', className: 'test.UnrulySink', version: '1', config, connector,
      task: () => ({
        start: (given, made) => {
          settings = given
          context = made
        },
        put: async (records) => {
          if (records.length === 0) return
          await misbehaveAt('work')
          context.log.debug('a sink that logs')
          for (const { value } of records) appendFileSync(settings.get('file'), value + '\\n')
        },
      }),
    },
    {
      type: 'source', className: 'test.UnrulySource', version: '1', config, connector,
      task: () => {
        let context
        let next = 0n
        return {
          start: (given, made) => {
            settings = given
            context = made
            if (settings.has('file')) appendFileSync(settings.get('file'), 'started\\n')
            const kept = made.offset(new Map([['of', 'all']]))
            next = kept === null ? 0n : kept.get('next')
          },
          poll: async () => {
            await new Promise((resolve) => context.environment.timers.after(20, resolve))
            await misbehaveAt('work')
            next++
            return [sourceRecord({
              topic: 'counted', valueSchema: primitive('STRING'), value: String(next - 1n),
              sourcePartition: new Map([['of', 'all']]), sourceOffset: new Map([['next', next]]),
            })]
          },
        }
      },
    },
  ]
}
`

const linesOf = (path: string) =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []

class Trial {
  readonly started: Started
  readonly cluster: Cluster
  #count = 0

  static async start(directory: string, settings: Readonly<Record<string, string>> = {}) {
    const all = {
      'connect.offset.flush.interval.ms': '100',
      'connect.plugin.path': join(directory, 'plugins'),
      'connect.connector.thread.timeout.ms': String(timeoutMs),
      'connect.connector.thread.memory.max.bytes': String(96 << 20),
      'connect.key.converter': 'StringConverter',
      'connect.value.converter': 'StringConverter',
      'connect.task.shutdown.graceful.timeout.ms': '1000',
      'table.dir': join(directory, 'tables'),
      ...settings,
    }
    const overrides = Object.entries(all).flatMap(([name, value]) => [
      '--override',
      `${name}=${value}`,
    ])
    return new Trial(await start(join(directory, 'kafka'), overrides))
  }

  constructor(started: Started) {
    this.started = started
    const { port } = started
    this.cluster = new Cluster(environment, { bootstrap: [{ host: '127.0.0.1', port }] })
  }

  async topic(name: string, configs: Readonly<Record<string, string>> = {}): Promise<void> {
    const entries = new Map(Object.entries(configs))
    const topic = { name, partitions: 2, replicationFactor: 1, configs: entries }
    await createTopics(this.cluster, [topic])
  }

  /** So many more records in the topic, each other than all before. */
  async produce(topic: string, count = 1): Promise<string[]> {
    const producer = new Producer(this.cluster)
    const values = Array.from({ length: count }, () => `{"line":${this.#count++}}`)
    for (const value of values)
      producer.add({ topic, key: Buffer.from(value), value: Buffer.from(value) })
    await producer.close()
    return values
  }

  /** All values of a topic's partition 0 that are committed. */
  async consume(topic: string): Promise<string[]> {
    const consumer = new Consumer(this.cluster, { isolation: 'read_committed' })
    const at = { topic, partition: 0 }
    consumer.assign([{ ...at, offset: 'earliest' }])
    const [end] = await listOffsets(this.cluster, [{ ...at, timestamp: latest }], 'read_committed')
    const values: string[] = []
    while ((consumer.position(at) ?? 0) < (end?.offset ?? 0))
      for (const { records } of await consumer.poll({ timeoutMs: 100 }))
        values.push(...records.map(({ value }) => String(value)))
    await consumer.close()
    return values
  }

  async put(name: string, config: Readonly<Record<string, string>>): Promise<void> {
    const { status, body } = await ask(`${this.url}/${name}/config`, 'PUT', config)
    if (status >= 300) throw new Error(JSON.stringify(body))
  }

  get url(): string {
    return `${this.started.http}/connectors`
  }

  async status(name: string) {
    return (await ask(`${this.url}/${name}/status`)).body
  }

  /** How often its state was told before it failed. */
  async answersWhileRunning(name: string): Promise<number> {
    let answers = 0
    await until(`${name} fails`, async () => {
      const { tasks = [] } = await this.status(name)
      const state = tasks[0]?.state
      if (state === 'RUNNING') answers++
      return state === 'FAILED'
    })
    return answers
  }

  async untilStates(name: string, ...states: string[]): Promise<void> {
    await until(`${name} is ${states}`, async () => {
      const { connector, tasks = [] } = await this.status(name)
      const found = [connector?.state, ...tasks.map((task: { state: string }) => task.state)]
      return found.join() === states.join()
    })
  }

  async stop(): Promise<void> {
    this.cluster.close()
    this.started.child.kill('SIGTERM')
    await ended(this.started)
  }
}

t.test('one that loops, leaks or crashes fails alone, and starts again', async (t) => {
  const directory = t.testdir({ kafka: {}, plugins: { 'unruly.mjs': unruly } })
  const trial = await Trial.start(directory)
  await trial.topic('lines')
  const fine = join(directory, 'fine.txt')
  await trial.put('fine', {
    ...{ 'connector.class': 'UnrulySink', topics: 'lines', file: fine, mode: 'fine' },
  })
  await trial.put('counts', { 'connector.class': 'UnrulySource', mode: 'fine' })
  await trial.untilStates('fine', 'RUNNING', 'RUNNING')
  const all = await trial.produce('lines', 10)
  await until('10 lines', () => linesOf(fine).length === 10)

  const sink = { 'connector.class': 'UnrulySink', topics: 'lines', 'tasks.max': '1' }
  const source = { 'connector.class': 'UnrulySource' }
  const cases = {
    loops: [sink, 'loop', /does something that comes to no end.*connector\.thread\.timeout\.ms/],
    counting: [source, 'loop', /does something that comes to no end/],
    leaks: [sink, 'leak', /has taken (more|\d+ bytes) of memory.*thread\.memory\.max\.bytes/],
    hoards: [source, 'buffers', /has taken \d+ bytes of memory/],
    crashes: [source, 'crash', /has ended by itself: nobody catches that/],
  } as const
  const answers = trial.answersWhileRunning('loops')
  for (const [name, [kind, mode]] of Object.entries(cases)) {
    const file = join(directory, `${name}.txt`)
    await trial.put(name, { ...kind, file, mode, name })
  }
  for (const name of Object.keys(cases))
    await until(`${name} fails`, async () => {
      const { connector, tasks } = await trial.status(name)
      all.push(...(await trial.produce('lines')))
      return connector.state === 'FAILED' && tasks[0]?.state === 'FAILED'
    })
  t.ok((await answers) > 1, 'REST answers while one loops')
  for (const [name, [, , reason]] of Object.entries(cases)) {
    const { connector, tasks } = await trial.status(name)
    t.match(connector.trace, reason)
    t.match(connector.trace, `The thread of connector ${name} was ended`)
    t.equal(tasks[0].trace, connector.trace)
  }
  await until('others go on', () => linesOf(fine).length === all.length)
  t.strictSame(linesOf(fine).toSorted(), all.toSorted(), 'each once')
  for (const name of ['fine', 'counts'])
    t.match(await trial.status(name), {
      connector: { state: 'RUNNING' },
      tasks: [{ state: 'RUNNING' }],
    })

  // What it had not taken comes to the one that starts in its place.
  const file = join(directory, 'loops.txt')
  await trial.put('loops', { ...sink, file, mode: 'fine' })
  await trial.untilStates('loops', 'RUNNING', 'RUNNING')
  await until('all lines', () => linesOf(file).length === all.length)
  t.strictSame(linesOf(file).toSorted(), all.toSorted())
  for (const path of [
    'crashes/restart?includeTasks=true&onlyFailed=true',
    'hoards/tasks/0/restart',
  ]) {
    const [name = ''] = path.split('/')
    t.ok((await ask(`${trial.url}/${path}`, 'POST')).status < 300, path)
    await until(`${name} begins again`, () => {
      return linesOf(join(directory, `${name}.txt`)).join() === 'started,started'
    })
    await trial.untilStates(name, 'FAILED', 'FAILED')
  }
  // Nothing has to be waited for where a thread does not even stop.
  await trial.put('counting', { ...source, mode: 'loop' })
  await trial.untilStates('counting', 'RUNNING', 'RUNNING')
  await delay(100)
  t.equal((await ask(`${trial.url}/counting`, 'DELETE')).status, 204)
  await trial.stop()
})

t.test(
  'what shares a thread with one that crashes ends at any moment, and lands once',
  async (t) => {
    const directory = t.testdir({ kafka: {}, plugins: { 'unruly.mjs': unruly } })
    const trial = await Trial.start(directory, {
      'connect.connector.threads.max': '1',
      'connect.exactly.once.source.support': 'enabled',
    })
    await trial.topic('lines')
    await trial.topic('landed', { 'table.enable': 'true', 'table.commit.interval.ms': '200' })
    const lake = join(directory, 'lake')
    await trial.put('lake', {
      ...{ 'connector.class': 'DeltaSink', topics: 'lines', 'table.path': lake },
      ...{ 'table.commit.interval.ms': '100', 'kafka.offset.column': '_offset' },
      ...{ 'kafka.partition.column': '_partition', 'value.converter': 'JsonConverter' },
      'value.converter.schemas.enable': 'false',
    })
    await trial.put('counts', { 'connector.class': 'UnrulySource' })
    const all: string[] = []
    const both = ['lake', 'counts']
    for (let round = 0; round < 5; round++) {
      for (const name of both) await trial.untilStates(name, 'RUNNING', 'RUNNING')
      all.push(...(await trial.produce('lines', 500)))
      await trial.produce('landed', 10)
      // At another moment of what they do each time.
      await delay(150 * round)
      await trial.put('crashes', { 'connector.class': 'UnrulySource', mode: 'crash' })
      for (const name of both) await trial.untilStates(name, 'FAILED', 'FAILED')
      const { connector } = await trial.status('lake')
      t.match(connector.trace, /The thread of connector (?=.*lake)(?=.*counts).* was ended/)
      await ask(`${trial.url}/crashes`, 'DELETE')
      for (const name of both) {
        const at = `${trial.url}/${name}/restart?includeTasks=true&onlyFailed=true`
        t.equal((await ask(at, 'POST')).status, 202)
      }
    }
    const rowsOf = async (path: string) => {
      const { stdout } = await command(['tables', 'read', path, '--json']).ended
      const lines = stdout.split('\n').slice(0, -1)
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    }
    await until('all rows', async () => (await rowsOf(lake)).length >= all.length)
    const rows = await rowsOf(lake)
    const places = rows.map(({ _partition, _offset }) => `${_partition}-${_offset}`)
    t.equal(new Set(places).size, all.length, 'each offset once')
    t.equal(rows.length, all.length)
    const table = join(directory, 'tables', 'landed')
    await until('the table of the topic', async () => (await rowsOf(table)).length === 50)
    await ask(`${trial.url}/counts/stop`, 'PUT')
    await trial.untilStates('counts', 'STOPPED')
    const counted = await trial.consume('counted')
    t.ok(counted.length > 0)
    t.strictSame(counted, Array.from(counted.keys(), String), 'each number once, in order')
    await trial.stop()
  },
)

t.test('a connector that hangs in its start, logs and measures of threads', async (t) => {
  const directory = t.testdir({ kafka: {}, plugins: { 'unruly.mjs': unruly } })
  const trial = await Trial.start(directory)
  await trial.topic('lines')
  const source = { 'connector.class': 'UnrulySource' }
  await trial.put('hangs', { ...source, mode: 'loop', at: 'start' })
  await trial.put('stuck', { ...source, mode: 'loop', at: 'stop' })
  const file = join(directory, 'fine.txt')
  await trial.put('fine', { 'connector.class': 'UnrulySink', topics: 'lines', file })
  await trial.untilStates('stuck', 'RUNNING', 'RUNNING')
  t.equal(
    (await ask(`${trial.url}/stuck`, 'DELETE')).status,
    204,
    'it is waited for, but not for ever',
  )
  await trial.untilStates('hangs', 'FAILED')
  const root = `${trial.started.http}/admin/loggers/root`
  t.equal((await ask(root, 'PUT', { level: 'DEBUG' })).status, 200)
  await until('threads log more', async () => {
    await trial.produce('lines')
    return trial.started.log().includes('a sink that logs')
  })
  const lines = linesOf(file).length
  const page = await (await fetch(`${trial.started.http}/metrics`)).text()
  const read = /kafka_connect_sink_task_sink_record_read_total{connector="fine",task="0"} (\d+)/
  t.ok(Number(read.exec(page)?.[1]) >= lines)
  await trial.put('hangs', source)
  await trial.untilStates('hangs', 'RUNNING', 'RUNNING')
  await trial.stop()
})

t.test('one that loops where it is only asked holds nobody else', async (t) => {
  const directory = t.testdir({ kafka: {}, plugins: { 'unruly.mjs': unruly } })
  const trial = await Trial.start(directory)
  await trial.topic('lines')
  const config = {
    ...{ name: 'asked', 'connector.class': 'test.UnrulySink' },
    ...{ topics: 'lines', 'tasks.max': '1', file: join(directory, 'asked.txt') },
  }
  await trial.put('asked', config)
  await trial.untilStates('asked', 'RUNNING', 'RUNNING')
  const validate = (more: object) => {
    const url = `${trial.started.http}/connector-plugins/UnrulySink/config/validate`
    return ask(url, 'PUT', { ...config, ...more })
  }
  t.match(await validate({}), { status: 200, body: { error_count: 0 } })
  t.match(await validate({ file: 'x', 'tasks.max': 'many' }), { body: { error_count: 1 } })
  const noEnd = /test\.UnrulySink was ended: it does something that comes to no end/
  const looping = validate({ mode: 'loop', at: 'validate' })
  const crashing = validate({ mode: 'crash', at: 'validate' })
  const lines = await trial.produce('lines', 10)
  await until('records go on', () => linesOf(config.file).length === lines.length)
  t.match(await validate({}), { status: 200 }, 'and others are asked meanwhile')
  t.match(await looping, { status: 500, body: { message: noEnd } })
  t.ok([200, 500].includes((await crashing).status))
  const offsets = {
    offsets: [
      { partition: { kafka_topic: 'lines', kafka_partition: 0 }, offset: { kafka_offset: 0 } },
    ],
  }
  for (const at of ['checkOffsets', 'alterOffsets']) {
    await trial.put('moved', { ...config, name: 'moved', mode: 'loop', at })
    t.equal((await ask(`${trial.url}/moved/stop`, 'PUT')).status, 204)
    await until('it has stopped', async () => (await trial.status('moved')).tasks.length === 0)
    const { status, body } = await ask(`${trial.url}/moved/offsets`, 'PATCH', offsets)
    t.match({ status, body }, { status: 500, body: { message: noEnd } }, at)
  }
  await trial.put('moved', { ...config, name: 'moved', mode: 'fine' })
  t.match(await ask(`${trial.url}/moved/offsets`, 'PATCH', offsets), { status: 200 })
  await trial.stop()
})

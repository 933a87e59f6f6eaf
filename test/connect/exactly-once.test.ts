/**
 * Sources whose records are there once (KIP-618): whatever ends a task, and whenever, whoever reads what is committed
 * finds each record of the source one time, and the offset is that of the last of them.
 */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Consumer } from '../../src/client/consumer.ts'
import { Transaction } from '../../src/client/transaction.ts'
import { ConfigDef } from '../../src/connect/config-def.ts'
import { primitive } from '../../src/connect/data.ts'
import { datagenSource } from '../../src/connect/datagen/datagen-source.ts'
import { httpSource } from '../../src/connect/http/http-source.ts'
import type { SourcePlugin, SourceTaskContext, Support } from '../../src/connect/plugin.ts'
import { type SourceRecord, sourceRecord } from '../../src/connect/records.ts'
import { WorkerTrial } from './worker-trial.ts'

t.setTimeout(120_000)

const enabled = { 'exactly.once.source.support': 'enabled', 'offset.storage.partitions': '1' }

/** Counts upwards in as many parts as it has; a task may be told to fail, and what to do behind a number. */
class Counters {
  readonly parts: number
  readonly topic: string
  /** Called before the record of a number is handed out. */
  before: (number: number, context: SourceTaskContext) => void = () => undefined
  support: Support = 'SUPPORTED'
  last = 400
  /** Numbers that `commitRecord` was told of. */
  readonly told: number[] = []

  constructor(topic: string, parts = 1) {
    this.topic = topic
    this.parts = parts
  }

  get plugin(): SourcePlugin {
    return {
      type: 'source',
      className: `test.${this.topic}Counter`,
      version: '1',
      config: new ConfigDef({}),
      connector: () => {
        let settings: ReadonlyMap<string, string> = new Map()
        return {
          start: (given) => {
            settings = given
          },
          exactlyOnceSupport: () => this.support,
          canDefineTransactionBoundaries: () => this.support,
          // Parts move to other tasks as there are more or fewer of them.
          taskConfigs: (tasksMax) =>
            Array.from(
              { length: tasksMax },
              (_, task) => new Map([...settings, ['mine', `${task}/${tasksMax}`]]),
            ),
        }
      },
      task: () => this.#task(),
    }
  }

  #task() {
    let context: SourceTaskContext | null = null
    const next = new Map<number, number>()
    return {
      start: (settings: ReadonlyMap<string, string>, given: SourceTaskContext) => {
        context = given
        const [task = 0, tasks = 1] = settings.get('mine')!.split('/').map(Number)
        for (let part = task; part < this.parts; part += tasks) {
          const kept = given.offset(new Map([['part', BigInt(part)]]))?.get('number')
          next.set(part, Number(kept ?? -1n) + 1)
        }
      },
      poll: async () => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        const records: SourceRecord[] = []
        for (const [part, number] of next) {
          for (let at = number; at < Math.min(number + 7, this.last); at++) {
            this.before(at, context!)
            records.push(this.record(part, at))
            next.set(part, at + 1)
          }
        }
        return records.length > 0 ? records : null
      },
      commitRecord: (record: SourceRecord) => {
        this.told.push(Number(record.sourceOffset.get('number')))
      },
    }
  }

  record(part: number, number: number): SourceRecord {
    return sourceRecord({
      topic: this.topic,
      valueSchema: primitive('STRING'),
      value: `${part}:${number}`,
      sourcePartition: new Map([['part', BigInt(part)]]),
      sourceOffset: new Map([['number', BigInt(number)]]),
    })
  }
}

async function started(t: Test, ...plugins: SourcePlugin[]): Promise<WorkerTrial> {
  const trial = await WorkerTrial.start(plugins, enabled)
  t.teardown(() => trial.stop())
  return trial
}

/** What is committed, once there is as much, or no more comes. */
async function committed(trial: WorkerTrial, topic: string, count: number): Promise<string[]> {
  await trial.until(`there is ${topic}`, async () =>
    (await trial.cluster.allTopics()).some(({ name }) => name === topic),
  )
  const consumer = new Consumer(trial.cluster, { isolation: 'read_committed' })
  consumer.assign([{ topic, partition: 0, offset: 'earliest' }])
  const values: string[] = []
  for (let idle = 0; idle < 40 && (values.length < count || idle < 3); idle++)
    for (const { records } of await consumer.poll({ timeoutMs: 100 })) {
      idle = 0
      values.push(...records.map(({ value }) => String(value)))
    }
  await consumer.close()
  return values
}

const numbers = (count: number, part = 0) =>
  Array.from({ length: count }, (_, at) => `${part}:${at}`)

const connector = (counters: Counters, more: Record<string, unknown> = {}) => ({
  ...{ 'connector.class': counters.plugin.className, 'exactly.once.support': 'required' },
  ...more,
})

for (const boundary of ['poll', 'interval', 'connector'])
  t.test(
    `tasks that fail, are restarted and cut off: each record once (${boundary})`,
    async (t) => {
      const counters = new Counters(`Cut${boundary}`)
      const failures = new Set([20, 61, 130, 131, 250])
      counters.before = (number, context) => {
        if (number % 20 === 19) context.transactionContext?.commitTransaction()
        if (failures.delete(number)) throw new Error(`no ${number} yet`)
      }
      const trial = await started(t, counters.plugin)
      const config = {
        'transaction.boundary': boundary,
        'transaction.boundary.interval.ms': 40,
      }
      const made = await trial.ask('PUT', '/connectors/cut/config', connector(counters, config))
      t.equal(made.status, 201)
      let stops = 0
      await trial.until('all is written', async () => {
        const { body } = await trial.ask('GET', '/connectors/cut/status')
        if (body.tasks?.[0]?.state === 'FAILED')
          await trial.ask('POST', '/connectors/cut/tasks/0/restart')
        if (failures.size === 2 && stops++ === 0) {
          await trial.stopWorker()
          await trial.startWorker()
        }
        const offsets = (await trial.ask('GET', '/connectors/cut/offsets')).body.offsets
        return failures.size === 0 && offsets[0]?.offset.number >= 379
      })
      const values = await committed(trial, counters.topic, 380)
      t.strictSame(values.slice(0, 380), numbers(380))
      t.equal(new Set(values).size, values.length)
      t.equal(new Set(counters.told).size, counters.told.length, 'and is told of once')
    },
  )

t.test('what a task aborts is left out and does not come again', async (t) => {
  const counters = new Counters('Aborted')
  counters.last = 30
  counters.before = (number, { transactionContext }) => {
    if (number === 13) transactionContext?.abortTransaction()
    else if (number % 7 === 6) transactionContext?.commitTransaction()
  }
  const trial = await started(t, counters.plugin)
  const config = connector(counters, { 'transaction.boundary': 'connector' })
  await trial.ask('PUT', '/connectors/aborted/config', config)
  const left = numbers(28).filter((_, at) => at < 7 || at >= 14)
  t.strictSame(await committed(trial, counters.topic, 21), left)
  await trial.until('offsets are kept', async () => {
    const { body } = await trial.ask('GET', '/connectors/aborted/offsets')
    return body.offsets[0]?.offset.number === 27
  })
  t.strictSame(
    counters.told,
    left.map((value) => Number(value.slice(2))),
  )
})

t.test(
  'former tasks are shut out when there are fewer, and when somebody takes an id over',
  async (t) => {
    const counters = new Counters('Zombies', 3)
    counters.last = 100_000
    const trial = await started(t, counters.plugin)
    const put = (tasks: number) =>
      trial.ask('PUT', '/connectors/zombies/config', connector(counters, { 'tasks.max': tasks }))
    await put(3)
    await trial.untilStates('zombies', 'RUNNING', 'RUNNING', 'RUNNING', 'RUNNING')
    // As if a task had been cut off from the worker in the midst of a transaction.
    const zombie = new Transaction(trial.cluster, { transactionalId: 'trial-zombies-2' })
    await zombie.open()
    zombie.begin()
    await trial.until('the task is shut out', async () =>
      (await trial.states('zombies')).includes('FAILED'),
    )
    const { body } = await trial.ask('GET', '/connectors/zombies/status')
    t.match(body.tasks[2].trace, /was shut out/)
    await put(1)
    await trial.untilStates('zombies', 'RUNNING', 'RUNNING')
    await t.rejects(
      zombie
        .commitOffsets({ groupId: 'g', memberId: '', generationId: -1, groupInstanceId: null }, [
          { topic: counters.topic, partition: 0, offset: 1 },
        ])
        .then(() => zombie.end('commit')),
    )
    await trial.until('the parts of all go on', async () => {
      const { body } = await trial.ask('GET', '/connectors/zombies/offsets')
      return body.offsets.every(({ offset }: { offset: { number: number } }) => offset.number > 200)
    })
    await trial.ask('PUT', '/connectors/zombies/stop')
    await trial.untilStates('zombies', 'STOPPED')
    const values = await committed(trial, counters.topic, 600)
    for (const part of [0, 1, 2]) {
      const ours = values.filter((value) => value.startsWith(`${part}:`))
      t.strictSame(ours, numbers(ours.length, part), `part ${part} once, in order`)
    }
    const moved = await trial.ask('PATCH', '/connectors/zombies/offsets', {
      offsets: [{ partition: { part: 0 }, offset: { number: 4 } }],
    })
    t.equal(moved.status, 200)
  },
)

t.test('a connector may keep its offsets in a topic of its own, and give it up', async (t) => {
  const counters = new Counters('Own')
  counters.last = 50
  const trial = await started(t, counters.plugin)
  const offset = async () =>
    (await trial.ask('GET', '/connectors/own/offsets')).body.offsets[0]?.offset.number
  const own = { 'offsets.storage.topic': 'own-offsets' }
  await trial.ask('PUT', '/connectors/own/config', connector(counters, own))
  await trial.until('all is kept', async () => (await offset()) === 49)
  const [last] = (await committed(trial, 'own-offsets', 1)).slice(-1)
  t.equal(last, '{"number":49}')
  await trial.ask('PUT', '/connectors/own/stop')
  await trial.untilStates('own', 'STOPPED')
  const moved = { offsets: [{ partition: { part: 0 }, offset: { number: 39 } }] }
  t.equal((await trial.ask('PATCH', '/connectors/own/offsets', moved)).status, 200)
  t.equal(await offset(), 39)
  await trial.stopWorker()
  await trial.startWorker()
  t.equal(await offset(), 39)
  await trial.ask('PUT', '/connectors/own/resume')
  await trial.until('all is kept', async () => (await offset()) === 49)
  counters.last = 60
  await trial.ask('PUT', '/connectors/own/config', connector(counters))
  await trial.until('it goes on from the topic of the worker', async () => (await offset()) === 59)
  const values = await committed(trial, counters.topic, 70)
  t.strictSame(values, [...numbers(50), ...numbers(60).slice(40)])
  await trial.ask('PUT', '/connectors/own/stop')
  await trial.untilStates('own', 'STOPPED')
  t.equal((await trial.ask('DELETE', '/connectors/own/offsets')).status, 200)
  t.equal(await offset(), undefined)
})

t.test('a file once, and what a connector may ask for', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-once-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const counters = new Counters('Asked')
  const trial = await started(t, counters.plugin, datagenSource, httpSource)
  const file = join(directory, 'in.txt')
  writeFileSync(file, 'a\nb\n')
  const config = { 'connector.class': 'FileStreamSource', file, topic: 'lines' }
  await trial.ask('PUT', '/connectors/f/config', { ...config, 'exactly.once.support': 'required' })
  await trial.until('its offset is kept', async () => {
    const { body } = await trial.ask('GET', '/connectors/f/offsets')
    return body.offsets[0]?.offset.position === 4
  })
  await trial.stopWorker()
  appendFileSync(file, 'c\n')
  await trial.startWorker()
  t.strictSame(await committed(trial, 'lines', 3), ['a', 'b', 'c'])
  const errors = async (className: string, more: Record<string, unknown>) => {
    const { body } = await trial.ask('PUT', `/connector-plugins/${className}/config/validate`, {
      ...{ 'connector.class': className, name: 'x', 'exactly.once.support': 'required', ...more },
    })
    return body.configs.flatMap(({ value }: { value: { errors: string[] } }) => value.errors)
  }
  const http = { 'http.request.url': 'http://x/', 'kafka.topic': 'x' }
  t.match(await errors('HttpSource', http), [/does not support exactly-once semantics/])
  t.same(await errors('HttpSource', { ...http, 'http.response.record.offset.pointer': '/id' }), [])
  t.same(await errors('DatagenSource', { 'kafka.topic': 'x' }), [])
  t.match(
    await errors('DatagenSource', { 'kafka.topic': 'x', 'transaction.boundary': 'connector' }),
    [/does not support connector-defined transaction boundaries/],
  )
  counters.support = null
  t.match(await errors(counters.plugin.className, {}), [/does not implement the API/])
})

t.test('a worker that was not asked for it refuses it, and writes as before', async (t) => {
  const counters = new Counters('Plain')
  counters.last = 14
  const trial = await WorkerTrial.start([counters.plugin])
  t.teardown(() => trial.stop())
  const refused = await trial.ask('PUT', '/connectors/p/config', connector(counters))
  t.equal(refused.status, 400)
  t.match(refused.body.message, /does not have exactly-once source support enabled/)
  await trial.ask('PUT', '/connectors/p/config', {
    'connector.class': counters.plugin.className,
  })
  t.strictSame(await committed(trial, counters.topic, 14), numbers(14))
})

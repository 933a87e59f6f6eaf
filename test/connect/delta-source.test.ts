/** A Delta table as a topic: rows as they are committed, changes of rows, and where reading begins and goes on. */
import t from 'tap'
import type { Struct } from '../../src/connect/data.ts'
import { deltaSource } from '../../src/connect/delta/delta-source.ts'
import type { Environment } from '../../src/environment/environment.ts'
import { LocalStorage } from '../../src/environment/node/local-storage.ts'
import { NodeRandom } from '../../src/environment/node/random.ts'
import { deleteRows } from '../../src/tables/delta/delete.ts'
import { json, newPlace, record, Trial } from './delta-trial.ts'
import { WorkerTrial } from './worker-trial.ts'

t.setTimeout(120_000)

const partition = { topic: 'flights', partition: 0 }
/** How often the storage of a location has been asked for anything. */
const asked = new Map<string, number>()
const storageAt = (location: string): LocalStorage =>
  new Proxy(new LocalStorage(location), {
    get: (storage, name) => {
      asked.set(location, (asked.get(location) ?? 0) + 1)
      const found: unknown = Reflect.get(storage, name, storage)
      return typeof found === 'function' ? found.bind(storage) : found
    },
  })

/** A table with one version for each list of rows. */
class Table {
  readonly location = newPlace()
  readonly #trial: Trial
  readonly #records: ReturnType<typeof record>[] = []

  constructor(more: Readonly<Record<string, string>> = {}) {
    this.#trial = new Trial({ 'table.path': this.location, ...more })
  }

  async begin(): Promise<void> {
    await this.#trial.start([partition])
  }

  async add(...rows: readonly unknown[]): Promise<void> {
    for (const row of rows) this.#records.push(record(this.#records.length, json(row)))
    await this.#trial.read(new Map([['flights-0', this.#records]]), 10_000)
    await this.#trial.commit()
  }
}

async function started(t: import('tap').Test) {
  const trial = await WorkerTrial.start([deltaSource({ storageAt })])
  t.teardown(() => trial.stop())
  const read = async (topic: string, count: number) =>
    (await trial.consume(topic, count)).map(({ value }) => JSON.parse(String(value)))
  const connect = (name: string, location: string, more: object = {}) =>
    trial.ask('PUT', `/connectors/${name}/config`, {
      ...{ 'connector.class': 'DeltaSource', 'table.path': location, 'kafka.topic': name },
      ...{ 'table.poll.interval.ms': 20, 'value.converter.schemas.enable': false },
      'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
      ...more,
    })
  return { trial, read, connect }
}

t.test(
  'rows come in their order, nested ones too, over new columns and a restart of the worker',
  async (t) => {
    const { trial, read, connect } = await started(t)
    const table = new Table()
    await connect('rows', table.location, { 'table.key.columns': 'id' })
    await table.begin()
    const many = Array.from({ length: 2500 }, (_, id) => ({
      id,
      o: { list: [id, id + 1], s: `${id}` },
    }))
    await table.add(...many)
    t.strictSame(await read('rows', 2500), many)
    await table.add({ id: 2500, late: 1.5 })
    const last = { id: 2500, o: null, late: 1.5 }
    t.strictSame((await read('rows', 2501)).at(-1), last)
    const [first] = await trial.consume('rows', 1)
    t.equal(String(first?.key), '0')
    await trial.until('the offset is kept', async () => {
      const { body } = await trial.ask('GET', '/connectors/rows/offsets')
      const { offset } = body.offsets[0] ?? {}
      return offset?.version === 1 && offset.rows === 1
    })
    await trial.stopWorker()
    await table.add({ id: 2501, late: 2.5 })
    await trial.startWorker()
    const all = await read('rows', 2502)
    t.strictSame(all.at(-1), { id: 2501, o: null, late: 2.5 })
    t.equal(all.length, 2502)
  },
)

t.test('an offset within a version goes on behind it', async (t) => {
  const { trial, read, connect } = await started(t)
  const table = new Table()
  await table.begin()
  await table.add({ id: 0 })
  await table.add(...Array.from({ length: 50 }, (_, at) => ({ id: 1 + at })))
  await connect('rows', table.location, { 'table.starting.version': 'latest' })
  await trial.untilStates('rows', 'RUNNING', 'RUNNING')
  await trial.ask('PUT', '/connectors/rows/stop')
  await trial.untilStates('rows', 'STOPPED')
  const offsets = [{ partition: { table: table.location }, offset: { version: 1, rows: 47 } }]
  const { status } = await trial.ask('PATCH', '/connectors/rows/offsets', { offsets })
  t.equal(status, 200)
  await trial.ask('PUT', '/connectors/rows/resume')
  t.strictSame(await read('rows', 3), [{ id: 48 }, { id: 49 }, { id: 50 }])
  await trial.ask('PUT', '/connectors/rows/stop')
  await trial.untilStates('rows', 'STOPPED')
  const wrong = [{ partition: { table: table.location }, offset: { version: 'x' } }]
  t.not((await trial.ask('PATCH', '/connectors/rows/offsets', { offsets: wrong })).status, 200)
})

t.test('where reading begins', async (t) => {
  const { trial, read, connect } = await started(t)
  const table = new Table()
  await table.begin()
  for (let id = 0; id < 4; id++) await table.add({ id })
  await connect('second', table.location, { 'table.starting.version': 2 })
  t.strictSame(await read('second', 2), [{ id: 2 }, { id: 3 }])
  await connect('old', table.location, { 'table.starting.timestamp': '2001-01-01' })
  t.strictSame(await read('old', 4), [{ id: 0 }, { id: 1 }, { id: 2 }, { id: 3 }])
  // Its own spelling tells when it has looked at the table, and more than once.
  const late = `${table.location}/.`
  await connect('late', late, { 'table.starting.version': 'latest' })
  await trial.untilStates('late', 'RUNNING', 'RUNNING')
  await connect('future', table.location, { 'table.starting.timestamp': '2099-01-01T00:00:00' })
  await trial.untilStates('future', 'RUNNING', 'RUNNING')
  while ((asked.get(late) ?? 0) < 40) await new Promise((resolve) => setTimeout(resolve, 20))
  await table.add({ id: 4 })
  t.strictSame(await read('late', 1), [{ id: 4 }])
})

t.test('of a table that comes later all is read, from its first version on', async (t) => {
  const table = new Table()
  const source = deltaSource({ storageAt })
  const task = source.task()
  let waits = 0
  // Whoever waits goes on at once.
  const timers = {
    after: (_delayMs: number, callback: () => void) => {
      waits++
      queueMicrotask(callback)
      return { cancel: () => undefined }
    },
  }
  const clock = { now: () => 1, monotonic: () => 0 }
  const environment = { clock, timers } as unknown as Environment
  const settings = new Map([
    ['table.path', table.location],
    ['kafka.topic', 'late'],
    ['table.starting.version', 'latest'],
  ])
  const context = {
    ...{ environment, settings, log: environment.log, offset: () => null },
    transactionContext: null,
  }
  await task.start(settings, context)
  t.equal(await task.poll(), null)
  t.equal(waits, 1)
  await table.begin()
  await table.add({ id: 0 })
  await table.add({ id: 1 })
  const ids = (await task.poll())?.map(({ value }) => (value as Struct).get('id'))
  t.strictSame(ids, [0n, 1n])
})

t.test(
  'changes of rows, where the table keeps a feed; and no silence about them elsewhere',
  async (t) => {
    const { trial, read, connect } = await started(t)
    const table = new Table({ 'table.properties': 'delta.enableChangeDataFeed=true' })
    await table.begin()
    await table.add({ id: 1 }, { id: 2 }, { id: 3 })
    const random = new NodeRandom()
    const clock = { now: () => Date.now(), monotonic: () => performance.now() }
    await deleteRows({ random, clock, storage: storageAt(table.location) }, 'id = 2')
    await connect('changes', table.location, { 'table.mode': 'changes' })
    const changes = await read('changes', 4)
    t.strictSame(
      changes.map(({ id, _change_type: type, _commit_version: version }) => [id, type, version]),
      [
        [1, 'insert', 0],
        [2, 'insert', 0],
        [3, 'insert', 0],
        [2, 'delete', 1],
      ],
    )
    await connect('rows', table.location)
    await trial.untilStates('rows', 'RUNNING', 'FAILED')
    const { body } = await trial.ask('GET', '/connectors/rows/status')
    t.match(body.tasks[0].trace, /Version 1 of .* changes rows \(delete\)/)
  },
)

t.test('types that JSON does not show by itself keep their meaning', async (t) => {
  const { trial, connect } = await started(t)
  const types = { d: 'date', t: 'timestamp', n: 'decimal(10,2)', b: 'binary', s: 'short' }
  const fields = Object.entries(types).map(([name, type]) => ({
    ...{ name, type, nullable: true, metadata: {} },
  }))
  const schema = JSON.stringify({ type: 'struct', fields })
  const table = new Table({ 'table.schema': schema })
  await table.begin()
  await table.add({ d: '2026-01-31', t: '2026-01-31T10:00:00.000001Z', s: 7 })
  await connect('typed', table.location, { 'value.converter.schemas.enable': true })
  const [typed] = await trial.consume('typed', 1)
  const { schema: shown, payload } = JSON.parse(String(typed?.value))
  t.match(payload, { d: 20_484, t: 1_769_853_600_000_001, b: null, s: 7 })
  const names = shown.fields.map(({ field, type, name }: Record<string, string>) => [
    field,
    type,
    name,
  ])
  t.match(
    names.find(([field]: string[]) => field === 't'),
    ['t', 'int64', 'io.debezium.time.MicroTimestamp'],
  )
})

/** Topics that are tables with columns of a subject in the schema registry, through its versions. */
import { join } from 'node:path'
import t from 'tap'
import { Producer } from '../../src/client/producer.ts'
import { LocalStorage } from '../../src/environment/node/local-storage.ts'
import { AvroWriter } from '../../src/registry/avro/binary.ts'
import { readSnapshot } from '../../src/tables/delta/snapshot.ts'
import { ended, killAll, type Started, start } from '../broker-process.ts'
import { rowsOf } from './delta-trial.ts'
import { alter, fast, ids, make, told, within } from './topic-table-trial.ts'
import { until } from './worker-process.ts'

t.setTimeout(180_000)
t.teardown(killAll)

async function register(
  { http }: Started,
  subject: string,
  schema: object,
  schemaType = 'AVRO',
): Promise<number> {
  const answer = await fetch(`${http}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ schema: JSON.stringify(schema), schemaType }),
  })
  return ((await answer.json()) as { id: number }).id
}

const plain = (name: string, type: unknown, more = {}) => ({ name, type, ...more })
const order = (...more: object[]) => ({
  ...{ type: 'record', name: 'Order', namespace: 'shop' },
  fields: [plain('id', 'int'), ...more],
})
const note = plain('note', ['null', 'string'], { default: null })

/** A value of the schema with the id; `write` writes its fields. */
function avro(id: number, write: (out: AvroWriter) => void): Buffer {
  const head = Buffer.alloc(5)
  head.writeInt32BE(id, 1)
  const out = new AvroWriter()
  out.raw(head)
  write(out)
  return out.taken()
}

function send(broker: Started, topic: string, values: readonly Buffer[]): Promise<void> {
  return within(broker, async (cluster) => {
    const producer = new Producer(cluster)
    for (const value of values) producer.add({ topic, key: null, value, partition: 0 })
    await producer.close()
  })
}

t.test('a table has the columns of its subject, and follows its versions', async (t) => {
  const directory = t.testdir({})
  const data = join(directory, 'kafka')
  let broker = await start(data)
  const place = join(directory, 'kafka-tables/orders')
  const columns = async () =>
    (await readSnapshot(new LocalStorage(place))).schema.fields.map(({ name, type }) => [
      name,
      type.kind,
    ])
  const first = await register(broker, 'orders-value', order())
  await register(broker, 'orders-value', order(note))
  await make(broker, 'orders', { ...fast, 'table.schema': 'registry' })
  await send(broker, 'orders', [avro(first, (out) => out.int(1)), avro(first, (out) => out.int(2))])
  await until('2 rows', async () => (await ids(place)).length === 2)
  t.strictSame(
    (await columns()).slice(0, 2),
    [
      ['id', 'int32'],
      ['note', 'string'],
    ],
    'of the last version, though no record had it yet',
  )
  const more = plain('at', [{ type: 'long', logicalType: 'timestamp-micros' }, 'null'], {
    default: 0,
  })
  const third = await register(broker, 'orders-value', order(note, more))
  await send(broker, 'orders', [
    avro(third, (out) => {
      out.int(3)
      out.int(1)
      out.string('new')
      out.int(0)
      out.long(1_700_000_000_123_456n)
    }),
  ])
  await until('3 rows', async () => (await ids(place)).length === 3)
  const [row] = (await rowsOf(place)).filter(({ id }) => id === 3)
  t.match(row, { note: 'new', at: '2023-11-14T22:13:20.123456Z' })

  broker.child.kill('SIGKILL')
  await ended(broker)
  broker = await start(data)
  const other = await register(broker, 'others', { type: 'record', name: 'Other', fields: [] })
  await send(broker, 'orders', [avro(first, (out) => out.int(4)), avro(other, () => undefined)])
  await until('it fails', async () => (await told(broker))[0]?.state === 'FAILED')
  t.match((await told(broker))[0]?.error, /offset 4: .*is of the subject others, and not of orders/)
  await alter(broker, 'orders', { 'table.dead.letter.topic': 'bad' })
  await until('4 rows', async () => (await ids(place)).length === 4)
  t.strictSame(await ids(place), [1, 2, 3, 4], 'each once')

  t.match(await alter(broker, 'orders', { 'table.value.format': 'string' }), {
    message: /with table.schema=registry values are in the format registry/,
  })
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

t.test('types become wider where the table may, and what does not fit is told', async (t) => {
  const directory = t.testdir({})
  const broker = await start(join(directory, 'kafka'))
  const place = join(directory, 'kafka-tables/wide')
  const schema = (type: string) => ({ type: 'record', name: 'W', fields: [plain('id', type)] })
  const first = await register(broker, 'by-name', schema('int'))
  const second = await register(broker, 'by-name', schema('long'))
  await make(broker, 'wide', {
    ...{ ...fast, 'table.value.format': 'registry', 'table.schema.evolution': 'widen' },
    'table.properties': 'delta.enableTypeWidening=true',
  })
  await send(broker, 'wide', [avro(first, (out) => out.int(1))])
  await until('1 row', async () => (await ids(place)).length === 1)
  await send(broker, 'wide', [avro(second, (out) => out.long(2n ** 40n))])
  await until('2 rows', async () => (await ids(place)).length === 2)
  t.strictSame(await ids(place), [1, 2 ** 40])
  const { schema: now } = await readSnapshot(new LocalStorage(place))
  t.match(
    now.fields.find(({ name }) => name === 'id'),
    { type: { kind: 'int64' } },
  )

  const json = await register(
    broker,
    'json',
    { type: 'object', properties: { id: { type: 'integer' }, extra: { type: 'number' } } },
    'JSON',
  )
  const head = Buffer.alloc(5)
  head.writeInt32BE(json, 1)
  const text = (value: object) => Buffer.concat([head, Buffer.from(JSON.stringify(value))])
  await send(broker, 'wide', [text({ id: 3, extra: 1 }), text({ id: 4, extra: 1.5, open: 'yes' })])
  await until('4 rows', async () => (await ids(place)).length === 4)
  t.match(
    (await rowsOf(place)).filter(({ id }) => id === 4),
    [{ extra: 1.5, open: 'yes' }],
  )
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

t.test('the fields of an Avro key are the columns that rows are found by', async (t) => {
  const directory = t.testdir({})
  const broker = await start(join(directory, 'kafka'))
  const place = join(directory, 'kafka-tables/keyed')
  const key = await register(broker, 'keyed-key', {
    ...{ type: 'record', name: 'Key' },
    fields: [plain('id', 'int'), plain('region', 'string')],
  })
  const value = await register(broker, 'keyed-value', {
    ...{ type: 'record', name: 'Value' },
    fields: [plain('id', 'int'), plain('n', 'long')],
  })
  await make(broker, 'keyed', {
    ...{ ...fast, 'table.schema': 'registry', 'table.key.mode': 'upsert' },
    'table.key.format': 'registry',
  })
  const sendKeyed = (records: readonly (readonly [number, string, bigint | null])[]) =>
    within(broker, async (cluster) => {
      const producer = new Producer(cluster)
      for (const [id, region, n] of records)
        producer.add({
          ...{ topic: 'keyed', partition: 0 },
          key: avro(key, (out) => {
            out.int(id)
            out.string(region)
          }),
          value:
            n === null
              ? null
              : avro(value, (out) => {
                  out.int(id)
                  out.long(n)
                }),
        })
      await producer.close()
    })
  await sendKeyed([
    [1, 'eu', 1n],
    [1, 'us', 2n],
    [2, 'eu', 3n],
  ])
  await until('3 rows', async () => (await ids(place)).length === 3)
  await sendKeyed([
    [1, 'eu', 4n],
    [2, 'eu', null],
  ])
  await until('2 rows', async () => (await ids(place)).length === 2)
  t.strictSame((await rowsOf(place)).map(({ id, region, n }) => `${id} ${region} ${n}`).sort(), [
    '1 eu 4',
    '1 us 2',
  ])
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

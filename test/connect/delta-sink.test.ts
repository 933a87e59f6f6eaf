/** Records landed in Delta tables: which columns they get, and that each is there once whatever is killed when. */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  arrayOf,
  date,
  decimalOf,
  mapOf,
  primitive,
  type Schema,
  Struct,
  structOf,
  time,
  timestamp,
} from '../../src/connect/data.ts'
import { deltaSink } from '../../src/connect/delta/delta-sink.ts'
import { Decimal, Instant } from '../../src/connect/logical.ts'
import type { SinkRecord } from '../../src/connect/records.ts'
import { DiskError } from '../../src/environment/disk.ts'
import { LocalStorage } from '../../src/environment/node/local-storage.ts'
import { NodeRandom } from '../../src/environment/node/random.ts'
import { evolvedMetadata } from '../../src/tables/delta/evolve.ts'
import { typeText } from '../../src/tables/delta/schema.ts'
import { readSnapshot } from '../../src/tables/delta/snapshot.ts'
import { Transaction } from '../../src/tables/delta/transaction.ts'
import { json, killEverywhere, newPlace, record, rowsOf, Trial } from './delta-trial.ts'

const plugin = deltaSink({
  clock: { now: () => 1_700_000_000_000, monotonic: () => 0 },
  random: new NodeRandom(),
  storageAt: (location) => new LocalStorage(location),
})
const flights = { topic: 'flights', partition: 0 }

async function landed(
  records: readonly SinkRecord[],
  settings: Record<string, string> = {},
): Promise<{ location: string; trial: Trial; columns: Record<string, string> }> {
  const location = newPlace()
  const trial = new Trial({ 'table.path': location, ...settings })
  await trial.start([flights], true)
  await trial.read(new Map([['flights-0', records]]), 1000)
  await trial.commit()
  return { location, trial, columns: await columnsOf(location) }
}

async function columnsOf(location: string): Promise<Record<string, string>> {
  const { schema } = await readSnapshot(new LocalStorage(location))
  return Object.fromEntries(schema.fields.map(({ name, type }) => [name, typeText(type)]))
}

t.test('a Connect schema has its columns, and values all their digits', async (t) => {
  const schema: Schema = structOf({
    i8: primitive('INT8'),
    i16: primitive('INT16', { optional: true }),
    i32: primitive('INT32'),
    i64: primitive('INT64'),
    f32: primitive('FLOAT32'),
    f64: primitive('FLOAT64'),
    yes: primitive('BOOLEAN'),
    text: primitive('STRING', { defaultValue: 'none' }),
    bytes: primitive('BYTES'),
    price: decimalOf(2),
    day: date(),
    clock: time(),
    at: timestamp(),
    tags: arrayOf(primitive('STRING')),
    counts: mapOf(primitive('STRING'), primitive('INT64')),
    inner: structOf({ x: primitive('INT32'), deep: structOf({ y: arrayOf(decimalOf(1)) }) }),
  })
  const inner = schema.field('inner')!.schema
  const deep = new Struct(inner.field('deep')!.schema).put('y', [new Decimal(-15n, 1)])
  const value = new Struct(schema)
    .put('i8', -128)
    .put('i32', 2 ** 31 - 1)
    .put('i64', 2n ** 63n - 1n)
    .put('f32', 0.5)
    .put('f64', -0)
    .put('yes', true)
    .put('bytes', Buffer.from([0, 255]))
    .put('price', new Decimal(12345n, 2))
    .put('day', Instant.ofDays(-1))
    .put('clock', new Instant(86_399_999))
    .put('at', new Instant(1))
    .put('tags', ['a', 'b'])
    .put('counts', new Map([['a', 1n]]))
    .put('inner', new Struct(inner).put('x', 7).put('deep', deep))
  const { location, columns } = await landed([record(0, value, { valueSchema: schema })])
  t.strictSame(columns, {
    ...{ i8: 'byte', i16: 'short', i32: 'integer', i64: 'long', f32: 'float', f64: 'double' },
    ...{ yes: 'boolean', text: 'string', bytes: 'binary', price: 'decimal(38,2)', day: 'date' },
    ...{ clock: 'integer', at: 'timestamp', tags: 'array<string>', counts: 'map<string,long>' },
    inner: 'struct<x:integer,deep:struct<y:array<decimal(38,1)>>>',
  })
  const [row] = await rowsOf(location)
  t.match(row, {
    ...{ i8: -128, i16: null, text: 'none', bytes: 'AP8=', price: 123.45, day: '1969-12-31' },
    ...{ clock: 86_399_999, at: '1970-01-01T00:00:00.001000Z', tags: ['a', 'b'], counts: { a: 1 } },
    inner: { x: 7, deep: { y: [-1.5] } },
  })
})

t.test(
  'where columns stay as they are, a new table has those that its first rows need',
  async (t) => {
    const fixed = { 'table.schema.evolution': 'none', 'kafka.offset.column': 'offset' }
    const given = {
      type: 'struct',
      fields: [{ name: 'id', type: 'long', nullable: true, metadata: {} }],
    }
    const records = [record(0, json({ id: 1 })), record(1, json({ id: 2, more: 'x' }))]
    const schema = { 'table.schema': JSON.stringify(given) }
    const { location, trial, columns } = await landed(records, { ...fixed, ...schema })
    t.strictSame(columns, { id: 'long', offset: 'long' })
    t.strictSame(await rowsOf(location), [{ id: 1, offset: 0 }])
    t.match(trial.reported, [/^1.*there is no column more/])
    const { trial: inferred, columns: found } = await landed(records, fixed)
    t.strictSame(found, { offset: 'long', id: 'long', more: 'string' })
    await inferred.read(new Map([['flights-0', [...records, record(2, json({ other: 1 }))]]]), 1000)
    t.match(inferred.reported, [/^2.*there is no column other/])
  },
)

t.test('decimals are numbers of few digits, or text', async (t) => {
  const price = { name: 'price', type: 'decimal(20,2)', nullable: true, metadata: {} }
  const settings = { 'table.schema': JSON.stringify({ type: 'struct', fields: [price] }) }
  const values = [1.05, '1.05', -0.5, 7, '123456789012345678.90', 1.005, '1,5', 0.1 + 0.2, '']
  const records = values.map((value, offset) => record(offset, json({ price: value })))
  const { location, trial } = await landed(records, settings)
  const rows = await rowsOf(location)
  t.strictSame(
    rows.map((row) => row['price']),
    [1.05, 1.05, -0.5, 7, Number('123456789012345678.90')],
  )
  t.equal(trial.reported.length, 4)
})

t.test('columns of JSON grow with it; what shows no type has none', async (t) => {
  const { location, trial, columns } = await landed(
    [
      record(0, json({ id: 1, empty: null, list: [], price: 10 })),
      record(1, json({ id: 2, price: 10.5, list: [{ a: 1 }, { b: 'x' }], object: {} })),
      record(2, json({ ID: 3, object: { deep: [[true]] } })),
      record(3, null),
    ],
    { 'kafka.offset.column': 'offset', 'kafka.key.column': 'key' },
  )
  t.strictSame(trial.reported, [])
  t.strictSame(columns, {
    ...{ offset: 'long', id: 'long', price: 'double', list: 'array<struct<a:long,b:string>>' },
    object: 'struct<deep:array<array<boolean>>>',
  })
  const rows = await rowsOf(location)
  const none = { id: null, price: null, list: null, object: null }
  t.strictSame(rows, [
    { offset: 0, ...none, id: 1, price: 10 },
    {
      offset: 1,
      ...none,
      id: 2,
      price: 10.5,
      list: [
        { a: 1, b: null },
        { a: null, b: 'x' },
      ],
    },
    { offset: 2, ...none, id: 3, object: { deep: [[true]] } },
    { offset: 3, ...none },
  ])
})

t.test('what fits no column is reported, and leaves nothing behind', async (t) => {
  const hostile: [unknown, RegExp][] = [
    [json({ id: 'text' }), /id cannot hold "text": it is of type long/],
    [json({ id: 1.5 }), /id cannot hold number 1.5/],
    [json({ id: { a: 1 } }), /id cannot hold an object/],
    [json({ id: 1, ID: 2 }), /two values for the column ID/],
    [json({ new: 1, id: [] }), /id cannot hold a list/],
    [json({ 'a b': 1 }), /columnMapping/],
    [json({ '': 1 }), /without a name/],
    [json({ lone: '\ud800' }), /surrogate/],
    [json([1]), /no object/],
    ['text', /no object/],
    [json(JSON.parse('['.repeat(60) + ']'.repeat(60))), /no object/],
    [json({ deep: JSON.parse(`${'['.repeat(60)}1${']'.repeat(60)}`) }), /levels deep/],
    [
      json(Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`c${i}`, 1]))),
      /2000 columns/,
    ],
    [new Map([['id', 2n ** 63n]]), /id cannot hold bigint/],
    [json({ __proto__x: 1, id: true }), /id cannot hold boolean/],
  ]
  const records = hostile.map(([value], i) => record(i + 1, value))
  const { location, trial } = await landed([record(0, json({ id: 0 }))])
  await trial.read(new Map([['flights-0', records]]), 1000)
  await trial.commit()
  t.strictSame(await columnsOf(location), { id: 'long' })
  t.strictSame(await rowsOf(location), [{ id: 0 }])
  t.equal(trial.reported.length, hostile.length)
  for (const [i, [, message]] of hostile.entries()) t.match(trial.reported[i], message)
  const next = new Trial({ 'table.path': location })
  await next.start([flights])
  t.equal(next.positions.get('flights-0'), hostile.length + 1, 'it does not come again')
  await t.rejects(next.read(new Map([['flights-0', [record(99, 'text')]]]), 1), {
    name: 'DataException',
    message: /^flights-0 at offset 99: The value is no object/,
  })
  const skipping = new Trial({ 'table.path': location, 'errors.tolerance': 'all' })
  await skipping.start([flights])
  t.ok(await skipping.read(new Map([['flights-0', [record(99, 'text')]]]), 1))
})

t.test('a column that the change feed of the table has is none of its own', async (t) => {
  const records = [
    record(0, json({ id: 1 })),
    record(1, json({ id: 2, _change_type: 'insert' })),
    record(2, json({ id: 3 })),
  ]
  const feed = { 'table.properties': 'delta.enableChangeDataFeed=true' }
  const { trial, location } = await landed(records, feed)
  t.match(trial.reported, [/^1.*has no column _change_type/])
  t.strictSame(await rowsOf(location), [{ id: 1 }, { id: 3 }])
  const { columns } = await landed(records)
  t.strictSame(columns, { id: 'long', _change_type: 'string' })
})

t.test('a number widens only while no row is lost by it', async (t) => {
  const { location, trial } = await landed([
    record(0, json({ small: 1 })),
    record(1, new Map([['large', 2n ** 53n + 1n]])),
    record(2, json({ small: 1.5 })),
    record(3, json({ large: 1.5 })),
    record(4, new Map([['small', 2n ** 53n + 1n]])),
  ])
  t.strictSame(await columnsOf(location), { small: 'double', large: 'long' })
  t.equal((await rowsOf(location)).length, 3)
  t.match(trial.reported, [/^3: .*a row before does not fit/, /^4: .*small cannot hold/])
})

t.test('a table that is there decides: its types, its names, what may be missing', async (t) => {
  const schema = {
    type: 'struct',
    fields: [
      { name: 'At', type: 'timestamp', nullable: true, metadata: {} },
      { name: 'day', type: 'date', nullable: false, metadata: { comment: 'kept' } },
      { name: 'small', type: 'short', nullable: true, metadata: {} },
      { name: 'ratio', type: 'float', nullable: true, metadata: {} },
      { name: 'price', type: 'decimal(5,2)', nullable: true, metadata: {} },
    ],
  }
  const settings = {
    'table.schema': JSON.stringify(schema),
    'table.properties': 'delta.columnMapping.mode=name,delta.enableTypeWidening=true',
    'table.schema.evolution': 'widen',
  }
  const day = '2024-02-29'
  const { location, trial } = await landed(
    [
      record(0, json({ at: '2024-02-29T12:00:00+01:00', day, small: 7, ratio: 0.1, price: 3 })),
      record(1, json({ small: 7 })),
      record(2, json({ day: '2023-02-29' })),
      record(3, json({ day, price: 1000 })),
      record(4, json({ day, ratio: 1e39 })),
    ],
    settings,
  )
  const first = { At: '2024-02-29T11:00:00.000000Z', day, small: 7, ratio: 0.1, price: 3 }
  t.strictSame(await rowsOf(location), [first])
  t.strictSame(
    trial.reported.map((text) => text.slice(0, 1)),
    ['1', '2', '3', '4'],
  )
  const log = new Map([
    ['flights-0', [record(5, json({ day, small: 40_000, 'new one': { a: 1 } }))]],
  ])
  await trial.read(log, 9)
  await trial.commit()
  t.match(await columnsOf(location), { small: 'long', 'new one': 'struct<a:long>' })
  const rows = await rowsOf(location)
  t.match(rows, [
    { small: 7, 'new one': null },
    { small: 40_000, 'new one': { a: 1 } },
  ])
  const { schema: now } = await readSnapshot(new LocalStorage(location))
  t.match(now.fields[1]!.metadata, { comment: 'kept' })
  t.match(now.fields[2]!.metadata, {
    'delta.typeChanges': [{ fromType: 'short', toType: 'long' }],
  })
  const physical = new Set(now.fields.map(({ physicalName }) => physicalName))
  t.equal(physical.size, 6)
})

/** Columns that a table gives values itself. */
const ruled = {
  'table.schema': JSON.stringify({
    type: 'struct',
    fields: [
      {
        ...{ name: 'n', type: 'long', nullable: false },
        metadata: {
          'delta.identity.start': 10,
          'delta.identity.step': 10,
          'delta.identity.allowExplicitInsert': false,
        },
      },
      { name: 'id', type: 'long', nullable: true, metadata: {} },
      { name: 'v', type: 'string', nullable: false, metadata: { CURRENT_DEFAULT: "'none'" } },
      {
        ...{ name: 'd', type: 'long', nullable: true },
        metadata: { 'delta.generationExpression': 'id % 10' },
      },
    ],
  }),
  'table.partition.by': 'd',
  'table.properties': 'delta.constraints.positive=id > 0',
}

t.test(
  'rows that a table refuses are reported, and it fills what records do not say',
  async (t) => {
    const { location, trial } = await landed(
      [
        record(0, json({ id: 11 })),
        record(1, json({ id: 0 })),
        record(2, json({ id: 12, v: 'x', d: 2 })),
        record(3, json({ id: 13, d: 4 })),
        record(4, json({ id: 14, n: 5 })),
        record(5, json({ id: 15, v: null })),
      ],
      ruled,
    )
    t.strictSame(await rowsOf(location), [
      { n: 10, id: 11, v: 'none', d: 1 },
      { n: 20, id: 12, v: 'x', d: 2 },
    ])
    t.match(trial.reported, [
      /^1: .*the constraint positive \(id > 0\) is violated by a row: id is 0$/,
      /^3: .*column d is generated as id % 10, and a row has another value there: d is 4, id is 13$/,
      /^4: .*column n numbers rows itself/,
      /^5: .*v/,
    ])
    const next = new Trial({ 'table.path': location, 'table.schema.evolution': 'add' })
    await next.start([flights])
    await next.read(new Map([['flights-0', [record(6, json({ id: 21, more: true }))]]]), 9)
    await next.commit()
    await t.rejects(next.read(new Map([['flights-0', [record(7, json({ id: -1 }))]]]), 9), {
      name: 'DataException',
      message: /^flights-0 at offset 7: the constraint positive/,
    })
    const last = (await rowsOf(location)).find(({ id }) => id === 21)
    t.strictSame(last, { n: 30, id: 21, v: 'none', d: 1, more: true })
  },
)

t.test('a row that is written over keeps its number', async (t) => {
  const key = (offset: number, name: string, value: unknown) =>
    record(offset, json(value), { key: name })
  const { location, trial } = await landed([key(0, 'a', { id: 1 }), key(1, 'b', { id: 2 })], {
    ...ruled,
    ...{ 'table.key.mode': 'upsert', 'kafka.key.column': 'key' },
    'table.schema': ruled['table.schema'].replace(
      '{"name":"id"',
      '{"name":"key","type":"string","nullable":true,"metadata":{}},{"name":"id"',
    ),
  })
  const log = [key(2, 'a', { id: 3, v: 'x' }), key(3, 'c', { id: 4 }), key(4, 'b', null)]
  await trial.read(new Map([['flights-0', log]]), 9)
  await trial.commit()
  t.strictSame(
    (await rowsOf(location)).sort((a, b) => Number(a['n']) - Number(b['n'])),
    [
      { n: 10, key: 'a', id: 3, v: 'x', d: 3 },
      { n: 30, key: 'c', id: 4, v: 'none', d: 4 },
    ],
  )
  t.strictSame(trial.reported, [])
})

t.test('parts of a time, coordinates and headers are columns', async (t) => {
  const { location, trial } = await landed(
    [
      record(7, json({ made: '2013-01-01 05:30:00', carrier: 'UA' }), {
        key: 'k',
        headers: [
          { key: 'h', schema: null, value: 'one' },
          { key: 'h', schema: null, value: null },
        ],
      }),
      record(8, json({ carrier: 'AA' })),
    ],
    {
      'table.partition.by': 'carrier, date(made) as day, hour($timestamp)',
      'kafka.topic.column': 'topic',
      'kafka.partition.column': 'partition',
      'kafka.offset.column': 'offset',
      'kafka.timestamp.column': 'ts',
      'kafka.key.column': 'key',
      'kafka.headers.column': 'headers',
    },
  )
  t.strictSame(trial.reported, [])
  const rows = await rowsOf(location)
  rows.sort((a, b) => Number(a['offset']) - Number(b['offset']))
  t.match(rows, [
    {
      ...{ topic: 'flights', partition: 0, offset: 7, ts: '2023-11-14T22:13:20.000000Z', key: 'k' },
      headers: [
        { key: 'h', value: 'one' },
        { key: 'h', value: null },
      ],
      ...{ made: '2013-01-01 05:30:00', carrier: 'UA', day: '2013-01-01', timestamp_hour: 22 },
    },
    { offset: 8, carrier: 'AA', day: null, timestamp_hour: 22, key: null, headers: [] },
  ])
  const { metadata, files } = await readSnapshot(new LocalStorage(location))
  t.strictSame(metadata.partitionColumns, ['carrier', 'day', 'timestamp_hour'])
  t.equal(files.size, 2)
})

t.test('settings are refused by their names', async (t) => {
  const { config, connector } = plugin
  const errorsOf = async (settings: Record<string, string>) => {
    const given = new Map(Object.entries(settings))
    const values = await connector().validate!(given, config.validate(given))
    return Object.fromEntries(
      values.filter(({ errors }) => errors.length > 0).map(({ name, errors }) => [name, errors[0]]),
    )
  }
  t.strictSame(await errorsOf({ 'table.path': '/x' }), {})
  t.match(
    await errorsOf({
      'table.partition.by': 'week(x)',
      'table.commit.rows': '0',
      'table.properties': 'x',
      'table.key.mode': 'sometimes',
    }),
    {
      'table.path': /Missing required configuration/,
      'table.partition.by': /week is none of date, year, month, hour/,
      'table.commit.rows': /at least 1/,
      'table.properties': /x is not NAME=VALUE/,
      'table.key.mode': /must be one of/,
    },
  )
  t.match(await errorsOf({ 'table.path': '/x', 'table.schema': '{"type":"struct"}' }), {
    'table.schema': /struct without fields/,
  })
  t.match(await errorsOf({ 'table.path': '/x', 'table.properties': 'delta.feature.x=1' }), {
    'table.properties': /delta.feature.x/,
  })
})

/** Three partitions with holes in their offsets, as compaction leaves them. */
function logOf(count: number): Map<string, SinkRecord[]> {
  return new Map(
    [0, 1, 2].map((partition) => [
      `flights-${partition}`,
      Array.from({ length: count }, (_, i) => {
        const offset = 3 * i + partition
        const value = json({ id: offset, ...(i === 11 ? { late: 'x' } : {}) })
        return record(offset, value, { kafkaPartition: partition })
      }),
    ]),
  )
}

const partitions = [0, 1, 2].map((partition) => ({ topic: 'flights', partition }))
const places = { 'kafka.partition.column': 'p', 'kafka.offset.column': 'o' }

function isWhole(
  rows: readonly Record<string, unknown>[],
  log: Map<string, SinkRecord[]>,
): boolean {
  const found = rows.map(({ p, o }) => `${p}/${o}`).sort()
  const wanted = [...log.values()].flat()
  const names = wanted.map(({ kafkaPartition, kafkaOffset }) => `${kafkaPartition}/${kafkaOffset}`)
  return found.join() === names.sort().join()
}

function firstOf(log: Map<string, SinkRecord[]>, count: number): Map<string, SinkRecord[]> {
  return new Map([...log].map(([name, records]) => [name, records.slice(0, count)]))
}

t.test('each record lands once, whichever operation of the disk kills the task', async (t) => {
  const log = logOf(16)
  const kills = await killEverywhere({
    settings: { 'table.commit.rows': '20', ...places },
    partitions,
    log,
    readAtOnce: 4,
    operations: (isDone) => ({ first: 1, step: isDone ? 3 : 1 }),
    look: async (location, when) => {
      const rows = await rowsOf(location)
      if (!isWhole(rows, log)) t.fail(`${when}: ${rows.length} rows`)
    },
  })
  t.ok(kills > 40, `${kills} kills`)
})

t.test('of two that have one partition, one lands a record, and the other reads on', async (t) => {
  const log = logOf(40)
  const location = newPlace()
  // What waits is written ahead, a few rows at a time.
  const settings = { 'table.path': location, 'table.commit.rows': '60', ...places }
  const zombie = new Trial(settings)
  const heir = new Trial(settings)
  await zombie.start(partitions)
  await heir.start(partitions)
  let turn = 0
  const random = () => {
    turn = (turn * 1_103_515 + 12_345) % 2 ** 31
    return turn / 2 ** 31
  }
  for (let round = 0; round < 80; round++) {
    const trial = random() < 0.5 ? zombie : heir
    await trial.read(log, 1 + Math.floor(random() * 5))
    if (random() < 0.4) await Promise.all([trial.commit(), random() < 0.5 ? zombie.commit() : null])
  }
  for (const trial of [zombie, heir, zombie]) {
    for (let i = 0; i < 50; i++) {
      await trial.read(log, 50)
      await trial.commit()
    }
  }
  t.ok(isWhole(await rowsOf(location), log))
})

t.test(
  'what waits is written ahead of its commit, and again where the table has changed',
  async (t) => {
    const log = logOf(150)
    const location = newPlace()
    const storage = new LocalStorage(location)
    const clock = { now: () => 1_700_000_000_000, monotonic: () => 0 }
    const environment = { clock, random: new NodeRandom(), storage }
    const hidden = () => readdirSync(location).filter((name) => name.endsWith('.tmp'))
    const files = () => readdirSync(location).filter((name) => name.endsWith('.parquet'))
    const trial = new Trial({ 'table.path': location, 'table.commit.rows': '160', ...places })
    await trial.start(partitions)
    await trial.read(log, 12)
    t.strictSame(readdirSync(location), [], 'there is no table yet')
    await trial.commit()
    for (const [version, isChanged] of [false, true, false].entries()) {
      await trial.read(log, 18)
      t.equal(hidden().length, 1, 'two batches of twenty')
      if (isChanged) {
        const snapshot = await readSnapshot(storage)
        const transaction = Transaction.on(environment, snapshot)
        const configuration = new Map([...snapshot.metadata.configuration, ['custom', 'x']])
        transaction.change({ metadata: { ...snapshot.metadata, configuration } })
        await transaction.commit({ operation: 'SET TBLPROPERTIES' })
      }
      await trial.commit()
      t.strictSame([hidden().length, files().length], [0, version + 2])
    }
    t.ok(isWhole(await rowsOf(location), firstOf(log, 12 + 3 * 18)))
    await trial.read(log, 18)
    await trial.task.close([partitions[0]!])
    t.equal(hidden().length, 0, 'what was given up is gone')
    await trial.read(log, 24)
    t.equal(hidden().length, 1)
    await trial.task.stop()
    t.equal(hidden().length, 0)
  },
)

t.test('what never came to the task is not read again with every start', async (t) => {
  const log = logOf(4)
  const settings = { 'table.path': newPlace(), ...places }
  const begun = async (more: Record<string, string> = {}) => {
    const trial = new Trial({ ...settings, ...more })
    await trial.start(partitions)
    const from = partitions.map(({ partition }) => trial.positions.get(`flights-${partition}`))
    return { trial, from }
  }
  const { trial } = await begun()
  for (const name of ['flights-1', 'flights-2']) log.delete(name)
  await trial.read(log, 2)
  await trial.commit()
  // The others are refused by the converter, as is all of the second partition.
  trial.positions.set('flights-0', 30)
  trial.positions.set('flights-1', 20)
  await trial.commit()
  t.strictSame((await begun()).from, [30, 0, 0])
  const { trial: whole } = await begun({ 'table.begin': 'earliest' })
  whole.positions.set('flights-1', 20)
  await whole.commit()
  t.strictSame((await begun()).from, [30, 20, 0])
})

t.test('what is given up is not taken for dealt with before it is read again', async (t) => {
  const log = logOf(12)
  const settings = { 'table.path': newPlace(), ...places }
  const one = new Trial(settings)
  await one.start(partitions)
  await one.read(log, 2)
  await one.commit()
  await one.read(log, 2)
  await one.task.close([partitions[1]!])
  one.positions.delete('flights-1')
  // Its reading has not gone back yet.
  await one.revoke([])
  const other = new Trial(settings)
  await other.start([partitions[1]!])
  for (const trial of [one, other]) while (await trial.read(log, 7)) await trial.commit()
  t.ok(isWhole(await rowsOf(settings['table.path']), log))
})

t.test('what is given up in the middle of a batch takes no others with it', async (t) => {
  const log = logOf(40)
  const location = newPlace()
  const clock = { now: () => 1_700_000_000_000, monotonic: () => 0 }
  const environment = { clock, random: new NodeRandom(), storage: new LocalStorage(location) }
  const trial = new Trial({ 'table.path': location, 'table.commit.rows': '10', ...places })
  await trial.start(partitions)
  await trial.read(log, 2)
  await trial.commit()
  const snapshot = await readSnapshot(environment.storage)
  const transaction = Transaction.on(environment, snapshot)
  const more = { name: 'more', type: { kind: 'string' }, isNullable: true } as const
  const columns = [...snapshot.schema.fields, more]
  transaction.change({ metadata: evolvedMetadata(snapshot.metadata, columns, environment) })
  await transaction.commit({ operation: 'ADD COLUMNS' })
  // The rows of the first partition are full, and its commit finds that the columns have changed.
  while (await trial.read(log, 12)) await trial.commit()
  await trial.commit()
  t.ok(isWhole(await rowsOf(location), log))
})

t.test('a table that is set back just behind a commit is landed again', async (t) => {
  const log = logOf(8)
  const location = newPlace()
  const settings = { name: 'lander', 'table.path': location, ...places }
  let isSetBack = false
  const storage = new LocalStorage(location)
  const putIfAbsent = storage.putIfAbsent.bind(storage)
  storage.putIfAbsent = async (name, bytes) => {
    const isPut = await putIfAbsent(name, bytes)
    if (!isSetBack && name.endsWith('01.json')) {
      isSetBack = true
      const moved = new Map(Object.entries(settings))
      await plugin.connector().alterOffsets!(moved, [{ ...flights, offset: 0 }])
    }
    return isPut
  }
  const trial = new Trial(settings, () => storage)
  await trial.start([flights])
  while (await trial.read(log, 3)) await trial.commit()
  const offsets = (await rowsOf(location)).map(({ o }) => Number(o)).sort((a, b) => a - b)
  t.strictSame(offsets, [0, 0, 3, 3, 6, 6, 9, 9, 12, 12, 15, 15, 18, 21])
})

t.test('rows of partitions that are gone are not committed, whatever fails', async (t) => {
  const log = logOf(4)
  const location = newPlace()
  const storage = new LocalStorage(location)
  const list = storage.list.bind(storage)
  let isDown = false
  storage.list = async (directory, from) => {
    if (isDown) throw new DiskError('EIO', directory)
    return list(directory, from)
  }
  const settings = { 'table.path': location, ...places }
  const one = new Trial(settings, () => storage)
  await one.start(partitions)
  await one.read(log, 2)
  await one.commit()
  await one.read(log, 1)
  isDown = true
  await t.rejects(async () => one.task.close([partitions[1]!]), { message: /cannot be written/ })
  isDown = false
  t.strictSame(await one.commit(), [])
  await t.rejects(async () => one.task.put([]), { message: /cannot be written/ })
  await one.stop()
  const other = new Trial(settings)
  await other.start(partitions)
  while (await other.read(log, 7)) await other.commit()
  t.ok(isWhole(await rowsOf(location), log))
})

t.test('partitions that go take nothing with them', async (t) => {
  const log = logOf(40)
  const location = newPlace()
  const settings = { 'table.path': location, 'table.commit.rows': '60', ...places }
  const one = new Trial(settings)
  const other = new Trial(settings)
  await one.start(partitions)
  await other.start([])
  await one.read(log, 10)
  // Lost without a commit: rows of all three were waiting.
  await one.task.close([partitions[1]!])
  one.positions.delete('flights-1')
  await one.revoke([partitions[1]!].filter(() => false))
  await other.assign([partitions[1]!])
  t.equal(other.positions.get('flights-1'), 0)
  for (const trial of [one, other]) while (await trial.read(log, 7)) await trial.commit()
  await one.revoke([partitions[2]!])
  await other.assign([partitions[2]!])
  t.equal(other.positions.get('flights-2'), 3 * 39 + 2 + 1, 'it goes on behind what is there')
  t.ok(isWhole(await rowsOf(location), log))
})

t.test(
  'a commit is asked for by time, and made by rows; a topic made anew is refused',
  async (t) => {
    const location = join(newPlace(), '${topic}')
    const settings = { 'table.path': location, 'table.commit.rows': '10', ...places }
    const trial = new Trial(settings)
    await trial.start([flights])
    const log = logOf(40)
    await trial.read(log, 9)
    const place = location.replace('${topic}', 'flights')
    await t.rejects(rowsOf(place), { message: /no Delta table/ })
    trial.fireTimers()
    t.equal(trial.commitsAsked, 1)
    t.strictSame(await trial.commit(), [{ ...flights, offset: 25 }])
    t.equal((await rowsOf(place)).length, 9)
    await trial.read(log, 25)
    t.equal((await rowsOf(place)).length, 29)
    const again = new Trial(settings)
    await again.start([flights])
    await t.rejects(again.task.put([record(0, json({ id: 1 }))]), { message: /made anew/ })
  },
)

t.test('a table in the place of ours fails the task, as does one that is gone', async (t) => {
  const location = newPlace()
  const trial = new Trial({ 'table.path': location })
  await trial.start([flights])
  await trial.task.put([record(0, json({ id: 1 }))])
  await trial.commit()
  rmSync(join(location, '_delta_log'), { recursive: true })
  await trial.task.put([record(1, json({ id: 1 }))])
  t.strictSame(await trial.commit(), [])
  await t.rejects(trial.task.put([]), { message: /the table is gone/ })
  const careful = new Trial({ 'table.path': newPlace(), 'table.create': 'false' })
  await t.rejects(careful.start([flights]), { message: /table.create is false/ })
})

t.test('offsets are moved where they are: in the table', async (t) => {
  const location = newPlace()
  const settings = { name: 'lander', 'table.path': location, ...places }
  const log = logOf(10)
  const connector = plugin.connector()
  const move = async (moved: Record<string, string>, offset: number | null) =>
    connector.alterOffsets!(new Map(Object.entries(moved)), [{ ...flights, offset }])
  t.ok(await move(settings, 3), 'there is no table, and nothing to move')
  const live = async () => {
    const trial = new Trial(settings)
    await trial.start([flights])
    const from = trial.positions.get('flights-0')
    while (await trial.read(log, 4)) await trial.commit()
    return from
  }
  t.equal(await live(), 0)
  await move(settings, 24)
  t.equal(await live(), 24)
  t.equal((await rowsOf(location)).length, 12, 'two records were read again')
  await move(settings, null)
  t.equal(await live(), 0)
  t.equal((await rowsOf(location)).length, 22)
  await t.rejects(move({ ...settings, transforms: 'route' }, 0), { message: /several tables/ })
})

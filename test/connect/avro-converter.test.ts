/** The Avro converter: schemas both ways as Confluent's, values byte for byte, a registry that is asked once. */
import t from 'tap'
import { AvroConverter } from '../../src/connect/converters/avro.ts'
import {
  arrayOf,
  date,
  decimalOf,
  equalValues,
  mapOf,
  primitive,
  type Schema,
  type SchemaAndValue,
  Struct,
  structOf,
  time,
  timestamp,
} from '../../src/connect/data.ts'
import { ConnectException, DataException } from '../../src/connect/failures.ts'
import { Decimal, Instant } from '../../src/connect/logical.ts'
import type { HttpClient } from '../../src/environment/http-client.ts'

const fetchNothing: HttpClient = () => Promise.reject(new Error('nobody is to be asked'))

/** A registry in a few lines: ids by text, and what it was asked. */
function registry(known: Record<number, string> = {}) {
  const texts = new Map<number, string>(
    Object.entries(known).map(([id, text]) => [Number(id), text]),
  )
  const asked: string[] = []
  const ask: HttpClient = async (url, request) => {
    const { status, body } = answered(url, request)
    return { status, headers: {}, body: Buffer.from(body) }
  }
  const answered = (url: string, { method, body }: Parameters<HttpClient>[1]) => {
    const path = url.replace('http://registry', '')
    asked.push(`${method} ${path}`)
    const id = Number(/\/schemas\/ids\/(\d+)/.exec(path)?.[1])
    if (path.endsWith('/versions') && method === 'GET')
      return { status: 200, body: JSON.stringify([{ subject: 't-value', version: 4 }]) }
    if (method === 'GET') {
      const schema = texts.get(id)
      return schema === undefined
        ? { status: 404, body: '{"error_code":40403,"message":"Schema not found"}' }
        : { status: 200, body: JSON.stringify({ schema }) }
    }
    const { schema } = JSON.parse(`${body}`) as { schema: string }
    const found = [...texts].find(([, text]) => text === schema)?.[0] ?? texts.size + 1
    texts.set(found, schema)
    return { status: 200, body: JSON.stringify({ id: found }) }
  }
  const options = (more: Record<string, string>) =>
    new Map(Object.entries({ 'schema.registry.url': 'http://registry', ...more }))
  const converter = (more: Record<string, string> = {}) => new AvroConverter(options(more), ask)
  return { texts, asked, converter }
}

async function written(schema: Schema, value: unknown) {
  const { converter, texts } = registry()
  const bytes = await converter().fromConnectData('t', schema, value)
  return { text: texts.get(1), hex: bytes!.subarray(5).toString('hex'), bytes: bytes!, converter }
}

async function read(schema: unknown, hex: string, more: Record<string, string> = {}) {
  const { converter } = registry({ 1: JSON.stringify(schema) })
  return converter(more).toConnectData('t', Buffer.from(`0000000001${hex}`, 'hex'))
}

t.test('schemas are written as Confluent writes them, values as Avro has them', async (t) => {
  const optional = { optional: true }
  const name = 'org.apache.kafka.connect.data'
  const cases: [Schema, unknown, string, string][] = [
    [primitive('INT8'), -1, '{"type":"int","connect.type":"int8"}', '01'],
    [primitive('INT16'), 64, '{"type":"int","connect.type":"int16"}', '8001'],
    [primitive('INT32'), -65, '"int"', '8101'],
    [primitive('INT64'), -(2n ** 63n), '"long"', 'ffffffffffffffffff01'],
    [primitive('INT64'), 2n ** 63n - 1n, '"long"', 'feffffffffffffffff01'],
    [primitive('FLOAT32'), 1, '"float"', '0000803f'],
    [primitive('FLOAT64'), 1, '"double"', '000000000000f03f'],
    [primitive('BOOLEAN'), true, '"boolean"', '01'],
    [primitive('STRING'), 'foo', '"string"', '06666f6f'],
    [primitive('BYTES'), Buffer.of(1, 2), '"bytes"', '040102'],
    [primitive('STRING', optional), 'é', '["null","string"]', '0204c3a9'],
    [
      primitive('STRING', { optional: true, defaultValue: 'x' }),
      'y',
      '[{"type":"string","connect.default":"x"},"null"]',
      '000279',
    ],
    [arrayOf(primitive('INT64')), [3n, 27n], '{"type":"array","items":"long"}', '04063600'],
    [
      mapOf(primitive('STRING'), primitive('INT32')),
      new Map([['a', 1]]),
      '{"type":"map","values":"int"}',
      '0202610200',
    ],
    [
      mapOf(primitive('INT32'), primitive('BOOLEAN')),
      new Map([[7, true]]),
      '{"type":"array","items":{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","fields":[{"name":"key","type":"int"},{"name":"value","type":"boolean"}]}}',
      '020e0100',
    ],
    [
      decimalOf(2),
      new Decimal(156n, 2),
      `{"type":"bytes","scale":2,"precision":64,"connect.version":1,"connect.parameters":{"scale":"2"},"connect.name":"${name}.Decimal","logicalType":"decimal"}`,
      '04009c',
    ],
    [
      date(),
      Instant.ofDays(10000),
      `{"type":"int","connect.version":1,"connect.name":"${name}.Date","logicalType":"date"}`,
      'a09c01',
    ],
    [
      time(),
      new Instant(14400000),
      `{"type":"int","connect.version":1,"connect.name":"${name}.Time","logicalType":"time-millis"}`,
      '80e8dd0d',
    ],
    [
      timestamp(),
      new Instant(4000000000),
      `{"type":"long","connect.version":1,"connect.name":"${name}.Timestamp","logicalType":"timestamp-millis"}`,
      '80a0d9e61d',
    ],
  ]
  for (const [schema, value, text, hex] of cases) {
    const made = await written(schema, value)
    t.equal(made.text, text)
    t.equal(made.hex, hex, text)
    const again = await made.converter().toConnectData('t', made.bytes)
    t.ok(equalValues(again.value, value), 'it is read as what was written')
    t.ok(again.schema!.equals(schema), `and of the same schema: ${text}`)
  }
})

t.test('structs in structs', async (t) => {
  const address = structOf({ street: primitive('STRING') }, { name: 'shop.Address' })
  const order = structOf(
    {
      id: primitive('INT64'),
      note: primitive('STRING', { optional: true }),
      to: address,
      from: structOf({ street: primitive('STRING') }, { name: 'shop.Address', optional: true }),
      tags: arrayOf(primitive('STRING'), { optional: true }),
      unnamed: structOf({ x: primitive('INT32') }),
    },
    { name: 'shop.Order', version: 4 },
  )
  const value = new Struct(order)
    .put('id', 1n)
    .put('to', new Struct(address).put('street', 'a'))
    .put('unnamed', new Struct(order.field('unnamed')!.schema).put('x', 5))
  const made = await written(order, value)
  t.equal(
    made.text,
    '{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"},{"name":"note","type":["null","string"],"default":null},{"name":"to","type":{"type":"record","name":"Address","fields":[{"name":"street","type":"string"}],"connect.name":"shop.Address"}},{"name":"from","type":["null","Address"],"default":null},{"name":"tags","type":["null",{"type":"array","items":"string"}],"default":null},{"name":"unnamed","type":{"type":"record","name":"ConnectDefault","namespace":"io.confluent.connect.avro","fields":[{"name":"x","type":"int"}]}}],"connect.version":4,"connect.name":"shop.Order"}',
  )
  t.equal(made.hex, '0200026100000a')
  const again = (await made.converter().toConnectData('t', made.bytes)) as SchemaAndValue
  t.ok(again.schema!.equals(order), 'the schema comes back whole')
  t.ok(equalValues(again.value, value))
  const missing = new Struct(order).put('to', new Struct(address).put('street', 'a'))
  await t.rejects(written(order, missing), DataException)
  const other = structOf({ city: primitive('STRING') }, { name: 'shop.Address' })
  const both = structOf({ a: address, b: other })
  const mixed = new Struct(both)
    .put('a', new Struct(address).put('street', 'a'))
    .put('b', new Struct(other).put('city', 'b'))
  await t.rejects(written(both, mixed), /Two different schemas are called shop\.Address/)
})

t.test('what only Avro knows', async (t) => {
  const union = [
    'null',
    'int',
    { type: 'record', name: 'a.R', fields: [{ name: 'x', type: 'long' }] },
  ]
  const asUnion = await read(union, '0406')
  t.equal(asUnion.schema!.name, 'io.confluent.connect.avro.Union')
  t.same(
    asUnion.schema!.fields.map(({ name }) => name),
    ['int', 'R'],
  )
  t.equal((asUnion.value as Struct).get('int'), null)
  t.equal(((asUnion.value as Struct).get('R') as Struct).get('x'), 3n)
  t.equal((await read(union, '00')).value, null)
  t.equal(((await read(union, '0203')).value as Struct).get('int'), -2)
  const enumeration = { type: 'enum', name: 'a.E', symbols: ['A', 'B'], doc: 'd', default: 'A' }
  const asEnum = await read(enumeration, '02')
  t.equal(asEnum.value, 'B')
  t.same(Object.fromEntries(asEnum.schema!.parameters!), {
    'io.confluent.connect.avro.enum.doc.E': 'd',
    'io.confluent.connect.avro.enum.default.E': 'A',
    'io.confluent.connect.avro.Enum': 'a.E',
    'io.confluent.connect.avro.Enum.A': 'A',
    'io.confluent.connect.avro.Enum.B': 'B',
  })
  const { converter, texts } = registry()
  const enhanced = converter({ 'enhanced.avro.schema.support': 'true' })
  t.equal(
    (await enhanced.fromConnectData('t', asEnum.schema, 'B'))!.toString('hex'),
    '000000000102',
  )
  t.match(JSON.parse(texts.get(1)!), { type: 'enum', name: 'E', symbols: ['A', 'B'], default: 'A' })
  const fixed = await read({ type: 'fixed', name: 'a.F', size: 2 }, 'cafe')
  t.equal((fixed.value as Buffer).toString('hex'), 'cafe')
  t.equal(fixed.schema!.parameters!.get('connect.fixed.size'), '2')
  const money = {
    type: 'fixed',
    name: 'a.M',
    size: 4,
    logicalType: 'decimal',
    precision: 8,
    scale: 2,
  }
  const decimal = await read(money, 'ffffff64')
  t.equal(String(decimal.value), '-1.56')
  const back = await written(decimal.schema!, decimal.value)
  t.equal(back.hex, 'ffffff64', 'a decimal fills its fixed with its sign')
  const withDefaults = {
    type: 'record',
    name: 'R',
    doc: 'of r',
    fields: [
      { name: 'a', type: 'int', default: 5, doc: 'of a' },
      { name: 'b', type: 'bytes', default: '\u00ff' },
      { name: 'c', type: 'string', 'connect.parameters': { p: 'q' } },
    ],
  }
  const { schema } = await read(withDefaults, '0200' + '0261')
  t.equal(schema!.field('a')!.schema.defaultValue, 5)
  t.ok(equalValues(schema!.field('b')!.schema.defaultValue, Buffer.of(255)))
  t.equal(schema!.parameters!.get('io.confluent.connect.avro.field.doc.a'), 'of a')
  t.equal(schema!.version, 4, 'the version of the subject')
  t.equal((await read('string', '0261', { 'connect.meta.data': 'false' })).value, 'a')
})

t.test('a registry is asked once, under the subject of the strategy', async (t) => {
  const record = structOf({ a: primitive('INT32') }, { name: 'x.R' })
  const value = new Struct(record).put('a', 1)
  const prefix = 'io.confluent.kafka.serializers.subject.'
  for (const [strategy, subject] of [
    [`${prefix}TopicNameStrategy`, 't-value'],
    [`${prefix}RecordNameStrategy`, 'x.R'],
    ['TopicRecordNameStrategy', 't-x.R'],
  ]) {
    const { converter, asked } = registry()
    const avro = converter({ 'value.subject.name.strategy': strategy! })
    const first = await avro.fromConnectData('t', record, value)
    const second = avro.fromConnectData('t', record, value)
    t.ok(Buffer.isBuffer(second), 'what is known is answered at once')
    t.same(second, first)
    t.same(asked, [`POST /subjects/${subject}/versions`])
  }
  const { converter, asked } = registry({ 9: '"int"' })
  const keys = converter({ 'converter.type': 'key', 'auto.register.schemas': 'false' })
  await keys.fromConnectData('t', primitive('INT32'), 1)
  const bytes = Buffer.from('000000000902', 'hex')
  await keys.toConnectData('t', bytes)
  t.notOk(keys.toConnectData('t', bytes) instanceof Promise)
  t.same(asked, ['POST /subjects/t-key', 'GET /schemas/ids/9'])
  t.equal(keys.fromConnectData('t', null, null), null)
  t.equal((keys.toConnectData('t', null) as SchemaAndValue).value, null)
})

t.test('what is wrong is an error of the record, and bounded', async (t) => {
  const { converter } = registry({ 1: '"string"' })
  const avro = converter()
  t.throws(() => avro.toConnectData('t', Buffer.from('plain')), /Unknown magic byte/)
  t.throws(() => avro.toConnectData('t', Buffer.alloc(3)), /Unknown magic byte/)
  await t.rejects(
    Promise.resolve(avro.toConnectData('t', Buffer.from('000000000700', 'hex'))),
    /refused \/schemas\/ids\/7: Schema not found; error code: 40403/,
  )
  t.throws(() => avro.fromConnectData('t', null, new Map()), /needs a schema/)
  t.throws(() => avro.fromConnectData('t', primitive('INT8'), null), DataException)
  const hostile: [unknown, string][] = [
    ['string', 'feffffff0f61'],
    ['string', '01'],
    ['string', '026162'],
    ['int', 'ffffffffffffffffffff01'],
    ['int', 'feffffffff1f'],
    ['boolean', '02'],
    ['long', '80'],
    [['null', 'int'], '04'],
    [{ type: 'enum', name: 'E', symbols: ['A'] }, '02'],
    [{ type: 'array', items: { type: 'fixed', name: 'F', size: 0 } }, 'feffffffffffffffff01'],
    [{ type: 'array', items: 'int' }, 'feffffffffffffffff01'],
    [{ type: 'map', values: 'int' }, '0206616202'],
    [{ type: 'fixed', name: 'F', size: 2 ** 30 }, '00'],
    ['null', ''],
    [record('R', [{ name: 'next', type: ['null', 'R'] }]), '00'],
  ]
  for (const [schema, hex] of hostile)
    await t.rejects(read(schema, hex), DataException, `${JSON.stringify(schema)} ${hex}`)
  t.throws(() => new AvroConverter(new Map(), fetchNothing), /schema\.registry\.url/)
  t.throws(() => converter({ 'use.latest.version': 'true' }), /use\.latest\.version is not/)
  t.throws(() => converter({ 'value.subject.name.strategy': 'Mine' }), ConnectException)
  const away = new AvroConverter(
    new Map([['schema.registry.url', 'http://a,http://b']]),
    async () => {
      throw new Error('no way')
    },
  )
  await t.rejects(
    Promise.resolve(away.toConnectData('t', Buffer.from('000000000100', 'hex'))),
    /The schema registry at http:\/\/a, http:\/\/b does not answer: Error: no way/,
  )
})

function record(name: string, fields: object[]) {
  return { type: 'record', name, fields }
}

/** Converters, against the vectors of Kafka Connect's own (reference/connect.md, section 16). */
import t from 'tap'
import { headerConverterOf } from '../../src/connect/converters/header-converters.ts'
import { JsonConverter } from '../../src/connect/converters/json.ts'
import {
  byteArrayConverter,
  primitiveConverter,
  stringConverter,
} from '../../src/connect/converters/primitives.ts'
import {
  arrayOf,
  date,
  decimalOf,
  equalValues,
  mapOf,
  primitive,
  type Schema,
  Struct,
  structOf,
  time,
  timestamp,
} from '../../src/connect/data.ts'
import { DataException } from '../../src/connect/failures.ts'
import { Decimal, Instant } from '../../src/connect/logical.ts'

function json(options: Record<string, string> = {}): JsonConverter {
  return new JsonConverter(new Map(Object.entries(options)))
}

function read(text: string, options: Record<string, string> = {}) {
  return json(options).toConnectData('t', Buffer.from(text))
}

function written(schema: Schema | null, value: unknown, options: Record<string, string> = {}) {
  return json(options).fromConnectData('t', schema, value)?.toString() ?? null
}

const plain = { 'schemas.enable': 'false' }

t.test('JSON to data, with an envelope', async (t) => {
  const cases: [string, unknown][] = [
    ['{"schema":{"type":"int8"},"payload":12}', 12],
    ['{"schema":{"type":"int64"},"payload":9223372036854775807}', 9223372036854775807n],
    ['{"schema":{"type":"boolean","optional":true},"payload":null}', null],
    ['{"schema":{"type":"boolean","default":true},"payload":null}', true],
    ['{"schema":{"type":"float"},"payload":0.1}', Math.fround(0.1)],
    ['{"schema":{"type":"double"},"payload":12}', 12],
    ['{"schema":{"type":"string"},"payload":"a\\u00e9\\n"}', 'aé\n'],
    ['{"schema":{"type":"bytes"},"payload":"dGVzdC1zdHJpbmc="}', Buffer.from('test-string')],
    ['{"schema":{"type":"array","items":{"type":"int32"}},"payload":[1,2]}', [1, 2]],
    [
      '{"schema":{"type":"map","keys":{"type":"string"},"values":{"type":"int32"}},"payload":{"key1":12,"key2":15}}',
      new Map([
        ['key1', 12],
        ['key2', 15],
      ]),
    ],
    [
      '{"schema":{"type":"map","keys":{"type":"int32"},"values":{"type":"int32"}},"payload":[[1,12],[2,15]]}',
      new Map([
        [1, 12],
        [2, 15],
      ]),
    ],
    ['{"schema":null,"payload":12}', 12n],
    ['{"schema":null,"payload":12.24}', 12.24],
    ['{"schema":null,"payload":[1,"2",3]}', [1n, '2', 3n]],
    ['{"schema":null,"payload":null}', null],
    ['\ufeff{"schema":null,"payload":007}', 7n],
    ['{"schema":{"type":"int32"},"payload":12.0}', 12],
    ['{"schema":{"type":"int64"},"payload":1.5e3}', 1500n],
  ]
  for (const [text, value] of cases) t.ok(equalValues(read(text).value, value), text)
  t.equal(read('{"schema":{"type":"int8"},"payload":12}').schema?.type, 'INT8')
  t.strictSame(json().toConnectData('t', null), { schema: null, value: null })
})

t.test('structs take what is there, and ask for what must be', async (t) => {
  const schema =
    '{"type":"struct","fields":[{"field":"a","type":"string"},{"field":"b","type":"int32","optional":true}]}'
  const { value } = read(`{"schema":${schema},"payload":{"a":"x"}}`)
  t.ok(value instanceof Struct)
  t.equal((value as Struct).get('a'), 'x')
  t.equal((value as Struct).get('b'), null)
  t.throws(
    () => read(`{"schema":${schema},"payload":{"b":1}}`),
    new DataException('Invalid null value for required STRING field'),
  )
})

t.test('logical types keep every digit', async (t) => {
  const decimal = (payload: string, scale = 2) =>
    read(
      `{"schema":{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"${scale}"}},"payload":${payload}}`,
    ).value
  t.ok(equalValues(decimal('"AJw="'), new Decimal(156n, 2)))
  t.ok(equalValues(decimal('1.56'), new Decimal(156n, 2)))
  t.equal(String(decimal('1.5600', 4)), '1.5600')
  const whole = (name: string, type: string, payload: string) =>
    read(
      `{"schema":{"type":"${type}","name":"org.apache.kafka.connect.data.${name}"},"payload":${payload}}`,
    ).value
  t.ok(equalValues(whole('Date', 'int32', '10000'), Instant.ofDays(10000)))
  t.ok(equalValues(whole('Time', 'int32', '14400000'), new Instant(14400000)))
  t.ok(equalValues(whole('Timestamp', 'int64', '4000000000'), new Instant(4000000000)))
})

t.test('JSON to data, without an envelope', async (t) => {
  t.strictSame(read('', plain), { schema: null, value: null })
  const { schema, value } = read('{"a":"","b":null,"c":1.0,"d":1}', plain)
  t.equal(schema, null)
  t.strictSame(
    value,
    new Map<string, unknown>([
      ['a', ''],
      ['b', null],
      ['c', 1],
      ['d', 1n],
    ]),
  )
})

t.test('what is not what it should be is refused, and never read as something else', async (t) => {
  const wrong = [
    '{"a":1}',
    '{"schema":null,"payload":1,"more":2}',
    '12',
    '',
    '{"schema":{},"payload":1}',
    '{"schema":{"type":"int7"},"payload":1}',
    '{"schema":{"type":"int8"},"payload":128}',
    '{"schema":{"type":"int32"},"payload":"12"}',
    '{"schema":{"type":"int32"},"payload":1.5}',
    '{"schema":{"type":"int64"},"payload":9223372036854775808}',
    '{"schema":{"type":"boolean"},"payload":"true"}',
    '{"schema":{"type":"string"},"payload":1}',
    '{"schema":{"type":"bytes"},"payload":"&&"}',
    '{"schema":{"type":"array"},"payload":[]}',
    '{"schema":{"type":"struct"},"payload":{}}',
    '{"schema":null,"payload":9223372036854775808}',
    '{"schema":null,"payload":1e400}',
    '{"schema":{"type":"double"},"payload":-1e400}',
    '{"schema":null,"payload":1',
    '{"schema":{"type":"bytes"},"payload":"dGVzdA"}',
    '{"schema":{"type":"int32","name":"org.apache.kafka.connect.data.Date"},"payload":1.0}',
    '{"schema":{"type":"int32","name":"org.apache.kafka.connect.data.Time"},"payload":86400000}',
    '{"schema":{"type":"struct","fields":[{"field":"","type":"int8"}]},"payload":{}}',
    '{"schema":null,"payload":"\\x"}',
    `{"schema":null,"payload":${'['.repeat(5000)}`,
    `{"schema":null,"payload":${'9'.repeat(5000)}}`,
  ]
  for (const text of wrong) t.throws(() => read(text), DataException, text.slice(0, 60))
  t.throws(() => read('{"a":1}'), /set schemas\.enable=false in your converter configuration/)
})

t.test('data to JSON', async (t) => {
  const cases: [Schema | null, unknown, string][] = [
    [primitive('INT8'), 12, '{"schema":{"type":"int8","optional":false},"payload":12}'],
    [
      primitive('FLOAT32'),
      Math.fround(0.1),
      '{"schema":{"type":"float","optional":false},"payload":0.1}',
    ],
    [primitive('FLOAT64'), 12, '{"schema":{"type":"double","optional":false},"payload":12.0}'],
    [
      primitive('BYTES'),
      Buffer.from('test-string'),
      '{"schema":{"type":"bytes","optional":false},"payload":"dGVzdC1zdHJpbmc="}',
    ],
    [
      arrayOf(primitive('STRING')),
      ['a'],
      '{"schema":{"type":"array","items":{"type":"string","optional":false},"optional":false},"payload":["a"]}',
    ],
    [
      mapOf(primitive('INT32'), primitive('INT64')),
      new Map([[1, 12n]]),
      '{"schema":{"type":"map","keys":{"type":"int32","optional":false},"values":{"type":"int64","optional":false},"optional":false},"payload":[[1,12]]}',
    ],
    [
      decimalOf(2),
      new Decimal(156n, 2),
      '{"schema":{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}},"payload":"AJw="}',
    ],
    [
      date(),
      Instant.ofDays(10000),
      '{"schema":{"type":"int32","optional":false,"name":"org.apache.kafka.connect.data.Date","version":1},"payload":10000}',
    ],
    [null, new Map([['a', 1n]]), '{"schema":null,"payload":{"a":1}}'],
    [null, '\u001f😀\\', '{"schema":null,"payload":"\\u001F\\uD83D\\uDE00\\\\"}'],
    [
      null,
      [1e7, 0.0001, 9_999_999, 5e-324],
      '{"schema":null,"payload":[1.0E7,1.0E-4,9999999.0,4.9E-324]}',
    ],
  ]
  for (const [schema, value, text] of cases) t.equal(written(schema, value), text)
  const struct = structOf({ a: primitive('BOOLEAN'), b: primitive('STRING', { optional: true }) })
  t.equal(
    written(struct, new Struct(struct).put('a', true)),
    '{"schema":{"type":"struct","fields":[{"type":"boolean","optional":false,"field":"a"},{"type":"string","optional":true,"field":"b"}],"optional":false},"payload":{"a":true,"b":null}}',
  )
  t.equal(written(null, null), null)
  t.equal(written(time(), new Instant(14400000), plain), '14400000')
  t.equal(written(timestamp(), new Instant(4000000000), plain), '4000000000')
  const numeric = { ...plain, 'decimal.format': 'NUMERIC' }
  t.equal(written(decimalOf(2), new Decimal(156n, 2), numeric), '1.56')
  t.equal(written(decimalOf(4), new Decimal(15600n, 4), numeric), '1.5600')
  t.equal(written(decimalOf(10), new Decimal(1n, 10), numeric), '1E-10')
  t.throws(() => written(null, new Decimal(1n, 0)), DataException, 'a decimal needs its schema')
  t.throws(() => written(primitive('INT8'), 'x'), DataException)
  t.throws(() => written(primitive('INT8'), null), DataException)
  t.throws(() => written(date(), new Instant(1)), DataException)
})

t.test('texts may be long, with quotes and backslashes, and end where they end', async (t) => {
  const text = '\\\\"\\n'.repeat(2_000_000)
  for (const value of [text, '"', '\\', '\\"', ''])
    t.ok(read(JSON.stringify({ a: value }), plain).value instanceof Map)
  t.ok(equalValues(read(JSON.stringify([text]), plain).value, [text]))
  for (const wrong of ['"a', '"\\"', '"a\nb"', '"'])
    t.throws(() => read(wrong, plain), /JSON has a malformed string at position 0/)
  t.throws(() => read('\x1b[31m', plain), /JSON has U\+001B at position 0/, 'nor moves a terminal')
})

t.test('a null becomes the default unless that is switched off', async (t) => {
  const schema = primitive('STRING', { optional: true, defaultValue: 'default' })
  t.equal(written(schema, null, plain), '"default"')
  t.equal(written(schema, null, { ...plain, 'replace.null.with.default': 'false' }), 'null')
  const text = '{"schema":{"type":"string","optional":true,"default":"d"},"payload":null}'
  t.equal(read(text).value, 'd')
  t.equal(read(text, { 'replace.null.with.default': 'false' }).value, null)
})

t.test('schemas of one text are one schema, and the cache forgets the oldest', async (t) => {
  const converter = json({ 'schemas.cache.size': '2' })
  const of = (type: string) =>
    converter.toConnectData('t', Buffer.from(`{"schema":{"type":"${type}"},"payload":1}`)).schema
  const first = of('int8')
  t.equal(of('int8'), first)
  of('int16')
  of('int32')
  t.not(of('int8'), first)
  t.ok(of('int8')?.equals(first), 'and a schema read again equals the one forgotten')
  t.throws(() => json({ 'schemas.cache.size': '0' }), /schemas\.cache\.size/)
  t.throws(() => json({ 'schemas.enable': 'yes' }), /schemas\.enable/)
  t.throws(() => json({ 'decimal.format': 'TEXT' }), /decimal\.format/)
})

t.test('a given schema reads payloads without an envelope', async (t) => {
  const options = { 'schema.content': '{"type":"struct","fields":[{"field":"a","type":"int32"}]}' }
  const { schema, value } = read('{"a":7}', options)
  t.equal(schema?.type, 'STRUCT')
  t.equal((value as Struct).get('a'), 7)
})

t.test("decimals are the shortest two's complement", async (t) => {
  for (const unscaled of [0n, 1n, -1n, 127n, 128n, -128n, -129n, 255n, 256n, -(2n ** 100n)]) {
    const bytes = new Decimal(unscaled, 3).toBytes()
    t.equal(Decimal.fromBytes(bytes, 3).unscaled, unscaled)
    const again = BigInt.asIntN((bytes.length - 1) * 8, unscaled)
    if (bytes.length > 1) t.not(again, unscaled, `${unscaled} fits in no fewer bytes`)
  }
  t.equal(new Decimal(-5n, 3).toString(), '-0.005')
  t.equal(new Decimal(5n, -3).toString(), '5000')
  t.equal(Decimal.parse('-1.50e1').toString(), '-15.0')
  for (const text of ['', '.', '1.2.3', 'x', '1e', '1e999999999'])
    t.throws(() => Decimal.parse(text), DataException, text)
})

t.test('text, bytes, numbers and booleans', async (t) => {
  const text = stringConverter(new Map())
  t.equal(text.fromConnectData('t', null, 12n)?.toString(), '12')
  t.equal(text.fromConnectData('t', null, 'é')?.toString('hex'), 'c3a9')
  const shown: [Schema | null, unknown, string][] = [
    [null, [1n, 'a', null], '[1, a, null]'],
    [
      null,
      new Map<string, unknown>([
        ['a', 1e10],
        ['b', [true]],
      ]),
      '{a=1.0E10, b=[true]}',
    ],
    [primitive('FLOAT32'), Math.fround(1.1), '1.1'],
    [arrayOf(primitive('INT32')), [1], '[1]'],
    [timestamp(), new Instant(0), '1970-01-01T00:00:00.000Z'],
    [decimalOf(-3), new Decimal(5n, -3), '5E+3'],
  ]
  for (const [schema, value, expected] of shown)
    t.equal(text.fromConnectData('t', schema, value)?.toString(), expected)
  const holder = structOf({ list: arrayOf(primitive('FLOAT64')), n: primitive('INT8') })
  const held = new Struct(holder).put('list', [1]).put('n', 2)
  t.equal(text.fromConnectData('t', holder, held)?.toString(), 'Struct{list=[1.0],n=2}')
  t.equal(text.fromConnectData('t', null, Buffer.from('abc'))?.toString(), 'YWJj')
  t.equal(text.fromConnectData('t', null, null), null)
  t.equal(text.toConnectData('t', Buffer.from('é')).value, 'é')
  t.equal(text.toConnectData('t', null).schema?.isOptional, true)
  const latin = stringConverter(new Map([['converter.encoding', 'ISO-8859-1']]))
  t.equal(latin.fromConnectData('t', null, 'é')?.toString('hex'), 'e9')
  t.equal(latin.fromConnectData('t', null, '😀')?.toString(), '?')
  const wide = stringConverter(new Map([['converter.encoding', 'UTF-16LE']]))
  t.equal(wide.toConnectData('t', Buffer.of(97, 0, 98)).value, 'a\ufffd')
  t.throws(() => stringConverter(new Map([['converter.encoding', 'EBCDIC']])), /EBCDIC/)

  const bytes = byteArrayConverter()
  t.equal(bytes.toConnectData('t', Buffer.of(1, 2)).value?.toString(), '\u0001\u0002')
  t.throws(() => bytes.fromConnectData('t', null, 'x'), DataException)
  t.throws(() => bytes.fromConnectData('t', primitive('INT8'), Buffer.of(1)), DataException)

  const cases = [
    ['INT16', -2, 'fffe'],
    ['INT32', 258, '00000102'],
    ['INT64', -1n, 'ffffffffffffffff'],
    ['FLOAT32', 1, '3f800000'],
    ['FLOAT64', 1, '3ff0000000000000'],
    ['BOOLEAN', true, '01'],
  ] as const
  for (const [type, value, hex] of cases) {
    const converter = primitiveConverter(type)
    t.equal(converter.fromConnectData('t', primitive(type), value)?.toString('hex'), hex)
    t.throws(() => converter.fromConnectData('t', primitive('INT8'), 1), DataException)
    t.equal(converter.toConnectData('t', Buffer.from(hex, 'hex')).value, value)
    t.equal(converter.toConnectData('t', null).value, null)
    t.throws(() => converter.fromConnectData('t', null, 'x'), DataException)
    t.throws(() => converter.toConnectData('t', Buffer.alloc(3)), DataException)
  }
  const short = primitiveConverter('INT16')
  t.equal(short.fromConnectData('t', null, 258n)?.toString('hex'), '0102')
  for (const value of [2n ** 15n, 100, true])
    t.throws(() => short.fromConnectData('t', null, value), DataException, String(value))
  const optionalText = primitive('STRING', { optional: true })
  t.equal(short.fromConnectData('t', optionalText, null), null)
  t.throws(
    () => primitiveConverter('BOOLEAN').fromConnectData('t', optionalText, null),
    DataException,
  )
  t.throws(() => primitiveConverter('BOOLEAN').toConnectData('t', Buffer.of(2)), DataException)
})

t.test('headers as texts, whose type is found by looking', async (t) => {
  const { converter } = headerConverterOf(new Map(), new Map())
  const read = (text: string) => converter.toConnectHeader('t', Buffer.from(text))
  const cases: [string, string | null, unknown][] = [
    ['null', null, null],
    ['-129', 'INT16', -129],
    ['3.4e38', 'FLOAT32', Math.fround(3.4e38)],
    ['1e40', 'FLOAT64', 1e40],
    ['1e-400', 'FLOAT32', 0],
    ['1e309', 'BYTES', new Decimal(1n, -309)],
    ['9223372036854775808', 'BYTES', new Decimal(2n ** 63n, 0)],
    ['2017-01-03', 'INT32', Instant.ofDays(17_169)],
    ['[1, 300,]', 'ARRAY', [1, 300]],
    ['[1.5,2]', 'ARRAY', [1.5, 2]],
    ['[1,99999999999]', 'ARRAY', [1n, 99_999_999_999n]],
    ['[2017-01-03]', 'ARRAY', [Instant.ofDays(17_169)]],
    ['[1,"a"]', null, [1n, 'a']],
    ['{1:"x"}', 'MAP', new Map([[1, 'x']])],
    ['{"a\\"b":[]}', null, new Map([['a"b', []]])],
    [
      '{1:1,"a":2}',
      null,
      new Map<unknown, unknown>([
        [1n, 1n],
        ['a', 2n],
      ]),
    ],
    ['[1]x', 'STRING', '[1]x'],
    ['[a]', 'STRING', '[a]'],
    ['1,5', 'STRING', '1,5'],
    ['\u00a01', 'STRING', '\u00a01'],
    [`${'['.repeat(5000)}`, 'STRING', '['.repeat(5000)],
  ]
  for (const [text, type, value] of cases) {
    const found = read(text)
    t.equal(found.schema?.type ?? null, type, text.slice(0, 40))
    t.ok(equalValues(found.value, value), text.slice(0, 40))
  }
  const written: [Schema | null, unknown, string][] = [
    [primitive('FLOAT64'), 1e10, '1.0E10'],
    [primitive('FLOAT32'), Math.fround(1.1), '1.1'],
    [primitive('BYTES'), Buffer.from('test'), 'dGVzdA=='],
    [null, [Buffer.from('test'), 1], '["dGVzdA==",1.0]'],
    [mapOf(primitive('INT32'), primitive('STRING')), new Map([[1, 'x']]), '{1:"x"}'],
  ]
  for (const [schema, value, text] of written)
    t.equal(converter.fromConnectHeader('t', schema, value)?.toString(), text)
})

t.test('headers by any converter that asks nobody, with its own options', async (t) => {
  const worker = new Map([
    ['header.converter', 'JsonConverter'],
    ['header.converter.schemas.enable', 'false'],
  ])
  const { converter } = headerConverterOf(new Map(), worker)
  t.equal(converter.fromConnectHeader('t', null, [1n])?.toString(), '[1]')
  const own = headerConverterOf(new Map([['header.converter', 'LongConverter']]), worker)
  t.equal(own.converter.toConnectHeader('t', Buffer.alloc(8)).value, 0n)
  t.throws(() => headerConverterOf(new Map([['header.converter', 'None']]), worker), /None/)
})

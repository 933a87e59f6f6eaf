/** Kafka Connect's transformations and predicates: what they make of records, and what they refuse. */
import t from 'tap'
import { ConfigError } from '../../src/config/definition.ts'
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
import { Processing, Tolerance } from '../../src/connect/errors/tolerance.ts'
import { DataException } from '../../src/connect/failures.ts'
import { Decimal, Instant } from '../../src/connect/logical.ts'
import { Plugins } from '../../src/connect/plugins.ts'
import type { ConnectRecord, SinkRecord } from '../../src/connect/records.ts'
import { TransformChain } from '../../src/connect/transforms/chain.ts'
import { DateFormat } from '../../src/connect/transforms/date-format.ts'
import { transformations } from '../../src/connect/transforms/known-transforms.ts'
import { predicates } from '../../src/connect/transforms/predicates.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'

const plugins = new Plugins([...transformations, ...predicates])
const INT8 = primitive('INT8')
const INT32 = primitive('INT32')
const INT64 = primitive('INT64')
const STRING = primitive('STRING')
const optionalString = primitive('STRING', { optional: true })

function record(value: unknown, schema: Schema | null = null, more: object = {}): SinkRecord {
  return {
    topic: 'test',
    kafkaPartition: 3,
    kafkaOffset: 42,
    originalTopic: 'test',
    originalKafkaPartition: 3,
    originalKafkaOffset: 42,
    keySchema: null,
    key: null,
    valueSchema: schema,
    value,
    timestamp: 1_483_425_001_864,
    headers: [],
    ...more,
  }
}

function made(name: string, settings: Readonly<Record<string, string>>) {
  const plugin = plugins.transformation(name)
  if (plugin === undefined) throw new Error(`no ${name}`)
  return plugin.create(new Map(Object.entries(settings)))
}

const structIn = (schema: Schema, values: object) => {
  const struct = new Struct(schema)
  for (const [name, value] of Object.entries(values)) struct.put(name, value)
  return struct
}
const struct = (fields: Record<string, Schema>, values: object) => {
  const schema = structOf(fields)
  return record(structIn(schema, values), schema)
}

/** What a struct holds, by name. */
const fieldsOf = (made: ConnectRecord | null) => {
  const value = made?.value as Struct
  return Object.fromEntries(value.schema.fields.map(({ name }) => [name, value.get(name)]))
}
const plain = (value: object) => record(new Map(Object.entries(value)))
const entriesOf = (made: ConnectRecord | null) =>
  Object.fromEntries(made?.value as Map<string, unknown>)

t.test('there are all of them', async (t) => {
  t.strictSame([...plugins.transformations.keys()].map((name) => name.replace(/.*\./, '')).sort(), [
    'Cast$Key',
    'Cast$Value',
    'DropHeaders',
    'ExtractField$Key',
    'ExtractField$Value',
    'Filter',
    'Flatten$Key',
    'Flatten$Value',
    'HeaderFrom$Key',
    'HeaderFrom$Value',
    'HoistField$Key',
    'HoistField$Value',
    'InsertField$Key',
    'InsertField$Value',
    'InsertHeader',
    'MaskField$Key',
    'MaskField$Value',
    'RegexRouter',
    'ReplaceField$Key',
    'ReplaceField$Value',
    'SetSchemaMetadata$Key',
    'SetSchemaMetadata$Value',
    'TimestampConverter$Key',
    'TimestampConverter$Value',
    'TimestampRouter',
    'ValueToKey',
  ])
})

t.test('Cast', async (t) => {
  const whole = (type: string, value: unknown, schema: Schema | null = null) =>
    made('Cast$Value', { spec: type })(record(value, schema))?.value
  const cases: [string, unknown, Schema | null, unknown][] = [
    ['int8', 300, INT32, 44],
    ['int8', 70_000n, INT64, 112],
    ['int32', 4_294_967_298n, INT64, 2],
    ['int32', 1e12, primitive('FLOAT64'), 2_147_483_647],
    ['int32', -1.9, primitive('FLOAT64'), -1],
    ['int64', 12.7, primitive('FLOAT64'), 12n],
    ['int64', '-9223372036854775808', STRING, -9_223_372_036_854_775_808n],
    ['int16', true, primitive('BOOLEAN'), 1],
    ['float32', 0.1, primitive('FLOAT64'), Math.fround(0.1)],
    ['float64', '1.5', STRING, 1.5],
    ['float64', ' -2.5E3d ', STRING, -2500],
    ['float64', '-Infinity', STRING, Number.NEGATIVE_INFINITY],
    ['boolean', 0.7, primitive('FLOAT64'), false],
    ['boolean', 2n, INT64, true],
    ['boolean', 'TRUE', STRING, true],
    ['string', 12n, INT64, '12'],
    ['string', 42, primitive('FLOAT64'), '42.0'],
    ['string', Buffer.from('test'), primitive('BYTES'), 'dGVzdA=='],
    ['string', new Instant(1_483_425_001_864), timestamp(), '2017-01-03T06:30:01.864Z'],
    ['int64', new Instant(4_000_000_000), timestamp(), 4_000_000_000n],
    ['int32', Instant.ofDays(10_000), date(), 10_000],
    ['string', 1.5, null, '1.5'],
    ['int32', 7n, null, 7n],
    ['int8', 300n, null, 44n],
    ['float32', 1.1, null, 1.1],
    ['string', 1e10, primitive('FLOAT64'), '1.0E10'],
    ['string', Math.fround(0.0001), primitive('FLOAT32'), '1.0E-4'],
    ['string', new Decimal(5n, -3), decimalOf(-3), '5E+3'],
    ['int8', new Decimal(10n ** 30n, 2), decimalOf(2), 0],
  ]
  for (const [type, value, schema, expected] of cases) {
    t.equal(whole(type, value, schema), expected, `${String(value)} as ${type}`)
  }
  t.throws(() => whole('int8', '128', STRING), DataException)
  for (const text of ['0x1F', '0b1', '1_000', '', 'x', '--1', '1e', '.', 'NaNf'])
    t.throws(() => whole('float64', text, STRING), /out of range/, `${text} is no number`)
  t.throws(() => whole('int32', 'x', STRING), /out of range for requested data type/)
  t.throws(() => whole('int32', Buffer.from('x'), primitive('BYTES')), DataException)
  t.throws(() => whole('string', new Map(), null), /does not support casting from MAP/)
  for (const spec of ['int32,a:int8', 'a:b:c', 'a:bytes', 'nothing', ''])
    t.throws(() => made('Cast$Value', { spec }), ConfigError, spec)
  const cast = made('Cast$Value', { spec: 'a:int8,b:string,e:boolean' })
  const fields = { a: INT64, b: primitive('BOOLEAN', { optional: true }), c: STRING, e: INT32 }
  const result = cast(struct(fields, { a: 257n, b: null, c: 'c', e: 0 }))
  t.strictSame(fieldsOf(result), { a: 1, b: null, c: 'c', e: false })
  t.equal(result?.valueSchema?.field('b')?.schema.isOptional, true)
  const shared = structOf(fields)
  const schemas = [1n, 2n].map(
    (a) => cast(record(structIn(shared, { a, c: '', e: 1 }), shared))?.valueSchema,
  )
  t.equal(schemas[0], schemas[1], 'of one schema one is made')
  t.strictSame(entriesOf(cast(plain({ a: 300n, c: 1n }))), { a: 44n, c: 1n, b: null, e: null })
  t.equal(cast(record(null, structOf(fields)))?.value, null)
})

t.test('Flatten', async (t) => {
  const inner = structOf({ int8: INT8, list: arrayOf(STRING) }, { optional: true })
  const outer = structOf({ A: structOf({ B: inner, c: STRING }) })
  const nested = structIn(outer, {
    A: structIn(outer.field('A')!.schema, { B: structIn(inner, { int8: 8, list: ['x'] }), c: 'c' }),
  })
  const flat = made('Flatten$Value', {})(record(nested, outer))
  t.strictSame(fieldsOf(flat), { 'A.B.int8': 8, 'A.B.list': ['x'], 'A.c': 'c' })
  t.equal(flat?.valueSchema?.field('A.B.int8')?.schema.isOptional, true, 'as its parent')
  const hash = made('Flatten$Value', { delimiter: '#' })
  t.strictSame(Object.keys(fieldsOf(hash(record(nested, outer)))), ['A#B#int8', 'A#B#list', 'A#c'])
  const maps = plain({ A: new Map<string, unknown>([['B', new Map([['int8', 8n]])]]), n: null })
  t.strictSame(entriesOf(hash(maps)), { 'A#B#int8': 8n, n: null })
  t.throws(() => hash(record(12n)), /Only Map objects supported/)
  t.throws(() => hash(record(new Map([[1n, 'x']]))), DataException, 'keys are names')
  t.throws(() => hash(record(12, INT32)), /Only Struct objects supported/)
  t.throws(() => hash(struct({ m: mapOf(STRING, STRING) }, { m: new Map() })), /not support MAP/)
  t.equal(hash(record(null, outer))?.value, null)
})

t.test('fields: extract, hoist, insert, mask, replace, to the key', async (t) => {
  const extract = made('ExtractField$Value', { field: 'magic' })
  const extracted = extract(struct({ magic: INT32 }, { magic: 42 }))
  t.equal(extracted?.value, 42)
  t.equal(extracted?.valueSchema, INT32)
  t.equal(extract(record(null))?.value, null)
  t.equal(extract(plain({ other: 1n }))?.value, null)
  t.throws(() => extract(struct({ other: INT32 }, { other: 1 })), /Unknown field: magic/)
  t.throws(() => extract(record('text')), DataException)
  const path = { field: 'a.`b.c`.d', 'field.syntax.version': 'v2' }
  const deep = new Map([['a', new Map([['b.c', new Map([['d', 'found']])]])]])
  t.equal(made('ExtractField$Value', path)(record(deep))?.value, 'found')
  t.throws(() => made('ExtractField$Value', { ...path, field: '`a' }), /Incomplete backtick/)

  const hoist = made('HoistField$Key', { field: 'magic' })
  t.strictSame(hoist(record(null, null, { key: 42n }))?.key, new Map([['magic', 42n]]))
  const hoisted = hoist(record(null, null, { key: 42, keySchema: INT32 }))
  t.equal((hoisted!.key as Struct).get('magic'), 42)

  const insert = made('InsertField$Value', {
    'topic.field': 'topic!',
    'partition.field': 'p',
    'offset.field': 'o?',
    'timestamp.field': 'ts',
    'static.field': 's',
    'static.value': 'fixed',
  })
  const inserted = insert(struct({ magic: INT64 }, { magic: 42n }))
  t.ok(
    equalValues(
      new Map(Object.entries(fieldsOf(inserted))),
      new Map<string, unknown>([
        ['magic', 42n],
        ['topic', 'test'],
        ['p', 3],
        ['o', 42n],
        ['ts', new Instant(1_483_425_001_864)],
        ['s', 'fixed'],
      ]),
    ),
  )
  t.equal(inserted?.valueSchema?.field('topic')?.schema.isOptional, false)
  t.equal(inserted?.valueSchema?.field('p')?.schema.isOptional, true)
  t.strictSame(entriesOf(insert(plain({ magic: 1n }))), {
    magic: 1n,
    topic: 'test',
    p: 3n,
    o: 42n,
    ts: 1_483_425_001_864n,
    s: 'fixed',
  })
  t.equal(insert(record(null))?.value, null)
  t.throws(() => made('InsertField$Value', {}), /No field insertion configured/)
  t.throws(() => made('InsertField$Value', { 'static.field': 'x' }), ConfigError)

  const maskable = {
    i: INT32,
    l: INT64,
    s: STRING,
    b: primitive('BOOLEAN'),
    a: arrayOf(INT32),
    m: mapOf(STRING, STRING),
    d: decimalOf(2),
    t: timestamp(),
    kept: STRING,
  }
  const given = {
    i: 1,
    l: 2n,
    s: 'x',
    b: true,
    a: [1],
    m: new Map([['k', 'v']]),
    d: new Decimal(156n, 2),
    t: new Instant(1),
    kept: 'kept',
  }
  const mask = made('MaskField$Value', { fields: 'i,l,s,b,a,m,d,t' })
  const hidden = fieldsOf(mask(struct(maskable, given)))
  t.match(hidden, { i: 0, l: 0n, s: '', b: false, a: [], kept: 'kept' })
  t.equal((hidden['m'] as Map<string, string>).size, 0)
  t.equal(String(hidden['d']), '0.00')
  const replace = made('MaskField$Value', { fields: 'i,l,s', replacement: '7' })
  t.match(fieldsOf(replace(struct(maskable, given))), { i: 7, l: 7n, s: '7' })
  const wide = made('MaskField$Value', { fields: 'i,l', replacement: '-4294967297.5' })
  t.match(fieldsOf(wide(struct(maskable, given))), { i: -1, l: -4_294_967_297n }, 'as casts do')
  const refuse = made('MaskField$Value', { fields: 'b', replacement: '7' })
  t.throws(() => refuse(struct(maskable, given)), /Cannot mask value of type boolean/)
  const noNumber = made('MaskField$Value', { fields: 'i', replacement: 'x' })
  t.throws(() => noNumber(struct(maskable, given)), /Unable to convert x/)

  const rename = made('ReplaceField$Value', {
    exclude: 'gone',
    renames: 'old:new,both:swapped',
  })
  const fields = { gone: STRING, old: STRING, both: INT32, rest: STRING }
  const values = { gone: 'g', old: 'o', both: 1, rest: 'r' }
  const expected = { new: 'o', swapped: 1, rest: 'r' }
  t.strictSame(fieldsOf(rename(struct(fields, values))), expected)
  t.strictSame(entriesOf(rename(plain(values))), expected)
  const include = made('ReplaceField$Value', { include: 'old,both', exclude: 'old' })
  t.strictSame(fieldsOf(include(struct(fields, values))), { both: 1 })
  for (const renames of ['a:b:c', 'a', 'a:'])
    t.throws(() => made('ReplaceField$Value', { renames }), /Invalid rename mapping/)

  const toKey = made('ValueToKey', { fields: 'a,b' })
  const keyed = toKey(struct({ a: INT32, b: INT32, c: INT32 }, { a: 1, b: 2, c: 3 }))
  t.equal(String(keyed?.key), 'Struct{a=1,b=2}')
  t.strictSame(
    toKey(plain({ a: 1n, b: 2n, c: 3n }))?.key,
    new Map([
      ['a', 1n],
      ['b', 2n],
    ]),
  )
  t.throws(() => toKey(struct({ a: INT32 }, { a: 1 })), /Field does not exist: b/)
  const twice = made('ValueToKey', { fields: 'a,a' })(struct({ a: INT32 }, { a: 1 }))
  t.equal(String(twice?.key), 'Struct{a=1}')
  t.throws(() => made('ValueToKey', {}), ConfigError)
  t.throws(
    () => made('HoistField$Key', { field: '' })(record(null, null, { key: 1, keySchema: INT32 })),
    /fieldName/,
  )
})

t.test('defaults take the place of nulls, unless they are not to', async (t) => {
  const schema = structOf({ magic: primitive('STRING', { optional: true, defaultValue: 'old' }) })
  const given = record(structIn(schema, { magic: null }), schema)
  const results = (name: string, settings: Record<string, string>, of: string) =>
    ['true', 'false'].map((withDefault) => {
      const all = { ...settings, 'replace.null.with.default': withDefault }
      const value = made(name, all)(given)?.value
      return value instanceof Struct ? value.getWithoutDefault(of) : value
    })
  t.strictSame(results('ExtractField$Value', { field: 'magic' }, ''), ['old', null])
  t.strictSame(results('InsertField$Value', { 'topic.field': 'x' }, 'magic'), ['old', null])
  t.strictSame(results('ReplaceField$Value', { renames: 'magic:new' }, 'new'), ['old', null])
  t.strictSame(results('MaskField$Value', { fields: 'magic' }, 'magic'), ['', null])
  t.strictSame(results('SetSchemaMetadata$Value', { 'schema.name': 'n' }, 'magic'), ['old', null])
})

t.test('SetSchemaMetadata', async (t) => {
  const set = made('SetSchemaMetadata$Value', { 'schema.name': 'foo', 'schema.version': '42' })
  const named = set(struct({ f: STRING }, { f: 'x' }))
  t.match(named?.valueSchema, { name: 'foo', version: 42 })
  t.ok((named!.value as Struct).schema.equals(named?.valueSchema ?? null))
  t.match(set(record([1], arrayOf(INT32)))?.valueSchema, { name: 'foo', type: 'ARRAY' })
  t.equal(set(record(null))?.value, null)
  t.throws(() => set(record('x')), /Schema required/)
  t.throws(() => made('SetSchemaMetadata$Value', {}), /Neither schema name nor version/)
})

t.test('headers and routes', async (t) => {
  const route = (regex: string, replacement: string, topic: string) =>
    made('RegexRouter', { regex, replacement })(record(null, null, { topic }))?.topic
  t.equal(route('(.*)-(\\d{8})', '$1', 'index-20160117'), 'index')
  t.equal(route('.*', 'static', 'orig'), 'static')
  t.equal(route('(.*)', 'prefix-$1', 'orig'), 'prefix-orig')
  t.equal(route('(?<name>.*)', '${name}-$0-\\$1', 'orig'), 'orig-orig-$1')
  t.equal(route('foo', 'bar', 'orig'), 'orig')
  const patterns: [string, string, string, string][] = [
    ['(?i)ORIG', 'x', 'orig', 'x'],
    ['\\p{Lower}+', 'x', 'orig', 'x'],
    ['\\P{Upper}+', 'x', 'orig', 'x'],
    ['\\p{L}+', 'x', 'origé', 'x'],
    ['\\Qa.b\\E', 'x', 'a.b', 'x'],
    ['\\Qa.b\\E', 'x', 'a-b', 'a-b'],
    ['\\Aorig\\z', 'x', 'orig', 'x'],
    ['[\\p{Alpha}_-]+', 'x', 'a_b-c', 'x'],
    ['(.*)', '$12', 'orig', 'orig2'],
    ['(a)?.*', '<$1>', 'b', '<>'],
    ['(.*)', '$1\\\\', 'orig', 'orig\\'],
  ]
  for (const [regex, replacement, topic, routed] of patterns)
    t.equal(route(regex, replacement, topic), routed, `${regex} to ${replacement}`)
  for (const regex of ['(', '.*+', '[a-z&&[^t]]', '(?x)a', '\\R', '\\p{Nothing}', '\\x{41}'])
    t.throws(() => made('RegexRouter', { regex, replacement: '' }), ConfigError, regex)
  for (const replacement of ['$3', '$', '${none}', '\\', "$'"])
    t.throws(() => made('RegexRouter', { regex: '(.*)', replacement }), ConfigError, replacement)
  t.equal(made('TimestampRouter', {})(record(null))?.topic, 'test-20170103')
  const format = { 'topic.format': '${timestamp}.${topic}', 'timestamp.format': "yyyy'Q'MM" }
  t.equal(made('TimestampRouter', format)(record(null))?.topic, '2017Q01.test')
  t.throws(() => made('TimestampRouter', {})(record(null, null, { timestamp: null })), /missing/)
  t.throws(() => made('TimestampRouter', { 'timestamp.format': 'b' }), /Illegal pattern character/)

  const headers = [
    { key: 'one', schema: STRING, value: '1' },
    { key: 'two', schema: STRING, value: '2' },
    { key: 'one', schema: STRING, value: '3' },
  ]
  const dropped = made('DropHeaders', { headers: 'one,none' })(record(null, null, { headers }))
  t.strictSame(dropped?.headers, [headers[1]])
  const added = made('InsertHeader', { header: 'n', 'value.literal': '300' })(record(null))
  t.match(added?.headers, [{ key: 'n', schema: { type: 'INT16' }, value: 300 }])
  const move = { fields: 'a,b', headers: 'x,y', operation: 'move' }
  const moved = made(
    'HeaderFrom$Value',
    move,
  )(struct({ a: STRING, b: INT32, c: INT32 }, { a: 'a', b: 1, c: 2 }))
  t.match(moved?.headers, [
    { key: 'x', schema: STRING, value: 'a' },
    { key: 'y', schema: INT32, value: 1 },
  ])
  t.strictSame(fieldsOf(moved), { c: 2 })
  const copied = made('HeaderFrom$Value', { ...move, operation: 'copy' })(plain({ a: 1n }))
  t.strictSame(
    copied?.headers.map(({ value }) => value),
    [1n, null],
  )
  t.strictSame(entriesOf(copied), { a: 1n })
  t.throws(() => made('HeaderFrom$Value', { ...move, headers: 'x' }), /same number of elements/)
})

t.test('TimestampConverter', async (t) => {
  const at = 1_483_425_001_864
  const pattern = 'yyyy-MM-dd HH:mm:ss.SSS z'
  const text = '2017-01-03 06:30:01.864 UTC'
  const convert = (target: string, value: unknown, schema: Schema | null, more = {}) =>
    made('TimestampConverter$Value', { 'target.type': target, format: pattern, ...more })(
      record(value, schema),
    )
  const shown = (made: ConnectRecord | null) => {
    const value = made?.value
    return value instanceof Instant ? value.epochMs : value
  }
  const forms: [string, unknown, Schema, unknown][] = [
    ['string', text, STRING, text],
    ['unix', BigInt(at), INT64, BigInt(at)],
    ['Timestamp', new Instant(at), timestamp(), at],
  ]
  for (const [from, value, schema] of forms)
    for (const [to, , target, expected] of forms)
      for (const of of [schema, null]) {
        const made = convert(to, value, of)
        t.equal(shown(made), expected, `${from} to ${to}`)
        if (of !== null) t.ok(target.equals(made?.valueSchema ?? null))
      }
  t.equal(shown(convert('Date', BigInt(at), INT64)), 1_483_401_600_000)
  t.equal(shown(convert('Time', BigInt(at), INT64)), 23_401_864)
  t.ok(time().equals(convert('Time', BigInt(at), INT64)?.valueSchema ?? null))
  const precise = (precision: string) => ({ 'unix.precision': precision })
  t.equal(shown(convert('unix', new Instant(at), timestamp(), precise('seconds'))), 1_483_425_001n)
  t.equal(
    shown(convert('unix', new Instant(at), timestamp(), precise('nanoseconds'))),
    1_483_425_001_864_000_000n,
  )
  t.equal(shown(convert('Timestamp', 1_483_425_001n, null, precise('seconds'))), 1_483_425_001_000)
  const field = convert(
    'unix',
    structIn(structOf({ ts: STRING, o: INT32 }), { ts: text, o: 1 }),
    structOf({ ts: STRING, o: INT32 }),
    { field: 'ts' },
  )
  t.strictSame(fieldsOf(field), { ts: BigInt(at), o: 1 })
  t.equal(convert('unix', null, optionalString)?.value, null)
  t.throws(() => convert('unix', 'yesterday', STRING), /does not match pattern/)
  t.throws(() => convert('unix', true, null), /does not support boolean/)
  t.throws(() => convert('unix', true, primitive('BOOLEAN')), /known timestamp type format/)
  t.throws(() => convert('unix', null, optionalString, { field: 'ts' }), /non-struct/)
  const nanoseconds = precise('nanoseconds')
  t.throws(() => convert('unix', new Instant(1e15), timestamp(), nanoseconds), /range of INT64/)
  t.throws(() => made('TimestampConverter$Value', { 'target.type': 'string' }), /requires format/)
  t.throws(() => made('TimestampConverter$Value', { 'target.type': 'odd' }), ConfigError)
})

t.test('date patterns', async (t) => {
  const at = new Instant(Date.UTC(2024, 1, 29, 17, 5, 6, 78))
  const cases: [string, string][] = [
    ['yyyy/MM/dd', '2024/02/29'],
    ['EEE, d MMM yyyy HH:mm:ss Z', 'Thu, 29 Feb 2024 17:05:06 +0000'],
    ['EEEE MMMM', 'Thursday February'],
    ["h 'o''clock' a", "5 o'clock PM"],
    ['yyMMddHHmmssSSS', '240229170506078'],
    ["yyyy-MM-dd'T'HH:mm:ss.SSSX", '2024-02-29T17:05:06.078Z'],
    ['D k K u', '60 17 5 4'],
    ["YYYY-'W'ww W F G L zzzz", '2024-W09 5 5 AD 2 Coordinated Universal Time'],
  ]
  for (const [pattern, text] of cases) t.equal(new DateFormat(pattern).format(at), text)
  for (const index of [1, 4, 5]) {
    const [pattern, text] = cases[index]!
    const parsed = new DateFormat(pattern).parse(text).epochMs
    t.equal(parsed, index === 1 ? at.epochMs - 78 : at.epochMs, pattern)
  }
  t.equal(new DateFormat('yyyy-MM-dd').parse('2023-13-01 and more').epochMs, Date.UTC(2024, 0, 1))
  t.equal(new DateFormat('YYYY-ww').format(new Instant(Date.UTC(2024, 11, 30))), '2025-01')
  const read: [string, string, number][] = [
    ['HH:mm Z', '01:00 +0200', -3_600_000],
    ['HH:mm z', '01:00 GMT+02:00', -3_600_000],
    ['HH:mm X', '01:00 +02', -3_600_000],
    ['HH:mm XXX', '01:00 -02:30', 12_600_000],
    ['s', '1483425001', 1_483_425_001_000],
    ['hh:mm a', '12:30 am', 1_800_000],
    ['hh:mm a', '13:00 PM', 90_000_000],
    ['yyyy/M/d', '0017/1/3', -61_630_502_400_000],
    ['yyyy/M/d', '17/1/3', -61_630_502_400_000],
    ['yy/M/d', '17/1/3', Date.UTC(2017, 0, 3)],
    ['yyyy-MM-dd HH', '2017-01-03   6', Date.UTC(2017, 0, 3, 6)],
  ]
  for (const [pattern, text, ms] of read)
    t.equal(new DateFormat(pattern).parse(text).epochMs, ms, `${text} as ${pattern}`)
  for (const [pattern, text] of [
    ['HH:mm Z', '01:00 +02:00'],
    ['HH:mm XX', '01:00 +02'],
    ['YYYY-ww', '2024-09'],
  ] as const)
    t.throws(() => new DateFormat(pattern).parse(text), DataException, `${text} as ${pattern}`)
  t.throws(() => new DateFormat('XXXX'), /invalid ISO 8601/)
  t.throws(() => new DateFormat("'open"), /Unterminated/)
})

t.test('chains, and for which records', async (t) => {
  const environment = createNodeEnvironment({ log: { level: 'silent' } })
  const options = { toleratesAll: true, retryTimeoutMs: 0, retryDelayMaxMs: 1 }
  const run = async (settings: Readonly<Record<string, string>>, given: ConnectRecord) => {
    const chain = new TransformChain(plugins, new Map(Object.entries(settings)))
    const processing = new Processing(given)
    const tolerance = new Tolerance<ConnectRecord>(environment, options, [])
    return chain.apply(tolerance, processing, given)
  }
  const filtering = {
    transforms: 'drop',
    'transforms.drop.type': 'org.apache.kafka.connect.transforms.Filter',
  }
  t.equal(await run(filtering, record('x')), null)
  const predicated = (type: string, more: object) => ({
    ...filtering,
    predicates: 'p',
    'transforms.drop.predicate': 'p',
    'predicates.p.type': type,
    ...more,
  })
  const isKept = async (type: string, more: object, given: ConnectRecord) =>
    (await run(predicated(type, more) as Record<string, string>, given)) !== null
  t.equal(await isKept('RecordIsTombstone', {}, record(null)), false)
  t.equal(await isKept('RecordIsTombstone', {}, record('x')), true)
  t.equal(
    await isKept('RecordIsTombstone', { 'transforms.drop.negate': 'true' }, record('x')),
    false,
  )
  const pattern = { 'predicates.p.pattern': 'te.*' }
  t.equal(await isKept('TopicNameMatches', pattern, record('x')), false)
  t.equal(await isKept('TopicNameMatches', { 'predicates.p.pattern': 'te' }, record('x')), true)
  const headers = [{ key: 'h', schema: null, value: 1n }]
  const name = { 'predicates.p.name': 'h' }
  t.equal(await isKept('HasHeaderKey', name, record('x', null, { headers })), false)
  t.equal(await isKept('HasHeaderKey', name, record('x')), true)
  const two = {
    transforms: 'hoist, route',
    'transforms.hoist.type': 'HoistField$Value',
    'transforms.hoist.field': 'line',
    'transforms.route.type': 'RegexRouter',
    'transforms.route.regex': '(.*)',
    'transforms.route.replacement': 'to-$1',
  }
  t.match(await run(two, record('x')), { topic: 'to-test', value: new Map([['line', 'x']]) })
  const refused: [Record<string, string>, string][] = [
    [{ transforms: 'a' }, 'transforms.a.type'],
    [{ ...filtering, transforms: 'drop,drop' }, 'transforms'],
    [{ transforms: 'a', 'transforms.a.type': 'Nope' }, 'transforms.a.type'],
    [{ transforms: 'a', 'transforms.a.type': 'HoistField$Value' }, 'transforms.a.field'],
    [{ ...filtering, 'transforms.drop.negate': 'true' }, 'transforms.drop.negate'],
    [{ ...filtering, 'transforms.drop.predicate': 'p' }, 'transforms.drop.predicate'],
  ]
  for (const [settings, setting] of refused) {
    const error = await run(settings, record('x')).catch((refusal: unknown) => refusal)
    t.match(error, { name: 'ConfigError', setting }, setting)
  }
})

/** Values with and without schemas, of every type and at the ends of each, that all cases draw from. */
import {
  arrayOf,
  date,
  decimalOf,
  mapOf,
  primitive,
  type Schema,
  type SchemaAndValue,
  Struct,
  structOf,
  time,
  timestamp,
} from '../../../src/connect/data.ts'
import { Decimal, Instant } from '../../../src/connect/logical.ts'
import type { ConnectRecord, SinkRecord } from '../../../src/connect/records.ts'

const at = 1_483_425_001_864
const of = (schema: Schema | null, ...values: unknown[]): SchemaAndValue[] =>
  values.map((value) => ({ schema, value }))

const optional = { optional: true } as const
export const int32 = primitive('INT32')
export const text = primitive('STRING')

export const integers: readonly SchemaAndValue[] = [
  ...of(primitive('INT8'), 0, 12, -128, 127),
  ...of(primitive('INT16'), 300, -32_768),
  ...of(int32, 0, 42, 70_000, -1, 2_147_483_647, -2_147_483_648),
  ...of(primitive('INT64'), 0n, 2n, 4_294_967_298n, 9_223_372_036_854_775_807n, -1n, BigInt(at)),
  ...of(null, 0n, 7n, 300n, -9_223_372_036_854_775_808n, BigInt(at)),
]

const doubles = [
  ...[0, -0, 1, 12.24, -1.9, 0.1, 1e7, 9_999_999, 1e10, 1.5e12, 0.001, 0.0001, 1.5e-7, 1e21],
  ...[1.234e300, -1e-300, 123_456_789.125, 100, 1e6, 4.9e-324, 1.7976931348623157e308],
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
]
export const floats: readonly SchemaAndValue[] = [
  ...of(primitive('FLOAT64'), ...doubles),
  ...of(null, ...doubles),
  ...of(
    primitive('FLOAT32'),
    ...[0, -0, 1, 12.24, -1.9, 0.1, 1e7, 1e10, 0.001, 0.0001, 1e21, 3.4028234663852886e38].map(
      Math.fround,
    ),
    ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  ),
]

export const texts: readonly SchemaAndValue[] = [
  ...['', 'text', ' 12 ', '12', '-7', '+5', '1.5', '-2.5E3d', '1e400', 'NaN', '-Infinity', '128'],
  ...['true', 'TRUE', 'yes', '0x1F', '1_000', '9223372036854775808', 'é\u0000"\\/\n\u2028', '😀'],
  ...[
    '2017-01-03 06:30:01.864 UTC',
    '2017-01-03',
    '1483425001864',
    '007',
    '.5',
    '5.',
    '1e',
    '\u007f',
    '\u001f',
  ],
].flatMap((value) => [...of(text, value), ...of(null, value)])

export const others: readonly SchemaAndValue[] = [
  ...of(primitive('BOOLEAN'), true, false),
  ...of(null, true, false),
  ...of(primitive('BYTES'), Buffer.from('test-string'), Buffer.alloc(0), Buffer.of(0, 255, 128)),
  ...of(null, Buffer.from('test')),
]

export const logicals: readonly SchemaAndValue[] = [
  ...[new Decimal(156n, 2), new Decimal(-156n, 2), new Decimal(0n, 2), new Decimal(10n ** 30n, 2)],
]
  .flatMap((value) => of(decimalOf(2), value))
  .concat(of(decimalOf(0), new Decimal(12n, 0), new Decimal(-129n, 0)))
  .concat(of(decimalOf(-3), new Decimal(5n, -3)))
  .concat(of(decimalOf(10), new Decimal(1n, 10), new Decimal(0n, 10)))
  .concat(of(date(), Instant.ofDays(10_000), Instant.ofDays(0), Instant.ofDays(-1)))
  .concat(of(time(), new Instant(14_400_000), new Instant(0), new Instant(86_399_999)))
  .concat(of(timestamp(), new Instant(at), new Instant(0), new Instant(-1), new Instant(1e15)))
  .concat(of(timestamp(), new Instant(86_400_000 * 3), new Instant(-86_400_000)))

export const nulls: readonly SchemaAndValue[] = [
  ...of(null, null),
  ...of(primitive('STRING', optional), null),
  ...of(primitive('INT32', optional), null),
  ...of(primitive('STRING', { ...optional, defaultValue: 'default' }), null, 'given'),
  ...of(primitive('INT64', { defaultValue: 5n }), 6n),
  ...of(date(optional), null),
  ...of(timestamp(optional), null),
  ...of(decimalOf(2, optional), null),
  ...of(structOf({ magic: int32 }, optional), null),
  ...of(arrayOf(text, optional), null),
]

export const collections: readonly SchemaAndValue[] = [
  ...of(arrayOf(text), [], ['a', 'b']),
  ...of(arrayOf(primitive('INT32', optional)), [1, null]),
  ...of(arrayOf(arrayOf(int32)), [[1], []]),
  ...of(
    mapOf(text, int32),
    new Map(),
    new Map([
      ['a', 1],
      ['b', 2],
    ]),
  ),
  ...of(
    mapOf(int32, primitive('STRING', optional)),
    new Map([
      [1, 'x'],
      [2, null],
    ]),
  ),
  ...of(mapOf(text, arrayOf(date())), new Map([['d', [Instant.ofDays(3)]]])),
  ...of(null, [], [1n, '2', 3n], [null, true], [1.5, [2n]]),
  ...of(
    null,
    new Map(),
    new Map<unknown, unknown>([
      [1n, 'one'],
      [2n, 'two'],
    ]),
  ),
]

function structIn(schema: Schema, values: Readonly<Record<string, unknown>>): SchemaAndValue {
  const struct = new Struct(schema)
  for (const [name, value] of Object.entries(values)) struct.put(name, value)
  return { schema, value: struct }
}

const innermost = structOf({ d: text, e: primitive('INT64', optional) }, optional)
const inner = structOf({ int8: primitive('INT8'), 'b.c': innermost, list: arrayOf(text) })
const every = structOf({
  i8: primitive('INT8'),
  i16: primitive('INT16'),
  i32: int32,
  i64: primitive('INT64'),
  f32: primitive('FLOAT32'),
  f64: primitive('FLOAT64'),
  bool: primitive('BOOLEAN'),
  str: text,
  bytes: primitive('BYTES'),
  dec: decimalOf(2),
  date: date(),
  time: time(),
  ts: timestamp(),
})
const everyValue = structIn(every, {
  ...{ i8: 12, i16: 300, i32: 70_000, i64: BigInt(at), f32: Math.fround(1.1), f64: -2.5 },
  ...{ bool: true, str: 'text', bytes: Buffer.from('bytes'), dec: new Decimal(1056n, 2) },
  ...{ date: Instant.ofDays(17_169), time: new Instant(23_401_864), ts: new Instant(at) },
})
const everyOptional = structOf(
  {
    magic: primitive('INT32', { ...optional, defaultValue: 42 }),
    i8: primitive('INT8', optional),
    i64: primitive('INT64', { ...optional, defaultValue: 7n }),
    bool: primitive('BOOLEAN', optional),
    str: primitive('STRING', { ...optional, defaultValue: 'old' }),
    dec: decimalOf(2, optional),
    ts: timestamp(optional),
    list: arrayOf(text, optional),
    a: structOf({ b: primitive('STRING', { ...optional, defaultValue: 'b' }) }, optional),
  },
  {
    ...optional,
    name: 'com.example.Optional',
    version: 3,
    doc: 'what it is',
    parameters: new Map([['p', 'q']]),
  },
)
const nested = structOf(
  { A: structOf({ B: inner, c: text }), str: text, i32: int32 },
  { name: 'nested' },
)
const nestedValue = structIn(nested, {
  A: structIn(nested.field('A')!.schema, {
    B: structIn(inner, {
      ...{ int8: 8, list: ['x'] },
      'b.c': structIn(innermost, { d: 'deep', e: 5n }).value,
    }).value,
    c: 'c',
  }).value,
  ...{ str: 'top', i32: 1 },
})
const texted = structOf({
  ts: text,
  when: primitive('INT64'),
  str: text,
  ts2: primitive('STRING', optional),
})

export const structs: readonly SchemaAndValue[] = [
  everyValue,
  structIn(every, {
    ...{ i8: 0, i16: 0, i32: 0, i64: 0n, f32: 0, f64: 0.7, bool: false, str: '12' },
    ...{ bytes: Buffer.alloc(0), dec: new Decimal(0n, 2), date: Instant.ofDays(0) },
    ...{ time: new Instant(0), ts: new Instant(0) },
  }),
  structIn(everyOptional, {}),
  structIn(everyOptional, { magic: 1, i8: 2, i64: 3n, bool: true, str: 'new', list: ['l'] }),
  structIn(everyOptional, {
    a: structIn(everyOptional.field('a')!.schema, {}).value,
    ts: new Instant(at),
  }),
  { schema: everyOptional, value: null },
  nestedValue,
  structIn(texted, { ts: '2017-01-03 06:30:01.864 UTC', when: BigInt(at), str: 'x' }),
  structIn(structOf({ magic: int32, str: text }), { magic: 42, str: '1' }),
  structIn(structOf({ m: mapOf(text, int32), str: text }), { m: new Map([['k', 1]]), str: 's' }),
  structIn(structOf({}), {}),
]

/** In the order of the notation, in which those of Java get it. */
const mapOfAll = (entries: Readonly<Record<string, unknown>>) =>
  new Map(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)))

export const maps: readonly SchemaAndValue[] = of(
  null,
  mapOfAll({
    ...{ i32: 70_000n, i64: BigInt(at), f64: -2.5, bool: true, str: 'text', none: null },
    ...{
      list: [1n, 'x'],
      bytes: Buffer.from('bytes'),
      magic: 1n,
      ts: '2017-01-03 06:30:01.864 UTC',
    },
  }),
  mapOfAll({
    A: mapOfAll({ B: mapOfAll({ int8: 8n, 'b.c': mapOfAll({ d: 'deep' }) }), c: 'c' }),
    str: '5',
  }),
  mapOfAll({
    A: 1n,
    a: mapOfAll({ b: 'b' }),
    i32: 257n,
    f64: 1e10,
    str: '1e3',
    when: BigInt(at),
    ts: BigInt(at),
  }),
  mapOfAll({
    m: mapOfAll({}),
    e: mapOfAll({ f: null }),
    'x.y': 'dotted',
    i8: 0n,
    bool: false,
    f64: 0.5,
  }),
)

export const everything: readonly SchemaAndValue[] = [
  ...[...integers, ...floats, ...texts, ...others],
  ...[...logicals, ...nulls, ...collections, ...structs, ...maps],
]

const recordDefaults: SinkRecord = {
  topic: 'test',
  kafkaPartition: 3,
  kafkaOffset: 42,
  originalTopic: 'test',
  originalKafkaPartition: 3,
  originalKafkaOffset: 42,
  ...{ keySchema: null, key: null, valueSchema: null, value: null },
  timestamp: at,
  headers: [],
}

export function sinkRecord(more: Partial<SinkRecord>): SinkRecord {
  return { ...recordDefaults, ...more }
}

/** As one from a source: it has no offset, and need not have a partition. */
export function fromSource(more: Partial<ConnectRecord>): ConnectRecord {
  const { topic, keySchema, key, valueSchema, value, timestamp, headers } = recordDefaults
  const record = { topic, kafkaPartition: null, keySchema, key, valueSchema, value }
  return { ...record, timestamp, headers, ...more }
}

export const headersOfAll = [
  { key: 'one', schema: text, value: '1' },
  { key: 'two', schema: int32, value: 2 },
  { key: 'one', schema: null, value: 3n },
  { key: 'none', schema: null, value: null },
]

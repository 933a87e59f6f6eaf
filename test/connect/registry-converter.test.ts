/** Values in a schema registry's format, as the tables of topics read them. */
import t from 'tap'
import type { Struct } from '../../src/connect/data.ts'
import { connectorAdvice } from '../../src/connect/delta/advice.ts'
import { fieldsOfSchema } from '../../src/connect/delta/column-types.ts'
import { RowBuffer, type TableShape } from '../../src/connect/delta/rows.ts'
import { RetriableException } from '../../src/connect/failures.ts'
import { Decimal, Instant, Micros } from '../../src/connect/logical.ts'
import { dataSchemaOf, RegistryConverter } from '../../src/connect/registry/registry-converter.ts'
import { AvroWriter } from '../../src/registry/avro/binary.ts'
import type { FoundSchema } from '../../src/registry/stored-schemas.ts'
import { rowPrinter } from '../../src/tables/columns/json-text.ts'
import { fieldJson } from '../../src/tables/delta/new-table.ts'
import { RowRules } from '../../src/tables/delta/row-rules.ts'
import { record } from './delta-trial.ts'

type Given = Partial<FoundSchema> & Pick<FoundSchema, 'type' | 'text'>

/** Ids are numbered from 1. */
function registryOf(...given: readonly Given[]) {
  const found = given.map(
    (one, at): FoundSchema => ({ id: at + 1, references: new Map(), subjects: ['s'], ...one }),
  )
  return {
    asked: [] as number[],
    async withId(id: number) {
      this.asked.push(id)
      return found.find((one) => one.id === id) ?? null
    },
    latest: async () => found.at(-1) ?? null,
  }
}

function wire(id: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  head.writeInt32BE(id, 1)
  return Buffer.concat([head, payload])
}

/** The Delta types of the columns that a schema has. */
function columns(given: Given): Record<string, unknown> {
  const schema = dataSchemaOf({ id: 1, references: new Map(), subjects: [], ...given })
  const fields = fieldsOfSchema(schema!).map((field) => fieldJson(field, null))
  return Object.fromEntries(fields.map((one) => [(one as { name: string }).name, type(one)]))
}

/** Short, as a person writes it. */
function type(json: unknown): unknown {
  const { type: of } = json as { type: unknown }
  return typeof of === 'string' ? of : short(of)
}

function short(of: unknown): unknown {
  if (typeof of === 'string') return of
  const nested = of as Record<string, unknown>
  if (nested['type'] === 'array') return [short(nested['elementType'])]
  if (nested['type'] === 'map') return { [String(nested['keyType'])]: short(nested['valueType']) }
  const fields = nested['fields'] as { name: string }[]
  return Object.fromEntries(fields.map((field) => [field.name, type(field)]))
}

const field = (name: string, of: unknown) => ({ name, type: of })
const logical = (of: string, logicalType: string, more = {}) => ({ type: of, logicalType, ...more })

t.test("Avro's types are those of Delta", async (t) => {
  const text = JSON.stringify({
    ...{ type: 'record', name: 'All', namespace: 'n' },
    fields: [
      field('boolean', 'boolean'),
      field('int', 'int'),
      field('long', ['null', 'long']),
      field('float', 'float'),
      field('double', ['double', 'null']),
      field('bytes', 'bytes'),
      field('string', 'string'),
      field('fixed', { type: 'fixed', name: 'F', size: 3 }),
      field('enum', { type: 'enum', name: 'E', symbols: ['A', 'B'] }),
      field('date', logical('int', 'date')),
      field('time', logical('int', 'time-millis')),
      field('timeMicros', logical('long', 'time-micros')),
      field('millis', logical('long', 'timestamp-millis')),
      field('micros', ['null', logical('long', 'timestamp-micros')]),
      field('nanos', logical('long', 'timestamp-nanos')),
      field('localMillis', logical('long', 'local-timestamp-millis')),
      field('localMicros', logical('long', 'local-timestamp-micros')),
      field('decimal', logical('bytes', 'decimal', { precision: 12, scale: 2 })),
      field('uuid', logical('string', 'uuid')),
      field('uuidBytes', { ...logical('fixed', 'uuid'), name: 'U', size: 16 }),
      field('array', { type: 'array', items: ['null', 'int'] }),
      field('map', { type: 'map', values: logical('long', 'timestamp-micros') }),
      field('record', { type: 'record', name: 'R', fields: [field('x', 'int')] }),
      field('either', ['null', 'int', 'string']),
    ],
  })
  t.strictSame(columns({ type: 'AVRO', text }), {
    ...{ boolean: 'boolean', int: 'integer', long: 'long', float: 'float', double: 'double' },
    ...{ bytes: 'binary', string: 'string', fixed: 'binary', enum: 'string', date: 'date' },
    ...{ time: 'integer', timeMicros: 'long', millis: 'timestamp', micros: 'timestamp' },
    ...{ nanos: 'long', localMillis: 'timestamp_ntz', localMicros: 'timestamp_ntz' },
    ...{ decimal: 'decimal(12,2)', uuid: 'string', uuidBytes: 'string', array: ['integer'] },
    ...{ map: { string: 'timestamp' }, record: { x: 'integer' } },
    either: { int: 'integer', string: 'string' },
  })
})

t.test('JSON Schema says as much as it can', async (t) => {
  const text = JSON.stringify({
    ...{ type: 'object', $defs: { money: { type: 'number' }, tree: { $ref: '#/$defs/node' } } },
    properties: {
      id: { type: 'integer' },
      price: { $ref: '#/$defs/money' },
      name: { type: ['null', 'string'] },
      on: { oneOf: [{ type: 'null' }, { type: 'boolean' }] },
      day: { type: 'string', format: 'date' },
      at: { type: 'string', format: 'date-time' },
      state: { enum: ['NEW', 'PAID', null] },
      level: { enum: [1, 2.5] },
      tags: { type: 'array', items: { type: 'string' } },
      counts: { type: 'object', additionalProperties: { type: 'integer' } },
      home: { type: 'object', properties: { street: { type: 'string' }, what: {} } },
      both: {
        allOf: [
          { type: 'object', properties: { a: { type: 'integer' } } },
          { type: 'object', properties: { b: { type: 'integer' } } },
        ],
      },
      number: { anyOf: [{ type: 'integer' }, { type: 'number' }] },
      anything: {},
      either: { type: ['string', 'integer'] },
      itself: { $ref: '#' },
    },
  })
  t.strictSame(columns({ type: 'JSON', text }), {
    ...{ id: 'long', price: 'double', name: 'string', on: 'boolean', day: 'date' },
    ...{ at: 'timestamp', state: 'string', level: 'double', tags: ['string'] },
    ...{ counts: { string: 'long' }, home: { street: 'string' } },
    ...{ both: { a: 'long', b: 'long' }, number: 'double' },
  })
})

t.test('values are read by the schema that they name, which is asked for once', async (t) => {
  const text = JSON.stringify({
    ...{ type: 'record', name: 'R' },
    fields: [
      field('at', logical('long', 'timestamp-micros')),
      field('local', logical('long', 'local-timestamp-millis')),
      field('day', logical('int', 'date')),
      field('price', logical('bytes', 'decimal', { precision: 4, scale: 2 })),
      field('note', ['null', 'string']),
    ],
  })
  const registry = registryOf({ type: 'AVRO', text })
  const converter = new RegistryConverter(registry, null)
  const out = new AvroWriter()
  out.long(1_700_000_000_123_456n)
  out.long(-1n)
  out.int(3)
  out.bytes(Buffer.from([1, 0]))
  out.int(0)
  const bytes = wire(1, out.taken())
  const { value } = await converter.toConnectData('orders', bytes)
  const struct = value as Struct
  t.strictSame(
    ['at', 'local', 'day', 'price', 'note'].map((name) => struct.get(name)),
    [
      new Micros(1_700_000_000_123_456n, true),
      new Micros(-1000n, false),
      Instant.ofDays(3),
      new Decimal(256n, 2),
      null,
    ],
  )
  t.notOk(converter.toConnectData('orders', bytes) instanceof Promise, 'known by now')
  t.strictSame(registry.asked, [1])
  t.throws(() => converter.toConnectData('orders', wire(1, Buffer.from([1]))), /are needed and/)
  t.strictSame(converter.toConnectData('orders', null), { schema: null, value: null })
})

t.test(
  'what is no value of the registry is an error of the record, an outage is none',
  async (t) => {
    const registry = registryOf(
      { type: 'PROTOBUF', text: 'message M {}' },
      { type: 'AVRO', text: '"int"', subjects: ['other'] },
      {
        type: 'AVRO',
        text: '{"type":"record","name":"N","fields":[{"name":"n","type":["null","N"]}]}',
      },
      { type: 'JSON', text: '{"type":"object"}' },
    )
    const converter = new RegistryConverter(registry, 's')
    const read = async (bytes: Buffer) => converter.toConnectData('orders', bytes)
    await t.rejects(read(Buffer.from('{"a":1}')), /Unknown magic byte!/)
    await t.rejects(read(wire(9, Buffer.of(0))), /The schema registry has no schema 9/)
    await t.rejects(read(wire(1, Buffer.of(0))), /Schema 1 is of the type PROTOBUF/)
    await t.rejects(read(wire(2, Buffer.of(0))), /Schema 2 is of the subject other, and not of s/)
    await t.rejects(read(wire(3, Buffer.of(0))), /N contains itself/)
    await t.rejects(read(wire(4, Buffer.from('{'))), /JSON/)
    const away = {
      withId: () => Promise.reject(new RetriableException('away')),
      latest: () => Promise.reject(new RetriableException('away')),
    }
    const asking = new RegistryConverter(away, null).toConnectData('orders', wire(1, Buffer.of(0)))
    await t.rejects(Promise.resolve(asking), RetriableException)
  },
)

t.test('columns are those of the schema, and those that JSON has besides', async (t) => {
  const text = JSON.stringify({
    type: 'object',
    properties: {
      price: { type: 'number' },
      at: { type: 'string', format: 'date-time' },
      in: { type: 'object', properties: { a: { type: 'number' } } },
    },
  })
  const converter = new RegistryConverter(registryOf({ type: 'JSON', text }), null)
  const empty: TableShape = {
    ...{ fields: [], kept: [], partitionBy: [], mayWiden: false, isNew: true },
    ...{ isMapped: false, mayHaveNtz: true, keys: null },
    rulesOf: (fields) => new RowRules({ fields, configuration: new Map(), features: [], now: 0 }),
  }
  const none = {
    topic: null,
    partition: null,
    offset: null,
    timestamp: null,
    key: null,
    headers: null,
  }
  const rows = new RowBuffer(
    {
      ...{
        kafka: none,
        valueColumn: null,
        evolution: 'add',
        batchRows: 4096,
        isUpsert: false,
        advice: connectorAdvice,
      },
      partitioning: { columns: [], derived: [] },
    },
    empty,
  )
  const values = [
    '{"price":5,"at":"2026-01-31T10:00:00.123456Z"}',
    '{"price":1.5,"in":{"a":1,"b":"more"},"besides":7}',
  ]
  for (const [at, json] of values.entries()) {
    const { schema, value } = await converter.toConnectData('t', wire(1, Buffer.from(json)))
    rows.add(record(at, value, { valueSchema: schema }))
  }
  t.strictSame(
    Object.fromEntries(rows.fields.map((one) => [one.name, type(fieldJson(one, null))])),
    { price: 'double', at: 'timestamp', in: { a: 'double', b: 'string' }, besides: 'long' },
  )
  const [first, second] = rows.batches().map(({ batch }) => batch)
  t.equal(
    rowPrinter(first!.fields)(first!, 0),
    '{"price":5,"at":"2026-01-31T10:00:00.123456Z","in":null}',
  )
  t.equal(
    rowPrinter(second!.fields)(second!, 0),
    '{"price":1.5,"at":null,"in":{"a":1,"b":"more"},"besides":7}',
  )
  const bad = await converter.toConnectData('t', wire(1, Buffer.from('{"price":"free"}')))
  t.throws(() => rows.add(record(2, bad.value, { valueSchema: bad.schema })), /price cannot hold/)
})

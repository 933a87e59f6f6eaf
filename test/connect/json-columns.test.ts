/**
 * JSON put into columns as it is read makes the rows that converting it makes: the same records go both ways, plain
 * ones and those made to be none, and what comes out is compared.
 */
import t from 'tap'
import { JsonConverter } from '../../src/connect/converters/json.ts'
import { connectorAdvice } from '../../src/connect/delta/advice.ts'
import { parsePartitioning } from '../../src/connect/delta/partitioning.ts'
import { RowBuffer, type RowSettings, type TableShape } from '../../src/connect/delta/rows.ts'
import { DataException } from '../../src/connect/failures.ts'
import { rowPrinter } from '../../src/tables/columns/json-text.ts'
import { fieldsOfText } from '../../src/tables/delta/new-table.ts'
import { RowRules } from '../../src/tables/delta/row-rules.ts'
import { record } from './delta-trial.ts'

const converter = new JsonConverter(new Map([['schemas.enable', 'false']]))
const noColumns = { topic: null, partition: null, offset: null, timestamp: null }
const plain: RowSettings = {
  kafka: { ...noColumns, key: null, headers: null },
  valueColumn: null,
  partitioning: parsePartitioning([]),
  evolution: 'add',
  batchRows: 4096,
  isUpsert: false,
  advice: connectorAdvice,
}
const empty: TableShape = {
  ...{ fields: [], kept: [], partitionBy: [], mayWiden: false, isNew: false, isMapped: true },
  mayHaveNtz: true,
  keys: null,
  rulesOf: (fields) => new RowRules({ fields, configuration: new Map(), features: [], now: 0 }),
}

/** Rows as text, and what became of each record. */
function rowsOf(
  texts: readonly (string | Buffer)[],
  way: 'converted' | 'as it is',
  { settings = plain, shape = empty }: { settings?: RowSettings; shape?: TableShape } = {},
) {
  const rows = new RowBuffer(settings, shape)
  let taken = 0
  const outcomes = texts.map((text, offset) => {
    const json = Buffer.from(text)
    const given = record(offset, null, { key: offset % 3 === 0 ? null : `k${offset}` })
    if (way === 'as it is' && rows.addJson(given, json)) {
      taken++
      return 'a row'
    }
    try {
      rows.add({ ...given, value: converter.toConnectData('t', json).value })
      return 'a row'
    } catch (error) {
      if (!(error instanceof DataException)) throw error
      return error.message
    }
  })
  const printed = rows.batches().flatMap(({ batch }) => {
    const print = rowPrinter(batch.fields)
    return Array.from({ length: batch.rowCount }, (_, row) => print(batch, row))
  })
  return { outcomes, printed, taken }
}

function compare(
  t: { strictSame(a: unknown, b: unknown): boolean },
  texts: readonly (string | Buffer)[],
  options = {},
): number {
  const converted = rowsOf(texts, 'converted', options)
  const { taken, ...asItIs } = rowsOf(texts, 'as it is', options)
  t.strictSame(asItIs, { outcomes: converted.outcomes, printed: converted.printed })
  return taken
}

const values = [
  ...['1', '-1', '0', '-0', '1.0', '-0.0', '0.1', '123456789012345', '1234567890123456789', '1e3'],
  ...['9223372036854775807', '9223372036854775808', '-9223372036854775808', '1E400', '2.5e-3'],
  ...['9007199254740993', '0.30000000000000004', '123456.78901234567', '1.7976931348623157e308'],
  ...['01', '1.', '.5', '+1', '1e', '--1', 'NaN', '00', '1 2', `1.${'0'.repeat(1100)}1`],
  ...[
    'true',
    'false',
    'null',
    'tru',
    'nul',
    'True',
    '""',
    '"text"',
    '"ä€😀"',
    '"\\u00e4\\n\\"\\\\"',
  ],
  ...['"\\ud83d\\ude00"', '"\\ud83d"', '"\\x"', '"tab\t"', '"open', '"2026-01-31T10:00:00Z"'],
  ...['[]', '[1]', '[1,2,null]', '["a"]', '[[1],[2]]', '[1,]', '[', '{}', '{"x":1}', '{"x":null}'],
  ...[
    '{"x":1,"x":2}',
    '{"x":1,"X":2}',
    '{"y":{"z":[{"w":1}]}}',
    '{"x" :\n1 , "y":[ ] }',
    '{"x":1,}',
  ],
]

t.test('every value in a column of every type', async (t) => {
  const kinds = ['1', '1.5', '"text"', 'true', '[1]', '["a"]', '{"x":1}', '{"y":{"z":[{"w":1}]}}']
  let taken = 0
  for (const first of kinds) {
    const texts = values.map((value) => `{"a":${value},"b":1}`)
    taken += compare(t, [`{"a":${first},"b":1}`, ...texts])
  }
  t.ok(taken >= 50, `${taken} were taken as they are`)
})

t.test('names: in other orders, missing, unknown, twice, in other cases, escaped', async (t) => {
  const texts = [
    ...[
      '{"a":1,"b":"x","c":{"d":1,"e":2}}',
      '{"c":{"e":2,"d":1},"b":"x","a":1}',
      '{"b":"y"}',
      '{}',
    ],
    ...['{"c":{}}', '{"c":null}', '{"c":{"e":null}}', '{"A":1}', '{"a":1,"A":2}', '{"a":1,"a":2}'],
    ...['{"a":1,"new":null}', '{"a":1,"new":[]}', '{"a":1,"new":5}', '{"\\u0061":7}', '{"":1}'],
    ...[
      '{"__proto__":1}',
      '{"a":1} ',
      ' {"a":1}',
      '{"a":1}x',
      '\ufeff{"a":1}',
      '',
      'null',
      '[1]',
      '7',
    ],
  ]
  compare(t, texts)
  compare(t, [...texts, ...texts].reverse())
})

t.test('text that is not UTF-8', async (t) => {
  const broken = Buffer.concat([
    Buffer.from('{"a":"'),
    Buffer.from([0xff, 0xc3]),
    Buffer.from('"}'),
  ])
  const half = Buffer.concat([
    Buffer.from('{"a":"'),
    Buffer.from([0xed, 0xa0, 0x80]),
    Buffer.from('"}'),
  ])
  compare(t, ['{"a":"first"}', broken, half, '{"a":"ü"}'])
})

t.test('a shape that was given, with types that no JSON shows by itself', async (t) => {
  const schema = {
    type: 'struct',
    fields: [
      ...['byte', 'short', 'integer', 'long', 'float', 'double', 'boolean', 'string', 'binary'],
      ...['date', 'timestamp', 'timestamp_ntz', 'decimal(10,2)'],
    ].map((type) => ({ name: `a_${type}`, type, nullable: true, metadata: {} })),
  }
  const needed = { name: 'needed', type: 'long', nullable: false, metadata: {} }
  const map = { type: 'map', keyType: 'string', valueType: 'long', valueContainsNull: true }
  schema.fields.push(needed, { name: 'm', type: map as never, nullable: true, metadata: {} })
  const fields = fieldsOfText(JSON.stringify(schema), new Map())
  const shape = { ...empty, fields, kept: fields }
  const settings: RowSettings = { ...plain, evolution: 'none' }
  const ints = [
    '127',
    '128',
    '-128',
    '-129',
    '32768',
    '2147483647',
    '2147483648',
    '0.5',
    '16777217',
  ]
  const texts = ['"2026-01-31"', '"2026-01-31T10:00:00"', '"2026-01-31T10:00:00.123456+02:00"']
  const all = [...ints, ...texts, '"2026-02-30"', '"AAEC"', 'true', 'null', '0.1', '1e5', '3.5']
  for (const { name } of fields) {
    const given = all.map((value) => `{"needed":1,${JSON.stringify(name)}:${value}}`)
    compare(t, [...given, '{}', '{"needed":null}', '{"needed":1,"m":{"a":1}}'], { settings, shape })
  }
})

t.test('coordinates, keys and parts of the timestamp beside the value', async (t) => {
  const kafka = {
    topic: 'topic',
    partition: 'p',
    offset: 'o',
    timestamp: 't',
    key: 'k',
    headers: 'h',
  }
  const partitioning = parsePartitioning(['date($timestamp) as day'])
  const settings = { ...plain, kafka, partitioning }
  const texts = [
    '{"a":1}',
    '{"a":2}',
    '{"a":3,"o":5}',
    '{"a":"no"}',
    '{"a":4}',
    '{"day":1}',
    '{"a":5}',
  ]
  t.equal(compare(t, texts, { settings }), 2)
  const derived = { ...plain, partitioning: parsePartitioning(['date(at) as day']) }
  compare(t, ['{"at":"2026-01-31T10:00:00Z"}', '{"at":"2026-02-01T10:00:00Z"}'], {
    settings: derived,
  })
})

t.test('records by chance', async (t) => {
  let state = 7
  const below = (bound: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >>> 8) % bound
  }
  const value = (depth: number): string => {
    if (depth > 3 || below(3) > 0) return values[below(values.length)]!
    if (below(3) === 0)
      return `[${Array.from({ length: below(4) }, () => value(depth + 1)).join()}]`
    return object(depth + 1)
  }
  const object = (depth: number): string => {
    const members = Array.from({ length: below(5) }, () => `"${'abcd'[below(4)]}":${value(depth)}`)
    return `{${members.join()}}`
  }
  for (let round = 0; round < 60; round++)
    compare(
      t,
      Array.from({ length: 40 }, () => object(0)),
    )
})

t.test('records that each bring a column count for what all columns take', async (t) => {
  const rows = new RowBuffer(plain, empty)
  for (let n = 0; n < 500; n++) {
    const json = Buffer.from(`{"user_${n}":1}`)
    rows.add(record(n, converter.toConnectData('t', json).value))
  }
  t.ok(rows.bytes > 32 * 1024 * 1024, `${rows.bytes} bytes`)
})

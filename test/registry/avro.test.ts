/** Avro schemas: what is read, what is refused, how it is written, and who can read whom. */
import t from 'tap'
import { atOnce } from '../../src/environment/in-turns.ts'
import { differences } from '../../src/registry/avro/compatibility.ts'
import { parseAvro } from '../../src/registry/avro/parse.ts'
import { schemaText } from '../../src/registry/avro/print.ts'
import { SchemaError } from '../../src/registry/avro/schema.ts'
import {
  type CompatibilityLevel,
  incompatibilities,
  levelOf,
} from '../../src/registry/compatibility.ts'
import { parseSchema } from '../../src/registry/schema-types.ts'
import { parsingForm } from './parsing-form.ts'

const text = (schema: unknown) => (typeof schema === 'string' ? schema : JSON.stringify(schema))
const parse = (schema: unknown, references: readonly unknown[] = []) =>
  parseAvro(text(schema), { references: references.map(text) })

const record = (fields: unknown[], more: object = {}) => ({
  type: 'record',
  name: 'R',
  fields,
  ...more,
})
const field = (name: string, type: unknown, more: object = {}) => ({ name, type, ...more })

t.test('canonical forms are those of the specification', async (t) => {
  // From Avro's own schema-tests.txt.
  const vectors: [string, string][] = [
    ['"null"', '"null"'],
    ['{"type":"int"}', '"int"'],
    ['[  ]', '[]'],
    ['[ "int" , {"type":"boolean"} ]', '["int","boolean"]'],
    [
      '{"fields":[], "type":"record", "name":"a.b.foo", "namespace":"x.y"}',
      '{"name":"a.b.foo","type":"record","fields":[]}',
    ],
    [
      '{"fields":[], "type":"record", "name":"foo", "doc":"foo", "aliases":["foo","bar"]}',
      '{"name":"foo","type":"record","fields":[]}',
    ],
    [
      '{ "fields":[{"type":"boolean", "aliases":[], "name":"f1", "default":true},\n {"order":"descending","name":"f2","doc":"Hello","type":"int"}],\n "type":"record", "name":"foo"}',
      '{"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"},{"name":"f2","type":"int"}]}',
    ],
    [
      '{"namespace":"x.y.z", "type":"enum", "name":"foo", "doc":"foo bar", "symbols":["A1", "A2"]}',
      '{"name":"x.y.z.foo","type":"enum","symbols":["A1","A2"]}',
    ],
    [
      '{"namespace":"x.y.z", "type":"fixed", "name":"foo", "doc":"foo bar", "size":32}',
      '{"name":"x.y.z.foo","type":"fixed","size":32}',
    ],
    ['{ "values":"string", "type":"map"}', '{"type":"map","values":"string"}'],
    [
      '{"name":"PigValue","type":"record","fields":[{"name":"value", "type":["null", "int", "long", "PigValue"]}]}',
      '{"name":"PigValue","type":"record","fields":[{"name":"value","type":["null","int","long","PigValue"]}]}',
    ],
  ]
  for (const [input, canonical] of vectors) {
    t.equal(parsingForm(parse(input).schema), canonical)
  }
})

t.test('what is stored keeps all that was written, in one order', async (t) => {
  const cases: [string, string][] = [
    [' {"type" : "string"} ', '"string"'],
    [
      '{"precision":4,"type":"bytes","logicalType":"decimal"}',
      '{"type":"bytes","precision":4,"logicalType":"decimal"}',
    ],
    [
      '{"fields":[{"default":1.50,"type":"double","name":"d","x":9007199254740993}],"doc":"","name":"N","namespace":"a.b","type":"record","aliases":["Old","c.Other"]}',
      '{"type":"record","name":"N","namespace":"a.b","doc":"","fields":[{"name":"d","type":"double","default":1.50,"x":9007199254740993}],"aliases":["Old","c.Other"]}',
    ],
    [
      '{"type":"record","name":"a.R","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["X"],"default":"X"}},{"name":"f","type":"a.E"},{"name":"g","type":{"type":"fixed","name":"b.F","size":2},"order":"ignore"},{"name":"h","type":["null","b.F"],"default":null}]}',
      '{"type":"record","name":"R","namespace":"a","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["X"],"default":"X"}},{"name":"f","type":"E"},{"name":"g","type":{"type":"fixed","name":"F","namespace":"b","size":2},"order":"ignore"},{"name":"h","type":["null","b.F"],"default":null}]}',
    ],
  ]
  for (const [input, stored] of cases) {
    t.equal(schemaText(parse(input)), stored)
    t.equal(schemaText(parse(stored)), stored, 'and is stored as it is when it comes again')
  }
  const parsed = parse(
    '{"type":"record","name":"R","doc":"","fields":[{"name":"d","type":{"type":"bytes","z":1,"scale":2,"a":2,"precision":4,"logicalType":"decimal"},"aliases":["y","x"]}]}',
  )
  t.equal(
    schemaText(parsed, { isNormalized: true }),
    '{"type":"record","name":"R","fields":[{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2,"a":2,"z":1},"aliases":["x","y"]}]}',
  )
})

t.test('references lend their names, and stay names', async (t) => {
  const address = record([field('street', 'string')], { name: 'Address', namespace: 'com.shop' })
  const order = record([field('to', 'Address'), field('from', ['null', 'com.shop.Address'])], {
    name: 'Order',
    namespace: 'com.shop',
  })
  const parsed = parse(order, [address])
  t.match(schemaText(parsed), /"type":"Address"/)
  t.throws(() => parse(order), /Undefined name: "Address"/)
  t.throws(() => parse(address, [address]), /Can't redefine: com\.shop\.Address/)
})

t.test('what is no schema is refused with a reason', async (t) => {
  const cases: [unknown, RegExp][] = [
    ['', /JSON has the end/],
    ['{"type":', /JSON has the end/],
    ['7', /A schema is a name, an object or a list of schemas, and not 7/],
    ['"bogus"', /Undefined name: "bogus"/],
    [{}, /No type: {}/],
    [{ type: 'record', name: 'R' }, /Record has no fields/],
    [{ type: 'record', fields: [] }, /No name in schema/],
    [record([], { name: 'a-b' }), /Illegal character in: a-b/],
    [record([], { name: '1a' }), /Illegal initial character: 1a/],
    [record([], { namespace: 'a..b' }), /Empty name/],
    [record([], { name: 'int' }), /Schemas may not be named after primitives: int/],
    [record([field('a', 'int'), field('a', 'int')]), /Duplicate field a in record R/],
    [record([{ type: 'int' }]), /No field name/],
    [record([{ name: 'a' }]), /No field type/],
    [
      record([field('a', 'int', { default: 'x' })]),
      /Invalid default for field a of R: "x" is not a int/,
    ],
    [record([field('a', 'int', { default: 2 ** 31 })]), /Invalid default/],
    [record([field('a', ['null', 'string'], { default: 1 })]), /is not a null or string/],
    [record([field('a', 'int', { order: 'up' })]), /which is none of ascending/],
    [record([field('a', 'int', { aliases: 'b' })]), /aliases are a list/],
    [{ type: 'enum', name: 'E', symbols: ['A', 'A'] }, /Duplicate enum symbol: A/],
    [{ type: 'enum', name: 'E', symbols: ['A'], default: 'B' }, /The enum default "B"/],
    [{ type: 'enum', name: 'E', symbols: ['a b'] }, /Illegal character/],
    [{ type: 'enum', name: 'E' }, /Enum has no symbols/],
    [{ type: 'fixed', name: 'F' }, /Invalid or no size/],
    [{ type: 'fixed', name: 'F', size: -1 }, /Invalid or no size/],
    [{ type: 'array' }, /array has no "items" type/],
    [{ type: 'map' }, /map has no "values" type/],
    [['null', ['int']], /Nested union/],
    [['int', 'int'], /Duplicate in union: int/],
    [[record([]), record([])], /Can't redefine: R/],
  ]
  for (const [schema, message] of cases)
    t.throws(() => parse(schema), { constructor: SchemaError, message }, text(schema))
})

t.test('defaults that leave fields out lean on theirs', async (t) => {
  const inner = record([field('x', 'int', { default: 1 }), field('y', 'string')], { name: 'I' })
  t.ok(parse(record([field('i', inner, { default: { y: 'z' } })])))
  t.throws(() => parse(record([field('i', inner, { default: { x: 1 } })])), /Invalid default/)
  t.ok(parse(record([field('r', 'R', { default: {} })])), 'a default within itself ends')
  t.ok(
    parse(record([field('d', 'double', { default: 'NaN' }), field('e', 'float', { default: 1 })])),
  )
})

t.test('hostile schemas cost no more than they say', async (t) => {
  const deep = `${'{"type":"array","items":'.repeat(500)}"int"${'}'.repeat(500)}`
  t.throws(() => parse(deep), /nested deeper than 100 levels/)
  t.throws(() => parse('['.repeat(100_000)), /nested deeper/)
  t.throws(() => parse(`${'{"type":'.repeat(300)}"int"${'}'.repeat(300)}`), /nested deeper/)
  const many = Array.from({ length: 10_001 }, (_, index) => field(`f${index}`, 'int'))
  t.throws(() => parse(record(many)), /more than 20000 types and fields/)
  const names = Array.from({ length: 5_001 }, (_, index) => record([], { name: `R${index}` }))
  t.throws(() => parse(names), /more than 5000 names/)
  const symbols = Array.from({ length: 100_000 }, (_, index) => `S${index}`)
  t.ok(parse({ type: 'enum', name: 'E', symbols }))
  t.throws(
    () =>
      parse([
        { type: 'enum', name: 'E', symbols },
        { type: 'enum', name: 'F', symbols: ['A'] },
      ]),
    /more than 100000 enum symbols/,
  )

  // Each level of the default may be of either record, and at its end is of none.
  const either = (inner: object) => record([field('f', ['A', inner])], { name: 'A' })
  const value = `${'{"f":'.repeat(200)}5${'}'.repeat(200)}`
  const branches = either(record([field('f', ['A', 'B'])], { name: 'B' }))
  t.throws(
    () => parse(record([field('x', branches, { default: JSON.parse(value) })])),
    /defaults of the schema are too large/,
  )
  const optional = Array.from({ length: 9000 }, (_, index) =>
    field(`f${index}`, 'int', { default: 0 }),
  )
  const list = { type: 'array', items: record(optional, { name: 'O' }) }
  const objects = Array.from({ length: 1000 }, () => ({}))
  t.throws(
    () => parse(record([field('x', list, { default: objects })])),
    /defaults of the schema are too large/,
  )

  // Records that refer to one another make a long chain without nesting; only its end is compared.
  const links = 3000
  const chain = (prefix: string) =>
    record(
      Array.from({ length: links }, (_, index) =>
        field(
          index === links - 1 ? 'end' : `${prefix}${index}`,
          record(index === 0 ? [] : [field('link', `R${index - 1}`, { default: {} })], {
            name: `R${index}`,
          }),
          { default: {} },
        ),
      ),
    )
  t.throws(
    () => differences(parse(chain('a')).schema, parse(chain('b')).schema),
    /too large to be compared/,
  )
  const union = (prefix: string) =>
    Array.from({ length: 2000 }, (_, index) => record([], { name: `${prefix}${index}` }))
  t.throws(
    () => differences(parse(union('A')).schema, parse(union('B')).schema),
    /too large to be compared/,
  )
})

t.test('what a pair of names costs is counted, and not the pair alone', async (t) => {
  const symbols = Array.from({ length: 400 }, (_, index) => `S${index}`)
  const enums = (list: string[]) =>
    parse(
      Array.from({ length: 200 }, (_, index) => ({
        type: 'enum',
        name: `n${index}.E`,
        symbols: list,
      })),
    ).schema
  const known = enums(symbols)
  t.throws(() => differences(known, enums([...symbols, 'Z'])), {
    constructor: SchemaError,
    message: /too large to be compared/,
  })
  const missing = differences(known, enums(['Z', ...symbols]))
  t.equal(missing.length, 100, 'the first symbol that is missing answers yes or no')
  t.ok(missing.every(({ type }) => type === 'MISSING_UNION_BRANCH'))

  const one = (list: string[]) => parse({ type: 'enum', name: 'E', symbols: list }).schema
  const [told] = differences(one(['A']), one(symbols))
  t.match(told?.detail, /^\[(S\d+, ){100}…\]$/, 'so many are told')
  const [long] = differences(one(['A']), one(['L'.repeat(100_000)]))
  t.equal(long?.detail.length, '[, …]'.length + 1000)

  const aliases = Array.from({ length: 10_000 }, (_, index) => `a${index}`)
  const records = Array.from({ length: 100 }, (_, index) => record([], { name: `n${index}.R` }))
  t.throws(
    () =>
      differences(
        parse(record([field('f', 'int', { aliases, default: 0 })])).schema,
        parse(records).schema,
      ),
    /too large to be compared/,
  )
})

t.test('a verdict that leaned on a wrong one is not kept', async (t) => {
  const q = { type: 'record', name: 'Q', fields: [field('a', 'A')] }
  const a = (y: string) =>
    record([field('x', ['null', q]), field('y', y)], { name: 'A', aliases: [] })
  const reader = parse(
    record([
      field('u', [a('boolean'), record([], { name: 'A2', aliases: ['A'] })]),
      field('q', 'Q'),
    ]),
  ).schema
  const writer = parse(record([field('u', a('int')), field('q', 'Q')])).schema
  // Q reads Q only if A reads A, which `u` does without.
  t.same(differences(reader, writer), [
    {
      type: 'TYPE_MISMATCH',
      path: '/fields/1/type/fields/0/type/fields/1/type',
      detail: 'reader type: BOOLEAN not compatible with writer type: INT',
    },
  ])
  const list = (next: unknown, value: string) =>
    parse(record([field('next', next), field('value', value)])).schema
  for (const next of ['R', ['null', 'R'], { type: 'array', items: 'R' }])
    t.same(
      differences(list(next, 'int'), list(next, 'string')).map(({ path }) => path),
      ['/fields/1/type'],
      'told once, however often it recurs',
    )
})

t.test('who can read whom', async (t) => {
  const enumOf = (symbols: string[], more: object = {}) => ({
    type: 'enum',
    name: 'E',
    symbols,
    ...more,
  })
  const fixed = (size: number, name = 'F') => ({ type: 'fixed', name, size })
  const cases: [reader: unknown, writer: unknown, string | null][] = [
    ['"long"', '"int"', null],
    ['"double"', '"long"', null],
    ['"bytes"', '"string"', null],
    ['"int"', '"long"', 'TYPE_MISMATCH / reader type: INT not compatible with writer type: LONG'],
    [['null', 'int'], '"int"', null],
    [['null', 'long'], '"int"', null],
    ['"int"', ['int'], null],
    [
      '"int"',
      ['null', 'int'],
      'TYPE_MISMATCH /0 reader type: INT not compatible with writer type: NULL',
    ],
    [
      ['int'],
      ['int', 'string'],
      'MISSING_UNION_BRANCH /1 reader union lacking writer type: STRING',
    ],
    [['int'], '"string"', 'MISSING_UNION_BRANCH / reader union lacking writer type: STRING'],
    [
      { type: 'array', items: 'int' },
      { type: 'array', items: 'string' },
      'TYPE_MISMATCH /items reader type: INT not compatible with writer type: STRING',
    ],
    [
      { type: 'map', values: 'int' },
      { type: 'map', values: 'string' },
      'TYPE_MISMATCH /values reader type: INT not compatible with writer type: STRING',
    ],
    [enumOf(['A', 'B']), enumOf(['A']), null],
    [enumOf(['A']), enumOf(['A', 'C', 'B']), 'MISSING_ENUM_SYMBOLS /symbols [B, C]'],
    [enumOf(['A'], { default: 'A' }), enumOf(['A', 'B']), null],
    [fixed(2), fixed(3), 'FIXED_SIZE_MISMATCH /size expected: 3, found: 2'],
    [fixed(2), fixed(2, 'G'), 'NAME_MISMATCH /name expected: G'],
    [{ ...fixed(2), aliases: ['G'] }, fixed(2, 'G'), null],
    [fixed(2, 'a.F'), fixed(2, 'b.F'), null],
    [
      record([field('a', 'int'), field('b', 'int')]),
      record([field('a', 'int')]),
      'READER_FIELD_MISSING_DEFAULT_VALUE /fields/1 b',
    ],
    [record([field('b', 'int', { default: 1 })]), record([]), null],
    [record([field('b', 'int', { aliases: ['a'] })]), record([field('a', 'int')]), null],
    [record([]), record([field('a', 'int')]), null],
    [
      record([field('a', 'int')]),
      record([field('a', 'string')]),
      'TYPE_MISMATCH /fields/0/type reader type: INT not compatible with writer type: STRING',
    ],
    [
      record([field('next', ['null', 'R'])]),
      record([field('next', ['null', 'R']), field('more', 'int')]),
      null,
    ],
  ]
  for (const [reader, writer, expected] of cases) {
    const found = differences(parse(reader).schema, parse(writer).schema)
    const told = found.map(({ type, path, detail }) => `${type} ${path} ${detail}`)
    t.same(told, expected === null ? [] : [expected], `${text(reader)} reads ${text(writer)}`)
  }
})

t.test('levels: which versions, which way round, in whose words', async (t) => {
  const make = (schema: unknown) =>
    parseSchema({ type: 'AVRO', text: text(schema), references: new Map() })
  const v1 = make(record([field('a', 'int')]))
  const v2 = make(record([field('a', 'int'), field('b', 'int', { default: 0 })]))
  const v3 = make(record([field('b', 'int')]))
  const earlier = [
    { version: 2, schema: v2 },
    { version: 1, schema: v1 },
  ]
  const refusals = (level: CompatibilityLevel) => atOnce(incompatibilities(level, v3, earlier))
  const allowed = (level: CompatibilityLevel) => refusals(level).length === 0
  t.ok(allowed('NONE'))
  t.ok(allowed('BACKWARD'), 'the last version has b')
  t.notOk(allowed('BACKWARD_TRANSITIVE'), 'the first has not')
  t.notOk(allowed('FORWARD'), 'who knows the last version misses a')
  t.notOk(allowed('FULL'))
  t.notOk(allowed('FULL_TRANSITIVE'))
  t.same(refusals('BACKWARD_TRANSITIVE'), [
    "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/0' in the new schema has no default value and is missing in the old schema', additionalInfo:'b'}",
    '{oldSchemaVersion: 1}',
    `{oldSchema: '${v1.text}'}`,
  ])
  t.match(refusals('FORWARD')[0], /in the old schema has no default value/)
  t.equal(levelOf('full_transitive'), 'FULL_TRANSITIVE')
  t.equal(levelOf('SOMETIMES'), null)
})

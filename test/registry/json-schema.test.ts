/** JSON Schema: what may follow what, by the usual registry's rules on content models, and what is refused. */
import t from 'tap'
import { SchemaError } from '../../src/registry/avro/schema.ts'
import { differences } from '../../src/registry/json-schema/compatibility.ts'
import { parseJsonSchema, resolved } from '../../src/registry/json-schema/schema.ts'
import { parseSchema } from '../../src/registry/schema-types.ts'

const parse = (schema: unknown, references: Record<string, unknown> = {}) =>
  parseJsonSchema(
    JSON.stringify(schema),
    new Map(Object.entries(references).map(([name, each]) => [name, JSON.stringify(each)])),
  ).schema

const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more })
const closed = { additionalProperties: false }
const int = { type: 'integer' }
const text = { type: 'string' }

t.test('what may follow what', async (t) => {
  const withDefault = { type: 'integer', default: 1 }
  const cases: [older: unknown, newer: unknown, ...found: string[]][] = [
    [text, text],
    [text, int, 'TYPE_CHANGED '],
    [int, { type: 'number' }],
    [{ type: 'number' }, int, 'TYPE_NARROWED '],
    [text, true],
    [text, {}],
    [true, text, 'TYPE_CHANGED '],
    [false, text],
    [text, { type: ['string', 'null'] }],
    [{ type: ['string', 'null'] }, text, 'TYPE_CHANGED '],
    [text, { ...text, maxLength: 5 }, 'MAX_LENGTH_ADDED maxLength'],
    [{ ...text, maxLength: 5 }, { ...text, maxLength: 4 }, 'MAX_LENGTH_DECREASED maxLength'],
    [
      { ...text, maxLength: 5 },
      { ...text, maxLength: 6 },
    ],
    [{ ...text, minLength: 5 }, { ...text, minLength: 6 }, 'MIN_LENGTH_INCREASED minLength'],
    [{ ...text, minLength: 5 }, text],
    [text, { ...text, pattern: 'a' }, 'PATTERN_ADDED pattern'],
    [{ ...text, pattern: 'b' }, { ...text, pattern: 'a' }, 'PATTERN_CHANGED pattern'],
    [{ ...int, maximum: 5 }, { ...int, maximum: 4.5 }, 'MAXIMUM_DECREASED maximum'],
    [
      { ...int, exclusiveMinimum: 1 },
      { ...int, exclusiveMinimum: 2 },
      'EXCLUSIVE_MINIMUM_INCREASED exclusiveMinimum',
    ],
    [
      { ...int, multipleOf: 4 },
      { ...int, multipleOf: 2 },
    ],
    [{ ...int, multipleOf: 2 }, { ...int, multipleOf: 4 }, 'MULTIPLE_OF_EXPANDED multipleOf'],
    [{ ...int, multipleOf: 2 }, { ...int, multipleOf: 3 }, 'MULTIPLE_OF_CHANGED multipleOf'],
    [{ enum: ['a'] }, { enum: ['b', 'a'] }],
    [{ enum: ['a', 'b'] }, { enum: ['a'] }, 'ENUM_ARRAY_NARROWED enum'],
    [{ const: 1 }, { const: 2 }, 'ENUM_ARRAY_CHANGED enum'],
    [{ ...text, enum: ['a'] }, text],
    [text, { ...text, enum: ['a'] }, 'TYPE_CHANGED '],
    [object({ a: int }), object({ a: int, b: true })],
    [
      object({ a: int }),
      object({ a: int, b: int }),
      'OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL properties/b',
    ],
    [
      object({ a: int }),
      object({ a: int, b: int }, { required: ['b'] }),
      'REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL properties/b',
    ],
    [object({ a: int }, closed), object({ a: int, b: int }, closed)],
    [
      object({ a: int }, closed),
      object({ a: int, b: withDefault }, { ...closed, required: ['b'] }),
    ],
    [
      object({ a: int }, closed),
      object({ a: int, b: int }, { ...closed, required: ['b'] }),
      'REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL properties/b',
    ],
    [object({ a: int, b: int }), object({ a: int })],
    [
      object({ a: int, b: int }, closed),
      object({ a: int }, closed),
      'PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL properties/b',
    ],
    [object({ a: int, b: int }, closed), object({ a: int }, { additionalProperties: int })],
    [
      object({ a: int, b: text }, closed),
      object({ a: int }, { additionalProperties: int }),
      'TYPE_CHANGED properties/b',
      'PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL properties/b',
    ],
    [object({}, { additionalProperties: int }), object({ b: int }, { additionalProperties: int })],
    [
      object({}, { additionalProperties: text }),
      object({ b: int }, { additionalProperties: text }),
      'TYPE_CHANGED properties/b',
      'PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL properties/b',
    ],
    [
      object({}, { patternProperties: { '^b': text }, ...closed }),
      object({ b: int }, { patternProperties: { '^b': text }, ...closed }),
      'TYPE_CHANGED properties/b',
      'PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL properties/b',
    ],
    [
      object({ a: int }),
      object({ a: int }, closed),
      'ADDITIONAL_PROPERTIES_REMOVED additionalProperties',
    ],
    [object({ a: int }, closed), object({ a: int })],
    [
      object({ a: int }),
      object({ a: int }, { required: ['a'] }),
      'REQUIRED_ATTRIBUTE_ADDED required/a',
    ],
    [object({ a: int }, { required: ['a'] }), object({ a: int })],
    [
      object({ a: { type: 'array', items: int } }),
      object({ a: { type: 'array', items: text } }),
      'TYPE_CHANGED properties/a/items',
    ],
    [{ type: 'array' }, { type: 'array', items: int }, 'SCHEMA_ADDED items'],
    [
      { type: 'array', items: int },
      { type: 'array', items: int, uniqueItems: true },
      'UNIQUE_ITEMS_ADDED uniqueItems',
    ],
    [
      { type: 'array', items: [int] },
      { type: 'array', items: [int, int] },
      'ITEM_ADDED_TO_OPEN_CONTENT_MODEL items/1',
    ],
    [
      { type: 'array', items: [int], additionalItems: false },
      { type: 'array', items: [int, int], additionalItems: false },
    ],
    [
      { type: 'array', prefixItems: [int, int], items: false },
      { type: 'array', prefixItems: [int], items: false },
      'ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL items/1',
    ],
    [{ oneOf: [text, int] }, { oneOf: [int, { type: 'null' }, text] }],
    [{ oneOf: [text, int] }, { oneOf: [text] }, 'SUM_TYPE_NARROWED '],
    [
      { oneOf: [text, int] },
      { oneOf: [text, { type: 'null' }] },
      'COMBINED_TYPE_SUBSCHEMAS_CHANGED ',
    ],
    [{ allOf: [text] }, { allOf: [text, { ...text, minLength: 1 }] }, 'PRODUCT_TYPE_EXTENDED '],
    [{ oneOf: [text, int] }, { anyOf: [text, int] }],
    [{ anyOf: [text, int] }, { oneOf: [text, int] }, 'COMBINED_TYPE_CHANGED '],
    [{ not: int }, { not: { ...int, minimum: 0 } }],
    [{ not: { ...int, minimum: 0 } }, { not: int }, 'NOT_TYPE_EXTENDED not'],
    [{ if: int, else: text }, { if: text, else: text }, 'TYPE_CHANGED '],
    [object({}, { dependentRequired: { a: ['b'] } }), object({}, { dependencies: { a: ['b'] } })],
    [
      object({}),
      object({}, { dependencies: { a: ['b'] } }),
      'DEPENDENCY_ARRAY_ADDED dependencies/a',
    ],
  ]
  for (const [older, newer, ...expected] of cases) {
    const found = differences(parse(older), parse(newer)).map(({ type, path }) => `${type} ${path}`)
    t.same(found, expected, `${JSON.stringify(older)} then ${JSON.stringify(newer)}`)
  }
})

t.test('references, in the schema, in others, and to itself', async (t) => {
  const tree = (value: object) => ({
    $ref: '#/definitions/node',
    definitions: {
      node: object({
        value,
        left: { $ref: '#/definitions/node' },
        right: { $ref: '#/definitions/node' },
      }),
    },
  })
  t.same(differences(parse(tree(int)), parse(tree(int))), [])
  const changed = differences(parse(tree(int)), parse(tree(text)))
  t.ok(changed.some(({ path }) => path === 'properties/value'))
  t.ok(changed.every(({ type }) => type === 'TYPE_CHANGED'))
  const user = object({ home: { $ref: 'address.json' } })
  const address = object({ street: text })
  t.ok(parse(user, { 'address.json': address }))
  t.throws(() => parse(user), /Unresolved \$ref 'address\.json'/)
  t.throws(() => parse({ $ref: '#/definitions/none' }), /Unresolved \$ref/)
  t.throws(() => parse({ $ref: '#' }), /Unresolved \$ref: it leads to itself/)
  t.throws(() => parse({ $ref: '#/%ff' }), {
    constructor: SchemaError,
    message: /Unresolved \$ref '#\/%ff'/,
  })
  const twice = parse({
    definitions: { x: { enum: ['a'] } },
    oneOf: [{ $ref: '#/definitions/x' }, { $ref: '#/definitions/%78' }],
  })
  t.ok(twice.kind === 'combined')
  if (twice.kind === 'combined')
    t.equal(...(twice.schemas.map(resolved) as [unknown, unknown]), 'read once by whatever name')
})

t.test('lists are parts, and lookups of what is known are counted', async (t) => {
  const names = (count: number) => Array.from({ length: count }, (_, index) => `n${index}`)
  t.throws(() => parse({ type: ['object', 'object'] }), /type lists a type twice/)
  t.throws(() => parse({ type: Array(1000).fill('object'), required: names(1000) }), /twice/)
  const many = /more than 20000 parts/
  t.throws(() => parse({ type: Array(20_001).fill('object') }), many)
  t.throws(() => parse({ required: names(20_001) }), many)
  t.throws(() => parse({ enum: names(20_001) }), many)
  t.throws(() => parse({ dependentRequired: { a: names(20_001) } }), many)
  t.throws(
    () => parse({ anyOf: [{ required: names(10_000) }, { required: names(10_000) }] }),
    many,
    'of all lists together',
  )

  const tooLarge = { constructor: SchemaError, message: /too large to be compared/ }
  const oneOf = (count: number) => ({ oneOf: Array(count).fill({ $ref: '#/definitions/a' }) })
  const withA = (schema: object) => parse({ definitions: { a: text }, ...schema })
  const follows = (schema: object) => differences(withA(schema), withA(schema))
  t.same(follows(oneOf(200)), [])
  t.throws(() => follows(oneOf(300)), tooLarge, 'one pair, but too many places for it')
  const properties = (count: number) =>
    object(Object.fromEntries(names(count).map((name) => [name, oneOf(200)])))
  t.same(follows(properties(5)), [])
  t.throws(() => follows(properties(30)), tooLarge)
  const enums = { oneOf: names(200).map((name) => ({ enum: names(90).map((n) => name + n) })) }
  t.throws(() => follows(enums), tooLarge)
  const objects = {
    oneOf: names(200).map((name) => object({}, { required: [name, ...names(90)] })),
  }
  t.throws(() => follows(objects), tooLarge)
})

t.test('what is no schema is refused, what is hostile is bounded', async (t) => {
  const cases: [unknown, RegExp][] = [
    [7, /is an object or a boolean, and not 7/],
    [{ type: 'text' }, /Unknown type: "text"/],
    [{ properties: [] }, /properties is an object/],
    [{ required: 'a' }, /required is a list/],
    [{ required: [1] }, /list of names/],
    [{ type: 'string', maxLength: 'x' }, /maxLength is a number/],
    [{ enum: 1 }, /enum is a list/],
    [{ allOf: {} }, /allOf is a list/],
    [{ type: 'string', pattern: 1 }, /pattern is a text/],
  ]
  for (const [schema, message] of cases) t.throws(() => parse(schema), message)
  let deep: unknown = true
  for (let level = 0; level < 200; level++) deep = { not: deep }
  t.throws(() => parse(deep), /nested deeper than 100/)
  t.throws(() => parse({ anyOf: Array.from({ length: 20_001 }, () => true) }), /more than 20000/)
  const many = (type: string) => ({
    anyOf: Array.from({ length: 400 }, (_, index) => ({ type, minimum: index, maxLength: index })),
  })
  t.throws(() => differences(parse(many('integer')), parse(many('string'))), /too large/)
  // Each definition refers to the one before it twice: a tree of 2^40 nodes, if it were walked as one.
  const doubling = (leaf: object) => ({
    $ref: '#/definitions/d40',
    definitions: Object.fromEntries(
      Array.from({ length: 41 }, (_, level) => {
        const below = { $ref: `#/definitions/d${level - 1}` }
        return [`d${level}`, level === 0 ? leaf : object({ a: below, b: below }, closed)]
      }),
    ),
  })
  t.same(differences(parse(doubling(int)), parse(doubling({ type: 'number' }))), [])
  t.equal(differences(parse(doubling(int)), parse(doubling(text))).length, 100, 'and told in part')
  t.ok(parse({ type: 'string', pattern: '(a+)+$' }), 'a pattern is kept, and never run')

  const anchors = Array.from({ length: 60_000 }, (_, index) => ({ $anchor: `a${index}`, ...text }))
  const anyOf = anchors.slice(-6_000).map(({ $anchor }) => ({ $ref: `#${$anchor}` }))
  const { user: before } = process.cpuUsage()
  t.ok(parse({ anyOf, $defs: { ...anchors, first: { $anchor: 'a59999', ...int } } }))
  const seconds = (process.cpuUsage().user - before) / 1e6
  t.ok(seconds < 3, `names are looked up, and not looked for, in ${seconds} s`)
})

t.test('as the registry keeps it, and says it', async (t) => {
  const make = (schema: unknown) =>
    parseSchema({ type: 'JSON', text: JSON.stringify(schema, null, 2), references: new Map() })
  const older = make(object({ a: int }))
  t.equal(older.text, '{"type":"object","properties":{"a":{"type":"integer"}}}')
  t.equal(older.normalizedText(), '{"properties":{"a":{"type":"integer"}},"type":"object"}')
  t.same(make(object({ a: text })).cannotRead(older, { reader: 'new', writer: 'old' }), [
    `{errorType:"TYPE_CHANGED", description:"A type at path '#/properties/a' is different between the new schema and the old schema'}`,
  ])
})

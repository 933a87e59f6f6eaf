/** Conditions on rows, by the rules of SQL. */
import t from 'tap'
import type { Field } from '../../../src/tables/columns/column.ts'
import { batchOf } from '../../../src/tables/columns/column-builder.ts'
import { Condition } from '../../../src/tables/columns/where.ts'

function field(name: string, type: Field['type']): Field {
  return { name, type, isNullable: true }
}

const fields = [
  field('i', { kind: 'int64' }),
  field('s', { kind: 'string' }),
  field('d', { kind: 'double' }),
  field('n', { kind: 'decimal', precision: 20, scale: 2 }),
  field('day', { kind: 'date' }),
  field('at', { kind: 'timestamp', unit: 'micros', isUtc: true }),
  field('b', { kind: 'boolean' }),
  field('odd `name', { kind: 'int32' }),
  field('o', {
    kind: 'struct',
    fields: [
      field('x', { kind: 'int32' }),
      field('y', { kind: 'struct', fields: [field('z', { kind: 'int16' })] }),
    ],
  }),
  field('xs', { kind: 'list', element: field('element', { kind: 'int32' }) }),
]
const batch = batchOf(fields, [
  {
    i: 2n ** 60n + 1n,
    s: "it's",
    d: Number.NaN,
    n: -150n,
    day: 0,
    at: 1n,
    b: true,
    'odd `name': 1,
    o: { x: 1, y: null },
  },
  { i: -1n, s: 'Z', d: 0.5, n: 100n, day: 1, at: 0n, b: false, 'odd `name': 2, o: { y: { z: 5 } } },
  {},
])

t.test('what is true of which rows', async (t) => {
  const cases: [string, number[]][] = [
    ['i = 1152921504606846977', [0]],
    ['i = 1152921504606846976', []],
    ['i <> -1', [0]],
    ["s = 'it''s' OR i < 0", [0, 1]],
    ["s > 'Y' and not b = true", [1]],
    ['NOT (i = -1)', [0]],
    ['NOT i = -1 OR i IS NULL', [0, 2]],
    ['i IN (1, -1, NULL)', [1]],
    ['i NOT IN (-1)', [0]],
    ['i NOT IN (1, NULL)', []],
    ['i = NULL', []],
    ['I is not null', [0, 1]],
    ['d > 1e300', [0]],
    ["d = 'NaN'", [0]],
    ['n = -1.5 OR n = 1.00', [0, 1]],
    ["day >= '1970-01-02'", [1]],
    ["at < '1970-01-01T00:00:00.000001Z'", [1]],
    ['`odd ``name` != 1', [1]],
    ['i = 1 OR i = -1 AND b = FALSE', [1]],
    ['b', [0]],
    ['NOT b OR i IS NULL', [1, 2]],
    ['i BETWEEN -1 AND 5', [1]],
    ['i NOT BETWEEN -1 AND 5', [0]],
    ["s LIKE 'it_s' OR s LIKE '%z'", [0]],
    ["s NOT LIKE '%''%'", [1]],
    ["s LIKE '\\_%' OR s LIKE '.'", []],
    ['i + 1 = 0 AND i * 2 < -1', [1]],
    ['-i = 1 AND 1 - -i = 0', [1]],
    ['i % 2 = -1 AND 7 / 2 = 3.5', [1]],
    ['n * 2 = -3.00 OR n + 0.005 = 1.005', [0, 1]],
    ['n > d', [1]],
    ['d < n', [1]],
    ['n = i + 2', [1]],
    ["day + 1 = '1970-01-02' OR day = DATE '1970-01-02'", [0, 1]],
    ['day < at', [0]],
    ["TIMESTAMP '1970-01-01 00:00:00.000001' <= at", [0]],
    ["upper(s) || '!' = 'IT''S!'", [0]],
    ["length(s) = 1 AND lower(s) = 'z' AND substring('abc', 2) = 'bc'", [1]],
    ["coalesce(s, 'none') = 'none'", [2]],
    ['CASE WHEN i < 0 THEN 1 WHEN i IS NULL THEN 2 END = 2', [2]],
    ["CAST(i AS STRING) = '-1' AND CAST('7' AS INT) = 7", [1]],
    ['CAST(n AS INT) = 1 AND year(at) = 1970 AND month(day) = 1', [1]],
    ['CAST(n AS DECIMAL(5,1)) = 1.0 AND abs(i) = 1', [1]],
    ['o.x = 1 AND o.y.z IS NULL', [0]],
    ['o.y.z = 5 OR o.x IS NULL AND i < 0', [1]],
  ]
  for (const [text, expected] of cases) {
    const matches = Condition.parse(text, fields).matches(batch)
    t.strictSame(
      [...matches].flatMap((match, row) => (match === 1 ? [row] : [])),
      expected,
      text,
    )
  }
})

t.test('what is no condition', async (t) => {
  for (const text of [
    ...[
      '',
      'i',
      'i = ',
      'i == == 1',
      'i = 1)',
      '((i = 1)',
      'x = 1',
      "i = '1'",
      'i = 1.5',
      'i IN ()',
    ],
    ...[
      'n = 1.234',
      "day = 'x'",
      'b = 1',
      'xs = 1',
      'i = 1; drop',
      'i NOT 1',
      'i IS 1',
      "s = 'open",
      'i + s = 1',
      'n / 2 = 1',
      's',
      'i = s',
      'o = 1',
      'o.q = 1',
      'nope(i) = 1',
      'CASE END',
      'CAST(s AS nope) = 1',
      'CAST(xs AS INT) = 1',
      'upper(i) = 1',
      's LIKE s',
    ],
    `${'('.repeat(1000)}i = 1${')'.repeat(1000)}`,
    `${'NOT '.repeat(1000)}i = 1`,
  ]) {
    t.throws(() => Condition.parse(text, fields), RangeError, text.slice(0, 20))
  }
})

t.test('what cannot be computed is said', async (t) => {
  for (const [text, says] of [
    ['i * i > 0', /more than a long holds/],
    ['i % (i - i) = 0', /division by zero/],
    ['1 / (d - d) = 0', /division by zero/],
    ['CAST(s AS INT) = 0', /it's is no int32/],
    ['CAST(i AS INT) = 0', /more than a integer holds|more than an? int/],
  ] as const) {
    t.throws(() => Condition.parse(text, fields).matches(batch), { message: says }, text)
  }
})

t.test('a condition knows where it may be true', async (t) => {
  const told = (text: string) => Condition.parse(text, fields).predicate
  t.strictSame(told('i > 5 AND length(s) = 1'), {
    op: 'and',
    of: [{ op: '>', column: ['i'], value: 5 }],
  })
  t.equal(told('i > 5 OR length(s) = 1'), null)
  t.strictSame(told('5 < i'), { op: '>', column: ['i'], value: 5 })
  t.strictSame(told('NOT (i < 5 OR s IS NULL)'), {
    op: 'and',
    of: [
      { op: '>=', column: ['i'], value: 5 },
      { op: 'isNotNull', column: ['s'] },
    ],
  })
  t.strictSame(told('NOT (i < 5 AND i = 1)'), {
    op: 'or',
    of: [
      { op: '>=', column: ['i'], value: 5 },
      { op: '!=', column: ['i'], value: 1 },
    ],
  })
  t.strictSame(told('i IN (1, NULL, 2)'), { op: 'in', column: ['i'], values: [1, 2] })
  t.equal(told('i IN (1, i)'), null)
  t.equal(told('i NOT IN (1)'), null)
  t.strictSame(told('o.y.z = 5'), { op: '=', column: ['o', 'y', 'z'], value: 5 })
})

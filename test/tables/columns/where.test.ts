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
  },
  { i: -1n, s: 'Z', d: 0.5, n: 100n, day: 1, at: 0n, b: false, 'odd `name': 2 },
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
    ],
    `${'('.repeat(1000)}i = 1${')'.repeat(1000)}`,
    `${'NOT '.repeat(1000)}i = 1`,
  ]) {
    t.throws(() => Condition.parse(text, fields), RangeError, text.slice(0, 20))
  }
})

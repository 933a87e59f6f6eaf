/** What tables ask of their rows: constraints that hold, and columns with values of their own. */
import t from 'tap'
import { batchOf } from '../../../src/tables/columns/column-builder.ts'
import { deleteRows } from '../../../src/tables/delta/delete.ts'
import { mergeRows } from '../../../src/tables/delta/merge.ts'
import { optimizeTable } from '../../../src/tables/delta/optimize.ts'
import { restoreTable } from '../../../src/tables/delta/restore.ts'
import { readSnapshot } from '../../../src/tables/delta/snapshot.ts'
import { Transaction } from '../../../src/tables/delta/transaction.ts'
import { updateRows } from '../../../src/tables/delta/update.ts'
import {
  changesOf,
  column,
  field,
  type Line,
  Made,
  metaData,
  removeScratch,
  stage,
} from './made.ts'

t.teardown(removeScratch)

const features = (...writerFeatures: string[]): Line => ({
  protocol: { minReaderVersion: 1, minWriterVersion: 7, writerFeatures },
})
const all = features(
  ...['allowColumnDefaults', 'checkConstraints', 'generatedColumns', 'identityColumns'],
  ...['invariants', 'changeDataFeed'],
)
const table = (fields: Line[], configuration: Line = {}): Made =>
  new Made().commit(0, [all, metaData(fields, { configuration })])
const identity = (start: unknown, step: unknown, more: Line = {}): Line => ({
  'delta.identity.start': start,
  'delta.identity.step': step,
  'delta.identity.allowExplicitInsert': false,
  ...more,
})
const update = (made: Made, set: string, where?: string) =>
  updateRows(made.environment, { set, where })
const merge = (made: Made, rows: readonly Record<string, number | string>[]) =>
  mergeRows(made.environment, {
    on: ['id'],
    batch: batchOf(
      [field('id', 'int64'), field('v', 'string')].filter(({ name }) => name in rows[0]!),
      rows,
    ),
  })
const sorted = async (made: Made) => (await made.rows()).sort()

t.test('a row that violates a constraint is in no commit', async (t) => {
  const made = table(
    [
      column('id', 'long', { 'delta.invariants': '{"expression":{"expression":"id < 100"}}' }),
      column('v', 'string'),
      column('s', {
        type: 'struct',
        fields: [
          column('a', 'long', { 'delta.invariants': '{"expression":{"expression":"s.a <> 5"}}' }),
        ],
      }),
    ],
    { 'delta.constraints.known': "v IN ('a', 'b')", 'Delta.Constraints.Positive': 'id > 0' },
  )
  const good = '{"id":1,"v":"a","s":{"a":1}}'
  await made.append([good])
  for (const [row, says] of [
    [
      '{"id":0,"v":"a","s":{"a":1}}',
      'the constraint Positive (id > 0) is violated by a row: id is 0',
    ],
    ['{"v":"a","s":{"a":1}}', 'the constraint Positive (id > 0) is violated by a row: id is null'],
    [
      '{"id":2,"v":"c","s":{"a":1}}',
      `the constraint known (v IN ('a', 'b')) is violated by a row: v is "c"`,
    ],
    [
      '{"id":200,"v":"b","s":{"a":1}}',
      'the invariant of column id (id < 100) is violated by a row: id is 200',
    ],
    [
      '{"id":2,"v":"b","s":{"a":5}}',
      'the invariant of column a (s.a <> 5) is violated by a row: s is {"a":5}',
    ],
  ] as const) {
    await t.rejects(made.append([good, row]), { reason: 'invalid', message: says, row: 1 }, row)
  }
  await t.rejects(update(made, 'id = id - 1'), { message: /Positive .* id is 0$/ })
  await t.rejects(update(made, 'v = NULL'), { message: /known .* v is null$/ })
  await t.rejects(merge(made, [{ id: 1, v: 'x' }]), { message: /known .* v is "x"$/ })
  await t.rejects(merge(made, [{ id: 2, v: 'x' }]), { message: /known .* v is "x"$/ })
  await t.rejects(merge(made, [{ id: 2, v: 'b' }]), {
    message: /invariant of column a .* s is null$/,
  })
  t.equal(made.files().length, 1, 'nothing is left of what was refused')
  await update(made, "v = 'b'")
  t.strictSame(await made.rows(), ['{"id":1,"v":"b","s":{"a":1}}'])
})

t.test('rows that do not change need not fit: they are the table’s already', async (t) => {
  const made = new Made()
  const transaction = made.create({ fields: [field('id', 'int64')] })
  await stage(transaction, ['{"id":-1}', '{"id":1}', '{"id":2}'])
  await transaction.commit({ operation: 'WRITE' })
  made.commit(1, [
    all,
    metaData([column('id', 'long')], { configuration: { 'delta.constraints.c': 'id > 0' } }),
  ])
  await update(made, 'id = 3', 'id = 2')
  await deleteRows(made.environment, 'id = 1')
  await made.append(['{"id":4}'])
  await optimizeTable(made.environment)
  t.strictSame(await sorted(made), ['{"id":-1}', '{"id":3}', '{"id":4}'])
})

t.test('a default stands where a row says nothing', async (t) => {
  const made = table([
    column('id', 'long'),
    { ...column('v', 'string', { CURRENT_DEFAULT: "'none'" }), nullable: false },
    column('n', 'integer', { CURRENT_DEFAULT: '7 + 1' }),
    column('at', 'timestamp', { CURRENT_DEFAULT: 'current_timestamp()' }),
    column('day', 'date', { CURRENT_DEFAULT: 'CURRENT_DATE' }),
  ])
  await made.append([
    '{"id":1}',
    '{"id":2,"v":"x","n":null,"at":null,"day":null}',
    '{"id":3,"n":9}',
  ])
  await merge(made, [{ id: 4 }, { id: 2 }])
  const now = '"at":"2023-11-14T22:13:20.000000Z","day":"2023-11-14"'
  t.strictSame(await sorted(made), [
    `{"id":1,"v":"none","n":8,${now}}`,
    '{"id":2,"v":"x","n":null,"at":null,"day":null}',
    `{"id":3,"v":"none","n":9,${now}}`,
    `{"id":4,"v":"none","n":8,${now}}`,
  ])
  await t.rejects(made.append(['{"id":5,"v":null}']), { message: /column v has no value/ })
  const [{ commitInfo }] = made.log(2) as [{ commitInfo: { operation: string } }]
  t.equal(commitInfo.operation, 'MERGE')
})

t.test('what is generated follows from the rest of the row', async (t) => {
  const made = table(
    [
      column('id', 'long'),
      column('v', 'string'),
      column('twice', 'long', { 'delta.generationExpression': 'id * 2' }),
      column('loud', 'string', { 'delta.generationExpression': "upper(v) || '!'" }),
    ],
    { 'delta.enableChangeDataFeed': 'true' },
  )
  await made.append(['{"id":1,"v":"a"}', '{"id":2,"twice":4,"loud":null}'])
  t.strictSame(await sorted(made), [
    '{"id":1,"v":"a","twice":2,"loud":"A!"}',
    '{"id":2,"v":null,"twice":4,"loud":null}',
  ])
  await t.rejects(made.append(['{"id":3}', '{"id":3,"twice":7}']), {
    row: 1,
    message:
      'column twice is generated as id * 2, and a row has another value there: twice is 7, id is 3',
  })
  await t.rejects(made.append(['{"id":3,"twice":null}']), { message: /twice is null, id is 3$/ })
  await update(made, 'id = id + 10', 'id = 1')
  await t.rejects(update(made, 'twice = 1'), { message: /twice is 1, id is/ })
  await update(made, 'twice = 4', 'id = 2')
  await merge(made, [
    { id: 2, v: 'b' },
    { id: 5, v: 'c' },
  ])
  t.strictSame(await sorted(made), [
    '{"id":11,"v":"a","twice":22,"loud":"A!"}',
    '{"id":2,"v":"b","twice":4,"loud":"B!"}',
    '{"id":5,"v":"c","twice":10,"loud":"C!"}',
  ])
  t.match((await changesOf(made, 4)).sort(), [
    '{"id":2,"v":"b","twice":4,"loud":"B!","_change_type":"update_postimage","_commit_version":4}',
    '{"id":2,"v":null,"twice":4,"loud":null,"_change_type":"update_preimage","_commit_version":4}',
    '{"id":5,"v":"c","twice":10,"loud":"C!","_change_type":"insert","_commit_version":4}',
  ])
})

const markOf = (made: Made, version: number, at = 0): unknown => {
  const line = made.log(version).find((one) => 'metaData' in one)
  if (line === undefined) return null
  const { schemaString } = line['metaData'] as { schemaString: string }
  const { fields } = JSON.parse(schemaString) as { fields: { metadata: Line }[] }
  return fields[at]!.metadata['delta.identity.highWaterMark']
}

t.test('rows are numbered on from where the table says', async (t) => {
  const made = table([
    column('n', 'long', identity(10, 5, { other: 'kept' })),
    column('down', 'long', identity(0, -2, { 'delta.identity.highWaterMark': -3 })),
    column('id', 'long'),
  ])
  await made.append(['{"id":1}', '{"id":2,"n":null}'])
  t.equal(markOf(made, 1), 15)
  t.equal(markOf(made, 1, 1), -6, 'a mark that is no number of the column is rounded')
  t.match(made.log(1)[0], { commitInfo: { tags: { 'delta.identity.schemaUpdate': 'true' } } })
  t.match(made.log(1)[1], { metaData: { schemaString: /"other":"kept"/ } })
  await merge(made, [{ id: 2 }, { id: 3 }])
  t.strictSame(await sorted(made), [
    '{"n":10,"down":-4,"id":1}',
    '{"n":15,"down":-6,"id":2}',
    '{"n":20,"down":-8,"id":3}',
  ])
  await t.rejects(made.append(['{"id":4,"n":30}']), {
    row: 0,
    message: /^column n numbers rows itself/,
  })
  await t.rejects(update(made, 'n = 1'), { message: /^column n numbers rows/ })
  await update(made, 'id = id + 1', 'id = 3')
  t.equal(markOf(made, 3), null, 'no number was given')
  await deleteRows(made.environment, 'n = 20')
  await restoreTable(made.environment, 1)
  t.equal(markOf(made, 5), null, 'numbers stay counted')
  await made.append(['{"id":9}'])
  t.match(await sorted(made), ['{"n":10,', '{"n":15,', '{"n":25,"down":-10,"id":9}'])
})

t.test(
  'rows may come with numbers where the column allows it, and these are not counted',
  async (t) => {
    const made = table([
      column('n', 'long', identity(1, 1, { 'delta.identity.allowExplicitInsert': true })),
      column('id', 'long'),
    ])
    await made.append(['{"n":7,"id":1}'])
    t.equal(markOf(made, 1), null)
    await made.append(['{"id":2}', '{"n":1,"id":3}', '{"n":null,"id":4}'])
    t.strictSame(await sorted(made), [
      '{"n":1,"id":2}',
      '{"n":1,"id":3}',
      '{"n":7,"id":1}',
      '{"n":null,"id":4}',
    ])
    await t.rejects(
      mergeRows(made.environment, {
        on: ['id'],
        batch: batchOf([field('id', 'int64'), field('n', 'int64')], [{ id: 1, n: 8 }]),
      }),
      { message: /keep their numbers/ },
    )
    const full = table([column('n', 'long', identity(1, '2'))])
    await t.rejects(full.append(['{}']), { reason: 'corrupt', message: /step is "2"/ })
  },
)

t.test(
  'of two that number rows at once one does it again; who numbers none is not in the way',
  async (t) => {
    const made = table([
      column('n', 'long', identity(1, 1, { 'delta.identity.allowExplicitInsert': true })),
      column('id', 'long'),
    ])
    const snapshot = await readSnapshot(made.storage)
    const begin = async (line: string) => {
      const transaction = Transaction.on(made.environment, snapshot)
      await stage(transaction, [line])
      return transaction
    }
    const [first, second, third] = [
      await begin('{"id":1}'),
      await begin('{"id":2}'),
      await begin('{"n":50,"id":3}'),
    ]
    await first.commit({ operation: 'WRITE' })
    await t.rejects(second.commit({ operation: 'WRITE' }), {
      message: /^version 1 came first: it changed columns/,
    })
    t.match(await third.commit({ operation: 'WRITE' }), { version: 2 })
    await made.append(['{"id":4}'])
    t.strictSame(await sorted(made), ['{"n":1,"id":1}', '{"n":2,"id":4}', '{"n":50,"id":3}'])
  },
)

t.test('a long that is full numbers no more rows', async (t) => {
  const last = '"delta.identity.highWaterMark":9223372036854775806'
  const made = new Made()
  const lines = [all, metaData([column('n', 'long', identity(1, 1))])]
  const text = lines.map((line) => JSON.stringify(line)).join('\n')
  const marked = text.replace(
    '\\"delta.identity.step',
    `${last.replaceAll('"', '\\"')},\\"delta.identity.step`,
  )
  made.put('_delta_log/00000000000000000000.json', marked)
  await made.append(['{}'])
  t.match(await made.rows(), ['{"n":9223372036854775807}'])
  await t.rejects(made.append(['{}']), { message: /has numbered all rows/ })
})

t.test('a table is made with rules, and has the features that they need', async (t) => {
  const made = new Made()
  const generated = { 'delta.generationExpression': 'id % 10' }
  const fields = [
    field('id', 'int64'),
    { ...field('d', 'int64'), metadata: generated },
    { ...field('v', 'string'), metadata: { CURRENT_DEFAULT: "'x'" } },
  ]
  const properties = new Map([['delta.constraints.c', 'id >= 0']])
  const transaction = made.create({ fields, partitionBy: ['d'], properties })
  await stage(transaction, ['{"id":12}'])
  await transaction.commit({ operation: 'WRITE' })
  t.strictSame(await made.rows(), ['{"id":12,"d":2,"v":"x"}'])
  const { writerFeatures } = made.log(0)[1]!['protocol'] as { writerFeatures: string[] }
  t.strictSame(writerFeatures, [
    ...['appendOnly', 'invariants', 'generatedColumns', 'allowColumnDefaults', 'checkConstraints'],
  ])
  t.throws(() => made.create({ fields: [{ ...field('d', 'int64'), metadata: generated }] }), {
    message:
      'the table cannot be written: column d uses the feature generatedColumns: there is no column id',
  })
})

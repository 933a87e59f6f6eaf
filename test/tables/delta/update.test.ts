/** Rows changed and found by expressions: what of a table is read for it, and what is written. */
import t from 'tap'
import { batchOf } from '../../../src/tables/columns/column-builder.ts'
import { decimalOf } from '../../../src/tables/columns/text-values.ts'
import { conditionOn } from '../../../src/tables/delta/conditions.ts'
import { deleteRows } from '../../../src/tables/delta/delete.ts'
import { mergeRows, stageMerge } from '../../../src/tables/delta/merge.ts'
import { optimizeTable } from '../../../src/tables/delta/optimize.ts'
import { restoreTable } from '../../../src/tables/delta/restore.ts'
import { scanTable } from '../../../src/tables/delta/scan.ts'
import { readSnapshot } from '../../../src/tables/delta/snapshot.ts'
import { updateRows } from '../../../src/tables/delta/update.ts'
import {
  add,
  changesOf,
  column,
  committed,
  field,
  Made,
  metaData,
  plainProtocol,
  printed,
  removeScratch,
} from './made.ts'

t.teardown(removeScratch)

const fields = [
  field('id', 'int64'),
  field('p', 'string'),
  field('n', 'int32'),
  { name: 'price', type: { kind: 'decimal', precision: 6, scale: 2 }, isNullable: true } as const,
]

const tableOf = (
  commits: readonly (readonly string[])[],
  properties: Readonly<Record<string, string>> = {},
  partitionBy: readonly string[] = [],
): Promise<Made> =>
  committed(commits, { fields, partitionBy, properties: new Map(Object.entries(properties)) })

const update = (made: Made, set: string, where?: string) =>
  updateRows(made.environment, { set, where })

async function found(made: Made, where: string, columns: readonly string[] = ['id']) {
  const snapshot = await readSnapshot(made.storage)
  const asked = columns.map((name) => snapshot.schema.fields.find((one) => one.name === name)!)
  const condition = conditionOn(snapshot.schema.fields, where)
  return printed(scanTable(made.storage, snapshot, asked, condition))
}

t.test('values are computed from what the row was', async (t) => {
  const made = await tableOf([
    ['{"id":1,"p":"a","n":3,"price":1.05}', '{"id":2,"p":"b","n":4}'],
    ['{"id":30,"p":"c"}'],
  ])
  const done = await update(
    made,
    "n = id + n, id = n, p = upper(p) || '!', price = price * 1.5",
    'id = 1',
  )
  t.match(done, { version: 2, updated: 1, copied: 1, removed: 1, files: 1 })
  t.strictSame((await made.rows()).sort(), [
    '{"id":2,"p":"b","n":4,"price":null}',
    '{"id":3,"p":"A!","n":4,"price":1.58}',
    '{"id":30,"p":"c","n":null,"price":null}',
  ])
  t.match(made.log(2)[0], {
    commitInfo: { operation: 'UPDATE', operationParameters: { predicate: '["id = 1"]' } },
  })
  t.match(await update(made, 'n = 7'), { updated: 3, copied: 0, removed: 2 })
  t.equal(await update(made, 'n = 7', 'id = 99'), null)
  t.match(await update(made, 'p = NULL, price = CASE WHEN id > 2 THEN 2 ELSE price END'), {
    updated: 3,
  })
  t.strictSame((await made.rows()).sort(), [
    '{"id":2,"p":null,"n":7,"price":null}',
    '{"id":3,"p":null,"n":7,"price":2.00}',
    '{"id":30,"p":null,"n":7,"price":2.00}',
  ])
})

t.test('what a column cannot hold is refused, and nothing stays', async (t) => {
  const made = await tableOf([['{"id":9000000000,"p":"a","n":3,"price":1}']])
  const files = made.files()
  for (const [set, says] of [
    ['n = id', /column n: 9000000000 is more than a? ?integer holds|more than/],
    ['n = p', /column n: a string does not become a integer|CAST/],
    ['n = 1.5', /column n: 1.5 is no integer/],
    ["n = 'x'", /column n: .*cannot hold "x"/],
    ['price = 100000', /column price: /],
    ['price = price * 100000', /more than a decimal\(6,2\) holds/],
    ['n = 1 / 0', /division by zero|CAST/],
    ['q = 1', /there is no column q/],
    ['n = 1, N = 2', /two values for n/],
    ['n', /too early/],
    ['', /too early/],
    ['n = 1 p = 2', /unexpected p/],
  ] as const) {
    await t.rejects(update(made, set), { reason: 'invalid', message: says }, set)
  }
  await t.rejects(update(made, 'n = 1', 'nope = 1'), { message: /^the condition nope = 1: / })
  t.strictSame(made.files(), files)
})

t.test('where a feed is kept, both images of a row are told', async (t) => {
  const rows = ['{"id":1,"p":"a"}', '{"id":2,"p":"a"}']
  const made = await tableOf([rows], { 'delta.enableChangeDataFeed': 'true' }, ['p'])
  await update(made, "p = 'b'", 'id = 2')
  const told = (await changesOf(made, 1)).map((line) => line.replace('"n":null,"price":null,', ''))
  t.strictSame(told.sort(), [
    '{"id":2,"p":"a","_change_type":"update_preimage","_commit_version":1}',
    '{"id":2,"p":"b","_change_type":"update_postimage","_commit_version":1}',
  ])
  t.strictSame(await found(made, "p = 'b'"), ['{"id":2}'])
})

t.test('files that cannot have a row are not read', async (t) => {
  const commits = [0, 1, 2].map((i) => [
    `{"id":${i * 10},"p":"${i}"}`,
    `{"id":${i * 10 + 5},"p":"${i}","n":1}`,
  ])
  const plain = await tableOf(commits)
  for (const version of [0, 2]) plain.lose(version)
  t.strictSame(await found(plain, 'id > 5 AND id < 20'), ['{"id":10}', '{"id":15}'])
  t.strictSame(await found(plain, '15 = id', ['n']), ['{"n":1}'])
  await t.rejects(found(plain, 'id <> 10'), { code: 'ENOENT' })
  t.match(await update(plain, 'n = 5', 'id BETWEEN 6 AND 10'), { updated: 1 })
  t.match(await deleteRows(plain.environment, 'id IN (15, 7)'), { deleted: 1, copied: 1 })
  const parted = await tableOf(commits, {}, ['p'])
  for (const version of [0, 2]) parted.lose(version)
  t.strictSame(await found(parted, "p = '1' AND n IS NULL"), ['{"id":10}'])
  t.match(await deleteRows(parted.environment, "p <= '1' AND p > '0' AND id = 10"), { deleted: 1 })
  const later = await parted.change()
  later.reads = { mayMatch: () => true, paths: new Set() }
  const deleting = deleteRows(parted.environment, "p = '1' AND id = 15")
  await parted.append(['{"id":1,"p":"5"}'])
  t.match(await deleting, { deleted: 1 }, 'rows of another partition are no conflict')
})

t.test('statistics are believed only as far as they can be', async (t) => {
  const stats = (text: string) => add('a.parquet', { stats: text })
  const rows = [{ id: 1n }, { id: null }]
  const withStats = async (text: string, where: string) => {
    const made = await new Made().file('a.parquet', [field('id', 'int64')], rows)
    made.commit(0, [plainProtocol, metaData([column('id', 'long')]), stats(text)])
    return (await found(made, where)).length
  }
  const bounds = '"numRecords":2,"minValues":{"id":1},"maxValues":{"id":1}'
  t.equal(await withStats(`{${bounds}}`, 'id = 1'), 1)
  t.equal(await withStats(`{${bounds},"nullCount":{"id":2}}`, 'id = 1'), 0, 'they are believed')
  t.equal(await withStats(`{${bounds},"nullCount":{"id":0},"tightBounds":false}`, 'id IS NULL'), 0)
  t.equal(await withStats(`{${bounds},"nullCount":{"id":1},"tightBounds":false}`, 'id IS NULL'), 1)
  for (const wrong of [
    '',
    '[]',
    'x',
    '{"minValues":5}',
    '{"numRecords":2,"minValues":{"id":"x"},"nullCount":[]}',
  ]) {
    t.equal(await withStats(wrong, 'id = 1'), 1, wrong)
    t.equal(await withStats(wrong, 'id IS NULL'), 1, wrong)
  }
})

t.test('bounds that delta-rs has rounded exclude no row', async (t) => {
  // As deltalake 1.6 writes them, of the values beside them.
  for (const [digits, scale, text, least, greatest] of [
    [38, 0, '12345678901234567891', '9223372036854775807', '9223372036854775807'],
    [38, 0, '-12345678901234567891', '-9223372036854775808', '-9223372036854775808'],
    [20, 2, '123456789012345678.91', '1.05', '1.2345678901234566e+17'],
    [18, 2, '1234567890123456.78', '1234567890123456.8', '1234567890123457.0'],
    [16, 1, '900719925474099.3', '123456789012345.7', '900719925474099.2'],
  ] as const) {
    const name = `decimal(${digits},${scale})`
    const type = { kind: 'decimal', precision: digits, scale } as const
    const fields = [{ name: 'k', type, isNullable: true }]
    const rows = [{ k: decimalOf(text, scale) }]
    const made = await new Made().file('a.parquet', fields, rows)
    const bounds = `"minValues":{"k":${least}},"maxValues":{"k":${greatest}},"nullCount":{"k":0}`
    const stats = `{"numRecords":1,${bounds}}`
    made.commit(0, [plainProtocol, metaData([column('k', name)]), add('a.parquet', { stats })])
    t.equal((await found(made, `k = ${text}`, ['k'])).length, 1, name)
    const merged = await mergeRows(made.environment, { on: ['k'], batch: batchOf(fields, rows) })
    t.match(merged, { updated: 1, inserted: 0 }, `a merge finds it, ${name}`)
  }
  const bytes = [field('k', 'binary')]
  const rows = [{ k: Buffer.from('abcd') }]
  const made = await new Made().file('a.parquet', bytes, rows)
  const stats = '{"numRecords":1,"minValues":{"k":"abcd"},"maxValues":{"k":"abcd"}}'
  made.commit(0, [plainProtocol, metaData([column('k', 'binary')]), add('a.parquet', { stats })])
  const merged = await mergeRows(made.environment, { on: ['k'], batch: batchOf(bytes, rows) })
  t.match(merged, { updated: 1, inserted: 0 }, 'bytes are spelled in many ways')
})

const vectors = { 'delta.enableDeletionVectors': 'true' }

t.test(
  'where a table has deletion vectors, files stay and name the rows that are gone',
  async (t) => {
    const rows = Array.from({ length: 70_000 }, (_, i) => `{"id":${i},"n":${i % 7}}`)
    const made = await tableOf([rows], { ...vectors, 'delta.enableChangeDataFeed': 'true' })
    const live = async () => new Set((await made.rows()).map((row) => JSON.parse(row).id as number))
    t.match(await deleteRows(made.environment, 'id IN (0, 65535, 65536, 69999)'), {
      deleted: 4,
      files: 0,
      copied: 0,
    })
    const [, remove, add, ...cdc] = made.log(1) as Record<string, Record<string, unknown>>[]
    t.equal(remove!['remove']!['path'], add!['add']!['path'], 'the file stays')
    t.match(add, {
      add: {
        dataChange: true,
        deletionVector: { storageType: 'u', offset: 1, cardinality: 4 },
        stats: /"numRecords":70000.*"tightBounds":false/,
      },
    })
    t.equal(cdc.length, 1)
    t.equal((await live()).size, 69_996)
    t.match(await deleteRows(made.environment, 'id < 60000 AND n < 6'), { deleted: 51_428 })
    t.match(made.log(2)[1], { remove: { deletionVector: { cardinality: 4 } } })
    t.match(made.log(2)[2], { add: { deletionVector: { cardinality: 51_432 } } })
    const done = await update(made, 'n = 100', 'id = 6 OR id > 69990')
    t.match(done, { updated: 9, copied: 0, files: 1 })
    const left = await live()
    t.ok(
      left.has(6) && left.has(65_537) && !left.has(65_536) && !left.has(5) && left.size === 18_568,
    )
    t.equal((await found(made, 'n = 100')).length, 9)
    t.equal((await changesOf(made, 3)).length, 18, 'each with both images')
    t.match(await deleteRows(made.environment, 'id >= 0'), { deleted: 18_568 })
    t.strictSame(await made.rows(), [])
    t.match(
      made.log(4).filter((line) => line['add'] !== undefined),
      [],
      'files without rows go',
    )
    await restoreTable(made.environment, 2)
    t.equal((await live()).size, 18_568)
    await optimizeTable(made.environment)
    t.equal((await live()).size, 18_568)
    t.ok((await readSnapshot(made.storage)).files.values().next().value!.deletionVector === null)
  },
)

t.test('a merge marks what it matches, and writes what is new', async (t) => {
  const made = await tableOf([['{"id":1}', '{"id":2}', '{"id":3}'], ['{"id":9}']], vectors)
  const batch = batchOf(fields.slice(0, 2), [
    { id: 2n, p: 'x' },
    { id: 3n },
    { id: 4n },
    { id: 9n },
  ])
  const deletes = Uint8Array.of(0, 1, 0, 0)
  const done = await mergeRows(made.environment, { on: ['id'], batch, deletes })
  t.match(done, { updated: 2, deleted: 1, inserted: 1, copied: 0, files: 1 })
  const expected = ['{"id":1}', '{"id":2,"p":"x"}', '{"id":4}', '{"id":9}']
  const bare = (row: string) => row.replace(/,"\w+":null/g, '')
  t.strictSame((await made.rows()).map(bare).sort(), expected)
  const transaction = await made.change()
  const source = { on: ['id'], batch, deletes }
  await stageMerge(made.environment, transaction, source)
  await deleteRows(made.environment, 'id = 1')
  await t.rejects(transaction.commit({ operation: 'MERGE' }), { message: /came first/ })
  const count = made.files().filter((name) => name.includes('deletion_vector')).length
  t.equal(count, 1, 'what lost leaves no vectors behind')
})

t.test('a row that a vector marks as deleted is asked nothing any more', async (t) => {
  const made = await tableOf(
    [['{"id":1,"p":"x"}', '{"id":2,"p":"5"}', '{"id":3,"p":"7"}']],
    vectors,
  )
  await deleteRows(made.environment, 'id = 1')
  const batch = batchOf(fields.slice(0, 2), [
    { id: 1n, p: '9' },
    { id: 2n, p: '6' },
  ])
  const done = await mergeRows(made.environment, { on: ['id'], batch })
  t.match(done, { inserted: 1, updated: 1, deleted: 0, copied: 0 }, 'a deleted key is new again')
  const bare = async () => (await made.rows()).map((row) => row.replace(/,"\w+":null/g, '')).sort()
  t.strictSame(await bare(), ['{"id":1,"p":"9"}', '{"id":2,"p":"6"}', '{"id":3,"p":"7"}'])
  const rows = [1, 2, 3, 4].map((id) => `{"id":${id},"p":"${id === 1 ? 'x' : id + 3}"}`)
  const other = await tableOf([rows], vectors)
  const { environment } = other
  await deleteRows(environment, 'id = 1')
  t.match(await update(other, 'n = 1', '10 / (id - 1) = 5'), { updated: 1, copied: 0 })
  t.match(await deleteRows(environment, 'CAST(p AS INT) = 5'), { deleted: 1, files: 0 })
  t.equal((await found(other, 'n = 1')).length, 1)
  t.match(await deleteRows(environment, 'id > 0'), { deleted: 2, removed: 2 })
})

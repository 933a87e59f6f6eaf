/** Rows merged into tables by key, as SQL's MERGE does it. */
import t from 'tap'
import { batchOf } from '../../../src/tables/columns/column-builder.ts'
import { parseJson } from '../../../src/tables/columns/exact-json.ts'
import { rowOfJson } from '../../../src/tables/columns/json-values.ts'
import {
  type MergeSource,
  mergeDescription,
  mergeRows,
  stageMerge,
} from '../../../src/tables/delta/merge.ts'
import { readSnapshot } from '../../../src/tables/delta/snapshot.ts'
import { changesOf, committed, field, Made, removeScratch, stage } from './made.ts'

t.teardown(removeScratch)

const fields = [field('id', 'int64'), field('p', 'string'), field('v', 'double')]

const tableOf = (
  commits: readonly (readonly string[])[],
  properties: Readonly<Record<string, string>> = {},
  partitionBy: readonly string[] = [],
): Promise<Made> =>
  committed(commits, { fields, partitionBy, properties: new Map(Object.entries(properties)) })

/** Of rows in JSON, with the columns that they name; each may leave some out. */
function sourceOf(lines: readonly string[], more: Partial<MergeSource> = {}): MergeSource {
  const rows = lines.map((line) => rowOfJson(fields, parseJson(line)))
  const named = fields.filter(
    ({ name }) => rows.length === 0 || rows.some((row) => Object.hasOwn(row, name)),
  )
  const silent = new Map(
    named.map(({ name }) => [
      name,
      Uint8Array.from(rows, (row) => (Object.hasOwn(row, name) ? 0 : 1)),
    ]),
  )
  return { on: ['id'], batch: batchOf(named, rows), silent, ...more }
}

const merge = (made: Made, lines: readonly string[], more: Partial<MergeSource> = {}) =>
  mergeRows(made.environment, sourceOf(lines, more))

t.test('what is no value in a partition is no key', async (t) => {
  const made = await tableOf([['{"id":0,"p":"a","v":0}']], {}, ['p'])
  await t.rejects(merge(made, ['{"p":"a","v":1}', '{"p":"","v":1}'], { on: ['p'] }), {
    reason: 'invalid',
    message: /column p of row 2 is an empty text/,
  })
  await merge(made, ['{"p":null,"v":1}', '{"p":"a","v":1}'], { on: ['p'] })
  t.strictSame((await made.rows()).sort(), ['{"id":0,"p":"a","v":1}', '{"id":null,"p":null,"v":1}'])
})

t.test('a row that is there is updated, one that is not inserted', async (t) => {
  const made = await tableOf([
    ['{"id":0,"p":"a","v":0}', '{"id":1,"p":"b","v":1}'],
    ['{"id":2,"p":"c","v":2}'],
    ['{"id":30,"p":"d","v":3}'],
  ])
  const done = await merge(made, ['{"id":1,"v":1.5}', '{"id":2,"p":null}', '{"id":3,"p":"new"}'])
  t.match(done, {
    version: 3,
    inserted: 1,
    updated: 2,
    deleted: 0,
    copied: 1,
    removed: 2,
    files: 1,
  })
  t.strictSame(
    await made.rows(),
    [
      '{"id":30,"p":"d","v":3}',
      '{"id":0,"p":"a","v":0}',
      '{"id":1,"p":"b","v":1.5}',
      '{"id":2,"p":null,"v":2}',
      '{"id":3,"p":"new","v":null}',
    ],
    'what a row leaves out stays as it is, and rows keep their places',
  )
  t.match(made.log(3)[0], {
    commitInfo: {
      operation: 'MERGE',
      isBlindAppend: false,
      operationParameters: { predicate: '["(target.id = source.id)"]' },
      operationMetrics: { numTargetRowsInserted: '1', numTargetRowsUpdated: '2' },
    },
  })
  t.equal(await merge(made, []), null)
  t.equal(await merge(made, ['{"id":77}'], { whenNotMatched: 'nothing' }), null)
  t.equal(await merge(made, ['{"id":30,"v":9}'], { whenMatched: 'nothing' }), null)
  t.equal((await readSnapshot(made.storage)).version, 3, 'nothing to commit')
})

t.test('rows delete what they match', async (t) => {
  const made = await tableOf([
    ['{"id":0}', '{"id":1}', '{"id":2}'],
    ['{"id":3}', '{"id":4}'],
  ])
  const done = await merge(made, ['{"id":0}', '{"id":1,"p":"x"}', '{"id":8}', '{"id":9}'], {
    deletes: Uint8Array.of(1, 0, 1, 0),
  })
  t.match(done, { inserted: 1, updated: 1, deleted: 1 })
  const gone = await merge(made, ['{"id":3}', '{"id":4}'], { whenMatched: 'delete' })
  t.match(gone, { deleted: 2, files: 0, copied: 0, removed: 1 }, 'a file goes whole')
  t.strictSame((await made.rows()).sort(), [
    '{"id":1,"p":"x","v":null}',
    '{"id":2,"p":null,"v":null}',
    '{"id":9,"p":null,"v":null}',
  ])
})

t.test('keys are compared as in SQL', async (t) => {
  const made = await tableOf([
    ['{"id":1,"p":"a","v":-0.0}', '{"p":"a","v":"NaN"}', '{"id":1,"p":"b"}'],
  ])
  await t.rejects(merge(made, ['{"id":1}', '{"id":1}']), {
    reason: 'invalid',
    message: /id 1 comes twice/,
  })
  const last = await merge(made, ['{"id":1,"v":5}', '{"id":1,"v":6}'], { sameKey: 'last' })
  t.match(last, { updated: 2, inserted: 0 }, 'one row updates all that it matches')
  const nothing = await merge(made, ['{"id":null,"p":"n"}', '{"id":null,"p":"n"}'])
  t.match(nothing, { inserted: 2, updated: 0 }, 'no value is equal to none')
  t.match(await merge(made, ['{"id":9,"v":"NaN"}', '{"id":8,"v":0}'], { on: ['v'] }), {
    updated: 1,
    inserted: 1,
  })
  const both = await merge(made, ['{"id":1,"p":"a","v":1}', '{"id":1,"p":"c","v":2}'], {
    on: ['id', 'p'],
  })
  t.match(both, { updated: 1, inserted: 1 })
  for (const [source, says] of [
    [sourceOf(['{"id":1}'], { on: ['nope'] }), /no column nope/],
    [sourceOf(['{"id":1}'], { on: ['p'] }), /no column p/],
    [sourceOf(['{"id":1}'], { on: [] }), /without a key/],
    [{ on: ['id'], batch: batchOf([field('id', 'string')], [{ id: 'x' }]) }, /another type/],
    [
      { on: ['id'], batch: batchOf([fields[0]!, field('q', 'string')], [{ id: 1n }]) },
      /no column q/,
    ],
  ] as const) {
    await t.rejects(mergeRows(made.environment, source), { message: says })
  }
})

t.test('files that can have none of the keys are not opened', async (t) => {
  const commits = ['a', 'b', 'c'].map((p, i) => [
    `{"id":${i * 10},"p":"${p}"}`,
    `{"id":${i * 10 + 5},"p":"${p}"}`,
  ])
  const plain = await tableOf(commits)
  for (const version of [0, 2]) plain.lose(version)
  t.match(await merge(plain, ['{"id":10,"v":1}', '{"id":7}', '{"id":27}']), {
    updated: 1,
    inserted: 2,
  })
  await t.rejects(merge(plain, ['{"id":24}']), { code: 'ENOENT' }, 'one lies within its bounds')
  const parted = await tableOf(commits, {}, ['p'])
  for (const version of [0, 2]) parted.lose(version)
  t.match(await merge(parted, ['{"id":5,"p":"b"}', '{"id":15,"p":"b"}'], { on: ['p', 'id'] }), {
    updated: 1,
    inserted: 1,
  })
  const again = await merge(parted, ['{"id":5,"p":"z"}', '{"id":5,"p":"b"}'], { on: ['p', 'id'] })
  t.match(again, { updated: 1, inserted: 1 }, 'a partition that is not there yet')
})

t.test('where a feed is kept, a merge tells what it did', async (t) => {
  const feed = { 'delta.enableChangeDataFeed': 'true' }
  const made = await tableOf([['{"id":0,"p":"a"}', '{"id":1,"p":"a"}', '{"id":2,"p":"b"}']], feed, [
    'p',
  ])
  await merge(made, ['{"id":0,"p":"b"}', '{"id":1}', '{"id":7,"p":"c"}'], {
    deletes: Uint8Array.of(0, 1, 0),
  })
  t.strictSame((await changesOf(made, 1)).map((line) => line.replace('"v":null,', '')).sort(), [
    '{"id":0,"p":"a","_change_type":"update_preimage","_commit_version":1}',
    '{"id":0,"p":"b","_change_type":"update_postimage","_commit_version":1}',
    '{"id":1,"p":"a","_change_type":"delete","_commit_version":1}',
    '{"id":7,"p":"c","_change_type":"insert","_commit_version":1}',
  ])
  await merge(made, ['{"id":2}', '{"id":8,"p":"d"}'], { deletes: Uint8Array.of(1, 0) })
  t.ok(made.log(2).every((line) => line['cdc'] === undefined || line['add'] !== undefined))
  t.strictSame((await changesOf(made, 2)).map((line) => JSON.parse(line)._change_type).sort(), [
    'delete',
    'insert',
  ])
})

t.test('who merges is hurt by rows that it would have met, and by no others', async (t) => {
  const made = await tableOf([['{"id":0}', '{"id":9}'], ['{"id":100}']])
  const staged = async () => {
    const transaction = await made.change()
    const source = sourceOf(['{"id":9,"v":1}', '{"id":50}'])
    const counts = await stageMerge(made.environment, transaction, source)
    return () => transaction.commit(mergeDescription(source, counts))
  }
  const first = await staged()
  await made.append(['{"id":60}'])
  await first()
  const second = await staged()
  await made.append(['{"id":50}'])
  await t.rejects(second(), { message: /came first/ }, 'the same key was inserted meanwhile')
  const third = await staged()
  await merge(made, ['{"id":0,"v":3}'])
  await t.rejects(third(), { message: /came first/ }, 'rows that would have been met changed')
  const before = made.files().length
  const fourth = await staged()
  t.ok(made.files().length >= before)
  await merge(made, ['{"id":100,"v":3}'])
  await fourth()
  const [one, other] = await Promise.all([
    merge(made, ['{"id":7,"p":"one"}']),
    merge(made, ['{"id":7,"v":7}']),
  ])
  t.equal(one!.inserted + other!.inserted, 1, 'the one that came second updates')
  const sevens = (await made.rows()).filter((row) => row.startsWith('{"id":7,'))
  t.equal(sevens.length, 1)
})

t.test('a merge that fails leaves nothing behind', async (t) => {
  const required = [
    { ...fields[0]!, isNullable: false },
    { ...fields[1]!, isNullable: false },
  ]
  const made = new Made()
  const transaction = made.create({ fields: required })
  await stage(transaction, ['{"id":1,"p":"a"}', '{"id":2,"p":"b"}'])
  await transaction.commit({ operation: 'WRITE' })
  const files = made.files()
  await t.rejects(merge(made, ['{"id":1,"p":"x"}', '{"id":3}']), {
    message: /column p has no value/,
  })
  t.strictSame(made.files(), files)
  t.match(await merge(made, ['{"id":1}', '{"id":2,"p":"x"}']), { updated: 2 })
  const kept = await tableOf([['{"id":0}']], { 'delta.appendOnly': 'true' })
  await t.rejects(merge(kept, ['{"id":0,"v":1}']), { message: /append-only/ })
  t.match(
    await merge(kept, ['{"id":1,"v":1}']),
    { inserted: 1 },
    'rows that are new are only added',
  )
})

t.test('merged into a table that is being made, all rows are new', async (t) => {
  const made = new Made()
  const transaction = made.create({ fields })
  const source = sourceOf(['{"id":1}', '{"id":1,"v":2}', '{"id":3}'], {
    sameKey: 'last',
    deletes: Uint8Array.of(0, 0, 1),
  })
  const counts = await stageMerge(made.environment, transaction, source)
  transaction.progress('sink', 4n)
  await transaction.commit(mergeDescription(source, counts))
  t.strictSame(await made.rows(), ['{"id":1,"p":null,"v":2}'])
})

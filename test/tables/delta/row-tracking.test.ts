/** Rows that are known by an id and a version for all their life, whatever file they are written to. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { batchOf } from '../../../src/tables/columns/column-builder.ts'
import { rowPrinter } from '../../../src/tables/columns/json-text.ts'
import { deleteRows } from '../../../src/tables/delta/delete.ts'
import { mergeRows } from '../../../src/tables/delta/merge.ts'
import { optimizeTable } from '../../../src/tables/delta/optimize.ts'
import { restoreTable } from '../../../src/tables/delta/restore.ts'
import { RowTracking } from '../../../src/tables/delta/row-tracking.ts'
import { readSnapshot } from '../../../src/tables/delta/snapshot.ts'
import { updateRows } from '../../../src/tables/delta/update.ts'
import { ParquetFile } from '../../../src/tables/parquet/parquet-file.ts'
import { inMemory } from '../../../src/tables/random-access.ts'
import { changesOf, field, type Line, Made, removeScratch, stage } from './made.ts'

t.teardown(removeScratch)

const fields = [field('id', 'int64'), field('v', 'string')]

async function tracked(properties: Record<string, string> = {}): Promise<Made> {
  const made = new Made()
  const transaction = made.create({
    fields,
    properties: new Map(Object.entries({ 'delta.enableRowTracking': 'true', ...properties })),
  })
  await stage(transaction, ['{"id":10,"v":"a"}', '{"id":11,"v":"b"}', '{"id":12,"v":"c"}'])
  await transaction.commit({ operation: 'WRITE' })
  await made.append(['{"id":13,"v":"d"}', '{"id":14,"v":"e"}'])
  return made
}

/** By the first column: what a row is known by. */
async function known(made: Made, version?: number): Promise<Record<string, string>> {
  const { schema, metadata, files } = await readSnapshot(made.storage, version)
  const rows: Record<string, string> = {}
  for await (const batch of RowTracking.of(metadata)!.scan(made.storage, schema, files.values())) {
    const print = rowPrinter(batch.fields)
    for (let row = 0; row < batch.rowCount; row++) {
      const [id, v, rowId, rowVersion] = Object.values(JSON.parse(print(batch, row)) as object)
      rows[`${id}${v}`] = `${rowId}@${rowVersion}`
    }
  }
  return rows
}

const addsOf = (made: Made, version: number) =>
  made.log(version).flatMap((line) => ('add' in line ? [line['add'] as Line] : []))

async function columnsIn(made: Made, add: Line): Promise<string[]> {
  const bytes = readFileSync(join(made.root, decodeURIComponent(add['path'] as string)))
  return (await ParquetFile.open(inMemory(bytes))).fields.map(({ name }) => name)
}

for (const properties of [
  {},
  { 'delta.enableDeletionVectors': 'true' },
  { 'delta.columnMapping.mode': 'name' },
  { 'delta.columnMapping.mode': 'id', 'delta.enableChangeDataFeed': 'true' },
] as Record<string, string>[]) {
  t.test(`rows keep their ids where ${JSON.stringify(properties)}`, async (t) => {
    const made = await tracked(properties)
    const first = { '10a': '0@0', '11b': '1@0', '12c': '2@0', '13d': '3@1', '14e': '4@1' }
    t.strictSame(await known(made), first)
    await updateRows(made.environment, { set: "v = 'B'", where: 'id = 11' })
    const updated = { '10a': '0@0', '11B': '1@2', '12c': '2@0', '13d': '3@1', '14e': '4@1' }
    t.strictSame(await known(made), updated)
    await deleteRows(made.environment, 'id = 10')
    await optimizeTable(made.environment)
    const { '10a': _, ...left } = updated
    t.strictSame(await known(made), left)
    await mergeRows(made.environment, {
      on: ['id'],
      batch: batchOf(fields, [
        { id: 12, v: 'C' },
        { id: 15, v: 'f' },
      ]),
    })
    const merged = await known(made)
    const { '15f': inserted, ...others } = merged
    t.strictSame(others, { '11B': '1@2', '12C': '2@5', '13d': '3@1', '14e': '4@1' })
    t.match(inserted, /^\d+@5$/)
    t.equal(new Set(Object.values(merged).map((text) => text.split('@')[0])).size, 5)
    await optimizeTable(made.environment)
    t.strictSame(await known(made), merged)
    t.match(made.log(6)[0], { commitInfo: { tags: { 'delta.rowTracking.preserved': 'true' } } })
    await restoreTable(made.environment, 1)
    t.strictSame(await known(made), first, 'what is brought back is known as it was')
    await made.append(['{"id":16,"v":"g"}'])
    const ids = Object.values(await known(made)).map((text) => Number(text.split('@')[0]))
    t.equal(new Set(ids).size, 6)
    t.ok(Math.max(...ids) > Number(inserted!.split('@')[0]), 'no id comes again')
    if (properties['delta.enableChangeDataFeed'] === 'true') {
      t.match((await changesOf(made, 2, 3)).sort(), [
        '{"id":10,"v":"a","_change_type":"delete","_commit_version":3}',
        '{"id":11,"v":"B","_change_type":"update_postimage","_commit_version":2}',
        '{"id":11,"v":"b","_change_type":"update_preimage","_commit_version":2}',
      ])
    }
  })
}

t.test(
  'only files of rows that were there before have the columns, which have no statistics',
  async (t) => {
    const made = await tracked()
    await mergeRows(made.environment, {
      on: ['id'],
      batch: batchOf(fields, [
        { id: 12, v: 'C' },
        { id: 15, v: 'f' },
      ]),
    })
    const { configuration } = (await readSnapshot(made.storage)).metadata
    const hidden = ['RowId', 'RowCommitVersion'].map((name) =>
      configuration.get(`delta.rowTracking.materialized${name}ColumnName`),
    )
    const files = await Promise.all(addsOf(made, 2).map((add) => columnsIn(made, add)))
    t.strictSame(files, [
      ['id', 'v', ...hidden],
      ['id', 'v'],
    ])
    for (const { stats } of addsOf(made, 2)) t.notMatch(stats, /_row/)
    t.strictSame((await made.rows()).length, 6)
  },
)

t.test('where it is suspended no row gets an id', async (t) => {
  const made = new Made()
  const transaction = made.create({
    fields,
    properties: new Map([['delta.enableRowTracking', 'true']]),
  })
  const metadata = { ...transaction.metadata }
  const configuration = new Map(metadata.configuration)
  configuration.set('delta.enableRowTracking', 'false').set('delta.rowTrackingSuspended', 'true')
  transaction.change({ metadata: { ...metadata, configuration } })
  await stage(transaction, ['{"id":1}'])
  await transaction.commit({ operation: 'WRITE' })
  t.notOk('baseRowId' in addsOf(made, 0)[0]!)
})

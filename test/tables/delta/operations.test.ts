/** What is done with tables beside adding rows: changes told, files put together and cleaned away, versions brought back. */
import { existsSync, rmSync, symlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LocalStorage } from '../../../src/environment/node/local-storage.ts'
import { deleteRows } from '../../../src/tables/delta/delete.ts'
import { newTable } from '../../../src/tables/delta/new-table.ts'
import { optimizeTable } from '../../../src/tables/delta/optimize.ts'
import { restoreTable } from '../../../src/tables/delta/restore.ts'
import { readSnapshot } from '../../../src/tables/delta/snapshot.ts'
import { Transaction } from '../../../src/tables/delta/transaction.ts'
import { vacuumTable } from '../../../src/tables/delta/vacuum.ts'
import {
  add,
  changesOf,
  column,
  committed,
  field,
  framed,
  type Line,
  Made,
  metaData,
  plainProtocol,
  removeScratch,
  stage,
  vectorOf,
  withVectors,
} from './made.ts'

t.teardown(removeScratch)

const id = field('id', 'int64')
const hourMs = 3_600_000

async function tableOf(lines: readonly string[], properties = {}, partitionBy: string[] = []) {
  const made = new Made()
  const transaction = made.create({
    fields: [id, field('p', 'string')],
    partitionBy,
    properties: new Map(Object.entries(properties)),
  })
  await stage(transaction, lines)
  await transaction.commit({ operation: 'WRITE' })
  return made
}

/** Removes all files of the first commit. */
async function removeFirst(made: Made, dataChange = true, lines: readonly string[] = []) {
  const change = await made.change()
  for (const line of made.log(0)) {
    const added = line['add'] as { path: string } | undefined
    const file = [...change.snapshot!.files.values()].find(({ path }) => path === added?.path)
    if (file !== undefined) change.remove(file, dataChange)
  }
  if (lines.length > 0) await stage(change, lines)
  await change.commit({ operation: 'DELETE' })
}

t.test('what was added is inserted, what was removed deleted', async (t) => {
  const made = await tableOf(['{"id":1}'])
  await made.append(['{"id":2,"p":"x"}'])
  await removeFirst(made)
  t.strictSame(await changesOf(made, 0), [
    '{"id":1,"p":null,"_change_type":"insert","_commit_version":0}',
    '{"id":2,"p":"x","_change_type":"insert","_commit_version":1}',
    '{"id":1,"p":null,"_change_type":"delete","_commit_version":2}',
  ])
  t.equal((await changesOf(made, 1, 1)).length, 1)
  await t.rejects(changesOf(made, 2, 1), { message: /from 2 to 1/ })
  await t.rejects(changesOf(made, 3), { message: /from 3 to 2/ })
  rmSync(join(made.root, '_delta_log/00000000000000000001.json'))
  await t.rejects(changesOf(made, 0), { message: /version 1/ })
})

t.test('rows that may only have moved are told where a feed is kept', async (t) => {
  const rewrite = async (properties: Line) => {
    const made = await tableOf(['{"id":1}', '{"id":2}'], properties)
    await removeFirst(made, true, ['{"id":2}'])
    return changesOf(made, 1)
  }
  await t.rejects(rewrite({}), { reason: 'unsupported', message: /changeDataFeed/ })
  t.equal((await rewrite({ 'delta.enableChangeDataFeed': 'true' })).length, 3)
})

t.test('files of changes tell all, whatever the commit adds and removes', async (t) => {
  const made = await tableOf(['{"id":1}', '{"id":2}'], { 'delta.enableChangeDataFeed': 'true' }, [
    'p',
  ])
  const changeType = field('_change_type', 'string')
  await made.file(
    '_change_data/cdc-1.parquet',
    [id, changeType],
    [
      { id: 2n, _change_type: 'update_preimage' },
      { id: 3n, _change_type: 'update_postimage' },
    ],
  )
  const cdc = { path: '_change_data/cdc-1.parquet', partitionValues: { p: 'x' }, size: 1 }
  made.commit(1, [{ cdc: { ...cdc, dataChange: false } }, add('rewritten.parquet')])
  t.strictSame(await changesOf(made, 1), [
    '{"id":2,"p":"x","_change_type":"update_preimage","_commit_version":1}',
    '{"id":3,"p":"x","_change_type":"update_postimage","_commit_version":1}',
  ])
})

t.test('columns of the feed are none of a table that keeps one', async (t) => {
  const feed = new Map([['delta.enableChangeDataFeed', 'true']])
  const taken = { reason: 'invalid', message: /has no column _Commit_version: its feed has one/ }
  const fields = [field('id', 'int64'), field('_Commit_version', 'string')]
  await t.rejects(committed([['{"id":1}']], { fields, properties: feed }), taken)
  const made = await committed([['{"id":1}']], { fields })
  const transaction = await made.change()
  const metadata = { ...transaction.metadata, configuration: feed }
  t.throws(() => transaction.change({ metadata }), taken)
})

t.test('of a file whose deleted rows changed, those are told', async (t) => {
  const rows = Array.from({ length: 4 }, (_, i) => ({ id: BigInt(i) }))
  const made = await new Made().file('a.parquet', [id], rows)
  const vector = (name: string, ...deleted: number[]) => {
    const bitmap = vectorOf(deleted)
    made.put(name, framed(bitmap))
    const at = { storageType: 'p', pathOrInlineDv: name, offset: 1 }
    return { ...at, sizeInBytes: bitmap.length, cardinality: deleted.length }
  }
  const [first, second] = [vector('1.bin', 1), vector('2.bin', 1, 3)]
  const configuration = { 'delta.enableChangeDataFeed': 'true' }
  made
    .commit(0, [withVectors, metaData([column('id', 'long')], { configuration })])
    .commit(1, [add('a.parquet', { deletionVector: first })])
    .commit(2, [
      { remove: { path: 'a.parquet', dataChange: true, deletionVector: first } },
      add('a.parquet', { deletionVector: second }),
    ])
    .commit(3, [
      { remove: { path: 'a.parquet', dataChange: true, deletionVector: second } },
      add('a.parquet'),
    ])
  const told = (await changesOf(made, 1)).map((line) => {
    const { id: row, _change_type: type, _commit_version: version } = JSON.parse(line)
    return `${version} ${type} ${row}`
  })
  t.strictSame(told, [
    '1 insert 0',
    '1 insert 2',
    '1 insert 3',
    '2 delete 3',
    '3 insert 1',
    '3 insert 3',
  ])
})

t.test('a version is brought back by a new one', async (t) => {
  const made = await tableOf(['{"id":1}'])
  const change = await made.change()
  change.progress('sink', 9n)
  await stage(change, ['{"id":2}'])
  await change.commit({ operation: 'WRITE' })
  await removeFirst(made)
  t.match(await restoreTable(made.environment, 0), { version: 3, added: 1, removed: 1 })
  t.strictSame(await made.rows(), ['{"id":1,"p":null}'])
  t.equal((await made.change()).progressOf('sink'), 9n, 'nobody writes again what it has written')
  t.equal(await restoreTable(made.environment, 0), null)
  await t.rejects(restoreTable(made.environment, 9), { message: /no version 9/ })
  const gone = [...(await readSnapshot(made.storage, 1)).files.values()].at(-1)!
  rmSync(join(made.root, gone.path))
  await t.rejects(restoreTable(made.environment, 1), { message: /was vacuumed/ })
})

t.test('a version is not brought back whose deletion vectors were vacuumed', async (t) => {
  const vectors = { 'delta.enableDeletionVectors': 'true' }
  const made = await tableOf(['{"id":1}', '{"id":2}', '{"id":3}'], vectors)
  await deleted(made, 'id = 1')
  await deleted(made, 'id = 2')
  t.match(await restoreTable(made.environment, 1), { version: 3, added: 1, removed: 1 })
  t.equal((await made.rows()).length, 2, 'the file of the vector is there')
  await restoreTable(made.environment, 2)
  made.now = Date.now() + hourMs
  const { files } = await vacuumTable(made.environment, { retentionMs: 0, force: true })
  t.match(files, [/^deletion_vector_/], 'the data file is still needed')
  await t.rejects(restoreTable(made.environment, 1), {
    reason: 'missing',
    message: /version 1 cannot be restored: its file deletion_vector_\S+ was vacuumed/,
  })
  t.strictSame(await made.rows(), ['{"id":3,"p":null}'])
})

t.test('small files become large ones, and no row changes', async (t) => {
  const made = await tableOf(['{"id":0,"p":"a"}', '{"id":1,"p":"b"}'], {}, ['p'])
  for (let i = 2; i < 8; i++) await made.append([`{"id":${i},"p":"${i % 2 === 0 ? 'a' : 'b'}"}`])
  const before = (await made.rows()).sort()
  const late = await made.change()
  await stage(late, ['{"id":8,"p":"a"}'])
  const done = await optimizeTable(made.environment)
  t.match(done, { version: 7, removed: 8, files: 2 })
  t.strictSame((await made.rows()).sort(), before)
  t.strictSame(await changesOf(made, 7), [], 'readers of changes see nothing')
  t.equal((await late.commit({ operation: 'WRITE' })).version, 8, 'appends meanwhile are fine')
  t.match(await optimizeTable(made.environment), { removed: 2, files: 1 })
  t.equal(await optimizeTable(made.environment), null, 'files alone in their partition stay')
})

t.test('optimize leaves deleted rows out for good', async (t) => {
  const rows = Array.from({ length: 4 }, (_, i) => ({ id: BigInt(i) }))
  const made = await new Made().file('a.parquet', [id], rows)
  const bitmap = vectorOf([0, 2])
  made.put('v.bin', framed(bitmap))
  const at = { storageType: 'p', pathOrInlineDv: 'v.bin', offset: 1 }
  const deletionVector = { ...at, sizeInBytes: bitmap.length, cardinality: 2 }
  made.commit(0, [
    withVectors,
    metaData([column('id', 'long')]),
    add('a.parquet', { deletionVector }),
  ])
  await optimizeTable(made.environment)
  const [file] = [...(await readSnapshot(made.storage)).files.values()]
  t.equal(file!.deletionVector, null)
  t.match(file!.stats, /"numRecords":2.*"tightBounds":true/)
  t.strictSame(await made.rows(), ['{"id":1}', '{"id":3}'])
})

t.test('vacuum deletes what nobody needs any more, and nothing else', async (t) => {
  const made = await tableOf(['{"id":1,"p":"Zürich x"}'], {}, ['p'])
  made.put('_change_data/cdc-old.parquet', 'x')
  made.put('orphan.parquet', 'x')
  made.put('.0aaaaaaa-0000-4000-8000-000000000000.tmp', 'x')
  made.put('_delta_log/.0aaaaaaa-0000-4000-8000-000000000000.tmp', 'x')
  made.put('.of-others', 'x')
  made.put('_of_others/file', 'x')
  made.put('metadata/v1.json', 'x')
  await removeFirst(made)
  await made.append(['{"id":2,"p":"Zürich x"}'])
  const removed = [...(await readSnapshot(made.storage, 0)).files.keys()][0]!
  const age = (hours: number) => {
    const time = (made.now - hours * hourMs) / 1000
    for (const name of made.files()) utimesSync(join(made.root, name), time, time)
    utimesSync(join(made.root, '_delta_log/.0aaaaaaa-0000-4000-8000-000000000000.tmp'), time, time)
  }
  age(167)
  t.strictSame((await vacuumTable(made.environment)).files, [], 'all is too young')
  age(169)
  const stale = [
    '.0aaaaaaa-0000-4000-8000-000000000000.tmp',
    '_change_data/cdc-old.parquet',
    '_delta_log/.0aaaaaaa-0000-4000-8000-000000000000.tmp',
    'orphan.parquet',
  ]
  const dry = await vacuumTable(made.environment, { dryRun: true })
  t.strictSame(dry.files, stale, 'a file that was just removed is still to be read')
  t.ok(existsSync(join(made.root, 'orphan.parquet')), 'a dry run deletes nothing')
  const short = vacuumTable(made.environment, { retentionMs: 0 })
  await t.rejects(short, { reason: 'invalid', message: /168 hours/ })
  t.strictSame((await vacuumTable(made.environment)).files, stale)
  made.now += 1
  const last = await vacuumTable(made.environment, { retentionMs: 0, force: true })
  t.strictSame(last.files, [decodeURIComponent(removed)])
  t.strictSame(await made.rows(), ['{"id":2,"p":"Zürich x"}'])
  t.strictSame(
    made.files().filter((name) => !name.startsWith('p=')),
    ['.of-others', '_of_others/file', 'metadata/v1.json'],
  )
})

t.test('vacuum stays out of what symbolic links lead to', async (t) => {
  const made = await tableOf(['{"id":1,"p":"a"}'], {}, ['p'])
  const orphans = ['orphan.parquet', 'p=a/orphan.parquet']
  for (const name of orphans) made.put(name, 'x')
  const hidden = '.0aaaaaaa-0000-4000-8000-000000000000.tmp'
  const others = new Made().put('precious.parquet', 'x').put('deep/precious.parquet', 'x')
  const link = (to: string, name: string) => symlinkSync(to, join(made.root, name))
  for (const name of ['linked', 'p=a/nested', '_change_data']) link(others.root, name)
  link(join(made.root, 'p=a'), 'alias')
  link(join(others.root, 'precious.parquet'), 'file.parquet')
  link(join(others.root, 'precious.parquet'), hidden)
  link(join(others.root, 'precious.parquet'), `_delta_log/${hidden}`)
  link(join(others.root, 'nothing'), 'nowhere')
  link('itself', 'itself')
  // The table is itself behind a link.
  const root = join(new Made().root, 'table')
  symlinkSync(made.root, root)
  made.now = Date.now() + 200 * hourMs
  const storage = new LocalStorage(root)
  const { files } = await vacuumTable({ ...made.environment, storage })
  t.strictSame(files, orphans)
  t.strictSame(others.files(), ['deep/precious.parquet', 'precious.parquet'])
  t.strictSame(await made.rows(), ['{"id":1,"p":"a"}'], 'nor is a file lost by its other name')
  const links = (await storage.list('')).filter(({ isLink }) => isLink).map(({ name }) => name)
  t.strictSame(links, [hidden, '_change_data', 'alias', 'file.parquet', 'linked'])
  t.match(await storage.list('p=a'), [{ name: 'nested', isDirectory: true, isLink: true }, {}])
})

t.test('vacuum stays out of tables that lie within', async (t) => {
  const made = await tableOf(['{"id":1,"p":"a"}'], {}, ['p'])
  for (const name of ['orphan.parquet', 'deep/orphan.parquet']) made.put(name, 'x')
  const inner = (name: string) => new LocalStorage(join(made.root, name))
  for (const name of ['inner', 'deep/inner', 'p=a/inner']) {
    const environment = { ...made.environment, storage: inner(name) }
    const table = newTable({ fields: [id] }, environment)
    const transaction = Transaction.creating(environment, table)
    await stage(transaction, ['{"id":1}'])
    await transaction.commit({ operation: 'WRITE' })
  }
  made.now = Date.now() + 200 * hourMs
  const { files } = await vacuumTable(made.environment)
  t.strictSame(files, ['deep/orphan.parquet', 'orphan.parquet'])
  for (const name of ['inner', 'deep/inner', 'p=a/inner']) {
    const { files } = await readSnapshot(inner(name))
    for (const path of files.keys()) t.ok(existsSync(join(made.root, name, path)), name)
  }
})

t.test('a table may have more files than a call has arguments', async (t) => {
  const many = 130_000
  const files = Array.from({ length: many }, (_, i) => add(`${i}`))
  const made = new Made().commit(0, [plainProtocol, metaData([column('id', 'long')]), ...files])
  await t.rejects(optimizeTable(made.environment), { code: 'ENOENT' }, 'it came to reading them')
})

t.test('a commit may have more actions than a call has arguments', async (t) => {
  const made = await tableOf(['{"id":1}'])
  const change = await made.change()
  const [file] = change.snapshot!.files.values()
  for (let i = 0; i < 130_000; i++) change.remove(file!, true)
  t.match(await change.commit({ operation: 'DELETE' }), { version: 1 })
})

async function deleted(made: Made, where: string): Promise<number> {
  return (await deleteRows(made.environment, where))?.deleted ?? 0
}

t.test('rows that match are deleted, with no more written than needed', async (t) => {
  const made = await tableOf(['{"id":0,"p":"a"}', '{"id":1,"p":"b"}', '{"id":2}'], {}, ['p'])
  await made.append(['{"id":3,"p":"a"}', '{"id":4,"p":"a"}'])
  t.equal(await deleted(made, 'id = 9'), 0)
  t.equal((await made.change()).snapshot!.version, 1, 'nothing to commit')
  t.equal(await deleted(made, 'id = 3'), 1)
  t.match(made.log(2), [{ commitInfo: { operation: 'DELETE' } }, {}, { add: { dataChange: true } }])
  t.equal(await deleted(made, "p = 'b'"), 1)
  t.equal(made.log(3).length, 2, 'a whole partition goes without a new file')
  t.strictSame((await made.rows()).sort(), [
    '{"id":0,"p":"a"}',
    '{"id":2,"p":null}',
    '{"id":4,"p":"a"}',
  ])
  t.equal(await deleted(made, 'id >= 0 AND p IS NOT NULL'), 2)
  t.strictSame(await made.rows(), ['{"id":2,"p":null}'])
  for (const where of [
    '',
    'id',
    'id =',
    'nope = 1',
    "id = 'x'",
    'id = 1.5',
    '(id = 1',
    'id = 1 id',
  ]) {
    await t.rejects(deleted(made, where), { message: /^the condition/ }, where)
  }
  const kept = await tableOf(['{"id":0}'], { 'delta.appendOnly': 'true' })
  await t.rejects(deleted(kept, 'id = 0'), { message: /append-only/ })
})

t.test('where a feed is kept, deleted rows are told', async (t) => {
  const rows = ['{"id":0,"p":"a"}', '{"id":1,"p":"a"}', '{"id":2,"p":"b"}']
  const made = await tableOf(rows, { 'delta.enableChangeDataFeed': 'true' }, ['p'])
  t.equal(await deleted(made, 'id > 0'), 2)
  t.equal(made.files().filter((name) => name.startsWith('_change_data/p=')).length, 2)
  const told = ['a', 'b'].map(
    (p, i) => `{"id":${i + 1},"p":"${p}","_change_type":"delete","_commit_version":1}`,
  )
  t.strictSame((await changesOf(made, 1)).sort(), told)
  t.equal(await deleted(made, 'id = 0'), 1)
  t.match(made.log(2)[1], { remove: {} }, 'a file that goes whole tells itself')
  t.equal(made.log(2).length, 2)
})

t.test('who deletes while others append begins anew', async (t) => {
  const made = await tableOf(['{"id":0}', '{"id":1}'])
  const deleting = deleteRows(made.environment, 'id < 5')
  for (let i = 2; i < 5; i++) await made.append([`{"id":${i}}`])
  t.ok((await deleting)!.deleted >= 2)
  await deleteRows(made.environment, 'id < 5')
  t.strictSame(await made.rows(), [])
})

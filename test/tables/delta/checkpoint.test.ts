/** Checkpoints written, read in place of the commits before them, and what a log comes to without some of its files. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readLastCheckpoint } from '../../../src/tables/delta/last-checkpoint.ts'
import { readSnapshot } from '../../../src/tables/delta/snapshot.ts'
import { ParquetFile } from '../../../src/tables/parquet/parquet-file.ts'
import { inMemory } from '../../../src/tables/random-access.ts'
import {
  add,
  column,
  field,
  type Line,
  Made,
  metaData,
  plainProtocol,
  removeScratch,
  stage,
} from './made.ts'

t.teardown(removeScratch)

const padded = (version: number) => String(version).padStart(20, '0')

async function checkpointed(properties: Record<string, string> = {}): Promise<Made> {
  const made = new Made()
  const known = { 'delta.checkpointInterval': '2', ...properties }
  const transaction = made.create({
    fields: [field('id', 'int64'), field('p', 'string')],
    partitionBy: ['p'],
    properties: new Map(Object.entries(known)),
  })
  await stage(transaction, ['{"id":0,"p":"a"}', '{"id":1}'])
  transaction.progress('app', 2n ** 62n)
  await transaction.commit({ operation: 'WRITE' })
  const change = await made.change()
  change.remove([...change.snapshot!.files.values()][0]!, true)
  await stage(change, ['{"id":2,"p":"b"}'])
  await change.commit({ operation: 'DELETE' })
  return made
}

t.test('a checkpoint says what the commits before it said', async (t) => {
  const made = await checkpointed({ 'delta.enableRowTracking': 'true' })
  const last = await made.change()
  await stage(last, ['{"id":3,"p":"c"}'])
  t.equal((await last.commit({ operation: 'WRITE' })).checkpointFailure, null)
  t.strictSame(await readLastCheckpoint(made.storage), { version: 2 })
  const before = await readSnapshot(made.storage, 2)
  const rows = (await made.rows()).sort()
  for (const version of [0, 1, 2]) rmSync(join(made.root, `_delta_log/${padded(version)}.json`))
  const after = await readSnapshot(made.storage)
  const told = (snapshot: typeof after) => ({
    ...snapshot,
    schema: null,
    inCommitTimestamp: null,
    files: [...snapshot.files.values()].map((file) => ({ ...file, dataChange: false })),
    tombstones: [...snapshot.tombstones.values()].map(({ path }) => path),
  })
  t.strictSame(told(after), told(before))
  t.strictSame((await made.rows()).sort(), rows)
  await made.append(['{"id":4,"p":"d"}'])
  t.equal((await made.rows()).length, rows.length + 1, 'and the log goes on')
})

t.test('a checkpoint is what every reader understands', async (t) => {
  const made = await checkpointed()
  await made.append(['{"id":3,"p":"c"}'])
  const bytes = readFileSync(join(made.root, `_delta_log/${padded(2)}.checkpoint.parquet`))
  const file = await ParquetFile.open(inMemory(bytes))
  t.ok(file.fields.every(({ isNullable }) => isNullable))
  const names = file.fields.map(({ name }) => name)
  t.strictSame(names, ['txn', 'add', 'remove', 'metaData', 'protocol', 'domainMetadata'])
  const hint = JSON.parse(readFileSync(join(made.root, '_delta_log/_last_checkpoint'), 'utf8'))
  t.match(hint, { version: 2, size: file.rowCount, sizeInBytes: bytes.length, numOfAddFiles: 3 })
})

t.test('tombstones are forgotten when nobody may need them', async (t) => {
  const made = await checkpointed({ 'delta.deletedFileRetentionDuration': 'interval 1 hour' })
  made.now += 3_600_001
  await made.append(['{"id":3,"p":"c"}'])
  rmSync(join(made.root, `_delta_log/${padded(0)}.json`))
  t.equal((await readSnapshot(made.storage)).tombstones.size, 0)
})

t.test('a hint may be old, damaged or lead nowhere', async (t) => {
  const made = await checkpointed()
  await made.append(['{"id":3,"p":"c"}'])
  const rows = await made.rows()
  for (const hint of ['{"version":0}', '{"ver', '[]', '{"version":99}', '{"version":1e300}', '']) {
    made.put('_delta_log/_last_checkpoint', hint)
    t.strictSame(await made.rows(), rows, hint)
  }
})

t.test('a checkpoint that fails does not undo the commit', async (t) => {
  const made = await checkpointed()
  const configuration = { 'delta.checkpointInterval': 'often' }
  const others = made.log(0).map(({ metaData, ...line }) => {
    return metaData === undefined ? line : { metaData: { ...(metaData as Line), configuration } }
  })
  made.commit(0, others)
  const change = await made.change()
  await stage(change, ['{"id":3}'])
  const { version, checkpointFailure } = await change.commit({ operation: 'WRITE' })
  t.equal(version, 2)
  t.match(checkpointFailure, { message: 'delta.checkpointInterval=often' })
})

t.test('a log compaction stands for its commits', async (t) => {
  const made = new Made()
    .commit(0, [plainProtocol, metaData([column('id', 'long')]), add('a')])
    .commit(4, [add('e')])
    .put(
      `_delta_log/${padded(1)}.${padded(3)}.compacted.json`,
      [add('d'), { remove: { path: 'a', dataChange: true } }]
        .map((line) => `${JSON.stringify(line)}\n`)
        .join(''),
    )
    .put(`_delta_log/${padded(1)}.${padded(2)}.compacted.json`, 'not looked at')
  const files = async (version?: number) => [
    ...(await readSnapshot(made.storage, version)).files.keys(),
  ]
  t.strictSame(await files(), ['d', 'e'])
  t.strictSame(await files(3), ['d'])
  t.strictSame(await files(0), ['a'])
  await t.rejects(files(2), { message: /compacted.json, line 1/ })
  await t.rejects(files(1), { message: /no version 1/ })
})

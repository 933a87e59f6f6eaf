/** Checkpoints written, read in place of the commits before them, and what a log comes to without some of its files. */
import { readFileSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { versionAt } from '../../../src/tables/delta/history.ts'
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

const dayMs = 86_400_000

/** A table whose commit of version `v` is of the day `v` (at noon), by the times of its files; a checkpoint every second. */
async function aged(
  versions: number,
  properties: Record<string, string> = {},
): Promise<{ made: Made; day: (version: number) => number }> {
  const made = new Made()
  const start = made.now - (made.now % dayMs)
  const day = (version: number) => start + version * dayMs + dayMs / 2
  const known = {
    'delta.checkpointInterval': '2',
    'delta.logRetentionDuration': 'interval 1000 days',
    ...properties,
  }
  made.now = day(0)
  const transaction = made.create({
    fields: [field('id', 'int64')],
    properties: new Map(Object.entries(known)),
  })
  await stage(transaction, ['{"id":0}'])
  await transaction.commit({ operation: 'WRITE' })
  for (let version = 1; version <= versions; version++) {
    made.now = day(version)
    await made.append([`{"id":${version}}`])
  }
  for (const { name } of await made.storage.list('_delta_log')) {
    const version = Number(/^\d{20}/.exec(name)?.[0] ?? versions)
    const seconds = day(version) / 1000
    utimesSync(join(made.root, '_delta_log', name), seconds, seconds)
  }
  return { made, day }
}

const logOf = async (made: Made) =>
  (await made.storage.list('_delta_log'))
    .filter(({ isDirectory, name }) => !isDirectory && name !== '_last_checkpoint')
    .map(({ name }) => name.replace(/^(\.?)0{18}/, '$1').replace(/[0-9a-f-]{36}/, 'uuid'))

/** The table keeps so many days of its log from now on. */
async function keepDays(made: Made, days: number, more: Record<string, string> = {}) {
  const transaction = await made.change()
  const { metadata } = transaction.snapshot!
  const kept = { 'delta.logRetentionDuration': `interval ${days} days`, ...more }
  const configuration = new Map([...metadata.configuration, ...Object.entries(kept)])
  transaction.change({ metadata: { ...metadata, configuration } })
  return transaction.commit({ operation: 'SET TBLPROPERTIES' })
}

t.test(
  'what is older than the log is kept goes, down to a checkpoint that the rest needs',
  async (t) => {
    const { made, day } = await aged(8)
    made.put('_delta_log/00000000000000000003.crc', '{}')
    made.put('_delta_log/.00000000000000000003.json.crc', '{}')
    made.put('_delta_log/00000000000000000005.crc', '{}')
    made.put('_delta_log/00000000000000000001.00000000000000000002.compacted.json', '')
    made.put('_delta_log/00000000000000000004.00000000000000000005.compacted.json', '')
    made.put('_delta_log/00000000000000000001.checkpoint.0000000001.0000000002.parquet', '')
    made.put('_delta_log/_other', 'kept')
    made.now = day(9)
    await keepDays(made, 3)
    made.now = day(10)
    // Three days before, at midnight, is behind the commit of day 6 and before that of day 7: and there is a checkpoint.
    t.match(await keepDays(made, 3), { version: 10, checkpointFailure: null, cleanupFailure: null })
    t.strictSame(await logOf(made), [
      ...['06.checkpoint.parquet', '06.json', '07.json', '08.checkpoint.parquet', '08.json'],
      ...['09.json', '10.checkpoint.parquet', '10.json', '_other'],
    ])
    t.equal((await made.rows()).length, 9)
    t.equal((await made.rows(7)).length, 8)
    await t.rejects(made.rows(5), { reason: 'missing', message: /version 5 is no longer there/ })
    await made.append(['{"id":9}'])
    t.equal((await made.rows()).length, 10)
  },
)

t.test('the log stays where nothing bounds it, or that is what the table says', async (t) => {
  for (const [days, more, first] of [
    [1000, {}, '00.json'],
    [3, { 'delta.enableExpiredLogCleanup': 'false' }, '00.json'],
    // The only checkpoint is newer than what is kept.
    [8, {}, '00.json'],
    [7, {}, '02.checkpoint.parquet'],
    [0, {}, '08.checkpoint.parquet'],
  ] as const) {
    const { made, day } = await aged(8)
    made.now = day(9)
    await keepDays(made, days, more)
    made.now = day(10)
    await keepDays(made, days, more)
    t.equal((await logOf(made))[0], first, `${days} days`)
    t.equal((await made.rows()).length, 9)
  }
})

t.test('checkpoints that are protected go with all that is before them, or stay', async (t) => {
  for (const [before, first] of [
    ['7', '00.json'],
    ['6', '06.checkpoint.parquet'],
    ['0', '06.checkpoint.parquet'],
  ] as const) {
    const { made, day } = await aged(8)
    const transaction = await made.change()
    const protocol = {
      ...{ minReaderVersion: 1, minWriterVersion: 7, readerFeatures: null },
      writerFeatures: ['appendOnly', 'invariants', 'checkpointProtection'],
    }
    transaction.change({ protocol })
    made.now = day(9)
    await transaction.commit({ operation: 'DROP FEATURE' })
    made.now = day(10)
    await keepDays(made, 3, { 'delta.requireCheckpointProtectionBeforeVersion': before })
    t.equal((await logOf(made))[0], first, before)
  }
})

t.test('the log is looked through once a day', async (t) => {
  const { made, day } = await aged(8)
  made.now = day(9)
  await keepDays(made, 3)
  const before = Number(day(10)) / 1000
  utimesSync(join(made.root, `_delta_log/${padded(8)}.json`), before, before)
  made.now = day(10)
  await keepDays(made, 3)
  t.equal((await logOf(made))[0], '00.json')
})

t.test('commits have the time that they say themselves', async (t) => {
  const { made, day } = await aged(8, { 'delta.enableInCommitTimestamps': 'true' })
  for (const { name } of await made.storage.list('_delta_log')) {
    utimesSync(join(made.root, '_delta_log', name), day(8) / 1000, day(8) / 1000)
  }
  made.now = day(9)
  await keepDays(made, 3)
  made.now = day(10)
  await keepDays(made, 3)
  t.equal((await logOf(made))[0], '06.checkpoint.parquet')
  t.equal(await versionAt(made.storage, day(7)), 7)
  t.equal(await versionAt(made.storage, day(8) - 1), 7)
  await made.append(['{"id":9}'])
  t.ok((await readSnapshot(made.storage)).inCommitTimestamp! >= day(10))
})

t.test(
  'rows of files lie in sidecars, which go with the last checkpoint that names them',
  async (t) => {
    const { made, day } = await aged(8, { 'delta.checkpointPolicy': 'v2' })
    t.match(made.log(0)[1], { protocol: { readerFeatures: ['v2Checkpoint'] } })
    const sidecars = async () => (await made.storage.list('_delta_log/_sidecars')).length
    t.equal(await sidecars(), 4)
    t.equal(
      (await logOf(made)).filter((name) => name.endsWith('.checkpoint.uuid.parquet')).length,
      4,
    )
    const hint = JSON.parse(readFileSync(join(made.root, '_delta_log/_last_checkpoint'), 'utf8'))
    t.match(hint, {
      version: 8,
      numOfAddFiles: 9,
      v2Checkpoint: { path: /^0{19}8\.checkpoint\.[0-9a-f-]{36}\.parquet$/ },
    })
    const before = await readSnapshot(made.storage)
    for (let version = 0; version < 8; version++) {
      rmSync(join(made.root, `_delta_log/${padded(version)}.json`))
    }
    const after = await readSnapshot(made.storage)
    t.strictSame([...after.files.keys()].sort(), [...before.files.keys()].sort())
    t.strictSame(after.metadata, before.metadata)
    for (const { name } of await made.storage.list('_delta_log/_sidecars')) {
      utimesSync(join(made.root, '_delta_log/_sidecars', name), 1, 1)
    }
    made.put('_delta_log/_sidecars/young.parquet', '')
    utimesSync(
      join(made.root, '_delta_log/_sidecars/young.parquet'),
      day(10) / 1000,
      day(10) / 1000,
    )
    made.now = day(9)
    await keepDays(made, 1)
    made.now = day(10)
    await keepDays(made, 1)
    t.strictSame(await logOf(made), [
      ...['08.checkpoint.uuid.parquet', '08.json', '09.json'],
      ...['10.checkpoint.uuid.parquet', '10.json'],
    ])
    t.equal(await sidecars(), 3, 'those of versions 8 and 10, and the young one')
    t.equal((await made.rows()).length, 9)
  },
)

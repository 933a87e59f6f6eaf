/** Tables in which each key has one row: updated, deleted, and right whatever is killed when and whoever writes beside. */
import t from 'tap'
import type { SinkRecord } from '../../src/connect/records.ts'
import { LocalStorage } from '../../src/environment/node/local-storage.ts'
import { NodeRandom } from '../../src/environment/node/random.ts'
import { optimizeTable } from '../../src/tables/delta/optimize.ts'
import { readSnapshot } from '../../src/tables/delta/snapshot.ts'
import { json, killEverywhere, newPlace, record, rowsOf, Trial } from './delta-trial.ts'

t.setTimeout(120_000)

const partitions = [0, 1].map((partition) => ({ topic: 'flights', partition }))
const byKey = { 'table.key.mode': 'upsert', 'kafka.key.column': 'key' }

const row = (offset: number, key: unknown, value: unknown, kafkaPartition = 0): SinkRecord =>
  record(offset, json(value), { key, kafkaPartition, originalKafkaPartition: kafkaPartition })

async function landed(
  commits: readonly (readonly SinkRecord[])[],
  settings: Record<string, string> = {},
): Promise<{ location: string; trial: Trial }> {
  const location = newPlace()
  const trial = new Trial({ 'table.path': location, ...byKey, ...settings })
  await trial.start(partitions.slice(0, 1), true)
  const log: SinkRecord[] = []
  for (const records of commits) {
    log.push(...records)
    await trial.read(new Map([['flights-0', log]]), 1000)
    await trial.commit()
  }
  return { location, trial }
}

const sorted = async (location: string) =>
  (await rowsOf(location)).sort((a, b) => (String(a['key']) < String(b['key']) ? -1 : 1))

t.test('the last record of a key is its row, and one without a value takes it away', async (t) => {
  const { location } = await landed([
    [row(0, 'a', { n: 1, old: true }), row(1, 'b', { n: 1 }), row(2, 'a', { n: 2, old: true })],
    [row(3, 'b', null), row(4, 'c', { n: 3, more: 'x' }), row(5, 'd', null), row(6, 'a', { n: 4 })],
    [row(7, 'e', { n: 5 }), row(8, 'e', null), row(9, 'c', null), row(10, 'c', { n: 6 })],
  ])
  t.strictSame(await sorted(location), [
    { key: 'a', n: 4, old: null, more: null },
    { key: 'c', n: 6, old: null, more: null },
  ])
  const snapshot = await readSnapshot(new LocalStorage(location))
  t.equal(snapshot.transactions.get('lander/flights/0')?.version, 11n)
})

t.test('a key that was taken away comes back in a table with deletion vectors', async (t) => {
  const { location } = await landed(
    [
      [row(0, 'a', { n: 1 }), row(1, 'b', { n: 1 }), row(2, 'c', { n: 1 })],
      [row(3, 'a', null)],
      [row(4, 'a', { n: 2 }), row(5, 'b', { n: 2 })],
    ],
    { 'table.properties': 'delta.enableDeletionVectors=true' },
  )
  t.strictSame(await sorted(location), [
    { key: 'a', n: 2 },
    { key: 'b', n: 2 },
    { key: 'c', n: 1 },
  ])
})

t.test('keys that are no text, and would be one as text, are refused', async (t) => {
  const keys = [[0x80], [0xff], [0x61]].map((bytes) => Buffer.from(bytes).toString())
  const { location, trial } = await landed([keys.map((key, n) => row(n, key, { n }))])
  t.strictSame(await sorted(location), [{ key: 'a', n: 2 }])
  t.match(trial.reported, [/^0.*no UTF-8 text/, /^1.*no UTF-8 text/])
})

t.test('an empty key is none where the table is partitioned by it', async (t) => {
  const settings = { 'table.partition.by': 'key' }
  const commits = [[row(0, 'a', { n: 1 }), row(1, '', { n: 1 })], [row(2, '', { n: 2 })]]
  const { location, trial } = await landed(commits, settings)
  t.strictSame(await sorted(location), [{ key: 'a', n: 1 }])
  t.match(trial.reported, [/^1.*The key has an empty text for key/, /^2: /])
  const { location: other } = await landed(commits)
  t.strictSame(await sorted(other), [
    { key: '', n: 2 },
    { key: 'a', n: 1 },
  ])
})

t.test('columns that must have a value, partitions, and what has no key', async (t) => {
  const fields = [
    { name: 'key', type: 'string', nullable: false, metadata: {} },
    { name: 'country', type: 'string', nullable: true, metadata: {} },
    { name: 'n', type: 'long', nullable: false, metadata: {} },
  ]
  const settings = {
    'table.schema': JSON.stringify({ type: 'struct', fields }),
    'table.partition.by': 'country',
  }
  const { location, trial } = await landed(
    [
      [row(0, 'a', { n: 1, country: 'CH' }), row(1, 'b', { n: 2, country: 'CH' })],
      [row(2, 'a', { n: 3, country: 'DE' }), row(3, 'b', null), row(4, null, { n: 4 })],
      [row(5, json({ id: 1 }), { n: 4 }), row(6, 'c', { country: 'FR' }), row(7, null, null)],
    ],
    settings,
  )
  t.strictSame(await rowsOf(location), [{ key: 'a', country: 'DE', n: 3 }])
  t.match(trial.reported, [
    /^4: .*no key/,
    /^5: .*The key is of the columns id, but/,
    /^6: .*n /,
    /^7: .*no key/,
  ])
})

t.test('without a column for the key it is refused', async (t) => {
  const trial = new Trial({ 'table.path': newPlace(), 'table.key.mode': 'upsert' })
  await t.rejects(trial.start(partitions), {
    message: /found by kafka.key.column, which is not set/,
  })
})

/** Two partitions with their own keys, each written again and again, and deleted now and then. */
function logOf(count: number): Map<string, SinkRecord[]> {
  return new Map(
    partitions.map(({ partition }) => [
      `flights-${partition}`,
      Array.from({ length: count }, (_, offset) => {
        const key = `${partition}/${(offset * 7) % 11}`
        return row(offset, key, offset % 5 === 4 ? null : { n: offset }, partition)
      }),
    ]),
  )
}

function expected(log: ReadonlyMap<string, readonly SinkRecord[]>): string {
  const rows = new Map<unknown, number>()
  for (const records of log.values())
    for (const { key, kafkaOffset, value } of records)
      if (value === null) rows.delete(key)
      else rows.set(key, kafkaOffset)
  return JSON.stringify([...rows].sort())
}

async function found(location: string): Promise<string> {
  return JSON.stringify((await rowsOf(location)).map(({ key, n }) => [key, n]).sort())
}

t.test('killed at any operation of the disk, the table is what the records say', async (t) => {
  const log = logOf(20)
  const kills = await killEverywhere({
    settings: { 'table.commit.rows': '12', ...byKey },
    partitions,
    log,
    readAtOnce: 6,
    operations: (isDone) => ({ first: isDone ? 4 : 1, step: 7 }),
    look: async (location, when) => {
      if ((await found(location)) !== expected(log)) t.fail(when)
    },
  })
  t.ok(kills > 12, `${kills} kills`)
})

t.test('files that are put together meanwhile cost a repetition, and nothing else', async (t) => {
  const log = logOf(60)
  const location = newPlace()
  const trial = new Trial({ 'table.path': location, ...byKey })
  const environment = {
    clock: { now: () => 1_700_000_000_000, monotonic: () => 0 },
    random: new NodeRandom(),
    storage: new LocalStorage(location),
  }
  await trial.start(partitions)
  for (let round = 0; round < 30; round++) {
    await trial.read(log, 4)
    const optimized = round % 4 === 3 ? optimizeTable(environment).catch(() => null) : null
    await Promise.all([trial.commit(), optimized])
  }
  for (let round = 0; round < 20; round++) {
    await trial.read(log, 50)
    await trial.commit()
  }
  t.equal(await found(location), expected(log))
})

t.test('a key that is an object has a column for each of its fields', async (t) => {
  const key = (id: number, region: unknown) => json({ id, region })
  const { location, trial } = await landed([
    [
      row(0, key(1, 'eu'), { n: 1 }),
      row(1, key(1, 'us'), { n: 2, id: 1, Region: 'us' }),
      row(2, key(2, 'eu'), { n: 3, region: null }),
    ],
    [row(3, key(1, 'eu'), { n: 4 }), row(4, key(2, 'eu'), null), row(5, key(3, 'eu'), { n: 5 })],
  ])
  const rows = async () =>
    (await rowsOf(location)).map(({ id, region, n }) => `${id} ${region} ${n}`).sort()
  t.strictSame(await rows(), ['1 eu 4', '1 us 2', '3 eu 5'])
  const snapshot = await readSnapshot(new LocalStorage(location))
  t.equal(snapshot.metadata.configuration.get('millrace.keyColumns'), '["id","region"]')
  t.notOk(snapshot.schema.fields.some(({ name }) => name === 'key'))
  t.strictSame(trial.reported, [])

  const again = new Trial({ 'table.path': location, ...byKey })
  await again.start(partitions.slice(0, 1), true)
  const wrong = [
    row(6, json({ id: 1 }), { n: 6 }),
    row(7, 'text', { n: 6 }),
    row(8, key(1, null), { n: 6 }),
    row(9, json({ id: [1], region: 'eu' }), { n: 6 }),
    row(10, json({}), { n: 6 }),
    row(11, key(1, 'eu'), { n: 6, id: 2 }),
    row(12, json({ region: 'us', id: 1 }), { n: 7, more: true }),
  ]
  await again.read(new Map([['flights-0', wrong]]), 1000)
  await again.commit()
  t.match(again.reported, [
    /^6: .*The key is of the columns id, but .* found by id, region/,
    /^7: .*The key is of the columns key, but/,
    /^8: .*The field region of the key has no value/,
    /^9: .*The field id of the key is a list or an object/,
    /^10: .*an object without fields/,
    /^11: .*id is another in the value than in the key/,
  ])
  t.strictSame(await rows(), ['1 eu 4', '1 us 7', '3 eu 5'], 'after a new start, too')
})

t.test('keys that are objects come to a table of others, and are lost nowhere', async (t) => {
  const { location } = await landed(
    [[record(0, json({ ID: 1, n: 1 })), record(1, json({ ID: 2, n: 1 }))]],
    { 'table.key.mode': 'append', 'kafka.key.column': '' },
  )
  const log = [row(2, json({ id: 1 }), { n: 2 }), row(3, json({ id: 3 }), { n: 3 })]
  const trial = new Trial({ 'table.path': location, name: 'other', ...byKey })
  await trial.start(partitions.slice(0, 1), true)
  await trial.read(new Map([['flights-0', log]]), 1000)
  await trial.commit()
  t.strictSame(trial.reported, [])
  t.strictSame((await rowsOf(location)).map(({ ID, n }) => `${ID} ${n}`).sort(), [
    ...['1 2', '2 1', '3 3'],
  ])
  const { metadata } = await readSnapshot(new LocalStorage(location))
  t.equal(metadata.configuration.get('millrace.keyColumns'), '["ID"]')
})

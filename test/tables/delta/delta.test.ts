/** Delta tables made here byte by byte, sound and damaged, read back; and the formats within them by known values. */
import t from 'tap'
import type { Field } from '../../../src/tables/columns/column.ts'
import {
  jsonText,
  NumberText,
  parseDistinctJson,
  parseJson,
} from '../../../src/tables/columns/exact-json.ts'
import { dateOf, decimalOf, timestampOf } from '../../../src/tables/columns/text-values.ts'
import { conditionOn } from '../../../src/tables/delta/conditions.ts'
import { decodeZ85, vectorFileName } from '../../../src/tables/delta/deletion-vector.ts'
import { readHistory, versionAt } from '../../../src/tables/delta/history.ts'
import { type LogFile, latestVersion } from '../../../src/tables/delta/log-files.ts'
import { fileNameOf, pathOf } from '../../../src/tables/delta/paths.ts'
import { RowBitmap } from '../../../src/tables/delta/row-bitmap.ts'
import { scanTable } from '../../../src/tables/delta/scan.ts'
import { readSnapshot } from '../../../src/tables/delta/snapshot.ts'
import {
  add,
  column,
  framed,
  type Line,
  Made,
  metaData,
  plainProtocol,
  printed,
  removeScratch,
  u16,
  u32,
  vectorOf,
  withVectors,
} from './made.ts'

t.teardown(removeScratch)

const long: Field = { name: 'id', type: { kind: 'int64' }, isNullable: true }
const text: Field = { name: 'name', type: { kind: 'string' }, isNullable: true }

const twoColumns = metaData([column('id', 'long'), column('name', 'string')])

async function twoVersions(): Promise<Made> {
  const made = await new Made().file('a.parquet', [long, text], [{ id: 2n ** 60n + 1n, name: 'a' }])
  await made.file('with space.parquet', [long], [{ id: 2n }])
  return made
    .commit(0, [
      { commitInfo: { operation: 'WRITE' } },
      plainProtocol,
      twoColumns,
      add('a.parquet'),
    ])
    .commit(1, [
      { commitInfo: { operation: 'DELETE' } },
      { remove: { path: 'a.parquet', dataChange: true } },
      add('with%20space.parquet'),
      { unheardOf: { of: 1 } },
    ])
}

t.test('the log is replayed to any of its versions', async (t) => {
  const made = await twoVersions()
  t.strictSame(await made.rows(0), ['{"id":1152921504606846977,"name":"a"}'])
  t.strictSame(await made.rows(), ['{"id":2,"name":null}'], 'a column that a file lacks is null')
  t.strictSame(await made.rows(1, ['NAME']), ['{"name":null}'])
  await t.rejects(made.rows(2), { reason: 'missing', message: /the latest is 1/ })
  await t.rejects(made.rows(0, ['nope']), { reason: 'missing', message: /no column nope/ })
  const entries = await readHistory(made.storage)
  t.strictSame(
    entries.map(({ version, operation }) => [version, operation]),
    [
      [1, 'DELETE'],
      [0, 'WRITE'],
    ],
  )
  t.ok(entries[0]!.timestampMs > entries[1]!.timestampMs, 'times rise')
  t.equal(await versionAt(made.storage, entries[1]!.timestampMs), 0)
  await t.rejects(versionAt(made.storage, 1000), { message: /1970-01-01T00:00:01/ })
})

t.test('a file is one, however the log spells its absolute path', async (t) => {
  const remove = (path: string) => ({ remove: { path, dataChange: true } })
  const made = new Made()
    .commit(0, [plainProtocol, twoColumns, add('/gone/a%20b'), add('file:/gone/c'), add('/gone/d')])
    .commit(1, [remove('file:/gone/a%20b'), remove('/gone/c'), remove('file:///gone/d')])
  t.strictSame(await made.rows(), [])
})

t.test('a log may have more commits than a call has arguments', async (t) => {
  const commits = new Map<number, LogFile>()
  for (let version = 200_000; version > 0; version--) {
    commits.set(version, { name: `${version}`, version, modifiedMs: 0 })
  }
  t.equal(latestVersion({ commits, checkpoints: [], compactions: [] }), 200_000)
  const checkpoints = [{ version: 200_001, names: ['checkpoint'] }]
  t.equal(latestVersion({ commits, checkpoints, compactions: [] }), 200_001)
})

t.test('partition values come from the log, by their type', async (t) => {
  const fields = [column('id', 'long'), column('day', 'date'), column('at', 'timestamp')]
  const made = await new Made().file('a.parquet', [long], [{ id: 1n }, { id: 2n }])
  made.commit(0, [
    plainProtocol,
    metaData(fields, { partitionColumns: ['day', 'at'] }),
    add('a.parquet', { partitionValues: { day: '2024-02-29', at: '2024-02-29 10:00:00.5' } }),
  ])
  const at = '"day":"2024-02-29","at":"2024-02-29T10:00:00.500000Z"'
  t.strictSame(await made.rows(), [`{"id":1,${at}}`, `{"id":2,${at}}`])
  made.commit(1, [add('a.parquet', { partitionValues: { day: '2024-02-30', at: '' } })])
  await t.rejects(made.rows(), { reason: 'corrupt', message: /partition column day/ })
})

t.test('columns are found by what column mapping calls them', async (t) => {
  const mapped = (name: string, id: number) =>
    column(name, 'long', {
      'delta.columnMapping.id': id,
      'delta.columnMapping.physicalName': `c${id}`,
    })
  const file: Field[] = [
    { ...long, name: 'c1', fieldId: 1 },
    { ...long, name: 'other', fieldId: 2 },
  ]
  for (const [mode, second] of [
    ['name', 'null'],
    ['id', '8'],
  ]) {
    const configuration = { 'delta.columnMapping.mode': mode }
    const made = await new Made().file('a.parquet', file, [{ c1: 7n, other: 8n }])
    made.commit(0, [
      { protocol: { minReaderVersion: 2, minWriterVersion: 5 } },
      metaData([mapped('x', 1), mapped('y', 2)], { configuration }),
      add('a.parquet'),
    ])
    t.strictSame(await made.rows(), [`{"x":7,"y":${second}}`], `by ${mode}`)
  }
})

t.test('narrower types are widened, others refused by name', async (t) => {
  const int: Field = { ...long, type: { kind: 'int32' } }
  const decimal: Field = {
    name: 'd',
    type: { kind: 'decimal', precision: 5, scale: 1 },
    isNullable: true,
  }
  const made = await new Made().file('a.parquet', [int, decimal], [{ id: -3, d: -15n }])
  const fields = [column('id', 'double'), column('d', 'decimal(20,3)')]
  made.commit(0, [plainProtocol, metaData(fields), add('a.parquet')])
  t.strictSame(await made.rows(), ['{"id":-3,"d":-1.500}'])
  made.commit(1, [metaData([column('id', 'date')])])
  await t.rejects(made.rows(), { reason: 'unsupported', message: /id is of type date.*integer/ })
})

t.test('statistics of a float bound the double that it became', async (t) => {
  const values = [0.1, 0.7].map(Math.fround)
  const x: Field = { name: 'x', type: { kind: 'float' }, isNullable: true }
  const made = new Made()
  const files = values.map((value, i) => {
    const shortest = Number(value.toPrecision(6))
    const bounds = { minValues: { x: shortest }, maxValues: { x: shortest }, nullCount: { x: 0 } }
    return add(`${i}.parquet`, { stats: JSON.stringify({ numRecords: 1, ...bounds }) })
  })
  for (const [i, value] of values.entries()) await made.file(`${i}.parquet`, [x], [{ x: value }])
  const changes = { 'delta.typeChanges': [{ fromType: 'float', toType: 'double' }] }
  made.commit(0, [plainProtocol, metaData([column('x', 'double', changes)]), ...files])
  const snapshot = await readSnapshot(made.storage)
  const { fields } = snapshot.schema
  const where = (text: string) =>
    printed(scanTable(made.storage, snapshot, fields, conditionOn(fields, text)))
  for (const value of values) {
    t.strictSame(await where(`x = ${value}`), [`{"x":${value}}`])
  }
  t.strictSame(
    await where('x < 0.7'),
    values.map((value) => `{"x":${value}}`),
  )
  t.strictSame(await where('x < 0.1'), [])
})

t.test('rows in a deletion vector are not there', async (t) => {
  // The protocol's own example of a name.
  const uuid = 'ab^-aqEH.-t@S}K{vb[*k^'
  const name = vectorFileName({
    storageType: 'u',
    pathOrInlineDv: uuid,
    offset: 1,
    sizeInBytes: 0,
    cardinality: 0,
  })
  t.equal(name, 'ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin')
  const rows = Array.from({ length: 5 }, (_, id) => ({ id: BigInt(id) }))
  const made = await new Made().file('a.parquet', [long], rows)
  const bitmap = vectorOf([1, 3])
  const deletionVector = {
    storageType: 'u',
    pathOrInlineDv: uuid,
    offset: 1,
    sizeInBytes: bitmap.length,
    cardinality: 2,
  }
  made.put(name, framed(bitmap))
  made.commit(0, [
    withVectors,
    metaData([column('id', 'long')]),
    add('a.parquet', { deletionVector }),
  ])
  t.strictSame(await made.rows(), ['{"id":0}', '{"id":2}', '{"id":4}'])
  const damaged = framed(bitmap)
  damaged[30]! ^= 1
  made.put(name, damaged)
  await t.rejects(made.rows(), { reason: 'corrupt', message: /checksum/ })
  made.put(name, framed(bitmap).subarray(0, 20))
  await t.rejects(made.rows(), { reason: 'corrupt', message: /cut short/ })
})

t.test('a bitmap has arrays, bits and runs, and no more memory than bytes', async (t) => {
  const arrays = RowBitmap.read(vectorOf([1, 3, 65541]))
  t.strictSame(
    [0, 1, 2, 3, 65541, 65542, 2 ** 40].filter((row) => arrays.has(row)),
    [1, 3, 65541],
  )
  const runs = RowBitmap.read(
    Buffer.concat([
      u32(1681511377, 1, 0, 0, 12347),
      Buffer.from([1]),
      u16(0, 0xffff, 2, 10, 4, 1000, 0),
    ]),
  )
  const found = [9, 10, 14, 15, 999, 1000, 1001].filter((row) => runs.has(row))
  t.strictSame(found, [10, 14, 1000])
  const bits = Buffer.alloc(8192)
  bits[1] = 0x80
  const bitset = RowBitmap.read(
    Buffer.concat([u32(1681511377, 1, 0, 0, 12346, 1), u16(0, 5000), u32(0), bits]),
  )
  t.strictSame(
    [14, 15, 16].filter((row) => bitset.has(row)),
    [15],
  )
  const whole = vectorOf([1, 3, 65541])
  for (let end = 0; end < whole.length; end++) {
    t.throws(
      () => RowBitmap.read(whole.subarray(0, end)),
      { message: /cut short/ },
      `cut at ${end}`,
    )
  }
  t.throws(() => RowBitmap.read(u32(1681511377, 0xffffffff, 0xffffffff)), { message: /cut short/ })
})

t.test('what is not known is refused by its name', async (t) => {
  const refused = async (protocol: Line, message: RegExp, schema = twoColumns) => {
    const made = new Made().commit(0, [{ protocol }, schema])
    await t.rejects(made.rows(), { reason: 'unsupported', message })
  }
  const features = (...readerFeatures: string[]) => ({
    minReaderVersion: 3,
    minWriterVersion: 7,
    readerFeatures,
    writerFeatures: readerFeatures,
  })
  await refused(features('variantType', 'deletionVectors'), /the feature variantType$/)
  await refused(features('catalogManaged', 'fromTheFuture'), /catalogManaged, fromTheFuture/)
  await refused({ minReaderVersion: 4, minWriterVersion: 7 }, /minReaderVersion 4/)
  await refused(plainProtocol.protocol, /variantType/, metaData([column('v', 'variant')]))
})

t.test('a log that is not what it should be is refused', async (t) => {
  const sound = [plainProtocol, twoColumns]
  const cases: [string, Made, RegExp][] = [
    ['no log', new Made(), /no Delta table/],
    ['a gap', new Made().commit(0, sound).commit(2, []), /no version 1/],
    [
      'half a line',
      new Made().put('_delta_log/00000000000000000000.json', '{"add":{"pa'),
      /line 1/,
    ],
    ['no protocol', new Made().commit(0, [twoColumns]), /no protocol/],
    ['no metaData', new Made().commit(0, [plainProtocol]), /no metaData/],
    ['a size of text', new Made().commit(0, [...sound, add('a', { size: 'x' })]), /size/],
    ['a way out', new Made().commit(0, [...sound, add('../../etc/passwd')]), /path/],
    ['a hidden way out', new Made().commit(0, [...sound, add('a%2F..%2F..%2Fb')]), /path/],
    [
      'a deep schema',
      new Made().commit(0, [plainProtocol, metaData([deepColumn(300)])]),
      /deep|another/,
    ],
    [
      'a checkpoint of noise',
      new Made().put('_delta_log/00000000000000000003.checkpoint.parquet', 'noise'),
      /Parquet/,
    ],
  ]
  for (const [what, made, message] of cases) await t.rejects(made.rows(), { message }, what)
})

function deepColumn(depth: number): Line {
  let type: unknown = 'long'
  for (let i = 0; i < depth; i++) type = { type: 'array', elementType: type, containsNull: true }
  return column('deep', type)
}

t.test('JSON keeps every digit', async (t) => {
  const whole =
    '{"a":9223372036854775807,"b":-12345678901234567890.5,"c":[1,2.5,"1234567890123456"]}'
  t.equal(jsonText(parseJson(whole)), whole)
  t.strictSame(parseJson('[9007199254740993]'), [9007199254740993n])
  t.type(parseJson('1.2345678901234567890'), NumberText)
  t.type(parseJson('1e-400'), NumberText, 'a double would have 0')
  t.strictSame(parseJson('[1.5e-300,-0.0e0]'), [1.5e-300, -0])
  const long = 'x'.repeat(2 ** 25)
  t.equal((parseJson(`["${long}",12345678901234567890]`) as string[])[0], long)
  for (const bad of [
    '{"a":12345678901234567890',
    '[12345678901234567890,]',
    '01234567890123456789',
  ]) {
    t.throws(() => parseJson(bad), SyntaxError, bad)
  }
  t.throws(() => parseJson(`${'['.repeat(10_000)}12345678901234567890`), SyntaxError)
})

t.test('a name that is twice in one object is refused where it matters', async (t) => {
  for (const [text, name] of [
    ['{"a":1,"a":2}', 'a'],
    ['{"b":[{},{"a" : 1,"\\u0061"\t:null}]}', 'a'],
    ['{"a":12345678901234567890,"__proto__":1,"__proto__":2}', '__proto__'],
  ] as const) {
    t.throws(() => parseDistinctJson(text), {
      name: 'SyntaxError',
      message: `two values for ${name}`,
    })
    t.doesNotThrow(() => parseJson(text), 'others write what they like')
  }
  for (const text of [
    '{"a":{"a":[{"a":1},{"a":2}]}}',
    '{"a":":\\":","b":"\\" :"}',
    '":"',
    'null',
    '[]',
  ]) {
    t.strictSame(parseDistinctJson(text), JSON.parse(text), text)
  }
  for (const bad of ['{"a":1', '{"a":1,"a":2', '{"a":":"}}']) {
    t.throws(() => parseDistinctJson(bad), SyntaxError, bad)
  }
})

t.test('paths and values have one spelling in the log', async (t) => {
  t.equal(pathOf('p=a%2Fb/x #?.parquet'), 'p=a%252Fb/x%20%23%3F.parquet')
  t.equal(fileNameOf('p=a%252Fb/x'), 'p=a%2Fb/x')
  t.equal(fileNameOf('file:///tmp/a%20b'), '/tmp/a b')
  t.throws(() => fileNameOf('s3://bucket/x'), { message: /only local files/ })
  t.equal(timestampOf('2024-01-31T10:00:00.123-08:00'), 1706724000123000n)
  t.equal(timestampOf('1969-12-31 23:59:59.999999'), -1n)
  t.equal(dateOf('1970-01-02'), 1)
  t.equal(decimalOf('-1.230', 3), -1230n)
  t.equal(decimalOf('1E3', 1), 10000n)
  t.throws(() => decimalOf('1.234', 2), RangeError)
  t.throws(() => decodeZ85('"""""', 4), { message: /not Z85/ })
  t.equal(decodeZ85('HelloWorld', 8).toString('hex'), '864fd26fb559f75b')
})

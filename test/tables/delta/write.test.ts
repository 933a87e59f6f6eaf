/** Tables written here and read back: rows, statistics, partitions, and what writers must mind of others. */
import { mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import fs from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { DiskError } from '../../../src/environment/disk.ts'
import type { DataType } from '../../../src/tables/columns/column.ts'
import { parseJson } from '../../../src/tables/columns/exact-json.ts'
import { SchemaInference } from '../../../src/tables/columns/infer.ts'
import { deleteRows } from '../../../src/tables/delta/delete.ts'
import { DeltaConflict } from '../../../src/tables/delta/delta-error.ts'
import { typeText } from '../../../src/tables/delta/schema.ts'
import { readSnapshot, refreshSnapshot } from '../../../src/tables/delta/snapshot.ts'
import { textAbove, textBelow } from '../../../src/tables/delta/stats.ts'
import { Transaction } from '../../../src/tables/delta/transaction.ts'
import { updateRows } from '../../../src/tables/delta/update.ts'
import {
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

const id = field('id', 'int64')

async function tableOf(lines: readonly string[], definition = {}): Promise<Made> {
  const made = new Made()
  const transaction = made.create({ fields: [id], ...definition })
  await stage(transaction, lines)
  t.equal((await transaction.commit({ operation: 'WRITE' })).version, 0)
  return made
}

t.test('of those who put a file at once, one does, and nothing else is left', async (t) => {
  const made = new Made()
  const tries = Array.from({ length: 20 }, (_, i) =>
    made.storage.putIfAbsent('_delta_log/x', Buffer.from(`writer ${i}`)),
  )
  const won = (await Promise.all(tries)).map((has, i) => (has ? `writer ${i}` : '')).filter(Boolean)
  t.equal(won.length, 1)
  t.equal((await made.storage.read('_delta_log/x')).toString(), won[0])
  await made.storage.put('_delta_log/x', Buffer.from('replaced'))
  t.equal((await made.storage.read('_delta_log/x')).toString(), 'replaced')
  const file = await made.storage.create('_delta_log/x')
  await file.write(Buffer.from('late'))
  await t.rejects(file.finish(), { code: 'EEXIST' })
  mkdirSync(join(made.root, '_delta_log/y'))
  await t.rejects(made.storage.put('_delta_log/y', Buffer.from('no file')), DiskError)
  const begun = await made.storage.create('_delta_log/z')
  await begun.write(Buffer.from('begun'))
  await begun.discard()
  rmdirSync(join(made.root, '_delta_log/y'))
  t.strictSame(readdirSync(join(made.root, '_delta_log')), ['x'])
})

t.test('who hears that a name is taken looks whether that is by itself', async (t) => {
  const made = new Made()
  const { link } = fs
  t.teardown(() => {
    fs.link = link
  })
  // As a file server that is asked again, since its answer was lost.
  fs.link = async (from, to) => {
    await link(from, to)
    await link(from, to)
  }
  t.equal(await made.storage.putIfAbsent('_delta_log/x', Buffer.from('first')), true)
  t.equal(await made.storage.putIfAbsent('_delta_log/x', Buffer.from('second')), false)
  t.equal((await made.storage.read('_delta_log/x')).toString(), 'first')
  t.strictSame(readdirSync(join(made.root, '_delta_log')), ['x'])
})

const deepSchema: DataType = {
  kind: 'struct',
  fields: [
    { name: 'xs', type: { kind: 'list', element: field('element', 'float') }, isNullable: true },
    {
      name: 'm',
      type: { kind: 'map', key: field('key', 'string'), value: field('value', 'binary') },
      isNullable: true,
    },
    {
      name: 'n',
      type: { kind: 'map', key: field('key', 'date'), value: field('value', 'int16') },
      isNullable: true,
    },
  ],
}
const everyField = [
  ...(['int8', 'int16', 'int32', 'int64', 'float', 'double'] as const).map((k) => field(k, k)),
  ...(['boolean', 'string', 'binary', 'date', 'null'] as const).map((k) => field(k, k)),
  { ...id, name: 'utc', type: { kind: 'timestamp', unit: 'micros', isUtc: true } as const },
  { ...id, name: 'ntz', type: { kind: 'timestamp', unit: 'micros', isUtc: false } as const },
  { ...id, name: 'small', type: { kind: 'decimal', precision: 9, scale: 2 } as const },
  { ...id, name: 'large', type: { kind: 'decimal', precision: 38, scale: 10 } as const },
  { ...id, name: 'deep', type: deepSchema },
]
const everyRow = [
  '"int8":-128,"int16":-32768,"int32":-2147483648,"int64":-9223372036854775808,"float":0.1',
  '"double":-1.7976931348623157e+308,"boolean":true,"string":"ÄÖ \\u0000 \\ud83d\\ude00"',
  '"binary":"AAH/","date":"0001-01-01","null":null,"utc":"1969-12-31T23:59:59.999999Z"',
  '"ntz":"2024-02-29T12:00:00.000001","small":-1234567.89',
  '"large":1234567890123456789012345678.0123456789',
  '"deep":{"xs":[1.5,null,"NaN"],"m":{"a":"/w==","__proto__":null},"n":[{"key":"2024-01-31","value":-1}]}',
]
const nulls = everyField.map(({ name }) => `"${name}":null`)

t.test('values of every type come back as they were', async (t) => {
  const rows = [`{${everyRow.join(',')}}`, `{${nulls.join(',')}}`]
  const made = await tableOf(rows, { fields: everyField })
  const printed = rows.map((row) => row.replace('\\ud83d\\ude00', '\u{1f600}'))
  t.strictSame(await made.rows(), printed)
  const [, protocol, , add] = made.log(0)
  t.match(protocol, { protocol: { minReaderVersion: 3, readerFeatures: ['timestampNtz'] } })
  t.strictSame(JSON.parse((add as { add: { stats: string } }).add.stats).nullCount.deep, {
    xs: 1,
    m: 1,
    n: 1,
  })
})

t.test('statistics bound every value, and are left out where they might not', async (t) => {
  const fields = everyField.filter(({ name }) => !['deep', 'int8', 'int16', 'null'].includes(name))
  const rows = [
    '{"int32":1,"int64":9007199254740993,"float":0.5,"double":1,"string":"b","date":"2024-01-01"}',
    '{"int32":-1,"float":"Infinity","double":"NaN","string":"a","boolean":true,"binary":"AA=="}',
    '{"utc":"2024-01-01T00:00:00.000001Z","ntz":"1969-12-31T23:59:59.999999","small":1.5,"large":-1}',
  ]
  const made = await tableOf(rows, { fields })
  const { add } = made.log(0).at(-1) as { add: { stats: string } }
  const stats = add.stats.replace(/,"nullCount".*/, '')
  t.equal(
    stats,
    '{"numRecords":3,"minValues":{"int32":-1,"int64":9007199254740993,"float":0.5,"string":"a",' +
      '"date":"2024-01-01","utc":"2024-01-01T00:00:00.000Z","ntz":"1969-12-31T23:59:59.999",' +
      '"small":1.50,"large":-1.0000000000},"maxValues":{"int32":1,"int64":9007199254740993,' +
      '"string":"b","date":"2024-01-01","utc":"2024-01-01T00:00:00.001Z",' +
      '"ntz":"1970-01-01T00:00:00.000","small":1.50,"large":-1.0000000000}',
  )
  t.match(add.stats, '"nullCount":{"int32":1,"int64":2,"float":1,"double":1,"boolean":2,')
})

t.test('long text has bounds of its first characters', async (t) => {
  const a32 = 'a'.repeat(32)
  t.equal(textBelow(`${a32}b`), a32)
  t.equal(textAbove(a32), a32)
  t.equal(textAbove(`${a32}b`), `${a32}\u007f`)
  t.equal(textAbove(`${a32}\u007f`), `${a32}\u{10ffff}`)
  t.equal(textAbove(`${a32}\u{10ffff}b`), `${a32}\u{10ffff}\u007f`)
  t.equal(textAbove(`${a32}${'\u{10ffff}'.repeat(40)}`), undefined, 'nothing short is above')
  t.equal(textBelow(`${'a'.repeat(31)}\u{1f600}b`), 'a'.repeat(31), 'no half of a character')
  t.equal(textAbove(`${'a'.repeat(31)}\u{1f600}b`), `${'a'.repeat(31)}\u{10ffff}`)
  t.equal(textAbove('not \ufffd text'), undefined)
})

t.test('as many columns have statistics as the table asks for', async (t) => {
  const many = Array.from({ length: 40 }, (_, i) => field(`c${i}`, 'int32'))
  const nullCount = async (properties: Record<string, string>) => {
    const made = await tableOf(['{"c0":1}'], {
      fields: many,
      properties: new Map(Object.entries(properties)),
    })
    const { add } = made.log(0).at(-1) as { add: { stats: string } }
    return Object.keys(JSON.parse(add.stats).nullCount)
  }
  t.equal((await nullCount({})).length, 32)
  t.equal((await nullCount({ 'delta.dataSkippingNumIndexedCols': '-1' })).length, 40)
  t.strictSame(await nullCount({ 'delta.dataSkippingNumIndexedCols': '0' }), [])
  const named = await nullCount({ 'delta.dataSkippingStatsColumns': 'c39, `c1`' })
  t.strictSame(named, ['c1', 'c39'])
})

t.test('rows go to the files of their partitions', async (t) => {
  const fields = [id, field('p', 'string'), field('d', 'double')]
  const rows = ['a/b', 'x=y %#?', '', '..', 'Zürich', 'q'.repeat(300)].map(
    (p, i) => `{"id":${i},"p":${JSON.stringify(p)},"d":${i === 0 ? '1e10' : 1}}`,
  )
  const made = await tableOf([...rows, '{"id":7,"p":"a/b","d":1e10}'], {
    fields,
    partitionBy: ['p', 'd'],
  })
  const read = (await made.rows()).sort()
  t.equal(read[0], '{"id":0,"p":"a/b","d":10000000000}')
  t.equal(read[2], '{"id":2,"p":null,"d":1}', 'an empty text has no spelling in the log')
  t.equal(read[3], '{"id":3,"p":"..","d":1}')
  t.equal(read.length, 7)
  const folders = made.files().map((file) => file.replace(/[^/]*$/, ''))
  t.strictSame(folders.sort(), [
    '',
    'p=%2E%2E/d=1.0/',
    'p=Zürich/d=1.0/',
    'p=__HIVE_DEFAULT_PARTITION__/d=1.0/',
    'p=a%2Fb/d=10000000000.0/',
    'p=x%3Dy%20%25%23%3F/d=1.0/',
  ])
  t.match(made.log(0).at(-1), { add: { partitionValues: { d: '1.0' } } })
})

t.test('rows that do not fit are refused by their column, and nothing stays', async (t) => {
  const made = await tableOf(['{}'], { fields: everyField })
  const before = made.files()
  const refused: [string, RegExp][] = [
    ['[]', /not an object/],
    ['{"nope":1}', /no column nope/],
    ['{"deep":{"xs":[],"y":1}}', /no column deep.y/],
    ['{"int8":128}', /int8 cannot hold 128/],
    ['{"int32":1.5}', /int32 cannot hold 1.5/],
    ['{"int64":9223372036854775808}', /int64 cannot hold/],
    ['{"int64":"1"}', /int64 cannot hold/],
    ['{"float":1e39}', /float cannot hold/],
    ['{"double":"nan"}', /double cannot hold/],
    ['{"boolean":1}', /boolean cannot hold/],
    ['{"string":1}', /string cannot hold/],
    ['{"binary":"A"}', /binary cannot hold/],
    ['{"date":"2023-02-29"}', /date: .*no date/],
    ['{"utc":"2024-01-01T00:00:00.0000001Z"}', /utc cannot hold/],
    ['{"ntz":"2024-01-01T00:00:00Z"}', /ntz cannot hold/],
    ['{"small":1.234}', /small: .*more than 2 decimals/],
    ['{"small":12345678.9}', /small cannot hold/],
    ['{"null":0}', /null cannot hold/],
    ['{"deep":{"xs":{}}}', /deep.xs cannot hold/],
    ['{"deep":{"n":{"a":1}}}', /deep.n cannot hold/],
    ['{"deep":{"n":[{"value":1}]}}', /without a key/],
    ['{"string":"a","STRING":"b"}', /two values/],
  ]
  for (const [row, message] of refused) {
    const transaction = await made.change()
    await t.rejects(stage(transaction, ['{}', row]), { message }, row)
    await transaction.discard()
  }
  const needed = await tableOf(['{"id":1}'], { fields: [{ ...id, isNullable: false }] })
  await t.rejects(needed.append(['{}']), { message: /No value for id/ })
  t.strictSame(made.files(), before)
})

t.test('columns are inferred from rows, or the row that contradicts is named', async (t) => {
  const inferred = (...rows: string[]) => {
    const inference = new SchemaInference()
    for (const row of rows) inference.observe(parseJson(row))
    return inference
      .fields()
      .map(({ name, type }) => `${name} ${typeText(type)}`)
      .join(', ')
  }
  t.equal(
    inferred(
      '{"a":1,"b":[],"c":{"d":null}}',
      '{"b":[1,2.5],"a":9223372036854775808,"e":"2024-01-01"}',
    ),
    'a decimal(38,0), b array<double>, c struct<d:string>, e string',
  )
  t.throws(() => inferred('{"a":1}', '{"a":"1"}'), { message: /a is string, but was long/ })
  t.throws(() => inferred('{"a":1}', '{"b":1,"A":2}'), {
    message: /^A and a: names that differ in case only/,
  })
  t.throws(() => inferred('{"a":[1,true]}'), { message: /a\[\] is boolean/ })
  t.throws(() => inferred('{"a":{}}'), { message: /without a field/ })
  t.throws(() => inferred('1'), { message: /not an object/ })
  t.throws(() => inferred(`${'{"a":'.repeat(60)}1${'}'.repeat(60)}`), { message: /levels deep/ })
})

t.test('what a table asks of writers is done or refused by name', async (t) => {
  const refused = async (
    protocol: Line,
    message: RegExp,
    metadata = metaData([column('id', 'long')]),
  ) => {
    const made = new Made().commit(0, [{ protocol }, metadata])
    await t.rejects(made.append(['{}']), { reason: 'unsupported', message })
  }
  const features = (...writerFeatures: string[]) => ({
    minReaderVersion: 1,
    minWriterVersion: 7,
    writerFeatures,
  })
  const using = (name: string, metadata: Line) => metaData([column(name, 'long', metadata)])
  await refused({ minReaderVersion: 1, minWriterVersion: 8 }, /minWriterVersion 8/)
  await refused(features('appendOnly', 'fromTheFuture'), /the feature fromTheFuture$/)
  const unknown = using('id', { 'delta.invariants': '{"expression":{"expression":"f(id)"}}' })
  await refused(plainProtocol.protocol, /column id uses the feature invariants: .*f$/, unknown)
  const constraint = metaData([column('id', 'long')], {
    configuration: { 'delta.constraints.positive': 'id RLIKE 1' },
  })
  await refused({ minReaderVersion: 1, minWriterVersion: 3 }, /checkConstraints/, constraint)
  await refused(
    features('checkConstraints'),
    /positive uses the feature checkConstraints: unexpected RLIKE/,
    constraint,
  )
  const generated = using('id', { 'delta.generationExpression': 'f()' })
  await refused({ minReaderVersion: 1, minWriterVersion: 4 }, /generatedColumns/, generated)
  await refused(
    features('identityColumns'),
    /identityColumns/,
    metaData([
      column('id', 'integer', {
        'delta.identity.start': 1,
        'delta.identity.step': 1,
        'delta.identity.allowExplicitInsert': true,
      }),
    ]),
  )
  await refused(
    features('allowColumnDefaults'),
    /allowColumnDefaults/,
    using('id', { CURRENT_DEFAULT: 'uuid()' }),
  )
  const idle = new Made().commit(0, [
    { protocol: features('checkConstraints', 'generatedColumns', 'clustering', 'domainMetadata') },
    metaData([column('id', 'long')]),
  ])
  t.equal(await idle.append(['{"id":1}']), 1, 'what is not in use asks for nothing')
  const properties = new Map([['delta.constraints.c', 'id IS']])
  t.throws(() => new Made().create({ fields: [id], properties }), { message: /checkConstraints/ })
  for (const [name, value, expected] of [
    ['delta.enableChangeDataFeed', 'tru', 'true or false'],
    ['delta.appendOnly', 'TRUE', 'true or false'],
    ['delta.checkpointInterval', '0', 'a number, 1 or more'],
    ['delta.dataSkippingNumIndexedCols', '-2', 'a number, -1 or more'],
    ['delta.columnMapping.mode', 'names', 'none, name or id'],
    ['delta.logRetentionDuration', '30', 'a duration'],
  ] as const) {
    t.throws(() => new Made().create({ fields: [id], properties: new Map([[name, value]]) }), {
      reason: 'invalid',
      message: new RegExp(`^${name}=${value}: expected ${expected}`),
    })
  }
  const making = (name: string) => () =>
    new Made().create({ fields: [id], properties: new Map([[name, 'true']]) })
  t.throws(making('delta.enableChangeDatafeed'), {
    message: /delta.enableChangeDataFeed is meant$/,
  })
  t.throws(making('delta.nope'), { message: /^there is no property delta.nope$/ })
  t.doesNotThrow(making('shop.owner'), 'names without delta are anyone’s')
  t.throws(() => new Made().create({ fields: [field('a b', 'int64')] }), {
    message: /columnMapping/,
  })
  t.throws(() => new Made().create({ fields: [id, field('ID', 'int64')] }), { message: /one name/ })
  t.throws(() => new Made().create({ fields: [id], partitionBy: ['x'] }), {
    message: /no column x/,
  })
})

t.test('an append-only table is appended to', async (t) => {
  const properties = new Map([['delta.appendOnly', 'true']])
  const made = await tableOf(['{"id":1}'], { properties })
  const transaction = await made.change()
  const [file] = [...transaction.snapshot!.files.values()]
  t.throws(() => transaction.remove(file!, true), { message: /append-only/ })
  transaction.remove(file!, false)
  t.equal(await made.append(['{"id":2}']), 1)
})

t.test('mapped columns are written by the names that files know', async (t) => {
  for (const mode of ['name', 'id']) {
    const properties = new Map([['delta.columnMapping.mode', mode]])
    const definition = { fields: [field('a b', 'int64'), field('p', 'string')], properties }
    const made = await tableOf(['{"a b":1,"p":"x"}'], { ...definition, partitionBy: ['p'] })
    t.strictSame(await made.rows(), ['{"a b":1,"p":"x"}'])
    const { add } = made.log(0).at(-1) as { add: { stats: string; partitionValues: Line } }
    t.match(Object.keys(JSON.parse(add.stats).minValues), [/^col-/])
    t.match(Object.keys(add.partitionValues), [/^col-/])
    t.match(made.log(0)[2], {
      metaData: { configuration: { 'delta.columnMapping.maxColumnId': '2' } },
    })
  }
})

t.test('rows are numbered, and times rise, whatever the clock says', async (t) => {
  const properties = new Map([
    ['delta.enableRowTracking', 'true'],
    ['delta.enableInCommitTimestamps', 'true'],
  ])
  const made = await tableOf(['{"id":1}', '{"id":2}'], { properties })
  const late = await made.change()
  made.now -= 1000
  await made.append(['{"id":3}'])
  await stage(late, ['{"id":4}'])
  await late.commit({ operation: 'WRITE' })
  const told = [0, 1, 2].map((version) => {
    const lines = made.log(version) as Record<string, Line>[]
    const { add } = lines.find((line) => line['add'] !== undefined)!
    const domain = lines.find((line) => line['domainMetadata'] !== undefined)!['domainMetadata']!
    const time = Number(lines[0]!['commitInfo']!['inCommitTimestamp']) - 1_700_000_000_000
    return [add!['baseRowId'], add!['defaultRowCommitVersion'], domain['configuration'], time]
  })
  t.strictSame(told, [
    [0, 0, '{"rowIdHighWaterMark":1}', 0],
    [2, 1, '{"rowIdHighWaterMark":2}', 1],
    [3, 2, '{"rowIdHighWaterMark":3}', 2],
  ])
})

t.test('writers at once lose nothing', async (t) => {
  const made = await tableOf(['{"id":-1}'])
  const writer = async (first: number) => {
    for (let i = 0; i < 10; i++) await made.append([`{"id":${first + i}}`])
  }
  await Promise.all([0, 10, 20, 30, 40].map(writer))
  const ids = (await made.rows()).map((row) => JSON.parse(row).id).sort((a, b) => a - b)
  t.strictSame(
    ids,
    Array.from({ length: 51 }, (_, i) => i - 1),
  )
  t.equal((await readSnapshot(made.storage)).version, 50)
})

async function conflictOf(commit: Promise<unknown>): Promise<string> {
  const error = await commit.then(
    () => new Error('committed'),
    (one: unknown) => one,
  )
  return error instanceof DeltaConflict ? `${error.kind} with ${error.version}` : String(error)
}

t.test('what another commit contradicts is a conflict, and its files are gone', async (t) => {
  const against = async (
    kind: DeltaConflict['kind'] | null,
    ours: (transaction: Transaction) => void,
    theirs: (transaction: Transaction) => void | Promise<void>,
  ) => {
    const made = await tableOf(['{"id":1}'])
    const one = await made.change()
    const other = await made.change()
    await theirs(other)
    await other.commit({ operation: 'WRITE' })
    await stage(one, ['{"id":2}'])
    ours(one)
    const commit = one.commit({ operation: 'WRITE' })
    if (kind === null) {
      t.equal((await commit).version, 2)
      return
    }
    t.equal(await conflictOf(commit), `${kind} with 1`)
    t.equal(made.files().length, 1)
  }
  const file = ({ snapshot }: Transaction) => [...snapshot!.files.values()][0]!
  const everything = (transaction: Transaction) => {
    transaction.reads = { mayMatch: () => true, paths: new Set([file(transaction).path]) }
  }
  const appends = (transaction: Transaction) => stage(transaction, ['{"id":3}'])
  const removes = (transaction: Transaction) => transaction.remove(file(transaction), true)
  const compacts = (transaction: Transaction) => transaction.remove(file(transaction), false)
  const progresses = (transaction: Transaction) => transaction.progress('app', 5n)
  const metadata = ({ snapshot }: Transaction) => snapshot!.metadata
  await against(null, () => {}, removes)
  await against(null, () => {}, progresses)
  await against(null, everything, compacts)
  await against('ConcurrentTransaction', progresses, progresses)
  await against('ConcurrentDeleteDelete', removes, compacts)
  await against('ConcurrentDeleteRead', everything, removes)
  await against(
    'MetadataChanged',
    () => {},
    (one) => one.change({ metadata: metadata(one) }),
  )
  await against(
    'ProtocolChanged',
    () => {},
    (one) => one.change({ protocol: one.snapshot!.protocol }),
  )
  const made = await tableOf(['{"id":1}'])
  const reader = await made.change()
  everything(reader)
  await made.append(['{"id":2}'])
  await appends(reader)
  t.equal(await conflictOf(reader.commit({ operation: 'WRITE' })), 'ConcurrentAppend with 1')
  t.equal(made.files().length, 2)
  const later = await made.change()
  everything(later)
  await made.append(['{"id":2}'])
  await appends(later)
  const { version } = await later.commit({ operation: 'MERGE', isolation: 'WriteSerializable' })
  t.equal(version, 3, 'a blind append may be taken to have come later')
})

t.test('progress is kept with the rows', async (t) => {
  const made = await tableOf(['{"id":1}'])
  const transaction = await made.change()
  t.equal(transaction.progressOf('sink/orders/0'), null)
  transaction.progress('sink/orders/0', 2n ** 60n + 1n)
  await transaction.commit({ operation: 'STREAMING UPDATE' })
  t.equal((await made.change()).progressOf('sink/orders/0'), 2n ** 60n + 1n)
  t.match(made.log(1)[1], { txn: { lastUpdated: 1_700_000_000_000 } })
})

t.test('two who make one table make one', async (t) => {
  const made = new Made()
  const [one, other] = [made.create({ fields: [id] }), made.create({ fields: [id] })]
  await one.commit({ operation: 'CREATE TABLE' })
  const second = other.commit({ operation: 'CREATE TABLE' })
  t.equal(await conflictOf(second), 'ProtocolChanged with 0')
})

/** Before or after a commit is put. */
const failing = (made: Made, when: 'before' | 'after') => ({
  ...made.environment,
  storage: Object.assign(Object.create(made.storage) as Made['storage'], {
    putIfAbsent: async (name: string, bytes: Uint8Array) => {
      if (when === 'after') await made.storage.putIfAbsent(name, bytes)
      throw new DiskError('ENOSPC', name)
    },
    ...bound(made.storage),
  }),
})

t.test(
  'rows that were deleted or changed keep their files where the commit may be there',
  async (t) => {
    const made = await tableOf(['{"id":1}', '{"id":2}', '{"id":3}'])
    const environment = failing(made, 'after')
    const uncertain = { reason: 'uncertain', message: /may not outlast a crash/ }
    await t.rejects(updateRows(environment, { set: 'id = id + 10', where: 'id = 1' }), uncertain)
    t.strictSame((await made.rows()).sort(), ['{"id":11}', '{"id":2}', '{"id":3}'])
    await t.rejects(deleteRows(environment, 'id = 2'), uncertain)
    t.strictSame((await made.rows()).sort(), ['{"id":11}', '{"id":3}'])
    const files = made.files().length
    await t.rejects(deleteRows(failing(made, 'before'), 'id = 3'), { code: 'ENOSPC' })
    t.equal(made.files().length, files, 'what is certain leaves nothing')
  },
)

t.test('a disk that fails leaves all as it was, or says that it cannot tell', async (t) => {
  const made = await tableOf(['{"id":1}'])
  const commit = async (when: 'before' | 'after') => {
    const transaction = Transaction.on(failing(made, when), await readSnapshot(made.storage))
    await stage(transaction, ['{"id":2}'])
    await transaction.commit({ operation: 'WRITE' })
  }
  await t.rejects(commit('before'), { code: 'ENOSPC' })
  t.equal(made.files().length, 1)
  await t.rejects(commit('after'), { reason: 'uncertain', message: /version 1/ })
  t.strictSame((await made.rows()).sort(), ['{"id":1}', '{"id":2}'])
})

/** A class's methods need their own object. */
function bound(storage: Made['storage']): Partial<Made['storage']> {
  return {
    list: (name) => storage.list(name),
    read: (name) => storage.read(name),
    open: (name) => storage.open(name),
    create: (name) => storage.create(name),
    remove: (name) => storage.remove(name),
  }
}

t.test('a snapshot goes on from what it was', async (t) => {
  const made = await tableOf(['{"id":1}'])
  const first = await readSnapshot(made.storage)
  t.equal(await refreshSnapshot(made.storage, first), first)
  await made.append(['{"id":2}'])
  const second = await refreshSnapshot(made.storage, first)
  t.strictSame([first.files.size, second.files.size, second.version], [1, 2, 1])
})

t.test('what is appended to a log that was cleaned up meanwhile is refused', async (t) => {
  const made = await tableOf(['{"id":1}'])
  const transaction = await made.change()
  await made.append(['{"id":2}'])
  await made.append(['{"id":3}'])
  await made.storage.remove('_delta_log/00000000000000000000.json')
  await made.storage.remove('_delta_log/00000000000000000001.json')
  await stage(transaction, ['{"id":4}'])
  await t.rejects(transaction.commit({ operation: 'WRITE' }), {
    message: /no longer has version 1/,
  })
})

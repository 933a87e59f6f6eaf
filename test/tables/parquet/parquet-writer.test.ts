/** What is written is read back as it was, with every option; what cannot be written is refused. */
import t from 'tap'
import type { Column, ColumnBatch, DataType, Field } from '../../../src/tables/columns/column.ts'
import { batchOf } from '../../../src/tables/columns/column-builder.ts'
import { rowPrinter } from '../../../src/tables/columns/json-text.ts'
import { rowOfJson } from '../../../src/tables/columns/json-values.ts'
import { ParquetFile } from '../../../src/tables/parquet/parquet-file.ts'
import { ParquetWriter, type WriteOptions } from '../../../src/tables/parquet/parquet-writer.ts'
import { inMemory } from '../../../src/tables/random-access.ts'
import { goldenBytes, goldenNames, goldenRows, rowsOf } from './golden.ts'

async function written(
  fields: readonly Field[],
  batches: Iterable<ColumnBatch> | AsyncIterable<ColumnBatch>,
  options: WriteOptions = {},
): Promise<Buffer> {
  const chunks: Buffer[] = []
  const sink = { write: (bytes: Uint8Array) => void chunks.push(Buffer.from(bytes)) }
  const writer = new ParquetWriter(sink, fields, options)
  for await (const batch of batches) await writer.append(batch)
  const { size, rowCount } = await writer.finish()
  const bytes = Buffer.concat(chunks)
  t.equal(size, bytes.length)
  t.equal((await ParquetFile.open(inMemory(bytes))).rowCount, rowCount)
  return bytes
}

const variants: Readonly<Record<string, WriteOptions>> = {
  'as by default': {},
  'gzip, second version pages': {
    codec: 'GZIP',
    level: 1,
    pageVersion: 2,
    pageRows: 7,
    rowGroupRows: 50,
  },
  'plain as can be': { codec: 'UNCOMPRESSED', withoutDictionary: 'all', useDeltas: false },
  'deltas, small pages': { withoutDictionary: 'all', pageVersion: 2, pageBytes: 300 },
}

t.test('rows come back', async (t) => {
  for (const name of goldenNames) {
    for (const [variant, options] of Object.entries(variants)) {
      const file = await ParquetFile.open(inMemory(goldenBytes(name)))
      const bytes = await written(file.fields, file.batches({ batchRows: 33 }), options)
      t.strictSame(await rowsOf(bytes), goldenRows(name), `${name}, ${variant}`)
    }
  }
})

t.test('a file says who wrote it and how', async (t) => {
  const file = await ParquetFile.open(inMemory(goldenBytes('types-v2')))
  const bytes = await written(file.fields, file.batches(), {
    keyValues: new Map([['answer', '42']]),
    rowGroupRows: 40,
    sortedBy: [{ column: 'id', descending: false, nullsFirst: true }],
  })
  const again = await ParquetFile.open(inMemory(bytes))
  t.match(again.createdBy, /^\w+ version \d+\.\d+\.\d+ \(build \w+\)$/)
  t.strictSame([...again.keyValues], [['answer', '42']])
  t.strictSame(again.fields, file.fields)
  t.strictSame(
    again.rowGroups.map(({ numRows, ordinal, fileOffset }) => ({ numRows, ordinal, fileOffset })),
    [
      { numRows: 40, ordinal: 0, fileOffset: 4 },
      { numRows: 20, ordinal: 1, fileOffset: again.rowGroups[1]!.fileOffset },
    ],
  )
  const chunk = again.rowGroups[1]!.columns[0]!
  t.strictSame(again.rowGroups[1]!.sortingColumns, [
    { columnIdx: 0, descending: false, nullsFirst: true },
  ])
  const { minValue, maxValue, nullCount } = chunk.metaData!.statistics!
  t.equal(Buffer.from(minValue!).readBigInt64LE(), 40n)
  t.equal(Buffer.from(maxValue!).readBigInt64LE(), 59n)
  t.equal(nullCount, 0)
})

function strings(values: readonly (string | null)[]): Column {
  const parts = values.map((value) => Buffer.from(value ?? ''))
  const offsets = new Int32Array(values.length + 1)
  for (const [i, part] of parts.entries()) offsets[i + 1] = offsets[i]! + part.length
  const validity = Uint8Array.from(values, (value) => (value === null ? 0 : 1))
  return { layout: 'bytes', length: values.length, validity, offsets, bytes: Buffer.concat(parts) }
}

t.test('long text is bounded by less of it, in characters', async (t) => {
  const field: Field = { name: 's', type: { kind: 'string' }, isNullable: true }
  const values = [`${'z'.repeat(62)}\u{1f40e}tail`, 'a'.repeat(100), null]
  const batch = { rowCount: 3, fields: [field], columns: [strings(values)] }
  const file = await ParquetFile.open(inMemory(await written([field], [batch])))
  const statistics = file.rowGroups[0]!.columns[0]!.metaData!.statistics!
  t.equal(Buffer.from(statistics.minValue!).toString(), 'a'.repeat(64))
  t.equal(Buffer.from(statistics.maxValue!).toString(), `${'z'.repeat(61)}{`)
  t.equal(statistics.isMaxValueExact, false)
  t.equal(statistics.nullCount, 1)
})

t.test('what is not UTF-8 is bounded all the same', async (t) => {
  const field: Field = { name: 's', type: { kind: 'string' }, isNullable: true }
  const bytes = Buffer.alloc(80, 0xfe)
  const offsets = Int32Array.of(0, bytes.length)
  const column = { layout: 'bytes', length: 1, validity: null, offsets, bytes } as const
  const batch = { rowCount: 1, fields: [field], columns: [column] }
  const file = await ParquetFile.open(inMemory(await written([field], [batch])))
  const { minValue, maxValue } = file.rowGroups[0]!.columns[0]!.metaData!.statistics!
  t.ok(Buffer.compare(minValue!, bytes) <= 0)
  t.ok(Buffer.compare(maxValue!, bytes) >= 0)
})

t.test('lists within lists come back, as many as a table may have', async (t) => {
  let type: DataType = { kind: 'int64' }
  let text = '7'
  for (let depth = 0; depth < 100; depth++) {
    type = { kind: 'list', element: { name: 'element', type, isNullable: true } }
    text = depth % 10 === 5 ? `[${text},null]` : `[${text}]`
  }
  const field: Field = { name: 'deep', type, isNullable: true }
  const rows = [`{"deep":${text}}`, '{"deep":null}', '{"deep":[[[]]]}'].map((row) =>
    rowOfJson([field], JSON.parse(row)),
  )
  const batch = batchOf([field], rows)
  const print = rowPrinter([field])
  const expected = rows.map((_, row) => print(batch, row))
  for (const pageVersion of [1, 2] as const) {
    t.strictSame(await rowsOf(await written([field], [batch], { pageVersion })), expected)
  }
})

t.test('a dictionary is given up where it does not pay, and once it is too large', async (t) => {
  const field: Field = { name: 's', type: { kind: 'string' }, isNullable: true }
  const encodingsOf = async (values: string[]): Promise<Set<number>> => {
    const batch = { rowCount: values.length, fields: [field], columns: [strings(values)] }
    const bytes = await written([field], [batch], { pageRows: 2000 })
    const print = rowPrinter([field])
    t.strictSame(
      await rowsOf(bytes),
      values.map((_, row) => print(batch, row)),
    )
    const file = await ParquetFile.open(inMemory(bytes))
    return new Set(
      file.rowGroups[0]!.columns[0]!.metaData!.encodingStats!.map((one) => one.encoding),
    )
  }
  const many = Array.from({ length: 6000 }, (_, i) => `value ${i % 40}`)
  const distinct = Array.from({ length: 6000 }, (_, i) => `value ${i}`)
  const growing = Array.from({ length: 9000 }, (_, i) =>
    i < 3000 ? 'x' : `${'y'.repeat(400)}${i}`,
  )
  t.strictSame(await encodingsOf(many), new Set([0, 8]), 'dictionary page and indices')
  t.strictSame(await encodingsOf(distinct), new Set([0]), 'plain only')
  t.strictSame(await encodingsOf(growing), new Set([0, 8]), 'both')
})

t.test('integers are written as deltas where that pays, to their very ends', async (t) => {
  const fields: Field[] = [
    { name: 'up', type: { kind: 'int64' }, isNullable: false },
    { name: 'ends', type: { kind: 'int64' }, isNullable: false },
    { name: 'small', type: { kind: 'int32' }, isNullable: false },
  ]
  const length = 3000
  const up = BigInt64Array.from({ length }, (_, i) => 1_700_000_000_000_000n + BigInt(i) * 1009n)
  const ends = BigInt64Array.from(
    { length },
    (_, i) => (i % 2 ? 2n ** 63n - 1n : -(2n ** 63n)) ^ BigInt(i),
  )
  const small = Int32Array.from({ length }, (_, i) =>
    i % 700 === 3 ? -(2 ** 31) : 2 ** 31 - 1 - i,
  )
  const columns: Column[] = [
    { layout: 'int64', length, validity: null, values: up },
    { layout: 'int64', length, validity: null, values: ends },
    { layout: 'int32', length, validity: null, values: small },
  ]
  const bytes = await written(fields, [{ rowCount: length, fields, columns }])
  const file = await ParquetFile.open(inMemory(bytes))
  const first = file.rowGroups[0]!.columns.map(({ metaData }) => metaData!.encodings)
  t.strictSame(first, [[5], [0], [5]])
  for await (const batch of file.batches({ batchRows: length })) {
    t.strictSame(batch.columns, columns)
  }
})

t.test('what does not fit the schema is refused', async (t) => {
  const field: Field = { name: 's', type: { kind: 'string' }, isNullable: false }
  const batch = { rowCount: 1, fields: [field], columns: [strings([null])] }
  await t.rejects(written([field], [batch]), new RangeError('No value in the column s'))
  const fixed: Field = { name: 'f', type: { kind: 'fixed', size: 4 }, isNullable: true }
  const five = { rowCount: 1, fields: [fixed], columns: [strings(['12345'])] }
  await t.rejects(written([fixed], [five]), /A value of 5 bytes in f, which has 4/)
  await t.rejects(written([field, fixed], [batch]), /1 columns for 2 fields/)
})

/** Row groups and pages that cannot hold a row that matches are passed over, and no other. */
import t, { type Test } from 'tap'
import type { ColumnBatch, Field } from '../../../src/tables/columns/column.ts'
import { batchOf } from '../../../src/tables/columns/column-builder.ts'
import { rowPrinter } from '../../../src/tables/columns/json-text.ts'
import { compareScalars, mayMatch, type Predicate } from '../../../src/tables/columns/predicate.ts'
import { BloomFilter, plainBytesOf } from '../../../src/tables/parquet/bloom-filter.ts'
import { type ColumnChunk, columnIndex, offsetIndex } from '../../../src/tables/parquet/metadata.ts'
import { matchingRows } from '../../../src/tables/parquet/page-index.ts'
import { ParquetFile } from '../../../src/tables/parquet/parquet-file.ts'
import { ParquetWriter, type WriteOptions } from '../../../src/tables/parquet/parquet-writer.ts'
import type { LeafNode } from '../../../src/tables/parquet/schema.ts'
import { writeThrift } from '../../../src/tables/parquet/thrift.ts'
import { xxhash64 } from '../../../src/tables/parquet/xxhash64.ts'
import { inMemory } from '../../../src/tables/random-access.ts'
import { goldenBytes } from './golden.ts'

const fields: Field[] = [
  { name: 'n', type: { kind: 'int32' }, isNullable: true },
  { name: 'price', type: { kind: 'decimal', precision: 20, scale: 2 }, isNullable: true },
  {
    name: 'where',
    type: {
      kind: 'struct',
      fields: [{ name: 'city', type: { kind: 'string' }, isNullable: true }],
    },
    isNullable: true,
  },
  {
    name: 'tags',
    type: { kind: 'list', element: { name: 'element', type: { kind: 'int64' }, isNullable: true } },
    isNullable: true,
  },
  { name: 'real', type: { kind: 'double' }, isNullable: true },
]

/** Ascending, with a stretch of nulls; 5 000 rows in row groups of 1 000 and pages of 100. */
const rows = Array.from({ length: 5000 }, (_, i) => ({
  n: i >= 2000 && i < 2300 ? null : i,
  price: BigInt(i - 2500) * 10n ** 15n,
  where: i % 10 === 0 ? null : { city: `city ${String(i).padStart(5, '0')}` },
  tags: i % 3 === 0 ? null : Array.from({ length: i % 7 }, (_, j) => BigInt(i + j)),
  real: i === 4321 ? Number.NaN : i / 2,
}))

async function fileOf(options: WriteOptions): Promise<ParquetFile> {
  const chunks: Buffer[] = []
  const sink = { write: (bytes: Uint8Array) => void chunks.push(Buffer.from(bytes)) }
  const writer = new ParquetWriter(sink, fields, options)
  for (let at = 0; at < rows.length; at += 50) {
    await writer.append(batchOf(fields, rows.slice(at, at + 50)))
  }
  await writer.finish()
  return ParquetFile.open(inMemory(Buffer.concat(chunks)))
}

/** Numbers of the rows that come, each checked to be the row it says it is. */
async function found(t: Test, file: ParquetFile, filter: Predicate): Promise<number[]> {
  const numbers: number[] = []
  for await (const batch of file.batches({ filter, batchRows: 64 })) {
    const expected = batchOf(fields, rows.slice(batch.firstRow, batch.firstRow + batch.rowCount))
    for (let i = 0; i < batch.rowCount; i++) numbers.push(batch.firstRow + i)
    t.strictSame(printed(batch), printed(expected), `rows from ${batch.firstRow}`)
  }
  return numbers
}

function printed(batch: ColumnBatch): string[] {
  const print = rowPrinter(fields)
  return Array.from({ length: batch.rowCount }, (_, row) => print(batch, row))
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

const variants: Readonly<Record<string, WriteOptions>> = {
  'first version pages': { rowGroupRows: 1000, pageRows: 100 },
  'second version pages': { rowGroupRows: 1000, pageRows: 100, pageVersion: 2, useDeltas: false },
}

t.test('only pages that may match are read', async (t) => {
  for (const [variant, options] of Object.entries(variants)) {
    const file = await fileOf(options)
    const cases: [Predicate, number[]][] = [
      [{ op: '=', column: ['n'], value: 1234 }, numbers(1200, 1300)],
      [{ op: '>', column: ['n'], value: 4899 }, numbers(4900, 5000)],
      [{ op: '>=', column: ['n'], value: 5000 }, []],
      [{ op: '<', column: ['n'], value: 100n }, numbers(0, 100)],
      [{ op: 'isNull', column: ['n'] }, numbers(2000, 2300)],
      [
        { op: 'in', column: ['where', 'city'], values: ['city 00777', 'city 04001', 'nowhere'] },
        [...numbers(700, 800), ...numbers(4000, 4100)],
      ],
      [{ op: '<=', column: ['price'], value: -2499n * 10n ** 15n }, numbers(0, 100)],
      [
        {
          op: 'and',
          of: [
            { op: '>', column: ['n'], value: 3099 },
            { op: '<', column: ['where', 'city'], value: 'city 03202' },
            { op: 'isNotNull', column: ['n'] },
          ],
        },
        numbers(3100, 3300),
      ],
      [
        {
          op: 'or',
          of: [
            { op: '=', column: ['n'], value: 5 },
            { op: '=', column: ['n'], value: 105 },
            { op: '>', column: ['n'], value: 4950 },
          ],
        },
        [...numbers(0, 200), ...numbers(4900, 5000)],
      ],
      [{ op: '<', column: ['real'], value: 30 }, numbers(0, 100)],
      [{ op: '=', column: ['tags'], value: 3n }, numbers(0, 5000)],
      [{ op: '=', column: ['unknown'], value: 3 }, numbers(0, 5000)],
    ]
    for (const [filter, expected] of cases) {
      t.strictSame(
        await found(t, file, filter),
        expected,
        `${variant}: ${JSON.stringify(filter, replaceBigint)}`,
      )
    }
    // NaN is above all numbers for some: no bound rules it out, in a chunk or a page.
    const above = await found(t, file, { op: '>', column: ['real'], value: 1e9 })
    t.ok(above.includes(4321))
  }
})

function replaceBigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

t.test('indexes of other writers', async (t) => {
  const file = await ParquetFile.open(inMemory(goldenBytes('types-lz4')))
  const read = async (filter: Predicate): Promise<number> => {
    let count = 0
    for await (const batch of file.batches({ filter })) count += batch.rowCount
    return count
  }
  t.equal(await read({ op: '=', column: ['id'], value: 17n }), 60)
  t.equal(await read({ op: '=', column: ['id'], value: 60 }), 0)
  t.equal(await read({ op: '>', column: ['date'], value: 200000 }), 0)
  const v2 = await ParquetFile.open(inMemory(goldenBytes('types-v2')))
  t.equal(v2.boundsIn(v2.rowGroups[1]!, ['id'])?.least, 25n)
})

t.test('a column may have more pages than a call has arguments', async (t) => {
  const rowCount = 400_000
  const value = Buffer.alloc(4)
  const pages = Array.from({ length: rowCount }, (_, row) => row)
  const offsets = writeThrift(offsetIndex, {
    pageLocations: pages.map((row) => ({
      offset: 4 + row,
      compressedPageSize: 1,
      firstRowIndex: row,
    })),
  })
  const columns = writeThrift(columnIndex, {
    nullPages: pages.map((row) => row % 2 === 1),
    minValues: pages.map(() => value),
    maxValues: pages.map(() => value),
    boundaryOrder: 0,
    nullCounts: pages.map((row) => row % 2),
  })
  const chunk = {
    offsetIndexOffset: 0,
    offsetIndexLength: offsets.length,
    columnIndexOffset: offsets.length,
    columnIndexLength: columns.length,
  }
  const leaf: LeafNode = {
    ...{ kind: 'leaf', field: fields[0]!, index: 0, physical: 'INT32', width: 4 },
    ...{ definitionLevel: 1, repetitionLevel: 0, path: ['n'] },
  }
  const ranges = await matchingRows(
    inMemory(Buffer.concat([offsets, columns])),
    { op: 'or', of: [{ op: 'isNull', column: ['n'] }] },
    { rowCount, leafOf: () => leaf, chunkOf: () => chunk as ColumnChunk },
  )
  t.equal(ranges.length, rowCount / 2)
  t.strictSame(ranges.slice(0, 2), [
    { start: 1, end: 2 },
    { start: 3, end: 4 },
  ])
})

t.test('indexes whose pages are not in order rule nothing out', async (t) => {
  const leaf: LeafNode = {
    ...{ kind: 'leaf', field: fields[0]!, index: 0, physical: 'INT32', width: 4 },
    ...{ definitionLevel: 1, repetitionLevel: 0, path: ['n'] },
  }
  const rangesOf = (pages: readonly (readonly [offset: number, firstRow: number])[]) => {
    const offsets = writeThrift(offsetIndex, {
      pageLocations: pages.map(([offset, firstRowIndex]) => ({
        ...{ offset, compressedPageSize: 1, firstRowIndex },
      })),
    })
    const columns = writeThrift(columnIndex, {
      nullPages: pages.map((_, page) => page > 0),
      minValues: pages.map(() => Buffer.alloc(4)),
      maxValues: pages.map(() => Buffer.alloc(4)),
      boundaryOrder: 0,
    })
    const chunk = {
      ...{ offsetIndexOffset: 0, offsetIndexLength: offsets.length },
      ...{ columnIndexOffset: offsets.length, columnIndexLength: columns.length },
    }
    return matchingRows(
      inMemory(Buffer.concat([offsets, columns])),
      { op: 'isNotNull', column: ['n'] },
      { rowCount: 10, leafOf: () => leaf, chunkOf: () => chunk as ColumnChunk },
    )
  }
  t.strictSame(await rangesOf([...good]), [{ start: 0, end: 4 }])
  for (const [what, pages] of Object.entries({
    'a first row before the first': [[4, -5], good[1]],
    'rows that no page has': [[4, 1], good[1]],
    'rows behind the last': [good[0], [5, 11]],
    'rows that go back': [...good, [6, 3]],
    'pages that go back': [good[0], [4, 4]],
  } as const)) {
    t.strictSame(await rangesOf(pages), [{ start: 0, end: 10 }], what)
  }
})

const good = [
  [4, 0],
  [5, 4],
] as const

t.test('xxhash64 and bloom filters', async (t) => {
  // From the test vectors of xxHash itself, seed 0.
  t.equal(xxhash64(Buffer.from('')), 0xef46db3751d8e999n)
  t.equal(xxhash64(Buffer.from('abc')), 0x44bc2cf5ad770999n)
  t.equal(xxhash64(Buffer.from('Nobody inspects the spammish repetition')), 0xfbcea83c8a378bf1n)
  const file = await ParquetFile.open(inMemory(goldenBytes('duckdb')))
  const group = file.rowGroups[0]!
  const sought = (value: string): Predicate => ({ op: '=', column: ['name'], value })
  t.type(group.columns[1]!.metaData!.bloomFilterOffset, 'number')
  t.equal((await file.rangesIn(group, sought('name 3'))).length, 1)
  t.equal(
    (await file.rangesIn(group, sought('name 2.5'))).length,
    0,
    'within the bounds, but not there',
  )
  const double = { ...file.leafAt(['name'])!, physical: 'DOUBLE', width: 8 } as const
  t.equal(plainBytesOf(double, 1)?.length, 8)
  for (const one of [0, -0, Number.NaN])
    t.equal(plainBytesOf(double, one), null, `${one} has several hashes`)
  const leaf = file.leafAt(['name'])!
  const bits = new Uint8Array(64)
  const filter = new BloomFilter(bits)
  const bytes = plainBytesOf(leaf, 'here')!
  t.equal(filter.mayHave(bytes), false)
  bits.fill(255)
  t.equal(filter.mayHave(bytes), true)
})

t.test('order of scalars', async (t) => {
  t.ok(compareScalars('\u{ffff}', '\u{1f40e}') < 0, 'by code points, not by UTF-16 units')
  t.ok(compareScalars('a', 'ab') < 0)
  t.ok(compareScalars(2n ** 60n, 5) > 0)
  t.equal(compareScalars(0, -0), 0)
  t.ok(compareScalars(false, true) < 0)
  t.ok(Number.isNaN(compareScalars('1', 1)))
  const bounds = { rowCount: 3, nullCount: 3 }
  t.equal(
    mayMatch({ op: '!=', column: ['a'], value: 1 }, () => bounds),
    false,
  )
  t.equal(
    mayMatch({ op: 'isNull', column: ['a'] }, () => bounds),
    true,
  )
  t.equal(
    mayMatch({ op: '=', column: ['a'], value: 'x' }, () => ({
      rowCount: 1,
      least: 5,
      greatest: 9,
    })),
    true,
  )
})

/** What other writers wrote is read as they meant it, however it is encoded and in whatever portions. */
import t from 'tap'
import { ParquetFile } from '../../../src/tables/parquet/parquet-file.ts'
import { inMemory } from '../../../src/tables/random-access.ts'
import { goldenBytes, goldenNames, goldenRows, rowsOf } from './golden.ts'

t.test('files of other writers', async (t) => {
  t.ok(goldenNames.length >= 10)
  for (const name of goldenNames) {
    t.strictSame(await rowsOf(goldenBytes(name)), goldenRows(name), name)
  }
})

t.test('the same rows in batches of any size', async (t) => {
  for (const name of ['types-dictionary-v1', 'nested-v1', 'nested-v2', 'encodings-delta']) {
    for (const batchRows of [1, 7, 64]) {
      const rows = await rowsOf(goldenBytes(name), { batchRows })
      t.strictSame(rows, goldenRows(name), `${name} by ${batchRows}`)
    }
  }
})

t.test('only the columns asked for', async (t) => {
  const bytes = goldenBytes('nested-v1')
  const file = await ParquetFile.open(inMemory(bytes))
  t.strictSame(
    file.fields.map(({ name }) => name),
    ['list', 'struct', 'map', 'lists', 'points', 'deep', 'map_of_lists'],
  )
  const columns = [['struct', 'label'], ['points', 'element', 'x'], ['map'], ['nowhere']]
  const expected = goldenRows('nested').map((line) => {
    const row = JSON.parse(line)
    return JSON.stringify({
      struct: row.struct && { label: row.struct.label },
      map: row.map,
      points: row.points?.map((point: { x: number } | null) => point && { x: point.x }) ?? null,
    })
  })
  t.strictSame(await rowsOf(bytes, { columns }), expected)
})

t.test('row groups by their number, and where their rows are', async (t) => {
  const file = await ParquetFile.open(inMemory(goldenBytes('types-v2')))
  t.equal(file.rowCount, 60)
  t.strictSame(
    file.rowGroups.map(({ numRows }) => numRows),
    [25, 25, 10],
  )
  const found: number[][] = []
  for await (const { firstRow, rowCount } of file.batches({ rowGroups: [1, 2], batchRows: 20 })) {
    found.push([firstRow, rowCount])
  }
  t.strictSame(found, [
    [25, 20],
    [45, 5],
    [50, 10],
  ])
  const rows = await rowsOf(goldenBytes('types-v2'), { rowGroups: [2], columns: [['id']] })
  t.strictSame(
    rows,
    Array.from({ length: 10 }, (_, i) => `{"id":${50 + i}}`),
  )
})

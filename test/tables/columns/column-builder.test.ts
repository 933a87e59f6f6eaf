/** Values put into columns come out again; what a type cannot hold is refused. */
import t from 'tap'
import { takeBatch } from '../../../src/tables/columns/batches.ts'
import type { Field } from '../../../src/tables/columns/column.ts'
import { batchOf } from '../../../src/tables/columns/column-builder.ts'
import { rowPrinter } from '../../../src/tables/columns/json-text.ts'
import { structAt, type Value } from '../../../src/tables/columns/value.ts'
import { ParquetFile } from '../../../src/tables/parquet/parquet-file.ts'
import { inMemory } from '../../../src/tables/random-access.ts'
import { goldenBytes, goldenNames, goldenRows } from '../parquet/golden.ts'

t.test('every value of the golden files comes out as it went in', async (t) => {
  for (const name of goldenNames) {
    const file = await ParquetFile.open(inMemory(goldenBytes(name)))
    const rows: { [name: string]: Value }[] = []
    for await (const batch of file.batches()) {
      for (let row = 0; row < batch.rowCount; row++) {
        rows.push(structAt(batch.fields, batch.columns, row))
      }
    }
    const batch = batchOf(file.fields, rows)
    const print = rowPrinter(file.fields)
    const expected = goldenRows(name)
    t.strictSame(
      expected.map((_, row) => print(batch, row)),
      expected,
      name,
    )
    const backwards = Int32Array.from(expected, (_, i) => expected.length - 1 - i)
    const turned = takeBatch(batch, backwards)
    t.strictSame(
      expected.map((_, row) => print(turned, row)),
      expected.toReversed(),
      `${name}, from the last to the first`,
    )
  }
})

t.test('what a type cannot hold is refused', async (t) => {
  const refused: [Field['type'], Value, RegExp][] = [
    [{ kind: 'int8' }, 128, /cannot hold 128: it is of type byte/],
    [{ kind: 'uint32' }, -1, /uint32/],
    [{ kind: 'int32' }, 1.5, /integer/],
    [{ kind: 'int64' }, 2n ** 63n, /long/],
    [{ kind: 'uint64' }, -1n, /uint64/],
    [{ kind: 'decimal', precision: 3, scale: 1 }, 1000n, /decimal/],
    [{ kind: 'boolean' }, 'true', /boolean/],
    [{ kind: 'string' }, 5, /string/],
    [{ kind: 'binary' }, 'text', /binary/],
    [{ kind: 'uuid' }, new Uint8Array(15), /uuid/],
    [{ kind: 'struct', fields: [] }, [1], /struct/],
    [
      { kind: 'list', element: { name: 'element', type: { kind: 'date' }, isNullable: true } },
      'x',
      /array/,
    ],
  ]
  for (const [type, value, message] of refused) {
    const field: Field = { name: 'it', type, isNullable: true }
    t.throws(() => batchOf([field], [{ it: value }]), { name: 'RangeError', message })
  }
  const needed: Field = { name: 'needed', type: { kind: 'int32' }, isNullable: false }
  t.throws(() => batchOf([needed], [{}]), new RangeError('No value for needed'))
  const within: Field = { name: 's', type: { kind: 'struct', fields: [needed] }, isNullable: true }
  t.throws(() => batchOf([within], [{ s: {} }]), new RangeError('No value for s.needed'))
  t.equal(batchOf([within], [{ s: null }, {}]).columns[0]?.validity?.join(), '0,0')
})

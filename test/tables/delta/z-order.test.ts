/** Rows in the order of several columns at once: each file has few values of any of them. */
import t from 'tap'
import { optimizeTable } from '../../../src/tables/delta/optimize.ts'
import { readSnapshot } from '../../../src/tables/delta/snapshot.ts'
import { field, type Line, Made, removeScratch, stage } from './made.ts'

t.teardown(removeScratch)

const fields = [
  field('x', 'int64'),
  field('y', 'string'),
  {
    name: 'o',
    type: { kind: 'struct', fields: [field('z', 'double')] },
    isNullable: true,
  } as const,
  field('p', 'string'),
]
const side = 64

/** A square of points, row by row, in files of some rows each. */
async function square(properties: Record<string, string> = {}, partitionBy: string[] = []) {
  const made = new Made()
  const lines = Array.from({ length: side * side }, (_, i) => {
    const [x, y] = [i % side, Math.floor(i / side)]
    return `{"x":${x},"y":"${String(y).padStart(3, '0')}","o":{"z":${-y}},"p":"${x % 2}"}`
  })
  const transaction = made.create({
    fields,
    partitionBy,
    properties: new Map(Object.entries(properties)),
  })
  await stage(transaction, lines.slice(0, 2048))
  await transaction.commit({ operation: 'WRITE' })
  await made.append(lines.slice(2048))
  return made
}

/** How many files may have the value, by their statistics. */
async function filesWith(made: Made, path: string, value: number | string): Promise<number> {
  const { files } = await readSnapshot(made.storage)
  const at = (stats: Line): unknown =>
    path.split('.').reduce<unknown>((within, name) => (within as Line)[name], stats)
  return [...files.values()].filter(({ stats }) => {
    const { minValues, maxValues } = JSON.parse(stats!) as { minValues: Line; maxValues: Line }
    return (at(minValues) as string) <= value && (at(maxValues) as string) >= value
  }).length
}

t.test('who asks for one value of any column reads few files', async (t) => {
  const made = await square({ 'delta.enableRowTracking': 'true' })
  const before = (await made.rows()).sort()
  const bytes = [...(await readSnapshot(made.storage)).files.values()].reduce(
    (sum, { size }) => sum + size,
    0,
  )
  const done = await optimizeTable(made.environment, Math.ceil(bytes / 16), ['x', 'o.z'])
  t.match(done, { removed: 2, rows: side * side })
  t.ok(done!.files >= 14, `${done!.files} files`)
  for (const value of [0, 17, 63]) {
    t.ok(
      (await filesWith(made, 'x', value)) <= 7,
      `x ${value}: ${await filesWith(made, 'x', value)}`,
    )
    t.ok((await filesWith(made, 'o.z', -value)) <= 7, `z ${-value}`)
  }
  t.strictSame((await made.rows()).sort(), before)
  t.match(made.log(2)[0], {
    commitInfo: { operation: 'OPTIMIZE', operationParameters: { zOrderBy: '["x","o.z"]' } },
  })
  for (const line of made.log(2)) {
    const { dataChange } = (line['add'] ?? line['remove'] ?? { dataChange: false }) as Line
    t.equal(dataChange, false)
  }
})

t.test('partitions stay apart, and one file is left as it is', async (t) => {
  const made = await square({}, ['p'])
  const done = await optimizeTable(made.environment, undefined, ['y', 'x'])
  t.match(done, { removed: 4, files: 2 })
  t.equal(await optimizeTable(made.environment, undefined, ['x']), null)
  t.equal((await made.rows()).length, side * side)
})

t.test('rows without values, and with NaN, have their places', async (t) => {
  const made = new Made()
  const transaction = made.create({ fields: [field('d', 'double'), field('s', 'string')] })
  await stage(transaction, ['{}', '{"d":"NaN"}', '{"d":"-Infinity","s":""}', '{"d":1,"s":"é"}'])
  await transaction.commit({ operation: 'WRITE' })
  await made.append(['{"d":2,"s":"x"}', '{"s":"y"}'])
  const before = (await made.rows()).sort()
  await optimizeTable(made.environment, 200, ['d', 's'])
  t.strictSame((await made.rows()).sort(), before)
})

t.test('what rows have no order by is refused', async (t) => {
  const made = await square({}, ['p'])
  const refused = (names: string[], message: RegExp) =>
    t.rejects(optimizeTable(made.environment, undefined, names), { reason: 'invalid', message })
  await refused(['nope'], /there is no column nope/)
  await refused(['p'], /partitioned by it/)
  await refused(['o'], /no column of plain values/)
  await refused(['x + 1'], /no column of plain values/)
  await refused(new Array(9).fill('x'), /8 columns at most/)
  const clustered = await made.change()
  clustered.change({
    protocol: {
      ...{ minReaderVersion: 1, minWriterVersion: 7, readerFeatures: null },
      writerFeatures: ['clustering', 'domainMetadata'],
    },
  })
  await clustered.commit({ operation: 'UPGRADE PROTOCOL' })
  const configuration = '{"clusteringColumns":[["x"]],"domainName":"delta.clustering"}'
  const domainMetadata = { domain: 'delta.clustering', configuration, removed: false }
  made.commit(3, [{ domainMetadata }])
  await refused(['x'], /the table is clustered/)
})

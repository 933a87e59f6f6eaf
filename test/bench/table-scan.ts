/**
 * Reads a table as fast as it goes: `node table-scan.js PATH full | filtered COLUMN FROM TO` prints how many rows there
 * were, and what it took, as one line of JSON. The filtered scan takes all columns of the rows in a range.
 */
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { LocalStorage } from '../../src/environment/node/local-storage.ts'
import type { ColumnBatch } from '../../src/tables/columns/column.ts'
import type { Predicate } from '../../src/tables/columns/predicate.ts'
import { fileNameOf } from '../../src/tables/delta/paths.ts'
import { scanTable } from '../../src/tables/delta/scan.ts'
import { readSnapshot } from '../../src/tables/delta/snapshot.ts'
import { ParquetFile } from '../../src/tables/parquet/parquet-file.ts'
import { memoryMb } from './broker-cpu.ts'

const [path = '', kind = 'full', column = '', from = '0', to = '0'] = process.argv.slice(2)
const storage = new LocalStorage(path)
const { clock } = createNodeEnvironment({ log: { level: 'silent' } })

async function full(): Promise<number> {
  let rows = 0
  for await (const batch of scanTable(storage, await readSnapshot(storage))) rows += batch.rowCount
  return rows
}

async function filtered(): Promise<number> {
  const range = [BigInt(from), BigInt(to)] as const
  const filter: Predicate = {
    op: 'and',
    of: [
      { op: '>=', column: [column], value: range[0] },
      { op: '<', column: [column], value: range[1] },
    ],
  }
  let rows = 0
  for (const { path: file } of (await readSnapshot(storage)).files.values()) {
    const source = await storage.open(fileNameOf(file))
    const parquet = await ParquetFile.open(source)
    for await (const batch of parquet.batches({ filter })) rows += within(batch, range)
    await source.close()
  }
  return rows
}

function within(batch: ColumnBatch, [least, bound]: readonly [bigint, bigint]): number {
  const found = batch.columns[batch.fields.findIndex(({ name }) => name === column)]
  if (found?.layout !== 'int64') throw new Error(`${column} is no column of integers`)
  let rows = 0
  for (let i = 0; i < batch.rowCount; i++) {
    const value = found.values[i]!
    if (value >= least && value < bound) rows++
  }
  return rows
}

const startedMs = clock.monotonic()
const rows = kind === 'full' ? await full() : await filtered()
const { user, system } = process.cpuUsage()
console.log(
  JSON.stringify({
    rows,
    seconds: (clock.monotonic() - startedMs) / 1000,
    cpuSeconds: (user + system) / 1e6,
    peakMb: memoryMb(process.pid, 'VmHWM'),
  }),
)

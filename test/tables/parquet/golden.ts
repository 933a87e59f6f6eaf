/** Small files that pyarrow and DuckDB wrote, and their rows (`test/golden/generate/parquet.py`). */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rowPrinter } from '../../../src/tables/columns/json-text.ts'
import { ParquetFile, type ReadOptions } from '../../../src/tables/parquet/parquet-file.ts'
import { inMemory } from '../../../src/tables/random-access.ts'

// Compiled tests run from build/, where the golden files are not.
const folder = fileURLToPath(new URL('../../../../test/golden/parquet/', import.meta.url))

export const goldenNames = readdirSync(folder)
  .filter((name) => name.endsWith('.parquet'))
  .map((name) => name.replace('.parquet', ''))

export function goldenBytes(name: string): Buffer {
  return readFileSync(`${folder}${name}.parquet`)
}

export function goldenRows(name: string): string[] {
  return readFileSync(`${folder}${name.split('-')[0]}.jsonl`, 'utf8')
    .split('\n')
    .slice(0, -1)
}

/** The rows of a file as JSON lines. */
export async function rowsOf(bytes: Uint8Array, options: ReadOptions = {}): Promise<string[]> {
  const file = await ParquetFile.open(inMemory(bytes))
  const rows: string[] = []
  for await (const batch of file.batches(options)) {
    const print = rowPrinter(batch.fields)
    for (let row = 0; row < batch.rowCount; row++) rows.push(print(batch, row))
  }
  return rows
}

/** Delta tables for tests: in a directory of their own, made byte by byte or by our own writer. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { crc32 } from '../../../protocol/records/crc32.ts'
import { LocalStorage } from '../../../src/environment/node/local-storage.ts'
import { NodeRandom } from '../../../src/environment/node/random.ts'
import type { Storage } from '../../../src/environment/storage.ts'
import type { ColumnBatch, Field, PlainKind } from '../../../src/tables/columns/column.ts'
import { batchOf } from '../../../src/tables/columns/column-builder.ts'
import { parseJson } from '../../../src/tables/columns/exact-json.ts'
import { rowPrinter } from '../../../src/tables/columns/json-text.ts'
import { rowOfJson } from '../../../src/tables/columns/json-values.ts'
import type { Value } from '../../../src/tables/columns/value.ts'
import { readChanges } from '../../../src/tables/delta/changes.ts'
import { newTable, type TableDefinition } from '../../../src/tables/delta/new-table.ts'
import { chosenFields, scanTable } from '../../../src/tables/delta/scan.ts'
import { SilentRows } from '../../../src/tables/delta/silent-rows.ts'
import { readSnapshot } from '../../../src/tables/delta/snapshot.ts'
import { Transaction } from '../../../src/tables/delta/transaction.ts'
import { ParquetWriter } from '../../../src/tables/parquet/parquet-writer.ts'

export type Line = Record<string, unknown>
type Row = Record<string, Value>

const scratch = mkdtempSync(join(tmpdir(), 'millrace-delta-'))

export function column(name: string, type: unknown, metadata = {}): Line {
  return { name, type, nullable: true, metadata }
}

export function metaData(fields: Line[], more: Line = {}): Line {
  const schemaString = JSON.stringify({ type: 'struct', fields })
  const format = { provider: 'parquet', options: {} }
  const known = { id: 'a', format, schemaString, partitionColumns: [], configuration: {} }
  return { metaData: { ...known, ...more } }
}

export const plainProtocol = { protocol: { minReaderVersion: 1, minWriterVersion: 2 } }

export const withVectors = {
  protocol: {
    minReaderVersion: 3,
    minWriterVersion: 7,
    readerFeatures: ['deletionVectors'],
    writerFeatures: ['deletionVectors'],
  },
}

export function add(path: string, more: Line = {}): Line {
  return {
    add: { path, partitionValues: {}, size: 1, modificationTime: 1, dataChange: true, ...more },
  }
}

export function removeScratch(): void {
  rmSync(scratch, { recursive: true, force: true })
}

/** A table in a directory of its own, whose log and files are put there as they are. */
export class Made {
  readonly root = mkdtempSync(join(scratch, 'table-'))
  readonly storage = new LocalStorage(this.root)

  put(name: string, content: string | Uint8Array): this {
    const path = join(this.root, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
    return this
  }

  commit(version: number, lines: readonly Line[]): this {
    const name = `_delta_log/${String(version).padStart(20, '0')}.json`
    return this.put(name, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  }

  async file(name: string, fields: readonly Field[], rows: readonly Row[]): Promise<this> {
    const chunks: Uint8Array[] = []
    const writer = new ParquetWriter({ write: (bytes) => void chunks.push(bytes) }, fields)
    await writer.append(batchOf(fields, rows))
    await writer.finish()
    return this.put(name, Buffer.concat(chunks))
  }

  async rows(version?: number, columns?: readonly string[]): Promise<string[]> {
    const snapshot = await readSnapshot(this.storage, version)
    const fields = chosenFields(snapshot.schema.fields, columns)
    return printed(scanTable(this.storage, snapshot, fields))
  }

  /** What a writer has; the clock stands at `now`. */
  now = 1_700_000_000_000
  readonly environment = {
    clock: { now: () => this.now, monotonic: () => 0 },
    random: new NodeRandom(),
    storage: this.storage as Storage,
  }

  create(definition: TableDefinition): Transaction {
    return Transaction.creating(this.environment, newTable(definition, this.environment))
  }

  async change(): Promise<Transaction> {
    return Transaction.on(this.environment, await readSnapshot(this.storage))
  }

  /** Rows in JSON, each a line, committed by our own writer. */
  async append(lines: readonly string[]): Promise<number> {
    const transaction = await this.change()
    await stage(transaction, lines)
    const { version } = await transaction.commit({ operation: 'WRITE' })
    return version
  }

  /** The lines of a commit. */
  log(version: number): Line[] {
    const name = `_delta_log/${String(version).padStart(20, '0')}.json`
    const lines = readFileSync(join(this.root, name), 'utf8').trimEnd().split('\n')
    return lines.map((line) => JSON.parse(line) as Line)
  }

  /** The files that a commit has added are no longer there. */
  lose(version: number): void {
    for (const line of this.log(version)) {
      const { path } = (line['add'] ?? {}) as { path?: string }
      if (path !== undefined) rmSync(join(this.root, decodeURIComponent(path)))
    }
  }

  /** All files, hidden ones too, below the root; but those of the log. */
  files(): string[] {
    const all = readdirSync(this.root, { recursive: true, withFileTypes: true })
    return all
      .filter((entry) => entry.isFile() && !entry.parentPath.includes('_delta_log'))
      .map((entry) => join(entry.parentPath, entry.name).slice(this.root.length + 1))
      .sort()
  }
}

/** Rows in JSON, with what happened to them. */
export function changesOf(made: Made, from: number, to?: number): Promise<string[]> {
  return printed(readChanges(made.storage, from, to))
}

/** Rows in JSON. */
export async function printed(batches: AsyncIterable<ColumnBatch>): Promise<string[]> {
  const lines: string[] = []
  for await (const batch of batches) {
    const print = rowPrinter(batch.fields)
    for (let row = 0; row < batch.rowCount; row++) lines.push(print(batch, row))
  }
  return lines
}

/** A table of these rows in JSON, each group a commit of its own. */
export async function committed(
  commits: readonly (readonly string[])[],
  definition: TableDefinition,
): Promise<Made> {
  const made = new Made()
  const transaction = made.create(definition)
  await stage(transaction, commits[0] ?? [])
  await transaction.commit({ operation: 'WRITE' })
  for (const lines of commits.slice(1)) await made.append(lines)
  return made
}

export async function stage(transaction: Transaction, lines: readonly string[]): Promise<void> {
  const { fields } = transaction.schema
  const silent = new SilentRows()
  const rows = lines.map((line, i) => {
    const row = rowOfJson(fields, parseJson(line))
    for (const { name } of fields) if (!Object.hasOwn(row, name)) silent.note(name, i)
    return row
  })
  const { filled } = transaction.rules
  const optional = fields.map((field) =>
    filled.includes(field.name) ? { ...field, isNullable: true } : field,
  )
  await transaction.append(batchOf(optional, rows), silent.take(rows.length))
}

/** The field of a table, as plain as can be. */
export function field(name: string, kind: PlainKind): Field {
  return { name, type: { kind }, isNullable: true }
}

/** A deletion vector's bitmap of rows, in arrays; as the protocol lays it out. */
export function vectorOf(rows: readonly number[]): Buffer {
  const keys = [...new Set(rows.map((row) => row >> 16))]
  const groups = keys.map((key) =>
    rows.filter((row) => row >> 16 === key).map((row) => row & 0xffff),
  )
  const words = [
    u32(1681511377, 1, 0, 0, 12346, keys.length),
    ...keys.map((key, i) => u16(key, groups[i]!.length - 1)),
    u32(...keys.map(() => 0)),
    ...groups.map((group) => u16(...group)),
  ]
  return Buffer.concat(words)
}

export function u32(...values: number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer)
}

export function u16(...values: number[]): Buffer {
  return Buffer.from(Uint16Array.from(values).buffer)
}

export function framed(bitmap: Buffer): Buffer {
  const frame = Buffer.alloc(bitmap.length + 9)
  frame[0] = 1
  frame.writeUInt32BE(bitmap.length, 1)
  bitmap.copy(frame, 5)
  frame.writeUInt32BE(crc32(bitmap) >>> 0, bitmap.length + 5)
  return frame
}

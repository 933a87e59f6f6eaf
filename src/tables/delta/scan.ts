/** The rows of a table's files: read, without those deleted, with the partition's values beside them. */
import type { Storage } from '../../environment/storage.ts'
import { takeBatch } from '../columns/batches.ts'
import type { Column, ColumnBatch, Field } from '../columns/column.ts'
import { builderOf } from '../columns/column-builder.ts'
import { valueOfText } from '../columns/text-values.ts'
import { ParquetError } from '../parquet/parquet-error.ts'
import { type FileBatch, ParquetFile } from '../parquet/parquet-file.ts'
import type { FileAction } from './actions.ts'
import { conform, emptyColumn, fileFieldOf, repeated } from './conform.ts'
import { readDeletionVector } from './deletion-vector.ts'
import { corrupt, missing } from './delta-error.ts'
import { fileNameOf } from './paths.ts'
import type { TableField, TableSchema } from './schema.ts'
import type { Snapshot } from './snapshot.ts'

export type ScannedFile = Pick<FileAction, 'path' | 'partitionValues'>

/** The columns asked for, in that order. Throws DeltaError `missing` for a name that is none. */
export function chosenFields(
  fields: readonly TableField[],
  names: readonly string[] | undefined,
): readonly TableField[] {
  if (names === undefined) return fields
  return names.map((name) => {
    const field =
      fields.find((one) => one.name === name) ??
      fields.find((one) => one.name.toLowerCase() === name.toLowerCase())
    if (field === undefined) {
      throw missing(
        `there is no column ${name}: there are ${fields.map((one) => one.name).join(', ')}`,
      )
    }
    return field
  })
}

/** All live rows, file by file. Rejects with DeltaError, ParquetError, DiskError. */
export async function* scanTable(
  storage: Storage,
  snapshot: Snapshot,
  fields: readonly TableField[] = snapshot.schema.fields,
): AsyncGenerator<ColumnBatch> {
  yield* scanFiles(storage, snapshot, snapshot.files.values(), fields)
}

/** As `scanTable`, of some of its files. */
export async function* scanFiles(
  storage: Storage,
  snapshot: Pick<Snapshot, 'schema'>,
  files: Iterable<FileAction>,
  fields: readonly TableField[] = snapshot.schema.fields,
): AsyncGenerator<ColumnBatch> {
  for (const file of files) {
    const { deletionVector } = file
    const deleted =
      deletionVector === null ? null : await readDeletionVector(storage, deletionVector)
    const isWanted = deleted === null ? null : (row: number) => !deleted.has(row)
    yield* scanFile(storage, snapshot.schema, file, { fields, isWanted })
  }
}

export interface FileScan {
  readonly fields: readonly TableField[]
  /** By position in the file; `null`: all. */
  readonly isWanted: ((row: number) => boolean) | null
}

export async function* scanFile(
  storage: Storage,
  schema: TableSchema,
  file: ScannedFile,
  scan: FileScan,
): AsyncGenerator<ColumnBatch> {
  const name = fileNameOf(file.path)
  const source = await storage.open(name)
  try {
    const parquet = await ParquetFile.open(source)
    const filled = new FileColumns(schema, file, parquet.fields, scan)
    for await (const batch of parquet.batches({ columns: filled.paths })) {
      yield filled.tableBatch(batch)
    }
  } catch (error) {
    throw error instanceof ParquetError ? error.within(file.path) : error
  } finally {
    await source.close()
  }
}

/** Where each of the table's columns comes from in one file. */
class FileColumns {
  readonly paths: readonly (readonly string[])[]
  readonly #scan: FileScan
  readonly #sources: readonly ((batch: FileBatch) => Column)[]

  constructor(
    schema: TableSchema,
    file: ScannedFile,
    fileFields: readonly Field[],
    scan: FileScan,
  ) {
    this.#scan = scan
    const paths: string[][] = []
    this.#sources = scan.fields.map((field) => {
      if (schema.partitionFields.includes(field)) return partitionColumn(field, file)
      const inFile = fileFieldOf(field, fileFields, schema.mapping)
      if (inFile === undefined || field.type.kind === 'null') return nothing(field)
      paths.push([inFile.name])
      return (batch: FileBatch) =>
        conform(field, inFile.type, columnNamed(batch, inFile.name), schema.mapping)
    })
    this.paths = paths
  }

  tableBatch(batch: FileBatch): ColumnBatch {
    const columns = this.#sources.map((source) => source(batch))
    const whole = { rowCount: batch.rowCount, fields: this.#scan.fields, columns }
    const { isWanted } = this.#scan
    if (isWanted === null) return whole
    const positions = new Int32Array(batch.rowCount)
    let kept = 0
    for (let row = 0; row < batch.rowCount; row++) {
      if (isWanted(batch.firstRow + row)) positions[kept++] = row
    }
    return kept === batch.rowCount ? whole : takeBatch(whole, positions.subarray(0, kept))
  }
}

function columnNamed(batch: FileBatch, name: string): Column {
  const at = batch.fields.findIndex((field) => field.name === name)
  if (at < 0) throw corrupt(`a file without the column ${name}`)
  return batch.columns[at]!
}

function nothing(field: TableField): (batch: FileBatch) => Column {
  return ({ rowCount }) => emptyColumn(field.type, rowCount)
}

function partitionColumn(field: TableField, file: ScannedFile): (batch: FileBatch) => Column {
  const text = file.partitionValues.get(field.physicalName) ?? null
  const builder = builderOf({ ...field, isNullable: true })
  try {
    builder.append(valueOfText(field.type, text))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw corrupt(`partition column ${field.name} of ${file.path}: ${error.message}`, {
      cause: error,
    })
  }
  const one = builder.finish()
  return ({ rowCount }) => repeated(one, rowCount)
}

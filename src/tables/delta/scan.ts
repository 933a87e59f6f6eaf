/** The rows of a table's files: read, without those deleted, with the partition's values beside them. */
import type { Storage } from '../../environment/storage.ts'
import { takeBatch } from '../columns/batches.ts'
import type { Column, ColumnBatch, Field } from '../columns/column.ts'
import { builderOf } from '../columns/column-builder.ts'
import type { Predicate, ScalarPath } from '../columns/predicate.ts'
import { valueOfText } from '../columns/text-values.ts'
import { type Condition, columnsOf } from '../columns/where.ts'
import { ParquetError } from '../parquet/parquet-error.ts'
import { type FileBatch, ParquetFile } from '../parquet/parquet-file.ts'
import type { FileAction } from './actions.ts'
import { conform, emptyColumn, fileFieldOf, repeated } from './conform.ts'
import { isLike } from './data-writer.ts'
import { readDeletionVector } from './deletion-vector.ts'
import { corrupt, missing } from './delta-error.ts'
import { evaluating } from './expressions.ts'
import { mayHaveRows } from './file-bounds.ts'
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

/**
 * All live rows, or those for which a condition is true, file by file. Files, row groups and pages that have none of them
 * going by what the log and they themselves tell are not read. Rejects with DeltaError, ParquetError, DiskError.
 */
export async function* scanTable(
  storage: Storage,
  snapshot: Snapshot,
  fields: readonly TableField[] = snapshot.schema.fields,
  where: Condition | null = null,
): AsyncGenerator<ColumnBatch> {
  const { schema } = snapshot
  const filter = where?.predicate ?? null
  const files = [...snapshot.files.values()].filter(mayHaveRows(filter, schema))
  if (where === null) {
    yield* scanFiles(storage, snapshot, files, fields)
    return
  }
  const isAsked = ({ name }: TableField): boolean =>
    [...fields, ...where.fields].some((one) => one.name === name)
  const read = schema.fields.filter(isAsked)
  for await (const batch of scanFiles(storage, snapshot, files, read, filter)) {
    const found = matching(batch, where)
    if (found.rowCount === 0) continue
    yield { ...found, fields, columns: columnsOf(found, fields) }
  }
}

/** The rows of a batch for which a condition is true. Throws DeltaError where it cannot be told. */
export function matching(batch: ColumnBatch, where: Condition): ColumnBatch {
  const matches = evaluating(() => where.matches(batch))
  const positions = new Int32Array(batch.rowCount)
  let count = 0
  for (let row = 0; row < batch.rowCount; row++) if (matches[row] === 1) positions[count++] = row
  return count === batch.rowCount ? batch : takeBatch(batch, positions.subarray(0, count))
}

/** As `scanTable`, of some of its files, with all rows of what is read of them. */
export async function* scanFiles(
  storage: Storage,
  snapshot: Pick<Snapshot, 'schema'>,
  files: Iterable<FileAction>,
  fields: readonly TableField[] = snapshot.schema.fields,
  filter: Predicate | null = null,
): AsyncGenerator<ColumnBatch> {
  for (const file of files) {
    const isWanted = await liveRows(storage, file)
    yield* scanFile(storage, snapshot.schema, file, { fields, isWanted, filter })
  }
}

/** Which rows of a file are not deleted, by position; `null`: none is. */
export async function liveRows(
  storage: Storage,
  { deletionVector }: FileAction,
): Promise<FileScan['isWanted']> {
  if (deletionVector === null) return null
  const deleted = await readDeletionVector(storage, deletionVector)
  return (row) => !deleted.has(row)
}

/** A column that is made of what the file has of it, if that is anything, row by row of a batch of the file. */
export type MadeColumn = (
  given: Column | null,
  rows: { readonly firstRow: number; readonly rowCount: number },
) => Column

export interface FileScan {
  readonly fields: readonly TableField[]
  /** By position in the file; `null`: all. */
  readonly isWanted: ((row: number) => boolean) | null
  /** Row groups and pages that can have no row like this are left out. */
  readonly filter?: Predicate | null
  /** Of those fields that are not simply what the file has. */
  readonly made?: ReadonlyMap<TableField, MadeColumn>
}

export interface ScannedBatch extends ColumnBatch {
  /** The first row's place in the file, from 0; of one from which rows were taken, that of the first there was. */
  readonly firstRow: number
}

export async function* scanFile(
  storage: Storage,
  schema: TableSchema,
  file: ScannedFile,
  scan: FileScan,
): AsyncGenerator<ScannedBatch> {
  const name = fileNameOf(file.path)
  const source = await storage.open(name)
  try {
    const parquet = await ParquetFile.open(source)
    const filled = new FileColumns(schema, file, parquet.fields, scan)
    const filter = inFile(scan.filter ?? null, schema, parquet.fields)
    const options = { columns: filled.paths, ...(filter === null ? {} : { filter }) }
    for await (const batch of parquet.batches(options)) {
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
      const make = scan.made?.get(field)
      if (inFile === undefined || field.type.kind === 'null') {
        return make === undefined ? nothing(field) : (batch: FileBatch) => make(null, batch)
      }
      paths.push([inFile.name])
      const given = (batch: FileBatch): Column =>
        conform(field, inFile.type, columnNamed(batch, inFile.name), schema.mapping)
      return make === undefined ? given : (batch: FileBatch) => make(given(batch), batch)
    })
    this.paths = paths
  }

  tableBatch(batch: FileBatch): ScannedBatch {
    const columns = this.#sources.map((source) => source(batch))
    const { rowCount, firstRow } = batch
    const whole = { rowCount, fields: this.#scan.fields, columns, firstRow }
    const { isWanted } = this.#scan
    if (isWanted === null) return whole
    const positions = new Int32Array(batch.rowCount)
    let kept = 0
    for (let row = 0; row < batch.rowCount; row++) {
      if (isWanted(batch.firstRow + row)) positions[kept++] = row
    }
    if (kept === batch.rowCount) return whole
    return { ...takeBatch(whole, positions.subarray(0, kept)), firstRow }
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

/**
 * What is wanted of the rows of a file, by the names that its columns have there. What cannot be told of them, since a
 * column is not in the file or is of another type there, is left to who looks at the rows; `null`: all of it.
 */
function inFile(
  predicate: Predicate | null,
  schema: TableSchema,
  fileFields: readonly Field[],
): Predicate | null {
  if (predicate === null) return null
  if ('of' in predicate) {
    const parts = predicate.of.map((one) => inFile(one, schema, fileFields))
    const known = parts.filter((one) => one !== null)
    const isTold = predicate.op === 'and' ? known.length > 0 : known.length === parts.length
    return isTold ? { op: predicate.op, of: known } : null
  }
  const column = pathInFile(predicate.column, schema, fileFields)
  return column === null ? null : { ...predicate, column }
}

function pathInFile(
  path: ScalarPath,
  { fields, mapping, partitionFields }: TableSchema,
  fileFields: readonly Field[],
): ScalarPath | null {
  const found: string[] = []
  let [among, there] = [fields, fileFields]
  for (const [depth, name] of path.entries()) {
    const field = among.find((one) => one.name === name)
    if (field === undefined || partitionFields.includes(field)) return null
    const inFile = fileFieldOf(field, there, mapping)
    if (inFile === undefined) return null
    found.push(inFile.name)
    const isEnd = depth === path.length - 1
    if (isEnd && !isLike(field.type, inFile.type)) return null
    among = field.children
    there = inFile.type.kind === 'struct' ? inFile.type.fields : []
  }
  return found
}

/**
 * Rows written as data files of a table: Parquet with the physical names and ids of its columns, one file for each
 * partition that is met, a new one when it has grown enough. No reader sees them before a commit adds them; those that
 * none adds are discarded.
 */
import type { FileInMaking } from '../../environment/storage.ts'
import type { Column, ColumnBatch, DataType, Field } from '../columns/column.ts'
import { uuidText } from '../columns/json-text.ts'
import { ParquetWriter } from '../parquet/parquet-writer.ts'
import type { AddAction } from './actions.ts'
import { emptyColumn } from './conform.ts'
import { invalid, unsupported } from './delta-error.ts'
import { directoryOf, type Partition, partsOf } from './partitions.ts'
import { fileNameOf, pathOf } from './paths.ts'
import type { TableField, TableSchema } from './schema.ts'
import { FileStats, type StatsChoice } from './stats.ts'
import type { TableEnvironment } from './table-environment.ts'

const fileBytesDefault = 128 * 1024 * 1024
const rowGroupBytes = 32 * 1024 * 1024
/** Files open at once: each holds a row group in memory. */
const openFilesMax = 64
/** What all open files may hold; above, the one that holds most is ended. */
const heldBytesMax = 256 * 1024 * 1024

export interface DataWriterOptions {
  readonly stats: StatsChoice
  /** A file ends when it has about so many. */
  readonly fileBytes?: number
  readonly dataChange?: boolean
  /** Of files, behind the table's columns. */
  readonly hidden?: readonly TableField[]
  /** Where files lie, with a slash behind it; the table's root unless given. */
  readonly directory?: string
}

export class DataWriter {
  readonly #environment: TableEnvironment
  readonly #schema: TableSchema
  readonly #options: DataWriterOptions
  /** Of the rows. */
  readonly #all: readonly TableField[]
  /** Of the files: all columns but those of the partition and those that never hold a value. */
  readonly #fields: readonly TableField[]
  readonly #open = new Map<string, OpenFile>()
  readonly #written: AddAction[] = []
  #rowCount = 0

  constructor(environment: TableEnvironment, schema: TableSchema, options: DataWriterOptions) {
    this.#environment = environment
    this.#schema = schema
    this.#options = options
    const hidden = options.hidden ?? []
    this.#all = [...schema.fields, ...hidden]
    this.#fields = this.#all.filter(
      (field) => !schema.partitionFields.includes(field) && field.type.kind !== 'null',
    )
    if (this.#fields.length === hidden.length) {
      throw unsupported('a table of nothing but partition columns is not written')
    }
    for (const field of this.#fields) refuseVoid(field)
  }

  get rowCount(): number {
    return this.#rowCount
  }

  /**
   * Columns are found by the names of the table's; one that the batch lacks is empty. Rows of different groups go to
   * different files.
   */
  async append(batch: ColumnBatch, group = 0): Promise<void> {
    const whole = this.#wholeBatch(batch)
    for (const part of partsOf(whole, this.#schema.partitionFields)) {
      const key = `${group} ${part.partition.key}`
      const file = await this.#fileOf(key, part.partition)
      await file.append(this.#fileBatch(part.batch))
      if (file.size >= (this.#options.fileBytes ?? fileBytesDefault)) await this.#end(key, file)
    }
    this.#rowCount += batch.rowCount
    await this.#limitHeld()
  }

  /** Ends all files. Nothing may be appended afterwards. */
  async finish(): Promise<readonly AddAction[]> {
    await this.endFiles()
    return this.#written
  }

  /** What is appended afterwards goes to other files. */
  async endFiles(): Promise<void> {
    for (const [key, file] of this.#open) await this.#end(key, file)
  }

  /** Removes everything that was written. */
  async discard(): Promise<void> {
    for (const file of this.#open.values()) await file.discard()
    this.#open.clear()
    for (const { path } of this.#written.splice(0)) {
      await this.#environment.storage.remove(fileNameOf(path))
    }
  }

  #wholeBatch(batch: ColumnBatch): ColumnBatch {
    const fields = this.#all
    const unknown = batch.fields.find(({ name }) => !fields.some((one) => one.name === name))
    if (unknown !== undefined) throw invalid(`the table has no column ${unknown.name}`)
    const columns = fields.map((field) =>
      checked(field, givenColumn(batch, field) ?? emptyColumn(field.type, batch.rowCount)),
    )
    return { rowCount: batch.rowCount, fields, columns }
  }

  #fileBatch(batch: ColumnBatch): Pick<ColumnBatch, 'columns' | 'rowCount'> {
    const columns = this.#fields.map((field) => batch.columns[batch.fields.indexOf(field)]!)
    return { rowCount: batch.rowCount, columns }
  }

  async #fileOf(key: string, partition: Partition): Promise<OpenFile> {
    const open = this.#open.get(key)
    if (open !== undefined) return open
    if (this.#open.size >= openFilesMax) await this.#endLargest()
    const file = await OpenFile.create(this.#environment, partition, this.#fields, this.#options)
    this.#open.set(key, file)
    return file
  }

  async #limitHeld(): Promise<void> {
    const held = (): number => [...this.#open.values()].reduce((sum, file) => sum + file.held, 0)
    while (this.#open.size > 1 && held() > heldBytesMax) await this.#endLargest()
  }

  async #endLargest(): Promise<void> {
    const [[key, file]] = [...this.#open].sort(([, a], [, b]) => b.held - a.held) as [
      [string, OpenFile],
    ]
    await this.#end(key, file)
  }

  async #end(key: string, file: OpenFile): Promise<void> {
    this.#written.push(await file.finish(this.#environment.clock.now()))
    this.#open.delete(key)
  }
}

/** One file that rows are written to. */
class OpenFile {
  readonly #partition: Partition
  readonly #path: string
  readonly #file: FileInMaking
  readonly #writer: ParquetWriter
  readonly #stats: FileStats
  readonly #dataChange: boolean
  #flushed = 0

  private constructor(
    file: FileInMaking,
    path: string,
    partition: Partition,
    { fields, options }: { fields: readonly TableField[]; options: DataWriterOptions },
  ) {
    this.#file = file
    this.#path = path
    this.#partition = partition
    this.#dataChange = options.dataChange ?? true
    const { hidden = [] } = options
    const shown = fields.filter((field) => !hidden.includes(field))
    this.#stats = new FileStats(shown, options.stats)
    const sink = {
      write: (bytes: Uint8Array) => {
        this.#flushed += bytes.length
        return file.write(bytes)
      },
    }
    this.#writer = new ParquetWriter(sink, fields.map(inFile), { rowGroupBytes })
  }

  static async create(
    { storage, random }: TableEnvironment,
    partition: Partition,
    fields: readonly TableField[],
    options: DataWriterOptions,
  ): Promise<OpenFile> {
    const { directory = '' } = options
    const kind = directory === '' ? 'part' : 'cdc'
    const file = `${kind}-00000-${randomUuid(random)}.c000.snappy.parquet`
    const name = `${directory}${directoryOf(partition)}${file}`
    const making = await storage.create(name)
    return new OpenFile(making, pathOf(name), partition, { fields, options })
  }

  get size(): number {
    return this.#writer.size
  }

  /** Bytes in memory. */
  get held(): number {
    return this.#writer.size - this.#flushed
  }

  async append(batch: Pick<ColumnBatch, 'columns' | 'rowCount'>): Promise<void> {
    this.#stats.observe(batch)
    await this.#writer.append(batch)
  }

  async finish(now: number): Promise<AddAction> {
    const { size, columns } = await this.#writer.finish()
    await this.#file.finish()
    return {
      path: this.#path,
      partitionValues: this.#partition.values,
      size,
      modificationTime: now,
      dataChange: this.#dataChange,
      stats: this.#stats.finish(columns),
      deletionVector: null,
      tags: null,
      baseRowId: null,
      defaultRowCommitVersion: null,
      clusteringProvider: null,
    }
  }

  discard(): Promise<void> {
    return this.#file.discard()
  }
}

/** A version 4 UUID (RFC 9562). */
export function randomUuid(random: TableEnvironment['random']): string {
  const bytes = random.bytes(16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return uuidText(bytes)
}

/** As files have the field. All may be missing: what the table asks for may change, the file stays. */
function inFile({ type, physicalName, children, fieldId }: TableField): Field {
  const id = fieldId === undefined ? {} : { fieldId }
  return { name: physicalName, type: typeInFile(type, children), isNullable: true, ...id }
}

function typeInFile(type: DataType, children: readonly TableField[]): DataType {
  const within = children.map(inFile)
  switch (type.kind) {
    case 'struct':
      return { kind: 'struct', fields: within }
    case 'list':
      return { kind: 'list', element: within[0]! }
    case 'map':
      return { kind: 'map', key: within[0]!, value: within[1]! }
    default:
      return type
  }
}

function refuseVoid(field: TableField): void {
  if (field.type.kind === 'struct' && field.children.length === 0) {
    throw unsupported(`column ${field.name} is a struct without fields, which is not written`)
  }
  for (const child of field.children) {
    if (child.type.kind === 'null') {
      throw unsupported(`column ${field.name} has a field of type void, which is not written`)
    }
    refuseVoid(child)
  }
}

/** Refuses a column that lacks values which the table asks for. */
function checked(field: TableField, column: Column): Column {
  if (field.isNullable || column.length === 0) return column
  const isWhole =
    column.layout !== 'null' && (column.validity === null || !column.validity.includes(0))
  if (!isWhole) throw invalid(`column ${field.name} has no value in a row, but must have one`)
  return column
}

/** The batch's column of the field, `null` where it has none. Throws DeltaError for one of another type. */
export function givenColumn(batch: ColumnBatch, { name, type }: Field): Column | null {
  const at = batch.fields.findIndex((field) => field.name === name)
  if (at < 0) return null
  if (!isLike(type, batch.fields[at]!.type)) {
    throw invalid(`column ${name} of the rows is of another type than that of the table`)
  }
  return batch.columns[at]!
}

/** Whether values of two types lie alike and mean the same. */
export function isLike(type: DataType, other: DataType): boolean {
  if (type.kind !== other.kind) return false
  switch (type.kind) {
    case 'decimal': {
      const { precision, scale } = other as typeof type
      return precision === type.precision && scale === type.scale
    }
    case 'timestamp': {
      const { unit, isUtc } = other as typeof type
      return unit === type.unit && isUtc === type.isUtc
    }
    case 'list':
      return isLike(type.element.type, (other as typeof type).element.type)
    case 'map': {
      const { key, value } = other as typeof type
      return isLike(type.key.type, key.type) && isLike(type.value.type, value.type)
    }
    case 'struct': {
      const { fields } = other as typeof type
      return (
        fields.length === type.fields.length &&
        type.fields.every(
          (one, i) => one.name === fields[i]!.name && isLike(one.type, fields[i]!.type),
        )
      )
    }
    default:
      return true
  }
}

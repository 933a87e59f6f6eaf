/**
 * A Parquet file to read: `PAR1`, the pages of row group after row group, the footer (thrift), its length
 * as a little-endian uint32, `PAR1`. Only the footer is read to open it; `batches` then reads the columns
 * asked for, some thousand rows at a time, and holds no more than those and a window on each column.
 *
 *     const file = await ParquetFile.open(source)
 *     for await (const batch of file.batches({ columns: [['id'], ['address', 'city']] })) …
 */
import type { Column, ColumnBatch, Field } from '../columns/column.ts'
import {
  type ColumnBounds,
  mayMatch,
  type Predicate,
  type ScalarPath,
} from '../columns/predicate.ts'
import type { RandomAccess } from '../random-access.ts'
import { assemble } from './assemble.ts'
import { mayHave } from './bloom-filter.ts'
import { boundsOfChunk } from './bounds.ts'
import { ChunkReader, type LeafRows } from './chunk-reader.ts'
import { batchBytesAim, batchRowsDefault, columnBatchBytesMax, footerBytesMax } from './limits.ts'
import {
  type FileMetaData,
  fileMetaData,
  type OffsetIndex,
  type RowGroupMetaData,
} from './metadata.ts'
import { matchingRows, type RowRange, readOffsetIndex } from './page-index.ts'
import { beyondLimit, corrupt, nothingKnown, ParquetError, unsupported } from './parquet-error.ts'
import { type ColumnPath, leavesBelow, project } from './projection.ts'
import { type LeafNode, readSchema, type Schema, type SchemaNode } from './schema.ts'
import { readThrift, ThriftTruncated } from './thrift.ts'

const magic = 'PAR1'
const encryptedMagic = 'PARE'
const trailerBytes = 8
/** Read at first from the end: most footers are within. */
const tailBytes = 64 * 1024

export interface FileBatch extends ColumnBatch {
  /** The first row's place in the file, from 0. */
  readonly firstRow: number
}

export interface ReadOptions {
  /** Left out: all. */
  readonly columns?: readonly ColumnPath[]
  /** Indices of row groups; left out: all. */
  readonly rowGroups?: readonly number[]
  /** Rows in a batch, at most. */
  readonly batchRows?: number
  /**
   * Leaves out row groups and pages that cannot hold a row that matches; of the others all rows come, so
   * whoever wants none but those that match looks at them. Values are meant as `value.ts` has them.
   */
  readonly filter?: Predicate
}

export class ParquetFile {
  /** The columns as they are named and typed in the file. */
  readonly fields: readonly Field[]
  readonly rowCount: number
  readonly createdBy: string | undefined
  /** What writers left beside the data, by key. */
  readonly keyValues: ReadonlyMap<string, string>
  readonly metadata: FileMetaData
  readonly schema: Schema
  readonly #source: RandomAccess
  /** Where the footer begins. */
  readonly #pagesEnd: number

  private constructor(source: RandomAccess, metadata: FileMetaData, pagesEnd: number) {
    this.#source = source
    this.#pagesEnd = pagesEnd
    this.metadata = metadata
    this.schema = readSchema(metadata.schema)
    this.fields = this.schema.nodes.map((node) => node.field)
    let rowCount = 0
    for (const group of metadata.rowGroups) {
      if (group.numRows < 0) throw corrupt(`a row group of ${group.numRows} rows`)
      if (group.columns.length !== this.schema.leaves.length) {
        throw corrupt('a row group with other columns than the schema')
      }
      rowCount += group.numRows
    }
    this.rowCount = rowCount
    this.createdBy = metadata.createdBy
    this.keyValues = new Map(metadata.keyValueMetadata?.map(({ key, value }) => [key, value ?? '']))
  }

  /** Throws ParquetError, and what the source throws. */
  static async open(source: RandomAccess): Promise<ParquetFile> {
    const { size } = source
    if (size < trailerBytes + magic.length)
      throw corrupt(`a file of ${size} bytes is no Parquet file`)
    const tail = await readBytes(source, Math.max(size - tailBytes, 0), Math.min(tailBytes, size))
    const found = tail.toString('latin1', tail.length - magic.length)
    if (found === encryptedMagic) throw unsupported('the file is encrypted, which is not supported')
    if (found !== magic) throw corrupt('not a Parquet file: it does not end with PAR1')
    const footerBytes = tail.readUInt32LE(tail.length - trailerBytes)
    const pagesEnd = size - trailerBytes - footerBytes
    if (pagesEnd < magic.length)
      throw corrupt(`a footer of ${footerBytes} bytes in a file of ${size}`)
    if (footerBytes > footerBytesMax) {
      throw beyondLimit(`a footer of ${footerBytes} bytes, over ${footerBytesMax}`)
    }
    const at = tail.length - trailerBytes - footerBytes
    const footer =
      at >= 0 ? tail.subarray(at, at + footerBytes) : await readBytes(source, pagesEnd, footerBytes)
    return new ParquetFile(source, readFooter(footer), pagesEnd)
  }

  get rowGroups(): readonly RowGroupMetaData[] {
    return this.metadata.rowGroups
  }

  /** The rows in order, in batches of the columns asked for. Throws ParquetError. */
  async *batches(options: ReadOptions = {}): AsyncGenerator<FileBatch> {
    const { schema } = this
    const nodes = options.columns ? project(schema.nodes, options.columns) : schema.nodes
    const wanted = options.rowGroups && new Set(options.rowGroups)
    let firstRow = 0
    for (const [index, group] of this.rowGroups.entries()) {
      if (wanted === undefined || wanted.has(index)) {
        try {
          yield* this.#groupBatches({ group, firstRow, nodes, options })
        } catch (error) {
          throw error instanceof ParquetError ? error.within(`row group ${index}`) : error
        }
      }
      firstRow += group.numRows
    }
  }

  /** The column a path of names leads to, through structs only. */
  leafAt(path: ScalarPath): LeafNode | undefined {
    let nodes: readonly SchemaNode[] = this.schema.nodes
    for (const [i, name] of path.entries()) {
      const node = nodes.find(({ field }) => field.name === name)
      if (node?.kind === 'leaf') return i === path.length - 1 ? node : undefined
      nodes = node?.kind === 'struct' ? node.children : []
    }
    return undefined
  }

  /** What statistics tell of a column in a row group; `undefined`: nothing. */
  boundsIn(group: RowGroupMetaData, path: ScalarPath): ColumnBounds | undefined {
    const leaf = this.leafAt(path)
    return leaf && boundsOfChunk(leaf, this.metadata, group)
  }

  /** The rows of a row group that may match, by its statistics, bloom filters and page indexes. */
  async rangesIn(group: RowGroupMetaData, filter: Predicate): Promise<RowRange[]> {
    if (!mayMatch(filter, (path) => this.boundsIn(group, path))) return []
    const filters = { source: this.#source, group, leafOf: (path: ScalarPath) => this.leafAt(path) }
    if (!(await mayHave(filter, filters))) return []
    return matchingRows(this.#source, filter, {
      rowCount: group.numRows,
      leafOf: (path) => this.leafAt(path),
      chunkOf: (leaf) => group.columns[leaf.index]!,
    })
  }

  async *#groupBatches({
    group,
    firstRow,
    nodes,
    options,
  }: GroupToRead): AsyncGenerator<FileBatch> {
    const batchRows = options.batchRows ?? batchRowsDefault
    const ranges = options.filter
      ? await this.rangesIn(group, options.filter)
      : [{ start: 0, end: group.numRows }]
    if (ranges.length === 0) return
    const leaves = nodes.flatMap(leavesBelow)
    const readers = leaves.map((leaf) =>
      inColumn(leaf, () => {
        const range = { pagesEnd: this.#pagesEnd, rowCount: group.numRows }
        return new ChunkReader(this.#source, leaf, group.columns[leaf.index]!, range)
      }),
    )
    const fields = nodes.map((node) => node.field)
    const pages = ranges.at(-1)!.start > 0 ? await this.#pagesOf(readers, group) : []
    for (const { start, end } of ranges) {
      if (start > 0) await skipTo(start, readers, pages)
      for (let row = start; row < end; ) {
        const rows = await rowsAtOnce(readers, Math.min(batchRows, end - row))
        const columns = await readColumns(nodes, readers, rows)
        yield { rowCount: rows, fields, columns, firstRow: firstRow + row }
        row += rows
      }
    }
  }

  /** Where the pages of each column are, as far as the file says it and can be believed. */
  #pagesOf(
    readers: readonly ChunkReader[],
    { columns, numRows }: RowGroupMetaData,
  ): Promise<(OffsetIndex | null)[]> {
    return Promise.all(
      readers.map(({ leaf }) =>
        readOffsetIndex(this.#source, columns[leaf.index]!, numRows).catch(nothingKnown),
      ),
    )
  }
}

async function skipTo(
  row: number,
  readers: readonly ChunkReader[],
  pages: readonly (OffsetIndex | null)[],
): Promise<void> {
  for (const [i, reader] of readers.entries()) {
    await inColumn(reader.leaf, () => reader.skipTo(row, pages[i] ?? null))
  }
}

interface GroupToRead {
  readonly group: RowGroupMetaData
  readonly firstRow: number
  readonly nodes: readonly SchemaNode[]
  readonly options: ReadOptions
}

async function readColumns(
  nodes: readonly SchemaNode[],
  readers: readonly ChunkReader[],
  rows: number,
): Promise<Column[]> {
  const leafRows = new Map<number, LeafRows>()
  for (const reader of readers) {
    leafRows.set(reader.leaf.index, await inColumn(reader.leaf, () => reader.readRows(rows)))
  }
  return nodes.map((node) =>
    inColumn(node, () => assemble(node, (leaf) => leafRows.get(leaf.index)!, rows)),
  )
}

async function readBytes(source: RandomAccess, position: number, length: number): Promise<Buffer> {
  const bytes = await source.read(position, length)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

function readFooter(bytes: Buffer): FileMetaData {
  try {
    return readThrift(fileMetaData, bytes).value
  } catch (error) {
    if (error instanceof ThriftTruncated) throw corrupt('the footer is cut short', { cause: error })
    throw error instanceof ParquetError ? error.within('the footer') : error
  }
}

/** As many rows as are meant to fit a batch, one at least. */
async function rowsAtOnce(readers: readonly ChunkReader[], rowsMax: number): Promise<number> {
  let rowBytes = 0
  for (const reader of readers) {
    rowBytes += await inColumn(reader.leaf, () => reader.rowBytes(rowsMax, columnBatchBytesMax / 2))
  }
  const rows = Math.floor(batchBytesAim / Math.max(rowBytes, 1))
  return Math.max(Math.min(rows, rowsMax), 1)
}

/** Names the column in the errors of what is done with it. */
function inColumn<Result>(node: SchemaNode | LeafNode, work: () => Result): Result {
  const name = node.kind === 'leaf' ? node.path.join('.') : node.field.name
  const told = (error: unknown): never => {
    throw error instanceof ParquetError ? error.within(`column ${name}`) : error
  }
  try {
    const result = work()
    return result instanceof Promise ? (result.catch(told) as Result) : result
  } catch (error) {
    return told(error)
  }
}

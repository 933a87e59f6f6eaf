/**
 * A Parquet file written as a stream: batches of columns come in, row groups go out, one in memory at a time. At the
 * end come the column indexes, the offset indexes, and the footer.
 *
 *     const writer = new ParquetWriter(sink, fields)
 *     await writer.append(batch)
 *     const { size } = await writer.finish()
 */

import { sliceColumn } from '../columns/batches.ts'
import type { ColumnBatch, Field } from '../columns/column.ts'
import {
  boundaryOrder,
  chunkBounds,
  chunkStatistics,
  type WrittenChunk,
  writtenBound,
} from './chunk-bounds.ts'
import { ColumnWriter } from './column-writer.ts'
import type { WrittenCodec } from './compress.ts'
import {
  type ColumnChunk,
  type ColumnIndex,
  codecs,
  columnIndex,
  encodings,
  type FileMetaData,
  fileMetaData,
  type OffsetIndex,
  offsetIndex,
  pageTypes,
  physicalTypes,
  type RowGroupMetaData,
} from './metadata.ts'
import type { WrittenPage } from './page-writer.ts'
import { type LeafNode, readSchema, type Schema } from './schema.ts'
import { schemaElements } from './schema-elements.ts'
import { shred } from './shred.ts'
import { writeThrift } from './thrift.ts'
import { bytesOf } from './value-order.ts'

/** Where a file goes, from its first byte to its last. */
export interface ByteSink {
  write(bytes: Uint8Array): void | Promise<void>
}

export interface WriteOptions {
  /** SNAPPY if left out. */
  readonly codec?: WrittenCodec
  /** The codec's own; for GZIP and ZSTD. */
  readonly level?: number
  readonly keyValues?: ReadonlyMap<string, string>
  /** A row group ends at so many rows, or bytes held for it. */
  readonly rowGroupRows?: number
  readonly rowGroupBytes?: number
  readonly pageVersion?: 1 | 2
  readonly pageBytes?: number
  readonly pageRows?: number
  /** Leaf columns (their paths, joined by dots) without a dictionary; `all`: none has one. */
  readonly withoutDictionary?: ReadonlySet<string> | 'all'
  /** Whether integers that shrink by it are written as deltas: by default they are. */
  readonly useDeltas?: boolean
  /** The order the rows are in, by top-level columns without anything nested. */
  readonly sortedBy?: readonly { column: string; descending: boolean; nullsFirst: boolean }[]
}

/** What a leaf column of the whole file holds. */
export interface ColumnSummary {
  readonly leaf: LeafNode
  readonly nullCount: number
  /** Bytes of the least and the greatest value in each row group that has such. */
  readonly bounds: readonly { least: Uint8Array; greatest: Uint8Array }[]
}

export interface WrittenFile {
  readonly size: number
  readonly rowCount: number
  readonly metadata: FileMetaData
  readonly columns: readonly ColumnSummary[]
}

/** parquet-java believes statistics only of who names himself in this form. */
const createdBy = 'millrace version 0.1.0 (build millrace)'
const magic = Buffer.from('PAR1')
const rowGroupRowsDefault = 1024 * 1024
const rowGroupBytesDefault = 128 * 1024 * 1024
const pageBytesDefault = 1024 * 1024
const pageRowsDefault = 20_000
/** Rows handed to the columns at once: a page is closed within so many of where it is full. */
const sliceRows = 1024

/** Where an index of each chunk belongs, until all row groups are written. */
interface PendingIndex {
  readonly chunk: ColumnChunk
  readonly columnIndex: ColumnIndex | null
  readonly offsetIndex: OffsetIndex
}

export class ParquetWriter {
  readonly #sink: ByteSink
  readonly #options: WriteOptions
  readonly #schema: Schema
  readonly #elements: FileMetaData['schema']
  readonly #columns: readonly ColumnWriter[]
  readonly #codec: WrittenCodec
  readonly #rowGroups: RowGroupMetaData[] = []
  readonly #indexes: PendingIndex[] = []
  readonly #summaries: {
    leaf: LeafNode
    nullCount: number
    bounds: ColumnSummary['bounds'][number][]
  }[]
  #position = 0
  #rowCount = 0
  #groupRows = 0

  constructor(sink: ByteSink, fields: readonly Field[], options: WriteOptions = {}) {
    this.#sink = sink
    this.#options = options
    this.#codec = options.codec ?? 'SNAPPY'
    this.#elements = schemaElements(fields)
    this.#schema = readSchema(this.#elements)
    const without = options.withoutDictionary ?? new Set<string>()
    this.#columns = this.#schema.leaves.map(
      (leaf) =>
        new ColumnWriter(leaf, {
          codec: this.#codec,
          level: options.level,
          pageVersion: options.pageVersion ?? 1,
          pageBytes: options.pageBytes ?? pageBytesDefault,
          pageRows: options.pageRows ?? pageRowsDefault,
          useDictionary: without !== 'all' && !without.has(leaf.path.join('.')),
          useDeltas: options.useDeltas ?? true,
        }),
    )
    this.#summaries = this.#schema.leaves.map((leaf) => ({ leaf, nullCount: 0, bounds: [] }))
  }

  /** Bytes written and held: about what the file would have if it ended now. */
  get size(): number {
    return this.#position + this.#columns.reduce((sum, column) => sum + column.bytesHeld, 0)
  }

  get rowCount(): number {
    return this.#rowCount + this.#groupRows
  }

  /** The batch's columns must be those of the writer's fields, in their order. */
  async append(batch: Pick<ColumnBatch, 'rowCount' | 'columns'>): Promise<void> {
    const { nodes } = this.#schema
    if (batch.columns.length !== nodes.length) {
      throw new RangeError(`${batch.columns.length} columns for ${nodes.length} fields`)
    }
    const rowsMax = this.#options.rowGroupRows ?? rowGroupRowsDefault
    for (let start = 0; start < batch.rowCount; ) {
      const rows = Math.min(sliceRows, batch.rowCount - start, rowsMax - this.#groupRows)
      for (const [i, node] of nodes.entries()) {
        const column = sliceColumn(batch.columns[i]!, start, start + rows)
        for (const leafRows of shred(node, column)) {
          this.#columns[leafRows.leaf.index]!.append(leafRows, rows)
        }
      }
      start += rows
      this.#groupRows += rows
      if (this.#groupRows >= rowsMax || this.#isGroupFull()) await this.#endRowGroup()
    }
  }

  #isGroupFull(): boolean {
    const held = this.#columns.reduce((sum, column) => sum + column.bytesHeld, 0)
    return held >= (this.#options.rowGroupBytes ?? rowGroupBytesDefault)
  }

  /** Writes what is held, the indexes and the footer. Nothing may be appended afterwards. */
  async finish(): Promise<WrittenFile> {
    if (this.#groupRows > 0) await this.#endRowGroup()
    await this.#begin()
    for (const { chunk, columnIndex: index } of this.#indexes) {
      if (index === null) continue
      chunk.columnIndexOffset = this.#position
      chunk.columnIndexLength = await this.#write(writeThrift(columnIndex, index))
    }
    for (const { chunk, offsetIndex: index } of this.#indexes) {
      chunk.offsetIndexOffset = this.#position
      chunk.offsetIndexLength = await this.#write(writeThrift(offsetIndex, index))
    }
    const metadata = this.#footer()
    const length = await this.#write(writeThrift(fileMetaData, metadata))
    const trailer = Buffer.alloc(8)
    trailer.writeUInt32LE(length)
    magic.copy(trailer, 4)
    await this.#write(trailer)
    return { size: this.#position, rowCount: this.#rowCount, metadata, columns: this.#summaries }
  }

  #footer(): FileMetaData {
    const keyValues = [...(this.#options.keyValues ?? [])].map(([key, value]) => ({ key, value }))
    return {
      version: 1,
      schema: this.#elements,
      numRows: this.#rowCount,
      rowGroups: this.#rowGroups,
      keyValueMetadata: keyValues.length === 0 ? undefined : keyValues,
      createdBy,
      columnOrders: this.#schema.leaves.map(() => ({ typeOrder: {} })),
    }
  }

  async #begin(): Promise<void> {
    if (this.#position === 0) await this.#write(magic)
  }

  /** Answers how many bytes that were. */
  async #write(bytes: Uint8Array): Promise<number> {
    this.#position += bytes.length
    await this.#sink.write(bytes)
    return bytes.length
  }

  async #endRowGroup(): Promise<void> {
    await this.#begin()
    const fileOffset = this.#position
    const columns: ColumnChunk[] = []
    let totalByteSize = 0
    for (const [i, column] of this.#columns.entries()) {
      const written = column.finish()
      const chunk = await this.#writeChunk(written)
      columns.push(chunk)
      totalByteSize += chunk.metaData!.totalUncompressedSize
      const summary = this.#summaries[i]!
      summary.nullCount += written.nullCount
      const bounds = chunkBounds(written)
      if (bounds !== null) summary.bounds.push(bounds)
    }
    this.#rowGroups.push({
      columns,
      totalByteSize,
      numRows: this.#groupRows,
      sortingColumns: this.#sortingColumns(),
      fileOffset,
      totalCompressedSize: this.#position - fileOffset,
      // Files of more row groups than an int16 counts leave it out.
      ordinal: this.#rowGroups.length < 32768 ? this.#rowGroups.length : undefined,
    })
    this.#rowCount += this.#groupRows
    this.#groupRows = 0
  }

  #sortingColumns(): RowGroupMetaData['sortingColumns'] {
    return this.#options.sortedBy?.map(({ column, descending, nullsFirst }) => {
      const columnIdx = this.#schema.leaves.findIndex(({ path }) => path.join('.') === column)
      if (columnIdx < 0) throw new RangeError(`Sorted by ${column}, which is no column`)
      return { columnIdx, descending, nullsFirst }
    })
  }

  async #writeChunk(written: WrittenChunk): Promise<ColumnChunk> {
    const { leaf, dictionary, pages } = written
    const start = this.#position
    if (dictionary !== null) await this.#write(dictionary.bytes)
    const dataPageOffset = this.#position
    const locations: OffsetIndex['pageLocations'] = []
    let firstRowIndex = 0
    for (const page of pages) {
      const location = {
        offset: this.#position,
        compressedPageSize: page.bytes.length,
        firstRowIndex,
      }
      locations.push(location)
      firstRowIndex += page.rowCount
      await this.#write(page.bytes)
    }
    const allPages = dictionary === null ? pages : [dictionary, ...pages]
    const chunk: ColumnChunk = {
      fileOffset: 0,
      metaData: {
        type: physicalTypes.indexOf(leaf.physical),
        encodings: encodingsOf(allPages, leaf),
        pathInSchema: [...leaf.path],
        codec: codecs.indexOf(this.#codec),
        numValues: written.levelCount,
        totalUncompressedSize: allPages.reduce((sum, page) => sum + page.unpackedBytes, 0),
        totalCompressedSize: this.#position - start,
        dataPageOffset,
        dictionaryPageOffset: dictionary === null ? undefined : start,
        statistics: chunkStatistics(written),
        encodingStats: this.#encodingStats(dictionary, pages),
      },
    }
    this.#indexes.push({
      chunk,
      columnIndex: columnIndexOf(written),
      offsetIndex: { pageLocations: locations },
    })
    return chunk
  }

  /** Which tell a reader whether all of a chunk's values are in its dictionary. */
  #encodingStats(
    dictionary: WrittenPage | null,
    pages: readonly WrittenPage[],
  ): NonNullable<ColumnChunk['metaData']>['encodingStats'] {
    const pageType = pageTypes.indexOf(
      this.#options.pageVersion === 2 ? 'DATA_PAGE_V2' : 'DATA_PAGE',
    )
    const counts = new Map<string, number>()
    for (const { encoding } of pages) counts.set(encoding, (counts.get(encoding) ?? 0) + 1)
    const stats = [...counts].map(([encoding, count]) => ({
      pageType,
      encoding: (encodings as readonly string[]).indexOf(encoding),
      count,
    }))
    if (dictionary === null) return stats
    const first = { pageType: pageTypes.indexOf('DICTIONARY_PAGE'), encoding: 0, count: 1 }
    return [first, ...stats]
  }
}

function encodingsOf(pages: readonly WrittenPage[], leaf: LeafNode): number[] {
  const used = new Set<string>(pages.map(({ encoding }) => encoding))
  if (leaf.definitionLevel > 0) used.add('RLE')
  return [...used].map((encoding) => (encodings as readonly string[]).indexOf(encoding))
}

/** `null` where a page has values but no bounds: an index must have all or none. */
function columnIndexOf(chunk: WrittenChunk): ColumnIndex | null {
  const { pages, boundOf, least, greatest, order } = chunk
  if (order === 'none') return null
  const index: ColumnIndex = {
    nullPages: [],
    minValues: [],
    maxValues: [],
    boundaryOrder: boundaryOrder(chunk),
    nullCounts: pages.map(({ nullCount }) => nullCount),
  }
  for (const [i, bound] of boundOf.entries()) {
    const isNull = bound < 0
    if (isNull && pages[i]!.valueCount > 0) return null
    index.nullPages.push(isNull)
    index.minValues.push(
      isNull ? noBytes : writtenBound(chunk, bytesOf(least, bound), 'least').bytes,
    )
    index.maxValues.push(
      isNull ? noBytes : writtenBound(chunk, bytesOf(greatest, bound), 'greatest').bytes,
    )
  }
  return index
}

const noBytes = new Uint8Array(0)

/**
 * One column chunk, read row by row count: levels and values of the next so many rows, page after page.
 * A row of a repeated column is the levels up to the next repetition level 0, wherever pages end.
 */
import type { RandomAccess } from '../random-access.ts'
import { ChunkWindow } from './chunk-window.ts'
import { decompressPage } from './decompress.ts'
import { batchBytesAim, batchRowsDefault, columnBatchValuesMax, pageBytesMax } from './limits.ts'
import {
  type Codec,
  type ColumnChunk,
  type ColumnMetaData,
  codecs,
  type OffsetIndex,
  type PageHeader,
  physicalTypes,
} from './metadata.ts'
import {
  type DataPage,
  encodingOf,
  nameOfPageType,
  openDataPage,
  readPageBody,
  readPageHeader,
} from './page.ts'
import { beyondLimit, corrupt, unsupported } from './parquet-error.ts'
import {
  ByteArrays,
  FixedWidthValues,
  type PhysicalValues,
  type ValueDecoder,
} from './physical-values.ts'
import type { LeafNode } from './schema.ts'
import { plainDecoder, valueDecoder, valuesFor } from './value-decoder.ts'

/** Some rows of one leaf: a level a value or null or empty list, and the values there are. */
export interface LeafRows {
  readonly leaf: LeafNode
  readonly levelCount: number
  /** `null`: all are the leaf's highest, so there are no nulls. */
  readonly definition: Uint8Array | null
  /** `null`: the leaf has none. */
  readonly repetition: Uint8Array | null
  readonly values: PhysicalValues
}

/** Levels of a repeated column unrolled at once. */
const blockLevels = 16 * 1024

export class ChunkReader {
  readonly leaf: LeafNode
  readonly #window: ChunkWindow
  readonly #codec: Codec
  readonly #averageBytes: number
  #dictionary: PhysicalValues | null = null
  #valuesLeft: number
  #page: DataPage | null = null
  #decoder: ValueDecoder | null = null
  #pageLeft = 0
  #hasSeenData = false
  readonly #rowCount: number
  /** Rows that have been read or passed over. */
  #row = 0
  /** Where the last page ends, if that is known: after a leap it is not known how many values are left. */
  #endPosition = Number.POSITIVE_INFINITY
  /** Unrolled levels of a repeated column. */
  readonly #block: { definition: Uint8Array; repetition: Uint8Array; at: number; length: number }

  /** `pagesEnd`: where the footer begins, behind all pages. Throws ParquetError. */
  constructor(
    source: RandomAccess,
    leaf: LeafNode,
    chunk: ColumnChunk,
    { pagesEnd, rowCount }: { pagesEnd: number; rowCount: number },
  ) {
    const { metaData } = chunk
    if (chunk.cryptoMetadata || !metaData) {
      throw unsupported('the column is encrypted, which is not supported')
    }
    if (chunk.filePath !== undefined)
      throw unsupported('column chunks in other files are not supported')
    if (physicalTypes[metaData.type] !== leaf.physical) {
      throw corrupt(`a chunk of ${physicalTypes[metaData.type]} in a column of ${leaf.physical}`)
    }
    const codec = codecs[metaData.codec]
    if (codec === undefined) throw unsupported(`codec ${metaData.codec} is not supported`)
    if (metaData.numValues < 0 || (leaf.repetitionLevel === 0 && metaData.numValues !== rowCount)) {
      throw corrupt(`${metaData.numValues} values in a row group of ${rowCount} rows`)
    }
    this.leaf = leaf
    this.#rowCount = rowCount
    this.#codec = codec
    this.#valuesLeft = metaData.numValues
    this.#averageBytes = Math.max(metaData.totalUncompressedSize, 0) / Math.max(rowCount, 1)
    const start = startOf(metaData)
    if (rowCount > 0 && (start < 4 || start > pagesEnd)) throw corrupt(`a column chunk at ${start}`)
    const expectedEnd = start + Math.max(metaData.totalCompressedSize, 0)
    this.#window = new ChunkWindow(source, { start, expectedEnd, end: pagesEnd })
    const levels = leaf.repetitionLevel === 0 ? 0 : blockLevels
    this.#block = {
      definition: new Uint8Array(levels),
      repetition: new Uint8Array(levels),
      at: 0,
      length: 0,
    }
  }

  /** Reads ahead to where values are, and says how many bytes a row may take. */
  async rowBytes(rows: number, bytesMax: number): Promise<number> {
    const isBetweenPages = this.#pageLeft === 0 && this.#block.at === this.#block.length
    if (isBetweenPages && this.#valuesLeft > 0 && this.#window.position < this.#endPosition)
      await this.#nextPage()
    if (!(this.#dictionary instanceof ByteArrays)) return this.#averageBytes
    const { offsets, length, byteLength } = this.#dictionary
    let longest = 0
    for (let i = 0; i < length; i++) longest = Math.max(longest, offsets[i + 1]! - offsets[i]!)
    return longest * rows > bytesMax ? longest : byteLength / Math.max(length, 1)
  }

  readRows(rows: number): Promise<LeafRows> {
    this.#row += rows
    return this.leaf.repetitionLevel === 0 ? this.#readFlat(rows) : this.#readRepeated(rows)
  }

  /** Passes over the rows before `row`: over whole pages where `offsets` tells where they are. */
  async skipTo(row: number, offsets: OffsetIndex | null): Promise<void> {
    const locations = offsets?.pageLocations ?? []
    const page = locations.findLast(({ firstRowIndex }) => firstRowIndex <= row)
    if (page !== undefined && page.firstRowIndex > this.#row) {
      await this.#ensureDictionary()
      const last = locations.at(-1)!
      this.#window.leapTo(page.offset)
      this.#endPosition = last.offset + last.compressedPageSize
      this.#row = page.firstRowIndex
      this.#pageLeft = 0
      this.#block.at = this.#block.length
      this.#valuesLeft =
        this.leaf.repetitionLevel === 0 ? this.#rowCount - this.#row : Number.MAX_SAFE_INTEGER
    }
    while (this.#row < row) await this.readRows(Math.min(row - this.#row, batchRowsDefault))
  }

  /** A chunk that has one begins with it. */
  async #ensureDictionary(): Promise<void> {
    if (this.#hasSeenData || this.#dictionary !== null) return
    const header = await readPageHeader(this.#window)
    if (nameOfPageType(header) !== 'DICTIONARY_PAGE') return
    this.#readDictionary(header, await readPageBody(this.#window, header))
  }

  /** Room for the values of so many rows, if they are as the footer makes believe. */
  #room(rows: number): PhysicalValues {
    if (this.leaf.physical !== 'BYTE_ARRAY' || this.#dictionary !== null) {
      return valuesFor(this.leaf, rows)
    }
    return new ByteArrays(rows, Math.min(Math.ceil(this.#averageBytes * rows * 1.1), batchBytesAim))
  }

  async #readFlat(rows: number): Promise<LeafRows> {
    const levelMax = this.leaf.definitionLevel
    const values = this.#room(rows)
    let definition: Uint8Array | null = null
    for (let at = 0; at < rows; ) {
      if (this.#pageLeft === 0) await this.#nextPage()
      const count = Math.min(this.#pageLeft, rows - at)
      const levels = this.#page!.definition
      let present = count
      if (levels !== null && !levels.skipIfAll(levelMax, count)) {
        definition ??= new Uint8Array(rows).fill(levelMax)
        levels.read(definition, at, count)
        present = countOf(definition, levelMax, at, at + count)
      }
      this.#decoder!.read(values, present)
      this.#pageLeft -= count
      at += count
    }
    return { leaf: this.leaf, levelCount: rows, definition, repetition: null, values }
  }

  async #readRepeated(rows: number): Promise<LeafRows> {
    const { leaf } = this
    const block = this.#block
    const values = this.#room(rows)
    const definition = new FixedWidthValues(1, rows)
    const repetition = new FixedWidthValues(1, rows)
    let seen = 0
    for (;;) {
      if (block.at === block.length && !(await this.#nextBlock())) break
      let end = block.at
      while (end < block.length) {
        if (block.repetition[end] === 0) {
          if (seen === rows) break
          seen++
        }
        end++
      }
      if (seen === 0 && end > block.at) throw corrupt('a row that begins with a repetition')
      const count = end - block.at
      if (definition.length + count > columnBatchValuesMax) {
        throw beyondLimit(`more than ${columnBatchValuesMax} values in ${seen} rows`)
      }
      append(definition, block.definition, block.at, end)
      append(repetition, block.repetition, block.at, end)
      this.#decoder!.read(values, countOf(block.definition, leaf.definitionLevel, block.at, end))
      block.at = end
      if (end < block.length) break
    }
    if (seen < rows) throw corrupt('a column chunk with fewer rows than its row group')
    return {
      leaf,
      levelCount: definition.length,
      definition: definition.bytes.subarray(0, definition.length),
      repetition: repetition.bytes.subarray(0, repetition.length),
      values,
    }
  }

  /** Unrolls more levels; false where the chunk has no more. */
  async #nextBlock(): Promise<boolean> {
    while (this.#pageLeft === 0) {
      if (this.#valuesLeft === 0 || this.#window.position >= this.#endPosition) return false
      await this.#nextPage()
    }
    const block = this.#block
    const length = Math.min(this.#pageLeft, blockLevels)
    this.#page!.repetition!.read(block.repetition, 0, length)
    this.#page!.definition!.read(block.definition, 0, length)
    const { repetitionLevel, definitionLevel } = this.leaf
    for (let i = 0; i < length; i++) {
      if (block.repetition[i]! > repetitionLevel || block.definition[i]! > definitionLevel) {
        throw corrupt('a level above the highest')
      }
    }
    block.at = 0
    block.length = length
    this.#pageLeft -= length
    return true
  }

  /** Opens the next data page; pages of other kinds on the way are taken in or passed over. */
  async #nextPage(): Promise<void> {
    while (this.#pageLeft === 0) {
      if (this.#valuesLeft === 0) throw corrupt('a column chunk with fewer values than rows')
      const header = await readPageHeader(this.#window)
      const type = nameOfPageType(header)
      if (type === 'INDEX_PAGE') {
        this.#window.leapTo(this.#window.position + header.compressedPageSize)
        continue
      }
      const body = await readPageBody(this.#window, header)
      if (type === 'DICTIONARY_PAGE') {
        this.#readDictionary(header, body)
        continue
      }
      const page = openDataPage(header, body, { leaf: this.leaf, codec: this.#codec })
      if (page.valueCount > this.#valuesLeft) {
        throw corrupt('pages with more values than their column chunk')
      }
      this.#hasSeenData = true
      this.#page = page
      this.#decoder = valueDecoder(this.leaf, page, this.#dictionary)
      this.#pageLeft = page.valueCount
      this.#valuesLeft -= page.valueCount
    }
  }

  #readDictionary(header: PageHeader, body: Uint8Array): void {
    const dictionary = header.dictionaryPageHeader
    if (dictionary === undefined) throw corrupt('a dictionary page without its header')
    if (this.#dictionary !== null || this.#hasSeenData) throw corrupt('a second or late dictionary')
    const encoding = encodingOf(dictionary.encoding)
    if (encoding !== 'PLAIN' && encoding !== 'PLAIN_DICTIONARY') {
      throw unsupported(`a dictionary in the encoding ${encoding} is not supported`)
    }
    const bytes = decompressPage(this.#codec, body, header.uncompressedPageSize)
    const { numValues } = dictionary
    // A value takes a byte at least; where it takes none there is but one.
    if (numValues < 0 || numValues > Math.max(bytes.length, 1) || numValues > pageBytesMax) {
      throw corrupt(`a dictionary of ${numValues} values in ${bytes.length} bytes`)
    }
    const values =
      this.leaf.physical === 'BYTE_ARRAY'
        ? new ByteArrays(numValues, bytes.length)
        : valuesFor(this.leaf, numValues)
    if (this.leaf.physical === 'BOOLEAN')
      throw unsupported('a dictionary of BOOLEAN is not supported')
    plainDecoder(this.leaf, bytes).read(values, numValues)
    this.#dictionary = values
  }
}

/** The dictionary comes first; where there is none some writers say that it is at 0. */
function startOf({ dictionaryPageOffset = 0, dataPageOffset }: ColumnMetaData): number {
  const hasDictionary =
    dictionaryPageOffset > 0 && (dictionaryPageOffset < dataPageOffset || dataPageOffset <= 0)
  return hasDictionary ? dictionaryPageOffset : dataPageOffset
}

function countOf(levels: Uint8Array, level: number, start: number, end: number): number {
  let count = 0
  for (let i = start; i < end; i++) if (levels[i] === level) count++
  return count
}

function append(target: FixedWidthValues, source: Uint8Array, start: number, end: number): void {
  target.reserve(end - start)
  target.bytes.set(source.subarray(start, end), target.length)
  target.length += end - start
}

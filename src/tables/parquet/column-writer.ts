/**
 * One column chunk on its way out: rows come in slices, pages are encoded and packed as they fill up, and
 * at the end of the row group all are written, the dictionary first.
 *
 * A column begins with a dictionary, unless it is told otherwise. If its first values or page show that this does not pay, or the
 * dictionary grows beyond its limit, what follows is PLAIN, or deltas where an integer column shrinks by them.
 */
import { crc32 } from '../../../protocol/records/crc32.ts'
import { isText } from '../columns/value.ts'
import { ByteWriter } from './byte-writer.ts'
import { compressPage, type WrittenCodec } from './compress.ts'
import { asDoubles, encodeDeltas } from './delta-encoder.ts'
import { DictionaryEncoder } from './dictionary-encoder.ts'
import { bitsFor, encodeHybrid } from './hybrid-encoder.ts'
import {
  type Encoding,
  encodings,
  type PageHeader,
  pageHeader,
  pageTypes,
  type Statistics,
} from './metadata.ts'
import { ByteArrays, FixedWidthValues, type PhysicalValues } from './physical-values.ts'
import { encodePlain, plainBytes } from './plain-encoder.ts'
import type { LeafNode } from './schema.ts'
import type { ShreddedLeaf } from './shred.ts'
import { writeThrift } from './thrift.ts'
import { toPhysical } from './to-physical.ts'
import { valuesFor } from './value-decoder.ts'
import {
  bytesOf,
  comparer,
  type Extremes,
  extremesOf,
  orderOf,
  shortened,
  type ValueOrder,
  zeroBound,
} from './value-order.ts'

export interface ColumnOptions {
  readonly codec: WrittenCodec
  readonly level?: number | undefined
  readonly pageVersion: 1 | 2
  readonly pageBytes: number
  readonly pageRows: number
  readonly useDictionary: boolean
  /** Whether integers may be written as deltas. */
  readonly useDeltas: boolean
}

const dictionaryBytesMax = 1024 * 1024
/** Of so many first values, more than such a part that are distinct need no dictionary, whatever comes. */
const dictionaryTrial = 4096
const distinctShareMax = 0.95
/** Deltas are to save at least a quarter: not every reader is as fast with them. */
const deltaShareMax = 0.75
/** Bounds in statistics and indexes are cut to so many bytes. */
const boundBytesMax = 64

export interface WrittenPage {
  /** Header and body. */
  readonly bytes: Uint8Array
  readonly unpackedBytes: number
  readonly rowCount: number
  readonly nullCount: number
  /** Without nulls. */
  readonly valueCount: number
  readonly encoding: Encoding
}

interface EncodedPage {
  readonly encoding: Encoding
  readonly encoded: Uint8Array
  /** Where `extremes` are: for a page of indices the dictionary. */
  readonly values: PhysicalValues
  readonly extremes: Extremes | null
  readonly valueCount: number
}

export interface WrittenChunk {
  readonly leaf: LeafNode
  readonly dictionary: WrittenPage | null
  readonly pages: readonly WrittenPage[]
  /** Least and greatest values of the pages, one each for a page that has them (`boundOf`). */
  readonly least: PhysicalValues
  readonly greatest: PhysicalValues
  /** The place of a page's bounds in both; -1: it has none. */
  readonly boundOf: readonly number[]
  readonly levelCount: number
  readonly nullCount: number
  readonly order: ValueOrder
}

export class ColumnWriter {
  readonly leaf: LeafNode
  readonly #options: ColumnOptions
  readonly #order: ValueOrder
  #usesDictionary: boolean
  #dictionary: DictionaryEncoder | null = null
  #dictionaryDone = false
  /** Deltas or not is decided once a row group. */
  #integers: 'undecided' | 'plain' | 'deltas' = 'undecided'
  #pages: WrittenPage[] = []
  #least: PhysicalValues
  #greatest: PhysicalValues
  #boundOf: number[] = []
  #levelCount = 0
  #nullCount = 0
  /** Of the page that is being filled. */
  #rows = 0
  #levels = 0
  #values: PhysicalValues
  #indices = new Int32Array(0)
  #indexCount = 0
  readonly #definition: FixedWidthValues
  readonly #repetition: FixedWidthValues
  #bytesHeld = 0

  constructor(leaf: LeafNode, options: ColumnOptions) {
    this.leaf = leaf
    this.#options = options
    this.#order = orderOf(leaf)
    this.#usesDictionary =
      options.useDictionary && leaf.physical !== 'BOOLEAN' && leaf.field.type.kind !== 'null'
    this.#values = valuesFor(leaf, 0)
    this.#least = valuesFor(leaf, 0)
    this.#greatest = valuesFor(leaf, 0)
    this.#definition = new FixedWidthValues(1, 0)
    this.#repetition = new FixedWidthValues(1, 0)
    this.#begin()
  }

  /** Bytes held for this row group, the open page included. */
  get bytesHeld(): number {
    return this.#bytesHeld + (this.#dictionary?.byteLength ?? 0) + this.#pageBytes()
  }

  append(rows: ShreddedLeaf, rowCount: number): void {
    const { leaf } = this
    const values = toPhysical(leaf, rows.column, rows.positions)
    if (leaf.definitionLevel > 0) {
      appendLevels(this.#definition, rows.definition, rows.levelCount, leaf.definitionLevel)
    }
    if (leaf.repetitionLevel > 0)
      appendLevels(this.#repetition, rows.repetition, rows.levelCount, 0)
    this.#rows += rowCount
    this.#levels += rows.levelCount
    if (this.#dictionary !== null && !this.#dictionaryDone) {
      this.#reserveIndices(values.length)
      this.#dictionary.encode(values, this.#indices, this.#indexCount)
      this.#indexCount += values.length
      this.#tryDictionary(this.#dictionary)
    } else appendValues(this.#values, values)
    const isDictionaryFull =
      !this.#dictionaryDone && (this.#dictionary?.byteLength ?? 0) > dictionaryBytesMax
    if (
      isDictionaryFull ||
      this.#rows >= this.#options.pageRows ||
      this.#pageBytes() >= this.#options.pageBytes
    ) {
      this.#closePage()
    }
    if (isDictionaryFull) this.#dictionaryDone = true
  }

  /** Whoever has nearly nothing twice at the beginning is not asked for a whole page. */
  #tryDictionary(dictionary: DictionaryEncoder): void {
    if (this.#pages.length > 0 || this.#indexCount < dictionaryTrial) return
    if (dictionary.values.length <= distinctShareMax * this.#indexCount) return
    this.#values = this.#giveUpDictionary(dictionary)
    this.#indexCount = 0
  }

  /** Ends the chunk, and begins the next one. */
  finish(): WrittenChunk {
    if (this.#rows > 0) this.#closePage()
    const chunk: WrittenChunk = {
      leaf: this.leaf,
      dictionary: this.#dictionary && this.#dictionaryPage(this.#dictionary.values),
      pages: this.#pages,
      least: this.#least,
      greatest: this.#greatest,
      boundOf: this.#boundOf,
      levelCount: this.#levelCount,
      nullCount: this.#nullCount,
      order: this.#order,
    }
    this.#begin()
    return chunk
  }

  #begin(): void {
    this.#dictionary = this.#usesDictionary ? new DictionaryEncoder(valuesFor(this.leaf, 0)) : null
    this.#dictionaryDone = false
    this.#integers = 'undecided'
    this.#pages = []
    this.#least = valuesFor(this.leaf, 0)
    this.#greatest = valuesFor(this.leaf, 0)
    this.#boundOf = []
    this.#levelCount = 0
    this.#nullCount = 0
    this.#bytesHeld = 0
  }

  #pageBytes(): number {
    const values =
      this.#indexCount > 0
        ? (this.#indexCount * bitsFor(this.#dictionary!.values.length)) / 8
        : plainBytes(this.#values)
    return values
  }

  #reserveIndices(count: number): void {
    if (this.#indexCount + count <= this.#indices.length) return
    const larger = new Int32Array(Math.max(2 * this.#indices.length, this.#indexCount + count))
    larger.set(this.#indices.subarray(0, this.#indexCount))
    this.#indices = larger
  }

  #closePage(): void {
    const { encoding, encoded, values, extremes, valueCount } = this.#encodePage()
    this.#addBounds(values, extremes)
    const page = this.#dataPage(encoded, encoding, valueCount)
    this.#pages.push(page)
    this.#bytesHeld += page.bytes.length
    this.#levelCount += this.#levels
    this.#nullCount += page.nullCount
    this.#rows = 0
    this.#levels = 0
    this.#values = valuesFor(this.leaf, 0)
    this.#indexCount = 0
    this.#definition.length = 0
    this.#repetition.length = 0
  }

  #encodePage(): EncodedPage {
    const dictionary = this.#dictionaryDone ? null : this.#dictionary
    const valueCount = this.#indexCount
    if (dictionary !== null && valueCount > 0 && this.#dictionaryPays(dictionary)) {
      const { values } = dictionary
      const encoded = this.#encodeIndices(values.length)
      const extremes = this.#extremesOfIndices(values)
      return { encoding: 'RLE_DICTIONARY', encoded, values, extremes, valueCount }
    }
    const values =
      dictionary !== null && valueCount > 0 ? this.#giveUpDictionary(dictionary) : this.#values
    const extremes = extremesOf(values, this.#order)
    return { ...this.#encodeValues(values), values, extremes, valueCount: values.length }
  }

  /** Asked at the first page: is it smaller with its dictionary than without? */
  #dictionaryPays({ values, byteLength }: DictionaryEncoder): boolean {
    if (this.#pages.some(({ encoding }) => encoding === 'RLE_DICTIONARY')) return true
    const width = values instanceof ByteArrays ? byteLength / values.length : values.width
    const indexBytes = (this.#indexCount * bitsFor(values.length)) / 8
    return byteLength + indexBytes < this.#indexCount * width
  }

  /** Nothing has been written with it yet: the first page's values are put back as they were. */
  #giveUpDictionary({ values }: DictionaryEncoder): PhysicalValues {
    const plain = valuesFor(this.leaf, 0)
    const indices = this.#indices
    for (let i = 0; i < this.#indexCount; i++) {
      const index = indices[i]!
      if (values instanceof ByteArrays) {
        const target = plain as ByteArrays
        const start = values.offsets[index]!
        const end = values.offsets[index + 1]!
        target.reserve(1, end - start)
        target.append(values.bytes, start, end)
      } else {
        const target = plain as FixedWidthValues
        target.reserve(1)
        target.bytes.set(bytesOf(values, index), target.length * target.width)
        target.length++
      }
    }
    this.#dictionary = null
    this.#usesDictionary = false
    return plain
  }

  #encodeIndices(distinct: number): Uint8Array {
    const writer = new ByteWriter()
    // Some readers refuse a width of 0.
    const width = Math.max(bitsFor(distinct - 1), 1)
    writer.byte(width)
    encodeHybrid(writer, this.#indices, this.#indexCount, width)
    return writer.written()
  }

  #extremesOfIndices(values: PhysicalValues): Extremes | null {
    const isUsed = new Uint8Array(values.length)
    for (let i = 0; i < this.#indexCount; i++) isUsed[this.#indices[i]!] = 1
    return extremesOf(values, this.#order, isUsed)
  }

  #encodeValues(values: PhysicalValues): { encoding: Encoding; encoded: Uint8Array } {
    const { physical } = this.leaf
    if (
      this.#options.useDeltas &&
      this.#integers !== 'plain' &&
      (physical === 'INT32' || physical === 'INT64') &&
      values.length > 0
    ) {
      const doubles = asDoubles(values as FixedWidthValues)
      const writer = new ByteWriter()
      if (doubles !== null) encodeDeltas(writer, doubles, physical === 'INT32')
      const pays = doubles !== null && writer.length < deltaShareMax * plainBytes(values)
      if (this.#integers === 'undecided') this.#integers = pays ? 'deltas' : 'plain'
      if (pays) return { encoding: 'DELTA_BINARY_PACKED', encoded: writer.written() }
    }
    return { encoding: 'PLAIN', encoded: encodePlain(values, physical === 'BOOLEAN') }
  }

  #addBounds(values: PhysicalValues, extremes: Extremes | null): void {
    if (extremes === null) {
      this.#boundOf.push(-1)
      return
    }
    this.#boundOf.push(this.#least.length)
    appendOne(this.#least, bytesOf(values, extremes.least))
    appendOne(this.#greatest, bytesOf(values, extremes.greatest))
  }

  #dataPage(values: Uint8Array, encoding: Encoding, valueCount: number): WrittenPage {
    const { codec, level, pageVersion } = this.#options
    const { leaf } = this
    const writer = new ByteWriter(values.length + this.#levels)
    const isFirstVersion = pageVersion === 1
    const repetitionBytes = writeLevels(
      writer,
      this.#repetition,
      leaf.repetitionLevel,
      isFirstVersion,
    )
    const definitionBytes = writeLevels(
      writer,
      this.#definition,
      leaf.definitionLevel,
      isFirstVersion,
    )
    const nullCount = this.#levels - valueCount
    const about = { rowCount: this.#rows, nullCount, valueCount, encoding }
    const numValues = this.#levels
    const encodingId = encodings.indexOf(encoding)
    if (isFirstVersion) {
      writer.append(values)
      const body = compressPage(codec, writer.written(), level)
      const dataPageHeader = {
        numValues,
        encoding: encodingId,
        definitionLevelEncoding: encodings.indexOf('RLE'),
        repetitionLevelEncoding: encodings.indexOf('RLE'),
      }
      return page(
        { type: pageTypes.indexOf('DATA_PAGE'), dataPageHeader },
        body,
        writer.length,
        about,
      )
    }
    const packed = values.length === 0 ? values : compressPage(codec, values, level)
    const isCompressed = codec !== 'UNCOMPRESSED' && packed.length < values.length
    const levelBytes = writer.length
    writer.append(isCompressed ? packed : values)
    const dataPageHeaderV2 = {
      numValues,
      numNulls: nullCount,
      numRows: this.#rows,
      encoding: encodingId,
      definitionLevelsByteLength: definitionBytes,
      repetitionLevelsByteLength: repetitionBytes,
      isCompressed,
    }
    const header = { type: pageTypes.indexOf('DATA_PAGE_V2'), dataPageHeaderV2 }
    return page(header, writer.written(), levelBytes + values.length, about)
  }

  #dictionaryPage(values: PhysicalValues): WrittenPage | null {
    if (this.#pages.every(({ encoding }) => encoding !== 'RLE_DICTIONARY')) return null
    const bytes = encodePlain(values, false)
    const body = compressPage(this.#options.codec, bytes, this.#options.level)
    const dictionaryPageHeader = { numValues: values.length, encoding: encodings.indexOf('PLAIN') }
    const header = { type: pageTypes.indexOf('DICTIONARY_PAGE'), dictionaryPageHeader }
    return page(header, body, bytes.length, {
      rowCount: 0,
      nullCount: 0,
      valueCount: values.length,
      encoding: 'PLAIN',
    })
  }
}

function page(
  header: Omit<PageHeader, 'uncompressedPageSize' | 'compressedPageSize' | 'crc'>,
  body: Uint8Array,
  unpackedBodyBytes: number,
  about: Pick<WrittenPage, 'rowCount' | 'nullCount' | 'valueCount' | 'encoding'>,
): WrittenPage {
  const written = writeThrift(pageHeader, {
    ...header,
    uncompressedPageSize: unpackedBodyBytes,
    compressedPageSize: body.length,
    crc: crc32(body) | 0,
  })
  const bytes = new Uint8Array(written.length + body.length)
  bytes.set(written)
  bytes.set(body, written.length)
  return { ...about, bytes, unpackedBytes: written.length + unpackedBodyBytes }
}

/** Answers the bytes of the levels; pages of the first version have their length before them. */
function writeLevels(
  writer: ByteWriter,
  levels: FixedWidthValues,
  levelMax: number,
  hasLength: boolean,
): number {
  if (levelMax === 0) return 0
  const encoded = new ByteWriter()
  encodeHybrid(encoded, levels.bytes, levels.length, bitsFor(levelMax))
  if (hasLength) writer.uint32(encoded.length)
  writer.append(encoded.written())
  return encoded.length
}

function appendLevels(
  target: FixedWidthValues,
  levels: Uint8Array | null,
  count: number,
  constant: number,
): void {
  target.reserve(count)
  if (levels === null) target.bytes.fill(constant, target.length, target.length + count)
  else target.bytes.set(levels, target.length)
  target.length += count
}

function appendValues(target: PhysicalValues, values: PhysicalValues): void {
  if (values instanceof ByteArrays) {
    const to = target as ByteArrays
    to.reserve(values.length, values.byteLength)
    const start = to.byteLength
    to.bytes.set(values.bytes.subarray(0, values.byteLength), start)
    for (let i = 1; i <= values.length; i++) to.offsets[to.length + i] = start + values.offsets[i]!
  } else {
    const to = target as FixedWidthValues
    to.reserve(values.length)
    to.bytes.set(values.bytes.subarray(0, values.length * values.width), to.length * to.width)
  }
  target.length += values.length
}

function appendOne(target: PhysicalValues, bytes: Uint8Array): void {
  if (target instanceof ByteArrays) {
    target.reserve(1, bytes.length)
    target.append(bytes, 0, bytes.length)
    return
  }
  target.reserve(1)
  target.bytes.set(bytes, target.length * target.width)
  target.length++
}

/** The bound of a page or chunk as it is written. */
export function writtenBound(
  { leaf, order }: Pick<WrittenChunk, 'leaf' | 'order'>,
  bytes: Uint8Array,
  as: 'least' | 'greatest',
): { bytes: Uint8Array; isExact: boolean } {
  if (order === 'float') return { bytes: zeroBound(bytes, as), isExact: true }
  if (order !== 'bytes') return { bytes, isExact: true }
  return shortened(bytes, as, { most: boundBytesMax, isUtf8: isText(leaf.field.type) })
}

/** Least and greatest value of a whole chunk; `null` where it has none. */
export function chunkBounds(
  chunk: WrittenChunk,
): { least: Uint8Array; greatest: Uint8Array } | null {
  const least = extremesOf(chunk.least, chunk.order)
  const greatest = extremesOf(chunk.greatest, chunk.order)
  if (least === null || greatest === null) return null
  return {
    least: bytesOf(chunk.least, least.least),
    greatest: bytesOf(chunk.greatest, greatest.greatest),
  }
}

export function chunkStatistics(chunk: WrittenChunk): Statistics {
  const bounds = chunkBounds(chunk)
  if (bounds === null) return { nullCount: chunk.nullCount }
  const min = writtenBound(chunk, bounds.least, 'least')
  const max = writtenBound(chunk, bounds.greatest, 'greatest')
  return {
    nullCount: chunk.nullCount,
    minValue: min.bytes,
    maxValue: max.bytes,
    isMinValueExact: min.isExact,
    isMaxValueExact: max.isExact,
  }
}

/** How the pages' bounds follow one another: both up (1), both down (2), or neither (0). */
export function boundaryOrder({ least, greatest, order }: WrittenChunk): 0 | 1 | 2 {
  const compareLeast = comparer(least, order)
  const compareGreatest = comparer(greatest, order)
  let isUp = true
  let isDown = true
  for (let i = 1; i < least.length; i++) {
    const byLeast = compareLeast(i - 1, i)
    const byGreatest = compareGreatest(i - 1, i)
    if (byLeast > 0 || byGreatest > 0) isUp = false
    if (byLeast < 0 || byGreatest < 0) isDown = false
  }
  return isUp ? 1 : isDown ? 2 : 0
}

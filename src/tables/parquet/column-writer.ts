/**
 * One column chunk on its way out: rows come in slices, pages are encoded and packed (`page-writer.ts`) as
 * they fill up, and at the end of the row group all are written, the dictionary first.
 *
 * A column begins with a dictionary, unless it is told otherwise. If its first values or page show that this
 * does not pay, or the dictionary grows beyond its limit, what follows is PLAIN, or deltas where an integer
 * column shrinks by them.
 */
import { ByteWriter } from './byte-writer.ts'
import type { WrittenChunk } from './chunk-bounds.ts'
import { asDoubles, encodeDeltas } from './delta-encoder.ts'
import { DictionaryEncoder } from './dictionary-encoder.ts'
import { bitsFor, encodeHybrid } from './hybrid-encoder.ts'
import type { Encoding } from './metadata.ts'
import { dataPage, dictionaryPage, type PageOptions, type WrittenPage } from './page-writer.ts'
import { ByteArrays, FixedWidthValues, type PhysicalValues } from './physical-values.ts'
import { encodePlain, plainBytes } from './plain-encoder.ts'
import type { LeafNode } from './schema.ts'
import type { ShreddedLeaf } from './shred.ts'
import { toPhysical } from './to-physical.ts'
import { valuesFor } from './value-decoder.ts'
import { bytesOf, type Extremes, extremesOf, orderOf, type ValueOrder } from './value-order.ts'

export interface ColumnOptions extends PageOptions {
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

interface EncodedPage {
  readonly encoding: Encoding
  readonly encoded: Uint8Array
  /** Where `extremes` are: for a page of indices the dictionary. */
  readonly values: PhysicalValues
  readonly extremes: Extremes | null
  readonly valueCount: number
}

export class ColumnWriter {
  readonly leaf: LeafNode
  readonly #options: ColumnOptions
  readonly #order: ValueOrder
  #usesDictionary: boolean
  #dictionary: DictionaryEncoder | null = null
  #isDictionaryDone = false
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
    if (this.#dictionary !== null && !this.#isDictionaryDone) {
      this.#reserveIndices(values.length)
      this.#dictionary.encode(values, this.#indices, this.#indexCount)
      this.#indexCount += values.length
      this.#tryDictionary(this.#dictionary)
    } else appendValues(this.#values, values)
    const isDictionaryFull =
      !this.#isDictionaryDone && (this.#dictionary?.byteLength ?? 0) > dictionaryBytesMax
    if (
      isDictionaryFull ||
      this.#rows >= this.#options.pageRows ||
      this.#pageBytes() >= this.#options.pageBytes
    ) {
      this.#closePage()
    }
    if (isDictionaryFull) this.#isDictionaryDone = true
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
    this.#isDictionaryDone = false
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
    if (this.#indexCount === 0) return plainBytes(this.#values)
    return (this.#indexCount * bitsFor(this.#dictionary!.values.length)) / 8
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
    const page = dataPage(this.leaf, this.#options, {
      encoding,
      encoded,
      valueCount,
      rowCount: this.#rows,
      levelCount: this.#levels,
      repetition: this.#repetition,
      definition: this.#definition,
    })
    this.#pages.push(page)
    this.#bytesHeld += page.bytes.length
    this.#levelCount += this.#levels
    this.#nullCount += page.nullCount
    this.#rows = 0
    this.#levels = 0
    // Their memory serves the next page: of this one there are copies.
    this.#values.length = 0
    this.#indexCount = 0
    this.#definition.length = 0
    this.#repetition.length = 0
  }

  #encodePage(): EncodedPage {
    const dictionary = this.#isDictionaryDone ? null : this.#dictionary
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

  #dictionaryPage(values: PhysicalValues): WrittenPage | null {
    if (this.#pages.every(({ encoding }) => encoding !== 'RLE_DICTIONARY')) return null
    return dictionaryPage(values, this.#options)
  }
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

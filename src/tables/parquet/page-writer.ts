/** Pages as they are written, counterpart of `page.ts`: header, then levels and values, packed by the chunk's codec. */
import { crc32 } from '../../../protocol/records/crc32.ts'
import { ByteWriter } from './byte-writer.ts'
import { compressPage, type WrittenCodec } from './compress.ts'
import { bitsFor, encodeHybrid } from './hybrid-encoder.ts'
import { type Encoding, encodings, type PageHeader, pageHeader, pageTypes } from './metadata.ts'
import type { FixedWidthValues, PhysicalValues } from './physical-values.ts'
import { encodePlain } from './plain-encoder.ts'
import type { LeafNode } from './schema.ts'
import { writeThrift } from './thrift.ts'

export interface PageOptions {
  readonly codec: WrittenCodec
  readonly level?: number | undefined
  readonly pageVersion: 1 | 2
}

/** What is told of a page beside its bytes. */
interface PageContent {
  readonly rowCount: number
  readonly nullCount: number
  /** Without nulls. */
  readonly valueCount: number
  readonly encoding: Encoding
}

export interface WrittenPage extends PageContent {
  /** Header and body. */
  readonly bytes: Uint8Array
  readonly unpackedBytes: number
}

/** A page on its way out: its values encoded, its levels not yet. */
export interface OpenPage {
  readonly encoding: Encoding
  readonly encoded: Uint8Array
  readonly valueCount: number
  readonly rowCount: number
  /** Values and nulls. */
  readonly levelCount: number
  readonly repetition: FixedWidthValues
  readonly definition: FixedWidthValues
}

export function dataPage(
  { repetitionLevel, definitionLevel }: LeafNode,
  options: PageOptions,
  open: OpenPage,
): WrittenPage {
  const { encoding, encoded, valueCount, rowCount, levelCount } = open
  const writer = new ByteWriter(encoded.length + levelCount)
  const isFirstVersion = options.pageVersion === 1
  const repetitionBytes = writeLevels(writer, open.repetition, repetitionLevel, isFirstVersion)
  const definitionBytes = writeLevels(writer, open.definition, definitionLevel, isFirstVersion)
  const nullCount = levelCount - valueCount
  const content = { rowCount, nullCount, valueCount, encoding }
  const { codec, level } = options
  if (isFirstVersion) {
    writer.append(encoded)
    const dataPageHeader = {
      numValues: levelCount,
      encoding: encodings.indexOf(encoding),
      definitionLevelEncoding: encodings.indexOf('RLE'),
      repetitionLevelEncoding: encodings.indexOf('RLE'),
    }
    const header = { type: pageTypes.indexOf('DATA_PAGE'), dataPageHeader }
    return page(header, compressPage(codec, writer.written(), level), writer.length, content)
  }
  const packed = encoded.length === 0 ? encoded : compressPage(codec, encoded, level)
  const isCompressed = codec !== 'UNCOMPRESSED' && packed.length < encoded.length
  const unpackedBytes = writer.length + encoded.length
  writer.append(isCompressed ? packed : encoded)
  const dataPageHeaderV2 = {
    numValues: levelCount,
    numNulls: nullCount,
    numRows: rowCount,
    encoding: encodings.indexOf(encoding),
    definitionLevelsByteLength: definitionBytes,
    repetitionLevelsByteLength: repetitionBytes,
    isCompressed,
  }
  const header = { type: pageTypes.indexOf('DATA_PAGE_V2'), dataPageHeaderV2 }
  return page(header, writer.written(), unpackedBytes, content)
}

export function dictionaryPage(values: PhysicalValues, { codec, level }: PageOptions): WrittenPage {
  const bytes = encodePlain(values, false)
  const dictionaryPageHeader = { numValues: values.length, encoding: encodings.indexOf('PLAIN') }
  const header = { type: pageTypes.indexOf('DICTIONARY_PAGE'), dictionaryPageHeader }
  const content = {
    rowCount: 0,
    nullCount: 0,
    valueCount: values.length,
    encoding: 'PLAIN',
  } as const
  return page(header, compressPage(codec, bytes, level), bytes.length, content)
}

function page(
  header: Omit<PageHeader, 'uncompressedPageSize' | 'compressedPageSize' | 'crc'>,
  body: Uint8Array,
  unpackedBodyBytes: number,
  content: PageContent,
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
  return { ...content, bytes, unpackedBytes: written.length + unpackedBodyBytes }
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

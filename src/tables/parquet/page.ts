/**
 * One page of a column chunk: its header, then its body, packed by the chunk's codec. The body of a first
 * version page is repetition levels, definition levels and values, packed together; in the second version
 * the levels are not packed and tell no lengths of their own, since the header does.
 */
import { crc32 } from '../../../protocol/records/crc32.ts'
import type { ChunkWindow } from './chunk-window.ts'
import { decompressPage } from './decompress.ts'
import { BitPackedDecoder, HybridDecoder } from './hybrid-decoder.ts'
import { pageBytesMax, pageHeaderBytesMax } from './limits.ts'
import {
  type Codec,
  type Encoding,
  encodings,
  type PageHeader,
  pageHeader,
  pageTypes,
} from './metadata.ts'
import { beyondLimit, corrupt, unsupported } from './parquet-error.ts'
import { readUint32 } from './plain-decoder.ts'
import type { LeafNode } from './schema.ts'
import { readThrift, ThriftTruncated } from './thrift.ts'

export type LevelDecoder = Pick<HybridDecoder, 'read'> & {
  skipIfAll(value: number, count: number): boolean
}

export interface DataPage {
  readonly valueCount: number
  readonly encoding: Encoding
  /** `null` where the column has no such levels. */
  readonly repetition: LevelDecoder | null
  readonly definition: LevelDecoder | null
  /** The encoded values. */
  readonly values: Uint8Array
}

/** The header at the window's position, which moves behind it; bytes are fetched as it turns out to need them. */
export async function readPageHeader(window: ChunkWindow): Promise<PageHeader> {
  for (let length = 1024; ; length *= 8) {
    const isAll = length >= Math.min(window.left, pageHeaderBytesMax)
    const bytes = await window.ensure(Math.min(length, window.left, pageHeaderBytesMax))
    try {
      const { value, end } = readThrift(pageHeader, bytes)
      window.position += end
      checkSizes(value)
      return value
    } catch (error) {
      if (!(error instanceof ThriftTruncated)) throw error
      if (isAll) throw corrupt('a page header without an end', { cause: error })
    }
  }
}

function checkSizes(header: PageHeader): void {
  for (const size of [header.compressedPageSize, header.uncompressedPageSize]) {
    if (size < 0) throw corrupt(`a page of ${size} bytes`)
    if (size > pageBytesMax) throw beyondLimit(`a page of ${size} bytes, over ${pageBytesMax}`)
  }
}

/** The packed body behind a header, checked against its checksum if it has one. */
export async function readPageBody(window: ChunkWindow, header: PageHeader): Promise<Uint8Array> {
  const size = header.compressedPageSize
  const body = (await window.ensure(size)).subarray(0, size)
  window.position += size
  if (header.crc !== undefined && crc32(body) !== header.crc >>> 0) {
    throw corrupt('a page whose checksum does not match')
  }
  return body
}

export function nameOfPageType(header: PageHeader): (typeof pageTypes)[number] {
  const type = pageTypes[header.type]
  if (type === undefined) throw unsupported(`a page of type ${header.type}`)
  return type
}

export function encodingOf(id: number): Encoding {
  const encoding = encodings[id]
  if (encoding === undefined) throw unsupported(`encoding ${id} is not supported`)
  return encoding
}

export function openDataPage(
  header: PageHeader,
  body: Uint8Array,
  { leaf, codec }: { leaf: LeafNode; codec: Codec },
): DataPage {
  return nameOfPageType(header) === 'DATA_PAGE'
    ? openFirstVersion(header, body, leaf, codec)
    : openSecondVersion(header, body, leaf, codec)
}

function bitsOf(level: number): number {
  return 32 - Math.clz32(level)
}

function openFirstVersion(
  header: PageHeader,
  body: Uint8Array,
  leaf: LeafNode,
  codec: Codec,
): DataPage {
  const data = header.dataPageHeader
  if (data === undefined) throw corrupt('a data page without its header')
  if (data.numValues < 0) throw corrupt(`a page of ${data.numValues} values`)
  const bytes = decompressPage(codec, body, header.uncompressedPageSize)
  let at = 0
  const levels = (levelMax: number, encodingId: number): LevelDecoder | null => {
    if (levelMax === 0) return null
    const width = bitsOf(levelMax)
    if (encodingOf(encodingId) === 'BIT_PACKED') {
      const length = Math.ceil((data.numValues * width) / 8)
      if (length > bytes.length - at) throw corrupt('levels beyond the end of their page')
      at += length
      return new BitPackedDecoder(bytes.subarray(at - length, at), width)
    }
    if (encodingOf(encodingId) !== 'RLE') {
      throw unsupported(`levels in the encoding ${encodingOf(encodingId)} are not supported`)
    }
    const length = bytes.length - at < 4 ? -1 : readUint32(bytes, at)
    at += 4
    if (length < 0 || length > bytes.length - at)
      throw corrupt('levels beyond the end of their page')
    at += length
    return new HybridDecoder(bytes.subarray(at - length, at), width)
  }
  const repetition = levels(leaf.repetitionLevel, data.repetitionLevelEncoding)
  const definition = levels(leaf.definitionLevel, data.definitionLevelEncoding)
  return {
    valueCount: data.numValues,
    encoding: encodingOf(data.encoding),
    repetition,
    definition,
    values: bytes.subarray(at),
  }
}

function openSecondVersion(
  header: PageHeader,
  body: Uint8Array,
  leaf: LeafNode,
  codec: Codec,
): DataPage {
  const data = header.dataPageHeaderV2
  if (data === undefined) throw corrupt('a data page without its header')
  if (data.numValues < 0) throw corrupt(`a page of ${data.numValues} values`)
  const repetitionBytes = data.repetitionLevelsByteLength
  const definitionBytes = data.definitionLevelsByteLength
  const levelBytes = repetitionBytes + definitionBytes
  if (repetitionBytes < 0 || definitionBytes < 0 || levelBytes > body.length) {
    throw corrupt('levels beyond the end of their page')
  }
  const packed = body.subarray(levelBytes)
  const size = header.uncompressedPageSize - levelBytes
  if (size < 0) throw corrupt('levels larger than their page')
  // Nothing need not be unpacked, whatever the codec would have made of it.
  const isPacked = data.isCompressed !== false && packed.length > 0
  const values = isPacked ? decompressPage(codec, packed, size) : packed
  return {
    valueCount: data.numValues,
    encoding: encodingOf(data.encoding),
    repetition:
      leaf.repetitionLevel === 0
        ? null
        : new HybridDecoder(body.subarray(0, repetitionBytes), bitsOf(leaf.repetitionLevel)),
    definition:
      leaf.definitionLevel === 0
        ? null
        : new HybridDecoder(
            body.subarray(repetitionBytes, levelBytes),
            bitsOf(leaf.definitionLevel),
          ),
    values,
  }
}

/**
 * Split-block bloom filters of column chunks: blocks of eight words. The upper half of a value's hash chooses the
 * block, the lower half with eight salts a bit in each of its words; a value that was put in has all eight set.
 */
import type { DataType } from '../columns/column.ts'
import type { Predicate, Scalar, ScalarPath } from '../columns/predicate.ts'
import type { RandomAccess } from '../random-access.ts'
import {
  type BloomFilterHeader,
  bloomFilterHeader,
  type ColumnChunk,
  type RowGroupMetaData,
} from './metadata.ts'
import { beyondLimit, corrupt, nothingKnown, unsupported } from './parquet-error.ts'
import { readUint32 } from './plain-decoder.ts'
import type { LeafNode } from './schema.ts'
import { readThrift, ThriftTruncated } from './thrift.ts'
import { xxhash64 } from './xxhash64.ts'

const blockBytes = 32
const headerBytesMax = 256
const filterBytesMax = 128 * 1024 * 1024
const salts = [
  0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31,
]

export class BloomFilter {
  readonly #bits: Uint8Array

  /** `bits`: whole blocks. */
  constructor(bits: Uint8Array) {
    this.#bits = bits
  }

  /** The filter of a chunk; `null`: it has none. Throws ParquetError. */
  static async read(source: RandomAccess, chunk: ColumnChunk): Promise<BloomFilter | null> {
    const offset = chunk.metaData?.bloomFilterOffset
    if (offset === undefined) return null
    if (offset < 0 || offset >= source.size) throw corrupt('a bloom filter outside the file')
    const head = await source.read(offset, Math.min(headerBytesMax, source.size - offset))
    const { value: header, end } = readHeader(head)
    const { numBytes, algorithm, hash, compression } = header
    if (!algorithm.block || !hash.xxhash || !compression.uncompressed) {
      throw unsupported('a bloom filter of an unknown kind')
    }
    if (numBytes <= 0 || numBytes % blockBytes !== 0 || offset + end + numBytes > source.size) {
      throw corrupt(`a bloom filter of ${numBytes} bytes`)
    }
    if (numBytes > filterBytesMax) throw beyondLimit(`a bloom filter of ${numBytes} bytes`)
    return new BloomFilter(await source.read(offset + end, numBytes))
  }

  /** Whether a value of these bytes (PLAIN, without a length) may have been put in. */
  mayHave(bytes: Uint8Array): boolean {
    const hash = xxhash64(bytes)
    const blocks = BigInt(this.#bits.length / blockBytes)
    const block = Number(((hash >> 32n) * blocks) >> 32n)
    const key = Number(hash & 0xffffffffn)
    return salts.every((salt, i) => {
      const bit = Math.imul(key, salt) >>> 27
      return ((readUint32(this.#bits, block * blockBytes + 4 * i) >>> bit) & 1) === 1
    })
  }
}

type Equality = Predicate & { op: '='; value: Scalar }

/** Whether bloom filters leave it open that a row of the group matches. Those that cannot be read say nothing. */
export async function mayHave(
  predicate: Predicate,
  within: {
    source: RandomAccess
    group: RowGroupMetaData
    leafOf: (path: ScalarPath) => LeafNode | undefined
  },
): Promise<boolean> {
  switch (predicate.op) {
    case 'and':
      for (const one of predicate.of) if (!(await mayHave(one, within))) return false
      return true
    case 'or':
      for (const one of predicate.of) if (await mayHave(one, within)) return true
      return false
    case '=':
    case 'in': {
      const leaf = within.leafOf(predicate.column)
      const chunk = leaf && within.group.columns[leaf.index]
      if (leaf === undefined || chunk?.metaData?.bloomFilterOffset === undefined) return true
      const values = 'values' in predicate ? predicate.values : [(predicate as Equality).value]
      const sought = values.map((value) => plainBytesOf(leaf, value))
      if (sought.includes(null)) return true
      const filter = await BloomFilter.read(within.source, chunk).catch(nothingKnown)
      return filter === null || sought.some((bytes) => filter.mayHave(bytes!))
    }
    default:
      return true
  }
}

function readHeader(bytes: Uint8Array): { value: BloomFilterHeader; end: number } {
  try {
    return readThrift(bloomFilterHeader, bytes)
  } catch (error) {
    if (error instanceof ThriftTruncated)
      throw corrupt('a bloom filter is cut short', { cause: error })
    throw error
  }
}

/** A value as PLAIN writes it; `null` where its bytes are not certain. */
export function plainBytesOf(
  { field, physical, width }: LeafNode,
  value: Scalar,
): Uint8Array | null {
  const bytes = Buffer.alloc(width)
  const integer = integerOf(value)
  switch (physical) {
    case 'INT32':
      if (integer === null || BigInt.asIntN(33, integer) !== integer) return null
      bytes.writeInt32LE(Number(BigInt.asIntN(32, integer)))
      return bytes
    case 'INT64':
      if (integer === null || BigInt.asIntN(65, integer) !== integer) return null
      bytes.writeBigInt64LE(BigInt.asIntN(64, integer))
      return bytes
    // The two zeros have different hashes, and what is NaN has one of many.
    case 'FLOAT':
      if (!isHashed(value) || Math.fround(value) !== value) return null
      bytes.writeFloatLE(value)
      return bytes
    case 'DOUBLE':
      if (!isHashed(value)) return null
      bytes.writeDoubleLE(value)
      return bytes
    case 'BYTE_ARRAY':
    case 'FIXED_LEN_BYTE_ARRAY':
      return bytesOfText(field.type, value)
    default:
      return null
  }
}

function isHashed(value: Scalar): value is number {
  return typeof value === 'number' && value !== 0 && !Number.isNaN(value)
}

function integerOf(value: Scalar): bigint | null {
  if (typeof value === 'bigint') return value
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : null
}

function bytesOfText({ kind }: DataType, value: Scalar): Uint8Array | null {
  if (kind === 'decimal') return null
  if (typeof value === 'string') return Buffer.from(value)
  return value instanceof Uint8Array ? value : null
}

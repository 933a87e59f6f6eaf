/** The decoder of a page's values, by its encoding and the column's physical type. */
import { byteStreamSplitDecoder } from './byte-stream-split.ts'
import { DeltaByteArrayDecoder, DeltaIntegerDecoder, DeltaLengthDecoder } from './delta-decoder.ts'
import { DictionaryDecoder } from './dictionary-decoder.ts'
import type { Encoding } from './metadata.ts'
import { corrupt, unsupported } from './parquet-error.ts'
import {
  ByteArrays,
  FixedWidthValues,
  type PhysicalValues,
  type ValueDecoder,
} from './physical-values.ts'
import {
  PlainBooleanDecoder,
  PlainByteArrayDecoder,
  PlainFixedWidthDecoder,
  RleBooleanDecoder,
} from './plain-decoder.ts'
import type { LeafNode } from './schema.ts'

/** Room for the values of a leaf. */
export function valuesFor(leaf: LeafNode, capacity: number): PhysicalValues {
  return leaf.physical === 'BYTE_ARRAY'
    ? new ByteArrays(capacity)
    : new FixedWidthValues(leaf.width, capacity)
}

export function plainDecoder({ physical }: LeafNode, bytes: Uint8Array): ValueDecoder {
  if (physical === 'BYTE_ARRAY') return new PlainByteArrayDecoder(bytes)
  if (physical === 'BOOLEAN') return new PlainBooleanDecoder(bytes)
  return new PlainFixedWidthDecoder(bytes)
}

export function valueDecoder(
  leaf: LeafNode,
  page: { encoding: Encoding; values: Uint8Array },
  dictionary: PhysicalValues | null,
): ValueDecoder {
  const { encoding, values } = page
  const { physical } = leaf
  switch (encoding) {
    case 'PLAIN':
      return plainDecoder(leaf, values)
    case 'PLAIN_DICTIONARY':
    case 'RLE_DICTIONARY':
      if (dictionary === null) {
        if (values.length === 0) return plainDecoder(leaf, values)
        throw corrupt('dictionary indices without a dictionary')
      }
      return new DictionaryDecoder(dictionary, values)
    case 'RLE':
      if (physical === 'BOOLEAN') return new RleBooleanDecoder(values)
      break
    case 'DELTA_BINARY_PACKED':
      if (physical === 'INT32' || physical === 'INT64') return new DeltaIntegerDecoder(values)
      break
    case 'DELTA_LENGTH_BYTE_ARRAY':
      if (physical === 'BYTE_ARRAY') return new DeltaLengthDecoder(values)
      break
    case 'DELTA_BYTE_ARRAY':
      if (physical === 'BYTE_ARRAY' || physical === 'FIXED_LEN_BYTE_ARRAY') {
        return new DeltaByteArrayDecoder(values)
      }
      break
    case 'BYTE_STREAM_SPLIT':
      if (physical !== 'BYTE_ARRAY' && physical !== 'BOOLEAN' && physical !== 'INT96') {
        return byteStreamSplitDecoder(values, leaf.width)
      }
      break
    default:
      break
  }
  throw unsupported(`the encoding ${encoding} is not supported for ${physical}`)
}

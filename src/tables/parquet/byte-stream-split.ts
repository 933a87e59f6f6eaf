/** BYTE_STREAM_SPLIT: the first bytes of all values, then all second bytes, and so on. */
import { corrupt } from './parquet-error.ts'
import type { FixedWidthValues, ValueDecoder } from './physical-values.ts'

export function byteStreamSplitDecoder(bytes: Uint8Array, width: number): ValueDecoder {
  const total = width === 0 ? 0 : Math.floor(bytes.length / width)
  let read = 0
  return {
    read: (values, count) => {
      const target = values as FixedWidthValues
      if (count > total - read) throw corrupt('a page holds fewer values than it says')
      target.reserve(count)
      const to = target.length * width
      for (let stream = 0; stream < width; stream++) {
        const from = stream * total + read
        for (let i = 0, at = to + stream; i < count; i++, at += width) {
          target.bytes[at] = bytes[from + i]!
        }
      }
      target.length += count
      read += count
    },
  }
}

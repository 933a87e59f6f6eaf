/** Bytes that can be read at any place: a file on a local disk, an object in a store, memory. */
export interface RandomAccess {
  /** Bytes in all. */
  readonly size: number
  /** Exactly the bytes from `position` to before `position + length`; rejects where they are not there. */
  read(position: number, length: number): Promise<Uint8Array>
}

/** Bytes in memory. */
export function inMemory(bytes: Uint8Array): RandomAccess {
  return {
    size: bytes.length,
    read: async (position, length) => {
      if (position < 0 || position + length > bytes.length) {
        throw new RangeError(`No bytes ${position} to ${position + length}: ${bytes.length} in all`)
      }
      return bytes.subarray(position, position + length)
    },
  }
}

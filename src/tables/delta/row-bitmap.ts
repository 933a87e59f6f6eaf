/**
 * A set of row positions as Delta's deletion vectors hold them, little-endian: the magic number, a 64-bit count of
 * buckets, and for each its upper 32 bits and a Roaring bitmap of the lower 32. That has containers of 65 536 values
 * each: a sorted array of uint16 (to 4 096 values), 8 192 bytes of bits, or runs of first value and length - 1.
 *
 * Containers are kept as they lie there, so that a set takes no more memory than its bytes, whatever runs it
 * claims.
 */
import { corrupt } from './delta-error.ts'

const magic = 1681511377
const cookieWithoutRuns = 12346
const cookieWithRuns = 12347
const offsetsFromContainers = 4
const arrayLengthMax = 4096
const bitsetBytes = 8192

type Container =
  | { readonly kind: 'array' | 'runs'; readonly values: Uint16Array }
  | { readonly kind: 'bits'; readonly bytes: Buffer }

export class RowBitmap {
  /** By the position's upper bits: position divided by 65 536. */
  readonly #containers: ReadonlyMap<number, Container>

  private constructor(containers: ReadonlyMap<number, Container>) {
    this.#containers = containers
  }

  /** Throws DeltaError. */
  static read(bytes: Buffer): RowBitmap {
    const containers = new Map<number, Container>()
    const reader = new Reader(bytes)
    if (reader.uint32() !== magic) throw corrupt('deletion vector: not a bitmap of rows')
    const buckets = reader.uint32() + reader.uint32() * 2 ** 32
    for (let i = 0; i < buckets; i++) {
      const upper = reader.uint32()
      // Positions beyond 2^53 are of no file.
      if (upper >= 2 ** 21) throw corrupt('deletion vector: a position that no file has')
      readBucket(reader, upper * 65536, containers)
    }
    return new RowBitmap(containers)
  }

  has(position: number): boolean {
    const container = this.#containers.get(Math.floor(position / 65536))
    if (container === undefined) return false
    const lower = position % 65536
    if (container.kind === 'bits') return ((container.bytes[lower >> 3]! >> (lower & 7)) & 1) === 1
    const { values, kind } = container
    const step = kind === 'runs' ? 2 : 1
    let low = 0
    let high = values.length / step - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const first = values[middle * step]!
      const last = kind === 'runs' ? first + values[middle * 2 + 1]! : first
      if (lower < first) high = middle - 1
      else if (lower > last) low = middle + 1
      else return true
    }
    return false
  }
}

/** Makes the bytes of a set of positions, which come in rising order. */
export class RowBitmapBuilder {
  /** By the position's upper bits, in rising order. */
  readonly #containers = new Map<
    number,
    { count: number; values: Uint16Array | null; bits: Buffer }
  >()
  #count = 0

  get count(): number {
    return this.#count
  }

  add(position: number): void {
    const key = Math.floor(position / 65536)
    const lower = position % 65536
    let container = this.#containers.get(key)
    if (container === undefined) {
      container = { count: 0, values: new Uint16Array(arrayLengthMax), bits: Buffer.alloc(0) }
      this.#containers.set(key, container)
    }
    if (container.values !== null && container.count === arrayLengthMax) {
      container.bits = Buffer.alloc(bitsetBytes)
      for (const value of container.values) container.bits[value >> 3]! |= 1 << (value & 7)
      container.values = null
    }
    if (container.values === null) container.bits[lower >> 3]! |= 1 << (lower & 7)
    else container.values[container.count] = lower
    container.count++
    this.#count++
  }

  finish(): Buffer {
    const buckets = new Map<number, number[]>()
    for (const key of this.#containers.keys()) {
      const upper = Math.floor(key / 65536)
      const keys = buckets.get(upper)
      if (keys === undefined) buckets.set(upper, [key])
      else keys.push(key)
    }
    const head = words(magic, buckets.size, 0)
    return Buffer.concat([
      head,
      ...[...buckets].flatMap(([upper, keys]) => [words(upper), ...this.#bucket(keys)]),
    ])
  }

  #bucket(keys: readonly number[]): Buffer[] {
    const header = Buffer.alloc(4 * keys.length)
    const offsets = Buffer.alloc(4 * keys.length)
    const bodies: Buffer[] = []
    let at = 8 + header.length + offsets.length
    for (const [i, key] of keys.entries()) {
      const { count, values, bits } = this.#containers.get(key)!
      header.writeUInt16LE(key % 65536, 4 * i)
      header.writeUInt16LE(count - 1, 4 * i + 2)
      offsets.writeUInt32LE(at, 4 * i)
      const body = values === null ? bits : shorts(values.subarray(0, count))
      bodies.push(body)
      at += body.length
    }
    return [words(cookieWithoutRuns, keys.length), header, offsets, ...bodies]
  }
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, 4 * i)
  return bytes
}

function shorts(values: Uint16Array): Buffer {
  const bytes = Buffer.alloc(2 * values.length)
  for (let i = 0; i < values.length; i++) bytes.writeUInt16LE(values[i]!, 2 * i)
  return bytes
}

function readBucket(reader: Reader, base: number, into: Map<number, Container>): void {
  const cookie = reader.uint32()
  const hasRuns = (cookie & 0xffff) === cookieWithRuns
  if (!hasRuns && cookie !== cookieWithoutRuns)
    throw corrupt('deletion vector: not a Roaring bitmap')
  const count = hasRuns ? (cookie >>> 16) + 1 : reader.uint32()
  if (count > 65536) throw corrupt(`deletion vector: ${count} containers`)
  const runFlags = hasRuns ? reader.bytes((count + 7) >> 3) : null
  const header = reader.bytes(4 * count)
  if (!hasRuns || count >= offsetsFromContainers) reader.bytes(4 * count)
  for (let i = 0; i < count; i++) {
    const key = base + header.readUInt16LE(4 * i)
    const cardinality = header.readUInt16LE(4 * i + 2) + 1
    const isRuns = runFlags !== null && ((runFlags[i >> 3]! >> (i & 7)) & 1) === 1
    into.set(key, readContainer(reader, isRuns, cardinality))
  }
}

function readContainer(reader: Reader, isRuns: boolean, cardinality: number): Container {
  if (isRuns) return { kind: 'runs', values: reader.uint16s(2 * reader.uint16()) }
  if (cardinality <= arrayLengthMax) return { kind: 'array', values: reader.uint16s(cardinality) }
  return { kind: 'bits', bytes: reader.bytes(bitsetBytes) }
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  bytes(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw corrupt('deletion vector: cut short')
    const bytes = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return bytes
  }

  uint16(): number {
    return this.bytes(2).readUInt16LE()
  }

  uint32(): number {
    return this.bytes(4).readUInt32LE()
  }

  uint16s(count: number): Uint16Array {
    const bytes = this.bytes(2 * count)
    return Uint16Array.from({ length: count }, (_, i) => bytes.readUInt16LE(2 * i))
  }
}

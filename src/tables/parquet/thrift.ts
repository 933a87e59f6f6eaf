/**
 * Thrift's compact protocol, as far as Parquet's metadata needs it. A struct is declared once, as a table
 * of fields (`metadata.ts`); reading, writing and the TypeScript type follow from it.
 *
 * A struct is fields until a 0 byte; a field is one byte, the distance of its id from the one before in the high half
 * (0: the id follows as zigzag varint) and its wire type in the low one, then the value. Booleans are
 * their wire type (1 true, 2 false), in lists a byte each. A list is its size in the high half (15: the size
 * follows as varint), the wire type of its elements in the low one, and the elements. Integers are zigzag
 * varints, strings have their length before them. Fields that no table names are skipped.
 *
 * What is read may be hostile: elements are counted against a budget, depth has a limit, no length is believed.
 */
import { ByteWriter } from './byte-writer.ts'
import { thriftDepthMax, thriftElementsMax } from './limits.ts'
import { beyondLimit, corrupt } from './parquet-error.ts'

const wireTrue = 1
const wireFalse = 2
const wireByte = 3
const wireI16 = 4
const wireI32 = 5
const wireI64 = 6
const wireDouble = 7
const wireBinary = 8
const wireList = 9
const wireSet = 10
const wireMap = 11
const wireStruct = 12

/** The bytes ended within a value: there may be more of them. */
export class ThriftTruncated extends Error {
  override readonly name = 'ThriftTruncated'
}

export interface ThriftType<Value> {
  readonly wire: number
  read(reader: ThriftReader): Value
  write(writer: ByteWriter, value: Value): void
}

export interface ThriftField<Value, Presence extends 'required' | 'optional'> {
  readonly id: number
  readonly type: ThriftType<Value>
  readonly presence: Presence
}

type AnyField = ThriftField<unknown, 'required' | 'optional'>
type RequiredOf<Fields> = {
  [Name in keyof Fields]: Fields[Name] extends ThriftField<unknown, 'required'> ? Name : never
}[keyof Fields]
type ValueOf<Field> =
  Field extends ThriftField<infer Value, 'required' | 'optional'> ? Value : never
export type StructOf<Fields> = {
  [Name in RequiredOf<Fields>]: ValueOf<Fields[Name]>
} & { [Name in Exclude<keyof Fields, RequiredOf<Fields>>]?: ValueOf<Fields[Name]> | undefined }

export function required<Value>(
  id: number,
  type: ThriftType<Value>,
): ThriftField<Value, 'required'> {
  return { id, type, presence: 'required' }
}

export function optional<Value>(
  id: number,
  type: ThriftType<Value>,
): ThriftField<Value, 'optional'> {
  return { id, type, presence: 'optional' }
}

class ThriftReader {
  readonly bytes: Uint8Array
  at: number
  #elementsLeft = thriftElementsMax
  #depth = 0

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  byte(): number {
    if (this.at >= this.bytes.length) throw new ThriftTruncated('truncated')
    return this.bytes[this.at++]!
  }

  /** An unsigned varint, as a double: exact to 2^53. */
  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 10; i++) {
      const byte = this.byte()
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
    }
    throw corrupt('an integer of more than 10 bytes')
  }

  /** A zigzag varint, which must be exact as a double. */
  integer(): number {
    const value = this.varint()
    if (value > Number.MAX_SAFE_INTEGER) throw corrupt('an integer beyond 2^52')
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  slice(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) throw new ThriftTruncated('truncated')
    const slice = this.bytes.subarray(this.at, this.at + length)
    this.at += length
    return slice
  }

  listHeader(): { size: number; wire: number } {
    const head = this.byte()
    const size = head >>> 4 === 15 ? this.varint() : head >>> 4
    this.#spend(size)
    // Each element takes a byte at least.
    if (size > this.bytes.length - this.at) throw new ThriftTruncated('truncated')
    return { size, wire: head & 15 }
  }

  enter(): void {
    this.#spend(1)
    if (++this.#depth > thriftDepthMax) throw beyondLimit('metadata is nested too deeply')
  }

  leave(): void {
    this.#depth--
  }

  #spend(elements: number): void {
    this.#elementsLeft -= elements
    if (this.#elementsLeft < 0) {
      throw beyondLimit(`metadata of more than ${thriftElementsMax} elements`)
    }
  }

  /** Passes over a value of a field that nobody asked for. */
  skip(wire: number, isInList = false): void {
    switch (wire) {
      case wireTrue:
      case wireFalse:
        if (isInList) this.byte()
        return
      case wireByte:
        this.byte()
        return
      case wireI16:
      case wireI32:
      case wireI64:
        this.varint()
        return
      case wireDouble:
        this.slice(8)
        return
      case wireBinary:
        this.slice(this.varint())
        return
      case wireList:
      case wireSet: {
        this.enter()
        const { size, wire: elementWire } = this.listHeader()
        for (let i = 0; i < size; i++) this.skip(elementWire, true)
        this.leave()
        return
      }
      case wireMap:
        this.#skipMap()
        return
      case wireStruct:
        this.enter()
        for (let head = this.byte(); head !== 0; head = this.byte()) {
          if (head >>> 4 === 0) this.varint()
          this.skip(head & 15)
        }
        this.leave()
        return
      default:
        throw corrupt(`metadata with the unknown wire type ${wire}`)
    }
  }

  #skipMap(): void {
    this.enter()
    const size = this.varint()
    if (size > 0) {
      this.#spend(size)
      const wires = this.byte()
      for (let i = 0; i < size; i++) {
        this.skip(wires >>> 4, true)
        this.skip(wires & 15, true)
      }
    }
    this.leave()
  }
}

export const bool: ThriftType<boolean> = {
  wire: wireTrue,
  read: (reader) => reader.byte() === 1,
  write: (writer, value) => writer.byte(value ? 1 : 2),
}
export const i8: ThriftType<number> = {
  wire: wireByte,
  read: (reader) => (reader.byte() << 24) >> 24,
  write: (writer, value) => writer.byte(value & 255),
}
function integerOf(wire: number): ThriftType<number> {
  return {
    wire,
    read: (reader) => reader.integer(),
    write: (writer, value) => writer.integer(value),
  }
}
export const i16 = integerOf(wireI16)
export const i32 = integerOf(wireI32)
export const i64 = integerOf(wireI64)
export const binary: ThriftType<Uint8Array> = {
  wire: wireBinary,
  read: (reader) => reader.slice(reader.varint()),
  write: (writer, value) => {
    writer.varint(value.length)
    writer.append(value)
  },
}
export const text: ThriftType<string> = {
  wire: wireBinary,
  read: (reader) => {
    const bytes = binary.read(reader)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
  },
  write: (writer, value) => binary.write(writer, Buffer.from(value)),
}

export function list<Value>(element: ThriftType<Value>): ThriftType<Value[]> {
  return {
    wire: wireList,
    read: (reader) => {
      const { size, wire } = reader.listHeader()
      if (size > 0 && !isWireOf(element, wire)) throw corrupt('a list of the wrong wire type')
      const values: Value[] = []
      for (let i = 0; i < size; i++) values.push(element.read(reader))
      return values
    },
    write: (writer, values) => {
      if (values.length < 15) writer.byte((values.length << 4) | element.wire)
      else {
        writer.byte(0xf0 | element.wire)
        writer.varint(values.length)
      }
      for (const value of values) element.write(writer, value)
    },
  }
}

export function struct<Fields extends Record<string, AnyField>>(
  name: string,
  fields: Fields,
): ThriftType<StructOf<Fields>> {
  const inOrder = Object.entries(fields).sort(([, a], [, b]) => a.id - b.id)
  const byId = new Map(inOrder.map(([key, { id, type }]) => [id, { key, type }]))
  const requiredKeys = inOrder.filter(([, { presence }]) => presence === 'required')
  return {
    wire: wireStruct,
    read: (reader) => {
      reader.enter()
      const values: Record<string, unknown> = {}
      let id = 0
      for (let head = reader.byte(); head !== 0; head = reader.byte()) {
        id = head >>> 4 === 0 ? reader.integer() : id + (head >>> 4)
        const wire = head & 15
        const field = byId.get(id)
        if (field === undefined || !isWireOf(field.type, wire)) reader.skip(wire)
        else if (field.type === bool) values[field.key] = wire === wireTrue
        else values[field.key] = field.type.read(reader)
      }
      reader.leave()
      for (const [key] of requiredKeys) {
        if (values[key] === undefined) throw corrupt(`${name} without ${key}`)
      }
      return values as StructOf<Fields>
    },
    write: (writer, value) => {
      let last = 0
      for (const [key, { id, type }] of inOrder) {
        const one = (value as Record<string, unknown>)[key]
        if (one === undefined) continue
        const wire = type === bool && one === false ? wireFalse : type.wire
        if (id > last && id - last < 16) writer.byte(((id - last) << 4) | wire)
        else {
          writer.byte(wire)
          writer.integer(id)
        }
        last = id
        if (type !== bool) type.write(writer, one)
      }
      writer.byte(0)
    },
  }
}

function isWireOf(type: ThriftType<unknown>, wire: number): boolean {
  return wire === type.wire || (type === bool && (wire === wireFalse || wire === 0))
}

/** Reads one value; `end` is the position behind it. Throws ThriftTruncated where bytes are missing. */
export function readThrift<Value>(
  type: ThriftType<Value>,
  bytes: Uint8Array,
  at = 0,
): { value: Value; end: number } {
  const reader = new ThriftReader(bytes, at)
  const value = type.read(reader)
  return { value, end: reader.at }
}

export function writeThrift<Value>(type: ThriftType<Value>, value: Value): Uint8Array {
  const writer = new ByteWriter()
  type.write(writer, value)
  return writer.written()
}

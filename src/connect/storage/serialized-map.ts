/**
 * A `HashMap<byte[], byte[]>` as Java's object serialization writes it: what Kafka Connect, standalone,
 * keeps the offsets of sources in. Of that grammar this is the part which such a map takes:
 *
 *     stream   ac ed 00 05, then the map
 *     map      73 (object), its class, float load factor, int threshold,
 *              77 08 (block data): int buckets, int entries; then key, value, key, value, …; 78 (end)
 *     class    72 (described): utf name, long serialVersionUID, flags, fields, 78, superclass (70: none)
 *              or 71 (again): int handle; every class, object and array takes the next handle
 *     array    75, its class, int length, bytes; or 70 (null); or 71, int handle: one that was there before
 */
import { ConnectException } from '../failures.ts'

const magic = Buffer.from('aced0005', 'hex')
const none = 0x70
const again = 0x71
const described = 0x72
const object = 0x73
const array = 0x75
const block = 0x77
const end = 0x78
const firstHandle = 0x7e0000

/** `java.util.HashMap` with its two fields, and `[B`, as they are described where they come first. */
const mapClass = Buffer.concat([
  classHead('java.util.HashMap', '0507dac1c31660d1', 0x03),
  Buffer.from('0002', 'hex'),
  field('F', 'loadFactor'),
  field('I', 'threshold'),
  Buffer.from([end, none]),
])
const bytesClass = Buffer.concat([
  classHead('[B', 'acf317f8060854e0', 0x02),
  Buffer.from('0000', 'hex'),
  Buffer.from([end, none]),
])
/** The map's class and the map come before the class of its first key. */
const bytesClassHandle = firstHandle + 2

function classHead(name: string, serialVersionUid: string, flags: number): Buffer {
  return Buffer.concat([
    Buffer.from([described]),
    utf(name),
    Buffer.from(serialVersionUid, 'hex'),
    Buffer.from([flags]),
  ])
}

function field(type: string, name: string): Buffer {
  return Buffer.concat([Buffer.from(type), utf(name)])
}

function utf(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** As Java writes it, with a table of as many buckets as it would have. */
export function writeSerializedMap(entries: ReadonlyMap<string, Buffer>): Buffer {
  let buckets = 16
  while (buckets * 0.75 < entries.size) buckets *= 2
  const loadFactor = Buffer.alloc(4)
  loadFactor.writeFloatBE(0.75)
  const chunks = [
    magic,
    Buffer.from([object]),
    mapClass,
    loadFactor,
    int(buckets * 0.75),
    Buffer.from([block, 8]),
    int(buckets),
    int(entries.size),
  ]
  let isFirst = true
  for (const [key, value] of entries)
    for (const bytes of [Buffer.from(key), value]) {
      const ofClass = isFirst
        ? bytesClass
        : Buffer.concat([Buffer.from([again]), int(bytesClassHandle)])
      chunks.push(Buffer.from([array]), ofClass, int(bytes.length), bytes)
      isFirst = false
    }
  chunks.push(Buffer.from([end]))
  return Buffer.concat(chunks)
}

/** Entries whose key or value is null are left out, as there is nothing in them. Throws ConnectException. */
export function readSerializedMap(bytes: Buffer): Map<string, Buffer> {
  try {
    return new Reading(bytes).map()
  } catch (error) {
    if (error instanceof RangeError)
      throw new ConnectException('It ends in the middle of an entry', { cause: error })
    throw error
  }
}

class Reading {
  readonly #bytes: Buffer
  #at = 0
  /** What has a handle: the name of a class, an array, or the map (null). */
  readonly #handles: (string | Buffer | null)[] = []

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  map(): Map<string, Buffer> {
    const entries = new Map<string, Buffer>()
    this.#expect(magic, 'a stream of Java objects')
    this.#expect(Buffer.from([object]), 'an object')
    const name = this.#class()
    if (name !== 'java.util.HashMap')
      throw new ConnectException(`Expected HashMap but found ${name}`)
    this.#handles.push(null)
    this.#take(8)
    this.#expect(Buffer.from([block, 8]), 'the size of a map')
    this.#take(4)
    const count = this.#take(4).readInt32BE()
    for (let entry = 0; entry < count; entry++) {
      const key = this.#array()
      const value = this.#array()
      if (key !== null && value !== null) entries.set(key.toString('utf8'), value)
    }
    return entries
  }

  #array(): Buffer | null {
    const tag = this.#take(1)[0]
    if (tag === none) return null
    if (tag === again) {
      const known = this.#known()
      if (!Buffer.isBuffer(known)) throw new ConnectException('A key or value is no array of bytes')
      return known
    }
    const name = tag === array ? this.#class() : ''
    if (name !== '[B') throw new ConnectException('A key or value is no array of bytes')
    const length = this.#take(4).readInt32BE()
    const bytes = this.#take(length)
    this.#handles.push(bytes)
    return bytes
  }

  #class(): string {
    const tag = this.#take(1)[0]
    if (tag === again) return String(this.#known())
    if (tag !== described) throw new ConnectException('A class is not described')
    const name = this.#take(this.#take(2).readUInt16BE()).toString('utf8')
    this.#handles.push(name)
    this.#take(9)
    const fields = this.#take(2).readUInt16BE()
    for (let each = 0; each < fields; each++) {
      this.#take(1)
      this.#take(this.#take(2).readUInt16BE())
    }
    this.#expect(Buffer.from([end, none]), 'a class without a superclass')
    return name
  }

  #known(): string | Buffer | null | undefined {
    return this.#handles[this.#take(4).readInt32BE() - firstHandle]
  }

  #expect(wanted: Buffer, what: string): void {
    if (!this.#take(wanted.length).equals(wanted))
      throw new ConnectException(`It is not ${what} at byte ${this.#at - wanted.length}`)
  }

  /** Throws RangeError past the end. */
  #take(length: number): Buffer {
    const until = this.#at + length
    if (length < 0 || until > this.#bytes.length) throw new RangeError('past the end')
    const taken = this.#bytes.subarray(this.#at, until)
    this.#at = until
    return taken
  }
}

/**
 * Turns a table and a version into code: one function that reads and one that writes exactly that
 * version, compiled with `new Function` on first use and kept. A Fetch v12 of 20 partitions decodes
 * in under a microsecond this way; closures that walk the table took about ten.
 *
 * `steppedCodec` gives the same as generators, for messages so large that others must have their turn
 * while one is read or written: they stop between elements of arrays.
 *
 * Nothing but the tables of this repository reaches the source text; values from the wire never do.
 */
import { Reader } from './reader.ts'
import type { Field, Fields, InputOf, Message, MessageOf } from './schema.ts'
import type { Primitive, Type } from './types.ts'
import { includes } from './types.ts'
import { Writer } from './writer.ts'

export interface Codec<M extends Message> {
  /** Throws MalformedError. The reader may have bytes left afterwards. */
  read(reader: Reader): MessageOf<M>
  /** Throws TypeError where a value does not fit its field, which is a bug of the caller. */
  write(writer: Writer, value: InputOf<M>): void
}

/** As `Codec`, a few elements at each step. */
export interface SteppedCodec<M extends Message> {
  read(reader: Reader): Generator<void, MessageOf<M>>
  write(writer: Writer, value: InputOf<M>): Generator<void, void>
}

const codecs = new WeakMap<Message, Codec<Message>[]>()
const steppedCodecs = new WeakMap<Message, SteppedCodec<Message>[]>()

/** The codec of one version; throws RangeError for a version that the table does not have. */
export function codec<M extends Message>(table: M, version: number): Codec<M> {
  return kept(codecs, table, version, false) as Codec<M>
}

/** As `codec`. */
export function steppedCodec<M extends Message>(table: M, version: number): SteppedCodec<M> {
  return kept(steppedCodecs, table, version, true) as SteppedCodec<M>
}

function kept<C>(
  codecs: WeakMap<Message, C[]>,
  table: Message,
  version: number,
  isStepped: boolean,
): C {
  let versions = codecs.get(table)
  if (versions === undefined) {
    versions = []
    codecs.set(table, versions)
  }
  let known = versions[version]
  if (known === undefined) {
    known = compile(table, version, isStepped) as C
    versions[version] = known
  }
  return known
}

/** Encodes a message on its own, as stored records are. Chunks are copied together. */
export function encode<M extends Message>(table: M, version: number, value: InputOf<M>): Buffer {
  const writer = new Writer()
  codec(table, version).write(writer, value)
  const chunks = writer.finish()
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
}

/** Decodes a whole buffer; throws MalformedError, also when bytes are left over. */
export function decode<M extends Message>(table: M, version: number, bytes: Buffer): MessageOf<M> {
  const reader = new Reader(bytes)
  const value = codec(table, version).read(reader)
  reader.expectEnd()
  return value
}

function compile(table: Message, version: number, isStepped: boolean): unknown {
  if (!includes(table.valid, version)) throw new RangeError(`${table.name} has no v${version}`)
  const source = new Source(version, includes(table.flexible, version), isStepped)
  const star = isStepped ? '*' : ''
  const text = [
    "'use strict'",
    `function${star} read(r) { return ${source.readStruct(table.fields)} }`,
    `function${star} write(w, v) { ${source.writeStruct(table.fields, 'v')} }`,
    ...source.functions,
    'return { read, write }',
  ]
  return new Function('constants', text.join('\n'))(source.constants)
}

/** How each primitive of fixed size is read and written, and its size. */
const fixed: Partial<Record<Primitive, number>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  int64Exact: 8,
  float64: 8,
  uuid: 16,
}

/** What an element costs whatever it is: its place in the array, and a row of the answer to it. */
const elementBytes = 64

/** About what an array's element of this type costs in memory, in V8 on 64 bits. */
function decodedBytes(element: Type<Fields>): number {
  return elementBytes + valueBytes(element)
}

function valueBytes(type: Type<Fields>): number {
  if (type.kind === 'array') return 56
  if (type.kind === 'struct') {
    const fields = Object.values(type.fields)
    return fields.reduce((bytes, field) => bytes + valueBytes(field.type), 32)
  }
  if (type.name === 'bytes' || type.name === 'records') return 128
  return type.name === 'string' || type.name === 'uuid' ? 40 : 8
}

/** Elements of an array between two places where a stepped codec stops; a power of two. */
const elementsPerStep = 32

/**
 * Collects the functions of one version of one message: one reader and one writer per structure. Stepped,
 * those with arrays in them are generators.
 */
class Source {
  readonly functions: string[] = []
  /** Defaults that are no literals. */
  readonly constants: unknown[] = []
  readonly #version: number
  readonly #flexible: boolean
  readonly #isStepped: boolean
  readonly #readers = new Map<Fields, string>()
  readonly #writers = new Map<Fields, string>()

  constructor(version: number, flexible: boolean, isStepped: boolean) {
    this.#version = version
    this.#flexible = flexible
    this.#isStepped = isStepped
  }

  #hasArrays(fields: Fields): boolean {
    return Object.values(fields).some((field) => {
      const { type } = field
      if (!this.#isPresent(field)) return false
      return type.kind === 'array' || (type.kind === 'struct' && this.#hasArrays(type.fields))
    })
  }

  #isGenerator(fields: Fields): boolean {
    return this.#isStepped && this.#hasArrays(fields)
  }

  #function(isGenerator: boolean, head: string, body: string): void {
    this.functions.push(`function${isGenerator ? '*' : ''} ${head} {\n${body}\n}`)
  }

  /** A call that reads, in an expression. */
  #reading(isGenerator: boolean, call: string): string {
    return isGenerator ? `(yield* ${call})` : call
  }

  /** A call that writes, as a statement. */
  #writing(isGenerator: boolean, call: string): string {
    return isGenerator ? `yield* ${call}` : call
  }

  get #stop(): string {
    return this.#isStepped ? `if ((i & ${elementsPerStep - 1}) === 0) yield` : ''
  }

  #isPresent(field: Field): boolean {
    return includes(field.versions, this.#version)
  }

  #isTagged(field: Field): boolean {
    return field.tag !== null && this.#flexible
  }

  #isNullable(field: Field): boolean {
    return includes(field.nullable, this.#version)
  }

  #isCompact(field: Field): boolean {
    return this.#flexible && field.compact
  }

  /** The fields written in their places, and those written as tags in the order of the tags. */
  #split(fields: Fields): { placed: [string, Field][]; tagged: [string, Field][] } {
    const present = Object.entries(fields).filter(([, field]) => this.#isPresent(field))
    return {
      placed: present.filter(([, field]) => !this.#isTagged(field)),
      tagged: present
        .filter(([, field]) => this.#isTagged(field))
        .sort(([, a], [, b]) => (a.tag as number) - (b.tag as number)),
    }
  }

  #literal(value: unknown): string {
    if (typeof value === 'bigint') return `${value}n`
    if (value === null || typeof value !== 'object') return JSON.stringify(value)
    const known = this.constants.indexOf(value)
    const index = known >= 0 ? known : this.constants.push(value) - 1
    return `constants[${index}]`
  }

  /** The fewest bytes that a value of this type takes: what bounds an array's count. */
  #bytesMin(type: Type<Fields>, compact: boolean): number {
    switch (type.kind) {
      case 'primitive':
        return fixed[type.name] ?? (compact ? 1 : type.name === 'string' ? 2 : 4)
      case 'array':
        return compact ? 1 : 4
      case 'struct': {
        let size = this.#flexible ? 1 : 0
        for (const [, field] of this.#split(type.fields).placed) {
          const oneByteWhenNull = field.type.kind === 'struct' && this.#isNullable(field)
          size += oneByteWhenNull ? 1 : this.#bytesMin(field.type, this.#isCompact(field))
        }
        return size
      }
    }
  }

  /** The call that reads these fields; adds its function. */
  readStruct(fields: Fields): string {
    const isGenerator = this.#isGenerator(fields)
    const known = this.#readers.get(fields)
    if (known !== undefined) return this.#reading(isGenerator, `${known}(r)`)
    const name = `read${this.#readers.size}`
    this.#readers.set(fields, name)
    const { placed, tagged } = this.#split(fields)
    const body: string[] = []
    for (const [key, field] of placed) body.push(`const ${key}_ = ${this.#readField(field)}`)
    for (const [key, field] of tagged) body.push(`let ${key}_ = ${this.#literal(field.default)}`)
    if (this.#flexible) body.push(this.#readTags(tagged))
    const members = Object.entries(fields).map(([key, field]) =>
      this.#isPresent(field) ? `${key}: ${key}_` : `${key}: ${this.#literal(field.default)}`,
    )
    body.push(`return { ${members.join(', ')} }`)
    this.#function(isGenerator, `${name}(r)`, body.join('\n'))
    return this.#reading(isGenerator, `${name}(r)`)
  }

  #readTags(tagged: [string, Field][]): string {
    const cases = tagged.map(
      ([key, field]) =>
        `case ${field.tag}: {
const end = r.enterTag(size)
${key}_ = ${this.#readField(field)}
r.leaveTag(end)
break
}`,
    )
    return `for (let n = r.uvarint(); n > 0; n--) {
const tag = r.uvarint(), size = r.uvarint()
switch (tag) { ${cases.join('\n')}
default: r.skip(size) }
}`
  }

  #readField(field: Field): string {
    const isNullable = this.#isNullable(field)
    if (field.type.kind === 'struct' && isNullable) {
      const isNull = this.#isTagged(field) ? 'r.uvarint() === 0' : 'r.int8() < 0'
      return `(${isNull} ? null : ${this.readStruct(field.type.fields)})`
    }
    return this.#read(field.type, isNullable, this.#isCompact(field))
  }

  #read(type: Type<Fields>, nullable: boolean, compact: boolean): string {
    const orNull = nullable ? 'OrNull' : ''
    const length = compact ? 'r.compactLength()' : 'r.intLength()'
    if (type.kind === 'struct') return this.readStruct(type.fields)
    if (type.kind === 'array') {
      const reader = this.#arrayReader(type.element, compact)
      const sizes = `${this.#bytesMin(type.element, compact)}, ${decodedBytes(type.element)}`
      const count = `r.count${orNull}(${length}, ${sizes})`
      return this.#reading(this.#isStepped, `${reader}(r, ${count})`)
    }
    if (fixed[type.name] !== undefined) return `r.${type.name}()`
    if (type.name === 'string' && !compact) return `r.string${orNull}(r.shortLength())`
    return `r.${type.name}${orNull}(${length})`
  }

  #arrayReader(element: Type<Fields>, compact: boolean): string {
    const read = this.#read(element, false, compact)
    const name = `readArray${this.functions.length}`
    const body = `if (count < 0) return null
const array = new Array(count)
for (let i = 0; i < count; i++) { array[i] = ${read}; ${this.#stop} }
return array`
    this.#function(this.#isStepped, `${name}(r, count)`, body)
    return name
  }

  /** The call that writes these fields of `value`; adds its function. */
  writeStruct(fields: Fields, value: string): string {
    const isGenerator = this.#isGenerator(fields)
    const known = this.#writers.get(fields)
    if (known !== undefined) return this.#writing(isGenerator, `${known}(w, ${value})`)
    const name = `write${this.#writers.size}`
    this.#writers.set(fields, name)
    const { placed, tagged } = this.#split(fields)
    const body: string[] = []
    for (const [key, field] of placed) {
      body.push(this.#given(key, field), this.#writeField(`${key}_`, field))
    }
    for (const [key, field] of tagged) {
      body.push(this.#given(key, field))
      body.push(`const ${key}Set = !(${this.#isDefault(`${key}_`, field.type, field.default)})`)
    }
    if (this.#flexible) body.push(this.#writeTags(tagged))
    this.#function(isGenerator, `${name}(w, v)`, body.join('\n'))
    return this.#writing(isGenerator, `${name}(w, ${value})`)
  }

  #given(key: string, field: Field): string {
    return `const ${key}_ = v.${key} === undefined ? ${this.#literal(field.default)} : v.${key}`
  }

  #writeTags(tagged: [string, Field][]): string {
    const count = tagged.map(([key]) => `(${key}Set ? 1 : 0)`).join(' + ') || '0'
    const parts = tagged.map(
      ([key, field]) =>
        `if (${key}Set) {
const mark = w.openTag(${field.tag})
${this.#writeField(`${key}_`, field)}
w.closeTag(mark)
}`,
    )
    return [`w.uvarint(${count})`, ...parts].join('\n')
  }

  #writeField(value: string, field: Field): string {
    const { type } = field
    const compact = this.#isCompact(field)
    const write = this.#write(value, type, compact)
    if (!this.#isNullable(field)) return write
    if (type.kind === 'struct') {
      // Kafka marks a null structure with -1 in its place, but with 0 in a tag.
      const [none, some] = this.#isTagged(field)
        ? ['uvarint(0)', 'uvarint(1)']
        : ['int8(-1)', 'int8(1)']
      return `if (${value} === null) w.${none}; else { w.${some}; ${write} }`
    }
    const isShort = type.kind === 'primitive' && type.name === 'string'
    const none = compact ? 'w.uvarint(0)' : isShort ? 'w.int16(-1)' : 'w.int32(-1)'
    return `if (${value} === null) ${none}; else ${write}`
  }

  #write(value: string, type: Type<Fields>, compact: boolean): string {
    if (type.kind === 'struct') return this.writeStruct(type.fields, value)
    if (type.kind === 'array') {
      return this.#writing(
        this.#isStepped,
        `${this.#arrayWriter(type.element, compact)}(w, ${value})`,
      )
    }
    if (fixed[type.name] !== undefined || !compact) return `w.${type.name}(${value})`
    return `w.compact${type.name[0]?.toUpperCase()}${type.name.slice(1)}(${value})`
  }

  #arrayWriter(element: Type<Fields>, compact: boolean): string {
    const write = this.#write('array[i]', element, compact)
    const name = `writeArray${this.functions.length}`
    const body = `const count = array.length
${compact ? 'w.uvarint(count + 1)' : 'w.int32(count)'}
for (let i = 0; i < count; i++) { ${write}; ${this.#stop} }`
    this.#function(this.#isStepped, `${name}(w, array)`, body)
    return name
  }

  /** An expression that says whether a value is its field's default, which a tag leaves out. */
  #isDefault(value: string, type: Type<Fields>, standard: unknown): string {
    if (standard === null) return `${value} === null`
    if (type.kind === 'array') return `${value} !== null && ${value}.length === 0`
    if (type.kind === 'primitive') {
      const isBytes = type.name === 'bytes' || type.name === 'records'
      return isBytes
        ? `${value} !== null && ${value}.length === 0`
        : `${value} === ${this.#literal(standard)}`
    }
    const members = Object.entries(type.fields)
      .filter(([, field]) => this.#isPresent(field))
      .map(([key, field]) => {
        const member = `${value}.${key}`
        return `(${member} === undefined || ${this.#isDefault(member, field.type, field.default)})`
      })
    return [`${value} !== null`, ...members].join(' && ')
  }
}

/**
 * The WebAssembly module behind `crc32c.ts`, assembled from readable source when it is loaded.
 * Functions below are named after the instructions they emit; an expression is the list of its
 * bytes, operands first. The module works on its own memory: the caller puts the tables at
 * address 0 and the bytes to sum behind them.
 */

/** Bytes of the sixteen 256-entry tables that `sliced` looks up, at address 0 of the memory. */
export const tableBytes = 16 * 1024

/** Addresses the module may be asked to sum start here. */
export const inputStart = tableBytes

/** Most bytes one call can sum: what is left of the memory's pages. */
export const inputBytesMax = 3 * 65536 - tableBytes

const pages = (inputStart + inputBytesMax) / 65536

export interface Crc32cExports {
  readonly memory: WebAssembly.Memory
  /** Advances the raw register (no complement) over memory [start, end); may destroy the bytes. */
  readonly advance: (register: number, start: number, end: number) => number
}

/** Bytes in order, nested as they were composed: flattened once, when a length is needed. */
type Code = readonly (number | Code)[]

function flatten(code: Code, into: number[] = []): number[] {
  for (const part of code) {
    if (typeof part === 'number') into.push(part)
    else flatten(part, into)
  }
  return into
}

// Parameters and locals of every function, by index.
const register = 0
const position = 1
const end = 2
const word = 3
const block = 4

const types = { i32: 0x7f, v128: 0x7b, none: 0x40 }

function unsigned(value: number): Code {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)]
}

function signed(value: number): Code {
  const isLast = value >= -64 && value < 64
  return isLast ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)]
}

const get = (local: number): Code => [0x20, local]
const set = (local: number, value: Code): Code => [value, 0x21, local]
const constant = (value: number): Code => [0x41, signed(value)]
const load8 = (at: Code): Code => [at, 0x2d, 0, 0]
const load32 = (at: Code, offset: number): Code => [at, 0x28, 0, unsigned(offset)]
const store32 = (at: Code, value: Code): Code => [at, value, 0x36, 0, 0]
const load128 = (at: Code, offset: number): Code => [at, 0xfd, 0, 0, unsigned(offset)]
const store128 = (at: Code, offset: number, value: Code): Code => [
  ...[at, value],
  ...[0xfd, 0x0b, 0, unsigned(offset)],
]
const add = (left: Code, right: Code): Code => [left, right, 0x6a]
const subtract = (left: Code, right: Code): Code => [left, right, 0x6b]
const and = (left: Code, right: Code): Code => [left, right, 0x71]
const xor = (left: Code, right: Code): Code => [left, right, 0x73]
const shiftLeft = (value: Code, bits: number): Code => [value, constant(bits), 0x74]
const shiftRight = (value: Code, bits: number): Code => [value, constant(bits), 0x76]
const xor128 = (left: Code, right: Code): Code => [left, right, 0xfd, 0x51]
const isBelow = (left: Code, right: Code): Code => [left, right, 0x48]
const isAbove = (left: Code, right: Code): Code => [left, right, 0x4a]
const call = (index: number, operands: Code): Code => [operands, 0x10, index]
const when = (condition: Code, body: Code): Code => [condition, 0x04, types.none, body, 0x0b]
const repeatWhile = (condition: Code, body: Code): Code => [
  ...[0x02, types.none, 0x03, types.none], // block, loop
  ...[condition, 0x45, 0x0d, 1], // leave the block if not
  ...[body, 0x0c, 0], // again
  ...[0x0b, 0x0b],
]

/** One table lookup: table `table`, at byte number `byte` (0 the lowest) of the i32 local `word`. */
function lookup(table: number, byte: number): Code {
  const value = get(word)
  const scaled = byte === 0 ? shiftLeft(value, 2) : shiftRight(value, 8 * byte - 2)
  return load32(and(scaled, constant(0x3fc)), table * 1024)
}

/** Slicing-by-16: sixteen independent lookups replace sixteen steps of the bytewise loop. */
function slicedBody(): Code {
  const words = [0, 1, 2, 3].map((index): Code => {
    const bytes = load32(get(position), 4 * index)
    const tables = [0, 1, 2, 3].map((byte) => lookup(15 - 4 * index - byte, byte))
    return [
      set(word, index === 0 ? xor(bytes, get(register)) : bytes),
      set(block, tables.reduce(xor, index === 0 ? constant(0) : get(block))),
    ]
  })
  return [
    repeatWhile(isAbove(subtract(get(end), get(position)), constant(15)), [
      words,
      set(register, get(block)),
      set(position, add(get(position), constant(16))),
    ]),
    repeatWhile(isBelow(get(position), get(end)), [
      set(word, xor(get(register), load8(get(position)))),
      set(register, xor(shiftRight(get(register), 8), lookup(0, 0))),
      set(position, add(get(position), constant(1))),
    ]),
    get(register),
  ]
}

/**
 * Byte shifts of sparse multiples of the polynomial: a block XOR-ed into the places this far behind
 * it may be forgotten, because the difference is a multiple of the polynomial.
 */
const multiples = [
  [767, 2524, 5275],
  [260, 620, 680, 780, 836],
]

/** Neighbouring blocks cancelled in one turn of the loop. */
const blocks = 2

/** Shorter inputs are not worth a turn of the last loop. */
const foldBytesMin = 836 + 16 * blocks

/** Cancels blocks of 16 bytes while the receivers of a whole turn lie inside the input. */
function foldLoop(shifts: readonly number[]): Code {
  const turn = 16 * blocks
  const spare = Math.max(...shifts) + turn
  const indexes = Array.from({ length: blocks }, (_, index) => index)
  return repeatWhile(isAbove(subtract(get(end), get(position)), constant(spare)), [
    indexes.map((index) => set(block + index, load128(get(position), 16 * index))),
    shifts.map((shift) =>
      indexes.map((index) => {
        const to = shift + 16 * index
        const sum = xor128(load128(get(position), to), get(block + index))
        return store128(get(position), to, sum)
      }),
    ),
    set(position, add(get(position), constant(turn))),
  ])
}

/**
 * The front of the input is cancelled into what follows, 16 bytes at a time; `sliced` sums the rest.
 * The register goes into the first four bytes, as the reflected bit order allows.
 */
function foldedBody(): Code {
  const remaining = subtract(get(end), get(position))
  return [
    when(isAbove(remaining, constant(foldBytesMin)), [
      store32(get(position), xor(load32(get(position), 0), get(register))),
      set(register, constant(0)),
      multiples.map(foldLoop),
    ]),
    call(0, [get(register), get(position), get(end)]),
  ]
}

const vector = (items: readonly Code[]): Code => [unsigned(items.length), items]
const name = (text: string): Code => vector([...text].map((letter) => [letter.charCodeAt(0)]))

function sized(content: Code): Code {
  const bytes = flatten(content)
  return [unsigned(bytes.length), bytes]
}
const section = (id: number, content: Code): Code => [id, sized(content)]
const func = (locals: readonly Code[], body: Code): Code => sized([vector(locals), body, 0x0b])

/** The module's bytes; without SIMD, `advance` is slicing-by-16 alone. */
export function assembleCrc32c(withSimd: boolean): Uint8Array<ArrayBuffer> {
  const signature: Code = [0x60, vector([[types.i32], [types.i32], [types.i32]]), 1, types.i32]
  const sliced = func([[2, types.i32]], slicedBody())
  const folded = func(
    [
      [1, types.i32],
      [blocks, types.v128],
    ],
    withSimd ? foldedBody() : [],
  )
  const functions = withSimd ? [sliced, folded] : [sliced]
  const exports: readonly Code[] = [
    [name('memory'), 2, 0],
    [name('advance'), 0, functions.length - 1],
  ]
  const sections = [
    section(1, vector([signature])),
    section(3, vector(functions.map(() => [0]))),
    section(5, vector([[1, pages, pages]])),
    section(7, vector(exports)),
    section(10, vector(functions)),
  ]
  return new Uint8Array(flatten([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, sections]))
}

/**
 * CRC-32C (Castagnoli), which covers a magic 2 batch from its attributes to its end. Long inputs go
 * through the WebAssembly module of `crc32c-module.ts`, short ones through a table in plain
 * JavaScript, because calling the module costs more than it saves there.
 *
 * Speed against the `crc-32` package, copy included, on Node 20: 1.3 at 1 KiB, 2.1 at 4 KiB, 4.3 at
 * 16 KiB, 6 at 64 KiB, 7 at 1 MiB; without SIMD 1.3 to 1.4 throughout. The module and its tables take 2 to
 * 3 ms to load: that is done when enough was summed without.
 */
import { createRequire } from 'node:module'
import { assembleCrc32c, type Crc32cExports, inputBytesMax, inputStart } from './crc32c-module.ts'

const reversedPolynomial = 0x82f63b78

type Crc = (buffer: Uint8Array, start: number, end: number, seed: number) => number

let sumLong: Crc | null = null
let byteTable: Int32Array | null = null

/** Below this many bytes the plain loop is quicker than the copy and the call. */
const shortBytesMax = 48

/** As long as so many bytes were summed in all it is quicker than loading the module: a start often is. */
const bytesBeforeModule = 64 * 1024
let bytesSummed = 0

/**
 * The CRC-32C of `buffer[start, end)` as an unsigned number. A sum over several chunks passes the
 * sum so far as `seed`.
 */
export function crc32c(buffer: Uint8Array, start = 0, end = buffer.length, seed = 0): number {
  if (end - start <= shortBytesMax) return sumShort(buffer, start, end, seed)
  if (sumLong !== null) return sumLong(buffer, start, end, seed)
  bytesSummed += end - start
  if (bytesSummed <= bytesBeforeModule) return sumShort(buffer, start, end, seed)
  sumLong = loadWebAssembly() ?? loadPortable()
  return sumLong(buffer, start, end, seed)
}

function sumShort(buffer: Uint8Array, start: number, end: number, seed: number): number {
  byteTable ??= tables(1)
  const table = byteTable
  let register = ~seed
  for (let at = start; at < end; at++) {
    register = (register >>> 8) ^ table[(register ^ buffer[at]!) & 255]!
  }
  return ~register >>> 0
}

/** `count` tables one after another: entry i of table k is the register i after k + 1 zero bytes. */
function tables(count: number): Int32Array {
  const entries = new Int32Array(256 * count)
  for (let index = 0; index < 256; index++) {
    let register = index
    for (let bit = 0; bit < 8; bit++) {
      register = (register >>> 1) ^ (register & 1 ? reversedPolynomial : 0)
    }
    entries[index] = register
  }
  for (let index = 256; index < entries.length; index++) {
    const before = entries[index - 256]!
    entries[index] = (before >>> 8) ^ entries[before & 255]!
  }
  return entries
}

/** The module's sum, with SIMD where the engine has it; null where there is no WebAssembly. */
function loadWebAssembly(): Crc | null {
  if (typeof WebAssembly === 'undefined') return null
  const withSimd = assembleCrc32c(true)
  const bytes = WebAssembly.validate(withSimd) ? withSimd : assembleCrc32c(false)
  return webAssemblyCrc(bytes)
}

/** The sum computed by an assembled module. */
export function webAssemblyCrc(bytes: Uint8Array<ArrayBuffer>): Crc {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes))
  const { memory, advance } = instance.exports as unknown as Crc32cExports
  new Int32Array(memory.buffer).set(tables(16))
  const input = new Uint8Array(memory.buffer, inputStart)
  return (buffer, start, end, seed) => {
    let register = ~seed
    for (let at = start; at < end; at += inputBytesMax) {
      const chunkEnd = Math.min(end, at + inputBytesMax)
      input.set(at === 0 && chunkEnd === buffer.length ? buffer : buffer.subarray(at, chunkEnd))
      register = advance(register, inputStart, inputStart + chunkEnd - at)
    }
    return ~register >>> 0
  }
}

/** The `crc-32` package's sum, for engines without WebAssembly. */
export function loadPortable(): Crc {
  const { buf } = createRequire(import.meta.url)('crc-32/crc32c.js') as {
    buf(bytes: Uint8Array, seed: number): number
  }
  return (buffer, start, end, seed) => buf(buffer.subarray(start, end), seed | 0) >>> 0
}

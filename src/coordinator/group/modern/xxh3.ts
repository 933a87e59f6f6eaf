/**
 * XXH3, the 64-bit variant without a seed, after its specification: five cases by length, all of
 * them multiplications of the input, xored with a fixed secret, folded to 64 bits. It runs when
 * topics change and over short input, so BigInt is fast enough and as plain as it gets.
 */
const mask = 0xffff_ffff_ffff_ffffn
const prime32_1 = 0x9e37_79b1n
const prime32_2 = 0x85eb_ca77n
const prime32_3 = 0xc2b2_ae3dn
const prime64_1 = 0x9e37_79b1_85eb_ca87n
const prime64_2 = 0xc2b2_ae3d_27d4_eb4fn
const prime64_3 = 0x1656_67b1_9e37_79f9n
const prime64_4 = 0x85eb_ca77_c2b2_ae63n
const prime64_5 = 0x27d4_eb2f_1656_67c5n
const primeMx1 = 0x1656_6791_9e37_79f9n
const primeMx2 = 0x9fb2_1c65_1e98_df25n

const secret = Buffer.from(
  'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f' +
    'cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c' +
    '3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8' +
    'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364' +
    'eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e' +
    '2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
  'hex',
)

const stripeBytes = 64
const stripesPerBlock = (secret.length - stripeBytes) / 8
const blockBytes = stripeBytes * stripesPerBlock

const secret64 = (at: number): bigint => secret.readBigUInt64LE(at)
const secret32 = (at: number): bigint => BigInt(secret.readUInt32LE(at))

/** A signed 64-bit number, as Java has it. */
export function xxh3(input: Buffer): bigint {
  return BigInt.asIntN(64, hash(input))
}

function hash(input: Buffer): bigint {
  const size = input.length
  if (size === 0) return avalanche64(secret64(56) ^ secret64(64))
  if (size <= 3) return hash1To3(input)
  if (size <= 8) return hash4To8(input)
  if (size <= 16) return hash9To16(input)
  if (size <= 128) return hash17To128(input)
  return size <= 240 ? hash129To240(input) : hashLong(input)
}

function hash1To3(input: Buffer): bigint {
  const size = input.length
  const [first, middle, last] = [input[0], input[size >> 1], input[size - 1]] as number[]
  const combined =
    (BigInt(first as number) << 16n) |
    (BigInt(middle as number) << 24n) |
    BigInt(last as number) |
    (BigInt(size) << 8n)
  return avalanche64(combined ^ secret32(0) ^ secret32(4))
}

function hash4To8(input: Buffer): bigint {
  const size = input.length
  const low = BigInt(input.readUInt32LE(0))
  const high = BigInt(input.readUInt32LE(size - 4))
  const keyed = (high + (low << 32n)) ^ secret64(8) ^ secret64(16)
  let value = keyed ^ rotated(keyed, 49n) ^ rotated(keyed, 24n)
  value = (value * primeMx2) & mask
  value ^= (value >> 35n) + BigInt(size)
  value = (value * primeMx2) & mask
  return value ^ (value >> 28n)
}

function hash9To16(input: Buffer): bigint {
  const size = input.length
  const low = input.readBigUInt64LE(0) ^ secret64(24) ^ secret64(32)
  const high = input.readBigUInt64LE(size - 8) ^ secret64(40) ^ secret64(48)
  return avalanche((BigInt(size) + swapped(low) + high + folded(low, high)) & mask)
}

function hash17To128(input: Buffer): bigint {
  const size = input.length
  let sum = BigInt(size) * prime64_1
  for (let round = (size - 1) >> 5; round >= 0; round--) {
    sum += mix16(input, 16 * round, 32 * round)
    sum += mix16(input, size - 16 * (round + 1), 32 * round + 16)
  }
  return avalanche(sum & mask)
}

function hash129To240(input: Buffer): bigint {
  const size = input.length
  let sum = BigInt(size) * prime64_1
  for (let round = 0; round < 8; round++) sum += mix16(input, 16 * round, 16 * round)
  sum = avalanche(sum & mask)
  for (let round = 8; round < size >> 4; round++) {
    sum += mix16(input, 16 * round, 16 * (round - 8) + 3)
  }
  sum += mix16(input, size - 16, 136 - 17)
  return avalanche(sum & mask)
}

function hashLong(input: Buffer): bigint {
  const size = input.length
  const lanes = [
    prime32_3,
    prime64_1,
    prime64_2,
    prime64_3,
    prime64_4,
    prime32_2,
    prime64_5,
    prime32_1,
  ]
  const blocks = Math.floor((size - 1) / blockBytes)
  for (let block = 0; block < blocks; block++) {
    accumulate(lanes, input, block * blockBytes, stripesPerBlock)
    scramble(lanes)
  }
  const start = blocks * blockBytes
  accumulate(lanes, input, start, Math.floor((size - 1 - start) / stripeBytes))
  addStripe(lanes, input, size - stripeBytes, secret.length - stripeBytes - 7)
  let sum = BigInt(size) * prime64_1
  for (let pair = 0; pair < 4; pair++) {
    const [a, b] = lanes.slice(2 * pair, 2 * pair + 2) as [bigint, bigint]
    sum += folded(a ^ secret64(11 + 16 * pair), b ^ secret64(19 + 16 * pair))
  }
  return avalanche(sum & mask)
}

function accumulate(lanes: bigint[], input: Buffer, start: number, stripes: number): void {
  for (let stripe = 0; stripe < stripes; stripe++) {
    addStripe(lanes, input, start + stripe * stripeBytes, 8 * stripe)
  }
}

function addStripe(lanes: bigint[], input: Buffer, at: number, secretAt: number): void {
  const values = lanes.map((_, lane) => input.readBigUInt64LE(at + 8 * lane))
  values.forEach((value, lane) => {
    const keyed = value ^ secret64(secretAt + 8 * lane)
    const product = (keyed & 0xffff_ffffn) * (keyed >> 32n)
    lanes[lane] = ((lanes[lane] as bigint) + (values[lane ^ 1] as bigint) + product) & mask
  })
}

function scramble(lanes: bigint[]): void {
  lanes.forEach((value, lane) => {
    const keyed = value ^ (value >> 47n) ^ secret64(secret.length - stripeBytes + 8 * lane)
    lanes[lane] = (keyed * prime32_1) & mask
  })
}

function mix16(input: Buffer, at: number, secretAt: number): bigint {
  const low = input.readBigUInt64LE(at) ^ secret64(secretAt)
  const high = input.readBigUInt64LE(at + 8) ^ secret64(secretAt + 8)
  return folded(low, high)
}

/** The product of both, its halves xored. */
function folded(a: bigint, b: bigint): bigint {
  const product = a * b
  return (product & mask) ^ (product >> 64n)
}

function avalanche(value: bigint): bigint {
  let mixed = value ^ (value >> 37n)
  mixed = (mixed * primeMx1) & mask
  return mixed ^ (mixed >> 32n)
}

function avalanche64(value: bigint): bigint {
  let mixed = value ^ (value >> 33n)
  mixed = (mixed * prime64_2) & mask
  mixed ^= mixed >> 29n
  mixed = (mixed * prime64_3) & mask
  return mixed ^ (mixed >> 32n)
}

function rotated(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & mask
}

function swapped(value: bigint): bigint {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes.readBigUInt64BE()
}

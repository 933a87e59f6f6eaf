/** All ways to compute a checksum agree with each other and with published values. */
import t from 'tap'
import { xxhash32 } from '../../../protocol/records/compression/xxhash32.ts'
import { crc32, loadPortableCrc32 } from '../../../protocol/records/crc32.ts'
import { crc32c, loadPortable, webAssemblyCrc } from '../../../protocol/records/crc32c.ts'
import { assembleCrc32c } from '../../../protocol/records/crc32c-module.ts'
import { SeededRandom } from '../../simulator/random.ts'

const check = Buffer.from('123456789')

function noise(random: SeededRandom, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.uint32() & 255))
}

t.test('published values', async (t) => {
  t.equal(crc32c(check), 0xe3069283)
  t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa, 'RFC 3720: zeros')
  t.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43, 'RFC 3720: ones')
  t.equal(crc32c(Buffer.alloc(0)), 0)
  t.equal(crc32(check), 0xcbf43926)
  t.equal(loadPortableCrc32()(check), 0xcbf43926)
  t.equal(xxhash32(Buffer.alloc(0)), 0x02cc5d05)
  t.equal(xxhash32(Buffer.from('Nobody inspects the spammish repetition')), 0xe2293b2f)
})

t.test('every implementation, at lengths around each threshold', async (t) => {
  const random = new SeededRandom(1)
  const input = noise(random, 400_000)
  const portable = loadPortable()
  const sliced = webAssemblyCrc(assembleCrc32c(false))
  const folded = webAssemblyCrc(assembleCrc32c(true))
  const lengths = [
    0, 1, 15, 16, 17, 47, 48, 49, 867, 868, 869, 900, 5306, 5307, 5308, 180_224, 180_225,
  ]
  for (let round = 0; round < 150; round++) {
    const length = lengths[round] ?? random.uint32() % (round % 10 === 0 ? 390_000 : 12_000)
    const start = random.uint32() % 64
    const seed = round % 2 === 0 ? 0 : random.uint32()
    const expected = portable(input, start, start + length, seed)
    const found = [crc32c, sliced, folded].map((sum) => sum(input, start, start + length, seed))
    t.same(found, [expected, expected, expected], `${length} bytes at ${start}`)
  }
})

t.test('a sum over chunks is the sum of the whole', async (t) => {
  const random = new SeededRandom(2)
  const input = noise(random, 30_000)
  const before = Buffer.from(input)
  let sum = 0
  for (let at = 0; at < input.length; ) {
    const end = Math.min(input.length, at + (random.uint32() % 9000))
    sum = crc32c(input, at, end, sum)
    at = end
  }
  t.equal(sum, crc32c(input))
  t.same(input, before, 'the input is left alone')
})

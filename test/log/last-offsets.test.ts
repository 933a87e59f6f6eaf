/** What compaction knows of keys, against a plain map, while its memory grows to its limit. */
import t from 'tap'
import { LastOffsets } from '../../src/log/compaction/last-offsets.ts'
import { SeededRandom } from '../simulator/random.ts'

const slotBytes = 24
const loadFactor = 0.9

t.test('says of every record whether it is the last of its key', async (t) => {
  const random = new SeededRandom(1)
  // Bits for all offsets, for some, and for next to none; keys that fit at once, and after moving.
  for (const [bytesMax, keys, records] of [
    [10_000, 100, 2000],
    [10_000, 100, 20_000],
    [8 << 20, 60_000, 200_000],
    [40 << 20, 400_000, 600_000],
  ] as const) {
    const fromOffset = random.between(0, 1000)
    const toOffset = fromOffset + records
    const known = new LastOffsets({ random, fromOffset, toOffset, bytesMax, loadFactor })
    const last = new Map<number, number>()
    const keyOf: number[] = []
    const bytesOf = (key: number) => Buffer.from(`${'.'.repeat(key % 7)}${key}`)
    for (let offset = fromOffset; offset < toOffset; offset++) {
      const key = random.between(0, keys)
      const bytes = bytesOf(key)
      if (!known.put(bytes, 0, bytes.length, offset)) t.fail(`no room for ${last.size} keys`)
      last.set(key, offset)
      keyOf.push(key)
    }
    const isLast = keyOf.map((key, index) => last.get(key) === fromOffset + index)
    const wrong = keyOf.flatMap((key, index) => {
      const bytes = bytesOf(key)
      return known.isLast(bytes, 0, bytes.length, fromOffset + index) === isLast[index]
        ? []
        : [index]
    })
    t.strictSame(wrong, [], `${bytesMax} bytes`)
    for (let round = 0; round < 300; round++) {
      const first = random.between(0, records)
      const end = random.between(first, Math.min(records, first + 100))
      const count = known.countLast(fromOffset + first, fromOffset + end)
      const counted = isLast.slice(first, end + 1).filter((one) => one).length
      if (count !== -1 && count !== counted) t.equal(count, counted, `[${first}, ${end}]`)
    }
    const bits = Math.floor(bytesMax / 32 / 4) * 32
    t.equal(known.countLast(fromOffset, fromOffset) !== -1, true)
    t.equal(known.countLast(toOffset - 1, toOffset - 1) === -1, bits < records)
    known.distrustBits()
    t.equal(known.countLast(fromOffset, fromOffset), -1)
  }
})

t.test('fills its memory, and says when it is full', async (t) => {
  const random = new SeededRandom(2)
  for (const bytesMax of [5 * slotBytes, 100_000, 12 << 20]) {
    const range = { fromOffset: 0, toOffset: 2 ** 40 }
    const known = new LastOffsets({ random, ...range, bytesMax, loadFactor })
    let keys = 0
    const key = Buffer.alloc(4)
    for (; keys * slotBytes < bytesMax; keys++) {
      key.writeInt32LE(keys)
      if (!known.put(key, 0, 4, keys)) break
    }
    const share = (keys * slotBytes) / bytesMax
    t.ok(share <= loadFactor, `${share} of ${bytesMax} bytes are keys`)
    t.ok(share > (bytesMax < 1000 ? 0.3 : 0.9 * loadFactor))
    key.writeInt32LE(keys - 1)
    t.ok(known.put(key, 0, 4, keys), 'one that is there is put all the same')
  }
})

/** The tail cache against a plain list of what was appended: several logs, lap after lap of the ring. */
import t from 'tap'
import * as header from '../../protocol/records/batch.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { BufferPool } from '../../src/environment/node/buffer-pool.ts'
import { Tail, TailCache } from '../../src/log/tail-cache.ts'
import { SeededRandom } from '../simulator/random.ts'

const bytesMax = 50_000

/** One log: the cache's view of it, and all its bytes. */
class Appended {
  readonly tail: Tail
  readonly batches: Buffer[] = []

  constructor(cache: TailCache) {
    this.tail = new Tail(cache)
  }

  /** One or two batches of one record each, as one entry. The caller's buffer is overwritten after. */
  append(random: SeededRandom): void {
    const baseOffset = this.batches.length
    for (let count = random.between(1, 2); count > 0; count--) {
      const value = Buffer.alloc(random.pick([1, 100, 3000, 12_000]), this.batches.length)
      const records = [{ timestamp: 1, key: null, value, headers: [] }]
      this.batches.push(encodeBatch({ baseOffset: this.batches.length, records }))
    }
    const entry = Buffer.concat(this.batches.slice(baseOffset))
    this.tail.add(baseOffset, this.batches.length - 1, entry)
    entry.fill(0xdd)
  }

  bytesFrom(offset: number, upToOffset: number): Buffer {
    return Buffer.concat(this.batches.slice(offset, upToOffset))
  }
}

t.test('what is read is what was appended, for as far back as there is room', (t) => {
  const random = new SeededRandom(7)
  const buffers = new BufferPool({ isPoisoning: true })
  const cache = new TailCache(bytesMax)
  const logs = [new Appended(cache), new Appended(cache), new Appended(cache)]
  let kept = 0
  let differences = 0
  /** What readers have not let go of yet. */
  const held: { bytes: Buffer; wanted: Buffer }[] = []
  for (let i = 0; i < 2000; i++) {
    const log = random.pick(logs)
    log.append(random)
    if (random.chance(0.02)) random.pick(logs).tail.clear()
    const { tail, batches } = random.pick(logs)
    if (tail.startOffset >= batches.length) continue
    const offset = random.between(tail.startOffset, batches.length - 1)
    const upToOffset = random.between(offset + 1, batches.length)
    const options = { offset, upToOffset, maxBytes: random.between(0, 30_000), minOneBatch: true }
    const read = tail.read(options, buffers)
    const wanted = logs.find((other) => other.tail === tail)?.bytesFrom(offset, read.nextOffset)
    const bytes = Buffer.concat([...read.chunks])
    if (wanted?.equals(bytes) !== true || read.firstOffset !== offset) differences++
    if (read.nextOffset <= offset || read.nextOffset > upToOffset) differences++
    const following = batches[read.nextOffset]
    const fits = following !== undefined && bytes.length + following.length <= options.maxBytes
    if (fits && read.nextOffset < upToOffset) differences++
    kept = Math.max(kept, [...header.batches(bytes)].length)
    for (const chunk of read.chunks) held.push({ bytes: chunk, wanted: bytes })
    if (held.length < 50) continue
    const oldest = held.shift()
    if (oldest?.bytes.equals(oldest.wanted) !== true) differences++
    if (oldest !== undefined) buffers.release(oldest.bytes)
  }
  t.equal(differences, 0)
  t.ok(kept > 3, `${kept} batches in a read`)
  t.end()
})

t.test('the oldest of all logs goes first, and a batch too large for the ring ends a run', (t) => {
  const cache = new TailCache(10_000)
  const [a, b] = [new Tail(cache), new Tail(cache)]
  const bytes = (size: number) => Buffer.alloc(size)
  a.add(0, 0, bytes(3000))
  b.add(0, 0, bytes(3000))
  a.add(1, 1, bytes(3000))
  t.same([a.startOffset, b.startOffset], [0, 0])
  a.add(2, 2, bytes(1000))
  t.same([a.startOffset, b.startOffset], [1, 0])
  a.add(3, 3, bytes(5000))
  t.equal(b.startOffset, Number.MAX_SAFE_INTEGER, 'a log that has nothing here any more')
  a.add(4, 4, bytes(10_000))
  t.equal(a.startOffset, Number.MAX_SAFE_INTEGER)
  a.add(5, 5, bytes(100))
  t.equal(a.startOffset, 5)
  t.end()
})

t.test('one log alone keeps its run whole over thousands of small entries', (t) => {
  const buffers = new BufferPool()
  const tail = new Tail(new TailCache(2_000_000))
  const entries = 12_000
  const value = Buffer.alloc(100, 1)
  for (let baseOffset = 0; baseOffset < entries; baseOffset++) {
    const records = [{ timestamp: 1, key: null, value, headers: [] }]
    tail.add(baseOffset, baseOffset, encodeBatch({ baseOffset, records }))
  }
  t.ok(tail.startOffset > 0 && tail.startOffset < entries, 'the oldest are gone')
  for (let offset = tail.startOffset; offset < entries; ) {
    const options = { offset, upToOffset: entries, maxBytes: 1, minOneBatch: true }
    const { firstOffset, nextOffset, chunks } = tail.read(options, buffers)
    const [bytes] = chunks
    if (firstOffset !== offset || bytes === undefined || header.baseOffset(bytes, 0) !== offset) {
      t.fail(`a read from ${offset} began at ${firstOffset}`)
      break
    }
    offset = nextOffset
  }
  t.end()
})

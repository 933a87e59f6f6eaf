/** Memory that is used again: sizes, bounds, and who may give what back. */
import t from 'tap'
import { BufferPool } from '../../src/environment/node/buffer-pool.ts'

const kib = 1024

t.test('what is given back is taken again by those of its size', (t) => {
  const pool = new BufferPool()
  const sizes = [0, 1, 2048, 2049, 4096, 4097, 64_000, kib * kib, 16 * kib * kib, 20_000_000]
  for (const bytes of sizes) t.equal(pool.take(bytes).length, bytes)
  const taken = pool.take(64_000)
  pool.release(taken.subarray(100, 200))
  t.equal(pool.idleBytes, 64 * kib)
  t.equal(pool.take(64 * kib).buffer, taken.buffer)
  t.not(pool.take(64 * kib).buffer, taken.buffer)
  t.equal(pool.idleBytes, 0)
  t.end()
})

t.test('only what was taken, and only once', (t) => {
  const pool = new BufferPool()
  for (const buffer of [Buffer.alloc(8192), pool.take(100), Buffer.alloc(20_000_000)]) {
    pool.release(buffer)
    t.equal(pool.idleBytes, 0)
    t.ok(buffer.length > 0, 'what is not its own is left alone')
  }
  const taken = pool.take(10_000)
  pool.release(taken)
  t.throws(() => pool.release(taken), /twice/)
  t.end()
})

t.test('large memory is free at once', async (t) => {
  // The channel to nobody has closed by then.
  await new Promise((resolve) => setImmediate(resolve))
  const pool = new BufferPool()
  const large = pool.take(20_000_000)
  const before = process.memoryUsage().arrayBuffers
  pool.release(large.subarray(5))
  t.ok(process.memoryUsage().arrayBuffers <= before - 20_000_000)
  t.equal(large.length, 0, 'nobody can look at it')
  t.equal(pool.idleBytes, 0)
})

t.test('the idle ones are bounded, those of another size go first', (t) => {
  const pool = new BufferPool({ idleBytesMax: 1024 * kib })
  const [small, large] = [8, 512].map((size) =>
    Array.from({ length: 4 }, () => pool.take(size * kib)),
  )
  for (const buffer of large ?? []) pool.release(buffer)
  t.equal(pool.idleBytes, 1024 * kib)
  for (const buffer of small ?? []) pool.release(buffer)
  t.equal(pool.idleBytes, (512 + 4 * 8) * kib)
  const gone = large?.filter(({ length }) => length === 0)
  t.equal(gone?.length, 3, 'what goes gives its memory back at once')
  t.end()
})

t.test('half of those go that nobody has needed for a while', (t) => {
  const pool = new BufferPool()
  const taken = Array.from({ length: 8 }, () => pool.take(8 * kib))
  for (const buffer of taken) pool.release(buffer)
  pool.trim()
  t.equal(pool.idleBytes, 64 * kib, 'they have just come')
  const needed = [pool.take(8 * kib), pool.take(8 * kib)]
  for (const buffer of needed) pool.release(buffer)
  pool.trim()
  t.equal(pool.idleBytes, 40 * kib, 'six of eight were idle all the time')
  for (const left of [2, 1, 0]) {
    pool.trim()
    t.equal(pool.idleBytes, left * 8 * kib)
  }
  t.ok([...taken, ...needed].every(({ length }) => length === 0))
  t.end()
})

t.test('that needs nobody who asks for it', async (t) => {
  const pool = new BufferPool({ trimEveryMs: 1 })
  pool.release(pool.take(8 * kib))
  while (pool.idleBytes > 0) await new Promise((resolve) => setTimeout(resolve, 1))
  t.equal(pool.idleBytes, 0)
})

t.test('for tests, what is given back is overwritten', (t) => {
  const pool = new BufferPool({ isPoisoning: true })
  const taken = pool.take(5000).fill(1)
  pool.release(taken)
  t.ok(taken.every((byte) => byte === 0xdd))
  t.end()
})

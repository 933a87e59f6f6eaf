/** That V8 does as it is told, which it promises nobody. */
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { keepCollectionsShort, newSpaceBytes } from '../../src/environment/node/new-objects.ts'

const mib = 1024 * 1024

/** Collects, again and again, what lives for a while. */
async function work(): Promise<number> {
  let largest = 0
  let living: object[] = []
  for (let round = 0; round < 150; round++) {
    for (let count = 0; count < 10_000; count++) living.push({ round, count, list: [count] })
    if (living.length > 500_000) living = []
    largest = Math.max(largest, newSpaceBytes())
    await setImmediate()
  }
  return largest
}

t.test('the space for new objects stays small where much of it lives', async (t) => {
  const before = newSpaceBytes()
  keepCollectionsShort()
  const bytes = await work()
  t.ok(bytes <= Math.max(8 * mib, before), `${bytes / mib} MiB`)
  t.ok(bytes >= 2 * mib, 'it may grow up to there')
})

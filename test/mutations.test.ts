/** The mutations of `npm run mutate` still apply to the sources as they are. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { keptSeeds } from '../scripts/mutations/kept-seeds.ts'
import { mutated } from '../scripts/mutations/mutation.ts'
import { mutations } from '../scripts/mutations.ts'

// Compiled tests run from build/, one folder deeper than their source.
const root = fileURLToPath(new URL('../..', import.meta.url))

t.test('every mutation applies, and changes something', async (t) => {
  for (const mutation of mutations) {
    const source = readFileSync(join(root, mutation.file), 'utf8')
    t.not(mutated(source, mutation), source, mutation.name)
  }
})

t.test('names are given once', async (t) => {
  const names = mutations.map(({ name }) => name)
  t.equal(new Set(names).size, names.length)
  t.ok(names.length >= 25)
})

t.test('seeds are kept for mutations that there are', async (t) => {
  const names = new Set(mutations.map(({ name }) => name))
  for (const name of keptSeeds.keys()) t.ok(names.has(name), name)
  t.ok(keptSeeds.size >= 25)
})

t.test('a text that is gone, or there twice, is told', async (t) => {
  const mutation = { name: 'a', breaks: '', file: 'b.ts', find: 'one', replace: 'two' }
  t.equal(mutated('one three', mutation), 'two three')
  t.throws(() => mutated('three', mutation), /mutation a no longer applies: .* 0 times in b\.ts/)
  t.throws(() => mutated('one one', mutation), /2 times/)
})

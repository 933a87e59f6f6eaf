/** A set of mostly one element does what a `Set` does. */
import t from 'tap'
import { SmallSet } from '../../src/replication/small-set.ts'

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => ({ name })) as [Item, Item, Item, Item]

interface Item {
  readonly name: string
}

function told(set: SmallSet<Item>): string {
  const names: string[] = []
  set.each(({ name }) => names.push(name))
  return names.join('')
}

t.test('elements are told in the order in which they came, each once', async (t) => {
  const set = new SmallSet<Item>()
  t.equal(told(set), '')
  for (const item of [a, a, b, c, b]) set.add(item)
  t.equal(told(set), 'abc')
  t.equal(set.size, 3)
  set.delete(a)
  set.add(b)
  t.equal(told(set), 'bc')
  set.add(a)
  t.equal(told(set), 'bca')
  for (const item of [b, c, d, a]) set.delete(item)
  t.equal(set.size, 0)
  set.add(d)
  t.equal(told(set), 'd')
})

t.test('those that are deleted while others are told are not told', async (t) => {
  const set = new SmallSet<Item>()
  for (const item of [a, b, c, d]) set.add(item)
  const names: string[] = []
  set.each((item) => {
    names.push(item.name)
    set.delete(item)
    if (item === b) set.delete(c)
  })
  t.same(names, ['a', 'b', 'd'])
  t.equal(set.size, 0)
})

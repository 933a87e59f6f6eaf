/**
 * The server-side assignors: worked examples, and for random groups what must always hold: each
 * partition once and with a subscriber, balance, and no move without a reason.
 */
import t, { type Test } from 'tap'
import { range } from '../../../src/coordinator/group/assignor/range.ts'
import { uniform } from '../../../src/coordinator/group/assignor/uniform.ts'
import { type Assignment, noPartitions } from '../../../src/coordinator/group/modern/assignment.ts'
import type {
  Assignor,
  GroupSpec,
  MemberSpec,
} from '../../../src/coordinator/group/modern/target-assignment.ts'
import { randomFrom } from '../../protocol/generated-values.ts'

type Wishes = Record<string, readonly string[]>

class Group {
  readonly topics: Map<string, number>
  wishes: Wishes
  instances: Record<string, string> = {}
  targets: ReadonlyMap<string, Assignment> = new Map()

  constructor(topics: Record<string, number>, wishes: Wishes) {
    this.topics = new Map(Object.entries(topics))
    this.wishes = wishes
  }

  get spec(): GroupSpec {
    const members = new Map<string, MemberSpec>()
    for (const [memberId, names] of Object.entries(this.wishes)) {
      members.set(memberId, {
        instanceId: this.instances[memberId] ?? null,
        rackId: null,
        topicIds: new Set(names.filter((name) => this.topics.has(name))),
        assignment: this.targets.get(memberId) ?? noPartitions,
      })
    }
    const sets = [...members.values()].map(({ topicIds }) => [...topicIds].sort().join())
    return {
      members,
      isHomogeneous: new Set(sets).size <= 1,
      partitionCount: (id) => this.topics.get(id),
    }
  }

  assign(assignor: Assignor): Record<string, string[]> {
    this.targets = assignor.assign(this.spec)
    return this.shown
  }

  get shown(): Record<string, string[]> {
    const entries = Object.keys(this.wishes).map((memberId) => {
      const mine = [...(this.targets.get(memberId) ?? noPartitions)]
      return [memberId, mine.flatMap(([id, ps]) => [...ps].map((p) => `${id}${p}`)).sort()]
    })
    return Object.fromEntries(entries)
  }

  get sizes(): number[] {
    return Object.values(this.shown).map((partitions) => partitions.length)
  }
}

t.test('range: topics with as many partitions and the same subscribers go alike', async (t) => {
  const group = new Group({ x: 3, y: 3 }, { c: ['x', 'y'], a: ['x', 'y'] })
  t.same(group.assign(range), { a: ['x0', 'x1', 'y0', 'y1'], c: ['x2', 'y2'] })
  group.wishes = { ...group.wishes, b: ['x', 'y'] }
  t.same(group.assign(range), { a: ['x0', 'y0'], b: ['x1', 'y1'], c: ['x2', 'y2'] })
  group.wishes = { a: ['x'], b: ['x', 'y'], c: ['y'], d: ['nothing'] }
  t.same(group.assign(range), { a: ['x0', 'x1'], b: ['x2', 'y0', 'y1'], c: ['y2'], d: [] })
  const many = new Group({ x: 2 }, { a: ['x'], b: ['x'], c: ['x'] })
  many.instances = { c: 'i1', b: 'i2' }
  t.same(many.assign(range), { c: ['x0'], b: ['x1'], a: [] }, 'static members first')
})

t.test('uniform: balanced, and what can stay stays', async (t) => {
  const group = new Group({ x: 3, y: 3 }, { a: ['x', 'y'], b: ['x', 'y'] })
  group.assign(uniform)
  t.same(group.sizes, [3, 3])
  const before = group.shown
  group.wishes = { ...group.wishes, c: ['x', 'y'] }
  const after = group.assign(uniform)
  t.same(group.sizes, [2, 2, 2])
  for (const memberId of ['a', 'b']) {
    const kept = after[memberId]?.filter((each) => before[memberId]?.includes(each))
    t.equal(kept?.length, 2, `${memberId} keeps two of its own`)
  }
  t.same(group.assign(uniform), after, 'and again the same')
})

t.test('uniform with different wishes: what only one may have goes to it', async (t) => {
  const group = new Group({ x: 3, y: 3, z: 2 }, { a: ['x'], b: ['x', 'y', 'z'], c: ['z', 'y'] })
  const assigned = group.assign(uniform)
  t.ok(assigned.a?.every((each) => each.startsWith('x')))
  t.same([...group.sizes].sort(), [2, 3, 3])
  t.same(group.assign(uniform), assigned)
  group.wishes = { b: ['x', 'y', 'z'], c: ['z', 'y'] }
  group.assign(uniform)
  t.same(group.sizes, [4, 4])
  group.topics.delete('y')
  group.assign(uniform)
  t.same(group.sizes, [3, 2])
})

function check(t: Test, group: Group, what: string): boolean {
  const owners = new Map<string, string>()
  for (const [memberId, assignment] of group.targets) {
    for (const [id, partitions] of assignment) {
      for (const partition of partitions) {
        const key = `${id}${partition}`
        if (owners.has(key)) return t.fail(`${what}: ${key} is given out twice`)
        if (!group.wishes[memberId]?.includes(id)) return t.fail(`${what}: ${key} is not wanted`)
        owners.set(key, memberId)
      }
    }
  }
  for (const [name, count] of group.topics) {
    const isWanted = Object.values(group.wishes).some((names) => names.includes(name))
    for (let partition = 0; isWanted && partition < count; partition++) {
      if (!owners.has(`${name}${partition}`)) return t.fail(`${what}: ${name}${partition} is lost`)
    }
  }
  return true
}

/** No partition could go from one subscriber to another that has two fewer. */
function isBalanced(group: Group): boolean {
  const shown = group.shown
  return Object.entries(shown).every(([memberId, mine]) =>
    mine.every((key) =>
      Object.entries(group.wishes).every(
        ([other, names]) =>
          other === memberId ||
          !names.some((name) => new RegExp(`^${name}\\d+$`).test(key)) ||
          (shown[other]?.length ?? 0) >= mine.length - 1,
      ),
    ),
  )
}

t.test('random groups: complete, disjoint, balanced, at rest', async (t) => {
  let checked = 0
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomFrom(seed)
    const names = ['p', 'q', 'r', 's', 'u'].slice(0, 1 + random(5))
    const isMixed = random(2) === 0
    const wish = () => (isMixed ? names.filter(() => random(3) > 0) : names)
    const group = new Group(Object.fromEntries(names.map((name) => [name, random(12)])), {})
    for (let step = 0; step < 12; step++) {
      const memberId = `m${random(8)}`
      if (random(3) === 0) delete group.wishes[memberId]
      else group.wishes = { ...group.wishes, [memberId]: wish() }
      if (random(4) === 0) {
        const name = names[random(names.length)] as string
        group.topics.set(name, (group.topics.get(name) ?? 0) + random(4))
      }
      const what = `seed ${seed}, step ${step}`
      for (const assignor of [range, uniform]) {
        const before = group.targets
        group.assign(assignor)
        if (!check(t, group, `${assignor.name}, ${what}`)) return
        if (assignor === uniform) {
          if (!isBalanced(group)) {
            t.fail(`${what}: ${JSON.stringify(group.shown)}`)
            return
          }
          const first = group.shown
          group.assign(uniform)
          if (JSON.stringify(group.shown) !== JSON.stringify(first)) {
            t.fail(`${what}: moves without a reason`)
            return
          }
        } else group.targets = before
        checked++
      }
    }
  }
  t.equal(checked, 7200)
})

t.test('uniform moves no more than it must when members come and go', async (t) => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = randomFrom(seed)
    const group = new Group({ x: 40, y: 17 }, { m0: ['x', 'y'] })
    group.assign(uniform)
    for (let step = 1; step < 10; step++) {
      const ids = Object.keys(group.wishes)
      const leaves = random(3) === 0 && ids.length > 1
      const gone = leaves ? (ids[random(ids.length)] as string) : null
      const before = group.shown
      if (gone === null) group.wishes = { ...group.wishes, [`m${seed}-${step}`]: ['x', 'y'] }
      else delete group.wishes[gone]
      const after = group.assign(uniform)
      const size = Object.keys(group.wishes).length
      const moved = Object.entries(after).flatMap(([memberId, mine]) =>
        mine.filter((key) => !before[memberId]?.includes(key)),
      )
      const most = gone === null ? Math.ceil(57 / size) : (before[gone]?.length ?? 0)
      // Extra places may go to others than those that had them.
      if (moved.length > most + size) t.fail(`seed ${seed}: ${moved.length} moved, not ${most}`)
    }
  }
  t.pass('in 50 histories')
})

/** How work is shared out among workers: balanced, moved in two rounds, and kept for a worker that is gone for a while. */
import t from 'tap'
import {
  assignEagerly,
  IncrementalAssignor,
  type Shared,
} from '../../src/connect/runtime/distributed/assignor.ts'
import {
  decodeAssignment,
  decodeState,
  encodeAssignment,
  encodeState,
} from '../../src/connect/runtime/distributed/group-protocol.ts'
import { noWork, union, type Work } from '../../src/connect/runtime/distributed/work.ts'

const work = (connectors: readonly string[], tasks: readonly string[] = []): Work => ({
  connectors: new Set(connectors),
  tasks: new Set(tasks),
})

/** A connector with so many tasks. */
const connector = (name: string, tasks: number): Work =>
  work(
    [name],
    Array.from({ length: tasks }, (_, task) => `${name}-${task}`),
  )

/** A group whose members do as they are told, and a clock that stands still. */
class Group {
  nowMs = 1
  readonly current = new Map<string, Work>()
  configured: Work = noWork
  #generation = 0
  readonly #assignor: IncrementalAssignor

  constructor(delayMsMax = 300_000) {
    this.#assignor = new IncrementalAssignor({ monotonic: () => this.nowMs }, delayMsMax)
  }

  round(): Shared {
    const { configured, current } = this
    const lastGeneration = this.#generation || -1
    const generation = ++this.#generation
    const shared = this.#assignor.assign({ configured, current, lastGeneration, generation })
    for (const [member, all] of shared.all) this.current.set(member, all)
    this.checkOnce()
    return shared
  }

  /** Rounds until nothing is revoked; answers how many it took. */
  settle(): number {
    for (let rounds = 1; rounds < 20; rounds++) {
      const { shares, delayMs } = this.round()
      if (delayMs > 0) this.nowMs += delayMs
      const revoked = union(...Array.from(shares.values(), (share) => share.revoked))
      if (revoked.connectors.size + revoked.tasks.size === 0 && delayMs === 0) return rounds
    }
    throw new Error('it never settles')
  }

  checkOnce(): void {
    const all = [...this.current.values()].flatMap(({ tasks }) => [...tasks])
    if (new Set(all).size !== all.length) throw new Error(`twice: ${all}`)
  }

  sizes(): string {
    return Array.from(
      this.current.values(),
      ({ connectors, tasks }) => `${connectors.size}+${tasks.size}`,
    ).join(' ')
  }
}

t.test(
  'new work goes to whoever has least, and a new member gets its share in a second round',
  (t) => {
    const group = new Group()
    group.current.set('a', noWork)
    group.configured = connector('in', 8)
    group.settle()
    t.equal(group.sizes(), '1+8')
    group.current.set('b', noWork)
    const { shares } = group.round()
    t.equal(shares.get('a')?.revoked.tasks.size, 4)
    t.equal(shares.get('b')?.assigned.tasks.size, 0, 'not before it was stopped elsewhere')
    group.settle()
    t.equal(group.sizes(), '1+4 0+4')
    group.current.set('c', noWork)
    group.settle()
    t.equal(group.sizes(), '1+3 0+3 0+2')
    t.end()
  },
)

t.test(
  'work of a member that has left waits for it, and comes back to it or goes to others',
  (t) => {
    const group = new Group(1_000)
    for (const member of ['a', 'b']) group.current.set(member, noWork)
    group.configured = union(connector('x', 2), connector('y', 2))
    group.settle()
    const [gone] = [group.current.get('b')!]
    group.current.delete('b')
    t.equal(group.round().delayMs, 1_000)
    group.nowMs += 400
    t.equal(group.round().delayMs, 600)
    t.equal(group.current.get('a')?.tasks.size, 2)
    // It comes back under another name, with nothing.
    group.current.set('c', noWork)
    t.equal(group.round().delayMs, 600)
    group.nowMs += 600
    const { shares, delayMs } = group.round()
    t.equal(delayMs, 0)
    t.strictSame(shares.get('c')?.assigned, gone)
    t.end()
  },
)

t.test('what is deleted is revoked, what two have is revoked from both', (t) => {
  const group = new Group()
  for (const member of ['a', 'b']) group.current.set(member, noWork)
  group.configured = union(connector('x', 2), connector('y', 2))
  group.settle()
  group.configured = connector('x', 2)
  const gone = union(...Array.from(group.round().shares.values(), ({ revoked }) => revoked))
  t.strictSame([[...gone.connectors], [...gone.tasks].sort()], [['y'], ['y-0', 'y-1']])
  const x = [...group.current].find(([, { tasks }]) => tasks.has('x-0'))!
  const other = x[0] === 'a' ? 'b' : 'a'
  group.current.set(other, union(group.current.get(other)!, work([], ['x-0'])))
  const { shares } = group.round()
  t.ok(shares.get('a')?.revoked.tasks.has('x-0') && shares.get('b')?.revoked.tasks.has('x-0'))
  group.settle()
  t.equal(group.sizes().replace(/\d\+/g, ''), '1 1')
  t.end()
})

t.test('whatever comes and goes, everything settles on somebody, once, and in balance', (t) => {
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff
    return (seed >> 8) % below
  }
  const group = new Group(5_000)
  group.current.set('m0', noWork)
  for (let step = 0; step < 300; step++) {
    const what = random(4)
    const members = [...group.current.keys()]
    if (what === 0) group.current.set(`m${step}`, noWork)
    else if (what === 1 && members.length > 1)
      group.current.delete(members[random(members.length)]!)
    else {
      const made = Array.from({ length: random(5) }, (_, at) => connector(`c${at}`, random(6)))
      group.configured = union(noWork, ...made)
    }
    for (let rounds = random(3); rounds > 0; rounds--) group.round()
    if (step % 5 !== 0) continue
    group.settle()
    const all = union(...group.current.values())
    t.strictSame([...all.tasks].sort(), [...group.configured.tasks].sort())
    t.strictSame([...all.connectors].sort(), [...group.configured.connectors].sort())
    const sizes = Array.from(group.current.values(), ({ tasks }) => tasks.size)
    t.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, group.sizes())
  }
  t.end()
})

t.test('eager assignment is Kafka’s: one after another, connectors first', (t) => {
  const all = assignEagerly(union(connector('x', 2), connector('y', 1)), ['b', 'a'])
  t.strictSame(all.get('a'), work(['x'], ['x-0', 'y-0']))
  t.strictSame(all.get('b'), work(['y'], ['x-1']))
  t.end()
})

t.test('what members tell each other survives being bytes, in each protocol', (t) => {
  const assignment = {
    isFailed: false,
    leader: 'm-1',
    leaderUrl: 'http://a:8083/',
    configOffset: 12,
    assigned: work(['in'], ['in-0', 'a-b-11']),
    revoked: work([], ['in-1']),
    delayMs: 300,
  }
  const state = { url: 'http://a:8083/', configOffset: 12, assignment }
  for (const name of ['compatible', 'sessioned'] as const) {
    t.strictSame(decodeAssignment(encodeAssignment(name, assignment)), assignment)
    t.strictSame(decodeState(encodeState(name, state)), state)
  }
  const eager = { ...assignment, revoked: noWork, delayMs: 0 }
  t.strictSame(decodeAssignment(encodeAssignment('default', eager)), eager)
  t.strictSame(decodeState(encodeState('default', state)), { ...state, assignment: null })
  t.end()
})

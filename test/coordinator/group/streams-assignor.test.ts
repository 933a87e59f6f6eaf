/**
 * The sticky assignor of streams groups against what must hold of any assignment, in random histories of
 * groups whose members and subtopologies come and go; and topologies held against topics.
 */
import t, { type Test } from 'tap'
import { KafkaError } from '../../../protocol/errors.ts'
import { configuredTopology } from '../../../src/coordinator/group/streams/configured-topology.ts'
import { LeastFirst } from '../../../src/coordinator/group/streams/least-first.ts'
import {
  type AssignmentSpec,
  assignSticky,
  type SubtopologySpec,
} from '../../../src/coordinator/group/streams/sticky-assignor.ts'
import { noTasks, type Tasks } from '../../../src/coordinator/group/streams/tasks.ts'
import { Topology } from '../../../src/coordinator/group/streams/topology.ts'
import { randomFrom } from '../../protocol/generated-values.ts'
import { StoryTopics } from './story-topics.ts'
import { info, type SubtopologyValue, subtopology } from './streams-story.ts'

type Kind = 'active' | 'standby'

/** Process ids by member; what each was to have before. */
interface Group {
  readonly processes: Map<string, string>
  targets: Map<string, Tasks>
}

function assign(group: Group, subtopologies: readonly SubtopologySpec[], standbyReplicas: number) {
  const members = new Map(
    [...group.processes].map(([memberId, processId]) => {
      return [memberId, { processId, before: group.targets.get(memberId) ?? noTasks }] as const
    }),
  )
  const spec: AssignmentSpec = { members, subtopologies, standbyReplicas }
  group.targets = assignSticky(spec)
  return group.targets
}

function tasksOf(target: Tasks | undefined, kind: Kind): string[] {
  return [...(target?.[kind] ?? [])].flatMap(([id, partitions]) =>
    [...partitions].map((partition) => `${id}_${partition}`),
  )
}

function sizes(group: Group, kind: Kind): Map<string, number> {
  return new Map([...group.targets].map(([id, target]) => [id, tasksOf(target, kind).length]))
}

/** What must hold whatever was before, told by counting. */
function checkAssignment(
  t: Test,
  { processes, targets }: Group,
  subtopologies: readonly SubtopologySpec[],
  replicas: number,
): void {
  const processesOf = new Map<string, string[]>()
  const active: string[] = []
  const standbys = new Map<string, number>()
  for (const [memberId, target] of targets) {
    const mine = [...tasksOf(target, 'active'), ...tasksOf(target, 'standby')]
    for (const task of mine) {
      const known = processesOf.get(task) ?? []
      processesOf.set(task, [...known, processes.get(memberId) ?? ''])
    }
    active.push(...tasksOf(target, 'active'))
    for (const task of tasksOf(target, 'standby')) {
      standbys.set(task, (standbys.get(task) ?? 0) + 1)
    }
  }
  const all = subtopologies.flatMap(({ subtopologyId, taskCount, isStateful }) =>
    Array.from({ length: taskCount }, (_, at) => ({ task: `${subtopologyId}_${at}`, isStateful })),
  )
  t.same(active.sort(), all.map(({ task }) => task).sort(), 'each active task once')
  const copies = Math.min(replicas, new Set(processes.values()).size - 1)
  t.ok(
    all.every(({ task, isStateful }) => (standbys.get(task) ?? 0) === (isStateful ? copies : 0)),
    'as many standbys as there can be',
  )
  t.ok(
    [...processesOf.values()].every((names) => new Set(names).size === names.length),
    'a process has a task once',
  )
  t.ok(
    [...targets.values()].every((target) => target.warmup.size === 0),
    'nothing is warmed up',
  )
}

function groupOf(count: number, membersPerProcess = 1): Group {
  const memberIds = Array.from({ length: count }, (_, at) => `m${at}`)
  const processOf = (at: number) => `p${Math.floor(at / membersPerProcess)}`
  return {
    processes: new Map(memberIds.map((memberId, at) => [memberId, processOf(at)])),
    targets: new Map(),
  }
}

const subtopologySpec = (subtopologyId: string, taskCount: number, isStateful = false) => ({
  subtopologyId,
  taskCount,
  isStateful,
})

t.test('random histories keep to the rules', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomFrom(seed)
    const group: Group = { processes: new Map(), targets: new Map() }
    for (let step = 0; step < 12; step++) {
      const memberId = `m${random(8)}`
      if (group.processes.has(memberId)) group.processes.delete(memberId)
      else group.processes.set(memberId, `p${random(4)}`)
      if (group.processes.size === 0) continue
      const subtopologies = Array.from({ length: 1 + random(4) }, (_, at) =>
        subtopologySpec(`${at}`, random(9), random(2) === 0),
      )
      const replicas = random(3)
      assign(group, subtopologies, replicas)
      checkAssignment(t, group, subtopologies, replicas)
    }
  }
})

t.test('work is shared, and stays where it is', async (t) => {
  for (const [count, perProcess] of [
    [1, 1],
    [3, 1],
    [4, 2],
    [7, 1],
  ] as const) {
    const subtopologies = [subtopologySpec('a', 10), subtopologySpec('b', 7, true)]
    const group = groupOf(count, perProcess)
    assign(group, subtopologies, 0)
    const spread = () => {
      const counts = [...sizes(group, 'active').values()]
      return Math.max(...counts) - Math.min(...counts)
    }
    t.ok(spread() <= 1, `${count} members share fairly`)
    const before = group.targets
    t.same(assign(group, subtopologies, 0), before, 'nothing moves without a reason')
    group.processes.set('new', 'p-new')
    assign(group, subtopologies, 0)
    t.ok(spread() <= 1, 'who is new has a share')
    const moved = tasksOf(group.targets.get('new'), 'active').length
    const kept = [...before].flatMap(([memberId, target]) => {
      const now = new Set(tasksOf(group.targets.get(memberId), 'active'))
      return tasksOf(target, 'active').filter((task) => now.has(task))
    })
    t.equal(kept.length, 17 - moved, 'and nothing moved but to it')
    const [gone = ''] = group.processes.keys()
    const others = new Map([...group.targets].filter(([memberId]) => memberId !== gone))
    group.processes.delete(gone)
    assign(group, subtopologies, 0)
    t.ok(spread() <= 1, 'what is left behind is shared')
    for (const [memberId, target] of others) {
      const now = new Set(tasksOf(group.targets.get(memberId), 'active'))
      t.ok(
        tasksOf(target, 'active').every((task) => now.has(task)),
        'and the others keep theirs',
      )
    }
  }
})

t.test('a task goes where a standby of it is', async (t) => {
  const subtopologies = [subtopologySpec('s', 9, true)]
  const group = groupOf(3)
  assign(group, subtopologies, 1)
  const standbys = new Map(
    [...group.targets].flatMap(([memberId, target]) =>
      tasksOf(target, 'standby').map((task) => [task, memberId] as const),
    ),
  )
  const lost = tasksOf(group.targets.get('m1'), 'active')
  group.processes.delete('m1')
  assign(group, subtopologies, 1)
  const found = lost.filter((task) =>
    tasksOf(group.targets.get(standbys.get(task) ?? ''), 'active').includes(task),
  )
  const room = 2
  const hoped = ['m0', 'm2'].map((memberId) => {
    return Math.min(room, lost.filter((task) => standbys.get(task) === memberId).length)
  })
  t.equal(
    found.length,
    (hoped[0] ?? 0) + (hoped[1] ?? 0),
    'as far as nobody has more than its share',
  )
  checkAssignment(t, group, subtopologies, 1)
})

t.test('a fresh group comes out the same each time, as ranges', async (t) => {
  const group = groupOf(2)
  assign(group, [subtopologySpec('a', 4), subtopologySpec('b', 4)], 0)
  t.same(
    [...group.targets.values()].map((target) => tasksOf(target, 'active')),
    [
      ['a_0', 'a_2', 'b_0', 'b_2'],
      ['a_1', 'a_3', 'b_1', 'b_3'],
    ],
  )
})

t.test('the least comes first', async (t) => {
  const random = randomFrom(3)
  const weights = Array.from({ length: 300 }, () => random(40))
  const queue = new LeastFirst(
    (at) => weights[at] ?? 0,
    weights.map((_, at) => at),
  )
  const taken = weights.map(() => queue.take() ?? -1)
  const expected = weights.map((_, at) => at)
  expected.sort((a, b) => (weights[a] ?? 0) - (weights[b] ?? 0) || a - b)
  t.same(taken, expected, 'of equal ones the one that came first')
  t.equal(queue.take(), undefined)
})

function configure(topics: Record<string, number>, ...subtopologies: SubtopologyValue[]) {
  const known = new StoryTopics()
  for (const [name, count] of Object.entries(topics)) known.create(name, count)
  const configured = configuredTopology(new Topology({ epoch: 0, subtopologies }), known)
  const missing = configured.missingTopics.map(({ name, partitions }) => [name, partitions])
  const { hindrance, subtopologies: each } = configured
  return {
    hindrance: hindrance === null ? null : hindrance.statusDetail,
    code: hindrance?.statusCode,
    missing: Object.fromEntries(missing),
    tasks: Object.fromEntries([...(each ?? [])].map(([id, { taskCount }]) => [id, taskCount])),
  }
}

function throws(t: Test, message: RegExp, ...subtopologies: SubtopologyValue[]): void {
  try {
    configure({ in: 2 }, ...subtopologies)
    t.fail(`${message} expected`)
  } catch (failure) {
    if (!(failure instanceof KafkaError)) throw failure
    t.match(failure, { error: { name: 'STREAMS_INVALID_TOPOLOGY' }, message })
  }
}

const group = (sourceTopics: number[], repartitionSourceTopics: number[]) => ({
  sourceTopics,
  sourceTopicRegex: [],
  repartitionSourceTopics,
})

t.test('partitions of the topics that are made', async (t) => {
  const chain = [
    subtopology('2', { repartitionSourceTopics: [info('r2')], stateChangelogTopics: [info('c2')] }),
    subtopology('1', { repartitionSourceTopics: [info('r1')], repartitionSinkTopics: ['r2'] }),
    subtopology('0', { sourceTopics: ['in', 'wide'], repartitionSinkTopics: ['r1'] }),
  ]
  t.same(configure({ in: 2, wide: 5 }, ...chain), {
    hindrance: 'Internal topics are missing: c2, r1, r2',
    code: 3,
    missing: { c2: 5, r1: 5, r2: 5 },
    tasks: { 0: 5, 1: 5, 2: 5 },
  })
  t.match(configure({ in: 2, wide: 5, r1: 5, r2: 5, c2: 5 }, ...chain), { hindrance: null })
  t.match(configure({ in: 2, wide: 5, c2: 4 }, ...chain), {
    code: 2,
    hindrance: 'Existing topic c2 has different number of partitions: expected 5, found 4',
    tasks: {},
  })
  const many = subtopology('0', { sourceTopics: ['z', 'y', 'x', 'w', 'in'] })
  t.match(configure({ in: 1 }, many), {
    code: 1,
    hindrance: 'Source topics w, x, y and 1 additional topics are missing.',
  })
})

t.test('topics that are joined', async (t) => {
  const join = (parts: Partial<SubtopologyValue>) => [
    subtopology('0', { sourceTopics: ['in'], repartitionSinkTopics: ['r', 'q'] }),
    subtopology('1', parts),
  ]
  const outer = join({
    sourceTopics: ['wide'],
    repartitionSourceTopics: [info('r'), info('q')],
    copartitionGroups: [group([0], [0, 1])],
  })
  t.same(configure({ in: 2, wide: 6 }, ...outer).missing, { q: 6, r: 6 }, 'as those from outside')
  const unequal = subtopology('0', {
    sourceTopics: ['b', 'a'],
    copartitionGroups: [group([0, 1], [])],
  })
  t.match(configure({ a: 1, b: 2 }, unequal), {
    code: 2,
    hindrance: 'Following topics do not have the same number of partitions: [{a=1, b=2}]',
  })
  const fixed = join({
    sourceTopics: ['wide'],
    repartitionSourceTopics: [info('r', 3), info('q')],
    copartitionGroups: [group([0], [0, 1])],
  })
  t.match(configure({ in: 2, wide: 6 }, ...fixed), {
    code: 2,
    hindrance:
      "Number of partitions [3] of repartition topic [r] doesn't match " +
      'number of partitions [6] of the source topic.',
  })
  const inner = join({
    repartitionSourceTopics: [info('r', 3), info('q')],
    copartitionGroups: [group([], [0, 1])],
  })
  t.same(configure({ in: 2 }, ...inner).missing, { q: 3, r: 3 }, 'as the one that was asked for')
  const clash = join({
    repartitionSourceTopics: [info('r', 3), info('q', 4)],
    copartitionGroups: [group([], [0, 1])],
  })
  t.match(configure({ in: 2 }, ...clash), { code: 2, hindrance: /\[{q=4, r=3}\]/ })
})

t.test('topologies that make no sense', async (t) => {
  throws(t, /never used as a sink/, subtopology('0', { repartitionSourceTopics: [info('r')] }))
  throws(
    t,
    /loops/,
    subtopology('0', { repartitionSourceTopics: [info('a')], repartitionSinkTopics: ['b'] }),
    subtopology('1', { repartitionSourceTopics: [info('b')], repartitionSinkTopics: ['a'] }),
  )
  throws(t, /No source topics found for subtopology 0/, subtopology('0'))
  throws(
    t,
    /200000 are served/,
    subtopology('0', { repartitionSourceTopics: [info('r', 200_001)] }),
  )
})

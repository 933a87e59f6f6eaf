/**
 * Which member runs which task. Tasks stay where they are, as long as nobody has more than its share of
 * them; else they go where a standby has their state, or to whoever has least to do. Standbys go to other
 * processes than their task, which is what they are there for: where the task or a standby of it was
 * before, else to whoever has least to do.
 *
 * A member's load is its count of tasks, a process's is that of a member of it on average. Tasks that have
 * no place yet are given out one subtopology after the other, so that a fresh group comes out as ranges.
 */
import type { Assignment } from '../modern/assignment.ts'
import { LeastFirst } from './least-first.ts'
import { noTasks, type Tasks } from './tasks.ts'

export interface MemberSpec {
  readonly processId: string
  /** What it was to have before. */
  readonly before: Pick<Tasks, 'active' | 'standby'>
}

export interface SubtopologySpec {
  readonly subtopologyId: string
  readonly taskCount: number
  readonly isStateful: boolean
}

export interface AssignmentSpec {
  readonly members: ReadonlyMap<string, MemberSpec>
  readonly subtopologies: readonly SubtopologySpec[]
  /** How many there shall be of each stateful task, if there are processes enough. */
  readonly standbyReplicas: number
}

interface Task {
  readonly subtopologyId: string
  readonly partition: number
}

/** What each member shall have; all are there. */
export function assignSticky(spec: AssignmentSpec): Map<string, Tasks> {
  const { members, subtopologies, standbyReplicas } = spec
  if (members.size === 0) return new Map()
  const team = new Team(members)
  const tasks = subtopologies.flatMap(tasksOf)
  const copied = subtopologies.filter(({ isStateful }) => isStateful).flatMap(tasksOf)
  const all = new Share(tasks.length + copied.length * standbyReplicas, members.size)
  assignActive(team, tasks, all)
  if (standbyReplicas > 0) assignStandbys(team, copied, standbyReplicas, all)
  return new Map([...team.workers].map(([memberId, worker]) => [memberId, worker.tasks()]))
}

function tasksOf({ subtopologyId, taskCount }: SubtopologySpec): Task[] {
  return Array.from({ length: taskCount }, (_, partition) => ({ subtopologyId, partition }))
}

function assignActive(team: Team, tasks: readonly Task[], all: Share): void {
  const share = new Share(tasks.length, team.workers.size)
  const give = (worker: Worker, task: Task) => {
    worker.add('active', task)
    share.note(worker.count)
    all.note(worker.count)
  }
  const moving = [...tasks].sort(byPartition).filter((task) => {
    const worker = team.activeBefore(task)
    if (worker === undefined || worker.count >= share.size) return true
    give(worker, task)
    return false
  })
  const homeless = moving.filter((task) => {
    const worker = leastLoaded(team.standbysBefore(task))
    if (worker === undefined || worker.count >= share.size) return true
    give(worker, task)
    return false
  })
  const processes = team.byLoad()
  for (const task of homeless.sort(bySubtopology)) {
    const process = processes.take()
    if (process === undefined) return
    const worker = process.takeIdlest()
    give(worker, task)
    process.putBack(worker)
    processes.put(process)
  }
}

function assignStandbys(team: Team, tasks: readonly Task[], replicas: number, all: Share): void {
  const give = (worker: Worker, task: Task) => {
    worker.add('standby', task)
    all.note(worker.count)
  }
  const open: { readonly task: Task; readonly missing: number }[] = []
  for (const task of [...tasks].sort(byPartition).reverse()) {
    let missing = replicas
    const known = [team.activeBefore(task), ...team.standbysBefore(task)]
    while (missing > 0) {
      const free = known.filter((worker) => worker !== undefined && !worker.process.has(task))
      const [first] = free
      const worker = first === known[0] ? first : leastLoaded(free as Worker[])
      if (worker === undefined || worker.count >= all.size) break
      give(worker, task)
      missing--
    }
    if (missing > 0) open.push({ task, missing })
  }
  const processes = team.byLoad()
  open.sort((a, b) => bySubtopology(b.task, a.task))
  for (const { task, missing } of open) {
    for (let index = 0; index < missing; index++) {
      if (!assignToIdlest(processes, task, give)) break
    }
  }
}

/** False where every process has the task already: there is nobody who could have one more standby. */
function assignToIdlest(
  processes: LeastFirst<Process>,
  task: Task,
  give: (worker: Worker, task: Task) => void,
): boolean {
  const passed: Process[] = []
  let process = processes.take()
  while (process?.has(task)) {
    passed.push(process)
    process = processes.take()
  }
  if (process !== undefined) {
    const worker = process.takeIdlest()
    give(worker, task)
    process.putBack(worker)
    processes.put(process)
  }
  for (const each of passed) processes.put(each)
  return process !== undefined
}

/** How many tasks a member may take: its share of what those who have had theirs leave over. */
class Share {
  #tasks: number
  #members: number
  #size = 0

  constructor(tasks: number, members: number) {
    this.#tasks = tasks
    this.#members = members
    this.#split()
  }

  get size(): number {
    return this.#size
  }

  /** A member has so many tasks now. */
  note(count: number): void {
    if (count !== this.#size) return
    this.#members--
    this.#tasks -= count
    this.#split()
  }

  #split(): void {
    this.#size = this.#members > 0 ? Math.ceil(this.#tasks / this.#members) : 0
  }
}

/** The members at work, by process, and where tasks were before. */
class Team {
  readonly workers = new Map<string, Worker>()
  readonly #processes = new Map<string, Process>()
  readonly #active = new TaskMap<Worker>()
  readonly #standbys = new TaskMap<Worker[]>()

  constructor(members: ReadonlyMap<string, MemberSpec>) {
    for (const [memberId, { processId, before }] of members) {
      const process = this.#processes.get(processId) ?? new Process()
      this.#processes.set(processId, process)
      const worker = process.hire()
      this.workers.set(memberId, worker)
      for (const task of tasksIn(before.active)) this.#active.set(task, worker)
      for (const task of tasksIn(before.standby)) {
        const known = this.#standbys.get(task)
        if (known === undefined) this.#standbys.set(task, [worker])
        else known.push(worker)
      }
    }
  }

  activeBefore(task: Task): Worker | undefined {
    return this.#active.get(task)
  }

  standbysBefore(task: Task): readonly Worker[] {
    return this.#standbys.get(task) ?? []
  }

  /** From here on, the load of a process changes only while it is taken out. */
  byLoad(): LeastFirst<Process> {
    for (const process of this.#processes.values()) process.sort()
    return new LeastFirst((process) => process.load, this.#processes.values())
  }
}

class Process {
  readonly #workers: Worker[] = []
  readonly #tasks = new TaskMap<true>()
  #idlestFirst = new LeastFirst<Worker>(() => 0, [])
  #count = 0

  get load(): number {
    return this.#count / this.#workers.length
  }

  hire(): Worker {
    const worker = new Worker(this)
    this.#workers.push(worker)
    return worker
  }

  has(task: Task): boolean {
    return this.#tasks.get(task) === true
  }

  note(task: Task): void {
    this.#tasks.set(task, true)
    this.#count++
  }

  sort(): void {
    this.#idlestFirst = new LeastFirst((worker) => worker.count, this.#workers)
  }

  takeIdlest(): Worker {
    const worker = this.#idlestFirst.take()
    if (worker === undefined) throw new Error('a process has a member')
    return worker
  }

  putBack(worker: Worker): void {
    this.#idlestFirst.put(worker)
  }
}

/** A member. */
class Worker {
  readonly process: Process
  readonly #tasks = {
    active: new Map<string, Set<number>>(),
    standby: new Map<string, Set<number>>(),
  }
  count = 0

  constructor(process: Process) {
    this.process = process
  }

  add(kind: 'active' | 'standby', task: Task): void {
    const { subtopologyId, partition } = task
    const ofSubtopology = this.#tasks[kind].get(subtopologyId)
    if (ofSubtopology === undefined) this.#tasks[kind].set(subtopologyId, new Set([partition]))
    else ofSubtopology.add(partition)
    this.count++
    this.process.note(task)
  }

  tasks(): Tasks {
    return { ...noTasks, ...this.#tasks }
  }
}

class TaskMap<V> {
  readonly #values = new Map<string, Map<number, V>>()

  get({ subtopologyId, partition }: Task): V | undefined {
    return this.#values.get(subtopologyId)?.get(partition)
  }

  set({ subtopologyId, partition }: Task, value: V): void {
    const ofSubtopology = this.#values.get(subtopologyId)
    if (ofSubtopology === undefined) this.#values.set(subtopologyId, new Map([[partition, value]]))
    else ofSubtopology.set(partition, value)
  }
}

function* tasksIn(assignment: Assignment): Generator<Task, void, void> {
  for (const [subtopologyId, partitions] of assignment) {
    for (const partition of partitions) yield { subtopologyId, partition }
  }
}

/** By process first: that its members share the work is a smaller matter. */
function leastLoaded(workers: readonly Worker[]): Worker | undefined {
  let [least] = workers
  for (const worker of workers) {
    if (least === undefined || isLess(worker, least)) least = worker
  }
  return least
}

function isLess(a: Worker, b: Worker): boolean {
  if (a.process.load !== b.process.load) return a.process.load < b.process.load
  return a.count < b.count
}

function byPartition(a: Task, b: Task): number {
  return a.partition - b.partition || compareIds(a, b)
}

function bySubtopology(a: Task, b: Task): number {
  return compareIds(a, b) || a.partition - b.partition
}

function compareIds(a: Task, b: Task): number {
  return a.subtopologyId < b.subtopologyId ? -1 : a.subtopologyId > b.subtopologyId ? 1 : 0
}

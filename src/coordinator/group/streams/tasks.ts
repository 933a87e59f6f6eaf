/**
 * A task is a subtopology with one partition of it. What a member has of tasks, or shall have, by what it
 * does with them: active ones process records, standbys keep a copy of their state, warm-ups are on the
 * way to one. Of each kind they are an assignment as other groups have it, with subtopologies for topics.
 */
import {
  type Assignment,
  assignmentFrom,
  noPartitions,
  type OwnedPartitions,
  overlaps,
  ownedFrom,
  ownedSince,
  ownedTopicPartitionsOf,
  sameAssignment,
  sameOwned,
  topicPartitionsOf,
} from '../modern/assignment.ts'

export const taskKinds = ['active', 'standby', 'warmup'] as const
export type TaskKind = (typeof taskKinds)[number]

/** What a member shall have. */
export type Tasks = Readonly<Record<TaskKind, Assignment>>

/**
 * What a member has. Active tasks have the epoch in which they were given out: in an older one nothing may
 * be committed for them. The others have none, which is 0 here.
 */
export type OwnedTasks = Readonly<Record<TaskKind, OwnedPartitions>>

/** Tasks of one subtopology, as requests, answers and records have them. */
export interface TaskIds {
  readonly subtopologyId: string
  readonly partitions: readonly number[]
}

export const noTasks: Readonly<Record<TaskKind, ReadonlyMap<string, never>>> = {
  active: noPartitions,
  standby: noPartitions,
  warmup: noPartitions,
}

/** For each kind what `make` makes of it. */
export function byKind<T>(make: (kind: TaskKind) => T): Record<TaskKind, T> {
  return { active: make('active'), standby: make('standby'), warmup: make('warmup') }
}

/** In the order of the subtopologies' ids, so that the same tasks are always the same bytes. */
export function taskIdsOf(
  assignment: Assignment | OwnedPartitions,
): { subtopologyId: string; partitions: number[] }[] {
  return topicPartitionsOf(assignment)
    .map(({ topicId: subtopologyId, partitions }) => ({ subtopologyId, partitions }))
    .sort(bySubtopology)
}

/** As `taskIdsOf`, with the epochs of active tasks. */
export function ownedTaskIdsOf(kind: TaskKind, owned: OwnedPartitions) {
  return ownedTopicPartitionsOf(owned)
    .map(({ topicId: subtopologyId, partitions, assignmentEpochs }) => ({
      subtopologyId,
      partitions,
      assignmentEpochs: kind === 'active' ? assignmentEpochs : [],
    }))
    .sort(bySubtopology)
}

function bySubtopology(a: TaskIds, b: TaskIds): number {
  return a.subtopologyId < b.subtopologyId ? -1 : 1
}

export function tasksFrom(ids: readonly TaskIds[]): Assignment {
  return assignmentFrom(ids.map(asTopic))
}

interface OwnedTaskIds extends TaskIds {
  readonly assignmentEpochs: readonly number[] | null
}

/** Records of before Kafka 4.2 have no epochs: `defaultEpoch` counts then. */
export function ownedTasksFrom(
  kind: TaskKind,
  ids: readonly OwnedTaskIds[],
  defaultEpoch: number,
): OwnedPartitions {
  if (kind !== 'active') return ownedSince(tasksFrom(ids), 0)
  return ownedFrom(
    ids.map((each) => ({ ...asTopic(each), assignmentEpochs: each.assignmentEpochs })),
    defaultEpoch,
  )
}

function asTopic({ subtopologyId, partitions }: TaskIds) {
  return { topicId: subtopologyId, partitions }
}

/** Whether any of the tasks is in `owned`. */
export function anyOwned(ids: readonly TaskIds[], owned: OwnedPartitions): boolean {
  return overlaps(ids.map(asTopic), owned)
}

export function sameTasks(a: Tasks, b: Tasks): boolean {
  return taskKinds.every((kind) => sameAssignment(a[kind], b[kind]))
}

export function sameOwnedTasks(a: OwnedTasks, b: OwnedTasks): boolean {
  return taskKinds.every((kind) => sameOwned(a[kind], b[kind]))
}

export function taskCount(owned: OwnedTasks): number {
  let count = 0
  for (const kind of taskKinds) {
    for (const partitions of owned[kind].values()) count += partitions.size
  }
  return count
}

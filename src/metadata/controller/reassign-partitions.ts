/**
 * AlterPartitionReassignments and ListPartitionReassignments (KIP-455). While replicas are added and removed
 * a partition has both, the wanted ones first; it is done when all that are added are in sync, which may be
 * at once: where nothing is added. Cancelled, it is as before.
 */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
} from '../../../protocol/messages/alter-partition-reassignments.ts'
import type {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
} from '../../../protocol/messages/list-partition-reassignments.ts'
import { mapInSteps, mapSteps, type Steps } from '../../environment/in-turns.ts'
import {
  isActive,
  type MetadataImage,
  noLeader,
  type PartitionImage,
  type TopicImage,
} from '../image.ts'
import { type PartitionChange, partitionChangeRecordOf } from '../partition-record.ts'
import type { MetadataRecord } from '../record.ts'
import {
  type Decision,
  type Outcome,
  outcomeOf,
  recordsPerRequestMax,
  succeeded,
  tooLarge,
} from './decision.ts'
import { checkManualAssignment } from './placement.ts'

type Result = AlterPartitionReassignmentsResponse['responses'][number]
type Reassigned = AlterPartitionReassignmentsRequest['topics'][number]['partitions'][number]
type Listed = ListPartitionReassignmentsResponse['topics'][number]

/** Where a partition has its replicas and who of them has what, as far as a reassignment changes it. */
type Assignment = Pick<PartitionImage, 'replicas' | 'isr' | 'addingReplicas' | 'removingReplicas'>

/** Results in the order of the request. Throws KafkaError POLICY_VIOLATION for too large a request. */
export function* alterPartitionReassignments(
  image: MetadataImage,
  request: Pick<AlterPartitionReassignmentsRequest, 'topics' | 'allowReplicationFactorChange'>,
): Steps<Decision<Result[]>> {
  const records: MetadataRecord[] = []
  const alter = (name: string, wanted: Reassigned): Outcome => {
    const topic = image.topics.byName.get(name)
    const partition = topic?.partitions[wanted.partitionIndex]
    if (topic === undefined) throw unknown(`a topic named ${name}.`)
    if (partition === undefined) throw unknown(`partition ${name}:${wanted.partitionIndex}.`)
    const after =
      wanted.replicas === null
        ? cancelled(topic, partition)
        : begun(image, partition, wanted.replicas, request.allowReplicationFactorChange)
    const change = changeTo(image, partition, after)
    if (change !== undefined) {
      records.push(partitionChangeRecordOf(image, topic.id, partition.index, change))
    }
    if (records.length > recordsPerRequestMax) throw tooLarge()
    return succeeded
  }
  const answer = (name: string, wanted: Reassigned) => {
    const { error, message } = outcomeFor(() => alter(name, wanted))
    return { partitionIndex: wanted.partitionIndex, errorCode: error.code, errorMessage: message }
  }
  const reply = yield* mapSteps(request.topics, function* ({ name, partitions }) {
    return { name, partitions: yield* mapInSteps(partitions, (wanted) => answer(name, wanted)) }
  })
  return { records, reply }
}

function outcomeFor(alter: () => Outcome): Outcome {
  try {
    return alter()
  } catch (error) {
    if (!(error instanceof KafkaError) || error.error === errors.POLICY_VIOLATION) throw error
    return outcomeOf(error)
  }
}

function unknown(what: string): KafkaError {
  return new KafkaError(errors.UNKNOWN_TOPIC_OR_PARTITION, `Unable to find ${what}`)
}

const isOngoing = ({ addingReplicas, removingReplicas }: Assignment): boolean =>
  addingReplicas.length + removingReplicas.length > 0

function begun(
  image: MetadataImage,
  partition: PartitionImage,
  wanted: readonly number[],
  mayChangeFactor: boolean,
): Assignment {
  checkManualAssignment(image, wanted, undefined)
  const { replicas, isr, removingReplicas } = partition
  const factor = replicas.filter((id) => !removingReplicas.includes(id)).length
  if (!mayChangeFactor && wanted.length !== factor) {
    const message = `The replication factor is changed from ${factor} to ${wanted.length}`
    throw new KafkaError(errors.INVALID_REPLICATION_FACTOR, message)
  }
  const removing = ascending(replicas.filter((id) => !wanted.includes(id)))
  const adding = ascending(wanted.filter((id) => !replicas.includes(id)))
  return completed({
    replicas: [...wanted, ...removing],
    isr,
    addingReplicas: adding,
    removingReplicas: removing,
  })
}

const ascending = (ids: readonly number[]): number[] => [...ids].sort((a, b) => a - b)

/** Without what is removed, if what is added has got in sync; else as it is. */
function completed(assignment: Assignment): Assignment {
  const { addingReplicas: adding, removingReplicas: removing } = assignment
  const replicas = assignment.replicas.filter((id) => !removing.includes(id))
  const isr = assignment.isr.filter((id) => !removing.includes(id))
  if (isr.length === 0 || !adding.every((id) => isr.includes(id))) return assignment
  if (adding.length < removing.length && !replicas.every((id) => isr.includes(id))) {
    return assignment
  }
  return { replicas, isr, addingReplicas: [], removingReplicas: [] }
}

function cancelled({ name }: TopicImage, partition: PartitionImage): Assignment {
  if (!isOngoing(partition)) throw new KafkaError(errors.NO_REASSIGNMENT_IN_PROGRESS)
  const isBack = (id: number): boolean => !partition.addingReplicas.includes(id)
  const isr = partition.isr.filter(isBack)
  const replicas = partition.replicas.filter(isBack)
  if (isr.length === 0) {
    throw new KafkaError(
      errors.INVALID_REPLICA_ASSIGNMENT,
      `Unable to revert partition assignment for ${name}:${partition.index} because it would ` +
        'require an unclean leader election.',
    )
  }
  return { replicas, isr, addingReplicas: [], removingReplicas: [] }
}

/** What is different afterwards; undefined: nothing is. */
function changeTo(
  image: MetadataImage,
  before: PartitionImage,
  after: Assignment,
): PartitionChange | undefined {
  const change: { -readonly [K in keyof PartitionChange]: PartitionChange[K] } = {}
  if (!isSame(after.replicas, before.replicas)) change.replicas = after.replicas
  if (!isSame(after.isr, before.isr)) change.isr = after.isr
  if (!isSame(after.addingReplicas, before.addingReplicas)) {
    change.addingReplicas = after.addingReplicas
  }
  if (!isSame(after.removingReplicas, before.removingReplicas)) {
    change.removingReplicas = after.removingReplicas
  }
  if (Object.keys(change).length === 0) return undefined
  if (!after.isr.includes(before.leader)) {
    const mayLead = (id: number): boolean => after.isr.includes(id) && isActive(image, id)
    change.leader = after.replicas.find(mayLead) ?? noLeader
  }
  return change
}

function isSame(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((id, index) => id === right[index])
}

/** The partitions that are being reassigned, of those that are named, or of all. */
export function ongoingReassignments(
  image: MetadataImage,
  asked: ListPartitionReassignmentsRequest['topics'],
): Listed[] {
  const wanted = new Map<string, Set<number> | null>()
  for (const name of asked === null ? image.topics.byName.keys() : []) wanted.set(name, null)
  for (const { name, partitionIndexes } of asked ?? []) {
    wanted.set(name, new Set([...(wanted.get(name) ?? []), ...partitionIndexes]))
  }
  const listed: Listed[] = []
  for (const [name, indexes] of wanted) {
    const ongoing = (image.topics.byName.get(name)?.partitions ?? []).filter(
      (partition) => isOngoing(partition) && indexes?.has(partition.index) !== false,
    )
    if (ongoing.length === 0) continue
    const partitions = ongoing.map((partition) => ({
      partitionIndex: partition.index,
      replicas: partition.replicas,
      addingReplicas: partition.addingReplicas,
      removingReplicas: partition.removingReplicas,
    }))
    listed.push({ name, partitions })
  }
  return listed
}

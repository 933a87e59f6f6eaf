/** CreatePartitions: topics grow, never shrink. */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from '../../../protocol/messages/create-partitions.ts'
import { mapInSteps, type Steps } from '../../environment/in-turns.ts'
import type { MetadataImage, PartitionImage, TopicImage } from '../image.ts'
import type { MetadataRecord } from '../record.ts'
import { allFenced, placeNew } from './create-topics.ts'
import {
  type CountMutations,
  type Decision,
  failed,
  outcomeOf,
  recordsPerRequestMax,
  succeeded,
  tooLarge,
} from './decision.ts'
import { checkManualAssignment, DirectoryChoice, newPartition } from './placement.ts'
import { partitionRecord } from './topic-records.ts'

type GrowingTopic = CreatePartitionsRequest['topics'][number]
type Result = CreatePartitionsResponse['results'][number]

export function* createPartitions(
  image: MetadataImage,
  request: Pick<CreatePartitionsRequest, 'topics' | 'validateOnly'>,
  random: () => number,
  countMutations: CountMutations,
): Steps<Decision<Result[]>> {
  const records: MetadataRecord[] = []
  const results: Result[] = []
  const counts = new Map<string, number>()
  const directories = new DirectoryChoice(image)
  yield* mapInSteps(request.topics, ({ name }) => counts.set(name, (counts.get(name) ?? 0) + 1))
  const answer = (name: string, { error, message } = succeeded) => {
    results.push({ name, errorCode: error.code, errorMessage: message })
  }
  for (const [name, count] of counts) {
    if (count > 1) answer(name, failed(errors.INVALID_REQUEST, 'Duplicate topic name.'))
  }
  for (const topic of request.topics) {
    if (counts.get(topic.name) !== 1) continue
    yield
    try {
      const room = recordsPerRequestMax - records.length
      const growing = { room, random: random(), directories, countMutations }
      const added = yield* grow(image, topic, growing)
      for (const one of added) records.push(one)
      if (records.length > recordsPerRequestMax) throw tooLarge()
      answer(topic.name)
    } catch (error) {
      if (!(error instanceof KafkaError) || error.error === errors.POLICY_VIOLATION) throw error
      answer(topic.name, outcomeOf(error))
    }
  }
  return { records: request.validateOnly ? [] : records, reply: results }
}

interface Growing {
  /** Records that the request may still lead to. */
  readonly room: number
  readonly random: number
  readonly directories: DirectoryChoice
  readonly countMutations: CountMutations
}

function* grow(
  image: MetadataImage,
  growing: GrowingTopic,
  { room, random, directories, countMutations }: Growing,
): Steps<MetadataRecord[]> {
  const topic = image.topics.byName.get(growing.name)
  if (topic === undefined) throw new KafkaError(errors.UNKNOWN_TOPIC_OR_PARTITION)
  const existing = topic.partitions.length
  const { name, count, assignments } = growing
  if (count === existing) {
    throw new KafkaError(errors.INVALID_PARTITIONS, `Topic already has ${existing} partition(s).`)
  }
  if (count < existing) {
    throw new KafkaError(
      errors.INVALID_PARTITIONS,
      `The topic ${name} currently has ${existing} partition(s); ${count} would not be an increase.`,
    )
  }
  const added = count - existing
  if (assignments !== null && assignments.length !== added) {
    throw new KafkaError(
      errors.INVALID_REPLICA_ASSIGNMENT,
      `Attempted to add ${added} additional partition(s), but only ${assignments.length} ` +
        'assignment(s) were specified.',
    )
  }
  if (added > recordsPerRequestMax) throw tooLarge()
  countMutations(added)
  const replicationFactor = topic.partitions[0]?.replicas.length ?? 1
  const growth = { firstIndex: existing, partitions: added, room }
  const partitions =
    assignments === null
      ? yield* placeNew(image, growth, { replicationFactor, random, directories })
      : growByHand(image, topic, assignments, directories)
  return yield* mapInSteps(partitions, (one) => partitionRecord(image, topic.id, one))
}

function growByHand(
  image: MetadataImage,
  topic: TopicImage,
  assignments: NonNullable<GrowingTopic['assignments']>,
  directories: DirectoryChoice,
): PartitionImage[] {
  const replicationFactor = topic.partitions[0]?.replicas.length ?? 1
  return assignments.map(({ brokerIds }, at) => {
    const index = topic.partitions.length + at
    checkManualAssignment(image, brokerIds, replicationFactor)
    const partition = newPartition(image, index, brokerIds, directories)
    if (partition === undefined) {
      throw new KafkaError(errors.INVALID_REPLICA_ASSIGNMENT, allFenced(index))
    }
    return partition
  })
}

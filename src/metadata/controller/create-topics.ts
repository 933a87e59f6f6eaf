/** CreateTopics: names, settings and replicas of each topic are checked, then all are created at once. */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../../protocol/messages/create-topics.ts'
import { type Uuid, zeroUuid } from '../../../protocol/types.ts'
import type { BrokerConfig } from '../../config/broker-config.ts'
import { toldTopicConfigs, topicSynonyms } from '../../config/topic-configs.ts'
import { mapInSteps, type Steps } from '../../environment/in-turns.ts'
import type { MetadataImage, PartitionImage } from '../image.ts'
import { type MetadataRecord, record } from '../record.ts'
import { checkTopicConfig } from './config-rules.ts'
import {
  type CountMutations,
  type Decision,
  failed,
  NoRoom,
  type Outcome,
  outcomeOf,
  recordsPerRequestMax,
  tooLarge,
} from './decision.ts'
import {
  checkManualAssignment,
  DirectoryChoice,
  newPartition,
  type Placement,
  placeReplicas,
} from './placement.ts'
import { clusterMetadataTopic, collidingTopic, invalidTopicName } from './topic-names.ts'
import { partitionRecord, topicConfigRecord } from './topic-records.ts'

type CreatableTopic = CreateTopicsRequest['topics'][number]
type Result = CreateTopicsResponse['topics'][number]

export interface TopicCreation {
  readonly config: BrokerConfig
  /** In [0, 1). */
  readonly random: () => number
  readonly newUuid: () => Uuid
  readonly countMutations: CountMutations
}

/** Of one request. */
interface PlacedCreation extends TopicCreation {
  readonly directories: DirectoryChoice
}

/** Results in the order of the request; names given twice and the metadata topic follow. */
export function* createTopics(
  image: MetadataImage,
  request: Pick<CreateTopicsRequest, 'topics' | 'validateOnly'>,
  creation: TopicCreation,
): Steps<Decision<Result[]>> {
  const records: MetadataRecord[] = []
  const results: Result[] = []
  const counts = new Map<string, number>()
  const placed = { ...creation, directories: new DirectoryChoice(image) }
  yield* mapInSteps(request.topics, ({ name }) => counts.set(name, (counts.get(name) ?? 0) + 1))
  for (const topic of request.topics) {
    if (counts.get(topic.name) !== 1 || topic.name === clusterMetadataTopic) continue
    const room = recordsPerRequestMax - records.length
    const created = yield* createTopic(image, topic, placed, room)
    results.push(created.reply)
    yield
    for (const one of created.records) records.push(one)
    // Now, not at the end: what is too much is never all built.
    if (records.length > recordsPerRequestMax) throw tooLarge()
  }
  for (const [name, count] of counts) {
    if (count > 1) {
      results.push(refused(name, failed(errors.INVALID_REQUEST, 'Duplicate topic name.')))
    } else if (name === clusterMetadataTopic) {
      const message = `Creation of internal topic ${clusterMetadataTopic} is prohibited.`
      results.push(refused(name, failed(errors.INVALID_REQUEST, message)))
    }
  }
  return { records: request.validateOnly ? [] : records, reply: results }
}

/** Throws NoRoom where its partitions are more than `room`. */
function* createTopic(
  image: MetadataImage,
  topic: CreatableTopic,
  creation: PlacedCreation,
  room: number,
): Steps<Decision<Result>> {
  const refusal = refuseName(image, topic.name)
  if (refusal !== undefined) return { records: [], reply: refused(topic.name, refusal) }
  try {
    const overrides = readOverrides(topic)
    checkTopicConfig(topic.name, overrides, creation.config)
    const partitions = yield* layOut(image, topic, creation, room)
    creation.countMutations(partitions.length)
    const topicId = creation.newUuid()
    const ofPartition = (one: PartitionImage) => partitionRecord(image, topicId, one)
    const records = [
      record('TopicRecord', { name: topic.name, topicId }),
      ...[...overrides].map(([name, value]) => topicConfigRecord(topic.name, name, value)),
      ...(yield* mapInSteps(partitions, ofPartition)),
    ]
    return { records, reply: created(topic.name, topicId, partitions, overrides, creation.config) }
  } catch (error) {
    if (!(error instanceof KafkaError) || error instanceof NoRoom) throw error
    return { records: [], reply: refused(topic.name, outcomeOf(error)) }
  }
}

function refuseName(image: MetadataImage, name: string): Outcome | undefined {
  if (image.topics.byName.has(name)) {
    return failed(errors.TOPIC_ALREADY_EXISTS, `Topic '${name}' already exists.`)
  }
  const reason = invalidTopicName(name)
  if (reason !== undefined) return failed(errors.INVALID_TOPIC_EXCEPTION, reason)
  const other = collidingTopic(name, image.topics)
  if (other === undefined) return undefined
  const message = `Topic '${name}' collides with existing topic: ${other}`
  return failed(errors.INVALID_TOPIC_EXCEPTION, message)
}

function readOverrides(topic: CreatableTopic): ReadonlyMap<string, string> {
  const overrides = new Map<string, string>()
  const withoutValue: string[] = []
  for (const { name, value } of topic.configs) {
    if (value === null) withoutValue.push(name)
    else overrides.set(name, value)
  }
  if (withoutValue.length > 0) {
    throw new KafkaError(
      errors.INVALID_CONFIG,
      `Null value not supported for topic configs: ${withoutValue.join(',')}`,
    )
  }
  return overrides
}

function* layOut(
  image: MetadataImage,
  topic: CreatableTopic,
  creation: PlacedCreation,
  room: number,
): Steps<PartitionImage[]> {
  const { config, directories } = creation
  if (topic.assignments.length > 0) return layOutByHand(image, topic, directories)
  const { numPartitions, replicationFactor } = topic
  if (replicationFactor < -1 || replicationFactor === 0) {
    throw new KafkaError(
      errors.INVALID_REPLICATION_FACTOR,
      'Replication factor must be larger than 0, or -1 to use the default value.',
    )
  }
  if (numPartitions < -1 || numPartitions === 0) {
    throw new KafkaError(
      errors.INVALID_PARTITIONS,
      'Number of partitions was set to an invalid non-positive value.',
    )
  }
  const partitions = numPartitions === -1 ? config.get('num.partitions') : numPartitions
  const replicas =
    replicationFactor === -1 ? config.get('default.replication.factor') : replicationFactor
  if (partitions > recordsPerRequestMax) throw tooLarge()
  const placement = { replicationFactor: replicas, random: creation.random(), directories }
  return yield* placeNew(image, { firstIndex: 0, partitions, room }, placement)
}

/** How many partitions a topic gets, from which index on, and how many at most the request may still make. */
interface Growth {
  readonly firstIndex: number
  readonly partitions: number
  readonly room: number
}

/** New partitions on the active brokers. Throws INVALID_REPLICATION_FACTOR, and NoRoom. */
export function* placeNew(
  image: MetadataImage,
  { firstIndex, partitions, room }: Growth,
  placement: Placement,
): Steps<PartitionImage[]> {
  const unable = (why: string) =>
    new KafkaError(
      errors.INVALID_REPLICATION_FACTOR,
      `Unable to replicate the partition ${placement.replicationFactor} time(s): ${why}`,
    )
  const { directories } = placement
  let replicasOf: (partition: number) => number[]
  try {
    replicasOf = placeReplicas(image, placement)
  } catch (error) {
    throw error instanceof KafkaError ? unable(error.message) : error
  }
  if (partitions > room) throw new NoRoom()
  return yield* mapInSteps(numbersBelow(partitions), (number) => {
    const partition = newPartition(image, firstIndex + number, replicasOf(number), directories)
    if (partition === undefined) {
      throw unable('All brokers are currently fenced or in controlled shutdown.')
    }
    return partition
  })
}

function* numbersBelow(count: number): Generator<number, void> {
  for (let number = 0; number < count; number++) yield number
}

function layOutByHand(
  image: MetadataImage,
  topic: CreatableTopic,
  directories: DirectoryChoice,
): PartitionImage[] {
  const manual = 'A manual partition assignment was specified, but '
  if (topic.replicationFactor !== -1) {
    throw new KafkaError(errors.INVALID_REQUEST, `${manual}replication factor was not set to -1.`)
  }
  if (topic.numPartitions !== -1) {
    throw new KafkaError(errors.INVALID_REQUEST, `${manual}numPartitions was not set to -1.`)
  }
  const invalid = (message: string) => new KafkaError(errors.INVALID_REPLICA_ASSIGNMENT, message)
  const partitions = new Map<number, PartitionImage>()
  let replicationFactor: number | undefined
  for (const { partitionIndex, brokerIds } of topic.assignments) {
    if (partitions.has(partitionIndex)) {
      throw invalid(`Found multiple manual partition assignments for partition ${partitionIndex}`)
    }
    checkManualAssignment(image, brokerIds, replicationFactor)
    replicationFactor = brokerIds.length
    const partition = newPartition(image, partitionIndex, brokerIds, directories)
    if (partition === undefined) throw invalid(allFenced(partitionIndex))
    partitions.set(partitionIndex, partition)
  }
  return Array.from({ length: partitions.size }, (_, index) => {
    const partition = partitions.get(index)
    if (partition === undefined) {
      throw invalid('partitions should be a consecutive 0-based integer sequence')
    }
    return partition
  })
}

export function allFenced(partition: number): string {
  return (
    `All brokers specified in the manual partition assignment for partition ${partition} are ` +
    'fenced or in controlled shutdown.'
  )
}

function refused(name: string, outcome: Outcome): Result {
  return {
    name,
    topicId: zeroUuid,
    errorCode: outcome.error.code,
    errorMessage: outcome.message,
    configs: [],
  }
}

function created(
  name: string,
  topicId: Uuid,
  partitions: readonly PartitionImage[],
  overrides: ReadonlyMap<string, string>,
  config: BrokerConfig,
): Result {
  return {
    name,
    topicId,
    errorCode: 0,
    errorMessage: null,
    topicConfigErrorCode: 0,
    numPartitions: partitions.length,
    replicationFactor: partitions[0]?.replicas.length ?? -1,
    configs:
      overrides.size === 0
        ? config.derived('configs of new topics', () => configsOf(overrides, config))
        : configsOf(overrides, config),
  }
}

function configsOf(overrides: ReadonlyMap<string, string>, config: BrokerConfig) {
  return toldTopicConfigs(overrides)
    .sort()
    .map((name) => {
      const inForce = topicSynonyms(name, overrides, config)[0]
      return {
        name,
        value: inForce?.text ?? null,
        readOnly: false,
        configSource: inForce?.source ?? -1,
        isSensitive: false,
      }
    })
}

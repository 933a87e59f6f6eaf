/**
 * ListOffsets: the offset that a timestamp, or one of the negative stand-ins for one, means in each
 * partition. Version 0 answers in its own form: the offsets before a time, newest first.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type {
  ListOffsetsRequest,
  ListOffsetsResponse,
} from '../../protocol/messages/list-offsets.ts'
import { UnsupportedCompression } from '../../protocol/records/compression/unsupported-compression.ts'
import { CorruptRecords } from '../../protocol/records/corrupt-records.ts'
import { DiskError } from '../environment/disk.ts'
import type { Steps } from '../environment/in-turns.ts'
import { lookUpOffset, offsetSpec } from '../replication/offset-lookup.ts'
import { Partition } from '../replication/partition.ts'
import type { Replicas } from '../replication/replicas.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { checkIsolationLevel, readCommitted } from './isolation-level.ts'

const describeTopic = rule('DESCRIBE', 'TOPIC', 'topics.partitions.errorCode')

type RequestedTopic = ListOffsetsRequest['topics'][number]
type RequestedPartition = RequestedTopic['partitions'][number]
type AnsweredPartition = ListOffsetsResponse['topics'][number]['partitions'][number]

/** The version in which each stand-in came. */
const firstVersions: ReadonlyMap<number, number> = new Map([
  [offsetSpec.latest, 0],
  [offsetSpec.earliest, 0],
  [offsetSpec.maxTimestamp, 7],
  [offsetSpec.earliestLocal, 8],
  [offsetSpec.latestTiered, 9],
  [offsetSpec.earliestPendingUpload, 11],
])

const consumerReplicaId = -1

export const listOffsets = ({ replicas }: { replicas: Replicas }) =>
  handler(
    apis.listOffsets,
    async (request, context) => {
      const { apiVersion } = context
      checkIsolationLevel(request.isolationLevel)
      // A lookup may read through a segment: others come in between.
      if (request.topics.some(({ partitions }) => partitions.some(isLookup))) context.holdNext()
      const duplicates = await context.inTurns(duplicatePartitions(request.topics))
      const answer = (topic: string, requested: RequestedPartition) => {
        if (duplicates.has(`${topic}/${requested.partitionIndex}`)) {
          return refused(requested, errors.INVALID_REQUEST)
        }
        return answerPartition(replicas, request, apiVersion, topic, requested)
      }
      // One after the other: so no more than one of a request reads through a segment at a time.
      const answerTopic = async ({ name, partitions }: RequestedTopic) => {
        const isAllowed = describeTopic.allows(context, name)
        const answerOne = (one: RequestedPartition) =>
          isAllowed ? answer(name, one) : refused(one, describeTopic.error)
        return { name, partitions: await context.allInTurns(partitions, answerOne, 1), isAllowed }
      }
      const answers = await context.allInTurns(request.topics, answerTopic, 1)
      // As Kafka, whose answers are by partition.
      const topics = answers.filter(
        ({ partitions, isAllowed }) => !isAllowed || partitions.length > 0,
      )
      return { throttleTimeMs: 0, topics }
    },
    {
      access: [describeTopic],
      onError: ({ topics }, error) => ({
        throttleTimeMs: 0,
        topics: topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions.map((partition) => refused(partition, error)),
        })),
      }),
    },
  )

const isLookup = ({ timestamp }: RequestedPartition): boolean =>
  timestamp >= 0 || timestamp === offsetSpec.maxTimestamp

async function answerPartition(
  replicas: Replicas,
  request: ListOffsetsRequest,
  version: number,
  topic: string,
  requested: RequestedPartition,
): Promise<AnsweredPartition> {
  const { timestamp } = requested
  if (timestamp < 0 && version < (firstVersions.get(timestamp) ?? Number.POSITIVE_INFINITY)) {
    return refused(requested, errors.UNSUPPORTED_VERSION)
  }
  const found = replicas.find(topic, requested.partitionIndex)
  if (!(found instanceof Partition)) return refused(requested, found)
  const error = found.leaderError(requested.currentLeaderEpoch)
  if (error !== null) return refused(requested, error)
  try {
    if (version === 0) return await oldStyle(found, requested)
    return await newStyle(found, request, requested)
  } catch (error) {
    if (error instanceof KafkaError) return refused(requested, error.error)
    if (error instanceof DiskError) return refused(requested, errors.KAFKA_STORAGE_ERROR)
    if (error instanceof UnsupportedCompression) {
      return refused(requested, errors.UNSUPPORTED_COMPRESSION_TYPE)
    }
    if (error instanceof CorruptRecords) return refused(requested, errors.CORRUPT_MESSAGE)
    throw error
  }
}

async function newStyle(
  partition: Partition,
  request: ListOffsetsRequest,
  { partitionIndex, timestamp }: RequestedPartition,
): Promise<AnsweredPartition> {
  const isConsumer = request.replicaId === consumerReplicaId
  const upToOffset = isConsumer
    ? partition.readableOffset(request.isolationLevel === readCommitted)
    : partition.logEndOffset
  const found = await lookUpOffset(partition, timestamp, upToOffset)
  const { offset, leaderEpoch } = found ?? { offset: -1, leaderEpoch: -1 }
  return {
    partitionIndex,
    errorCode: errors.NONE.code,
    oldStyleOffsets: [],
    timestamp: found?.timestamp ?? -1,
    offset,
    leaderEpoch,
  }
}

/**
 * Of the offsets from which all records since the time are read: the high watermark where there are
 * none, and the start of the log where it does not begin later. Kafka lists starts of segments between.
 */
async function oldStyle(
  partition: Partition,
  { partitionIndex, timestamp, maxNumOffsets }: RequestedPartition,
): Promise<AnsweredPartition> {
  const { logStartOffset, highWatermark } = partition
  const offsets = [logStartOffset]
  if (timestamp !== offsetSpec.earliest && highWatermark > logStartOffset) {
    const next =
      timestamp === offsetSpec.latest
        ? null
        : await partition.log.reader.offsetForTimestamp(timestamp)
    if (next === null || next.offset >= highWatermark) offsets.unshift(highWatermark)
    else if (next.offset <= logStartOffset) offsets.length = 0
  }
  const oldStyleOffsets = offsets.slice(0, Math.max(0, maxNumOffsets))
  return { partitionIndex, errorCode: errors.NONE.code, oldStyleOffsets }
}

function refused({ partitionIndex }: RequestedPartition, error: ErrorRow): AnsweredPartition {
  return {
    partitionIndex,
    errorCode: error.code,
    oldStyleOffsets: [],
    timestamp: -1,
    offset: -1,
    leaderEpoch: -1,
  }
}

function* duplicatePartitions(topics: readonly RequestedTopic[]): Steps<ReadonlySet<string>> {
  const seen = new Set<string>()
  const duplicates = new Set<string>()
  for (const { name, partitions } of topics) {
    for (const { partitionIndex } of partitions) {
      const key = `${name}/${partitionIndex}`
      if (seen.has(key)) duplicates.add(key)
      seen.add(key)
      yield
    }
  }
  return duplicates
}

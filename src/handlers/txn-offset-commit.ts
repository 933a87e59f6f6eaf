/**
 * TxnOffsetCommit: a producer commits, as a part of its transaction, how far a group got. That the group's
 * partition of `__consumer_offsets` is in the transaction is verified first, as for records (KIP-890).
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type {
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse,
} from '../../protocol/messages/txn-offset-commit.ts'
import { type GroupCoordinator, txnCommitFailed } from '../coordinator/group/group-coordinator.ts'
import type { TopicLookup } from '../coordinator/group/topics.ts'
import { type Admission, isRefused } from '../coordinator/transaction/admission.ts'
import { filterInSteps, mapInSteps, mapSteps, type Steps } from '../environment/in-turns.ts'
import type { Partition } from '../replication/partition.ts'
import type { Replicas } from '../replication/replicas.ts'
import type { Verification } from '../replication/verifications.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import type { RequestContext } from '../server/request-context.ts'

const at = 'topics.partitions.errorCode'
const writeTransactionalId = rule('WRITE', 'TRANSACTIONAL_ID', at)
const readGroup = rule('READ', 'GROUP', at)
const readTopic = rule('READ', 'TOPIC', at)

const consumerOffsetsTopic = '__consumer_offsets'
const firstVersionWithLoadError = 2
const firstVersionWithAbortable = 4
const firstVersionWithAdding = 5
/** What only producers write has a sequence. */
const noSequence = -1

interface Parts {
  readonly groups: GroupCoordinator
  readonly topics: TopicLookup
  readonly replicas: Replicas
  readonly admission: Admission
}

export const txnOffsetCommit = (parts: Parts) =>
  handler(
    apis.txnOffsetCommit,
    async (request, context) => {
      writeTransactionalId.require(context, request.transactionalId)
      readGroup.require(context, request.groupId)
      const { apiVersion } = context
      const { allowed, denied } = readTopic.split(context, request.topics, ({ name }) => name)
      const asked = { ...request, topics: allowed }
      const known = await context.inTurns(onlyKnown(parts.topics, asked))
      const committed =
        known.topics.length === 0 ? { topics: [] } : await commit(parts, known, context)
      const refused = txnCommitFailed({ ...request, topics: denied }, readTopic.error)
      const topics = [...committed.topics, ...refused.topics]
      const named = request.topics.filter((topic) => !isEmptyAndKnown(parts.topics, topic))
      return await context.inTurns(answered({ ...request, topics: named }, { topics }, apiVersion))
    },
    {
      versions: [0, 5],
      access: [writeTransactionalId, readGroup, readTopic],
      onError: (request, error) => txnCommitFailed(request, error),
    },
  )

async function commit(
  { groups, topics, replicas, admission }: Parts,
  request: TxnOffsetCommitRequest,
  { apiVersion: version, connection: origin }: RequestContext,
): Promise<TxnOffsetCommitResponse> {
  const { groupId, transactionalId, producerId, producerEpoch } = request
  if (groupId === '') return txnCommitFailed(request, errors.INVALID_GROUP_ID)
  const partition = replicas.get(consumerOffsetsTopic, groups.partitionFor(groupId))
  if (partition === undefined) {
    // As Kafka, which asks the partition that it would write to first.
    const isThere = topics.partitionCountOf(consumerOffsetsTopic) !== undefined
    const error = isThere ? errors.NOT_COORDINATOR : errors.COORDINATOR_NOT_AVAILABLE
    return txnCommitFailed(request, error)
  }
  const isAdding = version >= firstVersionWithAdding
  const knowsAbortable = version >= firstVersionWithAbortable
  const who = { origin, transactionalId, producerId, producerEpoch }
  const admitted = await admission.admit<Verification, Partition>(
    { ...who, isAdding, knowsAbortable, isCostly: false },
    new Map([[partition, noSequence]]),
  )
  const answer = admitted?.get(partition)
  if (answer === undefined) return groups.commitInTransaction(request, undefined)
  if (isRefused(answer)) return txnCommitFailed(request, told(answer))
  return groups.commitInTransaction(request, answer.verification)
}

/** Producers try again on these without asking for the coordinator anew. */
function told(error: ErrorRow): ErrorRow {
  if (error === errors.NETWORK_EXCEPTION) return errors.COORDINATOR_LOAD_IN_PROGRESS
  const isElsewhere =
    error === errors.NOT_LEADER_OR_FOLLOWER || error === errors.KAFKA_STORAGE_ERROR
  return isElsewhere ? errors.NOT_COORDINATOR : error
}

function* onlyKnown(
  lookup: TopicLookup,
  request: TxnOffsetCommitRequest,
): Steps<TxnOffsetCommitRequest> {
  const topics: TxnOffsetCommitRequest['topics'][number][] = []
  for (const topic of request.topics) {
    yield
    const count = lookup.partitionCountOf(topic.name) ?? 0
    const partitions = yield* filterInSteps(
      topic.partitions,
      ({ partitionIndex }) => partitionIndex >= 0 && partitionIndex < count,
    )
    if (partitions.length > 0) topics.push({ ...topic, partitions })
  }
  return { ...request, topics }
}

/** As in Kafka's answers, a topic of which nothing was to be committed is left out. */
const isEmptyAndKnown = (
  lookup: TopicLookup,
  { name, partitions }: TxnOffsetCommitRequest['topics'][number],
): boolean => partitions.length === 0 && lookup.partitionCountOf(name) !== undefined

/** Each partition as it was asked for; those that no topic has were not committed. */
function* answered(
  request: TxnOffsetCommitRequest,
  { topics }: TxnOffsetCommitResponse,
  version: number,
): Steps<TxnOffsetCommitResponse> {
  const codes = new Map<string, number>()
  for (const { name, partitions } of topics) {
    yield* mapInSteps(partitions, ({ partitionIndex, errorCode }) =>
      codes.set(`${name}-${partitionIndex}`, toldIn(version, errorCode)),
    )
    yield
  }
  const unknown = errors.UNKNOWN_TOPIC_OR_PARTITION.code
  const answers = mapSteps(request.topics, function* ({ name, partitions: asked }) {
    const partitions = yield* mapInSteps(asked, ({ partitionIndex }) => ({
      partitionIndex,
      errorCode: codes.get(`${name}-${partitionIndex}`) ?? unknown,
    }))
    return { name, partitions }
  })
  return { topics: yield* answers }
}

/** Producers of old cannot stand COORDINATOR_LOAD_IN_PROGRESS (KAFKA-7296). */
function toldIn(version: number, errorCode: number): number {
  const isOld = version < firstVersionWithLoadError
  return isOld && errorCode === errors.COORDINATOR_LOAD_IN_PROGRESS.code
    ? errors.COORDINATOR_NOT_AVAILABLE.code
    : errorCode
}

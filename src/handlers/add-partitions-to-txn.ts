/**
 * AddPartitionsToTxn: producers enter the partitions that they are about to write to (KIP-98); leaders
 * enter or verify those that their producers write to, for several transactions at once (KIP-890).
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type {
  AddPartitionsToTxnRequest,
  AddPartitionsToTxnResponse,
} from '../../protocol/messages/add-partitions-to-txn.ts'
import { isInternalTopic } from '../config/internal-topics.ts'
import type { TopicLookup } from '../coordinator/group/topics.ts'
import type { PartitionName, TopicPartitions } from '../coordinator/transaction/participants.ts'
import type { TransactionCoordinator } from '../coordinator/transaction/transaction-coordinator.ts'
import { atOnce, mapInSteps, mapSteps, type Steps } from '../environment/in-turns.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import type { RequestContext } from '../server/request-context.ts'
import { fencedAs } from './fenced-as.ts'

const answeredAt = 'resultsByTopicV3AndBelow.resultsByPartition.partitionErrorCode'
const writeTransactionalId = rule('WRITE', 'TRANSACTIONAL_ID', answeredAt)
const writeTopic = rule('WRITE', 'TOPIC', answeredAt)
/** What comes from leaders is batched. */
const actForCluster = rule('CLUSTER_ACTION', 'CLUSTER', 'errorCode')

const firstVersionWithProducerFenced = 2
const firstVersionOfLeaders = 4

type Asked = AddPartitionsToTxnRequest['transactions'][number]
type Rows = ReadonlyMap<PartitionName, ErrorRow>
type AnsweredTopics = NonNullable<AddPartitionsToTxnResponse['resultsByTopicV3AndBelow']>

interface Parts {
  readonly transactions: TransactionCoordinator
  readonly topics: TopicLookup
}

export const addPartitionsToTxn = (parts: Parts) =>
  handler(
    apis.addPartitionsToTxn,
    async (request, context) => {
      const { apiVersion } = context
      if (apiVersion < firstVersionOfLeaders) {
        const asked = ofProducer(request)
        writeTransactionalId.require(context, asked.transactionalId)
        const mayWrite = (topic: string) =>
          !isInternalTopic(topic) && writeTopic.allows(context, topic)
        const decided = await decide(parts, context, asked, { clientVersion: 0, mayWrite })
        const knowsFenced = apiVersion >= firstVersionWithProducerFenced
        const answered = context.inTurns(answeredTopics(asked, decided, knowsFenced))
        return { resultsByTopicV3AndBelow: await answered }
      }
      actForCluster.require(context)
      const resultsByTransaction = await context.allInTurns(request.transactions, async (asked) => {
        const decided = await decide(parts, context, asked, ofLeader)
        const topicResults = await context.inTurns(answeredTopics(asked, decided, true))
        return { transactionalId: asked.transactionalId, topicResults }
      })
      return { errorCode: errors.NONE.code, resultsByTransaction }
    },
    {
      access: [writeTransactionalId, writeTopic, actForCluster],
      onError: (request, error, version) => {
        if (version >= firstVersionOfLeaders) return { errorCode: error.code }
        const asked = ofProducer(request)
        return { resultsByTopicV3AndBelow: atOnce(answeredTopics(asked, error, true)) }
      },
    },
  )

function ofProducer(request: AddPartitionsToTxnRequest): Asked {
  return {
    transactionalId: request.v3AndBelowTransactionalId,
    producerId: request.v3AndBelowProducerId,
    producerEpoch: request.v3AndBelowProducerEpoch,
    verifyOnly: false,
    topics: request.v3AndBelowTopics,
  }
}

function partitionsOf({ topics }: Asked): TopicPartitions[] {
  return topics.map(({ name, partitions }) => ({ topic: name, partitions }))
}

interface Asking {
  readonly clientVersion: number
  readonly mayWrite: (topic: string) => boolean
}

const ofLeader: Asking = { clientVersion: 2, mayWrite: () => true }

/** What is said of a partition. */
type RowOf = (partition: PartitionName) => ErrorRow

/** One row for all partitions, or one for each. */
async function decide(
  parts: Parts,
  context: Pick<RequestContext, 'inTurns'>,
  asked: Asked,
  { clientVersion, mayWrite }: Asking,
): Promise<ErrorRow | RowOf> {
  const { transactionalId, producerId, producerEpoch, verifyOnly } = asked
  const partitions = partitionsOf(asked)
  const request = { transactionalId, producerId, producerEpoch, partitions }
  const refused = await context.inTurns(refusedPartitions(parts.topics, partitions, mayWrite))
  // With one that is refused, none is added.
  if (refused.size > 0) return (name) => refused.get(name) ?? errors.OPERATION_NOT_ATTEMPTED
  const decided = verifyOnly
    ? await parts.transactions.verifyPartitions(request)
    : await parts.transactions.addPartitions(request, clientVersion)
  if (!(decided instanceof Map)) return decided as ErrorRow
  return (name) => decided.get(name) ?? errors.UNKNOWN_SERVER_ERROR
}

/** Partitions between two stops. */
const partitionsPerStep = 32

function* refusedPartitions(
  topics: TopicLookup,
  partitions: readonly TopicPartitions[],
  mayWrite: (topic: string) => boolean,
): Steps<Rows> {
  const refused = new Map<PartitionName, ErrorRow>()
  for (const { topic, partitions: indexes } of partitions) {
    const isAllowed = mayWrite(topic)
    const count = topics.partitionCountOf(topic) ?? 0
    for (const [at, index] of indexes.entries()) {
      if (at % partitionsPerStep === 0) yield
      const isKnown = index >= 0 && index < count
      if (isAllowed && isKnown) continue
      const row = isAllowed ? errors.UNKNOWN_TOPIC_OR_PARTITION : writeTopic.error
      refused.set(`${topic}-${index}`, row)
    }
  }
  return refused
}

/**
 * As Kafka's answers: where the partitions have each an error of their own, a topic without any is not
 * in it; where the error is that of all, it is.
 */
function* answeredTopics(
  { topics }: Asked,
  decided: ErrorRow | RowOf,
  knowsFenced: boolean,
): Steps<AnsweredTopics> {
  const isByPartition = typeof decided === 'function'
  const rowOf: RowOf = isByPartition ? decided : () => decided
  return yield* mapSteps(
    topics.filter(({ partitions }) => partitions.length > 0 || !isByPartition),
    function* ({ name, partitions }) {
      const resultsByPartition = yield* mapInSteps(partitions, (partitionIndex) => {
        const row = fencedAs(rowOf(`${name}-${partitionIndex}`), knowsFenced)
        return { partitionIndex, partitionErrorCode: row.code }
      })
      return { name, resultsByPartition }
    },
  )
}

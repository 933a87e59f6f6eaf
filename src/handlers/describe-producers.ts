/** DescribeProducers: what partitions know of the producers that write to them (KIP-664). */

import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type {
  DescribeProducersRequest,
  DescribeProducersResponse,
} from '../../protocol/messages/describe-producers.ts'
import { mapInSteps, mapSteps } from '../environment/in-turns.ts'
import { invalidTopicName } from '../metadata/controller/topic-names.ts'
import { Partition } from '../replication/partition.ts'
import type { Replicas } from '../replication/replicas.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import type { RequestContext } from '../server/request-context.ts'

const readTopic = rule('READ', 'TOPIC', 'topics.partitions.errorCode')

type Answer = DescribeProducersResponse['topics'][number]['partitions'][number]

export const describeProducers = ({ replicas }: { replicas: Replicas }) =>
  handler(
    apis.describeProducers,
    async (request, context) => {
      const answers = mapSteps(partitionsByTopic(request), function* ([name, indexes]) {
        const error = topicError(context, name)
        const answer = (index: number) =>
          error === null ? describe(replicas, name, index) : refused(index, error)
        return { name, partitions: yield* mapInSteps(indexes, answer) }
      })
      return { throttleTimeMs: 0, topics: await context.inTurns(answers) }
    },
    { access: [readTopic] },
  )

function topicError(context: RequestContext, name: string): ErrorRow | null {
  if (invalidTopicName(name) !== undefined) return errors.INVALID_TOPIC_EXCEPTION
  return readTopic.allows(context, name) ? null : readTopic.error
}

/** Each partition once, however often it is named: its answer may be long. */
function partitionsByTopic({ topics }: DescribeProducersRequest): Map<string, Set<number>> {
  const byTopic = new Map<string, Set<number>>()
  for (const { name, partitionIndexes } of topics) {
    const indexes = byTopic.get(name) ?? new Set()
    for (const index of partitionIndexes) indexes.add(index)
    byTopic.set(name, indexes)
  }
  return byTopic
}

function describe(replicas: Replicas, topic: string, partitionIndex: number): Answer {
  const found = replicas.find(topic, partitionIndex)
  if (!(found instanceof Partition)) return refused(partitionIndex, found)
  const error = found.leaderError()
  if (error !== null) return refused(partitionIndex, error)
  const producers = found.openedLog?.activeProducers() ?? []
  const activeProducers = producers.map((producer) => ({
    producerId: producer.producerId,
    producerEpoch: producer.epoch,
    lastSequence: producer.lastSequence,
    lastTimestamp: producer.timestamp,
    coordinatorEpoch: producer.coordinatorEpoch,
    currentTxnStartOffset: producer.currentTxnFirstOffset,
  }))
  return { partitionIndex, errorCode: errors.NONE.code, errorMessage: null, activeProducers }
}

function refused(partitionIndex: number, error: ErrorRow): Answer {
  const { code, message } = error
  return { partitionIndex, errorCode: code, errorMessage: message, activeProducers: [] }
}

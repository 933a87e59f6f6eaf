/** DescribeQuorum: who votes on the metadata and how far each voter is (KIP-836). */

import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type {
  DescribeQuorumRequest,
  DescribeQuorumResponse,
} from '../../protocol/messages/describe-quorum.ts'
import { mapInSteps, mapSteps } from '../environment/in-turns.ts'
import { clusterMetadataTopic } from '../metadata/controller/topic-names.ts'
import type { Quorum } from '../raft/quorum.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

type RequestedPartition = DescribeQuorumRequest['topics'][number]['partitions'][number]
type ResponsePartition = DescribeQuorumResponse['topics'][number]['partitions'][number]

const describeCluster = rule('DESCRIBE', 'CLUSTER', 'errorCode')

export const describeQuorum = ({ quorum }: { quorum: Quorum }) =>
  handler(
    apis.describeQuorum,
    async (request, context) => {
      describeCluster.require(context)
      const isQuorum = asksForTheQuorum(request)
      const answers = mapSteps(request.topics, function* ({ topicName, partitions }) {
        const answer = ({ partitionIndex }: RequestedPartition) =>
          isQuorum
            ? describe(quorum, partitionIndex)
            : failed(errors.UNKNOWN_TOPIC_OR_PARTITION, partitionIndex)
        return { topicName, partitions: yield* mapInSteps(partitions, answer) }
      })
      return {
        errorCode: errors.NONE.code,
        errorMessage: null,
        topics: await context.inTurns(answers),
        // The controller of this node has no listener of its own.
        nodes: isQuorum
          ? quorum.describe().voters.map(({ replicaId: nodeId }) => ({ nodeId, listeners: [] }))
          : [],
      }
    },
    {
      access: [describeCluster],
      onError: (_request, error, _version, message) => ({
        errorCode: error.code,
        errorMessage: message,
        topics: [],
      }),
    },
  )

function asksForTheQuorum({ topics }: DescribeQuorumRequest): boolean {
  const [topic] = topics
  return (
    topics.length === 1 &&
    topic?.topicName === clusterMetadataTopic &&
    topic.partitions.length === 1 &&
    topic.partitions[0]?.partitionIndex === 0
  )
}

function describe(quorum: Quorum, partitionIndex: number): ResponsePartition {
  const { leaderId, leaderEpoch, highWatermark, voters, voterDirectoryId } = quorum.describe()
  return {
    partitionIndex,
    errorCode: errors.NONE.code,
    errorMessage: null,
    leaderId,
    leaderEpoch,
    highWatermark,
    currentVoters: voters.map((voter) => ({
      replicaId: voter.replicaId,
      replicaDirectoryId: voterDirectoryId,
      logEndOffset: voter.logEndOffset,
      lastFetchTimestamp: voter.lastFetchMs,
      lastCaughtUpTimestamp: voter.lastCaughtUpMs,
    })),
    observers: [],
  }
}

function failed(error: ErrorRow, partitionIndex: number): ResponsePartition {
  return {
    partitionIndex,
    errorCode: error.code,
    errorMessage: error.message,
    leaderId: 0,
    leaderEpoch: 0,
    highWatermark: 0,
    currentVoters: [],
    observers: [],
  }
}

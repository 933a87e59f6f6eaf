/** ElectLeaders: preferred or unclean, for some partitions or for all (KIP-183, KIP-460). */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const alterCluster = rule('ALTER', 'CLUSTER', 'errorCode')

export const electLeaders = ({ controller }: { controller: Controller }) =>
  handler(
    apis.electLeaders,
    async (request, context) => {
      alterCluster.require(context)
      // As with Kafka: what has no time is not begun.
      if (request.timeoutMs <= 0 && request.topicPartitions?.length !== 0) {
        throw new KafkaError(errors.REQUEST_TIMED_OUT)
      }
      const replicaElectionResults = await controller.electLeaders(request)
      return { errorCode: errors.NONE.code, replicaElectionResults }
    },
    {
      access: [alterCluster],
      onError: ({ topicPartitions }, { code: errorCode }, _version, errorMessage) => ({
        errorCode,
        replicaElectionResults: (topicPartitions ?? []).map(({ topic, partitions }) => ({
          topic,
          partitionResult: partitions.map((partitionId) => ({
            partitionId,
            errorCode,
            errorMessage,
          })),
        })),
      }),
    },
  )
